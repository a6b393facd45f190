#include "index/proof/model.h"

#include <pthread.h>
#include <time.h>

#include "engine/base/mem.h"
#include "engine/base/vec.h"
#include "index/dense/dense.h"
#include "index/fields/facets.h"
#include "index/fields/filter.h"
#include "index/fixture.h"
#include "index/forward.h"
#include "index/inside.h"
#include "index/proof/model_filter.h"
#include "index/multi/multivector.h"
#include "index/record.h"
#include "index/remove.h"

enum {
    QUERY_TERMS = 10,
    QUERY_VECTORS = 3,
    RESULTS_MAX = 40,
    LONG_MAX = 20000, /* bytes of the longest texts: several pages of LMDB */
    LONG_ONE_IN = 16, /* so many records have one */
    DELETE_ONE_IN = 3,
};

/* ---- records ---- */

static char long_text[LONG_MAX + 1];
static pthread_once_t long_text_once = PTHREAD_ONCE_INIT;

static void make_long_text(void) {
    unsigned long long seed = 20;
    for (size_t i = 0; i < LONG_MAX; i++)
        long_text[i] = (char)('a' + check_random(&seed) % 26);
}

static void key_name(uint32_t key, char out[32]) {
    snprintf(out, 32, "doc-%u", key);
}

/* Some texts lie in pages of their own: LMDB treats those in another way. */
static size_t text_len_of(const struct fixture_record *record) {
    bool is_long = record->hash % LONG_ONE_IN == 0;
    return is_long ? (size_t)(record->hash / LONG_ONE_IN % LONG_MAX) : strlen(record->text);
}

static void make_record(const struct model *model, uint32_t key, struct fixture_record *out) {
    unsigned long long version = model->versions[key];
    fixture_record(&version, model->lexical, MODEL_VOCABULARY, key, out);
    if (key == 0)
        out->hash = model->versions[0];
    _Static_assert(sizeof out->fields >= MODEL_FIELDS_MAX, "they fit");
    model_fields_print(key, out->hash, out->fields);
    fixture_passages(out, text_len_of(out));
}

static struct record view_of(const struct fixture_record *record) {
    struct record view = fixture_view(record);
    if (record->hash % LONG_ONE_IN == 0) {
        pthread_once(&long_text_once, make_long_text);
        view.text = long_text;
        view.text_len = text_len_of(record);
    }
    return view;
}

/* ---- options, folders ---- */

uint32_t model_option(const char *name, uint32_t otherwise) {
    const char *given = getenv(name);
    return given ? (uint32_t)strtoul(given, NULL, 10) : otherwise;
}

unsigned long long model_seed(void) {
    const char *given = getenv("TERCET_SEED");
    unsigned long long seed = given ? strtoull(given, NULL, 10) : 1;
    if (seed == 0)
        seed = (unsigned long long)time(NULL);
    printf("TERCET_SEED=%llu\n", seed);
    fflush(stdout);
    return seed ? seed : 1;
}

void model_folder(char out[64]) {
    fixture_memory_folder(out);
}

static struct index_settings model_settings(enum index_lexical lexical) {
    struct index_settings settings = fixture_settings(lexical);
    settings.dense_dim = settings.multi_dim = FIXTURE_DIM;
    settings.chunk_tokens = 100;
    return settings;
}

/* Generations of one list only: they are exact, so a search through one must give the oracle's. */
static void small_limits(struct index *index) {
    dense_index_set_limits(index_dense(index), (struct dense_limits){.generation_rows_min = 40,
                                                                     .lists_rows_min = 1 << 30,
                                                                     .uncovered_min = 30});
}

bool model_create(const char *folder, enum index_lexical lexical, struct index **out,
                  struct error *err) {
    struct index_settings settings = model_settings(lexical);
    if (!index_create(folder, &settings, out, err))
        return false;
    small_limits(*out);
    return true;
}

bool model_open(const char *folder, enum index_mode mode, struct index **out, struct error *err) {
    struct index *index;
    if (!index_open(folder, mode, &index, err))
        return false;
    const struct index_settings *found = index_settings_of(index);
    if (found->dense_dim != FIXTURE_DIM || found->multi_dim != FIXTURE_DIM) {
        index_close(index);
        return error_set(err, ERROR_INVALID, "%s: dimensions are not the model's", folder);
    }
    small_limits(index);
    *out = index;
    return true;
}

/* ---- changes ---- */

