/* vocab.txt with tokenizer_config.json. Ids and ranges marked "as there" were asked of transformers
 * 4.57.6 with tokenizers 0.22.2: AutoTokenizer.from_pretrained of a folder with these two files and
 * {"model_type": "bert"} as config.json; its offsets turned into bytes. */
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/tokenizer/tokenizer.h"
#include "tests/check.h"

static const char pieces[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nA\nB\n##a\n##A\n##b\n##é\né\nÉ\ne\nE\n中\n##中\n"
    "文\n##文\n.\nss\nß\n##ß\ni\nİ\nI\n##\u0307\n[\n]\nmask\nbad\nBad\n##d\nö\n##ö\no\n##o\n";

static struct arena arena;

static bool open_files(const char *vocab, size_t len, const char *config, struct tokenizer **out,
                       struct error *err) {
    /* In a block of its own size, so that a sanitizer sees a read behind the end. */
    char *exact = malloc(len ? len : 1);
    if (len)
        memcpy(exact, vocab, len);
    const struct tokenizer_vocab_files files = {.vocab = exact,
                                                .vocab_len = len,
                                                .vocab_where = "x/vocab.txt",
                                                .config = config,
                                                .config_len = config ? strlen(config) : 0,
                                                .config_where = "x/tokenizer_config.json"};
    bool ok = tokenizer_open_vocab(&files, out, err);
    free(exact);
    return ok;
}

/* "2[0,0] 5[0,1] 3[0,0]": all tokens. */
static const char *shown(const struct tokenizer *tokenizer, const char *text) {
    static struct buf out;
    struct error err = {0};
    struct tokens tokens = {0};
    buf_clear(&out);
    CHECK_OK(tokenizer_encode(tokenizer, text, strlen(text), 0, &arena, &tokens, &err), err);
    for (size_t i = 0; i < tokens.n; i++)
        buf_format(&out, "%s%u[%u,%u]", i ? " " : "", tokens.ids[i], tokens.ranges[i].begin,
                   tokens.ranges[i].end);
    arena_reset(&arena);
    return out.data;
}

struct text_case {
    const char *text, *tokens;
};

static struct tokenizer *check_cases(const char *vocab, size_t len, const char *config,
                                     const struct text_case *cases) {
    struct tokenizer *tokenizer = NULL;
    struct error err = {0};
    CHECK_OK(open_files(vocab, len, config, &tokenizer, &err), err);
    if (!tokenizer)
        exit(1);
    for (; cases->text; cases++)
        CHECK_TEXT(shown(tokenizer, cases->text), cases->tokens);
    return tokenizer;
}

#define CHECK_CASES(vocab, config, ...)                                                            \
    tokenizer_close(check_cases(vocab, sizeof vocab - 1, config,                                   \
                                (const struct text_case[]){__VA_ARGS__, {NULL, NULL}}))

/* ---- settings ---- */

static void settings_as_there(void) {
    /* clang-format off */
    static const struct {
        const char *config;
        struct text_case cases[6];
    } settings[] = {
        {NULL,
         {{"Bad é É e\u0301", "2[0,0] 32[0,3] 15[4,6] 15[7,9] 15[10,11] 3[0,0]"},
          {"a中b文", "2[0,0] 5[0,1] 17[1,4] 6[4,5] 19[5,8] 3[0,0]"},
          {"ß İ I", "2[0,0] 23[0,2] 25[3,5] 25[6,7] 3[0,0]"},
          {"[MASK] [mask]", "2[0,0] 4[0,6] 29[7,8] 31[8,12] 30[12,13] 3[0,0]"},
          {"Bad\u00a0öÖ", "2[0,0] 32[0,3] 37[5,7] 38[7,9] 3[0,0]"}}},
        {"{}",
         {{"Ab aB", "2[0,0] 5[0,1] 11[1,2] 5[3,4] 11[4,5] 3[0,0]"},
          {"a[MASK]b", "2[0,0] 5[0,1] 4[1,7] 6[7,8] 3[0,0]"}}},
        {"{\"do_lower_case\":false}",
         {{"Bad é É e\u0301", "2[0,0] 33[0,3] 13[4,6] 14[7,9] 1[10,13] 3[0,0]"},
          {"a中b文", "2[0,0] 5[0,1] 17[1,4] 6[4,5] 19[5,8] 3[0,0]"},
          {"Ab aB", "2[0,0] 7[0,1] 11[1,2] 1[3,5] 3[0,0]"},
          {"ß İ I", "2[0,0] 23[0,2] 26[3,5] 27[6,7] 3[0,0]"},
          {"Bad\u00a0öÖ", "2[0,0] 33[0,3] 1[5,9] 3[0,0]"}}},
        {"{\"do_lower_case\":false,\"strip_accents\":true}",
         {{"Bad é É e\u0301", "2[0,0] 33[0,3] 15[4,6] 16[7,9] 15[10,11] 3[0,0]"},
          {"ß İ I", "2[0,0] 23[0,2] 27[3,5] 27[6,7] 3[0,0]"}}},
        {"{\"strip_accents\":false}",
         {{"Bad é É e\u0301", "2[0,0] 32[0,3] 13[4,6] 13[7,9] 1[10,13] 3[0,0]"},
          {"ß İ I", "2[0,0] 23[0,2] 25[3,5] 28[3,5] 25[6,7] 3[0,0]"},
          {"Bad\u00a0öÖ", "2[0,0] 32[0,3] 35[5,7] 36[7,9] 3[0,0]"}}},
        {"{\"tokenize_chinese_chars\":false,\"strip_accents\":null,\"model_max_length\":1}",
         {{"a中b文", "2[0,0] 5[0,1] 18[1,4] 11[4,5] 20[5,8] 3[0,0]"},
          {"中文", "2[0,0] 17[0,3] 20[3,6] 3[0,0]"},
          {"Ab aB", "2[0,0] 5[0,1] 11[1,2] 5[3,4] 11[4,5] 3[0,0]"}}},
        {"{\"do_lower_case\":false,\"tokenize_chinese_chars\":false,"
         "\"tokenizer_class\":\"BertTokenizerFast\"}",
         {{"a中b文", "2[0,0] 5[0,1] 18[1,4] 11[4,5] 20[5,8] 3[0,0]"},
          {"Ab aB", "2[0,0] 7[0,1] 11[1,2] 1[3,5] 3[0,0]"}}},
        {"{\"do_basic_tokenize\":false,\"tokenizer_class\":\"BertTokenizer\"}",
         {{"a中b文", "2[0,0] 5[0,1] 17[1,4] 6[4,5] 19[5,8] 3[0,0]"},
          {"a  .b", "2[0,0] 5[0,1] 21[3,4] 6[4,5] 3[0,0]"}}},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        tokenizer_close(
            check_cases(pieces, sizeof pieces - 1, settings[i].config, settings[i].cases));
}

#define SPECIALS "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"

static void lines_as_there(void) {
    static const char ends[] = "[PAD]\r\n[UNK]\r\n[CLS]\r[SEP]\r\n[MASK]\na\r\nb\nc";
    CHECK_CASES(ends, NULL, {"a b c d", "2[0,0] 5[0,1] 6[2,3] 7[4,5] 1[6,7] 3[0,0]"});
    static const char again[] = SPECIALS "a\n\nb\na\nc\n\n\n";
    CHECK_CASES(again, NULL, {"a b c d", "2[0,0] 8[0,1] 7[2,3] 9[4,5] 1[6,7] 3[0,0]"});
    static const char blanks[] = SPECIALS "a \n\tb\n\u2028\nc\xc2\x85"
                                          "d\nc\n\nd"; /* U+0085 */
    CHECK_CASES(blanks, NULL, {"a b c d", "2[0,0] 1[0,1] 1[2,3] 9[4,5] 11[6,7] 3[0,0]"});
    static const char mark[] = "\ufeff" SPECIALS "a\nb\nc\nd";
    CHECK_CASES(mark, NULL, {"a b c d", "2[0,0] 5[0,1] 6[2,3] 7[4,5] 8[6,7] 3[0,0]"});
    static const char special_again[] = SPECIALS "a\n[SEP]\nb\nc";
    CHECK_CASES(special_again, NULL, {"a b c d", "2[0,0] 5[0,1] 7[2,3] 8[4,5] 1[6,7] 6[0,0]"},
                {"[SEP]", "2[0,0] 6[0,5] 6[0,0]"});
}

#define OWN_SPECIALS                                                                               \
    "\"pad_token\":\"<p>\",\"unk_token\":\"<u>\",\"sep_token\":\"<s>\","                           \
    "\"cls_token\":{\"content\":\"<c>\",\"__type\":\"AddedToken\",\"lstrip\":false},"              \
    "\"mask_token\":{\"content\":\"<m>\",\"lstrip\":true,\"normalized\":false}"
#define DECODED(id, text, more) "\"" #id "\":{\"content\":\"" text "\"," more "\"rstrip\":false}"

static void special_tokens_as_there(void) {
    static const char own[] = "<p>\n<u>\n<c>\n<s>\n<m>\na\nb\n<\nx\n>\nc\nx1";
    CHECK_CASES(own, "{" OWN_SPECIALS ",\"additional_special_tokens\":[\"x1\"]}",
                {"a <m> b", "2[0,0] 5[0,1] 4[1,5] 6[6,7] 3[0,0]"},
                {"a<c>b z", "2[0,0] 5[0,1] 2[1,4] 6[4,5] 1[6,7] 3[0,0]"},
                {"<x>", "2[0,0] 7[0,1] 8[1,2] 9[2,3] 3[0,0]"},
                {"ax1b", "2[0,0] 5[0,1] 11[1,3] 6[3,4] 3[0,0]"});
    static const char *const decoder =
        "{" OWN_SPECIALS
        ",\"added_tokens_decoder\":{" DECODED(0, "<p>", "\"special\":true,") "," DECODED(
            4, "<m>", "\"special\":true,\"lstrip\":true,") "," DECODED(12, "QQ", "") "}}";
    struct tokenizer *tokenizer =
        check_cases(own, sizeof own - 1, decoder,
                    (const struct text_case[]){
                        {"a QQ b qq", "2[0,0] 5[0,1] 12[2,4] 6[5,6] 1[7,9] 3[0,0]"},
                        {"aQQb", "2[0,0] 5[0,1] 12[1,3] 6[3,4] 3[0,0]"},
                        {NULL, NULL},
                    });
    CHECK(tokenizer_is_special(tokenizer, 4) && !tokenizer_is_special(tokenizer, 12));
    CHECK_EQUAL(tokenizer_vocabulary_n(tokenizer), 13);
    CHECK_TEXT(tokenizer_token_text(tokenizer, 12), "QQ");
    tokenizer_close(tokenizer);
}

/* Where we leave transformers: no id behind the last for a [MASK] that is not there. */
static void mask_may_be_missing(void) {
    static const char vocab[] = "[UNK]\n[CLS]\n[SEP]\na\n[\nmask\n]\n";
    CHECK_CASES(vocab, "{\"pad_token\":null}",
                {"a[MASK]", "1[0,0] 3[0,1] 4[1,2] 5[2,6] 6[6,7] 2[0,0]"});
}

/* Ids that no piece has count as ids, but not behind the last piece. */
static void ids_without_a_piece(void) {
    static const char vocab[] = SPECIALS "a\n\nb\na\n\n\n";
    struct tokenizer *tokenizer = NULL;
    struct error err = {0};
    CHECK_OK(open_files(vocab, sizeof vocab - 1, NULL, &tokenizer, &err), err);
    if (!tokenizer)
        return;
    CHECK_EQUAL(tokenizer_vocabulary_n(tokenizer), 9);
    CHECK(!tokenizer_token_text(tokenizer, 5) && !tokenizer_token_text(tokenizer, 6));
    CHECK_TEXT(tokenizer_token_text(tokenizer, 7), "b");
    CHECK_TEXT(tokenizer_token_text(tokenizer, 8), "a");
    CHECK(!tokenizer_token_text(tokenizer, 9));
    CHECK(tokenizer_is_special(tokenizer, 0) && !tokenizer_is_special(tokenizer, 5));
    tokenizer_close(tokenizer);
}

/* ---- what is refused ---- */

static void refused(const char *vocab, size_t len, const char *config, enum error_code code,
                    const char *where, const char *says) {
    struct tokenizer *tokenizer = NULL;
    struct error err = {0};
    bool right = !open_files(vocab, len, config, &tokenizer, &err) && err.code == code &&
                 strncmp(err.message, where, strlen(where)) == 0 && strstr(err.message, says);
    if (!right)
        fprintf(stderr, "code %d, \"%s\", expected \"%s\" and \"%s\"\n", err.code, err.message,
                where, says);
    CHECK(right);
    tokenizer_close(tokenizer);
}

static void broken_vocabularies(void) {
#define REFUSED(vocab, says)                                                                       \
    refused(vocab, sizeof vocab - 1, NULL, ERROR_INVALID, "x/vocab.txt: ", says)
    REFUSED("", "no line is \"[UNK]\", the unk_token");
    REFUSED("[PAD]\n[CLS]\n[SEP]\na\n", "no line is \"[UNK]\", the unk_token");
    REFUSED("[PAD]\n[UNK]\n[SEP]\na\n", "no line is \"[CLS]\", the cls_token");
    REFUSED("[PAD]\n[UNK]\n[CLS]\na\n", "no line is \"[SEP]\", the sep_token");
    REFUSED("[PAD] \n[UNK] \n[CLS]\n[SEP]\n", "no line is \"[UNK]\"");
    REFUSED(SPECIALS "a\xff\n", "line 6: not UTF-8 at its byte 1");
    REFUSED(SPECIALS "\xed\xa0\x80\n", "line 6: not UTF-8 at its byte 0");
    REFUSED(SPECIALS "a\r\n\r\nab\xe4\xb8", "line 8: not UTF-8 at its byte 2");
    REFUSED(SPECIALS "a\n\0b\n", "line 7: holds a NUL at its byte 0");
#undef REFUSED
    enum { LINES_MAX = 4 * 1000 * 1000 };
    char *lines = malloc(LINES_MAX + 1);
    memset(lines, '\n', LINES_MAX + 1);
    refused(lines, LINES_MAX + 1, NULL, ERROR_LIMIT, "x/vocab.txt: ", "more than 4000000 lines");
    free(lines);
}

static void broken_settings(void) {
    static const struct {
        const char *config, *says;
        enum error_code code;
    } cases[] = {
        {"", "not valid JSON", ERROR_INVALID},
        {"[]", "must be an object, found an array", ERROR_INVALID},
        {"{\"do_lower_case\":1}", "\"do_lower_case\" must be true or false", ERROR_INVALID},
        {"{\"strip_accents\":\"no\"}", "\"strip_accents\"", ERROR_INVALID},
        {"{\"tokenize_chinese_chars\":[]}", "\"tokenize_chinese_chars\"", ERROR_INVALID},
        {"{\"tokenizer_class\":7}", "\"tokenizer_class\"", ERROR_INVALID},
        {"{\"tokenizer_class\":\"BertJapaneseTokenizer\"}", "\"BertJapaneseTokenizer\"",
         ERROR_UNSUPPORTED},
        {"{\"tokenizer_class\":\"BertTokenizerSlow\"}", "\"BertTokenizerSlow\"", ERROR_UNSUPPORTED},
        {"{\"unk_token\":7}", "\"unk_token\": must be a text or an object", ERROR_INVALID},
        {"{\"cls_token\":\"\"}", "\"cls_token\": must be a text", ERROR_INVALID},
        {"{\"cls_token\":\"[CLS]\\u0000\"}", "\"cls_token\": must be a text", ERROR_INVALID},
        {"{\"sep_token\":{}}", "\"sep_token\": must be a text", ERROR_INVALID},
        {"{\"sep_token\":{\"content\":[]}}", "\"sep_token\": must be a text", ERROR_INVALID},
        {"{\"additional_special_tokens\":{}}", "must be an array", ERROR_INVALID},
        {"{\"additional_special_tokens\":[7]}", "\"additional_special_tokens\"[0]: must be",
         ERROR_INVALID},
        {"{\"added_tokens_decoder\":[]}", "\"added_tokens_decoder\" must be", ERROR_INVALID},
        {"{\"added_tokens_decoder\":{\"x\":{}}}", "\"x\" is no id from 0 to 39", ERROR_INVALID},
        {"{\"added_tokens_decoder\":{\"-1\":{}}}", "\"-1\" is no id", ERROR_INVALID},
        {"{\"added_tokens_decoder\":{\"40\":{}}}", "\"40\" is no id", ERROR_INVALID},
        {"{\"added_tokens_decoder\":{\"99999999999999999999\":{}}}", "is no id", ERROR_INVALID},
        {"{\"added_tokens_decoder\":{\"5\":{}}}", "\"5\": must be a text", ERROR_INVALID},
        {"{\"added_tokens_decoder\":{\"5\":null}}", "\"5\": must be a text", ERROR_INVALID},
        {"{\"added_tokens_decoder\":{\"5\":{\"content\":\"b\"}}}", "another in vocab.txt",
         ERROR_INVALID},
        {"{\"added_tokens_decoder\":{\"5\":{\"content\":\"a\",\"special\":3}}}", "\"special\"",
         ERROR_INVALID},
        {"{\"added_tokens_decoder\":{\"5\":{\"content\":\"a\",\"normalized\":true}}}",
         "\"normalized\": true of \"a\"", ERROR_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(pieces, sizeof pieces - 1, cases[i].config, cases[i].code,
                "x/tokenizer_config.json: ", cases[i].says);
    static const struct {
        const char *config, *says;
        enum error_code code;
    } with_vocab[] = {
        {"{\"cls_token\":\"<s>\"}", "no line is \"<s>\", the cls_token", ERROR_INVALID},
        {"{\"additional_special_tokens\":[\"zz\"]}",
         "no line is \"zz\", the additional_special_tokens", ERROR_INVALID},
        {"{\"mask_token\":{\"content\":\"[MASK]\",\"normalized\":true}}",
         "\"mask_token\": \"normalized\": true", ERROR_UNSUPPORTED},
        {"{\"mask_token\":{\"content\":\"[MASK]\",\"lstrip\":2}}", "\"mask_token\": \"lstrip\"",
         ERROR_INVALID},
        {"{\"added_tokens_decoder\":{\"5\":{\"content\":\"new\"}}}",
         "two tokens have the id 5, \"a\" and \"new\"", ERROR_INVALID},
    };
    for (size_t i = 0; i < sizeof with_vocab / sizeof *with_vocab; i++)
        refused(pieces, sizeof pieces - 1, with_vocab[i].config, with_vocab[i].code,
                "x/vocab.txt: ", with_vocab[i].says);
}

int main(void) {
    settings_as_there();
    lines_as_there();
    special_tokens_as_there();
    mask_may_be_missing();
    ids_without_a_piece();
    broken_vocabularies();
    broken_settings();
    arena_done(&arena);
    return check_result();
}
