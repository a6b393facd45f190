#include "engine/tokenizer/bert_normalizer.h"

#include <assert.h>
#include <pthread.h>

#include "engine/base/json.h"
#include "engine/tokenizer/bert_unicode.h"
#include "engine/tokenizer/utf8.h"

static uint8_t bmp_flags[BERT_TABLED];
static pthread_once_t bmp_flags_once = PTHREAD_ONCE_INIT;

static void fill_bmp_flags(void) {
    for (uint32_t c = 0; c < BERT_TABLED; c++)
        bmp_flags[c] = bert_unicode_flags(c);
}

bool bert_normalizer_init(struct bert_normalizer *normalizer, const struct json *json,
                          struct error *err) {
    *normalizer = (struct bert_normalizer){
        .clean_text = true, .set_cjk_apart = true, .strip_accents = true, .lowercase = true};
    if (!json_read_bool(json, "clean_text", &normalizer->clean_text, err) ||
        !json_read_bool(json, "handle_chinese_chars", &normalizer->set_cjk_apart, err) ||
        !json_read_bool(json, "lowercase", &normalizer->lowercase, err))
        return error_wrap(err, "normalizer: ");
    normalizer->strip_accents = normalizer->lowercase; /* null and absent mean this */
    if (!json_read_bool(json, "strip_accents", &normalizer->strip_accents, err))
        return error_wrap(err, "normalizer: ");
    pthread_once(&bmp_flags_once, fill_bmp_flags);
    normalizer->flags = bmp_flags;
    return true;
}

void bert_stream_init(struct bert_stream *stream, const struct bert_normalizer *normalizer,
                      const char *text, size_t begin, size_t end) {
    stream->normalizer = normalizer;
    stream->text = text;
    stream->at = begin;
    stream->end = end;
    stream->row_n = stream->row_sources_n = 0;
    stream->last_source = (struct normal_char){0};
}

/* The last two steps: a mark goes, a capital becomes small. */
static void emit(struct bert_stream *stream, uint32_t codepoint, struct normal_char source) {
    const struct bert_normalizer *normalizer = stream->normalizer;
    uint8_t flags = bert_normalizer_flags(normalizer, codepoint);
    uint32_t lower[BERT_LOWER_MAX];
    size_t lower_n = 1;
    if (normalizer->strip_accents && (flags & BERT_MARK))
        return;
    lower[0] = codepoint;
    if (normalizer->lowercase && (flags & BERT_UPPER))
        lower_n = bert_unicode_lower(codepoint, lower);
    for (size_t i = 0; i < lower_n; i++)
        *stream->out++ = (struct normal_char){lower[i], source.begin, source.end};
}

/* Gives out the row in canonical order: stable, by combining class.
 * Trap: the library hands the bytes out by place, not by mark. The k-th mark in the new order that
 * a decomposition did not insert gets the bytes of the k-th such mark in the old one, and an
 * inserted mark those of whatever stands before it. */
static void row_flush(struct bert_stream *stream) {
    for (size_t i = 1; i < stream->row_n; i++) {
        struct bert_row_char mark = stream->row[i];
        size_t to = i;
        for (; to > 0 && stream->row[to - 1].combining_class > mark.combining_class; to--)
            stream->row[to] = stream->row[to - 1];
        stream->row[to] = mark;
    }
    size_t sources_used = 0;
    for (size_t i = 0; i < stream->row_n; i++) {
        if (!stream->row[i].inserted)
            stream->last_source = stream->row_sources[sources_used++];
        emit(stream, stream->row[i].codepoint, stream->last_source);
    }
    stream->row_n = stream->row_sources_n = 0;
}

/* strip_accents, first half: a code point in its decomposed form. Marks wait in the row. */
static void decompose(struct bert_stream *stream, struct normal_char source) {
    uint32_t parts[BERT_DECOMPOSED_MAX];
    size_t parts_n = bert_unicode_decompose(source.codepoint, parts);
    for (size_t i = 0; i < parts_n; i++) {
        uint8_t combining_class = bert_unicode_combining_class(parts[i]);
        if (combining_class == 0 || stream->row_n == BERT_ROW_MAX)
            row_flush(stream);
        if (combining_class == 0) {
            if (i == 0)
                stream->last_source = source;
            emit(stream, parts[i], stream->last_source);
            continue;
        }
        stream->row[stream->row_n++] = (struct bert_row_char){parts[i], combining_class, i > 0};
        if (i == 0)
            stream->row_sources[stream->row_sources_n++] = source;
    }
}

static void accept(struct bert_stream *stream, struct normal_char source, uint8_t flags) {
    if (stream->normalizer->strip_accents) {
        if (flags & BERT_MOVES) {
            decompose(stream, source);
            return;
        }
        if (stream->row_n)
            row_flush(stream);
        stream->last_source = source;
    }
    emit(stream, source.codepoint, source);
}

/* One code point of the text through all steps. */
static void step(struct bert_stream *stream) {
    const struct bert_normalizer *normalizer = stream->normalizer;
    struct normal_char source = {0, (uint32_t)stream->at, 0}, blank;
    stream->at += utf8_read(stream->text + stream->at, stream->end - stream->at, &source.codepoint);
    source.end = (uint32_t)stream->at;
    uint8_t flags = bert_normalizer_flags(normalizer, source.codepoint);
    if (flags == 0 && stream->row_n == 0) {
        stream->last_source = source;
        *stream->out++ = source;
        return;
    }
    if (normalizer->clean_text && (flags & BERT_CONTROL))
        return;
    if (normalizer->clean_text && (flags & BERT_SPACE)) {
        source.codepoint = ' ';
        flags = BERT_SPACE;
    }
    if (source.codepoint < 0x80 && stream->row_n == 0) { /* stands alone, as most text does */
        stream->last_source = source;
        if (normalizer->lowercase && (flags & BERT_UPPER))
            source.codepoint += 'a' - 'A';
        *stream->out++ = source;
        return;
    }
    if (!normalizer->set_cjk_apart || !(flags & BERT_CJK)) {
        accept(stream, source, flags);
        return;
    }
    blank = source;
    blank.codepoint = ' ';
    accept(stream, blank, BERT_SPACE);
    accept(stream, source, flags);
    accept(stream, blank, BERT_SPACE);
}

size_t bert_stream_next(struct bert_stream *stream, struct normal_char *out, size_t room) {
    /* What one step can give out: a row, and an ideograph or a decomposition behind it. Room for
     * two, because the row that the last step leaves is given out as well. */
    enum { STEP_MAX = (BERT_ROW_MAX + BERT_DECOMPOSED_MAX + 2) * BERT_LOWER_MAX };
    assert(room >= BERT_STRETCH_MIN && BERT_STRETCH_MIN >= 2 * STEP_MAX);
    const struct normal_char *last_start = out + room - 2 * STEP_MAX;
    stream->out = out;
    while (stream->at < stream->end && stream->out <= last_start)
        step(stream);
    if (stream->at == stream->end)
        row_flush(stream);
    return (size_t)(stream->out - out);
}
