/* template.h - the special tokens around a text or a pair: tokenizer.json's post_processor.
 *
 * Kinds: TemplateProcessing, BertProcessing ([CLS] A [SEP], with B: B [SEP]), and none. */
#ifndef TERCET_TOKENIZER_TEMPLATE_H
#define TERCET_TOKENIZER_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

struct json;
struct vocabulary;

enum template_what { TEMPLATE_SPECIAL, TEMPLATE_A, TEMPLATE_B };

struct template_item {
    enum template_what what;
    uint8_t type_id;
    uint32_t id; /* of a special token */
};

/* The longest in use has 7 (XLM-R's pair); room for models that put in a prompt. */
enum { TEMPLATE_ITEMS_MAX = 64 };

struct template {
    struct template_item items[TEMPLATE_ITEMS_MAX];
    size_t n, specials_n;
};

struct templates {
    struct template single, pair; /* single has A once, pair A once and B once */
};

/* json: the section post_processor, which may be null. */
bool templates_init(struct templates *templates, const struct json *json,
                    const struct vocabulary *vocabulary, struct error *err);

#endif
