/* Deletion by key and by filter: what is gone, what stays, what is said of it. */
#include "index/remove.h"

#include "index/fields/filter.h"
#include "index/fixture.h"

enum { DOCUMENTS_N = 50, VOCABULARY = 40 };

static void fill(struct index *index) {
    struct error err;
    struct writer *writer;
    unsigned long long seed = 11;
    CHECK_OK(writer_open(index, &writer, &err), err);
    for (uint32_t i = 0; i < DOCUMENTS_N; i++) {
        struct fixture_record record;
        fixture_record(&seed, INDEX_LEXICAL_BM25, VOCABULARY, i, &record);
        struct record view = fixture_view(&record);
        CHECK_OK(writer_put(writer, &view, &err), err);
    }
    CHECK_OK(writer_commit(writer, &err), err);
    writer_close(writer);
}

static struct index_key key_of(const char *text) {
    return (struct index_key){text, strlen(text)};
}

static bool is_there(struct index *index, const char *key) {
    struct error err;
    struct snapshot *snapshot;
    uint32_t docid;
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    bool there = document_find(snapshot, key, strlen(key), &docid, &err);
    snapshot_close(snapshot);
    return there;
}

/* Scores and how many, of some lexical searches, folded into one number (docids differ). */
static uint64_t sparse_answers(struct index *index) {
    struct error err;
    struct snapshot *snapshot;
    struct arena arena = {0};
    unsigned long long seed = 5;
    uint64_t sum = 0;
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    for (int i = 0; i < 20; i++) {
        struct fixture_record query;
        struct scored_list list;
        fixture_record(&seed, INDEX_LEXICAL_BM25, FIXTURE_VOCABULARY, 0, &query);
        struct sparse_vector sparse = {query.ids, query.weights, query.terms_n};
        CHECK_OK(sparse_search(snapshot, &sparse, 100, NULL, &arena, &list, &err), err);
        for (size_t j = 0; j < list.n; j++) {
            uint32_t bits;
            memcpy(&bits, &list.entries[j].score, sizeof bits);
            sum = (sum ^ bits) * 0x9E3779B97F4A7C15;
        }
    }
    snapshot_close(snapshot);
    arena_done(&arena);
    return sum;
}

static uint64_t documents_in(struct index *index) {
    struct error err;
    struct index_counts counts = {0};
    CHECK_OK(index_count(index, &counts, &err), err);
    return counts.documents_n;
}

static void count_is(struct index *index, uint64_t documents_n, uint64_t dead_n) {
    struct error err;
    struct index_counts counts = {0};
    CHECK_OK(index_count(index, &counts, &err), err);
    CHECK_EQUAL(counts.documents_n, documents_n);
    CHECK_EQUAL(counts.dead_n, dead_n);
}

