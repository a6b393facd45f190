/* unpack.h - the bytes of a file or of standard input ("-"), taken out of gzip or zstd where they
 * are packed. What they are is told by their first bytes, not by a name. The one home of zlib, and
 * of zstd outside of the index.
 *
 * Memory is bounded whatever comes out: gzip's window has 32 kB, zstd's at most 128 MiB. A file
 * that unpacks to UNPACK_RATIO_MAX times its size is refused: no text does that, bombs do. */
#ifndef TERCET_INGEST_UNPACK_H
#define TERCET_INGEST_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

/* Text packs to a third or a tenth, logs to a hundredth; zeros to a thousandth (gzip) and less. */
enum { UNPACK_RATIO_MAX = 400 };
/* So much may come out of any file before the ratio is asked for: small files may pack well. */
enum { UNPACK_BYTES_FREE = 16 << 20 };

struct unpack;

bool unpack_open(const char *path, struct unpack **out, struct error *err);
void unpack_close(struct unpack *unpack);

/* Asked when a pipe or terminal has nothing at once, before and while it is waited for, and when a
 * signal came: there is time now for what else is to do. Returns for how many milliseconds to wait
 * before it is asked again; UNPACK_NO_MORE: the read is ERROR_STOPPED. */
enum { UNPACK_NO_MORE = -1 };
struct unpack_waiting {
    int (*ask)(void *context); /* NULL: nobody is asked */
    void *context;
};
void unpack_on_waiting(struct unpack *unpack, struct unpack_waiting waiting);

/* The next bytes, up to `max`; *n_out 0: the end. The messages have no file's name in front.
 * ERROR_STOPPED: a signal came while it waited; nothing is lost, and a later call goes on. */
bool unpack_read(struct unpack *unpack, char *out, size_t max, size_t *n_out, struct error *err);

/* As if that many bytes, or up to `n`, had been read; none where the file is packed or no plain
 * file: read them. Behind the first unpack_read. */
bool unpack_skip(struct unpack *unpack, uint64_t n, uint64_t *skipped_out, struct error *err);

/* Bytes of the file itself (packed ones, if it is) that were taken so far. */
uint64_t unpack_bytes_read(const struct unpack *unpack);

#endif
