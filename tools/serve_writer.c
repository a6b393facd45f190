#include "tools/serve_writer.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/base/priority.h"
#include "engine/model.h"
#include "index/remove.h"
#include "ingest/pipeline.h"
#include "ingest/settings.h"

enum {
    /* Rows of one request. A body of 32 MiB holds at most so many that say anything. */
    ROWS_MAX = 1 << 20,
    /* Each holds an encoder and three windows, some 20 MB. A server has few kinds of collections,
     * but whoever may make collections may make them of any analyzer and any dimensions. */
    INGESTS_MAX = 8,
};

struct serve_writer {
    const struct model *model;
    struct pool *pool; /* opened by the writer lane's thread, which gives way to queries */
    /* [ingests_n] one for each kind of index, the one that was used last behind the others */
    struct ingest *ingests[INGESTS_MAX];
    size_t ingests_n;
};

bool serve_writer_open(const struct model *model, struct serve_writer **out, struct error *err) {
    struct serve_writer *writer = mem_zalloc(1, sizeof *writer);
    (void)err;
    writer->model = model;
    *out = writer;
    return true;
}

void serve_writer_close(struct serve_writer *writer) {
    if (!writer)
        return;
    for (size_t i = 0; i < writer->ingests_n; i++)
        ingest_close(writer->ingests[i]);
    pool_close(writer->pool);
    free(writer);
}

static bool create(void *context, const char *folder, const struct service_choices *chosen,
                   struct index **out, struct error *err) {
    struct serve_writer *writer = context;
    const struct ingest_choices choices = {
        .chunk_given = chosen->chunk_given,
        .chunk_tokens = chosen->chunk_tokens,
        .chunk_overlap = chosen->chunk_overlap,
        .dense_dim = chosen->dense_dim,
        .multi_dim = chosen->multi_dim,
        .analyzer = chosen->analyzer,
    };
    return ingest_open_index(folder, chosen->no_model ? NULL : model_info(writer->model), &choices,
                             out, err);
}

/* The lane's thread, and the pool's, which it starts, encode what nobody waits for. */
static void give_way(struct serve_writer *writer) {
    if (writer->pool)
        return;
    priority_lower();
    writer->pool = pool_open(0);
}

/* Takes number i out of the row. */
static struct ingest *take_ingest(struct serve_writer *writer, size_t i) {
    struct ingest *ingest = writer->ingests[i];
    writer->ingests_n--;
    memmove(writer->ingests + i, writer->ingests + i + 1,
            (writer->ingests_n - i) * sizeof *writer->ingests);
    return ingest;
}

/* To be turned away from the index before its lock is given back. */
static struct ingest *ingest_for(struct serve_writer *writer, struct index *index,
                                 struct error *err) {
    struct ingest *ingest = NULL;
    give_way(writer);
    for (size_t i = 0; i < writer->ingests_n && !ingest; i++)
        if (ingest_suits(writer->ingests[i], index))
            ingest = take_ingest(writer, i);
    if (ingest) {
        ingest_turn(ingest, index);
    } else {
        const struct model *model =
            index_has_model(index_settings_of(index)) ? writer->model : NULL;
        if (writer->ingests_n == INGESTS_MAX)
            ingest_close(take_ingest(writer, 0));
        if (!ingest_open(index, model, writer->pool, &ingest, err))
            return NULL;
    }
    writer->ingests[writer->ingests_n++] = ingest;
    return ingest;
}

/* ---- a body's rows ---- */

struct body {
    struct arena *arena;
    struct row *rows; /* [rows_n] those that can be ingested */
    size_t rows_n, rows_cap;
    struct json *verdicts;     /* one for each row of the body, in its order */
    const struct json **slots; /* [rows_n] the verdict of rows[i] */
    size_t failed_n;
};

static void verdict_fail(struct json *verdict, size_t line, const struct error *err) {
    if (line)
        json_add_number(verdict, "line", (double)line);
    json_add_string(verdict, "status", "failed");
    json_add_string(verdict, "error", err->message);
}

/* line: from 1; 0 for an array's rows. */
static void body_add(struct body *body, const struct json *json, size_t line,
                     const struct error *parse_err) {
    struct json *verdict = json_new_object();
    struct error err = parse_err ? *parse_err : (struct error){0};
    struct row row;
    json_push(body->verdicts, verdict);
    if (parse_err || !row_from_json(json, body->arena, &row, &err)) {
        verdict_fail(verdict, line, &err);
        body->failed_n++;
        return;
    }
    row.line = line;
    if (body->rows_n == body->rows_cap) {
        body->rows_cap = body->rows_cap ? 2 * body->rows_cap : 64;
        body->rows = mem_realloc(body->rows, body->rows_cap, sizeof *body->rows);
        body->slots = mem_realloc(body->slots, body->rows_cap, sizeof *body->slots);
    }
    json_add(verdict, "id", json_new_string(row.key, row.key_len));
    body->rows[body->rows_n] = row;
    body->slots[body->rows_n++] = verdict;
}

