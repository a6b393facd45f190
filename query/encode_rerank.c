/* POST /rerank as text-embeddings-inference, POST /v1/rerank and /v2/rerank as Cohere and Jina.
 *
 *   /rerank     {"query","texts":[..],"raw_scores","return_text"} -> [{"index","score","text"}, ..]
 *   /v1/rerank  {"query","documents":["a" or {"text"}, ..],"top_n","return_documents"}
 *               -> {"model","results":[{"index","relevance_score","document":{"text"}}, ..]}
 * Best first. Scores are between 0 and 1 (the sigmoid of the cross-encoder's logit) unless
 * "raw_scores" asks for the logit. A pair is cut, its passage first, to what the model's library
 * cuts it to (reranker.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model.h"
#include "query/encode_routes.h"
#include "query/encoding_print.h"

struct ranked {
    size_t index;
    float score;
};

struct rerank {
    struct encoder_text query, *texts;
    size_t n;
    uint32_t top_n;
    bool raw, with_text;
};

/* ---- reading ---- */

static bool read_pairs(struct encode_call *call, const struct json *body, const char *texts) {
    struct rerank *rerank = call->more = ARENA_ZERO(call->arena, struct rerank, 1);
    if (!encoders_reranker(call->encoders))
        return encode_refuse(call, 422, "unsupported", NULL,
                             "this server has no cross-encoder: start it with --reranker M, for "
                             "example tercet serve --reranker BAAI/bge-reranker-v2-m3");
    return encode_read_text(call, json_get(body, "query"), "query", &rerank->query) &&
           encode_read_texts(call, json_get(body, texts), texts, true, &rerank->texts, &rerank->n,
                             NULL);
}

bool encode_tei_rerank_read(struct encode_call *call, const struct json *body) {
    if (!read_pairs(call, body, "texts"))
        return false;
    struct rerank *rerank = call->more;
    rerank->top_n = (uint32_t)rerank->n;
    return encode_read_flag(call, body, "raw_scores", &rerank->raw) &&
           encode_read_flag(call, body, "return_text", &rerank->with_text);
}

bool encode_rerank_read(struct encode_call *call, const struct json *body) {
    struct error err;
    if (!read_pairs(call, body, "documents"))
        return false;
    struct rerank *rerank = call->more;
    rerank->top_n = (uint32_t)rerank->n;
    if (!json_read_u32(body, "top_n", 1, UINT32_MAX, &rerank->top_n, &err))
        return encode_fail(call, "top_n", &err);
    if (rerank->top_n > rerank->n)
        rerank->top_n = (uint32_t)rerank->n;
    return encode_read_flag(call, body, "return_documents", &rerank->with_text);
}

/* ---- ranking ---- */

static int compare_ranked(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

static float sigmoid(float logit) {
    return (float)(1 / (1 + exp(-(double)logit)));
}

static bool rank(struct encode_call *call, struct ranked **out) {
    const struct rerank *rerank = call->more;
    struct reranker_pair *pairs = ARENA_NEW(call->arena, struct reranker_pair, rerank->n);
    struct ranked *ranked = ARENA_NEW(call->arena, struct ranked, rerank->n);
    float *scores = ARENA_NEW(call->arena, float, rerank->n);
    struct error err;
    for (size_t i = 0; i < rerank->n; i++)
        pairs[i] = (struct reranker_pair){
            .query = rerank->query.text,
            .query_len = rerank->query.len,
            .passage = rerank->texts[i].text,
            .passage_len = rerank->texts[i].len,
        };
    if (!encoders_rerank(call->encoders, call->worker, pairs, rerank->n, call->request->cancelled,
                         scores, &err))
        return encode_fail(call, NULL, &err);
    for (size_t i = 0; i < rerank->n; i++)
        ranked[i] = (struct ranked){i, scores[i]};
    qsort(ranked, rerank->n, sizeof *ranked, compare_ranked);
    for (size_t i = 0; i < rerank->n && !rerank->raw; i++)
        ranked[i].score = sigmoid(ranked[i].score);
    *out = ranked;
    return true;
}

/* ---- writing ---- */

void encode_tei_rerank_write(struct encode_call *call) {
    const struct rerank *rerank = call->more;
    struct buf *out = &call->response->body;
    struct ranked *ranked;
    if (!rank(call, &ranked))
        return;
    buf_text(out, "[");
    for (size_t i = 0; i < rerank->top_n; i++) {
        const struct encoder_text *text = &rerank->texts[ranked[i].index];
        buf_format(out, "%s{\"index\":%zu,\"score\":%.9g", i ? "," : "", ranked[i].index,
                   (double)ranked[i].score);
        if (rerank->with_text) {
            buf_text(out, ",\"text\":");
            encoding_print_text(text->text, text->len, out);
        }
        buf_text(out, "}");
    }
    buf_text(out, "]");
}

void encode_rerank_write(struct encode_call *call) {
    const struct rerank *rerank = call->more;
    struct buf *out = &call->response->body;
    const char *name = encoders_name(encoders_reranker(call->encoders));
    struct ranked *ranked;
    if (!rank(call, &ranked))
        return;
    buf_text(out, "{\"model\":");
    encoding_print_text(name, strlen(name), out);
    buf_text(out, ",\"results\":[");
    for (size_t i = 0; i < rerank->top_n; i++) {
        const struct encoder_text *text = &rerank->texts[ranked[i].index];
        buf_format(out, "%s{\"index\":%zu,\"relevance_score\":%.9g", i ? "," : "", ranked[i].index,
                   (double)ranked[i].score);
        if (rerank->with_text) {
            buf_text(out, ",\"document\":{\"text\":");
            encoding_print_text(text->text, text->len, out);
            buf_text(out, "}");
        }
        buf_text(out, "}");
    }
    buf_text(out, "]}");
}
