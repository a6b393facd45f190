/* POST /v1/encode and /v1/score: what `tercet encode` and `tercet score` print, over HTTP.
 *
 *   {"texts": "a" or ["a", {"id","text"}, ..], "modes": ["dense", ..], "input_type", "truncate"}
 *   -> {"model","precision","encodings":[{"id","dense","sparse","multi","tokens"}, ..]}
 *   {"pairs": [{"id","query","passage"}, ..], "weights": [d,s,m], "truncate"}
 *   -> {"model","precision","scores":[{"id","dense","sparse","colbert",..}, ..]} */
#include <stdio.h>
#include <string.h>

#include "engine/model.h"
#include "query/encode_routes.h"
#include "query/encoding_print.h"

/* Weights beyond this only hide a mistake. */
static const double weight_max = 1e6;

/* Printed ids, and weights for scores. */
struct own {
    const char **ids; /* [n] as JSON; NULL where a row has none */
    struct score_weights weights;
};

static const char *id_of(struct encode_call *call, const struct json *row) {
    const struct json *id = json_get(row, "id");
    struct buf text = {0};
    if (!id)
        return NULL;
    json_print(id, &text);
    const char *copy = arena_text(call->arena, text.data, text.len);
    buf_done(&text);
    return copy;
}

static void write_start(struct encode_call *call, const char *list) {
    const struct model_info *info = model_info(encoders_model(call->encoders));
    struct buf *out = &call->response->body;
    buf_text(out, "{\"model\":");
    const char *name = encoders_name(encoders_model(call->encoders));
    encoding_print_text(name, strlen(name), out);
    buf_format(out, ",\"precision\":\"%s\",\"%s\":[", info->precision, list);
}

static void write_row_start(struct encode_call *call, size_t i) {
    const struct own *own = call->more;
    struct buf *out = &call->response->body;
    buf_text(out, i ? ",{" : "{");
    if (own->ids[i]) {
        buf_text(out, "\"id\":");
        buf_text(out, own->ids[i]);
        buf_text(out, ",");
    }
}

/* ---- encode ---- */

static bool read_modes(struct encode_call *call, const struct json *modes) {
    static const struct {
        const char *name;
        unsigned mode;
    } known[] = {{"dense", ENCODE_DENSE}, {"sparse", ENCODE_LEXICAL}, {"multi", ENCODE_MULTI}};
    call->modes = encoders_modes(call->encoders);
    if (json_kind_of(modes) == JSON_KIND_NULL)
        return true;
    unsigned wanted = 0;
    for (size_t i = 0; i < json_count(modes); i++) {
        const struct json *name = json_at(modes, i);
        unsigned mode = 0;
        for (size_t j = 0; j < sizeof known / sizeof *known; j++)
            if (json_kind_of(name) == JSON_KIND_STRING &&
                strcmp(json_string_of(name, NULL), known[j].name) == 0)
                mode = known[j].mode;
        if (!mode)
            wanted = 0;
        if (!mode)
            break;
        wanted |= mode;
    }
    if (!wanted)
        return encode_refuse(call, 400, "bad_request", "modes",
                             "\"modes\" must be a list of some of \"dense\", \"sparse\", "
                             "\"multi\"");
    if (wanted & ~call->modes)
        return encode_refuse(call, 422, "unsupported", "modes",
                             "this model has a sparse head and no ColBERT head: no \"multi\"");
    call->modes = wanted;
    return true;
}

bool encode_own_read(struct encode_call *call, const struct json *body) {
    static const char *const known[] = {"texts", "modes", "input_type", "truncate", NULL};
    const struct json *texts = json_get(body, "texts");
    const char *side = NULL;
    bool truncate = true;
    if (!encode_known_only(call, body, known) ||
        !encode_read_texts(call, texts, "texts", true, (struct encoder_text **)&call->texts,
                           &call->n, NULL) ||
        !read_modes(call, json_get(body, "modes")) ||
        !encode_read_word(call, body, "input_type", &side) ||
        !encode_read_side(call, side, "input_type") ||
        !encode_read_flag(call, body, "truncate", &truncate))
        return false;
    struct own *own = ARENA_ZERO(call->arena, struct own, 1);
    own->ids = ARENA_ZERO(call->arena, const char *, call->n);
    for (size_t i = 0; i < call->n; i++)
        own->ids[i] = id_of(call, json_at(texts, i));
    call->no_cut = !truncate;
    call->more = own;
    return true;
}

