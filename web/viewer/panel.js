// The large viewer: a dialog over the page with one to three results in step on one timeline.
import { stateOf, states } from '../mvg_progress.js'
import { chosenResults } from './results.js'
import { gradient } from './heat.js'
import { attach, Hand, TOOLS } from './hand.js'
import { draw, make, nameOf, options } from './parts.js'
import { Pane } from './pane.js'
import { mostOf } from './scores.js'

const MOST = 3
const SPEEDS = [0.25, 0.5, 1, 2, 4]
const FULL = [0.05, 0.1, 0.25, 0.5, 1] // changes that get the last color
const SECONDS = 0.5 // a stage while playing at speed 1
const KEYS = [
  ['Space', 'play, pause'], ['Left, Right', 'a stage back, on (in the film a frame)'], ['Home, End', 'first, last stage'],
  ['< >', 'slower, faster'], ['F', 'film or stages'], ['H', 'heat map'], ['R', 'compare with the input or the stage before'],
  ['B', 'before / after'], ['[ ]', 'move the line between them'], ['+ - 0', 'zoom in, out, whole picture with levels as saved'],
  ['Shift + arrows', 'move the picture'], ['W', 'window / level by drag'], ['1 2', 'brighter, darker'], ['3 4', 'more, less contrast'],
  ['X', 'levels as saved'], ['C', 'add a result to compare'], ['Esc', 'close']
]

const button = (text, key, title) => make('button', { type: 'button', 'aria-keyshortcuts': key, title: `${title} (${key})` }, text)
const labelled = (text, control) => make('label', {}, text, ' ', control)

class Panel {
  constructor(first, stage, closed) {
    this.panes = []
    this.node = first.node
    this.closed = closed
    this.version = Date.now()
    this.place = stage // its fraction is where the film is between two
    this.inFilm = false
    this.playing = 0 // a number for each time it began
    this.look = { heat: false, before: false, reference: 'first', full: 0.25 }
    this.hand = new Hand(() => this.arrange())
    this.build()
    this.add(first)
  }

