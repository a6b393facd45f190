/* search_options.h - the words that search and eval both take to say how to search. */
#ifndef TERCET_SEARCH_OPTIONS_H
#define TERCET_SEARCH_OPTIONS_H

#include "engine/model.h"
#include "query/search.h"

/* As typed; NULL where not given. */
struct search_options {
    const char *modes, *weights, *fusion, *precision;
};

/* Rows for an option table. */
#define SEARCH_OPTION_ROWS(options, request)                                                       \
    {"precision", OPTION_TEXT, &(options).precision, "P", "auto, int8, bf16 or f32", 0, 0, 0},     \
        {"modes",                                                                                  \
         OPTION_TEXT,                                                                              \
         &(options).modes,                                                                         \
         "LIST",                                                                                   \
         "of dense, sparse, multi (default: all)",                                                 \
         0,                                                                                        \
         0,                                                                                        \
         0},                                                                                       \
        {"weights", OPTION_TEXT, &(options).weights, "D,S,M", "of dense, sparse, multi", 0, 0, 0}, \
        {"fusion",                                                                                 \
         OPTION_TEXT,                                                                              \
         &(options).fusion,                                                                        \
         "F",                                                                                      \
         "zscore, weighted, minmax, rrf or dbsf",                                                  \
         0,                                                                                        \
         0,                                                                                        \
         0},                                                                                       \
        {"candidates",                                                                             \
         OPTION_NUMBER,                                                                            \
         &(request).candidates,                                                                    \
         "N",                                                                                      \
         "documents that each mode proposes (default: 200)",                                       \
         1,                                                                                        \
         SEARCH_CANDIDATES_MAX,                                                                    \
         0},                                                                                       \
    {                                                                                              \
        "exact", OPTION_FLAG, &(request).exact, NULL,                                              \
            "compare with every dense vector, not the approximate index", 0, 0, 0                  \
    }

/* Reads the words into the request and the model's options. */
bool search_options_apply(const struct search_options *options, struct search_request *request,
                          struct model_options *model, struct error *err);

#endif
