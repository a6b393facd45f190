/* The Unigram tokenizer on a vocabulary of two dozen pieces and a charsmap built here: every rule
 * by itself, the lattice against a slow oracle, hostile texts and files. */
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/tokenizer/charsmap.h"
#include "engine/tokenizer/double_array.h"
#include "engine/tokenizer/lattice.h"
#include "engine/tokenizer/tokenizer.h"
#include "engine/tokenizer/trie.h"
#include "tests/check.h"

#define MARK "\u2581"
#define NEL "\xc2\x85" /* U+0085, white space that the charsmap leaves */
#define ADDED(id, content, more)                                                                   \
    "{\"id\":" #id ",\"content\":\"" content "\"," more "\"special\":true}"
#define VOCAB                                                                                      \
    "[[\"<s>\",0],[\"<pad>\",0],[\"</s>\",0],[\"<unk>\",0],[\"" MARK "\",-2],[\"a\",-2.25],"       \
    "[\"b\",-2.5],[\"c\",-2.75],[\"" MARK "a\",-3],[\"ab\",-4],[\"bc\",-4],[\"" MARK "abc\",-7],"  \
    "[\"\u00e9\",-5],[\"\u4e2d\",-5],[\"\u0301\",-6],[\".\",-6],[\"..\",-6.5],[\"" NEL "\",-6],"   \
    "[\"aa\",-4.5],[\"<mask>\",0]]"
#define SPACES(content)                                                                            \
    "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\"" content "\"}"
#define STRIP(left, right)                                                                         \
    "{\"type\":\"Strip\",\"strip_left\":" #left ",\"strip_right\":" #right "}"
#define SEQUENCE(steps) "{\"type\":\"Sequence\",\"normalizers\":[%s" steps "]}"
#define METASPACE(more) "{\"type\":\"Metaspace\",\"replacement\":\"" MARK "\"," more "}"
#define SPLIT(more)                                                                                \
    "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"WhitespaceSplit\"}," METASPACE(more) "]}"
#define ALWAYS "\"prepend_scheme\":\"always\""
#define FIRST "\"prepend_scheme\":\"first\""
#define NEVER "\"prepend_scheme\":\"never\""

enum { UNK = 3, A_MARK = 8, MASK = 19, PIECES_N = 20 };

static struct arena arena;

/* ---- a charsmap of our own ---- */

struct rule {
    const char *from, *to;
};

static const struct rule rules[] = {
    {"\t", " "},     {"\n", " "},       {"\r", " "},     {"\r\n", " "},         {"\u00a0", " "},
    {"\u3000", " "}, {MARK, " "},       {"\uff41", "a"}, {"e\u0301", "\u00e9"}, {"\u2026", "..."},
    {"\1", ""},      {"\u200b", " "},   {"\u00e4", "a"}, {"a\u0302b", "abc"},   {"\uff1c", "<"},
    {"\uff1e", ">"}, {"\u00bd", ". ."}, {"\ufffd", " "},
};
enum { RULES_N = sizeof rules / sizeof *rules };

static void put_u32(struct buf *out, uint32_t value) {
    uint8_t bytes[] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                       (uint8_t)(value >> 24)};
    buf_append(out, bytes, sizeof bytes);
}

/* Our double array in Darts' terms: offsets are relative, a key ends with a unit of label NUL that
 * holds its value. */
static uint32_t darts_unit(const struct double_array *array, size_t i) {
    struct double_array_unit unit = array->units[i];
    uint32_t label = unit.value_and_label & DOUBLE_ARRAY_FREE;
    if (i == 0)
        return array->root << 10;
    if (label == DOUBLE_ARRAY_FREE || label == 0)
        return 1u << 31 | (label ? 0 : unit.value_and_label >> DOUBLE_ARRAY_LABEL_BITS);
    bool has_leaf = (array->units[unit.base].value_and_label & DOUBLE_ARRAY_FREE) == 0;
    return ((uint32_t)i ^ unit.base) << 10 | (uint32_t)has_leaf << 8 | label;
}

