#include "index/store/tree.h"

static unsigned last_of(const struct tree_cursor *cursor) {
    return cursor->tree->depth - 1u;
}

void tree_cursor_init(struct tree_cursor *cursor, struct view *view, const struct tree *tree,
                      const char *name) {
    cursor->view = view;
    cursor->tree = tree;
    cursor->name = name;
    cursor->owner = tree == &view->free   ? PAGE_OF_FREE
                    : tree == &view->main ? PAGE_OF_TABLES
                                          : PAGE_OF_TABLE;
    cursor->ended = tree->root == NO_PAGE;
}

static bool bad(const struct tree_cursor *cursor, const uint8_t *page, const char *what,
                struct error *err) {
    return view_bad(cursor->view, cursor->name, page_number(page), what, err);
}

static const uint8_t *page_at(const struct tree_cursor *cursor, uint64_t number, unsigned level,
                              struct error *err) {
    unsigned kind = level < last_of(cursor) ? KIND_BRANCH : KIND_LEAF;
    return view_page(cursor->view, number, kind, cursor->owner, cursor->name, err);
}

static const uint8_t *child_at(const struct tree_cursor *cursor, unsigned level, unsigned i,
                               struct error *err) {
    return page_at(cursor, node_child(page_node(cursor->path[level].page, i)), level + 1, err);
}

static int compare(const struct tree_cursor *cursor, struct bytes a, struct bytes b) {
    return keys_compare(cursor->owner == PAGE_OF_FREE, a, b);
}

/* Puts the page there; false where there is none. */
static bool enter(struct tree_cursor *cursor, unsigned level, struct error *err) {
    const uint8_t *page = level == 0 ? page_at(cursor, cursor->tree->root, 0, err)
                                     : child_at(cursor, level - 1, cursor->path[level - 1].at, err);
    if (!page)
        return false;
    cursor->path[level].page = page;
    cursor->path[level].n = (uint16_t)page_nodes_n(page);
    cursor->path[level].at = 0;
    return true;
}

static struct bytes key_at(const struct tree_cursor *cursor, unsigned level, unsigned i) {
    return node_key(page_node(cursor->path[level].page, i));
}

/* The leaf's keys lie between those that the branches have left and right of it. */
static bool leaf_fits(const struct tree_cursor *cursor, struct error *err) {
    unsigned leaf = last_of(cursor);
    bool low = false, high = false, ok = true;
    struct bytes first = key_at(cursor, leaf, 0);
    struct bytes last = key_at(cursor, leaf, cursor->path[leaf].n - 1u);
    for (unsigned level = leaf; level-- > 0 && !(low && high);) {
        unsigned at = cursor->path[level].at, n = cursor->path[level].n;
        if (!low && at > 0) {
            low = true;
            ok = ok && compare(cursor, key_at(cursor, level, at), first) <= 0;
        }
        if (!high && at + 1 < n) {
            high = true;
            ok = ok && compare(cursor, last, key_at(cursor, level, at + 1)) < 0;
        }
    }
    return ok || bad(cursor, cursor->path[leaf].page, "its keys belong elsewhere", err);
}

/* To the leaf on the right (or left): its first (or last) entry. */
static bool to_neighbour(struct tree_cursor *cursor, bool right, struct error *err) {
    unsigned level = last_of(cursor);
    while (level-- > 0)
        if (right ? cursor->path[level].at + 1u < cursor->path[level].n
                  : cursor->path[level].at > 0)
            break;
    if (level == UINT32_MAX) {
        cursor->ended = true;
        return true;
    }
    cursor->path[level].at = (uint16_t)(cursor->path[level].at + (right ? 1 : -1));
    while (++level < cursor->tree->depth) {
        if (!enter(cursor, level, err))
            return false;
        cursor->path[level].at = right ? 0 : (uint16_t)(cursor->path[level].n - 1);
    }
    return leaf_fits(cursor, err);
}

bool tree_first(struct tree_cursor *cursor, struct error *err) {
    if (cursor->ended)
        return true;
    for (unsigned level = 0; level < cursor->tree->depth; level++)
        if (!enter(cursor, level, err))
            return false;
    return leaf_fits(cursor, err);
}

