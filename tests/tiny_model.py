"""A BERT folder so small that a test can write it: random weights, one layer, made-up words.

Its vectors mean nothing, and a thousand documents take it a blink."""

import json
import pathlib
import random
import struct

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,:-"


def write(folder, dim=32, layers=1):
    """Writes the folder and gives its path as text."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = WORDS + list(LETTERS) + ["##" + letter for letter in LETTERS]
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": dim,
        "num_hidden_layers": layers,
        "num_attention_heads": 1,
        "intermediate_size": 2 * dim,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "vocab_size": len(vocabulary),
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    shapes = {
        "embeddings.word_embeddings.weight": [len(vocabulary), dim],
        "embeddings.position_embeddings.weight": [512, dim],
        "embeddings.token_type_embeddings.weight": [2, dim],
        "embeddings.LayerNorm.weight": [dim],
        "embeddings.LayerNorm.bias": [dim],
    }
    for layer in range(layers):
        at = f"encoder.layer.{layer}."
        for name in ("query", "key", "value"):
            shapes[at + f"attention.self.{name}.weight"] = [dim, dim]
            shapes[at + f"attention.self.{name}.bias"] = [dim]
        shapes[at + "attention.output.dense.weight"] = [dim, dim]
        shapes[at + "attention.output.dense.bias"] = [dim]
        shapes[at + "intermediate.dense.weight"] = [2 * dim, dim]
        shapes[at + "intermediate.dense.bias"] = [2 * dim]
        shapes[at + "output.dense.weight"] = [dim, 2 * dim]
        shapes[at + "output.dense.bias"] = [dim]
        for name in ("attention.output", "output"):
            shapes[at + name + ".LayerNorm.weight"] = [dim]
            shapes[at + name + ".LayerNorm.bias"] = [dim]
    header, data, dice = {}, b"", random.Random(7)
    for name, shape in shapes.items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        one = "LayerNorm.weight" in name
        values = [1.0 if one else dice.gauss(0, 0.5) for _ in range(count)]
        packed = struct.pack(f"<{count}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    return str(folder)
