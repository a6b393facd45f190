/* page.h - the search page, embedded in the program: one HTML file without outside requests. */
#ifndef TERCET_QUERY_UI_PAGE_H
#define TERCET_QUERY_UI_PAGE_H

#include "query/server/server.h"

/* The page's bytes; they live as long as the program. */
const char *page_html(size_t *len_out);

/* For {SERVER_GET, "/", page_handler, NULL, SERVER_LANE_LOOP}: the page with its security headers,
 * or 304 when the client has this very page. */
server_handler page_handler;

#endif
