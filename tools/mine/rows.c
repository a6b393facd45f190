#include "tools/mine/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/source.h"

uint32_t mine_pool_add(struct mine_rows *rows, const char *text, size_t len) {
    struct mine_pool *pool = &rows->pool;
    const uint32_t *known = map_find(&pool->by_text, text, len);
    if (len == 0 || known)
        return known ? *known : UINT32_MAX;
    const char *own = arena_text(&rows->arena, text, len);
    pool->texts = arena_room(&rows->arena, pool->texts, pool->n, sizeof *pool->texts);
    pool->texts[pool->n] = (struct mine_text){own, len};
    map_put(&pool->by_text, own, len, (uint32_t)pool->n, NULL);
    return (uint32_t)pool->n++;
}

/* Adds a list's texts to the pool; their numbers into *out where that is asked for. */
static bool add_list(struct mine_rows *rows, const struct json *json, const char *name,
                     const uint32_t **out, size_t *n_out, struct error *err) {
    const struct json *list = json_get(json, name);
    size_t n = json_count(list), kept = 0, len;
    uint32_t *numbers = ARENA_NEW(&rows->arena, uint32_t, n + 1);
    if (list && json_kind_of(list) != JSON_KIND_ARRAY && json_kind_of(list) != JSON_KIND_NULL)
        return error_set(err, ERROR_INVALID, "\"%s\" must be a list of texts, found %s", name,
                         json_kind_name(json_kind_of(list)));
    for (size_t i = 0; i < n; i++) {
        if (json_kind_of(json_at(list, i)) != JSON_KIND_STRING)
            return error_set(err, ERROR_INVALID, "\"%s\" must hold texts, found %s", name,
                             json_kind_name(json_kind_of(json_at(list, i))));
        const char *text = json_string_of(json_at(list, i), &len);
        uint32_t number = mine_pool_add(rows, text, len);
        if (number != UINT32_MAX)
            numbers[kept++] = number;
    }
    if (out) {
        *out = numbers;
        *n_out = kept;
    }
    return true;
}

static bool add_row(struct mine_rows *rows, struct json *json, struct error *err) {
    const struct json *query = json_get(json, "query");
    struct mine_row row = {.json = json};
    if (json_kind_of(query) != JSON_KIND_STRING)
        return error_set(err, ERROR_INVALID, "\"query\" must be a text");
    row.query.text = json_string_of(query, &row.query.len);
    if (!add_list(rows, json, "pos", &row.positives, &row.positives_n, err) ||
        !add_list(rows, json, "neg", NULL, NULL, err))
        return false;
    if (row.positives_n == 0)
        return error_set(err, ERROR_INVALID, "\"pos\" must hold a text");
    rows->rows = arena_room(&rows->arena, rows->rows, rows->n, sizeof *rows->rows);
    rows->rows[rows->n++] = row;
    return true;
}

typedef bool take_json(struct mine_rows *rows, struct json *json, bool *keep, struct error *err);

static bool each_line(const char *path, struct mine_rows *rows, take_json *take,
                      struct error *err) {
    struct source *source;
    enum source_state state = SOURCE_END;
    char *line;
    size_t len;
    bool ok = source_open(path, &source, err);
    if (!ok)
        return false;
    while (ok && (state = source_next(source, &line, &len, err)) != SOURCE_END) {
        struct json *json = state == SOURCE_LINE && len ? json_parse(line, len, err) : NULL;
        bool keep = false;
        if (state == SOURCE_LINE && len == 0)
            continue;
        ok = json && take(rows, json, &keep, err);
        if (!ok)
            error_wrap(err, "%s:%zu: ", path, source_line_number(source));
        if (!ok || !keep)
            json_release(json);
    }
    source_close(source);
    return ok;
}

static bool take_row(struct mine_rows *rows, struct json *json, bool *keep, struct error *err) {
    return *keep = add_row(rows, json, err);
}

static bool take_candidate(struct mine_rows *rows, struct json *json, bool *keep,
                           struct error *err) {
    const struct json *text = json_get(json, "text");
    size_t len;
    *keep = false;
    if (json_kind_of(text) != JSON_KIND_STRING)
        return error_set(err, ERROR_INVALID, "\"text\" must be a text");
    const char *bytes = json_string_of(text, &len);
    mine_pool_add(rows, bytes, len);
    return true;
}

bool mine_rows_read(const char *path, struct mine_rows *out, struct error *err) {
    *out = (struct mine_rows){0};
    return each_line(path, out, take_row, err) &&
           (out->n > 0 || error_set(err, ERROR_INVALID, "%s: holds no row", path));
}

bool mine_pool_read(const char *path, struct mine_rows *rows, struct error *err) {
    return each_line(path, rows, take_candidate, err);
}

void mine_rows_done(struct mine_rows *rows) {
    for (size_t i = 0; i < rows->n; i++)
        json_release(rows->rows[i].json);
    map_done(&rows->pool.by_text);
    arena_done(&rows->arena);
}

bool mine_pool_write(const struct mine_pool *pool, const char *path, struct error *err) {
    FILE *out = fopen(path, "w");
    struct buf line = {0};
    if (!out)
        return error_set_errno(err, "%s", path);
    for (size_t i = 0; i < pool->n; i++) {
        struct json *json = json_new_object();
        char id[24];
        snprintf(id, sizeof id, "%zu", i);
        json_add_string(json, "id", id);
        json_add(json, "text", json_new_string(pool->texts[i].text, pool->texts[i].len));
        buf_clear(&line);
        json_print(json, &line);
        fprintf(out, "%s\n", line.data);
        json_release(json);
    }
    bool failed = ferror(out) != 0;
    buf_done(&line);
    return (fclose(out) == 0 && !failed) || error_set_errno(err, "%s", path);
}

void mine_row_set(struct mine_row *row, const char *name, struct json *list) {
    json_add(row->json, name, list);
}
