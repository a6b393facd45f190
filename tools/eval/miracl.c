/* MIRACL (Zhang et al., TACL 2023): topics and qrels as its repository holds them. */
#include <string.h>

#include "tools/eval/benchmark.h"

/* The folder of docs-0.jsonl[.gz]; of several, the one whose path names the language. */
static bool corpus_find(const char *folder, struct judged_builder *builder, const char *lang,
                        const char **corpus_out, struct error *err) {
    enum { CORPORA_MAX = 64 }; /* 18 languages */
    const char *paths[CORPORA_MAX], *mark = arena_format(builder->arena, "-%s/", lang);
    size_t n = benchmark_find(folder, "docs-0.jsonl*", builder->arena, paths, CORPORA_MAX), at = 0;
    while (n > 1 && at < n && !strstr(paths[at], mark))
        at++;
    if (at >= n)
        return error_set(err, ERROR_NOT_FOUND,
                         "%s: there is no docs-0.jsonl[.gz] of the language \"%s\" in it or below "
                         "it",
                         folder, lang);
    *corpus_out =
        arena_text(builder->arena, paths[at], (size_t)(strrchr(paths[at], '/') - paths[at]));
    return true;
}

bool miracl_read(const char *folder, struct judged_builder *builder, struct benchmark *out,
                 struct error *err) {
    const char *topics = NULL, *qrels = NULL, *lang = *out->lang ? out->lang : NULL;
    if (!benchmark_choose(folder, "topics.", builder->arena, &lang, &out->split, &topics, err))
        return false;
    out->lang = lang;
    const char *pattern = arena_format(builder->arena, "qrels.*-%s-%s.tsv*", lang, out->split);
    return benchmark_file(folder, pattern, builder->arena, &qrels, err) &&
           benchmark_topics_read(builder, topics, err) &&
           judged_qrels_read(builder, qrels, false, err) &&
           corpus_find(folder, builder, lang, &out->corpus, err);
}
