/* Every kind of model against its official Python code: M3, cross-encoders, mean pooling.
 * Values: $TERCET_SHARED/golden (FlagEmbedding 1.4.2, transformers 4.57.6, sentence-transformers
 * 5.7.0, float32; README there). Tolerance 5e-5, raw logits 2e-4. */
#include <unistd.h>

#include "engine/base/pool.h"
#include "engine/model.h"
#include "engine/reranker.h"
#include "engine/score.h"
#include "engine/golden.h"

enum { ROWS_MAX = 256 };
static const double tolerance = 5e-5, logit_tolerance = 2e-4;

static struct pool *pool;

static struct model *open_model(const char *below) {
    char path[GOLDEN_PATH_LEN];
    struct error err;
    struct model *model = NULL;
    struct model_options options = {.name = golden_path(below, path),
                                    .precision = MODEL_PRECISION_F32};
    CHECK_OK(model_open(&options, &model, &err), err);
    return model;
}

static bool encode(const struct model *model, unsigned modes, uint32_t length_max,
                   const struct encoder_text *text, struct arena *arena, struct encoding *out) {
    struct encoder_options options = {.modes = modes, .length_max = length_max};
    struct encoder *encoder = NULL;
    struct error err;
    bool ok = encoder_open(model, pool, &options, &encoder, &err) &&
              encoder_encode(encoder, text, 1, arena, out, &err);
    CHECK_OK(ok, err);
    encoder_close(encoder);
    return ok;
}

/* ---- one row of golden values ---- */

/* The largest differences seen, by what was compared. */
struct differences {
    double dense, lexical, colbert;
};

static double number_difference(const struct json *expected, const float *found, size_t n) {
    double most = json_count(expected) == n ? 0 : INFINITY;
    for (size_t i = 0; i < json_count(expected) && i < n; i++)
        most = fmax(most, fabs(json_number_of(json_at(expected, i)) - (double)found[i]));
    return most;
}

static double lexical_difference(const struct json *expected, const struct lexical *found) {
    double most = json_count(expected) == found->n ? 0 : INFINITY;
    for (size_t i = 0; i < found->n; i++) {
        char id[16];
        snprintf(id, sizeof id, "%u", found->terms[i].id);
        const struct json *weight = json_get(expected, id);
        if (json_kind_of(weight) != JSON_KIND_NUMBER)
            return INFINITY;
        most = fmax(most, fabs(json_number_of(weight) - (double)found->terms[i].weight));
    }
    return most;
}

/* By token text: where two tokens have one, the later one counts. */
static double by_token_difference(const struct model *model, const struct json *expected,
                                  const struct lexical *found) {
    double most = 0;
    struct buf text = {0};
    struct json *last = json_new_object();
    for (size_t i = 0; i < found->n; i++) {
        buf_clear(&text);
        tokenizer_decode_token(model_tokenizer(model), found->terms[i].id, &text);
        json_add_number(last, text.data, (double)found->terms[i].weight);
    }
    if (json_count(last) != json_count(expected))
        most = INFINITY;
    for (void *at = json_first(expected); at; at = json_next(expected, at)) {
        const struct json *weight = json_get(last, json_member_key(at));
        most =
            json_kind_of(weight) == JSON_KIND_NUMBER
                ? fmax(most, fabs(json_number_of(weight) - json_number_of(json_member_value(at))))
                : INFINITY;
    }
    json_release(last);
    buf_done(&text);
    return most;
}

