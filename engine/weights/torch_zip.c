#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/weights/pickle.h"
#include "engine/weights/table.h"

/* A zip archive as torch.save writes it (PKWARE APPNOTE 6.3): entries PREFIX/data.pkl, PREFIX/data/
 * KEY (one storage each), PREFIX/byteorder. Sizes come from the central directory, since local
 * headers have 0 there. Numbers are little-endian.
 * End record (22 bytes): 0 "PK\5\6"; 10 entries u16; 12 directory bytes u32; 16 its offset u32.
 * Directory entry (46): 0 "PK\1\2"; 8 flags; 10 method; 20 packed size u32; 24 size u32; 28 name,
 * 30 extra, 32 comment lengths u16; 42 local header's offset u32; 46 name.
 * Local header (30): 0 "PK\3\4"; 26 name, 28 extra lengths u16. */
enum { END_BYTES = 22, CENTRAL_BYTES = 46, LOCAL_BYTES = 30, COMMENT_MAX = 65535 };
enum { LOCATOR_BYTES = 20, END64_BYTES = 56 };
enum { ZIP64_EXTRA = 1 };

struct file {
    uint64_t begin, len;
};

struct archive {
    struct weights *weights;
    struct map by_name; /* behind the prefix -> index in files */
    struct file *files;
    size_t n, copied_bytes;
    struct error *err;
};

static uint64_t number_at(const uint8_t *bytes, size_t width) {
    uint64_t number = 0;
    for (size_t i = width; i-- > 0;)
        number = number << 8 | bytes[i];
    return number;
}

static bool is_at(const uint8_t *bytes, const char *magic) {
    return memcmp(bytes, magic, 4) == 0;
}

/* ---- the archive ---- */

static bool not_a_zip(const uint8_t *data, size_t len, struct error *err) {
    static const char lfs[] = "version https://git-lfs";
    if (len >= sizeof lfs - 1 && memcmp(data, lfs, sizeof lfs - 1) == 0)
        return error_set(err, ERROR_CORRUPT, "not a zip archive; looks like a Git LFS pointer");
    if (len >= 4 && data[0] == 0x80 && data[2] == 0x8a)
        return error_set(err, ERROR_UNSUPPORTED,
                         "not a zip archive: the legacy torch format of before PyTorch 1.6 is not "
                         "read; save it again with a newer PyTorch");
    return error_set(err, ERROR_CORRUPT, "not a zip archive");
}

/* The directory's place, from the end record or, where one stands before it, the zip64 one. */
static bool find_directory(struct archive *archive, struct file *out) {
    const uint8_t *data = archive->weights->data;
    size_t len = archive->weights->data_len;
    if (len < 4 || !is_at(data, "PK\3\4"))
        return not_a_zip(data, len, archive->err);
    size_t at = len >= END_BYTES ? len - END_BYTES + 1 : 0;
    size_t last = at > COMMENT_MAX ? at - COMMENT_MAX : 0;
    while (at > last && !is_at(data + at - 1, "PK\5\6"))
        at--;
    if (at == last)
        return error_set(archive->err, ERROR_CORRUPT,
                         "no end of central directory: the file is cut (%zu bytes)", len);
    at--;
    out->len = number_at(data + at + 12, 4);
    out->begin = number_at(data + at + 16, 4);
    if (at >= LOCATOR_BYTES && is_at(data + at - LOCATOR_BYTES, "PK\6\7")) {
        uint64_t end64 = number_at(data + at - LOCATOR_BYTES + 8, 8);
        if (len < END64_BYTES || end64 > len - END64_BYTES || !is_at(data + end64, "PK\6\6"))
            return error_set(archive->err, ERROR_CORRUPT, "the zip64 end record is not there");
        out->len = number_at(data + end64 + 40, 8);
        out->begin = number_at(data + end64 + 48, 8);
    }
    if (out->begin > len || out->len > len - out->begin)
        return error_set(archive->err, ERROR_CORRUPT,
                         "the central directory lies beyond the file's %zu bytes", len);
    return true;
}

/* Sizes and offset that 32 bits do not hold stand in the zip64 extra field, in this order. */
static void read_zip64(const uint8_t *extra, size_t len, uint64_t *values[3]) {
    while (len >= 4) {
        size_t size = (size_t)number_at(extra + 2, 2), used = 4;
        if (size > len - 4)
            return;
        for (size_t i = 0; number_at(extra, 2) == ZIP64_EXTRA && i < 3; i++)
            if (*values[i] == UINT32_MAX && used + 8 <= size + 4) {
                *values[i] = number_at(extra + used, 8);
                used += 8;
            }
        extra += size + 4;
        len -= size + 4;
    }
}

