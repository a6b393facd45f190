#include "engine/hub_pull.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/hub.h"
#include "engine/hub_fetch.h"
#include "engine/hub_http.h"
#include "engine/hub_listing.h"

/* What is pulled, beside the model's files: {"id", "revision", "commit"}. */
#define RECORD_NAME "tercet_pull.json"
enum { RECORD_BYTES_MAX = 4096 };

struct pull {
    const struct hub_pull_options *options;
    const char *endpoint, *revision;
    const char *folder, *part, *lock_path; /* ID, ID.part, ID.lock */
    int lock;
    struct http_client *client;
    struct listing listing;
    struct arena arena;
    struct hub_pull_progress progress;
    uint64_t bytes_before; /* of the files that are done */
    uint64_t fetched_bytes;
};

/* ---- settings ---- */

/* As huggingface_hub reads it. */
static bool environment_says_yes(const char *variable) {
    static const char *const yes[] = {"1", "ON", "YES", "TRUE"};
    const char *value = getenv(variable);
    for (size_t i = 0; value && i < 4; i++)
        if (strcasecmp(value, yes[i]) == 0)
            return true;
    return false;
}

static uint32_t stall_s(void) {
    enum { STALL_MAX_S = 3600 };
    const char *value = getenv("HF_HUB_DOWNLOAD_TIMEOUT");
    long seconds = value ? strtol(value, NULL, 10) : 0;
    return seconds > 0 && seconds <= STALL_MAX_S ? (uint32_t)seconds : HTTP_STALL_DEFAULT_S;
}

static bool ends_with(const char *text, const char *ending) {
    size_t len = strlen(text), ending_len = strlen(ending);
    return len >= ending_len && strcmp(text + len - ending_len, ending) == 0;
}

static bool revision_is_plain(const char *revision) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";
    return *revision && revision[strspn(revision, allowed)] == '\0' && !strstr(revision, "..");
}

static bool pull_prepare(struct pull *pull, struct error *err) {
    const char *name = pull->options->name, *endpoint = getenv("HF_ENDPOINT");
    const char *root = hub_own_root(&pull->arena);
    pull->revision = pull->options->revision ? pull->options->revision : "main";
    if (!hub_name_is_id(name) || ends_with(name, ".part") || ends_with(name, ".lock"))
        return error_set(err, ERROR_INVALID, "\"%s\": must be an id as in BAAI/bge-m3", name);
    if (!revision_is_plain(pull->revision))
        return error_set(err, ERROR_INVALID, "\"%s\": must be a branch, a tag or a commit",
                         pull->revision);
    if (environment_says_yes("HF_HUB_OFFLINE"))
        return error_set(err, ERROR_INVALID,
                         "HF_HUB_OFFLINE is set: nothing is fetched from the network");
    if (!root)
        return error_set(err, ERROR_NOT_FOUND, "neither TERCET_HOME nor HOME is set");
    endpoint = endpoint && *endpoint ? endpoint : "https://huggingface.co";
    size_t len = strlen(endpoint);
    while (len && endpoint[len - 1] == '/')
        len--;
    pull->endpoint = arena_text(&pull->arena, endpoint, len);
    pull->folder = arena_format(&pull->arena, "%s/%s", root, name);
    pull->part = arena_format(&pull->arena, "%s.part", pull->folder);
    pull->lock_path = arena_format(&pull->arena, "%s.lock", pull->folder);
    return http_open(pull->endpoint, getenv("HF_TOKEN"), stall_s(), &pull->client, err);
}

/* ---- the lock ---- */

static bool make_parent(const char *path, struct arena *arena, struct error *err) {
    char *folder = arena_text(arena, path, strlen(path));
    *strrchr(folder, '/') = '\0';
    return file_make_folder(folder, err);
}

/* The lock's file is removed by whoever holds it; a file that was removed between our open and our
 * lock guards nothing (nobody finds it any more), so that counts as busy. */
