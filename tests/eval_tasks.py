#!/usr/bin/env python3
"""tercet eval sts, pairs, rerank, cluster and classify on tiny files: every form of a row, and every mistake in one.

usage: eval_tasks.py TERCET

tests/tasks_agree.py compares the figures with scikit-learn's.
"""
import gzip
import json
import subprocess
import sys
import tempfile

from served import check, random_model

TERCET = sys.argv[1]
TEXTS = ["the tide follows the moon", "bees dance", "salt was taxed in France", "ice floats",
         "a violin has four strings", "whales sing", "the moon moves the sea", "honey bees dance"]


def write(path, text):
    with (gzip.open if path.endswith(".gz") else open)(path, "wt") as out:
        out.write(text)
    return path


def jsonl(path, rows):
    return write(path, "".join(json.dumps(row) + "\n" for row in rows))


def tsv(path, rows):
    return write(path, "".join("\t".join(map(str, row)) + "\n" for row in rows))


def ask(*words):
    """One object of --json, without what differs from file to file."""
    done = subprocess.run([TERCET, "eval", *words, "--json"], capture_output=True, text=True)
    check(done.returncode == 0, f"eval {words[0]}: {done.stderr.strip()[:200]}")
    answer = json.loads(done.stdout)
    check(answer["task"] == words[0] and answer["precision"] == "f32", f"{words[0]}: what it was")
    del answer["file"]
    return answer


def same(what, answers):
    check(all(answer == answers[0] for answer in answers), f"{what}: {len(answers)} forms, one answer")
    return answers[0]


def refused(folder, task, text, why, status=1, others=(), first=()):
    path = write(f"{folder}/bad", text)
    done = subprocess.run([TERCET, "eval", task, *first, path, *others], capture_output=True, text=True)
    check(done.returncode == status and why in done.stderr and not done.stdout and
          (status == 2 or path in done.stderr), f"{task}: {done.stderr.strip()[:140]}")


def sts(folder, model):
    rows = [(TEXTS[i], TEXTS[(i * 3 + 1) % 8], i * 2 % 5 / 2) for i in range(8)]
    keys = ("sentence1", "sentence2", "score")
    objects = [dict(zip(keys, row)) for row in rows]
    answer = same("sts", [ask("sts", path, "-m", model) for path in (
        jsonl(f"{folder}/sts.jsonl", objects), jsonl(f"{folder}/sts.jsonl.gz", objects),
        tsv(f"{folder}/sts.tsv", rows), tsv(f"{folder}/named.tsv", [keys, *rows]),
        tsv(f"{folder}/other.tsv", [("id", "score", "sentence2", "sentence1")] +
            [(i, c, b, a) for i, (a, b, c) in enumerate(rows)]))])
    check(answer["pairs"] == 8 and -1 <= answer["spearman"] <= 1, "sts: figures")
    table = subprocess.run([TERCET, "eval", "sts", f"{folder}/sts.tsv", "-m", model],
                           capture_output=True, text=True).stdout
    check(f"spearman               {answer['spearman']:.4f}\n" in table, "sts: the table")
    told = ask("sts", f"{folder}/sts.tsv", "-m", model, "--instruction", "say: ")
    check(told["pearson"] != answer["pearson"], "sts: an instruction changes the vectors")
    score = '{"sentence1":"a","sentence2":"b","score":1}\n'
    refused(folder, "sts", "", "holds no row")
    refused(folder, "sts", "\n\n", "holds no row")
    refused(folder, "sts", score + '{"sentence1":"a","score":1}\n',
            ':2: "sentence2" must be a text, found nothing')
    refused(folder, "sts", '{"sentence1":1,"sentence2":"b","score":1}', 'found a number')
    refused(folder, "sts", '{"sentence1":"a","sentence2":"b","score":"x"}', '"score" must be a number')
    refused(folder, "sts", "a\tb\n", 'column 3, "score", is missing')
    refused(folder, "sts", "a\tb\tnan\n", ':1: "score" must be a number, found "nan"')
    refused(folder, "sts", score + "{", "bad:2: ")
    refused(folder, "sts", score + "[]", "bad:2: a row must be an object")
    refused(folder, "sts", score * 3, "all 3 pairs have the same score")
    refused(folder, "sts", score + '{"sentence1":"a","sentence2":"b","score":2}', "the same cosine",
            others=["-m", model])
    refused(folder, "sts", score, 'precision "f31"', status=2, others=["--precision", "f31"])
    refused(folder, "sts", score, "1 file is needed", status=2, others=["two"])
    missing(folder, "sts")


def missing(folder, task, *files):
    done = subprocess.run([TERCET, "eval", task, *files, f"{folder}/nothing"], capture_output=True,
                          text=True)
    check(done.returncode == 1 and "nothing" in done.stderr, f"{task}: {done.stderr.strip()[:140]}")


