// The stack of a frame: what was written to each byte, spilled registers, and reads that get them back.

import { Errno } from '../../bpf/errno.js';
import { InsnClass, Mode } from '../../isa/opcodes.js';
import { type Address, layout as L } from './domain.js';
import { destroyDynptrAt } from './dynptr.js';
import { pushStep, stackAccess } from './history.js';
import { markPrecise } from './precision.js';
import { tnumText } from './print.js';
import {
  assignScalarId,
  baseType,
  clearScalarId,
  isNull,
  markConstant,
  markUnknown,
  widthOf,
} from './registers.js';
import { LIMITS, Mark, type Verifier } from './verifier.js';

export type AccessType = 'read' | 'write';

const MAX_OFFSET = 1 << 29;

/** Slot of a byte at (negative) offset `off` from the frame pointer. */
export const slotOf = (off: number): number => Math.floor((-off - 1) / 8);
/** Which of the slot's byte kinds is that of the byte at `off`. */
const byteOf = (off: number): number => (-off - 1) % 8;

/** Types of pointers that keep what is known of them when they are spilled. */
function spillable(type: number): boolean {
  switch (baseType(type)) {
    case L.MAP_VALUE:
    case L.STACK:
    case L.CTX:
    case L.PACKET:
    case L.PACKET_META:
    case L.PACKET_END:
    case L.FLOW_KEYS:
    case L.MAP_PTR:
    case L.SOCKET:
    case L.SOCK_COMMON:
    case L.TCP_SOCK:
    case L.XDP_SOCK:
    case L.BTF_ID:
    case L.BUF:
    case L.MEM:
    case L.FUNC:
    case L.MAP_KEY:
    case L.ARENA:
      return true;
    default:
      return false;
  }
}

export const isSpilled = (v: Verifier, frame: Address, slot: number): boolean =>
  v.d.slotByte(frame, slot, 7) === L.SLOT_SPILL;

const isSpilledScalar = (v: Verifier, frame: Address, slot: number): boolean =>
  isSpilled(v, frame, slot) && v.d.type(v.d.slotReg(frame, slot)) === L.SCALAR;

/** The byte's former content does not matter any more. */
function markMisc(v: Verifier, frame: Address, slot: number, byte: number): void {
  const kind = v.d.slotByte(frame, slot, byte);
  if (kind === L.SLOT_ZERO || kind === L.SLOT_INVALID) return;
  v.d.setSlotByte(frame, slot, byte, L.SLOT_MISC);
}

/** A spilled value (or an object) in a slot is broken into bytes. */
function scrub(v: Verifier, frame: Address, slot: number): void {
  const { d } = v;
  d.setType(d.slotReg(frame, slot), L.NOT_INIT);
  const kind = d.slotByte(frame, slot, 7);
  const special =
    kind === L.SLOT_SPILL || kind === L.SLOT_DYNPTR || kind === L.SLOT_ITER || kind === L.SLOT_IRQ_FLAG;
  if (!special) return;
  for (let i = 0; i < 8; i++) {
    if (d.slotByte(frame, slot, i) !== L.SLOT_INVALID) d.setSlotByte(frame, slot, i, L.SLOT_MISC);
  }
}

function saveReg(v: Verifier, frame: Address, slot: number, r: Address, size: number): void {
  v.d.copyReg(v.d.slotReg(frame, slot), r);
  let i = 8;
  for (; i > 8 - size; i--) v.d.setSlotByte(frame, slot, i - 1, L.SLOT_SPILL);
  for (; i > 0; i--) markMisc(v, frame, slot, i - 1);
}

/** A slot that only spills around fast calls may use is used otherwise: the calls keep their spills then. */
function checkFastcall(v: Verifier, frame: Address, insn: number, off: number): void {
  const subprog = v.subprogs[v.d.get(frame, L.Frame_subprog)];
  if (!subprog || subprog.fastcallStackOff <= off || (v.marks[insn] as number) & Mark.FASTCALL) return;
  subprog.fastcallStackOff = -32768;
  for (let i = subprog.start; i < subprog.end; i++) v.marks[i] = (v.marks[i] as number) & ~Mark.FASTCALL;
}

