#include <assert.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/random.h"
#include "engine/hub_random_parts.h"
#include "engine/weights/write.h"

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

/* The sum of four uniform numbers of 16 bits: near to normal (kurtosis 2.7 for 3), never beyond
 * 3.5 deviations, and made of one draw. Mean 0, deviation 1. */
static float next_normal(uint64_t *state) {
    const float mean = 2 * 65535.0f, deviation = 65536 / 1.7320508f; /* 4 * 65536^2 / 12 = var */
    uint64_t bits = random_u64(state);
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
    return random_u64(&state);
}

/* ---- the file ---- */

struct drawing {
    const struct random_tensors *tensors;
    uint64_t seed, state; /* state: of the tensor in hand */
};

static bool draw(void *context, size_t tensor, uint64_t at, size_t n, float *out,
                 struct error *err) {
    struct drawing *drawing = context;
    const struct random_tensor *of = &drawing->tensors->items[tensor];
    (void)err;
    if (at == 0)
        drawing->state = stream_of(of->name, drawing->seed);
    for (size_t i = 0; i < n; i++)
        out[i] = of->center + of->deviation * next_normal(&drawing->state);
    return true;
}

bool random_weights_write(const char *path, const struct random_tensors *tensors,
                          const struct hub_random_options *options,
                          struct hub_random_result *result, struct error *err) {
    static const enum weights_dtype dtypes[] = {[HUB_RANDOM_F32] = WEIGHTS_F32,
                                                [HUB_RANDOM_F16] = WEIGHTS_F16,
                                                [HUB_RANDOM_BF16] = WEIGHTS_BF16};
    struct drawing drawing = {tensors, options->seed, 0};
    struct weights_made *made = mem_alloc(tensors->n, sizeof *made);
    for (size_t i = 0; i < tensors->n; i++) {
        const struct random_tensor *of = &tensors->items[i];
        made[i] = (struct weights_made){
            of->name, dtypes[options->dtype], of->columns ? 2 : 1, {of->rows, of->columns}};
        result->parameters += weights_values_n(&made[i]);
    }
    bool ok = weights_write(path, made, tensors->n, NULL, draw, &drawing, &result->bytes, err);
    free(made);
    return ok;
}
