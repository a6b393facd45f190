/* salvage.h - what is whole in a data.mdb that is damaged, whatever its trees say.
 *
 * Every page that is not free is looked through for entries. A page that is no sound leaf is tried
 * at every place where one could begin; the checksum, which holds table and key, says which are. So
 * no entry is lost but those whose own bytes are damaged: not by a page's head, a branch, a root or
 * the meta pages. */
#ifndef TERCET_INDEX_STORE_SALVAGE_H
#define TERCET_INDEX_STORE_SALVAGE_H

#include "engine/base/file.h"
#include "index/store/page.h"
#include "index/store/value_sum.h"

struct salvaged {
    uint64_t node; /* where the entry begins in the file */
    uint32_t page;
    uint32_t table;
};

struct salvage {
    struct file_map file;
    size_t page_bytes;
    value_sum_kind *sum_of;
    struct salvaged *entries; /* [entries_n] by table and key, each key once */
    size_t entries_n, entries_cap;
    size_t ends[TABLES_N]; /* where each table's entries end */
    bool with_old;         /* the free pages are not known: what was deleted may be among them */
};

bool salvage_open(const char *folder, value_sum_kind *sum_of, struct salvage **out,
                  struct error *err);
void salvage_close(struct salvage *salvage); /* NULL is fine */

/* The first entry of the table that is not below the key. */
size_t salvage_find(const struct salvage *salvage, enum store_table table, struct bytes key);

/* The entry at that place, its value as it is stored; false: the table ends there. */
bool salvage_entry(const struct salvage *salvage, enum store_table table, size_t at,
                   struct bytes *key, struct bytes *value);

#endif
