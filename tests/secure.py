#!/usr/bin/env python3
"""Keys, TLS, names and addresses of a whole server.

usage: secure.py TERCET
"""
import gzip
import hashlib
import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse

from served import SKIP, Server, check, run

TERCET = sys.argv[1]
SEARCH = "/v1/collections/c/search"
DOCUMENT = [{"id": "a", "text": "a secret about tides"}]


def write_keys(path, *keys):
    with open(path, "w") as out:
        for level, key in keys:
            out.write(f"{level} {hashlib.sha256(key.encode()).hexdigest()} of a test\n")


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def check_keys(folder):
    path = folder + "/keys"
    write_keys(path, ("read", "reader-key"), ("write", "writer-key"))
    with Server(TERCET, folder + "/data", "--api-key-file", path, listen="0.0.0.0:0") as server:
        server.url = server.url.replace("0.0.0.0", "127.0.0.1")

        def status(method, path, body=None, headers=None):
            return server.ask(method, path, body, headers).status

        check(status("GET", "/health") == 200 and status("GET", "/") == 200, "open to everybody")
        check(status("GET", "/nowhere") == 404, "what is not there is not there")
        refused = server.ask("POST", SEARCH, {"query": "a"})
        check(refused.status == 401 and refused.headers["WWW-Authenticate"] == "Bearer" and
              refused.json()["error"]["code"] == "unauthorized", "no key: 401")
        check(status("POST", SEARCH, {"query": "a"}, bearer("wrong-key")) == 401, "a wrong key: 401")
        documents = SEARCH.replace("search", "documents")
        check(status("POST", documents, DOCUMENT, bearer("reader-key")) == 403,
              "a reader may not write")
        check(status("POST", documents, DOCUMENT, bearer("writer-key")) == 200, "a writer may")
        check(status("POST", SEARCH, {"query": "a"}, bearer("reader-key")) == 200, "a reader reads")
        check(status("POST", "/embed", {"inputs": "a"}, {"x-api-key": "reader-key"}) == 200,
              "x-api-key will do")
        check(status("GET", "/v1/collections", None, {"Host": "some.example",
                                                      **bearer("reader-key")}) == 200,
              "with keys, any name will do")

        write_keys(path, ("read", "newer-key"))
        check(status("GET", "/v1/models", None, bearer("newer-key")) == 401, "not yet")
        server.process.send_signal(signal.SIGHUP)
        deadline = time.time() + 10
        while status("GET", "/v1/models", None, bearer("newer-key")) != 200:
            check(time.time() < deadline, "SIGHUP reads the keys again")
        check(status("GET", "/v1/models", None, bearer("reader-key")) == 401, "old keys are gone")
        with open(path, "w") as out:
            out.write("read newest-key\n")
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        check(status("GET", "/v1/models", None, bearer("newer-key")) == 200,
              "a broken file changes nothing")
        said = server.stop()
        check("keys:1: the second word" in said, "but is reported, with its line")
        check("-key" not in said.replace("tls-key", "").replace("api-key", ""), "without any key")


def check_addresses(folder):
    said = subprocess.run([TERCET, "serve", "--data", folder + "/data", "--listen", "0.0.0.0:0"],
                          capture_output=True, text=True, timeout=60)
    check(said.returncode == 1 and "API keys" in said.stderr, "without keys: loopback only")
    with Server(TERCET, folder + "/data", "--hosts", "search.lan") as server:
        check(server.ask("GET", "/health", headers={"Host": "evil.example"}).status == 421,
              "a foreign name: 421")
        for name in ("localhost:1", "search.lan"):
            check(server.ask("GET", "/health", headers={"Host": name}).status == 200, name)
        evil = {"Origin": "http://evil.example", "Content-Type": "text/plain"}
        check(server.ask("POST", "/v1/collections/d/documents", DOCUMENT, evil).status == 403,
              "a page of another site cannot write")
        check(server.ask("GET", "/v1/collections/d").status == 404, "and did not")
        check(server.ask("POST", "/v1/collections/d/documents", DOCUMENT,
                         {"Origin": server.url}).status == 200, "our own page can")
    with Server(TERCET, folder + "/data", "--cors", "http://app.example") as server:
        answer = server.ask("POST", "/v1/collections/d/search", {"query": "tides"},
                            {"Origin": "http://app.example", "Accept-Encoding": "gzip"})
        check(answer.status == 200 and
              answer.headers["Access-Control-Allow-Origin"] == "http://app.example",
              "--cors lets a site in")
        texts = server.ask("POST", "/embed", {"inputs": ["tides"] * 9}, {"Accept-Encoding": "gzip"})
        plain = server.ask("POST", "/embed", {"inputs": ["tides"] * 9})
        check(texts.headers["Content-Encoding"] == "gzip" and
              gzip.decompress(texts.body) == plain.body and len(texts.body) < len(plain.body) / 2,
              "answers are packed for who takes them")


