#include "index/sparse/postings.h"

#include <assert.h>
#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "engine/base/mem.h"

enum {
    AT_SUM = 0, /* of the head, which goes from here to the first block */
    AT_N = 4,
    AT_SCALE = 8,
    AT_TABLE_SCALE = 9,
    AT_FLAGS = 10,
    FLAG_LOW = 1,
    FLAG_ROUNDED = 2,
    BLOCK_AT_END = 4,
    BLOCK_AT_SUM = 8,
    TABLE_AT_GROUPS_N = 4,
    TABLE_AT_NORM = 8,
    CODE_SHIFT = 18, /* of a float's bits: 5 of the mantissa stay */
    CODES_PER_POWER = 32,
};

/* k1 (1 - b) and k1 b of BM25 as everybody sets it: what tables of bounds are made with. Whatever
 * an index sets, its search corrects for the difference (sparse/search.c). */
static const double norm_base = 1.2 * 0.25, norm_slope = 1.2 * 0.75;

static uint32_t sum_of(const void *bytes, size_t len) {
    return (uint32_t)XXH3_64bits(bytes, len);
}

/* ---- codes ---- */

static uint32_t rounded_up(float weight) {
    uint32_t bits;
    memcpy(&bits, &weight, sizeof bits);
    return (bits + (1u << CODE_SHIFT) - 1) >> CODE_SHIFT;
}

uint8_t posting_scale(float weight) {
    uint32_t exponent = rounded_up(weight) / CODES_PER_POWER;
    return (uint8_t)(exponent < POSTINGS_SCALE_MIN ? POSTINGS_SCALE_MIN : exponent);
}

uint8_t posting_code(float weight, uint8_t scale) {
    uint32_t rounded = rounded_up(weight), zero = (uint32_t)(scale - 7) * CODES_PER_POWER;
    assert(rounded <= zero + UINT8_MAX);
    return (uint8_t)(rounded > zero ? rounded - zero : 1);
}

/* ---- writing ---- */

static void put_u32(char *at, uint32_t value) {
    memcpy(at, &value, sizeof value);
}

/* Bytes that all lengths fit in: nothing, whole numbers, or f32 as they are. */
static uint8_t length_bytes_of(const struct posting *postings, size_t n) {
    uint8_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        float length = postings[i].length;
        if (!(length >= 0 && length <= UINT16_MAX && length == (float)(uint16_t)length))
            return 4;
        if (length > 0)
            bytes = 2;
    }
    return bytes;
}

static void encode_block(const struct posting *postings, size_t n, uint8_t scale, struct buf *out) {
    uint32_t first = postings[0].docid, span = postings[n - 1].docid - first;
    uint8_t offset_bytes = span <= UINT16_MAX ? 2 : span < 1u << 24 ? 3 : 4;
    uint8_t length_bytes = length_bytes_of(postings, n);
    buf_append(out, &first, sizeof first);
    buf_append(out, (uint8_t[]){offset_bytes, length_bytes}, 2);
    for (size_t i = 0; i < n; i++) {
        uint32_t offset = postings[i].docid - first;
        buf_append(out, &offset, offset_bytes); /* little-endian: the low bytes come first */
    }
    for (size_t i = 0; i < n; i++)
        buf_append(out, &(uint8_t){posting_code(postings[i].weight, scale)}, 1);
    for (size_t i = 0; i < n && length_bytes > 0; i++) {
        uint16_t whole = length_bytes == 2 ? (uint16_t)postings[i].length : 0;
        buf_append(out, length_bytes == 2 ? (const void *)&whole : &postings[i].length,
                   length_bytes);
    }
}

/* What a posting adds to its group's bound: its weight, or its share of a score. */
uint8_t posting_list_table_code(const struct posting_list *list, float weight, float length) {
    struct posting_norm norm = list->table_norm;
    float value = !(norm.base > 0)   ? weight
                  : isfinite(weight) ? weight / (weight + (norm.base + norm.slope * length))
                                     : 1;
    if (!(value > 0)) /* a damaged list's */
        return 1;
    return posting_scale(value) > list->table_scale ? UINT8_MAX
                                                    : posting_code(value, list->table_scale);
}

/* Appends the table and returns its scale. */
static uint8_t encode_table(const struct posting *postings, size_t n, uint8_t scale,
                            double length_mean, struct buf *out) {
    struct posting_list list = {.table_scale = scale};
    if (length_mean > 0) {
        list.table_norm.base = (float)norm_base;
        list.table_norm.slope = (float)(norm_slope / length_mean);
        list.table_scale = posting_scale(1); /* no share is larger */
    }
    uint32_t first = postings[0].docid / POSTINGS_GROUP_N, code_base = posting_code_base(scale);
    uint32_t groups_n = postings[n - 1].docid / POSTINGS_GROUP_N - first + 1;
    buf_append(out, &first, sizeof first);
    buf_append(out, &groups_n, sizeof groups_n);
    buf_append(out, &list.table_norm, sizeof list.table_norm);
    buf_reserve(out, groups_n);
    uint8_t *table = (uint8_t *)out->data + out->len;
    out->len += groups_n;
    memset(table, 0, groups_n);
    for (size_t i = 0; i < n; i++) {
        float weight = posting_decode(code_base, posting_code(postings[i].weight, scale));
        uint8_t code = posting_list_table_code(&list, weight, postings[i].length);
        uint8_t *at = &table[postings[i].docid / POSTINGS_GROUP_N - first];
        *at = code > *at ? code : *at;
    }
    return list.table_scale;
}

