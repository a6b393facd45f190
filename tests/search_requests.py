#!/usr/bin/env python3
"""What a search can be asked for, from the command line and over HTTP, and each way to ask wrongly.

usage: search_requests.py TERCET FACTS.jsonl
"""
import itertools
import json
import os
import sys
import tempfile

from served import Server, check, run

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
    refused(server, None, query="x", weights=[0, 0, 0])
    refused(server, None, query="x", modes=["dense"], weights=[0, 1, 1])
    refused(server, "modes", query="x", modes=["dense", "dense"])
    refused(server, "sparse_mass", query="x", exact=True, sparse_mass=0.5)
    unknown = refused(server, "kk", query="x", kk=1)
    check("offset" in unknown and "facet_limit" in unknown, "an unknown field meets the known ones")


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
            server.stop()
    print("1 passed, 0 failed")


main()
