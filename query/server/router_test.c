/* Patterns, what a path may hold, and which route wins. */
#include <string.h>

#include "query/server/router.h"
#include "tests/check.h"

static void nothing(void *context, size_t worker, const struct server_request *request,
                    struct server_response *response) {
    (void)context, (void)worker, (void)request, (void)response;
}

#define ROUTE(method, pattern)                                                                     \
    { method, pattern, nothing, NULL, SERVER_LANE_LOOP }

static const struct server_route routes[] = {
    ROUTE(SERVER_GET, "/"),
    ROUTE(SERVER_GET, "/health"),
    ROUTE(SERVER_GET, "/v1/collections"),
    ROUTE(SERVER_GET, "/v1/collections/{c}"),
    ROUTE(SERVER_PUT, "/v1/collections/{c}"),
    ROUTE(SERVER_POST, "/v1/collections/{c}/search"),
    ROUTE(SERVER_GET, "/v1/collections/{c}/documents/{id:text}"),
    ROUTE(SERVER_DELETE, "/v1/collections/{c}/documents/{id:text}"),
    ROUTE(SERVER_POST, "/v1/collections/{c}/documents/delete"),
    ROUTE(SERVER_GET, "/v1/{any}/fixed"),
};

static struct router *router;
static struct arena arena;

static struct router_match match(enum server_method method, const char *target) {
    struct router_match out;
    arena_reset(&arena);
    router_match(router, method, target, strlen(target), &arena, &out);
    return out;
}

static void finds_routes_and_parameters(void) {
    struct router_match found = match(SERVER_GET, "/");
    CHECK(found.status == 200 && found.route == &routes[0]);
    found = match(SERVER_HEAD, "/health?x=1&y");
    CHECK(found.status == 200 && found.route == &routes[1]);
    CHECK_TEXT(found.path, "/health");
    CHECK_TEXT(found.query, "x=1&y");
    found = match(SERVER_POST, "/v1/collections/my-docs_2/search");
    CHECK(found.status == 200 && found.route == &routes[5] && found.params_n == 1);
    CHECK_TEXT(found.params[0].name, "c");
    CHECK_TEXT(found.params[0].value, "my-docs_2");
    found = match(SERVER_GET, "http://example.org:80/v1/collections/a/documents/x%2Fy%20%C3%A9?q");
    CHECK(found.status == 200 && found.route == &routes[6] && found.params_n == 2);
    CHECK_TEXT(found.params[1].name, "id");
    CHECK_TEXT(found.params[1].value, "x/y \xc3\xa9");
    CHECK_TEXT(found.path, "/v1/collections/a/documents/x/y \xc3\xa9");
}

static void literals_win_and_methods_are_told(void) {
    struct router_match found = match(SERVER_POST, "/v1/collections/a/documents/delete");
    CHECK(found.status == 200 && found.route == &routes[8]);
    found = match(SERVER_GET, "/v1/collections/a/documents/delete");
    CHECK(found.status == 200 && found.route == &routes[6]);
    found = match(SERVER_PATCH, "/v1/collections/a/documents/delete");
    CHECK_EQUAL(found.status, 405);
    CHECK_TEXT(found.allow, "GET, HEAD, POST, DELETE, OPTIONS");
    found = match(SERVER_METHOD_OTHER, "/v1/collections/a");
    CHECK_EQUAL(found.status, 405);
    CHECK_TEXT(found.allow, "GET, HEAD, PUT, OPTIONS");
    found = match(SERVER_OPTIONS, "/v1/collections/a");
    CHECK_EQUAL(found.status, 204);
    CHECK_TEXT(found.allow, "GET, HEAD, PUT, OPTIONS");
    CHECK_EQUAL(match(SERVER_OPTIONS, "/nowhere").status, 404);
    found = match(SERVER_GET, "/v1/collections/fixed");
    CHECK(found.status == 200 && found.route == &routes[3]); /* its literal comes first */
}

