/* Documents through the whole of ingest, with the embedded model, into a real index. */
#include "ingest/pipeline.h"
#include "ingest/settings.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/model.h"
#include "index/representation.h"
#include "index/writer.h"
#include "tests/check.h"

static struct model *model;
static const struct ingest_choices any; /* the defaults */
static char folder[64], input[128];

static void write_input(const char *text) {
    FILE *out = fopen(input, "w");
    CHECK(out && fputs(text, out) >= 0 && fclose(out) == 0);
}

static void count_bad(void *context, const struct row *row, const struct error *err) {
    (void)row;
    (void)err;
    ++*(int *)context;
}

static bool run(struct index *index, const atomic_bool *stop, struct ingest_stats *stats,
                int *bad_told, struct error *err) {
    const char *path = input;
    struct ingest *ingest = NULL;
    struct reader *reader = NULL;
    const struct ingest_options options = {.stop = stop};
    struct ingest_callbacks callbacks = {.context = bad_told, .bad_row = count_bad};
    *stats = (struct ingest_stats){0};
    *bad_told = 0;
    bool ok = ingest_open(index, model, NULL, &ingest, err) &&
              reader_open(&path, 1, &reader, err) &&
              ingest_run(ingest, reader, &options, &callbacks, stats, err);
    reader_close(reader);
    ingest_close(ingest);
    return ok;
}

static uint64_t documents_n(struct index *index) {
    struct index_counts counts;
    struct error err;
    CHECK_OK(index_count(index, &counts, &err), err);
    return counts.documents_n;
}

/* The stored text of a key, "" when there is none. */
static const char *text_of(struct index *index, const char *key, struct arena *arena) {
    struct snapshot *snapshot;
    struct document document;
    struct error err;
    uint32_t docid;
    const char *text = "";
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    if (document_find(snapshot, key, strlen(key), &docid, &err) &&
        document_get(snapshot, docid, arena, &document, &err))
        text = document.text;
    snapshot_close(snapshot);
    return text;
}

static void stores_skips_and_replaces(struct index *index, struct arena *arena) {
    struct ingest_stats stats;
    struct error err;
    int bad;
    write_input("{\"id\":\"a\",\"text\":\"the first text\"}\n"
                "{\"id\":\"b\",\"text\":\"the second\"}\n"
                "broken\n"
                "{\"id\":\"a\",\"text\":\"the first again, and the last word\"}\n");
    CHECK_OK(run(index, NULL, &stats, &bad, &err), err);
    CHECK_EQUAL(stats.bad, 1);
    CHECK_EQUAL(bad, 1);
    CHECK_EQUAL(stats.stored, 3);
    CHECK_EQUAL(documents_n(index), 2);
    CHECK_TEXT(text_of(index, "a", arena), "the first again, and the last word");

    write_input("{\"id\":\"a\",\"text\":\"the first again, and the last word\"}\n"
                "{\"id\":\"b\",\"text\":\"changed\"}\n"
                "{\"id\":\"c\",\"title\":\"new\",\"fields\":{\"x\":[1,2]}}\n");
    CHECK_OK(run(index, NULL, &stats, &bad, &err), err);
    CHECK_EQUAL(stats.unchanged, 1);
    CHECK_EQUAL(stats.stored, 2);
    CHECK_EQUAL(documents_n(index), 3);
    CHECK_TEXT(text_of(index, "b", arena), "changed");
}

/* What is in the index is the row before the last one of its key, and must not hide the last. */
static void the_last_row_of_a_key_wins(struct index *index, struct arena *arena) {
    struct ingest_stats stats;
    struct error err;
    int bad;
    write_input("{\"id\":\"twice\",\"text\":\"one\"}\n");
    CHECK_OK(run(index, NULL, &stats, &bad, &err), err);
    write_input("{\"id\":\"twice\",\"text\":\"two\"}\n{\"id\":\"twice\",\"text\":\"one\"}\n");
    CHECK_OK(run(index, NULL, &stats, &bad, &err), err);
    CHECK_TEXT(text_of(index, "twice", arena), "one");
    CHECK_EQUAL(stats.tokens, 0); /* nothing had to be encoded */
    write_input("{\"id\":\"twice\",\"text\":\"one\"}\n{\"id\":\"twice\",\"text\":\"two\"}\n");
    CHECK_OK(run(index, NULL, &stats, &bad, &err), err);
    CHECK_TEXT(text_of(index, "twice", arena), "two");
}

