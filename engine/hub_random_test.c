/* Made-up models: numbers as promised in every dtype, the same for the same seed, folders that the
 * engine opens, and nothing left behind where that fails. */
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/file.h"
#include "engine/encoder.h"
#include "engine/hub_random.h"
#include "engine/model.h"
#include "engine/reranker.h"
#include "engine/weights/weights.h"
#include "tests/check.h"

enum { PATH_LEN = 512, VOCABULARY = 30522, HIDDEN = 384 };
static char root[PATH_LEN];

static const char *in_root(const char *name) {
    static char paths[4][2 * PATH_LEN];
    static size_t turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof *paths, "%s/%s", root, name);
    return path;
}

static bool make(const char *name, struct hub_random_options options) {
    struct hub_random_result result = {0};
    struct error err = {0};
    bool ok = hub_random_write(&options, in_root(name), &result, &err);
    CHECK_OK(ok, err);
    CHECK(!ok || (result.parameters > 0 && result.bytes > result.parameters));
    return ok;
}

/* ---- numbers ---- */

struct file {
    struct file_map map;
    struct weights *weights;
};

static bool file_open(const char *name, struct file *out) {
    struct error err = {0};
    bool ok = file_map_open(in_root(name), &out->map, &err) &&
              weights_open(out->map.data, out->map.len, name, &out->weights, &err);
    CHECK_OK(ok, err);
    return ok;
}

static void file_close(struct file *file) {
    weights_close(file->weights);
    file_map_close(&file->map);
}

static float *words_of(const struct file *file) {
    static float tables[3][VOCABULARY * HIDDEN];
    static size_t turn;
    float *out = tables[turn++ % 3];
    struct error err = {0};
    CHECK_OK(weights_read_f32(file->weights, "embeddings.word_embeddings.weight", VOCABULARY,
                              HIDDEN, out, &err),
             err);
    return out;
}

static void looks_normal(const float *values, size_t n, double mean, double deviation) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)values[i];
    for (size_t i = 0; i < n; i++)
        squares += ((double)values[i] - sum / (double)n) * ((double)values[i] - sum / (double)n);
    CHECK(fabs(sum / (double)n - mean) < 5 * deviation / sqrt((double)n));
    CHECK(fabs(sqrt(squares / (double)n) / deviation - 1) < 5 / sqrt((double)n));
}

/* Rounded to the nearest: at most half a step from the f32 of the same seed. The steps: `bits` of
 * precision, `lowest` below the normal numbers. */
static void is_rounded(const float *exact, const float *rounded, int bits, double lowest) {
    size_t wrong_n = 0;
    for (size_t i = 0; i < (size_t)VOCABULARY * HIDDEN; i++) {
        int exponent;
        frexp((double)exact[i], &exponent);
        double step = ldexp(1, exponent - bits);
        step = step < lowest ? lowest : step;
        wrong_n += fabs((double)exact[i] - (double)rounded[i]) > step / 2 ||
                   fabs(remainder((double)rounded[i], step)) > 0;
    }
    CHECK_EQUAL(wrong_n, 0);
}

static void numbers_are_as_promised(void) {
    struct file f32 = {0}, f16 = {0}, bf16 = {0};
    float gain[HIDDEN];
    struct error err = {0};
    make("f32", (struct hub_random_options){.shape = "small", .layers_n = 1});
    make("f16",
         (struct hub_random_options){.shape = "small", .layers_n = 1, .dtype = HUB_RANDOM_F16});
    make("bf16",
         (struct hub_random_options){.shape = "small", .layers_n = 1, .dtype = HUB_RANDOM_BF16});
    if (file_open("f32/model.safetensors", &f32) && file_open("f16/model.safetensors", &f16) &&
        file_open("bf16/model.safetensors", &bf16)) {
        const float *exact = words_of(&f32);
        looks_normal(exact, (size_t)VOCABULARY * HIDDEN, 0, 0.02);
        is_rounded(exact, words_of(&f16), 11, ldexp(1, -24));
        is_rounded(exact, words_of(&bf16), 8, 0);
        CHECK_OK(
            weights_read_f32(f32.weights, "embeddings.LayerNorm.weight", 1, HIDDEN, gain, &err),
            err);
        looks_normal(gain, HIDDEN, 1, 0.05);
    }
    file_close(&f32);
    file_close(&f16);
    file_close(&bf16);
}

