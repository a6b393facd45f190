/* serve.h - a server over a folder of collections, until a signal ends it: what serve and demo
 * share. */
#ifndef TERCET_SERVE_H
#define TERCET_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "tools/chat_http.h"
#include "tools/serve_log.h"

struct model;

struct serve_settings {
    const char *data;   /* folder of collections; made when missing */
    const char *listen; /* "127.0.0.1:8080" */
    const struct model *model;
    const struct model *reranker; /* a cross-encoder for searches and the rerank routes; or NULL */
    const char *key_file;         /* API keys (access.h); or NULL: loopback only */
    const char *hosts;            /* more names that it goes by, with commas between; or NULL */
    const char *cors_origins;     /* sites whose pages may use it; or NULL */
    const char *lines_tcp;        /* searches as lines: an address; or NULL */
    const char *lines_unix;       /* and the path of a socket; or NULL */
    const char *tls_certificate, *tls_key; /* PEM; or NULL */
    struct chat_http_options answer;       /* url NULL: no answers */
    struct serve_log log;
    bool check;                  /* only look whether it could start */
    uint32_t threads;            /* query workers; 0: one a core */
    const char *const *examples; /* searches to try, NULL-terminated; or NULL */
};

/* The folder when none is given: $TERCET_HOME/data, or ~/.tercet/data. */
void serve_default_data(char *out, size_t out_size);

/* Prints the address to stdout once clients can connect, and returns after a graceful stop. */
bool serve_run(const struct serve_settings *settings, struct error *err);

#endif
