/* serve_log.h - a line on stderr for each request, or only for the slow ones.
 *
 *   text  2026-11-21T16:00:00.123Z 127.0.0.1:5012 POST /v1/collections/c/search 200 12.3 ms
 *         (queue 0.1, handler 12.0, encode 3.1, ..) in 31 out 2048
 *   json  {"time","peer","method","path","route","status","total_ms","queue_ms","handler_ms",
 *         "stages":{..},"bytes_in","bytes_out"}
 * A slow request's line says "slow" and the query it was about, too. No line has a key, a header, a
 * body, or what stands behind the "?" of a target. */
#ifndef TERCET_SERVE_LOG_H
#define TERCET_SERVE_LOG_H

#include "query/server/server.h"

enum serve_log_form { SERVE_LOG_OFF, SERVE_LOG_TEXT, SERVE_LOG_JSON };

struct serve_log {
    enum serve_log_form form; /* of all requests; slow ones come as text when it is off */
    uint32_t slow_ms;         /* from here on a request is slow; 0: none is */
};

bool serve_log_parse(const char *name, enum serve_log_form *out);

void serve_log_request(const struct serve_log *log, const struct server_access *access);

/* The line alone, without its end; false when there is none to be written. */
bool serve_log_line(const struct serve_log *log, const struct server_access *access,
                    const char *time, struct buf *out);

#endif