def pairs(folder, model):
    rows = [(TEXTS[i], TEXTS[(i * 5 + 2) % 8], int(i % 3 == 0)) for i in range(8)]
    first, second, labels = map(list, zip(*rows))
    one = [{"sentence1": a, "sentence2": b, "label": c} for a, b, c in rows]
    answer = same("pairs", [ask("pairs", path, "-m", model) for path in (
        jsonl(f"{folder}/pairs.jsonl", one),
        jsonl(f"{folder}/many.jsonl", [{"sentence1": first, "sentence2": second, "labels": labels}]),
        jsonl(f"{folder}/sent.jsonl", [{"sent1": first[:3], "sent2": second[:3], "labels": labels[:3]},
                                       {"sent1": first[3:], "sent2": second[3:], "labels": labels[3:]}]),
        jsonl(f"{folder}/true.jsonl", [{**row, "label": row["label"] == 1} for row in one]),
        tsv(f"{folder}/pairs.tsv", rows))])
    check(answer["pairs"] == 8 and answer["positive"] == 3 and 0 < answer["ap"] <= 1 and
          answer["ap_max"] >= answer["ap"] and answer["accuracy"] >= 4 / 8, "pairs: figures")
    pair = '{"sentence1":"a","sentence2":"b","label":%s}\n'
    refused(folder, "pairs", pair % 1 * 2, "all 2 pairs have the label 1")
    refused(folder, "pairs", pair % 0, "all 1 pairs have the label 0")
    refused(folder, "pairs", pair % 2, ':1: "labels" must be 0 or 1, found 2')
    refused(folder, "pairs", pair % '"yes"', '"labels" must be 0 or 1, found "yes"')
    refused(folder, "pairs", pair % "{}", "found an object")
    refused(folder, "pairs", '{"sentence1":"a","sentence2":"b"}', '"labels" must be 0 or 1, found nothing')
    refused(folder, "pairs", '{"sentence1":["a"],"sentence2":["b","c"],"labels":[1]}', "found 1, 2 and 1")
    refused(folder, "pairs", '{"sentence1":["a",7],"sentence2":["b","c"],"labels":[1,0]}',
            '"sentence1"[1] must be a text')
    refused(folder, "pairs", '{"sentence1":"a","sentence2":3,"label":0}', "a text or a list of texts")
    missing(folder, "pairs")


def rerank(folder, model):
    rows = [{"query": TEXTS[i], "positive": [TEXTS[(i + 6) % 8], TEXTS[i]],
             "negative": [TEXTS[(i + j) % 8] for j in (1, 2, 3)]} for i in range(4)]
    flat = [(row["query"], text, label) for row in rows
            for label, name in ((1, "positive"), (0, "negative")) for text in row[name]]
    answer = same("rerank", [ask("rerank", path, "-m", model) for path in (
        jsonl(f"{folder}/rerank.jsonl", rows), tsv(f"{folder}/rerank.tsv", flat),
        jsonl(f"{folder}/flat.jsonl", [dict(zip(("query", "text", "label"), row)) for row in flat]))])
    check(answer["queries"] == 4 and answer["documents"] == 20 and answer["mrr@10"] == 1,
          "rerank: a text is nearest to itself")
    dropped = ask("rerank", jsonl(f"{folder}/drop.jsonl", [*rows, {**rows[0], "positive": []},
                                                          {**rows[0], "negative": []}]), "-m", model)
    check(dropped["dropped"] == 2 and dropped["map"] == answer["map"], "rerank: what is left out")
    refused(folder, "rerank", '{"query":"a","positive":["b"],"negative":[]}', "none of the 1 queries")
    refused(folder, "rerank", '{"query":"a","negative":["b"]}', '"positive" must be a text or a list')
    refused(folder, "rerank", '{"query":"a","positive":["b"]}', '"negative" must be')
    refused(folder, "rerank", '{"query":["a"],"positive":["b"],"negative":["c"]}', '"query" must be a text')
    refused(folder, "rerank", '{"query":"a","text":"b","label":3}', '"label" must be 0 or 1, found 3')
    refused(folder, "rerank", "a\tb\n", 'column 3, "label", is missing')
    missing(folder, "rerank")


