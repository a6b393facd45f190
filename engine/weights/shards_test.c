/* Several files seen as one: what is found where, and every way in which map and files disagree. */
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/weights/fixture.h"
#include "engine/weights/shards.h"
#include "tests/check.h"

enum { PATH_LEN = 512 };
static char folder[PATH_LEN];

static void path_of(const char *name, char out[2 * PATH_LEN]) {
    snprintf(out, 2 * PATH_LEN, "%s/%s", folder, name);
}

static void put(const char *name, const void *data, size_t len) {
    char path[2 * PATH_LEN];
    struct error err;
    path_of(name, path);
    CHECK_OK(file_write_atomic(path, data, len, &err), err);
}

static void drop(const char *name) {
    char path[2 * PATH_LEN];
    path_of(name, path);
    CHECK_EQUAL(unlink(path), 0);
}

static void put_safetensors(const char *name, const char *header, const void *data,
                            size_t data_len) {
    struct buf file = fixture_safetensors(header, data, data_len);
    put(name, file.data, file.len);
    buf_done(&file);
}

static const char *const index_of[] = {SHARDS_SAFETENSORS_INDEX, SHARDS_TORCH_INDEX};

static struct model_files *files_open; /* the weights of the last call borrow from it */

static bool open_as(size_t kind, const char *index, struct weights **out, struct error *err) {
    struct model_files *files = NULL;
    put(index_of[kind], index, strlen(index));
    CHECK_OK(model_files_open(folder, &files, err), *err);
    bool ok = shards_open(files, index_of[kind], out, err);
    model_files_close(files_open);
    files_open = files;
    return ok;
}

static void refused_as(size_t kind, const char *index, enum error_code code, const char *says,
                       const char *says_too) {
    struct weights *weights = NULL;
    struct error err = {0};
    bool opened = open_as(kind, index, &weights, &err);
    CHECK(!opened);
    bool named = err.code == code && strstr(err.message, folder) && strstr(err.message, says) &&
                 strstr(err.message, says_too);
    if (!named)
        fprintf(stderr, "  code %d: %s\n  expected in it: %s, %s\n", err.code, err.message, says,
                says_too);
    CHECK(named);
    if (opened)
        weights_close(weights);
}

static void refused(const char *index, enum error_code code, const char *says,
                    const char *says_too) {
    refused_as(0, index, code, says, says_too);
}

/* ---- files ---- */

#define HEAD(name, dtype, shape, offsets)                                                          \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
#define MAP(members) "{\"metadata\":{\"total_size\":7},\"weight_map\":{" members "}}"

static const float a_values[] = {1, 2, 3, 4, 5, 6}, b_values[] = {-1, 0.5f}, scales[] = {0.5f, 2};

/* one: a F32 [2, 3], q I8 [2, 2] without its scales; two: b F16, q_scale, ids I64. */
static void put_two_shards(void) {
    unsigned char one[28], two[20] = {0};
    const unsigned short b_bits[] = {0xbc00, 0x3800};
    const signed char q[] = {2, -4, 3, 127};
    memcpy(one, a_values, 24);
    memcpy(one + 24, q, 4);
    memcpy(two, b_bits, 4);
    memcpy(two + 4, scales, 8);
    put_safetensors(
        "one.safetensors",
        "{" HEAD("a", "F32", "[2,3]", "[0,24]") "," HEAD("q", "I8", "[2,2]", "[24,28]") "}", one,
        sizeof one);
    put_safetensors(
        "two.safetensors",
        "{" HEAD("b", "F16", "[2]", "[0,4]") "," HEAD("q_scale", "F32", "[2,1]", "[4,12]") "," HEAD(
            "ids", "I64", "[1]", "[12,20]") "}",
        two, sizeof two);
}

#define A "\"a\":\"one.safetensors\","
#define Q "\"q\":\"one.safetensors\","
#define B "\"b\":\"two.safetensors\","
#define SCALE "\"q_scale\":\"two.safetensors\","
#define IDS "\"ids\":\"two.safetensors\""
#define WHOLE MAP(A Q B SCALE IDS)

