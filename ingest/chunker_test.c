/* Passages: where texts are cut, and that nothing is lost. */
#include "ingest/chunker.h"

#include "tests/check.h"

static unsigned long long seed = 7;

/* Words and single marks as tokens, blanks left out: what a tokenizer gives, roughly. */
static size_t make_tokens(const char *text, struct token_range *out, size_t max) {
    size_t n = 0, len = strlen(text);
    for (size_t i = 0; i < len && n < max;) {
        size_t begin = i;
        while (i < len && ((unsigned char)text[i] >= 0x80 || strchr("abcdefghijklmnopqrstuvwxyz"
                                                                    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                                    "0123456789",
                                                                    text[i])))
            i++;
        if (i == begin && strchr(" \n\t\r", text[i])) {
            i++;
            continue;
        }
        i += i == begin;
        out[n++] = (struct token_range){(uint32_t)begin, (uint32_t)i};
    }
    return n;
}

/* The text's passages as "a|b|c". */
static const char *cut(const char *text, uint32_t tokens, uint32_t overlap) {
    static char joined[4096];
    static struct arena arena;
    struct token_range ranges[1024];
    struct chunk *chunks;
    size_t len = 0, ranges_n = make_tokens(text, ranges, 1024);
    arena_reset(&arena);
    size_t n = chunk_text(text, strlen(text), ranges, ranges_n,
                          (struct chunk_rule){tokens, overlap}, &arena, &chunks);
    joined[0] = '\0';
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(joined + len, sizeof joined - len, "%s%.*s", i ? "|" : "",
                                (int)(chunks[i].end - chunks[i].begin), text + chunks[i].begin);
    return joined;
}

static enum chunk_break before(const char *text, const char *part) {
    return chunk_break_at(text, strlen(text), (size_t)(strstr(text, part) - text));
}

static void test_breaks(void) {
    CHECK_EQUAL(before("one two", "two"), CHUNK_WORD);
    CHECK_EQUAL(before("one two", "wo"), CHUNK_INSIDE);
    CHECK_EQUAL(before("one\ntwo", "two"), CHUNK_LINE);
    CHECK_EQUAL(before("one.\ntwo", "two"), CHUNK_LINE); /* a small letter: an abbreviation */
    CHECK_EQUAL(before("One. Two", "Two"), CHUNK_SENTENCE);
    CHECK_EQUAL(before("(One.) Two", "Two"), CHUNK_SENTENCE);
    CHECK_EQUAL(before("e.g. two", "two"), CHUNK_WORD);
    CHECK_EQUAL(before("3.5", "5"), CHUNK_INSIDE);
    CHECK_EQUAL(before("Why? two", "two"), CHUNK_SENTENCE);
    CHECK_EQUAL(before("一。二", "二"), CHUNK_SENTENCE);
    CHECK_EQUAL(before("「一。」二", "二"), CHUNK_SENTENCE);
    CHECK_EQUAL(before("一二", "二"), CHUNK_INSIDE);
    CHECK_EQUAL(before("एक। दो", "दो"), CHUNK_SENTENCE);
    CHECK_EQUAL(before("هل؟ نعم", "نعم"), CHUNK_SENTENCE);
    CHECK_EQUAL(before("one\n\ntwo", "two"), CHUNK_PARAGRAPH);
    CHECK_EQUAL(before("one\r\n \r\ntwo", "two"), CHUNK_PARAGRAPH);
    CHECK_EQUAL(before("one\n## two", "##"), CHUNK_HEADING);
    CHECK_EQUAL(before("one\n##two", "##"), CHUNK_LINE);
    CHECK_EQUAL(before("one ## two", "##"), CHUNK_WORD);
    CHECK_EQUAL(before("one\n####### two", "###"), CHUNK_LINE);
    CHECK_EQUAL(before("one two", "one"), CHUNK_HEADING);
}

static void test_cuts(void) {
    CHECK_TEXT(cut("", 4, 0), "");
    CHECK_TEXT(cut(" \n ", 4, 0), "");
    CHECK_TEXT(cut("  a b c d ", 4, 2), "a b c d");
    CHECK_TEXT(cut("a b c d e f", 4, 0), "a b c d|e f");
    CHECK_TEXT(cut("a b c d e f", 4, 2), "a b c d|c d e f");
    /* A sentence's end is worth more than a full passage, and less than half of one is not cut. */
    CHECK_TEXT(cut("a b c. E f g h. I j", 6, 0), "a b c.|E f g h.|I j");
    CHECK_TEXT(cut("a. B c d e f g h", 6, 0), "a. B c d e|f g h");
    /* Paragraphs before sentences, headings before both, and nothing repeats behind a heading. */
    CHECK_TEXT(cut("A b c\n\nd e. F g h i", 7, 0), "A b c\n\nd e.|F g h i");
    CHECK_TEXT(cut("A b c d\n\ne. F g h i", 7, 0), "A b c d|e. F g h i");
    CHECK_TEXT(cut("A b c\n\nd e\n# F g h i j", 7, 3), "A b c\n\nd e|# F g h i j");
    /* The overlap begins where a sentence does, as early as it may. */
    CHECK_TEXT(cut("A b c d. E f. G h i j k l", 8, 4), "A b c d. E f.|E f. G h i j|G h i j k l");
    CHECK_TEXT(cut("A b c d e f g h i j", 8, 3), "A b c d e f g h|f g h i j");
    /* The last passage is no scrap. */
    CHECK_TEXT(cut("a b c d e f g h i", 8, 0), "a b c d e f g|h i");
    CHECK_TEXT(cut("aaaa", 1, 0), "aaaa");
}

