#include "query/server/router.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"

struct span {
    const char *at;
    size_t len;
};

enum segment_kind { SEGMENT_LITERAL, SEGMENT_NAME, SEGMENT_TEXT };

struct segment {
    enum segment_kind kind;
    struct span text; /* the literal, or the parameter's name; borrowed from the pattern */
};

struct entry {
    const struct server_route *route;
    struct segment segments[ROUTER_SEGMENTS_MAX];
    size_t segments_n;
    uint32_t rank; /* bit 31 - i is set when segment i is literal: larger wins */
    char *names;   /* parameter names, NUL-terminated one behind the other; owned */
    const char *params[ROUTER_PARAMS_MAX];
    size_t params_n;
};

struct router {
    struct entry *entries; /* [n] */
    size_t n;
};

static const char *const method_names[] = {
    [SERVER_GET] = "GET",         [SERVER_HEAD] = "HEAD",          [SERVER_POST] = "POST",
    [SERVER_PUT] = "PUT",         [SERVER_PATCH] = "PATCH",        [SERVER_DELETE] = "DELETE",
    [SERVER_OPTIONS] = "OPTIONS", [SERVER_METHOD_OTHER] = "OTHER",
};

const char *router_method_name(enum server_method method) {
    return method_names[method];
}

/* ---- text ---- */

static bool is_name_byte(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_' || byte == '-';
}

bool router_name_is_valid(const char *name) {
    size_t len = 0;
    while (is_name_byte(name[len]))
        if (++len > ROUTER_NAME_BYTES_MAX)
            return false;
    return len > 0 && name[len] == '\0';
}

static int hex_digit(char byte) {
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The length of the code point at *at when it is well-formed UTF-8 (no overlong forms, no
 * surrogates, at most U+10FFFF) and no C0 control or DEL; else 0. */
static size_t code_point_len(const unsigned char *at, size_t left) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (at[0] < 0x80)
        return at[0] >= 0x20 && at[0] != 0x7f;
    size_t len = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || len > left)
        return 0;
    uint32_t code = at[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3fu);
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < least[len] || surrogate || code > 0x10ffff ? 0 : len;
}

char *router_decode(const char *text, size_t len, bool plus, struct arena *arena, size_t *len_out) {
    char *out = arena_alloc(arena, len + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '%') {
            out[n++] = plus && text[i] == '+' ? ' ' : text[i];
            continue;
        }
        int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
        int low = i + 2 < len ? hex_digit(text[i + 2]) : -1;
        if (high < 0 || low < 0)
            return NULL;
        out[n++] = (char)(high << 4 | low);
        i += 2;
    }
    out[n] = '\0';
    for (size_t i = 0, step; i < n; i += step)
        if (!(step = code_point_len((const unsigned char *)out + i, n - i)))
            return NULL;
    *len_out = n;
    return out;
}

/* ---- patterns ---- */

/* Splits "/a/b" into its segments; "/" has none. Returns false when there are more than
 * ROUTER_SEGMENTS_MAX. */
static bool split(const char *path, size_t len, struct span *out, size_t *n_out) {
    size_t n = 0, at = 1;
    while (at < len || (at == len && len > 1)) {
        const char *slash = memchr(path + at, '/', len - at);
        size_t end = slash ? (size_t)(slash - path) : len;
        if (n == ROUTER_SEGMENTS_MAX)
            return false;
        out[n++] = (struct span){path + at, end - at};
        at = end + 1;
    }
    *n_out = n;
    return true;
}

static bool span_is(struct span span, const char *text) {
    return strlen(text) == span.len && memcmp(span.at, text, span.len) == 0;
}

static bool read_segment(struct span span, struct segment *out) {
    *out = (struct segment){SEGMENT_LITERAL, span};
    if (span.len == 0 || span.at[0] != '{')
        return span.len > 0 && !memchr(span.at, '{', span.len);
    if (span.len < 3 || span.at[span.len - 1] != '}')
        return false;
    struct span inner = {span.at + 1, span.len - 2};
    const char *colon = memchr(inner.at, ':', inner.len);
    size_t name_len = colon ? (size_t)(colon - inner.at) : inner.len;
    struct span kind = {inner.at + name_len + 1, colon ? inner.len - name_len - 1 : 0};
    if (name_len == 0 || (colon && !span_is(kind, "text")))
        return false;
    *out = (struct segment){colon ? SEGMENT_TEXT : SEGMENT_NAME, {inner.at, name_len}};
    return true;
}