/* Rows of the .npy from "colbert_at" on: the vectors whose positions "colbert_kept" lists. */
static double colbert_difference(const struct json *row, const struct encoding *found,
                                 const float *golden, size_t dim) {
    const struct json *kept = json_get(row, "colbert_kept");
    bool all = json_kind_of(kept) == JSON_KIND_STRING;
    size_t at = (size_t)json_number_of(json_get(row, "colbert_at"));
    size_t n = all ? found->multi_n : json_count(kept);
    double most = json_number_of(json_get(row, "colbert_n")) == found->multi_n ? 0 : INFINITY;
    for (size_t i = 0; i < n; i++) {
        size_t position = all ? i : (size_t)json_number_of(json_at(kept, i));
        if (position >= found->multi_n)
            return INFINITY;
        most = fmax(most,
                    golden_difference(found->multi + position * dim, golden + (at + i) * dim, dim));
    }
    return most;
}

/* Everything that the row tells; golden NULL: its ColBERT vectors stand in the row itself. */
static void compare_row(const struct model *model, const struct json *row, const float *golden,
                        struct differences *most) {
    const struct model_info *info = model_info(model);
    const struct json *lexical = json_get(row, "lexical_weights");
    struct arena arena = {0};
    struct encoding found;
    struct encoder_text text = golden_text(row);
    uint32_t length_max = 0;
    struct error err;
    CHECK_OK(json_read_u32(row, "max_length", 0, UINT32_MAX, &length_max, &err), err);
    if (!encode(model, lexical ? ENCODE_ALL : ENCODE_DENSE, length_max, &text, &arena, &found))
        return;
    if (json_get(row, "n_tokens"))
        CHECK_EQUAL(found.tokens_n, json_number_of(json_get(row, "n_tokens")));
    most->dense =
        fmax(most->dense, number_difference(json_get(row, "dense"), found.dense, info->dense_dim));
    if (lexical)
        most->lexical = fmax(most->lexical, lexical_difference(lexical, &found.lexical));
    if (json_get(row, "lexical_by_token"))
        most->lexical =
            fmax(most->lexical,
                 by_token_difference(model, json_get(row, "lexical_by_token"), &found.lexical));
    if (lexical && golden)
        most->colbert =
            fmax(most->colbert, colbert_difference(row, &found, golden, info->multi_dim));
    const struct json *vectors = json_get(row, "colbert");
    if (vectors)
        CHECK_EQUAL(found.multi_n, json_count(vectors));
    for (size_t i = 0; i < json_count(vectors) && i < found.multi_n; i++)
        most->colbert = fmax(most->colbert,
                             number_difference(json_at(vectors, i),
                                               found.multi + i * info->multi_dim, info->multi_dim));
    arena_done(&arena);
}

static void report(const char *name, size_t n, const struct differences *most, double allowed) {
    printf("%s: %zu texts, difference: dense %.3g, lexical %.3g, colbert %.3g\n", name, n,
           most->dense, most->lexical, most->colbert);
    CHECK(n > 0);
    CHECK(most->dense <= allowed && most->lexical <= allowed && most->colbert <= allowed);
}

static void encodings_agree(const char *folder, const char *lines, const char *npy) {
    struct json *rows[ROWS_MAX];
    struct buf file = {0};
    size_t vectors_n = 0, n = golden_lines(lines, rows, ROWS_MAX);
    struct model *model = open_model(folder);
    struct differences most = {0};
    if (model) {
        const float *golden =
            npy ? golden_npy(npy, model_info(model)->multi_dim, &file, &vectors_n) : NULL;
        CHECK(!npy || golden);
        for (size_t i = 0; i < n; i++)
            compare_row(model, rows[i], golden, &most);
        report(folder, n, &most, tolerance);
    }
    for (size_t i = 0; i < n; i++)
        json_release(rows[i]);
    buf_done(&file);
    model_close(model);
}

/* ---- scores ---- */

static float weight_at(const struct json *weights, size_t i) {
    const struct json *weight = json_at(weights, i);
    return weight ? (float)json_number_of(weight) : 1;
}

