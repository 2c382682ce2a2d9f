// Small loops written several times over: V8 checks in every round whether it is to stop, and in a loop of a few
// instructions that is a good part of the time. Where the number of rounds is known and the copies divide it, only the
// last of them needs the test that ends the loop.

import { type Block, blockOf, type Exit, type Graph, redirect, successors } from './cfg.js';
import type { Rounds } from './counters.js';
import type { Flow } from './flow.js';
import type { Loop } from './induction.js';
import { naturalLoops } from './loops.js';
import { dominators, reversePostorder } from './structure.js';

/** Instructions that a loop may grow to. */
const LIMIT = 128;
/** Copies of a loop that keep their tests. */
const COPIES = 8;

/** The same function with its small innermost loops unrolled. Copies have the slots of what they are copies of. */
export function unroll(flow: Flow, rounds: ReadonlyMap<number, Rounds>): Flow {
  const graph: Graph = {
    ...flow.graph,
    blocks: new Map([...flow.graph.blocks].map(([id, b]) => [id, { ...b }])),
  };
  let changed = false;
  for (const loop of flow.loops.values()) {
    const isInnermost = [...loop.members].every((id) => id === loop.header || !flow.loops.has(id));
    if (!isInnermost) continue;
    const plan = planFor(flow.graph, loop, rounds.get(loop.header));
    if (!plan) continue;
    copyLoop(graph, loop, plan);
    changed = true;
  }
  if (!changed) return flow;
  const order = reversePostorder(graph);
  const loops = new Map<number, Loop>();
  // Nobody asks for the counters of the copies.
  for (const [header, members] of naturalLoops(graph, order))
    loops.set(header, { header, members, inductions: [], strides: [] });
  return { graph, order, idom: dominators(graph, order), loops };
}

interface Plan {
  readonly copies: number;
  /** Only the last copy tests whether the loop ends. */
  readonly exact: boolean;
}

function planFor(graph: Graph, { members }: Loop, rounds: Rounds | undefined): Plan | undefined {
  let weight = 0;
  for (const id of members) {
    const block = blockOf(graph, id);
    if (block.exit.kind === 'dispatch') return undefined;
    weight += block.weight;
  }
  const most = Math.floor(LIMIT / weight);
  if (rounds?.exact) {
    for (let copies = Math.min(most, rounds.most); copies > 1; copies--)
      if (rounds.most % copies === 0) return { copies, exact: true };
  }
  const copies = Math.min(most, COPIES);
  return copies > 1 ? { copies, exact: false } : undefined;
}

/** Writes the copies behind the loop's blocks, each leading into the next and the last into the first. */
function copyLoop(graph: Graph, { header, members }: Loop, { copies, exact }: Plan): void {
  const ids = [...members];
  const originals = new Map(ids.map((id) => [id, { ...blockOf(graph, id) }]));
  /** By copy, the blocks' ids. */
  const names = Array.from(
    { length: copies },
    (_, copy) => new Map(ids.map((id) => [id, copy === 0 ? id : graph.nextId++])),
  );
  names.forEach((own, copy) => {
    const next = names[(copy + 1) % copies] ?? own;
    const testless = exact && copy < copies - 1;
    for (const [id, original] of originals) {
      const name = own.get(id) ?? id;
      const exit = testless ? staying(original.exit, members) : original.exit;
      const to = (target: number) => (target === header ? next : own).get(target) ?? target;
      const copied: Block = { ...original, id: name, copyOf: id, exit: redirect(exit, to) };
      graph.blocks.set(name, copied);
    }
  });
}

/** The exit without the way out of the loop. */
function staying(exit: Exit, members: ReadonlySet<number>): Exit {
  const inside = successors(exit).filter((to) => members.has(to));
  return exit.kind === 'branch' && inside.length === 1 ? { kind: 'goto', to: inside[0] ?? 0 } : exit;
}
