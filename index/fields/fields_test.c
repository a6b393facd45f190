/* The table of fields: how values are read, kept, struck out and refused. */
#include "index/fields/fields.h"

#include <float.h>
#include <math.h>

#include "engine/base/mem.h"
#include "index/fields/filter.h"
#include "index/fixture.h"

enum { KEYS_N = 100 };

struct fix {
    char folder[64];
    struct index *index;
    struct writer *writer;
    struct arena arena;
};

static struct fix *fix_open(void) {
    struct index_settings settings = {0};
    struct fix *fix = mem_zalloc(1, sizeof *fix);
    fix->index = fixture_new(fix->folder, &settings);
    fix->writer = fixture_writer(fix->index);
    return fix;
}

static void fix_close(struct fix *fix) {
    fixture_unmake(fix->folder, fix->index, fix->writer);
    arena_done(&fix->arena);
    free(fix);
}

static struct docid_set allowed_by(struct fix *fix, struct snapshot *snapshot, const char *text) {
    struct error err;
    struct filter *filter;
    struct docid_set set = {0};
    struct json *json = json_parse(text, strlen(text), &err);
    CHECK(json);
    bool ok = filter_parse(json, &fix->arena, &filter, &err) &&
              filter_run(filter, snapshot, &fix->arena, &set, &err);
    CHECK_OK(ok, err);
    json_release(json);
    return set;
}

static void values_are_what_they_read_as(void) {
    static const struct {
        const char *fields, *filter;
        bool passes;
    } cases[] = {
        {"{\"a\":\"2024-02-29T23:30:00-01:00\"}", "{\"a\":\"2024-03-01T00:30Z\"}", true},
        {"{\"a\":\"2024-03-01 00:30\"}", "{\"a\":\"2024-03-01T01:30:00.000000+01:00\"}", true},
        {"{\"a\":\"2024-03-01\"}", "{\"a\":{\"$gt\":\"2024-02-29T23:59:59.999999\"}}", true},
        {"{\"a\":\"2024-03-01\"}", "{\"a\":{\"$lt\":\"2024-03-01T00:00:00.000001\"}}", true},
        {"{\"a\":\"2000-03-01\"}", "{\"a\":{\"$gt\":\"2000-02-29T23:59\"}}", true},
        {"{\"a\":\"1900-03-01\"}", "{\"a\":\"1900-02-28T24:00\"}", false},
        {"{\"a\":\"1900-02-29\"}", "{\"a\":{\"$gt\":\"1900-01-01\"}}", false}, /* no such day */
        {"{\"a\":\"0000-01-01\"}", "{\"a\":{\"$lt\":\"0000-03-01\"}}", true},
        {"{\"a\":\"2024-03-01x\"}", "{\"a\":{\"$gt\":\"1900-01-01\"}}", false},
        {"{\"a\":\"12\"}", "{\"a\":12}", false},
        {"{\"a\":-0.0}", "{\"a\":0}", true},
        {"{\"a\":-1e300}", "{\"a\":{\"$lt\":-1e299}}", true},
        {"{\"a\":[1,9]}", "{\"a\":{\"$gt\":2,\"$lt\":8}}", false}, /* no one value lies between */
        {"{\"a\":[1,[5]]}", "{\"a\":{\"$gt\":2,\"$lt\":8}}", true},
        {"{\"a\":\"x\"}", "{\"a\":\"xy\"}", false},
        {"{\"a\":\"x\\u0000y\"}", "{\"a\":\"x\"}", false},
        {"{\"a\":\"x\\u0000y\"}", "{\"a\":\"x\\u0000y\"}", true},
        {"{\"a\":null}", "{\"a\":null}", true},
        {"{\"a\":[]}", "{\"a\":{\"$exists\":false}}", true},
        {"{\"a\":{\"b\":{\"c\":1}}}", "{\"a.b.c\":1}", true},
        {"{\"a\":{\"b\":1},\"ab\":2}", "{\"a\":{\"$exists\":true}}", false},
    };
    struct error err;
    struct fix *fix = fix_open();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct snapshot *snapshot;
        fixture_put_fields(fix->writer, 0, cases[i].fields);
        CHECK_OK(writer_commit(fix->writer, &err), err);
        CHECK_OK(snapshot_open(fix->index, &snapshot, &err), err);
        struct docid_set set = allowed_by(fix, snapshot, cases[i].filter);
        CHECK_EQUAL(docid_set_count(&set), cases[i].passes);
        if (docid_set_count(&set) != cases[i].passes)
            fprintf(stderr, "%s %s\n", cases[i].fields, cases[i].filter);
        snapshot_close(snapshot);
    }
    fix_close(fix);
}

