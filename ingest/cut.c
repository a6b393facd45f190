/* Part of the first stage: what of a row the encoder will read. In a chunked index a text is cut
 * into passages by the model's own tokens, each behind its document's title, and words are counted
 * over the whole text here: the encoder sees passages only. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/model.h"
#include "engine/passage.h"
#include "ingest/chunker.h"
#include "ingest/stages.h"

enum {
    /* A text is made tokens of in blocks, so that memory does not grow with its length. */
    BLOCK_BYTES = 256 << 10,
    /* Where two blocks meet a token may count twice; and a passage read for itself may have a token
     * more than within its text. */
    SLACK_TOKENS = 4,
    PASSAGE_TOKENS_MIN = 8, /* whatever title and instruction leave */
};

bool cutter_open(struct cutter *cutter, const struct model *model,
                 const struct index_settings *settings, struct error *err) {
    struct encoder_text nothing = {"", 0};
    struct tokens tokens;
    size_t first;
    *cutter = (struct cutter){.model = model};
    if (model && !encoder_read(model, settings->passage_instruction, 0, &nothing, &cutter->scratch,
                               &tokens, &first, err))
        return false;
    cutter->overhead = model ? (uint32_t)tokens.n : 0;
    return settings->lexical != INDEX_LEXICAL_BM25 ||
           analyzer_open(settings->analyzer, model ? model_tokenizer(model) : NULL,
                         &cutter->analyzer, err);
}

void cutter_close(struct cutter *cutter) {
    analyzer_close(cutter->analyzer);
    arena_done(&cutter->scratch);
    free(cutter->ranges);
    *cutter = (struct cutter){0};
}

/* ---- pieces ---- */

static void add_piece(const struct ingest *ingest, struct window *window, size_t row,
                      struct passage passage, uint32_t begin, uint32_t end) {
    if (window->pieces_n == window->pieces_cap) {
        window->pieces_cap = window->pieces_cap ? 2 * window->pieces_cap : 1024;
        window->pieces = mem_realloc(window->pieces, window->pieces_cap, sizeof *window->pieces);
    }
    window->pieces[window->pieces_n++] = (struct piece){
        .text = {.text = passage.text, .len = passage.len},
        .row = row,
        .made = {.begin = begin, .end = end},
    };
    window->spans[row].n++;
    window->spans[row].left++;
    window->held_bytes += passage.len;
    window->read_bytes += piece_read_bytes(ingest, &window->pieces[window->pieces_n - 1]);
}

/* ---- the tokens of a text ---- */

/* Where a block that begins at `begin` ends: behind white space, if there is any in its second
 * half. */
static size_t block_end(const char *text, size_t len, size_t begin) {
    size_t end = begin + BLOCK_BYTES, at;
    if (len - begin <= BLOCK_BYTES)
        return len;
    for (at = end; at > begin + BLOCK_BYTES / 2; at--)
        if (strchr(" \n\t\r", text[at - 1]))
            return at;
    while (((unsigned char)text[end] & 0xC0) == 0x80)
        end--;
    return end;
}

static void push_ranges(struct cutter *cutter, const struct tokens *tokens, size_t offset) {
    if (cutter->ranges_n + tokens->n > cutter->ranges_cap) {
        cutter->ranges_cap = 2 * (cutter->ranges_n + tokens->n);
        cutter->ranges = mem_realloc(cutter->ranges, cutter->ranges_cap, sizeof *cutter->ranges);
    }
    for (size_t i = 0; i < tokens->n; i++) {
        struct token_range range = tokens->ranges[i];
        if (range.end > range.begin) /* no special token */
            cutter->ranges[cutter->ranges_n++] =
                (struct token_range){range.begin + (uint32_t)offset, range.end + (uint32_t)offset};
    }
}

static bool too_long(uint32_t tokens, struct error *err) {
    return error_set(err, ERROR_LIMIT,
                     "its text is longer than %d passages of up to %u tokens: make several "
                     "documents of it, or ingest into an index of longer passages",
                     RECORD_PASSAGES_MAX, tokens);
}

