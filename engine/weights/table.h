/* table.h - the tensor table behind `struct weights`, for the readers of file formats only. */
#ifndef TERCET_WEIGHTS_TABLE_H
#define TERCET_WEIGHTS_TABLE_H

#include "engine/base/arena.h"
#include "engine/base/map.h"
#include "engine/weights/weights.h"

/* One tensor as the file tells it; `tensor` is filled when it is of a kind we read. */
struct entry {
    const char *name, *dtype;
    const char *where;   /* the file it stands in, for messages */
    uint64_t begin, end; /* in the data; safetensors only */
    bool readable;
    struct weights_tensor tensor;
};

struct weights {
    struct arena arena;
    struct map by_name; /* name -> index in entries */
    struct entry *entries;
    size_t n;
    const uint8_t *data; /* safetensors: behind the header; else the file */
    size_t data_len;
    const char *where;
    struct weights **parts; /* [parts_n] the shards that the entries point into; owned */
    size_t parts_n;
};

/* Gives each I8 tensor its "<name>_scale"; one without them cannot be read. Last step of opening,
 * and again over all shards: a tensor and its scales may stand in two of them. */
void weights_attach_scales(struct weights *weights);

#endif
