#!/usr/bin/env python3
"""Every answer that /openapi.json describes, and none that it does not: each pair of a route and a
status is provoked by a request, and its status, type, headers and body compared with the
description. A route or a status that is new there and not asked for here fails.

usage: each_answer.py TERCET
"""
import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import resource
import socket
import sys
import tempfile
import time
import urllib.parse

import tiny_model
from answers_wanted import NOTES, WANTED, Model, start_model
from openapi_kit import Description
from served import SKIP, Answer, Server, check, random_model

TERCET = sys.argv[1]
FOREIGN = {"Origin": "http://evil.example"}
HEADERS = {401: "WWW-Authenticate", 405: "Allow", 415: "Accept-Encoding"}
CONNECTIONS_MAX, FILES_SPARE = 10000, 100  # the server's; what else is open here
QUEUES = {"workers": 1024, "writer": 64, "remote": 32}  # the server's: what may wait
QUEUE = 'tercet_queue_length{{lane="{}"}}'
# Nobody can ask for these from outside: status -> why, and the test that sees them.
ELSEWHERE = {}


class Tally:
    def __init__(self, description):
        self.description, self.seen, self.faults = description, set(), []

    def note(self, operation, answer, wanted=None, about=""):
        """wanted: the status; or a set of them. None: any that is described."""
        where = f"{operation} {about}"
        self.seen.add((operation, answer.status))
        wanted = {wanted} if isinstance(wanted, int) else wanted
        faults = self.description.faults(operation, answer)
        if wanted and answer.status not in wanted:
            faults.append(f"{answer.status}, not {wanted}")
        name = HEADERS.get(answer.status)
        if name and not answer.headers[name]:
            faults.append(f"no {name}")
        if answer.status == 503 and b'"busy"' in answer.body and not answer.headers["Retry-After"]:
            faults.append("no Retry-After")
        self.faults += [f"{where}: {fault}: {answer.body[:300]}" for fault in faults]

    def part(self, what):
        """What was found since the last part."""
        faults, self.faults = self.faults, []
        check(not faults, what + "".join("\n       " + fault for fault in faults[:20]))


# ---- asking ----

def path_of(operation, **params):
    path = operation.split()[1]
    for name, value in {"c": "notes", "id": "moon", **params}.items():
        path = path.replace("{" + name + "}", value)
    return path


def method_of(operation):
    return operation.split()[0]


def address(server):
    where = urllib.parse.urlsplit(server.url)
    return where.hostname, where.port


def connect(server, head):
    """A connection on which a request, or the beginning of one, is sent."""
    line = socket.create_connection(address(server), timeout=60)
    line.sendall(head.encode())
    return line


def read(line, method="POST"):
    with line:
        answer = http.client.HTTPResponse(line, method=method)
        answer.begin()
        return Answer(answer.status, answer.headers, answer.read())


def head(method, path, *headers, version="HTTP/1.1", host="localhost"):
    named = ([f"Host: {host}"] if host else []) + list(headers)
    return f"{method} {path} {version}\r\n" + "".join(line + "\r\n" for line in named)


# ---- what a route answers by itself ----

def check_own(tally, servers):
    for operation, asks in WANTED.items():
        for each in asks:
            answer = servers[each["at"]].ask(
                method_of(operation), path_of(operation, **each["params"]), each["body"],
                each["headers"])
            tally.note(operation, answer, each["status"], str(each["body"])[:60])
    tally.part("each route's own answers")


def check_names(tally, server):
    for operation in tally.description.operations:
        if "{c}" in operation:
            answer = server.ask(method_of(operation), path_of(operation, c="a.b"))
            tally.note(operation, answer, 400)
    tally.part("400: a name that no collection can have")


def check_unchanged(tally, server):
    for operation in tally.description.operations:
        if method_of(operation) == "GET":
            first = server.ask("GET", path_of(operation))
            tag = "*" if operation == "GET /metrics" else first.headers["ETag"]
            tally.note(operation, first, 200)
            if tag:
                tally.note(operation, server.ask("GET", path_of(operation),
                                                 headers={"If-None-Match": tag}), 304)
    tally.part("304: what If-None-Match names")


