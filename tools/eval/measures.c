#include "tools/eval/measures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nobody looks further down; a run of trec_eval's has 1,000. */
enum { DEPTH_MAX = 1000000 };

static const struct {
    const char *name;
    enum measure_kind kind;
    bool whole; /* means something without a depth */
} kinds[] = {
    {"ndcg", MEASURE_NDCG, true},  {"recall", MEASURE_RECALL, false},
    {"mrr", MEASURE_MRR, true},    {"precision", MEASURE_PRECISION, false},
    {"map", MEASURE_MAP, true},    {"hit", MEASURE_HIT, false},
    {"hole", MEASURE_HOLE, false},
};

static int compare_hits(const void *a, const void *b) {
    const struct run_hit *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return strcmp(y->doc_key, x->doc_key);
}

static int compare_gains(const void *a, const void *b) {
    return *(const int *)b - *(const int *)a;
}

/* Ranks without what stood before: gains[i] of the i-th document, each once. */
static size_t gains_of(const struct run_hit *hits, size_t hits_n, struct map *judged,
                       const struct judged_query *query, int *gains) {
    struct map seen = {0};
    size_t n = 0;
    for (size_t i = 0; i < hits_n; i++) {
        size_t len = strlen(hits[i].doc_key);
        bool fresh;
        map_put(&seen, hits[i].doc_key, len, 0, &fresh);
        if (!fresh)
            continue;
        const uint32_t *judgment = map_find(judged, hits[i].doc_key, len);
        gains[n++] = judgment ? query->judgments[*judgment].relevance : RANKING_UNJUDGED;
    }
    map_done(&seen);
    return n;
}

struct ranking ranking_make(const struct judged_query *query, struct run_hit *hits, size_t hits_n,
                            struct arena *arena) {
    int *gains = ARENA_NEW(arena, int, hits_n + 1);
    int *ideal = ARENA_NEW(arena, int, query->judgments_n + 1);
    struct ranking ranking = {.gains = gains, .ideal = ideal};
    struct map judged = {0};
    for (size_t i = 0; i < query->judgments_n; i++) {
        const struct judgment *judgment = &query->judgments[i];
        bool fresh;
        uint32_t *at =
            map_put(&judged, judgment->doc_key, strlen(judgment->doc_key), (uint32_t)i, &fresh);
        *at = (uint32_t)i; /* who judges twice means the last one, as in trec_eval's tables */
    }
    for (size_t i = 0; i < query->judgments_n; i++) {
        const struct judgment *judgment = &query->judgments[i];
        bool last = *map_find(&judged, judgment->doc_key, strlen(judgment->doc_key)) == i;
        if (last && judgment->relevance > 0)
            ideal[ranking.relevant_n++] = judgment->relevance;
    }
    if (ranking.relevant_n)
        qsort(ideal, ranking.relevant_n, sizeof *ideal, compare_gains);
    if (hits_n)
        qsort(hits, hits_n, sizeof *hits, compare_hits);
    ranking.n = gains_of(hits, hits_n, &judged, query, gains);
    map_done(&judged);
    return ranking;
}

static double ndcg(const struct ranking *ranking, size_t depth) {
    double found = 0, best = 0;
    for (size_t i = 0; i < ranking->n && i < depth; i++)
        if (ranking->gains[i] > 0)
            found += ranking->gains[i] / log2((double)i + 2);
    for (size_t i = 0; i < ranking->relevant_n && i < depth; i++)
        best += ranking->ideal[i] / log2((double)i + 2);
    return best > 0 ? found / best : 0;
}

static double average_precision(const struct ranking *ranking, size_t depth) {
    double sum = 0;
    size_t found = 0;
    for (size_t i = 0; i < ranking->n && i < depth; i++)
        if (ranking->gains[i] > 0)
            sum += (double)++found / (double)(i + 1);
    return ranking->relevant_n ? sum / (double)ranking->relevant_n : 0;
}

static double reciprocal_rank(const struct ranking *ranking, size_t depth) {
    for (size_t i = 0; i < ranking->n && i < depth; i++)
        if (ranking->gains[i] > 0)
            return 1.0 / (double)(i + 1);
    return 0;
}

/* Of the first ranks: relevant ones, or those that nobody judged. */
static double count(const struct ranking *ranking, size_t depth, bool unjudged) {
    size_t n = 0;
    for (size_t i = 0; i < ranking->n && i < depth; i++)
        n += unjudged ? ranking->gains[i] == RANKING_UNJUDGED : ranking->gains[i] > 0;
    return (double)n;
}

double measure_of(struct measure measure, const struct ranking *ranking) {
    size_t depth = measure.depth ? measure.depth : SIZE_MAX;
    switch (measure.kind) {
    case MEASURE_NDCG: return ndcg(ranking, depth);
    case MEASURE_RECALL:
        return ranking->relevant_n ? count(ranking, depth, false) / (double)ranking->relevant_n : 0;
    case MEASURE_PRECISION: return count(ranking, depth, false) / (double)depth;
    case MEASURE_MRR: return reciprocal_rank(ranking, depth);
    case MEASURE_MAP: return average_precision(ranking, depth);
    case MEASURE_HIT: return count(ranking, depth, false) > 0;
    case MEASURE_HOLE:
        return ranking->n
                   ? count(ranking, depth, true) / (double)(ranking->n < depth ? ranking->n : depth)
                   : 0;
    }
    return 0;
}

static bool measure_parse(const char *name, size_t len, struct measure *out, struct error *err) {
    const char *at = memchr(name, '@', len);
    size_t word = at ? (size_t)(at - name) : len;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strlen(kinds[i].name) != word || strncmp(kinds[i].name, name, word) != 0)
            continue;
        char *end = NULL;
        bool digits = at && at[1] >= '1' && at[1] <= '9'; /* strtoul takes blanks and signs, too */
        unsigned long depth = digits ? strtoul(at + 1, &end, 10) : 0;
        if ((at && (end != name + len || depth > DEPTH_MAX)) || (!at && !kinds[i].whole))
            break;
        *out = (struct measure){kinds[i].kind, (uint32_t)depth};
        return true;
    }
    return error_set(err, ERROR_INVALID,
                     "\"%.*s\" is no measure: ndcg@10, recall@100, precision@5, mrr@10, map, "
                     "hit@20 and hole@10 are, with other depths too",
                     (int)len, name);
}

bool measures_parse(const char *names, struct measure_list *out, struct error *err) {
    out->n = 0;
    for (const char *at = names;;) {
        size_t len = strcspn(at, ",");
        if (out->n == MEASURES_MAX)
            return error_set(err, ERROR_LIMIT, "more than %d measures", MEASURES_MAX);
        if (!measure_parse(at, len, &out->items[out->n++], err))
            return false;
        if (!at[len])
            return true;
        at += len + 1;
    }
}

void measure_name(struct measure measure, char out[MEASURE_NAME_BYTES]) {
    const char *word = "";
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].kind == measure.kind)
            word = kinds[i].name;
    if (measure.depth)
        snprintf(out, MEASURE_NAME_BYTES, "%s@%u", word, measure.depth);
    else
        snprintf(out, MEASURE_NAME_BYTES, "%s", word);
}
