#include "index/fields/filter.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "index/fields/fields.h"
#include "index/inside.h"

enum filter_kind {
    FILTER_ALL,    /* of the children; of none: every document */
    FILTER_ANY,    /* of the children */
    FILTER_NOT,    /* the one child */
    FILTER_VALUES, /* the field has one of the values */
    FILTER_RANGE,  /* the field has a value between the bounds */
};

struct filter {
    enum filter_kind kind;
    struct filter *children, *next; /* a list: children, then each one's next */
    const char *field;
    size_t field_len;
    struct field_value *values; /* [values_n]; of a range: low, high */
    size_t values_n;
    struct field_range range;
};

/* ---- reading ---- */

enum { PATH_BYTES_MAX = 200 };

struct parser {
    struct arena *arena;
    size_t terms_n;
    char path[PATH_BYTES_MAX]; /* where we are, for messages */
    size_t path_len;
};

static size_t path_push(struct parser *parser, const char *name) {
    size_t before = parser->path_len, room = PATH_BYTES_MAX - before;
    int n = snprintf(parser->path + before, room, ".%s", name);
    parser->path_len += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
    return before;
}

static void path_pop(struct parser *parser, size_t before) {
    parser->path_len = before;
    parser->path[before] = '\0';
}

static bool wrong(const struct parser *parser, struct error *err, const char *what,
                  const struct json *found) {
    return error_set(err, ERROR_INVALID, "%s: %s, found %s", parser->path, what,
                     json_kind_name(json_kind_of(found)));
}

static bool count_term(struct parser *parser, struct error *err) {
    return ++parser->terms_n <= FILTER_TERMS_MAX ||
           error_set(err, ERROR_LIMIT, "filter: more than %d conditions and values",
                     FILTER_TERMS_MAX);
}

static struct filter *make(struct parser *parser, enum filter_kind kind) {
    struct filter *filter = ARENA_ZERO(parser->arena, struct filter, 1);
    filter->kind = kind;
    return filter;
}

static struct filter *make_not(struct parser *parser, struct filter *child) {
    struct filter *filter = make(parser, FILTER_NOT);
    filter->children = child;
    return filter;
}

static void add_child(struct filter *parent, struct filter *child) {
    child->next = parent->children;
    parent->children = child;
}

/* All or any of one is that one. */
static struct filter *only(struct filter *filter) {
    return filter->children && !filter->children->next ? filter->children : filter;
}

/* What is said of one field. */
struct subject {
    const char *field;
    size_t field_len;
};

static struct filter *make_leaf(struct parser *parser, struct subject subject,
                                enum filter_kind kind, size_t values_n) {
    struct filter *filter = make(parser, kind);
    filter->field = subject.field;
    filter->field_len = subject.field_len;
    filter->values = ARENA_ZERO(parser->arena, struct field_value, values_n);
    return filter;
}

static struct filter *make_exists(struct parser *parser, struct subject subject) {
    struct filter *filter = make_leaf(parser, subject, FILTER_VALUES, 1);
    filter->values[filter->values_n++].kind = FIELD_EXISTS;
    return filter;
}

/* "Has one of them": a list's values, or the one. null is the field's absence. */
static bool parse_values(struct parser *parser, struct subject subject, const struct json *json,
                         bool list, struct filter **out, struct error *err) {
    size_t n = list ? json_count(json) : 1;
    if (list && json_kind_of(json) != JSON_KIND_ARRAY)
        return wrong(parser, err, "must be a list of values", json);
    struct filter *filter = make(parser, FILTER_ANY);
    struct filter *leaf =
        make_leaf(parser, subject, FILTER_VALUES, n < FILTER_TERMS_MAX ? n : FILTER_TERMS_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct json *value = list ? json_at(json, i) : json;
        if (!count_term(parser, err))
            return false;
        if (json_kind_of(value) == JSON_KIND_NULL)
            add_child(filter, make_not(parser, make_exists(parser, subject)));
        else if (field_value_of(value, &leaf->values[leaf->values_n]))
            leaf->values_n++;
        else
            return wrong(parser, err, "must be a string, a number, true, false or null", value);
    }
    add_child(filter, leaf);
    *out = only(filter);
    return true;
}

