/* Student's distribution against tables; both tests on differences whose answer is known. */
#include "tools/eval/significance.h"

#include "tests/check.h"

static void student_against_tables(void) {
    /* The two-sided 5 % and 1 % points of the printed tables. */
    CHECK_NEAR(student_p(12.7062047, 1), .05, 1e-8);
    CHECK_NEAR(student_p(2.2281389, 10), .05, 1e-8);
    CHECK_NEAR(student_p(3.1692727, 10), .01, 1e-8);
    CHECK_NEAR(student_p(-1.9679296, 299), .05, 1e-7);
    CHECK_NEAR(student_p(0, 7), 1, 1e-15);
    CHECK_NEAR(student_p(1e6, 3) * 1e18, 2.2053158, 1e-4); /* (4 sqrt 3 / pi) / t^3 far out */
}

static void five_pairs(void) {
    /* Differences 1 2 3 4 5: mean 3, deviation sqrt 2.5, t = 3 / sqrt .5. */
    const double a[] = {0, 0, 0, 0, 0}, b[] = {1, 2, 3, 4, 5};
    struct significance s = significance_of(a, b, 5, 1);
    CHECK_NEAR(s.difference, 3, 1e-12);
    CHECK_NEAR(s.t, 3 / sqrt(.5), 1e-12);
    double at = s.t / sqrt(s.t * s.t + 4); /* the closed form for 4 degrees of freedom */
    CHECK_NEAR(s.p_t, 1 - 1.5 * at * (1 - at * at / 3), 1e-12);
    CHECK(s.better == 5 && s.worse == 0 && s.equal == 0);
    CHECK(s.low >= 1.4 && s.low <= 2 && s.high >= 4 && s.high <= 4.6);
    CHECK(s.p_bootstrap == 0); /* no draw's mean is 3 away from 3 */
}

static void what_is_equal_is_not_better(void) {
    const double a[] = {.1, .2, .3};
    struct significance s = significance_of(a, a, 3, 1);
    CHECK(s.difference == 0 && s.p_t == 1 && s.p_bootstrap == 1 && s.equal == 3);
    const double one[] = {.5}, two[] = {.7};
    s = significance_of(one, two, 1, 1);
    CHECK_NEAR(s.difference, .2, 1e-12);
    CHECK(s.p_t == 1); /* one query proves nothing */
}

/* Where the two systems differ by chance alone, p below .05 comes up about one time in twenty. */
static void chance_is_called_chance(void) {
    enum { TRIALS = 400, QUERIES = 50 };
    uint32_t state = 7;
    int t = 0, drawn = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        double a[QUERIES], b[QUERIES];
        for (int i = 0; i < QUERIES; i++) {
            a[i] = (double)((state = state * 1664525u + 1013904223u) >> 8) / (1 << 24);
            b[i] = (double)((state = state * 1664525u + 1013904223u) >> 8) / (1 << 24);
        }
        struct significance s = significance_of(a, b, QUERIES, (uint64_t)trial);
        t += s.p_t < .05;
        drawn += s.p_bootstrap < .05;
        CHECK(s.low <= s.difference && s.difference <= s.high);
    }
    CHECK(t >= 8 && t <= 36);
    CHECK(drawn >= 8 && drawn <= 40);
}

int main(void) {
    student_against_tables();
    five_pairs();
    what_is_equal_is_not_better();
    chance_is_called_chance();
    return check_result();
}
