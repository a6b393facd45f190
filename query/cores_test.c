/* A search that has idle cores answers as one that has none, to the bit; and only one has them. */
#include "query/cores.h"

#include "engine/base/arena.h"
#include "engine/base/pool.h"
#include "index/fixture.h"
#include "query/search.h"

enum { DOCUMENTS = 700, SEARCHES = 40 };

static void only_who_is_alone_has_them(void) {
    struct cores *cores = cores_open();
    if (pool_cores_n() < 2) {
        CHECK(!cores && !cores_enter(cores));
        return;
    }
    struct pool *pool = cores_enter(cores);
    CHECK(pool);
    CHECK(!cores_enter(cores));
    cores_leave(cores);
    CHECK(!cores_enter(cores)); /* the first is still there */
    cores_leave(cores);
    cores_leave(cores);
    CHECK(cores_enter(cores) == pool);
    cores_leave(cores);
    cores_close(cores);
}

static void are_equal(const struct search_result *one, const struct search_result *other) {
    CHECK_EQUAL(one->hits_n, other->hits_n);
    CHECK_EQUAL(one->candidates_n, other->candidates_n);
    for (size_t i = 0; i < one->hits_n && i < other->hits_n; i++) {
        const struct search_hit *a = &one->hits[i], *b = &other->hits[i];
        CHECK_EQUAL(a->scores.docid, b->scores.docid);
        CHECK(memcmp(a->scores.raw, b->scores.raw, sizeof a->scores.raw) == 0);
        CHECK(a->has_passage == b->has_passage && a->passage.index == b->passage.index);
        CHECK(strcmp(a->document.key, b->document.key) == 0);
    }
}

/* chunk_tokens: documents may be several passages. */
static void answers_are_the_same(enum index_lexical lexical, uint32_t chunk_tokens) {
    struct error err;
    char folder[64];
    struct index_settings settings = fixture_full_settings(lexical);
    struct arena arena = {0};
    struct searcher *searcher;
    unsigned long long seed = 11;
    settings.chunk_tokens = chunk_tokens;
    struct index *index = fixture_new(folder, &settings);
    struct writer *writer = fixture_writer(index);
    for (uint32_t key = 0; key < DOCUMENTS; key++)
        fixture_put(writer, key + 1, key);
    CHECK_OK(writer_commit(writer, &err), err);
    CHECK_OK(searcher_open(index, NULL, &searcher, &err), err);
    struct pool *pool = pool_open(3);
    for (unsigned i = 0; i < SEARCHES; i++) {
        char like[32];
        struct search_result alone, shared;
        snprintf(like, sizeof like, "doc-%u", (unsigned)(check_random(&seed) % DOCUMENTS));
        struct search_request request = {.like = like,
                                         .like_len = strlen(like),
                                         .k = 50,
                                         .candidates = 1 + i * 3,
                                         .modes = i % 8};
        CHECK_OK(search_run(searcher, &request, &arena, &alone, &err), err);
        request.pool = pool;
        CHECK_OK(search_run(searcher, &request, &arena, &shared, &err), err);
        are_equal(&alone, &shared);
        arena_reset(&arena);
    }
    pool_close(pool);
    searcher_close(searcher);
    arena_done(&arena);
    fixture_unmake(folder, index, writer);
}

int main(void) {
    only_who_is_alone_has_them();
    answers_are_the_same(INDEX_LEXICAL_LEARNED, 0);
    answers_are_the_same(INDEX_LEXICAL_BM25, 0);
    answers_are_the_same(INDEX_LEXICAL_LEARNED, 100);
    return check_result();
}
