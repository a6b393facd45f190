/* report_texts.h - the texts that a report shows: of documents or of queries, each once, known by
 * its place in one list.
 *
 * First the places are given out, then the texts are fetched: from the index that was searched, or
 * from the files that a benchmark came as. What is not found keeps its key alone. */
#ifndef TERCET_EVAL_REPORT_TEXTS_H
#define TERCET_EVAL_REPORT_TEXTS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/json.h"
#include "engine/base/map.h"

struct index;

/* So much of a text is shown; enough to see why it was found. */
enum { REPORT_TEXT_BYTES_MAX = 480, REPORT_TITLE_BYTES_MAX = 240 };

struct report_text {
    const char *key;
    const char *title, *text; /* cut, with "…"; NULL: not found */
};

/* Zeros but for the arena make an empty one; the owner calls report_texts_done. */
struct report_texts {
    struct arena *arena;
    struct map places;
    struct report_text *items; /* [n] */
    size_t n;
};

void report_texts_done(struct report_texts *texts);

uint32_t report_texts_place(struct report_texts *texts, const char *key);

bool report_texts_from_index(struct report_texts *texts, struct index *index, struct error *err);

/* JSONL (an id as "_id", "id", "docid" or "query_id"; "text", "query" or "question"; "title") or
 * lines `id<TAB>text`; packed or not. */
bool report_texts_from_file(struct report_texts *texts, const char *path, struct error *err);

/* [{"key","title","text"}], in the order of their places. */
struct json *report_texts_json(const struct report_texts *texts);

/* At most bytes_max of it, cut between characters. */
const char *report_text_cut(const char *text, size_t len, size_t bytes_max, struct arena *arena);

#endif
