/* The encoder with the embedded model: what it promises, whatever the values are. */
#include "engine/base/buf.h"
#include "engine/base/pool.h"
#include "engine/encoder.h"
#include "engine/forward.h"
#include "engine/hub.h"
#include "engine/model.h"
#include "engine/model_family.h"
#include "engine/tokenizer/tokenizer.h"
#include "tests/check.h"

enum { TEXTS_N = 6 };
static const struct encoder_text texts[TEXTS_N] = {
    {"", 0},
    {"what is a panda?", 16},
    {"The giant panda is a bear native to China; it eats bamboo, and bamboo alone.", 76},
    {"running runs runner", 19},
    {"\xff\xfe broken \xc3", 11}, /* not UTF-8 */
    {"Sphinx of black quartz, judge my vow", 36},
};

static struct model *model;

static struct encoder *open_encoder(struct pool *pool, unsigned modes, const char *instruction) {
    struct encoder_options options = {.modes = modes, .instruction = instruction};
    struct encoder *encoder = NULL;
    struct error err;
    CHECK_OK(encoder_open(model, pool, &options, &encoder, &err), err);
    return encoder;
}

static double difference(const float *a, const float *b, size_t n) {
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = isfinite(a[i]) ? fmax(most, fabs((double)a[i] - (double)b[i])) : INFINITY;
    return most;
}

static void embedded_model_opens(void) {
    const struct model_info *info = model_info(model);
    CHECK_TEXT(info->name, HUB_DEFAULT_MODEL);
    CHECK_TEXT(info->where, "embedded:bge-small-en-v1.5");
    CHECK_EQUAL(info->dense_dim, 384);
    CHECK_EQUAL(info->layers_n, 12);
    CHECK_EQUAL(info->multi_dim, 384);
    CHECK_EQUAL(info->length_max, 512);
    CHECK(!info->has_sparse_head && !info->has_colbert_head);
    CHECK_TEXT(info->analyzer, "words:en");
    CHECK_TEXT(info->query_instruction,
               "Represent this sentence for searching relevant passages: ");
    CHECK_EQUAL(strlen(info->fingerprint), 32);
}

static void precisions_have_names(void) {
    enum model_precision precision;
    struct error err = {0};
    CHECK(model_precision_parse("f32", &precision, &err) && precision == MODEL_PRECISION_F32);
    CHECK(model_precision_parse("auto", &precision, &err) && precision == MODEL_PRECISION_AUTO);
    CHECK(!model_precision_parse("f31", &precision, &err));
    CHECK_EQUAL(err.code, ERROR_INVALID);
}

/* A text alone, in a batch, on one thread or on several: the same within rounding; twice the same
 * way: the same to the bit. */
static void batch_does_not_matter(void) {
    enum { COPIES = 20, N = COPIES * TEXTS_N };
    struct encoder_text many[N];
    struct encoding alone[TEXTS_N], again[TEXTS_N], together[N];
    struct arena arena = {0};
    struct error err;
    struct pool *pool = pool_open(3);
    struct encoder *single = open_encoder(NULL, ENCODE_ALL, NULL);
    struct encoder *spread = open_encoder(pool, ENCODE_ALL, NULL);
    for (size_t i = 0; i < TEXTS_N; i++) {
        CHECK_OK(encoder_encode(single, &texts[i], 1, &arena, &alone[i], &err), err);
        CHECK_OK(encoder_encode(spread, &texts[i], 1, &arena, &again[i], &err), err);
    }
    for (size_t i = 0; i < N; i++)
        many[i] = texts[i % TEXTS_N];
    CHECK_OK(encoder_encode(spread, many, N, &arena, together, &err), err);
    for (size_t i = 0; i < N; i++) {
        const struct encoding *a = &alone[i % TEXTS_N], *b = &together[i];
        CHECK_EQUAL(b->tokens_n, a->tokens_n);
        CHECK_EQUAL(b->multi_n, a->multi_n);
        CHECK(difference(b->dense, a->dense, 384) < 1e-5);
        CHECK(difference(b->multi, a->multi, a->multi_n * 384) < 1e-5);
        CHECK_EQUAL(b->lexical.n, a->lexical.n);
        for (size_t t = 0; t < a->lexical.n && t < b->lexical.n; t++) {
            CHECK_TEXT(b->lexical.terms[t].word, a->lexical.terms[t].word);
            CHECK(b->lexical.terms[t].weight == a->lexical.terms[t].weight);
        }
    }
    for (size_t i = 0; i < TEXTS_N; i++) {
        CHECK(memcmp(alone[i].dense, again[i].dense, 384 * sizeof(float)) == 0);
        CHECK(memcmp(alone[i].multi, again[i].multi, alone[i].multi_n * 384 * sizeof(float)) == 0);
    }
    CHECK_OK(encoder_encode(spread, NULL, 0, &arena, NULL, &err), err);
    encoder_close(single);
    encoder_close(spread);
    pool_close(pool);
    arena_done(&arena);
}

