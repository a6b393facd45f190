/* Pieces of evidence become ranges of words: by hand in some languages, and on random texts against
 * rules that hold for every text. */
#include "query/highlight.h"

#include <string.h>
#include <utf8proc.h>

#include "engine/tokenizer/utf8.h"
#include "engine/words.h"
#include "query/graphemes.h"
#include "tests/check.h"

static struct arena arena;

/* Pieces as text: every "<..>" of `marked` is one. Its ranges come back marked in the same way. */
static const char *ranges_of(const char *marked) {
    static char out[512];
    char text[256];
    struct highlight_piece pieces[16], *ranges;
    size_t len = 0, n = 0, at = 0, written = 0;
    for (const char *c = marked; *c; c++) {
        if (*c == '<')
            pieces[n] = (struct highlight_piece){.begin = (uint32_t)len, .score = .5f};
        else if (*c == '>')
            pieces[n++].end = (uint32_t)len;
        else
            text[len++] = *c;
    }
    size_t ranges_n = highlight_ranges(text, len, pieces, n, &arena, &ranges);
    for (size_t i = 0; i < ranges_n; i++) {
        written +=
            (size_t)sprintf(out + written, "%.*s<%.*s>", (int)(ranges[i].begin - at), text + at,
                            (int)(ranges[i].end - ranges[i].begin), text + ranges[i].begin);
        at = ranges[i].end;
    }
    sprintf(out + written, "%.*s", (int)(len - at), text + at);
    return out;
}

