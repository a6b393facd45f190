#include "engine/math/linear.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/cpu.h"
#include "engine/base/mem.h"
#include "engine/math/linear_parts.h"

enum {
    ALIGNMENT = 64,
    /* Rows that pass by all panels before the next ones come: they must stay in the second cache
     * (1 to 2 MiB) beside the panels. */
    CHUNK_BYTES = 1024 * 1024,
};

static size_t round_up(size_t n, size_t step) {
    return (n + step - 1) / step * step;
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

size_t linear_kernels_list(enum linear_kind kind,
                           const struct linear_kernels *list[LINEAR_KERNELS_MAX]) {
    const struct {
        bool here;
        const struct linear_kernels *kernels;
    } all[] = {
#if defined(__x86_64__)
        {cpu_has(CPU_AMX), &linear_amx_s8},
        {cpu_has(CPU_AMX), &linear_amx_bf16},
        {cpu_has(CPU_AVX512_BF16), &linear_avx512bf16_bf16},
        {cpu_level() >= CPU_AVX512, &linear_avx512_s8},
        {cpu_level() >= CPU_AVX512, &linear_avx512_f32},
        {cpu_has(CPU_AVX_VNNI), &linear_avxvnni_s8},
        {cpu_level() >= CPU_AVX2, &linear_avx2_s8},
        {cpu_level() >= CPU_AVX2, &linear_avx2_f32},
#endif
        {true, &linear_plain_s8},
        {true, &linear_plain_f32},
    };
    size_t n = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].here && all[i].kernels->kind == kind)
            list[n++] = all[i].kernels;
    return n;
}

/* Inputs in a group of 4 bytes. */
static size_t group_inputs(enum linear_kind kind) {
    return kind == LINEAR_F32 ? 1 : kind == LINEAR_BF16 ? 2 : 4;
}

/* Where the inputs of channel c stand: `inputs` of them, then the next group. */
static unsigned char *group_at(struct linear *linear, size_t channel, size_t group) {
    return linear->panels + channel / LINEAR_PANEL * linear->panel_bytes +
           group * LINEAR_PANEL_GROUP_BYTES + channel % LINEAR_PANEL * LINEAR_GROUP_BYTES;
}

static void pack_f32(struct linear *linear, const float *weight, size_t channel) {
    for (size_t i = 0; i < linear->in_n; i++)
        memcpy(group_at(linear, channel, i), &weight[i], sizeof *weight);
}

static void pack_bf16(struct linear *linear, const float *weight, size_t channel) {
    for (size_t i = 0; i < linear->in_n; i++) {
        uint16_t half = linear_bf16_of(weight[i]);
        memcpy(group_at(linear, channel, i / 2) + i % 2 * sizeof half, &half, sizeof half);
    }
}

static void pack_s8(struct linear *linear, const float *weight, size_t channel) {
    float most = 0;
    int32_t sum = 0;
    for (size_t i = 0; i < linear->in_n; i++)
        most = fmaxf(most, fabsf(weight[i]));
    if (most < LINEAR_SMALLEST)
        return; /* all zeros */
    linear->scales[channel] = most / 127.0f;
    for (size_t i = 0; i < linear->in_n; i++) {
        int8_t q = (int8_t)lrintf(weight[i] * (127.0f / most));
        memcpy(group_at(linear, channel, i / 4) + i % 4, &q, 1);
        sum += q;
    }
    linear->offsets[channel] = -128 * sum;
}