static bool parse_exists(struct parser *parser, struct subject subject, const struct json *json,
                         struct filter **out, struct error *err) {
    if (json_kind_of(json) != JSON_KIND_BOOL)
        return wrong(parser, err, "must be true or false", json);
    if (!count_term(parser, err))
        return false;
    struct filter *exists = make_exists(parser, subject);
    *out = json_bool_of(json) ? exists : make_not(parser, exists);
    return true;
}

/* A bound of the range; all bounds of a field in one object make one range. */
static bool parse_bound(struct parser *parser, const char *name, const struct json *json,
                        struct filter *leaf, struct error *err) {
    struct field_range *range = &leaf->range;
    bool low = name[1] == 'g', open = name[3] == '\0';
    struct field_value *value = &leaf->values[low ? 0 : 1];
    if (!count_term(parser, err))
        return false;
    if (low ? range->low != NULL : range->high != NULL)
        return error_set(err, ERROR_INVALID, "%s: there is a %s bound already", parser->path,
                         low ? "lower" : "upper");
    if (!field_value_of(json, value) || (value->kind != FIELD_NUMBER && value->kind != FIELD_DATE))
        return wrong(parser, err, "must be a number or a date such as \"2024-02-29T12:30:00Z\"",
                     json);
    if ((range->low || range->high) && range->kind != value->kind)
        return error_set(err, ERROR_INVALID, "%s: one bound is a number, the other a date",
                         parser->path);
    range->kind = value->kind;
    if (low) {
        range->low = value;
        range->low_open = open;
    } else {
        range->high = value;
        range->high_open = open;
    }
    return true;
}

static bool is_bound(const char *name) {
    return strcmp(name, "$gt") == 0 || strcmp(name, "$gte") == 0 || strcmp(name, "$lt") == 0 ||
           strcmp(name, "$lte") == 0;
}

static bool parse_subject(struct parser *parser, struct subject subject, const struct json *json,
                          unsigned depth, struct filter **out, struct error *err);

/* One operator of a field's object, but for the bounds. */
static bool parse_operator(struct parser *parser, struct subject subject, const char *name,
                           const struct json *json, unsigned depth, struct filter **out,
                           struct error *err) {
    bool negated =
        strcmp(name, "$ne") == 0 || strcmp(name, "$nin") == 0 || strcmp(name, "$not") == 0;
    bool ok;
    if (strcmp(name, "$eq") == 0 || strcmp(name, "$ne") == 0)
        ok = parse_values(parser, subject, json, false, out, err);
    else if (strcmp(name, "$in") == 0 || strcmp(name, "$nin") == 0)
        ok = parse_values(parser, subject, json, true, out, err);
    else if (strcmp(name, "$exists") == 0)
        ok = parse_exists(parser, subject, json, out, err);
    else if (strcmp(name, "$not") == 0)
        ok = json_kind_of(json) == JSON_KIND_OBJECT
                 ? parse_subject(parser, subject, json, depth + 1, out, err)
                 : wrong(parser, err, "must be an object of operators", json);
    else
        return error_set(err, ERROR_INVALID,
                         "%s: no operator; a field knows $eq, $ne, $gt, $gte, $lt, $lte, $in, "
                         "$nin, $exists and $not (a field within a field is \"outer.inner\")",
                         parser->path);
    if (ok && negated)
        *out = make_not(parser, *out);
    return ok;
}

static bool check_depth(const struct parser *parser, unsigned depth, struct error *err) {
    return depth <= FILTER_DEPTH_MAX ||
           error_set(err, ERROR_LIMIT, "%s: more than %d deep", parser->path, FILTER_DEPTH_MAX);
}

