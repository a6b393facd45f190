/* tercet bench search - a question through the whole engine: encode, retrieve, score, fuse, fetch.
 *
 * Over an index of one's own, or one of made-up texts. A question is the beginning of a stored
 * document, so the document it came from should be found: `found` is how often it is the first hit;
 * `recall@10`, how many of the 10 are those of an exact search. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/model.h"
#include "index/rows.h"
#include "ingest/pipeline.h"
#include "ingest/settings.h"
#include "query/search.h"
#include "tools/bench/benches.h"
#include "tools/bench/latency.h"
#include "engine/base/random.h"
#include "tools/scratch.h"

enum {
    DOCUMENTS_N = 5000,
    DOCUMENTS_QUICK_N = 300,
    WORDS_MIN = 30, /* of a made-up text */
    WORDS_MAX = 120,
    TOPICS_N = 200, /* a text takes half of its words from its topic's */
    TOPIC_WORDS = 40,
    VOCABULARY_N = 8000,
    QUESTION_WORDS = 10,
    QUESTIONS_N = 200,
    K = 10,
};
static const double seconds_default = 5, seconds_quick = 0.5;

static const struct search_case {
    const char *name;
    unsigned modes;
} search_cases[] = {
    {"dense", 1u << FUSE_DENSE},
    {"sparse", 1u << FUSE_SPARSE},
    {"dense+sparse", 1u << FUSE_DENSE | 1u << FUSE_SPARSE},
    {"dense+sparse+multi", 1u << FUSE_DENSE | 1u << FUSE_SPARSE | 1u << FUSE_MULTI},
};

struct question {
    const char *text;
    size_t len;
    const char *key; /* of the document it was taken from */
};

struct search_bench {
    const char *folder; /* of the index; NULL: make one */
    uint32_t documents_n;
    bool quick, json;
    struct model *model;
    struct index *index;
    struct arena arena; /* holds the questions */
    struct question *questions;
    size_t questions_n;
};

/* ---- made-up documents ---- */

/* Syllables make words that a word-piece vocabulary cuts as it cuts rare words. */
static size_t make_word(uint32_t number, char *out) {
    static const char *const syllables[] = {"ka",  "ro", "mi",  "ten", "sol", "ve",  "du", "ar",
                                            "lin", "po", "gra", "us",  "ne",  "chi", "bo", "tal"};
    size_t len = 0;
    number += 16; /* two syllables at least */
    for (; number > 0; number >>= 4) {
        const char *syllable = syllables[number & 15];
        size_t n = strlen(syllable);
        memcpy(out + len, syllable, n);
        len += n;
    }
    return len;
}

/* Zipf's law, roughly: the rank is exponential in a uniform number. */
static uint32_t draw_word(uint64_t *random) {
    return (uint32_t)(pow(VOCABULARY_N, random_uniform(random)) - 1);
}

static struct row make_row(uint32_t number, struct arena *arena) {
    enum { WORD_BYTES_MAX = 16 };
    uint64_t random = number, topic = random_below(&random, TOPICS_N);
    size_t words_n = WORDS_MIN + random_below(&random, WORDS_MAX - WORDS_MIN), len = 0;
    char *text = ARENA_NEW(arena, char, words_n *WORD_BYTES_MAX);
    char *key = ARENA_NEW(arena, char, 16);
    for (size_t i = 0; i < words_n; i++) {
        uint64_t of_topic = topic * TOPIC_WORDS + random_below(&random, TOPIC_WORDS);
        uint32_t word = i % 2 ? draw_word(&random) : random_below(&of_topic, VOCABULARY_N);
        if (i > 0)
            text[len++] = ' ';
        len += make_word(word, text + len);
    }
    text[len] = '\0';
    return (struct row){
        .key = key,
        .key_len = (size_t)snprintf(key, 16, "%u", number),
        .title = "",
        .text = text,
        .text_len = len,
        .fields = "",
        .file = "",
    };
}

static bool ingest_all(struct search_bench *bench, struct pool *pool, struct error *err) {
    enum { BATCH = 500 };
    struct ingest *ingest = NULL;
    struct arena arena = {0};
    struct ingest_verdict *verdicts = mem_zalloc(BATCH, sizeof *verdicts);
    struct row *rows = mem_alloc(BATCH, sizeof *rows);
    bool ok = ingest_open(bench->index, bench->model, pool, &ingest, err);
    for (uint32_t from = 0; ok && from < bench->documents_n; from += BATCH) {
        size_t n = 0;
        for (; n < BATCH && from + n < bench->documents_n; n++)
            rows[n] = make_row(from + (uint32_t)n, &arena);
        ok = ingest_rows(ingest, rows, n, verdicts, err);
        arena_reset(&arena);
    }
    ingest_close(ingest);
    arena_done(&arena);
    free(rows);
    free(verdicts);
    return ok;
}

