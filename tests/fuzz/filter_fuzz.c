/* filter_fuzz - filters and the fields they ask for: what passes is what a plain reading says.
 *
 * An input is a filter's JSON, then up to DOCUMENTS_N documents' fields, each behind a line of its
 * own, "%%". The fields are entered into an index (whose transaction is never committed) and the
 * filter is run there; an evaluator of our own reads filter and fields as JSON against JSON, by
 * docs/filters.md. Both must let the same documents through, and a facet of each field that the
 * filter names must count the documents that have it. Run it: docs/fuzzing.md. */
#include <assert.h>
#include <string.h>

#include "index/fields/facets.h"
#include "index/fields/fields.h"
#include "index/fields/filter.h"
#include "index/fixture.h"
#include "index/inside.h"
#include "tests/fuzz/fuzz.h"

enum { DOCUMENTS_N = 8, INPUT_MAX = 4096 };
static const char part[] = "\n%%\n";

/* ---- the oracle ---- */

/* Calls visit with every value under the name, which is joined with dots, until it says true. */
struct looking {
    const char *name;
    bool (*visit)(const struct json *value, const void *context);
    const void *context;
};

static bool look(const struct looking *looking, const struct json *json, const char *path) {
    char inner[FIELD_NAME_BYTES_MAX + 1]; /* longer ones were refused with the document */
    if (json_kind_of(json) == JSON_KIND_ARRAY) {
        for (size_t i = 0; i < json_count(json); i++)
            if (look(looking, json_at(json, i), path))
                return true;
        return false;
    }
    if (json_kind_of(json) != JSON_KIND_OBJECT)
        return json_kind_of(json) != JSON_KIND_NULL && strcmp(path, looking->name) == 0 &&
               looking->visit(json, looking->context);
    for (void *at = json_first(json); at; at = json_next(json, at)) {
        snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "", json_member_key(at));
        if (look(looking, json_member_value(at), inner))
            return true;
    }
    return false;
}

static bool any(const struct json *document, const char *name,
                bool (*visit)(const struct json *value, const void *context), const void *context) {
    const struct looking looking = {name, visit, context};
    return look(&looking, document, "");
}

static bool is_there(const struct json *value, const void *context) {
    (void)value, (void)context;
    return true;
}

/* -2: of different kinds. Of strings that are dates, the instants count. */
static int order_of(const struct json *a, const struct json *b) {
    struct field_value x, y;
    if (!field_value_of(a, &x) || !field_value_of(b, &y) || x.kind != y.kind)
        return -2;
    int order = memcmp(x.bytes, y.bytes, x.len < y.len ? x.len : y.len);
    return order ? (order > 0) - (order < 0) : (x.len > y.len) - (x.len < y.len);
}

static bool is_equal(const struct json *value, const void *wanted) {
    return order_of(value, wanted) == 0;
}

static bool has(const struct json *document, const char *name, const struct json *wanted) {
    return json_kind_of(wanted) == JSON_KIND_NULL ? !any(document, name, is_there, NULL)
                                                  : any(document, name, is_equal, wanted);
}

/* All bounds that stand in the object, for one value. */
static bool within(const struct json *value, const void *bounds) {
    for (void *at = json_first(bounds); at; at = json_next(bounds, at)) {
        const char *name = json_member_key(at);
        int order = order_of(value, json_member_value(at));
        bool greater = strncmp(name, "$gt", 3) == 0, equal = strlen(name) == 4;
        if ((greater || strncmp(name, "$lt", 3) == 0) &&
            !(order == (greater ? 1 : -1) || (equal && order == 0)))
            return false;
    }
    return true;
}

static bool holds(const struct json *document, const char *name, const struct json *what) {
    if (json_kind_of(what) != JSON_KIND_OBJECT)
        return has(document, name, what);
    bool ok = true, bounded = false;
    for (void *at = json_first(what); at; at = json_next(what, at)) {
        const char *op = json_member_key(at);
        const struct json *value = json_member_value(at);
        bool found = false;
        for (size_t i = 0; i < json_count(value); i++)
            found = found || has(document, name, json_at(value, i));
        bounded = bounded || op[1] == 'g' || op[1] == 'l';
        ok = ok && (strcmp(op, "$eq") == 0    ? has(document, name, value)
                    : strcmp(op, "$ne") == 0  ? !has(document, name, value)
                    : strcmp(op, "$in") == 0  ? found
                    : strcmp(op, "$nin") == 0 ? !found
                    : strcmp(op, "$not") == 0 ? !holds(document, name, value)
                    : strcmp(op, "$exists") == 0
                        ? any(document, name, is_there, NULL) == json_bool_of(value)
                        : true);
    }
    return ok && (!bounded || any(document, name, within, what));
}

