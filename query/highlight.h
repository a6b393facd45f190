/* highlight.h - the words of a hit that answer the query, as byte ranges of its title and text.
 *
 * Two kinds of evidence, each for a piece of text:
 *   sparse  a term of the query, found by the same analyzer that made the index's terms: "running"
 *           for "run". Its score: the term's share of the hit's lexical score, the largest being 1;
 *           shares below SPARSE_SHARE_MIN are left out
 *   multi   the hit's token that answers a token of the query best, where it stands out: token
 *           states of one text are all alike to some degree, so a product counts by how far it is
 *           above the mean of the hit's other tokens (measured: docs/search.md). Its score: the
 *           part of the way from that mean to 1
 * Pieces become words (words.h): a word is highlighted when pieces cover half of it, with the best
 * of their scores. Words of scripts without spaces are single letters there, so what stands side by
 * side is one range. Ranges begin and end between what a reader sees as characters
 * (graphemes.h). */
#ifndef TERCET_QUERY_HIGHLIGHT_H
#define TERCET_QUERY_HIGHLIGHT_H

#include "query/evidence.h"

enum {
    /* Of a title or text: more is read by nobody, and the work is bounded. */
    HIGHLIGHT_BYTES_MAX = 1 << 20,
};

/* What is the same for all hits of a search. */
struct highlighter {
    struct analyzer *analyzer; /* NULL: no terms are looked for */
    const bool *meaningful;    /* [query.multi_n] tokens that are no stopwords or punctuation */
};

/* A query without terms of its own (dense or token vectors alone) lends them from its text: the
 * run's query may get terms here. */
bool highlighter_init(struct search_run *run, struct highlighter *out, struct error *err);

/* Fills hit->highlights as the request asks for them. */
bool highlight_hit(struct search_run *run, const struct highlighter *highlighter,
                   const struct evidence *evidence, struct search_hit *hit, struct error *err);

/* A piece of evidence. */
struct highlight_piece {
    uint32_t begin, end; /* within the text, begin < end */
    float score;         /* 0 to 1 */
    enum search_source source;
};

/* The ranges that the pieces make of one text, in order, apart from each other. Sorts the pieces.
 * out: in the arena. */
size_t highlight_ranges(const char *text, size_t len, struct highlight_piece *pieces, size_t n,
                        struct arena *arena, struct highlight_piece **out);

#endif
