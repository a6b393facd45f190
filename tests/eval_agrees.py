#!/usr/bin/env python3
"""tercet eval against trec_eval's own code (pytrec_eval), on random runs full of ties and on runs
of our own; and benchmarks of each form, from files to measures.

usage: eval_agrees.py TERCET [PYTHON]

PYTHON has pytrec_eval (tools/setup.sh test makes it: .cache/clients/bin/python); without it the
test is skipped (77).
"""
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile

if len(sys.argv) > 2:
    if not os.path.exists(sys.argv[2]):
        print(f"no pytrec_eval: {sys.argv[2]} is missing (tools/setup.sh test makes it)")
        sys.exit(77)
    os.execv(sys.argv[2], [sys.argv[2], *sys.argv[:2]])

try:
    import pytrec_eval
except ImportError:
    print("no pytrec_eval here")
    sys.exit(77)

from served import check  # noqa: E402

TERCET = sys.argv[1]
NAMES = {  # ours: trec_eval's
    "ndcg@3": "ndcg_cut_3", "ndcg@10": "ndcg_cut_10", "ndcg": "ndcg", "recall@5": "recall_5",
    "recall@100": "recall_100", "precision@5": "P_5", "mrr": "recip_rank", "map": "map",
    "map@10": "map_cut_10", "hit@5": "success_5",
}
TREC = {"ndcg_cut.3,10", "ndcg", "recall.5,100", "P.5", "recip_rank", "map", "map_cut.10",
        "success.5"}


def run(*words, status=0):
    done = subprocess.run([TERCET, *map(str, words)], capture_output=True, text=True)
    check(done.returncode == status, f"{' '.join(map(str, words))[:70]}: {done.stderr.strip()[:200]}")
    return done.stdout


def write_qrels(path, qrels):
    with open(path, "w") as out:
        for query, documents in qrels.items():
            for document, score in documents.items():
                out.write(f"{query} 0 {document} {score}\n")


def write_run(path, hits):
    with open(path, "w") as out:
        for query, documents in hits.items():
            for rank, (document, score) in enumerate(documents.items(), 1):
                out.write(f"{query} Q0 {document} {rank} {score!r} x\n")


def read_run(path):
    hits = {}
    for line in open(path):
        query, _, document, _, score, _ = line.split()
        hits.setdefault(query, {})[document] = float(score)
    return hits


def agree(what, run_path, qrels_path, hits, qrels):
    ours = {}
    for line in run("eval", "run", run_path, qrels_path, "--measures", ",".join(NAMES),
                    "--per-query").splitlines():
        query, name, value = line.split("\t")
        ours.setdefault(query, {})[name] = float(value)
    theirs = pytrec_eval.RelevanceEvaluator(qrels, TREC).evaluate(hits)
    worst = max(abs(ours[query][name] - theirs.get(query, {}).get(trec, 0))
                for query in qrels for name, trec in NAMES.items())
    check(set(ours) == set(qrels) and worst < 1e-6,
          f"{what}: {len(qrels)} queries, {len(NAMES)} measures, largest difference {worst:.1e}")


def random_runs(folder):
    for seed in range(20):
        pick = random.Random(seed)
        documents = [f"d{i}" for i in range(pick.choice([5, 60, 400]))]
        qrels, hits = {}, {}
        for query in range(pick.randint(1, 40)):
            judged = pick.sample(documents, pick.randint(1, min(30, len(documents))))
            qrels[f"q{query}"] = {d: pick.choice([0, 0, 1, 1, 2, 3]) for d in judged}
            if pick.random() < .1:
                continue  # nothing was found for this one
            found = pick.sample(documents, pick.randint(1, len(documents)))
            steps = pick.choice([2, 10, 10 ** 9])  # few steps: many ties
            hits[f"q{query}"] = {d: pick.randint(-steps, steps) / steps for d in found}
        if not hits:
            continue
        write_qrels(f"{folder}/qrels", qrels)
        write_run(f"{folder}/run", hits)
        agree(f"random runs, seed {seed}", f"{folder}/run", f"{folder}/qrels", hits, qrels)


FACTS = {"moon": "The tides of the sea follow the moon.", "tax": "Salt was taxed in France.",
         "bee": "Bees dance to tell where flowers are.", "wal": "Whales sing across oceans.",
         "vio": "A violin has four strings.", "ice": "Ice floats because it is light."}
ASKED = {"1": ("what moves the tides", "moon"), "2": ("which animal dances", "bee"),
         "3": ("how many strings has a violin", "vio"), "moon": ("the moon", "tax")}


def jsonl(path, rows):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with (gzip.open if path.endswith(".gz") else open)(path, "wt") as out:
        for row in rows:
            out.write(json.dumps(row) + "\n")


