#include "ingest/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "engine/base/mem.h"

enum {
    INPUT_BYTES = 64 << 10,
    MAGIC_BYTES = 4,          /* enough to tell what a file is */
    ZSTD_WINDOW_LOG_MAX = 27, /* 128 MiB, what `zstd -d` takes by itself, too */
};

enum packing { PACKING_UNKNOWN, PACKING_NONE, PACKING_GZIP, PACKING_ZSTD };

struct unpack {
    int file;
    enum packing packing;
    char *input; /* [INPUT_BYTES] */
    size_t input_at, input_len;
    bool input_ended;
    bool between; /* behind a whole member or frame: the file may end here */
    z_stream gzip;
    ZSTD_DStream *zstd;
    uint64_t bytes_in, bytes_out;
    struct error damage; /* found behind bytes that were good: told by the next call */
    struct unpack_waiting waiting;
};

bool unpack_open(const char *path, struct unpack **out, struct error *err) {
    int file = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                                      : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (file < 0)
        return error_set_errno(err, "%s", path);
    struct unpack *unpack = mem_zalloc(1, sizeof *unpack);
    unpack->file = file;
    unpack->input = mem_alloc(INPUT_BYTES, 1);
    *out = unpack;
    return true;
}

void unpack_close(struct unpack *unpack) {
    if (!unpack)
        return;
    close(unpack->file);
    if (unpack->packing == PACKING_GZIP)
        inflateEnd(&unpack->gzip);
    ZSTD_freeDStream(unpack->zstd);
    free(unpack->input);
    free(unpack);
}

uint64_t unpack_bytes_read(const struct unpack *unpack) {
    return unpack->bytes_in;
}

void unpack_on_waiting(struct unpack *unpack, struct unpack_waiting waiting) {
    unpack->waiting = waiting;
}

/* Until there is something to read; a plain file always has. */
static bool wait_for_input(struct unpack *unpack, struct error *err) {
    struct pollfd file = {.fd = unpack->file, .events = POLLIN};
    int ms = 0, ready;
    while (unpack->waiting.ask && (ready = poll(&file, 1, ms)) <= 0) {
        if (ready < 0 && errno != EINTR)
            return error_set_errno(err, "poll");
        ms = unpack->waiting.ask(unpack->waiting.context);
        if (ms < 0)
            return error_set(err, ERROR_STOPPED, "stopped");
    }
    return true;
}

/* Appends to the input what one read gives. There is room: who asks for more has all but taken what
 * is there. */
static bool read_more(struct unpack *unpack, struct error *err) {
    size_t left = unpack->input_len - unpack->input_at;
    if (!wait_for_input(unpack, err))
        return false;
    memmove(unpack->input, unpack->input + unpack->input_at, left);
    unpack->input_at = 0;
    unpack->input_len = left;
    ssize_t n =
        read(unpack->file, unpack->input + unpack->input_len, INPUT_BYTES - unpack->input_len);
    if (n < 0)
        return error_set(err, errno == EINTR ? ERROR_STOPPED : ERROR_IO, "%s", strerror(errno));
    unpack->input_len += (size_t)n;
    unpack->input_ended = n == 0;
    return true;
}

static size_t input_left(const struct unpack *unpack) {
    return unpack->input_len - unpack->input_at;
}

static void take(struct unpack *unpack, size_t n) {
    unpack->input_at += n;
    unpack->bytes_in += n;
}

static bool begins_with(const struct unpack *unpack, const char *magic, size_t len) {
    return input_left(unpack) >= len && memcmp(unpack->input + unpack->input_at, magic, len) == 0;
}

static bool is_gzip(const struct unpack *unpack) {
    return begins_with(unpack, "\x1f\x8b", 2);
}

/* A frame, or one to be skipped, with which parallel packers begin. */
static bool is_zstd(const struct unpack *unpack) {
    const char *magic = unpack->input + unpack->input_at;
    return begins_with(unpack, "\x28\xb5\x2f\xfd", MAGIC_BYTES) ||
           (input_left(unpack) >= MAGIC_BYTES && (magic[0] & 0xf0) == 0x50 &&
            memcmp(magic + 1, "\x2a\x4d\x18", MAGIC_BYTES - 1) == 0);
}

