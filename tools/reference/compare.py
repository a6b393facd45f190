#!/usr/bin/env python3
"""compare.py - the built tercet against what the official Python packages say.

  python compare.py TERCET MODELS_DIR [--only NAME]

MODELS_DIR holds model folders and beside each, as NAME.jsonl, what expect.py printed for it. Runs
`tercet tokenize`, `encode`, `score` and `rerank` in f32 and prints for each model and quantity the
number of texts and the largest difference; ids must be equal. Exits 1 when anything is above its
tolerance, missing or refused. Needs numpy alone.
"""
import argparse
import collections
import json
import pathlib
import subprocess
import sys

import numpy as np

TOLERANCE = 5e-5
LOGIT_TOLERANCE = 2e-4  # raw scores of cross-encoders are not bounded by 1
SHOWN_MAX = 1500      # characters of the worst row
TEXT_SHOWN_MAX = 100  # of its text, unless ids differ
WEIGHTS = {"": None, "0.4,0.2,0.4": (0.4, 0.2, 0.4), "1,0.3,1": (1, 0.3, 1)}


class Refused(Exception):
    pass


class Tercet:
    def __init__(self, program, model):
        self.program, self.model = program, model

    def run(self, command, rows, keys, *options):
        """One call; `rows` reduced to `keys` go in as JSONL, as many objects come back."""
        text = "".join(json.dumps({key: row[key] for key in keys}) + "\n" for row in rows)
        done = subprocess.run([self.program, command, "--model", self.model, *options],
                              input=text.encode(), capture_output=True, check=False)
        out = [json.loads(line) for line in done.stdout.decode().splitlines()]
        if done.returncode != 0 or len(out) != len(rows):
            said = done.stderr.decode().strip().splitlines() or ["no message"]
            raise Refused(f"{command} {' '.join(options)}",
                          f"exit {done.returncode}, {len(out)} of {len(rows)} rows: {said[-1]}")
        return out


class Report:
    """The largest difference by quantity, and where it was seen."""

    def __init__(self, model):
        self.model, self.worst, self.where = model, {}, {}
        self.counts, self.refused = collections.Counter(), {}

    def note(self, what, row, difference, **seen):
        self.counts[what] += 1
        difference = float("inf") if np.isnan(difference) else float(difference)
        if difference > self.worst.get(what, -1):
            texts = {key: row[key] if what == "ids" else str(row[key])[:TEXT_SHOWN_MAX]
                     for key in ("id", "max_length", "text", "query", "passage") if key in row}
            self.worst[what], self.where[what] = difference, texts | seen

    def arrays(self, what, row, got, expected):
        got, expected = np.array(got, np.float64), np.array(expected, np.float64)
        if got.shape != expected.shape:
            self.note(what, row, float("inf"), shape=got.shape, expected_shape=expected.shape)
        else:
            self.note(what, row, np.abs(got - expected).max(initial=0))

    def show(self):
        """True when nothing was refused and everything is within its tolerance."""
        for command, message in self.refused.items():
            print(f"{self.model:24s} {command:26s} REFUSED {message}")
        ok = not self.refused
        for what, worst in self.worst.items():
            passed = worst <= tolerance_of(what)
            ok &= passed
            verdict = "" if passed else f"  ABOVE {tolerance_of(what)}"
            print(f"{self.model:24s} {what:26s} {self.counts[what]:4d} {worst:9.1e}{verdict}")
            if not passed:
                print(f"  {json.dumps(self.where[what], ensure_ascii=what == 'ids')[:SHOWN_MAX]}")
        return ok


def tolerance_of(what):
    if "ids" in what:
        return 0
    return LOGIT_TOLERANCE if what in ("score", "cross_encoder") else TOLERANCE


def compare_ids(tercet, rows, length, report):
    pairs = "query" in rows[0]
    keys = ("query", "passage") if pairs else ("text",)
    for row, got in zip(rows, tercet.run("tokenize", rows, keys, "--max-length", str(length),
                                         *(["--pair"] if pairs else []))):
        report.note("ids", row, int(got["ids"] != row["ids"]), expected=row["ids"], got=got["ids"])


def compare_lexical(row, got, report):
    every = sorted(set(got) | set(row["sparse"]))
    report.arrays("sparse", row, [got.get(i, 0) for i in every],
                  [row["sparse"].get(i, 0) for i in every])
    # A weight that rounds to 0 may be there or not: only those that count must be on both sides.
    missing = [i for i in set(got) ^ set(row["sparse"])
               if max(got.get(i, 0), row["sparse"].get(i, 0)) > TOLERANCE]
    report.note("sparse ids", row, len(missing))


