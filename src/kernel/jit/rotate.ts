// Finds rotates. C has none, so clang writes two shifts and an OR; V8 does not fuse the 64-bit form.
//
//    r4 = r3            r3 <<= 13          r4 >>= 51          r3 |= r4      ->   r3 = rotl(value of r3, 13)

import type { Item } from './cfg.js';
import type { Code } from './code.js';

export interface Rotations {
  /** By slot of the OR (XOR, addition): the left rotation that it completes. */
  readonly at: ReadonlyMap<
    number,
    { readonly shift: number; readonly distance: number; readonly bits: 32 | 64 }
  >;
  /** By slot of a shift: keep the register's value from before it, the rotation needs it. */
  readonly keep: ReadonlySet<number>;
}

interface Shift {
  readonly slot: number;
  readonly left: boolean;
  readonly distance: number;
  readonly bits: 32 | 64;
  /** Number of the value that is shifted. */
  readonly of: number;
}

/** Looks through the straight-line code of one block. */
export function findRotations(code: Code, items: readonly Item[]): Rotations {
  const at = new Map<number, { shift: number; distance: number; bits: 32 | 64 }>();
  const keep = new Set<number>();
  let nextValue = 11;
  const values = Array.from({ length: 11 }, (_, r) => r);
  const shifts = new Map<number, Shift>();
  const forget = (r: number) => {
    values[r] = nextValue++;
  };
  for (const item of items) {
    if (item.kind === 'select') {
      for (const slot of item.slots) forget(code.steps[slot]?.insn.dst ?? 0);
      continue;
    }
    if (item.kind !== 'insn') continue;
    const step = code.steps[item.slot];
    if (!step) continue;
    const { insn, does } = step;
    if (does.kind === 'call' || does.kind === 'atomic' || does.kind === 'packetLoad') {
      for (let r = 0; r <= 9; r++) forget(r);
      continue;
    }
    if (does.kind === 'store' || does.kind === 'storeRelease') continue;
    if (does.kind !== 'alu') {
      forget(insn.dst);
      continue;
    }
    const { op, bits, operand } = does;
    if (op === 'mov' && operand === 'reg' && bits === 64) {
      values[insn.dst] = values[insn.src] ?? 0;
    } else if ((op === 'lsh' || op === 'rsh') && operand === 'imm') {
      const of = values[insn.dst] ?? 0;
      forget(insn.dst);
      shifts.set(values[insn.dst] ?? 0, {
        slot: item.slot,
        left: op === 'lsh',
        distance: insn.imm & (bits - 1),
        bits,
        of,
      });
    } else {
      const a = shifts.get(values[insn.dst] ?? 0);
      const b = operand === 'reg' ? shifts.get(values[insn.src] ?? 0) : undefined;
      if ((op === 'or' || op === 'xor' || op === 'add') && a && b && a.bits === b.bits && a.of === b.of) {
        const [left, right] = a.left ? [a, b] : [b, a];
        const fits = left.left && !right.left && left.distance + right.distance === left.bits;
        if (fits && bits >= left.bits) {
          const first = left.slot < right.slot ? left : right;
          keep.add(first.slot);
          at.set(item.slot, { shift: first.slot, distance: left.distance, bits: left.bits });
        }
      }
      forget(insn.dst);
    }
  }
  return { at, keep };
}
