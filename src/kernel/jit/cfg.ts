// Control flow of one function: basic blocks, with short branches over pure instructions turned into
// selections (V8 does not do that itself, and a mispredicted branch costs more than two moves).

import type { Semantics } from '../../isa/table.js';
import { type Code, type Step, target, width } from './code.js';

/** What a block does, in order. */
export type Item =
  | { readonly kind: 'insn'; readonly slot: number }
  /** Evaluates a branch's condition and keeps it. */
  | { readonly kind: 'condition'; readonly slot: number }
  /** Instructions that take effect only when the condition of `branch` is `when`. */
  | { readonly kind: 'select'; readonly branch: number; readonly when: boolean; readonly slots: number[] }
  /** Says to the dispatcher `node` which of its targets comes next. */
  | { readonly kind: 'label'; readonly node: number; readonly value: number }
  /** Here control leaves the loop at `header`, from block `from` of it. */
  | { readonly kind: 'leave'; readonly header: number; readonly from: number };

export type Exit =
  | { kind: 'return'; slot: number }
  | { kind: 'goto'; to: number }
  | { kind: 'branch'; slot: number; taken: number; fall: number }
  /** Control flow that is not structured: goes to `targets[label]`. */
  | { kind: 'dispatch'; targets: number[] };

export interface Block {
  readonly id: number;
  items: Item[];
  exit: Exit;
  /** Instructions in it, for the budget. */
  weight: number;
  /** First instruction, for fault reports; of a dispatcher, that of its first target. */
  readonly slot: number;
  /** The block of an unrolled loop that this is a copy of, or is itself. */
  readonly copyOf?: number;
}

/** A function's blocks by id; the entry is 0, and every block can be reached from it. */
export interface Graph {
  blocks: Map<number, Block>;
  entry: number;
  /** Next free block id. */
  nextId: number;
}

export function successors(exit: Exit): readonly number[] {
  switch (exit.kind) {
    case 'return':
      return [];
    case 'goto':
      return [exit.to];
    case 'branch':
      return [exit.taken, exit.fall];
    case 'dispatch':
      return exit.targets;
  }
}

/** The same exit with other targets. */
export function redirect(exit: Exit, via: (to: number) => number): Exit {
  switch (exit.kind) {
    case 'return':
      return exit;
    case 'goto':
      return { kind: 'goto', to: via(exit.to) };
    case 'branch':
      return { ...exit, taken: via(exit.taken), fall: via(exit.fall) };
    case 'dispatch':
      return { kind: 'dispatch', targets: exit.targets.map(via) };
  }
}

/** A new block that `block` goes through on its way to `to`. */
export function insertBlock(graph: Graph, block: Block, item: Item, to: number): number {
  const id = graph.nextId++;
  graph.blocks.set(id, { id, items: [item], exit: { kind: 'goto', to }, weight: 0, slot: block.slot });
  return id;
}

/** The blocks of the function that begins at `entry`. */
export function buildGraph(code: Code, entry: number): Graph {
  const leaders = new Set<number>([entry]);
  const seen = new Set<number>();
  const work = [entry];
  const lead = (slot: number) => {
    leaders.add(slot);
    work.push(slot);
  };
  for (let from = work.pop(); from !== undefined; from = work.pop()) {
    for (let slot = from; !seen.has(slot); ) {
      const step = stepAt(code, slot);
      seen.add(slot);
      const next = slot + width(step);
      if (step.does.kind === 'exit') break;
      if (step.does.kind === 'jump') {
        lead(target(slot, step));
        break;
      }
      if (step.does.kind === 'branch' || step.does.kind === 'mayGoto') {
        lead(target(slot, step));
        lead(next);
        break;
      }
      slot = next;
    }
  }
  const order = [...leaders].sort((a, b) => a - b);
  const idOf = new Map(order.map((slot, id) => [slot, id]));
  const id = (slot: number): number => idOf.get(slot) ?? -1;
  const blocks = new Map<number, Block>();
  for (const start of order) {
    const items: Item[] = [];
    let exit: Exit | undefined;
    let slot = start;
    while (!exit) {
      const step = stepAt(code, slot);
      const next = slot + width(step);
      const { kind } = step.does;
      if (kind === 'exit') exit = { kind: 'return', slot };
      else if (kind === 'jump') exit = { kind: 'goto', to: id(target(slot, step)) };
      else if (kind === 'branch' || kind === 'mayGoto') {
        const taken = id(target(slot, step));
        const fall = id(next);
        exit = taken === fall ? { kind: 'goto', to: taken } : { kind: 'branch', slot, taken, fall };
      } else {
        items.push({ kind: 'insn', slot });
        if (leaders.has(next)) exit = { kind: 'goto', to: id(next) };
      }
      slot = next;
    }
    blocks.set(id(start), { id: id(start), items, exit, weight: items.length + 1, slot: start });
  }
  return { blocks, entry: id(entry), nextId: order.length };
}

