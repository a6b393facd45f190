/* Documents of several passages: what is put comes out, scores are the best passage's, and they
 * are replaced, deleted, merged, compacted, copied and exported as one document each. */
#include "index/passages.h"

#include "engine/base/base64.h"
#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "engine/base/vec.h"
#include "index/care/backup.h"
#include "index/care/check.h"
#include "index/care/compact.h"
#include "index/care/export.h"
#include "index/inside.h"
#include "index/multi/multivector.h"
#include "index/remove.h"
#include "index/representation.h"

#include "index/fixture.h"

enum { DOCUMENTS_N = 200, QUERY_VECTORS = 3 };

static struct index *make(char folder[64], uint32_t chunk_tokens) {
    struct error err;
    struct index *index = NULL;
    struct index_settings settings = fixture_settings(INDEX_LEXICAL_BM25);
    settings.dense_dim = settings.multi_dim = FIXTURE_DIM;
    settings.chunk_tokens = chunk_tokens;
    fixture_folder(folder);
    CHECK_OK(index_create(folder, &settings, &index, &err), err);
    return index;
}

/* A record of chance, and its passages: the same for the same key and version. */
static void draw(uint32_t key, uint32_t version, struct fixture_record *out) {
    unsigned long long seed = 1000ull * version + key + 1;
    for (int i = 0; i < 5; i++)
        check_random(&seed);
    fixture_record(&seed, INDEX_LEXICAL_BM25, FIXTURE_VOCABULARY, key, out);
    fixture_passages(out, strlen(out->text));
}

static void put(struct index *index, uint32_t begin, uint32_t end, uint32_t version) {
    struct error err;
    struct writer *writer;
    CHECK_OK(writer_open(index, &writer, &err), err);
    for (uint32_t key = begin; key < end; key++) {
        struct fixture_record record;
        draw(key, version, &record);
        struct record view = fixture_view(&record);
        CHECK_OK(writer_put(writer, &view, &err), err);
        if (key % 16 == 0)
            CHECK_OK(writer_commit(writer, &err), err);
    }
    CHECK_OK(writer_commit(writer, &err), err);
    writer_close(writer);
}

static size_t passages_n_of(const struct fixture_record *record) {
    return record->passages_n ? record->passages_n : 1;
}

/* ---- what is there ---- */

static void is_there(struct snapshot *snapshot, uint32_t key, uint32_t version) {
    struct fixture_record want;
    struct error err;
    struct document_passage passage;
    struct arena arena = {0};
    struct record_passage *passages;
    uint32_t docid;
    size_t n;
    draw(key, version, &want);
    CHECK_OK(document_find(snapshot, want.key, strlen(want.key), &docid, &err), err);
    CHECK_OK(passages_read(snapshot->txn, &snapshot->index->settings, docid, &arena, &passages, &n,
                           &err),
             err);
    CHECK_EQUAL(n, passages_n_of(&want));
    for (uint32_t i = 0; i < n && i < want.passages_n; i++) {
        CHECK_OK(document_passage(snapshot, docid, i, &passage, &err), err);
        CHECK(passage.begin == want.passages[i].begin && passage.end == want.passages[i].end);
        CHECK(passage.index == i && passage.n == n);
        for (size_t d = 0; d < FIXTURE_DIM; d++)
            CHECK_NEAR(passages[i].dense[d], want.passages[i].dense[d], 1e-3);
    }
    if (want.passages_n == 0) {
        CHECK_OK(document_passage(snapshot, docid, 0, &passage, &err), err);
        CHECK(passage.begin == 0 && passage.end == strlen(want.text) && passage.n == 1);
    }
    CHECK(!document_passage(snapshot, docid, (uint32_t)n, &passage, &err));
    CHECK_EQUAL(err.code, ERROR_INVALID);
    arena_done(&arena);
}

