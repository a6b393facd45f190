#include "query/ui/page.h"

#include <string.h>

#include "query/ui/page_stamp.h" /* PAGE_SHA256; meson makes it anew when the page changes */

/* The assembler finds index.html through the -I that meson.build gives it. */
__asm__(".pushsection .rodata\n"
        ".balign 16\n"
        "tercet_page_begin:\n"
        ".incbin \"index.html\"\n"
        "tercet_page_end:\n"
        ".byte 0\n"
        ".popsection\n");

extern const char tercet_page_begin[], tercet_page_end[];

const char *page_html(size_t *len_out) {
    *len_out = (size_t)(tercet_page_end - tercet_page_begin);
    return tercet_page_begin;
}

/* Style and script stand in the page, so they are allowed inline; everything else is closed:
 * nothing is loaded from or sent to anywhere but this server, and nobody frames the page. */
static const char policy[] = "default-src 'none'; script-src 'unsafe-inline'; "
                             "style-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
                             "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

void page_handler(void *context, size_t worker, const struct server_request *request,
                  struct server_response *response) {
    static const char etag[] = "\"" PAGE_SHA256 "\"";
    (void)context, (void)worker;
    server_response_header(response, "ETag", etag);
    server_response_header(response, "Cache-Control", "no-cache"); /* ask, and mostly get a 304 */
    server_response_header(response, "Content-Security-Policy", policy);
    server_response_header(response, "Referrer-Policy", "no-referrer");
    server_response_header(response, "X-Frame-Options", "DENY");
    server_response_header(response, "Cross-Origin-Opener-Policy", "same-origin");
    response->content_type = "text/html; charset=utf-8";
    const char *known = server_header(request, "if-none-match");
    if (known && (strstr(known, etag) || strcmp(known, "*") == 0))
        response->status = 304;
    else
        response->static_body = page_html(&response->static_len);
}
