// What the page's run does with a node: one bar and a sentence over its whole progression, and what became of it.
import { api } from '../../scripts/api.js'
import { app } from '../../scripts/app.js'

const NODES = ['MVG_PIELoop', 'MVG_SEINETransition', 'MVG_SaveTrajectory']
const HEIGHT = 44 // pixels, of which a margin takes some
const NONE = { kind: 'none', what: 'stage', stage: 0, stages: 0, value: 0, text: '' }

// node -> { kind, what, stage, stages, value, text }. what: the parts are, "stage" or "clip". kind: none; running; done; cancelled; failed; earlier: what the node
// shows is from a run before this one. `states` tells every change as an event "change" with the node as its detail.
const known = new WeakMap()
const bars = new WeakMap() // node -> what draws its bar
export const states = new EventTarget()
export const stateOf = (node) => known.get(node) ?? NONE

function set(node, change) {
  known.set(node, { ...stateOf(node), ...change })
  bars.get(node)?.()
  states.dispatchEvent(new CustomEvent('change', { detail: node }))
}

// The nodes on the way to an execution id, such as 12:7, node 7 inside the subgraph node 12; the last is its own.
export function path(id) {
  const nodes = []
  let graph = app.rootGraph
  for (const part of String(id).split(':')) {
    const node = graph?.getNodeById(Number(part))
    if (!node) return []
    nodes.push(node)
    graph = node.subgraph
  }
  return nodes
}

function shown() {
  const graphs = [app.rootGraph, ...app.rootGraph.subgraphs.values()]
  return graphs.flatMap((graph) => graph.nodes).filter((node) => NODES.includes(node.comfyClass))
}

/** The node shows something that came by no run of this page, such as one of the history. */
export function holds(node) {
  if (stateOf(node).kind === 'none') set(node, { ...NONE, kind: 'done' })
}

const worked = new WeakSet() // nodes that the run came to, or whose results it took as they were

function begin() {
  for (const node of shown()) {
    worked.delete(node)
    if (stateOf(node).kind !== 'none') set(node, { ...NONE, kind: 'earlier', text: 'From an earlier run' })
  }
}

function came(id) {
  const node = path(id).at(-1)
  if (node) worked.add(node)
}

function progress({ node: id, what, stage, stages, value, text }) {
  const nodes = path(id)
  if (!nodes.length) return
  const state = value < 1 ? { kind: 'running', what, stage, stages, value, text } : { ...NONE, kind: 'done' }
  set(nodes.at(-1), state)
  if (nodes.length < 2) return
  // inside a subgraph nobody sees it: it is told where the film will be, too
  const savers = app.rootGraph.nodes.filter((node) => node.comfyClass === 'MVG_SaveTrajectory')
  if (savers.length === 1 && value < 1) set(savers[0], { ...state, text: `Film: ${text}` })
}

function end(kind, word) {
  for (const node of shown()) {
    const { kind: before, what, stage, stages } = stateOf(node)
    if (kind === 'done') {
      if (worked.has(node) || before === 'running') set(node, { ...NONE, kind })
    } else if (before === 'running') set(node, { kind, text: stage ? `${word} at ${what} ${stage} of ${stages}` : word })
  }
  clearPreviews()
}

// Pictures of the work, blurred, which the page would leave on their nodes and on the subgraphs around them.
const previewed = new Map() // id in app.nodePreviewImages -> { node, height: before the page made room for them }

function preview({ detail: { displayNodeId } }) {
  const nodes = path(displayNodeId)
  if (!nodes.at(-1)?.comfyClass?.startsWith('MVG_')) return
  for (const node of nodes) {
    const id = node.graph.isRootGraph ? `${node.id}` : `${node.graph.id}:${node.id}`
    if (!previewed.has(id)) previewed.set(id, { node, height: node.size[1] })
  }
}

function clearPreviews() {
  const kept = app.extensionManager._p?._s.get('nodeOutput') // what Nodes 2.0 shows; the page has no public name for it
  for (const [id, { node, height }] of previewed) {
    kept?.revokePreviewsByLocatorId?.(id)
    delete app.nodePreviewImages[id]
    node.imgs = undefined
    const picture = node.widgets?.find((widget) => widget.name === '$$canvas-image-preview')
    if (picture) node.removeWidget(picture)
    node.setSize([node.size[0], Math.max(height, node.computeSize()[1])])
  }
  previewed.clear()
  app.canvas.setDirty(true, true)
}

function addBar(node) {
  const bar = document.createElement('progress')
  bar.setAttribute('aria-label', 'The whole progression')
  const text = document.createElement('span')
  text.setAttribute('role', 'status')
  const element = document.createElement('div')
  element.className = 'mvg-progress'
  element.append(bar, text)
  const show = () => {
    const state = stateOf(node)
    element.dataset.kind = state.kind
    bar.value = state.value
    text.textContent = state.text
  }
  const height = () => HEIGHT
  const options = { serialize: false, margin: 6, getMinHeight: height, getMaxHeight: height }
  const widget = node.addDOMWidget('mvg_progress', 'MVG_PROGRESS', element, options)
  widget.serialize = false // the option keeps it out of the prompt, this out of the workflow
  bars.set(node, show)
  show()
}

app.registerExtension({
  name: 'MVG.Progress',
  setup() {
    const href = new URL('mvg_progress.css', import.meta.url).href
    document.head.append(Object.assign(document.createElement('link'), { rel: 'stylesheet', href }))
    api.addEventListener('execution_start', begin)
    api.addEventListener('execution_cached', ({ detail }) => detail.nodes.forEach(came))
    api.addEventListener('executing', ({ detail }) => detail && came(detail))
    api.addEventListener('mvg_progress', ({ detail }) => progress(detail))
    api.addEventListener('b_preview_with_metadata', preview)
    api.addEventListener('execution_success', () => end('done'))
    api.addEventListener('execution_interrupted', () => end('cancelled', 'Cancelled'))
    api.addEventListener('execution_error', () => end('failed', 'Failed'))
  },
  nodeCreated(node) {
    if (NODES.includes(node.comfyClass)) addBar(node)
  }
})
