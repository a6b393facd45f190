/* tercet bench - how fast this machine does the work: finds the benchmark and hands over. */
#include <stdio.h>
#include <string.h>

#include "tools/bench/benches.h"
#include "tools/commands.h"

static const struct command *const benches[] = {
    &bench_dense,
    &bench_encode,
    &bench_maxsim,
    &bench_rerank,
    &bench_search,
    &bench_sparse,
    &bench_ingest,
};

enum { BENCHES_N = sizeof benches / sizeof *benches };

static const char *name_of(const struct command *bench) {
    return bench->name + strlen("bench ");
}

static void print_usage(FILE *out) {
    fprintf(out, "usage: tercet bench NAME [options]\n\nSpeed, with the quality beside it; a JSON "
                 "object a line on standard output.\n\n");
    for (size_t i = 0; i < BENCHES_N; i++)
        fprintf(out, "  %-10s %s\n", name_of(benches[i]), benches[i]->summary);
    fprintf(out, "\ntercet bench NAME --help explains each.\n");
}

static int run(int argc, char **argv) {
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_usage(stdout);
        return EXIT_DONE;
    }
    for (size_t i = 0; argc > 1 && i < BENCHES_N; i++)
        if (strcmp(argv[1], name_of(benches[i])) == 0)
            return benches[i]->run(argc - 1, argv + 1);
    if (argc > 1)
        fprintf(stderr, "tercet bench: \"%s\" is none of its benchmarks\n", argv[1]);
    print_usage(stderr);
    return EXIT_USAGE;
}

const struct command command_bench = {"bench", "NAME", "speed, with the quality beside it", run};
