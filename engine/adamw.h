/* adamw.h - AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101) and a learning rate that rises and
 * falls once (Smith & Topin 2017), as PyTorch computes both; its momentum does not cycle. */
#ifndef TERCET_ADAMW_H
#define TERCET_ADAMW_H

#include <stddef.h>

struct adamw {
    double rate;         /* of this step */
    double beta1, beta2; /* .9, .999 */
    double epsilon;      /* 1e-8 */
    double weight_decay; /* times the rate, off the parameters themselves */
};

/* Step number `step`, from 1. mean, square: [n] running, zeros before the first step. */
void adamw_step(const struct adamw *settings, size_t step, float *parameters, const float *gradient,
                float *mean, float *square, size_t n);

/* The rate of step 0 to steps_n - 1: by a cosine from peak / 25 up to the peak over the part `rise`
 * of the steps, and down to peak / 250,000 at the last. */
double adamw_one_cycle(double peak, double rise, size_t step, size_t steps_n);

#endif
