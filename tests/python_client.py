#!/usr/bin/env python3
"""clients/python against a server: every method, every error, the frameworks, its README.

usage: python_client.py TERCET [PYTHON]

PYTHON has langchain-core, llama-index-core and mypy (tools/setup.sh test makes it); what is not
there is left out, and so is PYTHON itself.
"""
import asyncio
import dataclasses
import http.server
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

if len(sys.argv) > 2 and os.path.exists(sys.argv[2]):
    os.execv(sys.argv[2], [sys.argv[2], *sys.argv[:2]])

from served import Server, check, random_model  # noqa: E402

PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "clients", "python")
sys.path.insert(0, PACKAGE)
import tercet  # noqa: E402
from tercet import client as client_module, transport  # noqa: E402

TERCET = sys.argv[1]
NOTES = [{"id": "moon", "title": "Tides", "text": "The moon pulls the sea: há maré.",
          "fields": {"topic": "sea", "year": 2020}},
         {"id": "disk", "text": "Pages are read from disk.", "fields": {"topic": "computing"}},
         {"id": "bread", "text": "Yeast makes dough rise.", "fields": {"topic": "food"}}]


def fails(kind, ask, what, **members):
    try:
        ask()
    except kind as error:
        found = {name: getattr(error, name) for name in members}
        check(found == members, f"{what}: {error}")
    else:
        check(False, f"{what} is an error")


# ---- against a server that misbehaves ----

class Script(http.server.BaseHTTPRequestHandler):
    """Answers in the order of `answers`; each is called with the handler."""
    protocol_version = "HTTP/1.1"
    answers, seen = [], []

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append((self.client_address, self.path, dict(self.headers)))
        self.answers.pop(0)(self)

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, *_):
        pass

    def say(self, status, body, **headers):
        self.send_response(status)
        for name, value in {"Content_Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


OK, BUSY = b'{"status":"ok"}', b'{"error":{"code":"busy","message":"full","field":null}}'


def is_well(handler):
    handler.say(200, OK)


def is_busy(handler):
    handler.say(503, BUSY, Retry_After="0")


def check_misbehaviour():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Script)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{server.server_address[1]}/behind"
    transport.WAIT_FIRST_S = 0.01

    def ask(*answers, **options):
        Script.answers[:], Script.seen[:] = answers, []
        return tercet.Client(address, **{"timeout": 5, "retries": 2, **options})

    client = ask(is_well, is_well, api_key="secret")
    check(client.health() and client.health(), "two requests")
    (first, path, headers), (second, _, _) = Script.seen
    check(first == second and path == "/behind/health" and
          headers["Authorization"] == "Bearer secret", "over one connection, with the key")
    client = ask(is_busy, is_busy, is_well)
    check(client.health() and len(Script.seen) == 3, "a 503 is asked again")
    client = ask(is_busy, is_busy, is_busy, is_well)
    fails(tercet.Busy, client.health, "three times 503", status=503, code="busy", message="full")
    check(len(Script.seen) == 3, "and not more often than told")
    client = ask(lambda handler: handler.say(500, BUSY), is_well)
    fails(tercet.TercetError, client.health, "a 500", status=500)
    check(len(Script.seen) == 1, "which is not asked again")

    def closes_silently(handler):
        handler.say(200, OK)
        handler.close_connection = True
    client = ask(closes_silently, is_well)
    check(client.health() and client.health(), "a kept connection that was closed is made again")
    client = ask(lambda handler: handler.say(200, b"<html>", Content_Type="text/html"))
    fails(tercet.TercetError, client.health, "a page", code="not_json", status=200)
    client = ask(lambda handler: handler.say(502, b"<html>"))
    fails(tercet.TercetError, client.health, "a proxy's page", code="http", status=502)

    def breaks_off(handler):
        handler.say(200, OK[:5], Content_Length="15")
        handler.close_connection = True
    client = ask(breaks_off)
    fails(tercet.Unreachable, client.health, "half an answer", code="broken_off")
    client = ask(lambda handler: time.sleep(1), timeout=0.2)
    fails(tercet.Unreachable, client.health, "silence", code="timeout")
    server.shutdown()
    server.server_close()
    fails(tercet.Unreachable, ask().health, "nobody", code="unreachable", status=None)
    fails(ValueError, lambda: tercet.Client("ftp://a"), "another scheme")
    waits = [transport.wait_s(0, "3") for _ in range(100)]
    check(3 <= min(waits) < max(waits) <= 4.5, "Retry-After, and some more at random")
    check(transport.wait_s(30, "9999") <= 15, "but not for long")


# ---- against a real one ----

