/* wordpiece_fuzz - WordPiece over any vocabulary and text: the pieces that a slow reading says.
 *
 * An input's first byte chooses one of some fixed vocabularies, or that one follows: a piece a
 * line, up to an empty line. Behind that stands the text. Without upper case, marks and
 * ideographs a word's pieces are found by trying every length from the longest down in a list;
 * ours must be the same, with the same ranges. Of any text the ranges lie in it and ascend, ids
 * are the vocabulary's, a limit keeps what stands in front of it, and a blank between two
 * letters cuts what can be read apart: both halves give the tokens of the whole. Run it:
 * docs/fuzzing.md. */
#include <assert.h>
#include <string.h>

#include "engine/base/json.h"
#include "engine/tokenizer/tokenizer.h"
#include "tests/fuzz/fuzz.h"

enum { PIECES_MAX = 24, PIECE_BYTES_MAX = 20, TEXT_MAX = 200, SPECIALS_N = 3, WORD_CHARS_MAX = 12 };
enum { UNKNOWN, CLS, SEP };

struct vocabulary {
    char pieces[PIECES_MAX][PIECE_BYTES_MAX + 1];
    size_t lens[PIECES_MAX];
    size_t n;
};

/* ---- a tokenizer of the input's own ---- */

static size_t id_of(const struct vocabulary *vocabulary, const char *text, size_t len) {
    for (size_t id = 0; id < vocabulary->n; id++)
        if (vocabulary->lens[id] == len && memcmp(vocabulary->pieces[id], text, len) == 0)
            return id;
    return SIZE_MAX;
}

/* Returns where the text begins. */
static size_t read_vocabulary(const char *bytes, size_t len, struct vocabulary *out) {
    static const char *const specials[SPECIALS_N] = {"[UNK]", "[CLS]", "[SEP]"};
    size_t at = 0;
    memset(out, 0, sizeof *out);
    for (; out->n < SPECIALS_N; out->n++) {
        strcpy(out->pieces[out->n], specials[out->n]);
        out->lens[out->n] = strlen(specials[out->n]);
    }
    while (at < len && bytes[at] != '\n') {
        const char *stop = memchr(bytes + at, '\n', len - at);
        size_t end = stop ? (size_t)(stop - bytes) : len, piece_len = end - at;
        if (out->n < PIECES_MAX && piece_len <= PIECE_BYTES_MAX &&
            fuzz_is_utf8(bytes + at, piece_len) && !memchr(bytes + at, 0, piece_len) &&
            id_of(out, bytes + at, piece_len) == SIZE_MAX) {
            memcpy(out->pieces[out->n], bytes + at, piece_len);
            out->lens[out->n++] = piece_len;
        }
        at = end + (stop != NULL);
    }
    return at + (at < len);
}

static struct tokenizer *open_tokenizer(const struct vocabulary *vocabulary) {
    static const char shell[] =
        "{\"added_tokens\":[{\"id\":0,\"content\":\"[UNK]\",\"special\":true},"
        "{\"id\":1,\"content\":\"[CLS]\",\"special\":true},"
        "{\"id\":2,\"content\":\"[SEP]\",\"special\":true}],"
        "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,"
        "\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":true},"
        "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
        "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",2],"
        "\"cls\":[\"[CLS]\",1]},"
        "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\","
        "\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":12}}";
    struct error err;
    struct tokenizer *tokenizer = NULL;
    struct buf text = {0};
    struct json *root = json_parse(shell, sizeof shell - 1, &err);
    struct json *vocab = json_new_object(), *model = json_copy_of(json_get(root, "model"));
    for (size_t id = 0; id < vocabulary->n; id++)
        json_add_number(vocab, vocabulary->pieces[id], (double)id);
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
static const char *const fixed[] = {
    "a\nab\n##b\n##bc\n##c\n##a\n##\n,\nabc\n##abcab\n\n",
    "u\nun\n##a\n##aff\n##able\n##ab\n##l\n##e\n##affable\n\n",
    "\xc3\xa9\ne\n##e\n\xe4\xb8\xad\n##\xcc\x81\nfi\n##1\n1\n.\n##s\n\n"};
enum { FIXED_N = sizeof fixed / sizeof *fixed, KINDS_N = 8 };

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

/* ---- the oracle, for words of ASCII without upper case ---- */

struct expected {
    uint32_t ids[TEXT_MAX + 2];
    struct token_range ranges[TEXT_MAX + 2];
    size_t n;
};

static void expect(struct expected *out, size_t id, size_t begin, size_t end) {
    out->ids[out->n] = (uint32_t)id;
    out->ranges[out->n++] = (struct token_range){(uint32_t)begin, (uint32_t)end};
}

