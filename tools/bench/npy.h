/* npy.h - numpy's .npy files, mapped: the inputs that a race gives to all who run in it.
 *
 * Source: numpy.lib.format, versions 1 to 3. Little-endian f4, f8, i4 and i8 in C order. */
#ifndef TERCET_BENCH_NPY_H
#define TERCET_BENCH_NPY_H

#include "engine/base/error.h"
#include "engine/base/file.h"

enum { NPY_DIMENSIONS_MAX = 4 };

/* Zeros are a valid empty one. */
struct npy {
    struct file_map map;
    const void *data; /* borrowed from map; aligned to 64 bytes as numpy writes it */
    size_t shape[NPY_DIMENSIONS_MAX];
    size_t dimensions_n, values_n;
};

/* kind: "f4", "f8", "i4", "i8"; another one, or a file cut short, is ERROR_INVALID. */
bool npy_open(const char *folder, const char *name, const char *kind, struct npy *out,
              struct error *err);
void npy_close(struct npy *npy);

#endif
