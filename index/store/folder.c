#include "index/store/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "index/store/lock.h"

enum { COPY_BYTES = 1 << 20 };

/* ---- what an index's folder holds ---- */

static bool is_generation(const char *name) {
    char *end;
    strtoull(name, &end, 10);
    if (end == name || strncmp(end, ".lists", 6) != 0)
        return end != name && strcmp(end, ".faiss") == 0; /* formats 1 and 2 */
    end += 6;
    end += strspn(end, ".0123456789"); /* of the process that was making it */
    return *end == '\0' || strcmp(end, "tmp") == 0;
}

static bool is_ours(const char *name, bool in_dense) {
    return in_dense ? is_generation(name)
                    : strcmp(name, "data.mdb") == 0 || strcmp(name, FOLDER_DAMAGED) == 0 ||
                          strcmp(name, "lock.mdb") == 0 || strcmp(name, "writer.lock") == 0 ||
                          strcmp(name, "dense") == 0;
}

static bool join(char out[PATH_MAX], const char *folder, const char *name, struct error *err) {
    if (snprintf(out, PATH_MAX, "%s/%s", folder, name) < PATH_MAX)
        return true;
    return error_set(err, ERROR_LIMIT, "%.200s...: path too long", folder);
}

/* ERROR_INVALID when something else lies there too. A folder that is not there holds nothing. */
static bool only_ours(const char *folder, bool in_dense, struct error *err) {
    char dense[PATH_MAX];
    DIR *dir = opendir(folder);
    if (!dir)
        return errno == ENOENT || error_set_errno(err, "%s", folder);
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            !is_ours(entry->d_name, in_dense))
            ok = error_set(err, ERROR_INVALID,
                           "%s: holds \"%s\", which is no file of an index; move it away first",
                           folder, entry->d_name);
    closedir(dir);
    return ok && (in_dense || (join(dense, folder, "dense", err) && only_ours(dense, true, err)));
}

/* Removes an index's files and then the folder, if it is empty then. */
static void remove_ours(const char *folder, bool in_dense) {
    struct error ignored;
    char dense[PATH_MAX];
    DIR *dir = opendir(folder);
    if (!dir)
        return;
    if (!in_dense && join(dense, folder, "dense", &ignored))
        remove_ours(dense, true);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (is_ours(entry->d_name, in_dense))
            unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    rmdir(folder);
}

/* ---- begin ---- */

/* parent, target and making, from the target's name as a person wrote it. */
static bool resolve(const char *name, struct folder *folder, struct error *err) {
    char whole[PATH_MAX], *slash;
    if (snprintf(whole, sizeof whole, "%s", name) >= PATH_MAX)
        return error_set(err, ERROR_LIMIT, "%.200s...: path too long", name);
    for (size_t len = strlen(whole); len > 1 && whole[len - 1] == '/'; len--)
        whole[len - 1] = '\0';
    if (realpath(whole, folder->target)) {
        slash = strrchr(folder->target, '/');
        snprintf(folder->parent, PATH_MAX, "%.*s", (int)(slash - folder->target), folder->target);
    } else {
        slash = strrchr(whole, '/');
        if (slash)
            *slash = '\0';
        if (!realpath(slash ? whole : ".", folder->parent))
            return error_set_errno(err, "%s", slash ? whole : ".");
        if (!join(folder->target, folder->parent, slash ? slash + 1 : whole, err))
            return false;
    }
    slash = strrchr(folder->target, '/');
    if (slash[1] == '\0')
        return error_set(err, ERROR_INVALID, "%s: cannot be an index", name);
    if (snprintf(whole, sizeof whole, ".%s.making", slash + 1) >= NAME_MAX)
        return error_set(err, ERROR_LIMIT, "%s: name too long", name);
    return join(folder->making, folder->parent, whole, err);
}

static bool lock_making(struct folder *folder, struct error *err) {
    char path[PATH_MAX];
    if (!join(path, folder->making, "writer.lock", err))
        return false;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return error_set_errno(err, "%s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        folder->lock = fd;
        return true;
    }
    bool busy = errno == EWOULDBLOCK;
    if (!busy)
        error_set_errno(err, "%s", path);
    close(fd);
    return busy ? error_set(err, ERROR_BUSY, "%s: somebody else is making it", folder->target)
                : false;
}

/* The hidden folder, empty but for its lock, though a killed making had left it full. */
static bool make_making(struct folder *folder, struct error *err) {
    static const char *const left[] = {"data.mdb", "lock.mdb"};
    char path[PATH_MAX];
    struct stat old;
    if ((mkdir(folder->making, 0777) != 0 && errno != EEXIST))
        return error_set_errno(err, "%s", folder->making);
    if (!lock_making(folder, err) || !join(path, folder->making, "dense", err))
        return false;
    remove_ours(path, true);
    for (size_t i = 0; i < sizeof left / sizeof *left; i++)
        if (!join(path, folder->making, left[i], err) ||
            (unlink(path) != 0 && errno != ENOENT && !error_set_errno(err, "%s", path)))
            return false;
    if (stat(folder->target, &old) == 0 && chmod(folder->making, old.st_mode & 07777) != 0)
        return error_set_errno(err, "%s", folder->making);
    return true;
}

