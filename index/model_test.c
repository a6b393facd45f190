/* Thousands of random operations against a plain memory of what should be there, and a writer that
 * is killed at random moments. The seed is printed; TERCET_SEED=n runs the same again. */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "engine/base/mem.h"
#include "index/dense_store.h"
#include "index/fixture.h"
#include "index/inside.h"

enum { KEYS = 300, VOCABULARY = 120, OPERATIONS = 20000, KILLS = 30, QUERY_TERMS = 10 };

/* Of each key the seed of its newest record; 0: absent. */
struct model {
    unsigned long long versions[KEYS];
};

static void make_record(enum index_lexical lexical, uint32_t key, unsigned long long version,
                        struct fixture_record *out) {
    fixture_record(&version, lexical, VOCABULARY, key, out);
}

static struct index_settings model_settings(enum index_lexical lexical) {
    struct index_settings settings = fixture_settings(lexical);
    settings.dense_dim = settings.multi_dim = FIXTURE_DIM;
    return settings;
}

/* ---- is everything as the model says? ---- */

static void key_agrees(struct snapshot *snapshot, enum index_lexical lexical,
                       const struct model *model, uint32_t key, struct arena *arena) {
    struct error err;
    struct fixture_record want;
    struct document got;
    uint32_t docid;
    size_t codes_len;
    char name[32];
    snprintf(name, sizeof name, "doc-%u", key);
    bool found = document_find(snapshot, name, strlen(name), &docid, &err);
    if (found != (model->versions[key] != 0))
        CHECK_EQUAL(found, model->versions[key] != 0);
    if (!found || !model->versions[key])
        return;
    make_record(lexical, key, model->versions[key], &want);
    CHECK_OK(document_get(snapshot, docid, arena, &got, &err), err);
    CHECK(got.content_hash == want.hash && strcmp(got.text, want.text) == 0 &&
          strcmp(got.key, want.key) == 0);
    CHECK(snapshot_is_live(snapshot, docid));
    CHECK(forward_dense_row(snapshot, docid) != NULL);
    CHECK((forward_multi_codes(snapshot, docid, &codes_len) != NULL) == (want.multi_n > 0));
}

static double weight_in(const struct fixture_record *record, uint32_t id) {
    for (size_t i = 0; i < record->terms_n; i++)
        if (record->ids[i] == id)
            return (double)record->weights[i];
    return 0;
}

/* The formula in double from the model alone: all[key] is a key's record, or has no key at all. */
static double oracle(const struct fixture_record *all, enum index_lexical lexical,
                     const struct sparse_vector *query, uint32_t key) {
    double n = 0, length_sum = 0, score = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        n += all[i].key[0] != '\0';
        length_sum += (double)all[i].length;
    }
    for (size_t q = 0; q < query->n; q++) {
        double tf = weight_in(&all[key], query->ids[q]), holders = 0;
        for (uint32_t i = 0; i < KEYS; i++)
            holders += weight_in(&all[i], query->ids[q]) > 0;
        double idf = log(1 + (n - holders + 0.5) / (holders + 0.5));
        double norm = 1.2 * (0.25 + 0.75 * (double)all[key].length / (length_sum / n));
        score += (double)query->weights[q] *
                 (lexical == INDEX_LEXICAL_LEARNED ? tf : idf * tf / (tf + norm));
    }
    return score;
}