void encode_own_write(struct encode_call *call) {
    const struct model_info *info = model_info(encoders_model(call->encoders));
    struct buf *out = &call->response->body;
    write_start(call, "encodings");
    for (size_t i = 0; i < call->n; i++) {
        write_row_start(call, i);
        encoding_print(&call->encodings[i], info, call->modes, NULL, out);
        buf_text(out, "}");
    }
    buf_text(out, "]}");
}

/* ---- score ---- */

static bool read_weights(struct encode_call *call, const struct json *weights,
                         struct score_weights *out) {
    float *const parts[] = {&out->dense, &out->sparse, &out->colbert};
    *out = (struct score_weights){1, 1, 1};
    if (json_kind_of(weights) == JSON_KIND_NULL)
        return true;
    bool ok = json_kind_of(weights) == JSON_KIND_ARRAY && json_count(weights) == 3;
    for (size_t i = 0; ok && i < 3; i++) {
        const struct json *weight = json_at(weights, i);
        double value = json_kind_of(weight) == JSON_KIND_NUMBER ? json_number_of(weight) : -1;
        ok = value >= 0 && value <= weight_max;
        *parts[i] = (float)value;
    }
    return ok || encode_refuse(call, 400, "bad_request", "weights",
                               "\"weights\" must be three numbers from 0 to %g: dense, sparse, "
                               "colbert",
                               weight_max);
}

/* Query and passage of pair i become the texts 2i and 2i + 1. */
static bool read_pairs(struct encode_call *call, const struct json *pairs) {
    size_t n = json_count(pairs);
    if (json_kind_of(pairs) != JSON_KIND_ARRAY || n == 0)
        return encode_refuse(call, 400, "bad_request", "pairs",
                             "\"pairs\" must be a list of {\"query\",\"passage\"}");
    if (n > ENCODE_ROWS_MAX)
        return encode_refuse(call, 413, "limit", "pairs",
                             "\"pairs\" holds %zu pairs, at most %d are taken at once", n,
                             ENCODE_ROWS_MAX);
    struct encoder_text *texts = ARENA_NEW(call->arena, struct encoder_text, 2 * n);
    struct own *own = call->more;
    own->ids = ARENA_ZERO(call->arena, const char *, n);
    for (size_t i = 0; i < n; i++) {
        const struct json *pair = json_at(pairs, i);
        char query[48], passage[48];
        snprintf(query, sizeof query, "pairs[%zu].query", i);
        snprintf(passage, sizeof passage, "pairs[%zu].passage", i);
        if (!encode_read_text(call, json_get(pair, "query"), query, &texts[2 * i]) ||
            !encode_read_text(call, json_get(pair, "passage"), passage, &texts[2 * i + 1]))
            return false;
        own->ids[i] = id_of(call, pair);
    }
    call->texts = texts;
    call->n = 2 * n;
    return true;
}

bool encode_score_read(struct encode_call *call, const struct json *body) {
    static const char *const known[] = {"pairs", "weights", "truncate", NULL};
    const struct model_info *info = model_info(encoders_model(call->encoders));
    struct own *own = call->more = ARENA_ZERO(call->arena, struct own, 1);
    bool truncate = true;
    if (!encode_known_only(call, body, known) || !read_pairs(call, json_get(body, "pairs")) ||
        !read_weights(call, json_get(body, "weights"), &own->weights) ||
        !encode_read_flag(call, body, "truncate", &truncate))
        return false;
    call->no_cut = !truncate;
    /* Counted words have no score without a collection: they need not be counted. */
    call->modes = info->has_sparse_head ? ENCODE_ALL : ENCODE_DENSE | ENCODE_MULTI;
    if (call->modes & ~encoders_modes(call->encoders))
        return encode_refuse(call, 422, "unsupported", NULL,
                             "%s has a sparse head and no ColBERT head: pairs have no score in "
                             "all three modes",
                             encoders_name(encoders_model(call->encoders)));
    return true;
}

void encode_score_write(struct encode_call *call) {
    const struct model_info *info = model_info(encoders_model(call->encoders));
    const struct own *own = call->more;
    struct buf *out = &call->response->body;
    write_start(call, "scores");
    for (size_t i = 0; i < call->n / 2; i++) {
        struct score score =
            score_pair(info, &call->encodings[2 * i], &call->encodings[2 * i + 1], &own->weights);
        write_row_start(call, i);
        encoding_print_score(&score, info, out);
        buf_text(out, "}");
    }
    buf_text(out, "]}");
}
