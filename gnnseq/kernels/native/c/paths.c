/* Sweeps over paths without a barrier: a thread takes some of the paths from their first step to their last, so
 * that no step waits for another thread, and what a path carries stays in one core's cache.
 *
 * Nodes are numbered step by step; in each, the paths that live on are the first rows of the step before.
 *
 * Letters: T steps, B paths, N nodes, H hidden channels, S states, G gates, D gradients of sums; n paths of a step. */

#include "cells.h"
#include "panels.h"

enum { LEAST_PATHS = 4 }; /* that a thread is worth */

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

/* What n paths, from path p on, do in step t. */
typedef void Act(const Sweep *s, ptrdiff_t t, ptrdiff_t p, ptrdiff_t n);

static ptrdiff_t alive(const Sweep *s, ptrdiff_t t) { return s->offsets[t + 1] - s->offsets[t]; }

/* Whether step t's nodes read anything. */
static int reads(const Sweep *s, ptrdiff_t t) { return t > 0 || s->reads_first; }

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

/* The states that paths read, from path p on: those of the step before, or the first ones. */
static const float *before(const Sweep *s, ptrdiff_t t, ptrdiff_t p, const float *nodes, int state) {
    return t > 0 ? nodes + s->H * (s->offsets[t - 1] + p) : s->first + s->H * (state * alive(s, 0) + p);
}

