#include "query/request.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/fields/filter.h"

/* Weights beyond this only hide a mistake, and sums of them stay finite in f32. */
static const double weight_max = 1e6;

static bool read_word(const struct json *json, const char *field, const char **out, size_t *len_out,
                      struct error *err) {
    const struct json *word = json_get(json, field);
    if (json_kind_of(word) == JSON_KIND_NULL)
        return true;
    if (json_kind_of(word) != JSON_KIND_STRING)
        return error_set(err, ERROR_INVALID, "\"%s\" must be a string, found %s", field,
                         json_kind_name(json_kind_of(word)));
    *out = json_string_of(word, len_out);
    return true;
}

static bool read_query(const struct json *json, struct search_request *request, struct error *err) {
    return read_word(json, "query", &request->query, &request->query_len, err);
}

static bool read_like(const struct json *json, struct search_request *request, struct error *err) {
    return read_word(json, "like", &request->like, &request->like_len, err);
}

static bool read_modes(const struct json *json, struct search_request *request, struct error *err) {
    const struct json *modes = json_get(json, "modes");
    if (json_kind_of(modes) == JSON_KIND_NULL)
        return true;
    if (json_kind_of(modes) != JSON_KIND_ARRAY || json_count(modes) == 0)
        return error_set(err, ERROR_INVALID,
                         "\"modes\" must be a list of some of \"dense\", \"sparse\", \"multi\"");
    for (size_t i = 0; i < json_count(modes); i++) {
        const struct json *name = json_at(modes, i);
        unsigned mode = 0;
        if (json_kind_of(name) != JSON_KIND_STRING)
            return error_set(err, ERROR_INVALID, "\"modes\" must hold strings, found %s",
                             json_kind_name(json_kind_of(name)));
        if (!fuse_modes_parse(json_string_of(name, NULL), &mode, err))
            return false;
        if (request->modes & mode)
            return error_set(err, ERROR_INVALID, "\"modes\" names %s twice",
                             json_string_of(name, NULL));
        request->modes |= mode;
    }
    return true;
}

static bool read_weight(const struct json *value, const char *name, float *out, struct error *err) {
    double weight = json_kind_of(value) == JSON_KIND_NUMBER ? json_number_of(value) : -1;
    if (!(weight >= 0 && weight <= weight_max))
        return error_set(err, ERROR_INVALID, "the weight of %s must be a number from 0 to %g", name,
                         weight_max);
    *out = (float)weight;
    return true;
}

static bool read_weights(const struct json *json, struct search_request *request,
                         struct error *err) {
    const struct json *weights = json_get(json, "weights");
    enum json_kind kind = json_kind_of(weights);
    if (kind == JSON_KIND_NULL)
        return true;
    if (kind != JSON_KIND_OBJECT &&
        (kind != JSON_KIND_ARRAY || json_count(weights) != FUSE_MODES_N))
        return error_set(err, ERROR_INVALID,
                         "\"weights\" must be {\"dense\":..,\"sparse\":..,\"multi\":..} or three "
                         "numbers in that order");
    size_t known = 0;
    for (int mode = 0; mode < FUSE_MODES_N; mode++) {
        const char *name = fuse_mode_name((enum fuse_mode)mode);
        const struct json *weight =
            kind == JSON_KIND_ARRAY ? json_at(weights, (size_t)mode) : json_get(weights, name);
        if (!weight)
            continue;
        if (!read_weight(weight, name, &request->weights[mode], err))
            return false;
        known++;
    }
    if (known != json_count(weights))
        return error_set(err, ERROR_INVALID, "\"weights\" knows dense, sparse and multi only");
    request->weights_given = true;
    return true;
}

static bool read_fusion(const struct json *json, struct search_request *request,
                        struct error *err) {
    const char *fusion = NULL;
    if (!json_read_string(json, "fusion", &fusion, err))
        return false;
    request->fusion_given = fusion != NULL;
    return !fusion || fuse_method_parse(fusion, &request->fusion, err);
}

