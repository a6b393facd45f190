/* What is packed comes back; what a header says is understood; and CORS over a real connection. */
#include <zlib.h>
#include <zstd.h>

#include "query/server/content.h"
#include "query/server/test_server.h"

static void reads_accept_encoding(void) {
    static const struct {
        const char *header;
        enum content_coding coding;
    } cases[] = {
        {NULL, CONTENT_PLAIN},
        {"", CONTENT_PLAIN},
        {"gzip", CONTENT_GZIP},
        {"GZIP", CONTENT_GZIP},
        {"zstd", CONTENT_ZSTD},
        {"gzip, deflate, br, zstd", CONTENT_ZSTD},
        {"zstd,gzip", CONTENT_ZSTD},
        {"gzip;q=1.0, zstd;q=0", CONTENT_GZIP},
        {"zstd ; q=0.0 ,gzip ; q=0.5", CONTENT_GZIP},
        {"gzip;q=0", CONTENT_PLAIN},
        {"*", CONTENT_GZIP},
        {"*;q=0", CONTENT_PLAIN},
        {"gzip;q=0, *", CONTENT_ZSTD},
        {"identity", CONTENT_PLAIN},
        {"x-gzip, gzipped, br", CONTENT_PLAIN},
        {",,; ,", CONTENT_PLAIN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_EQUAL(content_coding_of(cases[i].header), cases[i].coding);
}

static const char *header_of(const struct server_response *response, const char *name) {
    for (size_t i = 0; i < response->headers_n; i++)
        if (strcmp(response->headers[i].name, name) == 0)
            return response->headers[i].value;
    return NULL;
}

static bool unpack(const struct buf *packed, bool gzip, char *out, size_t size) {
    if (!gzip)
        return ZSTD_decompress(out, size, packed->data, packed->len) == size;
    z_stream stream = {.next_in = (unsigned char *)packed->data,
                       .avail_in = (unsigned)packed->len,
                       .next_out = (unsigned char *)out,
                       .avail_out = (unsigned)size};
    bool ok = inflateInit2(&stream, 15 + 16) == Z_OK && inflate(&stream, Z_FINISH) == Z_STREAM_END;
    ok = ok && stream.total_out == size;
    inflateEnd(&stream);
    return ok;
}

static void packs_and_unpacks(size_t len, const char *accept, bool random) {
    static char original[200000], unpacked[sizeof original];
    struct arena arena = {0};
    struct buf spare = {0};
    struct server_response response = {.status = 200, .arena = &arena};
    const struct server_pair header = {"accept-encoding", accept};
    const struct server_request request = {.headers = &header, .headers_n = 1};
    for (size_t i = 0; i < len; i++)
        original[i] = random ? (char)(rand() >> 7) : "0.0123,-0.4"[i % 11];
    buf_append(&response.body, original, len);
    content_pack(&request, &response, &spare);
    const char *coding = header_of(&response, "Content-Encoding");
    bool large = len >= 1400;
    CHECK(!header_of(&response, "Vary") == !large); /* a cache must know it, packed or not */
    if (large && !random && *accept) {
        CHECK_TEXT(coding, accept);
        CHECK(response.body.len < len / 2);
        CHECK(unpack(&response.body, strcmp(accept, "gzip") == 0, unpacked, len) &&
              memcmp(unpacked, original, len) == 0);
    } else {
        CHECK(!coding && response.body.len == len &&
              memcmp(response.body.data, original, len) == 0);
    }
    buf_done(&response.body);
    buf_done(&spare);
    arena_done(&arena);
}

static void packs(void) {
    static const char *const codings[] = {"gzip", "zstd", ""};
    static const size_t lens[] = {1, 1399, 1400, 5000, 200000};
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 5; j++)
            for (int random = 0; random < 2; random++)
                packs_and_unpacks(lens[j], codings[i], random);
    struct server_response page = {.static_body = "page", .static_len = 100000};
    const struct server_request request = {0};
    struct buf spare = {0};
    content_pack(&request, &page, &spare);
    CHECK(page.headers_n == 0 && page.static_len == 100000);
}

/* By the tag that the handler gave, or by one of the body. */
static void tags(void) {
    static const char body[200] = "a body that is worth a tag";
    static const struct {
        const char *own, *known;
        int status;
    } cases[] = {
        {"\"mine\"", "\"mine\"", 304}, {"\"mine\"", "W/\"mine\"", 304}, {"\"mine\"", "*", 304},
        {"\"mine\"", "\"min\"", 200},  {"\"mine\"", "\"mines\"", 200},  {NULL, "*", 304},
        {NULL, "\"mine\"", 200},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct server_pair header = {"if-none-match", cases[i].known};
        const struct server_request request = {.headers = &header, .headers_n = 1};
        struct arena arena = {0};
        struct server_response response = {
            .status = 200, .static_body = body, .static_len = sizeof body, .arena = &arena};
        if (cases[i].own)
            server_response_header(&response, "ETag", cases[i].own);
        content_tag(&request, &response);
        CHECK_EQUAL(response.status, cases[i].status);
        CHECK_EQUAL(response.headers_n, 1);
        if (cases[i].own)
            CHECK_TEXT(header_of(&response, "ETag"), cases[i].own);
        arena_done(&arena);
    }
}

#define PREFLIGHT(origin)                                                                          \
    "OPTIONS /echo HTTP/1.1\r\nHost: x\r\nOrigin: " origin "\r\n"                                  \
    "Access-Control-Request-Method: POST\r\n\r\n"
#define HELLO(origin) "GET /hello HTTP/1.1\r\nHost: x\r\nOrigin: " origin "\r\n\r\n"

static void lets_named_sites_in(void) {
    static struct test_server test;
    test_server_init(&test);
    test.options.cors_origins = "http://a.example,http://localhost:3000";
    test_server_start(&test);
    struct client client = client_open(&test);
    struct answer answer = client_ask(&client, PREFLIGHT("http://localhost:3000"));
    CHECK_EQUAL(answer.status, 204);
    CHECK(strstr(answer.head, "\r\nAccess-Control-Allow-Origin: http://localhost:3000\r\n"));
    CHECK(strstr(answer.head, "\r\nAccess-Control-Allow-Headers: Authorization, Content-Type"));
    CHECK(strstr(answer.head, "\r\nVary: Origin\r\n"));
    answer = client_ask(&client, HELLO("http://a.example"));
    CHECK(strstr(answer.head, "\r\nAccess-Control-Allow-Origin: http://a.example\r\n"));
    answer = client_ask(&client, HELLO("http://a.example.evil"));
    CHECK(answer.status == 200 && !strstr(answer.head, "Access-Control-Allow-Origin"));
    CHECK(strstr(answer.head, "\r\nVary: Origin\r\n"));
    answer = client_ask(&client, PREFLIGHT("http://evil.example"));
    CHECK(answer.status == 204 && !strstr(answer.head, "Access-Control"));
    answer = client_ask(&client, "GET /nowhere HTTP/1.1\r\nHost: x\r\nOrigin: http://a.example\r\n"
                                 "\r\n"); /* so that a page can read what went wrong */
    CHECK(answer.status == 404 && strstr(answer.head, "Access-Control-Allow-Origin"));
    client_close(&client);
    test_server_stop(&test);

    test_server_init(&test);
    test.options.cors_origins = "*";
    test_server_start(&test);
    answer = ask(&test, HELLO("http://any.example"));
    CHECK(strstr(answer.head, "\r\nAccess-Control-Allow-Origin: *\r\n"));
    CHECK(!strstr(answer.head, "Vary"));
    test_server_stop(&test);

    test_server_init(&test); /* and by itself: nobody */
    test_server_start(&test);
    CHECK(!strstr(ask(&test, HELLO("http://a.example")).head, "Access-Control"));
    answer = ask(&test, PREFLIGHT("http://a.example")); /* what any OPTIONS gets */
    CHECK(answer.status == 204 && !strstr(answer.head, "Access-Control"));
    /* Packed on its way: the client's header is looked at, and the length is the packed one. */
    answer = ask(&test, "GET /big HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
    CHECK(strstr(answer.head, "\r\nContent-Encoding: gzip\r\n"));
    CHECK(answer.body_len > 1000 && answer.body_len < 1 << 20);
    test_server_stop(&test);
}

int main(void) {
    reads_accept_encoding();
    packs();
    tags();
    lets_named_sites_in();
    return check_result();
}
