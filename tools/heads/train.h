/* train.h - heads from a corpus: where they begin, and some hundred steps of AdamW.
 *
 * A step takes some queries, all of rows or all made of texts, each with one of its answers and
 * some of its hard negatives; every document of a step is a negative of all its other queries. */
#ifndef TERCET_HEADS_TRAIN_H
#define TERCET_HEADS_TRAIN_H

#include "engine/heads_fit.h"
#include "tools/heads/teacher.h"

struct heads_training {
    size_t dim, vocabulary_n;
    size_t steps_n, batch_n, negatives_n; /* queries a step; hard ones a query */
    double labelled; /* the part of the steps that rows get, where there are both kinds */
    uint64_t seed;
};

/* Distinct texts, at least; and as many as a step has queries, each of which wants an answer that
 * the others have not. With fewer than one more than a ranking's hard negatives these are all there
 * is: nothing is told apart, and with one text every loss is 0 before the first step. */
enum { HEADS_TEXTS_MIN = HEADS_MINED + 1 };

/* What was seen on the way, every so many steps and at the last; losses are means since then. */
enum { HEADS_REPORT_STEPS = 50 };
typedef void heads_report(void *context, size_t step, const struct heads_fit_losses *losses);

struct heads_begun {
    double kept, r2; /* of heads_start.h's two */
};

/* parameters_out: [heads_fit_parameters_n] */
struct heads_begun heads_begin(const struct heads_training *training,
                               const struct heads_states *texts, struct pool *pool,
                               float *parameters_out);

/* parameters: where heads_begin left them. */
void heads_train(const struct heads_training *training, const struct heads_corpus *corpus,
                 const struct heads_states *texts, const struct heads_states *queries,
                 const struct heads_group *groups, struct pool *pool, heads_report *report,
                 void *context, float *parameters);

#endif
