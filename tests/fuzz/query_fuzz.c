/* query_fuzz - a search request from its JSON to its answer's, over a small index.
 *
 * An input is a search request. The index has all three modes, words, fields and passages, and
 * no model: queries are words, ready-made vectors, or "like". What is refused says why; what is
 * answered has its hits in order, on the page asked for, allowed, alive, with the raw scores
 * that the index gives for them, and places within their texts; it is the same a second time,
 * and hit by hit the same as the first page that reaches as far. The answer prints as JSON that
 * reads again. Run it: docs/fuzzing.md. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "index/fields/filter.h"
#include "index/fixture.h"
#include "index/rows.h"
#include "query/answer.h"
#include "query/request.h"
#include "tests/fuzz/fuzz.h"

enum { DOCUMENTS_N = 14, DIM = 3, WORDS_N = 8 };

static const char *const words[WORDS_N] = {"tide",  "moon", "sea",  "disk",
                                           "query", "word", "sail", "harbor"};

/* ---- the index ---- */

static void put(struct writer *writer, uint32_t number) {
    char key[16], text[160] = "", fields[64];
    uint32_t ids[WORDS_N];
    float weights[WORDS_N], vectors[4 * DIM];
    struct error err;
    struct record record = {.key = key, .title = "A title", .title_len = 7, .text = text};
    for (uint32_t i = 0; i < WORDS_N; i++)
        CHECK_OK(writer_term_id(writer, words[i], strlen(words[i]), &ids[i], &err), err);
    for (uint32_t i = 0, n = 0; i < WORDS_N; i++)
        if ((number * 37 + 11) >> i & 1) {
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%ss é", n ? ". " : "",
                     words[i]);
            ids[n] = ids[i];
            weights[n++] = 1;
            record.sparse = (struct sparse_vector){ids, weights, n};
        }
    for (size_t i = 0; i < 4 * DIM; i++)
        vectors[i] = (float)((number * 7 + i * 5) % 11) / 11 - 0.4f;
    record.key_len = (size_t)snprintf(key, sizeof key, "d%u", number);
    record.text_len = strlen(text);
    record.sparse_length = (float)record.sparse.n;
    record.fields = fields;
    record.fields_len = (size_t)snprintf(fields, sizeof fields, "{\"year\":%u,\"lang\":\"%s\"}",
                                         2000 + number, number % 3 ? "en" : "de");
    const struct record_passage passages[] = {
        {.begin = 0, .end = 4, .dense = vectors, .multi = vectors, .multi_n = 2},
        {.begin = 4,
         .end = (uint32_t)record.text_len,
         .dense = vectors + DIM,
         .multi = vectors + 2 * DIM,
         .multi_n = number % 3}};
    record.dense = vectors;
    record.multi = vectors;
    record.multi_n = 1;
    record.passages = passages;
    record.passages_n = number % 2 ? 2 : 0;
    CHECK_OK(writer_put(writer, &record, &err), err);
}

static struct index *make_index(void) {
    char folder[64];
    struct index_settings settings = fixture_settings(INDEX_LEXICAL_BM25);
    settings.model[0] = settings.fingerprint[0] = '\0';
    settings.dense_dim = settings.multi_dim = DIM;
    settings.chunk_tokens = 50;
    struct index *index = NULL;
    struct error err;
    fixture_memory_folder(folder);
    CHECK_OK(index_create(folder, &settings, &index, &err), err);
    struct writer *writer = fixture_writer(index);
    for (uint32_t i = 0; i < DOCUMENTS_N; i++)
        put(writer, i);
    CHECK_OK(writer_commit(writer, &err), err);
    bool found;
    CHECK_OK(writer_delete(writer, "d3", 2, &found, &err), err);
    CHECK_OK(writer_commit(writer, &err), err);
    writer_close(writer);
    fixture_remove(folder); /* it lives on while it is open */
    assert(check_failed == 0);
    return index;
}

/* ---- what must hold ---- */

static bool run(struct searcher *searcher, const struct search_request *request,
                struct arena *arena, struct search_result *out) {
    struct error err;
    if (search_run(searcher, request, arena, out, &err))
        return true;
    assert(err.code == ERROR_INVALID || err.code == ERROR_LIMIT || err.code == ERROR_NOT_FOUND ||
           err.code == ERROR_UNSUPPORTED);
    assert(err.message[0] && fuzz_is_utf8(err.message, strlen(err.message)));
    return false;
}

static void check_place(const struct search_hit *hit, struct search_place place) {
    size_t len = place.field == SEARCH_TITLE ? hit->document.title_len : hit->document.text_len;
    assert(place.begin < place.end && place.end <= len);
}

