/* Dense search where a document has several rows: the best documents, each once, by its best row,
 * against the plainest scan; through one list and many, with filters, the dead and the newer. */
#include "engine/base/mem.h"
#include "engine/base/vec.h"
#include "index/dense/best.h"
#include "index/dense/dense.h"
#include "index/fixture.h"

enum { DIM = 48, CLUSTERS = 80, ROWS_MAX = 40, K = 10 };

/* ---- the best of a stream ---- */

static void best_is_the_naive_best(void) {
    enum { DOCUMENTS = 300, PUSHES = 4000 };
    unsigned long long seed = 3;
    struct arena arena = {0};
    for (size_t k = 0; k < 150; k = 2 * k + 1) {
        float naive[DOCUMENTS];
        struct dense_best best;
        struct topk expected;
        size_t n;
        dense_best_init(&best, k, true, &arena);
        topk_init(&expected, k, &arena);
        for (size_t i = 0; i < DOCUMENTS; i++)
            naive[i] = -INFINITY;
        for (size_t i = 0; i < PUSHES; i++) {
            uint32_t docid = (uint32_t)(check_random(&seed) % DOCUMENTS);
            float score = (float)(check_random(&seed) % 500); /* many are equal */
            if (i % 1000 == 7)
                score = NAN;
            else if (score > naive[docid])
                naive[docid] = score;
            dense_best_push(&best, score, docid);
        }
        for (uint32_t i = 0; i < DOCUMENTS; i++)
            topk_push(&expected, naive[i], i);
        topk_sort(&expected);
        struct scored *found = dense_best_get(&best, &n);
        scored_sort(found, n);
        CHECK_EQUAL(n, expected.n);
        for (size_t i = 0; i < n; i++)
            CHECK(found[i].docid == expected.heap[i].docid &&
                  found[i].score == expected.heap[i].score);
        CHECK(n == 0 || dense_best_threshold(&best) == expected.heap[n - 1].score);
        arena_reset(&arena);
    }
    arena_done(&arena);
}

/* ---- an index of documents with several rows ---- */

struct fix {
    char folder[64];
    struct index *index;
    struct writer *writer;
    struct arena arena;
    unsigned long long seed;
    float centres[CLUSTERS][DIM];
    struct row {
        uint32_t docid;
        float values[DIM]; /* as f16 keeps them */
    } * rows;              /* [rows_n] */
    size_t rows_n;
    bool *live; /* [documents_n] by docid */
    uint32_t documents_n;
};

static void draw_row(struct fix *fix, size_t cluster, float *out) {
    for (size_t i = 0; i < DIM; i++)
        out[i] = fix->centres[cluster][i] + 0.5f * check_random_float(&fix->seed);
    vec_normalize(out, DIM);
}

static void fix_open(struct fix *fix, struct dense_limits limits, unsigned long long seed) {
    struct error err;
    struct index_settings settings = {.dense_dim = DIM, .chunk_tokens = 100};
    *fix = (struct fix){.seed = seed};
    fixture_folder(fix->folder);
    for (size_t i = 0; i < CLUSTERS; i++)
        for (size_t j = 0; j < DIM; j++)
            fix->centres[i][j] = check_random_float(&fix->seed);
    CHECK_OK(index_create(fix->folder, &settings, &fix->index, &err), err);
    CHECK_OK(writer_open(fix->index, &fix->writer, &err), err);
    dense_index_set_limits(index_dense(fix->index), limits);
}

static void fix_close(struct fix *fix) {
    writer_close(fix->writer);
    index_close(fix->index);
    fixture_remove(fix->folder);
    arena_done(&fix->arena);
    free(fix->rows);
    free(fix->live);
}

