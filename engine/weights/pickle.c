#include "engine/weights/pickle.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"

/* A state_dict of 10,000 tensors has about 1 MB. Values, stack and memo are some 200 times that. */
enum { PICKLE_BYTES_MAX = 4 << 20 };
/* A tensor's arguments inside a state_dict are five levels deep. */
enum { PICKLE_DEPTH_MAX = 32 };

struct reader {
    const uint8_t *data;
    size_t len, at, opcode_at;
    struct arena *arena;
    struct pickle_value **stack, **memo; /* [len], one push an opcode; [len] */
    size_t n, memo_n;
    struct error *err;
};

static const char *const known_names[] = {
    "collections.OrderedDict", "torch._utils._rebuild_tensor_v2",
    "torch.FloatStorage",      "torch.HalfStorage",
    "torch.BFloat16Storage",   "torch.DoubleStorage",
    "torch.LongStorage",       "torch.IntStorage",
    "torch.ShortStorage",      "torch.CharStorage",
    "torch.ByteStorage",       "torch.BoolStorage",
};

static bool broken(struct reader *reader, const char *what) {
    return error_set(reader->err, ERROR_CORRUPT, "broken pickle at byte %zu: %s", reader->opcode_at,
                     what);
}

static struct pickle_value *push(struct reader *reader, enum pickle_kind kind) {
    struct pickle_value *value = ARENA_ZERO(reader->arena, struct pickle_value, 1);
    value->kind = kind;
    value->depth = 1;
    return reader->stack[reader->n++] = value;
}

/* The top value; a mark is none. */
static struct pickle_value *pop(struct reader *reader) {
    if (reader->n == 0 || reader->stack[reader->n - 1]->kind == PICKLE_MARK)
        return NULL;
    return reader->stack[--reader->n];
}

static bool take(struct reader *reader, size_t n, const uint8_t **out) {
    if (n > reader->len - reader->at)
        return error_set(reader->err, ERROR_CORRUPT,
                         "broken pickle at byte %zu: %zu bytes wanted, %zu left", reader->opcode_at,
                         n, reader->len - reader->at);
    *out = reader->data + reader->at;
    reader->at += n;
    return true;
}

static bool take_number(struct reader *reader, size_t width, uint64_t *out) {
    const uint8_t *bytes = NULL;
    if (!take(reader, width, &bytes))
        return false;
    *out = 0;
    for (size_t i = width; i-- > 0;)
        *out = *out << 8 | bytes[i];
    return true;
}

static bool push_int(struct reader *reader, size_t width, bool is_signed) {
    uint64_t number = 0;
    if (!take_number(reader, width, &number))
        return false;
    push(reader, PICKLE_INT)->number = is_signed ? (int32_t)number : (int64_t)number;
    return true;
}

/* LONG1: a length, then two's complement. */
static bool push_long(struct reader *reader) {
    uint64_t width = 0, number = 0;
    if (!take_number(reader, 1, &width))
        return false;
    if (width > 8)
        return broken(reader, "a number of more than 64 bits");
    if (!take_number(reader, (size_t)width, &number))
        return false;
    if (width > 0 && width < 8 && number >> (8 * width - 1))
        number |= ~0ULL << 8 * width;
    push(reader, PICKLE_INT)->number = (int64_t)number;
    return true;
}

static bool push_text(struct reader *reader, size_t width) {
    uint64_t len = 0;
    const uint8_t *bytes = NULL;
    if (!take_number(reader, width, &len) || !take(reader, (size_t)len, &bytes))
        return false;
    struct pickle_value *value = push(reader, PICKLE_TEXT);
    value->text = (const char *)bytes;
    value->text_len = (size_t)len;
    return true;
}

static bool push_global(struct reader *reader, const char *module, size_t module_len,
                        const char *name, size_t name_len) {
    for (size_t i = 0; i < sizeof known_names / sizeof *known_names; i++) {
        const char *known = known_names[i];
        if (strlen(known) != module_len + 1 + name_len || memcmp(known, module, module_len) != 0 ||
            known[module_len] != '.' || memcmp(known + module_len + 1, name, name_len) != 0)
            continue;
        struct pickle_value *value = push(reader, PICKLE_GLOBAL);
        value->text = known;
        value->text_len = strlen(known);
        return true;
    }
    enum { SHOWN_MAX = 100 };
    return error_set(reader->err, ERROR_UNSUPPORTED,
                     "the pickle names %.*s.%.*s at byte %zu; refused, only state_dicts of tensors "
                     "are read",
                     (int)(module_len < SHOWN_MAX ? module_len : SHOWN_MAX), module,
                     (int)(name_len < SHOWN_MAX ? name_len : SHOWN_MAX), name, reader->opcode_at);
}

