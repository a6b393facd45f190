/* hub_hash.h - the checksums by which the hub names its files. The one home of OpenSSL.
 *
 * Large files (Git LFS) are known by the SHA-256 of their bytes, the others by git's blob id: the
 * SHA-1 of "blob SIZE", a NUL, and the bytes. SHA-1 is here for what the hub publishes; nobody's
 * trust hangs on it beyond the connection's own.
 * Threads: a hash belongs to one thread. */
#ifndef TERCET_HUB_HASH_H
#define TERCET_HUB_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hub_hash_kind { HUB_HASH_SHA256, HUB_HASH_GIT_BLOB };

enum { HUB_HASH_HEX_MAX = 64 + 1 };

struct hub_hash;

/* size: of the whole file, in bytes; it is part of a git blob's id. */
struct hub_hash *hub_hash_open(enum hub_hash_kind kind, uint64_t size);
void hub_hash_close(struct hub_hash *hash);

void hub_hash_add(struct hub_hash *hash, const void *data, size_t len);

/* The digest of what was added, lower case, NUL-terminated. Once for each hash. */
void hub_hash_hex(struct hub_hash *hash, char out[HUB_HASH_HEX_MAX]);

/* Hex digits in a digest of this kind: 64 or 40. */
size_t hub_hash_hex_len(enum hub_hash_kind kind);

#endif
