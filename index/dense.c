/* The home of FAISS: generations built, written, verified, loaded, kept and asked. */
#include "index/dense.h"

#include <dirent.h>
#include <dlfcn.h>
#include <faiss/c_api/AutoTune_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/index_factory_c.h>
#include <faiss/c_api/index_io_c.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/base/vec.h"

/* Reasons, measured on one core at 384 dimensions: a scan of the f16 rows costs 0.05 us a row while
 * they lie in the caches (0.3 us from memory that others use as well), so 2,000 rows are read in
 * less than a search of HNSW takes, and up to 20,000 (1 ms) a graph saves less than it
 * costs to build. 10,000 uncovered rows add 0.5 ms to a search. HNSW asked for 128 candidates takes
 * 0.9 ms, for 512 6 ms: as long as a scan of 18,000 and of 120,000 rows. */
static const struct dense_limits LIMITS = {
    .generation_rows_min = 2000,
    .hnsw_rows_min = 20000,
    .uncovered_min = 10000,
    .rows_a_candidate = 128,
};

enum {
    /* Links a node, and the breadths of the searches that build the graph and, at least, use it
     * (Malkov & Yashunin's M, efConstruction, ef). A search's breadth is the next power of two from
     * what is asked for. Building with 80 took twice the time of 40 and found no more. */
    HNSW_LINKS = 32,
    HNSW_EF_CONSTRUCTION = 40,
    HNSW_EF_SEARCH_MIN = 128,
    /* Rows given to FAISS at a time: enough for all threads, 24 MiB of f32 at 384 dimensions. */
    BATCH_ROWS = 16384,
    /* A process that searches once (the command line) would wait longer for the file than for the
     * scan: the first search scans, the second loads. */
    SCANS_FIRST = 1,

    HEADER_BYTES = DENSE_HEADER_BYTES,
    FORMAT_VERSION = 1,
};
static const char MAGIC[8] = {'T', 'E', 'R', 'C', 'E', 'T', 'D', 'V'};

enum generation_state {
    GENERATION_LOADING, /* one thread reads it, outside the lock */
    GENERATION_READY,
    GENERATION_FAILED, /* remembered, so that no search tries it again */
};

struct dense_generation {
    struct dense_generation *next;
    uint64_t number;
    enum generation_state state;
    size_t holders_n;
    FaissIndex *index;
    uint32_t *docids; /* [rows_n]: FAISS's row numbers -> docids */
    uint32_t rows_n, dim;
    bool graph; /* HNSW, not Flat */

    /* FAISS 1.7.3 keeps ef in the index. Held for reading by searches as broad as it is, for
     * writing by one that needs another: a search's breadth does not depend on those before. */
    pthread_rwlock_t breadth_lock;
    size_t breadth;
};

struct dense_index {
    char *folder; /* FOLDER/dense */
    uint32_t dim;
    struct dense_limits limits;
    pthread_mutex_t lock; /* guards what follows; never held while a file is read */
    struct dense_generation *generations;
    uint64_t newest;   /* the largest number any search has asked for */
    size_t scans_n;    /* of SCANS_FIRST */
    uint64_t verified; /* a number whose file dense_usable has read through */
};

/* ---- FAISS's manners ---- */

static bool faiss_failed(struct error *err, const char *what) {
    const char *why = faiss_get_last_error();
    return error_set(err, ERROR_IO, "FAISS: %s: %s", what, why ? why : "no reason given");
}

/* FAISS splits even one query's work by OpenMP, whose threads would outnumber the cores when many
 * queries run. The number is this thread's own, but others (oneDNN) go by it too, so it is put back
 * after each call. Looked up by name: which OpenMP there is depends on how FAISS was built. */
static struct {
    pthread_once_t once;
    int (*get_threads)(void);
    void (*set_threads)(int);
} openmp = {.once = PTHREAD_ONCE_INIT};

