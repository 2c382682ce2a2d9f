// Finds the two shifts by which clang extends the lower half of a register where it has no instruction for it.
//
//    r3 <<= 32          r3 >>= 32          ->   r3 = the lower half of r3

import type { Item } from './cfg.js';
import type { Code } from './code.js';

export interface Extensions {
  /** Slots of first shifts, of which nothing is left. */
  readonly first: ReadonlySet<number>;
  /** By slot of the second shift: the slot of the first, and whether it keeps the sign. */
  readonly second: ReadonlyMap<number, { readonly first: number; readonly signed: boolean }>;
}

/** Looks through the straight-line code of one block. `keep` are slots before which the register is read once more. */
export function findExtensions(code: Code, items: readonly Item[], keep: ReadonlySet<number>): Extensions {
  const first = new Set<number>();
  const second = new Map<number, { first: number; signed: boolean }>();
  let previous: number | undefined;
  for (const item of items) {
    const slot = item.kind === 'insn' ? item.slot : undefined;
    const step = slot === undefined ? undefined : code.steps[slot];
    const shifted = previous;
    previous = undefined;
    if (slot === undefined || step?.does.kind !== 'alu') continue;
    const { op, bits, operand } = step.does;
    if (bits !== 64 || operand !== 'imm' || step.insn.imm !== 32) continue;
    if (op === 'lsh') previous = slot;
    if ((op !== 'rsh' && op !== 'arsh') || shifted === undefined) continue;
    if (code.steps[shifted]?.insn.dst !== step.insn.dst || keep.has(slot)) continue;
    second.set(slot, { first: shifted, signed: op === 'arsh' });
    first.add(shifted);
  }
  return { first, second };
}