static bool read_k(const struct json *json, struct search_request *request, struct error *err) {
    return json_read_u32(json, "k", 1, SEARCH_K_MAX, &request->k, err);
}

static bool read_offset(const struct json *json, struct search_request *request,
                        struct error *err) {
    return json_read_u32(json, "offset", 0, SEARCH_K_MAX - 1, &request->offset, err) &&
           search_check_page(request, err);
}

static bool read_text(const struct json *json, struct search_request *request, struct error *err) {
    bool text = true;
    if (!json_read_bool(json, "text", &text, err))
        return false;
    request->no_text = !text;
    return true;
}

static bool read_candidates(const struct json *json, struct search_request *request,
                            struct error *err) {
    return json_read_u32(json, "candidates", 1, SEARCH_CANDIDATES_MAX, &request->candidates, err);
}

static bool read_explain(const struct json *json, struct search_request *request,
                         struct error *err) {
    return json_read_bool(json, "explain", &request->explain, err);
}

static bool read_exact(const struct json *json, struct search_request *request, struct error *err) {
    return json_read_bool(json, "exact", &request->exact, err);
}

static bool read_sparse_mass(const struct json *json, struct search_request *request,
                             struct error *err) {
    double mass = 1;
    if (!json_read_double(json, "sparse_mass", -INFINITY, INFINITY, &mass, err))
        return false;
    request->sparse_mass = (float)mass;
    if (!(request->sparse_mass > 0 && request->sparse_mass <= 1))
        return error_set(err, ERROR_INVALID,
                         "\"sparse_mass\" must be above 0 and at most 1, found %g", mass);
    return !(request->exact && request->sparse_mass < 1) ||
           error_set(err, ERROR_INVALID, "\"sparse_mass\" %g is not \"exact\"", mass);
}

static bool read_rerank(const struct json *json, struct search_request *request,
                        struct error *err) {
    const struct json *value = json_get(json, "rerank");
    struct search_rerank *rerank = &request->rerank;
    static const char *const known[] = {"model", "top", "deadline_ms"};
    size_t known_n = 0;
    if (json_kind_of(value) == JSON_KIND_NULL)
        return true;
    if (json_kind_of(value) != JSON_KIND_OBJECT)
        return error_set(err, ERROR_INVALID,
                         "\"rerank\" must be {\"model\",\"top\",\"deadline_ms\"}, all of which may "
                         "be left out, found %s",
                         json_kind_name(json_kind_of(value)));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        known_n += json_get(value, known[i]) != NULL;
    if (known_n != json_count(value))
        return error_set(err, ERROR_INVALID, "\"rerank\" knows model, top and deadline_ms only");
    rerank->wanted = true;
    return (json_read_string(value, "model", &rerank->model, err) &&
            json_read_u32(value, "top", 1, SEARCH_RERANK_MAX, &rerank->top, err) &&
            json_read_u32(value, "deadline_ms", 1, SEARCH_DEADLINE_MS_MAX, &rerank->deadline_ms,
                          err)) ||
           error_wrap(err, "\"rerank\": ");
}

static bool read_highlight_fields(const struct json *fields, unsigned *out, struct error *err) {
    if (json_kind_of(fields) == JSON_KIND_NULL)
        return true;
    *out = 0;
    for (size_t i = 0; i < json_count(fields); i++) {
        const struct json *name = json_at(fields, i);
        const char *text = json_kind_of(name) == JSON_KIND_STRING ? json_string_of(name, NULL) : "";
        for (int field = 0; field < SEARCH_FIELDS_N; field++)
            if (strcmp(text, search_field_name((enum search_field)field)) == 0)
                *out |= 1u << field;
    }
    size_t known = 0;
    for (int field = 0; field < SEARCH_FIELDS_N; field++)
        known += *out >> field & 1;
    return (known > 0 && known == json_count(fields)) ||
           error_set(err, ERROR_INVALID,
                     "\"highlight\": \"fields\" must be a list of \"title\" and \"text\"");
}

