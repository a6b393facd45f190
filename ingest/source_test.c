/* Files as lines: packed, damaged, of other encodings, in pieces of every length. */
#include "ingest/source.h"

#include "ingest/charset.h"
#include "ingest/fixture.h"
#include "ingest/unpack.h"

/* All of a file as source_rest gives it; NULL and the message in *err when it does not. */
static char *rest_of(const char *name, struct error *err) {
    struct source *source;
    char *text = NULL, *copy = NULL;
    size_t len;
    CHECK_OK(source_open(path_of(name), &source, err), *err);
    if (source_rest(source, &text, &len, err)) {
        CHECK_EQUAL(strlen(text), len);
        copy = mem_strdup(text);
    }
    source_close(source);
    return copy;
}

static void check_rest(const char *name, const char *expected) {
    struct error err = {0};
    char *text = rest_of(name, &err);
    CHECK(text && strcmp(text, expected) == 0);
    if (!text || strcmp(text, expected) != 0)
        fprintf(stderr, "  \"%.80s\", expected \"%.80s\" %s\n", text ? text : "", expected,
                err.message);
    free(text);
}

/* A text of random words: it packs to a third or so. */
static char *random_text(size_t len) {
    unsigned long long state = 5;
    char *text = mem_alloc(len + 1, 1);
    for (size_t i = 0; i < len; i++)
        text[i] = "abcdefgh \n"[check_random(&state) % 10];
    text[len] = '\0';
    return text;
}

static void append_file(const char *name, const char *bytes, size_t len) {
    FILE *out = fopen(path_of(name), "a");
    CHECK(out && fwrite(bytes, 1, len, out) == len && fclose(out) == 0);
}

static void packed_files_come_out(void) {
    enum { LEN = 3000000 };
    char *text = random_text(LEN), twice[] = "once again";
    write_gzip("a.gz", text, LEN);
    check_rest("a.gz", text);
    write_zstd("a.zst", text, LEN);
    check_rest("a.zst", text);
    write_text("a", text);
    check_rest("a", text);
    free(text);
    /* Two members and two frames one behind the other, a frame to be skipped, padding. */
    write_gzip("b", "once ", 5);
    FILE *in = fopen(path_of("b"), "r");
    char bytes[256];
    size_t len = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    write_gzip("b", "again", 5);
    in = fopen(path_of("b"), "r");
    len += fread(bytes + len, 1, sizeof bytes - len, in);
    fclose(in);
    write_file("b", bytes, len);
    check_rest("b", twice);
    append_file("b", "\0\0\0\0\0\0", 6);
    check_rest("b", twice);
    write_file("c", "\x5a\x2a\x4d\x18\x03\0\0\0xyz", 11);
    char packed[64];
    len = ZSTD_compress(packed, sizeof packed, "once again", 10, 1);
    append_file("c", packed, len);
    check_rest("c", twice);
    write_text("short", "\x1f");
    check_rest("short", "\x1f");
    write_text("nothing", "");
    check_rest("nothing", "");
}

