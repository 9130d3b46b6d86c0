/* Sweeps over paths in float32. */

#include "panels.h"

#define NAME(cell, end) cell##_paths##end

static inline void begin_tiles(void) {}
static inline void end_tiles(void) {}

/* C = A B + D, from a column on, which begins a panel; see multiply. */
static void multiply_columns(ptrdiff_t n, ptrdiff_t k, ptrdiff_t from, ptrdiff_t m, const float *a, ptrdiff_t a_stride,
                             const float *panels, const float *d, ptrdiff_t d_stride, float *c, ptrdiff_t c_stride) {
    multiply(n, k, m, a, a_stride, panels + k * from, d ? d + from : NULL, d_stride, c + from, c_stride);
}

#include "paths.h"

/* The panels of a kernel [k, m], see panels.h. */
void panels_paths(ptrdiff_t k, ptrdiff_t m, const float *kernel, ptrdiff_t down, ptrdiff_t right, float *panels) {
    lay_out(k, m, kernel, down, right, panels);
}
