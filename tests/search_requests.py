#!/usr/bin/env python3
"""What a search can be asked for, from the command line and over HTTP, and each way to ask wrongly.

usage: search_requests.py TERCET FACTS.jsonl
"""
import base64
import itertools
import json
import math
import os
import struct
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
        refused(server, "rerank", like="tides", rerank={})
        refused(server, "rerank", query="x", rerank={"top": 1001})
        server.stop()
    text = run(TERCET, "search", index, "the sea", "--rerank", model, "--deadline-ms", "600000")
    check("of 50 reranked by reranker in" in text and "rerank " in text, "and in words")
    run(TERCET, "search", index, "the sea", "--rerank-top", "5", status=2)
    run(TERCET, "search", index, "the sea", "--rerank", folder + "/none", status=1)


def near(a, b):
    """The same hits with the same scores, but for the precision that vectors were made in."""
    return ([hit["id"] for hit in a["hits"]] == [hit["id"] for hit in b["hits"]] and
            all(abs(x["score"] - y["score"]) < 1e-3 for x, y in zip(a["hits"], b["hits"])))


def check_vectors(index, server):
    query = "what pulls the oceans"
    vectors = server.post("/v1/encode", {"texts": query})["encodings"][0]
    instructed = server.post("/v1/encode", {"texts": query, "input_type": "query"})["encodings"][0]
    vectors = {**vectors, "dense": instructed["dense"]}  # the collection reads queries so
    del vectors["tokens"]
    by_text = server.post(SEARCH, {"query": query, "explain": True})
    by_all = server.post(SEARCH, {**vectors, "explain": True})
    check(near(by_all, by_text), "vectors find what their text finds")
    check(by_all["hits"][0]["id"] == "tides" and by_all["modes"] == by_text["modes"],
          "in all modes")
    why, because = by_all["hits"][0]["explain"], by_text["hits"][0]["explain"]
    check(why["terms"] == because["terms"], "terms are explained")
    check([t["passage"] for t in why["tokens"]] == [t["passage"] for t in because["tokens"]] and
          all(t["query"] == "" for t in why["tokens"]), "passage tokens, too; the query's are nobody's")
    for modes in (["dense"], ["sparse"], ["multi", "dense"]):
        some = {mode: vectors[mode] for mode in modes}
        answer = server.post(SEARCH, some)
        check(sorted(answer["modes"]) == sorted(modes) and
              near(answer, server.post(SEARCH, {"query": query, "modes": modes})), f"{modes} alone")
    packed = {"dense": base64.b64encode(struct.pack("<384f", *vectors["dense"])).decode(),
              "sparse": vectors["sparse"],
              "multi": [base64.b64encode(struct.pack("<384f", *v)).decode()
                        for v in vectors["multi"]]}
    check(same(server.post(SEARCH, {**packed, "explain": True}), by_all), "numbers in base64")
    refused(server, "dense", dense=packed["dense"][:-8])
    refused(server, "multi", multi=packed["multi"][:1] + ["AACAPw=="])
    alone = server.post(SEARCH, {"multi": vectors["multi"], "k": 50})
    check(alone["retrieval"] == {"multi": "exact"} and alone["hits"][0]["id"] == "tides" and
          alone["total_candidates"] == 56, "token vectors alone are compared with everything")
    seen = server.post(SEARCH, {"multi": vectors["multi"], "filter": {"topic": "sea"}})
    check(all(hit["fields"]["topic"] == "sea" for hit in seen["hits"]), "that the filter allows")
    beside = server.post(SEARCH, {**vectors, "query": "something else entirely"})
    check(near(beside, by_text), "a text beside vectors is not encoded")
    unknown = server.post(SEARCH, {"sparse": {"xyzzy": 1}})
    check(unknown["hits"] == [], "words that nobody said find nothing")

    refused(server, "dense", dense=[1, 2, 3])
    refused(server, "dense", dense=[1e39] * 384)
    refused(server, "multi", multi=[[1, 2]])
    refused(server, "multi", multi=[vectors["multi"][0], [1]])
    refused(server, "sparse", sparse={"sea": 0})
    refused(server, "sparse", sparse=["sea"])
    refused(server, "modes", dense=vectors["dense"], modes=["dense", "multi"])
    refused(server, "query", k=3)
    check(server.ask("POST", SEARCH, '{"dense":[NaN]}').status == 400, "NaN is no JSON")

    with open(index + ".json", "w") as file:
        json.dump(vectors, file)
    own = json.loads(run(TERCET, "search", index, "--vectors", index + ".json", "--json"))
    check(near(own, by_text), "the command line reads them from a file")
    piped = json.loads(run(TERCET, "search", index, "--vectors", "-", "--json",
                           stdin=json.dumps(vectors)))
    check(same(piped, own), "and from its input")
    run(TERCET, "search", index, "--vectors", index + ".none", status=2)
    run(TERCET, "search", index, "--vectors", "-", stdin="{}", status=2)
    run(TERCET, "search", index, status=2)


