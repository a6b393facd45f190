/* The life of an index: made, filled, read, changed, shared, opened again. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "engine/base/file.h"
#include "engine/base/vec.h"
#include "index/rows.h"
#include "index/fixture.h"
#include "index/forward.h"
#include "index/multi/multivector.h"
#include "index/segment.h"
#include "index/store/store.h"

static void fill(struct index *index, uint32_t n, uint32_t batch) {
    struct error err;
    struct writer *writer;
    CHECK_OK(writer_open(index, &writer, &err), err);
    for (uint32_t i = 0; i < n; i++) {
        fixture_put(writer, i + 1, i);
        if (i % batch == batch - 1)
            CHECK_OK(writer_commit(writer, &err), err);
    }
    CHECK_OK(writer_commit(writer, &err), err);
    writer_close(writer);
}

/* The document of put(.., seed, key) is stored under its key, whole. */
static void is_there(struct index *index, unsigned long long seed, uint32_t key) {
    struct error err;
    struct arena arena = {0};
    struct snapshot *snapshot;
    struct fixture_record want;
    struct document got;
    uint32_t docid;
    uint64_t hash = 0;
    fixture_record(&seed, INDEX_LEXICAL_BM25, FIXTURE_VOCABULARY, key, &want);
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    CHECK_OK(document_find(snapshot, want.key, strlen(want.key), &docid, &err), err);
    CHECK(snapshot_is_live(snapshot, docid));
    CHECK_OK(document_get(snapshot, docid, &arena, &got, &err), err);
    CHECK_TEXT(got.key, want.key);
    CHECK_TEXT(got.title, want.title);
    CHECK_TEXT(got.text, want.text);
    CHECK_TEXT(got.fields, want.fields);
    CHECK(got.content_hash == want.hash && got.text_len == strlen(want.text));
    CHECK(document_hash(snapshot, want.key, strlen(want.key), &hash) && hash == want.hash);

    size_t rows_n;
    const void *row = forward_dense_rows(snapshot, docid, &rows_n);
    float values[FIXTURE_DIM] = {0};
    CHECK(row != NULL);
    if (row)
        vec_from_f16(row, FIXTURE_DIM, values);
    for (size_t i = 0; i < FIXTURE_DIM; i++)
        CHECK_NEAR(values[i], want.dense[i], 1e-3);
    size_t codes_len = 0;
    CHECK((forward_multi_codes(snapshot, docid, &codes_len) != NULL) == (want.multi_n > 0));
    snapshot_close(snapshot);
    arena_done(&arena);
}

static void is_gone(struct index *index, uint32_t key) {
    struct error err;
    struct snapshot *snapshot;
    char text[32];
    uint32_t docid;
    uint64_t hash;
    snprintf(text, sizeof text, "doc-%u", key);
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    CHECK(!document_find(snapshot, text, strlen(text), &docid, &err));
    CHECK_EQUAL(err.code, ERROR_NOT_FOUND);
    CHECK(!document_hash(snapshot, text, strlen(text), &hash));
    snapshot_close(snapshot);
}

/* A kill while an index is made leaves an empty file, tables without settings, or a whole index:
 * the first two are no index, and can be made again. */
static void making_can_be_cut_off(void) {
    struct index_settings settings = fixture_full_settings(INDEX_LEXICAL_BM25);
    for (int cut = 0; cut < 2; cut++) {
        char folder[64], path[128];
        struct store *store;
        struct index *index;
        struct error err;
        fixture_folder(folder);
        snprintf(path, sizeof path, "%s/data.mdb", folder);
        if (cut == 0) {
            FILE *empty = fopen(path, "w");
            CHECK(empty && fclose(empty) == 0);
        } else {
            CHECK_OK(store_open(folder, STORE_CREATE, &store, &err), err);
            store_close(store);
        }
        CHECK(!index_open(folder, INDEX_READ, &index, &err));
        CHECK_EQUAL(err.code, ERROR_NOT_FOUND);
        CHECK(!index_open(folder, INDEX_WRITE, &index, &err));
        CHECK_EQUAL(err.code, ERROR_NOT_FOUND);
        CHECK_OK(index_create(folder, &settings, &index, &err), err);
        index_close(index);
        CHECK_OK(index_open(folder, INDEX_READ, &index, &err), err);
        index_close(index);
        fixture_remove(folder);
    }
}

