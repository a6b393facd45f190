/* PyTorch's files: read as safetensors holds the same tensors, refused by name when broken. */
#include "engine/base/file.h"
#include "engine/weights/weights.h"
#include "tests/check.h"

static const char *golden;

static struct file_map map_golden(const char *file) {
    char path[512];
    struct file_map map = {0};
    struct error err;
    snprintf(path, sizeof path, "%s/golden/%s", golden, file);
    CHECK_OK(file_map_open(path, &map, &err), err);
    return map;
}

static void refused(const char *folder, const char *says) {
    char file[256];
    struct weights *weights = NULL;
    struct error err = {0};
    snprintf(file, sizeof file, "bad/%s/pytorch_model.bin", folder);
    struct file_map map = map_golden(file);
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

static void agrees_with_safetensors(void) {
    static const char *const names[] = {
        "embeddings.word_embeddings.weight", "embeddings.LayerNorm.bias",
        "encoder.layer.0.attention.self.query.weight", "encoder.layer.0.intermediate.dense.weight",
        "encoder.layer.0.output.dense.bias"};
    struct file_map bin = map_golden("models/m3-tiny/pytorch_model.bin");
    struct file_map st = map_golden("models/m3-tiny-safetensors/model.safetensors");
    struct weights *a = NULL, *b = NULL;
    struct error err;
    CHECK_OK(weights_open_torch(bin.data, bin.len, "a", &a, &err), err);
    CHECK_OK(weights_open(st.data, st.len, "b", &b, &err), err);
    for (size_t i = 0; a && b && i < sizeof names / sizeof *names; i++) {
        const struct weights_tensor *x = weights_find(a, names[i]), *y = weights_find(b, names[i]);
        CHECK(x && y && x->rank == y->rank);
        size_t n = 1;
        for (size_t axis = 0; x && y && axis < x->rank; axis++) {
            CHECK_EQUAL(x->shape[axis], y->shape[axis]);
            n *= x->shape[axis];
        }
        CHECK(x && y && memcmp(x->data, y->data, n * sizeof(float)) == 0);
    }
    weights_close(a);
    weights_close(b);
    file_map_close(&bin);
    file_map_close(&st);
}

/* ok-m3-views holds ok-m3's tensors: one transposed, two in one storage. */
static void reads_views(void) {
    static const char name[] = "encoder.layer.0.intermediate.dense.weight";
    struct file_map plain = map_golden("bad/ok-m3/pytorch_model.bin");
    struct file_map views = map_golden("bad/ok-m3-views/pytorch_model.bin");
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

/* Every cut and changed byte either opens or is refused, never crashes. */
static void survives_damage(void) {
    struct file_map map = map_golden("bad/ok-m3/sparse_linear.pt");
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
    golden = check_shared_folder();
    if (!golden) {
        printf("skipped: no TERCET_SHARED\n");
        return CHECK_SKIP;
    }
    refuses_broken_files();
    agrees_with_safetensors();
    reads_views();
    survives_damage();
    return check_result();
}
