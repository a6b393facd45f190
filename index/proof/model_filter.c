#include "index/proof/model_filter.h"

#include <stdio.h>

#include "index/fixture.h"
#include "index/proof/model.h"

/* ---- fields: parts of the hash ---- */

static const char *const words[MODEL_WORDS] = {"red", "green", "2024-05-06", ""};

const char *model_word(int word) {
    return words[word];
}

int model_fields_word(uint64_t hash) {
    return hash % 5 < MODEL_WORDS ? (int)(hash % 5) : -1;
}

/* Quarters, so that JSON and doubles agree; false: there is none. */
static bool value_of(uint64_t hash, double *out) {
    *out = ((double)(hash >> 8 & 1023) - 512) / 4;
    return (hash >> 18 & 3) != 0;
}

static unsigned tags_of(uint64_t hash, int tags[2]) {
    tags[0] = (int)(hash >> 20 & 15);
    tags[1] = (int)(hash >> 24 & 15);
    return (unsigned)(hash >> 28 & 3) % 3;
}

void model_fields_print(uint32_t key, uint64_t hash, char out[MODEL_FIELDS_MAX]) {
    double value;
    int tags[2], len = snprintf(out, MODEL_FIELDS_MAX, "{\"n\":%u", key);
    unsigned tags_n = tags_of(hash, tags);
    if (model_fields_word(hash) >= 0)
        len += snprintf(out + len, MODEL_FIELDS_MAX - (size_t)len, ",\"c\":\"%s\"",
                        model_word(model_fields_word(hash)));
    if (value_of(hash, &value))
        len += snprintf(out + len, MODEL_FIELDS_MAX - (size_t)len, ",\"v\":%g", value);
    if (tags_n == 2)
        len +=
            snprintf(out + len, MODEL_FIELDS_MAX - (size_t)len, ",\"t\":[%d,%d]", tags[0], tags[1]);
    snprintf(out + len, MODEL_FIELDS_MAX - (size_t)len, tags_n == 1 ? ",\"t\":%d}" : "}", tags[0]);
}

/* ---- filters ---- */

static void draw_leaf(unsigned long long *seed, struct model_leaf *out) {
    out->condition = (enum model_condition)(check_random(seed) % MODEL_CONDITIONS_N);
    int wide = out->condition == MODEL_RANGE ? 300 : 16;
    int middle = out->condition == MODEL_RANGE ? 150 : 0;
    out->low = (int)(check_random(seed) % (unsigned)wide) - middle;
    out->high = (int)(check_random(seed) % (unsigned)wide) - middle;
    if (out->condition == MODEL_BELOW)
        out->high = (int)(check_random(seed) % MODEL_KEYS);
    if (out->condition == MODEL_WORD || out->condition == MODEL_EXISTS)
        out->low = (int)(check_random(seed) % MODEL_WORDS);
}

void model_filter_draw(unsigned long long *seed, struct model_filter *out) {
    out->join = (enum model_join)(check_random(seed) % MODEL_JOINS_N);
    draw_leaf(seed, &out->leaves[0]);
    draw_leaf(seed, &out->leaves[1]);
}

static bool leaf_passes(const struct model_leaf *leaf, uint32_t key, uint64_t hash) {
    double value;
    int tags[2];
    bool there = value_of(hash, &value), has = false;
    unsigned tags_n = tags_of(hash, tags);
    switch (leaf->condition) {
    case MODEL_WORD: return model_fields_word(hash) == leaf->low;
    case MODEL_RANGE: return there && value >= leaf->low && value < leaf->high;
    case MODEL_BELOW: return (int)key < leaf->high;
    case MODEL_EXISTS: return there == (leaf->low % 2 == 0);
    case MODEL_TAGS:
        for (unsigned i = 0; i < tags_n; i++)
            has |= tags[i] == leaf->low || tags[i] == leaf->high;
        return has;
    case MODEL_CONDITIONS_N: break;
    }
    return false;
}

bool model_filter_passes(const struct model_filter *filter, uint32_t key, uint64_t hash) {
    bool first = leaf_passes(&filter->leaves[0], key, hash);
    bool second = leaf_passes(&filter->leaves[1], key, hash);
    return filter->join == MODEL_FIRST ? first
           : filter->join == MODEL_AND ? first && second
           : filter->join == MODEL_OR  ? first || second
                                       : !first;
}

static void print_leaf(const struct model_leaf *leaf, char out[MODEL_FILTER_TEXT_MAX / 3]) {
    size_t size = MODEL_FILTER_TEXT_MAX / 3;
    switch (leaf->condition) {
    case MODEL_WORD: snprintf(out, size, "{\"c\":\"%s\"}", model_word(leaf->low)); break;
    case MODEL_RANGE:
        snprintf(out, size, "{\"v\":{\"$gte\":%d,\"$lt\":%d}}", leaf->low, leaf->high);
        break;
    case MODEL_BELOW: snprintf(out, size, "{\"n\":{\"$lt\":%d}}", leaf->high); break;
    case MODEL_TAGS: snprintf(out, size, "{\"t\":{\"$in\":[%d,%d]}}", leaf->low, leaf->high); break;
    case MODEL_EXISTS:
        snprintf(out, size, "{\"v\":{\"$exists\":%s}}", leaf->low % 2 == 0 ? "true" : "false");
        break;
    case MODEL_CONDITIONS_N: break;
    }
}

void model_filter_print(const struct model_filter *filter, char out[MODEL_FILTER_TEXT_MAX]) {
    char first[MODEL_FILTER_TEXT_MAX / 3] = "", second[MODEL_FILTER_TEXT_MAX / 3] = "";
    print_leaf(&filter->leaves[0], first);
    print_leaf(&filter->leaves[1], second);
    if (filter->join == MODEL_FIRST)
        snprintf(out, MODEL_FILTER_TEXT_MAX, "%s", first);
    else if (filter->join == MODEL_NOT)
        snprintf(out, MODEL_FILTER_TEXT_MAX, "{\"$not\":%s}", first);
    else
        snprintf(out, MODEL_FILTER_TEXT_MAX, "{\"$%s\":[%s,%s]}",
                 filter->join == MODEL_AND ? "and" : "or", first, second);
}