/* Parallel packers write thousands of members: wherever one ends in a buffer, the next begins. */
static void many_members_are_one_text(void) {
    enum { MEMBERS = 20000 };
    struct buf gzip = {0}, zstd = {0}, text = {0};
    unsigned long long state = 3;
    for (int i = 0; i < MEMBERS; i++) {
        char words[40], packed[256];
        int len = snprintf(words, sizeof words, "%.*s%d\n", (int)(check_random(&state) % 24),
                           "words of several lengths", i);
        buf_append(&text, words, (size_t)len);
        size_t n = ZSTD_compress(packed, sizeof packed, words, (size_t)len, 1);
        buf_append(&zstd, packed, n);
        z_stream stream = {.next_in = (unsigned char *)words,
                           .avail_in = (unsigned)len,
                           .next_out = (unsigned char *)packed,
                           .avail_out = sizeof packed};
        CHECK(deflateInit2(&stream, 1, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
        CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END && deflateEnd(&stream) == Z_OK);
        buf_append(&gzip, packed, stream.total_out);
    }
    write_file("many.gz", gzip.data, gzip.len);
    check_rest("many.gz", text.data);
    write_file("many.zst", zstd.data, zstd.len);
    check_rest("many.zst", text.data);
    buf_done(&gzip);
    buf_done(&zstd);
    buf_done(&text);
}

static size_t lines_before_damage(const char *name) {
    struct source *source;
    struct error err;
    char *line;
    size_t len, lines = 0;
    CHECK_OK(source_open(path_of(name), &source, &err), err);
    while (source_next(source, &line, &len, &err) == SOURCE_LINE)
        lines++;
    source_close(source);
    return lines;
}

/* What comes before the damage is there: a tenth of the bytes are line ends, half of them good. */
static void damage_is_told(void) {
    enum { LEN = 100000 };
    char *text = random_text(LEN);
    const char *const names[] = {"d.gz", "d.zst"};
    write_gzip(names[0], text, LEN);
    write_zstd(names[1], text, LEN);
    for (size_t i = 0; i < 2; i++) {
        struct buf bytes = {0};
        struct error err = {0};
        char block[4096];
        FILE *in = fopen(path_of(names[i]), "r");
        for (size_t n; (n = fread(block, 1, sizeof block, in)) > 0;)
            buf_append(&bytes, block, n);
        fclose(in);
        write_file(names[i], bytes.data, bytes.len - 9);
        CHECK(!rest_of(names[i], &err));
        CHECK(strstr(err.message, "the file is cut off"));
        for (size_t k = 0; k < 64; k++)
            bytes.data[bytes.len / 2 + k] ^= 0x55;
        write_file(names[i], bytes.data, bytes.len);
        CHECK(!rest_of(names[i], &err));
        CHECK_EQUAL(err.code, ERROR_CORRUPT);
        CHECK(i > 0 || lines_before_damage(names[i]) > LEN / 50); /* zstd loses its last block */
        buf_done(&bytes);
    }
    free(text);
}

/* A bomb is given up soon: 16 MiB come out of it, not all. */
static void bombs_are_refused(void) {
    enum { LEN = 40 << 20, LINES = 400 };
    char *zeros = calloc(LEN, 1);
    struct error err = {0};
    const char *const names[] = {"bomb.gz", "bomb.zst"};
    memset(zeros, ' ', LEN);
    for (size_t i = 1; i < LINES; i++)
        zeros[i * (LEN / LINES)] = '\n'; /* no line is too long */
    write_gzip(names[0], zeros, LEN);
    write_zstd(names[1], zeros, LEN);
    for (size_t i = 0; i < 2; i++) {
        struct source *source;
        char *line;
        size_t len, lines = 0;
        enum source_state state;
        CHECK_OK(source_open(path_of(names[i]), &source, &err), err);
        while ((state = source_next(source, &line, &len, &err)) == SOURCE_LINE)
            lines++;
        CHECK_EQUAL(state, SOURCE_FAILED);
        CHECK(strstr(err.message, "unpacks to more than 400 times its size"));
        CHECK(lines < LINES / 2);
        CHECK_EQUAL(source_next(source, &line, &len, &err), SOURCE_END);
        source_close(source);
        CHECK(!rest_of(names[i], &err));
    }
    free(zeros);
}

static void wide_texts_become_utf8(void) {
    static const struct {
        const char *bytes, *text;
        size_t len;
    } files[] = {
#define WIDE(bytes, text) {bytes, text, sizeof bytes - 1}
        WIDE("\xff\xfeh\0i\0\n\0", "hi\n"),
        WIDE("\xfe\xff\0h\0i\0\n", "hi\n"),
        WIDE("\xff\xfe\0\0h\0\0\0\xe9\0\0\0", "h\xc3\xa9"),
        WIDE("\0\0\xfe\xff\0\0\0h\0\1\xf6\0", "h\xf0\x9f\x98\x80"),
        WIDE("{\0\"\0a\0\"\0}\0", "{\"a\"}"),                   /* no mark: by its NULs */
        WIDE("\0{\0\"\x4e\x2d\0\"\0}", "{\"\xe4\xb8\xad\"}"),   /* the same, the other way */
        WIDE("\xff\xfe\x3d\xd8\0\xde!\0", "\xf0\x9f\x98\x80!"), /* a pair */
        WIDE("\xff\xfe\x3d\xd8!\0", "\xff!"),                   /* half a pair */
        WIDE("\xff\xfe\0\xde!\0", "\xff!"),                     /* the other half */
        WIDE("\xff\xfe!\0\x3d", "!\xff"),                       /* half a character at the end */
        WIDE("\xff\xfe\0\0\0\0\x11\0!\0\0\0", "\xff!"),         /* beyond Unicode */
        WIDE("\xef\xbb\xbfhi", "hi"),
        WIDE("\xff\xfe", ""),
#undef WIDE
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        write_file("wide", files[i].bytes, files[i].len);
        check_rest("wide", files[i].text);
    }
}

/* However a stream is cut, its text is the same. */
static void wide_texts_in_pieces(void) {
    static const char bytes[] = "h\0\x3d\xd8\0\xde\x3d\xd8\x3d\xd8\0\xde!\0\0\xde\x2d\x4e"
                                "\x3d\xd8!\0"; /* half a pair and the last character */
    static const char expected[] = "h\xf0\x9f\x98\x80\xff\xf0\x9f\x98\x80!\xff\xe4\xb8\xad"
                                   "\xff!";
    size_t len = sizeof bytes - 1;
    for (size_t step = 1; step <= len; step++) {
        struct charset *charset = charset_open("UTF-16LE");
        struct buf out = {0};
        for (size_t at = 0; at < len; at += step)
            charset_feed(charset, bytes + at, at + step < len ? step : len - at, &out);
        charset_end(charset, &out);
        CHECK_TEXT(out.data, expected);
        buf_done(&out);
        charset_close(charset);
    }
}

static void older_encodings(void) {
    static const struct {
        const char *name, *bytes, *text; /* NULL: refused */
    } texts[] = {
        {"windows-1252", "caf\xe9 \x80", "caf\xc3\xa9 \xe2\x82\xac"},
        {"latin1", "\x93quoted\x94", "\xe2\x80\x9cquoted\xe2\x80\x9d"},
        {"shift_jis", "\x93\xfa\x96\x7b", "\xe6\x97\xa5\xe6\x9c\xac"},
        {"gb2312", "\xd6\xd0", "\xe4\xb8\xad"},
        {"euc-kr", "\xc7\xd1", "\xed\x95\x9c"},
        {"koi8-r", "\xed", "\xd0\x9c"},
        {"windows-1252", "caf\xc3\xa9", "caf\xc3\xa9"}, /* UTF-8 stays */
        {NULL, "caf\xe9", "caf\xe9"},
        {"shift_jis", "\xff\xff", NULL},
    };
    struct error err;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf store = {0};
        char bytes[64], *text = bytes;
        strcpy(bytes, texts[i].bytes);
        size_t len = strlen(bytes);
        CHECK(!texts[i].name || charset_known(texts[i].name, &err));
        CHECK_EQUAL(charset_to_utf8(texts[i].name, &text, &len, &store, &err), !!texts[i].text);
        if (texts[i].text)
            CHECK_TEXT(text, texts[i].text);
        buf_done(&store);
    }
    CHECK(!charset_known("klingon", &err));
    CHECK(!charset_known("", &err));
    CHECK(!charset_known("utf-16", &err));
    CHECK(!charset_known("iso-2022-jp", &err) && strstr(err.message, "iconv -f"));
}

int main(void) {
    folder_make();
    packed_files_come_out();
    many_members_are_one_text();
    damage_is_told();
    bombs_are_refused();
    wide_texts_become_utf8();
    wide_texts_in_pieces();
    older_encodings();
    folder_remove();
    return check_result();
}
