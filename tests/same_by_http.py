#!/usr/bin/env python3
"""Documents by file and by HTTP, whole, in batches and as a stream: the same export, to the byte.

usage: same_by_http.py TERCET [CORPUS.jsonl]    without a corpus: made here
"""
import http.client
import json
import random
import subprocess
import sys
import tempfile
import urllib.parse

from served import Server, check, run

TERCET = sys.argv[1]
BATCH = 100


def made():
    pick = random.Random(5)
    words = "tide moon salt yeast bow string glacier page disk bridge violin tea".split()
    return [json.dumps({"_id": f"d{i}", "title": " ".join(pick.choices(words, k=3)),
                        "text": " ".join(pick.choices(words, k=pick.randint(4, 90))),
                        "metadata": {"n": i}}) for i in range(600)]


def send(server, name, body, headers):
    """One request, in pieces where there is no Content-Length."""
    address = urllib.parse.urlsplit(server.url)
    client = http.client.HTTPConnection(address.hostname, address.port, timeout=3600)
    client.request("POST", f"/v1/collections/{name}/documents", body=body, headers=headers,
                   encode_chunked="Transfer-Encoding" in headers)
    answer = json.loads(client.getresponse().read())
    client.close()
    return answer.get("stored", 0), answer.get("failed", answer)


def export(folder, data, name):
    path = f"{folder}/{name}.jsonl"
    with open(path, "wb") as out:
        done = subprocess.run([TERCET, "export", f"{data}/{name}"], stdout=out)
    check(done.returncode == 0, f"export of {name}")
    with open(path, "rb") as file:
        return file.read()


with tempfile.TemporaryDirectory() as folder:
    data = folder + "/data"
    if len(sys.argv) > 2:
        with open(sys.argv[2]) as file:
            rows = [line.strip() for line in file if line.strip()]
    else:
        rows = made()
    with open(folder + "/corpus.jsonl", "w") as file:
        file.write("\n".join(rows) + "\n")
    run(TERCET, "ingest", f"{data}/file", folder + "/corpus.jsonl")
    with Server(TERCET, data) as server:
        stored = [send(server, "batches", f"[{','.join(rows[i:i + BATCH])}]".encode(),
                       {"Content-Type": "application/json"}) for i in range(0, len(rows), BATCH)]
        check(sum(n for n, _ in stored) == len(rows), f"{len(rows)} documents in arrays of {BATCH}")
        n, failed = send(server, "stream", ((row + "\n").encode() for row in rows),
                         {"Content-Type": "application/x-ndjson", "Transfer-Encoding": "chunked"})
        check(n == len(rows) and failed == 0, "and as a stream")
        server.stop()
    by_file = export(folder, data, "file")
    check(by_file.count(b"\n") == len(rows), f"{len(by_file)} bytes by file")
    for name in ("batches", "stream"):
        check(export(folder, data, name) == by_file, f"{name}: the same export, to the byte")
print("the same")