/* A JSON array, or one object. */
static void read_whole(struct body *body, const struct json *json) {
    if (json_kind_of(json) != JSON_KIND_ARRAY)
        body_add(body, json, 0, NULL);
    else
        for (size_t i = 0; i < json_count(json); i++)
            body_add(body, json_at(json, i), 0, NULL);
}

static void read_lines(struct body *body, const struct service_documents *documents) {
    const char *text = documents->text, *end = text + documents->len;
    for (size_t number = documents->lines_before + 1; text < end; number++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        const char *next = stop ? stop + 1 : end;
        size_t line_len = (size_t)((stop ? stop : end) - text);
        struct error err;
        if (strspn(text, " \t\r") < line_len) {
            struct json *json = json_parse(text, line_len, &err);
            if (!json)
                error_wrap(&err, "line %zu: ", number);
            body_add(body, json, number, json ? NULL : &err);
            json_release(json);
        }
        text = next;
    }
}

static bool body_read(struct body *body, const struct service_documents *documents,
                      struct error *err) {
    const char *text = documents->text;
    size_t blank = strspn(text, " \t\r\n");
    struct json *whole = NULL;
    if (blank >= documents->len && !documents->are_lines)
        return error_set(err, ERROR_INVALID,
                         "no document: send a JSON array, or a JSON object a line");
    if (!documents->are_lines) {
        whole = json_parse(text, documents->len, err);
        if (!whole && text[blank] == '[')
            return false;
    }
    if (whole)
        read_whole(body, whole);
    else
        read_lines(body, documents);
    json_release(whole);
    if (json_count(body->verdicts) > ROWS_MAX)
        return error_set(err, ERROR_LIMIT, "more than %d rows in one request", ROWS_MAX);
    return true;
}

/* ---- put ---- */

static struct json *answer_make(struct body *body, const struct ingest_verdict *verdicts) {
    static const char *const names[] = {"stored", "unchanged", "failed"};
    size_t counts[3] = {0, 0, body->failed_n};
    for (size_t i = 0; i < body->rows_n; i++) {
        struct json *verdict = (struct json *)(uintptr_t)body->slots[i];
        if (verdicts[i].outcome == INGEST_BAD)
            verdict_fail(verdict, body->rows[i].line, &verdicts[i].err);
        else
            json_add_string(verdict, "status", names[verdicts[i].outcome]);
        counts[verdicts[i].outcome]++;
    }
    struct json *answer = json_new_object();
    for (size_t i = 0; i < 3; i++)
        json_add_number(answer, names[i], (double)counts[i]);
    json_add(answer, "rows", body->verdicts);
    body->verdicts = NULL;
    return answer;
}

static bool put_documents(void *context, struct index *index,
                          const struct service_documents *documents, struct arena *arena,
                          struct json **answer_out, struct error *err) {
    struct serve_writer *writer = context;
    struct body body = {.arena = arena, .verdicts = json_new_array()};
    struct ingest *ingest = ingest_for(writer, index, err);
    bool ok = ingest && body_read(&body, documents, err);
    if (ok) {
        struct ingest_verdict *verdicts = mem_zalloc(body.rows_n, sizeof *verdicts);
        ok = ingest_rows(ingest, body.rows, body.rows_n, verdicts, err);
        if (ok)
            *answer_out = answer_make(&body, verdicts);
        free(verdicts);
    }
    if (ingest)
        ingest_turn(ingest, NULL);
    json_release(body.verdicts);
    free(body.rows);
    free(body.slots);
    return ok;
}

/* ---- remove ---- */

static bool remove_one(void *context, struct index *index, const char *key, size_t key_len,
                       bool *found_out, struct error *err) {
    const struct index_key one = {key, key_len};
    (void)context;
    return index_remove(index, &one, 1, found_out, err);
}

static bool remove_passing(void *context, struct index *index, const struct filter *filter,
                           uint64_t *removed_n_out, struct error *err) {
    (void)context;
    return index_remove_passing(index, filter, removed_n_out, err);
}

static bool destroy(void *context, struct index *index, struct error *err) {
    (void)context;
    return index_destroy(index, err);
}

static bool merge(void *context, struct index *index, bool *more_out, struct error *err) {
    struct serve_writer *writer = context;
    struct ingest *ingest = ingest_for(writer, index, err);
    bool ok = ingest && ingest_merge(ingest, more_out, err);
    if (ingest)
        ingest_turn(ingest, NULL);
    return ok;
}

struct service_writer serve_writer_service(struct serve_writer *writer) {
    return (struct service_writer){writer,         create,  put_documents, remove_one,
                                   remove_passing, destroy, merge};
}
