#!/usr/bin/env python3
"""seeds.py GOLDEN OUT - the fuzzer's first inputs, made from the golden folder (models, bad).

One file each, as tests/fuzz/loader_fuzz.c reads them: a byte that chooses the reader, then one
file, or several with PART between them. Needs nothing but Python.
"""
import hashlib
import json
import struct
import sys
from pathlib import Path

# enum reader
SAFETENSORS, TORCH, TOKENIZER, VOCAB, CONFIG, SHARDS, TORCH_SHARDS = range(7)
PART = b"\n%%%%\n"
BYTES_MAX = 32 << 10  # of a seed: large ones make every run slow and show nothing new
TEXTS = ["Bad [MASK] face\u0301 \u4e2d\ud55c \ufb01 x" * 3, "[CLS]<s> a<mask> \u2581b\u3000\u0130"]


def parts_of(model):
    """(reader, parts) for everything that a model folder holds."""
    for path in sorted(model.rglob("*")):
        if path.suffix == ".safetensors":
            yield SAFETENSORS, [path.read_bytes()]
        elif path.suffix in (".bin", ".pt"):
            yield TORCH, [path.read_bytes()]
    if (model / "tokenizer.json").exists():
        for text in TEXTS:
            yield TOKENIZER, [(model / "tokenizer.json").read_bytes(), text.encode()]
    names = ["config.json", "modules.json", "1_Pooling/config.json", "sentence_bert_config.json",
             "tokenizer_config.json", "config_sentence_transformers.json"]
    yield CONFIG, [(model / n).read_bytes() if (model / n).exists() else b"" for n in names]


def vocab_files(model):
    """vocab.txt out of a WordPiece tokenizer.json."""
    vocab = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"]
    pieces = "\n".join(sorted(vocab, key=vocab.get)).encode() + b"\n"
    settings = [
        {},
        {"do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False},
        {
            "tokenizer_class": "BertTokenizer",
            "mask_token": {"content": "[MASK]", "lstrip": True},
            "additional_special_tokens": ["a"],
            "added_tokens_decoder": {str(len(vocab)): {"content": "new", "special": True}},
        },
    ]
    for one in settings:
        yield VOCAB, [pieces, TEXTS[0].encode(), json.dumps(one).encode()]
    yield VOCAB, [pieces.replace(b"\n", b"\r\n")]


def read_header(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    return header, data[8 + length :]


def shard(tensors, data):
    """A safetensors file of some of a file's tensors."""
    header, body = {}, b""
    for name, tensor in tensors:
        begin, end = tensor["data_offsets"]
        offsets = [len(body), len(body) + end - begin]
        header[name] = dict(tensor, data_offsets=offsets)
        body += data[begin:end]
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def shards(bert, m3, xlmr):
    """The tensors of one file, dealt to two; and PyTorch's file with an index of one."""
    header, data = read_header(bert / "model.safetensors")
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    tensors = list(header.items())
    dealt = [tensors[i::2] for i in range(2)]
    index = {name: names[i] for i in range(2) for name, _ in dealt[i]}
    text = json.dumps({"metadata": {"total_size": len(data)}, "weight_map": index}).encode()
    yield SHARDS, [text] + [shard(half, data) for half in dealt]
    header, _ = read_header(xlmr / "model.safetensors")  # has the names of m3's tensors
    index = {name: "pytorch_model-00001-of-00002.bin" for name in header}
    text = json.dumps({"weight_map": index}).encode()
    yield TORCH_SHARDS, [text, (m3 / "pytorch_model.bin").read_bytes()]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    golden, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    bad = golden / "bad"
    models = [p for folder in (bad, golden / "models") for p in sorted(folder.iterdir())]
    seeds = [seed for model in models if model.is_dir() for seed in parts_of(model)]
    seeds += vocab_files(bad / "ok-bert")
    seeds += shards(bad / "ok-bert", bad / "ok-m3", bad / "ok-xlmr")
    written = set()
    for reader, parts in seeds:
        seed = bytes([reader]) + PART.join(parts)
        if len(seed) <= BYTES_MAX:
            name = hashlib.sha1(seed).hexdigest()
            (out / name).write_bytes(seed)
            written.add(name)
    print(f"{len(written)} seeds in {out}")


if __name__ == "__main__":
    main()
