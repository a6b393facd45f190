#!/usr/bin/env bash
# deep.sh - everything that is too long for each change, and a report of it.
# Usage: tools/deep.sh [MINUTES [REPORT.md]]
#
# MINUTES (60): of each fuzz target. With 60 it takes more than a day of two cores; with 1, some three
# hours. Each step's whole output lies in .cache/log/deep-NAME.log; the report (deep.md) has a line a
# step: passed or failed, how long, and the last thing it said. Goes on behind a failure; exits 1.
set -uo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.."
minutes=${1:-60} report=${2:-deep.md} failed=0
logs=${TERCET_CACHE:-$PWD/.cache}/log
mkdir -p "$logs"

# step NAME WHAT COMMAND...
step() {
    local name=$1 what=$2 start=$SECONDS verdict=passed
    local log="$logs/deep-$name.log"
    printf '==> %s\n' "$what"
    "${@:3}" >"$log" 2>&1 </dev/null || verdict=FAILED
    [[ $verdict == passed ]] || failed=$((failed + 1))
    printf '| %s | %s | %d s | %s |\n' "$what" "$verdict" $((SECONDS - start)) \
        "$(tail -n 1 "$log" | tr '|' '/' | cut -c1-160)" >>"$report"
}

with() { env "$@"; }

{
    printf '# Deep run of %s\n\n' "$(git describe --always --dirty 2>/dev/null || echo unknown)"
    printf 'On %s cores. %s minutes for each fuzz target.\n\n' "$(nproc)" "$minutes"
    printf '| what | result | took | last words |\n|---|---|---|---|\n'
} >"$report"

step test 'every test: gcc, clang, address and undefined sanitizers' tools/setup.sh test
step threads 'ThreadSanitizer' tools/setup.sh threads
step analyse 'cppcheck, clang-tidy with the path-sensitive analyser' tools/setup.sh analyse
step valgrind 'an index and a server under valgrind' python3 tests/under_valgrind.py build/tercet
step model '300,000 operations against a model in memory' \
    with TERCET_OPERATIONS=300000 build/index/model_test
step kills '1,000 kills of a writer' with TERCET_KILLS=1000 build/index/crash_test
step damage '3,000 damaged files' with TERCET_FLIPS=4 TERCET_FILE_FLIPS=3000 build/index/damage_test
step ingest '100 kills of an ingest' python3 tests/ingest_kill.py build/tercet 100
step soak 'a server for 20 minutes' python3 tests/soak.py build/tercet 20
step fuzz "each fuzz target for $minutes minutes" tools/fuzz.sh all "$minutes"
step coverage 'lines and branches that tests run' tools/coverage.sh

cat "$report"
((failed == 0))