static void find_openmp(void) {
    void *get = dlsym(RTLD_DEFAULT, "omp_get_max_threads");
    void *set = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
    if (!get || !set)
        return;
    memcpy(&openmp.get_threads, &get, sizeof get); /* ISO C has no cast for this */
    memcpy(&openmp.set_threads, &set, sizeof set);
}

/* Returns the number before, for the call that puts it back. */
static int set_threads(int threads_n) {
    pthread_once(&openmp.once, find_openmp);
    if (!openmp.set_threads)
        return threads_n;
    int before = openmp.get_threads();
    openmp.set_threads(threads_n);
    return before;
}

static bool set_parameter(FaissIndex *index, const char *name, int value, struct error *err) {
    FaissParameterSpace *space;
    if (faiss_ParameterSpace_new(&space) != 0)
        return faiss_failed(err, "parameters");
    bool ok = faiss_ParameterSpace_set_index_parameter(space, index, name, value) == 0;
    faiss_ParameterSpace_free(space);
    return ok || faiss_failed(err, name);
}

/* ---- the index's generations ---- */

struct dense_index *dense_index_new(const char *folder, uint32_t dim) {
    struct dense_index *dense = mem_zalloc(1, sizeof *dense);
    struct buf path = {0};
    buf_format(&path, "%s/dense", folder);
    dense->folder = path.data;
    dense->dim = dim;
    dense->limits = LIMITS;
    pthread_mutex_init(&dense->lock, NULL);
    return dense;
}

static void generation_free(struct dense_generation *generation) {
    if (generation->index)
        faiss_Index_free(generation->index);
    pthread_rwlock_destroy(&generation->breadth_lock);
    free(generation->docids);
    free(generation);
}

void dense_index_free(struct dense_index *dense) {
    if (!dense)
        return;
    while (dense->generations) {
        struct dense_generation *next = dense->generations->next;
        generation_free(dense->generations);
        dense->generations = next;
    }
    pthread_mutex_destroy(&dense->lock);
    free(dense->folder);
    free(dense);
}

struct dense_limits dense_index_limits(const struct dense_index *dense) {
    return dense->limits;
}

void dense_index_set_limits(struct dense_index *dense, struct dense_limits limits) {
    dense->limits = limits;
}

/* NULL when the path would be too long. */
static const char *generation_path(const struct dense_index *dense, uint64_t number,
                                   char out[PATH_MAX], struct error *err) {
    if (snprintf(out, PATH_MAX, "%s/%llu.faiss", dense->folder, (unsigned long long)number) <
        PATH_MAX - 8) /* room for ".tmp" */
        return out;
    error_set(err, ERROR_LIMIT, "%s: path too long", dense->folder);
    return NULL;
}

/* ---- the file's header ---- */

struct header {
    uint32_t version, dim, covered_end, rows_n;
    uint64_t number, faiss_bytes, body_sum;
};

static void put_number(uint8_t *at, uint64_t value, size_t bytes_n) {
    for (size_t i = 0; i < bytes_n; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get_number(const uint8_t *at, size_t bytes_n) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes_n; i++)
        value |= (uint64_t)at[i] << 8 * i;
    return value;
}

static void header_print(const struct header *header, uint8_t out[HEADER_BYTES]) {
    memset(out, 0, HEADER_BYTES);
    memcpy(out, MAGIC, sizeof MAGIC);
    put_number(out + 8, header->version, 4);
    put_number(out + 12, header->dim, 4);
    put_number(out + 16, header->number, 8);
    put_number(out + 24, header->covered_end, 4);
    put_number(out + 28, header->rows_n, 4);
    put_number(out + 32, header->faiss_bytes, 8);
    put_number(out + 40, header->body_sum, 8);
    put_number(out + 56, XXH3_64bits(out, 56), 8);
}

