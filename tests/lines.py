#!/usr/bin/env python3
"""Searches as lines, over TCP and a Unix socket: the same answers as over HTTP.

usage: lines.py TERCET
"""
import hashlib
import json
import os
import socket
import sys
import tempfile

from served import Server, check

TERCET = sys.argv[1]


class Lines:
    def __init__(self, server, unix=None):
        if unix:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(unix)
        else:
            said = next(line for line in server.said if "a search a line at 127" in line)
            host, port = said.split()[-1].split(":")
            self.socket = socket.create_connection((host, int(port)))
        self.socket.settimeout(60)
        self.file = self.socket.makefile("rw")

    def ask(self, *requests):
        """All at once; the answers in order."""
        self.file.write("".join(json.dumps(each) + "\n" for each in requests))
        self.file.flush()
        return [json.loads(self.file.readline()) for _ in requests]


def same(line, http):
    line, http = dict(line), dict(http)
    return line.pop("took_ms") and http.pop("took_ms") and line == http


def check_lines(folder):
    unix = os.path.join(folder, "sock")
    with Server(TERCET, os.path.join(folder, "data"), "--listen-tcp", "127.0.0.1:0",
                "--listen-unix", unix) as server:
        check(os.stat(unix).st_mode & 0o777 == 0o600, "the socket is its user's alone")
        lines = Lines(server)
        check(lines.ask({"query": "x"})[0]["error"]["field"] == "collection",
              "without any collection, it must be named")
        server.post("/v1/collections/a/documents",
                    [{"id": "1", "text": "the moon moves the sea", "fields": {"x": 3.25}},
                     {"id": "2", "text": "a tax on salt"}])
        search = {"query": "tides", "filter": {"x": {"$gte": 3.25}}}
        over_http = server.post("/v1/collections/a/search", search)
        line = lines.ask(search)[0]
        check(len(over_http["hits"]) == 1 and same(line, over_http),
              "the only collection is meant; the answer is HTTP's")
        server.post("/v1/collections/b/documents", [{"id": "3", "text": "disk pages"}])
        other = Lines(server, unix)
        answers = other.ask({"query": "tides", "collection": "a"}, {"query": "tides"},
                            {"query": "tides", "collection": "b"}, {"query": 5, "collection": "b"},
                            {"query": "x", "collection": "none"}, [1],
                            {"query": "tides", "collection": "a", "k": 1})
        check([[hit["id"] for hit in each["hits"]] if "hits" in each else
               (each["error"]["code"], each["error"]["field"]) for each in answers] ==
              [["1", "2"], ("bad_request", "collection"), ["3"], ("bad_request", "query"),
               ("not_found", None), ("bad_request", "collection"), ["1"]],
              "seven lines at once, over the Unix socket, answered in order")
        server.stop()
        check(not os.path.exists(unix), "a stop takes the socket's file away")


def check_keys(folder):
    keys = os.path.join(folder, "keys")
    with open(keys, "w") as file:
        file.write(f"read {hashlib.sha256(b'sesame').hexdigest()} reader\n")
    with Server(TERCET, os.path.join(folder, "data"), "--listen-tcp", "127.0.0.1:0",
                "--api-key-file", keys) as server:
        ok, found = Lines(server).ask({"key": "sesame"}, {"query": "sea", "collection": "a"})
        check(ok == {"ok": True} and found["hits"][0]["id"] == "1", "the first line gives the key")
        for first in {"key": "wrong"}, {"query": "sea", "collection": "a"}:
            lines = Lines(server)
            check("error" in lines.ask(first)[0] and lines.file.readline() == "",
                  "without it, an error and the end")
        server.stop()


with tempfile.TemporaryDirectory() as folder:
    check_lines(folder)
    check_keys(folder)
print("ok")