/** Offsets that a stack pointer plus `off` may have; they are inside the stack, which grows to hold them. */
export function checkStackBounds(
  v: Verifier,
  number: number,
  off: number,
  size: number,
  type: AccessType,
): void {
  const { d } = v;
  const r = v.reg(number);
  const frameno = d.frameno(r);
  const frame = v.frameAt(frameno);
  const fixed = d.isConst(r);
  const verb = type === 'read' ? ' read from' : ' write to';
  let min: number;
  let max: number;
  if (fixed) {
    min = d.value(r) + off;
    max = min + size;
  } else {
    if (d.smax(r) >= MAX_OFFSET || d.smin(r) <= -MAX_OFFSET) {
      v.reject(Errno.EACCES, `invalid unbounded variable-offset${verb} stack R${number}`);
    }
    min = d.smin(r) + off;
    max = d.smax(r) + off + size;
  }
  const lowest = type === 'write' || v.allowUninitStack ? -LIMITS.stack : -d.slots(frame) * 8;
  const errno =
    min < lowest || min > -1 ? Errno.EACCES : max > 0 ? Errno.EINVAL : size < 0 ? Errno.EFAULT : 0;
  if (errno) {
    const text = fixed ? '' : ` var_off=${tnumText(d.big(r, L.Reg_value), d.big(r, L.Reg_mask))}`;
    v.reject(
      errno,
      `invalid${fixed ? '' : ' variable-offset'}${verb} stack R${number}${text} off=${off} size=${size}`,
    );
  }
  growStack(v, frameno, -min);
}

export function growStack(v: Verifier, frameno: number, bytes: number): void {
  const { d } = v;
  const slots = Math.ceil(bytes / 8);
  if (slots <= d.slots(v.frameAt(frameno))) return;
  d.growStack(v.state, frameno, slots);
  const subprog = v.subprogs[d.get(v.frameAt(frameno), L.Frame_subprog)];
  if (subprog) subprog.stackDepth = Math.max(subprog.stackDepth, slots * 8);
}

const isStoreImm = (v: Verifier, insn: number): boolean =>
  ((v.code[insn] as number) & 7) === InsnClass.ST && ((v.code[insn] as number) & 0xe0) === Mode.MEM;

/** A store of `size` bytes through stack pointer `number`; `value` is a register, or -1. */
export function writeStack(
  v: Verifier,
  number: number,
  off: number,
  size: number,
  value: number,
  insn: number,
): void {
  const { d } = v;
  const pointer = v.reg(number);
  const frameno = d.frameno(pointer);
  if (d.isConst(pointer)) writeFixed(v, frameno, off + d.value(pointer), size, value, insn);
  else writeVariable(v, frameno, pointer, off, size, value, insn);
}

/** A processor that runs ahead of the store could still see what was there: a pointer, or nothing that the program knows. */
function hidesWhatWasThere(v: Verifier, frame: Address, off: number, size: number, r: Address): boolean {
  if (r && spillable(v.d.type(r))) return true;
  for (let i = 0; i < size; i++) {
    const kind = v.d.slotByte(frame, slotOf(off), byteOf(off) - i);
    if (kind !== L.SLOT_MISC && kind !== L.SLOT_ZERO) return true;
  }
  return false;
}

