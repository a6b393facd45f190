#include "index/dense/dense.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "index/dense/file.h"

/* Measured on one core: a scan of LMDB's f16 rows costs 0.3 us a row at 384 dimensions and 1 us at
 * 1,024, so 2,000 newer or uncovered rows add a millisecond or two. Up to 10,000 rows all bytes are
 * read in less than 0.6 ms, and the answer is exact; 2,000 rows here and there take as long as a
 * search through lists. */
static const struct dense_limits LIMITS = {
    .generation_rows_min = 2000,
    .lists_rows_min = 10000,
    .uncovered_min = 2000,
    .sure_rows_max = 2000,
    .breadth_times = 1,
};

#define SUFFIX ".lists"
#define HALF_MADE ".tmp" /* behind SUFFIX, a dot and the process's number */

struct dense_generation {
    struct dense_generation *next;
    struct index_generation named;
    bool failed; /* remembered, so that no search tries it again */
    size_t holders_n;
    struct dense_file file;
};

struct dense_index {
    char *folder; /* FOLDER/dense */
    uint32_t dim;
    struct dense_limits limits;
    pthread_mutex_t making; /* taken before `lock`, never after it */
    pthread_mutex_t lock;   /* guards what follows; held while a file is opened: a millisecond */
    struct dense_generation *generations;
    uint64_t newest; /* the largest number any search has asked for */
};

/* Lists of fewer rows than a generation has would be no lists. */
static struct dense_limits limits_of(enum index_dense_kind kind) {
    struct dense_limits limits = LIMITS;
    if (kind == INDEX_DENSE_FLAT)
        limits.lists_rows_min = UINT32_MAX;
    else if (kind == INDEX_DENSE_LISTS)
        limits.lists_rows_min = limits.generation_rows_min;
    return limits;
}

struct dense_index *dense_index_new(const char *folder, uint32_t dim, enum index_dense_kind kind) {
    struct dense_index *dense = mem_zalloc(1, sizeof *dense);
    struct buf path = {0};
    buf_format(&path, "%s/dense", folder);
    dense->folder = path.data;
    dense->dim = dim;
    dense->limits = limits_of(kind);
    pthread_mutex_init(&dense->making, NULL);
    pthread_mutex_init(&dense->lock, NULL);
    return dense;
}

static void generation_free(struct dense_generation *generation) {
    dense_file_close(&generation->file);
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
    pthread_mutex_destroy(&dense->making);
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

const char *dense_folder(const struct dense_index *dense) {
    return dense->folder;
}

void dense_path(const struct dense_index *dense, uint64_t number, struct buf *out) {
    buf_format(out, "%s/%llu" SUFFIX, dense->folder, (unsigned long long)number);
}

void dense_making_path(const struct dense_index *dense, uint64_t number, struct buf *out) {
    dense_path(dense, number, out);
    buf_format(out, ".%ld" HALF_MADE, (long)getpid());
}

pthread_mutex_t *dense_making(struct dense_index *dense) {
    return &dense->making;
}

/* ---- open generations; static functions are called under dense->lock ---- */

static struct dense_generation *find(struct dense_index *dense, uint64_t number) {
    struct dense_generation *generation = dense->generations;
    while (generation && generation->named.number != number)
        generation = generation->next;
    return generation;
}

/* Drops what nobody holds and no new search will ask for. */
static void sweep(struct dense_index *dense) {
    for (struct dense_generation **at = &dense->generations; *at;) {
        struct dense_generation *generation = *at;
        if (generation->named.number < dense->newest && generation->holders_n == 0) {
            *at = generation->next;
            generation_free(generation);
        } else {
            at = &generation->next;
        }
    }
}

static struct dense_generation *open_generation(struct dense_index *dense,
                                                struct index_generation named) {
    struct dense_generation *generation = mem_zalloc(1, sizeof *generation);
    struct buf path = {0};
    struct error ignored; /* a scan answers instead, and the writer builds anew */
    dense_path(dense, named.number, &path);
    generation->named = named;
    generation->failed =
        !dense_file_open(path.data, dense->dim, named, &generation->file, &ignored);
    generation->next = dense->generations;
    dense->generations = generation;
    buf_done(&path);
    return generation;
}

struct dense_generation *dense_acquire(struct dense_index *dense, struct index_generation named) {
    pthread_mutex_lock(&dense->lock);
    struct dense_generation *generation = find(dense, named.number);
    if (named.number > dense->newest)
        dense->newest = named.number;
    if (!generation)
        generation = open_generation(dense, named);
    bool usable = !generation->failed;
    generation->holders_n += usable;
    sweep(dense);
    pthread_mutex_unlock(&dense->lock);
    return usable ? generation : NULL;
}

void dense_release(struct dense_index *dense, struct dense_generation *generation) {
    if (!generation)
        return;
    pthread_mutex_lock(&dense->lock);
    generation->holders_n--;
    sweep(dense);
    pthread_mutex_unlock(&dense->lock);
}

struct dense_file *dense_generation_file(struct dense_generation *generation) {
    return &generation->file;
}

void dense_fail(struct dense_index *dense, struct dense_generation *generation) {
    pthread_mutex_lock(&dense->lock);
    generation->failed = true;
    pthread_mutex_unlock(&dense->lock);
}

bool dense_index_has(struct dense_index *dense, uint64_t number) {
    pthread_mutex_lock(&dense->lock);
    const struct dense_generation *generation = find(dense, number);
    bool has = generation && !generation->failed;
    pthread_mutex_unlock(&dense->lock);
    return has;
}

/* A server asks after every batch: what was read once is known, and a look whether the file is
 * still there must do. */
bool dense_usable(struct dense_index *dense, struct index_generation named) {
    struct buf path = {0};
    struct dense_generation *generation = dense_acquire(dense, named);
    if (!generation)
        return false;
    dense_path(dense, named.number, &path);
    bool sound = file_exists(path.data) && dense_file_is_sound(&generation->file);
    if (!sound)
        dense_fail(dense, generation);
    dense_release(dense, generation);
    buf_done(&path);
    return sound;
}

void dense_remove_others(struct dense_index *dense, uint64_t number) {
    DIR *folder = opendir(dense->folder);
    if (!folder)
        return;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char *end;
        unsigned long long found = strtoull(entry->d_name, &end, 10);
        bool numbered = end != entry->d_name && strncmp(end, SUFFIX, strlen(SUFFIX)) == 0;
        const char *rest = numbered ? end + strlen(SUFFIX) : "";
        bool half_made = *rest == '.' && found <= number; /* beyond it somebody is at work */
        if (numbered && (half_made || (*rest == '\0' && found != number)))
            unlinkat(dirfd(folder), entry->d_name, 0);
    }
    closedir(folder);
}
