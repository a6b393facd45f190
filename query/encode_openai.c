/* POST /v1/embeddings and GET /v1/models, as OpenAI's clients speak them.
 *
 *   {"input": "a" or ["a", ..], "encoding_format": "float" or "base64", "dimensions", "model",..}
 *   -> {"object":"list","data":[{"object":"embedding","index":0,"embedding":[..]}, ..],
 *       "model","usage":{"prompt_tokens","total_tokens"}}
 * Beside OpenAI's own: "input_type" (or Jina's "task") puts the model's instruction in front, and
 * "truncate": false refuses a text that is longer than the model reads. "model" is not looked at:
 * a server has one, and the answer names it. */
#include <stdint.h>
#include <string.h>

#include "engine/base/base64.h"
#include "engine/model.h"
#include "query/encode_routes.h"
#include "query/encoding_print.h"

struct openai {
    bool base64;
};

static bool is_token_array(const struct json *input) {
    const struct json *first = json_at(input, 0);
    return json_kind_of(first) == JSON_KIND_NUMBER || json_kind_of(first) == JSON_KIND_ARRAY;
}

static bool read_input(struct encode_call *call, const struct json *input) {
    struct encoder_text *texts;
    if (is_token_array(input))
        return encode_refuse(call, 400, "unsupported", "input",
                             "token ids are OpenAI's own and mean nothing to this model: send "
                             "text (LangChain: check_embedding_ctx_length=False)");
    if (!encode_read_texts(call, input, "input", true, &texts, &call->n, NULL))
        return false;
    for (size_t i = 0; i < call->n; i++)
        if (texts[i].len == 0)
            return encode_refuse(call, 400, "bad_request", "input",
                                 "\"input\" must not hold an empty string (text %zu)", i);
    call->texts = texts;
    return true;
}

static bool read_dimensions(struct encode_call *call, const struct json *dimensions) {
    uint32_t dim = model_info(encoders_model(call->encoders))->dense_dim;
    if (json_kind_of(dimensions) == JSON_KIND_NULL)
        return true;
    if (json_kind_of(dimensions) == JSON_KIND_NUMBER && json_number_of(dimensions) == dim)
        return true;
    return encode_refuse(call, 400, "unsupported", "dimensions",
                         "this model's vectors have %u dimensions and cannot be shortened: leave "
                         "\"dimensions\" out",
                         dim);
}

/* Jina's other tasks ("classification", ..) choose an adapter that only its models have. */
static bool read_task(struct encode_call *call, const char *task) {
    return !task || strncmp(task, "retrieval.", 10) != 0 || encode_read_side(call, task, "task");
}

bool encode_openai_read(struct encode_call *call, const struct json *body) {
    struct openai *openai = call->more = ARENA_ZERO(call->arena, struct openai, 1);
    const char *format = "float", *side = NULL, *task = NULL;
    bool truncate = true;
    if (!read_input(call, json_get(body, "input")) ||
        !read_dimensions(call, json_get(body, "dimensions")) ||
        !encode_read_word(call, body, "encoding_format", &format) ||
        !encode_read_word(call, body, "input_type", &side) ||
        !encode_read_word(call, body, "task", &task) ||
        !encode_read_side(call, side, "input_type") || !read_task(call, task) ||
        !encode_read_flag(call, body, "truncate", &truncate))
        return false;
    openai->base64 = strcmp(format, "base64") == 0;
    if (!openai->base64 && strcmp(format, "float") != 0)
        return encode_refuse(call, 400, "bad_request", "encoding_format",
                             "\"encoding_format\" must be \"float\" or \"base64\"");
    call->modes = ENCODE_DENSE;
    call->no_cut = !truncate;
    return true;
}

void encode_openai_write(struct encode_call *call) {
    const struct model_info *info = model_info(encoders_model(call->encoders));
    const struct openai *openai = call->more;
    struct buf *out = &call->response->body;
    uint64_t tokens_n = 0;
    buf_text(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < call->n; i++) {
        const float *dense = call->encodings[i].dense;
        buf_format(out, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i ? "," : "",
                   i);
        if (openai->base64) { /* little-endian f32, as this machine has them */
            buf_text(out, "\"");
            base64_print(dense, info->dense_dim * sizeof *dense, out);
            buf_text(out, "\"");
        } else {
            encoding_print_floats(dense, info->dense_dim, out);
        }
        buf_text(out, "}");
        tokens_n += call->encodings[i].tokens_n;
    }
    buf_text(out, "],\"model\":");
    const char *name = encoders_name(encoders_model(call->encoders));
    encoding_print_text(name, strlen(name), out);
    buf_format(out, ",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}}",
               (unsigned long long)tokens_n, (unsigned long long)tokens_n);
}

static void print_model(const struct model *model, struct buf *out) {
    const char *name = encoders_name(model);
    buf_text(out, "{\"id\":");
    encoding_print_text(name, strlen(name), out);
    buf_text(out, ",\"object\":\"model\",\"created\":0,\"owned_by\":\"tercet\"}");
}

void encode_models_write(struct encode_call *call) {
    struct buf *out = &call->response->body;
    buf_text(out, "{\"object\":\"list\",\"data\":[");
    print_model(encoders_model(call->encoders), out);
    if (encoders_reranker(call->encoders)) {
        buf_text(out, ",");
        print_model(encoders_reranker(call->encoders), out);
    }
    buf_text(out, "]}");
}
