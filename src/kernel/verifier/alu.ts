// Arithmetic instructions (Linux: check_alu_op). The scalar domain itself is in runtime/verifier.

import { Errno } from '../../bpf/errno.js';
import { AluOp, InsnClass } from '../../isa/opcodes.js';
import { type Address, layout as L } from './domain.js';
import { pushPath } from './paths.js';
import { ALU_NAMES, AluState, agreeOnMask, pointerArithmetic } from './pointers.js';
import { markPrecise } from './precision.js';
import {
  assignScalarId,
  checkBounds,
  clearScalarId,
  isPointerValue,
  markUnknown,
  readReg,
  widthOf,
  writeReg,
} from './registers.js';
import type { Verifier } from './verifier.js';

export function checkAlu(v: Verifier): void {
  const slot = v.insn;
  const op = (v.code[slot] as number) & 0xf0;
  if (op === AluOp.END || op === AluOp.NEG) checkUnary(v, op);
  else if (op === AluOp.MOV) checkMove(v);
  else if (op > AluOp.END) v.reject(Errno.EINVAL, `invalid BPF_ALU opcode ${op.toString(16)}`);
  else checkBinary(v, op);
  checkBounds(v, v.reg(v.dst[slot] as number), 'alu');
}

function checkUnary(v: Verifier, op: number): void {
  const slot = v.insn;
  const code = v.code[slot] as number;
  const imm = v.imm[slot] as number;
  const dst = v.dst[slot] as number;
  if (op === AluOp.NEG) {
    if (code & 8 || v.src[slot] || v.off[slot] || imm) v.reject(Errno.EINVAL, 'BPF_NEG uses reserved fields');
  } else if (
    v.src[slot] ||
    v.off[slot] ||
    (imm !== 16 && imm !== 32 && imm !== 64) ||
    ((code & 7) === InsnClass.ALU64 && code & 8)
  ) {
    v.reject(Errno.EINVAL, 'BPF_END uses reserved fields');
  }
  const r = readReg(v, dst);
  if (isPointerValue(v, r)) v.reject(Errno.EACCES, `R${dst} pointer arithmetic prohibited`);
  if (op === AluOp.NEG && v.d.type(r) === L.SCALAR) {
    writeReg(v, dst, false);
    const operand = v.d.temporary[0];
    v.d.copyReg(operand, r);
    v.d.known(r, 0);
    v.d.wasm.aluCompute(AluOp.SUB, r, operand, (code & 7) === InsnClass.ALU ? 1 : 0);
    return;
  }
  if (op === AluOp.END && v.d.type(r) === L.SCALAR) {
    writeReg(v, dst, false);
    swap(v, r, imm, (code & 7) === InsnClass.ALU64 || (code & 8) !== 0);
    return;
  }
  writeReg(v, dst, true);
}

/** Byte order of the lower `bits`; `swaps`: they change it (the machine is little-endian). The rest becomes zero. */
function swap(v: Verifier, r: Address, bits: number, swaps: boolean): void {
  const { d } = v;
  if (swaps || bits < 64) clearScalarId(v, r);
  if (swaps) d.wasm.regByteSwap(r, bits / 8);
  if (bits < 64) d.wasm.regTruncate(r, bits / 8);
  d.wasm.regSync(r);
}

