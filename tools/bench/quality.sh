#!/usr/bin/env bash
# quality.sh - nDCG@10 by mode on benchmark folders in BEIR's layout, as a Markdown table.
#
# usage: tools/bench/quality.sh INDEXES DATASET... [-- tercet eval's options]
#
# INDEXES is a folder that keeps the indexes, so that a second run only searches. For the README:
#   tools/bench/quality.sh /tmp/indexes ../shared/datasets/scifact ../shared/datasets/xquad/en
set -euo pipefail

(($# >= 2)) || { sed -n '2,8s/^# \?//p' "$0" >&2; exit 2; }
tercet="$(dirname "$0")/../../build/tools/tercet"
indexes=$1
shift
datasets=()
while (($#)) && [[ $1 != -- ]]; do
    datasets+=("$1")
    shift
done
options=("${@:2}")
mkdir -p "$indexes"

field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

echo '| modes | '"$(printf '%s | ' "${datasets[@]##*datasets/}")"
echo "|---$(printf '|---%.0s' "${datasets[@]}")|"
for modes in dense sparse dense,sparse multi dense,sparse,multi; do
    row="| $modes |"
    for dataset in "${datasets[@]}"; do
        index="$indexes/$(echo "${dataset##*datasets/}" | tr / -)"
        json=$("$tercet" eval beir "$dataset" --index "$index" --modes "$modes" --json \
            "${options[@]}" 2>/dev/null)
        row+=$(printf ' %.4f |' "$(field ndcg@10 <<<"$json")")
    done
    echo "$row"
done
