"""A small benchmark whose texts are out to break a page, and what a report of it holds; for
tests/eval_report.py and tests/browser_report.py."""
import json
import os

from served import random_model, run

HOSTILE = "</script><script>document.title='taken';alert(1)</script><!--<script> & <b>bold</b>"

FACTS = {"moon": ("Tides", "The tides of the sea follow the moon."),
         "tax": ("", "Salt was taxed in France."),
         "bee": ("Bees", "Bees dance to tell where flowers are."),
         "wal": ("Whales", "Whales sing across oceans."),
         "vio": ("The violin", "A violin has four strings."),
         "evil": (HOSTILE, f"What moves the tides? {HOSTILE} " + "The sea, the sea. " * 60),
         "ice": ("Ice", "Ice floats because it is light.")}
RERANKED = 3  # of the seven
ASKED = {"1": ("what moves the tides", {"moon": 2, "evil": 0}),
         "2": ("which animal dances", {"bee": 1}),
         "3": ("how many strings has a violin", {"vio": 1, "missing": 1}),
         "4": (f"tides and the sea {HOSTILE}", {"tax": 1, "ice": 3}),
         "5": ("who was taxed for salt", {"tax": 1})}


def benchmark(folder):
    """BEIR's files in folder/made; their paths."""
    made = f"{folder}/made"
    os.makedirs(f"{made}/qrels")
    with open(f"{made}/corpus.jsonl", "w") as out:
        for key, (title, text) in FACTS.items():
            out.write(json.dumps({"_id": key, "title": title, "text": text}) + "\n")
    with open(f"{made}/queries.jsonl", "w") as out:
        for key, (text, _) in ASKED.items():
            out.write(json.dumps({"_id": key, "text": text}) + "\n")
    with open(f"{made}/qrels/test.tsv", "w") as out:
        out.write("query-id\tcorpus-id\tscore\n")
        for key, (_, judged) in ASKED.items():
            for document, relevance in judged.items():
                out.write(f"{key}\t{document}\t{relevance}\n")
    return made


LANGUAGES = {"sw": list(ASKED), "yo": ["1", "3", "4"]}  # and the queries of each


def languages(tercet, folder):
    """MIRACL's files in folder/many, a corpus a language, and all that eval writes for both; what it
    printed, as rows. The model is called as one whose figures are published."""
    many, judged = f"{folder}/many", {key: judged for key, (_, judged) in ASKED.items()}
    model = random_model(tercet, "m3", f"{folder}/bge-m3")
    for lang, asked in LANGUAGES.items():
        os.makedirs(f"{many}/corpus-{lang}")
        with open(f"{many}/corpus-{lang}/docs-0.jsonl", "w") as out:
            for key, (title, text) in FACTS.items():
                out.write(json.dumps({"docid": key, "title": title, "text": text}) + "\n")
        with open(f"{many}/topics.miracl-v1.0-{lang}-dev.tsv", "w") as out:
            out.writelines(f"{key}\t{ASKED[key][0]}\n" for key in asked)
        with open(f"{many}/qrels.miracl-v1.0-{lang}-dev.tsv", "w") as out:
            out.writelines(f"{key} Q0 {document} {grade}\n" for key in asked
                           for document, grade in judged[key].items())
    printed = run(tercet, "eval", "miracl", many, "--lang", ",".join(LANGUAGES), "--table", "--json",
                  "-m", model, "--measures", "ndcg@10,map", "--run", f"{folder}/many.trec",
                  "--per-query", f"{folder}/many.tsv", "--index", f"{folder}/many-index", "--report",
                  f"{folder}/many.html", "--csv", f"{folder}/many.csv", "--markdown",
                  f"{folder}/many.md")
    return [json.loads(line) for line in printed.splitlines()]


def reports(tercet, folder):
    """All that eval and compare write for it, in folder; what they printed, as rows. Compared are
    run.sparse.trec and b: what all modes found, but nothing for query 2."""
    made = benchmark(folder)
    reranker = random_model(tercet, "v2-m3", f"{folder}/reranker")
    printed = run(tercet, "eval", "beir", made, "--table", "--json", "--measures",
                  "ndcg@10,recall@5,mrr,map,hole@3", "--run", f"{folder}/run.trec", "--report",
                  f"{folder}/eval.html", "--csv", f"{folder}/eval.csv", "--markdown",
                  f"{folder}/eval.md", "--rerank", reranker, "--rerank-depth", str(RERANKED))
    with open(f"{folder}/run.dense,sparse,multi.trec") as lines, open(f"{folder}/b", "w") as out:
        out.writelines(line for line in lines if not line.startswith("2 "))  # so one gets worse
    compared = run(tercet, "eval", "compare", f"{folder}/run.sparse.trec", f"{folder}/b",
                   f"{made}/qrels/test.tsv", "--json", "--report", f"{folder}/compare.html",
                   "--queries", f"{made}/queries.jsonl", "--corpus", f"{made}/corpus.jsonl",
                   "--csv", f"{folder}/compare.csv")
    return [[json.loads(line) for line in text.splitlines()] for text in (printed, compared)]


def data_of(path):
    """The page's block of data, as a browser takes it out: up to the first end of a script."""
    with open(path) as page:
        return json.loads(page.read().split('id="data">', 1)[1].split("</script", 1)[0])
