/* Sweeps over paths: paths.c and rounded.c include them after the products that they are to use. Threads share the paths,
 * each taken from its first step to its last, so that no step waits for another thread, and what a path carries stays in
 * one core's cache. Where a share would be a few rows, of which tiles of a product are low, threads share the channels,
 * each with its columns of the kernel, and wait for one another once a step.
 *
 * Nodes are numbered step by step; in each, the paths that live on are the first rows of the step before.
 *
 * Letters: T steps, B paths, N nodes, H hidden channels, S states, G gates, D gradients of sums; n paths of a step, from
 * path p on, and m channels, from channel k on. */

#ifndef GNNSEQ_PATHS_H
#define GNNSEQ_PATHS_H

#include <limits.h>

#include "cells.h"
#include "panels.h"
#include "threads.h"

enum { LEAST_PATHS = 4, LEAST_KERNEL = 1 << 16 }; /* that a thread is worth; numbers of a kernel that a wait is worth */
/* Rows from which a tile is hardly faster, and numbers of a kernel that a core's cache does not hold whole. With AVX-512 a
 * step is so short that to wait, and to fetch what another core wrote, is more than taller tiles save. */
#if defined(__AVX512F__)
enum { TALL_ENOUGH = 4, LARGE_KERNEL = 1 << 19 };
#else
enum { TALL_ENOUGH = TALL, LARGE_KERNEL = INT_MAX };
#endif

/* Mirrored in fused_path.py. */
typedef struct {
    ptrdiff_t threads;
    ptrdiff_t begin, end;           /* steps begin..end-1 */
    ptrdiff_t N, B, H;
    ptrdiff_t reads_first;          /* whether the first step's nodes read `first` */
    const int64_t *offsets;         /* the first node of each step, and N. [T + 1] */
    const float *kernel;            /* panels: forward [H, G * H], backward [reading D * H, H] */
    const float *bias;              /* of a GRU's inner product. [H] */
    const float *first;             /* [S, B, H] */
    float *scratch;                 /* a GRU's products with the states that are read. [B, 3H] */
    ptrdiff_t F;
    const float *x;                 /* [N, F] */
    const int64_t *index;           /* in place of x. [N] */
    const float *input_kernel;      /* panels: forward [F, G * H], or the table of projections [., G * H], backward [G * H, F] */
    const float *input_bias;        /* NULL if there is none. [G * H] */
    float *gates;                   /* [N, G * H] */
    float *h, *c, *tanh_c, *inner;  /* [N, H] */
    /* Where no gradients are wanted, all but h is one step's: gates [B, G * H], inner [B, H], and c [B, H], which begins
     * as the first c. */
    ptrdiff_t forgets;
    const float *d_h;               /* [N, H] */
    float *flow;                    /* gradients on their way to the step before. [S, B, H] */
    float *d_sums;                  /* of the nodes of the steps begin..end-1. [., D * H] */
    float *d_x;                     /* NULL if none is needed. [N, F] */
} Sweep;

/* A thread's share of step t. */
typedef struct {
    ptrdiff_t t, p, n, k, m;
    ptrdiff_t first, last; /* of the rows p..p+n-1, those whose gradients this thread sends back to x */
} Part;

/* What is done in a step with sums and states of the part's own channels, and then with those of all its channels. */
typedef struct {
    void (*own)(const Sweep *s, Part part);
    void (*all)(const Sweep *s, Part part);
    ptrdiff_t gates;
} Act;

static ptrdiff_t alive(const Sweep *s, ptrdiff_t t) { return s->offsets[t + 1] - s->offsets[t]; }

/* Whether step t's nodes read anything. */
static int reads(const Sweep *s, ptrdiff_t t) { return t > 0 || s->reads_first; }

/* The states that paths read, from path p on: those of the step before, or the first ones. */
static const float *before(const Sweep *s, ptrdiff_t t, ptrdiff_t p, const float *nodes, int state) {
    return t > 0 ? nodes + s->H * (s->offsets[t - 1] + p) : s->first + s->H * (state * alive(s, 0) + p);
}

/* Share number `share` of so many, in units of so many. */
static ptrdiff_t share_of(ptrdiff_t all, ptrdiff_t unit, ptrdiff_t share, ptrdiff_t shares) {
    return least(all, (all + unit - 1) / unit * share / shares * unit);
}

