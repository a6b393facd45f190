/* states.h - texts read once by the frozen encoder, and its states kept.
 *
 * The last hidden states lie as f16 in a file without a name under $TMPDIR (or /tmp), mapped: 2
 * bytes x width a token, 768 for bge-small, so that SciFact's 5,183 abstracts take a gigabyte; what
 * memory cannot hold goes to disk. Ids and ranges take 12 bytes a token of memory. */
#ifndef TERCET_HEADS_STATES_H
#define TERCET_HEADS_STATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/tokenizer/tokenizer.h"

struct encoder_text;
struct model;
struct pool;

struct heads_states {
    size_t texts_n, width;
    size_t *at;                 /* [texts_n + 1] first token of each text; the first one is [CLS] */
    uint32_t *ids;              /* [tokens] HEADS_FIT_NO_TERM for special ones */
    struct token_range *ranges; /* [tokens] bytes of the text */
    uint16_t *values;           /* f16 [tokens, width] */
    size_t values_bytes;
    float *dense; /* [texts_n, width] of length 1 */
};

/* Called between windows of texts, from the calling thread. */
typedef void heads_progress(void *context, size_t texts_done, size_t texts_n);

/* instruction: put in front for the dense vector only; may be "". length_max: tokens, at most the
 * model's own. progress may be NULL. Released by heads_states_done, which takes zeros, too. */
bool heads_states_make(const struct model *model, struct pool *pool,
                       const struct encoder_text *texts, size_t n, const char *instruction,
                       uint32_t length_max, heads_progress *progress, void *context,
                       struct heads_states *out, struct error *err);
void heads_states_done(struct heads_states *states);

#endif
