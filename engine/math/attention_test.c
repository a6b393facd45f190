/* Every kind of attention that this CPU has against doubles. */
#include "engine/base/mem.h"
#include "engine/math/attention_kernels.h"
#include "tests/check.h"

static unsigned long long seed = 7;

/* One random sequence as f32, as bf16, and what attention of the rounded values gives. */
struct sequence {
    size_t n, hidden, heads_n, dim;
    float *f32;              /* [n, 3 * hidden], exact in bf16 where `rounded` */
    uint16_t *bf16;          /* [n, 3 * hidden] */
    double *expected, *size; /* [n, hidden]; size: the same of the values' absolutes */
};

/* The textbook way, one query of one head. scores: [n] */
static void oracle(struct sequence *s, size_t head, size_t query, double *scores) {
    size_t stride = 3 * s->hidden, at = head * s->dim;
    const float *keys = s->f32 + s->hidden + at, *values = keys + s->hidden;
    double max = -INFINITY, total = 0;
    for (size_t i = 0; i < s->n; i++) {
        scores[i] = 0;
        for (size_t d = 0; d < s->dim; d++)
            scores[i] += (double)s->f32[query * stride + at + d] * (double)keys[i * stride + d];
        scores[i] /= sqrt((double)s->dim);
        max = fmax(max, scores[i]);
    }
    for (size_t i = 0; i < s->n; i++)
        total += scores[i] = exp(scores[i] - max);
    for (size_t d = 0; d < s->dim; d++) {
        double sum = 0, size = 0;
        for (size_t i = 0; i < s->n; i++) {
            sum += scores[i] / total * (double)values[i * stride + d];
            size += scores[i] / total * fabs((double)values[i * stride + d]);
        }
        s->expected[query * s->hidden + at + d] = sum;
        s->size[query * s->hidden + at + d] = size;
    }
}

/* Values in [-1, 1) times scale; queries and keys besides times `sharpness`. */
static void fill(struct sequence *s, bool rounded, float sharpness) {
    for (size_t i = 0; i < s->n * 3 * s->hidden; i++) {
        bool is_value = i % (3 * s->hidden) >= 2 * s->hidden;
        float value = check_random_float(&seed) * (is_value ? 1 : sharpness);
        s->bf16[i] = attention_bf16_of(value);
        s->f32[i] = rounded ? attention_f32_of(s->bf16[i]) : value;
    }
}

static struct sequence sequence_make(size_t n, size_t heads_n, size_t dim, bool rounded,
                                     float sharpness) {
    struct sequence s = {.n = n, .hidden = heads_n * dim, .heads_n = heads_n, .dim = dim};
    s.f32 = mem_alloc(n * 3 * s.hidden, sizeof *s.f32);
    s.bf16 = mem_alloc(n * 3 * s.hidden, sizeof *s.bf16);
    s.expected = mem_alloc(n * s.hidden, sizeof *s.expected);
    s.size = mem_alloc(n * s.hidden, sizeof *s.size);
    fill(&s, rounded, sharpness);
    return s;
}

static void sequence_expect(struct sequence *s) {
    double *scores = mem_alloc(s->n, sizeof *scores);
    for (size_t head = 0; head < s->heads_n; head++)
        for (size_t query = 0; query < s->n; query++)
            oracle(s, head, query, scores);
    free(scores);
}

static void sequence_done(struct sequence *s) {
    free(s->f32), free(s->bf16), free(s->expected), free(s->size);
}

/* Runs a kind in ranges of `step` queries. out: [n, hidden] */
static void run(const struct attention_kernels *kind, const struct attention *in, size_t step,
                float *out) {
    size_t dim = in->hidden / in->heads_n;
    void *packed = mem_alloc_aligned(kind->packed_bytes(in->n, dim), 1);
    void *scratch = mem_alloc_aligned(kind->scratch_bytes(dim), 1);
    for (size_t head = 0; head < in->heads_n; head++) {
        kind->pack(in, head, packed);
        for (size_t at = 0; at < in->n; at += step)
            kind->attend(in, head, packed, at, at + step < in->n ? at + step : in->n, scratch, out);
    }
    free(packed), free(scratch);
}

