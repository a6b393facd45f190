#include "engine/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bool file_map_open(const char *path, struct file_map *out, struct error *err) {
    bool ok = false;
    struct stat info;
    struct file_map map = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, "%s", path);
    if (fstat(fd, &info) != 0) {
        error_set_errno(err, "%s", path);
        goto out;
    }
    if (!S_ISREG(info.st_mode)) {
        error_set(err, ERROR_INVALID, "%s: not a regular file", path);
        goto out;
    }
    map.len = (size_t)info.st_size;
    if (map.len > 0) {
        void *data = mmap(NULL, map.len, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            error_set_errno(err, "%s: cannot map %zu bytes", path, map.len);
            goto out;
        }
        map.data = data;
    }
    *out = map;
    ok = true;
out:
    close(fd);
    return ok;
}

void file_map_close(struct file_map *map) {
    if (map->data)
        munmap((void *)(uintptr_t)map->data, map->len);
    *map = (struct file_map){0};
}

bool file_read(const char *path, size_t bytes_max, struct buf *out, struct error *err) {
    struct file_map map = {0};
    if (!file_map_open(path, &map, err))
        return false;
    bool ok = map.len <= bytes_max;
    if (ok)
        buf_append(out, map.data, map.len);
    else
        error_set(err, ERROR_LIMIT, "%s: %zu bytes, at most %zu are read", path, map.len,
                  bytes_max);
    file_map_close(&map);
    return ok;
}

static bool write_all(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

bool file_write_atomic(const char *path, const void *data, size_t len, struct error *err) {
    char temporary[PATH_MAX], folder[PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s.tmp", path) >= (int)sizeof temporary)
        return error_set(err, ERROR_LIMIT, "%s: path too long", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_set_errno(err, "%s", temporary);
    bool ok = write_all(fd, data, len) && fsync(fd) == 0;
    if (!ok)
        error_set_errno(err, "%s: writing %zu bytes", temporary, len);
    close(fd);
    if (ok && rename(temporary, path) != 0)
        ok = error_set_errno(err, "%s: renaming to %s", temporary, path);
    if (!ok) {
        unlink(temporary);
        return false;
    }
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0'; /* "/name" lies in "/" */
    return file_sync_folder(slash ? folder : ".", err);
}

bool file_sync_folder(const char *folder, struct error *err) {
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, "%s", folder);
    bool ok = fsync(fd) == 0;
    if (!ok)
        error_set_errno(err, "%s: fsync", folder);
    close(fd);
    return ok;
}

bool file_make_folder(const char *folder, struct error *err) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s", folder) >= (int)sizeof path)
        return error_set(err, ERROR_LIMIT, "%s: path too long", folder);
    for (char *at = path + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char held = *at;
        *at = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return error_set_errno(err, "%s: cannot make the folder", path);
        *at = held;
        if (held == '\0')
            break;
    }
    if (!file_is_folder(folder))
        return error_set(err, ERROR_IO, "%s: exists and is not a folder", folder);
    return true;
}

bool file_exists(const char *path) {
    return access(path, F_OK) == 0;
}

bool file_is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}