/* The best of a document's passages, by each mode's own function on each. */
static void scores_as_its_best(struct snapshot *snapshot, uint32_t key, uint32_t version) {
    struct fixture_record record;
    struct error err;
    struct arena arena = {0};
    float query[QUERY_VECTORS * FIXTURE_DIM], found, best = -INFINITY;
    unsigned long long seed = key + 77;
    uint32_t docid, which, best_of[QUERY_VECTORS];
    float products[QUERY_VECTORS];
    draw(key, version, &record);
    for (size_t i = 0; i < QUERY_VECTORS * FIXTURE_DIM; i++)
        query[i] = check_random_float(&seed);
    CHECK_OK(document_find(snapshot, record.key, strlen(record.key), &docid, &err), err);
    CHECK_OK(dense_best_passages(snapshot, query, &docid, 1, NULL, &which, &err), err);
    CHECK_OK(dense_score(snapshot, query, &docid, 1, &found, &err), err);
    for (size_t i = 0; i < record.passages_n; i++)
        best = fmaxf(best, vec_dot_f32(query, record.passages[i].dense, FIXTURE_DIM));
    if (record.passages_n > 0) {
        CHECK_NEAR(found, best, 1e-2);
        CHECK_NEAR(vec_dot_f32(query, record.passages[which].dense, FIXTURE_DIM), best, 1e-2);
    }
    CHECK_OK(
        multi_best_passages(snapshot, query, QUERY_VECTORS, &docid, 1, &arena, NULL, &which, &err),
        err);
    CHECK_OK(multi_score(snapshot, query, QUERY_VECTORS, &docid, 1, &arena, &found, &err), err);
    CHECK(which < passages_n_of(&record));
    best = -INFINITY;
    for (uint32_t i = 0; i < passages_n_of(&record); i++) {
        uint32_t vectors_n = record.passages_n ? record.passages[i].multi_n : record.multi_n;
        CHECK_OK(multi_explain(snapshot, query, QUERY_VECTORS, docid, i, &arena, best_of, products,
                               &err),
                 err);
        if (vectors_n > 0)
            best = fmaxf(best, (products[0] + products[1] + products[2]) / QUERY_VECTORS);
        CHECK(vectors_n == 0 || best_of[0] < vectors_n);
        if (i == which && vectors_n > 0)
            CHECK_NEAR((products[0] + products[1] + products[2]) / QUERY_VECTORS, found, 1e-6);
    }
    CHECK_NEAR(found, best > -INFINITY ? best : 0, 1e-6);
    arena_done(&arena);
}

/* version_of(key) is given by the first `newer` keys having been put twice. */
static void holds(struct index *index, uint32_t begin, uint32_t newer, uint32_t end) {
    struct error err;
    struct snapshot *snapshot;
    struct index_counts counts;
    size_t n = 0;
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    for (uint32_t key = begin; key < end; key++) {
        struct fixture_record record;
        uint32_t version = key < newer ? 2 : 1;
        is_there(snapshot, key, version);
        scores_as_its_best(snapshot, key, version);
        draw(key, version, &record);
        n += passages_n_of(&record);
    }
    CHECK_EQUAL(snapshot_documents_n(snapshot), end - begin);
    snapshot_close(snapshot);
    CHECK_OK(index_count(index, &counts, &err), err);
    CHECK_EQUAL(counts.documents_n, end - begin);
    CHECK_EQUAL(counts.passages_n, n);
    CHECK(counts.passages_n > counts.documents_n);
}

static void is_sound(const char *folder) {
    struct error err;
    struct check_totals totals = {0};
    CHECK_OK(index_check(folder, &(struct check_listener){0}, &totals, &err), err);
    CHECK_EQUAL(totals.problems_n, 0);
}

static void lives_as_one_document(void) {
    char folder[64], copy[64];
    struct error err;
    struct compact_totals compacted;
    struct backup_totals copied;
    struct index *index = make(folder, 100);
    put(index, 0, DOCUMENTS_N, 1);
    holds(index, 0, 0, DOCUMENTS_N);
    put(index, 0, 120, 2); /* other passages, more of them or fewer */
    holds(index, 0, 120, DOCUMENTS_N);
    for (uint32_t key = 0; key < 40; key++) {
        char name[32];
        bool found;
        struct index_key view = {name, (size_t)snprintf(name, sizeof name, "doc-%u", key)};
        CHECK_OK(index_remove(index, &view, 1, &found, &err), err);
        CHECK(found);
    }
    holds(index, 40, 120, DOCUMENTS_N);
    uint64_t answers = fixture_answers(index);
    index_close(index);
    is_sound(folder);

    CHECK_OK(index_compact(folder, &compacted, &err), err);
    is_sound(folder);
    CHECK_OK(index_open(folder, INDEX_WRITE, &index, &err), err);
    holds(index, 40, 120, DOCUMENTS_N);
    CHECK(fixture_answers(index) == answers);
    index_close(index);

    fixture_folder(copy);
    fixture_remove(copy);
    CHECK_OK(backup_copy(folder, copy, false, &copied, &err), err);
    CHECK_OK(index_open(copy, INDEX_READ, &index, &err), err);
    holds(index, 40, 120, DOCUMENTS_N);
    index_close(index);
    fixture_remove(folder);
    CHECK_OK(backup_copy(copy, folder, false, &copied, &err), err);
    CHECK_OK(index_open(folder, INDEX_READ, &index, &err), err);
    CHECK(fixture_answers(index) == answers);
    index_close(index);
    fixture_remove(folder);
    fixture_remove(copy);
}