static double score_difference(const struct json *scores, size_t pair, const struct score *found) {
    const struct {
        const char *name;
        float value;
    } keys[] = {{"dense", found->dense},
                {"sparse", found->sparse},
                {"colbert", found->colbert},
                {"sparse+dense", found->sparse_dense},
                {"colbert+sparse+dense", found->colbert_sparse_dense}};
    double most = 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct json *expected = json_at(json_get(scores, keys[i].name), pair);
        if (json_kind_of(expected) != JSON_KIND_NUMBER)
            return INFINITY;
        most = fmax(most, fabs(json_number_of(expected) - (double)keys[i].value));
    }
    return most;
}

static void scores_agree(void) {
    char path[GOLDEN_PATH_LEN];
    struct error err;
    struct buf file = {0};
    CHECK_OK(file_read(golden_path("golden/m3-tiny/m3_tiny_scores.json", path), GOLDEN_BYTES_MAX,
                       &file, &err),
             err);
    struct json *root = json_parse(file.data, file.len, &err);
    const struct json *pairs = json_get(root, "pairs"), *runs = json_get(root, "runs");
    struct model *model = open_model("golden/models/m3-tiny");
    double most = 0;
    size_t compared = 0;
    for (size_t r = 0; model && r < json_count(runs); r++) {
        const struct json *run = json_at(runs, r);
        const struct json *weights = json_get(run, "weights_for_different_modes");
        struct score_weights by = {weight_at(weights, 0), weight_at(weights, 1),
                                   weight_at(weights, 2)};
        uint32_t query_max = 0, passage_max = 0;
        CHECK_OK(json_read_u32(run, "max_query_length", 1, 8192, &query_max, &err), err);
        CHECK_OK(json_read_u32(run, "max_passage_length", 1, 8192, &passage_max, &err), err);
        for (size_t i = 0; i < json_count(pairs); i++, compared++) {
            const struct json *pair = json_at(pairs, i);
            struct encoder_text query, passage;
            struct encoding a, b;
            struct arena arena = {0};
            query.text = json_string_of(json_at(pair, 0), &query.len);
            passage.text = json_string_of(json_at(pair, 1), &passage.len);
            if (encode(model, ENCODE_ALL, query_max, &query, &arena, &a) &&
                encode(model, ENCODE_ALL, passage_max, &passage, &arena, &b)) {
                struct score score = score_pair(model_info(model), &a, &b, &by);
                most = fmax(most, score_difference(json_get(run, "scores"), i, &score));
            }
            arena_done(&arena);
        }
    }
    printf("m3-tiny: %zu scores, difference %.3g\n", compared, most);
    CHECK_EQUAL(compared, 72);
    CHECK(most <= tolerance);
    json_release(root);
    buf_done(&file);
    model_close(model);
}

/* ---- cross-encoders ---- */

static float rerank_row(const struct model *model, const struct json *row, bool normalize,
                        enum reranker_cut cut) {
    struct reranker_options options = {.normalize = normalize, .cut = cut};
    struct reranker *reranker = NULL;
    struct reranker_pair pair;
    struct error err;
    float score = NAN;
    CHECK_OK(json_read_u32(row, "max_length", 1, 8192, &options.length_max, &err), err);
    pair.query = json_string_of(json_get(row, "query"), &pair.query_len);
    pair.passage = json_string_of(json_get(row, "passage"), &pair.passage_len);
    CHECK_OK(reranker_open(model, pool, &options, &reranker, &err) &&
                 reranker_score(reranker, &pair, 1, &score, &err),
             err);
    reranker_close(reranker);
    return score;
}

