// The results that one may be compared with: those on the page's nodes, and earlier runs that the host remembers.
import { api } from '../../../scripts/api.js'

const REMEMBERED = 20 // runs asked for
const viewers = new Set() // those of the page's nodes: { node, runs }

export const register = (viewer) => viewers.add(viewer)
export const unregister = (viewer) => viewers.delete(viewer)

const folderOf = (run) => `${run.stages[0].type}/${run.stages[0].subfolder}`
export const titled = (title, n, count) => (count > 1 ? `${title}, patient ${n + 1}` : title)

async function remembered() {
  const answer = await api.fetchApi(`/history?max_items=${REMEMBERED}`)
  const entries = answer.ok ? Object.values(await answer.json()) : []
  return entries.reverse().flatMap(({ prompt: [number, , nodes], outputs }) =>
    Object.entries(outputs).flatMap(([id, { mvg_progressions: runs = [] }]) => {
      const title = nodes[id]?._meta?.title ?? 'Result'
      return runs.map((run, n) => ({ title: `${titled(title, n, runs.length)}, run ${number}`, run }))
    })
  )
}

/** { title, run } of all that is not among `shown`, newest first, each folder once. */
export async function chosenResults(shown) {
  const here = [...viewers].flatMap(({ node, runs }) => runs.map((run, n) => ({ title: titled(node.title, n, runs.length), run })))
  const seen = new Set(shown.map(({ run }) => folderOf(run)))
  const fresh = ({ run }) => run.stages?.length && !seen.has(folderOf(run)) && seen.add(folderOf(run))
  return [...here, ...(await remembered())].filter(fresh)
}
