/* Facets: counted here document by document, from the same JSON. */
#include "index/fields/facets.h"

#include "engine/base/mem.h"
#include "index/fields/filter.h"
#include "index/fixture.h"

enum { KEYS_N = 700, VALUES_MAX = 4000, LONG = 300 };

struct fix {
    char folder[64];
    struct index *index;
    struct writer *writer;
    struct arena arena;
    unsigned long long seed;
    struct buf fields[KEYS_N]; /* of each key; nothing: it has none */
};

static unsigned draw(struct fix *fix, unsigned n) {
    return (unsigned)(check_random(&fix->seed) >> 20) % n;
}

static struct fix *fix_open(unsigned long long seed) {
    struct index_settings settings = {0};
    struct fix *fix = mem_zalloc(1, sizeof *fix);
    fix->seed = seed;
    fix->index = fixture_new(fix->folder, &settings);
    fix->writer = fixture_writer(fix->index);
    return fix;
}

static void fix_close(struct fix *fix) {
    fixture_unmake(fix->folder, fix->index, fix->writer);
    arena_done(&fix->arena);
    for (size_t i = 0; i < KEYS_N; i++)
        buf_done(&fix->fields[i]);
    free(fix);
}

static void put(struct fix *fix, uint32_t key, const char *fields) {
    fixture_put_fields(fix->writer, key, fields);
    buf_clear(&fix->fields[key]);
    buf_text(&fix->fields[key], fields);
}

/* One of few values, of every kind; those at the end are strings that only a hash is kept of. */
static void draw_value(struct fix *fix, struct buf *out) {
    unsigned kind = draw(fix, 6), n = draw(fix, 5) * draw(fix, 5);
    if (kind == 0)
        buf_text(out, n % 2 ? "true" : "false");
    else if (kind == 1)
        buf_format(out, "%g", ((double)n - 8) / 4);
    else if (kind == 2)
        buf_format(out, "\"%04u-02-%02u\"", 1999 + n, n + 1);
    else if (kind == 3)
        buf_format(out, "\"2024-02-03T04:05:%02u.%06uZ\"", n, 250 * n + 1);
    else if (kind == 4)
        buf_format(out, "\"word %u\"", n);
    else
        buf_format(out, "\"%0*u\"", LONG, n);
}

static void fill(struct fix *fix, uint32_t n) {
    struct error err;
    struct buf fields = {0};
    for (uint32_t i = 0; i < n; i++) {
        buf_clear(&fields);
        buf_format(&fields, "{\"n\":%u", draw(fix, 100));
        if (draw(fix, 5)) {
            buf_text(&fields, ",\"a\":");
            draw_value(fix, &fields);
        }
        if (draw(fix, 2)) {
            buf_text(&fields, ",\"b\":{\"c\":[null,");
            draw_value(fix, &fields);
            buf_text(&fields, ",");
            draw_value(fix, &fields);
            buf_text(&fields, "]}");
        }
        buf_text(&fields, "}");
        put(fix, draw(fix, KEYS_N), fields.data);
        if (draw(fix, 60) == 0)
            CHECK_OK(writer_commit(fix->writer, &err), err);
    }
    CHECK_OK(writer_commit(fix->writer, &err), err);
    buf_done(&fields);
}

/* ---- the oracle ---- */

/* Values as JSON text, with their counts. */
struct oracle {
    char *texts[VALUES_MAX];
    unsigned counts[VALUES_MAX];
    uint32_t last[VALUES_MAX]; /* the document that was counted last: an array counts once */
    size_t n;
    uint64_t documents_n;
};

static bool count_value(struct oracle *oracle, const struct json *json, uint32_t key) {
    struct buf text = {0};
    bool any = false;
    size_t i = 0;
    for (size_t j = 0; j < json_count(json); j++)
        any |= count_value(oracle, json_at(json, j), key);
    if (json_kind_of(json) == JSON_KIND_ARRAY || json_kind_of(json) == JSON_KIND_NULL)
        return any;
    json_print(json, &text);
    while (i < oracle->n && strcmp(oracle->texts[i], text.data) != 0)
        i++;
    if (i == oracle->n) {
        oracle->texts[oracle->n++] = mem_strdup(text.data);
        oracle->last[i] = UINT32_MAX;
        oracle->counts[i] = 0;
    }
    oracle->counts[i] += oracle->last[i] != key;
    oracle->last[i] = key;
    buf_done(&text);
    return true;
}

