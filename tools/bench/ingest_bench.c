/* tercet bench ingest - how fast an index takes records that bring their representations, and how
 * soon a large one answers after it was opened.
 *
 * The records are made up (random.h): unit vectors of 384 dimensions, 120 terms of a
 * Zipf-Mandelbrot vocabulary of 250,007 with lognormal weights, 128 token vectors where asked for.
 * One thread; every batch of 1,000 is committed, fsynced and searchable before the next; making the
 * records is not timed. */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/base/vec.h"
#include "index/index.h"
#include "index/writer.h"
#include "tools/bench/benches.h"
#include "tools/bench/latency.h"
#include "engine/base/random.h"

enum {
    BATCH = 1000,
    DIM = 384,
    TERMS = 120,
    VOCABULARY = 250007,
    VECTORS = 128,  /* of a document with token vectors */
    SEARCHES = 200, /* after the inserts: documents looked for by their own vectors */
    RESULTS = 10,
    TEXT_BYTES = 1 << 20, /* of a document of the large index; random, so that zstd keeps them */
    OPENS = 11,
    PATH_BYTES_MAX = 4096,
};

struct bench_options {
    uint32_t documents_n, megabytes;
    const char *folder, *only;
    bool quick, json;
};

/* ---- documents ---- */

struct document_made {
    char key[16];
    float dense[DIM];
    uint32_t ids[TERMS];
    float weights[TERMS];
    size_t terms_n;
    float *multi; /* [VECTORS, DIM], or NULL */
};

static void make_unit(uint64_t *state, float *out) {
    for (size_t i = 0; i < DIM; i++)
        out[i] = (float)(random_uniform(state) - 0.5);
    vec_normalize(out, DIM);
}

