#include "query/ui/page.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/buf.h"
#include "query/server/tls.h"
#include "query/ui/page_parts.h" /* PAGE_STYLE, PAGE_SCRIPT: .incbin lines; made by meson */

/* The assembler finds the files through the -I that meson.build gives it. */
#define EMBED(name, incbins)                                                                       \
    __asm__(".pushsection .rodata\n"                                                               \
            ".balign 16\n" #name "_begin:\n" incbins #name "_end:\n"                               \
            ".byte 0\n"                                                                            \
            ".popsection\n");                                                                      \
    extern const char name##_begin[], name##_end[]

EMBED(tercet_page_shell, ".incbin \"index.html\"\n");
EMBED(tercet_page_style, PAGE_STYLE);
EMBED(tercet_page_script, PAGE_SCRIPT);

enum {
    HASH_BASE64_BYTES = 45, /* 32 bytes in base64, with the NUL */
    ETAG_BYTES = 2 * TLS_SHA256_BYTES + 3,
    POLICY_BYTES = 512,
};

static struct {
    struct buf html;
    char etag[ETAG_BYTES], policy[POLICY_BYTES];
} page;
static pthread_once_t page_made = PTHREAD_ONCE_INIT;

/* ---- making it, once ---- */

/* Source: RFC 4648, section 4. */
static void base64_of_hash(const uint8_t hash[TLS_SHA256_BYTES], char out[HASH_BASE64_BYTES]) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0; i < TLS_SHA256_BYTES; i += 3) { /* 30 bytes in threes, then two and a "=" */
        bool last = i + 2 >= TLS_SHA256_BYTES;
        unsigned bits = (unsigned)hash[i] << 16 | (unsigned)hash[i + 1] << 8;
        bits |= last ? 0 : hash[i + 2];
        *out++ = digits[bits >> 18 & 63];
        *out++ = digits[bits >> 12 & 63];
        *out++ = digits[bits >> 6 & 63];
        *out++ = last ? '=' : digits[bits & 63];
    }
    *out = '\0';
}

static void hash_text(const char *text, size_t len, char out[HASH_BASE64_BYTES]) {
    uint8_t hash[TLS_SHA256_BYTES];
    tls_sha256(text, len, hash);
    base64_of_hash(hash, out);
}

/* The shell up to the empty element, then what belongs into it; where the shell goes on. */
static const char *fill(const char *shell, const char *tag, const char *begin, const char *end) {
    const char *at = strstr(shell, tag);
    assert(at); /* page_test.c: the shell has both */
    buf_append(&page.html, shell, (size_t)(at - shell) + strlen(tag));
    buf_append(&page.html, begin, (size_t)(end - begin));
    return at + strlen(tag);
}

static void page_make(void) {
    char style[HASH_BASE64_BYTES], script[HASH_BASE64_BYTES];
    uint8_t hash[TLS_SHA256_BYTES];
    const char *shell = tercet_page_shell_begin;
    shell = fill(shell, "<style>", tercet_page_style_begin, tercet_page_style_end);
    shell = fill(shell, "<script>", tercet_page_script_begin, tercet_page_script_end);
    buf_append(&page.html, shell, (size_t)(tercet_page_shell_end - shell));
    hash_text(tercet_page_style_begin, (size_t)(tercet_page_style_end - tercet_page_style_begin),
              style);
    hash_text(tercet_page_script_begin, (size_t)(tercet_page_script_end - tercet_page_script_begin),
              script);
    /* This style and this script, and nothing else: nothing is loaded from or sent to anywhere but
     * this server, no text becomes markup or code, and nobody frames the page. */
    snprintf(page.policy, sizeof page.policy,
             "default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; img-src data:; "
             "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
             "require-trusted-types-for 'script'; trusted-types 'none'",
             script, style);
    tls_sha256(page.html.data, page.html.len, hash);
    page.etag[0] = '"';
    for (int i = 0; i < TLS_SHA256_BYTES; i++)
        snprintf(page.etag + 1 + 2 * i, 3, "%02x", hash[i]);
    strcat(page.etag, "\"");
}

/* ---- giving it out ---- */

const char *page_html(size_t *len_out) {
    pthread_once(&page_made, page_make);
    *len_out = page.html.len;
    return page.html.data;
}

void page_handler(void *context, size_t worker, const struct server_request *request,
                  struct server_response *response) {
    size_t len;
    const char *html = page_html(&len);
    (void)context, (void)worker;
    server_response_header(response, "ETag", page.etag);
    server_response_header(response, "Cache-Control", "no-cache"); /* ask, and mostly get a 304 */
    server_response_header(response, "Content-Security-Policy", page.policy);
    server_response_header(response, "Referrer-Policy", "no-referrer");
    server_response_header(response, "X-Frame-Options", "DENY");
    server_response_header(response, "Cross-Origin-Opener-Policy", "same-origin");
    response->content_type = "text/html; charset=utf-8";
    const char *known = server_header(request, "if-none-match");
    if (known && (strstr(known, page.etag) || strcmp(known, "*") == 0)) {
        response->status = 304;
    } else {
        response->static_body = html;
        response->static_len = len;
    }
}
