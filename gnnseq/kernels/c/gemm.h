/* Products by the library that torch's own are made by. */

#ifndef GNNSEQ_GEMM_H
#define GNNSEQ_GEMM_H

#include <stddef.h>
#include <stdint.h>

/* Fortran's C = alpha A B + beta C, by columns. Where its sizes have 32 bits, it reads the lower halves. */
typedef void Gemm(const char *, const char *, const int64_t *m, const int64_t *n, const int64_t *k, const float *alpha,
                  const float *a, const int64_t *lda, const float *b, const int64_t *ldb, const float *beta, float *c,
                  const int64_t *ldc);

/* C = A B + beta C, by rows: A [n, k] and C [n, m], whose rows are so far apart, and B [k, m]. By columns it is
 * C' = B' A' + beta C'. */
static inline void multiply(Gemm *gemm, ptrdiff_t n, ptrdiff_t k, ptrdiff_t m, const float *a, ptrdiff_t a_stride,
                            const float *b, float beta, float *c, ptrdiff_t c_stride) {
    const int64_t n_ = n, k_ = k, m_ = m, a_stride_ = a_stride, c_stride_ = c_stride;
    const float one = 1.0f;
    gemm("N", "N", &m_, &n_, &k_, &one, b, &m_, a, &a_stride_, &beta, c, &c_stride_);
}

#endif
