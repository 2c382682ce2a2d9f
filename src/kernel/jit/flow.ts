// The control flow of one function with what the passes need to know of it, worked out once.

import { buildGraph, type Graph, insertBlock, redirect, simplify } from './cfg.js';
import type { Code } from './code.js';
import { findLoops, type Loop } from './induction.js';
import { nestingOf } from './loops.js';
import { dominators, makeReducible, type Order, reversePostorder } from './structure.js';

export interface Flow {
  /** Simplified and reducible. */
  readonly graph: Graph;
  readonly order: Order;
  readonly idom: ReadonlyMap<number, number>;
  /** By header. */
  readonly loops: ReadonlyMap<number, Loop>;
}

/**
 * The function that begins at slot `entry`. Branches in `decided` always go the same way: whether they are taken, by
 * slot.
 */
export function flowAt(code: Code, entry: number, decided: ReadonlyMap<number, boolean> = new Map()): Flow {
  const graph = buildGraph(code, entry);
  if (decided.size > 0) decide(graph, decided);
  simplify(graph, code);
  makeReducible(graph);
  const flow = describe(code, graph);
  return splitExits(flow) ? describe(code, graph) : flow;
}

/** Leaves out the ways that are never taken. */
function decide(graph: Graph, decided: ReadonlyMap<number, boolean>): void {
  for (const block of graph.blocks.values()) {
    if (block.exit.kind !== 'branch') continue;
    const taken = decided.get(block.exit.slot);
    if (taken !== undefined) block.exit = { kind: 'goto', to: taken ? block.exit.taken : block.exit.fall };
  }
  const reached = new Set(reversePostorder(graph).sequence);
  for (const id of graph.blocks.keys()) if (!reached.has(id)) graph.blocks.delete(id);
}

function describe(code: Code, graph: Graph): Flow {
  const order = reversePostorder(graph);
  const idom = dominators(graph, order);
  return { graph, order, idom, loops: findLoops(code, graph, order, idom) };
}

/** Gives every way out of a counted loop a block of its own, where its rounds can be paid for. Whether there was any. */
function splitExits({ graph, loops }: Flow): boolean {
  const members = new Map([...loops].map(([header, loop]) => [header, new Set(loop.members)]));
  const { innermost, around } = nestingOf(members);
  let found = false;
  for (const [header, inside] of members) {
    if (loops.get(header)?.inductions.length === 0) continue;
    for (const from of inside) {
      const block = graph.blocks.get(from);
      if (!block) continue;
      block.exit = redirect(block.exit, (to) => {
        if (inside.has(to)) return to;
        const id = insertBlock(graph, block, { kind: 'leave', header, from }, to);
        // Loops that go on are not left.
        for (let loop = innermost.get(to); loop !== undefined; loop = around.get(loop)) {
          const goingOn = members.get(loop);
          if (goingOn?.has(from)) goingOn.add(id);
        }
        found = true;
        return id;
      });
    }
  }
  return found;
}