static void follow(const Sweep *s, Act *act, int back, ptrdiff_t first_path, ptrdiff_t end) {
    for (ptrdiff_t step = 0; step < s->end - s->begin; step++) {
        const ptrdiff_t t = back ? s->end - 1 - step : s->begin + step, n = least(alive(s, t), end) - first_path;
        if (n > 0)
            act(s, t, first_path, n);
    }
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

/* 0 where the steps are not those of paths. */
static int sweep(const Sweep *s, Act *act, int back) {
    if (!fits(s))
        return 0;
    const ptrdiff_t shares = least(s->threads, alive(s, s->begin) / LEAST_PATHS);
    if (shares <= 1) { /* not in a team of one thread: see threads.h */
        follow(s, act, back, 0, alive(s, s->begin));
        return 1;
    }
#pragma omp parallel for num_threads((int)shares)
    for (ptrdiff_t share = 0; share < shares; share++)
        follow(s, act, back, cut(s, share, shares), cut(s, share + 1, shares));
    return 1;
}

/* Writes the input projections of n nodes, from one on: they are made when they are used, and so are in cache. */
static void project(const Sweep *s, ptrdiff_t node, ptrdiff_t n, ptrdiff_t width, float *sums) {
    const size_t bytes = 4 * (size_t)width;
    for (ptrdiff_t i = 0; i < n; i++) {
        if (s->index)
            memcpy(sums + width * i, s->input_kernel + width * s->index[node + i], bytes);
        else if (s->input_bias)
            memcpy(sums + width * i, s->input_bias, bytes);
        else
            memset(sums + width * i, 0, bytes);
    }
    if (!s->index)
        multiply(n, s->F, width, s->x + s->F * node, s->F, s->input_kernel, 1, sums, width);
}

/* Sends gradients of n nodes' projections, in rows so far apart, back to x. */
static void project_back(const Sweep *s, ptrdiff_t node, ptrdiff_t n, ptrdiff_t width, const float *d_sums,
                         ptrdiff_t stride) {
    if (s->d_x)
        multiply(n, width, s->F, d_sums, stride, s->input_kernel, 0, s->d_x + s->F * node, s->F);
}

static void lstm(const Sweep *s, ptrdiff_t t, ptrdiff_t p, ptrdiff_t n) {
    const ptrdiff_t H = s->H, node = s->offsets[t] + p, row = s->forgets ? p : node;
    float *gates = s->gates + 4 * H * row, *h = s->h + H * node, *c = s->c + H * row;
    project(s, node, n, 4 * H, gates);
    if (reads(s, t))
        multiply(n, H, 4 * H, before(s, t, p, s->h, 0), H, s->kernel, 1, gates, 4 * H);
    if (s->forgets)
        lstm_fire(n, H, gates, c, c, h, h);
    else
        lstm_fire(n, H, gates, before(s, t, p, s->c, 1), c, s->tanh_c + H * row, h);
}

static void lstm_back(const Sweep *s, ptrdiff_t t, ptrdiff_t p, ptrdiff_t n) {
    const ptrdiff_t H = s->H, row = s->offsets[t] + p;
    float *flow_h = s->flow + H * p, *flow_c = flow_h + H * alive(s, 0);
    float *d_gates = s->d_sums + 4 * H * (row - s->offsets[s->begin]);
    lstm_fire_back(n, H, s->gates + 4 * H * row, before(s, t, p, s->c, 1), s->tanh_c + H * row, s->d_h + H * row,
                   flow_h, flow_c, d_gates);
    if (reads(s, t))
        multiply(n, 4 * H, H, d_gates, 4 * H, s->kernel, 0, flow_h, H);
    project_back(s, row, n, 4 * H, d_gates, 4 * H);
}

static void gru(const Sweep *s, ptrdiff_t t, ptrdiff_t p, ptrdiff_t n) {
    const ptrdiff_t H = s->H, node = s->offsets[t] + p, row = s->forgets ? p : node;
    float *product = s->scratch + 3 * H * p, *gates = s->gates + 3 * H * row;
    const float *read = before(s, t, p, s->h, 0);
    project(s, node, n, 3 * H, gates);
    if (reads(s, t))
        multiply(n, H, 3 * H, read, H, s->kernel, 0, product, 3 * H);
    gru_fire(n, H, gates, product, s->bias, read, s->inner + H * row, s->h + H * node);
}

static void gru_back(const Sweep *s, ptrdiff_t t, ptrdiff_t p, ptrdiff_t n) {
    const ptrdiff_t H = s->H, row = s->offsets[t] + p;
    float *flow = s->flow + H * p, *d_all = s->d_sums + 4 * H * (row - s->offsets[s->begin]);
    const float *own = s->d_h + H * row;
    for (ptrdiff_t k = 0; k < n * H; k++)
        flow[k] += own[k];
    gru_fire_back(n, H, s->gates + 3 * H * row, s->inner + H * row, before(s, t, p, s->h, 0), flow, d_all, flow);
    if (reads(s, t))
        multiply(n, 3 * H, H, d_all, 4 * H, s->kernel, 1, flow, H);
    project_back(s, row, n, 3 * H, d_all + H, 4 * H);
}

static inline void rnn(const Sweep *s, ptrdiff_t t, ptrdiff_t p, ptrdiff_t n,
                       void (*fire)(ptrdiff_t, ptrdiff_t, float *)) {
    const ptrdiff_t H = s->H;
    float *sums = s->h + H * (s->offsets[t] + p);
    project(s, s->offsets[t] + p, n, H, sums);
    if (reads(s, t))
        multiply(n, H, H, before(s, t, p, s->h, 0), H, s->kernel, 1, sums, H);
    fire(n, H, sums);
}

static inline void rnn_back(const Sweep *s, ptrdiff_t t, ptrdiff_t p, ptrdiff_t n,
                            void (*fire_back)(ptrdiff_t, ptrdiff_t, const float *, const float *, const float *,
                                              float *)) {
    const ptrdiff_t H = s->H, row = s->offsets[t] + p;
    float *flow = s->flow + H * p, *d_sums = s->d_sums + H * (row - s->offsets[s->begin]);
    fire_back(n, H, s->h + H * row, s->d_h + H * row, flow, d_sums);
    if (reads(s, t))
        multiply(n, H, H, d_sums, H, s->kernel, 0, flow, H);
    project_back(s, row, n, H, d_sums, H);
}

static void rnn_tanh(const Sweep *s, ptrdiff_t t, ptrdiff_t p, ptrdiff_t n) { rnn(s, t, p, n, tanh_fire); }
static void rnn_tanh_back(const Sweep *s, ptrdiff_t t, ptrdiff_t p, ptrdiff_t n) {
    rnn_back(s, t, p, n, tanh_fire_back);
}
static void rnn_relu(const Sweep *s, ptrdiff_t t, ptrdiff_t p, ptrdiff_t n) { rnn(s, t, p, n, relu_fire); }
static void rnn_relu_back(const Sweep *s, ptrdiff_t t, ptrdiff_t p, ptrdiff_t n) {
    rnn_back(s, t, p, n, relu_fire_back);
}

int lstm_paths(const Sweep *s) { return sweep(s, lstm, 0); }
int lstm_paths_back(const Sweep *s) { return sweep(s, lstm_back, 1); }
int gru_paths(const Sweep *s) { return sweep(s, gru, 0); }
int gru_paths_back(const Sweep *s) { return sweep(s, gru_back, 1); }
int rnn_tanh_paths(const Sweep *s) { return sweep(s, rnn_tanh, 0); }
int rnn_tanh_paths_back(const Sweep *s) { return sweep(s, rnn_tanh_back, 1); }
int rnn_relu_paths(const Sweep *s) { return sweep(s, rnn_relu, 0); }
int rnn_relu_paths_back(const Sweep *s) { return sweep(s, rnn_relu_back, 1); }

/* The panels of a kernel [k, m], see panels.h. */
void panels_paths(ptrdiff_t k, ptrdiff_t m, const float *kernel, ptrdiff_t down, ptrdiff_t right, float *panels) {
    lay_out(k, m, kernel, down, right, panels);
}