/* As a query it is like all of it: the mean of its passages, and token vectors from each. */
static void stands_for_itself(void) {
    enum { KEYS = 30 };
    char folder[64];
    struct index *index = make(folder, 100);
    struct snapshot *snapshot;
    struct arena arena = {0};
    struct error err;
    put(index, 0, KEYS, 1);
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    for (uint32_t key = 0; key < KEYS; key++) {
        struct fixture_record record;
        struct representation got;
        float mean[FIXTURE_DIM] = {0};
        uint32_t docid, vectors_n = 0;
        draw(key, 1, &record);
        for (size_t i = 0; i < record.passages_n; i++) {
            vectors_n += record.passages[i].multi_n;
            for (size_t d = 0; d < FIXTURE_DIM; d++)
                mean[d] += record.passages[i].dense[d];
        }
        if (record.passages_n == 0)
            continue;
        CHECK_OK(document_find(snapshot, record.key, strlen(record.key), &docid, &err), err);
        CHECK_OK(representation_of(snapshot, docid, 3, &arena, &got, &err), err);
        CHECK(got.passages_n == record.passages_n || vectors_n == 0);
        CHECK_EQUAL(got.multi_step, vectors_n > 3 ? (vectors_n + 2) / 3 : 1);
        CHECK_EQUAL(got.multi_n, (vectors_n + got.multi_step - 1) / got.multi_step);
        float along = vec_dot_f32(got.dense, mean, FIXTURE_DIM);
        float lengths = sqrtf(vec_dot_f32(got.dense, got.dense, FIXTURE_DIM) *
                              vec_dot_f32(mean, mean, FIXTURE_DIM));
        CHECK_NEAR(along, lengths, 1e-2);
        arena_reset(&arena);
    }
    snapshot_close(snapshot);
    index_close(index);
    arena_done(&arena);
    fixture_remove(folder);
}

/* ---- what cannot be put ---- */

static void refused(struct index *index, const struct record *record, enum error_code code,
                    const char *why) {
    struct error err = {0};
    struct writer *writer;
    CHECK_OK(writer_open(index, &writer, &err), err);
    CHECK(!writer_put(writer, record, &err));
    CHECK_EQUAL(err.code, code);
    CHECK(strstr(err.message, why));
    if (!strstr(err.message, why))
        fprintf(stderr, "told \"%s\", not \"%s\"\n", err.message, why);
    CHECK_OK(writer_commit(writer, &err), err);
    writer_close(writer);
}

static void bad_passages_are_refused(void) {
    char folder[64];
    struct index *index = make(folder, 100);
    float dense[FIXTURE_DIM] = {1}, nan[FIXTURE_DIM] = {NAN};
    struct record_passage two[2] = {{0, 3, .dense = dense}, {2, 5, .dense = dense}};
    struct record record = {
        .key = "k", .key_len = 1, .text = "hello", .text_len = 5, .passages = two, .passages_n = 2};
    two[1].end = 6;
    refused(index, &record, ERROR_INVALID, "passage 1: bytes 2 to 6 of 5");
    two[1] = (struct record_passage){0, 5, .dense = dense};
    refused(index, &record, ERROR_INVALID, "must ascend");
    two[1] = (struct record_passage){2, 2, .dense = dense};
    refused(index, &record, ERROR_INVALID, "bytes 2 to 2");
    two[1] = (struct record_passage){2, 5, .dense = nan};
    refused(index, &record, ERROR_INVALID, "passage 1: dense vector");
    two[1] = (struct record_passage){2, 5, .dense = NULL};
    refused(index, &record, ERROR_INVALID, "passage 1: no dense vector");
    two[1] =
        (struct record_passage){2, 5, .dense = dense, .multi_codes = "x", .multi_codes_len = 1};
    refused(index, &record, ERROR_INVALID, "passage 1: multi-vector codes");

    enum { TOO_MANY = RECORD_PASSAGES_MAX + 1 };
    struct record_passage *many = mem_zalloc(TOO_MANY, sizeof *many);
    char *text = mem_zalloc(TOO_MANY, 1);
    for (uint32_t i = 0; i < TOO_MANY; i++)
        many[i] = (struct record_passage){i, i + 1, .dense = dense};
    record.text = text;
    record.text_len = TOO_MANY;
    record.passages = many;
    record.passages_n = TOO_MANY;
    refused(index, &record, ERROR_LIMIT, "4097 passages; a document may have 4096");
    record.passages_n = RECORD_PASSAGES_MAX; /* this many are fine */
    struct error err;
    struct writer *writer;
    CHECK_OK(writer_open(index, &writer, &err), err);
    CHECK_OK(writer_put(writer, &record, &err), err);
    CHECK_OK(writer_commit(writer, &err), err);
    writer_close(writer);
    index_close(index);
    is_sound(folder);
    fixture_remove(folder);
    free(text);

    index = make(folder, 0);
    record.passages_n = 2;
    refused(index, &record, ERROR_INVALID, "the index was made for documents of one");
    index_close(index);
    fixture_remove(folder);
    free(many);
}