static size_t random_text(char *out, size_t bytes_max) {
    static const char *const parts[] = {"a",    "bc", " ", " ",  " ",   ". ", "\n", "\n\n", "\n# ",
                                        "e.g.", "。", "ü", "\t", "?\"", "7",  ") ", "  "};
    size_t len = 0, target = check_random(&seed) % bytes_max;
    while (len + 8 < target) {
        const char *part = parts[check_random(&seed) % (sizeof parts / sizeof *parts)];
        len += (size_t)sprintf(out + len, "%s", part);
    }
    out[len] = '\0';
    return len;
}

/* Whatever the text: passages go forward, are short enough, and hold every token. */
static void test_random(void) {
    enum { TEXTS = 3000, BYTES = 600 };
    static char text[BYTES];
    static struct token_range ranges[BYTES];
    struct arena arena = {0};
    for (int t = 0; t < TEXTS; t++) {
        size_t len = random_text(text, BYTES), ranges_n = make_tokens(text, ranges, BYTES);
        uint32_t tokens = 1 + (uint32_t)(check_random(&seed) % 40);
        struct chunk_rule rule = {tokens, (uint32_t)(check_random(&seed) % tokens) / 2};
        struct chunk *chunks;
        size_t n = chunk_text(text, len, ranges, ranges_n, rule, &arena, &chunks), covered = 0;
        CHECK((n == 0) == (ranges_n == 0));
        CHECK(n <= ranges_n / (tokens > 4 ? (tokens + 1) / 4 : 1) + 1);
        for (size_t i = 0; i < n; i++) {
            CHECK(chunks[i].begin < chunks[i].end && chunks[i].end <= len);
            CHECK(chunks[i].tokens_n >= 1 && chunks[i].tokens_n <= tokens);
            CHECK(i == 0 ||
                  (chunks[i].begin > chunks[i - 1].begin && chunks[i].end > chunks[i - 1].end));
            CHECK(!strchr(" \n\t", text[chunks[i].begin]));
            while (covered < ranges_n && ranges[covered].begin >= chunks[i].begin &&
                   ranges[covered].end <= chunks[i].end)
                covered++;
            while (covered < ranges_n && ranges[covered].end <= chunks[i].end)
                CHECK(ranges[covered++].begin >= chunks[i].begin); /* lies in no passage */
        }
        CHECK_EQUAL(covered, ranges_n);
        arena_reset(&arena);
    }
    arena_done(&arena);
}

/* A long run of white space or of one letter is no reason to take long. */
/* A tokenizer may make a token of a blank. Where a passage would begin with it and the next one
 * with the word behind it, both would begin at the word. */
static void test_blank_tokens(void) {
    static const char text[] = "a b c d";
    struct token_range tokens[] = {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}, {6, 7}};
    struct arena arena = {0};
    for (uint32_t size = 1; size <= 5; size++)
        for (uint32_t overlap = 0; overlap < size; overlap++) {
            struct chunk *chunks;
            size_t n = chunk_text(text, sizeof text - 1, tokens, 7,
                                  (struct chunk_rule){size, overlap}, &arena, &chunks);
            CHECK(n > 0 && chunks[n - 1].end == 7);
            for (size_t i = 1; i < n; i++)
                CHECK(chunks[i].begin > chunks[i - 1].begin && chunks[i].end >= chunks[i - 1].end);
        }
    arena_done(&arena);
}

static void test_long(void) {
    enum { BYTES = 4 << 20 };
    char *text = malloc(BYTES + 1);
    struct token_range *ranges = calloc(BYTES / 2, sizeof *ranges);
    struct arena arena = {0};
    struct chunk *chunks;
    memset(text, ' ', BYTES);
    text[BYTES] = '\0';
    text[BYTES / 2] = 'a';
    ranges[0] = (struct token_range){BYTES / 2, BYTES / 2 + 1};
    CHECK_EQUAL(chunk_text(text, BYTES, ranges, 1, (struct chunk_rule){8, 4}, &arena, &chunks), 1);
    CHECK_EQUAL(chunks[0].begin, BYTES / 2);
    for (size_t i = 0; i < BYTES / 2; i++) {
        text[2 * i] = 'x';
        ranges[i] = (struct token_range){(uint32_t)(2 * i), (uint32_t)(2 * i + 1)};
    }
    size_t n =
        chunk_text(text, BYTES, ranges, BYTES / 2, (struct chunk_rule){400, 50}, &arena, &chunks);
    CHECK_EQUAL(n, (BYTES / 2 - 50 + 349) / 350);
    /* Closing marks behind closing marks, and tokens within white space. */
    enum { SHORTER = BYTES / 8 };
    static const char *const runs[] = {"\"", ".\"", "\n", ") "};
    for (size_t r = 0; r < sizeof runs / sizeof *runs; r++) {
        for (size_t i = 0; i < SHORTER; i++)
            text[i] = runs[r][i % strlen(runs[r])];
        for (size_t i = 0; i < SHORTER / 2; i++)
            ranges[i] = (struct token_range){(uint32_t)(2 * i), (uint32_t)(2 * i + 2)};
        n = chunk_text(text, SHORTER, ranges, SHORTER / 2, (struct chunk_rule){400, 50}, &arena,
                       &chunks);
        CHECK(n >= SHORTER / 2 / 400 && n <= 4 * (SHORTER / 2 / 400) + 1);
        arena_reset(&arena);
    }
    arena_done(&arena);
    free(ranges);
    free(text);
}

int main(void) {
    test_breaks();
    test_cuts();
    test_random();
    test_blank_tokens();
    test_long();
    return check_result();
}
