/* Plain text: the file is the document. */
#include "ingest/charset.h"
#include "ingest/format.h"
#include "ingest/reader.h"

static enum reader_state next_text(struct format_input *input, struct arena *arena, struct row *out,
                                   struct error *err) {
    struct buf utf8 = {0};
    char *text;
    size_t len;
    if (!source_rest(input->source, &text, &len, err))
        return READER_BAD;
    bool ok = charset_to_utf8(input->options->encoding, &text, &len, &utf8, err) ||
              error_wrap(err, "%s: ", input->path);
    ok = ok && format_take_text(input, text, len, arena, out, err);
    buf_done(&utf8);
    return ok ? READER_ROW : READER_BAD;
}

const struct format format_text = {
    .name = "text",
    .endings = {".txt", ".text"},
    .is_document = true,
    .next = next_text,
};