/* A text's vectors are the same bits whatever company it has and however many threads there are:
 * alone on one thread, alone by teams that divide channels (short) or rows (long), in a batch. */
static void bits_do_not_depend_on_company(enum model_precision precision) {
    enum { COPIES = 3, MANY = COPIES * TEXTS_N, LONG_WORDS = 300 };
    struct model_options options = {.precision = precision};
    struct encoder_options all = {.modes = ENCODE_DENSE | ENCODE_MULTI};
    struct encoder_text some[TEXTS_N], many[MANY];
    struct encoding alone[TEXTS_N], team[TEXTS_N], together[MANY];
    struct model *other = NULL;
    struct arena arena = {0};
    struct buf longer = {0};
    struct error err;
    for (size_t i = 0; i < LONG_WORDS; i++)
        buf_format(&longer, "bear%zu ", i % 7);
    memcpy(some, texts, sizeof some);
    some[2] = (struct encoder_text){longer.data, longer.len};
    for (size_t i = 0; i < MANY; i++)
        many[i] = some[i * 5 % TEXTS_N];
    CHECK_OK(model_open(&options, &other, &err), err);
    for (size_t threads = 1; threads <= 3; threads++) {
        struct pool *pool = pool_open(threads);
        struct encoder *encoder = NULL;
        CHECK_OK(encoder_open(other, pool, &all, &encoder, &err), err);
        for (size_t i = 0; i < TEXTS_N; i++)
            CHECK_OK(encoder_encode(encoder, &some[i], 1, &arena,
                                    threads == 1 ? &alone[i] : &team[i], &err),
                     err);
        CHECK_OK(encoder_encode(encoder, many, MANY, &arena, together, &err), err);
        for (size_t i = 0; i < MANY + TEXTS_N; i++) {
            if (i >= MANY && threads == 1)
                break;
            const struct encoding *a = &alone[i < MANY ? i * 5 % TEXTS_N : i - MANY];
            const struct encoding *b = i < MANY ? &together[i] : &team[i - MANY];
            CHECK_EQUAL(a->multi_n, b->multi_n);
            CHECK(memcmp(a->dense, b->dense, 384 * sizeof(float)) == 0);
            CHECK(memcmp(a->multi, b->multi, a->multi_n * 384 * sizeof(float)) == 0);
        }
        encoder_close(encoder);
        pool_close(pool);
    }
    CHECK_EQUAL(alone[2].tokens_n, 512);
    model_close(other);
    buf_done(&longer);
    arena_done(&arena);
}

static void do_member(void *context, size_t member, size_t worker) {
    (void)worker;
    forward_member(context, member);
}

