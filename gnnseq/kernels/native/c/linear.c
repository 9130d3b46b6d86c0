/* Sweeps of cells that are linear in the state: gates, recurrence and output in one pass over the nodes of any graph.
 *
 * A channel reads no other channel's state, so that a thread takes some of the channels through all nodes, and no node
 * waits for another thread. With z the share of a node's candidate c in its state, h = (1 - z) read + z c; that of an
 * LSTM's two gates is i / (f + i). It is added to whichever has the larger share, so that a state kept for 10^5 steps is
 * not rounded away, nor a candidate beside a large number of which nothing is kept. The reference of each equation is
 * the message and update of its layer.
 *
 * Letters: N nodes in firing order, E edges, B rows of initial state, H hidden channels, G gates. */

#include "cells.h"
#include "threads.h"

enum { LEAST_CHANNELS = 16 }; /* of a thread's share: a line of the cache */
enum { PIECE = 512 };         /* channels that are taken together */

/* Mirrored in fused_linear.py. */
typedef struct {
    ptrdiff_t threads;
    ptrdiff_t begin, end;     /* nodes begin..end-1 */
    ptrdiff_t N, B, H, G, E;
    const int64_t *incoming;  /* the first edge into each node, and E. [N + 1] */
    const int64_t *source;    /* of each edge; N + b is row b of the initial state. [E] */
    const float *weight;      /* of each edge; NULL if all are 1. [E] */
    const float *first;       /* initial states. [B, H] */
    const float *sums;        /* of the gates of nodes begin..end-1. [., G * H] */
    float *h;                 /* [N, H] */
    float *d_h;               /* gradients of h, to which those that later nodes sent are added. [N, H] */
    float *d_first;           /* [B, H] */
    float *d_sums;            /* of nodes begin..end-1. [., G * H] */
    float *d_weight;          /* for each share of the channels, or NULL. [shares, E] */
} Linear;

/* What a node keeps of what it reads, and z, which it writes of its candidate; they add up to 1. */
typedef struct {
    float kept, z;
} Shares;

/* Of MinGRU's sum s, or of MinLSTM's f and i, without dividing what may be 0 by 0: their exponents are at most 0. */
static inline Shares shares_of_sums(float f, float i, int lstm) {
    if (!lstm) {
        float less = exp_(f < 0.0f ? f : -f), large = 1.0f / (1.0f + less), small = less * large;
        return f < 0.0f ? (Shares){large, small} : (Shares){small, large};
    }
    float least = f < i ? f : i, most = least < 0.0f ? least : 0.0f;
    float one = exp_(most), not_f = one + exp_(most - f), not_i = one + exp_(most - i), total = 1.0f / (not_f + not_i);
    return (Shares){not_i * total, not_f * total};
}

static inline float mixed(Shares of, float read, float c) {
    float begin = of.z < of.kept ? read : c, part = of.z < of.kept ? of.z : -of.kept;
    return begin + part * (c - read);
}

static inline const float *row_of(const Linear *s, const float *nodes, const float *first, ptrdiff_t source) {
    return source < s->N ? nodes + s->H * source : first + s->H * (source - s->N);
}

/* What a node reads, in channels from k on: a row as it is, or a sum in `room`; NULL if nothing. */
static inline const float *read_of(const Linear *s, ptrdiff_t node, ptrdiff_t k, ptrdiff_t n, float *restrict room) {
    const int64_t edge = s->incoming[node], end = s->incoming[node + 1];
    if (edge == end)
        return NULL;
    if (end - edge == 1 && !s->weight)
        return row_of(s, s->h, s->first, s->source[edge]) + k;
    memset(room, 0, 4 * (size_t)n);
    for (int64_t e = edge; e < end; e++) {
        const float *restrict row = row_of(s, s->h, s->first, s->source[e]) + k;
        const float w = s->weight ? s->weight[e] : 1.0f;
#pragma omp simd
        for (ptrdiff_t j = 0; j < n; j++)
            room[j] += w * row[j];
    }
    return room;
}

static inline void fire(const Linear *s, ptrdiff_t k, ptrdiff_t n, int lstm) {
    float room[PIECE], nothing[PIECE] = {0};
    for (ptrdiff_t node = s->begin; node < s->end; node++) {
        const float *restrict sums = s->sums + s->G * s->H * (node - s->begin) + k, *restrict i = sums + s->H;
        const float *restrict c = sums + (s->G - 1) * s->H;
        const float *read = read_of(s, node, k, n, room);
        float *restrict h = s->h + s->H * node + k;
        if (!read)
            read = nothing;
#pragma omp simd
        for (ptrdiff_t j = 0; j < n; j++) {
            Shares of = shares_of_sums(sums[j], i[j], lstm);
            h[j] = mixed(of, read[j], c[j]);
        }
    }
}