static void refuses_names_and_paths(void) {
    const struct {
        const char *target;
        int status;
    } bad[] = {
        {"", 400},
        {"*", 400},
        {"example.org:443", 400},
        {"http://example.org", 400},
        {"/a#b", 400},
        {"/a?http://x/", 404},
        {"/nowhere", 404},
        {"/health/", 404},
        {"//", 404},
        {"/v1/collections/", 404},
        {"/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", 404},
        {"/v1/collections/a.b", 400},
        {"/v1/collections/a%20b", 400},
        {"/v1/collections/a%2Fb", 400},
        {"/v1/collections/..", 400},
        {"/v1/../health", 400},
        {"/%2e%2E/etc/passwd", 400},
        {"/health%00", 400},
        {"/health%0a", 400},
        {"/health%7f", 400},
        {"/health%", 400},
        {"/health%4", 400},
        {"/health%4g", 400},
        {"/health%ff", 400},
        {"/%c0%af", 400},       /* an overlong "/" */
        {"/%ed%a0%80", 400},    /* a surrogate */
        {"/%f4%90%80%80", 400}, /* beyond U+10FFFF */
        {"/%e2%82", 400},       /* cut off */
        {"/%f0%9f%98%80", 404}, /* fine, but nothing is there */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct router_match found = match(SERVER_GET, bad[i].target);
        if (found.status != bad[i].status)
            fprintf(stderr, "target \"%s\":\n", bad[i].target);
        CHECK_EQUAL(found.status, bad[i].status);
        CHECK(found.route == NULL && found.code && found.message);
    }
    struct router_match found = match(SERVER_GET, "/v1/collections/a.b");
    CHECK_TEXT(found.field, "c");
    CHECK_TEXT(found.code, "invalid_name");
}

static void limits_lengths(void) {
    char target[1024], x[600];
    memset(x, 'x', sizeof x);
    for (int len = 63; len <= 65; len++) {
        snprintf(target, sizeof target, "/v1/collections/%.*s", len, x);
        CHECK_EQUAL(match(SERVER_GET, target).status, len <= 64 ? 200 : 400);
    }
    for (int len = 511; len <= 513; len++) {
        snprintf(target, sizeof target, "/v1/collections/c/documents/%.*s", len, x);
        CHECK_EQUAL(match(SERVER_GET, target).status, len <= 512 ? 200 : 400);
    }
    CHECK(router_name_is_valid("aZ09_-"));
    CHECK(!router_name_is_valid(""));
    CHECK(!router_name_is_valid("a/b"));
}

static void refuses_patterns(void) {
    const char *const bad[] = {
        "",      "health", "/a//b",       "/{}",      "/{a",
        "/a{b}", "/{a:}",  "/{a:number}", "/{:text}", "/{a}/{b}/{c}/{d}/{e}"};
    struct error err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct server_route route = ROUTE(SERVER_GET, bad[i]);
        CHECK(!router_open(&route, 1, &err));
        CHECK_EQUAL(err.code, ERROR_INVALID);
    }
    const struct server_route head = ROUTE(SERVER_HEAD, "/a");
    CHECK(!router_open(&head, 1, &err));
    const struct server_route twice[] = {ROUTE(SERVER_GET, "/a/{b}"),
                                         ROUTE(SERVER_GET, "/a/{c:text}")};
    CHECK(!router_open(twice, 2, &err));
    router_close(NULL);
}

/* Whatever comes, the router answers, and what it lets through is decoded text. */
static void survives_random_targets(void) {
    static const char alphabet[] = "/%2f.v1collectins?=&{}\x80\xc3\xff#";
    unsigned long long seed = 5;
    char target[64];
    for (size_t round = 0; round < 200000; round++) {
        size_t len = check_random(&seed) % sizeof target;
        for (size_t i = 0; i < len; i++)
            target[i] = alphabet[check_random(&seed) % (sizeof alphabet - 1)];
        struct router_match out;
        arena_reset(&arena);
        router_match(router, SERVER_GET, target, len, &arena, &out);
        if (out.status != 200 && out.status != 400 && out.status != 404 && out.status != 405)
            CHECK(!"a status that the router has not");
        if (out.path[0] != '/' || (out.status == 200) != (out.route != NULL))
            CHECK(!"a path without its slash, or a route without its status");
    }
    CHECK(true);
}

int main(void) {
    struct error err = {0};
    router = router_open(routes, sizeof routes / sizeof *routes, &err);
    CHECK_OK(router, err);
    if (!router)
        return check_result();
    finds_routes_and_parameters();
    literals_win_and_methods_are_told();
    refuses_names_and_paths();
    limits_lengths();
    refuses_patterns();
    survives_random_targets();
    router_close(router);
    arena_done(&arena);
    return check_result();
}
