/* search_fuzz - whatever JSON asks for: a search, a filter, or a complaint that names the member.
 *
 * The first byte of an input chooses: a search request (even) or a filter (odd); the rest is its
 * JSON. Beside the sanitizers this checks that what was read keeps to its limits, that it is read
 * the same a second time, and that every refusal says why. Run it: docs/fuzzing.md. */
#include <assert.h>
#include <string.h>

#include "index/fields/filter.h"
#include "query/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_refusal(const struct error *err) {
    assert(err->code == ERROR_INVALID || err->code == ERROR_LIMIT ||
           err->code == ERROR_UNSUPPORTED);
    assert(err->message[0] && strlen(err->message) < sizeof err->message);
}

static void read_request(const struct json *json) {
    struct arena arena = {0};
    struct search_request request = {0}, again = {0};
    char field[REQUEST_FIELD_MAX] = "", field_again[REQUEST_FIELD_MAX] = "";
    struct error err;
    bool ok = request_from_json(json, &arena, &request, field, &err);
    assert(memchr(field, '\0', sizeof field));
    if (!ok)
        check_refusal(&err);
    assert(request_from_json(json, &arena, &again, field_again, &err) == ok);
    assert(strcmp(field, field_again) == 0);
    if (ok) {
        assert(request.k == again.k && request.modes == again.modes);
        assert(request.k <= SEARCH_K_MAX);
        assert(search_check_source(&request, &err));
    }
    arena_done(&arena);
}

static void read_filter(const struct json *json) {
    struct arena arena = {0};
    struct filter *filter = NULL;
    struct error err;
    if (filter_parse(json, &arena, &filter, &err))
        filter_passes_all(filter);
    else
        check_refusal(&err);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error err;
    if (size == 0)
        return 0;
    struct json *json = json_parse((const char *)data + 1, size - 1, &err);
    if (!json)
        check_refusal(&err);
    else if (data[0] % 2)
        read_filter(json);
    else
        read_request(json);
    json_release(json);
    return 0;
}
