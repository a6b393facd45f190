#include "engine/hub_merge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "engine/config.h"
#include "engine/hub.h"
#include "engine/hub_making.h"
#include "engine/model_family.h"
#include "engine/weights/shards.h"
#include "engine/weights/write.h"

/* Each set of weights under the name it is written as, and the names it may be read from. */
static const struct {
    const char *out, *names[4];
    bool needed;
} sets[] = {
    {"model.safetensors",
     {"model.safetensors", SHARDS_SAFETENSORS_INDEX, "pytorch_model.bin", SHARDS_TORCH_INDEX},
     true},
    {"heads.safetensors", {"heads.safetensors"}, false},
    {"sparse_linear.safetensors", {"sparse_linear.safetensors", "sparse_linear.pt"}, false},
    {"colbert_linear.safetensors", {"colbert_linear.safetensors", "colbert_linear.pt"}, false},
};

struct merging {
    const struct hub_merge_part *parts;
    size_t n;
    enum weights_dtype dtype;
    struct model_files *files[HUB_MERGE_MAX];
    struct hub_making making;
    struct buf note;
    uint64_t bytes;
};

/* ---- are they of one kind? ---- */

/* The vocabulary as tokenizer.json tells it, without the settings around it; NULL: none there. */
static bool vocabulary_of(struct model_files *files, struct buf *out, struct error *err) {
    struct model_file file;
    bool is_json = model_files_has(files, "tokenizer.json");
    if (!model_files_map(files, is_json ? "tokenizer.json" : "vocab.txt", &file, err))
        return false;
    if (!is_json) {
        buf_append(out, file.data, file.len);
        return true;
    }
    struct json *root = json_parse((const char *)file.data, file.len, err);
    if (!root)
        return error_wrap(err, "%s: ", file.path);
    json_print(json_get(root, "model"), out);
    json_release(root);
    return true;
}

static bool same_vocabulary(const struct merging *merging, struct error *err) {
    struct buf first = {0}, other = {0};
    bool ok = vocabulary_of(merging->files[0], &first, err);
    for (size_t i = 1; ok && i < merging->n; i++) {
        buf_clear(&other);
        ok = vocabulary_of(merging->files[i], &other, err);
        if (ok && (first.len != other.len ||
                   (first.len > 0 && memcmp(first.data, other.data, first.len) != 0)))
            ok = error_set(err, ERROR_INVALID,
                           "%s and %s have different vocabularies: a mean of their word vectors "
                           "would mean nothing",
                           merging->parts[0].model, merging->parts[i].model);
    }
    buf_done(&first);
    buf_done(&other);
    return ok;
}

static bool weights_add_up(const struct hub_merge_part *parts, size_t n, struct error *err) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(parts[i].weight))
            return error_set(err, ERROR_INVALID, "the weight of %s is no number", parts[i].model);
        sum += parts[i].weight;
    }
    return fabs(sum - 1) <= HUB_MERGE_SUM_SLACK ||
           error_set(err, ERROR_INVALID, "the weights add up to %g: they must add up to 1", sum);
}

/* ---- one set of weights ---- */

struct mixing {
    const struct merging *merging;
    struct weights *weights[HUB_MERGE_MAX];
    struct weights_made *tensors;
    size_t tensors_n;
    struct weights_rows rows[HUB_MERGE_MAX]; /* of the tensor in hand */
    size_t columns;
    float *row; /* [columns] */
    double *sum;
};

static bool open_set(struct model_files *files, size_t set, struct weights **out,
                     struct error *err) {
    for (size_t i = 0; i < 4 && sets[set].names[i]; i++) {
        const char *name = sets[set].names[i];
        struct model_file file;
        size_t len = strlen(name);
        if (!model_files_has(files, name))
            continue;
        if (len > 5 && strcmp(name + len - 5, ".json") == 0)
            return shards_open(files, name, out, err);
        if (!model_files_map(files, name, &file, err))
            return false;
        bool is_safetensors = strstr(name, ".safetensors") != NULL;
        const char *where = model_files_where(files);
        return is_safetensors ? weights_open(file.data, file.len, where, out, err)
                              : weights_open_torch(file.data, file.len, where, out, err);
    }
    *out = NULL;
    return !sets[set].needed ||
           error_set(err, ERROR_NOT_FOUND, "%s has no weights (%s, %s)", model_files_where(files),
                     sets[set].names[0], sets[set].names[2]);
}

