/* tercet eval sts - does the cosine of two texts follow what people said of their likeness? */
#include <math.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "tools/eval/task_measures.h"
#include "tools/eval/tasks.h"

static const struct task_field field_sentence1 = {{"sentence1", "sent1"}};
static const struct task_field field_sentence2 = {{"sentence2", "sent2"}};
static const struct task_field field_score = {{"score"}};
static const struct task_form form = {{&field_sentence1, &field_sentence2, &field_score}, 3};

/* Pair i: texts 2i and 2i + 1. */
struct sts {
    struct arena arena;
    struct encoder_text *texts;
    double *scores;
    size_t n;
};

static bool take_pair(void *context, const struct json *row, struct error *err) {
    struct sts *sts = context;
    struct encoder_text first, second;
    double score;
    if (!task_text_of(row, &field_sentence1, &sts->arena, &first, err) ||
        !task_text_of(row, &field_sentence2, &sts->arena, &second, err) ||
        !task_number_of(row, &field_score, &score, err))
        return false;
    sts->texts = arena_room(&sts->arena, sts->texts, 2 * sts->n, sizeof *sts->texts);
    sts->texts[2 * sts->n] = first;
    sts->texts = arena_room(&sts->arena, sts->texts, 2 * sts->n + 1, sizeof *sts->texts);
    sts->texts[2 * sts->n + 1] = second;
    sts->scores = arena_room(&sts->arena, sts->scores, sts->n, sizeof *sts->scores);
    sts->scores[sts->n++] = score;
    return true;
}

static bool report(const struct sts *sts, const char *file, const struct task_model *model,
                   const double *cosines, struct error *err) {
    struct task_report report;
    double spearman = task_spearman(cosines, sts->scores, sts->n);
    if (isnan(spearman))
        return error_set(err, ERROR_INVALID,
                         "%s: all %zu pairs have the same score, or the same cosine: there is "
                         "nothing to correlate",
                         file, sts->n);
    task_report_begin(&report, "sts", file, model);
    task_report_count(&report, "pairs", sts->n);
    task_report_value(&report, "spearman", spearman);
    task_report_value(&report, "pearson", task_pearson(cosines, sts->scores, sts->n));
    task_report_end(&report);
    return true;
}

static bool measure(void *context, const char *file, const struct task_options *options,
                    struct error *err) {
    struct sts *sts = context;
    struct task_model model = {0};
    float *vectors = NULL;
    if (!task_rows_read(file, &form, take_pair, sts, err))
        return false;
    bool ok = task_model_open(options, &model, err) &&
              task_encode(&model, options->instruction, sts->texts, 2 * sts->n, &vectors, err);
    if (ok) {
        size_t dim = task_model_dim(&model);
        double *cosines = ARENA_NEW(&sts->arena, double, sts->n);
        for (size_t i = 0; i < sts->n; i++)
            cosines[i] = task_cosine(vectors + 2 * i * dim, vectors + (2 * i + 1) * dim, dim);
        ok = report(sts, file, &model, cosines, err);
    }
    free(vectors);
    task_model_close(&model);
    return ok;
}

static int run(int argc, char **argv) {
    struct sts sts = {0};
    int status = task_run(&eval_command_sts, TASK_INSTRUCTION_HELP, measure, &sts, argc, argv);
    arena_done(&sts.arena);
    return status;
}

const struct command eval_command_sts = {
    "eval sts", "FILE", "semantic likeness: Spearman's and Pearson's correlation with people's",
    run};
