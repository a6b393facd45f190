#include "index/index.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "index/dense/dense.h"
#include "index/inside.h"
#include "index/multi/multivector.h"

enum {
    /* Raised whenever the meaning of a value on disk changes; docs/disk-format.md. */
    FORMAT_VERSION = 4,
    /* Of dense vectors. Above every embedding model; a bound for what damaged settings may ask. */
    DIM_MAX = 16384,
    STATE_BYTES = 32,
};

static const char *const lexical_names[] = {
    [INDEX_LEXICAL_NONE] = "none",
    [INDEX_LEXICAL_LEARNED] = "learned",
    [INDEX_LEXICAL_BM25] = "bm25",
};
static const char *const dense_names[] = {
    [INDEX_DENSE_AUTO] = "auto",
    [INDEX_DENSE_FLAT] = "flat",
    [INDEX_DENSE_LISTS] = "lists",
};
enum { DENSE_N = sizeof dense_names / sizeof *dense_names };

enum { LEXICAL_N = sizeof lexical_names / sizeof *lexical_names };

/* ---- settings as JSON ---- */

static void print_settings(const struct index_settings *settings, struct buf *out) {
    struct json *json = json_new_object();
    json_add_string(json, "model", settings->model);
    json_add_string(json, "fingerprint", settings->fingerprint);
    json_add_string(json, "analyzer", settings->analyzer);
    if (settings->fusion[0])
        json_add_string(json, "fusion", settings->fusion);
    json_add_string(json, "instruction", settings->instruction);
    json_add_string(json, "passage_instruction", settings->passage_instruction);
    json_add_number(json, "length_max", settings->length_max);
    json_add_number(json, "dense_dim", settings->dense_dim);
    json_add_number(json, "multi_dim", settings->multi_dim);
    if (settings->pool_tokens > 1)
        json_add_number(json, "pool_tokens", settings->pool_tokens);
    if (settings->dense_kind != INDEX_DENSE_AUTO)
        json_add_string(json, "dense_kind", index_dense_name(settings->dense_kind));
    json_add_string(json, "lexical", lexical_names[settings->lexical]);
    json_add_number(json, "bm25_k1", (double)settings->bm25_k1);
    json_add_number(json, "bm25_b", (double)settings->bm25_b);
    json_add_number(json, "chunk_tokens", settings->chunk_tokens);
    json_add_number(json, "chunk_overlap", settings->chunk_overlap);
    json_print(json, out);
    json_release(json);
}

static bool read_text(const struct json *json, const char *name, char *out, size_t size,
                      struct error *err) {
    const char *text = "";
    if (!json_read_string(json, name, &text, err))
        return false;
    if (strlen(text) >= size)
        return error_set(err, ERROR_CORRUPT, "\"%s\" has more than %zu bytes", name, size - 1);
    strcpy(out, text);
    return true;
}

static bool read_lexical(const struct json *json, enum index_lexical *out, struct error *err) {
    const char *name = "";
    if (!json_read_string(json, "lexical", &name, err))
        return false;
    for (int i = 0; i < LEXICAL_N; i++) {
        if (strcmp(name, lexical_names[i]) == 0) {
            *out = (enum index_lexical)i;
            return true;
        }
    }
    return error_set(err, ERROR_UNSUPPORTED, "lexical kind \"%s\" is unknown here", name);
}

bool index_has_model(const struct index_settings *settings) {
    return settings->fingerprint[0] != '\0';
}

const char *index_dense_name(enum index_dense_kind kind) {
    return dense_names[kind];
}

bool index_dense_parse(const char *name, enum index_dense_kind *out, struct error *err) {
    for (int i = 0; i < DENSE_N; i++)
        if (strcmp(name, dense_names[i]) == 0) {
            *out = (enum index_dense_kind)i;
            return true;
        }
    return error_set(err, ERROR_INVALID, "dense index \"%.32s\": must be auto, flat or lists",
                     name);
}

static bool read_dense_kind(const struct json *json, enum index_dense_kind *out,
                            struct error *err) {
    const char *name = dense_names[INDEX_DENSE_AUTO];
    return json_read_string(json, "dense_kind", &name, err) && index_dense_parse(name, out, err);
}

