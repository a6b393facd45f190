/* The small parts of base: each tested with what would break it. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/base64.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/map.h"
#include "engine/base/pages.h"
#include "engine/base/pool.h"
#include "engine/base/team.h"
#include "engine/base/topk.h"
#include "tests/check.h"

static void error_keeps_code_and_adds_context(void) {
    struct error err;
    CHECK(!error_set(&err, ERROR_CORRUPT, "found %d", 3));
    CHECK(!error_wrap(&err, "line %d: ", 7));
    CHECK_EQUAL(err.code, ERROR_CORRUPT);
    CHECK_TEXT(err.message, "line 7: found 3");
    char longer[2 * ERROR_MESSAGE_MAX];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    error_set(&err, ERROR_INVALID, "%s", longer);
    error_wrap(&err, "%s", longer);
    CHECK_EQUAL(strlen(err.message), ERROR_MESSAGE_MAX - 1);
}

static void arena_aligns_and_keeps(void) {
    struct arena arena = {0};
    unsigned char *blocks[200];
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < 200; i++) {
            blocks[i] = arena_alloc(&arena, i * 37 + 1, 1);
            CHECK((size_t)blocks[i] % 64 == 0);
            memset(blocks[i], (int)i, i * 37 + 1);
        }
        for (size_t i = 0; i < 200; i++)
            CHECK(blocks[i][0] == i % 256 && blocks[i][i * 37] == i % 256);
        arena_reset(&arena);
    }
    CHECK_TEXT(arena_format(&arena, "%d-%s", 5, "a"), "5-a");
    CHECK_TEXT(arena_text(&arena, "abcdef", 3), "abc");
    const void *kept = arena.chunk;
    arena_trim(&arena, 1 << 20);
    CHECK(arena.chunk == kept);
    arena_alloc(&arena, 2 << 20, 1);
    arena_trim(&arena, 1 << 20);
    CHECK(!arena.chunk);
    arena_done(&arena);
}

static void pages_give_zeros(void) {
    static const size_t sizes[] = {1, 64, 100, 5 << 20, 15 << 20, 40 << 20, 3};
    struct pages pages = {0};
    unsigned char *last = NULL;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *piece = pages_take(&pages, sizes[i]);
        CHECK((size_t)piece % 64 == 0 && piece != last);
        CHECK(piece[0] == 0 && piece[sizes[i] - 1] == 0);
        memset(piece, 0xff, sizes[i]);
        CHECK(!last || last[0] == 0xff);
        last = piece;
    }
    pages_done(&pages);
    pages_done(&pages);
}

static void topk_agrees_with_sorting(void) {
    enum { N = 500 };
    unsigned long long seed = 1;
    struct arena arena = {0};
    for (size_t k = 0; k <= N + 10; k = k * 2 + 1) {
        struct scored all[N];
        struct topk topk;
        topk_init(&topk, k, &arena);
        for (uint32_t i = 0; i < N; i++) { /* few distinct scores: many ties */
            all[i] = (struct scored){(float)(check_random(&seed) % 20), i * 7 % N};
            topk_push(&topk, all[i].score, all[i].docid);
        }
        CHECK(!topk_push(&topk, NAN, 1));
        topk_sort(&topk);
        scored_sort(all, N);
        CHECK_EQUAL(topk.n, k < N ? k : N);
        for (size_t i = 0; i < topk.n; i++)
            CHECK(topk.heap[i].docid == all[i].docid && topk.heap[i].score == all[i].score);
    }
    arena_done(&arena);
}

static void map_finds_what_was_put(void) {
    struct map map = {0};
    struct arena arena = {0};
    CHECK(!map_find(&map, "x", 1));
    for (uint32_t i = 0; i < 5000; i++) {
        bool is_new;
        char *key = arena_format(&arena, "key%u", i % 2500);
        uint32_t *value = map_put(&map, key, strlen(key), i, &is_new);
        CHECK(is_new == (i < 2500) && *value == i % 2500);
    }
    CHECK_EQUAL(map.n, 2500);
    CHECK(!map_find(&map, "key2500", 7));
    CHECK_EQUAL(*map_find(&map, "key2499", 7), 2499);
    map_clear(&map);
    CHECK(!map_find(&map, "key2499", 7));
    map_done(&map);
    arena_done(&arena);
}

struct pool_sum {
    atomic_size_t sum;
    atomic_int busy[8], twice; /* twice: calls that found their worker busy */
};

static void add_item(void *context, size_t item, size_t worker) {
    struct pool_sum *sum = context;
    if (atomic_fetch_add(&sum->busy[worker], 1) != 0)
        atomic_fetch_add(&sum->twice, 1);
    atomic_fetch_add(&sum->sum, item);
    atomic_fetch_sub(&sum->busy[worker], 1);
}

