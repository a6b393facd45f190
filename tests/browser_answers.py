"""The answers' panel of the search page, for tests/browser.py: what a stand-in for a chat model
writes comes word by word, its numbers lead to the hits, and it may be stopped, break off, or fail."""
import contextlib
import http.server
import json
import threading

from browser_tab import Tab, fits, notes
from served import Server, check

WORDS = ["The moon pulls the sea towards it ", "[1]", ", so the coasts see high water",
         " twice a day [1] [9].\n\n<b>Salt", "</b> is another matter [2]."]


class Model(http.server.BaseHTTPRequestHandler):
    """OpenAI's chat completions; the question's last word says how it ends."""
    protocol_version = "HTTP/1.1"
    go_on = threading.Event()

    def log_message(self, *_):
        pass

    def put(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def delta(self, text, finish=None):
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
        self.put(b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n")

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        last = asked["messages"][-1]["content"].split()[-1]
        with contextlib.suppress(ConnectionError):
            if last == "fails":
                self.send_error(500)
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for i, words in enumerate(WORDS):
                self.delta(words)
                if i == 1 and last == "waits":
                    Model.go_on.wait(30)
            self.delta("", "stop")
            self.put(b"data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")


class Quiet(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """A client that stops reading is what is tested."""


def check_answers(browser, tercet, folder):
    model = Quiet(("127.0.0.1", 0), Model)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{model.server_port}/v1"
    with Server(tercet, folder + "/answers", "--answer-url", url, "--answer-model",
                "stand-in") as server:
        server.ask("PUT", "/v1/collections/notes")
        server.ask("POST", "/v1/collections/notes/documents", notes())
        tab = Tab(browser, server.url, path="/#c=notes&q=what+moves+the+tides")
        page = tab.page
        page.wait_for_selector("#answer button")
        first = tab.titles()[0]
        check(page.locator("#answer .words").count() == 0, "nobody is asked before the button is")
        page.click("#answer button")
        page.wait_for_selector("#answer .note:has-text('stand-in')")
        said = page.inner_text("#answer .words")
        check("The moon pulls the sea" in said and "<b>Salt</b>" in said, "words stay words")
        check(page.locator("#answer .cite").all_inner_texts() == ["1", "1", "2"] and "[9]" in said,
              "numbers of sources lead there, others are left as they are")
        check(page.locator("#answer .sources li").count() == 5, "with the sources below")
        check(page.locator("#answer .sources .link").first.inner_text() == first,
              "the first is the first hit")
        tab.is_accessible("answer")
        tab.shot("answer")
        page.locator("#answer .cite").first.click()
        check(page.evaluate("document.activeElement.closest('.hit') !== null"),
              "a number goes to its hit")
        page.set_viewport_size({"width": 390, "height": 844})
        check(fits(page), "on a phone, too")
        page.set_viewport_size({"width": 1280, "height": 860})

        Model.go_on.clear()
        tab.search("what moves the sea waits")
        check(page.locator("#answer .words").count() == 0, "another search, no answer yet")
        page.click("#answer button")
        page.wait_for_selector("#answer .cite")
        check(page.get_attribute("#answer .words", "aria-busy") == "true",
              "words are there before the last one")
        page.click("#answer .note .link:has-text('Stop')")
        check("Stopped" in page.inner_text("#answer .note"), "it can be stopped")
        Model.go_on.set()
        tab.search("what moves the sea fails")
        page.click("#answer button")
        page.wait_for_selector("#answer .bad")
        check(len(page.inner_text("#answer .bad")) > 20, "a model that fails is told in words")
        tab.is_accessible("answer, failed")
        tab.search("")
        check(not page.is_visible("#answer"), "no search, no panel")
        tab.is_clean(expected=("502",))
    model.shutdown()
