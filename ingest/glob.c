#include "ingest/glob.h"

#include <stddef.h>
#include <string.h>

/* "[a-z]", "[!x]": does it hold c? *after: behind its bracket. A bracket that never closes is a
 * character like any other. */
static bool class_holds(const char *class, unsigned char c, const char **after) {
    const unsigned char *at = (const unsigned char *)class + 1;
    bool negated = *at == '!' || *at == '^', found = false;
    at += negated;
    for (bool first = true; *at && (first || *at != ']'); first = false) {
        unsigned char low = *at, high = low;
        if (at[1] == '-' && at[2] && at[2] != ']') {
            high = at[2];
            at += 2;
        }
        found |= c >= low && c <= high;
        at++;
    }
    if (!*at) {
        *after = class + 1;
        return c == '[';
    }
    *after = (const char *)at + 1;
    return found != negated;
}

/* One character of the path against one of the pattern. */
static bool one_matches(const char *pattern, char c, const char **after) {
    *after = pattern + 1;
    if (*pattern == '?')
        return c != '/';
    if (*pattern == '[')
        return class_holds(pattern, (unsigned char)c, after) && c != '/';
    if (*pattern == '\\' && pattern[1])
        *after = ++pattern + 1;
    return *pattern == c;
}

/* The whole path. A star is tried with ever more of the path, the last one first; of the stars
 * before it only the last `**` can still help where a slash stopped a `*`, so two places to go back
 * to are enough. */
static bool matches(const char *pattern, const char *path) {
    const char *const begin = pattern;
    const char *star = NULL, *star_path = NULL, *stars = NULL, *stars_path = NULL, *after;
    bool folders = false;
    for (;;) {
        if (pattern[0] == '*' && pattern[1] == '*') {
            /* Between slashes: any folders, or none, so what follows begins where one does. */
            folders = pattern[2] == '/' && (pattern == begin || pattern[-1] == '/');
            pattern += folders ? 3 : 2;
            stars = pattern;
            stars_path = path;
            star = NULL;
        } else if (*pattern == '*') {
            star = ++pattern;
            star_path = path;
        } else if (*path && *pattern && one_matches(pattern, *path, &after)) {
            pattern = after;
            path++;
        } else if (!*path && !*pattern) {
            return true;
        } else if (star && *star_path && *star_path != '/') {
            pattern = star;
            path = ++star_path;
        } else if (stars && *stars_path) {
            stars_path += folders ? strcspn(stars_path, "/") : 1;
            if (folders && !*stars_path++)
                return false;
            pattern = stars;
            path = stars_path;
            star = NULL;
        } else {
            return false;
        }
    }
}

bool glob_matches(const char *pattern, const char *path, bool is_folder) {
    char inner[4096];
    size_t len = strlen(pattern);
    if (len == 0 || len >= sizeof inner)
        return false;
    memcpy(inner, pattern, len + 1);
    if (inner[len - 1] == '/') {
        if (!is_folder)
            return false;
        inner[--len] = '\0';
    }
    if (!strchr(inner, '/')) {
        const char *slash = strrchr(path, '/');
        return matches(inner, slash ? slash + 1 : path);
    }
    return matches(inner[0] == '/' ? inner + 1 : inner, path);
}