static bool read_global(struct reader *reader) {
    const char *line[2];
    size_t len[2];
    for (size_t i = 0; i < 2; i++) {
        line[i] = (const char *)reader->data + reader->at;
        const char *end = memchr(line[i], '\n', reader->len - reader->at);
        if (!end)
            return broken(reader, "a name without an end");
        len[i] = (size_t)(end - line[i]);
        reader->at += len[i] + 1;
    }
    return push_global(reader, line[0], len[0], line[1], len[1]);
}

static bool stack_global(struct reader *reader) {
    struct pickle_value *name = pop(reader), *module = pop(reader);
    if (!name || !module || name->kind != PICKLE_TEXT || module->kind != PICKLE_TEXT)
        return broken(reader, "STACK_GLOBAL without two texts");
    return push_global(reader, module->text, module->text_len, name->text, name->text_len);
}

/* The top n values become a tuple. */
static bool push_tuple(struct reader *reader, size_t n) {
    uint32_t depth = 0;
    for (size_t i = 0; i < n; i++) {
        if (reader->n <= i || reader->stack[reader->n - 1 - i]->kind == PICKLE_MARK)
            return broken(reader, "too few values on the stack");
        uint32_t item_depth = reader->stack[reader->n - 1 - i]->depth;
        depth = item_depth > depth ? item_depth : depth;
    }
    if (depth >= PICKLE_DEPTH_MAX)
        return error_set(reader->err, ERROR_LIMIT,
                         "broken pickle at byte %zu: nested more than %d deep", reader->opcode_at,
                         PICKLE_DEPTH_MAX);
    const struct pickle_value **items = ARENA_NEW(reader->arena, const struct pickle_value *, n);
    for (size_t i = 0; i < n; i++)
        items[i] = reader->stack[reader->n - n + i];
    reader->n -= n;
    struct pickle_value *tuple = push(reader, PICKLE_TUPLE);
    tuple->depth = depth + 1;
    tuple->items = items;
    tuple->n = n;
    return true;
}

/* How many values stand above the topmost mark. */
static bool above_mark(struct reader *reader, size_t *out) {
    for (size_t i = reader->n; i-- > 0;)
        if (reader->stack[i]->kind == PICKLE_MARK) {
            *out = reader->n - i - 1;
            return true;
        }
    return broken(reader, "no MARK on the stack");
}

static bool tuple_to_mark(struct reader *reader) {
    size_t n = 0;
    if (!above_mark(reader, &n) || !push_tuple(reader, n))
        return false;
    reader->stack[reader->n - 2] = reader->stack[reader->n - 1];
    reader->n--;
    return true;
}

/* n values, a key and its value in turn, go from the top of the stack into the dict below them
 * and, when `marked`, below their mark. */
static bool set_items(struct reader *reader, size_t n, bool marked) {
    size_t below = n + marked;
    if (n % 2 || reader->n < below + 1)
        return broken(reader, "no dict, or a key without its value");
    struct pickle_value *dict = reader->stack[reader->n - below - 1];
    if (dict->kind != PICKLE_DICT)
        return broken(reader, "items for what is no dict");
    if (dict->n + n > dict->cap) {
        dict->cap = 2 * (dict->n + n);
        const struct pickle_value **items =
            ARENA_NEW(reader->arena, const struct pickle_value *, dict->cap);
        if (dict->n)
            memcpy(items, dict->items, dict->n * sizeof *items);
        dict->items = items;
    }
    for (size_t i = 0; i < n; i++) {
        struct pickle_value *item = reader->stack[reader->n - n + i];
        if (item->kind == PICKLE_MARK)
            return broken(reader, "a mark among the items");
        dict->items[dict->n++] = item;
    }
    reader->n -= below;
    return true;
}

static bool reduce(struct reader *reader) {
    struct pickle_value *args = pop(reader), *callee = pop(reader);
    if (!args || !callee || args->kind != PICKLE_TUPLE || callee->kind != PICKLE_GLOBAL)
        return broken(reader, "REDUCE needs a name and a tuple");
    bool is_dict = pickle_text_is(callee, "collections.OrderedDict");
    if (is_dict && args->n > 0)
        return broken(reader, "an OrderedDict with arguments");
    if (!is_dict && !pickle_text_is(callee, "torch._utils._rebuild_tensor_v2"))
        return error_set(reader->err, ERROR_UNSUPPORTED, "the pickle calls %.*s; refused",
                         (int)callee->text_len, callee->text);
    struct pickle_value *value = push(reader, is_dict ? PICKLE_DICT : PICKLE_CALL);
    value->text = callee->text;
    value->text_len = callee->text_len;
    value->items = args->items;
    value->n = args->n;
    value->depth = args->depth;
    return true;
}

static bool persistent(struct reader *reader) {
    struct pickle_value *id = pop(reader);
    if (!id || id->kind != PICKLE_TUPLE)
        return broken(reader, "a persistent id that is no tuple");
    struct pickle_value *value = push(reader, PICKLE_PERSISTENT);
    value->items = id->items;
    value->n = id->n;
    value->depth = id->depth;
    return true;
}

