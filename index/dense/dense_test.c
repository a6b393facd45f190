/* Dense search: generations against a plain scan, newer and dead documents, damaged files. */
#include "index/dense/dense.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/base/vec.h"
#include "index/fixture.h"

enum { DIM = 48, CLUSTERS = 60, K = 10 };

/* One index under test, and what it should hold. */
struct fix {
    char folder[64];
    struct index *index;
    struct writer *writer;
    struct arena arena;
    unsigned long long seed;
    float centres[CLUSTERS][DIM];
    float *rows; /* [rows_n, DIM]: by docid, as f16 keeps them */
    bool *live;  /* [rows_n] */
    uint32_t rows_n;
    size_t approximate_n; /* searches that said so */
};

static void draw_row(struct fix *fix, float *out) {
    const float *centre = fix->centres[check_random(&fix->seed) % CLUSTERS];
    for (size_t i = 0; i < DIM; i++)
        out[i] = centre[i] + 0.5f * check_random_float(&fix->seed);
    vec_normalize(out, DIM);
}

static void open_index(struct fix *fix, struct dense_limits limits) {
    struct error err;
    CHECK_OK(index_open(fix->folder, INDEX_WRITE, &fix->index, &err), err);
    CHECK_OK(writer_open(fix->index, &fix->writer, &err), err);
    dense_index_set_limits(index_dense(fix->index), limits);
}

static void close_index(struct fix *fix) {
    writer_close(fix->writer);
    index_close(fix->index);
}

static void fix_open(struct fix *fix, struct dense_limits limits, unsigned long long seed) {
    struct error err;
    struct index_settings settings = {.dense_dim = DIM};
    *fix = (struct fix){.seed = seed};
    fixture_folder(fix->folder);
    for (size_t i = 0; i < CLUSTERS; i++)
        for (size_t j = 0; j < DIM; j++)
            fix->centres[i][j] = check_random_float(&fix->seed);
    CHECK_OK(index_create(fix->folder, &settings, &fix->index, &err), err);
    index_close(fix->index);
    open_index(fix, limits);
}

static void fix_close(struct fix *fix) {
    close_index(fix);
    fixture_remove(fix->folder);
    arena_done(&fix->arena);
    free(fix->rows);
    free(fix->live);
}

static void put_rows(struct fix *fix, uint32_t n) {
    struct error err;
    uint32_t end = fix->rows_n + n;
    fix->rows = mem_realloc(fix->rows, (size_t)end * DIM, sizeof *fix->rows);
    fix->live = mem_realloc(fix->live, end, sizeof *fix->live);
    for (; fix->rows_n < end; fix->rows_n++) {
        char key[32];
        float row[DIM];
        uint16_t halves[DIM];
        struct record record = {.key = key, .dense = row};
        draw_row(fix, row);
        record.key_len = (size_t)snprintf(key, sizeof key, "%u", fix->rows_n);
        CHECK_OK(writer_put(fix->writer, &record, &err), err);
        vec_to_f16(row, DIM, halves);
        vec_from_f16(halves, DIM, fix->rows + (size_t)fix->rows_n * DIM);
        fix->live[fix->rows_n] = true;
    }
    CHECK_OK(writer_commit(fix->writer, &err), err);
}

static void delete_row(struct fix *fix, uint32_t docid) {
    struct error err;
    char key[32];
    bool found = false;
    size_t len = (size_t)snprintf(key, sizeof key, "%u", docid);
    CHECK_OK(writer_delete(fix->writer, key, len, &found, &err), err);
    CHECK_EQUAL(found, fix->live[docid]);
    fix->live[docid] = false;
}

static void commit_and_build(struct fix *fix) {
    struct error err;
    CHECK_OK(writer_commit(fix->writer, &err), err);
    CHECK_OK(writer_build_dense(fix->writer, 2, &err), err);
}

static uint64_t generation_number(struct fix *fix) {
    struct error err;
    struct index_counts counts = {0};
    CHECK_OK(index_count(fix->index, &counts, &err), err);
    return counts.dense_generation;
}

static const char *generation_file(struct fix *fix, uint64_t number) {
    return arena_format(&fix->arena, "%s/dense/%llu.lists", fix->folder,
                        (unsigned long long)number);
}

