// The host's page offers an upload for pictures only; a report is a text file, and a film often a DICOM file.
import { api } from '../../scripts/api.js'
import { app } from '../../scripts/app.js'

const endsIn = (file, ...suffixes) => suffixes.some((suffix) => file.name.toLowerCase().endsWith(suffix))

const KINDS = {
  MVG_LoadReport: {
    input: 'report',
    title: 'Report',
    button: 'choose report to upload',
    accept: '.txt,text/plain',
    named: (file) => endsIn(file, '.txt'),
    problem: async (file) => endsIn(file, '.txt') || 'is no .txt file. Save the report as plain text.'
  },
  MVG_LoadMedicalImage: {
    input: 'image',
    title: 'DICOM file',
    button: 'choose DICOM to upload',
    accept: '', // many have no suffix
    named: (file) => endsIn(file, '.dcm', '.dicom') || /^[^.]+$|\.\d+$/.test(file.name),
    problem: async (file) =>
      (await file.slice(128, 132).text()) === 'DICM' || 'is no DICOM file: it has no DICM mark. Choose another.'
  }
}

function tell(kind, detail) {
  app.extensionManager.toast.add({ severity: 'error', summary: kind.title, detail, life: 8000 })
}

async function upload(kind, widget, file) {
  const fine = await kind.problem(file)
  if (fine !== true) return tell(kind, `${file.name} ${fine}`)
  const body = new FormData()
  body.append('image', file)
  const answer = await api.fetchApi('/upload/image', { method: 'POST', body })
  if (answer.status !== 200) return tell(kind, `${file.name} was not taken: ${answer.status} ${answer.statusText}`)
  const { name } = await answer.json()
  if (!widget.options.values.includes(name)) widget.options.values.push(name)
  widget.value = name
  widget.callback?.(name)
  app.canvas.setDirty(true)
}

function choose(kind, widget) {
  const input = document.createElement('input')
  input.type = 'file'
  input.accept = kind.accept
  input.onchange = () => input.files.length && upload(kind, widget, input.files[0])
  input.click()
}

app.registerExtension({
  name: 'MVG.FileUpload',
  nodeCreated(node) {
    const kind = KINDS[node.comfyClass]
    if (!kind) return
    const widget = node.widgets.find((each) => each.name === kind.input)
    const button = node.addWidget('button', kind.button, null, () => choose(kind, widget), { serialize: false })
    button.serialize = false // the option keeps it out of the prompt, this out of the workflow
    node.onDragOver ??= (event) => [...(event.dataTransfer?.items ?? [])].some((item) => item.kind === 'file')
    const pictures = node.onDragDrop
    node.onDragDrop = function (event) {
      const file = [...(event.dataTransfer?.files ?? [])].find(kind.named)
      if (!file) return pictures?.call(this, event) ?? false
      upload(kind, widget, file)
      return true
    }
  }
})
