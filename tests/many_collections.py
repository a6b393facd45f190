#!/usr/bin/env python3
"""As many collections as a server may have (query/collections.h): made, written, searched, found
again behind a restart, and the one too many is refused.

usage: many_collections.py TERCET [COLLECTIONS]     (default: 1000, all that there may be)
"""
import sys
import tempfile
import time

from served import Server, check

TERCET = sys.argv[1]
COLLECTIONS_N = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
LIMIT = 1000
AGAIN_N = 20


def fill(server, i):
    name = f"/v1/collections/c{i}"
    made = server.ask("PUT", name, {"model": None, "dense_dim": 2})
    if made.status != 201:
        return made.body
    kept = server.ask("POST", name + "/documents",
                      [{"id": "a", "text": f"number {i}", "dense": [1, i]}])
    return kept.body if kept.status != 200 or kept.json()["stored"] != 1 else None


def finds(server, i):
    hits = server.ask("POST", f"/v1/collections/c{i}/search", {"query": "number"}).json()["hits"]
    return [hit["text"] for hit in hits] == [f"number {i}"]


with tempfile.TemporaryDirectory() as folder:
    with Server(TERCET, folder) as server:
        wrong = [(i, what) for i in range(COLLECTIONS_N) if (what := fill(server, i))]
        check(not wrong, f"{COLLECTIONS_N} collections are made and written {wrong[:2]}")
        if COLLECTIONS_N == LIMIT:
            over = server.ask("PUT", "/v1/collections/over", {"model": None, "dense_dim": 2})
            check(over.status >= 400 and str(LIMIT) in over.json()["error"]["message"],
                  f"one more is refused: {over.status} {over.json()['error']['message'][-60:]}")
        check(all(finds(server, i) for i in range(COLLECTIONS_N)), "each finds its own document")
        gone = [server.ask("DELETE", f"/v1/collections/c{i}").status for i in range(AGAIN_N)]
        wrong = [(i, what) for i in range(COLLECTIONS_N, COLLECTIONS_N + AGAIN_N)
                 if (what := fill(server, i))]
        check(gone == [200] * AGAIN_N and not wrong, f"others come for those that go {wrong[:2]}")
        check(server.ask("GET", "/health").status == 200, "the server is well")
    began = time.monotonic()
    with Server(TERCET, folder) as server:
        took = time.monotonic() - began
        names = server.ask("GET", "/v1/collections").json()["collections"]
        check(len(names) == COLLECTIONS_N, f"all are there again, {took:.1f} s behind the start")
        check(all(finds(server, i) for i in range(AGAIN_N, COLLECTIONS_N, 37)), "and find")
        with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
            held = {line.split(":")[0]: line.split()[1] for line in status if line.startswith("Rss")}
        print(f"memory of its own: {int(held['RssAnon']) / 1024:.0f} MB")
