/* Files that are one document each: Markdown, HTML and PDF, whole and hostile. */
#include <fcntl.h>
#include <sys/stat.h>

#include "engine/base/clock.h"
#include "ingest/child.h"
#include "ingest/fixture.h"

/* ---- Markdown ---- */

static void check_document(const char *name, const char *file, const char *title,
                           const char *fields, const char *text) {
    struct arena arena = {0};
    struct row row;
    if (one_row(name, file, strlen(file), NULL, &arena, &row)) {
        CHECK_TEXT(row.key, name);
        CHECK_TEXT(row.title, title);
        CHECK_TEXT(row.fields, fields);
        CHECK_TEXT(row.text, text);
        CHECK_EQUAL(row.text_len, strlen(text));
        CHECK_EQUAL(row.line, 0);
    }
    arena_done(&arena);
}

static void front_matter_becomes_fields(void) {
    check_document("all.md",
                   "---\r\n"
                   "title: \"Tides: a 'story'\"\r\n"
                   "# a comment\r\n"
                   "year: 2024   # when\n"
                   "version: 1.10.2\n"
                   "code: 007\n"
                   "draft: false\n"
                   "date: 2024-02-29\n"
                   "empty:\n"
                   "nothing: null\n"
                   "tags: [sea, \"moon, full\", 'it''s', 3]\n"
                   "authors:\n"
                   "  - Ada\n"
                   "  - \"Bob: the second\"\n"
                   "'quoted key': x\n"
                   "nested:\n"
                   "  inner: passed over\n"
                   "summary: >\n"
                   "  two\n"
                   "  lines\n"
                   "url: https://example.org/a#b\n"
                   "---\n"
                   "# Heading\n\nText.\n",
                   "Tides: a 'story'",
                   "{\"year\":2024,\"version\":\"1.10.2\",\"code\":\"007\",\"draft\":false,"
                   "\"date\":\"2024-02-29\",\"tags\":[\"sea\",\"moon, full\",\"it's\",3],"
                   "\"authors\":[\"Ada\",\"Bob: the second\"],\"quoted key\":\"x\","
                   "\"summary\":\"two lines\",\"url\":\"https://example.org/a#b\"}",
                   "# Heading\n\nText.\n");
    check_document("number.md", "---\ntitle: 1984\n---\nx", "1984", "", "x");
    check_document("notitle.md", "---\nlang: en\n...\n\n# Heading\nx", "Heading",
                   "{\"lang\":\"en\"}", "\n# Heading\nx");
    check_document("rule.md", "---\nno second rule\n\n# Later\n", "Later", "",
                   "---\nno second rule\n\n# Later\n");
    const char *const fields[] = {"year", "absent"};
    const struct reader_options chosen = {.names = {.fields = fields, .fields_n = 2}};
    static const char text[] = "---\nyear: 1\nother: 2\n---\ntext";
    struct arena arena = {0};
    struct row row;
    if (one_row("chosen.md", text, sizeof text - 1, &chosen, &arena, &row))
        CHECK_TEXT(row.fields, "{\"year\":1}");
    arena_done(&arena);
}

static void headings_become_titles(void) {
    static const char *const pages[][2] = {
        {"\n## The *first* heading ##\r\n# another\n", "The *first* heading"},
        {"```\n# a comment\n```\ntext\n\n# Late\n", "Late"},
        {"~~~\n```\n# a comment\n~~~\n# Late\n", "Late"},
        {"Set below  \n=====\n# x\n", "Set below"},
        {"Set below\n---\n", "Set below"},
        {"- list\n---\n# x\n", "x"},
        {"#hashtag\n####### seven", "page"},
    };
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        check_document("page.md", pages[i][0], pages[i][1], "", pages[i][0]);
}