/* BUILD sets attributes; an OrderedDict's _metadata (versions of modules) is all that a state_dict
 * has, and nothing here needs it. */
static bool build(struct reader *reader) {
    struct pickle_value *state = pop(reader);
    if (!state || state->kind != PICKLE_DICT || reader->n == 0 ||
        reader->stack[reader->n - 1]->kind != PICKLE_DICT)
        return broken(reader, "BUILD of what is no dict");
    return true;
}

static bool memo_put(struct reader *reader, uint64_t i) {
    if (reader->n == 0 || reader->stack[reader->n - 1]->kind == PICKLE_MARK || i >= reader->len)
        return broken(reader, "nothing to remember, or its number is too large");
    reader->memo[i] = reader->stack[reader->n - 1];
    reader->memo_n++;
    return true;
}

static bool memo_get(struct reader *reader, uint64_t i) {
    if (i >= reader->len || !reader->memo[i])
        return broken(reader, "no such memo entry");
    reader->stack[reader->n++] = reader->memo[i];
    return true;
}

static bool step_memo(struct reader *reader, uint8_t opcode) {
    uint64_t i;
    bool wide = opcode == 'r' || opcode == 'j';
    if (!take_number(reader, wide ? 4 : 1, &i))
        return false;
    return opcode == 'q' || opcode == 'r' ? memo_put(reader, i) : memo_get(reader, i);
}

static bool step(struct reader *reader, uint8_t opcode) {
    const uint8_t *skipped;
    size_t n = 0;
    switch (opcode) {
    case 0x80: return take(reader, 1, &skipped); /* PROTO */
    case 0x95: return take(reader, 8, &skipped); /* FRAME */
    case '(': push(reader, PICKLE_MARK); return true;
    case 'N': push(reader, PICKLE_NONE); return true;
    case 0x88: push(reader, PICKLE_BOOL)->number = 1; return true;
    case 0x89: push(reader, PICKLE_BOOL); return true;
    case 'K': return push_int(reader, 1, false);
    case 'M': return push_int(reader, 2, false);
    case 'J': return push_int(reader, 4, true);
    case 0x8a: return push_long(reader);
    case 'X': return push_text(reader, 4);
    case 0x8c: return push_text(reader, 1);
    case 'c': return read_global(reader);
    case 0x93: return stack_global(reader);
    case '}': push(reader, PICKLE_DICT); return true;
    case ')': return push_tuple(reader, 0);
    case 0x85: return push_tuple(reader, 1);
    case 0x86: return push_tuple(reader, 2);
    case 0x87: return push_tuple(reader, 3);
    case 't': return tuple_to_mark(reader);
    case 's': return set_items(reader, 2, false);
    case 'u': return above_mark(reader, &n) && set_items(reader, n, true);
    case 'R': return reduce(reader);
    case 'Q': return persistent(reader);
    case 'b': return build(reader);
    case 'q':
    case 'r':
    case 'h':
    case 'j': return step_memo(reader, opcode);
    case 0x94: return memo_put(reader, reader->memo_n);
    default:
        return error_set(reader->err, ERROR_UNSUPPORTED,
                         "the pickle has opcode 0x%02x at byte %zu; refused", opcode,
                         reader->opcode_at);
    }
}

bool pickle_text_is(const struct pickle_value *value, const char *text) {
    return (value->kind == PICKLE_TEXT || value->kind == PICKLE_GLOBAL) &&
           value->text_len == strlen(text) && memcmp(value->text, text, value->text_len) == 0;
}

bool pickle_read(const uint8_t *data, size_t len, struct arena *arena,
                 const struct pickle_value **out, struct error *err) {
    if (len > PICKLE_BYTES_MAX)
        return error_set(err, ERROR_LIMIT, "a pickle of %zu bytes, at most %d", len,
                         PICKLE_BYTES_MAX);
    struct reader reader = {.data = data, .len = len, .arena = arena, .err = err};
    reader.stack = mem_zalloc(len + 1, sizeof *reader.stack);
    reader.memo = mem_zalloc(len + 1, sizeof *reader.memo);
    bool ok = true, stopped = false;
    while (ok && !stopped && reader.at < len) {
        reader.opcode_at = reader.at;
        uint8_t opcode = data[reader.at++];
        stopped = opcode == '.';
        ok = stopped || step(&reader, opcode);
    }
    struct pickle_value *top = ok && stopped ? pop(&reader) : NULL;
    if (ok && !top)
        ok = broken(&reader, stopped ? "nothing on the stack" : "no STOP at its end");
    if (ok)
        *out = top;
    free(reader.stack);
    free(reader.memo);
    return ok;
}
