#include "query/server/tls.h"

#include <assert.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "engine/base/mem.h"

struct tls {
    SSL_CTX *context;
};

struct tls_session {
    SSL *ssl;
    BIO *in, *out; /* memory; the SSL's */
};

/* OpenSSL's last complaint, and an empty queue of them. */
static const char *last_complaint(void) {
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return reason ? reason : "unknown reason";
}

static bool load(SSL_CTX *context, const char *certificate, const char *key, struct error *err) {
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
        return error_set(err, ERROR_INVALID, "%s: no certificate in PEM can be read: %s",
                         certificate, last_complaint());
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        return error_set(err, ERROR_INVALID, "%s: no private key in PEM for %s can be read: %s",
                         key, certificate, last_complaint());
    if (SSL_CTX_check_private_key(context) != 1)
        return error_set(err, ERROR_INVALID, "%s is not the key of %s: %s", key, certificate,
                         last_complaint());
    return true;
}

bool tls_open(const char *certificate, const char *key, struct tls **out, struct error *err) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context)
        return error_set(err, ERROR_IO, "cannot use OpenSSL: %s", last_complaint());
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    /* A client that asks for new keys again and again costs more than it pays; compression tells
     * lengths. */
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS); /* an idle connection keeps none */
    if (!load(context, certificate, key, err)) {
        SSL_CTX_free(context);
        return false;
    }
    *out = mem_alloc(1, sizeof **out);
    (*out)->context = context;
    return true;
}

void tls_close(struct tls *tls) {
    if (!tls)
        return;
    SSL_CTX_free(tls->context); /* sessions hold it, too */
    free(tls);
}

struct tls_session *tls_session_open(struct tls *tls) {
    SSL *ssl = SSL_new(tls->context);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    if (!ssl || !in || !out) {
        SSL_free(ssl);
        BIO_free(in);
        BIO_free(out);
        return NULL;
    }
    SSL_set_bio(ssl, in, out); /* which owns them now */
    SSL_set_accept_state(ssl);
    struct tls_session *session = mem_alloc(1, sizeof *session);
    *session = (struct tls_session){ssl, in, out};
    return session;
}

void tls_session_close(struct tls_session *session) {
    if (!session)
        return;
    SSL_free(session->ssl);
    free(session);
}

void tls_session_receive(struct tls_session *session, const void *bytes, size_t len) {
    assert(len <= INT_MAX);
    BIO_write(session->in, bytes, (int)len); /* memory takes everything */
}

enum tls_event tls_session_read(struct tls_session *session, char *out, size_t size,
                                size_t *len_out) {
    ERR_clear_error();
    *len_out = 0;
    int code = SSL_read_ex(session->ssl, out, size, len_out);
    if (code == 1)
        return TLS_DATA;
    switch (SSL_get_error(session->ssl, code)) {
    case SSL_ERROR_WANT_READ: return TLS_MORE;
    case SSL_ERROR_ZERO_RETURN: return TLS_END;
    default: ERR_clear_error(); return TLS_BAD;
    }
}

void tls_session_write(struct tls_session *session, const void *bytes, size_t len) {
    size_t written;
    ERR_clear_error();
    if (len > 0 && SSL_write_ex(session->ssl, bytes, len, &written) != 1)
        ERR_clear_error(); /* the session broke while reading; its connection is closing */
}

void tls_session_end(struct tls_session *session) {
    SSL_shutdown(session->ssl);
    ERR_clear_error();
}

void tls_session_take(struct tls_session *session, struct buf *out) {
    size_t waiting = BIO_ctrl_pending(session->out), taken = 0;
    if (waiting == 0)
        return;
    buf_reserve(out, waiting);
    if (BIO_read_ex(session->out, out->data + out->len, waiting, &taken) == 1)
        out->len += taken;
    out->data[out->len] = '\0';
}

void tls_sha256(const void *bytes, size_t len, uint8_t out[TLS_SHA256_BYTES]) {
    unsigned out_len = 0;
    int code = EVP_Digest(bytes, len, out, &out_len, EVP_sha256(), NULL);
    assert(code == 1 && out_len == TLS_SHA256_BYTES);
    (void)code;
}

bool tls_same(const uint8_t a[TLS_SHA256_BYTES], const uint8_t b[TLS_SHA256_BYTES]) {
    return CRYPTO_memcmp(a, b, TLS_SHA256_BYTES) == 0;
}
