#include "engine/tokenizer/trie.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/base/mem.h"

static int compare_keys(const void *left, const void *right) {
    const struct trie_key *a = left, *b = right;
    int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* How many nodes sorted keys make: the root, and the bytes that no key before shares. */
static size_t count_nodes(const struct trie_key *keys, size_t keys_n) {
    size_t n = 1;
    for (size_t i = 0; i < keys_n; i++) {
        size_t shared = 0;
        if (i > 0)
            while (shared < keys[i].len && shared < keys[i - 1].len &&
                   keys[i].text[shared] == keys[i - 1].text[shared])
                shared++;
        n += keys[i].len - shared;
    }
    return n;
}

/* The keys under a node, and how many of their bytes lead to it. */
struct span {
    uint32_t begin, end, depth;
};

/* Gives the node its value and its children, whose spans are written at their own index. */
static void expand(struct trie *trie, uint32_t node, struct span *spans,
                   const struct trie_key *keys) {
    struct span span = spans[node];
    struct trie_node *parent = &trie->nodes[node];
    *parent = (struct trie_node){.first_child = (uint32_t)trie->n, .value = TRIE_NONE};
    if (span.begin < span.end && keys[span.begin].len == span.depth)
        parent->value = keys[span.begin++].value;
    while (span.begin < span.end) {
        char byte = keys[span.begin].text[span.depth];
        uint32_t end = span.begin;
        while (end < span.end && keys[end].text[span.depth] == byte)
            end++;
        trie->labels[trie->n] = (uint8_t)byte;
        spans[trie->n++] = (struct span){span.begin, end, span.depth + 1};
        parent->children_n++;
        span.begin = end;
    }
}

void trie_build(struct trie *trie, struct trie_key *keys, size_t keys_n) {
    assert(keys_n < TRIE_NONE);
    if (keys_n)
        qsort(keys, keys_n, sizeof *keys, compare_keys);
    size_t nodes_n = count_nodes(keys, keys_n);
    assert(nodes_n < TRIE_NONE); /* the keys' bytes come from a file that is smaller than 4 GiB */
    struct span *spans = mem_alloc(nodes_n, sizeof *spans);
    trie->nodes = mem_alloc(nodes_n, sizeof *trie->nodes);
    trie->labels = mem_zalloc(nodes_n, 1);
    spans[0] = (struct span){0, (uint32_t)keys_n, 0};
    trie->n = 1;
    for (uint32_t node = 0; node < trie->n; node++)
        expand(trie, node, spans, keys);
    assert(trie->n == nodes_n);
    free(spans);
}

void trie_done(struct trie *trie) {
    free(trie->nodes);
    free(trie->labels);
    *trie = (struct trie){0};
}

uint32_t trie_walk(const struct trie *trie, uint32_t node, const char *text, size_t len) {
    for (size_t i = 0; i < len && node != TRIE_NONE; i++)
        node = trie_child(trie, node, text[i]);
    return node;
}
