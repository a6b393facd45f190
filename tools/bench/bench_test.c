/* What `tercet bench` counts and measures, on the embedded model. */
#include "tools/bench/measure.h"
#include "tools/bench/npy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/pool.h"
#include "tests/check.h"

/* The embedded model: 12 layers, 384 wide, 1,536 between, 30,522 ids of which 101 and 102 stand
 * around a text. */
static struct model *model;

static void test_cost(void) {
    uint32_t ids[10] = {0};
    struct forward_sequence texts[2] = {{.ids = ids, .n = 10}, {.ids = ids, .n = 3}};
    struct cost cost = cost_of(model, texts, 2);
    CHECK(cost.linear == 2.0 * 12 * 13 * (4 * 384 * 384 + 2 * 384 * 1536));
    CHECK(cost.attention == 2.0 * 12 * (10 * 10 + 3 * 3) * 2 * 384);
    struct cost_peak one = measure_peak(model, NULL);
    CHECK(one.linear_kernels && one.attention_kernels);
    CHECK(one.linear_gops >= 0 && isfinite(one.linear_gops));
}

/* Two threads can do about twice as much, or as much where they share one core. */
static void test_peak_of_threads(void) {
    struct pool *pool = pool_open(2);
    struct cost_peak one = measure_peak(model, NULL), two = measure_peak(model, pool);
    CHECK_TEXT(two.linear_kernels, one.linear_kernels);
    CHECK(two.linear_gops >= 0.6 * one.linear_gops && two.linear_gops <= 4 * one.linear_gops);
    pool_close(pool);
}

static void test_made(void) {
    struct cases cases = {0};
    struct error err;
    CHECK(cases_make(model, false, &cases, &err));
    CHECK_EQUAL(cases.n, 4); /* no long document: the model reads 512 tokens */
    for (size_t i = 0; i < cases.n; i++) {
        const struct bench_case *which = &cases.list[i];
        CHECK(which->texts_n > 0 && which->batch > 0);
        for (size_t j = 0; j < which->texts_n; j++) {
            const struct forward_sequence *text = &which->texts[j];
            CHECK(text->n >= 2 && text->n <= model_info(model)->length_max);
            CHECK_EQUAL(text->ids[0], 101);
            CHECK_EQUAL(text->ids[text->n - 1], 102);
            for (size_t k = 1; k + 1 < text->n; k++)
                CHECK(text->ids[k] > 102 && text->ids[k] < model_info(model)->vocabulary_n);
        }
    }
    cases_done(&cases);
}

static const char *write_inputs(const char *json) {
    static char folder[] = "/tmp/tercet-bench-test-XXXXXX";
    static bool made;
    char path[256];
    struct error err;
    if (!made)
        CHECK(mkdtemp(folder));
    made = true;
    snprintf(path, sizeof path, "%s/inputs.json", folder);
    CHECK(file_write_atomic(path, json, strlen(json), &err));
    return folder;
}

static void test_refused(const char *json, const char *part) {
    struct cases cases = {0};
    struct error err = {0};
    CHECK(!cases_read(model, write_inputs(json), &cases, &err));
    CHECK_EQUAL(err.code, ERROR_INVALID);
    if (!strstr(err.message, part))
        fprintf(stderr, "%s: \"%s\" is not in it\n", err.message, part);
    CHECK(strstr(err.message, part));
    CHECK(cases.list == NULL);
}

static void test_bad_inputs(void) {
    test_refused("{}", "cases");
    test_refused("[]", "cases");
    test_refused("{\"cases\":{}}", "cases");
    test_refused("{\"cases\":{\"a\":{\"kind\":\"slow\",\"texts\":[[1]]}}}", "kind \"slow\"");
    test_refused("{\"cases\":{\"a\":{\"kind\":\"fixed\",\"texts\":[]}}}", "texts");
    test_refused("{\"cases\":{\"a\":{\"kind\":\"fixed\",\"texts\":[[]]}}}", "text 0");
    test_refused("{\"cases\":{\"a\":{\"kind\":\"fixed\",\"texts\":[[1],[30522]]}}}", "text 1");
    test_refused("{\"cases\":{\"a\":{\"kind\":\"fixed\",\"texts\":[[1.5]]}}}", "token 0");
    test_refused("{\"cases\":{\"a\":{\"kind\":\"fixed\",\"texts\":[[\"1\"]]}}}", "token 0");
    test_refused("{\"cases\":{\"a\":{\"kind\":\"fixed\",\"texts\":[[1]],\"batch\":0}}}", "batch");
    test_refused("{\"cases\":{\"a\":", "line");
    struct cases cases = {0};
    struct error err;
    CHECK(!cases_read(model, "/nowhere", &cases, &err));
    CHECK_EQUAL(err.code, ERROR_NOT_FOUND);
}