def check_like(index, server):
    like = server.post(SEARCH, {"like": "tides", "k": 100, "explain": True})
    ids = [hit["id"] for hit in like["hits"]]
    check("tides" not in ids and like["total_candidates"] == 55, "all but itself")
    check(like["modes"] == ["dense", "sparse", "multi"], "in all modes")
    terms = like["hits"][0]["explain"]["terms"]
    check({"moon", "graviti", "ocean"} <= {t["term"] for t in terms} and len(terms) <= 32,
          "its words are named")
    tokens = like["hits"][0]["explain"]["tokens"]
    check({"moon", "gravity"} <= {t["query"] for t in tokens} and len(tokens) <= 64, "its tokens")
    dense = server.post(SEARCH, {"like": "tides", "modes": ["dense"]})
    again = server.post(SEARCH, {"like": dense["hits"][0]["id"], "modes": ["dense"], "k": 100})
    back = [hit for hit in again["hits"] if hit["id"] == "tides"]
    check(back and abs(back[0]["score"] - dense["hits"][0]["score"]) < 1e-5, "cosines both ways")
    few = server.post(SEARCH, {"like": "tides", "candidates": 1, "k": 1, "modes": ["dense"]})
    check(few["hits"][0]["id"] == dense["hits"][0]["id"], "one candidate that is not itself")
    seen = server.post(SEARCH, {"like": "tides", "filter": {"topic": "sea"}})
    check(all(hit["fields"]["topic"] == "sea" and hit["id"] != "tides" for hit in seen["hits"]),
          "among what the filter allows")
    refused(server, "like", status=404, like="nobody")
    refused(server, "like", like=5)
    refused(server, "like", like="tides", query="x")
    refused(server, "like", like="tides", dense=[1])
    own = json.loads(run(TERCET, "search", index, "--like", "tides", "-k", "100", "--json",
                         "--explain"))
    check(same(own, like), "the command line answers the same")
    run(TERCET, "search", index, "--like", "nobody", status=1)
    run(TERCET, "search", index, "x", "--like", "tides", status=2)


LANGUAGES = [
    {"id": "run", "title": "The runner", "text": "She was running, and the others ran a run of miles."},
    {"id": "ja", "title": "\u6f6e", "text": "\u6708\u306e\u5f15\u529b\u304c\u6d77\u6c34\u3092\u5f15\u304d"
     "\u5bc4\u305b\u308b\u306e\u3067\u3001\u30c7\u30fc\u30bf\u306e\u6f6e\u304c\u6e80\u3061\u308b\u3002"},
    {"id": "th", "title": "", "text": "\u0e19\u0e49\u0e33\u0e17\u0e30\u0e40\u0e25\u0e02\u0e36\u0e49\u0e19"
     "\u0e25\u0e07\u0e17\u0e38\u0e01\u0e27\u0e31\u0e19"},
    {"id": "de", "title": "Stra\u00dfe", "text": "Die Flut f\u00e4llt e\u0301 auf die STRASSE \U0001f469"
     "\u200d\U0001f680 und das Meer."},
    {"id": "ar", "title": "\u0628\u062d\u0631", "text": "\u0645\u064e\u062f\u0651 \u0627\u0644\u0628\u062d\u0631"
     " \u0648\u0627\u0644\u0642\u0645\u0631"},
    {"id": "hi", "title": "", "text": "\u0938\u092e\u0941\u0926\u094d\u0930 \u0914\u0930 \u091a\u093e\u0901\u0926"},
    {"id": "blank", "title": "   ", "text": "  a sea   "},
]


