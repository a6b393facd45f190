#!/usr/bin/env python3
"""expect.py - what the official Python packages say of a model folder and texts.

  python expect.py MODEL_DIR TEXTS > EXPECTED.jsonl

TEXTS (texts.py) is JSONL of {"id","text"} and {"id","query","passage"}, with "max_length" where a
text is to be cut shorter than the model does. Out come the rows that the model can answer, with
the token ids it saw, "length_max", the model's own limit, and by kind of folder
  sparse_linear.pt        BGEM3FlagModel: "dense", "sparse", "multi"; pairs: "scores"
  modules.json            SentenceTransformer: "dense", and "multi": the normalised token states;
                          "dense_query" where the folder has a prompt for queries
  ...SequenceClassification   "score", "score_normalized": FlagReranker, which cuts the passage;
                          "cross_encoder": CrossEncoder, which cuts the longer text
  none of these           FlagModel (CLS, normalised): "dense"
in float32 on the CPU, one text at a time, so that no padding is in play.
"""
import os

os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false",
               "TRANSFORMERS_VERBOSITY": "error"}

import argparse
import json
import pathlib

import numpy as np
import torch

# FlagEmbedding draws a progress bar for a batch_size of 1; one text is still one batch.
BATCH = 2
FLAG_OPTIONS = {"use_fp16": False, "devices": ["cpu"]}


def floats(values):
    """float32 as the shortest decimals that read back as the same."""
    return [float(f"{value:.9g}") for value in np.asarray(values, np.float32).ravel()]


def limit(row, length_max):
    return min(row.get("max_length", length_max), length_max)


def is_pair(row):
    return "query" in row


class M3:
    def __init__(self, folder):
        from FlagEmbedding import BGEM3FlagModel
        dim = torch.load(folder / "colbert_linear.pt", weights_only=True)["weight"].shape[0]
        self.model = BGEM3FlagModel(str(folder), colbert_dim=dim, **FLAG_OPTIONS)
        self.length_max = self.model.tokenizer.model_max_length

    def answer(self, row):
        n = limit(row, self.length_max)
        if is_pair(row):
            scores = self.model.compute_score([(row["query"], row["passage"])], batch_size=BATCH,
                                              max_query_length=n, max_passage_length=n)
            return {"max_length": n, "scores": {k: float(v[0]) for k, v in scores.items()}}
        got = self.model.encode([row["text"]], batch_size=BATCH, max_length=n, return_dense=True,
                                return_sparse=True, return_colbert_vecs=True)
        ids = self.model.tokenizer(row["text"], truncation=True, max_length=n)["input_ids"]
        return {"max_length": n, "ids": ids, "dense": floats(got["dense_vecs"][0]),
                "sparse": {k: float(v) for k, v in got["lexical_weights"][0].items()},
                "multi": [floats(vector) for vector in got["colbert_vecs"][0]]}


class Sentence:
    def __init__(self, folder):
        from sentence_transformers import SentenceTransformer
        self.model = SentenceTransformer(str(folder), device="cpu",
                                         model_kwargs={"dtype": torch.float32})
        self.length_max = self.model.max_seq_length

    def answer(self, row):
        if is_pair(row):
            return None
        self.model.max_seq_length = n = limit(row, self.length_max)
        encode = lambda what: self.model.encode([row["text"]], batch_size=1, output_value=what,
                                                show_progress_bar=False)[0]
        states = torch.nn.functional.normalize(encode("token_embeddings"), dim=-1)
        ids = self.model.preprocess([row["text"]])["input_ids"][0].tolist()
        out = {"max_length": n, "ids": ids, "dense": floats(encode("sentence_embedding")),
               "multi": [floats(state) for state in states[1:]]}
        if self.model.prompts.get("query") and n == self.length_max:
            out["dense_query"] = floats(self.model.encode_query(
                [row["text"]], batch_size=1, show_progress_bar=False)[0])
        return out


class Flag:
    def __init__(self, folder):
        from FlagEmbedding import FlagModel
        self.model = FlagModel(str(folder), **FLAG_OPTIONS)
        self.length_max = self.model.tokenizer.model_max_length

    def answer(self, row):
        if is_pair(row):
            return None
        n = limit(row, self.length_max)
        dense = self.model.encode([row["text"]], batch_size=BATCH, max_length=n)[0]
        ids = self.model.tokenizer(row["text"], truncation=True, max_length=n)["input_ids"]
        return {"max_length": n, "ids": ids, "dense": floats(dense)}


class Keep:
    """Stands around a reranker's model and keeps the ids that it is given."""

    def __init__(self, model):
        self.model, self.inputs = model, None

    def __call__(self, **inputs):
        self.inputs = {k: v[0].tolist() for k, v in inputs.items() if k.endswith("_ids")}
        return self.model(**inputs)

    def __getattr__(self, name):
        return getattr(self.model, name)

    def to(self, _device):
        return self

    def eval(self):
        self.model.eval()
        return self


class Reranker:
    def __init__(self, folder):
        from FlagEmbedding import FlagReranker
        from sentence_transformers import CrossEncoder
        self.flag = FlagReranker(str(folder), batch_size=BATCH, **FLAG_OPTIONS)
        self.flag.model = Keep(self.flag.model)
        self.cross = CrossEncoder(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
        self.length_max = self.flag.tokenizer.model_max_length

    def answer(self, row):
        if not is_pair(row):
            return None
        n, pair = limit(row, self.length_max), (row["query"], row["passage"])
        score = self.flag.compute_score([pair], max_length=n)[0]
        out = {"max_length": n, "ids": self.flag.model.inputs["input_ids"], "score": float(score),
               "score_normalized": self.flag.compute_score([pair], max_length=n, normalize=True)[0]}
        self.cross.max_length = n
        out["cross_encoder"] = float(self.cross.predict(
            [pair], batch_size=1, show_progress_bar=False, activation_fn=torch.nn.Identity())[0])
        return out


def reader_of(folder):
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if (folder / "sparse_linear.pt").exists():
        return M3(folder)
    if any("SequenceClassification" in name for name in config["architectures"]):
        return Reranker(folder)
    return Sentence(folder) if (folder / "modules.json").exists() else Flag(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("texts", type=pathlib.Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = reader_of(args.model)
    with open(args.texts, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            with torch.no_grad():
                answer = model.answer(row)
            if answer:
                print(json.dumps(row | answer | {"length_max": model.length_max}), flush=True)


if __name__ == "__main__":
    main()
