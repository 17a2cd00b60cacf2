// Curves over the stages, the present one marked; a click on one goes to the stage.
import { draw } from './parts.js'

const LEFT = 34 // pixels, for the figures of the axis
const EDGES = { top: 6, bottom: 18, right: 8 }

/** An SVG of `lines`, each { points: [{ stage, value }], style, dots }; `said`: what screen readers are told. */
export function chart({ said, lines, figure, top }, last, current, width, { height = 72, choose } = {}) {
  const right = width - EDGES.right
  const bottom = height - EDGES.bottom
  const x = (stage) => LEFT + (last && (stage / last) * (right - LEFT))
  const y = (value) => bottom - (value / top) * (bottom - EDGES.top)
  const svg = draw('svg', { viewBox: `0 0 ${width} ${height}`, height, role: 'img', 'aria-label': said })
  const axes = `M${LEFT} ${EDGES.top}V${bottom}H${right}`
  svg.append(draw('path', { d: axes, class: 'axes' }))
  for (const value of [0, top])
    svg.append(draw('text', { x: LEFT - 5, y: y(value) + 4, 'text-anchor': 'end' }, figure(value)))
  const every = Math.ceil((last + 1) / 12) || 1
  for (let stage = 0; stage <= last; stage += every)
    svg.append(draw('text', { x: x(stage), y: height - 4, 'text-anchor': 'middle' }, stage))
  svg.append(draw('line', { x1: x(current), x2: x(current), y1: EDGES.top, y2: bottom, class: 'current' }))
  for (const { points, style, dots } of lines) {
    const way = points.map(({ stage, value }) => `${x(stage)},${y(value)}`).join(' ')
    svg.append(draw('polyline', { points: way, class: `line ${style}` }))
    for (const { stage, value } of dots ? points : [])
      svg.append(draw('circle', { cx: x(stage), cy: y(value), r: stage === current ? 5 : 2.5 }))
  }
  if (choose)
    svg.addEventListener('click', (event) => {
      const place = (event.offsetX / svg.clientWidth) * width
      choose(Math.min(last, Math.max(0, Math.round(((place - LEFT) / (right - LEFT)) * last))))
    })
  return svg
}
