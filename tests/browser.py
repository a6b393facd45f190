#!/usr/bin/env python3
"""The search page in a browser: what a person does on it, on a server of its own.

usage: browser.py TERCET PYTHON

PYTHON has Playwright and axe-core; tools/setup.sh test installs them (.cache/browser) and Chromium.
Without them the test is skipped. With TERCET_SHOTS=FOLDER it leaves pictures there.
"""
import json
import os
import re
import shutil
import sys
import tempfile
import time

from served import SKIP, Server, check

TERCET, PYTHON = sys.argv[1:]
FOCUSED = "document.activeElement.ariaLabel"
MODES = ("dense", "sparse", "multi")
FUSIONS = ("zscore", "weighted", "minmax", "rrf", "dbsf")


def check_search(browser, server):
    tab = Tab(browser, server.url, path="/#c=notes")
    page = tab.page
    page.wait_for_selector("#message h2:has-text('Search 11 documents')")
    check(page.evaluate("document.activeElement.id") == "query", "the search has the focus")
    tab.is_accessible("welcome")
    tab.shot("welcome")
    page.keyboard.type("why is there high water twice a day", delay=8)
    page.wait_for_selector(".hit")
    tab.settled()
    check(tab.titles()[0] == "Tides", "typing finds")
    check("twice" in page.locator(".hit:first-child mark").all_inner_texts(), "and marks it")
    check(len(tab.searches) < 12, f"not every key is a request: {len(tab.searches)} for 35 keys")
    check("11 candidates" in page.inner_text("#summary"), "and says among how many")
    stages = page.locator("#timing li").all_inner_texts()
    check({"encode", "retrieve", "score"} <= {stage.split()[0] for stage in stages},
          f"time by stage: {len(stages)}")
    tab.is_accessible("hits")
    tab.shot("hits")
    return tab


FUSE = """([answer, ids, given]) => {
    const plan = {modes: answer.modes, method: answer.fusion,
                  weights: given || defaultWeights(answer.fusion, answer.modes, hasPassages())};
    const raws = (hit) => plan.modes.map((mode) => [mode, hit.scores[mode].raw]);
    return fuse(plan, answer.hits.map((hit) => ({
        id: hit.id, order: ids.indexOf(hit.id), raw: Object.fromEntries(raws(hit))})));
}"""


def check_fusion(tab, server, collection, ids):
    """fuse.js against fuse.c, number by number, where every candidate is among the hits. ids: as
    they were stored."""
    compared = 0
    for modes in (MODES, ("dense", "sparse"), ("multi",)):
        for fusion in FUSIONS:
            for weights in (None, dict(zip(MODES, (0.7, 0.1, 0.2)))):
                asked = {"query": "salt water and the moon", "k": 50, "modes": modes,
                         "fusion": fusion, **({"weights": weights} if weights else {})}
                answer = server.ask("POST", f"/v1/collections/{collection}/search", asked).json()
                theirs, ours = answer["hits"], tab.page.evaluate(FUSE, [answer, ids, weights])
                pairs = [(mine["score"], other["score"]) for mine, other in zip(ours, theirs)]
                for mine, other in zip(ours, theirs):
                    pairs += [(mine["scores"][mode][part], other["scores"][mode][part])
                              for mode in modes
                              for part in ("raw", "normalized", "contribution", "rank")]
                compared += len(pairs)
                if (len(theirs) != answer["total_candidates"]
                        or [hit["id"] for hit in ours] != [hit["id"] for hit in theirs]
                        or any(abs(mine - other) > 1e-4 for mine, other in pairs)):
                    print(asked, ours[:2], theirs[:2])
                    check(False, "the page fuses as the server does")
    check(compared > 500, f"the page fuses as the server does: {compared} numbers")


