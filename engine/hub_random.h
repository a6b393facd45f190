/* hub_random.h - a model folder of a known shape with random weights, for benchmarks and tests.
 *
 * As large and as fast as the model it is shaped after, and of no use for anything else. Weights
 * are near to normal with a deviation of 0.02, LayerNorm gains near 1, as training leaves them, so
 * that what comes out is finite. One seed gives the same numbers on every machine, and a tensor's
 * do not change with --layers.
 * The folder appears whole, by one rename; weights stream to disk and are never all in memory. */
#ifndef TERCET_HUB_RANDOM_H
#define TERCET_HUB_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

#define HUB_RANDOM_SHAPES "small, base, large, m3, v2-m3, minilm-l6"

enum hub_random_dtype { HUB_RANDOM_F32, HUB_RANDOM_F16, HUB_RANDOM_BF16 };

struct hub_random_options {
    const char *shape;     /* one of HUB_RANDOM_SHAPES */
    const char *tokenizer; /* a tokenizer.json or a folder with one; NULL: BERT's own (the embedded
                              one's), or made-up pieces in XLM-R's order */
    enum hub_random_dtype dtype;
    uint32_t layers_n;     /* 0: as the shape has */
    uint32_t vocabulary_n; /* 0: as the shape has; at least as many as the tokenizer's */
    uint64_t seed;
};

struct hub_random_result {
    uint64_t parameters, bytes; /* bytes: of all files */
};

/* ERROR_INVALID: no such shape, the folder exists, or the tokenizer is larger than the
 * vocabulary. */
bool hub_random_write(const struct hub_random_options *options, const char *folder,
                      struct hub_random_result *out, struct error *err);

#endif
