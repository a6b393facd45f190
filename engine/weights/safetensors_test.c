/* safetensors: what is read must be exact, and what is broken must be refused by name. */
#include "engine/weights/fixture.h"
#include "engine/weights/weights.h"
#include "tests/check.h"

#define HEAD(name, dtype, shape, offsets)                                                          \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" offsets "]}"

static struct weights *open_ok(const struct buf *file) {
    struct weights *weights = NULL;
    struct error err;
    CHECK_OK(weights_open((const uint8_t *)file->data, file->len, "test.st", &weights, &err), err);
    return weights;
}

/* Opening must fail with this code, the file's name and `says` in the message. The bytes are given
 * in a block of their own size, so that a sanitizer sees a read behind the end. */
static void refused(const struct buf *file, enum error_code code, const char *says) {
    struct weights *weights = NULL;
    struct error err = {0};
    uint8_t *exact = malloc(file->len ? file->len : 1);
    if (file->len)
        memcpy(exact, file->data, file->len);
    bool opened = weights_open(exact, file->len, "test.st", &weights, &err);
    CHECK(!opened);
    CHECK_EQUAL(err.code, code);
    if (!strstr(err.message, says) || !strstr(err.message, "test.st"))
        fprintf(stderr, "  message: %s\n  expected in it: %s\n", err.message, says);
    CHECK(strstr(err.message, says) && strstr(err.message, "test.st"));
    if (opened)
        weights_close(weights);
    free(exact);
}

static void refused_header(const char *header, size_t data_len, enum error_code code,
                           const char *says) {
    struct buf file = fixture_safetensors(header, NULL, data_len);
    refused(&file, code, says);
    buf_done(&file);
}

static void reads_every_dtype_exactly(void) {
    const char *header = "{\"__metadata__\":{\"format\":\"pt\"},"
                         "\"ids\":{\"dtype\":\"I64\",\"shape\":[1,2],\"data_offsets\":[0,16]},"
                         "\"single\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[16,24]},"
                         "\"half\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[24,30]},"
                         "\"brain\":{\"dtype\":\"BF16\",\"shape\":[2,1],\"data_offsets\":[30,34]},"
                         "\"byte\":{\"dtype\":\"I8\",\"shape\":[2,3],\"data_offsets\":[34,40]},"
                         "\"byte_scale\":{\"dtype\":\"F32\",\"shape\":[2,1],"
                         "\"data_offsets\":[40,48]},"
                         "\"none\":{\"dtype\":\"F32\",\"shape\":[0,4],\"data_offsets\":[48,48]}} ";
    unsigned char data[48] = {0};
    const float single[] = {1.5f, -3e-30f}, scales[] = {0.25f, 2.0f};
    const unsigned short half[] = {0x3c00, 0xc000, 0x0001}; /* 1, -2, 2^-24 */
    const unsigned short brain[] = {0x3f80, 0xc0a0};        /* 1, -5 */
    const signed char bytes[] = {1, -127, 4, 3, -1, 0};
    memcpy(data + 16, single, 8);
    memcpy(data + 24, half, 6);
    memcpy(data + 30, brain, 4);
    memcpy(data + 34, bytes, 6);
    memcpy(data + 40, scales, 8);
    struct buf file = fixture_safetensors(header, data, sizeof data);
    struct weights *weights = open_ok(&file);
    struct error err;
    float out[6];
    CHECK_OK(weights_read_f32(weights, "single", 1, 2, out, &err), err);
    CHECK(out[0] == 1.5f && out[1] == -3e-30f);
    CHECK_OK(weights_read_f32(weights, "half", 1, 3, out, &err), err);
    CHECK(out[0] == 1.0f && out[1] == -2.0f && out[2] == 0x1p-24f);
    CHECK_OK(weights_read_f32(weights, "brain", 2, 1, out, &err), err);
    CHECK(out[0] == 1.0f && out[1] == -5.0f);
    CHECK_OK(weights_read_f32(weights, "byte", 2, 3, out, &err), err);
    const float expected[] = {0.25f, -31.75f, 1.0f, 6.0f, -2.0f, 0.0f};
    CHECK(memcmp(out, expected, sizeof expected) == 0);
    CHECK(weights_find(weights, "ids") == NULL);
    CHECK(weights_find(weights, "single")->dtype == WEIGHTS_F32);
    CHECK(weights_find(weights, "byte")->row_scales != NULL);
    CHECK(weights_find(weights, "__metadata__") == NULL);
    weights_close(weights);
    buf_done(&file);
}

