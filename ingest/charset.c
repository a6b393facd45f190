#include "ingest/charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utf8proc.h>

#include "engine/base/mem.h"

/* ---- what a file is ---- */

static const struct {
    const char *mark, *wide;
    size_t len;
} marks[] = {
    /* UTF-32's little-endian mark begins as UTF-16's does. */
    {"\xff\xfe\0\0", "UTF-32LE", 4}, {"\0\0\xfe\xff", "UTF-32BE", 4}, {"\xff\xfe", "UTF-16LE", 2},
    {"\xfe\xff", "UTF-16BE", 2},     {"\xef\xbb\xbf", NULL, 3},
};

/* UTF-16 without a mark: every other byte of ASCII is a NUL, and no text in UTF-8 holds one. */
static const char *detect_by_nuls(const char *bytes, size_t len) {
    /* A quarter of the characters: tags, digits, blanks. One NUL alone is a mistake. */
    enum { LOOK_BYTES = 1024, PART = 4, NULS_MIN = 2 };
    size_t nuls[2] = {0, 0}, n = (len < LOOK_BYTES ? len : LOOK_BYTES) / 2 * 2;
    for (size_t i = 0; i < n; i++)
        nuls[i % 2] += bytes[i] == '\0';
    if ((nuls[0] && nuls[1]) || nuls[0] + nuls[1] < NULS_MIN)
        return NULL;
    if (nuls[0] && nuls[0] * PART * 2 >= n)
        return "UTF-16BE";
    return nuls[1] && nuls[1] * PART * 2 >= n ? "UTF-16LE" : NULL;
}

const char *charset_detect(const char *bytes, size_t len, size_t *mark_len_out) {
    *mark_len_out = 0;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (len >= marks[i].len && memcmp(bytes, marks[i].mark, marks[i].len) == 0) {
            *mark_len_out = marks[i].len;
            return marks[i].wide;
        }
    return detect_by_nuls(bytes, len);
}

/* ---- wide ---- */

enum { CHARACTER_BYTES_MAX = 4 };

struct charset {
    size_t unit; /* bytes: 2 or 4 */
    bool big_endian;
    char left[CHARACTER_BYTES_MAX]; /* of a character that is not whole yet */
    size_t left_n;
};

struct charset *charset_open(const char *wide) {
    struct charset *charset = mem_zalloc(1, sizeof *charset);
    charset->unit = strncmp(wide, "UTF-32", 6) == 0 ? 4 : 2;
    charset->big_endian = wide[strlen(wide) - 2] == 'B';
    return charset;
}

void charset_close(struct charset *charset) {
    free(charset);
}

static uint32_t unit_at(const struct charset *charset, const char *bytes) {
    uint32_t unit = 0;
    for (size_t i = 0; i < charset->unit; i++)
        unit = unit << 8 | (unsigned char)bytes[charset->big_endian ? i : charset->unit - 1 - i];
    return unit;
}

/* One character; returns the bytes it took, 0 when it is not whole. *out: UINT32_MAX for half a
 * pair, which takes one unit. */
static size_t decode(const struct charset *charset, const char *bytes, size_t len, uint32_t *out) {
    if (len < charset->unit)
        return 0;
    uint32_t first = unit_at(charset, bytes);
    *out = first;
    if (charset->unit == 4 || (first & 0xf800) != 0xd800)
        return charset->unit;
    *out = UINT32_MAX;
    if ((first & 0xfc00) != 0xd800)
        return charset->unit;
    if (len < 2 * charset->unit)
        return 0;
    uint32_t second = unit_at(charset, bytes + charset->unit);
    if ((second & 0xfc00) != 0xdc00)
        return charset->unit;
    *out = 0x10000 + ((first & 0x3ff) << 10 | (second & 0x3ff));
    return 2 * charset->unit;
}

static void append_character(struct buf *out, uint32_t character) {
    utf8proc_uint8_t utf8[4];
    utf8proc_ssize_t n = character <= 0x10ffff && (character & 0xfffff800) != 0xd800
                             ? utf8proc_encode_char((utf8proc_int32_t)character, utf8)
                             : 0;
    buf_append(out, n > 0 ? (const char *)utf8 : "\xff", n > 0 ? (size_t)n : 1);
}

void charset_feed(struct charset *charset, const char *bytes, size_t len, struct buf *out) {
    uint32_t character;
    size_t taken;
    buf_reserve(out, len * 2);       /* three bytes for two is what most scripts need at most */
    while (charset->left_n && len) { /* byte by byte until the one left over is whole */
        charset->left[charset->left_n++] = *bytes++;
        len--;
        while ((taken = decode(charset, charset->left, charset->left_n, &character)) > 0) {
            append_character(out, character);
            charset->left_n -= taken; /* behind half a pair stands the next character */
            memmove(charset->left, charset->left + taken, charset->left_n);
        }
    }
    while ((taken = decode(charset, bytes, len, &character)) > 0) {
        append_character(out, character);
        bytes += taken;
        len -= taken;
    }
    if (!len)
        return;
    memcpy(charset->left + charset->left_n, bytes, len);
    charset->left_n += len;
}

