/* Products of rows with a matrix, as in panels.h, of terms that are rounded to bfloat16: sums stay in float32. They are
 * made 16 rows by 16 columns at a time where the processor has tiles and the system lets them be used, else by vectors.
 * The instructions take numbers below float32's least normal one, 1.2e-38, for 0. Where rows or columns of a block are not
 * all there, what lies in memory is multiplied too, and the results are left out.
 *
 * Letters: n rows, k terms of each sum, m columns. */

#ifndef GNNSEQ_BFLOAT16_H
#define GNNSEQ_BFLOAT16_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "panels.h"

/* A panel has BROAD columns, and its terms come in blocks of LONG, filled up with zeros: for each block two tiles of 16
 * columns, of 16 rows that have a pair of terms of each column side by side. FAR terms of 32 rows stay in a core's first
 * cache. By vectors, so many rows are multiplied TOGETHER. */
enum { BROAD = 32, LONG = 32, FAR = 256, TILE_ROWS = 16, TILE_NUMBERS = 512, TOGETHER = 6 };

static inline ptrdiff_t filled_up(ptrdiff_t terms) { return (terms + LONG - 1) / LONG * LONG; }

/* To the nearest, of two as near ones to the even one; what is not a number stays so. */
static inline uint16_t rounded(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return x == x ? (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16) : 0x7fc0;
}

/* B [k, m], whose numbers are so far apart, as such panels. */
static inline void lay_out_rounded(ptrdiff_t k, ptrdiff_t m, const float *b, ptrdiff_t down, ptrdiff_t right,
                                   uint16_t *panels) {
    memset(panels, 0, 2 * (size_t)(filled_up(k) * ((m + BROAD - 1) / BROAD * BROAD)));
    for (ptrdiff_t j = 0; j < m; j += BROAD, panels += filled_up(k) * BROAD)
        for (ptrdiff_t w = 0; w < BROAD && j + w < m; w++) {
            uint16_t *column = panels + TILE_NUMBERS * (w / 16) + 2 * (w % 16);
            for (ptrdiff_t i = 0; i < k; i++)
                column[2 * TILE_NUMBERS * (i / LONG) + 32 * (i % LONG / 2) + i % 2] = rounded(b[down * i + right * (j + w)]);
        }
}

#if defined(__AVX512BF16__) && defined(__AVX512BW__)
#include <immintrin.h>

#if defined(__AMX_BF16__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#define HAS_TILES 1
#else
#define HAS_TILES 0
#endif

enum { NO_INSTRUCTIONS, BY_VECTORS, BY_TILES };

/* The system must be asked once whether a process may use tiles, as they are much to save when threads take turns. */
static inline int instructions(void) {
#if HAS_TILES
    static _Atomic int found = NO_INSTRUCTIONS; /* threads that ask at once are told the same */
    if (found == NO_INSTRUCTIONS)
        found = syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18 /* tile data */) == 0 ? BY_TILES : BY_VECTORS;
    return found;
#else
    return BY_VECTORS;
#endif
}

/* What lies there is read or written by instructions of which compilers know only the address. */
#define SEEN(address) __asm__ volatile("" : : "r"(address) : "memory")

#if HAS_TILES
/* Before a thread's first product by tiles, and after its last: others of the process have shapes of their own. */
static inline void begin_tiles(void) {
    struct { uint8_t palette, start, none[14]; uint16_t bytes[16]; uint8_t rows[16]; } shapes = {.palette = 1};
    for (int tile = 0; tile < 8; tile++)
        shapes.bytes[tile] = 64, shapes.rows[tile] = TILE_ROWS;
    SEEN(&shapes);
    _tile_loadconfig(&shapes);
}
static inline void end_tiles(void) { _tile_release(); }

