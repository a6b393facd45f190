/* serve_writer.h - ingest behind the server's writer lane: documents that come as requests. */
#ifndef TERCET_SERVE_WRITER_H
#define TERCET_SERVE_WRITER_H

#include "query/service.h"

struct serve_writer;

/* The model is borrowed. */
bool serve_writer_open(const struct model *model, struct serve_writer **out, struct error *err);
void serve_writer_close(struct serve_writer *writer);

/* What the service calls. */
struct service_writer serve_writer_service(struct serve_writer *writer);

#endif