def check_documents(client):
    check(client.health(), "health")
    made = client.create_collection("notes")
    check(made.name == "notes" and made.documents == 0 and made.modes, "an empty collection")
    check(client.create_collection("notes") == client.collection("notes"), "made twice")
    many = ({"id": str(i), "text": f"note {i}"} for i in range(1200))
    parts = list(client.add_in_batches("many", many))
    check([len(part.rows) for part in parts] == [512, 512, 176], "an iterable goes in batches")
    result = client.add("notes", [*NOTES, {"text": "of nobody"}, NOTES[0]])
    check((result.stored + result.unchanged, result.failed) == (4, 1), "what became of each")
    check([row.status for row in result.rows][3] == "failed" and result.rows[3].error,
          "and why one was refused")
    check(client.add("notes", []) == tercet.AddResult(0, 0, 0, []), "nothing to add")
    check([one.name for one in sorted(client.collections(), key=lambda one: one.name)] ==
          ["many", "notes"], "collections")
    got = client.get("notes", "moon")
    check((got.title, got.text, got.fields) == ("Tides", NOTES[0]["text"], NOTES[0]["fields"]),
          "a document")
    strange = "a/b c?d#é%2F"
    client.add("many", [{"id": strange, "text": "odd"}])
    check(client.get("many", strange).id == strange and client.delete("many", strange) == 1 and
          client.delete("many", strange) == 0, "an id of any letters")
    check(client.delete("many", (str(i) for i in range(5))) == 5, "some ids")
    check(client.delete("many", filter={"topic": {"$exists": True}}) == 0 and
          client.delete("many", all=True) == 1195, "by a filter; all")
    fails(ValueError, lambda: client.delete("many"), "to delete nothing in particular")
    fails(tercet.NotFound, lambda: client.get("notes", "none"), "no document", status=404)
    fails(tercet.NotFound, lambda: client.delete("none", "a"), "no collection", status=404)
    fails(tercet.TercetError, lambda: client.delete("many", filter={}), "an empty filter",
          status=400, field="filter")
    client.delete_collection("many")
    fails(tercet.NotFound, lambda: client.collection("many"), "a deleted collection",
          code="not_found")


def check_batches():
    limit, client_module.BATCH_BYTES_MAX = client_module.BATCH_BYTES_MAX, 100
    documents = [{"id": "a", "text": "x" * n} for n in (10, 10, 200, 10, 60)]
    parts = list(client_module.batches(documents))
    client_module.BATCH_BYTES_MAX = limit
    check([part.count(b"\n") for part in parts] == [2, 1, 1, 1], "batches are bounded in bytes")


def check_search(client):
    result = client.search("notes", "what moves the sea", k=2)
    check(len(result.hits) == 2 and result.hits[0].id == "moon", "the best two")
    hit = result.hits[0]
    check(set(hit.scores) == set(result.modes) and hit.scores["dense"].rank == 1 and
          hit.fields["topic"] == "sea" and hit.passage_text == hit.text and
          result.took_ms["total"] > 0, "with all that comes with them")
    result = client.search(
        "notes", "yeast", k=3, modes=["dense", "sparse"], weights={"dense": 1, "sparse": 2},
        fusion="weighted", candidates=50, exact=True, sparse_mass=1, explain=True,
        filter={"topic": {"$ne": "sea"}}, facets=["topic"], facet_limit=1)
    check([hit.id for hit in result.hits] == ["bread", "disk"] and result.fusion == "weighted" and
          result.weights == {"dense": 1, "sparse": 2} and
          result.facets["topic"]["distinct"] == 2 and "explain" in result.hits[0].raw,
          "every member arrives")
    everything = client.search("notes", "yeast", k=3)
    check([hit.id for hit in client.search("notes", "yeast", k=1, offset=1).hits] ==
          [everything.hits[1].id], "a page")
    hit = client.search("notes", "yeast", k=1, text=False).hits[0]
    check(hit.id == "bread" and hit.text == "" and everything.retrieval["sparse"] == "exact" and
          everything.filtered_to is None and result.filtered_to == 2, "without texts")
    one = client.encode(["yeast"], input_type="query")[0]
    hits = client.search("notes", dense=one.dense, sparse={"yeast": 1}, k=1).hits
    check(hits[0].id == "bread" and set(hits[0].scores) == {"dense", "sparse"}, "vectors instead")
    hits = client.search("notes", like="bread").hits
    check({hit.id for hit in hits} == {"moon", "disk"}, "more like one")
    reranked = client.search("notes", "yeast", rerank={"top": 2})
    check(reranked.rerank["scored"] == 2 and reranked.hits[0].scores["rerank"].rank == 1 and
          reranked.hits[0].scores["rerank"].contribution is None, "reranked")


