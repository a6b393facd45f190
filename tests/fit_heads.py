#!/usr/bin/env python3
"""tercet model fit-heads: a dense model becomes one of three modes. Losses fall, the same seed gives
the same bytes, the dense vectors stay, and what is wrong leaves nothing behind.

usage: fit_heads.py TERCET DOCS    DOCS: a folder of .md files, whose paragraphs are the texts
"""
import hashlib
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

from report_kit import data_of
from served import check, random_model, run

TERCET, DOCS = sys.argv[1], pathlib.Path(sys.argv[2])
STEPS, TEXTS = 100, 160


def paragraphs():
    texts = []
    for page in sorted(DOCS.glob("*.md")):
        heading = ""
        for block in page.read_text().split("\n\n"):
            if block.startswith("#"):
                heading = block.lstrip("# ").split("\n")[0]
            elif len(block) > 200 and not block.startswith(("|", "```")):
                texts.append({"title": heading, "text": re.sub(r"\s+", " ", block)})
    return texts[:TEXTS]


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def fit(*words, status=0):
    """stdout and the losses of each report on stderr: contrast, contrast, teacher, teacher."""
    done = subprocess.run([TERCET, "model", "fit-heads", *words], capture_output=True, text=True,
                          timeout=300)
    if done.returncode != status:
        print(done.stdout, done.stderr)
    check(done.returncode == status, f"fit-heads {' '.join(words[2:])[-60:]} exits {status}")
    losses = [[float(x) for x in re.findall(r"\d\.\d{3}", line)]
              for line in done.stderr.splitlines() if line.startswith("step")]
    return done.stdout, done.stderr, losses


def header(folder):
    data = (folder / "heads.safetensors").read_bytes()
    return json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]]), hashlib.sha256(data).hexdigest()


def encode(model, *modes):
    out = run(TERCET, "encode", "-m", str(model), *modes,
              stdin=json.dumps({"text": "Which lock is taken first?"}) + "\n")
    return json.loads(out)


