#include "tools/heads/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/adamw.h"
#include "engine/base/mem.h"
#include "engine/base/random.h"
#include "engine/base/vec.h"
#include "engine/heads_start.h"

enum {
    START_TOKENS = 40000,  /* by chance, for the two statistics: a hundred a dimension */
    DOC_TOKENS_MAX = 220,  /* of a document in one step, by chance */
    QUERY_TOKENS_MAX = 96, /* the first ones */
};

/* Measured on SciFact, XQuAD and QMSum with the same losses. */
static const double colbert_rate = 1e-4, sparse_rate = 2e-3, rise = .1, weight_decay = .01;
static const double colbert_temperature = .03, sparse_temperature = .2, distil = 1;
static const double start_ridge = .01, start_scale = .1; /* of idf as a weight */

/* ---- begin ---- */

/* idf of each id by the texts that have it. */
static float *count_idf(const struct heads_states *texts, size_t vocabulary_n) {
    float *idf = mem_alloc(vocabulary_n, sizeof *idf);
    uint32_t *seen = mem_zalloc(vocabulary_n, sizeof *seen); /* the last text + 1 */
    uint32_t *texts_with = mem_zalloc(vocabulary_n, sizeof *texts_with);
    for (size_t t = 0; t < texts->texts_n; t++)
        for (size_t i = texts->at[t]; i < texts->at[t + 1]; i++) {
            uint32_t id = texts->ids[i];
            if (id == HEADS_FIT_NO_TERM || seen[id] == t + 1)
                continue;
            seen[id] = (uint32_t)t + 1;
            texts_with[id]++;
        }
    for (size_t id = 0; id < vocabulary_n; id++) {
        double with = texts_with[id];
        idf[id] = (float)log(1 + ((double)texts->texts_n - with + .5) / (with + .5));
    }
    free(seen);
    free(texts_with);
    return idf;
}

/* Tokens with a weight by chance, in their order (Knuth's algorithm S). Returns how many. */
static size_t sample_tokens(const struct heads_states *texts, const float *idf, uint64_t *chance,
                            float *states, float *targets) {
    size_t left = 0, n = 0;
    for (size_t i = 0; i < texts->at[texts->texts_n]; i++)
        left += texts->ids[i] != HEADS_FIT_NO_TERM;
    for (size_t i = 0; i < texts->at[texts->texts_n] && n < START_TOKENS; i++) {
        if (texts->ids[i] == HEADS_FIT_NO_TERM)
            continue;
        if (random_uniform(chance) * (double)left-- >= (double)(START_TOKENS - n))
            continue;
        vec_from_f16(texts->values + i * texts->width, texts->width, states + n * texts->width);
        targets[n++] = idf[texts->ids[i]];
    }
    return n;
}

struct heads_begun heads_begin(const struct heads_training *training,
                               const struct heads_states *texts, struct pool *pool,
                               float *parameters_out) {
    size_t width = texts->width, dim = training->dim;
    float *states = mem_alloc(START_TOKENS * width, sizeof *states);
    float *targets = mem_alloc(START_TOKENS, sizeof *targets);
    float *idf = count_idf(texts, training->vocabulary_n);
    float *sparse = parameters_out + dim * width, *bias = parameters_out + (dim + 1) * width;
    uint64_t chance = training->seed;
    struct heads_begun begun = {0};
    double length = 0;
    size_t n = sample_tokens(texts, idf, &chance, states, targets);
    memset(parameters_out, 0, (dim + 1) * (width + 1) * sizeof *parameters_out);
    if (n > 0) {
        begun.kept = heads_start_directions(states, n, width, dim, pool, parameters_out);
        begun.r2 =
            heads_start_ridge(states, targets, n, width, start_ridge, pool, sparse, bias + dim);
    }
    for (size_t i = 0; i < n; i++)
        length +=
            sqrt((double)vec_dot_f32(states + i * width, states + i * width, width)) / (double)n;
    for (size_t i = 0; n > 0 && i < dim * width; i++)
        parameters_out[i] = (float)((double)parameters_out[i] / length);
    for (size_t c = 0; c < width; c++)
        sparse[c] *= (float)start_scale;
    bias[dim] *= (float)start_scale;
    free(states);
    free(targets);
    free(idf);
    return begun;
}

/* ---- a step's batch ---- */

struct trainer {
    const struct heads_training *training;
    const struct heads_corpus *corpus;
    const struct heads_states *texts, *queries;
    const struct heads_group *groups;
    uint32_t *order; /* [queries_n] rows' and made ones, each shuffled among themselves */
    uint64_t chance;
    struct arena arena;
};

