#!/usr/bin/env python3
"""/openapi.json against the server that gives it: schemathesis makes requests from the description
and compares every answer's status, type and schema with it.

usage: described.py TERCET FACTS.jsonl SCHEMATHESIS

SCHEMATHESIS comes with tools/setup.sh test (.cache/clients/bin); without it the test is skipped.
"""
import os
import subprocess
import sys
import tempfile

from served import SKIP, Server, check, random_model

TERCET, FACTS, SCHEMATHESIS = sys.argv[1:]
EXAMPLES = "25"  # of each operation: some seconds in all
CHECKS = ("not_a_server_error,status_code_conformance,content_type_conformance,"
          "response_schema_conformance")


def main():
    if not os.path.exists(SCHEMATHESIS):
        print(f"{SCHEMATHESIS} is missing (tools/setup.sh test installs it)")
        sys.exit(SKIP)
    with tempfile.TemporaryDirectory() as folder:
        reranker = random_model(TERCET, "v2-m3", folder + "/reranker")
        with Server(TERCET, folder + "/data", "--reranker", reranker) as server:
            with open(FACTS) as facts:
                answer = server.ask("POST", "/v1/collections/facts/documents", facts.read())
            check(answer.status == 200, "there is something to find")
            fuzzed = subprocess.run(
                [SCHEMATHESIS, "run", server.url + "/openapi.json", "--phases", "fuzzing",
                 "--max-examples", EXAMPLES, "--seed", "1", "--checks", CHECKS],
                cwd=folder, capture_output=True, text=True, timeout=280)
            if fuzzed.returncode != 0:
                print(fuzzed.stdout[-6000:], fuzzed.stderr[-2000:])
            check(fuzzed.returncode == 0, "answers are as they are described")
            check(server.ask("GET", "/health").status == 200, "and the server lives on")
            server.stop()


main()
