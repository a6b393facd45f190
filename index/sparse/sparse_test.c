/* Pruned search against scoring everything, and that against the formula in double: both lexical
 * kinds, many segments, tombstones, every k. */
#include "engine/base/mem.h"
#include "index/rows.h"
#include "index/fixture.h"

enum { VOCABULARY = 400, QUERY_TERMS = 24 };

/* What the index should hold, by docid. */
struct memory {
    struct fixture_record *records; /* [cap] */
    bool *alive;
    uint32_t n, cap;
};

static void put_new(struct writer *writer, struct memory *memory, unsigned long long *seed,
                    enum index_lexical lexical, uint32_t key) {
    struct error err;
    struct fixture_record *record = &memory->records[memory->n];
    fixture_record(seed, lexical, VOCABULARY, key, record);
    for (uint32_t i = 0; i < memory->n; i++)
        if (memory->alive[i] && strcmp(memory->records[i].key, record->key) == 0)
            memory->alive[i] = false;
    memory->alive[memory->n++] = true;
    struct record view = fixture_view(record);
    CHECK_OK(writer_put(writer, &view, &err), err);
}

static void delete_random(struct writer *writer, struct memory *memory, unsigned long long *seed) {
    struct error err;
    bool found = false;
    uint32_t docid = (uint32_t)(check_random(seed) % memory->n);
    if (!memory->alive[docid])
        return;
    const char *key = memory->records[docid].key;
    CHECK_OK(writer_delete(writer, key, strlen(key), &found, &err), err);
    CHECK(found);
    memory->alive[docid] = false;
}

static double weight_in(const struct fixture_record *record, uint32_t id) {
    for (size_t i = 0; i < record->terms_n; i++)
        if (record->ids[i] == id)
            return (double)record->weights[i];
    return 0;
}

/* The formula as it stands in the books, in double, from memory alone. */
static double oracle(const struct memory *memory, enum index_lexical lexical,
                     const struct sparse_vector *query, uint32_t docid) {
    double n = 0, length_sum = 0, score = 0;
    for (uint32_t i = 0; i < memory->n; i++) {
        n += memory->alive[i];
        length_sum += memory->alive[i] ? (double)memory->records[i].length : 0;
    }
    const struct fixture_record *record = &memory->records[docid];
    for (size_t q = 0; q < query->n; q++) {
        double tf = weight_in(record, query->ids[q]), holders = 0;
        if (lexical == INDEX_LEXICAL_LEARNED) {
            score += (double)query->weights[q] * tf;
            continue;
        }
        for (uint32_t i = 0; i < memory->n; i++)
            holders += memory->alive[i] && weight_in(&memory->records[i], query->ids[q]) > 0;
        double norm = 1.2 * (1 - 0.75 + 0.75 * (double)record->length / (length_sum / n));
        score += (double)query->weights[q] * log(1 + (n - holders + 0.5) / (holders + 0.5)) * tf /
                 (tf + norm);
    }
    return score;
}

static void search_agrees(struct index *index, const struct memory *memory,
                          enum index_lexical lexical, unsigned long long *seed) {
    struct error err;
    struct arena arena = {0};
    struct snapshot *snapshot;
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    uint32_t ids[QUERY_TERMS], docids_n = 0;
    float weights[QUERY_TERMS];
    struct sparse_vector query = {ids, weights,
                                  fixture_ids(seed, QUERY_TERMS, VOCABULARY + 40, ids)};
    for (size_t i = 0; i < query.n; i++)
        weights[i] = 1.01f + check_random_float(seed);

    uint32_t *docids = mem_alloc(memory->n + 1, sizeof *docids);
    float *scores = mem_alloc(memory->n + 1, sizeof *scores);
    struct scored *all = mem_alloc(memory->n + 1, sizeof *all);
    for (uint32_t i = 0; i < memory->n; i++) {
        if (snapshot_is_live(snapshot, i) != memory->alive[i])
            CHECK_EQUAL(snapshot_is_live(snapshot, i), memory->alive[i]);
        if (memory->alive[i])
            docids[docids_n++] = i;
    }
    CHECK_EQUAL(snapshot_documents_n(snapshot), docids_n);
    CHECK_OK(sparse_score(snapshot, &query, docids, docids_n, &arena, scores, &err), err);
    size_t all_n = 0;
    for (uint32_t i = 0; i < docids_n; i++) {
        if (i % 397 == 0)
            CHECK_NEAR(scores[i], oracle(memory, lexical, &query, docids[i]), 1e-4);
        if (scores[i] > 0)
            all[all_n++] = (struct scored){scores[i], docids[i]};
    }
    scored_sort(all, all_n);
    for (size_t k = 0; k < 2 * memory->n + 2; k = k * 3 + 1) {
        struct scored_list list;
        CHECK_OK(sparse_search(snapshot, &query, k, NULL, &arena, &list, &err), err);
        CHECK_EQUAL(list.n, k < all_n ? k : all_n);
        for (size_t i = 0; i < list.n && i < all_n; i++) /* to the bit */
            if (list.entries[i].docid != all[i].docid || list.entries[i].score != all[i].score) {
                CHECK_EQUAL(list.entries[i].docid, all[i].docid);
                CHECK_NEAR(list.entries[i].score, all[i].score, 0);
            }
        if (list.n > 0) {
            float shares[QUERY_TERMS], sum = 0;
            CHECK_OK(sparse_explain(snapshot, &query, list.entries[0].docid, &arena, shares, &err),
                     err);
            for (size_t i = 0; i < query.n; i++)
                sum += shares[i];
            CHECK_NEAR(sum, list.entries[0].score, 1e-5);
        }
    }
    free(docids);
    free(scores);
    free(all);
    snapshot_close(snapshot);
    arena_done(&arena);
}

