/* pickle.h - the values of a Python pickle, as far as a PyTorch state_dict needs them.
 *
 * Nothing is ever executed: a call of one of the few known names becomes a value that tells name
 * and arguments, every other name is refused by name. Opcodes: Python's pickletools.py, protocols
 * 2 to 5. Values borrow the pickle's bytes and live in the arena. */
#ifndef TERCET_PICKLE_H
#define TERCET_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"

enum pickle_kind {
    PICKLE_MARK,
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_TEXT,
    PICKLE_GLOBAL,     /* text: "module.name" */
    PICKLE_TUPLE,      /* items */
    PICKLE_DICT,       /* items: key, value, key, value, ...; an OrderedDict too */
    PICKLE_CALL,       /* text: the name called; items: its arguments */
    PICKLE_PERSISTENT, /* items: the parts of the persistent id */
};

struct pickle_value {
    enum pickle_kind kind;
    uint32_t depth;
    int64_t number;
    const char *text; /* no NUL behind it */
    size_t text_len;
    const struct pickle_value **items;
    size_t n, cap;
};

/* ERROR_CORRUPT names the byte; ERROR_UNSUPPORTED the name or opcode that is refused. */
bool pickle_read(const uint8_t *data, size_t len, struct arena *arena,
                 const struct pickle_value **out, struct error *err);

bool pickle_text_is(const struct pickle_value *value, const char *text);

#endif
