#include "index/documents.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "engine/base/buf.h"
#include "engine/base/mem.h"
#include "index/inside.h"

enum {
    AT_HASH = 0,
    AT_KEY_LEN = 8,
    AT_TITLE_LEN = 12,
    AT_FIELDS_LEN = 16,
    AT_TEXT_LEN = 20,
    AT_KEY = 24, /* then the zstd frame */
    KEY_VALUE_BYTES = 12,
    /* Texts are short and an ingest writes thousands a second: level 1 costs a third of level 3's
     * time for some 3 % more bytes. */
    ZSTD_LEVEL = 1,
};

/* ---- writing ---- */

struct documents_writer {
    ZSTD_CCtx *zstd;
    struct buf plain, packed;
};

struct documents_writer *documents_writer_new(void) {
    struct documents_writer *writer = mem_zalloc(1, sizeof *writer);
    writer->zstd = ZSTD_createCCtx();
    if (!writer->zstd) /* only memory can lack */
        abort();
    ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_checksumFlag, 1);
    return writer;
}

void documents_writer_free(struct documents_writer *writer) {
    if (!writer)
        return;
    ZSTD_freeCCtx(writer->zstd);
    buf_done(&writer->plain);
    buf_done(&writer->packed);
    free(writer);
}

static void append_if_any(struct buf *out, const char *text, size_t len) {
    if (len > 0)
        buf_append(out, text, len);
}

bool documents_append(struct documents_writer *writer, struct store_txn *txn, uint32_t docid,
                      const struct record *record, struct error *err) {
    buf_clear(&writer->plain);
    append_if_any(&writer->plain, record->title, record->title_len);
    append_if_any(&writer->plain, record->fields, record->fields_len);
    append_if_any(&writer->plain, record->text, record->text_len);
    size_t bound = ZSTD_compressBound(writer->plain.len);
    buf_clear(&writer->packed);
    buf_reserve(&writer->packed, bound);
    size_t packed_len = ZSTD_compress2(writer->zstd, writer->packed.data, bound, writer->plain.data,
                                       writer->plain.len);
    if (ZSTD_isError(packed_len))
        return error_set(err, ERROR_IO, "cannot compress the text of \"%.*s\": %s",
                         (int)record->key_len, record->key, ZSTD_getErrorName(packed_len));

    uint8_t key[4];
    void *value;
    put_be32(key, docid);
    if (!store_append(txn, TABLE_DOCUMENTS, key, sizeof key, AT_KEY + record->key_len + packed_len,
                      &value, err))
        return false;
    char *at = value;
    memcpy(at + AT_HASH, &record->content_hash, 8);
    memcpy(at + AT_KEY_LEN, &(uint32_t){(uint32_t)record->key_len}, 4);
    memcpy(at + AT_TITLE_LEN, &(uint32_t){(uint32_t)record->title_len}, 4);
    memcpy(at + AT_FIELDS_LEN, &(uint32_t){(uint32_t)record->fields_len}, 4);
    memcpy(at + AT_TEXT_LEN, &(uint32_t){(uint32_t)record->text_len}, 4);
    memcpy(at + AT_KEY, record->key, record->key_len);
    memcpy(at + AT_KEY + record->key_len, writer->packed.data, packed_len);
    return true;
}

bool key_put(struct store_txn *txn, const char *key, size_t key_len, struct key_entry entry,
             struct error *err) {
    char value[KEY_VALUE_BYTES];
    memcpy(value, &entry.docid, 4);
    memcpy(value + 4, &entry.content_hash, 8);
    return store_put(txn, TABLE_KEYS, key, key_len, value, sizeof value, err);
}

/* ---- reading ---- */

bool key_get(struct store_txn *txn, const char *key, size_t key_len, struct key_entry *out,
             bool *found_out, struct error *err) {
    struct bytes value = {0};
    if (key_len > 0 && key_len <= WRITER_KEY_BYTES_MAX &&
        !store_get(txn, TABLE_KEYS, key, key_len, &value, err))
        return false;
    if (value.data && value.len != KEY_VALUE_BYTES)
        return store_corrupt(txn, TABLE_KEYS, err, "key \"%.*s\": %zu bytes, %d expected",
                             (int)key_len, key, value.len, KEY_VALUE_BYTES);
    *found_out = value.data != NULL;
    if (value.data)
        *out = (struct key_entry){
            .docid = get_u32(value.data),
            .content_hash = get_u64((const char *)value.data + 4),
        };
    return true;
}

