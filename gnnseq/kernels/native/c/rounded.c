/* Sweeps over paths that round the terms of products to bfloat16, and products that do so for their kernels' gradients.
 * Sums, gates and states stay in float32. A library of its own: without it the others are compiled in two thirds of the
 * time. */

#include "bfloat16.h"
#include "threads.h"

#define NAME(cell, end) cell##_rounded##end

/* C = A B + D, from a column on, which begins a panel; see multiply. The panels are those of bfloat16.h. */
static void multiply_columns(ptrdiff_t n, ptrdiff_t k, ptrdiff_t from, ptrdiff_t m, const float *a, ptrdiff_t a_stride,
                             const float *panels, const float *d, ptrdiff_t d_stride, float *c, ptrdiff_t c_stride) {
    for (ptrdiff_t i = 0; i < n && d && d != c; i++)
        memcpy(c + c_stride * i + from, d + d_stride * i + from, 4 * (size_t)m);
    multiply_rounded(n, k, m, a, a_stride, (const uint16_t *)panels + filled_up(k) * from, d != NULL, c + from, c_stride);
}

#include "paths.h"

/* The panels of a kernel [k, m], see bfloat16.h. */
void panels_rounded(ptrdiff_t k, ptrdiff_t m, const float *kernel, ptrdiff_t down, ptrdiff_t right, uint16_t *panels) {
    lay_out_rounded(k, m, kernel, down, right, panels);
}

/* C [k, m] += A^T B of rounded terms, one thread's panels of it: A [n, k], and of B and C so many panels' columns. */
static void add_panels(ptrdiff_t n, ptrdiff_t k, ptrdiff_t m, const float *a, const float *b, ptrdiff_t b_stride,
                       uint16_t *room, float *c, ptrdiff_t first, ptrdiff_t number) {
    const ptrdiff_t from = BROAD * first, columns = least(BROAD * number, m - from);
    begin_tiles();
    add_rounded(n, k, columns, a, k, b + from, b_stride, room + FAR * from, c + from, m);
    end_tiles();
}

/* All of it: of B the m columns from `b_from` on of rows that are `b_stride` long; `room` [FAR, m filled up to BROAD]. */
void add_product_rounded(ptrdiff_t threads, ptrdiff_t n, ptrdiff_t k, ptrdiff_t m, const float *a, const float *b,
                         ptrdiff_t b_from, ptrdiff_t b_stride, uint16_t *room, float *c) {
    const ptrdiff_t panels = (m + BROAD - 1) / BROAD, work = n * k / 8; /* a panel's, in numbers that cells take as long for */
    EACH_SHARE(threads, panels, work, first, number,
               add_panels(n, k, m, a, b + b_from, b_stride, room, c, first, number));
}

/* Whether this processor has instructions for it. */
int has_rounded(void) { return instructions() != NO_INSTRUCTIONS; }
