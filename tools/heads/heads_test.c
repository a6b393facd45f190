/* What heads are fitted on: queries made of texts, BM25 against its formula, and the teacher's
 * groups and logits against plain loops over all texts. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/base/random.h"
#include "engine/base/vec.h"
#include "engine/encoder.h"
#include "engine/heads_fit.h"
#include "engine/model.h"
#include "tests/check.h"
#include "tools/heads/bm25.h"
#include "tools/heads/teacher.h"

enum { TEXTS = 60, WORDS = 14, WIDTH = 24, ROWS = 5 };

static char folder[] = "/tmp/tercet-heads-XXXXXX";

static const char *in_folder(const char *name) {
    static char paths[4][256];
    static size_t turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof *paths, "%s/%s", folder, name);
    return path;
}

static const char *write_lines(const char *name, const char *lines) {
    const char *path = in_folder(name);
    FILE *out = fopen(path, "w");
    CHECK(out != NULL && fputs(lines, out) >= 0 && fclose(out) == 0);
    return path;
}

/* ---- made queries ---- */

static bool is_whole_sentence(const struct mine_text *text, const struct heads_query *query) {
    const char *begin = text->text + query->hidden_begin;
    bool starts = query->hidden_begin == 0 || begin[-1] == ' ' || begin[-1] == '\n' ||
                  memcmp(begin - 3, "。", 3) == 0;
    char last = begin[query->text.len - 1];
    return starts && (last == '.' || last == '?' || last == '\n' ||
                      memcmp(begin + query->text.len - 3, "。", 3) == 0);
}

static void queries_are_made(void) {
    const char *texts = write_lines(
        "texts.jsonl",
        "{\"title\":\"A title of more than twenty\",\"text\":\"Too short. This sentence has as "
        "many "
        "bytes as a query wants to have. And is 3.5 a sentence's end in the middle of this one? "
        "Behind it stands a third one, which is long enough for a query.\"}\n"
        "{\"text\":"
        "\"這是第一個句子它有足夠的字節來成為一個查詢。這是第二個句子它也有足夠的字節來成為一個查"
        "詢。這是第三個句子它也有足夠的字節。\"}\n"
        "{\"title\":\"Short\",\"text\":\"No sentence that would be long enough. No. No. No.\"}\n");
    struct heads_corpus corpus;
    struct error err = {0};
    size_t titles = 0, sentences[2] = {0}, open = 0, rounds = 400;
    for (size_t seed = 0; seed < rounds; seed++) {
        CHECK_OK(heads_corpus_read(NULL, texts, 100, seed, &corpus, &err), err);
        CHECK_EQUAL(corpus.rows.pool.n, 3);
        CHECK_EQUAL(corpus.queries_n, 3);
        CHECK_EQUAL(corpus.labelled_n, 0);
        for (size_t q = 0; q < corpus.queries_n; q++) {
            const struct heads_query *query = &corpus.queries[q];
            const struct mine_text *text = &corpus.rows.pool.texts[query->positives[0]];
            bool hides = query->hidden_end > query->hidden_begin;
            CHECK_EQUAL(query->positives_n, 1);
            CHECK(query->text.text == text->text + query->hidden_begin);
            CHECK(!hides || query->hidden_end - query->hidden_begin == query->text.len);
            open += !hides;
            bool is_title = query->positives[0] == 0 && query->hidden_begin == 0;
            titles += is_title;
            CHECK(!is_title || query->text.len == strlen("A title of more than twenty"));
            CHECK(is_title || is_whole_sentence(text, query));
            sentences[query->positives[0]] += !is_title;
        }
        heads_corpus_done(&corpus);
    }
    CHECK_EQUAL(titles, rounds);
    CHECK_EQUAL(sentences[0], rounds);
    CHECK_EQUAL(sentences[1], rounds);
    CHECK_NEAR((double)open / (3 * (double)rounds), .1, .03);
    CHECK_OK(heads_corpus_read(NULL, texts, 2, 1, &corpus, &err), err);
    CHECK_EQUAL(corpus.queries_n, 2);
    heads_corpus_done(&corpus);
    CHECK(!heads_corpus_read(NULL, texts, 0, 1, &corpus, &err));
    CHECK_EQUAL(err.code, ERROR_INVALID);
    heads_corpus_done(&corpus);
}

