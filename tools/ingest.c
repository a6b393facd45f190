/* tercet ingest - files and folders into an index. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "engine/base/priority.h"
#include "engine/model.h"
#include "index/index.h"
#include "ingest/charset.h"
#include "ingest/settings.h"
#include "tools/commands.h"
#include "tools/ingest_job.h"

enum { FIELDS_MAX = 256 };

/* A task is asked for as its two instructions are; one given by hand wins. */
static void choose_task(const struct model_info *info, struct ingest_choices *choices) {
    if (!choices->query_instruction)
        choices->query_instruction = info->query_instruction;
    if (!choices->passage_instruction)
        choices->passage_instruction = info->passage_instruction;
}

/* By the user's word; or by the index's, where the user says none. */
static bool without_model(const struct model_options *options, const char *folder) {
    return options->name ? strcmp(options->name, "none") == 0 : ingest_has_no_model(folder);
}

/* "a,b" -> its names, cut in place. */
static size_t split_names(char *list, const char **names, size_t names_max) {
    size_t n = 0;
    char *rest = NULL;
    for (char *name = strtok_r(list, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        if (n == names_max)
            return n + 1;
        names[n++] = name;
    }
    return n;
}

/* One fault in the words themselves is wrong usage, before anything is opened. */
static int take_reader_words(struct ingest_job *job, char *fields, const char **names,
                             const struct option_texts *include,
                             const struct option_texts *exclude) {
    struct error err;
    struct row_names *row = &job->reader.names;
    if (fields) {
        row->fields = names;
        row->fields_n = split_names(fields, names, FIELDS_MAX);
        if (row->fields_n == 0 || row->fields_n > FIELDS_MAX)
            return options_wrong(&command_ingest, "--fields: 1 to %d names with commas between",
                                 FIELDS_MAX);
    }
    if (job->reader.format && !format_named(job->reader.format, &err))
        return options_wrong(&command_ingest, "--format: %s", err.message);
    if (job->reader.encoding && !charset_known(job->reader.encoding, &err))
        return options_wrong(&command_ingest, "--encoding: %s", err.message);
    job->reader.walk = (struct walk_filter){include->items, exclude->items, include->n, exclude->n};
    return -1;
}

static int run(int argc, char **argv) {
    struct ingest_job job = {.choices.chunk_overlap = INGEST_OVERLAP_DEFAULT};
    struct option_texts include = {0}, exclude = {0};
    const char *fields = NULL, *field_names[FIELDS_MAX];
    struct model_options model_options = {0};
    const char *precision = NULL;
    bool watch = false;
    uint32_t nice_by = PRIORITY_NICE;
    const struct option table[] = {
        {"format", OPTION_TEXT, &job.reader.format, "F",
         "jsonl, csv, tsv, text, markdown, html or pdf (default: by name; jsonl for -)", 0, 0, 0},
        {"include", OPTION_TEXTS, &include, "GLOB",
         "of folders only files like *.md or notes/*.txt; may be given again", 0, 0, 0},
        {"exclude", OPTION_TEXTS, &exclude, "GLOB",
         "no files and folders like *.log or drafts/; may be given again", 0, 0, 0},
        {"id", OPTION_TEXT, &job.reader.names.id, "NAME",
         "member or column that is the id (default: _id, id or docid); # numbers rows", 0, 0, 0},
        {"title", OPTION_TEXT, &job.reader.names.title, "NAME",
         "member or column that is the title (default: title)", 0, 0, 0},
        {"text", OPTION_TEXT, &job.reader.names.text, "NAME",
         "member or column that is the text (default: text)", 0, 0, 0},
        {"fields", OPTION_TEXT, &fields, "A,B",
         "what is kept to filter by (default: fields or metadata; all other columns)", 0, 0, 0},
        {"columns", OPTION_TEXT, &job.reader.columns, "A,B",
         "names of the columns of tables whose first line has none", 0, 0, 0},
        {"encoding", OPTION_TEXT, &job.reader.encoding, "E",
         "of what is not UTF-8: windows-1252, shift_jis, .. (default: it is refused)", 0, 0, 0},
        {"errors", OPTION_TEXT, &job.errors, "FILE", "bad rows as JSON lines, with the reason", 0,
         0, 0},
        {"model", OPTION_TEXT, &model_options.name, "M",
         "folder or name of a model (default: the embedded one); none: documents bring vectors", 0,
         0, 'm'},
        {"precision", OPTION_TEXT, &precision, "P",
         "auto (default: the fastest), int8, bf16 or f32", 0, 0, 0},
        {"analyzer", OPTION_TEXT, &job.choices.analyzer, "A",
         "words:en or model, for a new index (default: the model's)", 0, 0, 0},
        {"max-length", OPTION_NUMBER, &job.choices.length_max, "N",
         "at most N tokens a document, for a new index", 3, 1u << 20, 0},
        {"chunk-tokens", OPTION_NUMBER, &job.choices.chunk_tokens, "N",
         "cut longer texts into passages of at most N tokens, for a new index", 8, 1u << 20, 0},
        {"chunk-overlap", OPTION_NUMBER, &job.choices.chunk_overlap, "N",
         "tokens that a passage may share with the one before (default: an eighth)", 0, 1u << 19,
         0},
        {"dense", OPTION_TEXT, &job.choices.dense_kind, "K",
         "auto, flat (every row is looked at) or lists, for a new index (default: auto)", 0, 0, 0},
        {"pool-tokens", OPTION_NUMBER, &job.choices.pool_tokens, "N",
         "keep the token vectors of N neighbours as one, for a new index (default: 1)", 1,
         INDEX_POOL_TOKENS_MAX, 0},
        {"task", OPTION_TEXT, &model_options.task, "T",
         "of LLM-Embedder, for a new index: qa, convsearch, chat, lrlm, icl or tool", 0, 0, 0},
        {"query-instruction", OPTION_TEXT, &job.choices.query_instruction, "TEXT",
         "put TEXT in front of queries, for a new index (default: the model's)", 0, 0, 0},
        {"passage-instruction", OPTION_TEXT, &job.choices.passage_instruction, "TEXT",
         "put TEXT in front of documents, for a new index (default: the model's)", 0, 0, 0},
        {"threads", OPTION_NUMBER, &job.threads, "N", "cores to use (default: all)", 1, 1024, 0},
        {"nice", OPTION_NUMBER, &nice_by, "N",
         "give way to whatever else runs (default: 5; 0: to nobody)", 0, 19, 0},
        {"resume", OPTION_FLAG, &job.run.resume, NULL,
         "go on where a run over the same paths was broken off, without reading what it stored", 0,
         0, 0},
        {"delete-missing", OPTION_FLAG, &job.run.delete_missing, NULL,
         "delete what came from the same paths in an earlier run and is not there any more", 0, 0,
         0},
        {"watch", OPTION_FLAG, &watch, NULL,
         "stay, and do so again whenever a file changes, until stopped; with --delete-missing", 0,
         0, 0},
        {"force", OPTION_FLAG, &job.run.force, NULL,
         "with --delete-missing: also when that is most of it, or all", 0, 0, 0},
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
    job.choices.chunk_given = job.choices.chunk_tokens > 0;
    if (!job.choices.chunk_given && job.choices.chunk_overlap != INGEST_OVERLAP_DEFAULT)
        return options_wrong(&command_ingest, "--chunk-overlap: of passages, --chunk-tokens N");
    char *field_list = fields ? mem_strdup(fields) : NULL;
    status = take_reader_words(&job, field_list, field_names, &include, &exclude);
    if (status >= 0) {
        free(field_list);
        return status;
    }
    job.folder = argv[0];
    job.paths = (const char *const *)argv + 1;
    job.paths_n = words_n - 1;
    errno = 0;
    if (nice((int)nice_by) == -1 && errno) { /* before there are threads, which inherit it */
        error_set_errno(&err, "--nice");
        free(field_list);
        return command_failed(&err);
    }
    bool ok = without_model(&model_options, job.folder) || model_open(&model_options, &model, &err);
    if (model && model_options.task)
        choose_task(model_info(model), &job.choices);
    ok = ok && (watch ? ingest_watch(&job, model, &err)
                      : ingest_job_run(&job, model, &index, &totals, &err));
    index_close(index);
    model_close(model);
    free(field_list);
    if (!ok)
        return command_failed(&err);
    return totals.bad_n ? EXIT_FAILED : EXIT_DONE;
}

const struct command command_ingest = {"ingest", "INDEX PATH...", "files and folders into an index",
                                       run};