/* All 65,536 patterns of F16 and of BF16, against the definition of their bits. */
static void reads_every_pattern(void) {
    enum { N = 65536 };
    uint16_t *bits = malloc(N * sizeof *bits);
    float *out = malloc(N * sizeof *out);
    for (int brain = 0; brain < 2; brain++) {
        int mantissa_bits = brain ? 7 : 10, top = brain ? 255 : 31, bias = brain ? 127 : 15;
        size_t n = 0, wrong_n = 0;
        char header[128];
        for (uint32_t i = 0; i < N; i++)
            if ((int)(i >> mantissa_bits & (uint32_t)top) != top) /* not infinity, not NaN */
                bits[n++] = (uint16_t)i;
        snprintf(header, sizeof header,
                 "{\"w\":{\"dtype\":\"%s\",\"shape\":[%zu],\"data_offsets\":[0,%zu]}}",
                 brain ? "BF16" : "F16", n, 2 * n);
        struct buf file = fixture_safetensors(header, bits, 2 * n);
        struct weights *weights = open_ok(&file);
        struct error err;
        CHECK_OK(weights_read_f32(weights, "w", 1, n, out, &err), err);
        for (size_t i = 0; i < n; i++) {
            int exponent = bits[i] >> mantissa_bits & top;
            double mantissa = bits[i] & ((1 << mantissa_bits) - 1);
            if (exponent > 0)
                mantissa += 1 << mantissa_bits;
            double value = ldexp(mantissa, (exponent ? exponent : 1) - bias - mantissa_bits);
            wrong_n += (double)out[i] != (bits[i] >> 15 ? -value : value);
        }
        CHECK(n > 60000);
        CHECK_EQUAL(wrong_n, 0);
        weights_close(weights);
        buf_done(&file);
    }
    free(bits);
    free(out);
}

/* int8 whose rows have no values, or one each; rows read one by one are those of the whole. */
static void reads_rows_of_any_width(void) {
    /* clang-format off */
    static const char header[] =
        "{" HEAD("empty", "I8", "2,0", "0,0")
        "," HEAD("empty_scale", "F32", "2,1", "0,8")
        "," HEAD("vector", "I8", "3", "8,11")
        "," HEAD("vector_scale", "F32", "3", "11,23")
        "," HEAD("matrix", "I8", "2,2", "23,27")
        "," HEAD("matrix_scale", "F32", "2", "27,35")
        "," HEAD("none", "F32", "0,4", "35,35")
        "," HEAD("thin", "F32", "9007199254740992,0", "35,35") "}"; /* 2^53 */
    /* clang-format on */
    const float two[] = {2, -1}, three[] = {0.5f, 1, 2};
    const signed char vector[] = {2, -3, 100}, matrix[] = {1, 2, 3, -4};
    unsigned char data[35];
    memcpy(data, two, 8);
    memcpy(data + 8, vector, 3);
    memcpy(data + 11, three, 12);
    memcpy(data + 23, matrix, 4);
    memcpy(data + 27, two, 8);
    static const struct {
        const char *name;
        size_t rows, columns;
        float values[4];
    } cases[] = {{"empty", 2, 0, {0}},
                 {"vector", 1, 3, {1, -3, 200}},
                 {"matrix", 2, 2, {2, 4, -3, 4}},
                 {"none", 0, 4, {0}}};
    struct buf file = fixture_safetensors(header, data, sizeof data);
    struct weights *weights = open_ok(&file);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t rows = cases[i].rows, columns = cases[i].columns;
        struct weights_rows by_row;
        struct error err;
        float out[4];
        CHECK_OK(weights_read_f32(weights, cases[i].name, rows, columns, out, &err), err);
        CHECK(memcmp(out, cases[i].values, rows * columns * sizeof *out) == 0);
        CHECK_OK(weights_rows_open(weights, cases[i].name, rows, columns, &by_row, &err), err);
        for (size_t row = 0; row < rows; row++) {
            weights_rows_read(&by_row, row, out);
            CHECK(memcmp(out, cases[i].values + row * columns, columns * sizeof *out) == 0);
        }
    }
    struct weights_rows thin;
    struct error err;
    CHECK_OK(weights_rows_open(weights, "thin", (size_t)1 << 53, 0, &thin, &err),
             err); /* at once */
    weights_close(weights);
    buf_done(&file);
}

