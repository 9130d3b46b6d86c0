/* Products of mostly zero features with a kernel, whose zeros are read once at most and never multiplied.
 *
 * Letters: n rows, F features, H channels. What is not zero in row i lies at begin[i]..end[i]-1 of columns and values. */

#include "threads.h"

#include <stdint.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

enum { LANES = 16, GROUPS = 64, SAMPLES = 16 };

/* Numbers side by side in registers, wherever they begin in memory. */
typedef float Lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* Bit k says whether x[k] is not zero, as NaN is not; of up to LANES numbers. */
static inline unsigned nonzero(const float *x, ptrdiff_t size) {
#ifdef __AVX512F__
    const __m512 read = _mm512_maskz_loadu_ps((__mmask16)((1u << size) - 1), x);
    return _mm512_cmp_ps_mask(read, _mm512_setzero_ps(), _CMP_NEQ_UQ);
#else
    unsigned mask = 0;
    for (ptrdiff_t k = 0; k < size; k++)
        mask |= (unsigned)(x[k] != 0.0f) << k;
    return mask;
#endif
}

/* How many of a row's features are not zero; -1 where there is no room for them. Groups of zeros are dropped before any
 * number is listed, because a processor cannot foresee which they are. */
static ptrdiff_t find_in_row(ptrdiff_t F, const float *x, ptrdiff_t room, int64_t *columns, float *values) {
    unsigned masks[GROUPS];
    ptrdiff_t starts[GROUPS], found = 0;
    for (ptrdiff_t first = 0; first < F;) {
        ptrdiff_t kept = 0, more = 0;
        for (int group = 0; group < GROUPS && first < F; group++, first += LANES) {
            masks[kept] = nonzero(x + first, F - first < LANES ? F - first : LANES);
            starts[kept] = first;
            more += __builtin_popcount(masks[kept]);
            kept += masks[kept] != 0;
        }
        if (found + more > room)
            return -1;
        for (ptrdiff_t group = 0; group < kept; group++) {
            unsigned mask = masks[group];
            do {
                const ptrdiff_t column = starts[group] + __builtin_ctz(mask);
                columns[found] = column;
                values[found++] = x[column];
            } while (mask &= mask - 1);
        }
    }
    return found;
}

/* From `place` on. Clears `fits` where there is no room up to `last`. */
static void find_in_rows(ptrdiff_t n, ptrdiff_t F, const float *x, ptrdiff_t place, ptrdiff_t last, int64_t *begin,
                         int64_t *end, int64_t *columns, float *values, int *fits) {
    for (ptrdiff_t row = 0; row < n; row++) {
        const ptrdiff_t found = find_in_row(F, x + F * row, last - place, columns + place, values + place);
        if (found < 0) {
#pragma omp atomic write
            *fits = 0;
            return;
        }
        begin[row] = place;
        end[row] = place += found;
    }
}

/* Whether one number in `limit` would do for evenly spaced rows, too few to cost anything. */
static int looks_sparse(ptrdiff_t n, ptrdiff_t F, const float *x, ptrdiff_t limit) {
    const ptrdiff_t rows = n < SAMPLES ? n : SAMPLES;
    ptrdiff_t found = 0;
    for (ptrdiff_t sample = 0; sample < rows; sample++) {
        const float *row = x + F * (n * sample / rows);
        for (ptrdiff_t k = 0; k < F; k++)
            found += row[k] != 0.0f;
    }
    return found * limit <= rows * F;
}

/* 0 where more than about one number in `limit` is not zero. x [n, F]; columns, values [n * F / limit] */
int find_nonzero(ptrdiff_t threads, ptrdiff_t n, ptrdiff_t F, const float *x, ptrdiff_t limit, int64_t *begin,
                 int64_t *end, int64_t *columns, float *values) {
    int fits = looks_sparse(n, F, x, limit);
    if (fits)
        EACH_SHARE(threads, n, F, from, rows,
                   find_in_rows(rows, F, x + F * from, F * from / limit, F * (from + rows) / limit, begin + from,
                                end + from, columns, values, &fits));
    return fits;
}

