/* search.h - a question in, ranked documents out, each with the reasons for its place.
 *
 * The stages, one function each: encode the query once; retrieve candidates by dense and by sparse
 * search; take their union and score every one of them exactly in every mode asked for; fuse;
 * fetch the stored text of the best. All of it reads one snapshot of the index.
 * Threads: a searcher belongs to one thread at a time (it owns an encoder session). Index and model
 * are shared and must outlive it.
 * Memory:  results lie in the caller's arena. */
#ifndef TERCET_SEARCH_H
#define TERCET_SEARCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "index/fields/facets.h"
#include "index/index.h"
#include "query/fuse.h"
#include "query/vectors.h"

struct encoding;
struct json;
struct model;
struct rerank_scorer;

enum {
    SEARCH_K_DEFAULT = 10,
    SEARCH_K_MAX = 1000,             /* an answer is read, not exported */
    SEARCH_CANDIDATES_DEFAULT = 200, /* by each retrieving mode; measured: more gains nothing */
    SEARCH_CANDIDATES_MAX = 10000,
    SEARCH_QUERY_BYTES_MAX = 1 << 20, /* far more than any encoder reads; bounds the tokenizer */
    SEARCH_FACETS_MAX = 16,           /* fields to count: a walk over a table for each */
    SEARCH_SCAN_MAX = 100000,       /* documents that token vectors alone are compared with: half a
                                 second (docs/multivectors.md) */
    SEARCH_HIGHLIGHTS_DEFAULT = 32, /* of a hit */
    SEARCH_HIGHLIGHTS_MAX = 1000,
    SEARCH_RERANK_DEFAULT = 50,
    SEARCH_RERANK_MAX = SEARCH_K_MAX,
    SEARCH_DEADLINE_MS_MAX = 600 * 1000, /* longer than any client waits */
};

/* A part of a hit: bytes of its title or text. */
enum search_field { SEARCH_TITLE, SEARCH_TEXT, SEARCH_FIELDS_N };

struct search_place {
    enum search_field field;
    uint32_t begin, end;
};

const char *search_field_name(enum search_field field);

/* A text; or ready-made vectors, beside which a text may stand, which is not encoded then (a
 * reranker reads it); or "like", a document that is in the index. */
struct search_request {
    const char *query; /* NULL: none */
    size_t query_len;
    struct query_vectors vectors; /* zeros: none */
    const char *like;             /* the document's key; NULL: none */
    size_t like_len;
    uint32_t k, candidates; /* 0: the default */
    uint32_t offset;        /* hits passed over; offset + k <= SEARCH_K_MAX */
    bool all_hits;  /* every candidate is a hit, whatever k says: for tools that weigh them */
    bool no_text;   /* hits come without their text */
    unsigned modes; /* 0: all that the collection offers */
    bool fusion_given, weights_given;
    enum fuse_method fusion;
    float weights[FUSE_MODES_N];
    const struct json *filter; /* filter.h's language, borrowed; NULL: every document */
    /* Fields whose values are counted over what the filter allows; [facets_n], each once. */
    struct search_facet {
        const char *field;
        size_t field_len;
    } facets[SEARCH_FACETS_MAX];
    size_t facets_n;
    uint32_t facet_limit; /* values of each; 0: FACET_LIMIT_DEFAULT */
    bool explain;
    const struct encoding *encoding; /* the query's, from searcher_encode; NULL: not yet */
    double encoding_ms;              /* its share of the time that took */
    bool exact; /* score every dense row instead of asking the approximate index */
    /* Lexical candidates by the query's heaviest terms, this part of its weight; 0 and 1: exact. */
    float sparse_mass;
    struct search_rerank {
        bool wanted;
        const char *model;    /* that it shall be; NULL: whichever there is */
        uint32_t top;         /* so many of the best; 0: SEARCH_RERANK_DEFAULT */
        uint32_t deadline_ms; /* for the whole search, from search_run on; 0: none */
    } rerank;
    struct search_highlighting {
        bool wanted;
        unsigned fields; /* 1 << SEARCH_TITLE, .. */
        uint32_t max;    /* of a hit, the best; 0: SEARCH_HIGHLIGHTS_DEFAULT */
    } highlight;
    struct pool *pool; /* whose workers share retrieval and scoring; NULL: this thread alone */
    const struct rerank_scorer *reranker; /* what reranks here (rerank.h); NULL: nothing does */
    const atomic_bool *cancelled;         /* nobody waits any more: ERROR_STOPPED; NULL: never */
};

