/* store.h - the one home of LMDB: an environment of named tables, transactions, cursors.
 *
 * FOLDER/data.mdb holds the tables, FOLDER/lock.mdb LMDB's reader table, FOLDER/writer.lock our
 * writer's lock (flock): LMDB alone would let a second writer wait without end, we want it told at
 * once. Both locks vanish with the process that holds them.
 * Durability: a commit is fsynced (no NOSYNC, NOMETASYNC, WRITEMAP), so what store_txn_commit
 * acknowledged survives a power cut, and a commit that failed leaves the file as it was.
 * Checksums: every value is written with four bytes of XXH3 over table, key and value behind it
 * (in front of those of `postings`, over key and length: their blocks bring their own), and read
 * only when they are right: ERROR_CORRUPT, with table and key. Callers see neither; what they get
 * is what was put. That there is no entry is said only where those beside its place are whole.
 * Pages: LMDB trusts its file. Reading is done without it (tree.h, view.h), writing after the pages
 * that it will meet were checked: whatever bits flip, ERROR_CORRUPT with table and page.
 * Keys of ours are big-endian, so that LMDB's byte order is number order; values little-endian.
 * Lifetime: bytes handed out are borrowed from the mapped file. In a read transaction they live to
 *           its end; in a write transaction only to its next change.
 * Threads:  struct store is shared freely. A read transaction may move between threads, one at a
 *           time; a write transaction belongs to the thread that began it, and there is one. */
#ifndef TERCET_INDEX_STORE_STORE_H
#define TERCET_INDEX_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

enum store_table {
    TABLE_META,        /* name        -> format version, settings, state */
    TABLE_KEYS,        /* doc_key     -> docid, content hash */
    TABLE_TERMS,       /* word        -> term id */
    TABLE_FREQUENCIES, /* term id     -> live documents that hold it (BM25 only) */
    TABLE_DOCUMENTS,   /* docid       -> key, title, text, fields */
    TABLE_DENSE,       /* docid       -> f16 row, one a passage */
    TABLE_SPARSE,      /* docid       -> term ids and weights */
    TABLE_MULTI,       /* docid       -> codes of token vectors */
    TABLE_POSTINGS,    /* segment, term -> posting list */
    TABLE_SEGMENTS,    /* segment     -> docid range, counts, tombstones */
    TABLE_FIELDS,      /* field, value, chunk -> documents that have it */
    TABLE_PASSAGES,    /* docid       -> bytes of its passages; those with more than one only */
    TABLES_N,
};

const char *store_table_name(enum store_table table);

struct bytes {
    const void *data; /* NULL: there is no such value */
    size_t len;
};

struct store;
struct store_txn;

enum store_mode { STORE_CREATE, STORE_WRITE, STORE_SHARED, STORE_READ };

/* CREATE and WRITE take the writer's lock: ERROR_BUSY when somebody holds it for longer than a
 * moment (lock.h), and also when this process has the folder open already (LMDB forbids that:
 * closing one would drop the locks of the other). SHARED may write as well, and takes the lock in
 * store_claim only. Errors name the path. */
bool store_open(const char *folder, enum store_mode mode, struct store **out, struct error *err);
void store_close(struct store *store);
const char *store_folder(const struct store *store);

/* Reads every page of the newest commit without trusting any (pages.h). ERROR_CORRUPT: names the
 * table and the page. While others read and write; the folder must not be open in this process. */
bool store_check_pages(const char *folder, uint64_t *pages_n_out, struct error *err);

/* For a folder too damaged to be opened: a transaction that reads every entry that is whole, found
 * by its checksum wherever it lies (salvage.h), and none that is not. Reads the whole file; nobody
 * may write meanwhile. Closed by store_abort, then store_close. *with_old_out: entries that were
 * deleted or replaced may be among them. */
bool store_open_salvage(const char *folder, struct store **store_out, struct store_txn **txn_out,
                        bool *with_old_out, struct error *err);

/* The newest commit as a new file at path, without free pages, fsynced; while others write, too.
 * Trap: LMDB trusts the pages it copies; store_check_pages first. */
bool store_copy(struct store *store, const char *path, struct error *err);

/* The pages that were read leave this process' memory, not the system's: they come back by
 * themselves when somebody asks for them, who waits a microsecond each. Any thread. */
void store_let_go(const struct store *store);

bool store_is_writable(const struct store *store); /* it holds the writer's lock */

/* For who has a folder open for long and writes now and then: the writer's lock is given back, so
 * that others may write, or exchange the folder (folder.h), and taken again. Not within a write
 * transaction. Opened with any mode but READ.
 * store_claim: ERROR_BUSY when somebody else holds the lock; *moved_out: the folder was exchanged
 * meanwhile, and what is written here would be lost: open it again. */