static atomic_bool stop_soon;
static const struct ingest_options until_stopped = {.stop = &stop_soon};

static void stop_after_a_batch(void *context, const struct ingest_stats *stats) {
    (void)context;
    if (stats->encoded > 0)
        atomic_store(&stop_soon, true);
}

/* Some hundred rows make a window of several batches: a stop ends it behind the first of them, what
 * was encoded is there, and the same run again does the rest and nothing twice. */
static void a_stop_ends_the_batch_and_keeps_it(struct index *index) {
    enum { ROWS = 300 };
    struct buf rows = {0};
    struct ingest_stats stats = {0}, again;
    struct ingest_callbacks callbacks = {.progress = stop_after_a_batch};
    struct ingest *ingest;
    struct reader *reader;
    struct error err;
    int bad;
    const char *path = input;
    uint64_t before = documents_n(index);
    for (int i = 0; i < ROWS; i++)
        buf_format(&rows, "{\"id\":\"stop%d\",\"text\":\"row number %d\"}\n", i, i);
    write_input(rows.data);
    CHECK_OK(ingest_open(index, model, NULL, &ingest, &err), err);
    CHECK_OK(reader_open(&path, 1, &reader, &err), err);
    CHECK(!ingest_run(ingest, reader, &until_stopped, &callbacks, &stats, &err));
    CHECK_EQUAL(err.code, ERROR_STOPPED);
    CHECK(stats.stored > 0 && stats.stored < ROWS);
    CHECK_EQUAL(documents_n(index), before + stats.stored);
    reader_close(reader);
    ingest_close(ingest);
    CHECK_OK(run(index, NULL, &again, &bad, &err), err);
    CHECK_EQUAL(again.unchanged, stats.stored);
    CHECK_EQUAL(again.stored, ROWS - stats.stored);
    CHECK_EQUAL(documents_n(index), before + ROWS);
    buf_done(&rows);
}

static void on_alarm(int number) {
    (void)number;
    atomic_store(&stop_soon, true);
}

/* Waiting for standard input: the signal breaks the read off, and that is no bad row. */
static void a_stop_ends_waiting_for_input(struct index *index) {
    struct sigaction handling = {.sa_handler = on_alarm}, before;
    struct itimerval soon = {.it_value = {.tv_usec = 50000}};
    struct ingest_stats stats = {0};
    struct ingest *ingest;
    struct reader *reader;
    struct error err;
    const char *path = "-";
    int ends[2], input_before = dup(STDIN_FILENO);
    CHECK(pipe(ends) == 0 && dup2(ends[0], STDIN_FILENO) >= 0);
    atomic_store(&stop_soon, false);
    sigaction(SIGALRM, &handling, &before);
    CHECK_OK(ingest_open(index, model, NULL, &ingest, &err), err);
    CHECK_OK(reader_open(&path, 1, &reader, &err), err);
    setitimer(ITIMER_REAL, &soon, NULL);
    CHECK(!ingest_run(ingest, reader, &until_stopped, NULL, &stats, &err));
    CHECK_EQUAL(err.code, ERROR_STOPPED);
    CHECK_EQUAL(stats.bad, 0);
    reader_close(reader);
    ingest_close(ingest);
    sigaction(SIGALRM, &before, NULL);
    dup2(input_before, STDIN_FILENO);
    close(input_before);
    close(ends[0]);
    close(ends[1]);
}

/* The far end of a pipe that says a row, waits until it is found, says the next. */
struct trickle {
    struct index *index;
    int end;
    unsigned found_n;
    double slowest_ms;
};

static void *trickle_rows(void *context) {
    enum { ROWS = 3, LIMIT_MS = 20000 };
    struct trickle *trickle = context;
    for (int i = 0; i < ROWS; i++) {
        char row[64];
        uint64_t before = documents_n(trickle->index);
        double began_ms = clock_now_ms(), took_ms = 0;
        int len = snprintf(row, sizeof row, "{\"id\":\"slow%d\",\"text\":\"row %d\"}\n{\"id", i, i);
        len -= i == ROWS - 1 ? 4 : 0; /* each but the last leaves the next one begun */
        const char *from = i == 0 ? row : row + 4;
        CHECK(write(trickle->end, from, (size_t)(row + len - from)) > 0);
        while (documents_n(trickle->index) == before && took_ms < LIMIT_MS) {
            usleep(5000);
            took_ms = clock_now_ms() - began_ms;
        }
        trickle->found_n += took_ms < LIMIT_MS;
        trickle->slowest_ms = took_ms > trickle->slowest_ms ? took_ms : trickle->slowest_ms;
    }
    close(trickle->end);
    return NULL;
}