function writeFixed(
  v: Verifier,
  frameno: number,
  off: number,
  size: number,
  value: number,
  insn: number,
): void {
  const { d } = v;
  const frame = v.frameAt(frameno);
  const slot = slotOf(off);
  if (!v.allowPointerLeaks && isSpilled(v, frame, slot) && !isSpilledScalar(v, frame, slot) && size !== 8) {
    v.reject(Errno.EACCES, 'attempt to corrupt spilled pointer on stack');
  }
  const r = value >= 0 ? v.reg(value) : 0;
  if (!v.bypassSpecV4 && hidesWhatWasThere(v, frame, off, size, r)) {
    v.marks[insn] = (v.marks[insn] as number) | Mark.NOSPEC_RESULT;
  }
  destroyDynptrAt(v, frameno, slot);
  const aligned = off % 8 === 0;
  if (aligned && size === 8) v.stackLiveness.write(frameno, slot);
  checkFastcall(v, frame, insn, off);
  v.scratchSlot(slot);
  if (r && aligned && d.type(r) === L.SCALAR && v.bpfCapable) {
    const fits = widthOf(v, r) <= 8 * size;
    if (fits) assignScalarId(v, r);
    saveReg(v, frame, slot, r, size);
    // A narrower copy is not the same number.
    if (!fits) d.setId(d.slotReg(frame, slot), 0);
  } else if (!r && aligned && isStoreImm(v, insn) && v.bpfCapable) {
    const constant = d.temporary[0];
    d.clearReg(constant);
    d.known(constant, v.imm[insn] as number);
    d.setType(constant, L.SCALAR);
    saveReg(v, frame, slot, constant, size);
  } else if (r && spillable(d.type(r))) {
    if (size !== 8) {
      v.showLine(insn);
      v.reject(Errno.EACCES, 'invalid size of register spill');
    }
    if (frame !== v.frame && d.type(r) === L.STACK) {
      v.reject(Errno.EINVAL, 'cannot spill pointers to stack into stack frame of the caller');
    }
    saveReg(v, frame, slot, r, size);
  } else {
    scrub(v, frame, slot);
    let kind: number = L.SLOT_MISC;
    if (r ? isNull(v, r) : isStoreImm(v, insn) && v.imm[insn] === 0) {
      if (r) markPrecise(v, value);
      kind = L.SLOT_ZERO;
    }
    for (let i = 0; i < size; i++) d.setSlotByte(frame, slot, byteOf(off) - i, kind);
    return;
  }
  pushStep(v, stackAccess(frameno, slot));
}

function writeVariable(
  v: Verifier,
  frameno: number,
  pointer: Address,
  off: number,
  size: number,
  value: number,
  insn: number,
): void {
  const { d } = v;
  const frame = v.frameAt(frameno);
  const min = d.smin(pointer) + off;
  const max = d.smax(pointer) + off + size;
  const zero = value >= 0 ? isNull(v, v.reg(value)) : isStoreImm(v, insn) && v.imm[insn] === 0;
  let zeroUsed = false;
  for (let i = min; i < max; i++) destroyDynptrAt(v, frameno, slotOf(i));
  checkFastcall(v, frame, insn, min);
  for (let i = min; i < max; i++) {
    const slot = slotOf(i);
    const kind = d.slotByte(frame, slot, byteOf(i));
    v.scratchSlot(slot);
    if (!v.allowPointerLeaks && kind !== L.SLOT_MISC && kind !== L.SLOT_ZERO) {
      v.log.write(`spilled ptr in range of var-offset stack write; insn ${insn}, ptr off: ${i}`);
      v.reject(Errno.EINVAL);
    }
    if (
      zero &&
      kind === L.SLOT_SPILL &&
      isSpilledScalar(v, frame, slot) &&
      d.isZero(d.slotReg(frame, slot))
    ) {
      zeroUsed = true;
      continue;
    }
    scrub(v, frame, slot);
    let fresh: number = L.SLOT_MISC;
    if (zero && kind === L.SLOT_ZERO) {
      fresh = L.SLOT_ZERO;
      zeroUsed = true;
    }
    if (kind === L.SLOT_INVALID && !v.allowUninitStack) {
      v.log.write(`uninit stack in range of var-offset write prohibited for !root; insn ${insn}, off: ${i}`);
      v.reject(Errno.EINVAL);
    }
    d.setSlotByte(frame, slot, byteOf(i), fresh);
  }
  if (zeroUsed && value >= 0) markPrecise(v, value);
}

