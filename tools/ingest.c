/* tercet ingest - files and folders into an index. */
#include "engine/model.h"
#include "index/index.h"
#include "tools/commands.h"
#include "tools/ingest_job.h"

static int run(int argc, char **argv) {
    struct ingest_job job = {0};
    struct model_options model_options = {0};
    const char *precision = NULL;
    bool resume = false;
    const struct option table[] = {
        {"model", OPTION_TEXT, &model_options.name, "M",
         "folder or name of a model (default: the embedded one)", 0, 0, 'm'},
        {"precision", OPTION_TEXT, &precision, "P", "auto or f32", 0, 0, 0},
        {"analyzer", OPTION_TEXT, &job.analyzer, "A",
         "words:en or model, for a new index (default: the model's)", 0, 0, 0},
        {"max-length", OPTION_NUMBER, &job.length_max, "N",
         "at most N tokens a document, for a new index", 3, 1u << 20, 0},
        {"threads", OPTION_NUMBER, &job.threads, "N", "cores to use (default: all)", 1, 1024, 0},
        {"resume", OPTION_FLAG, &resume, NULL,
         "go on after a stop (always so: what is there unchanged is skipped)", 0, 0, 0},
        {"json", OPTION_FLAG, &job.json, NULL, "progress and summary as JSON lines", 0, 0, 0},
        {0},
    };
    struct error err;
    struct model *model = NULL;
    struct index *index = NULL;
    struct ingest_totals totals = {0};
    size_t words_n;
    int status = options_parse(&command_ingest, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n < 2)
        return options_wrong(&command_ingest,
                             "an index and at least one file or folder are needed");
    if (precision && !model_precision_parse(precision, &model_options.precision, &err))
        return options_wrong(&command_ingest, "%s", err.message);
    job.folder = argv[0];
    job.paths = (const char *const *)argv + 1;
    job.paths_n = words_n - 1;
    bool ok = model_open(&model_options, &model, &err) &&
              ingest_job_run(&job, model, &index, &totals, &err);
    index_close(index);
    model_close(model);
    if (!ok)
        return command_failed(&err);
    return totals.bad_n ? EXIT_FAILED : EXIT_DONE;
}

const struct command command_ingest = {"ingest", "INDEX PATH...", "files and folders into an index",
                                       run};
