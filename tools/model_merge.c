/* tercet model merge - models of one shape made one, by weights given or found out. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "engine/base/pool.h"
#include "engine/encoder.h"
#include "engine/hub_merge.h"
#include "engine/model.h"
#include "ingest/source.h"
#include "tools/model_commands.h"

enum {
    EXAMPLES_MAX = 1024, /* the paper takes five; more only cost time */
    PASSAGES_MAX = 64,   /* of one example */
};

/* The paper's: of the losses' soft maximum, and of the similarities in the loss. */
static const double mixing_temperature = 5, similarity_temperature = .02;

struct example {
    struct encoder_text query, passages[PASSAGES_MAX]; /* the first one answers it */
    size_t passages_n;
};

struct examples {
    struct example items[EXAMPLES_MAX];
    size_t n;
};

static struct encoder_text text_of(const struct json *string, struct arena *arena) {
    size_t len;
    const char *text = json_string_of(string, &len);
    return (struct encoder_text){arena_text(arena, text, len), len};
}

/* {"query":"..","pos":["..",..],"neg":["..",..]}, FlagEmbedding's form. */
static bool example_read(const struct json *json, struct arena *arena, struct example *out,
                         struct error *err) {
    const struct json *query = json_get(json, "query");
    const struct json *lists[] = {json_get(json, "pos"), json_get(json, "neg")};
    if (json_kind_of(query) != JSON_KIND_STRING || json_count(lists[0]) == 0 ||
        json_count(lists[1]) == 0)
        return error_set(err, ERROR_INVALID,
                         "{\"query\":\"..\",\"pos\":[\"..\"],\"neg\":[\"..\"]} is needed");
    *out = (struct example){.query = text_of(query, arena)};
    for (size_t list = 0; list < 2; list++)
        for (size_t i = 0; i < json_count(lists[list]); i++) {
            const struct json *passage = json_at(lists[list], i);
            if (json_kind_of(passage) != JSON_KIND_STRING)
                return error_set(err, ERROR_INVALID, "\"pos\" and \"neg\" must hold strings");
            if ((list == 0 && i > 0) || out->passages_n == PASSAGES_MAX)
                break;
            out->passages[out->passages_n++] = text_of(passage, arena);
        }
    return true;
}

static bool examples_read(const char *path, struct arena *arena, struct examples *out,
                          struct error *err) {
    struct source *source;
    enum source_state state;
    char *line;
    size_t len;
    bool ok = source_open(path, &source, err);
    if (!ok)
        return false;
    while (ok && out->n < EXAMPLES_MAX &&
           (state = source_next(source, &line, &len, err)) != SOURCE_END) {
        struct json *json = state == SOURCE_LINE && len ? json_parse(line, len, err) : NULL;
        if (state == SOURCE_LINE && len == 0)
            continue;
        ok = json && example_read(json, arena, &out->items[out->n], err);
        out->n += ok;
        json_release(json);
        if (!ok)
            error_wrap(err, "%s:%zu: ", path, source_line_number(source));
    }
    source_close(source);
    if (ok && out->n == 0)
        ok = error_set(err, ERROR_INVALID, "%s: holds no example", path);
    return ok;
}

