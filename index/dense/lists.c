#include "index/dense/lists.h"

#include <math.h>
#include <string.h>

#include "engine/base/vec_s8.h"

double dense_rows_a_document(const struct dense_lists *lists) {
    return lists->documents_n > 0 ? (double)lists->rows_n / lists->documents_n : 1;
}

void dense_centre_get(const struct dense_lists *lists, size_t list, float *out) {
    const uint8_t *bytes = lists->centres + list * lists->dim;
    for (size_t i = 0; i < lists->dim; i++)
        out[i] = lists->centre_scales[list].scale * (float)(bytes[i] - VEC_S8_BIAS);
}

void dense_centre_products(const struct dense_lists *lists, const struct vec_s8_query *query,
                           const uint32_t *which, float *products_out) {
    vec_s8_dots(query, lists->centres, which, lists->lists_n, products_out);
    for (size_t i = 0; i < lists->lists_n; i++)
        products_out[i] *= query->scale * lists->centre_scales[i].scale;
}

/* With o = r / |r| and the signs as a unit vector s / sqrt(dim), their product is
 * a = sum |r_i| / (|r| sqrt(dim)); the paper's estimator divides by it, and its error has the
 * deviation sqrt((1 - a^2) / a^2 / (dim - 1)) for a query of length 1. */
void dense_encode(const float *row, const float *centre, size_t dim, struct dense_guess *guess_out,
                  struct dense_bytes *scale_out, uint8_t *signs_out, uint8_t *bytes_out) {
    double square = 0, sum = 0, along = 0, signed_centre = 0;
    memset(signs_out, 0, dim / 8);
    for (size_t i = 0; i < dim; i++) {
        float r = row[i] - centre[i];
        square += (double)r * (double)r;
        sum += fabs((double)r);
        along += (double)r * (double)centre[i];
        signed_centre += r > 0 ? (double)centre[i] : -(double)centre[i];
        signs_out[i / 8] |= (uint8_t)((r > 0) << (i % 8));
    }
    double slope = sum > 0 ? square / sum : 0;
    double aligned = square > 0 ? sum * sum / square / (double)dim : 1; /* a^2 */
    double doubt = square * (1 - aligned) / aligned / (double)(dim - 1);
    guess_out->slope = (float)slope;
    guess_out->constant = (float)(along - slope * signed_centre);
    guess_out->doubt = (float)sqrt(doubt > 0 ? doubt : 0);
    vec_s8_encode(row, dim, bytes_out, &scale_out->scale, &scale_out->error);
}