/* The states of a run by teams of one to three: few tokens (channels are divided), many (rows). */
static void teams_agree(enum model_precision precision) {
    enum { TOKENS_MAX = 300, WIDTH = 384 };
    static const size_t lengths[][3] = {{1, 0, 0}, {9, 0, 0}, {20, 31, 0}, {130, 7, 163}};
    struct model_options options = {.precision = precision};
    struct model *other = NULL;
    struct pool *pool = pool_open(3);
    struct error err;
    uint32_t ids[TOKENS_MAX];
    for (size_t i = 0; i < TOKENS_MAX; i++)
        ids[i] = (uint32_t)(1000 + i * 37 % 20000);
    CHECK_OK(model_open(&options, &other, &err), err);
    struct forward *alone = forward_open(other), *team = forward_open(other);
    CHECK(forward_team_pays(alone, 1000));
    CHECK(precision != MODEL_PRECISION_INT8 || !forward_team_pays(alone, 16));
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        struct forward_sequence sequences[3];
        size_t n = 0, tokens_n = 0;
        for (; n < 3 && lengths[l][n]; tokens_n += lengths[l][n], n++)
            sequences[n] = (struct forward_sequence){.ids = ids + tokens_n, .n = lengths[l][n]};
        const float *expected = forward_run(alone, sequences, n);
        for (size_t members_n = 2; members_n <= pool_workers_n(pool); members_n++) {
            forward_begin(team, sequences, n, members_n);
            pool_run_together(pool, members_n, do_member, team);
            CHECK(memcmp(forward_states(team), expected, tokens_n * WIDTH * sizeof(float)) == 0);
        }
    }
    forward_close(alone);
    forward_close(team);
    model_close(other);
    pool_close(pool);
}

static void vectors_have_length_one(void) {
    struct arena arena = {0};
    struct encoding encodings[TEXTS_N];
    struct error err;
    struct encoder *encoder = open_encoder(NULL, ENCODE_ALL, NULL);
    CHECK_OK(encoder_encode(encoder, texts, TEXTS_N, &arena, encodings, &err), err);
    for (size_t i = 0; i < TEXTS_N; i++) {
        const struct encoding *e = &encodings[i];
        double squares = 0;
        for (size_t d = 0; d < 384; d++)
            squares += (double)e->dense[d] * (double)e->dense[d];
        CHECK_NEAR(squares, 1, 1e-5);
        CHECK_EQUAL(e->multi_n, e->tokens_n - 1);
        for (size_t t = 0; t < e->multi_n; t++) {
            CHECK(e->multi_ranges[t].begin <= e->multi_ranges[t].end);
            CHECK(e->multi_ranges[t].end <= texts[i].len);
        }
        CHECK_EQUAL(e->multi_ranges[e->multi_n - 1].end, 0); /* [SEP] */
    }
    CHECK_EQUAL(encodings[0].tokens_n, 2); /* [CLS] [SEP] */
    CHECK_EQUAL(encodings[0].lexical.n, 0);
    encoder_close(encoder);
    arena_done(&arena);
}

/* The instruction changes the dense vector, and nothing else. */
static void instruction_is_for_dense_only(void) {
    const char *instruction = model_info(model)->query_instruction;
    struct arena arena = {0};
    struct encoding bare[TEXTS_N], told[TEXTS_N], by_hand;
    struct error err;
    struct encoder *plain = open_encoder(NULL, ENCODE_ALL, NULL);
    struct encoder *query = open_encoder(NULL, ENCODE_ALL, instruction);
    CHECK_OK(encoder_encode(plain, texts, TEXTS_N, &arena, bare, &err), err);
    CHECK_OK(encoder_encode(query, texts, TEXTS_N, &arena, told, &err), err);
    for (size_t i = 0; i < TEXTS_N; i++) {
        CHECK_EQUAL(told[i].tokens_n, 2 * bare[i].tokens_n + 8);
        CHECK_EQUAL(told[i].multi_n, bare[i].multi_n);
        CHECK_EQUAL(told[i].lexical.n, bare[i].lexical.n);
        CHECK(difference(told[i].dense, bare[i].dense, 384) > 1e-3);
        for (size_t t = 0; t < bare[i].multi_n && t < told[i].multi_n; t++) {
            CHECK_EQUAL(told[i].multi_ranges[t].begin, bare[i].multi_ranges[t].begin);
            CHECK_EQUAL(told[i].multi_ranges[t].end, bare[i].multi_ranges[t].end);
        }
        CHECK(difference(told[i].multi, bare[i].multi, (size_t)bare[i].multi_n * 384) < 1e-5);
    }
    char joined[256];
    int len = snprintf(joined, sizeof joined, "%s%s", instruction, texts[1].text);
    struct encoder_text text = {joined, (size_t)len};
    CHECK_OK(encoder_encode(plain, &text, 1, &arena, &by_hand, &err), err);
    CHECK(difference(by_hand.dense, told[1].dense, 384) < 1e-5);
    struct encoding some;
    CHECK_OK(encoder_encode_modes(query, ENCODE_DENSE, texts + 1, 1, &arena, &some, &err), err);
    CHECK(difference(some.dense, told[1].dense, 384) < 1e-5);
    CHECK(!some.multi && some.lexical.n == 0);
    CHECK_EQUAL(some.tokens_n, bare[1].tokens_n + 8);
    CHECK_OK(encoder_encode_modes(query, ENCODE_LEXICAL, texts + 1, 1, &arena, &some, &err), err);
    CHECK_EQUAL(some.tokens_n, 0); /* words need no model */
    CHECK_EQUAL(some.lexical.n, bare[1].lexical.n);
    encoder_close(plain);
    encoder_close(query);
    arena_done(&arena);
}

