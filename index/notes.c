/* What who fills an index remembers with it: table meta, behind a prefix that no other name has. */
#include <string.h>

#include "engine/base/buf.h"
#include "index/documents.h"
#include "index/inside.h"

static const char prefix[] = "note:";
enum { PREFIX_LEN = sizeof prefix - 1 };

struct note_key {
    char bytes[PREFIX_LEN + NOTE_NAME_BYTES_MAX];
    size_t len;
};

static bool make_key(const char *name, struct note_key *out, struct error *err) {
    size_t len = strlen(name);
    if (len == 0 || len > NOTE_NAME_BYTES_MAX)
        return error_set(err, ERROR_LIMIT, "a note's name has %zu bytes; 1 to %d are possible", len,
                         NOTE_NAME_BYTES_MAX);
    memcpy(out->bytes, prefix, PREFIX_LEN);
    memcpy(out->bytes + PREFIX_LEN, name, len);
    out->len = PREFIX_LEN + len;
    return true;
}

static bool read_note(struct store_txn *txn, const char *name, struct buf *out, struct error *err) {
    struct note_key key;
    struct bytes value;
    buf_clear(out);
    if (!make_key(name, &key, err) || !store_get(txn, TABLE_META, key.bytes, key.len, &value, err))
        return false;
    if (value.data)
        buf_append(out, value.data, value.len);
    return true;
}

bool snapshot_note(struct snapshot *snapshot, const char *name, struct buf *out,
                   struct error *err) {
    return read_note(snapshot->txn, name, out, err);
}

bool writer_note_read(struct writer *writer, const char *name, struct buf *out, struct error *err) {
    struct store_txn *txn = writer_txn(writer, err);
    return txn && read_note(txn, name, out, err);
}

bool writer_note(struct writer *writer, const char *name, const void *bytes, size_t len,
                 struct error *err) {
    struct note_key key;
    if (!make_key(name, &key, err))
        return false;
    if (len > NOTE_BYTES_MAX)
        return error_set(err, ERROR_LIMIT, "note \"%s\": %zu bytes, at most %d", name, len,
                         NOTE_BYTES_MAX);
    struct store_txn *txn = writer_txn(writer, err);
    if (!txn)
        return false;
    writer_note_change(writer);
    return (len > 0 ? store_put(txn, TABLE_META, key.bytes, key.len, bytes, len, err)
                    : store_delete(txn, TABLE_META, key.bytes, key.len, NULL, err)) ||
           writer_give_up(writer, err);
}

bool writer_docid(struct writer *writer, const char *key, size_t key_len, uint32_t *docid_out) {
    struct error ignored;
    struct key_entry entry;
    bool found;
    struct store_txn *txn = writer_txn(writer, &ignored);
    if (!txn || !key_get(txn, key, key_len, &entry, &found, &ignored) || !found)
        return false;
    *docid_out = entry.docid;
    return true;
}
