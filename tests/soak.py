#!/usr/bin/env python3
"""A server for as long as one likes: searches, writes, deletions, reloads, and clients that go away.

usage: soak.py TERCET [MINUTES]

Memory that is not a mapped file's must be flat behind the first third, descriptors what they were
before, and every answer one that was asked for. Default: two thirds of a minute.
"""
import hashlib
import http.client
import json
import os
import random
import signal
import socket
import statistics
import struct
import sys
import tempfile
import threading
import time

from served import Server, check, run

TERCET = sys.argv[1]
SECONDS = 60 * float(sys.argv[2]) if len(sys.argv) > 2 else 40
KEY = {"Authorization": "Bearer sesame"}
KEYS_N = 400  # documents are written over and over: what grows is a leak
WORDS = ["sea", "moon", "tide", "disk", "page", "tax", "salt", "river", "north", "engine", "wood"]
GROWTH_MB = 16  # allocators breathe

stop = threading.Event()
counts, problems = {}, []


def count(what):
    counts[what] = counts.get(what, 0) + 1


def document(random_):
    i = random_.randrange(KEYS_N)
    return {"id": f"d{i}", "title": f"number {i}",
            "text": " ".join(random_.choices(WORDS, k=random_.randrange(5, 120))),
            "fields": {"i": i % 10}}


def expect(what, status, allowed):
    count(what)
    if status not in allowed:
        problems.append(f"{what}: {status}")


class Client:
    """A kept-alive connection; the server may close it between two requests."""

    def __init__(self, server):
        host, port = server.url.split("//")[1].split(":")
        self.address = host, int(port)
        self.connection = http.client.HTTPConnection(*self.address, timeout=60)

    def ask(self, method, path, body=None, headers=None):
        data = json.dumps(body).encode() if not isinstance(body, (bytes, type(None))) else body
        self.connection.request(method, path, data, {**KEY, **(headers or {})})
        answer = self.connection.getresponse()
        return answer.status, answer.read()


def search(client, random_):
    body = {"query": " ".join(random_.choices(WORDS, k=3)), "k": random_.randrange(1, 30)}
    if random_.random() < .3:
        body.update(filter={"i": {"$lt": random_.randrange(10)}}, facets=["i"])
    if random_.random() < .2:
        body["explain"] = True
    expect("search", client.ask("POST", "/v1/collections/c/search", body)[0], {200})


def wrong(client, random_):
    what, path, body, status = random_.choice([
        ("POST", "/v1/collections/c/search", b"{", 400), ("GET", "/nowhere", None, 404),
        ("POST", "/v1/collections/none/search", {"query": "x"}, 404),
        ("PATCH", "/v1/collections/c", None, 405), ("GET", "/v1/collections/c/documents/x", None, 404)])
    expect("wrong request", client.ask(what, path, body)[0], {status})


def write(client, random_):
    rows = [document(random_) for _ in range(random_.randrange(1, 20))]
    expect("write", client.ask("POST", "/v1/collections/c/documents", rows)[0], {200})


def stream(client, random_):
    body = "".join(json.dumps(document(random_)) + "\n" for _ in range(300)).encode()
    expect("stream", client.ask("POST", "/v1/collections/c/documents", body,
                                {"Content-Type": "application/x-ndjson"})[0], {200})


def delete(client, random_):
    path = f"/v1/collections/c/documents/d{random_.randrange(KEYS_N)}"
    expect("delete", client.ask("DELETE", path)[0], {200, 404})


def delete_some(client, random_):
    body = {"filter": {"i": random_.randrange(10)}}
    expect("delete by filter", client.ask("POST", "/v1/collections/c/documents/delete", body)[0],
           {200})


def look(client, random_):
    path = random_.choice(["/health", "/metrics", "/v1/collections", "/openapi.json", "/"])
    expect("look", client.ask("GET", path)[0], {200})