static void pieces_become_words(void) {
    static const struct {
        const char *pieces, *ranges;
    } cases[] = {
        {"", ""},
        {"a sea", "a sea"},
        {"the <sea> rises", "the <sea> rises"},
        {"the <run>ning water", "the running water"}, /* less than half */
        {"the <runn>ing water", "the <running> water"},
        {"<end><op><las>mic", "<endoplasmic>"},
        {"endo<plas>mic", "endoplasmic"},
        {"<the sea> rises", "<the> <sea> rises"},
        {"vitamin <C> is", "vitamin <C> is"},
        {"stop<.> it", "stop. it"}, /* no word */
        {"(<sea>)", "(<sea>)"},
        {"sea-<level>", "sea-<level>"},
        {"the <l'eau>", "the <l>'<eau>"},
        {"<\u6d77>\u6c34\u306f", "<\u6d77>\u6c34\u306f"},   /* kaisui wa */
        {"<\u6d77><\u6c34>\u306f", "<\u6d77\u6c34>\u306f"}, /* side by side: one */
        {"<\u6d77\u6c34>\u306f\u6f6e", "<\u6d77\u6c34>\u306f\u6f6e"},
        {"\u30c7<\u30fc\u30bf>\u3092", "<\u30c7\u30fc\u30bf>\u3092"}, /* katakana is a word */
        {"caf<e>\u0301", "cafe\u0301"},
        {"<cafe>\u0301 noir", "<cafe\u0301> noir"},
        {"\u0e19\u0e49<\u0e33>", "<\u0e19\u0e49\u0e33>"}, /* Thai water: sara am joins its letter */
        {"\u0e19<\u0e49>\u0e33", "<\u0e19\u0e49\u0e33>"},
        {"\u0939\u093f<\u0928\u094d\u0926\u0940>", "<\u0939\u093f\u0928\u094d\u0926\u0940>"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_TEXT(ranges_of(cases[i].pieces), cases[i].ranges);
        arena_reset(&arena);
    }
    CHECK_TEXT(ranges_of("smile <\xf0\x9f\x98\x80> on"), "smile \xf0\x9f\x98\x80 on");
    arena_reset(&arena);
}

static void the_best_piece_names_the_word(void) {
    struct highlight_piece pieces[] = {{4, 7, .4f, SEARCH_BY_SPARSE},
                                       {4, 7, .9f, SEARCH_BY_MULTI},
                                       {0, 3, .2f, SEARCH_BY_SPARSE},
                                       {4, 5, .95f, SEARCH_BY_SPARSE}};
    struct highlight_piece *ranges;
    CHECK_EQUAL(highlight_ranges("the sea", 7, pieces, 4, &arena, &ranges), 2);
    CHECK(ranges[0].score == .2f && ranges[0].begin == 0 && ranges[0].end == 3);
    CHECK(ranges[1].score == .95f && ranges[1].source == SEARCH_BY_SPARSE);
    CHECK(ranges[1].begin == 4 && ranges[1].end == 7);
    arena_reset(&arena);
}

/* ---- random texts ---- */

/* A text of what is awkward: combining marks, flags, families, Thai, Hangul letters, broken
 * bytes. */
static size_t random_text(unsigned long long *seed, size_t pieces_n, bool broken, char *out) {
    static const char *const parts[] = {
        "a",
        "B",
        " ",
        "9",
        "_",
        ".",
        "\r\n",
        "\n",
        "e\u0301",
        "\u0308",
        "\u200d",
        "\u200c",
        "\u00ad",
        "\u6d77",
        "\u3042",
        "\u304b\u3099",
        "\u30c7",
        "\u0e19",
        "\u0e49",
        "\u0e33",
        "\u0915",
        "\u094d",
        "\u0937",
        "\u1112",
        "\u1161",
        "\u11ab",
        "\ud55c",
        "\u0600",
        "\u00e9",
        "\u0130",
        "\u1e9e",
        "\ufe0f",
        "\xf0\x9f\x87\xa9\xf0\x9f\x87\xaa",
        "\xf0\x9f\x87\xa9",
        "\xf0\x9f\x91\xa9",
        "\xf0\x9f\x8f\xbd",
        "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80",
        "\xf0\xa0\x80\x80",
    };
    static const char *const bad[] = {"\xff", "\xe6\xb5", "\xf0\x9f", "\x80", "\xed\xa0\x80"};
    enum { PARTS_N = sizeof parts / sizeof *parts, BAD_N = sizeof bad / sizeof *bad };
    size_t len = 0;
    for (size_t i = 0; i < pieces_n; i++) {
        const char *part = broken && check_random(seed) % 8 == 0
                               ? bad[check_random(seed) % BAD_N]
                               : parts[check_random(seed) % PARTS_N];
        memcpy(out + len, part, strlen(part));
        len += strlen(part);
    }
    return len;
}

/* borders[i]: a reader sees characters end at byte i. Read from the beginning of the text on. */
static void find_borders(const char *text, size_t len, bool *borders) {
    utf8proc_int32_t state = 0;
    uint32_t last = 0, codepoint;
    memset(borders, 0, len + 1);
    for (size_t at = 0; at < len; at += utf8_read(text + at, len - at, &codepoint)) {
        utf8_read(text + at, len - at, &codepoint);
        borders[at] = at == 0 || utf8proc_grapheme_break_stateful(
                                     (utf8proc_int32_t)last, (utf8proc_int32_t)codepoint, &state);
        last = codepoint;
    }
    borders[len] = true;
}

enum { TEXT_PIECES = 60, TEXT_BYTES = TEXT_PIECES * 12, PIECES = 12 };

static void borders_are_those_of_the_whole_text(void) {
    unsigned long long seed = 11;
    char text[TEXT_BYTES];
    bool borders[TEXT_BYTES + 1];
    for (int round = 0; round < 3000; round++) {
        size_t len = random_text(&seed, 1 + check_random(&seed) % TEXT_PIECES, false, text);
        find_borders(text, len, borders);
        for (size_t at = 0; at <= len; at++) {
            size_t before = at, behind = at;
            while (!borders[before])
                before--;
            while (!borders[behind])
                behind++;
            CHECK_EQUAL(graphemes_border_before(text, len, at), before);
            CHECK_EQUAL(graphemes_border_behind(text, len, at), behind);
        }
    }
}

/* Half of the word [begin, end) is covered by pieces. */
static bool is_covered(const struct highlight_piece *pieces, size_t n, size_t begin, size_t end) {
    size_t covered = 0;
    for (size_t at = begin; at < end; at++) {
        bool by_any = false;
        for (size_t i = 0; i < n; i++)
            by_any |= pieces[i].begin <= at && at < pieces[i].end;
        covered += by_any;
    }
    return covered > 0 && 2 * covered >= end - begin;
}

static void ranges_hold_on_any_text(void) {
    unsigned long long seed = 12;
    char text[TEXT_BYTES];
    bool borders[TEXT_BYTES + 1];
    size_t found_n = 0;
    for (int round = 0; round < 20000; round++) {
        struct highlight_piece pieces[PIECES], *ranges;
        bool broken = round % 2;
        size_t len = random_text(&seed, 1 + check_random(&seed) % TEXT_PIECES, broken, text);
        char *own = arena_alloc(&arena, len, 1); /* its ends are guarded by a sanitizer */
        size_t n = check_random(&seed) % (PIECES + 1), begin, end;
        memcpy(own, text, len);
        for (size_t i = 0; i < n; i++) {
            pieces[i].begin = (uint32_t)(check_random(&seed) % len);
            pieces[i].end =
                pieces[i].begin + 1 + (uint32_t)(check_random(&seed) % (len - pieces[i].begin));
            pieces[i].score = check_random_float(&seed) * .5f + .5f;
            pieces[i].source = SEARCH_BY_MULTI;
        }
        size_t ranges_n = highlight_ranges(own, len, pieces, n, &arena, &ranges);
        find_borders(text, len, borders);
        for (size_t i = 0; i < ranges_n; i++) {
            CHECK(ranges[i].begin < ranges[i].end && ranges[i].end <= len);
            CHECK(i == 0 || ranges[i - 1].end < ranges[i].begin);
            CHECK(ranges[i].score >= 0 && ranges[i].score <= 1);
            CHECK(broken || (borders[ranges[i].begin] && borders[ranges[i].end]));
        }
        struct words words;
        words_init(&words, text, len);
        while (words_next_run(&words, &begin, &end)) {
            bool inside = false;
            for (size_t i = 0; i < ranges_n; i++)
                inside |= ranges[i].begin <= begin && end <= ranges[i].end;
            if (is_covered(pieces, n, begin, end))
                CHECK(inside);
        }
        found_n += ranges_n;
        arena_reset(&arena);
    }
    CHECK(found_n > 20000);
}

int main(void) {
    pieces_become_words();
    the_best_piece_names_the_word();
    borders_are_those_of_the_whole_text();
    ranges_hold_on_any_text();
    arena_done(&arena);
    return check_result();
}