/* Sums of up to 32 rows and 32 columns, `far` terms each, which may add to what is at `sums`. */
static inline void tiles_32(ptrdiff_t far, const uint16_t *rows, int tall, const uint16_t *panel, int adds, float *sums,
                            ptrdiff_t stride) {
    const size_t apart = 4 * (size_t)stride;
    SEEN(rows);
    SEEN(panel);
    SEEN(sums);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    if (adds) {
        _tile_loadd(0, sums, apart);
        _tile_loadd(1, sums + 16, apart);
    }
    if (adds && tall) {
        _tile_loadd(2, sums + 16 * stride, apart);
        _tile_loadd(3, sums + 16 * stride + 16, apart);
    }
    for (ptrdiff_t i = 0; i < far; i += LONG, panel += 2 * TILE_NUMBERS) {
        _tile_loadd(4, rows + i, 2 * FAR);
        _tile_loadd(6, panel, 64);
        _tile_loadd(7, panel + TILE_NUMBERS, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        if (tall) {
            _tile_loadd(5, rows + 16 * FAR + i, 2 * FAR);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    }
    if (tall) {
        _tile_stored(2, sums + 16 * stride, apart);
        _tile_stored(3, sums + 16 * stride + 16, apart);
    }
    _tile_stored(0, sums, apart);
    _tile_stored(1, sums + 16, apart);
    SEEN(sums);
}
#else
static inline void begin_tiles(void) {}
static inline void end_tiles(void) {}
#endif

#define UNROLLED _Pragma("GCC unroll 8") /* or sums would be in memory */

/* The same of so many rows, up to TOGETHER, by vectors. */
static inline __attribute__((always_inline)) void vectors_32(int tall, ptrdiff_t far, const uint16_t *rows,
                                                             const uint16_t *panel, int adds, float *sums,
                                                             ptrdiff_t stride) {
    __m512 total[TOGETHER][2];
    const __mmask16 there = adds ? 0xffff : 0; /* all others are 0 */
    UNROLLED
    for (int r = 0; r < tall; r++)
        UNROLLED
        for (int v = 0; v < 2; v++)
            total[r][v] = _mm512_maskz_loadu_ps(there, sums + stride * r + 16 * v);
    for (ptrdiff_t i = 0; i < far; i += 2) {
        const uint16_t *pairs = panel + 2 * TILE_NUMBERS * (i / LONG) + 16 * (i % LONG);
        const __m512bh left = (__m512bh)_mm512_loadu_si512(pairs);
        const __m512bh right = (__m512bh)_mm512_loadu_si512(pairs + TILE_NUMBERS);
        UNROLLED
        for (int r = 0; r < tall; r++) {
            int32_t pair;
            memcpy(&pair, rows + FAR * r + i, 4);
            __m512i both = _mm512_set1_epi32(pair);
            __asm__("" : "+v"(both)); /* clang 16 ends at a product of what was repeated just before */
            total[r][0] = _mm512_dpbf16_ps(total[r][0], (__m512bh)both, left);
            total[r][1] = _mm512_dpbf16_ps(total[r][1], (__m512bh)both, right);
        }
    }
    UNROLLED
    for (int r = 0; r < tall; r++)
        _mm512_storeu_ps(sums + stride * r, total[r][0]), _mm512_storeu_ps(sums + stride * r + 16, total[r][1]);
}

#undef UNROLLED

/* Which of 16 places there are, of so many that are left. */
static inline __mmask16 places(ptrdiff_t left) {
    return left >= 16 ? 0xffff : left > 0 ? (__mmask16)((1u << left) - 1) : 0;
}

/* Rounds n rows of so many numbers, filled up with zeros. */
static inline void round_rows(ptrdiff_t n, ptrdiff_t terms, const float *a, ptrdiff_t stride, uint16_t *rows) {
    for (ptrdiff_t i = 0; i < n; i++, a += stride, rows += FAR)
        for (ptrdiff_t j = 0; j < filled_up(terms); j += 16) {
            const __m512 numbers = _mm512_maskz_loadu_ps(places(terms - j), a + j);
            _mm256_storeu_si256((__m256i *)(rows + j), (__m256i)_mm512_cvtneps_pbh(numbers));
        }
}

static inline void copy_sums(ptrdiff_t n, ptrdiff_t width, const float *from, ptrdiff_t apart, float *to,
                             ptrdiff_t to_apart) {
    for (ptrdiff_t i = 0; i < n; i++)
        memcpy(to + to_apart * i, from + apart * i, 4 * (size_t)width);
}

/* C = A B, or C += A B, of up to 32 rounded rows of `far` terms, a multiple of LONG, and one panel. */
static inline void multiply_panel(ptrdiff_t n, ptrdiff_t far, ptrdiff_t width, const uint16_t *rows,
                                  const uint16_t *panel, int adds, float *c, ptrdiff_t c_stride) {
    _Alignas(64) float rest[32 * BROAD]; /* where a tile is no part of C */
    const int tiles = instructions() == BY_TILES, fits = width == BROAD && !(tiles && n % TILE_ROWS != 0);
    float *sums = fits ? c : rest;
    const ptrdiff_t apart = fits ? c_stride : BROAD;
    if (!fits && adds)
        copy_sums(n, width, c, c_stride, rest, BROAD);
#if HAS_TILES
    if (tiles)
        tiles_32(far, rows, n > TILE_ROWS, panel, adds, sums, apart);
    else
#endif
        for (ptrdiff_t first = 0; first < n; first += TOGETHER) {
            const uint16_t *from = rows + FAR * first;
            float *to = sums + apart * first;
            switch (n - first) {
#define ROWS(tall) \
    case tall: vectors_32(tall, far, from, panel, adds, to, apart); break
                ROWS(1);
                ROWS(2);
                ROWS(3);
                ROWS(4);
                ROWS(5);
#undef ROWS
            default:
                vectors_32(TOGETHER, far, from, panel, adds, to, apart);
            }
        }
    if (!fits)
        copy_sums(n, width, rest, BROAD, c, c_stride);
}

/* C = A B, or C += A B: A [n, k] and C [n, m], whose rows are so far apart, and B's panels. A row's numbers are the same
 * whichever rows are multiplied with it. */
static __attribute__((noinline)) void multiply_rounded(ptrdiff_t n, ptrdiff_t k, ptrdiff_t m, const float *a,
                                                       ptrdiff_t a_stride, const uint16_t *panels, int adds, float *c,
                                                       ptrdiff_t c_stride) {
    _Alignas(64) uint16_t rows[32 * FAR];
    for (ptrdiff_t row = 0; row < n; row += 32)
        for (ptrdiff_t i = 0; i == 0 || i < k; i += FAR) { /* of no terms too */
            const ptrdiff_t tall = n - row < 32 ? n - row : 32, far = k - i < FAR ? k - i : FAR;
            round_rows(tall, far, a + a_stride * row + i, a_stride, rows);
            for (ptrdiff_t j = 0; j < m; j += BROAD)
                multiply_panel(tall, filled_up(far), m - j < BROAD ? m - j : BROAD, rows,
                               panels + filled_up(k) * j + BROAD * i, adds || i > 0, c + c_stride * row + j, c_stride);
        }
}

/* Two rows of up to 16 numbers, rounded, with the two of each column side by side. */
static inline __m512i pairs_of(const float *a, const float *b, ptrdiff_t width) {
    static const _Alignas(64) uint16_t sides[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                    8,  24, 9,  25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    const __mmask16 there = places(width);
    const __m512 first = a ? _mm512_maskz_loadu_ps(there, a) : _mm512_setzero_ps();
    const __m512 second = b ? _mm512_maskz_loadu_ps(there, b) : _mm512_setzero_ps();
    return _mm512_permutexvar_epi16(_mm512_load_si512(sides), (__m512i)_mm512_cvtne2ps_pbh(second, first));
}

/* C += A^T B: A [n, k] and B [n, m], whose rows are so far apart, and C [k, m]; `panels` has room for FAR rows of
 * B, filled up to whole panels. */
static __attribute__((noinline)) void add_rounded(ptrdiff_t n, ptrdiff_t k, ptrdiff_t m, const float *a, ptrdiff_t a_stride,
                                                  const float *b, ptrdiff_t b_stride, uint16_t *panels, float *c,
                                                  ptrdiff_t c_stride) {
    _Alignas(64) uint16_t rows[32 * FAR];
    _Alignas(64) uint32_t pairs[16 * 16];
    for (ptrdiff_t i = 0; i < n; i += FAR) {
        const ptrdiff_t deep = n - i < FAR ? n - i : FAR, far = filled_up(deep);
        for (ptrdiff_t j = 0; j < m; j += 16)
            for (ptrdiff_t l = 0; l < far; l += 2) {
                const float *from = b + b_stride * (i + l) + j;
                uint16_t *to = panels + far * (j / BROAD * BROAD) + TILE_NUMBERS * (2 * (l / LONG) + j / 16 % 2);
                _mm512_storeu_si512(to + 16 * (l % LONG), pairs_of(l < deep ? from : NULL,
                                                                   l + 1 < deep ? from + b_stride : NULL, m - j));
            }
        for (ptrdiff_t row = 0; row < k; row += 32) {
            const ptrdiff_t tall = k - row < 32 ? k - row : 32;
            for (ptrdiff_t high = 0; high < tall; high += 16)
                for (ptrdiff_t l = 0; l < far; l += LONG) {
                    for (ptrdiff_t pair = 0, at = i + l; pair < 16; pair++, at += 2) {
                        const float *from = a + a_stride * at + row + high;
                        _mm512_store_si512(pairs + 16 * pair, pairs_of(at < n ? from : NULL, at + 1 < n ? from + a_stride : NULL,
                                                                       k - row - high));
                    }
                    for (ptrdiff_t r = 0; r < 16; r++)
                        for (ptrdiff_t pair = 0; pair < 16; pair++)
                            memcpy(rows + FAR * (high + r) + l + 2 * pair, pairs + 16 * pair + r, 4);
                }
            for (ptrdiff_t j = 0; j < m; j += BROAD)
                multiply_panel(tall, far, m - j < BROAD ? m - j : BROAD, rows, panels + far * j, 1,
                               c + c_stride * row + j, c_stride);
        }
    }
}

#else /* never called */

enum { NO_INSTRUCTIONS };

static inline int instructions(void) { return NO_INSTRUCTIONS; }
static inline void begin_tiles(void) {}
static inline void end_tiles(void) {}
static inline void multiply_rounded(ptrdiff_t n, ptrdiff_t k, ptrdiff_t m, const float *a, ptrdiff_t a_stride,
                                    const uint16_t *panels, int adds, float *c, ptrdiff_t c_stride) {
    (void)n, (void)k, (void)m, (void)a, (void)a_stride, (void)panels, (void)adds, (void)c, (void)c_stride;
}
static inline void add_rounded(ptrdiff_t n, ptrdiff_t k, ptrdiff_t m, const float *a, ptrdiff_t a_stride, const float *b,
                               ptrdiff_t b_stride, uint16_t *panels, float *c, ptrdiff_t c_stride) {
    (void)n, (void)k, (void)m, (void)a, (void)a_stride, (void)b, (void)b_stride, (void)panels, (void)c, (void)c_stride;
}

#endif

#endif
