/* Tables: RFC 4180 against a writer of our own, the mapping of columns, and every way to be bad. */
#include "ingest/fixture.h"

struct expected {
    const char *key, *title, *text, *fields;
    size_t line;
};

static void rows_are(const char *name, const char *table, const struct reader_options *options,
                     const struct expected *expected, size_t n) {
    struct arena arena = {0};
    struct error err;
    struct row row;
    write_text(name, table);
    struct reader *reader = open_one_with(name, options);
    for (size_t i = 0; reader && i < n; i++) {
        if (reader_next(reader, &arena, &row, &err) != READER_ROW) {
            CHECK_TEXT(err.message, "");
            break;
        }
        CHECK_TEXT(row.key, expected[i].key);
        CHECK_TEXT(row.title, expected[i].title);
        CHECK_TEXT(row.text, expected[i].text);
        CHECK_TEXT(row.fields, expected[i].fields);
        CHECK_EQUAL(row.line, expected[i].line);
    }
    CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_END);
    reader_close(reader);
    arena_done(&arena);
}

static void cells_and_columns(void) {
    rows_are("quoted.csv",
             "id,title,text,year,note\r\n"
             "1,\"a, b\",\"line one\nline \"\"two\"\"\",2024,\r\n"
             "\r\n"
             "\"2\",,plain \"quotes\" within,007,\"\"\r\n"
             "3,t,x,-1.5,yes",
             NULL,
             (struct expected[]){{"1", "a, b", "line one\nline \"two\"", "{\"year\":2024}", 2},
                                 {"2", "", "plain \"quotes\" within", "{\"year\":\"007\"}", 5},
                                 {"3", "t", "x", "{\"year\":-1.5,\"note\":\"yes\"}", 6}},
             3);
    rows_are("semicolons.csv", "\xef\xbb\xbf\"_id\"; Title ;TEXT\na;b, c;d\n", NULL,
             (struct expected[]){{"a", "b, c", "d", "", 2}}, 1);
    rows_are("tabs.tsv", "docid\ttext\nk\ta, b\n", NULL,
             (struct expected[]){{"k", "", "a, b", "", 2}}, 1);
}

static void tables_in_utf16(void) {
    static const char table[] = "\xff\xfei\0d\0;\0t\0e\0x\0t\0\r\0\n\0"
                                "1\0;\0\"\0\x2d\x4e\n\0\"\0\r\0\n\0";
    struct arena arena = {0};
    struct row row;
    if (one_row("wide.csv", table, sizeof table - 1, NULL, &arena, &row))
        CHECK_TEXT(row.text, "\xe4\xb8\xad\n");
    arena_done(&arena);
}

static void names_are_mapped(void) {
    const char *const fields[] = {"b", "absent"};
    const struct reader_options options = {
        .names = {.id = "pid", .title = "head", .text = "body", .fields = fields, .fields_n = 2}};
    rows_are("mapped.csv", "pid,head,body,a,b,title\n7,h,t,1,2,ignored\n", &options,
             (struct expected[]){{"7", "h", "t", "{\"b\":2}", 2}}, 1);
    const struct reader_options numbered = {.names = {.id = "#"}};
    rows_are("numbered.csv", "text\none\n\"two\nlines\"\nthree\n", &numbered,
             (struct expected[]){{"numbered.csv:2", "", "one", "", 2},
                                 {"numbered.csv:3", "", "two\nlines", "", 3},
                                 {"numbered.csv:5", "", "three", "", 5}},
             3);
    const struct reader_options bare = {.columns = "id,text"};
    rows_are("bare.tsv", "1\tfirst\n2\tsecond\n", &bare,
             (struct expected[]){{"1", "", "first", "", 1}, {"2", "", "second", "", 2}}, 2);
}

