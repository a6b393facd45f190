/* JSON lines: an object a line (row.h says which members). */
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "ingest/charset.h"
#include "ingest/format.h"
#include "ingest/reader.h"

struct jsonl {
    struct buf utf8;    /* a line that was in another encoding */
    struct buf bad_key; /* of the row that was bad */
};

static bool open_jsonl(struct format_input *input, struct error *err) {
    (void)err;
    input->state = mem_zalloc(1, sizeof(struct jsonl));
    return true;
}

static void close_jsonl(struct format_input *input) {
    struct jsonl *jsonl = input->state;
    buf_done(&jsonl->utf8);
    buf_done(&jsonl->bad_key);
    free(jsonl);
}

/* The tree goes away, its id has to stay. */
static const char *keep_key(struct jsonl *jsonl, const struct json *json,
                            const struct row_names *names) {
    enum { SHOWN_BYTES_MAX = 500 };
    size_t len;
    const char *key = row_json_id(json, names, &len);
    buf_clear(&jsonl->bad_key);
    buf_append(&jsonl->bad_key, key, len < SHOWN_BYTES_MAX ? len : SHOWN_BYTES_MAX);
    return jsonl->bad_key.data;
}

static bool row_of_line(struct format_input *input, char *line, size_t len, struct arena *arena,
                        struct row *out, struct error *err) {
    struct jsonl *jsonl = input->state;
    const struct row_names *names = &input->options->names;
    size_t number = out->line;
    if (!charset_to_utf8(input->options->encoding, &line, &len, &jsonl->utf8, err) ||
        !format_check_text(input, line, len, "the line", err))
        return false;
    struct json *json = json_parse(line, len, err);
    if (!json)
        return false;
    if (row_ids_are_lines(names))
        format_key_by_line(input, number, arena, out);
    const char *file = out->file;
    bool ok = row_from_json_named(json, names, arena, out, err);
    if (!ok)
        out->key = keep_key(jsonl, json, names);
    out->file = file;
    out->line = number;
    json_release(json);
    return ok;
}

static enum reader_state next_jsonl(struct format_input *input, struct arena *arena,
                                    struct row *out, struct error *err) {
    char *line;
    size_t len;
    do {
        enum source_state state = source_next(input->source, &line, &len, err);
        out->line = source_line_number(input->source) + (state == SOURCE_FAILED);
        if (state == SOURCE_END)
            return READER_END;
        if (state != SOURCE_LINE) /* the source ends behind a failure by itself */
            return READER_BAD;
    } while (line[strspn(line, " \t")] == '\0' && strlen(line) == len);
    if (row_of_line(input, line, len, arena, out, err))
        return READER_ROW;
    error_wrap(err, "%s:%zu: ", input->path, out->line);
    return READER_BAD;
}

static void tell_jsonl(const struct format_input *input, struct format_place *out) {
    *out = (struct format_place){source_offset(input->source), source_line_number(input->source)};
}

static bool seek_jsonl(struct format_input *input, const struct format_place *place,
                       struct error *err) {
    return source_seek(input->source, place->offset, (size_t)place->line, err);
}

const struct format format_jsonl = {
    .name = "jsonl",
    .endings = {".jsonl", ".ndjson", ".json-lines"},
    .open = open_jsonl,
    .next = next_jsonl,
    .tell = tell_jsonl,
    .seek = seek_jsonl,
    .close = close_jsonl,
};
