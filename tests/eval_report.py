#!/usr/bin/env python3
"""tercet eval --report, --csv and --markdown on a small benchmark: what stands in the files is what
was printed, the lists are those of the runs, and texts that look like markup stay texts.

usage: eval_report.py TERCET
"""
import csv
import json
import os
import re
import shutil
import sys
import tempfile

from report_kit import (ASKED, FACTS, HOSTILE, LANGUAGES, RERANKED, data_of, languages,
                        reports)
from served import check, run

TERCET = sys.argv[1]
WAYS = ["dense", "sparse", "multi", "dense,sparse", "dense,sparse,multi",
        "dense,sparse,multi,rerank"]


def read_run(path):
    """{query: [documents, best first]}, equal scores by id descending, as measures order them."""
    hits = {}
    with open(path) as lines:
        for line in lines:
            query, _, document, _, score, _ = line.split()
            hits.setdefault(query, []).append((float(score), document))
    return {query: [document for _, document in sorted(found, reverse=True)]
            for query, found in hits.items()}


def same_table(path, rows):
    with open(path, newline="") as text:
        table = list(csv.DictReader(text))
    check(len(table) == len(rows), f"{path.rsplit('/')[-1]}: {len(rows)} rows")
    for cells, row in zip(table, rows):
        for name, value in row.items():
            cell = cells[name]
            check((float(cell) if isinstance(value, (int, float)) else cell) == value
                  if name != "dataset" else cell == "made", f"  {name} {cell[:40]}")


def judged_recall(hits, depth):
    """Mean part of the relevant documents among the first so many."""
    total = 0
    for query, (_, judged) in ASKED.items():
        relevant = {document for document, grade in judged.items() if grade > 0}
        total += len(relevant & set(hits[query][:depth])) / len(relevant)
    return total / len(ASKED)


def same_document(found, key):
    title, text = FACTS.get(key, ("", ""))
    cut = found.get("text", "")
    return found["key"] == key and found.get("title", "") == title and (
        text.startswith(cut[:-1]) and len(cut) <= 481 if cut.endswith("…") else cut == text)


def check_lists(data, query, top, ranking, what):
    """The head of a ranking with its verdicts."""
    keys = [data["documents"][hit["doc"]] for hit in top]
    check(all(same_document(found, key) for found, key in zip(keys, ranking)) and
          len(top) == min(5, len(ranking)), f"{what}: the first {len(top)} with their texts")
    judged = ASKED[query][1]
    check([hit.get("relevance") for hit in top] == [judged.get(key) for key in ranking[:5]],
          f"{what}: and what was said of them")


def check_relevant(data, query, one, rankings, what):
    expected = sorted((-grade, key) for key, grade in ASKED[query][1].items() if grade > 0)
    found = sorted((-hit["relevance"], data["documents"][hit["doc"]]["key"])
                   for hit in one["relevant"])
    check(found == expected and one["relevant_n"] == len(expected), f"{what}: what was relevant")
    for hit in one["relevant"]:
        key = data["documents"][hit["doc"]]["key"]
        check(hit["ranks"] == [ranking.index(key) + 1 if key in ranking else 0
                               for ranking in rankings], f"{what}: where {key} was found")


