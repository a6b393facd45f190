/* PyTorch's archives made by hand: every storage, view and attribute that is read, and every way
 * of being refused, by its message. */
#include "engine/weights/fixture.h"
#include "engine/weights/weights.h"
#include "tests/check.h"

static struct weights *must_open(const struct buf *file) {
    struct error err = {0};
    struct weights *weights = fixture_open(file, &err);
    CHECK_OK(weights != NULL, err);
    if (!weights)
        exit(1);
    return weights;
}

/* ---- what is read ---- */

enum { STORED_N = 200 }; /* element i of a storage is i, or i - 100 for int8 */

/* A whole number below 2048 as IEEE half: exact. */
static uint64_t half_of(unsigned number) {
    unsigned exponent = 0;
    while (number >> (exponent + 1))
        exponent++;
    return number ? (exponent + 15) << 10 | (number << (10 - exponent) & 0x3ff) : 0;
}

static uint64_t float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

enum kind { KIND_F32, KIND_F16, KIND_BF16, KIND_I8, KINDS_N };
static const char *const kind_names[] = {"FloatStorage", "HalfStorage", "BFloat16Storage",
                                         "CharStorage"};

static struct buf storage_of(enum kind kind) {
    struct buf storage = {0};
    for (unsigned i = 0; i < STORED_N; i++)
        switch (kind) {
        case KIND_F32: fixture_number(&storage, float_bits((float)i), 4); break;
        case KIND_F16: fixture_number(&storage, half_of(i), 2); break;
        case KIND_BF16: fixture_number(&storage, float_bits((float)i) >> 16, 2); break;
        default: fixture_number(&storage, i + 156, 1); break;
        }
    return storage;
}

static void reads_every_kind(void) {
    for (enum kind kind = 0; kind < KINDS_N; kind++) {
        const struct fixture_tensor tensors[] = {
            {"w", kind_names[kind], "0", 3, 2, {4, 5}, {5, 1}},
            {"w_scale", "FloatStorage", "1", 0, 2, {4, 1}, {1, 1}},
        };
        const float scales[] = {1, 2, 0.5f, -1};
        struct buf pickle = fixture_pickle(tensors, 2), storage = storage_of(kind);
        struct fixture_zip zip = {0};
        fixture_zip_add(&zip, "x/data.pkl", pickle.data, pickle.len);
        fixture_zip_add(&zip, "x/data/0", storage.data, storage.len);
        fixture_zip_add(&zip, "x/data/1", scales, sizeof scales);
        struct buf file = fixture_zip_end(&zip);
        struct weights *weights = must_open(&file);
        struct error err;
        float out[20];
        CHECK_OK(weights_read_f32(weights, "w", 4, 5, out, &err), err);
        for (size_t i = 0; i < 20; i++) {
            float stored = kind == KIND_I8 ? (float)i + 3 - 100 : (float)i + 3;
            CHECK(out[i] == (kind == KIND_I8 ? stored * scales[i / 5] : stored));
        }
        weights_close(weights);
        buf_done(&file);
        buf_done(&storage);
        buf_done(&pickle);
    }
}

/* Known storages of other kinds are passed over, as is int8 without its scales. */
static void passes_other_kinds_over(void) {
    static const char *const kinds[] = {"DoubleStorage", "LongStorage", "IntStorage",
                                        "ShortStorage",  "ByteStorage", "BoolStorage",
                                        "CharStorage"};
    const uint8_t storage[64] = {0};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const struct fixture_tensor tensor = {"ids", kinds[i], "0", 0, 1, {8}, {1}};
        struct buf pickle = fixture_pickle(&tensor, 1);
        struct buf file = fixture_archive(&pickle, storage, sizeof storage);
        struct weights *weights = must_open(&file);
        struct error err;
        CHECK_EQUAL(weights_count(weights), 1);
        CHECK_TEXT(weights_name(weights, 0), "ids");
        CHECK_TEXT(weights_file(weights, 0), "some.bin");
        CHECK(!weights_find(weights, "ids"));
        CHECK(!weights_read_f32(weights, "ids", 1, 8, NULL, &err));
        CHECK_EQUAL(err.code, ERROR_UNSUPPORTED);
        weights_close(weights);
        buf_done(&file);
        buf_done(&pickle);
    }
}

