#include "ingest/walk.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "engine/base/mem.h"
#include "ingest/glob.h"

enum {
    FILES_MAX = 10 << 20,  /* their names fit in memory */
    FOLDER_DEPTH_MAX = 64, /* nobody nests deeper on purpose */
    PARTS_MAX = 100000,    /* of a corpus: MIRACL's largest has 66 */
};

/* One walk through one folder. */
struct tour {
    struct walk *walk;
    const struct format *forced;
    const struct walk_filter *filter;
    size_t below; /* where in a path the key begins */
};

uint64_t walk_root(const char *path) {
    char *real = realpath(path, NULL);
    uint64_t root = real ? XXH3_64bits(real, strlen(real)) : 0;
    free(real);
    return root;
}

static uint64_t nanoseconds(struct timespec time) {
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* info NULL: a pipe. */
static bool add_file(struct walk *walk, const char *path, const char *key,
                     const struct format *format, const struct stat *info, struct error *err) {
    const struct stat none = {0};
    if (walk->files_n == FILES_MAX)
        return error_set(err, ERROR_LIMIT, "%s: more than %d files; ingest it in parts", path,
                         FILES_MAX);
    if (walk->files_n == walk->files_cap) {
        walk->files_cap = walk->files_cap ? 2 * walk->files_cap : 64;
        walk->files = mem_realloc(walk->files, walk->files_cap, sizeof *walk->files);
    }
    info = info ? info : &none;
    walk->files[walk->files_n++] = (struct walk_file){
        .path = mem_strdup(path),
        .key = mem_strdup(key),
        .format = format,
        .bytes = S_ISREG(info->st_mode) ? (uint64_t)info->st_size : 0,
        .root = walk->root,
        .written_ns = nanoseconds(info->st_mtim),
        .changed_ns = nanoseconds(info->st_ctim),
        .is_folder = S_ISDIR(info->st_mode),
    };
    walk->bytes_total += walk->files[walk->files_n - 1].bytes;
    return true;
}

void walk_done(struct walk *walk) {
    for (size_t i = 0; i < walk->files_n; i++) {
        free(walk->files[i].path);
        free(walk->files[i].key);
    }
    free(walk->files);
    *walk = (struct walk){0};
}

/* ---- what is passed over ---- */

static void pass_over(struct walk *walk, const char *what) {
    struct walk_passed *passed = walk->passed;
    size_t i = 0;
    while (i < walk->passed_n && strcmp(passed[i].what, what) != 0)
        i++;
    if (i >= WALK_PASSED_MAX - 1) {
        i = WALK_PASSED_MAX - 1;
        what = "other";
    }
    if (i == walk->passed_n) {
        passed[i] = (struct walk_passed){.n = 0};
        memccpy(passed[i].what, what, '\0', sizeof passed[i].what - 1);
        walk->passed_n++;
    }
    passed[i].n++;
}

static void pass_over_ending(struct walk *walk, const char *name) {
    const char *dot = strrchr(name, '.');
    bool plain = dot && strlen(dot) < sizeof walk->passed->what;
    for (const char *c = plain ? dot : ""; *c; c++)
        plain &= (unsigned char)*c > ' ' && (unsigned char)*c < 0x7f;
    pass_over(walk, plain ? dot : "no ending");
}

static bool any_matches(const char *const *patterns, size_t n, const char *key, bool is_folder) {
    for (size_t i = 0; i < n; i++)
        if (glob_matches(patterns[i], key, is_folder))
            return true;
    return false;
}

/* ---- folders ---- */

static int not_hidden(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

/* By bytes, whatever the locale. */
static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool visit_file(const struct tour *tour, const char *path, const struct stat *info,
                       struct error *err) {
    const struct walk_filter *filter = tour->filter;
    const char *key = path + tour->below;
    const struct format *format = tour->forced ? tour->forced : format_of_name(path);
    if (any_matches(filter->exclude, filter->exclude_n, key, false) ||
        (filter->include_n && !any_matches(filter->include, filter->include_n, key, false))) {
        pass_over(tour->walk, "excluded");
        return true;
    }
    if (!format) {
        pass_over_ending(tour->walk, key);
        return true;
    }
    return add_file(tour->walk, path, key, format, info, err);
}

/* Inside a walk that is a bad row, told when its turn to be read comes. */
static bool add_unreadable(const struct tour *tour, const char *path, int depth,
                           struct error *err) {
    const struct stat folder = {.st_mode = S_IFDIR};
    if (depth == 0)
        return error_set_errno(err, "%s", path);
    tour->walk->unreadable_n++;
    return add_file(tour->walk, path, path + tour->below, &format_text, &folder, err);
}

static bool visit_folder(const struct tour *tour, const char *path, int depth, struct error *err) {
    struct dirent **entries;
    int n = scandir(path, &entries, not_hidden, by_name);
    if (n < 0)
        return add_unreadable(tour, path, depth, err);
    bool ok =
        depth < FOLDER_DEPTH_MAX ||
        error_set(err, ERROR_LIMIT, "%s: folders nested deeper than %d", path, FOLDER_DEPTH_MAX);
    for (int i = 0; i < n; i++) {
        struct buf inner = {0};
        struct stat info, link;
        buf_format(&inner, "%s/%s", path, entries[i]->d_name);
        free(entries[i]);
        if (ok && lstat(inner.data, &link) == 0 && stat(inner.data, &info) == 0) {
            const char *key = inner.data + tour->below;
            if (S_ISDIR(info.st_mode) && !S_ISLNK(link.st_mode))
                ok = any_matches(tour->filter->exclude, tour->filter->exclude_n, key, true) ||
                     visit_folder(tour, inner.data, depth + 1, err);
            else if (S_ISREG(info.st_mode))
                ok = visit_file(tour, inner.data, &info, err);
        } else if (ok && errno != ENOENT && errno != ELOOP) { /* a link to nothing is nothing */
            tour->walk->unreadable_n++;
        }
        buf_done(&inner);
    }
    free(entries);
    return ok;
}

/* ---- layouts of corpora ---- */

/* folder/name, or packed; adds the first that is there. *found_out tells whether one was. */
static bool add_if_there(struct walk *walk, const char *folder, const char *name, bool *found_out,
                         struct error *err) {
    static const char *const packed[] = {"", ".gz", ".zst"};
    struct stat info;
    bool ok = true;
    *found_out = false;
    for (size_t i = 0; i < sizeof packed / sizeof *packed && !*found_out; i++) {
        struct buf path = {0};
        buf_format(&path, "%s/%s%s", folder, name, packed[i]);
        *found_out = stat(path.data, &info) == 0 && S_ISREG(info.st_mode);
        if (*found_out)
            ok = add_file(walk, path.data, path.data + strlen(folder) + 1, &format_jsonl, &info,
                          err);
        buf_done(&path);
    }
    return ok;
}

/* The parts in the order of their numbers, which is not that of their names. */
static bool add_corpus(struct walk *walk, const char *folder, bool *found_out, struct error *err) {
    bool ok = add_if_there(walk, folder, "corpus.jsonl", found_out, err), more = true;
    if (!ok || *found_out)
        return ok;
    for (int part = 0; ok && more && part < PARTS_MAX; part++) {
        char name[32];
        snprintf(name, sizeof name, "docs-%d.jsonl", part);
        ok = add_if_there(walk, folder, name, &more, err);
        *found_out |= more;
    }
    return ok;
}

static bool nothing_found(const struct walk *walk, const char *path, struct error *err) {
    struct buf endings = {0};
    size_t passed = 0;
    for (size_t i = 0; i < walk->passed_n; i++)
        passed += walk->passed[i].n;
    format_list_endings(&endings);
    error_set(err, ERROR_NOT_FOUND,
              "%s: holds no file to read, and %zu others; read are %s, and .gz and .zst of each",
              path, passed, endings.data);
    buf_done(&endings);
    return false;
}

static bool add_folder(struct walk *walk, const char *path, const struct format *forced,
                       const struct walk_filter *filter, struct error *err) {
    size_t before = walk->files_n, len = strlen(path);
    bool corpus = false;
    while (len > 1 && path[len - 1] == '/')
        len--;
    struct tour tour = {walk, forced, filter, len + 1};
    struct buf folder = {0};
    buf_append(&folder, path, len);
    bool plain = forced || filter->include_n || filter->exclude_n;
    bool ok = plain || add_corpus(walk, folder.data, &corpus, err);
    ok = ok && (corpus || visit_folder(&tour, folder.data, 0, err));
    buf_done(&folder);
    return ok && (walk->files_n > before || walk->may_be_empty || nothing_found(walk, path, err));
}

/* ---- anything ---- */

static bool unknown_file(const char *path, struct error *err) {
    struct buf endings = {0};
    format_list_endings(&endings);
    error_set(err, ERROR_UNSUPPORTED,
              "%s: not a kind of file that is read; %s are, and .gz and .zst of each. For a file "
              "of another name say what it is: --format text, jsonl, ..",
              path, endings.data);
    buf_done(&endings);
    return false;
}

bool walk_add(struct walk *walk, const char *path, const struct format *forced,
              const struct walk_filter *filter, struct error *err) {
    struct stat info;
    const struct format *rows = forced ? forced : &format_jsonl;
    walk->root = 0;
    if (strcmp(path, "-") == 0)
        return add_file(walk, path, "stdin", rows, NULL, err);
    if (stat(path, &info) != 0)
        return error_set_errno(err, "%s", path);
    walk->root = S_ISFIFO(info.st_mode) ? 0 : walk_root(path);
    if (S_ISDIR(info.st_mode))
        return add_folder(walk, path, forced, filter, err);
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (S_ISFIFO(info.st_mode)) /* <(zcat rows.gz), /dev/stdin */
        return add_file(walk, path, name, rows, NULL, err);
    if (!S_ISREG(info.st_mode))
        return error_set(err, ERROR_UNSUPPORTED, "%s: neither a file nor a folder", path);
    const struct format *format = forced ? forced : format_of_name(path);
    return format ? add_file(walk, path, name, format, &info, err) : unknown_file(path, err);
}
