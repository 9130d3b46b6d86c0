/* Products of rows with a matrix that all steps of a sweep share, which is laid out for that once. A library's product
 * lays its matrices out at every call, which takes longer than to multiply the few rows of a step.
 *
 * Letters: n rows, k terms of each sum, m columns. */

#ifndef GNNSEQ_PANELS_H
#define GNNSEQ_PANELS_H

#include <stddef.h>

#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif
/* A tile's sums fill the registers: TALL rows of WIDE columns. WIDE divides what panels.py rounds columns up to. DEEP
 * rows of a panel stay in a core's first cache. */
enum { TALL = 6, VECTORS = 2, WIDE = VECTORS * LANES, DEEP = 128 };

typedef float Vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* B [k, m], whose numbers are so far apart, as panels of WIDE columns, the last one filled up with zeros. */
static inline void lay_out(ptrdiff_t k, ptrdiff_t m, const float *b, ptrdiff_t down, ptrdiff_t right, float *panels) {
    for (ptrdiff_t j = 0; j < m; j += WIDE, panels += k * WIDE)
        for (ptrdiff_t i = 0; i < k; i++)
            for (ptrdiff_t w = 0; w < WIDE; w++)
                panels[WIDE * i + w] = j + w < m ? b[down * i + right * (j + w)] : 0.0f;
}

#define UNROLLED _Pragma("GCC unroll 8") /* or sums would be in memory */

/* C = A B, or C += A B, for so many rows, which are known when it is compiled, and one panel. */
static inline __attribute__((always_inline)) void multiply_tile(int rows, ptrdiff_t k, const float *a,
                                                                ptrdiff_t a_stride, const float *panel, int adds,
                                                                float *c, ptrdiff_t c_stride, ptrdiff_t width) {
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
    UNROLLED
    for (int r = 0; r < rows; r++)
        UNROLLED
        for (int v = 0; v < VECTORS; v++) {
            float *to = c + c_stride * r + LANES * v;
            const ptrdiff_t left = width - LANES * v;
            if (left >= LANES) {
                if (adds)
                    sums[r][v] += *(const Vector *)to;
                *(Vector *)to = sums[r][v];
            } else {
                float rest[LANES]; /* by subscripts of sums they would be in memory too */
                *(Vector *)rest = sums[r][v];
                for (ptrdiff_t w = 0; w < left; w++)
                    to[w] = (adds ? to[w] : 0.0f) + rest[w];
            }
        }
}

#undef UNROLLED

/* C = A B, or C += A B: A [n, k] and C [n, m], whose rows are so far apart, and B's panels. A row's numbers are the same
 * whichever rows are multiplied with it. Compiled once, at a level that is done in a third of the time and makes code as
 * fast. */
static __attribute__((noinline, optimize("O2"))) void multiply(ptrdiff_t n, ptrdiff_t k, ptrdiff_t m, const float *a,
                                               ptrdiff_t a_stride, const float *panels, int adds, float *c,
                                               ptrdiff_t c_stride) {
    for (ptrdiff_t j = 0; j < m; j += WIDE, panels += k * WIDE)
        for (ptrdiff_t i = 0; i < k; i += DEEP) {
            const ptrdiff_t deep = k - i < DEEP ? k - i : DEEP;
            ptrdiff_t rows;
            for (ptrdiff_t row = 0, tiles = (n + TALL - 1) / TALL; row < n; row += rows, tiles--) {
                const float *from = a + a_stride * row + i, *panel = panels + WIDE * i;
                float *to = c + c_stride * row + j;
                rows = (n - row + tiles - 1) / tiles; /* of about equal heights */
#define TILE(tall) \
    case tall: multiply_tile(tall, deep, from, a_stride, panel, adds || i > 0, to, c_stride, m - j); break
                switch (rows) {
                    TILE(1);
                    TILE(2);
                    TILE(3);
                    TILE(4);
                    TILE(5);
                    TILE(6);
                }
#undef TILE
            }
        }
}

#endif