def marked(hit, field=None):
    """The highlighted pieces; and that they are what highlights must be on any text."""
    texts = {name: hit[name].encode() for name in ("title", "text")}
    places = [(h["field"] == "text", h["begin"], h["end"]) for h in hit["highlights"]]
    if places != sorted(places) or any(a[0] == b[0] and a[2] > b[1]
                                       for a, b in zip(places, places[1:])):
        check(False, f"in order and apart: {places}")
    for one in hit["highlights"]:
        text = texts[one["field"]]
        if not (0 <= one["begin"] < one["end"] <= len(text) and 0 < one["score"] <= 1 and
                one["source"] in ("sparse", "multi")):
            check(False, f"within the text: {one}")
        text[:one["begin"]].decode(), text[one["begin"]:one["end"]].decode()  # whole characters
    return [texts[h["field"]][h["begin"]:h["end"]].decode() for h in hit["highlights"]
            if field in (None, h["field"])]


def check_highlights(folder, server):
    path = "/v1/collections/languages/search"
    answer = server.ask("POST", "/v1/collections/languages/documents", LANGUAGES)
    check(answer.status == 200 and answer.json()["failed"] == 0, "texts in some languages")

    def ask(query, key, **more):
        hits = server.post(path, {"query": query, "highlight": True, **more})["hits"]
        return next(hit for hit in hits if hit["id"] == key)

    hit = ask("to run", "run", modes=["sparse"])
    check(marked(hit) == ["running", "run"] and
          all(h["source"] == "sparse" and h["score"] == 1 for h in hit["highlights"]),
          "running is highlighted for run")
    hit = ask("who runs", "run", highlight={"fields": ["title"]}, modes=["sparse"])
    check(marked(hit, "text") == [], "only in the fields that are asked for")
    check(marked(ask("\u6d77\u6c34", "ja"), "text").count("\u6d77\u6c34") == 1,
          "Japanese: letters side by side are one range")
    check("\u6f6e" in marked(ask("\u6f6e", "ja"), "title"), "and single ones")
    check(any("\u0e19\u0e49\u0e33" in part for part in marked(ask("\u0e19\u0e49\u0e33", "th"))),
          "Thai: a letter with what belongs to it")
    check(marked(ask("strasse", "de", modes=["sparse"])) == ["Stra\u00dfe", "STRASSE"],
          "folded as the index folds")
    check("\u0627\u0644\u0628\u062d\u0631" in marked(ask("\u0627\u0644\u0628\u062d\u0631", "ar")), "Arabic")
    check(marked(ask("sea", "blank")) == ["sea"], "blanks in front are counted")
    for query in ("\u6d77 sea run Meer", "\U0001f469\u200d\U0001f680", "\u0938\u092e\u0941\u0926\u094d\u0930",
                  ".", "", "the", "a b c d e f g " * 200):
        for hit in server.post(path, {"query": query, "highlight": True})["hits"]:
            marked(hit)
    check(True, "whole characters in every language")

    body = {"query": "moon pulls the ocean", "highlight": True}
    whole = server.post(SEARCH, body)
    tides = whole["hits"][0]
    check(tides["id"] == "tides" and {"moon", "pulls", "oceans"} <= set(marked(tides)), "words")
    check(any(h["source"] == "multi" for hit in whole["hits"] for h in hit["highlights"]),
          "by token vectors, too")
    two = server.post(SEARCH, {**body, "highlight": {"max": 2}})["hits"][0]
    best = sorted((h["score"] for h in tides["highlights"]), reverse=True)[:2]
    check(sorted((h["score"] for h in two["highlights"]), reverse=True) == best, "the best two")
    dense = server.post(SEARCH, {**body, "modes": ["dense"]})["hits"][0]
    check({"moon", "pulls", "oceans"} <= set(marked(dense)), "a dense search has the query's words")
    bare = server.post(SEARCH, {**body, "text": False})["hits"][0]
    check("text" not in bare and bare["highlights"] == tides["highlights"], "without the texts")
    check("highlights" not in server.post(SEARCH, {"query": "x", "highlight": False})["hits"][0],
          "false: none")
    like = server.post(SEARCH, {"like": "tides", "highlight": True, "k": 100})["hits"]
    check(any(marked(hit) for hit in like), "like: the document's words")
    vectors = server.post("/v1/encode", {"texts": body["query"]})["encodings"][0]
    ready = server.post(SEARCH, {"multi": vectors["multi"], "sparse": vectors["sparse"],
                                 "highlight": True})["hits"][0]
    check({"moon", "pulls", "oceans"} <= set(marked(ready)), "vectors: by what they are made of")
    beside = server.post(SEARCH, {"dense": vectors["dense"], "query": body["query"],
                                  "highlight": True})["hits"]
    check(any("moon" in marked(hit) for hit in beside), "and by the text beside them")
    for wrong in (5, {"field": ["text"]}, {"fields": []}, {"fields": ["body"]}, {"max": 0}):
        refused(server, "highlight", query="x", highlight=wrong)
    index = folder + "/data/facts"
    check(same(cli(index, body["query"], "--highlight"), whole), "the command line does the same")
    check("**moon**" in run(TERCET, "search", index, body["query"], "--highlight"), "and marks them")


