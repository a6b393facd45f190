/* The description against the routes: every route is described, everything described is a route,
 * and the members of bodies are those that our own routes know. */
#include "query/openapi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/json.h"
#include "engine/model.h"
#include "query/access.h"
#include "query/encode_service.h"
#include "query/encoders.h"
#include "query/request.h"
#include "query/service.h"
#include "tests/check.h"

static struct json *description;

static const char *const methods[] = {[SERVER_GET] = "get",
                                      [SERVER_POST] = "post",
                                      [SERVER_PUT] = "put",
                                      [SERVER_PATCH] = "patch",
                                      [SERVER_DELETE] = "delete"};

/* "/a/{id:text}" -> "/a/{id}" */
static const char *path_of(const char *pattern) {
    static char out[256];
    size_t len = 0;
    for (; *pattern && len + 1 < sizeof out; pattern++) {
        if (*pattern == ':')
            pattern += strcspn(pattern, "}");
        out[len++] = *pattern;
    }
    out[len] = '\0';
    return out;
}

/* $ref within the description. */
static const struct json *followed(const struct json *value) {
    const struct json *ref = json_get(value, "$ref");
    if (!ref)
        return value;
    const struct json *at = description;
    char path[128];
    snprintf(path, sizeof path, "%s", json_string_of(ref, NULL));
    CHECK(strncmp(path, "#/", 2) == 0);
    for (char *save, *part = strtok_r(path + 2, "/", &save); part;
         part = strtok_r(NULL, "/", &save))
        at = json_get(at, part);
    CHECK(at);
    return at;
}

/* Every $ref leads somewhere. */
static void check_refs(const struct json *value) {
    if (json_kind_of(value) == JSON_KIND_OBJECT) {
        followed(value);
        for (void *at = json_first(value); at; at = json_next(value, at))
            check_refs(json_member_value(at));
    }
    for (size_t i = 0; json_kind_of(value) == JSON_KIND_ARRAY && i < json_count(value); i++)
        check_refs(json_at(value, i));
}

static void check_operation(const struct server_route *route, const struct json *operation) {
    const struct json *responses = json_get(operation, "responses");
    CHECK(json_get(operation, "operationId") && json_get(operation, "summary"));
    CHECK(json_get(responses, "200") && json_get(responses, "default"));
    /* {c} and {id} are described, in this order; behind them stand members of the query. */
    size_t params_n = 0;
    for (const char *at = route->pattern; (at = strchr(at, '{')); at++) {
        char name[32];
        size_t len = strcspn(at + 1, ":}");
        snprintf(name, sizeof name, "%.*s", (int)len, at + 1);
        const struct json *one = json_at(json_get(operation, "parameters"), params_n++);
        CHECK(one);
        if (one)
            CHECK_TEXT(json_string_of(json_get(one, "name"), NULL), name);
    }
    for (const struct json *one;
         (one = json_at(json_get(operation, "parameters"), params_n)) != NULL; params_n++)
        CHECK_TEXT(json_string_of(json_get(one, "in"), NULL), "query");
    /* What needs no key says so, and nothing else does. */
    const struct json *security = json_get(operation, "security");
    bool open = security && json_count(security) == 0;
    CHECK(open == (access_level_of(route) == ACCESS_OPEN));
}

static void describes_all_routes(const struct server_route *routes, size_t n) {
    const struct json *paths = json_get(description, "paths");
    size_t described_n = 0;
    for (size_t i = 0; i < n; i++) {
        const struct json *path = json_get(paths, path_of(routes[i].pattern));
        const struct json *operation = json_get(path, methods[routes[i].method]);
        CHECK(operation);
        if (operation)
            check_operation(&routes[i], operation);
        else
            fprintf(stderr, "not described: %s %s\n", methods[routes[i].method], routes[i].pattern);
    }
    for (void *at = json_first(paths); at; at = json_next(paths, at))
        described_n += json_count(json_member_value(at));
    CHECK_EQUAL(described_n, n); /* each route once, so there is none that is not */
}

