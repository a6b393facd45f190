#include "engine/cost.h"

#include <string.h>

#include "engine/math/attention_kernels.h"
#include "engine/math/linear_peak.h"
#include "engine/model_parts.h"

struct cost cost_of(const struct model *model, const struct forward_sequence *sequences, size_t n) {
    const struct model_config *config = &model->config;
    double hidden = config->hidden, wide = config->intermediate, layers = config->layers_n;
    struct cost cost = {0};
    for (size_t i = 0; i < n; i++) {
        double tokens = (double)sequences[i].n;
        /* query, key, value and mix: [hidden, hidden] each; widen and narrow */
        cost.linear += 2 * layers * tokens * (4 * hidden * hidden + 2 * hidden * wide);
        /* scores and their product with the values, all heads together */
        cost.attention += 2 * layers * tokens * tokens * 2 * hidden;
    }
    return cost;
}

/* The multiplications of an attention kernel are those of a linear one. */
static double attention_peak(const char *name) {
    if (strcmp(name, "bf16 amx") == 0)
        return linear_peak_gops(LINEAR_BF16, "amx");
    if (strcmp(name, "bf16 avx512") == 0)
        return linear_peak_gops(LINEAR_BF16, "avx512 bf16");
    const char *f32 = "f32 ";
    return strncmp(name, f32, strlen(f32)) == 0 ? linear_peak_gops(LINEAR_F32, name + strlen(f32))
                                                : 0;
}

struct cost_peak cost_peak_measure(const struct model *model) {
    const struct attention_kernels *attention[ATTENTION_KINDS_MAX + 1];
    attention_kinds(model->kind != LINEAR_F32, attention);
    struct cost_peak peak = {
        .linear_kernels = linear_kernels_name(model->layers[0].qkv),
        .attention_kernels = attention[0]->name,
    };
    peak.linear_gops = linear_peak_gops(model->kind, peak.linear_kernels);
    peak.attention_gops = attention_peak(peak.attention_kernels);
    return peak;
}
