/* tercet model - models: found, described, fetched, checked, made up. */
#include <stdio.h>
#include <string.h>

#include "tools/commands.h"
#include "tools/model_commands.h"

static const struct command *const verbs[] = {
    &command_model_list,  &command_model_info,  &command_model_pull,   &command_model_verify,
    &command_model_merge, &command_model_heads, &command_model_random,
};

enum { VERBS_N = sizeof verbs / sizeof *verbs };

void model_print_json(struct json *json) {
    struct buf out = {0};
    json_print(json, &out);
    puts(out.data);
    fflush(stdout);
    json_release(json);
    buf_done(&out);
}

static void print_verbs(FILE *out) {
    fprintf(out, "tercet model: %s\n\nusage: tercet model VERB ...\n\n", command_model.summary);
    for (size_t i = 0; i < VERBS_N; i++)
        fprintf(out, "  %-9s %-15s %s\n", verbs[i]->name + strlen("model "), verbs[i]->arguments,
                verbs[i]->summary);
    fprintf(out, "\ntercet model VERB --help explains each.\n");
}

static int run(int argc, char **argv) {
    if (argc < 2) {
        print_verbs(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_verbs(stdout);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < VERBS_N; i++)
        if (strcmp(argv[1], verbs[i]->name + strlen("model ")) == 0)
            return verbs[i]->run(argc - 1, argv + 1);
    return options_wrong(&command_model, "unknown \"%s\"", argv[1]);
}

const struct command command_model = {"model", "VERB ...", "lists, fetches and checks models", run};
