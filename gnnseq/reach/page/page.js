
/* The page: one state, drawn by show(). */

const $ = (id) => document.getElementById(id)
const CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"]
const DECADES = 12 // of influence that colours tell apart
const CHARTED = 24 // decades of influence that the chart draws
const ROWS = 60 // of the table; of more hops some are shown
const NAMED = 26 // graphs of fewer nodes have names in them
const ARROWS = 400 // graphs of fewer edges have arrows

/** A colour map of 256, in order of luminance, the near and the strong far from the paper's colour. */
function ramp(dark) {
  const stops = dark ? [...CIVIDIS].reverse() : CIVIDIS
  const parts = stops.map((color) => [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16)))
  return Array.from({length: 256}, (_, i) => {
    const at = i / 255 * (parts.length - 1), low = Math.min(Math.floor(at), parts.length - 2)
    const mixed = parts[low].map((value, c) => Math.round(value + (at - low) * (parts[low + 1][c] - value)))
    return "#" + mixed.map((value) => value.toString(16).padStart(2, "0")).join("")
  })
}

function number(value) {
  if (Number.isNaN(value)) return "\u2013"
  if (value === 0) return "0"
  const fixed = value >= 1e-3 && value < 1e4
  return fixed ? String(Number(value.toPrecision(3))) : value.toExponential(2).replace("e+", "e")
}
const many = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`

function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag)
  made.textContent = text // names are text, whatever is in them
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  return made
}

const SHAPES = {
  circle: "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0", square: "M-4,-4h8v8h-8z", triangle: "M0,-5L5,4H-5z",
  diamond: "M0,-5L4,0L0,5L-4,0z", inverted_triangle: "M0,5L5,-4H-5z", hex: "M-4.5,0L-2.2,-4H2.2L4.5,0L2.2,4H-2.2z",
  ring: "M-7,0a7,7 0 1,0 14,0a7,7 0 1,0 -14,0", plus: "M-4,0H4M0,-4V4", star: "M0,-7L2,-2.2L7,-2L3,1.2L4.3,6L0,3.2L-4.3,6L-3,1.2L-7,-2L-2,-2.2z",
}
function picture(shape, {stroke, fill = "none", dash = null}) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg")
  const wide = dash === null ? 16 : 34
  svg.setAttribute("viewBox", `${-wide / 2} -8 ${wide} 16`)
  svg.setAttribute("width", wide)
  svg.setAttribute("height", 16)
  const add = (path, attributes) => {
    const made = document.createElementNS(svg.namespaceURI, "path")
    for (const [name, value] of Object.entries({d: path, stroke, fill: "none", ...attributes})) made.setAttribute(name, value)
    svg.append(made)
  }
  if (dash !== null) add(`M${-wide / 2},0H${wide / 2}`, {"stroke-width": 2, "stroke-dasharray": dash.join(" ")})
  add(SHAPES[shape], {"stroke-width": 1.5, fill})
  return svg
}

class Page {
  constructor(fields, places) {
    this.fields = fields
    this.about = fields.about
    this.x = places.filter((_, i) => i % 2 === 0)
    this.y = places.filter((_, i) => i % 2 === 1)
    this.networks = this.about.networks
    this.deepest = Math.max(...this.networks.map((network) => network.fields.length))
    this.byHops = this.deepest === 1 // the slider goes through hops where there is one field a network
    const hops = Math.max(0, ...this.networks.map((network) => network.fields[0].farthest))
    this.state = {node: this.about.first, depth: this.byHops ? hops : this.deepest, colour: "hops"}
    this.margin = fields.nodes < NAMED ? 0.13 : 0.08 // names are wider than nodes
    this.range = {x: [-this.margin, 1 + this.margin], y: [-this.margin, 1 + this.margin]}
    this.panels = []
    const names = this.about.names
    const known = new Map()
    names?.forEach((name) => known.set(name, (known.get(name) ?? 0) + 1))
    this.names = Array.from({length: fields.nodes}, (_, i) => {
      if (names === null) return String(i)
      return known.get(names[i]) > 1 || names[i].trim() === "" ? `${names[i]} #${i}` : names[i]
    })
    this.byName = new Map(this.names.map((name, i) => [name, i]))
    const kept = new Set()
    for (const {fields: group} of this.networks) for (const field of group) for (const v of fields.array(field.nodes)) kept.add(v)
    this.kept = Uint32Array.from(kept).sort()
  }

  color(name) { return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim() }
  curve(look) { return look.color === "#2b2b2b" ? this.color("curve-ink") : look.color }
  field(network) { return network.fields[Math.min(this.state.depth, network.fields.length) - 1] ?? network.fields[0] }
  called(network) {
    return network.fields.length === 1 ? network.name : `${network.name}, k = ${Math.min(this.state.depth, network.fields.length)}`
  }

  /* Building */

  async build() {
    const graph = JSON.parse($("data-graph").textContent)
    $("panels").classList.toggle("one", this.networks.length === 1)
    $("numbers").classList.toggle("wide", this.networks.length > 4)
    for (const [i, network] of this.networks.entries()) {
      const section = element("section", "", {class: "panel", "data-network": network.name})
      const heading = element("h2"), caption = element("p", "", {class: "caption"})
      const plot = element("div", "", {class: "plot", id: `plot${i}`, tabindex: 0, role: "application"})
      section.append(heading, caption, plot)
      $("panels").append(section)
      plot.addEventListener("keydown", (event) => this.key(event))
      this.panels.push({network, heading, caption, plot})
    }
    for (const [i, panel] of this.panels.entries()) {
      panel.models = await this.embed(graph, `plot${i}`)
      panel.figure = panel.models.figure
    }
    this.chart = await this.embed(JSON.parse($("data-chart").textContent), "chart")
    this.drawStill()
    this.buildControls()
    this.buildAbout()
    this.theme()
    this.zoom()
    this.show()
  }

  /** A figure in its place; its parts by name. Every panel embeds a copy. */
  async embed(item, place) {
    await Bokeh.embed.embed_item(item, place)
    const document_ = Bokeh.documents[Bokeh.documents.length - 1]
    const figure = document_.roots()[0]
    const found = {figure}
    for (const renderer of figure.renderers) if (renderer.name) found[renderer.name] = renderer
    return found
  }

  /** What no click changes: edges, arrows, names, which nodes' influence is known. */
  drawStill() {
    const {sources, targets, nodes} = this.fields
    const there = new Set()
    sources.forEach((u, e) => there.add(u * nodes + targets[e]))
    const edges = {x0: [], y0: [], x1: [], y1: []}, arrows = {x: [], y: [], angle: []}
    sources.forEach((u, e) => {
      const v = targets[e], back = there.has(v * nodes + u)
      if (u === v || (back && u > v)) return // both ways is one line
      this.segment(edges, u, v)
      if (back || sources.length > ARROWS) return
      arrows.x.push(0.42 * this.x[u] + 0.58 * this.x[v])
      arrows.y.push(0.42 * this.y[u] + 0.58 * this.y[v])
      arrows.angle.push(Math.atan2(this.y[v] - this.y[u], this.x[v] - this.x[u]) - Math.PI / 2)
    })
    const labels = {x: [], y: [], text: []}
    if (nodes < NAMED) {
      labels.x = [...this.x]
      labels.y = [...this.y]
      labels.text = this.names.map((name) => name.length > 10 ? name.slice(0, 9) + "\u2026" : name)
    }
    const wide = $("plot0").clientWidth || 300
    this.size = Math.max(2.5, Math.min(15, 0.5 * wide / Math.sqrt(nodes)))
    for (const {models, network} of this.panels) {
      models.edges.data_source.data = edges
      models.arrows.data_source.data = arrows
      models.labels.data_source.data = labels
      const known = this.fields.array(network.fields[network.fields.length - 1].nodes)
      const some = known.length < nodes ? Array.from(known) : []
      models.measured.data_source.data = {x: some.map((v) => this.x[v]), y: some.map((v) => this.y[v])}
      const sizes = {outside: 0.6, doubt: 1.3, measured: 1.9, chosen: 1}
      for (const [name, factor] of Object.entries(sizes)) {
        models[name].glyph.size = {value: name === "chosen" ? Math.max(15, 1.5 * this.size) : Math.max(2, factor * this.size)}
      }
      models.labels.glyph.y_offset = {value: -Math.max(7.5, this.size / 2) - 2}
      models.edges.glyph.line_width = {value: Math.max(0.35, Math.min(1, this.size / 8))}
    }
  }

  segment(edges, u, v) {
    edges.x0.push(this.x[u]); edges.y0.push(this.y[u]); edges.x1.push(this.x[v]); edges.y1.push(this.y[v])
  }

  buildControls() {
    const box = $("node"), slider = $("depth")
    $("names").append(...this.names.map((name) => element("option", "", {value: name})))
    box.addEventListener("change", () => {
      const node = this.byName.get(box.value) ?? this.byName.get(box.value.trim())
      box.setAttribute("aria-invalid", node === undefined)
      if (node === undefined) $("status").textContent = `No node is called ${box.value}; the list has all names.`
      else this.choose(node)
    })
    const count = this.fields.nodes
    $("previous").addEventListener("click", () => this.choose((this.state.node + count - 1) % count))
    $("next").addEventListener("click", () => this.choose((this.state.node + 1) % count))
    $("measured").hidden = this.kept.length === count || this.kept.length === 0
    $("measured").addEventListener("click", () => {
      this.choose(this.kept.find((v) => v > this.state.node) ?? this.kept[0])
    })
    slider.min = this.byHops ? 0 : 1
    slider.max = this.state.depth
    slider.value = this.state.depth
    $("depth-box").hidden = slider.min === slider.max
    $("depth-name").textContent = this.byHops ? "Hops shown" : `${this.about.depth[0].toUpperCase()}${this.about.depth.slice(1)}, k`
    slider.addEventListener("input", () => { this.state.depth = Number(slider.value); this.show() })
    for (const radio of document.querySelectorAll("[name=colour]")) {
      radio.addEventListener("change", () => { this.state.colour = radio.value; this.show() })
    }
    $("closer").addEventListener("click", () => this.zoom(0.6))
    $("farther").addEventListener("click", () => this.zoom(1 / 0.6))
    $("whole").addEventListener("click", () => this.zoom())
    $("theme").addEventListener("change", () => { this.theme(); this.show() })
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { this.theme(); this.show() })
    $("controls").addEventListener("submit", (event) => event.preventDefault())
    if (matchMedia("(pointer: coarse)").matches) { // a finger scrolls the page, over a panel, too
      for (const {figure, plot} of this.panels) {
        for (const tool of figure.toolbar.tools) tool.active = false
        this.letScroll(plot)
      }
      this.letScroll($("chart"))
    }
    $("lead").textContent = "Choose an output: click a node, or press an arrow key in a panel. Coloured nodes are the inputs it "
      + "depends on, as measured; an edge points where information goes."
    if (!this.byHops && this.networks.some((network) => network.fields.length === 1)) {
      $("lead").append(" The slider leaves networks alone that have no k, such as sweeps.")
    }
  }

  /** Bokeh keeps touches to itself: undone in every element below, shadow roots included. */
  letScroll(element_) {
    for (const part of element_.querySelectorAll("*")) {
      if (part.classList.contains("bk-events")) part.style.setProperty("touch-action", "pan-y pinch-zoom", "important")
    }
    for (const part of element_.querySelectorAll("*")) if (part.shadowRoot) this.letScroll(part.shadowRoot)
  }

  buildAbout() {
    const nodes = this.fields.nodes
    const some = this.networks.some(({fields}) => fields.some((field) => this.fields.array(field.nodes).length < nodes))
    $("about-text").append(element("p", "Reach: the pairs (output, input) of which the output depends on the input, by structure "
      + "confirmed by derivatives, or by derivatives and NaN traces; every pair is kept. Influence: the Frobenius norm of the "
      + "block of the Jacobian, at one input. Single pairs are rounded to a step of their logarithm, means by distance are not."))
    if (some) {
      $("about-text").append(element("p", "Influence is known of some outputs only; those have a ring, and of others the mean "
        + "over all that were measured is shown."))
    }
    const head = element("tr")
    const columns = ["network", "pairs", "farthest hop", "by", "certain", "influence measured at", "kept here"]
    head.append(...columns.map((name) => element("th", name, {scope: "col"})))
    const body = element("tbody")
    for (const network of this.networks) {
      network.fields.forEach((field, k) => {
        const row = element("tr")
        row.append(element("th", network.fields.length === 1 ? network.name : `${network.name}, k = ${k + 1}`, {scope: "row"}))
        const certain = field.certain ? "yes" : field.inDoubt > 0 ? `no: ${many(field.inDoubt, "pair")} in doubt` : "no"
        const kept = this.fields.array(field.nodes).length
        const cells = [field.pairs.toLocaleString("en"), field.farthest, field.method, certain, many(field.measured, "node"), many(kept, "node")]
        row.append(...cells.map((text) => element("td", String(text))))
        body.append(row)
      })
    }
    const top = element("thead")
    top.append(head)
    $("methods").append(top, body)
  }

  theme() {
    const wanted = $("theme").value || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")
    document.documentElement.dataset.theme = wanted
    this.palette = ramp(wanted === "dark")
    const ink = this.color("ink"), paper = this.color("paper"), soft = this.color("soft")
    const paint = (renderer, colors) => {
      for (const [name, value] of Object.entries(colors)) renderer.glyph[name] = {value}
    }
    for (const {models, network, heading} of this.panels) {
      paint(models.edges, {line_color: this.color("edge")})
      paint(models.edgesWithin, {line_color: this.color("edge-within")})
      paint(models.arrows, {fill_color: this.color("edge-within")})
      paint(models.measured, {line_color: soft})
      paint(models.outside, {fill_color: paper, line_color: this.color("outside")})
      paint(models.inside, {line_color: this.fields.nodes > 1500 ? "transparent" : ink})
      paint(models.doubt, {line_color: ink})
      paint(models.chosen, {fill_color: this.color("chosen"), line_color: ink})
      paint(models.labels, {text_color: ink})
      models.inside.glyph.fill_color = {...models.inside.glyph.fill_color, field: "level"}
      models.inside.glyph.fill_color.transform.palette = this.palette
      heading.replaceChildren(this.swatch(network), element("span", "", {class: "name"}))
    }
    this.networks.forEach((network, i) => {
      paint(this.chart[`line${i}`], {line_color: this.curve(network)})
      paint(this.chart[`marks${i}`], {line_color: this.curve(network), fill_color: paper})
    })
    const {figure} = this.chart
    for (const axis of [...figure.below, ...figure.left]) {
      axis.axis_label_text_color = axis.major_label_text_color = ink
      axis.axis_line_color = axis.major_tick_line_color = soft
      axis.minor_tick_line_color = null
    }
    for (const grid of figure.center) grid.grid_line_color = this.color("line")
  }

  swatch(network) { return picture(network.marker, {stroke: this.curve(network), fill: this.color("paper"), dash: network.dash}) }

  /* What changes */

  choose(node) {
    this.state.node = node
    this.show()
  }

  show() {
    const {node, depth} = this.state
    this.rows = this.networks.map((network) => this.fields.row(this.field(network), node))
    this.limit = this.byHops ? depth : Infinity
    const hops = Math.max(1, ...this.rows.map((row) => row.farthest))
    const strongest = Math.max(...this.rows.map((row) => this.logs(row).reduce((a, b) => b > a ? b : a, -Infinity)))
    const weakest = Math.min(strongest - 1e-6, ...this.rows.map((row) => this.logs(row).reduce((a, b) => b > -Infinity && b < a ? b : a, Infinity)))
    const cut = weakest < strongest - DECADES
    this.scale = {hops, strongest, weakest: cut ? strongest - DECADES : weakest, cut}
    $("node").value = this.names[node]
    $("node").setAttribute("aria-invalid", false)
    $("depth").value = depth
    $("depth-value").textContent = this.byHops ? `up to ${depth}` : depth
    $("depth").setAttribute("aria-valuetext", `${depth} ${this.byHops ? "hops" : this.about.depth}`)
    this.panels.forEach((panel, i) => this.showPanel(panel, this.rows[i]))
    this.showStatus()
    this.showLegend()
    this.showTable()
    this.showChart()
  }

  /** Of each node the logarithm of its influence, or of the mean at its distance where that is all that is known. */
  logs(row) {
    row.logs ??= row.each ?? Float32Array.from(row.hops, (d, u) => row.status[u] === 1 && d >= 0 ? row.means[d] ?? -Infinity : -Infinity)
    return row.logs
  }

  level(row, u) {
    if (this.state.colour === "hops") {
      const d = row.hops[u] < 0 ? this.scale.hops : row.hops[u]
      return Math.round(255 * Math.log1p(d) / Math.log1p(this.scale.hops))
    }
    const {strongest, weakest} = this.scale, log = this.logs(row)[u]
    if (!(log > -Infinity)) return 255
    return Math.round(255 * Math.min(1, (strongest - log) / (strongest - weakest)))
  }

  showPanel({network, models, heading, caption, plot}, row) {
    const {node} = this.state, name = this.called(network)
    const inside = {x: [], y: [], level: []}, outside = {x: [], y: []}, doubt = {x: [], y: []}, within = {x0: [], y0: [], x1: [], y1: []}
    const shown = (u) => row.status[u] === 1 && row.hops[u] <= this.limit
    for (let u = 0; u < this.fields.nodes; u++) {
      if (u === node) continue
      const into = shown(u) ? inside : row.status[u] === 2 ? doubt : outside
      into.x.push(this.x[u])
      into.y.push(this.y[u])
      if (into === inside) inside.level.push(this.level(row, u))
    }
    const {sources, targets} = this.fields
    sources.forEach((u, e) => { if (shown(u) && (shown(targets[e]) || targets[e] === node)) this.segment(within, u, targets[e]) })
    // A few among thousands are to be seen, thousands are not to cover one another.
    const wide = plot.clientWidth || 300, drawn = inside.x.length, lines = within.x0.length
    models.inside.glyph.size = {value: Math.max(this.size, Math.min(7, 0.4 * wide / Math.sqrt(drawn + 1)))}
    models.edgesWithin.glyph.line_alpha = {value: Math.min(1, 0.25 + 8 / Math.sqrt(lines + 1))}
    models.edgesWithin.glyph.line_width = {value: Math.max(0.5, Math.min(2, 40 / Math.sqrt(lines + 1)))}
    models.inside.data_source.data = inside
    models.outside.data_source.data = outside
    models.doubt.data_source.data = doubt
    models.edgesWithin.data_source.data = within
    models.chosen.data_source.data = {x: [this.x[node]], y: [this.y[node]]}
    heading.querySelector(".name").textContent = name
    const itself = row.status[node] === 1 ? "" : ", not on its own"
    caption.textContent = `${this.reads(row)}${itself}`
    plot.setAttribute("aria-label", `${name}: the graph of ${many(this.fields.nodes, "node")}; output ${this.names[node]} depends on `
      + `${this.reads(row)}. Arrow keys choose another output.`)
  }

  /** "7 of 36 inputs, farthest 3 hops" */
  reads(row) {
    const far = row.farthest < 0 ? "" : `, farthest ${many(row.farthest, "hop")}`
    const doubt = row.inDoubt > 0 ? `, ${row.inDoubt.toLocaleString("en")} in doubt` : ""
    const apart = row.unconnected > 0 ? `, ${row.unconnected.toLocaleString("en")} without a path` : ""
    return `${row.reached.toLocaleString("en")} of ${many(this.fields.nodes, "input")}${far}${apart}${doubt}`
  }

  showStatus() {
    const at = this.byHops ? "" : `, k = ${this.state.depth} ${this.about.depth}`
    const parts = this.networks.map((network, i) => `${network.name}: ${this.reads(this.rows[i])}`)
    const numbers = element("span", parts.join("; ")) // of many networks for ears: eyes have them above the panels
    if (parts.length > 2) numbers.className = "heard"
    $("status").replaceChildren(`Output ${this.names[this.state.node]}${at}${parts.length > 2 ? ". " : ": "}`, numbers)
  }

  showLegend() {
    const item = (sign, text) => { const made = element("span"); made.append(sign, text); return made }
    const ink = this.color("ink")
    const colours = element("i", "", {class: "ramp"})
    colours.style.background = `linear-gradient(to right, ${this.palette.filter((_, i) => i % 15 === 0).join(",")})`
    const made = element("span")
    const ends = this.state.colour === "hops" ? ["0 hops", `${this.scale.hops}, and no path`]
      : [`influence ${number(10 ** this.scale.strongest)}`, `${number(10 ** this.scale.weakest)}${this.scale.cut ? " or less" : ""}`]
    if (this.state.colour === "hops" && !this.rows.some((row) => row.unconnected)) ends[1] = String(this.scale.hops)
    made.append(ends[0], colours, ends[1])
    const items = [item(picture("star", {stroke: ink, fill: this.color("chosen")}), "the output"), made,
      item(picture("circle", {stroke: this.color("outside")}), "no dependence")]
    if (this.rows.some((row) => row.inDoubt)) items.push(item(picture("diamond", {stroke: ink}), "in doubt"))
    if (this.kept.length < this.fields.nodes) items.push(item(picture("ring", {stroke: this.color("soft")}), "influence is known at this output"))
    const unknown = this.networks.filter((_, i) => !this.rows[i].known)
    if (this.state.colour === "influence" && unknown.length) {
      items.push(element("span", `${this.notKnown(unknown)}: there colours are means at each distance`))
    }
    $("legend").replaceChildren(...items)
  }

  notKnown(networks) {
    const which = networks.length === this.networks.length ? "" : ` of ${networks.map(({name}) => name).join(", ")}`
    return `Influence${which} was not measured at this output`
  }

  /** The hops that the table shows: all, or of very many the near ones and some farther on. */
  hopsShown() {
    const last = Math.max(0, ...this.rows.map((row) => row.farthest))
    const hops = new Set(Array.from({length: Math.min(last + 1, ROWS - 20)}, (_, d) => d))
    if (last < ROWS) for (let d = 0; d <= last; d++) hops.add(d)
    else for (let i = 0; i <= 20; i++) hops.add(Math.round((ROWS - 21) * (last / (ROWS - 21)) ** (i / 20)))
    return [...hops].sort((a, b) => a - b)
  }

  showTable() {
    const head = element("tr")
    head.append(element("th", "hops", {scope: "col"}))
    this.networks.forEach((network) => {
      const cell = element("th", this.called(network), {scope: "col"})
      cell.prepend(this.swatch(network))
      head.append(cell)
    })
    const top = element("thead"), body = element("tbody")
    top.append(head)
    for (const hop of this.hopsShown()) {
      const line = element("tr")
      line.append(element("th", String(hop), {scope: "row"}))
      this.networks.forEach((network, i) => {
        const row = this.rows[i], all = row.all[hop] ?? 0, within = row.within[hop] ?? 0, mean = this.fields.mean(row, hop)
        const cell = element("td", all === 0 ? "\u2013" : `${within.toLocaleString("en")} of ${all.toLocaleString("en")}`,
          {"data-network": network.name, "data-hop": hop, "data-within": within, "data-all": all, "data-influence": mean,
            "data-known": row.known})
        cell.append(element("small", all === 0 ? "" : `${number(mean)}${row.known ? "" : " *"}`))
        line.append(cell)
      })
      body.append(line)
    }
    $("hops").replaceChildren(top, body)
    const unknown = this.networks.filter((_, i) => !this.rows[i].known)
    $("chart-caption").textContent = unknown.length === 0 ? "Mean over the inputs at each distance from this output."
      : `Mean over the inputs at each distance. * ${this.notKnown(unknown)}: these are means over the outputs where it was.`
  }

  showChart() {
    const strongest = Math.max(-300, ...this.rows.flatMap((row) => row.means.reduce((a, b) => b > a ? b : a, -300)))
    const least = Math.max(-300, strongest - CHARTED)
    let low = Infinity, far = 1, cut = false
    this.networks.forEach((network, i) => {
      const {means} = this.rows[i], x = [], y = []
      means.forEach((log, d) => {
        if (log > -Infinity && log < least) cut = true
        if (!(log >= least && log < Infinity)) return
        x.push(d)
        y.push(10 ** log)
        low = Math.min(low, log)
      })
      far = Math.max(far, x[x.length - 1] ?? 0)
      this.chart[`line${i}`].data_source.data = {x, y}
      const step = Math.max(1, Math.ceil(x.length / 12)) // a marker here and there
      const some = (values) => values.filter((_, j) => j % step === 0)
      this.chart[`marks${i}`].data_source.data = {x: some(x), y: some(y)}
    })
    const [bottom, top_] = low <= strongest ? [low, strongest] : [-1, 0]
    const {x_range, y_range} = this.chart.figure, room = Math.max(0.05, 0.06 * (top_ - bottom))
    const whole = top_ - bottom < 8 ? [Math.floor(bottom - room), Math.ceil(top_ + room)] : [bottom - room, top_ + room] // decades
    x_range.setv({start: -0.03 * far, end: 1.03 * far})
    y_range.setv({start: 10 ** whole[0], end: 10 ** whole[1]})
    if (cut) $("chart-caption").append(` What is below ${number(10 ** least)} is not drawn.`)
  }

  /* Keys, clicks, zoom */

  on(kind, event) {
    if (kind === "rangesupdate") return this.ranges([event.x0, event.x1], [event.y0, event.y1])
    const node = kind === "mouseleave" ? -1 : this.nearest(event)
    if (kind === "tap" && node >= 0) this.choose(node)
    if (kind !== "tap") this.tip(node, event)
  }

  /** The node under a pointer, or as near as a finger is wide. */
  nearest(event) {
    const {x, y} = this.range, scale = $("plot0").clientWidth / (x[1] - x[0])
    let best = -1, closest = Math.max(22, this.size) ** 2
    for (let u = 0; u < this.fields.nodes; u++) {
      const away = ((this.x[u] - event.x) ** 2 + (this.y[u] - event.y) ** 2) * scale ** 2
      if (away < closest) { closest = away; best = u }
    }
    return best
  }

  tip(node, event) {
    const tip = $("tip")
    tip.hidden = node < 0
    if (node < 0) return
    const panel = this.panels.findIndex(({figure}) => figure === event.origin || figure.id === event.origin?.id)
    const row = this.rows[Math.max(0, panel)]
    const parts = [row.hops[node] < 0 ? "no path" : many(row.hops[node], "hop")]
    parts.push(["no dependence", "depends on it", "in doubt"][row.status[node]])
    if (row.known && row.status[node] === 1) parts.push(`influence about ${number(10 ** row.each[node])}`)
    tip.textContent = `${this.names[node]}: ${parts.join(", ")}`
    const box = this.panels[Math.max(0, panel)].plot.getBoundingClientRect()
    const left = box.left + event.sx + 14, top_ = box.top + event.sy + 14
    tip.style.left = `${Math.max(4, Math.min(left, innerWidth - tip.offsetWidth - 8))}px`
    tip.style.top = `${Math.max(4, Math.min(top_, innerHeight - tip.offsetHeight - 8))}px`
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const sides = {ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]}
    const count = this.fields.nodes, node = this.state.node
    const numbers = {PageUp: Math.max(0, node - 1), PageDown: Math.min(count - 1, node + 1), Home: 0, End: count - 1}
    if (event.key in sides) this.choose(this.beside(...sides[event.key]))
    else if (event.key in numbers) this.choose(numbers[event.key])
    else if (event.key === "+" || event.key === "=") this.zoom(0.6)
    else if (event.key === "-") this.zoom(1 / 0.6)
    else if (event.key === "0") this.zoom()
    else if (event.key === "[" || event.key === "]") {
      const slider = $("depth")
      event.key === "]" ? slider.stepUp() : slider.stepDown()
      slider.dispatchEvent(new Event("input"))
    } else return
    event.preventDefault()
    this.keepInView()
  }

  /** The nearest node on a side, those straight ahead before those aslant; the node itself at the border. */
  beside(right, up) {
    const {node} = this.state
    let best = node, least = Infinity
    for (let u = 0; u < this.fields.nodes; u++) {
      const x = this.x[u] - this.x[node], y = this.y[u] - this.y[node]
      const ahead = x * right + y * up, aside = Math.abs(x * up - y * right)
      if (ahead <= 1e-6 || aside > 2 * ahead) continue
      const cost = ahead + 2 * aside
      if (cost < least) { least = cost; best = u }
    }
    return best
  }

  keepInView() {
    const {x, y} = this.range, {node} = this.state
    const outside = this.x[node] < x[0] || this.x[node] > x[1] || this.y[node] < y[0] || this.y[node] > y[1]
    if (outside) this.zoom(1)
  }

  /** Closer or farther, around the chosen node; all of the graph without a factor. */
  zoom(factor = null) {
    const all = 0.5 + this.margin
    const half = Math.min(all, (factor ?? Infinity) * (this.range.x[1] - this.range.x[0]) / 2), {node} = this.state
    if (half >= all) return this.ranges([0.5 - all, 0.5 + all], [0.5 - all, 0.5 + all])
    this.ranges([this.x[node] - half, this.x[node] + half], [this.y[node] - half, this.y[node] + half])
  }

  ranges(x, y) {
    this.range = {x, y}
    for (const {figure} of this.panels) {
      figure.x_range.setv({start: x[0], end: x[1]})
      figure.y_range.setv({start: y[0], end: y[1]})
    }
  }
}

window.gnnseqPage = {on() {}};
(async () => {
  try {
    const about = JSON.parse($("data-about").textContent)
    const fields = new Fields(about, await unpack($("data-blob").textContent))
    const page = new Page(fields, fields.array(about.places))
    await page.build()
    window.gnnseqPage = page
    document.body.dataset.ready = "yes"
  } catch (error) {
    $("status").textContent = `This page cannot be shown: ${error.message}. It needs a browser of 2023 or later.`
    throw error
  }
})()