static void settings_come_back(void) {
    struct error err;
    char folder[64];
    struct index_settings settings = fixture_full_settings(INDEX_LEXICAL_BM25);
    struct index *index = fixture_new(folder, &settings);
    CHECK(!index_create(folder, &settings, &index, &err)); /* open in this process */
    CHECK_EQUAL(err.code, ERROR_BUSY);
    index_close(index);
    CHECK(!index_create(folder, &settings, &index, &err));
    CHECK_EQUAL(err.code, ERROR_INVALID);
    CHECK(index_exists(folder) && !index_exists("/tmp/nowhere"));
    CHECK(!index_open("/tmp/nowhere", INDEX_READ, &index, &err));
    CHECK_EQUAL(err.code, ERROR_NOT_FOUND);
    CHECK_OK(index_open(folder, INDEX_READ, &index, &err), err);
    const struct index_settings *got = index_settings_of(index);
    CHECK_TEXT(got->model, settings.model);
    CHECK_TEXT(got->fingerprint, settings.fingerprint);
    CHECK_TEXT(got->analyzer, settings.analyzer);
    CHECK_TEXT(got->instruction, settings.instruction);
    CHECK(got->length_max == 512 && got->dense_dim == FIXTURE_DIM && got->multi_dim == FIXTURE_DIM);
    CHECK(got->lexical == INDEX_LEXICAL_BM25 && got->bm25_k1 == 1.2f && got->bm25_b == 0.75f);
    CHECK_TEXT(index_folder(index), folder);
    struct writer *writer;
    CHECK(!writer_open(index, &writer, &err)); /* for reading only */
    CHECK_EQUAL(err.code, ERROR_INVALID);
    index_close(index);
    index_close(NULL);
    fixture_remove(folder);
}

static void records_come_back(void) {
    struct error err;
    char folder[64];
    struct index_settings settings = fixture_full_settings(INDEX_LEXICAL_BM25);
    struct index *index = fixture_new(folder, &settings);
    struct index_counts counts;
    fill(index, 300, 70);
    for (int reopened = 0; reopened < 2; reopened++) {
        for (uint32_t i = 0; i < 300; i++)
            is_there(index, i + 1, i);
        is_gone(index, 300);
        CHECK_OK(index_count(index, &counts, &err), err);
        CHECK_EQUAL(counts.documents_n, 300);
        CHECK_EQUAL(counts.dead_n, 0);
        CHECK(counts.bytes_on_disk > 0 && counts.segments_n > 0);
        index_close(index);
        CHECK_OK(index_open(folder, reopened ? INDEX_WRITE : INDEX_READ, &index, &err), err);
    }
    index_close(index);
    fixture_remove(folder);
}

