#include "engine/adamw.h"

#include <math.h>

void adamw_step(const struct adamw *settings, size_t step, float *parameters, const float *gradient,
                float *mean, float *square, size_t n) {
    double beta1 = settings->beta1, beta2 = settings->beta2;
    double rate = settings->rate / (1 - pow(beta1, (double)step));
    double unbias = 1 / sqrt(1 - pow(beta2, (double)step));
    for (size_t i = 0; i < n; i++) {
        double g = (double)gradient[i];
        double m = beta1 * (double)mean[i] + (1 - beta1) * g;
        double v = beta2 * (double)square[i] + (1 - beta2) * g * g;
        double kept = (double)parameters[i] * (1 - settings->rate * settings->weight_decay);
        mean[i] = (float)m;
        square[i] = (float)v;
        parameters[i] = (float)(kept - rate * m / (sqrt(v) * unbias + settings->epsilon));
    }
}

static double between(double from, double to, double part) {
    return to + (from - to) / 2 * (1 + cos(3.141592653589793 * part));
}

double adamw_one_cycle(double peak, double rise, size_t step, size_t steps_n) {
    double up = rise * (double)steps_n - 1, down = (double)steps_n - 1 - up, at = (double)step;
    double low = peak / 25;
    if (up > 0 && at <= up)
        return between(low, peak, at / up);
    return down > 0 ? between(peak, low / 1e4, (at - up) / down) : peak;
}
