/* Readers on every kind of input, whole and hostile. */
#include "ingest/reader.h"

#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "ingest/source.h"
#include "tests/check.h"

static char folder[64];

static const char *path_of(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *bytes, size_t len) {
    FILE *out = fopen(path_of(name), "w");
    CHECK(out && fwrite(bytes, 1, len, out) == len && fclose(out) == 0);
}

static void write_text(const char *name, const char *text) {
    write_file(name, text, strlen(text));
}

static void write_gzip(const char *name, const char *text) {
    gzFile out = gzopen(path_of(name), "wb");
    CHECK(out && gzputs(out, text) >= 0 && gzclose(out) == Z_OK);
}

static struct reader *open_one(const char *name) {
    const char *path = path_of(name);
    struct reader *reader = NULL;
    struct error err;
    CHECK_OK(reader_open(&path, 1, &reader, &err), err);
    return reader;
}

/* Every row's key, and "!" for every bad one, in order: "a b ! c". */
static void keys_of(struct reader *reader, char *out, size_t out_size, struct error *last_err) {
    struct arena arena = {0};
    struct row row;
    out[0] = '\0';
    for (;;) {
        enum reader_state state = reader_next(reader, &arena, &row, last_err);
        if (state == READER_END)
            break;
        size_t at = strlen(out);
        snprintf(out + at, out_size - at, "%s%s", at ? " " : "",
                 state == READER_ROW ? row.key : "!");
    }
    arena_done(&arena);
    reader_close(reader);
}

static void rows_of_jsonl(void) {
    const char text[] =
        "\xef\xbb\xbf{\"_id\":\"a\",\"title\":\"T\",\"text\":\"x\",\"metadata\":{\"n\":1}}\r\n"
        "\n"
        "  \n"
        "{\"id\":7,\"text\":\"seven\",\"other\":[1]}\n"
        "{\"docid\":\"c\",\"title\":\"only a title\",\"text\":null}";
    write_file("rows.jsonl", text, sizeof text - 1);
    struct reader *reader = open_one("rows.jsonl");
    struct arena arena = {0};
    struct error err;
    struct row row;
    CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_ROW);
    CHECK_TEXT(row.key, "a");
    CHECK_TEXT(row.title, "T");
    CHECK_TEXT(row.fields, "{\"n\":1}");
    CHECK_EQUAL(row.line, 1);
    CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_ROW);
    CHECK_TEXT(row.key, "7");
    CHECK_TEXT(row.fields, "");
    CHECK_EQUAL(row.line, 4);
    CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_ROW);
    CHECK_TEXT(row.key, "c");
    CHECK_EQUAL(row.text_len, 0);
    CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_END);
    CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_END);
    uint64_t read, total;
    reader_progress(reader, &read, &total);
    CHECK_EQUAL(read, sizeof text - 1);
    CHECK_EQUAL(total, sizeof text - 1);
    reader_close(reader);
    arena_done(&arena);
}

static void hostile_rows_are_bad_and_alone(void) {
    static const struct {
        const char *bytes, *complaint;
        size_t len;
    } hostile[] = {
#define HOSTILE(bytes, complaint) {bytes, complaint, sizeof bytes - 1}
        HOSTILE("{\"id\":\"x\",\"text\":\"cut o", "hostile.jsonl:2: not valid JSON"),
        HOSTILE("{\"id\":\"x\",\"text\":\"a\"} {}", "hostile.jsonl:2: not valid JSON"),
        HOSTILE("{\"text\":\"no id\"}", "no \"id\""),
        HOSTILE("{\"id\":\"\",\"text\":\"a\"}", "1 to 500 bytes"),
        HOSTILE("{\"id\":1.5,\"text\":\"a\"}", "a whole number"),
        HOSTILE("{\"id\":true,\"text\":\"a\"}", "found true or false"),
        HOSTILE("{\"id\":\"x\",\"text\":5}", "\"text\" must be a string"),
        HOSTILE("{\"id\":\"x\",\"title\":\" \",\"text\":\"\\n\"}", "neither title nor text"),
        HOSTILE("{\"id\":\"x\",\"text\":\"a\",\"fields\":[]}", "\"fields\" must be an object"),
        HOSTILE("{\"id\":\"x\",\"text\":\"a\\u0000b\"}", "NUL"),
        HOSTILE("{\"id\":\"x\",\"text\":\"a\0b\"}", "NUL character at byte 19"),
        HOSTILE("{\"id\":\"x\",\"text\":\"\xff\"}", "not UTF-8: byte 18 is 0xff"),
        HOSTILE("{\"id\":\"x\",\"text\":\"\\ud800\"}", "not valid JSON"),
        HOSTILE("[1,2]", "must be a JSON object, found an array"),
        HOSTILE("hello", "not valid JSON"),
#undef HOSTILE
    };
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        struct buf text = {0};
        char keys[64];
        struct error err = {0};
        buf_text(&text, "{\"id\":\"a\",\"text\":\"one\"}\n");
        buf_append(&text, hostile[i].bytes, hostile[i].len);
        buf_text(&text, "\n{\"id\":\"b\",\"text\":\"two\"}\n");
        write_file("hostile.jsonl", text.data, text.len);
        keys_of(open_one("hostile.jsonl"), keys, sizeof keys, &err);
        CHECK_TEXT(keys, "a ! b");
        CHECK(strstr(err.message, hostile[i].complaint));
        if (!strstr(err.message, hostile[i].complaint))
            fprintf(stderr, "  %s\n", err.message);
        buf_done(&text);
    }
}

