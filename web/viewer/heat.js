// How much each pixel differs from another picture, in color; the scale is in shares of the full range, never the
// picture's own maximum, so that what hardly changed stays dark in every picture alike.
const STOPS = [ // inferno of matplotlib, as in mvg/metrics/difference.py
  [0, 0, 4], [31, 12, 72], [85, 15, 109], [136, 34, 106], [186, 54, 85], [227, 89, 51], [249, 140, 10], [249, 201, 50],
  [252, 255, 164]
]
const OPAQUE_FROM = 0.4 // of the scale; below it the picture shines through, and all of it where nothing changed

export function color(share) {
  const place = Math.min(1, share) * (STOPS.length - 1)
  const low = Math.min(Math.floor(place), STOPS.length - 2)
  return STOPS[low].map((value, i) => Math.round(value + (place - low) * (STOPS[low + 1][i] - value)))
}

/** |now - before|, the mean over the colors, as an image; `full`: the change in (0, 1] that gets the last color. */
export function heat(now, before, full) {
  const table = new Uint8ClampedArray(4 * 766) // by the sum over three colors of 0 to 255
  for (let sum = 0; sum < 766; sum++) {
    const share = sum / 765 / full
    table.set([...color(share), 255 * 0.9 * Math.min(1, share / OPAQUE_FROM)], 4 * sum)
  }
  const colors = new Uint32Array(table.buffer)
  const image = new ImageData(now.width, now.height)
  const out = new Uint32Array(image.data.buffer)
  const [a, b] = [now.data, before.data]
  for (let i = 0, p = 0; i < out.length; i++, p += 4)
    out[i] = colors[Math.abs(a[p] - b[p]) + Math.abs(a[p + 1] - b[p + 1]) + Math.abs(a[p + 2] - b[p + 2])]
  return image
}

/** CSS of the color bar. */
export const gradient = `linear-gradient(to right, ${STOPS.map((rgb) => `rgb(${rgb})`).join(', ')})`
