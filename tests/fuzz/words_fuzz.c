/* words_fuzz - any text: its words, characters, passages and highlights lie in it and in order.
 *
 * The first three bytes of an input are the rules (a passage's tokens and overlap, where pieces
 * of evidence stand); the rest is a text. Words ascend, are folded the same a second time, and
 * are those that an analyzer counts; borders of characters hold what they should; passages hold
 * every token, no more tokens than they may, and never begin where one before did; highlights
 * are apart from each other and begin and end at borders. Run it: docs/fuzzing.md. */
#include <assert.h>
#include <string.h>

#include "engine/lexical.h"
#include "engine/words.h"
#include "ingest/chunker.h"
#include "query/graphemes.h"
#include "query/highlight.h"
#include "tests/fuzz/fuzz.h"

enum { TEXT_MAX = 600, PIECES_MAX = 16 };

static size_t check_words(const char *text, size_t len) {
    struct words words, inner;
    struct word_found found, again;
    size_t before = 0, n = 0, begin, end;
    words_init(&words, text, len);
    for (; words_next(&words, &found); n++) {
        assert(found.begin >= before && found.begin < found.end && found.end <= len);
        assert(found.folded_len <= WORD_BYTES_MAX && found.folded[found.folded_len] == '\0');
        assert(found.folded_len > 0 && fuzz_is_utf8(found.folded, found.folded_len));
        before = found.end;
        words_init(&inner, text + found.begin, found.end - found.begin);
        assert(words_next(&inner, &again) && again.folded_len == found.folded_len &&
               memcmp(again.folded, found.folded, found.folded_len) == 0);
    }
    words_init(&words, text, len);
    for (before = 0; words_next_run(&words, &begin, &end); before = end)
        assert(begin >= before && begin < end && end <= len);
    return n;
}

static void check_analyzer(const char *text, size_t len, size_t words_n) {
    static struct analyzer *analyzer;
    struct arena arena = {0};
    struct error err;
    struct lexical counted, found;
    struct lexical_occurrence *occurrences;
    size_t n;
    bool ok = analyzer || analyzer_open("words:en", NULL, &analyzer, &err);
    ok = ok && analyzer_run(analyzer, text, len, &arena, &counted, &err) &&
         analyzer_occurrences(analyzer, text, len, &arena, &found, &occurrences, &n, &err);
    assert(ok && counted.n == found.n && counted.length == found.length);
    assert(counted.length == (float)n && n <= words_n);
    float sum = 0;
    for (size_t i = 0; i < counted.n; i++) {
        sum += counted.terms[i].weight;
        assert(counted.terms[i].word_len == found.terms[i].word_len &&
               memcmp(counted.terms[i].word, found.terms[i].word, found.terms[i].word_len) == 0);
    }
    assert(sum == counted.length);
    for (size_t i = 0; i < n; i++)
        assert(occurrences[i].term < found.n && occurrences[i].begin < occurrences[i].end &&
               occurrences[i].end <= len &&
               (i == 0 || occurrences[i - 1].end <= occurrences[i].begin));
    arena_done(&arena);
}

static void check_borders(const char *text, size_t len, size_t at) {
    size_t before = graphemes_border_before(text, len, at);
    size_t behind = graphemes_border_behind(text, len, at);
    assert(before <= at && at <= behind && behind <= len);
    assert(graphemes_border_before(text, len, before) == before);
    assert(graphemes_border_behind(text, len, behind) == behind);
    assert((before == at) == (behind == at));
}

/* Every run of letters is a token, and so is every other byte that is no blank. */
static size_t make_tokens(const char *text, size_t len, struct token_range *out) {
    size_t n = 0;
    for (size_t at = 0, end; at < len; at = end) {
        for (end = at; end < len && ((text[end] | 32) >= 'a' && (text[end] | 32) <= 'z'); end++)
            continue;
        end += end == at;
        while (end < len && ((unsigned char)text[end] & 0xc0) == 0x80)
            end++;
        if (text[at] > ' ' || text[at] < 0)
            out[n++] = (struct token_range){(uint32_t)at, (uint32_t)end};
    }
    return n;
}

static void check_chunks(const char *text, size_t len, uint32_t tokens, uint32_t overlap) {
    static struct token_range ranges[TEXT_MAX];
    struct arena arena = {0};
    struct chunk *chunks;
    size_t ranges_n = make_tokens(text, len, ranges), at = 0;
    const struct chunk_rule rule = {1 + tokens, overlap % (1 + tokens)};
    size_t n = chunk_text(text, len, ranges, ranges_n, rule, &arena, &chunks);
    assert((n == 0) == (ranges_n == 0));
    for (size_t i = 0; i < n; i++) {
        assert(chunks[i].begin < chunks[i].end && chunks[i].end <= len);
        assert(i == 0 || chunks[i].begin > chunks[i - 1].begin);
        size_t inside = 0;
        for (size_t t = 0; t < ranges_n; t++)
            inside += ranges[t].begin >= chunks[i].begin && ranges[t].end <= chunks[i].end;
        /* Blanks beyond ASCII are tokens here, and trimmed at a passage's ends. */
        assert(inside <= chunks[i].tokens_n && chunks[i].tokens_n <= rule.tokens);
        for (; at < ranges_n && (ranges[at].end <= chunks[i].end || text[ranges[at].begin] < 0);
             at++)
            assert(ranges[at].begin >= chunks[i].begin || text[ranges[at].begin] < 0);
    }
    assert(at == ranges_n);
    arena_done(&arena);
}

static void check_highlights(const char *text, size_t len, uint32_t seed) {
    struct arena arena = {0};
    struct highlight_piece pieces[PIECES_MAX], *ranges;
    size_t n = 0;
    for (uint32_t at = seed % 7; at < len && n < PIECES_MAX; at += 1 + seed % 11) {
        uint32_t end = at + 1 + seed % 5;
        float score = (float)(n % 8 + 1) / 8;
        end = end < len ? end : (uint32_t)len;
        pieces[n++] = (struct highlight_piece){at, end, score, SEARCH_BY_SPARSE};
    }
    n = highlight_ranges(text, len, pieces, n, &arena, &ranges);
    for (size_t i = 0; i < n; i++) {
        assert(ranges[i].begin < ranges[i].end && ranges[i].end <= len);
        assert(i == 0 || ranges[i].begin >= ranges[i - 1].end);
        assert(ranges[i].score > 0 && ranges[i].score <= 1);
        assert(graphemes_border_before(text, len, ranges[i].begin) == ranges[i].begin);
        assert(graphemes_border_behind(text, len, ranges[i].end) == ranges[i].end);
    }
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input input = {data, data + size};
    uint32_t tokens = fuzz_byte(&input) % 40, overlap = fuzz_byte(&input), seed = fuzz_byte(&input);
    size_t len;
    const char *given = fuzz_text(&input, TEXT_MAX, &len);
    if (!fuzz_is_utf8(given, len))
        return 0; /* a stored text is UTF-8 */
    char *text = fuzz_copy(given, len);
    check_analyzer(text, len, check_words(text, len));
    for (size_t at = seed % 3; at <= len; at += 1 + seed % 9)
        check_borders(text, len, at);
    check_chunks(text, len, tokens, overlap);
    check_highlights(text, len, seed);
    free(text);
    return 0;
}