def check_eval(folder, rows):
    data = data_of(f"{folder}/eval.html")
    check([{**row, "dataset": "made"} for row in rows] == data["rows"],
          "the page's rows are those that were printed")
    same_table(f"{folder}/eval.csv", rows)
    text = open(f"{folder}/eval.md").read()
    check(all(f"{row['ndcg@10']:.4f}" in text for row in rows) and text.count("\n|") == 8 and
          f"rerank: the best {RERANKED} by reranker" in text, "and so are Markdown's")
    hits = [read_run(f"{folder}/run.{way}.trec") for way in WAYS]
    check(data["depths"] == [1, 3, 5, 10, 20, 50, 100], "depths as far as the run goes")
    for way, ranking, recall, row in zip(WAYS, hits, data["recall"], rows):
        worst = max(abs(judged_recall(ranking, depth) - value)
                    for depth, value in zip(data["depths"], recall))
        check(worst < 1e-8 and abs(recall[2] - row["recall@5"]) < 1e-8, f"{way}: recall by depth")
    check([way["name"] for way in data["ways"]] == WAYS and
          all(0 < way["p50"] <= way["p90"] <= way["p99"] <= way["max"] for way in data["ways"]) and
          [way["p50"] for way in data["ways"]] == [row["query_ms_p50"] for row in rows],
          "times of queries")
    check(data["ways"][0]["fusion"] == "" and
          re.fullmatch(r"\w+: dense [\d.]+, sparse [\d.]+, multi [\d.]+", data["ways"][4]["fusion"]),
          f"how scores were fused: {data['ways'][4]['fusion']}")
    check(data["ways"][5]["fusion"] == f"{data['ways'][4]['fusion']}; the best {RERANKED} reranked",
          "and what was reranked")
    facts = {fact["name"]: fact["value"] for fact in data["facts"]}
    check(facts["Queries"] == "5" and facts["Documents"] == "7" and facts["Split"] == "test" and
          re.fullmatch("[0-9a-f]{32,}", facts["Fingerprint"]) and
          facts["Reranker"] == f"reranker, the best {RERANKED} of a query", "what it was made with")
    check_reranked(folder, hits[4], hits[5], rows[5])
    for r, hardest in enumerate(data["hardest"]):
        values = [data["queries"][one["query"]]["values"][r][data["main"]] for one in hardest]
        check(values == sorted(values) and max(values) < 1, f"{WAYS[r]}: {len(values)} hard queries")
        check(any(data["queries"][one["query"]]["id"] == "4" for one in hardest), "  one is known")
        for one in hardest:
            query = data["queries"][one["query"]]
            check(query["text"] == ASKED[query["id"]][0], f"  query {query['id']}, to the letter")
            check_lists(data, query["id"], one["top"], hits[r][query["id"]], "  found")
            check_relevant(data, query["id"], query, [h[query["id"]] for h in hits], "  judged")
    check(folder not in open(f"{folder}/eval.html").read(), "no path of this machine")


def check_reranked(folder, fused, reranked, row):
    """The best of the hybrid in the cross-encoder's order, the others behind them as they were."""
    check((row["reranker"], row["rerank_depth"]) == ("reranker", RERANKED), "its row says by whom")
    for query, ranking in fused.items():
        best = ranking[:RERANKED]
        pairs = [{"query": ASKED[query][0], "passage": " ".join(FACTS[key]).strip()} for key in best]
        said = run(TERCET, "rerank", "--model", f"{folder}/reranker", "--precision", "auto",
                   stdin="".join(json.dumps(pair) + "\n" for pair in pairs))
        scores = [json.loads(line)["score"] for line in said.splitlines()]
        order = [key for _, key in sorted(zip(scores, best), reverse=True)]
        check(reranked[query] == order + ranking[RERANKED:], f"query {query}: {order} reranked")
    check(any(fused[query] != reranked[query] for query in fused), "which changes something")


def check_compare(folder, rows):
    data = data_of(f"{folder}/compare.html")
    check(rows == data["rows"], "a comparison's rows are those that were printed")
    same_table(f"{folder}/compare.csv", rows)
    hits = [read_run(f"{folder}/run.sparse.trec"), read_run(f"{folder}/b")]
    hits[1]["2"] = []
    check([query["text"] for query in data["queries"]] == [text for text, _ in ASKED.values()],
          "all queries have their texts")
    for m, row in enumerate(rows):
        differences = [query["b"][m] - query["a"][m] for query in data["queries"]]
        check(abs(sum(differences) / len(differences) - row["difference"]) < 1e-8 and
              sum(d > 0 for d in differences) == row["better"] and
              sum(d < 0 for d in differences) == row["worse"], f"{row['measure']}: the differences")
        for kind, sign in (("won", 1), ("lost", -1)):
            shown = [sign * differences[data["details"][place]["query"]]
                     for place in data["extremes"][m][kind]]
            check(shown == sorted((sign * d for d in differences if sign * d > 0), reverse=True),
                  f"{row['measure']}: {len(shown)} that {kind}")
    check(all(data["extremes"][data["main"]].values()), "some won and some lost")
    for detail in data["details"]:
        query = data["queries"][detail["query"]]["id"]
        check_lists(data, query, detail["a"], hits[0][query], "A")
        check_lists(data, query, detail["b"], hits[1][query], "B")
        check_relevant(data, query, detail, [h[query] for h in hits], "judged")


