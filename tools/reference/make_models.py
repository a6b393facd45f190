#!/usr/bin/env python3
"""make_models.py - small random models of every kind, saved by the official packages.

  python make_models.py OUT --shared ../shared [--seed N]

OUT gets a folder a model and texts.jsonl, the texts to compare on. Shapes are awkward on purpose:
widths that are no multiple of 16, heads of 12 and 24, vocabularies trained here. Every parameter is
random, none is zero or one, so that no term of a forward pass can be left out unnoticed. `shared`
is the folder with datasets/, to train tokenizers on, and golden/tokenizer with XLM-RoBERTa's
charsmap. The trained vocabularies differ a little from run to run, so expectations go with one run.
"""
import argparse
import collections
import json
import math
import pathlib
import shutil
import sys

import numpy as np
import tokenizers
import torch
import transformers
from tokenizers import normalizers, pre_tokenizers, processors, trainers

sys.dont_write_bytecode = True  # no __pycache__ in the source tree
import texts

XLMR_SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

# Standard deviation of a linear layer, times 1 / sqrt(its input width): large enough that different
# texts come out clearly different, small enough that float32 stays exact to 1e-5.
GAINS = (("query", 2.0), ("key", 2.0), ("attention.output.dense", 1.2), ("output.dense", 0.6),
         ("sparse", 0.3), ("out_proj", 3.0), ("classifier.weight", 3.0), ("", 1.0))


def randomize(module, rng):
    with torch.no_grad():
        for name, parameter in sorted(module.named_parameters()):
            values = rng.standard_normal(tuple(parameter.shape)).astype(np.float32)
            if "LayerNorm.weight" in name:
                values = 1 + 0.2 * values
            elif name.endswith("bias"):
                values = 0.1 * values
            elif "embeddings" in name:
                values = 0.1 * values
            else:
                gain = next(gain for part, gain in GAINS if part in name)
                values = gain / math.sqrt(parameter.shape[-1]) * values
            parameter.copy_(torch.from_numpy(values.astype(np.float32)))
    return module.eval()


# ---------------------------------------------------------------------------------- tokenizers


def training_texts(shared):
    for queries, passages in texts.corpora(shared).values():
        yield from queries[:600]
        yield from passages[:240]


def train_unigram(shared, pieces_n, layout, specials):
    """XLM-RoBERTa's pipeline over a vocabulary of our own. layout: the normalizer and pre-tokenizer
    of "bge-m3" or "bge-reranker-v2-m3" as published, or of "transformers-5", as converted."""
    golden = tokenizers.Tokenizer.from_file(
        str(shared / "golden/tokenizer/xlm-roberta/tokenizer.json"))
    blanks = tokenizers.Regex(" {2,}")
    metaspace = pre_tokenizers.Metaspace("▁", prepend_scheme="always")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.Unigram())
    tokenizer.pre_tokenizer = metaspace
    if layout == "bge-m3":
        steps = [golden.normalizer, normalizers.Replace(blanks, " ")]
    elif layout == "bge-reranker-v2-m3":
        steps = [golden.normalizer, normalizers.Strip(left=False, right=True),
                 normalizers.Replace(blanks, "▁")]
    else:
        steps = [golden.normalizer]
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), metaspace])
    tokenizer.normalizer = normalizers.Sequence(steps) if len(steps) > 1 else steps[0]
    tokenizer.train_from_iterator(
        training_texts(shared),
        trainers.UnigramTrainer(vocab_size=pieces_n - 1, special_tokens=specials,
                                unk_token="<unk>", show_progress=False))
    model = json.loads(tokenizer.to_str())
    model["added_tokens"] = [token | {"lstrip": token["content"] == "<mask>"}
                             for token in model["added_tokens"]]
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(model))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(t, tokenizer.token_to_id(t)) for t in ("<s>", "</s>")])
    tokenizer.decoder = tokenizers.decoders.Metaspace("▁", prepend_scheme="always")
    return tokenizer


def save_unigram(folder, tokenizer, length_max):
    transformers.XLMRobertaTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=length_max,
        mask_token=tokenizers.AddedToken("<mask>", lstrip=True, special=True, normalized=False),
    ).save_pretrained(folder)


def train_wordpiece(shared, pieces_n, lowercase):
    tokenizer = tokenizers.BertWordPieceTokenizer(lowercase=lowercase)
    tokenizer.train_from_iterator(training_texts(shared), vocab_size=pieces_n, min_frequency=2,
                                  special_tokens=BERT_SPECIALS, show_progress=False)
    vocabulary = tokenizer.get_vocab()
    return sorted(vocabulary, key=vocabulary.get)