static void hostile_markdown(void) {
    enum { LINES = 200000 };
    struct buf text = {0};
    struct arena arena = {0};
    struct row row;
    CHECK(strstr(complaint_about("empty.md", " \n", 2, NULL), "empty.md: the file is empty"));
    CHECK(strstr(complaint_about("empty.md", "---\na: b\n---\n", 13, NULL), "the file is empty"));
    CHECK(strstr(complaint_about("nul.md", "a\0b", 3, NULL), "NUL character at byte 1"));
    CHECK(strstr(complaint_about("bad.md", "a\xff", 2, NULL), "not UTF-8: byte 1 is 0xff"));
    buf_text(&text, "---\n");
    for (int i = 0; i < LINES; i++)
        buf_text(&text, "a: [[[[\"\n");
    buf_text(&text, "---\nfar too long to be front matter");
    if (one_row("long.md", text.data, text.len, NULL, &arena, &row))
        CHECK_EQUAL(row.text_len, text.len);
    buf_done(&text);
    arena_done(&arena);
}

/* ---- HTML ---- */

static void pages_have_their_main_text(void) {
    check_document("whole.html",
                   "<!DOCTYPE html><html lang=en-GB><head><meta charset=utf-8>"
                   "<title> Page &amp;\n title </title><style>p{color:red}</style>"
                   "<script>document.write('<p>no</p>');</script></head><body>"
                   "<nav><a href=/>Home</a></nav><header>Site</header>"
                   "<main><h1>Big <i>heading</i></h1><p>First with <b>bo</b>ld caf&eacute;"
                   "<p>Second<br>line &lt;tag&gt; &#x4e2d;&#20013;"
                   "<table><tr><td>a<td>b<tr><td>c</table>"
                   "<pre>  code\n    kept</pre><div hidden>secret</div></main>"
                   "<aside>See also</aside><footer>Copyright</footer></body></html>",
                   "Page & title", "{\"lang\":\"en-GB\"}",
                   "Big heading\nFirst with bold caf\xc3\xa9\nSecond\n"
                   "line <tag> \xe4\xb8\xad\xe4\xb8\xad\na b\nc\ncode\n    kept");
    check_document("nomain.htm", "<p>one<div>two<span>three</span></div>four", "nomain", "",
                   "one\ntwothree\nfour");
    check_document("heading.html", "<h1>Only a heading</h1>text", "Only a heading", "",
                   "Only a heading\ntext");
    check_document("social.html", "<meta property='og:title' content='Shared as'><body><h1>H</h1>x",
                   "Shared as", "", "H\nx");
    check_document("teaser.html",
                   "<body><article>ad</article><p>The text of the page is in the body and is much "
                   "longer than that.</p>",
                   "teaser", "",
                   "ad\nThe text of the page is in the body and is much longer than that.");
    check_document("plain.html", "just words, no tags", "plain", "", "just words, no tags");
}

static void soup_is_read(void) {
    check_document("soup1.html", "</p></div><b><i>bold</b> both</i> <p>new<p>&unknown; & < 5 > 3",
                   "soup1", "", "bold both\nnew\n&unknown; & < 5 > 3");
    check_document("soup2.html", "<div class=\"x><p>lost\">kept</div><", "soup2", "", "kept\n<");
    check_document("soup3.html", "<body>before<script>if (a < b) { '</p>' } //", "soup3", "",
                   "before");
    check_document("soup4.html", "<svg><title>icon</title><text>x</text></svg>page", "soup4", "",
                   "page");
    check_document("soup5.html", "<!-- a <p>not</p> --> a<!-- never closed", "soup5", "", "a");
}