/* Passages of a document mostly speak of one thing, some of others. */
static void put_document(struct fix *fix) {
    struct error err;
    struct record_passage passages[ROWS_MAX];
    float rows[ROWS_MAX][DIM];
    char key[32], text[ROWS_MAX * 2];
    size_t n = check_random(&fix->seed) % 3 == 0 ? 1 : 1 + check_random(&fix->seed) % ROWS_MAX;
    size_t own = check_random(&fix->seed) % CLUSTERS;
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < n; i++) {
        uint16_t halves[DIM];
        bool other = check_random(&fix->seed) % 4 == 0;
        draw_row(fix, other ? check_random(&fix->seed) % CLUSTERS : own, rows[i]);
        passages[i] = (struct record_passage){
            .begin = (uint32_t)(2 * i), .end = (uint32_t)(2 * i + 2), .dense = rows[i]};
        fix->rows = mem_realloc(fix->rows, fix->rows_n + 1, sizeof *fix->rows);
        struct row *row = &fix->rows[fix->rows_n++];
        row->docid = fix->documents_n;
        vec_to_f16(rows[i], DIM, halves);
        vec_from_f16(halves, DIM, row->values);
    }
    struct record record = {
        .key = key, .text = text, .text_len = sizeof text, .passages = passages, .passages_n = n};
    record.key_len = (size_t)snprintf(key, sizeof key, "%u", fix->documents_n);
    CHECK_OK(writer_put(fix->writer, &record, &err), err);
    fix->live = mem_realloc(fix->live, fix->documents_n + 1, sizeof *fix->live);
    fix->live[fix->documents_n++] = true;
}

static void put_documents(struct fix *fix, uint32_t n) {
    struct error err;
    for (uint32_t i = 0; i < n; i++)
        put_document(fix);
    CHECK_OK(writer_commit(fix->writer, &err), err);
}

static void delete_some(struct fix *fix, uint32_t one_in) {
    struct error err;
    for (uint32_t docid = 0; docid < fix->documents_n; docid++) {
        char key[32];
        bool found = false;
        if (!fix->live[docid] || check_random(&fix->seed) % one_in != 0)
            continue;
        size_t len = (size_t)snprintf(key, sizeof key, "%u", docid);
        CHECK_OK(writer_delete(fix->writer, key, len, &found, &err), err);
        CHECK(found);
        fix->live[docid] = false;
    }
    CHECK_OK(writer_commit(fix->writer, &err), err);
}

static uint64_t build(struct fix *fix) {
    struct error err;
    struct index_counts counts = {0};
    size_t rows_n = 0;
    CHECK_OK(writer_build_dense(fix->writer, 2, &err), err);
    CHECK_OK(index_count(fix->index, &counts, &err), err);
    for (size_t i = 0; i < fix->rows_n; i++)
        rows_n += fix->live[fix->rows[i].docid];
    CHECK_EQUAL(counts.passages_n, rows_n);
    return counts.dense_generation;
}

/* ---- searches ---- */

static struct scored *oracle(struct fix *fix, const float *query, size_t k,
                             const struct docid_set *allowed, size_t *n_out) {
    struct topk topk;
    float *scores = ARENA_NEW(&fix->arena, float, fix->documents_n);
    for (uint32_t i = 0; i < fix->documents_n; i++)
        scores[i] = -INFINITY;
    for (size_t i = 0; i < fix->rows_n; i++) {
        const struct row *row = &fix->rows[i];
        scores[row->docid] = fmaxf(scores[row->docid], vec_dot_f32(query, row->values, DIM));
    }
    topk_init(&topk, k, &fix->arena);
    for (uint32_t i = 0; i < fix->documents_n; i++)
        if (fix->live[i] && (!allowed || docid_set_has(allowed, i)))
            topk_push(&topk, scores[i], i);
    topk_sort(&topk);
    *n_out = topk.n;
    return topk.heap;
}

/* Every living document whose number leaves `rest` divided by `divisor`. */
static struct docid_set allow(struct fix *fix, uint32_t divisor, uint32_t rest) {
    struct docid_set set = docid_set_new(fix->documents_n, &fix->arena);
    for (uint32_t i = rest; i < fix->documents_n; i += divisor)
        if (fix->live[i])
            docid_set_add(&set, i);
    return set;
}

/* The part of the oracle's k best that is found; on the way, what a list must be. divisor 0: no
 * filter. */
