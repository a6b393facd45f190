"""A tab of a browser on the search page, for tests/browser.py, and the documents it looks at."""
import json
import os
import re

from axe_playwright_python.sync_playwright import Axe

from served import check

SHOTS = os.environ.get("TERCET_SHOTS")

# topic, year, title, text: few enough to know what is found and what a filter leaves.
NOTES = [
    ("sea", 2019, "Tides", "The moon pulls the oceans, so coasts see high water twice a day."),
    ("sea", 2021, "Currents", "Wind and salt drive the rivers within the ocean that carry warmth."),
    ("sea", 2023, "Moon and mud", "At low water the mud feeds birds; the moon sets the hours."),
    ("food", 2020, "Sourdough", "Wild yeast and bacteria in flour and water make dough rise."),
    ("food", 2022, "Salt", "Salt draws water out of food and keeps bacteria from growing in it."),
    ("food", 2024, "Tea", "Leaves that are steamed stay green; those that oxidise turn black."),
    ("ice", 2018, "Glaciers", "Snow that survives many summers is pressed and creeps downhill."),
    ("ice", 2024, "Sea ice", "Frozen sea water rejects its salt, so that old ice can be drunk."),
    ("music", 2020, "Violin", "A bow of horsehair makes the strings stick and slip."),
    ("music", 2021, "Organ", "Wind under pressure speaks through pipes, one for each note."),
]


def notes():
    rows = [{"id": f"n{i}", "title": title, "text": text, "fields": {"topic": topic, "year": year}}
            for i, (topic, year, title, text) in enumerate(NOTES)]
    rows.append({"id": "long", "title": "A long text", "fields": {"topic": "sea", "year": 2024},
                 "text": "Stone was carried up the stairs. " * 30
                         + "Here the lighthouse keeper sleeps. "
                         + "Nothing else was ever written down. " * 30})
    return "\n".join(json.dumps(row) for row in rows)


class Tab:
    """A page of its own, and all that it did wrong."""

    def __init__(self, browser, url, dark=False, size=(1280, 860), path="/", **context):
        self.context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light", **context)
        self.page = self.context.new_page()
        self.page.set_default_timeout(40000)  # a busy machine
        self.url, self.complaints, self.foreign, self.searches = url, [], [], []
        self.page.on("console", lambda message: message.type in ("error", "warning") and
                     self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self.saw)
        self.page.goto(url + path)

    def saw(self, request):
        if not request.url.startswith((self.url, "data:")):
            self.foreign.append(request.url)
        if request.url.endswith("/search") and '"explain":true' in (request.post_data or ""):
            self.searches.append(json.loads(request.post_data))

    def search(self, text):
        """The hits of a text, once they are there."""
        self.page.fill("#query", text)
        self.settled()
        return self.titles()

    def settled(self):
        """Until what was asked is answered; the page waits up to 350 ms before it asks."""
        for wait_ms in (450, 50):
            self.page.wait_for_timeout(wait_ms)
            self.page.wait_for_selector('#form[aria-busy="false"]', state="attached")

    def titles(self):
        return self.page.locator(".hit h2").all_inner_texts()

    def count(self, what):
        return self.page.locator(what).count()

    def shot(self, name):
        if SHOTS:
            self.page.wait_for_timeout(350)
            self.page.screenshot(path=f"{SHOTS}/{name}.png")

    def is_accessible(self, what):
        """axe-core's rules, best practices among them; what fades in is in by then."""
        self.page.evaluate("""() => Promise.allSettled(
            document.getAnimations().map((one) => one.finished)).then(() => true)""")
        found = Axe().run(self.page).response["violations"]
        for rule in found:
            print(rule["id"], rule["help"],
                  [(node["html"][:150], node.get("failureSummary")) for node in rule["nodes"][:3]])
        check(not found, f"axe-core finds nothing: {what}")
        words = set(re.findall(r"[A-Za-z]+", self.page.inner_text("body")))
        check(not words & {"undefined", "null", "false", "NaN", "Infinity"}, "nor do I")

    def is_clean(self, expected=()):
        bad = [text for text in self.complaints if not any(part in text for part in expected)]
        if bad or self.foreign:
            print(bad, self.foreign)
        check(not bad, "nothing is complained about on the console")
        check(not self.foreign, "and nobody else is asked")
        self.context.close()


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")