static uint8_t scale_of(const struct posting *postings, size_t n, uint8_t scale_min) {
    float weight_max = 0;
    for (size_t i = 0; i < n; i++)
        weight_max = postings[i].weight > weight_max ? postings[i].weight : weight_max;
    uint8_t scale = posting_scale(weight_max);
    return scale > scale_min ? scale : scale_min;
}

static uint8_t flags_of(const struct posting *postings, size_t n, uint8_t scale, bool rounded) {
    uint8_t flags = rounded ? FLAG_ROUNDED : 0;
    uint32_t code_base = posting_code_base(scale);
    for (size_t i = 0; i < n; i++) {
        uint8_t code = posting_code(postings[i].weight, scale);
        flags |= code == 1 ? FLAG_LOW | FLAG_ROUNDED : 0;
        flags |= posting_decode(code_base, code) > postings[i].weight ? FLAG_ROUNDED : 0;
    }
    return flags;
}

static bool wants_table(const struct posting *postings, size_t n) {
    size_t groups_n =
        postings[n - 1].docid / POSTINGS_GROUP_N - postings[0].docid / POSTINGS_GROUP_N + 1;
    return n > POSTINGS_BLOCK_N && n * POSTINGS_GROUPS_PER_POSTING >= groups_n;
}

void postings_encode(const struct posting *postings, size_t n,
                     const struct posting_context *context, struct buf *out) {
    assert(n >= 1 && n <= UINT32_MAX);
    size_t blocks_n = (n + POSTINGS_BLOCK_N - 1) / POSTINGS_BLOCK_N;
    size_t list_at = out->len, headers_at = list_at + POSTINGS_HEADER_BYTES;
    size_t head_len = POSTINGS_HEADER_BYTES + blocks_n * POSTINGS_BLOCK_HEADER_BYTES;
    uint8_t scale = scale_of(postings, n, context->scale_min), table_scale = 0;
    buf_reserve(out, head_len + n * 5 + blocks_n * POSTINGS_BLOCK_DATA_BYTES);
    memset(out->data + list_at, 0, head_len);
    out->len += head_len; /* filled in below */
    if (wants_table(postings, n))
        table_scale = encode_table(postings, n, scale, context->length_mean, out);
    size_t data_at = out->len;
    for (size_t b = 0; b < blocks_n; b++) {
        const struct posting *block = postings + b * POSTINGS_BLOCK_N;
        size_t block_n = b + 1 < blocks_n ? POSTINGS_BLOCK_N : n - b * POSTINGS_BLOCK_N;
        size_t begin = out->len;
        encode_block(block, block_n, scale, out);
        size_t data_end = out->len - data_at;
        assert(data_end <= UINT32_MAX);
        char *header = out->data + headers_at + b * POSTINGS_BLOCK_HEADER_BYTES;
        put_u32(header, block[block_n - 1].docid);
        put_u32(header + BLOCK_AT_END, (uint32_t)data_end);
        put_u32(header + BLOCK_AT_SUM, sum_of(out->data + begin, out->len - begin));
    }
    char *list = out->data + list_at;
    put_u32(list + AT_N, (uint32_t)n);
    list[AT_SCALE] = (char)scale;
    list[AT_TABLE_SCALE] = (char)table_scale;
    list[AT_FLAGS] = (char)flags_of(postings, n, scale, context->rounded);
    put_u32(list + AT_SUM, sum_of(list + AT_N, data_at - list_at - AT_N));
}

/* ---- reading ---- */

static uint32_t data_end_of(const struct posting_list *list, uint32_t b) {
    return get_u32(list->headers + (size_t)b * POSTINGS_BLOCK_HEADER_BYTES + BLOCK_AT_END);
}

/* at: where the table's header begins, `len` bytes before the list's end. */
static bool open_table(const uint8_t *at, size_t len, struct posting_list *list) {
    if (len < POSTINGS_TABLE_HEADER_BYTES)
        return false;
    list->group_first = get_u32(at);
    list->groups_n = get_u32(at + TABLE_AT_GROUPS_N);
    memcpy(&list->table_norm, at + TABLE_AT_NORM, sizeof list->table_norm);
    list->table = at + POSTINGS_TABLE_HEADER_BYTES;
    return list->groups_n > 0 && list->groups_n <= len - POSTINGS_TABLE_HEADER_BYTES &&
           list->table_scale >= POSTINGS_SCALE_MIN;
}

