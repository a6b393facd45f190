#include "engine/heads_fit.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/base/vec.h"
#include "engine/math/linear.h"

/* Partial sums of the gradient, each over its own texts in their order, whoever computes it. */
enum { SHARDS = 8 };

/* A token id that a query of the batch has. */
struct term {
    uint32_t slot; /* among the batch's ids */
    uint32_t row;  /* the query's token that has the largest weight */
    float weight;
};

struct terms {
    struct term *items;
    size_t n;
};

struct heads_fit {
    struct heads_fit_options options;
    struct pool *pool;
    uint32_t *slot_of; /* [vocabulary_n] slot + 1 of an id in the batch; zeros between batches */
    float *shards;     /* [SHARDS, parameters_n] */
    struct arena arena;
};

/* One batch. Texts are numbered: the queries, then the documents. */
struct work {
    struct heads_fit *fit;
    const struct heads_fit_batch *batch;
    struct linear *heads;   /* of the parameters */
    struct linear *vectors; /* of all query vectors, as a layer: a document's products with them */
    size_t texts_n, slots_n;
    size_t *at; /* [texts_n + 1] first row of each text */
    /* [rows, ...] */
    float *states;       /* width */
    float *out;          /* dim + 1: unit vector and weight */
    float *gradients;    /* dim + 1: of those, then of what the layer gave */
    float *lengths;      /* of the vector, before it was divided */
    struct terms *terms; /* [queries_n] */
    /* [docs_n, ...] */
    uint32_t *best;     /* query rows: the document's winner, a row of its own */
    float *dots;        /* query rows */
    float *weights;     /* slots_n, 0: the document has no such id */
    uint32_t *heaviest; /* slots_n: the row that weight comes from */
    /* [queries_n, docs_n] */
    float *multi, *lexical;          /* scores */
    float *multi_pull, *sparse_pull; /* gradients of the loss by them */
};

static const struct heads_fit_text *text_of(const struct work *work, size_t text) {
    size_t n = work->batch->queries_n;
    return text < n ? &work->batch->queries[text] : &work->batch->docs[text - n];
}

static void spread(const struct heads_fit *fit, size_t n, pool_work *item, void *context) {
    if (fit->pool)
        pool_run(fit->pool, n, item, context);
    else
        for (size_t i = 0; i < n; i++)
            item(context, i, 0);
}

size_t heads_fit_parameters_n(const struct heads_fit_options *options) {
    return (options->dim + 1) * (options->width + 1);
}

struct heads_fit *heads_fit_open(const struct heads_fit_options *options, struct pool *pool) {
    struct heads_fit *fit = mem_zalloc(1, sizeof *fit);
    fit->options = *options;
    fit->pool = pool;
    fit->slot_of = mem_zalloc(options->vocabulary_n, sizeof *fit->slot_of);
    fit->shards = mem_alloc(SHARDS * heads_fit_parameters_n(options), sizeof *fit->shards);
    return fit;
}

void heads_fit_close(struct heads_fit *fit) {
    if (!fit)
        return;
    free(fit->slot_of);
    free(fit->shards);
    arena_done(&fit->arena);
    free(fit);
}

/* ---- forward ---- */

/* States -> unit vectors and weights. */
static void project_text(void *context, size_t text, size_t worker) {
    struct work *work = context;
    const struct heads_fit_text *tokens = text_of(work, text);
    size_t width = work->fit->options.width, dim = work->fit->options.dim, n = tokens->n;
    float *states = work->states + work->at[text] * width;
    float *out = work->out + work->at[text] * (dim + 1);
    (void)worker;
    for (size_t i = 0; i < n; i++)
        vec_from_f16(tokens->states + tokens->rows[i] * width, width, states + i * width);
    struct linear_input input = linear_input_from_f32(work->heads, states, width, n, NULL);
    linear_run(work->heads, &input, 0, dim + 1, LINEAR_NONE, out, dim + 1);
    for (size_t i = 0; i < n; i++, out += dim + 1) {
        float length = sqrtf(vec_dot_f32(out, out, dim));
        work->lengths[work->at[text] + i] = length;
        vec_normalize(out, dim);
        out[dim] = out[dim] > 0 ? out[dim] : 0;
    }
}

