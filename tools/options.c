#include "tools/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_help(const struct command *command, const struct option *table) {
    printf("tercet %s: %s\n\nusage: tercet %s [options] %s\n\noptions:\n", command->name,
           command->summary, command->name, command->arguments);
    for (const struct option *option = table; option->name; option++) {
        char left[64];
        char letter[8] = "";
        if (option->letter)
            snprintf(letter, sizeof letter, "-%c, ", option->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name, option->argument ? " " : "",
                 option->argument ? option->argument : "");
        printf("  %-26s %s\n", left, option->help);
    }
    printf("  %-26s %s\n", "--help", "this text");
}

int options_wrong(const struct command *command, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "tercet %s: ", command->name);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nusage: tercet %s [options] %s   (tercet %s --help lists the options)\n",
            command->name, command->arguments, command->name);
    return EXIT_USAGE;
}

int command_failed(const struct error *err) {
    fprintf(stderr, "tercet: %s\n", err->message);
    return EXIT_FAILED;
}

/* The option that a word names, and its value when it stands behind "="; NULL when unknown. */
static const struct option *option_find(const struct option *table, const char *word,
                                        const char **value_out) {
    *value_out = NULL;
    if (word[1] != '-') {
        for (const struct option *option = table; option->name; option++)
            if (option->letter && option->letter == word[1] && word[2] == '\0')
                return option;
        return NULL;
    }
    const char *name = word + 2, *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    for (const struct option *option = table; option->name; option++)
        if (strlen(option->name) == len && memcmp(option->name, name, len) == 0) {
            *value_out = equals ? equals + 1 : NULL;
            return option;
        }
    return NULL;
}

static bool number_parse(const char *text, uint32_t min, uint32_t max, uint32_t *out) {
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || number < min || number > max)
        return false;
    *out = (uint32_t)number;
    return true;
}

static int texts_add(const struct command *command, const struct option *option,
                     const char *value) {
    struct option_texts *texts = option->target;
    if (texts->n == OPTION_TEXTS_MAX)
        return options_wrong(command, "--%s: at most %d times", option->name, OPTION_TEXTS_MAX);
    texts->items[texts->n++] = value;
    return -1;
}

/* -1: taken. */
static int option_take(const struct command *command, const struct option *option,
                       const char *value) {
    switch (option->kind) {
    case OPTION_FLAG: *(bool *)option->target = true; return -1;
    case OPTION_TEXT: *(const char **)option->target = value; return -1;
    case OPTION_TEXTS: return texts_add(command, option, value);
    case OPTION_NUMBER:
        if (number_parse(value, option->min, option->max, option->target))
            return -1;
        return options_wrong(command, "--%s must be a whole number from %u to %u, found \"%s\"",
                             option->name, option->min, option->max, value);
    }
    return EXIT_USAGE;
}

int options_parse(const struct command *command, const struct option *table, int argc, char **argv,
                  size_t *words_n_out) {
    size_t words_n = 0;
    bool options_over = false;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *value;
        if (options_over || word[0] != '-' || word[1] == '\0') {
            argv[words_n++] = argv[i];
            continue;
        }
        if (strcmp(word, "--") == 0) {
            options_over = true;
            continue;
        }
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            print_help(command, table);
            return EXIT_DONE;
        }
        const struct option *option = option_find(table, word, &value);
        if (!option)
            return options_wrong(command, "unknown option %s", word);
        if (option->kind == OPTION_FLAG && value)
            return options_wrong(command, "--%s takes no value", option->name);
        if (option->kind != OPTION_FLAG && !value) {
            if (i + 1 == argc)
                return options_wrong(command, "--%s needs a value: %s", option->name,
                                     option->argument);
            value = argv[++i];
        }
        int status = option_take(command, option, value);
        if (status >= 0)
            return status;
    }
    *words_n_out = words_n;
    return -1;
}
