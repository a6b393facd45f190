#!/usr/bin/env python3
"""The pages that `tercet eval --report` writes, in a browser: light, dark and on a phone, with and
without the pointer, and with texts that would like to be scripts.

usage: browser_report.py TERCET PYTHON

PYTHON has Playwright and axe-core; tools/setup.sh test installs them (.cache/browser) and Chromium.
Without them the test is skipped. With TERCET_SHOTS=FOLDER it leaves pictures there.
"""
import os
import shutil
import sys
import tempfile

from report_kit import ASKED, HOSTILE, LANGUAGES, data_of, languages, reports
from served import SKIP, check

TERCET, PYTHON = sys.argv[1:]


def titles(page):
    return page.locator("main h2").all_inner_texts()


def check_eval(tab, data):
    page = tab.page
    check(page.inner_text("h1") == "made" and "5 queries over 7 documents" in
          page.inner_text("#lead"), "its head says what was run")
    check(titles(page) == ["Figures", "Side by side", "Recall by depth", "Hardest queries",
                           "Time of a query"], f"its parts: {titles(page)}")
    cells = page.locator("section:has(#figures) tbody td").all_inner_texts()
    ways = len(data["rows"])
    figures = [f"{row[name]:.4f}" for row in data["rows"] for name in data["measures"]]
    check(cells == figures, f"the table has {len(figures)} figures")
    shown = page.locator("section:has(#bars) .bars .num").all_inner_texts()
    check(sorted(shown) == sorted(figures), "and so have the bars")
    check(ways == 6 and tab.count("svg.plot .curve") == ways and
          tab.count("svg.plot circle") == ways * len(data["depths"]), "a curve for each way")
    check(tab.count("section:has(#hardest) details") == len(data["hardest"][-1]), "hard queries")
    for low, high in ((0, 0), (.5, .5), (1, 1), (.9, .97), (0, 1), (.53, .96)):
        axis = page.evaluate(f"axisOf([{low}, {high}])")
        check(0 <= axis["from"] <= low + 1e-9 and high <= axis["to"] + 1e-9 and axis["to"] <= 1 and
              axis["to"] - axis["from"] > .099 and len(axis["ticks"]) in range(2, 9),
              f"an axis from {axis['from']:.2f} to {axis['to']:.2f} for {low} to {high}")
    page.select_option("#way", "1")
    check(tab.count("section:has(#hardest) details") == len(data["hardest"][1]), "of another way")
    summary = page.locator("section:has(#hardest) summary", has_text="tides and the sea")
    check(HOSTILE in summary.inner_text(), "markup in a query is read as it was written")
    summary.focus()
    page.keyboard.press("Enter")
    opened = page.locator("details[open] .case")
    opened.locator("ol.documents b").first.wait_for()  # it is filled a moment after it opens
    found = opened.locator("ol.documents b").all_inner_texts()
    top = next(one["top"] for one in data["hardest"][1]
               if data["queries"][one["query"]]["id"] == "4")
    names = [data["documents"][hit["doc"]] for hit in top]
    check(found == [one.get("title", one["key"]) for one in names] and HOSTILE in found,
          f"Enter opens it: the {len(found)} found, as they were written")
    check(opened.locator("ul.documents li").count() == 2, "and what was relevant")
    page.locator("summary", has_text="As a table").click()
    page.locator("summary", has_text="All settings").click()
    check("Sparse" in page.locator("#head dt").all_inner_texts(), "and all settings")


def check_compare(tab, data):
    page = tab.page
    check("run.sparse.trec" in page.inner_text("h1"), "its head says what was compared")
    check(titles(page) == ["Figures", "Query by query", "Won most", "Lost most", "Recall by depth"],
          f"its parts: {titles(page)}")
    for m, name in enumerate(data["measures"]):
        page.select_option("#measure", str(m))
        both = [len(data["extremes"][m][kind]) for kind in ("won", "lost")]
        check([tab.count(f"section:has(> #{kind}) details") for kind in ("won", "lost")] == both,
              f"{name}: {both[0]} won, {both[1]} lost")
    page.select_option("#measure", str(data["main"]))
    differences = sorted((query["b"][data["main"]] - query["a"][data["main"]], query["text"])
                         for query in data["queries"])
    page.focus("#walk")
    page.keyboard.press("End")
    said = page.inner_text(".readout")
    check(f"{abs(differences[0][0]):.4f}" in said and "5 of 5" in said,
          f"the slider reads the queries: {said[:50]}")
    check(page.get_attribute("#walk", "aria-valuetext").startswith(tuple(
        text for value, text in differences if value == differences[0][0])), "aloud, too")
    box = page.locator(".strip").bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + box["height"] / 2)
    check("1 of 5" in page.inner_text(".readout"), "and so does the pointer")
    case = page.locator(".cases summary").first
    case.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("details[open] .case.three")
    check(page.locator("details[open] .documents").count() == 3, "both lists and what was relevant")


