#!/usr/bin/env python3
"""Documents of every kind through `tercet ingest`: a tour of all formats, found again by search
with id, title and fields; then every kind of bad input beside good rows. Standard library only.

usage: ingest_formats.py TERCET [MIB]

PDF is part of the tour where poppler's pdftotext is installed. MIB is what an ingest of bad input
may hold in memory: the longest line that is let through, a few times over, and the model. Exits 1
at the first thing that does not hold.
"""
import gzip
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

TERCET = sys.argv[1]
MEMORY_MIB_MAX = int(sys.argv[2]) if len(sys.argv) > 2 else None
LINE_BYTES_MAX = 64 << 20  # ingest/source.h


def check(condition, what):
    print(("ok    " if condition else "FAILED ") + what, flush=True)
    if not condition:
        sys.exit(1)


def write(folder, name, data):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        out.write(data if isinstance(data, bytes) else data.encode())
    return path


def tercet(*words, stdin=b"", expected=0):
    """Runs it; stdout, stderr, and the most memory it held in MiB."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen([TERCET, *words], stdin=subprocess.PIPE, stdout=out, stderr=err)
        process.stdin.write(stdin)
        process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        said, complained = out.read().decode(), err.read().decode()
    if process.returncode != expected:
        print(said, complained)
    check(process.returncode == expected, f"tercet {' '.join(words)[:70]} exits {expected}")
    return said, complained, usage.ru_maxrss >> 10


def rows_of(index):
    said, _, _ = tercet("export", index)
    return {row["id"]: row for row in map(json.loads, said.splitlines())}


def json_rows(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def zstd_stored(data):
    """A zstd frame of stored blocks (RFC 8878): Python 3.11 has no zstd."""
    out = struct.pack("<IBB", 0xFD2FB528, 0, 0x38)  # a window of 128 KiB
    for at in range(0, len(data), 100000):
        block = data[at:at + 100000]
        out += struct.pack("<I", len(block) << 3 | (at + 100000 >= len(data)))[:3] + block
    return out


def zstd_bomb(blocks):
    """Each block of four bytes says: 128 KiB of blanks."""
    block = struct.pack("<I", (128 << 10) << 3 | 1 << 1)[:3] + b" "
    last = struct.pack("<I", (128 << 10) << 3 | 1 << 1 | 1)[:3] + b" "
    return struct.pack("<IBB", 0xFD2FB528, 0, 0x38) + block * blocks + last


def pdf(title, sentence):
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R"
        b"/Resources<</Font<</F1 5 0 R>>>>>>",
        None,
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        b"<</Title(" + title.encode() + b")>>",
    ]
    text = b"BT /F1 12 Tf 72 700 Td (" + sentence.encode() + b") Tj ET"
    objects[3] = b"<</Length %d>>stream\n%s\nendstream" % (len(text), text)
    out, places = b"%PDF-1.4\n", []
    for i, body in enumerate(objects):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (i + 1, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + (b"trailer\n<</Size %d/Root 1 0 R/Info 6 0 R>>\nstartxref\n%d\n%%%%EOF\n"
                  % (len(objects) + 1, table))


# ---- the tour ----

# a sentence -> id, title and fields of the document that says it
TOUR = {
    "gravity pulls the oceans": ("row-1", "Tides", {"topic": "sea", "year": 1687}),
    "leaves turn light into sugar": ("row-2", "Photosynthesis", None),
    "a balanced tree of disk pages": ("b-1", "B-trees, and more", {"topic": "computing",
                                                                    "year": 1972}),
    "four strings and a bow": ("7", "Violin", {"family": "strings"}),
    "planet with rings of ice": ("sub/saturn.txt", "saturn", None),
    "glass is made of sand": ("glass.txt", "glass", None),
    "valves keep blood from flowing backwards": ("heart.html", "The heart", {"lang": "en"}),
    "a honeybee tells where flowers are": ("bees.md", "Dancing bees",
                                           {"tags": ["insects", "language"], "year": 1973}),
    "molten rock through the crust": ("volcano.markdown.gz", "Volcanoes", None),
    "the capital of Hungary": ("budapest.htm.zst", "Budapest", None),
    "yeast makes dough rise": ("beir-1", "Bread", None),
    "a lizard that changes its colour": ("2#0", "Chameleon", None),
    "the first to walk on the moon": ("long-1", "", None),
    "iron is pulled by magnets": ("piped-1", "Magnets", {"source": "stdin"}),
}
PDF_TOUR = {"penguins keep their eggs warm": ("penguins.pdf", "Emperor penguins", None)}


def make_tour(folder):
    files = os.path.join(folder, "files")
    write(files, "rows.jsonl", json_rows(
        {"id": "row-1", "title": "Tides", "text": "The moon's gravity pulls the oceans.",
         "fields": {"topic": "sea", "year": 1687}}))
    write(files, "more.ndjson.gz", gzip.compress(json_rows(
        {"_id": "row-2", "title": "Photosynthesis",
         "text": "Leaves turn light and water into sugar."}).encode()))
    write(files, "table.csv", '\ufeffid,title,text,topic,year\r\nb-1,"B-trees, and more",'
          '"A balanced tree whose nodes are\r\n""pages"" of a disk.",computing,1972\r\n')
    write(files, "tabs.tsv.zst", zstd_stored(
        b"id\ttitle\ttext\tfamily\n7\tViolin\tFour strings over a bridge, and a bow.\tstrings\n"))
    write(files, "sub/saturn.txt", "Saturn is a planet whose rings are made of ice and dust.\n")
    write(files, "glass.txt", "Glass is made of molten sand, soda and lime.".encode("utf-16"))
    write(files, "heart.html", """<!doctype html><html lang="en"><head><title>The heart</title>
        <script>var bees = "dance, flowers";</script></head><body><nav>Bread Moon Magnets</nav>
        <main><p>Valves keep the blood&#39;s flow in one direction, never backwards.</main>""")
    write(files, "bees.md", "---\ntitle: Dancing bees\ntags: [insects, language]\nyear: 1973\n---\n"
          "# The waggle dance\n\nA honeybee dances to tell the others where flowers are.\n")
    write(files, "volcano.markdown.gz", gzip.compress(
        b"# Volcanoes\n\nMolten rock comes up through the crust of the earth.\n"))
    write(files, "budapest.htm.zst", zstd_stored(
        b"<title>Budapest</title><p>Budapest on the Danube is Hungary's capital."))
    write(files, "picture.png", b"\x89PNG")
    beir, miracl, mldr = (os.path.join(folder, name) for name in ("beir", "miracl", "mldr"))
    write(beir, "corpus.jsonl", json_rows(
        {"_id": "beir-1", "title": "Bread", "text": "Yeast makes the gas by which dough rises."}))
    write(beir, "queries.jsonl", json_rows({"_id": "q", "text": "not a document"}))
    write(miracl, "docs-0.jsonl.gz", gzip.compress(json_rows(
        {"docid": "1#0", "title": "Newt", "text": "A small animal of ponds."}).encode()))
    write(miracl, "docs-1.jsonl.gz", gzip.compress(json_rows(
        {"docid": "2#0", "title": "Chameleon", "text": "A lizard whose skin changes colour."}
    ).encode()))
    write(miracl, "README.md", "not a document")
    write(mldr, "corpus.jsonl.gz", gzip.compress(json_rows(
        {"docid": "long-1", "text": "Armstrong was the first to walk on the moon."}).encode()))
    return [files, beir, miracl, mldr]


