#!/usr/bin/env python3
"""The whole path, as a user walks it: ingest real text, search it from the command line and over
HTTP, kill the server, and find everything again. Standard library only.

usage: end_to_end.py TERCET FACTS.jsonl [BEIR_FOLDER]

With a BEIR folder its first documents are the corpus as well. Prints what it checks; exits 1 at the
first thing that does not hold.
"""
import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

TERCET, FACTS = sys.argv[1], sys.argv[2]
BEIR = sys.argv[3] if len(sys.argv) > 3 and os.path.isdir(sys.argv[3]) else None
BEIR_DOCUMENTS = 150  # some seconds of encoding
QUERIES = {  # query -> the fact that answers it
    "why does the sea rise and fall every day": "tides",
    "how do plants make sugar from light": "photosynthesis",
    "data structure for disk pages": "btree",
    "sending lost bytes again until they are acknowledged": "tcp",
    "what keeps blood from flowing backwards": "heart",
    "instrument played with a bow": "violin",
}


def check(condition, what):
    print(("ok    " if condition else "FAILED ") + what, flush=True)
    if not condition:
        sys.exit(1)


def tercet(*words, status=0, stdin=""):
    done = subprocess.run([TERCET, *words], input=stdin, capture_output=True, text=True, timeout=300)
    if done.returncode != status:
        print(done.stdout, done.stderr)
    check(done.returncode == status, f"tercet {' '.join(words)[:60]} exits {status}")
    return done


def search_cli(index, query, *options):
    return json.loads(tercet("search", index, query, "--json", *options).stdout)


