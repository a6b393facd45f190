#include "index/fields/value.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

/* ---- values whose bytes are in order ---- */

/* IEEE doubles are in order as sign and magnitude: turn the negative ones round, and put the others
 * above them. */
static void encode_number(double number, struct field_value *out) {
    uint64_t bits;
    number += 0.0; /* -0 is 0 */
    memcpy(&bits, &number, sizeof bits);
    bits = bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
    out->kind = FIELD_NUMBER;
    out->len = 8;
    put_be64(out->bytes, bits);
}

/* Reads n digits and moves on; -1 when there are others. */
static int digits(const char **at, int n) {
    int value = 0;
    for (int i = 0; i < n; i++) {
        char c = (*at)[i];
        if (c < '0' || c > '9')
            return -1;
        value = 10 * value + (c - '0');
    }
    *at += n;
    return value;
}

static bool take(const char **at, char c) {
    bool there = **at == c;
    *at += there;
    return there;
}

/* Days from 0000-03-01 (proleptic Gregorian): years begin in March, so that a leap day is last. */
static int64_t days_of(int year, int month, int day) {
    int64_t y = year - (month < 3), months = (month + 9) % 12;
    return 365 * y + (y >= 0 ? y / 4 - y / 100 + y / 400 : -1) + (153 * months + 2) / 5 + day - 1;
}

static bool read_day(const char **at, int64_t *days_out) {
    static const int lengths[12] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = digits(at, 4);
    if (year < 0 || !take(at, '-'))
        return false;
    int month = digits(at, 2);
    if (month < 1 || month > 12 || !take(at, '-'))
        return false;
    int day = digits(at, 2);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day < 1 || day > lengths[month - 1] || (month == 2 && day == 29 && !leap))
        return false;
    *days_out = days_of(year, month, day);
    return true;
}

/* HH:MM into minutes. */
static bool read_clock(const char **at, int64_t *minutes_out) {
    int hours = digits(at, 2);
    if (hours < 0 || hours > 23 || !take(at, ':'))
        return false;
    int minutes = digits(at, 2);
    *minutes_out = 60 * hours + minutes;
    return minutes >= 0 && minutes <= 59;
}

static bool read_seconds(const char **at, int64_t *micros_out) {
    int seconds = digits(at, 2);
    *micros_out = (int64_t)seconds * 1000000;
    if (seconds < 0 || seconds > 59)
        return false;
    if (!take(at, '.'))
        return true;
    int64_t unit = 100000;
    if (**at < '0' || **at > '9')
        return false;
    for (; **at >= '0' && **at <= '9'; (*at)++, unit /= 10) /* beyond six digits: cut */
        *micros_out += unit * (**at - '0');
    return true;
}

/* Microseconds of the instant; false: not a date. */
static bool read_date(const char *text, size_t len, int64_t *out) {
    const char *at = text;
    int64_t days, minutes = 0, micros = 0, zone = 0;
    if (!read_day(&at, &days))
        return false;
    if (*at == 'T' || *at == ' ') {
        at++;
        if (!read_clock(&at, &minutes) || (take(&at, ':') && !read_seconds(&at, &micros)))
            return false;
        char sign = *at;
        if ((sign == '+' || sign == '-')) {
            at++;
            if (!read_clock(&at, &zone))
                return false;
            minutes -= sign == '+' ? zone : -zone;
        } else {
            take(&at, 'Z');
        }
    }
    *out = (days * 1440 + minutes) * 60000000 + micros;
    return at == text + len;
}

static void encode_text(const char *text, size_t len, struct field_value *out) {
    int64_t instant;
    if (read_date(text, len, &instant)) {
        out->kind = FIELD_DATE;
        out->len = 8;
        put_be64(out->bytes, (uint64_t)instant ^ UINT64_C(1) << 63);
    } else if (len <= FIELD_KEYWORD_BYTES_MAX && !memchr(text, '\0', len)) {
        out->kind = FIELD_KEYWORD;
        out->len = len + 1;
        memcpy(out->bytes, text, len);
        out->bytes[len] = '\0'; /* no value is the beginning of another */
    } else {
        XXH128_hash_t hash = XXH3_128bits(text, len);
        out->kind = FIELD_LONG;
        out->len = 16;
        put_be64(out->bytes, hash.high64);
        put_be64(out->bytes + 8, hash.low64);
    }
}

