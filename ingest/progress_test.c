/* What the progress line says, and that it never is wider than the terminal. */
#include "ingest/progress.h"

#include "tests/check.h"

static size_t columns(const char *text) {
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void says_what_it_knows(void) {
    struct buf out = {0};
    struct ingest_stats stats = {.stored = 1234,
                                 .encoded = 1234,
                                 .unchanged = 6,
                                 .tokens = 150000,
                                 .seconds = 20,
                                 .bytes_read = 5 << 20,
                                 .bytes_total = 20 << 20};
    struct progress_line line = {.out = stderr};
    double left = progress_seconds_left(&line, &stats);
    progress_render(&stats, left, 200, &out);
    CHECK(strstr(out.data, " 25%"));
    CHECK(strstr(out.data, "1,240 documents"));
    CHECK(strstr(out.data, "7,500 tokens/s"));
    CHECK(strstr(out.data, "1:00 min left"));
    CHECK(!strstr(out.data, "bad"));
    buf_clear(&out);
    stats.bytes_total = 0; /* standard input */
    stats.bad = 3;
    progress_render(&stats, -1, 200, &out);
    CHECK(!strstr(out.data, "%") && !strstr(out.data, "left"));
    CHECK(strstr(out.data, "3 bad"));
    CHECK(strstr(out.data, "5.0 MiB"));
    buf_clear(&out);
    progress_summary(&stats, &out);
    CHECK_TEXT(out.data, "1,234 documents stored, 6 unchanged, 3 bad; 150,000 tokens in 20 s "
                         "(7,500 tokens/s)");
    buf_done(&out);
}

/* 80 % are skipped in a second, the rest goes at a hundredth of that pace: what the first promised
 * is forgotten soon. */
static void time_left_follows_the_pace(void) {
    struct ingest_stats stats = {.bytes_total = 1000};
    struct progress_line line = {.out = stderr};
    CHECK(progress_seconds_left(&line, &stats) < 0);
    stats.seconds = 1;
    stats.bytes_read = 800;
    CHECK_NEAR(progress_seconds_left(&line, &stats), .25, 1e-9);
    for (int i = 1; i <= 10; i++) {
        stats.seconds = 1 + 5 * i;
        stats.bytes_read = 800 + 10 * (uint64_t)i;
        progress_seconds_left(&line, &stats);
    }
    CHECK_NEAR(progress_seconds_left(&line, &stats), 50, 20); /* 100 bytes at 2 a second */
    stats.bytes_read = 1000;
    CHECK(progress_seconds_left(&line, &stats) < 0);
}

static void keeps_to_the_width(void) {
    struct buf out = {0};
    struct ingest_stats stats = {.stored = 123456, .tokens = 1, .seconds = 5, .bytes_total = 1000};
    for (stats.bytes_read = 0; stats.bytes_read <= 1200; stats.bytes_read += 7)
        for (size_t width = 1; width < 90; width += 11) {
            buf_clear(&out);
            progress_render(&stats, 3700, width, &out);
            CHECK(columns(out.data) <= width);
        }
    buf_done(&out);
}

static void plain_output_is_not_rewritten(void) {
    struct ingest_stats stats = {.stored = 1};
    FILE *file = tmpfile();
    CHECK(file);
    struct progress_line line = {.out = file};
    for (int i = 0; i < 1000; i++)
        progress_show(&line, &stats);
    progress_clear(&line);
    CHECK_EQUAL(ftell(file), 0); /* nothing within the first ten seconds */
    fclose(file);
}

int main(void) {
    says_what_it_knows();
    time_left_follows_the_pace();
    keeps_to_the_width();
    plain_output_is_not_rewritten();
    return check_result();
}
