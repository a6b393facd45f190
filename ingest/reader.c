#include "ingest/reader.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "ingest/source.h"

enum {
    FILES_MAX = 10 << 20,  /* their names fit in memory */
    FOLDER_DEPTH_MAX = 64, /* nobody nests deeper on purpose */
};

struct input_file {
    char *path, *key; /* key: NULL for rows */
    uint64_t bytes;
};

struct reader {
    struct input_file *files;
    size_t files_n, files_cap, at;
    struct source *source; /* of files[at]; NULL: not open yet */
    uint64_t bytes_before, bytes_total;
};

/* ---- which files ---- */

static bool ends_with(const char *name, size_t len, const char *end) {
    size_t end_len = strlen(end);
    return len > end_len && strncasecmp(name + len - end_len, end, end_len) == 0;
}

/* The name's length without ".gz": what the file is, packed or not. */
static size_t unpacked_len(const char *name) {
    size_t len = strlen(name);
    return ends_with(name, len, ".gz") ? len - strlen(".gz") : len;
}

enum file_kind { KIND_NONE, KIND_ROWS, KIND_TEXT };

static enum file_kind kind_of(const char *name) {
    static const struct {
        const char *end;
        enum file_kind kind;
    } kinds[] = {
        {".jsonl", KIND_ROWS},    {".ndjson", KIND_ROWS}, {".json-lines", KIND_ROWS},
        {".txt", KIND_TEXT},      {".text", KIND_TEXT},   {".md", KIND_TEXT},
        {".markdown", KIND_TEXT},
    };
    size_t len = unpacked_len(name);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (ends_with(name, len, kinds[i].end))
            return kinds[i].kind;
    return KIND_NONE;
}

static bool add_file(struct reader *reader, const char *path, const char *key, uint64_t bytes,
                     struct error *err) {
    if (reader->files_n == FILES_MAX)
        return error_set(err, ERROR_LIMIT, "%s: more than %d files; ingest it in parts", path,
                         FILES_MAX);
    if (reader->files_n == reader->files_cap) {
        reader->files_cap = reader->files_cap ? 2 * reader->files_cap : 64;
        reader->files = mem_realloc(reader->files, reader->files_cap, sizeof *reader->files);
    }
    reader->files[reader->files_n++] = (struct input_file){
        .path = mem_strdup(path), .key = key ? mem_strdup(key) : NULL, .bytes = bytes};
    reader->bytes_total += bytes;
    return true;
}

