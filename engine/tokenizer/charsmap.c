#include "engine/tokenizer/charsmap.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/base64.h"
#include "engine/base/mem.h"
#include "engine/tokenizer/utf8.h"

/* ---- the bytes ---- */

static uint32_t read_u32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static bool split_parts(struct charsmap *map, const uint8_t *bytes, size_t len, struct error *err) {
    enum { HEADER = 4, UNIT = 4 };
    size_t trie_bytes = len >= HEADER ? read_u32(bytes) : 0;
    if (trie_bytes == 0 || trie_bytes % UNIT || trie_bytes > len - HEADER)
        return error_set(err, ERROR_INVALID, "a trie of %zu bytes in a charsmap of %zu", trie_bytes,
                         len);
    map->units_n = trie_bytes / UNIT;
    map->units = mem_alloc(map->units_n, sizeof *map->units);
    for (size_t i = 0; i < map->units_n; i++)
        map->units[i] = read_u32(bytes + HEADER + i * UNIT);
    map->replacements_len = len - HEADER - trie_bytes;
    map->replacements = mem_zalloc(map->replacements_len + 1, 1);
    memcpy(map->replacements, bytes + HEADER + trie_bytes, map->replacements_len);
    return true;
}

/* ---- the trie ---- */

enum { UNIT_VALUE_BIT = 31, UNIT_LEAF = 1 << 8, UNIT_LABEL = 0xff };

static bool is_value(uint32_t unit) {
    return unit >> UNIT_VALUE_BIT;
}

static uint32_t value_of(uint32_t unit) {
    return unit & ~(1u << UNIT_VALUE_BIT);
}

static uint32_t offset_of(uint32_t unit) {
    return (unit >> 10) << ((unit & (1u << 9)) >> 6);
}

static bool check_replacement(const struct charsmap *map, size_t at, struct error *err) {
    if (at >= map->replacements_len)
        return error_set(err, ERROR_INVALID,
                         "a trie value points to byte %zu of %zu bytes of replacements", at,
                         map->replacements_len);
    size_t left = map->replacements_len - at;
    size_t room = left < CHARSMAP_REPLACEMENT_MAX + 1 ? left : CHARSMAP_REPLACEMENT_MAX + 1;
    const char *text = map->replacements + at, *end = memchr(text, '\0', room);
    if (!end)
        return error_set(err, ERROR_INVALID,
                         "the replacement at byte %zu does not end within %zu bytes", at, room);
    while (text < end) {
        uint32_t codepoint;
        size_t bytes = utf8_read(text, (size_t)(end - text), &codepoint);
        if (bytes == 1 && codepoint == UTF8_REPLACEMENT)
            return error_set(err, ERROR_INVALID, "the replacement at byte %zu is not UTF-8", at);
        text += bytes;
    }
    return true;
}

static bool check_values(const struct charsmap *map, struct error *err) {
    for (size_t i = 0; i < map->units_n; i++)
        if (is_value(map->units[i]) && !check_replacement(map, value_of(map->units[i]), err))
            return false;
    return true;
}

/* *alive_out: a longer text that begins like this one may be found. */
static const char *walk(const struct charsmap *map, const char *text, size_t len, bool *alive_out) {
    *alive_out = false;
    if (map->units_n == 0)
        return NULL;
    uint32_t node = offset_of(map->units[0]);
    for (size_t i = 0; i < len && text[i]; i++) {
        node ^= (uint8_t)text[i];
        if (node >= map->units_n)
            return NULL;
        uint32_t unit = map->units[node];
        if (is_value(unit) || (unit & UNIT_LABEL) != (uint8_t)text[i])
            return NULL;
        node ^= offset_of(unit);
        if (!(unit & UNIT_LEAF))
            continue;
        uint32_t leaf = node < map->units_n ? map->units[node] : 0;
        return is_value(leaf) ? map->replacements + value_of(leaf) : NULL;
    }
    *alive_out = true;
    return NULL;
}

const char *charsmap_find(const struct charsmap *map, const char *text, size_t len) {
    bool alive;
    return walk(map, text, len, &alive);
}

/* ---- flags of all code points ---- */

/* 64 code points share all bytes but the last; most beginnings are in no key. */
static void mark_changes(const struct charsmap *map, uint8_t *flags) {
    enum { ROW = 64 };
    char text[UTF8_BYTES_MAX];
    for (uint32_t c = 1; c < UNICODE_N; c++) {
        bool alive, is_surrogate = c >= 0xd800 && c <= 0xdfff;
        if (c % ROW == 0 && c >= 0x80) {
            size_t shared_n = utf8_write(c, text) - 1;
            if (is_surrogate || (!walk(map, text, shared_n, &alive) && !alive)) {
                c += ROW - 1;
                continue;
            }
        }
        if (charsmap_find(map, text, utf8_write(c, text)))
            flags[c] |= CHARSMAP_CHANGES;
    }
}

/* Most of the 4,352 pages are empty: about 120 different ones are left. */
static void keep_pages(struct charsmap *map, const uint8_t *flags) {
    map->pages = mem_alloc(CHARSMAP_PAGES_N, sizeof *map->pages);
    for (size_t i = 0; i < CHARSMAP_PAGES_N; i++) {
        const uint8_t *page = flags + i * CHARSMAP_PAGE;
        size_t same = 0;
        while (same < map->pages_n && memcmp(map->pages[same], page, CHARSMAP_PAGE) != 0)
            same++;
        if (same == map->pages_n)
            memcpy(map->pages[map->pages_n++], page, CHARSMAP_PAGE);
        map->page_of[i] = (uint16_t)same;
    }
    map->pages = mem_realloc(map->pages, map->pages_n, sizeof *map->pages);
}

bool charsmap_init(struct charsmap *map, const char *base64, size_t base64_len, struct error *err) {
    *map = (struct charsmap){0};
    if (base64) {
        size_t len = 0;
        uint8_t *bytes = mem_alloc(base64_len / 4 * 3 + 1, 1);
        bool ok = base64_parse(base64, base64_len, bytes, &len, err) &&
                  split_parts(map, bytes, len, err) && check_values(map, err);
        free(bytes);
        if (!ok)
            return false;
    }
    uint8_t *flags = mem_zalloc(UNICODE_N, 1);
    grapheme_flags(flags);
    mark_changes(map, flags);
    keep_pages(map, flags);
    free(flags);
    return true;
}

void charsmap_done(struct charsmap *map) {
    free(map->units);
    free(map->replacements);
    free(map->pages);
    *map = (struct charsmap){0};
}