/* In one pass everything is read behind the instruction, and its own tokens have no vectors. */
static void one_pass_reads_behind_the_instruction(void) {
    const char *instruction = model_info(model)->query_instruction;
    struct encoder_options options = {
        .modes = ENCODE_ALL, .instruction = instruction, .one_pass = true};
    struct encoder *one = NULL, *two = open_encoder(NULL, ENCODE_ALL, instruction);
    struct encoder *plain = open_encoder(NULL, ENCODE_ALL, NULL);
    struct arena arena = {0};
    struct encoding once[TEXTS_N], twice[TEXTS_N], joined;
    struct error err;
    CHECK_OK(encoder_open(model, NULL, &options, &one, &err), err);
    CHECK_OK(encoder_encode(one, texts, TEXTS_N, &arena, once, &err), err);
    CHECK_OK(encoder_encode(two, texts, TEXTS_N, &arena, twice, &err), err);
    for (size_t i = 0; i < TEXTS_N; i++) {
        CHECK(difference(once[i].dense, twice[i].dense, 384) < 1e-5);
        CHECK_EQUAL(once[i].multi_n, twice[i].multi_n);
        CHECK_EQUAL(once[i].lexical.n, twice[i].lexical.n);
        CHECK_EQUAL(once[i].tokens_n, once[i].multi_n + 9); /* [CLS] and 8 of the instruction */
        for (size_t t = 0; t < once[i].multi_n && t < twice[i].multi_n; t++) {
            CHECK_EQUAL(once[i].multi_ranges[t].begin, twice[i].multi_ranges[t].begin);
            CHECK_EQUAL(once[i].multi_ranges[t].end, twice[i].multi_ranges[t].end);
        }
    }
    char whole[256];
    int len = snprintf(whole, sizeof whole, "%s%s", instruction, texts[1].text);
    struct encoder_text text = {whole, (size_t)len};
    CHECK_OK(encoder_encode(plain, &text, 1, &arena, &joined, &err), err);
    CHECK_EQUAL(joined.multi_n, once[1].multi_n + 8);
    CHECK(difference(joined.multi + 8 * 384, once[1].multi, (size_t)once[1].multi_n * 384) < 1e-5);
    encoder_close(one);
    encoder_close(two);
    encoder_close(plain);
    arena_done(&arena);
}

static void families_have_instructions(void) {
    static const struct {
        const char *name, *task, *query, *passage;
    } known[] = {
        {"BAAI/bge-m3", NULL, "", ""},
        {"models/bge-large-en/", NULL,
         "Represent this sentence for searching relevant passages: ", ""},
        {"/x/hub/models--BAAI--bge-small-zh-v1.5/snapshots/5c3/", NULL,
         "为这个句子生成表示以用于检索相关文章：", ""},
        {"BAAI/llm-embedder", NULL, "Represent this query for retrieving relevant documents: ",
         "Represent this document for retrieval: "},
        {"BAAI/llm-embedder", "tool",
         "Transform this user request for fetching helpful tool descriptions: ",
         "Transform this tool description for retrieval: "},
        {"intfloat/multilingual-e5-small", NULL, "query: ", "passage: "},
        {"intfloat/multilingual-e5-large-instruct", NULL, "", ""},
        {"e5-base-v2", NULL, "query: ", "passage: "},
        {"/home/bge-en/gte-base", NULL, "", ""}, /* the last part counts */
    };
    struct model_instructions found;
    struct error err;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        CHECK_OK(model_family_instructions(known[i].name, known[i].task, &found, &err), err);
        CHECK_TEXT(found.query, known[i].query);
        CHECK_TEXT(found.passage, known[i].passage);
    }
    CHECK(!model_family_instructions("BAAI/llm-embedder", "cook", &found, &err));
    CHECK(err.code == ERROR_INVALID &&
          strstr(err.message, "qa, convsearch, chat, lrlm, icl, tool"));
    CHECK(!model_family_instructions("BAAI/bge-m3", "qa", &found, &err));
    CHECK_TEXT(model_family_analyzer("BAAI/bge-base-en-v1.5"), "words:en");
    CHECK_TEXT(model_family_analyzer("intfloat/multilingual-e5-small"), "model");
}