static bool read_highlight(const struct json *json, struct search_request *request,
                           struct error *err) {
    const struct json *value = json_get(json, "highlight");
    struct search_highlighting *highlight = &request->highlight;
    highlight->fields = 1u << SEARCH_TITLE | 1u << SEARCH_TEXT;
    if (json_kind_of(value) == JSON_KIND_NULL)
        return true;
    if (json_kind_of(value) == JSON_KIND_BOOL) {
        highlight->wanted = json_bool_of(value);
        return true;
    }
    size_t known = (json_get(value, "fields") != NULL) + (json_get(value, "max") != NULL);
    if (json_kind_of(value) != JSON_KIND_OBJECT || known != json_count(value))
        return error_set(
            err, ERROR_INVALID,
            "\"highlight\" must be true, or {\"fields\":[\"title\",\"text\"],\"max\"}");
    highlight->wanted = true;
    if (!json_read_u32(value, "max", 1, SEARCH_HIGHLIGHTS_MAX, &highlight->max, err))
        return error_wrap(err, "\"highlight\": ");
    return read_highlight_fields(json_get(value, "fields"), &highlight->fields, err);
}

/* Read here only to be refused here, by its name; the search reads it again into its own arena. */
static bool read_filter(const struct json *json, struct search_request *request,
                        struct error *err) {
    const struct json *filter = json_get(json, "filter");
    struct arena arena = {0};
    struct filter *ignored;
    if (json_kind_of(filter) == JSON_KIND_NULL)
        return true;
    bool ok = filter_parse(filter, &arena, &ignored, err);
    arena_done(&arena);
    request->filter = filter;
    return ok;
}

bool request_facet_add(struct search_request *request, const char *field, size_t len,
                       struct error *err) {
    for (size_t i = 0; i < request->facets_n; i++)
        if (request->facets[i].field_len == len &&
            memcmp(request->facets[i].field, field, len) == 0)
            return error_set(err, ERROR_INVALID, "facets: \"%.*s\" is named twice", (int)len,
                             field);
    if (request->facets_n == SEARCH_FACETS_MAX)
        return error_set(err, ERROR_LIMIT, "facets: more than %d fields", SEARCH_FACETS_MAX);
    request->facets[request->facets_n++] = (struct search_facet){field, len};
    return true;
}

static bool read_facets(const struct json *json, struct search_request *request,
                        struct error *err) {
    const struct json *facets = json_get(json, "facets");
    if (json_kind_of(facets) == JSON_KIND_NULL)
        return true;
    if (json_kind_of(facets) != JSON_KIND_ARRAY)
        return error_set(err, ERROR_INVALID,
                         "\"facets\" must be a list of fields' names, such as [\"lang\"], found %s",
                         json_kind_name(json_kind_of(facets)));
    for (size_t i = 0; i < json_count(facets); i++) {
        const struct json *field = json_at(facets, i);
        size_t len;
        if (json_kind_of(field) != JSON_KIND_STRING)
            return error_set(err, ERROR_INVALID,
                             "\"facets\" must hold fields' names (\"facet_limit\" is beside it), "
                             "found %s",
                             json_kind_name(json_kind_of(field)));
        const char *name = json_string_of(field, &len);
        if (!request_facet_add(request, name, len, err))
            return false;
    }
    return true;
}

static bool read_facet_limit(const struct json *json, struct search_request *request,
                             struct error *err) {
    return json_read_u32(json, "facet_limit", 1, FACET_LIMIT_MAX, &request->facet_limit, err);
}

