/* eval_fuzz - runs and judgments as others write them: read and measured, or refused with the line.
 *
 * An input is a run, then "%%" on a line of its own, then judgments (qrels). What is read of the
 * run is written and read again: the same. Then each query is measured: every value lies between
 * 0 and 1, and measures that look at more ranks and only gain by it (recall, hit) do not fall.
 * Run it: docs/fuzzing.md. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "tools/eval/trec.h"

static const char part[] = "\n%%\n";

/* A file in memory. */
struct file {
    int fd;
    char path[64];
};

static void file_set(struct file *file, const void *bytes, size_t len) {
    if (!file->path[0]) {
        file->fd = memfd_create("fuzz", 0);
        snprintf(file->path, sizeof file->path, "/proc/self/fd/%d", file->fd);
    }
    if (ftruncate(file->fd, 0) != 0 || pwrite(file->fd, bytes, len, 0) != (ssize_t)len)
        abort();
}

static void check_refusal(const struct error *err, const struct file *file) {
    assert(err->code == ERROR_INVALID || err->code == ERROR_LIMIT || err->code == ERROR_CORRUPT);
    assert(strstr(err->message, file->path));
}

/* Words without blanks, that a line of a run can hold. */
static void check_same(const struct run *run, const struct run *again) {
    assert(run->n == again->n);
    for (size_t q = 0; q < run->n; q++) {
        const struct run_query *a = &run->queries[q], *b = &again->queries[q];
        assert(strcmp(a->id, b->id) == 0 && a->hits_n == b->hits_n);
        for (size_t i = 0; i < a->hits_n; i++)
            assert(strcmp(a->hits[i].doc_key, b->hits[i].doc_key) == 0 &&
                   a->hits[i].score == b->hits[i].score);
    }
}

static void measure(const struct run *run, const struct judged_queries *judged,
                    struct arena *arena) {
    struct measure_list list;
    struct error err;
    bool ok = measures_parse("ndcg@10,ndcg@3,precision@5,mrr@10,mrr,map,map@5,hole@10,recall@2,"
                             "recall@5,recall@100,hit@1,hit@5,hit@100",
                             &list, &err);
    assert(ok);
    size_t grows = 8; /* from here on, each group by its depth */
    struct run_query *aligned = run_aligned(run, judged, arena);
    double *values = run_values(aligned, judged, &list, arena);
    for (size_t q = 0; q < judged->n; q++, values += list.n) {
        for (size_t m = 0; m < list.n; m++)
            assert(values[m] >= 0 && values[m] <= 1 + 1e-9);
        for (size_t m = grows + 1; m < list.n; m++)
            assert(list.items[m].kind != list.items[m - 1].kind || values[m] >= values[m - 1]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct file run_file, written, qrels_file;
    struct arena arena = {0};
    struct run run, again;
    struct judged_builder builder = {.arena = &arena};
    struct judged_queries judged;
    struct error err;
    const uint8_t *stop = memmem(data, size, part, sizeof part - 1);
    size_t run_len = stop ? (size_t)(stop - data) : size;
    file_set(&run_file, data, run_len);
    bool ok = run_read(run_file.path, &arena, &run, &err);
    if (!ok)
        check_refusal(&err, &run_file);
    /* A file's first bytes may say that it is packed, or in which encoding it is. */
    if (ok && run.queries[0].id[0] >= 'a' && run.queries[0].id[0] <= 'z') {
        file_set(&written, "", 0);
        bool same = run_write(written.path, &run, "tag", &err) &&
                    run_read(written.path, &arena, &again, &err);
        assert(same);
        check_same(&run, &again);
    }
    if (stop) {
        file_set(&qrels_file, stop + sizeof part - 1, size - run_len - (sizeof part - 1));
        bool read = judged_qrels_read(&builder, qrels_file.path, true, &err);
        if (!read)
            check_refusal(&err, &qrels_file);
        if (read && judged_done(&builder, "fuzz", &judged, &err)) {
            if (ok)
                measure(&run, &judged, &arena);
        } else {
            judged_give_up(&builder);
        }
    }
    arena_done(&arena);
    return 0;
}
