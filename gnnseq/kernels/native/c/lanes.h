/* Vectors as wide as the processor's, and rows of numbers in its cache. */

#ifndef GNNSEQ_LANES_H
#define GNNSEQ_LANES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Compilers take vectors that are wider than a processor's apart through memory. */
#if defined __AVX512F__
enum { LANES = 16 };
#elif defined __AVX2__
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif

/* Numbers side by side in registers, wherever they begin in memory. */
typedef float Lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

enum { LINE = 16 }; /* numbers of a line of the cache */

/* Asks for n numbers that are read soon, where a processor does not foresee them: of neighbours, which lie anywhere, or of
 * rows that are read backwards. */
static inline void fetch(const float *row, ptrdiff_t n) {
    for (ptrdiff_t k = 0; k < n; k += LINE)
        __builtin_prefetch(row + k);
}

static inline ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

#endif
