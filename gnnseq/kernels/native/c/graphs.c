/* Edges as compressed rows, sorted by counting.
 *
 * Letters: E edges, R rows, C columns. */

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
 * what the last listed one does; listed loops then weigh 0. Returns 0 if an end is out of range or a weight negative.
 * weight: NULL if all are 1. room: [2N]; out: [E + N] or [E] */
ptrdiff_t gcn_weights(ptrdiff_t E, ptrdiff_t N, const int64_t *source, const int64_t *target, const float *weight,
                      ptrdiff_t loop, float *room, float *out) {
    float *restrict out_degree = room, *restrict in_degree = room + N, *loops = out + E;
    for (ptrdiff_t n = 0; loop && n < N; n++)
        loops[n] = (float)loop;
    memset(room, 0, sizeof *room * 2 * (size_t)N);
    for (ptrdiff_t e = 0; e < E; e++) {
        const int64_t j = source[e], i = target[e];
        const float w = weight ? weight[e] : 1.0f;
        if (j < 0 || j >= N || i < 0 || i >= N || !(w >= 0.0f))
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