function stepAt(code: Code, slot: number): Step {
  const step = code.steps[slot];
  if (!step) throw new Error(`no instruction at ${slot}: the program was not checked`);
  return step;
}

export function blockOf(graph: Graph, id: number): Block {
  const block = graph.blocks.get(id);
  if (!block) throw new Error(`no block ${id}`);
  return block;
}

/** Number of edges into each block; the entry has one from outside. */
function predecessorCounts(graph: Graph): Map<number, number> {
  const counts = new Map<number, number>([[graph.entry, 1]]);
  for (const block of graph.blocks.values()) {
    for (const to of successors(block.exit)) counts.set(to, (counts.get(to) ?? 0) + 1);
  }
  return counts;
}

/** No side effect and no trap: may be computed whether or not it is wanted. */
function isPure(does: Semantics): boolean {
  if (does.kind === 'alu') return !['div', 'sdiv', 'mod', 'smod', 'mul'].includes(does.op);
  return ['neg', 'movsx', 'byteOrder', 'loadImm64'].includes(does.kind);
}

/** How many instructions may be computed in vain rather than jumped over. */
const SELECT_LIMIT = 2;

/** Merges blocks that always follow each other and turns short branches into selections. */
export function simplify(graph: Graph, code: Code): void {
  const { blocks } = graph;
  const counts = predecessorCounts(graph);

  /** Lets a block end in `goto`; a branch whose two ways have become one does too. */
  const goOn = (block: Block, to: number) => {
    block.exit = { kind: 'goto', to };
    counts.set(to, (counts.get(to) ?? 0) - 1);
  };

  /** The slots of a block that could be selected away, when all of it is pure and it goes on to `to`. */
  const selectable = (id: number, to: number | undefined): { slots: number[]; to: number } | undefined => {
    const { items, exit } = blockOf(graph, id);
    if (counts.get(id) !== 1 || exit.kind !== 'goto' || exit.to === id) return undefined;
    if (to !== undefined && exit.to !== to) return undefined;
    if (items.length > SELECT_LIMIT) return undefined;
    const slots: number[] = [];
    for (const item of items) {
      if (item.kind !== 'insn' || !isPure(stepAt(code, item.slot).does)) return undefined;
      slots.push(item.slot);
    }
    return { slots, to: exit.to };
  };

  const select = (block: Block): boolean => {
    const { exit } = block;
    if (exit.kind !== 'branch') return false;
    if (stepAt(code, exit.slot).does.kind !== 'branch') return false;
    const { slot, taken, fall } = exit;
    const over = selectable(fall, taken);
    const onto = over ? undefined : selectable(taken, fall);
    const side = over ?? onto;
    if (side) {
      block.items.push({ kind: 'condition', slot });
      block.items.push({ kind: 'select', branch: slot, when: !over, slots: side.slots });
      block.weight += side.slots.length;
      goOn(block, side.to);
      blocks.delete(over ? fall : taken);
      return true;
    }
    const left = selectable(fall, undefined);
    const right = left && selectable(taken, left.to);
    if (!left || !right) return false;
    block.items.push({ kind: 'condition', slot });
    block.items.push({ kind: 'select', branch: slot, when: false, slots: left.slots });
    block.items.push({ kind: 'select', branch: slot, when: true, slots: right.slots });
    block.weight += left.slots.length + right.slots.length;
    goOn(block, left.to);
    blocks.delete(fall);
    blocks.delete(taken);
    return true;
  };

  const merge = (block: Block): boolean => {
    const { exit } = block;
    if (
      exit.kind !== 'goto' ||
      exit.to === block.id ||
      counts.get(exit.to) !== 1 ||
      exit.to === graph.entry
    ) {
      return false;
    }
    const next = blockOf(graph, exit.to);
    block.items.push(...next.items);
    block.weight += next.weight;
    block.exit = next.exit;
    blocks.delete(next.id);
    return true;
  };

  // Later blocks first, so that an inner branch is gone when the one around it is looked at.
  for (let changed = true; changed; ) {
    changed = false;
    for (const id of [...blocks.keys()].sort((a, b) => b - a)) {
      for (let block = blocks.get(id); block && (select(block) || merge(block)); block = blocks.get(id)) {
        changed = true;
      }
    }
  }
}
