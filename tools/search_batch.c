#include "tools/search_batch.h"

#include <stdio.h>
#include <string.h>

#include "tools/lines.h"

/* The next lines as JSON; how many. NULL for one that is none: errors says why. */
static size_t read_lines(struct input_line *line, struct json **searches, struct error *errors) {
    size_t n = 0;
    while (n < BATCH_SEARCHES_MAX) {
        struct error *err = &errors[n];
        err->code = ERROR_NONE;
        if (!input_next(line, err))
            break;
        searches[n] = NULL;
        if (line->json)
            searches[n] = json_copy_of(line->json);
        else if (err->code == ERROR_NONE)
            error_set(err, ERROR_INVALID, "line %zu is no search request: {\"query\":..}",
                      line->number);
        n++;
    }
    return n;
}

static bool is_refusal(const struct json *answer) {
    return json_get(answer, "error") != NULL;
}

bool search_batch_stream(struct searcher *searcher, const struct rerank_scorer *reranker,
                         size_t *failed_out, struct error *err) {
    static struct error errors[BATCH_SEARCHES_MAX];
    struct json *searches[BATCH_SEARCHES_MAX], *answers[BATCH_SEARCHES_MAX];
    struct input_line line = {0};
    struct arena arena = {0}, scratch = {0};
    const struct batch batch = {
        .searcher = searcher, .reranker = reranker, .arena = &arena, .scratch = &scratch};
    struct search_timing timing;
    struct buf out = {0};
    size_t n;
    bool ok = true;
    *failed_out = 0;
    while (ok && (n = read_lines(&line, searches, errors)) > 0) {
        ok = batch_search(&batch, (const struct json *const *)searches, errors, n, answers, &timing,
                          err);
        for (size_t i = 0; i < n; i++) {
            json_release(searches[i]);
            if (!ok)
                continue;
            *failed_out += is_refusal(answers[i]);
            buf_clear(&out);
            json_print(answers[i], &out);
            puts(out.data);
            json_release(answers[i]);
        }
        fflush(stdout);
        arena_reset(&arena);
    }
    arena_done(&arena);
    arena_done(&scratch);
    buf_done(&out);
    input_done(&line);
    return ok;
}