struct linear *linear_pack_for(const struct linear_kernels *kernels, const float *weight,
                               const float *bias, size_t out_n, size_t in_n, struct pages *pages) {
    enum linear_kind kind = kernels->kind;
    assert(out_n >= 1 && in_n >= 1 && in_n <= LINEAR_IN_MAX);
    struct linear *linear = mem_zalloc(1, sizeof *linear);
    linear->kernels = kernels;
    linear->out_n = out_n;
    linear->in_n = in_n;
    linear->panels_n = (out_n + LINEAR_PANEL - 1) / LINEAR_PANEL;
    linear->groups_n = (in_n + group_inputs(kind) - 1) / group_inputs(kind);
    linear->panel_bytes =
        LINEAR_PANEL_GROUP_BYTES *
        (kind == LINEAR_F32 ? linear->groups_n : round_up(linear->groups_n, LINEAR_TILE_GROUPS));
    struct pages *from = pages ? pages : &linear->own;
    linear->panels = pages_take(from, linear->panels_n * linear->panel_bytes);
    size_t channels_n = linear->panels_n * LINEAR_PANEL;
    linear->bias = mem_zalloc(channels_n, sizeof *linear->bias);
    if (bias)
        memcpy(linear->bias, bias, out_n * sizeof *bias);
    if (kind == LINEAR_S8) {
        linear->scales = mem_zalloc(channels_n, sizeof *linear->scales);
        linear->offsets = mem_zalloc(channels_n, sizeof *linear->offsets);
    }
    for (size_t c = 0; c < out_n; c++)
        (kind == LINEAR_F32    ? pack_f32
         : kind == LINEAR_BF16 ? pack_bf16
                               : pack_s8)(linear, weight + c * in_n, c);
    return linear;
}

struct linear *linear_pack(enum linear_kind kind, const float *weight, const float *bias,
                           size_t out_n, size_t in_n, struct pages *pages) {
    const struct linear_kernels *list[LINEAR_KERNELS_MAX];
    if (!linear_kernels_list(kind, list))
        linear_kernels_list(LINEAR_F32, list);
    return linear_pack_for(list[0], weight, bias, out_n, in_n, pages);
}

void linear_free(struct linear *linear) {
    if (!linear)
        return;
    pages_done(&linear->own);
    free(linear->bias);
    free(linear->scales);
    free(linear->offsets);
    free(linear);
}

size_t linear_bytes(const struct linear *linear) {
    size_t channels_n = linear->panels_n * LINEAR_PANEL;
    return sizeof *linear + linear->panels_n * linear->panel_bytes +
           channels_n * sizeof *linear->bias +
           (linear->scales ? channels_n * (sizeof *linear->scales + sizeof *linear->offsets) : 0);
}

enum linear_kind linear_kind(const struct linear *linear) {
    return linear->kernels->kind;
}

const char *linear_kernels_name(const struct linear *linear) {
    return linear->kernels->name;
}

/* Bytes of a row's group in the form of the activations. */
static size_t input_group_bytes(const struct linear *linear) {
    return LINEAR_GROUP_BYTES * (linear->kernels->form == LINEAR_FORM_S16 ? 2 : 1);
}

/* Rows at a multiple of so many bytes meet in the same few sets of the first cache. */
enum { UNLUCKY = 1024 };

/* Bytes from one row of activations to the next in the scratch: a line more where it is unlucky. */
static size_t input_stride(const struct linear *linear) {
    size_t bytes = round_up(linear->groups_n * input_group_bytes(linear), ALIGNMENT);
    return bytes % UNLUCKY ? bytes : bytes + ALIGNMENT;
}

/* Whether activations are best read where they are. */
static bool input_is_borrowed(const struct linear *linear) {
    return linear->kernels->form == LINEAR_FORM_F32 && linear->in_n * sizeof(float) % UNLUCKY;
}

static size_t scales_bytes(const struct linear *linear, size_t rows) {
    return linear->kernels->kind == LINEAR_S8 ? round_up(rows * sizeof(float), ALIGNMENT) : 0;
}

size_t linear_input_bytes(const struct linear *linear, size_t rows) {
    if (input_is_borrowed(linear))
        return 0;
    return scales_bytes(linear, rows) +
           round_up(rows, linear->kernels->rows_step) * input_stride(linear);
}

