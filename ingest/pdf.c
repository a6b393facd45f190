/* PDF, through poppler's pdftotext and pdfinfo where they are installed.
 *
 * A PDF is somebody's program: poppler reads it in a process of its own, with bounded time, memory
 * and output, and no shell in between. The file goes to its standard input, so that a name cannot
 * be taken for an option, and packed ones need no name. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ingest/child.h"
#include "ingest/format.h"
#include "ingest/reader.h"

/* Books of a thousand pages take some seconds and a tenth of the memory. */
static const struct child_limits text_limits = {
    .seconds = 60, .memory_bytes = (size_t)2 << 30, .output_bytes = SOURCE_LINE_BYTES_MAX};
static const struct child_limits info_limits = {
    .seconds = 10, .memory_bytes = (size_t)2 << 30, .output_bytes = 1 << 20};
static const uint64_t file_bytes_max = (uint64_t)1 << 30;

static bool say_how_to_install(struct error *err) {
    return error_set(err, ERROR_UNSUPPORTED,
                     "PDF is read through poppler, which is not installed: apt-get install "
                     "poppler-utils (or leave such files out: --exclude '*.pdf')");
}

static bool run(const char *const *words, FILE *file, const struct child_limits *limits,
                struct buf *out, struct error *err) {
    return (lseek(fileno(file), 0, SEEK_SET) == 0 ||
            error_set_errno(err, "a temporary file cannot be read")) &&
           child_run(words, fileno(file), limits, out, err);
}

/* "Title:           Tides". A PDF without one, and a pdfinfo that fails, mean no title. */
static void read_title(FILE *file, struct arena *arena, struct row *out) {
    static const char *const words[] = {"pdfinfo", "-enc", "UTF-8", "-", NULL};
    static const char name[] = "Title:";
    struct buf info = {0};
    struct error none;
    bool ok = run(words, file, &info_limits, &info, &none);
    const char *line = ok && info.len ? info.data : "";
    while (*line && strncmp(line, name, sizeof name - 1) != 0) {
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    if (*line) {
        line += sizeof name - 1;
        line += strspn(line, " \t");
        size_t len = strcspn(line, "\n");
        if (len && row_text_check(line, len, "the title", &none)) {
            out->title = arena_text(arena, line, len);
            out->title_len = len;
        }
    }
    buf_done(&info);
}

/* Pages are divided by form feeds: to a reader that is a blank line. */
static void open_pages(struct buf *text) {
    for (size_t i = 0; i < text->len; i++)
        if (text->data[i] == '\f')
            text->data[i] = '\n';
}

static bool read_document(struct format_input *input, FILE *file, struct buf *text,
                          struct arena *arena, struct row *out, struct error *err) {
    static const char *const words[] = {"pdftotext", "-enc", "UTF-8", "-eol",
                                        "unix",      "-",    "-",     NULL};
    if (!source_save(input->source, fileno(file), file_bytes_max, err))
        return false;
    if (!run(words, file, &text_limits, text, err)) {
        if (err->code == ERROR_NOT_FOUND)
            say_how_to_install(err);
        return error_wrap(err, "%s: ", input->path);
    }
    open_pages(text);
    const char *bytes = text->len ? text->data : "";
    if (strspn(bytes, " \n\r\t") == text->len) {
        error_set(err, ERROR_INVALID,
                  "the PDF holds no text; scanned pages need OCR first, which "
                  "ocrmypdf does");
        return error_wrap(err, "%s: ", input->path);
    }
    read_title(file, arena, out);
    return format_take_text(input, bytes, text->len, arena, out, err);
}

static enum reader_state next_pdf(struct format_input *input, struct arena *arena, struct row *out,
                                  struct error *err) {
    struct buf text = {0};
    FILE *file = tmpfile();
    bool ok = file ? read_document(input, file, &text, arena, out, err)
                   : error_set_errno(err, "%s: no temporary file can be made", input->path);
    if (file)
        fclose(file);
    buf_done(&text);
    return ok ? READER_ROW : READER_BAD;
}

const struct format format_pdf = {
    .name = "pdf",
    .endings = {".pdf"},
    .is_document = true,
    .next = next_pdf,
};
