/* json_fuzz - any JSON: read, printed and read again it is the same.
 *
 * An input is a JSON text. What is read prints as UTF-8, and what that reads as prints the same
 * bytes; a copy prints the same, too. What is refused says why, in a line and column of the
 * text. A string that is base64 gives bytes whose base64 it is. Run it: docs/fuzzing.md. */
#include <assert.h>
#include <string.h>

#include "engine/base/base64.h"
#include "engine/base/json.h"
#include "tests/fuzz/fuzz.h"

static void check_base64(const char *text, size_t len) {
    struct error err;
    struct buf printed = {0};
    size_t n = 0;
    uint8_t *bytes = malloc(len / 4 * 3 + 1);
    char *copy = fuzz_copy(text, len);
    buf_append(&printed, "", 0);
    if (base64_parse(copy, len, bytes, &n, &err)) {
        assert(n <= len / 4 * 3);
        base64_print(bytes, n, &printed);
        /* The last character may have bits of its own that mean nothing. */
        assert(printed.len == len);
        for (size_t i = 0; i < len; i++)
            assert(printed.data[i] == text[i] || (i >= len - 4 && text[len - 1] == '='));
    } else {
        assert(err.code == ERROR_INVALID && err.message[0]);
    }
    buf_done(&printed);
    free(copy);
    free(bytes);
}

/* Every value is reached, members by their names as well. Returns how deep it goes. */
static size_t look(const struct json *json) {
    size_t deepest = 0, n = 0;
    for (size_t i = 0; json_kind_of(json) == JSON_KIND_ARRAY && i < json_count(json); i++) {
        size_t inner = look(json_at(json, i));
        deepest = inner > deepest ? inner : deepest;
    }
    for (void *at = json_first(json); at; at = json_next(json, at), n++) {
        size_t inner = look(json_member_value(at));
        deepest = inner > deepest ? inner : deepest;
        assert(json_get(json, json_member_key(at)) == json_member_value(at));
    }
    assert(json_kind_of(json) != JSON_KIND_OBJECT || n == json_count(json));
    assert(!json_at(json, json_count(json)));
    if (json_kind_of(json) == JSON_KIND_STRING) {
        size_t len;
        const char *text = json_string_of(json, &len);
        assert(text[len] == '\0' && fuzz_is_utf8(text, len));
        check_base64(text, len);
    }
    return deepest + (json_kind_of(json) >= JSON_KIND_ARRAY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error err;
    struct buf first = {0}, second = {0}, third = {0};
    char *text = fuzz_copy(data, size);
    struct json *json = json_parse(text, size, &err);
    free(text);
    if (!json) {
        assert((err.code == ERROR_INVALID || err.code == ERROR_LIMIT) && err.message[0]);
        assert(fuzz_is_utf8(err.message, strlen(err.message)));
        return 0;
    }
    assert(look(json) <= JSON_DEPTH_MAX);
    json_print(json, &first);
    assert(fuzz_is_utf8(first.data, first.len) && !memchr(first.data, '\n', first.len));
    struct json *again = json_parse(first.data, first.len, &err), *copy = json_copy_of(json);
    assert(again);
    json_print(again, &second);
    json_print(copy, &third);
    assert(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
    assert(first.len == third.len && memcmp(first.data, third.data, first.len) == 0);
    json_release(json);
    json_release(again);
    json_release(copy);
    buf_done(&first);
    buf_done(&second);
    buf_done(&third);
    return 0;
}