static void two_files_are_one(void) {
    static const char *const names[] = {"a", "q", "b", "q_scale", "ids"};
    struct weights *weights = NULL;
    struct error err = {0};
    float out[6];
    CHECK_OK(open_as(0, WHOLE, &weights, &err), err);
    if (!weights)
        return;
    CHECK_OK(weights_read_f32(weights, "a", 2, 3, out, &err), err);
    CHECK(memcmp(out, a_values, sizeof a_values) == 0);
    CHECK_OK(weights_read_f32(weights, "b", 1, 2, out, &err), err);
    CHECK(memcmp(out, b_values, sizeof b_values) == 0);
    CHECK_OK(weights_read_f32(weights, "q", 2, 2, out, &err), err); /* scales from the other */
    CHECK(out[0] == 1 && out[1] == -2 && out[2] == 6 && out[3] == 254);
    CHECK_EQUAL(weights_count(weights), 5);
    for (size_t i = 0; i < 5 && i < weights_count(weights); i++) {
        CHECK_TEXT(weights_name(weights, i), names[i]);
        CHECK(strstr(weights_file(weights, i), i < 2 ? "/one.safetensors" : "/two.safetensors"));
    }
    CHECK(weights_find(weights, "a") && !weights_find(weights, "ids"));
    CHECK(!weights_read_f32(weights, "b", 3, 2, out, &err));
    CHECK(strstr(err.message, "/two.safetensors: ") && strstr(err.message, "[3, 2]"));
    CHECK(!weights_read_f32(weights, "c", 3, 2, out, &err));
    CHECK_EQUAL(err.code, ERROR_NOT_FOUND);
    CHECK(strstr(err.message, SHARDS_SAFETENSORS_INDEX) && strstr(err.message, "\"c\""));
    weights_close(weights);
}

static void names_are_listed(void) {
    struct arena arena = {0};
    struct model_files *files = NULL;
    struct shard_names names = {0};
    struct error err = {0};
    put(SHARDS_SAFETENSORS_INDEX, WHOLE, strlen(WHOLE));
    CHECK_OK(model_files_open(folder, &files, &err), err);
    CHECK_OK(shards_list(files, SHARDS_SAFETENSORS_INDEX, &arena, &names, &err), err);
    CHECK_EQUAL(names.n, 2);
    if (names.n == 2) {
        CHECK_TEXT(names.names[0], "one.safetensors");
        CHECK_TEXT(names.names[1], "two.safetensors");
    }
    CHECK(!shards_list(files, SHARDS_TORCH_INDEX, &arena, &names, &err));
    CHECK_EQUAL(err.code, ERROR_NOT_FOUND);
    model_files_close(files);
    arena_done(&arena);
}

static void torch_files_too(void) {
    static const struct fixture_tensor x = {"x", "FloatStorage", "0", 0, 2, {2, 3}, {3, 1}};
    static const struct fixture_tensor y = {"y", "FloatStorage", "0", 4, 1, {2}, {1}};
    static const struct fixture_tensor *const tensors[] = {&x, &y};
    static const char *const names[] = {"x.bin", "y.bin"};
    struct weights *weights = NULL;
    struct error err = {0};
    float out[6];
    for (size_t i = 0; i < 2; i++) {
        struct fixture_zip zip = {0};
        struct buf pickle = fixture_pickle(tensors[i], 1);
        fixture_zip_add(&zip, "p/data.pkl", pickle.data, pickle.len);
        fixture_zip_add(&zip, "p/data/0", a_values, sizeof a_values);
        struct buf file = fixture_zip_end(&zip);
        put(names[i], file.data, file.len);
        buf_done(&file);
        buf_done(&pickle);
    }
    CHECK_OK(open_as(1, MAP("\"x\":\"x.bin\",\"y\":\"y.bin\""), &weights, &err), err);
    if (weights) {
        CHECK_OK(weights_read_f32(weights, "x", 2, 3, out, &err), err);
        CHECK(memcmp(out, a_values, sizeof a_values) == 0);
        CHECK_OK(weights_read_f32(weights, "y", 1, 2, out, &err), err);
        CHECK(out[0] == 5 && out[1] == 6);
        weights_close(weights);
    }
    refused_as(1, MAP(A Q B SCALE IDS), ERROR_UNSUPPORTED, "does not end in .bin", "\"a\"");
    refused(MAP("\"x\":\"x.bin\""), ERROR_UNSUPPORTED, "does not end in .safetensors", "x.bin");
}

/* ---- what must be refused ---- */

static void broken_indexes(void) {
    refused("", ERROR_INVALID, SHARDS_SAFETENSORS_INDEX, "JSON");
    refused("{", ERROR_INVALID, SHARDS_SAFETENSORS_INDEX, "JSON");
    refused("[]", ERROR_INVALID, "weight_map", "found nothing");
    refused("{}", ERROR_INVALID, "weight_map", "found nothing");
    refused("{\"weight_map\":[]}", ERROR_INVALID, "weight_map", "an array");
    refused(MAP(""), ERROR_INVALID, "weight_map", "an object");
    refused(MAP("\"a\":7"), ERROR_INVALID, "\"a\"", "must be a string, found a number");
    refused(MAP("\"a\":\"three.txt\""), ERROR_UNSUPPORTED, "three.txt", ".safetensors");
}

