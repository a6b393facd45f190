/* words.h - the words of a text, by Unicode properties.
 *
 * A word is a run of letters, marks, numbers and connectors such as "_" (what Python's \w+ takes,
 * and marks, without which the scripts of India fall apart). Scripts written without spaces would
 * make a sentence one word, so an ideograph and a hiragana letter are words by themselves, and so
 * is each letter of Thai, Lao, Burmese and Khmer with its marks; katakana runs, which spell
 * loanwords, and Hangul, which has spaces, are words (as in UAX 29). For these languages
 * "model" is the better choice: its vocabulary has real words.
 *
 * Folded: NFKC and case folding. Words of one character are left out, as by scikit-learn's and
 * bm25s's \b\w\w+\b, but for those of the scripts without spaces. Words longer than WORD_BYTES_MAX
 * are no words (base64, a sequence of bases): left out.
 * Threads: a reader belongs to one thread. */
#ifndef TERCET_WORDS_H
#define TERCET_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As written and folded. A word is a key on disk, and LMDB's keys end at 511 bytes. */
enum { WORD_BYTES_MAX = 255 };

struct words {
    const char *text;
    size_t len, at;
};

struct word_found {
    uint32_t begin, end; /* bytes of the text */
    uint32_t folded_len;
    char folded[WORD_BYTES_MAX + 1]; /* NUL behind */
};

void words_init(struct words *words, const char *text, size_t len);

/* The next word; false at the end. Linear in the text, whatever it holds. */
bool words_next(struct words *words, struct word_found *out);

/* The next run of word characters, [*begin_out, *end_out), also those that words_next leaves out: a
 * letter alone, a word that is too long. Use one of the two. */
bool words_next_run(struct words *words, size_t *begin_out, size_t *end_out);

#endif