/* As MS MARCO's: no quoting, and quotes in the text. Where it makes sense as quoting it is that. */
static void quotes_in_tsv_may_be_text(void) {
    const struct reader_options bare = {.columns = "id,text"};
    rows_are("text.tsv",
             "1\t\"Quoted\" begins a text\n"
             "2\t\"never closed\n"
             "3\tplain\n"
             "4\t\"two\nlines\"\n"
             "\"5\" x\ty\n"
             "6\t\"the last",
             &bare,
             (struct expected[]){{"1", "", "\"Quoted\" begins a text", "", 1},
                                 {"2", "", "\"never closed", "", 2},
                                 {"3", "", "plain", "", 3},
                                 {"4", "", "two\nlines", "", 4},
                                 {"\"5\" x", "", "y", "", 6},
                                 {"6", "", "\"the last", "", 7}},
             6);
}

static void what_is_no_table_is_said_once(void) {
    const struct reader_options wrong = {.names = {.text = "body"}};
#define COMPLAINT(text, options, words)                                                            \
    CHECK(strstr(complaint_about("wrong.csv", text, sizeof text - 1, options), words))
    COMPLAINT("name,text\na,b\n", NULL, "wrong.csv:1: no column \"id\"");
    COMPLAINT("name,text\na,b\n", NULL, "There are: name, text");
    COMPLAINT("id,words\na,b\n", NULL, "no column \"text\" or \"title\"");
    COMPLAINT("id,text\na,b\n", &wrong, "no column \"body\"; --text names it");
    COMPLAINT("", NULL, "wrong.csv:1: the file is empty");
    COMPLAINT("id,\"text\na,b\n", NULL, "wrong.csv:1: a quote is opened and never closed");
    COMPLAINT("id,te\0xt\na,b\n", NULL, "NUL");
#undef COMPLAINT
    struct error err;
    char keys[64];
    keys_of(open_one("wrong.csv"), keys, sizeof keys, &err);
    CHECK_TEXT(keys, "!");
}

static void hostile_rows_are_bad_and_alone(void) {
    static const struct {
        const char *row, *complaint;
        size_t len;
    } hostile[] = {
#define HOSTILE(row, complaint) {row, complaint, sizeof row - 1}
        HOSTILE("x,\"never closed", "h.csv:3: a quote is opened and never closed"),
        HOSTILE("x,\"closed\" and more", "h.csv:3: text behind a closing quote"),
        HOSTILE("x", "h.csv:3: fewer cells than the 2 columns"),
        HOSTILE("x,y,z", "h.csv:3: more cells than the 2 columns"),
        HOSTILE(",no id", "h.csv:3: the id must have 1 to 500 bytes"),
        HOSTILE("x, ", "h.csv:3: neither title nor text"),
        HOSTILE("x,a\0b", "h.csv:3: the text holds a NUL character"),
        HOSTILE("x,\xff", "h.csv:3: the text is not UTF-8: byte 0 is 0xff"),
        HOSTILE("\xff,x", "h.csv:3: the id is not UTF-8"),
#undef HOSTILE
    };
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        struct buf table = {0};
        char keys[64];
        struct error err = {0};
        buf_text(&table, "id,text\na,one\n");
        buf_append(&table, hostile[i].row, hostile[i].len);
        buf_text(&table, "\nb,two\nc,\"three\n\"\n");
        write_file("h.csv", table.data, table.len);
        keys_of(open_one("h.csv"), keys, sizeof keys, &err);
        /* The cell that never closes is closed by row c's first quote, which text follows. */
        CHECK_TEXT(keys, "a ! b c");
        if (i > 0)
            CHECK(strstr(err.message, hostile[i].complaint));
        if (i > 0 && !strstr(err.message, hostile[i].complaint))
            fprintf(stderr, "  %s\n", err.message);
        buf_done(&table);
    }
}

static void a_bad_row_has_its_place_and_id(void) {
    struct arena arena = {0};
    struct error err;
    struct row row;
    write_text("place.csv", "id,text\nk1,\n\"k\"2,x\nk3,good\n");
    struct reader *reader = open_one("place.csv");
    CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_BAD);
    CHECK_TEXT(row.key, "k1");
    CHECK_EQUAL(row.line, 2);
    CHECK(strstr(row.file, "place.csv"));
    CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_BAD);
    CHECK_TEXT(row.key, "");
    CHECK_EQUAL(row.line, 3);
    CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_ROW);
    CHECK_TEXT(row.key, "k3");
    reader_close(reader);
    arena_done(&arena);
}