static void says_what_does_not_fit(void) {
    const char *header = "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                         "\"whole\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[24,28]},"
                         "\"bare\":{\"dtype\":\"I8\",\"shape\":[4,1],\"data_offsets\":[28,32]}}";
    float values[8] = {1, 2, NAN, 4, 5, 6, 7, 8}, out[6] = {0};
    struct buf file = fixture_safetensors(header, values, sizeof values);
    struct weights *weights = open_ok(&file);
    struct error err = {0};
    CHECK(!weights_read_f32(weights, "b", 2, 3, out, &err));
    CHECK_EQUAL(err.code, ERROR_NOT_FOUND);
    CHECK(strstr(err.message, "test.st") && strstr(err.message, "\"b\""));
    CHECK(!weights_read_f32(weights, "a", 3, 2, out, &err));
    CHECK_EQUAL(err.code, ERROR_INVALID);
    CHECK(strstr(err.message, "[3, 2]") && strstr(err.message, "[2, 3]"));
    CHECK_OK(weights_read_f32(weights, "a", 2, 3, NULL, &err), err);
    CHECK(!weights_read_f32(weights, "a", 2, 3, out, &err));
    CHECK_EQUAL(err.code, ERROR_CORRUPT);
    CHECK(strstr(err.message, "\"a\"") && strstr(err.message, "NaN"));
    CHECK(!weights_read_f32(weights, "whole", 1, 1, out, &err));
    CHECK_EQUAL(err.code, ERROR_UNSUPPORTED);
    CHECK(strstr(err.message, "I32"));
    CHECK(!weights_read_f32(weights, "bare", 4, 1, out, &err)); /* no bare_scale */
    CHECK_EQUAL(err.code, ERROR_UNSUPPORTED);
    weights_close(weights);
    buf_done(&file);
}

