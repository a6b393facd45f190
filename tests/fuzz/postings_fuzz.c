/* postings_fuzz - posting lists: what was encoded comes back, and damage never leads out of a list.
 *
 * An input's bytes are a posting list: how it is made, then gaps, weights and lengths. The encoded
 * list must hold the same docids and lengths and the weights rounded up, by 1/32 where they are not
 * far below the largest; encoding what was read gives the same bytes. Then bytes of it become
 * others, all sums are put right, as no accident does it, and whatever opens is read from end to
 * end. Run it: docs/fuzzing.md. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "index/sparse/postings.h"
#include "tests/fuzz/fuzz.h"

enum { POSTINGS_MAX = 700, PATCHES_MAX = 6, FIND_MAX = 32 };

/* The places of docs/disk-format.md, "postings". */
enum { AT_SUM = 0, AT_N = 4, AT_TABLE_SCALE = 9, BLOCK_AT_END = 4, BLOCK_AT_SUM = 8 };

/* Every positive finite weight may come, denormal ones too. */
static float draw_weight(struct fuzz_input *input) {
    uint32_t bits = fuzz_byte(input) << 23 | fuzz_byte(input) << 15 | 1;
    float weight;
    memcpy(&weight, &bits, sizeof weight);
    return isfinite(weight) ? weight : 1;
}

static size_t draw(struct fuzz_input *input, struct posting *out) {
    static const uint32_t gaps[] = {1, 2, 5, 300, 70000, 1 << 24};
    size_t n = 1 + fuzz_u16(input) % POSTINGS_MAX, kept = 0;
    uint32_t gap = gaps[fuzz_byte(input) % 6], kind = fuzz_byte(input);
    uint32_t docid = fuzz_u32(input) >> (kind & 31);
    for (size_t i = 0; i < n; i++) {
        uint32_t step = 1 + fuzz_byte(input) * gap / 128;
        float weight = kind & 32 ? draw_weight(input) : (float)(1 + fuzz_byte(input));
        float length = kind & 64 ? (float)fuzz_byte(input) / (kind & 128 ? 4 : 1) : 0;
        if (docid > UINT32_MAX - step)
            break;
        docid += step;
        out[kept++] = (struct posting){.docid = docid, .weight = weight, .length = length};
    }
    if (kept == 0)
        out[kept++] = (struct posting){.docid = docid, .weight = 1};
    return kept;
}

/* ---- what was encoded ---- */

static void check_found(const struct posting_list *list, const struct posting *postings, size_t n,
                        uint32_t docid) {
    size_t at = 0;
    while (at < n && postings[at].docid < docid)
        at++;
    uint32_t b = posting_list_find(list, docid);
    assert(b == (at < n ? at / POSTINGS_BLOCK_N : list->blocks_n));
    struct posting_block block;
    if (at == n)
        return;
    bool ok = posting_list_block(list, b, &block);
    assert(ok && posting_block_find(&block, docid) == at % POSTINGS_BLOCK_N);
}

/* Reads into the postings themselves: what they are from now on. */
static void check_read(const struct posting_list *list, struct posting *postings, size_t n) {
    float most = 0;
    assert(list->n == n);
    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, postings[i].weight);
    for (uint32_t b = 0, at = 0; b < list->blocks_n; b++) {
        struct posting_block block;
        bool ok = posting_list_block(list, b, &block);
        assert(ok);
        for (uint32_t i = 0; i < block.n; i++, at++) {
            struct posting *p = &postings[at];
            float weight = posting_block_weight(&block, i);
            assert(posting_block_docid(&block, i) == p->docid);
            assert(posting_block_length(&block, i) == p->length && weight >= p->weight);
            assert(list->rounded || weight == p->weight);
            assert(p->weight < most / 120 || p->weight < 1e-30f || !isfinite(weight) ||
                   weight * (1 - 1.0f / 32) <= p->weight);
            if (isfinite(weight))
                p->weight = weight;
        }
    }
}

