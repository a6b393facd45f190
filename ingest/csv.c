/* CSV and TSV by RFC 4180: a quoted cell may hold separators, line ends and doubled quotes.
 *
 * The first record names the columns, unless --columns does. One of them is the id, title and text
 * each; the others become fields. A record whose quotes are wrong is given up at its first line's
 * end, and reading goes on there: one forgotten quote costs one row, not the rest of the file. In a
 * TSV that row is not lost either: most of them are written without any quoting, so where quotes
 * make no sense they are text, and the row is its line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/base/mem.h"
#include "ingest/charset.h"
#include "ingest/format.h"
#include "ingest/reader.h"

enum {
    COLUMNS_MAX = 4096, /* more is no table for people */
    KEY_SHOWN_BYTES_MAX = 500,
};

struct cell {
    char *text; /* in the record, unquoted, a NUL behind it */
    size_t len;
};

enum place {
    CELL_BEGIN,
    CELL_PLAIN,
    CELL_QUOTED,
    CELL_QUOTE, /* behind a quote in a quoted cell: its end, or one half of a doubled one */
    CELL_QUOTE_CR,
};

struct csv {
    struct buf bytes; /* read and not yet done with */
    size_t at, line;  /* where the next record begins: in `bytes`; from 1 */
    bool at_end;
    char separator;
    bool quotes_may_be_text;      /* TSV */
    bool literal;                 /* the record at hand: its quotes are text */
    struct buf utf8;              /* a record that was in another encoding */
    struct buf names;             /* the record of the columns' names */
    struct cell *columns, *cells; /* [columns_n] */
    size_t columns_n;
    size_t id, title, text; /* columns; SIZE_MAX: none */
    bool *kept;             /* [columns_n] as a field */
    struct buf bad_key;
};

/* ---- records ---- */

/* Reads on; false at the end or, *state_out SOURCE_FAILED, when the file cannot be read. */
static bool more_bytes(struct format_input *input, enum source_state *state_out,
                       struct error *err) {
    struct csv *csv = input->state;
    if (csv->at_end)
        return false;
    if (csv->at) {
        memmove(csv->bytes.data, csv->bytes.data + csv->at, csv->bytes.len - csv->at);
        csv->bytes.len -= csv->at;
        csv->at = 0;
    }
    *state_out = source_more(input->source, &csv->bytes, err);
    csv->at_end = *state_out != SOURCE_LINE;
    return *state_out == SOURCE_LINE;
}

enum record_end { RECORD_WHOLE, RECORD_GOES_ON, RECORD_WRONG };

/* Goes on through the bytes from *at. RECORD_WHOLE: *at stands behind the record's line end. */
static enum record_end scan(const struct csv *csv, enum place *place, size_t *at) {
    const char *bytes = csv->bytes.data;
    for (size_t n = csv->bytes.len; *at < n; ++*at) {
        char c = bytes[*at];
        if (*place == CELL_QUOTED) {
            const char *quote = memchr(bytes + *at, '"', n - *at);
            *at = quote ? (size_t)(quote - bytes) : n - 1;
            *place = quote ? CELL_QUOTE : CELL_QUOTED;
        } else if (c == '\n') {
            ++*at;
            return RECORD_WHOLE;
        } else if (c == csv->separator && *place != CELL_QUOTE_CR) {
            *place = CELL_BEGIN;
        } else if (*place == CELL_QUOTE && c == '"') {
            *place = CELL_QUOTED;
        } else if (*place == CELL_QUOTE && c == '\r') {
            *place = CELL_QUOTE_CR;
        } else if (*place == CELL_QUOTE || *place == CELL_QUOTE_CR) {
            return RECORD_WRONG;
        } else {
            *place = *place == CELL_BEGIN && c == '"' ? CELL_QUOTED : CELL_PLAIN;
        }
    }
    return RECORD_GOES_ON;
}

static size_t lines_in(const char *bytes, size_t len) {
    size_t n = 0;
    for (const char *at = bytes; (at = memchr(at, '\n', len - (size_t)(at - bytes))); at++)
        n++;
    return n;
}