static void long_keywords(void) {
    struct error err;
    struct snapshot *snapshot;
    char fields[4][512], word[400];
    struct fix *fix = fix_open();
    for (unsigned i = 0; i < 4; i++) { /* 254 bytes fit a key, 255 do not */
        memset(word, 'w', 252 + i);
        word[252 + i] = '\0';
        snprintf(fields[i], sizeof fields[i], "{\"a\":\"%s\"}", word);
        fixture_put_fields(fix->writer, i, fields[i]);
    }
    CHECK_OK(writer_commit(fix->writer, &err), err);
    CHECK_OK(snapshot_open(fix->index, &snapshot, &err), err);
    for (uint32_t i = 0; i < 4; i++) {
        struct docid_set set = allowed_by(fix, snapshot, fields[i]);
        CHECK_EQUAL(docid_set_count(&set), 1);
        CHECK(docid_set_has(&set, i));
    }
    snapshot_close(snapshot);
    fix_close(fix);
}

/* Many documents of one value turn the container from a list into bits; and several chunks. */
static void containers_of_both_kinds(void) {
    enum { N = 70000, EVERY = 9 };
    struct error err;
    struct snapshot *snapshot;
    struct fix *fix = fix_open();
    for (unsigned i = 0; i < N; i++) {
        char key[16], fields[40];
        struct record record = {.key = key, .fields = fields};
        record.key_len = (size_t)snprintf(key, sizeof key, "%u", i);
        record.fields_len = (size_t)snprintf(fields, sizeof fields, "{\"n\":%u,\"nine\":%s}", i,
                                             i % EVERY ? "false" : "true");
        CHECK_OK(writer_put(fix->writer, &record, &err), err);
        if (i % 20000 == 19999)
            CHECK_OK(writer_commit(fix->writer, &err), err);
    }
    CHECK_OK(writer_commit(fix->writer, &err), err);
    CHECK_OK(snapshot_open(fix->index, &snapshot, &err), err);
    struct docid_set set = allowed_by(fix, snapshot, "{\"nine\":true}");
    CHECK_EQUAL(docid_set_count(&set), (N + EVERY - 1) / EVERY);
    for (uint32_t i = 0; i < N; i += EVERY)
        CHECK(docid_set_has(&set, i));
    set = allowed_by(fix, snapshot, "{\"nine\":false,\"n\":{\"$gte\":65530,\"$lt\":65545}}");
    CHECK_EQUAL(docid_set_count(&set), 14); /* all but 65,538 */
    set = allowed_by(fix, snapshot, "{\"n\":{\"$lt\":100}}");
    CHECK_EQUAL(docid_set_count(&set), 100);
    snapshot_close(snapshot);
    fix_close(fix);
}

/* ---- ranges against comparing every number ---- */

