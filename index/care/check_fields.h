/* check_fields.h - inside check: the table `fields` against the documents' own fields, both ways.
 *
 * Each entry of a document is a hash; those that its fields ask for are added, those of the table
 * taken away, and nothing may be left: an entry too many is told, one too few, one that moved.
 * Memory: 8 bytes a docid of the segments. */
#ifndef TERCET_INDEX_CARE_CHECK_FIELDS_H
#define TERCET_INDEX_CARE_CHECK_FIELDS_H

#include "index/care/check_postings.h"

struct check_fields {
    uint64_t *sums; /* [sums_n] by position: docids of the first segment, the next, .. */
    size_t sums_n;
    roaring_bitmap_t *read; /* docids whose fields could be read */
};

void check_fields_begin(struct check *check);
void check_fields_done(struct check *check);

/* A living document's own fields. */
void check_fields_add(struct check *check, uint32_t docid, const struct document *document);

/* The table, after every document was added. */
bool check_fields_compare(struct check *check, struct error *err);

#endif
