// What the verifier computes in a memory of its own: scalars, and states as a whole. Addresses come and go as numbers;
// what they mean is decided in TypeScript.

import { addBounds, compute, computable } from './alu';
import * as bounds from './bounds';
import { refineScalars, scalarBranchTaken } from './branch';
import { Reg } from './layout';
import * as tnum from './tnum';

export * from './layout';
export { maybeLooping, regsExact, regsExactNext, sameCallsites, setLiveRegs, statesEqual } from './equal';
export {
  clearStack, frameClean, frameFree, frameNew, growStack, historyClear, historyPush, peakBytes, refPush, refRemove, regClear,
  regCopy, stateClear, stateCopy, stateFree, stateNew,
} from './state';

export function regUnknown(at: usize, precise: u32): void { bounds.markUnknown(changetype<Reg>(at), precise); }
export function regKnown(at: usize, low: u32, high: u32): void { bounds.markKnown(changetype<Reg>(at), (high as u64) << 32 | low); }
export function regSetKnown(at: usize, low: u32, high: u32): void { bounds.setKnown(changetype<Reg>(at), (high as u64) << 32 | low); }
export function regKnown32(at: usize, value: u32): void { bounds.markKnown32(changetype<Reg>(at), value); }
export function regUnbound(at: usize): void { bounds.unbound(changetype<Reg>(at)); }
export function regSync(at: usize): void { bounds.sync(changetype<Reg>(at)); }
export function regTruncate(at: usize, size: u32): void { bounds.truncate(changetype<Reg>(at), size); }
export function regByteSwap(at: usize, size: u32): void { bounds.byteSwap(changetype<Reg>(at), size); }
export function regSignExtend(at: usize, size: u32): void { bounds.signExtend(changetype<Reg>(at), size); }
export function regSignExtend32(at: usize, size: u32): void { bounds.signExtend32(changetype<Reg>(at), size); }
export function regZeroExtend32(at: usize): void { bounds.zeroExtend32(changetype<Reg>(at)); }
export function regAssign32Into64(at: usize): void { bounds.assign32Into64(changetype<Reg>(at)); }
export function regViolation(at: usize): u32 { return bounds.violation(changetype<Reg>(at)); }

export function aluComputable(op: u32, src: usize, alu32: bool): bool {
  return computable(op, changetype<Reg>(src), alu32);
}
export function aluCompute(op: u32, dst: usize, src: usize, alu32: bool): void {
  compute(op, changetype<Reg>(dst), changetype<Reg>(src), alu32);
}

export function branchTaken(a: usize, b: usize, op: u32, jmp32: bool): i32 {
  return scalarBranchTaken(changetype<Reg>(a), changetype<Reg>(b), op, jmp32);
}
export function branchRefine(a: usize, b: usize, op: u32, jmp32: bool, holds: bool): void {
  refineScalars(changetype<Reg>(a), changetype<Reg>(b), op, jmp32, holds);
}

/** Pointer arithmetic: bounds and tnum of dst become those of `ptr op scalar` (ADD or SUB), as far as they fit. */
export function pointerAdd(dst: usize, ptr: usize, scalar: usize): void {
  const d = changetype<Reg>(dst);
  const p = changetype<Reg>(ptr);
  const s = changetype<Reg>(scalar);
  const smin = p.smin + s.smin;
  const smax = p.smax + s.smax;
  const signedFits = ((p.smin ^ smin) & (s.smin ^ smin)) >= 0 && ((p.smax ^ smax) & (s.smax ^ smax)) >= 0;
  const umin = p.umin + s.umin;
  const umax = p.umax + s.umax;
  const unsignedFits = umin >= p.umin && umax >= p.umax;
  tnum.add(p.value, p.mask, s.value, s.mask);
  setBounds(d, signedFits, smin, smax, unsignedFits, umin, umax);
}

export function pointerSub(dst: usize, ptr: usize, scalar: usize): void {
  const d = changetype<Reg>(dst);
  const p = changetype<Reg>(ptr);
  const s = changetype<Reg>(scalar);
  const smin = p.smin - s.smax;
  const smax = p.smax - s.smin;
  const signedFits = ((p.smin ^ s.smax) & (p.smin ^ smin)) >= 0 && ((p.smax ^ s.smin) & (p.smax ^ smax)) >= 0;
  const umin = p.umin - s.umax;
  const umax = p.umax - s.umin;
  const unsignedFits = p.umin >= s.umax;
  tnum.sub(p.value, p.mask, s.value, s.mask);
  setBounds(d, signedFits, smin, smax, unsignedFits, umin, umax);
}

function setBounds(d: Reg, signedFits: bool, smin: i64, smax: i64, unsignedFits: bool, umin: u64, umax: u64): void {
  d.smin = signedFits ? smin : i64.MIN_VALUE;
  d.smax = signedFits ? smax : i64.MAX_VALUE;
  d.umin = unsignedFits ? umin : 0;
  d.umax = unsignedFits ? umax : u64.MAX_VALUE;
  d.value = tnum.value;
  d.mask = tnum.mask;
}

/** Whether the known and unknown bits of the value plus `off` allow an address that is no multiple of `size`. */
export function misaligned(at: usize, off: i32, size: u32): bool {
  const r = changetype<Reg>(at);
  tnum.add(r.value, r.mask, off as i64 as u64, 0);
  return ((tnum.value | tnum.mask) & ((size - 1) as u64)) != 0;
}

const scratch: usize = heap.alloc(offsetof<Reg>());

/** at = known + (off - knownOff), in 64 bits or in the lower 32, of which the rest becomes zero. */
export function regShifted(at: usize, known: usize, off: i32, knownOff: i32, lower: bool): void {
  const d = changetype<Reg>(at);
  const c = changetype<Reg>(scratch);
  const subreg = d.subregDef;
  memory.fill(scratch, 0, offsetof<Reg>());
  bounds.setKnown(c, ((off as i64) - (knownOff as i64)) as u64);
  memory.copy(at, known, offsetof<Reg>());
  d.subregDef = subreg;
  addBounds(d, c);
  if (lower) bounds.zeroExtend32(d);
  bounds.sync(d);
}
