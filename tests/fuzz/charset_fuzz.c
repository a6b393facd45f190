/* charset_fuzz - whatever encoding a text claims to have: it becomes UTF-8 or is refused.
 *
 * The first byte of an input chooses an encoding (its lower half) and how large the pieces are (its
 * upper half); the rest is the text. Wide encodings are converted whole and in pieces and by a
 * plain decoder of our own; all three must agree. The others must give UTF-8 or name the byte that
 * has no meaning, and what is UTF-8 already stays as it is. Run it: docs/fuzzing.md. */
#include <assert.h>
#include <string.h>

#include "ingest/charset.h"
#include "tests/fuzz/fuzz.h"

static const char *const wide[] = {"UTF-16LE", "UTF-16BE", "UTF-32LE", "UTF-32BE"};
static const char *const others[] = {"windows-1252", "shift_jis", "gb18030", "euc-kr",
                                     "big5",         "euc-jp",    "koi8-r",  "iso-8859-9"};
enum { WIDE_N = sizeof wide / sizeof *wide, OTHERS_N = sizeof others / sizeof *others };

/* ---- the oracle ---- */

static uint32_t unit_of(const uint8_t *at, size_t unit, bool big_endian) {
    uint32_t value = 0;
    for (size_t i = 0; i < unit; i++)
        value |= (uint32_t)at[i] << 8 * (big_endian ? unit - 1 - i : i);
    return value;
}

static void append(struct buf *out, uint32_t c) {
    uint8_t bytes[4] = {(uint8_t)c};
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; n > 1 && i-- > 0; c >>= 6)
        bytes[i] = (uint8_t)(i ? 0x80 | (c & 0x3f) : lead[n] | c);
    buf_append(out, bytes, n);
}

static void decode(const uint8_t *at, size_t len, size_t unit, bool big_endian, struct buf *out) {
    const uint8_t *end = at + len;
    while ((size_t)(end - at) >= unit) {
        uint32_t c = unit_of(at, unit, big_endian), next = 0;
        bool high = c >= 0xd800 && c < 0xdc00;
        if (unit == 2 && high && (size_t)(end - at) < 2 * unit)
            break;
        at += unit;
        if (unit == 2 && high)
            next = unit_of(at, unit, big_endian);
        if (next >= 0xdc00 && next < 0xe000) {
            at += unit;
            append(out, 0x10000 + ((c - 0xd800) << 10) + (next - 0xdc00));
        } else if ((c >= 0xd800 && c < 0xe000) || c > 0x10ffff) {
            buf_append(out, "\xff", 1);
        } else {
            append(out, c);
        }
    }
    if (at < end) /* half a character left over, however many bytes it has */
        buf_append(out, "\xff", 1);
}

/* ---- ours ---- */

static void convert(const char *name, const uint8_t *bytes, size_t len, size_t piece,
                    struct buf *out) {
    struct charset *charset = charset_open(name);
    for (size_t at = 0; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        char *copy = fuzz_copy(bytes + at, n);
        charset_feed(charset, copy, n, out);
        free(copy);
    }
    charset_end(charset, out);
    charset_close(charset);
}

static bool same(const struct buf *a, const struct buf *b) {
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static void check_wide(const char *name, const uint8_t *bytes, size_t len, size_t piece) {
    struct buf whole = {0}, pieces = {0}, plain = {0};
    convert(name, bytes, len, len ? len : 1, &whole);
    convert(name, bytes, len, piece, &pieces);
    decode(bytes, len, strstr(name, "32") ? 4 : 2, strstr(name, "BE"), &plain);
    assert(same(&whole, &plain) && same(&pieces, &plain));
    buf_done(&whole);
    buf_done(&pieces);
    buf_done(&plain);
}

static void check_other(const char *name, const uint8_t *bytes, size_t len) {
    struct buf store = {0};
    struct error err;
    char *copy = fuzz_copy(bytes, len), *text = copy;
    size_t text_len = len;
    bool utf8 = fuzz_is_utf8(copy, len);
    assert(charset_is_utf8(copy, len) == utf8);
    if (charset_to_utf8(name, &text, &text_len, &store, &err)) {
        assert(fuzz_is_utf8(text, text_len));
        assert(!utf8 || (text == copy && text_len == len));
    } else {
        assert(!utf8 && err.code == ERROR_INVALID && strstr(err.message, name));
    }
    free(copy);
    buf_done(&store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t mark_len;
    if (size == 0)
        return 0;
    char *copy = fuzz_copy(data + 1, size - 1);
    const char *told = charset_detect(copy, size - 1, &mark_len);
    assert(mark_len <= size - 1 && (!told || strncmp(told, "UTF-", 4) == 0));
    free(copy);
    size_t which = data[0] % (WIDE_N + OTHERS_N);
    if (which < WIDE_N)
        check_wide(wide[which], data + 1, size - 1, 1 + data[0] / 16);
    else
        check_other(others[which - WIDE_N], data + 1, size - 1);
    return 0;
}
