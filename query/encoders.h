/* encoders.h - the encoder and cross-encoder sessions behind the server's encode routes.
 *
 * Each query worker has sessions of its own, made when first needed, that compute on its thread
 * alone. A request of several texts takes the one session that spreads over all cores instead, if
 * no other request has it; else it goes on alone, so no worker ever waits for another.
 * A long request is encoded in parts, and between two of them looks whether anybody still waits.
 * Threads: a worker's number is one thread at a time; everything else from any thread. */
#ifndef TERCET_ENCODERS_H
#define TERCET_ENCODERS_H

#include <stdatomic.h>

#include "engine/encoder.h"
#include "engine/reranker.h"

struct model;
struct encoders;

/* What stands in front of a text for the dense vector. */
enum encoders_side { ENCODERS_BARE, ENCODERS_QUERY, ENCODERS_PASSAGE, ENCODERS_SIDES_N };

/* reranker NULL: there is none. Both are borrowed. ERROR_UNSUPPORTED when the model is a
 * cross-encoder, or the reranker is none. */
bool encoders_open(const struct model *model, const struct model *reranker, size_t workers_n,
                   struct encoders **out, struct error *err);
void encoders_close(struct encoders *encoders);

const struct model *encoders_model(const struct encoders *encoders);
const struct model *encoders_reranker(const struct encoders *encoders); /* or NULL */
/* As clients are told: a hub id as it is, a folder without what leads to it. */
const char *encoders_name(const struct model *model);
unsigned encoders_modes(const struct encoders *encoders); /* ENCODE_... that the model can give */
const char *encoders_instruction(const struct encoders *encoders, enum encoders_side side);

/* out: [n], in the arena. ERROR_STOPPED once *cancelled is set (NULL: never). */
bool encoders_encode(struct encoders *encoders, size_t worker, enum encoders_side side,
                     unsigned modes, const struct encoder_text *texts, size_t n,
                     const atomic_bool *cancelled, struct arena *arena, struct encoding *out,
                     struct error *err);

/* The texts of one request among several. */
struct encoders_part {
    const struct encoder_text *texts;
    size_t n;
    struct arena *arena;
    struct encoding *out; /* [n], in the arena; everything else with them */
};

/* As encoders_encode for all parts at once, on the worker's own thread. On failure none has
 * anything: try each alone. */
bool encoders_encode_together(struct encoders *encoders, size_t worker, enum encoders_side side,
                              unsigned modes, const struct encoders_part *parts, size_t n,
                              struct error *err);

/* scores_out: [n] raw logits. */
bool encoders_rerank(struct encoders *encoders, size_t worker, const struct reranker_pair *pairs,
                     size_t n, const atomic_bool *cancelled, float *scores_out, struct error *err);

/* Tokens that went through the encoder so far. */
uint64_t encoders_tokens_n(const struct encoders *encoders);

#endif
