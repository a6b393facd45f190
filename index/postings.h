/* postings.h - one term's posting list in one segment: ascending docids with their weights.
 *
 * Blocks of 128. Each begins with its last docid and what bounds the scores in it, so that search
 * skips whole blocks (block-max; Ding & Suel, SIGIR 2011). Inside a block docids are offsets from
 * its first one, 2 bytes each unless the block spans more: a few bits more than packed deltas, but
 * found by binary search in the mapped page, with nothing to decode.
 * Bytes on disk: docs/disk-format.md, "postings".
 * Bytes are not trusted: whatever they hold, these functions read inside the list only.
 * Lifetime: lists and blocks borrow the bytes they were opened on.
 * Threads:  everything here is read-only; share freely. */
#ifndef TERCET_INDEX_POSTINGS_H
#define TERCET_INDEX_POSTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "index/store.h"

enum {
    POSTINGS_BLOCK_N = 128,
    POSTINGS_HEADER_BYTES = 4,
    POSTINGS_BLOCK_HEADER_BYTES = 16,
    POSTINGS_BLOCK_DATA_BYTES = 8, /* first docid, three widths, zero */
};

struct posting {
    uint32_t docid;
    float weight; /* the learned weight, or the term frequency */
    float length; /* of the document, in words (BM25); 0 for learned weights */
};

/* Appends the list's bytes. postings: [n], n >= 1, docids strictly ascending. */
void postings_encode(const struct posting *postings, size_t n, struct buf *out);

struct posting_list {
    const uint8_t *headers; /* [blocks_n] block headers */
    const uint8_t *data;
    size_t data_len;
    uint32_t n, blocks_n;
};

/* What bounds every score of a block. A learned score is at most query weight x weight_max. BM25's
 * tf / (tf + A + B length) = 1 / (1 + A / tf + B length / tf) is at most what weight_max and
 * ratio_min give, whatever A and B are: so the bound holds when the average length moves on. */
struct posting_bound {
    float weight_max;
    float ratio_min; /* smallest length / weight */
};

struct posting_block {
    uint32_t n, docid_first;
    const uint8_t *offsets, *weights, *lengths; /* [n] of the widths below */
    uint8_t offset_bytes;                       /* 2 or 4 */
    uint8_t weight_bytes;                       /* 1 (whole numbers to 255) or 4 (f32) */
    uint8_t length_bytes; /* 0 (all zero), 2 (whole numbers to 65535) or 4 (f32) */
};

/* False when the bytes cannot be a list. */
bool posting_list_open(struct bytes bytes, struct posting_list *out);
/* False when block b's bytes cannot be a block. */
bool posting_list_block(const struct posting_list *list, uint32_t b, struct posting_block *out);

static inline uint32_t posting_list_last(const struct posting_list *list, uint32_t b) {
    return get_u32(list->headers + (size_t)b * POSTINGS_BLOCK_HEADER_BYTES);
}

static inline struct posting_bound posting_list_bound(const struct posting_list *list, uint32_t b) {
    const uint8_t *header = list->headers + (size_t)b * POSTINGS_BLOCK_HEADER_BYTES;
    return (struct posting_bound){get_f32(header + 8), get_f32(header + 12)};
}

/* The first block at or behind `from` whose last docid is >= docid; blocks_n: none. */
uint32_t posting_list_find(const struct posting_list *list, uint32_t from, uint32_t docid);

/* The first position in the block with a docid >= docid; n: none. */
uint32_t posting_block_find(const struct posting_block *block, uint32_t docid);

static inline uint32_t posting_block_docid(const struct posting_block *block, uint32_t i) {
    return block->docid_first + (block->offset_bytes == 2
                                     ? get_u16(block->offsets + (size_t)2 * i)
                                     : get_u32(block->offsets + (size_t)4 * i));
}

static inline float posting_block_weight(const struct posting_block *block, uint32_t i) {
    return block->weight_bytes == 1 ? (float)block->weights[i]
                                    : get_f32(block->weights + (size_t)4 * i);
}

static inline float posting_block_length(const struct posting_block *block, uint32_t i) {
    return block->length_bytes == 0   ? 0
           : block->length_bytes == 2 ? (float)get_u16(block->lengths + (size_t)2 * i)
                                      : get_f32(block->lengths + (size_t)4 * i);
}

#endif
