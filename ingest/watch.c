#include "ingest/watch.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#include "engine/base/buf.h"
#include "engine/base/mem.h"

enum {
    DEPTH_MAX = 64, /* as walk.c */
    SETTLES_MAX = 10,
};

/* One watched folder. Freed by its close callback: the handle is libuv's until then. */
struct folder {
    uv_fs_event_t handle; /* first: a handle is its folder */
    struct watch *watch;
    char *path;
    dev_t device;
    ino_t inode;
    bool seen;        /* in the look at hand */
    bool may_be_gone; /* and another one have its name */
};

struct watch {
    uv_loop_t loop;
    uv_timer_t timer;
    uv_signal_t signals[2];
    struct folder **folders; /* [folders_n] by path */
    size_t folders_n, folders_cap, folders_max, sorted_n;
    bool changed, timed_out, ended;
};

/* ---- what libuv calls ---- */

static void on_change(uv_fs_event_t *handle, const char *name, int events, int status) {
    struct folder *folder = (struct folder *)handle;
    const char *slash = strrchr(folder->path, '/');
    (void)status; /* an error is a change, too: somebody should look */
    folder->watch->changed = true;
    /* What befalls the folder itself comes under its own name. A new one in its place may well have
     * the same inode. */
    if (name && (events & UV_RENAME) && strcmp(name, slash ? slash + 1 : folder->path) == 0)
        folder->may_be_gone = true;
}

/* Timers come first in a round of the loop: without uv_stop it would go on to wait for files. */
static void on_timer(uv_timer_t *timer) {
    ((struct watch *)timer->data)->timed_out = true;
    uv_stop(timer->loop);
}

static void on_signal(uv_signal_t *handle, int number) {
    (void)number;
    ((struct watch *)handle->data)->ended = true;
}

static void on_folder_closed(uv_handle_t *handle) {
    struct folder *folder = (struct folder *)handle;
    free(folder->path);
    free(folder);
}

/* ---- open and close ---- */

bool watch_open(size_t folders_max, struct watch **out, struct error *err) {
    static const int numbers[] = {SIGINT, SIGTERM};
    struct watch *watch = mem_zalloc(1, sizeof *watch);
    int failed = uv_loop_init(&watch->loop);
    if (failed) {
        free(watch);
        return error_set(err, ERROR_IO, "no event loop: %s", uv_strerror(failed));
    }
    watch->folders_max = folders_max;
    uv_timer_init(&watch->loop, &watch->timer);
    watch->timer.data = watch;
    for (size_t i = 0; i < 2; i++) {
        uv_signal_init(&watch->loop, &watch->signals[i]);
        watch->signals[i].data = watch;
        uv_signal_start(&watch->signals[i], on_signal, numbers[i]);
    }
    *out = watch;
    return true;
}

void watch_close(struct watch *watch) {
    if (!watch)
        return;
    for (size_t i = 0; i < watch->folders_n; i++)
        uv_close((uv_handle_t *)&watch->folders[i]->handle, on_folder_closed);
    uv_close((uv_handle_t *)&watch->timer, NULL);
    for (size_t i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&watch->signals[i], NULL);
    uv_run(&watch->loop, UV_RUN_DEFAULT);
    uv_loop_close(&watch->loop);
    free(watch->folders);
    free(watch);
}

/* ---- folders ---- */

static int by_path(const void *a, const void *b) {
    return strcmp((*(struct folder *const *)a)->path, (*(struct folder *const *)b)->path);
}

/* Among those that were there before the look at hand. */
static struct folder *find(const struct watch *watch, const char *path) {
    struct folder wanted = {.path = (char *)path}, *key = &wanted;
    struct folder **found = watch->sorted_n ? bsearch(&key, watch->folders, watch->sorted_n,
                                                      sizeof *watch->folders, by_path)
                                            : NULL;
    return found ? *found : NULL;
}

static bool too_many(const struct watch *watch, const char *why, struct error *err) {
    return error_set(err, ERROR_LIMIT, "only %zu folders could be watched: %s", watch->folders_n,
                     why);
}

static bool start(struct watch *watch, const char *path, const struct stat *info,
                  struct error *err) {
    if (watch->folders_n == watch->folders_max)
        return too_many(watch, "there are more", err);
    struct folder *folder = mem_zalloc(1, sizeof *folder);
    folder->watch = watch;
    folder->path = mem_strdup(path);
    folder->device = info->st_dev;
    folder->inode = info->st_ino;
    folder->seen = true;
    uv_fs_event_init(&watch->loop, &folder->handle);
    int failed = uv_fs_event_start(&folder->handle, on_change, path, 0);
    if (failed) {
        uv_close((uv_handle_t *)&folder->handle, on_folder_closed);
        watch->changed |= failed == UV_ENOENT; /* it went this moment */
        if (failed == UV_ENOSPC || failed == UV_EMFILE || failed == UV_ENFILE)
            return too_many(watch, "fs.inotify.max_user_watches (sysctl) allows no more", err);
        return true; /* one that cannot be read is not watched */
    }
    if (watch->folders_n == watch->folders_cap) {
        watch->folders_cap = watch->folders_cap ? 2 * watch->folders_cap : 64;
        watch->folders = mem_realloc(watch->folders, watch->folders_cap, sizeof *watch->folders);
    }
    watch->folders[watch->folders_n++] = folder;
    return true;
}

