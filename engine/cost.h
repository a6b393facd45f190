/* cost.h - the operations of a run, and how fast this machine could do them: what a benchmark
 * holds a time against.
 *
 * An operation is a product or a sum, so a weight costs two for each token. Counted are the
 * products of the layers and of attention, as BERT defines them for every token; embeddings, norms,
 * GELU, softmax and heads are not counted, though they take time. */
#ifndef TERCET_COST_H
#define TERCET_COST_H

#include <stddef.h>

#include "engine/forward.h"

struct cost {
    double linear, attention; /* operations */
};

/* What the kernels in use could do if they only multiplied, in 1e9 operations a second. Attention
 * of an int8 model is done in bf16 or f32: it has a peak of its own. 0: not known. */
struct cost_peak {
    const char *linear_kernels, *attention_kernels; /* "amx", "bf16 amx" */
    double linear_gops, attention_gops;
};

struct cost cost_of(const struct model *model, const struct forward_sequence *sequences, size_t n);

/* Of the calling thread, by CPU time, in about a tenth of a second. On all threads at once it
 * shows what they take from each other (a tile unit that two share, a clock that goes down). */
struct cost_peak cost_peak_measure(const struct model *model);

#endif