static bool put(struct model *model, struct writer *writer, uint32_t key,
                unsigned long long version, struct error *err) {
    struct fixture_record record;
    model->versions[key] = version;
    if (!writer)
        return true;
    make_record(model, key, &record);
    struct record view = view_of(&record);
    return writer_put(writer, &view, err);
}

static bool delete (struct model *model, struct writer *writer, uint32_t key, struct error *err) {
    bool was_there = model->versions[key] != 0, found = was_there;
    char name[32];
    key_name(key, name);
    model->versions[key] = 0;
    if (writer && !writer_delete(writer, name, strlen(name), &found, err))
        return false;
    return found == was_there ||
           error_set(err, ERROR_INVALID, "%s: deleted, found %d, model %d", name, found, was_there);
}

bool model_change(struct model *model, struct writer *writer, unsigned long long *seed,
                  struct error *err) {
    uint32_t key = 1 + (uint32_t)(check_random(seed) % (MODEL_KEYS - 1));
    unsigned long long dice = check_random(seed), version = check_random(seed) | 1;
    return dice % DELETE_ONE_IN == 0 ? delete (model, writer, key, err)
                                     : put(model, writer, key, version, err);
}

void model_limit_merging(struct writer *writer, unsigned long long *seed) {
    static const size_t works[] = {100, 1000, 10000, 0}; /* a batch's own lists: some 10,000 */
    writer_limit_merging(writer, works[check_random(seed) % 4]);
}

bool model_batch(struct model *model, struct writer *writer, unsigned long long seed,
                 uint32_t number, struct error *err) {
    unsigned long long own = (seed * 0x9E3779B97F4A7C15ull + number) | 1ull << 63;
    for (int i = 0; i < 4; i++) /* neighbouring seeds begin alike */
        check_random(&own);
    uint32_t n = 1 + (uint32_t)(check_random(&own) % MODEL_BATCH_MAX);
    unsigned long long slices = own;
    if (writer)
        model_limit_merging(writer, &slices);
    bool ok = put(model, writer, 0, number, err);
    for (uint32_t i = 0; ok && i < n; i++)
        ok = model_change(model, writer, &own, err);
    return ok;
}

bool model_delete_passing(struct model *model, struct index *index, unsigned long long *seed,
                          struct error *err) {
    struct model_filter drawn;
    char text[MODEL_FILTER_TEXT_MAX];
    struct arena arena = {0};
    struct filter *filter;
    uint64_t want = 0, found = 0;
    model_filter_draw(seed, &drawn);
    drawn.join = MODEL_AND; /* few at a time */
    for (uint32_t key = 0; key < MODEL_KEYS; key++) {
        struct fixture_record record;
        if (!model->versions[key])
            continue;
        make_record(model, key, &record);
        if (!model_filter_passes(&drawn, key, record.hash))
            continue;
        model->versions[key] = 0;
        want++;
    }
    model_filter_print(&drawn, text);
    struct json *json = json_parse(text, strlen(text), err);
    bool ok =
        json && filter_parse(json, &arena, &filter, err) &&
        index_remove_passing(index, filter, &found, err) &&
        (found == want || error_set(err, ERROR_INVALID, "%s: %llu deleted, %llu expected", text,
                                    (unsigned long long)found, (unsigned long long)want));
    json_release(json);
    arena_done(&arena);
    return ok;
}

uint32_t model_batch_of(struct snapshot *snapshot) {
    uint64_t number = 0;
    return document_hash(snapshot, "doc-0", 5, &number) ? (uint32_t)number : 0;
}

/* ---- key by key ---- */

static bool differs(struct error *err, uint32_t key, const char *what) {
    return error_set(err, ERROR_INVALID, "doc-%u: %s is not the model's", key, what);
}

/* What a record's dense and multi rows must be. */
struct rows {
    struct record_passage alone;
    const struct record_passage *passages; /* [n] */
    size_t n, codes_len;
    bool has_vectors;
    uint16_t dense[FIXTURE_PASSAGES_MAX * FIXTURE_DIM];
    uint8_t codes[FIXTURE_PASSAGES_MAX * 512];
};