/* A view of random shape: its axes stand in random order in the storage, with gaps between. */
static struct fixture_tensor random_view(const char *name, const char *kind,
                                         unsigned long long *seed) {
    struct fixture_tensor view = {.name = name, .kind = kind, .key = "0"};
    size_t order[2] = {0, 1};
    view.rank = 1 + check_random(seed) % 2;
    if (check_random(seed) % 2)
        order[0] = 1, order[1] = 0;
    int64_t step = 1 + (int64_t)(check_random(seed) % 3);
    for (size_t i = 0; i < 2; i++) {
        if (order[i] >= view.rank)
            continue;
        view.shape[order[i]] = 1 + (int64_t)(check_random(seed) % 5);
        view.strides[order[i]] = step;
        step *= view.shape[order[i]] + (int64_t)(check_random(seed) % 2);
    }
    view.offset = (int64_t)(check_random(seed) % 20);
    return view;
}

/* Two views of one storage, which is F32 or bf16: [i][j] is at offset + i*stride0 + j*stride1. */
static void reads_random_views(void) {
    unsigned long long seed = 11;
    for (int round = 0; round < 500; round++) {
        enum kind kind = round % 2 ? KIND_F32 : KIND_BF16;
        const struct fixture_tensor views[] = {random_view("v", kind_names[kind], &seed),
                                               random_view("w", kind_names[kind], &seed)};
        struct buf pickle = fixture_pickle(views, 2), storage = storage_of(kind);
        struct buf file = fixture_archive(&pickle, storage.data, storage.len);
        struct weights *weights = must_open(&file);
        for (size_t v = 0; v < 2; v++) {
            const struct fixture_tensor *view = &views[v];
            bool flat = view->rank == 1;
            size_t rows = flat ? 1 : (size_t)view->shape[0];
            size_t columns = (size_t)view->shape[view->rank - 1];
            struct error err = {0};
            float out[25];
            CHECK_OK(weights_read_f32(weights, view->name, rows, columns, out, &err), err);
            bool right = true;
            for (size_t i = 0; i < rows * columns; i++) {
                int64_t row = (int64_t)(i / columns), column = (int64_t)(i % columns);
                int64_t at = view->offset + column * view->strides[view->rank - 1] +
                             (flat ? 0 : row * view->strides[0]);
                right &= out[i] == (float)at;
            }
            CHECK(right);
        }
        weights_close(weights);
        buf_done(&file);
        buf_done(&storage);
        buf_done(&pickle);
    }
}

/* As torch.save writes a module's state_dict: protocol 2, an OrderedDict filled in one go, memo
 * entries, and a BUILD that hangs _metadata on it. Protocol 4 has FRAME, MEMOIZE, STACK_GLOBAL. */
static void reads_ordered_dicts(void) {
    const float stored[] = {7, 8};
    const struct fixture_tensor tensor = {"t", "FloatStorage", "0", 0, 1, {2}, {1}};
    for (int protocol = 2; protocol <= 4; protocol += 2) {
        struct buf pickle = {0};
        if (protocol == 2) {
            buf_text(&pickle, "\x80\x02"
                              "ccollections\nOrderedDict\nq\x01)Rr\x02");
            fixture_number(&pickle, 0, 3);
        } else {
            buf_text(&pickle, "\x80\x04\x95");
            fixture_number(&pickle, 1000, 8);
            buf_text(&pickle, "\x8c\x0b"
                              "collections\x94\x8c\x0b"
                              "OrderedDict\x94\x93\x94)R\x94");
        }
        buf_text(&pickle, "(");
        fixture_pickle_tensor(&pickle, &tensor);
        buf_text(&pickle, "u}(");
        fixture_text(&pickle, "_metadata");
        buf_text(&pickle, protocol == 2 ? "h\x01" : "h\x02");
        buf_text(&pickle, ")R(");
        fixture_text(&pickle, "");
        buf_text(&pickle, "}");
        fixture_text(&pickle, "version");
        buf_text(&pickle, "K\x01su"); /* {"": {"version": 1}} */
        buf_text(&pickle, "N\x88\x86M\x01\x01J\xff\xff\xff\xff\x86");
        buf_text(&pickle, "sub."); /* one more item, the end of the dict, BUILD */
        struct buf file = fixture_archive(&pickle, stored, sizeof stored);
        struct weights *weights = must_open(&file);
        struct error err;
        float out[2];
        CHECK_EQUAL(weights_count(weights), 1);
        CHECK_OK(weights_read_f32(weights, "t", 1, 2, out, &err), err);
        CHECK(out[0] == 7 && out[1] == 8);
        weights_close(weights);
        buf_done(&file);
        buf_done(&pickle);
    }
}

