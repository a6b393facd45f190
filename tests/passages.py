#!/usr/bin/env python3
"""Long texts as passages, from the command line and over HTTP: a known sentence is found in its
passage, whatever the script; what is stored goes out, comes back, is compacted and checked.

usage: passages.py TERCET
"""
import json
import os
import random
import sys
import tempfile

from served import Server, check, random_model, run

TERCET = sys.argv[1]

FILLERS = {
    "english": ["The committee went on to discuss the budget of the coming year.",
                "Several members asked for a longer break at noon.",
                "Nobody had read the report on road repairs.",
                "A vote was taken on the second motion, 3.5 to one.\n\n",
                "# Next point\n"],
    "japanese": ["今日は天気がいいです。", "大学の学生は本を読む。", "市の中心に駅がある。",
                 "来月から新しい道を作る。\n\n", "会社は小さい国にある。"],
    "arabic": ["ناقش المجلس ميزانية العام القادم.", "لم يقرأ احد التقرير.",
               "طلب الاعضاء وقتا اطول؟", "كان الطقس جميلا اليوم.\n\n", "شكر الرئيس الكاتب."],
}
SENTENCES = {
    "english": "The lighthouse keeper painted the northern door bright yellow.",
    "japanese": "山田さんは古い時計を海に投げた。",
    "arabic": "رمى الصياد الساعة القديمة في البحر.",
}
QUERIES = {**SENTENCES, "english": "which door did the lighthouse keeper paint?"}


def documents():
    dice = random.Random(4)
    for name, fillers in FILLERS.items():
        parts = [dice.choice(fillers) for _ in range(90)]
        parts.insert(60, SENTENCES[name])
        yield {"id": name, "title": f"Minutes, {name}", "text": " ".join(parts),
               "fields": {"lang": name}}
    yield {"id": "short", "title": "A note", "text": "Short enough to be one passage."}


DOCUMENTS = {document["id"]: document for document in documents()}
LINES = "".join(json.dumps(document) + "\n" for document in DOCUMENTS.values())


def part(hit):
    """The bytes of the hit's own text that its passage is."""
    passage = hit["passage"]
    check(0 <= passage["index"] < passage["of"], f"passage {passage}")
    return hit["text"].encode()[passage["begin"]:passage["end"]].decode()


def is_found(hits, name, what):
    check(hits[0]["id"] == name and SENTENCES[name] in part(hits[0]), f"{name}: found by {what}")
    check(hits[0]["text"] == DOCUMENTS[name]["text"], "the text is whole all the same")


