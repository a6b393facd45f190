#include "tools/serve_log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/base/json.h"

/* Of a query in a slow request's line. */
enum { SUBJECT_BYTES_MAX = 200 };

bool serve_log_parse(const char *name, enum serve_log_form *out) {
    static const char *const names[] = {
        [SERVE_LOG_OFF] = "off", [SERVE_LOG_TEXT] = "text", [SERVE_LOG_JSON] = "json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (enum serve_log_form)i;
            return true;
        }
    return false;
}

static double rounded(double ms) {
    return (double)(long long)(ms * 1e3 + .5) / 1e3;
}

/* Cut between two characters; what is no UTF-8 or would end the line is made harmless by JSON. */
static struct json *subject_of(const struct server_access *access) {
    size_t len = strlen(access->subject);
    if (len > SUBJECT_BYTES_MAX) {
        len = SUBJECT_BYTES_MAX;
        while (len > 0 && ((unsigned char)access->subject[len] & 0xc0) == 0x80)
            len--;
    }
    return json_new_string(access->subject, len);
}

/* A target has no blanks or controls, but may have any other byte. */
static struct json *path_of(const struct server_access *access) {
    return json_new_string(access->target, strcspn(access->target, "?#"));
}

static void print_json(const struct server_access *access, const char *time, bool slow,
                       struct buf *out) {
    struct json *line = json_new_object(), *stages = json_new_object();
    json_add_string(line, "time", time);
    json_add_string(line, "peer", access->peer);
    json_add_string(line, "method", access->method);
    json_add(line, "path", path_of(access));
    json_add(line, "route",
             access->route ? json_new_string(access->route, strlen(access->route))
                           : json_new_null());
    json_add_number(line, "status", access->status);
    json_add_number(line, "total_ms", rounded(access->total_ms));
    json_add_number(line, "queue_ms", rounded(access->queue_ms));
    json_add_number(line, "handler_ms", rounded(access->handler_ms));
    for (size_t i = 0; i < access->stages_n; i++)
        json_add_number(stages, access->stages[i].name, rounded(access->stages[i].ms));
    json_add(line, "stages", stages);
    json_add_number(line, "bytes_in", (double)access->bytes_in);
    json_add_number(line, "bytes_out", (double)access->bytes_out);
    if (slow)
        json_add_bool(line, "slow", true);
    if (slow && access->subject)
        json_add(line, "subject", subject_of(access));
    json_print(line, out);
    json_release(line);
}

static void print_text(const struct server_access *access, const char *time, bool slow,
                       struct buf *out) {
    int path_len = (int)strcspn(access->target, "?#");
    buf_format(out, "%s %s %s ", time, access->peer, access->method);
    for (int i = 0; i < path_len; i++) { /* other bytes would be a terminal's matter */
        unsigned char byte = (unsigned char)access->target[i];
        buf_format(out, byte > 0x20 && byte < 0x7f ? "%c" : "\\x%02x", byte);
    }
    buf_format(out, "%s %d %.1f ms (queue %.1f, handler %.1f", path_len ? "" : "-", access->status,
               access->total_ms, access->queue_ms, access->handler_ms);
    for (size_t i = 0; i < access->stages_n; i++)
        buf_format(out, ", %s %.1f", access->stages[i].name, access->stages[i].ms);
    buf_format(out, ") in %zu out %zu", access->bytes_in, access->bytes_out);
    if (slow)
        buf_text(out, " slow");
    if (slow && access->subject) {
        struct json *subject = subject_of(access);
        buf_text(out, " ");
        json_print(subject, out);
        json_release(subject);
    }
}

bool serve_log_line(const struct serve_log *log, const struct server_access *access,
                    const char *time, struct buf *out) {
    bool slow = log->slow_ms > 0 && access->total_ms >= log->slow_ms;
    if (log->form == SERVE_LOG_OFF && !slow)
        return false;
    (log->form == SERVE_LOG_JSON ? print_json : print_text)(access, time, slow, out);
    return true;
}

void serve_log_request(const struct serve_log *log, const struct server_access *access) {
    struct buf line = {0};
    struct timespec now;
    struct tm utc;
    char seconds[32], time[48];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(time, sizeof time, "%s.%03ldZ", seconds, now.tv_nsec / 1000000);
    if (serve_log_line(log, access, time, &line))
        fprintf(stderr, "%s\n", line.data);
    buf_done(&line);
}
