#include "index/fields/fields.h"

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
    ORDERED_BYTES = 8, /* of numbers and dates */
};

/* Numbers and dates are entered by so many of their first bytes, and whole. Of a number, 2 bytes
 * are its sign, exponent and 4 bits of what follows: 16 spans to a power of two; 3 bytes are 4,096,
 * 4 bytes a million. Of a date: 8.9 years, 12.7 days, 71 minutes. So the ends of a range walk some
 * hundred entries, whether values are spread wide or all lie close together. */
static const uint8_t span_bytes[] = {2, 3, 4, ORDERED_BYTES};
enum { LEVELS_N = sizeof span_bytes / sizeof *span_bytes };

static bool is_ordered(enum field_kind kind) {
    return kind == FIELD_NUMBER || kind == FIELD_DATE;
}

/* The byte of a key that says what its value is. bytes_n: how many of an ordered value. */
static uint8_t kind_byte(enum field_kind kind, size_t bytes_n) {
    return (uint8_t)(kind | (is_ordered(kind) && bytes_n < ORDERED_BYTES ? bytes_n << 4 : 0));
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
static size_t make_prefix(const char *field, size_t field_len, uint8_t kind,
                          uint8_t key[KEY_BYTES_MAX]) {
    memcpy(key, field, field_len);
    key[field_len] = '\0';
    key[field_len + 1] = kind;
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

static void note_entry(struct noting *noting, uint8_t kind, const uint8_t *bytes, size_t bytes_n) {
    struct fields_batch *batch = noting->batch;
    uint8_t key[KEY_BYTES_MAX];
    size_t len = make_prefix(noting->name, noting->name_len, kind, key);
    memcpy(key + len, bytes, bytes_n);
    len += bytes_n;
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
}

static bool note_value(struct noting *noting, const struct field_value *value, struct error *err) {
    if (noting->values_n == FIELD_VALUES_MAX)
        return error_set(err, ERROR_LIMIT, "fields: more than %d values", FIELD_VALUES_MAX);
    noting->values_n++;
    note_entry(noting, FIELD_EXISTS, (const uint8_t *)"", 0);
    if (!is_ordered(value->kind))
        note_entry(noting, (uint8_t)value->kind, value->bytes, value->len);
    for (size_t i = 0; i < LEVELS_N && is_ordered(value->kind); i++)
        note_entry(noting, kind_byte(value->kind, span_bytes[i]), value->bytes, span_bytes[i]);
    return true;
}

static bool note_object(struct noting *noting, const struct json *object, struct error *err);

static bool note(struct noting *noting, const struct json *json, struct error *err) {
    struct field_value value;
    if (json_kind_of(json) == JSON_KIND_OBJECT)
        return note_object(noting, json, err);
    if (json_kind_of(json) == JSON_KIND_ARRAY) {
        for (size_t i = 0; i < json_count(json); i++)
            if (!note(noting, json_at(json, i), err))
                return false;
        return true;
    }
    return !field_value_of(json, &value) || note_value(noting, &value, err);
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

static void sort_batch(struct fields_batch *batch) {
    for (size_t i = 0; i < batch->n; i++)
        batch->items[i].key = (const uint8_t *)batch->keys.data + batch->items[i].key_at;
    if (batch->n > 1)
        qsort(batch->items, batch->n, sizeof *batch->items, by_key);
}

bool fields_write(struct store_txn *txn, struct fields_batch *batch, struct error *err) {
    sort_batch(batch);
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

/* ---- comparing ---- */

uint64_t fields_key_hash(const uint8_t *key, size_t key_len) {
    return XXH3_64bits(key, key_len);
}

/* All changes are of one document here, so equal keys are one entry. */
bool fields_sum(const char *json, size_t len, uint64_t *out, struct error *err) {
    struct fields_batch batch = {0};
    uint64_t sum = 0;
    if (!fields_note(&batch, 0, json, len, false, err))
        return false;
    sort_batch(&batch);
    for (size_t i = 0; i < batch.n; i++) {
        const struct field_change *change = &batch.items[i], *before = change - 1;
        if (i == 0 || compare_keys(before->key, before->key_len, change->key, change->key_len) != 0)
            sum += fields_key_hash(change->key, change->key_len - CHUNK_KEY_BYTES);
    }
    fields_done(&batch);
    *out = sum;
    return true;
}

static bool is_value(uint8_t kind, const uint8_t *value, size_t len) {
    for (size_t i = 0; i + 1 < LEVELS_N; i++)
        if (kind == kind_byte(FIELD_NUMBER, span_bytes[i]) ||
            kind == kind_byte(FIELD_DATE, span_bytes[i]))
            return len == span_bytes[i];
    switch ((enum field_kind)kind) {
    case FIELD_EXISTS: return len == 0;
    case FIELD_BOOL: return len == 1 && value[0] <= 1;
    case FIELD_NUMBER:
    case FIELD_DATE: return len == ORDERED_BYTES;
    case FIELD_KEYWORD:
        return len > 0 && len <= FIELD_KEYWORD_BYTES_MAX + 1 &&
               memchr(value, '\0', len) == value + len - 1;
    case FIELD_LONG: return len == 16;
    }
    return false;
}

bool fields_key_valid(const uint8_t *key, size_t key_len) {
    const uint8_t *end = memchr(key, '\0', key_len);
    if (!end || end - key > FIELD_NAME_BYTES_MAX)
        return false;
    size_t rest = key_len - (size_t)(end + 1 - key);
    return rest >= 1 + CHUNK_KEY_BYTES && is_value(end[1], end + 2, rest - 1 - CHUNK_KEY_BYTES);
}

/* ---- reading ---- */

/* A walk over the entries of one field. */
struct walk {
    struct snapshot *snapshot;
    const char *field;
    size_t field_len;
    enum field_kind kind;
    struct docid_set *set;
};

static bool collect_entry(const struct walk *walk, struct bytes key, struct bytes value,
                          struct error *err) {
    struct docid_set *set = walk->set;
    const uint8_t *chunk_at = (const uint8_t *)key.data + key.len - CHUNK_KEY_BYTES;
    size_t first = ((size_t)chunk_at[0] << 8 | chunk_at[1]) * DOCID_CHUNK_WORDS;
    if (first < set->words_n && read_container(value, set->words + first))
        return true;
    return store_corrupt(walk->snapshot->txn, TABLE_FIELDS, err,
                         "field \"%.*s\", docids from %zu on: a container of %zu bytes",
                         (int)walk->field_len, walk->field, first * 64, value.len);
}

/* Every entry of that kind between two values, both included. */
static bool collect(const struct walk *walk, uint8_t kind, const uint8_t *low, size_t low_len,
                    const uint8_t *high, size_t high_len, struct error *err) {
    uint8_t begin[KEY_BYTES_MAX];
    struct store_cursor cursor = {0};
    size_t prefix_len = make_prefix(walk->field, walk->field_len, kind, begin);
    memcpy(begin + prefix_len, low, low_len);
    bool ok = store_cursor_open(walk->snapshot->txn, TABLE_FIELDS, begin, prefix_len + low_len,
                                &cursor, err);
    while (ok && cursor.key.data && cursor.key.len >= prefix_len + CHUNK_KEY_BYTES &&
           memcmp(cursor.key.data, begin, prefix_len) == 0 &&
           compare_keys((const uint8_t *)cursor.key.data + prefix_len,
                        cursor.key.len - prefix_len - CHUNK_KEY_BYTES, high, high_len) <= 0)
        ok = collect_entry(walk, cursor.key, cursor.value, err) && store_cursor_next(&cursor, err);
    store_cursor_close(&cursor);
    return ok;
}

/* Numbers or dates from low to high, as the numbers that their bytes are: spans of this level that
 * lie whole between them, and what is left at both ends from the levels below. */
static bool collect_span(const struct walk *walk, size_t level, uint64_t low, uint64_t high,
                         struct error *err) {
    size_t bytes_n = span_bytes[level];
    unsigned shift = 64 - 8 * (unsigned)bytes_n;
    uint64_t rest = shift ? (UINT64_C(1) << shift) - 1 : 0;
    uint64_t first = (low >> shift) + ((low & rest) != 0);
    uint64_t last = (high >> shift) - ((high & rest) != rest); /* wraps when it is the first */
    uint8_t first_bytes[8], last_bytes[8];
    bool none = first > last || (high < rest && shift);
    if (none)
        return collect_span(walk, level + 1, low, high, err);
    put_be64(first_bytes, first << shift);
    put_be64(last_bytes, last << shift);
    uint64_t begin = first << shift, end = (last << shift) | rest;
    return collect(walk, kind_byte(walk->kind, bytes_n), first_bytes, bytes_n, last_bytes, bytes_n,
                   err) &&
           (low == begin || collect_span(walk, level + 1, low, begin - 1, err)) &&
           (high == end || collect_span(walk, level + 1, end + 1, high, err));
}

static bool collect_range(const struct walk *walk, const struct field_range *range,
                          struct error *err) {
    uint64_t low = range->low ? get_be64(range->low->bytes) : 0;
    uint64_t high = range->high ? get_be64(range->high->bytes) : UINT64_MAX;
    if ((range->low_open && low == UINT64_MAX) || (range->high_open && high == 0))
        return true;
    low += range->low_open;
    high -= range->high_open;
    return low > high || collect_span(walk, 0, low, high, err);
}

bool fields_collect(struct snapshot *snapshot, const char *field, size_t field_len,
                    const struct field_range *range, struct docid_set *set, struct error *err) {
    const struct walk walk = {snapshot, field, field_len, range->kind, set};
    if (field_len > FIELD_NAME_BYTES_MAX)
        return true; /* no document has such a field */
    if (is_ordered(range->kind))
        return collect_range(&walk, range, err);
    return collect(&walk, (uint8_t)range->kind, range->low->bytes, range->low->len,
                   range->high->bytes, range->high->len, err);
}

bool fields_each(struct snapshot *snapshot, const char *field, size_t field_len,
                 bool (*visit)(void *context, const struct fields_entry *entry, struct error *err),
                 void *context, struct error *err) {
    uint8_t begin[KEY_BYTES_MAX];
    struct store_cursor cursor = {0};
    if (field_len > FIELD_NAME_BYTES_MAX)
        return true; /* no document has such a field */
    size_t name_len = make_prefix(field, field_len, FIELD_EXISTS, begin) - 1; /* with its NUL */
    bool ok = store_cursor_open(snapshot->txn, TABLE_FIELDS, begin, name_len, &cursor, err);
    while (ok && cursor.key.len > name_len + CHUNK_KEY_BYTES &&
           memcmp(cursor.key.data, begin, name_len) == 0) {
        const uint8_t *at = (const uint8_t *)cursor.key.data + name_len;
        const uint8_t *chunk_at = (const uint8_t *)cursor.key.data + cursor.key.len - 2;
        struct fields_entry entry = {.kind = *at,
                                     .value = at + 1,
                                     .value_len = (size_t)(chunk_at - at) - 1,
                                     .chunk = (uint32_t)chunk_at[0] << 8 | chunk_at[1],
                                     .container = cursor.value};
        if (entry.kind > FIELD_LONG) /* spans */
            break;
        ok = visit(context, &entry, err) && store_cursor_next(&cursor, err);
    }
    store_cursor_close(&cursor);
    return ok;
}

bool fields_entry_count(const struct fields_entry *entry, const struct docid_set *set,
                        uint32_t *n_out, uint32_t *first_out) {
    size_t first_word = (size_t)entry->chunk * DOCID_CHUNK_WORDS;
    uint32_t n = 0, first = UINT32_MAX;
    struct bytes from = entry->container;
    const uint8_t *at = from.data;
    if (from.len == 0 || from.len > CONTAINER_BYTES || from.len % 2 != 0 ||
        (set && first_word >= set->words_n))
        return false;
    if (from.len == CONTAINER_BYTES) {
        for (size_t i = 0; i < DOCID_CHUNK_WORDS; i++) {
            uint64_t word = get_u64(at + 8 * i) & (set ? set->words[first_word + i] : UINT64_MAX);
            if (word && first == UINT32_MAX)
                first = (uint32_t)(64 * i) + (uint32_t)__builtin_ctzll(word);
            n += (uint32_t)__builtin_popcountll(word);
        }
    } else {
        for (size_t i = 0; i < from.len; i += 2) {
            uint32_t offset = get_u16(at + i);
            bool in = !set || (set->words[first_word + offset / 64] >> (offset % 64) & 1);
            first = in && offset < first ? offset : first;
            n += in;
        }
    }
    *n_out = n;
    *first_out = entry->chunk * DOCID_CHUNK + first;
    return true;
}
