/* model_filter.h - for tests: the fields of the model's records, and filters out of chance over
 * them, each as JSON and as a plain function of a record.
 *
 * A record's fields follow from its key and its hash: {"n": key} always, and by chance a word "c",
 * a number "v" and a list of numbers "t". */
#ifndef TERCET_INDEX_PROOF_MODEL_FILTER_H
#define TERCET_INDEX_PROOF_MODEL_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODEL_FIELDS_MAX = 64, MODEL_WORDS = 4, MODEL_FILTER_TEXT_MAX = 256 };

/* As JSON. */
void model_fields_print(uint32_t key, uint64_t hash, char out[MODEL_FIELDS_MAX]);

/* Which word "c" is; -1: there is none. */
int model_fields_word(uint64_t hash);
const char *model_word(int word);

enum model_condition {
    MODEL_WORD,   /* "c" is the word */
    MODEL_RANGE,  /* low <= "v" < high */
    MODEL_BELOW,  /* "n" < high */
    MODEL_TAGS,   /* "t" has low or high */
    MODEL_EXISTS, /* "v" is there */
    MODEL_CONDITIONS_N,
};

enum model_join { MODEL_FIRST, MODEL_AND, MODEL_OR, MODEL_NOT, MODEL_JOINS_N };

struct model_filter {
    enum model_join join;
    struct model_leaf {
        enum model_condition condition;
        int low, high;
    } leaves[2];
};

void model_filter_draw(unsigned long long *seed, struct model_filter *out);
bool model_filter_passes(const struct model_filter *filter, uint32_t key, uint64_t hash);
void model_filter_print(const struct model_filter *filter, char out[MODEL_FILTER_TEXT_MAX]);

#endif
