#!/usr/bin/env python3
"""MTEB through clients/python/tercet/mteb.py finds what `tercet eval beir` finds: the same nDCG@10.

usage: mteb_agrees.py TERCET BEIR-FOLDER [DOCUMENTS [OPTION OF eval AND serve...]]

Run by hand, with a Python that has mteb (which brings PyTorch, some gigabytes, so it is not among
the tests that run by themselves); without it, 77. DOCUMENTS: only so many of the corpus, and the
queries whose answers are among them. A task of mteb is made of the folder, so nothing is fetched.
"""
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "clients", "python"))
from served import SKIP, check  # noqa: E402

try:
    import datasets
    import mteb
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata
except ImportError as missing:
    print(f"left out: {missing}")
    sys.exit(SKIP)
from tercet.mteb import TercetSearch  # noqa: E402

TERCET, FOLDER = sys.argv[1:3]
DOCUMENTS = int(sys.argv[3]) if len(sys.argv) > 3 else 0
OPTIONS = sys.argv[4:]
K = 101  # of tercet eval


def lines(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def read_folder():
    """The corpus, or its first documents: queries and judgments of what is there."""
    corpus = lines("corpus.jsonl")
    corpus = corpus[:DOCUMENTS] if DOCUMENTS else corpus
    ids = {document["_id"] for document in corpus}
    qrels = {}
    with open(os.path.join(FOLDER, "qrels", "test.tsv"), encoding="utf-8") as file:
        for line in list(file)[1:]:
            query, document, relevance = line.split("\t")
            if document in ids:
                qrels.setdefault(query, {})[document] = int(relevance)
    return corpus, [query for query in lines("queries.jsonl") if query["_id"] in qrels], qrels


def write_folder(folder, corpus, queries, qrels):
    os.makedirs(folder + "/qrels")
    for name, rows in (("corpus", corpus), ("queries", queries)):
        with open(f"{folder}/{name}.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    with open(folder + "/qrels/test.tsv", "w", encoding="utf-8") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        file.writelines(f"{query}\t{document}\t{relevance}\n" for query, judged in qrels.items()
                        for document, relevance in judged.items())


def rows(texts):
    return datasets.Dataset.from_list([{"id": text["_id"], "text": text["text"],
                                        "title": text.get("title", "")} for text in texts])


def task_of(corpus, queries, qrels, kind="Retrieval", top_ranked=None):
    class Local(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="Local" + kind, description="a folder in BEIR's format", reference=None,
            dataset={"path": "local", "revision": "1"}, type=kind, category="t2t",
            eval_splits=["test"], eval_langs=["eng-Latn"], main_score="ndcg_at_10", date=None,
            domains=None, task_subtypes=None, license=None, annotations_creators=None,
            dialect=None, sample_creation=None, bibtex_citation=None, modalities=["text"])

        def load_data(self, *_, **__):
            self.dataset = {"default": {"test": {
                "corpus": rows(corpus), "queries": rows(queries).remove_columns("title"),
                "relevant_docs": qrels, "top_ranked": top_ranked}}}
            self.data_loaded = True

    return Local()


def scores_of(search, task):
    results = mteb.evaluate(search, task, cache=None, overwrite_strategy="always")
    return results.task_results[0].scores["test"][0]


def main():
    corpus, queries, qrels = read_folder()
    with tempfile.TemporaryDirectory() as folder:
        write_folder(folder + "/set", corpus, queries, qrels)
        ours = json.loads(subprocess.run(
            [TERCET, "eval", "--json", *OPTIONS, "beir", folder + "/set"],
            capture_output=True, text=True, check=True).stdout)
        with TercetSearch.start(TERCET, *OPTIONS, k=K) as search:
            theirs = scores_of(search, task_of(corpus, queries, qrels))
            print(f"{len(corpus)} documents, {len(queries)} queries: nDCG@10 of tercet eval "
                  f"{ours['ndcg@10']:.6f}, of mteb {theirs['ndcg_at_10']:.6f}; recall@100 "
                  f"{ours['recall@100']:.6f}, {theirs['recall_at_100']:.6f}")
            check(abs(ours["ndcg@10"] - theirs["ndcg_at_10"]) <= 1e-4, "the same nDCG@10")
            check(abs(ours["recall@100"] - theirs["recall_at_100"]) <= 1e-4, "the same recall@100")
            # The right ones and five others: what is ranked are those and no more.
            others = [document["_id"] for document in corpus[:5]]
            few = {query: sorted({*judged, *others}) for query, judged in qrels.items()}
            ranked = scores_of(search, task_of(corpus, queries, qrels, "Reranking", few))
            check(ranked["recall_at_10"] > .99 and ranked["ndcg_at_10"] > .9,
                  f"a reranking task: nDCG@10 {ranked['ndcg_at_10']:.4f}")


main()
