/* loader_fuzz - whatever bytes a model folder holds: they are read or refused, and nothing else.
 *
 * The first byte of an input chooses the reader (enum reader, modulo their number); the rest is one
 * file, or several with PART between them. What opens is used: tensors are converted, texts
 * encoded. Beside the sanitizers this checks that an input of n bytes never holds more than
 * HELD_BASE + n * HELD_FACTOR bytes of memory at once. Run it: docs/fuzzing.md. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/config.h"
#include "engine/hub.h"
#include "engine/tokenizer/tokenizer.h"
#include "engine/weights/shards.h"
#include "engine/weights/weights.h"

#define PART "\n%%%%\n"

enum reader {
    READER_SAFETENSORS,
    READER_TORCH,
    READER_TOKENIZER,    /* tokenizer.json, a text */
    READER_VOCAB,        /* vocab.txt, a text, tokenizer_config.json */
    READER_CONFIG,       /* the files of config_names */
    READER_SHARDS,       /* model.safetensors.index.json, two shards */
    READER_TORCH_SHARDS, /* pytorch_model.bin.index.json, two shards */
    READERS_N,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- memory ---- */

/* Tables of a fixed size (of every code point, while a charsmap is read) and the first chunks of
 * arenas: 2.3 MB at most. */
enum { HELD_BASE = 4 << 20 };
/* The costliest byte is a pickle's TUPLE1: two blocks of 64 bytes in an arena that doubles, places
 * on the stack and in the memo; 146 a byte for nothing else. In JSON it is an empty object: 72. */
enum { HELD_FACTOR = 256 };

static size_t held, held_max;

static void note_malloc(const volatile void *block, size_t size) {
    (void)block;
    held += size;
    held_max = held > held_max ? held : held_max;
}

/* Present where the program is built with AddressSanitizer. */
__attribute__((weak)) size_t __sanitizer_get_allocated_size(const volatile void *block);
__attribute__((weak)) int
__sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void *, size_t),
                                          void (*free_hook)(const volatile void *));

static void note_free(const volatile void *block) {
    held -= block ? __sanitizer_get_allocated_size(block) : 0;
}

/* ---- parts and files ---- */

struct part {
    const uint8_t *data;
    size_t len;
};

/* Up to n parts; those that are not there are empty. Returns how many are. */
static size_t split(const uint8_t *data, size_t size, struct part *parts, size_t n) {
    memset(parts, 0, n * sizeof *parts);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *end = i + 1 < n && size ? memmem(data, size, PART, sizeof PART - 1) : NULL;
        parts[i] = (struct part){data, end ? (size_t)(end - data) : size};
        if (!end)
            return i + 1;
        data = end + sizeof PART - 1;
        size -= parts[i].len + sizeof PART - 1;
    }
    return n;
}

static char folder[512];

static void path_of(const char *name, char out[1024]) {
    snprintf(out, 1024, "%s/%s", folder, name);
}

static void remove_file(const char *name) {
    char path[1024];
    path_of(name, path);
    unlink(path);
}

static void write_file(const char *name, struct part part) {
    char path[1024];
    path_of(name, path);
    unlink(path); /* truncating an old file makes some file systems write it out */
    FILE *out = fopen(path, "wb");
    bool ok = out && fwrite(part.data, 1, part.len, out) == part.len;
    ok = out && fclose(out) == 0 && ok;
    if (!ok) {
        perror(path);
        abort();
    }
}

static const char *const config_names[] = {"config.json",
                                           "modules.json",
                                           "1_Pooling/config.json",
                                           "sentence_bert_config.json",
                                           "tokenizer_config.json",
                                           "config_sentence_transformers.json",
                                           "tercet.json"};
static const char *const shard_names[2][3] = {
    {SHARDS_SAFETENSORS_INDEX, "model-00001-of-00002.safetensors",
     "model-00002-of-00002.safetensors"},
    {SHARDS_TORCH_INDEX, "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"}};
