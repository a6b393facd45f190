#!/usr/bin/env bash
# coverage.sh - which lines and branches of the product the tests run (gcc's gcov, gcovr).
# Usage: tools/coverage.sh [FOLDER]     (default: build-cov; prints a table, leaves FOLDER/coverage/)
#
# Kernels for processors that this machine has not are not run and count as such. Tests, benches and
# proofs are no product. Branches: gcov counts each way out of a condition; those that only an
# allocation that fails would take do not exist, since engine/base/mem.h ends the process then.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=${1:-build-cov}
command -v gcovr >/dev/null || { echo 'coverage.sh: gcovr is missing (apt-get install gcovr)' >&2; exit 1; }

[[ -e $folder/build.ninja ]] || meson setup "$folder" --buildtype=debugoptimized -Db_coverage=true \
    -Doptimization=1 -Dwerror=false "-Dpkg_config_path=$PWD/.cache/pkgconfig" >/dev/null
ninja --quiet -C "$folder"
find "$folder" -name '*.gcda' -delete
meson test -C "$folder" --no-rebuild --suite fast --suite slow -t 10 >"$folder/coverage-test.log" 2>&1 ||
    { tail -n 20 "$folder/coverage-test.log"; echo 'coverage.sh: a test failed' >&2; exit 1; }

mkdir -p "$folder/coverage"
gcovr --root . --object-directory "$folder" -j "$(nproc)" \
    --filter 'engine/' --filter 'index/' --filter 'ingest/' --filter 'query/' \
    --exclude '.*_test\.c' --exclude '.*_bench\.c' --exclude '.*fixture\.h' --exclude 'index/proof/' \
    --exclude-throw-branches --exclude-unreachable-branches \
    --html-details "$folder/coverage/index.html" --json-summary "$folder/coverage/summary.json" \
    --print-summary >"$folder/coverage/summary.txt"
python3 - "$folder/coverage/summary.json" <<'EOF'
import collections
import json
import sys

totals = collections.defaultdict(lambda: [0, 0, 0, 0])
least = []
with open(sys.argv[1], encoding="utf-8") as file:
    for one in json.load(file)["files"]:
        counts = [one[name] for name in ("line_covered", "line_total", "branch_covered",
                                         "branch_total")]
        for part in (one["filename"].split("/")[0], "all"):
            totals[part] = [a + b for a, b in zip(totals[part], counts)]
        if counts[1]:
            least.append((counts[1] - counts[0], one["filename"], 100 * counts[0] / counts[1]))
print(f"{'':10} {'lines':>8} {'run':>7} {'branches':>9} {'taken':>7}")
for part, (lines, lines_n, branches, branches_n) in sorted(totals.items()):
    print(f"{part:10} {lines_n:8} {100 * lines / lines_n:6.1f}% {branches_n:9} "
          f"{100 * branches / branches_n:6.1f}%")
print("most lines that are not run:")
for missing, name, share in sorted(least, reverse=True)[:25]:
    print(f"{missing:6} of {name} ({share:.0f} % run)")
EOF
