#!/usr/bin/env python3
"""The encode routes answer as the command line does, with models of every kind.

usage: encode_routes.py TERCET
"""
import json
import math
import sys
import tempfile

from served import Server, check, random_model, run

TERCET = sys.argv[1]
TEXTS = ["the tides follow the moon", "disk pages", "naïve “quotes” \u2581 \U0001f30a", "a" * 300]
QUERY, PASSAGES = "what moves the sea", ["the moon", "a tax on salt", "waves and wind"]


def lines(texts):
    return "".join(json.dumps(text) + "\n" for text in texts)


def check_as_command_line(server, model):
    """int8, f32 alike: both are told to take the precision of the server."""
    options = ["--model", model] if model else []
    rows = [{"id": i, "text": text} for i, text in enumerate(TEXTS)]
    said = run(TERCET, "encode", *options, "--precision", "f32", stdin=lines(rows))
    answer = server.post("/v1/encode", {"texts": rows})
    check([json.loads(line) for line in said.splitlines()] == answer["encodings"],
          "/v1/encode gives what tercet encode gives, to the last digit")
    check(answer["precision"] == "f32", "and says in which precision")
    said = run(TERCET, "encode", *options, "--precision", "f32", "--query", "--dense",
               stdin=lines(rows[:2]))
    answer = server.post("/v1/encode", {"texts": rows[:2], "modes": ["dense"],
                                        "input_type": "query"})
    check([json.loads(line) for line in said.splitlines()] == answer["encodings"],
          "and the same for queries")
    pairs = [{"id": i, "query": QUERY, "passage": text} for i, text in enumerate(PASSAGES)]
    said = run(TERCET, "score", *options, "--precision", "f32", "--weights", "1,.3,1",
               stdin=lines(pairs))
    answer = server.post("/v1/score", {"pairs": pairs, "weights": [1, .3, 1]})
    check([json.loads(line) for line in said.splitlines()] == answer["scores"],
          "/v1/score gives what tercet score gives")


def check_large_requests(server):
    """Parts and cores must not show."""
    texts = [f"text number {i} " * (1 + i % 7) for i in range(200)]
    together = server.post("/embed", {"inputs": texts})
    one_by_one = [server.ask("POST", "/embed", {"inputs": text}).json()[0] for text in texts[::29]]
    check(together[::29] == one_by_one, "200 texts at once: the vectors of each alone")


def check_sparse(server):
    ours = server.post("/v1/encode", {"texts": TEXTS, "modes": ["sparse"]})["encodings"]
    tei = server.post("/embed_sparse", {"inputs": TEXTS})
    check([{str(term["index"]): term["value"] for term in text} for text in tei] ==
          [row["sparse"] for row in ours], "/embed_sparse: the sparse head by token id")
    check(len(tei[0]) > 0, "which has weights")
    multi = server.post("/embed_all", {"inputs": TEXTS[:1]})
    ours = server.post("/v1/encode", {"texts": TEXTS[:1], "modes": ["multi"]})["encodings"]
    check(multi == [ours[0]["multi"]], "/embed_all: the token vectors")


def check_rerank(server, reranker):
    pairs = [{"query": QUERY, "passage": text} for text in PASSAGES]
    said = run(TERCET, "rerank", "--model", reranker, "--precision", "f32", stdin=lines(pairs))
    logits = [json.loads(line)["score"] for line in said.splitlines()]
    order = sorted(range(3), key=lambda i: -logits[i])
    raw = server.post("/rerank", {"query": QUERY, "texts": PASSAGES, "raw_scores": True})
    check([(hit["index"], hit["score"]) for hit in raw] == [(i, logits[i]) for i in order],
          "/rerank: tercet rerank's scores, best first")
    soft = server.post("/rerank", {"query": QUERY, "texts": PASSAGES, "return_text": True})
    check(all(abs(hit["score"] - 1 / (1 + math.exp(-logits[hit["index"]]))) < 1e-6 and
              hit["text"] == PASSAGES[hit["index"]] for hit in soft), "or between 0 and 1")
    for path in ("/v1/rerank", "/v2/rerank"):
        answer = server.post(path, {"model": "any", "query": QUERY, "top_n": 2,
                                    "documents": [PASSAGES[0], {"text": PASSAGES[1]}, PASSAGES[2]],
                                    "return_documents": True})
        check([hit["index"] for hit in answer["results"]] == order[:2] and
              answer["results"][0]["document"]["text"] == PASSAGES[order[0]] and
              answer["results"][0]["relevance_score"] == soft[0]["score"], f"{path}: the best two")
    for body in ({"documents": PASSAGES}, {"query": QUERY}, {"query": QUERY, "documents": []},
                 {"query": QUERY, "documents": [5]},
                 {"query": QUERY, "documents": PASSAGES, "top_n": 0}):
        check("message" in server.post("/v1/rerank", body, status=400), "what is wrong is said")
    server.post("/v1/rerank", {"query": QUERY, "documents": ["a"] * 1025}, status=413)
    server.post("/rerank", {"query": QUERY, "texts": "a" * (1 << 20 | 1)}, status=413)


def main():
    with tempfile.TemporaryDirectory() as folder:
        m3 = random_model(TERCET, "m3", folder + "/m3")
        reranker = random_model(TERCET, "v2-m3", folder + "/reranker")
        with Server(TERCET, folder + "/data", "--precision", "f32") as server:
            check_as_command_line(server, None)
            check_large_requests(server)
            server.stop()
        with Server(TERCET, folder + "/data", "--precision", "f32", "--model", m3,
                    "--reranker", reranker) as server:
            check_as_command_line(server, m3)
            check_sparse(server)
            check_rerank(server, reranker)
            info = server.ask("GET", "/info").json()
            check(info["model_id"] == "m3" and info["reranker_id"] == "reranker",
                  "a folder's path is not told to clients")
            server.stop()
        run(TERCET, "serve", "--data", folder + "/data", "--reranker", m3, status=1)
        run(TERCET, "serve", "--data", folder + "/data", "--reranker", folder + "/none", status=1)


main()
