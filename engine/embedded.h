/* embedded.h - the files of the default model, which are inside the program. */
#ifndef TERCET_EMBEDDED_H
#define TERCET_EMBEDDED_H

#include <stddef.h>
#include <stdint.h>

#define EMBEDDED_MODEL_NAME "bge-small-en-v1.5"

struct embedded_file {
    const char *name; /* inside the model's folder */
    const uint8_t *begin, *end;
};

/* NULL when the embedded model has no file of that name. */
const struct embedded_file *embedded_find(const char *name);

#endif
