#!/usr/bin/env python3
"""tercet model pull against a hub that cuts off, lies, redirects, throttles and refuses; then the
other verbs of tercet model, on what was pulled and made up. Standard library only, loopback only.

usage: hub_pull.py TERCET MODEL_FOLDER

MODEL_FOLDER is a real model's: it is pulled too, and must encode as the original does. Prints what
it checks; exits 1 at the first thing that does not hold.
"""
import contextlib
import hashlib
import http.server
import json
import os
import random
import resource
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time

TERCET, REAL_MODEL = sys.argv[1], sys.argv[2]
TOKEN = "hf_averysecrettokenthatnobodymaysee"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
MIB = 1 << 20
BIG = "model.safetensors"


def check(condition, what):
    print(("ok    " if condition else "FAILED ") + what, flush=True)
    if not condition:
        sys.exit(1)


# ---- the hub ----

def made_up_files():
    source = random.Random(5)
    return {
        "config.json": b'{"model_type": "bert"}',
        "tokenizer.json": source.randbytes(200_000),
        "1_Pooling/config.json": b"",
        "config_sentence_transformers.json": b"{}",
        BIG: source.randbytes(3 * MIB + 12345),
        "pytorch_model.bin": b"not wanted beside safetensors",
        "onnx/model.onnx": b"not wanted",
        "README.md": b"not wanted",
    }


SMALL = ["config.json", "tokenizer.json", "1_Pooling/config.json",
         "config_sentence_transformers.json"]
WANTED = [*SMALL, BIG]


def sibling(name, data):
    entry = {"rfilename": name, "size": len(data),
             "blobId": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}
    if name.endswith((".safetensors", ".bin")):
        entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    return entry


def listing_of(files, commit=COMMIT):
    return {"sha": commit, "siblings": [sibling(name, data) for name, data in files.items()]}