def check_tour(folder):
    index = os.path.join(folder, "tour")
    paths, answers = make_tour(folder), dict(TOUR)
    if shutil.which("pdftotext"):
        write(paths[0], "penguins.pdf", pdf("Emperor penguins",
                                            "Penguins keep their eggs warm on their feet."))
        answers.update(PDF_TOUR)
    else:
        print("skipped: PDF, for want of pdftotext")
    _, complained, _ = tercet("ingest", index, *paths)
    check("1 file passed over: 1 .png" in complained, "what is passed over is counted")
    tercet("ingest", index, "-", "--format", "csv",
           stdin=b"id;title;text;source\npiped-1;Magnets;Iron is pulled by magnets.;stdin\n")
    found = rows_of(index)
    check(len(found) == len(answers) + 1, "nothing else is in")  # and the newt
    for question, (key, title, fields) in answers.items():
        answer = json.loads(tercet("search", index, question, "--json")[0])
        hit = answer["hits"][0]
        check(hit["id"] == key, f"{question} -> {key}")
        check(found[key].get("title", "") == title, f"its title is {title!r}")
        check(found[key].get("fields") == fields, f"its fields are {fields}")
    answer = json.loads(tercet("search", index, "trees", "--json", "--filter",
                               '{"year":{"$gte":1970,"$lt":1973}}')[0])
    check([hit["id"] for hit in answer["hits"]] == ["b-1"], "a column is a field to filter by")
    _, complained, _ = tercet("ingest", index, *paths)
    check(f"{len(answers)} unchanged" in complained, "again: all unchanged")