def save_wordpiece(folder, vocabulary, lowercase, vocab_txt_only=False):
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    slow = transformers.BertTokenizer(str(folder / "vocab.txt"), do_lower_case=lowercase,
                                      model_max_length=512)
    if vocab_txt_only:
        slow.save_pretrained(folder)
        return
    transformers.BertTokenizerFast.from_pretrained(folder, do_lower_case=lowercase,
                                                   model_max_length=512).save_pretrained(folder)


# -------------------------------------------------------------------------------------- models


def sentence_transformer(folder, pooling, normalize, length_max, prompts=None):
    """Makes the folder of a transformers model one of sentence-transformers, as version 5 saves it:
    one "pooling_mode", and the length in tokenizer_config.json."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules as parts
    transformer = parts.Transformer(str(folder), max_seq_length=length_max)
    modules = [transformer,
               parts.Pooling(transformer.get_embedding_dimension(), pooling_mode=pooling)]
    modules += [parts.Normalize()] if normalize else []
    SentenceTransformer(modules=modules, device="cpu", prompts=prompts).save(
        str(folder), create_model_card=False)


def sentence_transformer_2(folder, pooling, normalize, length_max, lowercase=False):
    """The same as versions 2 to 4 saved it, and as most published folders are."""
    width = json.loads((folder / "config.json").read_text())["hidden_size"]
    parts = [("", "Transformer"), ("1_Pooling", "Pooling")]
    parts += [("2_Normalize", "Normalize")] if normalize else []
    modes = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")
    files = {
        "modules.json": [{"idx": n, "name": str(n), "path": path,
                          "type": f"sentence_transformers.models.{kind}"}
                         for n, (path, kind) in enumerate(parts)],
        "1_Pooling/config.json": {"word_embedding_dimension": width} | {
            f"pooling_mode_{mode}": mode.startswith(pooling + "_t") for mode in modes},
        "sentence_bert_config.json": {"max_seq_length": length_max,
                                      "do_lower_case": lowercase},
    }
    for name, value in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(value, indent=2))


class Maker:
    def __init__(self, out, shared, seed):
        self.out, self.shared, self.seed = out, shared, seed
        self.unigrams = {}

    def start(self, name):
        print(name, flush=True)
        folder = self.out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder, np.random.Generator(np.random.PCG64([self.seed, *name.encode()]))

    def unigram(self, layout, pieces_n=5000, specials=None):
        specials = specials or XLMR_SPECIALS
        key = (layout, pieces_n, *specials)
        if key not in self.unigrams:
            self.unigrams[key] = train_unigram(self.shared, pieces_n, layout, specials)
        return self.unigrams[key]

    def xlmr(self, kind, rng, tokenizer, **shape):
        config = transformers.XLMRobertaConfig(
            vocab_size=tokenizer.get_vocab_size(), type_vocab_size=1, layer_norm_eps=1e-5,
            **{t + "_token_id": tokenizer.token_to_id(piece)
               for t, piece in (("pad", "<pad>"), ("bos", "<s>"), ("eos", "</s>"))}, **shape)
        return randomize(kind(config), rng)

    def bert(self, kind, rng, vocabulary, **shape):
        config = transformers.BertConfig(vocab_size=len(vocabulary), **shape)
        return randomize(kind(config), rng)

    def m3_heads(self, model, rng, colbert_dim):
        """The sparse head's bias is set so that about half of all tokens get a weight above 0."""
        width = model.config.hidden_size
        heads = torch.nn.ModuleDict({"sparse": torch.nn.Linear(width, 1),
                                     "colbert": torch.nn.Linear(width, colbert_dim)})
        randomize(heads, rng)
        ids = torch.from_numpy(rng.integers(5, model.config.vocab_size, (40, 30)))
        with torch.no_grad():
            sparse = heads["sparse"]
            weights = sparse(model(input_ids=ids).last_hidden_state) - sparse.bias
            sparse.bias.fill_(-weights.median())
        return heads

    def m3(self):
        """BGE-M3: once as published (one .bin, heads in f16), once in shards with heads in f32."""
        shape = {"hidden_size": 80, "num_attention_heads": 5, "intermediate_size": 200,
                 "num_hidden_layers": 2, "max_position_embeddings": 8194}
        for name, half, how in (
                ("m3-bin", True, {"safe_serialization": False}),
                ("m3-shards", False, {"max_shard_size": "500KB"})):
            folder, rng = self.start(name)
            tokenizer = self.unigram("bge-m3")
            model = self.xlmr(transformers.XLMRobertaModel, rng, tokenizer, **shape)
            heads = self.m3_heads(model, rng, colbert_dim=40)
            model.save_pretrained(folder, **how)
            save_unigram(folder, tokenizer, 8192)
            for head, linear in heads.items():
                state = linear.half() if half else linear
                torch.save(collections.OrderedDict(state.state_dict()),
                           folder / f"{head}_linear.pt")

    def xlmr_dense(self):
        """multilingual-e5: mean pooling, 514 positions; and pads elsewhere than usual, in bf16."""
        shape = {"hidden_size": 36, "num_attention_heads": 3, "intermediate_size": 100,
                 "num_hidden_layers": 2, "max_position_embeddings": 514}
        folder, rng = self.start("e5-mean")
        tokenizer = self.unigram("transformers-5")
        self.xlmr(transformers.XLMRobertaModel, rng, tokenizer, **shape).save_pretrained(folder)
        save_unigram(folder, tokenizer, 512)
        sentence_transformer_2(folder, "mean", True, 512)

        folder, rng = self.start("xlmr-pad-first-cls-bf16")
        tokenizer = self.unigram("bge-reranker-v2-m3", 5000,
                                 ["<pad>", "<unk>", "<mask>", "<s>", "</s>"])
        model = self.xlmr(transformers.XLMRobertaModel, rng, tokenizer, **shape)
        model.bfloat16().save_pretrained(folder)
        save_unigram(folder, tokenizer, 512)
        sentence_transformer(folder, "cls", True, 300)
        model.save_pretrained(folder)  # again: sentence-transformers loaded and saved f32

    def bert_dense(self):
        shape = {"hidden_size": 120, "num_attention_heads": 5, "intermediate_size": 321,
                 "num_hidden_layers": 3, "max_position_embeddings": 512}
        lower = train_wordpiece(self.shared, 6000, True)
        cased = train_wordpiece(self.shared, 4001, False)
        for name, make, pooling, normalize, length_max in (
                ("bert-cls-plain", sentence_transformer, "cls", False, 512),
                ("bert-mean", sentence_transformer, "mean", True, 256),
                ("bert-mean-plain", sentence_transformer_2, "mean", False, 128)):
            folder, rng = self.start(name)
            self.bert(transformers.BertModel, rng, lower, **shape).save_pretrained(folder)
            save_wordpiece(folder, lower, True)
            make(folder, pooling, normalize, length_max)

        folder, rng = self.start("bert-cls-f16")
        model = self.bert(transformers.BertModel, rng, lower, **shape).half()
        model.save_pretrained(folder)
        save_wordpiece(folder, lower, True)
        sentence_transformer(folder, "cls", True, 512)
        model.save_pretrained(folder)  # again: sentence-transformers loaded and saved f32

        for name, vocabulary, lowercase in (("bert-vocab-txt-lower", lower, True),
                                            ("bert-vocab-txt-cased", cased, False)):
            folder, rng = self.start(name)
            self.bert(transformers.BertModel, rng, vocabulary, **shape).save_pretrained(folder)
            save_wordpiece(folder, vocabulary, lowercase, vocab_txt_only=True)

        folder, rng = self.start("bert-cased-lowered")
        self.bert(transformers.BertModel, rng, cased, **shape).save_pretrained(folder)
        save_wordpiece(folder, cased, False)
        sentence_transformer_2(folder, "cls", True, 512, lowercase=True)

        # As many checkpoints were first saved: with a head, so that names begin with "bert.".
        folder, rng = self.start("bert-prefixed-bins")
        model = self.bert(transformers.BertForMaskedLM, rng, lower, **shape)
        model.save_pretrained(folder, safe_serialization=False, max_shard_size="1MB")
        save_wordpiece(folder, lower, True)

        folder, rng = self.start("bert-prompts")
        self.bert(transformers.BertModel, rng, lower, **shape).save_pretrained(folder)
        save_wordpiece(folder, lower, True)
        sentence_transformer(folder, "mean", True, 512,
                             {"query": "search query: ", "document": ""})

    def rerankers(self):
        folder, rng = self.start("xlmr-reranker")
        tokenizer = self.unigram("bge-reranker-v2-m3")
        self.xlmr(transformers.XLMRobertaForSequenceClassification, rng, tokenizer, num_labels=1,
                  hidden_size=44, num_attention_heads=2, intermediate_size=130,
                  num_hidden_layers=3, max_position_embeddings=1026).save_pretrained(folder)
        save_unigram(folder, tokenizer, 1024)

        folder, rng = self.start("bert-cross-encoder")
        vocabulary = train_wordpiece(self.shared, 5000, True)
        self.bert(transformers.BertForSequenceClassification, rng, vocabulary, num_labels=1,
                  hidden_size=60, num_attention_heads=5, intermediate_size=77,
                  num_hidden_layers=2).save_pretrained(folder)
        save_wordpiece(folder, vocabulary, True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--shared", type=pathlib.Path, required=True,
                        help="the folder with datasets/ and golden/tokenizer/")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    rows = texts.sample_texts(args.shared, args.seed) + texts.sample_pairs(args.shared, args.seed)
    with open(args.out / "texts.jsonl", "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    maker = Maker(args.out, args.shared, args.seed)
    maker.m3()
    maker.xlmr_dense()
    maker.bert_dense()
    maker.rerankers()


if __name__ == "__main__":
    main()