static void long_lines_are_left_out(void) {
    FILE *out = fopen(path_of("long.jsonl"), "w");
    static char block[1 << 20];
    struct error err;
    char keys[64];
    memset(block, 'x', sizeof block);
    fputs("{\"id\":\"a\",\"text\":\"one\"}\n{\"id\":\"long\",\"text\":\"", out);
    for (size_t i = 0; i < 65; i++)
        fwrite(block, 1, sizeof block, out);
    fputs("\"}\n{\"id\":\"b\",\"text\":\"two\"}\n", out);
    fclose(out);
    keys_of(open_one("long.jsonl"), keys, sizeof keys, &err);
    CHECK_TEXT(keys, "a ! b");
    CHECK(strstr(err.message, "long.jsonl:2: a line of more than"));
    unlink(path_of("long.jsonl"));
}

static void gzip_and_its_damage(void) {
    char keys[64], bytes[4096];
    struct error err;
    write_gzip("z.jsonl.gz", "{\"id\":\"a\",\"text\":\"one\"}\n{\"id\":\"b\",\"text\":\"two\"}\n");
    keys_of(open_one("z.jsonl.gz"), keys, sizeof keys, &err);
    CHECK_TEXT(keys, "a b");
    FILE *in = fopen(path_of("z.jsonl.gz"), "r");
    size_t len = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    write_file("cut.jsonl.gz", bytes, len - 12);
    keys_of(open_one("cut.jsonl.gz"), keys, sizeof keys, &err);
    CHECK(strchr(keys, '!'));
    bytes[len / 2] ^= 0x55;
    bytes[len / 2 + 1] ^= 0x55;
    write_file("flip.jsonl.gz", bytes, len);
    keys_of(open_one("flip.jsonl.gz"), keys, sizeof keys, &err);
    CHECK(strchr(keys, '!'));
}

static void folders_are_walked_in_order(void) {
    char keys[256];
    struct error err;
    CHECK(mkdir(path_of("walk"), 0755) == 0 && mkdir(path_of("walk/sub"), 0755) == 0 &&
          mkdir(path_of("walk/.git"), 0755) == 0);
    write_text("walk/b.txt", "plain text");
    write_text("walk/a.md", "# A heading\ntext");
    write_text("walk/empty.txt", " \n");
    write_text("walk/notes.jsonl", "{\"id\":\"row\",\"text\":\"r\"}");
    write_text("walk/picture.png", "\x89PNG");
    write_text("walk/.hidden.txt", "hidden");
    write_text("walk/.git/x.txt", "hidden");
    write_text("walk/sub/c.txt", "more text");
    write_text("walk/sub/bad.txt", "\xff\xfe");
    CHECK_EQUAL(symlink(folder, path_of("walk/sub/loop")), 0);
    keys_of(open_one("walk"), keys, sizeof keys, &err);
    CHECK_TEXT(keys, "a.md b.txt ! row ! sub/c.txt");

    struct arena arena = {0};
    struct row row;
    struct reader *reader = open_one("walk");
    CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_ROW);
    CHECK_TEXT(row.title, "A heading");
    CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_ROW);
    CHECK_TEXT(row.title, "b");
    reader_close(reader);
    arena_done(&arena);
}