static inline void fire_back(const Linear *s, ptrdiff_t k, ptrdiff_t n, int lstm, float *d_weight) {
    float room[PIECE], flow[PIECE], nothing[PIECE] = {0};
    for (ptrdiff_t node = s->end - 1; node >= s->begin; node--) {
        const ptrdiff_t at = s->G * s->H * (node - s->begin) + k;
        const float *restrict sums = s->sums + at, *restrict i = sums + s->H, *restrict c = sums + (s->G - 1) * s->H;
        float *restrict d_sums = s->d_sums + at, *restrict d_i = d_sums + s->H;
        float *restrict d_c = d_sums + (s->G - 1) * s->H;
        const float *restrict d = s->d_h + s->H * node + k;
        const float *read = read_of(s, node, k, n, room);
        if (!read)
            read = nothing;
#pragma omp simd
        for (ptrdiff_t j = 0; j < n; j++) {
            Shares of = shares_of_sums(sums[j], i[j], lstm);
            float d_total = d[j] * (c[j] - read[j]) * of.z * of.kept;
            flow[j] = mixed(of, d[j], 0.0f);
            d_c[j] = d[j] * of.z;
            d_sums[j] = lstm ? -d_total * sigmoid_(-sums[j]) : d_total;
            if (lstm)
                d_i[j] = d_total * sigmoid_(-i[j]);
        }
        for (int64_t e = s->incoming[node]; e < s->incoming[node + 1]; e++) {
            const int64_t source = s->source[e];
            const float w = s->weight ? s->weight[e] : 1.0f;
            float *restrict to = (source < s->N ? s->d_h + s->H * source : s->d_first + s->H * (source - s->N)) + k;
#pragma omp simd
            for (ptrdiff_t j = 0; j < n; j++)
                to[j] += w * flow[j];
            if (d_weight) {
                const float *row = row_of(s, s->h, s->first, source) + k;
                float total = 0.0f;
#pragma omp simd reduction(+ : total)
                for (ptrdiff_t j = 0; j < n; j++)
                    total += flow[j] * row[j];
                d_weight[e] += total;
            }
        }
    }
}

/* How many shares the channels are cut into. */
static ptrdiff_t shares_of(const Linear *s) {
    const ptrdiff_t most = s->H / LEAST_CHANNELS;
    if ((s->end - s->begin) * s->H < LEAST_NUMBERS || most < 2)
        return 1;
    return s->threads < most ? s->threads : most;
}

static void one_share(const Linear *s, ptrdiff_t share, ptrdiff_t shares, int back) {
    /* Shares begin at whole lines of the cache. */
    const ptrdiff_t lines = (s->H + LEAST_CHANNELS - 1) / LEAST_CHANNELS;
    const ptrdiff_t last = share + 1 == shares ? s->H : lines * (share + 1) / shares * LEAST_CHANNELS;
    for (ptrdiff_t k = lines * share / shares * LEAST_CHANNELS; k < last; k += PIECE) {
        const ptrdiff_t n = last - k < PIECE ? last - k : PIECE;
        float *d_weight = s->d_weight ? s->d_weight + s->E * share : NULL;
        if (s->G == 2 && back)
            fire_back(s, k, n, 0, d_weight);
        else if (s->G == 2)
            fire(s, k, n, 0);
        else if (back)
            fire_back(s, k, n, 1, d_weight);
        else
            fire(s, k, n, 1);
    }
}

static void sweep(const Linear *s, int back) {
    const ptrdiff_t shares = shares_of(s);
    if (shares == 1) { /* not in a team of one thread: see threads.h */
        one_share(s, 0, 1, back);
        return;
    }
#pragma omp parallel for num_threads((int)shares)
    for (ptrdiff_t share = 0; share < shares; share++)
        one_share(s, share, shares, back);
}

/* Whether each node reads initial states and nodes before it alone. */
static int reads_before(const Linear *s) {
    if (s->begin < 0 || s->end > s->N)
        return 0;
    for (ptrdiff_t i = s->begin; i < s->end; i++) {
        if (s->incoming[i] < 0 || s->incoming[i] > s->incoming[i + 1] || s->incoming[i + 1] > s->E)
            return 0;
        for (int64_t e = s->incoming[i]; e < s->incoming[i + 1]; e++) {
            const int64_t j = s->source[e];
            if (!((j >= 0 && j < i) || (j >= s->N && j < s->N + s->B)))
                return 0;
        }
    }
    return 1;
}

/* 0 where the graph is none that can be swept: nothing was read or written outside of the memory given. */
static int checked(const Linear *s, int back) {
    if (!reads_before(s))
        return 0;
    sweep(s, back);
    return 1;
}

int linear_forward(const Linear *s) { return checked(s, 0); }
int linear_back(const Linear *s) { return checked(s, 1); }
