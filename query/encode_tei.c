/* POST /embed, /embed_sparse, /embed_all and GET /info, as text-embeddings-inference answers them.
 *
 *   {"inputs": "a" or ["a", ..], "truncate", "normalize", "prompt_name"}
 *   /embed         [[..], ..]                               dense vectors
 *   /embed_sparse  [[{"index","value"}, ..], ..]            the sparse head's weights by token id
 *   /embed_all     [[[..], ..], ..]                         token vectors
 * Differences: "truncate" is true unless it is said to be false; /embed_all gives the vectors that
 * MaxSim compares (length 1, through the ColBERT head where there is one, none for the first
 * token), not raw hidden states. */
#include <math.h>
#include <string.h>

#include "engine/model.h"
#include "query/encode_routes.h"
#include "query/encoding_print.h"

static const struct model_info *info_of(const struct encode_call *call) {
    return model_info(encoders_model(call->encoders));
}

static bool read_inputs(struct encode_call *call, const struct json *body) {
    const char *prompt = NULL;
    struct encoder_text *texts;
    bool truncate = true;
    if (!encode_read_texts(call, json_get(body, "inputs"), "inputs", false, &texts, &call->n,
                           NULL) ||
        !encode_read_word(call, body, "prompt_name", &prompt) ||
        !encode_read_side(call, prompt, "prompt_name") ||
        !encode_read_flag(call, body, "truncate", &truncate))
        return false;
    call->texts = texts;
    call->no_cut = !truncate;
    return true;
}

/* ---- /embed ---- */

bool encode_tei_read(struct encode_call *call, const struct json *body) {
    bool normalize = true;
    uint32_t dimensions = info_of(call)->dense_dim;
    struct error err;
    call->modes = ENCODE_DENSE;
    if (!read_inputs(call, body) || !encode_read_flag(call, body, "normalize", &normalize))
        return false;
    if (!json_read_u32(body, "dimensions", 1, UINT32_MAX, &dimensions, &err))
        return encode_fail(call, "dimensions", &err);
    if (dimensions != info_of(call)->dense_dim)
        return encode_refuse(call, 422, "unsupported", "dimensions",
                             "this model's vectors have %u dimensions and cannot be shortened",
                             info_of(call)->dense_dim);
    if (!normalize && info_of(call)->normalized)
        return encode_refuse(call, 422, "unsupported", "normalize",
                             "this model's vectors have length 1: \"normalize\" cannot be false");
    call->more = normalize && !info_of(call)->normalized ? call : NULL;
    return true;
}

/* A copy of length 1; zeros stay. */
static const float *normalized(const float *dense, uint32_t dim, struct arena *arena) {
    float *out = ARENA_NEW(arena, float, dim);
    double square = 0;
    for (uint32_t i = 0; i < dim; i++)
        square += (double)dense[i] * (double)dense[i];
    double scale = square > 0 ? 1 / sqrt(square) : 0;
    for (uint32_t i = 0; i < dim; i++)
        out[i] = (float)((double)dense[i] * scale);
    return out;
}

void encode_tei_write(struct encode_call *call) {
    struct buf *out = &call->response->body;
    uint32_t dim = info_of(call)->dense_dim;
    buf_text(out, "[");
    for (size_t i = 0; i < call->n; i++) {
        const float *dense = call->encodings[i].dense;
        if (call->more)
            dense = normalized(dense, dim, call->arena);
        buf_text(out, i ? "," : "");
        encoding_print_floats(dense, dim, out);
    }
    buf_text(out, "]");
}

/* ---- /embed_sparse ---- */

bool encode_tei_sparse_read(struct encode_call *call, const struct json *body) {
    if (!info_of(call)->has_sparse_head)
        return encode_refuse(call, 422, "unsupported", NULL,
                             "%s has no sparse head, so its terms are words and have no token ids: "
                             "ask POST /v1/encode with \"modes\":[\"sparse\"]",
                             encoders_name(encoders_model(call->encoders)));
    call->modes = ENCODE_LEXICAL;
    return read_inputs(call, body);
}

void encode_tei_sparse_write(struct encode_call *call) {
    struct buf *out = &call->response->body;
    buf_text(out, "[");
    for (size_t i = 0; i < call->n; i++) {
        const struct lexical *lexical = &call->encodings[i].lexical;
        buf_text(out, i ? ",[" : "[");
        for (size_t j = 0; j < lexical->n; j++)
            buf_format(out, "%s{\"index\":%u,\"value\":%.9g}", j ? "," : "", lexical->terms[j].id,
                       (double)lexical->terms[j].weight);
        buf_text(out, "]");
    }
    buf_text(out, "]");
}

/* ---- /embed_all ---- */

bool encode_tei_all_read(struct encode_call *call, const struct json *body) {
    call->modes = ENCODE_MULTI;
    if (call->modes & ~encoders_modes(call->encoders))
        return encode_refuse(call, 422, "unsupported", NULL, "%s has no ColBERT head",
                             encoders_name(encoders_model(call->encoders)));
    return read_inputs(call, body);
}

void encode_tei_all_write(struct encode_call *call) {
    struct buf *out = &call->response->body;
    buf_text(out, "[");
    for (size_t i = 0; i < call->n; i++) {
        buf_text(out, i ? "," : "");
        encoding_print_multi(&call->encodings[i], info_of(call)->multi_dim, out);
    }
    buf_text(out, "]");
}

/* ---- /info ---- */

void encode_tei_info_write(struct encode_call *call) {
    const struct model_info *info = info_of(call);
    const struct model *reranker = encoders_reranker(call->encoders);
    struct json *answer = json_new_object(), *type = json_new_object();
    json_add_string(answer, "model_id", encoders_name(encoders_model(call->encoders)));
    json_add_string(answer, "model_sha", info->fingerprint);
    json_add_string(answer, "model_dtype", info->precision);
    struct json *embedding = json_new_object();
    json_add_string(embedding, "pooling", info->pooling);
    json_add(type, "embedding", embedding);
    json_add(answer, "model_type", type);
    json_add_number(answer, "max_input_length", info->length_max);
    json_add_number(answer, "max_client_batch_size", ENCODE_ROWS_MAX);
    json_add_bool(answer, "auto_truncate", true);
    json_add(answer, "reranker_id",
             reranker ? json_new_string(encoders_name(reranker), strlen(encoders_name(reranker)))
                      : json_new_null());
    json_add_string(answer, "version", "tercet " TERCET_VERSION);
    json_print(answer, &call->response->body);
    json_release(answer);
}
