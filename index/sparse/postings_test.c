/* Posting lists: what was encoded comes back, rounded up and never down; tables bound every
 * posting; merging loses nothing; a bit that is not as it was written is noticed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "index/sparse/postings.h"
#include "tests/check.h"

enum { N_MAX = 5000 };

enum weights { WEIGHTS_LEARNED, WEIGHTS_WILD, WEIGHTS_COUNTS, WEIGHTS_KINDS };

/* wild: every exponent a float has, denormal ones included. */
static float random_weight(unsigned long long *seed, enum weights kind) {
    if (kind == WEIGHTS_COUNTS)
        return (float)(1 + check_random(seed) % (check_random(seed) % 8 ? 9 : 400));
    float even = check_random_float(seed); /* [-1, 1) */
    if (kind == WEIGHTS_LEARNED)
        return 0.3f * expf(2 * even);
    float weight = ldexpf(1.5f + 0.4f * even, (int)(check_random(seed) % 276) - 149);
    return weight > 0 && isfinite(weight) ? weight : 1;
}

static size_t random_postings(unsigned long long *seed, struct posting *out, enum weights kind) {
    static const uint32_t gaps[] = {1, 4, 20, 300, 3000, 400000};
    size_t n = 1 + check_random(seed) % (check_random(seed) % 4 ? 300 : N_MAX);
    uint32_t gap = gaps[check_random(seed) % 6];
    uint32_t docid = (uint32_t)(check_random(seed) % 1000000);
    bool fractions = check_random(seed) % 4 == 0;
    for (size_t i = 0; i < n; i++) {
        docid += 1 + (uint32_t)(check_random(seed) % gap);
        out[i] = (struct posting){.docid = docid, .weight = random_weight(seed, kind)};
        if (kind == WEIGHTS_COUNTS) {
            out[i].length = (float)(1 + check_random(seed) % (gap > 20 ? 90000 : 500));
            if (fractions)
                out[i].length += 0.25f;
        }
    }
    return n;
}

static struct posting_context context_of(const struct posting *postings, size_t n) {
    struct posting_context context = {0};
    for (size_t i = 0; i < n; i++)
        context.length_mean += (double)postings[i].length / (double)n;
    return context;
}

static float max_of(const struct posting *postings, size_t n) {
    float max = 0;
    for (size_t i = 0; i < n; i++)
        max = fmaxf(max, postings[i].weight);
    return max;
}

/* What the flags promise: no code 1 unless they say so, and no rounding. */
static void flags_are_right(const struct posting_list *list, const struct posting *postings) {
    bool low = false, rounded = false;
    for (uint32_t b = 0, at = 0; b < list->blocks_n; b++) {
        struct posting_block block;
        CHECK(posting_list_block(list, b, &block));
        for (uint32_t i = 0; i < block.n; i++, at++) {
            low = low || block.codes[i] == 1;
            rounded = rounded || posting_block_weight(&block, i) > postings[at].weight;
        }
    }
    CHECK_EQUAL(list->low, low);
    CHECK_EQUAL(list->rounded, rounded || low);
}

static void read_back(const struct posting_list *list, const struct posting *postings, size_t n) {
    float smallest = max_of(postings, n) / 120; /* above it, codes are true to 1/32 */
    CHECK_EQUAL(list->n, n);
    for (uint32_t b = 0, at = 0; b < list->blocks_n; b++) {
        struct posting_block block;
        CHECK(posting_list_block(list, b, &block));
        for (uint32_t i = 0; i < block.n; i++, at++) {
            struct posting p = postings[at];
            float weight = posting_block_weight(&block, i);
            bool same = posting_block_docid(&block, i) == p.docid &&
                        posting_block_length(&block, i) == p.length;
            bool near =
                weight >= p.weight && (p.weight < smallest || p.weight < 1e-30f ||
                                       !isfinite(weight) || weight * (1 - 1.0f / 32) <= p.weight);
            if (!same || !near)
                CHECK(same && near);
        }
        CHECK_EQUAL(posting_list_last(list, b), postings[at - 1].docid);
    }
}

/* The table by its definition: the largest of each group, nothing where there is nothing. */
static void table_is_right(const struct posting_list *list, const struct posting *postings,
                           size_t n) {
    size_t groups_n = postings[n - 1].docid / 32 - postings[0].docid / 32 + 1;
    CHECK_EQUAL(list->table != NULL, n > 128 && n * 4 >= groups_n);
    if (!list->table)
        return;
    CHECK_EQUAL(list->group_first, postings[0].docid / 32);
    CHECK_EQUAL(list->groups_n, groups_n);
    uint32_t base = posting_code_base(list->table_scale);
    uint8_t *expected = mem_zalloc(groups_n, 1);
    for (size_t i = 0; i < n; i++) {
        struct posting p = postings[i];
        struct posting_norm norm = list->table_norm;
        float value =
            norm.base > 0 ? p.weight / (p.weight + norm.base + norm.slope * p.length) : p.weight;
        size_t group = p.docid / 32 - list->group_first;
        float bound = posting_decode(base, list->table[group]);
        if (!(value <= bound * 1.000001f))
            CHECK_NEAR(value, bound, 0);
        float weight =
            posting_decode(posting_code_base(list->scale), posting_code(p.weight, list->scale));
        uint8_t code = posting_list_table_code(list, weight, p.length);
        expected[group] = code > expected[group] ? code : expected[group];
    }
    CHECK(memcmp(expected, list->table, groups_n) == 0);
    free(expected);
}

