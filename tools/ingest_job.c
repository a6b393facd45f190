#include "tools/ingest_job.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/pool.h"
#include "engine/model.h"
#include "ingest/pipeline.h"
#include "ingest/progress.h"
#include "ingest/settings.h"

/* Set by the first SIGINT or SIGTERM; the second does what it always does. */
static atomic_bool stop_asked;

static void ask_to_stop(int number) {
    atomic_store(&stop_asked, true);
    signal(number, SIG_DFL);
}

struct job_view {
    struct progress_line line;
    bool json;
};

static void print_event(const char *event, const struct ingest_stats *stats) {
    printf("{\"event\":\"%s\",\"stored\":%" PRIu64 ",\"unchanged\":%" PRIu64 ",\"bad\":%" PRIu64
           ",\"tokens\":%" PRIu64 ",\"bytes_read\":%" PRIu64 ",\"bytes_total\":%" PRIu64
           ",\"seconds\":%.3f}\n",
           event, stats->stored, stats->unchanged, stats->bad, stats->tokens, stats->bytes_read,
           stats->bytes_total, stats->seconds);
    fflush(stdout);
}

static void show_progress(void *context, const struct ingest_stats *stats) {
    struct job_view *view = context;
    if (view->json)
        print_event("progress", stats);
    else
        progress_show(&view->line, stats);
}

static void show_bad_row(void *context, const struct error *err) {
    struct job_view *view = context;
    progress_clear(&view->line);
    fprintf(stderr, "tercet: %s\n", err->message);
}

static void show_summary(struct job_view *view, const struct ingest_stats *stats) {
    struct buf text = {0};
    if (view->json) {
        print_event("done", stats);
        return;
    }
    progress_clear(&view->line);
    progress_summary(stats, &text);
    fprintf(stderr, "%s\n", text.data);
    buf_done(&text);
}

static bool run_over(const struct ingest_job *job, const struct model *model, struct index *index,
                     struct reader *reader, struct ingest_stats *stats, struct error *err) {
    struct job_view view = {.line = {.out = stderr}, .json = job->json};
    struct ingest_callbacks callbacks = {&view, show_progress, show_bad_row};
    struct ingest *ingest = NULL;
    struct pool *pool = pool_open(job->threads);
    bool ok = ingest_open(index, model, pool, &ingest, err);
    if (ok) {
        struct sigaction asking = {.sa_handler = ask_to_stop}, before_int, before_term;
        sigaction(SIGINT, &asking, &before_int);
        sigaction(SIGTERM, &asking, &before_term);
        ok = ingest_run(ingest, reader, &stop_asked, &callbacks, stats, err);
        sigaction(SIGINT, &before_int, NULL);
        sigaction(SIGTERM, &before_term, NULL);
        show_summary(&view, stats);
    }
    ingest_close(ingest);
    pool_close(pool);
    return ok;
}

bool ingest_job_run(const struct ingest_job *job, const struct model *model,
                    struct index **index_out, struct ingest_totals *totals_out, struct error *err) {
    struct index *index = NULL;
    struct reader *reader;
    struct ingest_stats stats = {0};
    struct index_counts counts;
    if (!reader_open(job->paths, job->paths_n, &reader, err)) /* before there is an index of it */
        return false;
    bool ok = ingest_open_index(job->folder, model_info(model), &job->choices, &index, err) &&
              run_over(job, model, index, reader, &stats, err) && index_count(index, &counts, err);
    reader_close(reader);
    if (!ok) {
        index_close(index);
        return false;
    }
    *index_out = index;
    *totals_out = (struct ingest_totals){
        .documents_n = counts.documents_n,
        .bad_n = stats.bad,
        .seconds = stats.seconds,
        .tokens_per_s = stats.seconds > 0 ? (double)stats.tokens / stats.seconds : 0,
    };
    return true;
}
