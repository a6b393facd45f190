#include "engine/tokenizer/lattice.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"

static void set_cap(struct lattice *lattice, size_t cap) {
    assert(cap < UINT32_MAX);
    lattice->cap = cap;
    lattice->bytes = mem_realloc(lattice->bytes, cap, sizeof *lattice->bytes);
    lattice->sources = mem_realloc(lattice->sources, cap, sizeof *lattice->sources);
    lattice->nodes = mem_realloc(lattice->nodes, cap + 1, sizeof *lattice->nodes);
}

static void begin_word(struct lattice *lattice) {
    lattice->n = lattice->done = 0;
    lattice->nodes[0] = (struct lattice_node){0};
    lattice->nodes_n = 1;
}

void lattice_init(struct lattice *lattice, const struct lattice_pieces *pieces,
                  struct token_sink *sink) {
    enum { WINDOW_MIN = 1024, WINDOW_PIECES = 8 };
    size_t cap = WINDOW_PIECES * pieces->piece_bytes_max;
    *lattice = (struct lattice){.pieces = pieces, .sink = sink};
    set_cap(lattice, cap < WINDOW_MIN ? WINDOW_MIN : cap);
    begin_word(lattice);
}

void lattice_done(struct lattice *lattice) {
    free(lattice->bytes);
    free(lattice->sources);
    free(lattice->nodes);
    *lattice = (struct lattice){0};
}

/* ---- finding the best way ---- */

static size_t char_bytes_n(char first) {
    uint8_t byte = (uint8_t)first;
    return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

/* Looks at the pieces that begin in [done, end), which lie wholly in bytes[0..n). */
static void look_at(struct lattice *lattice, size_t end) {
    const struct lattice_pieces *pieces = lattice->pieces;
    const struct double_array_unit *units = pieces->trie.units;
    const char *bytes = lattice->bytes;
    struct lattice_node *nodes = lattice->nodes;
    size_t n = lattice->n, at = lattice->done;
    for (size_t i = lattice->nodes_n; i <= n; i++)
        nodes[i].score = -INFINITY;
    lattice->nodes_n = n + 1;
    while (at < end) {
        double score = nodes[at].score;
        size_t char_end = at + char_bytes_n(bytes[at]);
        bool has_char = false;
        uint32_t base = pieces->trie.root;
        for (size_t i = at; i < n; i++) {
            uint8_t byte = (uint8_t)bytes[i];
            struct double_array_unit unit = units[base ^ byte];
            if ((unit.value_and_label & DOUBLE_ARRAY_FREE) != byte)
                break;
            base = unit.base;
            uint32_t id = unit.value_and_label >> DOUBLE_ARRAY_LABEL_BITS;
            if (id == DOUBLE_ARRAY_NO_VALUE)
                continue;
            has_char |= i + 1 == char_end;
            if (score + pieces->scores[id] > nodes[i + 1].score)
                nodes[i + 1] = (struct lattice_node){score + pieces->scores[id], (uint32_t)at, id};
        }
        if (!has_char && score + pieces->unknown_score > nodes[char_end].score)
            nodes[char_end] = (struct lattice_node){score + pieces->unknown_score, (uint32_t)at,
                                                    pieces->unknown_id};
        at = char_end;
    }
    lattice->done = at;
}

/* ---- giving out tokens ---- */

static void give_unknown(struct lattice *lattice) {
    if (lattice->holds_unknown)
        token_sink_add(lattice->sink, lattice->pieces->unknown_id, lattice->unknown.begin,
                       lattice->unknown.end);
    lattice->holds_unknown = false;
}

static void give(struct lattice *lattice, uint32_t id, struct token_range range) {
    if (id != lattice->pieces->unknown_id) {
        give_unknown(lattice);
        token_sink_add(lattice->sink, id, range.begin, range.end);
        return;
    }
    if (!lattice->holds_unknown)
        lattice->unknown = range;
    lattice->unknown.end = range.end;
    lattice->holds_unknown = true;
}

/* The tokens of the best way from the beginning to `end`. The way is linked backwards; the first
 * pass turns the links round (start then says where the next piece ends). */
static void give_way(struct lattice *lattice, size_t end) {
    struct lattice_node *nodes = lattice->nodes;
    uint32_t next = 0;
    for (uint32_t at = (uint32_t)end; at > 0;) {
        uint32_t start = nodes[at].start;
        nodes[at].start = next;
        next = at;
        at = start;
    }
    for (uint32_t at = 0; next > 0; next = nodes[at].start) {
        struct token_range range = {lattice->sources[at].begin, lattice->sources[next - 1].end};
        give(lattice, nodes[next].id, range);
        at = next;
    }
}

void lattice_end_word(struct lattice *lattice) {
    if (lattice->n == 0)
        return;
    look_at(lattice, lattice->n);
    give_way(lattice, lattice->n);
    give_unknown(lattice);
    begin_word(lattice);
}

/* ---- long words ---- */

/* The last place that all ways lead through. Every way goes on from a place in [done, n], and no
 * piece that begins before `done` is still to be looked at. */
static size_t common_place(const struct lattice *lattice) {
    size_t common = lattice->done;
    for (size_t place = lattice->done + 1; place < lattice->nodes_n; place++) {
        if (lattice->nodes[place].score == -INFINITY)
            continue;
        for (size_t other = place; other != common;)
            if (other > common)
                other = lattice->nodes[other].start;
            else
                common = lattice->nodes[common].start;
    }
    return common;
}

/* Forgets what lies before `place`. Ways that do not lead through it are never followed again. */
static void forget(struct lattice *lattice, size_t place) {
    lattice->n -= place;
    lattice->done -= place;
    lattice->nodes_n -= place;
    memmove(lattice->bytes, lattice->bytes + place, lattice->n);
    memmove(lattice->sources, lattice->sources + place, lattice->n * sizeof *lattice->sources);
    memmove(lattice->nodes, lattice->nodes + place, lattice->nodes_n * sizeof *lattice->nodes);
    for (size_t i = 0; i < lattice->nodes_n; i++)
        lattice->nodes[i].start -= (uint32_t)place;
}

void lattice_make_room(struct lattice *lattice) {
    size_t bytes_max = lattice->pieces->piece_bytes_max;
    if (lattice->n > lattice->done + bytes_max)
        look_at(lattice, lattice->n - bytes_max);
    size_t place = common_place(lattice);
    give_way(lattice, place);
    if (place < lattice->cap / 2)
        set_cap(lattice, lattice->cap * 2);
    forget(lattice, place);
}