/* The largest |found - expected|, as a part of the mean of the absolute values that were mixed. */
static double worst(const struct sequence *s, const float *found) {
    double most = 0;
    for (size_t i = 0; i < s->n * s->hidden; i++) {
        if (!isfinite(found[i]))
            return INFINITY;
        most = fmax(most, fabs((double)found[i] - s->expected[i]) / s->size[i]);
    }
    return most;
}

static struct attention input_f32(const struct sequence *s) {
    return (struct attention){
        .qkv_f32 = s->f32, .n = s->n, .hidden = s->hidden, .heads_n = s->heads_n};
}

static struct attention input_bf16(const struct sequence *s) {
    return (struct attention){
        .qkv_bf16 = s->bf16, .n = s->n, .hidden = s->hidden, .heads_n = s->heads_n};
}

/* Both inputs and two divisions of the queries give the same bits, within tolerance of doubles. */
static void kind_agrees(const struct attention_kernels *kind, struct sequence *s,
                        double tolerance) {
    size_t bytes = s->n * s->hidden * sizeof(float);
    float *whole = mem_alloc(bytes, 1), *split = mem_alloc(bytes, 1);
    struct attention f32 = input_f32(s), bf16 = input_bf16(s);
    memset(whole, 0xff, bytes);
    memset(split, 0xff, bytes);
    run(kind, &f32, s->n, whole);
    run(kind, &bf16, 1 + s->n / 3, split);
    double found = worst(s, whole);
    if (!(found <= tolerance))
        fprintf(stderr, "%s: %zu tokens, %zu heads of %zu: %g\n", kind->name, s->n, s->heads_n,
                s->dim, found);
    CHECK(found <= tolerance);
    CHECK(memcmp(whole, split, bytes) == 0);
    free(whole), free(split);
}

static void every_kind_agrees(size_t n, size_t heads_n, size_t dim, float sharpness,
                              double f32_tolerance, double bf16_tolerance) {
    const struct attention_kernels *kinds[ATTENTION_KINDS_MAX + 1];
    struct sequence s = sequence_make(n, heads_n, dim, true, sharpness);
    sequence_expect(&s);
    attention_kinds(true, kinds); /* those of f32 are among them */
    for (size_t i = 0; kinds[i]; i++)
        kind_agrees(kinds[i], &s,
                    strncmp(kinds[i]->name, "bf16", 4) == 0 ? bf16_tolerance : f32_tolerance);
    sequence_done(&s);
}

enum { WIDTHS = 10 };
static const size_t widths[WIDTHS] = {1, 7, 8, 16, 24, 32, 33, 64, 72, 128};

/* f32: rounding errors of a few units in the last place of each score and sum. bf16: inputs are
 * exact, so only probabilities are rounded: 2^-8 relative each at most, and 7.5e-5 of their exp. */
static void all_lengths_agree(void) {
    static const size_t lengths[] = {96, 127, 128, 129, 255, 256, 300, 511, 513, 1025};
    for (size_t n = 1; n <= 70; n++)
        for (size_t w = 0; w < WIDTHS; w++)
            every_kind_agrees(n, 1 + (n + w) % 3, widths[w], 1, 1e-6, 4e-3);
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        every_kind_agrees(lengths[l], 2, 64, 1, 1e-6, 3e-3);
        every_kind_agrees(lengths[l], 1, 33, 1, 1e-6, 3e-3);
    }
}

/* Scores of up to +-360 (a probability of one token): their own rounding is what remains. */
static void sharp_scores_agree(void) {
    for (size_t n = 1; n < 600; n = 2 * n + 1)
        every_kind_agrees(n, 2, 40, 12, 1e-4, 8e-3);
}

/* The exponential by itself: two tokens with scores 0 and x and values 0 and 1 give
 * e^x / (1 + e^x). f32: 3e-7 relative (2.5 units in the last place), and the rounding of x; bf16:
 * half a place, 2^-8, and the polynomial's 7.5e-5. */
