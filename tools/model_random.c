/* tercet model random - a model folder with random weights, for benchmarks. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/hub_random.h"
#include "tools/model_commands.h"

static bool parse_dtype(const char *name, enum hub_random_dtype *out) {
    static const char *const names[] = {
        [HUB_RANDOM_F32] = "f32", [HUB_RANDOM_F16] = "f16", [HUB_RANDOM_BF16] = "bf16"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0) {
            *out = (enum hub_random_dtype)i;
            return true;
        }
    return false;
}

static void report(const struct hub_random_options *options, const char *folder,
                   const struct hub_random_result *result, double seconds, bool json) {
    const double mebibyte = 1024.0 * 1024.0;
    if (!json) {
        printf("%s: %s of %.1f million parameters, %.1f MiB in %.1f s\n", folder, options->shape,
               (double)result->parameters / 1e6, (double)result->bytes / mebibyte, seconds);
        return;
    }
    struct json *row = json_new_object();
    json_add_string(row, "where", folder);
    json_add_string(row, "shape", options->shape);
    json_add_number(row, "seed", (double)options->seed);
    json_add_number(row, "parameters", (double)result->parameters);
    json_add_number(row, "bytes", (double)result->bytes);
    json_add_number(row, "seconds", seconds);
    model_print_json(row);
}

static int run(int argc, char **argv) {
    struct hub_random_options options = {0};
    const char *dtype = "f16";
    uint32_t seed = 0;
    bool json = false;
    const struct option table[] = {
        {"dtype", OPTION_TEXT, &dtype, "T", "f32, f16 or bf16 (default: f16)", 0, 0, 0},
        {"layers", OPTION_NUMBER, &options.layers_n, "N", "instead of the shape's own", 1, 1000, 0},
        {"vocabulary", OPTION_NUMBER, &options.vocabulary_n, "N", "instead of the shape's own", 200,
         4000000, 0},
        {"seed", OPTION_NUMBER, &seed, "N", "other numbers (default: 0)", 0, UINT32_MAX, 0},
        {"tokenizer", OPTION_TEXT, &options.tokenizer, "PATH",
         "a tokenizer.json, or a folder with one (default: bge-small's, or made-up pieces)", 0, 0,
         0},
        {"json", OPTION_FLAG, &json, NULL, "one JSON object", 0, 0, 0},
        {0},
    };
    struct hub_random_result result;
    struct error err;
    size_t words_n;
    int status = options_parse(&command_model_random, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n != 2)
        return options_wrong(&command_model_random,
                             "a shape (" HUB_RANDOM_SHAPES ") and a new folder are needed");
    if (!parse_dtype(dtype, &options.dtype))
        return options_wrong(&command_model_random, "--dtype \"%s\": must be f32, f16 or bf16",
                             dtype);
    options.shape = argv[0];
    options.seed = seed;
    double began_s = clock_now_s();
    if (!hub_random_write(&options, argv[1], &result, &err))
        return command_failed(&err);
    report(&options, argv[1], &result, clock_now_s() - began_s, json);
    return EXIT_DONE;
}

const struct command command_model_random = {"model random", "SHAPE OUT",
                                             "a folder with random weights, for benchmarks", run};