/* The queries' ids get their slots; each query's terms are its ids with a weight. */
static void collect_terms(struct work *work) {
    struct heads_fit *fit = work->fit;
    size_t dim = fit->options.dim;
    for (size_t q = 0; q < work->batch->queries_n; q++) {
        const struct heads_fit_text *query = &work->batch->queries[q];
        struct terms *terms = &work->terms[q];
        terms->items = ARENA_NEW(&fit->arena, struct term, query->n);
        for (size_t i = 0; i < query->n; i++) {
            uint32_t id = query->ids[query->rows[i]];
            float weight = work->out[(work->at[q] + i) * (dim + 1) + dim];
            if (id == HEADS_FIT_NO_TERM || !(weight > 0))
                continue;
            if (fit->slot_of[id] == 0)
                fit->slot_of[id] = (uint32_t)++work->slots_n;
            uint32_t slot = fit->slot_of[id] - 1;
            size_t t = 0;
            while (t < terms->n && terms->items[t].slot != slot)
                t++;
            if (t == terms->n)
                terms->items[terms->n++] = (struct term){.slot = slot};
            if (weight > terms->items[t].weight)
                terms->items[t] = (struct term){slot, (uint32_t)i, weight};
        }
    }
}

static void forget_slots(const struct work *work) {
    for (size_t q = 0; q < work->batch->queries_n; q++) {
        const struct heads_fit_text *query = &work->batch->queries[q];
        for (size_t i = 0; i < query->n; i++)
            if (query->ids[query->rows[i]] != HEADS_FIT_NO_TERM)
                work->fit->slot_of[query->ids[query->rows[i]]] = 0;
    }
}

/* Every query vector's best of the document's, and the mean of each query's. */
static void score_multi(struct work *work, size_t doc) {
    const struct heads_fit_batch *batch = work->batch;
    size_t dim = work->fit->options.dim, text = batch->queries_n + doc, n = batch->docs[doc].n;
    size_t rows_n = work->at[batch->queries_n]; /* of the queries */
    uint32_t *best = work->best + doc * rows_n;
    float *dots = work->dots + doc * rows_n;
    float *products = mem_alloc(n * rows_n, sizeof *products);
    struct linear_input input = linear_input_from_f32(
        work->vectors, work->out + work->at[text] * (dim + 1), dim + 1, n, NULL);
    linear_run(work->vectors, &input, 0, rows_n, LINEAR_NONE, products, rows_n);
    for (size_t r = 0; r < rows_n; r++) {
        dots[r] = products[r];
        best[r] = 0;
    }
    for (size_t i = 1; i < n; i++)
        for (size_t r = 0; r < rows_n; r++)
            if (products[i * rows_n + r] > dots[r]) {
                dots[r] = products[i * rows_n + r];
                best[r] = (uint32_t)i;
            }
    free(products);
    for (size_t q = 0; q < batch->queries_n; q++) {
        double sum = 0;
        for (size_t r = work->at[q]; r < work->at[q + 1]; r++)
            sum += (double)dots[r];
        work->multi[q * batch->docs_n + doc] = (float)(sum / (double)batch->queries[q].n);
    }
}

