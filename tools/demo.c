/* tercet demo - a first look: this machine's package descriptions, indexed and served. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/file.h"
#include "engine/model.h"
#include "index/index.h"
#include "tools/commands.h"
#include "tools/demo_documents.h"
#include "tools/ingest_job.h"
#include "tools/serve.h"

/* Questions that share few words with their answers. */
static const char *const package_examples[] = {
    "learn to type faster", "find files that are there twice", "look at the night sky", NULL};
static const char *const manual_examples[] = {"show how much space is left on the disk",
                                              "compare two files line by line",
                                              "change who may read a file", NULL};

/* An index that an older program made stands in the way of the first look: it is put aside, not
 * deleted, as somebody may have added to it. */
static bool put_aside_if_old(const char *folder, struct error *err) {
    char aside[1200];
    struct index *index = NULL;
    struct error why;
    if (index_open(folder, INDEX_READ, &index, &why)) {
        index_close(index);
        return true;
    }
    if (why.code != ERROR_UNSUPPORTED)
        return true; /* there is none yet; or the ingest says what is wrong with it */
    snprintf(aside, sizeof aside, "%s.old", folder);
    if (rename(folder, aside) != 0)
        return error_set_errno(err, "%s is of another version of Tercet and can't be moved to %s",
                               folder, aside);
    printf("%s was made by another version of Tercet: it is %s now\n", folder, aside);
    return true;
}

static bool demo_ingest(const char *data, const struct model *model, const char *const **examples,
                        struct error *err) {
    char documents[1100], folder[1100];
    const char *paths[] = {documents};
    enum demo_source source;
    struct index *index = NULL;
    struct ingest_totals totals;
    size_t n;
    snprintf(documents, sizeof documents, "%s/demo.jsonl", data);
    snprintf(folder, sizeof folder, "%s/demo", data);
    if (!file_make_folder(data, err) || !put_aside_if_old(folder, err) ||
        !demo_documents_write(documents, &source, &n, err))
        return false;
    *examples = source == DEMO_PACKAGES ? package_examples : manual_examples;
    printf("indexing %zu %s of this machine into %s\n", n,
           source == DEMO_PACKAGES ? "package descriptions" : "manual pages", folder);
    fflush(stdout);
    struct ingest_job job = {.folder = folder, .paths = paths, .paths_n = 1};
    bool ok = ingest_job_run(&job, model, &index, &totals, err);
    index_close(index);
    return ok;
}

static int run(int argc, char **argv) {
    char data[1024];
    struct serve_settings settings = {.data = data};
    const struct option table[] = {
        {"data", OPTION_TEXT, &settings.data, "DIR",
         "where the index goes (default: ~/.tercet/data)", 0, 0, 0},
        {"listen", OPTION_TEXT, &settings.listen, "HOST:PORT", "default: 127.0.0.1:8080", 0, 0, 0},
        {0},
    };
    struct model_options model_options = {0};
    struct model *model = NULL;
    struct error err;
    size_t words_n;
    serve_default_data(data, sizeof data);
    int status = options_parse(&command_demo, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n)
        return options_wrong(&command_demo, "unexpected \"%s\"", argv[0]);
    bool ok = model_open(&model_options, &model, &err) &&
              demo_ingest(settings.data, model, &settings.examples, &err);
    settings.model = model;
    ok = ok && serve_run(&settings, &err);
    model_close(model);
    return ok ? EXIT_DONE : command_failed(&err);
}

const struct command command_demo = {
    "demo", "", "indexes this machine's package descriptions and serves them", run};
