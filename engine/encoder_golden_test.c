/* The encoder against what FlagEmbedding says, and broken model folders against their list.
 * Values: $TERCET_SHARED/golden/bge-small-en-v1.5 (FlagEmbedding 1.4.2, float32) and golden/bad;
 * tolerance 5e-5 and cosine 0.99999 for f32, cosine 0.999 for the embedded int8 weights. */
#include <unistd.h>

#include "engine/base/pool.h"
#include "engine/encoder.h"
#include "engine/forward.h"
#include "engine/model.h"
#include "engine/tokenizer/tokenizer.h"
#include "engine/weights/weights.h"
#include "engine/golden.h"

enum { DIM = 384, ROWS_MAX = 256 };

static struct model *open_model(const char *name) {
    struct error err;
    struct model *model = NULL;
    struct model_options options = {.name = name, .precision = MODEL_PRECISION_F32};
    CHECK_OK(model_open(&options, &model, &err), err);
    return model;
}

/* ---- dense vectors and hidden states ---- */

/* Encodes the rows of one kind together and compares; the smallest cosine and the largest
 * difference come back. */
static void compare_kind(const struct model *model, struct json **rows, size_t n, const char *kind,
                         const float *golden, double *cosine_out, double *difference_out) {
    bool query = strcmp(kind, "query") == 0;
    struct encoder_text texts[ROWS_MAX];
    size_t at[ROWS_MAX], kept = 0;
    for (size_t i = 0; i < n; i++)
        if (strcmp(json_string_of(json_get(rows[i], "kind"), NULL), kind) == 0) {
            texts[kept] = golden_text(rows[i]);
            at[kept++] = i;
        }
    struct encoder_options options = {
        .modes = ENCODE_DENSE, .instruction = query ? model_info(model)->query_instruction : NULL};
    struct pool *pool = pool_open(2);
    struct encoder *encoder = NULL;
    struct arena arena = {0};
    struct encoding encodings[ROWS_MAX] = {0};
    struct error err;
    CHECK_OK(encoder_open(model, pool, &options, &encoder, &err), err);
    CHECK_OK(encoder_encode(encoder, texts, kept, &arena, encodings, &err), err);
    for (size_t i = 0; i < kept && encodings[i].dense; i++) {
        const float *expected = golden + at[i] * DIM;
        const struct json *row = rows[at[i]];
        CHECK_EQUAL(encodings[i].tokens_n, json_number_of(json_get(row, "n_tokens")));
        *cosine_out = fmin(*cosine_out, golden_cosine(encodings[i].dense, expected, DIM));
        *difference_out =
            fmax(*difference_out, golden_difference(encodings[i].dense, expected, DIM));
    }
    encoder_close(encoder);
    pool_close(pool);
    arena_done(&arena);
}

static void dense_agrees(const struct model *model, double cosine_min, double difference_max) {
    struct json *rows[ROWS_MAX];
    struct buf file = {0};
    size_t golden_n = 0, n = golden_lines("golden/bge-small-en-v1.5/dense.jsonl", rows, ROWS_MAX);
    const float *golden = golden_npy("golden/bge-small-en-v1.5/dense.npy", DIM, &file, &golden_n);
    double least = 1, most = 0;
    CHECK_EQUAL(n, golden_n);
    if (golden && n == golden_n) {
        compare_kind(model, rows, n, "query", golden, &least, &most);
        compare_kind(model, rows, n, "passage", golden, &least, &most);
    }
    printf("%s: %zu texts, cosine >= %.9f, difference <= %.3g\n", model_info(model)->where, n,
           least, most);
    CHECK(least >= cosine_min);
    CHECK(most <= difference_max);
    for (size_t i = 0; i < n; i++)
        json_release(rows[i]);
    buf_done(&file);
}

static void hidden_agrees(const struct model *model, struct json **rows, size_t n,
                          const float *golden) {
    struct forward *forward = forward_open(model);
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        const struct json *ids = json_get(rows[i], "ids");
        uint32_t row = 0, values[512];
        struct error err;
        struct forward_sequence sequence = {.ids = values, .n = json_count(ids)};
        CHECK_OK(json_read_u32(rows[i], "row", 0, 10000, &row, &err), err);
        for (size_t j = 0; j < sequence.n; j++)
            values[j] = (uint32_t)json_number_of(json_at(ids, j));
        const float *found = forward_run(forward, &sequence, 1);
        most = fmax(most, golden_difference(found, golden + (size_t)row * DIM, sequence.n * DIM));
    }
    printf("hidden states: difference <= %.3g\n", most);
    CHECK(most <= 5e-5);
    forward_close(forward);
}

