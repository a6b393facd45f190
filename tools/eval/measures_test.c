/* Measures against numbers worked out by hand, ties included. tests/eval_agrees.py compares them
 * with trec_eval's own code on random runs. */
#include "tools/eval/measures.h"

#include "tests/check.h"

static double value(const char *name, const struct judged_query *query, struct run_hit *hits,
                    size_t n, struct arena *arena) {
    struct measure_list list;
    struct error err;
    char back[MEASURE_NAME_BYTES];
    CHECK(measures_parse(name, &list, &err));
    measure_name(list.items[0], back);
    CHECK(strcmp(back, name) == 0);
    struct ranking ranking = ranking_make(query, hits, n, arena);
    return measure_of(list.items[0], &ranking);
}

static void hand_worked(struct arena *arena) {
    struct judgment judgments[] = {{"a", 2}, {"b", 1}, {"c", 1}, {"z", 0}};
    struct judged_query query = {.judgments = judgments, .judgments_n = 4};
    struct run_hit hits[] = {{"b", .2f}, {"x", .9f}, {"a", .5f}, {"z", .4f}}; /* x a z b */
    double ideal = 2 / log2(2) + 1 / log2(3) + 1 / log2(4);
    CHECK_NEAR(value("ndcg@10", &query, hits, 4, arena), (2 / log2(3) + 1 / log2(5)) / ideal,
               1e-12);
    CHECK_NEAR(value("ndcg@2", &query, hits, 4, arena), 2 / log2(3) / (2 + 1 / log2(3)), 1e-12);
    CHECK_NEAR(value("recall@100", &query, hits, 4, arena), 2.0 / 3, 1e-12);
    CHECK_NEAR(value("precision@5", &query, hits, 4, arena), .4, 1e-12);
    CHECK_NEAR(value("mrr@10", &query, hits, 4, arena), .5, 1e-12);
    CHECK_NEAR(value("mrr@1", &query, hits, 4, arena), 0, 0);
    CHECK_NEAR(value("map", &query, hits, 4, arena), (1.0 / 2 + 2.0 / 4) / 3, 1e-12);
    CHECK_NEAR(value("map@3", &query, hits, 4, arena), 1.0 / 2 / 3, 1e-12);
    CHECK_NEAR(value("hit@1", &query, hits, 4, arena), 0, 0);
    CHECK_NEAR(value("hit@2", &query, hits, 4, arena), 1, 0);
    CHECK_NEAR(value("hole@2", &query, hits, 4, arena), .5, 1e-12);
    CHECK_NEAR(value("hole@10", &query, hits, 4, arena), .25, 1e-12);
}

static void ties_fall_by_key_descending(struct arena *arena) {
    struct judgment judgments[] = {{"b", 1}};
    struct judged_query query = {.judgments = judgments, .judgments_n = 1};
    struct run_hit hits[] = {{"a", 1}, {"b", 1}, {"c", 1}};
    CHECK_NEAR(value("mrr", &query, hits, 3, arena), .5, 1e-12);
}

static void what_stands_twice_counts_once(struct arena *arena) {
    struct judgment judgments[] = {{"b", 0}, {"c", 1}, {"b", 1}}; /* the last word counts */
    struct judged_query query = {.judgments = judgments, .judgments_n = 3};
    struct run_hit hits[] = {{"a", 5}, {"a", 4}, {"b", 3}, {"b", 2}, {"c", 1}};
    CHECK_NEAR(value("map", &query, hits, 5, arena), (1.0 / 2 + 2.0 / 3) / 2, 1e-12);
    CHECK_NEAR(value("recall@3", &query, hits, 5, arena), 1, 1e-12);
}

static void depths_are_kept(struct arena *arena) {
    static char keys[200][8];
    struct run_hit hits[200];
    struct judgment judgments[] = {{"k010", 1}, {"k011", 1}, {"k100", 1}, {"k101", 1}};
    struct judged_query query = {.judgments = judgments, .judgments_n = 4};
    for (int i = 0; i < 200; i++) { /* rank i + 1 */
        snprintf(keys[i], sizeof keys[i], "k%03d", i + 1);
        hits[i] = (struct run_hit){keys[i], (float)-i};
    }
    CHECK_NEAR(value("recall@100", &query, hits, 200, arena), .75, 1e-12);
    CHECK_NEAR(value("mrr@10", &query, hits, 200, arena), .1, 1e-12);
    double ideal = 1 + 1 / log2(3) + 1 / log2(4) + 1 / log2(5);
    CHECK_NEAR(value("ndcg@10", &query, hits, 200, arena), 1 / log2(11) / ideal, 1e-12);
}

static void nothing_found_or_nothing_relevant(struct arena *arena) {
    struct judgment judgments[] = {{"a", 0}};
    struct judged_query query = {.judgments = judgments, .judgments_n = 1};
    struct run_hit hits[] = {{"a", 1}};
    CHECK_NEAR(value("ndcg@10", &query, hits, 1, arena), 0, 0);
    CHECK_NEAR(value("recall@10", &query, hits, 1, arena), 0, 0);
    judgments[0].relevance = 1;
    CHECK_NEAR(value("ndcg@10", &query, hits, 0, arena), 0, 0);
    CHECK_NEAR(value("hole@10", &query, hits, 0, arena), 0, 0);
    CHECK_NEAR(value("ndcg@10", &query, hits, 1, arena), 1, 0);
}

static void names_that_are_none(void) {
    static const char *const wrong[] = {"",    "ndgc@10", "ndcg@",   "ndcg@0", "recall",
                                        "hit", "map,",    ",map",    "map@x",  "map@10x",
                                        "p@5", "map@-1",  "map@ 10", "MAP",    "ndcg@99999999"};
    struct measure_list list;
    struct error err;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK(!measures_parse(wrong[i], &list, &err));
        CHECK(err.code == ERROR_INVALID);
    }
    CHECK(measures_parse("ndcg@10,map,hole@5", &list, &err) && list.n == 3);
}

int main(void) {
    struct arena arena = {0};
    hand_worked(&arena);
    ties_fall_by_key_descending(&arena);
    what_stands_twice_counts_once(&arena);
    depths_are_kept(&arena);
    nothing_found_or_nothing_relevant(&arena);
    names_that_are_none();
    arena_done(&arena);
    return check_result();
}
