/* write.h - a safetensors file, made tensor by tensor without holding one whole. */
#ifndef TERCET_WEIGHTS_WRITE_H
#define TERCET_WEIGHTS_WRITE_H

#include "engine/weights/weights.h"

struct weights_made {
    const char *name;
    enum weights_dtype dtype; /* not WEIGHTS_I8 */
    size_t rank, shape[WEIGHTS_RANK_MAX];
};

/* The values of a tensor from number `at` on, n of them; called in the order of the file. Values
 * beyond what the dtype holds become infinite. */
typedef bool weights_values(void *context, size_t tensor, uint64_t at, size_t n, float *out,
                            struct error *err);

/* Writes and fsyncs; what an error leaves behind is the caller's to remove. note: a text that
 * stands in the header under "tercet", or NULL. *bytes_out (may be NULL) grows by the file. */
bool weights_write(const char *path, const struct weights_made *tensors, size_t n, const char *note,
                   weights_values *values, void *context, uint64_t *bytes_out, struct error *err);

uint64_t weights_values_n(const struct weights_made *tensor);

#endif
