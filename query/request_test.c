/* Requests as JSON: what is read, and that each mistake is named by its field. */
#include "query/plan.h"
#include "query/request.h"

#include "tests/check.h"

static struct arena arena;

static bool read(const char *text, struct search_request *out, char field[REQUEST_FIELD_MAX],
                 struct error *err) {
    struct json *json = json_parse(text, strlen(text), err);
    CHECK(json);
    bool ok = request_from_json(json, &arena, out, field, err);
    json_release(json);
    return ok;
}

static void reads_every_field(void) {
    static const char facets[] =
        "{\"query\":\"\",\"facets\":[\"lang\",\"author.name\"],\"facet_limit\":5}";
    struct search_request request;
    struct error err;
    char field[REQUEST_FIELD_MAX];
    CHECK_OK(
        read("{\"query\":\"a\",\"k\":7,\"candidates\":50,\"modes\":[\"dense\",\"multi\"],"
             "\"weights\":{\"dense\":0.25,\"multi\":0.75},\"fusion\":\"rrf\",\"explain\":true}",
             &request, field, &err),
        err);
    CHECK_EQUAL(request.k, 7);
    CHECK_EQUAL(request.candidates, 50);
    CHECK_EQUAL(request.modes, 1 << FUSE_DENSE | 1 << FUSE_MULTI);
    CHECK_NEAR(request.weights[FUSE_MULTI], .75, 0);
    CHECK(request.weights_given && request.fusion_given && request.explain && !request.exact);
    CHECK_EQUAL(request.fusion, FUSE_RRF);
    CHECK_OK(read("{\"query\":\"\",\"weights\":[1,0,2.5],\"k\":null}", &request, field, &err), err);
    CHECK_NEAR(request.weights[FUSE_MULTI], 2.5, 0);
    CHECK_EQUAL(request.k, 0);
    CHECK_NEAR(request.sparse_mass, 1, 0);
    CHECK_OK(read("{\"query\":\"a\",\"sparse_mass\":0.75}", &request, field, &err), err);
    CHECK_NEAR(request.sparse_mass, .75, 0);
    CHECK(!request.fusion_given && !request.no_text);
    CHECK_EQUAL(request.facets_n, 0);
    CHECK_EQUAL(request.offset, 0);
    CHECK_OK(read("{\"query\":\"a\",\"offset\":990,\"text\":false}", &request, field, &err), err);
    CHECK(request.offset == 990 && request.no_text && !request.rerank.wanted);
    CHECK_OK(read("{\"query\":\"a\",\"rerank\":{}}", &request, field, &err), err);
    CHECK(request.rerank.wanted && request.rerank.top == 0 && !request.rerank.model);
    CHECK_OK(
        read("{\"query\":\"a\",\"rerank\":{\"top\":9,\"deadline_ms\":80}}", &request, field, &err),
        err);
    CHECK(request.rerank.top == 9 && request.rerank.deadline_ms == 80);
    CHECK(!request.highlight.wanted);
    CHECK_OK(read("{\"query\":\"a\",\"highlight\":true}", &request, field, &err), err);
    CHECK(request.highlight.wanted && request.highlight.fields == 3 && request.highlight.max == 0);
    CHECK_OK(read("{\"query\":\"a\",\"highlight\":{\"fields\":[\"text\"],\"max\":3}}", &request,
                  field, &err),
             err);
    CHECK(request.highlight.fields == 1 << SEARCH_TEXT && request.highlight.max == 3);
    CHECK_OK(read("{\"query\":\"a\",\"highlight\":false}", &request, field, &err), err);
    CHECK(!request.highlight.wanted);
    struct json *json = json_parse(facets, strlen(facets), &err); /* names are borrowed */
    CHECK_OK(request_from_json(json, &arena, &request, field, &err), err);
    CHECK_EQUAL(request.facets_n, 2);
    CHECK_TEXT(request.facets[1].field, "author.name");
    CHECK_EQUAL(request.facet_limit, 5);
    json_release(json);
}

