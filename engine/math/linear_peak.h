/* linear_peak.h - how fast one core of this machine can multiply at all: what benchmarks hold
 * their figures against. */
#ifndef TERCET_MATH_LINEAR_PEAK_H
#define TERCET_MATH_LINEAR_PEAK_H

#include "engine/math/linear.h"

/* CPU seconds of this thread. */
double linear_cpu_s(void);

/* 1e9 operations (a product and a sum are two) in a second of the kernels of this kind and name
 * (linear_kernels_name), from a loop that touches registers only; 0 where it is not known. */
double linear_peak_gops(enum linear_kind kind, const char *kernels_name);

#endif