/* The docids the search gives are those with the best scores of the formula. */
static void search_agrees(struct snapshot *snapshot, enum index_lexical lexical,
                          const struct model *model, unsigned long long *seed,
                          struct arena *arena) {
    struct error err;
    uint32_t ids[QUERY_TERMS], matching_n = 0;
    float weights[QUERY_TERMS];
    struct sparse_vector query = {ids, weights, fixture_ids(seed, QUERY_TERMS, VOCABULARY, ids)};
    struct fixture_record *all = mem_zalloc(KEYS, sizeof *all);
    struct scored best[KEYS];
    for (size_t i = 0; i < query.n; i++)
        weights[i] = 1.01f + check_random_float(seed);
    for (uint32_t i = 0; i < KEYS; i++)
        if (model->versions[i])
            make_record(lexical, i, model->versions[i], &all[i]);
    for (uint32_t i = 0; i < KEYS; i++) {
        float score = all[i].key[0] ? (float)oracle(all, lexical, &query, i) : 0;
        if (score > 0)
            best[matching_n++] = (struct scored){score, i};
    }
    scored_sort(best, matching_n);
    struct scored_list list;
    size_t k = 1 + check_random(seed) % 40;
    CHECK_OK(sparse_search(snapshot, &query, k, arena, &list, &err), err);
    CHECK_EQUAL(list.n, k < matching_n ? k : matching_n);
    for (size_t i = 0; i < list.n && i < matching_n; i++) {
        struct document got;
        float exact;
        CHECK_OK(document_get(snapshot, list.entries[i].docid, arena, &got, &err), err);
        CHECK_NEAR(list.entries[i].score, best[i].score, 1e-4 * (1 + (double)best[i].score));
        CHECK_NEAR(list.entries[i].score,
                   oracle(all, lexical, &query, (uint32_t)atoi(got.key + strlen("doc-"))), 1e-3);
        CHECK_OK(sparse_score(snapshot, &query, &list.entries[i].docid, 1, arena, &exact, &err),
                 err);
        CHECK(exact == list.entries[i].score);
    }
    free(all);
}

static void all_agrees(struct index *index, enum index_lexical lexical, const struct model *model,
                       unsigned long long *seed) {
    struct error err;
    struct snapshot *snapshot;
    struct arena arena = {0};
    uint64_t alive_n = 0;
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    for (uint32_t key = 0; key < KEYS; key++) {
        key_agrees(snapshot, lexical, model, key, &arena);
        alive_n += model->versions[key] != 0;
    }
    CHECK_EQUAL(snapshot_documents_n(snapshot), alive_n);
    uint64_t live_n = 0;
    for (uint32_t docid = 0; docid < snapshot_docid_end(snapshot); docid++)
        live_n += snapshot_is_live(snapshot, docid);
    CHECK_EQUAL(live_n, alive_n);
    for (int i = 0; i < 3; i++)
        search_agrees(snapshot, lexical, model, seed, &arena);
    snapshot_close(snapshot);
    arena_done(&arena);
}

/* ---- random operations ---- */

static void change(struct writer *writer, enum index_lexical lexical, struct model *model,
                   unsigned long long *seed) {
    struct error err;
    uint32_t key = (uint32_t)(check_random(seed) % KEYS);
    uint64_t hash;
    struct fixture_record record;
    char name[32];
    snprintf(name, sizeof name, "doc-%u", key);
    CHECK(writer_hash(writer, name, strlen(name), &hash) == (model->versions[key] != 0));
    if (check_random(seed) % 3 == 0) {
        bool found = false;
        CHECK_OK(writer_delete(writer, name, strlen(name), &found, &err), err);
        CHECK_EQUAL(found, model->versions[key] != 0);
        model->versions[key] = 0;
        return;
    }
    model->versions[key] = check_random(seed) | 1;
    make_record(lexical, key, model->versions[key], &record);
    struct record view = fixture_view(&record);
    CHECK_OK(writer_put(writer, &view, &err), err);
}

