#include "engine/lexical.h"

#include <libstemmer.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/map.h"
#include "engine/base/mem.h"
#include "engine/stopwords.h"
#include "engine/tokenizer/tokenizer.h"
#include "engine/words.h"

struct analyzer {
    /* words:LANG */
    struct sb_stemmer *stemmer; /* NULL: the kind is "model" */
    struct map stopwords;       /* empty for languages other than English */
    struct map terms;           /* word -> index into the result's terms; emptied by each run */
    /* model */
    const struct tokenizer *tokenizer;
    uint32_t *term_of_id; /* [vocabulary_n] index + 1 into the result's terms; 0 between runs */
};

/* ---- opening ---- */

static bool unknown_name(const char *name, struct error *err) {
    struct buf languages = {0};
    for (const char **at = sb_stemmer_list(); *at; at++)
        buf_format(&languages, " %s", *at);
    error_set(err, ERROR_INVALID,
              "analyzer \"%s\" is not known; there are \"model\" and \"words:LANG\", where LANG is "
              "a code such as en or one of%s",
              name, languages.data ? languages.data : " (none)");
    buf_done(&languages);
    return false;
}

static bool is_english(const char *language) {
    return strcmp(language, "en") == 0 || strcmp(language, "eng") == 0 ||
           strcmp(language, "english") == 0;
}

bool analyzer_open(const char *name, const struct tokenizer *tokenizer, struct analyzer **out,
                   struct error *err) {
    static const char words_prefix[] = "words:";
    struct analyzer analyzer = {0};
    if (strcmp(name, "model") == 0) {
        if (!tokenizer)
            return error_set(err, ERROR_INVALID,
                             "analyzer \"model\" needs a model with a tokenizer");
        analyzer.tokenizer = tokenizer;
        analyzer.term_of_id =
            mem_zalloc(tokenizer_vocabulary_n(tokenizer), sizeof *analyzer.term_of_id);
    } else if (strncmp(name, words_prefix, strlen(words_prefix)) == 0) {
        const char *language = name + strlen(words_prefix);
        analyzer.stemmer = sb_stemmer_new(language, "UTF_8");
        if (!analyzer.stemmer)
            return unknown_name(name, err);
        size_t stopwords_n = sizeof stopwords_english / sizeof *stopwords_english;
        for (size_t i = 0; is_english(language) && i < stopwords_n; i++)
            map_put(&analyzer.stopwords, stopwords_english[i], strlen(stopwords_english[i]), 0,
                    NULL);
    } else {
        return unknown_name(name, err);
    }
    *out = mem_alloc(1, sizeof **out);
    **out = analyzer;
    return true;
}

void analyzer_close(struct analyzer *analyzer) {
    if (!analyzer)
        return;
    if (analyzer->stemmer)
        sb_stemmer_delete(analyzer->stemmer);
    map_done(&analyzer->stopwords);
    map_done(&analyzer->terms);
    free(analyzer->term_of_id);
    free(analyzer);
}

/* ---- collecting ---- */

/* Terms and occurrences of one run, in growing heap arrays; handed over in exact arena arrays. */
struct collector {
    struct lexical_term *terms;
    size_t n, cap;
    struct lexical_occurrence *occurrences; /* stays NULL unless wanted */
    size_t occurrences_n, occurrences_cap;
    bool wants_occurrences;
    size_t length;
    /* Words lie one behind the other: an arena alone would give each a cache line. */
    struct arena *arena;
    char *block;
    size_t block_left;
};

enum { COLLECTOR_CAP_MIN = 64 };

static uint32_t add_term(struct collector *collector, struct lexical_term term) {
    if (collector->n == collector->cap) {
        collector->cap = collector->cap ? 2 * collector->cap : COLLECTOR_CAP_MIN;
        collector->terms = mem_realloc(collector->terms, collector->cap, sizeof *collector->terms);
    }
    collector->terms[collector->n] = term;
    return (uint32_t)collector->n++;
}

static void count(struct collector *collector, uint32_t term, uint32_t begin, uint32_t end) {
    collector->terms[term].weight += 1;
    collector->length++;
    if (!collector->wants_occurrences)
        return;
    if (collector->occurrences_n == collector->occurrences_cap) {
        collector->occurrences_cap =
            collector->occurrences_cap ? 2 * collector->occurrences_cap : COLLECTOR_CAP_MIN;
        collector->occurrences = mem_realloc(collector->occurrences, collector->occurrences_cap,
                                             sizeof *collector->occurrences);
    }
    collector->occurrences[collector->occurrences_n++] =
        (struct lexical_occurrence){term, begin, end};
}