static void build_charsmap(struct buf *out) {
    struct trie_key keys[RULES_N];
    struct buf to = {0};
    struct trie trie;
    struct double_array array;
    for (size_t i = 0; i < RULES_N; i++) {
        keys[i] =
            (struct trie_key){rules[i].from, (uint32_t)strlen(rules[i].from) + 1, (uint32_t)to.len};
        buf_append(&to, rules[i].to, strlen(rules[i].to) + 1);
    }
    trie_build(&trie, keys, RULES_N);
    double_array_build(&array, &trie);
    put_u32(out, (uint32_t)(array.units_n * 4));
    for (size_t i = 0; i < array.units_n; i++)
        put_u32(out, darts_unit(&array, i));
    buf_append(out, to.data, to.len);
    trie_done(&trie);
    double_array_done(&array);
    buf_done(&to);
}

static void base64(const struct buf *bytes, struct buf *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes->len; i += 3) {
        uint32_t three = 0;
        size_t n = bytes->len - i < 3 ? bytes->len - i : 3;
        for (size_t j = 0; j < 3; j++)
            three = three << 8 | (j < n ? (uint8_t)bytes->data[i + j] : 0);
        for (size_t j = 0; j < 4; j++) {
            char digit = j <= n ? digits[three >> (18 - 6 * j) & 63] : '=';
            buf_append(out, &digit, 1);
        }
    }
}

