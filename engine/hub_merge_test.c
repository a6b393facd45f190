/* Merged models: each weight is the mean to the rounding of its dtype, the result opens and says
 * what it is made of, and what cannot be merged is refused without leaving anything behind. */
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/hub_merge.h"
#include "engine/hub_random.h"
#include "engine/model.h"
#include "engine/weights/write.h"
#include "tests/check.h"

static char root[] = "/tmp/tercet-merge-XXXXXX";

static const char *in_root(const char *name) {
    static char paths[64][256];
    static size_t turn;
    char *path = paths[turn++ % 64];
    snprintf(path, sizeof *paths, "%s/%s", root, name);
    return path;
}

static void make(const char *name, const char *shape, enum hub_random_dtype dtype, uint32_t layers,
                 uint64_t seed) {
    struct hub_random_options options = {
        .shape = shape, .dtype = dtype, .layers_n = layers, .seed = seed};
    if (strcmp(shape, "m3") == 0)
        options.vocabulary_n = 1000; /* its own would be half a gigabyte */
    struct hub_random_result result;
    struct error err = {0};
    CHECK_OK(hub_random_write(&options, in_root(name), &result, &err), err);
}

struct opened {
    struct file_map map;
    struct weights *weights;
};

static struct opened open_weights(const char *model, const char *file) {
    struct opened opened = {0};
    struct error err = {0};
    char name[128];
    snprintf(name, sizeof name, "%s/%s", model, file);
    CHECK_OK(file_map_open(in_root(name), &opened.map, &err) &&
                 weights_open(opened.map.data, opened.map.len, name, &opened.weights, &err),
             err);
    return opened;
}

static void close_weights(struct opened *opened) {
    weights_close(opened->weights);
    file_map_close(&opened->map);
}

static float *values_of(const struct opened *opened, const char *name, size_t *n_out) {
    const struct weights_tensor *tensor = weights_find(opened->weights, name);
    struct error err = {0};
    CHECK(tensor != NULL);
    size_t rows = tensor->rank == 2 ? tensor->shape[0] : 1,
           columns = tensor->shape[tensor->rank - 1];
    float *values = calloc(rows * columns, sizeof *values);
    CHECK_OK(weights_read_f32(opened->weights, name, rows, columns, values, &err), err);
    *n_out = rows * columns;
    return values;
}

/* Steps of the dtype relative to the value: half of the last bit. */
static void means_are_right(const char *file, double step) {
    struct opened a = open_weights("a", file), b = open_weights("b", file),
                  c = open_weights("merged", file);
    size_t compared = 0;
    double worst = 0;
    CHECK(weights_count(c.weights) == weights_count(a.weights));
    for (size_t i = 0; i < weights_count(c.weights); i++) {
        size_t n, same;
        const char *name = weights_name(c.weights, i);
        float *x = values_of(&a, name, &n), *y = values_of(&b, name, &same),
              *z = values_of(&c, name, &same);
        for (size_t j = 0; j < n; j++) {
            double mean = .3 * (double)x[j] + .7 * (double)y[j];
            worst = fmax(worst, (fabs((double)z[j] - mean) - 0x1p-25) / (fabs(mean) * step));
        }
        compared += n;
        free(x);
        free(y);
        free(z);
    }
    CHECK(compared > 0);
    CHECK(worst <= 1.0001);
    close_weights(&a);
    close_weights(&b);
    close_weights(&c);
}

static void merge(enum weights_dtype dtype) {
    const struct hub_merge_part parts[] = {{in_root("a"), .3}, {in_root("b"), .7}};
    struct error err = {0};
    uint64_t bytes;
    CHECK_OK(hub_merge_write(parts, 2, dtype, in_root("merged"), &bytes, &err), err);
    CHECK(bytes > 0);
}

static void remove_model(const char *name) {
    char command[512];
    snprintf(command, sizeof command, "rm -rf %s", in_root(name));
    CHECK(system(command) == 0);
}

static void opens_and_tells(void) {
    const struct model_options options = {.name = in_root("merged")};
    struct model *model = NULL;
    struct error err = {0};
    struct buf header = {0};
    CHECK_OK(model_open(&options, &model, &err), err);
    model_close(model);
    CHECK_OK(file_read(in_root("merged/model.safetensors"), SIZE_MAX / 2, &header, &err), err);
    CHECK(memmem(header.data, 4096, "merged from 0.3 x ", strlen("merged from 0.3 x ")) != NULL);
    buf_done(&header);
}

