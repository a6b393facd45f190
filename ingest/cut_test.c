/* Long texts through the whole of ingest, with the embedded model: a known sentence is found in its
 * passage, whatever the script; every passage is encoded behind its title; what goes out by export
 * comes back as it was. */
#include <unistd.h>

#include "engine/base/json.h"
#include "engine/encoder.h"
#include "engine/model.h"
#include "engine/passage.h"
#include "index/care/export.h"
#include "index/forward.h"
#include "index/inside.h"
#include "index/passages.h"
#include "ingest/pipeline.h"
#include "ingest/settings.h"
#include "tests/check.h"

enum { TOKENS = 60, OVERLAP = 15, TEXT_MAX = 1 << 20 };

static struct model *model;
static struct encoder *encoder; /* of texts, as ingest has it */
static struct arena arena;
static char folder[64];
static char text[TEXT_MAX];
static unsigned long long seed = 5;

static struct index *make(const char *name, uint32_t tokens, uint32_t overlap) {
    struct ingest_choices choices = {
        .chunk_given = true, .chunk_tokens = tokens, .chunk_overlap = overlap};
    struct index *index = NULL;
    struct error err;
    const char *path = arena_format(&arena, "%s/%s", folder, name);
    CHECK_OK(ingest_open_index(path, model_info(model), &choices, &index, &err), err);
    return index;
}

static struct ingest_verdict put_row(struct index *index, const struct row *row) {
    struct ingest *ingest;
    struct ingest_verdict verdict = {0};
    struct error err;
    CHECK_OK(ingest_open(index, model, NULL, &ingest, &err), err);
    CHECK_OK(ingest_rows(ingest, row, 1, &verdict, &err), err);
    ingest_close(ingest);
    return verdict;
}

static enum ingest_outcome put(struct index *index, const char *key, const char *title,
                               const char *from) {
    struct row row = {.key = key,
                      .key_len = strlen(key),
                      .title = title,
                      .title_len = strlen(title),
                      .text = from,
                      .text_len = strlen(from),
                      .fields = "",
                      .file = ""};
    struct ingest_verdict verdict = put_row(index, &row);
    CHECK(verdict.outcome != INGEST_BAD);
    if (verdict.outcome == INGEST_BAD)
        fprintf(stderr, "%s: %s\n", key, verdict.err.message);
    return verdict.outcome;
}

/* ---- texts ---- */

struct script {
    const char *name, *title, *sentence, *query;
    const char *fillers[6];
};

static const struct script scripts[] = {
    {"english",
     "Minutes of the harbour council",
     "The lighthouse keeper painted the northern door bright yellow.",
     "which door did the lighthouse keeper paint?",
     {"The committee went on to discuss the budget of the coming year. ",
      "Several members asked for a longer break at noon.\n",
      "Nobody had read the report on road repairs. ",
      "The chair thanked the clerk, e.g. for the coffee.\n\n",
      "A vote was taken on the second motion, 3.5 to one. ", "# Next point\n"}},
    {"japanese",
     "東京の大学",
     "山田さんは古い時計を海に投げた。",
     "山田さんは古い時計を海に投げた",
     {"今日は天気がいいです。", "大学の学生は本を読む。", "市の中心に駅がある。",
      "人々は公園で花を見る。", "来月から新しい道を作る。\n\n", "会社は小さい国にある。"}},
    {"arabic",
     "محضر الاجتماع",
     "رمى الصياد الساعة القديمة في البحر.",
     "رمى الصياد الساعة القديمة في البحر",
     {"ناقش المجلس ميزانية العام القادم. ", "لم يقرأ احد التقرير. ", "طلب الاعضاء وقتا اطول؟ ",
      "كان الطقس جميلا اليوم.\n\n", "شكر الرئيس الكاتب على القهوة. ", "بدأ التصويت بعد الظهر. "}},
};
enum { SCRIPTS_N = sizeof scripts / sizeof *scripts };

/* Fillers by chance, the sentence among them; where it begins. */
static size_t write_text(const struct script *script, size_t sentences_n) {
    size_t len = 0, at = 0, place = sentences_n / 2 + check_random(&seed) % (sentences_n / 3);
    for (size_t i = 0; i < sentences_n; i++) {
        if (i == place) {
            at = len;
            len += (size_t)sprintf(text + len, "%s ", script->sentence);
        }
        len += (size_t)sprintf(text + len, "%s", script->fillers[check_random(&seed) % 6]);
    }
    return at;
}

