#!/usr/bin/env python3
"""Documents as a stream: of any length at bounded memory, cut off anywhere, others in between.

usage: streaming.py TERCET [MEGABYTES [RSS_MEGABYTES_MAX]]

Sends MEGABYTES (default 48) of generated lines; what the server holds beside its mapped files may
grow by RSS_MEGABYTES_MAX (default: not asked; a sanitizer keeps what was freed).
"""
import gzip
import http.client
import json
import os
import random
import socket
import sys
import tempfile
import threading
import time

from served import Server, check, run

TERCET = sys.argv[1]
MEGABYTES = int(sys.argv[2]) if len(sys.argv) > 2 else 48
RSS_MEGABYTES_MAX = int(sys.argv[3]) if len(sys.argv) > 3 else None
DOCUMENTS = "/v1/collections/c/documents"
NDJSON = {"Content-Type": "application/x-ndjson"}
TEXT_BYTES = 16_000
WORDS = " ".join(random.Random(7).choices(
    ["sea", "moon", "tide", "disk", "page", "tax", "salt", "river", "north", "engine"], k=20_000))


def connect(server):
    host, port = server.url.split("//")[1].split(":")
    return http.client.HTTPConnection(host, int(port), timeout=300)


def line(name, i, words=TEXT_BYTES):
    at = i * 37 % (len(WORDS) - TEXT_BYTES)
    return json.dumps({"id": f"{name}{i}", "text": f"{name} {i} " + WORDS[at:at + words]}) + "\n"


def send(server, body, path=DOCUMENTS, headers=NDJSON):
    """body: bytes or an iterator of them, which is sent in chunks."""
    connection = connect(server)
    connection.request("POST", path, body, headers, encode_chunked=not isinstance(body, bytes))
    answer = connection.getresponse()
    answer = answer.status, json.loads(answer.read())
    connection.close()
    return answer


def held_mb(server):
    """Memory that is not a mapped file's."""
    with open(f"/proc/{server.process.pid}/status") as status:
        for each in status:
            if each.startswith("RssAnon:"):
                return int(each.split()[1]) / 1024
    return 0


def documents_n(server):
    answer = server.ask("GET", "/v1/collections/c")
    return answer.json()["documents"] if answer.status == 200 else 0


def finds(server, key):
    return server.ask("GET", f"{DOCUMENTS}/{key}").status == 200


def check_answers(server):
    """What is short is answered as any body; what is long with the same members."""
    rows = [line("a", i, 300) for i in range(3)]
    rows.insert(1, "{broken\n")
    status, short = send(server, "".join(rows).encode())
    check(status == 200 and (short["stored"], short["failed"]) == (3, 1) and
          [row["status"] for row in short["rows"]] == ["stored", "failed", "stored", "stored"] and
          "line 2" in short["rows"][1]["error"], "a short body: a verdict a row")
    rows = [line("b", i, 300) for i in range(3000)]
    rows[1500] = '{"id":"no text"}\n'
    rows[2900] = "[]\n"
    chunks = [row.encode() for row in rows]
    status, long = send(server, iter(chunks), DOCUMENTS + "?wait=searchable")
    verdicts = long.pop("rows")
    check(status == 200 and long == {"stored": 2998, "unchanged": 0, "failed": 2,
                                     "rows_left_out": 0}, "a long body: counts")
    check([v["status"] for v in verdicts] ==
          ["failed" if i in (1500, 2900) else "stored" for i in range(3000)] and
          verdicts[1500]["line"] == 1501 and verdicts[2900]["line"] == 2901 and
          verdicts[17]["id"] == "b17", "and a verdict a row, with the lines of those that failed")
    check(finds(server, "b2999"), "what was answered is found at once")
    status, again = send(server, iter(chunks))
    check((again["stored"], again["unchanged"]) == (0, 2998), "sent again, nothing changes")
    array = json.dumps([json.loads(line("d", i)) for i in range(100)]).encode()
    status, answer = send(server, iter([array[:700_000], array[700_000:]]),
                          headers={"Content-Type": "application/json"})
    check(status == 200 and answer["stored"] == 100, "an array in chunks")
    packed = gzip.compress("".join(rows).replace('"b', '"p').encode())
    status, answer = send(server, iter([packed[:100], packed[100:]]),
                          headers={**NDJSON, "Content-Encoding": "gzip"})
    check(status == 200 and answer["stored"] == 2998 and len(answer["rows"]) == 3000,
          f"a packed stream: 3,000 rows in {len(packed)} bytes")
    status, answer = send(server, line("e", 1).encode(), DOCUMENTS + "?wait=never")
    check(status == 400 and answer["error"]["field"] == "wait", "?wait=never is refused")
    status, answer = send(server, iter([b"\n" * 400_000]))
    check(status == 400 and "no document" in answer["error"]["message"], "nothing but line ends")
    server.ask("DELETE", "/v1/collections/c")


