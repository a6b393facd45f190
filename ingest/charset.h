/* charset.h - what bytes are as text, and how they become UTF-8. The one home of iconv.
 *
 * Two kinds of encodings. The wide ones (UTF-16, UTF-32) are told by their byte order mark or by
 * where their NULs stand, and are converted before lines are looked for. In the others, which are
 * ASCII below 128 (UTF-8, Windows-1252, Shift_JIS, GB18030, ..), line ends, quotes and commas are
 * where they are in UTF-8, so a row is cut out first and converted alone when it is no UTF-8. */
#ifndef TERCET_INGEST_CHARSET_H
#define TERCET_INGEST_CHARSET_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"

/* By a file's first bytes: the wide encoding's name, or NULL for the others. *mark_len_out: bytes
 * of the mark in front of the text (UTF-8 has one, too). */
const char *charset_detect(const char *bytes, size_t len, size_t *mark_len_out);

/* ---- wide encodings, as a stream ---- */

struct charset;

struct charset *charset_open(const char *wide);
void charset_close(struct charset *charset);

/* Appends UTF-8 to *out; what is not whole yet stays for the next call. A half of a pair or a
 * number beyond Unicode becomes the byte 0xff, so that the row that holds it is refused as one that
 * is not UTF-8, and only that row. */
void charset_feed(struct charset *charset, const char *bytes, size_t len, struct buf *out);
/* Behind the last byte: half a character left over becomes 0xff, too. */
void charset_end(struct charset *charset, struct buf *out);

/* ---- encodings that are ASCII below 128, by text ---- */

/* Is there such an encoding, by its iconv name or by a name that web pages use? */
bool charset_known(const char *name, struct error *err);

/* A text that is UTF-8 is left alone; else, when `name` is not NULL, it is read as `name`, and
 * *text and *len are changed to what was written to *store. ERROR_INVALID names the first byte that
 * has no meaning. */
bool charset_to_utf8(const char *name, char **text, size_t *len, struct buf *store,
                     struct error *err);

bool charset_is_utf8(const char *text, size_t len);

#endif
