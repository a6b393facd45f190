/* The embedded page is whole, asks nobody else, and is served as a page should be. */
#include <string.h>

#include "query/server/response.h"
#include "query/server/tls.h"
#include "query/ui/page.h"
#include "tests/check.h"

static const char *header(const struct server_response *response, const char *name) {
    for (size_t i = 0; i < response->headers_n; i++)
        if (strcmp(response->headers[i].name, name) == 0)
            return response->headers[i].value;
    return NULL;
}

static void is_one_whole_file(void) {
    size_t len;
    const char *page = page_html(&len);
    CHECK_EQUAL(strlen(page), len); /* a NUL stands behind it, none within */
    CHECK(strncmp(page, "<!doctype html>", 15) == 0);
    CHECK(strcmp(page + len - 8, "</html>\n") == 0);
    /* Nothing from elsewhere, and no way for a document's text to become markup. */
    const char *const forbidden[] = {"https://",       "src=",      "@import",
                                     "innerHTML",      "outerHTML", "insertAdjacentHTML",
                                     "document.write", "eval("};
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
        CHECK(!strstr(page, forbidden[i]));
    for (const char *at = page; (at = strstr(at, "http://")); at++)
        CHECK(strncmp(at, "http://www.w3.org/2000/svg", 26) == 0); /* a name only */
    CHECK(strstr(page, "color-scheme: light dark") && strstr(page, "stateFromHash(location.hash)"));
}

/* RFC 4648's base64, read: the page writes it. */
static void unbase64(const char *text, uint8_t out[TLS_SHA256_BYTES]) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    for (int i = 0, bits_n = 0, n = 0; n < TLS_SHA256_BYTES && strchr(digits, text[i]); i++) {
        bits = bits << 6 | (uint32_t)(strchr(digits, text[i]) - digits);
        bits_n += 6;
        if (bits_n >= 8)
            out[n++] = (uint8_t)(bits >> (bits_n -= 8));
    }
}

/* What stands between two tags, hashed as a browser does it, is what the policy allows. */
static void is_allowed(const char *policy, const char *source, const char *open,
                       const char *close) {
    size_t len;
    const char *begin = strstr(page_html(&len), open) + strlen(open), *end = strstr(begin, close);
    uint8_t hash[TLS_SHA256_BYTES], allowed[TLS_SHA256_BYTES] = {0};
    CHECK(end && end - begin > 1000);
    tls_sha256(begin, (size_t)(end - begin), hash);
    const char *at = strstr(policy, source);
    CHECK(at && at[strlen(source) + 44] == '\''); /* 32 bytes are 43 digits and a "=" */
    unbase64(at + strlen(source), allowed);
    CHECK(memcmp(hash, allowed, sizeof hash) == 0);
}

static void is_allowed_by_hash_alone(void) {
    struct arena arena = {0};
    struct server_response response = {0};
    struct server_request request = {.method = SERVER_GET, .arena = &arena};
    response_init(&response, &arena);
    page_handler(NULL, 0, &request, &response);
    const char *policy = header(&response, "Content-Security-Policy");
    CHECK(!strstr(policy, "unsafe"));
    is_allowed(policy, "style-src 'sha256-", "<style>", "</style>");
    is_allowed(policy, "script-src 'sha256-", "<script>", "</script>");
    size_t len;
    CHECK(!strstr(page_html(&len), " style=\"") && !strstr(page_html(&len), " onclick="));
    arena_done(&arena);
}

static void is_served_with_its_headers(void) {
    struct arena arena = {0};
    struct server_response response = {0};
    struct server_request request = {.method = SERVER_GET, .arena = &arena};
    response_init(&response, &arena);
    page_handler(NULL, 0, &request, &response);
    CHECK_EQUAL(response.status, 200);
    CHECK_TEXT(response.content_type, "text/html; charset=utf-8");
    CHECK(response.static_body && response.static_len > 1000);
    CHECK(strstr(header(&response, "Content-Security-Policy"), "default-src 'none'"));
    CHECK_TEXT(header(&response, "Referrer-Policy"), "no-referrer");
    const char *etag = header(&response, "ETag");
    CHECK(etag && strlen(etag) == 66);

    struct server_pair known = {"if-none-match", arena_format(&arena, "\"old\", W/%s", etag)};
    request.headers = &known;
    request.headers_n = 1;
    response_init(&response, &arena);
    page_handler(NULL, 0, &request, &response);
    CHECK_EQUAL(response.status, 304);
    CHECK(!response.static_body && header(&response, "ETag"));
    known.value = "\"old\"";
    response_init(&response, &arena);
    page_handler(NULL, 0, &request, &response);
    CHECK_EQUAL(response.status, 200);
    arena_done(&arena);
}

int main(void) {
    is_one_whole_file();
    is_allowed_by_hash_alone();
    is_served_with_its_headers();
    return check_result();
}
