// Shows the plan that went through Edit Plan, and takes it over into the node's text.
import { app } from '../../scripts/app.js'

const NODE = 'MVG_EditPlan'
const HEIGHT = 120
const SIZE = [420, 460] // of a new node; a saved one has its own

function view() {
  const area = document.createElement('textarea')
  area.readOnly = true
  area.className = 'comfy-multiline-input'
  area.setAttribute('aria-label', 'The plan of the last run')
  area.placeholder = 'Run, and the plan is shown here.'
  return area
}

app.registerExtension({
  name: 'MVG.EditPlan',
  nodeCreated(node) {
    if (node.comfyClass !== NODE) return
    const text = node.widgets.find((widget) => widget.name === 'text')
    const shown = view()
    const take = () => {
      if (!shown.value) return
      text.value = shown.value
      text.callback?.(shown.value)
      app.canvas.setDirty(true)
    }
    const button = node.addWidget('button', 'edit this plan', null, take, { serialize: false })
    const panel = node.addDOMWidget('shown', 'mvg_plan', shown, { serialize: false, getMinHeight: () => HEIGHT })
    for (const widget of [button, panel]) widget.serialize = false // the option keeps it out of the prompt only
    node.setSize(SIZE.map((least, i) => Math.max(least, node.size[i])))
    const onExecuted = node.onExecuted
    node.onExecuted = function (output) {
      onExecuted?.call(this, output)
      if (output?.text) shown.value = output.text.join('')
    }
  }
})
