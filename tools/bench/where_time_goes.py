#!/usr/bin/env python3
"""where_time_goes - processor time of the encoder by kind of work, from perf, as a Markdown table.

    tools/bench/where_time_goes.py                       # all rows of docs/performance.md
    tools/bench/where_time_goes.py --rows small,query    # those with one of these in their name

For each row `tercet bench encode --case ...` runs under `perf record`; the samples are put together
by source file and function. Loading the model and measuring the peak are left out.
Columns, percent of the time of the passes:
  products   sums of the layers' matrix products        (limit: at the kernels' peak, all of them)
  attention  scores, softmax, values, packing           (limit likewise)
  finish     scale, bias, GELU, rounding of the sums
  rounding   activations to 8 bits
  norms      residual and LayerNorm, embeddings
  waiting    of threads for each other
  rest       everything else
"""

import argparse
import collections
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
# name of the row, shape, case, threads
ROWS = (
    ("small, passages", "small", "mixed", 1),
    ("small, 128 tokens", "small", "fixed-128", 1),
    ("small, 512 tokens", "small", "fixed-512", 1),
    ("small, query", "small", "query-16", 1),
    ("small, query", "small", "query-16", 2),
    ("base, passages", "base", "mixed", 1),
    ("base, 512 tokens", "base", "fixed-512", 1),
    ("m3, 512 tokens", "m3", "fixed-512", 1),
    ("m3, 512 tokens", "m3", "fixed-512", 2),
    ("m3, 8192 tokens", "m3", "fixed-8192", 1),
    ("m3, 8192 tokens", "m3", "fixed-8192", 2),
    ("m3, query", "m3", "query-16", 1),
    ("m3, query", "m3", "query-16", 2),
)
KINDS = ("products", "attention", "finish", "rounding", "norms", "waiting", "rest")

# The first that fits "file.c function" says the kind; None is not counted. Functions that other
# files see have no file in the symbol table: theirs is "-".
LOADING = (
    "added|arena|bench|buf|cases|charsmap|config|cost|double_array|embedded|file|fmaxf|hub|json|"
    "lrintf|main|map|measure|mem|model|options|pickle|rows|safetensors|shards|tokenizer|trie|"
    "unigram|vocab|wordpiece|XXH"
)
RULES = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"^linear_peak\.c |^- linear_(peak|cpu|pack)|^- weights_(open|read|find|close)", None),
        (rf"^({LOADING})\w*\.c |^- ({LOADING})(?!cpy|set|move)", None),
        (r"^libm\S* _*(fmaxf|l*lrintf)|^linear\.c pack|^weights\.c |^vec\.c from_", None),
        (
            r"^(- )?linear.*(input|round|quant|codes|convert)|^(- )?nn.*(codes|quant|round)",
            "rounding",
        ),
        (r"^(- )?linear.*(finish|gelu|erf)", "finish"),
        (r"^linear|^- linear|^(amx|tile)", "products"),
        (r"^attention|^- attention", "attention"),
        (r"^nn|^- nn|embed|weights_rows", "norms"),
        (r"team|pool|sched_yield|futex|pthread_cond|schedule", "waiting"),
        (r"^forward|^session|^heads|^- (forward|session|heads)", "rest"),
        (r"mem(cpy|move|set|cmp)", "rest"),
    )
)


def functions(program):
    """Begin and end of each function, its file and name, in the order of addresses."""
    table, source = [], "-"
    text = subprocess.run(
        ["readelf", "-sW", program], text=True, stdout=subprocess.PIPE, check=True
    ).stdout
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 8 or not fields[0].endswith(":"):
            continue
        kind, binding, name = fields[3], fields[4], fields[7]
        if kind == "FILE":
            source = name
        elif kind == "FUNC" and int(fields[2], 0):
            begin = int(fields[1], 16)
            table.append(
                (begin, begin + int(fields[2], 0), source if binding == "LOCAL" else "-", name)
            )
    return sorted(table)