function checkMove(v: Verifier): void {
  const { d } = v;
  const slot = v.insn;
  const code = v.code[slot] as number;
  const imm = v.imm[slot] as number;
  const off = v.off[slot] as number;
  const alu64 = (code & 7) === InsnClass.ALU64;
  const dst = v.dst[slot] as number;
  const reserved = () => v.reject(Errno.EINVAL, 'BPF_MOV uses reserved fields');
  if (!(code & 8)) {
    if (v.src[slot] || off) reserved();
    const r = writeReg(v, dst, true);
    d.known(r, alu64 ? imm : imm >>> 0);
    return;
  }
  if (!alu64) {
    if ((off !== 0 && off !== 8 && off !== 16) || imm) reserved();
  } else if (off === 1) {
    if (imm !== 1 && imm !== 1 << 16) {
      v.reject(Errno.EINVAL, 'addr_space_cast insn can only convert between address space 1 and 0');
    }
    if (!v.arena) {
      v.reject(
        Errno.EINVAL,
        'addr_space_cast insn can only be used in a program that has an associated arena',
      );
    }
  } else if ((off !== 0 && off !== 8 && off !== 16 && off !== 32) || imm) {
    reserved();
  }
  const srcNumber = v.src[slot] as number;
  const src = readReg(v, srcNumber);
  const r = writeReg(v, dst, false);
  // What fits below the sign bit is not changed by repeating it.
  const noSignChange = () => d.umax(src) < 2 ** (off - 1);
  if (alu64) {
    if (imm) {
      markUnknown(v, r);
      if (imm === 1) d.setType(r, L.ARENA);
    } else if (off === 0) {
      assignScalarId(v, src);
      d.copyReg(r, src);
    } else if (isPointerValue(v, src)) {
      v.reject(Errno.EACCES, `R${srcNumber} sign-extension part of pointer`);
    } else if (d.type(src) === L.SCALAR) {
      const keep = noSignChange();
      if (keep) assignScalarId(v, src);
      d.copyReg(r, src);
      if (!keep) clearScalarId(v, r);
      d.wasm.regSignExtend(r, off >> 3);
    } else {
      markUnknown(v, r);
    }
    return;
  }
  if (isPointerValue(v, src)) v.reject(Errno.EACCES, `R${srcNumber} partial copy of pointer`);
  if (d.type(src) === L.SCALAR) {
    const keep = off === 0 ? widthOf(v, src) <= 32 : noSignChange();
    if (keep) assignScalarId(v, src);
    d.copyReg(r, src);
    if (!keep) clearScalarId(v, r);
    if (off) d.wasm.regSignExtend32(r, off >> 3);
  } else {
    markUnknown(v, r);
  }
  d.wasm.regZeroExtend32(r);
  d.wasm.regSync(r);
}

function checkBinary(v: Verifier, op: number): void {
  const slot = v.insn;
  const code = v.code[slot] as number;
  const imm = v.imm[slot] as number;
  const off = v.off[slot] as number;
  const dst = v.dst[slot] as number;
  const register = (code & 8) !== 0;
  if (
    (register ? imm !== 0 : v.src[slot] !== 0) ||
    (off !== 0 && off !== 1) ||
    (off === 1 && op !== AluOp.MOD && op !== AluOp.DIV)
  ) {
    v.reject(Errno.EINVAL, 'BPF_ALU uses reserved fields');
  }
  if (register) readReg(v, v.src[slot] as number);
  readReg(v, dst);
  if ((op === AluOp.MOD || op === AluOp.DIV) && !register && imm === 0) v.reject(Errno.EINVAL, 'div by zero');
  if ((op === AluOp.LSH || op === AluOp.RSH || op === AluOp.ARSH) && !register) {
    if (imm < 0 || imm >= ((code & 7) === InsnClass.ALU64 ? 64 : 32)) {
      v.reject(Errno.EINVAL, `invalid shift ${imm}`);
    }
  }
  writeReg(v, dst, false);
  adjust(v, op);
}