static int by_id(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Term of rank r as often as 1 / (r + 51) says; ranks are spread over the ids. */
static void make_terms(uint64_t *state, struct document_made *out) {
    const double shift = 51, span = log((VOCABULARY + shift) / shift);
    uint32_t ids[TERMS];
    for (size_t i = 0; i < TERMS; i++) {
        uint64_t rank = (uint64_t)(shift * exp(span * random_uniform(state)) - shift);
        ids[i] = (uint32_t)(rank * 48271 % VOCABULARY);
    }
    qsort(ids, TERMS, sizeof *ids, by_id);
    out->terms_n = 0;
    for (size_t i = 0; i < TERMS; i++)
        if (i == 0 || ids[i] != ids[i - 1]) {
            out->ids[out->terms_n] = ids[i];
            out->weights[out->terms_n++] = (float)exp(0.7 * random_normal(state) - 0.6);
        }
}

/* The same for the same number, whatever came before. */
static void make_document(uint32_t number, struct document_made *out) {
    uint64_t state = number;
    snprintf(out->key, sizeof out->key, "%u", number);
    make_unit(&state, out->dense);
    make_terms(&state, out);
    for (size_t v = 0; out->multi && v < VECTORS; v++)
        make_unit(&state, out->multi + v * DIM);
}

static struct record record_of(const struct document_made *document) {
    return (struct record){
        .key = document->key,
        .key_len = strlen(document->key),
        .dense = document->dense,
        .sparse = {document->ids, document->weights, document->terms_n},
        .multi = document->multi,
        .multi_n = document->multi ? VECTORS : 0,
    };
}

/* ---- folders ---- */

static int remove_one(const char *path, const struct stat *info, int flag, struct FTW *walk) {
    (void)info, (void)flag, (void)walk;
    return remove(path);
}

static void remove_folder(const char *path) {
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static bool make_index(const struct bench_options *options, bool multi, char path[PATH_BYTES_MAX],
                       struct index **out, struct error *err) {
    struct index_settings settings = {
        .dense_dim = DIM,
        .multi_dim = multi ? DIM : 0,
        .lexical = INDEX_LEXICAL_LEARNED,
    };
    snprintf(path, PATH_BYTES_MAX, "%s/tercet-bench-XXXXXX", options->folder);
    if (!mkdtemp(path))
        return error_set_errno(err, "%s", path);
    return index_create(path, &settings, out, err);
}

/* ---- inserting ---- */

struct inserted {
    struct latency batches;
    double total_ms, max_ms;
};

static bool insert_batch(struct writer *writer, const struct document_made *documents, uint32_t n,
                         struct inserted *out, struct error *err) {
    latency_begin(&out->batches);
    bool ok = true;
    for (uint32_t i = 0; ok && i < n; i++) {
        struct record record = record_of(&documents[i]);
        ok = writer_put(writer, &record, err);
    }
    ok = ok && writer_commit(writer, err);
    latency_end(&out->batches);
    double took_ms = out->batches.calls_ms[out->batches.n - 1];
    out->total_ms += took_ms;
    out->max_ms = took_ms > out->max_ms ? took_ms : out->max_ms;
    return ok;
}

static bool insert_all(struct index *index, const struct bench_options *options, bool multi,
                       struct inserted *out, struct error *err) {
    struct writer *writer;
    if (!writer_open(index, &writer, err))
        return false;
    struct document_made *documents = mem_zalloc(BATCH, sizeof *documents);
    float *vectors = multi ? mem_alloc((size_t)BATCH * VECTORS * DIM, sizeof *vectors) : NULL;
    bool ok = true;
    for (uint32_t done = 0; ok && done < options->documents_n; done += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) {
            documents[i].multi = multi ? vectors + (size_t)i * VECTORS * DIM : NULL;
            make_document(done + i, &documents[i]);
        }
        ok = insert_batch(writer, documents, BATCH, out, err);
    }
    writer_close(writer);
    free(vectors);
    free(documents);
    return ok;
}

/* ---- do searches find what was put? ---- */

static bool holds(struct snapshot *snapshot, const struct scored_list *list, const char *key) {
    struct error ignored;
    uint32_t docid;
    if (!document_find(snapshot, key, strlen(key), &docid, &ignored))
        return false;
    for (size_t i = 0; i < list->n; i++)
        if (list->entries[i].docid == docid)
            return true;
    return false;
}

/* found_out: the part of documents that are among the best of a search for their own vectors, the
 * worse of dense and sparse. */
static bool search_for_some(struct index *index, uint32_t documents_n, double *found_out,
                            struct error *err) {
    struct snapshot *snapshot;
    struct arena arena = {0};
    uint64_t state = 1;
    unsigned found[2] = {0};
    if (!snapshot_open(index, &snapshot, err))
        return false;
    bool ok = true;
    for (int i = 0; ok && i < SEARCHES; i++) {
        struct document_made document = {.multi = NULL};
        struct scored_list list;
        make_document(random_below(&state, documents_n), &document);
        struct sparse_vector sparse = {document.ids, document.weights, document.terms_n};
        ok = dense_search(snapshot, document.dense, RESULTS, true, NULL, &arena, &list, err);
        found[0] += ok && holds(snapshot, &list, document.key);
        ok = ok && sparse_search(snapshot, &sparse, RESULTS, NULL, &arena, &list, err);
        found[1] += ok && holds(snapshot, &list, document.key);
        arena_reset(&arena);
    }
    snapshot_close(snapshot);
    arena_done(&arena);
    *found_out = (double)(found[0] < found[1] ? found[0] : found[1]) / SEARCHES;
    return ok;
}

static void print_inserted(struct inserted *inserted, const char *name, uint32_t documents_n,
                           double found, const struct index_counts *counts) {
    struct json *row =
        figure_row("ingest", name, 1, "documents/s", 1e3 * documents_n / inserted->total_ms);
    json_add_number(row, "documents", documents_n);
    json_add_number(row, "documents_per_cpu_s", documents_n / inserted->batches.cpu_s);
    json_add_number(row, "batch_p50_ms", latency_percentile(&inserted->batches, 0.5));
    json_add_number(row, "batch_p99_ms", latency_percentile(&inserted->batches, 0.99));
    json_add_number(row, "batch_max_ms", inserted->max_ms);
    json_add_number(row, "bytes_per_document",
                    (double)counts->bytes_on_disk / (double)counts->documents_n);
    json_add_number(row, "segments", (double)counts->segments_n);
    json_add_number(row, "found", found);
    bench_print(row);
}

static bool bench_insert(const struct bench_options *options, const char *name, bool multi,
                         struct error *err) {
    char path[PATH_BYTES_MAX];
    struct index *index = NULL;
    struct index_counts counts;
    struct inserted inserted = {0};
    double found = 0;
    bool ok = make_index(options, multi, path, &index, err) &&
              insert_all(index, options, multi, &inserted, err) &&
              index_count(index, &counts, err) &&
              search_for_some(index, options->documents_n, &found, err);
    if (ok)
        print_inserted(&inserted, name, options->documents_n, found, &counts);
    latency_done(&inserted.batches);
    index_close(index);
    remove_folder(path);
    return ok;
}

/* ---- opening ---- */

static bool fill_large(struct index *index, uint32_t texts_n, struct error *err) {
    struct writer *writer;
    uint64_t state = 3;
    if (!writer_open(index, &writer, err))
        return false;
    char *text = mem_alloc(TEXT_BYTES, 1);
    struct document_made document = {.multi = NULL};
    bool ok = true;
    for (uint32_t i = 0; ok && i < texts_n; i++) {
        for (size_t at = 0; at < TEXT_BYTES; at += 8) {
            uint64_t bytes = random_u64(&state);
            memcpy(text + at, &bytes, 8);
        }
        make_document(i, &document);
        struct record record = record_of(&document);
        record.text = text;
        record.text_len = TEXT_BYTES;
        ok = writer_put(writer, &record, err) && (i % 64 != 63 || writer_commit(writer, err));
    }
    ok = ok && writer_commit(writer, err) && writer_build_dense(writer, 1, err);
    writer_close(writer);
    free(text);
    return ok;
}

/* The kernel forgets what it has of the file: the next reader waits for the disk. */
static bool drop_cache(const char *path, struct error *err) {
    char file[PATH_BYTES_MAX + 16];
    snprintf(file, sizeof file, "%s/data.mdb", path);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0) {
        if (fd >= 0)
            close(fd);
        return error_set_errno(err, "%s", file);
    }
    close(fd);
    return true;
}