static void refused(const struct hub_merge_part *parts, size_t n, const char *says) {
    struct error err = {0};
    uint64_t bytes;
    CHECK(!hub_merge_write(parts, n, WEIGHTS_F16, in_root("none"), &bytes, &err));
    if (!strstr(err.message, says))
        fprintf(stderr, "expected \"%s\", found \"%s\"\n", says, err.message);
    CHECK(strstr(err.message, says) != NULL);
    CHECK(access(in_root("none"), F_OK) != 0 && access(in_root("none.part"), F_OK) != 0);
}

static void what_cannot_be_merged(void) {
    const char *a = in_root("a");
    refused((struct hub_merge_part[]){{a, .3}, {in_root("b"), .6}}, 2, "add up to 0.9");
    refused((struct hub_merge_part[]){{a, (double)NAN}}, 1, "no number");
    refused((struct hub_merge_part[]){{a, .5}, {in_root("deeper"), .5}}, 2, "does not have it");
    refused((struct hub_merge_part[]){{in_root("deeper"), .5}, {a, .5}}, 2, "does not have it");
    refused((struct hub_merge_part[]){{a, .5}, {in_root("m3"), .5}}, 2, "different vocabularies");
    refused((struct hub_merge_part[]){{a, .5}, {in_root("nobody"), .5}}, 2, "nobody");
    struct hub_merge_part once = {a, 1};
    struct error err = {0};
    uint64_t bytes;
    CHECK(!hub_merge_write(&once, 1, WEIGHTS_F16, in_root("a"), &bytes, &err)); /* it is there */
}

static void heads_are_merged(void) {
    const struct hub_merge_part parts[] = {{in_root("m3"), 1.5}, {in_root("m3b"), -.5}};
    struct error err = {0};
    uint64_t bytes;
    make("m3b", "m3", HUB_RANDOM_F16, 1, 8);
    CHECK_OK(hub_merge_write(parts, 2, WEIGHTS_BF16, in_root("m3c"), &bytes, &err), err);
    const struct model_options options = {.name = in_root("m3c")};
    struct model *model = NULL;
    CHECK_OK(model_open(&options, &model, &err), err);
    CHECK(model_info(model)->has_sparse_head && model_info(model)->has_colbert_head);
    model_close(model);
}

static bool counted(void *context, size_t tensor, uint64_t at, size_t n, float *out,
                    struct error *err) {
    (void)context, (void)tensor, (void)err;
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(at + i);
    return true;
}

/* Names come out of somebody's file. */
static void odd_names_come_back(void) {
    const char *odd = "a \"quoted\\name\", and more";
    const struct weights_made made[] = {{odd, WEIGHTS_F32, 2, {2, 3}},
                                        {"none", WEIGHTS_F16, 2, {4, 0}}};
    struct error err = {0};
    struct opened file;
    float values[6];
    CHECK_OK(file_make_folder(in_root("odd"), &err) &&
                 weights_write(in_root("odd/w"), made, 2, NULL, counted, NULL, NULL, &err),
             err);
    file = open_weights("odd", "w");
    CHECK_OK(weights_read_f32(file.weights, odd, 2, 3, values, &err), err);
    CHECK(values[0] == 0 && values[5] == 5);
    close_weights(&file);
}

/* A family is known by its folder's name, and OUT may have any: the instruction goes along. */
static void instructions_go_along(void) {
    make("bge-small-en-v1.5", "small", HUB_RANDOM_F16, 1, 3);
    const struct hub_merge_part part = {in_root("bge-small-en-v1.5"), 1};
    const struct model_options before = {.name = part.model}, after = {.name = in_root("mixed")};
    struct model *family = NULL, *mixed = NULL;
    struct error err = {0};
    uint64_t bytes;
    CHECK_OK(hub_merge_write(&part, 1, WEIGHTS_F16, after.name, &bytes, &err), err);
    CHECK_OK(model_open(&before, &family, &err) && model_open(&after, &mixed, &err), err);
    const char *instruction = model_info(family)->query_instruction;
    CHECK(*instruction && strcmp(model_info(mixed)->query_instruction, instruction) == 0);
    CHECK_EQUAL(*model_info(mixed)->passage_instruction, '\0');
    model_close(family);
    model_close(mixed);
}

