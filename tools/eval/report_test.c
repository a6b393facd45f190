/* The page is whole, asks nobody, and holds what it was given without obeying it; tables and lists
 * say what the numbers say. */
#include <string.h>
#include <unistd.h>

#include "engine/base/base64.h"
#include "query/server/tls.h"
#include "tests/check.h"
#include "tools/eval/report.h"
#include "tools/eval/report_lists.h"
#include "tools/eval/report_page.h"
#include "tools/eval/report_table.h"

static const char hostile[] = "</script><script>alert(1)</script><!--<script>\"&'\\ \xe2\x80\xa8 é";

static size_t count_of(const char *text, const char *what) {
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++)
        n++;
    return n;
}

static void holds_hostile_text_as_text(void) {
    struct json *data = json_new_object();
    struct buf page = {0}, bare = {0};
    struct error err;
    report_page(data, &bare);
    json_add_string(data, "text", hostile);
    json_add_string(data, hostile, "a key, too");
    report_page(data, &page);
    CHECK_EQUAL(strlen(page.data), page.len);
    CHECK_EQUAL(count_of(page.data, "<script"), count_of(bare.data, "<script"));
    CHECK_EQUAL(count_of(page.data, "</script"), count_of(bare.data, "</script"));
    CHECK_EQUAL(count_of(page.data, "<!--"), count_of(bare.data, "<!--"));
    const char *begin = strstr(page.data, "id=\"data\">") + strlen("id=\"data\">");
    const char *end = strstr(begin, "</script>");
    struct json *back = json_parse(begin, (size_t)(end - begin), &err);
    CHECK(back);
    CHECK_TEXT(json_string_of(json_get(back, "text"), NULL), hostile);
    CHECK_TEXT(json_string_of(json_get(back, hostile), NULL), "a key, too");
    json_release(back);
    json_release(data);
    buf_done(&page);
    buf_done(&bare);
}

/* What stands between two tags, hashed as a browser does it, is what the policy allows. */
static void is_allowed(const char *page, const char *source, const char *open, const char *close) {
    const char *begin = strstr(page, open) + strlen(open), *end = strstr(begin, close);
    uint8_t hash[TLS_SHA256_BYTES];
    struct buf expected = {0};
    CHECK(end && end - begin > 1000);
    tls_sha256(begin, (size_t)(end - begin), hash);
    buf_format(&expected, "%s 'sha256-", source);
    base64_print(hash, sizeof hash, &expected);
    buf_text(&expected, "';");
    CHECK(strstr(page, expected.data));
    buf_done(&expected);
}

static void asks_nobody(void) {
    struct json *data = json_new_object();
    struct buf page = {0};
    report_page(data, &page);
    CHECK(strncmp(page.data, "<!doctype html>", 15) == 0);
    CHECK(strcmp(page.data + page.len - 8, "</html>\n") == 0);
    const char *const forbidden[] = {"https://",       "src=",           "@import", "innerHTML",
                                     "outerHTML",      "insertAdjacent", "fetch(",  "XMLHttp",
                                     "document.write", "eval(",          "unsafe-", " style=\""};
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
        CHECK(!strstr(page.data, forbidden[i]));
    for (const char *at = page.data; (at = strstr(at, "http://")); at++)
        CHECK(strncmp(at, "http://www.w3.org/2000/svg", 26) == 0); /* a name only */
    CHECK(strstr(page.data, "\"default-src 'none';"));
    is_allowed(page.data, "style-src", "<style>", "</style>");
    is_allowed(page.data, "script-src", "<script>", "</script>");
    buf_done(&page);
    json_release(data);
}

