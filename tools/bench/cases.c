#include "tools/bench/cases.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/model.h"
#include "engine/tokenizer/tokenizer.h"

/* 64 documents of 8,192 tokens are 4 MB of JSON. */
enum { INPUTS_BYTES_MAX = 1 << 28, BATCH_MAX = 1 << 20, REPEATS_MAX = 1000 };

/* Real passages are of all lengths; those of SciFact are half between 200 and 400 tokens. */
enum { MIXED_TOKENS_MIN = 32, MIXED_TOKENS_MAX = 512 };
/* Models that read so many tokens are measured at their longest too. */
enum { LONG_TOKENS_MIN = 4096 };

void cases_done(struct cases *cases) {
    if (cases)
        arena_done(&cases->arena);
}

/* ---- made up ---- */

struct maker {
    struct cases *cases;
    uint32_t first, last;    /* special tokens around a text */
    uint32_t id_min, id_max; /* of the tokens between: beyond all special ones */
    uint64_t random;         /* state: the same texts in every run */
    size_t length_max;
};

static uint32_t maker_random(struct maker *maker, uint32_t min, uint32_t max) {
    maker->random = maker->random * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
    return min + (uint32_t)((maker->random >> 33) % (max - min + 1));
}

static struct forward_sequence make_text(struct maker *maker, size_t tokens_n) {
    size_t n = tokens_n < maker->length_max ? tokens_n : maker->length_max;
    uint32_t *ids = ARENA_NEW(&maker->cases->arena, uint32_t, n);
    ids[0] = maker->first;
    for (size_t i = 1; i < n; i++)
        ids[i] = maker_random(maker, maker->id_min, maker->id_max);
    ids[n - 1] = maker->last;
    return (struct forward_sequence){.ids = ids, .n = n};
}

static struct bench_case *add_case(struct maker *maker, const char *name, enum case_kind kind,
                                   size_t texts_n, size_t batch) {
    struct bench_case *added = &maker->cases->list[maker->cases->n++];
    *added = (struct bench_case){
        .name = name,
        .kind = kind,
        .texts = ARENA_NEW(&maker->cases->arena, struct forward_sequence, texts_n),
        .texts_n = texts_n,
        .batch = batch,
    };
    return added;
}

static void add_equal(struct maker *maker, const char *name, enum case_kind kind, size_t texts_n,
                      size_t tokens_n) {
    struct bench_case *added = add_case(maker, name, kind, texts_n, texts_n);
    if (kind == CASE_LATENCY)
        added->batch = 1;
    for (size_t i = 0; i < texts_n; i++)
        added->texts[i] = make_text(maker, tokens_n);
}

static int by_length(const void *a, const void *b) {
    const struct forward_sequence *x = a, *y = b;
    return (x->n > y->n) - (x->n < y->n);
}

static void add_mixed(struct maker *maker, const char *name, size_t texts_n, size_t batch) {
    struct bench_case *added = add_case(maker, name, CASE_CORPUS, texts_n, batch);
    for (size_t i = 0; i < texts_n; i++)
        added->texts[i] = make_text(maker, maker_random(maker, MIXED_TOKENS_MIN, MIXED_TOKENS_MAX));
    qsort(added->texts, texts_n, sizeof *added->texts, by_length);
}

/* The special tokens around every text of this model. */
static bool find_specials(struct maker *maker, const struct model *model, struct error *err) {
    struct tokens tokens;
    if (!tokenizer_encode(model_tokenizer(model), "a", 1, 0, &maker->cases->arena, &tokens, err))
        return false;
    if (tokens.n == 0)
        return error_set(err, ERROR_UNSUPPORTED, "the tokenizer makes no token of \"a\"");
    maker->first = tokens.ids[0];
    maker->last = tokens.ids[tokens.n - 1];
    return true;
}

bool cases_make(const struct model *model, bool quick, struct cases *out, struct error *err) {
    const struct model_info *info = model_info(model);
    enum { MADE_MAX = 5 };
    struct cases cases = {0};
    cases.list = ARENA_NEW(&cases.arena, struct bench_case, MADE_MAX);
    struct maker maker = {
        .cases = &cases,
        .id_min = info->vocabulary_n / 2,
        .id_max = info->vocabulary_n - 1,
        .length_max = info->length_max,
    };
    if (!find_specials(&maker, model, err)) {
        cases_done(&cases);
        return false;
    }
    if (info->is_reranker) {
        add_equal(&maker, "20x256", CASE_SECONDS, 20, 256);
        cases.list[0].repeats = quick ? 1 : 5;
    } else {
        add_equal(&maker, "query-16", CASE_LATENCY, quick ? 30 : 300, 16);
        add_equal(&maker, quick ? "fixed-128/batch-4" : "fixed-128/batch-32", CASE_FIXED,
                  quick ? 4 : 32, 128);
        add_equal(&maker, quick ? "fixed-512/batch-2" : "fixed-512/batch-8", CASE_FIXED,
                  quick ? 2 : 8, 512);
        if (!quick)
            add_mixed(&maker, "mixed-64/batch-16", 64, 16);
        if (!quick && info->length_max >= LONG_TOKENS_MIN)
            add_equal(&maker, arena_format(&cases.arena, "fixed-%u/batch-1", info->length_max),
                      CASE_CORPUS, 1, info->length_max);
    }
    *out = cases;
    return true;
}