static void upserts_and_deletes(void) {
    struct error err;
    char folder[64];
    bool found;
    uint64_t hash, before;
    struct index_settings settings = fixture_full_settings(INDEX_LEXICAL_BM25);
    struct index *index = fixture_new(folder, &settings);
    struct writer *writer;
    struct snapshot *old;
    fill(index, 20, 20);
    CHECK_OK(snapshot_open(index, &old, &err), err);
    CHECK(document_hash(old, "doc-3", 5, &before));

    CHECK_OK(writer_open(index, &writer, &err), err);
    CHECK(!writer_open(index, &writer, &err));
    CHECK_EQUAL(err.code, ERROR_BUSY);
    fixture_put(writer, 100, 3);
    fixture_put(writer, 101, 3); /* the last one wins */
    fixture_put(writer, 102, 50);
    CHECK_OK(writer_delete(writer, "doc-50", 6, &found, &err), err); /* before it was committed */
    CHECK(found);
    CHECK(!writer_hash(writer, "doc-50", 6, &hash));
    CHECK(writer_hash(writer, "doc-3", 5, &hash) && hash != before);
    CHECK_OK(writer_delete(writer, "doc-7", 5, &found, &err), err);
    CHECK(found);
    CHECK_OK(writer_delete(writer, "doc-7", 5, &found, &err), err);
    CHECK(!found);
    is_there(index, 4, 3); /* not committed yet: nobody else sees it */
    is_there(index, 8, 7);
    CHECK_OK(writer_commit(writer, &err), err);
    is_there(index, 101, 3);
    is_gone(index, 7);
    is_gone(index, 50);
    fixture_put(writer, 103, 7);
    CHECK_OK(writer_commit(writer, &err), err);
    is_there(index, 103, 7);

    uint64_t now; /* a snapshot goes on seeing its moment */
    CHECK(document_hash(old, "doc-3", 5, &now) && now == before);
    CHECK_EQUAL(snapshot_documents_n(old), 20);
    CHECK(snapshot_is_live(old, 3) && snapshot_is_live(old, 7) && !snapshot_is_live(old, 20));
    snapshot_close(old);

    fixture_put(writer, 104, 60); /* dropped */
    writer_close(writer);
    is_gone(index, 60);
    struct index_counts counts;
    CHECK_OK(index_count(index, &counts, &err), err);
    CHECK_EQUAL(counts.documents_n, 20);
    index_close(index);
    fixture_remove(folder);
}

static void everything_may_die(void) {
    struct error err;
    char folder[64], key[32];
    bool found;
    struct index_settings settings = fixture_full_settings(INDEX_LEXICAL_BM25);
    struct index *index = fixture_new(folder, &settings);
    struct index_counts counts;
    struct writer *writer;
    fill(index, 50, 7);
    CHECK_OK(writer_open(index, &writer, &err), err);
    for (uint32_t i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "doc-%u", i);
        CHECK_OK(writer_delete(writer, key, strlen(key), &found, &err), err);
        CHECK(found);
    }
    CHECK_OK(writer_commit(writer, &err), err);
    CHECK_OK(index_count(index, &counts, &err), err);
    CHECK_EQUAL(counts.documents_n, 0);
    CHECK_EQUAL(counts.segments_n, 0);
    fixture_put(writer, 1, 1);
    CHECK_OK(writer_commit(writer, &err), err);
    is_there(index, 1, 1);
    writer_close(writer);
    index_close(index);
    fixture_remove(folder);
}

/* Changes one letter of each "apple" in the file. */
static unsigned spoil_apples(const char *folder) {
    char path[80];
    struct error err;
    struct buf file = {0};
    unsigned n = 0;
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    CHECK_OK(file_read(path, SIZE_MAX, &file, &err), err);
    for (char *at = file.data; (at = memmem(at, file.len - (size_t)(at - file.data), "apple", 5));
         n++)
        at[4] = 'y';
    CHECK_OK(file_write_atomic(path, file.data, file.len, &err), err);
    buf_done(&file);
    return n;
}

