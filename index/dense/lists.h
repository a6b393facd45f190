/* dense/lists.h - inside dense search: rows in lists around centres, and how they are searched.
 *
 * All vectors here are rotated (dense/rotate.h). A row x is kept three times: as the list whose
 * centre c is nearest; as the signs of r = x - c with three numbers, from which a product with a
 * query can be guessed without bias and with a known doubt (RaBitQ; Gao & Long, SIGMOD 2024); and
 * as bytes with a scale, which give the product to about 1/4,000 of the lengths. With q the query,
 * s the signs (+-1), f = |r|^2 / sum |r_i|:
 *     <q,x> = <q,c> + <q-c,r> + <c,r>  and  <q-c,r> = about f * (sum s_i q_i - sum s_i c_i)
 * so what does not depend on q is one number a row, and a list costs one product with its centre.
 * Departures from the paper: the query's numbers are bytes, not 4 bits with random rounding, so
 * that nothing is random; rows that may be better than the worst kept are scored by their bytes at
 * once, list by list from the nearest on.
 *
 * Threads: a struct dense_lists is read-only. */
#ifndef TERCET_INDEX_DENSE_LISTS_H
#define TERCET_INDEX_DENSE_LISTS_H

#include <stddef.h>
#include <stdint.h>

struct vec_s8_query;

struct dense_centre {
    float scale;  /* of its bytes; the centre is what the bytes say, exactly */
    float square; /* its length squared */
};

struct dense_guess {
    float constant, slope; /* <q,x> = about <q,c> + constant + slope * sum s_i q_i */
    float doubt;           /* times |q-c|: the guess's standard deviation */
};

struct dense_bytes {
    float scale;
    float error; /* the length of x less what its bytes say */
};

/* The numbers of neighbours that breadths were measured for. */
enum { DENSE_BREADTHS_N = 2, DENSE_BREADTH_K_FIRST = 10, DENSE_BREADTH_K_LAST = 100 };

struct dense_lists {
    uint32_t dim; /* rotated */
    uint32_t rows_n, lists_n, covered_end;
    uint32_t documents_n;                     /* that have rows: one each, or several */
    float breadths[DENSE_BREADTHS_N];         /* part of the rows to be looked at for so many */
    float row_length;                         /* typical: the root of the mean square */
    const uint8_t *centres;                   /* [lists_n, dim] */
    const struct dense_centre *centre_scales; /* [lists_n] */
    const uint32_t *begins;                   /* [lists_n + 1] rows [begins[l], begins[l + 1]) */
    const uint32_t *docids;                   /* [rows_n], ascending within a list */
    const uint32_t *firsts; /* [covered_end + 1] docid d has places[firsts[d] .. firsts[d + 1]) */
    const uint32_t *places; /* [rows_n] rows by docid, a document's in the order of its passages */
    const struct dense_guess *guesses; /* [rows_n] */
    const struct dense_bytes *scales;  /* [rows_n] */
    const uint8_t *signs;              /* [rows_n, dim / 8] */
    const uint8_t *bytes;              /* [rows_n, dim] */
};

/* Rows a document, on average. */
double dense_rows_a_document(const struct dense_lists *lists);

/* Fills a row's guess, its signs and its bytes. row, centre: [dim] f32, rotated, of what the
 * centre's bytes say; signs_out: [dim / 8], bytes_out: [dim]. */
void dense_encode(const float *row, const float *centre, size_t dim, struct dense_guess *guess_out,
                  struct dense_bytes *scale_out, uint8_t *signs_out, uint8_t *bytes_out);

/* A list's centre as f32. out: [dim]. */
void dense_centre_get(const struct dense_lists *lists, size_t list, float *out);

/* products_out: [lists_n] of the query with the centres; which: 0, 1, .. lists_n - 1. */
void dense_centre_products(const struct dense_lists *lists, const struct vec_s8_query *query,
                           const uint32_t *which, float *products_out);

#endif
