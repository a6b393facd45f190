#!/usr/bin/env python3
"""Collections without a model: documents bring their vectors, by file and over HTTP.

usage: no_model.py TERCET
"""
import json
import os
import random
import subprocess
import sys
import tempfile

from served import Server, check, run

TERCET = sys.argv[1]
DIM, TOKEN_DIM = 16, 8
TIDES = "The moon pulls the tides of the sea."


def unit(random_of, n):
    values = [random_of.gauss(0, 1) for _ in range(n)]
    length = sum(value * value for value in values) ** .5
    return [value / length for value in values]


def made_rows(n):
    """Dense and token vectors, a text; the first one of them speaks of tides."""
    of = random.Random(7)
    return [{"id": f"d{i}", "title": f"Number {i}", "text": TIDES if i == 0 else f"bread {i}",
             "dense": unit(of, DIM), "multi": [unit(of, TOKEN_DIM) for _ in range(3)],
             "fields": {"even": i % 2 == 0}} for i in range(n)]


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def told(*words, stdin=""):
    """What a refusal says."""
    done = subprocess.run([TERCET, *words], input=stdin, capture_output=True, text=True,
                          timeout=60)
    return done.returncode, done.stderr


def info(index):
    return json.loads(run(TERCET, "info", index, "--json"))


def is_made_for_the_first_row(folder):
    rows = made_rows(50)
    index = f"{folder}/made"
    run(TERCET, "ingest", index, "-", "--model", "none", stdin=lines(rows))
    is_so = info(index)
    check(is_so["model"] == "" and is_so["documents"] == 50 and is_so["dense_dim"] == DIM and
          is_so["multi_dim"] == TOKEN_DIM and is_so["analyzer"] == "words:en",
          "an index takes its dimensions from the first row, and counts words")
    check("none: vectors come ready-made" in run(TERCET, "info", index), "info says so")
    run(TERCET, "ingest", index, "-", stdin=lines(rows))
    more = dict(rows[1], id="later")
    run(TERCET, "ingest", index, "-", stdin=lines([more]))
    check(info(index)["documents"] == 51, "further ones need no option")

    text = json.loads(run(TERCET, "search", index, "tides", "--json"))
    check([hit["id"] for hit in text["hits"]] == ["d0"] and text["modes"] == ["sparse"],
          "its text is searched by words alone")
    with open(f"{folder}/query.json", "w", encoding="utf-8") as file:
        json.dump({"dense": rows[7]["dense"], "multi": rows[7]["multi"]}, file)
    ready = json.loads(run(TERCET, "search", index, "--vectors", f"{folder}/query.json", "--json"))
    check(ready["hits"][0]["id"] == "d7" and ready["modes"] == ["dense", "multi"] and
          abs(ready["hits"][0]["scores"]["dense"]["raw"] - 1) < 1e-3,
          "ready-made vectors find the row they were of")

    out = run(TERCET, "export", index)
    run(TERCET, "ingest", f"{folder}/again", "-", "--model", "none", stdin=out)
    check(run(TERCET, "export", f"{folder}/again") == out,
          "what it exports makes the same again, token vectors as codes too")
    status, said = told("check", f"{folder}/again")
    check(status == 0, f"check is content {said}")


def other_kinds(folder):
    run(TERCET, "ingest", f"{folder}/texts", "-", "--model", "none",
        stdin=lines([{"id": "a", "text": TIDES}, {"id": "b", "text": "bread"}]))
    is_so = info(f"{folder}/texts")
    check(is_so["dense_dim"] == 0 and is_so["lexical"] == "bm25", "of texts: their words alone")
    found = json.loads(run(TERCET, "search", f"{folder}/texts", "a tide", "--json"))
    check([hit["id"] for hit in found["hits"]] == ["a"], "which are searched without a model")

    of = random.Random(1)
    bare = [{"id": str(i), "dense": unit(of, DIM)} for i in range(9)]
    run(TERCET, "ingest", f"{folder}/bare", "-", "--model", "none", stdin=lines(bare))
    check(info(f"{folder}/bare")["lexical"] == "none", "of vectors alone: no words")
    check('no model to read' in told("search", f"{folder}/bare", "tides")[1],
          "a text finds nothing there, and is told why")

    learned = [{"id": "a", "text": "x", "sparse": {"terms": {"17": .5, "40": 1.25}}},
               {"id": "b", "text": "y", "sparse": {"terms": {"40": .25}}}]
    run(TERCET, "ingest", f"{folder}/learned", "-", "--model", "none", stdin=lines(learned))
    check(info(f"{folder}/learned")["lexical"] == "learned", "of numbered weights: those")
    with open(f"{folder}/sparse.json", "w", encoding="utf-8") as file:
        json.dump({"sparse": {"40": 2}}, file)
    found = json.loads(run(TERCET, "search", f"{folder}/learned", "--vectors",
                           f"{folder}/sparse.json", "--json"))
    check([(hit["id"], round(hit["scores"]["sparse"]["raw"], 6)) for hit in found["hits"]] ==
          [("a", 2.5), ("b", .5)], "their inner product is exact")


