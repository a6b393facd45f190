/* corpus.h - what heads are fitted on: texts, and queries that some of them answer.
 *
 * Queries come from rows ({"query","pos","neg"} a line, mine/rows.h) and are made of the texts: a
 * title asks for its text, a sentence for the text it stands in. In nine of ten cases the bytes
 * that a query was made of are hidden from its text while heads learn, or they would learn to look
 * for copies (inverse cloze task; Lee, Chang & Toutanova 2019). */
#ifndef TERCET_HEADS_CORPUS_H
#define TERCET_HEADS_CORPUS_H

#include "tools/mine/rows.h"

struct heads_query {
    struct mine_text text;
    const uint32_t *positives, *negatives; /* in the pool; the first positive is always there */
    size_t positives_n, negatives_n;
    uint32_t hidden_begin, hidden_end; /* bytes of the positive; none where they are equal */
};

struct heads_corpus {
    struct mine_rows rows; /* their pool holds all texts */
    uint32_t *title_lens;  /* [titles_n] of the pool's first texts; 0: none */
    size_t titles_n;
    struct heads_query *queries; /* [queries_n] those of rows first */
    size_t queries_n, labelled_n;
};

/* pairs: rows, or NULL. texts: {"text","title"} a line (title may be missing), or NULL: more texts,
 * read as title, blank, text. made_max: so many queries of the texts, by chance from the seed.
 * ERROR_INVALID when no query comes of it. Released by heads_corpus_done, also after a failure. */
bool heads_corpus_read(const char *pairs, const char *texts, size_t made_max, uint64_t seed,
                       struct heads_corpus *out, struct error *err);
void heads_corpus_done(struct heads_corpus *corpus);

#endif
