// The host's page offers an upload for pictures only; a report is a text file.
import { api } from '../../scripts/api.js'
import { app } from '../../scripts/app.js'

const NODE = 'MVG_LoadReport'
const isText = (file) => file.name.toLowerCase().endsWith('.txt')

function tell(detail) {
  app.extensionManager.toast.add({ severity: 'error', summary: 'Report', detail, life: 8000 })
}

async function upload(widget, file) {
  if (!isText(file)) return tell(`${file.name} is no .txt file. Save the report as plain text.`)
  const body = new FormData()
  body.append('image', file)
  const answer = await api.fetchApi('/upload/image', { method: 'POST', body })
  if (answer.status !== 200) return tell(`${file.name} was not taken: ${answer.status} ${answer.statusText}`)
  const { name } = await answer.json()
  if (!widget.options.values.includes(name)) widget.options.values.push(name)
  widget.value = name
  widget.callback?.(name)
  app.canvas.setDirty(true)
}

function choose(widget) {
  const input = document.createElement('input')
  input.type = 'file'
  input.accept = '.txt,text/plain'
  input.onchange = () => input.files.length && upload(widget, input.files[0])
  input.click()
}

app.registerExtension({
  name: 'MVG.ReportUpload',
  nodeCreated(node) {
    if (node.comfyClass !== NODE) return
    const report = node.widgets.find((widget) => widget.name === 'report')
    const button = node.addWidget('button', 'choose report to upload', null, () => choose(report), { serialize: false })
    button.serialize = false // the option keeps it out of the prompt, this out of the workflow
    node.onDragOver = (event) => [...(event.dataTransfer?.items ?? [])].some((item) => item.kind === 'file')
    node.onDragDrop = (event) => {
      const file = [...event.dataTransfer.files].find(isText)
      if (file) upload(report, file)
      return Boolean(file)
    }
  }
})
