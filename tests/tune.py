#!/usr/bin/env python3
"""tercet tune: a collection whose judged queries only its terms can answer gets weights that say so,
and searches that name nothing use them; one that is judged by chance keeps what it has.

usage: tune.py TERCET
"""
import json
import os
import random
import sys
import tempfile

from served import check, run

TERCET = sys.argv[1]
WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "islet", "jetty"]


def write(path, rows):
    with open(path, "w") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)


def benchmark(folder, judge):
    """Documents of like words with a number each: models blur numbers, terms do not."""
    pick = random.Random(3)
    documents = [{"_id": f"d{i}", "text": " ".join(pick.choices(WORDS, k=12)) + f" part {4000 + i}"}
                 for i in range(150)]
    queries = [{"_id": f"q{i}", "text": f"{' '.join(pick.choices(WORDS, k=6))} {4000 + i}"}
               for i in range(60)]
    write(f"{folder}/corpus.jsonl", documents)
    write(f"{folder}/queries.jsonl", queries)
    os.makedirs(f"{folder}/qrels", exist_ok=True)
    with open(f"{folder}/qrels/train.tsv", "w") as out:
        out.write("query-id\tcorpus-id\tscore\n")
        out.writelines(f"q{i}\td{judge(i, pick)}\t1\n" for i in range(60))


def weights_of(index):
    return json.loads(run(TERCET, "search", index, "cedar 4007", "--json").splitlines()[0])


with tempfile.TemporaryDirectory() as place:
    index = f"{place}/index"
    benchmark(place, lambda i, pick: i)
    run(TERCET, "ingest", index, place)
    before = weights_of(index)
    told = json.loads(run(TERCET, "tune", index, "beir", place, "--dry-run", "--json"))
    check(not told["stored"] and weights_of(index)["weights"] == before["weights"], "--dry-run")
    told = json.loads(run(TERCET, "tune", index, "beir", place, "--json"))
    check(told["stored"] and told["low"] > 0 and told["ndcg@10_tuned"] > told["ndcg@10_before"],
          f"terms answer these: {told['gain']:+.4f} [{told['low']:+.4f}, {told['high']:+.4f}]")
    after = weights_of(index)
    share = after["weights"]["sparse"] / sum(after["weights"].values())
    check(after["fusion"] == told["tuned"]["fusion"] and share > .5 and
          after["weights"] != before["weights"], f"searches use it: {after['weights']}")
    named = json.loads(run(TERCET, "search", index, "cedar 4007", "--json", "--weights", ".3,.3,.4",
                           "--fusion", "zscore").splitlines()[0])
    check(named["weights"]["dense"] < .31 and named["fusion"] == "zscore", "a search's own word counts")
    two = json.loads(run(TERCET, "search", index, "cedar 4007", "--json", "--modes",
                         "dense,sparse").splitlines()[0])
    check(abs(two["weights"]["dense"] - .6) < 1e-6, "other modes keep the defaults")
    again = json.loads(run(TERCET, "tune", index, "beir", place, "--json", "--dry-run"))
    check(again["before"] == told["before"] and again["tuned"] == told["tuned"],
          "tuned again: against the same beginning, to the same end")
    run(TERCET, "check", index)

    noise = f"{place}/noise"
    benchmark(place, lambda i, pick: pick.randrange(150))
    run(TERCET, "ingest", noise, place)
    told = json.loads(run(TERCET, "tune", noise, "beir", place, "--json"))
    check(not told["stored"] and told["low"] <= 0, f"chance: {told['gain']:+.4f}, not stored")
    check(weights_of(noise)["weights"] == before["weights"], "and nothing changed")
    run(TERCET, "tune", noise, "beir", place, "--split", "test", status=1)
    run(TERCET, "tune", noise, status=2)
    run(TERCET, "tune", f"{place}/nothing", "beir", place, status=1)
print("tuned")
