"""A `tercet serve` of its own for a test, and what tests say about it. Standard library only."""
import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

SKIP = 77  # meson: skipped, not passed


def check(condition, what):
    print(("ok    " if condition else "FAILED ") + what, flush=True)
    if not condition:
        sys.exit(1)


def run(*words, stdin="", status=0):
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=300)
    if done.returncode != status:
        print(done.stdout, done.stderr)
    check(done.returncode == status, f"{' '.join(words[1:])[:70]} exits {status}")
    return done.stdout


def random_model(tercet, shape, folder):
    """One layer and few words: for what does not depend on what a model has learned."""
    run(tercet, "model", "random", shape, folder, "--layers", "1", "--vocabulary", "500")
    return folder


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Server:
    def __init__(self, tercet, data, *options, listen="127.0.0.1:0", env=None):
        self.process = subprocess.Popen(
            [tercet, "serve", "--data", data, "--listen", listen, *options],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
        self.said = []
        for line in self.process.stdout:
            self.said.append(line)
            address = re.search(r"https?://\S+", line)
            if address:
                self.url = address.group(0)
                return
        check(False, f"the server says where it listens, not: {''.join(self.said)}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def ask(self, method, path, body=None, headers=None):
        data = body.encode() if isinstance(body, str) else body and json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method,
                                         headers={"Content-Type": "application/json",
                                                  **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())

    def post(self, path, body, status=200):
        answer = self.ask("POST", path, body)
        if answer.status != status:
            print(answer.status, answer.body[:500])
        check(answer.status == status, f"POST {path} {json.dumps(body)[:50]} -> {status}")
        return answer.json()

    def stop(self):
        """A graceful stop; what the server said until then."""
        self.process.send_signal(signal.SIGTERM)
        said = self.process.stdout.read()
        check(self.process.wait(timeout=60) == 0, "SIGTERM ends the server")
        return "".join(self.said) + said
