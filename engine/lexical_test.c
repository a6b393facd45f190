/* The analyzers: which words a text has, how they are folded, stemmed and counted. */
#include "engine/lexical.h"

#include "engine/base/buf.h"
#include "engine/tokenizer/tokenizer.h"
#include "tests/check.h"

static struct arena arena;

static struct analyzer *must_open(const char *name, const struct tokenizer *tokenizer) {
    struct error err = {0};
    struct analyzer *analyzer = NULL;
    CHECK_OK(analyzer_open(name, tokenizer, &analyzer, &err), err);
    if (!analyzer)
        exit(1);
    return analyzer;
}

/* "cell:2 run:1 /3": terms in order with their counts, and the length. Occurrences must agree. */
static const char *shown(struct analyzer *analyzer, const char *text) {
    static struct buf out;
    struct error err = {0};
    struct lexical lexical = {0}, same = {0};
    struct lexical_occurrence *occurrences = NULL;
    size_t n = 0, len = strlen(text);
    buf_clear(&out);
    CHECK_OK(analyzer_run(analyzer, text, len, &arena, &lexical, &err), err);
    CHECK_OK(analyzer_occurrences(analyzer, text, len, &arena, &same, &occurrences, &n, &err), err);
    for (size_t i = 0; i < lexical.n; i++) {
        const struct lexical_term *term = &lexical.terms[i];
        size_t times = 0;
        for (size_t j = 0; j < n; j++)
            times += occurrences[j].term == i;
        CHECK_EQUAL(times, term->weight);
        CHECK(term->word ? strlen(term->word) == term->word_len && term->id == 0
                         : term->word_len == 0);
        if (term->word)
            buf_format(&out, "%s:%g ", term->word, (double)term->weight);
        else
            buf_format(&out, "%u:%g ", term->id, (double)term->weight);
    }
    CHECK(same.n == lexical.n && n == (size_t)lexical.length && same.length == lexical.length);
    buf_format(&out, "/%g", (double)lexical.length);
    return out.data;
}

static void english_words(void) {
    struct analyzer *en = must_open("words:en", NULL);
    CHECK_TEXT(shown(en, ""), "/0");
    CHECK_TEXT(shown(en, " .,;\n"), "/0");
    CHECK_TEXT(shown(en, "The cells of THE Cell were running, and run!"), "cell:2 were:1 run:2 /5");
    CHECK_TEXT(shown(en, "a b c x-ray I'll"), "ray:1 ll:1 /2"); /* one character: left out */
    CHECK_TEXT(shown(en, "is not on it"), "/0");
    CHECK_TEXT(shown(en, "p53 snake_case 2024 12"), "p53:1 snake_cas:1 2024:1 12:1 /4");
    analyzer_close(en);
}

static void unicode_words(void) {
    struct analyzer *en = must_open("words:en", NULL);
    CHECK_TEXT(shown(en, "\u00c9t\u00e9 E\u0301TE\u0301"), "\u00e9t\u00e9:2 /2");
    CHECK_TEXT(shown(en, "\uff26\uff41\uff43\uff45 \ufb01ne"), "face:1 fine:1 /2"); /* NFKC */
    CHECK_TEXT(shown(en, "Stra\u00dfe STRASSE"), "strass:2 /2");
    CHECK_TEXT(shown(en, "co\u00adoper"), "cooper:1 /1"); /* soft hyphen */
    CHECK_TEXT(shown(en, "\u4e2d\u6587ab\u4e2d"), "\u4e2d:2 \u6587:1 ab:1 /4");
    CHECK_TEXT(shown(en, "\u3072\u3089\u30ab\u30bf\u30ab\u30ca"),
               "\u3072:1 \u3089:1 \u30ab\u30bf\u30ab\u30ca:1 /3");
    CHECK_TEXT(shown(en, "\ud55c\uad6d\uc5b4"), "\ud55c\uad6d\uc5b4:1 /1");
    CHECK_TEXT(shown(en, "\u0e19\u0e49\u0e33"), "\u0e19\u0e49:1 \u0e4d\u0e32:1 /2");
    CHECK_TEXT(shown(en, "\u0939\u093f\u0928\u094d\u0926\u0940"),
               "\u0939\u093f\u0928\u094d\u0926\u0940:1 /1");
    CHECK_TEXT(shown(en, "ab\xff"
                         "cd\xe4\xb8 ef"),
               "ab:1 cd:1 ef:1 /3");
    CHECK_TEXT(shown(en, "\u0301\u0301 x\u0301"), "/0");
    analyzer_close(en);
}

