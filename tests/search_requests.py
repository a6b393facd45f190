#!/usr/bin/env python3
"""What a search can be asked for, from the command line and over HTTP, and each way to ask wrongly.

usage: search_requests.py TERCET FACTS.jsonl
"""
import itertools
import json
import math
import os
import sys
import tempfile

from served import Server, check, random_model, run

TERCET, FACTS = sys.argv[1:]
SEARCH = "/v1/collections/facts/search"
PLACES = ("sea", "moon", "harbour", "mountain", "library", "railway")
THINGS = ("a lamp", "a choir of frogs", "wet bread", "two engines", "some old maps", "a violin")


def same(a, b):
    """Everything but the time taken."""
    return {**a, "took_ms": None} == {**b, "took_ms": None}


def cli(index, query, *options):
    return json.loads(run(TERCET, "search", index, query, "--json", *options))


def refused(server, field, status=400, path=SEARCH, **body):
    """The field at fault is named (None: no single one is)."""
    error = server.post(path, body, status)["error"]
    check(error["field"] == field and error["message"], f"... {field}: {error['message'][:90]}")
    return error["message"]


def check_paging(index, server):
    body = {"query": "the sea and the moon", "k": 30}
    whole = server.post(SEARCH, body)
    check(len(whole["hits"]) == 30 and whole["offset"] == 0, "thirty hits at once")
    paged = []
    for offset in range(0, 30, 7):
        answer = server.post(SEARCH, {**body, "k": 7, "offset": offset})
        check(answer["offset"] == offset, "the answer says where it begins")
        paged += answer["hits"]
    check(paged[:30] == whole["hits"], "pages of seven are the same thirty")
    check(cli(index, body["query"], "-k", "7", "--offset", "7")["hits"] == paged[7:14],
          "and on the command line")
    beyond = server.post(SEARCH, {**body, "k": 1, "offset": 999})
    check(beyond["hits"] == [] and beyond["candidates"] == 1000, "behind the last: none")
    check("8. " in run(TERCET, "search", index, body["query"], "-k", "1", "--offset", "7"),
          "numbered from there")
    refused(server, "offset", query="x", k=2, offset=999)
    refused(server, "offset", query="x", offset=-1)
    run(TERCET, "search", index, "x", "--offset", "995", status=2)


def check_texts(index, server):
    body = {"query": "the sea and the moon", "k": 3}
    whole = server.post(SEARCH, body)
    bare = server.post(SEARCH, {**body, "text": False})
    check(all("text" in hit for hit in whole["hits"]), "hits have texts")
    check([{k: v for k, v in hit.items() if k != "text"} for hit in whole["hits"]] == bare["hits"],
          "and with \"text\": false everything else")
    check(same(cli(index, body["query"], "-k", "3", "--no-text"), bare), "as --no-text")
    refused(server, "text", query="x", text=1)


def check_plan(index, server):
    answer = server.post(SEARCH, {"query": "the sea"})
    check(answer["modes"] == ["dense", "sparse", "multi"] and answer["fusion"] == "zscore" and
          answer["candidates"] == 200 and "filtered_to" not in answer, "the plan that was chosen")
    check(answer["retrieval"] == {"dense": "exact", "sparse": "exact"}, "and how candidates came")
    answer = server.post(SEARCH, {"query": "the sea", "modes": ["multi"], "candidates": 7,
                                  "filter": {"topic": "sea"}, "sparse_mass": 0.5})
    with open(FACTS) as facts:
        sea = sum(json.loads(line)["fields"].get("topic") == "sea" for line in facts)
    check(answer["retrieval"] == {"dense": "exact"} and answer["filtered_to"] == sea and
          answer["candidates"] == 10, "a filter, few candidates, and token vectors alone")
    answer = server.post(SEARCH, {"query": "the sea and the moon", "modes": ["sparse"],
                                  "sparse_mass": 0.5})
    check(answer["retrieval"] == {"sparse": "approximate"}, "by the heaviest terms: approximate")
    check("dense (exact), sparse (exact)" in run(TERCET, "search", index, "x", "--explain"),
          "--explain says it")
    refused(server, "weights", query="x", weights=[0, 0, 0])
    refused(server, "weights", query="x", modes=["dense"], weights=[0, 1, 1])
    refused(server, "modes", query="x", modes=["dense", "dense"])
    refused(server, "sparse_mass", query="x", exact=True, sparse_mass=0.5)
    unknown = refused(server, "kk", query="x", kk=1)
    check("offset" in unknown and "facet_limit" in unknown, "an unknown field meets the known ones")


