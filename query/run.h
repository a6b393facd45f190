/* run.h - inside a search: what its stages share, and the stages that have a file of their own. */
#ifndef TERCET_QUERY_RUN_H
#define TERCET_QUERY_RUN_H

#include "engine/passage.h"
#include "query/plan.h"
#include "query/query.h"
#include "query/search.h"

struct searcher {
    struct index *index;
    const struct model *model; /* the one that the index was made with; NULL: it is not there */
    struct encoder *encoder;   /* NULL then, too */
    struct error no_model;     /* why */
    struct analyzer *analyzer; /* searcher_analyzer's */
    double rerank_pair_ms;     /* what the reranker took for a pair last time; 0: not yet known */
};

/* The analyzer that makes the index's terms of a text, without the model's sparse head: its token
 * ids stand for themselves then. *out NULL: the terms are the model's, and it is not there. */
bool searcher_analyzer(struct searcher *searcher, struct analyzer **out, struct error *err);

struct search_run {
    struct searcher *searcher;
    struct snapshot *snapshot;
    const struct search_request *request;
    struct search_plan plan;
    struct query query;
    bool is_like;                      /* the query is a document: ... */
    uint32_t like_docid;               /* ... this one, which is no hit */
    const struct docid_set *allowed;   /* what the filter lets through; NULL: every document */
    uint32_t *docids;                  /* [n] the candidates, ascending */
    uint32_t *passages;                /* [n] the best of each; NULL: run_knows_passages says no */
    struct fuse_candidate *candidates; /* [n] scored; once fused, best first */
    size_t n;
    struct rerank_score *reranked; /* [result->reranking.scored_n] of the first candidates */
    struct arena *arena;
    struct arena *beside; /* [workers of request->pool - 1] what its other threads need meanwhile */
    struct search_result *result;
};

/* retrieve.c: fills docids; scores them in every mode that is compared. */
bool run_retrieve(struct search_run *run, struct error *err);
bool run_score(struct search_run *run, struct error *err);

/* hit_passages.c: texts are cut here, and the query is compared with what was made of the parts. */
bool run_knows_passages(const struct search_run *run);
/* Which passage of a candidate its best score is of, by token vectors or else by the dense one. */
uint32_t run_passage_of(const struct search_run *run, uint32_t docid);
/* Fills hit->passage; hit->scores must be there. */
bool run_hit_passage(struct search_run *run, struct search_hit *hit, struct error *err);
/* What the encoder read of a document: of one part of it (NULL: of all), behind the title or so
 * much of it as *title_len_out says. */
bool run_passage_text(const struct search_run *run, const struct document *document,
                      const struct document_passage *part, struct arena *arena, struct passage *out,
                      size_t *title_len_out, struct error *err);

/* rerank_best.c: brings the best candidates into the reranker's order. until_ms: rerank.h. */
bool run_rerank(struct search_run *run, double until_ms, struct error *err);

#endif
