/* PUT of a collection: what it is to be like, and whether the one that is there is like that. */
#include <string.h>

#include "query/service_inside.h"

/* NULL: there is none, or its folder was removed since it was last looked at. */
static struct collection *find_there(struct service *service, const char *name) {
    struct collection *collection = collections_find(service->collections, name);
    struct opened *opened;
    struct error removed;
    if (!collection || !collection_hold(collection, &opened, &removed))
        return NULL;
    collection_release(collection, opened);
    return collection;
}

struct collection *service_collection_ensure(struct service *service, const char *name,
                                             const struct service_choices *choices, bool *made_out,
                                             struct error *err) {
    static const struct service_choices usual = {0};
    struct collection *collection = find_there(service, name);
    struct index *index;
    struct buf folder = {0};
    *made_out = !collection;
    if (collection)
        return collection;
    if (!collections_have_room(service->collections, name, err))
        return NULL;
    buf_format(&folder, "%s/%s", service->data, name);
    if (service->options.writer.create(service->options.writer.context, folder.data,
                                       choices ? choices : &usual, &index, err))
        collections_add(service->collections, name, index, &collection, err);
    buf_done(&folder);
    return collection;
}

/* ---- the body ---- */

static bool read_name(const struct json *json, const char *name, struct arena *arena,
                      const char **out, struct error *err) {
    const char *text = NULL;
    if (!json_read_string(json, name, &text, err))
        return false;
    *out = text ? arena_text(arena, text, strlen(text)) : NULL;
    return true;
}

/* null: none. A server has one model, so there is no other to name. */
static bool read_model(const struct json *json, bool *no_model_out, struct error *err) {
    *no_model_out = json_kind_of(json_get(json, "model")) == JSON_KIND_NULL;
    return *no_model_out ||
           error_set(err, ERROR_INVALID,
                     "\"model\" may be null, for a collection without one; else leave it out: the "
                     "server's own is used");
}

static bool read_member(const struct json *json, const char *name, struct arena *arena,
                        struct service_choices *out, struct error *err) {
    if (strcmp(name, "chunk_tokens") == 0) {
        out->chunk_given = true;
        return json_read_u32(json, name, 0, UINT32_MAX, &out->chunk_tokens, err);
    }
    if (strcmp(name, "chunk_overlap") == 0)
        return json_read_u32(json, name, 0, UINT32_MAX - 1, &out->chunk_overlap, err);
    if (strcmp(name, "model") == 0)
        return read_model(json, &out->no_model, err);
    if (strcmp(name, "dense_dim") == 0)
        return json_read_u32(json, name, 0, UINT32_MAX, &out->dense_dim, err);
    if (strcmp(name, "multi_dim") == 0)
        return json_read_u32(json, name, 0, UINT32_MAX, &out->multi_dim, err);
    if (strcmp(name, "analyzer") == 0)
        return read_name(json, name, arena, &out->analyzer, err);
    return error_set(err, ERROR_INVALID, "unknown member \"%.32s\"", name);
}

static bool members_agree(const struct json *json, const struct service_choices *choices,
                          const char **field_out, struct error *err) {
    if (!choices->chunk_given && json_get(json, *field_out = "chunk_overlap"))
        return error_set(err, ERROR_INVALID, "\"chunk_overlap\" goes with \"chunk_tokens\"");
    if (choices->no_model)
        return true;
    for (const char *const *name = (const char *const[]){"dense_dim", "multi_dim", NULL}; *name;
         name++)
        if (json_get(json, *field_out = *name))
            return error_set(err, ERROR_INVALID,
                             "\"%s\" is the model's; it goes with \"model\": null", *name);
    return true;
}

/* An object, or no body. *field_out: the member at fault. */
static bool read_choices(const struct server_request *request, struct service_choices *out,
                         const char **field_out, struct error *err) {
    struct service_choices choices = {.chunk_overlap = UINT32_MAX};
    *field_out = NULL;
    *out = choices;
    if (request->body_len == 0)
        return true;
    struct json *json = json_parse(request->body, request->body_len, err);
    if (!json)
        return false;
    bool ok = json_kind_of(json) == JSON_KIND_OBJECT ||
              error_set(err, ERROR_INVALID, "the body must be an object, found %s",
                        json_kind_name(json_kind_of(json)));
    for (void *at = ok ? json_first(json) : NULL; ok && at; at = json_next(json, at)) {
        const char *name = json_member_key(at);
        *field_out = arena_text(request->arena, name, strlen(name));
        ok = read_member(json, name, request->arena, &choices, err);
    }
    ok = ok && members_agree(json, &choices, field_out, err);
    json_release(json);
    if (ok)
        *out = choices;
    return ok;
}

/* ---- what is there stays as it was made ---- */

/* The member that it was made otherwise with, and how; NULL: none. */
static const char *find_conflict(const struct index_settings *there,
                                 const struct service_choices *choices, struct error *how) {
    bool same_overlap =
        choices->chunk_overlap == UINT32_MAX || choices->chunk_overlap == there->chunk_overlap;
    if (choices->chunk_given && (choices->chunk_tokens != there->chunk_tokens || !same_overlap)) {
        error_set(how, ERROR_INVALID, "chunk_tokens %u and chunk_overlap %u", there->chunk_tokens,
                  there->chunk_overlap);
        return "chunk_tokens";
    }
    if (choices->no_model && index_has_model(there)) {
        error_set(how, ERROR_INVALID, "model %s", there->model);
        return "model";
    }
    if (choices->dense_dim && choices->dense_dim != there->dense_dim) {
        error_set(how, ERROR_INVALID, "dense_dim %u", there->dense_dim);
        return "dense_dim";
    }
    if (choices->multi_dim && choices->multi_dim != there->multi_dim) {
        error_set(how, ERROR_INVALID, "multi_dim %u", there->multi_dim);
        return "multi_dim";
    }
    if (choices->analyzer && strcmp(choices->analyzer, there->analyzer) != 0) {
        error_set(how, ERROR_INVALID, "analyzer %s", there->analyzer);
        return "analyzer";
    }
    return NULL;
}

static bool is_as_chosen(struct collection *collection, const struct service_choices *choices,
                         struct server_response *response) {
    struct opened *opened;
    struct error err;
    if (!collection_hold(collection, &opened, &err)) {
        server_response_failure(response, &err);
        return false;
    }
    const char *field = find_conflict(index_settings_of(opened->index), choices, &err);
    collection_release(collection, opened);
    if (field)
        server_response_error(response, 409, "conflict", field,
                              "the collection was made with %s; delete it first, or make another",
                              err.message);
    return !field;
}

void service_create(void *context, size_t worker, const struct server_request *request,
                    struct server_response *response) {
    struct service *service = context;
    struct service_choices choices;
    const char *field;
    struct error err;
    bool made;
    (void)worker;
    if (!read_choices(request, &choices, &field, &err)) {
        service_refuse(response, &err, field);
        return;
    }
    struct collection *collection =
        service_collection_ensure(service, server_param(request, "c"), &choices, &made, &err);
    if (collection && !made && !is_as_chosen(collection, &choices, response))
        return;
    struct json *answer = json_new_object();
    if (collection && service_describe_into(service, collection, answer, &err)) {
        response->status = made ? 201 : 200;
        service_respond(response, answer);
    } else {
        json_release(answer);
        server_response_failure(response, &err);
    }
}
