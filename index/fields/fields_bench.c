/* Time of filters and of entering fields, as JSON lines: 200,000 documents with a distinct number
 * each (in no order), a distinct second of one year, one of 10 and one of 100,000 keywords.
 *
 * usage: fields_bench [documents] */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/base/mem.h"
#include "index/fields/facets.h"
#include "index/fields/filter.h"
#include "index/fixture.h"

enum { DOCUMENTS = 200000, KEYWORDS = 100000, RUNS = 51, BATCH = 10000 };

static double cpu_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double times[RUNS]) {
    qsort(times, RUNS, sizeof *times, by_value);
    return times[RUNS / 2];
}

/* 2024, second by second, 157 apart: distinct for 200,000 documents. */
static void print_second(uint32_t i, char out[32]) {
    time_t at = 1704067200 + (time_t)i * 157;
    struct tm parts;
    gmtime_r(&at, &parts);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

static void fill(struct index *index, uint32_t n) {
    struct error err;
    struct writer *writer;
    char key[16], day[32], fields[160];
    double began = cpu_ms();
    CHECK_OK(writer_open(index, &writer, &err), err);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t mixed = (uint32_t)((uint64_t)i * 7919 % n); /* a prime: every number once */
        struct record record = {.key = key, .fields = fields};
        print_second(mixed, day);
        record.key_len = (size_t)snprintf(key, sizeof key, "%u", i);
        record.fields_len = (size_t)snprintf(fields, sizeof fields,
                                             "{\"n\":%u,\"day\":\"%s\",\"lang\":\"l%u\","
                                             "\"word\":\"word-%u\"}",
                                             mixed, day, i * 7 % 10, mixed % KEYWORDS);
        CHECK_OK(writer_put(writer, &record, &err), err);
        if (i % BATCH == BATCH - 1)
            CHECK_OK(writer_commit(writer, &err), err);
    }
    CHECK_OK(writer_commit(writer, &err), err);
    writer_close(writer);
    struct index_counts counts;
    CHECK_OK(index_count(index, &counts, &err), err);
    printf(
        "{\"bench\":\"fields\",\"case\":\"fill\",\"documents\":%u,\"cpu_s\":%.2f,\"MiB\":%.1f}\n",
        n, (cpu_ms() - began) / 1e3, (double)counts.bytes_on_disk / 1048576);
}

static void run_filter(struct snapshot *snapshot, const char *text) {
    struct error err;
    struct arena arena = {0};
    struct filter *filter;
    struct docid_set set = {0};
    double times[RUNS];
    struct json *json = json_parse(text, strlen(text), &err);
    CHECK_OK(json && filter_parse(json, &arena, &filter, &err), err);
    for (int i = 0; i < RUNS; i++) {
        struct arena own = {0};
        double began = cpu_ms();
        CHECK_OK(filter_run(filter, snapshot, &own, &set, &err), err);
        times[i] = cpu_ms() - began;
        if (i == 0)
            printf("{\"bench\":\"fields\",\"case\":%s,\"passing\":%zu,", text,
                   docid_set_count(&set));
        arena_done(&own);
    }
    printf("\"p50_ms\":%.3f}\n", median(times));
    json_release(json);
    arena_done(&arena);
}

/* Over all documents, or those that a filter allows. */
static void run_facet(struct snapshot *snapshot, const char *field, const char *filter_text) {
    struct error err;
    struct arena arena = {0};
    struct filter *filter;
    struct docid_set set;
    struct facet facet = {0};
    double times[RUNS];
    struct json *json = json_parse(filter_text, strlen(filter_text), &err);
    CHECK_OK(json && filter_parse(json, &arena, &filter, &err) &&
                 filter_run(filter, snapshot, &arena, &set, &err),
             err);
    for (int i = 0; i < RUNS; i++) {
        struct arena own = {0};
        double began = cpu_ms();
        CHECK_OK(facet_count(snapshot, field, strlen(field), FACET_LIMIT_DEFAULT,
                             json_count(json) ? &set : NULL, &own, &facet, &err),
                 err);
        times[i] = cpu_ms() - began;
        arena_done(&own);
    }
    printf("{\"bench\":\"fields\",\"case\":\"facet %s\",\"filter\":%s,\"documents\":%llu,"
           "\"values\":%llu,\"p50_ms\":%.3f}\n",
           field, filter_text, (unsigned long long)facet.documents_n,
           (unsigned long long)facet.distinct_n, median(times));
    json_release(json);
    arena_done(&arena);
}

int main(int argc, char **argv) {
    static const char *const filters[] = {
        "{\"n\":{\"$gte\":0}}",
        "{\"n\":{\"$gt\":1000,\"$lt\":190000}}",
        "{\"n\":{\"$gt\":50001,\"$lt\":150001}}",
        "{\"n\":{\"$gt\":131073,\"$lt\":196607}}",
        "{\"n\":{\"$gte\":100000,\"$lt\":100100}}",
        "{\"n\":77777}",
        "{\"day\":{\"$lt\":\"2024-12-24T11:11:11Z\"}}",
        "{\"day\":{\"$gt\":\"2024-03-03T03:03:03Z\",\"$lt\":\"2024-09-09T09:09:09Z\"}}",
        "{\"lang\":\"l3\"}",
        "{\"lang\":{\"$exists\":true}}",
    };
    static const char *const facets[] = {"lang", "word", "n"};
    uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : DOCUMENTS;
    struct error err;
    struct index *index;
    struct snapshot *snapshot;
    char folder[64];
    struct index_settings settings = {0};
    fixture_folder(folder);
    CHECK_OK(index_create(folder, &settings, &index, &err), err);
    fill(index, n);
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        run_filter(snapshot, filters[i]);
    for (size_t i = 0; i < sizeof facets / sizeof *facets; i++) {
        run_facet(snapshot, facets[i], "{}");
        run_facet(snapshot, facets[i], "{\"n\":{\"$lt\":50000}}");
    }
    snapshot_close(snapshot);
    index_close(index);
    fixture_remove(folder);
    return check_failed > 0;
}