/** dst op= src, pointers or scalars (adjust_reg_min_max_vals). */
function adjust(v: Verifier, op: number): void {
  const { d } = v;
  const slot = v.insn;
  const code = v.code[slot] as number;
  const register = (code & 8) !== 0;
  const dstNumber = v.dst[slot] as number;
  const srcNumber = v.src[slot] as number;
  const dst = v.reg(dstNumber);
  let src = register ? v.reg(srcNumber) : d.temporary[0];
  if (d.type(dst) === L.ARENA || (register && d.type(src) === L.ARENA)) {
    if (d.type(dst) !== L.ARENA) d.copyReg(dst, src);
    v.arenaAlu.add(slot);
    return;
  }
  const pointer = d.type(dst) !== L.SCALAR;
  if (register) {
    if (d.type(src) !== L.SCALAR) {
      if (pointer) {
        if (op === AluOp.SUB && v.allowPointerLeaks) {
          markUnknown(v, dst);
          return;
        }
        v.reject(Errno.EACCES, `R${dstNumber} pointer ${ALU_NAMES[op >> 4]} pointer prohibited`);
      }
      // scalar op= pointer: by the rules of pointer arithmetic dst becomes the pointer.
      markPrecise(v, dstNumber);
      const off = d.temporary[1];
      d.copyReg(off, dst);
      pointerArithmetic(v, src, off);
      return;
    }
    if (pointer) {
      markPrecise(v, srcNumber);
      pointerArithmetic(v, dst, src);
      return;
    }
    if (d.precise(dst)) markPrecise(v, srcNumber);
  } else {
    d.clearReg(src);
    d.setType(src, L.SCALAR);
    d.known(src, v.imm[slot] as number);
    if (pointer) {
      pointerArithmetic(v, dst, src);
      return;
    }
  }
  if (register && srcNumber === dstNumber) {
    // The operation must not see its own result.
    d.copyReg(d.temporary[0], src);
    src = d.temporary[0];
  }
  const alu32 = (code & 7) !== InsnClass.ALU64;
  const linkable =
    d.id(dst) !== 0 && !(alu32 && widthOf(v, dst) > 32) && !(register && srcNumber === dstNumber);
  adjustScalars(v, op, dst, src);
  const off = linkable && v.bpfCapable ? addedTo(v, op, alu32, src) : undefined;
  if (off === undefined || d.id(dst) & L.ADD_CONST) {
    clearScalarId(v, dst);
  } else {
    // A scalar plus a constant is remembered as such, once.
    d.setId(dst, (d.id(dst) | (alu32 ? L.ADD_CONST32 : L.ADD_CONST64)) >>> 0);
    d.setOff(dst, off);
  }
}

/** What an addition or subtraction adds, when that is known and fits 32 bits. */
function addedTo(v: Verifier, op: number, alu32: boolean, src: Address): number | undefined {
  const { d } = v;
  if (op !== AluOp.ADD && op !== AluOp.SUB) return undefined;
  if (alu32 ? !d.lowerIsConst(src) : !d.isConst(src)) return undefined;
  const low = d.valueLow(src);
  if (!alu32 && d.valueHigh(src) !== low >> 31) return undefined;
  if (op === AluOp.ADD) return low;
  return low === -0x8000_0000 ? undefined : -low;
}

function adjustScalars(v: Verifier, op: number, dst: Address, src: Address): void {
  const { d } = v;
  const alu32 = ((v.code[v.insn] as number) & 7) !== InsnClass.ALU64 ? 1 : 0;
  if (!d.wasm.aluComputable(op, src, alu32)) {
    markUnknown(v, dst);
    return;
  }
  if ((op === AluOp.ADD || op === AluOp.SUB) && !v.bypassSpecV1 && (v.code[v.insn] as number) & 8) {
    if (!agreeOnMask(v, AluState.NON_POINTER, 0)) {
      const word = op === AluOp.ADD ? 'add' : 'sub';
      v.reject(
        Errno.EACCES,
        `R${v.dst[v.insn]} tried to ${word} from different maps, paths or scalars, pointer arithmetic with it prohibited for !root`,
      );
    }
  }
  if ((op === AluOp.AND || op === AluOp.OR) && d.isConst(src)) forkMask(v, dst);
  d.wasm.aluCompute(op, dst, src, alu32);
}

/** A value that is 0 or -1, as `x s>> 63` leaves it, is looked at as each of the two. */
function forkMask(v: Verifier, dst: Address): void {
  const { d } = v;
  let alu32: boolean;
  if (d.smin(dst) === -1 && d.smax(dst) === 0) alu32 = false;
  else if (d.s32min(dst) === -1 && d.s32max(dst) === 0) alu32 = true;
  else return;
  const branch = pushPath(v, v.insn, v.insn, false);
  const other = d.reg(d.currentFrame(branch), v.dst[v.insn] as number);
  if (alu32) {
    d.wasm.regKnown32(other, 0);
    d.wasm.regKnown32(dst, -1);
  } else {
    d.known(other, 0);
    d.knownPair(dst, -1, -1);
  }
}
