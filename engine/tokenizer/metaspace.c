#include "engine/tokenizer/metaspace.h"

#include <string.h>

#include "engine/base/json.h"

/* ---- reading tokenizer.json ---- */

/* The messages of the readers begin with what follows the name of the section. */

static const char supported[] = "Metaspace and a Sequence of WhitespaceSplit and Metaspace";

/* Files of before 2024 have add_prefix_space instead of prepend_scheme; later ones have both. */
static bool read_prepend(struct metaspace *metaspace, const struct json *json, struct error *err) {
    static const char *const names[] = {"always", "first", "never"};
    const char *scheme = NULL;
    bool add_prefix_space = true;
    if (!json_read_string(json, "prepend_scheme", &scheme, err) ||
        !json_read_bool(json, "add_prefix_space", &add_prefix_space, err))
        return error_wrap(err, ": ");
    if (!scheme) {
        metaspace->prepend = add_prefix_space ? METASPACE_ALWAYS : METASPACE_NEVER;
        return true;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(scheme, names[i]) != 0)
            continue;
        metaspace->prepend = (enum metaspace_prepend)i;
        if (!add_prefix_space && metaspace->prepend != METASPACE_NEVER)
            return error_set(err, ERROR_INVALID,
                             ".add_prefix_space: false contradicts prepend_scheme \"%s\"", scheme);
        return true;
    }
    return error_set(err, ERROR_INVALID,
                     ".prepend_scheme: must be \"always\", \"first\" or \"never\", found \"%s\"",
                     scheme);
}

static bool read_metaspace(struct metaspace *metaspace, const struct json *json,
                           struct error *err) {
    const char *replacement = "\u2581";
    metaspace->cuts = true;
    if (!json_read_string(json, "replacement", &replacement, err) ||
        !json_read_bool(json, "split", &metaspace->cuts, err))
        return error_wrap(err, ": ");
    if (strcmp(replacement, "\u2581") != 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         ".replacement: \"%s\" is not supported, only \"\u2581\"", replacement);
    return read_prepend(metaspace, json, err);
}

/* The type of a section that must be an object; NULL after an error. */
static const char *type_of(const struct json *json, struct error *err) {
    const char *type = NULL;
    if (json_kind_of(json) != JSON_KIND_OBJECT)
        error_set(err, ERROR_INVALID, ": must be an object, found %s",
                  json_kind_name(json_kind_of(json)));
    else if (!json_read_string(json, "type", &type, err))
        error_wrap(err, ": ");
    else if (!type)
        error_set(err, ERROR_INVALID, ".type: missing; %s are supported", supported);
    return type;
}

static bool refuse_type(const char *type, struct error *err) {
    return error_set(err, ERROR_UNSUPPORTED,
                     ".type: \"%s\" is not supported with Unigram here, only %s", type, supported);
}

static bool read_sequence(struct metaspace *metaspace, const struct json *list, struct error *err) {
    static const char *const expected[] = {"WhitespaceSplit", "Metaspace"};
    enum { STEPS_N = 2 };
    if (json_count(list) != STEPS_N || json_kind_of(list) != JSON_KIND_ARRAY)
        return error_set(err, ERROR_UNSUPPORTED,
                         "pre_tokenizer.pretokenizers: only %s are supported", supported);
    for (size_t i = 0; i < STEPS_N; i++) {
        const char *type = type_of(json_at(list, i), err);
        if (!type || (strcmp(type, expected[i]) != 0 && !refuse_type(type, err)))
            return error_wrap(err, "pre_tokenizer.pretokenizers[%zu]", i);
    }
    metaspace->splits_at_white = true;
    return read_metaspace(metaspace, json_at(list, 1), err) ||
           error_wrap(err, "pre_tokenizer.pretokenizers[1]");
}

bool metaspace_init(struct metaspace *metaspace, const struct json *json, enum xlmr_blanks blanks,
                    struct error *err) {
    *metaspace = (struct metaspace){.blanks = blanks};
    if (json_kind_of(json) == JSON_KIND_NULL)
        return error_set(err, ERROR_UNSUPPORTED,
                         "pre_tokenizer: missing; with Unigram, %s are supported", supported);
    const char *type = type_of(json, err);
    if (type && strcmp(type, "Sequence") == 0)
        return read_sequence(metaspace, json_get(json, "pretokenizers"), err);
    if (!type || (strcmp(type, "Metaspace") != 0 && !refuse_type(type, err)) ||
        !read_metaspace(metaspace, json, err))
        return error_wrap(err, "pre_tokenizer");
    return true;
}

/* ---- cutting ---- */

/* A text, or what stands between white space where that is split at. */
struct cutter {
    const struct metaspace *metaspace;
    struct lattice *lattice;
    bool has_begun;
    size_t blanks_n;          /* in a row, not cut yet */
    struct normal_char blank; /* which of them the mark will stand for */
};

static void begin_part(struct cutter *cutter, const struct normal_char *first) {
    enum metaspace_prepend prepend = cutter->metaspace->prepend;
    bool wants_mark =
        prepend == METASPACE_ALWAYS || (prepend == METASPACE_FIRST && first->begin == 0);
    if (wants_mark && first->codepoint != XLMR_MARK)
        lattice_add(cutter->lattice, XLMR_MARK, first->begin, first->end);
    cutter->has_begun = true;
}

static inline void cut_char(struct cutter *cutter, const struct normal_char *c) {
    if (!cutter->has_begun)
        begin_part(cutter, c);
    else if (c->codepoint == XLMR_MARK && cutter->metaspace->cuts)
        lattice_end_word(cutter->lattice);
    lattice_add(cutter->lattice, c->codepoint, c->begin, c->end);
}

static void end_part(struct cutter *cutter) {
    lattice_end_word(cutter->lattice);
    cutter->has_begun = false;
}

/* The blanks so far: one mark, or the end of a part. */
static void cut_blanks(struct cutter *cutter) {
    const struct metaspace *metaspace = cutter->metaspace;
    bool is_mark = cutter->blanks_n > 1 && metaspace->blanks == XLMR_BLANKS_TO_MARK;
    struct normal_char mark = {XLMR_MARK, cutter->blank.begin, cutter->blank.end};
    if (cutter->blanks_n == 0)
        return;
    cutter->blanks_n = 0;
    if (metaspace->splits_at_white && !is_mark)
        end_part(cutter);
    else
        cut_char(cutter, &mark);
}

static inline void cut_any(struct cutter *cutter, const struct normal_char *c) {
    if (c->codepoint == ' ') {
        if (cutter->metaspace->blanks == XLMR_BLANKS_STAY)
            cut_blanks(cutter);
        cutter->blank = *c; /* of several that become one, the last */
        cutter->blanks_n++;
        return;
    }
    cut_blanks(cutter);
    if (cutter->metaspace->splits_at_white && xlmr_is_white(c->codepoint))
        end_part(cutter);
    else
        cut_char(cutter, c);
}

void metaspace_cut(const struct metaspace *metaspace, struct xlmr_stream *stream,
                   struct lattice *lattice) {
    struct normal_char chars[XLMR_STRETCH];
    struct cutter cutter = {.metaspace = metaspace, .lattice = lattice};
    for (size_t n; (n = xlmr_stream_next(stream, chars)) > 0;) {
        for (size_t i = 0; i < n; i++)
            cut_any(&cutter, &chars[i]);
        if (token_sink_full(lattice->sink))
            return;
    }
    cut_blanks(&cutter);
    lattice_end_word(lattice);
}
