/* serve_writer.h - ingest behind the server's writer lane: documents that come as requests. */
#ifndef TERCET_SERVE_WRITER_H
#define TERCET_SERVE_WRITER_H

#include "query/service.h"

struct serve_writer;

/* The model is borrowed. */
bool serve_writer_open(const struct model *model, struct serve_writer **out, struct error *err);
void serve_writer_close(struct serve_writer *writer);

/* As service_writer asks; context is the serve_writer. */
bool serve_writer_create(void *context, const char *folder, struct index **out, struct error *err);
bool serve_writer_put(void *context, struct index *index, const struct model *model,
                      const char *body, size_t body_len, struct arena *arena,
                      struct json **answer_out, struct error *err);

#endif