/* What a field must be: a value, or an object of operators that must all hold. */
static bool parse_subject(struct parser *parser, struct subject subject, const struct json *json,
                          unsigned depth, struct filter **out, struct error *err) {
    if (!check_depth(parser, depth, err))
        return false;
    if (json_kind_of(json) == JSON_KIND_ARRAY)
        return wrong(parser, err, "must be a value or operators ($in takes a list)", json);
    if (json_kind_of(json) != JSON_KIND_OBJECT)
        return parse_values(parser, subject, json, false, out, err);
    if (json_count(json) == 0)
        return error_set(err, ERROR_INVALID, "%s: holds no operator", parser->path);
    struct filter *all = make(parser, FILTER_ALL), *range = NULL, *child = NULL;
    for (void *at = json_first(json); at; at = json_next(json, at)) {
        const char *name = json_member_key(at);
        size_t before = path_push(parser, name);
        if (is_bound(name)) {
            if (!range) {
                range = make_leaf(parser, subject, FILTER_RANGE, 2);
                add_child(all, range);
            }
            if (!parse_bound(parser, name, json_member_value(at), range, err))
                return false;
        } else {
            if (!parse_operator(parser, subject, name, json_member_value(at), depth, &child, err))
                return false;
            add_child(all, child);
        }
        path_pop(parser, before);
    }
    *out = only(all);
    return true;
}

static bool parse_object(struct parser *parser, const struct json *json, unsigned depth,
                         struct filter **out, struct error *err);

static bool parse_list(struct parser *parser, const struct json *json, enum filter_kind kind,
                       unsigned depth, struct filter **out, struct error *err) {
    struct filter *filter = make(parser, kind), *child = NULL;
    char place[24];
    if (json_kind_of(json) != JSON_KIND_ARRAY)
        return wrong(parser, err, "must be a list of filters", json);
    if (json_count(json) == 0)
        return error_set(err, ERROR_INVALID,
                         "%s: the list is empty; it must hold one filter or more", parser->path);
    for (size_t i = 0; i < json_count(json); i++) {
        snprintf(place, sizeof place, "%zu", i);
        size_t before = path_push(parser, place);
        if (!parse_object(parser, json_at(json, i), depth + 1, &child, err))
            return false;
        add_child(filter, child);
        path_pop(parser, before);
    }
    *out = only(filter);
    return true;
}

static bool parse_member(struct parser *parser, const char *name, const struct json *json,
                         unsigned depth, struct filter **out, struct error *err) {
    struct subject subject = {arena_text(parser->arena, name, strlen(name)), strlen(name)};
    if (strcmp(name, "$and") == 0 || strcmp(name, "$or") == 0)
        return parse_list(parser, json, name[1] == 'a' ? FILTER_ALL : FILTER_ANY, depth, out, err);
    if (strcmp(name, "$not") == 0) {
        if (!parse_object(parser, json, depth + 1, out, err))
            return false;
        *out = make_not(parser, *out);
        return true;
    }
    if (name[0] == '$')
        return error_set(err, ERROR_INVALID, "%s: must be a field's name, or $and, $or or $not",
                         parser->path);
    return parse_subject(parser, subject, json, depth, out, err);
}

/* All members must hold. */
static bool parse_object(struct parser *parser, const struct json *json, unsigned depth,
                         struct filter **out, struct error *err) {
    struct filter *all = make(parser, FILTER_ALL), *child = NULL;
    if (!check_depth(parser, depth, err) || !count_term(parser, err))
        return false;
    if (json_kind_of(json) != JSON_KIND_OBJECT)
        return wrong(parser, err, "must be an object", json);
    for (void *at = json_first(json); at; at = json_next(json, at)) {
        size_t before = path_push(parser, json_member_key(at));
        if (!parse_member(parser, json_member_key(at), json_member_value(at), depth, &child, err))
            return false;
        add_child(all, child);
        path_pop(parser, before);
    }
    *out = only(all);
    return true;
}

bool filter_parse(const struct json *json, struct arena *arena, struct filter **out,
                  struct error *err) {
    struct parser parser = {.arena = arena, .path = "filter", .path_len = strlen("filter")};
    return parse_object(&parser, json, 1, out, err);
}

bool filter_passes_all(const struct filter *filter) {
    if (filter->kind != FILTER_ALL)
        return false;
    for (const struct filter *child = filter->children; child; child = child->next)
        if (!filter_passes_all(child))
            return false;
    return true;
}

/* ---- running ---- */

/* Two sets of one snapshot are equally long. */
static void set_and(struct docid_set *set, const struct docid_set *other) {
    for (size_t i = 0; i < set->words_n; i++)
        set->words[i] &= other->words[i];
}

static void set_or(struct docid_set *set, const struct docid_set *other) {
    for (size_t i = 0; i < set->words_n; i++)
        set->words[i] |= other->words[i];
}

