#!/usr/bin/env bash
# fuzz.sh - runs fuzz targets for a while and says what they did.
# Usage:
#   tools/fuzz.sh TARGET|all|list MINUTES [JOBS]
#
#   TARGET                  csv, http, ..: a program tests/fuzz/TARGET_fuzz (list: names them all)
#   JOBS                    so many targets at a time (default: 1)
#   TERCET_FUZZ=DIR         where inputs are kept from run to run, one folder a target, and what
#                           crashed (default: .cache/fuzz in the project)
#   TERCET_FUZZ_BUILD=DIR   the instrumented build (default: build-fuzz), made when it is not there
#
# The first inputs are the repository's (and, where ../shared/golden is, those of seeds.py). A line a
# target: runs, runs a second, edges covered, inputs that were new, crashes. Exits 1 when anything
# crashed, hung or leaked, and says where the input is and how to see it again. docs/fuzzing.md.
set -euo pipefail
shopt -s nullglob
export LC_ALL=C

usage() { sed -n '2,16s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'fuzz.sh: %s\n' "$*" >&2; exit 1; }

# A target's first inputs, in the repository; none: it begins with an empty one.
seeds_of() {
    local name
    case $1 in
    csv | html | jsonl | markdown | tsv | unpack) echo "$root/tests/fuzz/inputs" ;;
    http | search) echo "$root/tests/fuzz/requests" ;;
    loader) echo "$work/golden" ;;
    *)
        name=$1
        if [[ ! -d $root/tests/fuzz/seeds/$name ]]; then name=bytes; fi
        echo "$root/tests/fuzz/seeds/$name"
        ;;
    esac
}

# Longer inputs make every run slower; a model folder's files need the room.
len_max_of() { if [[ $1 == loader ]]; then echo 32768; else echo 2048; fi; }

# The targets that meson knows.
targets() {
    ninja -C "$build" -t targets all | sed -n 's|^tests/fuzz/\([a-z_]*\)_fuzz: .*|\1|p' | sort -u
}

configure() {
    if [[ ! -e $build/build.ninja ]]; then
        say "configuring $build (clang, libFuzzer, sanitizers)"
        CC=${CC:-clang} meson setup "$build" -Dfuzz=true --buildtype=debugoptimized \
            "-Dpkg_config_path=${TERCET_CACHE:-$root/.cache}/pkgconfig" >"$work/configure.log" 2>&1 ||
            die "meson failed: $work/configure.log"
    fi
}

compile() {
    say "building $# targets in $build"
    ninja -C "$build" "${@/%/_fuzz}" >"$work/build.log" 2>&1 || {
        tail -n 20 "$work/build.log" >&2
        die "it does not build: $work/build.log"
    }
}

# run TARGET: a report in $work/TARGET.log; the inputs found stay in $work/TARGET.
run() {
    local name=$1 seeds options=()
    seeds=$(seeds_of "$name")
    mkdir -p "$work/$name" "$work/crashes"
    find "$work/$name" -type f | wc -l >"$work/$name.before"
    if [[ -e $root/tests/fuzz/$name.dict ]]; then options+=("-dict=$root/tests/fuzz/$name.dict"); fi
    if [[ -d $seeds ]]; then options+=("$work/$name" "$seeds"); else options+=("$work/$name"); fi
    TMPDIR=$scratch nice "$build/tests/fuzz/${name}_fuzz" "-max_total_time=$seconds" -timeout=10 \
        -rss_limit_mb=2048 "-max_len=$(len_max_of "$name")" -print_final_stats=1 \
        "-artifact_prefix=$work/crashes/$name-" "${options[@]}" >"$work/$name.log" 2>&1 ||
        echo "failed" >>"$work/$name.log"
}

# The last number behind a word of the log; 0: it is not there.
figure() { grep -oE "$2:? +[0-9]+" "$work/$1.log" | tail -n 1 | grep -oE '[0-9]+$' || echo 0; }

report() {
    local name=$1 before after crash crashes=0
    before=$(<"$work/$name.before")
    after=$(find "$work/$name" -type f | wc -l)
    if grep -qx failed "$work/$name.log"; then crashes=1; fi
    printf '%-12s %12d %9d %9d %7d %8d\n' "$name" \
        "$(figure "$name" stat::number_of_executed_units)" \
        "$(figure "$name" stat::average_exec_per_sec)" "$(figure "$name" 'cov')" \
        "$((after - before))" "$crashes"
    ((crashes)) || return 0
    failed=1
    crash=$(sed -n 's/.*Test unit written to //p' "$work/$name.log" | tail -n 1)
    echo "    ${crash:-no input was written: $work/$name.log}"
    if [[ $crash ]]; then echo "    $build/tests/fuzz/${name}_fuzz $crash"; fi
    grep -E 'Assertion|SUMMARY|runtime error' "$work/$name.log" | head -n 3 | sed 's/^/    /' || true
}

# ---- main ------------------------------------------------------------------------------------

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$(realpath -m "${TERCET_FUZZ_BUILD:-$root/build-fuzz}")
work=$(realpath -m "${TERCET_FUZZ:-$root/.cache/fuzz}")
scratch=/dev/shm
if [[ ! -w $scratch ]]; then scratch=${TMPDIR:-/tmp}; fi
mkdir -p "$work"

if [[ ${1:-} == list ]] && (($# == 1)); then
    configure
    targets
    exit
fi
if (($# < 2 || $# > 3)); then usage; fi
if ! [[ $1 =~ ^[a-z_]+$ && $2 =~ ^[1-9][0-9]*$ && ${3:-1} =~ ^[1-9][0-9]*$ ]]; then usage; fi
seconds=$(($2 * 60)) jobs=${3:-1} failed=0
configure
mapfile -t names < <(targets)
if [[ $1 != all ]]; then
    [[ " ${names[*]} " == *" $1 "* ]] || die "no target $1; there are: ${names[*]}"
    names=("$1")
fi
compile "${names[@]/#/tests/fuzz/}"
if [[ " ${names[*]} " == *' loader '* && -d $root/../shared/golden ]]; then
    python3 "$root/tests/fuzz/seeds.py" "$root/../shared/golden" "$work/golden" >/dev/null
fi

say "$2 minutes each, $jobs at a time; inputs in $work"
for name in "${names[@]}"; do
    while (($(jobs -rp | wc -l) >= jobs)); do wait -n; done
    run "$name" &
done
wait
printf '%-12s %12s %9s %9s %7s %8s\n' target runs runs/s coverage new crashes
for name in "${names[@]}"; do report "$name"; done
exit "$failed"