/* ---- export ---- */

struct reading {
    uint32_t next;
    bool vectors;
};

static void passage_is(const struct json *found, const struct record_passage *want, bool vectors) {
    uint8_t codes[512], parsed[512];
    size_t len = multi_codes_bytes(FIXTURE_DIM, want->multi_n), text_len = 0, parsed_len = 0;
    struct error err;
    CHECK_EQUAL(json_number_of(json_get(found, "begin")), want->begin);
    CHECK_EQUAL(json_number_of(json_get(found, "end")), want->end);
    for (size_t d = 0; d < FIXTURE_DIM; d++)
        CHECK_NEAR(json_number_of(json_at(json_get(found, "dense"), d)), want->dense[d], 1e-3);
    if (vectors) {
        CHECK_EQUAL(json_count(json_get(found, "multi")), want->multi_n);
        return;
    }
    const char *text = json_string_of(json_get(found, "multi"), &text_len);
    multi_encode(want->multi, want->multi_n, FIXTURE_DIM, codes);
    CHECK(text && text_len / 4 * 3 <= sizeof parsed);
    CHECK_OK(base64_parse(text, text_len, parsed, &parsed_len, &err), err);
    CHECK(parsed_len == len && memcmp(parsed, codes, len) == 0);
}

static bool read_line(void *context, const char *line, size_t len, struct error *err) {
    struct reading *reading = context;
    struct fixture_record want;
    struct json *row = json_parse(line, len, err);
    draw(reading->next++, 1, &want);
    CHECK_TEXT(json_string_of(json_get(row, "id"), NULL), want.key);
    const struct json *passages = json_get(row, "passages");
    CHECK_EQUAL(json_count(passages), want.passages_n);
    CHECK((json_get(row, "dense") == NULL) == (want.passages_n > 0));
    bool any = false;
    for (size_t i = 0; i < want.passages_n; i++)
        any = any || want.passages[i].multi_n > 0;
    for (size_t i = 0; any && i < want.passages_n; i++)
        passage_is(json_at(passages, i), &want.passages[i], reading->vectors);
    json_release(row);
    return true;
}

static void comes_out(void) {
    char folder[64];
    struct error err;
    struct index *index = make(folder, 100);
    put(index, 0, DOCUMENTS_N, 1);
    for (int vectors = 0; vectors < 2; vectors++) {
        struct reading reading = {.vectors = vectors};
        CHECK_OK(index_export(index, vectors, read_line, &reading, &err), err);
        CHECK_EQUAL(reading.next, DOCUMENTS_N);
    }
    index_close(index);
    fixture_remove(folder);
}

static void settings_must_be_possible(void) {
    char folder[64];
    struct error err;
    struct index *index;
    struct index_settings settings = fixture_settings(INDEX_LEXICAL_BM25);
    fixture_folder(folder);
    settings.chunk_tokens = 100;
    settings.chunk_overlap = 51;
    CHECK(!index_create(folder, &settings, &index, &err));
    CHECK(err.code == ERROR_INVALID && strstr(err.message, "50 at most, not 51"));
    settings.chunk_overlap = 50;
    CHECK_OK(index_create(folder, &settings, &index, &err), err);
    index_close(index);
    CHECK_OK(index_open(folder, INDEX_READ, &index, &err), err);
    CHECK_EQUAL(index_settings_of(index)->chunk_tokens, 100);
    CHECK_EQUAL(index_settings_of(index)->chunk_overlap, 50);
    index_close(index);
    fixture_remove(folder);
}

int main(void) {
    settings_must_be_possible();
    lives_as_one_document();
    bad_passages_are_refused();
    stands_for_itself();
    comes_out();
    return check_result();
}