/* [n] best first, n in *n_out. */
static struct scored *oracle(struct fix *fix, const float *query, size_t k, size_t *n_out) {
    struct topk topk;
    topk_init(&topk, k, &fix->arena);
    for (uint32_t i = 0; i < fix->rows_n; i++)
        if (fix->live[i])
            topk_push(&topk, vec_dot_f32(query, fix->rows + (size_t)i * DIM, DIM), i);
    topk_sort(&topk);
    *n_out = topk.n;
    return topk.heap;
}

/* Searches queries_n times; the part of the oracle's k best that was found. Checks on the way that
 * the list is in order, live, without repeats, as long as it can be, and scored as dense_score
 * does. */
static double recall(struct fix *fix, size_t queries_n, size_t k, bool exact) {
    struct error err;
    struct snapshot *snapshot;
    size_t hits = 0, wanted = 0;
    CHECK_OK(snapshot_open(fix->index, &snapshot, &err), err);
    for (size_t q = 0; q < queries_n; q++) {
        float query[DIM], score = 0;
        struct scored_list found = {0};
        size_t n, hits_before = hits;
        draw_row(fix, query);
        struct scored *expected = oracle(fix, query, k, &n);
        CHECK_OK(dense_search(snapshot, query, k, exact, NULL, &fix->arena, &found, &err), err);
        CHECK_EQUAL(found.n, n);
        for (size_t i = 0; i < found.n; i++) {
            struct scored at = found.entries[i];
            CHECK(fix->live[at.docid]);
            CHECK(i == 0 || scored_before(found.entries[i - 1], at));
            CHECK_OK(dense_score(snapshot, query, &at.docid, 1, &score, &err), err);
            CHECK(score == at.score);
            CHECK_NEAR(score, vec_dot_f32(query, fix->rows + (size_t)at.docid * DIM, DIM), 1e-5);
            hits += at.score >= expected[n - 1].score - 1e-6f; /* equals count as well */
        }
        CHECK(found.approximate ? !exact : hits - hits_before == n);
        fix->approximate_n += found.approximate;
        wanted += n;
        arena_reset(&fix->arena);
    }
    snapshot_close(snapshot);
    return (double)hits / (double)wanted;
}

static void few_rows_need_no_generation(void) {
    struct fix fix;
    struct error err;
    struct snapshot *snapshot;
    struct scored_list found;
    float query[DIM] = {1};
    fix_open(&fix, (struct dense_limits){100, 1000, 50, 0, 1}, 1);
    CHECK_OK(snapshot_open(fix.index, &snapshot, &err), err);
    CHECK_OK(dense_search(snapshot, query, K, false, NULL, &fix.arena, &found, &err), err);
    CHECK_EQUAL(found.n, 0);
    snapshot_close(snapshot);
    put_rows(&fix, 99);
    commit_and_build(&fix);
    CHECK_EQUAL(generation_number(&fix), 0);
    CHECK(recall(&fix, 20, K, false) == 1);
    CHECK(recall(&fix, 5, 1000, false) == 1);
    CHECK_OK(snapshot_open(fix.index, &snapshot, &err), err);
    CHECK_OK(dense_search(snapshot, query, 0, false, NULL, &fix.arena, &found, &err), err);
    CHECK_EQUAL(found.n, 0);
    query[7] = NAN;
    CHECK(!dense_search(snapshot, query, K, false, NULL, &fix.arena, &found, &err));
    CHECK_EQUAL(err.code, ERROR_INVALID);
    float score = 5;
    query[7] = 0;
    CHECK(!dense_score(snapshot, query, (uint32_t[]){12345}, 1, &score, &err));
    CHECK(err.code == ERROR_CORRUPT && score == 5);
    snapshot_close(snapshot);
    fix_close(&fix);
}

/* One list finds everything; so do newer rows and deletions, until so many are dead that it is
 * built anew. */
static void one_list_covers_newer_and_dead(void) {
    struct fix fix;
    fix_open(&fix, (struct dense_limits){100, 100000, 300, 0, 1}, 2);
    put_rows(&fix, 1000);
    commit_and_build(&fix);
    CHECK_EQUAL(generation_number(&fix), 1);
    CHECK(recall(&fix, 30, K, false) == 1);
    CHECK(dense_index_has(index_dense(fix.index), 1));
    put_rows(&fix, 300); /* not more than uncovered_min */
    commit_and_build(&fix);
    CHECK_EQUAL(generation_number(&fix), 1);
    CHECK(recall(&fix, 30, K, false) == 1);
    for (uint32_t i = 0; i < 1300; i++)
        if (i % 3 != 0)
            delete_row(&fix, i);
    struct error err;
    CHECK_OK(writer_commit(fix.writer, &err), err);
    CHECK(recall(&fix, 30, K, false) == 1);
    for (uint32_t i = 0; i < 995; i += 3)
        delete_row(&fix, i);
    CHECK_OK(writer_commit(fix.writer, &err), err);
    CHECK(recall(&fix, 30, K, false) == 1);
    CHECK(recall(&fix, 5, 400, false) == 1);
    commit_and_build(&fix); /* half and more of it is dead */
    CHECK_EQUAL(generation_number(&fix), 2);
    CHECK(recall(&fix, 30, K, false) == 1);
    CHECK(!file_exists(generation_file(&fix, 1)));
    CHECK(!dense_index_has(index_dense(fix.index), 1)); /* given back, too */
    fix_close(&fix);
}

