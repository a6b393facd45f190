/* fixture.h - weight files made by hand, for the tests of this folder: safetensors, and zip
 * archives with pickles as torch.save writes them. Formats: safetensors.c, torch_zip.c, pickle.c.
 * Whatever is made is a buf that the test releases. */
#ifndef TERCET_WEIGHTS_FIXTURE_H
#define TERCET_WEIGHTS_FIXTURE_H

#include <stdint.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/weights/weights.h"
#include "tests/check.h"

static inline void fixture_number(struct buf *out, uint64_t number, size_t width) {
    for (size_t i = 0; i < width; i++) {
        unsigned char byte = (unsigned char)(number >> 8 * i);
        buf_append(out, &byte, 1);
    }
}

/* The header and behind it `data_len` bytes of data; data NULL: the bytes 0, 1, 2, ... */
static inline struct buf fixture_safetensors(const char *header, const void *data,
                                             size_t data_len) {
    struct buf file = {0};
    fixture_number(&file, strlen(header), 8);
    buf_text(&file, header);
    for (size_t i = 0; i < data_len; i++)
        fixture_number(&file, data ? ((const unsigned char *)data)[i] : i, 1);
    return file;
}

/* ---- zip ---- */

struct fixture_zip {
    struct buf file, directory;
    size_t n;
};

/* A stored entry. As in torch's files the local header holds no sizes. */
static inline void fixture_zip_add(struct fixture_zip *zip, const char *name, const void *data,
                                   size_t len) {
    size_t local = zip->file.len, name_len = strlen(name);
    buf_append(&zip->file, "PK\3\4", 4);
    fixture_number(&zip->file, 0, 22);
    fixture_number(&zip->file, name_len, 2);
    fixture_number(&zip->file, 0, 2);
    buf_text(&zip->file, name);
    if (len)
        buf_append(&zip->file, data, len);
    buf_append(&zip->directory, "PK\1\2", 4);
    fixture_number(&zip->directory, 0, 16); /* versions, flags, method 0, time, date, crc */
    fixture_number(&zip->directory, len, 4);
    fixture_number(&zip->directory, len, 4);
    fixture_number(&zip->directory, name_len, 2);
    fixture_number(&zip->directory, 0, 12); /* extra, comment, disk, attributes */
    fixture_number(&zip->directory, local, 4);
    buf_text(&zip->directory, name);
    zip->n++;
}

/* Adds directory and end record and hands the file out. */
static inline struct buf fixture_zip_end(struct fixture_zip *zip) {
    size_t begin = zip->file.len;
    if (zip->directory.len)
        buf_append(&zip->file, zip->directory.data, zip->directory.len);
    buf_append(&zip->file, "PK\5\6\0\0\0\0", 8);
    fixture_number(&zip->file, zip->n, 2);
    fixture_number(&zip->file, zip->n, 2);
    fixture_number(&zip->file, zip->directory.len, 4);
    fixture_number(&zip->file, begin, 4);
    fixture_number(&zip->file, 0, 2);
    buf_done(&zip->directory);
    struct buf file = zip->file;
    *zip = (struct fixture_zip){0};
    return file;
}

/* ---- pickle ---- */

static inline void fixture_text(struct buf *out, const char *text) { /* BINUNICODE */
    buf_text(out, "X");
    fixture_number(out, strlen(text), 4);
    buf_text(out, text);
}

static inline void fixture_int(struct buf *out, int64_t number) { /* LONG1 */
    buf_text(out, "\x8a\x08");
    fixture_number(out, (uint64_t)number, 8);
}

static inline void fixture_ints(struct buf *out, const int64_t *numbers, size_t n) { /* a tuple */
    buf_text(out, "(");
    for (size_t i = 0; i < n; i++)
        fixture_int(out, numbers[i]);
    buf_text(out, "t");
}

/* A tensor as the arguments of _rebuild_tensor_v2 tell it. */
struct fixture_tensor {
    const char *name;
    const char *kind; /* "FloatStorage" */
    const char *key;  /* of the storage: entry data/KEY */
    int64_t offset;   /* elements */
    size_t rank;
    int64_t shape[6], strides[6];
};

static inline void fixture_pickle_tensor(struct buf *out, const struct fixture_tensor *tensor) {
    fixture_text(out, tensor->name);
    buf_text(out, "ctorch._utils\n_rebuild_tensor_v2\n((");
    fixture_text(out, "storage");
    buf_format(out, "ctorch\n%s\n", tensor->kind);
    fixture_text(out, tensor->key);
    fixture_text(out, "cpu");
    fixture_int(out, 1);
    buf_text(out, "tQ");
    fixture_int(out, tensor->offset);
    fixture_ints(out, tensor->shape, tensor->rank);
    fixture_ints(out, tensor->strides, tensor->rank);
    buf_text(out, "\x89" /* requires_grad */ "ccollections\nOrderedDict\n)RtR");
}

/* A whole data.pkl: a state_dict of these tensors. */
static inline struct buf fixture_pickle(const struct fixture_tensor *tensors, size_t n) {
    struct buf pickle = {0};
    buf_text(&pickle, "\x80\x02}(");
    for (size_t i = 0; i < n; i++)
        fixture_pickle_tensor(&pickle, &tensors[i]);
    buf_text(&pickle, "u.");
    return pickle;
}

/* ---- archives ---- */

/* An archive of this pickle and one storage "0". */
static inline struct buf fixture_archive(const struct buf *pickle, const void *storage,
                                         size_t storage_len) {
    struct fixture_zip zip = {0};
    fixture_zip_add(&zip, "some/data.pkl", pickle->data, pickle->len);
    fixture_zip_add(&zip, "some/byteorder", "little", 6);
    fixture_zip_add(&zip, "some/data/0", storage, storage_len);
    return fixture_zip_end(&zip);
}

/* The bytes go into a block of their own size, so that a sanitizer sees a read behind the end. The
 * weights borrow it: it is released by the next call. */
static inline struct weights *fixture_open(const struct buf *file, struct error *err) {
    static uint8_t *exact;
    struct weights *weights = NULL;
    free(exact);
    exact = malloc(file->len ? file->len : 1);
    if (file->len)
        memcpy(exact, file->data, file->len);
    bool ok = weights_open_torch(exact, file->len, "some.bin", &weights, err);
    return ok ? weights : NULL;
}

/* Opening must fail with this code, and `says` in the message behind the file's name. */
static inline void fixture_refused(const struct buf *file, enum error_code code, const char *says) {
    struct error err = {0};
    struct weights *weights = fixture_open(file, &err);
    CHECK(!weights);
    bool named = err.code == code && strncmp(err.message, "some.bin: ", 10) == 0 &&
                 strstr(err.message, says);
    if (!named)
        fprintf(stderr, "  code %d: %s\n  expected in it: %s\n", err.code, err.message, says);
    CHECK(named);
    weights_close(weights);
}

#endif