static void make_rows(const struct fixture_record *record, struct rows *out) {
    struct record view = view_of(record);
    out->passages = record_passages(&view, &out->alone, &out->n);
    out->codes_len = 0;
    out->has_vectors = false;
    for (size_t i = 0; i < out->n; i++) {
        const struct record_passage *passage = &out->passages[i];
        vec_to_f16(passage->dense, FIXTURE_DIM, out->dense + i * FIXTURE_DIM);
        multi_encode(passage->multi, passage->multi_n, FIXTURE_DIM, out->codes + out->codes_len);
        out->codes_len += multi_codes_bytes(FIXTURE_DIM, passage->multi_n);
        out->has_vectors = out->has_vectors || passage->multi_n > 0;
    }
}

static bool places_agree(struct snapshot *snapshot, const struct rows *want, uint32_t key,
                         uint32_t docid, struct error *err) {
    for (uint32_t i = 0; i < want->n; i++) {
        struct document_passage found;
        if (!document_passage(snapshot, docid, i, &found, err))
            return false;
        if (found.begin != want->passages[i].begin || found.end != want->passages[i].end ||
            found.index != i || found.n != want->n)
            return differs(err, key, "passage");
    }
    return true;
}

static bool rows_agree(struct snapshot *snapshot, const struct fixture_record *want, uint32_t key,
                       uint32_t docid, struct error *err) {
    struct sparse_row sparse;
    struct rows rows;
    size_t codes_len = 0, rows_n = 0;
    const void *row = forward_dense_rows(snapshot, docid, &rows_n);
    const void *multi = forward_multi_codes(snapshot, docid, &codes_len);
    make_rows(want, &rows);
    if (!row || (multi && codes_len == 0))
        return error_set(err, ERROR_CORRUPT, "doc-%u: %s row is damaged", key,
                         row ? "multi" : "dense");
    if (rows_n != rows.n || memcmp(row, rows.dense, rows.n * FIXTURE_DIM * sizeof *rows.dense) != 0)
        return differs(err, key, "dense row");
    if ((multi != NULL) != rows.has_vectors ||
        (multi && (codes_len != rows.codes_len || memcmp(multi, rows.codes, codes_len) != 0)))
        return differs(err, key, "multi row");
    if (!places_agree(snapshot, &rows, key, docid, err) ||
        !forward_sparse_row(snapshot->txn, docid, &sparse, err))
        return false;
    return (sparse.n == want->terms_n && sparse.length == want->length &&
            memcmp(sparse.ids, want->ids, 4 * sparse.n) == 0 &&
            memcmp(sparse.weights, want->weights, 4 * sparse.n) == 0) ||
           differs(err, key, "sparse row");
}

static bool key_agrees(struct snapshot *snapshot, const struct model *model, uint32_t key,
                       struct arena *arena, struct error *err) {
    struct fixture_record want;
    struct document got;
    uint32_t docid;
    char name[32];
    key_name(key, name);
    bool found = document_find(snapshot, name, strlen(name), &docid, err);
    if (!found && err->code != ERROR_NOT_FOUND)
        return false;
    if (found != (model->versions[key] != 0))
        return differs(err, key, found ? "being there" : "being gone");
    if (!found)
        return true;
    make_record(model, key, &want);
    struct record view = view_of(&want);
    if (!document_get(snapshot, docid, arena, &got, err))
        return false;
    if (got.content_hash != want.hash || strcmp(got.key, want.key) != 0)
        return differs(err, key, "version");
    if (strcmp(got.title, want.title) != 0 || strcmp(got.fields, want.fields) != 0 ||
        got.text_len != view.text_len || memcmp(got.text, view.text, view.text_len) != 0)
        return differs(err, key, "text");
    if (!snapshot_is_live(snapshot, docid))
        return differs(err, key, "being alive");
    return rows_agree(snapshot, &want, key, docid, err);
}

bool model_agrees(struct snapshot *snapshot, const struct model *model, struct error *err) {
    struct arena arena = {0};
    uint64_t alive_n = 0, live_n = 0;
    bool ok = true;
    for (uint32_t key = 0; ok && key < MODEL_KEYS; key++) {
        ok = key_agrees(snapshot, model, key, &arena, err);
        alive_n += model->versions[key] != 0;
        arena_reset(&arena);
    }
    for (uint32_t docid = 0; docid < snapshot_docid_end(snapshot); docid++)
        live_n += snapshot_is_live(snapshot, docid);
    if (ok && (live_n != alive_n || snapshot_documents_n(snapshot) != alive_n))
        ok = error_set(err, ERROR_INVALID, "%llu documents alive, %llu counted, the model has %llu",
                       (unsigned long long)live_n,
                       (unsigned long long)snapshot_documents_n(snapshot),
                       (unsigned long long)alive_n);
    arena_done(&arena);
    return ok;
}