/* The header of a whole, undamaged file that holds the named generation. */
static bool verify(const struct dense_index *dense, const char *path, const struct file_map *map,
                   struct index_generation named, struct header *out, struct error *err) {
    const uint8_t *at = map->data;
    if (map->len < HEADER_BYTES || memcmp(at, MAGIC, sizeof MAGIC) != 0 ||
        get_number(at + 56, 8) != XXH3_64bits(at, 56))
        return error_set(err, ERROR_CORRUPT, "%s: not a dense generation, or its header is damaged",
                         path);
    struct header header = {
        .version = (uint32_t)get_number(at + 8, 4),
        .dim = (uint32_t)get_number(at + 12, 4),
        .number = get_number(at + 16, 8),
        .covered_end = (uint32_t)get_number(at + 24, 4),
        .rows_n = (uint32_t)get_number(at + 28, 4),
        .faiss_bytes = get_number(at + 32, 8),
        .body_sum = get_number(at + 40, 8),
    };
    if (header.version != FORMAT_VERSION || header.dim != dense->dim ||
        header.number != named.number || header.covered_end != named.covered_end ||
        header.rows_n != named.rows_n)
        return error_set(err, ERROR_CORRUPT, "%s: holds another generation than data.mdb names",
                         path);
    size_t body = map->len - HEADER_BYTES, table = (size_t)header.rows_n * sizeof(uint32_t);
    if (table > body || header.faiss_bytes != body - table || header.faiss_bytes == 0)
        return error_set(err, ERROR_CORRUPT, "%s: %zu bytes, the header says otherwise", path,
                         map->len);
    if (XXH3_64bits(at + HEADER_BYTES, body) != header.body_sum)
        return error_set(err, ERROR_CORRUPT, "%s: checksum does not match", path);
    *out = header;
    return true;
}

/* ---- loading ---- */

static bool read_faiss(const uint8_t *bytes, size_t bytes_len, const char *path, FaissIndex **out,
                       struct error *err) {
    FILE *file = fmemopen((void *)(uintptr_t)bytes, bytes_len, "rb");
    if (!file)
        return error_set_errno(err, "%s", path);
    bool ok = faiss_read_index(file, 0, out) == 0 || faiss_failed(err, path);
    fclose(file);
    return ok;
}

/* What FAISS read must be what we wrote: its row numbers index docids. */
static bool check_loaded(const struct dense_generation *generation, uint32_t covered_end,
                         const char *path, struct error *err) {
    const FaissIndex *index = generation->index;
    if (faiss_Index_d(index) != (int)generation->dim ||
        faiss_Index_ntotal(index) != (idx_t)generation->rows_n ||
        faiss_Index_metric_type(index) != METRIC_INNER_PRODUCT)
        return error_set(err, ERROR_CORRUPT, "%s: FAISS's part has another shape", path);
    for (size_t i = 0; i < generation->rows_n; i++)
        if (generation->docids[i] >= covered_end ||
            (i > 0 && generation->docids[i] <= generation->docids[i - 1]))
            return error_set(err, ERROR_CORRUPT, "%s: docids do not ascend", path);
    return true;
}

static bool load(const struct dense_index *dense, struct index_generation named,
                 struct dense_generation *out, struct error *err) {
    char path[PATH_MAX];
    struct file_map map;
    struct header header;
    if (!generation_path(dense, named.number, path, err) || !file_map_open(path, &map, err))
        return false;
    bool ok = verify(dense, path, &map, named, &header, err);
    if (ok) {
        const uint8_t *table = map.data + HEADER_BYTES;
        out->rows_n = header.rows_n;
        out->dim = header.dim;
        out->docids = mem_alloc(header.rows_n, sizeof *out->docids);
        for (size_t i = 0; i < header.rows_n; i++)
            out->docids[i] = (uint32_t)get_number(table + 4 * i, 4);
        ok = read_faiss(table + 4 * (size_t)header.rows_n, header.faiss_bytes, path, &out->index,
                        err) &&
             check_loaded(out, header.covered_end, path, err);
        out->breadth = HNSW_EF_SEARCH_MIN;
        out->graph = ok && set_parameter(out->index, "efSearch", HNSW_EF_SEARCH_MIN, err);
    }
    file_map_close(&map);
    return ok;
}

/* ---- acquire, release: under dense->lock where they say so ---- */

