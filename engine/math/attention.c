#include "engine/math/attention.h"

#include <math.h>

#include "engine/math/matmul.h"
#include "engine/math/nn.h"

/* Queries a tile: 64 rows of 512 scores are 128 KiB, which stays in a core's second cache. */
enum { TILE = 64 };

size_t attention_scratch_n(size_t n_tokens) {
    return n_tokens * (n_tokens < TILE ? n_tokens : TILE);
}

void attention_f32(const float *qkv, size_t n_tokens, size_t hidden, size_t heads_n, float *scratch,
                   float *out) {
    size_t dim = hidden / heads_n, stride = 3 * hidden;
    float scale = 1.0f / sqrtf((float)dim);
    for (size_t head = 0; head < heads_n; head++) {
        const float *q = qkv + head * dim, *k = q + hidden, *v = k + hidden;
        for (size_t at = 0; at < n_tokens; at += TILE) {
            size_t rows = n_tokens - at < TILE ? n_tokens - at : TILE;
            struct matmul_view queries = {q + at * stride, stride};
            /* scratch: [rows, n_tokens] */
            matmul_transposed_f32(queries, (struct matmul_view){k, stride}, rows, n_tokens, dim,
                                  scale, scratch, n_tokens);
            nn_softmax(scratch, rows, n_tokens, n_tokens);
            matmul_plain_f32((struct matmul_view){scratch, n_tokens},
                             (struct matmul_view){v, stride}, rows, dim, n_tokens,
                             out + at * hidden + head * dim, hidden);
        }
    }
}
