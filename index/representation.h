/* representation.h - what an index keeps of one document, as numbers again: its own words for a
 * search for more like it. */
#ifndef TERCET_INDEX_REPRESENTATION_H
#define TERCET_INDEX_REPRESENTATION_H

#include "index/index.h"

/* Everything lies in the arena. What the index or the document does not have is empty. */
struct representation {
    uint32_t passages_n;
    /* [dense_dim] as f16 kept them, of several passages their mean at their length; NULL: the index
     * has none */
    const float *dense;
    struct sparse_vector sparse;
    float length;        /* in words, where BM25 counts them */
    const float *multi;  /* [multi_n, multi_dim] as the codes say */
    uint32_t multi_n;    /* at most `multi_max` */
    uint32_t multi_step; /* row i is token vector i * multi_step of all its passages' */
};

/* docid: live in the snapshot. Of a document with more token vectors than multi_max, every second,
 * every third ... is taken. ERROR_CORRUPT when a row is damaged. */
bool representation_of(struct snapshot *snapshot, uint32_t docid, uint32_t multi_max,
                       struct arena *arena, struct representation *out, struct error *err);

#endif