static bool read_pattern(const struct server_route *route, struct entry *entry) {
    struct span spans[ROUTER_SEGMENTS_MAX];
    const char *pattern = route->pattern;
    if (pattern[0] != '/' || !split(pattern, strlen(pattern), spans, &entry->segments_n))
        return false;
    entry->route = route;
    entry->names = mem_alloc(strlen(pattern) + 1, 1);
    char *names = entry->names;
    for (size_t i = 0; i < entry->segments_n; i++) {
        struct segment *segment = &entry->segments[i];
        if (!read_segment(spans[i], segment))
            return false;
        if (segment->kind == SEGMENT_LITERAL) {
            entry->rank |= UINT32_C(1) << (31 - i);
            continue;
        }
        if (entry->params_n == ROUTER_PARAMS_MAX)
            return false;
        memcpy(names, segment->text.at, segment->text.len);
        names[segment->text.len] = '\0';
        entry->params[entry->params_n++] = names;
        names += segment->text.len + 1;
    }
    return true;
}

/* Two patterns that match the same paths and rank the same. */
static bool same_shape(const struct entry *a, const struct entry *b) {
    if (a->segments_n != b->segments_n || a->rank != b->rank)
        return false;
    for (size_t i = 0; i < a->segments_n; i++) {
        struct span text = a->segments[i].text, other = b->segments[i].text;
        if (a->segments[i].kind == SEGMENT_LITERAL &&
            (text.len != other.len || memcmp(text.at, other.at, text.len) != 0))
            return false;
    }
    return true;
}

struct router *router_open(const struct server_route *routes, size_t routes_n, struct error *err) {
    struct router *router = mem_zalloc(1, sizeof *router);
    router->entries = mem_zalloc(routes_n ? routes_n : 1, sizeof *router->entries);
    for (size_t i = 0; i < routes_n; i++) {
        const struct server_route *route = &routes[i];
        router->n = i + 1;
        if (route->method == SERVER_HEAD || route->method >= SERVER_METHOD_OTHER ||
            !read_pattern(route, &router->entries[i])) {
            error_set(err, ERROR_INVALID,
                      "route %zu \"%s\": a pattern is /segments of text, {name} or {name:text}, "
                      "for GET, POST, PUT, PATCH, DELETE or OPTIONS",
                      i, route->pattern);
            goto fail;
        }
        for (size_t j = 0; j < i; j++)
            if (routes[j].method == route->method &&
                same_shape(&router->entries[i], &router->entries[j])) {
                error_set(err, ERROR_INVALID, "routes %s \"%s\" and \"%s\" match the same paths",
                          router_method_name(route->method), routes[j].pattern, route->pattern);
                goto fail;
            }
    }
    return router;
fail:
    router_close(router);
    return NULL;
}

void router_close(struct router *router) {
    if (!router)
        return;
    for (size_t i = 0; i < router->n; i++)
        free(router->entries[i].names);
    free(router->entries);
    free(router);
}

/* ---- matching ---- */

/* The target's path and query: "http://host/a?b" -> "/a", "b". A "#" never comes over the wire. */
static bool split_target(const char *target, size_t len, struct span *path, struct span *query) {
    assert(target);
    if (len && target[0] != '/') {
        const char *scheme = memmem(target, len, "://", 3);
        const char *mark = memchr(target, '?', len);
        if (!scheme || (mark && mark < scheme))
            return false;
        size_t skip = (size_t)(scheme - target) + 3;
        const char *slash = memchr(target + skip, '/', len - skip);
        if (!slash)
            return false;
        len -= (size_t)(slash - target);
        target = slash;
    }
    if (!len || memchr(target, '#', len))
        return false;
    const char *mark = memchr(target, '?', len);
    *path = (struct span){target, mark ? (size_t)(mark - target) : len};
    *query = (struct span){target + len, 0};
    if (mark)
        *query = (struct span){mark + 1, len - path->len - 1};
    return true;
}

static void refuse(struct router_match *out, int status, const char *code, const char *field,
                   const char *message) {
    out->status = status;
    out->route = NULL;
    out->code = code;
    out->field = field;
    out->message = message;
}

static bool shape_matches(const struct entry *entry, const struct span *segments, size_t n) {
    if (entry->segments_n != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct segment *segment = &entry->segments[i];
        if (segment->kind == SEGMENT_LITERAL
                ? segment->text.len != segments[i].len ||
                      memcmp(segment->text.at, segments[i].at, segments[i].len) != 0
                : segments[i].len == 0)
            return false;
    }
    return true;
}