def check_places(server):
    """Each token of an explanation stands where it says."""
    hits = server.post(SEARCH, {"query": "moon pulls the ocean", "explain": True})["hits"]
    named = 0
    for hit in hits:
        for token in hit["explain"]["tokens"]:
            if "field" in token:
                text = hit[token["field"]].encode()
                named += text[token["begin"]:token["end"]].decode() == token["passage"]
            elif token["passage"] != "[SEP]":
                check(False, f"a token without a place: {token}")
    tokens = sum("field" in token for hit in hits for token in hit["explain"]["tokens"])
    check(tokens > 30 and named == tokens, f"{tokens} passage tokens stand where they say")


def check_batch(index, server):
    path = SEARCH + "/batch"
    asked = [{"query": "the sea and the moon", "k": 3}, {"query": "a violin", "modes": ["sparse"]},
             {"query": 5}, {"like": "tides", "k": 2}, {"query": "x", "kk": 1}, {"dense": [1, 2]},
             {"like": "nobody"}, {"query": "disk pages", "explain": True, "facets": ["topic"]},
             {"query": "frogs", "rerank": {}}, "the sea", {"query": "x", "weights": [0, 0, 0]}]
    answers = server.post(path, {"searches": asked})["results"]
    check(len(answers) == len(asked), "an answer for each")
    for body, answer in zip(asked, answers):
        alone = server.ask("POST", SEARCH, body if isinstance(body, dict) else json.dumps(body))
        if alone.status == 200:
            check(same(answer, alone.json()), "as it is answered alone")
        else:
            mine, own = answer["error"], alone.json()["error"]
            check((mine["message"], mine["field"]) == (own["message"], own["field"]) and
                  list(answer) == ["error"], "or refused")
    many = server.post(path, {"searches": [asked[0]] * 64})["results"]
    check(len(many) == 64 and all(same(answer, answers[0]) for answer in many), "64 at once")
    refused(server, "searches", status=413, path=path, searches=[asked[0]] * 65)
    refused(server, "searches", path=path, searches=[])
    refused(server, "searches", path=path, searches={"query": "x"})
    check(server.ask("POST", path, "{}").status == 400, "no searches")
    refused(server, "search", path=path, search=[asked[0]])
    check(server.ask("POST", path, "[]").status == 400, "a list is no batch")
    check(server.ask("POST", path, "{").status == 400, "half a batch")
    refused(server, None, status=404, path="/v1/collections/nothing/search/batch", searches=asked)
    lines = "".join(json.dumps(body) + "\n" for body in asked) + "{\"query\":\n\n"
    own = [json.loads(line) for line in
           run(TERCET, "search", index, "--batch", stdin=lines, status=1).splitlines()]
    check(len(own) == len(asked) + 2, "the command line: a line for each line")
    check(all(same(mine, answer) for mine, answer in zip(own, answers)
              if "hits" in answer), "answered the same")
    check(all("hits" in mine or mine["error"]["message"] for mine in own) and
          sum("error" in mine for mine in own) == 9, "or refused with a word")
    check(len(run(TERCET, "search", index, "--batch",
                  stdin=json.dumps(asked[0]) + "\n").splitlines()) == 1, "exits 0 where all is well")
    run(TERCET, "search", index, "x", "--batch", status=2)
    run(TERCET, "search", index, "--batch", "-k", "5", status=2)


