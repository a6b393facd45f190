/* tercet tokenize - token ids with their byte ranges, a JSON line for each line of input. */
#include <stdio.h>

#include "engine/base/arena.h"
#include "engine/hub.h"
#include "engine/model_tokenizer.h"
#include "engine/tokenizer/tokenizer.h"
#include "tools/commands.h"
#include "tools/lines.h"

struct tokenize_settings {
    const char *model;
    bool pair, longest_first, json;
    enum tokenizer_cut cut;
    uint32_t length_max;
};

static struct json *tokens_json(const struct tokens *tokens) {
    struct json *row = json_new_object(), *ids = json_new_array(), *offsets = json_new_array();
    struct json *type_ids = json_new_array();
    for (size_t i = 0; i < tokens->n; i++) {
        struct json *range = json_new_array();
        json_push(range, json_new_number(tokens->ranges[i].begin));
        json_push(range, json_new_number(tokens->ranges[i].end));
        json_push(ids, json_new_number(tokens->ids[i]));
        json_push(offsets, range);
        json_push(type_ids, json_new_number(tokens->type_ids[i]));
    }
    json_add(row, "ids", ids);
    json_add(row, "offsets", offsets);
    json_add(row, "type_ids", type_ids);
    return row;
}

static bool field_text(const struct input_line *line, const char *name, const char **text,
                       size_t *len, struct error *err) {
    const struct json *value = json_get(line->json, name);
    if (json_kind_of(value) != JSON_KIND_STRING)
        return error_set(err, ERROR_INVALID, "standard input:%zu: \"%s\" must be a string",
                         line->number, name);
    *text = json_string_of(value, len);
    return true;
}

static bool tokenize_line(const struct tokenizer *tokenizer,
                          const struct tokenize_settings *settings, const struct input_line *line,
                          struct arena *arena, struct tokens *tokens, struct error *err) {
    const char *text = line->text, *passage = "";
    size_t len = line->len, passage_len = 0;
    if (settings->pair)
        return field_text(line, "query", &text, &len, err) &&
               field_text(line, "passage", &passage, &passage_len, err) &&
               tokenizer_encode_pair(tokenizer, text, len, passage, passage_len,
                                     settings->length_max, settings->cut, arena, tokens, err);
    if (line->json && !field_text(line, "text", &text, &len, err))
        return false;
    return tokenizer_encode(tokenizer, text, len, settings->length_max, arena, tokens, err);
}

static int tokenize_stream(const struct tokenizer *tokenizer,
                           const struct tokenize_settings *settings) {
    struct arena arena = {0};
    struct buf out = {0};
    struct input_line line = {0};
    struct error err;
    struct tokens tokens;
    int status = EXIT_DONE;
    while (input_next(&line, &err)) {
        if (err.code != ERROR_NONE ||
            !tokenize_line(tokenizer, settings, &line, &arena, &tokens, &err)) {
            status = command_failed(&err);
            continue;
        }
        struct json *row = tokens_json(&tokens);
        json_print(row, &out);
        json_release(row);
        puts(out.data);
        buf_clear(&out);
        arena_reset(&arena);
    }
    input_done(&line);
    buf_done(&out);
    arena_done(&arena);
    return status;
}

static int run(int argc, char **argv) {
    struct tokenize_settings settings = {0};
    const struct option table[] = {
        {"model", OPTION_TEXT, &settings.model, "M", "folder or name of a model", 0, 0, 'm'},
        {"pair", OPTION_FLAG, &settings.pair, NULL,
         "JSONL {\"query\",\"passage\"} as a cross-encoder reads it", 0, 0, 0},
        {"max-length", OPTION_NUMBER, &settings.length_max, "N", "at most N tokens (default: all)",
         2, 1u << 30, 0},
        {"longest-first", OPTION_FLAG, &settings.longest_first, NULL,
         "cut pairs as transformers does it, not as FlagReranker", 0, 0, 0},
        {"json", OPTION_FLAG, &settings.json, NULL, "JSON lines (always so)", 0, 0, 0},
        {0},
    };
    size_t words_n;
    int status = options_parse(&command_tokenize, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n)
        return options_wrong(&command_tokenize, "unexpected \"%s\": texts come on standard input",
                             argv[0]);
    if (settings.longest_first)
        settings.cut = TOKENIZER_CUT_LONGEST_FIRST;
    struct error err;
    struct model_files *files = NULL;
    struct tokenizer *tokenizer = NULL;
    if (model_files_open(settings.model, &files, &err) &&
        model_tokenizer_open(files, &tokenizer, &err))
        status = tokenize_stream(tokenizer, &settings);
    else
        status = command_failed(&err);
    tokenizer_close(tokenizer);
    model_files_close(files);
    return status;
}

const struct command command_tokenize = {"tokenize", "< texts",
                                         "token ids and byte ranges of each line of input", run};
