/* rows.h - training rows for an embedder, as FlagEmbedding has them: {"query","pos":[..],
 * "neg":[..]} a line; whatever else stands in a row is kept. */
#ifndef TERCET_MINE_ROWS_H
#define TERCET_MINE_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/map.h"

/* A text; texts that are equal have one number. */
struct mine_text {
    const char *text;
    size_t len;
};

struct mine_row {
    struct json *json; /* owned */
    struct mine_text query;
    const uint32_t *positives; /* [positives_n] in the pool */
    size_t positives_n;
};

/* Everything that negatives are chosen from, each text once. */
struct mine_pool {
    struct mine_text *texts; /* [n] */
    size_t n;
    struct map by_text;
};

struct mine_rows {
    struct arena arena;
    struct mine_row *rows; /* [n] */
    size_t n;
    struct mine_pool pool;
};

/* The rows, and a pool of all their positives and negatives. Released by mine_rows_done, also after
 * a failure. */
bool mine_rows_read(const char *path, struct mine_rows *out, struct error *err);
void mine_rows_done(struct mine_rows *rows);

/* Candidates instead of, or beside, those of the rows: {"text"} a line. */
bool mine_pool_read(const char *path, struct mine_rows *rows, struct error *err);

/* The text's number in the pool; it is added when it is new. Empty texts are none: UINT32_MAX. */
uint32_t mine_pool_add(struct mine_rows *rows, const char *text, size_t len);

/* The pool as JSON lines {"id": its number, "text"}, for an ingest. */
bool mine_pool_write(const struct mine_pool *pool, const char *path, struct error *err);

/* A row with its list `name` replaced. */
void mine_row_set(struct mine_row *row, const char *name, struct json *list);

#endif
