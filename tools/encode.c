/* tercet encode - the three representations of each line of input, a JSON line each. */
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/encoder.h"
#include "engine/model.h"
#include "query/encoding_print.h"
#include "tools/commands.h"
#include "tools/lines.h"

/* Lines encoded together: enough to fill the cores, few enough that output flows. */
enum { BATCH_LINES = 64 };

struct encode_settings {
    struct model_options model;
    const char *precision, *instruction;
    bool query, passage, dense, sparse, sparse_tokens, multi, json;
    uint32_t length_max, threads;
};

static unsigned modes_of(const struct encode_settings *settings) {
    unsigned modes = (settings->dense ? ENCODE_DENSE : 0u) |
                     (settings->sparse || settings->sparse_tokens ? ENCODE_LEXICAL : 0u) |
                     (settings->multi ? ENCODE_MULTI : 0u);
    return modes ? modes : ENCODE_ALL;
}

/* What is printed of an encoding. */
struct output {
    const struct model_info *info;
    const struct tokenizer *tokenizer; /* not NULL: terms by their tokens' texts */
    unsigned modes;
};

struct batch {
    struct input_line lines[BATCH_LINES];
    struct encoder_text texts[BATCH_LINES];
    size_t n, line_number;
};

static bool line_text(const struct input_line *line, struct encoder_text *out, struct error *err) {
    *out = (struct encoder_text){.text = line->text, .len = line->len};
    if (!line->json)
        return true;
    const struct json *text = json_get(line->json, "text");
    if (json_kind_of(text) != JSON_KIND_STRING)
        return error_set(err, ERROR_INVALID, "standard input:%zu: \"text\" must be a string",
                         line->number);
    out->text = json_string_of(text, &out->len);
    return true;
}

/* Fills the batch; bad lines are reported and left out. False once the input has ended. */
static bool batch_read(struct batch *batch, int *status) {
    struct error err;
    batch->n = 0;
    while (batch->n < BATCH_LINES) {
        struct input_line *line = &batch->lines[batch->n];
        line->number = batch->line_number++;
        if (!input_next(line, &err))
            return false;
        if (err.code == ERROR_NONE && line_text(line, &batch->texts[batch->n], &err))
            batch->n++;
        else
            *status = command_failed(&err);
    }
    return true;
}

static void batch_print(const struct batch *batch, const struct encoding *encodings,
                        const struct output *output, struct buf *out) {
    for (size_t i = 0; i < batch->n; i++) {
        const struct json *id = json_get(batch->lines[i].json, "id");
        buf_clear(out);
        buf_text(out, "{");
        if (id) {
            buf_text(out, "\"id\":");
            json_print(id, out);
            buf_text(out, ",");
        }
        encoding_print(&encodings[i], output->info, output->modes, output->tokenizer, out);
        buf_text(out, "}");
        puts(out->data);
    }
}

static int encode_stream(struct encoder *encoder, const struct output *output) {
    struct batch *batch = mem_zalloc(1, sizeof *batch);
    struct arena arena = {0};
    struct buf out = {0};
    struct encoding encodings[BATCH_LINES];
    struct error err;
    int status = EXIT_DONE;
    for (bool more = true; more;) {
        more = batch_read(batch, &status);
        if (!encoder_encode(encoder, batch->texts, batch->n, &arena, encodings, &err)) {
            status = command_failed(&err);
            break;
        }
        batch_print(batch, encodings, output, &out);
        arena_reset(&arena);
    }
    for (size_t i = 0; i < BATCH_LINES; i++)
        input_done(&batch->lines[i]);
    buf_done(&out);
    arena_done(&arena);
    free(batch);
    return status;
}

static int encode(const struct encode_settings *settings) {
    struct error err;
    struct model *model = NULL;
    struct encoder *encoder = NULL;
    struct pool *pool = NULL;
    int status = EXIT_FAILED;
    if (!model_open(&settings->model, &model, &err))
        return command_failed(&err);
    const struct model_info *info = model_info(model);
    struct encoder_options options = {
        .modes = modes_of(settings),
        .instruction = settings->instruction ? settings->instruction
                       : settings->query     ? info->query_instruction
                       : settings->passage   ? info->passage_instruction
                                             : NULL,
        .length_max = settings->length_max,
    };
    struct output output = {.info = info, .modes = options.modes};
    if (settings->sparse_tokens)
        output.tokenizer = model_tokenizer(model);
    pool = pool_open(settings->threads);
    if (encoder_open(model, pool, &options, &encoder, &err))
        status = encode_stream(encoder, &output);
    else
        command_failed(&err);
    encoder_close(encoder);
    pool_close(pool);
    model_close(model);
    return status;
}

static int run(int argc, char **argv) {
    struct encode_settings settings = {.model.precision = MODEL_PRECISION_F32};
    const struct option table[] = {
        {"model", OPTION_TEXT, &settings.model.name, "M", "folder or name of a model", 0, 0, 'm'},
        {"precision", OPTION_TEXT, &settings.precision, "P",
         "f32 (default: the model's exact numbers), int8, bf16 or auto", 0, 0, 0},
        {"query", OPTION_FLAG, &settings.query, NULL,
         "texts are queries: the model's instruction is put in front", 0, 0, 0},
        {"passage", OPTION_FLAG, &settings.passage, NULL,
         "texts are passages: likewise, where the model's family has one for them", 0, 0, 0},
        {"task", OPTION_TEXT, &settings.model.task, "T",
         "of LLM-Embedder: qa, convsearch, chat, lrlm, icl or tool", 0, 0, 0},
        {"instruction", OPTION_TEXT, &settings.instruction, "TEXT", "put TEXT in front instead", 0,
         0, 0},
        {"dense", OPTION_FLAG, &settings.dense, NULL, "the dense vector (default: all three)", 0, 0,
         0},
        {"sparse", OPTION_FLAG, &settings.sparse, NULL, "the lexical weights", 0, 0, 0},
        {"sparse-tokens", OPTION_FLAG, &settings.sparse_tokens, NULL,
         "the lexical weights by token text instead of token id", 0, 0, 0},
        {"multi", OPTION_FLAG, &settings.multi, NULL, "the token vectors", 0, 0, 0},
        {"max-length", OPTION_NUMBER, &settings.length_max, "N", "at most N tokens", 3, 1u << 20,
         0},
        {"threads", OPTION_NUMBER, &settings.threads, "N", "cores to use (default: all)", 1, 1024,
         0},
        {"json", OPTION_FLAG, &settings.json, NULL, "JSON lines (always so)", 0, 0, 0},
        {0},
    };
    size_t words_n;
    int status = options_parse(&command_encode, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n)
        return options_wrong(&command_encode, "unexpected \"%s\": texts come on standard input",
                             argv[0]);
    struct error err;
    if (settings.precision &&
        !model_precision_parse(settings.precision, &settings.model.precision, &err))
        return options_wrong(&command_encode, "%s", err.message);
    return encode(&settings);
}

const struct command command_encode = {
    "encode", "< texts", "dense, sparse and multi-vectors of each line of input", run};
