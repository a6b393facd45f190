#include "index/store/page.h"

static const uint32_t MAGIC = 0xBEEFC0DE;
static const uint32_t VERSION = 1;

struct tree tree_read(const uint8_t *at) {
    return (struct tree){
        .page_bytes = get_u32(at),
        .flags = get_u16(at + 4),
        .depth = get_u16(at + 6),
        .branches_n = get_u64(at + 8),
        .leaves_n = get_u64(at + 16),
        .overflows_n = get_u64(at + 24),
        .entries_n = get_u64(at + 32),
        .root = get_u64(at + 40),
    };
}

bool meta_read(const uint8_t *page, struct meta *out) {
    const uint8_t *at = page + PAGE_HEADER_BYTES;
    if (page_kind(page) != KIND_META || get_u32(at) != MAGIC || get_u32(at + 4) != VERSION)
        return false;
    *out = (struct meta){
        .free = tree_read(at + 24),
        .tables = tree_read(at + 24 + TREE_BYTES),
        .last_page = get_u64(at + 24 + 2 * TREE_BYTES),
        .txn_id = get_u64(at + 32 + 2 * TREE_BYTES),
    };
    uint32_t size = out->free.page_bytes;
    return size >= PAGE_BYTES_MIN && size <= PAGE_BYTES_MAX && (size & (size - 1)) == 0 &&
           out->last_page < PAGES_MAX;
}

/* Bytes of a node in its page, rounded up as LMDB does; 0: it reaches out of the room, or is of a
 * kind that is never written. room >= NODE_HEADER_BYTES. */
static size_t node_bytes(const uint8_t *node, bool leaf, size_t room, enum page_owner owner) {
    size_t key_len = get_u16(node + 6), len = NODE_HEADER_BYTES + key_len;
    unsigned flags = get_u16(node + 4);
    bool known = owner == PAGE_OF_TABLES ? flags == NODE_TREE : (flags & ~NODE_BIG) == 0;
    if (key_len > KEY_BYTES_MAX || (leaf && (key_len == 0 || !known)))
        return 0;
    if (leaf)
        len += flags & NODE_BIG ? sizeof(uint64_t) : node_value_len(node);
    len += len % 2;
    return len <= room ? len : 0;
}

const char *page_wrong(const uint8_t *page, uint64_t number, unsigned kind, size_t page_bytes,
                       enum page_owner owner) {
    size_t lower = get_u16(page + 12), upper = get_u16(page + 14), used = 0;
    bool integers = owner == PAGE_OF_FREE;
    struct bytes before = {0};
    if (page_number(page) != number || page_kind(page) != kind)
        return "not the page it should be";
    if (lower <= PAGE_HEADER_BYTES || lower > upper || upper > page_bytes || lower % 2)
        return "its bounds are damaged";
    for (size_t i = PAGE_HEADER_BYTES; i < lower; i += 2) {
        size_t offset = get_u16(page + i);
        if (offset < upper || offset % 2 || offset + NODE_HEADER_BYTES > page_bytes)
            return "an entry lies out of its page";
        const uint8_t *node = page + offset;
        size_t bytes = node_bytes(node, kind == KIND_LEAF, page_bytes - offset, owner);
        struct bytes key = node_key(node);
        if (bytes == 0)
            return "an entry is damaged";
        used += bytes;
        if (kind == KIND_BRANCH && i == PAGE_HEADER_BYTES)
            continue; /* the first key of a branch means nothing */
        if (key.len == 0 || (integers && key.len != sizeof(uint64_t)))
            return "an entry is damaged";
        if (before.data && keys_compare(integers, before, key) >= 0)
            return "keys do not ascend";
        before = key;
    }
    return used == page_bytes - upper ? NULL : "entries were lost or overlap";
}