/* Batches and threads change no vector, and each text's stands in its own place. */
static void test_measured(void) {
    static const char json[] =
        "{\"cases\":{\"one\":{\"kind\":\"latency\",\"texts\":[[101,2000,102],[101,2001,2002,102],"
        "[101,2003,102]]},\"two\":{\"kind\":\"corpus\",\"batch\":2,\"texts\":[[101,2000,102],"
        "[101,2001,2002,102],[101,2003,102]]}}}";
    struct pool *pool = pool_open(2);
    struct cases cases = {0};
    struct measured alone, batched;
    struct error err;
    CHECK(cases_read(model, write_inputs(json), &cases, &err));
    CHECK_EQUAL(cases.n, 2);
    CHECK_TEXT(cases.list[1].name, "two");
    measure_case(model, NULL, &cases.list[0], 0, &alone);
    measure_case(model, pool, &cases.list[1], 0, &batched);
    CHECK_EQUAL(alone.width, 384);
    CHECK_EQUAL(alone.tokens_n, 10);
    CHECK_EQUAL(alone.passes_n, 1);
    CHECK(alone.p50_ms > 0 && alone.p99_ms >= alone.p50_ms && alone.pass_s > 0);
    CHECK(alone.pass_cpu_s > 0);
    struct cosines same = measure_cosines(alone.outputs, batched.outputs, 3, 384);
    CHECK(same.min > 0.999999);
    struct cosines other = measure_cosines(alone.outputs, alone.outputs + 384, 2, 384);
    CHECK(other.min < 0.999 && other.mean >= other.min && other.mean < 1);
    measured_done(&alone);
    measured_done(&batched);
    cases_done(&cases);
    pool_close(pool);
}

/* ---- a race's inputs as numpy writes them ---- */

/* The file as numpy.save writes it: a header padded to 64 bytes, then the values. */
static void write_npy(const char *folder, const char *descr, const char *shape, size_t bytes) {
    static const float values[] = {0, 1.5F, -2, 3, 4, 5};
    char file[256] = "\x93NUMPY\x01\x00\x76", path[256];
    struct error err;
    memset(file + 9, 0, 1);
    int len = snprintf(file + 10, 119, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
                       descr, shape);
    memset(file + 10 + len, ' ', 118 - (size_t)len);
    file[127] = '\n';
    memcpy(file + 128, values, sizeof values);
    snprintf(path, sizeof path, "%s/x.npy", folder);
    CHECK(file_write_atomic(path, file, 128 + bytes, &err));
}

static bool opens(const char *folder, const char *kind) {
    struct npy npy;
    struct error err;
    bool ok = npy_open(folder, "x", kind, &npy, &err);
    if (ok)
        npy_close(&npy);
    else
        CHECK(strstr(err.message, "x.npy"));
    return ok;
}

static void test_npy(void) {
    const char *folder = write_inputs("{}");
    char path[256];
    struct npy npy;
    struct error err;
    write_npy(folder, "<f4", "3, 2", 24);
    CHECK(npy_open(folder, "x", "f4", &npy, &err));
    CHECK_EQUAL(npy.dimensions_n, 2);
    CHECK_EQUAL(npy.shape[0], 3);
    CHECK_EQUAL(npy.shape[1], 2);
    CHECK_EQUAL(npy.values_n, 6);
    CHECK(((const float *)npy.data)[1] == 1.5F);
    npy_close(&npy);
    CHECK(!opens(folder, "i4"));
    write_npy(folder, "<f4", "6,", 24);
    CHECK(opens(folder, "f4"));
    write_npy(folder, "<f4", "3, 2", 23);
    CHECK(!opens(folder, "f4"));
    write_npy(folder, "<f4", "4294967296, 4294967296", 24);
    CHECK(!opens(folder, "f4"));
    write_npy(folder, "<f4", "3, two", 24);
    CHECK(!opens(folder, "f4"));
    snprintf(path, sizeof path, "%s/x.npy", folder);
    CHECK(unlink(path) == 0);
    CHECK(!opens(folder, "f4"));
}

int main(void) {
    struct model_options options = {0};
    struct error err;
    CHECK(model_open(&options, &model, &err));
    test_cost();
    test_peak_of_threads();
    test_made();
    test_bad_inputs();
    test_measured();
    test_npy();
    const char *folder = write_inputs("{}");
    char path[256];
    snprintf(path, sizeof path, "%s/inputs.json", folder);
    CHECK(unlink(path) == 0 && rmdir(folder) == 0);
    model_close(model);
    return check_result();
}
