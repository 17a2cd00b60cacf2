// The rater's page: two films in step or one with questions, and an answer that is kept until it has been saved.
const $ = (id) => document.getElementById(id)
const PATH = location.pathname.replace(/\/$/, '')
const FRAME = 1 / 15 // seconds, of the films that a study makes
const APART = 0.04 // seconds by which two films may differ before the second is put right
const RETRY = 2000 // ms
const PATIENCE = 20000 // ms
const NO_SERVER = 'The server does not answer. Your answer is kept here and is sent again until it is saved.'
const REALISM = ['1: not at all', '2', '3', '4', '5: fully']

const fetched = new Map() // "item/side" -> promise of a blob's URL
let state, videos, seen, since, sending

function say(text) {
  $('message').textContent = text
  $('message').hidden = !text
}

function show(name) {
  for (const id of ['start', 'question', 'end']) $(id).hidden = id !== name
}

async function ask(path, options) {
  const answer = await fetch(PATH + path, { signal: AbortSignal.timeout(PATIENCE), ...options })
  const content = await answer.json().catch(() => ({ error: 'The server answered what this page does not understand.' }))
  return { status: answer.status, content }
}

function film(item, side) {
  const key = `${item}/${side}`
  if (!fetched.has(key)) {
    const loading = fetch(`${PATH}/films/${key}`).then(async (answer) => {
      if (!answer.ok) throw new Error((await answer.json()).error)
      return URL.createObjectURL(await answer.blob())
    })
    loading.catch(() => fetched.delete(key))
    fetched.set(key, loading)
  }
  return fetched.get(key)
}

function drop(before) {
  for (const [key, loading] of fetched) {
    if (parseInt(key) >= before) continue
    fetched.delete(key)
    loading.then(URL.revokeObjectURL, () => {})
  }
}

// ---- films in step: the first one leads

const playing = () => !videos[0].paused

function play(on) {
  for (const video of videos) on ? video.play().catch(() => {}) : video.pause()
  $('play').textContent = on ? 'Pause' : 'Play'
}

function goto(time) {
  const end = videos[0].duration || 0
  for (const video of videos) video.currentTime = Math.min(Math.max(time, 0), end)
}

function step(frames) {
  play(false)
  goto(videos[0].currentTime + frames * FRAME)
}

function follow() {
  requestAnimationFrame(follow)
  if (!videos?.[0].duration) return
  const [leader, other] = videos
  if (other && playing() && Math.abs(other.currentTime - leader.currentTime) > APART) other.currentTime = leader.currentTime
  if (document.activeElement !== $('time') || playing()) $('time').value = (1000 * leader.currentTime) / leader.duration
}

function ended() {
  if (!videos.every((video) => video.ended)) return
  seen = true
  ready()
  goto(0)
  play(true)
}

async function load(next) {
  const sides = next.films === 2 ? ['left', 'right'] : ['left']
  const urls = await Promise.all(sides.map((side) => film(next.item, side)))
  videos = sides.map($)
  await Promise.all(
    videos.map((video, n) => new Promise((done, fail) => {
      video.onloadeddata = done
      video.onerror = () => fail(new Error('This browser cannot play the film. Please try another one.'))
      video.src = urls[n]
    })),
  )
  for (const video of videos) video.playbackRate = Number($('speed').value)
}

// ---- questions

function answer() {
  const chosen = (name) => $('question').querySelector(`input[name=${name}]:checked`)?.value
  if (state.next.films === 2) return chosen('choice') && { choice: chosen('choice') }
  const [real, realism, expected] = ['real', 'realism', 'expected'].map(chosen)
  if (!real || !realism || !expected || !$('finding').value) return
  const words = { finding: $('finding').value, comment: $('comment').value }
  return { real: real === 'real', realism: Number(realism), expected: expected === 'yes', ...words }
}

function ready() {
  const given = answer()
  $('next').disabled = !(seen && given) || sending
  $('hint').textContent = !seen ? 'Please watch to the end once.' : given ? '' : 'Please answer above.'
}

