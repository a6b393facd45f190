#include "query/tuned.h"

#include <string.h>

#include "query/request.h"

void tuned_print(const struct fuse_plan *plan, struct buf *out) {
    struct json *root = json_new_object(), *modes = json_new_array(), *weights = json_new_object();
    for (int mode = 0; mode < FUSE_MODES_N; mode++) {
        const char *name = fuse_mode_name((enum fuse_mode)mode);
        if (!(plan->modes & 1u << mode))
            continue;
        json_push(modes, json_new_string(name, strlen(name)));
        json_add_number(weights, name, (double)plan->weights[mode]);
    }
    json_add(root, "modes", modes);
    json_add_string(root, "fusion", fuse_method_name(plan->method));
    json_add(root, "weights", weights);
    json_print(root, out);
    json_release(root);
}

bool tuned_parse(const char *text, size_t len, struct fuse_plan *out, struct error *err) {
    struct json *root = json_parse(text, len, err);
    struct search_request request;
    struct arena arena = {0};
    char field[REQUEST_FIELD_MAX];
    if (!root)
        return false;
    /* It is a request's own language; only the query is missing. */
    json_add_string(root, "query", "");
    bool ok = request_from_json(root, &arena, &request, field, err) &&
              ((request.modes && request.fusion_given && request.weights_given) ||
               error_set(err, ERROR_CORRUPT, "modes, fusion and weights are needed"));
    if (ok) {
        *out = (struct fuse_plan){.modes = request.modes, .method = request.fusion};
        memcpy(out->weights, request.weights, sizeof out->weights);
    }
    arena_done(&arena);
    json_release(root);
    return ok;
}

bool tuned_apply(const struct search_request *request, struct snapshot *snapshot,
                 struct fuse_plan *plan, struct error *err) {
    struct fuse_plan tuned;
    struct buf note = {0};
    struct error ignored;
    if (request->fusion_given || request->weights_given)
        return true;
    bool ok = snapshot_note(snapshot, TUNED_NOTE, &note, err);
    if (ok && note.len && tuned_parse(note.data, note.len, &tuned, &ignored) &&
        tuned.modes == plan->modes)
        *plan = tuned;
    buf_done(&note);
    return ok;
}
