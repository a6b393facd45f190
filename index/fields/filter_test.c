/* Filters: what passes against a plain reading of the JSON, searches against all scores. */
#include "index/fields/filter.h"

#include "engine/base/mem.h"
#include "index/dense/dense.h"
#include "index/fixture.h"

enum { KEYS_N = 1500, PUTS_N = 4000, TERMS_N = 40, FIELDS_BYTES_MAX = 512 };

static const char *const langs[] = {"en", "de", "e", "en\xc3\xa9", "", "2024", "EN"};
enum { LANGS_N = sizeof langs / sizeof *langs };

struct fix {
    char folder[64];
    struct index *index;
    struct writer *writer;
    struct arena arena;
    unsigned long long seed;
    uint32_t docid_next;
    uint32_t docid_of[KEYS_N];             /* UINT32_MAX: none */
    char fields[PUTS_N][FIELDS_BYTES_MAX]; /* by docid */
    bool live[PUTS_N];
};

static unsigned draw(struct fix *fix, unsigned n) {
    return (unsigned)(check_random(&fix->seed) >> 20) % n;
}

/* ---- documents and filters out of chance ---- */

/* All of one form, so that their order is that of their bytes. */
static void draw_date(struct fix *fix, char out[32]) {
    snprintf(out, 32, "%04u-%02u-%02uT%02u:00:00Z", 1960 + draw(fix, 80), 1 + draw(fix, 12),
             1 + draw(fix, 28), draw(fix, 24));
}

static void draw_fields(struct fix *fix, char out[FIELDS_BYTES_MAX]) {
    char date[32];
    int n = snprintf(out, FIELDS_BYTES_MAX, "{\"bucket\":%u", draw(fix, 1000));
    draw_date(fix, date);
    if (draw(fix, 4))
        n += snprintf(out + n, FIELDS_BYTES_MAX - (size_t)n, ",\"lang\":\"%s\"",
                      langs[draw(fix, LANGS_N)]);
    if (draw(fix, 4))
        n += snprintf(out + n, FIELDS_BYTES_MAX - (size_t)n, ",\"year\":%g",
                      ((int)draw(fix, 41) - 20) / 2.0);
    if (draw(fix, 3))
        n += snprintf(out + n, FIELDS_BYTES_MAX - (size_t)n, ",\"draft\":%s",
                      draw(fix, 2)   ? "true"
                      : draw(fix, 2) ? "false"
                                     : "null");
    if (draw(fix, 2))
        n += snprintf(out + n, FIELDS_BYTES_MAX - (size_t)n, ",\"day\":\"%s\"", date);
    if (draw(fix, 2))
        n += snprintf(out + n, FIELDS_BYTES_MAX - (size_t)n,
                      ",\"tags\":[\"%s\",%u,[\"%s\"]],\"author\":{\"name\":\"%s\"}",
                      langs[draw(fix, LANGS_N)], draw(fix, 9), langs[draw(fix, LANGS_N)],
                      langs[draw(fix, LANGS_N)]);
    snprintf(out + n, FIELDS_BYTES_MAX - (size_t)n, "}");
}

/* A value fit for the field drawn, as JSON; bounded: one that has an order. */
static const char *draw_field(struct fix *fix, bool bounded, char value[64]) {
    static const char *const names[] = {"bucket", "year",        "day",   "lang",
                                        "tags",   "author.name", "draft", "nothing"};
    unsigned field = draw(fix, bounded ? 3 : 8);
    char date[32];
    draw_date(fix, date);
    if (field == 0)
        snprintf(value, 64, "%u", draw(fix, 1000));
    else if (field == 1)
        snprintf(value, 64, "%g", ((int)draw(fix, 41) - 20) / 2.0);
    else if (field == 2)
        snprintf(value, 64, "\"%s\"", date);
    else if (field == 6)
        snprintf(value, 64, "%s", draw(fix, 2) ? "true" : draw(fix, 2) ? "false" : "null");
    else if (field == 4 && draw(fix, 2))
        snprintf(value, 64, "%u", draw(fix, 9));
    else
        snprintf(value, 64, "\"%s\"", langs[draw(fix, LANGS_N)]);
    return names[field];
}

