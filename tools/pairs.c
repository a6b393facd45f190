#include "tools/pairs.h"

#include <stdio.h>

#include "tools/options.h"

static bool read_field(const struct input_line *line, const char *name, const char **text_out,
                       size_t *len_out, struct error *err) {
    const struct json *value = json_get(line->json, name);
    if (json_kind_of(value) != JSON_KIND_STRING)
        return error_set(err, ERROR_INVALID, "standard input:%zu: \"%s\" must be a string",
                         line->number, name);
    *text_out = json_string_of(value, len_out);
    return true;
}

bool pairs_read(struct pairs *pairs, int *status) {
    struct error err;
    pairs->n = 0;
    while (pairs->n < PAIRS_MAX) {
        size_t i = pairs->n;
        struct input_line *line = &pairs->lines[i];
        line->number = pairs->line_number++;
        if (!input_next(line, &err))
            return false;
        if (err.code == ERROR_NONE &&
            read_field(line, "query", &pairs->queries[i], &pairs->query_lens[i], &err) &&
            read_field(line, "passage", &pairs->passages[i], &pairs->passage_lens[i], &err))
            pairs->n++;
        else
            *status = command_failed(&err);
    }
    return true;
}

void pairs_done(struct pairs *pairs) {
    for (size_t i = 0; i < PAIRS_MAX; i++)
        input_done(&pairs->lines[i]);
}

void pairs_print(const struct pairs *pairs, size_t i, struct json *row) {
    const struct json *id = json_get(pairs->lines[i].json, "id");
    struct buf out = {0};
    if (id) {
        struct json *with_id = json_new_object();
        json_add(with_id, "id", json_copy_of(id));
        for (void *at = json_first(row); at; at = json_next(row, at))
            json_add(with_id, json_member_key(at), json_copy_of(json_member_value(at)));
        json_release(row);
        row = with_id;
    }
    json_print(row, &out);
    puts(out.data);
    buf_done(&out);
    json_release(row);
}
