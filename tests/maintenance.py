#!/usr/bin/env python3
"""What keeps an index well, as a user types it. Standard library only.

usage: maintenance.py TERCET FACTS.jsonl

Prints what it checks; exits 1 at the first thing that does not hold.
"""
import base64
import json
import os
import subprocess
import sys
import tempfile

TERCET, FACTS = sys.argv[1], sys.argv[2]
QUERIES = ["why does the sea rise and fall every day", "how do plants make sugar from light",
           "data structure for disk pages", "instrument played with a bow"]


def check(condition, what):
    print(("ok    " if condition else "FAILED ") + what, flush=True)
    if not condition:
        sys.exit(1)


def tercet(*words, status=0):
    done = subprocess.run([TERCET, *words], capture_output=True, text=True, timeout=300)
    if done.returncode != status:
        print(done.stdout, done.stderr)
    check(done.returncode == status, f"tercet {' '.join(words)[:70]} exits {status}")
    return done


def answers(index):
    """Ids and scores of every query; the time taken left out."""
    found = []
    for query in QUERIES:
        answer = json.loads(tercet("search", index, query, "--json").stdout)
        found.append([(hit["id"], hit["score"]) for hit in answer["hits"]])
    return found


def unordered(line):
    """A row whatever the order of its terms."""
    return json.dumps(json.loads(line), sort_keys=True)


def check_delete(index):
    before = json.loads(tercet("info", index, "--json").stdout)["documents"]
    check(answers(index)[0][0][0] == "tides", "the tides answer")
    gone = json.loads(tercet("delete", index, "tides", "nobody", "--json").stdout)
    check(gone == {"deleted": 1, "missing": ["nobody"]}, "one was there, one was not")
    check("tides" not in [key for key, _ in answers(index)[0]], "a deleted document is not found")
    check(json.loads(tercet("info", index, "--json").stdout)["documents"] == before - 1,
          "and not counted")
    tercet("delete", index, status=2)
    tercet("delete", index + "-none", "tides", status=1)


def check_delete_by_filter(index):
    before = json.loads(tercet("info", index, "--json").stdout)["documents"]
    music = '{"topic":"music"}'
    counted = json.loads(tercet("delete", index, "--filter", music, "--dry-run", "--json").stdout)
    check(counted["would_delete"] > 0, "a dry run counts")
    check(json.loads(tercet("info", index, "--json").stdout)["documents"] == before,
          "and deletes nothing")
    gone = json.loads(tercet("delete", index, "--filter", music, "--json").stdout)
    check(gone == {"deleted": counted["would_delete"]}, "as many are deleted")
    check("violin" not in [key for one in answers(index) for key, _ in one], "and not found")
    check(json.loads(tercet("info", index, "--json").stdout)["documents"] ==
          before - gone["deleted"], "nor counted")
    check("deleted 0" in tercet("delete", index, "--filter", music).stdout, "none is left")
    refused = tercet("delete", index, "--filter", "{}", status=2)
    check("--all" in refused.stderr, "an empty filter asks for --all")
    refused = tercet("delete", index, "--filter", '{"year":{"$is":1}}', status=2)
    check("filter.year.$is" in refused.stderr, "a mistake is named with its place")
    tercet("delete", index, "tides", "--filter", music, status=2)
    tercet("delete", index, "tides", "--dry-run", status=2)
    tercet("delete", index, "--all")
    check(json.loads(tercet("info", index, "--json").stdout)["documents"] == 0, "--all is all")
    check("sound" in tercet("check", index).stdout, "and it is sound")
    tercet("ingest", index, FACTS)
    tercet("delete", index, "tides")