static bool passes(const struct json *document, const struct json *filter) {
    for (void *at = json_first(filter); at; at = json_next(filter, at)) {
        const char *name = json_member_key(at);
        const struct json *what = json_member_value(at);
        size_t n = 0;
        for (size_t i = 0; i < json_count(what); i++)
            n += name[0] == '$' && json_kind_of(what) == JSON_KIND_ARRAY &&
                 passes(document, json_at(what, i));
        if (strcmp(name, "$and") == 0   ? n < json_count(what)
            : strcmp(name, "$or") == 0  ? n == 0
            : strcmp(name, "$not") == 0 ? passes(document, what)
                                        : !holds(document, name, what))
            return false;
    }
    return true;
}

/* ---- the index ---- */

static struct index *index_of(void) {
    static struct index *index;
    if (index)
        return index;
    char folder[64];
    struct error err;
    const struct index_settings settings = fixture_settings(INDEX_LEXICAL_NONE);
    fixture_memory_folder(folder);
    bool ok = index_create(folder, &settings, &index, &err);
    struct writer *writer = ok ? fixture_writer(index) : NULL;
    for (uint32_t i = 0; ok && i < DOCUMENTS_N; i++)
        fixture_put_fields(writer, i, "");
    ok = ok && writer_commit(writer, &err);
    writer_close(writer);
    fixture_remove(folder); /* it lives on while it is open */
    assert(ok && check_failed == 0);
    return index;
}

static void check_facets(struct snapshot *snapshot, struct json *const *documents,
                         const struct json *filter) {
    struct arena arena = {0};
    for (void *at = json_first(filter); at; at = json_next(filter, at)) {
        struct facet facet;
        struct error err;
        const char *name = json_member_key(at);
        size_t n = 0;
        for (size_t i = 0; i < DOCUMENTS_N; i++)
            n += documents[i] && any(documents[i], name, is_there, NULL);
        if (!facet_count(snapshot, name, strlen(name), 4, NULL, &arena, &facet, &err))
            continue;
        assert(facet.documents_n == n && facet.values_n <= 4 && facet.distinct_n >= facet.values_n);
        for (size_t i = 0; i < facet.values_n; i++)
            assert(facet.values[i].documents_n >= 1 && facet.values[i].documents_n <= n);
    }
    arena_done(&arena);
}

/* Enters what stands behind each "%%"; what is refused is a document without fields. */
static void enter(const char *text, const char *end, struct fields_batch *batch,
                  struct json **documents) {
    struct error err;
    for (uint32_t docid = 0; text && docid < DOCUMENTS_N; docid++) {
        const char *stop = memmem(text, (size_t)(end - text), part, sizeof part - 1);
        size_t len = (size_t)((stop ? stop : end) - text);
        if (len > 0 && fields_note(batch, docid, text, len, false, &err))
            documents[docid] = json_parse(text, len, &err);
        text = stop ? stop + sizeof part - 1 : NULL;
    }
}

static void compare(struct snapshot *snapshot, const struct filter *filter, const struct json *json,
                    struct json *const *documents) {
    struct arena arena = {0};
    struct docid_set set;
    struct error err;
    bool ok = filter_run(filter, snapshot, &arena, &set, &err);
    assert(ok);
    for (uint32_t docid = 0; docid < DOCUMENTS_N; docid++)
        assert(docid_set_has(&set, docid) == passes(documents[docid], json));
    assert(!filter_passes_all(filter) || docid_set_count(&set) == DOCUMENTS_N);
    check_facets(snapshot, documents, json);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data, *end = text + size;
    struct arena arena = {0};
    struct fields_batch batch = {0};
    struct json *documents[DOCUMENTS_N] = {0};
    struct filter *filter;
    struct error err;
    const char *stop = memmem(text, size, part, sizeof part - 1);
    struct json *json = json_parse(text, stop ? (size_t)(stop - text) : size, &err);
    if (size <= INPUT_MAX && json && filter_parse(json, &arena, &filter, &err)) {
        struct snapshot *seen, own;
        struct store_txn *txn;
        enter(stop ? stop + sizeof part - 1 : NULL, end, &batch, documents);
        bool ok = snapshot_open(index_of(), &seen, &err) &&
                  store_begin_write(index_of()->store, &txn, &err) &&
                  fields_write(txn, &batch, &err);
        assert(ok);
        own = *seen; /* sees what is not committed */
        own.txn = txn;
        compare(&own, filter, json, documents);
        store_abort(txn);
        snapshot_close(seen);
    }
    for (size_t i = 0; i < DOCUMENTS_N; i++)
        json_release(documents[i]);
    json_release(json);
    fields_done(&batch);
    arena_done(&arena);
    return 0;
}
