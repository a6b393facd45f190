#include "engine/tokenizer/xlmr_normalizer.h"

#include <string.h>

#include "engine/base/json.h"
#include "engine/tokenizer/utf8.h"

/* ---- reading tokenizer.json ---- */

/* The messages of the readers begin with what follows the name of the section. */

static bool read_precompiled(struct xlmr_normalizer *normalizer, const struct json *json,
                             struct error *err) {
    const struct json *base64 = json_get(json, "precompiled_charsmap");
    size_t len = 0;
    if (json_kind_of(base64) != JSON_KIND_STRING)
        return error_set(err, ERROR_INVALID, ".precompiled_charsmap: must be a string, found %s",
                         json_kind_name(json_kind_of(base64)));
    const char *text = json_string_of(base64, &len);
    charsmap_done(&normalizer->charsmap);
    if (!charsmap_init(&normalizer->charsmap, text, len, err))
        return error_wrap(err, ".precompiled_charsmap: ");
    return true;
}

static bool read_strip(struct xlmr_normalizer *normalizer, const struct json *json,
                       struct error *err) {
    normalizer->strip_left = normalizer->strip_right = true;
    return (json_read_bool(json, "strip_left", &normalizer->strip_left, err) &&
            json_read_bool(json, "strip_right", &normalizer->strip_right, err)) ||
           error_wrap(err, ": ");
}

static bool read_replace(struct xlmr_normalizer *normalizer, const struct json *json,
                         struct error *err) {
    const char *regex = "", *content = "";
    if (!json_read_string(json_get(json, "pattern"), "Regex", &regex, err) ||
        !json_read_string(json, "content", &content, err))
        return error_wrap(err, ": ");
    bool is_mark = strcmp(content, "\u2581") == 0;
    if (strcmp(regex, " {2,}") != 0 || (!is_mark && strcmp(content, " ") != 0))
        return error_set(err, ERROR_UNSUPPORTED,
                         ": Replace is supported only for the Regex \" {2,}\" by \" \" or "
                         "\"\u2581\", found \"%s\" by \"%s\"",
                         regex, content);
    normalizer->blanks = is_mark ? XLMR_BLANKS_TO_MARK : XLMR_BLANKS_TO_BLANK;
    return true;
}

/* steps_n: how many of the known steps may not come any more. */
static bool read_step(struct xlmr_normalizer *normalizer, const struct json *json, size_t *steps_n,
                      struct error *err) {
    static const struct {
        const char *type;
        bool (*read)(struct xlmr_normalizer *, const struct json *, struct error *);
    } steps[] = {
        {"Precompiled", read_precompiled}, {"Strip", read_strip}, {"Replace", read_replace}};
    const char *type = NULL;
    if (json_kind_of(json) != JSON_KIND_OBJECT)
        return error_set(err, ERROR_INVALID, ": must be an object, found %s",
                         json_kind_name(json_kind_of(json)));
    if (!json_read_string(json, "type", &type, err))
        return error_wrap(err, ": ");
    if (!type)
        return error_set(err, ERROR_INVALID, ".type: missing");
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (strcmp(steps[i].type, type) != 0)
            continue;
        if (i < *steps_n)
            return error_set(err, ERROR_UNSUPPORTED,
                             ".type: \"%s\" is supported only once, and in the order Precompiled, "
                             "Strip, Replace",
                             type);
        *steps_n = i + 1;
        return steps[i].read(normalizer, json, err);
    }
    return error_set(err, ERROR_UNSUPPORTED,
                     ".type: \"%s\" is not supported with Unigram, only Precompiled, Strip and "
                     "Replace",
                     type);
}

bool xlmr_normalizer_init(struct xlmr_normalizer *normalizer, const struct json *json,
                          struct error *err) {
    const char *type = "";
    size_t steps_n = 0;
    *normalizer = (struct xlmr_normalizer){0};
    if (!charsmap_init(&normalizer->charsmap, NULL, 0, err))
        return false;
    if (json_kind_of(json) == JSON_KIND_NULL)
        return true;
    if (!json_read_string(json, "type", &type, err))
        return error_wrap(err, "normalizer: ");
    if (strcmp(type, "Sequence") != 0)
        return read_step(normalizer, json, &steps_n, err) || error_wrap(err, "normalizer");
    const struct json *list = json_get(json, "normalizers");
    if (json_kind_of(list) != JSON_KIND_ARRAY)
        return error_set(err, ERROR_INVALID, "normalizer.normalizers: must be an array, found %s",
                         json_kind_name(json_kind_of(list)));
    for (size_t i = 0; i < json_count(list); i++)
        if (!read_step(normalizer, json_at(list, i), &steps_n, err))
            return error_wrap(err, "normalizer.normalizers[%zu]", i);
    return true;
}

