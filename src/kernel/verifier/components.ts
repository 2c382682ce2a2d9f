// Loops whose states refer to each other: while paths inside a strongly connected component are open, what a
// checkpoint there needs to be exact is not complete. Edges back to such checkpoints are kept, and when the last path
// has left the component, precision is sent along them until nothing changes (Linux: bpf_scc_visit).

import { type Address, layout as L } from './domain.js';
import { forceAll } from './precision.js';
import { frameInsn, propagatePrecision } from './prune.js';
import type { Verifier } from './verifier.js';

/** One stay in a component, told apart by the call sites that lead there. */
interface Visit {
  /** The checkpoint through which the path came in; 0 when no path is inside. */
  entry: Address;
  readonly backedges: Backedge[];
}

interface Backedge {
  /** A copy of the state that was covered. */
  readonly state: Address;
  readonly covers: Address;
}

export type Visits = Map<string, Visit>;

/** After so many rounds everything counts as precise. */
const MAX_ROUNDS = 64;

/** Call sites and component of the topmost frame of a state that is in one; undefined when none is. */
function keyOf(v: Verifier, state: Address): string | undefined {
  const { d } = v;
  let key = '';
  for (let i = 0; i <= d.current(state); i++) {
    const insn = frameInsn(v, state, i);
    const component = v.component[insn];
    if (component) return `${key}${component}`;
    if (i === d.current(state)) break;
    key += `${insn},`;
  }
  return undefined;
}

/** The key as the log shows it: a call at instruction 0 ends the list of call sites. */
const shown = (key: string): string => {
  const parts = key.split(',');
  const component = parts.pop();
  const zero = parts.indexOf('0');
  return `(${[...(zero < 0 ? parts : parts.slice(0, zero)), component].join(',')})`;
};

/** The new checkpoint may be the one through which a component is entered. */
export function enterComponent(v: Verifier, state: Address): void {
  const key = keyOf(v, state);
  if (key === undefined) return;
  let visit = v.visits.get(key);
  if (!visit) {
    visit = { entry: 0, backedges: [] };
    v.visits.set(key, visit);
  }
  if (visit.entry) return;
  visit.entry = state;
  if (v.log.verbose) v.log.write(`SCC enter ${shown(key)}\n`);
}

/** All paths from a checkpoint are done: if it was an entry, the component has been left. */
export function finishComponents(v: Verifier, state: Address): void {
  const key = keyOf(v, state);
  const visit = key === undefined ? undefined : v.visits.get(key);
  if (!visit || visit.entry !== state) return;
  visit.entry = 0;
  if (v.log.verbose) v.log.write(`SCC exit ${shown(key as string)}\n`);
  let changed = visit.backedges.length > 0;
  for (let round = 0; changed; round++) {
    changed = false;
    // The last one found comes first.
    for (const { state: covered, covers } of visit.backedges.toReversed()) {
      if (propagatePrecision(v, covers, covered)) changed = true;
    }
    if (round < MAX_ROUNDS) continue;
    for (const { state: covered } of visit.backedges.toReversed()) forceAll(v, covered);
    break;
  }
  for (const { state: covered } of visit.backedges) v.d.wasm.stateFree(covered);
  v.backedgeCount -= visit.backedges.length;
  visit.backedges.length = 0;
}

/** The marks of a checkpoint are not complete: there are edges back from states inside its component. */
export function incomplete(v: Verifier, state: Address): boolean {
  if (v.visits.size === 0) return false;
  const key = keyOf(v, state);
  const visit = key === undefined ? undefined : v.visits.get(key);
  return visit !== undefined && visit.backedges.length > 0;
}

/** The current path was covered by a checkpoint of its own loop. */
export function addBackedge(v: Verifier, covers: Address): void {
  const { d } = v;
  const key = keyOf(v, covers);
  const visit = key === undefined ? undefined : v.visits.get(key);
  if (!visit?.entry) return;
  const state = d.stateNew();
  d.stateCopy(state, v.state, true);
  d.set(state, L.State_insn, v.insn);
  d.set(state, L.State_equal, covers);
  visit.backedges.push({ state, covers });
  v.backedgeCount++;
  v.notePeak();
  if (v.log.verbose) v.log.write(`SCC backedge ${shown(key as string)}\n`);
}