static struct dense_generation *find(struct dense_index *dense, uint64_t number) {
    struct dense_generation *generation = dense->generations;
    while (generation && generation->number != number)
        generation = generation->next;
    return generation;
}

/* Drops what nobody holds and no new search will ask for. Under the lock. */
static void sweep(struct dense_index *dense) {
    for (struct dense_generation **at = &dense->generations; *at;) {
        struct dense_generation *generation = *at;
        if (generation->number < dense->newest && generation->holders_n == 0 &&
            generation->state != GENERATION_LOADING) {
            *at = generation->next;
            generation_free(generation);
        } else {
            at = &generation->next;
        }
    }
}

static struct dense_generation *start_loading(struct dense_index *dense, uint64_t number) {
    struct dense_generation *generation = mem_zalloc(1, sizeof *generation);
    pthread_rwlockattr_t fair; /* glibc's default lets readers keep a writer out for ever */
    pthread_rwlockattr_init(&fair);
    pthread_rwlockattr_setkind_np(&fair, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&generation->breadth_lock, &fair);
    pthread_rwlockattr_destroy(&fair);
    generation->number = number;
    generation->state = GENERATION_LOADING;
    generation->next = dense->generations;
    dense->generations = generation;
    return generation;
}

struct dense_generation *dense_acquire(struct dense_index *dense, struct index_generation named) {
    pthread_mutex_lock(&dense->lock);
    struct dense_generation *generation = find(dense, named.number);
    if (named.number > dense->newest)
        dense->newest = named.number;
    if (!generation && dense->scans_n < SCANS_FIRST) {
        dense->scans_n++;
        pthread_mutex_unlock(&dense->lock);
        return NULL;
    }
    if (!generation) {
        struct error ignored; /* a scan answers instead, and the writer builds anew */
        generation = start_loading(dense, named.number);
        pthread_mutex_unlock(&dense->lock);
        bool ok = load(dense, named, generation, &ignored);
        pthread_mutex_lock(&dense->lock);
        generation->state = ok ? GENERATION_READY : GENERATION_FAILED;
    }
    bool ready = generation->state == GENERATION_READY;
    generation->holders_n += ready;
    sweep(dense);
    pthread_mutex_unlock(&dense->lock);
    return ready ? generation : NULL;
}

void dense_release(struct dense_index *dense, struct dense_generation *generation) {
    if (!generation)
        return;
    pthread_mutex_lock(&dense->lock);
    generation->holders_n--;
    sweep(dense);
    pthread_mutex_unlock(&dense->lock);
}

static bool state_of(struct dense_index *dense, uint64_t number, enum generation_state *out) {
    pthread_mutex_lock(&dense->lock);
    const struct dense_generation *generation = find(dense, number);
    if (generation)
        *out = generation->state;
    pthread_mutex_unlock(&dense->lock);
    return generation != NULL;
}

bool dense_index_has(struct dense_index *dense, uint64_t number) {
    enum generation_state state;
    return state_of(dense, number, &state) && state == GENERATION_READY;
}

/* Reads the whole file once for each number; later a look whether it is still there must do: a
 * server asks after every batch. */
bool dense_usable(struct dense_index *dense, struct index_generation named) {
    enum generation_state state;
    char path[PATH_MAX];
    struct file_map map;
    struct header header;
    struct error ignored;
    if (state_of(dense, named.number, &state) && state == GENERATION_FAILED)
        return false;
    if (!generation_path(dense, named.number, path, &ignored))
        return false;
    pthread_mutex_lock(&dense->lock);
    bool verified = dense->verified == named.number;
    pthread_mutex_unlock(&dense->lock);
    if (verified)
        return file_exists(path);
    if (!file_map_open(path, &map, &ignored))
        return false;
    bool ok = verify(dense, path, &map, named, &header, &ignored);
    file_map_close(&map);
    pthread_mutex_lock(&dense->lock);
    if (ok)
        dense->verified = named.number;
    pthread_mutex_unlock(&dense->lock);
    return ok;
}

