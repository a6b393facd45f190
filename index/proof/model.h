/* model.h - for tests: the plainest possible memory of what an index should hold, and the
 * comparison of an index with it, search by search.
 *
 * A record is a function of its key and its version, so the model is one number a key. A batch is a
 * function of (seed, number, the model before it), so another process that knows the seed can
 * replay any of them: a parent knows what a killed child had committed, a searcher what the writer
 * beside it had. The batch's number is committed with it, as the record of key 0.
 * Threads: a model belongs to one thread. */
#ifndef TERCET_INDEX_PROOF_MODEL_H
#define TERCET_INDEX_PROOF_MODEL_H

#include "index/index.h"

struct writer;

enum {
    MODEL_KEYS = 300, /* few, so that most puts replace and most deletes find something */
    MODEL_VOCABULARY = 120,
    MODEL_BATCH_MAX = 12, /* changes of one batch */
};

struct model {
    enum index_lexical lexical;
    unsigned long long versions[MODEL_KEYS]; /* 0: absent; of key 0 the batch's number */
};

/* A new folder in memory (/dev/shm) where there is one: a killed process needs no real disk, and
 * its fsync costs nothing. Remove it with fixture_remove. */
void model_folder(char out[64]);

/* A random seed's start, printed: TERCET_SEED, of which 0 is the clock's; 1 where it is not given,
 * so that a change and not the hour decides what a run finds. */
unsigned long long model_seed(void);

/* A whole number from the environment, or the default. */
uint32_t model_option(const char *name, uint32_t otherwise);

/* An empty index with all three modes. */
bool model_create(const char *folder, enum index_lexical lexical, struct index **out,
                  struct error *err);
/* Opens it, with generations of dense rows from a few dozen rows on. */
bool model_open(const char *folder, enum index_mode mode, struct index **out, struct error *err);

/* One random put or delete. writer NULL: in the model only. ERROR_INVALID: the writer's answer was
 * not the model's. */
bool model_change(struct model *model, struct writer *writer, unsigned long long *seed,
                  struct error *err);

/* Deletes what passes a random filter, committed at once; no writer may be open. ERROR_INVALID: it
 * took other documents than the model's. */
bool model_delete_passing(struct model *model, struct index *index, unsigned long long *seed,
                          struct error *err);

/* The next commit merges a list, a few, all there is: so that merges are met half done. */
void model_limit_merging(struct writer *writer, unsigned long long *seed);

/* Batch `number` (1, 2, ...) of the seed, not yet committed. */
bool model_batch(struct model *model, struct writer *writer, unsigned long long seed,
                 uint32_t number, struct error *err);

/* The number of the newest batch in a snapshot; 0: none yet. */
uint32_t model_batch_of(struct snapshot *snapshot);

/* Every key, record, row and count is the model's. ERROR_INVALID names the first difference; other
 * codes are the index's own. */
bool model_agrees(struct snapshot *snapshot, const struct model *model, struct error *err);

/* One random search in each mode, without and with a random filter, and the facets of both, give
 * what the formulas say of the model's records. */
bool model_search_agrees(struct snapshot *snapshot, const struct model *model,
                         unsigned long long *seed, struct error *err);

/* Both of the above on the newest commit. */
bool model_index_agrees(struct index *index, const struct model *model, unsigned long long *seed,
                        struct error *err);

#endif
