#include "engine/encoder.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/heads.h"
#include "engine/model_parts.h"
#include "engine/session.h"
#include "engine/tokenizer/tokenizer.h"

/* Two special tokens and one of the text. */
enum { LENGTH_MIN = 3 };

/* What one thread of the pool needs for itself. */
struct worker {
    struct analyzer *analyzer; /* NULL: not needed */
    uint32_t *term_at;         /* [vocabulary_n] zeros for heads_lexical; NULL: not needed */
    struct arena arena;        /* tokens and terms of the batch, until the next one */
};

struct encoder {
    const struct model *model;
    struct session *session;
    unsigned modes;
    char *instruction;
    bool one_pass;
    bool normalize; /* the dense vectors */
    uint32_t length_max;
    bool sparse_head; /* lexical weights come from the model */
    struct worker *workers;
    size_t workers_n;
};

/* A form in which texts go through the model, and the modes that are read from it. */
struct form {
    bool instructed;
    unsigned modes;
};

/* With the instruction for the dense vector, and bare for the rest. */
enum { FORMS_MAX = 2 };

/* One encoder_encode. Sequence s is text s / forms_n in form s % forms_n. */
struct batch {
    struct encoder *encoder;
    const struct encoder_text *texts;
    struct encoding *encodings; /* [n] */
    size_t n;
    unsigned modes;
    struct form forms[FORMS_MAX];
    size_t forms_n; /* 0: nothing that is asked for needs the model */
    /* [sequences_n] */
    struct tokens *tokens;
    size_t *first; /* the first token that is the text's own: the instruction's are before it */
    struct forward_sequence *sequences;
    size_t sequences_n;
};

/* ---- open and close ---- */

static bool open_workers(struct encoder *encoder, const char *analyzer, struct error *err) {
    const struct model *model = encoder->model;
    encoder->workers_n = session_workers_n(encoder->session);
    encoder->workers = mem_zalloc(encoder->workers_n, sizeof *encoder->workers);
    for (size_t i = 0; i < encoder->workers_n; i++) {
        struct worker *worker = &encoder->workers[i];
        if (encoder->sparse_head)
            worker->term_at = mem_zalloc(model->config.vocabulary_n, sizeof *worker->term_at);
        else if (encoder->modes & ENCODE_LEXICAL &&
                 !analyzer_open(analyzer, model->tokenizer, &worker->analyzer, err))
            return false;
    }
    return true;
}

static bool check_options(const struct model *model, const struct encoder_options *options,
                          const char *analyzer, struct error *err) {
    if (options->length_max > model->info.length_max)
        return error_set(err, ERROR_LIMIT, "length_max %u: the model reads at most %u tokens",
                         options->length_max, model->info.length_max);
    if (options->length_max > 0 && options->length_max < LENGTH_MIN)
        return error_set(err, ERROR_INVALID, "length_max %u: must be at least %d",
                         options->length_max, LENGTH_MIN);
    if (options->modes & ENCODE_LEXICAL && strcmp(analyzer, "head") == 0 &&
        !model->info.has_sparse_head)
        return error_set(err, ERROR_UNSUPPORTED,
                         "analyzer \"head\": %s has no sparse head; use \"words:en\" or \"model\"",
                         model->info.name);
    if (options->modes & ENCODE_MULTI && model->info.has_sparse_head &&
        !model->info.has_colbert_head)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: there is a sparse_linear, but neither colbert_linear.pt nor "
                         "colbert_linear.safetensors: ask for --dense or --sparse",
                         model->info.where);
    if (model->info.is_reranker)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s is a cross-encoder: it scores pairs and encodes nothing",
                         model->info.name);
    return true;
}

bool encoder_open(const struct model *model, struct pool *pool,
                  const struct encoder_options *options, struct encoder **out, struct error *err) {
    const char *analyzer = options->analyzer ? options->analyzer : model->info.analyzer;
    if (!check_options(model, options, analyzer, err))
        return false;
    struct encoder *encoder = mem_zalloc(1, sizeof *encoder);
    encoder->model = model;
    encoder->session = session_open(model, pool);
    encoder->modes = options->modes;
    encoder->instruction = mem_strdup(options->instruction ? options->instruction : "");
    encoder->one_pass = options->one_pass;
    encoder->normalize = model->config.normalize || options->unit_length;
    encoder->length_max = options->length_max ? options->length_max : model->info.length_max;
    encoder->sparse_head = options->modes & ENCODE_LEXICAL && strcmp(analyzer, "head") == 0;
    if (!open_workers(encoder, analyzer, err)) {
        encoder_close(encoder);
        return false;
    }
    *out = encoder;
    return true;
}