/* ---- read ---- */

static bool read_text(const struct model_info *info, const struct json *text, struct cases *cases,
                      struct forward_sequence *out, struct error *err) {
    size_t n = json_count(text);
    if (json_kind_of(text) != JSON_KIND_ARRAY || n < 1 || n > info->length_max)
        return error_set(err, ERROR_INVALID, "%zu tokens: must be an array of 1 to %u", n,
                         info->length_max);
    uint32_t *ids = ARENA_NEW(&cases->arena, uint32_t, n);
    for (size_t i = 0; i < n; i++) {
        const struct json *id = json_at(text, i);
        double number = json_kind_of(id) == JSON_KIND_NUMBER ? json_number_of(id) : -1;
        if (!(number >= 0 && number < info->vocabulary_n) || number != (double)(uint32_t)number)
            return error_set(err, ERROR_INVALID, "token %zu: must be a number from 0 to %u", i,
                             info->vocabulary_n - 1);
        ids[i] = (uint32_t)number;
    }
    *out = (struct forward_sequence){.ids = ids, .n = n};
    return true;
}

static bool read_kind(const struct json *object, enum case_kind *out, struct error *err) {
    static const char *const names[] = {[CASE_CORPUS] = "corpus",
                                        [CASE_FIXED] = "fixed",
                                        [CASE_LATENCY] = "latency",
                                        [CASE_SECONDS] = "seconds"};
    const char *kind = "";
    if (!json_read_string(object, "kind", &kind, err))
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(kind, names[i]) == 0) {
            *out = (enum case_kind)i;
            return true;
        }
    return error_set(err, ERROR_INVALID, "kind \"%s\": must be corpus, fixed, latency or seconds",
                     kind);
}

static bool read_case(const struct model_info *info, const struct json *object, struct cases *cases,
                      struct bench_case *out, struct error *err) {
    uint32_t batch = 1;
    const struct json *texts = json_get(object, "texts");
    out->repeats = 1;
    if (!read_kind(object, &out->kind, err) ||
        !json_read_u32(object, "batch", 1, BATCH_MAX, &batch, err) ||
        !json_read_u32(object, "repeats", 1, REPEATS_MAX, &out->repeats, err))
        return false;
    out->batch = batch;
    out->texts_n = json_count(texts);
    if (json_kind_of(texts) != JSON_KIND_ARRAY || out->texts_n == 0)
        return error_set(err, ERROR_INVALID, "texts: must be an array with something in it");
    out->texts = ARENA_NEW(&cases->arena, struct forward_sequence, out->texts_n);
    for (size_t i = 0; i < out->texts_n; i++)
        if (!read_text(info, json_at(texts, i), cases, &out->texts[i], err))
            return error_wrap(err, "text %zu: ", i);
    return true;
}

static bool read_cases(const struct model_info *info, const struct json *list, struct cases *cases,
                       struct error *err) {
    if (json_kind_of(list) != JSON_KIND_OBJECT || json_count(list) == 0)
        return error_set(err, ERROR_INVALID, "cases: must be an object with something in it");
    cases->list = ARENA_ZERO(&cases->arena, struct bench_case, json_count(list));
    for (void *at = json_first(list); at; at = json_next(list, at)) {
        const char *name = json_member_key(at);
        struct bench_case *read = &cases->list[cases->n++];
        read->name = arena_text(&cases->arena, name, strlen(name));
        if (!read_case(info, json_member_value(at), cases, read, err))
            return error_wrap(err, "case \"%s\": ", name);
    }
    return true;
}

bool cases_read(const struct model *model, const char *folder, struct cases *out,
                struct error *err) {
    struct cases cases = {0};
    struct buf text = {0};
    struct json *root = NULL;
    const char *path = arena_format(&cases.arena, "%s/inputs.json", folder);
    bool ok = file_read(path, INPUTS_BYTES_MAX, &text, err);
    if (ok) {
        root = json_parse(text.data, text.len, err);
        ok = (root && read_cases(model_info(model), json_get(root, "cases"), &cases, err)) ||
             error_wrap(err, "%s: ", path);
    }
    json_release(root);
    buf_done(&text);
    if (ok)
        *out = cases;
    else
        cases_done(&cases);
    return ok;
}