/* The scales of int8 tensors are read with them. */
static bool is_scale(const struct weights *weights, const char *name) {
    size_t len = strlen(name), suffix = strlen("_scale");
    if (len <= suffix || strcmp(name + len - suffix, "_scale") != 0)
        return false;
    char *base = mem_strdup(name);
    base[len - suffix] = '\0';
    const struct weights_tensor *tensor = weights_find(weights, base);
    free(base);
    return tensor && tensor->dtype == WEIGHTS_I8;
}

/* Pre-training's pooler is in some files of a family and not in others; no embedding needs it. */
static bool is_idle(const char *name) {
    return strstr(name, "pooler.") != NULL;
}

static bool same_shape(const struct weights_tensor *a, const struct weights_tensor *b) {
    return a->rank == b->rank && memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) == 0;
}

/* Tensors that are no numbers of ours (position ids) are left behind, too. */
static bool list_tensors(struct mixing *mixing, struct error *err) {
    const struct merging *merging = mixing->merging;
    const struct weights *first = mixing->weights[0];
    mixing->tensors = mem_alloc(weights_count(first), sizeof *mixing->tensors);
    for (size_t i = 0; i < weights_count(first); i++) {
        const char *name = weights_name(first, i);
        const struct weights_tensor *tensor = weights_find(first, name);
        if (!tensor || is_scale(first, name) || is_idle(name))
            continue;
        if (tensor->rank < 1 || tensor->rank > 2)
            return error_set(err, ERROR_UNSUPPORTED, "tensor \"%s\" has %zu dimensions, not 1 or 2",
                             name, tensor->rank);
        for (size_t m = 1; m < merging->n; m++) {
            const struct weights_tensor *other = weights_find(mixing->weights[m], name);
            if (!other || !same_shape(tensor, other))
                return error_set(err, ERROR_INVALID, "tensor \"%s\": %s %s", name,
                                 merging->parts[m].model,
                                 other ? "has it in another shape" : "does not have it");
        }
        struct weights_made *made = &mixing->tensors[mixing->tensors_n++];
        *made = (struct weights_made){.name = name, .dtype = merging->dtype, .rank = tensor->rank};
        memcpy(made->shape, tensor->shape, sizeof made->shape);
    }
    for (size_t m = 1; m < merging->n; m++)
        for (size_t i = 0; i < weights_count(mixing->weights[m]); i++) {
            const char *name = weights_name(mixing->weights[m], i);
            if (weights_find(mixing->weights[m], name) && !is_scale(mixing->weights[m], name) &&
                !is_idle(name) && !weights_find(first, name))
                return error_set(err, ERROR_INVALID, "tensor \"%s\": %s does not have it", name,
                                 merging->parts[0].model);
        }
    return true;
}

static bool turn_to(struct mixing *mixing, const struct weights_made *tensor, struct error *err) {
    size_t rows = tensor->rank == 2 ? tensor->shape[0] : 1;
    mixing->columns = tensor->shape[tensor->rank - 1];
    mixing->row = mem_realloc(mixing->row, mixing->columns, sizeof *mixing->row);
    mixing->sum = mem_realloc(mixing->sum, mixing->columns, sizeof *mixing->sum);
    for (size_t m = 0; m < mixing->merging->n; m++)
        if (!weights_rows_open(mixing->weights[m], tensor->name, rows, mixing->columns,
                               &mixing->rows[m], err))
            return false;
    return true;
}

/* weights_write's pieces end where they will: a row cut in two is read twice. */
static bool mix(void *context, size_t tensor, uint64_t at, size_t n, float *out,
                struct error *err) {
    struct mixing *mixing = context;
    if (at == 0 && !turn_to(mixing, &mixing->tensors[tensor], err))
        return false;
    while (n > 0) {
        size_t row = (size_t)(at / mixing->columns), begin = (size_t)(at % mixing->columns);
        size_t take = mixing->columns - begin < n ? mixing->columns - begin : n;
        memset(mixing->sum, 0, mixing->columns * sizeof *mixing->sum);
        for (size_t m = 0; m < mixing->merging->n; m++) {
            weights_rows_read(&mixing->rows[m], row, mixing->row);
            for (size_t i = begin; i < begin + take; i++)
                mixing->sum[i] += mixing->merging->parts[m].weight * (double)mixing->row[i];
        }
        for (size_t i = 0; i < take; i++)
            *out++ = (float)mixing->sum[begin + i];
        at += take;
        n -= take;
    }
    return true;
}

