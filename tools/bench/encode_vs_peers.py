#!/usr/bin/env python3
"""encode_vs_peers - Tercet's encoder and reranker beside ONNX Runtime's, a Markdown table.

    sh ../shared/peers/setup.sh /tmp/peers                                    # once, some minutes
    /tmp/peers/bin/python tools/bench/encode_vs_peers.py                      # everything: an hour
    /tmp/peers/bin/python tools/bench/encode_vs_peers.py --parts small --quick   # two minutes

The texts, the settings of each peer and the way it is timed are those of encode_peers.py and
rerank_peers.py in shared/peers; Tercet runs the same token ids by `tercet bench --inputs`. In each
round all take their turn on each case, and each keeps its best: other work on the machine only
makes a run slower. Ratios of tokens/s above 1, and of ms and s below 1, are Tercet's advantage.

parts  small   bge-small-en-v1.5, int8: SciFact passages, 128 and 512 tokens, 16-token queries
       f32     the same in f32
       avx2    the same in int8 with AVX2 only: TERCET_CPU for Tercet, and for ONNX Runtime, which
               has no such switch, avx2_only.c where the processor allows it
       base    random weights of bge-base's shape, int8
       m3      of bge-m3's shape        long    one document of 8,192 tokens
       rerank  of bge-reranker-v2-m3's shape: 20 pairs of 256 tokens
       ndcg    nDCG@10 of dense search over SciFact in f32, bf16 and int8
       ingest  tokens/s of `tercet eval` (reading, tokenizing, encoding, writing) beside the bench's
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARTS = ("small", "f32", "avx2", "base", "m3", "long", "rerank", "ndcg", "ingest")
# What each precision is held against: ONNX Runtime, and for bf16 the fastest that there is.
PEER_OF = {"int8": "onnxruntime-int8", "f32": "onnxruntime-f32", "bf16": "openvino-bf16"}
FASTER_IS_LESS = ("ms", "cpu-ms", "s")


def fail(message):
    sys.exit(f"encode_vs_peers: {message}")


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tercet", type=pathlib.Path, default=ROOT / "build" / "tools" / "tercet")
    parser.add_argument(
        "--shared",
        type=pathlib.Path,
        default=ROOT.parent / "shared",
        help="folder of peers, models and datasets",
    )
    parser.add_argument(
        "--work",
        type=pathlib.Path,
        default=pathlib.Path(os.environ.get("PEERS_WORK", tempfile.gettempdir() + "/peers-work")),
        help="keeps converted models (m3: 7 GB) between runs",
    )
    parser.add_argument("--parts", default=",".join(PARTS), help="some of: " + ",".join(PARTS))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--peers", default="", help="further peers of shared/peers, such as ctranslate2-int8"
    )
    parser.add_argument(
        "--rows", type=pathlib.Path, help="also write every row of every round there, JSON lines"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one round, fewer passages, shorter runs, no f32 in ndcg",
    )
    args = parser.parse_args()
    args.parts = args.parts.split(",")
    args.threads = [int(n) for n in args.threads.split(",")]
    args.peers = [p for p in args.peers.split(",") if p]
    args.rounds = 1 if args.quick else args.rounds
    args.seconds = 1.0 if args.quick else 3.0
    for part in args.parts:
        if part not in PARTS:
            fail(f"--parts {part}: there are {', '.join(PARTS)}")
    if not args.tercet.exists():
        fail(f"{args.tercet} is not there: build it (ninja -C build) or name it (--tercet)")
    return args


args = parse_arguments()
sys.path.insert(0, str(args.shared / "peers"))
try:
    import numpy as np

    import common
    import encode_peers
    import models
    import rerank_peers
except ImportError as e:
    fail(
        f"{e}: run it with the Python that {args.shared}/peers/setup.sh makes "
        "(--shared names the folder)"
    )


# ---- who runs ----------------------------------------------------------------------------------


def prepare(files, source):
    """Converts a model for ONNX Runtime (and OpenVINO) and the further peers, once."""
    formats = {"onnx"} | {
        f for p in args.peers for f, key in (("ct2", "ctranslate2"), ("gguf", "llama")) if key in p
    }
    common.child(
        [
            sys.executable,
            args.shared / "peers" / "prepare.py",
            "--files",
            files,
            "--formats",
            ",".join(sorted(formats)),
            *source,
        ],
        2,
    )


def own_folder(files, shape):
    """The peers' random model as Tercet reads it: their weights beside a tokenizer nobody uses."""
    folder = files / "own"
    if not (folder / "tokenizer.json").exists():
        with tempfile.TemporaryDirectory() as scratch:
            made = pathlib.Path(scratch) / "made"
            subprocess.run(
                [args.tercet, "model", "random", shape, made, "--layers", "1"],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            folder.mkdir(exist_ok=True)
            (folder / "tokenizer.json").write_bytes((made / "tokenizer.json").read_bytes())
        for name in ("config.json", "model.safetensors"):
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to((files / "model" / name).resolve())
    return folder


class Race:
    """One model, one precision, some cases; rows of all rounds."""

    def __init__(
        self,
        title,
        bench,
        model,
        files,
        inputs,
        precision,
        peers,
        seconds,
        environment=None,
        peer_environment=None,
    ):
        self.title, self.bench, self.model, self.files, self.precision = (
            title,
            bench,
            model,
            files,
            precision,
        )
        self.peers, self.seconds = peers, seconds
        self.environment, self.peer_environment = environment or {}, peer_environment or {}
        self.inputs = files / f"inputs-{title.split()[0]}"
        self.inputs.mkdir(exist_ok=True)
        (self.inputs / "inputs.json").write_text(json.dumps(inputs))
        self.cases = inputs["cases"]
        self.best = {}
        self.outputs = {}

    def keep(self, row):
        """The better of the rounds, by (who, case, threads)."""
        if args.rows:
            with args.rows.open("a") as f:
                f.write(json.dumps({"race": self.title, **row}) + "\n")
        key = (row["peer"], row["case"], row["threads"])
        old = self.best.get(key)
        less = row["unit"] in FASTER_IS_LESS
        if old is None or (row["value"] < old["value"] if less else row["value"] > old["value"]):
            self.best[key] = row

    def run_own(self, threads):
        out = self.files / f"out-own-{self.title.split()[0]}-{threads}"
        out.mkdir(exist_ok=True)
        rows = common.child(
            [
                args.tercet,
                "bench",
                self.bench,
                "--model",
                self.model,
                "--threads",
                threads,
                "--precision",
                self.precision,
                "--inputs",
                self.inputs,
                "--out",
                out,
                *(["--quick"] if args.quick else []),
            ],
            threads,
            self.environment,
        )
        for row in rows:
            self.keep({**row, "peer": "tercet"})
        name = "logits.f32" if self.bench == "rerank" else "vectors.f32"
        if (out / name).exists():
            self.outputs["tercet"] = np.fromfile(out / name, dtype=np.float32)

    def run_peer(self, peer, threads):
        out = self.files / f"out-{threads}"
        out.mkdir(exist_ok=True)
        command = encode_peers.worker(
            sys.executable,
            peer,
            threads,
            self.files,
            self.inputs / "inputs.json",
            out,
            self.seconds,
        )
        for row in common.child(command, threads, self.peer_environment):
            self.keep(row)
        if (out / f"{peer}.npy").exists():
            self.outputs[peer] = np.load(out / f"{peer}.npy").reshape(-1)

    def run(self):
        for index in range(args.rounds):
            for threads in args.threads:
                for peer in self.peers:
                    self.run_peer(peer, threads)
                self.run_own(threads)
                common.log(
                    f"{self.title}: round {index + 1} of {args.rounds}, {threads} threads: done"
                )
        return self


# ---- what comes out ----------------------------------------------------------------------------


def show_value(value, unit):
    if unit in ("tokens/s", "tokens/cpu-s"):
        return f"{value:,.0f}"
    return f"{value:.3g} {unit}"


def met(ratio, target):
    """target: ">= 2" or "<= 0.5"."""
    word, number = target.split()
    return ratio >= float(number) if word == ">=" else ratio <= float(number)


def table_rows(race, targets):
    """targets: {part of a case's name: target}, for the first peer."""
    for (who, case, threads), row in race.best.items():
        if who != "tercet" or case.endswith("/p99"):
            continue
        for peer in race.peers:
            other = race.best.get((peer, case, threads))
            if not other:
                continue
            ratio = row["value"] / other["value"]
            target = (
                next((t for name, t in targets.items() if name in case), "")
                if peer == race.peers[0]
                else ""
            )
            yield {
                "race": race.title,
                "case": case.split("/", 1)[1],
                "threads": threads,
                "unit": row["unit"],
                "tercet": row["value"],
                "peer": peer,
                "other": other["value"],
                "ratio": ratio,
                "target": target,
                "peak": row.get("peak_percent_cpu" if case.endswith("/cpu") else "peak_percent"),
                "memory": row.get("memory_mib"),
            }


COLUMNS = "model case threads Tercet peer reaches ratio target of-peak".split()
HEAD = "| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS)


def print_table(rows):
    for r in rows:
        mark = "" if not r["target"] else " ✓" if met(r["ratio"], r["target"]) else " ✗"
        peak = "" if r["peak"] is None else f"{r['peak']:.0f} %"
        cells = [
            r["race"],
            r["case"],
            str(r["threads"]),
            show_value(r["tercet"], r["unit"]),
            r["peer"],
            show_value(r["other"], r["unit"]),
            f"{r['ratio']:.2f}{mark}",
            r["target"],
            peak,
        ]
        print("| " + " | ".join(cells) + " |", flush=True)


NOTES = []


def note(text):
    common.log(text)
    NOTES.append(text)


def note_cosines(race, reference):
    """Of every runner's vectors to the f32 reference, over the SciFact passages."""
    for who, flat in race.outputs.items():
        vectors = models.unit(flat.reshape(reference.shape))
        cosines = (vectors * reference).sum(-1, dtype=np.float64)
        note(
            f"{race.title}, {who}: cosine to f32 over {len(cosines)} SciFact passages: "
            f"smallest {cosines.min():.6f}, mean {cosines.mean():.6f}"
        )


# ---- the parts ---------------------------------------------------------------------------------


def inputs_of(name, files, random):
    """The inputs that encode_peers.py would make, with one batch size."""
    options = argparse.Namespace(
        model=args.shared / "models" / "bge-small-en-v1.5",
        random=random,
        scifact=args.shared / "datasets" / "scifact",
        quick=False,
        batches=[16],
        queries=100 if args.quick else 300,
        passages=(16 if random == "m3" else 128) if args.quick else 64 if random == "m3" else 512,
    )
    return encode_peers.make_inputs(
        options, name, json.loads((files / "model" / "config.json").read_text())
    )


def part_small(part):
    name = "bge-small-en-v1.5"
    files = args.work / name
    prepare(files, ["--model", args.shared / "models" / name])
    inputs = inputs_of(name, files, None)
    precision = "f32" if part == "f32" else "int8"
    title = {"small": "small int8", "f32": "small-f32", "avx2": "small-avx2 int8"}[part]
    environment, peer_environment = {}, {}
    if part == "avx2":
        environment = {"TERCET_CPU": "avx2"}
        peer_environment = hide_all_but_avx2()
    peers = [PEER_OF[precision], *(p for p in args.peers if precision in p)]
    race = Race(
        title,
        "encode",
        files / "model",
        files,
        inputs,
        precision,
        peers,
        args.seconds,
        environment,
        peer_environment,
    ).run()
    _, reference = encode_peers.reference(args, files, inputs, race.inputs / "inputs.json")
    note_cosines(race, reference)
    targets = {
        "small": {"scifact": ">= 2", "query": "<= 0.5"},
        "f32": {"scifact": ">= 1.1"},
        "avx2": {"scifact": ">= 0.9"},
    }[part]
    print_table(table_rows(race, targets))


def part_random(shape):
    name = f"random-{shape}"
    files = args.work / name
    prepare(files, ["--random", shape])
    peers = [PEER_OF["int8"], *(p for p in args.peers if "int8" in p)]
    race = Race(
        f"{shape} int8",
        "encode",
        own_folder(files, shape),
        files,
        inputs_of(name, files, shape),
        "int8",
        peers,
        args.seconds,
    ).run()
    targets = {"base": {"scifact": ">= 1.6"}, "m3": {"fixed-512": ">= 1.5", "query": "<= 0.65"}}[
        shape
    ]
    print_table(table_rows(race, targets))


def part_long():
    files = args.work / "random-m3"
    prepare(files, ["--random", "m3"])
    tokens = 2048 if args.quick else 8192
    body = np.random.default_rng(3).integers(1000, 250002, tokens - 2)
    case = {"kind": "corpus", "texts": [[0, *map(int, body), 2]], "batch": 1}
    race = Race(
        "m3-long int8",
        "encode",
        own_folder(files, "m3"),
        files,
        {"model": "random-m3", "pad": 1, "cases": {f"random-m3/document-{tokens}": case}},
        "int8",
        [PEER_OF["int8"]],
        0.0,
    ).run()
    rows = list(table_rows(race, {"document": ">= 2"}))
    print_table(rows)
    for r in (r for r in rows if r["unit"] == "tokens/s"):
        note(
            f"m3, one document of {tokens} tokens, {r['threads']} threads: "
            f"{r['memory']:.0f} MiB beyond the model"
        )


def part_rerank():
    files = args.work / "rerank-m3"
    prepare(files, ["--random", "m3", "--head"])
    config = json.loads((files / "model" / "config.json").read_text())
    inputs = rerank_peers.make_inputs(
        "rerank-m3", config, 4 if args.quick else 20, 256, [4 if args.quick else 20], 3
    )
    race = Race(
        "v2-m3 int8",
        "rerank",
        own_folder(files, "v2-m3"),
        files,
        inputs,
        "int8",
        [PEER_OF["int8"]],
        0.0,
    ).run()
    # 1.5 times as fast: two thirds of the time
    print_table(table_rows(race, {"x256": "<= 0.667"}))
    reference_name, reference = rerank_peers.reference(files, inputs)
    for who, logits in race.outputs.items():
        note(
            f"v2-m3, {who}: largest error of a logit {np.abs(logits - reference).max():.4f} "
            f"to {reference_name}; their spread is {reference.std():.4f}"
        )


def vectors_of(texts, precision, query):
    lines = "".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in texts)
    done = subprocess.run(
        [
            args.tercet,
            "encode",
            "--model",
            args.shared / "models" / "bge-small-en-v1.5",
            "--dense",
            "--precision",
            precision,
            *(["--query"] if query else []),
        ],
        input=lines,
        text=True,
        stdout=subprocess.PIPE,
        check=True,
    )
    return np.array(
        [json.loads(line)["dense"] for line in done.stdout.splitlines()], dtype=np.float32
    )


