#!/usr/bin/env python3
"""docs/page.svg and docs/report.svg: a page as a browser lays it out, drawn again as rectangles and
words.

usage: page_picture.py URL OUT.svg      such as http://127.0.0.1:8080/#c=demo&q=learn+to+type+faster
                                        or file:///tmp/report.html

A URL of http is `tercet demo`'s collection, whose first hit is opened; one of a file a page that
`tercet eval --report` wrote. Needs what browser.py needs:
    .cache/browser/bin/python tests/page_picture.py URL docs/page.svg
"""
import os
import shutil
import sys

from playwright.sync_api import sync_playwright

SIZE = {"width": 1240, "height": 800}
REPORT_SIZE = {"width": 1240, "height": 1670}  # as far as the curves: texts are the data set's

HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" \
height="{height}" role="img" font-family="Inter, Helvetica, Arial, sans-serif" \
aria-label="{label}">
<!-- Drawn by tests/page_picture.py. -->
<style>.m {{ font-family: ui-monospace, Menlo, "DejaVu Sans Mono", monospace }}</style>
<clipPath id="c"><rect width="{width}" height="{height}" rx="12"/></clipPath>
<g clip-path="url(#c)">
"""


SEARCH_LABEL = ("The search page: the query 'learn to type faster', hits with their dense, sparse "
                "and multi-vector scores, and the reasons for the first")
REPORT_LABEL = ("A report: nDCG@10, recall and other measures of dense, sparse, multi and what they "
                "give together, beside what is published, and as bars")


def show_search(page):
    page.locator(".hit .reason").first.click()
    page.wait_for_timeout(1000)
    for _ in range(20):  # until nothing else kept the processor
        if float(page.inner_text("#summary").split(" in ")[1].split()[0]) < 8:
            break
        page.press("#query", "Enter")
        page.wait_for_timeout(300)
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(SIZE["width"] / 2, 5)


def main():
    url, path = sys.argv[1:]
    is_report = url.startswith("file:")
    size = REPORT_SIZE if is_report else SIZE
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"),
                                             args=["--no-sandbox"])
        page = browser.new_page(viewport=size, color_scheme="light", reduced_motion="reduce")
        page.goto(url)
        if not is_report:
            show_search(page)
        with open(os.path.splitext(__file__)[0] + ".js") as script:
            drawn = page.evaluate(script.read().split("*/", 1)[1])
        browser.close()
    with open(path, "w") as out:
        out.write(HEAD.format(label=REPORT_LABEL if is_report else SEARCH_LABEL, **size) + "\n".join(drawn)
                  + '\n</g>\n<rect x=".5" y=".5" width="{}" height="{}" rx="12" fill="none" '
                    'stroke="#d2d1cb"/>\n</svg>\n'.format(size["width"] - 1, size["height"] - 1))


main()
