/* The tokenizer on a vocabulary of two dozen pieces: every rule by itself, hostile texts, and
 * tokenizer.json files that are wrong in one place. */
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/tokenizer/tokenizer.h"
#include "engine/tokenizer/trie.h"
#include "tests/check.h"

#define BERT_NORMALIZER                                                                            \
    "{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"              \
    "\"strip_accents\":null,\"lowercase\":true}"
#define CASED_NORMALIZER                                                                           \
    "{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"              \
    "\"strip_accents\":null,\"lowercase\":false}"
#define PRE_TOKENIZER "{\"type\":\"BertPreTokenizer\"}"
#define BERT_POST "{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2]}"
#define SPECIAL(name, type) "{\"SpecialToken\":{\"id\":\"" name "\",\"type_id\":" #type "}}"
#define SEQUENCE(name, type) "{\"Sequence\":{\"id\":\"" name "\",\"type_id\":" #type "}}"
#define SINGLE "[" SPECIAL("[CLS]", 0) "," SEQUENCE("A", 0) "," SPECIAL("[SEP]", 0) "]"
#define PAIR                                                                                       \
    "[" SPECIAL("[CLS]", 0) "," SEQUENCE("A", 0) "," SPECIAL("[SEP]", 0) "," SEQUENCE(             \
        "B", 1) "," SPECIAL("[SEP]", 1) "]"
#define NAMES "{\"[CLS]\":{\"ids\":[2]},\"[SEP]\":{\"ids\":[3]}}"
#define POST(single, pair, names)                                                                  \
    "{\"type\":\"TemplateProcessing\",\"single\":" single ",\"pair\":" pair                        \
    ",\"special_tokens\":" names "}"
#define TEMPLATE_POST POST(SINGLE, PAIR, NAMES)
#define ADDED(id, content, more)                                                                   \
    "{\"id\":" #id ",\"content\":\"" content "\"," more "\"normalized\":false}"
/* clang-format off: one token a line */
#define ADDED_TOKENS                                                                               \
    "[" ADDED(0, "[PAD]", "\"special\":true,")                                                     \
    "," ADDED(1, "[UNK]", "\"special\":true,")                                                     \
    "," ADDED(2, "[CLS]", "\"special\":true,")                                                     \
    "," ADDED(3, "[SEP]", "\"special\":true,")                                                     \
    "," ADDED(4, "[MASK]", "\"special\":true,\"lstrip\":true,")                                    \
    "," ADDED(30, "alone", "\"single_word\":true,")                                                \
    "," ADDED(31, "[C]", "\"rstrip\":true,")                                                       \
    "," ADDED(32, "[C]x", "") "]"
/* clang-format on */
#define VOCAB                                                                                      \
    "{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"[MASK]\":4,\"a\":5,\"b\":6,\"c\":7,"       \
    "\"bad\":8,\"face\":9,\"##a\":10,\"##b\":11,\"##d\":12,\"##ed\":13,\"##face\":14,"             \
    "\"\\u4e2d\":15,\".\":16,\"[\":17,\"]\":18,\"cls\":19,\"##\\u0301\":20,\"e\":21,\"A\":22,"     \
    "\"\\u1b44\":23,\"##\\u1b44\":24,\"##\\u302e\":25,\"i\":26,\"\\u1112\":27,\"##\\u1161\":28,"   \
    "\"##\\u11ab\":29}"
#define MODEL_OF(vocab)                                                                            \
    "{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","        \
    "\"max_input_chars_per_word\":100,\"vocab\":" vocab "}"
#define MODEL MODEL_OF(VOCAB)
#define FILE_OF(added, normalizer, pre, post, model)                                               \
    "{\"added_tokens\":" added ",\"normalizer\":" normalizer ",\"pre_tokenizer\":" pre             \
    ",\"post_processor\":" post ",\"model\":" model "}"

enum { UNK = 1, CLS = 2, SEP = 3, MASK = 4 };

static const char whole[] =
    FILE_OF(ADDED_TOKENS, BERT_NORMALIZER, PRE_TOKENIZER, TEMPLATE_POST, MODEL);

static struct arena arena;

