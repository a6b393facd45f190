#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "engine/weights/table.h"

/* File: OFFSET 0, 8 bytes: header length n, little-endian; 8, n bytes: JSON object, name ->
 * {dtype, shape, data_offsets: [begin, end)}; 8 + n: the data, which the tensors cover without gap
 * or overlap. "__metadata__" in the header is free text and passed over. */
enum { LENGTH_BYTES = 8 };
/* The format's own limit for the header; one of 100,000 tensors has 12 MB. */
enum { HEADER_BYTES_MAX = 100 * 1000 * 1000 };

static const struct dtype {
    const char *name;
    unsigned bits;
    int read_as; /* enum weights_dtype, or -1: known and passed over */
} dtypes[] = {
    {"F32", 32, WEIGHTS_F32}, {"F16", 16, WEIGHTS_F16}, {"BF16", 16, WEIGHTS_BF16},
    {"I8", 8, WEIGHTS_I8},    {"BOOL", 8, -1},          {"U8", 8, -1},
    {"F8_E4M3", 8, -1},       {"F8_E5M2", 8, -1},       {"I16", 16, -1},
    {"U16", 16, -1},          {"I32", 32, -1},          {"U32", 32, -1},
    {"F64", 64, -1},          {"I64", 64, -1},          {"U64", 64, -1},
};

static const struct dtype *dtype_of(const char *name) {
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return &dtypes[i];
    return NULL;
}

/* ---- the header ---- */

/* A JSON number that counts bytes or rows: whole, not negative, exact in a double. */
static bool natural_of(const struct json *value, uint64_t *out) {
    enum { EXACT_BITS = 53 };
    if (json_kind_of(value) != JSON_KIND_NUMBER)
        return false;
    double number = json_number_of(value);
    if (!(number >= 0 && number <= (double)(1ULL << EXACT_BITS)) || number != floor(number))
        return false;
    *out = (uint64_t)number;
    return true;
}

static bool read_shape(const struct json *shape, struct entry *entry, const struct dtype *dtype,
                       uint64_t *bytes_out, struct error *err) {
    struct weights_tensor *tensor = &entry->tensor;
    uint64_t count = 1, bits;
    tensor->rank = json_count(shape);
    if (json_kind_of(shape) != JSON_KIND_ARRAY)
        return error_set(err, ERROR_CORRUPT, "tensor \"%s\": no shape", entry->name);
    if (tensor->rank > WEIGHTS_RANK_MAX)
        return error_set(err, ERROR_UNSUPPORTED, "tensor \"%s\": %zu dimensions, at most %d",
                         entry->name, tensor->rank, WEIGHTS_RANK_MAX);
    for (size_t i = 0; i < tensor->rank; i++) {
        uint64_t size;
        if (!natural_of(json_at(shape, i), &size))
            return error_set(err, ERROR_CORRUPT,
                             "tensor \"%s\": dimension %zu of its shape is not a natural number",
                             entry->name, i);
        if (__builtin_mul_overflow(count, size, &count))
            return error_set(err, ERROR_CORRUPT,
                             "tensor \"%s\": its shape has more elements than 64 bits count",
                             entry->name);
        tensor->shape[i] = (size_t)size;
    }
    if (__builtin_mul_overflow(count, dtype->bits, &bits))
        return error_set(err, ERROR_CORRUPT,
                         "tensor \"%s\": its shape has more bytes than 64 bits count", entry->name);
    *bytes_out = bits / 8;
    return true;
}

static bool read_entry(struct weights *weights, const struct json *header, struct entry *entry,
                       struct error *err) {
    const char *dtype_name = NULL;
    if (json_kind_of(header) != JSON_KIND_OBJECT)
        return error_set(err, ERROR_CORRUPT, "tensor \"%s\": must be an object, found %s",
                         entry->name, json_kind_name(json_kind_of(header)));
    if (!json_read_string(header, "dtype", &dtype_name, err))
        return error_wrap(err, "tensor \"%s\": ", entry->name);
    const struct dtype *dtype = dtype_name ? dtype_of(dtype_name) : NULL;
    if (!dtype)
        return error_set(err, ERROR_UNSUPPORTED, "tensor \"%s\": unknown dtype \"%s\"", entry->name,
                         dtype_name ? dtype_name : "");
    uint64_t bytes = 0;
    if (!read_shape(json_get(header, "shape"), entry, dtype, &bytes, err))
        return false;
    const struct json *offsets = json_get(header, "data_offsets");
    if (json_count(offsets) != 2 || !natural_of(json_at(offsets, 0), &entry->begin) ||
        !natural_of(json_at(offsets, 1), &entry->end))
        return error_set(err, ERROR_CORRUPT,
                         "tensor \"%s\": data_offsets are not two natural numbers", entry->name);
    if (entry->begin > entry->end)
        return error_set(err, ERROR_CORRUPT,
                         "tensor \"%s\": data_offsets begin at %" PRIu64 " and end at %" PRIu64,
                         entry->name, entry->begin, entry->end);
    if (entry->end > weights->data_len)
        return error_set(err, ERROR_CORRUPT,
                         "tensor \"%s\": ends at byte %" PRIu64 " of the data, which has %zu (the "
                         "file is cut, or its header wrong)",
                         entry->name, entry->end, weights->data_len);
    if (entry->end - entry->begin != bytes)
        return error_set(err, ERROR_CORRUPT,
                         "tensor \"%s\": shape and dtype make %" PRIu64
                         " bytes, data_offsets %" PRIu64,
                         entry->name, bytes, entry->end - entry->begin);
    entry->dtype = dtype->name;
    entry->readable = dtype->read_as >= 0;
    if (entry->readable)
        entry->tensor.dtype = (enum weights_dtype)dtype->read_as;
    entry->tensor.data = weights->data + entry->begin;
    return true;
}