/* sum += value * read. [H] */
static inline void add(ptrdiff_t H, float value, const float *read, float *sum) {
    ptrdiff_t k = 0;
    for (; k + LANES <= H; k += LANES)
        *(Lanes *)(sum + k) += value * *(const Lanes *)(read + k);
#pragma omp simd
    for (ptrdiff_t rest = k; rest < H; rest++)
        sum[rest] += value * read[rest];
}

static int is_valid(ptrdiff_t F, ptrdiff_t size, ptrdiff_t begin, ptrdiff_t end, const int64_t *columns) {
    if (begin < 0 || begin > end || end > size)
        return 0;
    int within = 1;
    for (ptrdiff_t i = begin; i < end; i++)
        within &= columns[i] >= 0 && columns[i] < F;
    return within;
}

/* Clears `valid` where an offset is not within 0..size or a column is not within 0..F-1. */
static void sum_rows(ptrdiff_t n, ptrdiff_t F, ptrdiff_t H, ptrdiff_t size, const int64_t *begin, const int64_t *end,
                     const int64_t *columns, const float *values, const float *weight_t, float *out, int *valid) {
    for (ptrdiff_t row = 0; row < n; row++) {
        float *sum = out + H * row;
        if (!is_valid(F, size, begin[row], end[row], columns)) {
#pragma omp atomic write
            *valid = 0;
            return;
        }
        ptrdiff_t k = 0;
        for (; k + LANES <= H; k += LANES) {
            Lanes part = {0};
            for (ptrdiff_t i = begin[row]; i < end[row]; i++)
                part += values[i] * *(const Lanes *)(weight_t + H * columns[i] + k);
            *(Lanes *)(sum + k) = part;
        }
        for (ptrdiff_t rest = k; rest < H; rest++)
            sum[rest] = 0.0f;
        for (ptrdiff_t i = begin[row]; k < H && i < end[row]; i++)
            add(H - k, values[i], weight_t + H * columns[i] + k, sum + k);
    }
}

/* 0 where the offsets or columns of `size` numbers are malformed. weight_t [F, H], out [n, H] */
int features_forward(ptrdiff_t threads, ptrdiff_t n, ptrdiff_t F, ptrdiff_t H, ptrdiff_t size, const int64_t *begin,
                     const int64_t *end, const int64_t *columns, const float *values, const float *weight_t,
                     float *out) {
    int valid = 1;
    EACH_SHARE(threads, n, H, from, rows,
               sum_rows(rows, F, H, size, begin + from, end + from, columns, values, weight_t, out + H * from,
                        &valid));
    return valid;
}

/* Of the features first..first+count-1 alone. */
static void sum_columns(ptrdiff_t n, ptrdiff_t H, ptrdiff_t first, ptrdiff_t count, const int64_t *begin,
                        const int64_t *end, const int64_t *columns, const float *values, const float *grad,
                        float *d_weight_t) {
    for (ptrdiff_t k = H * first; k < H * (first + count); k++)
        d_weight_t[k] = 0.0f;
    for (ptrdiff_t row = 0; row < n; row++)
        for (ptrdiff_t i = begin[row]; i < end[row]; i++) {
            if (columns[i] < first || columns[i] >= first + count)
                continue;
            add(H, values[i], grad + H * row, d_weight_t + H * columns[i]);
        }
}

/* Each thread reads everything and sums for its own features, in the order of the rows. grad [n, H], d_weight_t [F, H] */
void features_backward(ptrdiff_t threads, ptrdiff_t n, ptrdiff_t F, ptrdiff_t H, const int64_t *begin,
                       const int64_t *end, const int64_t *columns, const float *values, const float *grad,
                       float *d_weight_t) {
    EACH_SHARE(threads, F, H, first, count,
               sum_columns(n, H, first, count, begin, end, columns, values, grad, d_weight_t));
}