void store_yield(struct store *store);
bool store_claim(struct store *store, bool *moved_out, struct error *err);

/* The folder of that name is still the one that is open. Some microseconds; any thread. */
bool store_is_current(const struct store *store);

/* ---- transactions ---- */

struct store_txn;

/* ERROR_CORRUPT: "FOLDER/data.mdb: table T: " and what is wrong with which key. Returns false. */
bool store_corrupt(const struct store_txn *txn, enum store_table table, struct error *err,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A read transaction sees the newest commit, always. ERROR_BUSY when every reader slot is used. */
bool store_begin_read(struct store *store, struct store_txn **out, struct error *err);
/* For who saves what is left: that there is no entry is believed, whatever stands beside it. */
void store_be_lenient(struct store_txn *txn);
/* ERROR_INVALID when the store was opened with STORE_READ. */
bool store_begin_write(struct store *store, struct store_txn **out, struct error *err);
/* Durable when true. The transaction is gone either way. */
bool store_commit(struct store_txn *txn, struct error *err);
void store_abort(struct store_txn *txn);            /* ends a read transaction too; NULL is fine */
uint64_t store_txn_id(const struct store_txn *txn); /* of the commit that a reader sees */

/* ---- values ---- */

/* out->data is NULL when there is no such key, which is no error. */
bool store_get(struct store_txn *txn, enum store_table table, const void *key, size_t key_len,
               struct bytes *out, struct error *err);
bool store_put(struct store_txn *txn, enum store_table table, const void *key, size_t key_len,
               const void *value, size_t value_len, struct error *err);
/* As store_put for a key behind all others of the table, which packs its pages full and needs no
 * search; room for value_len bytes is handed out, to be filled before the next call with this
 * transaction or a cursor of it. */
bool store_append(struct store_txn *txn, enum store_table table, const void *key, size_t key_len,
                  size_t value_len, void **value_out, struct error *err);
/* found_out may be NULL. */
bool store_delete(struct store_txn *txn, enum store_table table, const void *key, size_t key_len,
                  bool *found_out, struct error *err);
bool store_entries_n(struct store_txn *txn, enum store_table table, uint64_t *out,
                     struct error *err);

/* Shorthands for tables whose key is one u32 (a docid, a term, a segment). */
bool store_get_u32(struct store_txn *txn, enum store_table table, uint32_t key, struct bytes *out,
                   struct error *err);
bool store_put_u32(struct store_txn *txn, enum store_table table, uint32_t key, const void *value,
                   size_t value_len, struct error *err);
bool store_delete_u32(struct store_txn *txn, enum store_table table, uint32_t key,
                      struct error *err);

/* ---- cursors ---- */

/* At an entry, or past the end (key.data NULL). Close before the transaction ends, and after an
 * error too. A value with a wrong checksum is ERROR_CORRUPT, and the cursor stands there all the
 * same (key.data is its key): whoever can do without it may go on. */
struct store_cursor {
    void *handle; /* MDB_cursor */
    struct store_txn *txn;
    enum store_table table;
    struct bytes key, value;
};

/* Moves to the first entry with a key >= the given one. */
bool store_cursor_open(struct store_txn *txn, enum store_table table, const void *key,
                       size_t key_len, struct store_cursor *out, struct error *err);
bool store_cursor_next(struct store_cursor *cursor, struct error *err);
/* Reads key and value again: a change anywhere in the table may have moved them. */
bool store_cursor_refresh(struct store_cursor *cursor, struct error *err);
/* Deletes the entry and moves to the one behind it. */
bool store_cursor_delete(struct store_cursor *cursor, struct error *err);
void store_cursor_close(struct store_cursor *cursor); /* a closed or zeroed one is fine */

/* ---- numbers in keys (big-endian) and values (little-endian, perhaps unaligned) ---- */

static inline void put_be32(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

static inline void put_be64(uint8_t *at, uint64_t value) {
    put_be32(at, (uint32_t)(value >> 32));
    put_be32(at + 4, (uint32_t)value);
}

static inline uint32_t get_be32(const void *from) {
    const uint8_t *at = from;
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline uint64_t get_be64(const void *from) {
    const uint8_t *at = from;
    return (uint64_t)get_be32(at) << 32 | get_be32(at + 4);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "values on disk are little-endian and read in place");

static inline uint16_t get_u16(const void *from) {
    uint16_t value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}

static inline uint32_t get_u32(const void *from) {
    uint32_t value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}

static inline uint64_t get_u64(const void *from) {
    uint64_t value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}

static inline float get_f32(const void *from) {
    float value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}

#endif
