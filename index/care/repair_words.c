#include "index/care/repair_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/mem.h"

/* Without a state, ids beyond this many times the words are damage and not a dictionary full of
 * holes. */
enum { HOLES_FACTOR = 2, HOLES_MIN = 1024 };

struct word {
    const char *text; /* NULL: nobody has the id */
    size_t len;
    bool disputed; /* two words say that it is theirs */
};

struct reading {
    struct arena arena;
    struct word *words;  /* [end] by id */
    size_t end;          /* ids that can be */
    size_t next;         /* one past the largest that was given out, as far as anybody knows */
    struct word *unread; /* [unread_n] words whose ids are unknown */
    size_t unread_n;
};

static void add_unread(struct reading *reading, struct word word) {
    reading->unread = mem_realloc(reading->unread, reading->unread_n + 1, sizeof word);
    reading->unread[reading->unread_n++] = word;
}

static void take(struct reading *reading, struct bytes key, struct bytes value) {
    struct word word = {arena_text(&reading->arena, key.data, key.len), key.len, false};
    uint32_t id = value.data && value.len == 4 ? get_u32(value.data) : UINT32_MAX;
    if (id >= reading->end) {
        add_unread(reading, word);
        return;
    }
    reading->next = id >= reading->next ? id + (size_t)1 : reading->next;
    struct word *there = &reading->words[id];
    if (!there->text && !there->disputed) {
        *there = word;
        return;
    }
    if (there->text)
        add_unread(reading, *there);
    add_unread(reading, word);
    *there = (struct word){.disputed = true};
}

static bool read_words(struct store_txn *old, struct reading *reading, struct error *err) {
    struct store_cursor cursor = {0};
    bool ok = repair_step(store_cursor_open(old, TABLE_TERMS, NULL, 0, &cursor, err), &cursor, err);
    while (ok && cursor.key.data) {
        take(reading, cursor.key, cursor.value);
        ok = repair_step(store_cursor_next(&cursor, err), &cursor, err);
    }
    store_cursor_close(&cursor);
    return ok;
}

static void tell(const struct repair_listener *listener, const char *what) {
    if (listener->lost)
        listener->lost(listener->context, what);
}

/* What was not found, told; the one word that can be put to the one id is. */
static uint64_t settle(struct reading *reading, const struct repair_listener *listener) {
    char what[ERROR_MESSAGE_MAX];
    size_t missing_n = 0, missing = 0;
    for (size_t id = 0; id < reading->next; id++)
        if (!reading->words[id].text) {
            missing = id;
            missing_n++;
        }
    if (missing_n == 1 && reading->unread_n == 1) {
        reading->words[missing] = reading->unread[0];
        return 0;
    }
    for (size_t i = 0; i < reading->unread_n; i++) {
        snprintf(what, sizeof what, "the word \"%.100s\": its id cannot be read",
                 reading->unread[i].text);
        tell(listener, what);
    }
    size_t lost_n = missing_n > reading->unread_n ? missing_n : reading->unread_n;
    if (lost_n > 0) {
        snprintf(what, sizeof what,
                 "%zu words: documents are not found by them until they are ingested again",
                 lost_n);
        tell(listener, what);
    }
    return lost_n;
}

static bool enter_words(const struct reading *reading, struct writer *writer,
                        struct repair_words *out, struct error *err) {
    out->ids_n = reading->next;
    out->ids = mem_alloc(reading->next + 1, sizeof *out->ids);
    for (size_t id = 0; id < reading->next; id++) {
        const struct word *word = &reading->words[id];
        out->ids[id] = (uint32_t)REPAIR_NO_WORD;
        if (word->text && !writer_term_id(writer, word->text, word->len, &out->ids[id], err))
            return false;
    }
    return true;
}

bool repair_words(struct store_txn *old, uint32_t term_next, struct writer *writer,
                  const struct repair_listener *listener, uint64_t *lost_n_out,
                  struct repair_words *out, struct error *err) {
    struct reading reading = {.next = term_next};
    uint64_t n;
    *out = (struct repair_words){0};
    if (!store_entries_n(old, TABLE_TERMS, &n, err))
        return false;
    out->none = n == 0 && term_next == 0;
    if (out->none)
        return true;
    reading.end = term_next > 0 ? term_next : HOLES_FACTOR * n + HOLES_MIN;
    reading.words = mem_zalloc(reading.end, sizeof *reading.words);
    bool ok = read_words(old, &reading, err);
    if (ok) {
        *lost_n_out = settle(&reading, listener);
        ok = enter_words(&reading, writer, out, err);
    }
    arena_done(&reading.arena);
    free(reading.words);
    free(reading.unread);
    return ok;
}

void repair_words_done(struct repair_words *words) {
    free(words->ids);
    *words = (struct repair_words){0};
}
