/* tercet model fit-heads - sparse and multi-vector heads for a model that has none, learned on what
 * its encoder says of some texts. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/encoder.h"
#include "engine/hub_heads.h"
#include "engine/model.h"
#include "tools/heads/bm25.h"
#include "tools/heads/train.h"
#include "tools/model_commands.h"

enum {
    STEPS = 500,
    BATCH = 16,
    NEGATIVES = 5,
    DIM = 128,
    MADE = 6000,
    LENGTH = 512, /* longer texts are cut */
    LABELLED_PERCENT = 35,
    SEED = 20,
};

struct fitting {
    struct model_options model;
    const char *pairs, *texts, *folder;
    uint32_t steps, batch, negatives, dim, made, length, labelled, seed, threads;
    bool json;

    struct heads_corpus corpus;
    struct heads_states text_states, query_states;
    struct heads_group *groups;
    float *parameters;
    struct heads_begun begun;
    struct heads_fit_losses losses; /* of the last steps */
    double began_s, encoded_s, taught_s, trained_s;
    uint64_t bytes;
    size_t tenth_said; /* of the texts' reading */
};

static struct encoder_text *as_texts(const struct mine_text *texts, size_t n) {
    struct encoder_text *out = mem_alloc(n, sizeof *out);
    for (size_t i = 0; i < n; i++)
        out[i] = (struct encoder_text){texts[i].text, texts[i].len};
    return out;
}

static struct encoder_text *query_texts(const struct heads_corpus *corpus) {
    struct encoder_text *out = mem_alloc(corpus->queries_n, sizeof *out);
    for (size_t i = 0; i < corpus->queries_n; i++)
        out[i] = (struct encoder_text){corpus->queries[i].text.text, corpus->queries[i].text.len};
    return out;
}

static void say_encoded(struct fitting *fitting) {
    fitting->encoded_s = clock_now_s();
    fprintf(stderr, "read %zu texts of %zu tokens, %zu queries of rows and %zu made in %.0f s\n",
            fitting->text_states.texts_n, fitting->text_states.at[fitting->text_states.texts_n],
            fitting->corpus.labelled_n, fitting->corpus.queries_n - fitting->corpus.labelled_n,
            fitting->encoded_s - fitting->began_s);
}

/* A line each tenth of the way: a large corpus takes minutes. */
static void say_progress(void *context, size_t texts_done, size_t texts_n) {
    struct fitting *fitting = context;
    size_t tenth = 10 * texts_done / texts_n;
    if (tenth > fitting->tenth_said)
        fprintf(stderr, "%zu of %zu texts read in %.0f s\n", texts_done, texts_n,
                clock_now_s() - fitting->began_s);
    fitting->tenth_said = tenth;
}

static bool prepare(struct fitting *fitting, const struct model *model, struct pool *pool,
                    struct error *err) {
    const struct model_info *info = model_info(model);
    const struct heads_corpus *corpus = &fitting->corpus;
    uint32_t length = fitting->length < info->length_max ? fitting->length : info->length_max;
    size_t texts_n = corpus->rows.pool.n;
    struct encoder_text *texts = as_texts(corpus->rows.pool.texts, texts_n);
    struct encoder_text *queries = query_texts(corpus);
    const char *analyzer = info->has_sparse_head ? "model" : info->analyzer;
    struct bm25 *bm25 = NULL;
    bool ok = heads_states_make(model, pool, texts, texts_n, info->passage_instruction, length,
                                say_progress, fitting, &fitting->text_states, err) &&
              heads_states_make(model, pool, queries, corpus->queries_n, info->query_instruction,
                                length, NULL, NULL, &fitting->query_states, err);
    if (ok) {
        say_encoded(fitting);
        ok = bm25_open(analyzer, model_tokenizer(model), texts, texts_n, queries, corpus->queries_n,
                       &bm25, err);
    }
    if (ok) {
        fitting->groups = mem_alloc(corpus->queries_n, sizeof *fitting->groups);
        heads_teach(corpus, &fitting->text_states, &fitting->query_states, bm25, pool,
                    fitting->groups);
        fitting->taught_s = clock_now_s();
        fprintf(stderr, "negatives and their teacher in %.0f s\n",
                fitting->taught_s - fitting->encoded_s);
    }
    bm25_close(bm25);
    free(texts);
    free(queries);
    return ok;
}

static void say_losses(void *context, size_t step, const struct heads_fit_losses *losses) {
    struct fitting *fitting = context;
    fitting->losses = *losses;
    fprintf(stderr, "step %zu, %.0f s: contrast %.3f colbert, %.3f sparse; teacher %.3f, %.3f\n",
            step, clock_now_s() - fitting->taught_s, losses->colbert_contrast,
            losses->sparse_contrast, losses->colbert_distil, losses->sparse_distil);
}

