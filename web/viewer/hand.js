// What the mouse does on the pictures of the panel: move and zoom, window and level, the line of before and after.
export const TOOLS = { pan: 'moves the picture', window: 'sets window / level', wipe: 'moves the before / after line' }
const LEAST = 4 / 255 // of a window

const within = (value, low, high) => Math.min(high, Math.max(low, value))

export class Hand {
  constructor(changed) {
    this.changed = changed
    this.tool = 'pan'
    this.line = 0.5 // of the picture's width
    Object.assign(this, { x: 0, y: 0, scale: 1, low: 0, high: 1 }) // x, y: of the picture's own size
  }

  /** At a place of the view, from its middle in shares of the picture's size at scale 1; that place stays. */
  zoom(by, at = [0, 0]) {
    const scale = within(this.scale * by, 1, 32)
    const [x, y] = [this.x, this.y].map((moved, i) => at[i] - ((at[i] - moved) * scale) / this.scale)
    this.scale = scale
    this.moved(x, y)
  }

  pan(x, y) {
    this.moved(this.x + x, this.y + y)
  }

  moved(x, y) {
    const most = this.scale / 2
    Object.assign(this, { x: within(x, -most, most), y: within(y, -most, most) })
    this.changed()
  }

  /** Wider by `width`, its middle moved by `middle`, both in shares of the full range. */
  window(width, middle) {
    const wide = within(this.high - this.low + width, LEAST, 2)
    const centre = within((this.high + this.low) / 2 + middle, 0, 1)
    Object.assign(this, { low: centre - wide / 2, high: centre + wide / 2 })
    this.changed()
  }

  wipe(by) {
    this.line = within(this.line + by, 0, 1)
    this.changed()
  }

  fit() {
    Object.assign(this, { x: 0, y: 0, scale: 1 })
    this.changed()
  }

  unleveled() {
    Object.assign(this, { low: 0, high: 1 })
    this.changed()
  }

  reset() {
    this.fit()
    this.unleveled()
  }
}

/** Drags and the wheel on any .view inside an element go to the hand. */
export function attach(element, hand) {
  const frameOf = (event) => event.target.closest('.view')?.querySelector('.frame')
  element.addEventListener('pointerdown', (event) => {
    const frame = frameOf(event)
    if (!frame || event.button) return
    event.preventDefault()
    const { offsetWidth: width, offsetHeight: height } = frame
    const view = frame.parentElement
    view.setPointerCapture(event.pointerId)
    const drag = ({ movementX: x, movementY: y }) => {
      if (hand.tool === 'pan') hand.pan(x / width, y / height)
      else if (hand.tool === 'window') hand.window(x / width, y / height)
      else hand.wipe(x / width / hand.scale)
    }
    view.addEventListener('pointermove', drag)
    view.addEventListener('lostpointercapture', () => view.removeEventListener('pointermove', drag), { once: true })
  })
  element.addEventListener('wheel', (event) => {
    const frame = frameOf(event)
    if (!frame) return
    event.preventDefault()
    const view = frame.parentElement.getBoundingClientRect()
    const at = [
      (event.clientX - view.left - view.width / 2) / frame.offsetWidth,
      (event.clientY - view.top - view.height / 2) / frame.offsetHeight
    ]
    hand.zoom(event.deltaY < 0 ? 1.25 : 0.8, at)
  }, { passive: false })
}
