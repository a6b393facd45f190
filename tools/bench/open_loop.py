#!/usr/bin/env python3
"""Searches that come when they come, whether the server is ready for them or not.

usage: open_loop.py TERCET DATA COLLECTION QUERIES.jsonl [--seconds N] [--shares 50,80,95,120]

First the capacity: as many searches a second as 32 connections that never wait get answered. Then,
for each share of it, requests at random moments (a Poisson process of that rate) for N (60) seconds.
A request's latency counts from the moment it was meant to be sent, so a server that stalls is charged
for everybody who stood behind (no coordinated omission). Each request has a connection of its own
from a pool, CONNECTIONS_MAX at most. Behind the last share: how long until a search is answered in
twice the median of the first share again.

Printed, a JSON line a share: requests meant and answered, answers a second, those refused by 503 and
how quickly, other failures (there must be none), p50, p99 and the largest latency in ms.
"""
import argparse
import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import time

CONNECTIONS_MAX = 4000
CAPACITY_CONNECTIONS, CAPACITY_SECONDS = 32, 10
RECOVERED_TIMES = 2


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("tercet", "data", "collection", "queries"):
        parser.add_argument(name)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--shares", default="50,80,95,120")
    return parser.parse_args()


class Asker:
    """Connections that are free, and the requests in turn."""
    def __init__(self, address, requests):
        self.address, self.requests, self.at = address, requests, 0
        self.free, self.limit = [], asyncio.Semaphore(CONNECTIONS_MAX)

    async def ask(self):
        """The status; the connection goes back when the answer is whole."""
        async with self.limit:
            reader, writer = (self.free.pop() if self.free else
                              await asyncio.open_connection(*self.address))
            self.at = (self.at + 1) % len(self.requests)
            writer.write(self.requests[self.at])
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(re.search(rb"content-length: *(\d+)", head, re.I).group(1))
            await reader.readexactly(length)
            if b"connection: close" in head.lower():
                writer.close()
            else:
                self.free.append((reader, writer))
            return int(head.split(b" ", 2)[1])


async def capacity(asker):
    answered, until = 0, time.monotonic() + CAPACITY_SECONDS

    async def ask_on():
        nonlocal answered
        while time.monotonic() < until:
            status = await asker.ask()
            answered += status == 200
    await asyncio.gather(*(ask_on() for _ in range(CAPACITY_CONNECTIONS)))
    return answered / CAPACITY_SECONDS


def part(values, share):
    values = sorted(values)
    return round(values[min(len(values) - 1, int(share * len(values)))], 1) if values else None


async def at_rate(asker, rate, seconds, dice):
    """[(status or None, ms since it was meant to be sent)]"""
    done, tasks = [], []
    begin = meant = time.monotonic()

    async def one(meant):
        try:
            status = await asker.ask()
        except (OSError, asyncio.IncompleteReadError, AttributeError):
            status = None
        done.append((status, 1e3 * (time.monotonic() - meant)))
    while meant < begin + seconds:
        await asyncio.sleep(max(0, meant - time.monotonic()))
        tasks.append(asyncio.create_task(one(meant)))
        meant += dice.expovariate(rate)
    await asyncio.gather(*tasks)
    return done, time.monotonic() - begin


def report(share, rate, done, took):
    served = [ms for status, ms in done if status == 200]
    refused = [ms for status, ms in done if status == 503]
    failed = len(done) - len(served) - len(refused)
    print(json.dumps({
        "share": share, "rate": round(rate, 1), "requests": len(done), "served": len(served),
        "served_per_s": round(len(served) / took, 1), "refused_503": len(refused),
        "refused_p99_ms": part(refused, .99), "failed": failed, "p50_ms": part(served, .5),
        "p99_ms": part(served, .99), "max_ms": part(served, 1),
        "load": round(os.getloadavg()[0], 1)}), flush=True)
    return failed


async def recovery(asker, usual_ms):
    began = time.monotonic()
    while time.monotonic() < began + 60:
        before = time.monotonic()
        if await asker.ask() == 200 and 1e3 * (time.monotonic() - before) <= usual_ms:
            return before - began
    return None


async def measure(arguments, address):
    with open(arguments.queries, encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    requests = []
    for text in texts:
        body = json.dumps({"query": text, "k": 10}).encode()
        requests.append(f"POST /v1/collections/{arguments.collection}/search HTTP/1.1\r\n"
                        f"Host: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    asker, dice, failed, usual = Asker(address, requests), random.Random(1), 0, None
    await capacity(asker)  # to warm up
    most = await capacity(asker)
    print(json.dumps({"capacity_per_s": round(most, 1), "connections": CAPACITY_CONNECTIONS}),
          flush=True)
    for share in map(float, arguments.shares.split(",")):
        done, took = await at_rate(asker, most * share / 100, arguments.seconds, dice)
        failed += report(share, most * share / 100, done, took)
        usual = usual or part([ms for status, ms in done if status == 200], .5)
    seconds = await recovery(asker, RECOVERED_TIMES * usual)
    print(json.dumps({"recovered_after_s": seconds and round(seconds, 2)}))
    return failed == 0 and seconds is not None


def main():
    arguments = parse()
    server = subprocess.Popen([arguments.tercet, "serve", "--data", arguments.data, "--listen",
                               "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
    address = None
    for line in server.stdout:
        address = re.search(r"http://([\d.]+):(\d+)", line)
        if address:
            break
    if not address:
        sys.exit("the server did not start")
    try:
        ok = asyncio.run(measure(arguments, (address.group(1), int(address.group(2)))))
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=60)
    sys.exit(not ok)


main()