static void train(struct fitting *fitting, const struct model *model, struct pool *pool) {
    const struct heads_training training = {.dim = fitting->dim,
                                            .vocabulary_n = model_info(model)->vocabulary_n,
                                            .steps_n = fitting->steps,
                                            .batch_n = fitting->batch,
                                            .negatives_n = fitting->negatives,
                                            .labelled = fitting->labelled / 100.0,
                                            .seed = fitting->seed};
    size_t n = (fitting->dim + 1) * (fitting->text_states.width + 1);
    fitting->parameters = mem_alloc(n, sizeof *fitting->parameters);
    fitting->begun = heads_begin(&training, &fitting->text_states, pool, fitting->parameters);
    fprintf(stderr, "begins with directions that keep %.3f, idf from states at R2 %.3f\n",
            fitting->begun.kept, fitting->begun.r2);
    heads_train(&training, &fitting->corpus, &fitting->text_states, &fitting->query_states,
                fitting->groups, pool, say_losses, fitting, fitting->parameters);
    fitting->trained_s = clock_now_s();
}

/* A path's last part: the folders it lies in are nobody's business but its owner's. */
static const char *name_of(const char *path) {
    const char *slash = path ? strrchr(path, '/') : NULL;
    return !path ? "none" : slash && slash[1] ? slash + 1 : path;
}

static bool write_out(struct fitting *fitting, const struct model *model, struct error *err) {
    const struct model_info *info = model_info(model);
    struct buf note = {0};
    buf_format(&note,
               "heads fitted on %s (fingerprint %s, %s): %zu texts, %zu queries of rows, %zu made; "
               "pairs %s, texts %s; %u steps of %u queries with %u hard negatives, seed %u",
               name_of(info->name), info->fingerprint, info->precision,
               fitting->text_states.texts_n, fitting->corpus.labelled_n,
               fitting->corpus.queries_n - fitting->corpus.labelled_n, name_of(fitting->pairs),
               name_of(fitting->texts), fitting->steps, fitting->batch, fitting->negatives,
               fitting->seed);
    const struct hub_heads heads = {fitting->text_states.width, fitting->dim, fitting->parameters,
                                    note.data};
    bool ok = hub_heads_write(info, &heads, fitting->folder, &fitting->bytes, err);
    buf_done(&note);
    return ok;
}

static bool check(const struct fitting *fitting, const struct model_info *info, struct error *err) {
    if (info->is_reranker)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s is a cross-encoder: it has no use for these heads", info->name);
    if (fitting->dim > info->dense_dim)
        return error_set(err, ERROR_INVALID, "--dim %u: the model's states have %u dimensions",
                         fitting->dim, info->dense_dim);
    return !file_exists(fitting->folder) ||
           error_set(err, ERROR_INVALID, "%s exists already", fitting->folder);
}

static bool check_texts(const struct fitting *fitting, struct error *err) {
    size_t n = fitting->corpus.rows.pool.n;
    uint32_t least = fitting->batch > HEADS_TEXTS_MIN ? fitting->batch : HEADS_TEXTS_MIN;
    const char *pairs = fitting->pairs ? fitting->pairs : "", *texts = fitting->texts;
    return n >= least ||
           error_set(err, ERROR_INVALID,
                     "%s%s%s: %zu different text%s, and heads learn by telling at least %u apart "
                     "(the queries of a step, --batch %u, and the %d hard negatives of each): give "
                     "more with --texts FILE%s",
                     pairs, *pairs && texts ? " and " : "", texts ? texts : "", n,
                     n == 1 ? "" : "s", least, fitting->batch, HEADS_MINED,
                     fitting->batch > HEADS_TEXTS_MIN ? ", or a smaller --batch" : "");
}

static bool fit(struct fitting *fitting, struct error *err) {
    struct model *model = NULL;
    struct pool *pool = pool_open(fitting->threads);
    bool ok = model_open(&fitting->model, &model, err) && check(fitting, model_info(model), err) &&
              heads_corpus_read(fitting->pairs, fitting->texts, fitting->made, fitting->seed,
                                &fitting->corpus, err) &&
              check_texts(fitting, err) && prepare(fitting, model, pool, err);
    if (ok) {
        train(fitting, model, pool);
        ok = write_out(fitting, model, err);
    }
    heads_states_done(&fitting->text_states);
    heads_states_done(&fitting->query_states);
    heads_corpus_done(&fitting->corpus);
    free(fitting->groups);
    free(fitting->parameters);
    model_close(model);
    pool_close(pool);
    return ok;
}

