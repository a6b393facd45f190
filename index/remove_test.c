/* Deletion by key: what is gone, what stays, what is said of it. */
#include "index/remove.h"

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

static void refuses(struct index *index, const char *folder) {
    struct error err;
    struct writer *writer;
    struct index_key key = key_of("doc-1");
    bool found = true;
    CHECK_OK(writer_open(index, &writer, &err), err);
    CHECK(!index_remove(index, &key, 1, &found, &err));
    CHECK_EQUAL(err.code, ERROR_BUSY);
    writer_close(writer);
    index_close(index);
    CHECK_OK(index_open(folder, INDEX_READ, &index, &err), err);
    CHECK(!index_remove(index, &key, 1, &found, &err));
    CHECK_EQUAL(err.code, ERROR_INVALID);
    CHECK(is_there(index, "doc-1"));
    CHECK(!is_there(index, "doc-7")); /* durable: seen by who opens it anew */
    count_is(index, DOCUMENTS_N - 2, 2);
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
    refuses(index, folder);
    fixture_remove(folder);
    return check_result();
}
