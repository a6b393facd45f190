/* The encode routes without sockets: handlers are called with bodies, and their answers read back.
 * The model is the one inside the program; what needs other models is in tests/encode_routes.py. */
#include "query/encode_service.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/json.h"
#include "engine/model.h"
#include "query/encoders.h"
#include "tests/check.h"

static struct encode_service *service;
static struct arena arena;
static atomic_bool cancelled;

struct answer {
    int status;
    struct json *json; /* released by the next ask */
};

static struct answer ask(enum server_method method, const char *path, const char *body) {
    static struct json *before;
    struct server_response response = {.status = 200, .arena = &arena};
    const struct server_request request = {
        .method = method,
        .path = path,
        .body = body,
        .body_len = strlen(body),
        .arena = &arena,
        .cancelled = &cancelled,
    };
    struct error err;
    size_t n;
    const struct server_route *routes = encode_service_routes(service, &n);
    arena_reset(&arena);
    for (size_t i = 0; i < n; i++)
        if (routes[i].method == method && strcmp(routes[i].pattern, path) == 0)
            routes[i].handler(routes[i].context, 0, &request, &response);
    json_release(before);
    before = json_parse(response.body.data ? response.body.data : "", response.body.len, &err);
    CHECK(before); /* every answer is JSON */
    buf_done(&response.body);
    return (struct answer){response.status, before};
}

static struct answer post(const char *path, const char *body) {
    return ask(SERVER_POST, path, body);
}

static const char *text_at(const struct json *object, const char *key) {
    const struct json *value = json_get(object, key);
    return json_kind_of(value) == JSON_KIND_STRING ? json_string_of(value, NULL) : "(none)";
}

static double number_at(const struct json *array, size_t i) {
    const struct json *value = json_at(array, i);
    return json_kind_of(value) == JSON_KIND_NUMBER ? json_number_of(value) : (double)NAN;
}

static bool same_vectors(const struct json *a, const struct json *b, size_t dim) {
    bool same = json_count(a) == dim && json_count(b) == dim;
    for (size_t i = 0; same && i < dim; i++)
        same = number_at(a, i) == number_at(b, i);
    return same;
}

/* One text in the words of every API is one and the same vector. */
static void agree_with_each_other(void) {
    struct error err;
    struct answer answer =
        post("/v1/encode", "{\"texts\":[\"tides\",{\"id\":7,\"text\":\"sea\"}]}");
    CHECK_EQUAL(answer.status, 200);
    const struct json *rows = json_get(answer.json, "encodings");
    CHECK_EQUAL(json_count(rows), 2);
    CHECK(!json_get(json_at(rows, 0), "id"));
    CHECK(json_number_of(json_get(json_at(rows, 1), "id")) == 7);
    CHECK(json_count(json_get(json_at(rows, 0), "sparse")) == 1);
    CHECK(json_count(json_at(json_get(json_at(rows, 0), "multi"), 0)) == 384);
    struct buf kept = {0};
    json_print(json_get(json_at(rows, 0), "dense"), &kept);
    struct json *dense = json_parse(kept.data, kept.len, &err);

    answer = post("/embed", "{\"inputs\":\"tides\"}");
    CHECK(answer.status == 200 && json_count(answer.json) == 1);
    CHECK(same_vectors(json_at(answer.json, 0), dense, 384));
    answer = post("/v1/embeddings", "{\"input\":[\"sea\",\"tides\"],\"model\":\"any\","
                                    "\"dimensions\":384,\"user\":\"u\"}");
    CHECK_EQUAL(answer.status, 200);
    const struct json *second = json_at(json_get(answer.json, "data"), 1);
    CHECK(same_vectors(json_get(second, "embedding"), dense, 384));
    CHECK(json_number_of(json_get(second, "index")) == 1);
    CHECK_TEXT(text_at(answer.json, "model"), "bge-small-en-v1.5");
    CHECK(json_number_of(json_get(json_get(answer.json, "usage"), "prompt_tokens")) == 6);
    answer = post("/embed_all", "{\"inputs\":[\"tides\"]}");
    CHECK_EQUAL(json_count(json_at(answer.json, 0)), 2); /* the word and [SEP] */

    /* The instruction changes the vector; every API's word for it does the same. */
    answer =
        post("/v1/encode", "{\"texts\":\"tides\",\"modes\":[\"dense\"],\"input_type\":\"query\"}");
    CHECK(!json_get(json_at(json_get(answer.json, "encodings"), 0), "multi"));
    kept.len = 0;
    json_print(json_get(json_at(json_get(answer.json, "encodings"), 0), "dense"), &kept);
    struct json *query = json_parse(kept.data, kept.len, &err);
    CHECK(!same_vectors(query, dense, 384));
    answer = post("/embed", "{\"inputs\":\"tides\",\"prompt_name\":\"query\"}");
    CHECK(same_vectors(json_at(answer.json, 0), query, 384));
    answer = post("/v1/embeddings", "{\"input\":\"tides\",\"task\":\"retrieval.query\"}");
    CHECK(
        same_vectors(json_get(json_at(json_get(answer.json, "data"), 0), "embedding"), query, 384));
    json_release(dense);
    json_release(query);
    buf_done(&kept);
}