static void draw_filter(struct fix *fix, unsigned depth, struct buf *out) {
    static const char *const lists[] = {"$and", "$or"}, *const lows[] = {"$gt", "$gte"},
                             *const highs[] = {"$lt", "$lte"}, *const same[] = {"$eq", "$ne"},
                             *const sets[] = {"$in", "$nin"};
    char value[64], other[64];
    unsigned kind = draw(fix, depth > 0 ? 9 : 6);
    const char *field = draw_field(fix, kind == 1 || kind == 2, value);
    if (kind == 0) {
        buf_format(out, "{\"%s\":%s}", field, value);
    } else if (kind == 1) {
        buf_format(out, "{\"%s\":{\"%s\":%s}}", field,
                   draw(fix, 2) ? lows[draw(fix, 2)] : highs[draw(fix, 2)], value);
    } else if (kind == 2) {
        while (draw_field(fix, true, other) != field)
            continue;
        buf_format(out, "{\"%s\":{\"%s\":%s,\"%s\":%s}}", field, lows[draw(fix, 2)], value,
                   highs[draw(fix, 2)], other);
    } else if (kind == 3) {
        buf_format(out, "{\"%s\":{\"%s\":%s}}", field, same[draw(fix, 2)], value);
    } else if (kind == 4) {
        while (draw_field(fix, false, other) != field)
            continue;
        buf_format(out, "{\"%s\":{\"%s\":[%s,%s]}}", field, sets[draw(fix, 2)], value, other);
    } else if (kind == 5) {
        buf_format(out, "{\"%s\":{\"$exists\":%s}}", field, draw(fix, 2) ? "true" : "false");
    } else if (kind == 6) {
        buf_text(out, "{\"$not\":");
        draw_filter(fix, depth - 1, out);
        buf_text(out, "}");
    } else {
        buf_format(out, "{\"%s\":[", lists[draw(fix, 2)]);
        for (unsigned i = 0, n = 1 + draw(fix, 3); i < n; i++) {
            buf_text(out, i ? "," : "");
            draw_filter(fix, depth - 1, out);
        }
        buf_format(out, "],\"%s\":{\"$not\":{\"$eq\":%s}}}", field, value);
    }
}

/* ---- the oracle: JSON against JSON ---- */

static bool compares(const struct json *value, const char *op, const struct json *operand) {
    if (json_kind_of(value) != json_kind_of(operand))
        return false;
    int order = 0;
    if (json_kind_of(value) == JSON_KIND_NUMBER) {
        double a = json_number_of(value), b = json_number_of(operand);
        order = (a > b) - (a < b);
    } else if (json_kind_of(value) == JSON_KIND_STRING) {
        order = strcmp(json_string_of(value, NULL), json_string_of(operand, NULL));
    } else {
        order = json_bool_of(value) - json_bool_of(operand);
    }
    return strcmp(op, "$gt") == 0    ? order > 0
           : strcmp(op, "$gte") == 0 ? order >= 0
           : strcmp(op, "$lt") == 0  ? order < 0
           : strcmp(op, "$lte") == 0 ? order <= 0
                                     : order == 0;
}

/* op "$exists": any value at all. */
static bool any_value(const struct json *value, const char *op, const struct json *operand) {
    if (json_kind_of(value) == JSON_KIND_ARRAY) {
        for (size_t i = 0; i < json_count(value); i++)
            if (any_value(json_at(value, i), op, operand))
                return true;
        return false;
    }
    if (json_kind_of(value) == JSON_KIND_NULL)
        return false;
    return strcmp(op, "$exists") == 0 || compares(value, op, operand);
}

static bool equals(const struct json *value, const struct json *operand) {
    return json_kind_of(operand) == JSON_KIND_NULL ? !any_value(value, "$exists", NULL)
                                                   : any_value(value, "$eq", operand);
}

static bool holds(const struct json *value, const char *op, const struct json *operand) {
    if (strcmp(op, "$eq") == 0 || strcmp(op, "$ne") == 0)
        return equals(value, operand) == (op[1] == 'e');
    if (strcmp(op, "$exists") == 0)
        return any_value(value, op, NULL) == json_bool_of(operand);
    if (strcmp(op, "$not") == 0) {
        void *inner = json_first(operand);
        return !holds(value, json_member_key(inner), json_member_value(inner));
    }
    if (strcmp(op, "$in") != 0 && strcmp(op, "$nin") != 0)
        return any_value(value, op, operand);
    bool found = false;
    for (size_t i = 0; i < json_count(operand); i++)
        found |= equals(value, json_at(operand, i));
    return found == (op[1] == 'i');
}

