/* The tokenizer against Hugging Face's own output: $TERCET_SHARED/golden (see its README.md). */
#include "engine/base/arena.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/tokenizer/bert_normalizer.h"
#include "engine/tokenizer/bert_unicode.h"
#include "engine/tokenizer/graphemes.h"
#include "engine/tokenizer/tokenizer.h"
#include "engine/tokenizer/utf8.h"
#include "tests/check.h"

enum {
    PATH_BYTES_MAX = 1024,
    NAME_BYTES_MAX = 128, /* inside the shared folder */
    FILE_BYTES_MAX = 64 << 20,
    DIFFERENCES_SHOWN = 5, /* of each kind; the rest is only counted */
};

static const char *shared;

static bool read_shared(const char *name, struct buf *out) {
    struct error err;
    char path[PATH_BYTES_MAX];
    snprintf(path, sizeof path, "%s/%s", shared, name);
    buf_clear(out);
    bool ok = file_read(path, FILE_BYTES_MAX, out, &err);
    if (!ok)
        fprintf(stderr, "%s\n", err.message);
    return ok;
}

static struct tokenizer *open_shared(const char *name) {
    struct buf json = {0};
    struct error err = {0};
    struct tokenizer *tokenizer = NULL;
    if (read_shared(name, &json))
        CHECK_OK(tokenizer_open(json.data, json.len, name, &tokenizer, &err), err);
    buf_done(&json);
    return tokenizer;
}

/* bge-small's vocab.txt, by the defaults or by the settings of a cased model. */
static struct tokenizer *open_shared_vocab(const char *config) {
    static const char name[] = "models/bge-small-en-v1.5/vocab.txt";
    struct buf vocab = {0};
    struct error err = {0};
    struct tokenizer *tokenizer = NULL;
    if (read_shared(name, &vocab)) {
        const struct tokenizer_vocab_files files = {vocab.data, vocab.len,
                                                    name,       config,
                                                    config ? strlen(config) : 0, "settings"};
        CHECK_OK(tokenizer_open_vocab(&files, &tokenizer, &err), err);
    }
    buf_done(&vocab);
    return tokenizer;
}

/* ---- whole texts ---- */

