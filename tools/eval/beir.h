/* beir.h - queries and judgments of a benchmark folder in BEIR's layout.
 *
 * queries.jsonl {"_id","text"}; qrels/<split>.tsv with the header `query-id corpus-id score`. The
 * corpus is read by ingest. Queries without judgments are dropped, as BEIR does. */
#ifndef TERCET_EVAL_BEIR_H
#define TERCET_EVAL_BEIR_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"

struct judgment {
    const char *doc_key;
    int relevance; /* above 0: relevant */
};

struct judged_query {
    const char *id, *text;
    size_t text_len;
    struct judgment *judgments; /* [judgments_n] */
    size_t judgments_n;
};

struct judged_queries {
    struct judged_query *queries; /* [n], in the order of queries.jsonl */
    size_t n;
};

/* split NULL: "test", or the only one there is. *split_out is the one read. All in the arena. */
bool beir_read(const char *folder, const char *split, struct arena *arena,
               struct judged_queries *out, const char **split_out, struct error *err);

#endif
