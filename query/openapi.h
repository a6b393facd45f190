/* openapi.h - the description of all routes (OpenAPI 3.1), written by hand in openapi.json, kept
 * true by openapi_test.c, and inside the program. */
#ifndef TERCET_OPENAPI_H
#define TERCET_OPENAPI_H

#include "query/server/server.h"

/* It lives as long as the program. */
const char *openapi_json(size_t *len_out);

/* For {SERVER_GET, "/openapi.json", openapi_handler, NULL, SERVER_LANE_LOOP}. */
server_handler openapi_handler;

#endif