def check_knobs(tab):
    page = tab.page
    tab.search("salt water and the moon")
    before, asked = tab.titles(), len(tab.searches)
    slider = page.locator("#modes .sparse [type=range]")
    page.evaluate("() => { window.held = fetch; window.fetch = () => new Promise(() => {}); }")
    page.locator("#modes .multi [type=range]").fill("0")
    page.locator("#modes .dense [type=range]").fill("0.05")
    slider.fill("1")
    check(page.is_visible("#preview"), "a moved weight says that it re-ordered these hits only")
    moved = tab.titles()
    check(moved != before and sorted(moved) == sorted(before), "and does so before")
    check(len(tab.searches) == asked and page.inner_text("#modes .sparse output") == "1.00",
          "the server is asked")
    tab.shot("preview")
    page.evaluate("() => { window.fetch = window.held; }")
    slider.fill("0.99")
    tab.settled()
    check(tab.searches[-1]["weights"] == {"dense": 0.05, "sparse": 0.99, "multi": 0},
          "then it is")
    check(tab.titles() == moved and not page.is_visible("#preview"), "and agrees")
    check("weights=" in page.url, "the address has the weights")
    page.click("#weights-reset")
    tab.settled()
    check(tab.titles() == before and "weights" not in tab.searches[-1],
          "Reset leaves them to the server")

    page.uncheck("#modes .dense [type=checkbox]")
    page.uncheck("#modes .multi [type=checkbox]")
    tab.settled()
    check(tab.searches[-1]["modes"] == ["sparse"], "modes can be switched off")
    check(page.is_disabled("#modes .sparse [type=range]") and page.is_disabled("#fusion"),
          "one mode alone needs no weight")
    check(tab.count(".hit:first-child .scores dl > div") == 1, "and has one bar")
    page.locator("#modes .sparse [type=checkbox]").click()
    check(page.is_checked("#modes .sparse [type=checkbox]"), "the last cannot")
    for mode in ("dense", "multi"):
        page.check(f"#modes .{mode} [type=checkbox]")
    page.select_option("#fusion", "rrf")
    page.select_option("#k", "20")
    tab.settled()
    check(tab.searches[-1]["fusion"] == "rrf" and tab.searches[-1]["k"] == 20, "fusion and k")
    page.select_option("#fusion", "zscore")
    page.select_option("#k", "10")
    tab.settled()
    check(tab.count(".hit") == 10 and page.is_visible("#further"), "there is more than ten")
    page.click("#further button")
    tab.settled()
    check(tab.count(".hit") == 11 and not page.is_visible("#further"), "and it comes")


def check_filter(tab):
    page = tab.page
    tab.search("water")
    facet = page.locator(".facet", has_text="topic")
    values = facet.locator("button").all_inner_texts()
    check(values[0].split() == ["sea", "4"], f"facets count: {values[0].split()}")
    facet.locator("button", has_text="food").click()
    tab.settled()
    check(sorted(tab.titles()) == ["Salt", "Sourdough", "Tea"], "a facet filters at a click")
    check(page.locator(".facet button[aria-pressed=true]").inner_text().split()[0] == "food",
          "and is seen to")
    page.fill("#builder-field", "year")
    page.select_option("#builder-op", "$gte")
    page.fill("#builder-value", "2022")
    page.locator("#builder button").click()
    tab.settled()
    check(sorted(tab.titles()) == ["Salt", "Tea"], "a condition is added")
    check(tab.searches[-1]["filter"] == {"topic": "food", "year": {"$gte": 2022}}, "as a number")
    check("year at least 2022" in page.inner_text("#conditions li:last-child"), "in words")
    tab.is_accessible("a filter")
    page.locator("#conditions button").first.click()
    tab.settled()
    check(len(tab.titles()) == 5, "a condition is removed")
    page.click("#filter-mode")
    page.fill("#filter-json", '{"$or": [{"topic": "music"}, {"topic": ')
    page.wait_for_selector("#filter-error:not([hidden])")
    check(len(tab.titles()) == 5, "half a filter changes nothing, and says so")
    page.fill("#filter-json", '{"$or": [{"topic": "music"}, {"topic": "ice"}]}')
    page.wait_for_timeout(350)
    tab.settled()
    check(sorted(tab.titles()) == ["Glaciers", "Organ", "Sea ice", "Violin"], "a whole one does")
    page.fill("#filter-json", '{"topic": {"$what": 1}}')
    page.wait_for_timeout(350)
    tab.settled()
    check("$what" in page.inner_text("#filter-error"), "the server's objection stands beside it")
    page.fill("#filter-json", "")
    page.wait_for_timeout(350)
    page.click("#filter-mode")
    tab.settled()
    check(tab.count("#conditions li") == 0 and len(tab.titles()) == 10, "an empty one is none")
    page.locator(".hit .chip", has_text="topic ice").first.click()
    tab.settled()
    check(sorted(tab.titles()) == ["Glaciers", "Sea ice"], "a hit's field is a filter, too")
    tab.search("")
    page.locator("#conditions button").click()


