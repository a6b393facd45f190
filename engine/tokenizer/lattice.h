/* lattice.h - the best way to cut a word into pieces (Unigram: Kudo 2018; Viterbi 1967).
 *
 * Every piece has a score (a log probability), the best cut has the largest sum. A character that
 * no piece of one character covers may be unknown, for the price of unknown_score. At a tie the
 * piece that begins first stays; sums are doubles. Unknown pieces side by side become one token.
 *
 * The word comes code point by code point and may be of any length: when the window is full, the
 * part that all ways have in common is given out and forgotten. Time is the word's bytes times the
 * longest piece's, at worst. Memory is the window, which grows only while no way has won (which
 * takes a vocabulary made for it).
 * Threads: a vocabulary is immutable, a lattice belongs to one thread. */
#ifndef TERCET_TOKENIZER_LATTICE_H
#define TERCET_TOKENIZER_LATTICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/tokenizer/double_array.h"
#include "engine/tokenizer/pipeline.h"
#include "engine/tokenizer/utf8.h"

struct lattice_pieces {
    struct double_array trie; /* piece -> id */
    double *scores;           /* [ids] */
    double unknown_score;
    uint32_t unknown_id;
    size_t piece_bytes_max;
};

struct lattice_node { /* the best way to a place between two bytes */
    double score;
    uint32_t start; /* where its last piece begins */
    uint32_t id;    /* of that piece */
};

struct lattice {
    const struct lattice_pieces *pieces;
    struct token_sink *sink;
    char *bytes;                 /* [cap] */
    struct token_range *sources; /* [cap], for each byte the range of its code point */
    struct lattice_node *nodes;  /* [cap + 1] */
    size_t n, cap;
    size_t done;        /* all pieces that begin before this place have been looked at */
    size_t nodes_n;     /* nodes with a score: [0, nodes_n) */
    bool holds_unknown; /* an unknown token that the next piece may still prolong */
    struct token_range unknown;
};

void lattice_init(struct lattice *lattice, const struct lattice_pieces *pieces,
                  struct token_sink *sink);
void lattice_done(struct lattice *lattice);

/* Gives out the tokens of the word and begins a new one. */
void lattice_end_word(struct lattice *lattice);

/* Makes room for a code point, giving out tokens where it can. */
void lattice_make_room(struct lattice *lattice);

static inline void lattice_add(struct lattice *lattice, uint32_t codepoint, uint32_t begin,
                               uint32_t end) {
    if (lattice->cap - lattice->n < UTF8_BYTES_MAX)
        lattice_make_room(lattice);
    size_t bytes_n = utf8_write(codepoint, lattice->bytes + lattice->n);
    for (size_t i = 0; i < bytes_n; i++)
        lattice->sources[lattice->n++] = (struct token_range){begin, end};
}

#endif