def check_sets(tab, data):
    page, labels = tab.page, list(LANGUAGES)
    check("2 languages, 8 queries" in page.inner_text("#lead"), "its head says what was run")
    check(titles(page)[:3] == ["By language", "Side by side, by language", "One language"] and
          len(titles(page)) == 8, f"its parts: {titles(page)}")
    ways = len(data["averages"])
    for m in (1, 0):
        page.select_option("#measure", str(m))
        name = data["measures"][m]
        lists = [data["averages"], *(own["rows"] for own in data["sets"])]
        figures = [[f"{rows[r][name]:.4f}" for rows in lists] for r in range(ways)]
        cells = page.locator("section:has(#sets) tbody td").all_inner_texts()
        check(cells == sum(figures, []), f"{name}: {len(cells)} figures, the averages first")
        shown = page.locator("section:has(> #sets-bars) .bars .num").all_inner_texts()
        check(shown == [row[c] for c in range(len(lists)) for row in figures], "and as many bars")
        marks = tab.count("section:has(> #sets-bars) .bars .mark")
        check(marks == (len(shown) if name == "ndcg@10" else 0), f"{marks} published")
    check(page.locator("section:has(> #sets-bars) h3").all_inner_texts() == ["average", *labels],
          "a panel a language")
    for i in (1, 0):
        page.focus("#set")
        page.select_option("#set", str(i))
        own = data["sets"][i]
        cells = page.locator("section:has(#figures) tbody td:nth-child(2)").all_inner_texts()
        check(cells == [f"{row['ndcg@10']:.4f}" for row in own["rows"]], f"{labels[i]} alone")
        check(tab.count("section:has(#hardest) details") == len(own["hardest"][-1]) and
              f"{own['rows'][0]['queries']} queries" in page.inner_text("#one-lead"), "with its own")
        page.locator("section:has(#hardest) summary", has_text="tides and the sea").click()
        page.locator("details[open] .case ol.documents b").first.wait_for()
        check(HOSTILE in page.locator("details[open] .case ol.documents b").all_inner_texts(),
              "and its texts as they were written")


def check_page(browser, path, check_parts):
    data, name = data_of(path), os.path.splitext(os.path.basename(path))[0]
    for kind, settings in (("light", {}), ("dark", {"dark": True}),
                           ("phone", {"size": (375, 740), "has_touch": True})):
        tab = Tab(browser, "file://" + path, **settings, path="", reduced_motion="reduce")
        tab.page.wait_for_selector("svg.plot .grid", state="attached")
        tab.is_accessible(f"{name}, {kind}")
        check_parts(tab, data)
        check(fits(tab.page), f"{name}, {kind}: it fits")
        check(tab.page.title().endswith("Tercet"), "and nobody took its title")
        tab.is_accessible(f"{name}, {kind}, opened")
        tab.shot(f"report-{name}-{kind}")
        tab.is_clean()


def check_without_script(browser, path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto("file://" + path)
    check("JSON" in page.inner_text("main"), "without scripts it says where the figures are")
    context.close()


def main():
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        try:  # as root Chromium runs without its sandbox only; what it opens here is ours
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"),
                                                 args=["--no-sandbox"])
        except PlaywrightError as error:
            print(f"no Chromium: {error}")
            sys.exit(SKIP)
        reports(TERCET, folder)
        check(any(HOSTILE in text for text, _ in ASKED.values()), "a query would like to be a script")
        check_page(browser, f"{folder}/eval.html", check_eval)
        check_page(browser, f"{folder}/compare.html", check_compare)
        languages(TERCET, folder)
        check_page(browser, f"{folder}/many.html", check_sets)
        check_without_script(browser, f"{folder}/eval.html")
        browser.close()


if not os.path.exists(PYTHON):
    print(f"{PYTHON} is missing (tools/setup.sh test installs it)")
    sys.exit(SKIP)
BROWSER = os.path.dirname(os.path.dirname(os.path.abspath(PYTHON)))
if os.path.realpath(sys.prefix) != os.path.realpath(BROWSER):
    os.environ["PLAYWRIGHT_BROWSERS_PATH"] = BROWSER + "/browsers"
    os.execv(PYTHON, [PYTHON, *sys.argv])
from playwright.sync_api import Error as PlaywrightError, sync_playwright  # noqa: E402

from browser_tab import Tab, fits  # noqa: E402

main()