static bool same_numbers(const struct json *expected, const uint32_t *found, size_t n) {
    if (json_count(expected) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (json_number_of(json_at(expected, i)) != (double)found[i])
            return false;
    return true;
}

static bool same_ranges(const struct json *expected, const struct tokens *tokens) {
    for (size_t i = 0; i < tokens->n; i++) {
        const struct json *range = json_at(expected, i);
        if (json_number_of(json_at(range, 0)) != (double)tokens->ranges[i].begin ||
            json_number_of(json_at(range, 1)) != (double)tokens->ranges[i].end)
            return false;
    }
    return json_count(expected) == tokens->n;
}

static void show_tokens(const struct json *row, const struct tokens *tokens) {
    struct buf expected = {0};
    json_print(row, &expected);
    fprintf(stderr, "differs: %.2000s\n  found:", expected.data);
    for (size_t i = 0; i < tokens->n && i < 60; i++)
        fprintf(stderr, " %u[%u,%u]", tokens->ids[i], tokens->ranges[i].begin,
                tokens->ranges[i].end);
    fprintf(stderr, "\n");
    buf_done(&expected);
}

/* Rows have "ids", and ids under the name of another layout where that gives something else. */
static const char *ids_of_layout = "ids";

static bool case_is_right(const struct tokenizer *tokenizer, const struct json *row,
                          struct tokens *tokens, struct arena *arena) {
    struct error err;
    size_t len;
    const char *text = json_string_of(json_get(row, "text"), &len);
    const struct json *ids = json_get(row, "ids"), *ranges = json_get(row, "offsets_bytes");
    if (strcmp(ids_of_layout, "ids") != 0) {
        ids = json_get(row, ids_of_layout) ? json_get(row, ids_of_layout) : ids;
        ranges = NULL; /* they are those of "ids" */
    }
    *tokens = (struct tokens){0};
    if (!tokenizer_encode(tokenizer, text, len, 0, arena, tokens, &err) ||
        !same_numbers(ids, tokens->ids, tokens->n) || (ranges && !same_ranges(ranges, tokens)))
        return false;
    /* Cut to 16 tokens: the first 14 and the specials. */
    struct tokens cut;
    if (!tokenizer_encode(tokenizer, text, len, 16, arena, &cut, &err))
        return false;
    size_t kept_n = tokens->n > 16 ? 15 : tokens->n - 1;
    return cut.n == kept_n + 1 && memcmp(cut.ids, tokens->ids, kept_n * sizeof *cut.ids) == 0 &&
           cut.ids[kept_n] == tokens->ids[tokens->n - 1];
}

static bool pair_is_right(const struct tokenizer *tokenizer, const struct json *row,
                          struct tokens *tokens, struct arena *arena) {
    struct error err;
    size_t query_len, passage_len;
    const char *query = json_string_of(json_get(row, "query"), &query_len);
    const char *passage = json_string_of(json_get(row, "passage"), &passage_len);
    size_t max_length = (size_t)json_number_of(json_get(row, "max_length"));
    const struct json *types = json_get(row, "token_type_ids"); /* null: XLM-R has one type */
    bool has_types = json_kind_of(types) == JSON_KIND_ARRAY;
    *tokens = (struct tokens){0};
    if (!tokenizer_encode_pair(tokenizer, query, query_len, passage, passage_len, max_length,
                               TOKENIZER_CUT_ONLY_SECOND, arena, tokens, &err) ||
        !same_numbers(json_get(row, "ids"), tokens->ids, tokens->n) ||
        (has_types && json_count(types) != tokens->n))
        return false;
    for (size_t i = 0; i < tokens->n; i++)
        if (tokens->type_ids[i] != (has_types ? json_number_of(json_at(types, i)) : 0))
            return false;
    return true;
}

/* m3-tiny's texts: cut to max_length, specials kept; the longest rows have no ids. */
static bool cut_text_is_right(const struct tokenizer *tokenizer, const struct json *row,
                              struct tokens *tokens, struct arena *arena) {
    struct error err;
    size_t len;
    const char *text = json_string_of(json_get(row, "text"), &len);
    size_t max_length = (size_t)json_number_of(json_get(row, "max_length"));
    const struct json *ids = json_get(row, "ids");
    *tokens = (struct tokens){0};
    return tokenizer_encode(tokenizer, text, len, max_length, arena, tokens, &err) &&
           tokens->n == (size_t)json_number_of(json_get(row, "n_tokens")) &&
           (!ids || same_numbers(ids, tokens->ids, tokens->n));
}

typedef bool row_check(const struct tokenizer *tokenizer, const struct json *row,
                       struct tokens *tokens, struct arena *arena);

/* Runs each line through the check; rows of another tokenizer are passed over. */
static void check_rows(const char *name, const char *wanted_tokenizer, row_check *is_right,
                       const struct tokenizer *tokenizer, size_t rows_min) {
    struct buf lines = {0};
    struct arena arena = {0};
    size_t rows_n = 0, wrong_n = 0;
    if (!tokenizer || !read_shared(name, &lines)) {
        CHECK(false);
        return;
    }
    for (char *line = lines.data, *end; line < lines.data + lines.len; line = end + 1) {
        end = memchr(line, '\n', (size_t)(lines.data + lines.len - line));
        if (!end)
            end = lines.data + lines.len;
        struct error err;
        struct json *row = json_parse(line, (size_t)(end - line), &err);
        const char *row_tokenizer = wanted_tokenizer;
        CHECK_OK(row && json_read_string(row, "tokenizer", &row_tokenizer, &err), err);
        if (strcmp(row_tokenizer, wanted_tokenizer) == 0) {
            struct tokens tokens;
            rows_n++;
            if (!is_right(tokenizer, row, &tokens, &arena) && wrong_n++ < DIFFERENCES_SHOWN)
                show_tokens(row, &tokens);
        }
        json_release(row);
        arena_reset(&arena);
    }
    printf("%s: %zu rows, %zu wrong\n", name, rows_n, wrong_n);
    CHECK_EQUAL(wrong_n, 0);
    CHECK(rows_n >= rows_min);
    arena_done(&arena);
    buf_done(&lines);
}

/* ---- the other two layouts of XLM-R ---- */

#define METASPACE "{\"type\":\"Metaspace\",\"replacement\":\"\u2581\","

static const struct {
    const char *ids, *steps, *pre_tokenizer;
} xlmr_layouts[] = {
    {"ids_bge_m3", ",{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \"}",
     METASPACE "\"add_prefix_space\":true}"},
    {"ids_bge_reranker_v2_m3",
     ",{\"type\":\"Strip\",\"strip_left\":false,\"strip_right\":true},"
     "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\"\u2581\"}",
     METASPACE "\"add_prefix_space\":true,\"prepend_scheme\":\"always\"}"},
};

/* The file with two sections put at its end again: of equal keys the last one counts. */
static struct tokenizer *open_layout(const struct buf *file, const char *charsmap, size_t i) {
    struct buf json = {0};
    struct error err = {0};
    struct tokenizer *tokenizer = NULL;
    const char *end = memrchr(file->data, '}', file->len);
    buf_append(&json, file->data, (size_t)(end - file->data));
    buf_text(&json, ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":"
                    "\"Precompiled\",\"precompiled_charsmap\":\"");
    buf_text(&json, charsmap);
    buf_format(&json, "\"}%s]},\"pre_tokenizer\":%s}", xlmr_layouts[i].steps,
               xlmr_layouts[i].pre_tokenizer);
    CHECK_OK(tokenizer_open(json.data, json.len, xlmr_layouts[i].ids, &tokenizer, &err), err);
    buf_done(&json);
    return tokenizer;
}

static void other_layouts(void) {
    struct buf file = {0};
    struct error err = {0};
    struct json *root = NULL;
    if (!read_shared("golden/tokenizer/xlm-roberta/tokenizer.json", &file) ||
        !(root = json_parse(file.data, file.len, &err))) {
        CHECK(false);
        return;
    }
    const struct json *normalizer = json_get(root, "normalizer");
    const char *charsmap = json_string_of(json_get(normalizer, "precompiled_charsmap"), NULL);
    for (size_t i = 0; i < sizeof xlmr_layouts / sizeof *xlmr_layouts; i++) {
        struct tokenizer *tokenizer = open_layout(&file, charsmap, i);
        ids_of_layout = xlmr_layouts[i].ids;
        check_rows("golden/tokenizer/xlmr_cases.jsonl", "xlm-roberta", case_is_right, tokenizer,
                   1225);
        if (strcmp(ids_of_layout, "ids_bge_m3") != 0) /* the pairs are a reranker's */
            check_rows("golden/tokenizer/pairs.jsonl", "xlm-roberta", pair_is_right, tokenizer,
                       100);
        tokenizer_close(tokenizer);
    }
    ids_of_layout = "ids";
    json_release(root);
    buf_done(&file);
}

/* ---- every code point ---- */

enum { CODEPOINTS_N = 0x110000, ANSWER_MAX = 8 };

/* The golden lists of ranges ("0300-036F") as one bit of flags[codepoint]. */
static void read_ranges(const struct json *list, uint8_t bit, uint8_t *flags) {
    CHECK(json_count(list) > 0);
    for (size_t i = 0; i < json_count(list); i++) {
        char *end;
        unsigned long first = strtoul(json_string_of(json_at(list, i), NULL), &end, 16);
        unsigned long last = *end == '-' ? strtoul(end + 1, NULL, 16) : first;
        for (unsigned long c = first; c <= last && c < CODEPOINTS_N; c++)
            flags[c] |= bit;
    }
}

static size_t hangul_jamo(uint32_t c, uint32_t *out) {
    enum { FIRST = 0xac00, LEADS = 0x1100, VOWELS = 0x1161, TAILS = 0x11a7, TAILS_N = 28 };
    uint32_t index = c - FIRST;
    out[0] = LEADS + index / (21 * TAILS_N);
    out[1] = VOWELS + index / TAILS_N % 21;
    out[2] = TAILS + index % TAILS_N;
    return index % TAILS_N ? 3 : 2;
}

enum { REMOVED = 1, TO_SPACE = 2, CJK = 4, OWN_PIECE = 8, SEPARATOR = 16 };

static size_t expected_chars(uint32_t c, uint8_t flags, const char *changed, uint32_t *out) {
    size_t n = 0;
    if (flags & REMOVED)
        return 0;
    if (flags & CJK)
        out[n++] = ' ';
    if (flags & TO_SPACE)
        out[n++] = ' ';
    else if (changed)
        for (char *end; *changed; changed = end)
            out[n++] = (uint32_t)strtoul(changed, &end, 16);
    else if (c >= 0xac00 && c <= 0xd7a3)
        n += hangul_jamo(c, out + n);
    else
        out[n++] = c;
    if (flags & CJK)
        out[n++] = ' ';
    return n;
}

/* The normalizer on "a", the code point, "b". */
static size_t normalized(const struct bert_normalizer *normalizer, uint32_t c, uint32_t *out) {
    struct normal_char chars[BERT_STRETCH_MIN];
    struct bert_stream stream;
    char text[2 + UTF8_BYTES_MAX] = "a";
    size_t len = 1 + utf8_write(c, text + 1);
    text[len] = 'b';
    bert_stream_init(&stream, normalizer, text, 0, len + 1);
    size_t n = bert_stream_next(&stream, chars, BERT_STRETCH_MIN);
    bool framed = n >= 2 && chars[0].codepoint == 'a' && chars[n - 1].codepoint == 'b';
    for (size_t i = 1; i + 1 < n && i <= ANSWER_MAX; i++) {
        out[i - 1] = chars[i].codepoint;
        framed &= chars[i].begin == 1 && chars[i].end == len;
    }
    return framed && n - 2 <= ANSWER_MAX ? n - 2 : SIZE_MAX;
}

static void every_code_point(void) {
    struct buf text = {0};
    struct error err = {0};
    struct json *options = json_parse("{}", 2, &err), *root = NULL;
    struct bert_normalizer *normalizer = malloc(sizeof *normalizer);
    uint8_t *flags = calloc(CODEPOINTS_N, 1);
    size_t wrong_n = 0, asked_n = 0;
    CHECK(read_shared("golden/tokenizer/codepoints.json", &text));
    CHECK_OK((root = json_parse(text.data, text.len, &err)) != NULL, err);
    CHECK_OK(bert_normalizer_init(normalizer, options, &err), err);
    const struct json *bert = json_get(root, "bert"), *changed = json_get(bert, "changed");
    read_ranges(json_get(bert, "removed"), REMOVED, flags);
    read_ranges(json_get(bert, "to_space"), TO_SPACE, flags);
    read_ranges(json_get(bert, "set_apart_as_cjk"), CJK, flags);
    read_ranges(json_get(bert, "pre_tokenizer_own_piece"), OWN_PIECE, flags);
    read_ranges(json_get(bert, "pre_tokenizer_separator"), SEPARATOR, flags);
    for (uint32_t c = 1; c < CODEPOINTS_N; c++) {
        if (c >= 0xd800 && c < 0xe000)
            continue;
        char key[16];
        uint32_t found[ANSWER_MAX], expected[ANSWER_MAX];
        snprintf(key, sizeof key, "%04X", c);
        const struct json *change = json_get(changed, key);
        size_t expected_n =
            expected_chars(c, flags[c], change ? json_string_of(change, NULL) : NULL, expected);
        size_t n = normalized(normalizer, c, found);
        uint8_t splits = bert_normalizer_flags(normalizer, c);
        bool right = n == expected_n && memcmp(found, expected, n * sizeof *found) == 0 &&
                     !(splits & BERT_PUNCTUATION) == !(flags[c] & OWN_PIECE) &&
                     !(splits & BERT_SPACE) == !(flags[c] & SEPARATOR);
        asked_n++;
        if (!right && wrong_n++ < 4 * DIFFERENCES_SHOWN)
            fprintf(stderr, "U+%04X: flags %d, golden %d; %zu code points (%X), golden %zu (%X)\n",
                    c, splits, flags[c], n, n && n < SIZE_MAX ? found[0] : 0, expected_n,
                    expected_n ? expected[0] : 0);
    }
    printf("codepoints.json: %zu code points, %zu wrong\n", asked_n, wrong_n);
    CHECK_EQUAL(wrong_n, 0);
    json_release(root);
    json_release(options);
    free(normalizer);
    free(flags);
    buf_done(&text);
}

/* Which code points join others in a grapheme cluster, as the charsmap is applied to those. */
static void every_cluster_rule(void) {
    struct buf text = {0};
    struct error err = {0};
    struct json *root = NULL;
    uint8_t *expected = calloc(CODEPOINTS_N, 1), *found = calloc(CODEPOINTS_N, 1);
    CHECK(read_shared("golden/tokenizer/codepoints.json", &text));
    CHECK_OK((root = json_parse(text.data, text.len, &err)) != NULL, err);
    const struct json *xlmr = json_get(root, "xlmr");
    read_ranges(json_get(xlmr, "joins_previous"), GRAPHEME_JOINS_PREVIOUS, expected);
    read_ranges(json_get(xlmr, "joins_next"), GRAPHEME_JOINS_NEXT, expected);
    read_ranges(json_get(xlmr, "nothing_joins"), GRAPHEME_ALONE, expected);
    grapheme_flags(found);
    expected[0] = GRAPHEME_ALONE; /* a control, which the golden file leaves out */
    CHECK(memcmp(expected, found, CODEPOINTS_N) == 0);
    json_release(root);
    free(expected);
    free(found);
    buf_done(&text);
}

/* ---- broken files ---- */

/* What each message must hold besides the file's name. */
static void broken_files_are_refused(void) {
    static const char charsmap[] = "normalizer.normalizers[0].precompiled_charsmap";
    static const struct {
        const char *folder, *says[3];
        enum error_code code;
    } cases[] = {
        {"tok-no-model", {"model"}, ERROR_INVALID},
        {"tok-model-type", {"model.type", "BPE", "Unigram"}, ERROR_UNSUPPORTED},
        {"tok-duplicate-id", {"model.vocab", "two tokens have the id 7"}, ERROR_INVALID},
        {"tok-id-hole", {"model.vocab", "id 1000", "beyond"}, ERROR_INVALID},
        {"tok-no-unk", {"model.unk_token", "[UNK]"}, ERROR_INVALID},
        {"tok-template-unknown-token", {"post_processor"}, ERROR_INVALID},
        {"tok-normalizer-unknown",
         {"normalizer.normalizers[2].type", "Reverse"},
         ERROR_UNSUPPORTED},
        {"tok-truncated", {"not valid JSON", "line"}, ERROR_INVALID},
        {"tok-bad-utf8", {"not UTF-8", "byte "}, ERROR_INVALID},
        {"tok-deep-nesting", {"deeper"}, ERROR_LIMIT},
        {"tok-charsmap-cut", {charsmap, "points to byte"}, ERROR_INVALID},
        {"tok-charsmap-not-base64", {charsmap, "not base64"}, ERROR_INVALID},
        {"tok-charsmap-trie-size", {charsmap, "trie of 4294967292 bytes"}, ERROR_INVALID},
        {"tok-charsmap-wild-trie", {charsmap, "points to byte"}, ERROR_INVALID},
        {"tok-duplicate-piece", {"model.vocab", "has two ids"}, ERROR_INVALID},
        {"tok-score-infinite", {"model.vocab[5]", "not finite"}, ERROR_INVALID},
        {"tok-score-is-string", {"model.vocab[5]", "found a string"}, ERROR_INVALID},
        {"tok-unk-id-out-of-range", {"model.unk_id", "500"}, ERROR_INVALID},
    };
    struct buf json = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[NAME_BYTES_MAX];
        struct error err = {0};
        struct tokenizer *tokenizer = NULL;
        snprintf(path, sizeof path, "golden/bad/%s/tokenizer.json", cases[i].folder);
        bool read = read_shared(path, &json);
        bool refused = read && !tokenizer_open(json.data, json.len, path, &tokenizer, &err) &&
                       err.code == cases[i].code && strstr(err.message, path);
        for (size_t j = 0; j < 3 && cases[i].says[j]; j++)
            refused = refused && strstr(err.message, cases[i].says[j]);
        if (!refused)
            fprintf(stderr, "%s: code %d, \"%s\"\n", cases[i].folder, err.code, err.message);
        CHECK(refused);
        tokenizer_close(tokenizer);
    }
    buf_done(&json);
    tokenizer_close(open_shared("golden/bad/ok-bert/tokenizer.json"));
    tokenizer_close(open_shared("golden/bad/ok-m3/tokenizer.json"));
    tokenizer_close(open_shared("golden/bad/ok-xlmr/tokenizer.json"));
    tokenizer_close(open_shared("golden/models/bert-mean-tiny/tokenizer.json"));
    tokenizer_close(open_shared("golden/models/bert-cross-encoder-tiny/tokenizer.json"));
}

