"""What the search page does elsewhere and when something is wrong, for tests/browser.py: other
addresses, narrow screens, servers that are slow or gone, a reranker, strange texts, API keys."""
import hashlib
import time
import urllib.parse

from browser_tab import Tab, fits, notes
from served import Server, check, random_model


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


def check_reranker_and_likeness(browser, tercet, folder):
    reranker = random_model(tercet, "v2-m3", folder + "/reranker")
    with Server(tercet, folder + "/data", "--reranker", reranker) as server:
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
        found["hits"][0]["passage"] = {"begin": 300, "end": 1000, "index": 1, "of": 3}
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


def check_key(browser, tercet, folder):
    path = folder + "/keys"
    with open(path, "w") as out:
        for level, key in (("read", "reader-key"), ("write", "writer-key")):
            out.write(f"{level} {hashlib.sha256(key.encode()).hexdigest()} of a test\n")
    with Server(tercet, folder + "/keyed", "--api-key-file", path) as server:
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
