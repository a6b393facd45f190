#include "index/fields.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/base/mem.h"
#include "index/inside.h"

enum {
    CHUNK_KEY_BYTES = 2,
    CONTAINER_BYTES = DOCID_CHUNK / 8,
    KEY_BYTES_MAX =
        FIELD_NAME_BYTES_MAX + 2 + FIELD_KEYWORD_BYTES_MAX + 1 + CHUNK_KEY_BYTES, /* NUL, kind */
};

/* ---- values whose bytes are in order ---- */

static void put_be64(uint8_t *at, uint64_t value) {
    put_be32(at, (uint32_t)(value >> 32));
    put_be32(at + 4, (uint32_t)value);
}

/* IEEE doubles are in order as sign and magnitude: turn the negative ones round, and put the others
 * above them. */
static void encode_number(double number, struct field_value *out) {
    uint64_t bits;
    number += 0.0; /* -0 is 0 */
    memcpy(&bits, &number, sizeof bits);
    bits = bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
    out->kind = FIELD_NUMBER;
    out->len = 8;
    put_be64(out->bytes, bits);
}

/* Reads n digits and moves on; -1 when there are others. */
static int digits(const char **at, int n) {
    int value = 0;
    for (int i = 0; i < n; i++) {
        char c = (*at)[i];
        if (c < '0' || c > '9')
            return -1;
        value = 10 * value + (c - '0');
    }
    *at += n;
    return value;
}

static bool take(const char **at, char c) {
    bool there = **at == c;
    *at += there;
    return there;
}

/* Days from 0000-03-01 (proleptic Gregorian): years begin in March, so that a leap day is last. */
static int64_t days_of(int year, int month, int day) {
    int64_t y = year - (month < 3), months = (month + 9) % 12;
    return 365 * y + (y >= 0 ? y / 4 - y / 100 + y / 400 : -1) + (153 * months + 2) / 5 + day - 1;
}

static bool read_day(const char **at, int64_t *days_out) {
    static const int lengths[12] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = digits(at, 4);
    if (year < 0 || !take(at, '-'))
        return false;
    int month = digits(at, 2);
    if (month < 1 || month > 12 || !take(at, '-'))
        return false;
    int day = digits(at, 2);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day < 1 || day > lengths[month - 1] || (month == 2 && day == 29 && !leap))
        return false;
    *days_out = days_of(year, month, day);
    return true;
}

/* HH:MM into minutes. */
static bool read_clock(const char **at, int64_t *minutes_out) {
    int hours = digits(at, 2);
    if (hours < 0 || hours > 23 || !take(at, ':'))
        return false;
    int minutes = digits(at, 2);
    *minutes_out = 60 * hours + minutes;
    return minutes >= 0 && minutes <= 59;
}

static bool read_seconds(const char **at, int64_t *micros_out) {
    int seconds = digits(at, 2);
    *micros_out = (int64_t)seconds * 1000000;
    if (seconds < 0 || seconds > 59)
        return false;
    if (!take(at, '.'))
        return true;
    int64_t unit = 100000;
    if (**at < '0' || **at > '9')
        return false;
    for (; **at >= '0' && **at <= '9'; (*at)++, unit /= 10) /* beyond six digits: cut */
        *micros_out += unit * (**at - '0');
    return true;
}

/* Microseconds of the instant; false: not a date. */
static bool read_date(const char *text, size_t len, int64_t *out) {
    const char *at = text;
    int64_t days, minutes = 0, micros = 0, zone = 0;
    if (!read_day(&at, &days))
        return false;
    if (*at == 'T' || *at == ' ') {
        at++;
        if (!read_clock(&at, &minutes) || (take(&at, ':') && !read_seconds(&at, &micros)))
            return false;
        char sign = *at;
        if ((sign == '+' || sign == '-')) {
            at++;
            if (!read_clock(&at, &zone))
                return false;
            minutes -= sign == '+' ? zone : -zone;
        } else {
            take(&at, 'Z');
        }
    }
    *out = (days * 1440 + minutes) * 60000000 + micros;
    return at == text + len;
}