static void report(const struct fitting *fitting) {
    double seconds = clock_now_s() - fitting->began_s;
    if (!fitting->json) {
        printf("%s: %u dimensions a token, fitted in %.0f s\n", fitting->folder, fitting->dim,
               seconds);
        return;
    }
    struct json *row = json_new_object();
    json_add_string(row, "where", fitting->folder);
    json_add_number(row, "multi_dim", fitting->dim);
    json_add_number(row, "texts", (double)fitting->text_states.texts_n);
    json_add_number(row, "queries", (double)fitting->corpus.queries_n);
    json_add_number(row, "queries_of_rows", (double)fitting->corpus.labelled_n);
    json_add_number(row, "steps", fitting->steps);
    json_add_number(row, "directions_keep", fitting->begun.kept);
    json_add_number(row, "idf_r2", fitting->begun.r2);
    json_add_number(row, "colbert_contrast", fitting->losses.colbert_contrast);
    json_add_number(row, "sparse_contrast", fitting->losses.sparse_contrast);
    json_add_number(row, "colbert_distil", fitting->losses.colbert_distil);
    json_add_number(row, "sparse_distil", fitting->losses.sparse_distil);
    json_add_number(row, "encoding_s", fitting->encoded_s - fitting->began_s);
    json_add_number(row, "teaching_s", fitting->taught_s - fitting->encoded_s);
    json_add_number(row, "training_s", fitting->trained_s - fitting->taught_s);
    json_add_number(row, "seconds", seconds);
    model_print_json(row);
}

static int run(int argc, char **argv) {
    struct fitting fitting = {.steps = STEPS,
                              .batch = BATCH,
                              .negatives = NEGATIVES,
                              .dim = DIM,
                              .made = MADE,
                              .length = LENGTH,
                              .labelled = LABELLED_PERCENT,
                              .seed = SEED};
    const char *precision = "auto";
    const struct option table[] = {
        {"pairs", OPTION_TEXT, &fitting.pairs, "FILE",
         "queries and their answers: JSONL {\"query\",\"pos\":[..],\"neg\":[..]}", 0, 0, 0},
        {"texts", OPTION_TEXT, &fitting.texts, "FILE",
         "more texts: JSONL {\"title\",\"text\"}; queries are made of them", 0, 0, 0},
        {"made", OPTION_NUMBER, &fitting.made, "N",
         "queries made of titles and sentences, at most (default: 6000)", 0, 1000000, 0},
        {"labelled", OPTION_NUMBER, &fitting.labelled, "P",
         "percent of the steps that rows get, the rest made queries (default: 35)", 0, 100, 0},
        {"steps", OPTION_NUMBER, &fitting.steps, "N", "(default: 500)", 1, 1000000, 0},
        {"batch", OPTION_NUMBER, &fitting.batch, "N", "queries a step (default: 16)", 1, 1024, 0},
        {"negatives", OPTION_NUMBER, &fitting.negatives, "N",
         "hard ones a query and step (default: 5)", 0, 2 * HEADS_MINED, 'n'},
        {"dim", OPTION_NUMBER, &fitting.dim, "N", "of a token's vector (default: 128)", 1, 4096, 0},
        {"length", OPTION_NUMBER, &fitting.length, "N", "tokens of a text (default: 512)", 3, 8192,
         0},
        {"precision", OPTION_TEXT, &precision, "P", "auto, int8, bf16 or f32", 0, 0, 0},
        {"seed", OPTION_NUMBER, &fitting.seed, "N", "of chance (default: 20)", 0, UINT32_MAX, 0},
        {"threads", OPTION_NUMBER, &fitting.threads, "N", "cores to use (default: all)", 1, 1024,
         0},
        {"json", OPTION_FLAG, &fitting.json, NULL, "one JSON object", 0, 0, 0},
        {0},
    };
    struct error err;
    size_t words_n;
    int status = options_parse(&command_model_heads, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n != 2)
        return options_wrong(&command_model_heads, "a model and a new folder are needed");
    if (!fitting.pairs && !fitting.texts)
        return options_wrong(&command_model_heads, "--pairs or --texts, or both, are needed");
    if (!model_precision_parse(precision, &fitting.model.precision, &err))
        return options_wrong(&command_model_heads, "%s", err.message);
    fitting.model.name = argv[0];
    fitting.folder = argv[1];
    fitting.began_s = clock_now_s();
    if (!fit(&fitting, &err))
        return command_failed(&err);
    report(&fitting);
    return EXIT_DONE;
}

const struct command command_model_heads = {"model fit-heads", "MODEL OUT",
                                            "token weights and vectors for a dense model", run};