static void titles_are_headings_or_names(void) {
    static const struct {
        const char *name, *text, *title;
    } files[] = {
        {"titles/a.md", "\n## The *first* heading ##\r\n# another\n", "The *first* heading"},
        {"titles/b.md", "```\n# a comment\n```\ntext\n\n# Late\n", "Late"},
        {"titles/c.markdown", "#hashtag\n####### seven", "c"},
        {"titles/d.txt", "# not Markdown", "d"},
        {"titles/e v1.2.TXT", "x", "e v1.2"},
        {"titles/f", "x", NULL}, /* not read: no known ending */
    };
    enum { N = sizeof files / sizeof *files };
    struct arena arena = {0};
    struct error err;
    struct row row;
    CHECK(mkdir(path_of("titles"), 0755) == 0);
    for (size_t i = 0; i < N; i++)
        write_text(files[i].name, files[i].text);
    write_gzip("titles/g.md.gz", "no heading");
    struct reader *reader = open_one("titles");
    for (size_t i = 0; i < N && files[i].title; i++) {
        CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_ROW);
        CHECK_TEXT(row.key, files[i].name + strlen("titles/"));
        CHECK_TEXT(row.title, files[i].title);
        CHECK_TEXT(row.text, files[i].text);
    }
    CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_ROW);
    CHECK_TEXT(row.title, "g");
    CHECK_TEXT(row.text, "no heading");
    CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_END);
    reader_close(reader);
    arena_done(&arena);
}

static void utf16_is_refused_once_and_by_name(void) {
    static const char text[] = "\xff\xfe{\0\"\0i\0d\0\"\0}\0\n\0{\0}\0\n\0";
    char keys[64];
    struct error err;
    write_file("wide.jsonl", text, sizeof text - 1);
    keys_of(open_one("wide.jsonl"), keys, sizeof keys, &err);
    CHECK_TEXT(keys, "!");
    CHECK(strstr(err.message, "wide.jsonl: is UTF-16"));
}

static void null_members_are_absent(void) {
    struct arena arena = {0};
    struct error err;
    struct row row;
    write_text("null.json-lines", "{\"_id\":null,\"id\":\"k\",\"title\":null,\"text\":\"x\","
                                  "\"fields\":null,\"metadata\":{\"m\":1}}");
    struct reader *reader = open_one("null.json-lines");
    CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_ROW);
    CHECK_TEXT(row.key, "k");
    CHECK_TEXT(row.title, "");
    CHECK_TEXT(row.fields, "{\"m\":1}");
    reader_close(reader);
    arena_done(&arena);
}

static void beir_folders_give_their_corpus(void) {
    char keys[64];
    struct error err;
    CHECK(mkdir(path_of("beir"), 0755) == 0);
    write_text("beir/corpus.jsonl", "{\"_id\":\"d\",\"title\":\"\",\"text\":\"t\"}\n");
    write_text("beir/queries.jsonl", "{\"_id\":\"q\",\"text\":\"t\"}\n");
    keys_of(open_one("beir"), keys, sizeof keys, &err);
    CHECK_TEXT(keys, "d");
}

static void what_cannot_be_read_is_said_at_once(void) {
    struct reader *reader;
    struct error err;
    const char *missing = "/nowhere/at/all.jsonl", *odd = "/dev/null";
    CHECK(!reader_open(&missing, 1, &reader, &err));
    CHECK_EQUAL(err.code, ERROR_NOT_FOUND);
    CHECK(!reader_open(&odd, 1, &reader, &err));
    write_text("picture.png", "x");
    const char *path = path_of("picture.png");
    CHECK(!reader_open(&path, 1, &reader, &err));
    CHECK_EQUAL(err.code, ERROR_UNSUPPORTED);
    CHECK(mkdir(path_of("nothing"), 0755) == 0);
    path = path_of("nothing");
    CHECK(!reader_open(&path, 1, &reader, &err));
}

static void hashes_tell_rows_apart(void) {
    struct row a = {.key = "k",
                    .key_len = 1,
                    .title = "ab",
                    .title_len = 2,
                    .text = "c",
                    .text_len = 1,
                    .fields = "",
                    .fields_len = 0};
    struct row b = a;
    CHECK(row_hash(&a) == row_hash(&b));
    b.title = "a";
    b.title_len = 1;
    b.text = "bc";
    b.text_len = 2;
    CHECK(row_hash(&a) != row_hash(&b));
    b = a;
    b.fields = "{}";
    b.fields_len = 2;
    CHECK(row_hash(&a) != row_hash(&b));
}

int main(void) {
    strcpy(folder, "/tmp/tercet-reader-XXXXXX");
    CHECK(mkdtemp(folder));
    rows_of_jsonl();
    hostile_rows_are_bad_and_alone();
    long_lines_are_left_out();
    gzip_and_its_damage();
    folders_are_walked_in_order();
    titles_are_headings_or_names();
    utf16_is_refused_once_and_by_name();
    null_members_are_absent();
    beir_folders_give_their_corpus();
    what_cannot_be_read_is_said_at_once();
    hashes_tell_rows_apart();
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    CHECK_EQUAL(system(command), 0);
    return check_result();
}