void xlmr_normalizer_done(struct xlmr_normalizer *normalizer) {
    charsmap_done(&normalizer->charsmap);
}

/* ---- the text, code point by code point ---- */

/* The code point at stream->at + skip, behind `before`; at the end, one that joins nothing. */
static struct xlmr_read read_next(const struct xlmr_stream *stream, size_t skip,
                                  struct xlmr_read before) {
    size_t at = stream->at + skip;
    if (at >= stream->end)
        return (struct xlmr_read){.flags = GRAPHEME_ALONE};
    uint32_t codepoint;
    size_t bytes_n = utf8_read(stream->text + at, stream->end - at, &codepoint);
    uint8_t flags = charsmap_flags(&stream->normalizer->charsmap, codepoint);
    bool joins = grapheme_joins(before.codepoint, before.flags, codepoint, flags);
    return (struct xlmr_read){codepoint, (uint8_t)bytes_n, flags, joins};
}

void xlmr_stream_init(struct xlmr_stream *stream, const struct xlmr_normalizer *normalizer,
                      const char *text, size_t begin, size_t end) {
    *stream = (struct xlmr_stream){
        .normalizer = normalizer,
        .text = text,
        .at = begin,
        .end = end,
        .source_at = begin,
        .left_is_done = !normalizer->strip_left,
    };
    stream->next = read_next(stream, 0, (struct xlmr_read){.flags = GRAPHEME_ALONE});
}

/* Goes on to the next code point of the text that something stands for. */
static void take_source(struct xlmr_stream *stream) {
    uint32_t codepoint;
    size_t at = stream->source_at;
    size_t bytes_n = utf8_read(stream->text + at, stream->end - at, &codepoint);
    stream->source = (struct normal_char){codepoint, (uint32_t)at, (uint32_t)(at + bytes_n)};
    stream->source_at = at + bytes_n;
}

/* Gives out what was held, then holds the new code point; its range is the last source. */
static void put(struct xlmr_stream *stream, uint32_t codepoint, struct normal_char **out) {
    if (stream->holds)
        *(*out)++ = stream->held;
    stream->held = (struct normal_char){codepoint, stream->source.begin, stream->source.end};
    stream->holds = true;
    stream->has_begun = true;
}

static void release_held(struct xlmr_stream *stream, struct normal_char **out) {
    if (stream->holds)
        *(*out)++ = stream->held;
    stream->holds = false;
}

/* `old_n` code points of the text become those of `text`. Code points are paired off from the left;
 * a surplus of new ones stands for the last old one, a surplus of old ones is passed over. */
static void replace(struct xlmr_stream *stream, size_t old_n, const char *text, size_t len,
                    struct normal_char **out) {
    size_t new_n = 0;
    for (uint32_t codepoint; len > 0; new_n++) {
        size_t bytes_n = utf8_read(text, len, &codepoint);
        if (new_n < old_n)
            take_source(stream);
        put(stream, codepoint, out);
        text += bytes_n;
        len -= bytes_n;
    }
    bool has_surplus = new_n > old_n;
    if (new_n == 0 && !stream->has_begun)
        return; /* the oddity at the beginning: the text's side stays where it is */
    for (size_t i = new_n; i < old_n; i++) {
        take_source(stream);
        if (i == 0 && stream->holds) { /* the oddity behind a surplus */
            stream->held.begin = stream->source.begin;
            stream->held.end = stream->source.end;
        }
    }
    if (!has_surplus)
        release_held(stream, out);
}

/* The code point `stream->next` by itself. */
static void map_one(struct xlmr_stream *stream, struct normal_char **out) {
    char text[UTF8_BYTES_MAX];
    size_t len = utf8_write(stream->next.codepoint, text);
    const char *found = NULL;
    if (stream->next.flags & CHARSMAP_CHANGES)
        found = charsmap_find(&stream->normalizer->charsmap, text, len);
    replace(stream, 1, found ? found : text, found ? strlen(found) : len, out);
}