# ---- who may ----

def write_keys(path):
    with open(path, "w") as out:
        for level in ("read", "write", "admin"):
            out.write(f"{level} {hashlib.sha256(level.encode()).hexdigest()} of a test\n")


def check_keys(tally, server):
    for operation, described in tally.description.operations.items():
        is_open = described.get("security") == []
        for key in (None, "wrong"):
            answer = server.ask(method_of(operation), path_of(operation),
                                headers={"x-api-key": key} if key else {})
            tally.note(operation, answer, 200 if is_open else 401, f"with the key {key}")
    tally.part("401: without a key, and with one that is not known")
    writing = [operation for operation in tally.description.operations
               if method_of(operation) in ("PUT", "DELETE") or "/documents" in operation]
    for key, level in (("read", [each for each in writing if method_of(each) != "GET"]),
                       ("write", ["DELETE /v1/collections/{c}"])):
        for operation in level:
            answer = server.ask(method_of(operation), path_of(operation),
                                headers={"Authorization": f"Bearer {key}"})
            tally.note(operation, answer, 403, f"with a {key} key")
    made = server.ask("PUT", "/v1/collections/notes", headers={"x-api-key": "write"})
    tally.note("PUT /v1/collections/{c}", made, 201, "with a write key")
    gone = server.ask("DELETE", "/v1/collections/notes", headers={"x-api-key": "admin"})
    tally.note("DELETE /v1/collections/{c}", gone, 200, "with an admin key")
    tally.part("403: with a key that may not")


def check_pages(tally, server):
    for operation in tally.description.operations:
        answer = server.ask(method_of(operation), path_of(operation), headers=FOREIGN)
        tally.note(operation, answer, 200 if method_of(operation) == "GET" else 403)
    tally.part("403: a page of another site")


# ---- what the server answers for every route ----

def check_heads(tally, server):
    refusals = [
        (400, {"host": None}, []), (413, {}, [f"Content-Length: {33 << 20}"]),
        (417, {}, ["Expect: magic"]), (421, {"host": "evil.example"}, []),
        (431, {}, ["X-Long: " + "x" * 20000]), (431, {}, ["X-More: 1"] * 65),
        (505, {"version": "HTTP/2.0"}, [])]
    for operation in tally.description.operations:
        method, path = method_of(operation), path_of(operation)
        for status, options, headers in refusals:
            line = connect(server, head(method, path, *headers, **options) + "\r\n")
            tally.note(operation, read(line), status)
        for status, word, target in ((405, "PATCH", path), (501, "BREW", path),
                                     (414, method, path + "?" + "x" * 9000)):
            answer = read(connect(server, head(word, target) + "\r\n"))
            tally.note(operation, answer, status)
            if status == 405 and method not in answer.headers["Allow"].split(", "):
                tally.faults.append(f"{operation}: not in Allow: {answer.headers['Allow']}")
        packed = server.ask(method, path, "no gzip", {"Content-Encoding": "br"})
        tally.note(operation, packed, {200, 415}, "packed with br")
    tally.part("400, 405, 413, 414, 415, 417, 421, 431, 501 and 505 of every route")


def methods_of(description, path):
    """By the shape of paths: /documents/delete is also the document of that id."""
    def fits(template):
        parts = list(zip(template.split("/"), path.split("/"), strict=True))
        return all(part == there or part.startswith("{") for part, there in parts)

    return {method_of(operation) for operation in description.operations
            if operation.count("/") == path.count("/") and fits(operation.split()[1])}


def check_other_methods(tally, server):
    """Not described, but told in docs/http-api.md: HEAD where GET is, and OPTIONS everywhere."""
    for operation in tally.description.operations:
        path = path_of(operation)
        answer = server.ask("OPTIONS", path)
        methods = methods_of(tally.description, path)
        wanted = methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
        if answer.status != 204 or set(answer.headers["Allow"].split(", ")) != wanted:
            tally.faults.append(f"OPTIONS {path}: {answer.status}, {answer.headers['Allow']}")
        if "GET" in methods:
            answer, whole = server.ask("HEAD", path), server.ask("GET", path)
            if (answer.status, answer.body) != (whole.status, b"") or (
                    answer.headers["Content-Type"] != whole.headers["Content-Type"]):
                tally.faults.append(f"HEAD {path}: {answer.status}, {len(answer.body)} bytes")
    tally.part("HEAD and OPTIONS")