static const char *keep_word(struct collector *collector, const char *word, size_t len) {
    enum { BLOCK_BYTES = 2048 };
    if (len + 1 > collector->block_left) {
        collector->block = ARENA_NEW(collector->arena, char, BLOCK_BYTES);
        collector->block_left = BLOCK_BYTES;
    }
    char *kept = collector->block;
    memcpy(kept, word, len);
    kept[len] = '\0';
    collector->block += len + 1;
    collector->block_left -= len + 1;
    return kept;
}

static void hand_over(struct collector *collector, struct lexical *out) {
    *out = (struct lexical){ARENA_NEW(collector->arena, struct lexical_term, collector->n),
                            collector->n, (float)collector->length};
    if (collector->n)
        memcpy(out->terms, collector->terms, collector->n * sizeof *out->terms);
}

/* ---- the two kinds ---- */

static void collect_words(struct analyzer *analyzer, const char *text, size_t len,
                          struct collector *collector) {
    /* A map is emptied by clearing all its slots: one large text must not slow all later ones. */
    enum { KEPT_SLOTS_MAX = 4096 };
    struct words words;
    struct word_found word;
    words_init(&words, text, len);
    while (words_next(&words, &word)) {
        if (map_find(&analyzer->stopwords, word.folded, word.folded_len))
            continue;
        const char *stem = (const char *)sb_stemmer_stem(
            analyzer->stemmer, (const sb_symbol *)word.folded, (int)word.folded_len);
        if (!stem)
            mem_alloc(SIZE_MAX, 2); /* NULL says only that memory is gone: abort with a word */
        size_t stem_len = (size_t)sb_stemmer_length(analyzer->stemmer);
        if (stem_len == 0 || stem_len > WORD_BYTES_MAX)
            continue;
        uint32_t *term = map_find(&analyzer->terms, stem, stem_len);
        if (!term) {
            const char *kept = keep_word(collector, stem, stem_len);
            uint32_t index = add_term(
                collector, (struct lexical_term){.word = kept, .word_len = (uint32_t)stem_len});
            term = map_put(&analyzer->terms, kept, stem_len, index, NULL);
        }
        count(collector, *term, word.begin, word.end);
    }
    if (analyzer->terms.slots_n > KEPT_SLOTS_MAX)
        map_done(&analyzer->terms);
    map_clear(&analyzer->terms);
}

static bool collect_ids(struct analyzer *analyzer, const char *text, size_t len,
                        struct collector *collector, struct error *err) {
    struct tokens tokens;
    if (!tokenizer_encode(analyzer->tokenizer, text, len, 0, collector->arena, &tokens, err))
        return false;
    for (size_t i = 0; i < tokens.n; i++) {
        uint32_t id = tokens.ids[i], *place = &analyzer->term_of_id[id];
        if (tokenizer_is_special(analyzer->tokenizer, id))
            continue;
        if (*place == 0)
            *place = add_term(collector, (struct lexical_term){.id = id}) + 1;
        count(collector, *place - 1, tokens.ranges[i].begin, tokens.ranges[i].end);
    }
    for (size_t i = 0; i < collector->n; i++)
        analyzer->term_of_id[collector->terms[i].id] = 0;
    return true;
}

static bool collect(struct analyzer *analyzer, const char *text, size_t len,
                    struct collector *collector, struct error *err) {
    if (len > UINT32_MAX)
        return error_set(err, ERROR_LIMIT, "text of %zu bytes: must be shorter than 4 GiB", len);
    if (!analyzer->stemmer)
        return collect_ids(analyzer, text, len, collector, err);
    collect_words(analyzer, text, len, collector);
    return true;
}

bool analyzer_run(struct analyzer *analyzer, const char *text, size_t len, struct arena *arena,
                  struct lexical *out, struct error *err) {
    struct collector collector = {.arena = arena};
    bool ok = collect(analyzer, text, len, &collector, err);
    if (ok)
        hand_over(&collector, out);
    free(collector.terms);
    return ok;
}

bool analyzer_occurrences(struct analyzer *analyzer, const char *text, size_t len,
                          struct arena *arena, struct lexical *out,
                          struct lexical_occurrence **occurrences_out, size_t *n_out,
                          struct error *err) {
    struct collector collector = {.arena = arena, .wants_occurrences = true};
    bool ok = collect(analyzer, text, len, &collector, err);
    if (ok) {
        hand_over(&collector, out);
        *n_out = collector.occurrences_n;
        *occurrences_out = ARENA_NEW(arena, struct lexical_occurrence, collector.occurrences_n);
        if (collector.occurrences_n)
            memcpy(*occurrences_out, collector.occurrences,
                   collector.occurrences_n * sizeof *collector.occurrences);
    }
    free(collector.terms);
    free(collector.occurrences);
    return ok;
}
