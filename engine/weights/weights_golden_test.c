/* Files that others wrote: PyTorch's are read as safetensors holds the same tensors and refused by
 * name when broken; int8 is within half a step of what it was made from. Files made by hand:
 * torch_zip_test.c, pickle_test.c, safetensors_test.c. */
#include "engine/base/file.h"
#include "engine/weights/weights.h"
#include "tests/check.h"

static const char *shared;

static struct file_map map_shared(const char *file) {
    char path[512];
    struct file_map map = {0};
    struct error err;
    snprintf(path, sizeof path, "%s/%s", shared, file);
    CHECK_OK(file_map_open(path, &map, &err), err);
    return map;
}

static void refused(const char *folder, const char *says) {
    char file[256];
    struct weights *weights = NULL;
    struct error err = {0};
    snprintf(file, sizeof file, "golden/bad/%s/pytorch_model.bin", folder);
    struct file_map map = map_shared(file);
    bool opened = weights_open_torch(map.data, map.len, "some.bin", &weights, &err);
    CHECK(!opened);
    bool named = strstr(err.message, says) && strstr(err.message, "some.bin: ");
    if (!named)
        fprintf(stderr, "  %s: %s\n  expected in it: %s\n", folder, err.message, says);
    CHECK(named);
    weights_close(weights);
    file_map_close(&map);
}

static void refuses_broken_files(void) {
    refused("bin-truncated", "no end of central directory");
    refused("bin-not-zip", "Git LFS pointer");
    refused("bin-pickle-os-system", ".system");
    refused("bin-pickle-os-system-inside", ".system");
    refused("bin-pickle-reduce-by-name", "system");
    refused("bin-pickle-whole-module", "torch.nn.modules.linear.Linear");
    refused("bin-pickle-not-a-dict", "top object is no state_dict");
    refused("bin-pickle-stack-underflow", "broken pickle at byte");
    refused("bin-pickle-memo-missing", "broken pickle at byte");
    refused("bin-pickle-string-too-long", "broken pickle at byte");
    refused("bin-pickle-deep", "nested");
    refused("bin-storage-missing", "storage \"");
    refused("bin-storage-key-path", "../");
    refused("bin-storage-short", "704 bytes of its storage, which has 40");
    refused("bin-stride-out-of-range", "tensor \"");
    refused("bin-offset-negative", "tensor \"");
    refused("bin-size-overflow", "tensor \"");
    refused("bin-storage-cut-from-zip", "storage \"3\"");
    refused("bin-compressed", "compression method 8");
    refused("bin-entry-beyond-file", "data.pkl: a size of 2147483632");
    refused("bin-legacy-format", "legacy torch format");
}

/* Every tensor of the one file is in the other, with the same shape and bits. */
static void agrees_with_safetensors(void) {
    struct file_map bin = map_shared("golden/models/m3-tiny/pytorch_model.bin");
    struct file_map st = map_shared("golden/models/m3-tiny-safetensors/model.safetensors");
    struct weights *a = NULL, *b = NULL;
    struct error err;
    size_t same_n = 0;
    CHECK_OK(weights_open_torch(bin.data, bin.len, "a", &a, &err), err);
    CHECK_OK(weights_open(st.data, st.len, "b", &b, &err), err);
    for (size_t i = 0; a && b && i < weights_count(a); i++) {
        const char *name = weights_name(a, i);
        const struct weights_tensor *x = weights_find(a, name), *y = weights_find(b, name);
        bool same = x && y && x->dtype == y->dtype && x->rank == y->rank && x->rank > 0;
        size_t bytes = sizeof(float);
        for (size_t axis = 0; same && axis < x->rank; axis++) {
            same = x->shape[axis] == y->shape[axis];
            bytes *= x->shape[axis];
        }
        same = same && x->dtype == WEIGHTS_F32 && memcmp(x->data, y->data, bytes) == 0;
        if (!same)
            fprintf(stderr, "  %s differs\n", name);
        same_n += same;
    }
    if (a && b) {
        printf("%zu tensors are the same\n", same_n);
        CHECK_EQUAL(same_n, weights_count(a));
        CHECK_EQUAL(weights_count(a), weights_count(b));
        CHECK_EQUAL(same_n, 55); /* embeddings 5, three layers of 16, pooler 2 */
    }
    weights_close(a);
    weights_close(b);
    file_map_close(&bin);
    file_map_close(&st);
}