/* k of items[n] by chance to the front. */
static void draw(uint32_t *items, size_t n, size_t k, uint64_t *chance) {
    for (size_t i = 0; i < k && i < n; i++) {
        size_t j = i + random_below(chance, (uint32_t)(n - i));
        uint32_t swap = items[i];
        items[i] = items[j];
        items[j] = swap;
    }
}

static struct heads_fit_text query_text(struct trainer *trainer, uint32_t query) {
    const struct heads_states *states = trainer->queries;
    size_t at = states->at[query], tokens_n = states->at[query + 1] - at;
    uint32_t *rows = ARENA_NEW(&trainer->arena, uint32_t, QUERY_TOKENS_MAX);
    struct heads_fit_text text = {states->values + at * states->width, states->ids + at, rows, 0};
    for (size_t i = tokens_n > 1; i < tokens_n && text.n < QUERY_TOKENS_MAX; i++)
        rows[text.n++] = (uint32_t)i;
    return text;
}

/* A document's tokens but [CLS] and those that `hides` (NULL: nothing) was made of; of many, some
 * by chance in their order. */
static struct heads_fit_text doc_text(struct trainer *trainer, uint32_t doc,
                                      const struct heads_query *hides) {
    const struct heads_states *states = trainer->texts;
    size_t at = states->at[doc], tokens_n = states->at[doc + 1] - at, n = 0, kept = 0;
    uint32_t *rows = ARENA_NEW(&trainer->arena, uint32_t, tokens_n);
    for (size_t i = tokens_n > 1; i < tokens_n; i++) {
        const struct token_range *range = &states->ranges[at + i];
        if (hides && range->end > range->begin && range->begin < hides->hidden_end &&
            range->end > hides->hidden_begin)
            continue;
        rows[n++] = (uint32_t)i;
    }
    if (n == 0)
        rows[n++] = (uint32_t)tokens_n - 1;
    for (size_t i = 0; n > DOC_TOKENS_MAX && i < n && kept < DOC_TOKENS_MAX; i++)
        if (random_below(&trainer->chance, (uint32_t)(n - i)) < DOC_TOKENS_MAX - kept)
            rows[kept++] = rows[i];
    return (struct heads_fit_text){states->values + at * states->width, states->ids + at, rows,
                                   kept ? kept : n};
}

/* softmax of the teacher's logits over one group of the batch. */
static void share(float *teacher, size_t n) {
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, (double)teacher[i]);
    for (size_t i = 0; i < n; i++)
        sum += exp((double)teacher[i] - most);
    for (size_t i = 0; i < n; i++)
        teacher[i] = (float)(exp((double)teacher[i] - most) / sum);
}

/* A query's answer and hard negatives, behind the documents that are there. */
static size_t add_group(struct trainer *trainer, uint32_t number, uint32_t *docs,
                        struct heads_fit_text *texts, float *teacher) {
    const struct heads_group *group = &trainer->groups[number];
    const struct heads_query *query = &trainer->corpus->queries[number];
    uint32_t places[HEADS_GROUP];
    size_t negatives_n = group->n - group->answers_n, n = 0;
    places[0] = random_below(&trainer->chance, (uint32_t)group->answers_n);
    for (size_t i = 0; i < negatives_n; i++)
        places[1 + i] = (uint32_t)(group->answers_n + i);
    draw(places + 1, negatives_n, trainer->training->negatives_n, &trainer->chance);
    for (; n <= negatives_n && n <= trainer->training->negatives_n; n++) {
        docs[n] = group->texts[places[n]];
        teacher[n] = group->logits[places[n]];
        texts[n] = doc_text(trainer, docs[n], n == 0 ? query : NULL);
    }
    share(teacher, n);
    return n;
}

static bool answers(const struct heads_query *query, uint32_t doc) {
    for (size_t i = 0; i < query->positives_n; i++)
        if (query->positives[i] == doc)
            return true;
    return false;
}

/* Which queries: of rows or made ones, where there are both. */
static uint32_t *choose_queries(struct trainer *trainer, size_t *n_out) {
    size_t rows_n = trainer->corpus->labelled_n, made_n = trainer->corpus->queries_n - rows_n;
    bool rows = made_n == 0 ||
                (rows_n > 0 && random_uniform(&trainer->chance) < trainer->training->labelled);
    uint32_t *order = trainer->order + (rows ? 0 : rows_n);
    size_t n = rows ? rows_n : made_n, batch_n = trainer->training->batch_n;
    draw(order, n, batch_n, &trainer->chance);
    *n_out = n < batch_n ? n : batch_n;
    return order;
}