/* Each member adds its number to a cell that the others read in the next step. */
struct team_sums {
    struct team team;
    size_t cells[4], wrong[4];
};

static void add_together(void *context, size_t member, size_t worker) {
    enum { STEPS = 2000 };
    struct team_sums *sums = context;
    size_t n = sums->team.members_n;
    for (size_t step = 0; step < STEPS; step++) {
        sums->cells[member] = step + worker;
        team_wait(&sums->team);
        for (size_t i = 0; i < n; i++)
            sums->wrong[member] += sums->cells[i] != step + i;
        team_wait(&sums->team);
    }
}

static void team_goes_step_by_step(void) {
    struct pool *pool = pool_open(4);
    for (size_t members_n = 1; members_n <= pool_workers_n(pool); members_n++) {
        struct team_sums sums = {.team.members_n = members_n};
        pool_run_together(pool, members_n, add_together, &sums);
        CHECK_EQUAL(sums.wrong[0] + sums.wrong[1] + sums.wrong[2] + sums.wrong[3], 0);
        for (size_t n = 0; n < 200; n += 7) {
            size_t at = 0;
            for (size_t m = 0; m < members_n; m++) {
                size_t begin, end;
                team_share(&sums.team, m, n, 16, &begin, &end);
                CHECK(begin == at && end >= begin && (end % 16 == 0 || end == n));
                at = end;
            }
            CHECK_EQUAL(at, n);
        }
    }
    pool_close(pool);
}

static void pool_runs_each_item_once(void) {
    struct pool *pool = pool_open(4);
    for (size_t n = 0; n < 300; n++) {
        struct pool_sum sum = {0};
        pool_run(pool, n, add_item, &sum);
        CHECK_EQUAL(sum.sum, n ? n * (n - 1) / 2 : 0);
        CHECK_EQUAL(sum.twice, 0);
    }
    pool_close(pool);
    pool_close(NULL);
}

