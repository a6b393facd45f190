/* view.h - one commit of data.mdb as readers see it, without LMDB.
 *
 * LMDB believes its file, so nothing is read through it: tree.h finds entries in the pages
 * themselves. A page is checked when it is first met in a commit (page.h) and remembered; so is,
 * for the whole commit, which pages are free: an old page that a wrong number leads to looks sound
 * and is not.
 * The sum of a value that fills pages of its own is remembered as well: a search reads the token
 * vectors of hundreds of documents, and summing them anew would be an eighth of its time.
 * What a page cannot tell of itself is sealed: behind each meta page's own bytes, which LMDB never
 * writes, stand sums of the meta page, of the tables' records and of the lists of free pages
 * (docs/disk-format.md). A commit without a seal (a kill came in between; a copy by LMDB's tools)
 * is taken as it is.
 * Lifetime: a view is good while a transaction of its commit is open. Threads: shared freely. */
#ifndef TERCET_INDEX_STORE_VIEW_H
#define TERCET_INDEX_STORE_VIEW_H

#include <stdatomic.h>

#include "index/store/page.h"
#include "index/store/value_sum.h"

struct view {
    const char *path; /* of the folder, for messages; the store's */
    const uint8_t *map;
    value_sum_kind *sum_of;
    size_t page_bytes;
    uint64_t txn_id;
    uint64_t pages_n, stored_n; /* that the commit counts; that the file has */
    uint64_t lists_sum;         /* of tables' records and free pages */
    struct tree free, main, tables[TABLES_N];
    _Atomic uint64_t *sound; /* a bit a page: branch or leaf, found sound */
    uint64_t *unused;        /* a bit a page: free */
    /* A page that a long value begins on: whose it was found to be, by its sum; 0: not yet. */
    _Atomic uint32_t *owners;
    unsigned holders_n; /* the store's */
};

/* ERROR_CORRUPT: names what is damaged. *moved_out: a later commit has taken its meta page, so the
 * transaction is to be begun anew. stored_n: pages that the file has. */
bool view_open(const char *path, const uint8_t *map, size_t page_bytes, uint64_t stored_n,
               uint64_t txn_id, value_sum_kind *sum_of, struct view **out, bool *moved_out,
               struct error *err);
void view_close(struct view *view); /* NULL is fine */

/* "FOLDER/data.mdb: table NAME, page N: WHAT ..." Returns false. */
bool view_bad(const struct view *view, const char *name, uint64_t page, const char *what,
              struct error *err);

/* Branch or leaf page `number` when it is sound; NULL with the error when not. */
const uint8_t *view_page(struct view *view, uint64_t number, unsigned kind, enum page_owner owner,
                         const char *name, struct error *err);

/* The value of so many bytes that begins on overflow page `number`. */
const uint8_t *view_overflow(struct view *view, uint64_t number, size_t len, const char *name,
                             struct error *err);

/* Where `owners` stands of a value that begins on an overflow page; NULL: it does not. */
_Atomic uint32_t *view_owner(const struct view *view, const void *value);

/* ---- the seal ---- */

enum { SEAL_AT = 256, SEAL_BYTES = 40 }; /* within the first sector, as all that LMDB writes */

/* What is to be written at SEAL_AT of the meta page of the view's commit. */
void seal_make(const struct view *view, uint8_t out[SEAL_BYTES]);

/* The meta page is what it was when it was sealed. page: SEAL_AT + SEAL_BYTES at least. newest: of
 * the two. */
bool seal_fits_meta(const uint8_t *page, bool newest, value_sum_kind *sum_of);

/* The lists are, too. meta: the page of the view's commit, borrowed. */
bool seal_fits_lists(const uint8_t *meta, const struct view *view);

#endif
