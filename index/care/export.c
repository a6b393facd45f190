#include "index/care/export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/base64.h"
#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "index/forward.h"
#include "index/inside.h"
#include "index/multi/multivector.h"
#include "index/passages.h"

struct export {
    struct snapshot *snapshot;
    const struct index_settings *settings;
    bool vectors; /* token vectors as numbers */
    char **words; /* [words_n] by id, NULL where there is none; no words: terms are tokens */
    size_t words_n;
    struct arena arena; /* of one document */
    float *vector;      /* [multi_dim] */
    struct buf line;
};

/* ---- words by their ids ---- */

static bool read_words(struct export *export, struct error *err) {
    struct store_cursor cursor = {0};
    uint64_t n;
    if (!store_entries_n(export->snapshot->txn, TABLE_TERMS, &n, err))
        return false;
    if (n == 0)
        return true;
    export->words_n = export->snapshot->state.term_next;
    export->words = mem_zalloc(export->words_n + 1, sizeof *export->words);
    bool ok = store_cursor_open(export->snapshot->txn, TABLE_TERMS, NULL, 0, &cursor, err);
    while (ok && cursor.key.data) {
        uint32_t id = cursor.value.len == 4 ? get_u32(cursor.value.data) : UINT32_MAX;
        if (id >= export->words_n || export->words[id]) {
            ok = store_corrupt(export->snapshot->txn, TABLE_TERMS, err, "id %u: twice, or unknown",
                               id);
            break;
        }
        export->words[id] = mem_alloc(cursor.key.len + 1, 1);
        memcpy(export->words[id], cursor.key.data, cursor.key.len);
        export->words[id][cursor.key.len] = '\0';
        ok = store_cursor_next(&cursor, err);
    }
    store_cursor_close(&cursor);
    return ok;
}

/* ---- one document ---- */

static bool add_fields(struct json *row, const struct document *document, struct error *err) {
    if (document->fields_len == 0)
        return true;
    struct json *fields = json_parse(document->fields, document->fields_len, err);
    if (!fields)
        return error_wrap(err, "the fields of \"%.100s\": ", document->key);
    json_add(row, "fields", fields);
    return true;
}

static bool add_sparse(struct export *export, struct json *row, uint32_t docid, struct error *err) {
    struct sparse_row stored;
    if (export->settings->lexical == INDEX_LEXICAL_NONE)
        return true;
    if (!forward_sparse_row(export->snapshot->txn, docid, &stored, err))
        return false;
    struct json *sparse = json_new_object(), *terms = json_new_object();
    json_add(row, "sparse", sparse);
    json_add(sparse, "terms", terms);
    for (size_t i = 0; i < stored.n; i++) {
        uint32_t id = get_u32(stored.ids + 4 * i);
        char number[16];
        snprintf(number, sizeof number, "%u", id);
        if (export->words && (id >= export->words_n || !export->words[id]))
            return store_corrupt(export->snapshot->txn, TABLE_SPARSE, err,
                                 "docid %u: term %u is no word", docid, id);
        json_add_number(terms, export->words ? export->words[id] : number,
                        (double)get_f32(stored.weights + 4 * i));
    }
    if (export->settings->lexical == INDEX_LEXICAL_BM25)
        json_add_number(sparse, "length", (double)stored.length);
    return true;
}

/* The codes as they are: vectors decoded from them would be given other codes. */
static bool add_multi(struct export *export, struct json *json,
                      const struct record_passage *passage, struct error *err) {
    uint32_t dim = export->settings->multi_dim;
    struct multi_codes codes;
    if (!multi_codes_open(passage->multi_codes, passage->multi_codes_len, dim, &codes, err))
        return false;
    if (export->vectors) {
        struct json *vectors = json_new_array();
        for (uint32_t i = 0; i < codes.n; i++) {
            multi_decode(&codes, i, export->vector);
            json_push(vectors, json_new_floats(export->vector, dim));
        }
        json_add(json, "multi", vectors);
        return true;
    }
    struct buf text = {0};
    base64_print(passage->multi_codes, passage->multi_codes_len, &text);
    json_add(json, "multi", json_new_string(text.data, text.len));
    buf_done(&text);
    return true;
}

static bool add_passage(struct export *export, struct json *json,
                        const struct record_passage *passage, struct error *err) {
    if (passage->dense)
        json_add_floats(json, "dense", passage->dense, export->settings->dense_dim);
    return !passage->multi_codes || add_multi(export, json, passage, err);
}

static bool add_passages(struct export *export, struct json *row, uint32_t docid,
                         struct error *err) {
    struct record_passage *passages;
    size_t n;
    if (!passages_read(export->snapshot->txn, export->settings, docid, &export->arena, &passages,
                       &n, err))
        return false;
    if (n == 1)
        return add_passage(export, row, &passages[0], err);
    struct json *all = json_new_array();
    json_add(row, "passages", all);
    for (size_t i = 0; i < n; i++) {
        struct json *one = json_new_object();
        json_push(all, one);
        json_add_number(one, "begin", passages[i].begin);
        json_add_number(one, "end", passages[i].end);
        if (!add_passage(export, one, &passages[i], err))
            return error_wrap(err, "docid %u, passage %zu: ", docid, i);
    }
    return true;
}

static bool print_row(struct export *export, uint32_t docid, struct error *err) {
    struct document document;
    arena_reset(&export->arena);
    if (!document_get(export->snapshot, docid, &export->arena, &document, err))
        return false;
    struct json *row = json_new_object();
    json_add(row, "id", json_new_string(document.key, document.key_len));
    json_add(row, "title", json_new_string(document.title, document.title_len));
    json_add(row, "text", json_new_string(document.text, document.text_len));
    bool ok = add_fields(row, &document, err) && add_passages(export, row, docid, err) &&
              add_sparse(export, row, docid, err);
    buf_clear(&export->line);
    if (ok)
        json_print(row, &export->line);
    json_release(row);
    return ok;
}

/* ---- all ---- */

static bool export_all(struct export *export, export_line *line, void *context, struct error *err) {
    struct store_cursor cursor = {0};
    bool ok = read_words(export, err) &&
              store_cursor_open(export->snapshot->txn, TABLE_DOCUMENTS, NULL, 0, &cursor, err);
    while (ok && cursor.key.data) {
        if (cursor.key.len != 4) {
            ok = store_corrupt(export->snapshot->txn, TABLE_DOCUMENTS, err, "a key of %zu bytes",
                               cursor.key.len);
            break;
        }
        ok = print_row(export, get_be32(cursor.key.data), err) &&
             line(context, export->line.data, export->line.len, err) &&
             store_cursor_next(&cursor, err);
    }
    store_cursor_close(&cursor);
    return ok;
}

bool index_export(struct index *index, bool vectors, export_line *line, void *context,
                  struct error *err) {
    struct export export = {.settings = &index->settings, .vectors = vectors};
    if (!snapshot_open(index, &export.snapshot, err))
        return false;
    export.vector = mem_alloc((size_t)index->settings.multi_dim + 1, sizeof(float));
    bool ok = export_all(&export, line, context, err);
    for (size_t i = 0; i < export.words_n; i++)
        free(export.words[i]);
    free(export.words);
    free(export.vector);
    arena_done(&export.arena);
    buf_done(&export.line);
    snapshot_close(export.snapshot);
    return ok;
}
