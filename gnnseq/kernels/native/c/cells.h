/* Cells of float32 rows, element by element in one pass, for which torch would make a dozen.
 *
 * The reference of each equation is the message and update of its layer; tests/kernels/test_native.py holds what is
 * computed here equal to them in float64, rounded.
 *
 * Letters: n rows, H hidden channels, of which m are taken, the first at what is pointed to. Gates lie side by side in a
 * row. */

#ifndef GNNSEQ_CELLS_H
#define GNNSEQ_CELLS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* e^x to 2 units in the last place: 2^k e^r, |r| <= log(2) / 2, e^r by Cephes' polynomial. */
static inline float exp_(float x) {
    x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
    float k = x * 1.44269504f + 12582912.0f; /* 1.5 * 2^23, whose last bit is 1: k is rounded */
    uint32_t bits;
    memcpy(&bits, &k, 4);
    k -= 12582912.0f;
    float r = x - k * 0.693359375f + k * 2.12194440e-4f; /* log(2) in two parts */
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    uint32_t power = (bits + 127) << 23;
    float scale;
    memcpy(&scale, &power, 4);
    return p * scale;
}

static inline float sigmoid_(float x) { return 1.0f / (1.0f + exp_(-x)); }

/* The rational function of Eigen's fast tanh, 3 units in the last place; beyond the ends it would exceed 1. */
static inline float tanh_(float x) {
    const float end = 7.90531110763549805f;
    x = x < -end ? -end : x > end ? end : x;
    float y = x * x;
    float p = -2.76076847742355e-16f;
    p = p * y + 2.00018790482477e-13f;
    p = p * y - 8.60467152213735e-11f;
    p = p * y + 5.12229709037114e-08f;
    p = p * y + 1.48572235717979e-05f;
    p = p * y + 6.37261928875436e-04f;
    p = p * y + 4.89352455891786e-03f;
    float q = 1.19825839466702e-06f;
    q = q * y + 1.18534705686654e-04f;
    q = q * y + 2.26843463243900e-03f;
    q = q * y + 4.89352518554385e-03f;
    return x * p / q;
}

/* gates: sums of i, f, g, o, which become the gates. [n, 4H]; all others [n, H] */
static inline void lstm_fire(ptrdiff_t n, ptrdiff_t H, ptrdiff_t m, float *gates, const float *c_before, float *c,
                             float *tanh_c, float *h) {
    for (ptrdiff_t row = 0; row < n; row++) {
        float *i = gates + 4 * H * row, *f = i + H, *g = f + H, *o = g + H;
        const float *b = c_before + H * row;
        float *c_ = c + H * row, *t = tanh_c + H * row, *h_ = h + H * row;
#pragma omp simd
        for (ptrdiff_t k = 0; k < m; k++) {
            f[k] = sigmoid_(f[k]);
            i[k] = sigmoid_(i[k]);
            o[k] = sigmoid_(o[k]);
            g[k] = tanh_(g[k]);
            c_[k] = f[k] * b[k] + i[k] * g[k];
            t[k] = tanh_(c_[k]);
            h_[k] = o[k] * t[k];
        }
    }
}

/* flow_h, flow_c: what the next step sent; flow_c becomes what this one sends. d_gates: of the sums. */
static inline void lstm_fire_back(ptrdiff_t n, ptrdiff_t H, ptrdiff_t m, const float *gates, const float *c_before,
                                  const float *tanh_c, const float *d_h, const float *flow_h, float *flow_c,
                                  float *d_gates) {
    for (ptrdiff_t row = 0; row < n; row++) {
        const float *i = gates + 4 * H * row, *f = i + H, *g = f + H, *o = g + H;
        const float *b = c_before + H * row, *t = tanh_c + H * row, *own = d_h + H * row, *sent = flow_h + H * row;
        float *flow = flow_c + H * row;
        float *d_i = d_gates + 4 * H * row, *d_f = d_i + H, *d_g = d_f + H, *d_o = d_g + H;
#pragma omp simd
        for (ptrdiff_t k = 0; k < m; k++) {
            float h = own[k] + sent[k];
            float c = flow[k] + h * o[k] * (1.0f - t[k] * t[k]);
            d_f[k] = c * b[k] * f[k] * (1.0f - f[k]);
            d_i[k] = c * g[k] * i[k] * (1.0f - i[k]);
            d_o[k] = h * t[k] * o[k] * (1.0f - o[k]);
            d_g[k] = c * i[k] * (1.0f - g[k] * g[k]);
            flow[k] = c * f[k];
        }
    }
}

