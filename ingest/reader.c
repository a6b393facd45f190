#include "ingest/reader.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "ingest/charset.h"
#include "ingest/seen.h"

struct reader {
    struct walk walk;
    const struct reader_options *options;
    size_t at;                 /* walk.files[at] is being read */
    struct format_input input; /* of it; source NULL: not open yet */
    struct seen seen;
    bool is_repeated; /* the row handed out last */
    uint64_t bytes_before;
    struct unpack_waiting waiting;
};

static const struct reader_options default_options;

/* ---- open and close ---- */

static bool options_are_fine(const struct reader_options *options, const struct format **forced_out,
                             struct error *err) {
    *forced_out = NULL;
    if (options->encoding && !charset_known(options->encoding, err))
        return false;
    if (options->format)
        *forced_out = format_named(options->format, err);
    return !options->format || *forced_out;
}

bool reader_open_with(const char *const *paths, size_t paths_n,
                      const struct reader_options *options, struct reader **out,
                      struct error *err) {
    struct reader *reader = mem_zalloc(1, sizeof *reader);
    const struct format *forced;
    reader->options = options ? options : &default_options;
    bool ok = options_are_fine(reader->options, &forced, err);
    for (size_t i = 0; ok && i < paths_n; i++)
        ok = walk_add(&reader->walk, paths[i], forced, &reader->options->walk, err);
    if (!ok) {
        reader_close(reader);
        return false;
    }
    *out = reader;
    return true;
}

bool reader_open(const char *const *paths, size_t paths_n, struct reader **out, struct error *err) {
    return reader_open_with(paths, paths_n, NULL, out, err);
}

static void close_input(struct reader *reader) {
    if (!reader->input.source)
        return;
    const struct format *format = reader->walk.files[reader->at].format;
    if (format->close)
        format->close(&reader->input);
    source_close(reader->input.source);
    reader->input = (struct format_input){0};
}

void reader_close(struct reader *reader) {
    if (!reader)
        return;
    close_input(reader);
    walk_done(&reader->walk);
    seen_done(&reader->seen);
    free(reader);
}

void reader_on_waiting(struct reader *reader, struct unpack_waiting waiting) {
    reader->waiting = waiting;
    if (reader->input.source)
        source_on_waiting(reader->input.source, waiting);
}

/* ---- rows ---- */

static bool open_input(struct reader *reader, struct error *err) {
    const struct walk_file *file = &reader->walk.files[reader->at];
    struct source *source;
    if (!source_open(file->path, &source, err))
        return false;
    source_on_waiting(source, reader->waiting);
    reader->input = (struct format_input){
        .source = source,
        .path = source_name(source),
        .key = file->key,
        .options = reader->options,
    };
    return !file->format->open || file->format->open(&reader->input, err);
}

static void next_file(struct reader *reader) {
    close_input(reader);
    reader->bytes_before += reader->walk.files[reader->at].bytes;
    reader->at++;
}

/* "sub/v1.2 notes.txt.gz" -> "v1.2 notes" */
static void file_title(const char *key, const char **out, size_t *len_out) {
    const char *slash = strrchr(key, '/'), *name = slash ? slash + 1 : key;
    size_t len = format_unpacked_len(name), dot = len;
    while (dot > 0 && name[--dot] != '.')
        ;
    *out = name;
    *len_out = dot > 0 ? dot : len;
}

/* The key and, where the document has none, the title come from the file's name. */
static bool finish_document(const struct walk_file *file, struct arena *arena, struct row *row,
                            struct error *err) {
    row->key_len = strlen(file->key);
    if (row->title_len == 0) {
        file_title(file->key, &row->title, &row->title_len);
        row->title = arena_text(arena, row->title, row->title_len);
    }
    row->key = arena_text(arena, file->key, row->key_len);
    return (row_text_check(row->key, row->key_len, "its name", err) && row_check(row, err)) ||
           error_wrap(err, "%s: ", file->path);
}

/* One row of the file at hand. READER_END: it has no more. */
static enum reader_state next_of_file(struct reader *reader, struct arena *arena, struct row *out,
                                      struct error *err) {
    const struct walk_file *file = &reader->walk.files[reader->at];
    if (!reader->input.source && !open_input(reader, err)) {
        out->line = reader->input.line;
        next_file(reader);
        return READER_BAD;
    }
    enum reader_state state = file->format->next(&reader->input, arena, out, err);
    if (state == READER_ROW && file->format->is_document && !finish_document(file, arena, out, err))
        state = READER_BAD;
    if (file->format->is_document)
        out->key = state == READER_ROW ? out->key : file->key;
    if (state == READER_END || file->format->is_document)
        next_file(reader);
    return state;
}

enum reader_state reader_next(struct reader *reader, struct arena *arena, struct row *out,
                              struct error *err) {
    while (reader->at < reader->walk.files_n) {
        const char *path = reader->walk.files[reader->at].path;
        *out = (struct row){.key = "", .title = "", .text = "", .fields = ""};
        out->file = strcmp(path, "-") == 0 ? "standard input" : path;
        enum reader_state state = next_of_file(reader, arena, out, err);
        if (state == READER_END)
            continue;
        if (state == READER_BAD)
            out->key_len = strlen(out->key);
        reader->is_repeated = state == READER_ROW && reader->options->note_repeated &&
                              seen_add(&reader->seen, out->key, out->key_len);
        return state;
    }
    return READER_END;
}

bool reader_is_repeated(const struct reader *reader) {
    return reader->is_repeated;
}

void reader_progress(const struct reader *reader, uint64_t *read_out, uint64_t *total_out) {
    bool more = reader->at < reader->walk.files_n;
    uint64_t here = reader->input.source ? source_bytes_read(reader->input.source) : 0;
    uint64_t known = more ? reader->walk.files[reader->at].bytes : 0; /* 0: standard input */
    *read_out = reader->bytes_before + (known && here > known ? known : here);
    *total_out = reader->walk.bytes_total;
}

const struct walk *reader_files(const struct reader *reader) {
    return &reader->walk;
}
