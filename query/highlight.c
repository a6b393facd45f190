#include "query/highlight.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/vec.h"
#include "engine/words.h"
#include "index/representation.h"
#include "query/graphemes.h"

/* A common word adds little to a score and is everywhere. */
static const float SPARSE_SHARE_MIN = .1f;

/* How a product stands out of the hit's others, measured on SciFact with bge-small's token states:
 * the same or a kindred word (treatment - treated, CKD - kidney) lies 2.5 to 6 deviations above the
 * mean, .35 to .8 of the way to 1; what merely is the best (in - we, general - nine) at 1.5 to 2.2,
 * or below .35. */
static const float MULTI_DEVIATIONS_MIN = 2.5f, MULTI_RISE_MIN = .35f;

enum {
    /* The hit's other tokens, evenly spread: the mean is known to a tenth of a deviation or two. */
    BACKGROUND_TOKENS = 32,
};

/* ---- pieces -> words -> ranges ---- */

static int compare_pieces(const void *a, const void *b) {
    const struct highlight_piece *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* What covers a word: bytes, and the best score. */
struct cover {
    size_t bytes, end; /* up to where they are counted */
    struct highlight_piece best;
};

static void cover_add(struct cover *cover, const struct highlight_piece *piece, size_t begin,
                      size_t end) {
    size_t from = piece->begin > begin ? piece->begin : begin;
    size_t to = piece->end < end ? piece->end : end;
    from = from > cover->end ? from : cover->end;
    if (to > from) {
        cover->bytes += to - from;
        cover->end = to;
    }
    if (piece->score > cover->best.score)
        cover->best = *piece;
}

/* Joins it with the last one where they touch. */
static void add_range(struct highlight_piece *ranges, size_t *n, struct highlight_piece range) {
    struct highlight_piece *last = *n ? &ranges[*n - 1] : NULL;
    if (!last || last->end < range.begin) {
        ranges[(*n)++] = range;
        return;
    }
    last->end = range.end > last->end ? range.end : last->end;
    if (range.score > last->score) {
        last->score = range.score;
        last->source = range.source;
    }
}

size_t highlight_ranges(const char *text, size_t len, struct highlight_piece *pieces, size_t n,
                        struct arena *arena, struct highlight_piece **out) {
    struct words words;
    size_t begin, end, first = 0, ranges_n = 0, cap = 0;
    for (size_t i = 0; i < n; i++) /* a range has a byte of some piece in it */
        cap += pieces[i].end - pieces[i].begin;
    struct highlight_piece *ranges = ARENA_NEW(arena, struct highlight_piece, cap);
    if (n)
        qsort(pieces, n, sizeof *pieces, compare_pieces);
    words_init(&words, text, len);
    while (first < n && words_next_run(&words, &begin, &end)) {
        struct cover cover = {.end = begin};
        for (size_t i = first; i < n && pieces[i].begin < end; i++)
            if (pieces[i].end > begin)
                cover_add(&cover, &pieces[i], begin, end);
        while (first < n && pieces[first].end <= end)
            first++;
        if (2 * cover.bytes < end - begin)
            continue;
        cover.best.begin = (uint32_t)graphemes_border_before(text, len, begin);
        cover.best.end = (uint32_t)graphemes_border_behind(text, len, end);
        add_range(ranges, &ranges_n, cover.best);
    }
    *out = ranges;
    return ranges_n;
}

/* ---- what is the same for all hits ---- */

static bool covers(const struct lexical_occurrence *occurrences, size_t n,
                   struct token_range range) {
    for (size_t i = 0; i < n; i++)
        if (range.begin < occurrences[i].end && range.end > occurrences[i].begin)
            return true;
    return false;
}

static bool has_word(const char *text, size_t len) {
    struct words words;
    size_t begin, end;
    words_init(&words, text, len);
    return words_next_run(&words, &begin, &end);
}

/* Tokens of words that the index counts; where it counts everything, of words at all. */
static bool find_meaningful(struct search_run *run, struct analyzer *analyzer, const bool **out,
                            struct error *err) {
    const struct query *query = &run->query;
    struct lexical lexical;
    struct lexical_occurrence *occurrences = NULL;
    size_t occurrences_n = 0;
    bool *meaningful = ARENA_ZERO(run->arena, bool, query->multi_n);
    bool by_words = analyzer && query->terms_are_words;
    *out = meaningful;
    if (by_words && query->multi_ranges &&
        !analyzer_occurrences(analyzer, query->text, query->text_len, run->arena, &lexical,
                              &occurrences, &occurrences_n, err))
        return false;
    for (uint32_t i = 0; i < query->multi_n; i++) {
        struct token_range range =
            query->multi_ranges ? query->multi_ranges[i] : (struct token_range){0};
        meaningful[i] = !query->multi_ranges ? true
                        : by_words           ? covers(occurrences, occurrences_n, range)
                                   : has_word(query->text + range.begin, range.end - range.begin);
    }
    return true;
}

bool highlighter_init(struct search_run *run, struct highlighter *out, struct error *err) {
    struct query *query = &run->query;
    struct highlighter highlighter = {0};
    const struct index_settings *settings = index_settings_of(run->searcher->index);
    if (settings->lexical != INDEX_LEXICAL_NONE &&
        !searcher_analyzer(run->searcher, &highlighter.analyzer, err))
        return false;
    if (highlighter.analyzer && query->text && query->sparse.n == 0 && !run->is_like &&
        !query_add_terms(query, highlighter.analyzer, run->snapshot, run->arena, err))
        return false;
    if (!find_meaningful(run, highlighter.analyzer, &highlighter.meaningful, err))
        return false;
    *out = highlighter;
    return true;
}

/* ---- the pieces of a hit ---- */

struct pieces {
    struct highlight_piece *all; /* [cap] in the arena */
    size_t n, cap;
};

static void pieces_add(struct pieces *pieces, struct highlight_piece piece, struct arena *arena) {
    if (pieces->n == pieces->cap) {
        size_t cap = pieces->cap ? 2 * pieces->cap : 64;
        struct highlight_piece *more = ARENA_NEW(arena, struct highlight_piece, cap);
        if (pieces->n)
            memcpy(more, pieces->all, pieces->n * sizeof *more);
        pieces->all = more;
        pieces->cap = cap;
    }
    pieces->all[pieces->n++] = piece;
}

/* The query's term that a document's term is; query->sparse.n: none. */
static size_t query_term(const struct query *query, const struct lexical_term *term) {
    for (size_t i = 0; i < query->sparse.n; i++) {
        const struct lexical_term *own = query->terms[i];
        if (term->word ? own->word && own->word_len == term->word_len &&
                             memcmp(own->word, term->word, term->word_len) == 0
                       : query->sparse.ids[i] == term->id)
            return i;
    }
    return query->sparse.n;
}

static bool add_terms(struct search_run *run, const struct highlighter *highlighter,
                      const struct evidence *evidence, const char *text, size_t len,
                      struct pieces *pieces, struct error *err) {
    const struct query *query = &run->query;
    struct lexical lexical;
    struct lexical_occurrence *occurrences;
    size_t n;
    float largest = 0;
    for (size_t i = 0; i < query->sparse.n; i++)
        largest = evidence->shares[i] > largest ? evidence->shares[i] : largest;
    if (!(largest > 0))
        return true;
    if (!analyzer_occurrences(highlighter->analyzer, text, len, run->arena, &lexical, &occurrences,
                              &n, err))
        return false;
    float *scores = ARENA_ZERO(run->arena, float, lexical.n);
    for (size_t i = 0; i < lexical.n; i++) {
        size_t at = query_term(query, &lexical.terms[i]);
        scores[i] = at < query->sparse.n ? evidence->shares[at] / largest : 0;
    }
    for (size_t i = 0; i < n; i++)
        if (scores[occurrences[i].term] >= SPARSE_SHARE_MIN &&
            occurrences[i].end > occurrences[i].begin)
            pieces_add(pieces,
                       (struct highlight_piece){occurrences[i].begin, occurrences[i].end,
                                                scores[occurrences[i].term], SEARCH_BY_SPARSE},
                       run->arena);
    return true;
}

/* How far a product rises from the mean of the vector's products with the background, as a part of
 * what is left to 1; 0: it does not stand out. Of n numbers none is more than (n - 1) / sqrt(n)
 * deviations from their mean, so short documents ask for less. */
static float rise_of(const float *vector, float product, const struct representation *background,
                     uint32_t dim) {
    double sum = 0, squares = 0, n = background->multi_n;
    for (uint32_t i = 0; i < background->multi_n; i++) {
        double one = (double)vec_dot_f32(vector, background->multi + (size_t)i * dim, dim);
        sum += one;
        squares += one * one;
    }
    if (n < 2)
        return 0;
    double mean = sum / n, deviation = sqrt(fmax(squares / n - mean * mean, 0));
    double deviations_min = fmin((double)MULTI_DEVIATIONS_MIN, .8 * (n - 1) / sqrt(n));
    double rise = mean < 1 ? ((double)product - mean) / (1 - mean) : 0;
    return (double)product - mean >= deviations_min * deviation && rise >= (double)MULTI_RISE_MIN
               ? (float)fmin(rise, 1)
               : 0;
}

/* tokens: [2] the pieces of title and text. */
static bool add_tokens(struct search_run *run, const struct highlighter *highlighter,
                       const struct evidence *evidence, const struct search_hit *hit,
                       struct pieces tokens[SEARCH_FIELDS_N], struct error *err) {
    const struct query *query = &run->query;
    uint32_t dim = index_settings_of(run->searcher->index)->multi_dim;
    struct representation background;
    if (!representation_of(run->snapshot, hit->scores.docid, BACKGROUND_TOKENS, run->arena,
                           &background, err))
        return false;
    for (uint32_t i = 0; i < query->multi_n; i++) {
        struct search_place place;
        if (!highlighter->meaningful[i] || !evidence_place(evidence, evidence->best[i], &place))
            continue;
        float rise =
            rise_of(query->multi + (size_t)i * dim, evidence->products[i], &background, dim);
        if (rise > 0 && place.end <= HIGHLIGHT_BYTES_MAX)
            pieces_add(&tokens[place.field],
                       (struct highlight_piece){place.begin, place.end, rise, SEARCH_BY_MULTI},
                       run->arena);
    }
    return true;
}

/* ---- a hit's highlights ---- */

static int compare_scores(const void *a, const void *b) {
    const struct search_highlight *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    if (x->place.field != y->place.field)
        return x->place.field < y->place.field ? -1 : 1;
    return (x->place.begin > y->place.begin) - (x->place.begin < y->place.begin);
}

static int compare_places(const void *a, const void *b) {
    const struct search_place *x = &((const struct search_highlight *)a)->place;
    const struct search_place *y = &((const struct search_highlight *)b)->place;
    if (x->field != y->field)
        return x->field < y->field ? -1 : 1;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

bool highlight_hit(struct search_run *run, const struct highlighter *highlighter,
                   const struct evidence *evidence, struct search_hit *hit, struct error *err) {
    const struct search_highlighting *wanted = &run->request->highlight;
    const struct document *document = &hit->document;
    const char *texts[] = {[SEARCH_TITLE] = document->title, [SEARCH_TEXT] = document->text};
    size_t lens[] = {[SEARCH_TITLE] = document->title_len, [SEARCH_TEXT] = document->text_len};
    struct pieces pieces[SEARCH_FIELDS_N] = {{0}};
    struct highlight_piece *ranges[SEARCH_FIELDS_N] = {0};
    size_t ranges_n[SEARCH_FIELDS_N] = {0}, all = 0, kept = 0;
    if (evidence->tokens.n && !add_tokens(run, highlighter, evidence, hit, pieces, err))
        return false;
    for (int field = 0; field < SEARCH_FIELDS_N; field++) {
        if (!(wanted->fields & 1u << field))
            continue;
        size_t len = lens[field] < HIGHLIGHT_BYTES_MAX ? lens[field] : HIGHLIGHT_BYTES_MAX;
        len = graphemes_border_before(texts[field], lens[field], len);
        if (highlighter->analyzer && evidence->shares &&
            !add_terms(run, highlighter, evidence, texts[field], len, &pieces[field], err))
            return false;
        ranges_n[field] = highlight_ranges(texts[field], len, pieces[field].all, pieces[field].n,
                                           run->arena, &ranges[field]);
        all += ranges_n[field];
    }
    struct search_highlight *highlights = ARENA_NEW(run->arena, struct search_highlight, all);
    for (int field = 0; field < SEARCH_FIELDS_N; field++)
        for (size_t i = 0; i < ranges_n[field]; i++) {
            const struct highlight_piece *range = &ranges[field][i];
            highlights[kept++] = (struct search_highlight){
                {(enum search_field)field, range->begin, range->end}, range->score, range->source};
        }
    size_t most = wanted->max ? wanted->max : SEARCH_HIGHLIGHTS_DEFAULT;
    if (all > most) {
        qsort(highlights, all, sizeof *highlights, compare_scores);
        all = most;
        qsort(highlights, all, sizeof *highlights, compare_places);
    }
    hit->highlights = highlights;
    hit->highlights_n = all;
    return true;
}