/* Of every size and sign; or close together around a large one, as ids and times are. */
static double draw_number(unsigned long long *seed, bool close) {
    if (close)
        return 1e9 + (double)(check_random(seed) % 4000);
    double sign = check_random(seed) % 2 ? 1 : -1;
    switch (check_random(seed) % 4) {
    case 0: return sign * (double)(check_random(seed) % 1000);
    case 1:
        return sign * ldexp(1 + (double)check_random_float(seed), (int)(check_random(seed) % 600));
    case 2: return sign * ldexp(1, -(int)(check_random(seed) % 1074));
    default: return check_random(seed) % 2 ? sign * DBL_MAX : 0;
    }
}

static void check_range(struct fix *fix, struct snapshot *snapshot, const double *numbers, size_t n,
                        double low, double high, unsigned dice) {
    static const char *const lows[] = {"$gt", "$gte"}, *const highs[] = {"$lt", "$lte"};
    bool open_low = !(dice & 1), open_high = !(dice & 2), no_low = dice % 7 == 0,
         no_high = dice % 5 == 0;
    char text[128];
    size_t wrong = 0;
    if (no_low && no_high)
        no_low = false;
    int len = snprintf(text, sizeof text, "{\"a\":{");
    if (!no_low)
        len +=
            snprintf(text + len, sizeof text - (size_t)len, "\"%s\":%.17g", lows[!open_low], low);
    if (!no_high)
        len += snprintf(text + len, sizeof text - (size_t)len, "%s\"%s\":%.17g", no_low ? "" : ",",
                        highs[!open_high], high);
    snprintf(text + len, sizeof text - (size_t)len, "}}");
    struct docid_set set = allowed_by(fix, snapshot, text);
    for (uint32_t i = 0; i < n; i++) {
        bool above = no_low || numbers[i] > low || (!open_low && numbers[i] >= low);
        bool below = no_high || numbers[i] < high || (!open_high && numbers[i] <= high);
        wrong += docid_set_has(&set, i) != (above && below);
    }
    CHECK_EQUAL(wrong, 0);
    if (wrong)
        fprintf(stderr, "%s: %zu wrong\n", text, wrong);
}

static void ranges_of_every_size(bool close) {
    enum { N = 3000, RANGES = 400 };
    struct error err;
    struct snapshot *snapshot;
    unsigned long long seed = 31;
    double *numbers = mem_alloc(N, sizeof *numbers);
    struct fix *fix = fix_open();
    for (uint32_t i = 0; i < N; i++) {
        char fields[64];
        numbers[i] = draw_number(&seed, close);
        snprintf(fields, sizeof fields, "{\"a\":%.17g}", numbers[i]);
        fixture_put_fields(fix->writer, i, fields);
    }
    CHECK_OK(writer_commit(fix->writer, &err), err);
    CHECK_OK(snapshot_open(fix->index, &snapshot, &err), err);
    for (unsigned i = 0; i < RANGES; i++) {
        /* A bound is a number that is there, or any. */
        double low = i % 2 ? numbers[check_random(&seed) % N] : draw_number(&seed, close);
        double high = i % 3 ? numbers[check_random(&seed) % N] : draw_number(&seed, close);
        check_range(fix, snapshot, numbers, N, low < high || i % 10 == 0 ? low : high,
                    low < high ? high : low, (unsigned)check_random(&seed) % 1000);
        arena_reset(&fix->arena);
    }
    snapshot_close(snapshot);
    free(numbers);
    fix_close(fix);
}

