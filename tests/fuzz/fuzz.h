/* fuzz.h - what the targets share: numbers drawn from an input, damage, and a strict reading
 * of UTF-8 to compare ours with. */
#ifndef TERCET_TESTS_FUZZ_FUZZ_H
#define TERCET_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left of an input. Behind its end stand zeros. */
struct fuzz_input {
    const uint8_t *at, *end;
};

static inline size_t fuzz_left(const struct fuzz_input *input) {
    return (size_t)(input->end - input->at);
}

static inline uint32_t fuzz_byte(struct fuzz_input *input) {
    return input->at < input->end ? *input->at++ : 0;
}

static inline uint32_t fuzz_u16(struct fuzz_input *input) {
    uint32_t low = fuzz_byte(input);
    return low | fuzz_byte(input) << 8;
}

static inline uint32_t fuzz_u32(struct fuzz_input *input) {
    uint32_t low = fuzz_u16(input);
    return low | fuzz_u16(input) << 16;
}

/* Up to max bytes of the input itself. */
static inline const char *fuzz_text(struct fuzz_input *input, size_t max, size_t *len_out) {
    const uint8_t *at = input->at;
    *len_out = fuzz_left(input) < max ? fuzz_left(input) : max;
    input->at += *len_out;
    return (const char *)at;
}

/* Damage: up to `patches_max` bytes of [len] become others; each takes three bytes of the input, a
 * place (from the end, where its highest bit is set: there small files differ) and a value. */
static inline size_t fuzz_damage(struct fuzz_input *input, size_t patches_max, uint8_t *bytes,
                                 size_t len) {
    size_t n = 0;
    for (; n < patches_max && len > 0 && fuzz_left(input) > 0; n++) {
        uint32_t place = fuzz_u16(input);
        size_t at = place & 0x8000 ? len - 1 - (place & 0x7fff) % len : place % len;
        bytes[at] ^= (uint8_t)fuzz_byte(input);
    }
    return n;
}

/* In a block of its own size, so that a sanitizer sees a read behind the end. */
static inline void *fuzz_copy(const void *bytes, size_t len) {
    void *copy = calloc(len ? len : 1, 1);
    if (!copy)
        abort();
    if (len)
        memcpy(copy, bytes, len);
    return copy;
}

/* By Unicode's table 3-7, well-formed byte sequences. */
static inline bool fuzz_is_utf8(const char *text, size_t len) {
    const uint8_t *at = (const uint8_t *)text, *end = at + len;
    while (at < end) {
        uint8_t first = *at++, low = 0x80, high = 0xbf;
        size_t more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
        if (first >= 0x80 && (first < 0xc2 || first > 0xf4))
            return false;
        if (first == 0xe0 || first == 0xf0)
            low = first == 0xe0 ? 0xa0 : 0x90;
        if (first == 0xed || first == 0xf4)
            high = first == 0xed ? 0x9f : 0x8f;
        for (; more > 0; more--, low = 0x80, high = 0xbf)
            if (at == end || *at < low || *at++ > high)
                return false;
    }
    return true;
}

#endif
