/* Vectors as wide as the processor's. */

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

#endif