bool term_get(struct store_txn *txn, const char *word, size_t word_len, uint32_t *id_out,
              bool *found_out, struct error *err) {
    struct bytes value = {0};
    if (word_len > 0 && word_len <= WRITER_KEY_BYTES_MAX &&
        !store_get(txn, TABLE_TERMS, word, word_len, &value, err))
        return false;
    if (value.data && value.len != 4)
        return store_corrupt(txn, TABLE_TERMS, err, "word \"%.*s\": %zu bytes, 4 expected",
                             (int)word_len, word, value.len);
    *found_out = value.data != NULL;
    if (value.data)
        *id_out = get_u32(value.data);
    return true;
}

/* The sizes in front of a document's value, checked against each other and the value's length. */
struct document_sizes {
    size_t key, title, fields, text;
};

static bool read_sizes(struct bytes value, struct document_sizes *out) {
    const uint8_t *at = value.data;
    if (value.len < AT_KEY)
        return false;
    *out = (struct document_sizes){
        .key = get_u32(at + AT_KEY_LEN),
        .title = get_u32(at + AT_TITLE_LEN),
        .fields = get_u32(at + AT_FIELDS_LEN),
        .text = get_u32(at + AT_TEXT_LEN),
    };
    return out->key <= value.len - AT_KEY && out->title <= DOCUMENT_TEXT_BYTES_MAX &&
           out->fields <= DOCUMENT_TEXT_BYTES_MAX && out->text <= DOCUMENT_TEXT_BYTES_MAX;
}

/* The frame is read as far as the fields go and no further. */
static bool unpack_beginning(const void *frame, size_t frame_len, char *plain, size_t plain_len) {
    ZSTD_DCtx *zstd = ZSTD_createDCtx();
    ZSTD_inBuffer in = {.src = frame, .size = frame_len};
    ZSTD_outBuffer out = {.dst = plain, .size = plain_len};
    bool ok = zstd != NULL;
    while (ok && out.pos < out.size) {
        size_t before = in.pos + out.pos;
        ok = !ZSTD_isError(ZSTD_decompressStream(zstd, &out, &in)) && in.pos + out.pos > before;
    }
    ZSTD_freeDCtx(zstd);
    return ok;
}

bool document_key(struct store_txn *txn, uint32_t docid, struct bytes *out, struct error *err) {
    struct bytes value;
    struct document_sizes sizes;
    if (!store_get_u32(txn, TABLE_DOCUMENTS, docid, &value, err))
        return false;
    if (!value.data || !read_sizes(value, &sizes))
        return store_corrupt(txn, TABLE_DOCUMENTS, err, "docid %u: no record of %zu bytes", docid,
                             value.len);
    *out = (struct bytes){.data = (const char *)value.data + AT_KEY, .len = sizes.key};
    return true;
}

bool document_text_len(struct store_txn *txn, uint32_t docid, size_t *out, struct error *err) {
    struct bytes value;
    struct document_sizes sizes;
    if (!store_get_u32(txn, TABLE_DOCUMENTS, docid, &value, err))
        return false;
    if (!value.data || !read_sizes(value, &sizes))
        return store_corrupt(txn, TABLE_DOCUMENTS, err, "docid %u: no record of %zu bytes", docid,
                             value.len);
    *out = sizes.text;
    return true;
}