static void a_slow_stream_is_found(struct index *index) {
    struct ingest_stats stats = {0};
    struct ingest *ingest;
    struct reader *reader;
    struct error err;
    const char *path = "-";
    pthread_t thread;
    int ends[2], input_before = dup(STDIN_FILENO);
    CHECK(pipe(ends) == 0 && dup2(ends[0], STDIN_FILENO) >= 0);
    struct trickle trickle = {.index = index, .end = ends[1]};
    CHECK_OK(ingest_open(index, model, NULL, &ingest, &err), err);
    CHECK_OK(reader_open(&path, 1, &reader, &err), err);
    CHECK_EQUAL(pthread_create(&thread, NULL, trickle_rows, &trickle), 0);
    CHECK_OK(ingest_run(ingest, reader, NULL, NULL, &stats, &err), err);
    pthread_join(thread, NULL);
    CHECK_EQUAL(trickle.found_n, 3);
    CHECK_EQUAL(stats.stored, 3);
    CHECK_EQUAL(stats.bad, 0);
    reader_close(reader);
    ingest_close(ingest);
    dup2(input_before, STDIN_FILENO);
    close(input_before);
    close(ends[0]);
    printf("a row of a slow stream was found after %.0f ms at most\n", trickle.slowest_ms);
}

static void stops_when_asked(struct index *index) {
    struct ingest_stats stats;
    struct error err;
    int bad;
    atomic_bool stop = true;
    uint64_t before = documents_n(index);
    write_input("{\"id\":\"never\",\"text\":\"read\"}\n");
    CHECK(!run(index, &stop, &stats, &bad, &err));
    CHECK_EQUAL(err.code, ERROR_STOPPED);
    CHECK_EQUAL(documents_n(index), before);
}

static void requests_get_a_verdict_a_row(struct index *index, struct arena *arena) {
    struct ingest *ingest;
    struct error err;
    struct ingest_verdict verdicts[3];
    static char long_key[600];
    memset(long_key, 'k', sizeof long_key - 1);
    struct row rows[3] = {
        {.key = "r", .key_len = 1, .title = "", .text = "by request", .text_len = 10, .fields = ""},
        {.key = long_key,
         .key_len = sizeof long_key - 1,
         .title = "",
         .text = "x",
         .text_len = 1,
         .fields = ""},
        {.key = "b", .key_len = 1, .title = "", .text = "changed", .text_len = 7, .fields = ""},
    };
    CHECK_OK(ingest_open(index, model, NULL, &ingest, &err), err);
    CHECK_OK(ingest_rows(ingest, rows, 3, verdicts, &err), err);
    CHECK_EQUAL(verdicts[0].outcome, INGEST_STORED);
    CHECK_EQUAL(verdicts[1].outcome, INGEST_BAD);
    CHECK_EQUAL(verdicts[2].outcome, INGEST_UNCHANGED);
    CHECK_OK(ingest_rows(ingest, rows, 0, verdicts, &err), err);
    CHECK_TEXT(text_of(index, "r", arena), "by request");
    ingest_close(ingest);
}

static void other_settings_are_refused(void) {
    const struct model_info *info = model_info(model);
    struct model_info other = *info;
    struct index *index;
    struct error err;
    const struct ingest_choices analyzer = {.analyzer = "model"}, length = {.length_max = 100};
    const struct ingest_choices query = {.query_instruction = "find: "};
    const struct ingest_choices passage = {.passage_instruction = "found: "};
    const struct ingest_choices pooled = {.pool_tokens = 2}, each = {.pool_tokens = 1};
    other.fingerprint = "0123456789abcdef";
    other.name = "another";
    CHECK(!ingest_open_index(folder, &other, &any, &index, &err));
    CHECK(strstr(err.message, "another"));
    CHECK(!ingest_open_index(folder, info, &analyzer, &index, &err));
    CHECK(!ingest_open_index(folder, info, &length, &index, &err));
    CHECK(!ingest_open_index(folder, info, &query, &index, &err));
    CHECK(strstr(err.message, "find: "));
    CHECK(!ingest_open_index(folder, info, &passage, &index, &err));
    CHECK(!ingest_open_index(folder, info, &pooled, &index, &err));
    CHECK(strstr(err.message, "of 1 tokens as one, not of 2"));
    CHECK_OK(ingest_open_index(folder, info, &each, &index, &err), err);
    index_close(index);
    CHECK_OK(ingest_open_index(folder, info, &any, &index, &err), err);
    index_close(index);
}