static void seeds_decide(void) {
    struct file first = {0}, again = {0}, other = {0};
    size_t bytes = sizeof(float) * VOCABULARY * HIDDEN;
    make("again", (struct hub_random_options){.shape = "minilm-l6", .layers_n = 2});
    make("other", (struct hub_random_options){.shape = "minilm-l6", .layers_n = 1, .seed = 1});
    if (file_open("f32/model.safetensors", &first) &&
        file_open("again/model.safetensors", &again) &&
        file_open("other/model.safetensors", &other)) {
        const float *a = words_of(&first), *b = words_of(&again), *c = words_of(&other);
        CHECK(memcmp(a, b, bytes) == 0); /* more layers change no tensor */
        CHECK(memcmp(a, c, bytes) != 0);
    }
    file_close(&first);
    file_close(&again);
    file_close(&other);
}

/* ---- models ---- */

static struct model *open_made(const char *name) {
    struct model *model = NULL;
    struct error err = {0};
    const struct model_options options = {.name = in_root(name)};
    CHECK_OK(model_open(&options, &model, &err), err);
    return model;
}

static void encodes(const char *name, bool has_heads) {
    struct model *model = open_made(name);
    struct encoder *encoder = NULL;
    struct arena arena = {0};
    struct error err = {0};
    struct encoding encoding;
    static const char text[] = "Four little words, 你好 and Привет";
    const struct encoder_text texts[] = {{text, sizeof text - 1}};
    const struct encoder_options options = {.modes = ENCODE_ALL};
    double square = 0;
    if (!model)
        return;
    CHECK(model_info(model)->has_sparse_head == has_heads);
    CHECK_OK(encoder_open(model, NULL, &options, &encoder, &err), err);
    CHECK_OK(encoder_encode(encoder, texts, 1, &arena, &encoding, &err), err);
    for (size_t i = 0; i < model_info(model)->dense_dim; i++)
        square += (double)encoding.dense[i] * (double)encoding.dense[i];
    CHECK(fabs(square - 1) < 1e-4); /* finite, and of length 1 */
    CHECK(encoding.lexical.n > 0 && encoding.multi_n > 4);
    encoder_close(encoder);
    arena_done(&arena);
    model_close(model);
}

static void reranks(const char *name) {
    struct model *model = open_made(name);
    struct reranker *reranker = NULL;
    struct error err = {0};
    const struct reranker_options options = {0};
    const struct reranker_pair pair = {"a question", "an answer", 10, 9};
    float score = NAN;
    if (!model)
        return;
    CHECK_OK(reranker_open(model, NULL, &options, &reranker, &err) &&
                 reranker_score(reranker, &pair, 1, &score, &err),
             err);
    CHECK(isfinite(score));
    reranker_close(reranker);
    model_close(model);
}

static void models_open(void) {
    encodes("f16", false);
    encodes("again", false);
    make("m3", (struct hub_random_options){.shape = "m3", .layers_n = 1, .vocabulary_n = 30000});
    encodes("m3", true);
    make("v2",
         (struct hub_random_options){
             .shape = "v2-m3", .layers_n = 1, .vocabulary_n = 30000, .tokenizer = in_root("m3")});
    reranks("v2");
}

/* ---- what cannot be ---- */

static void refused(const char *name, struct hub_random_options options, enum error_code code) {
    struct hub_random_result result;
    struct error err = {0};
    CHECK(!hub_random_write(&options, in_root(name), &result, &err));
    CHECK_EQUAL(err.code, code);
    CHECK(!file_exists(in_root("none")) && !file_exists(in_root("none.part")));
}

static void failures_leave_nothing(void) {
    struct rlimit limit, small;
    refused("none", (struct hub_random_options){.shape = "huge"}, ERROR_INVALID);
    refused("f32", (struct hub_random_options){.shape = "small"}, ERROR_INVALID);
    refused("none", (struct hub_random_options){.shape = "m3", .vocabulary_n = 3}, ERROR_LIMIT);
    refused("none", (struct hub_random_options){.shape = "small", .vocabulary_n = 1000},
            ERROR_INVALID); /* the tokenizer has more */
    refused("none", (struct hub_random_options){.shape = "small", .tokenizer = "/no/such"},
            ERROR_NOT_FOUND);
    signal(SIGXFSZ, SIG_IGN);
    CHECK_EQUAL(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 1 << 20;
    CHECK_EQUAL(setrlimit(RLIMIT_FSIZE, &small), 0);
    refused("none", (struct hub_random_options){.shape = "small", .layers_n = 1}, ERROR_IO);
    CHECK_EQUAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

int main(void) {
    const char *temporary = getenv("TMPDIR");
    char command[2 * PATH_LEN];
    snprintf(root, sizeof root, "%s/tercet-random-XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(root))
        return 1;
    numbers_are_as_promised();
    seeds_decide();
    models_open();
    failures_leave_nothing();
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    CHECK_EQUAL(system(command), 0);
    return check_result();
}