static struct tokenizer *must_open(const char *json) {
    struct error err = {0};
    struct tokenizer *tokenizer = NULL;
    CHECK_OK(tokenizer_open(json, strlen(json), "tokenizer.json", &tokenizer, &err), err);
    if (!tokenizer)
        exit(1);
    return tokenizer;
}

/* ---- ids and ranges ---- */

/* "5[0,1] 12[1,2]": the tokens without the specials at both ends. */
static const char *shown(const struct tokenizer *tokenizer, const char *text, size_t len) {
    static struct buf out;
    struct error err = {0};
    struct tokens tokens = {0};
    buf_clear(&out);
    buf_text(&out, "");
    CHECK_OK(tokenizer_encode(tokenizer, text, len, 0, &arena, &tokens, &err), err);
    CHECK(tokens.n >= 2 && tokens.ids[0] == CLS && tokens.ids[tokens.n - 1] == SEP);
    for (size_t i = 1; i + 1 < tokens.n; i++)
        buf_format(&out, "%s%u[%u,%u]", i > 1 ? " " : "", tokens.ids[i], tokens.ranges[i].begin,
                   tokens.ranges[i].end);
    return out.data;
}

#define CHECK_TOKENS(tokenizer, text, expected)                                                    \
    CHECK_TEXT(shown(tokenizer, text, sizeof text - 1), expected)

static void words_and_pieces(const struct tokenizer *t) {
    CHECK_TOKENS(t, "", "");
    CHECK_TOKENS(t, " \t\n\r ", "");
    CHECK_TOKENS(t, "bad", "8[0,3]");
    CHECK_TOKENS(t, "Bad FACE", "8[0,3] 9[4,8]");
    CHECK_TOKENS(t, "faced", "9[0,4] 12[4,5]");
    CHECK_TOKENS(t, "badface", "8[0,3] 14[3,7]");
    CHECK_TOKENS(t, "a.b", "5[0,1] 16[1,2] 6[2,3]");
    CHECK_TOKENS(t, "##a", "1[0,1] 1[1,2] 5[2,3]"); /* "#" is punctuation, not a prefix */
    CHECK_TOKENS(t, "faceq a", "1[0,5] 5[6,7]");    /* the pieces found so far are taken back */
    CHECK_TOKENS(t, "a\0b", "5[0,1] 11[2,3]");      /* NUL is a control and goes */
}

static void unicode_steps(const struct tokenizer *t) {
    CHECK_TOKENS(t, "b\u00e1d", "8[0,4]"); /* composed accent: its bytes are the letter's */
    CHECK_TOKENS(t, "ba\u0301d", "8[0,5]");
    CHECK_TOKENS(t, "ba\u0301", "6[0,1] 10[1,2]"); /* an accent at the end is nobody's */
    CHECK_TOKENS(t, "a\u4e2db", "5[0,1] 15[1,4] 6[4,5]");
    CHECK_TOKENS(t, "\ud55c", "27[0,3] 28[0,3] 29[0,3]"); /* one syllable, three jamo */
    CHECK_TOKENS(t, "\u0130", "26[0,2]");                 /* I with dot: decomposed, the dot goes */
    CHECK_TOKENS(t, "a\u00a0b\u3000c", "5[0,1] 6[3,4] 7[7,8]");
    CHECK_TOKENS(t, "a\u200db", "5[0,1] 11[4,5]"); /* joiner: a format character, goes */
}

/* U+302E (class 224) and U+1B44 (class 9) are spacing marks, which stay and trade places; the
 * bytes stay in place. */
static void canonical_order(const struct tokenizer *t) {
    CHECK_TOKENS(t, "a\u302e\u1b44", "5[0,1] 24[1,4] 25[4,7]");
    CHECK_TOKENS(t, "a\u0301\u1b44", "5[0,1] 24[1,3]");
    CHECK_TOKENS(t, "\u00e1\u1b44", "5[0,2] 24[2,5]");
}

static void bytes_that_are_no_text(const struct tokenizer *t) {
    CHECK_TOKENS(t,
                 "a\xff"
                 "b",
                 "5[0,1] 11[2,3]"); /* U+FFFD, which clean_text removes */
    CHECK_TOKENS(t, "\xc3", "");
    CHECK_TOKENS(t, "a\xe4\xb8", "5[0,1]");
    CHECK_TOKENS(t,
                 "\xed\xa0\x80"
                 "a",
                 "5[3,4]"); /* a surrogate */
    CHECK_TOKENS(t,
                 "\xc0\x80"
                 "a \xf5.",
                 "5[2,3] 16[5,6]");
}