static void check_hit(struct snapshot *snapshot, const struct search_request *request,
                      const struct search_result *result, const struct search_hit *hit) {
    uint32_t docid = hit->scores.docid;
    struct error err;
    float score, sum = 0;
    assert(snapshot_is_live(snapshot, docid));
    for (int mode = 0; mode < FUSE_MODES_N; mode++)
        sum += hit->scores.contribution[mode];
    assert(fabsf(sum - hit->scores.score) <= 1e-4f * (1 + fabsf(sum)));
    if (request->vectors.dense && result->plan.modes & 1u << FUSE_DENSE) {
        bool ok = dense_score(snapshot, request->vectors.dense, &docid, 1, &score, &err);
        assert(ok && score == hit->scores.raw[FUSE_DENSE]);
    }
    if (request->vectors.multi && result->plan.modes & 1u << FUSE_MULTI) {
        struct arena arena = {0};
        bool ok = multi_score(snapshot, request->vectors.multi, request->vectors.multi_n, &docid, 1,
                              &arena, &score, &err);
        assert(ok && score == hit->scores.raw[FUSE_MULTI]);
        arena_done(&arena);
    }
    if (hit->has_passage)
        assert(hit->passage.begin < hit->passage.end && hit->passage.index < hit->passage.n);
    for (size_t i = 0; i < hit->highlights_n; i++) {
        check_place(hit, hit->highlights[i].place);
        assert(hit->highlights[i].score >= 0 && hit->highlights[i].score <= 1);
    }
    for (size_t i = 0; i < hit->explanation.matches_n; i++)
        if (hit->explanation.matches[i].has_place)
            check_place(hit, hit->explanation.matches[i].place);
}

static void check_filter(struct snapshot *snapshot, const struct search_request *request,
                         const struct search_result *result) {
    struct arena arena = {0};
    struct filter *filter;
    struct docid_set set;
    struct error err;
    if (!request->filter)
        return;
    bool ok = filter_parse(request->filter, &arena, &filter, &err) &&
              filter_run(filter, snapshot, &arena, &set, &err);
    assert(ok);
    for (size_t i = 0; i < result->hits_n; i++)
        assert(docid_set_has(&set, result->hits[i].scores.docid));
    arena_done(&arena);
}

static void check_answer(const struct search_result *result) {
    struct json *json = answer_json(result), *again;
    struct buf text = {0};
    struct error err;
    json_print(json, &text);
    again = json_parse(text.data, text.len, &err);
    assert(again && json_count(json_get(again, "hits")) == result->hits_n);
    json_release(again);
    json_release(json);
    buf_done(&text);
}

/* The same hits from `at` of one result on as from `from` of the other. */
static void check_same(const struct search_result *a, const struct search_result *b, size_t at) {
    for (size_t i = 0; i < a->hits_n; i++)
        assert(at + i < b->hits_n && a->hits[i].scores.docid == b->hits[at + i].scores.docid &&
               (a->hits[i].scores.score == b->hits[at + i].scores.score ||
                isnan(a->hits[i].scores.score)));
}

static void search(struct searcher *searcher, struct snapshot *snapshot,
                   const struct search_request *request) {
    struct arena arena = {0};
    struct search_result result, again;
    if (run(searcher, request, &arena, &result)) {
        size_t k = request->k ? request->k : SEARCH_K_DEFAULT;
        assert(result.hits_n <= k && result.hits_n <= result.candidates_n);
        for (size_t i = 0; i < result.hits_n; i++)
            check_hit(snapshot, request, &result, &result.hits[i]);
        for (size_t i = 1; i < result.hits_n; i++)
            assert(!(result.hits[i - 1].scores.score < result.hits[i].scores.score));
        check_filter(snapshot, request, &result);
        check_answer(&result);
        bool ok = run(searcher, request, &arena, &again);
        assert(ok && result.hits_n == again.hits_n);
        check_same(&result, &again, 0);
        struct search_request first = *request;
        first.k = request->offset + (uint32_t)k;
        first.offset = 0;
        ok = run(searcher, &first, &arena, &again);
        assert(ok);
        if (!request->candidates)
            check_same(&result, &again, request->offset);
    }
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct index *index;
    static struct searcher *searcher;
    static struct snapshot *snapshot;
    struct arena arena = {0};
    struct search_request request = {0};
    char field[REQUEST_FIELD_MAX] = "";
    struct error err;
    if (!index) {
        index = make_index();
        bool ok =
            searcher_open(index, NULL, &searcher, &err) && snapshot_open(index, &snapshot, &err);
        assert(ok);
    }
    struct json *json = json_parse((const char *)data, size, &err);
    if (json && request_from_json(json, &arena, &request, field, &err))
        search(searcher, snapshot, &request);
    json_release(json);
    arena_done(&arena);
    return 0;
}