/* The model reads the first 512 tokens of a long text, the analyzer all of it. */
static void long_text_is_cut_for_the_model_only(void) {
    enum { WORDS = 5000 };
    struct buf buf = {0};
    struct arena arena = {0};
    struct encoding encoding, cut;
    struct error err;
    for (size_t i = 0; i < WORDS; i++)
        buf_text(&buf, "bamboo ");
    buf_text(&buf, "zebra");
    struct encoder_text text = {buf.data, buf.len};
    struct encoder *encoder = open_encoder(NULL, ENCODE_ALL, NULL);
    CHECK_OK(encoder_encode(encoder, &text, 1, &arena, &encoding, &err), err);
    CHECK_EQUAL(encoding.tokens_n, 512);
    CHECK_EQUAL(encoding.multi_n, 511);
    CHECK_EQUAL(encoding.lexical.n, 2);
    CHECK_EQUAL(encoding.lexical.length, WORDS + 1);
    encoder_close(encoder);

    struct encoder_options options = {.modes = ENCODE_DENSE, .length_max = 16};
    CHECK_OK(encoder_open(model, NULL, &options, &encoder, &err), err);
    CHECK_OK(encoder_encode(encoder, &text, 1, &arena, &cut, &err), err);
    CHECK_EQUAL(cut.tokens_n, 16);
    CHECK(cut.multi == NULL && cut.lexical.n == 0);
    encoder_close(encoder);
    buf_done(&buf);
    arena_done(&arena);
}

static void options_are_checked(void) {
    struct encoder *encoder = NULL;
    struct error err = {0};
    struct encoder_options options = {.modes = ENCODE_DENSE, .length_max = 513};
    CHECK(!encoder_open(model, NULL, &options, &encoder, &err));
    CHECK_EQUAL(err.code, ERROR_LIMIT);
    options.length_max = 2;
    CHECK(!encoder_open(model, NULL, &options, &encoder, &err));
    CHECK_EQUAL(err.code, ERROR_INVALID);
    options = (struct encoder_options){.modes = ENCODE_LEXICAL, .analyzer = "head"};
    CHECK(!encoder_open(model, NULL, &options, &encoder, &err));
    CHECK_EQUAL(err.code, ERROR_UNSUPPORTED);
    options.analyzer = "words:no-such-language";
    CHECK(!encoder_open(model, NULL, &options, &encoder, &err));
}

int main(void) {
    struct error err;
    struct model_options options = {0};
    CHECK_OK(model_open(&options, &model, &err), err);
    if (!model)
        return check_result();
    embedded_model_opens();
    precisions_have_names();
    batch_does_not_matter();
    bits_do_not_depend_on_company(MODEL_PRECISION_INT8);
    bits_do_not_depend_on_company(MODEL_PRECISION_BF16);
    bits_do_not_depend_on_company(MODEL_PRECISION_F32);
    teams_agree(MODEL_PRECISION_INT8);
    teams_agree(MODEL_PRECISION_BF16);
    teams_agree(MODEL_PRECISION_F32);
    vectors_have_length_one();
    instruction_is_for_dense_only();
    one_pass_reads_behind_the_instruction();
    families_have_instructions();
    long_text_is_cut_for_the_model_only();
    options_are_checked();
    model_close(model);
    return check_result();
}
