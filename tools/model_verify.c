/* tercet model verify - a model's published values against what comes out here. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/pool.h"
#include "engine/encoder.h"
#include "engine/model.h"
#include "engine/reranker.h"
#include "engine/score.h"
#include "engine/tokenizer/tokenizer.h"
#include "tools/model_commands.h"
#include "tools/model_goldens.h"

/* What the golden texts of the largest table need; all have some dozen tokens. */
enum { TEXTS_MAX = 16, LENGTH_MAX = 512 };

struct verify {
    const struct model *model;
    const struct model_info *info;
    struct pool *pool;
    struct encoder *encoder;   /* of an encoder */
    struct reranker *reranker; /* of a cross-encoder */
    const struct goldens *goldens;
    struct arena arena;
    struct encoder_text texts[TEXTS_MAX];
    struct encoding encodings[TEXTS_MAX];
    size_t texts_n;
    bool json;
    size_t compared_n, missed_n;
};

/* ---- what comes out ---- */

static void add_text(struct verify *verify, const char *text) {
    for (size_t i = 0; i < verify->texts_n; i++)
        if (strcmp(verify->texts[i].text, text) == 0)
            return;
    if (verify->texts_n < TEXTS_MAX)
        verify->texts[verify->texts_n++] = (struct encoder_text){text, strlen(text)};
}

static const struct encoding *encoding_of(const struct verify *verify, const char *text) {
    for (size_t i = 0; i < verify->texts_n; i++)
        if (strcmp(verify->texts[i].text, text) == 0)
            return &verify->encodings[i];
    return NULL;
}

static bool is_of_pairs(enum golden_kind kind) {
    return kind <= GOLDEN_ALL || kind >= GOLDEN_RELEVANCE;
}

static bool encode_texts(struct verify *verify, struct error *err) {
    for (size_t i = 0; i < verify->goldens->n; i++) {
        const struct golden *golden = &verify->goldens->items[i];
        add_text(verify, golden->a);
        if (is_of_pairs(golden->kind))
            add_text(verify, golden->b);
    }
    return encoder_encode(verify->encoder, verify->texts, verify->texts_n, &verify->arena,
                          verify->encodings, err);
}

/* The token's weight; 0 when the text does not have it, as on a weight that relu took away. */
static double weight_of(const struct verify *verify, const struct golden *golden) {
    static const char mark[] = "\xe2\x96\x81"; /* U+2581: a word begins */
    const struct lexical *lexical = &encoding_of(verify, golden->a)->lexical;
    for (size_t i = 0; i < lexical->n; i++) {
        uint32_t id = lexical->terms[i].id;
        const char *text = tokenizer_token_text(model_tokenizer(verify->model), id);
        if (text && strncmp(text, mark, strlen(mark)) == 0)
            text += strlen(mark);
        if (golden->kind == GOLDEN_WEIGHT_ID ? id == golden->id
                                             : text && strcmp(text, golden->b) == 0)
            return (double)lexical->terms[i].weight;
    }
    return 0;
}

/* NaN where the model lacks the head for it, which is no value to agree with. */
static double score_of(const struct verify *verify, const struct golden *golden) {
    const struct goldens *goldens = verify->goldens;
    const struct score_weights weights = {(float)goldens->dense_weight,
                                          (float)goldens->sparse_weight,
                                          (float)goldens->colbert_weight};
    struct score score = score_pair(verify->info, encoding_of(verify, golden->a),
                                    encoding_of(verify, golden->b), &weights);
    if (golden->kind != GOLDEN_DENSE && golden->kind != GOLDEN_COLBERT &&
        !verify->info->has_sparse_head)
        return NAN;
    switch (golden->kind) {
    case GOLDEN_DENSE: return (double)score.dense;
    case GOLDEN_SPARSE: return (double)score.sparse;
    case GOLDEN_COLBERT: return (double)score.colbert;
    case GOLDEN_SPARSE_DENSE: return (double)score.sparse_dense;
    default: return (double)score.colbert_sparse_dense;
    }
}

static bool value_of(struct verify *verify, const struct golden *golden, double *out,
                     struct error *err) {
    if (golden->kind >= GOLDEN_RELEVANCE) {
        const struct reranker_pair pair = {golden->a, golden->b, strlen(golden->a),
                                           strlen(golden->b)};
        float score;
        if (!reranker_score(verify->reranker, &pair, 1, &score, err))
            return false;
        *out = golden->kind == GOLDEN_SIGMOID ? 1 / (1 + exp(-(double)score)) : (double)score;
        return true;
    }
    if (golden->kind == GOLDEN_VECTORS_N)
        *out = encoding_of(verify, golden->a)->multi_n;
    else if (golden->kind == GOLDEN_WEIGHT_ID || golden->kind == GOLDEN_WEIGHT_TEXT)
        *out = verify->info->has_sparse_head ? weight_of(verify, golden) : (double)NAN;
    else
        *out = score_of(verify, golden);
    return true;
}

