/* Cells of rows that nodes of one step have read, for kernels that go from frontier to frontier.
 *
 * Letters: n rows, H hidden channels; arguments as in cells.h. */

#include "cells.h"
#include "threads.h"

void lstm_forward(ptrdiff_t threads, ptrdiff_t n, ptrdiff_t H, float *gates, const float *c_before, float *c,
                  float *tanh_c, float *h) {
    EACH_SHARE(threads, n, H, from, rows,
               lstm_fire(rows, H, H, gates + 4 * H * from, c_before + H * from, c + H * from, tanh_c + H * from,
                         h + H * from));
}

void tanh_forward(ptrdiff_t threads, ptrdiff_t n, ptrdiff_t H, float *sums) {
    EACH_SHARE(threads, n, H, from, rows, tanh_fire(rows, H, H, sums + H * from));
}

void gru_forward(ptrdiff_t threads, ptrdiff_t n, ptrdiff_t H, float *gates, const float *product, const float *bias,
                 const float *read, float *inner, float *h) {
    EACH_SHARE(threads, n, H, from, rows,
               gru_fire(rows, H, H, gates + 3 * H * from, product + 3 * H * from, bias, read + H * from,
                        inner + H * from, h + H * from));
}

void gru_backward(ptrdiff_t threads, ptrdiff_t n, ptrdiff_t H, const float *gates, const float *inner,
                  const float *read, const float *d_h, float *d_all, float *d_kept) {
    EACH_SHARE(threads, n, H, from, rows,
               gru_fire_back(rows, H, H, gates + 3 * H * from, inner + H * from, read + H * from, d_h + H * from,
                             d_all + 4 * H * from, d_kept + H * from));
}