static double dot(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* -log of the part that the answer has among all passages. */
static double loss_of(const struct encoding *query, const struct encoding *passages, size_t n,
                      size_t dim) {
    double best = -INFINITY, sum = 0;
    double similarities[PASSAGES_MAX] = {0};
    for (size_t i = 0; i < n; i++) {
        similarities[i] = dot(query->dense, passages[i].dense, dim) / similarity_temperature;
        best = fmax(best, similarities[i]);
    }
    for (size_t i = 0; i < n; i++)
        sum += exp(similarities[i] - best);
    return log(sum) + best - similarities[0];
}

static bool mean_loss(const char *name, const struct examples *examples, double *out,
                      struct error *err) {
    const struct model_options options = {.name = name, .precision = MODEL_PRECISION_F32};
    struct model *model = NULL;
    struct encoder *queries = NULL, *passages = NULL;
    struct pool *pool = pool_open(0);
    struct arena arena = {0};
    bool ok = model_open(&options, &model, err);
    if (ok) {
        const struct model_info *info = model_info(model);
        const struct encoder_options of_queries = {
            .modes = ENCODE_DENSE, .instruction = info->query_instruction, .unit_length = true};
        const struct encoder_options of_passages = {
            .modes = ENCODE_DENSE, .instruction = info->passage_instruction, .unit_length = true};
        ok = encoder_open(model, pool, &of_queries, &queries, err) &&
             encoder_open(model, pool, &of_passages, &passages, err);
    }
    *out = 0;
    for (size_t i = 0; ok && i < examples->n; i++) {
        const struct example *example = &examples->items[i];
        struct encoding query, found[PASSAGES_MAX];
        ok = encoder_encode(queries, &example->query, 1, &arena, &query, err) &&
             encoder_encode(passages, example->passages, example->passages_n, &arena, found, err);
        if (ok)
            *out += loss_of(&query, found, example->passages_n, model_info(model)->dense_dim) /
                    (double)examples->n;
        arena_reset(&arena);
    }
    encoder_close(queries);
    encoder_close(passages);
    model_close(model);
    pool_close(pool);
    arena_done(&arena);
    return ok;
}

/* Each model's part grows with how well it tells answers from the rest. */
static bool weigh(struct hub_merge_part *parts, size_t n, const char *path, struct error *err) {
    struct examples *examples = calloc(1, sizeof *examples);
    struct arena arena = {0};
    double losses[HUB_MERGE_MAX], sum = 0, least = INFINITY;
    bool ok = examples_read(path, &arena, examples, err);
    for (size_t i = 0; ok && i < n; i++) {
        ok = mean_loss(parts[i].model, examples, &losses[i], err);
        if (ok)
            least = fmin(least, losses[i]);
    }
    for (size_t i = 0; ok && i < n; i++)
        sum += parts[i].weight = exp((least - losses[i]) / mixing_temperature);
    for (size_t i = 0; ok && i < n; i++)
        parts[i].weight /= sum;
    arena_done(&arena);
    free(examples);
    return ok;
}

/* "BAAI/bge-m3=.5"; a path may hold a '=' itself: the last one counts. */
static bool part_parse(char *word, bool weighed, struct hub_merge_part *out, struct error *err) {
    char *equals = strrchr(word, '='), *end;
    out->model = word;
    if (weighed)
        return true;
    if (!equals)
        return error_set(err, ERROR_INVALID, "\"%s\": MODEL=WEIGHT is needed, or --examples", word);
    *equals = '\0';
    out->weight = strtod(equals + 1, &end);
    return (end != equals + 1 && *end == '\0') ||
           error_set(err, ERROR_INVALID, "\"%s\" is no weight for %s", equals + 1, word);
}

static bool dtype_parse(const char *name, enum weights_dtype *out) {
    static const struct {
        const char *name;
        enum weights_dtype dtype;
    } known[] = {{"f32", WEIGHTS_F32}, {"f16", WEIGHTS_F16}, {"bf16", WEIGHTS_BF16}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, name) == 0) {
            *out = known[i].dtype;
            return true;
        }
    return false;
}

static void report(const char *folder, const struct hub_merge_part *parts, size_t n, uint64_t bytes,
                   double seconds, bool json) {
    if (!json) {
        const double mebibyte = 1024.0 * 1024.0;
        for (size_t i = 0; i < n; i++)
            printf("%-8.4g %s\n", parts[i].weight, parts[i].model);
        printf("%s: %.1f MiB in %.1f s\n", folder, (double)bytes / mebibyte, seconds);
        return;
    }
    struct json *row = json_new_object(), *list = json_new_array();
    for (size_t i = 0; i < n; i++) {
        struct json *part = json_new_object();
        json_add_string(part, "model", parts[i].model);
        json_add_number(part, "weight", parts[i].weight);
        json_push(list, part);
    }
    json_add_string(row, "where", folder);
    json_add(row, "made_of", list);
    json_add_number(row, "bytes", (double)bytes);
    json_add_number(row, "seconds", seconds);
    model_print_json(row);
}

static int run(int argc, char **argv) {
    struct hub_merge_part parts[HUB_MERGE_MAX];
    const char *dtype_name = "f16", *examples = NULL;
    enum weights_dtype dtype = WEIGHTS_F16;
    bool json = false;
    const struct option table[] = {
        {"dtype", OPTION_TEXT, &dtype_name, "T", "f32, f16 or bf16 (default: f16)", 0, 0, 0},
        {"examples", OPTION_TEXT, &examples, "FILE",
         "find the weights out: JSONL {\"query\",\"pos\":[..],\"neg\":[..]}", 0, 0, 0},
        {"json", OPTION_FLAG, &json, NULL, "one JSON object", 0, 0, 0},
        {0},
    };
    struct error err;
    size_t words_n;
    uint64_t bytes = 0;
    int status = options_parse(&command_model_merge, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n < 2 || words_n > HUB_MERGE_MAX + 1)
        return options_wrong(&command_model_merge, "a new folder and 1 to %d models are needed",
                             HUB_MERGE_MAX);
    if (!dtype_parse(dtype_name, &dtype))
        return options_wrong(&command_model_merge, "--dtype \"%s\": must be f32, f16 or bf16",
                             dtype_name);
    for (size_t i = 0; i + 1 < words_n; i++)
        if (!part_parse(argv[i + 1], examples != NULL, &parts[i], &err))
            return options_wrong(&command_model_merge, "%s", err.message);
    double began_s = clock_now_s();
    if ((examples && !weigh(parts, words_n - 1, examples, &err)) ||
        !hub_merge_write(parts, words_n - 1, dtype, argv[0], &bytes, &err))
        return command_failed(&err);
    report(argv[0], parts, words_n - 1, bytes, clock_now_s() - began_s, json);
    return EXIT_DONE;
}

const struct command command_model_merge = {"model merge", "OUT M=WEIGHT...",
                                            "a weighted mean of models of one shape", run};