bool field_value_of(const struct json *json, struct field_value *out) {
    switch (json_kind_of(json)) {
    case JSON_KIND_BOOL:
        out->kind = FIELD_BOOL;
        out->len = 1;
        out->bytes[0] = json_bool_of(json);
        return true;
    case JSON_KIND_NUMBER: encode_number(json_number_of(json), out); return true;
    case JSON_KIND_STRING: {
        size_t len;
        const char *text = json_string_of(json, &len);
        encode_text(text, len, out);
        return true;
    }
    case JSON_KIND_NULL:
    case JSON_KIND_ARRAY:
    case JSON_KIND_OBJECT: break;
    }
    return false;
}

/* ---- and back ---- */

static double decode_number(const uint8_t *bytes) {
    uint64_t bits = get_be64(bytes);
    double number;
    bits = bits >> 63 ? bits & ~(UINT64_C(1) << 63) : ~bits;
    memcpy(&number, &bits, sizeof number);
    return number;
}

/* The day that is so many behind 0000-03-01; days_of turned round. */
static void day_of(int64_t days, int *year, int *month, int *day) {
    int64_t era = (days >= 0 ? days : days - 146096) / 146097; /* of 400 years */
    int64_t in_era = days - era * 146097;
    int64_t years = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * years + years / 4 - years / 100);
    int64_t months = (5 * in_year + 2) / 153; /* since March */
    *day = (int)(in_year - (153 * months + 2) / 5) + 1;
    *month = (int)(months < 10 ? months + 3 : months - 9);
    *year = (int)(400 * era + years) + (*month < 3);
}

/* Only a zone reaches the years before 0000 and after 9999; a zone makes them readable again. */
static int print_date(int64_t instant, char out[FIELD_DATE_TEXT_MAX]) {
    const int64_t day_us = INT64_C(86400000000), zone_us = day_us - 60000000;
    const int64_t first = days_of(0, 1, 1) * day_us, end = days_of(10000, 1, 1) * day_us;
    const char *zone = instant < first ? "+23:59" : instant >= end ? "-23:59" : "Z";
    instant += instant < first ? zone_us : instant >= end ? -zone_us : 0;
    int64_t days = (instant >= 0 ? instant : instant - day_us + 1) / day_us;
    int64_t rest = instant - days * day_us;
    int year, month, day, len, seconds = (int)(rest / 1000000), micros = (int)(rest % 1000000);
    day_of(days, &year, &month, &day);
    len = snprintf(out, FIELD_DATE_TEXT_MAX, "%04d-%02d-%02d", year, month, day);
    if (rest == 0 && zone[0] == 'Z')
        return len;
    len += snprintf(out + len, FIELD_DATE_TEXT_MAX - (size_t)len, "T%02d:%02d:%02d", seconds / 3600,
                    seconds / 60 % 60, seconds % 60);
    if (micros)
        len += snprintf(out + len, FIELD_DATE_TEXT_MAX - (size_t)len, ".%06d", micros);
    return len + snprintf(out + len, FIELD_DATE_TEXT_MAX - (size_t)len, "%s", zone);
}

struct json *field_value_json(enum field_kind kind, const uint8_t *bytes, size_t len) {
    char date[FIELD_DATE_TEXT_MAX];
    switch (kind) {
    case FIELD_BOOL: return len == 1 ? json_new_bool(bytes[0]) : NULL;
    case FIELD_NUMBER: return len == 8 ? json_new_number(decode_number(bytes)) : NULL;
    case FIELD_DATE:
        if (len != 8)
            return NULL;
        int date_len = print_date((int64_t)(get_be64(bytes) ^ UINT64_C(1) << 63), date);
        return json_new_string(date, (size_t)date_len);
    case FIELD_KEYWORD: return len > 0 ? json_new_string((const char *)bytes, len - 1) : NULL;
    case FIELD_EXISTS:
    case FIELD_LONG: break;
    }
    return NULL;
}