/* A query of a document's heaviest terms, as many as a question has. */
static void keep_heaviest(struct document_made *document) {
    enum { QUERY_TERMS = 12 };
    while (document->terms_n > QUERY_TERMS) {
        size_t lightest = 0;
        for (size_t i = 1; i < document->terms_n; i++)
            if (document->weights[i] < document->weights[lightest])
                lightest = i;
        size_t behind = --document->terms_n - lightest;
        memmove(document->ids + lightest, document->ids + lightest + 1,
                behind * sizeof *document->ids);
        memmove(document->weights + lightest, document->weights + lightest + 1,
                behind * sizeof *document->weights);
    }
}

/* What came when, summed over all opens. */
struct opened {
    struct latency latency; /* until both answers are there */
    double open_ms, sparse_ms, dense_ms;
    unsigned found_n;
};

/* From a closed folder to the first answers of both kinds. */
static bool open_and_search(const char *path, const struct document_made *wanted,
                            struct opened *out, struct error *err) {
    struct index *index;
    struct snapshot *snapshot = NULL;
    struct arena arena = {0};
    struct scored_list dense, sparse;
    struct sparse_vector query = {wanted->ids, wanted->weights, wanted->terms_n};
    double began = clock_now_ms();
    if (!index_open(path, INDEX_READ, &index, err))
        return false;
    bool ok = snapshot_open(index, &snapshot, err);
    double opened = clock_now_ms();
    ok = ok && sparse_search(snapshot, &query, RESULTS, NULL, &arena, &sparse, err);
    double searched = clock_now_ms();
    ok = ok && dense_search(snapshot, wanted->dense, RESULTS, false, NULL, &arena, &dense, err);
    out->dense_ms += clock_now_ms() - searched;
    out->sparse_ms += searched - opened;
    out->open_ms += opened - began;
    out->found_n +=
        ok && holds(snapshot, &dense, wanted->key) && holds(snapshot, &sparse, wanted->key);
    snapshot_close(snapshot);
    arena_done(&arena);
    index_close(index);
    return ok;
}

