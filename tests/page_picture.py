#!/usr/bin/env python3
"""docs/page.svg: the search page as a browser lays it out, drawn again as rectangles and words.

usage: page_picture.py URL OUT.svg      such as http://127.0.0.1:8080/#c=demo&q=learn+to+type+faster

For `tercet demo`'s collection; the first hit is opened. Needs what browser.py needs:
    .cache/browser/bin/python tests/page_picture.py URL docs/page.svg
"""
import os
import shutil
import sys

from playwright.sync_api import sync_playwright

SIZE = {"width": 1240, "height": 800}

HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" \
height="{height}" role="img" font-family="Inter, Helvetica, Arial, sans-serif" \
aria-label="The search page: the query 'learn to type faster', hits with their dense, sparse and \
multi-vector scores, and the reasons for the first">
<!-- Drawn by tests/page_picture.py from the page that tools/setup.sh demo serves. -->
<style>.m {{ font-family: ui-monospace, Menlo, "DejaVu Sans Mono", monospace }}</style>
<clipPath id="c"><rect width="{width}" height="{height}" rx="12"/></clipPath>
<g clip-path="url(#c)">
"""


def main():
    url, path = sys.argv[1:]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"),
                                             args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light", reduced_motion="reduce")
        page.goto(url)
        page.locator(".hit .reason").first.click()
        page.wait_for_timeout(1000)
        for _ in range(20):  # until nothing else kept the processor
            if float(page.inner_text("#summary").split(" in ")[1].split()[0]) < 8:
                break
            page.press("#query", "Enter")
            page.wait_for_timeout(300)
        page.evaluate("document.activeElement.blur()")
        page.mouse.move(SIZE["width"] / 2, 5)
        with open(os.path.splitext(__file__)[0] + ".js") as script:
            drawn = page.evaluate(script.read().split("*/", 1)[1])
        browser.close()
    with open(path, "w") as out:
        out.write(HEAD.format(**SIZE) + "\n".join(drawn)
                  + '\n</g>\n<rect x=".5" y=".5" width="{}" height="{}" rx="12" fill="none" '
                    'stroke="#d2d1cb"/>\n</svg>\n'.format(SIZE["width"] - 1, SIZE["height"] - 1))


main()
