/* Packed bodies in, whole and in pieces, broken and swollen; and answers that a client has. */
#include <zlib.h>
#include <zstd.h>

#include "query/server/content.h"
#include "query/server/test_server.h"

enum { BODY_MAX = 1 << 20 };

static struct test_server test;

static void pack(enum content_coding coding, const char *text, size_t len, struct buf *out) {
    size_t room = ZSTD_compressBound(len) + 64;
    buf_reserve(out, room);
    if (coding == CONTENT_ZSTD) {
        out->len += ZSTD_compress(out->data + out->len, room, text, len, 1);
        return;
    }
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)text,
                  .avail_in = (unsigned)len,
                  .next_out = (unsigned char *)out->data + out->len,
                  .avail_out = (unsigned)room};
    CHECK(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    out->len += z.total_out;
    deflateEnd(&z);
}

/* Two members or frames behind one another, in bites of every size, come out as they went in. */
static void unpacks_in_any_bites(enum content_coding coding) {
    enum { N = 20000 };
    static char text[2 * N];
    unsigned seed = 1;
    struct buf packed = {0};
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + rand_r(&seed) % 20);
    pack(coding, text, N, &packed);
    pack(coding, text + N, N, &packed);
    for (size_t bite = 1; bite < packed.len; bite = 2 * bite + 1) {
        struct content_unpack *unpack = content_unpack_open(coding);
        struct buf out = {0};
        bool ok = true;
        for (size_t at = 0, used; ok && at < packed.len; at += used) {
            size_t len = packed.len - at < bite ? packed.len - at : bite, before = out.len;
            ok = content_unpack_some(unpack, packed.data + at, len, 777, &used, &out);
            ok = ok && out.len - before <= 777 && (used > 0 || out.len > before);
            if (out.len - before == 777 && used == len) /* there may be more inside */
                ok = ok && content_unpack_some(unpack, "", 0, SIZE_MAX, &(size_t){0}, &out);
        }
        CHECK(ok && content_unpack_is_end(unpack));
        CHECK(out.len == sizeof text && memcmp(out.data, text, sizeof text) == 0);
        buf_done(&out);
        content_unpack_close(unpack);
    }
    buf_done(&packed);
}

static struct answer post(const char *path, const char *coding, const char *bytes, size_t len) {
    struct buf all = {0};
    buf_format(&all,
               "POST %s HTTP/1.1\r\nHost: x\r\nContent-Encoding: %s\r\nContent-Length: %zu"
               "\r\n\r\n",
               path, coding, len);
    buf_append(&all, bytes, len);
    struct client client = client_open(&test);
    client_send_bytes(&client, all.data, all.len);
    struct answer answer = client_read(&client, false);
    client_close(&client);
    buf_done(&all);
    return answer;
}