static void list_allowed(enum server_method method, unsigned methods, struct arena *arena,
                         struct router_match *out) {
    const char *list = "";
    methods |= 1u << SERVER_OPTIONS;
    if (methods & 1u << SERVER_GET)
        methods |= 1u << SERVER_HEAD;
    for (unsigned each = 0; each < SERVER_METHOD_OTHER; each++)
        if (methods & 1u << each)
            list = arena_format(arena, "%s%s%s", list, *list ? ", " : "", method_names[each]);
    out->allow = list;
    if (method == SERVER_OPTIONS)
        out->status = 204;
    else
        refuse(out, 405, "method_not_allowed", NULL,
               arena_format(arena, "%s does not take this method; allowed: %s", out->path, list));
}

static void fill_params(const struct entry *entry, const struct span *decoded, struct arena *arena,
                        struct router_match *out) {
    for (size_t i = 0; i < entry->segments_n; i++) {
        if (entry->segments[i].kind == SEGMENT_LITERAL)
            continue;
        const char *name = entry->params[out->params_n];
        out->params[out->params_n++] = (struct server_pair){name, decoded[i].at};
        if (entry->segments[i].kind == SEGMENT_NAME && !router_name_is_valid(decoded[i].at)) {
            refuse(out, 400, "invalid_name", name,
                   "a name has 1 to 64 letters, digits, \"-\" and \"_\"");
            return;
        }
        if (decoded[i].len > ROUTER_TEXT_BYTES_MAX) {
            refuse(out, 400, "invalid_path", name,
                   arena_format(arena, "longer than %d bytes", ROUTER_TEXT_BYTES_MAX));
            return;
        }
    }
    out->route = entry->route;
    out->status = 200;
}

/* Every segment decoded and the whole path put together again; false when one may not be. */
static bool decode_path(const struct span *segments, size_t n, struct arena *arena,
                        struct span *decoded, const char **path_out) {
    size_t len = 1;
    for (size_t i = 0; i < n; i++) {
        decoded[i].at =
            router_decode(segments[i].at, segments[i].len, false, arena, &decoded[i].len);
        if (!decoded[i].at || span_is(decoded[i], ".") || span_is(decoded[i], ".."))
            return false;
        len += decoded[i].len + 1;
    }
    char *path = arena_alloc(arena, len + 1, 1);
    char *end = path;
    *end++ = '/';
    for (size_t i = 0; i < n; i++) {
        if (i)
            *end++ = '/';
        memcpy(end, decoded[i].at, decoded[i].len);
        end += decoded[i].len;
    }
    *end = '\0';
    *path_out = path;
    return true;
}

void router_match(const struct router *router, enum server_method method, const char *target,
                  size_t target_len, struct arena *arena, struct router_match *out) {
    struct span path, query, segments[ROUTER_SEGMENTS_MAX], decoded[ROUTER_SEGMENTS_MAX];
    size_t n;
    *out = (struct router_match){.path = "/", .query = ""};
    if (!split_target(target, target_len, &path, &query)) {
        refuse(out, 400, "invalid_path", NULL, "the request target must be a path: /...");
        return;
    }
    if (!split(path.at, path.len, segments, &n)) {
        refuse(out, 404, "not_found", NULL, "no such path: more segments than any route has");
        return;
    }
    if (!decode_path(segments, n, arena, decoded, &out->path)) {
        refuse(out, 400, "invalid_path", NULL,
               "the path has a broken %-escape, a control character, invalid UTF-8, or a \".\" or "
               "\"..\" segment");
        return;
    }
    out->query = arena_text(arena, query.at, query.len);

    enum server_method wanted = method == SERVER_HEAD ? SERVER_GET : method;
    const struct entry *best = NULL;
    unsigned methods = 0;
    for (size_t i = 0; i < router->n; i++) {
        const struct entry *entry = &router->entries[i];
        if (!shape_matches(entry, segments, n))
            continue;
        methods |= 1u << entry->route->method;
        if (entry->route->method == wanted && (!best || entry->rank > best->rank))
            best = entry;
    }
    if (best)
        fill_params(best, decoded, arena, out);
    else if (methods)
        list_allowed(method, methods, arena, out);
    else
        refuse(out, 404, "not_found", NULL, arena_format(arena, "no such path: %s", out->path));
}
