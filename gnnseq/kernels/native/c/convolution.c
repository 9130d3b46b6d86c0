/* Sums over neighbours and their product with a kernel: a block of rows is summed, multiplied and forgotten while it is in a
 * core's cache, so that the sums are never whole in memory. Threads share the rows.
 *
 * Letters: N rows, M rows of the table that are summed, F channels of it, H of the product, L of other rows. */

#define MANY_ROWS
#include "lists.h"
#include "panels.h"
#include "threads.h"

/* Mirrored in fused_convolution.py. */
typedef struct {
    ptrdiff_t threads;
    ptrdiff_t block;        /* rows that are taken together */
    ptrdiff_t N, M, F, H, L;
    ptrdiff_t size;         /* of columns and values */
    ptrdiff_t wide;         /* whether indices have 64 bits */
    const void *begin;      /* where each row's columns begin, and their number. [N + 1] */
    const void *columns;    /* [size] */
    const float *values;    /* [size] */
    const float *table;     /* [M, F] */
    const float *kernel;    /* panels of [F, H] */
    const float *bias;      /* NULL if there is none. [H] */
    float *out;             /* [N, H] */
    const float *other;     /* NULL if their product with the sums is not wanted. [N, L] */
    float *d_kernel;        /* to which sums^T other is added, for each share. [shares, F, L] */
    float *room;            /* [shares, block * (F + WIDE)] */
} Convolution;

static int one_share(const Convolution *s, ptrdiff_t share, ptrdiff_t shares, const int wide) {
    const Lists lists = {s->size, wide, s->begin, NULL, s->columns, s->values};
    const ptrdiff_t end = s->N * (share + 1) / shares, F = s->F, L = s->L;
    float *sums = s->room + s->block * (F + WIDE) * share, *panel = sums + s->block * F, *d_kernel = s->d_kernel + F * L * share;
    for (ptrdiff_t row = s->N * share / shares, n; row < end; row += n) {
        n = least(end - row, s->block);
        if (!sum_share(row, n, s->M, F, &lists, wide, s->table, sums))
            return 0;
        multiply(n, F, s->H, sums, F, s->kernel, s->bias, 0, s->out + s->H * row, s->H);
        for (ptrdiff_t j = 0; s->other && j < L; j += WIDE) {
            const ptrdiff_t m = least(L - j, WIDE);
            lay_out(n, m, s->other + L * row + j, L, 1, panel);
            multiply_transposed(F, n, m, sums, F, panel, d_kernel + j, L, d_kernel + j, L);
        }
    }
    return 1;
}

/* 0 where a row has columns that are not there. */
int convolution(const Convolution *s) {
    const ptrdiff_t shares = s->N * s->F < LEAST_NUMBERS ? 1 : s->threads;
    if (shares == 1) /* not in a team of one thread: see threads.h */
        return s->wide ? one_share(s, 0, 1, 1) : one_share(s, 0, 1, 0);
    int valid = 1;
#pragma omp parallel for num_threads((int)shares) reduction(&& : valid)
    for (ptrdiff_t share = 0; share < shares; share++)
        valid = (s->wide ? one_share(s, share, shares, 1) : one_share(s, share, shares, 0)) && valid;
    return valid;
}

/* The panels of a kernel [k, m], see panels.h. */
void panels_convolution(ptrdiff_t k, ptrdiff_t m, const float *kernel, ptrdiff_t down, ptrdiff_t right, float *panels) {
    lay_out(k, m, kernel, down, right, panels);
}