static void pages_of_other_encodings(void) {
    static const struct {
        const char *page, *text;
    } pages[] = {
        {"<meta charset='iso-8859-1'><body>caf\xe9 \x93q\x94",
         "caf\xc3\xa9 \xe2\x80\x9cq\xe2\x80\x9d"},
        {"<meta http-equiv=Content-Type content=\"text/html; charset=Shift_JIS\">"
         "<body>\x93\xfa\x96\x7b",
         "\xe6\x97\xa5\xe6\x9c\xac"},
        {"<?xml version='1.0' encoding='gb2312'?><html><body>\xd6\xd0", "\xe4\xb8\xad"},
        {"<meta charset=iso-8859-1><body>caf\xc3\xa9", "caf\xc3\xa9"}, /* says so, is UTF-8 */
    };
    struct arena arena = {0};
    struct row row;
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        if (one_row("old.html", pages[i].page, strlen(pages[i].page), NULL, &arena, &row))
            CHECK_TEXT(row.text, pages[i].text);
    const struct reader_options options = {.encoding = "windows-1252"};
    CHECK(strstr(complaint_about("old.html", "<p>caf\xe9", 7, NULL), "--encoding"));
    CHECK(strstr(complaint_about("old.html", "<meta charset=x-no><p>caf\xe9", 26, NULL), "UTF-8"));
    if (one_row("old.html", "<p>caf\xe9", 7, &options, &arena, &row))
        CHECK_TEXT(row.text, "caf\xc3\xa9");
    static const char wide[] = "\xff\xfe<\0p\0>\0\xe9\0";
    if (one_row("wide.html", wide, sizeof wide - 1, NULL, &arena, &row))
        CHECK_TEXT(row.text, "\xc3\xa9");
    arena_done(&arena);
}

/* A million elements in one another (of the other kinds a tenth), and as many ends of none: the
 * text at the bottom is found, in a time that grows with the page. */
static void deep_pages_end_soon(void) {
    enum { DEPTH = 1000000, DEPTH_OTHERS = 100000 };
    static const char *const tags[] = {"<div>", "<b>", "<table>", "<blockquote><ul><li>", "<x-y>"};
    static const double seconds_max = 60; /* some two by itself; sanitizers and neighbours */
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        struct buf page = {0};
        struct arena arena = {0};
        struct row row;
        double began = clock_now_s();
        int depth = i == 0 ? DEPTH : DEPTH_OTHERS;
        buf_text(&page, "<title>Deep</title>top ");
        for (int d = 0; d < depth; d++)
            buf_text(&page, tags[i]);
        buf_text(&page, " bottom ");
        for (int d = 0; d < depth; d++)
            buf_text(&page, "</i>");
        if (one_row("deep.html", page.data, page.len, NULL, &arena, &row)) {
            CHECK_TEXT(row.title, "Deep");
            CHECK(strstr(row.text, "top"));
            CHECK(strstr(row.text, "bottom"));
        }
        CHECK(clock_now_s() - began < seconds_max);
        arena_done(&arena);
        buf_done(&page);
    }
}

static void hostile_pages(void) {
    CHECK(strstr(complaint_about("e.html", "", 0, NULL), "e.html: the page has no text"));
    CHECK(strstr(complaint_about("e.html", "<p>a\0b", 6, NULL), "NUL"));
    CHECK(strstr(complaint_about("e.html", "<script>x()</script>", 20, NULL), "has no text"));
}

/* ---- PDF and other programs ---- */

static void write_program(const char *name, const char *script) {
    write_text(name, script);
    CHECK_EQUAL(chmod(path_of(name), 0755), 0);
}