bool document_fields(struct store_txn *txn, uint32_t docid, struct buf *out, struct error *err) {
    struct bytes value;
    struct document_sizes sizes;
    buf_clear(out);
    if (!store_get_u32(txn, TABLE_DOCUMENTS, docid, &value, err))
        return false;
    if (!value.data || !read_sizes(value, &sizes))
        return store_corrupt(txn, TABLE_DOCUMENTS, err, "docid %u: no record of %zu bytes", docid,
                             value.len);
    if (sizes.fields == 0)
        return true;
    const char *frame = (const char *)value.data + AT_KEY + sizes.key;
    size_t frame_len = value.len - AT_KEY - sizes.key, plain_len = sizes.title + sizes.fields;
    /* As in document_get: a damaged size must not make us allocate its wish. */
    if (ZSTD_getFrameContentSize(frame, frame_len) != plain_len + sizes.text)
        return store_corrupt(txn, TABLE_DOCUMENTS, err, "docid %u: its text is not %zu bytes",
                             docid, plain_len + sizes.text);
    buf_reserve(out, plain_len);
    if (!unpack_beginning(frame, frame_len, out->data, plain_len))
        return store_corrupt(txn, TABLE_DOCUMENTS, err, "docid %u: its fields cannot be read",
                             docid);
    memmove(out->data, out->data + sizes.title, sizes.fields);
    out->len = sizes.fields;
    return true;
}

bool document_get(struct snapshot *snapshot, uint32_t docid, struct arena *arena,
                  struct document *out, struct error *err) {
    struct bytes value;
    struct document_sizes sizes;
    if (!store_get_u32(snapshot->txn, TABLE_DOCUMENTS, docid, &value, err))
        return false;
    if (!value.data)
        return error_set(err, ERROR_NOT_FOUND, "no document with docid %u", docid);
    if (!read_sizes(value, &sizes))
        return store_corrupt(snapshot->txn, TABLE_DOCUMENTS, err,
                             "docid %u: sizes do not fit its %zu bytes", docid, value.len);
    const char *at = value.data, *frame = at + AT_KEY + sizes.key;
    size_t frame_len = value.len - AT_KEY - sizes.key;
    size_t plain_len = sizes.title + sizes.fields + sizes.text;
    /* Asked before memory is taken: a damaged size must not make us allocate its wish. */
    if (ZSTD_getFrameContentSize(frame, frame_len) != plain_len)
        return store_corrupt(snapshot->txn, TABLE_DOCUMENTS, err,
                             "docid %u: its text is not %zu bytes", docid, plain_len);
    char *plain = arena_alloc(arena, plain_len + 1, 1);
    size_t got = ZSTD_decompress(plain, plain_len, frame, frame_len);
    if (ZSTD_isError(got) || got != plain_len)
        return store_corrupt(snapshot->txn, TABLE_DOCUMENTS, err, "docid %u: %s", docid,
                             ZSTD_isError(got) ? ZSTD_getErrorName(got) : "text cut short");
    *out = (struct document){
        .key = arena_text(arena, at + AT_KEY, sizes.key),
        .key_len = sizes.key,
        .title = arena_text(arena, plain, sizes.title),
        .title_len = sizes.title,
        .fields = arena_text(arena, plain + sizes.title, sizes.fields),
        .fields_len = sizes.fields,
        .text = arena_text(arena, plain + sizes.title + sizes.fields, sizes.text),
        .text_len = sizes.text,
        .content_hash = get_u64(at + AT_HASH),
    };
    return true;
}

bool document_find(struct snapshot *snapshot, const char *key, size_t key_len, uint32_t *docid_out,
                   struct error *err) {
    struct key_entry entry;
    bool found;
    if (!key_get(snapshot->txn, key, key_len, &entry, &found, err))
        return false;
    if (!found)
        return error_set(err, ERROR_NOT_FOUND, "no document with key \"%.*s\"", (int)key_len, key);
    *docid_out = entry.docid;
    return true;
}

bool document_hash(struct snapshot *snapshot, const char *key, size_t key_len, uint64_t *hash_out) {
    struct error ignored;
    struct key_entry entry;
    bool found;
    if (!key_get(snapshot->txn, key, key_len, &entry, &found, &ignored) || !found)
        return false;
    *hash_out = entry.content_hash;
    return true;
}

bool term_find(struct snapshot *snapshot, const char *word, size_t word_len, uint32_t *id_out,
               bool *found_out, struct error *err) {
    return term_get(snapshot->txn, word, word_len, id_out, found_out, err);
}
