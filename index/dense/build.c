#include "index/dense/build.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/base/vec.h"
#include "engine/base/vec_s8.h"
#include "index/dense/file.h"
#include "index/dense/rotate.h"
#include "index/dense/train.h"
#include "index/index.h"
#include "index/inside.h"

enum {
    BATCH_ROWS =
        1024,        /* read from LMDB between two turns of the workers: 2 MB at 1,024 dimensions */
    CHUNK_ROWS = 32, /* that a worker takes at a time */
    /* Other centres when the rows have become so many times those that the old ones were for. */
    RETRAIN_TIMES = 3,
};

static const uint32_t nowhere = UINT32_MAX; /* no list, no place */

struct build_worker {
    float *row, *centre; /* [rotated] */
    struct vec_s8_query query;
    float *products; /* [lists_n] */
};

struct builder {
    const struct dense_build *how;
    struct snapshot *snapshot;
    uint32_t dim, rotated, covered_end;
    /* Rows are numbered in the order of docids, a document's in the order of its passages:
     * [covered_end + 1] docid d has the numbers firsts[d] .. firsts[d + 1]. */
    uint32_t *firsts;
    uint32_t rows_n, documents_n;
    struct pool *pool;
    struct build_worker *workers; /* [pool_workers_n] */
    struct dense_file old;        /* zeroed: build whole */
    struct dense_centres centres;
    uint32_t *which;       /* [lists_n] 0, 1, .. */
    uint32_t *list_of;     /* [rows_n] by number */
    uint32_t *places;      /* [rows_n] by number */
    uint32_t *old_numbers; /* [old rows_n] by place in the old file; nowhere: it died */
    uint32_t trained_rows_n;

    /* What the workers do with a rotated row, and the rows they do it with. */
    bool (*work)(struct builder *builder, struct build_worker *worker, uint32_t number,
                 const float *row, struct error *err);
    uint16_t *batch;   /* [BATCH_ROWS, dim] */
    uint32_t *numbers; /* [BATCH_ROWS] */
    size_t batch_n;
    pthread_mutex_t lock; /* guards ok and *err while workers run */
    bool ok;
    struct error *err;

    size_t sample_n;
    uint16_t *sample; /* [sample_n, rotated] */

    struct dense_file_writer file;
    struct dense_guess *guesses; /* [rows_n] by place */
    struct dense_bytes *scales;  /* [rows_n] */
    double square_sum;           /* of the lengths of newly written rows; under lock */
    size_t read_bytes;           /* of the map since it was let go */
};

/* A passing look at the table costs a process that is alone no more than this. */
enum { LET_GO_BYTES = 32 << 20, ROW_OVERHEAD_BYTES = 32 };

static void was_read(struct builder *builder, size_t rows_n) {
    builder->read_bytes += rows_n * builder->dim * sizeof *builder->batch + ROW_OVERHEAD_BYTES;
    if (!builder->how->alone || builder->read_bytes < LET_GO_BYTES)
        return;
    index_let_go(builder->snapshot->index);
    builder->read_bytes = 0;
}

static bool stopped(const struct builder *builder) {
    return atomic_load(builder->how->stop);
}

static bool told_to_stop(struct error *err) {
    return error_set(err, ERROR_STOPPED, "stopped");
}

/* ---- rows from LMDB to the workers ---- */

static void work_chunk(void *context, size_t item, size_t number) {
    struct builder *builder = context;
    struct build_worker *worker = &builder->workers[number];
    size_t end = (item + 1) * CHUNK_ROWS;
    struct error err;
    bool ok = true;
    for (size_t i = item * CHUNK_ROWS; ok && i < end && i < builder->batch_n; i++) {
        memset(worker->row, 0, builder->rotated * sizeof *worker->row);
        vec_from_f16(builder->batch + i * builder->dim, builder->dim, worker->row);
        dense_rotate(worker->row, builder->rotated);
        ok = builder->work(builder, worker, builder->numbers[i], worker->row, &err);
    }
    if (!ok) {
        pthread_mutex_lock(&builder->lock);
        builder->ok = false;
        *builder->err = err;
        pthread_mutex_unlock(&builder->lock);
    }
}

static bool flush(struct builder *builder) {
    if (builder->ok && stopped(builder))
        builder->ok = told_to_stop(builder->err);
    if (builder->ok)
        pool_run(builder->pool, (builder->batch_n + CHUNK_ROWS - 1) / CHUNK_ROWS, work_chunk,
                 builder);
    builder->batch_n = 0;
    return builder->ok;
}

