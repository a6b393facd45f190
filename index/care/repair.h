/* repair.h - a sound index out of a damaged one: what is derived is made anew, what is not is
 * carried over value by value, and what cannot be read is left out and named.
 *
 *   made anew     keys, fields, postings, frequencies, segments, the state, the dense generation
 *   carried over  settings, words, and of each document its record, its passages and its dense,
 *                 sparse and multi rows; a document of which one of them cannot be read is left out
 * The new index is made beside the old one, checked (check.h) and put in its place in one step
 * (folder.h), so a kill leaves either. Room for a second copy is needed meanwhile. docids begin
 * anew; the order of documents stays, and with it every answer of those that are left.
 *
 * Where pages of data.mdb are damaged, entries are found by their checksums (salvage.h): only those
 * are lost whose own bytes are. If anything is lost, the old file stays as data.mdb.damaged.
 * What it cannot do: settings that are gone: ERROR_CORRUPT, and a snapshot is the way. What it
 * cannot know: that a document had token vectors whose row is gone without a trace; and, where the
 * lists of free pages are damaged, that a document was deleted: it may be back; that is told. */
#ifndef TERCET_INDEX_CARE_REPAIR_H
#define TERCET_INDEX_CARE_REPAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"

struct repair_listener {
    void *context;
    /* A document or a word that is left out, or what else could not be saved. May be NULL. */
    void (*lost)(void *context, const char *what);
};

struct repair_totals {
    uint64_t documents_n; /* in the repaired index */
    uint64_t lost_n;      /* documents left out, each told (as records are that are there twice) */
    uint64_t words_lost_n;
    uint64_t bytes;
};

/* True: the index is sound now, perhaps without some documents. On failure it is as it was.
 * ERROR_BUSY when somebody has it open for writing, or this process at all; who reads goes on with
 * the old one. */
bool index_repair(const char *folder, const struct repair_listener *listener,
                  struct repair_totals *out, struct error *err);

#endif
