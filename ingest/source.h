/* source.h - lines of a file, plain or gzip alike, or of standard input ("-").
 *
 * Memory stays bounded by the longest line that is let through. A byte order mark at the beginning
 * and the CR of a CRLF are taken off. The one home of zlib. */
#ifndef TERCET_INGEST_SOURCE_H
#define TERCET_INGEST_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

/* A longer line is no document but a mistake: the longest book fits ten times. */
enum { SOURCE_LINE_BYTES_MAX = 64 << 20 };

struct source;

enum source_state {
    SOURCE_LINE, /* *line_out is good until the next call; a NUL stands behind it */
    SOURCE_BAD,  /* this line is too long: err says so; the next call goes on behind it */
    SOURCE_END,
    SOURCE_FAILED, /* the file cannot be read any further: err says why */
};

bool source_open(const char *path, struct source **out, struct error *err);
void source_close(struct source *source);

enum source_state source_next(struct source *source, char **line_out, size_t *len_out,
                              struct error *err);

/* Everything at once, for whole-file documents; ERROR_LIMIT beyond SOURCE_LINE_BYTES_MAX. */
bool source_rest(struct source *source, char **text_out, size_t *len_out, struct error *err);

size_t source_line_number(const struct source *source); /* of the line handed out last, from 1 */

/* Bytes of the file (compressed ones, if it is) that were read so far. */
uint64_t source_bytes_read(const struct source *source);

#endif
