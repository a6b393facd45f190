#include "tools/eval/benchmark.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
    const char *name;
    benchmark_reader *read;
    bool drops_itself, by_answer, has_languages;
    const char *measures;
} kinds[] = {
    {"beir", beir_read, true, false, false, "ndcg@10,recall@100,mrr@10,map"},
    {"miracl", miracl_read, false, false, true, "ndcg@10,recall@100,mrr@10,map"},
    {"mldr", mldr_read, false, false, true, "ndcg@10,recall@100,mrr@10,map"},
    {"mkqa", mkqa_read, false, true, true, "hit@20,hit@100,mrr@10"},
    {"msmarco", msmarco_read, false, false, false, "mrr@10,ndcg@10,recall@100,recall@1000,map"},
};

const char *benchmark_kinds(void) {
    return "beir, miracl, mldr, mkqa, msmarco";
}

bool benchmark_is_kind(const char *word) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, word) == 0)
            return true;
    return false;
}

bool benchmark_has_languages(const char *kind) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, kind) == 0)
            return kinds[i].has_languages;
    return false;
}

bool benchmark_read(const char *kind, const char *folder, const char *split, const char *lang,
                    struct arena *arena, struct benchmark *out, struct error *err) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, kind) != 0)
            continue;
        struct judged_builder builder = {.arena = arena};
        *out = (struct benchmark){
            .split = split,
            .lang = lang ? lang : "",
            .corpus = folder,
            .drops_itself = kinds[i].drops_itself,
            .by_answer = kinds[i].by_answer,
            .measures = kinds[i].measures,
        };
        if (kinds[i].read(folder, &builder, out, err))
            return judged_done(&builder, folder, &out->judged, err);
        judged_give_up(&builder);
        return false;
    }
    return error_set(err, ERROR_INVALID, "\"%s\" is no kind of benchmark: choose of %s", kind,
                     benchmark_kinds());
}

struct finding {
    const char *pattern;
    struct arena *arena;
    const char **paths;
    size_t n, max;
};

static void find_in(struct finding *finding, const char *folder, int depth) {
    struct dirent **entries;
    int n = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        const char *path = arena_format(finding->arena, "%s/%s", folder, name);
        struct stat info;
        if (name[0] != '.' && stat(path, &info) == 0) {
            if (S_ISDIR(info.st_mode) && depth < FIND_DEPTH_MAX)
                find_in(finding, path, depth + 1);
            else if (S_ISREG(info.st_mode) && finding->n < finding->max &&
                     fnmatch(finding->pattern, name, 0) == 0)
                finding->paths[finding->n++] = path;
        }
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

size_t benchmark_find(const char *folder, const char *pattern, struct arena *arena,
                      const char **paths_out, size_t max) {
    struct finding finding = {.pattern = pattern, .arena = arena, .paths = paths_out, .max = max};
    find_in(&finding, folder, 0);
    return finding.n;
}

bool benchmark_file(const char *folder, const char *pattern, struct arena *arena,
                    const char **path_out, struct error *err) {
    return benchmark_find(folder, pattern, arena, path_out, 1) == 1 ||
           error_set(err, ERROR_NOT_FOUND, "%s: there is no %s in it or below it", folder, pattern);
}

/* "topics.miracl-v1.0-sw-dev.tsv" -> "sw", "dev". Languages have no hyphen in these benchmarks. */
static bool parts_of(const char *path, struct arena *arena, const char **lang, const char **split) {
    const char *name = strrchr(path, '/') + 1, *end = strstr(name, ".tsv");
    const char *hyphen[2] = {NULL, NULL};
    for (const char *at = name; end && at < end; at++)
        if (*at == '-') {
            hyphen[0] = hyphen[1];
            hyphen[1] = at;
        }
    if (!hyphen[0])
        return false;
    *lang = arena_text(arena, hyphen[0] + 1, (size_t)(hyphen[1] - hyphen[0] - 1));
    *split = arena_text(arena, hyphen[1] + 1, (size_t)(end - hyphen[1] - 1));
    return true;
}

bool benchmark_choose(const char *folder, const char *prefix, struct arena *arena,
                      const char **lang, const char **split, const char **path_out,
                      struct error *err) {
    enum { CHOICES_MAX = 256 }; /* MIRACL has 18 languages of up to 4 splits */
    const char *paths[CHOICES_MAX], *offered = "";
    const char *pattern = arena_format(arena, "%s*-*-*.tsv*", prefix);
    size_t n = benchmark_find(folder, pattern, arena, paths, CHOICES_MAX), fits = 0;
    if (n == 0)
        return error_set(err, ERROR_NOT_FOUND, "%s: there is no %s in it or below it", folder,
                         pattern);
    const char *chosen_lang = NULL, *chosen_split = NULL;
    for (size_t i = 0; i < n; i++) {
        const char *has_lang, *has_split;
        if (!parts_of(paths[i], arena, &has_lang, &has_split))
            continue;
        offered = arena_format(arena, "%s %s-%s", offered, has_lang, has_split);
        if ((*lang && strcmp(*lang, has_lang) != 0) || (*split && strcmp(*split, has_split) != 0))
            continue;
        *path_out = paths[i];
        chosen_lang = has_lang;
        chosen_split = has_split;
        fits++;
    }
    if (fits != 1)
        return error_set(err, ERROR_NOT_FOUND,
                         "%s: choose one with --lang and --split (language-split):%s", folder,
                         offered);
    *lang = chosen_lang;
    *split = chosen_split;
    return true;
}

static bool take_topic(void *context, char *line, size_t len, struct error *err) {
    char *tab = memchr(line, '\t', len);
    if (!tab)
        return error_set(err, ERROR_INVALID, "a query's id and text, a tab between, are needed");
    *tab = '\0';
    return judged_query_add(context, line, tab + 1, err);
}

bool benchmark_topics_read(struct judged_builder *builder, const char *path, struct error *err) {
    return judged_lines(path, take_topic, builder, err);
}

const char *benchmark_id(const struct json *value, struct arena *arena) {
    size_t len;
    if (json_kind_of(value) == JSON_KIND_STRING) {
        const char *text = json_string_of(value, &len);
        return arena_text(arena, text, len);
    }
    if (json_kind_of(value) == JSON_KIND_NUMBER)
        return arena_format(arena, "%.17g", json_number_of(value));
    return NULL;
}
