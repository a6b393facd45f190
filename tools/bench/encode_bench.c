/* tercet bench encode, rerank - how fast the models are here, and how much is left. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/hub_random.h"
#include "tools/bench/benches.h"
#include "tools/bench/rows.h"
#include "tools/bench/shape.h"

enum { LIST_MAX = 16, THREADS_MAX = 1024 };

/* How long a case repeats. */
static const double seconds_default = 3, seconds_quick = 0.2;

struct bench_settings {
    const struct command *command;
    struct model_options model;
    const char *bench, *shape, *threads, *precision, *inputs, *out, *only;
    bool quick, json;

    size_t threads_n[LIST_MAX], threads_count;
    enum model_precision precisions[LIST_MAX];
    size_t precisions_count;
    bool rerank;
};

/* The f32 outputs of each case, once they are there. */
struct references {
    float **list; /* [n] */
    size_t n;
};

static void references_done(struct references *references) {
    for (size_t i = 0; i < references->n; i++)
        free(references->list[i]);
    free(references->list);
}

/* Keeps f32 outputs; of another precision, compares with them. */
static bool compare(struct references *references, const struct model_info *info, size_t i,
                    size_t texts_n, struct measured *measured, struct cosines *out) {
    if (info->is_reranker)
        return false; /* a logit has no direction */
    if (strcmp(info->precision, "f32") == 0 && !references->list[i]) {
        references->list[i] = measured->outputs;
        measured->outputs = NULL;
        return false;
    }
    if (!references->list[i] || strcmp(info->precision, "f32") == 0)
        return false;
    *out = measure_cosines(measured->outputs, references->list[i], texts_n, measured->width);
    return true;
}

static bool write_outputs(const struct bench_settings *settings, const struct bench_case *which,
                          const struct measured *measured, struct error *err) {
    char path[4096];
    if (!settings->out || (which->kind != CASE_CORPUS && which->kind != CASE_SECONDS))
        return true;
    snprintf(path, sizeof path, "%s/%s", settings->out,
             settings->rerank ? "logits.f32" : "vectors.f32");
    return file_write_atomic(path, measured->outputs,
                             which->texts_n * measured->width * sizeof(float), err);
}

static void keep_higher(struct cost_peak *peak, struct cost_peak again) {
    if (again.linear_gops > peak->linear_gops)
        peak->linear_gops = again.linear_gops;
    if (again.attention_gops > peak->attention_gops)
        peak->attention_gops = again.attention_gops;
}

/* All cases with so many threads. The peak is measured before each and the highest counts: it is
 * what the machine can do, whatever else it was doing at the time. */
static bool bench_threads(const struct bench_settings *settings, const struct model *model,
                          size_t threads_n, const struct cases *cases,
                          struct references *references, struct error *err) {
    struct pool *pool = threads_n > 1 ? pool_open(threads_n) : NULL;
    struct row_context context = {
        .bench = settings->bench,
        .model = model_info(model),
        .threads_n = threads_n,
        .peak = measure_peak(model, pool),
    };
    bool ok = true;
    for (size_t i = 0; ok && i < cases->n; i++) {
        const struct bench_case *which = &cases->list[i];
        if (settings->only && !strstr(which->name, settings->only))
            continue;
        struct measured measured;
        struct cosines cosines;
        measure_case(model, pool, which, settings->quick ? seconds_quick : seconds_default,
                     &measured);
        keep_higher(&context.peak, measure_peak(model, pool));
        ok = write_outputs(settings, which, &measured, err);
        bool compared = compare(references, context.model, i, which->texts_n, &measured, &cosines);
        context.cosines = compared ? &cosines : NULL;
        (settings->inputs ? rows_print_peer : rows_print)(&context, which, &measured);
        measured_done(&measured);
    }
    pool_close(pool);
    return ok;
}

static bool bench_model(const struct bench_settings *settings, const struct model *model,
                        struct references *references, struct error *err) {
    struct cases cases = {0};
    bool ok = settings->inputs ? cases_read(model, settings->inputs, &cases, err)
                               : cases_make(model, settings->quick, &cases, err);
    if (ok && !references->list) {
        references->list = mem_zalloc(cases.n, sizeof *references->list);
        references->n = cases.n;
    }
    for (size_t i = 0; ok && i < settings->threads_count; i++)
        ok = bench_threads(settings, model, settings->threads_n[i], &cases, references, err);
    cases_done(&cases);
    return ok;
}

static bool check_kind(const struct bench_settings *settings, const struct model_info *info,
                       struct error *err) {
    if (info->is_reranker == settings->rerank)
        return true;
    return error_set(err, ERROR_UNSUPPORTED, "%s is %s: tercet bench %s measures it", info->name,
                     info->is_reranker ? "a cross-encoder" : "an encoder",
                     info->is_reranker ? "rerank" : "encode");
}

/* One model after the other in memory. A precision that this processor lacks is left out. */
static int bench_all(const struct bench_settings *settings) {
    struct references references = {0};
    struct error err;
    bool ok = true, f32_done = false;
    for (size_t i = 0; ok && i < settings->precisions_count; i++) {
        struct model_options options = settings->model;
        struct model *model = NULL;
        options.precision = settings->precisions[i];
        ok = model_open(&options, &model, &err) && check_kind(settings, model_info(model), &err);
        if (ok && !(f32_done && strcmp(model_info(model)->precision, "f32") == 0))
            ok = bench_model(settings, model, &references, &err);
        f32_done = f32_done || (ok && strcmp(model_info(model)->precision, "f32") == 0);
        model_close(model);
    }
    references_done(&references);
    return ok ? EXIT_DONE : command_failed(&err);
}