/* Leaves breadth_lock held, in the way that a search of n rows needs it. */
static bool lock_breadth(struct dense_generation *generation, size_t n, struct error *err) {
    size_t breadth = HNSW_EF_SEARCH_MIN;
    while (breadth < n)
        breadth *= 2;
    pthread_rwlock_rdlock(&generation->breadth_lock);
    if (!generation->graph || generation->breadth == breadth)
        return true;
    pthread_rwlock_unlock(&generation->breadth_lock);
    pthread_rwlock_wrlock(&generation->breadth_lock);
    if (set_parameter(generation->index, "efSearch", (int)breadth, err)) {
        generation->breadth = breadth;
        return true;
    }
    pthread_rwlock_unlock(&generation->breadth_lock);
    return false;
}

bool dense_nearest(struct dense_generation *generation, const float *query, size_t n,
                   struct arena *arena, uint32_t *docids_out, size_t *n_out, struct error *err) {
    float *distances = ARENA_NEW(arena, float, n);
    idx_t *labels = ARENA_NEW(arena, idx_t, n);
    size_t found = 0;
    if (!lock_breadth(generation, n, err))
        return false;
    int threads_before = set_threads(1);
    int failed = faiss_Index_search(generation->index, 1, query, (idx_t)n, distances, labels);
    set_threads(threads_before);
    pthread_rwlock_unlock(&generation->breadth_lock);
    if (failed)
        return faiss_failed(err, "search");
    for (size_t i = 0; i < n; i++)
        if (labels[i] >= 0 && labels[i] < (idx_t)generation->rows_n) /* -1: no more */
            docids_out[found++] = generation->docids[labels[i]];
    *n_out = found;
    return true;
}

/* ---- building ---- */

struct dense_builder {
    struct dense_index *dense;
    FaissIndex *index;
    uint32_t *docids; /* [rows_cap] */
    size_t rows_n, rows_cap;
    float *batch; /* [BATCH_ROWS, dim]: the last rows, not yet given to FAISS */
    size_t batch_n;
    int threads_n;
};

bool dense_builder_open(struct dense_index *dense, size_t rows_n, size_t threads_n,
                        struct dense_builder **out, struct error *err) {
    bool graph = rows_n >= dense->limits.hnsw_rows_min;
    char kind[32];
    FaissIndex *index;
    snprintf(kind, sizeof kind, graph ? "HNSW%d" : "Flat", HNSW_LINKS);
    if (faiss_index_factory(&index, (int)dense->dim, kind, METRIC_INNER_PRODUCT) != 0)
        return faiss_failed(err, kind);
    if (graph && !set_parameter(index, "efConstruction", HNSW_EF_CONSTRUCTION, err)) {
        faiss_Index_free(index);
        return false;
    }
    struct dense_builder *builder = mem_zalloc(1, sizeof *builder);
    builder->dense = dense;
    builder->index = index;
    builder->threads_n = (int)(threads_n ? threads_n : pool_cores_n());
    builder->batch = mem_alloc((size_t)BATCH_ROWS * dense->dim, sizeof *builder->batch);
    *out = builder;
    return true;
}

void dense_builder_close(struct dense_builder *builder) {
    if (!builder)
        return;
    faiss_Index_free(builder->index);
    free(builder->docids);
    free(builder->batch);
    free(builder);
}

static bool add_batch(struct dense_builder *builder, struct error *err) {
    int threads_before = set_threads(builder->threads_n);
    int failed = faiss_Index_add(builder->index, (idx_t)builder->batch_n, builder->batch);
    set_threads(threads_before);
    builder->batch_n = 0;
    return failed == 0 || faiss_failed(err, "adding rows");
}