static const char *precompiled(void) {
    static struct buf json;
    struct buf bytes = {0};
    if (json.len == 0) {
        build_charsmap(&bytes);
        buf_text(&json, "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"");
        base64(&bytes, &json);
        buf_text(&json, "\"}");
        buf_done(&bytes);
    }
    return json.data;
}

/* ---- whole tokenizers ---- */

/* normalizer: with one %s for the charsmap. The result lives until the next call. */
static const struct buf *file_of(const char *normalizer, const char *pre_tokenizer,
                                 const char *model) {
    static struct buf json;
    buf_clear(&json);
    buf_text(&json,
             "{\"added_tokens\":[" ADDED(0, "<s>", "") "," ADDED(1, "<pad>", "") "," ADDED(
                 2, "</s>", "") "," ADDED(3, "<unk>",
                                          "") "," ADDED(19, "<mask>",
                                                        "\"lstrip\":true,") "],"
                                                                            "\"post_processor\":"
                                                                            "null,\"normalizer\":");
    const char *place = strstr(normalizer, "%s");
    buf_append(&json, normalizer, place ? (size_t)(place - normalizer) : strlen(normalizer));
    if (place) {
        buf_text(&json, precompiled());
        buf_text(&json, place + 2);
    }
    buf_format(&json, ",\"pre_tokenizer\":%s,\"model\":%s}", pre_tokenizer, model);
    return &json;
}

#define MODEL_OF(vocab, more) "{\"type\":\"Unigram\"," more "\"vocab\":" vocab "}"
#define MODEL MODEL_OF(VOCAB, "\"unk_id\":3,")

static struct tokenizer *must_open(const char *normalizer, const char *pre_tokenizer) {
    struct error err = {0};
    struct tokenizer *tokenizer = NULL;
    const struct buf *json = file_of(normalizer, pre_tokenizer, MODEL);
    CHECK_OK(tokenizer_open(json->data, json->len, "tokenizer.json", &tokenizer, &err), err);
    if (!tokenizer)
        exit(1);
    return tokenizer;
}

static const char *shown(const struct tokenizer *tokenizer, const char *text, size_t len) {
    static struct buf out;
    struct error err = {0};
    struct tokens tokens = {0};
    buf_clear(&out);
    buf_text(&out, "");
    CHECK_OK(tokenizer_encode(tokenizer, text, len, 0, &arena, &tokens, &err), err);
    for (size_t i = 0; i < tokens.n; i++)
        buf_format(&out, "%s%u[%u,%u]", i ? " " : "", tokens.ids[i], tokens.ranges[i].begin,
                   tokens.ranges[i].end);
    arena_reset(&arena);
    return out.data;
}

#define CHECK_TOKENS(tokenizer, text, expected)                                                    \
    CHECK_TEXT(shown(tokenizer, text, sizeof text - 1), expected)

static struct tokenizer *bge_m3(void) {
    return must_open(SEQUENCE("," SPACES(" ")), METASPACE("\"add_prefix_space\":true"));
}
static struct tokenizer *reranker(void) {
    return must_open(SEQUENCE("," STRIP(false, true) "," SPACES(MARK)), METASPACE(ALWAYS));
}
static struct tokenizer *transformers_5(void) {
    return must_open("%s", SPLIT(ALWAYS));
}

static void best_pieces(const struct tokenizer *t) {
    CHECK_TOKENS(t, "", "");
    CHECK_TOKENS(t, "a", "8[0,1]");
    CHECK_TOKENS(t, "b", "4[0,1] 6[0,1]"); /* the mark in front has b's bytes */
    CHECK_TOKENS(t, "abc", "11[0,3]");     /* a tie at -7: what begins first stays */
    CHECK_TOKENS(t, "a bc", "8[0,1] 4[1,2] 10[2,4]");
    CHECK_TOKENS(t, "xyz", "4[0,1] 3[0,3]"); /* unknown, in one */
    CHECK_TOKENS(t, "axya", "8[0,1] 3[1,3] 5[3,4]");
    CHECK_TOKENS(t, "x y", "4[0,1] 3[0,1] 4[1,2] 3[2,3]");
    CHECK_TOKENS(t, "\uff1cunk\uff1ex", "4[0,3] 3[0,10]"); /* the piece <unk> is unknown too */
    CHECK_TOKENS(t, "\uff1cs\uff1e", "4[0,3] 0[0,7]");     /* <s> is a piece like others */
    CHECK_TOKENS(t, "a\0b", "8[0,1] 3[1,2] 6[2,3]");
    CHECK_TOKENS(t,
                 "\xff"
                 "a\xe4\xb8"
                 "b",
                 "8[0,2] 4[3,4] 6[4,5]"); /* U+FFFD becomes a blank */
}

static void charsmap_on_clusters(const struct tokenizer *t) {
    CHECK_TOKENS(t, "\uff41", "8[0,3]");
    CHECK_TOKENS(t, "be\u0301", "4[0,1] 6[0,1] 12[1,2]");       /* only the first of its own */
    CHECK_TOKENS(t, "be\u0301\u0301", "4[0,1] 6[0,1] 12[1,2]"); /* 5 bytes: the whole cluster */
    CHECK_TOKENS(t, "b\u00e4\u0301\u0301", "4[0,1] 6[0,1] 5[1,3] 14[3,5] 14[5,7]"); /* 6 bytes */
    CHECK_TOKENS(t, "b\uff41\u0301", "4[0,1] 6[0,1] 5[1,4]");
    CHECK_TOKENS(t, "ca\u0302b", "4[0,1] 7[0,1] 5[1,2] 3[2,4] 6[4,5]"); /* not across clusters */
    CHECK_TOKENS(t, "c\u2026", "4[0,1] 7[0,1] 15[1,4] 16[1,4]");
    CHECK_TOKENS(t, "\u0600\uff41", "4[0,2] 3[0,2] 5[2,5]"); /* a prefix: 5 bytes, no key */
    CHECK_TOKENS(t, "a\r\nb", "8[0,1] 4[1,2] 6[3,4]");
    CHECK_TOKENS(t, "c\u00bd", "4[0,1] 7[0,1] 15[1,3] 4[1,3] 15[1,3]");
}

/* What vanishes: the library's bytes, odd as they are. */
static void vanishing_code_points(const struct tokenizer *t) {
    CHECK_TOKENS(t, "\1", "");
    CHECK_TOKENS(t, "b\1b", "4[0,1] 6[0,1] 6[2,3]");
    CHECK_TOKENS(t, "\1bc.", "4[0,1] 10[0,2] 15[2,3]"); /* each stands for the one before */
    CHECK_TOKENS(t, "\1\1a", "8[0,1]");
    CHECK_TOKENS(t, "c\u2026\1a", "4[0,1] 7[0,1] 15[1,4] 16[1,5] 5[5,6]"); /* the last dot moves */
    CHECK_TOKENS(t, "c\u2026\1\1", "4[0,1] 7[0,1] 15[1,4] 16[1,5]");
}

static void blanks_in_three_layouts(void) {
    struct tokenizer *m3 = bge_m3(), *v2 = reranker(), *t5 = transformers_5();
    CHECK_TOKENS(m3, "a ", "8[0,1] 4[1,2]");
    CHECK_TOKENS(v2, "a ", "8[0,1]");
    CHECK_TOKENS(t5, "a ", "8[0,1]");
    CHECK_TOKENS(m3, " ", "4[0,1]");
    CHECK_TOKENS(v2, " ", "");
    CHECK_TOKENS(t5, " ", "");
    CHECK_TOKENS(m3, "a  \t a", "8[0,1] 8[4,6]"); /* many blanks: the last one's bytes */
    CHECK_TOKENS(v2, "a  \t a", "8[0,1] 8[4,6]");
    CHECK_TOKENS(t5, "a  \t a", "8[0,1] 8[5,6]");
    CHECK_TOKENS(m3, "a" MARK " a", "8[0,1] 8[4,6]");
    CHECK_TOKENS(m3, "a" NEL, "8[0,1] 17[1,3]"); /* white space, but no blank */
    CHECK_TOKENS(v2, "a" NEL " " NEL " ", "8[0,1]");
    CHECK_TOKENS(v2, "a" NEL " " NEL ".", "8[0,1] 17[1,3] 4[3,4] 17[4,6] 15[6,7]");
    CHECK_TOKENS(t5, "a" NEL "a", "8[0,1] 8[3,4]");
    CHECK_TOKENS(m3, "a <mask> a", "8[0,1] 19[1,8] 8[8,10]");
    CHECK_TOKENS(m3, "a <pad>a", "8[0,1] 4[1,2] 1[2,7] 8[7,8]");
    CHECK_TOKENS(v2, "a <pad>a", "8[0,1] 1[2,7] 8[7,8]");
    CHECK_TOKENS(m3, " <mask>", "19[0,7]");
    tokenizer_close(m3);
    tokenizer_close(v2);
    tokenizer_close(t5);
}

static void other_settings(void) {
    struct tokenizer *t = must_open("null", METASPACE(NEVER));
    CHECK_TOKENS(t, "a a", "5[0,1] 8[1,3]");
    CHECK_TOKENS(t, "a  a", "5[0,1] 4[1,2] 8[2,4]");
    tokenizer_close(t);
    t = must_open("null", METASPACE("\"add_prefix_space\":false"));
    CHECK_TOKENS(t, "a", "5[0,1]");
    tokenizer_close(t);
    t = must_open("null", METASPACE(FIRST));
    CHECK_TOKENS(t, "a<pad>a", "8[0,1] 1[1,6] 5[6,7]");
    tokenizer_close(t);
    t = must_open("%s", SPLIT(FIRST));
    CHECK_TOKENS(t, "a a", "8[0,1] 5[2,3]");
    CHECK_TOKENS(t, " a", "5[1,2]");
    tokenizer_close(t);
    t = must_open(SEQUENCE("," STRIP(true, true)), METASPACE(ALWAYS));
    CHECK_TOKENS(t, " " NEL " a  ", "8[4,5]");
    CHECK_TOKENS(t, " " NEL " ", "");
    tokenizer_close(t);
    t = must_open("%s", METASPACE("\"split\":false," ALWAYS));
    CHECK_TOKENS(t, "x " MARK "y", "4[0,1] 3[0,1] 4[1,2] 4[2,5] 3[5,6]");
    tokenizer_close(t);
    t = must_open(SEQUENCE("," SPACES(MARK)), SPLIT(ALWAYS)); /* a mark is no white space */
    CHECK_TOKENS(t, "b  b b", "4[0,1] 6[0,1] 4[2,3] 6[3,4] 4[5,6] 6[5,6]");
    tokenizer_close(t);
}

/* ---- the lattice against a plain Viterbi ---- */

enum { ORACLE_PIECES = 60, ORACLE_PIECE_MAX = 7, ORACLE_WORD_MAX = 9000 };

struct oracle {
    char texts[ORACLE_PIECES][ORACLE_PIECE_MAX + 1];
    double scores[ORACLE_PIECES];
    size_t n;
    struct lattice_pieces pieces;
};

/* Pieces over three letters. Letters: how many of them are in use. */
static void make_oracle(struct oracle *oracle, unsigned letters, unsigned long long *seed) {
    struct trie_key keys[ORACLE_PIECES];
    struct trie trie;
    oracle->n = 0;
    for (size_t i = 0; i < ORACLE_PIECES; i++) {
        char *text = oracle->texts[oracle->n];
        size_t len = 1 + check_random(seed) % ORACLE_PIECE_MAX;
        bool is_new = true;
        for (size_t j = 0; j < len; j++)
            text[j] = (char)('a' + check_random(seed) % letters);
        text[len] = '\0';
        for (size_t j = 0; j < oracle->n; j++)
            is_new &= strcmp(oracle->texts[j], text) != 0;
        if (!is_new)
            continue;
        /* Few different scores, so that there are ties. */
        oracle->scores[oracle->n] = -(double)(1 + check_random(seed) % 3) * (double)len;
        keys[oracle->n] = (struct trie_key){text, (uint32_t)len, (uint32_t)oracle->n};
        oracle->n++;
    }
    trie_build(&trie, keys, oracle->n);
    oracle->pieces = (struct lattice_pieces){.scores = oracle->scores,
                                             .unknown_score = -40,
                                             .unknown_id = ORACLE_PIECES,
                                             .piece_bytes_max = ORACLE_PIECE_MAX};
    double_array_build(&oracle->pieces.trie, &trie);
    trie_done(&trie);
}

static size_t oracle_cut(const struct oracle *oracle, const char *word, size_t n, uint32_t *ids) {
    static double best[ORACLE_WORD_MAX + 1];
    static size_t from[ORACLE_WORD_MAX + 1], id[ORACLE_WORD_MAX + 1];
    size_t ids_n = 0;
    for (size_t i = 1; i <= n; i++)
        best[i] = -INFINITY;
    best[0] = 0;
    for (size_t at = 0; at < n; at++) {
        bool has_char = false;
        for (size_t p = 0; p < oracle->n; p++) {
            size_t len = strlen(oracle->texts[p]);
            if (at + len > n || memcmp(word + at, oracle->texts[p], len) != 0)
                continue;
            has_char |= len == 1;
            if (best[at] + oracle->scores[p] > best[at + len]) {
                best[at + len] = best[at] + oracle->scores[p];
                from[at + len] = at;
                id[at + len] = p;
            }
        }
        if (!has_char && best[at] - 40 > best[at + 1]) {
            best[at + 1] = best[at] - 40;
            from[at + 1] = at;
            id[at + 1] = ORACLE_PIECES;
        }
    }
    for (size_t at = n; at > 0; at = from[at])
        if (ids_n == 0 || id[at] != ORACLE_PIECES || ids[ids_n - 1] != ORACLE_PIECES)
            ids[ids_n++] = (uint32_t)id[at];
    for (size_t i = 0; i < ids_n / 2; i++) {
        uint32_t swapped = ids[i];
        ids[i] = ids[ids_n - 1 - i];
        ids[ids_n - 1 - i] = swapped;
    }
    return ids_n;
}

/* Words longer than the window, too: then it moves. */
static void lattice_agrees_with_oracle(void) {
    static char word[ORACLE_WORD_MAX];
    static uint32_t expected[ORACLE_WORD_MAX];
    unsigned long long seed = 11;
    for (int round = 0; round < 30; round++) {
        struct oracle oracle;
        struct token_sink sink = {.limit = SIZE_MAX, .arena = &arena};
        struct lattice lattice;
        make_oracle(&oracle, 1 + (unsigned)round % 3, &seed);
        lattice_init(&lattice, &oracle.pieces, &sink);
        for (int words = 0; words < 3; words++) {
            size_t n = check_random(&seed) % (words ? ORACLE_WORD_MAX : 30);
            for (size_t i = 0; i < n; i++) {
                word[i] = (char)('a' + check_random(&seed) % (1 + (unsigned)round % 3));
                lattice_add(&lattice, (uint32_t)word[i], (uint32_t)i, (uint32_t)i + 1);
            }
            lattice_end_word(&lattice);
            size_t expected_n = oracle_cut(&oracle, word, n, expected), at = 0;
            bool same = sink.n == expected_n &&
                        (!sink.n || !memcmp(sink.ids, expected, sink.n * sizeof *sink.ids));
            for (size_t i = 0; i < sink.n; i++) { /* the ranges lie side by side */
                same &= sink.ranges[i].begin == at;
                at = sink.ranges[i].end;
            }
            CHECK(same && at == n);
            sink.n = 0;
        }
        lattice_done(&lattice);
        arena_reset(&arena);
        double_array_done(&oracle.pieces.trie);
    }
}

/* ---- hostile texts ---- */

static const char *const parts[] = {
    "a",  "b",      "abc",  " ",      "  ",     "\t",     "\r\n",          "\u0301",    "\u0600",
    "\1", "\u2026", NEL,    "\uff41", "e",      "<mask>", "<unk>",         " <mask> ",  MARK,
    "x",  "\xff",   "\xe4", "\u00bd", "\u200d", "\u4e2d", "\uff1cs\uff1e", "\U0001f600"};
enum { PARTS_N = sizeof parts / sizeof *parts };

static void random_texts_keep_their_promises(const struct tokenizer *t) {
    unsigned long long seed = 9;
    struct buf text = {0};
    for (int round = 0; round < 300; round++) {
        struct error err;
        struct tokens tokens, cut;
        buf_clear(&text);
        buf_text(&text, "");
        for (size_t n = check_random(&seed) % 2000; n > 0; n--) {
            const char *part = parts[check_random(&seed) % PARTS_N];
            for (size_t k = check_random(&seed) % 16 ? 1 : check_random(&seed) % 300; k; k--)
                buf_text(&text, part);
        }
        CHECK_OK(tokenizer_encode(t, text.data, text.len, 0, &arena, &tokens, &err), err);
        uint32_t at = 0;
        bool fine = true;
        for (size_t i = 0; i < tokens.n; i++) {
            fine &= tokens.ids[i] < PIECES_N && tokens.ranges[i].begin >= at &&
                    tokens.ranges[i].begin < tokens.ranges[i].end &&
                    tokens.ranges[i].end <= text.len;
            at = tokens.ranges[i].begin;
        }
        CHECK(fine);
        size_t max_length = 1 + check_random(&seed) % 600;
        CHECK_OK(tokenizer_encode(t, text.data, text.len, max_length, &arena, &cut, &err), err);
        CHECK_EQUAL(cut.n, tokens.n < max_length ? tokens.n : max_length);
        CHECK(!cut.n || !memcmp(cut.ids, tokens.ids, cut.n * sizeof *cut.ids));
        CHECK(!cut.n || !memcmp(cut.ranges, tokens.ranges, cut.n * sizeof *cut.ranges));
        arena_reset(&arena);
    }
    buf_done(&text);
}

/* Quadratic time would show as the test's timeout. */
static void long_texts_take_linear_time(void) {
    struct tokenizer *tokenizers[] = {bge_m3(), reranker(), transformers_5()};
    enum { BYTES = 1 << 20 };
    struct buf text = {0};
    for (size_t i = 0; i < PARTS_N; i++) {
        struct error err;
        struct tokens tokens;
        buf_clear(&text);
        while (text.len < BYTES)
            buf_text(&text, parts[i]);
        buf_text(&text, i % 2 ? "a" : NEL);
        CHECK_OK(tokenizer_encode(tokenizers[i % 3], text.data, text.len, 0, &arena, &tokens, &err),
                 err);
        arena_reset(&arena);
    }
    for (size_t i = 0; i < 3; i++)
        tokenizer_close(tokenizers[i]);
    buf_done(&text);
}

/* ---- broken files ---- */

static void broken_files_are_refused(void) {
    static const char steps_of[] = SEQUENCE("," STRIP(false, true));
    static const struct {
        const char *normalizer, *pre_tokenizer, *model, *says;
        enum error_code code;
    } cases[] = {
        {"{\"type\":\"NFKC\"}", METASPACE(ALWAYS), MODEL, "normalizer.type: \"NFKC\"",
         ERROR_UNSUPPORTED},
        {"{}", METASPACE(ALWAYS), MODEL, "normalizer.type: missing", ERROR_INVALID},
        {"{\"type\":\"Sequence\"}", METASPACE(ALWAYS), MODEL, "normalizer.normalizers",
         ERROR_INVALID},
        {SEQUENCE(",%s"), METASPACE(ALWAYS), MODEL, "not valid JSON", ERROR_INVALID},
        {SEQUENCE("," SPACES(" ") "," STRIP(true, true)), METASPACE(ALWAYS), MODEL,
         "normalizer.normalizers[2].type: \"Strip\" is supported only once, and in the order",
         ERROR_UNSUPPORTED},
        {SEQUENCE("," SPACES("x")), METASPACE(ALWAYS), MODEL, "normalizers[1]: Replace",
         ERROR_UNSUPPORTED},
        {"{\"type\":\"Precompiled\"}", METASPACE(ALWAYS), MODEL,
         "normalizer.precompiled_charsmap: must be a string", ERROR_INVALID},
        {"{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAA\"}", METASPACE(ALWAYS), MODEL,
         "not base64", ERROR_INVALID},
        {"{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AA=A\"}", METASPACE(ALWAYS), MODEL,
         "not base64: character 2", ERROR_INVALID},
        {"{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"\"}", METASPACE(ALWAYS), MODEL,
         "a trie of 0 bytes", ERROR_INVALID},
        {"%s", "null", MODEL, "pre_tokenizer: missing", ERROR_UNSUPPORTED},
        {"%s", "[]", MODEL, "pre_tokenizer: must be an object", ERROR_INVALID},
        {"%s", "{\"type\":\"ByteLevel\"}", MODEL, "pre_tokenizer.type: \"ByteLevel\"",
         ERROR_UNSUPPORTED},
        {"%s", "{\"type\":\"Sequence\",\"pretokenizers\":[]}", MODEL, "pre_tokenizer.pretokenizers",
         ERROR_UNSUPPORTED},
        {"%s", METASPACE("\"prepend_scheme\":\"last\""), MODEL, "prepend_scheme", ERROR_INVALID},
        {"%s", METASPACE("\"add_prefix_space\":false," ALWAYS), MODEL, "contradicts",
         ERROR_INVALID},
        {"%s", "{\"type\":\"Metaspace\",\"replacement\":\"_\"}", MODEL, "replacement",
         ERROR_UNSUPPORTED},
        {"%s", METASPACE(ALWAYS), MODEL_OF("{}", ""), "model.vocab: must be an array",
         ERROR_INVALID},
        {"%s", METASPACE(ALWAYS), MODEL_OF("[]", ""), "has no pieces", ERROR_INVALID},
        {"%s", METASPACE(ALWAYS), MODEL_OF("[[\"a\",0],[7,0]]", ""), "model.vocab[1]: must be",
         ERROR_INVALID},
        {"%s", METASPACE(ALWAYS), MODEL_OF("[[\"a\",null]]", ""), "model.vocab[0]: the score",
         ERROR_INVALID},
        {"%s", METASPACE(ALWAYS), MODEL_OF("[[\"a\",0],[\"\\\"\",-1e999]]", ""),
         "not finite (here read as null): model.vocab[1]", ERROR_INVALID},
        {"%s", METASPACE(ALWAYS), MODEL_OF("[[\"a\",0],[\"a\",0]]", ""), "\"a\" has two ids",
         ERROR_INVALID},
        {"%s", METASPACE(ALWAYS), MODEL_OF(VOCAB, ""), "model.unk_id: missing", ERROR_UNSUPPORTED},
        {"%s", METASPACE(ALWAYS), MODEL_OF(VOCAB, "\"unk_id\":20,"), "unk_id", ERROR_INVALID},
        {"%s", METASPACE(ALWAYS), MODEL_OF(VOCAB, "\"byte_fallback\":true,"), "byte_fallback",
         ERROR_UNSUPPORTED},
    };
    tokenizer_close(must_open(steps_of, METASPACE(ALWAYS)));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        struct tokenizer *tokenizer = NULL;
        const struct buf *json =
            file_of(cases[i].normalizer, cases[i].pre_tokenizer, cases[i].model);
        bool refused = !tokenizer_open(json->data, json->len, "tokenizer.json", &tokenizer, &err);
        bool right = refused && err.code == cases[i].code && strstr(err.message, cases[i].says);
        if (!right)
            fprintf(stderr, "case %zu: code %d, \"%s\", expected \"%s\"\n", i, err.code,
                    err.message, cases[i].says);
        CHECK(right);
        tokenizer_close(tokenizer);
    }
}

