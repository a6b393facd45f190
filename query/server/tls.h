/* tls.h - TLS 1.2 and 1.3 for connections, and the SHA-256 that keys are kept as. The one home of
 * OpenSSL in the server.
 *
 * A session is a pipe between two sides and does no input or output itself: what came over the wire
 * is given to tls_session_receive, what is to go over it is fetched by tls_session_take after any
 * other call.
 * Threads: each thing by one thread at a time; a `tls` may be closed while its sessions live on. */
#ifndef TERCET_QUERY_SERVER_TLS_H
#define TERCET_QUERY_SERVER_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"

struct tls;
struct tls_session;

/* Files in PEM: the certificate with its chain behind it, and the key, which must fit. */
bool tls_open(const char *certificate, const char *key, struct tls **out, struct error *err);
void tls_close(struct tls *tls);

struct tls_session *tls_session_open(struct tls *tls); /* NULL when memory is out */
void tls_session_close(struct tls_session *session);

void tls_session_receive(struct tls_session *session, const void *bytes, size_t len);

enum tls_event {
    TLS_DATA, /* there are plain bytes */
    TLS_MORE, /* nothing before more comes over the wire */
    TLS_END,  /* the client said that it is done */
    TLS_BAD,  /* not TLS, or broken: take what is to be said about it, and close */
};

enum tls_event tls_session_read(struct tls_session *session, char *out, size_t size,
                                size_t *len_out);

/* Only once plain bytes have been read: then the handshake is through. */
void tls_session_write(struct tls_session *session, const void *bytes, size_t len);

/* Says that nothing more will be written. */
void tls_session_end(struct tls_session *session);

void tls_session_take(struct tls_session *session, struct buf *out);

enum { TLS_SHA256_BYTES = 32 };
void tls_sha256(const void *bytes, size_t len, uint8_t out[TLS_SHA256_BYTES]);

/* In the same time wherever they differ. */
bool tls_same(const uint8_t a[TLS_SHA256_BYTES], const uint8_t b[TLS_SHA256_BYTES]);

#endif