def check_packed(tally, server):
    """Found out on a worker's thread: our own form of an error, whatever form the route's have."""
    for operation in tally.description.operations:
        if method_of(operation) in ("POST", "PUT"):
            answer = server.ask(method_of(operation), path_of(operation), "no gzip",
                                {"Content-Encoding": "gzip"})
            tally.note(operation, answer, 400)
            if answer.json()["error"]["code"] != "broken_body":
                tally.faults.append(f"{operation}: {answer.body}")
    tally.part("400: a body that is not packed as it says")


def begin_late_heads(tally, server):
    return {operation: connect(server, head(method_of(operation), path_of(operation)))
            for operation in tally.description.operations}


def check_late_heads(tally, lines):
    for operation, line in lines.items():
        tally.note(operation, read(line), 408)
    tally.part("408: half a head, and no more for ten seconds")


# ---- what breaks ----

def check_broken(tally, server, data):
    """Behind the server's back: other bytes in what is open, and then another file of that name."""
    with open(data + "/notes/data.mdb", "r+b") as file:
        good = file.read()
        file.seek(0)
        file.write(good.replace(b"moon", b"noon"))  # as long; checksums tell
    for operation, body in (("POST /v1/collections/{c}/search", {"query": "sea"}),
                            ("POST /v1/collections/{c}/answer", {"question": "well"}),
                            ("GET /v1/collections/{c}/documents/{id}", None)):
        answer = server.ask(method_of(operation), path_of(operation), body)
        tally.note(operation, answer, 500, "of damaged values")
    os.rename(data + "/notes", data + "-before")
    for name in ("notes", "bad"):
        os.mkdir(f"{data}/{name}")
        with open(f"{data}/{name}/data.mdb", "wb") as file:
            file.write(bytes(len(good)))
    for operation, body in (("POST /v1/collections/{c}/documents", NOTES),
                            ("POST /v1/collections/{c}/documents/delete", {"all": True}),
                            ("DELETE /v1/collections/{c}/documents/{id}", None),
                            ("DELETE /v1/collections/{c}", None),
                            ("PUT /v1/collections/{c}", None)):
        path = path_of(operation, c="bad" if operation.startswith("PUT") else "notes")
        tally.note(operation, server.ask(method_of(operation), path, body), 500, "of zeros")
    tally.part("500: a damaged file")


# ---- too much at once ----

def send(server, operation, body=None, n=1):
    text = json.dumps(body) if body is not None else ""
    request = head(method_of(operation), path_of(operation), f"Content-Length: {len(text)}")
    return [connect(server, request + "\r\n" + text) for _ in range(n)]


def metric(server, name):
    for line in server.ask("GET", "/metrics").body.decode().splitlines():
        if line.startswith(name + " "):
            return int(line.split()[1])
    return check(False, f"/metrics has {name}")


def await_metric(server, name, value):
    deadline = time.monotonic() + 60
    while metric(server, name) != value:
        if time.monotonic() > deadline:
            check(False, f"{name} comes to {value}, not {metric(server, name)}")
        time.sleep(.01)


def check_locked(tally, server, data):
    with open(data + "/notes/writer.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for operation, body in (("POST /v1/collections/{c}/documents", NOTES),
                                ("POST /v1/collections/{c}/documents/delete", {"all": True}),
                                ("DELETE /v1/collections/{c}/documents/{id}", None),
                                ("DELETE /v1/collections/{c}", None)):
            answer = server.ask(method_of(operation), path_of(operation), body)
            tally.note(operation, answer, 503)
    tally.part("503: another process writes")