/* The JSON library keeps the last of several members of one name without a word, so names are
 * counted here. The text is known to be a JSON object; names are compared as they are written. */
static bool names_are_distinct(const char *text, size_t len, struct error *err) {
    struct map seen = {0};
    size_t depth = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < len; i++) {
        if (text[i] == '{' || text[i] == '[')
            depth++;
        else if (text[i] == '}' || text[i] == ']')
            depth--;
        if (text[i] != '"')
            continue;
        size_t begin = ++i;
        while (text[i] != '"')
            i += text[i] == '\\' ? 2 : 1;
        size_t next = i + 1;
        while (next < len && strchr(" \t\r\n", text[next]) && text[next])
            next++;
        bool is_new = true;
        if (depth == 1 && next < len && text[next] == ':')
            map_put(&seen, text + begin, i - begin, 0, &is_new);
        if (!is_new)
            ok = error_set(err, ERROR_CORRUPT, "tensor \"%.*s\" stands twice in the header",
                           (int)(i - begin), text + begin);
    }
    map_done(&seen);
    return ok;
}

static int compare_begin(const void *a, const void *b) {
    const struct entry *x = *(const struct entry *const *)a, *y = *(const struct entry *const *)b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* The tensors, in the order of their bytes, must cover the data exactly. */
static bool check_cover(struct weights *weights, struct error *err) {
    struct entry **sorted = ARENA_NEW(&weights->arena, struct entry *, weights->n);
    for (size_t i = 0; i < weights->n; i++)
        sorted[i] = &weights->entries[i];
    qsort(sorted, weights->n, sizeof *sorted, compare_begin);
    uint64_t at = 0;
    const char *before = "the header";
    for (size_t i = 0; i < weights->n; i++) {
        if (sorted[i]->begin < at)
            return error_set(err, ERROR_CORRUPT, "tensors \"%s\" and \"%s\" overlap", before,
                             sorted[i]->name);
        if (sorted[i]->begin > at)
            return error_set(err, ERROR_CORRUPT,
                             "a hole: bytes %" PRIu64 " to %" PRIu64
                             " of the data, between \"%s\" and \"%s\", belong to no tensor",
                             at, sorted[i]->begin, before, sorted[i]->name);
        at = sorted[i]->end;
        before = sorted[i]->name;
    }
    if (at != weights->data_len)
        return error_set(err, ERROR_CORRUPT,
                         "a hole: bytes %" PRIu64
                         " to %zu of the data, behind \"%s\", belong to no "
                         "tensor",
                         at, weights->data_len, before);
    return true;
}

static bool read_header(struct weights *weights, const char *text, size_t len, struct error *err) {
    bool ok = false;
    struct json *root = json_parse(text, len, err);
    if (!root)
        return error_wrap(err, "the header: ");
    if (json_kind_of(root) != JSON_KIND_OBJECT) {
        error_set(err, ERROR_CORRUPT, "the header is %s, not an object of tensors",
                  json_kind_name(json_kind_of(root)));
        goto out;
    }
    if (!names_are_distinct(text, len, err))
        goto out;
    weights->entries = ARENA_ZERO(&weights->arena, struct entry, json_count(root));
    map_reserve(&weights->by_name, json_count(root));
    for (void *at = json_first(root); at; at = json_next(root, at)) {
        const char *name = json_member_key(at);
        if (strcmp(name, "__metadata__") == 0)
            continue;
        struct entry *entry = &weights->entries[weights->n];
        entry->name = arena_text(&weights->arena, name, strlen(name));
        entry->where = weights->where;
        if (!read_entry(weights, json_member_value(at), entry, err))
            goto out;
        map_put(&weights->by_name, entry->name, strlen(entry->name), (uint32_t)weights->n, NULL);
        weights->n++;
    }
    ok = check_cover(weights, err);
    weights_attach_scales(weights);
out:
    json_release(root);
    return ok;
}

/* ---- weights.h ---- */

bool weights_open(const uint8_t *data, size_t len, const char *where, struct weights **out,
                  struct error *err) {
    if (len < LENGTH_BYTES)
        return error_set(err, ERROR_CORRUPT,
                         "%s: %zu bytes, too short for the 8-byte header length", where, len);
    uint64_t header_len = 0;
    for (size_t i = LENGTH_BYTES; i-- > 0;)
        header_len = header_len << 8 | data[i];
    if (header_len > len - LENGTH_BYTES)
        return error_set(err, ERROR_CORRUPT,
                         "%s: a header length of %" PRIu64 " bytes in a file of %zu", where,
                         header_len, len);
    if (header_len > HEADER_BYTES_MAX)
        return error_set(err, ERROR_LIMIT, "%s: a header length of %" PRIu64 " bytes, at most %d",
                         where, header_len, HEADER_BYTES_MAX);
    struct weights *weights = mem_zalloc(1, sizeof *weights);
    weights->where = arena_text(&weights->arena, where, strlen(where));
    weights->data = data + LENGTH_BYTES + header_len;
    weights->data_len = len - LENGTH_BYTES - (size_t)header_len;
    if (!read_header(weights, (const char *)data + LENGTH_BYTES, (size_t)header_len, err)) {
        weights_close(weights);
        return error_wrap(err, "%s: ", where);
    }
    *out = weights;
    return true;
}