static void lists_find_nearly_all(void) {
    struct fix fix;
    struct error err;
    fix_open(&fix, (struct dense_limits){100, 2000, 500, 0, 1}, 3);
    put_rows(&fix, 8000);
    commit_and_build(&fix);
    CHECK_EQUAL(generation_number(&fix), 1);
    CHECK(recall(&fix, 20, K, true) == 1);
    CHECK_EQUAL(fix.approximate_n, 0);
    double found = recall(&fix, 300, K, false), many = recall(&fix, 50, 100, false);
    CHECK(dense_index_has(index_dense(fix.index), 1));
    printf("lists over 8,000 rows: recall@10 %.4f, @100 %.4f\n", found, many);
    CHECK(found >= 0.95 && many >= 0.95);
    CHECK_EQUAL(fix.approximate_n, 350);
    for (uint32_t i = 0; i < 8000; i++)
        if (check_random(&fix.seed) % 10 < 4)
            delete_row(&fix, i);
    CHECK_OK(writer_commit(fix.writer, &err), err);
    put_rows(&fix, 400);
    found = recall(&fix, 200, K, false);
    printf("with 40 %% dead and 400 newer: recall@10 %.4f\n", found);
    CHECK(found >= 0.95);
    put_rows(&fix, 1300); /* a fifth and more */
    commit_and_build(&fix);
    CHECK_EQUAL(generation_number(&fix), 2);
    CHECK(recall(&fix, 200, K, false) >= 0.95);
    fix_close(&fix);
}

static void damage(const char *path, size_t at, unsigned char flip) {
    FILE *file = fopen(path, "r+b");
    CHECK(file);
    if (!file)
        return;
    CHECK(fseek(file, (long)at, SEEK_SET) == 0);
    int byte = fgetc(file);
    CHECK(byte != EOF && fseek(file, (long)at, SEEK_SET) == 0);
    fputc(byte ^ flip, file);
    fclose(file);
}

/* After each kind of damage: right answers, exact ones for certain, and a new generation at the
 * next build. Damage where no search came by is noticed by the build. */
static void damaged_files_are_built_anew(void) {
    struct dense_limits limits = {100, 500, 300, 0, 1};
    struct fix fix;
    struct stat info;
    fix_open(&fix, limits, 4);
    put_rows(&fix, 600);
    commit_and_build(&fix);
    for (uint64_t number = 1; number < 10; number++) {
        const char *path = generation_file(&fix, number);
        CHECK_EQUAL(generation_number(&fix), number);
        CHECK(stat(path, &info) == 0);
        size_t len = (size_t)info.st_size;
        close_index(&fix);
        bool seen_at_once = number <= 7;
        switch (number) {
        case 1: CHECK(unlink(path) == 0); break;
        case 2: CHECK(truncate(path, 0) == 0); break;
        case 3: CHECK(truncate(path, 70) == 0); break;
        case 4: CHECK(truncate(path, (off_t)len - 1) == 0); break;
        case 5: damage(path, 30, 1); break;           /* rows_n */
        case 6: damage(path, 75, 64); break;          /* a checksum */
        case 7: damage(path, 4100, 128); break;       /* a centre */
        case 8: damage(path, len - 5000, 1); break;   /* a row's bytes */
        default: damage(path, len - 45000, 4); break; /* signs, or before them */
        }
        arena_reset(&fix.arena);
        open_index(&fix, limits);
        CHECK(recall(&fix, 10, K, false) >= (seen_at_once ? 1 : 0.95));
        CHECK(recall(&fix, 10, K, true) == 1);
        CHECK(!seen_at_once || !dense_index_has(index_dense(fix.index), number));
        commit_and_build(&fix);
        CHECK(recall(&fix, 10, K, false) >= 0.95);
        CHECK(dense_index_has(index_dense(fix.index), number + 1));
        commit_and_build(&fix); /* whole now: nothing to do */
        CHECK_EQUAL(generation_number(&fix), number + 1);
        CHECK(!file_exists(generation_file(&fix, number)));
    }
    fix_close(&fix);
}