def check_queues(tally, server):
    """Each lane has something to do for as long as this takes, and then as much as may wait."""
    text = "the sea and the moon " * 120
    with contextlib.ExitStack() as stack:
        lines = send(server, "POST /v1/collections/{c}/answer", {"question": "stall"}, 4)
        lines += send(server, "POST /v1/encode", {"texts": [text] * 1024, "modes": ["dense"]})
        lines += send(server, "POST /v1/collections/{c}/documents",
                      [{"id": i, "text": f"{i} {text}"} for i in range(2048)])
        await_metric(server, "tercet_requests_running", len(lines))
        for lane in QUEUES:
            await_metric(server, QUEUE.format(lane), 0)
        lines += send(server, "POST /v1/collections/{c}/answer", {"question": "stall"},
                      QUEUES["remote"])
        lines += send(server, "GET /v1/collections/{c}", n=QUEUES["workers"])
        lines += send(server, "DELETE /v1/collections/{c}/documents/{id}", n=QUEUES["writer"])
        for line in lines:
            stack.enter_context(line)
        for lane, length in QUEUES.items():
            await_metric(server, QUEUE.format(lane), length)
        for operation in tally.description.operations:
            queues = 503 in tally.description.own(operation)
            answer = server.ask(method_of(operation), path_of(operation))
            tally.note(operation, answer, 503 if queues else 200, "while all queues are full")
    tally.part("503: full queues; what needs none is answered")


def check_connections(tally, server):
    """As many as it takes; then each that wants in hears so before it asks."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files < CONNECTIONS_MAX + FILES_SPARE:
        ELSEWHERE[503] = (f"{files} files may be open here", "server_load_test")
        return
    with contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS_MAX):
            stack.enter_context(socket.create_connection(address(server)))
        for operation in tally.description.operations:
            tally.note(operation, read(connect(server, "")), 503, "one connection too many")
    tally.part("503: too many connections")


# ---- all of it ----

def check_complete(tally):
    description = tally.description
    pairs = {(operation, status) for operation in description.operations
             for status in description.statuses(operation)}
    left = {pair for pair in pairs - tally.seen if pair[1] not in ELSEWHERE}
    for operation, status in sorted(left):
        print(f"not provoked: {operation} {status}")
    for status, (why, where) in ELSEWHERE.items():
        print(f"not asked for: {status}, {why}; test {where}")
    check(not left, f"{len(pairs & tally.seen)} of {len(pairs)} described answers were provoked")
    check(set(WANTED) == set(description.operations), "of all routes, and of no others")


def raise_files():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < sum(QUEUES.values()) + 2 * FILES_SPARE:
        print(f"only {hard} files may be open: too few to fill a queue")
        sys.exit(SKIP)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, CONNECTIONS_MAX + 2 * FILES_SPARE), hard))


def main():
    raise_files()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        model = random_model(TERCET, "m3", folder + "/m3")
        small = tiny_model.write(folder + "/small")
        reranker = random_model(TERCET, "v2-m3", folder + "/reranker")
        chat = start_model()
        write_keys(folder + "/key-file")

        def serve(name, *options):
            return stack.enter_context(Server(TERCET, f"{folder}/{name}/data", *options))

        servers = {
            "main": serve("main", "--model", model, "--reranker", reranker, *chat,
                          "--answer-wait-s", "2"),
            "bare": serve("bare", "--model", small),
            "keys": serve("keys", "--model", small, "--api-key-file", folder + "/key-file"),
            "full": serve("full", "--model", model, "--threads", "1", *chat)}
        tally = Tally(Description(servers["main"].ask("GET", "/openapi.json").json()))
        late = begin_late_heads(tally, servers["main"])
        for name in ("main", "bare", "full"):
            servers[name].post("/v1/collections/notes/documents", NOTES)
        check_own(tally, servers)
        check_names(tally, servers["main"])
        check_unchanged(tally, servers["main"])
        check_keys(tally, servers["keys"])
        check_pages(tally, servers["main"])
        check_heads(tally, servers["main"])
        check_other_methods(tally, servers["main"])
        check_packed(tally, servers["main"])
        check_locked(tally, servers["full"], folder + "/full/data")
        check_queues(tally, servers["full"])
        check_broken(tally, servers["main"], folder + "/main/data")
        check_late_heads(tally, late)
        check_connections(tally, servers["keys"])
        check_complete(tally)
        Model.over.set()
        for name in ("main", "bare", "keys"):  # "full" would finish its work first
            servers[name].stop()


main()
