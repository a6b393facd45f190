#include "tools/ingest_job.h"

#include <signal.h>

#include "engine/base/pool.h"
#include "engine/model.h"
#include "ingest/pipeline.h"
#include "ingest/settings.h"
#include "tools/ingest_report.h"

/* Set by the first SIGINT or SIGTERM; the second does what it always does. */
static atomic_bool stop_asked;

static void ask_to_stop(int number) {
    atomic_store(&stop_asked, true);
    signal(number, SIG_DFL);
}

static void show_progress(void *context, const struct ingest_stats *stats) {
    report_progress(context, stats);
}

static void show_bad_row(void *context, const struct row *row, const struct error *err) {
    report_bad(context, row, err);
}

static void show_repeated_row(void *context, const struct row *row) {
    report_repeated(context, row);
}

static void show_deleted(void *context, const char *key) {
    report_deleted(context, key);
}

static bool run_over(const struct ingest_job *job, const struct model *model, struct index *index,
                     struct reader *reader, struct ingest_report *report,
                     struct ingest_stats *stats, struct error *err) {
    const struct ingest_callbacks callbacks = {report, show_progress, show_bad_row,
                                               show_repeated_row, show_deleted};
    struct ingest_options options = job->run;
    options.stop = &stop_asked;
    struct ingest *ingest = NULL;
    struct pool *pool = pool_open(job->threads);
    bool ok = ingest_open(index, model, pool, &ingest, err);
    if (ok) {
        struct sigaction asking = {.sa_handler = ask_to_stop}, before_int, before_term;
        sigaction(SIGINT, &asking, &before_int);
        sigaction(SIGTERM, &asking, &before_term);
        ok = ingest_run(ingest, reader, &options, &callbacks, stats, err);
        sigaction(SIGINT, &before_int, NULL);
        sigaction(SIGTERM, &before_term, NULL);
        if (!job->quiet_if_same || stats->stored + stats->deleted + stats->bad > 0)
            report_summary(report, stats, reader_files(reader));
    }
    ingest_close(ingest);
    pool_close(pool);
    return ok;
}

/* An index without a model is made for what the first document brings. */
static bool open_index(const struct ingest_job *job, const struct model *model,
                       struct reader *reader, struct index **out, struct error *err) {
    struct ingest_choices choices = job->choices;
    if (!model && !ingest_has_no_model(job->folder)) {
        const struct row *first;
        enum reader_state state = reader_peek(reader, &first, err);
        if (state == READER_END)
            error_set(err, ERROR_INVALID, "there is none");
        if (state != READER_ROW)
            return error_wrap(err, "the first document says what a new index without a model "
                                   "keeps: ");
        if (!ingest_choose_by_row(first, &choices, err))
            return error_wrap(err, "%s: ", first->file);
    }
    return ingest_open_index(job->folder, model ? model_info(model) : NULL, &choices, out, err);
}

bool ingest_job_run(const struct ingest_job *job, const struct model *model,
                    struct index **index_out, struct ingest_totals *totals_out, struct error *err) {
    struct index *index = NULL;
    struct reader *reader;
    struct ingest_stats stats = {0};
    struct index_counts counts;
    struct ingest_report report;
    struct reader_options options = job->reader;
    struct error late;
    options.note_repeated = true;
    options.may_be_empty |= job->run.delete_missing && job->run.force;
    /* Before there is an index of it. */
    if (!reader_open_with(job->paths, job->paths_n, &options, &reader, err))
        return false;
    if (!report_open(&report, job->json, job->errors, err)) {
        reader_close(reader);
        return false;
    }
    bool ok = open_index(job, model, reader, &index, err) &&
              run_over(job, model, index, reader, &report, &stats, err) &&
              index_count(index, &counts, err);
    if (!report_close(&report, &late) && ok)
        ok = error_set(err, late.code, "%s", late.message);
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
