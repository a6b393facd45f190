/* Patterns against paths, and against a slow matcher that tries every way. */
#include "ingest/glob.h"

#include "tests/check.h"

static void patterns_that_people_write(void) {
    static const struct {
        const char *pattern, *path;
        bool is_folder, expected;
    } cases[] = {
        {"*.md", "a.md", false, true},
        {"*.md", "sub/deep/a.md", false, true},
        {"*.md", "a.mdx", false, false},
        {"notes/*.md", "notes/a.md", false, true},
        {"notes/*.md", "sub/notes/a.md", false, false},
        {"notes/*.md", "notes/sub/a.md", false, false},
        {"/a.md", "a.md", false, true},
        {"/a.md", "sub/a.md", false, false},
        {"drafts/", "sub/drafts", true, true},
        {"drafts/", "drafts", false, false},
        {"drafts", "drafts", true, true},
        {"docs/**/x.txt", "docs/x.txt", false, true},
        {"docs/**/x.txt", "docs/a/b/x.txt", false, true},
        {"docs/**/x.txt", "docs/ax.txt", false, false},
        {"docs/**/x.txt", "docs/a/bx.txt", false, false},
        {"**/x.txt", "a/x.txt", false, true},
        {"**/x.txt", "ax.txt", false, false},
        {"docs/a**/x.txt", "docs/abx.txt", false, false},
        {"docs/a**/x.txt", "docs/ab/c/x.txt", false, true},
        {"docs/**", "docs/a/b/x.txt", false, true},
        {"docs/**", "docs", true, false},
        {"**/build/*.log", "a/b/build/x.log", false, true},
        {"?.txt", "a.txt", false, true},
        {"a?b", "a/b", false, false},
        {"[a-c]*.txt", "bad.txt", false, true},
        {"[!a-c]*.txt", "bad.txt", false, false},
        {"[]x].t", "].t", false, true},
        {"[", "[", false, true},
        {"\\*.c", "*.c", false, true},
        {"\\*.c", "x.c", false, false},
        {"", "a", false, false},
        {"a*b*c", "aXbYbZc", false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool found = glob_matches(cases[i].pattern, cases[i].path, cases[i].is_folder);
        CHECK_EQUAL(found, cases[i].expected);
        if (found != cases[i].expected)
            fprintf(stderr, "  \"%s\" on \"%s\"\n", cases[i].pattern, cases[i].path);
    }
}

/* Tries every length of every star; before: what stands in front of the pattern. */
static bool slow(char before, const char *pattern, const char *path) {
    if (pattern[0] == '*' && pattern[1] == '*' && pattern[2] == '/' && before == '/') {
        for (const char *at = path;; at++)
            if ((at == path || at[-1] == '/') && slow('/', pattern + 3, at))
                return true;
            else if (!*at)
                return false;
    }
    if (*pattern == '*') {
        bool any = pattern[1] == '*';
        for (const char *at = path;; at++)
            if (slow('*', pattern + 1 + any, at))
                return true;
            else if (!*at || (*at == '/' && !any))
                return false;
    }
    if (!*pattern || !*path)
        return !*pattern && !*path;
    return (*pattern == '?' ? *path != '/' : *pattern == *path) &&
           slow(*pattern, pattern + 1, path + 1);
}

static void random_patterns_as_the_slow_matcher(void) {
    unsigned long long state = 7;
    int matched = 0;
    for (int round = 0; round < 200000; round++) {
        char pattern[10] = "x/", path[12];
        size_t n = 2 + check_random(&state) % 6, len = check_random(&state) % 10;
        pattern[0] = "/ab"[check_random(&state) % 3];
        for (size_t i = 1; i < n; i++)
            pattern[i] = "ab/**?"[check_random(&state) % 6];
        pattern[n++] = 'a'; /* not a slash, which means a folder */
        pattern[n] = '\0';
        for (size_t i = 0; i < len; i++)
            path[i] = "ab/"[check_random(&state) % 3];
        path[len] = '\0';
        const char *slash = strrchr(path, '/');
        bool expected = !strchr(pattern, '/') ? slow('/', pattern, slash ? slash + 1 : path)
                                              : slow('/', pattern + (pattern[0] == '/'), path);
        bool found = glob_matches(pattern, path, false);
        CHECK_EQUAL(found, expected);
        matched += found;
        if (found != expected)
            fprintf(stderr, "  \"%s\" on \"%s\"\n", pattern, path);
    }
    CHECK(matched > 1000);
}

/* A matcher that tries every way would need longer than the universe has been there. */
static void stars_do_not_multiply(void) {
    char path[4001], pattern[201];
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    for (size_t i = 0; i + 2 < sizeof pattern; i += 2)
        memcpy(pattern + i, "*a", 2);
    memcpy(pattern + sizeof pattern - 3, "*b", 3);
    CHECK(!glob_matches(pattern, path, false));
    for (size_t i = 0; i + 4 < sizeof pattern; i += 4)
        memcpy(pattern + i, "**a/", 4);
    CHECK(!glob_matches(pattern, path, false));
}

int main(void) {
    patterns_that_people_write();
    random_patterns_as_the_slow_matcher();
    stars_do_not_multiply();
    return check_result();
}