/* One query term's part in a hit's sparse score. */
struct search_term {
    const char *text;
    float query_weight, share; /* shares add up to the sparse score; 0: the document lacks it */
};

/* One query token and the passage token that answers it best (MaxSim). */
struct search_match {
    const char *query_token, *passage_token; /* as written; "[SEP]" for the closing token */
    float product;
    bool has_place; /* the passage token stands there */
    struct search_place place;
};

struct search_explanation {
    struct search_term *terms; /* largest share first */
    size_t terms_n;
    struct search_match *matches; /* in the query's order */
    size_t matches_n;
};

/* Words that answer the query (highlight.h). */
enum search_source { SEARCH_BY_SPARSE, SEARCH_BY_MULTI };

struct search_highlight {
    struct search_place place;
    float score; /* 0 to 1 */
    enum search_source source;
};

struct search_hit {
    struct fuse_candidate scores;
    struct rerank_score {
        uint32_t rank; /* from 1; 0: the cross-encoder has not read it, or was not asked */
        float raw, normalized;
    } rerank;
    struct document document;
    bool has_passage; /* texts are cut in this collection, and by dense or multi it is known ... */
    struct document_passage passage;       /* ... which part of it answers best */
    struct search_explanation explanation; /* empty unless asked for */
    struct search_highlight *highlights;   /* in their order, apart from each other */
    size_t highlights_n;
};

struct search_timing {
    double encode_ms, retrieve_ms, score_ms, fuse_ms, rerank_ms, fetch_ms, facets_ms, total_ms;
};

/* What was done to find candidates. */
struct search_retrieval {
    unsigned modes;       /* that proposed them, and ... */
    unsigned approximate; /* ... of those, the ones that may have passed a better one over */
    uint32_t candidates;  /* that each was asked for */
    bool filtered;        /* they asked a filter, which lets ... */
    size_t allowed_n;     /* ... so many documents through */
};

/* What the cross-encoder did. Those it scored come first, in its order; the others behind them as
 * they were fused. */
struct search_reranking {
    const char *model; /* NULL: it was not asked */
    size_t asked_n, scored_n;
    bool deadline_reached; /* so not all were scored */
};

struct search_result {
    struct search_hit *hits; /* best first, from `offset` on */
    size_t hits_n, candidates_n;
    uint32_t offset;
    bool no_text;     /* as asked: answer.h leaves texts out */
    bool highlighted; /* as asked: hits have highlights, though it be none */
    struct search_retrieval retrieval;
    struct facet *facets;              /* [facets_n] in the request's order */
    struct search_facet *facet_fields; /* [facets_n] */
    size_t facets_n;
    struct fuse_plan plan; /* what was done, chosen or asked for */
    struct search_reranking reranking;
    struct search_timing timing;
};

struct pool;
struct searcher;

/* model: the one that the index was made with. With another one, or NULL, it can be searched by
 * ready-made vectors and by "like" only: search_run says so. */
bool searcher_open(struct index *index, const struct model *model, struct searcher **out,
                   struct error *err);
void searcher_close(struct searcher *searcher);

/* Encodes the queries of requests that ask for all modes, together: cheaper than one by one, and to
 * the bit the same. out: [n], everything in the arena. */
bool searcher_encode(struct searcher *searcher, const struct search_request *const *requests,
                     size_t n, struct arena *arena, struct encoding *out, struct error *err);
/* Whether a request is one of those. */
bool search_encodes_all(const struct search_request *request);

/* The modes that a collection offers; and the ENCODE_... of some modes. */
unsigned search_modes_of(const struct index_settings *settings);
unsigned search_encoder_modes(unsigned modes);

/* The page that k and offset ask for, k 0 being the default: ERROR_INVALID beyond SEARCH_K_MAX. */
bool search_check_page(const struct search_request *request, struct error *err);
/* One thing to search for: ERROR_INVALID when there is none, or several. */
bool search_check_source(const struct search_request *request, struct error *err);

/* What search_run refuses before it does anything: ERROR_INVALID when the request asks for what the
 * collection does not have or contradicts itself, ERROR_LIMIT when for too much, ERROR_UNSUPPORTED
 * when for a reranker that is not there. *field_out: the field at fault, or NULL. */
bool search_check(const struct searcher *searcher, const struct search_request *request,
                  const char **field_out, struct error *err);

/* The field that made search_run fail with this error, where there is one; else NULL. */
const char *search_fault(const struct search_request *request, const struct error *err);

bool search_run(struct searcher *searcher, const struct search_request *request,
                struct arena *arena, struct search_result *out, struct error *err);

#endif
