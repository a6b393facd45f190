#include "engine/score.h"

#include <string.h>

#include "engine/base/vec.h"
#include "engine/model.h"

static bool same_term(const struct lexical_term *a, const struct lexical_term *b) {
    if (!a->word || !b->word)
        return !a->word && !b->word && a->id == b->id;
    return a->word_len == b->word_len && memcmp(a->word, b->word, a->word_len) == 0;
}

/* A query has few terms: every pair is looked at. */
static float lexical_score(const struct lexical *query, const struct lexical *passage) {
    float sum = 0;
    for (size_t i = 0; i < query->n; i++)
        for (size_t j = 0; j < passage->n; j++)
            if (same_term(&query->terms[i], &passage->terms[j])) {
                sum += query->terms[i].weight * passage->terms[j].weight;
                break;
            }
    return sum;
}

static float colbert_score(const struct encoding *query, const struct encoding *passage,
                           size_t dim) {
    float sum = 0;
    if (query->multi_n == 0 || passage->multi_n == 0)
        return 0;
    for (size_t i = 0; i < query->multi_n; i++) {
        float best = vec_dot_f32(query->multi + i * dim, passage->multi, dim);
        for (size_t j = 1; j < passage->multi_n; j++) {
            float dot = vec_dot_f32(query->multi + i * dim, passage->multi + j * dim, dim);
            best = dot > best ? dot : best;
        }
        sum += best;
    }
    return sum / (float)query->multi_n;
}

static float mean(float weighted_sum, float weights) {
    return weights > 0 ? weighted_sum / weights : 0;
}

struct score score_pair(const struct model_info *info, const struct encoding *query,
                        const struct encoding *passage, const struct score_weights *weights) {
    struct score score = {
        .dense = vec_dot_f32(query->dense, passage->dense, info->dense_dim),
        .sparse = lexical_score(&query->lexical, &passage->lexical),
        .colbert = colbert_score(query, passage, info->multi_dim),
    };
    float two = weights->dense * score.dense + weights->sparse * score.sparse;
    score.sparse_dense = mean(two, weights->dense + weights->sparse);
    score.colbert_sparse_dense = mean(two + weights->colbert * score.colbert,
                                      weights->dense + weights->sparse + weights->colbert);
    return score;
}