static bool passes(const struct json *filter, const struct json *document) {
    for (void *at = json_first(filter); at; at = json_next(filter, at)) {
        const char *name = json_member_key(at);
        const struct json *what = json_member_value(at);
        bool ok = true;
        if (strcmp(name, "$not") == 0) {
            ok = !passes(what, document);
        } else if (name[0] == '$') {
            size_t n = 0;
            for (size_t i = 0; i < json_count(what); i++)
                n += passes(json_at(what, i), document);
            ok = name[1] == 'a' ? n == json_count(what) : n > 0;
        } else {
            const struct json *value = strcmp(name, "author.name") == 0
                                           ? json_get(json_get(document, "author"), "name")
                                           : json_get(document, name);
            if (json_kind_of(what) != JSON_KIND_OBJECT)
                ok = equals(value, what);
            for (void *op = json_first(what); op; op = json_next(what, op))
                ok = ok && holds(value, json_member_key(op), json_member_value(op));
        }
        if (!ok)
            return false;
    }
    return true;
}

/* ---- the index under test ---- */

static void put(struct fix *fix, uint32_t key, const char *fields) {
    struct error err;
    struct fixture_record record;
    fixture_record(&fix->seed, INDEX_LEXICAL_BM25, TERMS_N, key, &record);
    struct record view = fixture_view(&record);
    view.fields = fields;
    view.fields_len = strlen(fields);
    CHECK_OK(writer_put(fix->writer, &view, &err), err);
    if (fix->docid_of[key] != UINT32_MAX)
        fix->live[fix->docid_of[key]] = false;
    fix->docid_of[key] = fix->docid_next;
    fix->live[fix->docid_next] = true;
    snprintf(fix->fields[fix->docid_next++], FIELDS_BYTES_MAX, "%s", fields);
}

static void delete (struct fix *fix, uint32_t key) {
    bool found = fixture_delete(fix->writer, key);
    CHECK_EQUAL(found, fix->docid_of[key] != UINT32_MAX);
    if (found)
        fix->live[fix->docid_of[key]] = false;
    fix->docid_of[key] = UINT32_MAX;
}

static struct fix *fix_open(unsigned long long seed) {
    struct index_settings settings = fixture_full_settings(INDEX_LEXICAL_BM25);
    struct fix *fix = mem_zalloc(1, sizeof *fix);
    fix->seed = seed;
    memset(fix->docid_of, 0xff, sizeof fix->docid_of);
    fix->index = fixture_new(fix->folder, &settings);
    fix->writer = fixture_writer(fix->index);
    return fix;
}

static void fix_close(struct fix *fix) {
    fixture_unmake(fix->folder, fix->index, fix->writer);
    arena_done(&fix->arena);
    free(fix);
}

/* Puts, replaces and deletes in batches of all sizes. */
static void fill(struct fix *fix, uint32_t puts_n) {
    struct error err;
    char fields[FIELDS_BYTES_MAX];
    for (uint32_t i = 0; i < puts_n; i++) {
        draw_fields(fix, fields);
        put(fix, draw(fix, KEYS_N), draw(fix, 50) ? fields : "");
        if (draw(fix, 5) == 0)
            delete (fix, draw(fix, KEYS_N));
        if (draw(fix, 60) == 0)
            CHECK_OK(writer_commit(fix->writer, &err), err);
    }
    CHECK_OK(writer_commit(fix->writer, &err), err);
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

/* ---- tests ---- */

static void check_filter(struct fix *fix, struct snapshot *snapshot, const char *text) {
    struct error err;
    struct json *filter = json_parse(text, strlen(text), &err);
    struct docid_set set = allowed_by(fix, snapshot, text);
    size_t wrong = 0;
    for (uint32_t docid = 0; docid < fix->docid_next; docid++) {
        const char *fields = fix->fields[docid][0] ? fix->fields[docid] : "{}";
        struct json *document = json_parse(fields, strlen(fields), &err);
        bool want = fix->live[docid] && passes(filter, document);
        wrong += want != docid_set_has(&set, docid);
        json_release(document);
    }
    CHECK_EQUAL(wrong, 0);
    if (wrong)
        fprintf(stderr, "%s\n", text);
    CHECK(docid_set_next(&set, fix->docid_next) == UINT32_MAX);
    json_release(filter);
}

static void as_the_oracle_says(void) {
    struct error err;
    struct buf text = {0};
    struct snapshot *snapshot;
    struct fix *fix = fix_open(7);
    for (int round = 0; round < 2; round++) {
        fill(fix, 1000);
        CHECK_OK(snapshot_open(fix->index, &snapshot, &err), err);
        check_filter(fix, snapshot, "{}");
        for (int i = 0; i < 60; i++) {
            buf_clear(&text);
            draw_filter(fix, 3, &text);
            check_filter(fix, snapshot, text.data);
            arena_reset(&fix->arena);
        }
        snapshot_close(snapshot);
    }
    buf_done(&text);
    fix_close(fix);
}

/* ---- searches ---- */

static void draw_query(struct fix *fix, float dense[FIXTURE_DIM], uint32_t ids[8], float weights[8],
                       struct sparse_vector *sparse) {
    for (size_t i = 0; i < FIXTURE_DIM; i++)
        dense[i] = check_random_float(&fix->seed);
    size_t n = fixture_ids(&fix->seed, 8, TERMS_N, ids);
    for (size_t i = 0; i < n; i++)
        weights[i] = 0.5f + draw(fix, 4);
    *sparse = (struct sparse_vector){ids, weights, n};
}

/* The first k of a full ranking that the set allows. */
static size_t expected(const struct scored_list *all, const struct docid_set *set, size_t k,
                       struct scored *out) {
    size_t n = 0;
    for (size_t i = 0; i < all->n && n < k; i++)
        if (docid_set_has(set, all->entries[i].docid))
            out[n++] = all->entries[i];
    return n;
}

static size_t shared(const struct scored_list *list, const struct scored *want, size_t n) {
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < list->n; j++)
            found += list->entries[j].docid == want[i].docid;
    return found;
}