static bool take_row(struct builder *builder, uint32_t number, const uint16_t *row) {
    memcpy(builder->batch + builder->batch_n * builder->dim, row,
           builder->dim * sizeof *builder->batch);
    builder->numbers[builder->batch_n++] = number;
    return builder->batch_n < BATCH_ROWS || flush(builder);
}

static bool take_rows(void *context, uint32_t docid, const void *rows, size_t rows_n) {
    struct builder *builder = context;
    was_read(builder, rows_n);
    for (size_t i = 0; i < rows_n; i++)
        if (!take_row(builder, builder->firsts[docid] + (uint32_t)i,
                      (const uint16_t *)rows + i * builder->dim))
            return false;
    return true;
}

static bool each_row(struct builder *builder, uint32_t begin,
                     bool (*take)(void *context, uint32_t docid, const void *rows, size_t rows_n),
                     bool (*work)(struct builder *builder, struct build_worker *worker,
                                  uint32_t number, const float *row, struct error *err),
                     struct error *err) {
    builder->work = work;
    builder->batch_n = 0;
    builder->ok = true;
    builder->err = err;
    return forward_dense_each(builder->snapshot, begin, builder->covered_end, take, builder, err) &&
           builder->ok && flush(builder);
}

/* ---- which rows there are ---- */

static bool count_rows(void *context, uint32_t docid, const void *rows, size_t rows_n) {
    struct builder *builder = context;
    (void)rows;
    was_read(builder, rows_n);
    builder->firsts[docid + 1] = (uint32_t)rows_n;
    return true;
}

/* Of the rows in the generation before it is known which they are. */
static void number_old(struct builder *builder) {
    const struct dense_lists *old = &builder->old.lists;
    memset(builder->old_numbers, 0xff, old->rows_n * sizeof *builder->old_numbers);
    for (uint32_t docid = 0; docid < old->covered_end; docid++) {
        uint32_t begin = old->firsts[docid], n = old->firsts[docid + 1] - begin;
        bool live = builder->firsts[docid + 1] > builder->firsts[docid];
        for (uint32_t i = 0; live && i < n; i++)
            builder->old_numbers[old->places[begin + i]] = builder->firsts[docid] + i;
    }
}

static bool number_rows(struct builder *builder, struct error *err) {
    const struct dense_lists *old = &builder->old.lists;
    uint32_t old_end = old->covered_end, *firsts;
    firsts = builder->firsts = mem_zalloc((size_t)builder->covered_end + 1, sizeof *firsts);
    for (uint32_t docid = 0; docid < old_end; docid++)
        if (snapshot_is_live(builder->snapshot, docid))
            firsts[docid + 1] = old->firsts[docid + 1] - old->firsts[docid];
    if (!forward_dense_each(builder->snapshot, old_end, builder->covered_end, count_rows, builder,
                            err))
        return false;
    for (uint32_t docid = 0; docid < builder->covered_end; docid++) {
        builder->documents_n += firsts[docid + 1] > 0;
        if (firsts[docid + 1] > UINT32_MAX - firsts[docid])
            return error_set(err, ERROR_LIMIT, "a dense generation of more than %u rows",
                             UINT32_MAX);
        firsts[docid + 1] += firsts[docid];
    }
    builder->rows_n = firsts[builder->covered_end];
    builder->list_of = mem_alloc(builder->rows_n, sizeof *builder->list_of);
    builder->places = mem_alloc(builder->rows_n, sizeof *builder->places);
    builder->old_numbers = mem_alloc(old->rows_n, sizeof *builder->old_numbers);
    number_old(builder);
    return true;
}

/* ---- centres ---- */

static bool keep_sample(struct builder *builder, struct build_worker *worker, uint32_t number,
                        const float *row, struct error *err) {
    uint16_t *out = builder->sample + (size_t)builder->list_of[number] * builder->rotated;
    (void)worker, (void)err;
    vec_to_f16(row, builder->rotated, out);
    return true;
}

/* Rows at even distances, sample_n of rows_n. A row's place in the sample stands in list_of until
 * it is assigned. */
static bool take_sample(void *context, uint32_t docid, const void *rows, size_t rows_n) {
    struct builder *builder = context;
    was_read(builder, rows_n);
    for (size_t i = 0; i < rows_n; i++) {
        uint32_t number = builder->firsts[docid] + (uint32_t)i;
        uint64_t before = (uint64_t)number * builder->sample_n / builder->rows_n;
        uint64_t after = ((uint64_t)number + 1) * builder->sample_n / builder->rows_n;
        if (after == before)
            continue;
        builder->list_of[number] = (uint32_t)before;
        if (!take_row(builder, number, (const uint16_t *)rows + i * builder->dim))
            return false;
    }
    return true;
}