static int base64_digit(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = strchr(digits, c);
    return at && c ? (int)(at - digits) : 0;
}

static void gives_base64(void) {
    struct answer answer =
        post("/v1/embeddings", "{\"input\":\"a\",\"encoding_format\":\"float\"}");
    float expected[384], found[384];
    const struct json *list = json_get(json_at(json_get(answer.json, "data"), 0), "embedding");
    for (size_t i = 0; i < 384; i++)
        expected[i] = (float)number_at(list, i);
    answer = post("/v1/embeddings", "{\"input\":\"a\",\"encoding_format\":\"base64\"}");
    size_t len;
    const struct json *text = json_get(json_at(json_get(answer.json, "data"), 0), "embedding");
    CHECK_EQUAL(json_kind_of(text), JSON_KIND_STRING);
    const char *base64 = json_string_of(text, &len);
    CHECK_EQUAL(len, 384 * 4 * 4 / 3);
    unsigned char *bytes = (unsigned char *)found;
    for (size_t i = 0; i + 4 <= len; i += 4) {
        int word = base64_digit(base64[i]) << 18 | base64_digit(base64[i + 1]) << 12 |
                   base64_digit(base64[i + 2]) << 6 | base64_digit(base64[i + 3]);
        for (size_t j = 0; j < 3; j++)
            if (i / 4 * 3 + j < sizeof found)
                bytes[i / 4 * 3 + j] = (unsigned char)(word >> (16 - 8 * j));
    }
    CHECK(memcmp(found, expected, sizeof found) == 0);
}

static void scores_pairs(void) {
    struct answer answer = post(
        "/v1/score", "{\"pairs\":[{\"id\":\"a\",\"query\":\"the sea\",\"passage\":\"the sea\"},"
                     "{\"query\":\"the sea\",\"passage\":\"tax law\"}],\"weights\":[1,0,1]}");
    CHECK_EQUAL(answer.status, 200);
    const struct json *scores = json_get(answer.json, "scores");
    CHECK_EQUAL(json_count(scores), 2);
    const struct json *same = json_at(scores, 0), *other = json_at(scores, 1);
    CHECK_TEXT(text_at(same, "id"), "a");
    CHECK(fabs(json_number_of(json_get(same, "dense")) - 1) < 1e-3);
    CHECK(json_number_of(json_get(other, "dense")) < json_number_of(json_get(same, "dense")));
    CHECK(json_number_of(json_get(other, "colbert")) < json_number_of(json_get(same, "colbert")));
    CHECK_EQUAL(json_kind_of(json_get(same, "sparse")), JSON_KIND_NULL); /* no sparse head */
}

static void tells_about_itself(void) {
    struct answer answer = ask(SERVER_GET, "/info", "");
    CHECK_TEXT(text_at(answer.json, "model_id"), "bge-small-en-v1.5");
    CHECK(json_number_of(json_get(answer.json, "max_input_length")) == 512);
    CHECK(json_number_of(json_get(answer.json, "max_client_batch_size")) == 1024);
    answer = ask(SERVER_GET, "/v1/models", "");
    CHECK_TEXT(text_at(json_at(json_get(answer.json, "data"), 0), "id"), "bge-small-en-v1.5");
}

/* Which member a refusal names, wherever its form keeps that. */
static const char *field_of(const struct json *answer) {
    const struct json *error = json_get(answer, "error");
    const char *param = text_at(error, "param");
    return strcmp(param, "(none)") != 0 ? param : text_at(error, "field");
}

