/* Readers on every kind of input, whole and hostile. */
#include "ingest/reader.h"

#include <sys/stat.h>

#include "ingest/fixture.h"
#include "ingest/seen.h"
#include "ingest/source.h"

static void gzip_text(const char *name, const char *text) {
    write_gzip(name, text, strlen(text));
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
    gzip_text("z.jsonl.gz", "{\"id\":\"a\",\"text\":\"one\"}\n{\"id\":\"b\",\"text\":\"two\"}\n");
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
    gzip_text("titles/g.md.gz", "no heading");
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

/* Half a pair spoils its own row. */
static void utf16_rows(void) {
    static const char text[] =
        "\xff\xfe{\0\"\0i\0d\0\"\0:\0\"\0a\0\"\0,\0\"\0t\0e\0x\0t\0\"\0:\0"
        "\"\0\x2d\x4e\"\0}\0\r\0\n\0"
        "{\0\"\0i\0d\0\"\0:\0\"\0\x3d\xd8\"\0}\0\n\0"
        "{\0\"\0i\0d\0\"\0:\0\"\0b\0\"\0,\0\"\0t\0e\0x\0t\0\"\0:\0\"\0c\0\"\0}\0";
    char keys[64];
    struct error err;
    write_file("wide.jsonl", text, sizeof text - 1);
    keys_of(open_one("wide.jsonl"), keys, sizeof keys, &err);
    CHECK_TEXT(keys, "a ! b");
    CHECK(strstr(err.message, "wide.jsonl:2: the line is not UTF-8"));
}

static void members_are_mapped(void) {
    const char *const fields[] = {"year", "tags", "deep", "none"};
    const struct reader_options options = {
        .names = {.id = "key", .title = "head", .text = "body", .fields = fields, .fields_n = 4}};
    struct arena arena = {0};
    struct row row;
    static const char line[] =
        "{\"key\":5,\"head\":\"h\",\"body\":\"b\",\"text\":\"other\","
        "\"year\":2024,\"tags\":[\"x\"],\"metadata\":{\"deep\":true,\"no\":1}}";
    if (one_row("mapped.jsonl", line, sizeof line - 1, &options, &arena, &row)) {
        CHECK_TEXT(row.key, "5");
        CHECK_TEXT(row.title, "h");
        CHECK_TEXT(row.text, "b");
        CHECK_TEXT(row.fields, "{\"year\":2024,\"tags\":[\"x\"],\"deep\":true}");
    }
    const struct reader_options numbered = {.names = {.id = "#"}};
    static const char rows[] = "\n{\"text\":\"no id\"}\n";
    if (one_row("numbered.jsonl", rows, sizeof rows - 1, &numbered, &arena, &row))
        CHECK_TEXT(row.key, "numbered.jsonl:2");
    CHECK(strstr(complaint_about("mapped.jsonl", "{}", 2, &options), "no \"key\""));
    arena_done(&arena);
}

static void a_bad_row_has_its_place_and_id(void) {
    struct arena arena = {0};
    struct error err;
    struct row row;
    write_text("place.jsonl", "\n{\"id\":\"k\",\"text\":7}\nbroken\n");
    struct reader *reader = open_one("place.jsonl");
    CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_BAD);
    CHECK_TEXT(row.key, "k");
    CHECK_EQUAL(row.line, 2);
    CHECK(strstr(row.file, "place.jsonl"));
    CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_BAD);
    CHECK_TEXT(row.key, "");
    CHECK_EQUAL(row.line, 3);
    reader_close(reader);
    arena_done(&arena);
}

static void deep_json_is_a_bad_row(void) {
    enum { DEPTH = 1000000 };
    struct buf text = {0};
    struct error err;
    char keys[64];
    buf_text(&text, "{\"id\":\"a\",\"text\":\"one\"}\n{\"id\":\"deep\",\"x\":");
    for (int i = 0; i < DEPTH; i++)
        buf_text(&text, "[");
    buf_text(&text, "\n{\"id\":\"b\",\"text\":\"two\"}\n");
    write_file("deep.jsonl", text.data, text.len);
    keys_of(open_one("deep.jsonl"), keys, sizeof keys, &err);
    CHECK_TEXT(keys, "a ! b");
    CHECK(strstr(err.message, "deep.jsonl:2: JSON is nested deeper"));
    buf_done(&text);
}

