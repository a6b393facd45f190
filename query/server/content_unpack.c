/* Bodies that come packed, a bounded bite at a time. */
#include <assert.h>
#include <stdlib.h>
#include <strings.h>
#include <zlib.h>
#include <zstd.h>

#include "engine/base/mem.h"
#include "query/server/content.h"

enum {
    GZIP_WINDOW = 15 + 16, /* zlib's way to ask for gzip's header */
    /* 8 MiB: what RFC 8878 asks every decoder for. A frame may demand 128 MiB and more. */
    ZSTD_WINDOW_LOG_MAX = 23,
    OUT_BYTES = 64 * 1024, /* one step */
};

struct content_unpack {
    enum content_coding coding;
    z_stream gzip;
    ZSTD_DStream *zstd;
    bool is_end; /* no member or frame is open */
};

bool content_coding_of_body(const char *content_encoding, enum content_coding *out) {
    static const struct {
        const char *name;
        enum content_coding coding;
    } known[] = {{"identity", CONTENT_PLAIN},
                 {"gzip", CONTENT_GZIP},
                 {"x-gzip", CONTENT_GZIP},
                 {"zstd", CONTENT_ZSTD}};
    *out = CONTENT_PLAIN;
    if (!content_encoding)
        return true;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(content_encoding, known[i].name) == 0) {
            *out = known[i].coding;
            return true;
        }
    return false;
}

struct content_unpack *content_unpack_open(enum content_coding coding) {
    struct content_unpack *unpack = mem_zalloc(1, sizeof *unpack);
    bool ok = true;
    unpack->coding = coding;
    if (coding == CONTENT_GZIP) {
        ok = inflateInit2(&unpack->gzip, GZIP_WINDOW) == Z_OK;
    } else {
        unpack->zstd = ZSTD_createDStream();
        ok = unpack->zstd && !ZSTD_isError(ZSTD_DCtx_setParameter(unpack->zstd, ZSTD_d_windowLogMax,
                                                                  ZSTD_WINDOW_LOG_MAX));
    }
    if (ok)
        return unpack;
    content_unpack_close(unpack);
    return NULL;
}

void content_unpack_close(struct content_unpack *unpack) {
    if (!unpack)
        return;
    if (unpack->coding == CONTENT_GZIP)
        inflateEnd(&unpack->gzip);
    ZSTD_freeDStream(unpack->zstd);
    free(unpack);
}

bool content_unpack_is_end(const struct content_unpack *unpack) {
    return unpack->is_end;
}

/* One step; *wrote_out bytes to `out`. */
static bool step_gzip(struct content_unpack *unpack, const char *in, size_t len, size_t *used_out,
                      char *out, size_t size, size_t *wrote_out) {
    z_stream *z = &unpack->gzip;
    if (unpack->is_end && inflateReset(z) != Z_OK) /* another member behind the first */
        return false;
    z->next_in = (unsigned char *)(uintptr_t)in;
    z->avail_in = (unsigned)len;
    z->next_out = (unsigned char *)out;
    z->avail_out = (unsigned)size;
    int code = inflate(z, Z_NO_FLUSH);
    *used_out = len - z->avail_in;
    *wrote_out = size - z->avail_out;
    unpack->is_end = code == Z_STREAM_END;
    return code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR;
}

static bool step_zstd(struct content_unpack *unpack, const char *in, size_t len, size_t *used_out,
                      char *out, size_t size, size_t *wrote_out) {
    ZSTD_inBuffer from = {in, len, 0};
    ZSTD_outBuffer to = {out, size, 0};
    size_t code = ZSTD_decompressStream(unpack->zstd, &to, &from);
    *used_out = from.pos;
    *wrote_out = to.pos;
    unpack->is_end = code == 0;
    return !ZSTD_isError(code);
}

bool content_unpack_some(struct content_unpack *unpack, const char *in, size_t len, size_t max,
                         size_t *used_out, struct buf *out) {
    size_t used = 0, wrote = 0;
    for (bool moved = true; moved && wrote < max;) {
        size_t step_in = len - used < UINT32_MAX / 2 ? len - used : UINT32_MAX / 2;
        size_t size = max - wrote < OUT_BYTES ? max - wrote : OUT_BYTES, step_used, step_wrote;
        if (unpack->is_end && step_in == 0)
            break;
        buf_reserve(out, size);
        bool ok = (unpack->coding == CONTENT_GZIP ? step_gzip : step_zstd)(
            unpack, in + used, step_in, &step_used, out->data + out->len, size, &step_wrote);
        if (!ok)
            return false;
        out->len += step_wrote;
        out->data[out->len] = '\0';
        used += step_used;
        wrote += step_wrote;
        moved = step_used > 0 || step_wrote > 0;
    }
    *used_out = used;
    return true;
}