/* ---- search by search ---- */

/* All records of the model at once; all[key].key is "" where there is none. */
struct oracle {
    const struct model *model;
    struct fixture_record *all; /* [MODEL_KEYS] */
    double scores[MODEL_KEYS];  /* of the query at hand */
    bool allowed[MODEL_KEYS];   /* by the filter at hand */
};

static double weight_in(const struct fixture_record *record, uint32_t id) {
    for (size_t i = 0; i < record->terms_n; i++)
        if (record->ids[i] == id)
            return (double)record->weights[i];
    return 0;
}

/* The formulas of docs/architecture.md in double, from the records alone. */
static void score_sparse(struct oracle *oracle, const struct sparse_vector *query) {
    double n = 0, length_sum = 0;
    memset(oracle->scores, 0, sizeof oracle->scores);
    for (uint32_t i = 0; i < MODEL_KEYS; i++) {
        n += oracle->all[i].key[0] != '\0';
        length_sum += (double)oracle->all[i].length;
    }
    for (size_t q = 0; q < query->n; q++) {
        double holders = 0;
        for (uint32_t i = 0; i < MODEL_KEYS; i++)
            holders += weight_in(&oracle->all[i], query->ids[q]) > 0;
        double idf = log(1 + (n - holders + 0.5) / (holders + 0.5));
        for (uint32_t i = 0; i < MODEL_KEYS; i++) {
            double tf = weight_in(&oracle->all[i], query->ids[q]);
            double norm = 1.2 * (0.25 + 0.75 * (double)oracle->all[i].length / (length_sum / n));
            if (tf > 0)
                oracle->scores[i] +=
                    (double)query->weights[q] *
                    (oracle->model->lexical == INDEX_LEXICAL_LEARNED ? tf : idf * tf / (tf + norm));
        }
    }
}

static double product(const float *query, const uint16_t *halves) {
    float row[FIXTURE_DIM];
    double sum = 0;
    vec_from_f16(halves, FIXTURE_DIM, row);
    for (size_t d = 0; d < FIXTURE_DIM; d++)
        sum += (double)query[d] * (double)row[d];
    return sum;
}

/* A document's best passage. */
static void score_dense(struct oracle *oracle, const float *query) {
    for (uint32_t i = 0; i < MODEL_KEYS; i++) {
        struct rows rows;
        if (!oracle->all[i].key[0])
            continue;
        make_rows(&oracle->all[i], &rows);
        oracle->scores[i] = product(query, rows.dense);
        for (size_t p = 1; p < rows.n; p++)
            oracle->scores[i] =
                fmax(oracle->scores[i], product(query, rows.dense + p * FIXTURE_DIM));
    }
}

/* The list holds the best scores, in order, each the oracle's for its document. sparse: those
 * without a share of the query are not candidates. */
static bool list_agrees(struct snapshot *snapshot, const struct oracle *oracle, const char *mode,
                        bool sparse, size_t k, struct scored_list list, struct arena *arena,
                        struct error *err) {
    struct scored best[MODEL_KEYS];
    size_t candidates_n = 0;
    for (uint32_t i = 0; i < MODEL_KEYS; i++)
        if (oracle->allowed[i] && (!sparse || oracle->scores[i] > 0))
            best[candidates_n++] = (struct scored){(float)oracle->scores[i], i};
    scored_sort(best, candidates_n);
    size_t want_n = k < candidates_n ? k : candidates_n;
    if (list.n != want_n)
        return error_set(err, ERROR_INVALID, "%s: %zu found, %zu expected", mode, list.n, want_n);
    for (size_t i = 0; i < list.n; i++) {
        struct document got;
        if (!document_get(snapshot, list.entries[i].docid, arena, &got, err))
            return false;
        uint32_t key = (uint32_t)atoi(got.key + strlen("doc-"));
        double found = (double)list.entries[i].score, slack = 1e-4 * (1 + fabs(found));
        if (key >= MODEL_KEYS || fabs(found - (double)best[i].score) > slack ||
            fabs(found - oracle->scores[key]) > slack)
            return error_set(err, ERROR_INVALID, "%s: rank %zu of %zu is doc-%u at %g, expected %g",
                             mode, i, list.n, key, found, (double)best[i].score);
    }
    return true;
}