/* One list, around nothing. */
static void one_centre(struct builder *builder) {
    builder->centres.lists_n = 1;
    builder->centres.bytes = mem_alloc(builder->rotated, 1);
    builder->centres.scales = mem_zalloc(1, sizeof *builder->centres.scales);
    memset(builder->centres.bytes, VEC_S8_BIAS, builder->rotated);
}

static bool train(struct builder *builder, struct error *err) {
    builder->trained_rows_n = builder->rows_n;
    if (builder->rows_n < builder->how->lists_rows_min) {
        one_centre(builder);
        return true;
    }
    builder->sample_n = dense_train_sample_n(builder->rows_n);
    builder->sample = mem_zalloc(builder->sample_n * builder->rotated, sizeof *builder->sample);
    bool ok = each_row(builder, 0, take_sample, keep_sample, err) &&
              (dense_train(builder->sample, builder->sample_n, builder->rotated,
                           dense_train_lists_n(builder->rows_n), builder->pool, builder->how->stop,
                           &builder->centres) ||
               told_to_stop(err));
    free(builder->sample);
    builder->sample = NULL;
    return ok;
}

/* ---- which list ---- */

static bool assign_row(struct builder *builder, struct build_worker *worker, uint32_t number,
                       const float *row, struct error *err) {
    (void)err;
    builder->list_of[number] = builder->centres.lists_n == 1
                                   ? 0
                                   : dense_nearest(&builder->centres, row, &worker->query,
                                                   builder->which, worker->products);
    return true;
}

/* Rows of the generation before stay in their lists while they live. */
static void assign_old(struct builder *builder) {
    const struct dense_lists *old = &builder->old.lists;
    for (uint32_t list = 0; list < old->lists_n; list++)
        for (uint32_t row = old->begins[list]; row < old->begins[list + 1]; row++)
            if (builder->old_numbers[row] != nowhere)
                builder->list_of[builder->old_numbers[row]] = list;
}

static void workers_open(struct builder *builder) {
    size_t lists_n = builder->centres.lists_n;
    builder->which = mem_alloc(lists_n, sizeof *builder->which);
    for (uint32_t l = 0; l < lists_n; l++)
        builder->which[l] = l;
    for (size_t w = 0; w < pool_workers_n(builder->pool); w++)
        builder->workers[w].products = mem_alloc(lists_n, sizeof(float));
}

static bool assign(struct builder *builder, struct error *err) {
    workers_open(builder);
    assign_old(builder);
    return each_row(builder, builder->old.lists.covered_end, take_rows, assign_row, err);
}

/* ---- the file ---- */

/* Rows get their places: by list, within a list by number. docids_out: [rows_n] by place. */
static void place_rows(struct builder *builder, uint32_t *begins, uint32_t *docids_out) {
    uint32_t lists_n = builder->centres.lists_n, *ends = begins + 1;
    for (uint32_t number = 0; number < builder->rows_n; number++)
        begins[builder->list_of[number] + 2]++;
    for (uint32_t l = 2; l < lists_n + 2; l++)
        begins[l] += begins[l - 1]; /* ends[l] is still where list l begins */
    for (uint32_t docid = 0; docid < builder->covered_end; docid++)
        for (uint32_t number = builder->firsts[docid]; number < builder->firsts[docid + 1];
             number++) {
            builder->places[number] = ends[builder->list_of[number]]++;
            docids_out[builder->places[number]] = docid;
        }
}