def check_passages(client):
    """And highlights: ranges in bytes, of texts with characters of several."""
    made = client.create_collection("long", chunk_tokens=40, chunk_overlap=0)
    check((made.chunk_tokens, made.chunk_overlap, made.passages) == (40, 0, 0), "with passages")
    fails(tercet.TercetError, lambda: client.create_collection("long", chunk_tokens=50),
          "to cut it otherwise", status=409)
    filler = " ".join(f"Número {i} é só uma frase." for i in range(40))
    client.add("long", [{"id": "a", "text": f"{filler}\n\nYeast makes dough rise.\n\n{filler}"}])
    hit = client.search("long", "yeast and dough", k=1, highlight={"fields": ["text"]}).hits[0]
    check(client.collection("long").passages == hit.passage.of > 5 and
          "Yeast makes dough rise." in hit.passage_text and len(hit.passage_text) < 300 and
          hit.passage_text in hit.text, "the passage that answers")
    words = {tercet.results.slice_bytes(hit.text, one.begin, one.end) for one in hit.highlights}
    check({"Yeast", "dough"} <= words and all(one.field == "text" for one in hit.highlights),
          "the words that answer")
    for name, module in FRAMEWORKS.items():
        if has(module):
            found = globals()["passages_of_" + name](client)
            check(found == (hit.passage_text, (hit.passage.begin, hit.passage.end)),
                  f"{name}: the passage")
    client.delete_collection("long")


def passages_of_langchain(client):
    from tercet.langchain import TercetRetriever
    document = TercetRetriever(client=client, collection="long").invoke("yeast and dough")[0]
    return document.page_content, document.metadata["passage"]


def passages_of_llama_index(client):
    from tercet.llama_index import TercetRetriever
    node = TercetRetriever(client, "long").retrieve("yeast and dough")[0]
    return node.text, node.metadata["passage"]


def check_search_batch(client):
    searches = [{"query": "yeast", "k": 1 + i % 3} for i in range(70)]
    searches[65] = {"query": "yeast", "k": 0}
    searches[66] = {"like": "moon", "filter": None}
    results = client.search_batch("notes", searches)
    check([len(one.hits) for one in results[:65]] == [1 + i % 3 for i in range(65)] and
          len(results[66].hits) == 2, "70 searches in two requests")
    check(isinstance(results[65], tercet.TercetError) and results[65].field == "k",
          "one of them has an error of its own")
    check(client.search_batch("notes", []) == [], "none at all")


def check_search_errors(client):
    fails(tercet.TercetError, lambda: client.search("notes", "a", k=0), "k of 0", status=400,
          field="k", code="bad_request")
    fails(tercet.NotFound, lambda: client.search("none", "a"), "no collection")
    check(tercet.results.slice_bytes("há maré", 4, 9) == "maré", "ranges are in bytes")


def check_models(client):
    encodings = client.encode([f"text {i}" for i in range(300)], modes=["dense"])
    check(len(encodings) == 300 and encodings[299].sparse is None and
          encodings[299] == client.encode(["text 299"], modes=["dense"])[0], "300 texts")
    one = client.encode(["the sea"], input_type="query", truncate=True)[0]
    check(one.dense and one.sparse and one.multi and one.tokens > len(one.multi),
          "all three modes")
    first, second = client.score([("the sea", "the sea"), ("the sea", "a tax")])
    check(abs(first.dense - 1) < .01 and first.dense > second.dense and first.colbert, "scores")
    hits = client.rerank("the sea", ["the moon", "a tax", "salt"], top_n=2)
    check(len(hits) == 2 and 1 > hits[0].score >= hits[1].score > 0, "rerank")
    fails(tercet.TercetError, lambda: client.rerank("the sea", []), "no documents", status=400)


class ChatModel(http.server.BaseHTTPRequestHandler):
    """Says two words, or hangs up."""

    def do_POST(self):
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for word in ("Two ", "words [1]."):
            self.wfile.write(b'data: {"choices":[{"delta":{"content":"%s"}}]}\n\n' % word.encode())
        if b"hang up" not in asked:
            self.wfile.write(b"data: [DONE]\n\n")

    log_message = Script.log_message


def check_answers(folder, client):
    fails(tercet.TercetError, lambda: client.answer("notes", "why"), "no chat model", status=422)
    chat = http.server.ThreadingHTTPServer(("127.0.0.1", 0), ChatModel)
    threading.Thread(target=chat.serve_forever, daemon=True).start()
    with Server(TERCET, folder + "/chat", "--answer-model", "m", "--answer-url",
                f"http://127.0.0.1:{chat.server_address[1]}/v1") as server, \
            tercet.Client(server.url) as client:
        client.add("notes", NOTES)
        with client.stream_answer("notes", "what moves the sea", k=2) as stream:
            check([one.number for one in stream.sources] == [1, 2] and stream.result is None,
                  "an answer's sources come first")
            check("".join(stream) == "Two words [1].", "then its words")
        check(stream.result.cited == [1] and stream.result.finish == "stop", "then its end")
        answer = client.answer("notes", "what moves the sea", filter={"topic": "food"})
        check(answer.answer == "Two words [1]." and
              [one.id for one in answer.sources] == ["bread"] and answer.sources[0].text == NOTES[2]["text"], "all at once")
        fails(tercet.TercetError, lambda: client.answer("notes", "hang up"), "a model that fails",
              code="model_failed")
        with client.stream_answer("notes", "why") as stream:
            pass
        check(client.health(), "one that nobody reads")
    chat.shutdown()
    chat.server_close()


