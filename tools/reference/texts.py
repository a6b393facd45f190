"""texts.py - the texts that models are compared on: many languages, and what breaks tokenizers.

A row is {"id","text"} or {"id","query","passage"}, with "max_length" where the text is to be cut.
`shared` is the folder with datasets/ in BEIR's layout."""
import gzip
import json
import random

XQUAD = ("ar", "en", "hi", "th", "zh")

NASTY = [
    "", " ", "\t \n", "a", "trailing blank ", "  two  blanks  between  ", "tab\tand\nnew line",
    "word word word Word WORD", "UPPER lower MiXeD", "don't can't e.g. U.S.A. ... !!! ?!",
    "<pad> hidden <pad> pads", "a <mask> b <mask>", "x</s>y <s> z", "<unk> <unk>",
    "[CLS] a [SEP] b [MASK] [PAD] [UNK] [cls]", "##ing play ##ing", "▁ ▁a b▁",
    "café cafe\u0301 Ångström \u212b", "Tiếng Việt có dấu", "İstanbul ıĞŞ ΑΣ ς STRASSE Straße ẞ",
    "ＦＵＬＬ ｗｉｄｔｈ ｶﾀｶﾅ ＜ｓ＞ ＜ｐａｄ＞", "① ½ ﬁ ㎞ ㍿ ™ …", "Ａ\u0301 ª\u0301 e\u0301\u0302",
    "😀 👨\u200d👩\u200d👧 🇹🇼 👩🏽\u200d🚀 1️⃣", "𠀀𠀁 𝔘𝔫𝔦 𒀀 🀄", "한글과 각 한국어",
    "हिन्दी क्\u200dष क्\u200cष", "ภาษาไทยไม่มีช่องว่าง กำ น้ำ", "עִבְרִית ٱلْعَرَبِيَّةُ ﷺ",
    "漢字かな交じり文、カタカナ。ガ ガ", "zero\u200bwidth soft\u00adhyphen \ufeffBOM \u00a0 \u3000",
    "\ue000 \ufffd \ufffe \U0010ffff", "\x01\x7f\x85 control", "1234567890 3.14 1,000 1e-5 0x1F",
    "https://example.com/a?b=c&d=%20#e user@example.com", "int main(void) { return a[i] ^= ~b; }",
    "x" * 99, "x" * 100, "x" * 101, "é" * 100, "字" * 150, "aé" * 60 + " b",
    "x" + " " * 500 + "y", "\n" * 100 + "end",
]

SCRIPTS = [
    (0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x5FF),
    (0x600, 0x6FF), (0x900, 0x97F), (0xE00, 0xE7F), (0x1100, 0x11FF), (0x2000, 0x206F),
    (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xFB00, 0xFB4F), (0xFF00, 0xFFEF),
    (0x1F300, 0x1F64F), (0x20000, 0x2A6DF),
]


def rows_of(path):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def corpora(shared):
    """label -> (queries, passages)"""
    found = {label: shared / "datasets/xquad" / label for label in XQUAD}
    found |= {"ja": shared / "datasets/jsquad", "sci": shared / "datasets/scifact"}
    return {
        label: tuple([row["text"] for row in rows_of(folder / name)]
                     for name in ("queries.jsonl", "corpus.jsonl"))
        for label, folder in found.items()
    }


def long_texts(shared):
    """Meetings of 10,000 words and more."""
    rows = rows_of(shared / "datasets/qmsum_lemb/corpus.jsonl.gz")
    return [row["text"] for row in rows if len(row["text"]) > 60000]


def soup(rng):
    some = rng.sample(SCRIPTS, 3) + [(0x20, 0x20), (0x300, 0x30F)]
    return "".join(chr(rng.randint(*rng.choice(some))) for _ in range(rng.randint(1, 60)))


def sample_texts(shared, seed):
    rng = random.Random(f"{seed}-texts")
    out = [{"id": f"nasty-{n:02d}", "text": text} for n, text in enumerate(NASTY)]
    out += [{"id": f"soup-{n:02d}", "text": soup(rng)} for n in range(30)]
    for label, (queries, passages) in corpora(shared).items():
        for n, text in enumerate(rng.sample(queries, 4) + rng.sample(passages, 4)):
            out.append({"id": f"{label}-{n}", "text": text})
    long = rng.sample(long_texts(shared), 3)
    out += [{"id": "long-whole", "text": long[0]}, {"id": "long-8000", "text": long[1][:30000]}]
    out += [{"id": f"cut-{n}", "text": long[2][:20000], "max_length": n} for n in (3, 16, 512)]
    # Neighbouring lengths, so that every remainder of a SIMD loop's width is met.
    out += [{"id": f"words-{n}", "text": " ".join(long[2].split()[:n])} for n in range(60, 70)]
    return out


def sample_pairs(shared, seed):
    rng = random.Random(f"{seed}-pairs")
    pairs = [("what is panda?", "hi"), ("", "passage"), ("query", ""), ("", ""),
             ("the same", "the same"), ("blank ", "blank "), ("a <pad> b", "c <mask> d [SEP] e"),
             ("q " * 400, "p " * 400), ("😀", "漢字 हिन्दी")]
    for queries, passages in corpora(shared).values():
        pairs += [(rng.choice(queries), rng.choice(passages)) for _ in range(3)]
    out = [{"id": f"pair-{n:02d}", "query": q, "passage": p} for n, (q, p) in enumerate(pairs)]
    # Short limits: where the query alone fills them nothing is cut, or both texts, by the library.
    out += [row | {"id": f"{row['id']}-{n}", "max_length": n}
            for n in (64, 24) for row in out[-6:] + out[:3] + out[7:8]]
    return out
