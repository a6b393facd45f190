#include "tools/model_goldens.h"

#include <string.h>

/* ---- BAAI/bge-m3 ---- */

#define Q1 "What is BGE M3?"
#define Q2 "Defination of BM25"
#define P1                                                                                         \
    "BGE M3 is an embedding model supporting dense retrieval, lexical matching and multi-vector "  \
    "interaction."
#define P2                                                                                         \
    "BM25 is a bag-of-words retrieval function that ranks a set of documents based on the query "  \
    "terms appearing in each document"

/* Half precision: 11 bits of a cosine's sum, and lexical weights of 0.25 to 0.0002. */
#define HALF 0.003

static const struct golden bge_m3[] = {
    {GOLDEN_DENSE, Q1, P1, 0, .6259035, HALF},
    {GOLDEN_DENSE, Q1, P2, 0, .34749585, HALF},
    {GOLDEN_DENSE, Q2, P1, 0, .349868, HALF},
    {GOLDEN_DENSE, Q2, P2, 0, .6782462, HALF},
    {GOLDEN_SPARSE, Q1, P1, 0, .195544, HALF},
    {GOLDEN_SPARSE, Q1, P2, 0, .008804, HALF},
    {GOLDEN_SPARSE, Q2, P1, 0, 0, 0},
    {GOLDEN_SPARSE, Q2, P2, 0, .18037, HALF},
    {GOLDEN_SPARSE, Q1, Q2, 0, 0, 0},
    {GOLDEN_COLBERT, Q1, P1, 0, .77967, HALF},
    {GOLDEN_COLBERT, Q1, P2, 0, .46212, HALF},
    {GOLDEN_COLBERT, Q2, P1, 0, .45238, HALF},
    {GOLDEN_COLBERT, Q2, P2, 0, .78986, HALF},
    {GOLDEN_SPARSE_DENSE, Q1, P1, 0, .48250, HALF},
    {GOLDEN_SPARSE_DENSE, Q1, P2, 0, .23454, HALF},
    {GOLDEN_SPARSE_DENSE, Q2, P1, 0, .23324, HALF},
    {GOLDEN_SPARSE_DENSE, Q2, P2, 0, .51225, HALF},
    {GOLDEN_ALL, Q1, P1, 0, .60136, HALF},
    {GOLDEN_ALL, Q1, P2, 0, .32558, HALF},
    {GOLDEN_ALL, Q2, P1, 0, .32089, HALF},
    {GOLDEN_ALL, Q2, P2, 0, .62329, HALF},
    {GOLDEN_VECTORS_N, Q1, NULL, 0, 8, 0},
    {GOLDEN_VECTORS_N, P1, NULL, 0, 30, 0},
    {GOLDEN_WEIGHT_ID, Q1, NULL, 4865, .08362, HALF},
    {GOLDEN_WEIGHT_ID, Q1, NULL, 83, .08147, HALF},
    {GOLDEN_WEIGHT_ID, Q1, NULL, 335, .12965, HALF},
    {GOLDEN_WEIGHT_ID, Q1, NULL, 11679, .25187, HALF},
    {GOLDEN_WEIGHT_ID, Q1, NULL, 276, .17002, HALF},
    {GOLDEN_WEIGHT_ID, Q1, NULL, 363, .26958, HALF},
    {GOLDEN_WEIGHT_ID, Q1, NULL, 32, .04076, HALF},
    {GOLDEN_WEIGHT_TEXT, Q2, "De", 0, .05014, HALF},
    {GOLDEN_WEIGHT_TEXT, Q2, "fin", 0, .13689, HALF},
    {GOLDEN_WEIGHT_TEXT, Q2, "ation", 0, .04513, HALF},
    {GOLDEN_WEIGHT_TEXT, Q2, "of", 0, .06342, HALF},
    {GOLDEN_WEIGHT_TEXT, Q2, "BM", 0, .25168, HALF},
    {GOLDEN_WEIGHT_TEXT, Q2, "25", 0, .33353, HALF},
};