static bool begin(struct unpack *unpack, struct error *err) {
    enum { GZIP_ONLY = 16 };
    while (input_left(unpack) < MAGIC_BYTES && !unpack->input_ended)
        if (!read_more(unpack, err))
            return false;
    if (is_gzip(unpack)) {
        if (inflateInit2(&unpack->gzip, MAX_WBITS + GZIP_ONLY) != Z_OK)
            return error_set(err, ERROR_LIMIT, "no memory to unpack gzip");
        unpack->packing = PACKING_GZIP;
    } else if (is_zstd(unpack)) {
        unpack->zstd = ZSTD_createDStream();
        if (!unpack->zstd)
            return error_set(err, ERROR_LIMIT, "no memory to unpack zstd");
        ZSTD_DCtx_setParameter(unpack->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
        unpack->packing = PACKING_ZSTD;
    } else {
        unpack->packing = PACKING_NONE;
    }
    return true;
}

static size_t read_plain(struct unpack *unpack, char *out, size_t max) {
    size_t n = input_left(unpack) < max ? input_left(unpack) : max;
    memcpy(out, unpack->input + unpack->input_at, n);
    take(unpack, n);
    return n;
}

static bool inflate_some(struct unpack *unpack, char *out, size_t max, size_t *n_out,
                         struct error *err) {
    z_stream *gzip = &unpack->gzip;
    gzip->next_in = (unsigned char *)unpack->input + unpack->input_at;
    gzip->avail_in = (unsigned)input_left(unpack);
    gzip->next_out = (unsigned char *)out;
    gzip->avail_out = (unsigned)max;
    int status = inflate(gzip, Z_NO_FLUSH);
    take(unpack, input_left(unpack) - gzip->avail_in);
    *n_out = max - gzip->avail_out;
    if (status == Z_STREAM_END)
        unpack->between = true;
    else if (status != Z_OK && status != Z_BUF_ERROR)
        return error_set(err, ERROR_CORRUPT, "damaged gzip: %s",
                         gzip->msg ? gzip->msg : "it cannot be unpacked");
    return true;
}

static bool unzstd_some(struct unpack *unpack, char *out, size_t max, size_t *n_out,
                        struct error *err) {
    ZSTD_inBuffer in = {unpack->input + unpack->input_at, input_left(unpack), 0};
    ZSTD_outBuffer to = {out, max, 0};
    size_t status = ZSTD_decompressStream(unpack->zstd, &to, &in);
    take(unpack, in.pos);
    *n_out = to.pos;
    if (ZSTD_isError(status))
        return error_set(err, ERROR_CORRUPT, "damaged zstd: %s", ZSTD_getErrorName(status));
    unpack->between = status == 0;
    return true;
}

/* Behind a member: another one begins, or the end, or padding, which gzip(1) passes over, too. */
static bool next_member(struct unpack *unpack) {
    bool more = unpack->packing == PACKING_GZIP ? is_gzip(unpack) : is_zstd(unpack);
    if (!more)
        return false;
    if (unpack->packing == PACKING_GZIP)
        inflateReset(&unpack->gzip);
    unpack->between = false;
    return true;
}

static bool is_bomb(const struct unpack *unpack) {
    return unpack->bytes_out > UNPACK_BYTES_FREE &&
           unpack->bytes_out / UNPACK_RATIO_MAX > unpack->bytes_in;
}

bool unpack_skip(struct unpack *unpack, uint64_t n, uint64_t *skipped_out, struct error *err) {
    struct stat info;
    uint64_t buffered = n < input_left(unpack) ? n : input_left(unpack);
    *skipped_out = 0;
    if (unpack->packing != PACKING_NONE || fstat(unpack->file, &info) != 0 ||
        !S_ISREG(info.st_mode))
        return true;
    if (unpack->bytes_in + n > (uint64_t)info.st_size)
        return error_set(err, ERROR_INVALID, "it has become shorter");
    if (n > buffered && lseek(unpack->file, (off_t)(n - buffered), SEEK_CUR) < 0)
        return error_set_errno(err, "lseek");
    unpack->input_at += (size_t)buffered;
    unpack->bytes_in += n;
    unpack->bytes_out += n;
    *skipped_out = n;
    return true;
}

bool unpack_read(struct unpack *unpack, char *out, size_t max, size_t *n_out, struct error *err) {
    *n_out = 0;
    if (unpack->damage.code) {
        *err = unpack->damage;
        return false;
    }
    if (unpack->packing == PACKING_UNKNOWN && !begin(unpack, err))
        return false;
    for (;;) {
        if (unpack->between && !next_member(unpack)) {
            if (unpack->input_ended || input_left(unpack) >= MAGIC_BYTES)
                return true;
        } else if (unpack->packing == PACKING_NONE && input_left(unpack)) {
            *n_out = read_plain(unpack, out, max);
            return true;
        } else if (unpack->packing != PACKING_NONE) {
            size_t before = input_left(unpack);
            bool ok = unpack->packing == PACKING_GZIP ? inflate_some(unpack, out, max, n_out, err)
                                                      : unzstd_some(unpack, out, max, n_out, err);
            unpack->bytes_out += *n_out;
            if (!ok && *n_out)
                unpack->damage = *err;
            if (!ok)
                return *n_out > 0;
            if (is_bomb(unpack))
                return error_set(err, ERROR_LIMIT,
                                 "unpacks to more than %d times its size; if that is meant, unpack "
                                 "it first",
                                 UNPACK_RATIO_MAX);
            if (*n_out)
                return true;
            if (unpack->between || input_left(unpack) < before)
                continue;
        }
        if (unpack->input_ended)
            return unpack->packing == PACKING_NONE || unpack->between ||
                   error_set(err, ERROR_CORRUPT, "the file is cut off");
        if (!read_more(unpack, err))
            return false;
    }
}