bool dense_builder_add(struct dense_builder *builder, uint32_t docid, const void *row_f16,
                       struct error *err) {
    size_t dim = builder->dense->dim;
    if (builder->rows_n == builder->rows_cap) {
        builder->rows_cap = builder->rows_cap ? 2 * builder->rows_cap : BATCH_ROWS;
        builder->docids = mem_realloc(builder->docids, builder->rows_cap, sizeof docid);
    }
    builder->docids[builder->rows_n++] = docid;
    vec_from_f16(row_f16, dim, builder->batch + builder->batch_n++ * dim);
    return builder->batch_n < BATCH_ROWS || add_batch(builder, err);
}

/* Everything behind the header, and the header's place. */
static bool write_body(const struct dense_builder *builder, FILE *file, const char *path,
                       struct error *err) {
    uint8_t header[HEADER_BYTES] = {0}, docid[4];
    bool ok = fwrite(header, 1, sizeof header, file) == sizeof header;
    for (size_t i = 0; ok && i < builder->rows_n; i++) {
        put_number(docid, builder->docids[i], sizeof docid);
        ok = fwrite(docid, 1, sizeof docid, file) == sizeof docid;
    }
    if (!ok)
        return error_set_errno(err, "%s: writing", path);
    if (faiss_write_index(builder->index, file) != 0)
        return faiss_failed(err, path);
    return fflush(file) == 0 || error_set_errno(err, "%s: writing", path);
}

/* The sum is taken from the file as the system has it, so it covers what FAISS wrote. */
static bool write_header(const struct dense_builder *builder, FILE *file, const char *path,
                         uint64_t number, uint32_t covered_end, struct error *err) {
    struct file_map map;
    uint8_t bytes[HEADER_BYTES];
    if (!file_map_open(path, &map, err))
        return false;
    size_t body = map.len - HEADER_BYTES;
    struct header header = {
        .version = FORMAT_VERSION,
        .dim = builder->dense->dim,
        .number = number,
        .covered_end = covered_end,
        .rows_n = (uint32_t)builder->rows_n,
        .faiss_bytes = body - builder->rows_n * sizeof(uint32_t),
        .body_sum = XXH3_64bits(map.data + HEADER_BYTES, body),
    };
    file_map_close(&map);
    header_print(&header, bytes);
    if (fseek(file, 0, SEEK_SET) != 0 || fwrite(bytes, 1, sizeof bytes, file) != sizeof bytes ||
        fflush(file) != 0 || fsync(fileno(file)) != 0)
        return error_set_errno(err, "%s: writing", path);
    return true;
}

bool dense_builder_write(struct dense_builder *builder, uint64_t number, uint32_t covered_end,
                         uint32_t *rows_n_out, struct error *err) {
    const char *folder = builder->dense->folder;
    char path[PATH_MAX], temporary[PATH_MAX];
    if ((builder->batch_n > 0 && !add_batch(builder, err)) ||
        !generation_path(builder->dense, number, path, err) || !file_make_folder(folder, err))
        return false;
    strcpy(temporary, path);
    strcat(temporary, ".tmp"); /* generation_path left room */
    FILE *file = fopen(temporary, "wbe");
    if (!file)
        return error_set_errno(err, "%s", temporary);
    bool ok = write_body(builder, file, temporary, err) &&
              write_header(builder, file, temporary, number, covered_end, err);
    if (fclose(file) != 0 && ok)
        ok = error_set_errno(err, "%s: closing", temporary);
    if (ok && rename(temporary, path) != 0)
        ok = error_set_errno(err, "%s: renaming to %s", temporary, path);
    if (!ok) {
        unlink(temporary);
        return false;
    }
    *rows_n_out = (uint32_t)builder->rows_n;
    return file_sync_folder(folder, err);
}

void dense_remove_others(struct dense_index *dense, uint64_t number) {
    DIR *folder = opendir(dense->folder);
    if (!folder)
        return;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char *end;
        unsigned long long found = strtoull(entry->d_name, &end, 10);
        bool ours = end != entry->d_name && (strcmp(end, ".faiss.tmp") == 0 ||
                                             (strcmp(end, ".faiss") == 0 && found != number));
        if (ours)
            unlinkat(dirfd(folder), entry->d_name, 0);
    }
    closedir(folder);
}