static void names_the_field_at_fault(void) {
    static const struct {
        const char *text, *field;
    } wrong[] = {
        {"[]", ""},
        {"{}", "query"},
        {"{\"dense\":null}", "query"},
        {"{\"query\":5}", "query"},
        {"{\"like\":5}", "like"},
        {"{\"like\":\"a\",\"query\":\"b\"}", "like"},
        {"{\"like\":\"a\",\"dense\":[1]}", "like"},
        {"{\"dense\":5}", "dense"},
        {"{\"dense\":[]}", "dense"},
        {"{\"dense\":[1,\"2\"]}", "dense"},
        {"{\"dense\":[1,1e39]}", "dense"},
        {"{\"dense\":[1,null]}", "dense"},
        {"{\"dense\":\"\"}", "dense"},
        {"{\"dense\":\"AAAA\"}", "dense"},     /* three bytes */
        {"{\"dense\":\"AACAPwA=\"}", "dense"}, /* five */
        {"{\"dense\":\"AACAP\"}", "dense"},    /* no base64 */
        {"{\"dense\":\"AACAP!==\"}", "dense"},
        {"{\"dense\":\"AACAfw==\"}", "dense"}, /* infinity */
        {"{\"dense\":\"AADAfw==\"}", "dense"}, /* NaN */
        {"{\"multi\":[\"AACAPw==\",[1,2]]}", "multi"},
        {"{\"multi\":[\"AACAPw==\",\"AADAfw==\"]}", "multi"},
        {"{\"multi\":\"AACAPw==\"}", "multi"},
        {"{\"sparse\":[1]}", "sparse"},
        {"{\"sparse\":{\"a\":0}}", "sparse"},
        {"{\"sparse\":{\"a\":-1}}", "sparse"},
        {"{\"sparse\":{\"a\":1e39}}", "sparse"},
        {"{\"sparse\":{\"a\":1e-60}}", "sparse"},
        {"{\"sparse\":{\"a\":\"b\"}}", "sparse"},
        {"{\"multi\":[]}", "multi"},
        {"{\"multi\":[[]]}", "multi"},
        {"{\"multi\":[1]}", "multi"},
        {"{\"multi\":[[1,2],[1]]}", "multi"},
        {"{\"multi\":[[1,2],3]}", "multi"},
        {"{\"multi\":[[1,2],[1,-1e39]]}", "multi"},
        {"{\"query\":null}", "query"},
        {"{\"query\":\"a\",\"k\":0}", "k"},
        {"{\"query\":\"a\",\"k\":1001}", "k"},
        {"{\"query\":\"a\",\"k\":1.5}", "k"},
        {"{\"query\":\"a\",\"k\":-1}", "k"},
        {"{\"query\":\"a\",\"candidates\":\"many\"}", "candidates"},
        {"{\"query\":\"a\",\"offset\":-1}", "offset"},
        {"{\"query\":\"a\",\"offset\":1000}", "offset"},
        {"{\"query\":\"a\",\"offset\":991}", "offset"},
        {"{\"query\":\"a\",\"offset\":1,\"k\":1000}", "offset"},
        {"{\"query\":\"a\",\"text\":\"no\"}", "text"},
        {"{\"query\":\"a\",\"exact\":true,\"sparse_mass\":0.5}", "sparse_mass"},
        {"{\"query\":\"a\",\"highlight\":5}", "highlight"},
        {"{\"query\":\"a\",\"highlight\":{\"field\":[]}}", "highlight"},
        {"{\"query\":\"a\",\"highlight\":{\"fields\":[]}}", "highlight"},
        {"{\"query\":\"a\",\"highlight\":{\"fields\":[\"text\",\"text\"]}}", "highlight"},
        {"{\"query\":\"a\",\"highlight\":{\"fields\":[\"body\"]}}", "highlight"},
        {"{\"query\":\"a\",\"highlight\":{\"fields\":\"text\"}}", "highlight"},
        {"{\"query\":\"a\",\"highlight\":{\"max\":0}}", "highlight"},
        {"{\"query\":\"a\",\"rerank\":true}", "rerank"},
        {"{\"query\":\"a\",\"rerank\":{\"topp\":1}}", "rerank"},
        {"{\"query\":\"a\",\"rerank\":{\"top\":0}}", "rerank"},
        {"{\"query\":\"a\",\"rerank\":{\"top\":1001}}", "rerank"},
        {"{\"query\":\"a\",\"rerank\":{\"deadline_ms\":0}}", "rerank"},
        {"{\"query\":\"a\",\"rerank\":{\"model\":5}}", "rerank"},
        {"{\"query\":\"a\",\"modes\":[]}", "modes"},
        {"{\"query\":\"a\",\"modes\":[\"multi\",\"dense\",\"multi\"]}", "modes"},
        {"{\"query\":\"a\",\"modes\":[\"colbert\"]}", "modes"},
        {"{\"query\":\"a\",\"modes\":[1]}", "modes"},
        {"{\"query\":\"a\",\"weights\":[1,2]}", "weights"},
        {"{\"query\":\"a\",\"weights\":{\"colbert\":1}}", "weights"},
        {"{\"query\":\"a\",\"weights\":{\"dense\":-1}}", "weights"},
        {"{\"query\":\"a\",\"fusion\":\"sum\"}", "fusion"},
        {"{\"query\":\"a\",\"explain\":1}", "explain"},
        {"{\"query\":\"a\",\"sparse_mass\":0}", "sparse_mass"},
        {"{\"query\":\"a\",\"sparse_mass\":1.5}", "sparse_mass"},
        {"{\"query\":\"a\",\"sparse_mass\":1e-300}", "sparse_mass"},
        {"{\"query\":\"a\",\"querry\":\"b\"}", "querry"},
        {"{\"query\":\"a\",\"filter\":[]}", "filter"},
        {"{\"query\":\"a\",\"facets\":\"lang\"}", "facets"},
        {"{\"query\":\"a\",\"facets\":[{\"field\":\"lang\"}]}", "facets"},
        {"{\"query\":\"a\",\"facets\":[\"lang\",\"lang\"]}", "facets"},
        {"{\"query\":\"a\",\"facet_limit\":0}", "facet_limit"},
        {"{\"query\":\"a\",\"facet_limit\":1001}", "facet_limit"},
        {"{\"query\":\"a\",\"facets\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\","
         "\"10\",\"11\",\"12\",\"13\",\"14\",\"15\",\"16\",\"17\"]}",
         "facets"},
        {"{\"query\":\"a\",\"filter\":{\"year\":{\"$gt\":true}}}", "filter"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct search_request request;
        struct error err;
        char field[REQUEST_FIELD_MAX];
        CHECK(!read(wrong[i].text, &request, field, &err));
        CHECK_TEXT(field, wrong[i].field);
    }
}

static void weights_as_a_list(void) {
    float weights[FUSE_MODES_N];
    struct error err;
    CHECK_OK(request_weights_parse(".3,.3,.4", weights, &err), err);
    CHECK_NEAR(weights[2], .4, 1e-6);
    static const char *const wrong[] = {"",      "1",      "1,2",     "1,2,3,4",
                                        "1,2,x", "1,2,-3", "1,2,nan", "1,2,inf"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(!request_weights_parse(wrong[i], weights, &err));
}

static void reads_vectors(void) {
    struct search_request request;
    struct error err;
    char field[REQUEST_FIELD_MAX];
    CHECK_OK(read("{\"dense\":[0.5,-1,3],\"sparse\":{\"sea\":2,\"tide\":0.25},"
                  "\"multi\":[[1,2],[3,4],[5,6]]}",
                  &request, field, &err),
             err);
    const struct query_vectors *vectors = &request.vectors;
    CHECK(!request.query && !request.like);
    CHECK_EQUAL(vectors_modes(vectors), FUSE_ALL_MODES);
    CHECK(vectors->dense_n == 3 && vectors->dense[1] == -1);
    CHECK(vectors->multi_n == 3 && vectors->multi_dim == 2 && vectors->multi[4] == 5);
    CHECK_EQUAL(vectors->sparse.n, 2);
    CHECK(vectors->sparse.terms[1].weight == .25f && vectors->sparse.terms[1].word_len == 4);
    CHECK_OK(read("{\"dense\":\"AACAPwAAAMAAAABA\",\"multi\":[\"AACAPwAAAMA=\",[3,4]]}", &request,
                  field, &err),
             err);
    CHECK(vectors->dense_n == 3 && vectors->dense[0] == 1 && vectors->dense[1] == -2 &&
          vectors->dense[2] == 2);
    CHECK(vectors->multi_n == 2 && vectors->multi_dim == 2 && vectors->multi[1] == -2 &&
          vectors->multi[2] == 3);
    CHECK_OK(read("{\"query\":\"a\",\"sparse\":{}}", &request, field, &err), err);
    CHECK_EQUAL(vectors_modes(&request.vectors), 1 << FUSE_SPARSE);
    CHECK(request.query && !search_encodes_all(&request));
    CHECK_OK(read("{\"like\":\"a key\"}", &request, field, &err), err);
    CHECK(request.like_len == 5 && !search_encodes_all(&request));
    CHECK_OK(read("{\"query\":\"a\"}", &request, field, &err), err);
    CHECK(search_encodes_all(&request));
}

static void vectors_must_fit(void) {
    static const struct {
        const char *text, *field;
    } cases[] = {
        {"{\"dense\":[1,2,3]}", NULL},         {"{\"dense\":[1,2]}", "dense"},
        {"{\"multi\":[[1,2]]}", NULL},         {"{\"multi\":[[1,2,3]]}", "multi"},
        {"{\"sparse\":{\"17\":1}}", NULL},     {"{\"sparse\":{\"sea\":1}}", "sparse"},
        {"{\"sparse\":{\"-1\":1}}", "sparse"}, {"{\"sparse\":{\"4294967295\":1}}", "sparse"},
        {"{\"sparse\":{\"1x\":1}}", "sparse"}, {"{\"sparse\":{\"\":1}}", "sparse"},
    };
    struct index_settings settings = {
        .dense_dim = 3, .multi_dim = 2, .lexical = INDEX_LEXICAL_LEARNED, .analyzer = "head"};
    struct search_request request;
    struct error err;
    char field[REQUEST_FIELD_MAX];
    const char *at;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_OK(read(cases[i].text, &request, field, &err), err);
        CHECK(vectors_fit(&request.vectors, &settings, &at, &err) == !cases[i].field);
        CHECK(cases[i].field ? at && strcmp(at, cases[i].field) == 0 : !at);
    }
    snprintf(settings.analyzer, sizeof settings.analyzer, "words:en");
    CHECK_OK(read("{\"sparse\":{\"sea\":1}}", &request, field, &err), err);
    CHECK_OK(vectors_fit(&request.vectors, &settings, &at, &err), err);
    settings = (struct index_settings){.analyzer = "words:en"};
    CHECK(!vectors_fit(&request.vectors, &settings, &at, &err));
    CHECK_TEXT(at, "sparse");
}

/* What a request leaves open: the model's word, or else the kind of its lexical weights. */
static void fusion_by_default(void) {
    static const struct {
        enum index_lexical lexical;
        const char *asked, *request;
        enum fuse_method method;
        float sparse; /* its weight */
    } cases[] = {
        {INDEX_LEXICAL_LEARNED, "", "{\"query\":\"a\"}", FUSE_WEIGHTED, .3f},
        {INDEX_LEXICAL_BM25, "", "{\"query\":\"a\"}", FUSE_ZSCORE, .3f},
        {INDEX_LEXICAL_LEARNED, "zscore", "{\"query\":\"a\"}", FUSE_ZSCORE, .3f},
        {INDEX_LEXICAL_LEARNED, "rrf", "{\"query\":\"a\"}", FUSE_RRF, 1},
        {INDEX_LEXICAL_LEARNED, "of-tomorrow", "{\"query\":\"a\"}", FUSE_WEIGHTED, .3f},
        {INDEX_LEXICAL_LEARNED, "zscore", "{\"query\":\"a\",\"fusion\":\"weighted\"}",
         FUSE_WEIGHTED, .3f},
        {INDEX_LEXICAL_LEARNED, "zscore", "{\"query\":\"a\",\"weights\":[1,2,1]}", FUSE_ZSCORE, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct index_settings settings = {.fingerprint = "any",
                                          .dense_dim = 3,
                                          .multi_dim = 2,
                                          .lexical = cases[i].lexical,
                                          .analyzer = "head"};
        struct search_request request;
        struct search_plan plan;
        struct error err;
        char field[REQUEST_FIELD_MAX];
        const char *at;
        snprintf(settings.fusion, sizeof settings.fusion, "%s", cases[i].asked);
        CHECK_OK(read(cases[i].request, &request, field, &err), err);
        CHECK_OK(plan_make(&request, &settings, &plan, &at, &err), err);
        CHECK_EQUAL(plan.fuse.method, cases[i].method);
        CHECK_NEAR(plan.fuse.weights[FUSE_SPARSE], cases[i].sparse, 1e-6);
    }
}

int main(void) {
    reads_every_field();
    names_the_field_at_fault();
    weights_as_a_list();
    reads_vectors();
    vectors_must_fit();
    fusion_by_default();
    arena_done(&arena);
    return check_result();
}