static void names_do_not_escape(void) {
    static const char *const names[] = {"",
                                        ".",
                                        "..",
                                        "../one.safetensors",
                                        "/etc/one.safetensors",
                                        "sub/one.safetensors",
                                        "..\\\\one.safetensors",
                                        ".one.safetensors",
                                        "one.safetensors\\u0000.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char index[256];
        snprintf(index, sizeof index, MAP("\"a\":\"%s\""), names[i]);
        refused(index, ERROR_INVALID, "\"a\"", "plain file name");
    }
    struct buf index = {0};
    buf_text(&index, "{\"weight_map\":{\"a\":\"");
    for (size_t i = 0; i < 256; i++)
        buf_text(&index, "x");
    buf_text(&index, ".safetensors\"}}");
    refused(index.data, ERROR_INVALID, "\"a\"", "plain file name");
    buf_done(&index);
}

static void too_many_files(void) {
    struct buf index = {0};
    buf_text(&index, "{\"weight_map\":{");
    for (size_t i = 0; i <= 100; i++)
        buf_format(&index, "%s\"t%zu\":\"f%zu.safetensors\"", i ? "," : "", i, i);
    buf_text(&index, "}}");
    refused(index.data, ERROR_LIMIT, "weight_map", "more than 100 files");
    buf_done(&index);
}

static void map_and_files_disagree(void) {
    refused(MAP(A Q B SCALE "\"ids\":\"three.safetensors\""), ERROR_NOT_FOUND,
            SHARDS_SAFETENSORS_INDEX, "/three.safetensors");
    refused(MAP(A Q B SCALE "\"ids\":\"one.safetensors\""), ERROR_CORRUPT,
            "\"ids\" is expected in one.safetensors", "found in");
    refused(MAP(A Q B SCALE IDS ",\"c\":\"two.safetensors\""), ERROR_CORRUPT,
            "/two.safetensors: tensor \"c\" is missing", SHARDS_SAFETENSORS_INDEX);
    refused(MAP(A Q SCALE IDS), ERROR_CORRUPT,
            "/two.safetensors: tensor \"b\" is not in weight_map", SHARDS_SAFETENSORS_INDEX);
    put_safetensors("three.safetensors", "{" HEAD("a", "F32", "[1]", "[0,4]") "}", NULL, 4);
    put_safetensors("four.safetensors", "{" HEAD("d", "F32", "[1]", "[0,8]") "}", NULL, 8);
    refused(MAP(A Q B SCALE IDS ",\"e\":\"three.safetensors\""), ERROR_CORRUPT,
            "\"a\" stands twice: in", "three.safetensors");
    refused(MAP(A Q B SCALE IDS ",\"d\":\"four.safetensors\""), ERROR_CORRUPT,
            "/four.safetensors: tensor \"d\"", "shape and dtype");
    put("four.safetensors", "", 0);
    refused(MAP(A Q B SCALE IDS ",\"d\":\"four.safetensors\""), ERROR_CORRUPT, "/four.safetensors",
            "too short");
    drop("three.safetensors");
    drop("four.safetensors");
}

/* Scales that stand in neither file: the tensor is there and cannot be read. */
static void scales_may_be_missing(void) {
    struct weights *weights = NULL;
    struct error err = {0};
    float out[4];
    drop("two.safetensors");
    CHECK_OK(open_as(0, MAP(A "\"q\":\"one.safetensors\""), &weights, &err), err);
    CHECK(!weights_read_f32(weights, "q", 2, 2, out, &err));
    CHECK_EQUAL(err.code, ERROR_UNSUPPORTED);
    CHECK(strstr(err.message, "/one.safetensors: ") && strstr(err.message, "q_scale"));
    weights_close(weights);
}

int main(void) {
    char command[2 * PATH_LEN];
    const char *temporary = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/tercet-shards-XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(folder))
        return 1;
    put_two_shards();
    two_files_are_one();
    names_are_listed();
    torch_files_too();
    broken_indexes();
    names_do_not_escape();
    too_many_files();
    map_and_files_disagree();
    scales_may_be_missing();
    model_files_close(files_open);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CHECK_EQUAL(system(command), 0);
    return check_result();
}