static bool merge_set(struct merging *merging, size_t set, struct error *err) {
    struct mixing mixing = {.merging = merging};
    const char *path;
    size_t have = 0;
    bool ok = true;
    for (size_t m = 0; ok && m < merging->n; m++) {
        ok = open_set(merging->files[m], set, &mixing.weights[m], err);
        have += ok && mixing.weights[m] != NULL;
    }
    if (ok && have > 0 && have < merging->n)
        ok = error_set(err, ERROR_INVALID, "%zu of the %zu models have %s: all or none must", have,
                       merging->n, sets[set].out);
    if (ok && have > 0)
        ok = list_tensors(&mixing, err) &&
             hub_making_path(&merging->making, sets[set].out, &path, err) &&
             weights_write(path, mixing.tensors, mixing.tensors_n, merging->note.data, mix, &mixing,
                           &merging->bytes, err);
    for (size_t m = 0; m < merging->n; m++)
        if (mixing.weights[m])
            weights_close(mixing.weights[m]);
    free(mixing.tensors);
    free(mixing.row);
    free(mixing.sum);
    return ok;
}

/* ---- the folder ---- */

/* The first model's, as everything but the weights. */
static bool put_instructions(struct merging *merging, struct error *err) {
    struct model_files *files = merging->files[0];
    struct model_instructions instructions;
    return model_family_instructions(model_files_name(files), NULL, &instructions, err) &&
           hub_making_instructions(&merging->making, files, instructions.query,
                                   instructions.passage, err);
}

/* What the models' names or their tercet.json say, when all agree in it. Where they do not, the
 * result's own name decides on the analyzer, and a search on how it fuses. */
static bool put_words(struct merging *merging, struct error *err) {
    struct model_config first, other;
    bool same_analyzer = true, same_fusion = true;
    if (!config_read(merging->files[0], &first, err))
        return false;
    for (size_t i = 1; i < merging->n; i++) {
        if (!config_read(merging->files[i], &other, err))
            return false;
        same_analyzer = same_analyzer && strcmp(first.analyzer, other.analyzer) == 0;
        same_fusion = same_fusion && strcmp(first.fusion, other.fusion) == 0;
    }
    const struct hub_making_word words[] = {
        {"analyzer", same_analyzer ? first.analyzer : NULL},
        {"fusion", same_fusion && first.fusion[0] ? first.fusion : NULL}};
    return first.is_reranker || hub_making_say(&merging->making, merging->files[0], words, 2, err);
}

bool hub_merge_write(const struct hub_merge_part *parts, size_t n, enum weights_dtype dtype,
                     const char *folder, uint64_t *bytes_out, struct error *err) {
    struct merging merging = {.parts = parts, .n = n, .dtype = dtype};
    if (n < 1 || n > HUB_MERGE_MAX)
        return error_set(err, ERROR_LIMIT, "%zu models: 1 to %d are merged", n, HUB_MERGE_MAX);
    bool ok = weights_add_up(parts, n, err);
    for (size_t i = 0; ok && i < n; i++) {
        ok = model_files_open(parts[i].model, &merging.files[i], err);
        buf_format(&merging.note, "%s%.9g x %s", i ? " + " : "merged from ", parts[i].weight,
                   parts[i].model);
    }
    ok = ok && same_vocabulary(&merging, err);
    if (ok && hub_making_begin(&merging.making, folder, err)) {
        ok = hub_making_settings(&merging.making, merging.files[0], err) &&
             put_instructions(&merging, err) && put_words(&merging, err);
        for (size_t set = 0; ok && set < sizeof sets / sizeof *sets; set++)
            ok = merge_set(&merging, set, err);
        ok = ok && hub_making_publish(&merging.making, err);
        if (!ok)
            hub_making_give_up(&merging.making);
    } else {
        ok = false;
    }
    if (ok)
        *bytes_out = merging.bytes;
    for (size_t i = 0; i < n; i++)
        if (merging.files[i])
            model_files_close(merging.files[i]);
    buf_done(&merging.note);
    return ok;
}
