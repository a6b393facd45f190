#include "index/remove.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "index/writer.h"

bool index_remove(struct index *index, const struct index_key *keys, size_t n, bool *found_out,
                  struct error *err) {
    struct writer *writer;
    if (!writer_open(index, &writer, err))
        return false;
    bool *found = mem_zalloc(n + 1, sizeof *found);
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++)
        ok = writer_delete(writer, keys[i].data, keys[i].len, &found[i], err);
    ok = ok && writer_commit(writer, err);
    if (ok)
        memcpy(found_out, found, n * sizeof *found);
    free(found);
    writer_close(writer);
    return ok;
}
