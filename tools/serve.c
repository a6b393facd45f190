/* tercet serve - collections over HTTP. */
#include "tools/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/model.h"
#include "query/access.h"
#include "query/encode_service.h"
#include "query/encoders.h"
#include "query/metrics.h"
#include "query/openapi.h"
#include "query/server/server.h"
#include "query/service.h"
#include "tools/commands.h"
#include "tools/serve_notify.h"
#include "tools/serve_writer.h"

#define LISTEN_DEFAULT "127.0.0.1:8080"

/* Answers under way at once; they wait most of their time. Models at home do one or two at a time,
 * and each thread may come to hold an encoder's memory. */
enum { ANSWERS_MAX = 4 };

void serve_default_data(char *out, size_t out_size) {
    const char *home = getenv("TERCET_HOME"), *user = getenv("HOME");
    if (home && *home)
        snprintf(out, out_size, "%s/data", home);
    else
        snprintf(out, out_size, "%s/.tercet/data", user && *user ? user : ".");
}

/* Everything that answers requests, and the context of the server's callbacks. */
struct parts {
    const struct serve_settings *settings;
    struct access *access;
    struct chat_http *chat; /* NULL: no answers */
    struct serve_writer *writer;
    struct service *service;
    struct encoders *encoders;
    struct encode_service *encode_service;
    struct metrics *metrics;
    struct server_route *routes; /* [routes_n] of all services */
    size_t routes_n;
};

static void add_routes(struct parts *parts, const struct server_route *routes, size_t n) {
    parts->routes = mem_realloc(parts->routes, parts->routes_n + n, sizeof *routes);
    memcpy(parts->routes + parts->routes_n, routes, n * sizeof *routes);
    parts->routes_n += n;
}

static bool chat_open(const struct serve_settings *settings, struct chat_http **out,
                      struct error *err) {
    return !settings->answer.url || chat_http_open(&settings->answer, out, err);
}

static bool parts_open(struct parts *parts, const struct serve_settings *settings,
                       const struct server_options *server, struct error *err) {
    struct service_options options = {
        .data = settings->data,
        .model = settings->model,
        .workers_n = server->workers_n,
        .remote_n = server->remote_n,
        .examples = settings->examples,
    };
    size_t n;
    parts->settings = settings;
    server_allow_files(server);
    if (!access_open(settings->key_file, settings->hosts, settings->cors_origins, &parts->access,
                     err) ||
        !file_make_folder(settings->data, err) ||
        !serve_writer_open(settings->model, &parts->writer, err) ||
        !encoders_open(settings->model, settings->reranker, server->workers_n + server->remote_n,
                       &parts->encoders, err) ||
        !chat_open(settings, &parts->chat, err))
        return false;
    options.chat = parts->chat ? chat_http_model(parts->chat) : NULL;
    options.writer = serve_writer_service(parts->writer);
    options.encoders = parts->encoders;
    if (!service_open(&options, &parts->service, err))
        return false;
    const struct server_route *routes = service_routes(parts->service, &n);
    add_routes(parts, routes, n);
    parts->encode_service = encode_service_open(parts->encoders);
    routes = encode_service_routes(parts->encode_service, &n);
    add_routes(parts, routes, n);
    parts->metrics = metrics_open(parts->service, parts->encoders);
    const struct server_route own[] = {
        {SERVER_GET, "/metrics", metrics_handler, parts->metrics, SERVER_LANE_LOOP},
        {SERVER_GET, "/openapi.json", openapi_handler, NULL, SERVER_LANE_LOOP},
    };
    add_routes(parts, own, sizeof own / sizeof *own);
    return true;
}

static void parts_close(struct parts *parts) {
    free(parts->routes);
    metrics_close(parts->metrics);
    encode_service_close(parts->encode_service);
    encoders_close(parts->encoders);
    serve_writer_close(parts->writer);
    service_close(parts->service);
    chat_http_close(parts->chat);
    access_close(parts->access);
}

static void on_listening(void *context, struct server *server, const char *address) {
    const struct parts *parts = context;
    const struct serve_settings *settings = parts->settings;
    metrics_watch(parts->metrics, server);
    if (settings->lines_tcp)
        printf("a search a line at %s\n", server_lines_address(server));
    if (settings->lines_unix)
        printf("a search a line at %s\n", settings->lines_unix);
    printf("tercet serves %s at %s://%s (Ctrl-C stops it)\n", settings->data,
           settings->tls_certificate ? "https" : "http", address);
    for (size_t i = 0; settings->examples && settings->examples[i]; i++)
        printf("%s  %s\n", i == 0 ? "three searches to try:\n" : "", settings->examples[i]);
    fflush(stdout);
    serve_notify("READY=1");
}