struct linear_input linear_input_from_f32(const struct linear *linear, const float *x,
                                          size_t x_stride, size_t rows, void *scratch) {
    const struct linear_kernels *kernels = linear->kernels;
    if (input_is_borrowed(linear) || (kernels->form == LINEAR_FORM_F32 && !scratch))
        return (struct linear_input){x, x_stride * sizeof *x, NULL, rows};
    assert(scratch && (uintptr_t)scratch % ALIGNMENT == 0);
    float *scales = kernels->kind == LINEAR_S8 ? scratch : NULL;
    unsigned char *values = (unsigned char *)scratch + scales_bytes(linear, rows);
    size_t stride = input_stride(linear), n = linear->in_n;
    size_t used = n * (input_group_bytes(linear) / group_inputs(kernels->kind));
    for (size_t i = 0; i < rows; i++) {
        unsigned char *to = values + i * stride;
        float scale = 1;
        if (kernels->form == LINEAR_FORM_F32)
            memcpy(to, x + i * x_stride, n * sizeof *x);
        else
            scale = kernels->input_row(x + i * x_stride, n, kernels->form, to);
        if (scales)
            scales[i] = scale;
        memset(values + i * stride + used, 0, stride - used);
    }
    memset(values + rows * stride, 0, (round_up(rows, kernels->rows_step) - rows) * stride);
    return (struct linear_input){values, stride, scales, rows};
}

static bool coded_form(enum linear_form form, enum nn_form *out) {
    switch (form) {
    case LINEAR_FORM_S8: *out = NN_S8; return true;
    case LINEAR_FORM_U8: *out = NN_U8; return true;
    case LINEAR_FORM_BF16: *out = NN_BF16; return true;
    case LINEAR_FORM_F32:
    case LINEAR_FORM_S16: break;
    }
    return false;
}

bool linear_input_coded(const struct linear *linear, size_t rows, void *scratch,
                        struct nn_codes *codes_out, struct linear_input *out) {
    const struct linear_kernels *kernels = linear->kernels;
    struct nn_codes codes = {.stride_bytes = input_stride(linear)};
    if (!coded_form(kernels->form, &codes.form))
        return false;
    assert(scratch && (uintptr_t)scratch % ALIGNMENT == 0);
    unsigned char *values = (unsigned char *)scratch + scales_bytes(linear, rows);
    size_t stride = codes.stride_bytes;
    size_t used = linear->in_n * (input_group_bytes(linear) / group_inputs(kernels->kind));
    codes.values = values;
    codes.scales = kernels->kind == LINEAR_S8 ? scratch : NULL;
    for (size_t i = 0; used < stride && i < rows; i++)
        memset(values + i * stride + used, 0, stride - used);
    memset(values + rows * stride, 0, (round_up(rows, kernels->rows_step) - rows) * stride);
    *codes_out = codes;
    *out = (struct linear_input){values, stride, codes.scales, rows};
    return true;
}

struct output {
    void *values;
    size_t stride, value_bytes;
    enum linear_epilogue epilogue;
};

/* A part of a product: rows [row, row + rows) and the channels [channel, channel + channels_n),
 * one panel or two. */
struct part {
    size_t row, rows, channel, channels_n, panels_n;
};

/* Groups [group, group + groups_n) of a part, into its sums. */
static void add_groups(const struct linear *linear, const struct linear_input *input,
                       const struct part *part, size_t group, size_t groups_n, float *sums) {
    linear->kernels->sums(&(struct linear_tile){
        .x = (const unsigned char *)input->values + part->row * input->stride_bytes +
             group * input_group_bytes(linear),
        .x_stride = input->stride_bytes,
        .rows = part->rows,
        .panel = linear->panels + part->channel / LINEAR_PANEL * linear->panel_bytes +
                 group * LINEAR_PANEL_GROUP_BYTES,
        .panel_bytes = linear->panel_bytes,
        .panels_n = part->panels_n,
        .groups_n = groups_n,
        .offsets = linear->offsets ? linear->offsets + part->channel : NULL,
        .sums = sums,
        .sums_stride = part->panels_n * LINEAR_PANEL,
        .more = group > 0,
    });
}

static void finish(const struct linear *linear, const struct linear_input *input,
                   const struct part *part, const float *sums, const struct output *out) {
    bool whole = linear->kernels->kind == LINEAR_S8;
    size_t at = part->row * out->stride + part->channel;
    linear->kernels->finish(&(struct linear_finish){
        .sums = sums,
        .sums_stride = part->panels_n * LINEAR_PANEL,
        .rows = part->rows,
        .channels_n = part->channels_n,
        .row_scales = whole ? input->scales + part->row : NULL,
        .channel_scales = whole ? linear->scales + part->channel : NULL,
        .bias = linear->bias + part->channel,
        .epilogue = out->epilogue,
        .to_bf16 = out->value_bytes == sizeof(uint16_t),
        .out = (unsigned char *)out->values + at * out->value_bytes,
        .out_stride = out->stride,
    });
}