/* Behind the line that the record began with, however far its quotes reach; a line longer than the
 * buffer may be is read away. */
static void give_up_record(struct format_input *input) {
    struct csv *csv = input->state;
    enum source_state state;
    struct error unused;
    const char *stop;
    while (!(stop = memchr(csv->bytes.data + csv->at, '\n', csv->bytes.len - csv->at))) {
        csv->at = csv->bytes.len;
        if (!more_bytes(input, &state, &unused))
            return;
    }
    csv->at = (size_t)(stop - csv->bytes.data) + 1;
    csv->line++;
}

/* How many bytes the line at hand has, its end included; read on to there, or to the limit. */
static size_t line_len(struct format_input *input) {
    struct csv *csv = input->state;
    enum source_state state;
    struct error unused;
    size_t seen = 0;
    for (;;) {
        const char *line = csv->bytes.data + csv->at;
        size_t len = csv->bytes.len - csv->at;
        const char *stop = memchr(line + seen, '\n', len - seen);
        if (stop)
            return (size_t)(stop - line) + 1;
        seen = len;
        if (seen > SOURCE_LINE_BYTES_MAX || !more_bytes(input, &state, &unused))
            return seen;
    }
}

static enum reader_state take_record(struct csv *csv, size_t len, char **out, size_t *len_out) {
    *out = csv->bytes.data + csv->at;
    *len_out = len;
    csv->line += lines_in(*out, len);
    csv->at += len;
    return READER_ROW;
}

/* The record cannot be what it begins as. What is wrong is in the message already. */
static enum reader_state wrong_record(struct format_input *input, char **out, size_t *len_out) {
    struct csv *csv = input->state;
    size_t len = csv->quotes_may_be_text ? line_len(input) : SIZE_MAX;
    csv->literal = len <= SOURCE_LINE_BYTES_MAX;
    if (csv->literal)
        return take_record(csv, len, out, len_out);
    give_up_record(input);
    return READER_BAD;
}

/* The next record, line end and all, as a piece of csv->bytes. READER_ROW, READER_END or, given up,
 * READER_BAD; *line_out is where it begins. */
static enum reader_state next_record(struct format_input *input, char **out, size_t *len_out,
                                     size_t *line_out, struct error *err) {
    struct csv *csv = input->state;
    enum place place = CELL_BEGIN;
    enum source_state state = SOURCE_END;
    size_t done = 0; /* of the record, scanned */
    *line_out = csv->line;
    csv->literal = false;
    for (;;) {
        size_t at = csv->at + done;
        enum record_end end = scan(csv, &place, &at);
        done = at - csv->at;
        if (end == RECORD_WHOLE)
            return take_record(csv, done, out, len_out);
        if (end == RECORD_WRONG) {
            error_set(err, ERROR_INVALID,
                      "text behind a closing quote: a quote within a cell must be doubled");
            return wrong_record(input, out, len_out);
        }
        if (done > SOURCE_LINE_BYTES_MAX) {
            error_set(err, ERROR_LIMIT, "a row of more than %d bytes%s", SOURCE_LINE_BYTES_MAX,
                      place == CELL_QUOTED ? "; is a closing quote missing?" : "");
            return wrong_record(input, out, len_out);
        }
        if (more_bytes(input, &state, err))
            continue;
        if (state == SOURCE_FAILED) {
            csv->at = csv->bytes.len;
            return READER_BAD;
        }
        if (done == 0)
            return READER_END;
        if (place != CELL_QUOTED)
            return take_record(csv, done, out, len_out);
        error_set(err, ERROR_INVALID, "a quote is opened and never closed");
        return wrong_record(input, out, len_out);
    }
}

/* Cuts a record, in place, into at most cells_max cells; returns how many it has (counting stops
 * one beyond). literal: quotes are text. */
