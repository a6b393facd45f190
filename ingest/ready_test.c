/* Rows that bring their representations: what is read, what is refused and how it is said. */
#include "ingest/ready.h"

#include <string.h>

#include "ingest/row.h"
#include "tests/check.h"

static struct index_settings settings_of(enum index_lexical lexical, const char *analyzer) {
    struct index_settings settings = {.dense_dim = 3, .multi_dim = 2, .lexical = lexical};
    strcpy(settings.analyzer, analyzer);
    return settings;
}

static bool read_row(const char *text, struct arena *arena, struct row *out, struct error *err) {
    struct json *json = json_parse(text, strlen(text), err);
    CHECK(json);
    bool ok = row_from_json(json, arena, out, err);
    json_release(json);
    return ok;
}

/* NULL: the row fits; else what the message must hold. */
static void fits(const char *members, const struct index_settings *settings, const char *message) {
    struct arena arena = {0};
    struct error err = {.message = ""};
    struct row row;
    struct encoding encoding;
    char text[512];
    snprintf(text, sizeof text, "{\"id\":\"a\",\"text\":\"b\",%s}", members);
    bool ok = read_row(text, &arena, &row, &err) && row.ready &&
              ready_encoding(row.ready, settings, &arena, &encoding, &err);
    CHECK_EQUAL(ok, message == NULL);
    CHECK(ok || (err.code == ERROR_INVALID && strstr(err.message, message)));
    if (!ok && message && !strstr(err.message, message))
        fprintf(stderr, "%s: told \"%s\"\n", members, err.message);
    arena_done(&arena);
}

#define SPARSE "\"sparse\":{\"terms\":{\"moon\":2,\"tide\":1},\"length\":3}"
#define DENSE "\"dense\":[0.5,-1,0.25]"
#define MULTI "\"multi\":[[1,0],[0.6,0.8]]"

static void is_read(void) {
    struct arena arena = {0};
    struct error err;
    struct row row;
    struct encoding got;
    struct index_settings settings = settings_of(INDEX_LEXICAL_BM25, "words:en");
    CHECK_OK(
        read_row("{\"id\":1,\"text\":\"x\"," DENSE "," SPARSE "," MULTI "}", &arena, &row, &err),
        err);
    CHECK_OK(ready_encoding(row.ready, &settings, &arena, &got, &err), err);
    CHECK(got.dense[0] == 0.5f && got.dense[1] == -1 && got.dense[2] == 0.25f);
    CHECK_EQUAL(got.multi_n, 2);
    CHECK(got.multi[0] == 1 && got.multi[2] == 0.6f && got.multi[3] == 0.8f);
    CHECK_EQUAL(got.lexical.n, 2);
    CHECK_TEXT(got.lexical.terms[0].word, "moon");
    CHECK(got.lexical.terms[0].weight == 2 && got.lexical.length == 3);
    CHECK_EQUAL(ready_bytes(row.ready), 7 * sizeof(float) + 2 * sizeof(struct lexical_term));

    struct index_settings tokens = settings_of(INDEX_LEXICAL_LEARNED, "head");
    CHECK_OK(read_row("{\"id\":1,\"text\":\"x\"," DENSE ",\"sparse\":{\"terms\":{\"17\":0.5}}}",
                      &arena, &row, &err),
             err);
    CHECK_OK(ready_encoding(row.ready, &tokens, &arena, &got, &err), err);
    CHECK(got.lexical.n == 1 && got.lexical.terms[0].id == 17 && !got.lexical.terms[0].word);
    arena_done(&arena);
}

static void is_refused(void) {
    struct index_settings words = settings_of(INDEX_LEXICAL_BM25, "words:en");
    struct index_settings tokens = settings_of(INDEX_LEXICAL_LEARNED, "head");
    struct index_settings none = settings_of(INDEX_LEXICAL_NONE, "");
    fits(DENSE "," SPARSE, &words, NULL);
    fits(DENSE "," MULTI, &none, NULL);
    fits("\"dense\":[1,2]," SPARSE, &words, "2 numbers, the index has 3");
    fits(SPARSE "," MULTI, &words, "0 numbers, the index has 3");
    fits(DENSE, &words, NULL); /* its words will be counted */
    fits(DENSE, &tokens, "no \"sparse\"");
    fits(DENSE "," SPARSE, &none, "keeps none");
    fits(DENSE "," SPARSE ",\"multi\":[[1,2,3]]", &words, "vectors of 3 numbers, the index has 2");
    fits(DENSE "," SPARSE ",\"multi\":[[1,2],[3]]", &words, "vector 1 has 1 numbers");
    fits(DENSE "," SPARSE ",\"multi\":[1,2]", &words, "\"multi\" must be");
    fits(DENSE "," SPARSE ",\"multi\":\"AAA\"", &words, "\"multi\": not base64");
    fits("\"dense\":{}," SPARSE, &words, "\"dense\" must be");
    fits("\"dense\":[1,2,\"3\"]," SPARSE, &words, "value 2 must be a number");
    fits("\"dense\":[1,2,1e60]," SPARSE, &words, "too large");
    fits(DENSE ",\"sparse\":[]", &words, "\"sparse\" must be");
    fits(DENSE ",\"sparse\":{}", &words, "sparse.terms");
    fits(DENSE ",\"sparse\":{\"terms\":{\"moon\":0}}", &words, "\"moon\"");
    fits(DENSE ",\"sparse\":{\"terms\":{\"moon\":true}}", &words, "\"moon\"");
    fits(DENSE ",\"sparse\":{\"terms\":{},\"length\":-1}", &words, "length");
    fits(DENSE "," SPARSE, &tokens, "\"moon\" must be the number");
    fits(DENSE ",\"sparse\":{\"terms\":{\"99999999999\":1}}", &tokens, "must be the number");
}

/* Other representations are another document; none are the document of before. */
static void changes_the_hash(void) {
    static const char *const rows[] = {
        "{\"id\":1,\"text\":\"x\"}",
        "{\"id\":1,\"text\":\"x\"," DENSE "}",
        "{\"id\":1,\"text\":\"x\",\"dense\":[0.5,-1,0.5]}",
        "{\"id\":1,\"text\":\"x\"," SPARSE "}",
        "{\"id\":1,\"text\":\"x\",\"sparse\":{\"terms\":{\"moon\":2,\"tide\":1}}}",
        "{\"id\":1,\"text\":\"x\"," MULTI "}",
        "{\"id\":1,\"text\":\"x\",\"multi\":[[1,0]]}",
        "{\"id\":1,\"text\":\"x\",\"multi\":\"AAAA\"}",
        "{\"id\":1,\"text\":\"x\",\"multi\":\"AAAB\"}",
    };
    enum { N = sizeof rows / sizeof *rows };
    uint64_t hashes[N];
    struct arena arena = {0};
    struct error err;
    for (size_t i = 0; i < N; i++) {
        struct row row, again;
        CHECK_OK(read_row(rows[i], &arena, &row, &err), err);
        CHECK_OK(read_row(rows[i], &arena, &again, &err), err);
        CHECK((row.ready != NULL) == (i > 0));
        hashes[i] = row_hash(&row);
        CHECK_EQUAL(row_hash(&again), hashes[i]);
        for (size_t j = 0; j < i; j++)
            CHECK(hashes[j] != hashes[i]);
    }
    arena_done(&arena);
}

int main(void) {
    is_read();
    is_refused();
    changes_the_hash();
    return check_result();
}