void encoder_close(struct encoder *encoder) {
    if (!encoder)
        return;
    for (size_t i = 0; i < encoder->workers_n; i++) {
        struct worker *worker = &encoder->workers[i];
        analyzer_close(worker->analyzer);
        arena_done(&worker->arena);
        free(worker->term_at);
    }
    free(encoder->workers);
    session_close(encoder->session);
    free(encoder->instruction);
    free(encoder);
}

/* ---- first loop: every text is read ---- */

/* BGE's instruction was trained for the dense vector alone; the other representations are those of
 * the bare text, as FlagEmbedding makes them. (Token vectors read behind the instruction cost 0.6
 * points of nDCG@10 on SciFact.) In one pass everything is read behind it. */
static void plan_forms(struct batch *batch) {
    const struct encoder *encoder = batch->encoder;
    unsigned hidden = batch->modes & (ENCODE_DENSE | ENCODE_MULTI);
    if (encoder->sparse_head)
        hidden |= batch->modes & ENCODE_LEXICAL;
    unsigned instructed = !encoder->instruction[0] ? 0
                          : encoder->one_pass      ? hidden
                                                   : hidden & ENCODE_DENSE;
    if (instructed)
        batch->forms[batch->forms_n++] = (struct form){true, instructed};
    if (hidden & ~instructed)
        batch->forms[batch->forms_n++] = (struct form){false, hidden & ~instructed};
    batch->sequences_n = batch->n * batch->forms_n;
}

/* Where the text's own tokens begin behind an instruction; their ranges, which counted in the
 * whole, count in the text afterwards. A token may take in the blank before it. */
static size_t leave_instruction_out(struct tokens *tokens, size_t instruction_len) {
    uint32_t len = (uint32_t)instruction_len;
    size_t first = 1;
    while (first < tokens->n && tokens->ranges[first].end > 0 && tokens->ranges[first].end <= len)
        first++;
    for (size_t i = first; i < tokens->n && tokens->ranges[i].end > 0; i++) {
        struct token_range *range = &tokens->ranges[i];
        range->begin = range->begin > len ? range->begin - len : 0;
        range->end -= len;
    }
    return first;
}

bool encoder_read(const struct model *model, const char *instruction, uint32_t length_max,
                  const struct encoder_text *text, struct arena *arena, struct tokens *out,
                  size_t *first_out, struct error *err) {
    const char *whole = text->text;
    size_t instruction_len = instruction ? strlen(instruction) : 0;
    size_t whole_len = instruction_len + text->len;
    if (instruction_len > 0) {
        char *joined = arena_alloc(arena, whole_len + 1, 1);
        memcpy(joined, instruction, instruction_len);
        if (text->len > 0)
            memcpy(joined + instruction_len, text->text, text->len);
        whole = joined;
    }
    if (!tokenizer_encode(model->tokenizer, whole, whole_len, length_max, arena, out, err))
        return false;
    for (size_t i = 0; i < out->n; i++)
        if (out->ids[i] >= model->config.vocabulary_n)
            return error_set(err, ERROR_INVALID,
                             "the tokenizer makes the token id %u, the model has %u", out->ids[i],
                             model->config.vocabulary_n);
    if (out->n == 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "the tokenizer makes no token at all of a text "
                         "(it has no [CLS])");
    *first_out = instruction_len > 0 ? leave_instruction_out(out, instruction_len) : 1;
    return true;
}

static bool read_text(void *context, size_t item, size_t worker_i, struct error *err) {
    struct batch *batch = context;
    struct encoder *encoder = batch->encoder;
    struct worker *worker = &encoder->workers[worker_i];
    const struct encoder_text *text = &batch->texts[item];
    for (size_t f = 0; f < batch->forms_n; f++) {
        size_t s = item * batch->forms_n + f;
        const char *instruction = batch->forms[f].instructed ? encoder->instruction : NULL;
        struct tokens *tokens = &batch->tokens[s];
        if (!encoder_read(encoder->model, instruction, encoder->length_max, text, &worker->arena,
                          tokens, &batch->first[s], err))
            return false;
        batch->sequences[s] = (struct forward_sequence){.ids = tokens->ids, .n = tokens->n};
    }
    return !(batch->modes & ENCODE_LEXICAL) || encoder->sparse_head ||
           analyzer_run(worker->analyzer, text->text, text->len, &worker->arena,
                        &batch->encodings[item].lexical, err);
}

/* ---- second loop: sequences go through the model, the heads read what comes out ---- */

