/* tercet ingest - files and folders into an index. */
#include "engine/model.h"
#include "index/index.h"
#include "tools/commands.h"
#include "tools/ingest_job.h"

/* A task is asked for as its two instructions are; one given by hand wins. */
static void choose_task(const struct model_info *info, struct ingest_choices *choices) {
    if (!choices->query_instruction)
        choices->query_instruction = info->query_instruction;
    if (!choices->passage_instruction)
        choices->passage_instruction = info->passage_instruction;
}

static int run(int argc, char **argv) {
    struct ingest_job job = {0};
    struct model_options model_options = {0};
    const char *precision = NULL;
    bool resume = false;
    const struct option table[] = {
        {"model", OPTION_TEXT, &model_options.name, "M",
         "folder or name of a model (default: the embedded one)", 0, 0, 'm'},
        {"precision", OPTION_TEXT, &precision, "P",
         "auto (default: the fastest), int8, bf16 or f32", 0, 0, 0},
        {"analyzer", OPTION_TEXT, &job.choices.analyzer, "A",
         "words:en or model, for a new index (default: the model's)", 0, 0, 0},
        {"max-length", OPTION_NUMBER, &job.choices.length_max, "N",
         "at most N tokens a document, for a new index", 3, 1u << 20, 0},
        {"task", OPTION_TEXT, &model_options.task, "T",
         "of LLM-Embedder, for a new index: qa, convsearch, chat, lrlm, icl or tool", 0, 0, 0},
        {"query-instruction", OPTION_TEXT, &job.choices.query_instruction, "TEXT",
         "put TEXT in front of queries, for a new index (default: the model's)", 0, 0, 0},
        {"passage-instruction", OPTION_TEXT, &job.choices.passage_instruction, "TEXT",
         "put TEXT in front of documents, for a new index (default: the model's)", 0, 0, 0},
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
    bool ok = model_open(&model_options, &model, &err);
    if (ok && model_options.task)
        choose_task(model_info(model), &job.choices);
    ok = ok && ingest_job_run(&job, model, &index, &totals, &err);
    index_close(index);
    model_close(model);
    if (!ok)
        return command_failed(&err);
    return totals.bad_n ? EXIT_FAILED : EXIT_DONE;
}

const struct command command_ingest = {"ingest", "INDEX PATH...", "files and folders into an index",
                                       run};
