/* Products of rows with a matrix that all steps of a sweep share, which is laid out for that once. A library's product
 * lays its matrices out at every call, which takes longer than to multiply the few rows of a step.
 *
 * Letters: n rows, k terms of each sum, m columns. */

#ifndef GNNSEQ_PANELS_H
#define GNNSEQ_PANELS_H

#include "lanes.h"

/* A tile's sums fill the registers, of which AVX-512 has 32: TALL rows of WIDE columns. WIDE divides what panels.py rounds
 * columns up to. DEEP rows of a panel stay in a core's first cache, or come from the second while taller tiles multiply. */
#if defined(__AVX512F__)
enum { TALL = 14, DEEP = 512 };
#else
enum { TALL = 6, DEEP = 128 };
#endif
enum { VECTORS = 2, WIDE = VECTORS * LANES };

/* B [k, m], whose numbers are so far apart, as panels of WIDE columns, the last one filled up with zeros. */
static inline void lay_out(ptrdiff_t k, ptrdiff_t m, const float *b, ptrdiff_t down, ptrdiff_t right, float *panels) {
    for (ptrdiff_t j = 0; j < m; j += WIDE, panels += k * WIDE) {
        const int whole = right == 1 && j + WIDE <= m;
        for (ptrdiff_t i = 0; whole && i < k; i++)
            memcpy(panels + WIDE * i, b + down * i + j, 4 * WIDE);
        for (ptrdiff_t i = 0; !whole && i < k; i++)
            for (ptrdiff_t w = 0; w < WIDE; w++)
                panels[WIDE * i + w] = j + w < m ? b[down * i + right * (j + w)] : 0.0f;
    }
}

#define UNROLLED _Pragma("GCC unroll 14") /* or sums would be in memory */

/* What of a tile's sums [rows, WIDE] there are columns for. */
static __attribute__((noinline, unused)) void write_rest(int rows, ptrdiff_t width, const float *sums, const float *d,
                                                         ptrdiff_t d_stride, float *c, ptrdiff_t c_stride) {
    for (int r = 0; r < rows; r++)
        for (ptrdiff_t w = 0; w < width; w++)
            c[c_stride * r + w] = (d ? d[d_stride * r + w] : 0.0f) + sums[WIDE * r + w];
}

/* C = A B + D for so many rows and vectors of columns, which are known when it is compiled, and one panel. */
static inline __attribute__((always_inline)) void multiply_tile(int rows, int vectors, ptrdiff_t k, const float *a,
                                                                ptrdiff_t a_stride, ptrdiff_t a_step,
                                                                const float *panel, const float *d, ptrdiff_t d_stride,
                                                                float *c, ptrdiff_t c_stride, ptrdiff_t width) {
    Lanes sums[TALL][VECTORS];
    UNROLLED
    for (int r = 0; r < rows; r++)
        UNROLLED
        for (int v = 0; v < vectors; v++)
            sums[r][v] = (Lanes){0};
    for (ptrdiff_t i = 0; i < k; i++, panel += WIDE)
        UNROLLED
        for (int r = 0; r < rows; r++)
            UNROLLED
            for (int v = 0; v < vectors; v++)
                sums[r][v] += a[a_stride * r + a_step * i] * *(const Lanes *)(panel + LANES * v);
    if (width >= LANES * vectors) {
        UNROLLED
        for (int r = 0; r < rows; r++)
            UNROLLED
            for (int v = 0; v < vectors; v++) {
                if (d)
                    sums[r][v] += *(const Lanes *)(d + d_stride * r + LANES * v);
                *(Lanes *)(c + c_stride * r + LANES * v) = sums[r][v];
            }
        return;
    }
    float all[TALL][WIDE];
    UNROLLED
    for (int r = 0; r < rows; r++)
        UNROLLED
        for (int v = 0; v < vectors; v++)
            *(Lanes *)(all[r] + LANES * v) = sums[r][v];
    write_rest(rows, width, all[0], d, d_stride, c, c_stride);
}

#undef UNROLLED

#define TILE(tall, vectors) \
    case tall: multiply_tile(tall, vectors, deep, from, a_stride, a_step, panel, plus, plus_stride, to, c_stride, m - j); break;

