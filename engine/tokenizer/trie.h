/* trie.h - the longest key that a text begins with, in one pass over it.
 *
 * A read-only trie over bytes. The children of a node stand side by side in two arrays, sorted, so
 * a step is one search among at most 256 labels; a key byte costs at most 13 bytes of memory.
 * Threads: immutable once built. */
#ifndef TERCET_TOKENIZER_TRIE_H
#define TERCET_TOKENIZER_TRIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static const uint32_t TRIE_NONE = UINT32_MAX; /* no value, no node */

struct trie_node {
    uint32_t first_child; /* index into nodes and labels */
    uint32_t children_n;
    uint32_t value; /* TRIE_NONE: no key ends here */
};

struct trie {
    struct trie_node *nodes; /* [n], nodes[0] the root, breadth first */
    uint8_t *labels;         /* [n], the byte that leads to the node */
    size_t n;
};

struct trie_key {
    const char *text;
    uint32_t len, value;
};

/* Sorts keys. They must be distinct; an empty key is the root's value. Keys need not outlive it. */
void trie_build(struct trie *trie, struct trie_key *keys, size_t keys_n);
void trie_done(struct trie *trie);

/* The child of a node by its byte, or TRIE_NONE. */
static inline uint32_t trie_child(const struct trie *trie, uint32_t node, char byte) {
    const struct trie_node *parent = &trie->nodes[node];
    const uint8_t *labels = trie->labels + parent->first_child;
    if (parent->children_n == 1)
        return labels[0] == (uint8_t)byte ? parent->first_child : TRIE_NONE;
    if (parent->children_n == 0)
        return TRIE_NONE;
    const uint8_t *found = memchr(labels, (uint8_t)byte, parent->children_n);
    return found ? parent->first_child + (uint32_t)(found - labels) : TRIE_NONE;
}

/* The node that a key leads to from another, or TRIE_NONE. */
uint32_t trie_walk(const struct trie *trie, uint32_t node, const char *text, size_t len);

#endif