def part_ndcg():
    folder = args.shared / "datasets" / "scifact"
    documents = common.scifact_corpus(folder)
    queries, qrels = common.scifact_queries(folder)
    for precision in ("bf16", "int8") if args.quick else ("f32", "bf16", "int8"):
        scores = vectors_of(queries, precision, True) @ vectors_of(documents, precision, False).T
        run = {}
        for (query, _), row in zip(queries, scores):
            run[query] = [(documents[i][0], float(row[i])) for i in np.argsort(-row)[:20]]
        note(
            f"SciFact, dense, bge-small-en-v1.5 in {precision}: "
            f"nDCG@10 {common.ndcg10(run, qrels):.2f}"
        )


def part_ingest():
    """All of SciFact into an index by the embedded model, in turns with the bench's passages."""
    name = "bge-small-en-v1.5"
    files = args.work / name
    prepare(files, ["--model", args.shared / "models" / name])
    inputs = inputs_of(name, files, None)
    inputs["cases"] = {n: c for n, c in inputs["cases"].items() if c["kind"] == "corpus"}
    threads = max(args.threads)
    race = Race("ingest int8", "encode", name, files, inputs, "int8", [], args.seconds)
    rates = []
    for _ in range(args.rounds):
        race.run_own(threads)
        done = subprocess.run(
            [
                args.tercet,
                "eval",
                "beir",
                args.shared / "datasets" / "scifact",
                "--threads",
                str(threads),
                "--json",
            ],
            text=True,
            stdout=subprocess.PIPE,
            check=True,
        )
        rates.append(json.loads(done.stdout)["encode_tokens_per_s"])
    bench = max(row["value"] for row in race.best.values() if row["unit"] == "tokens/s")
    note(
        f"ingest of SciFact, {threads} threads: {max(rates):,.0f} tokens/s, "
        f"{100 * max(rates) / bench:.0f} % of the bench's {bench:,.0f} (target: 90 %)"
    )


