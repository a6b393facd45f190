/* Requests as JSON: what is read, and that each mistake is named by its field. */
#include "query/request.h"

#include "tests/check.h"

static bool read(const char *text, struct search_request *out, char field[REQUEST_FIELD_MAX],
                 struct error *err) {
    struct json *json = json_parse(text, strlen(text), err);
    CHECK(json);
    bool ok = request_from_json(json, out, field, err);
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
    struct json *json = json_parse(facets, strlen(facets), &err); /* names are borrowed */
    CHECK_OK(request_from_json(json, &request, field, &err), err);
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

int main(void) {
    reads_every_field();
    names_the_field_at_fault();
    weights_as_a_list();
    return check_result();
}