def drop(client, random_):
    """A client that is gone in the middle: of a head, a body, a stream, or before its answer."""
    gone = socket.create_connection(client.address)
    head = ("POST /v1/collections/c/{} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sesame\r\n"
            "Content-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n")
    row = json.dumps(document(random_)) + "\n"
    text = random_.choice([head[:40], head.format("documents", 9999) + row + row[:20],
                           head.format("documents", 9 << 20) + row * 3000,
                           head.format("search", 15) + '{"query":"sea"}'])
    try:
        gone.sendall(text.encode())
        time.sleep(random_.random() * .05)
        if random_.random() < .5:
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    gone.close()
    count("dropped connection")


def work(server, doings, seed):
    random_ = random.Random(seed)
    client = Client(server)
    while not stop.is_set():
        doing = random_.choices([each for each, _ in doings], [weight for _, weight in doings])[0]
        try:
            doing(client, random_)
        except Exception as error:  # the test goes on to tell all of them
            problems.append(f"{doing.__name__}: {error!r}")
            client = Client(server)
        time.sleep(random_.random() * .02)
    client.connection.close()


def lines(server):
    said = next(line for line in server.said if "a search a line at" in line)
    host, port = said.split()[-1].split(":")
    client = socket.create_connection((host, int(port)))
    file = client.makefile("rw")
    file.write('{"key":"sesame"}\n')
    file.flush()
    file.readline()
    while not stop.is_set():
        file.write('{"query":"tide","k":3}\n' * 4)
        file.flush()
        for _ in range(4):
            count("line")
            if "hits" not in json.loads(file.readline()):
                problems.append("a line without hits")
        time.sleep(.05)
    file.close()
    client.close()


def held_mb(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("RssAnon"))


def files_n(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def soak(server):
    client, random_ = Client(server), random.Random(0)
    stream(client, random_)
    search(client, random_)
    client.connection.close()
    time.sleep(.5)
    files_before = files_n(server)
    ask = [(search, 10), (wrong, 2), (look, 2), (drop, 1)]
    change = [(write, 6), (stream, 1), (delete, 4), (delete_some, 1), (drop, 1)]
    threads = [threading.Thread(target=work, args=(server, ask, seed)) for seed in (1, 2)]
    threads += [threading.Thread(target=work, args=(server, change, seed)) for seed in (3, 4)]
    threads.append(threading.Thread(target=lines, args=(server,)))
    for thread in threads:
        thread.start()
    held, began = [], time.monotonic()
    while time.monotonic() < began + SECONDS and not problems:
        time.sleep(1)
        held.append(held_mb(server))
        if len(held) % 3 == 0:
            server.process.send_signal(signal.SIGHUP)
            count("reload")
    stop.set()
    for thread in threads:
        thread.join()
    print(", ".join(f"{n} x {what}" for what, n in sorted(counts.items())), flush=True)
    check(not problems, f"no answer but those provoked {problems[:5]}")
    third = len(held) // 3
    middle, end = statistics.median(held[third:2 * third]), statistics.median(held[2 * third:])
    check(end - middle <= max(GROWTH_MB, middle / 10),
          f"memory is flat: {held[0]:.0f} MB at first, {middle:.0f} in the middle, {end:.0f} at last")
    until = time.monotonic() + 60  # a write whose client is gone is carried out before it is closed
    while files_n(server) > files_before + 2 and time.monotonic() < until:
        time.sleep(.2)
    files = [os.readlink(f"/proc/{server.process.pid}/fd/{each}")
             for each in os.listdir(f"/proc/{server.process.pid}/fd")]
    check(len(files) <= files_before + 2,
          f"descriptors: {files_before} before, {len(files)} behind it {sorted(files)}")


with tempfile.TemporaryDirectory() as folder:
    model, keys = os.path.join(folder, "model"), os.path.join(folder, "keys")
    run(TERCET, "model", "random", "small", model, "--layers", "1")
    with open(keys, "w") as file:
        file.write(f"admin {hashlib.sha256(b'sesame').hexdigest()} soak\n")
    with Server(TERCET, os.path.join(folder, "data"), "--model", model, "--api-key-file", keys,
                "--listen-tcp", "127.0.0.1:0") as server:
        soak(server)
        server.stop()
print("ok")