def timeless(data):
    """What must be the same each time."""
    rows = [{name: value for name, value in row.items() if not name.startswith("query_ms") and
             name not in ("index_s", "encode_tokens_per_s")} for row in data["rows"]]
    return [rows, data["recall"], data["queries"], data["hardest"], data["documents"]]


def check_languages(folder):
    rows, labels = languages(TERCET, folder), list(LANGUAGES)
    ways, model = WAYS[:5], f"{folder}/bge-m3"
    check([(row["lang"], row["modes"]) for row in rows] ==
          [(lang, way) for lang in labels + ["average"] for way in ways], "a row a language and way")
    for r, average in enumerate(rows[10:]):
        both = [rows[r], rows[5 + r]]
        check(all(abs(average[name] - sum(row[name] for row in both) / 2) < 1e-8
                  for name in ("ndcg@10", "map", "published_ndcg@10", "difference")),
              f"{average['modes']}: the mean of both, published {average['published_ndcg@10']:.4f}")
        check((average["sets"], average["queries"], average["documents"]) == (2, 8, 14), "of all")
    with open(f"{folder}/many.csv", newline="") as text:
        table = list(csv.DictReader(text))
    check([(row["lang"], row["modes"], float(row["map"])) for row in table] ==
          [(row["lang"], row["modes"], row["map"]) for row in rows] and
          {row["dataset"] for row in table} == {"many"}, "many.csv: the same")
    text = open(f"{folder}/many.md").read()
    for r, way in enumerate(ways):
        cells = [rows[i + r]["ndcg@10"] for i in (10, 0, 5)]
        check(f"| {way} | " + " | ".join(f"{value:.4f}" for value in cells) + " |" in text,
              f"many.md: {way} of both")
    check("| modes | average | sw | yo |" in text and text.count("\n|") == 3 * 7, "and theirs")
    data = data_of(f"{folder}/many.html")
    check([{**row, "dataset": "many"} for row in rows] ==
          data["sets"][0]["rows"] + data["sets"][1]["rows"] + data["averages"] and
          (data["labels"], data["title"]) == (labels, "many"), "many.html: the same")
    for lang, own in zip(labels, data["sets"]):
        run(TERCET, "eval", "miracl", f"{folder}/many", "--lang", lang, "--table", "-m", model,
            "--index", f"{folder}/many-index/{lang}", "--measures", "ndcg@10,map", "--run",
            f"{folder}/alone.trec", "--per-query", f"{folder}/alone.tsv", "--report",
            f"{folder}/alone.html")
        check(timeless(data_of(f"{folder}/alone.html")) == timeless(own), f"{lang} alone: the same")
        check(all(open(f"{folder}/alone.{way}.trec").read() ==
                  open(f"{folder}/many.{lang}.{way}.trec").read() for way in ways) and
              open(f"{folder}/alone.tsv").read() == open(f"{folder}/many.{lang}.tsv").read(),
              "and its files")
    check(folder not in open(f"{folder}/many.html").read(), "no path of this machine")
    check_inert(f"{folder}/many.html")


