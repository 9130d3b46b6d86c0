/* Sweeps of LSTMs over trees and directed acyclic graphs, with a forget gate for each edge: frontier_lstm.py's
 * equations, whose reference is the layer's message and update; tests/kernels/test_fused_tree.py holds what is computed
 * here equal to them in float64, rounded. Threads share the nodes of a step, and each does all that the step is to its
 * own: only steps wait. Gradients are pulled along out-edges, so that every row is written by one thread, in an order that
 * is always the same.
 *
 * Nodes are numbered step by step, and edges by target. Gates lie in the order f, i, o, g; there is an f for each edge,
 * computed when it is used, and in f's place lies what the target contributes to all of its own.
 *
 * Letters: T steps, N nodes, E edges, H hidden channels; B rows of initial state, which are sources N to N + B - 1; P
 * nodes that read nothing, all of the first step or none; L nodes before the last step, which alone are read; M
 * nodes of the T steps, which are all, or some that follow one another, as those of the first and last may be. */

#include <string.h>

#include "cells.h"
#include "panels.h"
#include "threads.h"

enum { LEAST_ROWS = 4, MOST_ROWS = 256 }; /* that a thread is worth; that stay in a core's cache */
enum { AHEAD = 4 };                       /* edges from asking for a row to reading it */

/* Mirrored in fused_tree.py. */
typedef struct {
    ptrdiff_t threads, T, N, E, H, B, P, L;
    const int64_t *steps;                       /* the first node of each step, and the one after all. [T + 1] */
    const int64_t *incoming, *source;           /* the first edge into each node, and E [N + 1]; of each edge [E] */
    const int64_t *outgoing, *edge, *target;    /* the same by source, and edges' numbers. [N + B + 1], [E] */
    const float *weight;                        /* of the edges; NULL if all are 1. [E] */
    const float *forget_kernel, *other_kernel;  /* panels: forward [H, H], [H, 3H], backward [H, H], [3H, H] */
    const float *first;                         /* initial h and c, and U_f h. [3, B, H] */
    float *gates;                               /* forward, input projections; i, o, g become the gates. [N, 4H] */
    float *h, *c;                               /* [N, H] */
    float *read;                                /* U_f h. [L, H] */
    float *summed;                              /* of h over in-edges. [N - P, H] */
    float *slope;                               /* of c, by what f adds up; NULL without a backward pass. [N - P, H] */
    float *d_h;                                 /* given that of the node's own h; becomes that of summed. [N, H] */
    float *d_c;                                 /* given that of the node's own c; becomes complete. [N, H] */
    float *d_read, *d_gates;                    /* of the M nodes, d_read of those that are read. [M, H], [M, 4H] */
    float *d_first;                             /* of all but h through U_f. [3, B, H] */
    float *d_weight;                            /* NULL if none is needed. [E] */
} Tree;

/* What n nodes of a step do, from node `row` on. */
typedef void Act(const Tree *s, ptrdiff_t row, ptrdiff_t n);

/* What an edge reads. */
typedef struct {
    float weight;
    const float *h, *c, *read;
} Source;

/* That of edge e, which is j's. */
static inline Source read_from(const Tree *s, ptrdiff_t e, ptrdiff_t j) {
    const float weight = s->weight ? s->weight[e] : 1.0f;
    if (j < s->N)
        return (Source){weight, s->h + s->H * j, s->c + s->H * j, s->read + s->H * j};
    const float *first = s->first + s->H * (j - s->N);
    return (Source){weight, first, first + s->H * s->B, first + 2 * s->H * s->B};
}

static void sum(const Tree *s, ptrdiff_t i, float *summed) {
    const ptrdiff_t H = s->H;
    memset(summed, 0, 4 * (size_t)H);
    for (ptrdiff_t e = s->incoming[i]; e < s->incoming[i + 1]; e++) {
        const Source j = read_from(s, e, s->source[e]);
        if (e + AHEAD < s->E)
            fetch(read_from(s, e, s->source[e + AHEAD]).h, H);
#pragma omp simd
        for (ptrdiff_t k = 0; k < H; k++)
            summed[k] += j.weight * j.h[k];
    }
}

