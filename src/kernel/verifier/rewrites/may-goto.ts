// may_goto: a loop that ends after so many rounds or a quarter of a second. A function that has any keeps two numbers at the
// bottom of its stack: rounds that are left, and when it began. Every 64k rounds the clock is asked.
//
//     start:  [fp - depth] = 65535, [fp - depth + 8] = 0
//     here:   ax = [fp - depth]
//             if ax == 0 goto target
//             ax -= 1
//             if ax == 0: ax = arch_bpf_timed_may_goto(-depth)
//             [fp - depth] = ax

import { InsnClass, JumpOp } from '../../../isa/opcodes.js';
import type { Code, Insn, InsnFields } from './code.js';
import { AX, aluImm, call, FP, jumpImm, load, movImm, store, storeImm } from './emit.js';

const ROUNDS = 0xffff;
/** Bytes of stack that the two numbers take. */
export const MAY_GOTO_BYTES = 16;

export const isMayGoto = ({ code }: Insn): boolean => code === (InsnClass.JMP | JumpOp.JCOND);

/** `depth` is the stack of the function without these numbers. */
export function mayGoto(insn: Insn, depth: number): InsnFields[] {
  const at = -depth - MAY_GOTO_BYTES;
  const leave = jumpImm('JEQ', AX, 0, 0);
  delete leave.skip;
  return [
    load(8, AX, FP, at),
    { ...leave, ...(insn.target ? { target: insn.target } : {}) },
    aluImm('SUB', AX, 1),
    jumpImm('JNE', AX, 0, 2),
    movImm(AX, at),
    call('arch_bpf_timed_may_goto'),
    store(8, FP, AX, at),
  ];
}

/** Sets the numbers where the function begins. Jumps to its first instruction do not set them again. */
export function startCounting(code: Code, start: Insn, depth: number): void {
  const at = -depth - MAY_GOTO_BYTES;
  const first = start.copy();
  const { origin } = start;
  const [, , moved] = code.replace(start, [storeImm(8, FP, at, ROUNDS), storeImm(8, FP, at + 8, 0), first]);
  if (moved) {
    moved.origin = origin;
    code.redirect(start, moved);
  }
}
