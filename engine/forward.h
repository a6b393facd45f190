/* forward.h - token ids -> hidden states: BERT's layers over packed sequences.
 *
 * The tokens of all sequences of a run stand one behind the other, without padding; only attention
 * looks at where one ends. A forward owns its scratch, which grows to the longest run it has seen
 * and is used again: about 4 * (6 * hidden + intermediate) bytes a token, and attention's tile.
 * Threads: one forward, one thread; the model is shared. */
#ifndef TERCET_FORWARD_H
#define TERCET_FORWARD_H

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

#endif
