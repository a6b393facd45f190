/* writer.h - the only way into an index: put, delete, commit.
 *
 * Everything since the last commit becomes visible and durable at once in writer_commit: one LMDB
 * transaction with fsync. What it has acknowledged survives kill -9 and power cuts; what it has not
 * is as if it never was. Readers go on seeing their moment meanwhile.
 *
 * How often to commit: every 1,000 to 10,000 records. An open batch costs memory (postings, at most
 * 64 MiB of them at a time, and the pages it changed: about what the records weigh on disk, up to
 * LMDB's 512 MiB, written out early beyond that), a commit costs an fsync and a slice of merging
 * (merges.h): some times what writing its own postings costs, never a whole merge.
 * A call refused for its input (ERROR_INVALID, ERROR_LIMIT) changes nothing. When the disk fails in
 * the middle of a put or delete, the whole batch is dropped, and every call says so until
 * writer_commit has said it: half a batch cannot be committed by mistake.
 * Threads: one thread from the first call behind a commit (writer_hash and writer_term_id count) to
 * the next commit or writer_close: LMDB's rule. */
#ifndef TERCET_INDEX_WRITER_H
#define TERCET_INDEX_WRITER_H

#include "engine/base/buf.h"
#include "index/index.h"

struct writer;

/* LMDB's own limit on keys (511 bytes) less our prefix: longer doc_keys are ERROR_LIMIT. */
enum { WRITER_KEY_BYTES_MAX = 500 };

/* Passages of one record, enough for a text of 6 MB at 400 tokens each, and token vectors of all of
 * them, whose codes pass through memory: 140 MB at 384 dimensions. */
enum { RECORD_PASSAGES_MAX = 4096, RECORD_VECTORS_MAX = 1 << 21 };

/* A part of a record's text with vectors of its own. */
struct record_passage {
    uint32_t begin, end; /* bytes of the text, begin < end; begins ascend */
    const float *dense;  /* as in struct record, these five */
    const float *multi;
    uint32_t multi_n;
    const void *multi_codes;
    size_t multi_codes_len;
};

struct record {
    const char *key;
    size_t key_len;                    /* 1 .. WRITER_KEY_BYTES_MAX */
    const char *title, *text, *fields; /* fields: a JSON object; each may be NULL with len 0 */
    size_t title_len, text_len, fields_len;
    uint64_t content_hash;
    const float *dense;          /* [dense_dim], each within +-65504 (f16); NULL only when the index
                                  * has no dense vectors */
    struct sparse_vector sparse; /* learned weights, or term frequencies (BM25); may be empty */
    float sparse_length;         /* BM25's document length in words, 0 .. 2^24 */
    const float *multi;          /* [multi_n, multi_dim], rows of length 1 */
    uint32_t multi_n;
    const void *multi_codes; /* instead of multi, or NULL: as another index keeps them */
    size_t multi_codes_len;
    /* [passages_n] instead of dense, multi and multi_codes, or 0: the text is one passage. Only
     * where the settings have chunk_tokens. A passage alone is taken for the whole text. */
    const struct record_passage *passages;
    size_t passages_n;
};

/* Token vectors as codes, which take a twentieth of the room: for who gathers many passages before
 * they are put. vectors: [n, multi_dim] of the index; the codes lie in the arena. ERROR_INVALID,
 * ERROR_LIMIT: as writer_put. */
bool record_encode_multi(const struct index_settings *settings, const float *vectors, uint32_t n,
                         struct arena *arena, const void **codes_out, size_t *codes_len_out,
                         struct error *err);

/* The dimensions of token vectors that come as such codes; 0 when these are none. */
uint32_t record_multi_dim(const void *codes, size_t codes_len);

/* The index must be open with INDEX_WRITE and outlive the writer; one writer at a time. */
bool writer_open(struct index *index, struct writer **out, struct error *err);

/* Drops what was not committed. NULL is fine. */
void writer_close(struct writer *writer);

/* The id of a word (1 .. WRITER_KEY_BYTES_MAX bytes, else ERROR_LIMIT), given now if it is new
 * (becomes durable with the next commit). */
bool writer_term_id(struct writer *writer, const char *word, size_t word_len, uint32_t *id_out,
                    struct error *err);

/* Upsert: a record with the same key is replaced. Wrong dimensions, NaN or infinity, ids out of
 * order, a key too long: ERROR_INVALID or ERROR_LIMIT, and the writer is as before the call. */
bool writer_put(struct writer *writer, const struct record *record, struct error *err);

/* The content hash of a key as this writer sees it (uncommitted puts included). False: unknown. */
bool writer_hash(struct writer *writer, const char *key, size_t key_len, uint64_t *hash_out);

/* Its live docid, likewise. False: unknown. */
bool writer_docid(struct writer *writer, const char *key, size_t key_len, uint32_t *docid_out);

bool writer_delete(struct writer *writer, const char *key, size_t key_len, bool *found_out,
                   struct error *err);

/* What who fills an index has to remember with it: some bytes under a name (1 to
 * NOTE_NAME_BYTES_MAX bytes), durable with the next commit, together with what was put before it,
 * or not at all. No bytes: it goes. snapshot_note reads them. */
enum { NOTE_NAME_BYTES_MAX = 100, NOTE_BYTES_MAX = 128 << 10 };
bool writer_note(struct writer *writer, const char *name, const void *bytes, size_t len,
                 struct error *err);
/* As this writer sees it, into *out; nothing when there is none. */
bool writer_note_read(struct writer *writer, const char *name, struct buf *out, struct error *err);

/* Durable when it returns true. On failure everything since the last commit is dropped. */
bool writer_commit(struct writer *writer, struct error *err);

/* For whoever has time between commits: goes on merging for some 20 ms and commits that. *more_out:
 * there is more to do. Searches are right without it, only slower. ERROR_INVALID between a put and
 * its commit. */
bool writer_merge(struct writer *writer, bool *more_out, struct error *err);

/* Makes the next dense generation when enough documents are newer than the last one, writes it
 * (temporary file, fsync, rename, folder fsync) and commits its name. Call it after a commit, when
 * there is time: at the end of an ingest. index_tend does the same meanwhile. Searches are right
 * without either, only slower. threads_n 0: all cores. */
bool writer_build_dense(struct writer *writer, size_t threads_n, struct error *err);

#endif
