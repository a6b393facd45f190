"""For tests/each_answer.py: requests for the answers that a route has of its own, and the chat
model behind them. What every route may answer is asked there, of all routes alike."""
import http.server
import json
import threading

NOTES = [{"id": "moon", "title": "Tides", "text": "The moon pulls the sea towards it. " * 5},
         {"id": "bread", "text": "Yeast makes dough rise.", "fields": {"topic": "food"}}]
LONG = "a" * ((1 << 20) + 1)  # bytes: a text or a query has 1 MiB at most
MANY = ["a"] * 1025  # texts: 1,024 at most
UNCUT = "a " * 600  # more tokens than the model of the server "bare" reads
RERANK = {"query": "sea", "documents": ["a", {"text": "b"}]}


def ask(status, body=None, at="main", headers=None, **params):
    """at: which server. params: what stands in the path instead of the usual."""
    return {"status": status, "body": body, "at": at, "headers": headers,
            "params": {"c": "notes", "id": "moon", **params}}


# In this order: what a request makes is there for those behind it.
WANTED = {
    "GET /": [ask(200)],
    "GET /health": [ask(200)],
    "GET /ready": [ask(200)],
    "GET /metrics": [ask(200)],
    "GET /openapi.json": [ask(200)],
    "GET /info": [ask(200), ask(200, at="bare")],
    "GET /v1/models": [ask(200), ask(200, at="bare")],
    "PUT /v1/collections/{c}": [
        ask(201, c="plain"), ask(201, {"chunk_tokens": 40}, c="cut"), ask(200, c="cut"),
        ask(200, {"chunk_tokens": 40, "chunk_overlap": 5}, c="cut"),
        ask(409, {"chunk_tokens": 50}, c="cut"),
        ask(201, {"model": None, "dense_dim": 2}, c="ready"), ask(409, {"model": None}, c="cut"),
        ask(400, {"chunk_tokens": -1}, c="other"),
        ask(400, {"size": 1}, c="other"), ask(400, "no json", c="other")],
    "GET /v1/collections": [ask(200), ask(200, at="bare")],
    "GET /v1/collections/{c}": [ask(200), ask(200, c="cut"), ask(200, c="ready"),
                                ask(404, c="none")],
    "POST /v1/collections/{c}/documents": [
        ask(200, [{"id": "long", "text": "The moon pulls the sea. " * 50}], c="cut"),
        ask(200, [{"id": "a", "text": "one", "dense": [1, 0]}, {"id": "b"}], c="ready"),
        ask(200, [{"id": "a", "text": "one"}, {"id": "b"}, 5], c="plain"),
        ask(200, '{"id":"a","text":"one"}\n{"id":"c","text":"two"}\n', c="plain",
            headers={"Content-Type": "application/x-ndjson"}),
        ask(400, ""), ask(400, "[{"), ask(400, [])],
    "GET /v1/collections/{c}/documents/{id}": [
        ask(200), ask(404, id="none"), ask(404, c="none"), ask(400, id="x" * 513)],
    "POST /v1/collections/{c}/search": [
        ask(200, {"query": "sea"}),
        ask(200, {"query": "sea", "explain": True, "highlight": True, "facets": ["topic"],
                  "filter": {"topic": "food"}, "rerank": {"top": 1}}),
        ask(200, {"like": "moon", "modes": ["dense"]}), ask(200, {"query": "moon"}, c="cut"),
        ask(200, {"dense": [1, 0], "text": False}, c="ready"),
        ask(200, {"query": "one"}, c="ready"),
        ask(400, {"query": "one", "modes": ["dense"]}, c="ready"),
        ask(400, {"query": 5}), ask(400, "no json"), ask(404, {"query": "sea"}, c="none"),
        ask(404, {"like": "none"}), ask(413, {"query": LONG}),
        ask(422, {"query": "sea", "rerank": {}}, at="bare"),
        ask(422, {"query": "sea", "rerank": {"model": "another"}})],
    "POST /v1/collections/{c}/search/batch": [
        ask(200, {"searches": [{"query": "sea"}, {"query": 5}]}),
        ask(400, {"searches": []}), ask(404, {"searches": [{"query": "sea"}]}, c="none"),
        ask(413, {"searches": [{"query": "sea"}] * 65})],
    "POST /v1/collections/{c}/answer": [
        ask(200, {"question": "well"}), ask(200, {"question": "well", "stream": False}),
        ask(200, {"question": "well", "stream": False, "filter": {"topic": "none"}}),
        ask(400, {"question": ""}), ask(404, {"question": "well"}, c="none"),
        ask(413, {"question": "well", "query": LONG}), ask(422, {"question": "well"}, at="bare"),
        ask(502, {"question": "fail", "stream": False}),
        ask(504, {"question": "stall", "stream": False})],
    "POST /v1/collections/{c}/documents/delete": [
        ask(200, {"filter": {"topic": "none"}}), ask(400, {"filter": {}}), ask(400, "no json"),
        ask(404, {"all": True}, c="none"), ask(200, {"all": True}, c="cut")],
    "DELETE /v1/collections/{c}/documents/{id}": [
        ask(200, c="plain", id="a"), ask(404, c="plain", id="a"), ask(404, c="none"),
        ask(400, id="x" * 513)],
    "DELETE /v1/collections/{c}": [ask(200, c="cut"), ask(200, c="plain"), ask(404, c="none")],
    "POST /v1/encode": [
        ask(200, {"texts": ["a", {"id": 7, "text": "b"}]}), ask(200, {"texts": "a"}, at="bare"),
        ask(400, {"texts": 5}), ask(400, {"texts": "a", "more": 1}), ask(413, {"texts": MANY}),
        ask(413, {"texts": LONG}), ask(422, {"texts": UNCUT, "truncate": False}, at="bare")],
    "POST /v1/score": [
        ask(200, {"pairs": [{"query": "a", "passage": "b"}]}),
        ask(200, {"pairs": [{"query": "a", "passage": "b"}]}, at="bare"),
        ask(400, {"pairs": []}), ask(413, {"pairs": [{"query": "a", "passage": "b"}] * 1025}),
        ask(422, {"pairs": [{"query": "a", "passage": UNCUT}], "truncate": False}, at="bare")],
    "POST /v1/embeddings": [
        ask(200, {"input": "a"}), ask(200, {"input": ["a", "b"], "encoding_format": "base64"}),
        ask(400, {"input": [1, 2]}), ask(400, {"input": ""}), ask(413, {"input": MANY}),
        ask(422, {"input": UNCUT, "truncate": False}, at="bare")],
    "POST /embed": [
        ask(200, {"inputs": ["a", "b"]}), ask(413, {"inputs": MANY}), ask(422, {"inputs": 5}),
        ask(422, {"inputs": "a", "dimensions": 5})],
    "POST /embed_sparse": [
        ask(200, {"inputs": "a"}), ask(413, {"inputs": MANY}), ask(422, {"inputs": 5}),
        ask(422, {"inputs": "a"}, at="bare")],
    "POST /embed_all": [
        ask(200, {"inputs": "a"}), ask(413, {"inputs": MANY}), ask(422, {"inputs": 5})],
    "POST /rerank": [
        ask(200, {"query": "sea", "texts": ["a", "b"], "return_text": True}),
        ask(413, {"query": "sea", "texts": MANY}), ask(422, {"query": "sea"}),
        ask(422, {"query": "sea", "texts": ["a"]}, at="bare")],
    "POST /v1/rerank": [
        ask(200, RERANK), ask(400, {"query": "sea"}), ask(413, {**RERANK, "documents": MANY}),
        ask(422, RERANK, at="bare")],
    "POST /v2/rerank": [
        ask(200, {**RERANK, "return_documents": True}), ask(400, {**RERANK, "top_n": 0}),
        ask(413, {**RERANK, "documents": MANY}), ask(422, RERANK, at="bare")],
}


# ---- the chat model ----

class Model(http.server.BaseHTTPRequestHandler):
    """OpenAI's chat completions; the question's last word says what comes of it."""
    protocol_version = "HTTP/1.1"
    over = threading.Event()

    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        last = asked["messages"][-1]["content"].split()[-1]
        choice = {"message": {"content": "The moon [1]."}, "finish_reason": "stop"}
        answer = json.dumps({"choices": [choice]}).encode()
        if last == "stall":
            Model.over.wait()
        self.send_response(500 if last == "fail" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


class Models(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_):
        """Whoever was stalled is gone."""


def start_model():
    """Options of a server that asks it."""
    model = Models(("127.0.0.1", 0), Model)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    return ["--answer-url", f"http://127.0.0.1:{model.server_port}/v1", "--answer-model", "m"]