def is_refused(folder):
    rows = made_rows(3)
    status, said = told("ingest", f"{folder}/made", "-", stdin=lines(
        [dict(rows[0], dense=[1, 2]), {"id": "t", "text": "no vector"}, dict(rows[1], id="new")]))
    check(status == 1 and "-: " not in said and "2 numbers, the index has 16" in said and
          'bring "dense" ready-made' in said and "1 documents stored" in said,
          "rows that do not fit, each with its reason")
    for what, words, stdin in (
            ("there is none", ("--model", "none"), ""),
            ("not valid JSON", ("--model", "none"), "{oops\n"),
            ("--chunk-tokens", ("--model", "none"),
             '{"id":"a","text":"ab","passages":[{"begin":0,"end":1,"dense":[1]}]}\n'),
            ("without a model no text is encoded", ("--model", "none", "--max-length", "64"),
             lines(rows)),
            ("choose words:en", ("--model", "none", "--analyzer", "model"), lines(rows)),
            ("nothing to search by", ("--model", "none", "--analyzer", "none"),
             '{"id":"a","text":"b"}\n')):
        status, said = told("ingest", f"{folder}/never", "-", *words, stdin=stdin)
        check(status == 1 and what in said, f"{what}: {said.strip()[:90]}")
    check(not os.path.exists(f"{folder}/never"), "and nothing was made")


def over_http(folder):
    rows = made_rows(20)
    with Server(TERCET, f"{folder}/data") as server:
        base = "/v1/collections/v"
        shape = {"model": None, "dense_dim": DIM, "multi_dim": TOKEN_DIM}
        made = server.ask("PUT", base, shape)
        check(made.status == 201 and made.json()["model"] is None and
              made.json()["dense_dim"] == DIM and made.json()["modes"] == ["dense", "sparse", "multi"],
              "a collection without a model is made")
        check(server.ask("PUT", base, shape).status == 200, "again: it is there")
        for body, status, field in (({"model": None, "dense_dim": 5}, 409, "dense_dim"),
                                    ({"model": None, "multi_dim": 5}, 409, "multi_dim"),
                                    ({"analyzer": "words:de"}, 409, "analyzer"),
                                    ({"model": "other"}, 400, "model"),
                                    ({"dense_dim": 5}, 400, "dense_dim"),
                                    ({"dense_dim": "5", "model": None}, 400, "dense_dim")):
            answer = server.ask("PUT", base, body)
            check((answer.status, answer.json()["error"]["field"]) == (status, field),
                  f"{body}: {status}, {field}")
        answer = server.post(base + "/documents", rows + [{"id": "t", "text": "no vector"}])
        check((answer["stored"], answer["failed"]) == (20, 1), "documents come with their vectors")
        words = server.post(base + "/search", {"query": "tides"})
        check([hit["id"] for hit in words["hits"]] == ["d0"] and words["modes"] == ["sparse"],
              "a text is words")
        both = server.post(base + "/search", {"query": "tides", "dense": rows[0]["dense"]})
        check(both["modes"] == ["dense", "sparse"] and both["hits"][0]["id"] == "d0" and
              both["hits"][0]["scores"]["sparse"]["raw"] > 0, "beside given vectors, too")
        only = server.post(base + "/search", {"query": "tides", "dense": rows[3]["dense"],
                                              "modes": ["dense"], "filter": {"even": False}})
        check(only["hits"][0]["id"] == "d3" and only["modes"] == ["dense"], "unless told otherwise")
        refused = server.post(base + "/search", {"query": "tides", "modes": ["multi"]}, status=400)
        check("has no model" in refused["error"]["message"], "a mode that nobody can make")
        like = server.post(base + "/search", {"like": "d3", "k": 5})
        check("d3" not in [hit["id"] for hit in like["hits"]], "more like one")
        for dim in range(1, 13):  # more kinds than the writer keeps ready, and back to the first
            server.ask("PUT", f"/v1/collections/dim{dim}", {"model": None, "dense_dim": dim})
        kept = [server.ask("POST", f"/v1/collections/dim{dim}/documents",
                           [{"id": "a", "text": "x", "dense": [1] * dim}]).json()["stored"]
                for dim in [*range(1, 13), *range(1, 13)]]
        check(kept == [1] * 12 + [0] * 12, "each of a dozen kinds takes its documents")
        usual = server.post("/v1/collections/usual/documents", [{"id": "a", "text": TIDES}])
        check(usual["stored"] == 1 and
              server.ask("GET", "/v1/collections/usual").json()["model"] is not None,
              "one with the server's model stands beside it")


with tempfile.TemporaryDirectory() as scratch:
    is_made_for_the_first_row(scratch)
    other_kinds(scratch)
    is_refused(scratch)
    over_http(scratch)
