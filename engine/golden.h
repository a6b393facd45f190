/* golden.h - reading the golden files, for the tests that compare with them.
 *
 * They lie in $TERCET_SHARED (or ../shared): golden_shared, once golden_open was true. */
#ifndef TERCET_GOLDEN_H
#define TERCET_GOLDEN_H

#include "engine/base/buf.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/encoder.h"
#include "tests/check.h"

enum { GOLDEN_PATH_LEN = 1024, GOLDEN_BYTES_MAX = 1 << 25 };

static const char *golden_shared;

static inline bool golden_open(void) {
    golden_shared = check_shared_folder();
    return golden_shared != NULL;
}

static inline const char *golden_path(const char *below, char out[GOLDEN_PATH_LEN]) {
    snprintf(out, GOLDEN_PATH_LEN, "%s/%s", golden_shared, below);
    return out;
}

/* A .npy file of little-endian f32 [rows, dim]; data stays in *file. */
static inline const float *golden_npy(const char *below, size_t dim, struct buf *file,
                                      size_t *rows_out) {
    char path[GOLDEN_PATH_LEN];
    struct error err;
    enum { MAGIC = 8, HEADER_AT = 10 };
    CHECK_OK(file_read(golden_path(below, path), GOLDEN_BYTES_MAX, file, &err), err);
    if (file->len < HEADER_AT || memcmp(file->data, "\x93NUMPY\1", 7) != 0)
        return NULL;
    size_t begin = HEADER_AT + (size_t)(unsigned char)file->data[MAGIC] +
                   256 * (size_t)(unsigned char)file->data[MAGIC + 1];
    *rows_out = (file->len - begin) / (dim * sizeof(float));
    return (const float *)(const void *)(file->data + begin);
}

/* The rows of a JSONL file. */
static inline size_t golden_lines(const char *below, struct json **rows, size_t rows_max) {
    char path[GOLDEN_PATH_LEN];
    struct error err;
    struct buf file = {0};
    size_t n = 0;
    CHECK_OK(file_read(golden_path(below, path), GOLDEN_BYTES_MAX, &file, &err), err);
    for (size_t at = 0; at < file.len && n < rows_max; n++) {
        size_t len = strcspn(file.data + at, "\n");
        rows[n] = json_parse(file.data + at, len, &err);
        CHECK_OK(rows[n] != NULL, err);
        at += len + 1;
    }
    buf_done(&file);
    return n;
}

static inline struct encoder_text golden_text(const struct json *row) {
    struct encoder_text text;
    text.text = json_string_of(json_get(row, "text"), &text.len);
    return text;
}

static inline double golden_cosine(const float *a, const float *b, size_t n) {
    double dot = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        dot += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return dot / sqrt(aa * bb);
}

static inline double golden_difference(const float *a, const float *b, size_t n) {
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = isnan(a[i]) ? INFINITY : fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

#endif
