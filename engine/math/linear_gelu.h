/* linear_gelu.h - the numbers of GELU; only the kernels of linear.h include this.
 *
 * GELU(v) = max(v, 0) - g(|v|) with g(t) = t * Phi(-t) = t / 2 * erfc(t / sqrt 2), a bump that is
 * below 5.2e-7 beyond LINEAR_GELU_END. g is a polynomial of degree 14 in s = t * 2 / END - 1: the
 * Chebyshev interpolant on [0, END], within 6.3e-7, as powers of s (no coefficient is above 0.6,
 * so f32 loses nothing). No exp, no division: 19 operations, and every kind does the same ones in
 * the same order, so that all give the same bits. */
#ifndef TERCET_MATH_LINEAR_GELU_H
#define TERCET_MATH_LINEAR_GELU_H

#define LINEAR_GELU_END 5.2f
#define LINEAR_GELU_SLOPE (2.0f / LINEAR_GELU_END)
enum { LINEAR_GELU_DEGREE = 14 };
static const float linear_gelu_powers[LINEAR_GELU_DEGREE + 1] = {
    0.0121193986f, -0.0796973107f, 0.218493696f,   -0.28568555f,   0.0623510897f,
    0.374419998f,  -0.56355756f,   0.213071326f,   0.302166918f,   -0.365589912f,
    0.0140769582f, 0.17593965f,    -0.0630058824f, -0.0324583016f, 0.0173559073f,
};

#endif
