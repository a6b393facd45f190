/* chat_http.h - a chat model behind an OpenAI-compatible endpoint: Ollama, llama.cpp, vLLM, or a
 * service on the net. Fills in query/chat_model.h, by libcurl.
 *
 * Only http and https are spoken, certificates are checked, no redirect is followed, and nothing
 * goes to another address than the one given here. The key is sent, never printed.
 * Trap: opening initialises libcurl for the process; open before other threads start. */
#ifndef TERCET_CHAT_HTTP_H
#define TERCET_CHAT_HTTP_H

#include "query/chat_model.h"

struct chat_http;

struct chat_http_options {
    const char *url;      /* "http://127.0.0.1:11434/v1": chat/completions is behind it */
    const char *name;     /* the model, as the endpoint calls it */
    const char *key_file; /* its first line is the key; or NULL */
    uint32_t tokens_max;  /* of an answer; 0: the endpoint decides */
    uint32_t wait_s;      /* without a byte of an answer; 0: CHAT_HTTP_WAIT_DEFAULT_S */
    uint32_t total_s;     /* for a whole one; 0: CHAT_HTTP_TOTAL_DEFAULT_S */
};

enum {
    CHAT_HTTP_WAIT_DEFAULT_S = 60, /* a model may have to be read from disk first */
    CHAT_HTTP_TOTAL_DEFAULT_S = 300,
};

/* ERROR_INVALID: an address that is none, a key that cannot be one. Nobody is asked yet. */
bool chat_http_open(const struct chat_http_options *options, struct chat_http **out,
                    struct error *err);
void chat_http_close(struct chat_http *http);

/* Good until chat_http_close. */
const struct chat_model *chat_http_model(const struct chat_http *http);

#endif
