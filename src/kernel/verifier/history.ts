// Steps of the path since the last checkpoint: jumps, and what touched the stack. Precision walks back along them.
//
// Flags of a step: the slot (6 bits) and frame (3 bits) of a stack access, that there was one, and which operands
// were pointers to the stack.

import { type Address, layout as L } from './domain.js';
import { type LinkedReg, packLinked } from './linked.js';
import type { Verifier } from './verifier.js';

export const StepFlag = { STACK_ACCESS: 512, DST_STACK: 1024, SRC_STACK: 2048 } as const;

export const stackAccess = (frame: number, slot: number): number =>
  StepFlag.STACK_ACCESS | (frame << 6) | slot;
export const accessSlot = (flags: number): number => flags & 63;
export const accessFrame = (flags: number): number => (flags >> 6) & 7;

/** Notes a step of the current instruction; one instruction has one. */
export function pushStep(v: Verifier, flags: number, linked?: readonly LinkedReg[]): void {
  const { d } = v;
  if (v.step) {
    const step = stepAt(v, v.state, v.step - 1);
    d.set(step, L.Step_flags, d.get(step, L.Step_flags) | flags);
    if (linked?.length) packLinked(v, step, linked);
    return;
  }
  const step = d.historyPush(v.state);
  d.set(step, L.Step_insn, v.insn);
  d.set(step, L.Step_previous, v.previousInsn);
  d.set(step, L.Step_flags, flags);
  if (linked?.length) packLinked(v, step, linked);
  v.step = d.get(v.state, L.State_historyCount);
}

export function stepAt(v: Verifier, state: Address, index: number): Address {
  return v.d.get(state, L.State_history) + index * L.Step_size;
}