static bool add_file(struct archive *archive, const uint8_t *central, size_t name_len,
                     size_t extra_len) {
    const uint8_t *data = archive->weights->data;
    size_t len = archive->weights->data_len;
    const char *name = (const char *)central + CENTRAL_BYTES;
    uint64_t packed = number_at(central + 20, 4), size = number_at(central + 24, 4);
    uint64_t local = number_at(central + 42, 4), method = number_at(central + 10, 2);
    read_zip64(central + CENTRAL_BYTES + name_len, extra_len,
               (uint64_t *[]){&size, &packed, &local});
    int shown = name_len < 100 ? (int)name_len : 100;
    if (method != 0 || number_at(central + 8, 2) & 1)
        return error_set(archive->err, ERROR_UNSUPPORTED,
                         "entry %.*s: compression method %" PRIu64
                         " or encryption; only stored entries are read",
                         shown, name, method);
    if (len < LOCAL_BYTES || local > len - LOCAL_BYTES || !is_at(data + local, "PK\3\4"))
        return error_set(archive->err, ERROR_CORRUPT, "entry %.*s: no local header", shown, name);
    uint64_t begin =
        local + LOCAL_BYTES + number_at(data + local + 26, 2) + number_at(data + local + 28, 2);
    if (packed != size || begin > len || size > len - begin)
        return error_set(archive->err, ERROR_CORRUPT,
                         "entry %.*s: a size of %" PRIu64 " bytes at byte %" PRIu64
                         " in a file of %zu",
                         shown, name, size, begin, len);
    const char *slash = memchr(name, '/', name_len);
    size_t skip = slash ? (size_t)(slash - name) + 1 : 0;
    bool is_new;
    map_put(&archive->by_name, name + skip, name_len - skip, (uint32_t)archive->n, &is_new);
    if (!is_new)
        return error_set(archive->err, ERROR_CORRUPT, "entry %.*s stands twice", shown, name);
    archive->files[archive->n++] = (struct file){begin, size};
    return true;
}

static bool read_directory(struct archive *archive) {
    struct file place = {0};
    if (!find_directory(archive, &place))
        return false;
    const uint8_t *at = archive->weights->data + place.begin;
    size_t left = (size_t)place.len;
    archive->files = ARENA_NEW(&archive->weights->arena, struct file, left / CENTRAL_BYTES + 1);
    while (left > 0) {
        if (left < CENTRAL_BYTES || !is_at(at, "PK\1\2"))
            return error_set(archive->err, ERROR_CORRUPT, "the central directory is broken");
        size_t name_len = (size_t)number_at(at + 28, 2), extra = (size_t)number_at(at + 30, 2);
        size_t whole = CENTRAL_BYTES + name_len + extra + (size_t)number_at(at + 32, 2);
        if (whole > left)
            return error_set(archive->err, ERROR_CORRUPT, "the central directory is cut");
        if (!add_file(archive, at, name_len, extra))
            return false;
        at += whole;
        left -= whole;
    }
    return true;
}

static const struct file *find_file(const struct archive *archive, const char *name) {
    const uint32_t *at = map_find(&archive->by_name, name, strlen(name));
    return at ? &archive->files[*at] : NULL;
}

/* ---- tensors ---- */

static const struct storage_kind {
    const char *name, *dtype;
    size_t bytes;
    int read_as; /* enum weights_dtype, or -1: known and passed over */
} storage_kinds[] = {
    {"torch.FloatStorage", "F32", 4, WEIGHTS_F32},
    {"torch.HalfStorage", "F16", 2, WEIGHTS_F16},
    {"torch.BFloat16Storage", "BF16", 2, WEIGHTS_BF16},
    {"torch.DoubleStorage", "F64", 8, -1},
    {"torch.LongStorage", "I64", 8, -1},
    {"torch.IntStorage", "I32", 4, -1},
    {"torch.ShortStorage", "I16", 2, -1},
    {"torch.CharStorage", "I8", 1, WEIGHTS_I8},
    {"torch.ByteStorage", "U8", 1, -1},
    {"torch.BoolStorage", "BOOL", 1, -1},
};

