/* Edges as compressed rows, sorted by counting.
 *
 * Letters: E edges, R rows, C columns; N nodes, M edges with their self-loops. */

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The edges of `order`, or of the list if that is NULL, sorted by a key below `size`, in the order they came in. */
static void sort(ptrdiff_t E, ptrdiff_t size, const int64_t *key, const int64_t *order, int64_t *begin,
                 int64_t *sorted) {
    memset(begin, 0, sizeof *begin * (size_t)(size + 1));
    for (ptrdiff_t e = 0; e < E; e++)
        begin[key[e] + 1]++;
    for (ptrdiff_t k = 0; k < size; k++)
        begin[k + 1] += begin[k];
    for (ptrdiff_t i = 0; i < E; i++) {
        const int64_t e = order ? order[i] : i;
        sorted[begin[key[e]]++] = e;
    }
}

/* Edges sorted by row, then by column, then as listed. Returns 0 if an end is out of range, and writes nothing then.
 * room: [E + max(R, C) + 1]; indptr: [R + 1]; indices, edge_id: [E] */
ptrdiff_t compress_rows(ptrdiff_t E, ptrdiff_t R, ptrdiff_t C, const int64_t *rows, const int64_t *columns,
                        int64_t *room, int32_t *indptr, int32_t *indices, int64_t *edge_id) {
    for (ptrdiff_t e = 0; e < E; e++)
        if (rows[e] < 0 || rows[e] >= R || columns[e] < 0 || columns[e] >= C)
            return 0;
    int64_t *begin = room + E;
    sort(E, C, columns, NULL, begin, room);
    sort(E, R, rows, room, begin, edge_id);
    /* Now begin[r] is where row r ends. */
    indptr[0] = 0;
    for (ptrdiff_t r = 0; r < R; r++)
        indptr[r + 1] = (int32_t)begin[r];
    for (ptrdiff_t i = 0; i < E; i++)
        indices[i] = (int32_t)columns[edge_id[i]];
    return 1;
}

/* Normalised weights of E edges and, if `loop` is not 0, of a self-loop of every node after them, which weighs `loop` or
 * what the last listed one does; listed loops then weigh 0. Returns 0 if an end is out of range, or a weight negative,
 * infinite or no number. weight: NULL if all are 1. degrees: [2N]; out: [M] */
ptrdiff_t gcn_weights(ptrdiff_t E, ptrdiff_t N, const int64_t *source, const int64_t *target, const float *weight,
                      ptrdiff_t loop, float *degrees, float *out) {
    float *restrict out_degree = degrees, *restrict in_degree = degrees + N, *loops = out + E;
    for (ptrdiff_t n = 0; loop && n < N; n++)
        loops[n] = (float)loop;
    memset(degrees, 0, sizeof *degrees * 2 * (size_t)N);
    for (ptrdiff_t e = 0; e < E; e++) {
        const int64_t j = source[e], i = target[e];
        const float w = weight ? weight[e] : 1.0f;
        if (j < 0 || j >= N || i < 0 || i >= N || !(w >= 0.0f && w <= FLT_MAX))
            return 0;
        out[e] = w;
        if (loop && j == i) {
            loops[j] = w;
            out[e] = 0.0f;
        }
        out_degree[j] += out[e];
        in_degree[i] += out[e];
    }
    for (ptrdiff_t n = 0; n < N; n++) {
        const float own = loop ? loops[n] : 0.0f, o = out_degree[n] + own, d = in_degree[n] + own;
        out_degree[n] = o > 0.0f ? (float)(1.0 / sqrt((double)o)) : 0.0f;
        in_degree[n] = d > 0.0f ? (float)(1.0 / sqrt((double)d)) : 0.0f;
    }
    for (ptrdiff_t e = 0; e < E; e++)
        out[e] = out_degree[source[e]] * out[e] * in_degree[target[e]];
    for (ptrdiff_t n = 0; loop && n < N; n++)
        loops[n] = out_degree[n] * loops[n] * in_degree[n];
    return 1;
}

/* Where each node's edges begin, and M; ends: [E] */
static void begin_rows(ptrdiff_t E, ptrdiff_t N, const int64_t *ends, ptrdiff_t loop, int32_t *indptr) {
    memset(indptr, 0, sizeof *indptr * (size_t)(N + 1));
    for (ptrdiff_t e = 0; e < E; e++)
        indptr[ends[e] + 1]++;
    for (ptrdiff_t n = 0; n < N; n++)
        indptr[n + 1] += indptr[n] + (loop ? 1 : 0);
}

/* Puts back what counted on to where the next row begins. */
static void begin_again(ptrdiff_t N, int32_t *indptr) {
    memmove(indptr + 1, indptr, sizeof *indptr * (size_t)N);
    indptr[0] = 0;
}

/* Those edges, whose ends gcn_weights has seen, by target and by source, sorted as by compress_rows, with weights.
 * weights, order: [M]; of either way indptr: [N + 1]; indices, edge_id, weights: [M] */
void gcn_rows(ptrdiff_t E, ptrdiff_t N, const int64_t *source, const int64_t *target, ptrdiff_t loop,
              const float *weights, int32_t *order, int32_t *t_indptr, int32_t *t_indices, int64_t *t_edge_id,
              float *t_weights, int32_t *s_indptr, int32_t *s_indices, int64_t *s_edge_id, float *s_weights) {
    const ptrdiff_t M = loop ? E + N : E;
    begin_rows(E, N, source, loop, s_indptr);
    for (ptrdiff_t e = 0; e < M; e++)
        order[s_indptr[e < E ? source[e] : e - E]++] = (int32_t)e;
    begin_again(N, s_indptr);
    begin_rows(E, N, target, loop, t_indptr);
    for (ptrdiff_t k = 0; k < M; k++) {
        const ptrdiff_t e = order[k], place = t_indptr[e < E ? target[e] : e - E]++;
        t_indices[place] = (int32_t)(e < E ? source[e] : e - E);
        t_edge_id[place] = e;
        t_weights[place] = weights[e];
    }
    begin_again(N, t_indptr);
    for (ptrdiff_t i = 0; i < N; i++)
        for (ptrdiff_t k = t_indptr[i]; k < t_indptr[i + 1]; k++) {
            const ptrdiff_t place = s_indptr[t_indices[k]]++;
            s_indices[place] = (int32_t)i;
            s_edge_id[place] = t_edge_id[k];
            s_weights[place] = t_weights[k];
        }
    begin_again(N, s_indptr);
}
