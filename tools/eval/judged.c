#include "tools/eval/judged.h"

#include <stdlib.h>
#include <string.h>

#include "ingest/source.h"

bool judged_query_add(struct judged_builder *builder, const char *id, const char *text,
                      struct error *err) {
    struct judged_queries *made = &builder->made;
    bool fresh;
    char *own_id = arena_text(builder->arena, id, strlen(id));
    map_put(&builder->by_id, own_id, strlen(own_id), (uint32_t)made->n, &fresh);
    if (!fresh)
        return error_set(err, ERROR_INVALID, "query \"%.64s\" came before", id);
    made->queries = arena_room(builder->arena, made->queries, made->n, sizeof *made->queries);
    made->queries[made->n++] = (struct judged_query){
        .id = own_id,
        .text = arena_text(builder->arena, text, strlen(text)),
        .text_len = strlen(text),
    };
    return true;
}

void judged_answer_add(struct judged_builder *builder, const char *answer) {
    struct judged_query *query = &builder->made.queries[builder->made.n - 1];
    query->answers =
        arena_room(builder->arena, query->answers, query->answers_n, sizeof *query->answers);
    query->answers[query->answers_n++] = arena_text(builder->arena, answer, strlen(answer));
}

void judged_judge(struct judged_builder *builder, const char *query_id, const char *doc_key,
                  int relevance) {
    const uint32_t *i = map_find(&builder->by_id, query_id, strlen(query_id));
    if (!i)
        return;
    struct judged_query *query = &builder->made.queries[*i];
    query->judgments =
        arena_room(builder->arena, query->judgments, query->judgments_n, sizeof *query->judgments);
    query->judgments[query->judgments_n++] =
        (struct judgment){arena_text(builder->arena, doc_key, strlen(doc_key)), relevance};
}

bool judged_lines(const char *path, judged_take *take, void *context, struct error *err) {
    struct source *source;
    enum source_state state;
    char *line;
    size_t len;
    if (!source_open(path, &source, err))
        return false;
    while ((state = source_next(source, &line, &len, err)) == SOURCE_LINE) {
        if (len == 0)
            continue;
        if (take(context, line, len, err))
            continue;
        error_wrap(err, "%s:%zu: ", path, source_line_number(source));
        break;
    }
    if (state == SOURCE_BAD)
        error_wrap(err, "%s:%zu: ", path, source_line_number(source));
    source_close(source);
    return state == SOURCE_END;
}

enum { RELEVANCE_MAX = 1000 }; /* TREC's grades end at 4 */

struct qrels {
    struct judged_builder *builder;
    bool all;
};

/* Cuts a line at its separators; the number of columns, at most max. */
static size_t columns_of(char *line, const char *separators, char *columns[], size_t max) {
    size_t n = 0;
    char *rest = line;
    for (char *column; n < max && (column = strtok_r(rest, separators, &rest));)
        columns[n++] = column;
    return n;
}

static bool take_qrel(void *context, char *line, size_t len, struct error *err) {
    struct qrels *qrels = context;
    char *columns[4], *end;
    (void)len;
    size_t n = columns_of(line, strchr(line, '\t') ? "\t" : " ", columns, 4);
    if (n < 3)
        return error_set(err, ERROR_INVALID,
                         "three columns (query, document, score) or TREC's four are needed, found "
                         "%zu",
                         n);
    if (strcmp(columns[0], "query-id") == 0)
        return true;
    const char *document = columns[n - 2], *score = columns[n - 1];
    long relevance = strtol(score, &end, 10);
    if (end == score || (*end != '\0' && strcmp(end, ".0") != 0))
        return error_set(err, ERROR_INVALID, "the score \"%.32s\" is no whole number", score);
    if (relevance < -RELEVANCE_MAX || relevance > RELEVANCE_MAX)
        return error_set(err, ERROR_INVALID, "the score \"%.32s\" is beyond %d", score,
                         RELEVANCE_MAX);
    if (qrels->all && !map_find(&qrels->builder->by_id, columns[0], strlen(columns[0])) &&
        !judged_query_add(qrels->builder, columns[0], "", err))
        return false;
    judged_judge(qrels->builder, columns[0], document, (int)relevance);
    return true;
}

bool judged_qrels_read(struct judged_builder *builder, const char *path, bool all,
                       struct error *err) {
    struct qrels qrels = {builder, all};
    return judged_lines(path, take_qrel, &qrels, err);
}

void judged_give_up(struct judged_builder *builder) {
    map_done(&builder->by_id);
}

bool judged_done(struct judged_builder *builder, const char *where, struct judged_queries *out,
                 struct error *err) {
    struct judged_queries *made = &builder->made;
    size_t kept = 0;
    map_done(&builder->by_id);
    for (size_t i = 0; i < made->n; i++)
        if (made->queries[i].judgments_n || made->queries[i].answers_n)
            made->queries[kept++] = made->queries[i];
    if (kept == 0)
        return error_set(err, ERROR_INVALID, "%s: none of the %zu queries has a judgment", where,
                         made->n);
    *out = (struct judged_queries){made->queries, kept};
    return true;
}
