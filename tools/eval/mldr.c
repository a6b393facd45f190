/* MLDR (Chen et al. 2024, BGE-M3): long documents in 13 languages. */
#include <string.h>

#include "tools/eval/benchmark.h"

struct mldr {
    struct judged_builder *builder;
    bool judge; /* by the rows' own positive passages: there is no qrels file */
};

static bool take_row(void *context, char *line, size_t len, struct error *err) {
    struct mldr *mldr = context;
    struct judged_builder *builder = mldr->builder;
    struct json *json = json_parse(line, len, err);
    if (!json)
        return false;
    const char *text = NULL, *id = benchmark_id(json_get(json, "query_id"), builder->arena);
    bool ok = json_read_string(json, "query", &text, err);
    if (ok && (!id || !text))
        ok = error_set(err, ERROR_INVALID, "a query needs \"query_id\" and \"query\"");
    ok = ok && judged_query_add(builder, id, text, err);
    const struct json *positive = json_get(json, "positive_passages");
    for (size_t i = 0; ok && mldr->judge && i < json_count(positive); i++) {
        const char *key = benchmark_id(json_get(json_at(positive, i), "docid"), builder->arena);
        if (key)
            judged_judge(builder, id, key, 1);
        else
            ok = error_set(err, ERROR_INVALID, "a positive passage needs a \"docid\"");
    }
    json_release(json);
    return ok;
}

/* Languages stand in folders of their own, mldr-v1.0-LANG: the one asked for, or this one. */
static bool folder_choose(const char *folder, struct judged_builder *builder, const char *lang,
                          const char **out, struct error *err) {
    enum { CORPORA_MAX = 32 }; /* 13 languages */
    const char *paths[CORPORA_MAX], *mark = arena_format(builder->arena, "-%s/", lang);
    size_t n = benchmark_find(folder, "corpus.jsonl*", builder->arena, paths, CORPORA_MAX), at = 0;
    if (n == 0)
        return error_set(err, ERROR_NOT_FOUND,
                         "%s: there is no corpus.jsonl[.gz] in it or below it", folder);
    while (n > 1 && at < n && (!*lang || !strstr(paths[at], mark)))
        at++;
    if (at >= n)
        return error_set(err, ERROR_NOT_FOUND,
                         "%s holds %zu corpora: choose one with --lang, as in mldr-v1.0-de", folder,
                         n);
    *out = arena_text(builder->arena, paths[at], (size_t)(strrchr(paths[at], '/') - paths[at]));
    return true;
}

bool mldr_read(const char *folder, struct judged_builder *builder, struct benchmark *out,
               struct error *err) {
    struct mldr mldr = {.builder = builder};
    const char *own = NULL, *queries = NULL, *qrels = NULL;
    if (!out->split)
        out->split = "test";
    if (!folder_choose(folder, builder, out->lang, &own, err))
        return false;
    out->corpus = own;
    const char *rows = arena_format(builder->arena, "%s.jsonl*", out->split);
    const char *judged = arena_format(builder->arena, "qrels.*%s%s-%s.tsv*", *out->lang ? "-" : "",
                                      out->lang, out->split);
    mldr.judge = benchmark_find(own, judged, builder->arena, &qrels, 1) == 0;
    return benchmark_file(own, rows, builder->arena, &queries, err) &&
           judged_lines(queries, take_row, &mldr, err) &&
           (mldr.judge || judged_qrels_read(builder, qrels, false, err));
}