/* ---- BM25 and the teacher, on texts of made-up words ---- */

static char words[WORDS][8];
static int counts[TEXTS + ROWS][WORDS]; /* texts, then queries */
static char written[TEXTS + ROWS][512];

static void make_texts(void) {
    uint64_t chance = 3;
    for (size_t w = 0; w < WORDS; w++)
        snprintf(words[w], sizeof words[w], "zo%ck%c", (char)('a' + w), (char)('a' + w));
    for (size_t t = 0; t < TEXTS + ROWS; t++) {
        size_t n = 3 + random_below(&chance, 25), at = 0;
        for (size_t i = 0; i < n; i++) {
            size_t w = random_below(&chance, (uint32_t)(1 + random_below(&chance, WORDS)));
            counts[t][w]++;
            at += (size_t)snprintf(written[t] + at, sizeof written[t] - at, "%s%s", i ? " " : "",
                                   words[w]);
        }
        /* A number of its own, so that no two texts are one. */
        snprintf(written[t] + at, sizeof written[t] - at, " %c%zu", 'x', 1000 + t);
    }
}

/* The formula over all texts; the text's own number counts in its length. */
static double plain_bm25(size_t query, size_t text) {
    double sum = 0, mean = 0, lengths[TEXTS];
    for (size_t t = 0; t < TEXTS; t++) {
        lengths[t] = 1;
        for (size_t w = 0; w < WORDS; w++)
            lengths[t] += counts[t][w];
        mean += lengths[t] / TEXTS;
    }
    for (size_t w = 0; w < WORDS; w++) {
        double with = 0, count = counts[text][w];
        for (size_t t = 0; t < TEXTS; t++)
            with += counts[t][w] > 0;
        double idf = log(1 + (TEXTS - with + .5) / (with + .5));
        sum += counts[TEXTS + query][w] * idf * count /
               (count + 1.2 * (1 - .75 + .75 * lengths[text] / mean));
    }
    return sum;
}

static struct bm25 *open_bm25(void) {
    struct encoder_text texts[TEXTS], queries[ROWS];
    struct bm25 *bm25 = NULL;
    struct error err = {0};
    for (size_t t = 0; t < TEXTS + ROWS; t++)
        *(t < TEXTS ? &texts[t] : &queries[t - TEXTS]) =
            (struct encoder_text){written[t], strlen(written[t])};
    CHECK_OK(bm25_open("words:en", NULL, texts, TEXTS, queries, ROWS, &bm25, &err), err);
    return bm25;
}

static void bm25_is_right(const struct bm25 *bm25) {
    float scores[TEXTS];
    for (size_t q = 0; q < ROWS; q++) {
        bm25_scores(bm25, q, scores);
        for (size_t t = 0; t < TEXTS; t++)
            CHECK_NEAR(scores[t], plain_bm25(q, t), 1e-4);
    }
}

/* States by chance, some tokens a text; dense vectors are their first ones. */
static struct heads_states make_states(size_t n, uint64_t chance) {
    struct heads_states states = {.texts_n = n, .width = WIDTH};
    states.at = mem_zalloc(n + 1, sizeof *states.at);
    for (size_t t = 0; t < n; t++)
        states.at[t + 1] = states.at[t] + 2 + random_below(&chance, 9);
    size_t values_n = states.at[n] * WIDTH;
    float *values = mem_alloc(values_n, sizeof *values);
    for (size_t i = 0; i < values_n; i++)
        values[i] = (float)random_normal(&chance);
    states.values = mem_alloc(values_n, sizeof *states.values);
    states.dense = mem_alloc(n * WIDTH, sizeof *states.dense);
    vec_to_f16(values, values_n, states.values);
    for (size_t t = 0; t < n; t++) {
        vec_from_f16(states.values + states.at[t] * WIDTH, WIDTH, states.dense + t * WIDTH);
        vec_normalize(states.dense + t * WIDTH, WIDTH);
    }
    free(values);
    return states;
}