async function present() {
  const { done, of, next } = state
  $('title').textContent = document.title = state.title
  $('done').textContent = `${done} of ${of} answered`
  $('progress').value = of ? done / of : 1
  if (!next) return show('end'), $('end').firstElementChild.focus()
  const pair = next.films === 2
  $('question').reset()
  $('stage').classList.toggle('single', !pair)
  $('right').parentElement.hidden = !pair
  $('about').hidden = pair
  $('left').ariaLabel = pair ? `Film A, ${next.domain}` : `Film, ${next.domain}`
  $('right').ariaLabel = `Film B, ${next.domain}`
  const about = [next.domain, next.finding].filter(Boolean).join(': ')
  $('asked').textContent = `${pair ? next.question : 'About this film'} (${about})`
  $('finding').replaceChildren(new Option('', ''), ...next.findings.map((name) => new Option(name, name)))
  const keys = pair
    ? { 'A or ←': 'film A', 'B or →': 'film B' }
    : { 'R / G': 'real or generated', '1 to 5': 'realism', 'Y / N': 'as expected', F: 'finding' }
  const all = { ...keys, Space: 'play', ', .': 'step', Home: 'start', Enter: 'next' }
  $('keys').replaceChildren(
    ...Object.entries(all).flatMap(([key, word]) => [Object.assign(document.createElement('kbd'), { textContent: key }), ` ${word}   `]),
  )
  seen = false
  sending = false
  ready()
  show('question')
  try {
    await load(next)
  } catch (error) {
    return say(error.message === 'Failed to fetch' ? 'The server does not answer. Reload this page to go on.' : error.message)
  }
  since = performance.now()
  $('asked').focus()
  goto(0)
  play(!matchMedia('(prefers-reduced-motion: reduce)').matches)
  drop(next.item)
  for (const side of ['left', 'right'].slice(0, next.ahead)) film(next.item + 1, side).catch(() => {})
}

async function send() {
  const given = answer()
  if (!seen || !given || sending) return
  sending = true
  ready()
  play(false)
  const seconds = Math.min(86400, Math.round(performance.now() - since) / 1000)
  const body = JSON.stringify({ item: state.next.item, seconds, ...given })
  const options = { method: 'POST', body, headers: { 'Content-Type': 'application/json' } }
  for (;;) {
    const reply = await ask('/votes', options).catch(() => null)
    if (reply === null || reply.status === 429 || reply.status === 502 || reply.status === 503) {
      say(reply?.content.error ?? NO_SERVER)
      await new Promise((done) => setTimeout(done, RETRY))
      continue
    }
    say(reply.content.error ?? '')
    if ('done' in reply.content) {
      state = reply.content
      return present()
    }
    sending = false
    return ready()
  }
}

function pick(name, value) {
  const input = $('question').querySelector(`input[name=${name}][value="${value}"]`)
  input.checked = true
  input.focus()
  ready()
}

function key(event) {
  if ($('question').hidden || event.ctrlKey || event.altKey || event.metaKey) return
  const writes = event.target.matches('textarea, select, input[type=range]')
  if (writes && event.key !== 'Escape') return
  const pair = state.next.films === 2
  const common = {
    ' ': () => play(!playing()),
    ',': () => step(-1),
    '.': () => step(1),
    Home: () => goto(0),
    Enter: () => send(),
    Escape: () => document.activeElement.blur(),
  }
  const choose = { a: 'left', ArrowLeft: 'left', b: 'right', ArrowRight: 'right' }
  const asked = { r: ['real', 'real'], g: ['real', 'generated'], y: ['expected', 'yes'], n: ['expected', 'no'] }
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key
  if (event.target.matches('button') && (name === ' ' || name === 'Enter')) return
  let act = common[name]
  if (pair && choose[name]) act = () => pick('choice', choose[name])
  if (!pair && asked[name]) act = () => pick(...asked[name])
  if (!pair && /^[1-5]$/.test(name)) act = () => pick('realism', name)
  if (!pair && name === 'f') act = () => $('finding').focus()
  if (!act) return
  event.preventDefault()
  act()
}

async function start() {
  for (const [n, text] of REALISM.entries()) {
    const label = document.createElement('label')
    const input = Object.assign(document.createElement('input'), { type: 'radio', name: 'realism', value: n + 1 })
    label.append(input, ` ${text}`)
    $('realism').append(label)
  }
  $('question').addEventListener('input', ready)
  $('question').addEventListener('submit', (event) => (event.preventDefault(), send()))
  $('play').onclick = () => play(!playing())
  $('back').onclick = () => step(-1)
  $('ahead').onclick = () => step(1)
  $('time').oninput = () => (play(false), goto(($('time').value / 1000) * videos[0].duration))
  $('speed').onchange = () => videos.forEach((video) => (video.playbackRate = Number($('speed').value)))
  for (const side of ['left', 'right']) $(side).onended = ended
  document.addEventListener('keydown', key)
  const reply = await ask('/state').catch(() => null)
  if (reply?.status !== 200) return say(reply?.content.error ?? 'The server does not answer. Reload this page to try again.')
  state = reply.content
  $('title').textContent = document.title = state.title
  $('introduction').textContent = state.introduction
  $('far').textContent = state.done ? `You have answered ${state.done} of ${state.of}.` : `There are ${state.of} questions.`
  $('begin').textContent = state.done ? 'Go on' : 'Begin'
  $('begin').onclick = present
  if (!state.next) return present()
  show('start')
  $('begin').focus()
  requestAnimationFrame(follow)
}

start()
