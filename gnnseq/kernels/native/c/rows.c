/* Products of features that are mostly zero with a kernel.
 *
 * Letters: n nodes, F features, H channels. */

#include "lists.h"
#include "threads.h"

enum { GROUPS = 64, SAMPLES = 16 };

/* Bit k says whether number k of up to LANES is not zero, as NaN is not. */
static inline unsigned nonzero(const float *x, ptrdiff_t size) {
#if defined __AVX512F__
    return _mm512_cmp_ps_mask((__m512)read(x, size), _mm512_setzero_ps(), _CMP_NEQ_UQ);
#elif defined __AVX2__
    return (unsigned)_mm256_movemask_ps(_mm256_cmp_ps((__m256)read(x, size), _mm256_setzero_ps(), _CMP_NEQ_UQ));
#else
    unsigned mask = 0;
    for (ptrdiff_t k = 0; k < size && k < LANES; k++)
        mask |= (unsigned)(x[k] != 0.0f) << k;
    return mask;
#endif
}

/* How many of a row's numbers are not zero; -1 where there is no room for them. Groups of zeros are dropped before any
 * number is listed, because a processor cannot foresee which they are. */
static ptrdiff_t find_in_row(ptrdiff_t F, const float *x, ptrdiff_t room, int32_t *columns, float *values) {
    unsigned masks[GROUPS];
    ptrdiff_t starts[GROUPS], found = 0;
    for (ptrdiff_t first = 0; first < F;) {
        ptrdiff_t kept = 0, more = 0;
        for (int group = 0; group < GROUPS && first < F; group++, first += LANES) {
            masks[kept] = nonzero(x + first, F - first);
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
                columns[found] = (int32_t)column;
                values[found++] = x[column];
            } while (mask &= mask - 1);
        }
    }
    return found;
}

/* From `place` on. Clears `fits` where there is no room up to `last`. */
static void find_in_rows(ptrdiff_t n, ptrdiff_t F, const float *x, ptrdiff_t place, ptrdiff_t last, int32_t *begin,
                         int32_t *end, int32_t *columns, float *values, int *fits) {
    for (ptrdiff_t row = 0; row < n; row++) {
        const ptrdiff_t found = find_in_row(F, x + F * row, last - place, columns + place, values + place);
        if (found < 0) {
#pragma omp atomic write
            *fits = 0;
            return;
        }
        begin[row] = (int32_t)place;
        end[row] = (int32_t)(place += found);
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

/* Lists what is not zero; 0 where that is more than about one number in `limit`. x [n, F]; columns, values
 * [n * F / limit], fewer than 2^31 */
int find_nonzero(ptrdiff_t threads, ptrdiff_t n, ptrdiff_t F, const float *x, ptrdiff_t limit, int32_t *begin,
                 int32_t *end, int32_t *columns, float *values) {
    int fits = looks_sparse(n, F, x, limit);
    if (fits)
        EACH_SHARE(threads, n, F, from, rows,
                   find_in_rows(rows, F, x + F * from, F * from / limit, F * (from + rows) / limit, begin + from,
                                end + from, columns, values, &fits));
    return fits;
}

/* out[i, k] = in[i, k], [n, H], whose neighbours in a row and in a column lie so far apart. H is the shorter side. */
static void turn(ptrdiff_t n, ptrdiff_t H, const float *restrict in, ptrdiff_t row, ptrdiff_t column,
                 float *restrict out, ptrdiff_t out_row, ptrdiff_t out_column) {
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t k = 0; k < H; k++)
            out[out_column * i + out_row * k] = in[column * i + row * k];
}

/* Nodes from..from+n-1. Clears `valid` where the features are malformed. */
static void multiply_share(ptrdiff_t from, ptrdiff_t n, ptrdiff_t F, ptrdiff_t H, const Lists *lists, const float *table,
                           float *out, int *valid) {
    if (!(lists->wide ? sum_share(from, n, F, H, lists, 1, table, out) : sum_share(from, n, F, H, lists, 0, table, out))) {
#pragma omp atomic write
        *valid = 0;
    }
}

/* The product; 0 where the features are malformed. kernel [H, F], table [F, H] to work in, out [n, H] */
int multiply_lists(ptrdiff_t threads, ptrdiff_t n, ptrdiff_t F, ptrdiff_t H, ptrdiff_t size, ptrdiff_t wide,
                   const void *begin, const void *end, const void *columns, const float *values, const float *kernel,
                   float *table, float *out) {
    const Lists lists = {size, (int)wide, begin, end, columns, values};
    int valid = 1;
    if (n == 0) /* also because `begin` may be NULL then */
        return valid;
    if (!end && (begin_of(&lists, lists.wide, 0) != 0 || begin_of(&lists, lists.wide, n) != size))
        return 0;
    EACH_SHARE(threads, F, H, from, count, turn(count, H, kernel + from, F, 1, table + H * from, 1, H));
    EACH_SHARE(threads, n, H, from, count, multiply_share(from, count, F, H, &lists, table, out + H * from, &valid));
    return valid;
}

/* Rows first..first+count-1 of the table alone. Its rows are whole lanes, because storing parts of them is slow. */
static inline void spread_share(ptrdiff_t first, ptrdiff_t count, ptrdiff_t n, ptrdiff_t H, ptrdiff_t room,
                                const Lists *lists, const int wide, const float *restrict grad,
                                float *restrict d_table) {
    memset(d_table + room * first, 0, 4 * (size_t)(room * count));
    for (ptrdiff_t list = 0; list < n; list++) {
        const float *own = grad + H * list;
        for (ptrdiff_t i = begin_of(lists, wide, list), last = end_of(lists, wide, list); i < last; i++) {
            const ptrdiff_t row = at(lists->columns, wide, i);
            if (row < first || row >= first + count)
                continue;
            const float value = lists->values[i];
            float *sum = d_table + room * row;
            ptrdiff_t k = 0;
            for (; k + LANES <= H; k += LANES)
                *(Lanes *)(sum + k) += value * *(const Lanes *)(own + k);
            if (k < H)
                *(Lanes *)(sum + k) += value * read(own + k, H - k);
        }
    }
}

/* The kernel's gradient; 0 where the features are malformed. Each thread reads everything and sums for features of its own, in the order of the nodes.
 * grad [n, H]; d_table [F, room] to work in, room at least H and a multiple of 16; d_kernel [H, F] */
int multiply_lists_back(ptrdiff_t threads, ptrdiff_t n, ptrdiff_t F, ptrdiff_t H, ptrdiff_t size, ptrdiff_t wide,
                        const void *begin, const void *end, const void *columns, const float *values,
                        ptrdiff_t room, const float *grad, float *d_table, float *d_kernel) {
    const Lists lists = {size, (int)wide, begin, end, columns, values};
    for (ptrdiff_t list = 0; list < n; list++) {
        const ptrdiff_t first = begin_of(&lists, lists.wide, list), last = end_of(&lists, lists.wide, list);
        if (first < 0 || first > last || last > size)
            return 0;
    }
    EACH_SHARE(threads, F, H, first, count, {
        if (wide)
            spread_share(first, count, n, H, room, &lists, 1, grad, d_table);
        else
            spread_share(first, count, n, H, room, &lists, 0, grad, d_table);
        turn(count, H, d_table + room * first, 1, room, d_kernel + first, F, 1);
    });
    return 1;
}