static void free_states(struct heads_states *states) {
    free(states->at);
    free(states->values);
    free(states->dense);
}

static double plain_cosine(const struct heads_states *a, size_t i, const struct heads_states *b,
                           size_t j) {
    float x[WIDTH], y[WIDTH];
    double xy = 0, xx = 0, yy = 0;
    vec_from_f16(a->values + i * WIDTH, WIDTH, x);
    vec_from_f16(b->values + j * WIDTH, WIDTH, y);
    for (size_t c = 0; c < WIDTH; c++) {
        xy += (double)x[c] * (double)y[c];
        xx += (double)x[c] * (double)x[c];
        yy += (double)y[c] * (double)y[c];
    }
    return xy / sqrt(xx * yy);
}

/* mode 0: dense; 1: BM25; 2: MaxSim */
static double plain_score(size_t mode, const struct heads_states *queries, size_t query,
                          const struct heads_states *texts, size_t text) {
    double sum = 0;
    if (mode == 0)
        return plain_cosine(queries, queries->at[query], texts, texts->at[text]);
    if (mode == 1)
        return plain_bm25(query, text);
    size_t begin = queries->at[query] + 1, end = queries->at[query + 1];
    for (size_t i = begin; i < end; i++) {
        double best = -2;
        for (size_t j = texts->at[text] + 1; j < texts->at[text + 1]; j++)
            best = fmax(best, plain_cosine(queries, i, texts, j));
        sum += best / (double)(end - begin);
    }
    return sum;
}

static void logits_are_right(const struct heads_group *group, const struct heads_states *queries,
                             size_t query, const struct heads_states *texts) {
    static const double weights[] = {.3, .4, 1.2};
    for (size_t i = 0; i < group->n; i++) {
        double logit = 0;
        for (size_t mode = 0; mode < 3; mode++) {
            double mean = 0, square = 0, n = 0;
            for (size_t j = 0; j < group->n; j++) {
                double score = plain_score(mode, queries, query, texts, group->texts[j]);
                bool counts_in = j == 0 || j >= group->answers_n;
                n += counts_in;
                mean += counts_in ? score : 0;
                square += counts_in ? score * score : 0;
            }
            double deviation = sqrt(square / n - mean / n * (mean / n));
            logit += weights[mode] *
                     (plain_score(mode, queries, query, texts, group->texts[i]) - mean / n) /
                     (deviation + 1e-6);
        }
        CHECK_NEAR(group->logits[i], logit, 2e-3);
    }
}

static bool in_group(const struct heads_group *group, uint32_t text) {
    for (size_t i = 0; i < group->n; i++)
        if (group->texts[i] == text)
            return true;
    return false;
}

/* Whoever is not in the group has a dozen others before it in both rankings. */
static void best_are_in(const struct heads_group *group, const struct heads_states *queries,
                        size_t query, const struct heads_states *texts) {
    for (uint32_t text = 0; text < TEXTS; text++)
        for (size_t mode = 0; mode < 2 && !in_group(group, text); mode++) {
            double score = plain_score(mode, queries, query, texts, text);
            size_t before = 0;
            for (size_t i = group->answers_n; i < group->n; i++)
                before += plain_score(mode, queries, query, texts, group->texts[i]) >= score - 1e-5;
            CHECK(before >= HEADS_MINED);
        }
}

