#include "tools/heads/states.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "engine/base/vec.h"
#include "engine/encoder.h"
#include "engine/heads.h"
#include "engine/heads_fit.h"
#include "engine/model.h"
#include "engine/session.h"

enum { WINDOW = 512 }; /* texts that are sorted and packed at a time */

/* A pass over all texts: bare, for their states (and dense vectors), or behind the instruction. */
struct reading {
    const struct model *model;
    struct heads_states *states;
    bool keeps_states, keeps_dense;
    size_t first; /* text of the window */
    const struct forward_sequence *sequences;
    heads_progress *progress;
    void *context;
};

static void keep(void *context, size_t sequence, const float *hidden, size_t worker) {
    struct reading *reading = context;
    struct heads_states *states = reading->states;
    size_t text = reading->first + sequence, tokens_n = reading->sequences[sequence].n;
    (void)worker;
    if (reading->keeps_states)
        vec_to_f16(hidden, tokens_n * states->width,
                   states->values + states->at[text] * states->width);
    if (reading->keeps_dense)
        heads_dense(reading->model, hidden, tokens_n, true, states->dense + text * states->width);
}

/* A file of so many bytes that is gone with the mapping. All of it is claimed at once, so that a
 * full disk is an error here and not a signal later. */
static bool map_scratch(size_t bytes, void **out, struct error *err) {
    const char *folder = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof path, "%s/tercet-states-XXXXXX", folder && *folder ? folder : "/tmp");
    int file = mkstemp(path), failed;
    if (file < 0)
        return error_set_errno(err, "%s", path);
    unlink(path);
    if ((failed = posix_fallocate(file, 0, (off_t)bytes)) != 0) {
        close(file);
        errno = failed;
        return error_set_errno(err, "%s: %zu bytes for the states (TMPDIR chooses the place)", path,
                               bytes);
    }
    *out = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return *out != MAP_FAILED || error_set_errno(err, "%s: mapping %zu bytes", path, bytes);
}

/* Ids and ranges of every text, which tell how much room the states take. */
static bool read_all(const struct model *model, const struct encoder_text *texts, size_t n,
                     uint32_t length_max, struct heads_states *out, struct error *err) {
    struct arena arena = {0};
    size_t room = 0, tokens_n = 0;
    bool ok = true;
    out->at = mem_zalloc(n + 1, sizeof *out->at);
    for (size_t i = 0; ok && i < n; i++) {
        struct tokens tokens;
        size_t first;
        ok = encoder_read(model, NULL, length_max, &texts[i], &arena, &tokens, &first, err);
        if (!ok)
            break;
        if (tokens_n + tokens.n > room) {
            room = 2 * room + tokens.n;
            out->ids = mem_realloc(out->ids, room, sizeof *out->ids);
            out->ranges = mem_realloc(out->ranges, room, sizeof *out->ranges);
        }
        memcpy(out->ids + tokens_n, tokens.ids, tokens.n * sizeof *out->ids);
        memcpy(out->ranges + tokens_n, tokens.ranges, tokens.n * sizeof *out->ranges);
        out->at[i + 1] = tokens_n += tokens.n;
        arena_reset(&arena);
    }
    arena_done(&arena);
    return ok;
}

static bool run_windows(struct reading *reading, struct session *session,
                        const struct encoder_text *texts, const char *instruction,
                        uint32_t length_max, struct error *err) {
    struct heads_states *states = reading->states;
    struct arena arena = {0};
    bool ok = true;
    for (size_t first = 0; ok && first < states->texts_n; first += WINDOW) {
        size_t n = states->texts_n - first < WINDOW ? states->texts_n - first : WINDOW;
        struct forward_sequence *sequences = ARENA_ZERO(&arena, struct forward_sequence, n);
        for (size_t i = 0; ok && i < n; i++) {
            struct tokens tokens;
            size_t own, at = states->at[first + i];
            sequences[i] = (struct forward_sequence){.ids = states->ids + at,
                                                     .n = states->at[first + i + 1] - at};
            if (!instruction)
                continue;
            ok = encoder_read(reading->model, instruction, length_max, &texts[first + i], &arena,
                              &tokens, &own, err);
            sequences[i] = (struct forward_sequence){.ids = tokens.ids, .n = tokens.n};
        }
        reading->first = first;
        reading->sequences = sequences;
        if (ok)
            session_run(session, sequences, n, keep, reading);
        if (ok && reading->progress)
            reading->progress(reading->context, first + n, states->texts_n);
        arena_reset(&arena);
    }
    arena_done(&arena);
    return ok;
}

bool heads_states_make(const struct model *model, struct pool *pool,
                       const struct encoder_text *texts, size_t n, const char *instruction,
                       uint32_t length_max, heads_progress *progress, void *context,
                       struct heads_states *out, struct error *err) {
    const struct model_info *info = model_info(model);
    void *values = NULL;
    *out = (struct heads_states){.texts_n = n, .width = info->dense_dim};
    if (!read_all(model, texts, n, length_max, out, err))
        return false;
    size_t bytes = out->at[n] * out->width * sizeof *out->values;
    if (!map_scratch(bytes, &values, err))
        return false;
    out->values = values;
    out->values_bytes = bytes;
    out->dense = mem_alloc(n * out->width, sizeof *out->dense);
    struct session *session = session_open(model, pool);
    struct reading bare = {.model = model,
                           .states = out,
                           .keeps_states = true,
                           .keeps_dense = !*instruction,
                           .progress = progress,
                           .context = context};
    struct reading behind = {.model = model, .states = out, .keeps_dense = true};
    bool ok = run_windows(&bare, session, texts, NULL, length_max, err) &&
              (!*instruction || run_windows(&behind, session, texts, instruction, length_max, err));
    session_close(session);
    for (size_t i = 0; i < out->at[n]; i++)
        if (tokenizer_is_special(model_tokenizer(model), out->ids[i]))
            out->ids[i] = HEADS_FIT_NO_TERM;
    return ok;
}

void heads_states_done(struct heads_states *states) {
    free(states->at);
    free(states->ids);
    free(states->ranges);
    free(states->dense);
    if (states->values)
        munmap(states->values, states->values_bytes);
}
