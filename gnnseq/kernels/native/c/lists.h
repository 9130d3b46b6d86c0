/* Sums of a table's rows, which lists name.
 *
 * Letters: n lists, F rows of the table, H channels. */

#ifndef GNNSEQ_LISTS_H
#define GNNSEQ_LISTS_H

#ifdef __AVX__
#include <immintrin.h>
#endif

#include "lanes.h"

enum { MOST = 8 };                    /* vectors of one sum */
enum { AHEAD = 8 };                   /* rows from asking for one to reading it */
enum { NEAR = 1 << 18 };              /* numbers of a table that a core's cache holds */

#if defined __AVX2__ && !defined __AVX512F__
/* The first `size` of LANES places. */
static inline __m256i places(ptrdiff_t size) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)size), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#endif

/* The first `size` of up to LANES numbers, and zeros. */
static inline Lanes read(const float *x, ptrdiff_t size) {
    if (size >= LANES)
        return *(const Lanes *)x;
#if defined __AVX512F__
    return (Lanes)_mm512_maskz_loadu_ps((__mmask16)((1u << size) - 1), x);
#elif defined __AVX2__
    return (Lanes)_mm256_maskload_ps(x, places(size));
#else
    Lanes lanes = {0};
    memcpy(&lanes, x, 4 * (size_t)size);
    return lanes;
#endif
}

static inline void write(float *x, ptrdiff_t size, Lanes lanes) {
    if (size >= LANES)
        *(Lanes *)x = lanes;
    else
#if defined __AVX512F__
        _mm512_mask_storeu_ps(x, (__mmask16)((1u << size) - 1), (__m512)lanes);
#elif defined __AVX2__
        _mm256_maskstore_ps(x, places(size), (__m256)lanes);
#else
        memcpy(x, &lanes, 4 * (size_t)size);
#endif
}

/* Features that are not zero: node i's lie at begin[i]..end[i]-1 of columns and values, or end where the next begins if
 * end is NULL; begin then has one more. Indices have 32 bits, or 64 where they are wide, which functions are told
 * apart from this, so that compilers make one for each. */
typedef struct {
    ptrdiff_t size; /* of columns and values */
    int wide;
    const void *begin, *end, *columns;
    const float *values;
} Lists;

static inline ptrdiff_t at(const void *index, const int wide, ptrdiff_t i) {
    return wide ? (ptrdiff_t)((const int64_t *)index)[i] : ((const int32_t *)index)[i];
}

static inline ptrdiff_t begin_of(const Lists *lists, const int wide, ptrdiff_t i) {
    return at(lists->begin, wide, i);
}

static inline ptrdiff_t end_of(const Lists *lists, const int wide, ptrdiff_t i) {
    return lists->end ? at(lists->end, wide, i) : at(lists->begin, wide, i + 1);
}

/* Up to `width` lanes of one sum, `size` numbers. Rows of a large table are asked for before they are read. */
static inline void sum_lanes(const int width, ptrdiff_t size, ptrdiff_t H, ptrdiff_t begin, ptrdiff_t end,
                             const Lists *lists, const int wide, int far, const float *table, float *sum) {
    Lanes parts[MOST] = {0};
    for (ptrdiff_t i = begin; i < end; i++) {
        const float *row = table + H * at(lists->columns, wide, i);
        if (far && i + AHEAD < lists->size)
            fetch(table + H * at(lists->columns, wide, i + AHEAD), LANES * width);
        for (int part = 0; part < width; part++)
            parts[part] += lists->values[i] * read(row + LANES * part, size - LANES * part);
    }
    for (int part = 0; part < width; part++)
        write(sum + LANES * part, size - LANES * part, parts[part]);
}

static inline int is_valid(ptrdiff_t F, const Lists *lists, const int wide, ptrdiff_t begin, ptrdiff_t end) {
    if (begin < 0 || begin > end || end > lists->size)
        return 0;
    int within = 1;
    for (ptrdiff_t i = begin; i < end; i++)
        within &= at(lists->columns, wide, i) >= 0 && at(lists->columns, wide, i) < F;
    return within;
}

/* Lists from..from+n-1, the first one's sum where `out` begins; 0 where a list is not among the numbers or a column not
 * within 0..F-1. */
static inline int sum_share(ptrdiff_t from, ptrdiff_t n, ptrdiff_t F, ptrdiff_t H, const Lists *lists, const int wide,
                            const float *table, float *out) {
    const int far = F * H > NEAR;
    for (ptrdiff_t list = from; list < from + n; list++, out += H) {
        const ptrdiff_t first = begin_of(lists, wide, list), last = end_of(lists, wide, list);
        if (!is_valid(F, lists, wide, first, last))
            return 0;
        ptrdiff_t k = 0;
        for (; k + MOST * LANES <= H; k += MOST * LANES)
            sum_lanes(MOST, MOST * LANES, H, first, last, lists, wide, far, table + k, out + k);
        for (; k + 2 * LANES <= H; k += 2 * LANES)
            sum_lanes(2, 2 * LANES, H, first, last, lists, wide, far, table + k, out + k);
        for (; k < H; k += LANES)
            sum_lanes(1, H - k, H, first, last, lists, wide, far, table + k, out + k);
    }
    return 1;
}

#endif