static void encode_text(const char *text, size_t len, struct field_value *out) {
    int64_t instant;
    if (read_date(text, len, &instant)) {
        out->kind = FIELD_DATE;
        out->len = 8;
        put_be64(out->bytes, (uint64_t)instant ^ UINT64_C(1) << 63);
    } else if (len <= FIELD_KEYWORD_BYTES_MAX && !memchr(text, '\0', len)) {
        out->kind = FIELD_KEYWORD;
        out->len = len + 1;
        memcpy(out->bytes, text, len);
        out->bytes[len] = '\0'; /* no value is the beginning of another */
    } else {
        XXH128_hash_t hash = XXH3_128bits(text, len);
        out->kind = FIELD_LONG;
        out->len = 16;
        put_be64(out->bytes, hash.high64);
        put_be64(out->bytes + 8, hash.low64);
    }
}

bool field_value_of(const struct json *json, struct field_value *out) {
    switch (json_kind_of(json)) {
    case JSON_KIND_BOOL:
        out->kind = FIELD_BOOL;
        out->len = 1;
        out->bytes[0] = json_bool_of(json);
        return true;
    case JSON_KIND_NUMBER: encode_number(json_number_of(json), out); return true;
    case JSON_KIND_STRING: {
        size_t len;
        const char *text = json_string_of(json, &len);
        encode_text(text, len, out);
        return true;
    }
    case JSON_KIND_NULL:
    case JSON_KIND_ARRAY:
    case JSON_KIND_OBJECT: break;
    }
    return false;
}

/* ---- a batch ---- */

struct field_change {
    size_t key_at;      /* in batch->keys */
    const uint8_t *key; /* set when the batch is written */
    uint32_t key_len;
    uint32_t docid;
    bool gone;
};

void fields_clear(struct fields_batch *batch) {
    buf_clear(&batch->keys);
    batch->n = 0;
}

void fields_done(struct fields_batch *batch) {
    buf_done(&batch->keys);
    free(batch->items);
    *batch = (struct fields_batch){0};
}

size_t fields_batch_bytes(const struct fields_batch *batch) {
    return batch->keys.len + batch->n * sizeof *batch->items;
}

/* field, NUL, kind */
static size_t make_prefix(const char *field, size_t field_len, enum field_kind kind,
                          uint8_t key[KEY_BYTES_MAX]) {
    memcpy(key, field, field_len);
    key[field_len] = '\0';
    key[field_len + 1] = (uint8_t)kind;
    return field_len + 2;
}

struct noting {
    struct fields_batch *batch;
    uint32_t docid;
    bool gone;
    size_t values_n;
    char name[FIELD_NAME_BYTES_MAX + 1];
    size_t name_len;
};

static bool note_value(struct noting *noting, const struct field_value *value, struct error *err) {
    struct fields_batch *batch = noting->batch;
    uint8_t key[KEY_BYTES_MAX];
    size_t len = make_prefix(noting->name, noting->name_len, value->kind, key);
    if (noting->values_n == FIELD_VALUES_MAX)
        return error_set(err, ERROR_LIMIT, "fields: more than %d values", FIELD_VALUES_MAX);
    noting->values_n++;
    memcpy(key + len, value->bytes, value->len);
    len += value->len;
    key[len++] = (uint8_t)(noting->docid >> 24);
    key[len++] = (uint8_t)(noting->docid >> 16);
    if (batch->n == batch->cap) {
        batch->cap = batch->cap ? 2 * batch->cap : 256;
        batch->items = mem_realloc(batch->items, batch->cap, sizeof *batch->items);
    }
    batch->items[batch->n++] = (struct field_change){.key_at = batch->keys.len,
                                                     .key_len = (uint32_t)len,
                                                     .docid = noting->docid,
                                                     .gone = noting->gone};
    buf_append(&batch->keys, key, len);
    return true;
}

static bool note_object(struct noting *noting, const struct json *object, struct error *err);