/* Stands in for poppler, so that this needs none: what a program may do is tried one by one. */
static void programs_are_kept_in_bounds(void) {
    static const struct {
        const char *script, *complaint;
        enum error_code code;
    } programs[] = {
        {"exit 3", "play failed", ERROR_INVALID},
        {"echo 'no such thing' >&2; echo more >&2; exit 1", "play failed: no such thing",
         ERROR_INVALID},
        {"sleep 30", "play took more than 1 seconds", ERROR_LIMIT},
        {"while :; do :; done", "play took more than 1 seconds", ERROR_LIMIT},
        {"while :; do echo 0123456789; done", "play gave more than 1000 bytes", ERROR_LIMIT},
        {"while :; do echo 0123456789 >&2; done", "play took more than 1 seconds", ERROR_LIMIT},
        {"kill -SEGV $$", "play died of signal 11", ERROR_INVALID},
    };
    const struct child_limits limits = {1, (size_t)1 << 30, 1000};
    const char *const words[] = {"play", "a b; exit 9", "$HOME", NULL};
    int input = open("/dev/null", O_RDONLY);
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        struct buf script = {0}, out = {0};
        struct error err = {0};
        buf_format(&script, "#!/bin/sh\n%s\n", programs[i].script);
        write_program("play", script.data);
        CHECK(!child_run(words, input, &limits, &out, &err));
        CHECK(strstr(err.message, programs[i].complaint));
        if (!strstr(err.message, programs[i].complaint))
            fprintf(stderr, "  %s\n", err.message);
        CHECK_EQUAL(err.code, programs[i].code);
        CHECK_EQUAL(out.len, 0);
        buf_done(&script);
        buf_done(&out);
    }
    struct buf out = {0};
    struct error err;
    write_program("play", "#!/bin/sh\nprintf '%s|' \"$@\"; cat; ulimit -v\n");
    CHECK_OK(child_run(words, input, &limits, &out, &err), err);
    CHECK_TEXT(out.data, "a b; exit 9|$HOME|1048576\n"); /* words as words; memory in KiB */
    buf_done(&out);
    close(input);
}

static void pdfs_go_through_poppler(void) {
    struct arena arena = {0};
    struct row row;
    CHECK(strstr(complaint_about("x.pdf", "%PDF-", 5, NULL), "apt-get install poppler-utils"));
    write_program("pdftotext", "#!/bin/sh\nprintf 'page one\\fread: '; cat\n");
    if (one_row("x.pdf", "%PDF-1.4", 8, NULL, &arena, &row)) {
        CHECK_TEXT(row.text, "page one\nread: %PDF-1.4");
        CHECK_TEXT(row.title, "x"); /* no pdfinfo */
    }
    write_program("pdfinfo", "#!/bin/sh\necho 'Creator: c'; echo 'Title:   The title'; cat\n");
    if (one_row("x.pdf", "%PDF-1.4", 8, NULL, &arena, &row))
        CHECK_TEXT(row.title, "The title");
    write_gzip("x.pdf.gz", "%PDF-1.5", 8);
    struct reader *reader = open_one("x.pdf.gz");
    struct error err;
    CHECK_EQUAL(reader_next(reader, &arena, &row, &err), READER_ROW);
    CHECK_TEXT(row.text, "page one\nread: %PDF-1.5");
    reader_close(reader);
    write_program("pdftotext", "#!/bin/sh\nprintf '\\f\\f'\n");
    CHECK(strstr(complaint_about("x.pdf", "%PDF-", 5, NULL), "x.pdf: the PDF holds no text"));
    write_program("pdftotext", "#!/bin/sh\necho 'Incorrect password' >&2; exit 1\n");
    CHECK(strstr(complaint_about("x.pdf", "%PDF-", 5, NULL),
                 "x.pdf: pdftotext failed: Incorrect password"));
    arena_done(&arena);
}

int main(void) {
    folder_make();
    front_matter_becomes_fields();
    headings_become_titles();
    hostile_markdown();
    pages_have_their_main_text();
    soup_is_read();
    pages_of_other_encodings();
    deep_pages_end_soon();
    hostile_pages();
    CHECK_EQUAL(setenv("PATH", folder, 1), 0); /* with programs of ours and a few of the system's */
    CHECK(symlink("/bin/sleep", path_of("sleep")) == 0 && symlink("/bin/cat", path_of("cat")) == 0);
    programs_are_kept_in_bounds();
    pdfs_go_through_poppler();
    setenv("PATH", "/usr/bin:/bin", 1);
    folder_remove();
    return check_result();
}