static bool time_opens(const char *path, uint32_t texts_n, struct opened *out, struct error *err) {
    uint64_t state = 4;
    for (int i = 0; i < OPENS; i++) {
        struct document_made wanted = {.multi = NULL};
        make_document(random_below(&state, texts_n), &wanted);
        keep_heaviest(&wanted);
        if (!drop_cache(path, err))
            return false;
        latency_begin(&out->latency);
        bool ok = open_and_search(path, &wanted, out, err);
        latency_end(&out->latency);
        if (!ok)
            return false;
    }
    return true;
}

static bool bench_open(const struct bench_options *options, struct error *err) {
    char path[PATH_BYTES_MAX], name[32];
    struct index *index = NULL;
    struct index_counts counts;
    struct opened opened = {0};
    uint32_t texts_n = options->megabytes;
    bool ok = make_index(options, false, path, &index, err) && fill_large(index, texts_n, err) &&
              index_count(index, &counts, err);
    index_close(index);
    ok = ok && time_opens(path, texts_n, &opened, err);
    if (ok) {
        snprintf(name, sizeof name, "open/%.1fGB", (double)counts.bytes_on_disk / 1e9);
        struct json *row = latency_row(&opened.latency, "ingest", name, 1);
        json_add_number(row, "max_ms", latency_percentile(&opened.latency, 1));
        json_add_number(row, "open_ms", opened.open_ms / OPENS);
        json_add_number(row, "sparse_ms", opened.sparse_ms / OPENS);
        json_add_number(row, "dense_ms", opened.dense_ms / OPENS);
        json_add_number(row, "found", (double)opened.found_n / OPENS);
        bench_print(row);
    }
    latency_done(&opened.latency);
    remove_folder(path);
    return ok;
}

/* ---- options ---- */

static bool wanted(const struct bench_options *options, const char *name) {
    return !options->only || strstr(name, options->only);
}

static int bench_all(const struct bench_options *options) {
    struct error err;
    const char *two = "insert/1000 dense+sparse", *three = "insert/1000 all three";
    bool ok = (!wanted(options, two) || bench_insert(options, two, false, &err)) &&
              (!wanted(options, three) || bench_insert(options, three, true, &err)) &&
              (!wanted(options, "open/") || bench_open(options, &err));
    return ok ? EXIT_DONE : command_failed(&err);
}

static int run(int argc, char **argv) {
    struct bench_options options = {.folder = "/tmp"};
    const struct option table[] = {
        {"documents", OPTION_NUMBER, &options.documents_n, "N",
         "to insert, rounded up to thousands (default: 100000)", BATCH, 100000000, 'n'},
        {"megabytes", OPTION_NUMBER, &options.megabytes, "N",
         "of texts in the index that is opened (default: 1000)", 64, 100000, 0},
        {"folder", OPTION_TEXT, &options.folder, "FOLDER",
         "where indexes are made and removed again (default: /tmp)", 0, 0, 0},
        {"case", OPTION_TEXT, &options.only, "NAME", "only cases with NAME in their name", 0, 0, 0},
        {"quick", OPTION_FLAG, &options.quick, NULL, "few documents, a small file", 0, 0, 0},
        {"json", OPTION_FLAG, &options.json, NULL, "JSON lines (always so)", 0, 0, 0},
        {0},
    };
    size_t words_n;
    int status = options_parse(&bench_ingest, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n != 0)
        return options_wrong(&bench_ingest, "\"%s\" is one word too many", argv[0]);
    if (options.documents_n == 0)
        options.documents_n = options.quick ? 5 * BATCH : 100 * BATCH;
    if (options.megabytes == 0)
        options.megabytes = options.quick ? 64 : 1000;
    options.documents_n = (options.documents_n + BATCH - 1) / BATCH * BATCH;
    return bench_all(&options);
}

const struct command bench_ingest = {
    "bench ingest", "", "records that bring their vectors, into an index; opening it", run};
