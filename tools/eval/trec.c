#include "tools/eval/trec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct run_builder {
    struct arena *arena;
    struct map by_id;
    struct run run;
};

static struct run_query *query_of(struct run_builder *builder, const char *id) {
    struct run *run = &builder->run;
    const uint32_t *known = map_find(&builder->by_id, id, strlen(id));
    if (known)
        return &run->queries[*known];
    run->queries = arena_room(builder->arena, run->queries, run->n, sizeof *run->queries);
    char *own = arena_text(builder->arena, id, strlen(id));
    map_put(&builder->by_id, own, strlen(own), (uint32_t)run->n, NULL);
    run->queries[run->n] = (struct run_query){.id = own};
    return &run->queries[run->n++];
}

static void hit_add(struct run_builder *builder, struct run_query *query, const char *document,
                    float score) {
    query->hits = arena_room(builder->arena, query->hits, query->hits_n, sizeof *query->hits);
    query->hits[query->hits_n++] =
        (struct run_hit){arena_text(builder->arena, document, strlen(document)), score};
}

static bool take_hit(void *context, char *line, size_t len, struct error *err) {
    struct run_builder *builder = context;
    char *columns[6], *rest = line, *end;
    size_t n = 0;
    (void)len;
    for (char *column; n < 6 && (column = strtok_r(rest, " \t", &rest));)
        columns[n++] = column;
    if (n < 5)
        return error_set(err, ERROR_INVALID,
                         "\"query Q0 document rank score tag\" is needed, found %zu columns", n);
    float score = strtof(columns[4], &end);
    if (end == columns[4] || *end != '\0' || !isfinite(score))
        return error_set(err, ERROR_INVALID, "the score \"%.32s\" is no number", columns[4]);
    hit_add(builder, query_of(builder, columns[0]), columns[2], score);
    return true;
}

bool run_read(const char *path, struct arena *arena, struct run *out, struct error *err) {
    struct run_builder builder = {.arena = arena};
    bool ok = judged_lines(path, take_hit, &builder, err);
    map_done(&builder.by_id);
    if (ok && builder.run.n == 0)
        ok = error_set(err, ERROR_INVALID, "%s: holds no hit", path);
    *out = builder.run;
    return ok;
}

bool run_write(const char *path, const struct run *run, const char *tag, struct error *err) {
    FILE *out = fopen(path, "w");
    if (!out)
        return error_set_errno(err, "%s", path);
    for (size_t i = 0; i < run->n; i++)
        for (size_t rank = 0; rank < run->queries[i].hits_n; rank++)
            fprintf(out, "%s Q0 %s %zu %.9g %s\n", run->queries[i].id,
                    run->queries[i].hits[rank].doc_key, rank + 1,
                    (double)run->queries[i].hits[rank].score, tag);
    bool failed = ferror(out) != 0;
    return (fclose(out) == 0 && !failed) || error_set_errno(err, "%s", path);
}

struct run_query *run_aligned(const struct run *run, const struct judged_queries *judged,
                              struct arena *arena) {
    struct run_query *aligned = ARENA_ZERO(arena, struct run_query, judged->n);
    struct map by_id = {0};
    for (size_t i = 0; i < run->n; i++)
        map_put(&by_id, run->queries[i].id, strlen(run->queries[i].id), (uint32_t)i, NULL);
    for (size_t i = 0; i < judged->n; i++) {
        const char *id = judged->queries[i].id;
        const uint32_t *at = map_find(&by_id, id, strlen(id));
        aligned[i] = at ? run->queries[*at] : (struct run_query){.id = id};
    }
    map_done(&by_id);
    return aligned;
}

double *run_values(const struct run_query *aligned, const struct judged_queries *judged,
                   const struct measure_list *measures, struct arena *arena) {
    double *values = ARENA_NEW(arena, double, judged->n * measures->n + 1);
    struct arena scratch = {0};
    for (size_t i = 0; i < judged->n; i++) {
        struct ranking ranking =
            ranking_make(&judged->queries[i], aligned[i].hits, aligned[i].hits_n, &scratch);
        for (size_t m = 0; m < measures->n; m++)
            values[i * measures->n + m] = measure_of(measures->items[m], &ranking);
        arena_reset(&scratch);
    }
    arena_done(&scratch);
    return values;
}