def check_keys_and_explanation(tab):
    page = tab.page
    tab.search("why is there high water twice a day")
    page.focus("#theme")
    page.keyboard.press("/")
    check(page.evaluate("document.activeElement.id") == "query", "/ goes to the search")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    check(page.evaluate(FOCUSED) == "Hit 1: Tides", "arrows go through hits")
    page.keyboard.press("Enter")
    first = page.locator(".hit").first
    check(tab.count(".hit:first-child .explain .sum tbody tr") == 3,
          "Enter opens: how the score adds up")
    total = float(first.locator(".sum tfoot td").inner_text())
    parts = [float(cell.replace("−", "-")) for cell in
             first.locator(".sum tbody td:last-child").all_inner_texts()]
    check(abs(sum(parts) - total) < 0.01, f"{parts} make {total}")
    check(first.locator(".terms li, .explain .note").count() > 0, "which terms")
    tokens = first.locator(".tokens .asks").all_inner_texts()
    check(tokens[:4] == ["why", "is", "there", "high"], "and each token's best answer")
    check("open=n0" in page.url, "the address has what is open")
    tab.is_accessible("an explanation")
    tab.shot("explain")
    page.keyboard.press("Escape")
    check(tab.count(".explain") == 0 and page.evaluate(FOCUSED) == "Hit 1: Tides",
          "Esc closes it")
    page.keyboard.press("Escape")
    check(page.evaluate("document.activeElement.id") == "query", "and goes back to the search")
    page.keyboard.press("Escape")
    page.wait_for_selector("#message h2")
    check(page.input_value("#query") == "" and tab.count(".hit") == 0, "and empties it")
    page.focus("#theme")
    page.keyboard.press("?")
    check(page.is_visible("#help-dialog"), "? shows the keys")
    tab.is_accessible("help")
    page.keyboard.press("Escape")
    check(not page.is_visible("#help-dialog"), "Esc closes that")
    tab.search("lighthouse keeper")
    long = page.locator(".hit", has_text="A long text")
    check(len(long.locator("p").inner_text()) < 400, "a long text is cut")
    long.locator(".more").click()
    check(len(long.locator("p").inner_text()) > 2000, "and shown whole")


def check_collections(tab):
    page = tab.page
    page.click("#switcher")
    page.wait_for_selector("#collection-list b:has-text('empty')")
    tab.is_accessible("collections")
    tab.shot("collections")
    page.fill("#create-name", "no spaces")
    page.click("#create button")
    check(page.is_visible("#collections-dialog"), "a wrong name is not taken")
    page.fill("#create-name", "made")
    page.click("#create button")
    page.wait_for_selector("#message h2:has-text('made is empty')")
    check("c=made" in page.url, "a collection is made and gone to")
    tab.shot("empty")
    tab.is_accessible("an empty collection")
    said = page.inner_text("#about-list")
    check("bge-small-en-v1.5" in said and "dense, sparse, multi" in said and "ready" in said,
          "its model, modes and health are told")