static bool note(struct noting *noting, const struct json *json, struct error *err) {
    static const struct field_value exists = {.kind = FIELD_EXISTS};
    struct field_value value;
    if (json_kind_of(json) == JSON_KIND_OBJECT)
        return note_object(noting, json, err);
    if (json_kind_of(json) == JSON_KIND_ARRAY) {
        for (size_t i = 0; i < json_count(json); i++)
            if (!note(noting, json_at(json, i), err))
                return false;
        return true;
    }
    return !field_value_of(json, &value) ||
           (note_value(noting, &value, err) && note_value(noting, &exists, err));
}

static bool note_object(struct noting *noting, const struct json *object, struct error *err) {
    size_t outer_len = noting->name_len;
    for (void *at = json_first(object); at; at = json_next(object, at)) {
        const char *member = json_member_key(at);
        size_t len = strlen(member), dot = outer_len > 0;
        if (outer_len + dot + len > FIELD_NAME_BYTES_MAX)
            return error_set(err, ERROR_LIMIT,
                             "fields: the name \"%.*s%s%.60s...\" has %zu bytes; "
                             "at most %d are possible",
                             (int)outer_len, noting->name, dot ? "." : "", member,
                             outer_len + dot + len, FIELD_NAME_BYTES_MAX);
        if (dot)
            noting->name[outer_len] = '.';
        memcpy(noting->name + outer_len + dot, member, len);
        noting->name_len = outer_len + dot + len;
        if (!note(noting, json_member_value(at), err))
            return false;
    }
    noting->name_len = outer_len;
    return true;
}

bool fields_note(struct fields_batch *batch, uint32_t docid, const char *json, size_t len,
                 bool gone, struct error *err) {
    struct noting noting = {.batch = batch, .docid = docid, .gone = gone};
    size_t n = batch->n, keys_len = batch->keys.len;
    if (len == 0)
        return true;
    struct json *fields = json_parse(json, len, err);
    if (!fields)
        return error_wrap(err, "fields: ");
    bool ok = json_kind_of(fields) == JSON_KIND_OBJECT
                  ? note_object(&noting, fields, err)
                  : error_set(err, ERROR_INVALID, "fields must be an object, found %s",
                              json_kind_name(json_kind_of(fields)));
    json_release(fields);
    if (!ok) {
        batch->n = n;
        batch->keys.len = keys_len;
    }
    return ok;
}

/* ---- containers ---- */

/* Adds a container's docids to the words of its chunk, [DOCID_CHUNK_WORDS]; false: no container. */
static bool read_container(struct bytes value, uint64_t *words) {
    const uint8_t *at = value.data;
    if (value.len == CONTAINER_BYTES) {
        for (size_t i = 0; i < DOCID_CHUNK_WORDS; i++)
            words[i] |= get_u64(at + 8 * i);
        return true;
    }
    if (value.len == 0 || value.len > CONTAINER_BYTES || value.len % 2 != 0)
        return false;
    for (size_t i = 0; i < value.len; i += 2) {
        unsigned offset = get_u16(at + i);
        words[offset / 64] |= UINT64_C(1) << (offset % 64);
    }
    return true;
}

/* Writes, or deletes when it is empty. */
static bool write_container(struct store_txn *txn, const uint8_t *key, size_t key_len,
                            uint64_t words[DOCID_CHUNK_WORDS], struct error *err) {
    struct docid_set set = {.words = words, .words_n = DOCID_CHUNK_WORDS};
    uint16_t offsets[CONTAINER_BYTES / 2];
    size_t n = docid_set_count(&set), kept = 0;
    if (n == 0)
        return store_delete(txn, TABLE_FIELDS, key, key_len, NULL, err);
    if (n >= CONTAINER_BYTES / 2)
        return store_put(txn, TABLE_FIELDS, key, key_len, words, CONTAINER_BYTES, err);
    for (uint32_t at = docid_set_next(&set, 0); kept < n; at = docid_set_next(&set, at + 1))
        offsets[kept++] = (uint16_t)at;
    return store_put(txn, TABLE_FIELDS, key, key_len, offsets, 2 * n, err);
}

