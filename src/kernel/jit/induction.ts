// Loop counters: a register that a loop changes in one place, by adding a constant in every round, and that a test
// against a constant ends. From its first value follow the bounds that it has when a round begins, and from these
// which accesses `base + counter` stay inside: without them every one would need a check at run time.
//
//        r2 = 0                        <- first value
//     loop:                            <- here r2 is 0 to 96
//        ...  *(u64 *)(r1 + r2) ...
//        r2 += 8                       <- the one change, on every way through the loop
//        if r2 != 104 goto loop        <- the test, on every way through the loop

import type { ConditionName } from '../../isa/table.js';
import { type Block, blockOf, type Graph, successors } from './cfg.js';
import type { Code, Step } from './code.js';
import type { Interval } from './interval.js';
import { naturalLoops, nestingOf } from './loops.js';
import { dominates, type Order } from './structure.js';

/** What a counter is at the loop's header, and how many rounds are begun at most. */
export interface Course extends Interval {
  readonly rounds: number;
}

export interface Induction {
  readonly register: number;
  /** What is added in every round; negative where it counts down. */
  readonly step: number;
  /** The block that adds it. */
  readonly changedIn: number;
  /** Its course from a first value within these bounds; undefined when none follows. */
  course(first: Interval): Course | undefined;
  /** The loop ends by this test and by nothing else, so that its rounds can be counted before it begins. */
  readonly decides: boolean;
}

/** A register that a loop moves by the same constant in every round, and in no other way. */
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

/** The loops of a function by header, with their counters. */
export function findLoops(
  code: Code,
  graph: Graph,
  order: Order,
  idom: ReadonlyMap<number, number>,
): Map<number, Loop> {
  const natural = naturalLoops(graph, order);
  const { innermost } = nestingOf(natural);
  const found = new Map<number, Loop>();
  for (const [header, members] of natural) {
    const latches = [...members].filter((id) => successors(blockOf(graph, id).exit).includes(header));
    const everyRound = (id: number) =>
      innermost.get(id) === header && latches.every((latch) => dominates(idom, order, id, latch));
    const tests = [...members].filter((id) => everyRound(id) && leaves(blockOf(graph, id), members));
    const exits = [...members].filter((id) => leaves(blockOf(graph, id), members)).length;
    const inductions: Induction[] = [];
    const strides: Stride[] = [];
    for (const [register, changes] of changesIn(code, graph, members)) {
      const [change] = changes;
      if (!change?.step || changes.length > 1 || !everyRound(change.block)) continue;
      const { block: changedIn, step } = change;
      strides.push({ register, step });
      for (const test of tests) {
        const ends = testOf(code, blockOf(graph, test), members, change);
        if (!ends) continue;
        const after = dominates(idom, order, changedIn, test);
        const course = (first: Interval) => courseOf(ends, step, after, first);
        inductions.push({ register, step, changedIn, course, decides: exits === 1 });
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
  readonly register: number;
  /** What is added; undefined for any other change. */
  readonly step: number | undefined;
  readonly bits: 32 | 64;
}

/** Which registers the blocks change, and how. */
function changesIn(code: Code, graph: Graph, members: ReadonlySet<number>): Map<number, Change[]> {
  const changes = new Map<number, Change[]>();
  const note = (change: Change) => {
    const list = changes.get(change.register);
    if (list) list.push(change);
    else changes.set(change.register, [change]);
  };
  for (const block of members) {
    for (const item of blockOf(graph, block).items) {
      const slots = item.kind === 'insn' ? [item.slot] : item.kind === 'select' ? item.slots : [];
      for (const slot of slots) {
        const step = code.steps[slot];
        if (!step) continue;
        const added = item.kind === 'insn' ? addedBy(step) : undefined;
        const bits = step.does.kind === 'alu' ? step.does.bits : 64;
        for (const register of writtenBy(step)) note({ block, register, step: added, bits });
      }
    }
  }
  return changes;
}

/** The constant that an instruction adds to its destination. */
function addedBy({ insn, does }: Step): number | undefined {
  if (does.kind !== 'alu' || does.operand !== 'imm' || insn.imm === 0) return undefined;
  return does.op === 'add' ? insn.imm : does.op === 'sub' ? -insn.imm : undefined;
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

/** The condition that holds when the other does not. */
export const OPPOSITE: Record<ConditionName, ConditionName | undefined> = {
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

/** What must hold of a counter for the next round to begin. */
interface Test {
  readonly stays: ConditionName;
  readonly limit: number;
}

/** The test at the end of `block`, if it compares the counter that `change` moves with a constant. */
function testOf(
  code: Code,
  { exit }: Block,
  members: ReadonlySet<number>,
  { register, step = 0, bits }: Change,
): Test | undefined {
  const test = exit.kind === 'branch' ? code.steps[exit.slot] : undefined;
  if (exit.kind !== 'branch' || test?.does.kind !== 'branch') return undefined;
  const { does, insn } = test;
  if (does.operand !== 'imm' || insn.dst !== register || Math.abs(insn.imm) > LARGEST) return undefined;
  const stays = members.has(exit.taken) ? does.condition : OPPOSITE[does.condition];
  // What falls below 0 in 32 bits has no sign in 64.
  if (step < 0 && stays?.startsWith('s') && bits < does.bits) return undefined;
  return stays && { stays, limit: insn.imm };
}

/**
 * The course of a counter. `after`: the test comes after the change, so that what passes it is what the next round
 * begins with; otherwise the change comes in between.
 */
function courseOf(test: Test, step: number, after: boolean, first: Interval): Course | undefined {
  if (first.max > LARGEST || Math.abs(step) > LARGEST) return undefined;
  return step > 0 ? countUp(test, step, after, first) : countDown(test, -step, after, first);
}

function countUp({ stays, limit }: Test, step: number, after: boolean, first: Interval): Course | undefined {
  if (limit <= 0) return undefined;
  const { min } = first;
  /** From the largest value that passes the test. */
  const from = (passing: number): Course => {
    const max = Math.max(first.max, after ? passing : passing + step);
    return { min, max, rounds: Math.floor((max - min) / step) + 1 };
  };
  switch (stays) {
    case 'ne':
      if (first.max > limit - (after ? step : 0) || !meets(first, step, limit)) return undefined;
      return from(limit - step);
    case 'lt':
    case 'slt':
      return from(limit - 1);
    case 'le':
    case 'sle':
      return from(limit);
    default:
      return undefined;
  }
}

function countDown(
  { stays, limit }: Test,
  step: number,
  after: boolean,
  first: Interval,
): Course | undefined {
  const { max } = first;
  /** From the smallest value that passes the test. What it becomes must not fall below 0 unseen. */
  const from = (passing: number, lowest: number): Course | undefined => {
    const min = Math.min(first.min, after ? passing : passing - step);
    return min >= lowest ? { min, max, rounds: Math.floor((max - min) / step) + 1 } : undefined;
  };
  switch (stays) {
    case 'ne':
      if (limit < 0 || first.min < limit + (after ? step : 0) || !meets(first, step, limit)) return undefined;
      return from(limit + step, 0);
    case 'gt':
      return limit < 0 ? undefined : from(limit + 1, after ? step : 0);
    case 'ge':
      return limit < 0 ? undefined : from(limit, after ? step : 0);
    case 'sgt':
      return from(limit + 1, 0);
    case 'sge':
      return from(limit, 0);
    default:
      return undefined;
  }
}

/** Whether steps from the first value towards `limit` hit it exactly. */
function meets(first: Interval, step: number, limit: number): boolean {
  return step === 1 || (first.min === first.max && (limit - first.min) % step === 0);
}
