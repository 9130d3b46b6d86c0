/* Neighbours drawn from a graph's compressed rows; gnnseq/sampler/in_numpy.py is the same, number by number.
 *
 * Letters: N nodes, E edges of the graph; n targets whose neighbours are drawn, m edges drawn. Targets are numbered in the
 * sample, from `first` on. No sum here has a product as its term, so that compilers have nothing to contract. */

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

enum { FEW = 32, AHEAD = 24 }; /* draws that are compared one by one; reads that are on their way at a time */

#define GOLDEN 0x9e3779b97f4a7c15u

/* Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators. */
static inline uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A number of 0..n - 1. */
static inline int32_t below(uint64_t bits, int64_t n) { return (int32_t)(((bits >> 32) * (uint64_t)n) >> 32); }

/* Asks for large pages, because what is read here and there misses the table of small ones; nothing else changes. */
static void advise(void *array, size_t size) {
#ifdef MADV_HUGEPAGE
    const uintptr_t page = 1 << 21, begin = ((uintptr_t)array + page - 1) & ~(page - 1), end = (uintptr_t)array + size;
    if (end > begin + page)
        (void)madvise((void *)begin, (end - begin) & ~(page - 1), MADV_HUGEPAGE);
#else
    (void)array, (void)size;
#endif
}

/* Edges by target, in the order of the list, or in that of `order` [E]. */
void neighbors_compress(ptrdiff_t N, ptrdiff_t E, const int64_t *source, const int64_t *target, const int64_t *order,
                        int32_t *indptr, int32_t *indices, int32_t *edge_id) {
    advise(indptr, 4 * (size_t)N);
    advise(indices, 4 * (size_t)E);
    advise(edge_id, 4 * (size_t)E);
    for (ptrdiff_t v = 0; v <= N; v++)
        indptr[v] = 0;
    for (ptrdiff_t e = 0; e < E; e++)
        indptr[target[e]]++;
    for (ptrdiff_t v = 0, begin = 0; v <= N; v++) {
        const ptrdiff_t size = indptr[v];
        indptr[v] = (int32_t)begin;
        begin += size;
    }
    for (ptrdiff_t place = 0; place < E; place++) {
        const ptrdiff_t e = order ? order[place] : place;
        const int32_t slot = indptr[target[e]]++;
        indices[slot] = (int32_t)source[e];
        edge_id[slot] = (int32_t)e;
    }
    for (ptrdiff_t v = N; v > 0; v--) /* where rows end, to where they begin */
        indptr[v] = indptr[v - 1];
    indptr[0] = 0;
}

/* Where the edges begin that a target may draw from, and how many they are; of rows in the order of time those of no
 * later time than the target's tree's, and of these the last k alone if asked. The number that will be drawn; -1 where
 * it is beyond an int, -2 where rows are none: they are shared, and whoever shares them may write there. */
int neighbors_reach(ptrdiff_t n, ptrdiff_t N, ptrdiff_t E, ptrdiff_t longest, const int32_t *node, const int32_t *tree, const int32_t *limit, const int32_t *indptr,
                    const int32_t *indices, const int32_t *node_time, const int32_t *edge_time, ptrdiff_t k,
                    ptrdiff_t last, ptrdiff_t replace, int32_t *begin, int32_t *size) {
    int64_t total = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        int32_t low = indptr[node[i]], high = indptr[node[i] + 1];
        const int32_t start = low;
        if (low < 0 || high < low || high > E || high - low > longest)
            return -2;
        if (node_time || edge_time) {
            const int32_t now = limit[tree[i]];
            while (low < high) {
                const int32_t middle = low + (high - low) / 2;
                if ((uint32_t)indices[middle] >= (uint64_t)N)
                    return -2;
                if ((edge_time ? edge_time[middle] : node_time[indices[middle]]) <= now)
                    low = middle + 1;
                else
                    high = middle;
            }
        }
        const int32_t found = high - start, kept = last && k >= 0 && found > k ? (int32_t)k : found;
        begin[i] = high - kept;
        size[i] = kept;
        total += k < 0 || (kept <= k && !replace) ? kept : kept ? k : 0;
    }
    return total > INT_MAX ? -1 : (int)total;
}