/* Adds what the edges into a node keep of c and, for a backward pass, how that grows with what f adds up. */
static void keep(const Tree *s, ptrdiff_t row, const float *f, float *c, float *slope) {
    const ptrdiff_t H = s->H;
    for (ptrdiff_t e = s->incoming[row]; e < s->incoming[row + 1]; e++) {
        const Source j = read_from(s, e, s->source[e]);
        if (e + AHEAD < s->E) {
            const Source next = read_from(s, e, s->source[e + AHEAD]);
            fetch(next.read, H);
            fetch(next.c, H);
        }
        if (!slope) {
#pragma omp simd
            for (ptrdiff_t k = 0; k < H; k++)
                c[k] += j.weight * sigmoid_(f[k] + j.read[k]) * j.c[k];
            continue;
        }
#pragma omp simd
        for (ptrdiff_t k = 0; k < H; k++) {
            float gate = sigmoid_(f[k] + j.read[k]), kept = j.weight * gate * j.c[k];
            c[k] += kept;
            slope[k] += kept * (1.0f - gate);
        }
    }
}

static void fire_node(const Tree *s, ptrdiff_t row) {
    const ptrdiff_t H = s->H;
    float *f = s->gates + 4 * H * row, *i = f + H, *o = i + H, *g = o + H, *c = s->c + H * row, *h = s->h + H * row;
    float *slope = s->slope && row >= s->P ? s->slope + H * (row - s->P) : NULL;
    memset(c, 0, 4 * (size_t)H);
    if (slope)
        memset(slope, 0, 4 * (size_t)H);
    keep(s, row, f, c, slope);
#pragma omp simd
    for (ptrdiff_t k = 0; k < H; k++) {
        i[k] = sigmoid_(i[k]);
        o[k] = sigmoid_(o[k]);
        g[k] = tanh_(g[k]);
        c[k] += i[k] * g[k];
        h[k] = o[k] * tanh_(c[k]);
    }
}

static void fire(const Tree *s, ptrdiff_t row, ptrdiff_t n) {
    const ptrdiff_t H = s->H;
    if (row >= s->P) {
        float *summed = s->summed + H * (row - s->P);
        for (ptrdiff_t i = 0; i < n; i++)
            sum(s, row + i, summed + H * i);
        float *gates = s->gates + 4 * H * row + H;
        multiply(n, H, 3 * H, summed, H, s->other_kernel, gates, 4 * H, gates, 4 * H);
    }
    for (ptrdiff_t i = row; i < row + n; i++)
        fire_node(s, i);
    if (row < s->L)
        multiply(n, H, H, s->h + H * row, H, s->forget_kernel, NULL, 0, s->read + H * row, H);
}

/* Adds to gradients of the source what node i sends back to it. */
static inline void pull_from(const Tree *s, ptrdiff_t i, Source j, float *d_h, float *d_c, float *d_read) {
    const ptrdiff_t H = s->H;
    const float *f = s->gates + 4 * H * i, *d_summed = s->d_h + H * i, *d_cell = s->d_c + H * i;
#pragma omp simd
    for (ptrdiff_t k = 0; k < H; k++) {
        float gate = sigmoid_(f[k] + j.read[k]), kept = j.weight * d_cell[k] * gate;
        d_h[k] += j.weight * d_summed[k];
        d_c[k] += kept;
        d_read[k] += kept * j.c[k] * (1.0f - gate);
    }
}

/* The gradient of the weight with which node i reads. */
static float weigh(const Tree *s, ptrdiff_t i, Source j) {
    const ptrdiff_t H = s->H;
    const float *f = s->gates + 4 * H * i, *d_summed = s->d_h + H * i, *d_cell = s->d_c + H * i;
    float all = 0.0f;
#pragma omp simd reduction(+ : all)
    for (ptrdiff_t k = 0; k < H; k++)
        all += d_summed[k] * j.h[k] + d_cell[k] * sigmoid_(f[k] + j.read[k]) * j.c[k];
    return all;
}

