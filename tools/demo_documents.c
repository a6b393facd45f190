#include "tools/demo_documents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/json.h"
#include "engine/base/mem.h"

/* Sections in which people look for programs; libraries and development files are not asked for. */
static const char *const sections[] = {
    "admin", "comm",     "database", "editors", "education", "electronics", "games",
    "gnome", "graphics", "hamradio", "httpd",   "kde",       "mail",        "math",
    "misc",  "net",      "news",     "science", "shells",    "sound",       "text",
    "utils", "vcs",      "video",    "web",     "x11",       "xfce",
};

struct stanza {
    const char *package, *description, *section, *homepage, *tags;
    size_t tags_n;
};

/* ---- packages: the deb822 stanzas of dumpavail ---- */

/* The value of a field in a stanza, continuation lines included; NULL when absent. */
static char *field_of(const char *stanza, const char *name, struct arena *arena) {
    size_t name_len = strlen(name);
    for (const char *line = stanza; line && *line;) {
        const char *end = strchr(line, '\n');
        if (strncmp(line, name, name_len) == 0 && line[name_len] == ':') {
            while (end && end[1] == ' ')
                end = strchr(end + 1, '\n');
            const char *value = line + name_len + 1;
            value += strspn(value, " ");
            return arena_text(arena, value, end ? (size_t)(end - value) : strlen(value));
        }
        line = end ? end + 1 : NULL;
    }
    return NULL;
}

/* In place: line breaks and runs of blanks become one blank; a line of " ." ends a paragraph. */
static void flatten(char *text) {
    char *out = text;
    for (char *in = text; *in; in++) {
        bool blank = *in == ' ' || *in == '\n' || *in == '\t';
        bool lone_dot = *in == '.' && in > text && in[-1] == ' ' && (in[1] == '\n' || !in[1]);
        if (lone_dot || (blank && (out == text || out[-1] == ' ')))
            continue;
        *out++ = blank ? ' ' : *in;
    }
    while (out > text && out[-1] == ' ')
        out--;
    *out = '\0';
}

static bool ends_in(const char *text, const char *end) {
    size_t len = strlen(text), end_len = strlen(end);
    return len > end_len && strcmp(text + len - end_len, end) == 0;
}

static bool is_wanted(const struct stanza *stanza) {
    static const char *const parts[] = {"-dev",    "-doc",  "-data",     "-common", "-dbg",
                                        "-dbgsym", "-perl", "-examples", "-l10n"};
    if (!stanza->package || !stanza->description || !stanza->section ||
        strncmp(stanza->package, "lib", 3) == 0 || strstr(stanza->description, "transitional") ||
        strstr(stanza->description, "metapackage"))
        return false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (ends_in(stanza->package, parts[i]))
            return false;
    const char *slash = strrchr(stanza->section, '/'); /* "universe/net" */
    const char *section = slash ? slash + 1 : stanza->section;
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        if (strcmp(section, sections[i]) == 0)
            return true;
    return false;
}

static bool stanza_read(const char *text, struct arena *arena, struct stanza *out) {
    char *description = field_of(text, "Description", arena), *tags = field_of(text, "Tag", arena);
    if (!description)
        description = field_of(text, "Description-en", arena);
    *out = (struct stanza){
        .package = field_of(text, "Package", arena),
        .description = description,
        .section = field_of(text, "Section", arena),
        .homepage = field_of(text, "Homepage", arena),
        .tags = tags,
    };
    if (!is_wanted(out))
        return false;
    flatten(description);
    for (const char *at = tags; at && *at; at++)
        out->tags_n += *at == ',';
    return true;
}

/* Most tags first: those packages were looked at by most people. Then by name. */
static int compare_stanzas(const void *a, const void *b) {
    const struct stanza *x = a, *y = b;
    if (x->tags_n != y->tags_n)
        return x->tags_n > y->tags_n ? -1 : 1;
    return strcmp(x->package, y->package);
}

/* "use::playing, sound::compression" -> " playing, sound compression." appended to the text. */
static void append_tags(struct buf *text, const char *tags) {
    static const char *const kept[] = {"use::",     "works-with::", "sound::", "game::", "field::",
                                       "network::", "science::",    "web::",   "mail::"};
    const char *separator = " (";
    for (const char *at = tags; at && *at;) {
        at += strspn(at, ", \n");
        size_t len = strcspn(at, ", \n");
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
            size_t facet = strlen(kept[i]);
            if (len <= facet || strncmp(at, kept[i], facet) != 0 || at[facet] == 'T')
                continue;        /* placeholders of the tag vocabulary begin with a capital */
            bool named = i >= 2; /* "sound compression", but "playing" alone */
            buf_format(text, "%s%.*s%s%.*s", separator, named ? (int)(facet - 2) : 0, at,
                       named ? " " : "", (int)(len - facet), at + facet);
            separator = ", ";
        }
        at += len;
    }
    if (separator[0] == ',')
        buf_text(text, ")");
}

