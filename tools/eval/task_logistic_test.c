/* Logistic regression: its gradient against differences of its loss, and its optimum against the
 * slowest way down there is. tests/tasks_agree.py compares it with scikit-learn's. */
#include "tools/eval/task_logistic.h"

#include "engine/base/random.h"
#include "tests/check.h"

enum { N_MAX = 60, DIM = 7, LABELS_MAX = 5, WEIGHTS_MAX = (DIM + 1) * LABELS_MAX };

struct sample {
    float rows[N_MAX * DIM];
    uint32_t labels[N_MAX];
    struct task_logistic_data data;
};

/* Labels that follow the rows, but not always. */
static void make(struct sample *sample, size_t labels_n, uint64_t *seed) {
    size_t n = 20 + random_below(seed, N_MAX - 20);
    for (size_t i = 0; i < n; i++) {
        sample->labels[i] = i < labels_n ? (uint32_t)i : random_below(seed, (uint32_t)labels_n);
        for (size_t d = 0; d < DIM; d++)
            sample->rows[i * DIM + d] =
                (float)(random_normal(seed) + (d == sample->labels[i] ? 1.5 : 0));
    }
    sample->data = (struct task_logistic_data){sample->rows, sample->labels, n, DIM, labels_n};
}

/* The loss once more, from the formula, with no care for large logits. */
static double loss_by_definition(const struct task_logistic_data *data, const double *weights) {
    size_t columns = data->labels_n == 2 ? 1 : data->labels_n;
    double loss = 0;
    for (size_t i = 0; i < DIM * columns; i++)
        loss += weights[i] * weights[i] / 2;
    for (size_t i = 0; i < data->n; i++) {
        double sum = columns == 1 ? 1 : 0, right = columns == 1 ? 1 : 0;
        for (size_t c = 0; c < columns; c++) {
            double logit = weights[DIM * columns + c];
            for (size_t d = 0; d < DIM; d++)
                logit += data->rows[i * DIM + d] * weights[d * columns + c];
            sum += exp(logit);
            if (data->labels[i] == (columns == 1 ? 1 : c))
                right = exp(logit);
        }
        loss -= log(right / sum);
    }
    return loss;
}

static void gradient_by_differences(uint64_t *seed) {
    static struct sample sample;
    for (size_t labels_n = 2; labels_n <= LABELS_MAX; labels_n++) {
        double weights[WEIGHTS_MAX], gradient[WEIGHTS_MAX], ignored[WEIGHTS_MAX];
        const double step = 1e-5;
        make(&sample, labels_n, seed);
        size_t n = task_logistic_size(&sample.data);
        CHECK_EQUAL(n, (DIM + 1) * (labels_n == 2 ? 1 : labels_n));
        for (size_t i = 0; i < n; i++)
            weights[i] = random_normal(seed);
        double loss = task_logistic_loss(&sample.data, weights, gradient);
        CHECK_NEAR(loss, loss_by_definition(&sample.data, weights), 1e-9 * loss);
        for (size_t i = 0; i < n; i++) {
            double kept = weights[i];
            weights[i] = kept + step;
            double above = task_logistic_loss(&sample.data, weights, ignored);
            weights[i] = kept - step;
            double below = task_logistic_loss(&sample.data, weights, ignored);
            weights[i] = kept;
            CHECK_NEAR(gradient[i], (above - below) / (2 * step), 1e-5);
        }
    }
}

/* Steps against the gradient, as short as its Lipschitz constant asks for, until nothing moves. */
static void walk_down(const struct task_logistic_data *data, double *weights) {
    double gradient[WEIGHTS_MAX], squares = 0, largest = 1;
    size_t n = task_logistic_size(data);
    for (size_t i = 0; i < data->n * DIM; i++)
        squares += data->rows[i] * data->rows[i];
    double step = 1 / (1 + squares + (double)data->n);
    memset(weights, 0, n * sizeof *weights);
    for (int i = 0; i < 400000 && largest > 1e-9; i++) {
        task_logistic_loss(data, weights, gradient);
        largest = 0;
        for (size_t j = 0; j < n; j++) {
            weights[j] -= step * gradient[j];
            largest = fmax(largest, fabs(gradient[j]));
        }
    }
    CHECK(largest <= 1e-9);
}

static void same_optimum(uint64_t *seed) {
    static struct sample sample;
    for (size_t labels_n = 2; labels_n <= LABELS_MAX; labels_n++) {
        double slow[WEIGHTS_MAX], gradient[WEIGHTS_MAX];
        struct task_logistic fast;
        make(&sample, labels_n, seed);
        walk_down(&sample.data, slow);
        task_logistic_fit(&sample.data, &fast);
        CHECK(fast.gradient_max <= 1e-6 && fast.steps_n <= TASK_LOGISTIC_STEPS_MAX);
        CHECK_NEAR(fast.loss, task_logistic_loss(&sample.data, slow, gradient), 1e-9);
        for (size_t i = 0; i < task_logistic_size(&sample.data); i++)
            CHECK_NEAR(fast.weights[i], slow[i], 1e-5);
        struct task_logistic by_hand = {.dim = DIM, .columns_n = fast.columns_n, .weights = slow};
        for (size_t i = 0; i < sample.data.n; i++)
            CHECK_EQUAL(task_logistic_label(&fast, sample.rows + i * DIM),
                        task_logistic_label(&by_hand, sample.rows + i * DIM));
        task_logistic_done(&fast);
    }
}

/* Rows of a length that drives logits to where exp() alone would overflow. */
static void rows_of_any_length(void) {
    const float rows[] = {1e4f, -1e4f, 2e4f, 1};
    const uint32_t labels[] = {1, 0, 1, 0};
    for (size_t labels_n = 2; labels_n <= 3; labels_n++) {
        const struct task_logistic_data data = {rows, labels, 4, 1, labels_n};
        struct task_logistic model;
        task_logistic_fit(&data, &model);
        CHECK(isfinite(model.loss) && isfinite(model.gradient_max));
        for (size_t i = 0; i < 3; i++)
            CHECK_EQUAL(task_logistic_label(&model, rows + i), labels[i]);
        task_logistic_done(&model);
    }
}

int main(void) {
    uint64_t seed = 5;
    gradient_by_differences(&seed);
    same_optimum(&seed);
    rows_of_any_length();
    return check_result();
}
