/* tercet export - every document of an index as a line of JSON. */
#include <stdio.h>

#include "index/care/export.h"
#include "tools/commands.h"

static bool print_line(void *context, const char *line, size_t len, struct error *err) {
    (void)context;
    if (fwrite(line, 1, len, stdout) == len && putchar('\n') != EOF)
        return true;
    return error_set_errno(err, "standard output");
}

static int run(int argc, char **argv) {
    bool json = false, vectors = false;
    const struct option table[] = {
        {"vectors", OPTION_FLAG, &vectors, NULL,
         "token vectors as numbers, for other programs (default: their codes)", 0, 0, 0},
        {"json", OPTION_FLAG, &json, NULL, "JSON lines, as without it", 0, 0, 0},
        {0},
    };
    struct error err;
    struct index *index = NULL;
    size_t words_n;
    int status = options_parse(&command_export, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n != 1)
        return options_wrong(&command_export, "one index is needed, found %zu words", words_n);
    bool ok = index_open(argv[0], INDEX_READ, &index, &err) &&
              index_export(index, vectors, print_line, NULL, &err) &&
              (fflush(stdout) == 0 || error_set_errno(&err, "standard output"));
    index_close(index);
    return ok ? EXIT_DONE : command_failed(&err);
}

const struct command command_export = {"export", "INDEX",
                                       "documents and their vectors as JSON lines", run};
