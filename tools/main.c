/* tercet - the program: finds the sub-command and hands over. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tools/commands.h"

static const struct command *const commands[] = {
    &command_ingest,  &command_mine,     &command_tune,   &command_search,  &command_serve,
    &command_info,    &command_delete,   &command_check,  &command_compact, &command_snapshot,
    &command_restore, &command_export,   &command_encode, &command_score,   &command_rerank,
    &command_eval,    &command_tokenize, &command_model,  &command_demo,    &command_bench,
};

enum { COMMANDS_N = sizeof commands / sizeof *commands };

static void print_usage(FILE *out) {
    fprintf(out, "tercet %s: text in, ranked text out\n\nusage: tercet COMMAND ...\n\n",
            TERCET_VERSION);
    for (size_t i = 0; i < COMMANDS_N; i++)
        fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(out, "\ntercet COMMAND --help explains each. A first look: tercet demo\n");
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN); /* a reader that went away is a write error, not a death */
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("tercet %s\n", TERCET_VERSION);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < COMMANDS_N; i++)
        if (strcmp(argv[1], commands[i]->name) == 0)
            return commands[i]->run(argc - 1, argv + 1);
    fprintf(stderr, "tercet: unknown command \"%s\"; tercet --help lists them\n", argv[1]);
    return EXIT_USAGE;
}