static void occurrences_are_the_bytes_as_written(void) {
    static const char text[] = "The CELL, na\u00efve cells";
    struct analyzer *en = must_open("words:en", NULL);
    struct error err;
    struct lexical lexical;
    struct lexical_occurrence *found;
    size_t n;
    CHECK_OK(analyzer_occurrences(en, text, sizeof text - 1, &arena, &lexical, &found, &n, &err),
             err);
    CHECK_EQUAL(n, 3);
    CHECK(found[0].term == 0 && found[0].begin == 4 && found[0].end == 8);
    CHECK(found[1].term == 1 && found[1].begin == 10 && found[1].end == 16);
    CHECK(found[2].term == 0 && found[2].begin == 17 && found[2].end == 22);
    analyzer_close(en);
}

static void other_languages(void) {
    struct analyzer *de = must_open("words:de", NULL);
    CHECK_TEXT(shown(de, "Die H\u00e4user das Haus"), "die:1 haus:2 das:1 /4"); /* no stopwords */
    analyzer_close(de);
    analyzer_close(must_open("words:english", NULL));
}

static void unknown_names_list_what_there_is(void) {
    static const char *const names[] = {"", "words", "words:", "words:xx", "Model", "bm25"};
    struct error err;
    struct analyzer *analyzer;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CHECK(!analyzer_open(names[i], NULL, &analyzer, &err));
        CHECK_EQUAL(err.code, ERROR_INVALID);
        CHECK(strstr(err.message, "\"model\"") && strstr(err.message, "english"));
    }
    CHECK(!analyzer_open("model", NULL, &analyzer, &err));
    CHECK_EQUAL(err.code, ERROR_INVALID);
    analyzer_close(NULL);
}

static void model_ids_are_counted(void) {
    static const char json[] =
        "{\"added_tokens\":[{\"id\":0,\"content\":\"[UNK]\",\"special\":true},"
        "{\"id\":1,\"content\":\"[CLS]\",\"special\":true}],"
        "\"normalizer\":{\"type\":\"BertNormalizer\"},"
        "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
        "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[CLS]\",1],\"cls\":[\"[CLS]\","
        "1]},\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"a\":2,\"##b\":"
        "3}}}";
    struct error err = {0};
    struct tokenizer *tokenizer = NULL;
    CHECK_OK(tokenizer_open(json, sizeof json - 1, "json", &tokenizer, &err), err);
    struct analyzer *model = must_open("model", tokenizer);
    CHECK_TEXT(shown(model, ""), "/0");
    CHECK_TEXT(shown(model, "ab a xyz [CLS] ABB"), "2:3 3:3 /6");
    CHECK_TEXT(shown(model, "a"), "2:1 /1"); /* nothing is left of the text before */
    analyzer_close(model);
    tokenizer_close(tokenizer);
}

/* Long words are left out, long texts take linear time (else the test's timeout), and neither
 * spoils the next text. */
static void hostile_texts(void) {
    enum { BYTES = 4 << 20 };
    static const char *const parts[] = {"a", "\u0301", "\u4e2d", "\xff", "x1 ", "\ufdfa", "_"};
    struct analyzer *en = must_open("words:en", NULL);
    struct buf text = {0};
    struct error err;
    struct lexical lexical;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        buf_clear(&text);
        while (text.len < BYTES)
            buf_text(&text, parts[i]);
        CHECK_OK(analyzer_run(en, text.data, text.len, &arena, &lexical, &err), err);
        CHECK(lexical.n <= 1);
        arena_reset(&arena);
    }
    buf_clear(&text);
    for (int i = 0; i < 20000; i++)
        buf_format(&text, "w%d ", i);
    CHECK_OK(analyzer_run(en, text.data, text.len, &arena, &lexical, &err), err);
    CHECK_EQUAL(lexical.n, 20000);
    CHECK_TEXT(lexical.terms[19999].word, "w19999");
    for (size_t n = 250; n <= 260; n++) { /* around WORD_BYTES_MAX */
        buf_clear(&text);
        for (size_t i = 0; i < n; i++)
            buf_text(&text, "7");
        CHECK_OK(analyzer_run(en, text.data, text.len, &arena, &lexical, &err), err);
        CHECK_EQUAL(lexical.n, n <= 255);
    }
    CHECK_TEXT(shown(en, "cells"), "cell:1 /1");
    CHECK(!analyzer_run(en, "", (size_t)UINT32_MAX + 1, &arena, &lexical, &err));
    CHECK_EQUAL(err.code, ERROR_LIMIT);
    unsigned long long seed = 11;
    for (int round = 0; round < 2000; round++) {
        char bytes[200];
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (char)check_random(&seed);
        CHECK_OK(analyzer_run(en, bytes, sizeof bytes, &arena, &lexical, &err), err);
        arena_reset(&arena);
    }
    buf_done(&text);
    analyzer_close(en);
}

int main(void) {
    english_words();
    unicode_words();
    occurrences_are_the_bytes_as_written();
    other_languages();
    unknown_names_list_what_there_is();
    model_ids_are_counted();
    hostile_texts();
    arena_done(&arena);
    return check_result();
}
