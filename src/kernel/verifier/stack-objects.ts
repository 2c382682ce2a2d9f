// Objects of the kernel on the stack (dynptrs, iterators, interrupt flags): where one begins, and that it is read.

import { Errno } from '../../bpf/errno.js';
import { type Address, layout as L } from './domain.js';
import type { Verifier } from './verifier.js';

/** The pointer leads to no place that can hold the object; the log says why. */
export const WRONG_PLACE = -Errno.EINVAL;
/** It leads below what has been used of the stack so far. */
export const NOT_THERE = -Errno.ERANGE;

/** The slot of the object's first byte (its last slot, counted down the stack), or one of the two above. */
export function objectSlot(v: Verifier, r: Address, what: string, slots: number): number {
  const { d } = v;
  if (!d.isConst(r)) {
    v.log.write(`${what} has to be at a constant offset\n`);
    return WRONG_PLACE;
  }
  const off = d.off(r) + d.value(r);
  const slot = Math.trunc((-off - 1) / 8);
  if (off % 8 !== 0 || slot + 1 < slots) {
    v.log.write(`cannot pass in ${what} at an offset=${off}\n`);
    return WRONG_PLACE;
  }
  return slot - slots + 1 >= 0 && slot < d.slots(v.frameAt(d.frameno(r))) ? slot : NOT_THERE;
}

/** The kernel reads `slots` slots from `slot` up. */
export function readObject(v: Verifier, frame: number, slot: number, slots: number): void {
  for (let i = 0; i < slots; i++) {
    v.stackLiveness.read(frame, slot - i);
    v.scratchSlot(slot - i);
  }
}

/** A slot becomes part of an object; the register in it is emptied, and returned. */
export function takeSlot(v: Verifier, frameno: number, slot: number, kind: number): Address {
  const { d } = v;
  const frame = v.frameAt(frameno);
  const r = d.slotReg(frame, slot);
  d.clearReg(r);
  if (kind !== L.SLOT_INVALID) d.known(r, 0);
  d.fillSlot(frame, slot, kind);
  v.stackLiveness.write(frameno, slot);
  v.scratchSlot(slot);
  return r;
}

/** The object is gone: its slot holds nothing. */
export const freeSlot = (v: Verifier, frameno: number, slot: number): Address =>
  takeSlot(v, frameno, slot, L.SLOT_INVALID);

/** All bytes of a slot are of a kind. */
export function slotIs(v: Verifier, frame: Address, slot: number, kind: number): boolean {
  for (let i = 0; i < 8; i++) if (v.d.slotByte(frame, slot, i) !== kind) return false;
  return true;
}
