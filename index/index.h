/* index.h - one folder of searchable records: open, describe, read a moment of it.
 *
 * A record is a key, stored text and fields, and up to three representations: a dense vector, a
 * sparse vector, multi-vectors. The index knows nothing of models or text analysis.
 *
 * On disk: FOLDER/data.mdb (LMDB, the truth) and FOLDER/dense/<generation>.lists (derived).
 * Words: docid = dense u32 given in order of writing, never used again; doc_key = the user's id; a
 * segment = an immutable docid range with its own postings; a tombstone = a docid that is dead.
 * Threads: struct index may be shared by all threads of a process. A process opens a folder once
 * (LMDB's rule). Many processes may read while one writes. */
#ifndef TERCET_INDEX_H
#define TERCET_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/sparse_vector.h"
#include "engine/base/topk.h"
#include "index/fields/docid_set.h"

enum index_lexical {
    INDEX_LEXICAL_NONE,
    INDEX_LEXICAL_LEARNED, /* score = sum over shared terms of query weight x document weight */
    INDEX_LEXICAL_BM25,    /* Robertson; idf and saturation as Lucene has them; k1, b below */
};

/* More neighbouring tokens than this have little in common. */
enum { INDEX_POOL_TOKENS_MAX = 8 };

/* How the dense index is searched. AUTO: flat to 10,000 rows, lists beyond. FLAT looks at every row
 * as bytes, so its candidates are never missed, in time that grows with the rows. */
enum index_dense_kind { INDEX_DENSE_AUTO, INDEX_DENSE_FLAT, INDEX_DENSE_LISTS };
const char *index_dense_name(enum index_dense_kind kind); /* "auto", "flat", "lists" */
bool index_dense_parse(const char *name, enum index_dense_kind *out, struct error *err);

/* Fixed when the index is made. Strings are the caller's words, stored and given back. */
struct index_settings {
    char model[256];      /* name or folder of the encoder; "" when vectors come ready-made */
    char fingerprint[65]; /* the model's; a search with another model must be refused */
    char analyzer[32];    /* "head", "words:en", "model"; "none" with INDEX_LEXICAL_NONE */
    char fusion[32];      /* what a search takes that names none; "": by lexical (query/plan.h) */
    /* What was put in front for the dense vector; "" for nothing. */
    char instruction[512];         /* of queries */
    char passage_instruction[512]; /* of documents */
    uint32_t length_max;           /* the token limit that documents were encoded with */
    uint32_t dense_dim;            /* 0: no dense vectors */
    uint32_t multi_dim;            /* 0: no multi-vectors */
    uint32_t pool_tokens;          /* token vectors kept as one; 0 and 1: each by itself */
    enum index_dense_kind dense_kind;
    enum index_lexical lexical;
    float bm25_k1, bm25_b; /* 1.2 and 0.75 */
    /* Texts longer than so many tokens are passages of at most that, each of which may share so
     * many tokens with the one before. 0: a document is one passage. overlap: at most half. */
    uint32_t chunk_tokens, chunk_overlap;
};

/* A model reads its texts; else representations come ready-made, and at most words are counted. */
bool index_has_model(const struct index_settings *settings);

struct index;

enum index_mode { INDEX_READ, INDEX_WRITE, INDEX_SHARED };

/* Makes a new, empty index (the folder and its parents too) and opens it for writing.
 * ERROR_INVALID when the folder already holds one. */
bool index_create(const char *folder, const struct index_settings *settings, struct index **out,
                  struct error *err);

/* ERROR_NOT_FOUND when there is no index, or one whose making was cut off before it held anything:
 * index_create may make it then; ERROR_UNSUPPORTED for a format version we do not know;
 * with INDEX_WRITE, ERROR_BUSY when another process (or handle) holds the writer's lock.
 * INDEX_SHARED: for reading, and for writing between index_claim and index_yield. */
bool index_open(const char *folder, enum index_mode mode, struct index **out, struct error *err);

/* A server has an index open for as long as it runs and writes now and then. In between others may
 * ingest, delete, compact or restore it. No writer (writer.h) may be open while the lock is not
 * held; snapshots do not care. A new index_create or INDEX_WRITE handle holds it.
 * index_claim: ERROR_BUSY when somebody else writes; *moved_out: the folder was exchanged for
 * another since it was opened, and what is written here would be lost: open it again. */
