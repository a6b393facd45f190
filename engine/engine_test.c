/* The library's own interface, with the embedded model and the golden folders where they are. */
#include "engine/engine.h"

#include "engine/base/json.h"
#include "engine/golden.h"

static struct tercet_text text_of(const char *text) {
    return (struct tercet_text){text, strlen(text)};
}

static double dot(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static struct tercet *open_at(const char *model) {
    struct tercet_options options = {.model = model, .threads = 2};
    struct tercet_error err = {{0}};
    struct tercet *tercet = NULL;
    CHECK(tercet_open(&options, &tercet, &err));
    CHECK_TEXT(err.message, "");
    return tercet;
}

static void encodes_and_tells_roles_apart(void) {
    struct tercet *tercet = open_at(NULL);
    const struct tercet_info *info = tercet_info(tercet);
    struct tercet_text texts[] = {text_of("pandas eat bamboo bamboo"), text_of("shares fell")};
    struct tercet_encoding out[2];
    struct tercet_error err;
    float bare[384];
    CHECK_TEXT(info->model, "bge-small-en-v1.5");
    CHECK_EQUAL(info->dense_dim, 384);
    CHECK(!info->is_reranker && !info->has_lexical_weights && info->query_instruction[0]);
    CHECK(tercet_encode(tercet, TERCET_BARE, TERCET_DENSE | TERCET_LEXICAL | TERCET_MULTI, texts, 2,
                        out, &err));
    CHECK_NEAR(dot(out[0].dense, out[0].dense, 384), 1, 1e-5);
    CHECK_EQUAL(out[0].multi_n, out[0].tokens_n - 1);
    CHECK_EQUAL(out[0].terms_n, 3);
    CHECK_TEXT(out[0].terms[2].word, "bamboo");
    CHECK_EQUAL(out[0].terms[2].weight, 2);
    memcpy(bare, out[0].dense, sizeof bare);
    CHECK(tercet_encode(tercet, TERCET_QUERY, TERCET_DENSE, texts, 1, out, &err));
    CHECK(!out[0].multi && out[0].terms_n == 0);
    CHECK(dot(bare, out[0].dense, 384) < .999);
    CHECK(tercet_encode(tercet, TERCET_PASSAGE, TERCET_DENSE, texts, 1, out, &err));
    CHECK(dot(bare, out[0].dense, 384) > .99999); /* this family has no passage instruction */
    tercet_close(tercet);
}

static void refuses_what_it_cannot_do(void) {
    struct tercet_options none = {.model = "no/such-model"}, wrong = {.precision = "f31"};
    struct tercet *tercet = NULL;
    struct tercet_text text = text_of("a");
    struct tercet_encoding out;
    struct tercet_scores scores;
    struct tercet_error err;
    float score;
    CHECK(!tercet_open(&none, &tercet, &err) && strstr(err.message, "no/such-model"));
    CHECK(!tercet_open(&wrong, &tercet, &err) && strstr(err.message, "f31"));
    tercet = open_at(NULL);
    CHECK(!tercet_encode(tercet, TERCET_BARE, 0, &text, 1, &out, &err));
    CHECK(!tercet_encode(tercet, TERCET_BARE, 8, &text, 1, &out, &err));
    CHECK(!tercet_score(tercet, text, &text, 1, NULL, &scores, &err));
    CHECK(strstr(err.message, "no lexical weights"));
    CHECK(!tercet_rerank(tercet, text, &text, 1, false, &score, &err));
    CHECK(strstr(err.message, "no cross-encoder"));
    tercet_close(tercet);
    tercet_close(NULL);
}

/* The first pair of the golden scores, and the first pair of the golden relevances. */
static void scores_and_reranks(void) {
    char path[GOLDEN_PATH_LEN];
    struct error why;
    struct buf file = {0};
    struct json *rows[128];
    struct tercet_error err;
    struct tercet_scores scores;
    float raw, normalized;
    if (!golden_open())
        return;
    CHECK_OK(file_read(golden_path("golden/m3-tiny/m3_tiny_scores.json", path), GOLDEN_BYTES_MAX,
                       &file, &why),
             why);
    struct json *root = json_parse(file.data, file.len, &why);
    const struct json *pair = json_at(json_get(root, "pairs"), 0);
    const struct json *expected = json_get(json_at(json_get(root, "runs"), 0), "scores");
    struct tercet_text passage = text_of(json_string_of(json_at(pair, 1), NULL));
    struct tercet *tercet = open_at(golden_path("golden/models/m3-tiny", path));
    CHECK(tercet_score(tercet, text_of(json_string_of(json_at(pair, 0), NULL)), &passage, 1, NULL,
                       &scores, &err));
    CHECK_NEAR(scores.dense, json_number_of(json_at(json_get(expected, "dense"), 0)), 5e-5);
    CHECK_NEAR(scores.colbert, json_number_of(json_at(json_get(expected, "colbert"), 0)), 5e-5);
    CHECK_NEAR(scores.colbert_sparse_dense,
               json_number_of(json_at(json_get(expected, "colbert+sparse+dense"), 0)), 5e-5);
    tercet_close(tercet);
    json_release(root);
    buf_done(&file);

    size_t n = golden_lines("golden/reranker-tiny/scores.jsonl", rows, 128);
    tercet = open_at(golden_path("golden/models/reranker-tiny", path));
    CHECK(tercet_info(tercet)->is_reranker);
    passage = text_of(json_string_of(json_get(rows[0], "passage"), NULL));
    struct tercet_text query = text_of(json_string_of(json_get(rows[0], "query"), NULL));
    CHECK(tercet_rerank(tercet, query, &passage, 1, false, &raw, &err));
    CHECK(tercet_rerank(tercet, query, &passage, 1, true, &normalized, &err));
    CHECK_NEAR(raw, json_number_of(json_get(rows[0], "score")), 2e-4);
    CHECK_NEAR(normalized, json_number_of(json_get(rows[0], "score_normalized")), 5e-5);
    tercet_close(tercet);
    for (size_t i = 0; i < n; i++)
        json_release(rows[i]);
}

int main(void) {
    encodes_and_tells_roles_apart();
    refuses_what_it_cannot_do();
    scores_and_reranks();
    return check_result();
}