static void one_life(enum index_lexical lexical, unsigned long long seed, uint32_t docs_n,
                     uint32_t batch_max, int queries_n) {
    struct error err;
    char folder[64];
    struct index *index;
    struct writer *writer;
    struct index_settings settings = fixture_settings(lexical);
    struct memory memory = {.cap = docs_n};
    memory.records = mem_alloc(docs_n, sizeof *memory.records);
    memory.alive = mem_zalloc(docs_n, sizeof *memory.alive);
    fixture_folder(folder);
    CHECK_OK(index_create(folder, &settings, &index, &err), err);
    CHECK_OK(writer_open(index, &writer, &err), err);
    search_agrees(index, &memory, lexical, &seed);
    int phase = 0;
    while (memory.n < docs_n) {
        uint32_t batch = 1 + (uint32_t)(check_random(&seed) % batch_max);
        for (uint32_t i = 0; i < batch && memory.n < docs_n; i++) {
            bool again = memory.n > 0 && check_random(&seed) % 8 == 0;
            put_new(writer, &memory, &seed, lexical,
                    again ? (uint32_t)(check_random(&seed) % memory.n) : memory.n);
            if (check_random(&seed) % 6 == 0)
                delete_random(writer, &memory, &seed);
        }
        CHECK_OK(writer_commit(writer, &err), err);
        if (phase++ % 8 == 0)
            search_agrees(index, &memory, lexical, &seed);
    }
    for (int i = 0; i < queries_n; i++)
        search_agrees(index, &memory, lexical, &seed);
    struct index_counts counts;
    CHECK_OK(index_count(index, &counts, &err), err);
    CHECK(counts.segments_n <= 24);
    writer_close(writer);
    index_close(index);
    fixture_remove(folder);
    free(memory.records);
    free(memory.alive);
}

/* The same documents in one commit and in many: the same scores to the bit. */
static void segmentation_does_not_show(enum index_lexical lexical) {
    enum { DOCS = 700 };
    struct scored found[2][50];
    size_t found_n[2];
    for (int many = 0; many < 2; many++) {
        unsigned long long seed = 11;
        struct error err;
        char folder[64];
        struct index *index;
        struct writer *writer;
        struct index_settings settings = fixture_settings(lexical);
        struct arena arena = {0};
        fixture_folder(folder);
        CHECK_OK(index_create(folder, &settings, &index, &err), err);
        CHECK_OK(writer_open(index, &writer, &err), err);
        for (uint32_t i = 0; i < DOCS; i++) {
            struct fixture_record record;
            fixture_record(&seed, lexical, VOCABULARY, i % 600, &record);
            struct record view = fixture_view(&record);
            CHECK_OK(writer_put(writer, &view, &err), err);
            if (many && i % 13 == 0)
                CHECK_OK(writer_commit(writer, &err), err);
        }
        CHECK_OK(writer_commit(writer, &err), err);
        struct snapshot *snapshot;
        CHECK_OK(snapshot_open(index, &snapshot, &err), err);
        struct sparse_vector query = {(uint32_t[]){0, 3, 9, 40, 200}, (float[]){1, 1, 2, 1, 1}, 5};
        struct scored_list list;
        CHECK_OK(sparse_search(snapshot, &query, 50, NULL, &arena, &list, &err), err);
        found_n[many] = list.n;
        memcpy(found[many], list.entries, list.n * sizeof *list.entries);
        snapshot_close(snapshot);
        writer_close(writer);
        index_close(index);
        fixture_remove(folder);
        arena_done(&arena);
    }
    CHECK_EQUAL(found_n[0], found_n[1]);
    CHECK(memcmp(found[0], found[1], found_n[0] * sizeof **found) == 0);
}

static void bad_queries_are_refused(void) {
    struct error err;
    char folder[64];
    struct index *index;
    struct snapshot *snapshot;
    struct arena arena = {0};
    struct scored_list list = {0};
    struct index_settings settings = fixture_settings(INDEX_LEXICAL_LEARNED);
    fixture_folder(folder);
    CHECK_OK(index_create(folder, &settings, &index, &err), err);
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    struct sparse_vector queries[] = {
        {(uint32_t[]){2, 2}, (float[]){1, 1}, 2},
        {(uint32_t[]){2, 3}, (float[]){1, 0}, 2},
        {(uint32_t[]){2, 3}, (float[]){1, NAN}, 2},
        {(uint32_t[]){2, 3}, (float[]){1, INFINITY}, 2},
    };
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        CHECK(!sparse_search(snapshot, &queries[i], 3, NULL, &arena, &list, &err));
        CHECK_EQUAL(err.code, ERROR_INVALID);
    }
    snapshot_close(snapshot);
    index_close(index);
    fixture_remove(folder);
    arena_done(&arena);
}

int main(void) {
    for (int lexical = INDEX_LEXICAL_LEARNED; lexical <= INDEX_LEXICAL_BM25; lexical++) {
        one_life((enum index_lexical)lexical, 1, 300, 4, 10);
        one_life((enum index_lexical)lexical, 2, 3000, 200, 20);
        one_life((enum index_lexical)lexical, 3, 9000, 3000, 20);
        segmentation_does_not_show((enum index_lexical)lexical);
    }
    bad_queries_are_refused();
    return check_result();
}