/* ("storage", kind, key, device, elements) */
static bool read_storage(struct archive *archive, const struct pickle_value *id,
                         struct entry *entry, const struct storage_kind **kind_out,
                         struct file *out) {
    const struct storage_kind *kind = NULL;
    bool fits = id->kind == PICKLE_PERSISTENT && id->n == 5 &&
                pickle_text_is(id->items[0], "storage") && id->items[2]->kind == PICKLE_TEXT;
    for (size_t i = 0; fits && i < sizeof storage_kinds / sizeof *storage_kinds; i++)
        if (pickle_text_is(id->items[1], storage_kinds[i].name))
            kind = &storage_kinds[i];
    if (!kind)
        return error_set(archive->err, ERROR_CORRUPT, "tensor \"%s\": its storage is no storage",
                         entry->name);
    const struct pickle_value *key = id->items[2];
    char *name = arena_format(&archive->weights->arena, "data/%.*s",
                              (int)(key->text_len < 100 ? key->text_len : 100), key->text);
    const struct file *file = find_file(archive, name);
    if (!file)
        return error_set(archive->err, ERROR_CORRUPT,
                         "tensor \"%s\": storage \"%s\" is not in the archive", entry->name,
                         name + strlen("data/"));
    entry->dtype = kind->dtype;
    entry->readable = kind->read_as >= 0;
    if (entry->readable)
        entry->tensor.dtype = (enum weights_dtype)kind->read_as;
    *kind_out = kind;
    *out = *file;
    return true;
}

static bool read_sizes(struct archive *archive, const struct pickle_value *const *args,
                       struct entry *entry, size_t strides[WEIGHTS_RANK_MAX]) {
    struct weights_tensor *tensor = &entry->tensor;
    if (args[1]->kind != PICKLE_INT || args[1]->number < 0 || args[2]->kind != PICKLE_TUPLE ||
        args[3]->kind != PICKLE_TUPLE || args[2]->n != args[3]->n)
        return error_set(archive->err, ERROR_CORRUPT,
                         "tensor \"%s\": offset, size or stride is not a natural number",
                         entry->name);
    tensor->rank = args[2]->n;
    if (tensor->rank > WEIGHTS_RANK_MAX)
        return error_set(archive->err, ERROR_UNSUPPORTED,
                         "tensor \"%s\": %zu dimensions, at most %d", entry->name, tensor->rank,
                         WEIGHTS_RANK_MAX);
    for (size_t i = 0; i < tensor->rank; i++) {
        const struct pickle_value *size = args[2]->items[i], *stride = args[3]->items[i];
        if (size->kind != PICKLE_INT || size->number < 0 || stride->kind != PICKLE_INT ||
            stride->number < 0)
            return error_set(archive->err, ERROR_CORRUPT,
                             "tensor \"%s\": size or stride is not a natural number", entry->name);
        tensor->shape[i] = (size_t)size->number;
        strides[i] = (size_t)stride->number;
    }
    return true;
}

/* Elements from the first to behind the last one; false when 64 bits do not count them. */
static bool span_of(const struct weights_tensor *tensor, const size_t *strides, uint64_t *count,
                    uint64_t *span) {
    *count = 1;
    *span = 1;
    for (size_t i = 0; i < tensor->rank; i++) {
        uint64_t step;
        if (__builtin_mul_overflow(*count, tensor->shape[i], count) ||
            (tensor->shape[i] > 0 &&
             (__builtin_mul_overflow(tensor->shape[i] - 1, strides[i], &step) ||
              __builtin_add_overflow(*span, step, span))))
            return false;
    }
    if (*count == 0)
        *span = 0;
    return true;
}

static bool is_contiguous(const struct weights_tensor *tensor, const size_t *strides) {
    size_t expected = 1;
    for (size_t i = tensor->rank; i-- > 0;) {
        if (tensor->shape[i] != 1 && strides[i] != expected)
            return false;
        expected *= tensor->shape[i];
    }
    return true;
}

/* A view with other strides (a transposed weight) as a row-major copy. */
static const uint8_t *copy_view(struct arena *arena, const struct weights_tensor *tensor,
                                const size_t *strides, size_t count, size_t width,
                                const uint8_t *from) {
    uint8_t *copy = arena_alloc(arena, count, width);
    for (size_t i = 0; i < count; i++) {
        size_t rest = i, at = 0;
        for (size_t axis = tensor->rank; axis-- > 0; rest /= tensor->shape[axis])
            at += rest % tensor->shape[axis] * strides[axis];
        memcpy(copy + i * width, from + at * width, width);
    }
    return copy;
}

