/* model_goldens.h - values that the makers of a model published for it, with the texts they are of.
 *
 * The texts' spelling is the source's, mistakes included. Most sources computed in half precision
 * on a GPU, where a cosine of two vectors is right to about 0.001 and a logit between 4 and 8 to
 * its last bit, 0.004, before any sum is rounded; `tolerance` leaves room for that. */
#ifndef TERCET_MODEL_GOLDENS_H
#define TERCET_MODEL_GOLDENS_H

#include <stddef.h>
#include <stdint.h>

enum golden_kind {
    GOLDEN_DENSE,        /* inner product of a and b */
    GOLDEN_SPARSE,       /* lexical score of a and b */
    GOLDEN_COLBERT,      /* mean of a's best matches in b */
    GOLDEN_SPARSE_DENSE, /* weighted means, with the model's `weights` */
    GOLDEN_ALL,
    GOLDEN_VECTORS_N,   /* a's multi-vectors */
    GOLDEN_WEIGHT_ID,   /* lexical weight in a of the token `id` */
    GOLDEN_WEIGHT_TEXT, /* lexical weight in a of the token written `b`, word mark left out */
    GOLDEN_RELEVANCE,   /* a cross-encoder's logit of (a, b) */
    GOLDEN_SIGMOID,     /* and its sigmoid */
};

struct golden {
    enum golden_kind kind;
    const char *a, *b;
    uint32_t id;
    double expected, tolerance;
};

struct goldens {
    const char *const *names; /* the last part of the model's id; ends with NULL */
    const char *source;
    double dense_weight, sparse_weight, colbert_weight;
    const struct golden *items;
    size_t n;
};

/* model: an id or a folder; its last part decides. NULL: nothing is known to be published. */
const struct goldens *goldens_find(const char *model);

#endif
