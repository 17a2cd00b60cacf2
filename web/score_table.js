// The rounded table of Score Table and Comparison Sheet on the node, as the page shows no text of a node by itself.
import { app } from '../../scripts/app.js'
import { make } from './viewer/parts.js'

const NODES = ['MVG_ScoreTable', 'MVG_ComparisonSheet']
const LINE = 22 // pixels of a row

app.registerExtension({
  name: 'MVG.ScoreTable',
  nodeCreated(node) {
    if (!NODES.includes(node.comfyClass)) return
    const table = make('table', { 'aria-label': 'Scores' })
    const element = make('div', { class: 'mvg-table', tabindex: 0 }, table)
    let lines = 0
    const getMinHeight = () => (lines ? (lines + 3) * LINE : 0) // a head of four lines
    const widget = node.addDOMWidget('mvg_table', 'MVG_TABLE', element, { serialize: false, getMinHeight })
    widget.serialize = false // the option keeps it out of the prompt, this out of the workflow
    const before = node.onExecuted
    node.onExecuted = function (output) {
      before?.call(this, output)
      const [head, ...rows] = output?.mvg_table ?? []
      if (!head) return
      lines = rows.length + 1
      const row = (cells, tag) => make('tr', {}, ...cells.map((cell) => make(tag, tag === 'th' ? { scope: 'col' } : {}, cell)))
      table.replaceChildren(make('thead', {}, row(head, 'th')), make('tbody', {}, ...rows.map((cells) => row(cells, 'td'))))
      const [width, height] = node.size
      node.setSize([Math.max(width, Math.min(700, 110 * head.length)), Math.max(height, node.computeSize()[1])])
      app.canvas.setDirty(true, true)
    }
  }
})
