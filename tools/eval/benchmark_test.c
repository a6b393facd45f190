/* Benchmarks in the form they are given out in, made here in small; runs and judgments of TREC's;
 * MIRACL's real topics and judgments where the shared data sets are. */
#include "tools/eval/benchmark.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/check.h"
#include "tools/eval/answers.h"
#include "tools/eval/fuse_runs.h"
#include "tools/eval/trec.h"

static char folder[] = "/tmp/tercet-eval-test-XXXXXX";

static const char *put(struct arena *arena, const char *name, const char *text) {
    const char *path = arena_format(arena, "%s/%s", folder, name);
    for (char *slash = strchr(path + strlen(folder) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *out = fopen(path, "w");
    CHECK(out != NULL);
    fputs(text, out);
    fclose(out);
    return path;
}

static bool read_kind(const char *kind, const char *below, const char *split, const char *lang,
                      struct arena *arena, struct benchmark *out) {
    struct error err = {0};
    bool ok = benchmark_read(kind, arena_format(arena, "%s/%s", folder, below), split, lang, arena,
                             out, &err);
    if (!ok)
        CHECK(err.message[0] != '\0');
    return ok;
}

static void beir(struct arena *arena) {
    struct benchmark b;
    put(arena, "beir/queries.jsonl",
        "{\"_id\":\"q1\",\"text\":\"one\"}\n\n{\"_id\":2,\"text\":\"two\"}\n"
        "{\"_id\":\"unjudged\",\"text\":\"three\"}\n");
    put(arena, "beir/qrels/dev.tsv",
        "query-id\tcorpus-id\tscore\nq1\td 1\t2\nq1\td2\t0\n2\td3\t1\nother\td3\t1\n");
    CHECK(read_kind("beir", "beir", NULL, NULL, arena, &b));
    CHECK(strcmp(b.split, "dev") == 0 && b.judged.n == 2 && b.drops_itself);
    CHECK(b.judged.queries[0].judgments_n == 2 && b.judged.queries[0].judgments[0].relevance == 2);
    CHECK(strcmp(b.judged.queries[0].judgments[0].doc_key, "d 1") == 0);
    CHECK(strcmp(b.judged.queries[1].id, "2") == 0);
    put(arena, "beir/qrels/train.tsv", "q1\td1\t1\n");
    CHECK(!read_kind("beir", "beir", NULL, NULL, arena, &b)); /* two splits, none named test */
    CHECK(read_kind("beir", "beir", "train", NULL, arena, &b));
    put(arena, "beir/qrels/train.tsv", "q1\td1\tyes\n");
    CHECK(!read_kind("beir", "beir", "train", NULL, arena, &b));
    put(arena, "beir/qrels/train.tsv", "q1\td1\t99999999999999999999\n");
    CHECK(!read_kind("beir", "beir", "train", NULL, arena, &b));
    put(arena, "beir/queries.jsonl",
        "{\"_id\":\"q1\",\"text\":\"a\"}\n{\"_id\":\"q1\",\"text\":\"b\"}\n");
    CHECK(!read_kind("beir", "beir", "dev", NULL, arena, &b)); /* an id twice */
    CHECK(!read_kind("beer", "beir", NULL, NULL, arena, &b));
}

static void miracl(struct arena *arena) {
    struct benchmark b;
    put(arena, "miracl/miracl-v1.0-sw/topics/topics.miracl-v1.0-sw-dev.tsv",
        "6\tBandari kubwa?\n8\tMji mkuu?\n");
    put(arena, "miracl/miracl-v1.0-sw/qrels/qrels.miracl-v1.0-sw-dev.tsv",
        "6\tQ0\t32589#0\t1\n6\tQ0\t93957#6\t0\n8\tQ0\t8\t1\n");
    put(arena, "miracl/miracl-corpus-v1.0-sw/docs-0.jsonl",
        "{\"docid\":\"32589#0\",\"title\":\"t\",\"text\":\"x\"}\n");
    CHECK(read_kind("miracl", "miracl", NULL, NULL, arena, &b));
    CHECK(strcmp(b.lang, "sw") == 0 && strcmp(b.split, "dev") == 0 && !b.drops_itself);
    CHECK(b.judged.n == 2 && b.judged.queries[0].judgments_n == 2);
    CHECK(strstr(b.corpus, "/miracl-corpus-v1.0-sw") != NULL);
    put(arena, "miracl/miracl-v1.0-en/topics/topics.miracl-v1.0-en-dev.tsv", "1\tWhat?\n");
    put(arena, "miracl/miracl-v1.0-en/qrels/qrels.miracl-v1.0-en-dev.tsv", "1\tQ0\ta#1\t1\n");
    put(arena, "miracl/miracl-corpus-v1.0-en/docs-0.jsonl", "{\"docid\":\"a#1\",\"text\":\"x\"}\n");
    CHECK(!read_kind("miracl", "miracl", NULL, NULL, arena, &b)); /* which language? */
    CHECK(read_kind("miracl", "miracl", "dev", "en", arena, &b));
    CHECK(strcmp(b.judged.queries[0].text, "What?") == 0 && strstr(b.corpus, "-en") != NULL);
    CHECK(!read_kind("miracl", "miracl", "dev", "fr", arena, &b));
}

static void mldr(struct arena *arena) {
    struct benchmark b;
    put(arena, "mldr/mldr-v1.0-de/corpus.jsonl", "{\"docid\":\"doc-de-1\",\"text\":\"lang\"}\n");
    put(arena, "mldr/mldr-v1.0-de/test.jsonl",
        "{\"query_id\":\"q-de-1\",\"query\":\"Was?\",\"positive_passages\":[{\"docid\":\"doc-de-"
        "1\","
        "\"text\":\"lang\"}],\"negative_passages\":[{\"docid\":\"doc-de-2\",\"text\":\"kurz\"}]}"
        "\n");
    CHECK(read_kind("mldr", "mldr", NULL, NULL, arena, &b));
    CHECK(b.judged.n == 1 && b.judged.queries[0].judgments_n == 1);
    CHECK(strcmp(b.judged.queries[0].judgments[0].doc_key, "doc-de-1") == 0);
    put(arena, "mldr/mldr-v1.0-de/qrels/qrels.mldr-v1.0-de-test.tsv",
        "q-de-1\tQ0\tdoc-de-1\t1\nq-de-1\tQ0\tdoc-de-2\t0\n");
    CHECK(read_kind("mldr", "mldr", "test", "de", arena, &b));
    CHECK(b.judged.queries[0].judgments_n == 2); /* the file's word counts, not both */
    CHECK(!read_kind("mldr", "mldr", "dev", "de", arena, &b));
    put(arena, "mldr/mldr-v1.0-fr/corpus.jsonl", "{\"docid\":\"doc-fr-1\",\"text\":\"long\"}\n");
    CHECK(!read_kind("mldr", "mldr", NULL, NULL, arena, &b)); /* which language? */
    CHECK(read_kind("mldr", "mldr", NULL, "de", arena, &b));
}

static void mkqa(struct arena *arena) {
    struct benchmark b;
    put(arena, "mkqa/corpus.jsonl", "{\"_id\":\"p1\",\"title\":\"t\",\"text\":\"x\"}\n");
    put(arena, "mkqa/mkqa.jsonl",
        "{\"example_id\":-7449157003522518870,\"queries\":{\"en\":\"how long\",\"de\":\"wie "
        "lang\"},"
        "\"answers\":{\"en\":[{\"type\":\"number_with_unit\",\"text\":\"11.0 years\",\"aliases\":["
        "\"11 years\",\"\"]}],\"de\":[{\"text\":\"11 Jahre\"}]}}\n");
    CHECK(read_kind("mkqa", "mkqa", NULL, "de", arena, &b));
    CHECK(b.by_answer && b.judged.n == 1 && strcmp(b.judged.queries[0].text, "wie lang") == 0);
    CHECK(b.judged.queries[0].answers_n == 2);
    put(arena, "mkqa/fi.jsonl",
        "{\"id\":\"5\",\"question\":\"miten\",\"answers\":[\"eleven\",\"11\"]}\n");
    CHECK(read_kind("mkqa", "mkqa", NULL, "fi", arena, &b));
    CHECK(b.judged.queries[0].answers_n == 2 && strcmp(b.judged.queries[0].id, "5") == 0);
    CHECK(!read_kind("mkqa", "mkqa", NULL, "xx", arena, &b)); /* no such question in the file */
}

static void msmarco(struct arena *arena) {
    struct benchmark b;
    put(arena, "marco/collection.tsv", "0\tThe presence of communication\n");
    put(arena, "marco/queries.dev.small.tsv", "1048585\twhat is paula deen's brother\n");
    put(arena, "marco/qrels.dev.small.tsv", "1048585\t0\t7187158\t1\n");
    CHECK(read_kind("msmarco", "marco", NULL, NULL, arena, &b));
    CHECK(b.judged.n == 1 && strcmp(b.columns, "id,text") == 0);
    CHECK(strcmp(b.judged.queries[0].judgments[0].doc_key, "7187158") == 0);
}

static bool held(const char *answer, const char *text) {
    const struct judged_query query = {.answers = &answer, .answers_n = 1};
    return answers_held(&query, text, strlen(text));
}

static void passages_hold_answers(void) {
    CHECK(held("11.0 years", "It took 11.0 Years, they say"));
    CHECK(held("eleven", "Eleven."));
    CHECK(!held("even", "eleven"));                              /* words, not letters */
    CHECK(!held("eleven years", "eleven long years"));           /* in a row */
    CHECK(held("Beyonc\xc3\xa9", "by BEYONCE\xcc\x81 herself")); /* composed or not */
    CHECK(!held("Beyonce", "by Beyonc\xc3\xa9"));                /* a mark is part of its word */
    CHECK(held("C++", "in C++ and C"));
    CHECK(!held("", "anything"));
    CHECK(!held("...", "no dots"));
    CHECK(!held("x", "\xff\xfe x"));
}

static struct run read_run(const char *path, struct arena *arena) {
    struct run run = {0};
    struct error err;
    CHECK(run_read(path, arena, &run, &err));
    return run;
}

static void runs(struct arena *arena) {
    struct error err;
    struct run run = read_run(
        put(arena, "a.trec", "1 Q0 d1 1 2.5 x\n2\tQ0\td9\t1\t1\tx\n1 Q0 d2 2 1.5 x\n"), arena);
    CHECK(run.n == 2 && run.queries[0].hits_n == 2 && run.queries[1].hits_n == 1);
    CHECK(strcmp(run.queries[0].hits[1].doc_key, "d2") == 0 &&
          run.queries[0].hits[0].score == 2.5f);
    const char *copy = arena_format(arena, "%s/copy.trec", folder);
    CHECK(run_write(copy, &run, "tercet", &err));
    struct run again = read_run(copy, arena);
    CHECK(again.n == 2 && again.queries[0].hits[1].score == 1.5f);
    CHECK(!run_read(put(arena, "bad.trec", "1 Q0 d1 1 high x\n"), arena, &run, &err));
    CHECK(strstr(err.message, "bad.trec:1") != NULL);
    CHECK(!run_read(put(arena, "far.trec", "1 Q0 d1 1 inf x\n"), arena, &run, &err));
    CHECK(!run_read(put(arena, "short.trec", "1 Q0 d1\n"), arena, &run, &err));
    CHECK(!run_read(put(arena, "empty.trec", ""), arena, &run, &err));
}

static float score_in(const struct run_query *query, const char *key) {
    for (size_t i = 0; i < query->hits_n; i++)
        if (strcmp(query->hits[i].doc_key, key) == 0)
            return query->hits[i].score;
    CHECK(false);
    return 0;
}

static void runs_are_fused(struct arena *arena) {
    struct run two[] = {
        read_run(put(arena, "f1.trec", "1 Q0 a 1 3 x\n1 Q0 b 2 1 x\n"), arena),
        read_run(put(arena, "f2.trec", "1 Q0 b 1 9 y\n1 Q0 c 2 7 y\n2 Q0 d 1 1 y\n"), arena),
    };
    const float weights[] = {1, .5f};
    struct run fused = fuse_runs(two, weights, 2, FUSE_RRF, 10, arena);
    CHECK(fused.n == 2 && fused.queries[0].hits_n == 3 && fused.queries[1].hits_n == 1);
    CHECK_NEAR(score_in(&fused.queries[0], "a"), 1. / 61, 1e-7);
    CHECK_NEAR(score_in(&fused.queries[0], "b"), 1. / 62 + .5 / 61, 1e-7);
    CHECK(strcmp(fused.queries[0].hits[0].doc_key, "b") == 0);
    fused = fuse_runs(two, weights, 2, FUSE_WEIGHTED, 10, arena);
    CHECK_NEAR(score_in(&fused.queries[0], "b"), 1 + 4.5, 1e-6);
    CHECK_NEAR(score_in(&fused.queries[0], "c"), 3.5, 1e-6);
    fused = fuse_runs(two, weights, 2, FUSE_MINMAX, 2, arena);
    CHECK(fused.queries[0].hits_n == 2); /* a 1, b .5, c 0: the depth is kept */
    CHECK_NEAR(score_in(&fused.queries[0], "a"), 1, 1e-6);
    CHECK_NEAR(score_in(&fused.queries[0], "b"), .5, 1e-6);
    fused = fuse_runs(two, weights, 2, FUSE_ZSCORE, 10, arena);
    CHECK_NEAR(score_in(&fused.queries[0], "a"), 1 - .5, 1e-6); /* the second list's lowest */
    CHECK_NEAR(score_in(&fused.queries[0], "c"), -1 - .5, 1e-6);
}

static void real_topics(struct arena *arena) {
    const char *shared = check_shared_folder();
    struct judged_builder builder = {.arena = arena};
    struct judged_queries judged;
    struct error err;
    if (!shared)
        return;
    const char *real = arena_format(arena, "%s/datasets/miracl_dev", shared), *path;
    const char *lang = "sw", *split = NULL;
    if (access(real, R_OK) != 0)
        return;
    CHECK(benchmark_choose(real, "topics.", arena, &lang, &split, &path, &err));
    CHECK(strcmp(split, "dev") == 0);
    CHECK(benchmark_topics_read(&builder, path, &err));
    CHECK(judged_qrels_read(&builder, arena_format(arena, "%s/qrels.miracl-v1.0-sw-dev.tsv", real),
                            false, &err));
    CHECK(judged_done(&builder, real, &judged, &err));
    CHECK(judged.n == 482); /* MIRACL's paper, table 2: Swahili, dev */
    size_t judgments = 0;
    for (size_t i = 0; i < judged.n; i++)
        judgments += judged.queries[i].judgments_n;
    CHECK(judgments == 5092);
}

int main(void) {
    struct arena arena = {0};
    CHECK(mkdtemp(folder) != NULL);
    beir(&arena);
    miracl(&arena);
    mldr(&arena);
    mkqa(&arena);
    msmarco(&arena);
    passages_hold_answers();
    runs(&arena);
    runs_are_fused(&arena);
    real_topics(&arena);
    char *clean = arena_format(&arena, "rm -rf %s", folder);
    CHECK(system(clean) == 0);
    arena_done(&arena);
    return check_result();
}