/* Each height is compiled by itself. Of hundreds of rows few are left to low tiles, so that some heights do, and there is
 * time for tiles of one vector. A few rows are cut into tiles of about equal heights. */
#if defined(MANY_ROWS) && defined(__AVX512F__)
#define TILES(vectors) \
    switch (rows) { TILE(1, vectors) TILE(2, vectors) TILE(4, vectors) TILE(7, vectors) TILE(14, vectors) }
static inline ptrdiff_t next_height(ptrdiff_t left) { return left >= 14 ? 14 : left >= 7 ? 7 : left >= 4 ? 4 : left >= 2 ? 2 : 1; }
#elif defined(MANY_ROWS)
#define TILES(vectors) \
    switch (rows) { TILE(1, vectors) TILE(2, vectors) TILE(4, vectors) TILE(6, vectors) }
static inline ptrdiff_t next_height(ptrdiff_t left) { return left >= 6 ? 6 : left >= 4 ? 4 : left >= 2 ? 2 : 1; }
#else
#if defined(__AVX512F__)
#define TALL_TILES(vectors) \
    TILE(7, vectors) TILE(8, vectors) TILE(9, vectors) TILE(10, vectors) TILE(11, vectors) TILE(12, vectors) \
    TILE(13, vectors) TILE(14, vectors)
#else
#define TALL_TILES(vectors)
#endif
#define TILES(vectors) \
    switch (rows) { \
        TILE(1, vectors) TILE(2, vectors) TILE(3, vectors) TILE(4, vectors) TILE(5, vectors) TILE(6, vectors) \
        TALL_TILES(vectors) \
    }
static inline ptrdiff_t next_height(ptrdiff_t left) {
    const ptrdiff_t tiles = (left + TALL - 1) / TALL;
    return (left + tiles - 1) / tiles;
}
#endif

/* C = A B + D, where a step along A's row or its column is known when it is compiled. */
static inline __attribute__((always_inline)) void multiply_along(ptrdiff_t n, ptrdiff_t k, ptrdiff_t m, const float *a,
                                                                 ptrdiff_t a_stride, ptrdiff_t a_step,
                                                                 const float *panels, const float *d,
                                                                 ptrdiff_t d_stride, float *c, ptrdiff_t c_stride) {
    for (ptrdiff_t j = 0; j < m; j += WIDE, panels += k * WIDE)
        for (ptrdiff_t i = 0; i == 0 || i < k; i += DEEP) { /* of no terms too C is D */
            const ptrdiff_t deep = k - i < DEEP ? k - i : DEEP;
            ptrdiff_t rows;
            for (ptrdiff_t row = 0; row < n; row += rows) {
                const float *from = a + a_stride * row + a_step * i, *panel = panels + WIDE * i;
                float *to = c + c_stride * row + j;
                const float *plus = i > 0 ? to : d ? d + d_stride * row + j : NULL;
                const ptrdiff_t plus_stride = i > 0 ? c_stride : d_stride;
                rows = next_height(n - row);
#if defined(MANY_ROWS)
                if (m - j <= LANES)
                    TILES(1)
                else
#endif
                    TILES(VECTORS)
            }
        }
}

#undef TILES
#undef TILE

/* C = A B + D: A [n, k], C [n, m] and D, whose rows are so far apart, 0 if it has one row for all, or NULL; and B's panels.
 * A row's numbers are the same whichever rows are multiplied with it. Compiled once, at a level that is done in a third
 * of the time and makes code as fast. */
static __attribute__((noinline, unused, optimize("O2"))) void multiply(
    ptrdiff_t n, ptrdiff_t k, ptrdiff_t m, const float *a, ptrdiff_t a_stride, const float *panels, const float *d,
    ptrdiff_t d_stride, float *c, ptrdiff_t c_stride) {
    multiply_along(n, k, m, a, a_stride, 1, panels, d, d_stride, c, c_stride);
}

/* The same of A's transpose: A [k, n]. */
static __attribute__((noinline, unused, optimize("O2"))) void multiply_transposed(
    ptrdiff_t n, ptrdiff_t k, ptrdiff_t m, const float *a, ptrdiff_t a_stride, const float *panels, const float *d,
    ptrdiff_t d_stride, float *c, ptrdiff_t c_stride) {
    multiply_along(n, k, m, a, 1, a_stride, panels, d, d_stride, c, c_stride);
}

#endif
