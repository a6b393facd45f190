#include "tools/bench/sparse_texts.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/lexical.h"
#include "index/index.h"
#include "index/writer.h"
#include "tools/bench/latency.h"
#include "tools/eval/benchmark.h"
#include "tools/eval/measures.h"

static const size_t ks[] = {10, 1000};

struct texts {
    struct analyzer *analyzer;
    struct index *index;
    struct arena arena; /* of one document or query */
    struct judged_queries queries;
    const char *name;
};

/* ---- texts to term ids ---- */

struct numbered {
    uint32_t id;
    float weight;
};

static int by_id(const void *a, const void *b) {
    uint32_t x = ((const struct numbered *)a)->id, y = ((const struct numbered *)b)->id;
    return x < y ? -1 : x > y;
}

static struct sparse_vector vector_of(struct numbered *terms, size_t n, struct arena *arena) {
    uint32_t *ids = ARENA_NEW(arena, uint32_t, n);
    float *weights = ARENA_NEW(arena, float, n);
    if (n > 0)
        qsort(terms, n, sizeof *terms, by_id);
    for (size_t i = 0; i < n; i++) {
        ids[i] = terms[i].id;
        weights[i] = terms[i].weight;
    }
    return (struct sparse_vector){ids, weights, n};
}

/* Words get their numbers from the writer. */
static bool put_text(struct texts *texts, struct writer *writer, const char *key, const char *text,
                     size_t len, struct error *err) {
    struct lexical lexical;
    struct arena *arena = &texts->arena;
    if (!analyzer_run(texts->analyzer, text, len, arena, &lexical, err))
        return false;
    struct numbered *terms = ARENA_NEW(arena, struct numbered, lexical.n);
    size_t n = 0;
    for (size_t i = 0; i < lexical.n; i++) {
        const struct lexical_term *term = &lexical.terms[i];
        if (term->word_len > WRITER_KEY_BYTES_MAX)
            continue;
        if (!writer_term_id(writer, term->word, term->word_len, &terms[n].id, err))
            return false;
        terms[n++].weight = term->weight;
    }
    struct record record = {
        .key = key,
        .key_len = strlen(key),
        .sparse = vector_of(terms, n, arena),
        .sparse_length = lexical.length,
    };
    return writer_put(writer, &record, err);
}

/* A line of corpus.jsonl. */
static bool put_line(struct texts *texts, struct writer *writer, const char *line, size_t len,
                     struct error *err) {
    struct json *json = json_parse(line, len, err);
    const char *id = "", *title = "", *text = "";
    bool ok = json && json_read_string(json, "_id", &id, err) &&
              json_read_string(json, "title", &title, err) &&
              json_read_string(json, "text", &text, err);
    if (ok) {
        char *both = arena_format(&texts->arena, "%s %s", title, text);
        ok = put_text(texts, writer, id, both, strlen(both), err);
    }
    json_release(json);
    arena_reset(&texts->arena);
    return ok;
}

static bool put_all(struct texts *texts, const char *folder, struct error *err) {
    char path[PATH_MAX];
    struct file_map map = {0};
    struct writer *writer = NULL;
    snprintf(path, sizeof path, "%s/corpus.jsonl", folder);
    bool ok = file_map_open(path, &map, err) && writer_open(texts->index, &writer, err);
    for (size_t at = 0; ok && at < map.len;) {
        const char *line = (const char *)map.data + at, *end = memchr(line, '\n', map.len - at);
        size_t len = end ? (size_t)(end - line) : map.len - at;
        ok = len == 0 || put_line(texts, writer, line, len, err);
        at += len + 1;
    }
    ok = ok && writer_commit(writer, err);
    writer_close(writer);
    file_map_close(&map);
    return ok;
}

/* ---- searching ---- */

static bool search_text(struct texts *texts, struct snapshot *snapshot, const char *text,
                        size_t len, size_t k, struct scored_list *out, struct error *err) {
    struct lexical lexical;
    struct arena *arena = &texts->arena;
    if (!analyzer_run(texts->analyzer, text, len, arena, &lexical, err))
        return false;
    struct numbered *terms = ARENA_NEW(arena, struct numbered, lexical.n);
    size_t n = 0;
    for (size_t i = 0; i < lexical.n; i++) {
        const struct lexical_term *term = &lexical.terms[i];
        bool found;
        if (!term_find(snapshot, term->word, term->word_len, &terms[n].id, &found, err))
            return false;
        if (found)
            terms[n++].weight = term->weight;
    }
    struct sparse_vector query = vector_of(terms, n, arena);
    return sparse_search(snapshot, &query, k, NULL, arena, out, err);
}