static void removes_by_key(struct index *index) {
    struct error err;
    char too_long[WRITER_KEY_BYTES_MAX + 2];
    memset(too_long, 'x', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    const struct index_key keys[] = {
        key_of("doc-7"), key_of("nobody"), key_of("doc-7"),
        key_of(""),      key_of(too_long), key_of("doc-49"),
    };
    bool found[6];
    CHECK_OK(index_remove(index, keys, 6, found, &err), err);
    CHECK(found[0] && !found[1] && !found[2] && !found[3] && !found[4] && found[5]);
    CHECK(!is_there(index, "doc-7"));
    CHECK(!is_there(index, "doc-49"));
    CHECK(is_there(index, "doc-8"));
    count_is(index, DOCUMENTS_N - 2, 2);
}

/* ---- by filter ---- */

static struct filter *filter_of(const char *text, struct arena *arena) {
    struct error err;
    struct filter *filter = NULL;
    struct json *json = json_parse(text, strlen(text), &err);
    CHECK(json);
    CHECK_OK(filter_parse(json, arena, &filter, &err), err);
    json_release(json);
    return filter;
}

static uint64_t remove_passing(struct index *index, const char *text) {
    struct error err;
    struct arena arena = {0};
    struct filter *filter = filter_of(text, &arena);
    uint64_t passing_n = 0, removed_n = 0;
    CHECK_OK(filter_count(filter, index, &passing_n, &err), err);
    CHECK_OK(index_remove_passing(index, filter, &removed_n, &err), err);
    CHECK_EQUAL(passing_n, removed_n);
    CHECK_OK(filter_count(filter, index, &passing_n, &err), err);
    CHECK_EQUAL(passing_n, 0);
    arena_done(&arena);
    return removed_n;
}

/* More than two batches; what stays is what did not pass, answers and all. */
static void removes_in_batches(void) {
    enum { N = 2 * REMOVE_BATCH + 100, KEPT = 30 };
    struct error err;
    char folder[64];
    struct index *index;
    struct index_settings settings = fixture_settings(INDEX_LEXICAL_BM25);
    uint64_t answers[2];
    for (int filled = 0; filled < 2; filled++) { /* as one that never had them */
        fixture_folder(folder);
        CHECK_OK(index_create(folder, &settings, &index, &err), err);
        fixture_fill(index, 3, 0, KEPT, 10);
        if (filled) {
            fixture_fill(index, 4, KEPT, N, 1000);
            CHECK_EQUAL(remove_passing(index, "{\"n\":{\"$lt\":0}}"), 0);
            CHECK_EQUAL(remove_passing(index, "{\"n\":{\"$gte\":30}}"), N - KEPT);
            CHECK(is_there(index, "doc-29") && !is_there(index, "doc-30"));
        }
        CHECK_EQUAL(documents_in(index), KEPT);
        answers[filled] = sparse_answers(index);
        index_close(index);
        fixture_remove(folder);
    }
    CHECK_EQUAL(answers[0], answers[1]);
}

static void which_filters_pass_all(void) {
    static const char *const all[] = {"{}", "{\"$and\":[{}]}", "{\"$and\":[{},{\"$and\":[{}]}]}"},
                             *const not_all[] = {"{\"a\":1}", "{\"$and\":[{},{\"a\":1}]}",
                                                 "{\"$or\":[{},{\"a\":1}]}",
                                                 "{\"a\":{\"$exists\":false}}"};
    struct arena arena = {0};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        CHECK(filter_passes_all(filter_of(all[i], &arena)));
    for (size_t i = 0; i < sizeof not_all / sizeof *not_all; i++)
        CHECK(!filter_passes_all(filter_of(not_all[i], &arena)));
    arena_done(&arena);
}

/* The folder goes, and what is open goes on; others' files keep it where it is. */
static void destroys(void) {
    struct error err;
    char folder[64], path[96];
    struct index *index, *other;
    struct index_settings settings = fixture_settings(INDEX_LEXICAL_BM25);
    fixture_folder(folder);
    CHECK_OK(index_create(folder, &settings, &index, &err), err);
    fixture_fill(index, 3, 0, 20, 10);
    snprintf(path, sizeof path, "%s/strange", folder);
    FILE *file = fopen(path, "w");
    CHECK(file && fclose(file) == 0);
    CHECK(!index_destroy(index, &err));
    CHECK_EQUAL(err.code, ERROR_INVALID);
    CHECK(index_exists(folder) && index_is_current(index));
    CHECK(unlink(path) == 0);
    CHECK_OK(index_destroy(index, &err), err);
    CHECK(access(folder, F_OK) != 0);
    CHECK_EQUAL(documents_in(index), 20);
    CHECK_OK(index_create(folder, &settings, &other, &err), err); /* anew, beside the open one */
    CHECK_EQUAL(documents_in(other), 0);
    index_close(other);
    index_close(index);
    CHECK_OK(index_open(folder, INDEX_READ, &index, &err), err);
    CHECK(!index_destroy(index, &err));
    index_close(index);
    fixture_remove(folder);
}

static void refuses(struct index *index, const char *folder) {
    struct error err;
    struct writer *writer;
    struct index_key key = key_of("doc-1");
    bool found = true;
    CHECK_OK(writer_open(index, &writer, &err), err);
    CHECK(!index_remove(index, &key, 1, &found, &err));
    CHECK_EQUAL(err.code, ERROR_BUSY);
    struct arena arena = {0};
    uint64_t removed_n = 1;
    CHECK(!index_remove_passing(index, filter_of("{}", &arena), &removed_n, &err));
    CHECK_EQUAL(err.code, ERROR_BUSY);
    CHECK_EQUAL(removed_n, 0);
    arena_done(&arena);
    writer_close(writer);
    index_close(index);
    CHECK_OK(index_open(folder, INDEX_READ, &index, &err), err);
    CHECK(!index_remove(index, &key, 1, &found, &err));
    CHECK_EQUAL(err.code, ERROR_INVALID);
    CHECK(is_there(index, "doc-1"));
    CHECK(!is_there(index, "doc-7")); /* durable: seen by who opens it anew */
    count_is(index, DOCUMENTS_N - 2, 3);
    index_close(index);
}

int main(void) {
    struct error err;
    char folder[64];
    struct index *index;
    struct index_settings settings = fixture_settings(INDEX_LEXICAL_BM25);
    settings.dense_dim = settings.multi_dim = FIXTURE_DIM;
    fixture_folder(folder);
    CHECK_OK(index_create(folder, &settings, &index, &err), err);
    fill(index);
    removes_by_key(index);
    CHECK_EQUAL(remove_passing(index, "{\"n\":{\"$in\":[3,7,49,1000]}}"), 1); /* 3 alone is there */
    fixture_fill(index, 12, 3, 4, 1);
    count_is(index, DOCUMENTS_N - 2, 3);
    refuses(index, folder);
    fixture_remove(folder);
    removes_in_batches();
    which_filters_pass_all();
    destroys();
    return check_result();
}
