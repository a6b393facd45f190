#!/usr/bin/env python3
"""BM25 over made-up documents, Tercet beside tantivy: the same terms, the same questions, one thread.

usage: bm25_vs_tantivy.py --tercet build/tools/tercet --peers ../shared/peers --work FOLDER
                          [--documents 1000000] [--queries 300] [--rounds 3]

Wants an interpreter with numpy and tantivy (PEERS/setup.sh makes one). The documents are those of
PEERS/sparse_peers.py with each term said once: some 120 of 250,002 terms, frequent ones in most
documents. tantivy gets them as words t<id>, which nothing stems or drops. Each asks all questions in
turns; a row is the best of the rounds' medians, 99th percentiles, and means of the processor's time,
which can be compared when others are at work on the machine. FOLDER keeps the documents for the next time.
"""
import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--tercet", required=True)
    parser.add_argument("--peers", required=True, help="the folder of sparse_peers.py")
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--documents", type=int, default=1000000)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def make_set(arguments, folder):
    """docs_ and queries_ offsets, terms and weights as `tercet bench sparse --inputs` reads them."""
    sys.path.insert(0, arguments.peers)
    import sparse_peers
    if not (folder / "queries_weights.npy").exists():
        folder.mkdir(parents=True, exist_ok=True)
        sparse_peers.save_set(folder, *sparse_peers.synthetic(arguments.documents, arguments.queries))


def rows_of(folder, name):
    offsets, terms = np.load(folder / f"{name}_offsets.npy"), np.load(folder / f"{name}_terms.npy")
    for begin, end in zip(offsets, offsets[1:]):
        yield " ".join(f"t{term}" for term in terms[begin:end])


def build_tantivy(folder, place):
    import tantivy
    schema = tantivy.SchemaBuilder().add_text_field("text", tokenizer_name="words").build()
    there = (place / "meta.json").exists()
    place.mkdir(parents=True, exist_ok=True)
    index = tantivy.Index(schema, path=str(place))
    words = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
    index.register_tokenizer("words", words)
    began = time.perf_counter()
    if not there:
        writer = index.writer(heap_size=500_000_000, num_threads=1)
        for text in rows_of(folder, "docs"):
            writer.add_document(tantivy.Document(text=text))
        writer.commit()
        writer.wait_merging_threads()
    index.reload()
    return index, time.perf_counter() - began


def ask_tantivy(index, queries, k):
    """(p50, p99, processor's mean), ms."""
    searcher, times, cpu = index.searcher(), [], 0
    for query in queries:
        began, cpu_began = time.perf_counter(), time.process_time()
        searcher.search(index.parse_query(query, ["text"]), k)
        times.append(time.perf_counter() - began)
        cpu += time.process_time() - cpu_began
    return (1e3 * float(np.median(times)), 1e3 * float(np.quantile(times, 0.99)),
            1e3 * cpu / len(queries))


def ask_tercet(arguments, folder, place):
    """{"top10": (p50, p99, processor's mean), "top1000": ...} of one pass."""
    out = subprocess.run(
        [arguments.tercet, "bench", "sparse", "--bm25", "--inputs", str(folder), "--index",
         str(place), "--rounds", "1", "--exact"], check=True, capture_output=True, text=True).stdout
    values = {}
    for row in map(json.loads, out.splitlines()):
        for k in ("top10", "top1000"):
            for part in ("p50", "p99", "cpu"):
                if row["case"].endswith(f"/{k}/{part}"):
                    values.setdefault(k, {})[part] = row["value"]
    return {k: (v["p50"], v["p99"], v["cpu"]) for k, v in values.items()}


def main():
    arguments = read_arguments()
    folder = arguments.work / f"bm25-{arguments.documents}"
    make_set(arguments, folder)
    index, build_s = build_tantivy(folder, arguments.work / f"tantivy-{arguments.documents}")
    queries = list(rows_of(folder, "queries"))
    best = {}
    for _ in range(arguments.rounds):
        found = {("tercet", k): v for k, v in ask_tercet(
            arguments, folder, arguments.work / f"tercet-{arguments.documents}").items()}
        for k in (10, 1000):
            found["tantivy", f"top{k}"] = ask_tantivy(index, queries, k)
        for key, value in found.items():
            best[key] = tuple(map(min, best.get(key, value), value))
    print(json.dumps({"system": "tantivy", "case": "build", "value": build_s, "unit": "s"}))
    for (system, case), (p50, p99, cpu) in sorted(best.items()):
        print(json.dumps({"system": system, "case": case, "documents": arguments.documents,
                          "p50_ms": p50, "p99_ms": p99, "cpu_ms": cpu,
                          "load": os.getloadavg()[0]}))


main()