def relevance(model, query, hits):
    """What `tercet rerank` says of the hits, by id."""
    pairs = "".join(json.dumps({"query": query, "passage": f"{h['title']} {h['text']}".strip()}) +
                    "\n" for h in hits)
    lines = run(TERCET, "rerank", "--model", model, "--precision", "f32", stdin=pairs).splitlines()
    return {hit["id"]: json.loads(line)["score"] for hit, line in zip(hits, lines)}


def check_order(answer, fused, scores, top):
    """The first `top` of the fused order, best relevance first; the others as they were."""
    ids = [hit["id"] for hit in fused]
    expected = sorted(ids[:top], key=lambda key: -scores[key]) + ids[top:]
    check([hit["id"] for hit in answer["hits"]] == expected, f"the best {top} in its order")
    for place, hit in enumerate(answer["hits"]):
        own = hit["scores"].get("rerank")
        check((own is not None) == (place < top) and
              (own is None or own["rank"] == place + 1 and
               abs(own["raw"] - scores[hit["id"]]) < 1e-5 and
               abs(own["normalized"] - 1 / (1 + math.exp(-own["raw"]))) < 1e-5),
              f"hit {place + 1} says so")


def check_rerank(folder, index, data):
    model = random_model(TERCET, "v2-m3", folder + "/reranker")
    body = {"query": "the sea and the moon", "k": 30}
    with Server(TERCET, data, "--reranker", model, "--precision", "f32") as server:
        fused = server.post(SEARCH, body)
        check("rerank" not in fused and "rerank" not in fused["took_ms"], "not asked, not done")
        scores = relevance(model, body["query"], fused["hits"])
        check(len(set(scores.values())) > 20, "a cross-encoder that tells passages apart")
        answer = server.post(SEARCH, {**body, "rerank": {"top": 20}})
        check(answer["rerank"] == {"model": "reranker", "asked": 20, "scored": 20,
                                   "deadline_reached": False}, "the answer says what was read")
        check(answer["took_ms"]["rerank"] > 0, "and how long it took")
        check_order(answer, fused["hits"], scores, 20)
        paged = server.post(SEARCH, {**body, "k": 5, "offset": 18, "rerank": {"top": 20}})
        check(paged["hits"] == answer["hits"][18:23], "a page over its end")
        by_name = server.post(SEARCH, {**body, "rerank": {"model": "reranker", "top": 20,
                                                          "deadline_ms": 600000}})
        check(same(by_name, answer), "asked for by name, with time enough")
        all_of_it = server.post(SEARCH, {**body, "candidates": 5, "rerank": {}})
        check(all_of_it["rerank"]["asked"] >= 50, "candidates enough for the reranker")
        hurried = server.post(SEARCH, {**body, "rerank": {"top": 1000, "deadline_ms": 1}})
        check(hurried["rerank"]["deadline_reached"] and
              hurried["rerank"]["scored"] < hurried["rerank"]["asked"], "a deadline of 1 ms ends it")
        check_order(hurried, fused["hits"], scores, hurried["rerank"]["scored"])
        own = cli(index, body["query"], "-k", "30", "--rerank", model, "--rerank-top", "20",
                  "--precision", "f32")
        check(same(own, answer), "the command line answers the same")
        refused(server, "rerank", status=422, query="x", rerank={"model": "BAAI/other"})
        refused(server, "rerank", query="x", rerank={"topp": 5})
        refused(server, "rerank", query="x", rerank={"top": 1001})
        server.stop()
    text = run(TERCET, "search", index, "the sea", "--rerank", model, "--deadline-ms", "600000")
    check("of 50 reranked by reranker in" in text and "rerank " in text, "and in words")
    run(TERCET, "search", index, "the sea", "--rerank-top", "5", status=2)
    run(TERCET, "search", index, "the sea", "--rerank", folder + "/none", status=1)


def main():
    with tempfile.TemporaryDirectory() as folder:
        data = folder + "/data"
        index = os.path.join(data, "facts")
        with open(folder + "/more.jsonl", "w") as more:
            for i, (place, thing) in enumerate(itertools.product(PLACES, THINGS)):
                print(json.dumps({"id": f"more{i}", "title": f"{place} {i}", "fields": {"number": i},
                                  "text": f"{thing} near the {place} at night"}), file=more)
        run(TERCET, "ingest", index, FACTS, folder + "/more.jsonl")
        with Server(TERCET, data) as server:
            check_paging(index, server)
            check_texts(index, server)
            check_plan(index, server)
            refused(server, "rerank", status=422, query="x", rerank={})
            server.stop()
        check_rerank(folder, index, data)
    print("1 passed, 0 failed")


main()