# ---- options ----

def check_options(folder):
    index, files = os.path.join(folder, "options"), os.path.join(folder, "chosen")
    write(files, "a.txt", "kept".encode())
    write(files, "b.log", "kept by --include".encode())
    write(files, "drafts/c.txt", "left out".encode())
    write(files, "old.txt", "caf\u00e9".encode("windows-1252"))
    tercet("ingest", index, files, "--include", "*.txt", "--include", "*.log", "--exclude",
           "drafts/", "--format", "text", "--encoding", "windows-1252")
    found = rows_of(index)
    check(sorted(found) == ["a.txt", "b.log", "old.txt"], "--include, --exclude, --format")
    check(found["old.txt"]["text"] == "caf\u00e9", "--encoding")
    rows = write(folder, "shop.jsonl", json_rows(
        {"sku": 5, "name": "Lamp", "about": "It shines.", "price": 7.5, "stock": 3}))
    table = write(folder, "shop.csv", "sku,name,about,price,stock\n6,Chair,To sit on.,12,0\n")
    tercet("ingest", index, rows, table, "--id", "sku", "--title", "name", "--text", "about",
           "--fields", "price")
    found = rows_of(index)
    check((found["5"]["title"], found["5"]["text"], found["5"]["fields"]) ==
          ("Lamp", "It shines.", {"price": 7.5}), "JSON's members by name")
    check((found["6"]["title"], found["6"]["text"], found["6"]["fields"]) ==
          ("Chair", "To sit on.", {"price": 12}), "columns by the same names")
    for wrong in (("--format", "docx"), ("--encoding", "klingon"), ("--fields", ",")):
        _, complained, _ = tercet("ingest", index, rows, *wrong, expected=2)
        check(wrong[0] in complained, f"{wrong[0]} {wrong[1]} is wrong usage")


# ---- hostile input ----

GOOD = json_rows({"id": "good", "text": "a good row"})
BAD_ROWS = {  # what stands between two good rows -> the complaint
    "cut.jsonl": (b'{"id":"x","text":"cut o', "not valid JSON"),
    "long.jsonl": (b'{"id":"x","text":"' + b"x" * (100 << 20) + b'"}', "a line of more than"),
    "nul.jsonl": (b'{"id":"x","text":"a\0b"}', "NUL"),
    "utf8.jsonl": (b'{"id":"x","text":"\xff"}', "not UTF-8"),
    "empty.jsonl": (b'{"id":"x","text":"  "}', "neither title nor text"),
    "deep.jsonl": (b'{"id":"x","text":' + b"[" * 1000000, "nested deeper"),
    "types.jsonl": (b'{"id":"x","text":["a"]}', '"text" must be a string'),
    "id.jsonl": (b'{"id":{},"text":"a"}', "must be a string or a whole number"),
    "fields.jsonl": (b'{"id":"x","text":"a","fields":7}', '"fields" must be an object'),
    "quote.csv": (b'x,"never closed', "a quote is opened and never closed"),
    "garbage.csv": (b'x,"closed" here', "text behind a closing quote"),
    "cells.csv": (b"x,y,z", "more cells than the 2 columns"),
    "nul.csv": (b"x,a\0b", "NUL"),
}
BAD_FILES = {  # -> the complaint; no line
    "empty.txt": (b" \n", "the file is empty"),
    "nul.txt": (b"a\0b", "NUL"),
    "latin.txt": (b"caf\xe9", "--encoding"),
    "large.txt": (b"x" * (LINE_BYTES_MAX + 1), "more than"),
    "empty.html": (b"<script>only()</script>", "no text"),
    "bomb.txt.zst": (zstd_bomb(8000), "times its size"),
    "cut.md.gz": (gzip.compress(os.urandom(5000).hex().encode())[:-20], "cut off"),
    "broken.pdf": (b"not a PDF", "p"),  # poppler's words, or where to get it
}