static bool parse_settings(const char *text, size_t len, struct index_settings *out,
                           struct error *err) {
    struct index_settings settings = {0};
    struct json *json = json_parse(text, len, err);
    if (!json)
        return false;
    double k1 = 1.2, b = 0.75;
    bool ok =
        read_text(json, "model", settings.model, sizeof settings.model, err) &&
        read_text(json, "fingerprint", settings.fingerprint, sizeof settings.fingerprint, err) &&
        read_text(json, "analyzer", settings.analyzer, sizeof settings.analyzer, err) &&
        read_text(json, "fusion", settings.fusion, sizeof settings.fusion, err) &&
        read_text(json, "instruction", settings.instruction, sizeof settings.instruction, err) &&
        read_text(json, "passage_instruction", settings.passage_instruction,
                  sizeof settings.passage_instruction, err) &&
        json_read_u32(json, "length_max", 0, UINT32_MAX, &settings.length_max, err) &&
        json_read_u32(json, "dense_dim", 0, DIM_MAX, &settings.dense_dim, err) &&
        json_read_u32(json, "multi_dim", 0, MULTI_DIM_MAX, &settings.multi_dim, err) &&
        json_read_u32(json, "pool_tokens", 0, INDEX_POOL_TOKENS_MAX, &settings.pool_tokens, err) &&
        read_dense_kind(json, &settings.dense_kind, err) &&
        read_lexical(json, &settings.lexical, err) &&
        json_read_double(json, "bm25_k1", 0, 1000, &k1, err) &&
        json_read_double(json, "bm25_b", 0, 1, &b, err) &&
        json_read_u32(json, "chunk_tokens", 0, UINT32_MAX, &settings.chunk_tokens, err) &&
        json_read_u32(json, "chunk_overlap", 0, settings.chunk_tokens / 2, &settings.chunk_overlap,
                      err);
    json_release(json);
    if (!ok)
        return false;
    settings.bm25_k1 = (float)k1;
    settings.bm25_b = (float)b;
    *out = settings;
    return true;
}

static bool settings_valid(const struct index_settings *settings, struct error *err) {
    if (settings->dense_dim > DIM_MAX || settings->multi_dim > MULTI_DIM_MAX)
        return error_set(err, ERROR_LIMIT,
                         "dense vectors of %u dimensions (at most %d), token vectors of %u (%d)",
                         settings->dense_dim, DIM_MAX, settings->multi_dim, MULTI_DIM_MAX);
    if (settings->pool_tokens > INDEX_POOL_TOKENS_MAX)
        return error_set(err, ERROR_LIMIT, "%u token vectors as one; at most %d",
                         settings->pool_tokens, INDEX_POOL_TOKENS_MAX);
    if ((unsigned)settings->lexical >= LEXICAL_N)
        return error_set(err, ERROR_INVALID, "unknown lexical kind %d", (int)settings->lexical);
    if (settings->lexical == INDEX_LEXICAL_BM25 &&
        !(settings->bm25_k1 >= 0 && settings->bm25_k1 <= 1000 && settings->bm25_b >= 0 &&
          settings->bm25_b <= 1))
        return error_set(err, ERROR_INVALID, "BM25 needs k1 in 0..1000 and b in 0..1, found %g, %g",
                         (double)settings->bm25_k1, (double)settings->bm25_b);
    if (settings->chunk_overlap > settings->chunk_tokens / 2)
        return error_set(
            err, ERROR_INVALID, "passages of %u tokens may share half of them, %u at most, not %u",
            settings->chunk_tokens, settings->chunk_tokens / 2, settings->chunk_overlap);
    return true;
}

/* ---- the meta table ---- */

static bool meta_get(struct store_txn *txn, const char *name, struct bytes *out,
                     struct error *err) {
    return store_get(txn, TABLE_META, name, strlen(name), out, err);
}

static bool meta_put(struct store_txn *txn, const char *name, const void *value, size_t len,
                     struct error *err) {
    return store_put(txn, TABLE_META, name, strlen(name), value, len, err);
}

bool index_state_read(struct store_txn *txn, struct index_state *out, struct error *err) {
    _Static_assert(sizeof *out == STATE_BYTES, "written as it lies in memory");
    struct bytes value;
    if (!meta_get(txn, "state", &value, err))
        return false;
    if (!value.data || value.len != STATE_BYTES)
        return store_corrupt(txn, TABLE_META, err, "\"state\": %zu bytes, %d expected", value.len,
                             STATE_BYTES);
    memcpy(out, value.data, STATE_BYTES);
    return true;
}

bool index_state_write(struct store_txn *txn, const struct index_state *state, struct error *err) {
    return meta_put(txn, "state", state, STATE_BYTES, err);
}

