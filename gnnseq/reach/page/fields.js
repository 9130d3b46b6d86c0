"use strict"

/* Receptive fields as encode.py has packed them: what a node depends on, how far away, and how strongly. */

/** The blob's bytes, unpacked. */
async function unpack(text) {
  const packed = atob(text.trim())
  const bytes = new Uint8Array(packed.length)
  for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i)
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))
  return new Response(stream).arrayBuffer()
}

class Fields {
  constructor(about, buffer) {
    this.about = about
    this.buffer = buffer
    this.nodes = about.nodes
    this.sources = this.array(about.sources)
    this.targets = this.array(about.targets)
    this.into = this.neighbours(this.targets, this.sources)
    this.seen = new Map()
  }

  array([begin, length, kind]) {
    return new globalThis[kind + "Array"](this.buffer, begin, length)
  }

  /** For each node its others, where one array holds nodes and another their others. */
  neighbours(...pairs) {
    const start = new Uint32Array(this.nodes + 1)
    for (let p = 0; p < pairs.length; p += 2) for (const node of pairs[p]) start[node + 1]++
    for (let i = 0; i < this.nodes; i++) start[i + 1] += start[i]
    const next = start.slice()
    const others = new Uint32Array(start[this.nodes])
    for (let p = 0; p < pairs.length; p += 2) pairs[p].forEach((node, e) => { others[next[node]++] = pairs[p + 1][e] })
    return {start, others}
  }

  /** Distances to v along the edges, or whatever their direction; -1 where there is no path. */
  distances(v, eitherWay = false) {
    const key = eitherWay ? ~v : v
    if (this.seen.has(key)) return this.seen.get(key)
    if (eitherWay) this.both ??= this.neighbours(this.targets, this.sources, this.sources, this.targets)
    const {start, others} = eitherWay ? this.both : this.into
    const away = new Int32Array(this.nodes).fill(-1)
    const queue = new Uint32Array(this.nodes)
    let filled = 1
    queue[0] = v
    away[v] = 0
    for (let i = 0; i < filled; i++) {
      const node = queue[i]
      for (let e = start[node]; e < start[node + 1]; e++) {
        if (away[others[e]] < 0) {
          away[others[e]] = away[node] + 1
          queue[filled++] = others[e]
        }
      }
    }
    if (this.seen.size > 50) this.seen.clear()
    this.seen.set(key, away)
    return away
  }

  /** Calls back with each run [from, to) of v's row, if it has one. */
  runs([rows, ends, content], v, found) {
    const at = this.array(rows).indexOf(v)
    if (at < 0) return
    const bytes = this.array(content), end = this.array(ends)[at]
    let i = at === 0 ? 0 : this.array(ends)[at - 1]
    let place = 0, from = -1
    while (i < end) {
      let number = 0, factor = 1
      do { number += (bytes[i] & 127) * factor; factor *= 128 } while (bytes[i++] & 128)
      place += number
      if (from < 0) from = place
      else { found(from, place); from = -1 }
    }
  }

  /** What v depends on: status 1 an input, 2 in doubt; hops, the distance of each pair, -1 of none; and sums by hop. */
  row(field, v) {
    const along = this.distances(v), radius = this.array(field.radius)[v]
    const status = new Uint8Array(this.nodes)
    for (let u = 0; u < this.nodes; u++) status[u] = along[u] >= 0 && along[u] < radius ? 1 : 0
    this.runs(field.wrong, v, (from, to) => { for (let u = from; u < to; u++) status[u] = 1 - status[u] })
    this.runs(field.doubt, v, (from, to) => { status.fill(2, from, to) })
    let hops = along, unconnected = 0, reached = 0, farthest = -1, inDoubt = 0
    for (let u = 0; u < this.nodes; u++) {
      if (status[u] === 2) inDoubt++
      if (status[u] !== 1) continue
      reached++
      if (along[u] < 0) {
        if (hops === along) hops = along.slice()
        hops[u] = this.distances(v, true)[u]
        if (hops[u] < 0) unconnected++
      }
      farthest = Math.max(farthest, hops[u])
    }
    const within = [], all = []
    for (let u = 0; u < this.nodes; u++) {
      const d = hops[u]
      if (d < 0) continue
      while (all.length <= d) { all.push(0); within.push(0) }
      all[d]++
      if (status[u] === 1) within[d]++
    }
    return {status, hops, reached, farthest, inDoubt, unconnected, within, all, ...this.influence(field, v, status)}
  }

  /** Mean influence by hop and that of each pair, where they are kept of v: logarithms to base 10. */
  influence(field, v, status) {
    const at = this.array(field.nodes).indexOf(v)
    if (at < 0) return {known: false, means: this.array(field.mean), each: null}
    const part = ([ends, all]) => {
      const end = this.array(ends)
      return this.array(all).subarray(at === 0 ? 0 : end[at - 1], end[at])
    }
    const levels = part(field.levels), step = (field.high - field.low) / 254
    const each = new Float32Array(this.nodes).fill(-Infinity)
    let i = 0
    for (let u = 0; u < this.nodes; u++) {
      // Levels are of pairs in reach, in ascending order.
      if (status[u] !== 1) continue
      const level = levels[i++]
      if (level > 0) each[u] = field.low + (level - 1) * step
    }
    return {known: true, means: part(field.means), each}
  }

  /** Mean influence of a row at a distance: a number, or NaN where there is no pair. */
  mean(row, hop) {
    if (hop < row.means.length) return 10 ** row.means[hop]
    return row.all[hop] > 0 ? 0 : NaN // means end where all that follow are zero
  }
}