/* Room for everything the heads will write: the arena is not for several threads. */
static void allocate_outputs(struct batch *batch, struct arena *arena) {
    const struct encoder *encoder = batch->encoder;
    const struct model_info *info = &encoder->model->info;
    for (size_t s = 0; s < batch->sequences_n; s++) {
        struct encoding *encoding = &batch->encodings[s / batch->forms_n];
        const struct form *form = &batch->forms[s % batch->forms_n];
        const struct tokens *tokens = &batch->tokens[s];
        encoding->tokens_n += (uint32_t)tokens->n;
        if (form->modes & ENCODE_DENSE)
            encoding->dense = ARENA_NEW(arena, float, info->dense_dim);
        if (form->modes & ENCODE_MULTI) {
            size_t n = heads_multi_n(tokens, batch->first[s]);
            encoding->multi_n = (uint32_t)n;
            encoding->multi = ARENA_NEW(arena, float, n * info->multi_dim);
            encoding->multi_ranges = ARENA_NEW(arena, struct token_range, n);
        }
        if (form->modes & ENCODE_LEXICAL)
            encoding->lexical.terms = ARENA_NEW(arena, struct lexical_term, tokens->n);
    }
}

/* hidden: [tokens of the sequence, hidden]. The encoding's arrays are ours until encoder_encode
 * returns, so writing through its const pointers is fine. */
static void apply_heads(void *context, size_t sequence, const float *hidden, size_t worker) {
    struct batch *batch = context;
    const struct encoder *encoder = batch->encoder;
    const struct model *model = encoder->model;
    struct encoding *encoding = &batch->encodings[sequence / batch->forms_n];
    const struct form *form = &batch->forms[sequence % batch->forms_n];
    const struct tokens *tokens = &batch->tokens[sequence];
    size_t first = batch->first[sequence];
    if (form->modes & ENCODE_DENSE)
        heads_dense(model, hidden, tokens->n, encoder->normalize,
                    (float *)(uintptr_t)encoding->dense);
    if (form->modes & ENCODE_MULTI)
        heads_multi(model, hidden, tokens, first, (float *)(uintptr_t)encoding->multi,
                    (struct token_range *)(uintptr_t)encoding->multi_ranges);
    if (form->modes & ENCODE_LEXICAL)
        heads_lexical(model, hidden, tokens, first, encoder->workers[worker].term_at,
                      &encoding->lexical);
}

/* ---- the whole ---- */

/* Moves counted terms from a worker's arena, which the next batch resets, to the caller's. */
static void keep_terms(struct lexical *lexical, struct arena *arena) {
    size_t bytes = 0;
    for (size_t i = 0; i < lexical->n; i++)
        bytes += lexical->terms[i].word_len + 1;
    struct lexical_term *terms = ARENA_NEW(arena, struct lexical_term, lexical->n);
    char *words = arena_alloc(arena, bytes, 1);
    for (size_t i = 0; i < lexical->n; i++) {
        terms[i] = lexical->terms[i];
        if (!terms[i].word)
            continue;
        memcpy(words, terms[i].word, terms[i].word_len);
        words[terms[i].word_len] = '\0';
        terms[i].word = words;
        words += terms[i].word_len + 1;
    }
    lexical->terms = terms;
}

bool encoder_encode_modes(struct encoder *encoder, unsigned modes, const struct encoder_text *texts,
                          size_t n, struct arena *arena, struct encoding *out, struct error *err) {
    assert((modes & ~encoder->modes) == 0);
    for (size_t i = 0; i < encoder->workers_n; i++)
        arena_reset(&encoder->workers[i].arena);
    struct arena *scratch = &encoder->workers[0].arena;
    struct batch batch = {
        .encoder = encoder,
        .texts = texts,
        .encodings = ARENA_ZERO(scratch, struct encoding, n),
        .n = n,
        .modes = modes,
    };
    plan_forms(&batch);
    batch.tokens = ARENA_ZERO(scratch, struct tokens, batch.sequences_n);
    batch.first = ARENA_ZERO(scratch, size_t, batch.sequences_n);
    batch.sequences = ARENA_ZERO(scratch, struct forward_sequence, batch.sequences_n);
    if (!session_spread(encoder->session, n, read_text, &batch, err))
        return false;
    if (modes & ENCODE_LEXICAL && !encoder->sparse_head)
        for (size_t i = 0; i < n; i++)
            keep_terms(&batch.encodings[i].lexical, arena);
    if (batch.sequences_n > 0) {
        allocate_outputs(&batch, arena);
        session_run(encoder->session, batch.sequences, batch.sequences_n, apply_heads, &batch);
    }
    if (n > 0)
        memcpy(out, batch.encodings, n * sizeof *out);
    return true;
}

bool encoder_encode(struct encoder *encoder, const struct encoder_text *texts, size_t n,
                    struct arena *arena, struct encoding *out, struct error *err) {
    return encoder_encode_modes(encoder, encoder->modes, texts, n, arena, out, err);
}