static void count_all(struct fix *fix, struct oracle *oracle, bool nested, unsigned n_max) {
    struct error err;
    *oracle = (struct oracle){0};
    for (uint32_t key = 0; key < KEYS_N; key++) {
        const struct buf *fields = &fix->fields[key];
        struct json *json = fields->len ? json_parse(fields->data, fields->len, &err) : NULL;
        const struct json *value =
            nested ? json_get(json_get(json, "b"), "c") : json_get(json, "a");
        if (json && json_number_of(json_get(json, "n")) < n_max)
            oracle->documents_n += count_value(oracle, value, key);
        json_release(json);
    }
}

static void forget(struct oracle *oracle) {
    for (size_t i = 0; i < oracle->n; i++)
        free(oracle->texts[i]);
}

/* Each value's count is the oracle's, no value that is left out has more, and ties are in order. */
static void check_facet(const struct facet *facet, const struct oracle *oracle, size_t limit) {
    struct buf text = {0};
    bool listed[VALUES_MAX] = {false};
    CHECK_EQUAL(facet->distinct_n, oracle->n);
    CHECK_EQUAL(facet->documents_n, oracle->documents_n);
    CHECK_EQUAL(facet->values_n, limit < oracle->n ? limit : oracle->n);
    for (size_t i = 0; i < facet->values_n; i++) {
        const struct facet_value *value = &facet->values[i], *before = value - 1;
        struct json *json = facet_value_json(value);
        size_t at = 0;
        buf_clear(&text);
        json_print(json, &text);
        json_release(json);
        while (at < oracle->n && strcmp(oracle->texts[at], text.data) != 0)
            at++;
        CHECK(at < oracle->n && !listed[at]);
        if (at == oracle->n) {
            fprintf(stderr, "no document has %s\n", text.data);
            continue;
        }
        listed[at] = true;
        CHECK_EQUAL(value->documents_n, oracle->counts[at]);
        CHECK(i == 0 || before->documents_n > value->documents_n ||
              (before->documents_n == value->documents_n && before->kind <= value->kind));
        if (i > 0 && before->documents_n == value->documents_n && before->kind == value->kind &&
            value->kind != FIELD_LONG)
            CHECK(memcmp(before->bytes, value->bytes,
                         before->len < value->len ? before->len : value->len) < 0);
    }
    for (size_t at = 0; at < oracle->n; at++)
        CHECK(listed[at] || (facet->values_n > 0 &&
                             oracle->counts[at] <= facet->values[facet->values_n - 1].documents_n));
    buf_done(&text);
}

static struct docid_set allowed_by(struct fix *fix, struct snapshot *snapshot, unsigned n_max) {
    struct error err;
    struct filter *filter;
    struct docid_set set = {0};
    char text[64];
    int len = snprintf(text, sizeof text, "{\"n\":{\"$lt\":%u}}", n_max);
    struct json *json = json_parse(text, (size_t)len, &err);
    CHECK_OK(json && filter_parse(json, &fix->arena, &filter, &err) &&
                 filter_run(filter, snapshot, &fix->arena, &set, &err),
             err);
    json_release(json);
    return set;
}

static void as_the_oracle_says(void) {
    static const size_t limits[] = {1, 3, 10, FACET_LIMIT_MAX};
    struct error err;
    struct snapshot *snapshot;
    struct facet facet;
    struct fix *fix = fix_open(3);
    struct oracle *oracle = mem_alloc(1, sizeof *oracle);
    for (int round = 0; round < 4; round++) {
        fill(fix, 400);
        CHECK_OK(snapshot_open(fix->index, &snapshot, &err), err);
        for (int nested = 0; nested < 2; nested++)
            for (unsigned n_max = 0; n_max <= 100; n_max += 50) {
                const char *field = nested ? "b.c" : "a";
                struct docid_set set = allowed_by(fix, snapshot, n_max);
                count_all(fix, oracle, nested, n_max);
                for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
                    CHECK_OK(facet_count(snapshot, field, strlen(field), limits[i],
                                         n_max == 100 ? NULL : &set, &fix->arena, &facet, &err),
                             err);
                    check_facet(&facet, oracle, limits[i]);
                }
                forget(oracle);
                arena_reset(&fix->arena);
            }
        snapshot_close(snapshot);
    }
    free(oracle);
    fix_close(fix);
}

