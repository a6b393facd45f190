/* check.h - the few words our tests are written in.
 *
 * A test program is a main() that calls functions full of CHECKs and returns check_result(). A
 * failed CHECK prints file, line and what was expected, and the program goes on, so that one run
 * shows every failure. A program that lacks its input (the golden folder) returns CHECK_SKIP after
 * saying so: meson counts it as skipped, not as passed. */
#ifndef TERCET_TESTS_CHECK_H
#define TERCET_TESTS_CHECK_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHECK_SKIP = 77 };

static int check_done, check_failed;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        check_done++;                                                                              \
        if (!(condition)) {                                                                        \
            check_failed++;                                                                        \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                \
        }                                                                                          \
    } while (0)

/* Whole numbers of any type. */
#define CHECK_EQUAL(found, expected)                                                               \
    do {                                                                                           \
        long long check_f = (long long)(found), check_e = (long long)(expected);                   \
        check_done++;                                                                              \
        if (check_f != check_e) {                                                                  \
            check_failed++;                                                                        \
            fprintf(stderr, "%s:%d: %s is %lld, expected %lld\n", __FILE__, __LINE__, #found,      \
                    check_f, check_e);                                                             \
        }                                                                                          \
    } while (0)

#define CHECK_NEAR(found, expected, tolerance)                                                     \
    do {                                                                                           \
        double check_f = (double)(found), check_e = (double)(expected);                            \
        check_done++;                                                                              \
        if (!(fabs(check_f - check_e) <= (double)(tolerance))) {                                   \
            check_failed++;                                                                        \
            fprintf(stderr, "%s:%d: %s is %.9g, expected %.9g\n", __FILE__, __LINE__, #found,      \
                    check_f, check_e);                                                             \
        }                                                                                          \
    } while (0)

#define CHECK_TEXT(found, expected)                                                                \
    do {                                                                                           \
        const char *check_f = (found), *check_e = (expected);                                      \
        check_done++;                                                                              \
        if (!check_f || strcmp(check_f, check_e) != 0) {                                           \
            check_failed++;                                                                        \
            fprintf(stderr, "%s:%d: %s is \"%s\", expected \"%s\"\n", __FILE__, __LINE__, #found,  \
                    check_f ? check_f : "(null)", check_e);                                        \
        }                                                                                          \
    } while (0)

/* A call that takes `&err` last and must succeed. */
#define CHECK_OK(call, err)                                                                        \
    do {                                                                                           \
        check_done++;                                                                              \
        if (!(call)) {                                                                             \
            check_failed++;                                                                        \
            fprintf(stderr, "%s:%d: failed: %s: %s\n", __FILE__, __LINE__, #call, (err).message);  \
        }                                                                                          \
    } while (0)

static inline int check_result(void) {
    printf("%d checks, %d failed\n", check_done, check_failed);
    return check_failed || check_done == 0 ? 1 : 0;
}

/* The folder of shared test material (golden files, real models, data sets): TERCET_SHARED, which
 * meson sets to ../shared beside the source tree. NULL when there is none. */
static inline const char *check_shared_folder(void) {
    const char *folder = getenv("TERCET_SHARED");
    if (!folder || !*folder)
        return NULL;
    FILE *probe = fopen(folder, "r");
    if (!probe)
        return NULL;
    fclose(probe);
    return folder;
}

/* A small random generator with a seed, so that a failure can be run again. xorshift64*. */
static inline unsigned long long check_random(unsigned long long *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 2685821657736338717ULL;
}

static inline float check_random_float(unsigned long long *state) { /* in [-1, 1) */
    return (float)((double)(check_random(state) >> 11) / 4503599627370496.0 - 1.0);
}

#endif
