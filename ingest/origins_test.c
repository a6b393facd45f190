/* Where documents came from, kept with the index; and places that a reader goes back to. */
#include "ingest/origins.h"

#include <sys/stat.h>

#include "ingest/fixture.h"

/* ---- origins ---- */

static bool list_run(void *context, uint32_t begin, uint32_t end, struct reader_origin origin,
                     struct error *err) {
    (void)err;
    buf_format(context, "%u-%u:%d.%d ", begin, end, (int)origin.root, (int)origin.file);
    return true;
}

static void origins_are(struct index *index, uint32_t docid_end, const char *expected) {
    struct buf text = {0};
    struct snapshot *snapshot;
    struct error err;
    buf_text(&text, "");
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    CHECK_OK(origins_each(snapshot, docid_end, list_run, &text, &err), err);
    CHECK_TEXT(text.data, expected);
    snapshot_close(snapshot);
    buf_done(&text);
}

static void set(struct origins *origins, uint32_t begin, uint32_t end, unsigned root,
                unsigned file) {
    for (uint32_t docid = begin; docid < end; docid++)
        origins_set(origins, docid, (struct reader_origin){root, file});
}

static void origins_are_kept(void) {
    const struct index_settings settings = {.model = "made up"};
    struct origins origins = {0};
    struct index *index;
    struct writer *writer;
    struct error err;
    CHECK_OK(index_create(path_of("index"), &settings, &index, &err), err);
    CHECK_OK(writer_open(index, &writer, &err), err);
    set(&origins, 10, 3000, 1, 7); /* over a chunk's edge */
    set(&origins, 9000, 9002, 2, 0);
    CHECK_OK(origins_write(&origins, writer, &err), err);
    CHECK_EQUAL(origins.n, 0);
    CHECK_OK(writer_commit(writer, &err), err);
    origins_are(index, 10000, "10-2048:1.7 2048-3000:1.7 9000-9002:2.0 ");
    origins_are(index, 2050, "10-2048:1.7 2048-2050:1.7 ");
    origins_are(index, 9, "");
    set(&origins, 20, 22, 5, 5);
    set(&origins, 21, 22, 6, 6); /* the last one counts */
    CHECK_OK(origins_write(&origins, writer, &err), err);
    CHECK_OK(writer_commit(writer, &err), err);
    origins_are(index, 3000, "10-20:1.7 20-21:5.5 21-22:6.6 22-2048:1.7 2048-3000:1.7 ");
    /* Every docid from somewhere else: the largest note there can be. */
    for (uint32_t docid = 0; docid < ORIGINS_CHUNK; docid++)
        set(&origins, docid, docid + 1, docid + 1, 1);
    CHECK_OK(origins_write(&origins, writer, &err), err);
    CHECK_OK(writer_commit(writer, &err), err);
    origins_are(index, 2, "0-1:1.1 1-2:2.1 ");
    origins_done(&origins);
    writer_close(writer);
    index_close(index);
}

/* ---- places ---- */

static size_t read_some(struct reader *reader, size_t most, struct buf *out) {
    struct arena arena = {0};
    struct row row;
    struct error err;
    size_t n = 0;
    for (enum reader_state state; n < most; n++) {
        if ((state = reader_next(reader, &arena, &row, &err)) == READER_END)
            break;
        buf_format(out, "%s:%zu%s ", state == READER_ROW ? row.key : "!", row.line,
                   row.text_len == 0                   ? ""
                   : row.text[row.text_len - 1] == '.' ? "."
                                                       : "?");
    }
    arena_done(&arena);
    return n;
}