#define TENSOR(shape, offsets)                                                                     \
    "{\"w\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void refuses_broken_headers(void) {
    refused_header("{", 0, ERROR_INVALID, "header");
    refused_header("[]", 0, ERROR_CORRUPT, "header");
    refused_header("{\"w\":7}", 0, ERROR_CORRUPT, "\"w\"");
    refused_header("{\"w\":{}}", 0, ERROR_UNSUPPORTED, "\"w\"");
    refused_header("{\"w\":{\"dtype\":\"F7\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
                   ERROR_UNSUPPORTED, "F7");
    refused_header("{\"w\":{\"dtype\":7}}", 0, ERROR_INVALID, "\"w\"");
    refused_header(TENSOR("[1]", "[0,8]"), 8, ERROR_CORRUPT, "\"w\"");
    refused_header(TENSOR("[1]", "[0,4]"), 3, ERROR_CORRUPT, "\"w\"");
    refused_header(TENSOR("[1]", "[0,4]"), 5, ERROR_CORRUPT, "hole");
    refused_header(TENSOR("[1]", "[1,5]"), 5, ERROR_CORRUPT, "hole");
    refused_header(TENSOR("[1]", "[4,0]"), 4, ERROR_CORRUPT, "\"w\"");
    refused_header(TENSOR("[1]", "[-4,0]"), 4, ERROR_CORRUPT, "natural");
    refused_header(TENSOR("[1]", "[0.5,4.5]"), 4, ERROR_CORRUPT, "natural");
    refused_header(TENSOR("[1]", "[0,1e300]"), 4, ERROR_CORRUPT, "natural");
    refused_header(TENSOR("[1]", "[0]"), 4, ERROR_CORRUPT, "natural");
    refused_header(TENSOR("[-1]", "[0,4]"), 4, ERROR_CORRUPT, "\"w\"");
    refused_header(TENSOR("[\"1\"]", "[0,4]"), 4, ERROR_CORRUPT, "\"w\"");
    refused_header(TENSOR("7", "[0,4]"), 4, ERROR_CORRUPT, "shape");
    refused_header(TENSOR("[1,1,1,1,1]", "[0,4]"), 4, ERROR_UNSUPPORTED, "dimensions");
    refused_header(TENSOR("[4294967296,4294967296]", "[0,0]"), 0, ERROR_CORRUPT, "\"w\"");
    refused_header(TENSOR("[4294967296,1073741824]", "[0,0]"), 0, ERROR_CORRUPT, "\"w\"");
    refused_header("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                   "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}",
                   6, ERROR_CORRUPT, "\"a\" and \"b\"");
    refused_header("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\n"
                   "\"a\" :{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
                   4, ERROR_CORRUPT, "\"a\" stands twice");
}

static void refuses_broken_lengths(void) {
    struct buf file = {0};
    refused(&file, ERROR_CORRUPT, "too short");
    buf_append(&file, "\1\0\0", 3);
    refused(&file, ERROR_CORRUPT, "too short");
    buf_append(&file, "\0\0\0\0\0", 5);
    refused(&file, ERROR_CORRUPT, "header length");
    memset(file.data, 0xff, 8); /* 8 + 2^64 - 1 wraps to 7 */
    refused(&file, ERROR_CORRUPT, "header length");
    file.data[0] = (char)0xf8;
    refused(&file, ERROR_CORRUPT, "header length");
    buf_done(&file);

    char *deep = malloc(60001);
    memset(deep, '[', 60000);
    deep[60000] = '\0';
    refused_header(deep, 0, ERROR_LIMIT, "nested");
    free(deep);
}

/* Every cut and every changed byte of a whole file either opens or is refused, never crashes. */
static void survives_damage(void) {
    struct buf file =
        fixture_safetensors("{\"a\":{\"dtype\":\"I8\",\"shape\":[2,2],\"data_offsets\":[0,4]},"
                            "\"a_scale\":{\"dtype\":\"F32\",\"shape\":[2,1],"
                            "\"data_offsets\":[4,12]}}",
                            NULL, 12);
    unsigned long long seed = 7;
    for (size_t round = 0; round < 20000; round++) {
        size_t len = round < file.len ? round : file.len;
        uint8_t *bytes = malloc(len ? len : 1);
        if (len)
            memcpy(bytes, file.data, len);
        for (size_t i = 0; round >= file.len && i < 1 + round % 3; i++)
            bytes[check_random(&seed) % len] = (uint8_t)check_random(&seed);
        struct weights *weights = NULL;
        struct error err;
        float out[4];
        if (weights_open(bytes, len, "test.st", &weights, &err)) {
            (void)weights_read_f32(weights, "a", 2, 2, out, &err);
            weights_close(weights);
        }
        free(bytes);
    }
    CHECK(true);
    buf_done(&file);
}

int main(void) {
    reads_every_dtype_exactly();
    reads_every_pattern();
    reads_rows_of_any_width();
    says_what_does_not_fit();
    refuses_broken_headers();
    refuses_broken_lengths();
    survives_damage();
    return check_result();
}
