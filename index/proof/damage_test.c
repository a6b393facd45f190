/* Bits that flip on the disk, files that are cut short: what is used is refused or right.
 *
 * Each case runs in a child, so that a crash is seen and counted. It compares everything with the
 * model, then writes to the index. Nothing may crash, and nothing may be wrong and not reported
 * (docs/durability.md). TERCET_FLIPS=n per kind of value; TERCET_FILE_FLIPS=n anywhere in the
 * file. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "engine/base/buf.h"
#include "engine/base/file.h"
#include "index/care/check.h"
#include "index/rows.h"
#include "index/fixture.h"
#include "index/proof/model.h"
#include "index/store/store.h"
#include "index/writer.h"

enum {
    FLIPS = 40,
    BATCHES = 60,
    WRITES_AFTER = 6, /* batches written to the damaged index */
    FILE_MAX = 64 << 20,
    CHILD_SECONDS = 60, /* longer is counted as a crash */
};

enum outcome { RIGHT, REPORTED, WRONG, CRASHED, OUTCOMES_N };

/* What a child's exit status says; none that a sanitizer or abort would give. */
enum { STATUS_FIRST = 100 };

struct counts {
    unsigned of[OUTCOMES_N];
    unsigned missed[OUTCOMES_N]; /* of those, index_check found nothing wrong */
};

struct fix {
    char folder[64], data[96], dense[128];
    struct buf data_bytes, dense_bytes; /* undamaged */
    unsigned long long seed;
    struct model model;
};

static void write_bytes(const char *path, const void *bytes, size_t len) {
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(bytes, 1, len, file) == len && fclose(file) == 0);
}

static void make(struct fix *fix, unsigned long long seed) {
    struct error err;
    struct index *index;
    struct writer *writer;
    struct snapshot *snapshot;
    *fix = (struct fix){.seed = seed, .model.lexical = INDEX_LEXICAL_BM25};
    model_folder(fix->folder);
    CHECK_OK(model_create(fix->folder, fix->model.lexical, &index, &err), err);
    CHECK_OK(writer_open(index, &writer, &err), err);
    for (uint32_t i = 1; i <= BATCHES; i++) {
        CHECK_OK(model_batch(&fix->model, writer, seed, i, &err), err);
        for (int j = 0; i == 1 && j < 2 * MODEL_KEYS; j++)
            CHECK_OK(model_change(&fix->model, writer, &fix->seed, &err), err);
        CHECK_OK(writer_commit(writer, &err), err);
        CHECK_OK(writer_build_dense(writer, 1, &err), err);
    }
    for (bool more = true; more;) /* what is half merged nobody reads yet */
        CHECK_OK(writer_merge(writer, &more, &err), err);
    writer_close(writer);
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    snprintf(fix->dense, sizeof fix->dense, "%s/dense/%llu.lists", fix->folder,
             (unsigned long long)snapshot_generation(snapshot).number);
    snapshot_close(snapshot);
    index_close(index);
    snprintf(fix->data, sizeof fix->data, "%s/data.mdb", fix->folder);
    CHECK_OK(file_read(fix->data, FILE_MAX, &fix->data_bytes, &err), err);
    CHECK_OK(file_read(fix->dense, FILE_MAX, &fix->dense_bytes, &err), err);
}

static void restore(const struct fix *fix) {
    write_bytes(fix->data, fix->data_bytes.data, fix->data_bytes.len);
    write_bytes(fix->dense, fix->dense_bytes.data, fix->dense_bytes.len);
}

/* ---- using what is damaged ---- */

/* In the child. ERROR_INVALID is the model's word for a difference. */
static enum outcome use(const struct fix *fix) {
    struct error err;
    struct index *index;
    struct writer *writer;
    struct model model = fix->model;
    unsigned long long seed = fix->seed;
    enum outcome outcome = RIGHT;
    if (!model_open(fix->folder, INDEX_WRITE, &index, &err))
        return err.code == ERROR_INVALID ? WRONG : REPORTED;
    if (!model_index_agrees(index, &model, &seed, &err))
        outcome = err.code == ERROR_INVALID ? WRONG : REPORTED;
    if (writer_open(index, &writer, &err)) {
        for (uint32_t i = 1; i <= WRITES_AFTER; i++)
            if (!model_batch(&model, writer, fix->seed, BATCHES + i, &err) ||
                !writer_commit(writer, &err))
                break;
        writer_build_dense(writer, 1, &err);
        writer_close(writer);
    }
    index_close(index);
    return outcome;
}

