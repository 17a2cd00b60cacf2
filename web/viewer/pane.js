// One result in the panel: its picture with what lies over it, its stage in words, its curves and its files.
import { chart } from './chart.js'
import { heat } from './heat.js'
import { address, make, nameOf } from './parts.js'
import { isGray, Pictures, pixels } from './pictures.js'
import { charts, words } from './scores.js'

const FILES = { film: 'Film', stage: 'Stage', sheet: 'Contact sheet', dicom: 'DICOM of the stage' }

export class Pane {
  /** run: what the node told of a progression. choose(stage): called by a click on a curve; most(): where the axis of the change ends;
   *  close(pane): where it may be removed. */
  constructor({ title, run }, { version, choose, most, close }) {
    Object.assign(this, { title, version, choose, most, gray: true, stage: 0, asked: 0, drawn: 0, width: 0 })
    this.now = make('canvas', { role: 'img', class: 'tinted' })
    this.before = make('canvas', { class: 'before tinted', 'aria-hidden': true })
    this.heat = make('canvas', { 'aria-hidden': true })
    this.film = make('video', { class: 'tinted', playsinline: '', preload: 'auto', 'aria-label': `Film of ${title}`, hidden: '' })
    this.film.muted = true
    this.frame = make('div', { class: 'frame' }, this.now, this.before, this.heat, this.film, make('div', { class: 'divider' }))
    this.view = make('div', { class: 'view' }, this.frame)
    this.caption = make('figcaption', { role: 'status' })
    this.words = make('dl')
    this.charts = make('div', { class: 'charts' })
    this.files = make('p', { class: 'files' })
    const head = make('header', {}, make('h3', {}, title))
    if (close) {
      const button = make('button', { type: 'button' }, 'Remove')
      button.addEventListener('click', () => close(this))
      head.append(button)
    }
    const told = make('div', { class: 'told' }, this.words, this.charts, this.files)
    const figure = make('figure', {}, this.view, this.caption)
    this.element = make('article', { class: 'pane', 'aria-label': title }, head, figure, told)
    this.take(run)
  }

  take(run) {
    Object.assign(this, { run, last: run.stages.length - 1, plan: null })
    this.pictures = new Pictures(run.stages, (file) => address(file, this.version))
    if (run.film) this.film.src = address(run.film, this.version)
    if (run.about) this.read(run.about)
  }

  /** The same run with more stages, or another one. */
  follow(run) {
    const grown = this.run.stages.every(({ filename, subfolder }, n) => filename === run.stages[n]?.filename && subfolder === run.stages[n].subfolder)
    if (grown && run.stages.length > this.run.stages.length && !run.film) {
      Object.assign(this, { run, last: run.stages.length - 1 })
      this.pictures.files = run.stages
      return
    }
    this.pictures.close()
    this.version = Date.now() // a folder of the same name may hold others
    this.take(run)
  }

  /** The plan, from the provenance that was saved with the run. */
  async read(file) {
    const answer = await fetch(address(file, this.version))
    if (answer.ok) this.plan = (await answer.json()).plan
    this.tell()
  }

  /** Shows a stage; `look`: what the tools of the panel are set to. An older answer never replaces a newer one. */
  async show(wanted, look) {
    const stage = Math.min(wanted, this.last)
    this.look = look
    const other = look.reference === 'first' ? 0 : Math.max(0, stage - 1)
    const ask = ++this.asked
    const compared = look.heat || look.before
    this.stage = stage
    this.tell()
    try {
      const [now, before] = await Promise.all([this.pictures.get(stage), compared ? this.pictures.get(other) : null])
      if (ask < this.drawn) return
      this.drawn = ask
      this.put(this.now, now)
      if (look.before) this.put(this.before, before)
      if (look.heat) this.warm(now, before, look.full)
    } catch {
      if (ask !== this.asked) return // its picture was let go, as another stage is wanted
      this.caption.textContent = `${this.caption.textContent}: the picture is no longer there. Run again to see it.`
      return
    }
    this.before.hidden = !look.before
    this.heat.hidden = !look.heat
    this.element.dataset.shown = stage
    if (ask !== this.asked) return
    this.pictures.keepNear(stage)
    if (look.heat) setTimeout(() => this.readBeside(stage))
  }

