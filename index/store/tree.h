/* tree.h - entries of one commit, found in its pages (view.h) without LMDB.
 *
 * That an entry is there is said by its checksum. That there is none is said by its place: the two
 * entries beside it, or the ends of the table. So whoever finds none looks at both (store.c), and
 * where a leaf ends, here, at what the branches above say of it.
 * Lifetime: bytes are borrowed from the map, as long as the view's transaction is open.
 * Threads: a cursor belongs to one. */
#ifndef TERCET_INDEX_STORE_TREE_H
#define TERCET_INDEX_STORE_TREE_H

#include "index/store/view.h"

struct tree_cursor {
    struct view *view;
    const struct tree *tree;
    const char *name; /* of the table, for messages */
    enum page_owner owner;
    bool ended; /* beyond one of the ends */
    struct {
        const uint8_t *page;
        uint16_t at, n;     /* of its nodes; a leaf's at may be n after tree_find */
    } path[TREE_DEPTH_MAX]; /* [tree->depth] from the root */
};

void tree_cursor_init(struct tree_cursor *cursor, struct view *view, const struct tree *tree,
                      const char *name);

/* To the first entry. All below: false with ERROR_CORRUPT where a page is damaged. */
bool tree_first(struct tree_cursor *cursor, struct error *err);

/* To the place of the key, in front of the first entry that is not below it. */
bool tree_find(struct tree_cursor *cursor, struct bytes key, bool *exact_out, struct error *err);

/* The same from a place that tree_find came to. *stayed_out: the key lies between the first and the
 * last of the same leaf, and nothing above it was looked at. */
bool tree_find_near(struct tree_cursor *cursor, struct bytes key, bool *exact_out, bool *stayed_out,
                    struct error *err);

/* From there to the entry, or past the end. */
bool tree_settle(struct tree_cursor *cursor, struct error *err);

bool tree_next(struct tree_cursor *cursor, struct error *err);
bool tree_previous(struct tree_cursor *cursor, struct error *err);

/* The entry there. The value as it is stored: with its sum. */
bool tree_entry(const struct tree_cursor *cursor, struct bytes *key, struct bytes *value,
                struct error *err);

/* Checks every page that LMDB may read when it looks for the key, changes or deletes its entry, or
 * goes to the next one: those on its way, and those beside them. *until: keys below need no other
 * call; no data: all. */
bool tree_guard(const struct tree_cursor *cursor, struct bytes *until, struct error *err);

#endif