def text(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as out:
        out.write(content)


def benchmarks(folder):
    queries = [(i, q) for i, (q, _) in ASKED.items()]
    judged = [(i, d) for i, (_, d) in ASKED.items()]
    jsonl(f"{folder}/beir/corpus.jsonl.gz", [{"_id": k, "text": v} for k, v in FACTS.items()])
    jsonl(f"{folder}/beir/queries.jsonl", [{"_id": i, "text": q} for i, q in queries])
    text(f"{folder}/beir/qrels/test.tsv", "query-id\tcorpus-id\tscore\n" +
         "".join(f"{i}\t{d}\t1\n" for i, d in judged))
    text(f"{folder}/miracl/topics.miracl-v1.0-xx-dev.tsv", "".join(f"{i}\t{q}\n" for i, q in queries))
    text(f"{folder}/miracl/qrels.miracl-v1.0-xx-dev.tsv",
         "".join(f"{i}\tQ0\t{d}\t1\n" for i, d in judged))
    jsonl(f"{folder}/miracl/docs-0.jsonl.gz",
          [{"docid": k, "title": "", "text": v} for k, v in FACTS.items()])
    jsonl(f"{folder}/mldr/corpus.jsonl", [{"docid": k, "text": v} for k, v in FACTS.items()])
    jsonl(f"{folder}/mldr/test.jsonl.gz",
          [{"query_id": i, "query": q, "positive_passages": [{"docid": d, "text": ""}],
            "negative_passages": []} for i, (q, d) in ASKED.items()])
    text(f"{folder}/msmarco/collection.tsv", "".join(f"{k}\t{v}\n" for k, v in FACTS.items()))
    text(f"{folder}/msmarco/queries.dev.small.tsv", "".join(f"{i}\t{q}\n" for i, q in queries))
    text(f"{folder}/msmarco/qrels.dev.small.tsv", "".join(f"{i}\t0\t{d}\t1\n" for i, d in judged))
    jsonl(f"{folder}/mkqa/corpus.jsonl", [{"_id": k, "text": v} for k, v in FACTS.items()])
    jsonl(f"{folder}/mkqa/en.jsonl", [{"id": 1, "question": "what moves the tides", "answers": ["Moon"]},
                                     {"id": 2, "question": "who danced", "answers": ["no one"]}])
    for kind in ("beir", "miracl", "mldr", "msmarco"):
        names = "ndcg@10,recall@100,mrr,map"
        rows = [json.loads(line) for line in
                run("eval", kind, f"{folder}/{kind}", "--table", "--json", "--measures", names,
                    "--run", f"{folder}/{kind}.trec").splitlines()]
        check([row["modes"] for row in rows] ==
              ["dense", "sparse", "multi", "dense,sparse", "dense,sparse,multi"], f"{kind}: rows")
        for row in rows:
            hits = read_run(f"{folder}/{kind}.{row['modes']}.trec")
            qrels = {i: {d: 1} for i, d in judged}
            # A document named as the query is left out by BEIR's rule alone.
            check(("moon" in hits.get("moon", {})) == (kind != "beir"), f"{kind}: equal ids")
            theirs = pytrec_eval.RelevanceEvaluator(qrels, TREC).evaluate(hits).values()
            for name in names.split(","):
                trec = NAMES.get(name)
                mean = sum(value[trec] for value in theirs) / len(qrels)
                check(abs(mean - row[name]) < 1e-6, f"{kind} {row['modes']} {name}: {mean:.4f}")
    row = json.loads(run("eval", "mkqa", f"{folder}/mkqa", "--json"))
    check(row["hit@20"] == .5 and row["hit@100"] == .5, "mkqa: one of two answers is found")
    one = json.loads(run("eval", "beir", f"{folder}/beir", "--modes", "dense,sparse,multi", "--json",
                         "--run", f"{folder}/one.trec", "--measures", "mrr,map"))
    check(open(f"{folder}/one.trec").read() == open(f"{folder}/beir.dense,sparse,multi.trec").read(),
          "a row alone and in a table: the same run")
    check(one["mrr"] > 0, "a row alone")


def runs(folder):
    qrels = {str(i): {"a": 1} for i in range(30)}
    better = {str(i): {"a": 2.0, "b": 1.0} for i in range(30)}
    worse = {str(i): {"a": 1.0, "b": 2.0 if i % 3 else 0.5} for i in range(30)}
    write_qrels(f"{folder}/qrels", qrels)
    write_run(f"{folder}/worse", worse)
    write_run(f"{folder}/better", better)
    row = json.loads(run("eval", "compare", f"{folder}/worse", f"{folder}/better",
                         f"{folder}/qrels", "--measures", "mrr", "--json"))
    check(row["better"] == 20 and row["worse"] == 0 and row["equal"] == 10 and row["p_t"] < 1e-6 and
          row["p_bootstrap"] < .001 and row["low"] > 0, f"compare: {row}")
    same = json.loads(run("eval", "compare", f"{folder}/worse", f"{folder}/worse",
                          f"{folder}/qrels", "--measures", "mrr", "--json"))
    check(same["difference"] == 0 and same["p_t"] == 1 and same["p_bootstrap"] == 1, "compare: itself")
    run("eval", "fuse", f"{folder}/fused", f"{folder}/worse", f"{folder}/better", "--weights", "1,3")
    fused = read_run(f"{folder}/fused")
    check(abs(fused["1"]["a"] - (1 / 62 + 3 / 61)) < 1e-6 and len(fused) == 30, "fuse")
    run("eval", "fuse", f"{folder}/fused", f"{folder}/worse", "--weights", "1,3", status=2)
    run("eval", "run", f"{folder}/nothing", f"{folder}/qrels", status=1)
    run("eval", "run", f"{folder}/worse", status=2)
    run("eval", "beir", f"{folder}/nothing", status=1)
    run("eval", "cheese", folder, status=2)


with tempfile.TemporaryDirectory() as place:
    random_runs(place)
    benchmarks(place)
    runs(place)
print("eval agrees")