/* A folder that was deleted and made again has another inode, and needs another watch. */
static bool look_at(struct watch *watch, const char *path, int depth, struct error *err) {
    struct stat info;
    struct folder *folder = find(watch, path);
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return true;
    if (folder && !folder->seen && !folder->may_be_gone && folder->device == info.st_dev &&
        folder->inode == info.st_ino)
        folder->seen = true;
    else if ((!folder || !folder->seen) && !start(watch, path, &info, err))
        return false;
    DIR *dir = depth < DEPTH_MAX ? opendir(path) : NULL;
    bool ok = true;
    for (struct dirent *entry; dir && ok && (entry = readdir(dir));) {
        struct buf inner = {0};
        struct stat link;
        if (entry->d_name[0] == '.' || (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
            continue;
        buf_format(&inner, "%s/%s", path, entry->d_name);
        if (lstat(inner.data, &link) == 0 && S_ISDIR(link.st_mode))
            ok = look_at(watch, inner.data, depth + 1, err);
        buf_done(&inner);
    }
    if (dir)
        closedir(dir);
    return ok;
}

/* The folder of a file, and nothing below. */
static bool look_at_file(struct watch *watch, const char *path, struct error *err) {
    const char *slash = strrchr(path, '/');
    char *parent = slash ? mem_strdup(path) : mem_strdup(".");
    struct stat info;
    if (slash)
        parent[slash == path ? 1 : slash - path] = '\0';
    struct folder *folder = find(watch, parent);
    bool ok = true;
    if (folder && !folder->may_be_gone)
        folder->seen = true;
    else if (stat(parent, &info) == 0 && S_ISDIR(info.st_mode))
        ok = start(watch, parent, &info, err);
    free(parent);
    return ok;
}

static void stop_unseen(struct watch *watch) {
    size_t n = 0;
    for (size_t i = 0; i < watch->folders_n; i++) {
        struct folder *folder = watch->folders[i];
        if (folder->seen)
            watch->folders[n++] = folder;
        else
            uv_close((uv_handle_t *)&folder->handle, on_folder_closed);
    }
    watch->folders_n = n;
}

bool watch_folders(struct watch *watch, const char *const *paths, size_t paths_n,
                   struct error *err) {
    bool ok = true;
    uv_run(&watch->loop, UV_RUN_NOWAIT); /* what is known of them by now */
    for (size_t i = 0; i < watch->folders_n; i++)
        watch->folders[i]->seen = false;
    watch->sorted_n = watch->folders_n;
    for (size_t i = 0; ok && i < paths_n; i++) {
        struct stat info;
        char *path = mem_strdup(paths[i]);
        for (size_t len = strlen(path); len > 1 && path[len - 1] == '/';)
            path[--len] = '\0';
        bool is_file = stat(path, &info) == 0 && !S_ISDIR(info.st_mode);
        ok = is_file ? look_at_file(watch, path, err) : look_at(watch, path, 0, err);
        free(path);
    }
    if (ok) /* else what was not looked at is not gone */
        stop_unseen(watch);
    if (watch->folders_n)
        qsort(watch->folders, watch->folders_n, sizeof *watch->folders, by_path);
    uv_run(&watch->loop, UV_RUN_NOWAIT);
    return ok;
}

size_t watch_folders_n(const struct watch *watch) {
    return watch->folders_n;
}

/* ---- waiting ---- */

/* True: something changed. */
static bool wait_once(struct watch *watch, int ms) {
    watch->timed_out = false;
    uv_update_time(&watch->loop); /* a timer counts from the loop's time, which may be old */
    uv_timer_start(&watch->timer, on_timer, (uint64_t)ms, 0);
    while (!watch->changed && !watch->timed_out && !watch->ended)
        uv_run(&watch->loop, UV_RUN_ONCE);
    uv_timer_stop(&watch->timer);
    bool changed = watch->changed;
    watch->changed = false;
    return changed;
}

enum watch_event watch_wait(struct watch *watch, int settle_ms, int timeout_ms) {
    bool changed = wait_once(watch, timeout_ms);
    uint64_t began_ms = uv_now(&watch->loop), longest_ms = (uint64_t)settle_ms * SETTLES_MAX;
    while (changed && !watch->ended && uv_now(&watch->loop) - began_ms < longest_ms &&
           wait_once(watch, settle_ms))
        ;
    if (watch->ended)
        return WATCH_ENDED;
    return changed ? WATCH_CHANGED : WATCH_TIMEOUT;
}
