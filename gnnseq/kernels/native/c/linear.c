/* Sweeps of cells that are linear in the state over any graph: input projections, gates, recurrence and output, and all
 * gradients, in one call.
 *
 * A channel reads no other channel's state, so that a thread takes some of the channels through all nodes, and no node
 * waits for another thread. Nodes go through in chunks whose inputs and sums stay in a core's cache from the product that
 * makes them to the last that reads them. Of a chunk's gradients each thread makes those of its channels and of their
 * kernel; all wait for one another, and then each sends those of some of the nodes back to x.
 *
 * With z the share of a node's candidate c in its state, h = (1 - z) read + z c; that of an
 * LSTM's two gates is i / (f + i). It is added to whichever has the larger share, so that a state kept for 10^5 steps is
 * not rounded away, nor a candidate beside a large number of which nothing is kept. The reference of each equation is
 * the message and update of its layer.
 *
 * Letters: N nodes in firing order, E edges, F input channels, B rows of initial state, H hidden channels, G gates; n
 * channels of a share, from channel k on. */

#define MANY_ROWS
#include "cells.h"
#include "panels.h"
#include "threads.h"

enum { LEAST_CHANNELS = LINE }; /* of a thread's share: a whole number of vectors too */
enum { PIECE = 512 };           /* channels that are taken together */
enum { MOST_GATES = 3 };
enum { AHEAD = 8 };             /* nodes from asking for a row to reading it */

