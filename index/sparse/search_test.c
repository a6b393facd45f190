/* What sparse search leaves out must not matter: found against everything scored, with ties, wild
 * weights, filters and tombstones; bounds by SIMD against plain C; a damaged list is reported. */
#include <math.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "index/fixture.h"
#include "index/inside.h"
#include "index/sparse/bounds.h"

enum { DOCS = 12000, VOCABULARY = 3000, QUERY_TERMS = 60, DELETED = 1500 };

/* ---- kernels ---- */

/* Unaligned, of any number; the last one and none at all, too. */
static void ids_are_found(const struct sparse_kind *kind, unsigned long long *seed) {
    enum { N = 200 };
    uint8_t bytes[4 * N + 1];
    size_t n = check_random(seed) % (N + 1);
    for (uint32_t i = 0; i < n; i++)
        memcpy(bytes + 1 + 4 * i, &(uint32_t){3 * i + 7}, 4);
    for (uint32_t id = 0; id < 3 * N + 9; id++) {
        uint32_t expected = id >= 7 && id % 3 == 1 && (id - 7) / 3 < n ? (id - 7) / 3 + 1 : 0;
        if (kind->find_id(bytes + 1, n, id) != expected)
            CHECK_EQUAL(kind->find_id(bytes + 1, n, id), expected);
    }
}

/* values: [SPARSE_WINDOW_GROUPS] at least, above 0. */
static void maxima_are_largest(const struct sparse_kind *kind, const float *values) {
    float window, groups[2], first = 0, second = 0;
    for (size_t i = 0; i < SPARSE_GROUP_DOCS; i++) {
        first = fmaxf(first, values[i]);
        second = fmaxf(second, values[SPARSE_GROUP_DOCS + i]);
    }
    kind->window_max(values, 1, &window);
    kind->group_max(values, 2, groups);
    CHECK(window == fmaxf(first, second) && groups[0] == first && groups[1] == second);
}

/* To the bit with what scores a row, whatever the lengths' bytes. */
static void shares_agree(const struct sparse_kind *kind, unsigned long long *seed) {
    enum { N = POSTINGS_BLOCK_N };
    static const size_t length_bytes[] = {0, 2, 4};
    uint8_t codes[N], bytes[4 * N + 1], *lengths = bytes + 1; /* unaligned */
    float shares[N];
    struct sparse_plan plan = {.bm25 = check_random(seed) % 2,
                               .norm_base = check_random(seed) % 3 ? 0.3f : 0,
                               .norm_slope = (float)ldexp(1 + check_random(seed) % 1000, -17)};
    struct sparse_share share = {plan.bm25, 2 + check_random_float(seed), plan.norm_base,
                                 plan.norm_slope,
                                 posting_code_base((uint8_t)(110 + check_random(seed) % 30))};
    for (size_t l = 0; l < 3; l++) {
        size_t n = check_random(seed) % (N + 1);
        float length[N] = {0};
        for (size_t i = 0; i < n; i++) {
            uint16_t whole = (uint16_t)(check_random(seed) % 5000);
            codes[i] = (uint8_t)(1 + check_random(seed) % 255);
            if (length_bytes[l] == 2)
                memcpy(lengths + 2 * i, &whole, 2);
            length[i] = length_bytes[l] == 2 ? whole : 100 + 9 * check_random_float(seed);
            if (length_bytes[l] == 4)
                memcpy(lengths + 4 * i, &length[i], 4);
            length[i] = length_bytes[l] == 0 ? 0 : length[i];
        }
        kind->shares(&share, codes, lengths, length_bytes[l], n, shares);
        for (size_t i = 0; i < n; i++) {
            float expected = sparse_plan_share(
                &plan, share.weight, posting_decode(share.code_base, codes[i]), length[i]);
            if (memcmp(&expected, &shares[i], sizeof expected) != 0)
                CHECK_NEAR(shares[i], expected, 0);
        }
    }
}