/* A charsmap with a few bytes changed, or cut: an error, or some charsmap, never more. */
static void damaged_charsmaps_do_no_harm(void) {
    unsigned long long seed = 4;
    struct buf whole = {0}, text = {0};
    size_t opened_n = 0;
    build_charsmap(&whole);
    for (int round = 0; round < 300; round++) {
        struct error err;
        struct charsmap map;
        struct buf bytes = {0};
        buf_append(&bytes, whole.data, whole.len);
        for (size_t k = round % 8; k > 0; k--)
            bytes.data[check_random(&seed) % bytes.len] = (char)check_random(&seed);
        if (round % 5 == 0)
            bytes.len = check_random(&seed) % bytes.len;
        buf_clear(&text);
        buf_text(&text, "");
        base64(&bytes, &text);
        if (charsmap_init(&map, text.data, text.len, &err)) {
            opened_n++;
            for (size_t i = 0; i < whole.len; i++) {
                size_t n = whole.len - i < 5 ? whole.len - i : 5;
                const char *found = charsmap_find(&map, whole.data + i, n);
                CHECK(!found || strlen(found) <= CHARSMAP_REPLACEMENT_MAX);
            }
        }
        charsmap_done(&map);
        buf_done(&bytes);
    }
    CHECK(opened_n > 30 && opened_n < 270);
    buf_done(&whole);
    buf_done(&text);
}

int main(void) {
    struct tokenizer *t = bge_m3();
    best_pieces(t);
    charsmap_on_clusters(t);
    vanishing_code_points(t);
    blanks_in_three_layouts();
    other_settings();
    lattice_agrees_with_oracle();
    random_texts_keep_their_promises(t);
    long_texts_take_linear_time();
    broken_files_are_refused();
    damaged_charsmaps_do_no_harm();
    tokenizer_close(t);
    arena_done(&arena);
    return check_result();
}
