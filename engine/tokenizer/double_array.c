#include "engine/tokenizer/double_array.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/tokenizer/trie.h"

enum {
    BLOCK = 256,      /* places that one base reaches */
    OPEN_BLOCKS = 16, /* the last ones, which are searched; what older ones have free stays free */
};

/* The free places, a ring by index through place 0, which is never used. */
struct link {
    uint32_t next, previous;
};

struct builder {
    struct double_array *array;
    struct link *links; /* [units_n] */
    bool *is_base;      /* [units_n], some node has this base */
    size_t cap;
};

static void unlink_place(struct builder *builder, size_t place) {
    struct link link = builder->links[place];
    builder->links[link.previous].next = link.next;
    builder->links[link.next].previous = link.previous;
}

static void link_place(struct builder *builder, size_t place) {
    uint32_t last = builder->links[0].previous;
    builder->links[place] = (struct link){0, last};
    builder->links[last].next = (uint32_t)place;
    builder->links[0].previous = (uint32_t)place;
}

static bool is_free(const struct builder *builder, size_t place) {
    return builder->array->units[place].value_and_label == DOUBLE_ARRAY_FREE;
}

static void add_block(struct builder *builder) {
    struct double_array *array = builder->array;
    size_t begin = array->units_n, end = begin + BLOCK;
    if (end > builder->cap) {
        builder->cap = builder->cap ? builder->cap * 2 : 16 * BLOCK;
        array->units = mem_realloc(array->units, builder->cap, sizeof *array->units);
        builder->links = mem_realloc(builder->links, builder->cap, sizeof *builder->links);
        builder->is_base = mem_realloc(builder->is_base, builder->cap, sizeof *builder->is_base);
    }
    for (size_t i = begin; i < end; i++) {
        array->units[i] = (struct double_array_unit){0, DOUBLE_ARRAY_FREE};
        builder->is_base[i] = false;
        if (begin > 0)
            link_place(builder, i);
    }
    if (begin == 0)
        builder->links[0] = (struct link){0, 0};
    array->units_n = end;
    if (begin <= OPEN_BLOCKS * BLOCK)
        return;
    for (size_t i = begin - OPEN_BLOCKS * BLOCK; i < end - OPEN_BLOCKS * BLOCK; i++)
        if (is_free(builder, i))
            unlink_place(builder, i);
}

static bool fits(const struct builder *builder, uint32_t base, const uint8_t *labels,
                 size_t labels_n) {
    if (builder->is_base[base])
        return false;
    for (size_t i = 0; i < labels_n; i++)
        if (!is_free(builder, base ^ labels[i]))
            return false;
    return true;
}

/* A base whose places for these labels are free. */
static uint32_t find_base(struct builder *builder, const uint8_t *labels, size_t labels_n) {
    for (uint32_t place = builder->links[0].next; place; place = builder->links[place].next)
        if (fits(builder, place ^ labels[0], labels, labels_n))
            return place ^ labels[0];
    add_block(builder);
    return (uint32_t)(builder->array->units_n - BLOCK) ^ labels[0];
}

static void take_place(struct builder *builder, uint32_t place, uint8_t label, uint32_t value) {
    unlink_place(builder, place);
    uint32_t kept = value == TRIE_NONE ? DOUBLE_ARRAY_NO_VALUE : value;
    assert(kept <= DOUBLE_ARRAY_NO_VALUE);
    builder->array->units[place].value_and_label = kept << DOUBLE_ARRAY_LABEL_BITS | label;
}

/* A node of the trie whose children are still to be placed; place 0 stands for the root. */
struct task {
    uint32_t node, place;
};

/* Places the children of a node; pushes those that have children, the first one on top, so that a
 * chain is laid out in one go. Returns the new height of the stack. */
static size_t place_children(struct builder *builder, const struct trie *trie, struct task task,
                             struct task *stack, size_t stack_n) {
    const struct trie_node *parent = &trie->nodes[task.node];
    const uint8_t *labels = trie->labels + parent->first_child;
    uint32_t base = find_base(builder, labels, parent->children_n);
    builder->is_base[base] = true;
    if (task.place)
        builder->array->units[task.place].base = base;
    else
        builder->array->root = base;
    for (uint32_t i = parent->children_n; i-- > 0;) {
        uint32_t child = parent->first_child + i, place = base ^ labels[i];
        take_place(builder, place, labels[i], trie->nodes[child].value);
        if (trie->nodes[child].children_n)
            stack[stack_n++] = (struct task){child, place};
    }
    return stack_n;
}

void double_array_build(struct double_array *array, const struct trie *trie) {
    struct builder builder = {.array = array};
    *array = (struct double_array){0};
    add_block(&builder); /* the free places of base 0 */
    struct task *stack = mem_alloc(trie->n, sizeof *stack);
    size_t stack_n = 0;
    if (trie->nodes[0].children_n)
        stack[stack_n++] = (struct task){0, 0};
    while (stack_n > 0) {
        struct task task = stack[--stack_n];
        stack_n = place_children(&builder, trie, task, stack, stack_n);
    }
    array->units = mem_realloc(array->units, array->units_n, sizeof *array->units);
    free(stack);
    free(builder.links);
    free(builder.is_base);
}

void double_array_done(struct double_array *array) {
    free(array->units);
    *array = (struct double_array){0};
}
