/* The embedded page is whole, asks nobody else, and is served as a page should be. */
#include <string.h>

#include "query/server/response.h"
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
    const char *address = strstr(page, "http://");
    CHECK(address && strncmp(address, "http://www.w3.org/2000/svg", 26) == 0); /* a name only */
    CHECK(address && !strstr(address + 1, "http://"));
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
    is_served_with_its_headers();
    return check_result();
}
