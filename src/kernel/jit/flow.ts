// The control flow of one function with what the passes need to know of it, worked out once.

import { buildGraph, type Graph, simplify } from './cfg.js';
import type { Code } from './code.js';
import { findLoops, type Loop } from './induction.js';
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
  const order = reversePostorder(graph);
  const idom = dominators(graph, order);
  return { graph, order, idom, loops: findLoops(code, graph, order, idom) };
}
