#!/usr/bin/env python3
"""Indexes as earlier releases wrote them are read by this one: the format is frozen by small ones
that are kept as text (tests/frozen/index-VERSION.txt: a tar of two indexes, their exports and some
answers; xz, base64).

usage: frozen_index.py TERCET FROZEN...
       frozen_index.py TERCET --freeze > tests/frozen/index-VERSION.txt

Of each: `check` is content, the export is the same to the byte, searches in every mode find the same
with the same scores, and it can be written to, compacted and copied.
"""
import base64
import io
import json
import lzma
import os
import random
import sys
import tarfile
import tempfile

from served import check, run

TERCET = os.path.abspath(sys.argv[1])
WORDS = "moon tide sea ship bread yeast oven flour salt star wind sail harbour light".split()
TOLERANCE = 1e-6  # scores are the same but for the order in which a processor adds


def search(index, name, *options):
    """[(id, score)] of a request that lies beside the indexes."""
    answer = json.loads(run(TERCET, "search", index, "--vectors", name, "--json", "-k", "5",
                            *options))
    return [[hit["id"], hit["score"]] for hit in answer["hits"]]


# ---- making one ----

def vector(dice, n):
    """Few different numbers: they pack well, and a sum of their squares is near 1."""
    return [dice.choice((-1, 1)) / n ** .5 for _ in range(n)]


def plain_row(dice, i):
    return {"id": f"d{i}", "title": dice.choice(WORDS), "text": " ".join(dice.choices(WORDS, k=9)),
            "dense": vector(dice, 16), "multi": [vector(dice, 8) for _ in range(2)],
            "fields": {"n": i, "half": i / 2, "even": i % 2 == 0, "kind": dice.choice("abc"),
                       "tags": dice.sample(WORDS, 2), "none": None}}


def chunked_row(dice, i):
    text = "The moon. The tide."
    return {"id": f"c{i}", "text": text, "passages": [
        {"begin": 0, "end": 9, "dense": vector(dice, 4)},
        {"begin": 10, "end": 19, "dense": vector(dice, 4)}],
        "sparse": {"terms": {str(dice.randrange(50)): dice.choice((.5, 1.25)) for _ in range(4)}}}


QUERIES = (("plain", "dense", ()), ("plain", "sparse", ()), ("plain", "multi", ()),
           ("plain", "all", ("--filter", '{"kind":"a","n":{"$lt":40}}')), ("chunked", "both", ()))


def make_vectors(dice):
    plain = {"dense": vector(dice, 16), "sparse": {"tide": 1, "moon": 1},
             "multi": [vector(dice, 8) for _ in range(3)]}
    return {"dense": {"dense": plain["dense"]}, "sparse": {"sparse": plain["sparse"]},
            "multi": {"dense": plain["dense"], "multi": plain["multi"]}, "all": plain,
            "both": {"dense": vector(dice, 4), "sparse": {"7": 1, "11": .5, "30": 2}}}


def ingest(index, rows, *options):
    run(TERCET, "ingest", index, "-", *options, stdin="".join(json.dumps(row) + "\n"
                                                              for row in rows))


def freeze():
    dice = random.Random(4)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        rows = [plain_row(dice, i) for i in range(48)]
        ingest("plain", rows[:32], "--model", "none")
        ingest("plain", rows[32:] + [plain_row(dice, 3)])  # another segment, one replaced
        run(TERCET, "delete", "plain", "d5", "d9")
        ingest("chunked", [chunked_row(dice, i) for i in range(12)], "--model", "none",
               "--chunk-tokens", "8")
        for name, vectors in make_vectors(dice).items():
            with open(f"{name}.json", "w", encoding="utf-8") as file:
                json.dump(vectors, file)
        for index in ("plain", "chunked"):
            with open(f"{index}.jsonl", "w", encoding="utf-8") as file:
                file.write(run(TERCET, "export", index))
        with open("answers.json", "w", encoding="utf-8") as file:
            json.dump([search(index, f"{name}.json", *options)
                       for index, name, options in QUERIES], file)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for where, folders, names in os.walk("."):
                folders.sort()
                for name in sorted(names):
                    if "lock" not in name:
                        info = tar.gettarinfo(os.path.join(where, name))
                        info.mtime = info.uid = info.gid = 0
                        info.uname = info.gname = ""
                        with open(os.path.join(where, name), "rb") as file:
                            tar.addfile(info, file)
    return base64.encodebytes(lzma.compress(packed.getvalue(), preset=9)).decode()


# ---- reading one ----

def is_the_same(index, name, options, before):
    now = search(index, f"{name}.json", *options)
    check([hit[0] for hit in now] == [hit[0] for hit in before] and
          all(abs(a[1] - b[1]) <= TOLERANCE for a, b in zip(now, before)) and now,
          f"{index}, {name}: {len(now)} hits as they were")


def can_be_written(index, export):
    row = json.loads(export.splitlines()[0])
    ingest(index, [dict(row, id="new")])
    run(TERCET, "delete", index, "new")
    run(TERCET, "compact", index)
    check(run(TERCET, "export", index) == export, f"{index}: a row in and out again, and compacted")
    run(TERCET, "snapshot", index, f"{index}.copy")
    check(run(TERCET, "export", f"{index}.copy") == export, f"{index}: a copy of it")


def read(path):
    with open(path, encoding="ascii") as file:
        packed = lzma.decompress(base64.b64decode(file.read()))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            tar.extractall(folder)
        with open("answers.json", encoding="utf-8") as file:
            answers = json.load(file)
        check(len(answers) == len(QUERIES), f"{os.path.basename(path)} has its answers")
        for index in ("plain", "chunked"):
            run(TERCET, "check", index)
            with open(f"{index}.jsonl", encoding="utf-8") as file:
                export = file.read()
            check(run(TERCET, "export", index) == export, f"{index}: the export, to the byte")
        for (index, name, options), before in zip(QUERIES, answers):
            is_the_same(index, name, options, before)
        for index in ("plain", "chunked"):
            with open(f"{index}.jsonl", encoding="utf-8") as file:
                can_be_written(index, file.read())
        os.chdir("/")


if sys.argv[2:] == ["--freeze"]:
    quiet, sys.stdout = sys.stdout, sys.stderr
    text = freeze()
    quiet.write(text)
else:
    for one in map(os.path.abspath, sys.argv[2:]):
        read(one)
    check(len(sys.argv) > 2, "there was one")