def kind_of(work):
    for pattern, kind in RULES:
        if pattern.search(work):
            return kind
    return "rest"


def shares(program, data):
    """Samples by kind, and the largest of the rest for whoever keeps the rules."""
    table = functions(program)
    report = subprocess.run(
        ["perf", "report", "-v", "-i", data, "--no-children", "--stdio", "--sort", "dso,sym", "-n"],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    ).stdout
    counts, rest = collections.Counter(), collections.Counter()
    for line in report.splitlines():
        found = re.match(r"\s*[\d.]+%\s+(\d+)\s+(\S+)\s+(0x[0-9a-f]+)\s+.*?\[(.)\] (.+)", line)
        if not found:
            continue
        samples, dso, address, level, name = (
            int(found[1]),
            found[2],
            int(found[3], 16),
            found[4],
            found[5].strip(),
        )
        source = "-"
        if level == "k":
            source = "kernel"
        elif pathlib.Path(dso).name == program.name:
            source = next((f for b, e, f, n in table if b <= address < e and n == name), "-")
        else:
            source = pathlib.Path(dso).name
        kind = kind_of(f"{source} {name}")
        if source.startswith(("ld-linux", "libjansson", "libxxhash")):
            kind = None
        if kind:
            counts[kind] += samples
        if kind == "rest":
            rest[f"{source} {name}"] += samples
    return counts, rest


def model_folder(args, shape):
    folder = args.work / f"tercet-random-{shape}"
    if not folder.exists():
        args.work.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [args.tercet, "model", "random", shape, folder], check=True, stdout=subprocess.DEVNULL
        )
    return folder


def profile(args, shape, case, threads):
    with tempfile.TemporaryDirectory() as scratch:
        data = pathlib.Path(scratch) / "perf.data"
        command = [
            "perf",
            "record",
            "-q",
            "-F",
            "1999",
            "-o",
            data,
            args.tercet,
            "bench",
            "encode",
            "--model",
            model_folder(args, shape),
            "--case",
            case,
            "--threads",
            str(threads),
            "--precision",
            args.precision,
        ]
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, check=True)
        row = json.loads(done.stdout.splitlines()[-1])
        return row, *shares(args.tercet, data)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tercet", type=pathlib.Path, default=ROOT / "build" / "tools" / "tercet")
    parser.add_argument(
        "--work",
        type=pathlib.Path,
        default=pathlib.Path(tempfile.gettempdir()) / "tercet-shapes",
        help="keeps the random models (m3: 1.1 GB)",
    )
    parser.add_argument("--precision", default="int8")
    parser.add_argument(
        "--rows", default="", help="only rows with one of these words in their name"
    )
    parser.add_argument("--verbose", action="store_true", help="show what the rest is, on stderr")
    args = parser.parse_args()
    if not shutil.which("perf"):
        sys.exit("where_time_goes: perf is not installed (Debian: linux-perf)")
    words = [w for w in args.rows.split(",") if w]
    print(
        "| shape and text | threads | tokens/s of CPU time | of peak | "
        + " | ".join(KINDS)
        + " | limit of products | of attention |\n|"
        + "---|" * (len(KINDS) + 6)
    )
    for name, shape, case, threads in ROWS:
        if words and not any(w in name for w in words):
            continue
        row, counts, rest = profile(args, shape, case, threads)
        total = sum(counts.values())
        cells = [name, str(threads), f"{row['tokens_per_cpu_s']:,.0f}"]
        cells.append(f"{row['peak_percent_cpu']:.0f} %")
        cells += [f"{100 * counts[kind] / total:.0f}" for kind in KINDS]
        cells.append(f"{row['products_limit_percent']:.0f}")
        cells.append(f"{row['attention_limit_percent']:.0f}")
        print("| " + " | ".join(cells) + " |", flush=True)
        if args.verbose:
            print(
                name,
                [(w, round(100 * n / total, 1)) for w, n in rest.most_common(6)],
                file=sys.stderr,
            )


if __name__ == "__main__":
    main()