/* How many of the nodes [from, n) have keys below the given one, or equal to it. */
static unsigned search(const struct tree_cursor *cursor, unsigned level, unsigned from,
                       struct bytes key, bool *exact_out) {
    const uint8_t *page = cursor->path[level].page;
    unsigned low = from, high = cursor->path[level].n;
    *exact_out = false;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        int order = compare(cursor, node_key(page_node(page, middle)), key);
        if (order == 0) {
            *exact_out = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool tree_find(struct tree_cursor *cursor, struct bytes key, bool *exact_out, struct error *err) {
    *exact_out = false;
    if (cursor->ended)
        return true;
    for (unsigned level = 0;; level++) {
        bool exact;
        if (!enter(cursor, level, err))
            return false;
        bool leaf = level == last_of(cursor);
        unsigned at = search(cursor, level, leaf ? 0 : 1, key, &exact);
        if (!leaf) {
            cursor->path[level].at = (uint16_t)(exact ? at : at - 1);
            continue;
        }
        cursor->path[level].at = (uint16_t)at;
        *exact_out = exact;
        return exact || (at > 0 && at < cursor->path[level].n) || leaf_fits(cursor, err);
    }
}

bool tree_find_near(struct tree_cursor *cursor, struct bytes key, bool *exact_out, bool *stayed_out,
                    struct error *err) {
    unsigned leaf = last_of(cursor);
    *stayed_out = !cursor->ended && compare(cursor, key_at(cursor, leaf, 0), key) <= 0 &&
                  compare(cursor, key, key_at(cursor, leaf, cursor->path[leaf].n - 1u)) <= 0;
    if (!*stayed_out)
        return tree_find(cursor, key, exact_out, err);
    cursor->path[leaf].at = (uint16_t)search(cursor, leaf, 0, key, exact_out);
    return true;
}

bool tree_settle(struct tree_cursor *cursor, struct error *err) {
    unsigned leaf = last_of(cursor);
    return cursor->ended || cursor->path[leaf].at < cursor->path[leaf].n ||
           to_neighbour(cursor, true, err);
}

bool tree_next(struct tree_cursor *cursor, struct error *err) {
    if (cursor->ended)
        return true;
    cursor->path[last_of(cursor)].at++;
    return tree_settle(cursor, err);
}

bool tree_previous(struct tree_cursor *cursor, struct error *err) {
    unsigned leaf = last_of(cursor);
    if (cursor->ended)
        return true;
    if (cursor->path[leaf].at == 0)
        return to_neighbour(cursor, false, err);
    cursor->path[leaf].at--;
    return true;
}

bool tree_entry(const struct tree_cursor *cursor, struct bytes *key, struct bytes *value,
                struct error *err) {
    unsigned leaf = last_of(cursor);
    const uint8_t *node = page_node(cursor->path[leaf].page, cursor->path[leaf].at);
    *key = node_key(node);
    value->len = node_value_len(node);
    value->data = node_value(node);
    if (node_is_big(node))
        value->data =
            view_overflow(cursor->view, get_u64(value->data), value->len, cursor->name, err);
    return value->data != NULL;
}

bool tree_guard(const struct tree_cursor *cursor, struct bytes *until, struct error *err) {
    *until = (struct bytes){0};
    if (cursor->ended)
        return true;
    for (unsigned level = 0; level < last_of(cursor); level++) {
        unsigned at = cursor->path[level].at;
        if ((at > 0 && !child_at(cursor, level, at - 1, err)) ||
            (at + 1u < cursor->path[level].n && !child_at(cursor, level, at + 1, err)))
            return false;
    }
    struct tree_cursor beside = *cursor;
    if (!to_neighbour(&beside, false, err))
        return false;
    beside = *cursor;
    if (!to_neighbour(&beside, true, err))
        return false;
    if (!beside.ended)
        *until = key_at(&beside, last_of(&beside), beside.path[last_of(&beside)].n - 1u);
    return true;
}