/* Item by item, sizes as TUPLE3, and a comment behind the end record. */
static void reads_other_ways_of_writing(void) {
    static const char tensor[] = "ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storage"
                                 "ctorch\nFloatStorage\nX\1\0\0\0"
                                 "0X\3\0\0\0cpuK\2tQ";
    static const char sizes[] = "K\1K\1K\2\x87"
                                "K\2K\2K\1\x87\x89NtRs";
    static const char *const names[] = {"a", "b", "c"};
    const float stored[] = {7, 8, 9, 10};
    struct buf pickle = {0};
    struct error err;
    float out[2];
    buf_text(&pickle, "}");
    for (size_t i = 0; i < 3; i++) {
        fixture_text(&pickle, names[i]);
        buf_append(&pickle, tensor, sizeof tensor - 1);
        fixture_int(&pickle, (int64_t)i);
        buf_append(&pickle, sizes, sizeof sizes - 1);
    }
    buf_text(&pickle, ".");
    struct buf file = fixture_archive(&pickle, stored, sizeof stored);
    file.data[file.len - 2] = 9;
    buf_text(&file, "a comment");
    struct weights *weights = must_open(&file);
    CHECK_EQUAL(weights_count(weights), 3);
    for (size_t i = 0; i < 3; i++) {
        const struct weights_tensor *found = weights_find(weights, names[i]);
        CHECK(found && found->rank == 3 && found->shape[2] == 2);
        if (found)
            memcpy(out, found->data, sizeof out);
        CHECK(found && out[0] == stored[i] && out[1] == stored[i + 1]);
        CHECK(!weights_read_f32(weights, names[i], 1, 2, out, &err));
        CHECK(strstr(err.message, "[1, 2]") && strstr(err.message, "[1, 1, 2]"));
    }
    weights_close(weights);
    buf_done(&file);
    buf_done(&pickle);
}

/* ---- zip64 ---- */

/* The same archive with every size and offset in zip64 fields, as for files beyond 4 GiB. cut: how
 * many bytes of the extra field are there; end64_magic: what the end record begins with. */