def check_check(index):
    report = json.loads(tercet("check", index, "--json").stdout)
    documents = json.loads(tercet("info", index, "--json").stdout)["documents"]
    check(report["sound"] and report["problems"] == [] and report["documents"] == documents,
          "a sound index is sound")
    data = os.path.join(index, "data.mdb")
    with open(data, "rb") as file:
        whole = file.read()
    with open(data, "r+b") as file:
        file.truncate(len(whole) // 2)
    check("cut short" in tercet("check", index, status=1).stderr, "a file cut short is told")
    with open(data, "wb") as file:
        file.write(b"x" * len(whole))
    check("LMDB" in tercet("check", index, status=1).stderr, "a file of something else is told")
    tercet("search", index, "x", status=1)
    with open(data, "wb") as file:
        file.write(whole)
    check("sound" in tercet("check", index).stdout, "and the file as it was is sound")
    tercet("check", status=2)
    tercet("check", index + "-none", status=1)


def flip(path, after, offset):
    """Flips a bit of every copy of what follows some bytes."""
    with open(path, "rb") as file:
        whole = bytearray(file.read())
    at = whole.find(after)
    check(at > 0, f"{after} is in the file")
    while at >= 0:
        whole[at + len(after) + offset] ^= 4
        at = whole.find(after, at + 1)
    with open(path, "wb") as file:
        file.write(whole)


def check_repair(index, folder):
    copy = os.path.join(folder, "damaged")
    tercet("snapshot", index, copy)
    before = answers(copy)
    check("sound" in tercet("check", copy, "--repair").stdout, "what is sound needs no repair")
    flip(os.path.join(copy, "data.mdb"), b"btree", 0)  # its key's value, and its record
    found = json.loads(tercet("check", copy, "--json", status=1).stdout)
    check(not found["sound"] and found["problems_n"] > 0, "damage is told")
    done = json.loads(tercet("check", copy, "--repair", "--json", status=1).stdout)
    check(done["sound"] and done["documents_lost"] == 1 and len(done["lost"]) == 1 and
          "checksum" in done["lost"][0], f"what is lost is named: {done['lost']}")
    check("sound" in tercet("check", copy).stdout, "and it is sound")
    check([key for key, _ in answers(copy)[0]] ==
          [key for key, _ in before[0] if key != "btree"], "the others are found")
    tercet("ingest", copy, FACTS)
    check("btree" in [key for key, _ in answers(copy)[2]], "and the lost one can come back")


def check_compact(index):
    before = answers(index)
    for _ in range(3):  # something to reclaim
        tercet("delete", index, "violin")
        tercet("ingest", index, FACTS)
    done = json.loads(tercet("compact", index, "--json").stdout)
    check(done["dead_reclaimed"] > 0 and done["bytes_after"] < done["bytes_before"],
          f"compacted from {done['bytes_before']} to {done['bytes_after']} bytes")
    tercet("delete", index, "tides")
    check(sorted(map(str, answers(index))) == sorted(map(str, before)), "the answers stay")
    check("sound" in tercet("check", index).stdout, "and it is sound")
    tercet("compact", status=2)
    tercet("compact", index + "-none", status=1)


def check_snapshot(index, folder):
    copy = os.path.join(folder, "copy")
    before = answers(index)
    made = json.loads(tercet("snapshot", index, copy, "--json").stdout)
    check(made["documents"] == json.loads(tercet("info", index, "--json").stdout)["documents"],
          "a snapshot holds every document")
    check(answers(copy) == before, "and answers as the index does")
    again = json.loads(tercet("snapshot", index, copy, "--json").stdout)
    check(again["changed"] == 0, "nothing changed, nothing is written")
    stranger = os.path.join(folder, "stranger")
    tercet("ingest", stranger, FACTS)
    tercet("ingest", stranger, FACTS)
    tercet("delete", stranger, "bread")
    refused = tercet("snapshot", stranger, copy, status=1)
    check("--force" in refused.stderr, "another index does not give way to a snapshot")
    tercet("delete", index, "violin")
    again = json.loads(tercet("snapshot", index, copy, "--json").stdout)
    check(again["changed"] > 0 and answers(copy) == answers(index), "an older snapshot is updated")
    check("sound" in tercet("check", copy).stdout, "and is sound")
    before = answers(copy)
    tercet("delete", index, "btree")
    check(answers(index) != before, "the index moves on")
    refused = tercet("restore", index, copy, status=1)
    check("--force" in refused.stderr, "a restore over an index asks for --force")
    tercet("restore", index, copy, "--force")
    check(answers(index) == before, "restored")
    tercet("restore", os.path.join(folder, "new"), copy)
    check(answers(os.path.join(folder, "new")) == before, "restored as a new index")
    with open(os.path.join(copy, "data.mdb"), "r+b") as file:
        file.seek(3 * 4096)
        file.write(b"damaged page head" * 3)
    refused = tercet("restore", index, copy, "--force", status=1)
    check("damaged" in refused.stderr and answers(index) == before,
          "a damaged snapshot is not restored")
    tercet("snapshot", index, status=2)
    tercet("restore", index, os.path.join(folder, "none"), "--force", status=1)


def check_export(index, folder):
    lines = tercet("export", index).stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    info = json.loads(tercet("info", index, "--json").stdout)
    check(len(rows) == info["documents"], "a line for every document")
    check(all(len(row["dense"]) == info["dense_dim"] and row["sparse"]["terms"] and
              len(base64.b64decode(row["multi"])) > info["multi_dim"] / 2 for row in rows),
          "with its representations")
    readable = [json.loads(line) for line in tercet("export", index, "--vectors").stdout.splitlines()]
    check(all(len(vector) == info["multi_dim"] for row in readable for vector in row["multi"]),
          "token vectors as numbers where they are asked for")
    path = os.path.join(folder, "export.jsonl")
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")
    again = os.path.join(folder, "again")
    events = tercet("ingest", again, path, "--json").stdout.splitlines()
    done = json.loads(events[-1])
    check(done["stored"] == len(rows) and done["tokens"] == 0, "ingested without computing a vector")
    check(all([key for key, _ in one] == [key for key, _ in other] and
              all(abs(a - b) < 1e-5 for (_, a), (_, b) in zip(one, other))
              for one, other in zip(answers(again), answers(index))), "which answers the same")
    check(list(map(unordered, tercet("export", again).stdout.splitlines())) ==
          list(map(unordered, lines)), "and exports the same")
    check("sound" in tercet("check", again).stdout, "and is sound")
    bad = dict(rows[0], dense=rows[0]["dense"][:-1])
    with open(path, "w") as file:
        file.write(json.dumps(bad) + "\n")
    refused = tercet("ingest", again, path, status=1)
    check("export.jsonl:1" in refused.stderr and "dense" in refused.stderr,
          "a vector of another width is told")
    tercet("export", status=2)
    tercet("export", index + "-none", status=1)


def main():
    with tempfile.TemporaryDirectory() as folder:
        index = os.path.join(folder, "facts")
        tercet("ingest", index, FACTS)
        check_delete(index)
        check_delete_by_filter(index)
        check_check(index)
        check_repair(index, folder)
        check_compact(index)
        check_snapshot(index, folder)
        check_export(index, folder)
    print("1 passed, 0 failed")


main()