/* ---- the heads, from golden hidden states ---- */

/* A folder with the model's files and heads.safetensors, by symbolic links. */
static bool make_heads_folder(char folder[GOLDEN_PATH_LEN]) {
    static const char *const links[][2] = {
        {"models/bge-small-en-v1.5/config.json", "config.json"},
        {"models/bge-small-en-v1.5/tokenizer.json", "tokenizer.json"},
        {"models/bge-small-en-v1.5/model.safetensors", "model.safetensors"},
        {"models/bge-small-en-v1.5/1_Pooling", "1_Pooling"},
        {"models/bge-small-en-v1.5-heads/heads.safetensors", "heads.safetensors"},
    };
    const char *temporary = getenv("TMPDIR");
    snprintf(folder, GOLDEN_PATH_LEN, "%s/tercet-heads-XXXXXX", temporary ? temporary : "/tmp");
    bool ok = mkdtemp(folder) != NULL;
    for (size_t i = 0; ok && i < sizeof links / sizeof *links; i++) {
        char from[GOLDEN_PATH_LEN], absolute[GOLDEN_PATH_LEN * 4], to[2 * GOLDEN_PATH_LEN];
        snprintf(to, sizeof to, "%s/%s", folder, links[i][1]);
        ok = realpath(golden_path(links[i][0], from), absolute) && symlink(absolute, to) == 0;
    }
    return ok;
}

