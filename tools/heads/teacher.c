#include "tools/heads/teacher.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/base/topk.h"
#include "engine/base/vec.h"
#include "engine/math/linear.h"
#include "tools/heads/bm25.h"

enum { MODES = 3 };
static const double mode_weights[MODES] = {.3, .4, 1.2}; /* dense, BM25, MaxSim */

/* A thread's own. */
struct scratch {
    float *dense, *words; /* [texts_n] */
    struct arena arena;
};

struct teaching {
    const struct heads_corpus *corpus;
    const struct heads_states *texts, *queries;
    const struct bm25 *bm25;
    struct scratch *scratch;
    struct heads_group *groups;
};

static bool holds(const uint32_t *numbers, size_t n, uint32_t number) {
    for (size_t i = 0; i < n; i++)
        if (numbers[i] == number)
            return true;
    return false;
}

static void add(struct heads_group *group, const struct heads_query *query, uint32_t text) {
    if (!holds(query->positives, query->positives_n, text) &&
        !holds(group->texts, group->n, text) && group->n < HEADS_GROUP)
        group->texts[group->n++] = text;
}

/* The best of a ranking that are neither answers nor there already. */
static void mine(struct heads_group *group, const struct heads_query *query, const float *scores,
                 size_t texts_n, struct arena *arena) {
    struct topk best;
    topk_init(&best, HEADS_MINED + query->positives_n + group->n, arena);
    for (size_t i = 0; i < texts_n; i++)
        topk_push(&best, scores[i], (uint32_t)i);
    topk_sort(&best);
    for (size_t i = 0, before = group->n; i < best.n && group->n < before + HEADS_MINED; i++)
        add(group, query, best.heap[i].docid);
}

/* A text's states but [CLS]'s, as f32; those of length 1 where `unit`. Returns how many. */
static size_t states_of(const struct heads_states *states, size_t text, struct arena *arena,
                        bool unit, float **out) {
    size_t begin = states->at[text] + 1, end = states->at[text + 1], width = states->width;
    if (begin >= end)
        begin = states->at[text];
    *out = ARENA_NEW(arena, float, (end - begin) * width);
    vec_from_f16(states->values + begin * width, (end - begin) * width, *out);
    for (size_t i = 0; unit && i < end - begin; i++)
        vec_normalize(*out + i * width, width);
    return end - begin;
}

/* MaxSim of the states as they are. query: [rows_n, width] packed, of length 1. */
static double raw_maxsim(const struct teaching *teaching, const struct linear *query, size_t rows_n,
                         size_t text, struct arena *arena) {
    size_t width = teaching->texts->width;
    float *states, *best = ARENA_NEW(arena, float, rows_n);
    size_t n = states_of(teaching->texts, text, arena, false, &states);
    float *products = ARENA_NEW(arena, float, n *rows_n);
    struct linear_input input = linear_input_from_f32(query, states, width, n, NULL);
    linear_run(query, &input, 0, rows_n, LINEAR_NONE, products, rows_n);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        float length = sqrtf(vec_dot_f32(states + i * width, states + i * width, width));
        for (size_t r = 0; r < rows_n; r++) {
            float cosine = length > 0 ? products[i * rows_n + r] / length : 0;
            best[r] = i == 0 || cosine > best[r] ? cosine : best[r];
        }
    }
    for (size_t r = 0; r < rows_n; r++)
        sum += (double)best[r];
    return sum / (double)rows_n;
}

/* Mean and deviation are those of the first answer and the negatives: a group of many answers would
 * push them all down. */
static void add_mode(struct heads_group *group, const double *scores, double weight) {
    double mean = 0, square = 0, n = (double)(group->n - group->answers_n + 1);
    for (size_t i = 0; i < group->n; i++)
        if (i == 0 || i >= group->answers_n)
            mean += scores[i] / n;
    for (size_t i = 0; i < group->n; i++)
        if (i == 0 || i >= group->answers_n)
            square += (scores[i] - mean) * (scores[i] - mean) / n;
    for (size_t i = 0; i < group->n; i++)
        group->logits[i] += (float)(weight * (scores[i] - mean) / (sqrt(square) + 1e-6));
}

static void teach(void *context, size_t item, size_t worker) {
    struct teaching *teaching = context;
    struct scratch *scratch = &teaching->scratch[worker];
    const struct heads_query *query = &teaching->corpus->queries[item];
    struct heads_group *group = &teaching->groups[item];
    size_t texts_n = teaching->texts->texts_n, width = teaching->texts->width;
    const float *dense = teaching->queries->dense + item * width;
    double scores[MODES][HEADS_GROUP];
    float *states;
    *group = (struct heads_group){0};
    for (size_t i = 0; i < query->positives_n && i < HEADS_ANSWERS; i++)
        group->texts[group->n++] = query->positives[i];
    group->answers_n = group->n;
    for (size_t i = 0; i < query->negatives_n && i < HEADS_NAMED; i++)
        add(group, query, query->negatives[i]);
    for (size_t i = 0; i < texts_n; i++)
        scratch->dense[i] = vec_dot_f32(dense, teaching->texts->dense + i * width, width);
    bm25_scores(teaching->bm25, item, scratch->words);
    mine(group, query, scratch->dense, texts_n, &scratch->arena);
    mine(group, query, scratch->words, texts_n, &scratch->arena);
    arena_reset(&scratch->arena);
    size_t rows_n = states_of(teaching->queries, item, &scratch->arena, true, &states);
    struct linear *packed = linear_pack(LINEAR_F32, states, NULL, rows_n, width, NULL);
    for (size_t i = 0; i < group->n; i++) {
        uint32_t text = group->texts[i];
        scores[0][i] = (double)scratch->dense[text];
        scores[1][i] = (double)scratch->words[text];
        scores[2][i] = raw_maxsim(teaching, packed, rows_n, text, &scratch->arena);
        arena_reset(&scratch->arena);
    }
    linear_free(packed);
    for (size_t mode = 0; mode < MODES; mode++)
        add_mode(group, scores[mode], mode_weights[mode]);
}

void heads_teach(const struct heads_corpus *corpus, const struct heads_states *texts,
                 const struct heads_states *queries, const struct bm25 *bm25, struct pool *pool,
                 struct heads_group *groups_out) {
    size_t workers_n = pool_workers_n(pool);
    struct teaching teaching = {.corpus = corpus,
                                .texts = texts,
                                .queries = queries,
                                .bm25 = bm25,
                                .scratch = mem_zalloc(workers_n, sizeof *teaching.scratch),
                                .groups = groups_out};
    for (size_t i = 0; i < workers_n; i++) {
        teaching.scratch[i].dense = mem_alloc(texts->texts_n, sizeof(float));
        teaching.scratch[i].words = mem_alloc(texts->texts_n, sizeof(float));
    }
    pool_run(pool, corpus->queries_n, teach, &teaching);
    for (size_t i = 0; i < workers_n; i++) {
        free(teaching.scratch[i].dense);
        free(teaching.scratch[i].words);
        arena_done(&teaching.scratch[i].arena);
    }
    free(teaching.scratch);
}