static struct heads_fit_batch make_batch(struct trainer *trainer) {
    size_t n, docs_n = 0;
    const uint32_t *chosen = choose_queries(trainer, &n);
    size_t docs_max = n * (trainer->training->negatives_n + 1);
    struct arena *arena = &trainer->arena;
    struct heads_fit_text *queries = ARENA_NEW(arena, struct heads_fit_text, n);
    struct heads_fit_text *texts = ARENA_NEW(arena, struct heads_fit_text, docs_max);
    uint32_t *docs = ARENA_NEW(arena, uint32_t, docs_max);
    float *teacher = ARENA_NEW(arena, float, docs_max);
    size_t *groups = ARENA_ZERO(arena, size_t, n + 1);
    for (size_t q = 0; q < n; q++) {
        queries[q] = query_text(trainer, chosen[q]);
        docs_n += add_group(trainer, chosen[q], docs + docs_n, texts + docs_n, teacher + docs_n);
        groups[q + 1] = docs_n;
    }
    uint8_t *own = ARENA_NEW(arena, uint8_t, n * docs_n);
    for (size_t q = 0; q < n; q++)
        for (size_t d = 0; d < docs_n; d++)
            own[q * docs_n + d] = answers(&trainer->corpus->queries[chosen[q]], docs[d]);
    return (struct heads_fit_batch){queries, texts, n, docs_n, groups, own, teacher};
}

/* ---- steps ---- */

/* The two heads have rates of their own; each is a part of the matrix and of the bias. */
static void step_heads(const struct heads_training *training, size_t width, size_t step,
                       float *parameters, const float *gradient, float *mean, float *square) {
    size_t dim = training->dim, bias = (dim + 1) * width;
    const size_t begins[] = {0, bias, dim * width, bias + dim};
    const size_t sizes[] = {dim * width, dim, width, 1};
    for (size_t part = 0; part < 4; part++) {
        size_t at = begins[part];
        struct adamw settings = {.beta1 = .9, .beta2 = .999, .epsilon = 1e-8};
        settings.weight_decay = weight_decay;
        settings.rate =
            adamw_one_cycle(part < 2 ? colbert_rate : sparse_rate, rise, step, training->steps_n);
        adamw_step(&settings, step + 1, parameters + at, gradient + at, mean + at, square + at,
                   sizes[part]);
    }
}

static void add_losses(struct heads_fit_losses *to, const struct heads_fit_losses *from,
                       double part) {
    to->colbert_contrast += part * from->colbert_contrast;
    to->sparse_contrast += part * from->sparse_contrast;
    to->colbert_distil += part * from->colbert_distil;
    to->sparse_distil += part * from->sparse_distil;
}

void heads_train(const struct heads_training *training, const struct heads_corpus *corpus,
                 const struct heads_states *texts, const struct heads_states *queries,
                 const struct heads_group *groups, struct pool *pool, heads_report *report,
                 void *context, float *parameters) {
    const struct heads_fit_options options = {.width = texts->width,
                                              .dim = training->dim,
                                              .vocabulary_n = training->vocabulary_n,
                                              .colbert_temperature = colbert_temperature,
                                              .sparse_temperature = sparse_temperature,
                                              .distil = distil};
    size_t n = heads_fit_parameters_n(&options), since = 0;
    struct trainer trainer = {training,
                              corpus,
                              texts,
                              queries,
                              groups,
                              .order = mem_alloc(corpus->queries_n, sizeof(uint32_t)),
                              .chance = ~training->seed};
    float *gradient = mem_alloc(n, sizeof *gradient);
    float *mean = mem_zalloc(n, sizeof *mean), *square = mem_zalloc(n, sizeof *square);
    struct heads_fit *fit = heads_fit_open(&options, pool);
    struct heads_fit_losses sum = {0}, losses;
    for (size_t i = 0; i < corpus->queries_n; i++)
        trainer.order[i] = (uint32_t)i;
    for (size_t step = 0; step < training->steps_n; step++) {
        struct heads_fit_batch batch = make_batch(&trainer);
        heads_fit_gradient(fit, parameters, &batch, gradient, &losses);
        step_heads(training, texts->width, step, parameters, gradient, mean, square);
        arena_reset(&trainer.arena);
        add_losses(&sum, &losses, 1);
        since++;
        if ((step + 1) % HEADS_REPORT_STEPS != 0 && step + 1 != training->steps_n)
            continue;
        struct heads_fit_losses means = {0};
        add_losses(&means, &sum, 1 / (double)since);
        report(context, step + 1, &means);
        sum = (struct heads_fit_losses){0};
        since = 0;
    }
    heads_fit_close(fit);
    arena_done(&trainer.arena);
    free(trainer.order);
    free(gradient);
    free(mean);
    free(square);
}
