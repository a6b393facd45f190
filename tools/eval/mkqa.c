/* MKQA (Longpre et al., TACL 2021) over BEIR's nq, as BGE-M3 uses it: questions of 25 languages,
 * English passages; a passage is relevant when it holds an answer. */
#include <string.h>

#include "tools/eval/benchmark.h"

struct mkqa {
    struct judged_builder *builder;
    const char *lang;
};

static void add_answer(struct judged_builder *builder, const struct json *text) {
    if (json_kind_of(text) == JSON_KIND_STRING && *json_string_of(text, NULL))
        judged_answer_add(builder, json_string_of(text, NULL));
}

/* {"id","question","answers":["..",..]}: one language a file. */
static bool take_plain(struct mkqa *mkqa, const struct json *json, struct error *err) {
    const char *question = NULL, *id = benchmark_id(json_get(json, "id"), mkqa->builder->arena);
    if (!json_read_string(json, "question", &question, err))
        return false;
    if (!id || !question)
        return error_set(err, ERROR_INVALID, "\"id\" and \"question\" are needed");
    if (!judged_query_add(mkqa->builder, id, question, err))
        return false;
    const struct json *answers = json_get(json, "answers");
    for (size_t i = 0; i < json_count(answers); i++)
        add_answer(mkqa->builder, json_at(answers, i));
    return true;
}

/* {"example_id","queries":{LANG:".."},"answers":{LANG:[{"text","aliases":[..]}]}}. Passages are
 * English, so the English answers count, as in BGE-M3's script. */
static bool take_original(struct mkqa *mkqa, const struct json *json, struct error *err) {
    const struct json *queries = json_get(json, "queries"), *answers = json_get(json, "answers");
    const struct json *question = json_get(queries, mkqa->lang);
    const char *id = benchmark_id(json_get(json, "example_id"), mkqa->builder->arena);
    if (!id || json_kind_of(question) != JSON_KIND_STRING)
        return error_set(err, ERROR_INVALID, "\"example_id\" and \"queries\"/\"%s\" are needed",
                         mkqa->lang);
    if (!judged_query_add(mkqa->builder, id, json_string_of(question, NULL), err))
        return false;
    const struct json *english = json_get(answers, "en");
    for (size_t i = 0; i < json_count(english); i++) {
        const struct json *answer = json_at(english, i), *aliases = json_get(answer, "aliases");
        add_answer(mkqa->builder, json_get(answer, "text"));
        for (size_t j = 0; j < json_count(aliases); j++)
            add_answer(mkqa->builder, json_at(aliases, j));
    }
    return true;
}

static bool take_row(void *context, char *line, size_t len, struct error *err) {
    struct mkqa *mkqa = context;
    struct json *json = json_parse(line, len, err);
    bool ok = json && (json_get(json, "queries") ? take_original(mkqa, json, err)
                                                 : take_plain(mkqa, json, err));
    json_release(json);
    return ok;
}

bool mkqa_read(const char *folder, struct judged_builder *builder, struct benchmark *out,
               struct error *err) {
    struct mkqa mkqa = {builder, *out->lang ? out->lang : "en"};
    const char *questions = NULL, *corpus = NULL;
    const char *own = arena_format(builder->arena, "%s.jsonl*", mkqa.lang);
    out->lang = mkqa.lang;
    out->split = "test";
    if (benchmark_find(folder, own, builder->arena, &questions, 1) == 0 &&
        !benchmark_file(folder, "mkqa.jsonl*", builder->arena, &questions, err))
        return false;
    if (!benchmark_file(folder, "corpus.jsonl*", builder->arena, &corpus, err))
        return false;
    out->corpus = corpus;
    return judged_lines(questions, take_row, &mkqa, err);
}
