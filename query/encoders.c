#include "query/encoders.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/model.h"
#include "query/encoding_copy.h"

enum {
    /* From so many texts on the cores together are faster than one: below, waking them costs
     * more than it brings. */
    SPREAD_TEXTS_MIN = 4,
    /* A part: enough for every core, and done soon enough that a cancelled request ends. */
    PART_TEXTS_MAX = 64,
};

/* The sessions of one thread, or of the pool. */
struct sessions {
    struct encoder *encoders[ENCODERS_SIDES_N];
    struct reranker *reranker;
    struct arena scratch; /* what was encoded together, until each has its own */
};

struct encoders {
    const struct model *model, *reranker;
    unsigned modes;
    struct sessions *workers; /* [workers_n] */
    size_t workers_n;
    struct pool *pool; /* NULL where there is only one core */
    struct sessions spread;
    pthread_mutex_t spread_lock; /* guards `spread`; only ever tried */
    atomic_uint_fast64_t tokens_n;
};

/* ---- life ---- */

static unsigned modes_of(const struct model_info *info) {
    return info->has_sparse_head && !info->has_colbert_head ? ENCODE_DENSE | ENCODE_LEXICAL
                                                            : ENCODE_ALL;
}

static bool open_encoder(const struct encoders *encoders, struct pool *pool,
                         enum encoders_side side, struct encoder **out, struct error *err) {
    struct encoder_options options = {
        .modes = encoders->modes,
        .instruction = encoders_instruction(encoders, side),
    };
    return encoder_open(encoders->model, pool, &options, out, err);
}

static bool open_reranker(const struct encoders *encoders, struct pool *pool, struct reranker **out,
                          struct error *err) {
    const struct reranker_options options = {0};
    return reranker_open(encoders->reranker, pool, &options, out, err);
}

static void sessions_close(struct sessions *sessions) {
    for (int side = 0; side < ENCODERS_SIDES_N; side++)
        encoder_close(sessions->encoders[side]);
    reranker_close(sessions->reranker);
    arena_done(&sessions->scratch);
}

bool encoders_open(const struct model *model, const struct model *reranker, size_t workers_n,
                   struct encoders **out, struct error *err) {
    struct encoders *encoders = mem_zalloc(1, sizeof *encoders);
    encoders->model = model;
    encoders->reranker = reranker;
    encoders->modes = modes_of(model_info(model));
    encoders->workers = mem_zalloc(workers_n, sizeof *encoders->workers);
    encoders->workers_n = workers_n;
    encoders->pool = pool_cores_n() > 1 ? pool_open(0) : NULL;
    pthread_mutex_init(&encoders->spread_lock, NULL);
    /* The first sessions are made now, so that a wrong model is refused before it serves. */
    struct sessions *first = &encoders->workers[0];
    if (!open_encoder(encoders, NULL, ENCODERS_BARE, &first->encoders[ENCODERS_BARE], err) ||
        (reranker && !open_reranker(encoders, NULL, &first->reranker, err))) {
        encoders_close(encoders);
        return false;
    }
    *out = encoders;
    return true;
}

void encoders_close(struct encoders *encoders) {
    if (!encoders)
        return;
    for (size_t i = 0; i < encoders->workers_n; i++)
        sessions_close(&encoders->workers[i]);
    sessions_close(&encoders->spread);
    pool_close(encoders->pool);
    pthread_mutex_destroy(&encoders->spread_lock);
    free(encoders->workers);
    free(encoders);
}

const struct model *encoders_model(const struct encoders *encoders) {
    return encoders->model;
}

const struct model *encoders_reranker(const struct encoders *encoders) {
    return encoders->reranker;
}

const char *encoders_name(const struct model *model) {
    const char *name = model_info(model)->name;
    bool is_path = name[0] == '/' || name[0] == '.' || name[0] == '~';
    const char *slash = is_path ? strrchr(name, '/') : NULL;
    return slash && slash[1] ? slash + 1 : name;
}

unsigned encoders_modes(const struct encoders *encoders) {
    return encoders->modes;
}

const char *encoders_instruction(const struct encoders *encoders, enum encoders_side side) {
    const struct model_info *info = model_info(encoders->model);
    return side == ENCODERS_QUERY     ? info->query_instruction
           : side == ENCODERS_PASSAGE ? info->passage_instruction
                                      : "";
}

uint64_t encoders_tokens_n(const struct encoders *encoders) {
    return atomic_load_explicit(&encoders->tokens_n, memory_order_relaxed);
}

/* ---- work ---- */