def check_other_model(folder):
    """A collection whose model is not the server's has nobody to read its queries."""
    data, model = folder + "/other", random_model(TERCET, "m3", folder + "/m3")
    run(TERCET, "ingest", data + "/notes", FACTS, "--model", model)
    path = "/v1/collections/notes/search"
    lines = run(TERCET, "encode", "--model", model, "--dense", "--sparse", "--multi",
                stdin="the moon\n")
    vectors = json.loads(lines)
    del vectors["tokens"]
    own = cli(data + "/notes", "the moon", "--precision", "f32")
    with Server(TERCET, data) as server:
        message = refused(server, None, path=path, query="the moon")
        check("was indexed with model" in message, "a text cannot be read")
        check(near(server.post(path, vectors), own), "vectors can")
        like = server.post(path, {"like": "tides", "explain": True})
        check(len(like["hits"]) == 10, "and documents")
        check(all(t["term"].isdigit() for t in like["hits"][0]["explain"]["terms"]),
              "whose tokens are numbers here")
        nobody = server.post(path, {**vectors, "highlight": True})["hits"]
        check(all(hit["highlights"] == [] for hit in nobody), "and stand nowhere that is known")
        refused(server, "sparse", path=path, sparse={"sea": 1})
        server.stop()
    with Server(TERCET, data, "--model", model) as server:  # terms are token ids, learned weights
        for query in ("the moon", "Sourdough bread rises", "\u6d77\u6c34", ""):
            hits = server.post(path, {"query": query, "highlight": True, "explain": True})["hits"]
            for hit in hits:
                marked(hit)
        own_words = server.post(path, {"like": "tides", "highlight": True})["hits"]
        check(any(marked(hit) for hit in own_words), "token ids are highlighted as words")
        server.stop()
    os.rename(model, model + "-gone")
    gone = json.loads(run(TERCET, "search", data + "/notes", "--vectors", "-", "--json",
                          stdin=json.dumps(vectors)))
    check(near(gone, own), "the command line does without the model, too")
    run(TERCET, "search", data + "/notes", "the moon", status=1)


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
            check_vectors(index, server)
            check_like(index, server)
            check_batch(index, server)
            check_highlights(folder, server)
            check_places(server)
            refused(server, "rerank", status=422, query="x", rerank={})
            server.stop()
        check_rerank(folder, index, data)
        check_other_model(folder)
    print("1 passed, 0 failed")


main()
