// The figures of a run as curves and in words.
const finite = (points) => points.filter(({ value }) => Number.isFinite(value))
const from = (values, first) => finite((values ?? []).map((value, n) => ({ stage: n + first, value })))
const share = (value) => value.toFixed(2)
const digits = (value) => String(Number(value.toPrecision(2)))
const at = (points, stage) => points.find((point) => point.stage === stage)?.value

/** The curves that a run has: name, points by stage, how a figure is written, and how its line looks. */
export function curves({ stages, conf, severity, clip_i, change }) {
  const all = [
    { name: conf?.finding ? `Conf of ${conf.finding}` : 'Conf', points: from(conf?.values, 0), figure: share, style: '' },
    { name: 'Severity', points: from(severity, 0), figure: share, style: 'severity' },
    { name: 'CLIP-I', points: from(clip_i, 1), figure: share, style: 'similarity' },
    { name: 'Change', points: from(change, 1), figure: digits, style: '' }
  ]
  const shown = all.map((curve) => ({ ...curve, points: curve.points.filter(({ stage }) => stage < stages.length) }))
  return shown.filter(({ points }) => points.length)
}

/** The one curve of the small viewer: Conf (and severity) where the run has it, else the change. */
export function mainChart(run, current) {
  const all = curves(run)
  const first = all.find(({ name }) => name.startsWith('Conf')) ?? all.find(({ name }) => name === 'Change')
  if (!first) return null
  const graded = first.figure === share ? all.find(({ name }) => name === 'Severity') : null
  const told = (stage) => {
    const severity = graded && at(graded.points, stage)
    return first.figure(at(first.points, stage)) + (severity === undefined || !graded ? '' : `, severity ${share(severity)}`)
  }
  const known = at(first.points, current) !== undefined
  const list = first.points.map(({ stage }) => `stage ${stage} ${told(stage)}`).join(', ')
  return {
    title: known ? `${first.name}: ${told(current)}` : first.name,
    said: `${first.name}: ${list}`,
    now: known ? `${first.name} ${told(current)}` : '',
    lines: [{ ...first, dots: true }, ...(graded ? [graded] : [])],
    figure: first.figure,
    top: first.figure === share ? 1 : mostOf([run])
  }
}

/** The charts of the panel: shares of one on one axis, the change on its own up to `most`. */
export function charts(run, most) {
  const all = curves(run)
  const groups = [all.filter(({ figure }) => figure === share), all.filter(({ figure }) => figure !== share)]
  const list = ({ name, points, figure }) =>
    `${name}: ${points.map(({ stage, value }) => `stage ${stage} ${figure(value)}`).join(', ')}`
  return groups
    .filter((group) => group.length)
    .map((group) => ({
      said: group.map(list).join('. '),
      lines: group.map((curve) => ({ ...curve, dots: true })),
      figure: group[0].figure,
      top: group[0].figure === share ? 1 : most
    }))
}

/** The largest change of several runs, so that their charts have one axis. */
export const mostOf = (runs) => Math.max(...runs.flatMap(({ change }) => change.filter(Number.isFinite)), 0) || 1

const UNITS = {
  Conf: ' (0 absent, 1 certain)',
  Severity: ' (0 none, 1 worst), as the classifier reads it',
  'CLIP-I': ' (1: as the input image)',
  Change: ' (root mean square of what the latents changed from the stage before)'
}

/** What is known of a stage: [term, text] pairs. `plan` is that of the run's provenance.json; where it has none the run may tell. */
export function words(run, stage, plan) {
  const planned = stage ? (plan?.stages ?? run.planned)?.[stage - 1] : null
  const pairs = planned ? [['Prompt', planned.prompt]] : []
  if (Number.isFinite(planned?.severity)) pairs.push(['Severity asked for', `${share(planned.severity)} (0 none, 1 worst)`])
  for (const { name, points, figure } of curves(run)) {
    const value = at(points, stage)
    if (value !== undefined) pairs.push([name, figure(value) + (UNITS[name] ?? UNITS.Conf)])
  }
  return pairs
}