class Hub:
    """What the server does now: set `files`, `listing` and `big`, a handler for the big file."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.files = made_up_files()
        self.listing = listing_of(self.files)
        self.on_listing = None
        self.big = None
        self.requests = []  # (path, headers)

    def big_requests(self):
        return [headers for path, headers in self.requests if path.endswith(BIG)]


hub = Hub()
elsewhere = []  # headers of what arrived at the other host


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def first_byte(self):
        wanted = self.headers.get("Range")
        return int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in ({"Content-Length": len(body)} | headers).items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def file(self, data, cut=None):
        """Serves data from the byte asked for; with `cut`, hangs up after so many bytes."""
        first = self.first_byte()
        body = data[first:]
        headers = {"Content-Length": len(body)}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
        self.answer(206 if first else 200, body[:cut], **headers)
        if cut is not None and cut < len(body):
            self.hang_up()

    def hang_up(self):
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.close()

    def chunked(self, body):
        self.answer(200, Content_Length=None, Transfer_Encoding="chunked")
        with contextlib.suppress(OSError):
            self.wfile.write(b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")

    def do_GET(self):
        hub.requests.append((self.path, dict(self.headers)))
        if self.path.startswith("/api/models/org/"):
            if hub.on_listing:
                return hub.on_listing(self)
            return self.answer(200, json.dumps(hub.listing).encode())
        name = self.path.partition(f"/resolve/{hub.listing['sha']}/")[2]
        if name not in hub.files:
            return self.answer(404, b"no")
        if name == BIG and hub.big:
            return hub.big(self)
        return self.file(hub.files[name])


class Elsewhere(Handler):
    def do_GET(self):
        elsewhere.append(dict(self.headers))
        self.file(hub.files[BIG])


def serve(handler, tls=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


# ---- pulling ----

PORT, OTHER_PORT = serve(Handler), serve(Elsewhere)
homes = []


def environment(**more):
    base = {name: value for name, value in os.environ.items()
            if not name.startswith("HF_")
            and not name.lower().endswith(("_proxy", "_ca_bundle", "ssl_cert_file"))}
    return base | {"TERCET_HOME": homes[-1], "HF_ENDPOINT": f"http://127.0.0.1:{PORT}/",
                   "HF_TOKEN": TOKEN, "HF_HUB_DOWNLOAD_TIMEOUT": "2"} | more


def command(*words, model="org/small"):
    return [TERCET, "model", "pull", model, "--json", *words]


def pull(what, *words, status=0, says="", model="org/small", before_exec=None, **more):
    done = subprocess.run(command(*words, model=model), env=environment(**more), text=True,
                          capture_output=True, timeout=120, preexec_fn=before_exec,
                          restore_signals=before_exec is None)
    if done.returncode != status or says not in done.stderr:
        print(done.stdout, done.stderr)
    check(done.returncode == status and says in done.stderr,
          f"{what}: exits {status}" + (f", says \"{says}\"" if says else ""))
    check(TOKEN not in done.stdout + done.stderr, "the token is in no message")
    check("Sanitizer" not in done.stderr, "no sanitizer complains")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return lines[-1] if status == 0 else done.stderr


def folder(model="org/small"):
    return os.path.join(homes[-1], "models", model)


def content(path):
    with open(path, "rb") as file:
        return file.read()


def is_whole(names=WANTED):
    check(all(content(os.path.join(folder(), name)) == hub.files[name] for name in names),
          "every wanted file, byte for byte")
    there = [os.path.relpath(os.path.join(at, name), folder())
             for at, _, files in os.walk(folder()) for name in files]
    check(sorted(there) == sorted([*names, "tercet_pull.json"]), "and nothing else")
    check(os.listdir(os.path.dirname(folder())) == ["small"], "neither .part nor .lock stays")


def part(name=BIG):
    return os.path.join(folder() + ".part", name + ".part")


def nothing_kept():
    check(not os.path.exists(folder()), "no model of that name")
    check(not os.path.exists(part()) and not os.path.exists(part()[:-5]), "the file is removed")


@contextlib.contextmanager
def case(name):
    print(f"---- {name}", flush=True)
    hub.reset()
    elsewhere.clear()
    with tempfile.TemporaryDirectory() as home:
        homes.append(home)
        yield
        homes.pop()


def times(n, first, then):
    """A handler that does `first` n times, then `then`."""
    count = [0]

    def handle(handler):
        count[0] += 1
        return (first if count[0] <= n else then)(handler)
    return handle


def whole(handler):
    handler.file(hub.files[BIG])


# ---- the cases ----

def plain():
    with case("an honest hub"):
        result = pull("a pull")
        is_whole()
        check(result["commit"] == COMMIT and result["files"] == len(WANTED), "commit and number of files")
        check(all(headers.get("Authorization") == f"Bearer {TOKEN}"
                  for _, headers in hub.requests), "the token goes to the endpoint")
        check(not any("onnx" in path or "README" in path or ".bin" in path
                      for path, _ in hub.requests), "only what the engine reads is asked for")
        hub.requests.clear()
        again = pull("again")
        check(again["was_there"] and len(hub.requests) == 1, "only the list is asked for")
        os.remove(os.path.join(folder(), "tokenizer.json"))
        pull("with a file gone")
        is_whole()
        hub.files["config.json"] = b'{"model_type": "bert", "new": 1}'
        hub.listing = listing_of(hub.files, commit="f" * 40)
        result = pull("a new commit")
        check(result["commit"] == "f" * 40 and not result["was_there"], "replaces the old one")
        is_whole()
        hub.requests.clear()
        pull("a revision", "--revision", "refs/pr/3")
        check("/revision/refs%2Fpr%2F3?" in hub.requests[0][0], "is asked for")
    with case("PyTorch's file alone"):
        del hub.files[BIG]
        hub.listing = listing_of(hub.files)
        pull("no safetensors")
        is_whole([*SMALL, "pytorch_model.bin"])


def cut_off():
    cut = 1_300_000

    def cuts(handler):
        handler.file(hub.files[BIG], cut)
    with case("cut off again and again"):
        hub.big = cuts
        pull("two cuts")
        is_whole()
        ranges = [headers.get("Range") for headers in hub.big_requests()]
        check(ranges == [None, f"bytes={cut}-", f"bytes={2 * cut}-"], "goes on at the byte")
    with case("cut off for good"):
        hub.big = cuts
        pull("no more tries", "--retries", "0", status=1, says="given up after 1")
        check(content(part()) == hub.files[BIG][:cut], "what came stays")
        check(not os.path.exists(folder()), "and is no model")
        hub.big = None
        hub.requests.clear()
        result = pull("the next pull")
        check(hub.big_requests()[0]["Range"] == f"bytes={cut}-", "goes on at the byte")
        check(result["fetched_bytes"] == len(hub.files[BIG]) - cut, "and fetches nothing twice")
        is_whole()
    with case("kept bytes that went bad"):
        hub.big = cuts
        pull("cut", "--retries", "0", status=1)
        with open(part(), "r+b") as file:
            file.write(b"power cut")
        hub.big = None
        pull("the next pull")
        is_whole()
    with case("kept bytes, more than the file has"):
        hub.big = cuts
        pull("cut", "--retries", "0", status=1)
        with open(part(), "ab") as file:
            file.write(bytes(4 * MIB))
        hub.big = None
        pull("the next pull")
        is_whole()
    with case("another commit in between"):
        hub.big = cuts
        pull("cut", "--retries", "0", status=1)
        hub.big = None
        hub.files[BIG] = hub.files[BIG][::-1]
        hub.listing = listing_of(hub.files, commit="e" * 40)
        pull("the next pull")
        is_whole()
    with case("the server does not do ranges"):
        hub.big = times(1, cuts, lambda handler: handler.answer(200, hub.files[BIG]))
        pull("starts over")
        check(len(hub.big_requests()) == 2, "in the second request")
        is_whole()


def killed():
    with case("killed in the middle"):
        def slow(handler):
            handler.answer(200, hub.files[BIG][:2 * MIB], Content_Length=len(hub.files[BIG]))
            time.sleep(30)
        hub.big = slow
        process = subprocess.Popen(command(), env=environment(HF_HUB_DOWNLOAD_TIMEOUT="60"),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: os.path.exists(part()) and os.path.getsize(part()) == 2 * MIB)
        pull("a second one at once", status=1, says="another tercet is pulling this model")
        process.send_signal(signal.SIGKILL)
        process.wait()
        hub.big = None
        hub.requests.clear()
        pull("after kill -9")
        check(hub.big_requests()[0].get("Range") == f"bytes={2 * MIB}-", "goes on at the byte")
        is_whole()


def wait_for(condition):
    end = time.time() + 30
    while not condition():
        check(time.time() < end, "happens within 30 s")
        time.sleep(0.02)


def lies():
    size = len(hub.files[BIG])

    def wrong_range(handler):
        handler.answer(206, hub.files[BIG][5:],
                       Content_Range=f"bytes 5-{size - 1}/{size}")

    def wrong_total(handler):
        handler.answer(206, hub.files[BIG][1_000_000:],
                       Content_Range=f"bytes 1000000-{size - 1}/{size + 1}")

    def cut(handler):
        handler.file(hub.files[BIG], 1_000_000)
    answers = {
        "a short file": (lambda h: h.answer(200, hub.files[BIG][:-1]), "its list says"),
        "a long file": (lambda h: h.answer(200, hub.files[BIG] + b"x"), "its list says"),
        "a long file of unknown length": (lambda h: h.chunked(hub.files[BIG] + b"x"), "more than"),
        "a short file of unknown length": (lambda h: h.chunked(hub.files[BIG][:-1]),
                                           "its list says"),
        "nothing at all": (lambda h: h.answer(200), "its list says"),
        "wrong bytes": (lambda h: h.answer(200, bytes(size)), "checksum"),
        "another range": (times(1, cut, wrong_range), "answered with others"),
        "a range where none was asked for": (wrong_range, "answered with others"),
        "another total": (times(1, cut, wrong_total), "its list says"),
    }
    for name, (handle, says) in answers.items():
        with case(name):
            hub.big = handle
            pull("is refused", status=1, says=says)
            nothing_kept()
    with case("a small file's wrong bytes"):
        hub.files["tokenizer.json"] = bytes(len(hub.files["tokenizer.json"]))
        pull("are refused", status=1, says="tokenizer.json: its checksum")


def redirects():
    def to(address, status=302):
        return lambda handler: handler.answer(status, Location=address)
    with case("redirected to another host"):
        hub.big = to(f"http://localhost:{OTHER_PORT}/cdn?signature=secret")
        pull("is followed")
        is_whole()
        check(len(elsewhere) == 1 and "Authorization" not in elsewhere[0], "without the token")
    with case("redirected to another port"):
        hub.big = to(f"http://127.0.0.1:{OTHER_PORT}/cdn", 307)
        pull("is followed")
        check(len(elsewhere) == 1 and "Authorization" not in elsewhere[0], "without the token")
    with case("redirected on the same host"):
        hub.big = times(1, to(f"/org/small/resolve/{COMMIT}/{BIG}"), whole)
        pull("is followed")
        check(hub.big_requests()[1]["Authorization"] == f"Bearer {TOKEN}", "with the token")
    with case("redirected in circles"):
        hub.big = to(f"/org/small/resolve/{COMMIT}/{BIG}")
        pull("ends", status=1, says="redirects")
        check(len(hub.big_requests()) == 9, "after eight")
    for address in ("file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x"):
        with case(f"redirected to {address}"):
            hub.big = to(address)
            pull("is refused", status=1, says="not an address of http")
            check(not os.path.exists(folder()), "no model")
    with case("redirected to nowhere"):
        hub.big = lambda handler: handler.answer(302)
        pull("is refused", status=1, says="redirects to nowhere")


def refusals():
    def status(code, **headers):
        return lambda handler: handler.answer(code, b"sorry", **headers)
    with case("500 twice"):
        hub.big = times(2, status(500), whole)
        pull("is overcome")
        is_whole()
    with case("503 for good"):
        hub.big = status(503)
        pull("ends", "--retries", "1", status=1, says="given up after 2 tries: 127.0.0.1: answers")
        check(len(hub.big_requests()) == 2, "after two tries")
    with case("429 with Retry-After"):
        hub.big = times(1, status(429, Retry_After=2), whole)
        began = time.time()
        pull("is obeyed")
        check(time.time() - began >= 2, "after two seconds")
    with case("429 for a day"):
        hub.big = status(429, Retry_After=86400)
        pull("is told", status=1, says="come back in 86400 seconds")
    for code, says in ((401, "HF_TOKEN"), (403, "HF_TOKEN"), (404, "not there"),
                       (416, "answers 416")):
        with case(f"{code}"):
            hub.on_listing = status(code)
            pull("is told", status=1, says=says)
            check(len(hub.requests) == 1, "at once")
    with case("a page without end behind a refusal"):
        hub.on_listing = lambda handler: handler.answer(404, bytes(8 * MIB))
        pull("is not read", status=1)


def slowness():
    with case("stalls, then goes on"):
        def stall(handler):
            handler.answer(200, hub.files[BIG][:MIB], Content_Length=len(hub.files[BIG]))
            time.sleep(6)
        hub.big = times(1, stall, whole)
        pull("is overcome")
        check(hub.big_requests()[1]["Range"] == f"bytes={MIB}-", "by going on at the byte")
        is_whole()
    with case("throttled"):
        def throttled(handler):
            handler.answer(200, Content_Length=len(hub.files[BIG]))
            with contextlib.suppress(OSError):
                for at in range(0, len(hub.files[BIG]), 100_000):
                    handler.wfile.write(hub.files[BIG][at:at + 100_000])
                    time.sleep(0.1)
        hub.big = throttled
        pull("takes its time")
        check(len(hub.big_requests()) == 1, "in one request")
        is_whole()


def bad_listings():
    def named(name):
        return json.dumps(listing_of(hub.files | {name: b"evil"})).encode()
    size = json.dumps(listing_of(hub.files) | {"siblings": [
        sibling(name, data) | {"size": 1e18, "lfs": None} for name, data in hub.files.items()]})
    digest = json.dumps(listing_of(hub.files)).replace('"blobId": "', '"blobId": "zz')
    many = {"sha": COMMIT, "siblings": [{"rfilename": f"{i}"} for i in range(100_001)]}
    twice = {"sha": COMMIT, "siblings": [sibling("config.json", b"x")] * 2}
    bodies = {
        "no JSON": (b"<html>", "list of files"),
        "nothing": (b"", "list of files"),
        "too large": (b" " * (17 * MIB), "at most"),
        "no siblings": (b'{"sha": "' + COMMIT.encode() + b'"}', "siblings"),
        "too many files": (json.dumps(many).encode(), "at most 100000"),
        "a file twice": (json.dumps(twice).encode(), "twice"),
        "no commit": (json.dumps(listing_of(hub.files, commit="../..")).encode(), "commit"),
        "no size to believe": (size.encode(), "size"),
        "no checksum to believe": (digest.encode(), "no checksum that we know"),
        "no config.json": (json.dumps(listing_of({BIG: b"x"})).encode(), "no config.json"),
        "no weights": (json.dumps(listing_of({"config.json": b"x"})).encode(), "neither"),
    }
    for name in ("../evil", "/etc/evil", "a/../../evil", "a\\..\\evil", "model-../../x.safetensors",
                 "..", "a//b", "a\n"):
        bodies[f"the name {name!r}"] = (named(name), "leads out")
    bodies["a NUL in a name"] = (named("config.json\0/../evil"), "list of files")
    for name, (body, says) in bodies.items():
        with case(f"a list with {name}"):
            hub.on_listing = lambda handler, body=body: handler.answer(200, body)
            pull("is refused", status=1, says=says)
            check(len(hub.requests) == 1, "before any file is asked for")
    with case("a list without its length, too large"):
        hub.on_listing = lambda handler: handler.chunked(b" " * (17 * MIB))
        pull("is refused", status=1, says="more than")


def our_side():
    with case("offline"):
        pull("is obeyed", status=1, says="HF_HUB_OFFLINE", HF_HUB_OFFLINE="1")
        check(not hub.requests, "nothing is asked for")
    with case("names"):
        for name in ("../x", "/x", "a/b/c", "org/", "org/x.part", "..", ".hidden"):
            pull(name, model=name, status=1, says="must be an id")
        pull("a revision", "--revision", "../../api", status=1, says="must be a branch")
        check(not hub.requests, "nothing is asked for")
    with case("tokens"):
        pull("with a line end behind", HF_TOKEN=TOKEN + "\n")
        check(hub.requests[0][1]["Authorization"] == f"Bearer {TOKEN}", "is sent without it")
        pull("with a line end inside", HF_TOKEN=TOKEN + "\r\nX-Evil: 1", status=1, says="HF_TOKEN")
        hub.requests.clear()
        pull("none", HF_TOKEN="")
        check("Authorization" not in hub.requests[0][1], "sends none")
    with case("endpoints"):
        pull("of another kind", HF_ENDPOINT="file:///etc", status=1, says="HF_ENDPOINT")
        pull("where nobody listens", "--retries", "0", HF_ENDPOINT="http://127.0.0.1:1",
             status=1, says="connect")
    with case("a full disk"):
        def small_files_only():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB))
        pull("is told", before_exec=small_files_only, status=1, says="writing")
        check(not os.path.exists(folder()), "no model")
        pull("and with room again")
        is_whole()
    with case("wrong usage"):
        for words in ([], ["a", "b"], ["a", "--nonsense"]):
            done = subprocess.run([TERCET, "model", "pull", *words], capture_output=True)
            check(done.returncode == 2, f"exits 2: {words}")


def over_tls():
    if not shutil.which("openssl"):
        print("skipped: no openssl command to make a certificate with")
        return
    with case("https"):
        certificate = os.path.join(homes[-1], "certificate.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-keyout", certificate + ".key", "-out", certificate, "-subj", "/CN=hub",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, certificate + ".key")
        endpoint = f"https://127.0.0.1:{serve(Handler, tls)}"
        pull("a certificate of nobody's", HF_ENDPOINT=endpoint, status=1, says="certificate")
        check(not hub.requests, "nothing is asked for")
        pull("one that is known", HF_ENDPOINT=endpoint, CURL_CA_BUNDLE=certificate)
        check(hub.requests[0][1]["Authorization"] == f"Bearer {TOKEN}", "with the token")
        hub.files[BIG] = hub.files[BIG][::-1]
        hub.listing = listing_of(hub.files, commit="d" * 40)
        hub.big = lambda handler: handler.answer(
            302, Location=f"http://127.0.0.1:{PORT}/org/small/resolve/{'d' * 40}/{BIG}")
        pull("redirected to http", HF_ENDPOINT=endpoint, CURL_CA_BUNDLE=certificate, status=1,
             says="redirects from https to http")


# ---- the other verbs ----

def model(*words, status=0):
    done = subprocess.run([TERCET, "model", *words, "--json"], env=environment(), text=True,
                          capture_output=True, timeout=120)
    if done.returncode != status:
        print(done.stdout, done.stderr)
    check(done.returncode == status, f"model {' '.join(words)[-60:]}: exits {status}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def tercet_lines(command, *words, rows):
    done = subprocess.run([TERCET, command, *words], env=environment(), text=True,
                          input="".join(json.dumps(row) + "\n" for row in rows),
                          capture_output=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def close(a, b):
    return abs(a - b) < 1e-4


def verify_says_what_score_says(folder):
    """Random weights agree with nothing published, but each value that verify got must be what
    the other commands get for those texts."""
    rows = model("verify", folder, "--as", "BAAI/bge-m3", status=1)
    summary = rows.pop()
    check(summary["compared"] == len(rows) == 36, "every published value is compared")
    check(summary["missed"] == sum(not row["agrees"] for row in rows) > 0, "misses are counted")
    check(all(row["agrees"] == (abs(row["got"] - row["expected"]) <= row["tolerance"])
              for row in rows), "and judged by the tolerance")
    pairs = [row for row in rows if "query" in row]
    scores = tercet_lines("score", "--model", folder, "--weights", "0.4,0.2,0.4",
                          rows=[{"query": row["query"], "passage": row["passage"]}
                                for row in pairs])
    check(all(close(row["got"], score[row["what"]]) for row, score in zip(pairs, scores)),
          "scores are those of tercet score")
    alone = [row for row in rows if "text" in row]
    encodings = tercet_lines("encode", "--model", folder, "--sparse", "--multi",
                             rows=[{"text": row["text"]} for row in alone])
    for row, encoding in zip(alone, encodings):
        if row["what"] == "multi-vectors":
            check(row["got"] == len(encoding["multi"]), "multi-vectors are counted")
        elif "id" in row:
            check(close(row["got"], encoding["sparse"].get(str(row["id"]), 0)), "weights by id")


def other_verbs():
    with case("random and verify"):
        m3, reranker = os.path.join(homes[-1], "m3"), os.path.join(homes[-1], "v2")
        small = ("--layers", "1", "--vocabulary", "30000")
        made = model("random", "m3", m3, *small)[0]
        check(made["bytes"] == sum(os.path.getsize(os.path.join(at, name))
                                   for at, _, names in os.walk(m3) for name in names), "its size")
        model("random", "m3", m3, *small, status=1)
        verify_says_what_score_says(m3)
        check(model("verify", m3)[0]["compared"] == 0, "nothing is published for a folder \"m3\"")
        model("random", "v2-m3", reranker, *small)
        rows = model("verify", reranker, "--as", "bge-reranker-v2-m3", status=1)[:-1]
        scores = tercet_lines("rerank", "--model", reranker,
                              rows=[{"query": row["query"], "passage": row["passage"]}
                                    for row in rows[:3]])
        check(all(close(row["got"], score["score"]) for row, score in zip(rows, scores)),
              "relevance is that of tercet rerank")
        model("verify", reranker, "--as", "bge-m3", status=1)
        check(model("verify")[-1]["compared"] == 0, "the embedded model has no published values")
        check(model("info", m3)[0]["sparse_head"] and model("info", m3)[0]["layers"] == 1, "info")
        check(model("info", reranker)[0]["kind"] == "reranker", "info of a reranker")
        with open(os.path.join(m3, "config_sentence_transformers.json"), "w") as file:
            json.dump({"prompts": {"query": "ask: ", "document": "say: "}}, file)
        info = model("info", m3)[0]
        check((info["query_instruction"], info["passage_instruction"]) == ("ask: ", "say: "),
              "info of a folder with prompts")


def a_real_model():
    with case("a real model"):
        hub.files = {}
        for at, _, names in os.walk(REAL_MODEL):
            for name in names:
                path = os.path.join(at, name)
                hub.files[os.path.relpath(path, REAL_MODEL)] = content(path)
        hub.listing = listing_of(hub.files)
        hub.big = times(1, lambda handler: handler.file(hub.files[BIG], 5 * MIB), whole)
        pull("is pulled")

        def encode(*words):
            return subprocess.run([TERCET, "encode", "--dense", *words], input="a short text\n",
                                  env=environment(), capture_output=True, text=True,
                                  check=True).stdout
        check(encode("--model", "org/small") == encode("--model", REAL_MODEL), "and encodes")
        listed = {row["model"]: row for row in model("list")}
        check(listed["org/small"]["kind"] == "encoder", "and is listed")
        check(listed["org/small"]["bytes"] > len(hub.files[BIG]), "with its size")
        info = model("info", "org/small", "--load")[0]
        check(info["fingerprint"] == model("info", REAL_MODEL, "--load")[0]["fingerprint"],
              "under the same fingerprint")


def main():
    plain()
    cut_off()
    killed()
    lies()
    redirects()
    refusals()
    slowness()
    bad_listings()
    our_side()
    over_tls()
    a_real_model()
    other_verbs()
    print("1 passed, 0 failed")


main()