static void tables_are_as_told(void) {
    static const char *const left_out[] = {"set", NULL};
    struct json *rows = json_new_array();
    struct buf csv = {0}, markdown = {0};
    struct json *row = json_new_object();
    json_add_string(row, "set", "x");
    json_add_string(row, "modes", "dense,\"sparse\"");
    json_add_number(row, "map", .125);
    json_add_number(row, "difference", .5);
    json_push(rows, row);
    row = json_new_object();
    json_add_string(row, "set", "x");
    json_add_string(row, "modes", "a|b");
    json_add_number(row, "map", 1);
    json_add_number(row, "queries", 300);
    json_add_number(row, "query_ms_p50", 1.25);
    json_push(rows, row);
    report_table_csv(rows, &csv);
    CHECK_TEXT(csv.data, "set,modes,map,difference,queries,query_ms_p50\n"
                         "x,\"dense,\"\"sparse\"\"\",0.125,0.5,,\n"
                         "x,a|b,1,,300,1.25\n");
    report_table_markdown(rows, "of *x*", left_out, &markdown);
    CHECK_TEXT(markdown.data, "of \\*x\\*\n\n"
                              "| modes | map | difference | queries | query\\_ms\\_p50 |\n"
                              "|---|---:|---:|---:|---:|\n"
                              "| dense,\"sparse\" | 0.1250 | +0.5000 |  |  |\n"
                              "| a\\|b | 1.0000 |  | 300 | 1.2 |\n");
    json_release(rows);
    buf_done(&csv);
    buf_done(&markdown);
}

static void names_are_a_path_s_last_part(void) {
    struct arena arena = {0};
    CHECK_TEXT(report_name_of("/somewhere/of mine/scifact//", &arena), "scifact");
    CHECK_TEXT(report_name_of("a.trec", &arena), "a.trec");
    CHECK_TEXT(report_name_of("/", &arena), "/");
    arena_done(&arena);
}

/* ---- texts ---- */

static void texts_are_cut_between_characters(void) {
    struct arena arena = {0};
    CHECK_TEXT(report_text_cut("naïve", 6, 6, &arena), "naïve");
    CHECK_TEXT(report_text_cut("naïve", 6, 3, &arena), "na…");
    CHECK_TEXT(report_text_cut("naïve", 6, 4, &arena), "naï…");
    arena_done(&arena);
}

static bool read_texts(const char *content, struct report_texts *texts, struct error *err) {
    char path[] = "/tmp/tercet-report-XXXXXX";
    int file = mkstemp(path);
    CHECK(file >= 0 && write(file, content, strlen(content)) == (ssize_t)strlen(content));
    close(file);
    bool ok = report_texts_from_file(texts, path, err);
    unlink(path);
    return ok;
}

static void texts_come_from_files(void) {
    struct arena arena = {0};
    struct report_texts texts = {.arena = &arena};
    struct error err;
    CHECK_EQUAL(report_texts_place(&texts, "b"), 0);
    CHECK_EQUAL(report_texts_place(&texts, "7"), 1);
    CHECK_EQUAL(report_texts_place(&texts, "none"), 2);
    CHECK_EQUAL(report_texts_place(&texts, "b"), 0);
    CHECK(read_texts("{\"_id\":\"a\",\"text\":\"not asked for\"}\n"
                     "{\"_id\":\"b\",\"title\":\"T\",\"text\":\"bee\"}\n\n"
                     "{\"query_id\":7,\"question\":\"why\"}\n",
                     &texts, &err));
    CHECK_TEXT(texts.items[0].title, "T");
    CHECK_TEXT(texts.items[0].text, "bee");
    CHECK_TEXT(texts.items[1].text, "why");
    CHECK(!texts.items[2].text);
    CHECK(read_texts("x\ty\n7\tas a table\n", &texts, &err));
    CHECK_TEXT(texts.items[1].text, "as a table");
    CHECK(!read_texts("{\"_id\":\"b\"}\nno tab\n", &texts, &err));
    CHECK_EQUAL(err.code, ERROR_INVALID);
    CHECK(strstr(err.message, ":2: "));
    CHECK(!read_texts("{\"text\":\"whose\"}\n", &texts, &err));
    CHECK(!read_texts("{\"_id\":\n", &texts, &err));
    struct json *json = report_texts_json(&texts);
    CHECK_EQUAL(json_count(json), 3);
    CHECK_TEXT(json_string_of(json_get(json_at(json, 2), "key"), NULL), "none");
    CHECK(!json_get(json_at(json, 2), "text"));
    json_release(json);
    report_texts_done(&texts);
    arena_done(&arena);
}

/* ---- lists ---- */

static double number_at(const struct json *list, size_t i, const char *key) {
    return json_number_of(json_get(json_at(list, i), key));
}

