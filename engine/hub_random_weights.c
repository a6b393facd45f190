#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "engine/hub_random_parts.h"

/* ---- which tensors ---- */

/* What training leaves behind, roughly: weights as BERT begins with, gains near one. */
static const float weight_deviation = 0.02f, bias_deviation = 0.01f, gain_deviation = 0.05f;

static void add(struct random_tensors *out, const char *name, uint64_t rows, uint64_t columns,
                float center, float deviation) {
    assert(out->n < RANDOM_TENSORS_MAX);
    out->items[out->n++] = (struct random_tensor){name, rows, columns, center, deviation};
}

static void add_linear(struct random_tensors *out, struct arena *arena, const char *prefix,
                       const char *name, uint64_t rows, uint64_t columns) {
    add(out, arena_format(arena, "%s%s.weight", prefix, name), rows, columns, 0, weight_deviation);
    add(out, arena_format(arena, "%s%s.bias", prefix, name), rows, 0, 0, bias_deviation);
}

static void add_norm(struct random_tensors *out, struct arena *arena, const char *prefix,
                     const char *name, uint64_t hidden) {
    add(out, arena_format(arena, "%s%s.weight", prefix, name), hidden, 0, 1, gain_deviation);
    add(out, arena_format(arena, "%s%s.bias", prefix, name), hidden, 0, 0, bias_deviation);
}

static void add_embedding(struct random_tensors *out, struct arena *arena, const char *prefix,
                          const char *name, uint64_t rows, uint64_t hidden) {
    add(out, arena_format(arena, "%sembeddings.%s_embeddings.weight", prefix, name), rows, hidden,
        0, weight_deviation);
}

static void add_layer(struct random_tensors *out, struct arena *arena, const char *prefix,
                      const struct random_shape *shape, uint32_t i) {
    static const char *const square[] = {"attention.self.query", "attention.self.key",
                                         "attention.self.value", "attention.output.dense"};
    uint64_t hidden = shape->hidden, wide = shape->intermediate;
    prefix = arena_format(arena, "%sencoder.layer.%u.", prefix, i);
    for (size_t j = 0; j < 4; j++)
        add_linear(out, arena, prefix, square[j], hidden, hidden);
    add_norm(out, arena, prefix, "attention.output.LayerNorm", hidden);
    add_linear(out, arena, prefix, "intermediate.dense", wide, hidden);
    add_linear(out, arena, prefix, "output.dense", hidden, wide);
    add_norm(out, arena, prefix, "output.LayerNorm", hidden);
}

void random_tensors_of(const struct random_shape *shape, struct arena *arena,
                       struct random_tensors *out) {
    uint64_t hidden = shape->hidden;
    bool is_reranker = shape->head == RANDOM_HEAD_RERANKER;
    const char *prefix = is_reranker ? "roberta." : "";
    *out = (struct random_tensors){ARENA_NEW(arena, struct random_tensor, RANDOM_TENSORS_MAX), 0};
    add_embedding(out, arena, prefix, "word", shape->vocabulary_n, hidden);
    add_embedding(out, arena, prefix, "position", shape->positions_n, hidden);
    add_embedding(out, arena, prefix, "token_type", shape->types_n, hidden);
    add_norm(out, arena, prefix, "embeddings.LayerNorm", hidden);
    for (uint32_t i = 0; i < shape->layers_n; i++)
        add_layer(out, arena, prefix, shape, i);
    if (is_reranker) {
        add_linear(out, arena, "", "classifier.dense", hidden, hidden);
        add_linear(out, arena, "", "classifier.out_proj", 1, hidden);
    }
}

void random_tensors_of_heads(const struct random_shape *shape, struct arena *arena,
                             struct random_tensors *out) {
    *out = (struct random_tensors){ARENA_NEW(arena, struct random_tensor, RANDOM_TENSORS_MAX), 0};
    add_linear(out, arena, "", "sparse_linear", 1, shape->hidden);
    add_linear(out, arena, "", "colbert_linear", shape->hidden, shape->hidden);
}

/* ---- numbers ---- */

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next_bits(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* The sum of four uniform numbers of 16 bits: near to normal (kurtosis 2.7 for 3), never beyond
 * 3.5 deviations, and made of one draw. Mean 0, deviation 1. */
static float next_normal(uint64_t *state) {
    const float mean = 2 * 65535.0f, deviation = 65536 / 1.7320508f; /* 4 * 65536^2 / 12 = var */
    uint64_t bits = next_bits(state);
    uint32_t sum = (uint32_t)(bits & 0xffff) + (uint32_t)(bits >> 16 & 0xffff) +
                   (uint32_t)(bits >> 32 & 0xffff) + (uint32_t)(bits >> 48);
    return ((float)sum - mean) / deviation;
}

/* A tensor's own stream: its name (FNV-1a) and the seed. */
static uint64_t stream_of(const char *name, uint64_t seed) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
    uint64_t state = hash ^ seed * 0x9e3779b97f4a7c15u;
    return next_bits(&state);
}

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* To the nearest, ties to even; |value| < 65504. */
static uint16_t half_of(float value) {
    uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000;
    bits &= 0x7fffffff;
    if (bits < bits_of(0x1p-14f)) /* steps of 2^-24 */
        return (uint16_t)(sign | (uint32_t)rintf(fabsf(value) * 0x1p24f));
    bits += 0xfff + (bits >> 13 & 1);
    return (uint16_t)(sign | ((bits >> 13) - (112u << 10))); /* exponents: 127 becomes 15 */
}