static void cased_model_keeps_accents(void) {
    struct tokenizer *t =
        must_open(FILE_OF(ADDED_TOKENS, CASED_NORMALIZER, PRE_TOKENIZER, TEMPLATE_POST, MODEL));
    CHECK_TOKENS(t, "A a", "22[0,1] 5[2,3]");
    CHECK_TOKENS(t, "e\u0301", "21[0,1] 20[1,3]");
    CHECK_TOKENS(t, "\u00e9", "1[0,2]"); /* not decomposed */
    tokenizer_close(t);
}

static void added_tokens_in_the_text(const struct tokenizer *t) {
    CHECK_TOKENS(t, "[SEP]", "3[0,5]");
    CHECK_TOKENS(t, "a[CLS]b", "5[0,1] 2[1,6] 6[6,7]");
    CHECK_TOKENS(t, "[cls]", "17[0,1] 19[1,4] 18[4,5]");
    CHECK_TOKENS(t, "[[CLS]]", "17[0,1] 2[1,6] 18[6,7]");
    CHECK_TOKENS(t, "a \t[MASK] b", "5[0,1] 4[1,9] 6[10,11]"); /* lstrip */
    CHECK_TOKENS(t, "a\u3000[MASK]", "5[0,1] 4[1,10]");
    CHECK_TOKENS(t, "[SEP] [MASK] [MASK]", "3[0,5] 4[5,12] 4[12,19]"); /* never beyond a match */
    CHECK_TOKENS(t, "[C] \u00a0a", "31[0,6] 5[6,7]");                  /* rstrip */
    CHECK_TOKENS(t, "[C]x", "32[0,4]");                                /* the longest wins */
    CHECK_TOKENS(t, "alone", "30[0,5]");
    CHECK_TOKENS(t, "(alone)", "1[0,1] 30[1,6] 1[6,7]");
    CHECK_TOKENS(t, "balone a", "1[0,6] 5[7,8]"); /* single_word */
    CHECK_TOKENS(t,
                 "\u00e9"
                 "alone a",
                 "1[0,7] 5[8,9]");
    CHECK(tokenizer_is_special(t, CLS) && tokenizer_is_special(t, MASK));
    CHECK(!tokenizer_is_special(t, 5) && !tokenizer_is_special(t, 30));
    CHECK(!tokenizer_is_special(t, 1000000));
    CHECK_EQUAL(tokenizer_vocabulary_n(t), 33);
    CHECK_TEXT(tokenizer_token_text(t, 13), "##ed");
    CHECK_TEXT(tokenizer_token_text(t, 32), "[C]x");
    CHECK(!tokenizer_token_text(t, 33));
}

static void words_at_the_limit(const struct tokenizer *t) {
    struct buf text = {0};
    for (size_t n = 99; n <= 102; n++) {
        struct error err;
        struct tokens tokens;
        buf_clear(&text);
        for (size_t i = 0; i < n; i++)
            buf_text(&text, "\u00e1"); /* 2 bytes; counted as one character */
        CHECK_OK(tokenizer_encode(t, text.data, text.len, 0, &arena, &tokens, &err), err);
        CHECK_EQUAL(tokens.n, n <= 100 ? n + 2 : 3);
        CHECK_EQUAL(tokens.ids[1], n <= 100 ? 5 : UNK);
        CHECK_EQUAL(tokens.ranges[tokens.n - 2].end, 2 * n);
    }
    buf_done(&text);
}

/* ---- lengths and pairs ---- */

