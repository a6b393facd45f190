#!/usr/bin/env python3
"""Memory and pace of an ingest of ready-made rows through a pipe, without a model.

usage: ingest_memory.py TERCET ROWS [DIMENSIONS]

Rows have a dense vector of DIMENSIONS (24) numbers and six words of 30,000. Printed: the process'
own memory at most (RssAnon, 20 samples a second), its VmHWM, which has the pages of the index that it
mapped as well, processor time and rows a second.
"""
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time

MADE_N = 4096  # different vectors, and different texts: making them must not be what takes long


def write_rows(pipe, rows_n, dim):
    of = random.Random(1)
    vectors = ["[" + ",".join(f"{of.gauss(0, 1):.4f}" for _ in range(dim)) + "]"
               for _ in range(MADE_N)]
    words = ["{" + ",".join(f'"word{word}":1' for word in of.sample(range(30000), 6)) + "}"
             for _ in range(2 * MADE_N)]
    for begin in range(0, rows_n, 1000):
        pipe.write("".join(
            f'{{"id":"d{i}","title":"row {i}","text":"made","dense":{vectors[i * 7 % MADE_N]},'
            f'"sparse":{{"terms":{words[i * 13 % (2 * MADE_N)]},"length":6}}}}\n'
            for i in range(begin, min(begin + 1000, rows_n))))
    pipe.close()


def memory_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        lines = dict(line.split(":", 1) for line in status)
    return {name: int(lines[name].split()[0]) // 1024 for name in ("RssAnon", "VmHWM")
            if name in lines}


def main():
    tercet, rows_n = sys.argv[1], int(sys.argv[2])
    dim = int(sys.argv[3]) if len(sys.argv) > 3 else 24
    most = {"RssAnon": 0, "VmHWM": 0}
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        ingest = subprocess.Popen([tercet, "ingest", f"{folder}/made", "-", "--model", "none",
                                   "--nice", "0"], stdin=subprocess.PIPE, text=True,
                                  stderr=subprocess.DEVNULL)
        writer = threading.Thread(target=write_rows, args=(ingest.stdin, rows_n, dim))
        writer.start()
        while ingest.poll() is None:
            try:
                for name, megabytes in memory_of(ingest.pid).items():
                    most[name] = max(most[name], megabytes)
            except OSError:
                pass
            time.sleep(.05)
        writer.join()
        wall = time.monotonic() - began
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        size = sum(os.path.getsize(os.path.join(where, name))
                   for where, _, names in os.walk(folder) for name in names)
    if ingest.returncode != 0:
        sys.exit(f"the ingest failed: {ingest.returncode}")
    cpu = usage.ru_utime + usage.ru_stime
    print(f"{rows_n:,} rows of {dim}: own memory {most['RssAnon']} MB, with the index's pages "
          f"{most['VmHWM']} MB, {cpu:.1f} s of processor time ({rows_n / cpu:,.0f} rows a second of "
          f"it), {wall:.1f} s in all, {size / 1e6:,.0f} MB on disk")


main()