static void set_fill(struct docid_set *set, uint64_t word) {
    for (size_t i = 0; i < set->words_n; i++)
        set->words[i] = word;
}

static bool run_leaf(const struct filter *filter, struct snapshot *snapshot, struct docid_set *set,
                     struct error *err) {
    if (filter->kind == FILTER_RANGE)
        return fields_collect(snapshot, filter->field, filter->field_len, &filter->range, set, err);
    for (size_t i = 0; i < filter->values_n; i++) {
        const struct field_value *value = &filter->values[i];
        struct field_range range = {.kind = value->kind, .low = value, .high = value};
        if (!fields_collect(snapshot, filter->field, filter->field_len, &range, set, err))
            return false;
    }
    return true;
}

/* Each level of JSON becomes at most three of filters, and a field's operators five. */
enum { SCRATCH_MAX = 3 * FILTER_DEPTH_MAX + 8 };

struct running {
    struct snapshot *snapshot;
    struct arena *arena;
    struct docid_set scratch[SCRATCH_MAX]; /* one a level, made when first needed */
};

/* Those that pass, dead ones perhaps among them, into a set that was empty. */
static bool run(const struct filter *filter, struct running *running, size_t level,
                struct docid_set *set, struct error *err) {
    if (filter->kind == FILTER_VALUES || filter->kind == FILTER_RANGE)
        return run_leaf(filter, running->snapshot, set, err);
    assert(level < SCRATCH_MAX);
    struct docid_set *one = &running->scratch[level];
    if (filter->kind == FILTER_ALL)
        set_fill(set, UINT64_MAX);
    for (const struct filter *child = filter->children; child; child = child->next) {
        if (!one->words)
            *one = docid_set_new(snapshot_docid_end(running->snapshot), running->arena);
        else
            set_fill(one, 0);
        if (!run(child, running, level + 1, one, err))
            return false;
        if (filter->kind == FILTER_ALL)
            set_and(set, one);
        else
            set_or(set, one);
    }
    if (filter->kind == FILTER_NOT)
        for (size_t i = 0; i < set->words_n; i++)
            set->words[i] = ~set->words[i];
    return true;
}

static bool take_out(uint32_t docid, void *context) {
    struct docid_set *set = context;
    set->words[docid / 64] &= ~(UINT64_C(1) << (docid % 64));
    return true;
}

static void add_range(struct docid_set *set, uint32_t begin, uint32_t end) {
    uint32_t at = begin;
    for (; at < end && at % 64 != 0; at++)
        docid_set_add(set, at);
    for (; end - at >= 64; at += 64)
        set->words[at / 64] = UINT64_MAX;
    for (; at < end; at++)
        docid_set_add(set, at);
}

static struct docid_set live_set(const struct snapshot *snapshot, struct arena *arena) {
    const struct segments *segments = &snapshot->published->segments;
    struct docid_set live = docid_set_new(snapshot_docid_end(snapshot), arena);
    for (size_t i = 0; i < segments->n; i++) {
        const struct segment *segment = &segments->items[i];
        add_range(&live, segment->docid_begin, segment->docid_end);
        roaring_iterate(segment->tombstones, take_out, &live);
    }
    return live;
}

bool filter_run(const struct filter *filter, struct snapshot *snapshot, struct arena *arena,
                struct docid_set *out, struct error *err) {
    struct docid_set found = docid_set_new(snapshot_docid_end(snapshot), arena);
    struct running running = {.snapshot = snapshot, .arena = arena};
    if (!run(filter, &running, 0, &found, err))
        return false;
    struct docid_set live = live_set(snapshot, arena);
    set_and(&found, &live);
    *out = found;
    return true;
}

bool filter_count(const struct filter *filter, struct index *index, uint64_t *out,
                  struct error *err) {
    struct snapshot *snapshot;
    struct arena arena = {0};
    struct docid_set set;
    if (!snapshot_open(index, &snapshot, err))
        return false;
    bool ok = filter_run(filter, snapshot, &arena, &set, err);
    if (ok)
        *out = docid_set_count(&set);
    arena_done(&arena);
    snapshot_close(snapshot);
    return ok;
}