static double recall(struct fix *fix, size_t queries_n, size_t k, bool exact, uint32_t divisor) {
    struct error err;
    struct snapshot *snapshot;
    size_t hits = 0, wanted = 0;
    CHECK_OK(snapshot_open(fix->index, &snapshot, &err), err);
    for (size_t q = 0; q < queries_n; q++) {
        float query[DIM], score = 0;
        struct scored_list found = {0};
        struct docid_set set, *allowed = NULL;
        size_t n;
        draw_row(fix, check_random(&fix->seed) % CLUSTERS, query);
        if (divisor > 0) {
            set = allow(fix, divisor, (uint32_t)(q % divisor));
            allowed = &set;
        }
        struct scored *expected = oracle(fix, query, k, allowed, &n);
        CHECK_OK(dense_search(snapshot, query, k, exact, allowed, &fix->arena, &found, &err), err);
        CHECK_EQUAL(found.n, n);
        for (size_t i = 0; i < found.n; i++) {
            struct scored at = found.entries[i];
            CHECK(fix->live[at.docid] && (!allowed || docid_set_has(allowed, at.docid)));
            CHECK(i == 0 || scored_before(found.entries[i - 1], at)); /* none twice */
            CHECK_OK(dense_score(snapshot, query, &at.docid, 1, &score, &err), err);
            CHECK(score == at.score);
            hits += at.score >= expected[n - 1].score - 1e-6f;
        }
        wanted += n;
        arena_reset(&fix->arena);
    }
    snapshot_close(snapshot);
    return (double)hits / (double)wanted;
}

static void one_list_is_exact(void) {
    struct fix fix;
    fix_open(&fix, (struct dense_limits){100, 1 << 30, 100, 0, 1}, 11);
    put_documents(&fix, 120);
    CHECK(recall(&fix, 20, K, false, 0) == 1);
    CHECK_EQUAL(build(&fix), 1);
    CHECK(recall(&fix, 50, K, false, 0) == 1);
    CHECK(recall(&fix, 50, K, true, 3) == 1);
    CHECK(recall(&fix, 5, 1000, false, 0) == 1);
    put_documents(&fix, 5); /* few rows are newer */
    CHECK_EQUAL(build(&fix), 1);
    delete_some(&fix, 4);
    CHECK(recall(&fix, 50, K, false, 0) == 1);
    CHECK(recall(&fix, 50, K, false, 2) == 1);
    put_documents(&fix, 100); /* many are */
    CHECK_EQUAL(build(&fix), 2);
    CHECK_EQUAL(build(&fix), 2); /* several rows a document are no reason to make it again */
    CHECK(recall(&fix, 50, K, false, 0) == 1);
    CHECK(recall(&fix, 50, K, true, 2) == 1);
    fix_close(&fix);
}

static void lists_find_nearly_all(void) {
    struct fix fix;
    fix_open(&fix, (struct dense_limits){100, 2000, 500, 200, 1}, 12);
    put_documents(&fix, 800); /* some 11,000 rows */
    CHECK_EQUAL(build(&fix), 1);
    CHECK(recall(&fix, 20, K, true, 0) == 1);
    double few = recall(&fix, 200, K, false, 0), many = recall(&fix, 30, 100, false, 0);
    double filtered = recall(&fix, 100, K, false, 2);
    printf("lists over %zu rows of %u documents: recall@10 %.4f, @100 %.4f, of half %.4f\n",
           fix.rows_n, fix.documents_n, few, many, filtered);
    CHECK(few >= 0.95 && many >= 0.95 && filtered >= 0.95);
    delete_some(&fix, 3);
    put_documents(&fix, 200);
    CHECK_EQUAL(build(&fix), 2); /* extended */
    few = recall(&fix, 200, K, false, 0);
    printf("extended, a third dead: recall@10 %.4f\n", few);
    CHECK(few >= 0.95);
    CHECK(recall(&fix, 20, K, true, 0) == 1);
    fix_close(&fix);
}

int main(void) {
    best_is_the_naive_best();
    one_list_is_exact();
    lists_find_nearly_all();
    return check_result();
}