def check_adding(tab, server):
    page = tab.page
    page.click("#add")
    tab.is_accessible("adding")
    tab.shot("add")
    files = {
        "birds.jsonl": '{"id":"heron","title":"Herons","text":"They stand still in water.",'
                       '"fields":{"kind":"wader"}}\n{broken\n'
                       '{"title":"no id","text":"named after its line"}\n{"id":"bad","text":7}\n',
        "list.json": '{"documents": [{"id": "j1", "text": "an owl hears a mouse under snow"}]}',
        "plain.txt": "A woodpecker's tongue winds around its skull.",
        "notes.md": "intro\n# The cuckoo\n\nIt lays its eggs in other birds' nests.\n",
        "front.md": '---\ntitle: "Kiwis"\ntags: [a]\n---\n# No\nThey smell their way at night.\n',
        "half.csv": "id;title;text\nc2;Gulls;They drink the sea, salt and all.\n",
        "table.csv": 'id,title,text,year\r\n'
                     'c1,"Terns, arctic","They fly from ""pole to pole"".\nAnd back.",2020\r\n',
        "picture.png": "not a text",
    }
    page.set_input_files("#add-files", [{"name": name, "mimeType": "", "buffer": text.encode()}
                                        for name, text in files.items()])
    page.wait_for_selector("#add-done:not([hidden])")
    check(page.inner_text("#add-status").startswith("8 documents stored in made, 3 failed"),
          page.inner_text("#add-status"))
    failed = page.locator("#verdict-rows tr.failed").all_inner_texts()
    check(len(failed) == 3 and "birds.jsonl:2" in str(failed) and "bad" in str(failed)
          and "picture.png" in str(failed), "each row has its verdict, failures first")
    tab.is_accessible("verdicts")
    tab.shot("added")
    page.click("#add-more")
    page.fill("#paste-text", "Swifts sleep on the wing\nand come down to nest only.")
    page.locator("#paste button").click()
    page.wait_for_selector("#add-done:not([hidden])")
    page.click("#add-done")
    for query, title in (("bird that stands still in the water", "Herons"),
                         ("eggs in another nest", "The cuckoo"),
                         ("pole to pole", "Terns, arctic"), ("tongue around the skull", "plain"),
                         ("asleep in the air", "Swifts sleep on the wing"),
                         ("smell at night", "Kiwis"), ("drinks salt water", "Gulls")):
        check(tab.search(query)[0] == title, f"what was added is found: {title}")
    stored = server.ask("GET", "/v1/collections/made/documents/c1").json()
    check(stored["text"] == 'They fly from "pole to pole".\nAnd back.'
          and stored["fields"] == {"year": 2020},
          "a table's cells and numbers arrive as they were")
    check("9 documents" in page.inner_text("#switcher"), "and are counted")

    drop = page.evaluate_handle("""() => { const data = new DataTransfer();
        data.items.add(new File(['Pelicans fish together.'], 'pelican.txt')); return data; }""")
    page.dispatch_event("body", "dragenter", {"dataTransfer": drop})
    check(page.is_visible("#drop"), "files over the page: it says where they will go")
    page.dispatch_event("body", "drop", {"dataTransfer": drop})
    page.wait_for_selector("#add-done:not([hidden])")
    check("1 document stored" in page.inner_text("#add-status"), "dropped files are added")
    page.keyboard.press("Escape")