/* ---- damage ---- */

static uint32_t sum_of(const uint8_t *bytes, size_t len) {
    return (uint32_t)XXH3_64bits(bytes, len);
}

static void put_u32(uint8_t *at, uint32_t value) {
    memcpy(at, &value, sizeof value);
}

/* All sums that the list's own numbers ask for and that lie in it. */
static void put_sums(uint8_t *bytes, size_t len) {
    size_t blocks_n = ((size_t)get_u32(bytes + AT_N) + POSTINGS_BLOCK_N - 1) / POSTINGS_BLOCK_N;
    size_t headers = POSTINGS_HEADER_BYTES, head = headers + blocks_n * POSTINGS_BLOCK_HEADER_BYTES;
    if (head > len)
        return;
    if (bytes[AT_TABLE_SCALE] && len - head >= POSTINGS_TABLE_HEADER_BYTES)
        head += POSTINGS_TABLE_HEADER_BYTES + get_u32(bytes + head + 4);
    if (head > len)
        return;
    for (size_t b = 0, begin = 0; b < blocks_n; b++) {
        uint8_t *header = bytes + headers + b * POSTINGS_BLOCK_HEADER_BYTES;
        size_t end = get_u32(header + BLOCK_AT_END);
        if (begin <= end && end <= len - head)
            put_u32(header + BLOCK_AT_SUM, sum_of(bytes + head + begin, end - begin));
        begin = end;
    }
    put_u32(bytes + AT_SUM, sum_of(bytes + AT_N, head - AT_N));
}

static void use(const uint8_t *bytes, size_t len, struct fuzz_input *input) {
    struct posting_list list;
    struct posting_block block;
    if (!posting_list_open((struct bytes){bytes, len}, &list))
        return;
    for (uint32_t b = 0; b < list.blocks_n; b++) {
        if (!posting_list_block(&list, b, &block))
            continue;
        for (uint32_t i = 0; i < block.n; i++) {
            uint32_t docid = posting_block_docid(&block, i);
            float weight = posting_block_weight(&block, i);
            assert(posting_block_find(&block, docid) <= block.n);
            if (list.table)
                posting_list_table_code(&list, weight, posting_block_length(&block, i));
        }
    }
    for (int i = 0; i < 4; i++)
        assert(posting_list_find(&list, fuzz_u32(input)) <= list.blocks_n);
    uint32_t sum = 0;
    for (uint32_t g = 0; list.table && g < list.groups_n; g++)
        sum += list.table[g];
    assert(sum <= UINT8_MAX * (list.table ? list.groups_n : 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct posting postings[POSTINGS_MAX];
    struct fuzz_input input = {data, data + size};
    struct buf first = {0}, again = {0};
    struct posting_list list;
    uint32_t means = fuzz_byte(&input);
    size_t n = draw(&input, postings);
    struct posting_context context = {.length_mean = means ? means * 4.0 : 0};
    postings_encode(postings, n, &context, &first);
    uint8_t *bytes = fuzz_copy(first.data, first.len);
    bool ok = posting_list_open((struct bytes){bytes, first.len}, &list);
    assert(ok);
    for (size_t i = 0; i < n; i += n / FIND_MAX + 1)
        for (uint32_t docid = postings[i].docid - 1; docid != postings[i].docid + 2; docid++)
            check_found(&list, postings, n, docid);
    check_read(&list, postings, n);
    context.scale_min = list.scale;
    context.rounded = list.rounded;
    postings_encode(postings, n, &context, &again);
    assert(again.len == first.len && (memcmp(again.data, first.data, first.len) == 0 || list.low));
    if (fuzz_damage(&input, PATCHES_MAX, bytes, first.len) > 0) {
        put_sums(bytes, first.len);
        use(bytes, first.len, &input);
    }
    free(bytes);
    buf_done(&first);
    buf_done(&again);
    return 0;
}
