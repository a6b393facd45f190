/* source.h - a file, plain or packed, or standard input ("-"), as lines or as one text.
 *
 * Byte order marks and the CR of a CRLF are taken off; UTF-16 and UTF-32 come out as UTF-8. Other
 * bytes come out as they are: who takes them asks whether they are UTF-8 (charset.h). Memory stays
 * bounded by the longest line that is let through. */
#ifndef TERCET_INGEST_SOURCE_H
#define TERCET_INGEST_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "ingest/unpack.h"

/* A longer line, or document, is no document but a mistake: the longest book fits ten times. */
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

void source_on_waiting(struct source *source, struct unpack_waiting waiting);

/* The file's name, for messages. */
const char *source_name(const struct source *source);

enum source_state source_next(struct source *source, char **line_out, size_t *len_out,
                              struct error *err);

/* Everything at once, for whole-file documents; ERROR_LIMIT beyond SOURCE_LINE_BYTES_MAX. The text
 * may be written to. */
bool source_rest(struct source *source, char **text_out, size_t *len_out, struct error *err);

/* Appends the next some thousand bytes to *out. SOURCE_LINE: some were; SOURCE_END, SOURCE_FAILED:
 * none; the
 * message has no file in front. For those who find their rows themselves. */
enum source_state source_more(struct source *source, struct buf *out, struct error *err);

/* Unpacked and otherwise as it is, into a file; before anything else was read. */
bool source_save(struct source *source, int file, uint64_t bytes_max, struct error *err);

/* Bytes of the text handed out so far, or passed over; a line's end counts. */
uint64_t source_offset(const struct source *source);

/* Goes on at an offset that source_offset gave before, of the same file, and not in front of where
 * it is; line_number is that of the line before it. What lies between is not looked at, and in a
 * plain file not even read. */
bool source_seek(struct source *source, uint64_t offset, size_t line_number, struct error *err);

size_t source_line_number(const struct source *source); /* of the line handed out last, from 1 */

/* Bytes of the file (packed ones, if it is) that were read so far. */
uint64_t source_bytes_read(const struct source *source);

#endif