/* A field that nobody has any more leaves nothing in the table. */
static void nothing_is_left_behind(void) {
    struct error err;
    struct store *store;
    struct store_txn *txn;
    uint64_t n = 1;
    struct fix *fix = fix_open();
    for (uint32_t i = 0; i < 300; i++) {
        char fields[64];
        snprintf(fields, sizeof fields, "{\"a\":[%u,\"%u\"],\"b\":{\"c\":true}}", i, i % 7);
        fixture_put_fields(fix->writer, i % KEYS_N, fields);
        if (i % 70 == 69)
            CHECK_OK(writer_commit(fix->writer, &err), err);
    }
    fixture_put_fields(fix->writer, 0, "{\"a\":1}");
    CHECK(fixture_delete(fix->writer, 0)); /* in one batch */
    for (uint32_t key = 1; key < KEYS_N; key++)
        CHECK(fixture_delete(fix->writer, key));
    CHECK_OK(writer_commit(fix->writer, &err), err);
    writer_close(fix->writer);
    index_close(fix->index);
    fix->writer = NULL;
    fix->index = NULL;
    CHECK_OK(store_open(fix->folder, STORE_READ, &store, &err), err);
    CHECK_OK(store_begin_read(store, &txn, &err), err);
    CHECK_OK(store_entries_n(txn, TABLE_FIELDS, &n, &err), err);
    CHECK_EQUAL(n, 0);
    store_abort(txn);
    store_close(store);
    fix_close(fix);
}

/* Fields that cannot be entered refuse the record, and the writer goes on. */
static void unfit_fields(void) {
    static const char *const wrong[] = {"[1]", "{\"a\":", "3"};
    struct error err;
    struct buf name = {0}, many = {0};
    struct fix *fix = fix_open();
    struct record view = {.key = "1", .key_len = 1};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        view.fields = wrong[i];
        view.fields_len = strlen(wrong[i]);
        CHECK(!writer_put(fix->writer, &view, &err) && err.code == ERROR_INVALID);
    }
    buf_format(&name, "{\"%0130d\":1}", 0);
    buf_text(&many, "{\"a\":[0");
    for (int i = 0; i < 4096; i++)
        buf_format(&many, ",%d", i);
    buf_text(&many, "]}");
    view.fields = name.data;
    view.fields_len = name.len;
    CHECK(!writer_put(fix->writer, &view, &err) && err.code == ERROR_LIMIT);
    view.fields = many.data;
    view.fields_len = many.len;
    CHECK(!writer_put(fix->writer, &view, &err) && err.code == ERROR_LIMIT);
    fixture_put_fields(fix->writer, 1, "{\"a\":1}");
    CHECK_OK(writer_commit(fix->writer, &err), err);
    buf_done(&name);
    buf_done(&many);
    fix_close(fix);
}

/* A container that is none is damage, and is said. */
static void damage_is_found(void) {
    static const uint8_t key[] = {'a', 0, 1, 0, 0};
    struct error err;
    struct store *store;
    struct store_txn *txn;
    struct snapshot *snapshot;
    struct filter *filter;
    struct docid_set set;
    struct fix *fix = fix_open();
    struct json *json = json_parse("{\"a\":{\"$exists\":true}}", 22, &err);
    fixture_put_fields(fix->writer, 1, "{\"a\":1}");
    CHECK_OK(writer_commit(fix->writer, &err), err);
    writer_close(fix->writer);
    index_close(fix->index);
    fix->writer = NULL;
    CHECK_OK(store_open(fix->folder, STORE_WRITE, &store, &err), err);
    CHECK_OK(store_begin_write(store, &txn, &err), err);
    CHECK_OK(store_put(txn, TABLE_FIELDS, key, sizeof key, "odd", 3, &err), err);
    CHECK_OK(store_commit(txn, &err), err);
    store_close(store);
    CHECK_OK(index_open(fix->folder, INDEX_READ, &fix->index, &err), err);
    CHECK_OK(snapshot_open(fix->index, &snapshot, &err), err);
    CHECK_OK(filter_parse(json, &fix->arena, &filter, &err), err);
    CHECK(!filter_run(filter, snapshot, &fix->arena, &set, &err));
    CHECK_EQUAL(err.code, ERROR_CORRUPT);
    snapshot_close(snapshot);
    json_release(json);
    fix_close(fix);
}

int main(void) {
    values_are_what_they_read_as();
    long_keywords();
    containers_of_both_kinds();
    ranges_of_every_size(false);
    ranges_of_every_size(true);
    nothing_is_left_behind();
    unfit_fields();
    damage_is_found();
    return check_result();
}
