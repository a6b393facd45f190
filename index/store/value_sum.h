/* value_sum.h - the checksum that store.c puts behind a value.
 *
 * The upper 32 bits of XXH3-64 of the value, xor XXH3-64 of the key seeded with 1 + table: a value
 * that was moved to another key or table is noticed, too. (XXH3 with a seed is slower from 241
 * bytes on, so only the key, which is short, has one.)
 * The same source is built for each kind of processor; the sums are the same. libxxhash's own
 * choice at run time leaves the wide registers dirty, which made the product kernels behind it
 * three times slower. */
#ifndef TERCET_INDEX_STORE_VALUE_SUM_H
#define TERCET_INDEX_STORE_VALUE_SUM_H

#include <stddef.h>
#include <stdint.h>

typedef uint32_t value_sum_kind(unsigned table, const void *key, size_t key_len, const void *value,
                                size_t len);

value_sum_kind value_sum_plain;
value_sum_kind value_sum_avx2; /* x86-64 only, with AVX2 */

/* The fastest for this processor. */
value_sum_kind *value_sum_choose(void);

#endif