static void weights_agree(void) {
    const struct attention_kernels *kinds[ATTENTION_KINDS_MAX + 1];
    attention_kinds(true, kinds);
    for (size_t k = 0; kinds[k]; k++) {
        bool is_bf16 = strncmp(kinds[k]->name, "bf16", 4) == 0;
        double most = 0;
        for (size_t i = 0; i < 4000; i++) {
            float x = attention_f32_of(attention_bf16_of(-80 * (float)i / 4000));
            float qkv[2][3] = {{1, 0, 0}, {1, x, 1}}, found[2];
            struct attention in = {.qkv_f32 = qkv[0], .n = 2, .hidden = 1, .heads_n = 1};
            run(kinds[k], &in, 2, found);
            double expected = exp((double)x) / (1 + exp((double)x));
            double allowed = is_bf16 ? 0x1p-8 + 1e-4 : 3e-7 - 1.5e-7 * (double)x;
            double error = fabs((double)found[0] - expected) / expected;
            most = fmax(most, error / allowed);
        }
        if (!(most <= 1))
            fprintf(stderr, "%s: %g of what is allowed\n", kinds[k]->name, most);
        CHECK(most <= 1);
    }
}

/* Scores of +-1e30 and whole rows of them: the largest alone counts, and nothing overflows. */
static void extreme_scores_stay_finite(void) {
    enum { N = 150, DIM = 32 };
    const struct attention_kernels *kinds[ATTENTION_KINDS_MAX + 1];
    attention_kinds(true, kinds);
    for (int sign = -1; sign <= 1; sign += 2)
        for (size_t k = 0; kinds[k]; k++) {
            struct sequence s = sequence_make(N, 1, DIM, true, 1);
            struct attention in = input_f32(&s);
            float found[N * DIM];
            for (size_t i = 0; i < N; i++)
                for (size_t d = 0; d < DIM; d++) {
                    s.f32[i * 3 * DIM + d] = 1e15f;
                    /* one key above the rest, in the second block or the first */
                    s.f32[i * 3 * DIM + DIM + d] =
                        (float)sign * 1e14f * (i == (sign < 0 ? 3 : 140) ? (float)(2 + sign) : 2);
                }
            if (sign > 0)
                for (size_t d = 0; d < DIM; d++)
                    s.f32[140 * 3 * DIM + DIM + d] = 3e14f;
            run(kinds[k], &in, N, found);
            size_t best = sign < 0 ? 3 : 140;
            for (size_t i = 0; i < N; i++)
                for (size_t d = 0; d < DIM; d++)
                    CHECK_NEAR(found[i * DIM + d], s.f32[best * 3 * DIM + 2 * DIM + d], 1e-6);
            sequence_done(&s);
        }
}

/* The call that does it all, with inputs that are not exact in bf16. */
static void f32_call_agrees(void) {
    static const size_t shapes[][3] = {{16, 12, 32}, {300, 4, 16}, {130, 5, 16}, {64, 3, 40}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct sequence s = sequence_make(shapes[i][0], shapes[i][1], shapes[i][2], false, 2);
        float *scratch = mem_alloc_aligned(attention_scratch_n(s.n, s.dim), sizeof *scratch);
        float *out = mem_alloc(s.n * s.hidden, sizeof *out);
        sequence_expect(&s);
        attention_f32(s.f32, s.n, s.hidden, s.heads_n, scratch, out);
        CHECK(worst(&s, out) <= 2e-6);
        free(scratch), free(out);
        sequence_done(&s);
    }
}

/* A query's bits are the same however the rows of its head are divided, down to one at a time. */
static void any_division_gives_the_same_bits(void) {
    enum { N = 203 };
    static const size_t steps[] = {1, 2, 5, 6, 7, 16, 31, 64, 100};
    const struct attention_kernels *kinds[ATTENTION_KINDS_MAX + 1];
    struct sequence s = sequence_make(N, 2, 32, true, 2);
    struct attention in = input_bf16(&s);
    float *whole = mem_alloc(N * s.hidden, sizeof *whole);
    float *split = mem_alloc(N * s.hidden, sizeof *split);
    attention_kinds(true, kinds);
    for (size_t k = 0; kinds[k]; k++) {
        run(kinds[k], &in, N, whole);
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            memset(split, 0xff, N * s.hidden * sizeof *split);
            run(kinds[k], &in, steps[i], split);
            CHECK(memcmp(whole, split, N * s.hidden * sizeof *whole) == 0);
        }
    }
    free(whole), free(split);
    sequence_done(&s);
}

int main(void) {
    all_lengths_agree();
    sharp_scores_agree();
    weights_agree();
    extreme_scores_stay_finite();
    f32_call_agrees();
    any_division_gives_the_same_bits();
    return check_result();
}
