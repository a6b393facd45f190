/* double_array.h - a trie in one array: a step is one look at one place.
 *
 * Aoe (1989), with XOR as in Yata's darts-clone: the child of a node by a byte stands at
 * base ^ byte, if the label there is that byte. No two nodes have the same base, and the 256 places
 * of base 0 are free, so nodes without children need no test. 8 bytes a node, those of one chain
 * mostly side by side.
 * Threads: immutable once built. */
#ifndef TERCET_TOKENIZER_DOUBLE_ARRAY_H
#define TERCET_TOKENIZER_DOUBLE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trie;

struct double_array_unit {
    uint32_t base;            /* of the children */
    uint32_t value_and_label; /* value << 9 | label; label DOUBLE_ARRAY_FREE: no node is here */
};

enum {
    DOUBLE_ARRAY_LABEL_BITS = 9,
    DOUBLE_ARRAY_FREE = 0x1ff,
    DOUBLE_ARRAY_NO_VALUE = 0x7fffff, /* values are smaller */
};

struct double_array {
    struct double_array_unit *units; /* [units_n], a multiple of 256 */
    size_t units_n;
    uint32_t root; /* base of the root */
};

/* Holds what the trie holds, which may go afterwards. */
void double_array_build(struct double_array *array, const struct trie *trie);
void double_array_done(struct double_array *array);

/* The child by its byte of the node with this base; false when there is none. */
static inline bool double_array_step(const struct double_array *array, uint32_t base, char byte,
                                     struct double_array_unit *unit_out) {
    enum { LABEL_MASK = (1 << DOUBLE_ARRAY_LABEL_BITS) - 1 };
    struct double_array_unit unit = array->units[base ^ (uint8_t)byte];
    if ((unit.value_and_label & LABEL_MASK) != (uint8_t)byte)
        return false;
    *unit_out = unit;
    return true;
}

/* DOUBLE_ARRAY_NO_VALUE: no key ends at this node. */
static inline uint32_t double_array_value(struct double_array_unit unit) {
    return unit.value_and_label >> DOUBLE_ARRAY_LABEL_BITS;
}

#endif
