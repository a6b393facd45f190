/* stopwords.h - words that say nothing: Lucene's 33 for English (EnglishAnalyzer), sorted. */
#ifndef TERCET_STOPWORDS_H
#define TERCET_STOPWORDS_H

static const char *const stopwords_english[] = {
    "a",   "an",    "and",  "are",   "as",    "at",   "be",   "but", "by",  "for",  "if",
    "in",  "into",  "is",   "it",    "no",    "not",  "of",   "on",  "or",  "such", "that",
    "the", "their", "then", "there", "these", "they", "this", "to",  "was", "will", "with",
};

#endif