/* Floyd's choice of k of n: Bentley and Floyd 1987, A sample of brilliance. `taken` [n] is zero before and after. */
static void choose(ptrdiff_t k, int32_t n, uint64_t stream, int32_t begin, uint8_t *taken, int32_t *edge) {
    for (ptrdiff_t t = 0; t < k; t++) {
        const int32_t top = n - (int32_t)k + (int32_t)t;
        int32_t drawn = below(mix(stream + (uint64_t)(t + 1) * GOLDEN), (int64_t)top + 1);
        if (k <= FEW) {
            int again = 0;
            for (ptrdiff_t s = 0; s < t; s++)
                again |= edge[s] == begin + drawn;
            drawn = again ? top : drawn;
        } else {
            drawn = taken[drawn] ? top : drawn;
            taken[drawn] = 1;
        }
        edge[t] = begin + drawn;
    }
    if (k > FEW)
        for (ptrdiff_t t = 0; t < k; t++)
            taken[edge[t] - begin] = 0;
}

/* Draws k of n in proportion to their weights, one after another, those that were drawn left out unless `replace`. */
static ptrdiff_t choose_weighted(ptrdiff_t k, int32_t n, ptrdiff_t replace, uint64_t stream, int32_t begin,
                                 const double *weight, uint8_t *taken, int32_t *edge) {
    ptrdiff_t positive = 0, drawn = 0;
    for (int32_t e = 0; e < n; e++)
        positive += weight[begin + e] > 0;
    if (positive <= k && !replace) {
        for (int32_t e = 0; e < n; e++)
            if (weight[begin + e] > 0)
                edge[drawn++] = begin + e;
        return drawn;
    }
    for (; drawn < k && positive; drawn++) {
        double total = 0, sum = 0;
        for (int32_t e = 0; e < n; e++)
            total += taken[e] ? 0 : weight[begin + e];
        const double unit = (double)(mix(stream + (uint64_t)(drawn + 1) * GOLDEN) >> 11) * 0x1p-53;
        const double aim = unit * total;
        int32_t found = -1;
        for (int32_t e = 0; e < n && !(found >= 0 && sum > aim); e++)
            if (!taken[e] && weight[begin + e] > 0) {
                sum += weight[begin + e];
                found = e;
            }
        edge[drawn] = begin + found;
        taken[found] = !replace;
    }
    for (ptrdiff_t t = 0; t < drawn; t++)
        taken[edge[t] - begin] = 0;
    return drawn;
}

/* The edges drawn, as places in the rows, and whose they are. How many; `taken` is zero and as long as the longest row. */
int neighbors_draw(ptrdiff_t n, ptrdiff_t first, ptrdiff_t k, ptrdiff_t replace, ptrdiff_t key, const int32_t *begin,
                   const int32_t *size, const int32_t *indices, const int32_t *edge_id, const double *weight,
                   uint8_t *taken, int32_t *edge, int32_t *column) {
    ptrdiff_t m = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        const uint64_t stream = mix((uint64_t)key + (uint64_t)(first + i + 1) * GOLDEN);
        const ptrdiff_t before = m;
        if (size[i] == 0)
            continue;
        if (weight && k >= 0)
            m += choose_weighted(k, size[i], replace, stream, begin[i], weight, taken, edge + m);
        else if (k < 0 || (size[i] <= k && !replace)) {
            for (int32_t e = 0; e < size[i]; e++)
                edge[m++] = begin[i] + e;
        } else if (replace) {
            for (ptrdiff_t t = 0; t < k; t++)
                edge[m++] = begin[i] + below(mix(stream + (uint64_t)(t + 1) * GOLDEN), size[i]);
        } else {
            choose(k, size[i], stream, begin[i], taken, edge + m);
            m += k;
        }
        for (ptrdiff_t t = before; t < m; t++) {
            column[t] = (int32_t)(first + i);
            __builtin_prefetch(indices + edge[t]); /* what neighbors_gather reads, on its way while others are drawn */
            if (edge_id)
                __builtin_prefetch(edge_id + edge[t]);
        }
    }
    return (int)m;
}

