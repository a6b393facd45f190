/* check_postings.h - inside check: a check under way, and its part on sparse rows, postings,
 * segments and frequencies (check_postings.c). */
#ifndef TERCET_INDEX_CARE_CHECK_POSTINGS_H
#define TERCET_INDEX_CARE_CHECK_POSTINGS_H

#include "engine/base/arena.h"
#include "index/care/check.h"
#include "index/inside.h"

struct check {
    const struct check_listener *listener;
    struct check_totals totals;
    unsigned told_n; /* of the part under way */
    struct index *index;
    struct snapshot *snapshot;
    struct arena arena;          /* of one document */
    roaring_bitmap_t *rows;      /* docids with a row in the table under way */
    roaring_bitmap_t *claimed;   /* docids or ids that somebody has named already */
    uint64_t passages_n;         /* beyond the first of each document */
    struct check_fields *fields; /* check_fields.h */
};

void check_problem(struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A failed call that found damage is a problem told, and the check goes on: true. */
bool check_took(struct check *check, bool ok, const struct error *err);

/* Every entry of a table; visit returns false only when the check cannot go on. */
bool check_each(struct check *check, enum store_table table,
                bool (*visit)(struct check *check, struct bytes key, struct bytes value,
                              struct error *err),
                struct error *err);

/* Visits of check_each: numbers that can be; a term's count against its postings. */
bool check_sparse_row(struct check *check, struct bytes key, struct bytes value, struct error *err);
bool check_frequency(struct check *check, struct bytes key, struct bytes value, struct error *err);

/* Segments against the state, their postings, and the sparse rows. */
bool check_segments(struct check *check, struct error *err);

#endif