static void check_same(const struct scored_list *list, const struct scored *want, size_t n) {
    CHECK_EQUAL(list->n, n);
    for (size_t i = 0; i < n && i < list->n; i++) {
        CHECK_EQUAL(list->entries[i].docid, want[i].docid);
        CHECK(list->entries[i].score == want[i].score);
    }
}

struct recall {
    size_t found, wanted;
};

/* One query in every mode. flat: every row is compared, so nothing may differ. */
static void check_query(struct fix *fix, struct snapshot *snapshot, const struct docid_set *set,
                        bool flat, struct recall *recall) {
    enum { K = 20 };
    struct error err;
    float dense[FIXTURE_DIM], weights[8];
    uint32_t ids[8];
    struct sparse_vector sparse;
    struct scored want[K];
    struct scored_list all, list;
    draw_query(fix, dense, ids, weights, &sparse);
    CHECK_OK(sparse_search(snapshot, &sparse, PUTS_N, NULL, &fix->arena, &all, &err), err);
    CHECK_OK(sparse_search(snapshot, &sparse, K, set, &fix->arena, &list, &err), err);
    check_same(&list, want, expected(&all, set, K, want));
    CHECK_OK(dense_search(snapshot, dense, PUTS_N, true, NULL, &fix->arena, &all, &err), err);
    size_t n = expected(&all, set, K, want);
    CHECK_OK(dense_search(snapshot, dense, K, true, set, &fix->arena, &list, &err), err);
    check_same(&list, want, n);
    CHECK_OK(dense_search(snapshot, dense, K, false, set, &fix->arena, &list, &err), err);
    CHECK_EQUAL(list.n, n);
    if (flat)
        check_same(&list, want, n);
    recall->found += shared(&list, want, n);
    recall->wanted += n;
    for (size_t i = 0; i < list.n; i++)
        CHECK(docid_set_has(set, list.entries[i].docid));
}

static void searches(bool flat) {
    static const unsigned buckets[] = {1000, 500, 100, 10, 1, 0}; /* of 1000 */
    struct error err;
    struct snapshot *snapshot;
    struct recall recall = {0};
    struct fix *fix = fix_open(flat ? 11 : 12);
    /* Through lists, if there are some, however few rows are allowed. */
    struct dense_limits limits = {.generation_rows_min = 1, .lists_rows_min = flat ? PUTS_N : 1};
    dense_index_set_limits(index_dense(fix->index), limits);
    fill(fix, 3000);
    CHECK_OK(writer_build_dense(fix->writer, 1, &err), err);
    fill(fix, 200); /* some are newer, some have died */
    for (size_t i = 0; i < sizeof buckets / sizeof *buckets; i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"bucket\":{\"$lt\":%u}}", buckets[i]);
        CHECK_OK(snapshot_open(fix->index, &snapshot, &err), err);
        for (int query = 0; query < 12; query++) {
            struct docid_set set = allowed_by(fix, snapshot, text);
            check_query(fix, snapshot, &set, flat, &recall);
            arena_reset(&fix->arena);
        }
        snapshot_close(snapshot);
    }
    printf("%s: %zu of %zu\n", flat ? "flat" : "lists", recall.found, recall.wanted);
    CHECK((double)recall.found >= 0.98 * (double)recall.wanted);
    fix_close(fix);
}