bool index_claim(struct index *index, bool *moved_out, struct error *err);
void index_yield(struct index *index);

/* False: the folder was exchanged; who wants the newest opens it again. Some microseconds. */
bool index_is_current(const struct index *index);
void index_close(struct index *index);

bool index_exists(const char *folder); /* FOLDER/data.mdb is there and not empty */
const struct index_settings *index_settings_of(const struct index *index);
const char *index_folder(const struct index *index);

/* Looks by a thread of its own whether dense search wants a new generation (there is none, it is
 * damaged, or much is newer), and makes it while others search and write; it claims the index when
 * it names it, and goes without when somebody else writes then. Call it after an index is opened
 * and after commits; searches are right without it, only slower. It ends with index_close, before
 * which the writer must be closed. */
void index_tend(struct index *index);
bool index_is_tending(struct index *index); /* that thread is at work */

/* What was read of the index leaves this process' memory, and comes back as it is asked for: who
 * writes for long holds no more for an index that grows. Any thread, at any time. */
void index_let_go(const struct index *index);

struct index_counts {
    uint64_t documents_n; /* alive */
    uint64_t passages_n;  /* of them: as many, where texts are not chunked */
    uint64_t dead_n;      /* replaced or deleted, not reclaimed yet */
    uint64_t segments_n;
    uint64_t terms_n;          /* distinct words known (analysed words only) */
    uint64_t bytes_on_disk;    /* of the folder */
    uint64_t dense_generation; /* number of the generation in use; 0: none */
    uint64_t dense_covered_n;  /* docids below this are in the generation; the rest is exact */
};
bool index_count(struct index *index, struct index_counts *out, struct error *err);

/* ---- one moment of the index ---- */

/* What a snapshot sees never changes while it is open: it is one LMDB read transaction. Keep it
 * for a request, not for hours (pages it can see are not reused). One thread at a time. */
struct snapshot;
bool snapshot_open(struct index *index, struct snapshot **out, struct error *err);
void snapshot_close(struct snapshot *snapshot);
uint64_t snapshot_documents_n(const struct snapshot *snapshot);
uint64_t snapshot_passages_n(const struct snapshot *snapshot); /* of them, in all */

/* ---- stored records ---- */

struct document {
    const char *key, *title, *text; /* NUL-terminated copies in the arena */
    size_t key_len, title_len, text_len;
    const char *fields; /* JSON object as text, "" when there are none */
    size_t fields_len;
    uint64_t content_hash;
};

bool document_get(struct snapshot *snapshot, uint32_t docid, struct arena *arena,
                  struct document *out, struct error *err);

/* The live docid of a key. ERROR_NOT_FOUND when there is none. */
bool document_find(struct snapshot *snapshot, const char *key, size_t key_len, uint32_t *docid_out,
                   struct error *err);

/* The content hash stored with a live key, so that unchanged documents can be skipped. False and
 * no error when the key is unknown. */
bool document_hash(struct snapshot *snapshot, const char *key, size_t key_len, uint64_t *hash_out);

/* A part of a document's text that has a dense vector and token vectors of its own. */
struct document_passage {
    uint32_t begin, end; /* bytes of the text */
    uint32_t index, n;   /* it is passage `index` of n */
};

/* index: below the document's number of passages. A passage alone is the whole text. */
bool document_passage(struct snapshot *snapshot, uint32_t docid, uint32_t index,
                      struct document_passage *out, struct error *err);
/* What was noted with the index (writer_note) under this name, into *out; nothing when there is
 * none. */
struct buf;
bool snapshot_note(struct snapshot *snapshot, const char *name, struct buf *out, struct error *err);

/* The id of a word in the term dictionary; *found_out false when no document has ever said it. */
bool term_find(struct snapshot *snapshot, const char *word, size_t word_len, uint32_t *id_out,
               bool *found_out, struct error *err);

/* ---- retrieval: the k best docids of one mode, dead ones left out ---- */
/* A document of several passages scores as its best one does, dense and multi; sparse vectors are
 * of whole documents. */
/* Results lie in the arena, best first (topk.h's order).
 * allowed: what a filter lets through (filter.h); NULL: every live document. */

struct scored_list {
    struct scored *entries;
    size_t n;
    bool approximate; /* a better one may have been passed over */
};

/* Exact top k over the postings, blocks skipped by their maxima. Only documents that share a term
 * are returned. */
