/* benchmark.h - the benchmarks that papers report, read from the files they are given out as.
 *
 *   beir     corpus.jsonl[.gz], queries.jsonl[.gz] {"_id","text"}, qrels/SPLIT.tsv; MTEB's folders,
 *            too. A document that is the query itself is no hit (ArguAna, Quora)
 *   miracl   docs-0.jsonl[.gz], .. somewhere below; topics.*-LANG-SPLIT.tsv `query<TAB>text`;
 *            qrels.*-LANG-SPLIT.tsv in TREC's four columns. Equal ids are kept: dropping them cost
 *            the first table of BGE-M3 two points
 *   mldr     corpus.jsonl[.gz] {"docid","text"}; SPLIT.jsonl[.gz] {"query_id","query",
 *            "positive_passages":[{"docid"}]}; qrels.*-LANG-SPLIT.tsv where there is one
 *   mkqa     corpus.jsonl[.gz] (BEIR's nq); LANG.jsonl {"id","question","answers":[..]}, or the
 *            original mkqa.jsonl[.gz] with --lang: a passage is relevant when it holds an answer
 *   msmarco  collection.tsv `id<TAB>text`, queries.SPLIT.tsv, qrels.SPLIT.tsv
 * Files are found by name in the folder and up to FIND_DEPTH_MAX folders below it. */
#ifndef TERCET_EVAL_BENCHMARK_H
#define TERCET_EVAL_BENCHMARK_H

#include "engine/base/json.h"
#include "tools/eval/judged.h"

struct benchmark {
    struct judged_queries judged;
    const char *split, *lang; /* what was read; lang "" where the benchmark has one */
    const char *corpus;       /* what ingest is to read */
    const char *columns;      /* of a corpus that is a table without a header; NULL */
    bool drops_itself;        /* a document with the query's id is no hit */
    bool by_answer;           /* relevance is decided by the passages' texts (answers.h) */
    const char *measures;     /* that its papers report */
};

/* split, lang: NULL for the usual one, or the only one. All in the arena. ERROR_NOT_FOUND names
 * what is missing and what was there to choose from. */
bool benchmark_read(const char *kind, const char *folder, const char *split, const char *lang,
                    struct arena *arena, struct benchmark *out, struct error *err);

/* "beir, miracl, ..", and whether a word is one of them. */
const char *benchmark_kinds(void);
bool benchmark_is_kind(const char *word);
/* Whether one folder holds several languages. */
bool benchmark_has_languages(const char *kind);

/* ---- for the readers, one file each ---- */

enum { FIND_DEPTH_MAX = 3 };

/* The files below folder whose names fit the pattern of fnmatch(3), by path; at most max. */
size_t benchmark_find(const char *folder, const char *pattern, struct arena *arena,
                      const char **paths_out, size_t max);
/* The first of them; ERROR_NOT_FOUND names the pattern. */
bool benchmark_file(const char *folder, const char *pattern, struct arena *arena,
                    const char **path_out, struct error *err);

/* A file `PREFIX-LANG-SPLIT.tsv` chosen: lang and split in and out. */
bool benchmark_choose(const char *folder, const char *prefix, struct arena *arena,
                      const char **lang, const char **split, const char **path_out,
                      struct error *err);

/* Lines `id<TAB>text`. */
bool benchmark_topics_read(struct judged_builder *builder, const char *path, struct error *err);

/* A JSON object's string or whole number as text in the arena; NULL when it is neither. */
const char *benchmark_id(const struct json *value, struct arena *arena);

typedef bool benchmark_reader(const char *folder, struct judged_builder *builder,
                              struct benchmark *out, struct error *err);
benchmark_reader beir_read, miracl_read, mldr_read, mkqa_read, msmarco_read;

#endif
