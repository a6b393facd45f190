#!/usr/bin/env python3
"""tokenizer_vs_hf.py - Tercet's tokenizer against Hugging Face's `tokenizers`, on one core.

  ninja -C build tools/tokenizer_bench
  python tools/bench/tokenizer_vs_hf.py build/tools/tokenizer_bench ../shared [--rounds 9]

Needs numpy and tokenizers (pip install numpy tokenizers). ../shared is the folder with datasets/,
models/bge-small-en-v1.5 and golden/tokenizer/xlm-roberta.

Two tokenizers, WordPiece (bge-small) and Unigram (XLM-RoBERTa, 250,002 pieces), on the passages and
queries of XQuAD and JSQuAD, a row a language. All sides run on the same core in alternating rounds;
what is shown is the median of their processor time as MB of UTF-8 a second. The peer's `encode` is
called text by text, `encode_batch` once with TOKENIZERS_PARALLELISM=false, which spares it the
crossing from Python; the better of the two is the peer of the ratio, and ours counts its ranges as
theirs counts its offsets. `encode_batch_fast` leaves the offsets out: shown for the record.
The ids of both sides are compared first; a difference ends the run with 1.
"""
import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # before the import

import argparse
import json
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import numpy as np
import tokenizers

KINDS = {
    "WordPiece bge-small": "models/bge-small-en-v1.5/tokenizer.json",
    "Unigram XLM-R": "golden/tokenizer/xlm-roberta/tokenizer.json",
}
PEER_WAYS = ("encode", "encode_batch", "encode_batch_fast")


def read_texts(folder):
    """Passages and queries of a folder in BEIR's layout."""
    texts = []
    for name in ("corpus.jsonl", "queries.jsonl"):
        with open(folder / name, encoding="utf-8") as file:
            texts += [json.loads(line)["text"] for line in file]
    return texts


def data_sets(shared):
    found = {f"xquad {p.name}": p for p in sorted((shared / "datasets/xquad").iterdir())}
    found["jsquad ja"] = shared / "datasets/jsquad"
    return {name: read_texts(folder) for name, folder in found.items()}


class Ours:
    """tokenizer_bench as a child process; a round is a line to it and a line back."""

    def __init__(self, program, tokenizer_json, texts, scratch):
        texts_path, ids_path = scratch / "texts", scratch / "ids"
        with open(texts_path, "wb") as file:
            for text in texts:
                data = text.encode()
                file.write(struct.pack("<I", len(data)) + data)
        self.process = subprocess.Popen([program, tokenizer_json, texts_path, ids_path], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.process.stdout.readline().strip() != "ready":
            sys.exit("tokenizer_bench did not start")
        self.ids = np.fromfile(ids_path, np.uint32)

    def round_s(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline().split()[0])

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Peer:
    def __init__(self, tokenizer_json, texts):
        self.tokenizer = tokenizers.Tokenizer.from_file(str(tokenizer_json))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.texts = texts

    def ids(self):
        """As tokenizer_bench writes them: for each text their number, then the ids."""
        out = []
        for text in self.texts:
            ids = self.tokenizer.encode(text).ids
            out.append(len(ids))
            out += ids
        return np.array(out, np.uint32)

    def round_s(self, way):
        start = time.process_time()
        if way == "encode":
            for text in self.texts:
                self.tokenizer.encode(text)
        else:
            getattr(self.tokenizer, way)(self.texts)
        return time.process_time() - start


def report_difference(name, texts, ours, theirs):
    at = 0
    for text in texts:
        end = at + 1 + int(theirs[at])
        if not np.array_equal(ours[at:end], theirs[at:end]):
            print(json.dumps({"data": name, "text": text, "ours": ours[at:end].tolist(),
                              "theirs": theirs[at:end].tolist()}))
            return
        at = end


def race(args, kind, name, texts):
    tokenizer_json = args.shared / KINDS[kind]
    with tempfile.TemporaryDirectory() as scratch:
        ours = Ours(args.program, tokenizer_json, texts, pathlib.Path(scratch))
        peer = Peer(tokenizer_json, texts)
        expected = peer.ids()
        if not np.array_equal(ours.ids, expected):
            report_difference(name, texts, ours.ids, expected)
            sys.exit(f"{kind}, {name}: the ids differ")
        seconds = {way: [] for way in ("ours", *PEER_WAYS)}
        for _ in range(args.rounds):
            seconds["ours"].append(ours.round_s())
            for way in PEER_WAYS:
                seconds[way].append(peer.round_s(way))
        ours.close()
    size_mb = sum(len(text.encode()) for text in texts) / 1e6
    row = {"kind": kind, "data": name, "texts": len(texts), "mb": round(size_mb, 3),
           "tokens": len(expected) - len(texts)}
    row |= {f"{way}_mb_per_s": size_mb / statistics.median(s) for way, s in seconds.items()}
    row["ratio"] = row["ours_mb_per_s"] / max(row["encode_mb_per_s"], row["encode_batch_mb_per_s"])
    return row


def show(row, as_json):
    if as_json:
        print(json.dumps(row), flush=True)
        return
    print(f"| {row['kind']} | {row['data']} | {row['mb']:.2f} | {row['tokens']:,} "
          f"| {row['ours_mb_per_s']:.1f} | {row['encode_mb_per_s']:.1f} "
          f"| {row['encode_batch_mb_per_s']:.1f} | {row['encode_batch_fast_mb_per_s']:.1f} "
          f"| {row['ratio']:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", type=pathlib.Path, help="the built tokenizer_bench")
    parser.add_argument("shared", type=pathlib.Path, help="folder of datasets, models, golden")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true", help="a JSON line a row")
    args = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # the child inherits it
    if not args.json:
        print(f"tokenizers {tokenizers.__version__}; MB/s of processor time, medians of "
              f"{args.rounds} alternating rounds, one core\n")
        print("| tokenizer | text | MB | tokens | Tercet | encode | encode_batch "
              "| encode_batch_fast | ratio |\n|---|---|---|---|---|---|---|---|---|")
    texts = data_sets(args.shared)
    for kind in KINDS:
        for name, some in texts.items():
            show(race(args, kind, name, some), args.json)


if __name__ == "__main__":
    main()