class Server:
    def __init__(self, data):
        self.process = subprocess.Popen(
            [TERCET, "serve", "--data", data, "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        seen = []
        for line in self.process.stdout:
            seen.append(line)
            address = re.search(r"http://[0-9.:]+", line)
            if address:
                self.url = address.group(0)
                return
        check(False, f"the server says where it listens, not: {''.join(seen)}")

    def request(self, method, path, body=None):
        data = body.encode() if isinstance(body, str) else body and json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def search(self, collection, query, **more):
        status, answer = self.request("POST", f"/v1/collections/{collection}/search",
                                      {"query": query, **more})
        check(status == 200, f"search over HTTP: {query[:40]}")
        return answer

    def stop(self, how, expected):
        self.process.send_signal(how)
        check(self.process.wait(timeout=60) == expected, f"{how.name} ends the server ({expected})")
        self.process.stdout.close()


def same(a, b):
    """Everything but the time taken."""
    return {**a, "took_ms": None} == {**b, "took_ms": None}


def write_corpus(folder):
    path = os.path.join(folder, "corpus.jsonl")
    with open(path, "w") as out, open(FACTS) as facts:
        out.write(facts.read())
        out.write('{"id":"broken","title":"cut off\n')  # one bad row, on a known line
        if BEIR:
            with open(os.path.join(BEIR, "corpus.jsonl")) as corpus:
                for _, line in zip(range(BEIR_DOCUMENTS), corpus):
                    out.write(line)
    with open(path) as corpus:
        lines = corpus.readlines()
    return path, lines.index('{"id":"broken","title":"cut off\n') + 1, len(lines) - 1


def check_ingest(index, folder):
    corpus, bad_line, good = write_corpus(folder)
    first = tercet("ingest", index, corpus, status=1)  # a bad row is reported, and the rest goes on
    check(f"corpus.jsonl:{bad_line}" in first.stderr, "the bad row is named with file and line")
    info = json.loads(tercet("info", index, "--json").stdout)
    check(info["documents"] == good, f"{good} documents are in")
    again = tercet("ingest", index, corpus, status=1)
    check(f"{good} unchanged" in again.stdout + again.stderr, "unchanged documents are skipped")
    check(json.loads(tercet("info", index, "--json").stdout)["documents"] == good, "none is twice")
    return good


def check_command_line(index):
    answers = {}
    for query, key in QUERIES.items():
        answers[query] = search_cli(index, query, "--explain")
        check(answers[query]["hits"][0]["id"] == key, f"{query} -> {key}")
        scores = answers[query]["hits"][0]["scores"]
        check(set(scores) == {"dense", "sparse", "multi"}, "three scores a hit")
        total = sum(mode["contribution"] for mode in scores.values())
        check(abs(total - answers[query]["hits"][0]["score"]) < 1e-4, "contributions add up")
    explained = answers["data structure for disk pages"]["hits"][0]["explain"]
    check(any(term["score"] > 0 for term in explained["terms"]), "terms are explained")
    check(any(token["query"] == "disk" and token["passage"] == "disk"
              for token in explained["tokens"]), "tokens are explained")
    for fusion in ("zscore", "weighted", "rrf", "minmax", "dbsf"):
        answer = search_cli(index, "moon and oceans", "--fusion", fusion, "-k", "3")
        check(answer["fusion"] == fusion and answer["hits"][0]["id"] == "tides", f"fusion {fusion}")
    for mode in ("dense", "sparse", "multi"):
        answer = search_cli(index, "moon and oceans", "--modes", mode)
        check(answer["hits"][0]["id"] == "tides", f"{mode} alone")
    for modes in ("dense", "sparse", "multi", "dense,sparse,multi"):
        answer = search_cli(index, "moon and oceans, disk pages", "--modes", modes,
                            "--filter", '{"topic":{"$in":["computing","music"]}}')
        check(answer["hits"][0]["id"] == "btree" and
              all(hit["fields"]["topic"] in ("computing", "music") for hit in answer["hits"]),
              f"{modes}: only what the filter allows")
    with open(FACTS) as facts:
        topics = [json.loads(line)["fields"]["topic"] for line in facts]
    counts = search_cli(index, "x", "--facets", "topic,nothing", "-k", "1")["facets"]
    check(counts["topic"]["documents"] == len(topics) and
          counts["topic"]["distinct"] == len(set(topics)) and
          {v["value"]: v["count"] for v in counts["topic"]["values"]}.items() <=
          {topic: topics.count(topic) for topic in topics}.items(), "topics are counted")
    found = [v["count"] for v in counts["topic"]["values"]]
    check(len(found) == min(10, len(set(topics))) and found == sorted(found, reverse=True),
          "most frequent first")
    check(counts["nothing"] == {"values": [], "distinct": 0, "documents": 0}, "of no field: none")
    counts = search_cli(index, "x", "--facets", "topic", "--facet-limit", "1",
                        "--filter", '{"topic":{"$in":["computing","music"]}}')["facets"]["topic"]
    check(counts["distinct"] == 2 and len(counts["values"]) == 1, "over what the filter allows")
    check("topic: " in tercet("search", index, "x", "--facets", "topic").stdout, "and as text")
    tercet("search", index, "x", "--facets", "topic,topic", status=2)
    wrong = tercet("search", index, "x", "--filter", '{"topic":{"$is":"sea"}}', status=1)
    check("filter.topic.$is" in wrong.stderr, "a filter's mistake is named with its place")
    check(tercet("search", index, "x", "--modes", "colbert", status=2).stderr != "", "wrong usage")
    check(tercet("search", index + "-none", "x", status=1).stderr != "", "no such index")
    return answers


def check_errors(server):
    status, answer = server.request("POST", "/v1/collections/facts/search", {"query": 5})
    check(status == 400 and answer["error"]["field"] == "query", "a wrong type is named")
    status, answer = server.request("POST", "/v1/collections/facts/search", {"query": "x", "kk": 5})
    check(status == 400 and answer["error"]["field"] == "kk", "an unknown field is named")
    status, answer = server.request("POST", "/v1/collections/facts/search",
                                    {"query": "x", "filter": {"year": {"$gte": "soon"}}})
    check(status == 400 and answer["error"]["field"] == "filter" and
          "filter.year.$gte" in answer["error"]["message"], "a filter's mistake over HTTP")
    status, answer = server.request("POST", "/v1/collections/facts/search",
                                    {"query": "x", "facets": ["topic"], "facet_limit": 2})
    check(status == 200 and len(answer["facets"]["topic"]["values"]) == 2, "facets over HTTP")
    status, answer = server.request("POST", "/v1/collections/facts/search",
                                    {"query": "x", "facets": "topic"})
    check(status == 400 and answer["error"]["field"] == "facets", "and their mistakes")
    status, answer = server.request("POST", "/v1/collections/nothing/search", {"query": "x"})
    check(status == 404 and answer["error"]["code"] == "not_found", "no such collection: 404")
    status, answer = server.request("POST", "/v1/collections/facts/search", "{")
    check(status == 400, "half a request: 400")


def check_documents(server):
    rows = [{"id": "lighthouse", "title": "Lighthouses",
             "text": "A lamp on a tower warns ships of rocks at night.",
             "fields": {"topic": "sea", "built": "1858-02-01", "height_m": 41.5}},
            {"id": 7, "title": "", "text": ""},
            {"id": "tides", "title": "Tides", "text": "Now about something else: knitting wool."}]
    status, answer = server.request("POST", "/v1/collections/facts/documents",
                                    "".join(json.dumps(row) + "\n" for row in rows))
    check(status == 200 and answer["stored"] == 2 and answer["failed"] == 1,
          "documents over HTTP: a verdict a row")
    hits = server.search("facts", "warning light for ships")["hits"]
    check(hits[0]["id"] == "lighthouse", "a new document is found at once")
    for condition in ({"height_m": {"$gt": 41, "$lt": 42}}, {"built": {"$lt": "1900-01-01"}},
                      {"topic": "sea", "$not": {"height_m": {"$exists": False}}}):
        hits = server.search("facts", "knitting wool", filter=condition)["hits"]
        check([hit["id"] for hit in hits] == ["lighthouse"], f"the one that passes {condition}")
    hits = server.search("facts", "the tides", filter={"topic": "sea"})["hits"]
    check("tides" not in [hit["id"] for hit in hits], "a replaced document's old fields are gone")
    hits = server.search("facts", "knitting wool")["hits"]
    check(hits[0]["id"] == "tides", "a replaced document is found by its new text")
    hits = server.search("facts", "moon's gravity pulls the oceans", modes=["sparse"])["hits"]
    check("tides" not in [hit["id"] for hit in hits], "and not by its old one")
    status, answer = server.request("GET", "/v1/collections/facts/documents/lighthouse")
    check(status == 200 and answer["title"] == "Lighthouses", "a document by its id")
    check_deletes(server)
    status, answer = server.request("POST", "/v1/collections/fresh/documents",
                                    [{"id": "a", "text": "an array makes a collection"}])
    check(status == 200 and answer["stored"] == 1, "a collection is made by its first documents")


def check_deletes(server):
    rows = [{"id": f"gone/{i}", "text": f"number {i}", "fields": {"batch": "gone", "i": i}}
            for i in range(6)]
    documents = "/v1/collections/facts/documents"
    check(server.request("POST", documents, rows)[1]["stored"] == 6, "six documents to delete")
    check(server.request("DELETE", documents + "/gone%2F5") == (200, {"deleted": 1}), "one by id")
    check(server.request("DELETE", documents + "/gone%2F5")[0] == 404, "which is gone then")
    check(server.request("GET", documents + "/gone%2F5")[0] == 404, "and not found")
    for body, field in (({"filter": {}}, "filter"), ("{}", "filter"), ({"filer": {"i": 1}}, "filer"),
                        ({"filter": {"i": {"$is": 1}}}, "filter"), ({"all": 1}, "all"),
                        ({"all": True, "filter": {"i": 1}}, "filter")):
        status, answer = server.request("POST", documents + "/delete", body)
        check(status == 400 and answer["error"]["field"] == field, f"{body} deletes nothing: 400")
    for condition, n in (({"batch": "gone", "i": {"$gte": 2}}, 3), ({"batch": "gone"}, 2),
                         ({"batch": "gone"}, 0)):
        answer = server.request("POST", documents + "/delete", {"filter": condition})
        check(answer == (200, {"deleted": n}), f"{n} that pass {condition} are deleted")
    check(server.request("POST", documents, rows[:1])[1]["stored"] == 1, "one is stored again")
    check(server.request("DELETE", documents + "/gone%2F0")[0] == 200, "and deleted again")
    check(server.request("POST", "/v1/collections/nothing/documents/delete",
                         {"filter": {"a": 1}})[0] == 404, "no such collection: 404")


def main():
    with tempfile.TemporaryDirectory() as data:
        index = os.path.join(data, "facts")
        documents = check_ingest(index, data)
        answers = check_command_line(index)

        server = Server(data)
        for query, answer in answers.items():
            check(same(server.search("facts", query, explain=True), answer),
                  "HTTP answers as the command line does")
        check_errors(server)
        check_documents(server)
        before = {query: server.search("facts", query) for query in QUERIES}
        status, listing = server.request("GET", "/v1/collections")
        check([c["name"] for c in listing["collections"]] == ["facts", "fresh"], "collections")
        check(listing["collections"][0]["documents"] == documents + 1, "one document more")

        server.stop(signal.SIGKILL, -signal.SIGKILL)
        server = Server(data)
        for query, answer in before.items():
            check(same(server.search("facts", query), answer), "after kill -9: the same answers")
            check(same(search_cli(index, query), answer), "and on the command line")

        with concurrent.futures.ThreadPoolExecutor(8) as crowd:
            crowded = [crowd.submit(server.search, "facts", query) for query in list(QUERIES) * 8]
            time.sleep(0.05)
            check(all(same(one.result(), before[query])
                      for one, query in zip(crowded, list(QUERIES) * 8)), "eight at once, the same")
        with concurrent.futures.ThreadPoolExecutor(1) as one:
            late = one.submit(server.request, "POST", "/v1/collections/facts/documents",
                              [{"id": f"late{i}", "text": "written while stopping " * 40}
                               for i in range(20)])
            time.sleep(0.1)
            server.stop(signal.SIGTERM, 0)
            check(late.result()[1]["stored"] == 20, "a stop answers what is in flight")
        info = json.loads(tercet("info", index, "--json").stdout)
        check(info["documents"] == documents + 21, "and what it acknowledged is there")
    print("1 passed, 0 failed")


main()
