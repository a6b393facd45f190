/* tercet search - one question to one index, from the command line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/model.h"
#include "query/answer.h"
#include "query/request.h"
#include "query/search.h"
#include "tools/commands.h"
#include "tools/search_batch.h"
#include "tools/search_options.h"
#include "tools/search_reranker.h"

struct search_settings {
    struct search_request request;
    struct model_options model;
    const char *index, *filter, *facets, *reranker, *vectors;
    bool json, batch;
};

/* Columns of text shown of a passage on a terminal. */
enum { SNIPPET_BYTES = 240 };

static void print_on_a_line(const char *text, size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++)
        putchar((unsigned char)text[i] < ' ' ? ' ' : text[i]);
}

/* The end of a character that is not behind `at`. */
static size_t cut_before(const char *text, size_t len, size_t at) {
    while (at < len && at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80)
        at--;
    return at < len ? at : len;
}

/* Where the part of the text begins that is shown: near the best word of the text, or of the
 * passage that answers, if there is one. */
static size_t snippet_begin(const struct search_hit *hit) {
    const struct search_highlight *best = NULL;
    const struct document *document = &hit->document;
    size_t begin = hit->has_passage ? hit->passage.begin : 0;
    size_t end = hit->has_passage ? hit->passage.end : document->text_len;
    for (size_t i = 0; i < hit->highlights_n; i++) {
        const struct search_highlight *one = &hit->highlights[i];
        if (one->place.field == SEARCH_TEXT && one->place.begin >= begin && one->place.end <= end &&
            (!best || one->score > best->score))
            best = one;
    }
    return best && best->place.begin > begin + SNIPPET_BYTES / 2
               ? cut_before(document->text, document->text_len,
                            best->place.begin - SNIPPET_BYTES / 4)
               : begin;
}

/* A part of the text on one line, cut at characters' ends, words that answer **marked**. */
static void print_snippet(const struct search_hit *hit) {
    const char *text = hit->document.text;
    size_t len = hit->document.text_len, at = snippet_begin(hit);
    size_t end = cut_before(text, len, at + SNIPPET_BYTES);
    fputs(at > 0 ? "   ... " : "   ", stdout);
    for (size_t i = 0; i < hit->highlights_n; i++) {
        const struct search_place *place = &hit->highlights[i].place;
        if (place->field != SEARCH_TEXT || place->begin < at || place->end > end)
            continue;
        print_on_a_line(text, at, place->begin);
        fputs("**", stdout);
        print_on_a_line(text, place->begin, place->end);
        fputs("**", stdout);
        at = place->end;
    }
    print_on_a_line(text, at, end);
    puts(end < len ? " ..." : "");
}

static void print_scores(const struct search_hit *hit, unsigned modes) {
    const struct fuse_candidate *scores = &hit->scores;
    fputs("  ", stdout);
    for (int mode = 0; mode < FUSE_MODES_N; mode++)
        if (modes & (1u << mode))
            printf(" %s %.4f (#%u)", fuse_mode_name((enum fuse_mode)mode),
                   (double)scores->raw[mode], scores->rank[mode]);
    if (hit->rerank.rank)
        printf(" rerank %.4f (#%u)", (double)hit->rerank.raw, hit->rerank.rank);
    putchar('\n');
}

static void print_explanation(const struct search_hit *hit, unsigned modes) {
    const struct search_explanation *why = &hit->explanation;
    fputs("   score =", stdout);
    for (int mode = 0, shown = 0; mode < FUSE_MODES_N; mode++)
        if (modes & (1u << mode))
            printf("%s %+.4f (%s)", shown++ ? " " : "", (double)hit->scores.contribution[mode],
                   fuse_mode_name((enum fuse_mode)mode));
    putchar('\n');
    for (size_t i = 0; i < why->terms_n; i++)
        printf("%s%s %.3f%s", i == 0 ? "   terms: " : ", ", why->terms[i].text,
               (double)why->terms[i].share, i + 1 == why->terms_n ? "\n" : "");
    for (size_t i = 0; i < why->matches_n; i++)
        printf("%s%s~%s %.3f%s", i == 0 ? "   tokens: " : ", ", why->matches[i].query_token,
               why->matches[i].passage_token, (double)why->matches[i].product,
               i + 1 == why->matches_n ? "\n" : "");
}