/* One panel (or two, for low tiles) against all rows of a chunk, in tiles of `height` rows. */
static void run_panel(const struct linear *linear, const struct linear_input *input,
                      const struct part *whole, size_t height, const struct output *out) {
    _Alignas(ALIGNMENT) float sums[LINEAR_SUMS_ROWS * LINEAR_PANEL]; /* or s32 */
    size_t groups_n = linear->groups_n, stride = whole->panels_n * LINEAR_PANEL;
    bool alone = whole->rows <= height; /* no other rows want the panel's chunk again */
    size_t chunk = alone ? groups_n : linear->kernels->groups_chunk;
    bool once = chunk >= groups_n;
    for (size_t group = 0; group < groups_n; group += chunk)
        for (size_t i = 0; i < whole->rows; i += height) {
            struct part part = *whole;
            part.row += i;
            part.rows = smaller(height, whole->rows - i);
            float *own = once ? sums : sums + i * stride;
            add_groups(linear, input, &part, group, smaller(chunk, groups_n - group), own);
            if (group + chunk >= groups_n)
                finish(linear, input, &part, own, out);
        }
}

/* Panels outside, rows inside: a panel stays in the first cache while the rows pass. Rows are dealt
 * into tiles of even height (16 rows on a 12-row kernel: 8 and 8); low tiles take two panels at
 * once, so that enough sums are under way to hide the latency of each. */
static void run_chunk(const struct linear *linear, const struct linear_input *input, size_t row,
                      size_t rows, size_t begin, size_t end, const struct output *out) {
    const struct linear_kernels *kernels = linear->kernels;
    size_t tiles_n = (rows + kernels->rows_max - 1) / kernels->rows_max;
    size_t height = round_up((rows + tiles_n - 1) / tiles_n, kernels->rows_step);
    size_t panels_most = 2 * height <= kernels->rows_max ? 2 : 1;
    for (size_t channel = begin; channel < end; channel += panels_most * LINEAR_PANEL) {
        size_t channels_n = smaller(end - channel, panels_most * LINEAR_PANEL);
        size_t panels_n = channels_n > LINEAR_PANEL ? 2 : 1;
        run_panel(linear, input, &(struct part){row, rows, channel, channels_n, panels_n}, height,
                  out);
    }
}

static void run(const struct linear *linear, const struct linear_input *input, size_t begin,
                size_t end, const struct output *out) {
    const struct linear_kernels *kernels = linear->kernels;
    assert(begin % LINEAR_CHANNELS_BLOCK == 0 && end <= linear->out_n);
    assert(end % LINEAR_CHANNELS_BLOCK == 0 || end == linear->out_n);
    size_t chunk = smaller(CHUNK_BYTES / input->stride_bytes, LINEAR_SUMS_ROWS);
    chunk = chunk / kernels->rows_max * kernels->rows_max;
    chunk = chunk ? chunk : kernels->rows_max;
    if (kernels->begin)
        kernels->begin();
    for (size_t row = 0; row < input->rows; row += chunk)
        run_chunk(linear, input, row, smaller(chunk, input->rows - row), begin, end, out);
    if (kernels->end)
        kernels->end();
}

void linear_run(const struct linear *linear, const struct linear_input *input, size_t begin,
                size_t end, enum linear_epilogue epilogue, float *out, size_t out_stride) {
    run(linear, input, begin, end, &(struct output){out, out_stride, sizeof *out, epilogue});
}

void linear_run_bf16(const struct linear *linear, const struct linear_input *input, size_t begin,
                     size_t end, enum linear_epilogue epilogue, uint16_t *out, size_t out_stride) {
    run(linear, input, begin, end, &(struct output){out, out_stride, sizeof *out, epilogue});
}
