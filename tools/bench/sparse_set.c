#include "tools/bench/sparse_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/random.h"

/* ---- made up ---- */

enum {
    VOCABULARY = 250002,
    TOPIC_TERMS = 200,
    TOPIC_DOCUMENTS = 500,
    OWN = 70,    /* draws from the document's topic */
    COMMON = 80, /* draws from the whole vocabulary */
};

struct sparse_made {
    double *cdf;          /* [VOCABULARY] of ranks */
    uint32_t *id_of_rank; /* [VOCABULARY] a permutation */
    float *strength;      /* [VOCABULARY] of ranks: frequent terms carry less weight */
    uint32_t *topics;     /* [topics_n, TOPIC_TERMS] ranks */
    uint32_t topics_n;
};

static uint32_t draw_rank(const struct sparse_made *made, uint64_t *seed) {
    double u = random_uniform(seed);
    uint32_t low = 0, high = VOCABULARY - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (made->cdf[middle] < u)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct sparse_made *make_tables(uint32_t documents_n) {
    struct sparse_made *made = mem_zalloc(1, sizeof *made);
    uint64_t seed = 9;
    double sum = 0;
    made->cdf = mem_alloc(VOCABULARY, sizeof *made->cdf);
    made->strength = mem_alloc(VOCABULARY, sizeof *made->strength);
    made->id_of_rank = mem_alloc(VOCABULARY, sizeof *made->id_of_rank);
    for (uint32_t r = 0; r < VOCABULARY; r++) {
        uint32_t other = random_below(&seed, r + 1);
        made->cdf[r] = sum += 1.0 / (r + 51.0);
        made->strength[r] = (float)(0.4 + 0.6 * fmin(1, log(r + 1.0) / log(5000)));
        made->id_of_rank[r] = made->id_of_rank[other];
        made->id_of_rank[other] = r;
    }
    for (uint32_t r = 0; r < VOCABULARY; r++)
        made->cdf[r] /= sum;
    made->topics_n = documents_n / TOPIC_DOCUMENTS > 16 ? documents_n / TOPIC_DOCUMENTS : 16;
    made->topics = mem_alloc((size_t)made->topics_n * TOPIC_TERMS, sizeof *made->topics);
    for (size_t i = 0; i < (size_t)made->topics_n * TOPIC_TERMS; i++)
        made->topics[i] = draw_rank(made, &seed);
    return made;
}

static float lognormal(uint64_t *seed, double mean, double sigma) {
    return (float)exp(mean + sigma * random_normal(seed));
}

struct draw {
    uint32_t id;
    float weight;
};

static int by_id(const void *a, const void *b) {
    uint32_t x = ((const struct draw *)a)->id, y = ((const struct draw *)b)->id;
    return x < y ? -1 : x > y;
}

/* Sorts, and leaves out what was drawn before. */
static void take_draws(struct draw *draws, size_t n, struct sparse_set_vector *out) {
    qsort(draws, n, sizeof *draws, by_id);
    out->n = 0;
    for (size_t i = 0; i < n; i++) {
        if (out->n > 0 && out->ids[out->n - 1] == draws[i].id)
            continue;
        out->ids[out->n] = draws[i].id;
        out->weights[out->n++] = draws[i].weight;
    }
}

static void make_document(const struct sparse_made *made, uint32_t number,
                          struct sparse_set_vector *out) {
    uint64_t seed = number;
    struct draw draws[OWN + COMMON];
    const uint32_t *topic =
        made->topics + (size_t)random_below(&seed, made->topics_n) * TOPIC_TERMS;
    for (size_t i = 0; i < OWN + COMMON; i++) {
        double u = random_uniform(&seed);
        uint32_t rank = i < OWN ? topic[(size_t)(TOPIC_TERMS * u * u)] : draw_rank(made, &seed);
        draws[i].id = made->id_of_rank[rank];
        draws[i].weight = lognormal(&seed, -0.6, 0.7) * made->strength[rank];
    }
    take_draws(draws, OWN + COMMON, out);
}

/* Draws one of the terms, the heavier the likelier, and takes it out. */
static size_t draw_term(struct sparse_set_vector *from, uint64_t *seed) {
    double sum = 0;
    for (size_t i = 0; i < from->n; i++)
        sum += (double)from->weights[i] * (double)from->weights[i];
    double at = random_uniform(seed) * sum;
    size_t i = 0;
    while (i + 1 < from->n && (at -= (double)from->weights[i] * (double)from->weights[i]) > 0)
        i++;
    return i;
}

/* 6 to 18 of a document's terms and two strangers. */
static void make_query(const struct sparse_set *set, uint32_t number,
                       struct sparse_set_vector *out) {
    uint64_t seed = UINT64_C(0x5eed) << 32 | number;
    struct draw draws[20];
    size_t n = 0, size = 6 + random_below(&seed, 13);
    make_document(set->made, random_below(&seed, set->documents_n), out);
    for (; n < size && n < out->n; n++) {
        size_t at = draw_term(out, &seed);
        draws[n].id = out->ids[at];
        draws[n].weight = out->weights[at] * lognormal(&seed, 0, 0.3);
        out->weights[at] = 0;
    }
    for (int stranger = 0; stranger < 2; stranger++, n++) {
        draws[n].id = set->made->id_of_rank[draw_rank(set->made, &seed)];
        draws[n].weight = lognormal(&seed, -1, 0.5);
    }
    take_draws(draws, n, out);
}

void sparse_set_make(uint32_t documents_n, uint32_t queries_n, bool bm25, struct sparse_set *out) {
    *out = (struct sparse_set){
        .documents_n = documents_n,
        .queries_n = queries_n,
        .bm25 = bm25,
        .made = make_tables(documents_n),
    };
}

/* ---- read ---- */

static bool read_csr(const char *folder, const char *name, struct sparse_csr *out, uint32_t *n_out,
                     struct error *err) {
    char offsets[64], terms[64], weights[64];
    snprintf(offsets, sizeof offsets, "%s_offsets", name);
    snprintf(terms, sizeof terms, "%s_terms", name);
    snprintf(weights, sizeof weights, "%s_weights", name);
    if (!npy_open(folder, offsets, "i8", &out->offsets, err) ||
        !npy_open(folder, terms, "i4", &out->terms, err) ||
        !npy_open(folder, weights, "f4", &out->weights, err))
        return false;
    const int64_t *at = out->offsets.data;
    size_t n = out->offsets.values_n;
    if (n < 2 || n > UINT32_MAX || at[0] != 0 || out->terms.values_n != out->weights.values_n ||
        at[n - 1] != (int64_t)out->terms.values_n)
        return error_set(err, ERROR_INVALID, "%s/%s_*.npy: no rows that fit together", folder,
                         name);
    for (size_t i = 1; i < n; i++)
        if (at[i] < at[i - 1] || at[i] - at[i - 1] > SPARSE_SET_TERMS_MAX)
            return error_set(err, ERROR_INVALID, "%s/%s_offsets.npy: row %zu has %lld terms",
                             folder, name, i - 1, (long long)(at[i] - at[i - 1]));
    *n_out = (uint32_t)n - 1;
    return true;
}

static void read_row(const struct sparse_csr *csr, uint32_t number, struct sparse_set_vector *out) {
    const int64_t *offsets = csr->offsets.data;
    size_t begin = (size_t)offsets[number];
    out->n = (size_t)offsets[number + 1] - begin;
    memcpy(out->ids, (const uint32_t *)csr->terms.data + begin, out->n * sizeof *out->ids);
    memcpy(out->weights, (const float *)csr->weights.data + begin, out->n * sizeof *out->weights);
}

bool sparse_set_read(const char *folder, bool bm25, struct sparse_set *out, struct error *err) {
    *out = (struct sparse_set){.bm25 = bm25};
    bool ok = read_csr(folder, "docs", &out->docs, &out->documents_n, err) &&
              read_csr(folder, "queries", &out->queries, &out->queries_n, err);
    if (ok && !bm25)
        ok = npy_open(folder, "truth10", "i8", &out->truths[0], err) &&
             npy_open(folder, "truth1000", "i8", &out->truths[1], err);
    if (ok && !bm25 &&
        (out->truths[0].values_n != (size_t)out->queries_n * 10 ||
         out->truths[1].values_n != (size_t)out->queries_n * 1000))
        ok = error_set(err, ERROR_INVALID, "%s: truths of another number of queries", folder);
    if (!ok)
        sparse_set_done(out);
    return ok;
}

/* ---- both ---- */

static void csr_close(struct sparse_csr *csr) {
    npy_close(&csr->offsets);
    npy_close(&csr->terms);
    npy_close(&csr->weights);
}

void sparse_set_done(struct sparse_set *set) {
    if (set->made) {
        free(set->made->cdf);
        free(set->made->id_of_rank);
        free(set->made->strength);
        free(set->made->topics);
        free(set->made);
    }
    csr_close(&set->docs);
    csr_close(&set->queries);
    npy_close(&set->truths[0]);
    npy_close(&set->truths[1]);
    *set = (struct sparse_set){0};
}

void sparse_set_document(const struct sparse_set *set, uint32_t number,
                         struct sparse_set_vector *out) {
    out->length = 0;
    if (set->made)
        make_document(set->made, number, out);
    else
        read_row(&set->docs, number, out);
    for (size_t i = 0; set->bm25 && i < out->n; i++)
        out->length += out->weights[i] = ceilf(out->weights[i]);
}

void sparse_set_query(const struct sparse_set *set, uint32_t number,
                      struct sparse_set_vector *out) {
    if (set->made)
        make_query(set, number, out);
    else
        read_row(&set->queries, number, out);
    for (size_t i = 0; set->bm25 && i < out->n; i++)
        out->weights[i] = 1;
}