def check_threads(client):
    found = []

    def ask():
        found.extend(client.search("notes", "bread", k=1).hits[0].id for _ in range(20))
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(found == ["bread"] * 160, "a client of eight threads")


def check_langchain(client):
    from tercet.langchain import TercetRetriever
    retriever = TercetRetriever(client=client, collection="notes", k=2,
                                search={"modes": ["dense"]})
    documents = retriever.invoke("what moves the sea")
    hits = client.search("notes", "what moves the sea", k=2, modes=["dense"]).hits
    check([(one.id, one.page_content, one.metadata["score"]) for one in documents] ==
          [(hit.id, hit.text, hit.score) for hit in hits] and
          documents[0].metadata["topic"] == "sea" and list(documents[0].metadata["scores"]) ==
          ["dense"], "langchain: a search's hits")
    check([one.id for one in asyncio.run(retriever.ainvoke("dough", k=1))] == ["bread"] and
          [one.id for one in retriever.invoke("dough", filter={"topic": "sea"})] == ["moon"],
          "langchain: async; k and a filter beside the query")
    chain = retriever | (lambda found: [one.id for one in found])
    check([ids[0] for ids in chain.batch(["dough", "the sea"])] == ["bread", "moon"],
          "langchain: in a chain")


def check_llama_index(client):
    from tercet.llama_index import TercetRetriever
    retriever = TercetRetriever(client, "notes", k=2, filter={"topic": {"$ne": "food"}})
    nodes = retriever.retrieve("what moves the sea")
    hits = client.search("notes", "what moves the sea", k=2,
                         filter={"topic": {"$ne": "food"}}).hits
    check([(one.node.node_id, one.text, one.score) for one in nodes] ==
          [(hit.id, hit.text, hit.score) for hit in hits] and
          nodes[0].metadata["topic"] == "sea", "llama-index: a search's hits")
    check([one.node.node_id for one in asyncio.run(retriever.aretrieve("disk"))][0] == "disk",
          "llama-index: async")


def check_readme(url):
    with open(PACKAGE + "/README.md", encoding="utf-8") as file:
        blocks = re.findall(r"^```python\n(.*?)^```", file.read(), re.S | re.M)
    names, ran = {}, 0
    for block in blocks:
        if importable(block):
            exec(compile(block.replace("http://127.0.0.1:8080", url), "README.md", "exec"), names)
            ran += 1
    check(ran >= 5 and names["documents" if "documents" in names else "document"],
          f"{ran} of {len(blocks)} examples of the README run")


FRAMEWORKS = {"langchain": "langchain_core", "llama_index": "llama_index.core"}


def has(module):
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def importable(block):
    return all(has(needed) for name, needed in FRAMEWORKS.items() if f"tercet.{name}" in block)


def check_types():
    checked = subprocess.run([sys.executable, "-m", "mypy", "--strict", "-p", "tercet",
                              "--cache-dir", os.devnull, "--ignore-missing-imports"],
                             cwd=PACKAGE, capture_output=True, text=True)
    print(checked.stdout + checked.stderr if checked.returncode else "", end="")
    check(checked.returncode == 0, "mypy --strict")


def main():
    check_misbehaviour()
    check_batches()
    check(all(dataclasses.is_dataclass(kind) for kind in (tercet.Hit, tercet.SearchResult)),
          "results are values")
    with tempfile.TemporaryDirectory() as folder:
        reranker = random_model(TERCET, "v2-m3", folder + "/reranker")
        with Server(TERCET, folder + "/data", "--reranker", reranker) as server, \
                tercet.Client(server.url) as client:
            check_documents(client)
            check_search(client)
            check_passages(client)
            check_search_batch(client)
            check_search_errors(client)
            check_models(client)
            check_answers(folder, client)
            check_threads(client)
            for name, module in FRAMEWORKS.items():
                if has(module):
                    globals()["check_" + name](client)
                else:
                    print(f"left out: {module} is not installed")
            client.delete_collection("notes")
            check_readme(server.url)
            server.stop()
    if has("mypy"):
        check_types()


main()