static bool make_index(struct search_bench *bench, const char *folder, struct error *err) {
    struct model_options options = {0};
    const struct ingest_choices choices = {0};
    if (!model_open(&options, &bench->model, err) ||
        !ingest_open_index(folder, model_info(bench->model), &choices, &bench->index, err))
        return false;
    struct pool *pool = pool_open(0);
    bool ok = ingest_all(bench, pool, err);
    pool_close(pool);
    return ok;
}

static bool open_index(struct search_bench *bench, struct error *err) {
    struct model_options options = {0};
    if (!index_open(bench->folder, INDEX_READ, &bench->index, err))
        return false;
    options.name = index_settings_of(bench->index)->model;
    return model_open(&options, &bench->model, err);
}

/* ---- questions ---- */

/* Where the text's first QUESTION_WORDS words end. */
static size_t question_len(const char *text, size_t len) {
    size_t words_n = 0, at = 0;
    while (at < len && words_n < QUESTION_WORDS) {
        at += strcspn(text + at, " \n\t");
        words_n++;
        if (words_n < QUESTION_WORDS)
            at += strspn(text + at, " \n\t");
    }
    return at < len ? at : len;
}

/* Documents drawn by docid; the dead ones and those without text are passed over. */
static bool make_questions(struct search_bench *bench, struct error *err) {
    struct snapshot *snapshot;
    uint64_t random = 1;
    if (!snapshot_open(bench->index, &snapshot, err))
        return false;
    uint32_t docid_end = snapshot_docid_end(snapshot);
    bench->questions = ARENA_NEW(&bench->arena, struct question, QUESTIONS_N);
    bool ok = true;
    for (uint32_t tries = 0;
         ok && docid_end > 0 && tries < 10 * QUESTIONS_N && bench->questions_n < QUESTIONS_N;
         tries++) {
        uint32_t docid = random_below(&random, docid_end);
        struct document document;
        if (!snapshot_is_live(snapshot, docid))
            continue;
        ok = document_get(snapshot, docid, &bench->arena, &document, err);
        size_t len = ok ? question_len(document.text, document.text_len) : 0;
        if (len > 0)
            bench->questions[bench->questions_n++] =
                (struct question){document.text, len, document.key};
    }
    snapshot_close(snapshot);
    if (ok && bench->questions_n == 0)
        return error_set(err, ERROR_INVALID, "%s: no document with a text to ask for",
                         index_folder(bench->index));
    return ok;
}

/* ---- asking ---- */

struct tally {
    struct search_timing sums;
    size_t searches_n, found_n, wanted_n, same_n;
};

static void tally_add(struct tally *tally, const struct search_timing *timing) {
    tally->sums.encode_ms += timing->encode_ms;
    tally->sums.retrieve_ms += timing->retrieve_ms;
    tally->sums.score_ms += timing->score_ms;
    tally->sums.fuse_ms += timing->fuse_ms;
    tally->sums.fetch_ms += timing->fetch_ms;
    tally->searches_n++;
}

static struct search_request request_of(const struct question *question, unsigned modes,
                                        bool exact) {
    return (struct search_request){.query = question->text,
                                   .query_len = question->len,
                                   .k = K,
                                   .modes = modes,
                                   .exact = exact};
}

static bool has(const struct search_result *result, const char *key) {
    for (size_t i = 0; i < result->hits_n; i++)
        if (strcmp(result->hits[i].document.key, key) == 0)
            return true;
    return false;
}

/* Each question once more by comparing with every dense vector. */
static bool measure_quality(struct searcher *searcher, const struct search_bench *bench,
                            unsigned modes, struct tally *tally, struct error *err) {
    struct arena arena = {0};
    bool ok = true;
    for (size_t q = 0; ok && q < bench->questions_n; q++) {
        const struct question *question = &bench->questions[q];
        struct search_request fast = request_of(question, modes, false);
        struct search_request exact = request_of(question, modes, true);
        struct search_result found, wanted;
        ok = search_run(searcher, &fast, &arena, &found, err) &&
             search_run(searcher, &exact, &arena, &wanted, err);
        if (!ok)
            break;
        tally->found_n +=
            found.hits_n > 0 && strcmp(found.hits[0].document.key, question->key) == 0;
        tally->wanted_n += wanted.hits_n;
        for (size_t i = 0; i < wanted.hits_n; i++)
            tally->same_n += has(&found, wanted.hits[i].document.key);
        arena_reset(&arena);
    }
    arena_done(&arena);
    return ok;
}