static void print_facets(const struct search_result *result) {
    struct buf value = {0};
    for (size_t i = 0; i < result->facets_n; i++) {
        const struct facet *facet = &result->facets[i];
        printf("%s: %llu values in %llu documents\n", result->facet_fields[i].field,
               (unsigned long long)facet->distinct_n, (unsigned long long)facet->documents_n);
        for (size_t j = 0; j < facet->values_n; j++) {
            struct json *json = facet_value_json(&facet->values[j]);
            buf_clear(&value);
            json_print(json, &value);
            json_release(json);
            printf("%10llu  %s\n", (unsigned long long)facet->values[j].documents_n, value.data);
        }
    }
    buf_done(&value);
}

/* "dense approximate, sparse exact, 17 documents pass the filter" */
static void print_retrieval(const struct search_retrieval *retrieval) {
    printf("candidates: %u by each of", retrieval->candidates);
    for (int mode = 0, shown = 0; mode < FUSE_MODES_N; mode++)
        if (retrieval->modes & (1u << mode))
            printf("%s %s (%s)", shown++ ? "," : "", fuse_mode_name((enum fuse_mode)mode),
                   retrieval->approximate & (1u << mode) ? "approximate" : "exact");
    if (retrieval->filtered)
        printf("; %zu documents pass the filter", retrieval->allowed_n);
    putchar('\n');
}

static void print_result(const struct search_result *result, bool explain) {
    for (size_t i = 0; i < result->hits_n; i++) {
        const struct search_hit *hit = &result->hits[i];
        const struct document *document = &hit->document;
        printf("%zu. %s  [%s]  %.4f\n", result->offset + i + 1,
               document->title_len ? document->title : "(no title)", document->key,
               (double)hit->scores.score);
        if (!result->no_text)
            print_snippet(hit);
        print_scores(hit, result->plan.modes);
        if (explain)
            print_explanation(hit, result->plan.modes);
    }
    if (result->hits_n == 0)
        puts(result->offset ? "nothing more found" : "nothing found");
    print_facets(result);
    if (explain)
        print_retrieval(&result->retrieval);
    if (result->reranking.model)
        printf("%zu of %zu reranked by %s in %.1f ms%s\n", result->reranking.scored_n,
               result->reranking.asked_n, result->reranking.model, result->timing.rerank_ms,
               result->reranking.deadline_reached ? ", when the time was over" : "");
    printf("%zu of %zu candidates in %.1f ms (encode %.1f, retrieve %.1f, score %.1f, fuse %.1f, "
           "fetch %.1f), fused by %s\n",
           result->hits_n, result->candidates_n, result->timing.total_ms, result->timing.encode_ms,
           result->timing.retrieve_ms, result->timing.score_ms, result->timing.fuse_ms,
           result->timing.fetch_ms, fuse_method_name(result->plan.method));
}

static void print_json(const struct search_result *result) {
    struct buf out = {0};
    struct json *answer = answer_json(result);
    json_print(answer, &out);
    puts(out.data);
    json_release(answer);
    buf_done(&out);
}

/* What a search needs. */
struct parts {
    struct index *index;
    struct model *model; /* NULL: it is gone, and may be */
    struct searcher *searcher;
    struct search_reranker reranker;
};

static bool parts_open(const struct search_settings *settings, struct parts *parts,
                       struct error *err) {
    struct model_options model = settings->model, reranker = settings->model;
    const struct search_request *request = &settings->request;
    bool reads = !request->like && !vectors_modes(&request->vectors); /* needs the model */
    reranker.name = settings->reranker;
    if (!index_open(settings->index, INDEX_READ, &parts->index, err))
        return false;
    if (!model.name)
        model.name = index_settings_of(parts->index)->model;
    return (model_open(&model, &parts->model, err) || !reads) &&
           searcher_open(parts->index, parts->model, &parts->searcher, err) &&
           (!settings->reranker || search_reranker_open(&reranker, &parts->reranker, err));
}

static void parts_close(struct parts *parts) {
    searcher_close(parts->searcher);
    search_reranker_close(&parts->reranker);
    model_close(parts->model);
    index_close(parts->index);
}

static bool search_once(const struct search_settings *settings, struct parts *parts,
                        struct error *err) {
    struct arena arena = {0};
    struct search_result result;
    struct search_request request = settings->request;
    request.rerank.wanted = settings->reranker != NULL;
    request.reranker = settings->reranker ? &parts->reranker.scorer : NULL;
    bool ok = search_run(parts->searcher, &request, &arena, &result, err);
    if (ok && settings->json)
        print_json(&result);
    else if (ok)
        print_result(&result, settings->request.explain);
    arena_done(&arena);
    return ok;
}

