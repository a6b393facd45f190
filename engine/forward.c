#include "engine/forward.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/team.h"
#include "engine/math/attention.h"
#include "engine/model_parts.h"

/* Rows that go through a layer together: enough for each weight that is fetched (64 made bge-m3's
 * shape a quarter slower), few enough that their widest form stays near the core. */
enum { PANEL_ROWS = 256, ROWS_STEP = 16 };
/* Up to this many tokens a member, a team divides the channels and not the rows. */
enum { ROWS_SPLIT_MIN = 64 };
/* A layer is five steps where channels are divided. A step reads a fifth of its weights and
 * multiplies them by every token, which costs as much as reading for some sixteen of them. Below
 * this many bytes so counted (some 100 us) meeting costs what sharing gains, and on a busy machine
 * far more: a member that has lost its core keeps the others waiting. Measured with 16 tokens in
 * int8: bge-small, .7 MB, 1.15 ms alone and 2.0 by two; bge-m3's shape, 5 MB, 22 and 12. */
enum { TEAM_STEPS = 5, TEAM_TOKENS = 16, TEAM_STEP_BYTES_MIN = 2 << 20 };
/* Queries of one attention item: a long sequence is divided by these, too. */
enum { QUERIES_MAX = 512 };

/* A buffer that only grows. */
struct scratch {
    void *data;
    size_t bytes;
};

/* What one thread of a team needs for itself. */
struct member {
    struct scratch states; /* [panel, hidden] f32: all tokens, where the channels are divided */
    struct scratch input;  /* [panel] rows in the form that a product reads */
    struct scratch change; /* [panel, hidden] f32: what is added to the states */
    struct scratch wide;   /* [panel, intermediate] f32 */
    struct scratch packed, attention;
};

struct forward {
    const struct model *model;
    struct scratch states; /* [tokens, hidden] f32: a layer's input and output */
    struct scratch qkv;    /* [tokens, 3 * hidden] f32 or bf16 */
    struct scratch mixed;  /* [tokens, hidden] f32: what attention brought together */
    struct member *members;
    size_t members_cap;

    /* The run. */
    const struct forward_sequence *sequences;
    size_t sequences_n, tokens_n;
    bool by_channels; /* all members have all rows and divide the channels */
    struct team team;
};

/* ---- scratch ---- */

/* Contents are not kept. */
static void grow(struct scratch *scratch, size_t n, size_t size) {
    size_t bytes = n * size;
    if (bytes <= scratch->bytes)
        return;
    free(scratch->data);
    scratch->data = mem_alloc_aligned(bytes, 1);
    scratch->bytes = bytes;
}

static void member_done(struct member *member) {
    free(member->states.data);
    free(member->input.data);
    free(member->change.data);
    free(member->wide.data);
    free(member->packed.data);
    free(member->attention.data);
}

struct forward *forward_open(const struct model *model) {
    struct forward *forward = mem_zalloc(1, sizeof *forward);
    forward->model = model;
    return forward;
}

void forward_close(struct forward *forward) {
    if (!forward)
        return;
    for (size_t i = 0; i < forward->members_cap; i++)
        member_done(&forward->members[i]);
    free(forward->members);
    free(forward->states.data);
    free(forward->qkv.data);
    free(forward->mixed.data);
    free(forward);
}