static void json_reads_and_checks(void) {
    struct error err;
    const char *text = "{\"a\":1,\"b\":\"x\",\"c\":[1.5,null],\"d\":true,\"n\":null}";
    struct json *root = json_parse(text, strlen(text), &err);
    CHECK(root);
    uint32_t number = 9;
    CHECK_OK(json_read_u32(root, "a", 0, 5, &number, &err), err);
    CHECK_EQUAL(number, 1);
    number = 9;
    CHECK_OK(json_read_u32(root, "n", 0, 5, &number, &err), err);
    CHECK_OK(json_read_u32(root, "absent", 0, 5, &number, &err), err);
    CHECK_EQUAL(number, 9);
    CHECK(!json_read_u32(root, "a", 2, 5, &number, &err));
    CHECK_TEXT(err.message, "\"a\" must be between 2 and 5, found 1");
    CHECK(!json_read_u32(root, "b", 2, 5, &number, &err));
    CHECK_TEXT(err.message, "\"b\" must be a number, found a string");
    CHECK_EQUAL(json_count(json_get(root, "c")), 2);
    CHECK_NEAR(json_number_of(json_at(json_get(root, "c"), 0)), 1.5, 0);
    CHECK(!json_at(json_get(root, "c"), 2));
    CHECK(!json_get(NULL, "c"));
    struct buf out = {0};
    json_print(root, &out);
    CHECK_TEXT(out.data, text);
    json_release(root);
    buf_done(&out);

    const char *bad[] = {"", "{", "[1,]", "{\"a\":1}x", "\"\xff\"", "nul", "[1e999]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(!json_parse(bad[i], strlen(bad[i]), &err));
    const char *rude = "{\"a\":\x1b[2J\xc2\x9b\xf0\x9f}", *quoted = "[\xc3\xa9]";
    CHECK(!json_parse(rude, strlen(rude), &err)); /* no escape reaches a terminal */
    CHECK(err.message[strcspn(err.message, "\x1b\x9b\xf0")] == '\0');
    CHECK(!json_parse(quoted, strlen(quoted), &err) && strchr(err.message, '\xc3'));
    char deep[200];
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    CHECK(!json_parse(deep, 200, &err));
    CHECK_EQUAL(err.code, ERROR_LIMIT);
}

static void json_keeps_floats_and_mends_utf8(void) {
    unsigned long long seed = 3;
    struct error err;
    float values[64];
    for (size_t i = 0; i < 64; i++)
        values[i] = check_random_float(&seed) * (i % 2 ? 1e-6f : 1e3f);
    struct json *array = json_new_floats(values, 64);
    json_push(array, json_new_string("a\xff"
                                     "b",
                                     3));
    json_push(array, json_new_number(1e15));
    json_push(array, json_new_number(NAN));
    struct buf out = {0};
    json_print(array, &out);
    json_release(array);
    struct json *back = json_parse(out.data, out.len, &err);
    CHECK(back);
    for (size_t i = 0; i < 64; i++)
        CHECK((float)json_number_of(json_at(back, i)) == values[i]);
    CHECK_TEXT(json_string_of(json_at(back, 64), NULL), "a\xef\xbf\xbd"
                                                        "b");
    CHECK(strstr(out.data, ",1000000000000000,null]"));
    json_release(back);
    buf_done(&out);
}

static void files_are_written_whole(void) {
    struct error err;
    char folder[] = "/tmp/tercet-base-XXXXXX";
    CHECK(mkdtemp(folder));
    char path[256], deep[256];
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(deep, sizeof deep, "%s/a/b/c", folder);
    CHECK_OK(file_make_folder(deep, &err), err);
    CHECK_OK(file_make_folder(deep, &err), err);
    CHECK(file_is_folder(deep));
    CHECK_OK(file_write_atomic(path, "hello", 5, &err), err);
    CHECK_OK(file_write_atomic(path, "bye", 3, &err), err);
    struct buf buf = {0};
    CHECK_OK(file_read(path, 10, &buf, &err), err);
    CHECK_TEXT(buf.data, "bye");
    CHECK(!file_read(path, 2, &buf, &err));
    CHECK_EQUAL(err.code, ERROR_LIMIT);
    struct file_map map;
    CHECK(!file_map_open(deep, &map, &err));
    CHECK(!file_map_open("/nowhere/at/all", &map, &err));
    CHECK_EQUAL(err.code, ERROR_NOT_FOUND);
    CHECK(!file_make_folder(path, &err)); /* a file stands there */
    CHECK_OK(file_write_atomic(path, "", 0, &err), err);
    CHECK_OK(file_map_open(path, &map, &err), err);
    CHECK_EQUAL(map.len, 0);
    file_map_close(&map);
    buf_done(&buf);
    unlink(path);
    snprintf(path, sizeof path, "rm -r '%s'", folder);
    CHECK_EQUAL(system(path), 0);
}

/* ---- base64 ---- */

static void test_base64(void) {
    static const char *const pairs[][2] = {/* RFC 4648, section 10 */
                                           {"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    static const char *const wrong[] = {"Z", "Zg=", "Z===", "Zg==Zg==", "Zm 9", "Zm9\x80"};
    struct error err;
    uint8_t bytes[64];
    size_t len;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct buf text = {0};
        base64_print(pairs[i][0], strlen(pairs[i][0]), &text);
        CHECK_EQUAL(text.len, strlen(pairs[i][1]));
        CHECK(memcmp(text.data ? text.data : "", pairs[i][1], text.len) == 0);
        CHECK(base64_parse(pairs[i][1], strlen(pairs[i][1]), bytes, &len, &err));
        CHECK(len == strlen(pairs[i][0]) && memcmp(bytes, pairs[i][0], len) == 0);
        buf_done(&text);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(!base64_parse(wrong[i], strlen(wrong[i]), bytes, &len, &err));
}

/* Any length comes back, and of a wrong character it says where. */
static void long_base64_comes_back(void) {
    enum { LONGEST = 1100 };
    unsigned long long seed = 5;
    uint8_t bytes[LONGEST], again[LONGEST + 3];
    for (size_t n = 0; n <= LONGEST; n += 1 + n / 40) {
        struct buf text = {0};
        struct error err;
        size_t len;
        char where[32];
        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)(check_random(&seed) >> 40);
        base64_print(bytes, n, &text);
        CHECK(base64_parse(text.data, text.len, again, &len, &err));
        CHECK(len == n && memcmp(again, bytes, n) == 0);
        if (n >= 3) {
            size_t at = check_random(&seed) % (n / 3 * 4);
            text.data[at] = '-';
            CHECK(!base64_parse(text.data, text.len, again, &len, &err));
            snprintf(where, sizeof where, "character %zu", at);
            CHECK(strstr(err.message, where) && !strstr(err.message, where)[strlen(where)]);
        }
        buf_done(&text);
    }
}

int main(void) {
    error_keeps_code_and_adds_context();
    arena_aligns_and_keeps();
    pages_give_zeros();
    topk_agrees_with_sorting();
    map_finds_what_was_put();
    pool_runs_each_item_once();
    team_goes_step_by_step();
    json_reads_and_checks();
    json_keeps_floats_and_mends_utf8();
    files_are_written_whole();
    test_base64();
    long_base64_comes_back();
    return check_result();
}
