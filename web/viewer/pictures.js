// The pictures of a run, read and decoded as they are needed: those near the stage that is shown stay decoded.
const NEAR = 4 // stages to each side

export class Pictures {
  constructor(files, address) {
    this.files = files
    this.address = address
    this.blobs = new Map() // compressed, of every stage that was seen
    this.decoded = new Map() // stage -> promise of a bitmap
  }

  /** The bitmap of a stage; an Error where the file is gone. */
  get(stage) {
    if (!this.decoded.has(stage)) this.decoded.set(stage, this.decode(stage))
    return this.decoded.get(stage)
  }

  async decode(stage) {
    if (!this.blobs.has(stage)) this.blobs.set(stage, this.fetch(stage))
    return createImageBitmap(await this.blobs.get(stage))
  }

  async fetch(stage) {
    const answer = await fetch(this.address(this.files[stage]))
    if (!answer.ok) throw new Error(`stage ${stage} is no longer there`)
    return answer.blob()
  }

  /** Decodes what is a few steps away, and forgets what is further; stage 0 stays, as others are compared with it. */
  keepNear(stage) {
    for (const [other, bitmap] of this.decoded)
      if (other && Math.abs(other - stage) > 2 * NEAR) {
        this.decoded.delete(other)
        bitmap.then((b) => b.close(), () => {})
      }
    for (let other = Math.max(0, stage - NEAR); other <= Math.min(this.files.length - 1, stage + NEAR); other++)
      this.get(other).catch(() => {}) // told when it is shown
  }

  close() {
    for (const bitmap of this.decoded.values()) bitmap.then((b) => b.close(), () => {})
    this.decoded.clear()
    this.blobs.clear()
  }
}

const levels = new WeakMap() // bitmap -> its pixels, as stage 0 is asked for at every step

/** The levels of a bitmap as RGBA bytes. */
export function pixels(bitmap) {
  if (!levels.has(bitmap)) levels.set(bitmap, read(bitmap))
  return levels.get(bitmap)
}

function read(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height)
  const context = canvas.getContext('2d', { willReadFrequently: true })
  context.drawImage(bitmap, 0, 0)
  return context.getImageData(0, 0, bitmap.width, bitmap.height)
}

export function isGray({ data }) {
  for (let p = 0; p < data.length; p += 4) if (data[p] !== data[p + 1] || data[p] !== data[p + 2]) return false
  return true
}
