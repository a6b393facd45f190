#include "engine/hub_hash.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <openssl/evp.h>

#include "engine/base/mem.h"

struct hub_hash {
    EVP_MD_CTX *context;
};

struct hub_hash *hub_hash_open(enum hub_hash_kind kind, uint64_t size) {
    struct hub_hash *hash = mem_zalloc(1, sizeof *hash);
    char head[64];
    hash->context = EVP_MD_CTX_new();
    int ok =
        hash->context &&
        EVP_DigestInit_ex(hash->context, kind == HUB_HASH_SHA256 ? EVP_sha256() : EVP_sha1(), NULL);
    assert(ok); /* out of memory, or an OpenSSL built without its two oldest digests */
    if (kind == HUB_HASH_GIT_BLOB) {
        int len = snprintf(head, sizeof head, "blob %" PRIu64, size);
        hub_hash_add(hash, head, (size_t)len + 1);
    }
    return hash;
}

void hub_hash_close(struct hub_hash *hash) {
    if (!hash)
        return;
    EVP_MD_CTX_free(hash->context);
    free(hash);
}

void hub_hash_add(struct hub_hash *hash, const void *data, size_t len) {
    int ok = EVP_DigestUpdate(hash->context, data, len);
    assert(ok);
}

void hub_hash_hex(struct hub_hash *hash, char out[HUB_HASH_HEX_MAX]) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    int ok = EVP_DigestFinal_ex(hash->context, digest, &len);
    assert(ok && 2 * len < HUB_HASH_HEX_MAX);
    for (unsigned i = 0; i < len; i++)
        snprintf(out + (size_t)2 * i, 3, "%02x", digest[i]);
}

size_t hub_hash_hex_len(enum hub_hash_kind kind) {
    return kind == HUB_HASH_SHA256 ? 64 : 40;
}