/* ---- what is found ---- */

static struct encoding encode(const char *from, size_t len) {
    struct encoder_text one = {from, len};
    struct encoding encoding = {0};
    struct error err;
    CHECK_OK(encoder_encode(encoder, &one, 1, &arena, &encoding, &err), err);
    return encoding;
}

static uint32_t docid_of(struct snapshot *snapshot, const char *key) {
    struct error err;
    uint32_t docid = 0;
    CHECK_OK(document_find(snapshot, key, strlen(key), &docid, &err), err);
    return docid;
}

static bool holds(struct snapshot *snapshot, uint32_t docid, uint32_t passage, size_t at,
                  const char *sentence) {
    struct document_passage found;
    struct error err;
    CHECK_OK(document_passage(snapshot, docid, passage, &found, &err), err);
    return found.begin <= at && at + strlen(sentence) <= found.end;
}

static void a_sentence_is_found(struct index *index, const struct script *script, size_t at) {
    struct snapshot *snapshot;
    struct error err;
    struct encoding query = encode(script->query, strlen(script->query));
    struct scored_list dense, multi;
    uint32_t by_dense, by_multi;
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    uint32_t docid = docid_of(snapshot, script->name);
    CHECK_OK(dense_search(snapshot, query.dense, 1, false, NULL, &arena, &dense, &err), err);
    CHECK_OK(multi_search(snapshot, query.multi, query.multi_n, 1, NULL, &arena, &multi, &err),
             err);
    CHECK(dense.n == 1 && dense.entries[0].docid == docid);
    CHECK(multi.n == 1 && multi.entries[0].docid == docid);
    CHECK_OK(dense_best_passages(snapshot, query.dense, &docid, 1, NULL, &by_dense, &err), err);
    CHECK_OK(multi_best_passages(snapshot, query.multi, query.multi_n, &docid, 1, &arena, NULL,
                                 &by_multi, &err),
             err);
    CHECK(holds(snapshot, docid, by_dense, at, script->sentence));
    CHECK(holds(snapshot, docid, by_multi, at, script->sentence));
    snapshot_close(snapshot);
}

/* Each passage's dense row is what the encoder makes of the title and these bytes; together the
 * passages are the whole text, each begins in the one before or behind a heading, and none is
 * longer than it may be. */
static void passages_are_right(struct index *index, const struct script *script) {
    struct snapshot *snapshot;
    struct error err;
    struct record_passage *passages;
    size_t n = 0, len = strlen(text), shared_n = 0;
    uint32_t title_tokens, covered = 0;
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    uint32_t docid = docid_of(snapshot, script->name);
    CHECK_OK(
        passages_read(snapshot->txn, index_settings_of(index), docid, &arena, &passages, &n, &err),
        err);
    CHECK(n > 5);
    size_t title_len;
    CHECK_OK(passage_title(model, index_settings_of(index)->length_max, script->title,
                           strlen(script->title), &arena, &title_len, &title_tokens, &err),
             err);
    CHECK_EQUAL(title_len, strlen(script->title));
    for (size_t i = 0; i < n; i++) {
        struct passage whole = passage_of(script->title, title_len, text + passages[i].begin,
                                          passages[i].end - passages[i].begin, &arena);
        struct encoding want = encode(whole.text, whole.len);
        float product = 0, square = 0;
        for (size_t d = 0; d < index_settings_of(index)->dense_dim; d++) {
            product += want.dense[d] * passages[i].dense[d];
            square += passages[i].dense[d] * passages[i].dense[d];
        }
        CHECK_NEAR(product, 1, 1e-3);
        CHECK_NEAR(square, 1, 1e-3);
        CHECK(want.multi_n <= TOKENS + title_tokens + 4);
        CHECK(passages[i].begin >= covered || i > 0);
        for (uint32_t at = covered; at < passages[i].begin; at++)
            CHECK(strchr(" \n", text[at])); /* between two of them */
        shared_n += i > 0 && passages[i].begin < covered;
        covered = passages[i].end;
    }
    for (size_t at = covered; at < len; at++)
        CHECK(strchr(" \n", text[at]));
    CHECK(shared_n > n / 4);
    snapshot_close(snapshot);
}

