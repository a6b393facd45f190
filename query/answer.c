#include "query/answer.h"

#include <string.h>

static struct json *scores_json(const struct search_hit *hit, unsigned modes) {
    const struct fuse_candidate *scores = &hit->scores;
    struct json *all = json_new_object();
    for (int mode = 0; mode < FUSE_MODES_N; mode++) {
        if (!(modes & (1u << mode)))
            continue;
        struct json *one = json_new_object();
        json_add_number(one, "raw", (double)scores->raw[mode]);
        json_add_number(one, "normalized", (double)scores->normalized[mode]);
        json_add_number(one, "contribution", (double)scores->contribution[mode]);
        json_add_number(one, "rank", scores->rank[mode]);
        json_add(all, fuse_mode_name((enum fuse_mode)mode), one);
    }
    if (hit->rerank.rank) {
        struct json *one = json_new_object();
        json_add_number(one, "raw", (double)hit->rerank.raw);
        json_add_number(one, "normalized", (double)hit->rerank.normalized);
        json_add_number(one, "rank", hit->rerank.rank);
        json_add(all, "rerank", one);
    }
    return all;
}

static void add_place(struct json *json, const struct search_place *place) {
    json_add_string(json, "field", search_field_name(place->field));
    json_add_number(json, "begin", place->begin);
    json_add_number(json, "end", place->end);
}

static struct json *highlights_json(const struct search_hit *hit) {
    struct json *list = json_new_array();
    for (size_t i = 0; i < hit->highlights_n; i++) {
        const struct search_highlight *highlight = &hit->highlights[i];
        struct json *one = json_new_object();
        add_place(one, &highlight->place);
        json_add_number(one, "score", (double)highlight->score);
        json_add_string(one, "source", highlight->source == SEARCH_BY_SPARSE ? "sparse" : "multi");
        json_push(list, one);
    }
    return list;
}

static struct json *explanation_json(const struct search_explanation *explanation) {
    struct json *terms = json_new_array(), *tokens = json_new_array();
    for (size_t i = 0; i < explanation->terms_n; i++) {
        struct json *term = json_new_object();
        json_add_string(term, "term", explanation->terms[i].text);
        json_add_number(term, "query_weight", (double)explanation->terms[i].query_weight);
        json_add_number(term, "score", (double)explanation->terms[i].share);
        json_push(terms, term);
    }
    for (size_t i = 0; i < explanation->matches_n; i++) {
        struct json *token = json_new_object();
        json_add_string(token, "query", explanation->matches[i].query_token);
        json_add_string(token, "passage", explanation->matches[i].passage_token);
        json_add_number(token, "score", (double)explanation->matches[i].product);
        if (explanation->matches[i].has_place)
            add_place(token, &explanation->matches[i].place);
        json_push(tokens, token);
    }
    struct json *both = json_new_object();
    json_add(both, "terms", terms);
    json_add(both, "tokens", tokens);
    return both;
}

static struct json *document_part_json(const struct document *document, bool text) {
    struct json *json = json_new_object();
    struct error ignored;
    json_add(json, "id", json_new_string(document->key, document->key_len));
    json_add(json, "title", json_new_string(document->title, document->title_len));
    if (text)
        json_add(json, "text", json_new_string(document->text, document->text_len));
    if (document->fields_len) {
        struct json *fields = json_parse(document->fields, document->fields_len, &ignored);
        if (fields)
            json_add(json, "fields", fields);
    }
    return json;
}

struct json *document_json(const struct document *document) {
    return document_part_json(document, true);
}

static struct json *passage_json(const struct document_passage *passage) {
    struct json *json = json_new_object();
    json_add_number(json, "begin", passage->begin);
    json_add_number(json, "end", passage->end);
    json_add_number(json, "index", passage->index);
    json_add_number(json, "of", passage->n);
    return json;
}

static struct json *hit_json(const struct search_hit *hit, const struct search_result *result) {
    struct json *json = document_part_json(&hit->document, !result->no_text);
    if (hit->has_passage)
        json_add(json, "passage", passage_json(&hit->passage));
    json_add_number(json, "score", (double)hit->scores.score);
    json_add(json, "scores", scores_json(hit, result->plan.modes));
    if (hit->explanation.terms || hit->explanation.matches)
        json_add(json, "explain", explanation_json(&hit->explanation));
    if (result->highlighted)
        json_add(json, "highlights", highlights_json(hit));
    return json;
}