static void repeated_ids_are_noted(void) {
    const struct reader_options options = {.note_repeated = true};
    struct reader *reader;
    struct arena arena = {0};
    struct row row;
    struct error err;
    struct buf told = {0};
    write_text("again.jsonl", "{\"id\":\"a\",\"text\":\"1\"}\n{\"id\":\"b\",\"text\":\"1\"}\n"
                              "{\"id\":\"a\",\"text\":\"2\"}\n{\"id\":\"a\"}\n"
                              "{\"id\":\"a\",\"text\":\"3\"}\n");
    reader = open_one_with("again.jsonl", &options);
    for (enum reader_state state; (state = reader_next(reader, &arena, &row, &err)) != READER_END;)
        if (reader_is_repeated(reader))
            buf_format(&told, "%s:%zu ", row.key, row.line);
    CHECK_TEXT(told.data, "a:3 a:5 "); /* a bad row is none */
    reader_close(reader);
    arena_done(&arena);
    buf_done(&told);
}

static void many_keys_are_remembered(void) {
    enum { KEYS = 100000 };
    struct seen seen = {0};
    size_t wrong = 0;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < KEYS; i++)
            wrong += seen_add(&seen, (const char *)&i, sizeof i) != (round == 1);
    CHECK_EQUAL(wrong, 0);
    CHECK_EQUAL(seen.keys_n, KEYS);
    seen_done(&seen);
}

static void patterns_choose_files(void) {
    char keys[256];
    struct error err;
    const char *const include[] = {"*.txt", "sub/**"}, *const exclude[] = {"b*", "old/"};
    CHECK(mkdir(path_of("choose"), 0755) == 0 && mkdir(path_of("choose/sub"), 0755) == 0 &&
          mkdir(path_of("choose/sub/old"), 0755) == 0);
    write_text("choose/a.txt", "a");
    write_text("choose/b.txt", "b");
    write_text("choose/c.md", "c");
    write_text("choose/d.png", "d");
    write_text("choose/corpus.jsonl", "{\"id\":\"r\",\"text\":\"r\"}\n");
    write_text("choose/sub/e.md", "e");
    write_text("choose/sub/old/f.txt", "f");
    const struct reader_options both = {.walk = {include, exclude, 2, 2}};
    struct reader *reader = open_one_with("choose", &both);
    const struct walk *files = reader_files(reader);
    CHECK_EQUAL(files->files_n, 2);
    CHECK_EQUAL(files->passed_n, 1);
    CHECK_TEXT(files->passed[0].what, "excluded");
    CHECK_EQUAL(files->passed[0].n, 4); /* b.txt, c.md, corpus.jsonl, d.png */
    keys_of(reader, keys, sizeof keys, &err);
    CHECK_TEXT(keys, "a.txt sub/e.md");
    const struct reader_options without = {.walk = {NULL, exclude, 0, 2}};
    keys_of(open_one_with("choose", &without), keys, sizeof keys, &err);
    CHECK_TEXT(keys, "a.txt c.md r sub/e.md");
    const struct reader_options forced = {.format = "text", .walk = {include, exclude, 0, 2}};
    keys_of(open_one_with("choose", &forced), keys, sizeof keys, &err);
    CHECK_TEXT(keys, "a.txt c.md corpus.jsonl d.png sub/e.md");
    const char *const nothing[] = {"*.rtf"};
    const struct reader_options none = {.walk = {nothing, NULL, 1, 0}};
    const char *path = path_of("choose");
    CHECK(!reader_open_with(&path, 1, &none, &reader, &err));
    CHECK(strstr(err.message, "holds no file to read"));
}

static void miracl_folders_give_their_parts_in_order(void) {
    char keys[256];
    struct error err;
    CHECK(mkdir(path_of("miracl"), 0755) == 0);
    for (int i = 0; i < 12; i++) {
        char name[64], row[128];
        snprintf(name, sizeof name, "miracl/docs-%d.jsonl%s", i, i % 2 ? ".gz" : ".zst");
        int len =
            snprintf(row, sizeof row, "{\"docid\":\"%d#0\",\"title\":\"t\",\"text\":\"x\"}\n", i);
        if (i % 2)
            write_gzip(name, row, (size_t)len);
        else
            write_zstd(name, row, (size_t)len);
    }
    write_text("miracl/README.md", "about");
    keys_of(open_one("miracl"), keys, sizeof keys, &err);
    CHECK_TEXT(keys, "0#0 1#0 2#0 3#0 4#0 5#0 6#0 7#0 8#0 9#0 10#0 11#0");
}

