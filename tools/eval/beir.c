#include "tools/eval/beir.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/map.h"

/* MS MARCO's queries, the largest set in use, are 45 MB. */
enum { BENCHMARK_FILE_BYTES_MAX = 1 << 30 };

/* Takes the next line off the text; the line end is replaced by a NUL. NULL at the end. */
static char *next_line(char **at, char *end) {
    char *line = *at;
    if (line >= end)
        return NULL;
    char *stop = memchr(line, '\n', (size_t)(end - line));
    *at = stop ? stop + 1 : end;
    if (!stop)
        stop = end;
    *stop = '\0'; /* a buf has room behind its last byte */
    if (stop > line && stop[-1] == '\r')
        stop[-1] = '\0';
    return line;
}

/* The split's name when none was asked for: "test" if it is there, else the only one. */
static const char *split_choose(const char *folder, struct arena *arena, struct error *err) {
    const char *qrels = arena_format(arena, "%s/qrels", folder), *found = NULL;
    size_t found_n = 0;
    if (file_exists(arena_format(arena, "%s/test.tsv", qrels)))
        return "test";
    DIR *listing = opendir(qrels);
    if (!listing) {
        error_set_errno(err, "%s", qrels);
        return NULL;
    }
    for (struct dirent *entry; (entry = readdir(listing));) {
        size_t len = strlen(entry->d_name);
        if (len > 4 && strcmp(entry->d_name + len - 4, ".tsv") == 0) {
            found = arena_text(arena, entry->d_name, len - 4);
            found_n++;
        }
    }
    closedir(listing);
    if (found_n == 1)
        return found;
    error_set(err, ERROR_NOT_FOUND, "%s holds %zu splits and none named test: choose with --split",
              qrels, found_n);
    return NULL;
}

struct qrels_row {
    char *query_id, *doc_key;
    int relevance;
};

/* "query-id<TAB>corpus-id<TAB>score"; the header is passed over. */
static bool qrels_row_parse(char *line, const char *path, size_t number, struct qrels_row *row,
                            struct error *err) {
    char *first = strchr(line, '\t'), *second = first ? strchr(first + 1, '\t') : NULL, *end;
    if (!second)
        return error_set(err, ERROR_INVALID, "%s:%zu: three columns divided by tabs are needed",
                         path, number);
    *first = *second = '\0';
    row->query_id = line;
    row->doc_key = first + 1;
    row->relevance = (int)strtol(second + 1, &end, 10);
    if (end == second + 1)
        return error_set(err, ERROR_INVALID, "%s:%zu: the score \"%s\" is no whole number", path,
                         number, second + 1);
    return true;
}

/* Adds every judgment to its query; ids of queries that are not asked about are passed over. */
static bool qrels_read(const char *path, struct map *by_id, struct judged_query *queries,
                       struct arena *arena, struct error *err) {
    struct buf text = {0};
    bool ok = file_read(path, BENCHMARK_FILE_BYTES_MAX, &text, err);
    char *at = text.data, *end = text.data + text.len;
    size_t number = 0;
    for (char *line; ok && (line = next_line(&at, end));) {
        struct qrels_row row = {0};
        if (++number == 1 && strncmp(line, "query-id", 8) == 0)
            continue;
        if (!*line)
            continue;
        ok = qrels_row_parse(line, path, number, &row, err);
        uint32_t *i = ok ? map_find(by_id, row.query_id, strlen(row.query_id)) : NULL;
        if (!i)
            continue;
        struct judged_query *query = &queries[*i];
        size_t n = query->judgments_n;
        if ((n & (n - 1)) == 0) { /* full at each power of two: double */
            struct judgment *grown = ARENA_NEW(arena, struct judgment, n ? 2 * n : 1);
            if (n)
                memcpy(grown, query->judgments, n * sizeof *grown);
            query->judgments = grown;
        }
        query->judgments[query->judgments_n++] =
            (struct judgment){arena_text(arena, row.doc_key, strlen(row.doc_key)), row.relevance};
    }
    buf_done(&text);
    return ok;
}

static bool query_parse(const char *line, const char *path, size_t number, struct arena *arena,
                        struct judged_query *out, struct error *err) {
    struct json *json = json_parse(line, strlen(line), err);
    if (!json)
        return error_wrap(err, "%s:%zu: ", path, number);
    const char *id = NULL, *text = NULL;
    bool ok = json_read_string(json, "_id", &id, err) && json_read_string(json, "text", &text, err);
    if (ok && (!id || !text))
        ok = error_set(err, ERROR_INVALID, "a query needs \"_id\" and \"text\"");
    if (ok)
        *out = (struct judged_query){.id = arena_text(arena, id, strlen(id)),
                                     .text = arena_text(arena, text, strlen(text)),
                                     .text_len = strlen(text)};
    else
        error_wrap(err, "%s:%zu: ", path, number);
    json_release(json);
    return ok;
}

static bool queries_read(const char *path, struct arena *arena, struct map *by_id,
                         struct judged_queries *out, struct error *err) {
    struct buf text = {0};
    bool ok = file_read(path, BENCHMARK_FILE_BYTES_MAX, &text, err);
    char *at = text.data, *end = text.data + text.len;
    size_t lines_n = 1, number = 0;
    for (size_t i = 0; ok && i < text.len; i++)
        lines_n += text.data[i] == '\n';
    out->queries = ARENA_ZERO(arena, struct judged_query, lines_n);
    for (char *line; ok && (line = next_line(&at, end));) {
        struct judged_query *query = &out->queries[out->n];
        number++;
        if (!*line)
            continue;
        ok = query_parse(line, path, number, arena, query, err);
        if (ok)
            map_put(by_id, query->id, strlen(query->id), (uint32_t)out->n++, NULL);
    }
    buf_done(&text);
    return ok;
}

bool beir_read(const char *folder, const char *split, struct arena *arena,
               struct judged_queries *out, const char **split_out, struct error *err) {
    struct judged_queries all = {0};
    struct map by_id = {0};
    if (!split && !(split = split_choose(folder, arena, err)))
        return false;
    bool ok =
        queries_read(arena_format(arena, "%s/queries.jsonl", folder), arena, &by_id, &all, err) &&
        qrels_read(arena_format(arena, "%s/qrels/%s.tsv", folder, split), &by_id, all.queries,
                   arena, err);
    map_done(&by_id);
    if (!ok)
        return false;
    size_t kept = 0;
    for (size_t i = 0; i < all.n; i++)
        if (all.queries[i].judgments_n)
            all.queries[kept++] = all.queries[i];
    if (kept == 0)
        return error_set(err, ERROR_INVALID, "%s: no query of split %s has a judgment", folder,
                         split);
    *out = (struct judged_queries){all.queries, kept};
    *split_out = split;
    return true;
}