def check_many_verdicts(server):
    """More verdicts than are kept: those that failed, the first thousand of them."""
    def rows():
        for i in range(0, 200_000, 100):
            yield "".join(f'{{"id":"bad {j} {"x" * 40}"}}\n' for j in range(i, i + 100)).encode()
        yield line("f", 1).encode()
    status, answer = send(server, rows())
    check(status == 200 and answer["failed"] == 200_000 and answer["stored"] == 1 and
          len(answer["rows"]) == 1000 and answer["rows_left_out"] == 199_001 and
          answer["rows"][999]["line"] == 1000, "200,000 bad rows: the first thousand are told")
    server.ask("DELETE", "/v1/collections/c")


def check_cut_off(server):
    """What was committed stays and is whole; the rest is not there."""
    connection = socket.create_connection(connect(server).sock or
                                          (connect(server).host, connect(server).port))
    connection.sendall(f"POST {DOCUMENTS} HTTP/1.1\r\nHost: localhost\r\n"
                       "Content-Type: application/x-ndjson\r\nContent-Length: 99999999\r\n\r\n"
                       .encode())
    body = b"".join(line("g", i).encode() for i in range(100))
    connection.sendall(body[:-500])
    until = time.monotonic() + 60
    while documents_n(server) < 99 and time.monotonic() < until:
        time.sleep(0.05)
    check(documents_n(server) == 99, "whole lines of an upload that stands still are found")
    check(send(server, line("h", 1).encode())[1]["stored"] == 1 and
          server.ask("DELETE", f"{DOCUMENTS}/h1").status == 200,
          "others write while it stands still")
    connection.close()
    time.sleep(0.3)
    check(documents_n(server) == 99 and finds(server, "g98") and not finds(server, "g99"),
          "cut off: what came whole stays, the rest is not there")
    server.ask("DELETE", "/v1/collections/c")


def check_long(server):
    """Memory while it runs, and others' writes in between."""
    rows_n, sent = MEGABYTES * 1_000_000 // TEXT_BYTES, 0
    server.post(DOCUMENTS, [json.loads(line("w", i)) for i in range(40)])  # warm
    before = peak = held_mb(server)
    others, done = [], threading.Event()

    def write_others():
        while not done.wait(1):
            began = time.monotonic()
            status, _ = send(server, line("o", len(others)).encode())
            others.append((status, time.monotonic() - began))

    def rows():
        nonlocal peak, sent
        for i in range(rows_n):
            row = line("l", i).encode()
            sent += len(row)
            if i % 100 == 0:
                peak = max(peak, held_mb(server))
            yield row

    thread = threading.Thread(target=write_others)
    thread.start()
    began = time.monotonic()
    status, answer = send(server, rows())
    seconds = time.monotonic() - began
    done.set()
    thread.join()
    peak = max(peak, held_mb(server))
    print(f"{sent / 1e6:.0f} MB in {seconds:.1f} s; held: {before:.0f} MB before, at most "
          f"{peak:.0f} MB; {len(others)} writes of others, the slowest "
          f"{max((t for _, t in others), default=0):.1f} s", flush=True)
    check(status == 200 and answer["stored"] == rows_n, f"{rows_n} rows of a stream are stored")
    check(all(status == 200 for status, _ in others) and documents_n(server) ==
          40 + rows_n + len(others), "and what others wrote meanwhile")
    check(not RSS_MEGABYTES_MAX or peak - before <= RSS_MEGABYTES_MAX,
          f"memory grew by {peak - before:.0f} MB, at most {RSS_MEGABYTES_MAX}")


with tempfile.TemporaryDirectory() as folder:
    model = os.path.join(folder, "model")
    run(TERCET, "model", "random", "small", model, "--layers", "1")
    with Server(TERCET, os.path.join(folder, "data"), "--model", model) as server:
        check_answers(server)
        check_many_verdicts(server)
        check_cut_off(server)
        check_long(server)
        server.stop()
print("ok")
