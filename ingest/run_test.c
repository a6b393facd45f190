/* All stages at once give the index that one thread would have made: same docids, same bytes. */
#include "ingest/fixture.h"
#include "ingest/pipeline.h"
#include "ingest/settings.h"

#include <pthread.h>

#include "engine/model.h"
#include "index/care/export.h"
#include "ingest/relay.h"

enum { WINDOW = 60 }; /* rows; a real one would have thousands */

static struct model *model;
static const struct ingest_choices any; /* the defaults */

static struct index *open_index(const char *name) {
    struct index *index = NULL;
    struct error err;
    CHECK_OK(ingest_open_index(path_of(name), model_info(model), &any, &index, &err), err);
    return index;
}

static bool keep_line(void *context, const char *line, size_t len, struct error *err) {
    (void)err;
    buf_append(context, line, len);
    buf_append(context, "\n", 1);
    return true;
}

static struct buf export_of(struct index *index) {
    struct buf lines = {0};
    struct error err;
    CHECK_OK(index_export(index, false, keep_line, &lines, &err), err);
    return lines;
}

static void run(struct index *index, const char *name, struct ingest_stats *stats) {
    const char *path = path_of(name);
    struct ingest *ingest;
    struct reader *reader;
    struct error err;
    *stats = (struct ingest_stats){0};
    CHECK_OK(ingest_open(index, model, NULL, &ingest, &err), err);
    CHECK_OK(reader_open(&path, 1, &reader, &err), err);
    ingest->window_rows = WINDOW;
    CHECK_OK(ingest_run(ingest, reader, NULL, NULL, stats, &err), err);
    reader_close(reader);
    ingest_close(ingest);
}

/* The same rows, some hundred in a row, each lot stored before the next is looked at. */
static void run_by_lots(struct index *index, const char *name, struct ingest_stats *stats) {
    enum { LOT = WINDOW };
    struct ingest *ingest;
    struct reader *reader = open_one(name);
    struct arena arena = {0};
    struct row rows[LOT];
    struct error err, bad;
    struct ingest_verdict verdicts[LOT];
    enum reader_state state = READER_ROW;
    *stats = (struct ingest_stats){0};
    CHECK_OK(ingest_open(index, model, NULL, &ingest, &err), err);
    while (state != READER_END) {
        size_t n = 0;
        while (n < LOT && (state = reader_next(reader, &arena, &rows[n], &bad)) != READER_END) {
            n += state == READER_ROW;
            stats->bad += state == READER_BAD;
        }
        CHECK_OK(ingest_rows(ingest, rows, n, verdicts, &err), err);
        for (size_t i = 0; i < n; i++) {
            stats->stored += verdicts[i].outcome == INGEST_STORED;
            stats->unchanged += verdicts[i].outcome == INGEST_UNCHANGED;
        }
        arena_reset(&arena);
    }
    reader_close(reader);
    ingest_close(ingest);
    arena_done(&arena);
}

/* Ids that come again in another window on its way: back to what is stored, on to what is new, as
 * they were, and bad lines between. Seeded, so that a failure comes again. */
static void write_rows(const char *name, size_t rows_n, unsigned keys_n, unsigned seed) {
    struct buf text = {0};
    for (size_t i = 0; i < rows_n; i++) {
        seed = seed * 1103515245u + 12345u;
        unsigned key = (seed >> 8) % keys_n, version = (seed >> 20) % 3;
        if ((seed >> 5) % 97 == 0)
            buf_format(&text, "{\"id\":\"k%u\"}\n", key);
        else
            buf_format(&text, "{\"id\":\"k%u\",\"text\":\"key %u says %u\"}\n", key, key, version);
    }
    write_file(name, text.data, text.len);
    buf_done(&text);
}

/* Within a window the last row of a key is stored where the row stood, so rows that come again
 * within one are left out of the comparison: more keys than a window has. */
