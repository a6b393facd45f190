/* The kernels of linear.h for AMX: 16 x 16 tiles of sums, each instruction adds 16 groups.
 *
 *   tiles 0..3   sums: 2 x 2 tiles = 32 rows x 1 panel, or 1 x 4 = 16 rows x 2 panels
 *   tiles 4, 5   16 rows of the input by 16 groups, as they stand in memory
 *   tiles 6, 7   16 groups by 16 channels: half a panel's width, at its stride
 *
 * A tile holds 64 bytes a row, a product takes 16 cycles, a tile from the first cache 8 and from
 * the second 22 (measured, Sapphire Rapids): 2 x 2 loads as many tiles as it multiplies, so one of
 * the two sides must come from the first cache. */
#include "engine/math/linear_avx512.h"

enum {
    TILE_ROWS = 16,
    TILE_BYTES = 64,   /* a row's */
    GROUPS_CHUNK = 128 /* 16 KiB of a panel and 16 KiB of 32 rows */
};

/* The operand of ldtilecfg (Intel's manual). */
struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

static void begin(void) {
    struct tile_config config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = TILE_BYTES;
        config.rows[i] = TILE_ROWS;
    }
    __asm__ volatile("" : : "r"(&config) : "memory"); /* gcc 12 takes it to read 8 bytes */
    _tile_loadconfig(&config);
}

static void end(void) {
    _tile_release();
}

/* Sums number `sums` += rows tile . channels tile; numbers and kind are constants. */
#define DOT(kind, sums, rows, channels)                                                            \
    do {                                                                                           \
        if ((kind) == LINEAR_S8)                                                                   \
            _tile_dpbssd(sums, rows, channels);                                                    \
        else                                                                                       \
            _tile_dpbf16ps(sums, rows, channels);                                                  \
    } while (0)

