// Dynptrs: two stack slots that hold a bounded window of memory.

import { Errno } from '../../bpf/errno.js';
import type { CallFacts } from './arguments.js';
import { type Address, layout as L } from './domain.js';
import { markPointer } from './registers.js';
import type { HelperArg } from './tables/types.js';
import type { Verifier } from './verifier.js';

/** A write into a slot of a dynptr destroys it. */
export function destroyDynptrAt(v: Verifier, frameno: number, slot: number): void {
  const frame = v.frameAt(frameno);
  if (slot >= v.d.slots(frame) || v.d.slotByte(frame, slot, 7) !== L.SLOT_DYNPTR) return;
}

export function checkDynptrArgument(v: Verifier, _facts: CallFacts, number: number, _arg: HelperArg): void {
  v.reject(Errno.EINVAL, `R${number} is no dynptr`);
}

export function checkDynptrRelease(v: Verifier, number: number): void {
  v.reject(Errno.EINVAL, `arg ${number} is an unacquired reference`);
}

export function releaseDynptr(_v: Verifier, _number: number): boolean {
  return false;
}

export function dynptrDataFacts(_v: Verifier, _facts: CallFacts): void {}

export function dynptrWriteMovesPacket(_v: Verifier): boolean {
  return false;
}

/** The dynptr that a callback of bpf_user_ringbuf_drain is given. */
export function setDynptrArgument(v: Verifier, r: Address): void {
  markPointer(v, r, L.DYNPTR);
}

/** A dynptr that a global function takes. */
export function checkDynptrParameter(v: Verifier, number: number): void {
  v.reject(Errno.EINVAL, `R${number} is no dynptr`);
}