static void refuses_by_name(void) {
    static const struct {
        const char *path, *body;
        int status;
        const char *field;
    } cases[] = {
        {"/v1/encode", "", 400, "(none)"},
        {"/v1/encode", "[]", 400, "(none)"},
        {"/v1/encode", "{}", 400, "texts"},
        {"/v1/encode", "{\"texts\":[]}", 400, "texts"},
        {"/v1/encode", "{\"texts\":[\"a\",5]}", 400, "texts[1]"},
        {"/v1/encode", "{\"texts\":[{\"id\":1}]}", 400, "texts[0]"},
        {"/v1/encode", "{\"texts\":\"a\",\"modes\":[\"colbert\"]}", 400, "modes"},
        {"/v1/encode", "{\"texts\":\"a\",\"modes\":[]}", 400, "modes"},
        {"/v1/encode", "{\"texts\":\"a\",\"text\":\"b\"}", 400, "text"},
        {"/v1/encode", "{\"texts\":\"a\",\"input_type\":\"question\"}", 400, "input_type"},
        {"/v1/encode", "{\"texts\":\"a\",\"truncate\":1}", 400, "truncate"},
        {"/v1/score", "{\"pairs\":[]}", 400, "pairs"},
        {"/v1/score", "{\"pairs\":[{\"query\":\"a\"}]}", 400, "pairs[0].passage"},
        {"/v1/score", "{\"pairs\":[{\"query\":\"a\",\"passage\":\"b\"}],\"weights\":[1,-1,1]}", 400,
         "weights"},
        {"/v1/embeddings", "{}", 400, "input"},
        {"/v1/embeddings", "{\"input\":\"\"}", 400, "input"},
        {"/v1/embeddings", "{\"input\":[1,2]}", 400, "input"},
        {"/v1/embeddings", "{\"input\":[[1],[2]]}", 400, "input"},
        {"/v1/embeddings", "{\"input\":\"a\",\"dimensions\":64}", 400, "dimensions"},
        {"/v1/embeddings", "{\"input\":\"a\",\"encoding_format\":\"hex\"}", 400, "encoding_format"},
        {"/embed", "{", 422, "(none)"},
        {"/embed", "{\"inputs\":7}", 422, "(none)"},
        {"/embed", "{\"inputs\":\"a\",\"normalize\":false}", 422, "(none)"},
        {"/embed", "{\"inputs\":\"a\",\"dimensions\":12}", 422, "(none)"},
        {"/embed", "{\"inputs\":\"a\",\"prompt_name\":\"poem\"}", 422, "(none)"},
        {"/embed_sparse", "{\"inputs\":\"a\"}", 422, "(none)"}, /* no sparse head */
        {"/rerank", "{\"query\":\"a\",\"texts\":[\"b\"]}", 422, "(none)"},
        {"/v1/rerank", "{\"query\":\"a\",\"documents\":[\"b\"]}", 422, "(none)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer = post(cases[i].path, cases[i].body);
        if (answer.status != cases[i].status)
            fprintf(stderr, "%s %s\n", cases[i].path, cases[i].body);
        CHECK_EQUAL(answer.status, cases[i].status);
        CHECK_TEXT(field_of(answer.json), cases[i].field);
    }
    /* The forms of an error. */
    struct answer answer = post("/v1/embeddings", "{}");
    const struct json *error = json_get(answer.json, "error");
    CHECK_TEXT(text_at(error, "type"), "invalid_request_error");
    CHECK_TEXT(text_at(error, "code"), "bad_request");
    CHECK(strstr(text_at(error, "message"), "input"));
    answer = post("/embed", "{}");
    CHECK_TEXT(text_at(answer.json, "error_type"), "Validation");
    CHECK(strstr(text_at(answer.json, "error"), "inputs"));
    answer = post("/v1/rerank", "{}");
    CHECK(strstr(text_at(answer.json, "message"), "--reranker"));
    CHECK_TEXT(text_at(json_get(answer.json, "error"), "code"), "unsupported");
}

/* A body of n texts, each `words` times "a ". */
static const char *many(const char *field, size_t n, size_t words, const char *more) {
    static struct buf body;
    buf_clear(&body);
    buf_format(&body, "{\"%s\":[", field);
    for (size_t i = 0; i < n; i++) {
        buf_text(&body, i ? ",\"" : "\"");
        for (size_t j = 0; j < words; j++)
            buf_text(&body, "a ");
        buf_text(&body, "\"");
    }
    buf_format(&body, "]%s}", more);
    return body.data;
}

static void keeps_its_limits(void) {
    CHECK_EQUAL(post("/embed", many("inputs", 1025, 0, "")).status, 413);
    CHECK_EQUAL(post("/v1/embeddings", many("input", 1025, 1, "")).status, 413);
    struct answer answer = post("/embed", many("inputs", 1, 8190, "")); /* and two specials */
    CHECK_EQUAL(answer.status, 200);
    answer = post("/v1/embeddings", many("input", 1, 8191, ""));
    CHECK_EQUAL(answer.status, 413);
    CHECK(strstr(text_at(json_get(answer.json, "error"), "message"), "8193 tokens"));
    CHECK_EQUAL(post("/embed", many("inputs", 1, 600 * 1000, "")).status, 413); /* bytes */
    CHECK_EQUAL(post("/embed", many("inputs", 1, 510, ",\"truncate\":false")).status, 200);
    CHECK_EQUAL(post("/embed", many("inputs", 1, 511, ",\"truncate\":false")).status, 422);
    CHECK_EQUAL(post("/embed", many("inputs", 1, 511, ",\"truncate\":true")).status, 200);
    CHECK_EQUAL(post("/embed_all", many("inputs", 100, 500, "")).status, 413); /* numbers */
}

static void stops_when_nobody_waits(void) {
    atomic_store(&cancelled, true);
    struct answer answer = post("/embed", "{\"inputs\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}");
    CHECK_EQUAL(answer.status, 503);
    CHECK_TEXT(text_at(answer.json, "error_type"), "Backend");
    atomic_store(&cancelled, false);
    CHECK_EQUAL(post("/embed", "{\"inputs\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}").status, 200);
}

/* Prepared together, each has the answer that it has alone, to the bit; a wrong one has its own. */
static void encodes_together(void) {
    static const char *const bodies[] = {
        "{\"input\":[\"the sea\",\"salt\"]}",
        "{\"input\":\"moon\",\"task\":\"retrieval.query\"}",
        "{\"input\":9}",
        "{\"input\":\"a violin is played with a bow\"}",
        "{\"input\":\"disk pages\",\"task\":\"retrieval.query\",\"encoding_format\":\"base64\"}",
    };
    enum { N = sizeof bodies / sizeof *bodies };
    struct server_together together = encode_service_together();
    struct arena arenas[N] = {0};
    struct server_request requests[N], *pointers[N];
    size_t n, route = 0;
    const struct server_route *routes = encode_service_routes(service, &n);
    while (strcmp(routes[route].pattern, "/v1/embeddings") != 0)
        route++;
    CHECK(routes[route].handler == together.handler);
    for (size_t i = 0; i < N; i++) {
        requests[i] = (struct server_request){.body = bodies[i],
                                              .body_len = strlen(bodies[i]),
                                              .arena = &arenas[i],
                                              .cancelled = &cancelled};
        pointers[i] = &requests[i];
    }
    together.prepare(routes[route].context, 0, pointers, N);
    for (size_t i = 0; i < N; i++) {
        struct server_response one = {.status = 200, .arena = &arenas[i]};
        struct server_response other = {.status = 200, .arena = &arenas[i]};
        struct server_request alone = requests[i];
        alone.prepared = NULL;
        CHECK(requests[i].prepared);
        together.handler(routes[route].context, 0, &requests[i], &one);
        together.handler(routes[route].context, 0, &alone, &other);
        CHECK_EQUAL(one.status, i == 2 ? 400 : 200);
        CHECK_EQUAL(one.status, other.status);
        CHECK_TEXT(one.body.data, other.body.data);
        buf_done(&one.body);
        buf_done(&other.body);
        arena_done(&arenas[i]);
    }
}

int main(void) {
    const struct model_options options = {0};
    struct model *model;
    struct encoders *encoders;
    struct error err;
    if (!model_open(&options, &model, &err) || !encoders_open(model, NULL, 1, &encoders, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    CHECK(!encoders_open(model, model, 1, &(struct encoders *){NULL}, &err)); /* no cross-encoder */
    CHECK_EQUAL(err.code, ERROR_UNSUPPORTED);
    service = encode_service_open(encoders);
    agree_with_each_other();
    gives_base64();
    scores_pairs();
    tells_about_itself();
    refuses_by_name();
    keeps_its_limits();
    stops_when_nobody_waits();
    encodes_together();
    CHECK(encoders_tokens_n(encoders) > 100);
    encode_service_close(service);
    encoders_close(encoders);
    model_close(model);
    arena_done(&arena);
    return check_result();
}
