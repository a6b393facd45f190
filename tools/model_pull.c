/* tercet model pull - a model from the hub into $TERCET_HOME/models. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/hub_pull.h"
#include "tools/model_commands.h"

static const double redraw_s = 0.1, plain_s = 10, json_s = 1, mebibyte = 1024.0 * 1024.0;

/* What is shown while a model comes in: a line that is rewritten on a terminal, plain lines now and
 * then elsewhere, JSON lines when asked for. */
struct display {
    bool json, terminal, drawn;
    double began_s, told_s;
    uint64_t bytes_first; /* were there when we began */
    bool has_first;
};

static void show_json(const struct hub_pull_progress *progress) {
    struct json *row = json_new_object();
    json_add_string(row, "event", progress->trouble ? "retry" : "progress");
    json_add_string(row, "file", progress->file);
    json_add_number(row, "bytes", (double)progress->bytes);
    json_add_number(row, "bytes_total", (double)progress->bytes_total);
    if (progress->trouble)
        json_add_string(row, "trouble", progress->trouble);
    model_print_json(row);
}

static void show_text(struct display *display, const struct hub_pull_progress *progress,
                      double now) {
    enum { WIDTH = 79 };
    char line[256];
    double seconds = now - display->began_s;
    double fetched = (double)(progress->bytes - display->bytes_first);
    double percent =
        progress->bytes_total ? 100 * (double)progress->bytes / (double)progress->bytes_total : 0;
    if (progress->trouble)
        snprintf(line, sizeof line, "%s: %s", progress->file, progress->trouble);
    else
        snprintf(line, sizeof line, "%3.0f%%  %.1f of %.1f MiB  %.1f MiB/s  %zu/%zu %s", percent,
                 (double)progress->bytes / mebibyte, (double)progress->bytes_total / mebibyte,
                 seconds > 0 ? fetched / seconds / mebibyte : 0, progress->file_i + 1,
                 progress->files_n, progress->file);
    if (display->terminal && !progress->trouble)
        fprintf(stderr, "\r%.*s\x1b[K", WIDTH, line);
    else
        fprintf(stderr, "%s%s\n", display->drawn ? "\r\x1b[K" : "", line);
    display->drawn = display->terminal && !progress->trouble;
    fflush(stderr);
}

static void show(void *context, const struct hub_pull_progress *progress) {
    struct display *display = context;
    double now = clock_now_s();
    double every = display->json ? json_s : display->terminal ? redraw_s : plain_s;
    if (!display->has_first) {
        display->has_first = true;
        display->bytes_first = progress->bytes;
    }
    if (progress->bytes < display->bytes_first) /* a file began anew */
        display->bytes_first = progress->bytes;
    if (!progress->trouble && now - display->told_s < every)
        return;
    display->told_s = now;
    if (display->json)
        show_json(progress);
    else
        show_text(display, progress, now);
}

static void report(const struct hub_pull_options *options, const struct hub_pull_result *result,
                   bool json) {
    if (json) {
        struct json *row = json_new_object();
        json_add_string(row, "event", "done");
        json_add_string(row, "model", options->name);
        json_add_string(row, "where", result->where);
        json_add_string(row, "commit", result->commit);
        json_add_number(row, "files", (double)result->files_n);
        json_add_number(row, "bytes", (double)result->bytes);
        json_add_number(row, "fetched_bytes", (double)result->fetched_bytes);
        json_add_bool(row, "was_there", result->was_there);
        model_print_json(row);
        return;
    }
    printf("%s: commit %.12s, %zu files, %.1f MiB", options->name, result->commit, result->files_n,
           (double)result->bytes / mebibyte);
    if (result->was_there)
        printf(", there already");
    else
        printf(" (%.1f MiB fetched)", (double)result->fetched_bytes / mebibyte);
    printf(" in %s\n", result->where);
}

static int run(int argc, char **argv) {
    struct hub_pull_options options = {.retries_max = HUB_PULL_RETRIES_DEFAULT, .progress = show};
    struct display display = {.terminal = isatty(STDERR_FILENO), .began_s = clock_now_s()};
    const struct option table[] = {
        {"revision", OPTION_TEXT, &options.revision, "REV", "branch, tag or commit (default: main)",
         0, 0, 0},
        {"retries", OPTION_NUMBER, &options.retries_max, "N",
         "tries again N times in a row (default: 6)", 0, 100, 0},
        {"json", OPTION_FLAG, &display.json, NULL, "JSON lines: progress, then what was done", 0, 0,
         0},
        {0},
    };
    struct hub_pull_result result;
    struct error err;
    size_t words_n;
    int status = options_parse(&command_model_pull, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n != 1)
        return options_wrong(&command_model_pull, "one id is needed, as in BAAI/bge-m3");
    options.name = argv[0];
    options.context = &display;
    display.told_s = display.terminal ? 0 : display.began_s;
    bool ok = hub_pull(&options, &result, &err);
    if (display.drawn)
        fputs("\r\x1b[K", stderr);
    if (!ok)
        return command_failed(&err);
    report(&options, &result, display.json);
    return EXIT_DONE;
}

const struct command command_model_pull = {"model pull", "ID",
                                           "fetches a model from the hub, or the rest of it", run};