static void expect_word(const struct vocabulary *vocabulary, const char *text, size_t begin,
                        size_t end, struct expected *out) {
    size_t n = out->n, at = begin;
    while (at < end && end - begin <= WORD_CHARS_MAX) {
        char piece[WORD_CHARS_MAX + 3] = "##";
        size_t prefix = at > begin ? 2 : 0, stop = end, id = SIZE_MAX;
        for (; stop > at; stop--) {
            memcpy(piece + prefix, text + at, stop - at);
            id = id_of(vocabulary, piece, prefix + stop - at);
            if (id != SIZE_MAX)
                break;
        }
        if (id == SIZE_MAX)
            break;
        expect(out, id, at, stop);
        at = stop;
    }
    if (at == end)
        return;
    out->n = n;
    expect(out, UNKNOWN, begin, end);
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* False: the text holds what this does not know. */
static bool expect_all(const struct vocabulary *vocabulary, const char *text, size_t len,
                       struct expected *out) {
    out->n = 0;
    expect(out, CLS, 0, 0);
    for (size_t at = 0, end; at < len; at = end) {
        for (end = at; end < len && is_letter(text[end]); end++)
            continue;
        if (end > at)
            expect_word(vocabulary, text, at, end, out);
        else if (text[end] < ' ' ? !is_blank(text[end])
                                 : text[end] == 0x7f || text[end] == '[' ||
                                       (text[end] >= 'A' && text[end] <= 'Z'))
            return false;
        else if (is_blank(text[end++]))
            continue;
        else
            expect_word(vocabulary, text, end - 1, end, out);
    }
    expect(out, SEP, 0, 0);
    return true;
}

/* ---- any text ---- */

static struct tokens encode(const struct tokenizer *tokenizer, const char *text, size_t len,
                            size_t max, struct arena *arena) {
    struct tokens tokens;
    struct error err;
    bool ok = tokenizer_encode(tokenizer, text, len, max, arena, &tokens, &err);
    assert(ok && tokens.n >= 2);
    size_t before = 0;
    for (size_t i = 0; i < tokens.n; i++) {
        assert(tokens.ids[i] < tokenizer_vocabulary_n(tokenizer));
        assert(tokens.ranges[i].begin <= tokens.ranges[i].end && tokens.ranges[i].end <= len);
        if (tokens.ranges[i].end > 0)
            assert(tokens.ranges[i].begin >= before);
        before = tokens.ranges[i].begin;
    }
    return tokens;
}

static void check_halves(const struct tokenizer *tokenizer, const char *text, size_t len,
                         const struct tokens *whole, struct arena *arena) {
    for (size_t i = 1; i + 1 < len; i++) {
        if (text[i] != ' ' || !is_letter(text[i - 1]) || !is_letter(text[i + 1]))
            continue;
        struct tokens left = encode(tokenizer, text, i, 0, arena);
        struct tokens right = encode(tokenizer, text + i + 1, len - i - 1, 0, arena);
        size_t left_n = left.n - 1; /* without its [SEP] */
        assert(left_n + right.n - 1 == whole->n);
        assert(memcmp(left.ids, whole->ids, left_n * sizeof *left.ids) == 0);
        assert(memcmp(right.ids + 1, whole->ids + left_n, (right.n - 1) * sizeof *right.ids) == 0);
        for (size_t j = 1; j + 1 < right.n; j++)
            assert(right.ranges[j].end + i + 1 == whole->ranges[left_n + j - 1].end);
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct vocabulary vocabulary;
    static struct expected expected;
    struct arena arena = {0};
    size_t which = size ? data[0] % KINDS_N : 1, at = size > 0;
    if (which == 0)
        at += read_vocabulary((const char *)data + 1, size - 1, &vocabulary);
    size_t len = size - at < TEXT_MAX ? size - at : TEXT_MAX;
    char *text = fuzz_copy(data + at, len);
    const struct tokenizer *tokenizer = tokenizer_of(which, &vocabulary);
    struct tokens tokens = encode(tokenizer, text, len, 0, &arena);
    if (expect_all(&vocabulary, text, len, &expected)) {
        assert(tokens.n == expected.n);
        for (size_t i = 0; i < tokens.n; i++)
            assert(tokens.ids[i] == expected.ids[i] &&
                   tokens.ranges[i].begin == expected.ranges[i].begin &&
                   tokens.ranges[i].end == expected.ranges[i].end);
    }
    struct tokens cut = encode(tokenizer, text, len, 5, &arena);
    assert(cut.n == (tokens.n < 5 ? tokens.n : 5) && cut.ids[cut.n - 1] == SEP);
    assert(memcmp(cut.ids, tokens.ids, (cut.n - 1) * sizeof *cut.ids) == 0);
    check_halves(tokenizer, text, len, &tokens, &arena);
    arena_done(&arena);
    free(text);
    return 0;
}