/* ---- what is printed ---- */

static const char *kind_name(enum golden_kind kind) {
    static const char *const names[] = {
        [GOLDEN_DENSE] = "dense",
        [GOLDEN_SPARSE] = "sparse",
        [GOLDEN_COLBERT] = "colbert",
        [GOLDEN_SPARSE_DENSE] = "sparse+dense",
        [GOLDEN_ALL] = "colbert+sparse+dense",
        [GOLDEN_VECTORS_N] = "multi-vectors",
        [GOLDEN_WEIGHT_ID] = "weight of id",
        [GOLDEN_WEIGHT_TEXT] = "weight of token",
        [GOLDEN_RELEVANCE] = "relevance",
        [GOLDEN_SIGMOID] = "sigmoid",
    };
    return names[kind];
}

static void print_json(const struct golden *golden, double got, bool agrees) {
    struct json *row = json_new_object();
    json_add_string(row, "what", kind_name(golden->kind));
    json_add_string(row, is_of_pairs(golden->kind) ? "query" : "text", golden->a);
    if (is_of_pairs(golden->kind))
        json_add_string(row, "passage", golden->b);
    else if (golden->kind == GOLDEN_WEIGHT_ID)
        json_add_number(row, "id", golden->id);
    else if (golden->kind == GOLDEN_WEIGHT_TEXT)
        json_add_string(row, "token", golden->b);
    json_add_number(row, "expected", golden->expected);
    json_add(row, "got", isfinite(got) ? json_new_number(got) : json_new_null());
    json_add_number(row, "tolerance", golden->tolerance);
    json_add_bool(row, "agrees", agrees);
    model_print_json(row);
}

static void print_text(const struct golden *golden, double got, bool agrees) {
    enum { SHOWN = 32 };
    printf("%s %-20s expected %9.6f  got %9.6f  (within %g)  \"%.*s\"", agrees ? "ok  " : "MISS",
           kind_name(golden->kind), golden->expected, got, golden->tolerance, SHOWN, golden->a);
    if (golden->kind == GOLDEN_WEIGHT_ID)
        printf(" %u", golden->id);
    else if (golden->b)
        printf(" \"%.*s\"", SHOWN, golden->b);
    putchar('\n');
}

static bool compare_all(struct verify *verify, struct error *err) {
    if (verify->encoder && !encode_texts(verify, err))
        return false;
    for (size_t i = 0; i < verify->goldens->n; i++) {
        const struct golden *golden = &verify->goldens->items[i];
        double got;
        if (!value_of(verify, golden, &got, err))
            return false;
        bool agrees = fabs(got - golden->expected) <= golden->tolerance; /* NaN never does */
        verify->compared_n++;
        verify->missed_n += !agrees;
        (verify->json ? print_json : print_text)(golden, got, agrees);
    }
    return true;
}

/* ---- a model that nothing is known of ---- */

static const char *const plain_texts[] = {"What do these numbers mean?",
                                          "Some text, which is a little longer than the question."};

