"""tercet ingest --watch: an index that keeps up with a folder, whatever people and editors do to it.

    ingest_watch.py TERCET
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import tiny_model

tercet = sys.argv[1]
LIMIT_S = 30  # busy machines are slow; what it took is printed


class Watching:
    def __init__(self, *words):
        self.process = subprocess.Popen(
            [tercet, "ingest", str(index), "--model", model, "--watch", "--json", *map(str, words)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        self.events = []
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()
        until(lambda: self.count("watching"), "it watches")

    def listen(self):
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def count(self, event):
        return sum(e["event"] == event for e in list(self.events))

    def end(self, number):
        began = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(LIMIT_S)
        self.thread.join()
        assert code == 0, (code, self.process.stderr.read())
        return time.monotonic() - began


def keys():
    run = subprocess.run([tercet, "export", str(index)], capture_output=True, text=True)
    return {row["id"]: row["text"] for row in map(json.loads, run.stdout.splitlines())}


def until(condition, what):
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < LIMIT_S, (what, keys())
        time.sleep(0.02)
    slowest[0] = max(slowest[0], time.monotonic() - began)
    print(f"{time.monotonic() - began:6.2f} s  {what}", flush=True)


def has(**wanted):
    """Keys as words: a__txt=None says that a.txt is gone."""
    there = keys()
    return all(there.get(k.replace("__", ".").replace("_0_", "/")) == v for k, v in wanted.items())


slowest = [0.0]
with tempfile.TemporaryDirectory(prefix="tercet-watch-") as name:
    work = pathlib.Path(name)
    model = tiny_model.write(work / "model")
    folder, index = work / "folder", work / "index"
    (folder / "old").mkdir(parents=True)
    (folder / "a.txt").write_text("first")
    (folder / "old" / "b.txt").write_text("below")
    watching = Watching(folder)
    assert has(a__txt="first", old_0_b__txt="below")
    own = os.getpriority(os.PRIO_PROCESS, 0)
    given = os.getpriority(os.PRIO_PROCESS, watching.process.pid)
    assert own < given <= min(19, own + 10), (given, own)

    (folder / "c.txt").write_text("new")
    until(lambda: has(c__txt="new"), "a new file")
    (folder / "a.txt").write_text("second")
    until(lambda: has(a__txt="second"), "a file written anew")
    with open(folder / "a.txt", "a") as file:
        file.write(" and more")
    until(lambda: has(a__txt="second and more"), "a file that grows")
    (folder / "c.txt").rename(folder / "d.txt")
    until(lambda: has(c__txt=None, d__txt="new"), "a file renamed")
    (folder / "d.txt").unlink()
    until(lambda: has(d__txt=None), "a file deleted")

    # As editors save: a swap file, a backup, a new file renamed over the old one.
    (folder / ".a.txt.swp").write_text("swap")
    (folder / "a.txt").rename(folder / "a.txt~")
    (folder / "a.txt.new").write_text("edited")
    os.replace(folder / "a.txt.new", folder / "a.txt")
    (folder / "a.txt~").unlink()
    (folder / ".a.txt.swp").unlink()
    until(lambda: has(a__txt="edited"), "a file saved by an editor")
    assert set(keys()) == {"a.txt", "old/b.txt"}

    # Folders: new ones, with what is in them already; ones that move; ones that go.
    (folder / "x" / "y").mkdir(parents=True)
    (folder / "x" / "y" / "deep.txt").write_text("deep")
    until(lambda: has(x_0_y_0_deep__txt="deep"), "a file in a new folder of a new folder")
    (folder / "x" / "y" / "late.txt").write_text("late")
    until(lambda: has(x_0_y_0_late__txt="late"), "a file in a folder watched since")
    (folder / "x").rename(folder / "z")
    until(lambda: has(z_0_y_0_deep__txt="deep", x_0_y_0_deep__txt=None), "a folder renamed")
    (folder / "z" / "y" / "deep.txt").write_text("deeper")
    until(lambda: has(z_0_y_0_deep__txt="deeper"), "a file in the renamed folder")
    shutil.rmtree(folder / "z")
    until(lambda: has(z_0_y_0_deep__txt=None), "a folder deleted")

    # Rows: only files that changed are read, the others keep what they brought.
    (folder / "rows.jsonl").write_text("".join(json.dumps({"id": f"r{i}", "text": f"row {i}"}) + "\n" for i in range(50)))
    until(lambda: has(r49="row 49"), "fifty rows")
    (folder / "e.txt").write_text("beside them")
    until(lambda: has(e__txt="beside them"), "a file beside them")
    assert has(r0="row 0", r49="row 49")
    (folder / "rows.jsonl").write_text("".join(json.dumps({"id": f"r{i}", "text": f"row {i}"}) + "\n" for i in range(45)))
    until(lambda: has(r44="row 44", r45=None, r49=None), "five rows less")

    # A burst is a few runs, not hundreds.
    before = watching.count("done")
    for i in range(300):
        (folder / f"burst{i}.txt").write_text(f"burst {i}")
    until(lambda: len(keys()) == 300 + 3 + 45, "three hundred files at once")
    time.sleep(1)
    assert watching.count("done") - before <= 20, watching.count("done") - before
    quiet = watching.count("done")
    (folder / ".hidden").write_text("x")
    (folder / "picture.png").write_bytes(b"x")
    time.sleep(1.5)
    assert watching.count("done") == quiet, "what is not read needs no run"

    # Others write to the index meanwhile.
    subprocess.run(
        [tercet, "ingest", str(index), "-", "--model", model], check=True, capture_output=True,
        input='{"id":"piped","text":"from elsewhere"}\n', text=True,
    )
    # Most of it gone, as when a disk is not mounted: kept, and told.
    away = work / "away"
    folder.rename(away)
    until(lambda: watching.count("waiting") == 1, "the folder is gone, and waited for")
    assert len(keys()) == 349
    folder.mkdir()
    (folder / "only.txt").write_text("only")
    until(lambda: has(only__txt="only"), "another folder in its place")
    until(lambda: watching.count("waiting") == 2, "most is missing, and kept")
    assert len(keys()) == 350
    shutil.rmtree(folder)
    away.rename(folder)
    until(lambda: has(only__txt=None) and len(keys()) == 349, "the old folder is back")
    (folder / "back.txt").write_text("back")
    until(lambda: has(back__txt="back"), "a file in it")

    print(f"{watching.end(signal.SIGTERM):6.2f} s  to end")
    subprocess.run([tercet, "check", str(index)], check=True, capture_output=True)

    # What changed while nobody watched; and one file alone.
    (folder / "back.txt").unlink()
    watching = Watching(folder)
    assert has(back__txt=None, piped="from elsewhere")
    watching.end(signal.SIGINT)
    single = work / "single.jsonl"
    single.write_text('{"id":"s1","text":"one"}\n')
    watching = Watching(single, "--nice", 3)
    assert os.getpriority(os.PRIO_PROCESS, watching.process.pid) == min(19, own + 3)
    (work / "new").write_text('{"id":"s2","text":"two"}\n')
    os.replace(work / "new", single)
    until(lambda: has(s1=None, s2="two"), "a single file replaced")
    watching.end(signal.SIGINT)

    refused = subprocess.run([tercet, "ingest", str(index), "--model", model, "--watch", "-"],
                             capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert refused.returncode != 0 and "pipe" in refused.stderr, refused
    print(f"{slowest[0]:.2f} s was the slowest")