/* sums: become their tanh. [n, H] */
static inline void tanh_fire(ptrdiff_t n, ptrdiff_t H, ptrdiff_t m, float *sums) {
    for (ptrdiff_t row = 0; row < n; row++, sums += H) {
#pragma omp simd
        for (ptrdiff_t k = 0; k < m; k++)
            sums[k] = tanh_(sums[k]);
    }
}

/* sent: the gradient that the next step sent, which adds to the own d_h; d_sums: of the sums inside tanh. [n, H] */
static inline void tanh_fire_back(ptrdiff_t n, ptrdiff_t H, ptrdiff_t m, const float *h, const float *d_h,
                                  const float *sent, float *d_sums) {
    for (ptrdiff_t row = 0; row < n; row++, h += H, d_h += H, sent += H, d_sums += H) {
#pragma omp simd
        for (ptrdiff_t k = 0; k < m; k++)
            d_sums[k] = (d_h[k] + sent[k]) * (1.0f - h[k] * h[k]);
    }
}

/* sums: become what of them is positive, or not a number. [n, H] */
static inline void relu_fire(ptrdiff_t n, ptrdiff_t H, ptrdiff_t m, float *sums) {
    for (ptrdiff_t row = 0; row < n; row++, sums += H) {
#pragma omp simd
        for (ptrdiff_t k = 0; k < m; k++)
            sums[k] = sums[k] <= 0.0f ? 0.0f : sums[k];
    }
}

static inline void relu_fire_back(ptrdiff_t n, ptrdiff_t H, ptrdiff_t m, const float *h, const float *d_h,
                                  const float *sent, float *d_sums) {
    for (ptrdiff_t row = 0; row < n; row++, h += H, d_h += H, sent += H, d_sums += H) {
#pragma omp simd
        for (ptrdiff_t k = 0; k < m; k++)
            d_sums[k] = h[k] <= 0.0f ? 0.0f : d_h[k] + sent[k];
    }
}

/* gates: what r, z and n do not take from the state, which become the gates. [n, 3H]
 * product: W_hh times the state that is read, with n's b_hh in `bias` yet to add; inner: n's share of it. [n, 3H] */
static inline void gru_fire(ptrdiff_t n, ptrdiff_t H, ptrdiff_t m, float *gates, const float *product,
                            const float *bias, const float *read, float *inner, float *h) {
    for (ptrdiff_t row = 0; row < n; row++) {
        float *r = gates + 3 * H * row, *z = r + H, *n_ = z + H;
        const float *p_r = product + 3 * H * row, *p_z = p_r + H, *p_n = p_z + H, *before = read + H * row;
        float *inner_ = inner + H * row, *h_ = h + H * row;
#pragma omp simd
        for (ptrdiff_t k = 0; k < m; k++) {
            inner_[k] = p_n[k] + bias[k];
            r[k] = sigmoid_(r[k] + p_r[k]);
            z[k] = sigmoid_(z[k] + p_z[k]);
            n_[k] = tanh_(n_[k] + r[k] * inner_[k]);
            h_[k] = n_[k] + z[k] * (before[k] - n_[k]);
        }
    }
}

/* d_all: of n's inner product and of the sums in r, z, n [n, 4H]; d_kept: of the state that is read, along z, which may
 * take d_h's place. [n, H] */
static inline void gru_fire_back(ptrdiff_t n, ptrdiff_t H, ptrdiff_t m, const float *gates, const float *inner, const float *read,
                                 const float *d_h, float *d_all, float *d_kept) {
    for (ptrdiff_t row = 0; row < n; row++) {
        const float *r = gates + 3 * H * row, *z = r + H, *n_ = z + H;
        const float *inner_ = inner + H * row, *before = read + H * row, *d = d_h + H * row;
        float *d_inner = d_all + 4 * H * row, *d_r = d_inner + H, *d_z = d_r + H, *d_n = d_z + H;
        float *kept = d_kept + H * row;
#pragma omp simd
        for (ptrdiff_t k = 0; k < m; k++) {
            float own = d[k];
            kept[k] = own * z[k];
            d_n[k] = (own - own * z[k]) * (1.0f - n_[k] * n_[k]);
            d_inner[k] = d_n[k] * r[k];
            d_r[k] = d_n[k] * inner_[k] * r[k] * (1.0f - r[k]);
            d_z[k] = (before[k] - n_[k]) * own * z[k] * (1.0f - z[k]);
        }
    }
}

#endif