/* ndcg_sum: added to unless NULL. */
static bool search_one(struct texts *texts, const struct judged_query *query, size_t k,
                       double *ndcg_sum, struct error *err) {
    struct snapshot *snapshot = NULL;
    struct scored_list list = {0};
    bool ok = snapshot_open(texts->index, &snapshot, err) &&
              search_text(texts, snapshot, query->text, query->text_len, k, &list, err);
    struct run_hit *hits = ARENA_NEW(&texts->arena, struct run_hit, list.n);
    for (size_t i = 0; ok && ndcg_sum && i < list.n; i++) {
        struct document document;
        ok = document_get(snapshot, list.entries[i].docid, &texts->arena, &document, err);
        hits[i] = (struct run_hit){document.key, list.entries[i].score};
    }
    if (ok && ndcg_sum) {
        struct ranking ranking = ranking_make(query, hits, list.n, &texts->arena);
        *ndcg_sum += measure_of((struct measure){MEASURE_NDCG, 10}, &ranking);
    }
    snapshot_close(snapshot);
    arena_reset(&texts->arena);
    return ok;
}

static bool search_all(struct texts *texts, size_t k, size_t rounds_n, struct error *err) {
    double ndcg_sum = 0, best_s = 0;
    char name[128];
    bool ok = true;
    for (size_t i = 0; ok && i < texts->queries.n; i++)
        ok = search_one(texts, &texts->queries.queries[i], 10, &ndcg_sum, err);
    for (size_t round = 0; ok && round < rounds_n; round++) {
        double began_s = clock_now_s();
        for (size_t i = 0; ok && i < texts->queries.n; i++)
            ok = search_one(texts, &texts->queries.queries[i], k, NULL, err);
        double took_s = clock_now_s() - began_s;
        best_s = round == 0 || took_s < best_s ? took_s : best_s;
    }
    if (!ok)
        return false;
    snprintf(name, sizeof name, "bm25-%s/top%zu", texts->name, k);
    bench_print_peer(name, 1, "queries/s", (double)texts->queries.n / best_s, "ndcg@10",
                     100 * ndcg_sum / (double)texts->queries.n);
    return true;
}

/* ---- the whole ---- */

static bool build(struct texts *texts, const char *folder, const char *made, struct error *err) {
    const struct index_settings settings = {
        .analyzer = "words:en",
        .lexical = INDEX_LEXICAL_BM25,
        .bm25_k1 = 1.2f,
        .bm25_b = 0.75f,
    };
    char name[128];
    struct index_counts counts;
    double began_s = clock_now_s();
    if (!index_create(made, &settings, &texts->index, err) || !put_all(texts, folder, err) ||
        !index_count(texts->index, &counts, err))
        return false;
    snprintf(name, sizeof name, "bm25-%s/build", texts->name);
    bench_print_peer(name, 1, "s", clock_now_s() - began_s, NULL, 0);
    snprintf(name, sizeof name, "bm25-%s/bytes", texts->name);
    bench_print_peer(name, 1, "bytes", (double)counts.bytes_on_disk, NULL, 0);
    return true;
}

bool sparse_texts_bench(const char *folder, const char *made, size_t rounds_n, struct error *err) {
    const char *slash = strrchr(folder, '/');
    struct texts texts = {.name = slash && slash[1] ? slash + 1 : folder};
    struct benchmark benchmark;
    struct arena arena = {0};
    bool ok = analyzer_open("words:en", NULL, &texts.analyzer, err) &&
              benchmark_read("beir", folder, NULL, NULL, &arena, &benchmark, err) &&
              build(&texts, folder, made, err);
    if (ok)
        texts.queries = benchmark.judged;
    for (size_t i = 0; ok && i < sizeof ks / sizeof *ks; i++)
        ok = search_all(&texts, ks[i], rounds_n, err);
    index_close(texts.index);
    analyzer_close(texts.analyzer);
    arena_done(&texts.arena);
    arena_done(&arena);
    return ok;
}