static bool sparse_agrees(struct snapshot *snapshot, struct oracle *oracle,
                          const struct docid_set *allowed, unsigned long long *seed,
                          struct arena *arena, struct error *err) {
    uint32_t ids[QUERY_TERMS];
    float weights[QUERY_TERMS], exact;
    struct sparse_vector query = {ids, weights,
                                  fixture_ids(seed, QUERY_TERMS, MODEL_VOCABULARY, ids)};
    struct scored_list list;
    size_t k = 1 + check_random(seed) % RESULTS_MAX;
    for (size_t i = 0; i < query.n; i++)
        weights[i] = 1.01f + check_random_float(seed);
    score_sparse(oracle, &query);
    if (!sparse_search(snapshot, &query, k, allowed, arena, &list, err) ||
        !list_agrees(snapshot, oracle, "sparse", true, k, list, arena, err))
        return false;
    for (size_t i = 0; i < list.n; i++)
        if (!sparse_score(snapshot, &query, &list.entries[i].docid, 1, arena, &exact, err))
            return false;
        else if (exact != list.entries[i].score)
            return error_set(err, ERROR_INVALID, "sparse: search says %g, score %g",
                             (double)list.entries[i].score, (double)exact);
    return true;
}

static bool dense_agrees(struct snapshot *snapshot, struct oracle *oracle,
                         const struct docid_set *allowed, const float *query, size_t k,
                         struct arena *arena, struct error *err) {
    score_dense(oracle, query);
    for (int exact = 0; exact < 2; exact++) {
        struct scored_list list;
        if (!dense_search(snapshot, query, k, exact, allowed, arena, &list, err) ||
            !list_agrees(snapshot, oracle, exact ? "dense, exact" : "dense", false, k, list, arena,
                         err))
            return false;
    }
    return true;
}

/* The model's own codes of one document, scored by the same arithmetic: equal to the bit. */
static bool multi_agrees(struct snapshot *snapshot, const struct oracle *oracle, uint32_t key,
                         const float *vectors, struct arena *arena, struct error *err) {
    struct multi_query query;
    struct rows rows;
    uint32_t docid, want_passage = 0, found_passage, dense_passage;
    float found, want = 0, own;
    bool any = false;
    make_rows(&oracle->all[key], &rows);
    const uint8_t *at = rows.codes, *end = at + rows.codes_len;
    if (!multi_query_init(&query, vectors, QUERY_VECTORS, FIXTURE_DIM, arena, err))
        return false;
    for (uint32_t i = 0; i < rows.n; i++) {
        struct multi_codes codes;
        if (!multi_codes_next(&at, end, FIXTURE_DIM, &codes, err))
            return false;
        if (codes.n == 0 || ((own = multi_maxsim(&query, &codes)) <= want && any))
            continue;
        want = own;
        want_passage = i;
        any = true;
    }
    if (!document_find(snapshot, oracle->all[key].key, strlen(oracle->all[key].key), &docid, err) ||
        !multi_score(snapshot, vectors, QUERY_VECTORS, &docid, 1, arena, &found, err) ||
        !multi_best_passages(snapshot, vectors, QUERY_VECTORS, &docid, 1, arena, NULL,
                             &found_passage, err) ||
        !dense_best_passages(snapshot, vectors, &docid, 1, NULL, &dense_passage, err))
        return false;
    if (found != want || found_passage != want_passage)
        return error_set(err, ERROR_INVALID, "multi: doc-%u scores %g by passage %u, not %g by %u",
                         key, (double)found, found_passage, (double)want, want_passage);
    for (uint32_t i = 0; i < rows.n; i++)
        if (product(vectors, rows.dense + i * FIXTURE_DIM) >
            product(vectors, rows.dense + dense_passage * FIXTURE_DIM) + 1e-5)
            return error_set(err, ERROR_INVALID, "dense: doc-%u has a better passage than %u", key,
                             dense_passage);
    return true;
}

/* ---- filters and facets ---- */

/* filter NULL: every document. *set_out is then not touched. */
static bool allow(struct snapshot *snapshot, struct oracle *oracle,
                  const struct model_filter *drawn, struct arena *arena, struct docid_set *set_out,
                  struct error *err) {
    char text[MODEL_FILTER_TEXT_MAX];
    struct filter *filter;
    size_t n = 0;
    for (uint32_t i = 0; i < MODEL_KEYS; i++) {
        oracle->allowed[i] =
            oracle->all[i].key[0] && (!drawn || model_filter_passes(drawn, i, oracle->all[i].hash));
        n += oracle->allowed[i];
    }
    if (!drawn)
        return true;
    model_filter_print(drawn, text);
    struct json *json = json_parse(text, strlen(text), err);
    bool ok = json && filter_parse(json, arena, &filter, err) &&
              filter_run(filter, snapshot, arena, set_out, err);
    json_release(json);
    return ok && (docid_set_count(set_out) == n ||
                  error_set(err, ERROR_INVALID, "%s: %zu documents pass, %zu expected", text,
                            docid_set_count(set_out), n));
}