static void older_encodings_by_row(void) {
    const struct reader_options options = {.encoding = "windows-1252"};
    rows_are("old.csv", "id;text\n1;caf\xe9\n2;caf\xc3\xa9\n", &options,
             (struct expected[]){{"1", "", "caf\xc3\xa9", "", 2}, {"2", "", "caf\xc3\xa9", "", 3}},
             2);
}

/* One quote that is never closed, in front of a hundred megabytes: one row is lost. */
static void a_forgotten_quote_in_a_large_file(void) {
    enum { ROWS = 80000, COLUMNS = 1000 };
    FILE *out = fopen(path_of("large.csv"), "w");
    struct arena arena = {0};
    struct error err;
    struct row row;
    size_t rows = 0, bad = 0;
    fputs("id,text\nlost,\"opened\n", out);
    for (int i = 0; i < ROWS; i++)
        fprintf(out, "%d,it says \"\"%*d\"\"\n", i, COLUMNS, i);
    fclose(out);
    const char *path = path_of("large.csv");
    const struct reader_options options = {.columns = "id,text"};
    struct reader *reader = NULL;
    CHECK_OK(reader_open_with(&path, 1, &options, &reader, &err), err);
    for (enum reader_state state;
         reader && (state = reader_next(reader, &arena, &row, &err)) != READER_END;) {
        rows += state == READER_ROW;
        if (state == READER_BAD && ++bad)
            CHECK(strstr(err.message, "large.csv:2: a row of more than"));
        arena_reset(&arena);
    }
    CHECK_EQUAL(bad, 1);
    CHECK_EQUAL(rows, ROWS + 1); /* with the names, which are a row here */
    reader_close(reader);
    arena_done(&arena);
    unlink(path_of("large.csv"));
}

static void append_quoted(struct buf *out, const char *cell, bool quoted) {
    if (!quoted) {
        buf_text(out, cell);
        return;
    }
    buf_text(out, "\"");
    for (; *cell; cell++)
        buf_append(out, *cell == '"' ? "\"\"" : cell, *cell == '"' ? 2 : 1);
    buf_text(out, "\"");
}

/* Random cells of the characters that matter, written as the RFC says and read back. */
static void random_tables_come_back(void) {
    unsigned long long state = 99;
    for (int round = 0; round < 300; round++) {
        struct buf table = {0};
        char cells[40][2][12];
        size_t n = 1 + check_random(&state) % 40;
        const char *line_end = check_random(&state) % 2 ? "\r\n" : "\n";
        buf_format(&table, "id,title,text%s", line_end);
        for (size_t i = 0; i < n; i++) {
            buf_format(&table, "%zu", i);
            for (size_t c = 0; c < 2; c++) {
                size_t len = check_random(&state) % 10;
                char *cell = cells[i][c];
                for (size_t k = 0; k < len; k++)
                    cell[k] = "ab\",\n\r; "[check_random(&state) % 8];
                strcpy(cell + len, "x"); /* never blank */
                buf_text(&table, ",");
                append_quoted(&table, cell, strpbrk(cell, "\",\n\r") || check_random(&state) % 2);
            }
            if (i + 1 < n || check_random(&state) % 2)
                buf_text(&table, line_end);
        }
        struct arena arena = {0};
        struct error err;
        struct row row;
        write_file("random.csv", table.data, table.len);
        struct reader *reader = open_one("random.csv");
        for (size_t i = 0; i < n; i++) {
            CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_ROW);
            CHECK_TEXT(row.title, cells[i][0]);
            CHECK_TEXT(row.text, cells[i][1]);
        }
        CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_END);
        reader_close(reader);
        arena_done(&arena);
        buf_done(&table);
    }
}

int main(void) {
    folder_make();
    cells_and_columns();
    tables_in_utf16();
    names_are_mapped();
    quotes_in_tsv_may_be_text();
    what_is_no_table_is_said_once();
    hostile_rows_are_bad_and_alone();
    a_bad_row_has_its_place_and_id();
    older_encodings_by_row();
    a_forgotten_quote_in_a_large_file();
    random_tables_come_back();
    folder_remove();
    return check_result();
}