static void cut_to_max_length(const struct tokenizer *t) {
    struct error err;
    struct tokens tokens;
    CHECK_OK(tokenizer_encode(t, "a b c", 5, 4, &arena, &tokens, &err), err);
    CHECK(tokens.n == 4 && tokens.ids[2] == 6 && tokens.ids[3] == SEP);
    CHECK(tokens.ranges[3].begin == 0 && tokens.ranges[3].end == 0);
    CHECK_OK(tokenizer_encode(t, "a b c", 5, 2, &arena, &tokens, &err), err);
    CHECK(tokens.n == 2 && tokens.ids[0] == CLS && tokens.ids[1] == SEP);
    CHECK_OK(tokenizer_encode(t, "faceq a", 7, 3, &arena, &tokens, &err), err);
    CHECK(tokens.n == 3 && tokens.ids[1] == UNK); /* full before the word turned out unknown */
    CHECK(!tokenizer_encode(t, "a", 1, 1, &arena, &tokens, &err));
    CHECK_EQUAL(err.code, ERROR_INVALID);
}

static const char *shown_cut(const struct tokenizer *t, const char *query, const char *passage,
                             size_t max_length, enum tokenizer_cut cut) {
    static struct buf out;
    struct error err = {0};
    struct tokens tokens = {0};
    buf_clear(&out);
    CHECK_OK(tokenizer_encode_pair(t, query, strlen(query), passage, strlen(passage), max_length,
                                   cut, &arena, &tokens, &err),
             err);
    for (size_t i = 0; i < tokens.n; i++)
        buf_format(&out, "%s%u%s", i ? " " : "", tokens.ids[i], tokens.type_ids[i] ? "'" : "");
    return out.data;
}

static const char *shown_pair(const struct tokenizer *t, const char *query, const char *passage,
                              size_t max_length) {
    return shown_cut(t, query, passage, max_length, TOKENIZER_CUT_ONLY_SECOND);
}

static void pairs_longest_first(const struct tokenizer *t) {
    enum tokenizer_cut cut = TOKENIZER_CUT_LONGEST_FIRST;
    struct tokens tokens;
    struct error err = {0};
    CHECK_TEXT(shown_cut(t, "a b", "c", 0, cut), "2 5 6 3 7' 3'");
    CHECK_TEXT(shown_cut(t, "a", "a b c a", 6, cut), "2 5 3 5' 6' 3'");
    CHECK_TEXT(shown_cut(t, "a b c a", "a", 6, cut), "2 5 6 3 5' 3'");
    CHECK_TEXT(shown_cut(t, "a b c", "c b a", 8, cut), "2 5 6 3 7' 6' 5' 3'"); /* odd room */
    CHECK_TEXT(shown_cut(t, "a b c a b", "c b a", 6, cut), "2 5 6 3 7' 3'");
    CHECK_TEXT(shown_cut(t, "a b c", "c b a", 3, cut), "2 3 3'");
    CHECK_TEXT(shown_cut(t, "a b c", "", 4, cut), "2 5 6 3"); /* no passage */
    CHECK(!tokenizer_encode_pair(t, "a", 1, "b", 1, 2, cut, &arena, &tokens, &err));
    CHECK_EQUAL(err.code, ERROR_INVALID);
}

static void pairs_as_flag_reranker(const struct tokenizer *t) {
    CHECK_TEXT(shown_pair(t, "a b", "c", 0), "2 5 6 3 7' 3'");
    CHECK_TEXT(shown_pair(t, "a", "", 16), "2 5 3 3'");
    CHECK_TEXT(shown_pair(t, "", "", 0), "2 3 3'");
    CHECK_TEXT(shown_pair(t, "a", "a b c a", 6), "2 5 3 5' 6' 3'"); /* the passage is cut */
    CHECK_TEXT(shown_pair(t, "a a a a a a a a", "b c", 8), "2 5 5 5 5 5 5 3 6' 7' 3'");
    CHECK_TEXT(shown_pair(t, "a b c", "c b a", 4), "2 5 6 7 3 7' 6' 5' 3'"); /* nothing is cut */
    struct tokens tokens;
    struct error err;
    CHECK_OK(tokenizer_encode_pair(t, "a b", 3, "c b", 3, 0, TOKENIZER_CUT_ONLY_SECOND, &arena,
                                   &tokens, &err),
             err);
    CHECK(tokens.ranges[4].begin == 0 && tokens.ranges[5].begin == 2); /* in the passage */
}