int main(void) {
    char path[PATH_BYTES_MAX];
    shared = check_shared_folder();
    if (shared)
        snprintf(path, sizeof path, "%s/golden/tokenizer", shared);
    if (!shared || !file_is_folder(path)) {
        printf("skipped: no golden/tokenizer folder in $TERCET_SHARED\n");
        return CHECK_SKIP;
    }
    struct tokenizer *bge = open_shared("models/bge-small-en-v1.5/tokenizer.json");
    check_rows("golden/tokenizer/wordpiece_cases.jsonl", "wordpiece", case_is_right, bge, 745);
    check_rows("golden/tokenizer/pairs.jsonl", "wordpiece", pair_is_right, bge, 100);
    tokenizer_close(bge);
    struct tokenizer *vocab = open_shared_vocab(NULL);
    check_rows("golden/tokenizer/wordpiece_cases.jsonl", "wordpiece", case_is_right, vocab, 745);
    check_rows("golden/tokenizer/pairs.jsonl", "wordpiece", pair_is_right, vocab, 100);
    tokenizer_close(vocab);
    struct tokenizer *xlmr = open_shared("golden/tokenizer/xlm-roberta/tokenizer.json");
    check_rows("golden/tokenizer/xlmr_cases.jsonl", "xlm-roberta", case_is_right, xlmr, 1225);
    check_rows("golden/tokenizer/pairs.jsonl", "xlm-roberta", pair_is_right, xlmr, 100);
    tokenizer_close(xlmr);
    other_layouts();
    struct tokenizer *m3 = open_shared("golden/models/m3-tiny/tokenizer.json");
    check_rows("golden/m3-tiny/m3_tiny_encode.jsonl", "m3", cut_text_is_right, m3, 82);
    tokenizer_close(m3);
    struct tokenizer *reranker = open_shared("golden/models/reranker-tiny/tokenizer.json");
    check_rows("golden/reranker-tiny/scores.jsonl", "reranker", pair_is_right, reranker, 80);
    tokenizer_close(reranker);
    every_code_point();
    every_cluster_rule();
    broken_files_are_refused();
    return check_result();
}