static bool create_file(struct builder *builder, struct error *err) {
    uint32_t lists_n = builder->centres.lists_n, rows_n = builder->rows_n;
    struct dense_file_writer *file = &builder->file;
    uint32_t *begins = mem_zalloc((size_t)lists_n + 2, sizeof *begins);
    uint32_t *docids = mem_alloc(rows_n, sizeof *docids);
    place_rows(builder, begins, docids);
    struct dense_lists shape = {.dim = builder->rotated,
                                .rows_n = rows_n,
                                .lists_n = lists_n,
                                .covered_end = builder->covered_end,
                                .documents_n = builder->documents_n};
    bool ok = dense_file_create(builder->how->path, builder->dim, builder->how->number, &shape,
                                builder->trained_rows_n, file, err) &&
              dense_file_put(file, DENSE_BEGINS, 0, lists_n + 1, begins, err) &&
              dense_file_put(file, DENSE_DOCIDS, 0, rows_n, docids, err) &&
              dense_file_put(file, DENSE_FIRSTS, 0, (size_t)builder->covered_end + 1,
                             builder->firsts, err) &&
              dense_file_put(file, DENSE_PLACES, 0, rows_n, builder->places, err) &&
              dense_file_put(file, DENSE_CENTRES, 0, lists_n, builder->centres.bytes, err) &&
              dense_file_put(file, DENSE_CENTRE_SCALES, 0, lists_n, builder->centres.scales, err);
    builder->guesses = mem_alloc(rows_n, sizeof *builder->guesses);
    builder->scales = mem_alloc(rows_n, sizeof *builder->scales);
    free(begins);
    free(docids);
    return ok;
}

static uint32_t place_of_old(const struct builder *builder, uint32_t row) {
    uint32_t number = builder->old_numbers[row];
    return number == nowhere ? nowhere : builder->places[number];
}

/* Those of the old rows [row, row + *n_out) that stand side by side in the new file as well, and
 * where they stand there; nowhere: the first is gone. */
static uint32_t run_of(const struct builder *builder, uint32_t row, uint32_t *n_out) {
    const struct dense_lists *old = &builder->old.lists;
    uint32_t place = place_of_old(builder, row), n = 1;
    while (place != nowhere && row + n < old->rows_n && place_of_old(builder, row + n) == place + n)
        n++;
    *n_out = n;
    return place;
}

static bool copy_old(struct builder *builder, struct error *err) {
    const struct dense_lists *old = &builder->old.lists;
    struct dense_file_writer *file = &builder->file;
    size_t dim = old->dim;
    for (uint32_t row = 0, n; row < old->rows_n; row += n) {
        uint32_t place = run_of(builder, row, &n);
        if (place == nowhere)
            continue;
        memcpy(builder->guesses + place, old->guesses + row, n * sizeof *old->guesses);
        memcpy(builder->scales + place, old->scales + row, n * sizeof *old->scales);
        if (stopped(builder))
            return told_to_stop(err);
        if (!dense_file_put(file, DENSE_SIGNS, place, n, old->signs + row * (dim / 8), err) ||
            !dense_file_put(file, DENSE_BYTES, place, n, old->bytes + row * dim, err))
            return false;
    }
    return true;
}

static bool write_row(struct builder *builder, struct build_worker *worker, uint32_t number,
                      const float *row, struct error *err) {
    uint8_t signs[VEC_S8_DIM_MAX / 8], bytes[VEC_S8_DIM_MAX];
    uint32_t place = builder->places[number], list = builder->list_of[number];
    struct dense_lists centres = {.dim = builder->rotated,
                                  .centres = builder->centres.bytes,
                                  .centre_scales = builder->centres.scales};
    dense_centre_get(&centres, list, worker->centre);
    dense_encode(row, worker->centre, builder->rotated, &builder->guesses[place],
                 &builder->scales[place], signs, bytes);
    double square = 0;
    for (size_t i = 0; i < builder->rotated; i++)
        square += (double)row[i] * (double)row[i];
    pthread_mutex_lock(&builder->lock);
    builder->square_sum += square;
    pthread_mutex_unlock(&builder->lock);
    return dense_file_put(&builder->file, DENSE_SIGNS, place, 1, signs, err) &&
           dense_file_put(&builder->file, DENSE_BYTES, place, 1, bytes, err);
}

/* Of a file whose centres were kept, the breadths stay as well: they are those of the lists. */
static bool measure(struct builder *builder, float *breadths, struct error *err) {
    struct dense_file written;
    if (builder->old.lists.lists_n > 0) {
        memcpy(breadths, builder->old.lists.breadths, sizeof builder->old.lists.breadths);
        return true;
    }
    if (builder->centres.lists_n == 1) {
        breadths[0] = breadths[1] = 1;
        return true;
    }
    if (!dense_file_peek(&builder->file, &written, err))
        return false;
    bool done = dense_measure_breadths(&written.lists, builder->pool, builder->how->stop, breadths);
    dense_file_close(&written);
    return done || told_to_stop(err);
}