static void lists_show_ranks_and_verdicts(void) {
    struct arena arena = {0};
    struct report_texts documents = {.arena = &arena};
    struct judgment judgments[] = {{"a", 1}, {"b", 0}, {"c", 3}, {"d", 1}, {"a", 0}, {"e", 2}};
    struct judged_query query = {.id = "q", .text = "", .judgments = judgments, .judgments_n = 6};
    struct run_hit hits[] = {{"x", 3}, {"c", 2}, {"b", 1}};
    struct run_query found = {"q", hits, 3}, nothing = {.id = "q"};
    const struct run_query *rankings[] = {&found, &nothing};
    size_t n;
    struct json *top = report_top(&query, &found, &documents);
    CHECK_EQUAL(json_count(top), 3);
    CHECK(!json_get(json_at(top, 0), "relevance"));
    CHECK(number_at(top, 1, "relevance") == 3 && number_at(top, 2, "relevance") == 0);
    CHECK(number_at(top, 1, "doc") == 1 && number_at(top, 1, "score") == 2);
    struct json *relevant = report_relevant(&query, rankings, 2, &documents, &n);
    CHECK_EQUAL(n, 3); /* "a" was judged again, and is not */
    CHECK_EQUAL(json_count(relevant), 3);
    CHECK(number_at(relevant, 0, "relevance") == 3 && number_at(relevant, 1, "relevance") == 2);
    const struct json *ranks = json_get(json_at(relevant, 0), "ranks");
    CHECK(json_number_of(json_at(ranks, 0)) == 2 && json_number_of(json_at(ranks, 1)) == 0);
    json_release(top);
    json_release(relevant);
    report_texts_done(&documents);
    arena_done(&arena);
}

static void recall_grows_with_depth(void) {
    struct judgment judgments[] = {{"a", 1}, {"b", 2}};
    struct judged_query queries[] = {{.id = "1", .judgments = judgments, .judgments_n = 2},
                                     {.id = "2", .judgments = judgments, .judgments_n = 1}};
    struct judged_queries judged = {queries, 2};
    struct run_hit hits[] = {{"b", 9}, {"x", 8}, {"y", 7}, {"a", 6}}, other[] = {{"a", 1}};
    struct run_query run[] = {{"1", hits, 4}, {"2", other, 1}};
    const struct run_query *runs[] = {run};
    struct json *report = json_new_object();
    report_recall_add(report, runs, 1, &judged, false, 5);
    CHECK_EQUAL(json_count(json_get(report, "depths")), 3);
    const struct json *recall = json_at(json_get(report, "recall"), 0);
    CHECK(json_number_of(json_at(recall, 0)) == .75 && json_number_of(json_at(recall, 1)) == .75);
    CHECK(json_number_of(json_at(recall, 2)) == 1);
    json_release(report);
    report = json_new_object();
    report_recall_add(report, runs, 1, &judged, true, 1000);
    CHECK_EQUAL(json_count(json_get(report, "depths")), REPORT_DEPTHS_MAX);
    CHECK_TEXT(json_string_of(json_get(report, "recall_name"), NULL), "hit");
    CHECK(json_number_of(json_at(json_at(json_get(report, "recall"), 0), 0)) == 1);
    json_release(report);
}

static void main_measure_is_chosen(void) {
    struct measure_list measures;
    struct error err;
    CHECK(measures_parse("hole@10,map,ndcg@10", &measures, &err));
    CHECK_EQUAL(report_main_measure(&measures), 2);
    CHECK(measures_parse("hole@10,map,ndcg@5", &measures, &err));
    CHECK_EQUAL(report_main_measure(&measures), 1);
    CHECK(measures_parse("hole@10", &measures, &err));
    CHECK_EQUAL(report_main_measure(&measures), 0);
}

int main(void) {
    holds_hostile_text_as_text();
    asks_nobody();
    tables_are_as_told();
    names_are_a_path_s_last_part();
    texts_are_cut_between_characters();
    texts_come_from_files();
    lists_show_ranks_and_verdicts();
    recall_grows_with_depth();
    main_measure_is_chosen();
    return check_result();
}
