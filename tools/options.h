/* options.h - a command's words: its options as a table, parsed and explained from the same place.
 *
 * `--name value`, `--name=value`, a short letter where the table gives one; "--" ends the options.
 * A wrong word is wrong usage (exit status 2), reported with the line to type instead. */
#ifndef TERCET_OPTIONS_H
#define TERCET_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

enum option_kind {
    OPTION_FLAG,   /* target: bool */
    OPTION_TEXT,   /* target: const char * */
    OPTION_NUMBER, /* target: uint32_t, within [min, max] */
    OPTION_TEXTS,  /* target: struct option_texts; may be given again */
};

enum { OPTION_TEXTS_MAX = 64 };
struct option_texts {
    const char *items[OPTION_TEXTS_MAX];
    size_t n;
};

struct option {
    const char *name; /* without "--" */
    enum option_kind kind;
    void *target;
    const char *argument; /* "N", "FILE"; NULL for flags */
    const char *help;
    uint32_t min, max;
    char letter; /* 0: none */
};

struct command {
    const char *name;
    const char *arguments; /* "INDEX QUERY" */
    const char *summary;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
};

/* The table ends with an option without a name. On success the words that are no options stand at
 * argv[0 .. *words_n_out). Returns -1 to go on, or an exit status: --help prints the help and gives
 * EXIT_DONE; wrong usage prints what is wrong and gives EXIT_USAGE. */
int options_parse(const struct command *command, const struct option *table, int argc, char **argv,
                  size_t *words_n_out);

/* For what the table cannot check: prints the message and how to get help; EXIT_USAGE. */
int options_wrong(const struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints the error on stderr; EXIT_FAILED. */
int command_failed(const struct error *err);

#endif