static void score_lexical(struct work *work, size_t doc) {
    const struct heads_fit_batch *batch = work->batch;
    const struct heads_fit_text *tokens = &batch->docs[doc];
    size_t dim = work->fit->options.dim, at = work->at[batch->queries_n + doc];
    float *weights = work->weights + doc * work->slots_n;
    uint32_t *heaviest = work->heaviest + doc * work->slots_n;
    memset(weights, 0, work->slots_n * sizeof *weights);
    for (size_t i = 0; i < tokens->n; i++) {
        uint32_t id = tokens->ids[tokens->rows[i]];
        uint32_t slot = id == HEADS_FIT_NO_TERM ? 0 : work->fit->slot_of[id];
        float weight = work->out[(at + i) * (dim + 1) + dim];
        if (slot == 0 || !(weight > weights[slot - 1]))
            continue;
        weights[slot - 1] = weight;
        heaviest[slot - 1] = (uint32_t)i;
    }
    for (size_t q = 0; q < batch->queries_n; q++) {
        double sum = 0;
        for (size_t t = 0; t < work->terms[q].n; t++)
            sum += (double)work->terms[q].items[t].weight *
                   (double)weights[work->terms[q].items[t].slot];
        work->lexical[q * batch->docs_n + doc] = (float)sum;
    }
}

static void score_doc(void *context, size_t doc, size_t worker) {
    (void)worker;
    score_multi(context, doc);
    score_lexical(context, doc);
}

/* ---- loss ---- */

/* Log of the sum of exp(scores / temperature), of those with marks (NULL: all). */
static double log_sum(const float *scores, const uint8_t *marks, size_t n, double temperature) {
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        if (!marks || marks[i])
            most = fmax(most, (double)scores[i] / temperature);
    for (size_t i = 0; i < n; i++)
        if (!marks || marks[i])
            sum += exp((double)scores[i] / temperature - most);
    return most + log(sum);
}

/* Both parts of a head's loss, and its gradient by the scores: pull_out [queries_n, docs_n]. */
static void pull(const struct work *work, const float *scores, double temperature, float *pull_out,
                 double *contrast_out, double *distil_out) {
    const struct heads_fit_batch *batch = work->batch;
    size_t docs_n = batch->docs_n;
    double part = 1 / (double)batch->queries_n, distil = work->fit->options.distil;
    *contrast_out = *distil_out = 0;
    for (size_t q = 0; q < batch->queries_n; q++) {
        const float *row = scores + q * docs_n;
        const uint8_t *own = batch->own + q * docs_n;
        size_t begin = batch->groups[q], end = batch->groups[q + 1];
        double all = log_sum(row, NULL, docs_n, temperature);
        double right = log_sum(row, own, docs_n, temperature);
        double group = log_sum(row + begin, NULL, end - begin, temperature);
        *contrast_out += part * (all - right);
        for (size_t d = 0; d < docs_n; d++) {
            double logit = (double)row[d] / temperature;
            double slope = exp(logit - all) - (own[d] ? exp(logit - right) : 0);
            if (d >= begin && d < end) {
                *distil_out += part * (double)batch->teacher[d] * (group - logit);
                slope += distil * (exp(logit - group) - (double)batch->teacher[d]);
            }
            pull_out[q * docs_n + d] = (float)(part * slope / temperature);
        }
    }
}

/* ---- backward ---- */

static void add_scaled(float *to, const float *from, float scale, size_t n) {
    for (size_t i = 0; i < n; i++)
        to[i] += scale * from[i];
}

/* What reaches a pair's vectors and weights: the document's side where `to_doc`, else the
 * query's. */
static void pull_pair(struct work *work, size_t query, size_t doc, bool to_doc) {
    const struct heads_fit_batch *batch = work->batch;
    size_t dim = work->fit->options.dim, stride = dim + 1;
    size_t rows_n = work->at[batch->queries_n], at = work->at[batch->queries_n + doc];
    size_t pair = query * batch->docs_n + doc;
    float share = work->multi_pull[pair] / (float)batch->queries[query].n;
    for (size_t r = work->at[query]; share != 0 && r < work->at[query + 1]; r++) {
        size_t winner = at + work->best[doc * rows_n + r];
        if (to_doc)
            add_scaled(work->gradients + winner * stride, work->out + r * stride, share, dim);
        else
            add_scaled(work->gradients + r * stride, work->out + winner * stride, share, dim);
    }
    for (size_t t = 0; t < work->terms[query].n; t++) {
        const struct term *term = &work->terms[query].items[t];
        float weight = work->weights[doc * work->slots_n + term->slot];
        if (!(weight > 0))
            continue;
        size_t heaviest = at + work->heaviest[doc * work->slots_n + term->slot];
        if (to_doc)
            work->gradients[heaviest * stride + dim] += work->sparse_pull[pair] * term->weight;
        else
            work->gradients[(work->at[query] + term->row) * stride + dim] +=
                work->sparse_pull[pair] * weight;
    }
}