/* {"lang":{"values":[{"value":"en","count":3},..],"distinct":2,"documents":3}} */
static struct json *facets_json(const struct search_result *result) {
    struct json *all = json_new_object();
    for (size_t i = 0; i < result->facets_n; i++) {
        const struct facet *facet = &result->facets[i];
        struct json *one = json_new_object(), *values = json_new_array();
        for (size_t j = 0; j < facet->values_n; j++) {
            struct json *value = json_new_object();
            json_add(value, "value", facet_value_json(&facet->values[j]));
            json_add_number(value, "count", (double)facet->values[j].documents_n);
            json_push(values, value);
        }
        json_add(one, "values", values);
        json_add_number(one, "distinct", (double)facet->distinct_n);
        json_add_number(one, "documents", (double)facet->documents_n);
        json_add(all, result->facet_fields[i].field, one);
    }
    return all;
}

static struct json *timing_json(const struct search_result *result) {
    const struct search_timing *timing = &result->timing;
    struct json *json = json_new_object();
    json_add_number(json, "total", timing->total_ms);
    json_add_number(json, "encode", timing->encode_ms);
    json_add_number(json, "retrieve", timing->retrieve_ms);
    json_add_number(json, "score", timing->score_ms);
    json_add_number(json, "fuse", timing->fuse_ms);
    if (result->reranking.model)
        json_add_number(json, "rerank", timing->rerank_ms);
    json_add_number(json, "fetch", timing->fetch_ms);
    if (result->facets_n > 0)
        json_add_number(json, "facets", timing->facets_ms);
    return json;
}

/* {"modes":[..],"fusion","weights":{..},"candidates","retrieval":{"dense":"approximate",..}} */
static void add_plan(struct json *answer, const struct search_result *result) {
    const struct fuse_plan *plan = &result->plan;
    const struct search_retrieval *retrieval = &result->retrieval;
    struct json *modes = json_new_array(), *weights = json_new_object(), *by = json_new_object();
    for (int mode = 0; mode < FUSE_MODES_N; mode++) {
        const char *name = fuse_mode_name((enum fuse_mode)mode);
        unsigned bit = 1u << mode;
        if (plan->modes & bit) {
            json_push(modes, json_new_string(name, strlen(name)));
            json_add_number(weights, name, (double)plan->weights[mode]);
        }
        if (retrieval->modes & bit)
            json_add_string(by, name, retrieval->approximate & bit ? "approximate" : "exact");
    }
    json_add(answer, "modes", modes);
    json_add_string(answer, "fusion", fuse_method_name(plan->method));
    json_add(answer, "weights", weights);
    json_add_number(answer, "candidates", retrieval->candidates);
    json_add(answer, "retrieval", by);
    if (retrieval->filtered)
        json_add_number(answer, "filtered_to", (double)retrieval->allowed_n);
}

static struct json *reranking_json(const struct search_reranking *reranking) {
    struct json *json = json_new_object();
    json_add_string(json, "model", reranking->model);
    json_add_number(json, "asked", (double)reranking->asked_n);
    json_add_number(json, "scored", (double)reranking->scored_n);
    json_add_bool(json, "deadline_reached", reranking->deadline_reached);
    return json;
}

struct json *answer_json(const struct search_result *result) {
    struct json *answer = json_new_object(), *hits = json_new_array();
    for (size_t i = 0; i < result->hits_n; i++)
        json_push(hits, hit_json(&result->hits[i], result));
    json_add(answer, "hits", hits);
    json_add_number(answer, "offset", result->offset);
    json_add_number(answer, "total_candidates", (double)result->candidates_n);
    add_plan(answer, result);
    if (result->reranking.model)
        json_add(answer, "rerank", reranking_json(&result->reranking));
    if (result->facets_n > 0)
        json_add(answer, "facets", facets_json(result));
    json_add(answer, "took_ms", timing_json(result));
    return answer;
}
