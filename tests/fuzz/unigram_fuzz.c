/* unigram_fuzz - Unigram over any pieces and text: the best cut that a slow search finds.
 *
 * An input's first byte chooses one of some fixed vocabularies, or that one follows: a piece a
 * line behind a letter that is its score, up to an empty line. Behind that stands the text.
 * Words of small letters are cut in every way there is by a plain table over places (Viterbi):
 * the sum of our pieces' scores must be the best one, and our pieces must make up the word. Of
 * any text the ranges lie in it and ascend, ids are the vocabulary's, and a limit keeps what
 * stands in front of it. Run it: docs/fuzzing.md. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "engine/base/json.h"
#include "engine/tokenizer/tokenizer.h"
#include "tests/fuzz/fuzz.h"

#define MARK "\xe2\x96\x81" /* U+2581 */

enum { PIECES_MAX = 24, PIECE_BYTES_MAX = 20, TEXT_MAX = 200, SPECIALS_N = 4, UNKNOWN = 3 };
enum { UNKNOWN_PENALTY = 10 }; /* as unigram.c and its source have it */

struct vocabulary {
    char pieces[PIECES_MAX][PIECE_BYTES_MAX + 1];
    size_t lens[PIECES_MAX];
    double scores[PIECES_MAX];
    size_t n;
};

static size_t id_of(const struct vocabulary *vocabulary, const char *text, size_t len) {
    for (size_t id = 0; id < vocabulary->n; id++)
        if (vocabulary->lens[id] == len && memcmp(vocabulary->pieces[id], text, len) == 0)
            return id;
    return SIZE_MAX;
}

/* "_" in a piece is the mark of a word's beginning. Returns where the text begins. */
static size_t read_vocabulary(const char *bytes, size_t len, struct vocabulary *out) {
    static const char *const specials[SPECIALS_N] = {"<s>", "<pad>", "</s>", "<unk>"};
    size_t at = 0;
    memset(out, 0, sizeof *out);
    for (; out->n < SPECIALS_N; out->n++) {
        strcpy(out->pieces[out->n], specials[out->n]);
        out->lens[out->n] = strlen(specials[out->n]);
        out->scores[out->n] = 0;
    }
    while (at < len && bytes[at] != '\n') {
        const char *stop = memchr(bytes + at, '\n', len - at);
        size_t end = stop ? (size_t)(stop - bytes) : len, n = 0;
        char piece[PIECE_BYTES_MAX + 4];
        for (size_t i = at + 1; i < end && n <= PIECE_BYTES_MAX; i++) {
            const char *bytes_in = bytes[i] == '_' ? MARK : bytes + i;
            size_t more = bytes[i] == '_' ? sizeof MARK - 1 : 1;
            memcpy(piece + n, bytes_in, more);
            n += more;
        }
        if (out->n < PIECES_MAX && n <= PIECE_BYTES_MAX && fuzz_is_utf8(piece, n) &&
            !memchr(piece, 0, n) && id_of(out, piece, n) == SIZE_MAX) {
            memcpy(out->pieces[out->n], piece, n);
            out->lens[out->n] = n;
            out->scores[out->n++] = -(double)(bytes[at] & 31) / 4;
        }
        at = end + (stop != NULL);
    }
    return at + (at < len);
}