/* find must agree with looking at every posting. */
static void finds_what_scanning_finds(const struct posting_list *list,
                                      const struct posting *postings, size_t n,
                                      unsigned long long *seed) {
    for (int round = 0; round < 50; round++) {
        uint32_t docid = (uint32_t)(check_random(seed) % (postings[n - 1].docid + 10));
        size_t first = 0;
        if (round % 2)
            docid = postings[check_random(seed) % n].docid + (uint32_t)(check_random(seed) % 3) - 1;
        while (first < n && postings[first].docid < docid)
            first++;
        uint32_t b = posting_list_find(list, docid);
        struct posting_block block;
        CHECK_EQUAL(b, first < n ? first / POSTINGS_BLOCK_N : list->blocks_n);
        if (first >= n)
            continue;
        CHECK(posting_list_block(list, b, &block));
        CHECK_EQUAL(posting_block_find(&block, docid), first % POSTINGS_BLOCK_N);
    }
}

/* A list made of what another one gives back, with the scale kept, is the same list. */
static void coding_twice_is_coding_once(const struct buf *bytes, const struct posting_list *list,
                                        struct posting_context context) {
    struct posting *again = mem_alloc(list->n, sizeof *again);
    struct buf twice = {0};
    for (uint32_t b = 0, at = 0; b < list->blocks_n; b++) {
        struct posting_block block;
        CHECK(posting_list_block(list, b, &block));
        for (uint32_t i = 0; i < block.n; i++, at++)
            again[at] =
                (struct posting){posting_block_docid(&block, i), posting_block_weight(&block, i),
                                 posting_block_length(&block, i)};
    }
    context.scale_min = list->scale;
    context.rounded = list->rounded;
    postings_encode(again, list->n, &context, &twice);
    CHECK_EQUAL(twice.len, bytes->len);
    CHECK(memcmp(twice.data, bytes->data, bytes->len) == 0);
    buf_done(&twice);
    free(again);
}

/* Opens the list and all of its blocks. */
static bool is_sound(const void *data, size_t len) {
    struct posting_list list;
    struct posting_block block;
    if (!posting_list_open((struct bytes){data, len}, &list))
        return false;
    for (uint32_t b = 0; b < list.blocks_n; b++)
        if (!posting_list_block(&list, b, &block))
            return false;
    return true;
}

/* Nothing outside of the bytes is read, either: the copy has its exact size, and the address
 * sanitizer watches. */
static void notices_damage(const struct buf *list, unsigned long long *seed, bool every_bit) {
    uint8_t *copy = mem_alloc(list->len, 1);
    memcpy(copy, list->data, list->len);
    CHECK(is_sound(copy, list->len));
    for (size_t round = 0; round < (every_bit ? 8 * list->len : 60); round++) {
        size_t bit = every_bit ? round : check_random(seed) % (8 * list->len);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (is_sound(copy, list->len))
            CHECK_EQUAL(bit, SIZE_MAX);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(copy);
    for (int round = 0; round < 20; round++) {
        size_t len = check_random(seed) % list->len;
        copy = mem_alloc(len ? len : 1, 1);
        memcpy(copy, list->data, len);
        CHECK(!is_sound(copy, len));
        free(copy);
    }
}

/* Whatever a damaged head says, who checks a list gets a code to compare. */
static void damaged_tables_have_codes(void) {
    struct posting_list list = {.table_scale = 100};
    CHECK_EQUAL(posting_list_table_code(&list, 3e38f, 0), UINT8_MAX);
    CHECK_EQUAL(posting_list_table_code(&list, NAN, 0), 1);
    list.table_norm = (struct posting_norm){.base = 1, .slope = -1e9f};
    CHECK_EQUAL(posting_list_table_code(&list, 5, 1000), 1);
    list.table_norm = (struct posting_norm){.base = 1e-3f, .slope = -1};
    CHECK_EQUAL(posting_list_table_code(&list, 1, 1), UINT8_MAX);
}

/* A block whose sum was right once is not summed again; one that was wrong is refused again. */
static void checked_blocks_are_remembered(void) {
    struct posting postings[200];
    struct posting_context context = {0};
    struct posting_list list;
    struct posting_block block;
    struct buf bytes = {0};
    uint64_t checked = 0;
    for (uint32_t i = 0; i < 200; i++)
        postings[i] = (struct posting){.docid = 9 * i, .weight = 1 + (float)i};
    postings_encode(postings, 200, &context, &bytes);
    CHECK(posting_list_open((struct bytes){bytes.data, bytes.len}, &list));
    list.checked = &checked;
    bytes.data[bytes.len - 1] ^= 1;
    CHECK(posting_list_block(&list, 0, &block) && checked == 1);
    CHECK(!posting_list_block(&list, 1, &block) && checked == 1);
    CHECK(!posting_list_block(&list, 1, &block) && posting_list_block(&list, 0, &block));
    bytes.data[bytes.len - 1] ^= 1;
    CHECK(posting_list_block(&list, 1, &block) && checked == 3);
    buf_done(&bytes);
}

int main(void) {
    unsigned long long seed = 5;
    static struct posting postings[N_MAX];
    for (int round = 0; round < 300; round++) {
        struct buf bytes = {0};
        struct posting_list list;
        size_t n = random_postings(&seed, postings, (enum weights)(round % WEIGHTS_KINDS));
        struct posting_context context = context_of(postings, n);
        postings_encode(postings, n, &context, &bytes);
        CHECK(posting_list_open((struct bytes){bytes.data, bytes.len}, &list));
        read_back(&list, postings, n);
        flags_are_right(&list, postings);
        table_is_right(&list, postings, n);
        finds_what_scanning_finds(&list, postings, n, &seed);
        coding_twice_is_coding_once(&bytes, &list, context);
        if (round < 60)
            notices_damage(&bytes, &seed, bytes.len < 1500);
        buf_done(&bytes);
    }
    damaged_tables_have_codes();
    checked_blocks_are_remembered();
    return check_result();
}
