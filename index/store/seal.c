/* The seal of a commit: u64 magic, u64 transaction, u64 sum of the meta page (without its
 * transaction), u64 sum of the lists, u64 sum of these four. */
#include "index/store/view.h"

enum { AT_TXN = 8, AT_META = 16, AT_LISTS = 24, AT_OWN = 32, META_TXN_AT = META_BYTES - 8 };
static const char magic[8] = "TERCETs1";

static uint64_t meta_sum(const uint8_t *page, value_sum_kind *sum_of) {
    return sum_of(0, magic, sizeof magic, page, PAGE_HEADER_BYTES + META_TXN_AT);
}

static uint64_t own_sum(const uint8_t *seal, value_sum_kind *sum_of) {
    return sum_of(0, magic, sizeof magic, seal, AT_OWN);
}

/* Never written, or half: as if there were none. */
static bool is_whole(const uint8_t *seal, value_sum_kind *sum_of) {
    return memcmp(seal, magic, sizeof magic) == 0 &&
           get_u64(seal + AT_OWN) == own_sum(seal, sum_of);
}

void seal_make(const struct view *view, uint8_t out[SEAL_BYTES]) {
    const uint8_t *page = view->map + view->txn_id % 2 * view->page_bytes;
    memcpy(out, magic, sizeof magic);
    memcpy(out + AT_TXN, &view->txn_id, 8);
    memcpy(out + AT_META, &(uint64_t){meta_sum(page, view->sum_of)}, 8);
    memcpy(out + AT_LISTS, &view->lists_sum, 8);
    memcpy(out + AT_OWN, &(uint64_t){own_sum(out, view->sum_of)}, 8);
}

/* A seal of an earlier transaction is that of the commit before, when a kill came before the new
 * one; unless all else is as it was: then it is the transaction's number that has changed. Of a
 * commit that failed LMDB leaves all but the transaction in the older page, which nobody reads. */
bool seal_fits_meta(const uint8_t *page, bool newest, value_sum_kind *sum_of) {
    const uint8_t *seal = page + SEAL_AT;
    uint64_t txn_id = get_u64(page + PAGE_HEADER_BYTES + META_TXN_AT);
    if (!is_whole(seal, sum_of))
        return true;
    bool same = get_u64(seal + AT_META) == meta_sum(page, sum_of);
    if (txn_id == get_u64(seal + AT_TXN))
        return same || !newest;
    return txn_id > get_u64(seal + AT_TXN) && !same;
}

bool seal_fits_lists(const uint8_t *meta, const struct view *view) {
    const uint8_t *seal = meta + SEAL_AT;
    return !is_whole(seal, view->sum_of) || get_u64(seal + AT_TXN) != view->txn_id ||
           get_u64(seal + AT_LISTS) == view->lists_sum;
}