static struct tokenizer *open_tokenizer(const struct vocabulary *vocabulary) {
    static const char shell[] =
        "{\"added_tokens\":[{\"id\":0,\"content\":\"<s>\",\"special\":true},"
        "{\"id\":2,\"content\":\"</s>\",\"special\":true},"
        "{\"id\":3,\"content\":\"<unk>\",\"special\":true}],"
        "\"normalizer\":null,"
        "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"WhitespaceSplit\"}"
        ","
        "{\"type\":\"Metaspace\",\"replacement\":\"" MARK "\",\"prepend_scheme\":\"always\"}]},"
        "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
        "{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},"
        "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},"
        "{\"SpecialToken\":{\"id\":\"</s>\",\"type_id\":0}}],"
        "\"pair\":[{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},"
        "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},"
        "{\"SpecialToken\":{\"id\":\"</s>\",\"type_id\":0}},"
        "{\"SpecialToken\":{\"id\":\"</s>\",\"type_id\":0}},"
        "{\"Sequence\":{\"id\":\"B\",\"type_id\":0}},"
        "{\"SpecialToken\":{\"id\":\"</s>\",\"type_id\":0}}],"
        "\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[0],\"tokens\":[\"<s>\"]},"
        "\"</s>\":{\"id\":\"</s>\",\"ids\":[2],\"tokens\":[\"</s>\"]}}},"
        "\"model\":{\"type\":\"Unigram\",\"unk_id\":3}}";
    struct error err;
    struct tokenizer *tokenizer = NULL;
    struct buf text = {0};
    struct json *root = json_parse(shell, sizeof shell - 1, &err);
    assert(root);
    struct json *vocab = json_new_array(), *model = json_copy_of(json_get(root, "model"));
    for (size_t id = 0; id < vocabulary->n; id++) {
        struct json *entry = json_new_array();
        json_push(entry, json_new_string(vocabulary->pieces[id], strlen(vocabulary->pieces[id])));
        json_push(entry, json_new_number(vocabulary->scores[id]));
        json_push(vocab, entry);
    }
    json_add(model, "vocab", vocab);
    json_add(root, "model", model);
    json_print(root, &text);
    bool ok = tokenizer_open(text.data, text.len, "fuzz", &tokenizer, &err);
    assert(ok);
    json_release(root);
    buf_done(&text);
    return tokenizer;
}

/* Vocabularies that are opened once: opening one takes longer than reading many texts, and all of
 * the work that any text does is the same for each of them. */
static const char *const fixed[] = {"a_\nba\nbb\ncc\ndab\ndbc\ncabc\nd_a\nc_ab\nhcab\n\n",
                                    "d_\nda\nhaa\nlaaaa\npaaaaaaaa\nib\njab\n\n",
                                    "a\xc3\xa9\nb\xe4\xb8\xad\nce\xcc\x81\nd.\ne..\nf_.\n\n"};
enum { FIXED_N = sizeof fixed / sizeof *fixed, KINDS_N = 32 };

/* which: below KINDS_N; beyond the fixed ones the first again. *own: the input's, for 0. */
static const struct tokenizer *tokenizer_of(size_t which, struct vocabulary *own) {
    static struct vocabulary kept[1 + FIXED_N];
    static struct tokenizer *tokenizers[1 + FIXED_N];
    size_t at = which ? 1 + (which - 1) % FIXED_N : 0;
    if (at && !tokenizers[at])
        read_vocabulary(fixed[at - 1], strlen(fixed[at - 1]), own);
    else if (at)
        *own = kept[at];
    if (!tokenizers[at] || memcmp(&kept[at], own, sizeof *own) != 0) {
        tokenizer_close(tokenizers[at]);
        tokenizers[at] = open_tokenizer(own);
        kept[at] = *own;
    }
    return tokenizers[at];
}

/* ---- the oracle ---- */

/* The largest sum of scores of any cut of the word, behind its mark; a character that is no piece
 * may be unknown. */
static double best_cut(const struct vocabulary *vocabulary, const char *word, size_t len) {
    char marked[sizeof MARK + TEXT_MAX];
    double best[sizeof MARK + TEXT_MAX], unknown = 0;
    size_t mark = sizeof MARK - 1, n = mark + len;
    memcpy(marked, MARK, mark);
    memcpy(marked + mark, word, len);
    for (size_t id = 0; id < vocabulary->n; id++)
        unknown = fmin(unknown, vocabulary->scores[id]);
    unknown -= UNKNOWN_PENALTY;
    for (size_t end = 0; end <= n; end++)
        best[end] = end ? -INFINITY : 0;
    for (size_t at = 0; at < n; at = at ? at + 1 : mark) {
        size_t first = at ? at + 1 : mark; /* behind the next character */
        bool single = id_of(vocabulary, marked + at, first - at) != SIZE_MAX;
        for (size_t end = first; end <= n && end - at <= PIECE_BYTES_MAX; end++) {
            size_t id = id_of(vocabulary, marked + at, end - at);
            if (id != SIZE_MAX)
                best[end] = fmax(best[end], best[at] + vocabulary->scores[id]);
        }
        if (!single)
            best[first] = fmax(best[first], best[at] + unknown);
    }
    return best[n];
}

