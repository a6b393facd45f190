#include "engine/weights/write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "engine/base/vec.h"

enum { PIECE_N = 1 << 16 }; /* numbers made and written at once */

uint64_t weights_values_n(const struct weights_made *tensor) {
    uint64_t n = 1;
    for (size_t i = 0; i < tensor->rank; i++)
        n *= tensor->shape[i];
    return n;
}

static size_t dtype_bytes(enum weights_dtype dtype) {
    return dtype == WEIGHTS_F32 ? 4 : 2;
}

static const char *dtype_name(enum weights_dtype dtype) {
    return dtype == WEIGHTS_F32 ? "F32" : dtype == WEIGHTS_F16 ? "F16" : "BF16";
}

static void header_text(const struct weights_made *tensors, size_t n, const char *note,
                        struct buf *out) {
    enum { ALIGNMENT = 8 };
    uint64_t at = 0;
    struct json *metadata = json_new_object();
    json_add_string(metadata, "format", "pt");
    if (note)
        json_add_string(metadata, "tercet", note);
    buf_text(out, "{\"__metadata__\":");
    json_print(metadata, out);
    json_release(metadata);
    for (size_t i = 0; i < n; i++) {
        uint64_t end = at + weights_values_n(&tensors[i]) * dtype_bytes(tensors[i].dtype);
        /* Names may come from somebody's file: quotes and all. */
        struct json *name = json_new_string(tensors[i].name, strlen(tensors[i].name));
        buf_text(out, ",");
        json_print(name, out);
        json_release(name);
        buf_format(out, ":{\"dtype\":\"%s\",\"shape\":[", dtype_name(tensors[i].dtype));
        for (size_t d = 0; d < tensors[i].rank; d++)
            buf_format(out, "%s%zu", d ? "," : "", tensors[i].shape[d]);
        buf_format(out, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at, end);
        at = end;
    }
    buf_text(out, "}");
    while (out->len % ALIGNMENT)
        buf_text(out, " ");
}

static uint16_t bfloat_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Little-endian, as every machine that this runs on is. */
static void convert(const float *values, size_t n, enum weights_dtype dtype, uint8_t *out) {
    if (dtype == WEIGHTS_F32) {
        memcpy(out, values, n * sizeof *values);
    } else if (dtype == WEIGHTS_F16) {
        vec_to_f16(values, n, out);
    } else {
        for (size_t i = 0; i < n; i++) {
            uint16_t bits = bfloat_of(values[i]);
            memcpy(out + 2 * i, &bits, sizeof bits);
        }
    }
}

struct writing {
    FILE *file;
    weights_values *values;
    void *context;
    float *piece;   /* [PIECE_N] */
    uint8_t *bytes; /* [PIECE_N * 4] */
};

static bool write_tensor(const struct writing *writing, const struct weights_made *tensor, size_t i,
                         struct error *err) {
    uint64_t all = weights_values_n(tensor);
    for (uint64_t at = 0; at < all;) {
        size_t n = all - at < PIECE_N ? (size_t)(all - at) : PIECE_N;
        if (!writing->values(writing->context, i, at, n, writing->piece, err))
            return false;
        convert(writing->piece, n, tensor->dtype, writing->bytes);
        if (fwrite(writing->bytes, dtype_bytes(tensor->dtype), n, writing->file) != n)
            return error_set_errno(err, "writing tensor \"%s\"", tensor->name);
        at += n;
    }
    return true;
}

bool weights_write(const char *path, const struct weights_made *tensors, size_t n, const char *note,
                   weights_values *values, void *context, uint64_t *bytes_out, struct error *err) {
    FILE *file = fopen(path, "wbe");
    if (!file)
        return error_set_errno(err, "%s", path);
    struct writing writing = {file, values, context, mem_alloc(PIECE_N, sizeof(float)),
                              mem_alloc(PIECE_N, sizeof(float))};
    struct buf header = {0};
    header_text(tensors, n, note, &header);
    uint8_t length[8];
    uint64_t bytes = sizeof length + header.len;
    for (size_t i = 0; i < sizeof length; i++)
        length[i] = (uint8_t)((uint64_t)header.len >> (8 * i));
    bool ok = (fwrite(length, sizeof length, 1, file) == 1 &&
               fwrite(header.data, header.len, 1, file) == 1) ||
              error_set_errno(err, "writing");
    for (size_t i = 0; i < n && ok; i++) {
        ok = write_tensor(&writing, &tensors[i], i, err);
        bytes += weights_values_n(&tensors[i]) * dtype_bytes(tensors[i].dtype);
    }
    ok = ok && ((fflush(file) == 0 && fsync(fileno(file)) == 0) || error_set_errno(err, "writing"));
    if (fclose(file) != 0 && ok)
        ok = error_set_errno(err, "closing");
    if (!ok)
        error_wrap(err, "%s: ", path);
    else if (bytes_out)
        *bytes_out += bytes;
    buf_done(&header);
    free(writing.piece);
    free(writing.bytes);
    return ok;
}
