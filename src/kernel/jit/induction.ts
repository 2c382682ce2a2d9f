// Loop counters: a register that a loop changes in one place, by adding a constant in every round, and that a test
// against a constant ends. From its first value follows the largest one that it has when a round begins, and from that
// which accesses `base + counter` stay inside: without it every one of them would need a check at run time.
//
//        r2 = 0                        <- first value
//     loop:                            <- here r2 is at most 96
//        ...  *(u64 *)(r1 + r2) ...
//        r2 += 8                       <- the one change, on every way through the loop
//        if r2 != 104 goto loop        <- the test, on every way through the loop

import type { ConditionName } from '../../isa/table.js';
import { type Block, blockOf, type Graph, successors } from './cfg.js';
import type { Code, Step } from './code.js';
import type { Order } from './structure.js';

export interface Induction {
  readonly register: number;
  /** What is added in every round. */
  readonly step: number;
  /** The largest value at the loop's header when the first is `first`; undefined when that does not follow. */
  maximum(first: number): number | undefined;
  /** The loop ends by this test and by nothing else, so that its rounds can be counted before it begins. */
  readonly decides: boolean;
}

/** A register that a loop moves by the same positive constant in every round, and in no other way. */
export interface Stride {
  readonly register: number;
  readonly step: number;
}

export interface Loop {
  readonly header: number;
  readonly members: ReadonlySet<number>;
  readonly inductions: readonly Induction[];
  readonly strides: readonly Stride[];
}

/** Loop headers with the blocks of their natural loops. The graph must be reducible. */
function naturalLoops(graph: Graph, order: Order): Map<number, Set<number>> {
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

/** The loops of a function by header, with their counters. */
export function findLoops(
  code: Code,
  graph: Graph,
  order: Order,
  idom: ReadonlyMap<number, number>,
): Map<number, Loop> {
  const dominates = (a: number, b: number): boolean => {
    for (let id: number | undefined = b; id !== undefined; id = idom.get(id)) if (id === a) return true;
    return false;
  };
  const natural = naturalLoops(graph, order);
  const found = new Map<number, Loop>();
  for (const [header, members] of natural) {
    const latches = [...members].filter((id) => successors(blockOf(graph, id).exit).includes(header));
    const isInner = (id: number) =>
      [...natural].some(([other, inner]) => other !== header && members.has(other) && inner.has(id));
    const everyRound = (id: number) => !isInner(id) && latches.every((latch) => dominates(id, latch));
    const tests = [...members].filter((id) => everyRound(id) && leaves(blockOf(graph, id), members));
    const exits = [...members].filter((id) => leaves(blockOf(graph, id), members)).length;
    const inductions: Induction[] = [];
    const strides: Stride[] = [];
    for (const [register, changes] of changesIn(code, graph, members)) {
      const [change] = changes;
      if (!change || changes.length > 1 || change.step === undefined || !everyRound(change.block)) continue;
      const { block, step } = change;
      strides.push({ register, step });
      for (const test of tests) {
        const maximum = bound(code, blockOf(graph, test), members, register, step, dominates(block, test));
        if (maximum) inductions.push({ register, step, maximum, decides: exits === 1 });
      }
    }
    found.set(header, { header, members, inductions, strides });
  }
  return found;
}

const leaves = ({ exit }: Block, members: ReadonlySet<number>): boolean =>
  successors(exit).some((to) => !members.has(to));

interface Change {
  readonly block: number;
  /** What is added; undefined for any other change. */
  readonly step: number | undefined;
}

/** Which registers the blocks change, and how. */
function changesIn(code: Code, graph: Graph, members: ReadonlySet<number>): Map<number, Change[]> {
  const changes = new Map<number, Change[]>();
  const note = (register: number, change: Change) => {
    const list = changes.get(register);
    if (list) list.push(change);
    else changes.set(register, [change]);
  };
  for (const block of members) {
    for (const item of blockOf(graph, block).items) {
      const slots = item.kind === 'insn' ? [item.slot] : item.kind === 'select' ? item.slots : [];
      for (const slot of slots) {
        const step = code.steps[slot];
        if (!step) continue;
        const added = item.kind === 'insn' ? addedBy(step) : undefined;
        for (const register of writtenBy(step)) note(register, { block, step: added });
      }
    }
  }
  return changes;
}

/** The positive constant that an instruction adds to its destination. */
function addedBy({ insn, does }: Step): number | undefined {
  if (does.kind !== 'alu' || does.op !== 'add' || does.operand !== 'imm' || insn.imm <= 0) return undefined;
  return insn.imm;
}

/** Registers that an instruction may change. */
function writtenBy({ insn, does }: Step): number[] {
  switch (does.kind) {
    case 'call':
      return [0, 1, 2, 3, 4, 5];
    case 'packetLoad':
      return [0];
    case 'atomic':
      return does.fetch ? [does.op === 'cmpxchg' ? 0 : insn.src] : [];
    case 'store':
    case 'storeRelease':
    case 'branch':
    case 'jump':
    case 'jumpIndirect':
    case 'mayGoto':
    case 'exit':
      return [];
    default:
      return [insn.dst];
  }
}

const NEGATED: Record<ConditionName, ConditionName | undefined> = {
  eq: 'ne',
  ne: 'eq',
  gt: 'le',
  ge: 'lt',
  lt: 'ge',
  le: 'gt',
  sgt: 'sle',
  sge: 'slt',
  slt: 'sge',
  sle: 'sgt',
  set: undefined,
};

/** Numbers above this could wrap around in 32 bits; no loop over memory counts so far. */
const LARGEST = 2 ** 30;

/** What the test in `block` says about a counter: its largest value at the header, from its first. */
function bound(
  code: Code,
  block: Block,
  members: ReadonlySet<number>,
  register: number,
  step: number,
  afterChange: boolean,
): Induction['maximum'] | undefined {
  const { exit } = block;
  if (exit.kind !== 'branch') return undefined;
  const test = code.steps[exit.slot];
  if (test?.does.kind !== 'branch' || test.does.operand !== 'imm' || test.insn.dst !== register)
    return undefined;
  const limit = test.insn.imm;
  const { condition } = test.does;
  const stays = members.has(exit.taken) ? condition : NEGATED[condition];
  if (limit <= 0 || limit > LARGEST || step > LARGEST) return undefined;
  /** From the largest value that passes the test to the largest at the header. */
  const atHeader = (first: number, passing: number) =>
    Math.max(first, afterChange ? passing : passing + step);
  switch (stays) {
    case 'ne':
      return (first) => {
        const firstTested = afterChange ? first + step : first;
        if (firstTested > limit || (limit - first) % step !== 0) return undefined;
        return atHeader(first, limit - step);
      };
    case 'lt':
    case 'slt':
      return (first) => (first > LARGEST ? undefined : atHeader(first, limit - 1));
    case 'le':
    case 'sle':
      return (first) => (first > LARGEST ? undefined : atHeader(first, limit));
    default:
      return undefined;
  }
}
