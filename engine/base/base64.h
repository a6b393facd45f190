/* base64.h - bytes as text (RFC 4648, section 4), for bytes inside of JSON. */
#ifndef TERCET_BASE_BASE64_H
#define TERCET_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"

/* Appends 4 characters for each 3 bytes begun. */
void base64_print(const void *bytes, size_t len, struct buf *out);

/* out: room for len / 4 * 3 bytes. ERROR_INVALID names the character that is wrong. */
bool base64_parse(const char *text, size_t len, uint8_t *out, size_t *len_out, struct error *err);

#endif
