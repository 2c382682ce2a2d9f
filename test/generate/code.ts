// Pieces of programs and how they are put together.
//
// A piece falls through from its first instruction to behind its last. It may jump out of itself in two ways, which
// only get their distances later: to the end of the nearest `guarded` piece around it (SKIP), and to the epilogue of
// its function (OUT). A call names its function by number until `link` has laid all of them out.

import type fc from 'fast-check';
import { callLocal, type Instruction, isLocalCall, slotCount, slotsOf } from '../../src/isa/index.js';

export type Code = readonly Instruction[];

/** A piece that leaves everything as it has found it, in the sense of its generator: pieces can be lined up. */
export type Statement = fc.Arbitrary<Code>;

/** Distances that stand for a place. No program here is so long that a real one could be meant. */
export const SKIP = 0x7ffe;
export const OUT = 0x7fff;

const isJump = ({ opcode }: Instruction): boolean => (opcode & 7) === 5 || (opcode & 7) === 6;

/** `code` with its jumps to `place` led to the slot `target`, counted from its beginning. */
function resolve(code: Code, place: number, target: number): Instruction[] {
  let at = 0;
  return code.map((insn) => {
    at += slotsOf(insn);
    return isJump(insn) && insn.offset === place ? { ...insn, offset: target - at } : insn;
  });
}

/** `code`, behind which its jumps to SKIP lead. */
export const guarded = (code: Code): Code => resolve(code, SKIP, slotCount(code));

export interface FunctionCode {
  readonly body: Code;
  /** Where jumps to OUT lead; ends with the exit. */
  readonly epilogue: Code;
}

/** A program of those functions that are called, the main one first. Linux refuses the others as unreachable. */
export function link(functions: readonly FunctionCode[]): Instruction[] {
  const used = new Set([0]);
  for (const number of used) {
    for (const insn of functions[number]?.body ?? []) if (isLocalCall(insn)) used.add(insn.imm);
  }
  const starts = new Map<number, number>();
  const whole: Instruction[] = [];
  let slot = 0;
  for (const number of [...used].sort((a, b) => a - b)) {
    const { body, epilogue } = functions[number] ?? { body: [], epilogue: [] };
    starts.set(number, slot);
    const code = resolve([...body, ...epilogue], OUT, slotCount(body));
    slot += slotCount(code);
    whole.push(...code);
  }
  let at = 0;
  return whole.map((insn) => {
    at += slotsOf(insn);
    return isLocalCall(insn) ? callLocal((starts.get(insn.imm) ?? 0) - at) : insn;
  });
}