/* In the child, before the index is used. */
static bool check_finds(const struct fix *fix) {
    struct error err;
    struct check_listener listener = {0};
    struct check_totals totals;
    return !index_check(fix->folder, &listener, &totals, &err) || totals.problems_n > 0;
}

/* One child looks, another uses what it finds: a crash of the first says nothing of the second. */
static int status_of(const struct fix *fix, bool look) {
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, STDERR_FILENO); /* LMDB's assertions */
        alarm(CHILD_SECONDS);
        _exit(STATUS_FIRST + (look ? (int)check_finds(fix) : (int)use(fix)));
    }
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) - STATUS_FIRST : -1;
}

static void count(const struct fix *fix, struct counts *counts) {
    int found = status_of(fix, true), outcome = status_of(fix, false);
    CHECK(found == 0 || found == 1); /* it must look at anything without a crash */
    if (outcome < 0 || outcome >= OUTCOMES_N)
        outcome = CRASHED;
    counts->of[outcome]++;
    counts->missed[outcome] += found != 1;
}

static void print(const char *what, const struct counts *counts) {
    printf("%-20s %4u reported, %4u right, %4u WRONG (%u missed by check), %4u crashed (%u)\n",
           what, counts->of[REPORTED], counts->of[RIGHT], counts->of[WRONG], counts->missed[WRONG],
           counts->of[CRASHED], counts->missed[CRASHED]);
}

/* ---- one bit of one value ---- */

/* Where in data.mdb a byte lies that LMDB handed out from its map of it. */
static off_t offset_in_file(const struct fix *fix, const void *mapped) {
    char line[512];
    off_t found = -1;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps);
    while (maps && found < 0 && fgets(line, sizeof line, maps)) {
        unsigned long long begin, end, offset;
        uintptr_t at = (uintptr_t)mapped;
        if (strstr(line, fix->data) &&
            sscanf(line, "%llx-%llx %*s %llx", &begin, &end, &offset) == 3 && at >= begin &&
            at < end)
            found = (off_t)(offset + (at - begin));
    }
    CHECK(found >= 0);
    fclose(maps);
    return found;
}

/* The value's bytes, and the checksum behind them (store.h) but for postings, which have theirs
 * within, and the format version, which has none. */
static void flip_in_value(struct fix *fix, enum store_table table) {
    enum { SUM_BYTES = 4 };
    struct error err;
    struct store *store;
    struct store_txn *txn;
    struct store_cursor cursor;
    uint64_t entries_n = 0;
    char byte;
    CHECK_OK(store_open(fix->folder, STORE_READ, &store, &err), err);
    CHECK_OK(store_begin_read(store, &txn, &err), err);
    CHECK_OK(store_entries_n(txn, table, &entries_n, &err), err);
    CHECK_OK(store_cursor_open(txn, table, NULL, 0, &cursor, &err), err);
    for (uint64_t skip = check_random(&fix->seed) % entries_n; skip > 0; skip--)
        CHECK_OK(store_cursor_next(&cursor, &err), err);
    bool bare = table == TABLE_POSTINGS ||
                (table == TABLE_META && memcmp(cursor.key.data, "format", 6) == 0);
    size_t len = cursor.value.len + (bare ? 0 : SUM_BYTES);
    size_t bit = check_random(&fix->seed) % (8 * len);
    off_t at = offset_in_file(fix, (const char *)cursor.value.data + bit / 8);
    store_cursor_close(&cursor);
    store_abort(txn);
    store_close(store);
    int fd = open(fix->data, O_RDWR);
    CHECK(pread(fd, &byte, 1, at) == 1);
    byte = (char)(byte ^ 1 << bit % 8);
    CHECK(pwrite(fd, &byte, 1, at) == 1);
    close(fd);
}

