/* postings.h - one term's posting list in one segment: ascending docids with their weights.
 *
 * Two levels. The top one is a table of bounds: for each group of 32 docids (aligned, so that
 * merging never moves a docid to another group) a byte saying how much the term can add to a
 * document of the group. Search adds up the tables of its terms and looks into the few groups that
 * can matter (BMP; Mallia, Suel & Tonellotto, SIGIR 2024). Short lists have no table: reading all
 * of their postings is cheaper.
 * Below it are blocks of 128 postings: docids as offsets from the block's first one, found by
 * binary search in the mapped page, and weights as codes of a byte.
 * A code is a weight rounded up to 5 bits behind the leading one, over 8 powers of two that end at
 * the list's largest weight: at most 1/32 too large, and an upper bound even below that range. So
 * a list is good for finding candidates; their exact weights are in the table `sparse`. Rounding
 * up twice is rounding up once, so merging lists loses nothing.
 * Bytes on disk: docs/disk-format.md, "postings".
 * Bytes are not trusted: a sum over the head is checked when a list is opened, one over a block
 * when that is opened, and whatever they hold, these functions read inside the list only.
 * Lifetime: lists and blocks borrow the bytes they were opened on.
 * Threads:  everything here is read-only but a list's own `checked`. */
#ifndef TERCET_INDEX_SPARSE_POSTINGS_H
#define TERCET_INDEX_SPARSE_POSTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "index/store/store.h"

enum {
    POSTINGS_BLOCK_N = 128,
    POSTINGS_GROUP_N = 32, /* docids that share a byte of a table */
    /* A list with fewer postings than one for so many groups has no table. */
    POSTINGS_GROUPS_PER_POSTING = 4,
    POSTINGS_HEADER_BYTES = 12,
    POSTINGS_BLOCK_HEADER_BYTES = 12,
    POSTINGS_TABLE_HEADER_BYTES = 16,
    POSTINGS_BLOCK_DATA_BYTES = 6, /* first docid, two widths */
    POSTINGS_SCALE_MIN = 8,        /* below it codes would be no normal floats */
};

struct posting {
    uint32_t docid;
    float weight; /* the learned weight, or the term frequency */
    float length; /* of the document, in words (BM25); 0 for learned weights */
};

/* What the lists of one segment have in common, or were made from. */
struct posting_context {
    uint8_t scale_min;  /* the largest scale of the lists merged; 0: the postings are fresh */
    bool rounded;       /* of a list merged: the weights given here are not the first ones */
    double length_mean; /* of the segment's documents, about; 0: not known, or learned weights */
};

/* Appends the list's bytes. postings: [n], n >= 1, docids strictly ascending, weights > 0. */
void postings_encode(const struct posting *postings, size_t n,
                     const struct posting_context *context, struct buf *out);

/* ---- codes ---- */

/* The sign-less float whose bits are those of code 0; those of code c are c << 18 more. */
static inline uint32_t posting_code_base(uint8_t scale) {
    return (uint32_t)(scale - 7) << 23;
}

static inline float posting_decode(uint32_t base, uint8_t code) {
    uint32_t bits = base + ((uint32_t)code << 18);
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

/* The scale that the weight asks for; the code (1 to 255) under a scale at least as large. */
uint8_t posting_scale(float weight);
uint8_t posting_code(float weight, uint8_t scale);

/* ---- reading ---- */

/* How a list bounds BM25's shares: computed as tf / (tf + norm_base + norm_slope x length). */
struct posting_norm {
    float base, slope;
};

struct posting_list {
    const uint8_t *headers; /* [blocks_n] block headers */
    const uint8_t *data;
    size_t data_len;
    uint32_t n, blocks_n;
    uint8_t scale;
    bool low;             /* some weights may be far below their codes: those of code 1 */
    bool rounded;         /* some weights are below their codes, by 1/32 at most or by `low` */
    const uint8_t *table; /* [groups_n] codes, 0 where the term is not; NULL: no table */
    uint32_t group_first, groups_n;
    uint8_t table_scale;
    /* Learned weights: zeros, and table codes are those of the largest weight. Else they are those
     * of the largest share by this norm. */
    struct posting_norm table_norm;
    uint64_t *checked; /* the caller's, or NULL: a bit a block, set once its sum was right */
};

struct posting_block {
    uint32_t n, docid_first;
    uint32_t code_base;                       /* for posting_decode */
    const uint8_t *offsets, *codes, *lengths; /* [n]; lengths and offsets of the widths below */
    uint8_t offset_bytes;                     /* 2, 3 or 4 */
    uint8_t length_bytes; /* 0 (all zero), 2 (whole numbers to 65535) or 4 (f32) */
};

/* False when the bytes cannot be a list. */
bool posting_list_open(struct bytes bytes, struct posting_list *out);
/* False when block b's bytes cannot be a block. */
bool posting_list_block(const struct posting_list *list, uint32_t b, struct posting_block *out);

static inline uint32_t posting_list_last(const struct posting_list *list, uint32_t b) {
    return get_u32(list->headers + (size_t)b * POSTINGS_BLOCK_HEADER_BYTES);
}

/* The code that the list's table must have at least where such a posting is; weight: as read. For
 * what no sound list of that scale holds, the largest one. */
uint8_t posting_list_table_code(const struct posting_list *list, float weight, float length);

/* The first block whose last docid is >= docid; blocks_n: none. */
uint32_t posting_list_find(const struct posting_list *list, uint32_t docid);

/* The first position in the block with a docid >= docid; n: none. */
uint32_t posting_block_find(const struct posting_block *block, uint32_t docid);

static inline uint32_t posting_block_docid(const struct posting_block *block, uint32_t i) {
    const uint8_t *at = block->offsets + (size_t)block->offset_bytes * i;
    return block->docid_first + (block->offset_bytes == 2   ? get_u16(at)
                                 : block->offset_bytes == 3 ? get_u16(at) | (uint32_t)at[2] << 16
                                                            : get_u32(at));
}

/* Rounded up. */
static inline float posting_block_weight(const struct posting_block *block, uint32_t i) {
    return posting_decode(block->code_base, block->codes[i]);
}

static inline float posting_block_length(const struct posting_block *block, uint32_t i) {
    return block->length_bytes == 0   ? 0
           : block->length_bytes == 2 ? (float)get_u16(block->lengths + (size_t)2 * i)
                                      : get_f32(block->lengths + (size_t)4 * i);
}

#endif