/** A load of `size` bytes through stack pointer `number` into register `into` (-1: only checked). */
export function readStack(v: Verifier, number: number, off: number, size: number, into: number): void {
  const { d } = v;
  const pointer = v.reg(number);
  const variable = !d.isConst(pointer);
  if (into < 0 && variable) {
    const text = tnumText(d.big(pointer, L.Reg_value), d.big(pointer, L.Reg_mask));
    v.reject(
      Errno.EACCES,
      `variable offset stack pointer cannot be passed into helper function; var_off=${text} off=${off} size=${size}`,
    );
  }
  const frameno = d.frameno(pointer);
  if (!variable) {
    readFixed(v, frameno, off + d.value(pointer), size, into);
    return;
  }
  checkStackInitialised(v, number, off, size, false, 'read');
  const min = d.smin(pointer) + off;
  const max = d.smax(pointer) + off;
  readBytes(v, frameno, min, max + size, into);
  checkFastcall(v, v.frameAt(frameno), v.insn, min);
}

const refuseUninitialised = (v: Verifier, off: number, i: number, size: number): never =>
  v.reject(Errno.EACCES, `invalid read from stack off ${off}+${i} size ${size}`);

function readFixed(v: Verifier, frameno: number, off: number, size: number, into: number): void {
  const { d } = v;
  const frame = v.frameAt(frameno);
  const slot = slotOf(off);
  v.scratchSlot(slot);
  checkFastcall(v, v.frame, v.insn, off);
  v.stackLiveness.read(frameno, slot);
  const spilled = d.slotReg(frame, slot);
  if (!isSpilled(v, frame, slot)) {
    for (let i = 0; i < size; i++) {
      const kind = d.slotByte(frame, slot, byteOf(off) - i);
      if (kind === L.SLOT_MISC || kind === L.SLOT_ZERO) continue;
      if (kind === L.SLOT_INVALID && v.allowUninitStack) continue;
      refuseUninitialised(v, off, i, size);
    }
    if (into >= 0) readBytes(v, frameno, off, off + size, into);
    return;
  }
  let spillSize = 1;
  for (let i = 7; i > 0 && d.slotByte(frame, slot, i - 1) === L.SLOT_SPILL; i--) spillSize++;
  if (size === 8 && spillSize === 8) {
    if (into >= 0) {
      d.copyReg(v.reg(into), spilled);
    } else if (!v.allowPointerLeaks && d.type(spilled) !== L.SCALAR) {
      v.reject(Errno.EACCES, `leaking pointer from stack off ${off}`);
    }
    pushStep(v, stackAccess(frameno, slot));
    return;
  }
  if (d.type(spilled) !== L.SCALAR) {
    v.showLine(v.insn);
    v.reject(Errno.EACCES, 'invalid size of register fill');
  }
  if (into < 0) return;
  const r = v.reg(into);
  if (size <= spillSize && off % 8 === 0) {
    // The lower part of a number: loading cuts it, and it is the same number if nothing is lost.
    d.copyReg(r, spilled);
    if (widthOf(v, r) > size * 8) clearScalarId(v, r);
    pushStep(v, stackAccess(frameno, slot));
    return;
  }
  let spills = 0;
  let zeros = 0;
  for (let i = 0; i < size; i++) {
    const kind = d.slotByte(frame, slot, byteOf(off) - i);
    if (kind === L.SLOT_SPILL) spills++;
    else if (kind === L.SLOT_ZERO) zeros++;
    else if (kind !== L.SLOT_MISC && !(kind === L.SLOT_INVALID && v.allowUninitStack)) {
      refuseUninitialised(v, off, i, size);
    }
  }
  if (spills === size && d.isZero(spilled)) {
    markConstant(v, r, 0);
    pushStep(v, stackAccess(frameno, slot));
  } else if (zeros === size) {
    markConstant(v, r, 0);
  } else {
    markUnknown(v, r);
  }
}