static void flipped_values(struct fix *fix, unsigned flips_n) {
    static const struct {
        enum store_table table;
        bool all; /* it is read by whoever uses the index: always reported */
    } tables[] = {
        {TABLE_META, true},      {TABLE_KEYS, false},     {TABLE_FREQUENCIES, false},
        {TABLE_DOCUMENTS, true}, {TABLE_DENSE, true},     {TABLE_SPARSE, true},
        {TABLE_MULTI, true},     {TABLE_POSTINGS, false}, {TABLE_SEGMENTS, true},
        {TABLE_FIELDS, false},   {TABLE_PASSAGES, true},
    };
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
        struct counts counts = {0};
        for (unsigned i = 0; i < flips_n; i++) {
            restore(fix);
            flip_in_value(fix, tables[t].table);
            count(fix, &counts);
        }
        print(store_table_name(tables[t].table), &counts);
        CHECK_EQUAL(counts.of[CRASHED], 0);
        CHECK_EQUAL(counts.of[WRONG], 0);
        CHECK_EQUAL(counts.missed[RIGHT] + counts.missed[REPORTED], 0);
        if (tables[t].all)
            CHECK_EQUAL(counts.of[REPORTED], flips_n);
    }
}

/* ---- files ---- */

static void flipped_file(struct fix *fix, const char *path, const struct buf *bytes,
                         unsigned flips_n, struct counts *counts) {
    for (unsigned i = 0; i < flips_n; i++) {
        struct buf damaged = {0};
        restore(fix);
        buf_append(&damaged, bytes->data, bytes->len);
        size_t bit = check_random(&fix->seed) % (8 * bytes->len);
        damaged.data[bit / 8] = (char)(damaged.data[bit / 8] ^ 1 << bit % 8);
        write_bytes(path, damaged.data, damaged.len);
        buf_done(&damaged);
        count(fix, counts);
    }
}

static void cut_file(struct fix *fix, const char *path, const struct buf *bytes, unsigned cuts_n,
                     struct counts *counts) {
    for (unsigned i = 0; i < cuts_n; i++) {
        restore(fix);
        CHECK_EQUAL(truncate(path, (off_t)(check_random(&fix->seed) % bytes->len)), 0);
        count(fix, counts);
    }
}

/* A generation is derived: without it the rows are scanned, and the answers are the same. */
static void damaged_generation(struct fix *fix, unsigned n) {
    struct counts flipped = {0}, cut = {0};
    flipped_file(fix, fix->dense, &fix->dense_bytes, n, &flipped);
    cut_file(fix, fix->dense, &fix->dense_bytes, n, &cut);
    print("generation, flipped", &flipped);
    print("generation, cut", &cut);
    CHECK_EQUAL(flipped.of[RIGHT], n);
    CHECK_EQUAL(cut.of[RIGHT], n);
}

static void damaged_data(struct fix *fix, unsigned n) {
    struct counts flipped = {0}, cut = {0};
    cut_file(fix, fix->data, &fix->data_bytes, n, &cut);
    print("data.mdb, cut", &cut);
    CHECK_EQUAL(cut.of[REPORTED] + cut.of[RIGHT], n); /* right: only free pages are missing */
    CHECK(cut.of[REPORTED] > cut.of[RIGHT]);
    unsigned flips_n = model_option("TERCET_FILE_FLIPS", 5 * n);
    flipped_file(fix, fix->data, &fix->data_bytes, flips_n, &flipped);
    print("data.mdb, flipped", &flipped);
    CHECK(flips_n < 5 * FLIPS || flipped.of[REPORTED] > 0); /* of 200, a few dozen */
    CHECK_EQUAL(flipped.of[CRASHED], 0);
    CHECK_EQUAL(flipped.of[WRONG], 0);
}

int main(void) {
    struct fix fix;
    unsigned long long seed = model_seed();
    unsigned n = model_option("TERCET_FLIPS", FLIPS);
    make(&fix, seed);
    restore(&fix);
    CHECK_EQUAL(status_of(&fix, true), false);
    CHECK_EQUAL(status_of(&fix, false), RIGHT);
    flipped_values(&fix, n);
    damaged_generation(&fix, n);
    damaged_data(&fix, n);
    fixture_remove(fix.folder);
    buf_done(&fix.data_bytes);
    buf_done(&fix.dense_bytes);
    return check_result();
}