  build() {
    this.play = button('Play', 'Space', 'Play or pause')
    const back = button('Back', 'ArrowLeft', 'One step back')
    const on = button('Next', 'ArrowRight', 'One step on')
    this.timeline = make('input', { type: 'range', min: 0, step: 1, class: 'timeline', 'aria-label': 'Stage' })
    this.speed = make('select', { 'aria-label': 'Speed' })
    options(this.speed, SPEEDS.map((speed) => [speed, `${speed} x`]))
    this.speed.value = 1
    this.film = button('Film', 'F', 'The film between the stages')
    this.heat = button('Heat map', 'H', 'How much each pixel changed')
    this.before = button('Before / after', 'B', 'The picture before at the left of a line')
    this.reference = make('select', { 'aria-label': 'Compare with', 'aria-keyshortcuts': 'R' })
    options(this.reference, [['first', 'the input image'], ['previous', 'the stage before']])
    this.full = make('select', { 'aria-label': 'Change that gets the last color' })
    options(this.full, FULL.map((share) => [share, `${share * 100} %`]))
    this.full.value = this.look.full
    this.tools = make('select', { 'aria-label': 'Dragging' })
    options(this.tools, Object.entries(TOOLS))
    const zoomIn = button('+', '+', 'Zoom in')
    const zoomOut = button('−', '-', 'Zoom out')
    const fit = button('Reset', '0', 'Whole picture, levels as saved')
    this.level = make('span', { role: 'status' })
    this.state = make('span', { role: 'status', class: 'state' }) // of the run
    this.compare = make('select', { 'aria-label': 'Compare with another result', 'aria-keyshortcuts': 'C' })
    const close = make('button', { type: 'button', class: 'close', title: 'Close (Esc)' }, 'Close')
    this.bar = make('p', { class: 'scale', hidden: '' })
    const keys = make('dl', {}, ...KEYS.flatMap(([key, does]) => [make('dt', {}, key), make('dd', {}, does)]))
    this.body = make('div', { class: 'panes' })
    const filter = draw('svg', { class: 'levels', 'aria-hidden': true })
    const transfer = draw('feComponentTransfer', {})
    this.levels = ['R', 'G', 'B'].map((name) => draw(`feFunc${name}`, { type: 'linear' }))
    transfer.append(...this.levels)
    filter.append(draw('filter', { id: 'mvg-levels', 'color-interpolation-filters': 'sRGB' }))
    filter.firstChild.append(transfer)
    const bar = make('div', { class: 'bar', role: 'toolbar', 'aria-label': 'Tools' })
    bar.append(this.film, this.heat, this.before, labelled('against', this.reference), labelled('drag', this.tools))
    bar.append(zoomOut, zoomIn, fit, this.level, this.state, this.compare, close)
    const player = make('div', { class: 'bar', role: 'group', 'aria-label': 'Playback' })
    player.append(this.play, back, on, this.timeline, labelled('speed', this.speed))
    const help = make('details', {}, make('summary', {}, 'Keys'), keys)
    const parts = [bar, this.body, this.bar, player, help, filter]
    this.element = make('dialog', { class: 'mvg-panel', 'aria-label': 'Stages, large' }, ...parts)

    const on_ = (element, does) => element.addEventListener(element.localName === 'button' ? 'click' : 'input', does)
    on_(this.play, () => this.toggle())
    on_(back, () => this.step(-1))
    on_(on, () => this.step(1))
    on_(this.timeline, () => this.go(Number(this.timeline.value)))
    on_(this.speed, () => this.setSpeed(Number(this.speed.value)))
    on_(this.film, () => this.setFilm(!this.inFilm))
    on_(this.heat, () => this.set({ heat: !this.look.heat }))
    on_(this.before, () => this.set({ before: !this.look.before }))
    on_(this.reference, () => this.set({ reference: this.reference.value }))
    on_(this.full, () => this.set({ full: Number(this.full.value) }))
    on_(this.tools, () => this.setTool(this.tools.value))
    on_(zoomIn, () => this.hand.zoom(1.25))
    on_(zoomOut, () => this.hand.zoom(0.8))
    on_(fit, () => this.hand.reset())
    on_(this.compare, () => this.add(this.others[this.compare.value]))
    on_(close, () => this.element.close())
    this.element.addEventListener('keydown', (event) => this.key(event))
    for (const kind of ['keyup', 'keypress', 'copy', 'paste', 'wheel'])
      this.element.addEventListener(kind, (event) => event.stopPropagation()) // else the page's own keys act behind it
    this.element.addEventListener('close', () => this.close())
    this.tell = ({ detail } = {}) => {
      if (!detail || detail === this.node) this.state.textContent = stateOf(this.node).text
    }
    states.addEventListener('change', this.tell)
    this.tell()
    attach(this.body, this.hand)
    this.resized = new ResizeObserver(() => this.panes.forEach((pane) => pane.resize()))
    this.resized.observe(this.body)
    document.body.append(this.element)
    this.element.showModal()
    this.timeline.focus()
  }

  add(result) {
    if (!result || this.panes.length >= MOST) return
    this.pause()
    const close = this.panes.length && ((pane) => this.remove(pane))
    const most = () => mostOf(this.panes.map(({ run }) => run))
    const pane = new Pane(result, { version: this.version, choose: (stage) => this.go(stage), most, close })
    this.panes.push(pane)
    this.body.append(pane.element)
    this.changed()
    pane.learn().then(() => this.arrange(), () => {})
  }

  /** The first result has got further, or a new run has taken its place. */
  follow(run) {
    const newest = this.place >= this.panes[0].last
    this.panes[0].follow(run)
    this.measure()
    this.go(newest && !this.playing ? this.last : this.place)
  }

  remove(pane) {
    this.panes.splice(this.panes.indexOf(pane), 1)
    pane.close()
    this.changed()
    this.timeline.focus()
  }

