/* docid_set.h - which docids of a snapshot are meant: one bit each, [0, end).
 *
 * What a filter allows. A plain bitmap and not a compressed one: it lives for a request, a search
 * tests it once a candidate, and 8 million documents are 1 MiB. Its length is whole chunks of
 * DOCID_CHUNK, as the table `fields` has them; no bit at `end` or beyond is ever set in a set that
 * filter_run has handed out.
 * Lifetime: the words lie in the arena they were asked from. */
#ifndef TERCET_INDEX_FIELDS_DOCID_SET_H
#define TERCET_INDEX_FIELDS_DOCID_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"

enum {
    DOCID_CHUNK_BITS = 16, /* roaring's container: an offset in it is 2 bytes */
    DOCID_CHUNK = 1 << DOCID_CHUNK_BITS,
    DOCID_CHUNK_WORDS = DOCID_CHUNK / 64,
};

struct docid_set {
    uint64_t *words; /* [words_n] */
    size_t words_n;  /* a multiple of DOCID_CHUNK_WORDS */
};

static inline struct docid_set docid_set_new(uint32_t end, struct arena *arena) {
    size_t chunks_n = ((size_t)end + DOCID_CHUNK - 1) >> DOCID_CHUNK_BITS;
    struct docid_set set = {.words_n = chunks_n * DOCID_CHUNK_WORDS};
    set.words = ARENA_ZERO(arena, uint64_t, set.words_n);
    return set;
}

static inline bool docid_set_has(const struct docid_set *set, uint32_t docid) {
    return docid / 64 < set->words_n && (set->words[docid / 64] >> (docid % 64) & 1);
}

static inline void docid_set_add(struct docid_set *set, uint32_t docid) {
    set->words[docid / 64] |= UINT64_C(1) << (docid % 64);
}

/* How many there are in the 64 docids from 64 * i on, and the whole set's number. */
static inline size_t docid_set_word_count(const struct docid_set *set, size_t i) {
    return (size_t)__builtin_popcountll(set->words[i]);
}

static inline size_t docid_set_count(const struct docid_set *set) {
    size_t n = 0;
    for (size_t i = 0; i < set->words_n; i++)
        n += docid_set_word_count(set, i);
    return n;
}

/* The first docid of the set at `from` or beyond; UINT32_MAX (never a docid): none. */
static inline uint32_t docid_set_next(const struct docid_set *set, uint32_t from) {
    size_t i = from / 64;
    if (i >= set->words_n)
        return UINT32_MAX;
    uint64_t word = set->words[i] >> (from % 64) << (from % 64);
    while (word == 0)
        if (++i == set->words_n)
            return UINT32_MAX;
        else
            word = set->words[i];
    return (uint32_t)(64 * i) + (uint32_t)__builtin_ctzll(word);
}

#endif