static void on_access(void *context, const struct server_access *access) {
    const struct parts *parts = context;
    metrics_count(parts->metrics, access);
    serve_log_request(&parts->settings->log, access);
}

static bool on_idle(void *context) {
    const struct parts *parts = context;
    return service_idle(parts->service);
}

static void on_stopping(void *context) {
    (void)context;
    serve_notify("STOPPING=1");
}

static void on_reload(void *context, const struct error *failed) {
    const struct parts *parts = context;
    struct error err;
    if (!failed && !access_reload(parts->access, &err))
        failed = &err;
    if (failed)
        fprintf(stderr, "tercet: not read again, what was read before stays: %s\n",
                failed->message);
    else
        fprintf(stderr, "tercet: certificate and API keys were read again\n");
}

/* Not while the server runs beside it: its indexes are open for writing. */
static bool check_data(const char *data, struct error *err) {
    return !file_exists(data) || file_is_folder(data) ||
           error_set(err, ERROR_INVALID, "%s is no folder", data);
}

static bool serve_check(const struct serve_settings *settings, const struct server_options *options,
                        struct error *err) {
    struct access *access = NULL;
    struct encoders *encoders = NULL;
    struct chat_http *chat = NULL;
    bool ok =
        check_data(settings->data, err) && server_check(options, NULL, 0, err) &&
        access_open(settings->key_file, settings->hosts, settings->cors_origins, &access, err) &&
        encoders_open(settings->model, settings->reranker, 1, &encoders, err) &&
        chat_open(settings, &chat, err);
    chat_http_close(chat);
    encoders_close(encoders);
    access_close(access);
    return ok;
}

static void fill_options(const struct serve_settings *settings, struct parts *parts,
                         struct server_options *out) {
    bool is_service = getenv("NOTIFY_SOCKET") != NULL; /* whose reload must not end it */
    server_options_default(out);
    out->listen = settings->listen ? settings->listen : LISTEN_DEFAULT;
    out->workers_n = settings->threads ? settings->threads : pool_cores_n();
    out->remote_n = settings->answer.url ? ANSWERS_MAX : 0;
    out->everywhere = settings->key_file != NULL;
    out->lines_tcp = settings->lines_tcp;
    out->lines_unix = settings->lines_unix;
    out->tls_certificate = settings->tls_certificate;
    out->tls_key = settings->tls_key;
    out->cors_origins = settings->cors_origins;
    out->admit = access_admit;
    out->listening = on_listening;
    out->access = on_access;
    out->stopping = on_stopping;
    out->idle = on_idle;
    if (settings->key_file || settings->tls_certificate || is_service)
        out->reload = on_reload;
    out->context = parts;
}

bool serve_run(const struct serve_settings *settings, struct error *err) {
    const struct server_together together[] = {service_together(), encode_service_together()};
    const struct server_pieces pieces = service_pieces();
    struct server_options options;
    struct parts parts = {0};
    fill_options(settings, &parts, &options);
    options.together = together;
    options.together_n = sizeof together / sizeof *together;
    options.pieces = &pieces;
    options.pieces_n = 1;
    if (settings->check)
        return serve_check(settings, &options, err);
    bool ok = parts_open(&parts, settings, &options, err);
    options.admit_context = parts.access;
    options.lines = ok ? service_lines(parts.service) : NULL;
    ok = ok && server_run(&options, parts.routes, parts.routes_n, err);
    parts_close(&parts);
    return ok;
}