static void takes_packed_bodies(void) {
    static const char *const names[] = {[CONTENT_GZIP] = "gzip", [CONTENT_ZSTD] = "zstd"};
    static char large[2 * BODY_MAX];
    memset(large, 'x', sizeof large);
    for (enum content_coding coding = CONTENT_GZIP; coding <= CONTENT_ZSTD; coding++) {
        struct buf packed = {0};
        pack(coding, "0123456789", 10, &packed);
        CHECK_TEXT(post("/echo", names[coding], packed.data, packed.len).body,
                   "/echo||10|0123456789");
        CHECK_EQUAL(post("/echo", names[coding], packed.data, packed.len - 1).status, 400);
        CHECK_EQUAL(post("/echo", names[coding], "plain text", 10).status, 400);
        buf_clear(&packed);
        pack(coding, large, sizeof large, &packed);
        CHECK(packed.len < 10000);
        struct answer answer = post("/echo", names[coding], packed.data, packed.len);
        CHECK(answer.status == 413 && strstr(answer.body, "\"code\":\"body_too_large\""));
        buf_done(&packed);
    }
    CHECK_TEXT(post("/echo", "identity", "abc", 3).body, "/echo||3|abc");
    struct answer answer = post("/echo", "br", "abc", 3);
    CHECK(answer.status == 415 && strstr(answer.head, "\r\nAccept-Encoding: gzip, zstd\r\n"));
    CHECK_TEXT(ask(&test, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n\r\n").body,
               "/echo||0|"); /* no body, no packing */
}

/* 16 times what a body may hold comes out of some kilobytes, bite by bite. */
static void takes_packed_streams(enum content_coding coding, const char *name) {
    enum { LINE = 64, LINES = 16 * BODY_MAX / LINE };
    struct buf text = {0}, packed = {0}, head = {0};
    for (int i = 0; i < LINES; i++)
        buf_format(&text, "%063d\n", i % 7);
    pack(coding, text.data, text.len, &packed);
    buf_format(&head,
               "POST /sum HTTP/1.1\r\nHost: x\r\nX-Pieces: 1\r\nContent-Encoding: %s\r\n"
               "Content-Length: %zu\r\n\r\n",
               name, packed.len);
    for (int cut = 0; cut < 2; cut++) {
        struct client client = client_open(&test);
        CHECK(client_send_bytes(&client, head.data, head.len));
        CHECK(client_send_bytes(&client, packed.data, packed.len / 2));
        if (!cut) {
            usleep(20000);
            CHECK(client_send_bytes(&client, packed.data + packed.len / 2,
                                    packed.len - packed.len / 2));
            struct answer answer = client_read(&client, false);
            char expected[64];
            snprintf(expected, sizeof expected, "%d lines, %d bytes", LINES, LINES * LINE);
            CHECK(strncmp(answer.body, expected, strlen(expected)) == 0);
            const char *largest = strstr(answer.body, "largest ");
            CHECK(largest && atoi(largest + 8) <= SERVER_PIECE_BYTES + LINE);
        }
        client_close(&client);
    }
    packed.data[packed.len / 2] ^= 0x55;
    packed.data[packed.len / 2 + 1] ^= 0x55;
    struct client client = client_open(&test);
    CHECK(client_send_bytes(&client, head.data, head.len));
    CHECK(client_send_bytes(&client, packed.data, packed.len));
    CHECK(client_read(&client, false).status != 0); /* 400, unless what came out fits by chance */
    client_close(&client);
    for (int i = 0; i < 5000 && atomic_load(&test_sums_open); i++)
        usleep(1000);
    CHECK_EQUAL(atomic_load(&test_sums_open), 0);
    buf_done(&text);
    buf_done(&packed);
    buf_done(&head);
}

/* Asked again with the tag, an answer is not sent again; packed or not, it has the same tag. */
static void tags_answers(void) {
    struct answer first =
        ask(&test, "GET /big HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
    const char *at = strstr(first.head, "\r\nETag: W/\"");
    static const char *const before[] = {"", "\"old\", ", "*"};
    char tag[64] = "", text[256];
    CHECK(at);
    if (at)
        snprintf(tag, sizeof tag, "%.*s", (int)strcspn(at + 8, "\r"), at + 8);
    for (size_t i = 0; i < 3; i++) {
        char list[128];
        snprintf(list, sizeof list, "%s%s", before[i], i < 2 ? tag : "");
        snprintf(text, sizeof text, "%s /big HTTP/1.1\r\nHost: x\r\nIf-None-Match: %s\r\n\r\n",
                 i == 1 ? "HEAD" : "GET", list);
        struct answer answer = ask(&test, text);
        CHECK(answer.status == 304 && answer.body_len == 0 && strstr(answer.head, tag));
    }
    CHECK_EQUAL(ask(&test, "GET /big HTTP/1.1\r\nHost: x\r\nIf-None-Match: W/\"0\"\r\n\r\n").status,
                200);
    CHECK(!strstr(ask(&test, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").head, "ETag")); /* tiny */
    CHECK(!strstr(ask(&test, "GET /fail/c HTTP/1.1\r\nHost: x\r\n\r\n").head, "ETag"));
}

static void tells_options(void) {
    struct client client = client_open(&test);
    struct answer answer = client_ask(&client, "OPTIONS /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(answer.status == 204 && strstr(answer.head, "\r\nAllow: POST, OPTIONS\r\n"));
    answer = client_ask(&client, "OPTIONS /nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_EQUAL(answer.status, 404);
    client_close(&client);
}

int main(void) {
    unpacks_in_any_bites(CONTENT_GZIP);
    unpacks_in_any_bites(CONTENT_ZSTD);
    test_server_init(&test);
    test.options.body_bytes_max = BODY_MAX;
    test_server_start(&test);
    takes_packed_bodies();
    takes_packed_streams(CONTENT_GZIP, "gzip");
    takes_packed_streams(CONTENT_ZSTD, "zstd");
    tags_answers();
    tells_options();
    test_server_stop(&test);
    return check_result();
}
