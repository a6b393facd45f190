#!/usr/bin/env python3
"""How long searches take over HTTP, as a client sees it: keep-alive connections, one request on each
at a time. Standard library only.

usage: search_http.py TERCET DATA COLLECTION QUERIES.jsonl [--rounds N] [--only CASE]

DATA is a folder of collections with COLLECTION in it; QUERIES has {"text"} a line, as BEIR's files.
Each query is asked N times in all (default 2), after 50 to warm up. Prints a JSON line for each case
and number of connections: p50, p99 and mean in ms, requests per second, the same of what the server
says it took itself (took_ms, and its stages), and the processor time of the server's process a request, which is
what a busy machine leaves comparable.
"""
import argparse
import base64
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time

WARM_UP = 50
CONNECTIONS = (1, 16)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tercet")
    parser.add_argument("data")
    parser.add_argument("collection")
    parser.add_argument("queries")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", help="one case")
    return parser.parse_args()


def start(tercet, data):
    server = subprocess.Popen([tercet, "serve", "--data", data, "--listen", "127.0.0.1:0"],
                              stdout=subprocess.PIPE, text=True)
    for line in server.stdout:
        if "http://" in line:
            host, port = line.split("http://")[1].split()[0].split(":")
            return server, (host, int(port))
    sys.exit("the server did not start")


def request_of(path, body):
    text = json.dumps(body).encode()
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(text)}\r\n\r\n").encode() + text


def packed(vector):
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


class Connection:
    def __init__(self, address):
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.wanted = None

    def send(self, request):
        self.began = time.perf_counter()
        self.socket.sendall(request)

    def receive(self):
        """The body of the answer, or None while there is more to come."""
        part = self.socket.recv(1 << 20)
        if not part:
            sys.exit("the server closed a connection")
        self.buffer += part
        if self.wanted is None:
            head_len = self.buffer.find(b"\r\n\r\n") + 4
            if head_len < 4:
                return None
            head = self.buffer[:head_len].lower()
            if not head.startswith(b"http/1.1 200"):
                sys.exit(self.buffer.decode())
            self.wanted = head_len + int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            self.head_len = head_len
        if len(self.buffer) < self.wanted:
            return None
        body = self.buffer[self.head_len:self.wanted]
        self.buffer, self.wanted = self.buffer[self.wanted:], None
        return body


def ask_once(address, path, body):
    connection = Connection(address)
    connection.send(request_of(path, body))
    while (answer := connection.receive()) is None:
        pass
    connection.socket.close()
    return json.loads(answer)


def run(address, requests, connections_n):
    """[(ms, answer)] of all requests, and the seconds it took."""
    selector = selectors.DefaultSelector()
    left, done = iter(requests), []
    for _ in range(connections_n):
        connection = Connection(address)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        first = next(left, None)
        if first is not None:
            connection.send(first)
    began = time.perf_counter()
    while len(done) < len(requests):
        for key, _ in selector.select():
            connection = key.data
            body = connection.receive()
            if body is None:
                continue
            done.append((1e3 * (time.perf_counter() - connection.began), body))
            following = next(left, None)
            if following is not None:
                connection.send(following)
    seconds = time.perf_counter() - began
    for key in list(selector.get_map().values()):
        key.data.socket.close()
    return done, seconds


def part(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def cpu_seconds(pid):
    """User and system time of a process so far."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report(case, address, requests, pid):
    run(address, requests[:WARM_UP], 1)
    for connections_n in CONNECTIONS:
        cpu = cpu_seconds(pid)
        done, seconds = run(address, requests, connections_n)
        cpu = cpu_seconds(pid) - cpu
        times = [ms for ms, _ in done]
        took = [json.loads(body)["took_ms"] for _, body in done]
        own = [stages["total"] for stages in took]
        print(json.dumps({
            "bench": "search_http", "case": case,
            "connections": connections_n, "requests": len(done),
            "p50_ms": round(part(times, .5), 3), "p99_ms": round(part(times, .99), 3),
            "mean_ms": round(sum(times) / len(times), 3),
            "server_p50_ms": round(part(own, .5), 3), "server_p99_ms": round(part(own, .99), 3),
            "stages_p50_ms": {stage: round(part([stages[stage] for stages in took], .5), 3)
                              for stage in took[0] if stage != "total"},
            "cpu_ms_a_request": round(1e3 * cpu / len(done), 3),
            "requests_per_s": round(len(done) / seconds, 1),
            "load": round(os.getloadavg()[0], 1)}), flush=True)


def main():
    options = parse()
    with open(options.queries) as lines:
        texts = [json.loads(line)["text"] for line in lines]
    server, address = start(options.tercet, options.data)
    try:
        path = f"/v1/collections/{options.collection}/search"
        encoded = []
        for text in texts:
            bare = ask_once(address, "/v1/encode", {"texts": text})["encodings"][0]
            query = ask_once(address, "/v1/encode", {"texts": text, "input_type": "query",
                                                     "modes": ["dense"]})["encodings"][0]
            encoded.append({"dense": query["dense"], "sparse": bare["sparse"],
                            "multi": bare["multi"]})
        cases = {
            "text": [{"query": text, "k": 10} for text in texts],
            "vectors": [{**vectors, "k": 10} for vectors in encoded],
            "vectors in base64": [{"dense": packed(v["dense"]), "sparse": v["sparse"],
                                   "multi": [packed(row) for row in v["multi"]], "k": 10}
                                  for v in encoded],
            "vectors, no multi": [{"dense": v["dense"], "sparse": v["sparse"], "k": 10}
                                  for v in encoded],
            "text, highlight": [{"query": text, "k": 10, "highlight": True} for text in texts],
        }
        for case, bodies in cases.items():
            if options.only in (None, case):
                report(case, address, [request_of(path, body) for body in bodies] * options.rounds,
                       server.pid)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


if __name__ == "__main__":
    main()