def hide_all_but_avx2():
    """The environment in which a peer sees no more than AVX2, or none where that cannot be done."""
    library = args.tercet.resolve().parent / "libavx2_only.so"
    built = subprocess.run(
        ["ninja", "-C", library.parents[1], f"tools/{library.name}"], stdout=subprocess.DEVNULL
    )
    environment = {"LD_PRELOAD": str(library)}
    if (
        built.returncode == 0
        and subprocess.run(["true"], env={**os.environ, **environment}).returncode == 0
    ):
        note(
            "small-avx2: both have AVX2 and no more: Tercet by TERCET_CPU=avx2, "
            "ONNX Runtime by avx2_only.c"
        )
        return environment
    note(
        "small-avx2: Tercet by TERCET_CPU=avx2; ONNX Runtime, which has no such switch, "
        "used all that the processor has"
    )
    return {}


def main():
    before = common.machine_times()
    print(HEAD, flush=True)
    for part in args.parts:
        {
            "small": lambda: part_small("small"),
            "f32": lambda: part_small("f32"),
            "avx2": lambda: part_small("avx2"),
            "base": lambda: part_random("base"),
            "m3": lambda: part_random("m3"),
            "long": part_long,
            "rerank": part_rerank,
            "ndcg": part_ndcg,
            "ingest": part_ingest,
        }[part]()
    spent = [b - a for a, b in zip(before, common.machine_times())]
    steal = (
        f", {100 * spent[7] / max(1, sum(spent)):.1f} % of the time taken by the host"
        if spent
        else ""
    )
    print()
    for line in [
        *NOTES,
        f"{common.cpu_name()}, {os.cpu_count()} cores; "
        f"best of {args.rounds} rounds; load at the end "
        f"{os.getloadavg()[0]:.1f}{steal}",
    ]:
        print(f"- {line}")


if __name__ == "__main__":
    main()
