#include "tools/heads/corpus.h"

#include <ctype.h>
#include <string.h>

#include "engine/base/random.h"
#include "ingest/source.h"

enum {
    QUERY_BYTES_MIN = 40, /* of a sentence; less says too little to be found by */
    QUERY_BYTES_MAX = 300,
    TITLE_BYTES_MIN = 20,
    TEXT_BYTES_MIN = 100, /* behind a title */
};

/* ---- reading ---- */

static bool add_text(struct heads_corpus *corpus, const struct json *json, struct error *err) {
    struct mine_rows *rows = &corpus->rows;
    const char *title = "", *text = NULL;
    struct buf whole = {0};
    if (!json_read_string(json, "title", &title, err) ||
        !json_read_string(json, "text", &text, err))
        return false;
    if (!text)
        return error_set(err, ERROR_INVALID, "\"text\" must be a text");
    size_t title_len = strlen(title);
    buf_format(&whole, "%s%s%s", title, *title && *text ? " " : "", text);
    uint32_t number = mine_pool_add(rows, whole.data, whole.len);
    buf_done(&whole);
    while (corpus->titles_n < rows->pool.n) {
        corpus->title_lens = arena_room(&rows->arena, corpus->title_lens, corpus->titles_n,
                                        sizeof *corpus->title_lens);
        corpus->title_lens[corpus->titles_n++] = 0;
    }
    if (number != UINT32_MAX)
        corpus->title_lens[number] = (uint32_t)title_len;
    return true;
}

static bool read_texts(const char *path, struct heads_corpus *corpus, struct error *err) {
    struct source *source;
    enum source_state state;
    char *line;
    size_t len;
    bool ok = source_open(path, &source, err);
    if (!ok)
        return false;
    while (ok && (state = source_next(source, &line, &len, err)) != SOURCE_END) {
        if (state == SOURCE_LINE && len == 0)
            continue;
        struct json *json = state == SOURCE_LINE ? json_parse(line, len, err) : NULL;
        ok = json && add_text(corpus, json, err);
        json_release(json);
        if (!ok)
            error_wrap(err, "%s:%zu: ", path, source_line_number(source));
    }
    source_close(source);
    return ok;
}

static struct heads_query *add_query(struct heads_corpus *corpus) {
    corpus->queries = arena_room(&corpus->rows.arena, corpus->queries, corpus->queries_n,
                                 sizeof *corpus->queries);
    corpus->queries[corpus->queries_n] = (struct heads_query){0};
    return &corpus->queries[corpus->queries_n++];
}

/* A row's own negatives, which the pool holds already. */
static void add_row(struct heads_corpus *corpus, const struct mine_row *row) {
    const struct json *list = json_get(row->json, "neg");
    struct heads_query *query = add_query(corpus);
    uint32_t *negatives = ARENA_NEW(&corpus->rows.arena, uint32_t, json_count(list) + 1);
    query->text = row->query;
    query->positives = row->positives;
    query->positives_n = row->positives_n;
    for (size_t i = 0; i < json_count(list); i++) {
        size_t len;
        const char *text = json_string_of(json_at(list, i), &len);
        uint32_t number = mine_pool_add(&corpus->rows, text, len);
        if (number != UINT32_MAX)
            negatives[query->negatives_n++] = number;
    }
    query->negatives = negatives;
}

/* ---- queries made of texts ---- */

struct span {
    uint32_t begin, end;
};

/* What ends a sentence: . ? ! and a blank, a line's end, and the full stops of Chinese and
 * Japanese, which need no blank. Returns the bytes of the end at `at`, 0: none. */
static size_t sentence_end(const struct mine_text *text, size_t at) {
    static const char *const wide[] = {"。", "！", "？"};
    const char *here = text->text + at;
    size_t left = text->len - at;
    if (*here == '\n')
        return 1;
    if (strchr(".?!", *here) && *here)
        return left == 1 || isspace((unsigned char)here[1]) ? 1 : 0;
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        if (left >= strlen(wide[i]) && memcmp(here, wide[i], strlen(wide[i])) == 0)
            return strlen(wide[i]);
    return 0;
}