def make_hostile(folder):
    expected = {}
    for name, (row, complaint) in BAD_ROWS.items():
        key = "good-" + name
        first, last = GOOD, json_rows({"id": key, "text": "a good row behind a bad one"})
        if name.endswith(".csv"):
            first, last = "id,text\n", f"{key},a good row behind a bad one\n"
        write(folder, name, first.encode() + row + b"\n" + last.encode())
        expected[name] = (2, complaint)
    for name, (data, complaint) in BAD_FILES.items():
        write(folder, name, data)
        expected[name] = (None, complaint)
    bomb = gzip.compress(b" " * (16 << 20) + b"\n")
    write(folder, "bomb.jsonl.gz", gzip.compress(GOOD.encode()) + bomb * 20)
    expected["bomb.jsonl.gz"] = (2, "times its size")
    write(folder, "columns.csv", "name,words\na,b\n")
    expected["columns.csv"] = (1, 'no column "id"')
    write(folder, "twice.jsonl", json_rows({"id": "twice", "text": "first"},
                                           {"id": "twice", "text": "second"}))
    write(folder, "soup.html", "<title>Soup</title>" + "<div>" * 1000000 + "deep text</b></b>")
    write(folder, "soup2.html", "</p><b><i>un</b>closed &eacute; <p>soup <script>x<style>y")
    return expected


def check_hostile(folder):
    index, files = os.path.join(folder, "hostile"), os.path.join(folder, "bad")
    errors = os.path.join(folder, "errors.jsonl")
    expected = make_hostile(files)
    said, complained, memory_mib = tercet("ingest", index, files, "--errors", errors, "--json",
                                          expected=1)
    with open(errors) as lines:
        told = [json.loads(line) for line in lines]
    check(all(set(row) == {"file", "line", "id", "error"} for row in told), "errors: four members")
    bad = {os.path.basename(row["file"]): row for row in told if "came before" not in row["error"]}
    for name, (line, complaint) in expected.items():
        check(name in bad and bad[name]["line"] == line and complaint in bad[name]["error"],
              f"{name}: {bad.get(name)}")
        where = name + (f":{line}: " if line else ": ")
        check(where in complained, f"stderr says {where}")
    check(set(bad) == set(expected) and len(told) > len(bad), "nothing else is bad")
    repeated = [row for row in told if row["id"] == "twice"]
    check([row["line"] for row in repeated] == [2], "a repeated id is told with its line")
    found = rows_of(index)
    good = {"good-" + name for name in BAD_ROWS} | {"good", "twice", "soup.html", "soup2.html"}
    check(set(found) == good, "every good row is in")
    check(found["twice"]["text"] == "second", "of a repeated id the later row")
    check(found["soup.html"]["text"] == "deep text" and found["soup.html"]["title"] == "Soup",
          "a million elements deep")
    check(found["soup2.html"]["text"] == "unclosed \u00e9\nsoup", "soup without its scripts")
    if MEMORY_MIB_MAX:
        check(memory_mib < MEMORY_MIB_MAX, f"{memory_mib} MiB of memory at the most")
    check_events(said, len(expected))


def check_events(said, bad):
    events = [json.loads(line) for line in said.splitlines()]
    kinds = {event["event"] for event in events}
    check(kinds == {"progress", "bad", "repeated", "done"}, "the kinds of events")
    check(sum(event["event"] == "bad" for event in events) == bad, "an event for each bad row")
    done = events[-1]
    check(done["event"] == "done" and done["bad"] == bad, "the last event sums up")
    check(sum(done["skipped"].values()) == bad, "and counts the reasons")
    check(done["skipped"]["not valid JSON"] == 1 and done["repeated"] >= 1, "by their names")
    check(all({"stored", "tokens_per_s", "seconds_left"} <= set(event)
              for event in events if event["event"] == "progress"), "progress by numbers")


def main():
    with tempfile.TemporaryDirectory() as folder:
        check_tour(folder)
        check_options(folder)
        check_hostile(folder)
    print("1 passed, 0 failed")


main()