/* A commit that names another generation than lies there (a folder put together from two). */
static void a_swapped_file_is_not_trusted(void) {
    struct dense_limits limits = {100, 500, 300, 0, 1};
    struct fix fix;
    fix_open(&fix, limits, 5);
    put_rows(&fix, 200);
    commit_and_build(&fix);
    const char *first = generation_file(&fix, 1),
               *kept = arena_format(&fix.arena, "%s/kept", fix.folder);
    CHECK(link(first, kept) == 0);
    put_rows(&fix, 400);
    commit_and_build(&fix);
    CHECK_EQUAL(generation_number(&fix), 2);
    CHECK(rename(kept, generation_file(&fix, 2)) == 0);
    close_index(&fix);
    arena_reset(&fix.arena);
    open_index(&fix, limits);
    CHECK(recall(&fix, 10, K, false) == 1);
    CHECK(!dense_index_has(index_dense(fix.index), 2));
    fix_close(&fix);
}

/* ---- searches while generations change ---- */

struct searcher {
    struct fix *fix;
    atomic_bool *stop;
    size_t searches_n, wrong_n;
    pthread_t thread;
};

static void *search_on(void *context) {
    struct searcher *searcher = context;
    struct arena arena = {0};
    struct error err;
    unsigned long long seed = 6 + (unsigned long long)(uintptr_t)searcher % 1000;
    while (!atomic_load(searcher->stop) || searcher->searches_n < 50) {
        struct snapshot *snapshot;
        struct scored_list found = {0}, exact = {0};
        float query[DIM];
        for (size_t i = 0; i < DIM; i++)
            query[i] = check_random_float(&seed);
        bool ok = snapshot_open(searcher->fix->index, &snapshot, &err);
        if (ok) {
            ok = dense_search(snapshot, query, 3, false, NULL, &arena, &found, &err) &&
                 dense_search(snapshot, query, 3, true, NULL, &arena, &exact, &err) &&
                 found.n == exact.n &&
                 memcmp(found.entries, exact.entries, found.n * sizeof *found.entries) == 0;
            snapshot_close(snapshot);
        }
        searcher->wrong_n += !ok;
        searcher->searches_n++;
        arena_reset(&arena);
    }
    arena_done(&arena);
    return NULL;
}

static void threads_search_while_generations_change(void) {
    struct fix fix;
    atomic_bool stop = false;
    struct searcher searchers[2];
    fix_open(&fix, (struct dense_limits){50, 100000, 40, 0, 1}, 6); /* exact, so comparable */
    put_rows(&fix, 200);
    commit_and_build(&fix);
    for (size_t i = 0; i < 2; i++) {
        searchers[i] = (struct searcher){.fix = &fix, .stop = &stop};
        CHECK(pthread_create(&searchers[i].thread, NULL, search_on, &searchers[i]) == 0);
    }
    for (size_t round = 0; round < 12; round++) {
        put_rows(&fix, fix.rows_n / 4 + 41);
        commit_and_build(&fix);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < 2; i++) {
        pthread_join(searchers[i].thread, NULL);
        CHECK_EQUAL(searchers[i].wrong_n, 0);
        printf("searcher %zu: %zu searches\n", i, searchers[i].searches_n);
    }
    CHECK_EQUAL(generation_number(&fix), 13);
    fix_close(&fix);
}

/* ---- meanwhile ---- */

/* Asks once, then waits until it is done. */
static void tend(struct fix *fix) {
    index_tend(fix->index);
    while (index_is_tending(fix->index))
        usleep(1000);
}

/* Every kind of generation there is comes from the thread beside the writer and the searchers: the
 * first, extended ones, one after a loss, while the writer goes on with batches of its own. */