with tempfile.TemporaryDirectory() as scratch:
    home = pathlib.Path(scratch)
    texts = paragraphs()
    check(len(texts) >= 60, f"{len(texts)} paragraphs to learn from")
    corpus = lines(home / "texts.jsonl", texts)
    whole = [f"{text['title']} {text['text']}" for text in texts]
    rows = [{"query": text["title"] + " " + str(i), "pos": [whole[i]], "neg": [whole[i - 1]]}
            for i, text in enumerate(texts[:24])]
    pairs = lines(home / "rows.jsonl", rows)

    # ---- three modes, learned ----
    out = home / "plain-name"
    said, _, losses = fit("bge-small-en-v1.5", str(out), "--pairs", pairs, "--texts", corpus,
                          "--steps", str(STEPS), "--batch", "8", "--json", "--dim", "64",
                          "--threads", "2")
    said = json.loads(said)
    check(said["texts"] == len(set(whole)), "each text counts once, in pairs and texts")
    check(said["queries_of_rows"] == 24 and said["queries"] > 24 + TEXTS // 2, "queries are made")
    check(len(losses) == STEPS // 50 and losses[-1][0] < losses[0][0] and
          losses[-1][1] < losses[0][1], f"contrasts fall: {losses[0][:2]} to {losses[-1][:2]}")
    check(abs(losses[-1][0] - said["colbert_contrast"]) < 1e-3, "the last losses are reported")
    info = json.loads(run(TERCET, "model", "info", str(out), "--json"))
    check(info["sparse_head"] and info["colbert_head"], "the folder opens with both heads")
    before, after = encode("bge-small-en-v1.5"), encode(out)
    check(after["dense"] == before["dense"], "dense vectors are what they were")
    check(len(after["sparse"]) > 2 and all(float(w) > 0 for w in after["sparse"].values()),
          "lexical weights come out")
    check({len(v) for v in after["multi"]} == {64}, "token vectors have 64 dimensions")
    check(len(after["multi"]) == len(before["multi"]), "one for each token as before")
    tensors, digest = header(out)
    note = tensors["__metadata__"]["tercet"]
    check("heads fitted on bge-small-en-v1.5 (fingerprint " in note and "seed 20" in note and
          scratch not in note, f"the file says what it is made of: {note[:60]}")
    check(tensors["colbert_linear.weight"]["shape"] == [64, 384] and
          tensors["sparse_linear.weight"]["shape"] == [1, 384], "BGE-M3's names and shapes")
    prompts = json.loads((out / "config_sentence_transformers.json").read_text())["prompts"]
    check(prompts["query"].startswith("Represent this sentence"), "the instruction stays under "
          "another name")
    query = [json.loads(run(TERCET, "encode", "-m", m, "--dense", "--query",
                            stdin='{"text":"locks"}\n'))["dense"]
             for m in ("bge-small-en-v1.5", str(out))]
    check(query[0] == query[1], "queries, too, are what they were")

    # ---- its scores are of other scales than BGE-M3's, and it says so ----
    check(info["fusion"] == "zscore" and
          json.loads((out / "tercet.json").read_text()) == {"fusion": "zscore"},
          "the model asks for z-scores")
    m3 = random_model(TERCET, "m3", str(home / "m3"))
    documents = lines(home / "documents.jsonl",
                      [{"id": str(i), **text} for i, text in enumerate(texts[:20])])
    for name, model, method in (("fitted", str(out), "zscore"), ("raw", m3, "weighted")):
        index = str(home / name)
        run(TERCET, "ingest", index, documents, "-m", model)
        check(json.loads(run(TERCET, "info", index, "--json"))["fusion"] == method,
              f"{name}: the index knows {method}")
        answer = json.loads(run(TERCET, "search", index, "Which lock is first?", "--json"))
        check(answer["fusion"] == method, f"and its searches take it: {answer['weights']}")
    # As with MLDR's published weights, which are BGE-M3's.
    (home / "mldr").mkdir()
    lines(home / "mldr" / "corpus.jsonl",
          [{"docid": str(i), "text": text["text"]} for i, text in enumerate(texts[:20])])
    lines(home / "mldr" / "test.jsonl", [{"query_id": "q", "query": "Which lock is first?",
                                          "positive_passages": [{"docid": "3"}]}])
    for model, fused in ((str(out), "zscore: dense 0.60, sparse 0.40"),
                         (m3, "weighted: dense 0.20, sparse 0.80")):
        run(TERCET, "eval", "mldr", str(home / "mldr"), "-m", model, "--modes", "dense,sparse",
            "--report", str(home / "report.html"))
        check(data_of(home / "report.html")["ways"][0]["fusion"] == fused, f"eval: {fused}")

    # ---- the same bytes ----
    small = ["--texts", corpus, "--pairs", pairs, "--steps", "6", "--batch", "6", "--dim", "32"]
    digests = []
    for name, more in (("a", ["--threads", "1"]), ("b", ["--threads", "3"]), ("c", ["--seed", "1"])):
        fit("bge-small-en-v1.5", str(home / name), *small, *more)
        digests.append(header(home / name)[1])
    check(digests[0] == digests[1], "one seed gives the same bytes on any number of threads")
    check(digests[0] != digests[2], "another seed others")

    # ---- heads are replaced, other shapes work ----
    fit(str(home / "a"), str(home / "again"), *small)
    tensors, _ = header(home / "again")
    check("heads fitted on a (" in tensors["__metadata__"]["tercet"] and
          tensors["colbert_linear.weight"]["shape"] == [32, 384], "a model's own heads make way")
    fit(m3, str(home / "m3-heads"), "--pairs", pairs, "--made", "0", "--steps", "2", "--dim", "16")
    check({len(v) for v in encode(home / "m3-heads")["multi"]} == {16}, "XLM-R's kind works, too")

    # ---- what is wrong ----
    bad = lines(home / "bad.jsonl", [rows[0]])
    with open(bad, "a") as more:
        more.write('{"query": 3}\n')
    gone = home / "gone"
    for words, says in (
        (["--pairs", bad], "bad.jsonl:2: "),
        (["--texts", pairs], "rows.jsonl:1: \"text\" must be a text"),
        (["--pairs", str(home / "none.jsonl")], "none.jsonl"),
        (["--texts", lines(home / "short.jsonl", [{"text": "Too short."}])], "no query"),
        (["--pairs", pairs, "--dim", "385"], "384 dimensions"),
    ):
        _, complaint, _ = fit("bge-small-en-v1.5", str(gone), *words, "--steps", "2", status=1)
        check(says in complaint, f"says {says}")
    few = lines(home / "few.jsonl", rows[1:2])
    for words, says in (
        ([], "few.jsonl: 2 different texts, and heads learn by telling at least 16 apart"),
        (["--batch", "1"], "at least 13 apart (the queries of a step, --batch 1"),
        (["--texts", lines(home / "some.jsonl", texts[2:12]), "--batch", "14"],
         "some.jsonl: 12 different texts, and heads learn by telling at least 14 apart"),
    ):
        _, complaint, losses = fit("bge-small-en-v1.5", str(gone), "--pairs", few, *words, status=1)
        check(says in complaint and "--texts FILE" in complaint and not losses, f"says {says}")
    fit("bge-small-en-v1.5", str(home / "least"), "--pairs", few, "--texts",
        lines(home / "least.jsonl", texts[2:13]), "--batch", "1", "--steps", "1")
    _, complaint, _ = fit("bge-small-en-v1.5", str(out), "--pairs", pairs, status=1)
    check("exists already" in complaint, "a folder that is there stays")
    fit("bge-small-en-v1.5", str(gone), status=2)
    check(not gone.exists() and not (home / "gone.part").exists(), "nothing is left behind")
