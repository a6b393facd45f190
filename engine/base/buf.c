#include "engine/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"

enum { BUF_BYTES_MIN = 256 };

void buf_done(struct buf *buf) {
    free(buf->data);
    *buf = (struct buf){0};
}

void buf_clear(struct buf *buf) {
    buf->len = 0;
}

void buf_reserve(struct buf *buf, size_t more) {
    size_t needed = buf->len + more + 1;
    if (needed <= buf->cap)
        return;
    size_t cap = buf->cap ? buf->cap * 2 : BUF_BYTES_MIN;
    buf->cap = cap < needed ? needed : cap;
    buf->data = mem_realloc(buf->data, buf->cap, 1);
}

void buf_append(struct buf *buf, const void *bytes, size_t len) {
    buf_reserve(buf, len);
    if (len)
        memcpy(buf->data + buf->len, bytes, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void buf_text(struct buf *buf, const char *text) {
    buf_append(buf, text, strlen(text));
}

void buf_format(struct buf *buf, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    buf_reserve(buf, (size_t)length);
    vsnprintf(buf->data + buf->len, (size_t)length + 1, format, again);
    buf->len += (size_t)length;
    va_end(again);
    va_end(args);
}