static void words_get_ids(void) {
    struct error err;
    char folder[64];
    struct index_settings settings = fixture_full_settings(INDEX_LEXICAL_BM25);
    struct index *index = fixture_new(folder, &settings);
    struct writer *writer;
    struct snapshot *snapshot;
    uint32_t a = 9, b = 9, again = 9;
    CHECK_OK(writer_open(index, &writer, &err), err);
    CHECK_OK(writer_term_id(writer, "apple", 5, &a, &err), err);
    CHECK_OK(writer_term_id(writer, "b", 1, &b, &err), err);
    CHECK_OK(writer_term_id(writer, "apple", 5, &again, &err), err);
    CHECK(a == again && a != b);
    CHECK(!writer_term_id(writer, "", 0, &a, &err));
    char longer[600];
    memset(longer, 'w', sizeof longer);
    CHECK(!writer_term_id(writer, longer, sizeof longer, &a, &err));
    CHECK_EQUAL(err.code, ERROR_LIMIT);
    CHECK_OK(writer_commit(writer, &err), err);
    CHECK_OK(writer_term_id(writer, "c", 1, &again, &err), err);
    CHECK(again != a && again != b);
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    bool found;
    CHECK(term_find(snapshot, "apple", 5, &again, &found, &err) && found && again == a);
    CHECK(term_find(snapshot, "c", 1, &again, &found, &err) && !found);
    CHECK(term_find(snapshot, longer, sizeof longer, &again, &found, &err) && !found);
    CHECK(term_find(snapshot, "", 0, &again, &found, &err) && !found);
    snapshot_close(snapshot);
    struct index_counts counts;
    CHECK_OK(index_count(index, &counts, &err), err);
    CHECK_EQUAL(counts.terms_n, 2);
    writer_close(writer);
    index_close(index);
    /* A damaged word is no word that nobody has ever said. */
    CHECK(spoil_apples(folder) > 0);
    CHECK_OK(index_open(folder, INDEX_READ, &index, &err), err);
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    CHECK(!term_find(snapshot, "apple", 5, &again, &found, &err));
    CHECK_EQUAL(err.code, ERROR_CORRUPT);
    snapshot_close(snapshot);
    index_close(index);
    fixture_remove(folder);
}

/* Each bad record is refused with its reason and leaves the batch as it was. */
static void bad_records_are_refused(void) {
    struct error err;
    char folder[64], longer[600];
    struct index_settings settings = fixture_full_settings(INDEX_LEXICAL_BM25);
    struct index *index = fixture_new(folder, &settings);
    struct writer *writer;
    struct fixture_record record;
    unsigned long long seed = 77;
    float nans[FIXTURE_DIM] = {1, 2, NAN}, huge[FIXTURE_DIM] = {1e6f};
    memset(longer, 'k', sizeof longer);
    CHECK_OK(writer_open(index, &writer, &err), err);
    fixture_put(writer, 1, 0);
    fixture_record(&seed, INDEX_LEXICAL_BM25, FIXTURE_VOCABULARY, 1, &record);
    const struct record good = fixture_view(&record);
    enum { TOO_MANY = (1 << 16) + 1 };
    size_t codes_len = multi_codes_bytes(FIXTURE_DIM, TOO_MANY);
    uint32_t *codes = calloc(1, codes_len); /* all scales 0 */
    multi_encode(NULL, 0, FIXTURE_DIM, codes);
    codes[0] = TOO_MANY;
    struct record bad[14];
    size_t n = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        bad[i] = good;
    bad[n].multi_codes = codes, bad[n++].multi_codes_len = codes_len;
    bad[n].key = longer, bad[n++].key_len = sizeof longer;
    bad[n++].key_len = 0;
    bad[n].multi_codes = codes, bad[n++].multi_codes_len = 9;
    bad[n++].dense = NULL;
    bad[n++].dense = nans;
    bad[n++].dense = huge;
    bad[n].multi = nans, bad[n++].multi_n = 1;
    bad[n++].sparse = (struct sparse_vector){(uint32_t[]){3, 3}, (float[]){1, 1}, 2};
    bad[n++].sparse = (struct sparse_vector){(uint32_t[]){3, 2}, (float[]){1, 1}, 2};
    bad[n++].sparse = (struct sparse_vector){(uint32_t[]){3, 4}, (float[]){1, -1}, 2};
    bad[n++].sparse = (struct sparse_vector){(uint32_t[]){3, 4}, (float[]){1, INFINITY}, 2};
    bad[n++].sparse_length = NAN;
    bad[n++].sparse_length = -1;
    for (size_t i = 0; i < n; i++) {
        CHECK(!writer_put(writer, &bad[i], &err));
        CHECK_EQUAL(err.code, i <= 1 ? ERROR_LIMIT : ERROR_INVALID);
    }
    CHECK_OK(writer_commit(writer, &err), err);
    is_there(index, 1, 0);
    is_gone(index, 1);
    free(codes);
    writer_close(writer);
    index_close(index);
    fixture_remove(folder);
}