/* Mirrored in fused_linear.py. */
typedef struct {
    ptrdiff_t threads;
    ptrdiff_t rows;            /* of a chunk */
    ptrdiff_t N, B, H, G, E, F;
    const int64_t *incoming;   /* the first edge into each node, and E. [N + 1] */
    const int64_t *source;     /* of each edge; N + b is row b of the initial state. [E] */
    const float *weight;       /* of each edge; NULL if all are 1. [E] */
    const float *first;        /* initial states. [B, H] */
    const float *x;            /* [N, F] */
    const int64_t *index;      /* in place of x. [N] */
    ptrdiff_t apart;           /* numbers from one gate's panels to the next one's */
    const float *kernel;       /* panels: forward each gate's [F, H], or the table of projections [F, G * H], backward [G * H, F] */
    const float *bias;         /* NULL if there is none. [G * H] */
    ptrdiff_t forgets;         /* whether sums are a chunk's, because no gradients are wanted */
    float *sums;               /* of the gates. [N, G * H], or [rows, G * H] */
    float *h;                  /* [N, H] */
    float *d_h;                /* gradients of h, to which those that later nodes sent are added. [N, H] */
    float *d_first;            /* [B, H] */
    float *d_sums;             /* of two chunks. [2, rows, G * H] */
    float *room;               /* for a panel of a chunk's, of each share. [shares, rows, WIDE] */
    float *d_x;                /* NULL if none is needed. [N, F] */
    float *d_kernel, *d_bias;  /* [F, G * H], NULL if not needed, and [G * H] */
    float *d_weight;           /* for each share of the channels, or NULL. [shares, E] */
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

/* Channels k..k+n-1 of the sums of a chunk, whose first node is `begin`. */
static void project(const Linear *s, ptrdiff_t begin, ptrdiff_t rows, ptrdiff_t k, ptrdiff_t n, float *sums) {
    const ptrdiff_t H = s->H, width = s->G * H;
    /* Where channels begin within a panel, that is the rest of it. */
    const ptrdiff_t within = k % WIDE, rest = within == 0 ? 0 : least(WIDE - within, n);
    for (ptrdiff_t at = k; at < width; at += H) {
        if (s->index) {
            for (ptrdiff_t i = 0; i < rows; i++)
                memcpy(sums + width * i + at, s->kernel + width * s->index[begin + i] + at, 4 * (size_t)n);
            continue;
        }
        const float *x = s->x + s->F * begin, *bias = s->bias ? s->bias + at : NULL;
        const float *panels = s->kernel + s->apart * ((at - k) / H) + s->F * (k - within);
        if (rest > 0)
            multiply(rows, s->F, rest, x, s->F, panels + within, bias, 0, sums + at, width);
        if (n > rest)
            multiply(rows, s->F, n - rest, x, s->F, panels + (within ? s->F * WIDE : 0), bias ? bias + rest : NULL, 0,
                     sums + at + rest, width);
    }
}

static inline void fire(const Linear *s, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t k, ptrdiff_t n, int lstm,
                        const float *chunk) {
    float room[PIECE], nothing[PIECE] = {0};
    for (ptrdiff_t node = begin; node < end; node++) {
        const float *restrict sums = chunk + s->G * s->H * (node - begin) + k, *restrict i = sums + s->H;
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

static inline void fire_back(const Linear *s, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t k, ptrdiff_t n, int lstm,
                             float *d_chunk, float *d_weight) {
    float room[PIECE], flow[PIECE], nothing[PIECE] = {0}, d_bias[MOST_GATES][PIECE] = {{0}};
    const ptrdiff_t H = s->H, width = s->G * H, last = s->G - 1;
    for (ptrdiff_t node = end - 1; node >= begin; node--) {
        const float *restrict sums = s->sums + width * node + k, *restrict i = sums + H, *restrict c = sums + last * H;
        float *restrict d_sums = d_chunk + width * (node - begin) + k;
        float *restrict d_i = d_sums + H, *restrict d_c = d_sums + last * H;
        const float *restrict d = s->d_h + H * node + k;
        if (node >= AHEAD) {
            for (ptrdiff_t g = 0; g < s->G; g++)
                fetch(sums - width * AHEAD + H * g, n);
            fetch(d - H * AHEAD, n);
            fetch(s->h + H * (node - AHEAD) + k, n);
        }
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
        for (ptrdiff_t g = 0; g < s->G; g++)
#pragma omp simd
            for (ptrdiff_t j = 0; j < n; j++)
                d_bias[g][j] += d_sums[H * g + j];
        for (int64_t e = s->incoming[node]; e < s->incoming[node + 1]; e++) {
            const int64_t source = s->source[e];
            const float w = s->weight ? s->weight[e] : 1.0f;
            float *restrict to = (source < s->N ? s->d_h + H * source : s->d_first + H * (source - s->N)) + k;
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
    for (ptrdiff_t g = 0; g < s->G; g++)
        for (ptrdiff_t j = 0; j < n; j++)
            s->d_bias[H * g + k + j] += d_bias[g][j];
}

/* Adds to channels k..k+n-1 of the kernel's gradient a chunk's share, by panels of its sums' gradients. */
static void add_to_kernel(const Linear *s, ptrdiff_t begin, ptrdiff_t rows, ptrdiff_t k, ptrdiff_t n,
                          const float *d_chunk, float *room) {
    const ptrdiff_t H = s->H, width = s->G * H;
    for (ptrdiff_t at = k; at < width; at += H)
        for (ptrdiff_t j = 0; j < n; j += WIDE) {
            const ptrdiff_t m = least(n - j, WIDE);
            float *to = s->d_kernel + at + j;
            const float *from = d_chunk + at + j;
            if (!s->index) {
                lay_out(rows, m, from, width, 1, room);
                multiply_transposed(s->F, rows, m, s->x + s->F * begin, s->F, room, to, width, to, width);
                continue;
            }
            for (ptrdiff_t i = 0; i < rows; i++) {
                float *row = to + width * s->index[begin + i];
                for (ptrdiff_t w = 0; w < m; w++)
                    row[w] += from[width * i + w];
            }
        }
}

/* How many shares the channels are cut into. */
static ptrdiff_t shares_of(const Linear *s) {
    const ptrdiff_t most = s->H / LEAST_CHANNELS;
    if (s->N * s->H < LEAST_NUMBERS || most < 2)
        return 1;
    return s->threads < most ? s->threads : most;
}

/* The channel with which a share begins: with a whole line of the cache. */
static ptrdiff_t begin_of(const Linear *s, ptrdiff_t share, ptrdiff_t shares) {
    const ptrdiff_t lines = (s->H + LEAST_CHANNELS - 1) / LEAST_CHANNELS;
    return share == shares ? s->H : lines * share / shares * LEAST_CHANNELS;
}

static void one_share(const Linear *s, ptrdiff_t share, ptrdiff_t shares) {
    const ptrdiff_t last = begin_of(s, share + 1, shares);
    for (ptrdiff_t k = begin_of(s, share, shares); k < last; k += PIECE)
        for (ptrdiff_t begin = 0; begin < s->N; begin += s->rows) {
            const ptrdiff_t n = least(last - k, PIECE), end = least(begin + s->rows, s->N);
            float *sums = s->sums + (s->forgets ? 0 : s->G * s->H * begin);
            project(s, begin, end - begin, k, n, sums);
            if (s->G == 2)
                fire(s, begin, end, k, n, 0, sums);
            else
                fire(s, begin, end, k, n, 1, sums);
        }
}

static void one_share_back(const Linear *s, ptrdiff_t share, ptrdiff_t shares) {
    const ptrdiff_t last = begin_of(s, share + 1, shares), width = s->G * s->H;
    float *d_weight = s->d_weight ? s->d_weight + s->E * share : NULL;
    /* Two chunks' gradients take turns: those of one are still sent back while another thread makes the next. */
    for (ptrdiff_t chunk = (s->N + s->rows - 1) / s->rows - 1; chunk >= 0; chunk--) {
        const ptrdiff_t begin = s->rows * chunk, rows = least(s->rows, s->N - begin);
        float *d_sums = s->d_sums + width * s->rows * (chunk % 2);
        for (ptrdiff_t k = begin_of(s, share, shares); k < last; k += PIECE) {
            const ptrdiff_t n = least(last - k, PIECE);
            if (s->G == 2)
                fire_back(s, begin, begin + rows, k, n, 0, d_sums, d_weight);
            else
                fire_back(s, begin, begin + rows, k, n, 1, d_sums, d_weight);
            if (s->d_kernel)
                add_to_kernel(s, begin, rows, k, n, d_sums, s->room + s->rows * WIDE * share);
        }
        if (!s->d_x)
            continue;
        if (shares > 1)
            wait_for_team();
        const ptrdiff_t from = rows * share / shares, until = rows * (share + 1) / shares;
        multiply(until - from, width, s->F, d_sums + width * from, width, s->kernel, NULL, 0, s->d_x + s->F * (begin + from),
                 s->F);
    }
}

static void sweep(const Linear *s, void (*take)(const Linear *, ptrdiff_t, ptrdiff_t)) {
    const ptrdiff_t shares = shares_of(s);
    if (shares == 1) { /* not in a team of one thread: see threads.h */
        take(s, 0, 1);
        return;
    }
#pragma omp parallel num_threads((int)shares)
    take(s, member_of_team(), size_of_team());
}

/* Whether each node reads initial states and nodes before it alone. */
static int reads_before(const Linear *s) {
    for (ptrdiff_t i = 0; i < s->N; i++) {
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
int linear_forward(const Linear *s) {
    if (!reads_before(s))
        return 0;
    sweep(s, one_share);
    return 1;
}

int linear_back(const Linear *s) {
    if (!reads_before(s))
        return 0;
    sweep(s, one_share_back);
    return 1;
}

/* The panels of a kernel [k, m], see panels.h. */
void panels_linear(ptrdiff_t k, ptrdiff_t m, const float *kernel, ptrdiff_t down, ptrdiff_t right, float *panels) {
    lay_out(k, m, kernel, down, right, panels);
}