bool sparse_search(struct snapshot *snapshot, const struct sparse_vector *query, size_t k,
                   const struct docid_set *allowed, struct arena *arena, struct scored_list *out,
                   struct error *err);

/* Faster and not exact: documents are found by the query's heaviest terms alone, those that make up
 * `mass` of its weight (0 < mass <= 1; 1 is sparse_search), and scored by all of them; what is
 * returned has its exact score. Recall and times: docs/search-sparse.md. */
bool sparse_search_approximate(struct snapshot *snapshot, const struct sparse_vector *query,
                               size_t k, const struct docid_set *allowed, float mass,
                               struct arena *arena, struct scored_list *out, struct error *err);

/* By lists over the generation, exact over the newer rows; scores are the exact inner products with
 * the stored rows. exact: the best k for certain. query: [dense_dim].
 * A filter is asked before a row is looked at: what it lets through is found as well as all. */
bool dense_search(struct snapshot *snapshot, const float *query, size_t k, bool exact,
                  const struct docid_set *allowed, struct arena *arena, struct scored_list *out,
                  struct error *err);

/* The same, but where all rows are looked at, a pool's workers share them. NULL: this thread. */
struct pool;
bool dense_search_shared(struct snapshot *snapshot, const float *query, size_t k, bool exact,
                         const struct docid_set *allowed, struct pool *pool, struct arena *arena,
                         struct scored_list *out, struct error *err);

/* MaxSim of every allowed document that has multi-vectors: exact, so an oracle for what candidates
 * miss, and good enough where documents are few (docs/multivectors.md has times). An empty query
 * scores all 0. query: [query_n, multi_dim], as for multi_score. */
bool multi_search(struct snapshot *snapshot, const float *query, size_t query_n, size_t k,
                  const struct docid_set *allowed, struct arena *arena, struct scored_list *out,
                  struct error *err);

/* ---- exact scores of given candidates from the forward tables; scores_out: [n] ---- */
/* docids must be live in the snapshot. Reading in ascending order is kindest to the page cache. */

bool dense_score(struct snapshot *snapshot, const float *query, const uint32_t *docids, size_t n,
                 float *scores_out, struct error *err);
bool sparse_score(struct snapshot *snapshot, const struct sparse_vector *query,
                  const uint32_t *docids, size_t n, struct arena *arena, float *scores_out,
                  struct error *err);
/* MaxSim: the mean over query vectors of the best product with a passage's stored codes.
 * query: [query_n, multi_dim], each row of length 1. */
bool multi_score(struct snapshot *snapshot, const float *query, size_t query_n,
                 const uint32_t *docids, size_t n, struct arena *arena, float *scores_out,
                 struct error *err);

/* ---- why a document scored as it did ---- */

/* Each query term's share of one document's sparse score: shares_out [query->n], 0 when absent. */
bool sparse_explain(struct snapshot *snapshot, const struct sparse_vector *query, uint32_t docid,
                    struct arena *arena, float *shares_out, struct error *err);
/* For each query vector, the best vector of one passage and its product: both [query_n]. */
bool multi_explain(struct snapshot *snapshot, const float *query, size_t query_n, uint32_t docid,
                   uint32_t passage, struct arena *arena, uint32_t *best_out, float *products_out,
                   struct error *err);

/* dense_score and multi_score, and the passage that each document's score is of (the first of
 * equals); both [n], either may be NULL. */
bool dense_best_passages(struct snapshot *snapshot, const float *query, const uint32_t *docids,
                         size_t n, float *scores_out, uint32_t *passages_out, struct error *err);
bool multi_best_passages(struct snapshot *snapshot, const float *query, size_t query_n,
                         const uint32_t *docids, size_t n, struct arena *arena, float *scores_out,
                         uint32_t *passages_out, struct error *err);

/* The same for several threads: a query made ready once, in the arena, for so many workers, no two
 * of which score at once under the same number. On failure outputs are partly written. */
struct multi_scorer;
bool multi_scorer_make(struct snapshot *snapshot, const float *query, size_t query_n,
                       size_t workers_n, struct arena *arena, struct multi_scorer **out,
                       struct error *err);
bool multi_scorer_score(struct multi_scorer *scorer, size_t worker, const uint32_t *docids,
                        size_t n, float *scores_out, uint32_t *passages_out, struct error *err);

#endif
