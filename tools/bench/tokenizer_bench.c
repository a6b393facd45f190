/* tokenizer_bench - how fast one core tokenises a file of texts; tokenizer_vs_hf.py drives it.
 *
 *   tokenizer_bench TOKENIZER_JSON TEXTS IDS_OUT
 *
 * TEXTS:   for each text its length in bytes (u32, little-endian), then the bytes.
 * IDS_OUT: for each text the number of its tokens (u32), then their ids (u32): written first of
 *          all, so that the caller can see that both sides do the same work.
 * stdin:   each line asks for one round over all texts, answered by a line on stdout:
 *          "CPU_SECONDS WALL_SECONDS TOKENS". So the caller decides whose turn it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/base/file.h"
#include "engine/tokenizer/tokenizer.h"

static double cpu_now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* The text at *at; moves *at behind it. */
static bool next_text(const struct file_map *texts, size_t *at, const char **text_out,
                      uint32_t *len_out, struct error *err) {
    uint32_t len;
    if (texts->len - *at < sizeof len)
        return error_set(err, ERROR_INVALID, "texts: %zu bytes at the end, a length needs 4",
                         texts->len - *at);
    memcpy(&len, texts->data + *at, sizeof len);
    *at += sizeof len;
    if (texts->len - *at < len)
        return error_set(err, ERROR_INVALID, "texts: %u bytes announced, %zu left", len,
                         texts->len - *at);
    *text_out = (const char *)texts->data + *at;
    *len_out = len;
    *at += len;
    return true;
}

/* One round over all texts; the ids go to ids_file unless it is NULL. */
static bool tokenize_all(const struct tokenizer *tokenizer, const struct file_map *texts,
                         struct arena *arena, FILE *ids_file, size_t *tokens_n_out,
                         struct error *err) {
    size_t at = 0, tokens_n = 0;
    while (at < texts->len) {
        const char *text = "";
        uint32_t len = 0;
        struct tokens tokens = {0};
        if (!next_text(texts, &at, &text, &len, err) ||
            !tokenizer_encode(tokenizer, text, len, 0, arena, &tokens, err))
            return false;
        tokens_n += tokens.n;
        uint32_t n = (uint32_t)tokens.n;
        if (ids_file && (fwrite(&n, sizeof n, 1, ids_file) != 1 ||
                         fwrite(tokens.ids, sizeof *tokens.ids, tokens.n, ids_file) != tokens.n))
            return error_set(err, ERROR_IO, "the ids cannot be written");
        arena_reset(arena);
    }
    *tokens_n_out = tokens_n;
    return true;
}

static bool write_ids(const struct tokenizer *tokenizer, const struct file_map *texts,
                      struct arena *arena, const char *path, struct error *err) {
    size_t tokens_n = 0;
    FILE *file = fopen(path, "wb");
    if (!file)
        return error_set(err, ERROR_IO, "%s cannot be opened for writing", path);
    bool ok = tokenize_all(tokenizer, texts, arena, file, &tokens_n, err);
    if (fclose(file) != 0 && ok)
        ok = error_set(err, ERROR_IO, "%s cannot be written", path);
    return ok;
}

static bool answer_rounds(const struct tokenizer *tokenizer, const struct file_map *texts,
                          struct arena *arena, struct error *err) {
    char line[64];
    size_t tokens_n = 0;
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        double cpu_s = cpu_now_s(), wall_s = clock_now_s();
        if (!tokenize_all(tokenizer, texts, arena, NULL, &tokens_n, err))
            return false;
        printf("%.9f %.9f %zu\n", cpu_now_s() - cpu_s, clock_now_s() - wall_s, tokens_n);
        fflush(stdout);
    }
    return true;
}

int main(int argc, char **argv) {
    struct error err;
    struct file_map json = {0}, texts = {0};
    struct tokenizer *tokenizer = NULL;
    struct arena arena = {0};
    if (argc != 4) {
        fputs("usage: tokenizer_bench TOKENIZER_JSON TEXTS IDS_OUT\n", stderr);
        return 2;
    }
    bool ok = file_map_open(argv[1], &json, &err) && file_map_open(argv[2], &texts, &err) &&
              tokenizer_open((const char *)json.data, json.len, argv[1], &tokenizer, &err) &&
              write_ids(tokenizer, &texts, &arena, argv[3], &err) &&
              answer_rounds(tokenizer, &texts, &arena, &err);
    if (!ok)
        fprintf(stderr, "tokenizer_bench: %s\n", err.message);
    arena_done(&arena);
    tokenizer_close(tokenizer);
    file_map_close(&texts);
    file_map_close(&json);
    return ok ? 0 : 1;
}
