/* Products of rows with a matrix that all steps of a sweep share, which is laid out for that once. A library's product
 * lays its matrices out at every call, which takes longer than to multiply the few rows of a step.
 *
 * Letters: n rows, k terms of each sum, m columns. */

#ifndef GNNSEQ_PANELS_H
#define GNNSEQ_PANELS_H

#include <stddef.h>

/* A tile's sums fill the registers, of which AVX-512 has 32: TALL rows of WIDE columns. WIDE divides what panels.py rounds
 * columns up to. DEEP rows of a panel stay in a core's first cache, or come from the second while taller tiles multiply. */
#if defined(__AVX512F__)
enum { LANES = 16, TALL = 14, DEEP = 512 };
#elif defined(__AVX__)
enum { LANES = 8, TALL = 6, DEEP = 128 };
#else
enum { LANES = 4, TALL = 6, DEEP = 128 };
#endif
enum { VECTORS = 2, WIDE = VECTORS * LANES };

typedef float Vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* B [k, m], whose numbers are so far apart, as panels of WIDE columns, the last one filled up with zeros. */
static inline void lay_out(ptrdiff_t k, ptrdiff_t m, const float *b, ptrdiff_t down, ptrdiff_t right, float *panels) {
    for (ptrdiff_t j = 0; j < m; j += WIDE, panels += k * WIDE)
        for (ptrdiff_t i = 0; i < k; i++)
            for (ptrdiff_t w = 0; w < WIDE; w++)
                panels[WIDE * i + w] = j + w < m ? b[down * i + right * (j + w)] : 0.0f;
}

#define UNROLLED _Pragma("GCC unroll 14") /* or sums would be in memory */

/* C = A B + D for so many rows, which are known when it is compiled, and one panel. */
static inline __attribute__((always_inline)) void multiply_tile(int rows, ptrdiff_t k, const float *a,
                                                                ptrdiff_t a_stride, const float *panel, const float *d,
                                                                ptrdiff_t d_stride, float *c, ptrdiff_t c_stride,
                                                                ptrdiff_t width) {
    Vector sums[TALL][VECTORS];
    UNROLLED
    for (int r = 0; r < rows; r++)
        UNROLLED
        for (int v = 0; v < VECTORS; v++)
            sums[r][v] = (Vector){0};
    for (ptrdiff_t i = 0; i < k; i++, panel += WIDE)
        UNROLLED
        for (int r = 0; r < rows; r++)
            UNROLLED
            for (int v = 0; v < VECTORS; v++)
                sums[r][v] += a[a_stride * r + i] * *(const Vector *)(panel + LANES * v);
    if (width >= WIDE) {
        UNROLLED
        for (int r = 0; r < rows; r++)
            UNROLLED
            for (int v = 0; v < VECTORS; v++) {
                if (d)
                    sums[r][v] += *(const Vector *)(d + d_stride * r + LANES * v);
                *(Vector *)(c + c_stride * r + LANES * v) = sums[r][v];
            }
        return;
    }
    float all[TALL][WIDE];
    UNROLLED
    for (int r = 0; r < rows; r++)
        UNROLLED
        for (int v = 0; v < VECTORS; v++)
            *(Vector *)(all[r] + LANES * v) = sums[r][v];
    for (int r = 0; r < rows; r++)
        for (ptrdiff_t w = 0; w < width; w++)
            c[c_stride * r + w] = (d ? d[d_stride * r + w] : 0.0f) + all[r][w];
}

#undef UNROLLED

/* C = A B + D: A [n, k], C [n, m] and D, whose rows are so far apart, 0 if it has one row for all, or NULL; and B's panels.
 * A row's numbers are the same whichever rows are multiplied with it. Compiled once, at a level that is done in a third
 * of the time and makes code as fast. */
static __attribute__((noinline, unused, optimize("O2"))) void multiply(ptrdiff_t n, ptrdiff_t k, ptrdiff_t m, const float *a,
                                                               ptrdiff_t a_stride, const float *panels, const float *d,
                                                               ptrdiff_t d_stride, float *c, ptrdiff_t c_stride) {
    for (ptrdiff_t j = 0; j < m; j += WIDE, panels += k * WIDE)
        for (ptrdiff_t i = 0; i < k; i += DEEP) {
            const ptrdiff_t deep = k - i < DEEP ? k - i : DEEP;
            ptrdiff_t rows;
            for (ptrdiff_t row = 0, tiles = (n + TALL - 1) / TALL; row < n; row += rows, tiles--) {
                const float *from = a + a_stride * row + i, *panel = panels + WIDE * i;
                float *to = c + c_stride * row + j;
                const float *plus = i > 0 ? to : d ? d + d_stride * row + j : NULL;
                const ptrdiff_t plus_stride = i > 0 ? c_stride : d_stride;
                rows = (n - row + tiles - 1) / tiles; /* of about equal heights */
#define TILE(tall) \
    case tall: multiply_tile(tall, deep, from, a_stride, panel, plus, plus_stride, to, c_stride, m - j); break
                switch (rows) {
                    TILE(1);
                    TILE(2);
                    TILE(3);
                    TILE(4);
                    TILE(5);
                    TILE(6);
#if defined(__AVX512F__)
                    TILE(7);
                    TILE(8);
                    TILE(9);
                    TILE(10);
                    TILE(11);
                    TILE(12);
                    TILE(13);
                    TILE(14);
#endif
                }
#undef TILE
            }
        }
}

#endif