def check_passages(tab, server):
    """A collection whose long texts are cut: made on the page, filled, and what is found shown."""
    page = tab.page
    page.click("#switcher")
    page.fill("#create-name", "cut")
    page.select_option("#create-chunks", "200")
    page.click("#create button")
    page.wait_for_selector("#message h2:has-text('cut is empty')")
    check("200 tokens" in page.inner_text("#about-list"), "a collection of passages is made")
    parts = ["Bees dance to tell where flowers are. ", "A volcano throws out ash and stones. ",
             "The harpsichord plucks its strings with quills. "]
    with_end = "".join(part * 40 for part in parts)
    rows = [{"id": "book", "title": "A book", "text": with_end}]
    rows += [{"id": f"s{i}", "text": part} for i, part in enumerate(parts)]
    server.post("/v1/collections/cut/documents", rows)
    tab.search("strings plucked by quills")
    hit = page.locator(".hit", has_text="A book")
    check(re.search(r"passage [567] of [567]", hit.locator(".meta").inner_text()),
          "a hit says which passage was found")
    shown = hit.locator("p").inner_text()
    check(shown.startswith("…") and "harpsichord" in shown and "Bees" not in shown,
          "and that is what is shown of it")
    check(page.inner_text("#modes .sparse output") == "0.65", "with the weights for passages")


def check_all(browser, folder):
    with Server(TERCET, folder + "/data") as server:
        for name in ("notes", "empty"):
            check(server.ask("PUT", f"/v1/collections/{name}").status == 201, name)
        tab = Tab(browser, server.url)
        tab.page.wait_for_selector("#message h2:has-text('is empty')")
        tab.is_clean()
        stored = server.ask("POST", "/v1/collections/notes/documents", notes())
        check(stored.status == 200, "documents")
        tab = check_search(browser, server)
        check_fusion(tab, server, "notes", [json.loads(row)["id"] for row in notes().split("\n")])
        check_knobs(tab)
        check_filter(tab)
        check_keys_and_explanation(tab)
        check_collections(tab)
        check_adding(tab, server)
        check_passages(tab, server)
        check_fusion(tab, server, "cut", ["book", "s0", "s1", "s2"])
        tab.is_clean(expected=("400",))
        check_address(browser, server)
        check_phone(browser, server)
        check_trouble(browser, server)
        check_highlights(browser, server)
        check_markup(browser, server)
    check_reranker_and_likeness(browser, TERCET, folder)
    check_key(browser, TERCET, folder)
    check_answers(browser, TERCET, folder)
    with Server(TERCET, folder + "/nothing") as server:
        tab = Tab(browser, server.url)
        tab.page.wait_for_selector("#message h2:has-text('Nothing to search yet')")
        check(not tab.page.is_visible("#rerank"), "no reranker, no switch")
        check(not tab.page.is_visible("#answer"), "no chat model, no answers")
        tab.is_accessible("no collection")
        tab.is_clean()


def main():
    began = time.time()
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        try:  # as root Chromium runs without its sandbox only; what it opens here is ours
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"),
                                                 args=["--no-sandbox"])
        except PlaywrightError as error:
            print(f"no Chromium: {error}")
            sys.exit(SKIP)
        try:
            check_all(browser, folder)
        except PlaywrightError:  # what was on the screen says more than what was waited for
            for page in [page for context in browser.contexts for page in context.pages]:
                print(page.url, page.inner_text("body")[:2000])
            raise
        browser.close()
    print(f"{time.time() - began:.0f} s")


if not os.path.exists(PYTHON):
    print(f"{PYTHON} is missing (tools/setup.sh test installs it)")
    sys.exit(SKIP)
BROWSER = os.path.dirname(os.path.dirname(os.path.abspath(PYTHON)))
if os.path.realpath(sys.prefix) != os.path.realpath(BROWSER):
    os.environ["PLAYWRIGHT_BROWSERS_PATH"] = BROWSER + "/browsers"
    os.execv(PYTHON, [PYTHON, *sys.argv])
from playwright.sync_api import Error as PlaywrightError, sync_playwright  # noqa: E402

from browser_answers import check_answers  # noqa: E402
from browser_states import (check_address, check_highlights, check_key,  # noqa: E402
                            check_markup, check_phone, check_reranker_and_likeness, check_trouble)
from browser_tab import Tab, notes  # noqa: E402

main()
