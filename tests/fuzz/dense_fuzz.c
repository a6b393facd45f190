/* dense_fuzz - a generation of dense search: whatever bytes change in its file, answers do not.
 *
 * A generation of some lists is made once, by an index. An input's bytes are a query, a filter
 * and damages to the file. It is opened and searched both ways, with and without the filter;
 * each search must say that the generation is damaged, or find what it found in the sound file.
 * Nothing may be read outside the file. Run it: docs/fuzzing.md. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/vec.h"
#include "index/dense/dense.h"
#include "index/dense/scan.h"
#include "index/fixture.h"
#include "index/inside.h"
#include "tests/fuzz/fuzz.h"

enum { DIM = 24, ROWS_N = 120, K = 7, PATCHES_MAX = 6, PATCH_BYTES = 4, FILE_MAX = 1 << 20 };

struct base {
    struct index *index;
    struct snapshot *snapshot;
    struct index_generation named;
    struct buf file; /* sound */
    char path[64];   /* of a file in memory with the same bytes */
    int fd;
};

static void put_rows(struct writer *writer, struct error *err) {
    unsigned long long seed = 3;
    for (uint32_t i = 0; i < ROWS_N; i++) {
        float row[DIM];
        char key[16];
        struct record record = {.key = key, .dense = row};
        record.key_len = (size_t)snprintf(key, sizeof key, "%u", i);
        for (size_t d = 0; d < DIM; d++)
            row[d] = 0.3f * check_random_float(&seed) + (float)(d == i % 6);
        vec_normalize(row, DIM);
        CHECK_OK(writer_put(writer, &record, err), *err);
    }
    for (uint32_t i = 0; i < ROWS_N; i += 17) {
        char key[16];
        bool found;
        size_t len = (size_t)snprintf(key, sizeof key, "%u", i);
        CHECK_OK(writer_delete(writer, key, len, &found, err), *err);
    }
}

static struct base make_base(void) {
    const struct index_settings settings = {.dense_dim = DIM};
    const struct dense_limits limits = {
        .generation_rows_min = 1, .lists_rows_min = 10, .uncovered_min = 1};
    struct base base = {0};
    struct error err;
    struct buf path = {0};
    char folder[64];
    fixture_memory_folder(folder);
    CHECK_OK(index_create(folder, &settings, &base.index, &err), err);
    dense_index_set_limits(index_dense(base.index), limits);
    struct writer *writer = fixture_writer(base.index);
    put_rows(writer, &err);
    CHECK_OK(writer_commit(writer, &err), err);
    CHECK_OK(writer_build_dense(writer, 1, &err), err);
    writer_close(writer);
    CHECK_OK(snapshot_open(base.index, &base.snapshot, &err), err);
    base.named = snapshot_generation(base.snapshot);
    dense_path(index_dense(base.index), base.named.number, &path);
    CHECK_OK(file_read(path.data, FILE_MAX, &base.file, &err), err);
    buf_done(&path);
    fixture_remove(folder); /* it lives on while it is open */
    base.fd = memfd_create("fuzz", 0);
    snprintf(base.path, sizeof base.path, "/proc/self/fd/%d", base.fd);
    CHECK(write(base.fd, base.file.data, base.file.len) == (ssize_t)base.file.len);
    assert(check_failed == 0 && base.named.number == 1);
    return base;
}

/* ---- searching ---- */

struct answer {
    uint32_t docids[ROWS_N + 1];
    size_t n;
    bool ok;
};

/* near: the lists nearest to the query; else all rows, for certain. */
static struct answer search(const struct base *base, struct dense_file *file, const float *query,
                            const struct docid_set *allowed, bool near) {
    struct arena arena = {0};
    struct dense_scan scan;
    struct dense_candidates found;
    struct error err;
    struct answer answer = {0};
    dense_scan_init(&scan, file, base->snapshot, allowed, query, &arena);
    answer.ok = near ? dense_scan_near(&scan, K, dense_scan_breadth(&file->lists, K), &found, &err)
                     : dense_scan_sure(&scan, K, NULL, &found, &err);
    if (answer.ok) {
        assert(found.n <= ROWS_N);
        answer.n = found.n;
        memcpy(answer.docids, found.docids, found.n * sizeof *found.docids);
        for (size_t i = 0; i < found.n; i++)
            assert(allowed ? docid_set_has(allowed, found.docids[i])
                           : snapshot_is_live(base->snapshot, found.docids[i]));
    } else {
        assert(err.code == ERROR_CORRUPT);
    }
    arena_done(&arena);
    return answer;
}

static bool open_file(const struct base *base, struct dense_file *out) {
    struct error err;
    bool ok = dense_file_open(base->path, DIM, base->named, out, &err);
    assert(ok || err.code == ERROR_CORRUPT);
    return ok;
}

/* Both ways, without and with the filter. */
static void search_all(const struct base *base, const float *query, const struct docid_set *set,
                       struct answer out[4]) {
    struct dense_file file;
    for (int i = 0; i < 4; i++)
        out[i].ok = false;
    if (!open_file(base, &file))
        return;
    for (int i = 0; i < 4; i++)
        out[i] = search(base, &file, query, i & 1 ? set : NULL, i & 2);
    dense_file_close(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct base base;
    struct fuzz_input input = {data, data + size};
    struct answer sound[4], damaged[4];
    struct arena arena = {0};
    size_t patched[PATCHES_MAX], n = 0;
    float query[DIM];
    if (!base.index)
        base = make_base();
    uint64_t pattern = fuzz_u32(&input);
    for (size_t d = 0; d < DIM; d++)
        query[d] = (float)(int8_t)(pattern >> d % 16) / 64;
    struct docid_set set = docid_set_new(ROWS_N, &arena);
    for (uint32_t docid = 0; docid < ROWS_N; docid++)
        if ((pattern >> docid % 29 & 1) && snapshot_is_live(base.snapshot, docid))
            docid_set_add(&set, docid);
    search_all(&base, query, &set, sound);
    for (; n < PATCHES_MAX && fuzz_left(&input) >= PATCH_BYTES; n++) {
        size_t at = (fuzz_u16(&input) | fuzz_byte(&input) << 16) % base.file.len;
        uint8_t byte = (uint8_t)base.file.data[at] ^ (uint8_t)fuzz_byte(&input);
        patched[n] = at;
        if (pwrite(base.fd, &byte, 1, (off_t)at) != 1)
            abort();
    }
    search_all(&base, query, &set, damaged);
    for (int i = 0; i < 4; i++) {
        assert(sound[i].ok);
        assert(!damaged[i].ok ||
               (damaged[i].n == sound[i].n && memcmp(damaged[i].docids, sound[i].docids,
                                                     sound[i].n * sizeof *sound[i].docids) == 0));
    }
    while (n-- > 0)
        if (pwrite(base.fd, base.file.data + patched[n], 1, (off_t)patched[n]) != 1)
            abort();
    arena_done(&arena);
    return 0;
}
