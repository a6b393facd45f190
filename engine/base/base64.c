#include "engine/base/base64.h"

void base64_print(const void *bytes, size_t len, struct buf *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *at = bytes;
    buf_reserve(out, (len + 2) / 3 * 4);
    char *to = out->data + out->len;
    for (size_t i = 0; i < len; i += 3, to += 4) {
        uint32_t three = (uint32_t)at[i] << 16 | (i + 1 < len ? (uint32_t)at[i + 1] << 8 : 0) |
                         (i + 2 < len ? at[i + 2] : 0);
        to[0] = digits[three >> 18];
        to[1] = digits[three >> 12 & 63];
        to[2] = i + 1 < len ? digits[three >> 6 & 63] : '=';
        to[3] = i + 2 < len ? digits[three & 63] : '=';
    }
    out->len += (len + 2) / 3 * 4;
}

/* One more than what a character stands for; 0: none. */
static const uint8_t values[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

static bool parse_four(const unsigned char *text, uint8_t *out) {
    uint8_t a = values[text[0]], b = values[text[1]], c = values[text[2]], d = values[text[3]];
    uint32_t three = (a - 1u) << 18 | (b - 1u) << 12 | (c - 1u) << 6 | (d - 1u);
    out[0] = (uint8_t)(three >> 16);
    out[1] = (uint8_t)(three >> 8);
    out[2] = (uint8_t)three;
    return a && b && c && d;
}

bool base64_parse(const char *text, size_t len, uint8_t *out, size_t *len_out, struct error *err) {
    size_t padding = 0, i = 0;
    char last[4] = "AAAA";
    if (len % 4)
        return error_set(err, ERROR_INVALID, "not base64: %zu characters are no multiple of 4",
                         len);
    while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
        padding++;
    size_t whole = padding ? len - 4 : len;
    for (; i < whole; i += 4)
        if (!parse_four((const unsigned char *)text + i, out + i / 4 * 3))
            goto wrong;
    for (size_t j = 0; padding && j < 4 - padding; j++)
        last[j] = text[whole + j];
    if (padding && !parse_four((const unsigned char *)last, out + whole / 4 * 3))
        goto wrong;
    *len_out = len / 4 * 3 - padding;
    return true;
wrong:
    while (values[(unsigned char)text[i]])
        i++;
    return error_set(err, ERROR_INVALID, "not base64: character %zu", i);
}
