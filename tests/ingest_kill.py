"""An ingest that is killed and resumed, again and again, ends in the index of one that never was.

    ingest_kill.py TERCET [KILLS [SOURCE [REACH [OPTION...]]]]

KILLS (12) times: kill -9 at a random moment of an ingest, then --resume; when one comes to its end,
its export is compared with that of an undisturbed run, byte by byte, and another index is begun.
Nothing is read twice that a commit holds. SOURCE: a file or folder to be ingested with the embedded
model; without one, made-up documents of several formats with a made-up model. REACH (1): the latest
moment, as a part of what an undisturbed run takes. OPTION: of tercet ingest.
"""

import gzip
import hashlib
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import tiny_model

tercet = sys.argv[1]
kills_wanted = int(sys.argv[2]) if len(sys.argv) > 2 else 12
source = sys.argv[3] if len(sys.argv) > 3 else None
reach = float(sys.argv[4]) if len(sys.argv) > 4 else 1
dice = random.Random(20)
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def words(n):
    return " ".join("".join(dice.choices(LETTERS, k=dice.randint(2, 9))) for _ in range(n))


def make_documents(folder):
    """Some 4 MB: a dozen commits. Ids come twice in one file, and bad rows stand between."""
    folder.mkdir()
    rows = [{"id": f"j{i}", "title": words(3), "text": words(120)} for i in range(1500)]
    lines = [json.dumps(row) for row in rows]
    lines[700] = "broken"
    lines[1400] = json.dumps({"id": "j3", "text": "the later row of an id that came before"})
    (folder / "a.jsonl").write_text("\n".join(lines) + "\n")
    table = ["id,text,year"] + [f'c{i},"{words(60)}\n{words(60)}",{1900 + i % 100}' for i in range(1200)]
    (folder / "b.csv").write_text("\n".join(table) + "\n")
    packed = [json.dumps({"id": f"z{i}", "text": words(120)}) for i in range(1200)]
    (folder / "c.jsonl.gz").write_bytes(gzip.compress("\n".join(packed).encode()))
    wide = [json.dumps({"id": f"w{i}", "text": words(100) + " é"}, ensure_ascii=False) for i in range(600)]
    (folder / "d.jsonl").write_text("\n".join(wide) + "\n", encoding="utf-16")
    (folder / "notes").mkdir()
    for i in range(800):
        (folder / "notes" / f"{i:04}.txt").write_text(words(100))


def command(index, *more):
    model = sys.argv[5:] if source else ["--model", str(work / "model")]
    return [tercet, "ingest", str(index), source or str(work / "documents"), *model, "--json", *more]


def export(index):
    out = subprocess.run([tercet, "export", str(index)], check=True, capture_output=True).stdout
    return hashlib.sha256(out).hexdigest(), out.count(b"\n")


def finished(run):
    """What a run that was not killed said at its end."""
    events = [json.loads(line) for line in run.splitlines() if line.startswith("{")]
    assert events and events[-1]["event"] == "done", run[-2000:]
    return events[-1]


def run_until(index, moment):
    """True: it was killed."""
    process = subprocess.Popen(
        command(index, "--resume"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        run_until.said = process.communicate(timeout=moment)[0]
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return True
    assert process.returncode in (0, 1), process.returncode
    return False


with tempfile.TemporaryDirectory(prefix="tercet-kill-") as name:
    work = pathlib.Path(name)
    if not source:
        tiny_model.write(work / "model")
        make_documents(work / "documents")

    began = time.monotonic()
    out = subprocess.run(command(work / "whole"), capture_output=True, text=True)
    seconds = time.monotonic() - began
    whole = finished(out.stdout)
    expected, documents = export(work / "whole")
    print(f"undisturbed: {documents} documents in {seconds:.1f} s", flush=True)
    assert documents == whole["stored"] - whole["repeated"], whole

    # A second run, resumed or not, finds nothing to do: there is no checkpoint left.
    again = subprocess.run(command(work / "whole", "--resume"), capture_output=True, text=True)
    again = finished(again.stdout)
    assert not again["resumed"] and again["stored"] <= 2 * whole["repeated"], again

    kills = indexes = resumed = 0
    while kills < kills_wanted:
        index = work / f"killed-{indexes}"
        indexes += 1
        while run_until(index, dice.uniform(0, reach * seconds)):
            kills += 1
        done = finished(run_until.said)
        resumed += done["resumed"]
        if done["resumed"]:
            assert done["unchanged"] == 0, f"read again: {done}"
        got, n = export(index)
        assert got == expected, f"after {kills} kills, {n} documents instead of {documents}"
        check = subprocess.run([tercet, "check", str(index)], capture_output=True, text=True)
        assert check.returncode == 0, check.stdout + check.stderr
        subprocess.run(["rm", "-r", str(index)], check=True)
        print(f"{kills} kills, {indexes} indexes, the same export", flush=True)
    assert resumed > 0

    # A file that changes between the kill and the resume is read again, whatever its place.
    if not source:
        index = work / "changed"
        while True:
            run_until(index, seconds * 0.6)
            shown = subprocess.run([tercet, "info", str(index), "--json"], capture_output=True, text=True)
            if shown.returncode == 0 and json.loads(shown.stdout)["documents"] > 2000:
                break
        with open(work / "documents" / "a.jsonl", "a") as grown:
            grown.write(json.dumps({"id": "late", "text": "a row that came late"}) + "\n")
        assert not run_until(index, 300)
        assert '"late"' in subprocess.run(
            [tercet, "export", str(index)], capture_output=True, text=True
        ).stdout
        print("a file that grew meanwhile is read again")