def compare_encodings(tercet, rows, length, report):
    modes = [mode for mode in ("dense", "sparse", "multi") if mode in rows[0]]
    # Without the option the folder's files must tell the limit.
    options = [] if length == rows[0]["length_max"] else ["--max-length", str(length)]
    got_rows = tercet.run("encode", rows, ("id", "text"), "--precision", "f32", *options,
                          *(f"--{mode}" for mode in modes))
    for row, got in zip(rows, got_rows):
        report.note("ids: their number", row, abs(got["tokens"] - len(row["ids"])))
        for mode in ("dense", "multi"):
            if mode in modes:
                report.arrays(mode, row, got[mode], row[mode])
        if "sparse" in modes:
            compare_lexical(row, got["sparse"], report)


def compare_queries(tercet, rows, _length, report):
    """The prompt that the folder itself puts in front of a query."""
    got_rows = tercet.run("encode", rows, ("id", "text"), "--precision", "f32", "--query",
                          "--dense")
    for row, got in zip(rows, got_rows):
        report.arrays("dense of queries", row, got["dense"], row["dense_query"])


def weighted(scores, weights):
    """compute_score's sums for other weights, of its own three numbers."""
    d, s, m = weights
    dense, sparse, colbert = scores["dense"], scores["sparse"], scores["colbert"]
    return scores | {"sparse+dense": (d * dense + s * sparse) / (d + s),
                     "colbert+sparse+dense": (d * dense + s * sparse + m * colbert) / (d + s + m)}


def compare_scores(tercet, rows, length, report):
    for text, weights in WEIGHTS.items():
        options = ["--precision", "f32", "--max-length", str(length)]
        options += ["--weights", text] if text else []
        for row, got in zip(rows, tercet.run("score", rows, ("query", "passage"), *options)):
            expected = weighted(row["scores"], weights) if weights else row["scores"]
            for key, value in expected.items():
                report.note(f"score {key}", row, abs(got[key] - value))


def compare_rerank(tercet, rows, length, report):
    for key, options in (("score", ("--cut", "only_second")),
                         ("score_normalized", ("--cut", "only_second", "--normalize")),
                         ("cross_encoder", ("--cut", "longest_first"))):
        got_rows = tercet.run("rerank", rows, ("query", "passage"), "--precision", "f32",
                              "--max-length", str(length), *options)
        for row, got in zip(rows, got_rows):
            # CrossEncoder pairs an empty passage; longest_first follows transformers, whose plain
            # call takes it for none.
            if key != "cross_encoder" or row["passage"]:
                report.note(key, row, abs(got["score"] - row[key]))


# What a row holds decides what is compared.
COMPARISONS = (("ids", compare_ids), ("dense", compare_encodings),
               ("dense_query", compare_queries), ("scores", compare_scores),
               ("score", compare_rerank))


def is_refused_by_name(tercet, rows):
    """A folder that sentence-transformers lower-cases over a tokenizer that keeps case: Tercet must
    say so, and give no vectors."""
    try:
        tercet.run("encode", rows[:1], ("id", "text"), "--dense")
    except Refused as refused:
        print(f"{tercet.model.name:24s} refused, as it must be: {refused.args[1]}")
        return "do_lower_case" in refused.args[1]
    return False


def compare_model(tercet, rows):
    if tercet.model.name == "bert-cased-lowered":
        return is_refused_by_name(tercet, rows)
    report = Report(tercet.model.name)
    groups = collections.defaultdict(list)
    for row in rows:
        for key, compare in COMPARISONS:
            if key in row:
                groups[compare, row["max_length"]].append(row)
    for (compare, length), some in groups.items():
        try:
            compare(tercet, some, length, report)
        except Refused as refused:
            report.refused[refused.args[0]] = refused.args[1]
    return report.show()


def is_older(expected, folder):
    newest = max(path.stat().st_mtime for path in folder.rglob("*"))
    return expected.stat().st_mtime < newest


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tercet", type=pathlib.Path)
    parser.add_argument("models", type=pathlib.Path)
    parser.add_argument("--only", help="the model of this name alone")
    args = parser.parse_args()
    failed, models = [], 0
    for folder in sorted(path.parent for path in args.models.glob("*/config.json")):
        if args.only and folder.name != args.only:
            continue
        models += 1
        expected = folder.with_suffix(folder.suffix + ".jsonl")
        if not expected.exists() or is_older(expected, folder):
            print(f"{folder.name:24s} {expected.name} is missing or older than the model: "
                  "run expect.py")
            failed.append(folder.name)
            continue
        with open(expected, encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        if not rows or not compare_model(Tercet(args.tercet.resolve(), folder), rows):
            failed.append(folder.name)
        sys.stdout.flush()
    print(f"{models} models, {len(failed)} failed: {', '.join(failed) or 'none'}")
    sys.exit(1 if failed or not models else 0)


if __name__ == "__main__":
    main()
