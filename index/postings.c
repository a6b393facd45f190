#include "index/postings.h"

#include <assert.h>
#include <string.h>

/* ---- writing ---- */

static void append_u32(struct buf *out, uint32_t value) {
    buf_append(out, &value, sizeof value);
}

static bool all_whole(const struct posting *postings, size_t n, size_t field, float max) {
    for (size_t i = 0; i < n; i++) {
        float value = get_f32((const char *)&postings[i] + field);
        if (!(value >= 0 && value <= max && value == (float)(uint32_t)value))
            return false;
    }
    return true;
}

/* The field's n values, each in `bytes` bytes: nothing, whole numbers, or f32 as they are. */
static void append_values(struct buf *out, const struct posting *postings, size_t n, size_t field,
                          uint8_t bytes) {
    for (size_t i = 0; i < n; i++) {
        float value = get_f32((const char *)&postings[i] + field);
        if (bytes == 1)
            buf_append(out, &(uint8_t){(uint8_t)value}, 1);
        else if (bytes == 2)
            buf_append(out, &(uint16_t){(uint16_t)value}, 2);
        else if (bytes == 4)
            buf_append(out, &value, 4);
    }
}

static void encode_block(const struct posting *postings, size_t n, struct buf *out) {
    enum { WEIGHT = offsetof(struct posting, weight), LENGTH = offsetof(struct posting, length) };
    uint32_t first = postings[0].docid;
    uint8_t offset_bytes = postings[n - 1].docid - first <= UINT16_MAX ? 2 : 4;
    uint8_t weight_bytes = all_whole(postings, n, WEIGHT, UINT8_MAX) ? 1 : 4;
    uint8_t length_bytes = all_whole(postings, n, LENGTH, 0)            ? 0
                           : all_whole(postings, n, LENGTH, UINT16_MAX) ? 2
                                                                        : 4;
    append_u32(out, first);
    buf_append(out, (uint8_t[]){offset_bytes, weight_bytes, length_bytes, 0}, 4);
    for (size_t i = 0; i < n; i++) {
        uint32_t offset = postings[i].docid - first;
        buf_append(out, &offset, offset_bytes); /* little-endian: the low bytes come first */
    }
    append_values(out, postings, n, WEIGHT, weight_bytes);
    append_values(out, postings, n, LENGTH, length_bytes);
}

static struct posting_bound bound_of(const struct posting *postings, size_t n) {
    struct posting_bound bound = {0, postings[0].length / postings[0].weight};
    for (size_t i = 0; i < n; i++) {
        float ratio = postings[i].length / postings[i].weight;
        if (postings[i].weight > bound.weight_max)
            bound.weight_max = postings[i].weight;
        if (ratio < bound.ratio_min)
            bound.ratio_min = ratio;
    }
    return bound;
}

void postings_encode(const struct posting *postings, size_t n, struct buf *out) {
    assert(n >= 1 && n <= UINT32_MAX);
    size_t blocks_n = (n + POSTINGS_BLOCK_N - 1) / POSTINGS_BLOCK_N;
    size_t headers_at = out->len + POSTINGS_HEADER_BYTES;
    size_t data_at = headers_at + blocks_n * POSTINGS_BLOCK_HEADER_BYTES;
    buf_reserve(out, data_at - out->len + n * 6 + blocks_n * POSTINGS_BLOCK_DATA_BYTES);
    append_u32(out, (uint32_t)n);
    out->len = data_at; /* the headers are filled in block by block below */
    for (size_t b = 0; b < blocks_n; b++) {
        const struct posting *block = postings + b * POSTINGS_BLOCK_N;
        size_t block_n = b + 1 < blocks_n ? POSTINGS_BLOCK_N : n - b * POSTINGS_BLOCK_N;
        struct posting_bound bound = bound_of(block, block_n);
        encode_block(block, block_n, out);
        size_t data_end = out->len - data_at;
        assert(data_end <= UINT32_MAX);
        char *header = out->data + headers_at + b * POSTINGS_BLOCK_HEADER_BYTES;
        memcpy(header, &block[block_n - 1].docid, 4);
        memcpy(header + 4, &(uint32_t){(uint32_t)data_end}, 4);
        memcpy(header + 8, &bound.weight_max, 4);
        memcpy(header + 12, &bound.ratio_min, 4);
    }
}

/* ---- reading ---- */

static uint32_t data_end_of(const struct posting_list *list, uint32_t b) {
    return get_u32(list->headers + (size_t)b * POSTINGS_BLOCK_HEADER_BYTES + 4);
}

bool posting_list_open(struct bytes bytes, struct posting_list *out) {
    const uint8_t *data = bytes.data;
    if (!data || bytes.len < POSTINGS_HEADER_BYTES)
        return false;
    uint32_t n = get_u32(data);
    size_t blocks_n = ((size_t)n + POSTINGS_BLOCK_N - 1) / POSTINGS_BLOCK_N;
    size_t headers_len = blocks_n * POSTINGS_BLOCK_HEADER_BYTES;
    if (n == 0 || bytes.len - POSTINGS_HEADER_BYTES < headers_len)
        return false;
    struct posting_list list = {
        .headers = data + POSTINGS_HEADER_BYTES,
        .data = data + POSTINGS_HEADER_BYTES + headers_len,
        .data_len = bytes.len - POSTINGS_HEADER_BYTES - headers_len,
        .n = n,
        .blocks_n = (uint32_t)blocks_n,
    };
    if (data_end_of(&list, list.blocks_n - 1) != list.data_len)
        return false;
    *out = list;
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
        .offset_bytes = data[4],
        .weight_bytes = data[5],
        .length_bytes = data[6],
    };
    if ((block.offset_bytes != 2 && block.offset_bytes != 4) ||
        (block.weight_bytes != 1 && block.weight_bytes != 4) ||
        (block.length_bytes != 0 && block.length_bytes != 2 && block.length_bytes != 4))
        return false;
    size_t row = (size_t)block.offset_bytes + block.weight_bytes + block.length_bytes;
    if (end - begin != POSTINGS_BLOCK_DATA_BYTES + n * row)
        return false;
    block.offsets = data + POSTINGS_BLOCK_DATA_BYTES;
    block.weights = block.offsets + (size_t)n * block.offset_bytes;
    block.lengths = block.weights + (size_t)n * block.weight_bytes;
    /* Lists that stepped over each other would let a search find a document twice. */
    if ((b > 0 && posting_list_last(list, b - 1) >= block.docid_first) ||
        posting_block_docid(&block, n - 1) != posting_list_last(list, b))
        return false;
    *out = block;
    return true;
}

uint32_t posting_list_find(const struct posting_list *list, uint32_t from, uint32_t docid) {
    uint32_t low = from, step = 1;
    /* Most often the answer is the next block or near it: double the step, then halve it. */
    while (low < list->blocks_n && posting_list_last(list, low) < docid) {
        from = low + 1;
        low = list->blocks_n - low > step ? low + step : list->blocks_n;
        step *= 2;
    }
    uint32_t high = low;
    while (from < high) {
        uint32_t middle = from + (high - from) / 2;
        if (posting_list_last(list, middle) < docid)
            from = middle + 1;
        else
            high = middle;
    }
    return from;
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