static bool search_batch(const struct search_settings *settings, struct parts *parts,
                         struct error *err) {
    size_t failed_n;
    return search_batch_stream(parts->searcher, settings->reranker ? &parts->reranker.scorer : NULL,
                               &failed_n, err) &&
           (failed_n == 0 ||
            error_set(err, ERROR_INVALID, "%zu searches failed: their lines say why", failed_n));
}

static int search(const struct search_settings *settings) {
    struct error err;
    struct parts parts = {0};
    bool ok = parts_open(settings, &parts, &err) &&
              (settings->batch ? search_batch(settings, &parts, &err)
                               : search_once(settings, &parts, &err));
    parts_close(&parts);
    return ok ? EXIT_DONE : command_failed(&err);
}

/* lang,year: cut at the commas, in place. */
static bool read_facets(char *list, struct search_request *request, struct error *err) {
    for (char *field = list; field;) {
        char *comma = strchr(field, ',');
        if (comma)
            *comma = '\0';
        if (!request_facet_add(request, field, strlen(field), err))
            return false;
        field = comma ? comma + 1 : NULL;
    }
    return true;
}

/* Numbers of an answer of /v1/encode, each in some ten bytes: 8,192 vectors of 1,024. */
enum { VECTORS_BYTES_MAX = 128 << 20 };

/* "-": standard input. */
static bool read_all(const char *path, struct buf *out, struct error *err) {
    bool is_input = strcmp(path, "-") == 0;
    FILE *file = is_input ? stdin : fopen(path, "rb");
    size_t got = 1;
    if (!file)
        return error_set_errno(err, "cannot be opened");
    while (got > 0 && out->len <= VECTORS_BYTES_MAX) {
        char part[16 * 1024];
        got = fread(part, 1, sizeof part, file);
        buf_append(out, part, got);
    }
    bool ok = !ferror(file) || error_set_errno(err, "cannot be read");
    if (ok && out->len > VECTORS_BYTES_MAX)
        ok = error_set(err, ERROR_LIMIT, "more than %d bytes", VECTORS_BYTES_MAX);
    if (!is_input)
        fclose(file);
    return ok;
}

/* {"dense","sparse","multi"} of a file, as `tercet encode` prints them; what else is there is
 * passed over. */
static bool read_vectors(const char *path, struct arena *arena, struct query_vectors *out,
                         struct error *err) {
    struct buf text = {0};
    struct json *json = NULL;
    bool ok = read_all(path, &text, err) && (json = json_parse(text.data, text.len, err)) &&
              vectors_read_dense(json, arena, out, err) &&
              vectors_read_sparse(json, arena, out, err) &&
              vectors_read_multi(json, arena, out, err);
    if (ok && !vectors_modes(out))
        ok = error_set(err, ERROR_INVALID, "there is neither dense nor sparse nor multi");
    json_release(json);
    buf_done(&text);
    return ok || error_wrap(err, "%s: ", path);
}

/* What must be read before it can be used, and what is released behind the search. */
struct readings {
    struct arena arena;
    struct json *filter;
    char *facets;
};

/* Whether the command line says what to ask for, or how. */
static bool asks_itself(const struct search_settings *settings,
                        const struct search_options *words) {
    const struct search_request *request = &settings->request;
    return words->modes || words->weights || words->fusion || settings->vectors ||
           settings->filter || settings->facets || request->like || request->k || request->offset ||
           request->candidates || request->exact || request->no_text || request->facet_limit ||
           request->rerank.top || request->rerank.deadline_ms || request->explain ||
           request->highlight.wanted;
}

