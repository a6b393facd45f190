/* What comes back of a record is what was put in, as far as f16 and codes keep it. */
#include "index/representation.h"

#include <math.h>

#include "engine/base/vec.h"
#include "index/fixture.h"

enum { RECORDS = 40 };

static float product(const float *a, const float *b) {
    return vec_dot_f32(a, b, FIXTURE_DIM);
}

static void same(const struct representation *got, const struct fixture_record *put, bool lexical,
                 uint32_t multi_max) {
    for (size_t i = 0; i < FIXTURE_DIM; i++)
        CHECK_NEAR(got->dense[i], put->dense[i], 1e-3);
    CHECK_EQUAL(got->sparse.n, lexical ? put->terms_n : 0);
    for (size_t i = 0; i < got->sparse.n; i++)
        CHECK(got->sparse.ids[i] == put->ids[i] && got->sparse.weights[i] == put->weights[i]);
    uint32_t step = multi_max ? (put->multi_n + multi_max - 1) / multi_max : 1;
    step = step ? step : 1;
    CHECK(got->multi_n <= multi_max || multi_max == 0);
    if (multi_max == 0) {
        CHECK_EQUAL(got->multi_n, 0);
        return;
    }
    CHECK_EQUAL(got->multi_step, step);
    CHECK_EQUAL(got->multi_n, (put->multi_n + step - 1) / step);
    for (uint32_t i = 0; i < got->multi_n; i++) {
        const float *row = got->multi + (size_t)i * FIXTURE_DIM;
        const float *own = put->multi + (size_t)i * step * FIXTURE_DIM;
        CHECK(product(row, own) / sqrtf(product(row, row) * product(own, own)) > .9f);
    }
}

static void reads_what_was_put(enum index_lexical lexical) {
    char folder[64];
    struct index *index;
    struct writer *writer;
    struct snapshot *snapshot;
    struct arena arena = {0};
    struct error err;
    unsigned long long seed = 5;
    static struct fixture_record records[RECORDS];
    struct index_settings settings = fixture_settings(lexical);
    settings.dense_dim = settings.multi_dim = FIXTURE_DIM;
    fixture_folder(folder);
    CHECK_OK(index_create(folder, &settings, &index, &err), err);
    CHECK_OK(writer_open(index, &writer, &err), err);
    for (uint32_t i = 0; i < RECORDS; i++) {
        fixture_record(&seed, lexical, FIXTURE_VOCABULARY, i, &records[i]);
        struct record record = fixture_view(&records[i]);
        if (lexical == INDEX_LEXICAL_NONE)
            record.sparse.n = 0;
        CHECK_OK(writer_put(writer, &record, &err), err);
    }
    CHECK_OK(writer_commit(writer, &err), err);
    writer_close(writer);
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    for (uint32_t i = 0; i < RECORDS; i++)
        for (uint32_t multi_max = 0; multi_max <= FIXTURE_MULTI_MAX; multi_max++) {
            struct representation got;
            uint32_t docid;
            CHECK_OK(document_find(snapshot, records[i].key, strlen(records[i].key), &docid, &err),
                     err);
            CHECK_OK(representation_of(snapshot, docid, multi_max, &arena, &got, &err), err);
            same(&got, &records[i], lexical != INDEX_LEXICAL_NONE, multi_max);
            arena_reset(&arena);
        }
    snapshot_close(snapshot);
    index_close(index);
    arena_done(&arena);
    fixture_remove(folder);
}

int main(void) {
    reads_what_was_put(INDEX_LEXICAL_BM25);
    reads_what_was_put(INDEX_LEXICAL_LEARNED);
    reads_what_was_put(INDEX_LEXICAL_NONE);
    return check_result();
}