static size_t split(char *record, size_t len, char separator, bool literal, struct cell *cells,
                    size_t cells_max) {
    size_t n = 0, at = 0;
    if (len && record[len - 1] == '\n')
        len--;
    if (len && record[len - 1] == '\r')
        len--;
    for (bool more = true; more && n <= cells_max; n++) {
        char *to = record + at;
        struct cell cell = {to, 0};
        bool quoted = !literal && at < len && record[at] == '"';
        at += quoted;
        while (at < len && (quoted || record[at] != separator)) {
            if (quoted && record[at] == '"') {
                at++;
                quoted = at < len && record[at] == '"';
                if (!quoted)
                    continue;
            }
            *to++ = record[at++];
        }
        more = at < len; /* on a separator */
        at += more;
        cell.len = (size_t)(to - cell.text);
        *to = '\0'; /* on the separator, a quote, or the byte behind the record, which is ours */
        if (n < cells_max)
            cells[n] = cell;
    }
    return n;
}

/* ---- columns ---- */

/* Of a .csv: what stands most often between the names; spreadsheets of many countries write
 * semicolons. */
static char guess_separator(struct format_input *input) {
    static const char separators[] = ",;\t|";
    struct csv *csv = input->state;
    size_t counts[sizeof separators - 1] = {0}, best = 0;
    bool quoted = false;
    enum source_state state;
    struct error unused; /* told again when the record is read */
    while (!memchr(csv->bytes.data, '\n', csv->bytes.len) && more_bytes(input, &state, &unused))
        ;
    const char *line = csv->bytes.data;
    for (; *line && *line != '\n'; line++) {
        const char *found = strchr(separators, *line);
        quoted ^= *line == '"';
        if (found && !quoted)
            counts[found - separators]++;
    }
    for (size_t i = 1; i < sizeof separators - 1; i++)
        if (counts[i] > counts[best])
            best = i;
    return separators[best];
}

static size_t find_column(const struct csv *csv, const char *name) {
    for (size_t i = 0; name && i < csv->columns_n; i++)
        if (strcasecmp(csv->columns[i].text, name) == 0)
            return i;
    return SIZE_MAX;
}

/* what: with its quotes; how: what to do about it. */
static bool column_missing(const struct csv *csv, const char *what, const char *how,
                           struct error *err) {
    struct buf names = {0};
    for (size_t i = 0; i < csv->columns_n; i++)
        buf_format(&names, "%s%.40s", i ? ", " : "", csv->columns[i].text);
    error_set(err, ERROR_INVALID, "no column %s; %s. There are: %s", what, how, names.data);
    buf_done(&names);
    return false;
}

/* A column that was named must be there. */
static bool choose(const struct csv *csv, const char *given, const char *usual, const char *option,
                   size_t *out, struct error *err) {
    char what[64], how[64];
    *out = find_column(csv, given ? given : usual);
    snprintf(what, sizeof what, "\"%.50s\"", given ? given : usual);
    snprintf(how, sizeof how, "%s names it", option);
    return !given || *out != SIZE_MAX || column_missing(csv, what, how, err);
}

/* A table need not have all the fields that were asked for: folders hold tables of many kinds. */
static void choose_fields(struct csv *csv, const struct row_names *names) {
    csv->kept = mem_zalloc(csv->columns_n, sizeof *csv->kept);
    for (size_t i = 0; i < csv->columns_n && !names->fields; i++)
        csv->kept[i] = i != csv->id && i != csv->title && i != csv->text && csv->columns[i].len;
    for (size_t i = 0; i < names->fields_n; i++) {
        size_t column = find_column(csv, names->fields[i]);
        if (column != SIZE_MAX)
            csv->kept[column] = true;
    }
}

static bool choose_columns(struct csv *csv, const struct row_names *names, struct error *err) {
    static const char *const ids[] = {"_id", "id", "docid"};
    const char *given = row_ids_are_lines(names) ? NULL : names->id;
    if (!choose(csv, given, ids[0], "--id", &csv->id, err) ||
        !choose(csv, names->title, "title", "--title", &csv->title, err) ||
        !choose(csv, names->text, "text", "--text", &csv->text, err))
        return false;
    for (size_t i = 1; i < 3 && !names->id && csv->id == SIZE_MAX; i++)
        csv->id = find_column(csv, ids[i]);
    if (csv->id == SIZE_MAX && !row_ids_are_lines(names))
        return column_missing(csv, "\"id\"",
                              "name it with --id NAME, or number the rows with --id '#'", err);
    if (csv->text == SIZE_MAX && csv->title == SIZE_MAX)
        return column_missing(csv, "\"text\" or \"title\"", "name it with --text NAME", err);
    choose_fields(csv, names);
    return true;
}

