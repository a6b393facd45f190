#!/usr/bin/env python3
"""Tercet's part of a race on SciFact against other stores (a script's --own): each test query over
HTTP, one connection, and how good the answers are. Standard library only.

usage: search_own.py TERCET DATA COLLECTION SCIFACT

DATA is a folder of collections with COLLECTION in it; SCIFACT is BEIR's folder. Prints rows of the
cases search-scifact/query-encoded (text in, ids out) and /query (vectors given), p50 and p99 in ms,
with nDCG@10 in percent; with "multi" in their name where token vectors are compared as well.
"""
import json
import math
import os
import signal
import sys
import time

from search_http import Connection, ask_once, packed, part, request_of, start

WARM_UP = 50
TOP = 10


def judged(folder):
    grades = {}
    with open(f"{folder}/qrels/test.tsv") as lines:
        next(lines)
        for line in lines:
            query, document, grade = line.split("\t")
            grades.setdefault(query, {})[document] = int(grade)
    with open(f"{folder}/queries.jsonl") as lines:
        texts = {row["_id"]: row["text"] for row in map(json.loads, lines)}
    return [(texts[query], grades[query]) for query in sorted(grades)]


def ndcg(ids, grades):
    gain = sum(grades.get(id, 0) / math.log2(i + 2) for i, id in enumerate(ids[:TOP]))
    best = sorted(grades.values(), reverse=True)[:TOP]
    return gain / sum(grade / math.log2(i + 2) for i, grade in enumerate(best))


def ask_all(address, requests):
    """ms and ids of each."""
    connection, out = Connection(address), []
    for request in requests[:WARM_UP] + requests:
        began = time.perf_counter()
        connection.send(request)
        while (body := connection.receive()) is None:
            pass
        took = 1e3 * (time.perf_counter() - began)
        out.append((took, [hit["id"] for hit in json.loads(body)["hits"]]))
    return out[WARM_UP:]


def report(case, address, path, bodies, grades, threads):
    answers = ask_all(address, [request_of(path, body) for body in bodies])
    quality = 100 * sum(ndcg(ids, g) for (_, ids), g in zip(answers, grades)) / len(grades)
    for name, share in (("p50", .5), ("p99", .99)):
        print(json.dumps({"peer": "tercet", "version": "own", "case": f"search-scifact/{case}/{name}",
                          "threads": threads, "value": round(part([ms for ms, _ in answers], share), 3),
                          "unit": "ms", "quality": {"ndcg@10": round(quality, 2)}}), flush=True)


def vectors_of(address, text):
    bare = ask_once(address, "/v1/encode", {"texts": text})["encodings"][0]
    query = ask_once(address, "/v1/encode", {"texts": text, "input_type": "query",
                                             "modes": ["dense"]})["encodings"][0]
    return {"dense": packed(query["dense"]), "sparse": bare["sparse"],
            "multi": [packed(row) for row in bare["multi"]]}


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    tercet, data, collection, folder = sys.argv[1:]
    threads = int(os.environ.get("PEERS_THREADS", "1"))
    queries = judged(folder)
    grades = [g for _, g in queries]
    server, address = start(tercet, data)
    try:
        path = f"/v1/collections/{collection}/search"
        two = [{"query": text, "k": TOP, "modes": ["dense", "sparse"]} for text, _ in queries]
        all_ = [{"query": text, "k": TOP} for text, _ in queries]
        given = [{**vectors_of(address, text), "k": TOP} for text, _ in queries]
        given_two = [{name: body[name] for name in ("dense", "sparse", "k")} for body in given]
        report("query", address, path, given_two, grades, threads)
        report("query-multi", address, path, given, grades, threads)
        report("query-encoded", address, path, two, grades, threads)
        report("query-encoded-multi", address, path, all_, grades, threads)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


main()
