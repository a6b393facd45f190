#include "query/encoding_print.h"

#include <math.h>
#include <stdio.h>

#include "engine/base/json.h"

static void print_number(double number, struct buf *out) {
    char text[32];
    int len = snprintf(text, sizeof text, "%.9g", isfinite(number) ? number : 0);
    buf_append(out, text, (size_t)len);
}

void encoding_print_floats(const float *values, size_t n, struct buf *out) {
    buf_append(out, "[", 1);
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_append(out, ",", 1);
        print_number((double)values[i], out);
    }
    buf_append(out, "]", 1);
}

void encoding_print_multi(const struct encoding *encoding, uint32_t dim, struct buf *out) {
    buf_append(out, "[", 1);
    for (size_t i = 0; i < encoding->multi_n; i++) {
        if (i)
            buf_append(out, ",", 1);
        encoding_print_floats(encoding->multi + i * dim, dim, out);
    }
    buf_append(out, "]", 1);
}

void encoding_print_text(const char *text, size_t len, struct buf *out) {
    struct json *string = json_new_string(text, len);
    json_print(string, out);
    json_release(string);
}

static void print_lexical(const struct lexical *lexical, const struct tokenizer *by_text,
                          struct buf *out) {
    struct buf text = {0};
    buf_append(out, "{", 1);
    for (size_t i = 0; i < lexical->n; i++) {
        const struct lexical_term *term = &lexical->terms[i];
        buf_clear(&text);
        if (term->word)
            buf_append(&text, term->word, term->word_len);
        else if (by_text)
            tokenizer_decode_token(by_text, term->id, &text);
        else
            buf_format(&text, "%u", term->id);
        if (i)
            buf_append(out, ",", 1);
        encoding_print_text(text.data ? text.data : "", text.len, out);
        buf_append(out, ":", 1);
        print_number((double)term->weight, out);
    }
    buf_append(out, "}", 1);
    buf_done(&text);
}

void encoding_print(const struct encoding *encoding, const struct model_info *info, unsigned modes,
                    const struct tokenizer *by_text, struct buf *out) {
    if (modes & ENCODE_DENSE) {
        buf_text(out, "\"dense\":");
        encoding_print_floats(encoding->dense, info->dense_dim, out);
        buf_append(out, ",", 1);
    }
    if (modes & ENCODE_LEXICAL) {
        buf_text(out, "\"sparse\":");
        print_lexical(&encoding->lexical, by_text, out);
        buf_append(out, ",", 1);
    }
    if (modes & ENCODE_MULTI) {
        buf_text(out, "\"multi\":");
        encoding_print_multi(encoding, info->multi_dim, out);
        buf_append(out, ",", 1);
    }
    buf_format(out, "\"tokens\":%u", encoding->tokens_n);
}

void encoding_print_score(const struct score *score, const struct model_info *info,
                          struct buf *out) {
    const struct {
        const char *name;
        float value;
        bool known;
    } members[] = {
        {"dense", score->dense, true},
        {"sparse", score->sparse, info->has_sparse_head},
        {"colbert", score->colbert, true},
        {"sparse+dense", score->sparse_dense, info->has_sparse_head},
        {"colbert+sparse+dense", score->colbert_sparse_dense, info->has_sparse_head},
    };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        buf_format(out, "%s\"%s\":", i ? "," : "", members[i].name);
        if (members[i].known)
            print_number((double)members[i].value, out);
        else
            buf_text(out, "null");
    }
}