static void teacher_is_right(const struct bm25 *bm25) {
    static const uint32_t positives[] = {4, 9}, negatives[] = {7, 4, 30};
    struct heads_query asked[ROWS];
    struct heads_group groups[ROWS];
    struct pool *pool = pool_open(2);
    struct heads_states texts = make_states(TEXTS, 20), queries = make_states(ROWS, 21);
    for (size_t q = 0; q < ROWS; q++)
        asked[q] = (struct heads_query){.positives = positives,
                                        .positives_n = q ? 1 : 2,
                                        .negatives = negatives,
                                        .negatives_n = q < 2 ? 3 : 0};
    const struct heads_corpus corpus = {.queries = asked, .queries_n = ROWS};
    heads_teach(&corpus, &texts, &queries, bm25, pool, groups);
    for (size_t q = 0; q < ROWS; q++) {
        const struct heads_group *group = &groups[q];
        CHECK_EQUAL(group->answers_n, q ? 1 : 2);
        CHECK_EQUAL(group->texts[0], 4);
        CHECK_EQUAL(group->n, group->answers_n + (q < 2 ? 2 : 0) + 2 * HEADS_MINED);
        CHECK(q >= 2 || (in_group(group, 7) && in_group(group, 30))); /* 4 is an answer */
        for (size_t i = 0; i < group->n; i++)
            for (size_t j = 0; j < i; j++)
                CHECK(group->texts[i] != group->texts[j]);
        best_are_in(group, &queries, q, &texts);
        logits_are_right(group, &queries, q, &texts);
    }
    free_states(&texts);
    free_states(&queries);
    pool_close(pool);
}

/* ---- states ---- */

/* What the encoder says of the same texts: its dense vectors to the bit, its token vectors to the
 * rounding of f16. */
static void states_are_right(const char *instruction) {
    static const char *const said[] = {"Ships carry lamps.", "",
                                       "the second, which is a longer one"};
    const struct model_options options = {.precision = MODEL_PRECISION_F32};
    const struct encoder_options modes = {
        .modes = ENCODE_DENSE | ENCODE_MULTI, .instruction = instruction, .unit_length = true};
    struct model *model = NULL;
    struct encoder *encoder = NULL;
    struct pool *pool = pool_open(2);
    struct arena arena = {0};
    struct heads_states states = {0};
    struct encoder_text texts[3];
    struct encoding encodings[3];
    struct error err = {0};
    for (size_t t = 0; t < 3; t++)
        texts[t] = (struct encoder_text){said[t], strlen(said[t])};
    CHECK_OK(model_open(&options, &model, &err) &&
                 encoder_open(model, pool, &modes, &encoder, &err),
             err);
    CHECK_OK(encoder_encode(encoder, texts, 3, &arena, encodings, &err), err);
    CHECK_OK(heads_states_make(model, pool, texts, 3, instruction, 512, NULL, NULL, &states, &err),
             err);
    float *token = mem_alloc(states.width, sizeof *token);
    for (size_t t = 0; t < 3; t++) {
        size_t n = states.at[t + 1] - states.at[t], at = states.at[t];
        CHECK_EQUAL(n, encodings[t].multi_n + 1);
        CHECK(states.ids[at] == HEADS_FIT_NO_TERM && states.ids[at + n - 1] == HEADS_FIT_NO_TERM);
        CHECK(n == 2 || states.ids[at + 1] < model_info(model)->vocabulary_n);
        CHECK(memcmp(states.dense + t * states.width, encodings[t].dense,
                     states.width * sizeof *token) == 0);
        for (size_t i = 1; i < n; i++) {
            double product = 0;
            vec_from_f16(states.values + (at + i) * states.width, states.width, token);
            vec_normalize(token, states.width);
            for (size_t c = 0; c < states.width; c++)
                product +=
                    (double)token[c] * (double)encodings[t].multi[(i - 1) * states.width + c];
            CHECK_NEAR(product, 1, 1e-5);
        }
    }
    free(token);
    heads_states_done(&states);
    encoder_close(encoder);
    model_close(model);
    pool_close(pool);
    arena_done(&arena);
}

int main(void) {
    CHECK(mkdtemp(folder) != NULL);
    queries_are_made();
    make_texts();
    struct bm25 *bm25 = open_bm25();
    bm25_is_right(bm25);
    teacher_is_right(bm25);
    bm25_close(bm25);
    states_are_right("");
    states_are_right("Look for this: ");
    unlink(in_folder("texts.jsonl"));
    rmdir(folder);
    return check_result();
}