/* The cluster that begins at stream->next, if it is short and the charsmap has it as a whole.
 * behind_out: the code point behind it. */
static bool map_cluster(struct xlmr_stream *stream, struct xlmr_read *behind_out,
                        struct normal_char **out) {
    enum { CLUSTER_BYTES_MAX = 5 };
    char text[CLUSTER_BYTES_MAX + UTF8_BYTES_MAX];
    size_t skip = 0, n = 0, len = 0;
    struct xlmr_read read = stream->next;
    do {
        len += utf8_write(read.codepoint, text + len);
        skip += read.bytes_n;
        read = read_next(stream, skip, read);
        n++;
    } while (read.joins && len <= CLUSTER_BYTES_MAX);
    const char *found =
        len <= CLUSTER_BYTES_MAX ? charsmap_find(&stream->normalizer->charsmap, text, len) : NULL;
    if (!found)
        return false;
    replace(stream, n, found, strlen(found), out);
    stream->at += skip;
    *behind_out = read;
    return true;
}

/* Reads one code point, or a whole cluster, and writes what is ready of its replacement. */
static inline void step(struct xlmr_stream *stream, struct normal_char **out) {
    struct xlmr_read now = stream->next, behind = read_next(stream, now.bytes_n, now);
    bool may_be_whole = behind.joins && !now.joins;
    bool is_plain = !may_be_whole && !(now.flags & CHARSMAP_CHANGES);
    if (is_plain && !stream->holds && stream->source_at == stream->at) {
        stream->source = (struct normal_char){now.codepoint, (uint32_t)stream->at,
                                              (uint32_t)(stream->at + now.bytes_n)};
        *(*out)++ = stream->source;
        stream->source_at = stream->at += now.bytes_n;
        stream->has_begun = true;
        stream->next = behind;
        return;
    }
    if (!may_be_whole || !map_cluster(stream, &behind, out)) {
        map_one(stream, out);
        stream->at += now.bytes_n;
    }
    stream->next = behind;
}

enum { STEP_MAX = CHARSMAP_REPLACEMENT_MAX + 1 }; /* code points that one step writes */

/* Fills out as far as whole steps fit. */
static size_t fill(struct xlmr_stream *stream, struct normal_char *out) {
    struct normal_char *place = out;
    while (stream->at < stream->end && place - out < XLMR_STRETCH - STEP_MAX)
        step(stream, &place);
    if (stream->at >= stream->end)
        release_held(stream, &place);
    return (size_t)(place - out);
}

/* ---- Strip ---- */

/* Whether something that is no white space comes out of the rest of the text. White space is looked
 * through once: content_at, where content was found, answers until it is reached. */
static bool has_content(struct xlmr_stream *stream) {
    struct normal_char chars[STEP_MAX];
    struct xlmr_stream ahead = *stream;
    if (stream->at <= stream->content_at)
        return true;
    while (ahead.at < ahead.end || ahead.holds) {
        struct normal_char *place = chars;
        size_t at = ahead.at;
        if (at < ahead.end)
            step(&ahead, &place);
        else
            release_held(&ahead, &place);
        for (const struct normal_char *c = chars; c < place; c++)
            if (!xlmr_is_white(c->codepoint)) {
                stream->content_at = at;
                return true;
            }
    }
    return false;
}

static size_t strip(struct xlmr_stream *stream, struct normal_char *out, size_t n) {
    size_t skip = 0;
    if (!stream->left_is_done) {
        while (skip < n && xlmr_is_white(out[skip].codepoint))
            skip++;
        stream->left_is_done = skip < n;
        memmove(out, out + skip, (n - skip) * sizeof *out);
        n -= skip;
    }
    if (n > 0 && stream->normalizer->strip_right && xlmr_is_white(out[n - 1].codepoint) &&
        !has_content(stream)) {
        stream->at = stream->end;
        stream->holds = false;
        while (n > 0 && xlmr_is_white(out[n - 1].codepoint))
            n--;
    }
    return n;
}

size_t xlmr_stream_next(struct xlmr_stream *stream, struct normal_char *out) {
    while (stream->at < stream->end || stream->holds) {
        size_t n = strip(stream, out, fill(stream, out));
        if (n > 0)
            return n;
    }
    return 0;
}
