/* tercet eval rerank - puts each query's documents into order by cosine: MAP and MRR@10. */
#include <stdlib.h>

#include "engine/base/mem.h"
#include "tools/eval/task_measures.h"
#include "tools/eval/tasks.h"

enum { MRR_DEPTH = 10 }; /* MTEB's */

static const struct task_field field_query = {{"query"}};
static const struct task_field field_positive = {{"positive"}};
static const struct task_field field_negative = {{"negative"}};
static const struct task_field field_text = {{"text", "document", "passage"}};
static const struct task_field field_label = {{"label", "labels"}};
static const struct task_form form = {{&field_query, &field_text, &field_label}, 3};

struct asked {
    struct encoder_text query;
    uint32_t *documents; /* [n] numbers of task->documents, in the order of the file */
    bool *relevant;      /* [n] */
    size_t n, relevant_n;
};

struct rerank_task {
    struct arena arena;
    struct map by_query;
    struct asked *asked;
    size_t asked_n, dropped_n;
    struct encoder_text *documents;
    size_t documents_n;
};

/* A query that stood before gets the documents of both rows. */
static struct asked *asked_of(struct rerank_task *task, struct encoder_text query) {
    bool fresh;
    uint32_t i = *map_put(&task->by_query, query.text, query.len, (uint32_t)task->asked_n, &fresh);
    if (fresh) {
        task->asked = arena_room(&task->arena, task->asked, task->asked_n, sizeof *task->asked);
        task->asked[task->asked_n++] = (struct asked){.query = query};
    }
    return &task->asked[i];
}

static void add_document(struct rerank_task *task, struct asked *asked, struct encoder_text text,
                         bool relevant) {
    task->documents =
        arena_room(&task->arena, task->documents, task->documents_n, sizeof *task->documents);
    task->documents[task->documents_n] = text;
    asked->documents =
        arena_room(&task->arena, asked->documents, asked->n, sizeof *asked->documents);
    asked->relevant = arena_room(&task->arena, asked->relevant, asked->n, sizeof *asked->relevant);
    asked->documents[asked->n] = (uint32_t)task->documents_n++;
    asked->relevant[asked->n++] = relevant;
    asked->relevant_n += relevant;
}

/* {"query","positive":[..],"negative":[..]}, or a document a row: {"query","text","label"}. */
static bool take_row(void *context, const struct json *row, struct error *err) {
    struct rerank_task *task = context;
    struct encoder_text query, text;
    struct task_texts positive, negative;
    bool label;
    if (!task_text_of(row, &field_query, &task->arena, &query, err))
        return false;
    if (task_field_of(row, &field_text) && !task_field_of(row, &field_positive)) {
        if (!task_text_of(row, &field_text, &task->arena, &text, err) ||
            !task_binary_of(task_field_of(row, &field_label), "label", &label, err))
            return false;
        add_document(task, asked_of(task, query), text, label);
        return true;
    }
    if (!task_texts_of(row, &field_positive, &task->arena, &positive, err) ||
        !task_texts_of(row, &field_negative, &task->arena, &negative, err))
        return false;
    /* Rows of lists are whole: a query that stands twice is two, as in MTEB. */
    task->asked = arena_room(&task->arena, task->asked, task->asked_n, sizeof *task->asked);
    struct asked *asked = &task->asked[task->asked_n++];
    *asked = (struct asked){.query = query};
    for (size_t i = 0; i < positive.n; i++)
        add_document(task, asked, positive.items[i], true);
    for (size_t i = 0; i < negative.n; i++)
        add_document(task, asked, negative.items[i], false);
    return true;
}

/* As MTEB: what has no positive, or no negative, is left out. */
static bool drop_unjudged(struct rerank_task *task, const char *file, struct error *err) {
    size_t kept = 0, before = task->asked_n;
    for (size_t i = 0; i < before; i++)
        if (task->asked[i].relevant_n > 0 && task->asked[i].relevant_n < task->asked[i].n)
            task->asked[kept++] = task->asked[i];
    task->asked_n = kept;
    task->dropped_n = before - kept;
    return kept > 0 || error_set(err, ERROR_INVALID,
                                 "%s: none of the %zu queries has both a positive and a negative",
                                 file, before);
}

static void report(const struct rerank_task *task, const char *file, const struct task_model *model,
                   const float *queries, const float *documents) {
    struct task_report report;
    size_t dim = task_model_dim(model);
    double map = 0, mrr = 0, *scores = mem_alloc(task->documents_n, sizeof *scores);
    for (size_t q = 0; q < task->asked_n; q++) {
        const struct asked *asked = &task->asked[q];
        for (size_t i = 0; i < asked->n; i++)
            scores[i] = task_cosine(queries + q * dim, documents + asked->documents[i] * dim, dim);
        map += task_average_precision(scores, asked->relevant, asked->n) / (double)task->asked_n;
        mrr += task_reciprocal_rank(scores, asked->relevant, asked->n, MRR_DEPTH) /
               (double)task->asked_n;
    }
    task_report_begin(&report, "rerank", file, model);
    task_report_count(&report, "queries", task->asked_n);
    task_report_count(&report, "dropped", task->dropped_n);
    task_report_count(&report, "documents", task->documents_n);
    task_report_value(&report, "map", map);
    task_report_value(&report, "mrr@10", mrr);
    task_report_end(&report);
    free(scores);
}

static bool measure(void *context, const char *file, const struct task_options *options,
                    struct error *err) {
    struct rerank_task *task = context;
    struct task_model model = {0};
    float *queries = NULL, *documents = NULL;
    if (!task_rows_read(file, &form, take_row, task, err) || !drop_unjudged(task, file, err) ||
        !task_model_open(options, &model, err))
        return false;
    const struct model_info *info = model_info(model.model);
    struct encoder_text *texts = ARENA_NEW(&task->arena, struct encoder_text, task->asked_n);
    for (size_t i = 0; i < task->asked_n; i++)
        texts[i] = task->asked[i].query;
    bool ok =
        task_encode(&model, options->instruction ? options->instruction : info->query_instruction,
                    texts, task->asked_n, &queries, err) &&
        task_encode(&model, info->passage_instruction, task->documents, task->documents_n,
                    &documents, err);
    if (ok)
        report(task, file, &model, queries, documents);
    free(queries);
    free(documents);
    task_model_close(&model);
    return ok;
}

static int run(int argc, char **argv) {
    struct rerank_task task = {0};
    int status = task_run(&eval_command_rerank,
                          "put TEXT in front of queries instead of the model's; \"\": nothing",
                          measure, &task, argc, argv);
    map_done(&task.by_query);
    arena_done(&task.arena);
    return status;
}

const struct command eval_command_rerank = {"eval rerank", "FILE", "reranking: MAP and MRR@10",
                                            run};