void charset_end(struct charset *charset, struct buf *out) {
    if (charset->left_n)
        buf_append(out, "\xff", 1);
    charset->left_n = 0;
}

/* ---- ASCII's kin ---- */

/* Names that say less than what is meant: the web's encodings are supersets (WHATWG, "Encoding"),
 * and some of its names are not iconv's. */
static const char *iconv_name(const char *name) {
    static const char *const pairs[][2] = {
        {"iso-8859-1", "CP1252"},
        {"latin1", "CP1252"},
        {"latin-1", "CP1252"},
        {"iso8859-1", "CP1252"},
        {"us-ascii", "CP1252"},
        {"ascii", "CP1252"},
        {"x-cp1252", "CP1252"},
        {"iso-8859-9", "CP1254"},
        {"iso-8859-11", "CP874"},
        {"tis-620", "CP874"},
        {"shift_jis", "CP932"},
        {"shift-jis", "CP932"},
        {"sjis", "CP932"},
        {"x-sjis", "CP932"},
        {"windows-31j", "CP932"},
        {"gb2312", "GB18030"},
        {"gb_2312-80", "GB18030"},
        {"gbk", "GB18030"},
        {"x-gbk", "GB18030"},
        {"euc-kr", "CP949"},
        {"ks_c_5601-1987", "CP949"},
        {"ksc5601", "CP949"},
        {"big5", "BIG5-HKSCS"},
        {"x-euc-jp", "EUC-JP"},
        {"x-mac-cyrillic", "MAC-CYRILLIC"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (strcasecmp(name, pairs[i][0]) == 0)
            return pairs[i][1];
    return name;
}

/* Their shifts are made of ASCII, so that a comma need not be a comma. */
static bool shifts(const char *name) {
    static const char *const kinds[] = {"ISO-2022", "ISO2022", "UTF-7", "UTF7", "HZ", "CSISO2022"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strncasecmp(name, kinds[i], strlen(kinds[i])) == 0)
            return true;
    return false;
}

/* Every printable byte of ASCII but the two that East Asian encodings put a currency at. */
static bool keeps_ascii(iconv_t iconv_to) {
    for (char c = ' '; c < 0x7f; c++) {
        char in = c, out[8], *from = &in, *to = out;
        size_t left = 1, room = sizeof out;
        if (c == '\\' || c == '~')
            continue;
        if (iconv(iconv_to, &from, &left, &to, &room) == (size_t)-1 || to != out + 1 || out[0] != c)
            return false;
    }
    return true;
}

bool charset_known(const char *name, struct error *err) {
    iconv_t known = *name ? iconv_open("UTF-8", iconv_name(name)) : (iconv_t)-1;
    if (known == (iconv_t)-1)
        return error_set(err, ERROR_INVALID, "no encoding is called \"%s\" (iconv -l lists them)",
                         name);
    bool fine = !shifts(name) && keeps_ascii(known);
    iconv_close(known);
    return fine || error_set(err, ERROR_UNSUPPORTED,
                             "\"%s\" is not ASCII in its lower half; convert such files first: "
                             "iconv -f %s -t UTF-8",
                             name, name);
}

/* Where a text stops being UTF-8; len when it does not. */
static size_t utf8_len(const char *text, size_t len) {
    for (size_t i = 0; i < len;) {
        utf8proc_int32_t codepoint;
        utf8proc_ssize_t n = 1;
        if ((unsigned char)text[i] >= 0x80)
            n = utf8proc_iterate((const utf8proc_uint8_t *)text + i, (utf8proc_ssize_t)(len - i),
                                 &codepoint);
        if (n <= 0)
            return i;
        i += (size_t)n;
    }
    return len;
}

bool charset_is_utf8(const char *text, size_t len) {
    return utf8_len(text, len) == len;
}

static bool convert(const char *name, char *text, size_t len, struct buf *out, struct error *err) {
    iconv_t to_utf8 = iconv_open("UTF-8", iconv_name(name));
    if (to_utf8 == (iconv_t)-1)
        return error_set(err, ERROR_UNSUPPORTED, "no encoding is called \"%s\"", name);
    char *from = text;
    size_t left = len;
    bool ok = true;
    buf_clear(out);
    buf_append(out, "", 0);
    while (ok && left) {
        char block[4096], *to = block;
        size_t room = sizeof block;
        ok = iconv(to_utf8, &from, &left, &to, &room) != (size_t)-1 || errno == E2BIG;
        buf_append(out, block, sizeof block - room);
    }
    iconv_close(to_utf8);
    return ok || error_set(err, ERROR_INVALID, "not %s either: byte %zu is 0x%02x", name,
                           (size_t)(from - text), (unsigned char)*from);
}

bool charset_to_utf8(const char *name, char **text, size_t *len, struct buf *store,
                     struct error *err) {
    if (!name || charset_is_utf8(*text, *len))
        return true;
    if (!convert(name, *text, *len, store, err))
        return false;
    *text = store->data;
    *len = store->len;
    return true;
}