enum { CONFIG_NAMES_N = sizeof config_names / sizeof *config_names, SHARD_NAMES_N = 3 };

static void remove_folder(void) {
    for (size_t i = 0; i < CONFIG_NAMES_N; i++)
        remove_file(config_names[i]);
    for (size_t i = 0; i < SHARD_NAMES_N; i++) {
        remove_file(shard_names[0][i]);
        remove_file(shard_names[1][i]);
    }
    char below[1024];
    path_of("1_Pooling", below);
    rmdir(below);
    rmdir(folder);
}

/* The folder that inputs of several files are written to; one for each process. */
static void make_folder(void) {
    const char *temporary = getenv("TMPDIR");
    char below[1024];
    snprintf(folder, sizeof folder, "%s/tercet-fuzz-XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(folder)) {
        perror(folder);
        abort();
    }
    path_of("1_Pooling", below);
    mkdir(below, 0700);
    atexit(remove_folder);
}

static struct model_files *open_files(const char *const *names, size_t n, const struct part *parts,
                                      size_t parts_n) {
    struct model_files *files = NULL;
    struct error err;
    if (!*folder)
        make_folder();
    for (size_t i = 0; i < n; i++)
        if (i < parts_n)
            write_file(names[i], parts[i]);
        else
            remove_file(names[i]);
    if (!model_files_open(folder, &files, &err))
        abort();
    return files;
}

/* ---- readers ---- */

/* Everything that opened is read as what it says it is, and as what it is not. */
static void use_weights(struct weights *weights) {
    enum { FLOATS_MAX = 1 << 20 };
    for (size_t i = 0; i < weights_count(weights); i++) {
        const char *name = weights_name(weights, i);
        const struct weights_tensor *tensor = weights_find(weights, name);
        struct error err;
        if (!tensor || tensor->rank < 1 || tensor->rank > 2) {
            bool read = weights_read_f32(weights, name, 1, 1, NULL, &err);
            assert(!read);
            continue;
        }
        size_t rows = tensor->rank == 2 ? tensor->shape[0] : 1, n;
        size_t columns = tensor->shape[tensor->rank - 1];
        if (__builtin_mul_overflow(rows, columns, &n) || n > FLOATS_MAX)
            continue;
        float *out = malloc(n ? n * sizeof *out : 1);
        bool read = weights_read_f32(weights, name, rows, columns, out, &err);
        assert(read || err.code == ERROR_CORRUPT); /* a NaN */
        read = weights_read_f32(weights, name, rows + 1, columns, out, &err);
        assert(!read);
        struct weights_rows by_row;
        if (weights_rows_open(weights, name, rows, columns, &by_row, &err) && rows)
            weights_rows_read(&by_row, rows - 1, out);
        free(out);
    }
    weights_close(weights);
}

static void use_tokenizer(struct tokenizer *tokenizer, struct part text) {
    struct arena arena = {0};
    struct error err;
    struct tokens tokens, cut;
    const char *bytes = text.len ? (const char *)text.data : "";
    size_t n = tokenizer_vocabulary_n(tokenizer);
    bool ok = tokenizer_encode(tokenizer, bytes, text.len, 0, &arena, &tokens, &err);
    assert(ok);
    for (size_t i = 0; i < tokens.n; i++)
        assert(tokens.ids[i] < n && tokens.ranges[i].begin <= tokens.ranges[i].end &&
               tokens.ranges[i].end <= text.len);
    if (tokenizer_encode(tokenizer, bytes, text.len, 16, &arena, &cut, &err))
        assert(cut.n <= 16 && (cut.n == tokens.n || tokens.n > 16));
    for (enum tokenizer_cut how = TOKENIZER_CUT_ONLY_SECOND; how <= TOKENIZER_CUT_LONGEST_FIRST;
         how++)
        if (tokenizer_encode_pair(tokenizer, bytes, text.len / 2, bytes + text.len / 2,
                                  text.len - text.len / 2, 32, how, &arena, &tokens, &err))
            assert(how == TOKENIZER_CUT_ONLY_SECOND || tokens.n <= 32);
    struct buf decoded = {0};
    for (size_t id = 0; id <= n; id++) {
        buf_clear(&decoded);
        tokenizer_decode_token(tokenizer, (uint32_t)id, &decoded);
        assert(!tokenizer_is_special(tokenizer, (uint32_t)id) ||
               tokenizer_token_text(tokenizer, (uint32_t)id));
    }
    buf_done(&decoded);
    arena_done(&arena);
    tokenizer_close(tokenizer);
}