  /** How far the timeline goes, and whether it may be that of films. */
  measure() {
    this.last = Math.max(...this.panes.map((pane) => pane.last))
    this.timeline.max = this.last
    this.film.disabled = !this.panes.every((pane) => pane.run.film)
    if (this.inFilm && this.film.disabled) this.setFilm(false)
  }

  /** After a result came or went. */
  async changed() {
    this.measure()
    this.setFilm(this.inFilm)
    this.body.dataset.count = this.panes.length
    this.arrange()
    this.panes.forEach((pane) => pane.resize())
    this.others = await chosenResults(this.panes)
    const rest = this.panes.length < MOST ? this.others : []
    options(this.compare, [['', 'Compare with …'], ...rest.map(({ title }, n) => [n, title])])
    this.compare.disabled = !rest.length
  }

  set(change) {
    Object.assign(this.look, change)
    if (change.before) this.hand.tool = 'wipe'
    if (change.before === false && this.hand.tool === 'wipe') this.hand.tool = 'pan'
    if (this.look.heat || this.look.before) this.setFilm(false) // they compare stages
    this.arrange()
    this.go(this.place)
  }

  setTool(tool) {
    this.hand.tool = tool
    if (tool === 'wipe' && !this.look.before) this.set({ before: true })
    this.arrange()
  }

  /** What is shown of tools, zoom, levels and the line between before and after. */
  arrange() {
    const { x, y, scale, tool, line } = this.hand
    const gray = this.panes.every((pane) => pane.gray)
    const { low, high } = gray ? this.hand : { low: 0, high: 1 }
    for (const { frame } of this.panes) {
      frame.style.transform = `translate(${x * 100}%, ${y * 100}%) scale(${scale})`
      frame.style.setProperty('--line', `${line * 100}%`)
      frame.classList.toggle('compared', this.look.before && !this.inFilm)
    }
    this.body.classList.toggle('leveled', low !== 0 || high !== 1)
    for (const part of this.levels) {
      part.setAttribute('slope', 1 / (high - low))
      part.setAttribute('intercept', -low / (high - low))
    }
    this.tools.value = tool
    this.tools.querySelector('[value=window]').disabled = !gray
    const levels = `window ${Math.round((high - low) * 255)}, level ${Math.round(((high + low) / 2) * 255)} of 255`
    this.level.textContent = `${Math.round(scale * 100)} %${gray ? `, ${levels}` : ''}`
    this.heat.setAttribute('aria-pressed', this.look.heat)
    this.before.setAttribute('aria-pressed', this.look.before)
    this.film.setAttribute('aria-pressed', this.inFilm)
    this.reference.value = this.look.reference
    this.bar.hidden = !this.look.heat
    const colors = make('span', { class: 'colors', role: 'img', 'aria-label': 'Colors from black over red to yellow' })
    colors.style.background = gradient
    this.bar.replaceChildren('Change of a pixel: 0 ', colors, labelled('', this.full), ' of the full range or more (no color: none)')
  }

  // --- the timeline

  go(place) {
    this.place = Math.min(this.last, Math.max(0, place))
    this.timeline.value = this.place
    const near = Math.round(this.place)
    const film = this.inFilm && !this.playing
    if (film) for (const pane of this.panes) pane.film.currentTime = pane.secondOf(this.place)
    const shown = this.panes.map((pane) => pane.show(near, this.look))
    const said = [nameOf(near, this.last), ...this.panes.map((pane) => pane.said)]
    this.timeline.setAttribute('aria-valuetext', said.join('. '))
    return Promise.all(shown)
  }

  step(by) {
    this.pause()
    if (!this.inFilm) return this.go(Math.round(this.place) + by)
    const [pane] = this.panes
    return this.go(pane.placeOf(pane.secondOf(this.place) + by / (pane.run.fps || 8)))
  }

  setFilm(on) {
    this.pause()
    this.inFilm = on
    this.timeline.step = on ? 'any' : 1
    for (const pane of this.panes) pane.film.hidden = !on
    if (on) Object.assign(this.look, { heat: false, before: false })
    this.arrange()
    this.go(on ? this.place : Math.round(this.place))
  }