/* Adds to gradients of source `row` what all nodes that read it send back. */
static void pull(const Tree *s, ptrdiff_t row, float *d_h, float *d_c, float *d_read) {
    for (ptrdiff_t place = s->outgoing[row]; place < s->outgoing[row + 1]; place++) {
        const ptrdiff_t e = s->edge[place], i = s->target[place];
        const Source j = read_from(s, e, row);
        if (place + AHEAD < s->E) {
            const ptrdiff_t next = s->target[place + AHEAD];
            fetch(s->gates + 4 * s->H * next, s->H);
            fetch(s->d_h + s->H * next, s->H);
            fetch(s->d_c + s->H * next, s->H);
        }
        pull_from(s, i, j, d_h, d_c, d_read);
        if (s->d_weight)
            s->d_weight[e] = weigh(s, i, j);
    }
}

static void fire_node_back(const Tree *s, ptrdiff_t row) {
    const ptrdiff_t H = s->H;
    const float *i = s->gates + 4 * H * row + H, *o = i + H, *g = o + H, *c = s->c + H * row, *d_h = s->d_h + H * row;
    float *d_c = s->d_c + H * row, *d_f = s->d_gates + 4 * H * (row - s->steps[0]);
    float *d_i = d_f + H, *d_o = d_i + H, *d_g = d_o + H;
    const float *slope = row >= s->P ? s->slope + H * (row - s->P) : NULL;
#pragma omp simd
    for (ptrdiff_t k = 0; k < H; k++) {
        float t = tanh_(c[k]);
        d_c[k] += d_h[k] * o[k] * (1.0f - t * t);
        d_f[k] = slope ? slope[k] * d_c[k] : 0.0f;
        d_i[k] = d_c[k] * g[k] * i[k] * (1.0f - i[k]);
        d_o[k] = d_h[k] * t * o[k] * (1.0f - o[k]);
        d_g[k] = d_c[k] * i[k] * (1.0f - g[k] * g[k]);
    }
}

static void fire_back(const Tree *s, ptrdiff_t row, ptrdiff_t n) {
    const ptrdiff_t H = s->H, place = row - s->steps[0];
    float *d_h = s->d_h + H * row, *d_c = s->d_c + H * row, *d_read = s->d_read + H * place;
    if (row < s->L) {
        memset(d_read, 0, 4 * (size_t)(n * H));
        for (ptrdiff_t i = 0; i < n; i++)
            pull(s, row + i, d_h + H * i, d_c + H * i, d_read + H * i);
        multiply(n, H, H, d_read, H, s->forget_kernel, d_h, H, d_h, H);
    }
    for (ptrdiff_t i = row; i < row + n; i++)
        fire_node_back(s, i);
    if (row >= s->P)
        multiply(n, 3 * H, H, s->d_gates + 4 * H * place + H, 4 * H, s->other_kernel, NULL, 0, d_h, H);
}

static void pull_first(const Tree *s, ptrdiff_t row, ptrdiff_t n) {
    const ptrdiff_t size = s->H * s->B;
    for (ptrdiff_t b = row; b < row + n; b++) {
        float *d_h = s->d_first + s->H * b;
        pull(s, s->N + b, d_h, d_h + size, d_h + 2 * size);
    }
}

static ptrdiff_t shares_of(const Tree *s, ptrdiff_t t) {
    const ptrdiff_t most = (s->steps[t + 1] - s->steps[t]) / LEAST_ROWS;
    return most < 1 ? 1 : most < s->threads ? most : s->threads;
}

/* A thread's share of a step, a few rows at a time. */
static void take_share(const Tree *s, Act *act, ptrdiff_t t, ptrdiff_t share, ptrdiff_t shares) {
    const ptrdiff_t begin = s->steps[t], n = s->steps[t + 1] - begin, end = begin + n * (share + 1) / shares;
    for (ptrdiff_t row = begin + n * share / shares; row < end; row += MOST_ROWS)
        act(s, row, end - row < MOST_ROWS ? end - row : MOST_ROWS);
}