/* From every place that a reader can be at, another one goes on as if it were the same. */
static void a_reader_goes_on_from_any_place(const char *name, size_t rows_n) {
    struct buf whole = {0};
    struct reader *reader = open_one(name);
    CHECK_EQUAL(read_some(reader, SIZE_MAX, &whole), rows_n);
    reader_close(reader);
    for (size_t n = 0; n <= rows_n; n++) {
        struct buf parts = {0};
        struct reader_place place;
        uint64_t before, after, total;
        reader = open_one(name);
        read_some(reader, n, &parts);
        CHECK(reader_tell(reader, &place));
        reader_progress(reader, &before, &total);
        reader_close(reader);
        reader = open_one(name);
        CHECK(reader_go_on(reader, &place, UINT64_MAX));
        read_some(reader, SIZE_MAX, &parts);
        reader_progress(reader, &after, &total);
        CHECK_EQUAL(after, total);
        CHECK_TEXT(parts.data, whole.data);
        reader_close(reader);
        buf_done(&parts);
    }
    buf_done(&whole);
}

static void make_files(void) {
    struct buf text = {0};
    CHECK(mkdir(path_of("all"), 0755) == 0);
    for (int i = 0; i < 30; i++)
        buf_format(&text, i % 7 ? "{\"id\":\"j%d\",\"text\":\"a row.\"}\r\n\n" : "no row %d\n", i);
    write_file("all/a.jsonl", text.data, text.len);
    write_gzip("all/b.jsonl.gz", text.data, text.len);
    write_zstd("all/c.jsonl.zst", text.data, text.len);
    buf_clear(&text);
    buf_text(&text, "\xef\xbb\xbfid;text;x\n");
    for (int i = 0; i < 30; i++)
        buf_format(&text, i % 7 ? "c%d;\"two\nlines.\";%d\n" : "c%d;a \"quote.;%d\n", i, i);
    write_file("all/d.csv", text.data, text.len);
    buf_clear(&text);
    buf_append(&text, "\xff\xfe", 2); /* UTF-16 */
    for (const char *c = "{\"id\":1,\"text\":\"a.\"}\n{\"id\":2,\"text\":\"b.\"}\n"; *c; c++)
        buf_append(&text, (const char[]){*c, 0}, 2);
    write_file("all/e.jsonl", text.data, text.len);
    buf_clear(&text);
    buf_text(&text, "id\ttext\n");
    for (int i = 0; i < 20; i++)
        buf_format(&text, "t%d\t\"Yes\", a quote.\n", i);
    write_file("all/f.tsv", text.data, text.len);
    write_text("all/g.txt", "a document.");
    write_text("all/h.md", "# one\nmore.");
    buf_done(&text);
}

static void places_of_other_files_are_refused(void) {
    struct reader_place place;
    struct buf text = {0};
    struct reader *reader = open_one("all");
    const struct reader_options other = {.names = {.text = "body"}};
    read_some(reader, 40, &text);
    CHECK(reader_tell(reader, &place));
    reader_close(reader);

    reader = open_one_with("all", &other); /* read otherwise */
    CHECK(!reader_go_on(reader, &place, 0));
    reader_close(reader);
    reader = open_one("all/a.jsonl");
    CHECK(!reader_go_on(reader, &place, 0));
    reader_close(reader);

    /* A file that was changed meanwhile is read from its beginning, wherever it stands. */
    reader = open_one("all");
    CHECK(reader_go_on(reader, &place, 0)); /* all of them were */
    buf_clear(&text);
    read_some(reader, 2, &text);
    CHECK_TEXT(text.data, "!:1 j1:2. ");
    reader_close(reader);
    write_text("all/b.jsonl.gz", "{\"id\":\"new\",\"text\":\"a.\"}\n");
    reader = open_one("all");
    CHECK(reader_go_on(reader, &place, UINT64_MAX));
    buf_clear(&text);
    read_some(reader, 2, &text);
    CHECK_TEXT(text.data, "new:1. !:1 ");
    reader_close(reader);
    CHECK(unlink(path_of("all/b.jsonl.gz")) == 0);
    reader = open_one("all");
    CHECK(!reader_go_on(reader, &place, 0)); /* nobody knows where it was */
    reader_close(reader);
    buf_done(&text);
}

int main(void) {
    folder_make();
    origins_are_kept();
    make_files();
    a_reader_goes_on_from_any_place("all", 30 + 30 + 30 + 30 + 2 + 20 + 2);
    places_of_other_files_are_refused();
    folder_remove();
    return check_result();
}
