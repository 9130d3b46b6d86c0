/* GRU cells of many rows that do not wait for one another, with their products, and all gradients: each thread takes some
 * of the rows through, a block at a time, which stays in its core's cache from the first product to the last.
 *
 * Letters: N rows, H hidden channels, I channels of what comes in besides the state. Gates lie in the order r, z, n, and
 * gradients of sums in the order of n's inner sum, r, z, n. */

#define MANY_ROWS
#include "cells.h"
#include "panels.h"
#include "threads.h"

/* Mirrored in gru_rows.py. */
typedef struct {
    ptrdiff_t threads;
    ptrdiff_t block;            /* rows that are taken together */
    ptrdiff_t N, H, I;
    const float *input;         /* NULL where gates are filled already. [N, I] */
    const float *input_kernel;  /* panels: forward [I, 3H], backward [3H, I] */
    const float *input_bias;    /* NULL if there is none. [3H] */
    const float *read;          /* the state that is read; NULL if it is zero. [N, H] */
    const float *kernel;        /* panels: forward [H, 3H], backward [3H, H], of n, r, z */
    const float *bias;          /* of n's inner sum. [H] */
    float *gates;               /* [N, 3H] */
    float *inner, *h;           /* [N, H] */
    const float *d_h;           /* [N, H] */
    float *d_read, *d_input;    /* NULL if not needed. [N, H], [N, I] */
    float *d_gates;             /* NULL, or what gradients of r's, z's and n's sums are added to. [N, 3H] */
    float *d_kernel;            /* of each share: of n, r, z; what is there is added to. [shares, H, 3H] */
    float *d_input_kernel;      /* [shares, I, 3H] */
    float *d_sums;              /* over all rows. [shares, 4H] */
    float *room;                /* [shares, room_of] */
} Rows;

/* What a share needs: a block's product or gradients of sums and their total, a zero state and its gradient, and a panel. */
static ptrdiff_t room_of(const Rows *s) { return s->block * (6 * s->H + WIDE) + 4 * s->H; }

static void take(const Rows *s, ptrdiff_t begin, ptrdiff_t n, float *room) {
    const ptrdiff_t H = s->H;
    float *gates = s->gates + 3 * H * begin, *product = room, *zero = room + 3 * H * s->block;
    const float *read = s->read ? s->read + H * begin : zero;
    if (s->input)
        multiply(n, s->I, 3 * H, s->input + s->I * begin, s->I, s->input_kernel, s->input_bias, 0, gates, 3 * H);
    if (s->read)
        multiply(n, H, 3 * H, read, H, s->kernel, NULL, 0, product, 3 * H);
    else
        memset(room, 0, 4 * (size_t)(4 * H * s->block));
    gru_fire(n, H, H, gates, product, s->bias, read, s->inner + H * begin, s->h + H * begin);
}

/* C [k, 3H] += A^T B: of B n rows of 4H numbers, which become panels in `room`. */
static void add_product(const Rows *s, ptrdiff_t n, ptrdiff_t k, const float *a, const float *b, float *room, float *c) {
    const ptrdiff_t width = 3 * s->H;
    for (ptrdiff_t j = 0; j < width; j += WIDE) {
        const ptrdiff_t m = least(width - j, WIDE);
        lay_out(n, m, b + j, 4 * s->H, 1, room);
        multiply_transposed(k, n, m, a, k, room, c + j, width, c + j, width);
    }
}

static void take_back(const Rows *s, ptrdiff_t begin, ptrdiff_t n, ptrdiff_t share, float *room) {
    const ptrdiff_t H = s->H, I = s->I;
    float *total = room, *d_all = total + 4 * H, *zero = d_all + 4 * H * s->block, *panel = zero + 2 * H * s->block;
    const float *gates = s->gates + 3 * H * begin, *read = s->read ? s->read + H * begin : zero;
    float *d_read = s->d_read ? s->d_read + H * begin : zero + H * s->block, *d_sums = s->d_sums + 4 * H * share;
    if (!s->read)
        memset(zero, 0, 4 * (size_t)(H * s->block));
    gru_fire_back(n, H, H, gates, s->inner + H * begin, read, s->d_h + H * begin, d_all, d_read);
    memset(total, 0, 4 * (size_t)(4 * H));
    for (ptrdiff_t i = 0; i < n; i++)
#pragma omp simd
        for (ptrdiff_t j = 0; j < 4 * H; j++)
            total[j] += d_all[4 * H * i + j];
    for (ptrdiff_t j = 0; j < 4 * H; j++)
        d_sums[j] += total[j];
    if (s->read && s->d_read)
        multiply(n, 3 * H, H, d_all, 4 * H, s->kernel, d_read, H, d_read, H);
    if (s->read)
        add_product(s, n, H, read, d_all, panel, s->d_kernel + 3 * H * H * share);
    if (s->d_input)
        multiply(n, 3 * H, I, d_all + H, 4 * H, s->input_kernel, NULL, 0, s->d_input + I * begin, I);
    if (s->input)
        add_product(s, n, I, s->input + I * begin, d_all + H, panel, s->d_input_kernel + 3 * H * I * share);
    for (ptrdiff_t i = 0; i < n && s->d_gates; i++)
#pragma omp simd
        for (ptrdiff_t j = 0; j < 3 * H; j++)
            s->d_gates[3 * H * (begin + i) + j] += d_all[4 * H * i + H + j];
}

static void one_share(const Rows *s, ptrdiff_t share, ptrdiff_t shares, int back) {
    const ptrdiff_t end = s->N * (share + 1) / shares;
    float *room = s->room + room_of(s) * share;
    for (ptrdiff_t begin = s->N * share / shares, n; begin < end; begin += n) {
        n = least(end - begin, s->block);
        if (back)
            take_back(s, begin, n, share, room);
        else
            take(s, begin, n, room);
    }
}

static void sweep(const Rows *s, int back) {
    if (s->threads == 1 || s->N * s->H < LEAST_NUMBERS) { /* not in a team of one thread: see threads.h */
        one_share(s, 0, 1, back);
        return;
    }
#pragma omp parallel for num_threads((int)s->threads)
    for (ptrdiff_t share = 0; share < s->threads; share++)
        one_share(s, share, s->threads, back);
}

void gru_rows(const Rows *s) { sweep(s, 0); }
void gru_rows_back(const Rows *s) { sweep(s, 1); }

/* The panels of a kernel [k, m], see panels.h. */
void panels_gru(ptrdiff_t k, ptrdiff_t m, const float *kernel, ptrdiff_t down, ptrdiff_t right, float *panels) {
    lay_out(k, m, kernel, down, right, panels);
}
