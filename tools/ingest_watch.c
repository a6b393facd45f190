/* tercet ingest --watch: an index that keeps up with folders. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/json.h"
#include "index/index.h"
#include "ingest/watch.h"
#include "tools/ingest_job.h"

enum {
    SETTLE_MS = 300,       /* an editor writes, renames and deletes within that */
    RETRY_MS = 1000,       /* a path is missing, or somebody else writes to the index */
    LOOK_MS = 5000,        /* not all folders can be watched: looked at from time to time */
    LOOK_ANYWAY_MS = 60000 /* network disks tell of nobody's changes but their own */
};

/* What the files were in the last run that came to its end. */
struct known {
    struct reader_file *files;
    size_t n;
    bool any;
};

struct watching {
    const struct ingest_job *job;
    const struct model *model;
    struct watch *watch;
    struct known known;
    bool too_many;                                 /* told */
    char told[sizeof((struct error *)0)->message]; /* why nothing could be done, last time */
};

static void tell(const struct watching *watching, const char *event, const char *text) {
    if (!watching->job->json) {
        fprintf(stderr, "tercet: %s\n", text);
        return;
    }
    struct json *json = json_new_object();
    struct buf line = {0};
    json_add_string(json, "event", event);
    json_add_string(json, "message", text);
    json_print(json, &line);
    puts(line.data);
    fflush(stdout);
    buf_done(&line);
    json_release(json);
}

/* The same reason is told once, however long it lasts. */
static void tell_once(struct watching *watching, const char *event, const char *text) {
    if (strcmp(watching->told, text) != 0)
        tell(watching, event, text);
    memccpy(watching->told, text, '\0', sizeof watching->told - 1);
}

/* Where the files are known, only the others are read. */
static bool run(struct watching *watching, struct error *err) {
    struct ingest_job job = *watching->job;
    struct ingest_totals totals;
    struct index *index = NULL;
    job.reader.known = watching->known.files;
    job.reader.known_n = watching->known.n;
    job.reader.may_be_empty = watching->known.any; /* the last file may go */
    job.quiet_if_same = watching->known.any;
    bool ok = ingest_job_run(&job, watching->model, &index, &totals, err);
    index_close(index);
    return ok;
}

/* A run if anything is other than it was. */
static bool look(struct watching *watching, struct error *err) {
    struct reader_options options = watching->job->reader;
    struct known now = {.any = true}, *known = &watching->known;
    struct reader *reader;
    options.may_be_empty = known->any;
    if (!reader_open_with(watching->job->paths, watching->job->paths_n, &options, &reader, err))
        return false;
    now.files = reader_list_files(reader, &now.n);
    reader_close(reader);
    bool ok = true;
    if (!known->any || now.n != known->n ||
        (now.n > 0 && memcmp(now.files, known->files, now.n * sizeof *now.files) != 0))
        ok = run(watching, err);
    if (ok || err->code == ERROR_INVALID) { /* most would be deleted: said, and done but for that */
        free(known->files);
        *known = now;
    } else {
        free(now.files);
    }
    return ok;
}

/* False: it cannot go on. *wait_ms_out: until it looks again though nothing is told. */
static bool look_and_tell(struct watching *watching, int *wait_ms_out, struct error *err) {
    struct error limit;
    bool first = !watching->known.any;
    bool all = watch_folders(watching->watch, watching->job->paths, watching->job->paths_n, &limit);
    *wait_ms_out = all ? LOOK_ANYWAY_MS : LOOK_MS;
    if (!all && !watching->too_many) {
        error_wrap(&limit, "looking every %d s: ", LOOK_MS / 1000);
        tell(watching, "limit", limit.message);
    }
    watching->too_many = !all;
    if (look(watching, err)) {
        watching->told[0] = '\0';
        return true;
    }
    if (first && err->code != ERROR_BUSY)
        return false;
    if (err->code == ERROR_BUSY || err->code == ERROR_NOT_FOUND || err->code == ERROR_IO)
        *wait_ms_out = RETRY_MS;
    else if (err->code != ERROR_INVALID)
        return false;
    tell_once(watching, "waiting", err->message);
    return true;
}

bool ingest_watch(const struct ingest_job *job, const struct model *model, struct error *err) {
    struct ingest_job following = *job;
    struct watching watching = {.job = &following, .model = model};
    enum watch_event event = WATCH_CHANGED;
    bool ok = true, told = false;
    int wait_ms;
    following.run.delete_missing = true;
    if (!watch_open(WATCH_FOLDERS_MAX, &watching.watch, err))
        return false;
    while (ok && event != WATCH_ENDED) {
        ok = look_and_tell(&watching, &wait_ms, err);
        if (ok && !told) {
            char text[64];
            snprintf(text, sizeof text, "watching %zu folders", watch_folders_n(watching.watch));
            tell(&watching, "watching", text);
            told = true;
        }
        if (ok)
            event = watch_wait(watching.watch, SETTLE_MS, wait_ms);
    }
    ok = ok || err->code == ERROR_STOPPED;
    watch_close(watching.watch);
    free(watching.known.files);
    return ok;
}
