/* weights.h - named tensors of a model folder, mapped and not copied.
 *
 * Reads safetensors (https://github.com/huggingface/safetensors: u64 header length, JSON header,
 * data). Tensors of dtype F32, F16, BF16, and I8 with a "<name>_scale" companion of F32 [rows, 1]
 * (compressed-tensors "int-quantized": w = int8 * scale of its row). Others may be present and are
 * passed over. Everything in the header is untrusted: offsets, shapes and sizes are checked.
 * Threads: immutable once open. */
#ifndef TERCET_WEIGHTS_H
#define TERCET_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

struct weights;

enum weights_dtype { WEIGHTS_F32, WEIGHTS_F16, WEIGHTS_BF16, WEIGHTS_I8 };

enum { WEIGHTS_RANK_MAX = 4 };

struct weights_tensor {
    enum weights_dtype dtype;
    size_t rank, shape[WEIGHTS_RANK_MAX];
    const void *data;       /* row-major, little-endian, perhaps unaligned; borrowed */
    const void *row_scales; /* F32 [shape[0]], perhaps unaligned; only for WEIGHTS_I8 */
};

/* data stays borrowed by the weights until they close; `where` names the file in messages. */
bool weights_open(const uint8_t *data, size_t len, const char *where, struct weights **out,
                  struct error *err);

/* The same for pytorch_model.bin and *.pt of PyTorch >= 1.6 (zip, entries stored). Nothing in the
 * file is executed: of its pickle only a state_dict of tensors is read, any other name is refused.
 * Contiguous tensors are mapped; views with other strides are copied. The older format without zip
 * is ERROR_UNSUPPORTED. Everything below works as for safetensors. Several files: shards.h. */
bool weights_open_torch(const uint8_t *data, size_t len, const char *where, struct weights **out,
                        struct error *err);
void weights_close(struct weights *weights);

/* NULL when there is none of that name (or it has a dtype we do not read). */
const struct weights_tensor *weights_find(const struct weights *weights, const char *name);

/* All tensors of the file, those too that are passed over, i < weights_count. The file is as it
 * was named at opening; of several shards, the one that holds the tensor. Borrowed. */
size_t weights_count(const struct weights *weights);
const char *weights_name(const struct weights *weights, size_t i);
const char *weights_file(const struct weights *weights, size_t i);

/* The tensor as f32, out [rows * columns]: ERROR_NOT_FOUND when missing, ERROR_INVALID when its
 * shape is not [rows, columns] ([columns] when rows is 1), ERROR_CORRUPT when it holds a NaN or
 * infinity. Messages name file, tensor, expected and found. out NULL: only name, dtype and shape
 * are checked, before anything is allocated for the tensor. */
bool weights_read_f32(const struct weights *weights, const char *name, size_t rows, size_t columns,
                      float *out, struct error *err);

/* A matrix that is looked up by row and stays as it lies in the file: word embeddings. */
struct weights_rows {
    struct weights_tensor tensor;
    size_t columns;
};

/* Checks like weights_read_f32, every value too; the weights must stay open while rows are read. */
bool weights_rows_open(const struct weights *weights, const char *name, size_t rows,
                       size_t columns, struct weights_rows *out, struct error *err);

/* out: [columns] f32. */
void weights_rows_read(const struct weights_rows *rows, size_t row, float *out);

#endif
