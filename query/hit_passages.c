/* Of documents that are several passages, the one that answers the query. */
#include <stdlib.h>

#include "query/run.h"

bool run_knows_passages(const struct search_run *run) {
    return index_settings_of(run->searcher->index)->chunk_tokens > 0 &&
           (run->plan.fuse.modes & (1u << FUSE_MULTI | 1u << FUSE_DENSE)) != 0;
}

/* candidates: docids ascend. */
static int compare_docid(const void *docid, const void *at) {
    uint32_t x = *(const uint32_t *)docid, y = *(const uint32_t *)at;
    return (x > y) - (x < y);
}

uint32_t run_passage_of(const struct search_run *run, uint32_t docid) {
    const uint32_t *at = run->passages && run->n
                             ? bsearch(&docid, run->docids, run->n, sizeof docid, compare_docid)
                             : NULL;
    return at ? run->passages[at - run->docids] : 0;
}

bool run_hit_passage(struct search_run *run, struct search_hit *hit, struct error *err) {
    hit->has_passage = run_knows_passages(run);
    return !hit->has_passage ||
           document_passage(run->snapshot, hit->scores.docid,
                            run_passage_of(run, hit->scores.docid), &hit->passage, err);
}

bool run_passage_text(const struct search_run *run, const struct document *document,
                      const struct document_passage *part, struct arena *arena, struct passage *out,
                      size_t *title_len_out, struct error *err) {
    const struct index_settings *settings = index_settings_of(run->searcher->index);
    uint32_t title_tokens;
    size_t begin = 0, end = document->text_len;
    *title_len_out = document->title_len;
    if (part) {
        begin = part->begin;
        end = part->end;
    }
    if (part && run->searcher->model &&
        !passage_title(run->searcher->model, settings->length_max, document->title,
                       document->title_len, arena, title_len_out, &title_tokens, err))
        return false;
    *out = passage_of(document->title, *title_len_out, document->text + begin, end - begin, arena);
    return true;
}
