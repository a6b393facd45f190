/* forward.h - token ids -> hidden states: BERT's layers over packed sequences.
 *
 * The tokens of all sequences of a run stand one behind the other, without padding; only attention
 * looks at where one ends. A run is done by one thread or by a team: of many tokens each member
 * takes some rows, of few (a query) each takes some of the channels of every product, so that it
 * reads only its part of the weights.
 * Whatever the team and the company of a sequence, its states have the same bits with int8 weights;
 * and with f32 and bf16 too, as sums are taken in one order (linear.h, attention.h).
 *
 * Scratch   grows to the longest run it has seen and is used again: for each token
 *           (2 * hidden + 3 * hidden) * 4 bytes (bf16: 3 * hidden * 2 for the second), for each
 *           member the keys and values of one head of the longest sequence (8 bytes a token and
 *           dimension) and some rows of each product. 8,192 tokens of bge-m3: under 200 MiB.
 * Threads   one run at a time; the model is shared. */
#ifndef TERCET_FORWARD_H
#define TERCET_FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct model;
struct forward;

struct forward_sequence {
    const uint32_t *ids;     /* [n], each below the model's vocabulary_n */
    const uint8_t *type_ids; /* [n], or NULL: all 0 */
    size_t n;                /* 1 to the model's length_max */
};

struct forward *forward_open(const struct model *model);
void forward_close(struct forward *forward);

/* The last hidden states, [sum of n, hidden], sequence by sequence. Borrowed: good until the next
 * run. */
const float *forward_run(struct forward *forward, const struct forward_sequence *sequences,
                         size_t sequences_n);

/* Whether a run of so many tokens is long enough, between one meeting of a team and the next, for
 * a team to be faster than one thread. A query through a small model is not. */
bool forward_team_pays(const struct forward *forward, size_t tokens_n);

/* The same by members_n threads: forward_begin on one, then forward_member on each of them at the
 * same time, then the states are there. The sequences are borrowed until then. */
void forward_begin(struct forward *forward, const struct forward_sequence *sequences,
                   size_t sequences_n, size_t members_n);
void forward_member(struct forward *forward, size_t member);
const float *forward_states(const struct forward *forward);

#endif
