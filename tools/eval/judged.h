/* judged.h - a benchmark's questions with what people said of documents, however it was written.
 *
 * The readers of the benchmarks (benchmark.h) fill it; measures.h uses it. Everything lies in the
 * arena that the builder was given. */
#ifndef TERCET_EVAL_JUDGED_H
#define TERCET_EVAL_JUDGED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/map.h"

struct judgment {
    const char *doc_key;
    int relevance; /* above 0: relevant; 0 and below: looked at and not relevant */
};

struct judged_query {
    const char *id, *text;
    size_t text_len;
    struct judgment *judgments; /* [judgments_n] */
    size_t judgments_n;
    const char **answers; /* [answers_n]: a passage that holds one is relevant (answers.h) */
    size_t answers_n;
};

struct judged_queries {
    struct judged_query *queries; /* [n], in the order of their file */
    size_t n;
};

struct judged_builder {
    struct arena *arena;
    struct map by_id;
    struct judged_queries made;
};

/* Text is copied. An id that came before is an error. */
bool judged_query_add(struct judged_builder *builder, const char *id, const char *text,
                      struct error *err);
/* Of the query added last. */
void judged_answer_add(struct judged_builder *builder, const char *answer);
/* Judgments of queries that are not there are passed over: a split is a part of the queries. */
void judged_judge(struct judged_builder *builder, const char *query_id, const char *doc_key,
                  int relevance);

/* Rows `query document score` or TREC's `query Q0 document score`, between tabs or, in a line
 * without any, between blanks; BEIR's header line is passed over. all: a query that is not there is
 * added without a text, for judgments that come alone. */
bool judged_qrels_read(struct judged_builder *builder, const char *path, bool all,
                       struct error *err);

/* Calls take for each line that is not empty, of a file that may be packed (.gz, .zst), and puts
 * "path:line: " before its errors. The line may be written to. */
typedef bool judged_take(void *context, char *line, size_t len, struct error *err);
bool judged_lines(const char *path, judged_take *take, void *context, struct error *err);

/* Drops queries that nothing was judged of (BEIR, MTEB and trec_eval all do), and ends the
 * builder. where: for the error when none is left. */
bool judged_done(struct judged_builder *builder, const char *where, struct judged_queries *out,
                 struct error *err);
void judged_give_up(struct judged_builder *builder);

#endif
