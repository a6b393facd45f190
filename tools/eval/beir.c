/* BEIR's and MTEB's folders (Thakur et al. 2021). */
#include <string.h>

#include "engine/base/file.h"
#include "tools/eval/benchmark.h"

static bool take_query(void *context, char *line, size_t len, struct error *err) {
    struct judged_builder *builder = context;
    struct json *json = json_parse(line, len, err);
    if (!json)
        return false;
    const char *text = NULL, *id = benchmark_id(json_get(json, "_id"), builder->arena);
    bool ok = json_read_string(json, "text", &text, err);
    if (ok && (!id || !text))
        ok = error_set(err, ERROR_INVALID, "a query needs \"_id\" and \"text\"");
    ok = ok && judged_query_add(builder, id, text, err);
    json_release(json);
    return ok;
}

/* "test" if it is there, else the only one. */
static bool split_choose(const char *folder, struct arena *arena, const char **split,
                         struct error *err) {
    enum { SPLITS_MAX = 16 }; /* train, dev, validation, test, and what else somebody made */
    const char *paths[SPLITS_MAX], *qrels = arena_format(arena, "%s/qrels", folder);
    if (file_exists(arena_format(arena, "%s/test.tsv", qrels))) {
        *split = "test";
        return true;
    }
    size_t n = benchmark_find(qrels, "*.tsv", arena, paths, SPLITS_MAX);
    if (n != 1)
        return error_set(err, ERROR_NOT_FOUND,
                         "%s holds %zu splits and none named test: choose with --split", qrels, n);
    const char *name = strrchr(paths[0], '/') + 1;
    *split = arena_text(arena, name, strlen(name) - strlen(".tsv"));
    return true;
}

bool beir_read(const char *folder, struct judged_builder *builder, struct benchmark *out,
               struct error *err) {
    const char *queries;
    return (out->split || split_choose(folder, builder->arena, &out->split, err)) &&
           benchmark_file(folder, "queries.jsonl*", builder->arena, &queries, err) &&
           judged_lines(queries, take_query, builder, err) &&
           judged_qrels_read(builder,
                             arena_format(builder->arena, "%s/qrels/%s.tsv", folder, out->split),
                             false, err);
}
