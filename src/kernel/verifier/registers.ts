// Reading and writing registers: what must hold of an operand, and the common ways in which a register gets its value.

import { Errno } from '../../bpf/errno.js';
import { type Address, layout as L } from './domain.js';
import type { Verifier } from './verifier.js';

const FP = 10;

export const baseType = (type: number): number => type & L.BASE_TYPE;
export const mayBeNull = (type: number): boolean => (type & L.MAYBE_NULL) !== 0;

/** An instruction reads register `i` (check_reg_arg with SRC_OP). */
export function readReg(v: Verifier, i: number): Address {
  if (i > FP) v.reject(Errno.EINVAL, `R${i} is invalid`);
  v.scratchReg(i);
  const r = v.reg(i);
  if (v.d.type(r) === L.NOT_INIT) v.reject(Errno.EACCES, `R${i} !read_ok`);
  return r;
}

/** An instruction writes register `i`; `mark`: nothing is known of it then (DST_OP). */
export function writeReg(v: Verifier, i: number, mark: boolean): Address {
  if (i > FP) v.reject(Errno.EINVAL, `R${i} is invalid`);
  v.scratchReg(i);
  if (i === FP) v.reject(Errno.EACCES, 'frame pointer is read only');
  const r = v.reg(i);
  if (mark) markUnknown(v, r);
  return r;
}

/** A scalar of which nothing is known. Without CAP_BPF it counts as precise. */
export function markUnknown(v: Verifier, r: Address): void {
  v.d.unknown(r, !v.bpfCapable);
}

/** A known scalar. */
export function markConstant(v: Verifier, r: Address, value: number): void {
  v.d.unknown(r, !v.bpfCapable);
  v.d.known(r, value);
}

/** A pointer of a type: offset, object and ids are none, the variable part is 0. */
export function markPointer(v: Verifier, r: Address, type: number): void {
  v.d.known(r, 0);
  v.d.setType(r, type);
}

export function markNotInit(v: Verifier, r: Address): void {
  v.d.clearReg(r);
}

/** The registers that a call does not keep: r0 to r5. */
export function clearCallerSaved(v: Verifier): void {
  for (let i = 0; i <= 5; i++) v.d.clearReg(v.reg(i));
  v.scratchedRegs |= 0x3f;
}

/** A register holds a pointer as far as the program may not know its number (is_pointer_value). */
export function isPointerValue(v: Verifier, r: Address): boolean {
  return !v.allowPointerLeaks && v.d.type(r) !== L.SCALAR;
}

/** The register is 0 for certain. */
export function isNull(v: Verifier, r: Address): boolean {
  return v.d.type(r) === L.SCALAR && v.d.isZero(r);
}

export function clearScalarId(v: Verifier, r: Address): void {
  v.d.setId(r, 0);
  v.d.setOff(r, 0);
}

/** Before a scalar is copied, both get an id to be known as the same by; a constant needs none. */
export function assignScalarId(v: Verifier, r: Address): void {
  const { d } = v;
  if (d.type(r) !== L.SCALAR) return;
  // A sum of another: as copy it stands for itself.
  if (d.id(r) & L.ADD_CONST) clearScalarId(v, r);
  if (!d.id(r) && !d.isConst(r)) d.setId(r, v.newId());
}

/** Significant bits of the largest value. */
export function widthOf(v: Verifier, r: Address): number {
  const { d } = v;
  const high = d.u32[(r + L.Reg_umax + 4) >> 2] as number;
  const low = d.u32[(r + L.Reg_umax) >> 2] as number;
  return high ? 64 - Math.clz32(high) : 32 - Math.clz32(low);
}

/** Linux's self-check of a register's bounds; where it fails, the bounds are forgotten. */
export function checkBounds(v: Verifier, r: Address, context: string): void {
  const { d } = v;
  const which = d.wasm.regViolation(r);
  if (!which) return;
  const why = [
    '',
    'range bounds violation',
    'const tnum out of sync with range bounds',
    'const subreg tnum out of sync with range bounds',
  ];
  const hex = (field: number) => `0x${BigInt.asUintN(64, d.big(r, field)).toString(16)}`;
  const hex32 = (n: number) => `0x${(n >>> 0).toString(16)}`;
  v.log.write(
    `verifier bug: REG INVARIANTS VIOLATION (${context}): ${why[which]} u64=[${hex(L.Reg_umin)}, ${hex(L.Reg_umax)}] ` +
      `s64=[${hex(L.Reg_smin)}, ${hex(L.Reg_smax)}] u32=[${hex32(d.u32min(r))}, ${hex32(d.u32max(r))}] ` +
      `s32=[${hex32(d.s32min(r))}, ${hex32(d.s32max(r))}] var_off=(${hex(L.Reg_value)}, ${hex(L.Reg_mask)})\n`,
  );
  d.wasm.regUnbound(r);
}