static void pairs_agree(const char *folder, const char *lines) {
    struct json *rows[ROWS_MAX];
    size_t n = golden_lines(lines, rows, ROWS_MAX), second_n = 0;
    struct model *model = open_model(folder);
    double raw = 0, normalized = 0, second = 0;
    for (size_t i = 0; i < n && model; i++) {
        const struct json *expected = json_get(rows[i], "score_normalized");
        const struct json *only_second = json_get(rows[i], "only_second");
        float score = rerank_row(model, rows[i], false, RERANKER_CUT_MODEL);
        raw = fmax(raw, fabs(json_number_of(json_get(rows[i], "score")) - (double)score));
        if (expected) {
            score = rerank_row(model, rows[i], true, RERANKER_CUT_MODEL);
            normalized = fmax(normalized, fabs(json_number_of(expected) - (double)score));
        }
        if (only_second) {
            score = rerank_row(model, rows[i], false, RERANKER_CUT_ONLY_SECOND);
            second =
                fmax(second, fabs(json_number_of(json_get(only_second, "score")) - (double)score));
            second_n++;
        }
    }
    printf("%s: %zu pairs, difference: raw %.3g, normalized %.3g, %zu cut otherwise %.3g\n", folder,
           n, raw, normalized, second_n, second);
    CHECK_EQUAL(n, 80);
    CHECK(raw <= logit_tolerance && normalized <= tolerance && second <= logit_tolerance);
    for (size_t i = 0; i < n; i++)
        json_release(rows[i]);
    model_close(model);
}

/* An encoder is no cross-encoder, and the other way round; limits are those of the model. */
static void kinds_are_told_apart(void) {
    struct model *encoder = open_model("golden/models/m3-tiny");
    struct model *cross = open_model("golden/models/reranker-tiny");
    struct reranker *reranker = NULL;
    struct encoder *none = NULL;
    struct error err = {0};
    const struct encoder_options dense = {.modes = ENCODE_DENSE};
    struct reranker_options options = {0};
    CHECK(!encoder_open(cross, NULL, &dense, &none, &err) && err.code == ERROR_UNSUPPORTED);
    CHECK(!reranker_open(encoder, NULL, &options, &reranker, &err) &&
          err.code == ERROR_UNSUPPORTED);
    options.length_max = 1025; /* it has 1,026 positions, of which two are never used */
    CHECK(!reranker_open(cross, NULL, &options, &reranker, &err) && err.code == ERROR_LIMIT);
    options.length_max = 1024;
    CHECK_OK(reranker_open(cross, NULL, &options, &reranker, &err), err);
    struct buf query = {0}, passage = {0};
    for (size_t i = 0; i < 1000; i++)
        buf_text(&query, "a ");
    for (size_t i = 0; i < 5000; i++)
        buf_text(&passage, "b ");
    struct reranker_pair pairs[] = {{query.data, passage.data, query.len, passage.len},
                                    {"a", passage.data, 1, passage.len},
                                    {"", "", 0, 0}};
    float scores[3];
    CHECK_OK(reranker_score(reranker, pairs, 3, scores, &err), err);
    CHECK(isfinite(scores[0]) && isfinite(scores[1]) && isfinite(scores[2]));
    reranker_close(reranker);
    buf_done(&query);
    buf_done(&passage);
    model_close(encoder);
    model_close(cross);
}

/* ---- small whole folders ---- */

static void whole_folders_load(void) {
    char path[GOLDEN_PATH_LEN];
    struct error err;
    struct buf file = {0};
    CHECK_OK(
        file_read(golden_path("golden/bad/ok_expected.json", path), GOLDEN_BYTES_MAX, &file, &err),
        err);
    struct json *expected = json_parse(file.data, file.len, &err);
    size_t folders_n = 0;
    for (void *at = json_first(expected); at; at = json_next(expected, at), folders_n++) {
        char below[GOLDEN_PATH_LEN];
        const struct json *rows = json_member_value(at);
        struct differences most = {0};
        snprintf(below, sizeof below, "golden/bad/%s", json_member_key(at));
        struct model *model = open_model(below);
        for (size_t i = 0; model && i < json_count(rows); i++)
            compare_row(model, json_at(rows, i), NULL, &most);
        report(below, json_count(rows), &most, 1e-5);
        model_close(model);
    }
    CHECK_EQUAL(folders_n, 4);
    json_release(expected);
    buf_done(&file);
}

