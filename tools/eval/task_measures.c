#include "tools/eval/task_measures.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/mem.h"

static bool all_equal(const double *x, size_t n) {
    for (size_t i = 1; i < n; i++)
        if (x[i] < x[0] || x[i] > x[0])
            return false;
    return true;
}

double task_pearson(const double *x, const double *y, size_t n) {
    double mean_x = 0, mean_y = 0, xx = 0, yy = 0, xy = 0;
    if (all_equal(x, n) || all_equal(y, n))
        return NAN;
    for (size_t i = 0; i < n; i++) {
        mean_x += x[i] / (double)n;
        mean_y += y[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        xx += (x[i] - mean_x) * (x[i] - mean_x);
        yy += (y[i] - mean_y) * (y[i] - mean_y);
        xy += (x[i] - mean_x) * (y[i] - mean_y);
    }
    return fmax(-1, fmin(1, xy / (sqrt(xx) * sqrt(yy))));
}

/* One value and where it stood. */
struct placed {
    double score;
    size_t i;
};

/* Descending; equal ones in their order. */
static int compare_placed(const void *a, const void *b) {
    const struct placed *x = a, *y = b;
    if (x->score < y->score || x->score > y->score)
        return x->score < y->score ? 1 : -1;
    return (x->i > y->i) - (x->i < y->i);
}

static struct placed *sorted(const double *scores, size_t n) {
    struct placed *out = mem_alloc(n, sizeof *out);
    for (size_t i = 0; i < n; i++)
        out[i] = (struct placed){scores[i], i};
    qsort(out, n, sizeof *out, compare_placed);
    return out;
}

/* The end of the values that are equal to the one at `from`. */
static size_t equal_end(const struct placed *order, size_t n, size_t from) {
    size_t end = from + 1;
    while (end < n && !(order[end].score < order[from].score))
        end++;
    return end;
}

void task_ranks(const double *x, size_t n, double *out) {
    struct placed *order = sorted(x, n);
    for (size_t from = 0, end; from < n; from = end) {
        end = equal_end(order, n, from);
        /* Places from .. end - 1 from the top are ranks n - end + 1 .. n - from from below. */
        for (size_t i = from; i < end; i++)
            out[order[i].i] = (double)(2 * n - from - end + 1) / 2;
    }
    free(order);
}

double task_spearman(const double *x, const double *y, size_t n) {
    double *ranks_x = mem_alloc(n, sizeof *ranks_x), *ranks_y = mem_alloc(n, sizeof *ranks_y);
    task_ranks(x, n, ranks_x);
    task_ranks(y, n, ranks_y);
    double rho = task_pearson(ranks_x, ranks_y, n);
    free(ranks_x);
    free(ranks_y);
    return rho;
}

static size_t count_true(const bool *labels, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += labels[i];
    return count;
}

double task_average_precision(const double *scores, const bool *relevant, size_t n) {
    struct placed *order = sorted(scores, n);
    size_t found = 0, all = count_true(relevant, n);
    double sum = 0;
    for (size_t from = 0, end; from < n; from = end) {
        size_t before = found;
        end = equal_end(order, n, from);
        for (size_t i = from; i < end; i++)
            found += relevant[order[i].i];
        sum += (double)(found - before) * (double)found / (double)end;
    }
    free(order);
    return all ? sum / (double)all : 0;
}

double task_reciprocal_rank(const double *scores, const bool *relevant, size_t n, size_t depth) {
    struct placed *order = sorted(scores, n);
    double value = 0;
    for (size_t i = 0; i < n && i < depth; i++)
        if (relevant[order[i].i]) {
            value = 1 / (double)(i + 1);
            break;
        }
    free(order);
    return value;
}

struct task_cut task_best_accuracy(const double *scores, const bool *labels, size_t n) {
    struct placed *order = sorted(scores, n);
    struct task_cut best = {.threshold = -1};
    size_t above = 0, below = n - count_true(labels, n); /* right ones on either side of the cut */
    for (size_t i = 0; i + 1 < n; i++) {
        if (labels[order[i].i])
            above++;
        else
            below--;
        double accuracy = (double)(above + below) / (double)n;
        if (accuracy > best.value) {
            best.value = accuracy;
            best.threshold = (order[i].score + order[i + 1].score) / 2;
        }
    }
    free(order);
    return best;
}

struct task_cut task_best_f1(const double *scores, const bool *labels, size_t n) {
    struct placed *order = sorted(scores, n);
    struct task_cut best = {0};
    size_t right = 0, all = count_true(labels, n);
    for (size_t i = 0; i + 1 < n; i++) {
        right += labels[order[i].i];
        if (right == 0)
            continue;
        double precision = (double)right / (double)(i + 1), recall = (double)right / (double)all;
        double f1 = 2 * precision * recall / (precision + recall);
        if (f1 > best.value)
            best =
                (struct task_cut){f1, (order[i].score + order[i + 1].score) / 2, precision, recall};
    }
    free(order);
    return best;
}

static int compare_u64(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* - sum of p log p over the runs of equal keys; sorts them. */
static double entropy_of(uint64_t *keys, size_t n) {
    double sum = 0;
    qsort(keys, n, sizeof *keys, compare_u64);
    for (size_t from = 0, end; from < n; from = end) {
        end = from + 1;
        while (end < n && keys[end] == keys[from])
            end++;
        double part = (double)(end - from) / (double)n;
        sum -= part * log(part);
    }
    return sum;
}

struct task_v task_v_measure(const uint32_t *classes, const uint32_t *clusters, size_t n) {
    uint64_t *keys = mem_alloc(n, sizeof *keys);
    for (size_t i = 0; i < n; i++)
        keys[i] = classes[i];
    double of_classes = entropy_of(keys, n);
    for (size_t i = 0; i < n; i++)
        keys[i] = clusters[i];
    double of_clusters = entropy_of(keys, n);
    for (size_t i = 0; i < n; i++)
        keys[i] = (uint64_t)classes[i] << 32 | clusters[i];
    double shared = fmax(0, of_classes + of_clusters - entropy_of(keys, n));
    struct task_v v = {.homogeneity = of_classes > 0 ? shared / of_classes : 1,
                       .completeness = of_clusters > 0 ? shared / of_clusters : 1};
    double sum = v.homogeneity + v.completeness;
    v.v_measure = sum > 0 ? 2 * v.homogeneity * v.completeness / sum : 0;
    free(keys);
    return v;
}

double task_accuracy(const uint32_t *truth, const uint32_t *found, size_t n) {
    size_t right = 0;
    for (size_t i = 0; i < n; i++)
        right += truth[i] == found[i];
    return (double)right / (double)n;
}

double task_macro_f1(const uint32_t *truth, const uint32_t *found, size_t n, size_t labels_n) {
    struct counts {
        size_t both, true_n, found_n;
    } *of = mem_zalloc(labels_n, sizeof *of);
    double sum = 0;
    size_t present = 0;
    for (size_t i = 0; i < n; i++) {
        of[truth[i]].both += truth[i] == found[i];
        of[truth[i]].true_n++;
        of[found[i]].found_n++;
    }
    for (size_t l = 0; l < labels_n; l++)
        if (of[l].true_n + of[l].found_n > 0) {
            sum += 2.0 * (double)of[l].both / (double)(of[l].true_n + of[l].found_n);
            present++;
        }
    free(of);
    return sum / (double)present;
}