static struct buf zip64_archive(const struct buf *pickle, size_t extra, const char *end64_magic) {
    struct buf file = {0}, directory = {0};
    const float storage[] = {7, 8};
    const char *const names[] = {"x/data.pkl", "x/data/0"};
    const void *const data[] = {pickle->data, storage};
    const size_t lens[] = {pickle->len, sizeof storage};
    for (size_t i = 0; i < 2; i++) {
        size_t local = file.len, name_len = strlen(names[i]);
        buf_append(&file, "PK\3\4", 4);
        fixture_number(&file, 0, 22);
        fixture_number(&file, name_len, 2);
        fixture_number(&file, 0, 2);
        buf_text(&file, names[i]);
        buf_append(&file, data[i], lens[i]);
        buf_append(&directory, "PK\1\2", 4);
        fixture_number(&directory, 0, 16);
        fixture_number(&directory, UINT32_MAX, 4);
        fixture_number(&directory, UINT32_MAX, 4);
        fixture_number(&directory, name_len, 2);
        fixture_number(&directory, 6 + extra, 2);
        fixture_number(&directory, 0, 10);
        fixture_number(&directory, UINT32_MAX, 4);
        buf_text(&directory, names[i]);
        fixture_number(&directory, 0x7075, 2); /* another extra field stands first */
        fixture_number(&directory, 2, 2);
        fixture_number(&directory, 0, 2);
        const uint64_t values[] = {lens[i], lens[i], local};
        fixture_number(&directory, 1, 2);
        fixture_number(&directory, extra - 4, 2);
        for (size_t j = 0; j < (extra - 4) / 8; j++)
            fixture_number(&directory, values[j], 8);
    }
    size_t begin = file.len, end64 = file.len + directory.len;
    buf_append(&file, directory.data, directory.len);
    buf_text(&file, end64_magic);
    fixture_number(&file, 44, 8);
    fixture_number(&file, 0, 12);
    fixture_number(&file, 2, 8);
    fixture_number(&file, 2, 8);
    fixture_number(&file, directory.len, 8);
    fixture_number(&file, begin, 8);
    buf_append(&file, "PK\6\7", 4);
    fixture_number(&file, 0, 4);
    fixture_number(&file, end64, 8);
    fixture_number(&file, 1, 4);
    buf_append(&file, "PK\5\6", 4);
    fixture_number(&file, 0, 8);
    fixture_number(&file, UINT32_MAX, 4);
    fixture_number(&file, UINT32_MAX, 4);
    fixture_number(&file, 0, 2);
    buf_done(&directory);
    return file;
}

static void reads_zip64(void) {
    const struct fixture_tensor tensor = {"t", "FloatStorage", "0", 0, 1, {2}, {1}};
    struct buf pickle = fixture_pickle(&tensor, 1);
    struct buf file = zip64_archive(&pickle, 28, "PK\6\6");
    struct weights *weights = must_open(&file);
    struct error err;
    float out[2];
    CHECK_OK(weights_read_f32(weights, "t", 1, 2, out, &err), err);
    CHECK(out[0] == 7 && out[1] == 8);
    weights_close(weights);
    buf_done(&file);
    file = zip64_archive(&pickle, 28, "PK\6\5");
    fixture_refused(&file, ERROR_CORRUPT, "zip64 end record");
    buf_done(&file);
    file = zip64_archive(&pickle, 20, "PK\6\6"); /* the offset is missing */
    fixture_refused(&file, ERROR_CORRUPT, "no local header");
    buf_done(&file);
    file = zip64_archive(&pickle, 28, "PK\6\6");
    char *field = memmem(file.data, file.len, "\1\0\x18\0", 4);
    CHECK(field);
    if (field)
        field[2] = 25; /* longer than its entry's extra bytes */
    fixture_refused(&file, ERROR_CORRUPT, "no local header");
    buf_done(&file);
    buf_done(&pickle);
}

/* ---- broken archives ---- */

enum { LOCAL_BYTES = 30, CENTRAL_BYTES = 46, END_BYTES = 22 };

static void set_number(struct buf *file, size_t at, uint64_t number, size_t width) {
    for (size_t i = 0; i < width; i++)
        file->data[at + i] = (char)(number >> 8 * i);
}

/* A whole archive with one number of its first directory entry, or of its end record, changed. */
static void refused_with(size_t at, bool in_end_record, uint64_t number, size_t width,
                         enum error_code code, const char *says) {
    const float storage[] = {7, 8};
    const struct fixture_tensor tensor = {"t", "FloatStorage", "0", 0, 1, {2}, {1}};
    struct buf pickle = fixture_pickle(&tensor, 1);
    struct buf file = fixture_archive(&pickle, storage, sizeof storage);
    size_t end = file.len - END_BYTES, directory = 0;
    memcpy(&directory, file.data + end + 16, 4);
    set_number(&file, (in_end_record ? end : directory) + at, number, width);
    fixture_refused(&file, code, says);
    buf_done(&file);
    buf_done(&pickle);
}