/* ---- cross-encoders ---- */

#define PANDA "what is panda?"
#define PANDA_IS                                                                                   \
    "The giant panda (Ailuropoda melanoleuca), sometimes called a panda bear or simply panda, is " \
    "a bear species endemic to China."

/* A dozen of half precision's last bits; a sigmoid turns them into at most a quarter as much, and
 * far less at its ends, where these stand. */
#define HALF_LOGIT 0.05

static const struct golden reranker_v2_m3[] = {
    {GOLDEN_RELEVANCE, "query", "passage", 0, -5.65234, HALF_LOGIT},
    {GOLDEN_RELEVANCE, PANDA, "hi", 0, -8.1875, HALF_LOGIT},
    {GOLDEN_RELEVANCE, PANDA, PANDA_IS, 0, 5.26172, HALF_LOGIT},
    {GOLDEN_SIGMOID, "query", "passage", 0, .003497, .0002},
    {GOLDEN_SIGMOID, PANDA, "hi", 0, .000278, .00002},
    {GOLDEN_SIGMOID, PANDA, PANDA_IS, 0, .99484, .0003},
};

static const struct golden reranker_large[] = {
    {GOLDEN_RELEVANCE, "query", "passage", 0, -1.52637, HALF_LOGIT},
    {GOLDEN_RELEVANCE, PANDA, "hi", 0, -5.60547, HALF_LOGIT},
    {GOLDEN_RELEVANCE, PANDA, PANDA_IS, 0, 5.76172, HALF_LOGIT},
};

#define BERLIN "How many people live in Berlin?"

/* In single precision: only the order of sums differs. */
static const struct golden ms_marco_minilm_l6[] = {
    {GOLDEN_RELEVANCE, BERLIN,
     "Berlin had a population of 3,520,031 registered inhabitants in an area of 891.82 square "
     "kilometers.",
     0, 8.607138, .001},
    {GOLDEN_RELEVANCE, BERLIN, "Berlin is well known for its museums.", 0, -4.320078, .001},
};

/* ---- the models ---- */

#define ITEMS(array) (array), sizeof(array) / sizeof *(array)

static const char *const bge_m3_names[] = {"bge-m3", NULL};
static const char *const v2_m3_names[] = {"bge-reranker-v2-m3", NULL};
static const char *const large_names[] = {"bge-reranker-large", NULL};
static const char *const minilm_names[] = {"ms-marco-MiniLM-L6-v2", "ms-marco-MiniLM-L-6-v2", NULL};

static const struct goldens all[] = {
    {bge_m3_names,
     "model card of BAAI/bge-m3 and FlagEmbedding's examples, half precision on a GPU", .4, .2, .4,
     ITEMS(bge_m3)},
    {v2_m3_names, "model card of BAAI/bge-reranker-v2-m3, half precision on a GPU", 0, 0, 0,
     ITEMS(reranker_v2_m3)},
    {large_names, "FlagEmbedding's examples for BAAI/bge-reranker-large, half precision on a GPU",
     0, 0, 0, ITEMS(reranker_large)},
    {minilm_names, "model card of cross-encoder/ms-marco-MiniLM-L6-v2", 0, 0, 0,
     ITEMS(ms_marco_minilm_l6)},
};

/* The text behind the last slash that has some behind it. */
static size_t last_part(const char *model, const char **out) {
    size_t end = strlen(model);
    while (end > 0 && model[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && model[begin - 1] != '/')
        begin--;
    *out = model + begin;
    return end - begin;
}

const struct goldens *goldens_find(const char *model) {
    const char *part;
    size_t len = last_part(model, &part);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (const char *const *name = all[i].names; *name; name++)
            if (strlen(*name) == len && memcmp(*name, part, len) == 0)
                return &all[i];
    return NULL;
}