static void other_post_processors(void) {
    struct error err;
    struct tokens tokens;
    struct tokenizer *bert =
        must_open(FILE_OF(ADDED_TOKENS, BERT_NORMALIZER, PRE_TOKENIZER, BERT_POST, MODEL));
    CHECK_TOKENS(bert, "a", "5[0,1]");
    CHECK_TEXT(shown_pair(bert, "a b", "c", 0), "2 5 6 3 7' 3'");
    tokenizer_close(bert);
    struct tokenizer *bare =
        must_open(FILE_OF(ADDED_TOKENS, BERT_NORMALIZER, PRE_TOKENIZER, "null", MODEL));
    CHECK_OK(tokenizer_encode(bare, "a", 1, 0, &arena, &tokens, &err), err);
    CHECK(tokens.n == 1 && tokens.ids[0] == 5);
    CHECK_OK(tokenizer_encode(bare, "", 0, 0, &arena, &tokens, &err), err);
    CHECK_EQUAL(tokens.n, 0);
    tokenizer_close(bare);
}

/* ---- hostile texts ---- */

static void random_text(unsigned long long *seed, struct buf *out) {
    static const char *const parts[] = {
        "a",      "bad",    "face",       "ed",         " ",        "\n",     ".",
        "[CLS]",  "[MASK]", "[",          "alone",      "\u0301",   "\u1b44", "\u302e",
        "\u4e2d", "\ud55c", "\u00e9",     "\xff",       "\xe4\xb8", "\xf0",   "\u0130",
        "\u0344", "\u200d", "\U0001f600", "\U0002f800", "\u2028",   "[C]",    "\U0001d15e"};
    size_t n = check_random(seed) % 3000;
    buf_clear(out);
    for (size_t i = 0; i < n; i++) {
        const char *part = parts[check_random(seed) % (sizeof parts / sizeof *parts)];
        for (size_t times = check_random(seed) % 16 ? 1 : check_random(seed) % 300; times; times--)
            buf_text(out, part);
    }
}

/* Ranges lie in the text and never go back; cutting early gives the beginning of the whole. */
static void random_texts_keep_their_promises(const struct tokenizer *t) {
    unsigned long long seed = 7;
    struct buf text = {0};
    for (int round = 0; round < 300; round++) {
        struct error err;
        struct tokens tokens, cut;
        random_text(&seed, &text);
        CHECK_OK(tokenizer_encode(t, text.data, text.len, 0, &arena, &tokens, &err), err);
        uint32_t at = 0;
        bool fine = true;
        for (size_t i = 1; i + 1 < tokens.n; i++) {
            fine &= tokens.ids[i] < 33 && tokens.ranges[i].begin < tokens.ranges[i].end &&
                    tokens.ranges[i].end <= text.len && tokens.ranges[i].begin >= at;
            at = tokens.ranges[i].begin;
        }
        CHECK(fine);
        size_t max_length = 2 + check_random(&seed) % 600;
        CHECK_OK(tokenizer_encode(t, text.data, text.len, max_length, &arena, &cut, &err), err);
        CHECK_EQUAL(cut.n, tokens.n < max_length ? tokens.n : max_length);
        CHECK(memcmp(cut.ids, tokens.ids, (cut.n - 1) * sizeof *cut.ids) == 0);
        CHECK(memcmp(cut.ranges, tokens.ranges, (cut.n - 1) * sizeof *cut.ranges) == 0);
        arena_reset(&arena);
    }
    buf_done(&text);
}

/* Words in one text are what each is alone, wherever the normalizer's stretches end. */
static void stretches_do_not_show(const struct tokenizer *t) {
    struct buf text = {0};
    struct error err;
    struct tokens tokens;
    enum { WORDS_N = 3000 };
    for (int i = 0; i < WORDS_N; i++)
        buf_text(&text, i % 3 ? "b\u00e1d " : "\ud55c\u4e2d "); /* 1 token, 4 tokens */
    CHECK_OK(tokenizer_encode(t, text.data, text.len, 0, &arena, &tokens, &err), err);
    CHECK_EQUAL(tokens.n, 2 + WORDS_N / 3 * (2 + 4));
    for (size_t i = 1; i + 1 < tokens.n; i += 6)
        CHECK(tokens.ids[i] == 27 && tokens.ids[i + 3] == 15 && tokens.ids[i + 4] == 8);
    buf_done(&text);
}