static void refuses_broken_archives(void) {
    static const struct {
        const char *bytes, *says;
        enum error_code code;
    } files[] = {
        {"", "not a zip archive", ERROR_CORRUPT},
        {"PK\3", "not a zip archive", ERROR_CORRUPT},
        {"hello", "not a zip archive", ERROR_CORRUPT},
        {"version https://git-lfs.github.com", "Git LFS pointer", ERROR_CORRUPT},
        {"\x80\x02\x8a\x0al\xfc\x9c", "legacy torch format", ERROR_UNSUPPORTED},
        {"PK\3\4", "no end of central directory: the file is cut (4 bytes)", ERROR_CORRUPT},
        {"PK\3\4PK\5\6 and so on", "no end of central directory", ERROR_CORRUPT},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct buf file = {0};
        buf_text(&file, files[i].bytes);
        fixture_refused(&file, files[i].code, files[i].says);
        buf_done(&file);
    }
    refused_with(12, true, UINT32_MAX, 4, ERROR_CORRUPT, "directory lies beyond");
    refused_with(16, true, UINT32_MAX, 4, ERROR_CORRUPT, "directory lies beyond");
    refused_with(12, true, 45, 4, ERROR_CORRUPT, "directory is broken");
    refused_with(0, false, 0, 4, ERROR_CORRUPT, "directory is broken");
    refused_with(30, false, 60000, 2, ERROR_CORRUPT, "directory is cut");
    refused_with(8, false, 1, 2, ERROR_UNSUPPORTED, "some/data.pkl: compression method 0");
    refused_with(10, false, 8, 2, ERROR_UNSUPPORTED, "some/data.pkl: compression method 8");
    refused_with(42, false, UINT32_MAX, 4, ERROR_CORRUPT, "some/data.pkl: no local header");
    refused_with(42, false, 1, 4, ERROR_CORRUPT, "some/data.pkl: no local header");
    refused_with(20, false, 1, 4, ERROR_CORRUPT, "some/data.pkl: a size of");
    refused_with(20, false, UINT64_MAX, 8, ERROR_CORRUPT, "a size of 4294967295 bytes");
    refused_with(46, false, '/', 1, ERROR_CORRUPT, "no entry data.pkl"); /* "/ome/data.pkl" */
}

/* Archives whose entries are whole but not what torch writes. */
static void refuses_odd_entries(void) {
    struct fixture_zip zip = {0};
    struct buf file = fixture_zip_end(&zip);
    fixture_refused(&file, ERROR_CORRUPT, "not a zip archive");
    buf_done(&file);
    fixture_zip_add(&zip, "x/data.pkl", "}.", 2);
    fixture_zip_add(&zip, "y/data.pkl", "}.", 2); /* the prefix does not count */
    file = fixture_zip_end(&zip);
    fixture_refused(&file, ERROR_CORRUPT, "y/data.pkl stands twice");
    buf_done(&file);
    fixture_zip_add(&zip, "x/data.pkl", "}.", 2);
    fixture_zip_add(&zip, "x/byteorder", "big", 3);
    file = fixture_zip_end(&zip);
    fixture_refused(&file, ERROR_UNSUPPORTED, "byteorder");
    buf_done(&file);
    fixture_zip_add(&zip, "x/data", "}.", 2);
    file = fixture_zip_end(&zip);
    fixture_refused(&file, ERROR_CORRUPT, "no entry data.pkl");
    buf_done(&file);
}

/* ---- broken tensors ---- */