static void print_case(const struct search_bench *bench, const struct search_case *which,
                       struct latency *latency, const struct tally *tally) {
    char name[64];
    double n = (double)tally->searches_n;
    struct json *row;
    snprintf(name, sizeof name, "%llu/%s/top%d", (unsigned long long)bench->documents_n,
             which->name, K);
    row = latency_row(latency, "search", name, 1);
    json_add_number(row, "encode_ms", tally->sums.encode_ms / n);
    json_add_number(row, "retrieve_ms", tally->sums.retrieve_ms / n);
    json_add_number(row, "score_ms", tally->sums.score_ms / n);
    json_add_number(row, "fuse_ms", tally->sums.fuse_ms / n);
    json_add_number(row, "fetch_ms", tally->sums.fetch_ms / n);
    json_add_number(row, "recall@10",
                    tally->wanted_n ? (double)tally->same_n / (double)tally->wanted_n : 1);
    json_add_number(row, "found", (double)tally->found_n / (double)bench->questions_n);
    bench_print(row);
}

static bool measure(struct searcher *searcher, const struct search_bench *bench,
                    const struct search_case *which, struct error *err) {
    struct latency latency = {0};
    struct tally tally = {0};
    struct arena arena = {0};
    bool ok = measure_quality(searcher, bench, which->modes, &tally, err); /* warms up, too */
    for (size_t q = 0; ok && latency_goes_on(&latency, bench->questions_n,
                                             bench->quick ? seconds_quick : seconds_default);
         q++) {
        struct search_request request =
            request_of(&bench->questions[q % bench->questions_n], which->modes, false);
        struct search_result result;
        latency_begin(&latency);
        ok = search_run(searcher, &request, &arena, &result, err);
        latency_end(&latency);
        if (ok)
            tally_add(&tally, &result.timing);
        arena_reset(&arena);
    }
    if (ok)
        print_case(bench, which, &latency, &tally);
    latency_done(&latency);
    arena_done(&arena);
    return ok;
}

static bool measure_all(struct search_bench *bench, struct error *err) {
    struct searcher *searcher = NULL;
    struct index_counts counts;
    bool ok = index_count(bench->index, &counts, err) && make_questions(bench, err) &&
              searcher_open(bench->index, bench->model, &searcher, err);
    if (ok)
        bench->documents_n = (uint32_t)counts.documents_n;
    unsigned offered = ok ? search_modes_of(index_settings_of(bench->index)) : 0;
    for (size_t i = 0; ok && i < sizeof search_cases / sizeof *search_cases; i++)
        if ((search_cases[i].modes & ~offered) == 0)
            ok = measure(searcher, bench, &search_cases[i], err);
    searcher_close(searcher);
    return ok;
}

static int run(int argc, char **argv) {
    struct search_bench bench = {.documents_n = DOCUMENTS_N};
    struct error err;
    const struct option table[] = {
        {"index", OPTION_TEXT, &bench.folder, "INDEX", "an index that is there", 0, 0, 0},
        {"documents", OPTION_NUMBER, &bench.documents_n, "N",
         "made-up documents where there is none (default: 5000)", 1, 10000000, 0},
        {"quick", OPTION_FLAG, &bench.quick, NULL, "few documents, short runs", 0, 0, 0},
        {"json", OPTION_FLAG, &bench.json, NULL, "JSON lines (always so)", 0, 0, 0},
        {0},
    };
    size_t words_n;
    int status = options_parse(&bench_search, table, argc, argv, &words_n);
    if (status < 0 && words_n > 0)
        status = options_wrong(&bench_search, "\"%s\" is one word too many", argv[0]);
    if (status >= 0)
        return status;
    if (bench.quick && bench.documents_n == DOCUMENTS_N)
        bench.documents_n = DOCUMENTS_QUICK_N;
    char scratch[SCRATCH_PATH_MAX] = "";
    bool ok = bench.folder
                  ? open_index(&bench, &err)
                  : scratch_make("bench", scratch, &err) && make_index(&bench, scratch, &err);
    ok = ok && measure_all(&bench, &err);
    arena_done(&bench.arena);
    index_close(bench.index);
    model_close(bench.model);
    scratch_remove(scratch);
    return ok ? EXIT_DONE : command_failed(&err);
}

const struct command bench_search = {"bench search", "", "a question through the whole engine",
                                     run};
