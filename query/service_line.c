/* A search that comes as a line, not over HTTP: the collection stands in the request itself. */
#include <string.h>

#include "query/service_inside.h"

const struct server_route *service_lines(const struct service *service) {
    return &service->lines;
}

/* The only collection there is; NULL: there is none, or several. */
static const char *only_collection(struct service *service) {
    const char *name = NULL;
    size_t found_n = 0;
    collections_look(service->collections);
    for (size_t i = 0, n = collections_n(service->collections); i < n; i++) {
        struct collection *collection = collections_at(service->collections, i);
        struct opened *opened;
        struct error deleted;
        if (!collection_hold(collection, &opened, &deleted))
            continue;
        collection_release(collection, opened);
        name = collection_name(collection);
        found_n++;
    }
    return found_n == 1 ? name : NULL;
}

const char *service_line_collection(struct service *service, struct json *body, struct arena *arena,
                                    struct error *err) {
    const char *name = NULL;
    if (json_kind_of(body) == JSON_KIND_OBJECT && !json_read_string(body, "collection", &name, err))
        return NULL;
    if (!name)
        name = only_collection(service);
    if (!name) {
        error_set(err, ERROR_INVALID, "\"collection\" must say which one is meant");
        return NULL;
    }
    name = arena_text(arena, name, strlen(name));
    if (json_kind_of(body) == JSON_KIND_OBJECT)
        json_remove(body, "collection");
    return name;
}
