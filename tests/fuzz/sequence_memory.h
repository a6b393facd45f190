/* sequence_memory.h - what sequence_fuzz.c remembers of an index, and the comparison of both.
 *
 * A record is a function of its key and its version, so the memory is one number a key. */
#ifndef TERCET_TESTS_FUZZ_SEQUENCE_MEMORY_H
#define TERCET_TESTS_FUZZ_SEQUENCE_MEMORY_H

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/vec.h"
#include "index/care/export.h"
#include "index/fields/filter.h"
#include "index/fixture.h"
#include "index/rows.h"

enum { KEYS_N = 12, DIM = 4, TERMS_N = 6 };

struct memory {
    uint8_t versions[KEYS_N]; /* 0: absent */
};

/* ---- records ---- */

struct made {
    char key[8], text[32], fields[32];
    float dense[DIM];
    uint32_t ids[TERMS_N];
    float weights[TERMS_N];
    size_t terms_n;
};

static inline void make(uint32_t key, uint8_t version, struct made *out) {
    unsigned long long seed = (key * 256ull + version) * 0x9E3779B97F4A7C15ull | 1;
    snprintf(out->key, sizeof out->key, "k%u", key);
    snprintf(out->text, sizeof out->text, "version %u of %u", version, key);
    snprintf(out->fields, sizeof out->fields, "{\"v\":%u,\"k\":%u}", version, key);
    for (size_t d = 0; d < DIM; d++)
        out->dense[d] = (float)(int8_t)(check_random(&seed) >> 24) / 128;
    out->terms_n = 0;
    for (uint32_t id = 0; id < TERMS_N; id++)
        if (version >> id & 1) {
            out->ids[out->terms_n] = id;
            out->weights[out->terms_n++] = (float)(1 + (check_random(&seed) >> 20) % 16) / 4;
        }
}

/* ---- what a snapshot shows ---- */

static inline double score(const struct made *made, const struct made *query, bool sparse) {
    double sum = 0;
    for (size_t d = 0; d < DIM && !sparse; d++) {
        uint16_t half;
        float kept;
        vec_to_f16(&made->dense[d], 1, &half);
        vec_from_f16(&half, 1, &kept);
        sum += (double)kept * (double)query->dense[d];
    }
    for (size_t i = 0; sparse && i < made->terms_n; i++)
        for (size_t j = 0; j < query->terms_n; j++)
            if (made->ids[i] == query->ids[j])
                sum += (double)made->weights[i] * (double)query->weights[j];
    return sum;
}

/* Each hit is allowed and has its document's score, in order; none of those left out is better. */
static inline void check_list(struct snapshot *snapshot, const struct memory *memory,
                              uint32_t above, const struct made *query,
                              const struct scored_list *list, size_t k, bool sparse) {
    bool found[KEYS_N] = {0};
    size_t candidates_n = 0;
    double worst = INFINITY;
    struct made made;
    struct arena arena = {0};
    for (size_t i = 0; i < list->n; i++) {
        struct document document;
        struct error err;
        bool ok = document_get(snapshot, list->entries[i].docid, &arena, &document, &err);
        assert(ok);
        uint32_t key = (uint32_t)atoi(document.key + 1);
        assert(key < KEYS_N && !found[key] && memory->versions[key] > above);
        found[key] = true;
        make(key, memory->versions[key], &made);
        assert(fabs(score(&made, query, sparse) - (double)list->entries[i].score) < 1e-4);
        assert((double)list->entries[i].score <= worst);
        worst = (double)list->entries[i].score;
    }
    for (uint32_t key = 0; key < KEYS_N; key++) {
        make(key, memory->versions[key], &made);
        double own = score(&made, query, sparse);
        if (memory->versions[key] <= above || (sparse && own <= 0))
            continue;
        candidates_n++;
        assert(found[key] || (list->n == k && own <= worst + 1e-4));
    }
    assert(list->n == (k < candidates_n ? k : candidates_n));
    arena_done(&arena);
}