/* ---- refusals ---- */

static void mistakes_are_named(void) {
    static const struct {
        const char *text, *part;
    } wrong[] = {
        {"[]", "filter: must be an object, found an array"},
        {"{\"year\":{\"$gte\":true}}", "filter.year.$gte: must be a number or a date"},
        {"{\"year\":{\"$gte\":\"soon\"}}", "filter.year.$gte: must be a number or a date"},
        {"{\"year\":{\"$gt\":1,\"$gte\":2}}", "filter.year.$gte: there is a lower bound"},
        {"{\"year\":{\"$gt\":1,\"$lt\":\"2024-01-01\"}}", "one bound is a number"},
        {"{\"a\":{\"b\":1}}", "filter.a.b: no operator"},
        {"{\"a\":{}}", "filter.a: holds no operator"},
        {"{\"a\":[1]}", "filter.a: must be a value"},
        {"{\"a\":{\"$in\":3}}", "filter.a.$in: must be a list"},
        {"{\"a\":{\"$in\":[[3]]}}", "filter.a.$in: must be a string"},
        {"{\"a\":{\"$not\":3}}", "filter.a.$not: must be an object"},
        {"{\"a\":{\"$exists\":1}}", "filter.a.$exists: must be true or false"},
        {"{\"$or\":[]}", "filter.$or: the list is empty"},
        {"{\"$and\":{}}", "filter.$and: must be a list of filters, found an object"},
        {"{\"$or\":[{\"a\":1},{\"b\":{\"$x\":1}}]}", "filter.$or.1.b.$x: no operator"},
        {"{\"$nor\":[]}", "filter.$nor: must be a field's name"},
    };
    struct arena arena = {0};
    struct error err;
    struct filter *filter;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct json *json = json_parse(wrong[i].text, strlen(wrong[i].text), &err);
        CHECK(json);
        CHECK(!filter_parse(json, &arena, &filter, &err));
        CHECK_EQUAL(err.code, ERROR_INVALID);
        CHECK(strstr(err.message, wrong[i].part));
        if (!strstr(err.message, wrong[i].part))
            fprintf(stderr, "%s: %s\n", wrong[i].text, err.message);
        json_release(json);
    }
    arena_done(&arena);
}

static bool parses(const char *text, struct error *err) {
    struct arena arena = {0};
    struct filter *filter;
    struct json *json = json_parse(text, strlen(text), err);
    CHECK(json);
    bool ok = filter_parse(json, &arena, &filter, err);
    json_release(json);
    arena_done(&arena);
    return ok;
}

static void limits_hold(void) {
    struct error err;
    for (int depth = FILTER_DEPTH_MAX; depth <= FILTER_DEPTH_MAX + 1; depth++) {
        struct buf text = {0};
        for (int i = 1; i < depth; i++)
            buf_text(&text, "{\"$not\":");
        buf_text(&text, "{\"a\":1}");
        for (int i = 1; i < depth; i++)
            buf_text(&text, "}");
        CHECK_EQUAL(parses(text.data, &err), depth == FILTER_DEPTH_MAX);
        buf_done(&text);
    }
    CHECK_EQUAL(err.code, ERROR_LIMIT);
    for (int n = FILTER_TERMS_MAX - 1; n <= FILTER_TERMS_MAX; n++) { /* one is the object's */
        struct buf text = {0};
        buf_text(&text, "{\"a\":{\"$in\":[0");
        for (int i = 1; i < n; i++)
            buf_format(&text, ",%d", i);
        buf_text(&text, "]}}");
        CHECK_EQUAL(parses(text.data, &err), n < FILTER_TERMS_MAX);
        buf_done(&text);
    }
    CHECK_EQUAL(err.code, ERROR_LIMIT);
}

int main(void) {
    as_the_oracle_says();
    searches(true);
    searches(false);
    mistakes_are_named();
    limits_hold();
    return check_result();
}
