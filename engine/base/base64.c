#include "engine/base/base64.h"

void base64_print(const void *bytes, size_t len, struct buf *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i += 3) {
        uint32_t three = (uint32_t)at[i] << 16 | (i + 1 < len ? (uint32_t)at[i + 1] << 8 : 0) |
                         (i + 2 < len ? at[i + 2] : 0);
        char four[4] = {digits[three >> 18], digits[three >> 12 & 63],
                        i + 1 < len ? digits[three >> 6 & 63] : '=',
                        i + 2 < len ? digits[three & 63] : '='};
        buf_append(out, four, sizeof four);
    }
}

static int value_of(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_parse(const char *text, size_t len, uint8_t *out, size_t *len_out, struct error *err) {
    size_t padding = 0, n = 0;
    if (len % 4)
        return error_set(err, ERROR_INVALID, "not base64: %zu characters are no multiple of 4",
                         len);
    while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
        padding++;
    for (size_t i = 0; i < len; i += 4) {
        uint32_t three = 0;
        for (size_t j = i; j < i + 4; j++) {
            int value = j >= len - padding ? 0 : value_of(text[j]);
            if (value < 0)
                return error_set(err, ERROR_INVALID, "not base64: character %zu", j);
            three = three << 6 | (uint32_t)value;
        }
        out[n++] = (uint8_t)(three >> 16);
        out[n++] = (uint8_t)(three >> 8);
        out[n++] = (uint8_t)three;
    }
    *len_out = n - padding;
    return true;
}
