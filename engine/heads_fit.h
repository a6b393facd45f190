/* heads_fit.h - BGE-M3's two small heads, learned on the states of a frozen encoder.
 *
 * Parameters are one matrix [dim + 1, width] and behind it its bias [dim + 1]: rows 0 to dim - 1
 * are colbert_linear, row dim is sparse_linear. What they mean is heads.h's:
 *   multi    v = unit(colbert_linear(h)); score = mean over the query's v of the best of the
 *            document's (MaxSim)
 *   lexical  w = relu(sparse_linear(h)), the maximum per token id; score = the sum over shared ids
 *
 * The loss of a batch, for each head by itself, the mean over its queries:
 *   contrast      - log of the part that the answers have in the softmax of score / temperature
 *                 over all documents of the batch (InfoNCE)
 *   distillation  cross-entropy to the teacher's shares within the query's own group
 * Gradients are written out by hand: through the arg max to the winner alone (as in ColBERT,
 * Khattab & Zaharia 2020), then through relu and the division by the length. heads_fit_test.c
 * compares them with central differences of the same loss in f64.
 * Results do not depend on the number of threads: sums over documents are taken in fixed shards. */
#ifndef TERCET_HEADS_FIT_H
#define TERCET_HEADS_FIT_H

#include <stddef.h>
#include <stdint.h>

struct pool;

/* In the place of a token's id: it has no lexical weight (a special token). */
#define HEADS_FIT_NO_TERM UINT32_MAX

/* A text's tokens of which the heads are to make something, without [CLS]. */
struct heads_fit_text {
    const uint16_t *states; /* f16 [.., width] */
    const uint32_t *ids;    /* beside the states */
    const uint32_t *rows;   /* [n] of states and ids */
    size_t n;
};

struct heads_fit_batch {
    const struct heads_fit_text *queries, *docs;
    size_t queries_n, docs_n;
    const size_t *groups; /* [queries_n + 1] query i's group: docs groups[i] to groups[i + 1] */
    const uint8_t *own;   /* [queries_n, docs_n] 1: an answer to the query; at least one each */
    const float *teacher; /* [docs_n] shares, which add up to 1 in each group */
};

struct heads_fit_options {
    size_t width, dim, vocabulary_n;
    double colbert_temperature, sparse_temperature;
    double distil; /* the distillation's weight beside the contrast's 1 */
};

struct heads_fit_losses {
    double colbert_contrast, sparse_contrast, colbert_distil, sparse_distil;
};

struct heads_fit;

/* pool may be NULL; it is borrowed. */
struct heads_fit *heads_fit_open(const struct heads_fit_options *options, struct pool *pool);
void heads_fit_close(struct heads_fit *fit);

size_t heads_fit_parameters_n(const struct heads_fit_options *options); /* (dim + 1)(width + 1) */

/* parameters: as above. gradient_out: the same shape, of the batch's whole loss. */
void heads_fit_gradient(struct heads_fit *fit, const float *parameters,
                        const struct heads_fit_batch *batch, float *gradient_out,
                        struct heads_fit_losses *losses_out);

#endif