static int compare_keys(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len) {
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

/* By key; what is gained before what is lost, since a docid is never given again. */
static int by_key(const void *a, const void *b) {
    const struct field_change *x = a, *y = b;
    int order = compare_keys(x->key, x->key_len, y->key, y->key_len);
    return order != 0 ? order : x->gone - y->gone;
}

/* Applies the n changes of one key. */
static bool write_key(struct store_txn *txn, const struct field_change *changes, size_t n,
                      struct error *err) {
    uint64_t words[DOCID_CHUNK_WORDS] = {0};
    struct bytes value;
    if (!store_get(txn, TABLE_FIELDS, changes->key, changes->key_len, &value, err))
        return false;
    if (value.data && !read_container(value, words))
        return store_corrupt(txn, TABLE_FIELDS, err, "field \"%s\": a container of %zu bytes",
                             (const char *)changes->key, value.len);
    for (size_t i = 0; i < n; i++) {
        uint32_t offset = changes[i].docid % DOCID_CHUNK;
        uint64_t bit = UINT64_C(1) << (offset % 64);
        words[offset / 64] = changes[i].gone ? words[offset / 64] & ~bit : words[offset / 64] | bit;
    }
    return write_container(txn, changes->key, changes->key_len, words, err);
}

bool fields_write(struct store_txn *txn, struct fields_batch *batch, struct error *err) {
    for (size_t i = 0; i < batch->n; i++)
        batch->items[i].key = (const uint8_t *)batch->keys.data + batch->items[i].key_at;
    if (batch->n > 1)
        qsort(batch->items, batch->n, sizeof *batch->items, by_key);
    for (size_t i = 0, end; i < batch->n; i = end) {
        const struct field_change *first = &batch->items[i];
        for (end = i + 1; end < batch->n; end++)
            if (compare_keys(first->key, first->key_len, batch->items[end].key,
                             batch->items[end].key_len) != 0)
                break;
        if (!write_key(txn, first, end - i, err))
            return false;
    }
    fields_clear(batch);
    return true;
}

/* ---- reading ---- */

/* The bytes of a key's value against a bound's. */
static int against(struct bytes value, const struct field_value *bound) {
    return compare_keys(value.data, value.len, bound->bytes, bound->len);
}

static bool collect_entry(struct snapshot *snapshot, const char *field, size_t field_len,
                          struct bytes key, struct bytes value, struct docid_set *set,
                          struct error *err) {
    const uint8_t *chunk_at = (const uint8_t *)key.data + key.len - CHUNK_KEY_BYTES;
    size_t first = ((size_t)chunk_at[0] << 8 | chunk_at[1]) * DOCID_CHUNK_WORDS;
    if (first < set->words_n && read_container(value, set->words + first))
        return true;
    return store_corrupt(snapshot->txn, TABLE_FIELDS, err,
                         "field \"%.*s\", docids from %zu on: a container of %zu bytes",
                         (int)field_len, field, first * 64, value.len);
}

bool fields_collect(struct snapshot *snapshot, const char *field, size_t field_len,
                    const struct field_range *range, struct docid_set *set, struct error *err) {
    uint8_t begin[KEY_BYTES_MAX];
    struct store_cursor cursor;
    if (field_len > FIELD_NAME_BYTES_MAX)
        return true; /* no document has such a field */
    size_t prefix_len = make_prefix(field, field_len, range->kind, begin), len = prefix_len;
    if (range->low) {
        memcpy(begin + len, range->low->bytes, range->low->len);
        len += range->low->len;
    }
    bool ok = store_cursor_open(snapshot->txn, TABLE_FIELDS, begin, len, &cursor, err);
    while (ok && cursor.key.data && cursor.key.len >= prefix_len + CHUNK_KEY_BYTES &&
           memcmp(cursor.key.data, begin, prefix_len) == 0) {
        struct bytes value = {.data = (const uint8_t *)cursor.key.data + prefix_len,
                              .len = cursor.key.len - prefix_len - CHUNK_KEY_BYTES};
        int above = range->high ? against(value, range->high) : -1;
        if (above > 0 || (above == 0 && range->high_open))
            break;
        if (!range->low_open || !range->low || against(value, range->low) != 0)
            ok = collect_entry(snapshot, field, field_len, cursor.key, cursor.value, set, err);
        ok = ok && store_cursor_next(&cursor, err);
    }
    store_cursor_close(&cursor);
    return ok;
}
