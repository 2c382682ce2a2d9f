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

/** The function that begins at slot `entry`. */
export function flowAt(code: Code, entry: number): Flow {
  const graph = buildGraph(code, entry);
  simplify(graph, code);
  makeReducible(graph);
  const flow = describe(code, graph);
  return splitExits(flow) ? describe(code, graph) : flow;
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