static void stanza_write(const struct stanza *stanza, FILE *out, struct buf *line) {
    struct buf text = {0};
    struct json *row = json_new_object(), *fields = json_new_object();
    buf_text(&text, stanza->description);
    append_tags(&text, stanza->tags);
    json_add_string(row, "id", stanza->package);
    json_add_string(row, "title", stanza->package);
    json_add(row, "text", json_new_string(text.data, text.len));
    json_add_string(fields, "section", stanza->section);
    if (stanza->homepage)
        json_add_string(fields, "homepage", stanza->homepage);
    json_add(row, "fields", fields);
    buf_clear(line);
    json_print(row, line);
    fprintf(out, "%s\n", line->data);
    json_release(row);
    buf_done(&text);
}

/* All stanzas that somebody would search for. A package that is there in two versions is kept once.
 */
static size_t packages_read(FILE *in, struct arena *arena, struct stanza **out) {
    struct buf text = {0};
    struct stanza *stanzas = NULL;
    size_t n = 0, cap = 0, line_cap = 0;
    char *line = NULL;
    for (bool more = true; more;) {
        more = getline(&line, &line_cap, in) > 0;
        if (more && line[0] != '\n') {
            buf_text(&text, line);
            continue;
        }
        if (n == cap)
            stanzas = mem_realloc(stanzas, cap = cap ? 2 * cap : 1024, sizeof *stanzas);
        if (text.len && stanza_read(text.data, arena, &stanzas[n]) &&
            (n == 0 || strcmp(stanzas[n].package, stanzas[n - 1].package) != 0))
            n++;
        buf_clear(&text);
    }
    free(line);
    buf_done(&text);
    *out = stanzas;
    return n;
}

static size_t packages_write(FILE *out) {
    struct arena arena = {0};
    struct buf line = {0};
    struct stanza *stanzas = NULL;
    FILE *in = popen("apt-cache dumpavail 2>/dev/null", "r");
    if (!in)
        return 0;
    size_t n = packages_read(in, &arena, &stanzas);
    pclose(in);
    if (n)
        qsort(stanzas, n, sizeof *stanzas, compare_stanzas);
    if (n > DEMO_DOCUMENTS_MAX)
        n = DEMO_DOCUMENTS_MAX;
    for (size_t i = 0; i < n; i++)
        stanza_write(&stanzas[i], out, &line);
    free(stanzas);
    buf_done(&line);
    arena_done(&arena);
    return n;
}

/* ---- manual pages: the whatis lines, "name (section) - what it is for" ---- */

static size_t manual_pages_write(FILE *out) {
    struct buf row_text = {0};
    size_t n = 0, cap = 0;
    char *line = NULL;
    FILE *in = popen("LC_ALL=C apropos -s 1,8 . 2>/dev/null", "r");
    while (in && n < DEMO_DOCUMENTS_MAX && getline(&line, &cap, in) > 0) {
        char *dash = strstr(line, " - "), *open = strstr(line, " (");
        if (!dash || !open || open > dash)
            continue;
        line[strcspn(line, "\n")] = '\0';
        *open = '\0';
        struct json *row = json_new_object(), *fields = json_new_object();
        json_add(row, "id", json_new_string(line, strlen(line)));
        json_add(row, "title", json_new_string(line, strlen(line)));
        json_add(row, "text", json_new_string(dash + 3, strlen(dash + 3)));
        json_add(fields, "section", json_new_string(open + 2, 1));
        json_add(row, "fields", fields);
        buf_clear(&row_text);
        json_print(row, &row_text);
        fprintf(out, "%s\n", row_text.data);
        json_release(row);
        n++;
    }
    if (in)
        pclose(in);
    free(line);
    buf_done(&row_text);
    return n;
}

bool demo_documents_write(const char *path, enum demo_source *source_out, size_t *n_out,
                          struct error *err) {
    FILE *out = fopen(path, "w");
    if (!out)
        return error_set_errno(err, "%s", path);
    *source_out = DEMO_PACKAGES;
    *n_out = packages_write(out);
    if (*n_out == 0) {
        *source_out = DEMO_MANUAL_PAGES;
        *n_out = manual_pages_write(out);
    }
    if (fclose(out) != 0)
        return error_set_errno(err, "%s", path);
    if (*n_out == 0)
        return error_set(err, ERROR_NOT_FOUND,
                         "this machine has neither package lists (apt-get update makes them) nor "
                         "manual pages (mandb makes their index): try tercet ingest on documents "
                         "of your own");
    return true;
}
