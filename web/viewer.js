// The stages of a progression on its node: a slider over picture and heat map, with the curve of its scores.
import { api } from '../../scripts/api.js'
import { app } from '../../scripts/app.js'
import { holds, path } from './mvg_progress.js'
import { chart } from './viewer/chart.js'
import { gradient } from './viewer/heat.js'
import { openPanel } from './viewer/panel.js'
import { address, make, nameOf, viewURL } from './viewer/parts.js'
import { register, titled, unregister } from './viewer/results.js'
import { mainChart } from './viewer/scores.js'

const NODES = ['MVG_PIELoop', 'MVG_SaveTrajectory']
const HINT = 'Run to see the stages.'
const GONE = 'The pictures are no longer there. Run again to see the stages.'

const viewers = new WeakMap() // node -> Viewer

class Viewer {
  constructor(node) {
    this.node = node
    this.runs = [] // one a patient
    this.indexes = [] // files that hold runs
    this.expected = 0 // stages of a run that goes on
    this.version = Date.now() // asks for the pictures anew: a folder of the same name may hold others
    this.patients = make('select', { 'aria-label': 'Patient' })
    this.picture = make('img')
    this.caption = make('figcaption')
    this.map = make('img')
    this.mapCaption = make('figcaption')
    this.slider = make('input', { type: 'range', min: 0, step: 1, 'aria-label': 'Stage' })
    this.chart = make('div', { class: 'chart' })
    this.large = make('button', { type: 'button' }, 'Open large')
    const colors = make('span', { class: 'colors', 'aria-hidden': true })
    colors.style.background = gradient
    this.scale = make('span', { class: 'scale' }, '0 ', colors, ' 25 % of the full range or more')
    this.hint = make('p', { role: 'status' }, HINT)
    const pictures = make(
      'div',
      { class: 'pictures' },
      make('figure', {}, this.picture, this.caption),
      make('figure', {}, this.map, this.mapCaption, this.scale)
    )
    const head = make('div', { class: 'head' }, this.patients, this.large)
    this.body = make('div', { class: 'body', hidden: '' }, head, pictures, this.slider, this.chart)
    this.element = make('section', { class: 'mvg-viewer', 'aria-label': 'Stages' }, this.hint, this.body)
    this.patients.addEventListener('change', () => this.show())
    this.slider.addEventListener('input', () => this.show())
    this.large.addEventListener('click', () => this.open())
    pictures.addEventListener('dblclick', () => this.open())
    this.picture.addEventListener('error', () => this.empty(GONE))
    this.map.addEventListener('error', () => this.empty(GONE))
    // two pictures side by side, and 200 pixels for button, captions, slider and chart
    const getMinHeight = () => (this.body.hidden ? 32 : 200 + Math.min(node.size[0] / 2, 360))
    const afterResize = () => this.runs.length && this.show() // the chart is drawn to the node's width
    const options = { serialize: false, hideOnZoom: true, getMinHeight, afterResize }
    const widget = node.addDOMWidget('mvg_stages', 'MVG_STAGES', this.element, options)
    widget.serialize = false // the option keeps it out of the prompt, this out of the workflow
    register(this)
  }

  // What the node's output says: the runs themselves, or files with them. Without either the viewer stays as it is.
  // Of a run that goes on there are some of the `expected` stages.
  async fill(output, expected = 0) {
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
    const newest = !this.runs.length || this.slider.value === this.slider.max
    this.runs = runs
    this.expected = expected
    holds(this.node)
    const names = runs.map((_, n) => make('option', { value: n }, `Patient ${n + 1} of ${runs.length}`))
    const patient = Math.min(Number(this.patients.value) || 0, runs.length - 1)
    this.patients.replaceChildren(...names)
    this.patients.value = patient
    this.patients.hidden = runs.length < 2
    this.hint.hidden = true
    this.body.hidden = false
    this.slider.max = Math.max(...runs.map((run) => run.stages.length)) - 1
    if (newest) this.slider.value = this.slider.max // follows a run that goes on
    this.show()
    this.panel?.follow(runs[this.opened])
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
    const score = mainChart(run, stage)
    const name = nameOf(stage, this.expected || last)
    this.slider.setAttribute('aria-valuetext', score?.now ? `${name}, ${score.now}` : name)
    this.caption.textContent = name
    this.picture.alt = name
    this.picture.src = address(run.stages[stage], this.version)
    const map = stage ? run.maps[stage - 1] : null
    this.map.hidden = !map
    this.map.alt = map ? `Heat map of the change at stage ${stage}` : ''
    if (map) this.map.src = address(map, this.version)
    this.mapCaption.textContent = map ? 'Change' : stage ? '' : 'Nothing has changed yet'
    this.scale.hidden = !map
    this.mapCaption.parentElement.hidden = !run.maps.length
    const choose = (n) => {
      this.slider.value = n
      this.show()
    }
    const parts = score && [make('p', {}, score.title), chart(score, last, stage, this.node.size[0] - 46, { choose })]
    this.chart.replaceChildren(...(parts ?? []))
  }

  /** The large viewer, at the stage that is shown here. */
  open() {
    const n = Number(this.patients.value)
    const result = { title: titled(this.node.title, n, this.runs.length), run: this.runs[n], node: this.node }
    this.opened = n
    this.panel = openPanel(result, Number(this.slider.value), () => (this.panel = null))
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
    for (const name of ['viewer.css', 'viewer/panel.css'])
      document.head.append(make('link', { rel: 'stylesheet', href: new URL(name, import.meta.url).href }))
    api.addEventListener('mvg_shown', ({ detail: { node: id, stages, index } }) => {
      viewers.get(path(id).at(-1))?.fill({ mvg_progressions_in: [index] }, stages)
    })
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
    const removed = node.onRemoved
    node.onRemoved = function () {
      removed?.call(this)
      unregister(viewer)
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