/* Those of a version above the number pass; of 0 all. */
static inline void search(struct snapshot *snapshot, const struct memory *memory, uint8_t above,
                          uint8_t drawn) {
    struct arena arena = {0};
    struct error err;
    struct filter *filter;
    struct docid_set set, *allowed = above ? &set : NULL;
    struct scored_list list;
    struct made query;
    char text[32];
    size_t k = 1 + drawn % KEYS_N, passing_n = 0;
    int len = snprintf(text, sizeof text, "{\"v\":{\"$gt\":%u}}", above);
    struct json *json = json_parse(text, (size_t)len, &err);
    CHECK_OK(filter_parse(json, &arena, &filter, &err), err);
    CHECK_OK(filter_run(filter, snapshot, &arena, &set, &err), err);
    json_release(json);
    for (uint32_t key = 0; key < KEYS_N; key++)
        passing_n += memory->versions[key] > above;
    assert(docid_set_count(&set) == passing_n);
    make(KEYS_N, drawn, &query);
    const struct sparse_vector sparse = {query.ids, query.weights, query.terms_n};
    CHECK_OK(sparse_search(snapshot, &sparse, k, allowed, &arena, &list, &err), err);
    check_list(snapshot, memory, above, &query, &list, k, true);
    CHECK_OK(dense_search(snapshot, query.dense, k, drawn & 1, allowed, &arena, &list, &err), err);
    check_list(snapshot, memory, above, &query, &list, k, false);
    CHECK_OK(multi_search(snapshot, query.dense, 1, k, allowed, &arena, &list, &err), err);
    for (size_t i = 0; i < list.n; i++)
        assert(snapshot_is_live(snapshot, list.entries[i].docid));
    arena_done(&arena);
}

static inline void agrees(struct snapshot *snapshot, const struct memory *memory) {
    struct arena arena = {0};
    struct error err;
    uint64_t alive_n = 0;
    for (uint32_t key = 0; key < KEYS_N; key++) {
        struct made made;
        struct document document;
        uint32_t docid;
        make(key, memory->versions[key], &made);
        bool there = document_find(snapshot, made.key, strlen(made.key), &docid, &err);
        assert(there == (memory->versions[key] != 0));
        alive_n += there;
        if (!there)
            continue;
        CHECK_OK(document_get(snapshot, docid, &arena, &document, &err), err);
        assert(strcmp(document.text, made.text) == 0 && strcmp(document.fields, made.fields) == 0);
        assert(document.content_hash == memory->versions[key]);
    }
    assert(snapshot_documents_n(snapshot) == alive_n);
    arena_done(&arena);
}

static inline bool count_line(void *context, const char *line, size_t len, struct error *err) {
    const struct memory *memory = ((void **)context)[0];
    struct json *json = json_parse(line, len, err);
    const char *key = json_string_of(json_get(json, "id"), NULL);
    struct made made;
    uint32_t number = (uint32_t)atoi(key + 1);
    assert(number < KEYS_N && memory->versions[number]);
    make(number, memory->versions[number], &made);
    assert(strcmp(json_string_of(json_get(json, "text"), NULL), made.text) == 0);
    for (size_t d = 0; d < DIM; d++)
        assert(fabs(json_number_of(json_at(json_get(json, "dense"), d)) - (double)made.dense[d]) <
               1e-3);
    ++*(size_t *)((void **)context)[1];
    json_release(json);
    return true;
}

static inline void check_export(struct index *index, struct memory *memory) {
    struct error err;
    size_t lines_n = 0, alive_n = 0;
    void *context[2] = {memory, &lines_n};
    CHECK_OK(index_export(index, false, count_line, context, &err), err);
    for (uint32_t key = 0; key < KEYS_N; key++)
        alive_n += memory->versions[key] != 0;
    assert(lines_n == alive_n);
}

#endif