/* Without its ColBERT head an M3 folder is good for the rest, and says what it lacks. */
static void missing_head_is_named(void) {
    struct model *model = open_model("golden/bad/bin-colbert-missing");
    struct encoder *encoder = NULL;
    struct error err = {0};
    const struct encoder_options all = {.modes = ENCODE_ALL}, dense = {.modes = ENCODE_DENSE};
    CHECK(!encoder_open(model, NULL, &all, &encoder, &err));
    CHECK(err.code == ERROR_UNSUPPORTED && strstr(err.message, "colbert_linear.pt"));
    CHECK_OK(encoder_open(model, NULL, &dense, &encoder, &err), err);
    encoder_close(encoder);
    model_close(model);
}

/* A file of three layers beside a config.json of two: the third one's tensors are named. */
static void extra_tensors_are_named(void) {
    char folder[GOLDEN_PATH_LEN], path[GOLDEN_PATH_LEN], from[GOLDEN_PATH_LEN * 4];
    char config[2 * GOLDEN_PATH_LEN], link[2][2 * GOLDEN_PATH_LEN], below[128];
    static const char *const names[] = {"model.safetensors", "tokenizer.json"};
    const char *temporary = getenv("TMPDIR");
    struct error err = {0};
    struct buf text = {0};
    struct model *model = NULL;
    snprintf(folder, sizeof folder, "%s/tercet-extra-XXXXXX", temporary ? temporary : "/tmp");
    CHECK(mkdtemp(folder));
    for (size_t i = 0; i < 2; i++) {
        snprintf(below, sizeof below, "golden/models/m3-tiny-safetensors/%s", names[i]);
        snprintf(link[i], sizeof link[i], "%s/%s", folder, names[i]);
        CHECK(realpath(golden_path(below, path), from) && symlink(from, link[i]) == 0);
    }
    golden_path("golden/models/m3-tiny-safetensors/config.json", path);
    CHECK_OK(file_read(path, GOLDEN_BYTES_MAX, &text, &err), err);
    char *layers = strstr(text.data, "\"num_hidden_layers\": 3");
    CHECK(layers);
    if (layers)
        layers[strlen("\"num_hidden_layers\": ")] = '2';
    snprintf(config, sizeof config, "%s/config.json", folder);
    FILE *file = fopen(config, "w");
    CHECK(file && fwrite(text.data, 1, text.len, file) == text.len && fclose(file) == 0);
    struct model_options options = {.name = folder};
    CHECK(!model_open(&options, &model, &err));
    CHECK(err.code == ERROR_INVALID && strstr(err.message, "encoder.layer.2.") &&
          strstr(err.message, "model.safetensors"));
    model_close(model);
    unlink(config);
    unlink(link[0]);
    unlink(link[1]);
    rmdir(folder);
    buf_done(&text);
}

int main(void) {
    if (!golden_open()) {
        printf("TERCET_SHARED has no golden files: skipped\n");
        return CHECK_SKIP;
    }
    pool = pool_open(2);
    encodings_agree("golden/models/m3-tiny", "golden/m3-tiny/m3_tiny_encode.jsonl",
                    "golden/m3-tiny/m3_tiny_colbert.npy");
    encodings_agree("golden/models/m3-tiny-safetensors", "golden/m3-tiny/m3_tiny_encode.jsonl",
                    "golden/m3-tiny/m3_tiny_colbert.npy");
    encodings_agree("golden/models/bert-mean-tiny", "golden/bert-mean-tiny/encode.jsonl", NULL);
    scores_agree();
    pairs_agree("golden/models/reranker-tiny", "golden/reranker-tiny/scores.jsonl");
    pairs_agree("golden/models/bert-cross-encoder-tiny",
                "golden/bert-cross-encoder-tiny/scores.jsonl");
    kinds_are_told_apart();
    whole_folders_load();
    missing_head_is_named();
    extra_tensors_are_named();
    pool_close(pool);
    return check_result();
}