static int run(int argc, char **argv) {
    char data[1024];
    struct serve_settings settings = {.data = data};
    struct model_options model_options = {0}, reranker_options = {0};
    const char *precision = NULL, *log = "off";
    const struct option table[] = {
        {"data", OPTION_TEXT, &settings.data, "DIR",
         "folder of collections (default: ~/.tercet/data)", 0, 0, 0},
        {"listen", OPTION_TEXT, &settings.listen, "HOST:PORT", "default: " LISTEN_DEFAULT, 0, 0, 0},
        {"listen-tcp", OPTION_TEXT, &settings.lines_tcp, "HOST:PORT",
         "also searches as lines of JSON, over plain TCP", 0, 0, 0},
        {"listen-unix", OPTION_TEXT, &settings.lines_unix, "PATH",
         "and over a Unix socket that only this user may open", 0, 0, 0},
        {"model", OPTION_TEXT, &model_options.name, "M", "folder or name of a model", 0, 0, 'm'},
        {"reranker", OPTION_TEXT, &reranker_options.name, "M",
         "folder or name of a cross-encoder, for searches and the rerank routes", 0, 0, 0},
        {"precision", OPTION_TEXT, &precision, "P",
         "auto (default: the fastest), int8, bf16 or f32", 0, 0, 0},
        {"api-key-file", OPTION_TEXT, &settings.key_file, "FILE",
         "lines of read|write|admin and a key's SHA-256; needed to listen beyond this machine", 0,
         0, 0},
        {"hosts", OPTION_TEXT, &settings.hosts, "NAMES",
         "without keys: more names that this server goes by, with commas between", 0, 0, 0},
        {"cors", OPTION_TEXT, &settings.cors_origins, "ORIGINS",
         "pages of these sites may use it: http://localhost:3000,https://a.example, or *", 0, 0, 0},
        {"tls-cert", OPTION_TEXT, &settings.tls_certificate, "FILE",
         "HTTPS with this certificate (PEM, its chain behind it)", 0, 0, 0},
        {"tls-key", OPTION_TEXT, &settings.tls_key, "FILE", "and this key (PEM)", 0, 0, 0},
        {"answer-url", OPTION_TEXT, &settings.answer.url, "URL",
         "answers questions by a chat model there: http://127.0.0.1:11434/v1 (docs/answers.md)", 0,
         0, 0},
        {"answer-model", OPTION_TEXT, &settings.answer.name, "NAME", "that model", 0, 0, 0},
        {"answer-key-file", OPTION_TEXT, &settings.answer.key_file, "FILE",
         "the API key for it, in the first line", 0, 0, 0},
        {"answer-tokens", OPTION_NUMBER, &settings.answer.tokens_max, "N",
         "at most so many tokens an answer (default: its own limit)", 1, 1u << 20, 0},
        {"answer-wait-s", OPTION_NUMBER, &settings.answer.wait_s, "N",
         "without a word from it (default: 60)", 1, 3600, 0},
        {"answer-total-s", OPTION_NUMBER, &settings.answer.total_s, "N",
         "for a whole answer (default: 300)", 1, 3600, 0},
        {"log", OPTION_TEXT, &log, "FORM",
         "a line on stderr for each request: text, json or off (default)", 0, 0, 0},
        {"slow-ms", OPTION_NUMBER, &settings.log.slow_ms, "N",
         "a line for each request that takes so long, with the query", 1, 1u << 30, 0},
        {"check", OPTION_FLAG, &settings.check, NULL,
         "only look whether it could start: options, models, keys, certificate", 0, 0, 0},
        {"threads", OPTION_NUMBER, &settings.threads, "N", "query workers (default: one a core)", 1,
         1024, 0},
        {0},
    };
    struct error err;
    struct model *model = NULL, *reranker = NULL;
    size_t words_n;
    serve_default_data(data, sizeof data);
    int status = options_parse(&command_serve, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n)
        return options_wrong(&command_serve, "unexpected \"%s\": collections stand in --data DIR",
                             argv[0]);
    if (!settings.tls_certificate != !settings.tls_key)
        return options_wrong(&command_serve, "--tls-cert and --tls-key go together");
    const struct chat_http_options *answer = &settings.answer;
    if (!answer->url != !answer->name)
        return options_wrong(&command_serve, "--answer-url and --answer-model go together");
    if (!answer->url &&
        (answer->key_file || answer->tokens_max || answer->wait_s || answer->total_s))
        return options_wrong(&command_serve, "no answers without --answer-url");
    if (!serve_log_parse(log, &settings.log.form))
        return options_wrong(&command_serve, "--log \"%s\": must be text, json or off", log);
    if (precision && !model_precision_parse(precision, &model_options.precision, &err))
        return options_wrong(&command_serve, "%s", err.message);
    reranker_options.precision = model_options.precision;
    bool ok = model_open(&model_options, &model, &err) &&
              (!reranker_options.name || model_open(&reranker_options, &reranker, &err));
    settings.model = model;
    settings.reranker = reranker;
    ok = ok && serve_run(&settings, &err);
    model_close(reranker);
    model_close(model);
    return ok ? EXIT_DONE : command_failed(&err);
}

const struct command command_serve = {"serve", "", "answers over HTTP, with a search page", run};
