/* Measures against numbers worked out by hand, ties included. */
#include "tools/eval/measures.h"

#include "tests/check.h"

static void hand_worked(struct arena *arena) {
    struct judgment judgments[] = {{"a", 2}, {"b", 1}, {"c", 1}, {"z", 0}};
    struct judged_query query = {.judgments = judgments, .judgments_n = 4};
    struct run_hit hits[] = {{"b", .2f}, {"x", .9f}, {"a", .5f}, {"z", .4f}}; /* x a z b */
    struct measures m = measures_of(&query, hits, 4, arena);
    double ideal = 2 / log2(2) + 1 / log2(3) + 1 / log2(4);
    CHECK_NEAR(m.ndcg_10, (2 / log2(3) + 1 / log2(5)) / ideal, 1e-12);
    CHECK_NEAR(m.recall_100, 2.0 / 3, 1e-12);
    CHECK_NEAR(m.mrr_10, .5, 1e-12);
    CHECK_NEAR(m.map, (1.0 / 2 + 2.0 / 4) / 3, 1e-12);
}

static void ties_fall_by_key_descending(struct arena *arena) {
    struct judgment judgments[] = {{"b", 1}};
    struct judged_query query = {.judgments = judgments, .judgments_n = 1};
    struct run_hit hits[] = {{"a", 1}, {"b", 1}, {"c", 1}};
    CHECK_NEAR(measures_of(&query, hits, 3, arena).mrr_10, .5, 1e-12);
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
    struct measures m = measures_of(&query, hits, 200, arena);
    CHECK_NEAR(m.recall_100, .75, 1e-12);
    CHECK_NEAR(m.mrr_10, .1, 1e-12);
    double ideal = 1 + 1 / log2(3) + 1 / log2(4) + 1 / log2(5);
    CHECK_NEAR(m.ndcg_10, 1 / log2(11) / ideal, 1e-12);
}

static void nothing_found_or_nothing_relevant(struct arena *arena) {
    struct judgment judgments[] = {{"a", 0}};
    struct judged_query query = {.judgments = judgments, .judgments_n = 1};
    struct run_hit hits[] = {{"a", 1}};
    CHECK_NEAR(measures_of(&query, hits, 1, arena).ndcg_10, 0, 0);
    judgments[0].relevance = 1;
    CHECK_NEAR(measures_of(&query, hits, 0, arena).ndcg_10, 0, 0);
    CHECK_NEAR(measures_of(&query, hits, 1, arena).ndcg_10, 1, 0);
}

int main(void) {
    struct arena arena = {0};
    hand_worked(&arena);
    ties_fall_by_key_descending(&arena);
    depths_are_kept(&arena);
    nothing_found_or_nothing_relevant(&arena);
    arena_done(&arena);
    return check_result();
}
