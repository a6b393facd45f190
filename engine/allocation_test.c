/* A query that comes again and again is encoded without asking the system for memory: everything
 * it needs was kept from the first time. malloc is counted by standing in front of glibc's. */
#include <stdatomic.h>
#include <stddef.h>

#include "engine/base/pool.h"
#include "engine/encoder.h"
#include "engine/model.h"
#include "tests/check.h"

static atomic_size_t allocations;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
void *malloc(size_t size);
void *calloc(size_t n, size_t size);
void *realloc(void *old, size_t size);
void *aligned_alloc(size_t alignment, size_t size);

void *malloc(size_t size) {
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size) {
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    atomic_fetch_add(&allocations, 1);
    return __libc_memalign(alignment, size);
}

static void queries_allocate_nothing(const struct model *model, size_t threads) {
    static const struct encoder_text queries[] = {
        {"what do giant pandas eat in winter?", 35}, {"bamboo", 6}, {"Köln & 東京, 2024", 20}};
    struct encoder_options options = {.modes = ENCODE_DENSE | ENCODE_MULTI,
                                      .instruction = model_info(model)->query_instruction};
    struct pool *pool = pool_open(threads);
    struct encoder *encoder = NULL;
    struct arena arena = {0};
    struct encoding encoding;
    struct error err;
    CHECK_OK(encoder_open(model, pool, &options, &encoder, &err), err);
    size_t before = 0;
    for (size_t round = 0; round < 6; round++) {
        if (round == 3)
            before = allocations;
        for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
            CHECK_OK(encoder_encode(encoder, &queries[i], 1, &arena, &encoding, &err), err);
            arena_reset(&arena);
        }
    }
    size_t more = allocations - before; /* printf asks for a buffer */
    printf("%zu threads: %zu allocations in 9 queries\n", threads, more);
    CHECK_EQUAL(more, 0);
    encoder_close(encoder);
    pool_close(pool);
    arena_done(&arena);
}

int main(void) {
    struct model_options options = {0};
    struct model *model = NULL;
    struct error err;
    CHECK_OK(model_open(&options, &model, &err), err);
    CHECK(allocations > 0); /* it counts */
    queries_allocate_nothing(model, 1);
    queries_allocate_nothing(model, 2);
    model_close(model);
    return check_result();
}
