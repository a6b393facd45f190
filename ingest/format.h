/* format.h - one kind of file each: what the reader needs of it.
 *
 * A new kind is a file of its own and a line in formats[] (format.c). */
#ifndef TERCET_INGEST_FORMAT_H
#define TERCET_INGEST_FORMAT_H

#include "ingest/row.h"
#include "ingest/source.h"

struct reader_options;

enum reader_state {
    READER_ROW,
    READER_BAD, /* err names file and line; the next call goes on behind it */
    READER_END,
    READER_SAME, /* the file is as it was known, and was not read; out->key is its name */
};

enum { FORMAT_ENDINGS_MAX = 8 };

/* A file while it is read. */
struct format_input {
    struct source *source;
    const char *path; /* for messages */
    const char *key;  /* the path below the folder walked, or the file's name */
    const struct reader_options *options;
    void *state; /* the format's own; NULL until its open sets it */
    size_t line; /* that its open could not read; 0: the file */
};

/* Between two rows of a file. */
struct format_place {
    uint64_t offset; /* in the text, as it comes out of its packing */
    uint64_t line;   /* lines before it */
};

struct format {
    const char *name;                        /* for --format */
    const char *endings[FORMAT_ENDINGS_MAX]; /* of files' names, in lower case, with their dot */
    bool is_document; /* the file is one document: next is called once. Else it holds rows */
    /* Optional. False: nothing of the file can be read; close is called all the same. */
    bool (*open)(struct format_input *input, struct error *err);
    /* The next row into *out, strings into the arena; out->line where it begins. READER_BAD has
     * the file and line in front of its message; out->line and, where the row has an id, out->key
     * say so too, the key in memory that is good until the next call.
     *
     * A document leaves key and file to the reader, and the title where it has none: the file's
     * name is taken. */
    enum reader_state (*next)(struct format_input *input, struct arena *arena, struct row *out,
                              struct error *err);
    /* Of rows: where the next one begins, and going there in the same file, opened again. */
    void (*tell)(const struct format_input *input, struct format_place *out);
    bool (*seek)(struct format_input *input, const struct format_place *place, struct error *err);
    void (*close)(struct format_input *input); /* optional */
};

/* By a file's name, without or with ".gz" or ".zst"; NULL when it is none of ours. */
const struct format *format_of_name(const char *name);
/* By --format's word; ERROR_INVALID lists them. NULL on failure. */
const struct format *format_named(const char *name, struct error *err);
/* Every ending of every format, for messages: ".jsonl, .ndjson, .. and .pdf". */
void format_list_endings(struct buf *out);

/* The name's length without ".gz" or ".zst". */
size_t format_unpacked_len(const char *name);

/* As row_text_check, and says how to name an encoding when that may be the fault. */
bool format_check_text(const struct format_input *input, const char *text, size_t len,
                       const char *what, struct error *err);

/* A whole document's text, checked and copied into its row. */
bool format_take_text(const struct format_input *input, const char *text, size_t len,
                      struct arena *arena, struct row *out, struct error *err);

/* An object, given away, becomes the row's fields. */
void format_set_fields(struct json *fields, struct arena *arena, struct row *out);
/* With --fields, only the chosen of them. */
void format_take_fields(const struct format_input *input, struct json *fields, struct arena *arena,
                        struct row *out);

/* A value as text: what JSON would write as a number becomes one, for filters to compare. */
struct json *format_value(const char *text, size_t len);

/* The key of a row that has no id: ROW_ID_BY_LINE. */
void format_key_by_line(const struct format_input *input, size_t line, struct arena *arena,
                        struct row *out);

extern const struct format format_jsonl, format_csv, format_tsv, format_text, format_markdown,
    format_html, format_pdf;

#endif
