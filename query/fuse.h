/* fuse.h - one score out of several, over candidates that were scored in every mode.
 *
 * Each candidate comes with its exact raw score in each mode asked for; nothing is missing, so no
 * method has to guess what a document that one list lacks would have scored there.
 *   zscore    (raw - mean) / deviation over the candidates, weighted sum
 *   weighted  sum of weight x raw: BGE-M3's rule (arXiv 2402.03216), for scores of one scale
 *   minmax    (raw - min) / (max - min), weighted sum
 *   rrf       weight / (60 + rank), summed (Cormack, Clarke & Buettcher, SIGIR 2009); rank from 1
 *   dbsf      raw scaled so that mean - 3 deviations is 0 and mean + 3 deviations is 1, clipped,
 *             weighted sum (distribution-based score fusion; Mazzeschi 2023)
 * With a single mode the fused score is the raw one, whatever the method. */
#ifndef TERCET_FUSE_H
#define TERCET_FUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"

enum fuse_mode { FUSE_DENSE, FUSE_SPARSE, FUSE_MULTI, FUSE_MODES_N };

/* A set of modes: bit 1 << mode. */
enum { FUSE_ALL_MODES = (1 << FUSE_MODES_N) - 1 };

enum fuse_method { FUSE_ZSCORE, FUSE_WEIGHTED, FUSE_MINMAX, FUSE_RRF, FUSE_DBSF, FUSE_METHODS_N };

struct fuse_plan {
    unsigned modes;
    enum fuse_method method;
    float weights[FUSE_MODES_N]; /* of modes that are not in use: ignored */
};

struct fuse_candidate {
    uint32_t docid;
    float raw[FUSE_MODES_N];          /* in; 0 for modes that are not in use */
    float normalized[FUSE_MODES_N];   /* out: what the method made of it */
    float contribution[FUSE_MODES_N]; /* out: its share of the score; they add up to it */
    uint32_t rank[FUSE_MODES_N];      /* out: from 1, by raw score then docid; 0: not in use */
    float score;                      /* out */
};

const char *fuse_mode_name(enum fuse_mode mode);
const char *fuse_method_name(enum fuse_method method);
bool fuse_method_parse(const char *name, enum fuse_method *out, struct error *err);

/* "dense,multi" -> a set of modes. */
bool fuse_modes_parse(const char *names, unsigned *out, struct error *err);

/* The weights that measured best on public sets for this method and these modes; those of the modes
 * in use add up to 1 for zscore, minmax and dbsf. passages: dense and multi speak for a document's
 * best passage, sparse for all of it. */
void fuse_default_weights(enum fuse_method method, unsigned modes, bool passages,
                          float weights_out[FUSE_MODES_N]);

/* Fills the out fields and sorts best first (equal scores by docid). */
void fuse(const struct fuse_plan *plan, struct fuse_candidate *candidates, size_t n,
          struct arena *arena);

#endif