static void kinds_agree(unsigned long long *seed) {
    enum { N = 40 * SPARSE_WINDOW_GROUPS };
    static float plain[N], simd[N], plain_max[N], simd_max[N];
    static uint8_t codes[N];
    for (int round = 0; round < 60; round++)
        for (int level = CPU_PLAIN; level <= CPU_AVX512; level++) {
            const struct sparse_kind *oracle = sparse_kind_of(CPU_PLAIN);
            const struct sparse_kind *kind = sparse_kind_of((enum cpu_level)level);
            size_t n = check_random(seed) % N, windows_n = N / SPARSE_WINDOW_GROUPS;
            uint32_t base = posting_code_base((uint8_t)(100 + check_random(seed) % 60));
            float weight = 1.5f + check_random_float(seed);
            if (!kind)
                continue;
            for (size_t i = 0; i < N; i++) {
                codes[i] = check_random(seed) % 3 ? (uint8_t)check_random(seed) : 0;
                plain[i] = simd[i] = 2 + check_random_float(seed);
            }
            oracle->add_codes(plain, codes, n, base, weight);
            kind->add_codes(simd, codes, n, base, weight);
            for (size_t i = 0; i < N; i++)
                if (!(fabsf(plain[i] - simd[i]) <= plain[i] * 2e-7f))
                    CHECK_NEAR(plain[i], simd[i], 0);
            oracle->window_max(plain, windows_n, plain_max);
            kind->window_max(plain, windows_n, simd_max);
            CHECK(memcmp(plain_max, simd_max, windows_n * sizeof *plain_max) == 0);
            maxima_are_largest(kind, plain);
            ids_are_found(kind, seed);
            shares_agree(kind, seed);
        }
}

/* ---- searching ---- */

enum weights { WEIGHTS_FEW, WEIGHTS_SMOOTH, WEIGHTS_WILD, WEIGHTS_KINDS };

/* few: many documents score the same, to the bit. wild: sums that overflow and vanish. */
static float random_weight(unsigned long long *seed, enum weights kind) {
    if (kind == WEIGHTS_FEW)
        return (float)(1 + check_random(seed) % 3);
    if (kind == WEIGHTS_SMOOTH)
        return expf(2 * check_random_float(seed));
    return ldexpf(1.5f + 0.4f * check_random_float(seed), (int)(check_random(seed) % 250) - 125);
}

static void put_random(struct writer *writer, unsigned long long *seed, uint32_t number,
                       enum weights kind) {
    struct error err;
    struct fixture_record record;
    fixture_record(seed, INDEX_LEXICAL_LEARNED, VOCABULARY, number, &record);
    for (size_t i = 0; i < record.terms_n; i++)
        record.weights[i] = random_weight(seed, kind);
    record.length = (float)(check_random(seed) % 300);
    struct record view = fixture_view(&record);
    view.title_len = view.text_len = 0;
    CHECK_OK(writer_put(writer, &view, &err), err);
}

static void fill(struct index *index, unsigned long long *seed, enum weights kind) {
    struct error err;
    struct writer *writer;
    CHECK_OK(writer_open(index, &writer, &err), err);
    for (uint32_t i = 0; i < DOCS; i++) {
        put_random(writer, seed, i, kind);
        if (i % 2700 == 0)
            CHECK_OK(writer_commit(writer, &err), err);
    }
    for (uint32_t i = 0; i < DELETED; i++) {
        char key[32];
        bool found;
        snprintf(key, sizeof key, "doc-%u", (uint32_t)(check_random(seed) % DOCS));
        CHECK_OK(writer_delete(writer, key, strlen(key), &found, &err), err);
    }
    CHECK_OK(writer_commit(writer, &err), err);
    writer_close(writer);
}

static bool is_allowed(const struct docid_set *allowed, uint32_t docid) {
    return !allowed || docid_set_has(allowed, docid);
}

/* Every live, allowed document's score, best first; how many are above 0. */
static size_t score_all(struct snapshot *snapshot, const struct sparse_vector *query,
                        const struct docid_set *allowed, struct arena *arena, struct scored *out) {
    struct error err;
    static uint32_t docids[DOCS];
    static float scores[DOCS];
    size_t n = 0, above = 0;
    for (uint32_t i = 0; i < DOCS; i++)
        if (snapshot_is_live(snapshot, i) && is_allowed(allowed, i))
            docids[n++] = i;
    CHECK_OK(sparse_score(snapshot, query, docids, n, arena, scores, &err), err);
    for (size_t i = 0; i < n; i++)
        if (scores[i] > 0)
            out[above++] = (struct scored){scores[i], docids[i]};
    scored_sort(out, above);
    return above;
}

static void same(const struct scored_list *list, size_t k, const struct scored *all, size_t all_n) {
    CHECK_EQUAL(list->n, k < all_n ? k : all_n);
    for (size_t i = 0; i < list->n && i < all_n; i++)
        if (list->entries[i].docid != all[i].docid ||
            memcmp(&list->entries[i].score, &all[i].score, sizeof(float)) != 0) {
            CHECK_EQUAL(list->entries[i].docid, all[i].docid);
            CHECK_NEAR(list->entries[i].score, all[i].score, 0);
        }
}