/* Prints what it found instead. */
static bool says(const char *name, bool fusion, const char *expected) {
    const struct model_options options = {.name = in_root(name)};
    struct model *model = NULL;
    struct error err = {0};
    CHECK_OK(model_open(&options, &model, &err), err);
    const struct model_info *info = model_info(model);
    const char *found = fusion ? info->fusion : info->analyzer;
    bool same = strcmp(found, expected) == 0;
    if (!same)
        fprintf(stderr, "%s: \"%s\", not \"%s\"\n", name, found, expected);
    model_close(model);
    return same;
}

static bool analyzer_is(const char *name, const char *expected) {
    return says(name, false, expected);
}

static bool fusion_is(const char *name, const char *expected) {
    return says(name, true, expected);
}

static void merge_two(const char *first, const char *second, const char *out) {
    const struct hub_merge_part parts[] = {{in_root(first), .5}, {in_root(second), .5}};
    struct error err = {0};
    uint64_t bytes;
    CHECK_OK(hub_merge_write(parts, 2, WEIGHTS_F16, in_root(out), &bytes, &err), err);
}

/* So is the analyzer, where the models agree; their names are all that said it. */
static void analyzer_goes_along(void) {
    struct error err = {0};
    make("tuned-en", "small", HUB_RANDOM_F16, 1, 4);
    make("plain", "small", HUB_RANDOM_F16, 1, 5);
    merge_two("bge-small-en-v1.5", "tuned-en", "english");
    CHECK(analyzer_is("tuned-en", "words:en") && analyzer_is("english", "words:en"));
    merge_two("english", "tuned-en", "again"); /* by its file now, not by its name */
    CHECK(analyzer_is("again", "words:en"));
    merge_two("english", "plain", "differ");
    CHECK(analyzer_is("plain", "model") && analyzer_is("differ", "model"));
    merge_two("plain", "plain", "not-en-at-all");
    CHECK(analyzer_is("not-en-at-all", "model"));
    CHECK_OK(file_write_atomic(in_root("a/tercet.json"), "{\"fusion\":\"zscore\"}", 19, &err), err);
    CHECK_OK(file_write_atomic(in_root("b/tercet.json"), "{\"fusion\":\"zscore\"}", 19, &err), err);
    merge_two("a", "b", "fused");
    CHECK(analyzer_is("fused", "model") && fusion_is("fused", "zscore"));
    CHECK_OK(file_write_atomic(in_root("b/tercet.json"), "{\"fusion\":\"rrf\"}", 16, &err), err);
    merge_two("a", "b", "not-fused");
    CHECK(fusion_is("not-fused", "") && fusion_is("b", "rrf"));
    /* A name that no analyzer has is refused where a collection is made; a broken file here. */
    CHECK_OK(file_write_atomic(in_root("plain/tercet.json"), "{\"analyzer\":3}", 14, &err), err);
    refused((struct hub_merge_part[]){{in_root("plain"), 1}}, 1, "\"analyzer\"");
    CHECK_OK(file_write_atomic(in_root("plain/tercet.json"), "[]", 2, &err), err);
    refused((struct hub_merge_part[]){{in_root("plain"), 1}}, 1, "tercet.json");
}

int main(void) {
    CHECK(mkdtemp(root) != NULL);
    odd_names_come_back();
    make("a", "small", HUB_RANDOM_F16, 2, 1);
    make("b", "small", HUB_RANDOM_F32, 2, 2);
    make("deeper", "small", HUB_RANDOM_F16, 3, 1);
    make("m3", "m3", HUB_RANDOM_F16, 1, 7);
    merge(WEIGHTS_F32);
    means_are_right("model.safetensors", 0x1p-24);
    remove_model("merged");
    merge(WEIGHTS_BF16);
    means_are_right("model.safetensors", 0x1p-8);
    remove_model("merged");
    merge(WEIGHTS_F16);
    means_are_right("model.safetensors", 0x1p-11);
    opens_and_tells();
    what_cannot_be_merged();
    heads_are_merged();
    instructions_go_along();
    analyzer_goes_along();
    char command[512];
    snprintf(command, sizeof command, "rm -rf %s", root);
    CHECK(system(command) == 0);
    return check_result();
}
