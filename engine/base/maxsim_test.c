/* Every kind of maxsim.c against arithmetic in 64-bit integers, one product after the other. */
#include "engine/base/maxsim.h"

#include "engine/base/arena.h"
#include "engine/base/mem.h"
#include "tests/check.h"

enum { DIM_STEP_FOURS = MAXSIM_STEP_DIMS / 4 };

struct shape {
    size_t dim, pack, queries_n, rows_n;
    bool extreme; /* the largest sums there can be */
};

struct inputs {
    int8_t *query; /* [queries_n, dim] */
    struct maxsim_query packed;
    struct maxsim_rows rows;
    uint8_t points[MAXSIM_PACK_MAX][MAXSIM_POINTS];
    uint8_t *memory; /* of the codes, which end where it ends: the sanitizers see a byte too much */
};

/* Dimension d of a row, as maxsim.h says where it stands. */
static int coordinate(const struct maxsim_rows *rows, size_t row, size_t d) {
    size_t codes_n = 2 * rows->row_bytes, code = d % codes_n, plane = d / codes_n;
    uint8_t byte = rows->codes[row * rows->row_bytes + code % rows->row_bytes];
    return rows->points[plane][code < rows->row_bytes ? byte & 15 : byte >> 4] - MAXSIM_LEVEL_MAX;
}

static void oracle(const struct shape *shape, const struct inputs *in, float *best) {
    for (size_t q = 0; q < shape->queries_n; q++)
        for (size_t r = 0; r < shape->rows_n; r++) {
            long long sum = 0;
            for (size_t d = 0; d < shape->dim; d++)
                sum += in->query[q * shape->dim + d] * coordinate(&in->rows, r, d);
            float product = in->rows.scales[r] * (float)sum;
            best[q] = product > best[q] ? product : best[q];
        }
}

static void draw_query(const struct shape *shape, unsigned long long *seed, struct arena *arena,
                       struct inputs *in) {
    size_t codes_dim = 2 * in->rows.row_bytes * shape->pack;
    size_t steps_n = (codes_dim + MAXSIM_STEP_DIMS - 1) / MAXSIM_STEP_DIMS;
    size_t groups_n = (shape->queries_n + MAXSIM_LANES - 1) / MAXSIM_LANES;
    size_t fours_n = steps_n * DIM_STEP_FOURS,
           scratch_n = MAXSIM_BLOCK_ROWS * MAXSIM_SCRATCH_STRIDE(steps_n);
    int8_t *values = ARENA_ZERO(arena, int8_t, groups_n * fours_n * MAXSIM_LANES * 4);
    int32_t *begins = ARENA_ZERO(arena, int32_t, groups_n * MAXSIM_LANES);
    uint8_t *scratch = ARENA_NEW(arena, uint8_t, scratch_n);
    memset(scratch, 0xa5, scratch_n); /* what it holds must not matter */
    in->query = ARENA_NEW(arena, int8_t, shape->queries_n * shape->dim);
    for (size_t q = 0; q < shape->queries_n; q++)
        for (size_t d = 0; d < shape->dim; d++) {
            int value =
                shape->extreme ? (q % 2 ? 127 : -127) : (int)(check_random(seed) % 255) - 127;
            size_t group = q / MAXSIM_LANES, lane = q % MAXSIM_LANES;
            in->query[q * shape->dim + d] = (int8_t)value;
            values[((group * fours_n + d / 4) * MAXSIM_LANES + lane) * 4 + d % 4] = (int8_t)value;
            begins[q] -= MAXSIM_LEVEL_MAX * value;
        }
    in->packed = (struct maxsim_query){values, begins, groups_n, steps_n, scratch};
}

static void draw_rows(const struct shape *shape, unsigned long long *seed, struct arena *arena,
                      struct inputs *in) {
    size_t row_bytes = (shape->dim + 2 * shape->pack - 1) / (2 * shape->pack);
    size_t codes_n = shape->rows_n * row_bytes;
    float *scales = ARENA_NEW(arena, float, shape->rows_n);
    in->memory = mem_alloc(codes_n + 1, 1);
    for (size_t i = 0; i <= codes_n; i++) /* beyond dim too: it must not count */
        in->memory[i] = (uint8_t)check_random(seed);
    for (size_t r = 0; r < shape->rows_n; r++)
        scales[r] = 1.5f + check_random_float(seed);
    for (size_t p = 0; p < MAXSIM_PACK_MAX; p++)
        for (size_t c = 0; c < MAXSIM_POINTS; c++)
            in->points[p][c] =
                shape->extreme ? 2 * MAXSIM_LEVEL_MAX : (uint8_t)(check_random(seed) % 31);
    in->rows = (struct maxsim_rows){.codes = in->memory + 1,
                                    .points = (const uint8_t(*)[MAXSIM_POINTS])in->points,
                                    .scales = scales,
                                    .n = shape->rows_n,
                                    .row_bytes = row_bytes,
                                    .pack = shape->pack};
}

static void check_shape(maxsim_function *best_of, struct shape shape, unsigned long long *seed) {
    struct arena arena = {0};
    struct inputs in;
    draw_rows(&shape, seed, &arena, &in);
    draw_query(&shape, seed, &arena, &in);
    size_t lanes_n = in.packed.groups_n * MAXSIM_LANES;
    float *found = ARENA_NEW(&arena, float, lanes_n), *wanted = ARENA_NEW(&arena, float, lanes_n);
    for (size_t i = 0; i < lanes_n; i++)
        found[i] = wanted[i] = i % 3 ? -INFINITY : 0.5f; /* raised from what is there */
    oracle(&shape, &in, wanted);
    best_of(&in.packed, &in.rows, found);
    size_t different = 0;
    for (size_t q = 0; q < shape.queries_n; q++)
        different += found[q] != wanted[q];
    CHECK_EQUAL(different, 0); /* to the bit */
    free(in.memory);
    arena_done(&arena);
}

static void check_kind(maxsim_function *best_of) {
    const size_t dims[] = {1, 2, 3, 7, 8, 33, 40, 63, 64, 65, 127, 128, 129, 384, 1000, 1024, 4095};
    const size_t queries[] = {1, 15, 16, 17, 32, 33, 50};
    unsigned long long seed = 17;
    for (size_t pack = 1; pack <= MAXSIM_PACK_MAX; pack++) {
        for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
            for (size_t q = 0; q < sizeof queries / sizeof *queries; q++)
                check_shape(
                    best_of,
                    (struct shape){dims[d], pack, queries[q], check_random(&seed) % 12, false},
                    &seed);
        for (size_t rows_n = 0; rows_n <= 70; rows_n++)
            check_shape(best_of, (struct shape){41, pack, 20 + rows_n % 15, rows_n, false}, &seed);
        check_shape(best_of, (struct shape){1024, pack, 32, 5, true}, &seed);
        check_shape(best_of, (struct shape){MAXSIM_DIM_MAX, pack, 2, 5, true}, &seed);
    }
}

int main(void) {
    CHECK(maxsim_kind_of(MAXSIM_PLAIN));
    for (int i = MAXSIM_PLAIN; i < MAXSIM_KINDS; i++) {
        enum maxsim_kind kind = (enum maxsim_kind)i;
        if (maxsim_kind_of(kind))
            check_kind(maxsim_kind_of(kind));
        else
            printf("%s: not on this machine\n", maxsim_kind_name(kind));
    }
    return check_result();
}
