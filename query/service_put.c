/* Documents on their way in: a body, or a stream of lines that has no end in sight.
 *
 * A stream is stored piece by piece. Each piece claims the collection for itself, is committed
 * before the next is read from the socket, and leaves behind counts and a bounded list of verdicts;
 * so memory does not depend on the stream's length, and others write between two pieces. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/base/mem.h"
#include "query/service_inside.h"

enum {
    /* Verdicts of all rows are kept as far as they fit in here: some 150,000 of them. Beyond that
     * only failed rows are told, and of these the first. */
    ROWS_BYTES_MAX = 8 << 20,
    FAILED_ROWS_MAX = 1000,
};

enum outcome { STORED, UNCHANGED, FAILED, OUTCOMES_N };

static const char *const outcome_names[OUTCOMES_N] = {"stored", "unchanged", "failed"};

/* ---- what is common ---- */

/* Both values mean the same here: a commit is what searches see from then on. */
static bool check_wait(const struct server_request *request, struct server_response *response) {
    const char *wait = server_query(request, "wait");
    if (!wait || strcmp(wait, "committed") == 0 || strcmp(wait, "searchable") == 0)
        return true;
    server_response_error(response, 400, "bad_request", "wait",
                          "wait: must be committed or searchable, not \"%.32s\"", wait);
    return false;
}

static bool put(struct service *service, const struct server_request *request,
                const struct service_documents *documents, struct arena *arena,
                struct json **answer_out, struct error *err) {
    const struct service_writer *writer = &service->options.writer;
    struct opened *opened;
    bool made;
    struct collection *collection =
        service_collection_ensure(service, server_param(request, "c"), NULL, &made, err);
    if (!collection || !collection_claim(collection, &opened, err))
        return false;
    bool ok = writer->put(writer->context, opened->index, documents, arena, answer_out, err);
    collection_yield(collection, opened);
    return ok;
}

static void put_whole(struct service *service, const struct server_request *request,
                      struct server_response *response) {
    const struct service_documents documents = {.text = request->body, .len = request->body_len};
    struct json *answer;
    struct error err;
    if (!check_wait(request, response))
        return;
    if (put(service, request, &documents, request->arena, &answer, &err))
        service_respond(response, answer);
    else
        server_response_failure(response, &err);
}

/* ---- a stream ---- */

struct intake {
    struct arena arena; /* a piece's */
    size_t lines_n;
    uint64_t counts[OUTCOMES_N];
    struct buf rows, failed;   /* verdicts as JSON with commas between; of all, of the failed */
    bool rows_left;            /* not all fit: only failed ones are told */
    uint64_t failed_n, told_n; /* in `failed`; in `rows` */
};

static void intake_close(void *state) {
    struct intake *intake = state;
    arena_done(&intake->arena);
    buf_done(&intake->rows);
    buf_done(&intake->failed);
    free(intake);
}

static struct intake *intake_of(struct server_stream *stream) {
    if (!stream->state) {
        stream->state = mem_zalloc(1, sizeof(struct intake));
        stream->close = intake_close;
    }
    return stream->state;
}

static void append_row(struct buf *out, const struct json *row) {
    if (out->len)
        buf_text(out, ",");
    json_print(row, out);
}

static void add_row(struct intake *intake, const struct json *row) {
    const char *status = json_string_of(json_get(row, "status"), NULL);
    if (strcmp(status, outcome_names[FAILED]) == 0 && intake->failed_n < FAILED_ROWS_MAX) {
        append_row(&intake->failed, row);
        intake->failed_n++;
    }
    if (intake->rows_left)
        return;
    append_row(&intake->rows, row);
    intake->told_n++;
    intake->rows_left = intake->rows.len > ROWS_BYTES_MAX;
    if (intake->rows_left)
        buf_done(&intake->rows);
}

static void add_answer(struct intake *intake, const struct json *answer) {
    const struct json *rows = json_get(answer, "rows");
    for (int i = 0; i < OUTCOMES_N; i++)
        intake->counts[i] += (uint64_t)json_number_of(json_get(answer, outcome_names[i]));
    for (size_t i = 0; i < json_count(rows); i++)
        add_row(intake, json_at(rows, i));
}

static uint64_t rows_n(const struct intake *intake) {
    return intake->counts[STORED] + intake->counts[UNCHANGED] + intake->counts[FAILED];
}

