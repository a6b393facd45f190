/* fixture.h - what the tests of index/ share: a folder that vanishes, records out of chance, and
 * the plainest possible memory of what an index should hold. */
#ifndef TERCET_INDEX_FIXTURE_H
#define TERCET_INDEX_FIXTURE_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "index/index.h"
#include "index/writer.h"
#include "tests/check.h"

enum {
    FIXTURE_TERMS_MAX = 64,
    FIXTURE_DIM = 8,
    FIXTURE_MULTI_MAX = 4,
    FIXTURE_PASSAGES_MAX = 5,
    FIXTURE_TEXT_MAX = 200,
    FIXTURE_VOCABULARY = 100
};

static inline int fixture_remove_one(const char *path, const struct stat *info, int flag,
                                     struct FTW *walk) {
    (void)info, (void)flag, (void)walk;
    return remove(path);
}

static inline void fixture_remove(const char *folder) {
    nftw(folder, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A new folder's name in out; remove it with fixture_remove. */
static inline void fixture_folder(char out[64]) {
    strcpy(out, "/tmp/tercet-index-XXXXXX");
    CHECK(mkdtemp(out));
}

/* The same in memory, where there is such a place: for tests that write much and cut no power. */
static inline void fixture_memory_folder(char out[64]) {
    strcpy(out, "/dev/shm/tercet-index-XXXXXX");
    if (!mkdtemp(out))
        fixture_folder(out);
}

/* A record that owns what it points to. Do not copy it by assignment: call fixture_record again. */
struct fixture_record {
    char key[32], title[32], text[FIXTURE_TEXT_MAX], fields[64];
    uint32_t ids[FIXTURE_TERMS_MAX];
    float weights[FIXTURE_TERMS_MAX];
    size_t terms_n;
    float length;
    float dense[FIXTURE_DIM];
    float multi[FIXTURE_MULTI_MAX * FIXTURE_DIM];
    uint32_t multi_n;
    uint64_t hash;
    struct record_passage passages[FIXTURE_PASSAGES_MAX]; /* instead of those two, or none */
    size_t passages_n;
    float passages_dense[FIXTURE_PASSAGES_MAX * FIXTURE_DIM];
    float passages_multi[FIXTURE_PASSAGES_MAX * FIXTURE_MULTI_MAX * FIXTURE_DIM];
};

/* Skewed like words are: half of all draws fall on a few ids. */
static inline uint32_t fixture_term(unsigned long long *seed, uint32_t vocabulary) {
    uint64_t draw = check_random(seed) >> 11;
    double u = (double)draw / 9007199254740992.0;
    return (uint32_t)(vocabulary * u * u * u);
}

static inline int fixture_by_id(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Up to n_max distinct ascending ids; how many. */
static inline size_t fixture_ids(unsigned long long *seed, size_t n_max, uint32_t vocabulary,
                                 uint32_t *ids) {
    size_t n = check_random(seed) % (n_max + 1), kept = 0;
    for (size_t i = 0; i < n; i++)
        ids[i] = fixture_term(seed, vocabulary);
    qsort(ids, n, sizeof *ids, fixture_by_id);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || ids[i] != ids[kept - 1])
            ids[kept++] = ids[i];
    return kept;
}

static inline void fixture_record(unsigned long long *seed, enum index_lexical lexical,
                                  uint32_t vocabulary, uint32_t key, struct fixture_record *out) {
    memset(out, 0, sizeof *out);
    snprintf(out->key, sizeof out->key, "doc-%u", key);
    snprintf(out->title, sizeof out->title, "title %u", key);
    snprintf(out->fields, sizeof out->fields, "{\"n\":%u}", key);
    out->hash = check_random(seed);
    size_t text_len = check_random(seed) % (FIXTURE_TEXT_MAX - 1);
    for (size_t i = 0; i < text_len; i++)
        out->text[i] = (char)('a' + check_random(seed) % 26);
    out->terms_n = fixture_ids(seed, FIXTURE_TERMS_MAX, vocabulary, out->ids);
    for (size_t i = 0; i < out->terms_n; i++) {
        out->weights[i] = lexical == INDEX_LEXICAL_BM25 ? (float)(1 + check_random(seed) % 7)
                                                        : 1.001f + check_random_float(seed);
        out->length += lexical == INDEX_LEXICAL_BM25 ? out->weights[i] : 0;
    }
    for (size_t i = 0; i < FIXTURE_DIM; i++)
        out->dense[i] = check_random_float(seed);
    out->multi_n = (uint32_t)(check_random(seed) % (FIXTURE_MULTI_MAX + 1));
    for (size_t i = 0; i < (size_t)out->multi_n * FIXTURE_DIM; i++)
        out->multi[i] = check_random_float(seed);
}

/* Every other record becomes several passages, of a text of so many bytes. */
static inline void fixture_passages(struct fixture_record *record, size_t text_len) {
    unsigned long long seed = record->hash | 1;
    size_t n = 1 + check_random(&seed) % (2 * FIXTURE_PASSAGES_MAX);
    if (n == 1 || n > FIXTURE_PASSAGES_MAX || text_len < 2 * FIXTURE_PASSAGES_MAX)
        return;
    for (size_t i = 0; i < FIXTURE_PASSAGES_MAX * FIXTURE_DIM; i++)
        record->passages_dense[i] = check_random_float(&seed);
    for (size_t i = 0; i < FIXTURE_PASSAGES_MAX * FIXTURE_MULTI_MAX * FIXTURE_DIM; i++)
        record->passages_multi[i] = check_random_float(&seed);
    for (size_t i = 0; i < n; i++)
        record->passages[i] = (struct record_passage){
            .begin = (uint32_t)(text_len * i / n),
            .end = (uint32_t)(text_len * (i + 1) / n - (i + 1 < n) * (check_random(&seed) % 2)),
            .dense = record->passages_dense + i * FIXTURE_DIM,
            .multi = record->passages_multi + i * FIXTURE_MULTI_MAX * FIXTURE_DIM,
            .multi_n = (uint32_t)(check_random(&seed) % (FIXTURE_MULTI_MAX + 1)),
        };
    record->passages_n = n;
}

static inline struct record fixture_view(const struct fixture_record *from) {
    return (struct record){
        .key = from->key,
        .key_len = strlen(from->key),
        .title = from->title,
        .title_len = strlen(from->title),
        .text = from->text,
        .text_len = strlen(from->text),
        .fields = from->fields,
        .fields_len = strlen(from->fields),
        .content_hash = from->hash,
        .dense = from->dense,
        .sparse = {from->ids, from->weights, from->terms_n},
        .sparse_length = from->length,
        .multi = from->multi,
        .multi_n = from->multi_n,
        .passages = from->passages,
        .passages_n = from->passages_n,
    };
}

static inline struct index_settings fixture_settings(enum index_lexical lexical) {
    return (struct index_settings){
        .model = "model",
        .fingerprint = "print",
        .analyzer = "words:en",
        .instruction = "say \"it\":\n",
        .length_max = 512,
        .lexical = lexical,
        .bm25_k1 = 1.2f,
        .bm25_b = 0.75f,
    };
}

/* With dense vectors and token vectors, too. */
static inline struct index_settings fixture_full_settings(enum index_lexical lexical) {
    struct index_settings settings = fixture_settings(lexical);
    settings.dense_dim = settings.multi_dim = FIXTURE_DIM;
    return settings;
}

/* An empty index in a new folder, open for writing. */
static inline struct index *fixture_new(char folder[64], const struct index_settings *settings) {
    struct error err;
    struct index *index = NULL;
    fixture_folder(folder);
    CHECK_OK(index_create(folder, settings, &index, &err), err);
    return index;
}

static inline struct writer *fixture_writer(struct index *index) {
    struct error err;
    struct writer *writer = NULL;
    CHECK_OK(writer_open(index, &writer, &err), err);
    return writer;
}

/* Closes both (NULL is fine) and removes the folder. */
static inline void fixture_unmake(const char *folder, struct index *index, struct writer *writer) {
    writer_close(writer);
    index_close(index);
    fixture_remove(folder);
}

/* The record doc-<key> that this seed gives. */
static inline void fixture_put(struct writer *writer, unsigned long long seed, uint32_t key) {
    struct error err;
    struct fixture_record record;
    fixture_record(&seed, INDEX_LEXICAL_BM25, FIXTURE_VOCABULARY, key, &record);
    struct record view = fixture_view(&record);
    CHECK_OK(writer_put(writer, &view, &err), err);
}

/* The document doc-<key> with fields and nothing else. */
static inline void fixture_put_fields(struct writer *writer, uint32_t key, const char *fields) {
    struct error err;
    char name[32];
    struct record record = {.key = name, .fields = fields, .fields_len = strlen(fields)};
    record.key_len = (size_t)snprintf(name, sizeof name, "doc-%u", key);
    CHECK_OK(writer_put(writer, &record, &err), err);
}

/* Was it there? */
static inline bool fixture_delete(struct writer *writer, uint32_t key) {
    struct error err;
    char name[32];
    bool found = false;
    int len = snprintf(name, sizeof name, "doc-%u", key);
    CHECK_OK(writer_delete(writer, name, (size_t)len, &found, &err), err);
    return found;
}

/* Documents doc-<begin> .. doc-<end - 1> (new or in place of old ones), committed every `batch`. */
static inline void fixture_fill(struct index *index, unsigned long long seed, uint32_t begin,
                                uint32_t end, uint32_t batch) {
    struct error err;
    struct writer *writer;
    CHECK_OK(writer_open(index, &writer, &err), err);
    for (uint32_t i = begin; i < end; i++) {
        struct fixture_record record;
        fixture_record(&seed, index_settings_of(index)->lexical, FIXTURE_VOCABULARY, i, &record);
        struct record view = fixture_view(&record);
        CHECK_OK(writer_put(writer, &view, &err), err);
        if (i % batch == batch - 1)
            CHECK_OK(writer_commit(writer, &err), err);
    }
    CHECK_OK(writer_commit(writer, &err), err);
    CHECK_OK(writer_build_dense(writer, 1, &err), err);
    writer_close(writer);
}

/* A new folder's closed index with all there is: words, documents put twice and deleted ones, some
 * segments. No generation. */
enum { FIXTURE_LIVED_PUTS = 300, FIXTURE_LIVED_WORDS = 60 };
static inline void fixture_lived(char folder[64], enum index_lexical lexical) {
    struct error err;
    struct index_settings settings = fixture_full_settings(lexical);
    settings.chunk_tokens = 100;
    struct index *index = NULL;
    fixture_memory_folder(folder);
    CHECK_OK(index_create(folder, &settings, &index, &err), err);
    struct writer *writer = fixture_writer(index);
    unsigned long long seed = 5;
    for (uint32_t i = 0; i < FIXTURE_LIVED_PUTS; i++) {
        struct fixture_record record;
        uint32_t key = (uint32_t)(check_random(&seed) % (FIXTURE_LIVED_PUTS * 3 / 4)), id;
        uint32_t words_n = i < FIXTURE_LIVED_WORDS ? i + 1 : FIXTURE_LIVED_WORDS;
        char word[32];
        int len = snprintf(word, sizeof word, "word-%u", i * 7 % FIXTURE_LIVED_WORDS);
        CHECK_OK(writer_term_id(writer, word, (size_t)len, &id, &err), err);
        fixture_record(&seed, lexical, words_n, key, &record);
        fixture_passages(&record, strlen(record.text));
        struct record view = fixture_view(&record);
        CHECK_OK(writer_put(writer, &view, &err), err);
        if (i % 75 == 0)
            CHECK_OK(writer_commit(writer, &err), err);
    }
    CHECK_OK(writer_commit(writer, &err), err);
    CHECK(fixture_delete(writer, 3));
    CHECK_OK(writer_commit(writer, &err), err);
    CHECK(fixture_delete(writer, 11));
    CHECK_OK(writer_commit(writer, &err), err);
    writer_close(writer);
    index_close(index);
}

/* docids and bits of scores of sparse and dense searches, folded into one number: the same number,
 * the same answers. */
static inline uint64_t fixture_answers(struct index *index) {
    enum { QUERIES = 20, K = 15 };
    struct error err;
    struct snapshot *snapshot;
    struct arena arena = {0};
    unsigned long long seed = 99;
    uint64_t sum = 0;
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    for (int i = 0; i < QUERIES; i++) {
        struct fixture_record query;
        struct scored_list lists[2];
        fixture_record(&seed, index_settings_of(index)->lexical, FIXTURE_VOCABULARY, 0, &query);
        struct sparse_vector sparse = {query.ids, query.weights, query.terms_n};
        CHECK_OK(sparse_search(snapshot, &sparse, K, NULL, &arena, &lists[0], &err), err);
        CHECK_OK(dense_search(snapshot, query.dense, K, true, NULL, &arena, &lists[1], &err), err);
        for (int l = 0; l < 2; l++)
            for (size_t j = 0; j < lists[l].n; j++) {
                uint32_t bits;
                memcpy(&bits, &lists[l].entries[j].score, sizeof bits);
                sum = (sum ^ lists[l].entries[j].docid ^ (uint64_t)bits << 32) * 0x9E3779B97F4A7C15;
                sum ^= sum >> 29;
            }
    }
    snapshot_close(snapshot);
    arena_done(&arena);
    return sum;
}

#endif
