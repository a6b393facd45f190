"""An index follows a folder: what is there unchanged is skipped, what is gone is deleted, and what only
seems to be gone is kept.

    ingest_follow.py TERCET
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import tiny_model

tercet = sys.argv[1]


def ingest(*words, index="index", code=0, **how):
    run = subprocess.run(
        [tercet, "ingest", str(work / index), "--model", model, "--json", *map(str, words)],
        capture_output=True, text=True, **how,
    )
    assert run.returncode == code, (words, run.returncode, run.stdout, run.stderr)
    events = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    done = next((event for event in events if event["event"] == "done"), {})
    done["said"] = run.stderr
    done["gone"] = sorted(event["id"] for event in events if event["event"] == "deleted")
    return done


def follow(*more, **how):
    return ingest(folder, "--delete-missing", *more, **how)


def keys(index="index"):
    out = subprocess.run(
        [tercet, "export", str(work / index)], capture_output=True, text=True, check=True
    ).stdout
    return sorted(json.loads(line)["id"] for line in out.splitlines())


def rows(name, begin, end):
    lines = [json.dumps({"id": f"{name}{i}", "text": f"row {i} of {name}"}) for i in range(begin, end)]
    (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


with tempfile.TemporaryDirectory(prefix="tercet-follow-") as name:
    work = pathlib.Path(name)
    model = tiny_model.write(work / "model")
    other_model = tiny_model.write(work / "other", layers=2)
    folder = work / "folder"
    (folder / "sub").mkdir(parents=True)
    for i in range(8):
        (folder / f"n{i}.txt").write_text(f"note {i}")
    (folder / "sub" / "deep.md").write_text("# deep\nfar below")
    rows("p", 0, 30)
    rows("q", 0, 30)

    # Unchanged is: the same content, by the same model, with the same settings.
    assert follow()["stored"] == 69
    done = follow()
    assert (done["stored"], done["unchanged"], done["deleted"], done["tokens"]) == (0, 69, 0, 0), done
    for changed in ({"text": "other"}, {"title": "other"}, {"fields": {"year": 1}}):
        row = {"id": "p0", "text": "row 0 of p", **changed}
        lines = (folder / "p.jsonl").read_text().splitlines()
        (folder / "p.jsonl").write_text("\n".join([json.dumps(row)] + lines[1:]) + "\n")
        done = follow()
        assert (done["stored"], done["unchanged"], done["deleted"]) == (1, 68, 0), (changed, done)
    for words in (["--model", other_model], ["--max-length", "100"], ["--analyzer", "words:en"],
                  ["--passage-instruction", "x"]):
        refused = follow(*words, code=1)
        assert "new index" in refused["said"], refused
    assert len(keys()) == 69

    # A file, a row of a file, a folder.
    (folder / "n0.txt").unlink()
    shutil.rmtree(folder / "sub")
    rows("p", 0, 29)
    assert follow()["gone"] == ["n0.txt", "p29", "sub/deep.md"]
    assert len(keys()) == 66

    # Without the option nothing goes; what others brought is nobody's.
    subprocess.run(
        [tercet, "ingest", str(work / "index"), "-", "--model", model],
        input='{"id":"piped","text":"through a pipe"}\n', text=True, check=True, capture_output=True,
    )
    (work / "elsewhere.jsonl").write_text('{"id":"elsewhere","text":"from another path"}\n')
    ingest(work / "elsewhere.jsonl")
    (folder / "n1.txt").unlink()
    assert ingest(folder)["deleted"] == 0
    assert follow()["gone"] == ["n1.txt"]
    assert {"piped", "elsewhere"} < set(keys())

    # A bad row keeps the whole of its file, a bad document what there was.
    rows("p", 0, 20)
    rows("q", 0, 29)
    with open(folder / "p.jsonl", "a") as file:
        file.write("broken\n")
    (folder / "n2.txt").write_bytes(b"\xff\xff no text")
    assert follow(code=1)["gone"] == ["q29"]
    assert {"p20", "p28", "n2.txt"} < set(keys())
    rows("p", 0, 20)
    (folder / "n2.txt").write_text("note 2")
    assert follow()["gone"] == [f"p{i}" for i in range(20, 29)]

    # A folder that cannot be looked into may hold anything (root may look everywhere).
    (folder / "sub").mkdir()
    (folder / "sub" / "a.txt").write_text("below")
    follow()
    (folder / "n3.txt").unlink()
    os.chmod(folder / "sub", 0)
    if os.geteuid() != 0:
        done = follow(code=1)
        assert not done["gone"] and "could not be looked at" in done["said"], done
    os.chmod(folder / "sub", 0o755)
    assert follow()["gone"] == ["n3.txt"]

    # A disk that is not mounted: an empty folder, or none, or one with next to nothing in it.
    before = keys()
    away = work / "away"
    folder.rename(away)
    assert "No such file" in follow(code=1)["said"]
    assert "No such file" in follow("--force", code=1)["said"]
    folder.mkdir()
    assert "no file to read" in follow(code=1)["said"]
    (folder / "NOT MOUNTED.txt").write_text("!")
    refused = follow(code=1)
    assert "--force" in refused["said"] and not refused["gone"], refused
    assert set(before) < set(keys())
    (folder / "NOT MOUNTED.txt").unlink()
    folder.rmdir()
    away.rename(folder)
    assert follow()["gone"] == ["NOT MOUNTED.txt"]
    assert keys() == before
    shutil.rmtree(folder)
    folder.mkdir()
    follow("--force")
    assert keys() == ["elsewhere", "piped"]

    # A pipe cannot be followed, and says so before anything happens.
    assert "pipe" in ingest("-", "--delete-missing", code=1, stdin=subprocess.DEVNULL)["said"]

    # A document that came from elsewhere last is not this folder's any more.
    (folder / "same.txt").write_text("the same")
    follow()
    twin = work / "twin"
    twin.mkdir()
    (twin / "same.txt").write_text("the same")
    (twin / "other.txt").write_text("other")
    ingest(twin)
    (folder / "same.txt").unlink()
    (folder / "new.txt").write_text("new")
    assert follow()["gone"] == []
    assert "same.txt" in keys()

    # All of a few are no few.
    few = work / "few"
    few.mkdir()
    for i in range(3):
        (few / f"f{i}.txt").write_text(f"few {i}")
    ingest(few, index="small")
    (few / "f1.txt").unlink()
    (few / "f2.txt").unlink()
    assert ingest(few, "--delete-missing", index="small")["gone"] == ["f1.txt", "f2.txt"]
    (few / "f0.txt").rename(few / "f0.png")
    assert "no file to read" in ingest(few, "--delete-missing", index="small", code=1)["said"]
    (few / "rows.jsonl").write_text("broken\n")
    refused = ingest(few, "--delete-missing", index="small", code=1)
    assert "--force" in refused["said"] and keys("small") == ["f0.txt"], refused

    # Origins outlive compaction and a snapshot's return.
    subprocess.run([tercet, "compact", str(work / "index")], check=True, capture_output=True)
    subprocess.run([tercet, "snapshot", str(work / "index"), str(work / "copy")], check=True, capture_output=True)
    subprocess.run([tercet, "check", str(work / "index")], check=True, capture_output=True)
    (twin / "other.txt").unlink()
    done = ingest(twin, "--delete-missing", index="copy")
    assert done["gone"] == ["other.txt"], done
    print("ok")