static int bench_folder(void *context, const char *folder) {
    struct bench_settings *settings = context;
    settings->model.name = folder;
    return bench_all(settings);
}

/* ---- options ---- */

/* The next of a list "a,b" into out; false at the end. */
static bool next_word(const char **at, char out[16]) {
    size_t len = strcspn(*at, ",");
    if (**at == '\0')
        return false;
    snprintf(out, 16, "%.*s", (int)len, *at);
    *at += len + ((*at)[len] == ',');
    return true;
}

static bool parse_threads(struct bench_settings *settings) {
    char word[16], *end;
    settings->threads_count = 0;
    for (const char *at = settings->threads; next_word(&at, word);) {
        unsigned long n = strtoul(word, &end, 10);
        if (*end || word[0] < '0' || word[0] > '9' || n < 1 || n > THREADS_MAX ||
            settings->threads_count == LIST_MAX)
            return false;
        settings->threads_n[settings->threads_count++] = n;
    }
    return settings->threads_count > 0;
}

static bool parse_precisions(struct bench_settings *settings, struct error *err) {
    char word[16];
    settings->precisions_count = 0;
    for (const char *at = settings->precision; next_word(&at, word);)
        if (settings->precisions_count == LIST_MAX)
            return error_set(err, ERROR_INVALID, "at most %d precisions", LIST_MAX);
        else if (!model_precision_parse(word, &settings->precisions[settings->precisions_count++],
                                        err))
            return false;
    return settings->precisions_count > 0 ||
           error_set(err, ERROR_INVALID, "--precision wants a list such as f32,int8");
}

static void set_defaults(struct bench_settings *settings) {
    size_t cores_n = pool_cores_n();
    settings->threads_n[0] = 1;
    settings->threads_n[1] = cores_n;
    settings->threads_count = cores_n > 1 ? 2 : 1;
    if (!settings->precision)
        settings->precision = "f32,bf16,int8";
    if (settings->rerank && settings->shape && strcmp(settings->shape, "m3") == 0)
        settings->shape = "v2-m3"; /* m3 with a cross-encoder's head */
}

static int check(struct bench_settings *settings, size_t words_n, char **words) {
    const struct command *command = settings->command;
    struct error err;
    if (words_n != 0)
        return options_wrong(command, "\"%s\" is one word too many", words[0]);
    if (settings->model.name && settings->shape)
        return options_wrong(command, "--model and --shape: one of both");
    if (settings->rerank && !settings->model.name && !settings->shape)
        return options_wrong(command, "no cross-encoder is built in: --model M or --shape v2-m3");
    set_defaults(settings);
    if (settings->threads && !parse_threads(settings))
        return options_wrong(command,
                             "--threads \"%s\": must be numbers from 1 to %d, "
                             "such as 1,2",
                             settings->threads, THREADS_MAX);
    if (!parse_precisions(settings, &err))
        return options_wrong(command, "%s", err.message);
    if (settings->out && settings->threads_count * settings->precisions_count != 1)
        return options_wrong(command, "--out wants one --threads and one --precision");
    return -1;
}

static int run(const struct command *command, int argc, char **argv) {
    struct bench_settings settings = {
        .command = command,
        .bench = command == &bench_rerank ? "rerank" : "encode",
        .rerank = command == &bench_rerank,
    };
    const struct option table[] = {
        {"model", OPTION_TEXT, &settings.model.name, "M",
         "folder or name of a model (default: the embedded one)", 0, 0, 'm'},
        {"shape", OPTION_TEXT, &settings.shape, "S", "random weights instead: " HUB_RANDOM_SHAPES,
         0, 0, 0},
        {"threads", OPTION_TEXT, &settings.threads, "N,...",
         "cores to use, one after the other (default: 1 and all)", 0, 0, 0},
        {"precision", OPTION_TEXT, &settings.precision, "P,...",
         "of f32, bf16, int8 and auto (default: f32,bf16,int8)", 0, 0, 0},
        {"case", OPTION_TEXT, &settings.only, "NAME", "only cases with NAME in their name", 0, 0,
         0},
        {"inputs", OPTION_TEXT, &settings.inputs, "FOLDER",
         "cases of FOLDER/inputs.json, rows as its other runners print them", 0, 0, 0},
        {"out", OPTION_TEXT, &settings.out, "FOLDER",
         "leave vectors.f32 or logits.f32 of the corpus there", 0, 0, 0},
        {"quick", OPTION_FLAG, &settings.quick, NULL, "small cases, short runs", 0, 0, 0},
        {"json", OPTION_FLAG, &settings.json, NULL, "JSON lines (always so)", 0, 0, 0},
        {0},
    };
    size_t words_n;
    int status = options_parse(command, table, argc, argv, &words_n);
    if (status < 0)
        status = check(&settings, words_n, argv);
    if (status >= 0)
        return status;
    return settings.shape ? shape_run(settings.shape, bench_folder, &settings)
                          : bench_all(&settings);
}

static int run_encode(int argc, char **argv) {
    return run(&bench_encode, argc, argv);
}

static int run_rerank(int argc, char **argv) {
    return run(&bench_rerank, argc, argv);
}

const struct command bench_encode = {"bench encode", "", "texts to vectors", run_encode};
const struct command bench_rerank = {"bench rerank", "", "pairs to relevance, by a cross-encoder",
                                     run_rerank};