/* The worker's own sessions, or those of all cores; sessions_leave gives the latter back. */
static struct sessions *sessions_enter(struct encoders *encoders, size_t worker, size_t n) {
    if (n >= SPREAD_TEXTS_MIN && encoders->pool &&
        pthread_mutex_trylock(&encoders->spread_lock) == 0)
        return &encoders->spread;
    return &encoders->workers[worker];
}

static void sessions_leave(struct encoders *encoders, struct sessions *sessions) {
    if (sessions == &encoders->spread)
        pthread_mutex_unlock(&encoders->spread_lock);
}

static struct pool *pool_of(const struct encoders *encoders, const struct sessions *sessions) {
    return sessions == &encoders->spread ? encoders->pool : NULL;
}

static bool check_wanted(const atomic_bool *cancelled, struct error *err) {
    if (cancelled && atomic_load_explicit(cancelled, memory_order_relaxed))
        return error_set(err, ERROR_STOPPED, "nobody waits for this answer any more");
    return true;
}

static size_t part_of(size_t left) {
    return left < PART_TEXTS_MAX ? left : PART_TEXTS_MAX;
}

static bool encode_in(struct encoders *encoders, struct sessions *sessions, enum encoders_side side,
                      unsigned modes, const struct encoder_text *texts, size_t n,
                      const atomic_bool *cancelled, struct arena *arena, struct encoding *out,
                      struct error *err) {
    if (encoders_instruction(encoders, side)[0] == '\0')
        side = ENCODERS_BARE;
    struct encoder **encoder = &sessions->encoders[side];
    bool ok = *encoder || open_encoder(encoders, pool_of(encoders, sessions), side, encoder, err);
    uint64_t tokens_n = 0;
    for (size_t done = 0, part; ok && done < n; done += part) {
        part = part_of(n - done);
        ok = check_wanted(cancelled, err) &&
             encoder_encode_modes(*encoder, modes, texts + done, part, arena, out + done, err);
        for (size_t i = 0; ok && i < part; i++)
            tokens_n += out[done + i].tokens_n;
    }
    atomic_fetch_add_explicit(&encoders->tokens_n, tokens_n, memory_order_relaxed);
    return ok;
}

bool encoders_encode(struct encoders *encoders, size_t worker, enum encoders_side side,
                     unsigned modes, const struct encoder_text *texts, size_t n,
                     const atomic_bool *cancelled, struct arena *arena, struct encoding *out,
                     struct error *err) {
    struct sessions *sessions = sessions_enter(encoders, worker, n);
    bool ok = encode_in(encoders, sessions, side, modes, texts, n, cancelled, arena, out, err);
    sessions_leave(encoders, sessions);
    return ok;
}

bool encoders_encode_together(struct encoders *encoders, size_t worker, enum encoders_side side,
                              unsigned modes, const struct encoders_part *parts, size_t n,
                              struct error *err) {
    struct sessions *sessions = &encoders->workers[worker];
    struct arena *scratch = &sessions->scratch;
    const struct model_info *info = model_info(encoders->model);
    size_t texts_n = 0, at = 0;
    for (size_t i = 0; i < n; i++)
        texts_n += parts[i].n;
    struct encoder_text *texts = ARENA_NEW(scratch, struct encoder_text, texts_n);
    struct encoding *encodings = ARENA_NEW(scratch, struct encoding, texts_n);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < parts[i].n; j++)
            texts[at++] = parts[i].texts[j];
    bool ok =
        encode_in(encoders, sessions, side, modes, texts, texts_n, NULL, scratch, encodings, err);
    at = 0;
    for (size_t i = 0; ok && i < n; i++)
        for (size_t j = 0; j < parts[i].n; j++)
            parts[i].out[j] = encoding_copy(&encodings[at++], info, parts[i].arena);
    arena_reset(scratch);
    return ok;
}

bool encoders_rerank(struct encoders *encoders, size_t worker, const struct reranker_pair *pairs,
                     size_t n, const atomic_bool *cancelled, float *scores_out, struct error *err) {
    struct sessions *sessions = sessions_enter(encoders, worker, n);
    struct reranker **reranker = &sessions->reranker;
    bool ok = *reranker || open_reranker(encoders, pool_of(encoders, sessions), reranker, err);
    for (size_t done = 0, part; ok && done < n; done += part) {
        part = part_of(n - done);
        ok = check_wanted(cancelled, err) &&
             reranker_score(*reranker, pairs + done, part, scores_out + done, err);
    }
    sessions_leave(encoders, sessions);
    return ok;
}
