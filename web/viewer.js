// The stages of a progression on its node: a slider over picture and heat map, with the curve of its scores.
import { api } from '../../scripts/api.js'
import { app } from '../../scripts/app.js'

const NODES = ['MVG_PIELoop', 'MVG_SaveTrajectory']
const HINT = 'Run to see the stages.'
const GONE = 'The pictures are no longer there. Run again to see the stages.'
const CHART = { height: 84, left: 34, top: 18, bottom: 66 } // pixels

const viewers = new WeakMap() // node -> Viewer
const viewURL = (file, version) => '/view?' + new URLSearchParams({ ...file, t: version })

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...children)
  return element
}

function draw(tag, attributes, text = '') {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.textContent = text
  return element
}

// The score that is drawn: Conf where the run has it, with the severity where the classifier reads it; else how much
// each stage changed (which the input has not).
function scoreOf({ stages, conf, severity, change }) {
  const name = conf ? (conf.finding ? `Conf of ${conf.finding}` : 'Conf') : 'Change'
  const values = conf ? conf.values : change.length ? [null, ...change] : []
  const known = values.slice(0, stages.length).map((value, stage) => ({ stage, value, graded: severity?.[stage] }))
  const points = known.filter(({ value }) => Number.isFinite(value))
  const figure = (value) => (conf ? value.toFixed(2) : String(Number(value.toPrecision(2))))
  const said = ({ value, graded }) => figure(value) + (Number.isFinite(graded) ? `, severity ${graded.toFixed(2)}` : '')
  return { name, points, figure, said, top: conf ? 1 : Math.max(...points.map((point) => point.value)) || 1 }
}

function chart({ name, points, figure, said, top }, last, current, width) {
  const right = width - 8
  const x = (stage) => CHART.left + (last && (stage / last) * (right - CHART.left))
  const y = (value) => CHART.bottom - (value / top) * (CHART.bottom - CHART.top)
  const at = points.find((point) => point.stage === current)
  const list = points.map((point) => `stage ${point.stage} ${said(point)}`).join(', ')
  const svg = draw('svg', { viewBox: `0 0 ${width} ${CHART.height}`, role: 'img', 'aria-label': `${name}: ${list}` })
  const axes = `M${CHART.left} ${CHART.top}V${CHART.bottom}H${right}`
  const title = at ? `${name}: ${said(at)}` : name
  svg.append(draw('path', { d: axes, class: 'axes' }), draw('text', { x: CHART.left, y: 10 }, title))
  for (const value of [0, top])
    svg.append(draw('text', { x: CHART.left - 5, y: y(value) + 4, 'text-anchor': 'end' }, figure(value)))
  const every = Math.ceil((last + 1) / 12) || 1
  for (let stage = 0; stage <= last; stage += every)
    svg.append(draw('text', { x: x(stage), y: CHART.height - 4, 'text-anchor': 'middle' }, stage))
  svg.append(draw('line', { x1: x(current), x2: x(current), y1: CHART.top, y2: CHART.bottom, class: 'current' }))
  const line = (list, value) => list.map((point) => `${x(point.stage)},${y(value(point))}`).join(' ')
  const graded = points.filter((point) => Number.isFinite(point.graded))
  svg.append(draw('polyline', { points: line(points, (point) => point.value), class: 'line' }))
  svg.append(draw('polyline', { points: line(graded, (point) => point.graded), class: 'line severity' }))
  for (const { stage, value } of points)
    svg.append(draw('circle', { cx: x(stage), cy: y(value), r: stage === current ? 5 : 2.5 }))
  return svg
}

class Viewer {
  constructor(node) {
    this.node = node
    this.runs = [] // one a patient
    this.indexes = [] // files that hold runs
    this.version = Date.now() // asks for the pictures anew: a folder of the same name may hold others
    this.patients = make('select', { 'aria-label': 'Patient' })
    this.picture = make('img')
    this.caption = make('figcaption')
    this.map = make('img')
    this.mapCaption = make('figcaption')
    this.slider = make('input', { type: 'range', min: 0, step: 1, 'aria-label': 'Stage' })
    this.chart = make('div', { class: 'chart' })
    this.hint = make('p', { role: 'status' }, HINT)
    const pictures = make(
      'div',
      { class: 'pictures' },
      make('figure', {}, this.picture, this.caption),
      make('figure', {}, this.map, this.mapCaption)
    )
    this.body = make('div', { class: 'body', hidden: '' }, this.patients, pictures, this.slider, this.chart)
    this.element = make('section', { class: 'mvg-viewer', 'aria-label': 'Stages' }, this.hint, this.body)
    this.patients.addEventListener('change', () => this.show())
    this.slider.addEventListener('input', () => this.show())
    this.picture.addEventListener('error', () => this.empty(GONE))
    this.map.addEventListener('error', () => this.empty(GONE))
    // two pictures side by side, and below them 150 pixels for captions, slider and chart
    const getMinHeight = () => (this.body.hidden ? 32 : 150 + Math.min(node.size[0] / 2, 360))
    const afterResize = () => this.runs.length && this.show() // the chart is drawn to the node's width
    const options = { serialize: false, hideOnZoom: true, getMinHeight, afterResize }
    const widget = node.addDOMWidget('mvg_stages', 'MVG_STAGES', this.element, options)
    widget.serialize = false // the option keeps it out of the prompt, this out of the workflow
  }