  put(canvas, bitmap) {
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      Object.assign(canvas, { width: bitmap.width, height: bitmap.height })
      this.frame.style.setProperty('--ratio', bitmap.width / bitmap.height)
    }
    canvas.getContext('2d').drawImage(bitmap, 0, 0)
  }

  warm(now, before, full) {
    if (this.heat.width !== now.width || this.heat.height !== now.height)
      Object.assign(this.heat, { width: now.width, height: now.height })
    const context = this.heat.getContext('2d')
    context.putImageData(heat(pixels(now), pixels(before), full), 0, 0)
    const [height, width] = this.run.label ?? [0, 0] // what lies under the label is not known
    context.clearRect(0, 0, width, height)
  }

  /** The levels of the stages that a step leads to, so that the step need not wait for them. */
  async readBeside(stage) {
    for (const other of [stage + 1, stage - 1])
      if (other >= 0 && other <= this.last && stage === this.stage) await this.pictures.get(other).then(pixels, () => {})
  }

  async learn() {
    this.gray = isGray(pixels(await this.pictures.get(0)))
    return this.gray
  }

  tell() {
    const name = nameOf(this.stage, this.last)
    const other = this.look?.reference === 'first' ? 0 : Math.max(0, this.stage - 1)
    this.caption.textContent = this.look?.before ? `Left: ${nameOf(other, this.last)}. Right: ${name}` : name
    this.now.setAttribute('aria-label', `${name}, ${this.title}`)
    const pairs = words(this.run, this.stage, this.plan)
    this.said = pairs.map((pair) => pair.join(' ')).join(', ')
    this.words.replaceChildren(...pairs.flatMap(([term, text]) => [make('dt', {}, term), make('dd', {}, text)]))
    this.plot()
    const files = { film: this.run.film, stage: this.run.stages[this.stage], sheet: this.run.sheet, dicom: this.run.dicom?.[this.stage] }
    const links = Object.entries(FILES).filter(([kind]) => files[kind]).map(([kind, text]) =>
      make('a', { href: address(files[kind], this.version), download: files[kind].filename }, text))
    if (!files.dicom) links.push(' (DICOM: switch it on in Save Trajectory)')
    this.files.replaceChildren('Download: ', ...links)
  }

  /** After the panel got another size; asked for here alone, as it makes the browser lay out the page. */
  resize() {
    this.width = this.charts.clientWidth
    this.plot()
  }

  plot() {
    const width = Math.max(200, this.width)
    const shown = charts(this.run, this.most()).flatMap((one) => {
      const svg = chart(one, this.last, this.stage, width, { height: 120, choose: this.choose })
      const legend = one.lines.map(({ name, style }) => make('span', { class: `key ${style}` }, name))
      return [make('p', { class: 'legend' }, ...legend), svg]
    })
    this.charts.replaceChildren(...shown)
  }

  /** The second of the film at which a stage stands, which need not be at even distances; and the other way round. */
  secondOf(place) {
    const keys = this.keys()
    const stage = Math.min(Math.floor(place), keys.length - 2)
    if (stage < 0) return 0
    return keys[stage] + (Math.min(place, this.last) - stage) * (keys[stage + 1] - keys[stage])
  }

  placeOf(second) {
    const keys = this.keys()
    const next = keys.findIndex((key) => key > second)
    if (next < 0) return this.last
    return next - 1 + (second - keys[next - 1]) / (keys[next] - keys[next - 1])
  }

  keys() {
    const { film_frames: frames, fps } = this.run
    // half a frame on, so that a player which rounds shows that frame and not the one before
    if (frames?.length) return frames.map((frame) => (frame + 0.5) / fps)
    const end = this.film.duration || 1
    return this.run.stages.map((_, stage) => (stage / Math.max(1, this.last)) * end)
  }

  close() {
    this.film.removeAttribute('src')
    this.film.load()
    this.pictures.close()
    this.element.remove()
  }
}
