#include "tools/eval/significance.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/random.h"

/* The continued fraction of the incomplete beta function (Abramowitz & Stegun 26.5.8), by Lentz's
 * method; it settles within some dozen steps for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double x, double a, double b) {
    enum { STEPS_MAX = 500 };
    const double tiny = 1e-300, close = 1e-15;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double value = d;
    for (int m = 1; m <= STEPS_MAX; m++) {
        for (int odd = 0; odd < 2; odd++) {
            double k = odd ? -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
                           : m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
            d = 1 + k * d;
            c = 1 + k / c;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = fabs(c) < tiny ? tiny : c;
            value *= c * d;
        }
        if (fabs(c * d - 1) < close)
            break;
    }
    return value;
}

/* The regularised incomplete beta function I_x(a, b). */
static double beta_part(double x, double a, double b) {
    if (x <= 0 || x >= 1)
        return x >= 1;
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    return x < (a + 1) / (a + b + 2) ? front * beta_fraction(x, a, b) / a
                                     : 1 - front * beta_fraction(1 - x, b, a) / b;
}

double student_p(double t, double degrees) {
    return beta_part(degrees / (degrees + t * t), degrees / 2, .5);
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void bootstrap(const double *differences, size_t n, uint64_t seed,
                      struct significance *out) {
    double *means = mem_alloc(BOOTSTRAP_DRAWS, sizeof *means);
    size_t as_far = 0;
    for (size_t draw = 0; draw < BOOTSTRAP_DRAWS; draw++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += differences[random_below(&seed, (uint32_t)n)];
        means[draw] = sum / (double)n;
        /* Shifted to a mean of 0, which is what the hypothesis says. */
        as_far += fabs(means[draw] - out->difference) >= fabs(out->difference) - 1e-15;
    }
    qsort(means, BOOTSTRAP_DRAWS, sizeof *means, compare_doubles);
    out->low = means[BOOTSTRAP_DRAWS / 40];
    out->high = means[BOOTSTRAP_DRAWS - 1 - BOOTSTRAP_DRAWS / 40];
    out->p_bootstrap = (double)as_far / BOOTSTRAP_DRAWS;
    free(means);
}

struct significance significance_of(const double *a, const double *b, size_t n, uint64_t seed) {
    struct significance out = {.p_t = 1, .p_bootstrap = 1};
    double *differences = mem_alloc(n, sizeof *differences);
    double squares = 0;
    for (size_t i = 0; i < n; i++) {
        differences[i] = b[i] - a[i];
        out.difference += differences[i] / (double)n;
        out.better += b[i] > a[i];
        out.worse += b[i] < a[i];
        out.equal += !(b[i] > a[i]) && !(b[i] < a[i]);
    }
    for (size_t i = 0; i < n; i++)
        squares += (differences[i] - out.difference) * (differences[i] - out.difference);
    if (n > 1 && squares > 0) {
        out.t = out.difference / sqrt(squares / (double)(n - 1) / (double)n);
        out.p_t = student_p(out.t, (double)(n - 1));
    }
    if (out.equal < n)
        bootstrap(differences, n, seed, &out);
    free(differences);
    return out;
}