static bool settings_of(const char *analyzer, uint32_t length_max, const char *query_instruction,
                        struct index_settings *out) {
    const struct ingest_choices choices = {
        .analyzer = analyzer, .length_max = length_max, .query_instruction = query_instruction};
    struct error err;
    return ingest_settings(model_info(model), &choices, out, &err);
}

/* What cannot be encoded is refused before there is an index of it. */
static void impossible_settings_make_no_index(void) {
    const struct model_info *info = model_info(model);
    struct index_settings settings;
    CHECK(!settings_of("words:klingon", 0, NULL, &settings));
    CHECK(!settings_of("nonsense", 0, NULL, &settings));
    CHECK(!settings_of("head", 0, NULL, &settings)); /* the embedded model has none */
    CHECK(!settings_of(NULL, 513, NULL, &settings));
    CHECK(settings_of("words:de", 100, NULL, &settings));
    CHECK_TEXT(settings.analyzer, "words:de");
    CHECK_TEXT(settings.instruction, info->query_instruction);
    CHECK(settings_of("model", 0, "find: ", &settings));
    CHECK_TEXT(settings.instruction, "find: ");
    CHECK_TEXT(settings.passage_instruction, "");
}

/* Token vectors of one document in an index of its own, which remembers how many share one. */
static uint32_t token_vectors_of(uint32_t pool_tokens, struct arena *arena) {
    const struct ingest_choices choices = {.pool_tokens = pool_tokens};
    struct index *index;
    struct snapshot *snapshot;
    struct representation own = {0};
    struct ingest_stats stats;
    struct error err;
    char apart[96];
    int bad;
    snprintf(apart, sizeof apart, "%s/pool-%u", folder, pool_tokens);
    write_input("{\"id\":\"a\",\"text\":\"one of two clowns juggled three heavy iron balls\"}\n");
    CHECK_OK(ingest_open_index(apart, model_info(model), &choices, &index, &err), err);
    CHECK_OK(run(index, NULL, &stats, &bad, &err), err);
    index_close(index);
    CHECK_OK(index_open(apart, INDEX_READ, &index, &err), err);
    CHECK_EQUAL(index_settings_of(index)->pool_tokens, pool_tokens > 1 ? pool_tokens : 0);
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    CHECK_OK(representation_of(snapshot, 0, UINT32_MAX, arena, &own, &err), err);
    snapshot_close(snapshot);
    index_close(index);
    return own.multi_n;
}

static void neighbours_share_a_vector(struct arena *arena) {
    uint32_t each_n = token_vectors_of(1, arena);
    CHECK(each_n > 8);
    for (uint32_t pool = 2; pool <= 3; pool++)
        CHECK_EQUAL(token_vectors_of(pool, arena), (each_n + pool - 1) / pool);
}

int main(void) {
    struct model_options options = {0};
    struct arena arena = {0};
    struct index *index = NULL;
    struct error err;
    strcpy(folder, "/tmp/tercet-pipeline-XXXXXX");
    CHECK(mkdtemp(folder));
    snprintf(input, sizeof input, "%s/rows.jsonl", folder);
    CHECK_OK(model_open(&options, &model, &err), err);
    CHECK_OK(ingest_open_index(folder, model_info(model), &any, &index, &err), err);
    stores_skips_and_replaces(index, &arena);
    the_last_row_of_a_key_wins(index, &arena);
    stops_when_asked(index);
    a_stop_ends_the_batch_and_keeps_it(index);
    a_stop_ends_waiting_for_input(index);
    a_slow_stream_is_found(index);
    requests_get_a_verdict_a_row(index, &arena);
    index_close(index);
    other_settings_are_refused();
    impossible_settings_make_no_index();
    neighbours_share_a_vector(&arena);
    model_close(model);
    arena_done(&arena);
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    CHECK_EQUAL(system(command), 0);
    return check_result();
}