static void trim(struct cell *cell) {
    while (cell->len && cell->text[cell->len - 1] == ' ')
        cell->text[--cell->len] = '\0';
    while (*cell->text == ' ') {
        cell->text++;
        cell->len--;
    }
}

static bool split_names(struct format_input *input, char separator, struct error *err) {
    struct csv *csv = input->state;
    size_t len = csv->names.len;
    char *text = csv->names.data;
    if (!charset_to_utf8(input->options->encoding, &text, &len, &csv->utf8, err) ||
        !format_check_text(input, text, len, "the line of names", err))
        return false;
    if (text != csv->names.data) {
        buf_clear(&csv->names);
        buf_append(&csv->names, text, len);
    }
    csv->columns = mem_alloc(COLUMNS_MAX, sizeof *csv->columns);
    csv->columns_n =
        split(csv->names.data, len, separator, csv->literal, csv->columns, COLUMNS_MAX);
    if (csv->columns_n > COLUMNS_MAX)
        return error_set(err, ERROR_LIMIT, "more than %d columns", COLUMNS_MAX);
    csv->cells = mem_alloc(csv->columns_n, sizeof *csv->cells);
    for (size_t i = 0; i < csv->columns_n; i++)
        trim(&csv->columns[i]);
    return choose_columns(csv, &input->options->names, err);
}

/* From the first record, or from --columns, which are written with commas. */
static bool read_names(struct format_input *input, struct error *err) {
    struct csv *csv = input->state;
    const char *given = input->options->columns;
    char *record;
    size_t len;
    if (given) {
        buf_text(&csv->names, given);
        return split_names(input, ',', err) || error_wrap(err, "%s: --columns: ", input->path);
    }
    enum reader_state state = next_record(input, &record, &len, &input->line, err);
    if (state == READER_END)
        error_set(err, ERROR_INVALID, "the file is empty");
    if (state == READER_ROW)
        buf_append(&csv->names, record, len);
    return (state == READER_ROW && split_names(input, csv->separator, err)) ||
           error_wrap(err, "%s:%zu: ", input->path, input->line);
}

/* ---- rows ---- */

static bool cell_text(const struct format_input *input, size_t column, const char *what,
                      const char **out, size_t *len_out, struct error *err) {
    const struct csv *csv = input->state;
    if (column == SIZE_MAX)
        return true;
    *out = csv->cells[column].text;
    *len_out = csv->cells[column].len;
    return format_check_text(input, *out, *len_out, what, err);
}

static bool take_fields(const struct format_input *input, struct arena *arena, struct row *out,
                        struct error *err) {
    const struct csv *csv = input->state;
    struct json *fields = json_new_object();
    bool ok = true;
    for (size_t i = 0; i < csv->columns_n && ok; i++) {
        const struct cell *cell = &csv->cells[i];
        if (!csv->kept[i] || cell->len == 0)
            continue;
        ok = format_check_text(input, cell->text, cell->len, csv->columns[i].text, err);
        if (ok)
            json_add(fields, csv->columns[i].text, format_value(cell->text, cell->len));
    }
    if (!ok)
        json_release(fields);
    else
        format_set_fields(fields, arena, out);
    return ok;
}