static int not_hidden(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

/* By bytes, whatever the locale: the same folder is the same input everywhere. */
static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* below: where in `path` the key of a text file begins. */
static bool add_folder(struct reader *reader, const char *path, size_t below, int depth,
                       struct error *err) {
    struct dirent **entries;
    int n = scandir(path, &entries, not_hidden, by_name);
    if (n < 0) /* inside a walk that is a bad row, told when its turn to be read comes */
        return depth > 0 ? add_file(reader, path, NULL, 0, err) : error_set_errno(err, "%s", path);
    bool ok =
        depth < FOLDER_DEPTH_MAX ||
        error_set(err, ERROR_LIMIT, "%s: folders nested deeper than %d", path, FOLDER_DEPTH_MAX);
    for (int i = 0; i < n; i++) {
        struct buf inner = {0};
        struct stat info, link;
        buf_format(&inner, "%s/%s", path, entries[i]->d_name);
        enum file_kind kind = kind_of(entries[i]->d_name);
        free(entries[i]);
        if (ok && lstat(inner.data, &link) == 0 && stat(inner.data, &info) == 0) {
            if (S_ISDIR(info.st_mode) && !S_ISLNK(link.st_mode))
                ok = add_folder(reader, inner.data, below, depth + 1, err);
            else if (S_ISREG(info.st_mode) && kind != KIND_NONE)
                ok = add_file(reader, inner.data, kind == KIND_TEXT ? inner.data + below : NULL,
                              (uint64_t)info.st_size, err);
        }
        buf_done(&inner);
    }
    free(entries);
    return ok;
}

static bool add_path(struct reader *reader, const char *path, struct error *err) {
    struct stat info;
    if (strcmp(path, "-") == 0)
        return add_file(reader, path, NULL, 0, err);
    if (stat(path, &info) != 0)
        return error_set_errno(err, "%s", path);
    if (S_ISREG(info.st_mode)) {
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        enum file_kind kind = kind_of(path);
        if (kind == KIND_NONE)
            return error_set(err, ERROR_UNSUPPORTED,
                             "%s: not a kind of file that is read; .jsonl, .ndjson, .txt and .md "
                             "are, and .gz of each. JSON with an object a line should be named "
                             ".jsonl, other text .txt",
                             path);
        return add_file(reader, path, kind == KIND_TEXT ? name : NULL, (uint64_t)info.st_size, err);
    }
    if (S_ISFIFO(info.st_mode)) /* <(zstdcat rows.jsonl.zst), /dev/stdin */
        return add_file(reader, path, NULL, 0, err);
    if (!S_ISDIR(info.st_mode))
        return error_set(err, ERROR_UNSUPPORTED, "%s: neither a file nor a folder", path);
    static const char *const corpora[] = {"corpus.jsonl", "corpus.jsonl.gz"};
    bool ok = true, beir = false;
    for (size_t i = 0; i < 2 && ok && !beir; i++) {
        struct buf corpus = {0};
        buf_format(&corpus, "%s/%s", path, corpora[i]);
        beir = stat(corpus.data, &info) == 0 && S_ISREG(info.st_mode);
        if (beir)
            ok = add_file(reader, corpus.data, NULL, (uint64_t)info.st_size, err);
        buf_done(&corpus);
    }
    if (!ok || beir)
        return ok;
    size_t before = reader->files_n, below = strlen(path);
    if (!add_folder(reader, path, below + 1, 0, err))
        return false;
    return reader->files_n > before ||
           error_set(err, ERROR_NOT_FOUND, "%s: holds no .jsonl, .ndjson, .txt or .md file", path);
}

bool reader_open(const char *const *paths, size_t paths_n, struct reader **out, struct error *err) {
    struct reader *reader = mem_zalloc(1, sizeof *reader);
    for (size_t i = 0; i < paths_n; i++)
        if (!add_path(reader, paths[i], err)) {
            reader_close(reader);
            return false;
        }
    *out = reader;
    return true;
}

void reader_close(struct reader *reader) {
    if (!reader)
        return;
    source_close(reader->source);
    for (size_t i = 0; i < reader->files_n; i++) {
        free(reader->files[i].path);
        free(reader->files[i].key);
    }
    free(reader->files);
    free(reader);
}

/* ---- rows ---- */

static void next_file(struct reader *reader) {
    source_close(reader->source);
    reader->source = NULL;
    reader->bytes_before += reader->files[reader->at].bytes;
    reader->at++;
}

static enum reader_state bad(struct error *err, const char *file, size_t line) {
    if (line)
        error_wrap(err, "%s:%zu: ", file, line);
    else
        error_wrap(err, "%s: ", file);
    return READER_BAD;
}

/* The next JSON line of the file at hand; READER_END when it has no more. */
static enum reader_state next_json_row(struct reader *reader, struct arena *arena, struct row *out,
                                       struct error *err) {
    const char *path = reader->files[reader->at].path;
    char *line;
    size_t len;
    for (;;) {
        switch (source_next(reader->source, &line, &len, err)) {
        case SOURCE_END: return READER_END;
        case SOURCE_BAD: return READER_BAD;
        case SOURCE_FAILED: return READER_BAD; /* the source ends behind it by itself */
        case SOURCE_LINE: break;
        }
        if (line[strspn(line, " \t")] != '\0' || strlen(line) != len)
            break;
    }
    size_t number = source_line_number(reader->source);
    if (!row_text_check(line, len, "the line", err))
        return bad(err, path, number);
    struct json *json = json_parse(line, len, err);
    bool ok = json && row_from_json(json, arena, out, err);
    json_release(json);
    if (!ok)
        return bad(err, path, number);
    out->file = path;
    out->line = number;
    return READER_ROW;
}

/* The text of an ATX heading ("## Title ##") without its marks; false for any other line. */
static bool heading_of(const char *line, size_t len, const char **out, size_t *len_out) {
    size_t marks = strspn(line, "#");
    if (marks == 0 || marks > 6 || (line[marks] != ' ' && line[marks] != '\t'))
        return false;
    while (marks < len && (line[marks] == ' ' || line[marks] == '\t'))
        marks++;
    while (len > marks && strchr(" \t\r#", line[len - 1]))
        len--;
    *out = line + marks;
    *len_out = len - marks;
    return *len_out > 0;
}

/* The first Markdown heading outside of code blocks, where "# x" is a comment in some language. */
static bool markdown_title(const char *text, const char **out, size_t *len_out) {
    bool in_code = false;
    while (*text) {
        size_t len = strcspn(text, "\n");
        if (strncmp(text, "```", 3) == 0 || strncmp(text, "~~~", 3) == 0)
            in_code = !in_code;
        else if (!in_code && heading_of(text, len, out, len_out))
            return true;
        text += len + (text[len] == '\n');
    }
    return false;
}

/* "sub/v1.2 notes.txt.gz" -> "v1.2 notes" */
static void file_title(const char *key, const char **out, size_t *len_out) {
    const char *slash = strrchr(key, '/'), *name = slash ? slash + 1 : key;
    size_t len = unpacked_len(name), dot = len;
    while (dot > 0 && name[--dot] != '.')
        ;
    *out = name;
    *len_out = dot > 0 ? dot : len;
}

static void title_of(struct row *row, struct arena *arena) {
    size_t len = unpacked_len(row->key);
    bool markdown = ends_with(row->key, len, ".md") || ends_with(row->key, len, ".markdown");
    if (!markdown || !markdown_title(row->text, &row->title, &row->title_len))
        file_title(row->key, &row->title, &row->title_len);
    row->title = arena_text(arena, row->title, row->title_len);
}

static enum reader_state text_row(struct reader *reader, struct arena *arena, struct row *out,
                                  struct error *err) {
    const struct input_file *file = &reader->files[reader->at];
    struct row row = {.fields = "", .file = file->path, .key_len = strlen(file->key)};
    char *text;
    size_t len;
    if (!source_rest(reader->source, &text, &len, err))
        return READER_BAD;
    if (!row_text_check(file->key, row.key_len, "its name", err) ||
        !row_text_check(text, len, "the text", err))
        return bad(err, file->path, 0);
    if (strspn(text, " \t\n\v\f\r") == len) {
        error_set(err, ERROR_INVALID, "the file is empty");
        return bad(err, file->path, 0);
    }
    row.key = arena_text(arena, file->key, row.key_len);
    row.text = arena_text(arena, text, len);
    row.text_len = len;
    title_of(&row, arena);
    *out = row;
    return READER_ROW;
}

enum reader_state reader_next(struct reader *reader, struct arena *arena, struct row *out,
                              struct error *err) {
    while (reader->at < reader->files_n) {
        const struct input_file *file = &reader->files[reader->at];
        if (!reader->source && !source_open(file->path, &reader->source, err)) {
            next_file(reader);
            return READER_BAD;
        }
        enum reader_state state =
            file->key ? text_row(reader, arena, out, err) : next_json_row(reader, arena, out, err);
        if (file->key || state == READER_END)
            next_file(reader);
        if (state != READER_END)
            return state;
    }
    return READER_END;
}

void reader_progress(const struct reader *reader, uint64_t *read_out, uint64_t *total_out) {
    uint64_t here = reader->source ? source_bytes_read(reader->source) : 0;
    uint64_t limit = reader->at < reader->files_n ? reader->files[reader->at].bytes : 0;
    *read_out = reader->bytes_before + (here < limit ? here : limit);
    *total_out = reader->bytes_total;
}