/* NULL now and then; else one of 2, 20 or 2000 live docids, in runs. */
static struct docid_set *random_filter(struct snapshot *snapshot, unsigned long long *seed,
                                       struct arena *arena) {
    static const unsigned parts[] = {2, 20, 2000};
    unsigned part = parts[check_random(seed) % 3];
    struct docid_set *set = ARENA_NEW(arena, struct docid_set, 1);
    bool on = false;
    if (check_random(seed) % 3 == 0)
        return NULL;
    *set = docid_set_new(DOCS, arena);
    for (uint32_t i = 0; i < DOCS; i++) {
        if (check_random(seed) % 3 == 0)
            on = check_random(seed) % part == 0;
        if (on && snapshot_is_live(snapshot, i))
            docid_set_add(set, i);
    }
    return set;
}

static void search_agrees(struct index *index, unsigned long long *seed, enum weights kind) {
    static const size_t ks[] = {1, 2, 10, 100, 1000, DOCS};
    static struct scored all[DOCS];
    struct error err;
    struct arena arena = {0};
    struct snapshot *snapshot;
    uint32_t ids[QUERY_TERMS];
    float weights[QUERY_TERMS];
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    struct docid_set *allowed = random_filter(snapshot, seed, &arena);
    size_t terms_max = check_random(seed) % 3 ? 12 : QUERY_TERMS;
    struct sparse_vector query = {ids, weights, fixture_ids(seed, terms_max, VOCABULARY, ids)};
    for (size_t i = 0; i < query.n; i++)
        weights[i] = random_weight(seed, kind);
    size_t all_n = score_all(snapshot, &query, allowed, &arena, all);
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
        struct scored_list list;
        CHECK_OK(sparse_search(snapshot, &query, ks[i], allowed, &arena, &list, &err), err);
        same(&list, ks[i], all, all_n);
    }
    snapshot_close(snapshot);
    arena_done(&arena);
}

/* Whatever is left out, what is found has its score and is in order; all of the mass is all. */
static void approximate_is_honest(struct index *index, unsigned long long *seed,
                                  enum weights kind) {
    enum { K = 20, ROUNDS = 60 };
    static struct scored all[DOCS];
    struct error err;
    struct arena arena = {0};
    struct snapshot *snapshot;
    size_t found = 0, wanted = 0;
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t ids[QUERY_TERMS], docids[K];
        float weights[QUERY_TERMS], scores[K];
        struct sparse_vector query = {ids, weights, fixture_ids(seed, 12, VOCABULARY, ids)};
        struct scored_list list;
        for (size_t i = 0; i < query.n; i++)
            weights[i] = random_weight(seed, kind);
        size_t all_n = score_all(snapshot, &query, NULL, &arena, all);
        CHECK_OK(sparse_search_approximate(snapshot, &query, K, NULL, 1, &arena, &list, &err), err);
        same(&list, K, all, all_n);
        CHECK(!list.approximate);
        CHECK_OK(sparse_search_approximate(snapshot, &query, K, NULL, 0.8f, &arena, &list, &err),
                 err);
        CHECK(list.n <= K && list.n <= all_n);
        for (size_t i = 0; i < list.n; i++)
            docids[i] = list.entries[i].docid;
        CHECK_OK(sparse_score(snapshot, &query, docids, list.n, &arena, scores, &err), err);
        for (size_t i = 0; i < list.n; i++) {
            CHECK(memcmp(&scores[i], &list.entries[i].score, sizeof *scores) == 0);
            CHECK(i == 0 || scored_before(list.entries[i - 1], list.entries[i]));
            /* ties count */
            found += list.entries[i].score >= all[all_n < K ? all_n - 1 : K - 1].score;
        }
        wanted += all_n < K ? all_n : K;
    }
    if (kind != WEIGHTS_WILD)
        CHECK((double)found >= 0.8 * (double)wanted);
    snapshot_close(snapshot);
    arena_done(&arena);
}

static void wrong_masses_are_refused(struct index *index) {
    static const float masses[] = {0, -1, 1.001f, NAN};
    struct error err;
    struct arena arena = {0};
    struct snapshot *snapshot;
    struct scored_list list;
    struct sparse_vector query = {(uint32_t[]){1}, (float[]){1}, 1};
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    for (size_t i = 0; i < 4; i++) {
        CHECK(
            !sparse_search_approximate(snapshot, &query, 3, NULL, masses[i], &arena, &list, &err));
        CHECK_EQUAL(err.code, ERROR_INVALID);
    }
    snapshot_close(snapshot);
    arena_done(&arena);
}

/* ---- damage ---- */