/* One of the sentences behind the title, each as likely as another; begin == end: none fits. */
static struct span choose_sentence(const struct mine_text *text, size_t title_len,
                                   uint64_t *chance) {
    struct span chosen = {0, 0};
    uint32_t fit_n = 0;
    size_t begin = title_len;
    for (size_t at = title_len; at < text->len; at++) {
        size_t end = sentence_end(text, at);
        if (end == 0)
            continue;
        while (begin < at && isspace((unsigned char)text->text[begin]))
            begin++;
        size_t len = at + end - begin;
        if (len >= QUERY_BYTES_MIN && len <= QUERY_BYTES_MAX && random_below(chance, ++fit_n) == 0)
            chosen = (struct span){(uint32_t)begin, (uint32_t)(at + end)};
        at += end - 1;
        begin = at + 1;
    }
    return chosen;
}

static void add_made(struct heads_corpus *corpus, uint32_t number, struct span span,
                     uint64_t *chance) {
    struct heads_query *query = add_query(corpus);
    uint32_t *positive = ARENA_NEW(&corpus->rows.arena, uint32_t, 1);
    bool hides = random_below(chance, 10) > 0;
    *positive = number;
    query->text = (struct mine_text){corpus->rows.pool.texts[number].text + span.begin,
                                     span.end - span.begin};
    query->positives = positive;
    query->positives_n = 1;
    query->hidden_begin = span.begin;
    query->hidden_end = hides ? span.end : span.begin;
}

/* Of all that could be made, made_max by chance. */
static void make_queries(struct heads_corpus *corpus, size_t made_max, uint64_t seed) {
    uint64_t chance = seed;
    for (size_t t = 0; t < corpus->rows.pool.n; t++) {
        const struct mine_text *text = &corpus->rows.pool.texts[t];
        size_t title_len = t < corpus->titles_n ? corpus->title_lens[t] : 0;
        if (text->len > UINT32_MAX)
            continue;
        if (title_len >= TITLE_BYTES_MIN && title_len <= QUERY_BYTES_MAX &&
            text->len >= title_len + TEXT_BYTES_MIN)
            add_made(corpus, (uint32_t)t, (struct span){0, (uint32_t)title_len}, &chance);
        struct span span = choose_sentence(text, title_len, &chance);
        /* A sentence that is all there is would leave nothing to be found. */
        if (span.end > span.begin && text->len - (span.end - span.begin) >= TEXT_BYTES_MIN)
            add_made(corpus, (uint32_t)t, span, &chance);
    }
    struct heads_query *made = corpus->queries + corpus->labelled_n;
    size_t n = corpus->queries_n - corpus->labelled_n;
    for (size_t i = 0; i < made_max && i < n; i++) { /* Fisher & Yates, as far as it is needed */
        size_t j = i + random_below(&chance, (uint32_t)(n - i));
        struct heads_query swap = made[i];
        made[i] = made[j];
        made[j] = swap;
    }
    if (n > made_max)
        corpus->queries_n = corpus->labelled_n + made_max;
}

bool heads_corpus_read(const char *pairs, const char *texts, size_t made_max, uint64_t seed,
                       struct heads_corpus *out, struct error *err) {
    *out = (struct heads_corpus){0};
    if ((pairs && !mine_rows_read(pairs, &out->rows, err)) ||
        (texts && !read_texts(texts, out, err)))
        return false;
    for (size_t i = 0; i < out->rows.n; i++)
        add_row(out, &out->rows.rows[i]);
    out->labelled_n = out->queries_n;
    make_queries(out, made_max, seed);
    return out->queries_n > 0 ||
           error_set(err, ERROR_INVALID,
                     "no query: --pairs gives some, and texts of two sentences and more");
}

void heads_corpus_done(struct heads_corpus *corpus) {
    mine_rows_done(&corpus->rows);
}
