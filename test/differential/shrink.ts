// A smaller program with the same difference: instruction after instruction is left out, as long as the difference stays.

import { type Instruction, isJump, isLocalCall, jumpTarget, slotsOf } from '../../src/isa/index.js';

/** `insns` without instruction `index`, with all jumps and calls led to where they led before; undefined where that cannot be. */
export function without(insns: readonly Instruction[], index: number): Instruction[] | undefined {
  const starts: number[] = [];
  let slot = 0;
  for (const insn of insns) {
    starts.push(slot);
    slot += slotsOf(insn);
  }
  starts.push(slot);
  const indexOf = new Map(starts.map((at, i) => [at, i]));
  // Where each instruction is afterwards; what is behind the end stays there.
  const gone = slotsOf(insns[index] as Instruction);
  const moved = (at: number): number => (at > (starts[index] as number) ? at - gone : at);
  const kept: Instruction[] = [];
  for (const [i, insn] of insns.entries()) {
    if (i === index) continue;
    const from = starts[i] as number;
    const next = moved(from) + slotsOf(insn);
    const target = isLocalCall(insn)
      ? from + 1 + insn.imm
      : isJump(insn)
        ? jumpTarget(insn, from)
        : undefined;
    if (target === undefined) {
      kept.push(insn);
      continue;
    }
    if (!indexOf.has(target)) return undefined;
    const distance = moved(target) - next;
    if (isLocalCall(insn) || (isJump(insn) && insn.opcode === 0x06)) kept.push({ ...insn, imm: distance });
    else kept.push({ ...insn, offset: distance });
  }
  return kept;
}

/** The smallest program that `fails` still holds for, within `limit` attempts. */
export async function shrink(
  insns: readonly Instruction[],
  fails: (insns: readonly Instruction[]) => Promise<boolean>,
  limit = 2000,
): Promise<readonly Instruction[]> {
  let smallest = insns;
  let left = limit;
  for (let changed = true; changed && left > 0; ) {
    changed = false;
    for (let i = smallest.length - 1; i >= 0 && left > 0; i--) {
      const smaller = without(smallest, i);
      if (smaller === undefined || smaller.length === 0) continue;
      left--;
      if (!(await fails(smaller))) continue;
      smallest = smaller;
      changed = true;
    }
  }
  return smallest;
}