/* "known here are a, b and c": exactly the members that are described. */
static void same_members(const char *where, const char *message, const struct json *properties) {
    const char *list = strstr(message, "known here are");
    size_t names_n = 0;
    CHECK(list && json_count(properties) > 0);
    for (void *at = json_first(properties); list && at; at = json_next(properties, at)) {
        const char *found = strstr(list, json_member_key(at));
        CHECK(found);
        if (!found)
            fprintf(stderr, "%s does not know \"%s\"\n", where, json_member_key(at));
    }
    /* So many names, less the words before the first. */
    for (const char *at = list; at && *at && *at != '"'; at++)
        names_n += *at == ',' || strncmp(at, " and ", 5) == 0;
    CHECK_EQUAL(names_n + 1, json_count(properties));
}

/* A search is read before its collection matters. */
static void search_knows_members(void) {
    const struct json *schemas = json_get(json_get(description, "components"), "schemas");
    struct json *unknown = json_new_object();
    struct search_request request;
    struct arena arena = {0};
    struct error err;
    char field[REQUEST_FIELD_MAX];
    json_add_number(unknown, "zz", 1);
    CHECK(!request_from_json(unknown, &arena, &request, field, &err));
    CHECK_TEXT(field, "zz");
    same_members("search", err.message, json_get(json_get(schemas, "SearchRequest"), "properties"));
    json_release(unknown);
    arena_done(&arena);
}

/* A route that refuses unknown members lists those it knows. */
static void knows_members(const struct server_route *routes, size_t n, const char *pattern,
                          const struct server_pair *param) {
    static const atomic_bool never;
    const struct json *operation =
        json_get(json_get(json_get(description, "paths"), path_of(pattern)), "post");
    const struct json *content = json_get(json_get(operation, "requestBody"), "content");
    const struct json *schema = followed(json_get(json_get(content, "application/json"), "schema"));
    const struct json *properties = json_get(schema, "properties");
    struct arena arena = {0};
    struct server_response response = {.status = 200, .arena = &arena};
    const struct server_request request = {.body = "{\"zz\":1}",
                                           .body_len = 8,
                                           .params = param,
                                           .params_n = param ? 1 : 0,
                                           .arena = &arena,
                                           .cancelled = &never};
    for (size_t i = 0; i < n; i++)
        if (routes[i].method == SERVER_POST && strcmp(routes[i].pattern, pattern) == 0)
            routes[i].handler(routes[i].context, 0, &request, &response);
    CHECK_EQUAL(response.status, 400);
    buf_text(&response.body, "");
    same_members(pattern, response.body.data, properties);
    buf_done(&response.body);
    arena_done(&arena);
}

int main(void) {
    char folder[] = "/tmp/tercet-openapi-XXXXXX";
    const struct model_options options = {0};
    struct model *model = NULL;
    struct encoders *encoders = NULL;
    struct service *service = NULL;
    struct error err;
    size_t len, n, more;
    const char *text = openapi_json(&len);
    CHECK_EQUAL(strlen(text), len);
    description = json_parse(text, len, &err);
    CHECK_OK(description, err);
    CHECK(mkdtemp(folder));
    CHECK_OK(model_open(&options, &model, &err), err);
    const struct service_options service_options = {.data = folder, .model = model, .workers_n = 1};
    CHECK_OK(encoders_open(model, NULL, 1, &encoders, &err), err);
    CHECK_OK(service_open(&service_options, &service, &err), err);
    if (check_failed)
        return check_result();
    struct encode_service *encode_service = encode_service_open(encoders);

    /* As tools/serve.c puts them together. */
    struct server_route routes[64] = {
        {SERVER_GET, "/metrics", openapi_handler, NULL, SERVER_LANE_LOOP},
        {SERVER_GET, "/openapi.json", openapi_handler, NULL, SERVER_LANE_LOOP},
    };
    const struct server_route *some = service_routes(service, &n);
    memcpy(routes + 2, some, n * sizeof *some);
    some = encode_service_routes(encode_service, &more);
    memcpy(routes + 2 + n, some, more * sizeof *some);
    n += more + 2;

    CHECK_TEXT(json_string_of(json_get(description, "openapi"), NULL), "3.1.0");
    check_refs(description);
    describes_all_routes(routes, n);
    knows_members(routes, n, "/v1/encode", NULL);
    knows_members(routes, n, "/v1/score", NULL);
    search_knows_members();

    encode_service_close(encode_service);
    service_close(service);
    encoders_close(encoders);
    model_close(model);
    json_release(description);
    rmdir(folder);
    return check_result();
}