static void random_operations(enum index_lexical lexical, unsigned long long seed) {
    struct error err;
    char folder[64];
    struct index *index;
    struct writer *writer;
    struct model now = {0}, committed = {0}, seen = {0};
    struct snapshot *held = NULL; /* a snapshot that goes on seeing its moment */
    struct arena arena = {0};
    struct index_settings settings = model_settings(lexical);
    fixture_folder(folder);
    CHECK_OK(index_create(folder, &settings, &index, &err), err);
    CHECK_OK(writer_open(index, &writer, &err), err);
    for (int i = 0; i < OPERATIONS && check_failed < 20; i++) {
        unsigned dice = (unsigned)(check_random(&seed) % 1000);
        change(writer, lexical, &now, &seed);
        if (dice < 120) {
            CHECK_OK(writer_commit(writer, &err), err);
            committed = now;
        } else if (dice < 125) { /* dropped */
            writer_close(writer);
            now = committed;
            CHECK_OK(writer_open(index, &writer, &err), err);
        } else if (dice < 127) { /* batches that do not fit into memory */
            writer_limit_postings(writer, dice % 2 ? 200 : 1 << 20);
        } else if (dice < 130) {
            all_agrees(index, lexical, &committed, &seed);
        } else if (dice < 132 && !held) {
            CHECK_OK(snapshot_open(index, &held, &err), err);
            seen = committed;
        } else if (dice < 135 && held) {
            for (uint32_t key = 0; key < KEYS; key++)
                key_agrees(held, lexical, &seen, key, &arena);
            search_agrees(held, lexical, &seen, &seed, &arena);
            snapshot_close(held);
            held = NULL;
            arena_reset(&arena);
        } else if (dice < 136 && !held) {
            writer_close(writer);
            index_close(index);
            now = committed;
            CHECK_OK(index_open(folder, INDEX_WRITE, &index, &err), err);
            CHECK_OK(writer_open(index, &writer, &err), err);
            all_agrees(index, lexical, &committed, &seed);
        }
    }
    snapshot_close(held);
    writer_close(writer);
    all_agrees(index, lexical, &committed, &seed);
    index_close(index);
    fixture_remove(folder);
    arena_done(&arena);
}

/* ---- kill -9 ---- */

/* A batch is told to the parent before its commit and acknowledged after it. */
enum { BATCH_MAX = 12 };
struct message {
    uint32_t batch, n; /* n 0: the acknowledgement */
    struct {
        uint32_t key;
        unsigned long long version;
    } changes[BATCH_MAX];
};

static const char batch_key[] = "batch";

/* The batch's number is a record like the others: what it says was committed with them. */
static void put_batch_number(struct writer *writer, uint32_t batch) {
    struct error err;
    float dense[FIXTURE_DIM] = {0};
    struct record record = {
        .key = batch_key, .key_len = sizeof batch_key - 1, .content_hash = batch, .dense = dense};
    CHECK_OK(writer_put(writer, &record, &err), err);
}

static void child_writes(const char *folder, enum index_lexical lexical, struct model model,
                         uint32_t batch, unsigned long long seed, int pipe_out) {
    struct error err;
    struct index *index;
    struct writer *writer;
    if (!index_open(folder, INDEX_WRITE, &index, &err) || !writer_open(index, &writer, &err)) {
        fprintf(stderr, "child: %s\n", err.message);
        _exit(1);
    }
    for (;;) {
        struct message message = {.batch = ++batch};
        put_batch_number(writer, batch);
        uint32_t n = 1 + (uint32_t)(check_random(&seed) % BATCH_MAX);
        for (; message.n < n; message.n++) {
            struct model before = model;
            change(writer, lexical, &model, &seed);
            uint32_t key = 0;
            while (key < KEYS - 1 && before.versions[key] == model.versions[key])
                key++;
            message.changes[message.n].key = key;
            message.changes[message.n].version = model.versions[key];
        }
        if (write(pipe_out, &message, sizeof message) != sizeof message)
            _exit(1);
        CHECK_OK(writer_commit(writer, &err), err);
        message.n = 0;
        if (check_failed || write(pipe_out, &message, sizeof message) != sizeof message)
            _exit(1);
    }
}

static void apply(struct model *model, const struct message *message) {
    for (uint32_t i = 0; i < message->n; i++)
        model->versions[message->changes[i].key] = message->changes[i].version;
}