def cluster(folder, model):
    texts = [f"{text} {i}" for i in range(5) for text in TEXTS[:3]]
    names = ["sea", "bee", "tax"] * 5
    rows = [{"text": a, "label": b} for a, b in zip(texts, names)]
    numbers = [{"sentences": a, "labels": ["sea", "bee", "tax"].index(b)} for a, b in zip(texts, names)]
    answer = same("cluster", [ask("cluster", path, "-m", model, "--seed", "5") for path in (
        jsonl(f"{folder}/cluster.jsonl", rows), jsonl(f"{folder}/numbers.jsonl", numbers),
        jsonl(f"{folder}/split.jsonl.gz", [{"sentences": texts, "labels": names}]),
        tsv(f"{folder}/cluster.tsv", [(b, a) for a, b in [("text", "label"), *zip(texts, names)]]))])
    check(answer["splits"] == 1 and answer["texts"] == 15 and answer["labels"] == 3 and
          0 < answer["v_measure"] <= 1 and answer["v_measure_std"] == 0, "cluster: figures")
    two = ask("cluster", jsonl(f"{folder}/two.jsonl", [
        {"sentences": texts, "labels": names}, {"sentences": texts[:6], "labels": [1] * 6}]),
        "-m", model, "--seed", "5", "--runs", "3")
    v = two["v_measures"]
    check(two["splits"] == 2 and len(v) == 6 and v[0] == answer["v_measure"] and v[3:] == [1, 1, 1] and
          abs(two["v_measure"] - sum(v) / 6) < 1e-8, f"cluster: two splits, three runs of each: {v}")
    again = ask("cluster", f"{folder}/two.jsonl", "-m", model, "--seed", "5", "--runs", "3",
                "--threads", "1")
    check(again == two, "cluster: a seed gives the same figures")
    refused(folder, "cluster", '{"sentences":["a","b"],"labels":[1]}', "found 2 and 1")
    refused(folder, "cluster", '{"sentences":[],"labels":[]}', "at least one")
    refused(folder, "cluster", '{"sentences":["a"],"labels":1}', '"labels" must be a list')
    refused(folder, "cluster", '{"sentences":["a"],"labels":[[1,2]]}', '"labels" must be a label')
    refused(folder, "cluster", '{"text":"a"}', '"label" must be a label (a text or a number), found nothing')
    refused(folder, "cluster", '{"label":1}', '"sentences" must be a text or a list of texts, found nothing')
    refused(folder, "cluster", '{"text":"a","label":1}\n{"sentences":["a"],"labels":[1]}',
            ":2: a file has lists in every row or in none")
    refused(folder, "cluster", "a\n", 'column 2, "labels", is missing')
    refused(folder, "cluster", "", "--runs", status=2, others=["--runs", "0"])
    missing(folder, "cluster")


def classify(folder, model):
    names = ["sea", "bee", "tax"]
    rows = [(f"{TEXTS[i % 3]} {i}", names[i % 3]) for i in range(36)]
    train, test = rows[:24], rows[24:]
    def objects(some):
        return [{"text": a, "label": b} for a, b in some]
    files = [(jsonl(f"{folder}/train.jsonl", objects(train)), jsonl(f"{folder}/test.jsonl", objects(test))),
             (tsv(f"{folder}/train.tsv", train), tsv(f"{folder}/test.tsv", test)),
             (jsonl(f"{folder}/train.jsonl.gz", objects(train)), f"{folder}/test.tsv")]
    answer = same("classify", [ask("classify", *both, "-m", model, "--samples", "4") for both in files])
    check(answer["train"] == 24 and answer["test"] == 12 and answer["labels"] == 3 and
          answer["experiments"] == 10 and answer["samples_per_label"] == 4 and "ap" not in answer and
          abs(answer["accuracy"] - sum(answer["accuracies"]) / 10) < 1e-8 and
          max(answer["gradient_max"]) <= 1e-6 and answer["accuracy"] > .5, f"classify: {answer}")
    check(ask("classify", *files[0], "-m", model, "--samples", "4", "--threads", "1") == answer,
          "classify: a seed gives the same figures")
    more = ask("classify", *files[0], "-m", model, "--samples", "4", "--seed", "43",
               "--experiments", "3")
    check(more["accuracies"] == answer["accuracies"][1:4], "classify: an experiment has its own seed")
    # Whole numbers stand in their order: 10 is the second label and so the one that ap asks for.
    numbers = [{"text": a, "label": 10 if b == "sea" else 9} for a, b in rows]
    binary = ask("classify", jsonl(f"{folder}/a", numbers[:24]), jsonl(f"{folder}/b", numbers[24:]),
                 "-m", model)
    check(0 < binary["ap"] <= 1 and "ap_std" in binary, f"classify: two labels: {binary}")
    other = ask("classify", files[0][0], jsonl(f"{folder}/new", [{"text": "a", "label": "new"}]), "-m", model)
    check(other["labels"] == 4 and other["accuracy"] == 0 and other["f1"] == 0, "classify: an unknown label")
    train_file = files[0][0]
    row = '{"text":"a","label":"x"}\n'
    refused(folder, "classify", row * 2, "all 2 rows have the same label", others=[train_file])
    refused(folder, "classify", "", "holds no row", first=[train_file])
    refused(folder, "classify", row + '{"text":"a"}', ':2: "label" must be a label', first=[train_file])
    refused(folder, "classify", '{"label":1}', '"text" must be a text, found nothing', first=[train_file])
    refused(folder, "classify", '{"text":"a","label":[1]}', "found an array", first=[train_file])
    refused(folder, "classify", "a\n", 'column 2, "label", is missing', first=[train_file])
    refused(folder, "classify", row, "2 files are needed, found 1", status=2)
    refused(folder, "classify", row, "--samples", status=2, others=[train_file, "--samples", "0"])
    missing(folder, "classify", train_file)


def main():
    with tempfile.TemporaryDirectory() as folder:
        model = random_model(TERCET, "m3", f"{folder}/model")
        sts(folder, model)
        pairs(folder, model)
        rerank(folder, model)
        cluster(folder, model)
        classify(folder, model)
    print("eval tasks")


main()
