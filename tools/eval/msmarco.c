/* MS MARCO passages as Microsoft gives them out, and TREC's deep learning tracks in their form. */
#include "tools/eval/benchmark.h"

bool msmarco_read(const char *folder, struct judged_builder *builder, struct benchmark *out,
                  struct error *err) {
    const char *queries = NULL, *qrels = NULL, *corpus = NULL;
    if (!out->split)
        out->split = "dev.small";
    out->columns = "id,text";
    if (!benchmark_file(folder, "collection.tsv*", builder->arena, &corpus, err))
        return false;
    out->corpus = corpus;
    return benchmark_file(folder, arena_format(builder->arena, "queries.%s.tsv*", out->split),
                          builder->arena, &queries, err) &&
           benchmark_file(folder, arena_format(builder->arena, "qrels.%s.tsv*", out->split),
                          builder->arena, &qrels, err) &&
           benchmark_topics_read(builder, queries, err) &&
           judged_qrels_read(builder, qrels, false, err);
}