static uint32_t batch_on_disk(struct index *index) {
    struct error err;
    struct snapshot *snapshot;
    uint64_t batch = 0;
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    document_hash(snapshot, batch_key, sizeof batch_key - 1, &batch);
    snapshot_close(snapshot);
    return (uint32_t)batch;
}

/* The batch number's own record is not in the model: look without it. */
static void keys_agree(struct index *index, enum index_lexical lexical, const struct model *model,
                       uint32_t batch) {
    struct error err;
    struct snapshot *snapshot;
    struct arena arena = {0};
    uint64_t alive_n = batch > 0;
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    for (uint32_t key = 0; key < KEYS; key++) {
        key_agrees(snapshot, lexical, model, key, &arena);
        alive_n += model->versions[key] != 0;
    }
    CHECK_EQUAL(snapshot_documents_n(snapshot), alive_n);
    struct sparse_vector query = {(uint32_t[]){0, 1, 2, 5, 9}, (float[]){1, 1, 1, 1, 1}, 5};
    struct scored_list list;
    CHECK_OK(sparse_search(snapshot, &query, 1000, &arena, &list, &err), err);
    for (size_t i = 0; i < list.n; i++) {
        float exact = 0;
        CHECK_OK(sparse_score(snapshot, &query, &list.entries[i].docid, 1, &arena, &exact, &err),
                 err);
        CHECK(exact == list.entries[i].score);
    }
    snapshot_close(snapshot);
    arena_done(&arena);
}

static void killed_writer_loses_nothing(unsigned long long seed) {
    const enum index_lexical lexical = INDEX_LEXICAL_BM25;
    struct error err;
    char folder[64];
    struct index *index;
    struct index_settings settings = model_settings(lexical);
    struct model model = {0};
    uint32_t batch = 0;
    fixture_folder(folder);
    CHECK_OK(index_create(folder, &settings, &index, &err), err);
    index_close(index);
    for (int round = 0; round < KILLS && check_failed < 20; round++) {
        int ends[2];
        CHECK_EQUAL(pipe(ends), 0);
        unsigned long long child_seed = check_random(&seed) | 1;
        pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            child_writes(folder, lexical, model, batch, child_seed, ends[1]);
        }
        close(ends[1]);
        /* The pipe holds 64 KiB, some 300 messages: a child that fills it waits to be killed. */
        usleep((useconds_t)(1000 + check_random(&seed) % 150000));
        kill(child, SIGKILL);
        CHECK_EQUAL(waitpid(child, NULL, 0), child);

        struct message message, last = {0};
        uint32_t acknowledged = batch;
        CHECK_OK(index_open(folder, INDEX_WRITE, &index, &err), err);
        uint32_t found = batch_on_disk(index);
        while (read(ends[0], &message, sizeof message) == sizeof message) {
            if (message.n == 0)
                acknowledged = message.batch;
            else if (message.batch <= found)
                apply(&model, &message);
            last = message;
        }
        close(ends[0]);
        CHECK(found >= acknowledged && found <= acknowledged + 1);
        CHECK(found <= last.batch || last.batch == 0);
        batch = found;
        keys_agree(index, lexical, &model, batch);
        index_close(index);
    }
    printf("%d kills, %u batches committed\n", KILLS, batch);
    fixture_remove(folder);
}

int main(void) {
    const char *given = getenv("TERCET_SEED");
    unsigned long long seed = given ? strtoull(given, NULL, 10) : (unsigned long long)time(NULL);
    seed = seed ? seed : 1;
    printf("TERCET_SEED=%llu\n", seed);
    fflush(stdout);
    killed_writer_loses_nothing(seed);
    random_operations(INDEX_LEXICAL_BM25, seed + 1);
    random_operations(INDEX_LEXICAL_LEARNED, seed + 2);
    return check_result();
}
