/* Keys and hosts, without sockets. */
#include "query/access.h"

#include <string.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "query/server/tls.h"
#include "tests/check.h"

/* printf %s reader-key | sha256sum, and so on. */
#define READER "b49df1dbfb81a71cc0f3d1b1e2ff32d17e6f16c8a4ee3b2d4f7c6a04f3f2f7c4"

static char path[64];

static void write_file(const char *text) {
    struct error err;
    CHECK_OK(file_write_atomic(path, text, strlen(text), &err), err);
}

static void append_key(struct buf *out, const char *level, const char *key) {
    uint8_t hash[TLS_SHA256_BYTES];
    tls_sha256(key, strlen(key), hash);
    buf_format(out, "%s ", level);
    for (size_t i = 0; i < sizeof hash; i++)
        buf_format(out, i % 2 ? "%02x" : "%02X", hash[i]);
    buf_text(out, " somebody's\n");
}

static const struct server_route page = {SERVER_GET, "/", NULL, NULL, SERVER_LANE_LOOP};
static const struct server_route search = {SERVER_POST, "/v1/collections/{c}/search", NULL, NULL,
                                           SERVER_LANE_WORKERS};
static const struct server_route put = {SERVER_POST, "/v1/collections/{c}/documents", NULL, NULL,
                                        SERVER_LANE_WRITER};
static const struct server_route drop = {SERVER_DELETE, "/v1/collections/{c}", NULL, NULL,
                                         SERVER_LANE_WRITER};

/* 200, or the refusal's status. */
static int ask(struct access *access, const struct server_route *route, const char *name,
               const char *value) {
    const struct server_pair headers[] = {{"accept", "x"}, {name, value}};
    struct server_request request = {.headers = headers, .headers_n = 2};
    struct server_refusal refusal = {0};
    if (access_admit(access, route, &request, &refusal))
        return 200;
    CHECK(refusal.code && refusal.message && (!*value || !strstr(refusal.message, value)));
    return refusal.status;
}

static int ask_with(struct access *access, const struct server_route *route, const char *key) {
    char bearer[128];
    snprintf(bearer, sizeof bearer, "bearer  %s", key);
    int status = ask(access, route, "x-api-key", key);
    CHECK_EQUAL(ask(access, route, "authorization", bearer), status);
    return status;
}

static void levels_include_each_other(void) {
    struct buf text = {0};
    struct access *access;
    struct error err;
    buf_text(&text, "# who may come in\n\n  \t\n");
    append_key(&text, "read", "r-key");
    append_key(&text, "write", "w-key");
    append_key(&text, "  admin", "a-key");
    append_key(&text, "read", "a-key"); /* twice: the most counts */
    write_file(text.data);
    CHECK_OK(access_open(path, NULL, NULL, &access, &err), err);
    static const struct {
        const char *key;
        int page, search, put, drop;
    } cases[] = {
        {"r-key", 200, 200, 403, 403}, {"w-key", 200, 200, 200, 403}, {"a-key", 200, 200, 200, 200},
        {"x-key", 200, 401, 401, 401}, {"r-ke", 200, 401, 401, 401},  {"", 200, 401, 401, 401},
        {"R-key", 200, 401, 401, 401},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_EQUAL(ask_with(access, &page, cases[i].key), cases[i].page);
        CHECK_EQUAL(ask_with(access, &search, cases[i].key), cases[i].search);
        CHECK_EQUAL(ask_with(access, &put, cases[i].key), cases[i].put);
        CHECK_EQUAL(ask_with(access, &drop, cases[i].key), cases[i].drop);
    }
    CHECK_EQUAL(ask(access, &search, "authorization", "Basic r-key"), 401);
    CHECK_EQUAL(ask(access, &search, "cookie", "r-key"), 401);
    CHECK_EQUAL(ask(access, &page, "host", "evil.example"), 200); /* keys make it harmless */

    /* Read again: new keys count, old ones do not; a broken file changes nothing. */
    buf_clear(&text);
    append_key(&text, "write", "new-key");
    write_file(text.data);
    CHECK_EQUAL(ask_with(access, &put, "w-key"), 200);
    CHECK_OK(access_reload(access, &err), err);
    CHECK_EQUAL(ask_with(access, &put, "w-key"), 401);
    CHECK_EQUAL(ask_with(access, &put, "new-key"), 200);
    write_file("write new-key\n");
    CHECK(!access_reload(access, &err));
    CHECK_EQUAL(ask_with(access, &put, "new-key"), 200);
    access_close(access);
    buf_done(&text);
}