static bool uses_bf16(const struct model *model) {
    return model->kind != LINEAR_F32;
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static void reserve_member(struct forward *forward, struct member *member, size_t longest) {
    const struct model *model = forward->model;
    const struct model_layer *layer = &model->layers[0];
    size_t hidden = model->config.hidden, wide = model->config.intermediate;
    size_t rows = forward->by_channels ? forward->tokens_n : PANEL_ROWS;
    size_t input_bytes =
        larger(linear_input_bytes(layer->qkv, rows), linear_input_bytes(layer->narrow, rows));
    if (forward->by_channels)
        grow(&member->states, rows * hidden, sizeof(float));
    grow(&member->input, input_bytes, 1);
    grow(&member->change, rows * hidden, sizeof(float));
    grow(&member->wide, rows * wide, sizeof(float));
    grow(&member->packed, attention_packed_bytes(longest, hidden / model->config.heads_n), 1);
    grow(&member->attention, attention_scratch_bytes(hidden / model->config.heads_n), 1);
}

static void reserve(struct forward *forward, size_t longest) {
    size_t hidden = forward->model->config.hidden, tokens_n = forward->tokens_n;
    size_t qkv_size = uses_bf16(forward->model) ? sizeof(uint16_t) : sizeof(float);
    size_t members_n = forward->team.members_n;
    grow(&forward->states, tokens_n * hidden, sizeof(float));
    grow(&forward->qkv, tokens_n * 3 * hidden, qkv_size);
    grow(&forward->mixed, tokens_n * hidden, sizeof(float));
    if (members_n > forward->members_cap) {
        forward->members = mem_realloc(forward->members, members_n, sizeof *forward->members);
        memset(forward->members + forward->members_cap, 0,
               (members_n - forward->members_cap) * sizeof *forward->members);
        forward->members_cap = members_n;
    }
    for (size_t i = 0; i < members_n; i++)
        reserve_member(forward, &forward->members[i], longest);
}

/* ---- embeddings ---- */

/* states: [sequence->n, hidden] = norm(word + position + type), of tokens [begin, end) */
static void embed(const struct model *model, const struct forward_sequence *sequence, size_t begin,
                  size_t end, float *states) {
    const struct model_config *config = &model->config;
    size_t hidden = config->hidden, next = config->position_first;
    assert(sequence->n >= 1 && sequence->n <= config->length_max);
    for (size_t i = 0; i < end; i++) {
        uint32_t id = sequence->ids[i];
        bool pad = config->is_xlm_roberta && id == config->pad_id;
        size_t place = pad ? config->pad_id : next++; /* XLM-R: a written <pad> is not counted */
        if (i < begin)
            continue;
        size_t type = sequence->type_ids ? sequence->type_ids[i] : 0;
        assert(id < config->vocabulary_n && type < config->types_n);
        float *state = states + i * hidden;
        const float *position = model->positions + place * hidden;
        const float *kind = model->types + type * hidden;
        weights_rows_read(&model->words, id, state);
        for (size_t j = 0; j < hidden; j++)
            state[j] += position[j] + kind[j];
    }
    nn_layer_norm(states + begin * hidden, end - begin, hidden, &model->embedding_norm);
}

/* Tokens [begin, end) of the run. */
static void embed_rows(const struct forward *forward, size_t begin, size_t end, float *states) {
    size_t at = 0;
    for (size_t i = 0; i < forward->sequences_n && at < end; i++) {
        const struct forward_sequence *sequence = &forward->sequences[i];
        size_t from = begin > at ? begin - at : 0;
        size_t to = smaller(end - at, sequence->n);
        if (from < to)
            embed(forward->model, sequence, from, to, states + at * forward->model->config.hidden);
        at += sequence->n;
    }
}

/* ---- one member's part of a layer ---- */

/* Where a member works: its rows of the run, and its states of them. */
struct place {
    struct forward *forward;
    struct member *own;    /* scratch of its own */
    struct member *shared; /* for products whose channels are divided: the first member's */
    size_t member, begin, end;
    float *states; /* of row 0 of the run */
};

static void wait_if_divided(const struct place *place) {
    if (place->forward->by_channels)
        team_wait(&place->forward->team);
}

/* This member's channels of a layer with out_n of them. */
static void channels_of(const struct place *place, size_t out_n, size_t *begin, size_t *end) {
    *begin = 0;
    *end = out_n;
    if (place->forward->by_channels)
        team_share(&place->forward->team, place->member, out_n, LINEAR_CHANNELS_BLOCK, begin, end);
}

/* Rows of f32 in the form that a layer reads. */
static struct linear_input input_of(const struct place *place, const struct linear *linear,
                                    const float *x, size_t in_n, size_t rows) {
    return linear_input_from_f32(linear, x, in_n, rows, place->own->input.data);
}

/* out [rows, out_n] = layer(input), this member's channels of it */
static void product(const struct place *place, const struct linear *linear,
                    const struct linear_input *input, size_t out_n, enum linear_epilogue epilogue,
                    float *out) {
    size_t begin, end;
    channels_of(place, out_n, &begin, &end);
    linear_run(linear, input, begin, end, epilogue, out, out_n);
}

/* The first layer's, or of rows that the layer before has just finished. */
static void make_qkv(const struct place *place, const struct linear *linear,
                     const struct linear_input *input, size_t row) {
    struct forward *forward = place->forward;
    size_t out_n = 3 * forward->model->config.hidden, begin, end;
    channels_of(place, out_n, &begin, &end);
    if (uses_bf16(forward->model))
        linear_run_bf16(linear, input, begin, end, LINEAR_NONE,
                        (uint16_t *)forward->qkv.data + row * out_n, out_n);
    else
        linear_run(linear, input, begin, end, LINEAR_NONE, (float *)forward->qkv.data + row * out_n,
                   out_n);
}

/* One sequence's heads and queries are items of about equal cost; items of the run are dealt out to
 * the members by cost, in order, so that a member packs the keys of a head once. */
struct deal {
    size_t done, total, members_n; /* costs: queries times keys, summed over heads */
};

static size_t dealt_to(struct deal *deal, size_t cost) {
    size_t member = deal->done * deal->members_n / deal->total;
    deal->done += cost;
    return member;
}

static void attend_sequence(const struct place *place, const struct attention *in, float *mixed,
                            struct deal *deal) {
    for (size_t head = 0; head < in->heads_n; head++) {
        bool packed = false;
        for (size_t at = 0; at < in->n; at += QUERIES_MAX) {
            size_t end = at + smaller(QUERIES_MAX, in->n - at);
            if (dealt_to(deal, (end - at) * in->n) != place->member)
                continue;
            if (!packed)
                attention_pack(in, head, place->own->packed.data);
            packed = true;
            attention_attend(in, head, place->own->packed.data, at, end, place->own->attention.data,
                             mixed);
        }
    }
}

static void attend(const struct place *place) {
    const struct forward *forward = place->forward;
    const struct model *model = forward->model;
    size_t hidden = model->config.hidden, heads_n = model->config.heads_n, at = 0;
    struct deal deal = {.members_n = forward->team.members_n};
    for (size_t i = 0; i < forward->sequences_n; i++)
        deal.total += forward->sequences[i].n * forward->sequences[i].n * heads_n;
    for (size_t i = 0; i < forward->sequences_n; i++) {
        struct attention in = {
            .n = forward->sequences[i].n,
            .hidden = hidden,
            .heads_n = heads_n,
            .bf16 = uses_bf16(model),
        };
        if (in.bf16)
            in.qkv_bf16 = (const uint16_t *)forward->qkv.data + at * 3 * hidden;
        else
            in.qkv_f32 = (const float *)forward->qkv.data + at * 3 * hidden;
        attend_sequence(place, &in, (float *)forward->mixed.data + at * hidden, &deal);
        at += in.n;
    }
}

/* states [rows, hidden] = norm(states + change + bias), left in the form that `next` reads as well,
 * while they are in the first cache. next NULL: nothing reads them. */
static struct linear_input add_and_norm(const struct place *place, float *states,
                                        const float *change, const float *bias, size_t rows,
                                        const struct nn_norm *norm, const struct linear *next) {
    size_t hidden = place->forward->model->config.hidden;
    struct linear_input input = {0};
    struct nn_codes codes;
    if (next && linear_input_coded(next, rows, place->own->input.data, &codes, &input)) {
        nn_residual_norm_coded(states, change, bias, rows, hidden, norm, &codes);
        return input;
    }
    nn_residual_norm(states, change, bias, rows, hidden, norm);
    return next ? input_of(place, next, states, hidden, rows) : input;
}

/* What follows attention, for rows [row, row + rows), up to the next layer's queries, keys and
 * values. next NULL: this layer is the last. */
static void finish_rows(const struct place *place, const struct model_layer *layer,
                        const struct model_layer *next, size_t row, size_t rows) {
    const struct forward *forward = place->forward;
    size_t hidden = forward->model->config.hidden, wide_n = forward->model->config.intermediate;
    float *states = place->states + row * hidden;
    float *change = place->shared->change.data, *wide = place->shared->wide.data;
    const float *mixed = (const float *)forward->mixed.data + row * hidden;
    struct linear_input input = input_of(place, layer->mix, mixed, hidden, rows);
    product(place, layer->mix, &input, hidden, LINEAR_NONE, change);
    wait_if_divided(place);
    input =
        add_and_norm(place, states, change, layer->mix_bias, rows, &layer->mix_norm, layer->widen);
    product(place, layer->widen, &input, wide_n, LINEAR_GELU, wide);
    wait_if_divided(place);
    input = input_of(place, layer->narrow, wide, wide_n, rows);
    product(place, layer->narrow, &input, hidden, LINEAR_NONE, change);
    wait_if_divided(place);
    input = add_and_norm(place, states, change, layer->narrow_bias, rows, &layer->narrow_norm,
                         next ? next->qkv : NULL);
    if (next)
        make_qkv(place, next->qkv, &input, row);
}

/* ---- a run ---- */

static struct place place_of(struct forward *forward, size_t member) {
    struct place place = {
        .forward = forward,
        .own = &forward->members[member],
        .shared = &forward->members[forward->by_channels ? 0 : member],
        .member = member,
        .end = forward->tokens_n,
        .states = forward->states.data,
    };
    if (!forward->by_channels)
        team_share(&forward->team, member, forward->tokens_n, ROWS_STEP, &place.begin, &place.end);
    else if (member > 0)
        place.states = place.own->states.data;
    return place;
}

void forward_member(struct forward *forward, size_t member) {
    const struct model *model = forward->model;
    struct place place = place_of(forward, member);
    size_t panel = forward->by_channels ? forward->tokens_n : PANEL_ROWS;
    size_t hidden = model->config.hidden;
    const struct model_layer *layers = model->layers;
    embed_rows(forward, place.begin, place.end, place.states);
    for (size_t row = place.begin; row < place.end; row += panel) {
        struct linear_input input = input_of(&place, layers[0].qkv, place.states + row * hidden,
                                             hidden, smaller(panel, place.end - row));
        make_qkv(&place, layers[0].qkv, &input, row);
    }
    for (size_t i = 0; i < model->config.layers_n; i++) {
        const struct model_layer *next = i + 1 < model->config.layers_n ? &layers[i + 1] : NULL;
        team_wait(&forward->team);
        attend(&place);
        team_wait(&forward->team);
        for (size_t row = place.begin; row < place.end; row += panel)
            finish_rows(&place, &layers[i], next, row, smaller(panel, place.end - row));
    }
}

void forward_begin(struct forward *forward, const struct forward_sequence *sequences,
                   size_t sequences_n, size_t members_n) {
    size_t longest = 0;
    forward->sequences = sequences;
    forward->sequences_n = sequences_n;
    forward->tokens_n = 0;
    for (size_t i = 0; i < sequences_n; i++) {
        forward->tokens_n += sequences[i].n;
        longest = larger(longest, sequences[i].n);
    }
    forward->team.members_n = members_n;
    forward->by_channels = members_n > 1 && forward->tokens_n <= ROWS_SPLIT_MIN * members_n;
    reserve(forward, longest);
}

bool forward_team_pays(const struct forward *forward, size_t tokens_n) {
    const struct model_layer *layer = &forward->model->layers[0];
    size_t bytes = linear_bytes(layer->qkv) + linear_bytes(layer->mix) +
                   linear_bytes(layer->widen) + linear_bytes(layer->narrow);
    return bytes / TEAM_STEPS * (TEAM_TOKENS + tokens_n) / TEAM_TOKENS >= TEAM_STEP_BYTES_MIN;
}

const float *forward_states(const struct forward *forward) {
    return forward->states.data;
}

const float *forward_run(struct forward *forward, const struct forward_sequence *sequences,
                         size_t sequences_n) {
    forward_begin(forward, sequences, sequences_n, 1);
    forward_member(forward, 0);
    return forward_states(forward);
}