static void every_script(struct index *index) {
    for (size_t i = 0; i < SCRIPTS_N; i++) {
        size_t at = write_text(&scripts[i], 120);
        CHECK_EQUAL(put(index, scripts[i].name, scripts[i].title, text), INGEST_STORED);
        a_sentence_is_found(index, &scripts[i], at);
        passages_are_right(index, &scripts[i]);
        CHECK_EQUAL(put(index, scripts[i].name, scripts[i].title, text), INGEST_UNCHANGED);
    }
}

/* ---- sparse vectors are of whole texts; short ones are one passage ---- */

static struct index_counts counts_of(struct index *index) {
    struct index_counts counts = {0};
    struct error err;
    CHECK_OK(index_count(index, &counts, &err), err);
    return counts;
}

static void the_whole_text_counts(struct index *chunked, struct index *plain) {
    struct snapshot *snapshots[2];
    struct sparse_row rows[2];
    struct error err;
    write_text(&scripts[0], 100);
    for (int i = 0; i < 2; i++) {
        struct index *index = i ? plain : chunked;
        CHECK_EQUAL(put(index, "w", "A title", text), INGEST_STORED);
        CHECK_OK(snapshot_open(index, &snapshots[i], &err), err);
        CHECK_OK(forward_sparse_row(snapshots[i]->txn, docid_of(snapshots[i], "w"), &rows[i], &err),
                 err);
    }
    CHECK_EQUAL(rows[0].n, rows[1].n);
    CHECK(rows[0].length == rows[1].length && rows[0].length > 300);
    snapshot_close(snapshots[0]);
    snapshot_close(snapshots[1]);

    struct index_counts before = counts_of(chunked);
    CHECK_EQUAL(counts_of(plain).passages_n, 1);
    CHECK(before.passages_n > before.documents_n + 8);
    CHECK_EQUAL(put(chunked, "w", "A title", "is enough."), INGEST_STORED); /* replaced */
    struct index_counts after = counts_of(chunked);
    CHECK_EQUAL(after.documents_n, before.documents_n);
    CHECK(after.passages_n < before.passages_n - 8);
    CHECK_EQUAL(put(chunked, "t", "Only a title", ""), INGEST_STORED);
    CHECK_EQUAL(counts_of(chunked).passages_n, after.passages_n + 1);
}

/* A title may take a quarter of what the model reads, and no passage is cut short for it. */
static void a_long_title(struct index *index) {
    static char title[6000];
    struct snapshot *snapshot;
    struct error err;
    uint32_t docid, which;
    size_t len = 0, at = write_text(&scripts[0], 120);
    while (len < sizeof title - 20)
        len += (size_t)sprintf(title + len, "word%zu ", len % 7);
    CHECK_EQUAL(put(index, "long title", title, text), INGEST_STORED);
    struct encoding query = encode(scripts[0].sentence, strlen(scripts[0].sentence));
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    docid = docid_of(snapshot, "long title");
    CHECK_OK(multi_best_passages(snapshot, query.multi, query.multi_n, &docid, 1, &arena, NULL,
                                 &which, &err),
             err);
    CHECK(holds(snapshot, docid, which, at, scripts[0].sentence));
    snapshot_close(snapshot);
}

static void too_long_is_told(void) {
    struct index *index = make("narrow", 8, 0);
    size_t len = 0;
    while (len < TEXT_MAX - 10)
        len += (size_t)sprintf(text + len, "a b c. ");
    struct row row = {.key = "x",
                      .key_len = 1,
                      .title = "",
                      .text = text,
                      .text_len = len,
                      .fields = "",
                      .file = ""};
    struct ingest_verdict verdict = put_row(index, &row);
    CHECK_EQUAL(verdict.outcome, INGEST_BAD);
    CHECK_EQUAL(verdict.err.code, ERROR_LIMIT);
    CHECK(strstr(verdict.err.message, "longer than 4096 passages of up to 8 tokens"));
    CHECK_EQUAL(counts_of(index).documents_n, 0);
    index_close(index);
}

/* ---- out and in ---- */