def check_command_line(folder):
    index, file = os.path.join(folder, "index"), os.path.join(folder, "rows.jsonl")
    with open(file, "w") as out:
        out.write(LINES)
    run(TERCET, "ingest", index, file, "--chunk-tokens", "60", "--chunk-overlap", "15")
    info = json.loads(run(TERCET, "info", index, "--json"))
    check(info["chunk_tokens"] == 60 and info["chunk_overlap"] == 15 and info["documents"] == 4 and
          info["passages"] > 40, f"{info['passages']} passages of {info['documents']} documents")
    check("passages     " in run(TERCET, "info", index), "in words, too")
    for name, query in QUERIES.items():
        for modes in "dense", "multi", "dense,sparse,multi":
            answer = json.loads(run(TERCET, "search", index, query, "--modes", modes, "--json"))
            is_found(answer["hits"], name, modes)
        check(answer["weights"] == {"dense": 0.15, "sparse": 0.65, "multi": 0.2} or
              abs(answer["weights"]["sparse"] - .65) < 1e-6, "weights for passages")
        short = [hit for hit in answer["hits"] if hit["id"] == "short"][0]
        check(part(short) == short["text"] and short["passage"]["of"] == 1, "one passage is the text")
    shown = run(TERCET, "search", index, QUERIES["english"], "-k", "1")
    check("lighthouse" in shown, "that part is shown")
    sparse = json.loads(run(TERCET, "search", index, "lighthouse", "--modes", "sparse", "--json"))
    check("passage" not in sparse["hits"][0], "terms alone know of no passage")
    explained = json.loads(run(TERCET, "search", index, QUERIES["english"], "--explain", "--json"))
    hit = explained["hits"][0]
    read = (hit["title"] + " " + part(hit)).lower()
    tokens = [token["passage"].lower() for token in hit["explain"]["tokens"]]
    check(all(token in read or token.startswith("[") for token in tokens) and
          "lighthouse" in tokens, f"tokens are that passage's: {tokens}")
    for token in hit["explain"]["tokens"]:
        if "field" in token:
            whole = hit[token["field"]].encode()
            check(whole[token["begin"]:token["end"]].decode().lower() == token["passage"].lower(),
                  f"{token['passage']} stands at {token['field']} {token['begin']}")
            check(token["field"] == "title" or
                  hit["passage"]["begin"] <= token["begin"] < token["end"] <= hit["passage"]["end"],
                  "in the passage")
    filtered = json.loads(run(TERCET, "search", index, QUERIES["english"], "--json",
                              "--filter", '{"lang":"arabic"}'))
    check([hit["id"] for hit in filtered["hits"]] == ["arabic"], "a filter counts documents")

    run(TERCET, "ingest", index, file, "--chunk-tokens", "60")
    run(TERCET, "ingest", index, file)
    run(TERCET, "ingest", index, file, "--chunk-tokens", "61", status=1)
    run(TERCET, "ingest", index, file, "--chunk-tokens", "60", "--chunk-overlap", "3", status=1)
    run(TERCET, "ingest", index, file, "--chunk-overlap", "3", status=2)
    new = os.path.join(folder, "new")
    run(TERCET, "ingest", new, file, "--chunk-tokens", "600", status=1)
    run(TERCET, "ingest", new, file, "--chunk-tokens", "60", "--chunk-overlap", "31", status=1)
    check(not os.path.exists(os.path.join(new, "data.mdb")), "and nothing is made")
    return index, file


def check_moves(folder, index, file):
    rows = run(TERCET, "export", index)
    check(all(("passages" in row) == (row["id"] != "short")
              for row in map(json.loads, rows.splitlines())), "export has passages")
    back, exported = os.path.join(folder, "back"), os.path.join(folder, "exported.jsonl")
    with open(exported, "w") as out:
        out.write(rows)
    run(TERCET, "ingest", back, exported, "--chunk-tokens", "60", "--chunk-overlap", "15")
    check(run(TERCET, "export", back) == rows, "and ingest takes them back to the byte")
    plain = os.path.join(folder, "plain")
    run(TERCET, "ingest", plain, exported, status=1)
    check(json.loads(run(TERCET, "info", plain, "--json"))["documents"] == 1,
          "an index without passages takes what has none")
    before = run(TERCET, "search", index, QUERIES["english"], "-k", "3")
    for _ in range(2):
        with open(file, "w") as out:
            out.write(LINES.replace("Minutes", "Notes"))
        run(TERCET, "ingest", index, file)
        with open(file, "w") as out:
            out.write(LINES)
        run(TERCET, "ingest", index, file)
    run(TERCET, "compact", index)
    run(TERCET, "check", index)
    check(run(TERCET, "search", index, QUERIES["english"], "-k", "3").splitlines()[1:3] ==
          before.splitlines()[1:3], "the same answer after updates and compaction")
    copy, returned = os.path.join(folder, "copy"), os.path.join(folder, "returned")
    run(TERCET, "snapshot", index, copy)
    run(TERCET, "restore", returned, copy)
    check(run(TERCET, "export", returned) == run(TERCET, "export", index), "snapshot and restore")
    run(TERCET, "delete", index, "english")
    info = json.loads(run(TERCET, "info", index, "--json"))
    check(info["documents"] == 3 and info["passages"] < 90, "a document goes with its passages")


def refused(server, status, field, body):
    answer = server.ask("PUT", "/v1/collections/bad", body)
    error = answer.json()["error"]
    check(answer.status == status and error["field"] == field,
          f"PUT {json.dumps(body)} -> {status} {field}: {error['message'][:70]}")


