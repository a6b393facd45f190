#include "tools/eval/report_page.h"

#include <assert.h>
#include <string.h>

#include "engine/base/base64.h"
#include "query/server/tls.h"
#include "tools/eval/report/report_parts.h" /* REPORT_STYLE, REPORT_SCRIPT; made by meson */

/* The assembler finds the files through the -I that meson.build gives it. */
#define EMBED(name, incbins)                                                                       \
    __asm__(".pushsection .rodata\n"                                                               \
            ".balign 16\n" #name "_begin:\n" incbins #name "_end:\n"                               \
            ".byte 0\n"                                                                            \
            ".popsection\n");                                                                      \
    extern const char name##_begin[], name##_end[]

EMBED(tercet_report_shell, ".incbin \"report.html\"\n");
EMBED(tercet_report_style, REPORT_STYLE);
EMBED(tercet_report_script, REPORT_SCRIPT);

/* The shell up to and with the mark; where it goes on. */
static const char *shell_to(const char *shell, const char *mark, struct buf *out) {
    const char *at = strstr(shell, mark);
    assert(at); /* report_test.c: the shell has all of them */
    buf_append(out, shell, (size_t)(at - shell) + strlen(mark));
    return at + strlen(mark);
}

static void hash_append(const char *begin, const char *end, struct buf *out) {
    uint8_t hash[TLS_SHA256_BYTES];
    tls_sha256(begin, (size_t)(end - begin), hash);
    buf_text(out, "'sha256-");
    base64_print(hash, sizeof hash, out);
    buf_text(out, "'");
}

static void policy_append(struct buf *out) {
    buf_text(out, "default-src 'none'; script-src ");
    hash_append(tercet_report_script_begin, tercet_report_script_end, out);
    buf_text(out, "; style-src ");
    hash_append(tercet_report_style_begin, tercet_report_style_end, out);
    buf_text(out, "; img-src data:; base-uri 'none'; form-action 'none'; "
                  "require-trusted-types-for 'script'; trusted-types 'none'");
}

/* In JSON a "<" stands in strings only, and may be written as its number there: so nothing in the
 * block can end it ("</script") or change how it is read ("<!--"). */
static void data_append(const struct json *data, struct buf *out) {
    struct buf printed = {0};
    json_print(data, &printed);
    for (const char *at = printed.data, *end = at + printed.len; at < end;) {
        const char *less = memchr(at, '<', (size_t)(end - at));
        buf_append(out, at, (size_t)((less ? less : end) - at));
        if (less)
            buf_text(out, "\\u003c");
        at = less ? less + 1 : end;
    }
    buf_done(&printed);
}

void report_page(const struct json *data, struct buf *out) {
    const char *shell = tercet_report_shell_begin;
    shell = shell_to(shell, "Content-Security-Policy\" content=\"", out);
    policy_append(out);
    shell = shell_to(shell, "<style>", out);
    buf_append(out, tercet_report_style_begin,
               (size_t)(tercet_report_style_end - tercet_report_style_begin));
    shell = shell_to(shell, "id=\"data\">", out);
    data_append(data, out);
    shell = shell_to(shell, "<script>", out);
    buf_append(out, tercet_report_script_begin,
               (size_t)(tercet_report_script_end - tercet_report_script_begin));
    buf_append(out, shell, (size_t)(tercet_report_shell_end - shell));
}
