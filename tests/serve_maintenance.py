#!/usr/bin/env python3
"""A folder is kept well while it is served: others ingest, delete, compact, repair and restore it, and
the server neither misses a search nor loses a write that it acknowledged. Standard library only.

usage: serve_maintenance.py TERCET
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading

from served import Server, check, random_model, run

TERCET = sys.argv[1]
ROUNDS = 4


class Crowd:
    """Writes and searches without pause until told to stop."""

    def __init__(self, server):
        self.server, self.over = server, threading.Event()
        self.stored, self.deleted, self.refused, self.searches, self.wrong = set(), set(), 0, 0, []
        self.threads = [threading.Thread(target=work) for work in (self.write, self.search, self.search)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def ask(self, method, path, body=None):
        """503 is an answer: nothing was done, ask again."""
        while True:
            answer = self.server.ask(method, path, body)
            if answer.status != 503:
                return answer
            self.refused += 1

    def write(self):
        i = 0
        while not self.over.is_set():
            rows = [{"id": f"w{i}-{j}", "text": f"row {j} of request {i}", "fields": {"i": i}}
                    for j in range(3)]
            answer = self.ask("POST", "/v1/collections/notes/documents", rows)
            if answer.status != 200 or answer.json()["stored"] != 3:
                self.wrong.append(answer.body)
                return
            self.stored |= {row["id"] for row in rows}
            answer = self.ask("DELETE", f"/v1/collections/notes/documents/w{i}-2")
            if answer.status != 200:
                self.wrong.append(answer.body)
                return
            self.deleted.add(f"w{i}-2")
            i += 1

    def search(self):
        while not self.over.is_set():
            answer = self.server.ask("POST", "/v1/collections/notes/search", {"query": "row request"})
            if answer.status != 200 or not answer.json()["hits"]:
                self.wrong.append(answer.body)
                return
            self.searches += 1


def tercet_patiently(*words):
    """Somebody who is told that another process writes tries again."""
    for _ in range(60):
        done = subprocess.run([TERCET, *words], capture_output=True, text=True, timeout=300)
        if done.returncode == 0:
            return done.stdout
        if "another process is writing" not in done.stderr:
            break
    print(done.stdout, done.stderr)
    check(False, f"tercet {' '.join(words)[:70]}")


def ids_of(index):
    return {json.loads(line)["id"] for line in run(TERCET, "export", index).splitlines()}


def open_files(process):
    folder = f"/proc/{process.pid}/fd"
    names = []
    for fd in os.listdir(folder):
        try:
            names.append(os.readlink(os.path.join(folder, fd)))
        except OSError:
            pass
    return names


def check_together(server, index, model, folder):
    """Everybody at once."""
    more = os.path.join(folder, "more.jsonl")
    crowd = Crowd(server)
    outside = set()
    for i in range(ROUNDS):
        with open(more, "w") as out:
            out.write(json.dumps({"id": f"outside{i}", "text": "from the command line"}) + "\n")
        tercet_patiently("ingest", index, more, "--model", model)
        outside.add(f"outside{i}")
        totals = json.loads(tercet_patiently("compact", index, "--json"))
        check(totals["documents"] > 0, f"compacted while it is served: {totals}")
        tercet_patiently("delete", index, "--filter", '{"i":-1}')
        tercet_patiently("check", index, "--repair")
    crowd.stop()
    check(not crowd.wrong, f"no request failed {crowd.wrong[:1]}")
    check(len(crowd.stored) > 10 and crowd.searches > 10,
          f"{len(crowd.stored)} rows stored, {crowd.searches} searches, {crowd.refused} told to wait")
    check(ids_of(index) == (crowd.stored - crowd.deleted) | outside | {"first"},
          "what was acknowledged is there, what was deleted is not")
    check("sound" in run(TERCET, "check", index), "and the index is sound")


def check_one_by_one(server, index, folder):
    """After each change from outside the next request sees it."""
    url, copy = "/v1/collections/notes", os.path.join(folder, "copy")
    run(TERCET, "snapshot", index, copy)
    run(TERCET, "delete", index, "first")
    check(server.ask("GET", url + "/documents/first").status == 404, "a deletion from outside is seen")
    run(TERCET, "restore", index, copy, "--force")
    check(server.ask("GET", url + "/documents/first").status == 200, "and a restored folder")
    run(TERCET, "compact", index)
    server.post(url + "/documents", [{"id": "after", "text": "written to the new folder"}])
    check("after" in ids_of(index), "a write goes to the folder that has the name")
    gone = [name for name in open_files(server.process) if "(deleted)" in name and "mdb" in name]
    check(gone == [], f"the old folder's files are closed: {gone}")
    check(server.post(url + "/search", {"query": "written"})["hits"] != [], "and searches go on")


def check_busy(server, index):
    """Who writes for long is waited for a moment, then told of."""
    holder = subprocess.Popen([sys.executable, "-c", "import fcntl,sys;f=open(sys.argv[1]);"
                               "fcntl.flock(f,fcntl.LOCK_EX);print('held',flush=True);input()",
                               os.path.join(index, "writer.lock")],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    holder.stdout.readline()
    answer = server.ask("POST", "/v1/collections/notes/documents", [{"id": "late", "text": "x"}])
    check(answer.status == 503 and answer.headers["Retry-After"] and
          "another process is writing" in answer.json()["error"]["message"], "503 while another writes")
    check(server.ask("GET", "/v1/collections/notes/documents/first").status == 200, "reading goes on")
    refused = subprocess.run([TERCET, "compact", index], capture_output=True, text=True)
    check(refused.returncode == 1 and "another process" in refused.stderr, "and so is who compacts")
    holder.communicate("\n")
    server.post("/v1/collections/notes/documents", [{"id": "late", "text": "x"}])


def check_deleted(server, data, model):
    """A collection goes with its folder, while it is searched, and can be made anew."""
    url, folder = "/v1/collections/brief", os.path.join(data, "brief")
    strange, over = [], threading.Event()

    def search():
        while not over.is_set():
            answer = server.ask("POST", url + "/search", {"query": "brief"})
            if answer.status not in (200, 404):
                strange.append(answer.body)

    searcher = threading.Thread(target=search)
    searcher.start()
    for i in range(5):
        server.post(url + "/documents", [{"id": f"d{i}", "text": "brief life"}])
        check(ids_of(folder) == {f"d{i}"}, "a collection is made")
        check(server.ask("DELETE", url).json() == {"deleted": "brief"}, "and deleted")
        check(not os.path.exists(folder), "with its folder")
        check(server.ask("DELETE", url).status == 404 and server.ask("GET", url).status == 404,
              "and is not there then")
    over.set()
    searcher.join()
    check(not strange, f"searches find it or do not {strange[:1]}")
    gone = [name for name in open_files(server.process) if "(deleted)" in name and "brief" in name]
    check(gone == [], f"nothing of it is open: {gone}")
    names = [one["name"] for one in server.ask("GET", "/v1/collections").json()["collections"]]
    check(names == ["notes"], "nor listed")
    rows = os.path.join(data, "rows.jsonl")
    with open(rows, "w") as out:
        out.write('{"id":"outside","text":"made by another process"}\n')
    run(TERCET, "ingest", os.path.join(data, "other"), rows, "--model", model)
    hits = server.post("/v1/collections/other/search", {"query": "made"})["hits"]
    check([hit["id"] for hit in hits] == ["outside"], "a collection made outside is found")
    run(TERCET, "ingest", os.path.join(data, "another"), rows, "--model", model)
    names = [one["name"] for one in server.ask("GET", "/v1/collections").json()["collections"]]
    check(sorted(names) == ["another", "notes", "other"], "and listed")
    server.post(url + "/documents", [{"id": "x", "text": "brief"}])
    with open(os.path.join(folder, "a stranger's file"), "w") as file:
        file.write("keep")
    refused = server.ask("DELETE", url)
    check(refused.status == 400 and "a stranger's file" in refused.json()["error"]["message"] and
          server.ask("GET", url + "/documents/x").status == 200, "files of others are not removed")


def check_removed(server, data):
    """A folder that others took away is gone here, too, and its name is free again."""
    url, folder = "/v1/collections/taken", os.path.join(data, "taken")
    asks = [("GET", url, None), ("POST", url + "/search", {"query": "row"}),
            ("GET", url + "/documents/a", None), ("DELETE", url + "/documents/a", None),
            ("POST", url + "/documents/delete", {"all": True}), ("DELETE", url, None)]
    for method, path, body in asks:
        server.post(url + "/documents", [{"id": "a", "text": "a row of the first"}])
        shutil.rmtree(folder)
        check(server.ask(method, path, body).status == 404, f"{method} {path}: not there")
        names = [one["name"] for one in server.ask("GET", "/v1/collections").json()["collections"]]
        check("taken" not in names, "nor listed")
    server.post(url + "/documents", [{"id": "a", "text": "a row of the first"}])
    shutil.rmtree(folder)
    check(server.ask("PUT", url).status == 201, "PUT makes it anew")
    shutil.rmtree(folder)
    server.post(url + "/documents", [{"id": "b", "text": "a row of the second"}])
    check(ids_of(folder) == {"b"}, "and so do documents")
    gone = [name for name in open_files(server.process) if "(deleted)" in name and "taken" in name]
    check(gone == [], f"nothing of the old ones is open: {gone}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        model = random_model(TERCET, "m3", os.path.join(folder, "model"))
        data = os.path.join(folder, "data")
        os.mkdir(data)
        index = os.path.join(data, "notes")
        with Server(TERCET, data, "--model", model) as server:
            server.post("/v1/collections/notes/documents",
                        [{"id": "first", "text": "the first row of the first request"}])
            check_together(server, index, model, folder)
            check_one_by_one(server, index, folder)
            check_busy(server, index)
            check_deleted(server, data, model)
            check_removed(server, data)
            server.stop()
    print("1 passed, 0 failed")


main()
