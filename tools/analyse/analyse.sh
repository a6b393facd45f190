#!/usr/bin/env bash
# analyse.sh - cppcheck and clang-tidy over every file of the product; a finding is a failure.
# Usage: tools/analyse/analyse.sh BUILD quick|deep
#
# BUILD is a meson folder that clang was chosen for (its compile_commands.json). quick leaves out
# clang's path-sensitive analyser, which takes most of the time (some 12 minutes of two cores). What
# is not asked, and why: .clang-tidy, tools/analyse/cppcheck.txt.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=${1:?BUILD} depth=${2:-quick}
mapfile -t files < <(find engine index ingest query tools -name '*.c' ! -name '*_test.c' | sort)
findings=$(mktemp)
trap 'rm -f "$findings"' EXIT

cppcheck --quiet -j "$(nproc)" --std=c11 --enable=warning,performance,portability --inline-suppr \
    --suppressions-list=tools/analyse/cppcheck.txt -D__x86_64__=1 -I . "${files[@]}" 2>"$findings"

checks=()
[[ $depth == deep ]] || checks=(--checks=-clang-analyzer-*)
printf '%s\n' "${files[@]}" | xargs -n 8 -P "$(nproc)" \
    clang-tidy -p "$build" --quiet "${checks[@]}" 2>/dev/null | sort -u >>"$findings" || true

if [[ -s $findings ]]; then
    cat "$findings"
    exit 1
fi
echo "${#files[@]} files: nothing found"
