// What every part of the viewer makes: elements, and addresses of files that the host's /view serves.
import { api } from '../../../scripts/api.js'

export const viewURL = (file, version) => '/view?' + new URLSearchParams({ ...file, t: version })
export const address = (file, version) => api.apiURL(viewURL(file, version))

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...children)
  return element
}

export function draw(tag, attributes, text = '') {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.textContent = text
  return element
}

export function options(select, entries) {
  select.replaceChildren(...entries.map(([value, text]) => make('option', { value }, text)))
}

export const nameOf = (stage, last) => (stage ? `Stage ${stage} of ${last}, simulated` : 'Input image')
