/* Products of features that are mostly zero with a kernel.
 *
 * Letters: n nodes, F features, H channels. */

#include "threads.h"

#include <stdint.h>
#include <string.h>
#ifdef __AVX__
#include <immintrin.h>
#endif

/* Compilers take vectors that are wider than a processor's apart through memory. */
#if defined __AVX512F__
enum { LANES = 16 };
#elif defined __AVX2__
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif
enum { GROUPS = 64, SAMPLES = 16, MOST = 8 };

/* Numbers side by side in registers, wherever they begin in memory. */
typedef float Lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#if defined __AVX2__ && !defined __AVX512F__
/* The first `size` of LANES places. */
static inline __m256i places(ptrdiff_t size) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)size), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#endif

/* The first `size` of up to LANES numbers, and zeros. */
static inline Lanes read(const float *x, ptrdiff_t size) {
    if (size >= LANES)
        return *(const Lanes *)x;
#if defined __AVX512F__
    return (Lanes)_mm512_maskz_loadu_ps((__mmask16)((1u << size) - 1), x);
#elif defined __AVX2__
    return (Lanes)_mm256_maskload_ps(x, places(size));
#else
    Lanes lanes = {0};
    memcpy(&lanes, x, 4 * (size_t)size);
    return lanes;
#endif
}

static inline void write(float *x, ptrdiff_t size, Lanes lanes) {
    if (size >= LANES)
        *(Lanes *)x = lanes;
    else
#if defined __AVX512F__
        _mm512_mask_storeu_ps(x, (__mmask16)((1u << size) - 1), (__m512)lanes);
#elif defined __AVX2__
        _mm256_maskstore_ps(x, places(size), (__m256)lanes);
#else
        memcpy(x, &lanes, 4 * (size_t)size);
#endif
}

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

/* Features that are not zero: node i's lie at begin[i]..end[i]-1 of columns and values, or end where the next begins if
 * end is NULL; begin then has one more, and the lists cover everything. Indices have 32 bits, or 64 where they are wide,
 * which functions are told apart from this, so that compilers make one for each. */
typedef struct {
    ptrdiff_t size; /* of columns and values */
    int wide;
    const void *begin, *end, *columns;
    const float *values;
} Lists;

static inline ptrdiff_t at(const void *index, const int wide, ptrdiff_t i) {
    return wide ? (ptrdiff_t)((const int64_t *)index)[i] : ((const int32_t *)index)[i];
}

static inline ptrdiff_t begin_of(const Lists *lists, const int wide, ptrdiff_t i) {
    return at(lists->begin, wide, i);
}

static inline ptrdiff_t end_of(const Lists *lists, const int wide, ptrdiff_t i) {
    return lists->end ? at(lists->end, wide, i) : at(lists->begin, wide, i + 1);
}

/* Up to `width` lanes of one sum, `size` numbers. */
static inline void sum_lanes(const int width, ptrdiff_t size, ptrdiff_t H, ptrdiff_t begin, ptrdiff_t end,
                             const void *columns, const int wide, const float *values, const float *table,
                             float *sum) {
    Lanes parts[MOST] = {0};
    for (ptrdiff_t i = begin; i < end; i++) {
        const float *row = table + H * at(columns, wide, i);
        for (int part = 0; part < width; part++)
            parts[part] += values[i] * read(row + LANES * part, size - LANES * part);
    }
    for (int part = 0; part < width; part++)
        write(sum + LANES * part, size - LANES * part, parts[part]);
}

static inline int is_valid(ptrdiff_t F, const Lists *lists, const int wide, ptrdiff_t begin, ptrdiff_t end) {
    if (begin < 0 || begin > end || end > lists->size)
        return 0;
    int within = 1;
    for (ptrdiff_t i = begin; i < end; i++)
        within &= at(lists->columns, wide, i) >= 0 && at(lists->columns, wide, i) < F;
    return within;
}

/* Nodes from..from+n-1. Clears `valid` where a list is not among the numbers or a column not within 0..F-1. */
static inline void sum_share(ptrdiff_t from, ptrdiff_t n, ptrdiff_t F, ptrdiff_t H, const Lists *lists, const int wide,
                             const float *table, float *out, int *valid) {
    const void *columns = lists->columns;
    const float *values = lists->values;
    for (ptrdiff_t list = from; list < from + n; list++) {
        const ptrdiff_t first = begin_of(lists, wide, list), last = end_of(lists, wide, list);
        if (!is_valid(F, lists, wide, first, last)) {
#pragma omp atomic write
            *valid = 0;
            return;
        }
        float *sum = out + H * list;
        ptrdiff_t k = 0;
        for (; k + MOST * LANES <= H; k += MOST * LANES)
            sum_lanes(MOST, MOST * LANES, H, first, last, columns, wide, values, table + k, sum + k);
        for (; k + 2 * LANES <= H; k += 2 * LANES)
            sum_lanes(2, 2 * LANES, H, first, last, columns, wide, values, table + k, sum + k);
        for (; k < H; k += LANES)
            sum_lanes(1, H - k, H, first, last, columns, wide, values, table + k, sum + k);
    }
}

/* out[i, k] = in[i, k], [n, H], whose neighbours in a row and in a column lie so far apart. H is the shorter side. */
static void turn(ptrdiff_t n, ptrdiff_t H, const float *restrict in, ptrdiff_t row, ptrdiff_t column,
                 float *restrict out, ptrdiff_t out_row, ptrdiff_t out_column) {
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t k = 0; k < H; k++)
            out[out_column * i + out_row * k] = in[column * i + row * k];
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
    if (wide)
        EACH_SHARE(threads, n, H, from, count, sum_share(from, count, F, H, &lists, 1, table, out, &valid));
    else
        EACH_SHARE(threads, n, H, from, count, sum_share(from, count, F, H, &lists, 0, table, out, &valid));
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
