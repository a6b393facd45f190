/* What was put comes out, number by number; the dead do not. */
#include "index/care/export.h"

#include "engine/base/base64.h"
#include "engine/base/json.h"
#include "engine/base/vec.h"
#include "index/fixture.h"
#include "index/multi/multivector.h"
#include "index/remove.h"

enum { DOCUMENTS_N = 60 };

struct reading {
    enum index_lexical lexical;
    bool words, vectors;
    unsigned long long seed; /* of the next document */
    uint32_t next, lines_n;
};

static void dense_is(const struct json *row, const struct fixture_record *want) {
    const struct json *dense = json_get(row, "dense");
    CHECK_EQUAL(json_count(dense), FIXTURE_DIM);
    for (size_t i = 0; i < FIXTURE_DIM; i++) {
        uint16_t half;
        float stored;
        vec_to_f16(&want->dense[i], 1, &half);
        vec_from_f16(&half, 1, &stored);
        CHECK((float)json_number_of(json_at(dense, i)) == stored);
    }
}

static void sparse_is(const struct json *row, const struct fixture_record *want,
                      const struct reading *reading) {
    const struct json *sparse = json_get(row, "sparse"), *terms = json_get(sparse, "terms");
    CHECK_EQUAL(json_count(terms), want->terms_n);
    for (size_t i = 0; i < want->terms_n; i++) {
        char name[32];
        snprintf(name, sizeof name, reading->words ? "word-%u" : "%u", want->ids[i]);
        const struct json *weight = json_get(terms, name);
        CHECK(weight && (float)json_number_of(weight) == want->weights[i]);
    }
    if (reading->lexical == INDEX_LEXICAL_BM25)
        CHECK((float)json_number_of(json_get(sparse, "length")) == want->length);
    else
        CHECK(!json_get(sparse, "length"));
}

/* The vectors are what their codes say, to the bit; or the codes themselves. */
static void multi_is(const struct json *row, const struct fixture_record *want, bool vectors) {
    const struct json *multi = json_get(row, "multi");
    struct multi_codes codes;
    struct error err;
    float vector[FIXTURE_DIM];
    uint8_t bytes[512], parsed[512];
    size_t len = multi_codes_bytes(FIXTURE_DIM, want->multi_n), parsed_len = 0;
    CHECK(len <= sizeof bytes);
    multi_encode(want->multi, want->multi_n, FIXTURE_DIM, bytes);
    if (!vectors) {
        size_t text_len = 0;
        const char *text = want->multi_n ? json_string_of(multi, &text_len) : "";
        CHECK(text_len / 4 * 3 <= sizeof parsed);
        CHECK_OK(base64_parse(text, text_len, parsed, &parsed_len, &err), err);
        CHECK(parsed_len == (want->multi_n ? len : 0) && memcmp(parsed, bytes, parsed_len) == 0);
        return;
    }
    CHECK_EQUAL(json_count(multi), want->multi_n);
    CHECK_OK(multi_codes_open(bytes, len, FIXTURE_DIM, &codes, &err), err);
    for (uint32_t v = 0; v < want->multi_n; v++) {
        multi_decode(&codes, v, vector);
        for (size_t i = 0; i < FIXTURE_DIM; i++)
            CHECK((float)json_number_of(json_at(json_at(multi, v), i)) == vector[i]);
    }
}

static bool read_line(void *context, const char *line, size_t len, struct error *err) {
    struct reading *reading = context;
    struct fixture_record want;
    struct json *row = json_parse(line, len, err);
    CHECK(row);
    do { /* every fifth was deleted */
        fixture_record(&reading->seed, reading->lexical, FIXTURE_VOCABULARY, reading->next, &want);
    } while (reading->next++ % 5 == 0);
    CHECK_TEXT(json_string_of(json_get(row, "id"), NULL), want.key);
    CHECK_TEXT(json_string_of(json_get(row, "title"), NULL), want.title);
    CHECK_TEXT(json_string_of(json_get(row, "text"), NULL), want.text);
    CHECK_EQUAL(json_number_of(json_get(json_get(row, "fields"), "n")), reading->next - 1);
    dense_is(row, &want);
    sparse_is(row, &want, reading);
    multi_is(row, &want, reading->vectors);
    json_release(row);
    reading->lines_n++;
    return true;
}

static bool stop(void *context, const char *line, size_t len, struct error *err) {
    (void)context, (void)line, (void)len;
    return error_set(err, ERROR_STOPPED, "enough");
}

static void comes_out(enum index_lexical lexical, bool words) {
    char folder[64];
    struct error err;
    struct index *index;
    struct writer *writer;
    struct index_settings settings = fixture_settings(lexical);
    settings.dense_dim = settings.multi_dim = FIXTURE_DIM;
    fixture_folder(folder);
    CHECK_OK(index_create(folder, &settings, &index, &err), err);
    CHECK_OK(writer_open(index, &writer, &err), err);
    for (uint32_t i = 0; words && i < FIXTURE_VOCABULARY; i++) {
        char word[32];
        uint32_t id;
        int len = snprintf(word, sizeof word, "word-%u", i);
        CHECK_OK(writer_term_id(writer, word, (size_t)len, &id, &err), err);
        CHECK_EQUAL(id, i);
    }
    writer_commit(writer, &err);
    writer_close(writer);
    fixture_fill(index, 4, 0, DOCUMENTS_N, 25);
    for (uint32_t i = 0; i < DOCUMENTS_N; i += 5) {
        char key[32];
        bool found;
        struct index_key view = {key, (size_t)snprintf(key, sizeof key, "doc-%u", i)};
        CHECK_OK(index_remove(index, &view, 1, &found, &err), err);
    }
    for (int vectors = 0; vectors < 2; vectors++) {
        struct reading reading = {
            .lexical = lexical, .words = words, .vectors = vectors, .seed = 4};
        CHECK_OK(index_export(index, vectors, read_line, &reading, &err), err);
        CHECK_EQUAL(reading.lines_n, DOCUMENTS_N - DOCUMENTS_N / 5);
    }
    CHECK(!index_export(index, false, stop, NULL, &err));
    CHECK_EQUAL(err.code, ERROR_STOPPED);
    index_close(index);
    fixture_remove(folder);
}

int main(void) {
    comes_out(INDEX_LEXICAL_BM25, true);
    comes_out(INDEX_LEXICAL_LEARNED, false);
    return check_result();
}