static bool read_row(struct format_input *input, char *record, size_t len, struct arena *arena,
                     struct row *out, struct error *err) {
    struct csv *csv = input->state;
    struct row row = *out;
    if (!charset_to_utf8(input->options->encoding, &record, &len, &csv->utf8, err))
        return false;
    size_t n = split(record, len, csv->separator, csv->literal, csv->cells, csv->columns_n);
    if (n > csv->id) {
        const struct cell *id = &csv->cells[csv->id];
        buf_clear(&csv->bad_key);
        buf_append(&csv->bad_key, id->text,
                   id->len < KEY_SHOWN_BYTES_MAX ? id->len : KEY_SHOWN_BYTES_MAX);
        out->key = csv->bad_key.data; /* until the row is known to be good */
    }
    if (n != csv->columns_n)
        return error_set(err, ERROR_INVALID, "%s cells than the %zu columns",
                         n < csv->columns_n ? "fewer" : "more", csv->columns_n);
    if (row_ids_are_lines(&input->options->names))
        format_key_by_line(input, row.line, arena, &row);
    if (!cell_text(input, csv->id, "the id", &row.key, &row.key_len, err) ||
        !cell_text(input, csv->title, "the title", &row.title, &row.title_len, err) ||
        !cell_text(input, csv->text, "the text", &row.text, &row.text_len, err) ||
        !row_check(&row, err) || !take_fields(input, arena, &row, err))
        return false;
    row.key = arena_text(arena, row.key, row.key_len);
    row.title = arena_text(arena, row.title, row.title_len);
    row.text = arena_text(arena, row.text, row.text_len);
    *out = row;
    return true;
}

static bool is_blank_line(const char *record, size_t len) {
    return len == 0 || record[0] == '\n' || (len == 2 && record[0] == '\r' && record[1] == '\n');
}

static enum reader_state next_csv(struct format_input *input, struct arena *arena, struct row *out,
                                  struct error *err) {
    char *record;
    size_t len;
    enum reader_state state;
    do
        state = next_record(input, &record, &len, &out->line, err);
    while (state == READER_ROW && is_blank_line(record, len));
    if (state == READER_ROW && !read_row(input, record, len, arena, out, err))
        state = READER_BAD;
    if (state == READER_BAD)
        error_wrap(err, "%s:%zu: ", input->path, out->line);
    return state;
}

/* ---- the two formats ---- */

static bool open_table(struct format_input *input, char separator, struct error *err) {
    struct csv *csv = mem_zalloc(1, sizeof *csv);
    input->state = csv;
    csv->line = 1;
    csv->separator = separator;
    csv->quotes_may_be_text = separator == '\t';
    buf_append(&csv->bytes, "", 0);
    if (!separator)
        csv->separator = guess_separator(input);
    return read_names(input, err);
}

static bool open_csv(struct format_input *input, struct error *err) {
    return open_table(input, '\0', err);
}

static bool open_tsv(struct format_input *input, struct error *err) {
    return open_table(input, '\t', err);
}

static void tell_csv(const struct format_input *input, struct format_place *out) {
    const struct csv *csv = input->state;
    *out = (struct format_place){source_offset(input->source) - (csv->bytes.len - csv->at),
                                 csv->line - 1};
}

/* The names were read already, and with them some of what is to be passed over. */
static bool seek_csv(struct format_input *input, const struct format_place *place,
                     struct error *err) {
    struct csv *csv = input->state;
    struct format_place here;
    tell_csv(input, &here);
    uint64_t left = csv->bytes.len - csv->at, skip = place->offset - here.offset;
    if (place->offset < here.offset)
        return error_set(err, ERROR_INVALID, "%s: it has become shorter", input->path);
    csv->at += (size_t)(skip < left ? skip : left);
    csv->line = (size_t)place->line + 1;
    return skip <= left ||
           source_seek(input->source, place->offset, source_line_number(input->source), err);
}

static void close_csv(struct format_input *input) {
    struct csv *csv = input->state;
    if (!csv)
        return;
    buf_done(&csv->bytes);
    buf_done(&csv->utf8);
    buf_done(&csv->names);
    buf_done(&csv->bad_key);
    free(csv->columns);
    free(csv->cells);
    free(csv->kept);
    free(csv);
}

const struct format format_csv = {
    .name = "csv",
    .endings = {".csv"},
    .open = open_csv,
    .next = next_csv,
    .tell = tell_csv,
    .seek = seek_csv,
    .close = close_csv,
};

const struct format format_tsv = {
    .name = "tsv",
    .endings = {".tsv", ".tab"},
    .open = open_tsv,
    .next = next_csv,
    .tell = tell_csv,
    .seek = seek_csv,
    .close = close_csv,
};