/* _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata]) */
static bool read_tensor(struct archive *archive, const struct pickle_value *call,
                        struct entry *entry) {
    const struct storage_kind *kind = NULL;
    struct file file = {0};
    size_t strides[WEIGHTS_RANK_MAX];
    uint64_t count, span, end, bytes;
    if (call->kind != PICKLE_CALL || call->n < 6)
        return error_set(archive->err, ERROR_CORRUPT, "\"%s\" is not a tensor", entry->name);
    if (!read_storage(archive, call->items[0], entry, &kind, &file) ||
        !read_sizes(archive, call->items, entry, strides))
        return false;
    uint64_t offset = (uint64_t)call->items[1]->number;
    if (!span_of(&entry->tensor, strides, &count, &span) ||
        __builtin_add_overflow(span, offset, &end) ||
        __builtin_mul_overflow(end, kind->bytes, &bytes))
        return error_set(archive->err, ERROR_CORRUPT,
                         "tensor \"%s\": its size has more bytes than 64 bits count", entry->name);
    /* A copy is never larger than its storage: stride 0 would repeat an element without end. */
    if (bytes > file.len || count > file.len / kind->bytes)
        return error_set(archive->err, ERROR_CORRUPT,
                         "tensor \"%s\": needs %" PRIu64
                         " bytes of its storage, which has %" PRIu64,
                         entry->name, bytes, file.len);
    const uint8_t *from = archive->weights->data + file.begin + offset * kind->bytes;
    entry->tensor.data = from;
    if (entry->readable && count && !is_contiguous(&entry->tensor, strides)) {
        archive->copied_bytes += (size_t)count * kind->bytes;
        if (archive->copied_bytes > archive->weights->data_len)
            return error_set(archive->err, ERROR_LIMIT,
                             "tensor \"%s\": the views have more bytes than the file", entry->name);
        entry->tensor.data = copy_view(&archive->weights->arena, &entry->tensor, strides,
                                       (size_t)count, kind->bytes, from);
    }
    return true;
}

static bool read_state_dict(struct archive *archive) {
    struct weights *weights = archive->weights;
    const struct file *order = find_file(archive, "byteorder");
    const struct file *pickle = find_file(archive, "data.pkl");
    if (order && (order->len != 6 || memcmp(weights->data + order->begin, "little", 6) != 0))
        return error_set(archive->err, ERROR_UNSUPPORTED, "byteorder is not \"little\"");
    if (!pickle)
        return error_set(archive->err, ERROR_CORRUPT, "no entry data.pkl in the archive");
    const struct pickle_value *top;
    if (!pickle_read(weights->data + pickle->begin, (size_t)pickle->len, &weights->arena, &top,
                     archive->err))
        return error_wrap(archive->err, "data.pkl: ");
    if (top->kind != PICKLE_DICT)
        return error_set(archive->err, ERROR_CORRUPT, "data.pkl: the top object is no state_dict");
    weights->entries = ARENA_ZERO(&weights->arena, struct entry, top->n / 2);
    for (size_t i = 0; i < top->n; i += 2) {
        const struct pickle_value *key = top->items[i];
        if (key->kind != PICKLE_TEXT || memchr(key->text, 0, key->text_len))
            return error_set(archive->err, ERROR_CORRUPT, "data.pkl: a tensor's name is no text");
        struct entry *entry = &weights->entries[weights->n];
        entry->name = arena_text(&weights->arena, key->text, key->text_len);
        entry->where = weights->where;
        if (!read_tensor(archive, top->items[i + 1], entry))
            return false;
        bool is_new;
        map_put(&weights->by_name, entry->name, key->text_len, (uint32_t)weights->n++, &is_new);
        if (!is_new)
            return error_set(archive->err, ERROR_CORRUPT, "tensor \"%s\" stands twice",
                             entry->name);
    }
    weights_attach_scales(weights);
    return true;
}

bool weights_open_torch(const uint8_t *data, size_t len, const char *where, struct weights **out,
                        struct error *err) {
    struct weights *weights = mem_zalloc(1, sizeof *weights);
    weights->where = arena_text(&weights->arena, where, strlen(where));
    weights->data = data;
    weights->data_len = len;
    struct archive archive = {.weights = weights, .err = err};
    bool ok = read_directory(&archive) && read_state_dict(&archive);
    map_done(&archive.by_name);
    if (!ok) {
        weights_close(weights);
        return error_wrap(err, "%s: ", where);
    }
    *out = weights;
    return true;
}
