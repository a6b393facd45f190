#!/usr/bin/env python3
"""tercet mine against hn_mine's rules written again in plain Python: same rows, same vectors, same
draws, so the same negatives.

usage: mine_agrees.py TERCET [ROWS.jsonl]    without rows: made here
"""
import json
import math
import struct
import subprocess
import sys
import tempfile

from served import check, run

TERCET = sys.argv[1]
MASK = (1 << 64) - 1


class Draws:
    """splitmix64, a row's own stream."""

    def __init__(self, seed, row):
        self.state = (seed ^ (row * 0xd1342543de82ef95 & MASK)) & MASK

    def below(self, n):
        self.state = (self.state + 0x9e3779b97f4a7c15) & MASK
        z = self.state
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9 & MASK
        z = (z ^ z >> 27) * 0x94d049bb133111eb & MASK
        return ((z ^ z >> 31) >> 32) * n >> 32


def encode(texts, query):
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    out = run(TERCET, "encode", "--dense", "--precision", "f32", *(["--query"] if query else []),
              stdin=lines)
    return [json.loads(line)["dense"] for line in out.splitlines()]


def f16(x):
    """A passage's vector is stored in half precision."""
    return struct.unpack("<e", struct.pack("<e", x))[0]


def pool_of(rows):
    seen = {}
    for row in rows:
        for text in row["pos"] + row.get("neg", []):
            if text:
                seen.setdefault(text, len(seen))
    return list(seen)


def mine(rows, first, last, wanted, seed, ceiling):
    """As FlagEmbedding's hn_mine.py, but for whose chance it is."""
    pool = pool_of(rows)
    passages = [[f16(x) for x in vector] for vector in encode(pool, False)]
    queries = encode([row["query"] for row in rows], True)
    out = []
    for number, (row, query) in enumerate(zip(rows, queries)):
        scores = [sum(a * b for a, b in zip(query, passage)) for passage in passages]
        order = sorted(range(len(pool)), key=lambda i: (-scores[i], i))[:last]
        best = max((scores[i] for i in order if pool[i] in row["pos"]), default=-math.inf)
        limit = best * ceiling if ceiling else math.inf
        fit = [i for i in order[first:] if pool[i] not in row["pos"] and pool[i] != row["query"]
               and scores[i] <= limit]
        draws = Draws(seed, number)
        if len(fit) > wanted:
            for i in range(wanted):
                j = i + draws.below(len(fit) - i)
                fit[i], fit[j] = fit[j], fit[i]
            fit = fit[:wanted]
        tries = 100 * wanted
        while len(fit) < wanted and tries > 0:
            tries -= 1
            i = draws.below(len(pool))
            if pool[i] not in row["pos"] and pool[i] != row["query"] and i not in fit:
                fit.append(i)
        out.append([pool[i] for i in fit])
    return out


def made_rows():
    rows = []
    for i in range(60):
        topic = ["tides", "violins", "bees", "taxes", "glaciers", "bridges"][i % 6]
        rows.append({"query": f"question {i} about {topic}", "pos": [f"{topic} explained, part {i}"],
                     "neg": [f"a note on {topic} number {i * 7 % 60}"], "source": {"row": i}})
    rows[3]["pos"].append(rows[9]["pos"][0])
    rows[5]["neg"].append(rows[5]["query"])  # the query itself is no negative
    return rows


def compare(folder, rows, options, **rules):
    path, out = f"{folder}/rows.jsonl", f"{folder}/out.jsonl"
    with open(path, "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    run(TERCET, "mine", path, "-o", out, "--precision", "f32", *options)
    ours = [json.loads(line) for line in open(out)]
    theirs = mine(rows, **rules)
    same = sum(a["neg"] == b for a, b in zip(ours, theirs))
    # Two candidates whose scores differ by rounding alone may stand the other way round.
    check(len(ours) == len(rows) and same >= len(rows) - len(rows) // 50,
          f"{' '.join(options)}: {same} of {len(rows)} rows have the same negatives")
    for row, mined in zip(rows, ours):
        check_row(row, mined)
    print(f"ok    {len(rows)} rows keep what else they hold")


def check_row(row, mined):
    if {**row, "neg": 0} != {**mined, "neg": 0} or set(mined["neg"]) & set(row["pos"]) or \
            row["query"] in mined["neg"] or len(set(mined["neg"])) != len(mined["neg"]):
        check(False, f"a row as it should be: {mined}")


def scores(folder):
    """With a cross-encoder: as many scores as texts, those of tercet rerank."""
    model = f"{folder}/reranker"
    run(TERCET, "model", "random", "v2-m3", model, "--layers", "1", "--vocabulary", "500")
    out = run(TERCET, "mine", f"{folder}/rows.jsonl", "-n", "2", "--reranker", model)
    for line in out.splitlines()[:3]:
        row = json.loads(line)
        pairs = "".join(json.dumps({"query": row["query"], "passage": text}) + "\n"
                        for text in row["pos"] + row["neg"])
        asked = [json.loads(x)["score"] for x in
                 run(TERCET, "rerank", "--model", model, "--precision", "auto",
                     stdin=pairs).splitlines()]
        told = row["pos_scores"] + row["neg_scores"]
        check(len(told) == len(asked) and max(abs(a - b) for a, b in zip(told, asked)) < 1e-4,
              "pos_scores and neg_scores are the cross-encoder's")


def refused(folder):
    for text, why in (('{"query":"q","pos":[]}', "no positive"), ('{"pos":["a"]}', "no query"),
                      ('{"query":"q","pos":[1]}', "no text"), ("", "no row"), ("{", "no JSON")):
        with open(f"{folder}/bad.jsonl", "w") as file:
            file.write(text + "\n")
        done = subprocess.run([TERCET, "mine", f"{folder}/bad.jsonl"], capture_output=True, text=True)
        check(done.returncode == 1 and "bad.jsonl" in done.stderr, f"refused: {why}")
    for options in (["--range", "5-5"], ["--range", "0-9999"], ["--ceiling", "2"], ["--modes", "x"]):
        run(TERCET, "mine", f"{folder}/rows.jsonl", *options, status=2)


with tempfile.TemporaryDirectory() as place:
    made = made_rows()
    given = [json.loads(line) for line in open(sys.argv[2])] if len(sys.argv) > 2 else made
    compare(place, given, ["--range", "2-40", "-n", "7", "--seed", "5"], first=2, last=40, wanted=7,
            seed=5, ceiling=0)
    compare(place, given, ["--range", "0-30", "-n", "12", "--ceiling", ".95"], first=0, last=30,
            wanted=12, seed=42, ceiling=.95)
    scores(place)
    refused(place)
print("mine agrees")