  setSpeed(speed) {
    this.speed.value = speed
    for (const { film } of this.panes) film.playbackRate = speed
  }

  toggle() {
    if (this.playing) return this.pause()
    if (this.place >= this.last) this.go(0)
    this.playing = performance.now()
    this.play.textContent = 'Pause'
    this.setSpeed(Number(this.speed.value))
    this.inFilm ? this.playFilm(this.playing) : this.playStages(this.playing)
  }

  pause() {
    this.playing = 0
    this.play.textContent = 'Play'
    for (const { film } of this.panes) film.pause()
  }

  async playStages(turn) {
    while (this.playing === turn && this.place < this.last) {
      await new Promise((done) => setTimeout(done, (SECONDS / Number(this.speed.value)) * 1000))
      if (this.playing === turn) await this.go(Math.round(this.place) + 1)
    }
    if (this.playing === turn) this.pause()
  }

  /** The first film is the clock; another that has come off is set right. */
  playFilm(turn) {
    const [first, ...others] = this.panes
    const started = Promise.all(this.panes.map(({ film }) => film.play())).catch(() => this.pause())
    const tick = () => {
      if (this.playing !== turn) return
      const place = first.placeOf(first.film.currentTime)
      for (const pane of others)
        if (Math.abs(pane.film.currentTime - pane.secondOf(place)) > 0.2) pane.film.currentTime = pane.secondOf(place)
      this.go(place)
      if (first.film.ended) return this.pause()
      requestAnimationFrame(tick)
    }
    started.then(tick)
  }

  // --- keys

  key(event) {
    event.stopPropagation()
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const { target, key, shiftKey } = event
    if (target.localName === 'select' && key !== 'Escape') return
    if (key === ' ' && ['button', 'summary', 'a'].includes(target.localName)) return
    const moves = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }
    const faster = (by) => this.setSpeed(SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, SPEEDS.indexOf(Number(this.speed.value)) + by))])
    const does = {
      ' ': () => this.toggle(),
      ArrowLeft: () => this.step(-1), ArrowDown: () => this.step(-1),
      ArrowRight: () => this.step(1), ArrowUp: () => this.step(1),
      Home: () => (this.pause(), this.go(0)), End: () => (this.pause(), this.go(this.last)),
      '<': () => faster(-1), '>': () => faster(1),
      f: () => this.film.disabled || this.setFilm(!this.inFilm),
      h: () => this.set({ heat: !this.look.heat }),
      b: () => this.set({ before: !this.look.before }),
      r: () => this.set({ reference: this.look.reference === 'first' ? 'previous' : 'first' }),
      '[': () => this.hand.wipe(-0.05), ']': () => this.hand.wipe(0.05),
      '+': () => this.hand.zoom(1.25), '=': () => this.hand.zoom(1.25), '-': () => this.hand.zoom(0.8), 0: () => this.hand.reset(),
      w: () => this.setTool(this.hand.tool === 'window' ? 'pan' : 'window'),
      1: () => this.hand.window(0, -0.04), 2: () => this.hand.window(0, 0.04), 3: () => this.hand.window(-0.04, 0), 4: () => this.hand.window(0.04, 0),
      x: () => this.hand.unleveled(),
      c: () => this.compare.focus()
    }
    const move = shiftKey && moves[key]
    const act = move ? () => this.hand.pan(move[0] * 0.1, move[1] * 0.1) : does[key.length === 1 ? key.toLowerCase() : key]
    if (!act) return
    event.preventDefault()
    act()
  }

  close() {
    this.pause()
    states.removeEventListener('change', this.tell)
    this.closed()
    this.resized.disconnect()
    for (const pane of this.panes) pane.close()
    this.element.remove()
  }
}

/** result: { title, run, node that shows it }. closed(): called when it is. */
export const openPanel = (result, stage, closed) => new Panel(result, stage, closed)
