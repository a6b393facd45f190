/* error.h - what went wrong, for the caller and for the person who reads it.
 *
 * A function that can fail returns bool and takes `struct error *` last; on failure its outputs
 * are untouched. A message says what, where (file, line, field) and what to do about it.
 * Errors are values on the caller's stack: no ownership, no threads to think of. */
#ifndef TERCET_BASE_ERROR_H
#define TERCET_BASE_ERROR_H

#include <stdbool.h>

enum error_code {
    ERROR_NONE = 0,
    ERROR_INVALID,     /* the caller's input is wrong: a malformed row, an unknown option */
    ERROR_NOT_FOUND,   /* a file, a model, a collection, a key that is not there */
    ERROR_CORRUPT,     /* bytes on disk that cannot be what we wrote */
    ERROR_IO,          /* the operating system said no: message holds strerror */
    ERROR_UNSUPPORTED, /* well-formed, but not something we can do */
    ERROR_LIMIT,       /* larger than a stated limit */
    ERROR_BUSY,        /* somebody else holds it: a second writer, a full queue */
    ERROR_STOPPED,     /* the work was cancelled: a stop was asked for, a deadline passed */
};

/* Long enough for two file paths and a sentence. Longer messages are cut at the end. */
enum { ERROR_MESSAGE_MAX = 640 };

struct error {
    enum error_code code;
    char message[ERROR_MESSAGE_MAX];
};

/* Fills *err and returns false, so that `return error_set(err, ...)` reads as the failure it is. */
bool error_set(struct error *err, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set with ERROR_IO (ERROR_NOT_FOUND for ENOENT), ": " and strerror(errno) added. */
bool error_set_errno(struct error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts context in front of a message that is already there; keeps the code; returns false. */
bool error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* An analyser sees one file at a time, and must be told that these return false. */
#ifdef __clang_analyzer__
#define error_set(...) (error_set(__VA_ARGS__), false)
#define error_set_errno(...) (error_set_errno(__VA_ARGS__), false)
#define error_wrap(...) (error_wrap(__VA_ARGS__), false)
#endif

#endif
