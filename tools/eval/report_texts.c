#include "tools/eval/report_texts.h"

#include <string.h>

#include "index/index.h"
#include "tools/eval/benchmark.h"

void report_texts_done(struct report_texts *texts) {
    map_done(&texts->places);
}

uint32_t report_texts_place(struct report_texts *texts, const char *key) {
    size_t len = strlen(key);
    const uint32_t *known = map_find(&texts->places, key, len);
    if (known)
        return *known;
    uint32_t place = (uint32_t)texts->n;
    texts->items = arena_room(texts->arena, texts->items, texts->n, sizeof *texts->items);
    texts->items[texts->n++] = (struct report_text){.key = arena_text(texts->arena, key, len)};
    map_put(&texts->places, texts->items[place].key, len, place, NULL);
    return place;
}

const char *report_text_cut(const char *text, size_t len, size_t bytes_max, struct arena *arena) {
    if (len <= bytes_max)
        return arena_text(arena, text, len);
    size_t end = bytes_max;
    while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80) /* within a character */
        end--;
    return arena_format(arena, "%.*s…", (int)end, text);
}

static void text_set(struct report_texts *texts, struct report_text *item, const char *title,
                     size_t title_len, const char *text, size_t text_len) {
    item->title = report_text_cut(title, title_len, REPORT_TITLE_BYTES_MAX, texts->arena);
    item->text = report_text_cut(text, text_len, REPORT_TEXT_BYTES_MAX, texts->arena);
}

/* ---- from an index ---- */

static bool text_from_index(struct report_texts *texts, struct report_text *item,
                            struct snapshot *snapshot, struct arena *scratch, struct error *err) {
    struct document document;
    uint32_t docid;
    bool found = document_find(snapshot, item->key, strlen(item->key), &docid, err);
    if (!found)
        return err->code == ERROR_NOT_FOUND; /* judged, and not in this corpus */
    if (!document_get(snapshot, docid, scratch, &document, err))
        return false;
    text_set(texts, item, document.title, document.title_len, document.text, document.text_len);
    return true;
}

bool report_texts_from_index(struct report_texts *texts, struct index *index, struct error *err) {
    struct snapshot *snapshot;
    struct arena scratch = {0};
    if (!snapshot_open(index, &snapshot, err))
        return false;
    bool ok = true;
    for (size_t i = 0; i < texts->n && ok; i++) {
        ok = text_from_index(texts, &texts->items[i], snapshot, &scratch, err);
        arena_reset(&scratch);
    }
    snapshot_close(snapshot);
    arena_done(&scratch);
    return ok;
}

/* ---- from a file ---- */

struct reading {
    struct report_texts *texts;
    struct arena scratch; /* of one line */
};

/* The first of the names that the object has. */
static const struct json *member_of(const struct json *object, const char *const names[4]) {
    const struct json *value = NULL;
    for (int i = 0; i < 4 && names[i] && !value; i++)
        value = json_get(object, names[i]);
    return value;
}

static const char *string_or_empty(const struct json *value, size_t *len_out) {
    *len_out = 0;
    return json_kind_of(value) == JSON_KIND_STRING ? json_string_of(value, len_out) : "";
}

static bool take_object(struct reading *reading, const char *line, size_t len, struct error *err) {
    static const char *const ids[4] = {"_id", "id", "docid", "query_id"};
    static const char *const bodies[4] = {"text", "query", "question"};
    struct report_texts *texts = reading->texts;
    struct json *json = json_parse(line, len, err);
    if (!json)
        return false;
    const char *id = benchmark_id(member_of(json, ids), &reading->scratch);
    const uint32_t *place = id ? map_find(&texts->places, id, strlen(id)) : NULL;
    if (place) {
        size_t title_len, text_len;
        const char *title = string_or_empty(json_get(json, "title"), &title_len);
        const char *text = string_or_empty(member_of(json, bodies), &text_len);
        text_set(texts, &texts->items[*place], title, title_len, text, text_len);
    }
    json_release(json);
    return id || error_set(err, ERROR_INVALID, "a row needs \"_id\" or \"id\"");
}

static bool take_line(void *context, char *line, size_t len, struct error *err) {
    struct reading *reading = context;
    arena_reset(&reading->scratch);
    if (line[0] == '{')
        return take_object(reading, line, len, err);
    const char *tab = memchr(line, '\t', len);
    if (!tab)
        return error_set(err, ERROR_INVALID, "a JSON object, or id, tab and text, is needed");
    struct report_texts *texts = reading->texts;
    const uint32_t *place = map_find(&texts->places, line, (size_t)(tab - line));
    if (place)
        text_set(texts, &texts->items[*place], "", 0, tab + 1, (size_t)(line + len - tab - 1));
    return true;
}

bool report_texts_from_file(struct report_texts *texts, const char *path, struct error *err) {
    struct reading reading = {.texts = texts};
    bool ok = judged_lines(path, take_line, &reading, err);
    arena_done(&reading.scratch);
    return ok;
}

/* ---- what the page gets ---- */

struct json *report_texts_json(const struct report_texts *texts) {
    struct json *list = json_new_array();
    for (size_t i = 0; i < texts->n; i++) {
        const struct report_text *item = &texts->items[i];
        struct json *one = json_new_object();
        json_add_string(one, "key", item->key);
        if (item->title && *item->title)
            json_add_string(one, "title", item->title);
        if (item->text)
            json_add_string(one, "text", item->text);
        json_push(list, one);
    }
    return list;
}