static bool all_finite(const float *values, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

static bool same_weights(const struct lexical *a, const struct lexical *b) {
    for (size_t i = 0; i < a->n && a->n == b->n; i++)
        if (!isfinite(a->terms[i].weight) || a->terms[i].weight != b->terms[i].weight)
            return false;
    return a->n == b->n;
}

/* Twice in one batch: the same bits, all of them numbers. */
static bool encodes_plainly(struct verify *verify, struct error *err) {
    size_t dense = verify->info->dense_dim, multi = verify->info->multi_dim;
    for (size_t i = 0; i < 4; i++)
        verify->texts[i] = (struct encoder_text){plain_texts[i % 2], strlen(plain_texts[i % 2])};
    if (!encoder_encode(verify->encoder, verify->texts, 4, &verify->arena, verify->encodings, err))
        return false;
    for (size_t i = 0; i < 2; i++) {
        const struct encoding *a = &verify->encodings[i], *b = &verify->encodings[i + 2];
        if (!all_finite(a->dense, dense) || !all_finite(a->multi, a->multi_n * multi))
            return error_set(err, ERROR_CORRUPT, "what comes out is not finite");
        if (a->multi_n != b->multi_n || !same_weights(&a->lexical, &b->lexical) ||
            memcmp(a->dense, b->dense, dense * sizeof *a->dense) != 0 ||
            memcmp(a->multi, b->multi, a->multi_n * multi * sizeof *a->multi) != 0)
            return error_set(err, ERROR_CORRUPT, "the same text gives other numbers");
    }
    return true;
}

static bool scores_plainly(struct verify *verify, struct error *err) {
    const struct reranker_pair pair = {plain_texts[0], plain_texts[1], strlen(plain_texts[0]),
                                       strlen(plain_texts[1])};
    const struct reranker_pair pairs[] = {pair, pair};
    float scores[2];
    if (!reranker_score(verify->reranker, pairs, 2, scores, err))
        return false;
    if (!all_finite(scores, 2))
        return error_set(err, ERROR_CORRUPT, "what comes out is not finite");
    return scores[0] == scores[1] ||
           error_set(err, ERROR_CORRUPT, "the same pair gives other numbers");
}

/* ---- the command ---- */

static void report(const struct verify *verify) {
    const char *note = verify->goldens ? ""
                                       : "no published values are known for this model: nothing "
                                         "was compared; it loads, and gives finite numbers, "
                                         "the same for the same text";
    if (verify->json) {
        struct json *row = json_new_object();
        json_add_string(row, "model", verify->info->name);
        json_add_string(row, "fingerprint", verify->info->fingerprint);
        json_add_string(row, "precision", verify->info->precision);
        json_add_string(row, "source", verify->goldens ? verify->goldens->source : "");
        json_add_number(row, "compared", (double)verify->compared_n);
        json_add_number(row, "missed", (double)verify->missed_n);
        json_add_string(row, "note", note);
        model_print_json(row);
    } else if (verify->goldens) {
        printf("%s in %s: %zu values compared, %zu missed; source: %s\n", verify->info->name,
               verify->info->precision, verify->compared_n, verify->missed_n,
               verify->goldens->source);
    } else {
        printf("%s in %s: %s\n", verify->info->name, verify->info->precision, note);
    }
}

/* A table of an encoder for a cross-encoder, or the other way round, is somebody's mistake. */
static bool check_kind(const struct verify *verify, struct error *err) {
    if (!verify->goldens)
        return true;
    bool of_pairs = verify->goldens->items[0].kind >= GOLDEN_RELEVANCE;
    return of_pairs == verify->info->is_reranker ||
           error_set(err, ERROR_INVALID, "the published values are of %s, the model is %s",
                     of_pairs ? "a cross-encoder" : "an encoder",
                     of_pairs ? "an encoder" : "a cross-encoder");
}

static bool run_verify(struct verify *verify, struct error *err) {
    uint32_t most = verify->info->length_max;
    const struct encoder_options encoder = {.modes = ENCODE_ALL,
                                            .length_max = most < LENGTH_MAX ? most : LENGTH_MAX};
    const struct reranker_options reranker = {0};
    verify->pool = pool_open(0);
    if (!check_kind(verify, err))
        return false;
    if (verify->info->is_reranker)
        return reranker_open(verify->model, verify->pool, &reranker, &verify->reranker, err) &&
               (verify->goldens ? compare_all : scores_plainly)(verify, err);
    return encoder_open(verify->model, verify->pool, &encoder, &verify->encoder, err) &&
           (verify->goldens ? compare_all : encodes_plainly)(verify, err);
}

static int run(int argc, char **argv) {
    struct verify verify = {0};
    struct model *model = NULL;
    const char *as = NULL, *precision = "f32";
    const struct option table[] = {
        {"as", OPTION_TEXT, &as, "NAME",
         "compare with this model's values (default: what M is called)", 0, 0, 0},
        {"precision", OPTION_TEXT, &precision, "P",
         "auto, f32, bf16 or int8 (default: f32, as the reference code computes)", 0, 0, 0},
        {"json", OPTION_FLAG, &verify.json, NULL, "JSON lines: each value, then the sum", 0, 0, 0},
        {0},
    };
    struct error err;
    size_t words_n;
    int status = options_parse(&command_model_verify, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n > 1)
        return options_wrong(&command_model_verify, "one model at a time, found \"%s\"", argv[1]);
    struct model_options options = {.name = words_n ? argv[0] : NULL};
    if (!model_precision_parse(precision, &options.precision, &err))
        return options_wrong(&command_model_verify, "%s", err.message);
    if (as && !goldens_find(as))
        return options_wrong(&command_model_verify, "--as \"%s\": no published values are known",
                             as);
    bool ok = model_open(&options, &model, &err);
    if (ok) {
        verify.model = model;
        verify.info = model_info(model);
        verify.goldens = goldens_find(as ? as : verify.info->name);
        ok = run_verify(&verify, &err);
    }
    if (ok)
        report(&verify);
    encoder_close(verify.encoder);
    reranker_close(verify.reranker);
    pool_close(verify.pool);
    arena_done(&verify.arena);
    model_close(model);
    if (!ok)
        return command_failed(&err);
    return verify.missed_n ? EXIT_FAILED : EXIT_DONE;
}

const struct command command_model_verify = {"model verify", "[M]",
                                             "a model's published values against ours", run};