/* The words of the command line into the request. */
static bool read_settings(struct search_settings *settings, const struct search_options *words,
                          size_t words_n, char **argv, struct readings *readings,
                          struct error *err) {
    struct search_request *request = &settings->request;
    if (settings->batch && (words_n == 2 || asks_itself(settings, words)))
        return error_set(err, ERROR_INVALID,
                         "--batch reads requests from standard input: each says for itself what it "
                         "asks for");
    settings->index = argv[0];
    if (words_n == 2) {
        request->query = argv[1];
        request->query_len = strlen(argv[1]);
    }
    request->highlight.fields = 1u << SEARCH_TITLE | 1u << SEARCH_TEXT;
    request->like_len = request->like ? strlen(request->like) : 0;
    if (settings->vectors &&
        !read_vectors(settings->vectors, &readings->arena, &request->vectors, err))
        return false;
    if (!search_options_apply(words, request, &settings->model, err))
        return false;
    if (settings->batch)
        return true;
    if (!search_check_source(request, err) || !search_check_page(request, err))
        return false;
    if (!settings->reranker && (request->rerank.top || request->rerank.deadline_ms))
        return error_set(err, ERROR_INVALID, "--rerank-top and --deadline-ms need --rerank M");
    if (settings->filter &&
        !(readings->filter = json_parse(settings->filter, strlen(settings->filter), err)))
        return error_wrap(err, "filter: ");
    request->filter = readings->filter;
    readings->facets = settings->facets ? mem_strdup(settings->facets) : NULL;
    return read_facets(readings->facets, request, err);
}

static int run(int argc, char **argv) {
    struct search_settings settings = {0};
    struct search_options words = {0};
    struct readings readings = {0};
    const struct option table[] = {
        {"k", OPTION_NUMBER, &settings.request.k, "N", "hits to show (default: 10)", 1,
         SEARCH_K_MAX, 'k'},
        {"offset", OPTION_NUMBER, &settings.request.offset, "N", "hits to pass over (default: 0)",
         0, SEARCH_K_MAX - 1, 0},
        {"like", OPTION_TEXT, &settings.request.like, "KEY",
         "instead of a query: more like this document", 0, 0, 0},
        {"vectors", OPTION_TEXT, &settings.vectors, "FILE",
         "instead of a query: {\"dense\",\"sparse\",\"multi\"} ready-made; -: standard input", 0, 0,
         0},
        {"no-text", OPTION_FLAG, &settings.request.no_text, NULL, "leave the texts out", 0, 0, 0},
        {"model", OPTION_TEXT, &settings.model.name, "M",
         "where the collection's model is (default: as ingested)", 0, 0, 'm'},
        SEARCH_OPTION_ROWS(words, settings.request),
        {"filter", OPTION_TEXT, &settings.filter, "JSON",
         "only documents whose fields pass: {\"year\":{\"$gte\":2020}}", 0, 0, 0},
        {"facets", OPTION_TEXT, &settings.facets, "LIST",
         "count the values of these fields: lang,year", 0, 0, 0},
        {"facet-limit", OPTION_NUMBER, &settings.request.facet_limit, "N",
         "values to show of each (default: 10)", 1, FACET_LIMIT_MAX, 0},
        {"rerank", OPTION_TEXT, &settings.reranker, "M",
         "folder or name of a cross-encoder that reads the best again", 0, 0, 0},
        {"rerank-top", OPTION_NUMBER, &settings.request.rerank.top, "N",
         "how many of the best (default: 50)", 1, SEARCH_RERANK_MAX, 0},
        {"deadline-ms", OPTION_NUMBER, &settings.request.rerank.deadline_ms, "N",
         "rerank as many as can be in N ms of search", 1, SEARCH_DEADLINE_MS_MAX, 0},
        {"explain", OPTION_FLAG, &settings.request.explain, NULL,
         "show the terms and tokens behind each score", 0, 0, 0},
        {"highlight", OPTION_FLAG, &settings.request.highlight.wanted, NULL,
         "mark the words that answer", 0, 0, 0},
        {"batch", OPTION_FLAG, &settings.batch, NULL,
         "a request as JSON a line of standard input, an answer a line", 0, 0, 0},
        {"json", OPTION_FLAG, &settings.json, NULL, "one JSON object", 0, 0, 0},
        {0},
    };
    struct error err;
    size_t words_n;
    int status = options_parse(&command_search, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n < 1 || words_n > 2)
        return options_wrong(&command_search, "an index and a query are needed, found %zu words%s",
                             words_n, words_n > 2 ? " (put the query in quotes)" : "");
    status = read_settings(&settings, &words, words_n, argv, &readings, &err)
                 ? search(&settings)
                 : options_wrong(&command_search, "%s", err.message);
    free(readings.facets);
    json_release(readings.filter);
    arena_done(&readings.arena);
    return status;
}

const struct command command_search = {"search", "INDEX [QUERY]", "asks an index a question", run};