/* Turns one bit of a posting list around, and back at the second call; the list's term. */
static uint32_t turn_bit(struct index *index, uint64_t dice) {
    struct error err;
    struct store_txn *txn;
    struct store_cursor cursor;
    uint64_t lists_n;
    CHECK_OK(store_begin_write(index->store, &txn, &err), err);
    CHECK_OK(store_entries_n(txn, TABLE_POSTINGS, &lists_n, &err), err);
    CHECK_OK(store_cursor_open(txn, TABLE_POSTINGS, "", 1, &cursor, &err), err);
    for (uint64_t i = dice % lists_n; i > 0; i--)
        CHECK_OK(store_cursor_next(&cursor, &err), err);
    uint8_t key[8], *value = mem_alloc(cursor.value.len, 1);
    size_t bit = dice / lists_n % (8 * cursor.value.len), len = cursor.value.len;
    memcpy(key, cursor.key.data, sizeof key);
    memcpy(value, cursor.value.data, len);
    value[bit / 8] ^= (uint8_t)(1u << bit % 8);
    store_cursor_close(&cursor);
    CHECK_OK(store_put(txn, TABLE_POSTINGS, key, sizeof key, value, len, &err), err);
    CHECK_OK(store_commit(txn, &err), err);
    free(value);
    return get_be32(key + 4);
}

/* A few terms of chance, and one that must be among them. */
static size_t ids_with(unsigned long long *seed, uint32_t term, uint32_t *ids) {
    size_t n = fixture_ids(seed, 8, VOCABULARY, ids), kept = 0;
    for (size_t i = 0; i < n; i++)
        if (ids[i] != term)
            ids[kept++] = ids[i];
    ids[kept++] = term;
    qsort(ids, kept, sizeof *ids, fixture_by_id);
    return kept;
}

/* Whatever bit is turned, a search that asks for the list says so or finds what is right. */
static bool is_noticed(struct index *index, uint64_t dice) {
    static struct scored all[DOCS];
    bool noticed = false;
    uint32_t term = turn_bit(index, dice);
    unsigned long long seed = dice;
    for (int round = 0; round < 2; round++) {
        struct error err;
        struct arena arena = {0};
        struct snapshot *snapshot;
        struct scored_list list;
        uint32_t ids[QUERY_TERMS];
        float weights[QUERY_TERMS];
        CHECK_OK(snapshot_open(index, &snapshot, &err), err);
        struct sparse_vector query = {ids, weights, ids_with(&seed, term, ids)};
        for (size_t i = 0; i < query.n; i++)
            weights[i] = random_weight(&seed, WEIGHTS_SMOOTH);
        size_t all_n = score_all(snapshot, &query, NULL, &arena, all);
        if (sparse_search(snapshot, &query, 10, NULL, &arena, &list, &err)) {
            same(&list, 10, all, all_n);
        } else {
            CHECK_EQUAL(err.code, ERROR_CORRUPT);
            noticed = true;
        }
        snapshot_close(snapshot);
        arena_done(&arena);
    }
    turn_bit(index, dice);
    return noticed;
}

static void damage_is_told(struct index *index, unsigned long long *seed) {
    enum { ROUNDS = 60 };
    unsigned noticed = 0;
    for (int round = 0; round < ROUNDS; round++)
        noticed += is_noticed(index, check_random(seed) >> 8);
    CHECK(noticed > ROUNDS / 2); /* the rest: blocks that no search needed to open */
}

static void one_index(enum index_lexical lexical, enum weights kind, unsigned long long *seed) {
    struct error err;
    char folder[64];
    struct index *index;
    struct index_settings settings = fixture_settings(lexical);
    if (check_random(seed) % 2) { /* not what tables of bounds are made for */
        settings.bm25_k1 = 0.6f;
        settings.bm25_b = check_random(seed) % 2 ? 1 : 0;
    }
    fixture_folder(folder);
    CHECK_OK(index_create(folder, &settings, &index, &err), err);
    fill(index, seed, kind);
    for (int round = 0; round < 25; round++)
        search_agrees(index, seed, kind);
    approximate_is_honest(index, seed, kind);
    wrong_masses_are_refused(index);
    if (kind == WEIGHTS_SMOOTH)
        damage_is_told(index, seed);
    index_close(index);
    fixture_remove(folder);
}

int main(void) {
    unsigned long long seed = 17;
    kinds_agree(&seed);
    for (int lexical = INDEX_LEXICAL_LEARNED; lexical <= INDEX_LEXICAL_BM25; lexical++)
        for (int kind = 0; kind < WEIGHTS_KINDS; kind++)
            one_index((enum index_lexical)lexical, (enum weights)kind, &seed);
    return check_result();
}