/* What our pieces of a word sum up to. Unknown characters side by side are one token, which reaches
 * to where the next one begins; the first token holds the mark, too. */
static double our_cut(const struct vocabulary *vocabulary, const struct tokens *tokens,
                      size_t first, size_t behind, size_t end) {
    double sum = 0, unknown = 0;
    for (size_t id = 0; id < vocabulary->n; id++)
        unknown = fmin(unknown, vocabulary->scores[id]);
    for (size_t i = first; i < behind; i++) {
        size_t next = i + 1 < behind ? tokens->ranges[i + 1].begin : end;
        size_t chars_n = next - tokens->ranges[i].begin + (i == first);
        sum += tokens->ids[i] != UNKNOWN ? vocabulary->scores[tokens->ids[i]]
                                         : (double)chars_n * (unknown - UNKNOWN_PENALTY);
    }
    return sum;
}

static bool is_letter(char c) {
    return c >= 'a' && c <= 'z';
}

/* Text of small letters and single blanks. */
static void check_words(const struct vocabulary *vocabulary, const char *text, size_t len,
                        const struct tokens *tokens) {
    size_t token = 1;
    for (size_t i = 0; i < len; i++)
        if (!is_letter(text[i]) && text[i] != ' ')
            return;
    for (size_t at = 0, end; at < len; at = end + 1) {
        for (end = at; end < len && is_letter(text[end]); end++)
            continue;
        if (end == at)
            continue;
        size_t first = token;
        while (token + 1 < tokens->n && tokens->ranges[token].end <= end &&
               tokens->ranges[token].begin >= at)
            token++;
        double best = best_cut(vocabulary, text + at, end - at);
        double ours = our_cut(vocabulary, tokens, first, token, end);
        assert(token > first && tokens->ranges[token - 1].end == end);
        assert(fabs(best - ours) <= 1e-6 * (1 + fabs(best)));
    }
    assert(token + 1 == tokens->n);
}

static struct tokens encode(const struct tokenizer *tokenizer, const char *text, size_t len,
                            size_t max, struct arena *arena) {
    struct tokens tokens;
    struct error err;
    bool ok = tokenizer_encode(tokenizer, text, len, max, arena, &tokens, &err);
    assert(ok && tokens.n >= 2);
    size_t before = 0;
    for (size_t i = 0; i + 1 < tokens.n; i++) {
        assert(tokens.ids[i] < tokenizer_vocabulary_n(tokenizer));
        assert(tokens.ranges[i].begin <= tokens.ranges[i].end && tokens.ranges[i].end <= len);
        assert(tokens.ranges[i].end == 0 || tokens.ranges[i].begin >= before);
        before = tokens.ranges[i].begin;
    }
    return tokens;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct vocabulary vocabulary;
    struct arena arena = {0};
    size_t which = size ? data[0] % KINDS_N : 1, at = size > 0;
    if (which == 0)
        at += read_vocabulary((const char *)data + 1, size - 1, &vocabulary);
    size_t len = size - at < TEXT_MAX ? size - at : TEXT_MAX;
    char *text = fuzz_copy(data + at, len);
    const struct tokenizer *tokenizer = tokenizer_of(which, &vocabulary);
    struct tokens tokens = encode(tokenizer, text, len, 0, &arena);
    check_words(&vocabulary, text, len, &tokens);
    struct tokens cut = encode(tokenizer, text, len, 5, &arena);
    assert(cut.n == (tokens.n < 5 ? tokens.n : 5));
    assert(memcmp(cut.ids, tokens.ids, (cut.n - 1) * sizeof *cut.ids) == 0);
    arena_done(&arena);
    free(text);
    return 0;
}