static void segments_stay_few(void) {
    struct error err;
    char folder[64];
    struct index_settings settings = fixture_settings(INDEX_LEXICAL_BM25);
    struct index *index = fixture_new(folder, &settings);
    struct index_counts counts;
    struct writer *writer;
    CHECK_OK(writer_open(index, &writer, &err), err);
    for (uint32_t i = 0; i < 300; i++) {
        for (uint32_t j = 0; j < (i % 37 == 0 ? 50 : 1); j++)
            fixture_put(writer, i, i * 50 + j);
        CHECK_OK(writer_commit(writer, &err), err);
        CHECK_OK(index_count(index, &counts, &err), err);
        unsigned tiers = 1;
        for (uint64_t n = counts.documents_n; n >= SEGMENT_FANOUT; n /= SEGMENT_FANOUT)
            tiers++;
        CHECK(counts.segments_n <= (SEGMENT_FANOUT - 1) * tiers);
    }
    writer_close(writer);
    index_close(index);
    fixture_remove(folder);
}

static void generations_are_named(void) {
    struct error err;
    char folder[64];
    struct index_settings settings = fixture_full_settings(INDEX_LEXICAL_BM25);
    struct index *index = fixture_new(folder, &settings);
    struct writer *writer;
    struct snapshot *snapshot;
    CHECK_OK(writer_open(index, &writer, &err), err);
    fixture_put(writer, 1, 1);
    struct index_generation generation = {7, 1, 1};
    CHECK(!writer_name_generation(writer, generation, &err)); /* half a batch would be committed */
    CHECK_EQUAL(err.code, ERROR_INVALID);
    CHECK_OK(writer_commit(writer, &err), err);
    CHECK_OK(writer_name_generation(writer, generation, &err), err);
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    struct index_generation got = snapshot_generation(snapshot);
    CHECK(got.number == 7 && got.covered_end == 1 && got.rows_n == 1);
    CHECK_EQUAL(snapshot_docid_end(snapshot), 1);
    snapshot_close(snapshot);
    writer_close(writer);
    index_close(index);
    fixture_remove(folder);
}

/* ---- several processes ---- */

static void wait_for(int fd) {
    char byte;
    while (read(fd, &byte, 1) < 0)
        ;
}

/* In a child: the parent writes meanwhile. Its exit status says how many checks failed. */
static void child_reads(const char *folder) {
    struct error err;
    struct index *index;
    struct snapshot *snapshot;
    CHECK(!index_open(folder, INDEX_WRITE, &index, &err));
    CHECK_EQUAL(err.code, ERROR_BUSY);
    CHECK_OK(index_open(folder, INDEX_READ, &index, &err), err);
    uint64_t before = 0;
    for (int i = 0; i < 200; i++) {
        CHECK_OK(snapshot_open(index, &snapshot, &err), err);
        uint64_t n = snapshot_documents_n(snapshot);
        CHECK(n % 10 == 0 && n >= before);
        before = n;
        snapshot_close(snapshot);
    }
    index_close(index);
    _exit(check_failed);
}

static void many_read_while_one_writes(void) {
    enum { CHILDREN = 3 };
    struct error err;
    char folder[64];
    int go[2], status;
    pid_t children[CHILDREN];
    struct index_settings settings = fixture_full_settings(INDEX_LEXICAL_BM25);
    fixture_folder(folder);
    CHECK_EQUAL(pipe(go), 0);
    /* Before the index is opened: an LMDB environment must not cross a fork. */
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            wait_for(go[0]);
            child_reads(folder);
        }
    }
    struct index *index;
    CHECK_OK(index_create(folder, &settings, &index, &err), err);
    fill(index, 10, 10);
    CHECK_EQUAL(write(go[1], "...", CHILDREN), CHILDREN);
    fill(index, 500, 10); /* the first batch replaces what is there */
    for (int i = 0; i < CHILDREN; i++) {
        CHECK_EQUAL(waitpid(children[i], &status, 0), children[i]);
        CHECK_EQUAL(status, 0);
    }
    close(go[0]);
    close(go[1]);
    index_close(index);
    CHECK_OK(index_open(folder, INDEX_WRITE, &index, &err), err); /* the lock is free again */
    index_close(index);
    fixture_remove(folder);
}

