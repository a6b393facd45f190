#!/usr/bin/env python3
"""Do queries keep their latency while documents arrive?

usage: serve_latency.py TERCET SCIFACT [--seconds N] [--rounds N] [--clients N] [--other]

The first of SciFact's documents are served with the embedded model. Clients ask its queries one after the other, in
turns of N seconds: beside nothing, and beside an ingest of generated variants of the others that
takes all the processor it gets: a stream into the same server, or with --other `tercet ingest` into
an index of its own. Prints percentiles of both, the ratio of the p99s (the median of all rounds), and
how fast documents went in, beside queries and alone.
"""
import argparse
import http.client
import itertools
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time

parser = argparse.ArgumentParser()
parser.add_argument("tercet")
parser.add_argument("scifact")
parser.add_argument("--seconds", type=float, default=10)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--clients", type=int, default=1)
parser.add_argument("--documents", type=int, default=400)
parser.add_argument("--other", action="store_true")
options = parser.parse_args()


def lines(name):
    with open(os.path.join(options.scifact, name)) as file:
        return [json.loads(line) for line in file]


corpus = lines("corpus.jsonl")
queries = [each["text"] for each in lines("queries.jsonl")]
half = options.documents


def variants():
    """Never ends: the others again and again, each time other documents."""
    for turn in itertools.count():
        for each in corpus[half:]:
            yield (json.dumps({"id": f"{turn}-{each['_id']}", "title": each.get("title", ""),
                               "text": f"{turn} {each['text']}"}) + "\n").encode()


class Served:
    def __init__(self, folder):
        self.process = subprocess.Popen(
            [options.tercet, "serve", "--data", folder, "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE, text=True)
        self.port = int(re.search(r":(\d+) ", self.process.stdout.readline()).group(1))

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)


def ask_for(server, seconds, first, out):
    connection = server.connect()
    until = time.monotonic() + seconds
    for text in itertools.islice(itertools.cycle(queries), first, None):
        began = time.perf_counter()
        if time.monotonic() > until:
            return
        connection.request("POST", "/v1/collections/c/search", json.dumps({"query": text}))
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        out.append((time.perf_counter() - began) * 1e3)


def measure(server, seconds):
    times = []
    threads = [threading.Thread(target=ask_for, args=(server, seconds, 97 * i, times))
               for i in range(options.clients)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    times.sort()
    return times


class Stream:
    """A body that goes on until its connection is cut: sockets hold minutes of it."""

    def __init__(self, server):
        self.server, self.connection = server, server.connect()
        self.connection.connect()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            self.connection.request("POST", "/v1/collections/c/documents", variants(),
                                    {"Content-Type": "application/x-ndjson"}, encode_chunked=True)
        except OSError:
            pass

    def end(self):
        self.connection.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        connection = self.server.connect()  # answered when the piece in work is through
        connection.request("DELETE", "/v1/collections/c/documents/none")
        connection.getresponse().read()


class Other:
    def __init__(self, folder):
        self.process = subprocess.Popen(
            [options.tercet, "ingest", os.path.join(folder, f"other{time.time()}"), "-", "--json"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            for row in variants():
                self.process.stdin.write(row)
        except (BrokenPipeError, ValueError):
            pass

    def end(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.thread.join()


def count(server):
    connection = server.connect()
    connection.request("GET", "/v1/collections/c")
    return json.loads(connection.getresponse().read())["documents"]


def percentile(times, q):
    return times[min(len(times) - 1, int(len(times) * q))]


def told(name, times):
    print(f"{name:>8}: {len(times):5} queries, p50 {percentile(times, .5):6.1f} ms, p90 "
          f"{percentile(times, .9):6.1f}, p99 {percentile(times, .99):6.1f}, most {times[-1]:6.1f}",
          flush=True)


with tempfile.TemporaryDirectory() as folder:
    server = Served(os.path.join(folder, "data"))
    try:
        connection = server.connect()
        body = "".join(json.dumps(each) + "\n" for each in corpus[:half]).encode()
        connection.request("POST", "/v1/collections/c/documents", body)
        assert connection.getresponse().status == 200
        measure(server, 2)
        ratios = []
        for _ in range(options.rounds):
            alone = measure(server, options.seconds)
            load = Other(folder) if options.other else Stream(server)
            time.sleep(1)
            before, began = count(server), time.monotonic()
            busy = measure(server, options.seconds)
            beside = (count(server) - before) / (time.monotonic() - began)
            before, began = count(server), time.monotonic()
            time.sleep(options.seconds / 2)
            free = (count(server) - before) / (time.monotonic() - began)
            load.end()
            told("alone", alone)
            told("busy", busy)
            ratios.append(percentile(busy, .99) / percentile(alone, .99))
            print(f"   ratio: {ratios[-1]:.2f}" + ("" if options.other else
                  f"; documents a second: {beside:.0f} beside queries, {free:.0f} without"))
        print(f"p99 busy / p99 alone, median of {len(ratios)}: {statistics.median(ratios):.2f}")
    finally:
        server.process.send_signal(signal.SIGINT)
        server.process.wait()