static void names_bad_lines(void) {
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "holds no key"},
        {"# nothing\n", "holds no key"},
        {"\nowner " READER "\n", ":2: begins with neither read, write nor admin"},
        {"read secret-key\n", ":1: the second word must be the key's SHA-256"},
        {"read\n", ":1: the second word"},
        {"read " READER "0\n", ":1: the second word"},
        {"read x" READER "\n", ":1: the second word"},
    };
    struct access *access;
    struct error err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file(cases[i].text);
        CHECK(!access_open(path, NULL, NULL, &access, &err));
        CHECK_EQUAL(err.code, ERROR_INVALID);
        CHECK(strstr(err.message, cases[i].part) && !strstr(err.message, "secret-key"));
    }
    CHECK(!access_open("/nowhere/keys", NULL, NULL, &access, &err));
    CHECK_EQUAL(err.code, ERROR_NOT_FOUND);
}

static void answers_to_its_own_names_only(void) {
    static const char *const ours[] = {"localhost", "localhost:8080",  "LOCALHOST:1", "127.0.0.1",
                                       "[::1]",     "search.lan:8080", "s2"};
    static const char *const others[] = {"",      "evil.example", "localhost.evil.example",
                                         "[::2]", "127.0.0.10",   "search.lan,s2",
                                         "s",     "[::1",         ":8080"};
    struct access *access;
    struct error err;
    CHECK_OK(access_open(NULL, "search.lan,s2", NULL, &access, &err), err);
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        CHECK_EQUAL(ask(access, &put, "host", ours[i]), 200);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        const struct server_pair header = {"host", others[i]};
        struct server_request request = {.headers = &header, .headers_n = 1};
        struct server_refusal refusal;
        CHECK(!access_admit(access, &page, &request, &refusal));
        CHECK_EQUAL(refusal.status, 421);
    }
    CHECK_EQUAL(ask(access, &put, "accept", "y"), 200); /* HTTP/1.0 without a Host */
    CHECK_OK(access_reload(access, &err), err);
    access_close(access);
}

static void keeps_other_sites_out(void) {
    static const struct {
        enum server_method method;
        const char *origin;
        int status;
    } cases[] = {
        {SERVER_POST, "http://localhost:8080", 200},
        {SERVER_POST, "https://LOCALHOST:8080", 200},
        {SERVER_POST, "http://localhost:8081", 403},
        {SERVER_POST, "http://evil.example", 403},
        {SERVER_POST, "null", 403},
        {SERVER_POST, "", 403},
        {SERVER_DELETE, "http://evil.example", 403},
        {SERVER_GET, "http://evil.example", 200},
        {SERVER_PUT, "https://app.example", 200},
        {SERVER_PUT, "https://app.example:1", 403},
    };
    struct access *access;
    struct error err;
    CHECK_OK(access_open(NULL, NULL, "http://x.example,https://app.example", &access, &err), err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct server_pair headers[] = {{"host", "localhost:8080"},
                                              {"origin", cases[i].origin}};
        struct server_request request = {
            .method = cases[i].method, .headers = headers, .headers_n = 2};
        struct server_refusal refusal = {.status = 200};
        bool in = access_admit(access, &search, &request, &refusal);
        CHECK_EQUAL(refusal.status, cases[i].status);
        CHECK(in == (cases[i].status == 200));
    }
    access_close(access);
}

static void knows_levels(void) {
    static const struct {
        enum server_method method;
        const char *pattern;
        enum server_lane lane;
        enum access_level level;
    } cases[] = {
        {SERVER_GET, "/", SERVER_LANE_LOOP, ACCESS_OPEN},
        {SERVER_GET, "/health", SERVER_LANE_LOOP, ACCESS_OPEN},
        {SERVER_GET, "/metrics", SERVER_LANE_LOOP, ACCESS_READ},
        {SERVER_GET, "/v1/collections", SERVER_LANE_WORKERS, ACCESS_READ},
        {SERVER_POST, "/v1/embeddings", SERVER_LANE_WORKERS, ACCESS_READ},
        {SERVER_PUT, "/v1/collections/{c}", SERVER_LANE_WRITER, ACCESS_WRITE},
        {SERVER_DELETE, "/v1/collections/{c}/documents/{id:text}", SERVER_LANE_WRITER,
         ACCESS_WRITE},
        {SERVER_POST, "/v1/collections/{c}/documents/delete", SERVER_LANE_WRITER, ACCESS_WRITE},
        {SERVER_PUT, "/v1/other", SERVER_LANE_WORKERS, ACCESS_WRITE},
        {SERVER_DELETE, "/v1/collections/{c}", SERVER_LANE_WRITER, ACCESS_ADMIN},
        {SERVER_POST, "/v1/collections/{c}/compact", SERVER_LANE_WRITER, ACCESS_ADMIN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct server_route route = {cases[i].method, cases[i].pattern, NULL, NULL,
                                           cases[i].lane};
        CHECK_EQUAL(access_level_of(&route), cases[i].level);
    }
}

int main(void) {
    snprintf(path, sizeof path, "/tmp/tercet-access-%d", (int)getpid());
    levels_include_each_other();
    names_bad_lines();
    answers_to_its_own_names_only();
    keeps_other_sites_out();
    knows_levels();
    unlink(path);
    access_close(NULL);
    return check_result();
}