/* ---- several threads ---- */

struct readers {
    struct index *index;
    atomic_bool stop;
    atomic_size_t wrong_n;
};

static void *thread_reads(void *context) {
    struct readers *readers = context;
    struct arena arena = {0};
    size_t rounds = 0;
    while (!atomic_load(&readers->stop) || rounds < 10) {
        struct error err;
        struct snapshot *snapshot;
        struct scored_list list = {0};
        struct sparse_vector query = {(uint32_t[]){0, 1, 5}, (float[]){1, 1, 1}, 3};
        size_t wrong = 0;
        if (!snapshot_open(readers->index, &snapshot, &err)) {
            atomic_fetch_add(&readers->wrong_n, 1);
            break;
        }
        wrong += snapshot_documents_n(snapshot) % 10 != 0 ||
                 !sparse_search(snapshot, &query, 10, NULL, &arena, &list, &err);
        for (size_t i = 0; i < list.n; i++) {
            float score;
            wrong +=
                !sparse_score(snapshot, &query, &list.entries[i].docid, 1, &arena, &score, &err) ||
                score != list.entries[i].score;
        }
        snapshot_close(snapshot);
        arena_reset(&arena);
        atomic_fetch_add(&readers->wrong_n, wrong);
        rounds++;
    }
    arena_done(&arena);
    return NULL;
}

static void threads_share_an_index(void) {
    enum { THREADS = 3 };
    char folder[64];
    pthread_t threads[THREADS];
    struct index_settings settings = fixture_full_settings(INDEX_LEXICAL_BM25);
    struct readers readers = {.index = fixture_new(folder, &settings)};
    for (int i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, thread_reads, &readers), 0);
    fill(readers.index, 600, 10);
    fill(readers.index, 300, 10);
    atomic_store(&readers.stop, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQUAL(readers.wrong_n, 0);
    index_close(readers.index);
    fixture_remove(folder);
}

/* ---- when the disk says no ---- */

static void full_disk_changes_nothing(void) {
    struct error err;
    char folder[64];
    struct index_settings settings = fixture_full_settings(INDEX_LEXICAL_BM25);
    struct index *index = fixture_new(folder, &settings);
    struct index_counts before, after;
    struct writer *writer;
    struct rlimit limit, unlimited;
    fill(index, 100, 100);
    CHECK_OK(index_count(index, &before, &err), err);
    getrlimit(RLIMIT_FSIZE, &unlimited);
    limit = unlimited;
    limit.rlim_cur = 200 << 10; /* a file may not grow beyond this: as good as a full disk */
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    CHECK_OK(writer_open(index, &writer, &err), err);
    for (uint32_t i = 0; i < 2000; i++)
        fixture_put(writer, i + 1000, i);
    CHECK(!writer_commit(writer, &err));
    CHECK_EQUAL(err.code, ERROR_IO);
    setrlimit(RLIMIT_FSIZE, &unlimited);
    CHECK_OK(index_count(index, &after, &err), err);
    CHECK(before.documents_n == after.documents_n && before.segments_n == after.segments_n);
    for (uint32_t i = 0; i < 100; i++)
        is_there(index, i + 1, i);
    fixture_put(writer, 5000, 5); /* and the writer goes on */
    CHECK_OK(writer_commit(writer, &err), err);
    is_there(index, 5000, 5);
    writer_close(writer);
    index_close(index);
    fixture_remove(folder);
}

int main(void) {
    many_read_while_one_writes();
    making_can_be_cut_off();
    settings_come_back();
    records_come_back();
    upserts_and_deletes();
    everything_may_die();
    words_get_ids();
    bad_records_are_refused();
    segments_stay_few();
    generations_are_named();
    threads_share_an_index();
    full_disk_changes_nothing();
    return check_result();
}