/* Through the division by the length: v = x / |x|, so dx = (dv - v (v . dv)) / |x|. */
static void unnormalize(const struct work *work, size_t row) {
    size_t dim = work->fit->options.dim;
    const float *v = work->out + row * (dim + 1);
    float *dv = work->gradients + row * (dim + 1);
    float along = vec_dot_f32(v, dv, dim), length = work->lengths[row];
    for (size_t i = 0; i < dim; i++)
        dv[i] = length > 0 ? (dv[i] - v[i] * along) / length : 0;
}

static void pull_text(void *context, size_t text, size_t worker) {
    struct work *work = context;
    size_t queries_n = work->batch->queries_n, stride = work->fit->options.dim + 1;
    size_t begin = work->at[text], end = work->at[text + 1];
    (void)worker;
    memset(work->gradients + begin * stride, 0, (end - begin) * stride * sizeof(float));
    if (text < queries_n)
        for (size_t doc = 0; doc < work->batch->docs_n; doc++)
            pull_pair(work, text, doc, false);
    else
        for (size_t query = 0; query < queries_n; query++)
            pull_pair(work, query, text - queries_n, true);
    for (size_t row = begin; row < end; row++)
        unnormalize(work, row);
}

static bool is_idle(const float *gradients, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (gradients[i] != 0)
            return false;
    return true;
}

/* into += gradients^T . states of a text, over the tokens that anything reached. The states stand
 * in for a layer's weights, transposed, so that the layers' kernels do the work. */
static void add_text(const struct work *work, size_t text, float *into) {
    size_t width = work->fit->options.width, outs = work->fit->options.dim + 1, n = 0;
    size_t begin = work->at[text], end = work->at[text + 1], room = end - begin;
    float *down = mem_alloc(outs * room, sizeof *down);
    float *across = mem_alloc(width * room, sizeof *across);
    float *product = mem_alloc(outs * width, sizeof *product);
    size_t *rows = mem_alloc(room, sizeof *rows);
    for (size_t row = begin; row < end; row++)
        if (!is_idle(work->gradients + row * outs, outs))
            rows[n++] = row;
    for (size_t i = 0; i < n; i++) {
        const float *gradient = work->gradients + rows[i] * outs;
        const float *state = work->states + rows[i] * width;
        for (size_t o = 0; o < outs; o++) {
            down[o * n + i] = gradient[o];
            into[outs * width + o] += gradient[o];
        }
        for (size_t c = 0; c < width; c++)
            across[c * n + i] = state[c];
    }
    if (n > 0) {
        struct linear *states = linear_pack(LINEAR_F32, across, NULL, width, n, NULL);
        struct linear_input input = linear_input_from_f32(states, down, n, outs, NULL);
        linear_run(states, &input, 0, width, LINEAR_NONE, product, width);
        add_scaled(into, product, 1, outs * width);
        linear_free(states);
    }
    free(down);
    free(across);
    free(product);
    free(rows);
}

static void sum_shard(void *context, size_t shard, size_t worker) {
    struct work *work = context;
    size_t n = heads_fit_parameters_n(&work->fit->options);
    float *into = work->fit->shards + shard * n;
    (void)worker;
    memset(into, 0, n * sizeof *into);
    for (size_t text = shard; text < work->texts_n; text += SHARDS)
        add_text(work, text, into);
}

