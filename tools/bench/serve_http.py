#!/usr/bin/env python3
"""What the server's HTTP layer takes: requests a second, idle connections, and clients that misbehave.

usage: serve_http.py TERCET [--connections 10000] [--seconds 5]

Needs wrk for the first row (it is left out without). Every other row has the latency of GET /health
on one kept-alive connection, a request each 2 ms, while something goes on beside it; "beside nothing"
is measured before each of them, and the ratio is that of the two p99s.
"""
import argparse
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

parser = argparse.ArgumentParser()
parser.add_argument("tercet")
parser.add_argument("--connections", type=int, default=10000)
parser.add_argument("--seconds", type=float, default=5)
options = parser.parse_args()
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = (b"POST /v1/collections/c/search HTTP/1.1\r\nHost: localhost\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n")


def held_mb(process, what="RssAnon"):
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(what))


def probe(port, seconds):
    """Sorted times of requests one after the other, in ms."""
    client, times = socket.create_connection(("127.0.0.1", port)), []
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        client.sendall(HEALTH)
        answer = client.recv(4096)
        times.append((time.perf_counter() - began) * 1e3)
        assert answer.startswith(b"HTTP/1.1 200"), answer
        time.sleep(0.002)
    client.close()
    return sorted(times)


def percentile(times, q):
    return times[min(len(times) - 1, int(len(times) * q))]


def connect(port, n, first=b""):
    clients = []
    for i in range(n):
        # 28,000 ports an address: enough, but not for two runs behind one another
        client = socket.socket()
        client.bind((f"127.0.0.{2 + i % 50}", 0))
        client.connect(("127.0.0.1", port))
        if first:
            client.sendall(first)
        clients.append(client)
    return clients


class Drip:
    """A few bytes to each client in turn, for ever."""

    def __init__(self, clients, bytes_, pause):
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(clients, bytes_, pause))
        self.thread.start()

    def run(self, clients, bytes_, pause):
        while not self.stop.is_set():
            for client in clients:
                try:
                    client.sendall(bytes_)
                except OSError:
                    pass  # given up by the server: that is its right
                if pause and self.stop.wait(pause):
                    return

    def end(self):
        self.stop.set()
        self.thread.join()


def row(name, port, process, begin):
    alone = probe(port, options.seconds)
    before = held_mb(process)
    clients, drip = begin()
    beside = probe(port, options.seconds)
    after = held_mb(process)
    if drip:
        drip.end()
    for client in clients:
        client.close()
    print(f"{name:45} p50 {percentile(alone, .5):.3f} -> {percentile(beside, .5):.3f} ms, p99 "
          f"{percentile(alone, .99):.3f} -> {percentile(beside, .99):.3f} ms (x"
          f"{percentile(beside, .99) / percentile(alone, .99):.2f}), memory {before:.0f} -> "
          f"{after:.0f} MB", flush=True)
    time.sleep(1)


def dripped(port, n, first, bytes_, pause):
    clients = connect(port, n, first)
    return clients, Drip(clients, bytes_, pause)


with tempfile.TemporaryDirectory() as folder:
    process = subprocess.Popen(
        [options.tercet, "serve", "--data", folder, "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE, text=True)
    try:
        port = int(re.search(r":(\d+) ", process.stdout.readline()).group(1))
        if shutil.which("wrk"):
            said = subprocess.run(["wrk", "-t1", "-c16", f"-d{options.seconds:.0f}s", "--latency",
                                   f"http://127.0.0.1:{port}/health"],
                                  capture_output=True, text=True).stdout
            print("/health, 16 connections: " + ", ".join(
                re.sub(" +", " ", line.strip()) for line in said.splitlines()
                if re.search(r"50%|99%|Requests/sec", line)), flush=True)
        row("beside nothing", port, process, lambda: ([], None))
        row(f"{options.connections} idle connections", port, process,
            lambda: (connect(port, options.connections - 10), None))
        row("2,000 half a head, no more comes", port, process,
            lambda: (connect(port, 2000, HEALTH[:-10]), None))
        row("1,000 heads a byte at a time", port, process,
            lambda: dripped(port, 1000, HEALTH[:-2] + b"X-A: ", b"a", 0.001))
        row("500 bodies in chunks of one byte", port, process,
            lambda: dripped(port, 500, POST, b"1\r\n \r\n", 0.0002))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