bool folder_begin(const char *target, bool replace, struct folder *out, struct error *err) {
    struct folder *folder = mem_zalloc(1, sizeof *folder);
    folder->lock = -1;
    bool ok = resolve(target, folder, err);
    if (ok && file_exists(folder->target))
        ok = replace ? only_ours(folder->target, false, err)
                     : error_set(err, ERROR_INVALID,
                                 "%s: is there already; it gives way only with --force", target);
    ok = ok && make_making(folder, err);
    if (ok)
        *out = *folder;
    else if (folder->lock >= 0)
        close(folder->lock);
    free(folder);
    return ok;
}

/* ---- locks ---- */

bool folder_lock_target(const struct folder *folder, int *fd_out, struct error *err) {
    char path[PATH_MAX];
    *fd_out = -1;
    if (!file_exists(folder->target))
        return true;
    if (!join(path, folder->target, "writer.lock", err))
        return false;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return error_set_errno(err, "%s", path);
    if (lock_take(fd)) {
        *fd_out = fd;
        return true;
    }
    if (errno != EWOULDBLOCK)
        error_set_errno(err, "%s", path);
    else
        error_set(err, ERROR_BUSY, "%s: another process is writing to this index; stop it first",
                  folder->target);
    close(fd);
    return false;
}

void folder_release(struct folder *folder) {
    close(folder->lock);
    folder->lock = -1;
}

bool folder_retake(struct folder *folder, struct error *err) {
    return lock_making(folder, err);
}

/* ---- place, end ---- */

static bool sync_made(const struct folder *folder, struct error *err) {
    char dense[PATH_MAX];
    return join(dense, folder->making, "dense", err) &&
           (!file_is_folder(dense) || file_sync_folder(dense, err)) &&
           file_sync_folder(folder->making, err);
}

bool folder_place(struct folder *folder, struct error *err) {
    if (!sync_made(folder, err))
        return false;
    if (renameat2(AT_FDCWD, folder->making, AT_FDCWD, folder->target, RENAME_NOREPLACE) != 0 &&
        (errno != EEXIST ||
         renameat2(AT_FDCWD, folder->making, AT_FDCWD, folder->target, RENAME_EXCHANGE) != 0))
        return error_set_errno(err, "%s: putting %s in its place", folder->target, folder->making);
    /* After an exchange what was at the target is called `making`; folder_end removes it. */
    return file_sync_folder(folder->parent, err);
}

/* An empty folder takes its place and goes then; its lock is held meanwhile, so nobody makes an
 * index of it in between. A kill leaves an empty folder, which is none. */
bool folder_discard(const char *target, struct error *err) {
    struct folder folder = {.lock = -1};
    struct error ignored;
    if (!folder_begin(target, true, &folder, err))
        return false;
    bool ok = file_exists(folder.target) && folder_place(&folder, err);
    remove_ours(folder.making, false); /* the old one, now of that name */
    if (ok) {
        remove_ours(folder.target, false);
        file_sync_folder(folder.parent, &ignored); /* an empty folder that comes back is no harm */
    }
    folder_end(&folder);
    return ok;
}

void folder_end(struct folder *folder) {
    if (folder->making[0] == '\0')
        return;
    if (folder->lock >= 0) {
        remove_ours(folder->making, false);
        close(folder->lock);
    }
    *folder = (struct folder){.lock = -1};
}

/* ---- files ---- */

static bool write_all(int file, const char *bytes, size_t len) {
    while (len > 0) {
        ssize_t n = write(file, bytes, len);
        if (n < 0 && errno != EINTR)
            return false;
        bytes += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool copy_bytes(int from, int to, const char *path, struct error *err) {
    char *bytes = mem_alloc(COPY_BYTES, 1);
    ssize_t got = 1;
    bool ok = true;
    while (ok && got != 0) {
        got = read(from, bytes, COPY_BYTES);
        ok = got < 0 ? errno == EINTR : write_all(to, bytes, (size_t)got);
    }
    ok = (ok && fsync(to) == 0) || error_set_errno(err, "%s: copying", path);
    free(bytes);
    return ok;
}

bool folder_copy_file(const char *from, const char *to, struct error *err) {
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return error_set_errno(err, "%s", from);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    bool ok = out >= 0 ? copy_bytes(in, out, to, err) : error_set_errno(err, "%s", to);
    if (out >= 0 && close(out) != 0 && ok)
        ok = error_set_errno(err, "%s", to);
    close(in);
    return ok;
}
