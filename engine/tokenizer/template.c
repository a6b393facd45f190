#include "engine/tokenizer/template.h"

#include <string.h>

#include "engine/base/json.h"
#include "engine/tokenizer/vocabulary.h"

static bool add_item(struct template *template, struct template_item item, struct error *err) {
    if (template->n == TEMPLATE_ITEMS_MAX)
        return error_set(err, ERROR_LIMIT, "more than %d items", TEMPLATE_ITEMS_MAX);
    template->items[template->n++] = item;
    template->specials_n += item.what == TEMPLATE_SPECIAL;
    return true;
}

/* The ids of a special token that the template names: post_processor.special_tokens.NAME.ids. */
static bool add_special(struct template *template, const struct json *specials, const char *name,
                        uint8_t type_id, const struct vocabulary *vocabulary, struct error *err) {
    const struct json *ids = json_get(json_get(specials, name), "ids");
    if (json_count(ids) == 0 || json_kind_of(ids) != JSON_KIND_ARRAY)
        return error_set(err, ERROR_INVALID, "special_tokens has no ids for \"%s\"", name);
    for (size_t i = 0; i < json_count(ids); i++) {
        const struct json *id = json_at(ids, i);
        double number = json_kind_of(id) == JSON_KIND_NUMBER ? json_number_of(id) : -1;
        if (!(number >= 0 && number < (double)vocabulary->n) || number != (double)(uint32_t)number)
            return error_set(err, ERROR_INVALID,
                             "special_tokens: the ids of \"%s\" must be ids of the vocabulary, "
                             "0 to %zu",
                             name, vocabulary->n - 1);
        struct template_item item = {TEMPLATE_SPECIAL, type_id, (uint32_t)number};
        if (!add_item(template, item, err))
            return false;
    }
    return true;
}

/* An item is {"SpecialToken": {"id", "type_id"}} or {"Sequence": {"id", "type_id"}}. */
static bool read_item(struct template *template, const struct json *json,
                      const struct json *specials, const struct vocabulary *vocabulary,
                      struct error *err) {
    const struct json *special = json_get(json, "SpecialToken");
    const struct json *sequence = json_get(json, "Sequence");
    const struct json *inner = special ? special : sequence;
    const char *name = NULL;
    uint32_t type_id = 0;
    if (!json_read_string(inner, "id", &name, err) ||
        !json_read_u32(inner, "type_id", 0, UINT8_MAX, &type_id, err))
        return false;
    if (!name)
        return error_set(err, ERROR_INVALID,
                         "must be {\"SpecialToken\": {\"id\": ...}} or {\"Sequence\": ...}");
    if (special)
        return add_special(template, specials, name, (uint8_t)type_id, vocabulary, err);
    bool is_a = strcmp(name, "A") == 0;
    if (!is_a && strcmp(name, "B") != 0)
        return error_set(err, ERROR_INVALID, "Sequence \"%s\" is neither \"A\" nor \"B\"", name);
    struct template_item item = {is_a ? TEMPLATE_A : TEMPLATE_B, (uint8_t)type_id, 0};
    return add_item(template, item, err);
}

static bool read_template(struct template *template, const struct json *json, const char *field,
                          const struct vocabulary *vocabulary, struct error *err) {
    const struct json *items = json_get(json, field), *specials = json_get(json, "special_tokens");
    size_t texts_n[3] = {0};
    if (json_kind_of(items) != JSON_KIND_ARRAY)
        return error_set(err, ERROR_INVALID, "post_processor.%s: must be an array, found %s", field,
                         json_kind_name(json_kind_of(items)));
    for (size_t i = 0; i < json_count(items); i++)
        if (!read_item(template, json_at(items, i), specials, vocabulary, err))
            return error_wrap(err, "post_processor.%s[%zu]: ", field, i);
    for (size_t i = 0; i < template->n; i++)
        texts_n[template->items[i].what]++;
    size_t b_n = strcmp(field, "pair") == 0;
    if (texts_n[TEMPLATE_A] != 1 || texts_n[TEMPLATE_B] != b_n)
        return error_set(err, ERROR_INVALID,
                         "post_processor.%s: must hold Sequence \"A\" once and \"B\" %s", field,
                         b_n ? "once" : "never");
    return true;
}

/* BertProcessing's "cls" and "sep" are ["[CLS]", 101]. */
static bool read_bert_token(const struct json *json, const char *field,
                            const struct vocabulary *vocabulary, uint32_t *id_out,
                            struct error *err) {
    const struct json *token = json_at(json_get(json, field), 0);
    size_t len = 0;
    const char *text = json_kind_of(token) == JSON_KIND_STRING ? json_string_of(token, &len) : NULL;
    const uint32_t *id = text ? vocabulary_find(vocabulary, text, len) : NULL;
    if (!id)
        return error_set(err, ERROR_INVALID,
                         "post_processor.%s: must be [\"TOKEN\", id] with a token of the "
                         "vocabulary",
                         field);
    *id_out = *id;
    return true;
}

static void set_bert(struct templates *templates, uint32_t cls, uint32_t sep) {
    struct template_item items[] = {{TEMPLATE_SPECIAL, 0, cls},
                                    {TEMPLATE_A, 0, 0},
                                    {TEMPLATE_SPECIAL, 0, sep},
                                    {TEMPLATE_B, 1, 0},
                                    {TEMPLATE_SPECIAL, 1, sep}};
    memcpy(templates->single.items, items, 3 * sizeof *items);
    memcpy(templates->pair.items, items, 5 * sizeof *items);
    templates->single.n = 3;
    templates->single.specials_n = 2;
    templates->pair.n = 5;
    templates->pair.specials_n = 3;
}

static void set_bare(struct templates *templates) {
    templates->single = (struct template){.items = {{TEMPLATE_A, 0, 0}}, .n = 1};
    templates->pair = (struct template){.items = {{TEMPLATE_A, 0, 0}, {TEMPLATE_B, 1, 0}}, .n = 2};
}

bool templates_init(struct templates *templates, const struct json *json,
                    const struct vocabulary *vocabulary, struct error *err) {
    const char *type = NULL;
    *templates = (struct templates){0};
    if (json_kind_of(json) == JSON_KIND_NULL) {
        set_bare(templates);
        return true;
    }
    if (json_kind_of(json) != JSON_KIND_OBJECT)
        return error_set(err, ERROR_INVALID, "post_processor: must be an object, found %s",
                         json_kind_name(json_kind_of(json)));
    if (!json_read_string(json, "type", &type, err))
        return error_wrap(err, "post_processor: ");
    if (type && strcmp(type, "TemplateProcessing") == 0)
        return read_template(&templates->single, json, "single", vocabulary, err) &&
               read_template(&templates->pair, json, "pair", vocabulary, err);
    if (type && strcmp(type, "BertProcessing") == 0) {
        uint32_t cls = 0, sep = 0;
        if (!read_bert_token(json, "cls", vocabulary, &cls, err) ||
            !read_bert_token(json, "sep", vocabulary, &sep, err))
            return false;
        set_bert(templates, cls, sep);
        return true;
    }
    return error_set(err, ERROR_UNSUPPORTED,
                     "post_processor.type: \"%s\" is not supported, only TemplateProcessing and "
                     "BertProcessing",
                     type ? type : "(missing)");
}