static void remove_heads_folder(const char *folder) {
    static const char *const names[] = {"config.json", "tokenizer.json", "model.safetensors",
                                        "1_Pooling", "heads.safetensors"};
    char path[2 * GOLDEN_PATH_LEN];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

enum { HEAD_DIM = 128 };
static float sparse_weight[DIM], sparse_bias[1], colbert_weight[HEAD_DIM * DIM],
    colbert_bias[HEAD_DIM];

static void read_head_weights(void) {
    char path[GOLDEN_PATH_LEN];
    struct file_map map;
    struct error err;
    struct weights *weights = NULL;
    golden_path("models/bge-small-en-v1.5-heads/heads.safetensors", path);
    CHECK_OK(file_map_open(path, &map, &err), err);
    CHECK_OK(weights_open(map.data, map.len, path, &weights, &err), err);
    CHECK_OK(weights_read_f32(weights, "sparse_linear.weight", 1, DIM, sparse_weight, &err), err);
    CHECK_OK(weights_read_f32(weights, "sparse_linear.bias", 1, 1, sparse_bias, &err), err);
    CHECK_OK(
        weights_read_f32(weights, "colbert_linear.weight", HEAD_DIM, DIM, colbert_weight, &err),
        err);
    CHECK_OK(weights_read_f32(weights, "colbert_linear.bias", 1, HEAD_DIM, colbert_bias, &err),
             err);
    weights_close(weights);
    file_map_close(&map);
}

/* relu(w . h + b), the maximum per id, without special tokens (ids below 999 in this model). */
static void check_lexical(const struct lexical *found, const struct json *ids,
                          const float *hidden) {
    size_t n = json_count(ids), terms_n = 0;
    for (size_t i = 0; i < n; i++) {
        double id = json_number_of(json_at(ids, i)), expected = 0;
        bool first = true;
        if (id < 999)
            continue;
        for (size_t j = 0; j < n; j++) {
            if (json_number_of(json_at(ids, j)) != id)
                continue;
            double weight = (double)sparse_bias[0];
            for (size_t d = 0; d < DIM; d++)
                weight += (double)hidden[j * DIM + d] * (double)sparse_weight[d];
            expected = fmax(expected, weight);
            first = first && j >= i;
        }
        if (!first || expected <= 0)
            continue;
        CHECK(terms_n < found->n);
        if (terms_n < found->n) {
            CHECK_EQUAL(found->terms[terms_n].id, id);
            CHECK_NEAR(found->terms[terms_n].weight, expected, 5e-5);
        }
        terms_n++;
    }
    CHECK_EQUAL(found->n, terms_n);
}

static void check_multi(const struct encoding *found, size_t n, const float *hidden) {
    CHECK_EQUAL(found->multi_n, n - 1);
    for (size_t i = 1; i < n && found->multi_n == n - 1; i++) {
        float expected[HEAD_DIM];
        double squares = 0;
        for (size_t c = 0; c < HEAD_DIM; c++) {
            double value = (double)colbert_bias[c];
            for (size_t d = 0; d < DIM; d++)
                value += (double)hidden[i * DIM + d] * (double)colbert_weight[c * DIM + d];
            expected[c] = (float)value;
            squares += value * value;
        }
        for (size_t c = 0; c < HEAD_DIM; c++)
            expected[c] = (float)((double)expected[c] / sqrt(squares));
        CHECK(golden_difference(found->multi + (i - 1) * HEAD_DIM, expected, HEAD_DIM) <= 5e-5);
    }
}

static void heads_agree(struct json **rows, size_t n, const float *golden) {
    char folder[GOLDEN_PATH_LEN];
    CHECK(make_heads_folder(folder));
    struct model *model = open_model(folder);
    if (!model)
        return;
    const struct model_info *info = model_info(model);
    CHECK(info->has_sparse_head && info->has_colbert_head);
    CHECK_EQUAL(info->multi_dim, HEAD_DIM);
    CHECK_TEXT(info->analyzer, "head");
    read_head_weights();
    struct encoder_options options = {.modes = ENCODE_ALL};
    struct encoder *encoder = NULL;
    struct error err;
    CHECK_OK(encoder_open(model, NULL, &options, &encoder, &err), err);
    for (size_t i = 0; i < n; i++) {
        struct arena arena = {0};
        struct encoding encoding;
        struct encoder_text text = golden_text(rows[i]);
        uint32_t row = 0;
        CHECK_OK(json_read_u32(rows[i], "row", 0, 10000, &row, &err), err);
        CHECK_OK(encoder_encode(encoder, &text, 1, &arena, &encoding, &err), err);
        const struct json *ids = json_get(rows[i], "ids");
        CHECK_EQUAL(encoding.tokens_n, json_count(ids));
        check_lexical(&encoding.lexical, ids, golden + (size_t)row * DIM);
        check_multi(&encoding, json_count(ids), golden + (size_t)row * DIM);
        arena_done(&arena);
    }
    encoder_close(encoder);
    model_close(model);
    remove_heads_folder(folder);
}

/* ---- folders that must not load ---- */

static const struct bad {
    const char *folder, *file, *says;
    enum error_code code;
} bad_folders[] = {
    {"st-empty", "model.safetensors", "too short", ERROR_CORRUPT},
    {"st-truncated", "model.safetensors", "ends at byte", ERROR_CORRUPT},
    {"st-header-beyond-file", "model.safetensors", "header length", ERROR_CORRUPT},
    {"st-header-length-wraps", "model.safetensors", "header length", ERROR_CORRUPT},
    {"st-header-not-json", "model.safetensors", "not valid JSON", ERROR_INVALID},
    {"st-offset-out-of-range", "model.safetensors", "word_embeddings", ERROR_CORRUPT},
    {"st-offset-reversed", "model.safetensors", "data_offsets begin", ERROR_CORRUPT},
    {"st-offset-negative", "model.safetensors", "natural numbers", ERROR_CORRUPT},
    {"st-overlap", "model.safetensors", "overlap", ERROR_CORRUPT},
    {"st-hole", "model.safetensors", "hole", ERROR_CORRUPT},
    {"st-missing-tensor", "model.safetensors", "attention.self.key.weight", ERROR_NOT_FOUND},
    {"st-dtype-unknown", "model.safetensors", "F7", ERROR_UNSUPPORTED},
    {"st-dtype-integer", "model.safetensors", "I32", ERROR_UNSUPPORTED},
    {"st-shape-and-bytes-differ", "model.safetensors", "256", ERROR_CORRUPT},
    {"st-shape-overflow", "model.safetensors", "64 bits", ERROR_CORRUPT},
    {"st-shape-transposed", "model.safetensors", "expected shape [16, 8], found [8, 16]",
     ERROR_INVALID},
    {"st-duplicate-name", "model.safetensors", "stands twice", ERROR_CORRUPT},
    {"st-deep-nesting", "model.safetensors", "nested deeper", ERROR_LIMIT},
    {"st-nan", "model.safetensors", "word_embeddings", ERROR_CORRUPT},
    {"tok-id-hole", "tokenizer.json", "", ERROR_INVALID},
    {"conf-heads-do-not-divide", "config.json", "num_attention_heads", ERROR_INVALID},
    {"conf-zero-heads", "config.json", "num_attention_heads", ERROR_INVALID},
    {"conf-negative-layers", "config.json", "num_hidden_layers", ERROR_INVALID},
    {"conf-too-many-layers", "model.safetensors", "encoder.layer.1.", ERROR_NOT_FOUND},
    {"conf-layers-wrap", "config.json", "num_hidden_layers", ERROR_INVALID},
    {"conf-huge-float", "config.json", "hidden_size", ERROR_INVALID},
    {"conf-string", "config.json", "hidden_size", ERROR_INVALID},
    {"conf-vocab-differs", "config.json", "vocab_size 30", ERROR_INVALID},
    {"conf-positions-differ", "config.json", "max_position_embeddings 512", ERROR_INVALID},
    {"conf-activation", "config.json", "hidden_act", ERROR_UNSUPPORTED},
    {"conf-model-type", "config.json", "model_type", ERROR_UNSUPPORTED},
    {"conf-relative-positions", "config.json", "position_embedding_type", ERROR_UNSUPPORTED},
    {"conf-eps-negative", "config.json", "layer_norm_eps", ERROR_INVALID},
    {"conf-pad-out-of-range", "config.json", "pad_token_id", ERROR_INVALID},
    {"conf-nan", "config.json", "not valid JSON", ERROR_INVALID},
    {"conf-missing-hidden", "config.json", "hidden_size", ERROR_INVALID},
    {"pooling-two-modes", "1_Pooling/config.json", "pooling_mode_mean_tokens", ERROR_UNSUPPORTED},
    {"no-config", "config.json", "No such file", ERROR_NOT_FOUND},
    {"no-weights", "model.safetensors", "pytorch_model.bin", ERROR_NOT_FOUND},
    {"no-tokenizer", "tokenizer.json", "No such file", ERROR_NOT_FOUND},
};

static void broken_folders_are_refused(void) {
    for (size_t i = 0; i < sizeof bad_folders / sizeof *bad_folders; i++) {
        const struct bad *bad = &bad_folders[i];
        char below[128], path[GOLDEN_PATH_LEN];
        struct model *model = NULL;
        struct error err = {0};
        snprintf(below, sizeof below, "golden/bad/%s", bad->folder);
        struct model_options options = {.name = golden_path(below, path)};
        bool opened = model_open(&options, &model, &err);
        bool right = !opened && err.code == bad->code && strstr(err.message, bad->file) &&
                     strstr(err.message, bad->says);
        if (!right)
            fprintf(stderr, "%s: %s: code %d, \"%s\"\n", bad->folder,
                    opened ? "was loaded" : "refused with", err.code, err.message);
        CHECK(right);
        model_close(model);
    }
}

int main(void) {
    char path[GOLDEN_PATH_LEN];
    if (!golden_open()) {
        printf("TERCET_SHARED has no golden files: skipped\n");
        return CHECK_SKIP;
    }
    struct model *model = open_model(golden_path("models/bge-small-en-v1.5", path));
    struct model *embedded = open_model(NULL);
    struct json *rows[ROWS_MAX];
    struct buf file = {0};
    size_t golden_n = 0, n = golden_lines("golden/bge-small-en-v1.5/hidden.jsonl", rows, ROWS_MAX);
    const float *golden = golden_npy("golden/bge-small-en-v1.5/hidden.npy", DIM, &file, &golden_n);
    if (model && embedded && golden) {
        dense_agrees(model, 0.99999, 5e-5);
        dense_agrees(embedded, 0.999, 1);
        hidden_agrees(model, rows, n, golden);
        heads_agree(rows, n, golden);
    }
    broken_folders_are_refused();
    for (size_t i = 0; i < n; i++)
        json_release(rows[i]);
    buf_done(&file);
    model_close(model);
    model_close(embedded);
    return check_result();
}