static void generations_are_made_meanwhile(void) {
    struct fix fix;
    struct error err;
    atomic_bool stop = false;
    struct searcher searchers[2];
    struct dense_limits limits = {50, 100000, 40, 0, 1};
    fix_open(&fix, limits, 7);
    tend(&fix);
    CHECK_EQUAL(generation_number(&fix), 0); /* nothing to do yet */
    put_rows(&fix, 200);
    for (size_t i = 0; i < 2; i++) {
        searchers[i] = (struct searcher){.fix = &fix, .stop = &stop};
        CHECK(pthread_create(&searchers[i].thread, NULL, search_on, &searchers[i]) == 0);
    }
    for (size_t round = 0; round < 12; round++) {
        index_tend(fix.index);
        put_rows(&fix, fix.rows_n / 4 + 41); /* commits while the thread works */
        delete_row(&fix, fix.rows_n - 1 - (uint32_t)round);
        CHECK_OK(writer_commit(fix.writer, &err), err);
        tend(&fix);
        tend(&fix); /* of the commits above */
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < 2; i++) {
        pthread_join(searchers[i].thread, NULL);
        CHECK_EQUAL(searchers[i].wrong_n, 0);
    }
    uint64_t number = generation_number(&fix);
    CHECK(number >= 12);
    CHECK(recall(&fix, 20, K, false) == 1);
    CHECK(unlink(generation_file(&fix, number)) == 0);
    close_index(&fix);
    arena_reset(&fix.arena);
    open_index(&fix, limits);
    CHECK(recall(&fix, 20, K, false) == 1); /* from a scan */
    tend(&fix);
    CHECK_EQUAL(generation_number(&fix), number + 1);
    CHECK(recall(&fix, 20, K, false) == 1);
    CHECK(dense_index_has(index_dense(fix.index), number + 1));
    index_tend(fix.index); /* and is told to stop at once */
    fix_close(&fix);
}

/* An extended generation keeps its lists, drops the dead, and finds old and new. */
static void lists_are_extended(void) {
    struct fix fix;
    fix_open(&fix, (struct dense_limits){100, 1000, 100, 0, 1}, 8);
    put_rows(&fix, 4000);
    commit_and_build(&fix);
    for (uint64_t number = 2; number < 7; number++) {
        for (uint32_t i = (uint32_t)number; i < 4000; i += 17)
            if (fix.live[i])
                delete_row(&fix, i);
        put_rows(&fix, 1200);
        commit_and_build(&fix);
        CHECK_EQUAL(generation_number(&fix), number);
        double found = recall(&fix, 100, K, false);
        printf("extended to %u docids: recall@10 %.4f\n", fix.rows_n, found);
        CHECK(found >= 0.95);
        CHECK(recall(&fix, 20, K, true) == 1);
    }
    fix_close(&fix);
}

/* What the settings ask for is kept, and decides when there are lists. */
static void a_collection_chooses(void) {
    struct dense_limits usual = {0};
    for (int kind = INDEX_DENSE_AUTO; kind <= INDEX_DENSE_LISTS; kind++) {
        struct index_settings settings = {.dense_dim = DIM,
                                          .dense_kind = (enum index_dense_kind)kind};
        char folder[64];
        struct index *index;
        struct error err;
        enum index_dense_kind parsed;
        fixture_folder(folder);
        CHECK_OK(index_create(folder, &settings, &index, &err), err);
        index_close(index);
        CHECK_OK(index_open(folder, INDEX_READ, &index, &err), err);
        CHECK(index_settings_of(index)->dense_kind == settings.dense_kind);
        struct dense_limits limits = dense_index_limits(index_dense(index));
        if (kind == INDEX_DENSE_AUTO)
            usual = limits;
        CHECK(limits.generation_rows_min == usual.generation_rows_min);
        CHECK(kind == INDEX_DENSE_AUTO   ? limits.lists_rows_min > usual.generation_rows_min
              : kind == INDEX_DENSE_FLAT ? limits.lists_rows_min == UINT32_MAX
                                         : limits.lists_rows_min == usual.generation_rows_min);
        CHECK(index_dense_parse(index_dense_name(settings.dense_kind), &parsed, &err));
        CHECK(parsed == settings.dense_kind);
        index_close(index);
        fixture_remove(folder);
    }
    enum index_dense_kind none;
    struct error err;
    CHECK(!index_dense_parse("hnsw", &none, &err) && err.code == ERROR_INVALID);
}

int main(void) {
    a_collection_chooses();
    few_rows_need_no_generation();
    one_list_covers_newer_and_dead();
    lists_find_nearly_all();
    damaged_files_are_built_anew();
    a_swapped_file_is_not_trusted();
    threads_search_while_generations_change();
    generations_are_made_meanwhile();
    lists_are_extended();
    return check_result();
}
