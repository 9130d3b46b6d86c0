/* Rows shared among threads. */

#ifndef GNNSEQ_THREADS_H
#define GNNSEQ_THREADS_H

#include <stddef.h>

enum { LEAST_NUMBERS = 4096 }; /* that several threads are worth */

/* Does `work` on shares of n rows of H numbers, each `rows` rows that begin with row `from`. A team of one thread is not
 * formed, because OpenMP's runtime would then end the others, which the next product would have to start again. */
#define EACH_SHARE(threads, n, H, from, rows, work)                              \
    do {                                                                         \
        ptrdiff_t shares_ = (n) * (H) < LEAST_NUMBERS ? 1 : (threads);           \
        if (shares_ == 1) {                                                      \
            const ptrdiff_t from = 0, rows = (n);                                \
            work;                                                                \
            break;                                                               \
        }                                                                        \
        _Pragma("omp parallel for num_threads((int)shares_)")                    \
        for (ptrdiff_t share_ = 0; share_ < shares_; share_++) {                 \
            const ptrdiff_t from = (n) * share_ / shares_;                       \
            const ptrdiff_t rows = (n) * (share_ + 1) / shares_ - from;          \
            work;                                                                \
        }                                                                        \
    } while (0)

/* Within a team: the number of a thread and of all, and a wait for all. By hand, as not every compiler has omp.h. */
#ifdef _OPENMP
extern int omp_get_thread_num(void), omp_get_num_threads(void);
static inline int member_of_team(void) { return omp_get_thread_num(); }
static inline int size_of_team(void) { return omp_get_num_threads(); }
#else
static inline int member_of_team(void) { return 0; }
static inline int size_of_team(void) { return 1; }
#endif
static inline void wait_for_team(void) {
#pragma omp barrier
}

#endif
