/* unpack_fuzz - packed files and bodies: what is packed comes back, and damage is told alike.
 *
 * The first two bytes of an input say how it is packed (gzip, zstd, or not at all: then it is
 * what it is) and of what size the pieces are; the rest is the text, with some bytes of damage
 * behind it. The server packs the text; the readers of files and of bodies must both give it
 * back. Then the packed bytes are damaged: files read in pieces and at once come to the same
 * end, and to the same bytes in front of it. Run it: docs/fuzzing.md. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ingest/unpack.h"
#include "query/server/content.h"
#include "tests/fuzz/fuzz.h"

enum { PATCHES_MAX = 6, REPEATS = 24, OUT_MAX = 1 << 20, BODY_PIECE = 7 };

struct outcome {
    struct buf out;
    struct error err;
    bool ok;
};

static void read_file(const char *path, size_t piece, struct outcome *result) {
    static char bytes[1 << 16];
    struct unpack *unpack = NULL;
    size_t n = 1;
    *result = (struct outcome){.ok = unpack_open(path, &unpack, &result->err)};
    assert(result->ok);
    while (result->ok && n > 0 && result->out.len < OUT_MAX) {
        result->ok = unpack_read(unpack, bytes, piece, &n, &result->err);
        assert(n <= piece && (result->ok || n == 0));
        buf_append(&result->out, bytes, n);
    }
    assert(result->ok || (result->err.code == ERROR_CORRUPT && result->err.message[0]));
    unpack_close(unpack);
}

static bool is_text(const struct buf *out, const struct buf *text) {
    return out->len == text->len && memcmp(out->data, text->data, text->len) == 0;
}

/* As a connection gives it: a few bytes at a time. */
static void check_body(enum content_coding coding, const struct buf *packed,
                       const struct buf *text) {
    struct content_unpack *unpack = content_unpack_open(coding);
    struct buf out = {0};
    for (size_t at = 0; at < packed->len;) {
        size_t n = packed->len - at < BODY_PIECE ? packed->len - at : BODY_PIECE, used = 0;
        char *copy = fuzz_copy(packed->data + at, n);
        bool ok = content_unpack_some(unpack, copy, n, OUT_MAX, &used, &out);
        free(copy);
        assert(ok && used == n);
        at += n;
    }
    assert(content_unpack_is_end(unpack) && is_text(&out, text));
    content_unpack_close(unpack);
    buf_done(&out);
}

/* False: it is too short, or would not become shorter. */
static bool pack(enum content_coding coding, struct buf *text, struct buf *packed) {
    struct arena arena = {0};
    struct server_response response = {.status = 200, .arena = &arena};
    const struct server_pair header = {"accept-encoding", coding == CONTENT_GZIP ? "gzip" : "zstd"};
    const struct server_request request = {.headers = &header, .headers_n = 1};
    buf_append(&response.body, text->data, text->len);
    content_pack(&request, &response, packed);
    bool done = packed->len > 0;
    if (done) { /* the two were swapped */
        struct buf body = *packed;
        *packed = response.body;
        response.body = body;
    }
    buf_done(&response.body);
    arena_done(&arena);
    return done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char path[64];
    static int fd = -1;
    struct fuzz_input input = {data, data + size};
    uint32_t how = fuzz_byte(&input), piece = 1 + fuzz_byte(&input), len = fuzz_u16(&input);
    struct buf text = {0}, packed = {0};
    struct outcome whole, pieces;
    if (fd < 0) {
        fd = memfd_create("fuzz", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    size_t text_len;
    const char *given = fuzz_text(&input, how % 4 ? len % 1024 : size, &text_len);
    for (int i = 0; i < (how % 4 ? REPEATS : 1); i++)
        buf_append(&text, given, text_len);
    enum content_coding coding = how % 4 == 1 ? CONTENT_GZIP : CONTENT_ZSTD;
    bool is_packed = how % 4 && pack(coding, &text, &packed);
    if (is_packed)
        check_body(coding, &packed, &text);
    else
        buf_append(&packed, text.len ? text.data : "", text.len);
    size_t damaged = fuzz_damage(&input, PATCHES_MAX, (uint8_t *)packed.data, packed.len);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, packed.data, packed.len, 0) != (ssize_t)packed.len)
        abort();
    read_file(path, 1 << 16, &whole);
    read_file(path, piece, &pieces);
    /* libzstd takes some damaged frames for empty ones when they come in pieces, and how much
     * stands in front of damage that is found late depends on the room given to it. */
    size_t same = whole.out.len < pieces.out.len ? whole.out.len : pieces.out.len;
    assert(same == 0 || memcmp(whole.out.data, pieces.out.data, same) == 0);
    if (coding == CONTENT_GZIP && whole.out.len < OUT_MAX)
        assert(whole.ok == pieces.ok && (!whole.ok || whole.out.len == pieces.out.len));
    assert(damaged > 0 || !is_packed || (whole.ok && is_text(&whole.out, &text)));
    buf_done(&text);
    buf_done(&packed);
    buf_done(&whole.out);
    buf_done(&pieces.out);
    return 0;
}
