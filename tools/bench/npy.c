#include "tools/bench/npy.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC_BYTES = 8, HEADER_BYTES_MAX = 4096 };

/* What stands behind 'key': in the header, which is a Python dict as text; NULL: nothing. */
static const char *member(const char *header, const char *key) {
    const char *at = strstr(header, key);
    at = at ? strchr(at, ':') : NULL;
    return at ? at + 1 + strspn(at + 1, " ") : NULL;
}

static bool read_shape(const char *header, struct npy *out) {
    const char *at = member(header, "'shape'");
    if (!at || *at++ != '(')
        return false;
    out->values_n = 1;
    while (*at != ')') {
        char *end;
        unsigned long long size = strtoull(at, &end, 10);
        if (end == at || out->dimensions_n == NPY_DIMENSIONS_MAX ||
            __builtin_mul_overflow(out->values_n, (size_t)size, &out->values_n))
            return false;
        out->shape[out->dimensions_n++] = size;
        at = end + strspn(end, ", ");
    }
    return true;
}

/* Where the header begins and ends; false: not such a file. */
static bool find_header(const struct npy *npy, size_t *begin_out, size_t *end_out) {
    const uint8_t *bytes = npy->map.data;
    if (npy->map.len < MAGIC_BYTES + 4 || memcmp(bytes, "\x93NUMPY", 6) != 0)
        return false;
    bool wide = bytes[6] >= 2; /* u32 instead of u16 */
    *begin_out = MAGIC_BYTES + (wide ? 4 : 2);
    *end_out = *begin_out + bytes[8] + ((size_t)bytes[9] << 8) +
               (wide ? ((size_t)bytes[10] << 16) + ((size_t)bytes[11] << 24) : 0);
    return *end_out <= npy->map.len && *end_out - *begin_out < HEADER_BYTES_MAX;
}

bool npy_open(const char *folder, const char *name, const char *kind, struct npy *out,
              struct error *err) {
    char path[PATH_MAX], header[HEADER_BYTES_MAX], wanted[8];
    size_t begin, end;
    *out = (struct npy){0};
    snprintf(path, sizeof path, "%s/%s.npy", folder, name);
    if (!file_map_open(path, &out->map, err))
        return false;
    if (!find_header(out, &begin, &end)) {
        npy_close(out);
        return error_set(err, ERROR_INVALID, "%s: not a .npy file", path);
    }
    memcpy(header, out->map.data + begin, end - begin);
    header[end - begin] = '\0';
    snprintf(wanted, sizeof wanted, "'<%s'", kind);
    const char *found = member(header, "'descr'"), *order = member(header, "'fortran_order'");
    size_t bytes, value_bytes = (size_t)(kind[1] - '0');
    bool ok = found && strncmp(found, wanted, strlen(wanted)) == 0 && order &&
              strncmp(order, "False", 5) == 0 && read_shape(header, out) &&
              !__builtin_mul_overflow(out->values_n, value_bytes, &bytes) &&
              bytes <= out->map.len - end;
    if (!ok) {
        npy_close(out);
        return error_set(err, ERROR_INVALID, "%s: must hold whole rows of %s; its header is %s",
                         path, kind, header);
    }
    out->data = out->map.data + end;
    return true;
}

void npy_close(struct npy *npy) {
    file_map_close(&npy->map);
    *npy = (struct npy){0};
}