static bool write_file(struct builder *builder, struct error *err) {
    struct dense_file_writer *file = &builder->file;
    float breadths[DENSE_BREADTHS_N];
    if (!create_file(builder, err))
        return false;
    size_t rows_n = builder->rows_n;
    bool ok = copy_old(builder, err) &&
              each_row(builder, builder->old.lists.covered_end, take_rows, write_row, err) &&
              dense_file_put(file, DENSE_GUESSES, 0, rows_n, builder->guesses, err) &&
              dense_file_put(file, DENSE_SCALES, 0, rows_n, builder->scales, err);
    file->shape.row_length = builder->old.lists.lists_n > 0
                                 ? builder->old.lists.row_length
                                 : (float)sqrt(builder->square_sum / (double)(rows_n + !rows_n));
    return ok && measure(builder, breadths, err) && dense_file_finish(file, breadths, err);
}

/* ---- all of it ---- */

/* Opens the generation before when it may be extended. */
static void open_old(struct builder *builder) {
    struct index_generation named = snapshot_generation(builder->snapshot);
    struct error ignored;
    if (!builder->how->old_path || named.number == 0 ||
        !dense_file_open(builder->how->old_path, builder->dim, named, &builder->old, &ignored))
        return;
    uint64_t rows_n = snapshot_passages_n(builder->snapshot);
    bool few_lists = builder->old.lists.lists_n == 1 && rows_n >= builder->how->lists_rows_min;
    if (few_lists || rows_n / RETRAIN_TIMES > builder->old.trained_rows_n ||
        !dense_file_is_sound(&builder->old))
        dense_file_close(&builder->old);
}

static void take_centres(struct builder *builder) {
    const struct dense_lists *old = &builder->old.lists;
    struct dense_centres *centres = &builder->centres;
    centres->lists_n = old->lists_n;
    centres->bytes = mem_alloc_aligned(old->lists_n, old->dim);
    centres->scales = mem_alloc(old->lists_n, sizeof *centres->scales);
    memcpy(centres->bytes, old->centres, (size_t)old->lists_n * old->dim);
    memcpy(centres->scales, old->centre_scales, old->lists_n * sizeof *centres->scales);
    builder->trained_rows_n = builder->old.trained_rows_n;
}

static void builder_open(struct builder *builder) {
    builder->pool = pool_open(builder->how->threads_n);
    size_t workers_n = pool_workers_n(builder->pool);
    builder->workers = mem_zalloc(workers_n, sizeof *builder->workers);
    for (size_t w = 0; w < workers_n; w++) {
        builder->workers[w].row = mem_alloc(builder->rotated, sizeof(float));
        builder->workers[w].centre = mem_alloc(builder->rotated, sizeof(float));
        builder->workers[w].query = vec_s8_query_new(builder->rotated);
    }
    builder->batch = mem_alloc((size_t)BATCH_ROWS * builder->dim, sizeof *builder->batch);
    builder->numbers = mem_alloc(BATCH_ROWS, sizeof *builder->numbers);
    pthread_mutex_init(&builder->lock, NULL);
}

static void builder_close(struct builder *builder) {
    for (size_t w = 0; w < pool_workers_n(builder->pool); w++) {
        free(builder->workers[w].row);
        free(builder->workers[w].centre);
        free(builder->workers[w].products);
        vec_s8_query_done(&builder->workers[w].query);
    }
    pool_close(builder->pool);
    dense_file_abandon(&builder->file);
    dense_file_close(&builder->old);
    dense_centres_done(&builder->centres);
    pthread_mutex_destroy(&builder->lock);
    free(builder->workers);
    free(builder->which);
    free(builder->list_of);
    free(builder->places);
    free(builder->batch);
    free(builder->numbers);
    free(builder->firsts);
    free(builder->old_numbers);
    free(builder->guesses);
    free(builder->scales);
}

bool dense_build(const struct dense_build *build, struct snapshot *snapshot,
                 struct index_generation *out, struct error *err) {
    uint32_t dim = index_settings_of(snapshot_index(snapshot))->dense_dim;
    struct builder builder = {
        .how = build,
        .snapshot = snapshot,
        .dim = dim,
        .rotated = dense_rotated_dim(dim),
        .covered_end = snapshot_docid_end(snapshot),
    };
    builder_open(&builder);
    open_old(&builder);
    bool ok = number_rows(&builder, err);
    if (ok && builder.old.lists.lists_n > 0)
        take_centres(&builder);
    else
        ok = ok && train(&builder, err);
    ok = ok && assign(&builder, err) && write_file(&builder, err);
    if (ok)
        *out = (struct index_generation){
            .number = build->number,
            .covered_end = builder.covered_end,
            .rows_n = builder.rows_n,
        };
    builder_close(&builder);
    return ok;
}