bool posting_list_open(struct bytes bytes, struct posting_list *out) {
    const uint8_t *data = bytes.data;
    if (!data || bytes.len < POSTINGS_HEADER_BYTES)
        return false;
    struct posting_list list = {
        .n = get_u32(data + AT_N),
        .scale = data[AT_SCALE],
        .table_scale = data[AT_TABLE_SCALE],
        .low = data[AT_FLAGS] & FLAG_LOW,
        .rounded = data[AT_FLAGS] & FLAG_ROUNDED,
        .headers = data + POSTINGS_HEADER_BYTES,
    };
    size_t blocks_n = ((size_t)list.n + POSTINGS_BLOCK_N - 1) / POSTINGS_BLOCK_N;
    size_t head_len = POSTINGS_HEADER_BYTES + blocks_n * POSTINGS_BLOCK_HEADER_BYTES;
    if (list.n == 0 || list.scale < POSTINGS_SCALE_MIN || bytes.len < head_len)
        return false;
    if (list.table_scale > 0) {
        if (!open_table(data + head_len, bytes.len - head_len, &list))
            return false;
        head_len += POSTINGS_TABLE_HEADER_BYTES + list.groups_n;
    }
    if (sum_of(data + AT_N, head_len - AT_N) != get_u32(data + AT_SUM))
        return false;
    list.blocks_n = (uint32_t)blocks_n;
    list.data = data + head_len;
    list.data_len = bytes.len - head_len;
    if (data_end_of(&list, list.blocks_n - 1) != list.data_len)
        return false;
    *out = list;
    return true;
}

static bool block_sum_is_right(const struct posting_list *list, uint32_t b, const uint8_t *data,
                               size_t len) {
    uint64_t bit = UINT64_C(1) << (b % 64);
    if (list->checked && list->checked[b / 64] & bit)
        return true;
    if (sum_of(data, len) !=
        get_u32(list->headers + (size_t)b * POSTINGS_BLOCK_HEADER_BYTES + BLOCK_AT_SUM))
        return false;
    if (list->checked)
        list->checked[b / 64] |= bit;
    return true;
}

bool posting_list_block(const struct posting_list *list, uint32_t b, struct posting_block *out) {
    assert(b < list->blocks_n);
    size_t begin = b ? data_end_of(list, b - 1) : 0, end = data_end_of(list, b);
    if (end > list->data_len || begin > end || end - begin < POSTINGS_BLOCK_DATA_BYTES)
        return false;
    const uint8_t *data = list->data + begin;
    uint32_t n = b + 1 < list->blocks_n ? POSTINGS_BLOCK_N : list->n - b * POSTINGS_BLOCK_N;
    struct posting_block block = {
        .n = n,
        .docid_first = get_u32(data),
        .code_base = posting_code_base(list->scale),
        .offset_bytes = data[4],
        .length_bytes = data[5],
    };
    if (block.offset_bytes < 2 || block.offset_bytes > 4 ||
        (block.length_bytes != 0 && block.length_bytes != 2 && block.length_bytes != 4))
        return false;
    size_t row = (size_t)block.offset_bytes + 1 + block.length_bytes;
    if (end - begin != POSTINGS_BLOCK_DATA_BYTES + n * row ||
        !block_sum_is_right(list, b, data, end - begin))
        return false;
    block.offsets = data + POSTINGS_BLOCK_DATA_BYTES;
    block.codes = block.offsets + (size_t)n * block.offset_bytes;
    block.lengths = block.codes + n;
    /* Lists that stepped over each other would let a search find a document twice. */
    if ((b > 0 && posting_list_last(list, b - 1) >= block.docid_first) ||
        posting_block_docid(&block, n - 1) != posting_list_last(list, b))
        return false;
    *out = block;
    return true;
}

/* Where the docid would be if docids were spread evenly, then doubled steps from there: low and
 * high close in on the answer. */
static void guess_block(const struct posting_list *list, uint32_t docid, uint32_t *low,
                        uint32_t *high) {
    uint32_t n = list->blocks_n, first = list->group_first * POSTINGS_GROUP_N, step = 1;
    uint32_t last = posting_list_last(list, n - 1);
    if (docid <= first || docid >= last)
        return;
    uint32_t at = (uint32_t)((uint64_t)(docid - first) * n / ((uint64_t)last - first + 1));
    if (posting_list_last(list, at) < docid) {
        for (*low = at + 1; n - *low > step && posting_list_last(list, *low + step) < docid;
             step *= 2)
            *low += step + 1;
        *high = n - *low > step ? *low + step : n;
    } else {
        for (*high = at; *high > step && posting_list_last(list, *high - step) >= docid; step *= 2)
            *high -= step;
        *low = *high > step ? *high - step + 1 : 0;
    }
}

uint32_t posting_list_find(const struct posting_list *list, uint32_t docid) {
    uint32_t low = 0, high = list->blocks_n;
    if (list->table)
        guess_block(list, docid, &low, &high);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (posting_list_last(list, middle) < docid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t posting_block_find(const struct posting_block *block, uint32_t docid) {
    uint32_t low = 0, high = block->n;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (posting_block_docid(block, middle) < docid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
