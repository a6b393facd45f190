#include "tools/heads/bm25.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/map.h"
#include "engine/base/mem.h"
#include "engine/encoder.h"
#include "engine/lexical.h"

static const double k1 = 1.2, b = .75;

struct posting {
    uint32_t text;
    float count; /* then: its part of the score */
};

struct list {
    struct posting *postings;
    size_t n;
};

struct query {
    uint32_t *terms; /* [n] */
    float *counts;
    size_t n;
};

struct bm25 {
    struct arena arena;
    struct map numbers; /* a term's bytes -> its list */
    struct list *lists;
    size_t lists_n, texts_n;
    struct query *queries;
};

/* A word's bytes, or an id's. */
static const char *key_of(const struct lexical_term *term, size_t *len_out) {
    *len_out = term->word ? term->word_len : sizeof term->id;
    return term->word ? term->word : (const char *)&term->id;
}

static void add_text(struct bm25 *bm25, const struct lexical *lexical, uint32_t text) {
    for (size_t i = 0; i < lexical->n; i++) {
        size_t len;
        const char *key = key_of(&lexical->terms[i], &len);
        uint32_t *number = map_find(&bm25->numbers, key, len);
        if (!number) {
            bm25->lists = arena_room(&bm25->arena, bm25->lists, bm25->lists_n, sizeof *bm25->lists);
            bm25->lists[bm25->lists_n] = (struct list){0};
            number = map_put(&bm25->numbers, arena_text(&bm25->arena, key, len), len,
                             (uint32_t)bm25->lists_n++, NULL);
        }
        struct list *list = &bm25->lists[*number];
        list->postings = arena_room(&bm25->arena, list->postings, list->n, sizeof *list->postings);
        list->postings[list->n++] = (struct posting){text, lexical->terms[i].weight};
    }
}

static void add_query(struct bm25 *bm25, const struct lexical *lexical, struct query *out) {
    out->terms = ARENA_NEW(&bm25->arena, uint32_t, lexical->n);
    out->counts = ARENA_NEW(&bm25->arena, float, lexical->n);
    for (size_t i = 0; i < lexical->n; i++) {
        size_t len;
        const char *key = key_of(&lexical->terms[i], &len);
        const uint32_t *number = map_find(&bm25->numbers, key, len);
        if (!number)
            continue;
        out->terms[out->n] = *number;
        out->counts[out->n++] = lexical->terms[i].weight;
    }
}

/* Counts -> idf x tf / (tf + k1 (1 - b + b length / mean)) */
static void weigh(struct bm25 *bm25, const float *lengths) {
    double mean = 0;
    for (size_t i = 0; i < bm25->texts_n; i++)
        mean += (double)lengths[i] / (double)bm25->texts_n;
    for (size_t l = 0; l < bm25->lists_n; l++) {
        struct list *list = &bm25->lists[l];
        double n = (double)list->n, idf = log(1 + ((double)bm25->texts_n - n + .5) / (n + .5));
        for (size_t p = 0; p < list->n; p++) {
            struct posting *posting = &list->postings[p];
            double count = (double)posting->count;
            double length = (double)lengths[posting->text] / mean;
            posting->count = (float)(idf * count / (count + k1 * (1 - b + b * length)));
        }
    }
}

bool bm25_open(const char *analyzer_name, const struct tokenizer *tokenizer,
               const struct encoder_text *texts, size_t texts_n, const struct encoder_text *queries,
               size_t queries_n, struct bm25 **out, struct error *err) {
    struct analyzer *analyzer;
    struct arena scratch = {0};
    struct lexical lexical;
    if (!analyzer_open(analyzer_name, tokenizer, &analyzer, err))
        return false;
    struct bm25 *bm25 = mem_zalloc(1, sizeof *bm25);
    float *lengths = mem_alloc(texts_n, sizeof *lengths);
    bool ok = true;
    bm25->texts_n = texts_n;
    bm25->queries = ARENA_ZERO(&bm25->arena, struct query, queries_n);
    for (size_t i = 0; ok && i < texts_n; i++, arena_reset(&scratch))
        if ((ok = analyzer_run(analyzer, texts[i].text, texts[i].len, &scratch, &lexical, err))) {
            add_text(bm25, &lexical, (uint32_t)i);
            lengths[i] = lexical.length;
        }
    for (size_t i = 0; ok && i < queries_n; i++, arena_reset(&scratch))
        if ((ok = analyzer_run(analyzer, queries[i].text, queries[i].len, &scratch, &lexical, err)))
            add_query(bm25, &lexical, &bm25->queries[i]);
    if (ok)
        weigh(bm25, lengths);
    free(lengths);
    arena_done(&scratch);
    analyzer_close(analyzer);
    if (ok)
        *out = bm25;
    else
        bm25_close(bm25);
    return ok;
}

void bm25_close(struct bm25 *bm25) {
    if (!bm25)
        return;
    map_done(&bm25->numbers);
    arena_done(&bm25->arena);
    free(bm25);
}

void bm25_scores(const struct bm25 *bm25, size_t query, float *out) {
    const struct query *asked = &bm25->queries[query];
    memset(out, 0, bm25->texts_n * sizeof *out);
    for (size_t t = 0; t < asked->n; t++) {
        const struct list *list = &bm25->lists[asked->terms[t]];
        for (size_t p = 0; p < list->n; p++)
            out[list->postings[p].text] += asked->counts[t] * list->postings[p].count;
    }
}