/* The words of "c" are as often there as the model has them. */
static bool facet_agrees(struct snapshot *snapshot, const struct oracle *oracle,
                         const struct docid_set *allowed, struct arena *arena, struct error *err) {
    size_t counts[MODEL_WORDS] = {0}, distinct_n = 0;
    struct facet facet;
    for (uint32_t i = 0; i < MODEL_KEYS; i++)
        if (oracle->allowed[i] && model_fields_word(oracle->all[i].hash) >= 0)
            counts[model_fields_word(oracle->all[i].hash)]++;
    for (size_t i = 0; i < MODEL_WORDS; i++)
        distinct_n += counts[i] > 0;
    if (!facet_count(snapshot, "c", 1, MODEL_WORDS, allowed, arena, &facet, err))
        return false;
    bool ok = facet.distinct_n == distinct_n && facet.values_n == distinct_n;
    for (size_t i = 0; ok && i < facet.values_n; i++) {
        struct json *value = facet_value_json(&facet.values[i]);
        for (int word = 0; word < MODEL_WORDS; word++)
            if (strcmp(json_string_of(value, NULL), model_word(word)) == 0)
                ok = facet.values[i].documents_n == counts[word];
        json_release(value);
    }
    return ok || error_set(err, ERROR_INVALID, "facets of \"c\" are not the model's");
}

/* filter NULL: no filter. */
static bool modes_agree(struct snapshot *snapshot, struct oracle *oracle,
                        const struct model_filter *filter, const float *vector,
                        unsigned long long *seed, struct arena *arena, struct error *err) {
    struct docid_set set = {0}, *allowed = filter ? &set : NULL;
    size_t k = 1 + check_random(seed) % RESULTS_MAX;
    return allow(snapshot, oracle, filter, arena, &set, err) &&
           facet_agrees(snapshot, oracle, allowed, arena, err) &&
           sparse_agrees(snapshot, oracle, allowed, seed, arena, err) &&
           dense_agrees(snapshot, oracle, allowed, vector, k, arena, err);
}

bool model_search_agrees(struct snapshot *snapshot, const struct model *model,
                         unsigned long long *seed, struct error *err) {
    struct oracle *oracle = mem_zalloc(1, sizeof *oracle);
    struct arena arena = {0};
    float vectors[QUERY_VECTORS * FIXTURE_DIM];
    *oracle = (struct oracle){.model = model, .all = mem_zalloc(MODEL_KEYS, sizeof *oracle->all)};
    for (uint32_t i = 0; i < MODEL_KEYS; i++)
        if (model->versions[i])
            make_record(model, i, &oracle->all[i]);
    for (size_t i = 0; i < QUERY_VECTORS * FIXTURE_DIM; i++)
        vectors[i] = check_random_float(seed);
    for (size_t i = 0; i < QUERY_VECTORS; i++)
        vec_normalize(vectors + i * FIXTURE_DIM, FIXTURE_DIM);
    struct model_filter filter;
    model_filter_draw(seed, &filter);
    bool ok = modes_agree(snapshot, oracle, NULL, vectors, seed, &arena, err) &&
              modes_agree(snapshot, oracle, &filter, vectors, seed, &arena, err);
    for (int i = 0; ok && i < 10; i++) {
        uint32_t key = (uint32_t)(check_random(seed) % MODEL_KEYS);
        ok = !model->versions[key] || multi_agrees(snapshot, oracle, key, vectors, &arena, err);
    }
    arena_done(&arena);
    free(oracle->all);
    free(oracle);
    return ok;
}

bool model_index_agrees(struct index *index, const struct model *model, unsigned long long *seed,
                        struct error *err) {
    struct snapshot *snapshot;
    if (!snapshot_open(index, &snapshot, err))
        return false;
    bool ok = model_agrees(snapshot, model, err);
    for (int i = 0; ok && i < 3; i++)
        ok = model_search_agrees(snapshot, model, seed, err);
    snapshot_close(snapshot);
    return ok;
}
