// The natural loops of a reducible graph, and how they lie in one another.

import { blockOf, type Graph, successors } from './cfg.js';
import type { Order } from './structure.js';

/** Loop headers with the blocks of their loops. */
export type Loops = ReadonlyMap<number, ReadonlySet<number>>;

export function naturalLoops(graph: Graph, order: Order): Map<number, Set<number>> {
  const at = (id: number): number => order.index.get(id) ?? -1;
  const predecessors = new Map<number, number[]>(order.sequence.map((id) => [id, []]));
  for (const id of order.sequence) {
    for (const to of successors(blockOf(graph, id).exit)) predecessors.get(to)?.push(id);
  }
  const loops = new Map<number, Set<number>>();
  for (const header of order.sequence) {
    const work = (predecessors.get(header) ?? []).filter((p) => at(p) >= at(header));
    if (work.length === 0) continue;
    const members = new Set<number>([header]);
    for (let id = work.pop(); id !== undefined; id = work.pop()) {
      if (members.has(id)) continue;
      members.add(id);
      work.push(...(predecessors.get(id) ?? []));
    }
    loops.set(header, members);
  }
  return loops;
}

export interface Nesting {
  /** By block: the header of the smallest loop that it is in. */
  readonly innermost: ReadonlyMap<number, number>;
  /** By header: that of the loop around. */
  readonly around: ReadonlyMap<number, number>;
}

export function nestingOf(loops: Loops): Nesting {
  const innermost = new Map<number, number>();
  const around = new Map<number, number>();
  for (const [header, members] of [...loops].sort(([, a], [, b]) => b.size - a.size)) {
    const outer = innermost.get(header);
    if (outer !== undefined) around.set(header, outer);
    for (const id of members) innermost.set(id, header);
  }
  return { innermost, around };
}