/* In the order of reading: what is checked against another field comes behind it. */
static const struct reader {
    const char *field;
    bool (*read)(const struct json *, struct search_request *, struct error *);
} readers[] = {
    {"query", read_query},
    {"like", read_like},
    {"k", read_k},
    {"offset", read_offset},
    {"modes", read_modes},
    {"weights", read_weights},
    {"fusion", read_fusion},
    {"candidates", read_candidates},
    {"exact", read_exact},
    {"sparse_mass", read_sparse_mass},
    {"filter", read_filter},
    {"facets", read_facets},
    {"facet_limit", read_facet_limit},
    {"rerank", read_rerank},
    {"explain", read_explain},
    {"highlight", read_highlight},
    {"text", read_text},
};

/* What a query may be instead of a text. */
static const struct vectors_reader {
    const char *field;
    bool (*read)(const struct json *, struct arena *, struct query_vectors *, struct error *);
} vectors_readers[] = {
    {"dense", vectors_read_dense},
    {"sparse", vectors_read_sparse},
    {"multi", vectors_read_multi},
};

enum {
    READERS_N = sizeof readers / sizeof *readers,
    FIELDS_N = READERS_N + sizeof vectors_readers / sizeof *vectors_readers,
};

static const char *field_name(size_t i) {
    return i < READERS_N ? readers[i].field : vectors_readers[i - READERS_N].field;
}

static bool refuse_unknown(const char *key, struct error *err) {
    char known[ERROR_MESSAGE_MAX] = "";
    size_t len = 0;
    for (size_t i = 0; i < FIELDS_N; i++)
        len += (size_t)snprintf(known + len, sizeof known - len, "%s%s",
                                i == 0             ? ""
                                : i + 1 < FIELDS_N ? ", "
                                                   : " and ",
                                field_name(i));
    return error_set(err, ERROR_INVALID, "unknown field \"%.64s\": known here are %s", key, known);
}

static bool known_fields_only(const struct json *json, char field_out[REQUEST_FIELD_MAX],
                              struct error *err) {
    for (void *at = json_first(json); at; at = json_next(json, at)) {
        const char *key = json_member_key(at);
        size_t i = 0;
        while (i < FIELDS_N && strcmp(key, field_name(i)) != 0)
            i++;
        if (i < FIELDS_N)
            continue;
        snprintf(field_out, REQUEST_FIELD_MAX, "%s", key);
        return refuse_unknown(key, err);
    }
    return true;
}

bool request_from_json(const struct json *json, struct arena *arena, struct search_request *out,
                       char field_out[REQUEST_FIELD_MAX], struct error *err) {
    struct search_request request = {0};
    field_out[0] = '\0';
    if (json_kind_of(json) != JSON_KIND_OBJECT)
        return error_set(err, ERROR_INVALID, "a search request must be a JSON object, found %s",
                         json_kind_name(json_kind_of(json)));
    if (!known_fields_only(json, field_out, err))
        return false;
    for (size_t i = 0; i < FIELDS_N; i++)
        if (!(i < READERS_N
                  ? readers[i].read(json, &request, err)
                  : vectors_readers[i - READERS_N].read(json, arena, &request.vectors, err))) {
            snprintf(field_out, REQUEST_FIELD_MAX, "%s", field_name(i));
            return false;
        }
    if (!search_check_source(&request, err)) {
        snprintf(field_out, REQUEST_FIELD_MAX, "%s", request.like ? "like" : "query");
        return false;
    }
    *out = request;
    return true;
}

bool request_weights_parse(const char *list, float weights_out[FUSE_MODES_N], struct error *err) {
    float weights[FUSE_MODES_N];
    const char *at = list;
    for (int mode = 0; mode < FUSE_MODES_N; mode++) {
        char *end;
        double weight = strtod(at, &end);
        bool last = mode == FUSE_MODES_N - 1;
        if (end == at || !(weight >= 0 && weight <= weight_max) || *end != (last ? '\0' : ','))
            return error_set(err, ERROR_INVALID,
                             "weights must be three numbers from 0 to %g for dense, sparse and "
                             "multi, such as .3,.3,.4; found \"%s\"",
                             weight_max, list);
        weights[mode] = (float)weight;
        at = end + 1;
    }
    memcpy(weights_out, weights, sizeof weights);
    return true;
}