/** Bytes [min, max) make a number: 0 when all of them are, else unknown. */
function readBytes(v: Verifier, frameno: number, min: number, max: number, into: number): void {
  const { d } = v;
  const frame = v.frameAt(frameno);
  let zero = true;
  for (let i = min; i < max && zero; i++) {
    v.scratchSlot(slotOf(i));
    if (d.slotByte(frame, slotOf(i), byteOf(i)) !== L.SLOT_ZERO) zero = false;
  }
  if (zero) markConstant(v, v.reg(into), 0);
  else markUnknown(v, v.reg(into));
}

/** Memory that a helper fills: the stack is written byte by byte when the call is done. */
export interface RawMemory {
  register: number;
  size: number;
}

/**
 * Stack memory handed to a helper (or read at a variable offset): all of it was written before. With `raw` it need
 * not have been; `raw` then says what the helper fills.
 */
export function checkStackInitialised(
  v: Verifier,
  number: number,
  off: number,
  size: number,
  zeroAllowed: boolean,
  type: AccessType,
  raw?: RawMemory,
): void {
  const { d } = v;
  if (size === 0 && !zeroAllowed) v.reject(Errno.EACCES, 'invalid zero-sized read');
  const clobber = type === 'write';
  checkStackBounds(v, number, off, size, type);
  const r = v.reg(number);
  const frameno = d.frameno(r);
  const frame = v.frameAt(frameno);
  let min: number;
  let max: number;
  let fill = raw;
  const fixed = d.isConst(r);
  if (fixed) {
    min = max = d.value(r) + off;
  } else {
    if (!v.bypassSpecV1) {
      const text = tnumText(d.big(r, L.Reg_value), d.big(r, L.Reg_mask));
      v.reject(Errno.EACCES, `R${number} variable offset stack access prohibited for !root, var_off=${text}`);
    }
    // Where exactly it writes is not known: what is there must have been initialised.
    fill = undefined;
    min = d.smin(r) + off;
    max = d.smax(r) + off;
  }
  const slots = d.slots(frame);
  if (fill) {
    for (let i = min; i < max + size; i++) {
      if (slotOf(i) < slots && d.slotByte(frame, slotOf(i), byteOf(i)) === L.SLOT_DYNPTR) {
        v.reject(Errno.EACCES, `potential write to dynptr at off=${i} disallowed`);
      }
    }
    fill.register = number;
    fill.size = size;
    return;
  }
  for (let i = min; i < max + size; i++) {
    const slot = slotOf(i);
    if (slot >= slots) {
      v.log.write('allocated_stack too small');
      v.reject(Errno.EFAULT);
    }
    const kind = d.slotByte(frame, slot, byteOf(i));
    if (kind === L.SLOT_ZERO || (kind === L.SLOT_INVALID && v.allowUninitStack)) {
      if (clobber) d.setSlotByte(frame, slot, byteOf(i), L.SLOT_MISC);
    } else if (
      kind !== L.SLOT_MISC &&
      isSpilled(v, frame, slot) &&
      (d.type(d.slotReg(frame, slot)) === L.SCALAR || v.allowPointerLeaks)
    ) {
      if (clobber) {
        markUnknown(v, d.slotReg(frame, slot));
        for (let j = 0; j < 8; j++) {
          if (d.slotByte(frame, slot, j) !== L.SLOT_INVALID) d.setSlotByte(frame, slot, j, L.SLOT_MISC);
        }
      }
    } else if (kind !== L.SLOT_MISC) {
      const where = fixed ? `off ${min}` : `var_off ${tnumText(d.big(r, L.Reg_value), d.big(r, L.Reg_mask))}`;
      v.reject(Errno.EACCES, `invalid read from stack R${number} ${where}+${i - min} size ${size}`);
    }
    v.stackLiveness.read(frameno, slot);
  }
}
