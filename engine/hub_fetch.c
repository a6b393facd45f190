#include "engine/hub_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/file.h"

enum {
    READ_BYTES = 1 << 18,    /* a piece that is read back and hashed */
    RETRY_AFTER_MAX_S = 300, /* a server that asks for more is left alone */
};
static const double pause_first_s = 0.5, pause_max_s = 30;

/* ---- trying again ---- */

static void pause_s(double seconds) {
    struct timespec left = {.tv_sec = (time_t)seconds,
                            .tv_nsec = (long)(1e9 * (seconds - (double)(time_t)seconds))};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

/* How often in a row nothing much came, and how long to wait because of it. */
struct patience {
    uint32_t tries_n;
    double pause_s;
    uint64_t bytes_best; /* where the row began */
};

/* Waits and returns true, or returns false when it is over with *err saying so. */
static bool patience_wait(struct patience *patience, const struct fetch *fetch, uint64_t bytes,
                          uint32_t retry_after_s, struct error *err) {
    char trouble[ERROR_MESSAGE_MAX + 64];
    if (bytes >= patience->bytes_best + FETCH_PROGRESS_BYTES)
        *patience = (struct patience){.bytes_best = bytes};
    if (retry_after_s > RETRY_AFTER_MAX_S)
        return error_wrap(err, "the server asks to come back in %u seconds: ", retry_after_s);
    if (patience->tries_n++ == fetch->retries_max)
        return error_wrap(err, "given up after %u tries: ", patience->tries_n);
    patience->pause_s = patience->pause_s > 0 ? 2 * patience->pause_s : pause_first_s;
    if (patience->pause_s > pause_max_s)
        patience->pause_s = pause_max_s;
    double pause = retry_after_s > patience->pause_s ? retry_after_s : patience->pause_s;
    snprintf(trouble, sizeof trouble, "%s; again in %.1f s", err->message, pause);
    if (fetch->on_bytes)
        fetch->on_bytes(fetch->context, bytes, trouble);
    pause_s(pause);
    return true;
}

/* ---- a text ---- */

struct text_sink {
    struct buf *out;
    size_t bytes_max;
};

static bool text_begin(void *context, uint64_t from, uint64_t total, struct error *err) {
    struct text_sink *sink = context;
    (void)from;
    buf_clear(sink->out);
    return total == HTTP_SIZE_UNKNOWN || total <= sink->bytes_max ||
           error_set(err, ERROR_LIMIT, "an answer of %" PRIu64 " bytes, at most %zu are read",
                     total, sink->bytes_max);
}

static bool text_write(void *context, const void *data, size_t len, struct error *err) {
    struct text_sink *sink = context;
    if (len > sink->bytes_max - sink->out->len)
        return error_set(err, ERROR_LIMIT, "an answer of more than %zu bytes", sink->bytes_max);
    buf_append(sink->out, data, len);
    return true;
}

bool fetch_text(const struct fetch *fetch, size_t bytes_max, struct buf *out, struct error *err) {
    struct text_sink text = {out, bytes_max};
    const struct http_sink sink = {&text, text_begin, text_write};
    struct patience patience = {0};
    for (;;) {
        uint32_t retry_after_s;
        switch (http_get(fetch->client, fetch->url, 0, &sink, &retry_after_s, err)) {
        case HTTP_DONE: return true;
        case HTTP_FAILED: return false;
        case HTTP_AGAIN:
            if (!patience_wait(&patience, fetch, 0, retry_after_s, err))
                return false;
        }
    }
}

/* ---- a file ---- */

struct download {
    const struct fetch *fetch;
    const struct listing_file *file;
    char path[PATH_MAX]; /* PATH.part */
    int fd;
    struct hub_hash *hash; /* of the first `bytes` bytes */
    uint64_t bytes, fetched;
};

static void start_over(struct download *download) {
    hub_hash_close(download->hash);
    download->hash = hub_hash_open(download->file->hash_kind, download->file->size);
    download->bytes = 0;
}

static bool download_begin(void *context, uint64_t from, uint64_t total, struct error *err) {
    struct download *download = context;
    uint64_t size = download->file->size;
    if (total != HTTP_SIZE_UNKNOWN && total != size)
        return error_set(err, ERROR_CORRUPT,
                         "the server sends %" PRIu64 " bytes; its list says %" PRIu64, total, size);
    if (from == download->bytes)
        return true;
    start_over(download);
    if (ftruncate(download->fd, 0) != 0 || lseek(download->fd, 0, SEEK_SET) != 0)
        return error_set_errno(err, "%s", download->path);
    return true;
}

static bool download_write(void *context, const void *data, size_t len, struct error *err) {
    struct download *download = context;
    if (len > download->file->size - download->bytes)
        return error_set(err, ERROR_CORRUPT,
                         "the server sends more than the %" PRIu64 " bytes of its list",
                         download->file->size);
    hub_hash_add(download->hash, data, len);
    download->bytes += len;
    download->fetched += len;
    for (const char *at = data; len > 0;) {
        ssize_t n = write(download->fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, "%s: writing", download->path);
        at += n;
        len -= (size_t)n;
    }
    if (download->fetch->on_bytes)
        download->fetch->on_bytes(download->fetch->context, download->bytes, NULL);
    return true;
}

/* Hashes what the open file holds, up to the size it should have. */
static bool hash_present(struct download *download, struct error *err) {
    static _Thread_local char piece[READ_BYTES];
    start_over(download);
    for (;;) {
        ssize_t n = read(download->fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, "%s: reading", download->path);
        if (n == 0)
            return true;
        if ((uint64_t)n > download->file->size - download->bytes) { /* nothing of ours */
            start_over(download);
            return (ftruncate(download->fd, 0) == 0 && lseek(download->fd, 0, SEEK_SET) == 0) ||
                   error_set_errno(err, "%s", download->path);
        }
        hub_hash_add(download->hash, piece, (size_t)n);
        download->bytes += (uint64_t)n;
    }
}

/* Until every promised byte is there. A server that ends its bodies early, but cleanly, and brings
 * nothing new lies about the length. */
static bool transfer(struct download *download, struct error *err) {
    const struct http_sink sink = {download, download_begin, download_write};
    struct patience patience = {.bytes_best = download->bytes};
    while (download->bytes < download->file->size) {
        uint64_t before = download->bytes;
        uint32_t retry_after_s = 0;
        enum http_result result = http_get(download->fetch->client, download->fetch->url, before,
                                           &sink, &retry_after_s, err);
        if (result == HTTP_FAILED)
            return false;
        if (download->bytes == download->file->size)
            break;
        if (result == HTTP_DONE && download->bytes <= before)
            return error_set(err, ERROR_CORRUPT,
                             "the server sends %" PRIu64 " bytes; its list says %" PRIu64,
                             download->bytes, download->file->size);
        if (result == HTTP_DONE)
            error_set(err, ERROR_IO, "the answer ended after %" PRIu64 " of %" PRIu64 " bytes",
                      download->bytes, download->file->size);
        if (!patience_wait(&patience, download->fetch, download->bytes, retry_after_s, err))
            return false;
    }
    return true;
}

static bool check_hash(struct download *download, struct error *err) {
    char found[HUB_HASH_HEX_MAX];
    hub_hash_hex(download->hash, found);
    return strcmp(found, download->file->hash) == 0 ||
           error_set(err, ERROR_CORRUPT, "its checksum is %s, the list says %s; removed", found,
                     download->file->hash);
}

/* Bytes kept from an earlier pull may be bad (a power cut): they are the reason to try once more
 * from the start, where fresh ones are not. */
static bool download_run(struct download *download, struct error *err) {
    if (!hash_present(download, err))
        return false;
    bool resumed = download->bytes > 0;
    if (!transfer(download, err))
        return false;
    if (check_hash(download, err))
        return true;
    if (!resumed)
        return false;
    start_over(download);
    if (ftruncate(download->fd, 0) != 0 || lseek(download->fd, 0, SEEK_SET) != 0)
        return error_set_errno(err, "%s", download->path);
    return transfer(download, err) && check_hash(download, err);
}

/* True when path holds the file already. Something else in its place is removed. */
static bool is_there(struct download *download, const char *path) {
    struct error ignored;
    char found[HUB_HASH_HEX_MAX];
    struct stat info;
    if (stat(path, &info) != 0)
        return false;
    bool ok = false;
    download->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if ((uint64_t)info.st_size == download->file->size && download->fd >= 0 &&
        hash_present(download, &ignored)) {
        hub_hash_hex(download->hash, found);
        ok = strcmp(found, download->file->hash) == 0;
    }
    if (download->fd >= 0)
        close(download->fd);
    download->fd = -1;
    if (!ok)
        unlink(path);
    return ok;
}

static bool fetch_into(struct download *download, const char *path, struct error *err) {
    download->fd = open(download->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (download->fd < 0)
        return error_set_errno(err, "%s", download->path);
    bool ok = download_run(download, err);
    if (ok && fsync(download->fd) != 0)
        ok = error_set_errno(err, "%s: fsync", download->path);
    close(download->fd);
    if (ok && rename(download->path, path) != 0)
        ok = error_set_errno(err, "%s: renaming", download->path);
    if (!ok && err->code == ERROR_CORRUPT)
        unlink(download->path);
    return ok;
}

bool fetch_file(const struct fetch *fetch, const struct listing_file *file, const char *path,
                uint64_t *fetched_bytes, struct error *err) {
    struct download download = {.fetch = fetch, .file = file, .fd = -1};
    if (snprintf(download.path, sizeof download.path, "%s.part", path) >= (int)sizeof download.path)
        return error_set(err, ERROR_LIMIT, "%s: path too long", path);
    bool ok = is_there(&download, path) || fetch_into(&download, path, err);
    *fetched_bytes += download.fetched;
    hub_hash_close(download.hash);
    return ok;
}
