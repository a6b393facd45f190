/* service.h - collections behind HTTP: which route asks which index what.
 *
 * Searching and reading are done here. Writing is not: query never writes an index, so the program
 * hands in a service_writer that does (tools/serve.c gives it ingest).
 * Threads: handlers run on the server's lanes. Collections (collections.h) are open until
 * service_close; each query worker and remote thread has its own searcher for each collection. */
#ifndef TERCET_SERVICE_H
#define TERCET_SERVICE_H

#include "engine/base/json.h"
#include "index/index.h"
#include "query/server/server.h"

struct chat_model;
struct encoders;
struct filter;
struct model;
struct service;

/* What a new collection is to be like; all zeros: as the model would have it. */
struct service_choices {
    bool chunk_given; /* texts are cut into passages of so many tokens (0: they are not), ... */
    uint32_t chunk_tokens;
    uint32_t chunk_overlap; /* ... which share so many; UINT32_MAX: as many as is usual */
    bool no_model;          /* documents bring vectors of these dimensions (0: none) ... */
    uint32_t dense_dim, multi_dim;
    const char *analyzer; /* ... and this is done with their words; NULL: the usual */
};

/* Documents as a client sent them: a JSON array, one object, or an object a line. */
struct service_documents {
    const char *text; /* a NUL stands behind it */
    size_t len;
    bool are_lines;      /* whole lines of a longer text: no array, and perhaps none at all */
    size_t lines_before; /* in that text, for messages */
};

/* What writes. All are called on the writer lane only, one at a time, with an index whose writer's
 * lock is held for the length of the call: nothing of it may be kept, no writer left open. */
struct service_writer {
    void *context;
    /* Makes an empty collection in that folder, for documents encoded with the service's model.
     * or without a model. ERROR_INVALID when the model cannot do what was chosen. */
    bool (*create)(void *context, const char *folder, const struct service_choices *choices,
                   struct index **out, struct error *err);
    /* Stores documents and returns when they are on disk.
     * *answer_out: {"stored":n,"unchanged":n,"failed":n,"rows":[..]}; the caller releases it. */
    bool (*put)(void *context, struct index *index, const struct service_documents *documents,
                struct arena *arena, struct json **answer_out, struct error *err);
    /* Deletes one document; *found_out: it was there. */
    bool (*remove)(void *context, struct index *index, const char *key, size_t key_len,
                   bool *found_out, struct error *err);
    /* Deletes every document that passes. *removed_n_out: how many are gone, on failure too. */
    bool (*remove_passing)(void *context, struct index *index, const struct filter *filter,
                           uint64_t *removed_n_out, struct error *err);
    /* Removes the index's folder; the index itself stays open. */
    bool (*destroy)(void *context, struct index *index, struct error *err);
    /* A little of the merging that commits have left. *more_out: there is more. */
    bool (*merge)(void *context, struct index *index, bool *more_out, struct error *err);
};

struct service_options {
    const char *data; /* the folder of collections; must exist */
    const struct model
        *model;       /* for new collections, and for those that were made with it; borrowed */
    size_t workers_n; /* as many as the server has */
    size_t remote_n;  /* as the server's */
    struct encoders *encoders; /* whose reranker searches may ask; NULL: none. Borrowed */
    struct service_writer writer;
    /* Who writes answers; NULL: nobody. Borrowed. With one, remote_n must be more than 0. */
    const struct chat_model *chat;
    /* Searches offered on the page for a collection without hits yet; NULL-terminated, or NULL. */
    const char *const *examples;
};

/* Opens every collection in the data folder. */
bool service_open(const struct service_options *options, struct service **out, struct error *err);

/* After server_run has returned. */
void service_close(struct service *service);

/* Borrowed until service_close. */
const struct server_route *service_routes(const struct service *service, size_t *n_out);

/* Each collection, in no order; name and index are good while it is called. Any thread. */
typedef void service_visit(void *context, const char *name, struct index *index);
void service_each(struct service *service, service_visit *visit, void *context);

/* For server_options: queries of searches that wait at the same time are encoded together. */
struct server_together service_together(void);
/* For server_options.idle: merges a little in a collection that was written to. */
bool service_idle(struct service *service);

/* For server_options.lines: a search, with the collection's name as the member "collection" where
 * there are several. */
const struct server_route *service_lines(const struct service *service);

/* For server_options: documents may come as a stream without end. */
struct server_pieces service_pieces(void);

#endif