static void read_tokenizer(const uint8_t *data, size_t size) {
    struct part parts[2];
    struct tokenizer *tokenizer = NULL;
    struct error err;
    size_t n = split(data, size, parts, 2);
    if (tokenizer_open((const char *)parts[0].data, parts[0].len, "fuzz", &tokenizer, &err))
        use_tokenizer(tokenizer, parts[n - 1]); /* without a text, the file itself is one */
}

static void read_vocab(const uint8_t *data, size_t size) {
    struct part parts[3];
    struct tokenizer *tokenizer = NULL;
    struct error err;
    size_t n = split(data, size, parts, 3);
    const struct tokenizer_vocab_files files = {(const char *)parts[0].data,
                                                parts[0].len,
                                                "vocab",
                                                n == 3 ? (const char *)parts[2].data : NULL,
                                                parts[2].len,
                                                "config"};
    if (tokenizer_open_vocab(&files, &tokenizer, &err))
        use_tokenizer(tokenizer, parts[n > 1]);
}

static void read_config(const uint8_t *data, size_t size) {
    struct part parts[CONFIG_NAMES_N];
    struct model_config config;
    struct error err;
    size_t n = split(data, size, parts, CONFIG_NAMES_N);
    struct model_files *files = open_files(config_names, CONFIG_NAMES_N, parts, n);
    if (config_read(files, &config, &err))
        assert(config.hidden % config.heads_n == 0 && config.layers_n > 0 &&
               config.length_max <= config.positions_n);
    model_files_close(files);
}

static void read_shards(const uint8_t *data, size_t size, size_t kind) {
    struct part parts[SHARD_NAMES_N];
    struct weights *weights = NULL;
    struct error err;
    size_t n = split(data, size, parts, SHARD_NAMES_N);
    struct model_files *files = open_files(shard_names[kind], SHARD_NAMES_N, parts, n);
    if (shards_open(files, shard_names[kind][0], &weights, &err))
        use_weights(weights);
    model_files_close(files);
}

static void read_one(enum reader reader, const uint8_t *data, size_t size) {
    struct weights *weights = NULL;
    struct error err;
    switch (reader) {
    case READER_SAFETENSORS:
        if (weights_open(data, size, "fuzz", &weights, &err))
            use_weights(weights);
        break;
    case READER_TORCH:
        if (weights_open_torch(data, size, "fuzz", &weights, &err))
            use_weights(weights);
        break;
    case READER_TOKENIZER: read_tokenizer(data, size); break;
    case READER_VOCAB: read_vocab(data, size); break;
    case READER_CONFIG: read_config(data, size); break;
    case READER_SHARDS: read_shards(data, size, 0); break;
    case READER_TORCH_SHARDS: read_shards(data, size, 1); break;
    case READERS_N: break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool hooked;
    if (size == 0)
        return 0;
    if (!hooked && __sanitizer_install_malloc_and_free_hooks)
        __sanitizer_install_malloc_and_free_hooks(note_malloc, note_free);
    hooked = true;
    size_t before = held_max = held;
    read_one((enum reader)(data[0] % READERS_N), data + 1, size - 1);
    if (held_max - before > HELD_BASE + size * HELD_FACTOR) {
        fprintf(stderr, "an input of %zu bytes held %zu bytes of memory\n", size,
                held_max - before);
        abort();
    }
    return 0;
}
