/* tercet serve - collections over HTTP. */
#include "tools/serve.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/file.h"
#include "engine/base/pool.h"
#include "engine/model.h"
#include "query/server/server.h"
#include "query/service.h"
#include "tools/commands.h"
#include "tools/serve_writer.h"

#define LISTEN_DEFAULT "127.0.0.1:8080"

void serve_default_data(char *out, size_t out_size) {
    const char *home = getenv("TERCET_HOME"), *user = getenv("HOME");
    if (home && *home)
        snprintf(out, out_size, "%s/data", home);
    else
        snprintf(out, out_size, "%s/.tercet/data", user && *user ? user : ".");
}

static void print_address(void *context, struct server *server, const char *address) {
    const struct serve_settings *settings = context;
    (void)server;
    printf("tercet serves %s at http://%s (Ctrl-C stops it)\n", settings->data, address);
    for (size_t i = 0; settings->examples && settings->examples[i]; i++)
        printf("%s  %s\n", i == 0 ? "three searches to try:\n" : "", settings->examples[i]);
    fflush(stdout);
}

bool serve_run(const struct serve_settings *settings, struct error *err) {
    struct server_options server_options;
    struct service *service = NULL;
    struct serve_writer *writer = NULL;
    server_options_default(&server_options);
    server_options.listen = settings->listen ? settings->listen : LISTEN_DEFAULT;
    server_options.workers_n = settings->threads ? settings->threads : pool_cores_n();
    server_options.listening = print_address;
    server_options.context = (void *)(uintptr_t)settings;
    server_options.handle_signals = true;
    bool ok =
        file_make_folder(settings->data, err) && serve_writer_open(settings->model, &writer, err);
    struct service_options options = {
        .data = settings->data,
        .model = settings->model,
        .workers_n = server_options.workers_n,
        .writer = {writer, serve_writer_create, serve_writer_put},
        .examples = settings->examples,
    };
    ok = ok && service_open(&options, &service, err);
    if (ok) {
        size_t routes_n;
        const struct server_route *routes = service_routes(service, &routes_n);
        ok = server_run(&server_options, routes, routes_n, err);
    }
    serve_writer_close(writer); /* its ingests borrow the service's indexes */
    service_close(service);
    return ok;
}

static int run(int argc, char **argv) {
    char data[1024];
    struct serve_settings settings = {.data = data};
    struct model_options model_options = {0};
    const char *precision = NULL;
    const struct option table[] = {
        {"data", OPTION_TEXT, &settings.data, "DIR",
         "folder of collections (default: ~/.tercet/data)", 0, 0, 0},
        {"listen", OPTION_TEXT, &settings.listen, "HOST:PORT", "default: " LISTEN_DEFAULT, 0, 0, 0},
        {"model", OPTION_TEXT, &model_options.name, "M", "folder or name of a model", 0, 0, 'm'},
        {"precision", OPTION_TEXT, &precision, "P",
         "auto (default: the fastest), int8, bf16 or f32", 0, 0, 0},
        {"threads", OPTION_NUMBER, &settings.threads, "N", "query workers (default: one a core)", 1,
         1024, 0},
        {0},
    };
    struct error err;
    struct model *model = NULL;
    size_t words_n;
    serve_default_data(data, sizeof data);
    int status = options_parse(&command_serve, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n)
        return options_wrong(&command_serve, "unexpected \"%s\": collections stand in --data DIR",
                             argv[0]);
    if (precision && !model_precision_parse(precision, &model_options.precision, &err))
        return options_wrong(&command_serve, "%s", err.message);
    bool ok = model_open(&model_options, &model, &err);
    settings.model = model;
    ok = ok && serve_run(&settings, &err);
    model_close(model);
    return ok ? EXIT_DONE : command_failed(&err);
}

const struct command command_serve = {"serve", "", "answers over HTTP, with a search page", run};
