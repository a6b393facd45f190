#include "ingest/reader.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/base/mem.h"
#include "ingest/charset.h"
#include "ingest/seen.h"

/* A row that was looked at before its turn. */
struct reader_ahead {
    bool is_there;
    enum reader_state state;
    struct row row;
    struct error err;
    struct arena arena; /* its strings, for as long as the reader is open */
};

struct reader {
    struct walk walk;
    const struct reader_options *options;
    size_t at;   /* walk.files[at] is being read */
    size_t last; /* the file of the row handed out last */
    /* Going on: files before `resume_at` are read only when changed since. */
    size_t resume_at;
    uint64_t resume_began_ns;
    struct format_place resume_place; /* in files[resume_at]; offset 0: its beginning */
    uint64_t identity;                /* 0: there is a pipe among the paths */
    uint64_t *roots;                  /* [roots_n] of the paths given */
    size_t roots_n;
    struct format_input input; /* of it; source NULL: not open yet */
    struct seen seen;
    bool is_repeated; /* the row handed out last */
    uint64_t bytes_before;
    struct unpack_waiting waiting;
    struct reader_ahead ahead;
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

static uint64_t hash_text(const char *text, uint64_t seed) {
    return XXH3_64bits_withSeed(text ? text : "", text ? strlen(text) : 0, seed + !text);
}

static uint64_t identity_of(const struct reader *reader) {
    const struct reader_options *options = reader->options;
    const struct walk *walk = &reader->walk;
    const char *const words[] = {options->format,   options->encoding,    options->columns,
                                 options->names.id, options->names.title, options->names.text};
    uint64_t hash = reader->roots_n;
    for (size_t i = 0; i < walk->files_n; i++)
        if (walk->files[i].root == 0)
            return 0;
    for (size_t i = 0; i < reader->roots_n; i++)
        hash = hash * 31 + reader->roots[i];
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        hash = hash_text(words[i], hash);
    for (size_t i = 0; i < options->names.fields_n; i++)
        hash = hash_text(options->names.fields[i], hash);
    for (size_t i = 0; i < options->walk.include_n; i++)
        hash = hash_text(options->walk.include[i], hash);
    for (size_t i = 0; i < options->walk.exclude_n; i++)
        hash = hash_text(options->walk.exclude[i], hash + 1);
    return hash + !hash;
}

bool reader_open_with(const char *const *paths, size_t paths_n,
                      const struct reader_options *options, struct reader **out,
                      struct error *err) {
    struct reader *reader = mem_zalloc(1, sizeof *reader);
    const struct format *forced;
    reader->options = options ? options : &default_options;
    reader->walk.may_be_empty = reader->options->may_be_empty;
    bool ok = options_are_fine(reader->options, &forced, err);
    for (size_t i = 0; ok && i < paths_n; i++)
        ok = walk_add(&reader->walk, paths[i], forced, &reader->options->walk, err);
    if (!ok) {
        reader_close(reader);
        return false;
    }
    reader->roots = mem_alloc(paths_n, sizeof *reader->roots);
    for (reader->roots_n = 0; reader->roots_n < paths_n; reader->roots_n++)
        reader->roots[reader->roots_n] = walk_root(paths[reader->roots_n]);
    reader->identity = identity_of(reader);
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
    arena_done(&reader->ahead.arena);
    walk_done(&reader->walk);
    seen_done(&reader->seen);
    free(reader->roots);
    free(reader);
}

void reader_on_waiting(struct reader *reader, struct unpack_waiting waiting) {
    reader->waiting = waiting;
    if (reader->input.source)
        source_on_waiting(reader->input.source, waiting);
}

/* ---- files as they were ---- */

static uint64_t name_of(const struct walk_file *file) {
    uint64_t hash = hash_text(file->path, file->root);
    return hash + !hash;
}

static struct reader_file describe(const struct walk_file *file) {
    const uint64_t is[] = {file->bytes, file->written_ns, file->changed_ns};
    return (struct reader_file){name_of(file), XXH3_64bits(is, sizeof is)};
}

static int compare_names(const void *a, const void *b) {
    uint64_t x = ((const struct reader_file *)a)->name, y = ((const struct reader_file *)b)->name;
    return (x > y) - (x < y);
}

static bool is_known(const struct reader *reader, const struct walk_file *file) {
    const struct reader_options *options = reader->options;
    struct reader_file now = describe(file);
    const struct reader_file *then =
        options->known_n && !file->is_folder
            ? bsearch(&now, options->known, options->known_n, sizeof now, compare_names)
            : NULL;
    return then && then->stamp == now.stamp;
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
    if (file->format->open && !file->format->open(&reader->input, err))
        return false;
    return reader->at != reader->resume_at || reader->resume_place.offset == 0 ||
           file->format->seek(&reader->input, &reader->resume_place, err);
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
    reader->last = reader->at;
    if (reader->at < reader->resume_at && file->changed_ns < reader->resume_began_ns) {
        next_file(reader);
        return READER_END;
    }
    if (!reader->input.source && is_known(reader, file)) {
        out->key = file->key;
        next_file(reader);
        return READER_SAME;
    }
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

static enum reader_state next(struct reader *reader, struct arena *arena, struct row *out,
                              struct error *err) {
    while (reader->at < reader->walk.files_n) {
        const char *path = reader->walk.files[reader->at].path;
        *out = (struct row){.key = "", .title = "", .text = "", .fields = ""};
        out->file = strcmp(path, "-") == 0 ? "standard input" : path;
        enum reader_state state = next_of_file(reader, arena, out, err);
        if (state == READER_END)
            continue;
        if (state == READER_BAD || state == READER_SAME)
            out->key_len = strlen(out->key);
        reader->is_repeated = state == READER_ROW && reader->options->note_repeated &&
                              seen_add(&reader->seen, out->key, out->key_len);
        return state;
    }
    return READER_END;
}

enum reader_state reader_next(struct reader *reader, struct arena *arena, struct row *out,
                              struct error *err) {
    struct reader_ahead *ahead = &reader->ahead;
    if (!ahead->is_there)
        return next(reader, arena, out, err);
    ahead->is_there = false;
    *out = ahead->row;
    *err = ahead->err;
    return ahead->state;
}

enum reader_state reader_peek(struct reader *reader, const struct row **out, struct error *err) {
    struct reader_ahead *ahead = &reader->ahead;
    ahead->is_there = true;
    ahead->state = next(reader, &ahead->arena, &ahead->row, &ahead->err);
    *out = &ahead->row;
    *err = ahead->err;
    return ahead->state;
}

struct reader_origin reader_origin_of(const struct reader *reader) {
    const struct walk_file *file = &reader->walk.files[reader->last];
    uint64_t hash = file->format->is_document ? 0 : hash_text(file->key, file->root);
    return (struct reader_origin){file->root, hash + !(hash || file->format->is_document)};
}

bool reader_has_root(const struct reader *reader, uint64_t root) {
    for (size_t i = 0; i < reader->roots_n; i++)
        if (root && reader->roots[i] == root)
            return true;
    return false;
}

bool reader_can_be_followed(const struct reader *reader) {
    return reader->identity != 0;
}

struct reader_file *reader_list_files(const struct reader *reader, size_t *n_out) {
    const struct walk *walk = &reader->walk;
    struct reader_file *files = mem_alloc(walk->files_n, sizeof *files);
    for (size_t i = 0; i < walk->files_n; i++)
        files[i] = describe(&walk->files[i]);
    if (walk->files_n)
        qsort(files, walk->files_n, sizeof *files, compare_names);
    *n_out = walk->files_n;
    return files;
}

bool reader_tell(const struct reader *reader, struct reader_place *out) {
    bool more = reader->at < reader->walk.files_n;
    const struct walk_file *file = more ? &reader->walk.files[reader->at] : NULL;
    struct format_place place = {0};
    if (reader->identity == 0)
        return false;
    if (reader->input.source && file->format->tell)
        file->format->tell(&reader->input, &place);
    *out = (struct reader_place){.identity = reader->identity, .file = UINT64_MAX};
    if (more)
        *out = (struct reader_place){.identity = reader->identity,
                                     .file = name_of(file),
                                     .bytes = file->bytes,
                                     .written_ns = file->written_ns,
                                     .offset = place.offset,
                                     .line = place.line};
    return true;
}

bool reader_go_on(struct reader *reader, const struct reader_place *place, uint64_t began_ns) {
    const struct walk *walk = &reader->walk;
    size_t at = 0;
    if (reader->identity == 0 || place->identity != reader->identity)
        return false;
    while (at < walk->files_n && name_of(&walk->files[at]) != place->file)
        at++;
    if (at == walk->files_n && place->file != UINT64_MAX)
        return false;
    reader->resume_at = at;
    reader->resume_began_ns = began_ns;
    reader->resume_place = (struct format_place){0};
    if (at < walk->files_n && walk->files[at].format->seek &&
        walk->files[at].bytes == place->bytes && walk->files[at].written_ns == place->written_ns)
        reader->resume_place = (struct format_place){place->offset, place->line};
    return true;
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
