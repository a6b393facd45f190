#include "ingest/progress.h"

#include <inttypes.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/base/clock.h"

enum { BAR_COLUMNS = 24, WIDTH_DEFAULT = 80, WIDTH_MIN = 20 };
static const double redraw_s = 0.1, plain_s = 10;
/* A pace is measured over so long, and counts half of the one before: seconds. */
static const double pace_s = 5, first_pace_s = 1;

/* Whole numbers with their thousands divided. */
static void append_count(struct buf *out, uint64_t count) {
    char digits[24], divided[32];
    int n = snprintf(digits, sizeof digits, "%" PRIu64, count), at = 0;
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            divided[at++] = ',';
        divided[at++] = digits[i];
    }
    buf_append(out, divided, (size_t)at);
}

static void append_duration(struct buf *out, double seconds) {
    unsigned s = (unsigned)(seconds + .5);
    if (s < 60)
        buf_format(out, "%u s", s);
    else if (s < 3600)
        buf_format(out, "%u:%02u min", s / 60, s % 60);
    else
        buf_format(out, "%u:%02u h", s / 3600, s / 60 % 60);
}

static double tokens_per_s(const struct ingest_stats *stats) {
    return stats->seconds > 0 ? (double)stats->tokens / stats->seconds : 0;
}

static void append_bar(struct buf *out, double part) {
    static const char *const eighths[] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int filled = (int)(part * BAR_COLUMNS * 8);
    for (int i = 0; i < BAR_COLUMNS; i++, filled -= 8)
        buf_text(out, filled >= 8 ? "█" : filled > 0 ? eighths[filled] : " ");
    buf_format(out, " %3.0f%%  ", part * 100);
}

/* Cuts a line of UTF-8 to so many columns (our characters take one each). */
static void cut(struct buf *line, size_t from, size_t width) {
    size_t columns = 0;
    for (size_t i = from; i < line->len; i++) {
        columns += ((unsigned char)line->data[i] & 0xc0) != 0x80;
        if (columns > width) {
            line->len = i;
            line->data[i] = '\0';
            return;
        }
    }
}

double progress_seconds_left(struct progress_line *line, const struct ingest_stats *stats) {
    double passed = stats->seconds - line->since_s;
    bool first = line->bytes_per_s <= 0;
    if (passed >= (first ? first_pace_s : pace_s) && stats->bytes_read > line->since_bytes) {
        double pace = (double)(stats->bytes_read - line->since_bytes) / passed;
        line->bytes_per_s = first ? pace : (pace + line->bytes_per_s) / 2;
        line->since_s = stats->seconds;
        line->since_bytes = stats->bytes_read;
    }
    if (line->bytes_per_s <= 0 || stats->bytes_read >= stats->bytes_total)
        return -1;
    return (double)(stats->bytes_total - stats->bytes_read) / line->bytes_per_s;
}

static void append_bytes(struct buf *out, uint64_t bytes) {
    if (bytes < 10 << 20)
        buf_format(out, "%.1f MiB  ", (double)bytes / (1 << 20));
    else
        buf_format(out, "%.0f MiB  ", (double)bytes / (1 << 20));
}

void progress_render(const struct ingest_stats *stats, double seconds_left, size_t width,
                     struct buf *out) {
    size_t from = out->len;
    double part = stats->bytes_total ? (double)stats->bytes_read / (double)stats->bytes_total : 0;
    part = part > 1 ? 1 : part;
    if (stats->bytes_total)
        append_bar(out, part);
    else
        append_bytes(out, stats->bytes_read);
    append_count(out, stats->encoded + stats->unchanged);
    buf_text(out, " documents  ");
    append_count(out, (uint64_t)tokens_per_s(stats));
    buf_text(out, " tokens/s");
    if (seconds_left >= 0) {
        buf_text(out, "  ");
        append_duration(out, seconds_left);
        buf_text(out, " left");
    }
    if (stats->bad) {
        buf_text(out, "  ");
        append_count(out, stats->bad);
        buf_text(out, " bad");
    }
    cut(out, from, width);
}

void progress_summary(const struct ingest_stats *stats, struct buf *out) {
    append_count(out, stats->stored);
    buf_text(out, " documents stored, ");
    append_count(out, stats->unchanged);
    buf_text(out, " unchanged, ");
    append_count(out, stats->bad);
    buf_text(out, " bad; ");
    append_count(out, stats->tokens);
    buf_text(out, " tokens in ");
    append_duration(out, stats->seconds);
    buf_text(out, " (");
    append_count(out, (uint64_t)tokens_per_s(stats));
    buf_text(out, " tokens/s)");
}

static size_t terminal_width(FILE *out) {
    struct winsize size;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return WIDTH_DEFAULT;
    return size.ws_col < WIDTH_MIN ? WIDTH_MIN : size.ws_col;
}

void progress_show(struct progress_line *line, const struct ingest_stats *stats) {
    bool terminal = isatty(fileno(line->out));
    double left = progress_seconds_left(line, stats);
    double now = clock_now_s(), pause = terminal ? redraw_s : plain_s;
    if (line->told_s == 0 && !terminal)
        line->told_s = now; /* the first plain line after ten seconds */
    if (now - line->told_s < pause)
        return;
    struct buf text = {0};
    if (terminal)
        buf_text(&text, "\r");
    progress_render(stats, left, terminal ? terminal_width(line->out) - 1 : WIDTH_DEFAULT, &text);
    buf_text(&text, terminal ? "\x1b[K" : "\n"); /* erase what a longer line left behind */
    fputs(text.data, line->out);
    fflush(line->out);
    buf_done(&text);
    line->drawn = terminal;
    line->told_s = now;
}

void progress_clear(struct progress_line *line) {
    if (!line->drawn)
        return;
    fputs("\r\x1b[K", line->out);
    fflush(line->out);
    line->drawn = false;
}