/* Quadratic time would show as the test's timeout. */
static void long_texts_take_linear_time(const struct tokenizer *t) {
    static const char *const parts[] = {"a",      "\u0301", "\u302e\u1b44", "[CLS", "\xff",
                                        "[MASK]", " ",      "\u4e2d"};
    enum { BYTES = 4 << 20 };
    struct buf text = {0};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct error err;
        struct tokens tokens;
        buf_clear(&text);
        while (text.len < BYTES)
            buf_text(&text, parts[i]);
        CHECK_OK(tokenizer_encode(t, text.data, text.len, 0, &arena, &tokens, &err), err);
        arena_reset(&arena);
    }
    struct error err;
    struct tokens tokens; /* the length is refused before the text is touched */
    CHECK(!tokenizer_encode(t, "", (size_t)UINT32_MAX + 1, 0, &arena, &tokens, &err));
    CHECK_EQUAL(err.code, ERROR_LIMIT);
    buf_done(&text);
}

/* ---- broken files ---- */

#define WITH_MODEL(model)                                                                          \
    FILE_OF(ADDED_TOKENS, BERT_NORMALIZER, PRE_TOKENIZER, TEMPLATE_POST, model)
#define WITH_POST(post) FILE_OF(ADDED_TOKENS, BERT_NORMALIZER, PRE_TOKENIZER, post, MODEL)
#define WITH_ADDED(added) FILE_OF(added, BERT_NORMALIZER, PRE_TOKENIZER, TEMPLATE_POST, MODEL)
#define WITH_NORMALIZER(normalizer)                                                                \
    FILE_OF(ADDED_TOKENS, normalizer, PRE_TOKENIZER, TEMPLATE_POST, MODEL)
#define WITH_PRE(pre) FILE_OF(ADDED_TOKENS, BERT_NORMALIZER, pre, TEMPLATE_POST, MODEL)

#define WITH_NO_ADDED                                                                              \
    "\"normalizer\":" BERT_NORMALIZER ",\"pre_tokenizer\":" PRE_TOKENIZER ",\"model\":" MODEL "}"