/* Takes the paths from `first_path` to `end` through all steps: all their channels, or one of so many shares of them. */
static void follow(const Sweep *s, const Act *act, int back, ptrdiff_t first_path, ptrdiff_t end, ptrdiff_t share,
                   ptrdiff_t shares) {
    Part part = {.p = first_path, .k = share_of(s->H, WIDE, share, shares)};
    part.m = share_of(s->H, WIDE, share + 1, shares) - part.k;
    begin_tiles();
    for (ptrdiff_t step = 0; step < s->end - s->begin; step++) {
        part.t = back ? s->end - 1 - step : s->begin + step;
        part.n = least(alive(s, part.t), end) - first_path;
        if (part.n <= 0)
            continue;
        part.first = share_of(part.n, 1, share, shares), part.last = share_of(part.n, 1, share + 1, shares);
        act->own(s, part);
        if (shares > 1)
            wait_for_team();
        if (act->all)
            act->all(s, part);
    }
    end_tiles();
}

/* The path before which `share` of so many equal shares of all nodes lie. */
static ptrdiff_t cut(const Sweep *s, ptrdiff_t share, ptrdiff_t shares) {
    const ptrdiff_t nodes = s->offsets[s->end] - s->offsets[s->begin];
    ptrdiff_t low = 0, high = alive(s, s->begin);
    while (low < high) {
        const ptrdiff_t middle = (low + high) / 2;
        ptrdiff_t within = 0;
        for (ptrdiff_t t = s->begin; t < s->end; t++)
            within += least(alive(s, t), middle);
        if (within * shares < nodes * share)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Whether each step's rows are within those of the step before, and of the memory given. */
static int fits(const Sweep *s) {
    if (s->offsets[0] != 0 || alive(s, 0) != s->B)
        return 0;
    for (ptrdiff_t t = s->begin; t < s->end; t++)
        if (alive(s, t) < 0 || s->offsets[t] < 0 || s->offsets[t + 1] > s->N || (t > 0 && alive(s, t) > alive(s, t - 1)))
            return 0;
    return 1;
}

/* Rows of a tile, if there are so many in all. */
static double height(double rows) {
    const ptrdiff_t tiles = (ptrdiff_t)((rows + TALL - 1) / TALL);
    const double tall = tiles > 1 ? rows / (double)tiles : rows;
    return tall < TALL_ENOUGH ? tall : TALL_ENOUGH;
}

/* Whether threads share the channels: if their shares are equal, and tiles become a fifth taller, or the rows are few and
 * a core's cache does not hold the kernel but a share of it. */
static int shares_channels(const Sweep *s, const Act *act) {
    const double rows = (double)(s->offsets[s->end] - s->offsets[s->begin]) / (double)(s->end - s->begin);
    const ptrdiff_t kernel = act->gates * s->H * s->H;
    if (s->H % (WIDE * s->threads) != 0 || kernel < LEAST_KERNEL)
        return 0;
    const double few = (double)((kernel < LARGE_KERNEL ? 1 : 4) * LEAST_PATHS * s->threads);
    return rows < few || height(rows) > 1.2 * height(rows / (double)s->threads);
}

/* 0 where the steps are not those of paths. */
static int sweep(const Sweep *s, const Act *act, int back) {
    if (!fits(s))
        return 0;
    const ptrdiff_t paths = alive(s, s->begin);
    const int channels = shares_channels(s, act);
    const ptrdiff_t shares = channels ? s->threads : least(s->threads, paths / LEAST_PATHS);
    if (shares <= 1) { /* not in a team of one thread: see threads.h */
        follow(s, act, back, 0, paths, 0, 1);
        return 1;
    }
    if (channels) {
#pragma omp parallel num_threads((int)shares)
        follow(s, act, back, 0, paths, member_of_team(), size_of_team());
        return 1;
    }
#pragma omp parallel for num_threads((int)shares)
    for (ptrdiff_t share = 0; share < shares; share++)
        follow(s, act, back, cut(s, share, shares), cut(s, share + 1, shares), 0, 1);
    return 1;
}

/* C = A B + D for the part's channels in each of so many gates. A's and C's rows are those of nodes; D's are so far apart, 0 if
 * it has one for all, or it is NULL. */
static void multiply_part(const Sweep *s, Part part, ptrdiff_t gates, ptrdiff_t terms, const float *a,
                          ptrdiff_t a_stride, const float *panels, const float *d, ptrdiff_t d_stride, float *c) {
    const ptrdiff_t H = s->H;
    if (part.m == H)
        multiply_columns(part.n, terms, 0, gates * H, a, a_stride, panels, d, d_stride, c, gates * H);
    else
        for (ptrdiff_t g = 0, from = part.k; g < gates; g++, from += H)
            multiply_columns(part.n, terms, from, part.m, a, a_stride, panels, d, d_stride, c, gates * H);
}

/* Writes input projections, from a node on: they are made when they are used, and so are in cache. */
static void project(const Sweep *s, Part part, ptrdiff_t node, ptrdiff_t gates, float *sums) {
    const ptrdiff_t H = s->H, width = gates * H;
    if (!s->index) {
        multiply_part(s, part, gates, s->F, s->x + s->F * node, s->F, s->input_kernel, s->input_bias, 0, sums);
        return;
    }
    const ptrdiff_t end = part.m == H ? H : width, m = part.m == H ? width : part.m;
    for (ptrdiff_t i = 0; i < part.n; i++)
        for (ptrdiff_t from = part.k; from < end; from += H)
            memcpy(sums + width * i + from, s->input_kernel + width * s->index[node + i] + from, 4 * (size_t)m);
}

/* Sends gradients of projections, in rows so far apart, back to x. */
static void project_back(const Sweep *s, Part part, ptrdiff_t node, ptrdiff_t width, const float *d_sums,
                         ptrdiff_t stride) {
    if (s->d_x)
        multiply_columns(part.last - part.first, width, 0, s->F, d_sums + stride * part.first, stride,
                         s->input_kernel, NULL, 0, s->d_x + s->F * (node + part.first), s->F);
}

static void lstm(const Sweep *s, Part part) {
    const ptrdiff_t H = s->H, t = part.t, p = part.p, k = part.k, node = s->offsets[t] + p;
    const ptrdiff_t row = s->forgets ? p : node;
    float *gates = s->gates + 4 * H * row, *h = s->h + H * node + k, *c = s->c + H * row + k;
    project(s, part, node, 4, gates);
    if (reads(s, t))
        multiply_part(s, part, 4, H, before(s, t, p, s->h, 0), H, s->kernel, gates, 4 * H, gates);
    if (s->forgets)
        lstm_fire(part.n, H, part.m, gates + k, c, c, h, h);
    else
        lstm_fire(part.n, H, part.m, gates + k, before(s, t, p, s->c, 1) + k, c, s->tanh_c + H * row + k, h);
}

static void lstm_back(const Sweep *s, Part part) {
    const ptrdiff_t H = s->H, t = part.t, p = part.p, k = part.k, row = s->offsets[t] + p, at = H * row + k;
    float *flow_h = s->flow + H * p + k, *flow_c = flow_h + H * alive(s, 0);
    float *d_gates = s->d_sums + 4 * H * (row - s->offsets[s->begin]) + k;
    lstm_fire_back(part.n, H, part.m, s->gates + 4 * H * row + k, before(s, t, p, s->c, 1) + k, s->tanh_c + at,
                   s->d_h + at, flow_h, flow_c, d_gates);
}

static void lstm_send(const Sweep *s, Part part) {
    const ptrdiff_t H = s->H, row = s->offsets[part.t] + part.p;
    const float *d_gates = s->d_sums + 4 * H * (row - s->offsets[s->begin]);
    if (reads(s, part.t))
        multiply_part(s, part, 1, 4 * H, d_gates, 4 * H, s->kernel, NULL, 0, s->flow + H * part.p);
    project_back(s, part, row, 4 * H, d_gates, 4 * H);
}

static void gru(const Sweep *s, Part part) {
    const ptrdiff_t H = s->H, t = part.t, p = part.p, k = part.k, node = s->offsets[t] + p;
    const ptrdiff_t row = s->forgets ? p : node;
    float *product = s->scratch + 3 * H * p, *gates = s->gates + 3 * H * row;
    const float *read = before(s, t, p, s->h, 0);
    project(s, part, node, 3, gates);
    if (reads(s, t))
        multiply_part(s, part, 3, H, read, H, s->kernel, NULL, 0, product);
    gru_fire(part.n, H, part.m, gates + k, product + k, s->bias + k, read + k, s->inner + H * row + k,
             s->h + H * node + k);
}

static void gru_back(const Sweep *s, Part part) {
    const ptrdiff_t H = s->H, t = part.t, p = part.p, k = part.k, row = s->offsets[t] + p, at = H * row + k;
    float *flow = s->flow + H * p + k, *d_all = s->d_sums + 4 * H * (row - s->offsets[s->begin]) + k;
    for (ptrdiff_t i = 0; i < part.n; i++)
        for (ptrdiff_t j = 0; j < part.m; j++)
            flow[H * i + j] += s->d_h[at + H * i + j];
    gru_fire_back(part.n, H, part.m, s->gates + 3 * H * row + k, s->inner + at, before(s, t, p, s->h, 0) + k, flow,
                  d_all, flow);
}

static void gru_send(const Sweep *s, Part part) {
    const ptrdiff_t H = s->H, row = s->offsets[part.t] + part.p;
    const float *d_all = s->d_sums + 4 * H * (row - s->offsets[s->begin]);
    if (reads(s, part.t))
        multiply_part(s, part, 1, 3 * H, d_all, 4 * H, s->kernel, s->flow + H * part.p, H, s->flow + H * part.p);
    project_back(s, part, row, 3 * H, d_all + H, 4 * H);
}

static inline void rnn(const Sweep *s, Part part, void (*fire)(ptrdiff_t, ptrdiff_t, ptrdiff_t, float *)) {
    const ptrdiff_t H = s->H, node = s->offsets[part.t] + part.p;
    float *sums = s->h + H * node;
    project(s, part, node, 1, sums);
    if (reads(s, part.t))
        multiply_part(s, part, 1, H, before(s, part.t, part.p, s->h, 0), H, s->kernel, sums, H, sums);
    fire(part.n, H, part.m, sums + part.k);
}

static inline void rnn_back(const Sweep *s, Part part,
                            void (*fire_back)(ptrdiff_t, ptrdiff_t, ptrdiff_t, const float *, const float *,
                                              const float *, float *)) {
    const ptrdiff_t H = s->H, row = s->offsets[part.t] + part.p, at = H * row + part.k;
    fire_back(part.n, H, part.m, s->h + at, s->d_h + at, s->flow + H * part.p + part.k,
              s->d_sums + at - H * s->offsets[s->begin]);
}

static void rnn_send(const Sweep *s, Part part) {
    const ptrdiff_t H = s->H, row = s->offsets[part.t] + part.p;
    const float *d_sums = s->d_sums + H * (row - s->offsets[s->begin]);
    if (reads(s, part.t))
        multiply_part(s, part, 1, H, d_sums, H, s->kernel, NULL, 0, s->flow + H * part.p);
    project_back(s, part, row, H, d_sums, H);
}

static void rnn_tanh(const Sweep *s, Part part) { rnn(s, part, tanh_fire); }
static void rnn_tanh_back(const Sweep *s, Part part) { rnn_back(s, part, tanh_fire_back); }
static void rnn_relu(const Sweep *s, Part part) { rnn(s, part, relu_fire); }
static void rnn_relu_back(const Sweep *s, Part part) { rnn_back(s, part, relu_fire_back); }

int NAME(lstm, )(const Sweep *s) { return sweep(s, &(Act){lstm, NULL, 4}, 0); }
int NAME(lstm, _back)(const Sweep *s) { return sweep(s, &(Act){lstm_back, lstm_send, 4}, 1); }
int NAME(gru, )(const Sweep *s) { return sweep(s, &(Act){gru, NULL, 3}, 0); }
int NAME(gru, _back)(const Sweep *s) { return sweep(s, &(Act){gru_back, gru_send, 3}, 1); }
int NAME(rnn_tanh, )(const Sweep *s) { return sweep(s, &(Act){rnn_tanh, NULL, 1}, 0); }
int NAME(rnn_tanh, _back)(const Sweep *s) { return sweep(s, &(Act){rnn_tanh_back, rnn_send, 1}, 1); }
int NAME(rnn_relu, )(const Sweep *s) { return sweep(s, &(Act){rnn_relu, NULL, 1}, 0); }
int NAME(rnn_relu, _back)(const Sweep *s) { return sweep(s, &(Act){rnn_relu_back, rnn_send, 1}, 1); }

#endif
