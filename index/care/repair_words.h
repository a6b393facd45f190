/* repair_words.h - inside repair: the dictionary carried over.
 *
 * A word stands nowhere but in table `terms`: rows know its id only. Words are entered again in the
 * order of their ids, so ids ascend as before wherever some are lost. One id that cannot be read
 * and one that nobody has belong together; of more nobody can tell which is whose. */
#ifndef TERCET_INDEX_CARE_REPAIR_WORDS_H
#define TERCET_INDEX_CARE_REPAIR_WORDS_H

#include "index/care/repair.h"
#include "index/store/store.h"
#include "index/writer.h"

struct repair_words {
    uint32_t *ids; /* [ids_n] new id of each old one, REPAIR_NO_WORD where it is lost */
    size_t ids_n;
    bool none; /* there is no dictionary: ids are a model's tokens and stay */
};

enum { REPAIR_NO_WORD = -1 }; /* as a uint32_t: no id */

/* term_next: how many ids the state says were given out; 0 where it cannot be read. */
bool repair_words(struct store_txn *old, uint32_t term_next, struct writer *writer,
                  const struct repair_listener *listener, uint64_t *lost_n_out,
                  struct repair_words *out, struct error *err);
void repair_words_done(struct repair_words *words);

/* What a table's cursor says of an entry that has a wrong checksum: passed over. False: it failed
 * in another way. */
static inline bool repair_step(bool ok, const struct store_cursor *cursor,
                               const struct error *err) {
    return ok || (err->code == ERROR_CORRUPT && cursor->key.data && !cursor->value.data);
}

#endif
