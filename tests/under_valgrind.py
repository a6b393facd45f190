#!/usr/bin/env python3
"""One index from its first document to its copy, and a server's answers, under valgrind's memcheck:
values that nobody set, reads and writes beside what was allocated, what is lost.

usage: under_valgrind.py TERCET

Some minutes. Sanitizers do not see unset values; valgrind runs the AVX2 kernels at most.
"""
import http.client
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from served import SKIP, check, run

TERCET = sys.argv[1]
VALGRIND = ("valgrind", "--quiet", "--error-exitcode=9", "--leak-check=full",
            "--errors-for-leak-kinds=definite,indirect")
ROWS = [{"id": f"d{i}", "title": f"Number {i}", "text": text, "fields": {"n": i}} for i, text in
        enumerate(("The moon pulls the tides of the sea.", "Bread rises by yeast.",
                   "A light for ships.", "Salt of the sea."))]

if not shutil.which("valgrind"):
    print("valgrind is missing (apt-get install valgrind)")
    sys.exit(SKIP)


def memcheck(*words, stdin=""):
    done = subprocess.run([*VALGRIND, TERCET, *words], input=stdin, capture_output=True, text=True,
                          timeout=600)
    check(done.returncode == 0, f"tercet {words[0]}: {done.stderr[-600:] if done.returncode else ''}")


def serve(data):
    server = subprocess.Popen([*VALGRIND, TERCET, "serve", "--data", data, "--listen",
                               "127.0.0.1:0", "--model", f"{data}/../model"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    address = None
    said = []
    for line in server.stdout:
        said.append(line)
        address = re.search(r"http://([\d.]+):(\d+)", line)
        if address:
            break
    check(address, f"a server under valgrind: {''.join(said)[-300:]}")
    return server, http.client.HTTPConnection(address.group(1), int(address.group(2)), timeout=120)


def ask(client, method, path, body=None):
    client.request(method, path, body and json.dumps(body),
                   {"Content-Type": "application/json", "Host": "localhost"})
    answer = client.getresponse()
    answer.read()
    return answer.status


with tempfile.TemporaryDirectory() as folder:
    model, index = f"{folder}/model", f"{folder}/data/one"
    run(TERCET, "model", "random", "small", model, "--layers", "1")
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    memcheck("ingest", index, "-", "--model", model, "--max-length", "32",
             "--threads", "2", stdin=lines)
    for words in (("search", index, "tides", "--explain", "--highlight", "--filter", '{"n":{"$lt":3}}'),
                  ("search", index, "--like", "d1"), ("check", index), ("export", index),
                  ("delete", index, "d2"), ("compact", index), ("info", index),
                  ("snapshot", index, f"{folder}/copy")):
        memcheck(*words)
    server, client = serve(f"{folder}/data")
    for method, path, body, status in (
            ("GET", "/health", None, 200), ("GET", "/v1/collections/one", None, 200),
            ("POST", "/v1/collections/one/search", {"query": "sea", "facets": ["n"]}, 200),
            ("POST", "/v1/collections/one/search", {"query": 5}, 400),
            ("POST", "/v1/collections/two/documents", ROWS, 200),
            ("POST", "/v1/encode", {"texts": ["moon"]}, 200),
            ("DELETE", "/v1/collections/two", None, 200), ("GET", "/metrics", None, 200)):
        got = ask(client, method, path, body)
        check(got == status, f"{method} {path} {got}")
    client.close()
    server.send_signal(signal.SIGTERM)
    rest = server.communicate(timeout=120)[0]
    check(server.returncode == 0, f"the server ends clean: {rest[-600:]}")