/* ---- the whole ---- */

static void allocate(struct work *work) {
    struct arena *arena = &work->fit->arena;
    const struct heads_fit_batch *batch = work->batch;
    const struct heads_fit_options *options = &work->fit->options;
    work->texts_n = batch->queries_n + batch->docs_n;
    work->at = ARENA_NEW(arena, size_t, work->texts_n + 1);
    work->at[0] = 0;
    for (size_t i = 0; i < work->texts_n; i++) {
        assert(text_of(work, i)->n > 0);
        work->at[i + 1] = work->at[i] + text_of(work, i)->n;
    }
    size_t rows_n = work->at[work->texts_n], query_rows_n = work->at[batch->queries_n];
    size_t pairs_n = batch->queries_n * batch->docs_n;
    work->states = ARENA_NEW(arena, float, rows_n * options->width);
    work->out = ARENA_NEW(arena, float, rows_n *(options->dim + 1));
    work->gradients = ARENA_NEW(arena, float, rows_n *(options->dim + 1));
    work->lengths = ARENA_NEW(arena, float, rows_n);
    work->terms = ARENA_ZERO(arena, struct terms, batch->queries_n);
    work->best = ARENA_NEW(arena, uint32_t, batch->docs_n * query_rows_n);
    work->dots = ARENA_NEW(arena, float, batch->docs_n *query_rows_n);
    float **squares[] = {&work->multi, &work->lexical, &work->multi_pull, &work->sparse_pull};
    for (size_t i = 0; i < sizeof squares / sizeof *squares; i++)
        *squares[i] = ARENA_NEW(arena, float, pairs_n);
}

/* All query vectors as the rows of one layer. */
static void pack_vectors(struct work *work) {
    size_t dim = work->fit->options.dim, n = work->at[work->batch->queries_n];
    float *vectors = ARENA_NEW(&work->fit->arena, float, n *dim);
    for (size_t r = 0; r < n; r++)
        memcpy(vectors + r * dim, work->out + r * (dim + 1), dim * sizeof *vectors);
    work->vectors = linear_pack(LINEAR_F32, vectors, NULL, n, dim, NULL);
}

void heads_fit_gradient(struct heads_fit *fit, const float *parameters,
                        const struct heads_fit_batch *batch, float *gradient_out,
                        struct heads_fit_losses *losses_out) {
    const struct heads_fit_options *options = &fit->options;
    size_t n = heads_fit_parameters_n(options);
    struct work work = {.fit = fit, .batch = batch};
    allocate(&work);
    work.heads =
        linear_pack(LINEAR_F32, parameters, parameters + (options->dim + 1) * options->width,
                    options->dim + 1, options->width, NULL);
    spread(fit, work.texts_n, project_text, &work);
    collect_terms(&work);
    pack_vectors(&work);
    work.weights = ARENA_NEW(&fit->arena, float, batch->docs_n *work.slots_n);
    work.heaviest = ARENA_ZERO(&fit->arena, uint32_t, batch->docs_n * work.slots_n);
    spread(fit, batch->docs_n, score_doc, &work);
    pull(&work, work.multi, options->colbert_temperature, work.multi_pull,
         &losses_out->colbert_contrast, &losses_out->colbert_distil);
    pull(&work, work.lexical, options->sparse_temperature, work.sparse_pull,
         &losses_out->sparse_contrast, &losses_out->sparse_distil);
    spread(fit, work.texts_n, pull_text, &work);
    spread(fit, SHARDS, sum_shard, &work);
    memcpy(gradient_out, fit->shards, n * sizeof *gradient_out);
    for (size_t shard = 1; shard < SHARDS; shard++)
        add_scaled(gradient_out, fit->shards + shard * n, 1, n);
    forget_slots(&work);
    linear_free(work.heads);
    linear_free(work.vectors);
    arena_reset(&fit->arena);
}
