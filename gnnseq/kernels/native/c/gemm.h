/* Products by the library that torch's own are made by. */

#ifndef GNNSEQ_GEMM_H
#define GNNSEQ_GEMM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Fortran's C = alpha A B + beta C, by columns. Where its sizes have 32 bits, it reads the lower halves. */
typedef void Gemm(const char *, const char *, const int64_t *m, const int64_t *n, const int64_t *k, const float *alpha,
                  const float *a, const int64_t *lda, const float *b, const int64_t *ldb, const float *beta, float *c,
                  const int64_t *ldc);

enum { FEW = 4 }; /* rows that a library takes longer to prepare for, or shares among threads, than to multiply */

/* c = a B + beta c. beta is 0 or 1. */
static inline void multiply_row(ptrdiff_t k, ptrdiff_t m, const float *restrict a, const float *restrict b, float beta,
                                float *restrict c) {
    ptrdiff_t i = 0;
    if (beta == 0.0f)
        memset(c, 0, 4 * (size_t)m);
    for (; i + 4 <= k; i += 4) { /* c is read and written once for four rows of B */
        const float *row = b + m * i;
        for (ptrdiff_t j = 0; j < m; j++)
            c[j] += a[i] * row[j] + a[i + 1] * row[m + j] + a[i + 2] * row[2 * m + j] + a[i + 3] * row[3 * m + j];
    }
    for (; i < k; i++)
        for (ptrdiff_t j = 0; j < m; j++)
            c[j] += a[i] * b[m * i + j];
}

/* The library if it is worth calling for so many rows, else NULL. */
static inline Gemm *gemm_for(ptrdiff_t rows, Gemm *gemm) { return rows > FEW ? gemm : NULL; }

/* C = A B + beta C, by rows: A [n, k] and C [n, m], whose rows are so far apart, and B [k, m]; beta is 0 or 1. For the
 * library it is, by columns, C' = B' A' + beta C'; without one, a row is made at a time. */
static inline void multiply(Gemm *gemm, ptrdiff_t n, ptrdiff_t k, ptrdiff_t m, const float *a, ptrdiff_t a_stride,
                            const float *b, float beta, float *c, ptrdiff_t c_stride) {
    if (gemm) {
        const int64_t n_ = n, k_ = k, m_ = m, a_stride_ = a_stride, c_stride_ = c_stride;
        const float one = 1.0f;
        gemm("N", "N", &m_, &n_, &k_, &one, b, &m_, a, &a_stride_, &beta, c, &c_stride_);
        return;
    }
    for (ptrdiff_t row = 0; row < n; row++)
        multiply_row(k, m, a + a_stride * row, b, beta, c + c_stride * row);
}

#endif