/* Into cutter->ranges. */
static bool read_tokens(struct cutter *cutter, const struct row *row, uint32_t tokens_a_passage,
                        struct error *err) {
    cutter->ranges_n = 0;
    for (size_t begin = 0, end; begin < row->text_len; begin = end) {
        struct tokens tokens;
        end = block_end(row->text, row->text_len, begin);
        arena_reset(&cutter->scratch);
        if (!tokenizer_encode(model_tokenizer(cutter->model), row->text + begin, end - begin, 0,
                              &cutter->scratch, &tokens, err))
            return false;
        push_ranges(cutter, &tokens, begin);
        if (cutter->ranges_n > (size_t)RECORD_PASSAGES_MAX * tokens_a_passage ||
            cutter->ranges_n > RECORD_VECTORS_MAX)
            return too_long(tokens_a_passage, err);
    }
    return true;
}

/* ---- a text as passages ---- */

static bool cut(struct ingest *ingest, struct window *window, size_t i, struct error *err) {
    struct cutter *cutter = &ingest->cutter;
    const struct index_settings *settings = &ingest->settings;
    const struct row *row = &window->rows[i];
    struct chunk_rule rule = {settings->chunk_tokens, settings->chunk_overlap};
    struct chunk *chunks;
    uint32_t title_tokens;
    size_t title_len, n = 0;
    arena_reset(&cutter->scratch);
    if (!passage_title(cutter->model, settings->length_max, row->title, row->title_len,
                       &cutter->scratch, &title_len, &title_tokens, err))
        return false;
    uint32_t taken = cutter->overhead + title_tokens + SLACK_TOKENS;
    uint32_t room = settings->length_max > taken ? settings->length_max - taken : 0;
    if (rule.tokens > room)
        rule.tokens = room > PASSAGE_TOKENS_MIN ? room : PASSAGE_TOKENS_MIN;
    if (rule.overlap > rule.tokens / 2)
        rule.overlap = rule.tokens / 2;
    if (row->text_len > rule.tokens) { /* fewer bytes are fewer tokens */
        if (!read_tokens(cutter, row, rule.tokens, err))
            return false;
        n = chunk_text(row->text, row->text_len, cutter->ranges, cutter->ranges_n, rule,
                       &cutter->scratch, &chunks);
    }
    if (n <= 1) {
        add_piece(ingest, window, i,
                  passage_of(row->title, title_len, row->text, row->text_len, &window->texts), 0,
                  (uint32_t)row->text_len);
        return true;
    }
    size_t vectors_n = n * (size_t)(cutter->overhead + title_tokens);
    for (size_t c = 0; c < n; c++)
        vectors_n += chunks[c].tokens_n;
    if (n > RECORD_PASSAGES_MAX || vectors_n > RECORD_VECTORS_MAX)
        return too_long(rule.tokens, err);
    for (size_t c = 0; c < n; c++)
        add_piece(ingest, window, i,
                  passage_of(row->title, title_len, row->text + chunks[c].begin,
                             chunks[c].end - chunks[c].begin, &window->texts),
                  chunks[c].begin, chunks[c].end);
    return true;
}

bool count_words(struct ingest *ingest, struct window *window, size_t i, struct error *err) {
    const struct row *row = &window->rows[i];
    struct cutter *cutter = &ingest->cutter;
    if (!cutter->analyzer)
        return true;
    arena_reset(&cutter->scratch);
    struct passage whole =
        passage_of(row->title, row->title_len, row->text, row->text_len, &cutter->scratch);
    return analyzer_run(cutter->analyzer, whole.text, whole.len, &window->vectors,
                        &window->encodings[i].lexical, err);
}

bool cut_row(struct ingest *ingest, struct window *window, size_t i, struct error *err) {
    const struct row *row = &window->rows[i];
    window->spans[i] = (struct span){.first = window->pieces_n};
    window->encodings[i] = (struct encoding){0};
    if (ingest->settings.chunk_tokens > 0)
        return cut(ingest, window, i, err) && count_words(ingest, window, i, err);
    add_piece(ingest, window, i,
              passage_of(row->title, row->title_len, row->text, row->text_len, &window->texts), 0,
              (uint32_t)row->text_len);
    return true;
}