static void stages_at_once_make_the_same_index(void) {
    enum { ROWS = 10 * WINDOW, KEYS = 5 * WINDOW };
    struct index *at_once = open_index("at-once"), *by_lots = open_index("by-lots");
    struct ingest_stats stats, expected;
    struct buf a, b;
    struct buf text = {0};
    for (int i = 0; i < ROWS; i++) { /* every key twice, KEYS apart; some change, some do not */
        int key = i % KEYS, again = i / KEYS;
        buf_format(&text, "{\"id\":\"k%d\",\"text\":\"key %d says %d\"}\n", key, key,
                   key % 3 == 0 ? again : 0);
        if (i % 100 == 7)
            buf_text(&text, "no row\n");
    }
    write_file("rows.jsonl", text.data, text.len);
    buf_done(&text);
    run(at_once, "rows.jsonl", &stats);
    run_by_lots(by_lots, "rows.jsonl", &expected);
    CHECK_EQUAL(stats.stored, expected.stored);
    CHECK_EQUAL(stats.unchanged, expected.unchanged);
    CHECK_EQUAL(stats.unchanged, KEYS - (KEYS + 2) / 3);
    CHECK_EQUAL(stats.bad, expected.bad);
    a = export_of(at_once);
    b = export_of(by_lots);
    CHECK(a.len > ROWS && a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
    buf_done(&a);
    buf_done(&b);
    index_close(at_once);
    index_close(by_lots);
}

static void the_last_row_wins_whatever_is_on_its_way(void) {
    enum { ROWS = 10 * WINDOW, KEYS = WINDOW / 2 };
    struct index *index = open_index("last-wins");
    struct arena arena = {0};
    struct snapshot *snapshot;
    struct document document;
    struct row row;
    struct error err;
    struct ingest_stats stats;
    struct {
        char text[40];
    } last[KEYS] = {0};
    uint32_t docid;
    for (unsigned round = 1; round <= 2; round++) {
        struct reader *reader;
        write_rows("wild.jsonl", ROWS, KEYS, round);
        run(index, "wild.jsonl", &stats);
        CHECK_EQUAL(stats.stored + stats.unchanged + stats.bad, ROWS);
        reader = open_one("wild.jsonl");
        for (enum reader_state state;
             (state = reader_next(reader, &arena, &row, &err)) != READER_END;)
            if (state == READER_ROW)
                snprintf(last[atoi(row.key + 1)].text, sizeof last->text, "%s", row.text);
        reader_close(reader);
        CHECK_OK(snapshot_open(index, &snapshot, &err), err);
        for (int key = 0; key < KEYS; key++) {
            char name[16];
            int len = snprintf(name, sizeof name, "k%d", key);
            if (!*last[key].text)
                continue;
            CHECK_OK(document_find(snapshot, name, (size_t)len, &docid, &err), err);
            CHECK_OK(document_get(snapshot, docid, &arena, &document, &err), err);
            CHECK_TEXT(document.text, last[key].text);
        }
        snapshot_close(snapshot);
    }
    index_close(index);
    arena_done(&arena);
}

/* ---- the relay itself ---- */

struct passing {
    struct relay relay;
    size_t wrong_n;
};

static void *pass_on(void *context) {
    struct passing *passing = context;
    struct window *window;
    size_t expected = 0;
    while ((window = relay_take(&passing->relay, RELAY_READ))) {
        passing->wrong_n += window->n != expected++;
        relay_put(&passing->relay, RELAY_FREE, window);
    }
    return NULL;
}

static void windows_keep_their_order(void) {
    enum { ROUNDS = 10000 };
    struct passing passing = {.wrong_n = 0};
    struct window windows[WINDOWS_N] = {0}, *window;
    struct error why = {.code = ERROR_IO}, later = {.code = ERROR_LIMIT};
    enum relay_place place;
    pthread_t thread;
    relay_init(&passing.relay);
    for (size_t i = 0; i < WINDOWS_N; i++)
        relay_put(&passing.relay, RELAY_FREE, &windows[i]);
    CHECK_EQUAL(pthread_create(&thread, NULL, pass_on, &passing), 0);
    for (size_t i = 0; i < ROUNDS; i++) {
        window = relay_take_either(&passing.relay, RELAY_LENT, RELAY_FREE, &place);
        CHECK_EQUAL(place, RELAY_FREE);
        window->n = i;
        relay_put(&passing.relay, RELAY_READ, window);
    }
    for (size_t i = 0; i < WINDOWS_N; i++) /* all are passed on */
        CHECK(relay_take(&passing.relay, RELAY_FREE));
    CHECK(!relay_try(&passing.relay, RELAY_FREE));
    relay_set_idle(&passing.relay, true);
    CHECK(!relay_wait_busy(&passing.relay, RELAY_ENCODED));
    relay_break(&passing.relay, &why);
    relay_break(&passing.relay, &later); /* the first reason counts */
    pthread_join(thread, NULL);
    CHECK_EQUAL(passing.wrong_n, 0);
    CHECK_EQUAL(passing.relay.why.code, ERROR_IO);
    CHECK(relay_wait_busy(&passing.relay, RELAY_ENCODED) && relay_is_broken(&passing.relay));
    CHECK(!relay_take(&passing.relay, RELAY_FREE));
    relay_done(&passing.relay);
}

int main(void) {
    struct model_options options = {0};
    struct error err;
    folder_make();
    CHECK_OK(model_open(&options, &model, &err), err);
    windows_keep_their_order();
    stages_at_once_make_the_same_index();
    the_last_row_wins_whatever_is_on_its_way();
    model_close(model);
    folder_remove();
    return check_result();
}
