/* Posting lists: what was encoded comes back, bounds hold, damaged bytes are refused or do no
 * harm. */
#include "engine/base/mem.h"
#include "index/postings.h"
#include "tests/check.h"

enum { N_MAX = 5000 };

static size_t random_postings(unsigned long long *seed, struct posting *out, bool bm25) {
    size_t n = 1 + check_random(seed) % (check_random(seed) % 4 ? 300 : N_MAX);
    uint32_t gap = 1 + (uint32_t)(check_random(seed) % 3 ? 20 : 3000), docid = 0;
    bool fractions = check_random(seed) % 4 == 0;
    for (size_t i = 0; i < n; i++) {
        docid += 1 + (uint32_t)(check_random(seed) % gap);
        out[i] = (struct posting){.docid = docid, .weight = 1.5f + check_random_float(seed)};
        if (bm25) {
            out[i].weight = (float)(1 + check_random(seed) % (gap > 20 ? 400 : 9));
            out[i].length = (float)(1 + check_random(seed) % (gap > 20 ? 90000 : 500));
            if (fractions)
                out[i].length += 0.25f;
        }
    }
    return n;
}

static void read_back(const struct posting_list *list, const struct posting *postings, size_t n) {
    CHECK_EQUAL(list->n, n);
    for (uint32_t b = 0, at = 0; b < list->blocks_n; b++) {
        struct posting_block block;
        struct posting_bound bound = posting_list_bound(list, b);
        CHECK(posting_list_block(list, b, &block));
        for (uint32_t i = 0; i < block.n; i++, at++) {
            struct posting p = postings[at];
            bool same = posting_block_docid(&block, i) == p.docid &&
                        posting_block_weight(&block, i) == p.weight &&
                        posting_block_length(&block, i) == p.length;
            bool within = p.weight <= bound.weight_max &&
                          p.length / p.weight >= bound.ratio_min * (1 - 1e-6f);
            if (!same || !within)
                CHECK(same && within);
        }
        CHECK_EQUAL(posting_list_last(list, b), postings[at - 1].docid);
    }
}

/* find must agree with looking at every posting. */
static void finds_what_scanning_finds(const struct posting_list *list,
                                      const struct posting *postings, size_t n,
                                      unsigned long long *seed) {
    for (int round = 0; round < 50; round++) {
        uint32_t docid = (uint32_t)(check_random(seed) % (postings[n - 1].docid + 10));
        uint32_t from = (uint32_t)(check_random(seed) % (list->blocks_n + 1));
        size_t first = (size_t)from * POSTINGS_BLOCK_N;
        while (first < n && postings[first].docid < docid)
            first++;
        uint32_t b = posting_list_find(list, from, docid);
        if (first >= n) {
            CHECK_EQUAL(b, list->blocks_n);
            continue;
        }
        struct posting_block block;
        CHECK_EQUAL(b, first / POSTINGS_BLOCK_N);
        CHECK(posting_list_block(list, b, &block));
        if (postings[first].docid >= docid && (first > 0 && postings[first - 1].docid < docid))
            CHECK_EQUAL(posting_block_find(&block, docid), first % POSTINGS_BLOCK_N);
    }
}

/* Whatever the bytes, nothing outside them is read: the copy has its exact size, and the address
 * sanitizer watches. */
static void survives_damage(const struct buf *list, unsigned long long *seed) {
    for (int round = 0; round < 60; round++) {
        size_t len = round % 3 ? list->len : check_random(seed) % (list->len + 1);
        uint8_t *copy = mem_alloc(len + 1, 1);
        memcpy(copy, list->data, len);
        copy = mem_realloc(copy, len ? len : 1, 1);
        if (len > 0)
            for (int flips = 0; flips < 1 + round % 3; flips++)
                copy[check_random(seed) % (round % 2 && len > 40 ? 40 : len)] ^=
                    (uint8_t)(1u << check_random(seed) % 8);
        struct posting_list opened;
        if (posting_list_open((struct bytes){copy, len}, &opened)) {
            float sum = 0;
            for (uint32_t b = 0; b < opened.blocks_n; b++) {
                struct posting_block block;
                if (!posting_list_block(&opened, b, &block))
                    break;
                for (uint32_t i = 0; i < block.n; i++)
                    sum += posting_block_weight(&block, i) + posting_block_length(&block, i);
                (void)posting_block_find(&block, 77);
            }
            (void)posting_list_find(&opened, 0, 1000);
            CHECK(sum == sum || sum != sum);
        }
        CHECK(len == list->len || !posting_list_open((struct bytes){copy, len}, &opened) ||
              round % 3);
        free(copy);
    }
}

int main(void) {
    unsigned long long seed = 5;
    static struct posting postings[N_MAX];
    for (int round = 0; round < 200; round++) {
        struct buf bytes = {0};
        struct posting_list list;
        size_t n = random_postings(&seed, postings, round % 2);
        postings_encode(postings, n, &bytes);
        CHECK(posting_list_open((struct bytes){bytes.data, bytes.len}, &list));
        read_back(&list, postings, n);
        finds_what_scanning_finds(&list, postings, n, &seed);
        if (round < 40)
            survives_damage(&bytes, &seed);
        buf_done(&bytes);
    }
    return check_result();
}
