/* buf.h - bytes that grow at the end.
 *
 * A buf of zeros is a valid empty one. The owner calls buf_done; buf_clear keeps the memory.
 * Appending never fails (mem.h). A NUL always stands behind the last byte once anything was
 * appended, so `data` is a C string when the bytes hold no NUL. */
#ifndef TERCET_BASE_BUF_H
#define TERCET_BASE_BUF_H

#include <stddef.h>

struct buf {
    char *data;
    size_t len, cap;
};

void buf_done(struct buf *buf);
void buf_clear(struct buf *buf);
void buf_reserve(struct buf *buf, size_t more); /* room for `more` bytes behind len */
void buf_append(struct buf *buf, const void *bytes, size_t len);
void buf_text(struct buf *buf, const char *text);
void buf_format(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