static bool pull_lock(struct pull *pull, struct error *err) {
    struct stat info;
    if (!make_parent(pull->folder, &pull->arena, err))
        return false;
    pull->lock = open(pull->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (pull->lock < 0)
        return error_set_errno(err, "%s", pull->lock_path);
    if (flock(pull->lock, LOCK_EX | LOCK_NB) == 0 && fstat(pull->lock, &info) == 0 &&
        info.st_nlink > 0)
        return true;
    close(pull->lock);
    pull->lock = -1;
    return error_set(err, ERROR_BUSY, "another tercet is pulling this model (it holds %s)",
                     pull->lock_path);
}

static void pull_unlock(struct pull *pull) {
    if (pull->lock < 0)
        return;
    unlink(pull->lock_path);
    close(pull->lock);
}

/* ---- folders ---- */

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *at) {
    (void)info, (void)kind, (void)at;
    return remove(path);
}

/* Links are removed, not followed. */
static void remove_tree(const char *folder) {
    enum { FOLDERS_OPEN_MAX = 16 };
    nftw(folder, remove_entry, FOLDERS_OPEN_MAX, FTW_DEPTH | FTW_PHYS);
}

/* True when the folder was pulled from this commit. */
static bool record_matches(struct pull *pull, const char *folder) {
    struct buf text = {0};
    struct error ignored;
    const char *commit = "";
    const char *path = arena_format(&pull->arena, "%s/%s", folder, RECORD_NAME);
    struct json *root = NULL;
    if (file_read(path, RECORD_BYTES_MAX, &text, &ignored))
        root = json_parse(text.data ? text.data : "", text.len, &ignored);
    bool ok = root && json_read_string(root, "commit", &commit, &ignored) &&
              strcmp(commit, pull->listing.commit) == 0;
    json_release(root);
    buf_done(&text);
    return ok;
}

/* A model of this commit that still has every file, at its size. */
static bool is_whole(struct pull *pull) {
    bool ok = record_matches(pull, pull->folder);
    for (size_t i = 0; ok && i < pull->listing.files_n; i++) {
        struct stat info;
        const struct listing_file *file = &pull->listing.files[i];
        ok = stat(arena_format(&pull->arena, "%s/%s", pull->folder, file->name), &info) == 0 &&
             (uint64_t)info.st_size == file->size;
    }
    return ok;
}

static bool record_write(struct pull *pull, struct error *err) {
    struct json *root = json_new_object();
    struct buf text = {0};
    json_add_string(root, "id", pull->options->name);
    json_add_string(root, "revision", pull->revision);
    json_add_string(root, "commit", pull->listing.commit);
    json_print(root, &text);
    buf_text(&text, "\n");
    bool ok = file_write_atomic(arena_format(&pull->arena, "%s/%s", pull->part, RECORD_NAME),
                                text.data, text.len, err);
    json_release(root);
    buf_done(&text);
    return ok;
}

/* ID.part as an earlier pull of the same commit left it, or a new one. */
static bool open_part(struct pull *pull, struct error *err) {
    if (!record_matches(pull, pull->part))
        remove_tree(pull->part);
    return file_make_folder(pull->part, err) && record_write(pull, err);
}

/* Better said before hours of download than after. What is there already is counted as free. */
static bool check_space(struct pull *pull, struct error *err) {
    const double gibibyte = 1024.0 * 1024.0 * 1024.0;
    struct statvfs disk;
    uint64_t there = 0;
    for (size_t i = 0; i < pull->listing.files_n; i++) {
        struct stat info;
        const char *path =
            arena_format(&pull->arena, "%s/%s", pull->part, pull->listing.files[i].name);
        if (stat(path, &info) == 0 || stat(arena_format(&pull->arena, "%s.part", path), &info) == 0)
            there += (uint64_t)info.st_size;
    }
    if (statvfs(pull->part, &disk) != 0)
        return error_set_errno(err, "%s", pull->part);
    uint64_t wanted = pull->listing.bytes > there ? pull->listing.bytes - there : 0;
    uint64_t room = (uint64_t)disk.f_bavail * disk.f_frsize;
    return wanted <= room ||
           error_set(err, ERROR_IO, "%s: needs %.2f GiB more, the disk has %.2f GiB free",
                     pull->part, (double)wanted / gibibyte, (double)room / gibibyte);
}