static bool read_format(struct store_txn *txn, struct error *err) {
    struct bytes value, settings;
    if (!meta_get(txn, "format", &value, err) || !meta_get(txn, "settings", &settings, err))
        return false;
    if (!value.data && !settings.data) /* one transaction writes both */
        return error_set(err, ERROR_NOT_FOUND,
                         "its making was cut off before it held anything; ingest into it, or "
                         "delete it");
    if (!value.data || value.len != 4)
        return store_corrupt(txn, TABLE_META, err, "\"format\": %zu bytes, 4 expected", value.len);
    uint32_t version = get_u32(value.data);
    if (version != FORMAT_VERSION)
        return error_set(err, ERROR_UNSUPPORTED,
                         "the index has format version %u, this program knows %d; use the "
                         "program it was made with, or ingest again",
                         version, FORMAT_VERSION);
    return true;
}

static bool read_settings(struct store_txn *txn, struct index_settings *out, struct error *err) {
    struct bytes value;
    if (!meta_get(txn, "settings", &value, err))
        return false;
    if (!value.data)
        return store_corrupt(txn, TABLE_META, err, "no \"settings\"");
    if (!parse_settings(value.data, value.len, out, err)) {
        err->code = err->code == ERROR_UNSUPPORTED ? ERROR_UNSUPPORTED : ERROR_CORRUPT;
        return error_wrap(err, "table meta: \"settings\": ");
    }
    return true;
}

static bool read_meta(struct store_txn *txn, struct index_settings *out, struct error *err) {
    struct index_state state;
    return read_format(txn, err) && index_state_read(txn, &state, err) &&
           read_settings(txn, out, err);
}

bool index_settings_read(struct store_txn *txn, struct index_settings *out, struct error *err) {
    return (read_format(txn, err) || err->code == ERROR_CORRUPT) && read_settings(txn, out, err);
}

static bool write_meta(struct store *store, const struct index_settings *settings,
                       struct error *err) {
    struct buf json = {0};
    struct store_txn *txn;
    struct index_state state = {0};
    if (!store_begin_write(store, &txn, err))
        return false;
    print_settings(settings, &json);
    bool ok = meta_put(txn, "format", &(uint32_t){FORMAT_VERSION}, 4, err) &&
              meta_put(txn, "settings", json.data, json.len, err) &&
              index_state_write(txn, &state, err);
    buf_done(&json);
    if (ok)
        return store_commit(txn, err);
    store_abort(txn);
    return false;
}

/* ---- create, open, close ---- */

static struct index *index_new(const char *folder, struct store *store,
                               const struct index_settings *settings) {
    struct index *index = mem_zalloc(1, sizeof *index);
    index->folder = mem_strdup(folder);
    index->store = store;
    index->settings = *settings;
    if (settings->dense_dim > 0) {
        index->dense = dense_index_new(folder, settings->dense_dim, settings->dense_kind);
        index->tender = dense_tender_new(index);
    }
    pthread_mutex_init(&index->published_lock, NULL);
    pthread_mutex_init(&index->claims_lock, NULL);
    index->claimed = store_is_writable(store);
    return index;
}

/* A folder whose creation was cut off has a data.mdb without "format": it may be made again. */
static bool refuse_existing(struct store *store, const char *folder, struct error *err) {
    struct store_txn *txn;
    struct bytes value;
    if (!store_begin_read(store, &txn, err))
        return false;
    bool ok = meta_get(txn, "format", &value, err);
    if (ok && value.data)
        ok = error_set(err, ERROR_INVALID,
                       "%s: holds an index already; open it, or delete the folder", folder);
    store_abort(txn);
    return ok;
}

/* The folder's own name lies in its parent. */
static bool sync_parent(const char *folder, struct error *err) {
    struct buf path = {0};
    buf_text(&path, folder);
    buf_text(&path, "/..");
    bool ok = file_sync_folder(path.data, err);
    buf_done(&path);
    return ok;
}

bool index_create(const char *folder, const struct index_settings *settings, struct index **out,
                  struct error *err) {
    struct store *store;
    if (!settings_valid(settings, err) || !file_make_folder(folder, err) ||
        !store_open(folder, STORE_CREATE, &store, err))
        return false;
    if (!refuse_existing(store, folder, err) || !file_sync_folder(folder, err) ||
        !sync_parent(folder, err) || !write_meta(store, settings, err)) {
        store_close(store);
        return false;
    }
    *out = index_new(folder, store, settings);
    return true;
}

