/* hub_merge.h - several models of one shape made one: each weight the weighted mean of theirs.
 *
 * LM-Cocktail (Xiao et al. 2023, arXiv 2311.13534): a model tuned for one task, mixed with the one
 * that it was tuned from, keeps what it learned and gets back what it forgot. The models must have
 * the same tensors in the same shapes and the same vocabulary. Everything but the weights is the
 * first model's; analyzer and fusion are theirs when all agree in it, whatever their names are. The
 * header of the result's weights says what it is made of.
 * Memory: a row of each model; the weights stream from disk to disk. */
#ifndef TERCET_HUB_MERGE_H
#define TERCET_HUB_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/weights/weights.h"

enum { HUB_MERGE_MAX = 16 }; /* models; the paper mixes up to nine */

struct hub_merge_part {
    const char *model; /* hub.h */
    double weight;     /* they add up to 1 within HUB_MERGE_SUM_SLACK */
};

#define HUB_MERGE_SUM_SLACK 1e-3

/* dtype of the result: WEIGHTS_F32, _F16 or _BF16. folder: new. The sum is taken in f64 and rounded
 * once. *bytes_out: of the weights written. ERROR_INVALID names the tensor and the two models that
 * differ in it. */
bool hub_merge_write(const struct hub_merge_part *parts, size_t n, enum weights_dtype dtype,
                     const char *folder, uint64_t *bytes_out, struct error *err);

#endif