/* One rename; where a model of that name is, the two change places and the old one goes. */
static bool publish(struct pull *pull, struct error *err) {
    char *parent = arena_text(&pull->arena, pull->folder, strlen(pull->folder));
    *strrchr(parent, '/') = '\0';
    if (!file_sync_folder(pull->part, err))
        return false;
    bool replaces = file_exists(pull->folder);
    unsigned flags = replaces ? RENAME_EXCHANGE : RENAME_NOREPLACE;
    if (renameat2(AT_FDCWD, pull->part, AT_FDCWD, pull->folder, flags) != 0)
        return error_set_errno(err, "%s: renaming to %s", pull->part, pull->folder);
    if (replaces)
        remove_tree(pull->part);
    return file_sync_folder(parent, err);
}

/* ---- the network ---- */

static void tell(struct pull *pull, uint64_t bytes, const char *trouble) {
    pull->progress.bytes = pull->bytes_before + bytes;
    pull->progress.trouble = trouble;
    if (pull->options->progress)
        pull->options->progress(pull->options->context, &pull->progress);
}

static void on_fetch(void *context, uint64_t bytes, const char *trouble) {
    tell(context, bytes, trouble);
}

static bool fetch_listing(struct pull *pull, struct error *err) {
    struct buf json = {0};
    char *revision = http_escape(pull->revision, "");
    const struct fetch fetch = {
        .client = pull->client,
        .url = arena_format(&pull->arena, "%s/api/models/%s/revision/%s?blobs=true", pull->endpoint,
                            pull->options->name, revision),
        .retries_max = pull->options->retries_max,
        .on_bytes = on_fetch,
        .context = pull,
    };
    free(revision);
    pull->progress.file = "the list of files";
    bool ok =
        fetch_text(&fetch, LISTING_BYTES_MAX, &json, err) &&
        listing_parse(json.data ? json.data : "", json.len, &pull->arena, &pull->listing, err);
    buf_done(&json);
    pull->progress.files_n = pull->listing.files_n;
    pull->progress.bytes_total = pull->listing.bytes;
    return ok;
}

static bool fetch_one(struct pull *pull, size_t i, struct error *err) {
    const struct listing_file *file = &pull->listing.files[i];
    char *name = http_escape(file->name, "/");
    const struct fetch fetch = {
        .client = pull->client,
        .url = arena_format(&pull->arena, "%s/%s/resolve/%s/%s", pull->endpoint,
                            pull->options->name, pull->listing.commit, name),
        .retries_max = pull->options->retries_max,
        .on_bytes = on_fetch,
        .context = pull,
    };
    const char *path = arena_format(&pull->arena, "%s/%s", pull->part, file->name);
    free(name);
    pull->progress.file = file->name;
    pull->progress.file_i = i;
    bool ok = make_parent(path, &pull->arena, err) &&
              fetch_file(&fetch, file, path, &pull->fetched_bytes, err);
    pull->bytes_before += file->size;
    return ok || error_wrap(err, "%s: ", file->name);
}

static bool fetch_all(struct pull *pull, struct error *err) {
    for (size_t i = 0; i < pull->listing.files_n; i++)
        if (!fetch_one(pull, i, err))
            return false;
    tell(pull, 0, NULL);
    return true;
}

/* ---- hub_pull.h ---- */

static void fill_result(const struct pull *pull, bool was_there, struct hub_pull_result *out) {
    *out = (struct hub_pull_result){
        .files_n = pull->listing.files_n,
        .bytes = pull->listing.bytes,
        .fetched_bytes = pull->fetched_bytes,
        .was_there = was_there,
    };
    snprintf(out->where, sizeof out->where, "%s", pull->folder);
    memcpy(out->commit, pull->listing.commit, sizeof out->commit);
}

bool hub_pull(const struct hub_pull_options *options, struct hub_pull_result *out,
              struct error *err) {
    struct pull pull = {.options = options, .lock = -1};
    bool was_there = false;
    bool ok = pull_prepare(&pull, err) && pull_lock(&pull, err) && fetch_listing(&pull, err);
    if (ok && is_whole(&pull))
        was_there = true;
    else if (ok)
        ok = open_part(&pull, err) && check_space(&pull, err) && fetch_all(&pull, err) &&
             publish(&pull, err);
    if (ok)
        fill_result(&pull, was_there, out);
    else
        error_wrap(err, "model \"%s\": ", options->name);
    pull_unlock(&pull);
    http_close(pull.client);
    arena_done(&pull.arena);
    return ok;
}