  // What the node's output says: the runs themselves, or files with them. Without either the viewer stays as it is.
  async fill(output) {
    const version = ++this.version
    const indexes = output?.mvg_progressions_in
    let runs = output?.mvg_progressions
    if (indexes) {
      // of several expansions each tells of its own file when that is there
      const texts = this.indexes.map((index) => index.subfolder)
      if (!indexes.every((index) => texts.includes(index.subfolder))) this.indexes = indexes
      runs = (await Promise.all(this.indexes.map((index) => this.read(index, version)))).flat()
    }
    if (!runs?.length || version !== this.version) return
    const fresh = !this.runs.length
    this.runs = runs
    const names = runs.map((_, n) => make('option', { value: n }, `Patient ${n + 1} of ${runs.length}`))
    const patient = Math.min(Number(this.patients.value) || 0, runs.length - 1)
    this.patients.replaceChildren(...names)
    this.patients.value = patient
    this.patients.hidden = runs.length < 2
    this.hint.hidden = true
    this.body.hidden = false
    this.slider.max = Math.max(...runs.map((run) => run.stages.length)) - 1
    if (fresh) this.slider.value = this.slider.max
    this.show()
    const [width, height] = this.node.size
    this.node.setSize([width, Math.max(height, this.node.computeSize()[1])])
    app.canvas.setDirty(true, true)
  }

  async read(index, version) {
    const answer = await api.fetchApi(viewURL(index, version))
    return answer.ok ? answer.json() : [] // not written yet, or the host was started anew
  }

  show() {
    const run = this.runs[Number(this.patients.value)]
    const last = run.stages.length - 1
    this.slider.max = last
    const stage = Number(this.slider.value)
    const score = scoreOf(run)
    const at = score.points.find((point) => point.stage === stage)
    const name = stage ? `Stage ${stage} of ${last}, simulated` : 'Input image'
    this.slider.setAttribute('aria-valuetext', at ? `${name}, ${score.name} ${score.said(at)}` : name)
    this.caption.textContent = name
    this.picture.alt = name
    this.picture.src = api.apiURL(viewURL(run.stages[stage], this.version))
    const map = stage ? run.maps[stage - 1] : null
    this.map.hidden = !map
    this.map.alt = map ? `Heat map of the change at stage ${stage}` : ''
    if (map) this.map.src = api.apiURL(viewURL(map, this.version))
    this.mapCaption.textContent = map ? 'Change (yellow: most)' : stage ? '' : 'Nothing has changed yet'
    this.mapCaption.parentElement.hidden = !run.maps.length
    this.chart.replaceChildren(...(score.points.length ? [chart(score, last, stage, this.node.size[0] - 46)] : []))
  }

  empty(hint) {
    this.runs = []
    this.hint.textContent = hint
    this.hint.hidden = false
    this.body.hidden = true
  }
}

app.registerExtension({
  name: 'MVG.Viewer',
  setup() {
    document.head.append(make('link', { rel: 'stylesheet', href: new URL('viewer.css', import.meta.url).href }))
  },
  nodeCreated(node) {
    if (!NODES.includes(node.comfyClass)) return
    const viewer = new Viewer(node)
    viewers.set(node, viewer)
    const before = node.onExecuted
    node.onExecuted = function (output) {
      before?.call(this, output)
      viewer.fill(output)
    }
  },
  // after a run of the history was opened, or a tab was
  onNodeOutputsUpdated(outputs) {
    for (const graph of [app.rootGraph, ...app.rootGraph.subgraphs.values()])
      for (const node of graph.nodes) {
        const id = graph === app.rootGraph ? String(node.id) : `${graph.id}:${node.id}`
        if (outputs[id]) viewers.get(node)?.fill(outputs[id])
      }
  }
})
