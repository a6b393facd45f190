/* linear_parts.h - what the kinds of linear.h share; only linear*.c include this.
 *
 * The packed form, one for all processors. Channels stand in panels of 32; inputs in groups of 4
 * bytes: one f32, two bf16 or four s8, the bytes that one lane of a SIMD product reads.
 *
 *   panel p:   channel   32p      32p+1           32p+31
 *   group 0            | k 0..3 | k 0..3 |  ...  | k 0..3 |   128 bytes = 2 zmm = 4 ymm
 *   group 1            | k 4..7 | k 4..7 |  ...  | k 4..7 |   (s8 drawn: 4 inputs a group)
 *     ...
 *   group groups_padded - 1: zeros beyond in_n and beyond out_n
 *
 * A product walks one panel from start to end, so weights are read as one stream, whole cache lines
 * at a time; a panel of 12 to 48 KiB (s8, 384 to 1536 inputs) stays in the first cache while the
 * rows pass by. Sixteen groups of 16 channels are at the same time one AMX tile, at a stride of
 * 128 bytes: groups are padded to 16 for it. */
#ifndef TERCET_MATH_LINEAR_PARTS_H
#define TERCET_MATH_LINEAR_PARTS_H

#include <stdbool.h>
#include <string.h>

#include "engine/math/linear.h"

enum {
    LINEAR_GROUP_BYTES = 4,
    LINEAR_PANEL = LINEAR_CHANNELS_BLOCK,
    LINEAR_PANEL_GROUP_BYTES = LINEAR_PANEL * LINEAR_GROUP_BYTES,
    LINEAR_TILE_GROUPS = 16, /* groups are padded to this many (bf16, s8) */
    LINEAR_ROWS_MAX = 32,    /* rows of the largest register tile */
    LINEAR_SUMS_ROWS = 256,  /* most rows whose sums wait for the next chunk of inputs */
};

/* How a kind of kernel wants its activations; each row padded with zeros to whole groups. */
enum linear_form {
    LINEAR_FORM_F32, /* as they are: borrowed */
    LINEAR_FORM_BF16,
    LINEAR_FORM_S8,
    LINEAR_FORM_U8,  /* s8 + 128, for vpdpbusd; the sums begin at -128 * (sum of the weights) */
    LINEAR_FORM_S16, /* s8 widened, for vpmaddwd */
};

struct linear {
    const struct linear_kernels *kernels;
    size_t out_n, in_n, panels_n;
    size_t groups_n;       /* with inputs in them */
    size_t panel_bytes;    /* groups_padded * 128 */
    struct pages own;      /* where panels lies, when no pages were given */
    unsigned char *panels; /* [panels_n, groups_padded, LINEAR_PANEL, 4 bytes] */
    float *bias;           /* [panels_n * LINEAR_PANEL], zeros where there is none */
    float *scales;         /* the same, of the channels (LINEAR_S8; else NULL) */
    int32_t *offsets;      /* the same, -128 * sum of the weights (LINEAR_S8; else NULL) */
};

/* One register tile: rows of the input against one panel, or two that follow each other. */
struct linear_tile {
    const unsigned char *x; /* first row, first group */
    size_t x_stride;        /* bytes */
    size_t rows;            /* 1 .. rows_max; with two panels .. rows_max / 2 */
    const unsigned char *panel;
    size_t panel_bytes, panels_n; /* 1 or 2 */
    size_t groups_n;
    const int32_t *offsets; /* [panels_n * LINEAR_PANEL] or NULL: what s8 sums begin with */
    void *sums;             /* [rows, sums_stride] f32 or s32, aligned to 64 */
    size_t sums_stride;     /* panels_n * LINEAR_PANEL */
    bool more;              /* the sums begin with what is there: earlier groups' */
};

/* What becomes of a tile's sums. */
struct linear_finish {
    const void *sums; /* [rows, sums_stride] f32, or s32 where row_scales is not NULL */
    size_t sums_stride, rows, channels_n;
    const float *row_scales;            /* [rows] or NULL */
    const float *channel_scales, *bias; /* [channels_n] */
    enum linear_epilogue epilogue;
    bool to_bf16;
    void *out; /* row i at element i * out_stride */
    size_t out_stride;
};

struct linear_kernels {
    const char *name;
    enum linear_kind kind;
    enum linear_form form;
    size_t groups_chunk; /* groups of a panel that the rows pass by before the next ones: so many
                          * of a panel and of a tile's rows fit the first cache together */
    size_t rows_max;     /* of a tile */
    size_t rows_step;    /* the kernel reads rows in such steps: inputs are padded to it */
    /* x: [n] -> to: a row of the form; the scale (1 where the form has none). */
    float (*input_row)(const float *x, size_t n, enum linear_form form, void *to);
    /* Before the first and after the last tile of a run, on its thread; may be NULL. */
    void (*begin)(void);
    void (*end)(void);
    void (*sums)(const struct linear_tile *tile);
    void (*finish)(const struct linear_finish *finish);
};

/* The kernels of a kind that this processor can run, best first; none: the kind is not there. */
enum { LINEAR_KERNELS_MAX = 5 };
size_t linear_kernels_list(enum linear_kind kind,
                           const struct linear_kernels *list[LINEAR_KERNELS_MAX]);
/* linear_pack for kernels of one's choice: tests and benchmarks. */
struct linear *linear_pack_for(const struct linear_kernels *kernels, const float *weight,
                               const float *bias, size_t out_n, size_t in_n, struct pages *pages);

extern const struct linear_kernels linear_plain_f32, linear_plain_s8;
#if defined(__x86_64__)
extern const struct linear_kernels linear_avx512_f32, linear_avx512_s8;
extern const struct linear_kernels linear_avx2_f32, linear_avx2_s8, linear_avxvnni_s8;
extern const struct linear_kernels linear_avx512bf16_bf16, linear_amx_bf16, linear_amx_s8;
#endif

/* A row whose largest value is below this is taken for zeros: 127 / max must stay finite. */
#define LINEAR_SMALLEST 0x1p-100f

/* The bf16 nearest to v, ties to even. */
static inline uint16_t linear_bf16_of(float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#endif