def check_folders(folder):
    """Several folders, and one corpus for several languages."""
    shutil.copytree(f"{folder}/made", f"{folder}/more/second")
    shutil.copytree(f"{folder}/made", f"{folder}/more/first")
    said = run(TERCET, "eval", "beir", f"{folder}/more/first", f"{folder}/more/second/", "--modes",
               "sparse", "--measures", "hit@1,mrr", "--report", f"{folder}/more.html", "--per-query",
               f"{folder}/more.tsv")
    check(re.search(r"\nhit@1 +average +first +second\nsparse( +0\.\d{4}){3}\n", said),
          "the terminal ends with a table of both")
    data = data_of(f"{folder}/more.html")
    check((data["title"], data["by"], data["labels"]) == ("more", "set", ["first", "second"]) and
          "published_ndcg@10" not in data["averages"][0] and
          timeless(data["sets"][0])[1:] == timeless(data["sets"][1])[1:], "equal sets are equal")
    check(open(f"{folder}/more.first.tsv").read() == open(f"{folder}/more.second.tsv").read(),
          "and so are their files")
    os.makedirs(f"{folder}/mkqa")
    shutil.copy(f"{folder}/made/corpus.jsonl", f"{folder}/mkqa")
    for lang, question in (("aa", "what moves the tides"), ("bb", "mikä liikuttaa vuorovesiä")):
        with open(f"{folder}/mkqa/{lang}.jsonl", "w") as out:
            out.write(json.dumps({"id": 1, "question": question, "answers": ["Moon"]}) + "\n")
    rows = [json.loads(line) for line in
            run(TERCET, "eval", "mkqa", f"{folder}/mkqa", "--lang", "bb,aa", "--json", "--index",
                f"{folder}/mkqa-index").splitlines()]
    check([row["lang"] for row in rows] == ["bb", "aa", "average"] and rows[2]["documents"] == 7 and
          rows[0]["index_s"] == rows[1]["index_s"], "one corpus is read once")
    run(TERCET, "info", f"{folder}/mkqa-index")
    check(sorted(os.listdir(f"{folder}/many-index")) == sorted(LANGUAGES), "several lie apart")
    for words, status in ((["miracl", "many", "--lang", "sw,sw"], 2),
                          (["miracl", "many", "--lang", "sw,"], 2),
                          (["miracl", "many", "made", "--lang", "sw,yo"], 2),
                          (["miracl", "many", "--lang", "sw,de"], 1),
                          (["beir", "made", "--lang", "sw,yo"], 2),
                          (["beir", "made", "made"], 2), (["beir"], 2), (["beir", "made", "gone"], 1)):
        run(TERCET, "eval", words[0], *(f"{folder}/{word}" if word in ("many", "made", "gone") else
                                        word for word in words[1:]), status=status)


def check_inert(path):
    page = open(path).read()
    check(HOSTILE not in page and page.count("<script") == 2 and page.count("</script") == 2,
          f"{path.rsplit('/')[-1]}: what looks like markup is none")


def check_refusals(folder):
    run(TERCET, "eval", "beir", f"{folder}/made", "--rerank-depth", "5", status=2)
    run(TERCET, "eval", "beir", f"{folder}/made", "--rerank", "bge-small-en-v1.5", status=1)
    run(TERCET, "eval", "beir", f"{folder}/made", "--rerank", f"{folder}/made", status=1)
    a, b = f"{folder}/run.sparse.trec", f"{folder}/run.multi.trec"
    qrels = f"{folder}/made/qrels/test.tsv"
    run(TERCET, "eval", "compare", a, b, qrels, "--corpus", f"{folder}/made/corpus.jsonl", status=2)
    run(TERCET, "eval", "compare", a, b, qrels, "--report", f"{folder}/no/where.html", status=1)
    run(TERCET, "eval", "compare", a, b, qrels, "--csv", f"{folder}/no/where.csv", status=1)
    with open(f"{folder}/broken.jsonl", "w") as out:
        out.write('{"_id": "1", "text": "x"}\n{broken\n')
    run(TERCET, "eval", "compare", a, b, qrels, "--report", f"{folder}/x.html", "--queries",
        f"{folder}/broken.jsonl", status=1)
    run(TERCET, "eval", "compare", a, b, qrels, "--report", f"{folder}/bare.html")
    data = data_of(f"{folder}/bare.html")
    check(all("text" not in one for one in data["queries"] + data["documents"]),
          "without texts a comparison has ids alone")


with tempfile.TemporaryDirectory() as place:
    printed, compared = reports(TERCET, place)
    check_eval(place, printed)
    check_compare(place, compared)
    for name in ("eval.html", "compare.html"):
        check_inert(f"{place}/{name}")
    check_refusals(place)
    check_languages(place)
    check_folders(place)
    one = json.loads(run(TERCET, "eval", "beir", f"{place}/made", "--modes", "sparse", "--json",
                         "--report", f"{place}/one.html"))
    check(data_of(f"{place}/one.html")["rows"][0]["map"] == one["map"], "a row alone")
    one = json.loads(run(TERCET, "eval", "beir", f"{place}/made", "--json", "--measures", "map",
                         "--rerank", f"{place}/reranker", "--rerank-depth", str(RERANKED)))
    check(one["modes"] == WAYS[5] and one["map"] == printed[5]["map"], "a reranked row alone")
print("reports agree")