bool index_open(const char *folder, enum index_mode mode, struct index **out, struct error *err) {
    struct index_settings settings;
    struct store *store;
    struct store_txn *txn;
    if (!index_exists(folder))
        return error_set(err, ERROR_NOT_FOUND, "%s: there is no index (no data.mdb)", folder);
    static const enum store_mode modes[] = {
        [INDEX_READ] = STORE_READ, [INDEX_WRITE] = STORE_WRITE, [INDEX_SHARED] = STORE_SHARED};
    if (!store_open(folder, modes[mode], &store, err))
        return false;
    bool ok = store_begin_read(store, &txn, err);
    if (ok) {
        ok = read_meta(txn, &settings, err);
        store_abort(txn);
    }
    if (!ok) {
        store_close(store);
        return strstr(err->message, folder) ? false : error_wrap(err, "%s: ", folder);
    }
    *out = index_new(folder, store, &settings);
    return true;
}

void index_close(struct index *index) {
    if (!index)
        return;
    dense_tender_free(index->tender);
    dense_index_free(index->dense);
    index_unpublish(index);
    pthread_mutex_destroy(&index->published_lock);
    pthread_mutex_destroy(&index->claims_lock);
    store_close(index->store);
    free(index->folder);
    free(index);
}

/* The store's lock is held as long as one of the two holds it. */
static bool claim_as(struct index *index, bool *mine, bool *moved_out, struct error *err) {
    pthread_mutex_lock(&index->claims_lock);
    *moved_out = false;
    bool ok = index->claimed || index->claimed_to_tend || store_claim(index->store, moved_out, err);
    *mine = *mine || ok;
    pthread_mutex_unlock(&index->claims_lock);
    return ok;
}

static void yield_as(struct index *index, bool *mine) {
    pthread_mutex_lock(&index->claims_lock);
    *mine = false;
    if (!index->claimed && !index->claimed_to_tend)
        store_yield(index->store);
    pthread_mutex_unlock(&index->claims_lock);
}

bool index_claim(struct index *index, bool *moved_out, struct error *err) {
    return claim_as(index, &index->claimed, moved_out, err);
}

void index_yield(struct index *index) {
    yield_as(index, &index->claimed);
}

bool index_claim_to_tend(struct index *index, struct error *err) {
    bool moved;
    return claim_as(index, &index->claimed_to_tend, &moved, err);
}

void index_yield_to_tend(struct index *index) {
    yield_as(index, &index->claimed_to_tend);
}

bool index_is_current(const struct index *index) {
    return store_is_current(index->store);
}

/* An empty data.mdb is what a kill leaves behind that came before LMDB's first page. */
bool index_exists(const char *folder) {
    struct buf path = {0};
    struct stat info;
    buf_text(&path, folder);
    buf_text(&path, "/data.mdb");
    bool exists = stat(path.data, &info) == 0 && info.st_size > 0;
    buf_done(&path);
    return exists;
}

const struct index_settings *index_settings_of(const struct index *index) {
    return &index->settings;
}

void index_let_go(const struct index *index) {
    store_let_go(index->store);
}

const char *index_folder(const struct index *index) {
    return index->folder;
}

struct dense_index *index_dense(struct index *index) {
    return index->dense;
}

/* ---- counts ---- */

/* Bytes of the plain files in a folder; 0 when it is not there. */
static uint64_t folder_bytes(const char *folder, const char *below) {
    char path[PATH_MAX];
    uint64_t sum = 0;
    snprintf(path, sizeof path, "%s%s", folder, below);
    DIR *dir = opendir(path);
    if (!dir)
        return 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        struct stat info;
        if (fstatat(dirfd(dir), entry->d_name, &info, 0) == 0 && S_ISREG(info.st_mode))
            sum += (uint64_t)info.st_size;
    }
    closedir(dir);
    return sum;
}

bool index_count(struct index *index, struct index_counts *out, struct error *err) {
    struct snapshot *snapshot;
    if (!snapshot_open(index, &snapshot, err))
        return false;
    const struct segments *segments = &snapshot->published->segments;
    struct index_counts counts = {
        .documents_n = snapshot->published->live_n,
        .passages_n = snapshot->state.passages_n,
        .segments_n = segments->n,
        .bytes_on_disk = folder_bytes(index->folder, "") + folder_bytes(index->folder, "/dense"),
        .dense_generation = snapshot->state.generation_number,
        .dense_covered_n = snapshot->state.generation_covered_end,
    };
    for (size_t i = 0; i < segments->n; i++)
        counts.dead_n += segments->items[i].dead_n;
    bool ok = store_entries_n(snapshot->txn, TABLE_TERMS, &counts.terms_n, err);
    snapshot_close(snapshot);
    if (ok)
        *out = counts;
    return ok;
}