static uint16_t bfloat_of(float value) {
    uint32_t bits = bits_of(value);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* ---- the file ---- */

enum { PIECE_N = 1 << 16 }; /* numbers made and written at once */

static size_t dtype_bytes(enum hub_random_dtype dtype) {
    return dtype == HUB_RANDOM_F32 ? 4 : 2;
}

static const char *dtype_name(enum hub_random_dtype dtype) {
    return dtype == HUB_RANDOM_F32 ? "F32" : dtype == HUB_RANDOM_F16 ? "F16" : "BF16";
}

static uint64_t tensor_n(const struct random_tensor *tensor) {
    return tensor->rows * (tensor->columns ? tensor->columns : 1);
}

static void write_header(const struct random_tensors *tensors, enum hub_random_dtype dtype,
                         struct buf *out) {
    enum { ALIGNMENT = 8 };
    uint64_t at = 0;
    buf_text(out, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < tensors->n; i++) {
        const struct random_tensor *tensor = &tensors->items[i];
        uint64_t end = at + tensor_n(tensor) * dtype_bytes(dtype);
        buf_format(out, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[%" PRIu64, tensor->name,
                   dtype_name(dtype), tensor->rows);
        if (tensor->columns)
            buf_format(out, ",%" PRIu64, tensor->columns);
        buf_format(out, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at, end);
        at = end;
    }
    buf_text(out, "}");
    while (out->len % ALIGNMENT)
        buf_text(out, " ");
}

/* n numbers of the dtype, little-endian. */
static void fill(const struct random_tensor *tensor, enum hub_random_dtype dtype, size_t n,
                 uint64_t *state, uint8_t *out) {
    for (size_t i = 0; i < n; i++) {
        float value = tensor->center + tensor->deviation * next_normal(state);
        uint32_t bits = dtype == HUB_RANDOM_F32   ? bits_of(value)
                        : dtype == HUB_RANDOM_F16 ? half_of(value)
                                                  : bfloat_of(value);
        for (size_t byte = 0; byte < dtype_bytes(dtype); byte++)
            *out++ = (uint8_t)(bits >> (8 * byte));
    }
}

static bool write_tensor(FILE *file, const struct random_tensor *tensor,
                         const struct hub_random_options *options, uint8_t *piece) {
    uint64_t state = stream_of(tensor->name, options->seed), left = tensor_n(tensor);
    while (left > 0) {
        size_t n = left < PIECE_N ? (size_t)left : PIECE_N;
        fill(tensor, options->dtype, n, &state, piece);
        if (fwrite(piece, dtype_bytes(options->dtype), n, file) != n)
            return false;
        left -= n;
    }
    return true;
}

static bool write_all(FILE *file, const struct random_tensors *tensors, const struct buf *header,
                      const struct hub_random_options *options) {
    uint8_t length[8], *piece = mem_alloc(PIECE_N, sizeof(float));
    for (size_t i = 0; i < sizeof length; i++)
        length[i] = (uint8_t)((uint64_t)header->len >> (8 * i));
    bool ok = fwrite(length, sizeof length, 1, file) == 1 &&
              fwrite(header->data, header->len, 1, file) == 1;
    for (size_t i = 0; ok && i < tensors->n; i++)
        ok = write_tensor(file, &tensors->items[i], options, piece);
    free(piece);
    return ok && fflush(file) == 0 && fsync(fileno(file)) == 0;
}

bool random_weights_write(const char *path, const struct random_tensors *tensors,
                          const struct hub_random_options *options,
                          struct hub_random_result *result, struct error *err) {
    struct buf header = {0};
    FILE *file = fopen(path, "wbe");
    if (!file)
        return error_set_errno(err, "%s", path);
    write_header(tensors, options->dtype, &header);
    bool ok = write_all(file, tensors, &header, options);
    if (!ok)
        error_set_errno(err, "%s: writing", path);
    result->bytes += 8 + header.len;
    for (size_t i = 0; i < tensors->n; i++) {
        result->parameters += tensor_n(&tensors->items[i]);
        result->bytes += tensor_n(&tensors->items[i]) * dtype_bytes(options->dtype);
    }
    if (fclose(file) != 0 && ok)
        ok = error_set_errno(err, "%s: closing", path);
    buf_done(&header);
    return ok;
}