/* Values in several chunks, and so many documents of one that its container is bits. */
static void many_documents(void) {
    enum { N = 70000, EVERY = 9 };
    struct error err;
    struct snapshot *snapshot;
    struct facet facet;
    struct fix *fix = fix_open(4);
    for (unsigned i = 0; i < N; i++) {
        char key[16], fields[40];
        struct record record = {.key = key, .fields = fields};
        record.key_len = (size_t)snprintf(key, sizeof key, "%u", i);
        record.fields_len = (size_t)snprintf(fields, sizeof fields, "{\"a\":%s,\"n\":%u}",
                                             i % EVERY ? "false" : "true", i % 50000);
        CHECK_OK(writer_put(fix->writer, &record, &err), err);
    }
    CHECK_OK(writer_commit(fix->writer, &err), err);
    CHECK_OK(snapshot_open(fix->index, &snapshot, &err), err);
    CHECK_OK(facet_count(snapshot, "a", 1, 10, NULL, &fix->arena, &facet, &err), err);
    CHECK_EQUAL(facet.values_n, 2);
    CHECK_EQUAL(facet.values[0].documents_n, N - (N + EVERY - 1) / EVERY);
    CHECK_EQUAL(facet.values[1].documents_n, (N + EVERY - 1) / EVERY);
    struct docid_set set = allowed_by(fix, snapshot, 10000); /* docids 0 .., 50,000 .. */
    CHECK_OK(facet_count(snapshot, "n", 1, 5, &set, &fix->arena, &facet, &err), err);
    CHECK_EQUAL(facet.distinct_n, 10000);
    CHECK_EQUAL(facet.documents_n, 20000);
    CHECK_EQUAL(facet.values[0].documents_n, 2);
    CHECK_OK(facet_count(snapshot, "nobody", 6, 5, NULL, &fix->arena, &facet, &err), err);
    CHECK_EQUAL(facet.distinct_n + facet.documents_n + facet.values_n, 0);
    CHECK(!facet_count(snapshot, "n", 1, 0, NULL, &fix->arena, &facet, &err));
    CHECK(!facet_count(snapshot, "n", 1, FACET_LIMIT_MAX + 1, NULL, &fix->arena, &facet, &err));
    snapshot_close(snapshot);
    fix_close(fix);
}

/* Dates beyond the years that are written with four digits, which only a zone can reach. */
static void dates_read_as_they_were(void) {
    static const char *const dates[][2] = {
        {"0000-01-01T00:30+01:00", "0000-01-01T23:29:00+23:59"},
        {"0000-01-01", "0000-01-01"},
        {"9999-12-31T23:59:59.999999-23:59", "9999-12-31T23:59:59.999999-23:59"},
        {"9999-12-31T23:59:59", "9999-12-31T23:59:59Z"},
        {"2000-02-29 00:00", "2000-02-29"},
        {"1900-02-28T23:59:59.5Z", "1900-02-28T23:59:59.500000Z"},
    };
    struct error err;
    struct snapshot *snapshot;
    struct facet facet;
    struct fix *fix = fix_open(5);
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
        char fields[80];
        struct field_value want, got;
        snprintf(fields, sizeof fields, "{\"a\":\"%s\"}", dates[i][0]);
        put(fix, 0, fields);
        CHECK_OK(writer_commit(fix->writer, &err), err);
        CHECK_OK(snapshot_open(fix->index, &snapshot, &err), err);
        CHECK_OK(facet_count(snapshot, "a", 1, 10, NULL, &fix->arena, &facet, &err), err);
        struct json *json = facet_value_json(&facet.values[0]);
        struct json *as_put = json_new_string(dates[i][0], strlen(dates[i][0]));
        CHECK_TEXT(json_string_of(json, NULL), dates[i][1]);
        CHECK(field_value_of(json, &got) && field_value_of(as_put, &want));
        CHECK(got.kind == FIELD_DATE && memcmp(got.bytes, want.bytes, 8) == 0);
        json_release(json);
        json_release(as_put);
        snapshot_close(snapshot);
    }
    fix_close(fix);
}

int main(void) {
    as_the_oracle_says();
    many_documents();
    dates_read_as_they_were();
    return check_result();
}