static void broken_files_are_refused(void) {
    static const struct {
        const char *json, *says;
        enum error_code code;
    } cases[] = {
        {"", "not valid JSON", ERROR_INVALID},
        {"[]", "must be an object", ERROR_INVALID},
        {"{}", "model: must be an object, found nothing", ERROR_INVALID},
        {"{\"model\":{}}", "model.type: missing", ERROR_INVALID},
        {"{\"model\":{\"type\":3}}", "model: \"type\" must be a string", ERROR_INVALID},
        {"{\"model\":{\"type\":\"BPE\"}}",
         "tokenizer model BPE is not supported, only WordPiece and Unigram", ERROR_UNSUPPORTED},
        {WITH_MODEL("{\"type\":\"WordPiece\"}"), "model.vocab: must be an object", ERROR_INVALID},
        {WITH_MODEL(MODEL_OF("[]")), "model.vocab: must be an object", ERROR_INVALID},
        {WITH_MODEL(MODEL_OF("{}")), "model.unk_token", ERROR_INVALID},
        {WITH_MODEL(MODEL_OF("{\"a\":\"0\"}")), "must be a number, found a string", ERROR_INVALID},
        {WITH_MODEL(MODEL_OF("{\"a\":-1}")), "found -1", ERROR_INVALID},
        {WITH_MODEL(MODEL_OF("{\"a\":0.5}")), "found 0.5", ERROR_INVALID},
        {WITH_MODEL(MODEL_OF("{\"a\":1e18}")), "beyond the file's", ERROR_INVALID},
        {WITH_MODEL(MODEL_OF("{\"a\":4000000000}")), "beyond the file's", ERROR_INVALID},
        {WITH_MODEL(MODEL_OF("{\"[UNK]\":1,\"b\":1}")), "two tokens have the id 1", ERROR_INVALID},
        {WITH_MODEL("{\"type\":\"WordPiece\",\"max_input_chars_per_word\":2000000000,"
                    "\"vocab\":{}}"),
         "max_input_chars_per_word", ERROR_INVALID},
        {WITH_ADDED("{}"), "added_tokens: must be an array", ERROR_INVALID},
        {WITH_ADDED("[7]"), "added_tokens[0]: must be an object", ERROR_INVALID},
        {WITH_ADDED("[{\"id\":7}]"), "\"content\" is missing", ERROR_INVALID},
        {WITH_ADDED("[{\"content\":\"x\"}]"), "\"id\" of \"x\" is missing", ERROR_INVALID},
        {WITH_ADDED("[{\"id\":1,\"content\":\"a\"}]"), "two ids", ERROR_INVALID},
        {WITH_ADDED("[{\"id\":5,\"content\":\"x\"}]"), "two tokens have the id 5", ERROR_INVALID},
        {WITH_ADDED("[{\"id\":30,\"content\":\"x\",\"special\":1}]"), "special", ERROR_INVALID},
        {WITH_ADDED("[" ADDED(5, "a", "") "," ADDED(5, "a", "") "]"), "stands twice",
         ERROR_INVALID},
        {WITH_ADDED("[" ADDED(5, "a", "") "," ADDED(31, "x", "") "]"), "no token has the id 30",
         ERROR_INVALID},
        {WITH_ADDED("[{\"id\":30,\"content\":\"x\",\"normalized\":true}]"), "normalized",
         ERROR_UNSUPPORTED},
        {WITH_NORMALIZER("null"), "normalizer: missing", ERROR_UNSUPPORTED},
        {WITH_NORMALIZER("{\"type\":\"NFKC\"}"), "normalizer.type: \"NFKC\"", ERROR_UNSUPPORTED},
        {WITH_NORMALIZER("{}"), "normalizer.type: missing", ERROR_INVALID},
        {WITH_NORMALIZER("{\"type\":\"BertNormalizer\",\"lowercase\":\"yes\"}"), "lowercase",
         ERROR_INVALID},
        {WITH_PRE("{\"type\":\"Whitespace\"}"), "pre_tokenizer.type: \"Whitespace\"",
         ERROR_UNSUPPORTED},
        {WITH_POST("[]"), "post_processor: must be an object", ERROR_INVALID},
        {WITH_POST("{\"type\":\"Sequence\"}"), "post_processor.type: \"Sequence\"",
         ERROR_UNSUPPORTED},
        {WITH_POST("{\"type\":\"BertProcessing\"}"), "post_processor.cls", ERROR_INVALID},
        {WITH_POST(POST("7", PAIR, NAMES)), "post_processor.single: must be an array",
         ERROR_INVALID},
        {WITH_POST(POST("[]", PAIR, NAMES)), "\"A\" once", ERROR_INVALID},
        {WITH_POST(POST(SINGLE, SINGLE, NAMES)), "\"B\" once", ERROR_INVALID},
        {WITH_POST(POST(SINGLE, PAIR, "{}")), "no ids for \"[CLS]\"", ERROR_INVALID},
        {WITH_POST(POST(SINGLE, PAIR, "{\"[CLS]\":{\"ids\":[99]}}")), "ids of the vocabulary",
         ERROR_INVALID},
        {WITH_POST(POST(SINGLE, PAIR, "{\"[CLS]\":{\"ids\":[\"x\"]}}")), "ids of the vocabulary",
         ERROR_INVALID},
        {WITH_POST(POST("[" SEQUENCE("C", 0) "]", PAIR, NAMES)), "neither \"A\" nor \"B\"",
         ERROR_INVALID},
        {WITH_POST(POST("[{}]", PAIR, NAMES)), "post_processor.single[0]", ERROR_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        struct tokenizer *tokenizer = NULL;
        bool refused = !tokenizer_open(cases[i].json, strlen(cases[i].json),
                                       "folder/tokenizer.json", &tokenizer, &err);
        bool right = refused && err.code == cases[i].code && strstr(err.message, cases[i].says) &&
                     strncmp(err.message, "folder/tokenizer.json: ", 23) == 0;
        if (!right)
            fprintf(stderr, "case %zu: code %d, \"%s\", expected \"%s\"\n", i, err.code,
                    err.message, cases[i].says);
        CHECK(right);
        tokenizer_close(tokenizer);
    }
}

/* One of a megabyte would be compared with the text at every place of it. */
static void long_added_tokens_are_refused(void) {
    for (size_t n = 1024; n <= 1025; n++) {
        struct buf json = {0};
        struct error err = {0};
        struct tokenizer *tokenizer = NULL;
        buf_text(&json, "{\"added_tokens\":[{\"id\":30,\"content\":\"");
        for (size_t i = 0; i < n; i++)
            buf_text(&json, "a");
        buf_text(&json, "\"}]," WITH_NO_ADDED);
        bool opened = tokenizer_open(json.data, json.len, "x", &tokenizer, &err);
        CHECK_EQUAL(opened, n == 1024);
        CHECK(opened || (err.code == ERROR_LIMIT &&
                         strstr(err.message, "x: added_tokens[0]: \"content\" has 1025 bytes")));
        tokenizer_close(tokenizer);
        buf_done(&json);
    }
}

/* Cut anywhere, or with one byte changed: an error or a tokenizer, never more. */
static void damaged_files_do_no_harm(void) {
    unsigned long long seed = 3;
    for (size_t round = 0; round < 3000; round++) {
        struct error err;
        struct tokenizer *tokenizer;
        struct tokens tokens;
        size_t len = sizeof whole - 1;
        char *json = malloc(len);
        memcpy(json, whole, len);
        if (round % 2)
            len = check_random(&seed) % len;
        else
            json[check_random(&seed) % len] = (char)check_random(&seed);
        if (tokenizer_open(json, len, "tokenizer.json", &tokenizer, &err)) {
            tokenizer_encode(tokenizer, "Bad [MASK] face", 15, 0, &arena, &tokens, &err);
            tokenizer_close(tokenizer);
        }
        free(json);
        arena_reset(&arena);
    }
}

/* ---- the trie against a list ---- */

static void trie_agrees_with_a_list(void) {
    enum { KEYS_N = 400, KEY_MAX = 6 };
    static char texts[KEYS_N][KEY_MAX + 1];
    struct trie_key keys[KEYS_N];
    unsigned long long seed = 5;
    size_t n = 0;
    for (size_t i = 0; i < KEYS_N; i++) {
        char *text = texts[n];
        size_t len = 1 + check_random(&seed) % KEY_MAX;
        for (size_t j = 0; j < len; j++)
            text[j] = (char)("ab\x80\xff"[check_random(&seed) % 4]);
        text[len] = '\0';
        bool is_new = true;
        for (size_t j = 0; j < n; j++)
            is_new &= strcmp(texts[j], text) != 0;
        if (is_new) {
            keys[n] = (struct trie_key){text, (uint32_t)len, (uint32_t)n};
            n++;
        }
    }
    struct trie trie;
    trie_build(&trie, keys, n);
    for (size_t i = 0; i < n; i++) {
        uint32_t node = trie_walk(&trie, 0, texts[i], strlen(texts[i]));
        CHECK(node != TRIE_NONE && trie.nodes[node].value == i);
    }
    CHECK(trie_walk(&trie, 0, "zz", 2) == TRIE_NONE);
    CHECK(trie_walk(&trie, 0, "", 0) == 0 && trie.nodes[0].value == TRIE_NONE);
    trie_done(&trie);
    trie_build(&trie, NULL, 0);
    CHECK(trie_walk(&trie, 0, "a", 1) == TRIE_NONE);
    trie_done(&trie);
}

int main(void) {
    struct tokenizer *t = must_open(whole);
    words_and_pieces(t);
    unicode_steps(t);
    canonical_order(t);
    bytes_that_are_no_text(t);
    cased_model_keeps_accents();
    added_tokens_in_the_text(t);
    words_at_the_limit(t);
    cut_to_max_length(t);
    pairs_as_flag_reranker(t);
    pairs_longest_first(t);
    other_post_processors();
    random_texts_keep_their_promises(t);
    stretches_do_not_show(t);
    long_texts_take_linear_time(t);
    broken_files_are_refused();
    long_added_tokens_are_refused();
    damaged_files_do_no_harm();
    trie_agrees_with_a_list();
    tokenizer_close(t);
    tokenizer_close(NULL);
    arena_done(&arena);
    return check_result();
}
