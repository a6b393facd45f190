#!/usr/bin/env python3
"""The search page in a browser: what a person does on it, on a server of its own.

usage: browser.py TERCET PYTHON

PYTHON has Playwright and axe-core; tools/setup.sh test installs them (.cache/browser) and Chromium.
Without them the test is skipped. With TERCET_SHOTS=FOLDER it leaves pictures there.
"""
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import urllib.parse

from served import SKIP, Server, check, random_model

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
                  weights: given || defaultWeights(answer.fusion, answer.modes)};
    const raws = (hit) => plan.modes.map((mode) => [mode, hit.scores[mode].raw]);
    return fuse(plan, answer.hits.map((hit) => ({
        id: hit.id, order: ids.indexOf(hit.id), raw: Object.fromEntries(raws(hit))})));
}"""


def check_fusion(tab, server):
    """fuse.js against fuse.c, number by number, where every candidate is among the hits."""
    ids = [json.loads(line)["id"] for line in notes().split("\n")]
    compared = 0
    for modes in (MODES, ("dense", "sparse"), ("multi",)):
        for fusion in FUSIONS:
            for weights in (None, dict(zip(MODES, (0.7, 0.1, 0.2)))):
                asked = {"query": "salt water and the moon", "k": 50, "modes": modes,
                         "fusion": fusion, **({"weights": weights} if weights else {})}
                answer = server.ask("POST", "/v1/collections/notes/search", asked).json()
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
    check(compared > 1000, f"the page fuses as the server does: {compared} numbers")


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


def check_address(browser, server):
    filter_text = urllib.parse.quote('{"topic":"sea"}')
    tab = Tab(browser, server.url, dark=True,
              path="/#c=notes&q=moon&modes=dense,sparse&weights=.2,.8,0&fusion=minmax&k=20&open=n2"
                   f"&filter={filter_text}")
    tab.page.wait_for_selector(".hit")
    tab.settled()
    asked = tab.searches[-1]
    check(asked == {**asked, "query": "moon", "modes": ["dense", "sparse"],
                    "fusion": "minmax", "k": 20,
                    "weights": {"dense": .2, "sparse": .8}, "filter": {"topic": "sea"}},
          "an address is the whole search")
    check(tab.page.locator(".hit.open h2").inner_text() == "Moon and mud", "with what was open")
    background = "getComputedStyle(document.body).backgroundColor"
    check(tab.page.evaluate(background) == "rgb(16, 17, 20)", "dark, as the system is")
    tab.is_accessible("dark")
    tab.shot("dark")
    tab.page.click("#theme")
    check(tab.page.evaluate(background) == "rgb(251, 251, 250)", "light, by the switch")
    tab.page.reload()
    tab.page.wait_for_selector(".hit")
    check(tab.page.evaluate(background) == "rgb(251, 251, 250)", "and so it stays")
    tab.page.evaluate("location.hash = '#c=notes&q=violin'")
    tab.settled()
    check(tab.titles()[0] == "Violin", "another address, another search")
    tab.is_clean()

    tab = Tab(browser, server.url,
              path="/#c=nowhere&q=moon&k=many&weights=x&filter=%7Bbroken&modes=none")
    tab.page.wait_for_selector(".hit")
    check(tab.page.inner_text("#switcher-name") != "nowhere",
          "what cannot be read in it is passed over")
    tab.is_clean()


def check_phone(browser, server):
    tab = Tab(browser, server.url, size=(390, 844), path="/#c=notes&q=moon+and+sea",
              reduced_motion="reduce")
    page = tab.page
    page.wait_for_selector(".hit")
    check(fits(page), "a phone's width: nothing sticks out")
    page.locator(".hit .reason").first.click()
    check(fits(page), "nor with an explanation")
    tab.is_accessible("phone")
    tab.shot("phone")
    page.click("#tune")
    page.wait_for_selector("#sheet[open] #modes .dense")
    check(fits(page), "nor with the knobs")
    tab.is_accessible("phone, knobs")
    tab.shot("phone-tune")
    page.uncheck("#sheet .dense [type=checkbox]")
    tab.settled()
    check(tab.searches[-1]["modes"] == ["sparse", "multi"], "which work there as well")
    page.keyboard.press("Escape")
    check(page.evaluate("$('rail').contains($('modes'))"),
          "and go back where they were")
    page.set_viewport_size({"width": 320, "height": 640})
    check(fits(page), "a small phone")
    tab.is_clean()


def check_trouble(browser, server):
    tab = Tab(browser, server.url, path="/#c=notes")
    page = tab.page
    page.wait_for_selector("#message h2")
    page.route("**/search", lambda route: (time.sleep(1.6), route.continue_()))
    page.fill("#query", "slow")
    page.wait_for_selector("#summary:has-text('Still searching')", timeout=5000)
    check(tab.count("#summary button") == 1, "what is slow says so, and can be stopped")
    page.unroute("**/search")
    tab.settled()
    page.route("**/search", lambda route: route.fulfill(
        status=503, headers={"Retry-After": "1"}, content_type="application/json",
        body='{"error":{"code":"busy","message":"the queue is full","field":null}}'))
    page.fill("#query", "busy")
    page.wait_for_selector("#error:not([hidden])")
    check("busy" in page.inner_text("#error"), "busy: in words")
    page.unroute("**/search")
    page.click("#retry")
    page.wait_for_selector(".hit")
    check(not page.is_visible("#error"), "and can be tried again")
    page.route("**/search", lambda route: route.abort())
    page.fill("#query", "gone")
    page.wait_for_selector("#error:has-text('does not answer')")
    check("not reachable" in page.inner_text("#health"), "no server: in words, too")
    tab.is_accessible("an error")
    tab.shot("error")
    page.unroute("**/search")
    page.click("#retry")
    page.wait_for_selector(".hit")
    check("ready" in page.inner_text("#health"), "until it is back")

    # Old answers never overtake new ones.
    page.evaluate("""() => { const real = fetch; window.fetch = async (path, options) => {
        const answer = await real(path, {...options, signal: undefined});
        if (/violin/.test(options && options.body)) await new Promise((go) => setTimeout(go, 900));
        return answer; }; }""")
    page.fill("#query", "violin")
    page.wait_for_timeout(200)
    page.fill("#query", "glacier")
    page.wait_for_timeout(1300)
    tab.settled()
    check(tab.titles()[0] == "Glaciers", "an answer that comes late is dropped")
    tab.is_clean(expected=("ERR_FAILED", "503"))


def check_reranker_and_likeness(browser, folder):
    reranker = random_model(TERCET, "v2-m3", folder + "/reranker")
    with Server(TERCET, folder + "/data", "--reranker", reranker) as server:
        tab = Tab(browser, server.url, path="/#c=notes&q=salt+and+the+moon")
        page = tab.page
        page.wait_for_selector(".hit")
        fused = tab.titles()
        check(page.is_visible("#rerank"), "a server with a reranker has a switch for it")
        page.check("#rerank")
        page.select_option("#rerank-top", "20")
        tab.settled()
        check(tab.searches[-1]["rerank"]["top"] == 20 and tab.count(".hit .rerank") == 10,
              "which works")
        check("11 of 11 read again" in page.inner_text("#summary"), "and says how many were read")
        check("rerank" in page.inner_text("#timing"), "and how long that took")
        read = tab.titles()
        check(read != fused, "the order is the reranker's")
        page.locator("#modes .dense [type=range]").fill("1")
        check(tab.titles() == read, "which weights do not change")
        tab.settled()
        tab.is_accessible("reranked")
        check("rerank=20" in page.url, "and it is in the address")
        page.locator(".hit", has_text="Glaciers").get_by_text("More like this").click()
        tab.settled()
        check(tab.searches[-1]["like"] == "n6" and "query" not in tab.searches[-1], "more like one")
        check("Glaciers" not in tab.titles() and "like=n6" in page.url, "has others")
        page.locator("#summary button").click()
        tab.settled()
        check(tab.titles() == read, "and a way back")
        tab.is_clean()


def check_highlights(browser, server):
    """Ranges are bytes of UTF-8; strings in the browser are UTF-16. The server's answer is given
    ranges here, so that it is known what they should mark."""
    title = "Über 🌊 Wellen"
    text = "Ein 🌊 am Ufer. " * 40 + "Größe der 🌊 zählt." + " Danach nichts." * 40
    server.post("/v1/collections/bytes/documents", [{"id": "w", "title": title, "text": text}])

    def mark(field, whole, part, source):
        begin = whole.encode().index(part.encode())
        return {"field": field, "begin": begin, "end": begin + len(part.encode()), "score": 0.8,
                "source": source}

    def answer(route):
        found = route.fetch().json()
        found["hits"][0]["highlights"] = [mark("title", title, "🌊", "multi"),
                                          mark("text", text, "Größe", "sparse"),
                                          mark("text", text, "zählt", "multi")]
        found["hits"][0]["passage"] = {"begin": 0, "end": 9, "index": 1, "of": 3}
        route.fulfill(json=found)

    tab = Tab(browser, server.url, path="/#c=bytes")
    page = tab.page
    page.wait_for_selector("#message h2")
    page.route("**/search", answer)
    page.fill("#query", "waves")
    page.wait_for_selector(".hit mark")
    check(page.locator(".hit h2 mark").all_inner_texts() == ["🌊"], "a mark in a title")
    check(page.locator(".hit p mark").all_inner_texts() == ["Größe", "zählt"], "marks in a text")
    shown = page.inner_text(".hit p")
    check(shown.startswith("…") and shown.endswith("…") and len(shown) < 400,
          "the part that is marked is the part that is shown")
    check("passage 2 of 3" in page.inner_text(".hit .meta"), "and which passage was found")
    tab.is_accessible("marks")
    tab.shot("marks")
    page.click(".hit .more")
    check(page.inner_text(".hit p").strip() == text.strip() and tab.count(".hit p mark") == 2,
          "the whole text has them, too")
    tab.is_clean()


def check_markup(browser, server):
    evil = "<img src=x onerror=\"document.title='owned'\"><b>bold</b>"
    server.post("/v1/collections/evil/documents",
                [{"id": evil, "title": evil, "text": evil, "fields": {evil: evil}}])
    tab = Tab(browser, server.url, path="/#c=evil&q=bold&open=" + urllib.parse.quote(evil))
    tab.page.wait_for_selector(".hit")
    tab.settled()
    check(tab.titles() == [evil] and tab.count(".hit img, .hit b b, .facet img") == 0 and
          "owned" not in tab.page.title(), "what stands in documents stays text")
    tab.is_clean()


def check_key(browser, folder):
    path = folder + "/keys"
    with open(path, "w") as out:
        for level, key in (("read", "reader-key"), ("write", "writer-key")):
            out.write(f"{level} {hashlib.sha256(key.encode()).hexdigest()} of a test\n")
    with Server(TERCET, folder + "/keyed", "--api-key-file", path) as server:
        server.ask("POST", "/v1/collections/secret/documents", notes(), {"x-api-key": "writer-key"})
        tab = Tab(browser, server.url)
        page = tab.page
        page.wait_for_selector("#key-dialog[open]")
        tab.is_accessible("a key is asked for")
        tab.shot("key")
        page.fill("#key-value", "wrong-key")
        page.keyboard.press("Enter")
        page.wait_for_selector("#error:has-text('API key')")
        page.click("#retry")
        page.fill("#key-value", "reader-key")
        page.keyboard.press("Enter")
        page.wait_for_selector("#message h2:has-text('Search 11 documents')")
        check(not page.is_visible("#error"), "with the right key the page is there")
        check(tab.search("moon")[0] in ("Tides", "Moon and mud"), "and finds")
        page.click("#add")
        page.fill("#paste-text", "may I?")
        page.locator("#paste button").click()
        page.wait_for_selector("#add-more:not([hidden])")
        check("may not do that" in page.inner_text("#add-status"),
              "a reader's key may not write: in words")
        page.keyboard.press("Escape")
        page.reload()
        page.wait_for_selector(".hit")
        check(page.evaluate("sessionStorage.length === 1 && localStorage.length === 0"),
              "the key is kept for the tab only")
        page.click("#key")
        page.fill("#key-value", "writer-key")
        page.check("#key-keep")
        page.keyboard.press("Enter")
        page.wait_for_selector(".hit")
        check(page.evaluate("sessionStorage.length === 0 && localStorage.length === 1"),
              "or for the device, when asked to")
        page.click("#key")
        page.click("#key-forget")
        page.wait_for_selector("#key-dialog[open]")
        check(page.evaluate("sessionStorage.length + localStorage.length") == 0
              and tab.count(".hit") == 0,
              "and forgotten, with what it had opened")
        check("reader-key" not in page.url + page.content(), "it stands nowhere")
        tab.is_clean(expected=("401", "403"))


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
        check_fusion(tab, server)
        check_knobs(tab)
        check_filter(tab)
        check_keys_and_explanation(tab)
        check_collections(tab)
        check_adding(tab, server)
        tab.is_clean(expected=("400",))
        check_address(browser, server)
        check_phone(browser, server)
        check_trouble(browser, server)
        check_highlights(browser, server)
        check_markup(browser, server)
    check_reranker_and_likeness(browser, folder)
    check_key(browser, folder)
    with Server(TERCET, folder + "/nothing") as server:
        tab = Tab(browser, server.url)
        tab.page.wait_for_selector("#message h2:has-text('Nothing to search yet')")
        check(not tab.page.is_visible("#rerank"), "no reranker, no switch")
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

from browser_tab import Tab, fits, notes  # noqa: E402

main()
