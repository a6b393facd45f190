/* access.h - who may do what: API keys, and which names this server goes by.
 *
 * Keys     a file of lines "LEVEL SHA256-HEX [NAME]", where LEVEL is read, write or admin, each of
 *          which includes those before it; "#" begins a comment. The file holds hashes, so reading
 *          it opens nothing. A key comes as "Authorization: Bearer KEY" or "x-api-key: KEY".
 * Levels   open    the page, /health, /ready, /openapi.json
 *          read    searching, encoding, looking at collections and documents, /metrics
 *          write   storing and deleting documents, making collections
 *          admin   deleting collections, and their upkeep
 * Hosts    without keys, a page of another site could make a browser talk to this server under a
 *          name of its own (DNS rebinding). So only loopback's names and those given are answered.
 * Origins  without keys, a page of another site could send what a form can send, and so write. So
 *          what changes or asks (all but GET) must come from no page, our own, or one of the sites
 *          that may read answers (server_options.cors_origins).
 * Threads: the loop thread's only. */
#ifndef TERCET_ACCESS_H
#define TERCET_ACCESS_H

#include "query/server/server.h"

struct access;

enum access_level { ACCESS_OPEN, ACCESS_READ, ACCESS_WRITE, ACCESS_ADMIN };

/* key_file NULL: no keys, and hosts are looked at. hosts: more names, separated by commas; or NULL.
 * ERROR_INVALID names the line. */
bool access_open(const char *key_file, const char *hosts, const char *cors_origins,
                 struct access **out, struct error *err);
void access_close(struct access *access);

/* Reads the key file again; on failure the old keys stay. */
bool access_reload(struct access *access, struct error *err);

enum access_level access_level_of(const struct server_route *route);

/* For server_options; context is the access. */
bool access_admit(void *context, const struct server_route *route,
                  const struct server_request *request, struct server_refusal *refusal);

#endif