/* By each thread of a team, or outside of any. Steps next to one another that one thread is enough for are one's. */
static void follow(const Tree *s, Act *act, int back) {
    for (ptrdiff_t done = 0, end; done < s->T; done = end) {
        const ptrdiff_t shares = shares_of(s, back ? s->T - 1 - done : done);
        end = done + 1;
        while (shares == 1 && end < s->T && shares_of(s, back ? s->T - 1 - end : end) == 1)
            end++;
#pragma omp for
        for (ptrdiff_t share = 0; share < shares; share++)
            for (ptrdiff_t step = done; step < end; step++)
                take_share(s, act, back ? s->T - 1 - step : step, share, shares);
    }
}

static void sweep(const Tree *s, Act *act, int back) {
    ptrdiff_t most = 1;
    for (ptrdiff_t t = 0; t < s->T; t++)
        most = shares_of(s, t) > most ? shares_of(s, t) : most;
    if (most == 1) { /* not in a team of one thread: see threads.h */
        follow(s, act, back);
        return;
    }
#pragma omp parallel num_threads((int)most)
    follow(s, act, back);
}

/* Whether each of the M nodes reads initial states and nodes before it alone. */
static int reads_before(const Tree *s) {
    for (ptrdiff_t t = 0; t < s->T; t++)
        if (s->steps[t] < 0 || s->steps[t] > s->steps[t + 1] || s->steps[t + 1] > s->N)
            return 0;
    for (ptrdiff_t i = s->steps[0]; i < s->steps[s->T]; i++) {
        if (s->incoming[i] < 0 || s->incoming[i] > s->incoming[i + 1] || s->incoming[i + 1] > s->E)
            return 0;
        const ptrdiff_t before = i < s->L ? i : s->L;
        int valid = 1;
        for (ptrdiff_t e = s->incoming[i]; e < s->incoming[i + 1]; e++) {
            const ptrdiff_t j = s->source[e];
            valid &= (j >= 0 && j < before) || (j >= s->N && j < s->N + s->B);
        }
        if (!valid)
            return 0;
    }
    return 1;
}

/* Whether sources begin..end-1 are read by later nodes alone, along edges that are theirs. */
static int is_read_after(const Tree *s, ptrdiff_t begin, ptrdiff_t end) {
    for (ptrdiff_t j = begin; j < end; j++) {
        if (s->outgoing[j] < 0 || s->outgoing[j] > s->outgoing[j + 1] || s->outgoing[j + 1] > s->E)
            return 0;
        const ptrdiff_t after = j < s->N ? j : -1;
        for (ptrdiff_t place = s->outgoing[j]; place < s->outgoing[j + 1]; place++) {
            const ptrdiff_t e = s->edge[place], i = s->target[place];
            if (e < 0 || e >= s->E || s->source[e] != j || i <= after || i >= s->N)
                return 0;
        }
    }
    return 1;
}

/* 0 where the graph is none that can be swept: nothing was read or written outside of the memory given. */
int lstm_tree(const Tree *s) {
    if (!reads_before(s))
        return 0;
    sweep(s, fire, 0);
    return 1;
}

int lstm_tree_back(const Tree *s) {
    const ptrdiff_t end = s->steps[s->T] < s->L ? s->steps[s->T] : s->L;
    if (!reads_before(s) || !is_read_after(s, s->steps[0], end))
        return 0;
    if (s->steps[0] == 0 && !is_read_after(s, s->N, s->N + s->B))
        return 0;
    sweep(s, fire_back, 1);
    if (s->steps[0] == 0)
        EACH_SHARE(s->threads, s->B, s->H, from, rows, pull_first(s, from, rows));
    return 1;
}

/* The panels of a kernel [k, m], see panels.h. */
void panels_tree(ptrdiff_t k, ptrdiff_t m, const float *kernel, ptrdiff_t down, ptrdiff_t right, float *panels) {
    lay_out(k, m, kernel, down, right, panels);
}