LINEAR_INLINE void begin_sums(const struct linear_tile *tile, const int32_t *const at[4],
                              size_t stride) {
    if (tile->more) {
        _tile_loadd(0, at[0], stride);
        _tile_loadd(1, at[1], stride);
        _tile_loadd(2, at[2], stride);
        _tile_loadd(3, at[3], stride);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
}

/* 16 rows, two panels. */
LINEAR_INLINE void sums_low(const struct linear_tile *tile, enum linear_kind kind) {
    size_t stride = tile->x_stride, sums_stride = tile->sums_stride * sizeof(int32_t);
    const unsigned char *x = tile->x, *w = tile->panel, *next = w + tile->panel_bytes;
    int32_t *sums = tile->sums;
    int32_t *const at[4] = {sums, sums + TILE_ROWS, sums + 2 * TILE_ROWS, sums + 3 * TILE_ROWS};
    begin_sums(tile, (const int32_t *const *)at, sums_stride);
    for (size_t g = 0; g < tile->groups_n; g += LINEAR_TILE_GROUPS) {
        _tile_loadd(4, x, stride);
        _tile_loadd(6, w, LINEAR_PANEL_GROUP_BYTES);
        DOT(kind, 0, 4, 6);
        _tile_loadd(7, w + TILE_BYTES, LINEAR_PANEL_GROUP_BYTES);
        DOT(kind, 1, 4, 7);
        _tile_loadd(6, next, LINEAR_PANEL_GROUP_BYTES);
        DOT(kind, 2, 4, 6);
        _tile_loadd(7, next + TILE_BYTES, LINEAR_PANEL_GROUP_BYTES);
        DOT(kind, 3, 4, 7);
        x += TILE_BYTES;
        w += LINEAR_TILE_GROUPS * LINEAR_PANEL_GROUP_BYTES;
        next += LINEAR_TILE_GROUPS * LINEAR_PANEL_GROUP_BYTES;
    }
    _tile_stored(0, at[0], sums_stride);
    _tile_stored(1, at[1], sums_stride);
    _tile_stored(2, at[2], sums_stride);
    _tile_stored(3, at[3], sums_stride);
}

/* 32 rows, one panel. */
LINEAR_INLINE void sums_square(const struct linear_tile *tile, enum linear_kind kind) {
    size_t stride = tile->x_stride, sums_stride = tile->sums_stride * sizeof(int32_t);
    const unsigned char *x = tile->x, *below = x + TILE_ROWS * stride, *w = tile->panel;
    int32_t *sums = tile->sums, *lower = sums + TILE_ROWS * tile->sums_stride;
    int32_t *const at[4] = {sums, sums + TILE_ROWS, lower, lower + TILE_ROWS};
    begin_sums(tile, (const int32_t *const *)at, sums_stride);
    for (size_t g = 0; g < tile->groups_n; g += LINEAR_TILE_GROUPS) {
        _tile_loadd(4, x, stride);
        _tile_loadd(6, w, LINEAR_PANEL_GROUP_BYTES);
        DOT(kind, 0, 4, 6);
        _tile_loadd(7, w + TILE_BYTES, LINEAR_PANEL_GROUP_BYTES);
        DOT(kind, 1, 4, 7);
        _tile_loadd(5, below, stride);
        DOT(kind, 2, 5, 6);
        DOT(kind, 3, 5, 7);
        x += TILE_BYTES;
        below += TILE_BYTES;
        w += LINEAR_TILE_GROUPS * LINEAR_PANEL_GROUP_BYTES;
    }
    _tile_stored(0, at[0], sums_stride);
    _tile_stored(1, at[1], sums_stride);
    _tile_stored(2, at[2], sums_stride);
    _tile_stored(3, at[3], sums_stride);
}

/* 16 rows, one panel. */
LINEAR_INLINE void sums_last(const struct linear_tile *tile, enum linear_kind kind) {
    size_t sums_stride = tile->sums_stride * sizeof(int32_t);
    const unsigned char *x = tile->x, *w = tile->panel;
    int32_t *sums = tile->sums;
    int32_t *const at[4] = {sums, sums + TILE_ROWS, sums, sums}; /* 2 and 3 are not used */
    begin_sums(tile, (const int32_t *const *)at, sums_stride);
    for (size_t g = 0; g < tile->groups_n; g += LINEAR_TILE_GROUPS) {
        _tile_loadd(4, x, tile->x_stride);
        _tile_loadd(6, w, LINEAR_PANEL_GROUP_BYTES);
        DOT(kind, 0, 4, 6);
        _tile_loadd(7, w + TILE_BYTES, LINEAR_PANEL_GROUP_BYTES);
        DOT(kind, 1, 4, 7);
        x += TILE_BYTES;
        w += LINEAR_TILE_GROUPS * LINEAR_PANEL_GROUP_BYTES;
    }
    _tile_stored(0, at[0], sums_stride);
    _tile_stored(1, at[1], sums_stride);
}

LINEAR_INLINE void sums_of(const struct linear_tile *tile, enum linear_kind kind) {
    /* gcc 12 does not know that a tile load reads memory: what was written must be there. */
    __asm__ volatile("" ::: "memory");
    if (tile->rows > TILE_ROWS)
        sums_square(tile, kind);
    else if (tile->panels_n == 2)
        sums_low(tile, kind);
    else
        sums_last(tile, kind);
}

static void sums_s8(const struct linear_tile *tile) {
    sums_of(tile, LINEAR_S8);
}

static void sums_bf16(const struct linear_tile *tile) {
    sums_of(tile, LINEAR_BF16);
}

const struct linear_kernels linear_amx_s8 = {
    .name = "amx",
    .kind = LINEAR_S8,
    .form = LINEAR_FORM_S8,
    .groups_chunk = GROUPS_CHUNK,
    .rows_max = 2 * TILE_ROWS,
    .rows_step = TILE_ROWS,
    .input_row = linear_avx512_input_row,
    .begin = begin,
    .end = end,
    .sums = sums_s8,
    .finish = linear_avx512_finish,
};

const struct linear_kernels linear_amx_bf16 = {
    .name = "amx",
    .kind = LINEAR_BF16,
    .form = LINEAR_FORM_BF16,
    .groups_chunk = GROUPS_CHUNK,
    .rows_max = 2 * TILE_ROWS,
    .rows_step = TILE_ROWS,
    .input_row = linear_avx512_input_row,
    .begin = begin,
    .end = end,
    .sums = sums_bf16,
    .finish = linear_avx512_finish,
};