def check_server(folder):
    reranker = random_model(TERCET, "v2-m3", os.path.join(folder, "reranker"))
    data = os.path.join(folder, "data")
    os.mkdir(data)
    with Server(TERCET, data, "--reranker", reranker) as server:
        chosen = {"chunk_tokens": 60, "chunk_overlap": 15}
        made = server.ask("PUT", "/v1/collections/long", chosen)
        check(made.status == 201 and {**made.json(), **chosen} == made.json() and
              made.json()["passages"] == 0, "PUT makes a collection of passages")
        check(server.ask("PUT", "/v1/collections/long", chosen).status == 200, "again: as it is")
        check(server.ask("PUT", "/v1/collections/long").status == 200, "without a word: as it is")
        check(server.ask("PUT", "/v1/collections/long", {"chunk_tokens": 60}).status == 200,
              "its own overlap")
        for body in {"chunk_tokens": 61}, {"chunk_tokens": 60, "chunk_overlap": 0}, \
                {"chunk_tokens": 0}:
            answer = server.ask("PUT", "/v1/collections/long", body)
            check(answer.status == 409 and answer.json()["error"]["field"] == "chunk_tokens",
                  f"{body} -> 409")
        refused(server, 400, "chunk_overlap", {"chunk_overlap": 3})
        refused(server, 400, "chunk_tokens", {"chunk_tokens": "many"})
        refused(server, 400, "chunk_tokens", {"chunk_tokens": 1.5})
        refused(server, 400, None, {"chunk_tokens": 100, "chunk_overlap": 51})
        refused(server, 400, None, {"chunk_tokens": 100000})
        refused(server, 400, "chunks", {"chunks": 3})
        refused(server, 400, None, [3])
        refused(server, 400, None, "{")
        check(server.ask("GET", "/v1/collections/bad").status == 404, "and nothing was made")

        for name in "long", "whole":
            answer = server.post(f"/v1/collections/{name}/documents", list(DOCUMENTS.values()))
            check(answer["stored"] == 4, f"{name}: four stored")
        about = server.ask("GET", "/v1/collections/long").json()
        whole = server.ask("GET", "/v1/collections/whole").json()
        check(about["passages"] > 40 and whole["passages"] == 4 and whole["chunk_tokens"] == 0,
              "GET tells")
        search = "/v1/collections/long/search"
        for name, query in QUERIES.items():
            is_found(server.post(search, {"query": query})["hits"], name, "all modes")
        hit = server.post(search, {"query": QUERIES["english"], "highlight": True})["hits"][0]
        words = [hit[mark["field"]].encode()[mark["begin"]:mark["end"]].decode()
                 for mark in hit["highlights"]]
        check("lighthouse" in words and "keeper" in words, f"highlights: {words}")
        hits = server.post("/v1/collections/whole/search", {"query": QUERIES["english"]})["hits"]
        check(not any("passage" in hit for hit in hits), "no passages where texts are not cut")
        hits = server.post(search, {"like": "english"})["hits"]
        check(hits and all(hit["id"] != "english" and "passage" in hit for hit in hits), "like")
        answer = server.post(search, {"query": QUERIES["english"], "rerank": {"top": 4}})
        check(answer["rerank"]["scored"] == 4 and all("passage" in hit for hit in answer["hits"]),
              "reranked by their passages")
        answer = server.post(search, {"query": QUERIES["english"], "text": False})
        check("text" not in answer["hits"][0] and "passage" in answer["hits"][0],
              "passages of texts that are left out")
        answer = server.post("/v1/collections/long/documents",
                             [{**DOCUMENTS["english"], "text": "Replaced by less."}])
        check(answer["stored"] == 1 and
              server.ask("GET", "/v1/collections/long").json()["passages"] < about["passages"] - 10,
              "a shorter text has fewer")
        server.stop()


def main():
    with tempfile.TemporaryDirectory() as folder:
        index, file = check_command_line(folder)
        check_moves(folder, index, file)
        check_server(folder)


main()