static void older_encodings_when_named(void) {
    const struct reader_options options = {.encoding = "windows-1252"};
    struct arena arena = {0};
    struct row row;
    if (one_row("old.txt", "caf\xe9", 4, &options, &arena, &row))
        CHECK_TEXT(row.text, "caf\xc3\xa9");
    CHECK(strstr(complaint_about("old.txt", "caf\xe9", 4, NULL), "--encoding"));
    CHECK(strstr(complaint_about("old.txt", "caf\x81", 4, &options), "not windows-1252 either"));
    arena_done(&arena);
}

static void standard_input_in_any_format(void) {
    const struct reader_options options = {.format = "csv"};
    struct reader *reader = NULL;
    struct error err;
    char keys[64];
    const char *path = "-";
    int input_before = dup(STDIN_FILENO);
    write_gzip("piped", "id,text\n1,x\n2,\n", 15);
    CHECK(freopen(path_of("piped"), "r", stdin));
    CHECK_OK(reader_open_with(&path, 1, &options, &reader, &err), err);
    keys_of(reader, keys, sizeof keys, &err);
    CHECK_TEXT(keys, "1 !");
    CHECK(strstr(err.message, "standard input:3: "));
    dup2(input_before, STDIN_FILENO);
    close(input_before);
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
    const struct reader_options format = {.format = "docx"}, encoding = {.encoding = "klingon"};
    CHECK(!reader_open_with(&path, 1, &format, &reader, &err));
    CHECK(strstr(err.message, "markdown"));
    CHECK(!reader_open_with(&path, 1, &encoding, &reader, &err));
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

static void the_first_row_can_be_seen_before_its_turn(void) {
    struct arena arena = {0};
    struct error err;
    struct row row;
    const struct row *first;
    write_text("peek.jsonl", "{\"id\":\"a\",\"text\":\"x\"}\n{\"id\":\"b\",\"text\":\"y\"}\n");
    struct reader *reader = open_one("peek.jsonl");
    CHECK_EQUAL(reader_peek(reader, &first, &err), READER_ROW);
    CHECK_TEXT(first->key, "a");
    CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_ROW);
    CHECK_TEXT(row.key, "a");
    CHECK_EQUAL(row.line, 1);
    arena_reset(&arena);
    CHECK_TEXT(first->text, "x");
    CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_ROW);
    CHECK_TEXT(row.key, "b");
    CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_END);
    reader_close(reader);

    write_text("peek.jsonl", "broken\n{\"id\":\"b\",\"text\":\"y\"}\n");
    reader = open_one("peek.jsonl");
    CHECK_EQUAL(reader_peek(reader, &first, &err), READER_BAD);
    CHECK(strstr(err.message, "peek.jsonl:1"));
    err.message[0] = '\0';
    CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_BAD);
    CHECK(strstr(err.message, "peek.jsonl:1"));
    CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_ROW);
    reader_close(reader);
    arena_done(&arena);
}

int main(void) {
    folder_make();
    the_first_row_can_be_seen_before_its_turn();
    rows_of_jsonl();
    hostile_rows_are_bad_and_alone();
    long_lines_are_left_out();
    gzip_and_its_damage();
    folders_are_walked_in_order();
    titles_are_headings_or_names();
    utf16_rows();
    members_are_mapped();
    a_bad_row_has_its_place_and_id();
    deep_json_is_a_bad_row();
    repeated_ids_are_noted();
    many_keys_are_remembered();
    patterns_choose_files();
    miracl_folders_give_their_parts_in_order();
    older_encodings_when_named();
    standard_input_in_any_format();
    null_members_are_absent();
    beir_folders_give_their_corpus();
    what_cannot_be_read_is_said_at_once();
    hashes_tell_rows_apart();
    folder_remove();
    return check_result();
}
