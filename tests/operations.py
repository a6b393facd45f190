#!/usr/bin/env python3
"""What an operator sees of a server: metrics, logs, --check, systemd's notifications.

usage: operations.py TERCET
"""
import json
import os
import re
import signal
import socket
import sys
import tempfile
import time

from served import Server, check, run

TERCET = sys.argv[1]
SEARCH = "/v1/collections/c/search"


def samples(server):
    answer = server.ask("GET", "/metrics")
    check(answer.status == 200 and
          answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8", "/metrics")
    found, twice = {}, False
    for line in answer.body.decode().splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            twice |= name in found
            found[name] = float(value)
    check(not twice, "each sample once")
    return found


def check_metrics(server):
    before = samples(server)
    server.post("/v1/collections/c/documents", [{"id": "a", "text": "tides"},
                                                {"id": "b", "text": "disk pages"}])
    answer = server.ask("POST", SEARCH, {"query": "the sea"})
    timing = dict(re.findall(r"(\w+);dur=([0-9.]+)", answer.headers["Server-Timing"]))
    check(set(timing) == {"encode", "retrieve", "score", "fuse", "fetch"}, "Server-Timing")
    server.post(SEARCH, {"query": 5}, status=400)
    server.post("/embed", {"inputs": ["one", "two"]})
    server.ask("GET", "/nowhere/secret")
    after = samples(server)

    def grew(name, by):
        check(after.get(name, 0) - before.get(name, 0) == by, f"{name} grew by {by}")

    route = 'route="/v1/collections/{c}/search",method="POST"'
    grew(f'tercet_http_requests_total{{{route},status="200"}}', 1)
    grew(f'tercet_http_requests_total{{{route},status="400"}}', 1)
    grew('tercet_http_requests_total{route="none",method="GET",status="404"}', 1)
    grew('tercet_http_request_seconds_count{route="/v1/collections/{c}/search"}', 2)
    grew('tercet_stage_seconds_count{stage="encode"}', 1)
    grew('tercet_documents{collection="c"}', 2)
    grew("tercet_encoder_tokens_total", 6)
    check(after["tercet_connections"] >= 1 and after['tercet_queue_length{lane="workers"}'] == 0,
          "gauges")
    check(after['tercet_index_bytes{collection="c"}'] > 1000, "bytes on disk")
    check(any(name.startswith('tercet_model_info{model="bge-small-en-v1.5",') for name in after),
          "the model")
    check(abs(after["process_start_time_seconds"] - time.time()) < 300, "since when")
    check(not any("secret" in name for name in after), "no client makes a series")


def check_logs(folder):
    with Server(TERCET, folder + "/data", "--log", "json", "--slow-ms", "1") as server:
        server.post(SEARCH, {"query": "what moves the sea " * 50})
        server.ask("GET", "/health?token=hunter2", headers={"Authorization": "Bearer hunter2"})
        said = server.stop()
        lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        check([line["path"] for line in lines] == [SEARCH, "/health"], "a line a request")
        check(lines[0]["slow"] and lines[0]["subject"].startswith("what moves the sea") and
              len(lines[0]["subject"]) <= 200, "a slow one with its query")
        check(lines[0]["stages"]["encode"] <= lines[0]["handler_ms"] <= lines[0]["total_ms"] + .1,
              "and with what took the time")
        check("subject" not in lines[1] and "hunter2" not in said, "and no secret")
    with Server(TERCET, folder + "/data", "--log", "text") as server:
        server.ask("GET", "/health")
        check(re.search(r"Z 127\.0\.0\.1:\d+ GET /health 200 [0-9.]+ ms \(queue 0", server.stop()),
              "text lines")
    run(TERCET, "serve", "--log", "xml", status=2)


def check_check(folder):
    options = [TERCET, "serve", "--check", "--data", folder + "/unmade"]
    run(*options)
    check(not os.path.exists(folder + "/unmade"), "--check makes nothing")
    run(*options, "--listen", "0.0.0.0:80", status=1)
    run(*options, "--listen", "here", status=1)
    run(*options, "--model", folder + "/none", status=1)
    run(*options, "--api-key-file", folder + "/none", status=1)
    run(*options, "--tls-cert", folder + "/none", "--tls-key", folder + "/none", status=1)
    run(TERCET, "serve", "--check", "--data", TERCET, status=1)
    with Server(TERCET, folder + "/data") as server:  # beside a server that runs
        run(TERCET, "serve", "--check", "--data", folder + "/data",
            "--listen", server.url.removeprefix("http://"))


def check_notifications(folder):
    for name in (folder + "/notify", "\0tercet-test-%d" % os.getpid()):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(name)
            listener.settimeout(30)
            env = {**os.environ, "NOTIFY_SOCKET": name.replace("\0", "@")}
            with Server(TERCET, folder + "/data", env=env) as server:
                check(listener.recv(100) == b"READY=1", "READY=1 once it listens")
                server.process.send_signal(signal.SIGHUP)
                time.sleep(0.2)
                check(server.ask("GET", "/health").status == 200, "a service survives a reload")
                server.stop()
                check(listener.recv(100) == b"STOPPING=1", "STOPPING=1 when it stops")


def main():
    with tempfile.TemporaryDirectory() as folder:
        with Server(TERCET, folder + "/data") as server:
            check_metrics(server)
            server.stop()
        check_logs(folder)
        check_check(folder)
        check_notifications(folder)


main()
