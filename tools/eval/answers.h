/* answers.h - does a passage hold an answer?
 *
 * As DPR's evaluation and BGE-M3's do it (Karpukhin et al. 2020): both are brought to canonical
 * decomposition (NFD), cut into words (letters, digits and marks; anything else that shows stands
 * alone), put into lower case; an answer is held when its words stand there in a row. */
#ifndef TERCET_EVAL_ANSWERS_H
#define TERCET_EVAL_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>

struct judged_query;

bool answers_held(const struct judged_query *query, const char *text, size_t len);

#endif