struct lines {
    char *items[16];
    size_t n;
};

static bool keep_line(void *context, const char *line, size_t len, struct error *err) {
    struct lines *lines = context;
    (void)err;
    CHECK(lines->n < 16);
    lines->items[lines->n++] = arena_text(&arena, line, len);
    return true;
}

static struct lines export(struct index *index) {
    struct lines lines = {0};
    struct error err;
    CHECK_OK(index_export(index, false, keep_line, &lines, &err), err);
    return lines;
}

static void goes_out_and_in(struct index *index) {
    struct index *other = make("other", TOKENS, OVERLAP), *plain = make("unchunked", 0, 0);
    struct lines lines = export(index);
    struct error err;
    CHECK(lines.n > 3);
    for (size_t i = 0; i < lines.n; i++) {
        struct row row;
        struct json *json = json_parse(lines.items[i], strlen(lines.items[i]), &err);
        CHECK_OK(json && row_from_json(json, &arena, &row, &err), err);
        CHECK_EQUAL(put_row(other, &row).outcome, INGEST_STORED);
        if (json_get(json, "passages")) {
            struct ingest_verdict verdict = put_row(plain, &row);
            CHECK_EQUAL(verdict.outcome, INGEST_BAD);
            CHECK(strstr(verdict.err.message, "\"passages\": the index was made for documents of"));
        }
        json_release(json);
    }
    struct lines again = export(other);
    CHECK_EQUAL(again.n, lines.n);
    for (size_t i = 0; i < again.n && i < lines.n; i++)
        CHECK_TEXT(again.items[i], lines.items[i]);
    CHECK_EQUAL(counts_of(other).passages_n, counts_of(index).passages_n);
    index_close(other);
    index_close(plain);
}

/* ---- settings ---- */

static void refused(const char *path, uint32_t tokens, uint32_t overlap, const char *why) {
    struct ingest_choices choices = {
        .chunk_given = true, .chunk_tokens = tokens, .chunk_overlap = overlap};
    struct index *index;
    struct error err = {.message = ""};
    CHECK(!ingest_open_index(path, model_info(model), &choices, &index, &err));
    CHECK_EQUAL(err.code, ERROR_INVALID);
    CHECK(strstr(err.message, why));
    if (!strstr(err.message, why))
        fprintf(stderr, "told \"%s\"\n", err.message);
}

static void other_settings_are_refused(void) {
    const char *there = arena_format(&arena, "%s/chunked", folder);
    const char *plain = arena_format(&arena, "%s/plain", folder);
    const char *new = arena_format(&arena, "%s/new", folder);
    refused(there, TOKENS, 0, "with passages of 60 tokens that share 15, not of 60 that share 0");
    refused(there, 0, 0, "not of 0 that share 0");
    refused(plain, TOKENS, OVERLAP, "without passages, not with 60 tokens each");
    refused(new, 513, 0, "passages of 513 tokens: ");
    refused(new, 100, 51, "50 at most, not 51");
    index_close(make("chunked", TOKENS, OVERLAP));
    index_close(make("chunked", TOKENS, INGEST_OVERLAP_DEFAULT));
    struct index *eighth = make("eighth", 80, INGEST_OVERLAP_DEFAULT);
    CHECK_EQUAL(index_settings_of(eighth)->chunk_overlap, 10);
    index_close(eighth);
}

int main(void) {
    struct model_options options = {0};
    struct error err;
    strcpy(folder, "/tmp/tercet-cut-XXXXXX");
    CHECK(mkdtemp(folder));
    CHECK_OK(model_open(&options, &model, &err), err);
    struct encoder_options reading = {.modes = ENCODE_DENSE | ENCODE_MULTI, .unit_length = true};
    CHECK_OK(encoder_open(model, NULL, &reading, &encoder, &err), err);
    struct index *index = make("chunked", TOKENS, OVERLAP), *plain = make("plain", 0, 0);
    every_script(index);
    the_whole_text_counts(index, plain);
    a_long_title(index);
    goes_out_and_in(index);
    index_close(index);
    index_close(plain);
    too_long_is_told();
    other_settings_are_refused();
    encoder_close(encoder);
    model_close(model);
    arena_done(&arena);
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    CHECK_EQUAL(system(command), 0);
    return check_result();
}