static void respond_summary(struct server_response *response, const struct intake *intake) {
    const struct buf *rows = intake->rows_left ? &intake->failed : &intake->rows;
    uint64_t told_n = intake->rows_left ? intake->failed_n : intake->told_n;
    buf_text(&response->body, "{");
    for (int i = 0; i < OUTCOMES_N; i++)
        buf_format(&response->body, "\"%s\":%llu,", outcome_names[i],
                   (unsigned long long)intake->counts[i]);
    buf_text(&response->body, "\"rows\":[");
    buf_append(&response->body, rows->data, rows->len);
    buf_format(&response->body, "],\"rows_left_out\":%llu}",
               (unsigned long long)(rows_n(intake) - told_n));
}

static size_t lines_in(const char *text, size_t len) {
    size_t n = 0;
    for (const char *at = text, *end = text + len; (at = memchr(at, '\n', (size_t)(end - at)));)
        n += (++at, 1);
    return n;
}

static bool is_blank(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (!strchr(" \t\r\n", text[i]))
            return false;
    return true;
}

/* The piece's whole lines; a line that has only begun comes again with the next. */
static size_t whole_lines(const struct server_request *request) {
    if (request->stream->is_last)
        return request->body_len;
    const char *end = memrchr(request->body, '\n', request->body_len);
    return end ? (size_t)(end - request->body) + 1 : 0;
}

static bool store_lines(struct service *service, const struct server_request *request,
                        struct intake *intake, struct error *err) {
    struct server_stream *stream = request->stream;
    size_t len = whole_lines(request);
    struct service_documents documents = {
        .text = request->body, .len = len, .are_lines = true, .lines_before = intake->lines_n};
    struct json *answer;
    stream->used = len;
    intake->lines_n += lines_in(request->body, len);
    if (is_blank(request->body, len))
        return true;
    bool ok = put(service, request, &documents, &intake->arena, &answer, err);
    arena_reset(&intake->arena);
    if (!ok)
        return false;
    add_answer(intake, answer);
    json_release(answer);
    return true;
}

static void fail_stream(struct server_response *response, const struct intake *intake,
                        struct error *err) {
    uint64_t done_n = intake->counts[STORED] + intake->counts[UNCHANGED];
    if (done_n)
        error_wrap(err,
                   "%llu documents of this body are stored, then: ", (unsigned long long)done_n);
    server_response_failure(response, err);
}

static void put_piece(struct service *service, const struct server_request *request,
                      struct server_response *response) {
    struct intake *intake = intake_of(request->stream);
    struct error err;
    size_t blank = strspn(request->body, " \t\r\n");
    if (request->stream->calls_n == 0 && !check_wait(request, response))
        return;
    if (rows_n(intake) == 0 && request->body[blank] == '[') { /* not to be parsed before its end */
        request->stream->used = 0;
        if (request->stream->is_last)
            put_whole(service, request, response);
        return;
    }
    if (!store_lines(service, request, intake, &err))
        fail_stream(response, intake, &err);
    else if (request->stream->is_last && rows_n(intake) > 0)
        respond_summary(response, intake);
    else if (request->stream->is_last)
        put_whole(service, request, response); /* which says that there is no document */
}

/* ---- between requests ---- */

bool service_idle(struct service *service) {
    const struct service_writer *writer = &service->options.writer;
    struct collection *collection = collections_restless(service->collections);
    struct opened *opened;
    struct error ignored; /* searches are right without it; the next write tries again */
    bool more = false;
    if (!collection)
        return false;
    if (collection_claim(collection, &opened, &ignored)) {
        more = writer->merge(writer->context, opened->index, &more, &ignored) && more;
        collection_yield(collection, opened);
    }
    if (!more)
        collection_settle(collection);
    return true; /* of this one or of another */
}

/* ---- both ---- */

static bool is_stream(const struct server_request *request) {
    static const char *const names[] = {"application/x-ndjson", "application/ndjson",
                                        "application/jsonl", "application/x-jsonlines",
                                        "application/jsonlines"};
    const char *type = server_header(request, "content-type");
    for (size_t i = 0; type && i < sizeof names / sizeof *names; i++)
        if (strncasecmp(type, names[i], strlen(names[i])) == 0)
            return true;
    return server_header(request, "transfer-encoding") != NULL;
}

struct server_pieces service_pieces(void) {
    return (struct server_pieces){service_put_documents, is_stream};
}

void service_put_documents(void *context, size_t worker, const struct server_request *request,
                           struct server_response *response) {
    (void)worker;
    if (request->stream)
        put_piece(context, request, response);
    else
        put_whole(context, request, response);
}