def make_certificate(folder, name):
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
        "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem")
    return f"{folder}/{name}.pem", f"{folder}/{name}.key"


def trusting(certificate, **options):
    context = ssl.create_default_context(cafile=certificate)
    for name, value in options.items():
        setattr(context, name, value)
    return context


def connect(server, context):
    where = urllib.parse.urlsplit(server.url)
    return http.client.HTTPSConnection(where.hostname, where.port, context=context, timeout=30)


def check_tls(folder):
    certificate, key = make_certificate(folder, "one")
    _, other_key = make_certificate(folder, "two")
    run(TERCET, "serve", "--tls-cert", certificate, status=2)
    run(TERCET, "serve", "--tls-cert", certificate, "--tls-key", other_key, "--data",
        folder + "/data", status=1)
    run(TERCET, "serve", "--tls-cert", folder + "/none", "--tls-key", key, "--data",
        folder + "/data", status=1)
    with Server(TERCET, folder + "/data", "--tls-cert", certificate, "--tls-key", key) as server:
        check(server.url.startswith("https://"), "it says https")
        tls12 = trusting(certificate, maximum_version=ssl.TLSVersion.TLSv1_2)
        for context in (trusting(certificate), tls12):
            line = connect(server, context)
            for texts in (["tides"], ["the sea"] * 300):  # answers of 4 KB and of more than a MB
                body = '{"input":["' + '","'.join(texts) + '"]}'
                line.request("POST", "/v1/embeddings", body)
                answer = line.getresponse()
                read = answer.read()
                check(answer.status == 200 and len(read) == int(answer.headers["Content-Length"]),
                      f"{line.sock.version()}: an answer of {len(read)} bytes")
            line.request("POST", "/v1/encode", '{"texts":["' + "a " * 100000 + '"]}')
            check(line.getresponse().status == 413, "a large request over several records")
            line.close()
        line = connect(server, trusting(certificate))
        line.request("GET", "/health", headers={"Connection": "close"})
        check(line.getresponse().read() == b'{"status":"ok"}', "the last answer of a connection")

        where = urllib.parse.urlsplit(server.url)
        with socket.create_connection((where.hostname, where.port)) as plain:
            plain.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            check(not plain.recv(4096).startswith(b"HTTP"), "no plain HTTP there")
        for _ in range(20):  # half a handshake, and gone
            with socket.create_connection((where.hostname, where.port)) as half:
                half.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        try:
            connect(server, old).request("GET", "/health")
            check(False, "TLS 1.1 is refused")
        except (ssl.SSLError, ConnectionError):
            check(True, "TLS 1.1 is refused")

        before = connect(server, trusting(certificate))
        before.request("GET", "/health")
        before.getresponse().read()
        shutil.copy(folder + "/two.pem", certificate)
        shutil.copy(folder + "/two.key", key)
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        line = connect(server, trusting(folder + "/two.pem"))
        line.request("GET", "/health")
        check(line.getresponse().status == 200, "SIGHUP: the new certificate")
        before.request("GET", "/health")
        check(before.getresponse().status == 200, "and a connection that was there goes on")
        os.truncate(key, 0)
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        line = connect(server, trusting(folder + "/two.pem"))
        line.request("GET", "/health")
        check(line.getresponse().status == 200, "a broken one changes nothing")
        before.close()
        line.close()
        check("no private key" in server.stop(), "but is reported")


def main():
    with tempfile.TemporaryDirectory() as folder:
        check_keys(folder)
        check_addresses(folder)
        if not shutil.which("openssl"):
            print("no openssl to make a certificate with: TLS is left out")
            sys.exit(SKIP)
        check_tls(folder)


main()
