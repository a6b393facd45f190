/* rows.h - inside index/: what the vector searches (dense.c, multivector.c) may ask of the
 * tables, and nothing else of them.
 *
 * Lifetime: rows and codes are borrowed from LMDB pages and valid until the snapshot closes. They
 *           are NOT aligned beyond 2 bytes: read them by memcpy or unaligned loads.
 * Threads:  a snapshot belongs to one thread at a time; but once it is open, any number of threads
 *           may call snapshot_is_live on it. forward_* calls are for the snapshot's thread. */
#ifndef TERCET_INDEX_ROWS_H
#define TERCET_INDEX_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

struct index;
struct snapshot;
struct writer;
struct dense_index; /* dense.h; dense_index_new at open, dense_index_free at close */

/* The rows of a live docid, one a passage: [*n_out, dense_dim] IEEE half, *n_out >= 1. NULL: there
 * are none, or their length or checksum is wrong (disk damage; tell the caller ERROR_CORRUPT naming
 * the docid). */
const void *forward_dense_rows(struct snapshot *snapshot, uint32_t docid, size_t *n_out);

/* The codes of a docid's multi-vectors as multi_encode wrote them, those of its passages one behind
 * the other (multi_codes_next), and how many bytes. NULL: none (a document may have no vectors).
 * Damaged ones are 0 bytes, which multi_codes_next refuses. */
const void *forward_multi_codes(struct snapshot *snapshot, uint32_t docid, size_t *bytes_out);

/* Walks the dense rows of live docids in [begin, end), ascending. visit returns false to stop
 * early, which is no error; rows_n as above. ERROR_CORRUPT when a row has another length than
 * dense_dim asks, or a wrong checksum. */
bool forward_dense_each(struct snapshot *snapshot, uint32_t begin, uint32_t end,
                        bool (*visit)(void *context, uint32_t docid, const void *rows_f16,
                                      size_t rows_n),
                        void *context, struct error *err);

bool snapshot_is_live(const struct snapshot *snapshot, uint32_t docid);

/* One past the largest docid ever given (0: none yet). */
uint32_t snapshot_docid_end(const struct snapshot *snapshot);

/* The index a snapshot looks at (its settings, folder and dense part). */
struct index *snapshot_index(const struct snapshot *snapshot);

/* The generation that the snapshot's meta names: FOLDER/dense/<number>.lists holds the rows
 * of docids below covered_end. number 0: none was built yet. */
struct index_generation {
    uint64_t number;
    uint32_t covered_end;
    uint32_t rows_n;
};
struct index_generation snapshot_generation(const struct snapshot *snapshot);

/* Opaque here; owned by struct index. NULL when the index has no dense vectors. */
struct dense_index *index_dense(struct index *index);

/* The index a writer writes to. */
struct index *writer_index(const struct writer *writer);

/* Commits the name of a generation whose file is safely on disk. Must not be called between a put
 * and its commit (ERROR_INVALID): it would commit half a batch. */
bool writer_name_generation(struct writer *writer, struct index_generation generation,
                            struct error *err);

#endif