/* ok-m3-views holds ok-m3's tensors: one transposed, two in one storage. */
static void reads_views(void) {
    static const char name[] = "encoder.layer.0.intermediate.dense.weight";
    struct file_map plain = map_shared("golden/bad/ok-m3/pytorch_model.bin");
    struct file_map views = map_shared("golden/bad/ok-m3-views/pytorch_model.bin");
    struct weights *a = NULL, *b = NULL;
    struct error err;
    float x[128], y[128];
    CHECK_OK(weights_open_torch(plain.data, plain.len, "a", &a, &err), err);
    CHECK_OK(weights_open_torch(views.data, views.len, "b", &b, &err), err);
    if (a && b) {
        CHECK_OK(weights_read_f32(a, name, 16, 8, x, &err), err);
        CHECK_OK(weights_read_f32(b, name, 16, 8, y, &err), err);
        CHECK(memcmp(x, y, sizeof x) == 0);
    }
    weights_close(a);
    weights_close(b);
    file_map_close(&plain);
    file_map_close(&views);
}

/* bge-small quantized (its README): w ~ int8 * scale of the row, from F16. */
static void int8_is_near(void) {
    struct file_map half = map_shared("models/bge-small-en-v1.5/model.safetensors");
    struct file_map byte = map_shared("models/bge-small-en-v1.5-int8/model.safetensors");
    struct weights *a = NULL, *b = NULL;
    struct error err;
    size_t compared_n = 0;
    CHECK_OK(weights_open(half.data, half.len, "half", &a, &err), err);
    CHECK_OK(weights_open(byte.data, byte.len, "byte", &b, &err), err);
    for (size_t i = 0; a && b && i < weights_count(b); i++) {
        const char *name = weights_name(b, i);
        const struct weights_tensor *tensor = weights_find(b, name);
        if (!tensor || tensor->dtype != WEIGHTS_I8)
            continue;
        size_t rows = tensor->shape[0], columns = tensor->shape[1], far_n = 0;
        float *x = malloc(rows * columns * sizeof *x), *y = malloc(rows * columns * sizeof *y);
        CHECK_OK(weights_read_f32(a, name, rows, columns, x, &err), err);
        CHECK_OK(weights_read_f32(b, name, rows, columns, y, &err), err);
        for (size_t j = 0; j < rows * columns; j++) {
            float scale;
            memcpy(&scale, (const char *)tensor->row_scales + j / columns * sizeof scale, 4);
            far_n += !(fabsf(x[j] - y[j]) <= 0.5001f * scale);
        }
        CHECK_EQUAL(far_n, 0);
        compared_n++;
        free(x);
        free(y);
    }
    CHECK_EQUAL(compared_n, 74);
    weights_close(a);
    weights_close(b);
    file_map_close(&half);
    file_map_close(&byte);
}

/* Every cut and changed byte either opens or is refused, never crashes. */
static void survives_damage(void) {
    struct file_map map = map_shared("golden/bad/ok-m3/sparse_linear.pt");
    unsigned long long seed = 7;
    for (size_t round = 0; round < 20000; round++) {
        size_t len = round < map.len ? round : map.len;
        uint8_t *bytes = malloc(len ? len : 1);
        memcpy(bytes, map.data, len);
        for (size_t i = 0; round >= map.len && i < 1 + round % 3; i++)
            bytes[check_random(&seed) % len] = (uint8_t)check_random(&seed);
        struct weights *weights = NULL;
        struct error err;
        float out[8];
        if (weights_open_torch(bytes, len, "x", &weights, &err))
            (void)weights_read_f32(weights, "weight", 1, 8, out, &err);
        weights_close(weights);
        free(bytes);
    }
    CHECK(true);
    file_map_close(&map);
}

int main(void) {
    shared = check_shared_folder();
    if (!shared) {
        printf("skipped: no TERCET_SHARED\n");
        return CHECK_SKIP;
    }
    refuses_broken_files();
    agrees_with_safetensors();
    reads_views();
    int8_is_near();
    survives_damage();
    return check_result();
}