static void refuses_broken_tensors(void) {
    const int64_t huge = INT64_MAX;
    const struct {
        struct fixture_tensor tensor;
        enum error_code code;
        const char *says;
    } cases[] = {
        {{"t", "FloatStorage", "1", 0, 1, {2}, {1}}, ERROR_CORRUPT, "storage \"1\" is not in"},
        {{"t", "FloatStorage", "../0", 0, 1, {2}, {1}}, ERROR_CORRUPT, "storage \"../0\" is not"},
        {{"t", "FloatStorage", "0", -1, 1, {2}, {1}}, ERROR_CORRUPT, "not a natural number"},
        {{"t", "FloatStorage", "0", 0, 1, {-2}, {1}}, ERROR_CORRUPT, "not a natural number"},
        {{"t", "FloatStorage", "0", 0, 1, {2}, {-1}}, ERROR_CORRUPT, "not a natural number"},
        {{"t", "FloatStorage", "0", 0, 5, {1, 1, 1, 1, 1}, {1, 1, 1, 1, 1}},
         ERROR_UNSUPPORTED,
         "5 dimensions, at most 4"},
        {{"t", "FloatStorage", "0", 0, 1, {6}, {1}}, ERROR_CORRUPT, "needs 24 bytes"},
        {{"t", "FloatStorage", "0", 5, 1, {1}, {1}}, ERROR_CORRUPT, "needs 24 bytes"},
        {{"t", "FloatStorage", "0", 0, 2, {2, 2}, {4, 1}}, ERROR_CORRUPT, "needs 24 bytes"},
        {{"t", "HalfStorage", "0", 0, 1, {11}, {1}}, ERROR_CORRUPT, "needs 22 bytes"},
        {{"t", "FloatStorage", "0", 0, 1, {6}, {0}}, ERROR_CORRUPT, "needs 4 bytes"},
        {{"t", "FloatStorage", "0", 0, 2, {huge, 4}, {1, 1}}, ERROR_CORRUPT, "64 bits"},
        {{"t", "FloatStorage", "0", 0, 2, {2, 4}, {huge, huge}}, ERROR_CORRUPT, "64 bits"},
        {{"t", "FloatStorage", "0", huge, 1, {1}, {1}}, ERROR_CORRUPT, "64 bits"},
        {{"t", "FloatStorage", "0", huge, 2, {2, 2}, {huge, 3}}, ERROR_CORRUPT, "64 bits"},
    };
    const float storage[] = {1, 2, 3, 4, 5};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf pickle = fixture_pickle(&cases[i].tensor, 1);
        struct buf file = fixture_archive(&pickle, storage, sizeof storage);
        fixture_refused(&file, cases[i].code, cases[i].says);
        buf_done(&file);
        buf_done(&pickle);
    }
}

/* Views of one storage again and again: what is copied stays below the file's size. */
static void refuses_endless_copies(void) {
    enum { VIEWS_N = 40, SIDE = 100 };
    static float storage[SIDE * SIDE];
    struct buf pickle = {0};
    char name[8];
    buf_text(&pickle, "}(");
    for (int i = 0; i < VIEWS_N; i++) {
        snprintf(name, sizeof name, "t%d", i);
        const struct fixture_tensor tensor = {name, "FloatStorage", "0",      0,
                                              2,    {SIDE, SIDE},   {1, SIDE}};
        fixture_pickle_tensor(&pickle, &tensor);
    }
    buf_text(&pickle, "u.");
    struct buf file = fixture_archive(&pickle, storage, sizeof storage);
    fixture_refused(&file, ERROR_LIMIT, "tensor \"t1\": the views have more bytes than the file");
    buf_done(&file);
    buf_done(&pickle);
}

/* Nothing overflows where a tensor is empty. */
static void reads_empty_tensors(void) {
    const struct fixture_tensor tensors[] = {
        {"a", "FloatStorage", "0", 0, 2, {0, 4}, {4, 1}},
        {"b", "FloatStorage", "0", 2, 2, {4, 0}, {INT64_MAX / 4, 1}},
    };
    const float storage[] = {1, 2};
    struct buf pickle = fixture_pickle(tensors, 2);
    struct buf file = fixture_archive(&pickle, storage, sizeof storage);
    struct weights *weights = must_open(&file);
    struct error err;
    float out[1] = {5};
    CHECK_OK(weights_read_f32(weights, "a", 0, 4, out, &err), err);
    CHECK_OK(weights_read_f32(weights, "b", 4, 0, out, &err), err);
    CHECK(out[0] == 5);
    weights_close(weights);
    buf_done(&file);
    buf_done(&pickle);
}

int main(void) {
    reads_every_kind();
    passes_other_kinds_over();
    reads_random_views();
    reads_ordered_dicts();
    reads_other_ways_of_writing();
    reads_zip64();
    reads_empty_tensors();
    refuses_broken_archives();
    refuses_odd_entries();
    refuses_broken_tensors();
    refuses_endless_copies();
    return check_result();
}