/* What is at the places: the source of each edge, and its place in the list that made the rows, where there is one. 0, or
 * -2 where a source is no node. */
int neighbors_gather(ptrdiff_t m, ptrdiff_t N, const int32_t *edge, const int32_t *indices, const int32_t *edge_id, int32_t *source,
                      int64_t *listed) {
    for (ptrdiff_t t = 0; t < m; t++) {
        source[t] = indices[edge[t]];
        if ((uint32_t)source[t] >= (uint64_t)N)
            return -2;
        listed[t] = edge_id ? edge_id[edge[t]] : edge[t];
    }
    return 0;
}

/* Numbers the seeds: `local` [N] of equal ones is the first's. */
void neighbors_seed(ptrdiff_t count, const int32_t *node, int32_t *local) {
    for (ptrdiff_t i = count; i-- > 0;)
        local[node[i]] = (int32_t)i;
}

/* Numbers sources in the order in which they are met: `local` [N] holds a node's number, or -1. How many are numbered. */
int neighbors_number(ptrdiff_t m, const int32_t *source, ptrdiff_t count, int32_t *node, int32_t *local, int64_t *row) {
    for (ptrdiff_t t = 0; t < m; t++) {
        if (t + AHEAD < m)
            __builtin_prefetch(local + source[t + AHEAD]);
        int32_t number = local[source[t]];
        if (number < 0) {
            number = local[source[t]] = (int32_t)count;
            node[count++] = source[t];
        }
        row[t] = number;
    }
    return (int)count;
}

/* Where sources have no new number. -1 where they have none. */
void neighbors_find(ptrdiff_t m, const int32_t *source, const int32_t *local, int64_t *row) {
    for (ptrdiff_t t = 0; t < m; t++)
        row[t] = local[source[t]];
}

void neighbors_forget(ptrdiff_t count, const int32_t *node, int32_t *local) {
    for (ptrdiff_t i = 0; i < count; i++)
        local[node[i]] = -1;
}

/* The slot of a node of a tree, among a power of two of them. */
static inline ptrdiff_t slot_of(ptrdiff_t slots, const int64_t *keys, int64_t key) {
    ptrdiff_t slot = (ptrdiff_t)(mix((uint64_t)key) & (uint64_t)(slots - 1));
    while (keys[slot] >= 0 && keys[slot] != key)
        slot = (slot + 1) & (slots - 1);
    return slot;
}

/* Fills empty slots, of key -1, with all nodes that are numbered, of equal ones the first. */
void neighbors_table(ptrdiff_t count, ptrdiff_t N, const int32_t *node, const int32_t *tree, ptrdiff_t slots,
                     int64_t *keys, int32_t *numbers) {
    for (ptrdiff_t i = 0; i < count; i++) {
        const int64_t key = tree[i] * (int64_t)N + node[i];
        const ptrdiff_t slot = slot_of(slots, keys, key);
        if (keys[slot] < 0) {
            keys[slot] = key;
            numbers[slot] = (int32_t)i;
        }
    }
}

/* neighbors_number, or where `insert` is 0 neighbors_find, for trees of their own. */
int neighbors_number_trees(ptrdiff_t m, ptrdiff_t N, const int32_t *source, const int32_t *column, ptrdiff_t insert,
                           ptrdiff_t count, int32_t *node, int32_t *tree, ptrdiff_t slots, int64_t *keys,
                           int32_t *numbers, int64_t *row) {
    for (ptrdiff_t t = 0; t < m; t++) {
        const int32_t whose = tree[column[t]];
        const int64_t key = whose * (int64_t)N + source[t];
        const ptrdiff_t slot = slot_of(slots, keys, key);
        if (keys[slot] < 0 && insert) {
            keys[slot] = key;
            numbers[slot] = (int32_t)count;
            node[count] = source[t];
            tree[count++] = whose;
        }
        row[t] = keys[slot] < 0 ? -1 : numbers[slot];
    }
    return (int)count;
}
