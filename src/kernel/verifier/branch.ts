// Conditional jumps (Linux: check_cond_jmp_op): which ways are open, and what is known on each.

import { Errno } from '../../bpf/errno.js';
import { InsnClass, JumpOp } from '../../isa/opcodes.js';
import { type Address, layout as L } from './domain.js';
import { pushStep, StepFlag } from './history.js';
import { collectLinked, type LinkedReg, syncLinked } from './linked.js';
import { forEachReg, pushPath } from './paths.js';
import { markPrecise } from './precision.js';
import { printInsnState } from './print.js';
import { findPreviousEntry, widenImprecise } from './prune.js';
import { fieldOf } from './record.js';
import { releaseReferenceOf } from './references.js';
import { baseType, checkBounds, isPointerValue, markUnknown, mayBeNull, readReg } from './registers.js';
import type { Verifier } from './verifier.js';

/** Ranges of a packet pointer that was compared with the end: it is not below, or beyond. */
const AT_END = -1;
const BEYOND_END = -2;
const MAX_PACKET_OFFSET = 0xffff;
const MAX_OFFSET = 1 << 29;

const FLIPPED: Readonly<Record<number, number>> = {
  [JumpOp.JEQ]: JumpOp.JEQ,
  [JumpOp.JNE]: JumpOp.JNE,
  [JumpOp.JSET]: JumpOp.JSET,
  [JumpOp.JGE]: JumpOp.JLE,
  [JumpOp.JGT]: JumpOp.JLT,
  [JumpOp.JLE]: JumpOp.JGE,
  [JumpOp.JLT]: JumpOp.JGT,
  [JumpOp.JSGE]: JumpOp.JSLE,
  [JumpOp.JSGT]: JumpOp.JSLT,
  [JumpOp.JSLE]: JumpOp.JSGE,
  [JumpOp.JSLT]: JumpOp.JSGT,
};

const isPacketAny = (type: number): boolean => {
  const base = baseType(type);
  return base === L.PACKET || base === L.PACKET_META || base === L.PACKET_END;
};

/** A pointer that cannot be null. */
export function notNull(v: Verifier, r: Address): boolean {
  const type = v.d.type(r);
  if (mayBeNull(type)) return false;
  // Far enough from its object it could be.
  if (v.d.smin(r) <= -MAX_OFFSET || v.d.smax(r) >= MAX_OFFSET) return false;
  switch (baseType(type)) {
    case L.SOCKET:
    case L.TCP_SOCK:
    case L.XDP_SOCK:
    case L.BUF:
    case L.MAP_VALUE:
    case L.MAP_KEY:
    case L.SOCK_COMMON:
    case L.MAP_PTR:
      return true;
    case L.MEM:
      return !(type & L.UNTRUSTED);
    case L.BTF_ID:
      return v.isTrusted(r);
    default:
      return false;
  }
}

/** 1: taken, 0: not, -1: either. `b` is a register, or the immediate as one. */
function branchTaken(v: Verifier, a: Address, b: Address, op: number, jmp32: boolean): number {
  const { d } = v;
  const ta = d.type(a);
  const tb = d.type(b);
  if (isPacketAny(ta) && isPacketAny(tb) && !jmp32) return packetBranchTaken(v, a, b, op);
  if (ta !== L.SCALAR || tb !== L.SCALAR) {
    if (jmp32) return -1;
    let pointer = a;
    let number = b;
    let what = op;
    const isConst = (r: Address) => d.type(r) === L.SCALAR && d.isConst(r);
    if (!isConst(number)) {
      what = FLIPPED[op] ?? 0;
      pointer = b;
      number = a;
    }
    if (!isConst(number) || !notNull(v, pointer) || !d.isZero(number)) return -1;
    return what === JumpOp.JEQ ? 0 : what === JumpOp.JNE ? 1 : -1;
  }
  return d.wasm.branchTaken(a, b, op, jmp32 ? 1 : 0);
}

/** A comparison with the packet's end whose answer an earlier one gave. */
function packetBranchTaken(v: Verifier, a: Address, b: Address, op: number): number {
  const { d } = v;
  let pointer = a;
  let what = op;
  if (d.type(b) !== L.PACKET_END) {
    if (d.type(a) !== L.PACKET_END) return -1;
    pointer = b;
    what = FLIPPED[op] ?? 0;
  }
  const range = d.object(pointer, 0);
  if (range >= 0) return -1;
  if ((what === JumpOp.JLE || what === JumpOp.JGT) && range === BEYOND_END)
    return what === JumpOp.JGT ? 1 : 0;
  if (what === JumpOp.JLT || what === JumpOp.JGE) return what === JumpOp.JGE ? 1 : 0;
  return -1;
}

export function checkBranch(v: Verifier): void {
  const { d } = v;
  const slot = v.insn;
  const code = v.code[slot] as number;
  const op = code & 0xf0;
  const jmp32 = (code & 7) === InsnClass.JMP32;
  const off = v.off[slot] as number;
  const imm = v.imm[slot] as number;
  if (op === JumpOp.JA || op > JumpOp.JCOND) {
    v.reject(Errno.EINVAL, `invalid BPF_JMP/JMP32 opcode ${op.toString(16)}`);
  }
  if (op === JumpOp.JCOND) {
    mayGoto(v);
    return;
  }
  const dstNumber = v.dst[slot] as number;
  const srcNumber = v.src[slot] as number;
  const register = (code & 8) !== 0;
  readReg(v, dstNumber);
  const dst = v.reg(dstNumber);
  let src: Address;
  let flags = 0;
  if (register) {
    if (imm !== 0) v.reject(Errno.EINVAL, 'BPF_JMP/JMP32 uses reserved fields');
    src = readReg(v, srcNumber);
    if (!(isPacketAny(d.type(dst)) && isPacketAny(d.type(src))) && isPointerValue(v, src)) {
      v.reject(Errno.EACCES, `R${srcNumber} pointer comparison prohibited`);
    }
    if (d.type(src) === L.STACK) flags |= StepFlag.SRC_STACK;
  } else {
    if (srcNumber !== 0) v.reject(Errno.EINVAL, 'BPF_JMP/JMP32 uses reserved fields');
    src = d.temporary[0];
    d.clearReg(src);
    d.setType(src, L.SCALAR);
    d.known(src, imm);
  }
  if (d.type(dst) === L.STACK) flags |= StepFlag.DST_STACK;
  if (flags) pushStep(v, flags);

  const taken = branchTaken(v, dst, src, op, jmp32);
  if (taken >= 0) {
    // The answer rests on the values: they must be exact.
    if (d.type(dst) === L.SCALAR) markPrecise(v, dstNumber);
    if (register && d.type(src) === L.SCALAR) markPrecise(v, srcNumber);
    if (!v.bypassSpecV1) speculate(v, taken ? slot + 1 : slot + off + 1, register);
    if (v.log.path) printInsnState(v);
    if (taken) v.insn += off;
    return;
  }

  const linked: LinkedReg[] = [];
  if (register && d.type(src) === L.SCALAR && d.id(src)) collectLinked(v, d.id(src), linked);
  if (d.type(dst) === L.SCALAR && d.id(dst)) collectLinked(v, d.id(dst), linked);
  if (linked.length > 1) pushStep(v, 0, linked);

  const other = pushPath(v, slot + off + 1, slot, false);
  const otherFrame = d.currentFrame(other);
  const otherDst = d.reg(otherFrame, dstNumber);
  let otherSrc = d.reg(otherFrame, srcNumber);
  let thisSrc = src;
  if (!register) {
    otherSrc = d.temporary[0];
    thisSrc = d.temporary[1];
    d.copyReg(thisSrc, otherSrc);
  }
  if (d.type(dst) === L.SCALAR && d.type(thisSrc) === L.SCALAR) {
    const width = jmp32 ? 1 : 0;
    d.wasm.branchRefine(dst, thisSrc, op, width, 0);
    d.wasm.branchRefine(otherDst, otherSrc, op, width, 1);
    checkBounds(v, otherDst, 'true_reg1');
    checkBounds(v, otherSrc, 'true_reg2');
    checkBounds(v, dst, 'false_reg1');
    checkBounds(v, thisSrc, 'false_reg2');
  }
  if (register && d.type(src) === L.SCALAR && d.id(src) && d.id(src) === d.id(otherSrc)) {
    syncLinked(v, v.state, src, linked);
    syncLinked(v, other, otherSrc, linked);
  }
  if (d.type(dst) === L.SCALAR && d.id(dst) && d.id(dst) === d.id(otherDst)) {
    syncLinked(v, v.state, dst, linked);
    syncLinked(v, other, otherDst, linked);
  }

  // Equal pointers: where one is known not to be null, the other is not either.
  if (!jmp32 && register && (op === JumpOp.JEQ || op === JumpOp.JNE)) {
    const ts = d.type(src);
    const td = d.type(dst);
    if (ts !== L.SCALAR && td !== L.SCALAR && baseType(ts) !== L.BTF_ID && baseType(td) !== L.BTF_ID) {
      const equalFrame = op === JumpOp.JEQ ? otherFrame : v.frame;
      if (notNull(v, dst) && mayBeNull(ts)) markNotNull(v, d.reg(equalFrame, srcNumber));
      if (notNull(v, src) && mayBeNull(td)) markNotNull(v, d.reg(equalFrame, dstNumber));
    }
  }

  const nullTest =
    !jmp32 && !register && imm === 0 && (op === JumpOp.JEQ || op === JumpOp.JNE) && mayBeNull(d.type(dst));
  if (nullTest) {
    markPointerOrNull(v, v.state, dstNumber, op === JumpOp.JNE);
    markPointerOrNull(v, other, dstNumber, op === JumpOp.JEQ);
  } else if (
    !(register && !jmp32 && matchPacketPointers(v, op, other)) &&
    isPointerValue(v, v.reg(dstNumber))
  ) {
    v.reject(Errno.EACCES, `R${dstNumber} pointer comparison prohibited`);
  }
  if (v.log.path) printInsnState(v);
}

/** The way that is not taken is looked at as the processor may go it speculatively; the operands are anything there. */
function speculate(v: Verifier, to: number, register: boolean): void {
  const branch = pushPath(v, to, v.insn, true);
  const frame = v.d.currentFrame(branch);
  markUnknown(v, v.d.reg(frame, v.dst[v.insn] as number));
  if (register) markUnknown(v, v.d.reg(frame, v.src[v.insn] as number));
}

function mayGoto(v: Verifier): void {
  const { d } = v;
  const slot = v.insn;
  if (v.code[slot] !== (InsnClass.JMP | JumpOp.JCOND) || v.src[slot] || v.dst[slot] || v.imm[slot]) {
    v.reject(Errno.EINVAL, `invalid may_goto imm ${v.imm[slot]}`);
  }
  const entry = findPreviousEntry(v, v.stateField(L.State_parent), slot);
  const queued = pushPath(v, slot + 1, slot, false, Errno.ENOMEM);
  d.set(queued, L.State_mayGotoDepth, d.get(queued, L.State_mayGotoDepth) + 1);
  if (entry) widenImprecise(v, entry, queued);
  v.insn += v.off[slot] as number;
}

/** A pointer is found not to be null: its type says so, or becomes what lies behind the lookup. */
export function markNotNull(v: Verifier, r: Address): void {
  const { d } = v;
  const type = d.type(r);
  if (baseType(type) === L.MAP_VALUE) {
    const map = v.mapOf(r);
    if (map.inner) {
      d.setType(r, L.MAP_PTR);
      d.setObject(r, 0, v.mapNumber(map.inner));
      // Timers of different inner maps are kept apart by the lookup that gave the map.
      if (fieldOf(map.inner.record, 'timer', 'workqueue', 'task-work')) d.setObject(r, 1, d.id(r));
    } else if (map.type === 17) {
      d.setType(r, L.XDP_SOCK);
    } else if (map.type === 15 || map.type === 18) {
      d.setType(r, L.SOCKET);
    } else {
      d.setType(r, L.MAP_VALUE);
    }
    return;
  }
  d.setType(r, type & ~L.MAYBE_NULL);
}

/** All copies of a pointer that may be null are known to be (`isNull`), or not to be. */
export function markPointerOrNull(v: Verifier, state: Address, number: number, isNull: boolean): void {
  const { d } = v;
  const r = d.reg(d.currentFrame(state), number);
  const id = d.id(r);
  const ref = d.refObjId(r);
  // Null is no reference.
  if (ref && ref === id && isNull) releaseReferenceOf(v, state, id);
  forEachReg(v, state, (at) => {
    const type = d.type(at);
    if (!mayBeNull(type) || d.id(at) !== id) return;
    if (isNull) {
      d.setType(at, L.SCALAR);
      d.setId(at, 0);
      d.setRefObjId(at, 0);
      return;
    }
    markNotNull(v, at);
    if (!v.mayPointToLock(at)) d.setId(at, 0);
  });
}

/** Comparisons of packet pointers with the end say how far the packet reaches; true when this was one. */
function matchPacketPointers(v: Verifier, op: number, other: Address): boolean {
  const { d } = v;
  const slot = v.insn;
  const dst = v.reg(v.dst[slot] as number);
  const src = v.reg(v.src[slot] as number);
  const isStart = (r: Address) => d.type(r) === L.PACKET && d.id(r) === 0 && d.off(r) === 0 && d.isZero(r);
  const pair = (a: Address, b: Address) =>
    (d.type(a) === L.PACKET && d.type(b) === L.PACKET_END) || (d.type(a) === L.PACKET_META && isStart(b));
  const here = v.state;
  // `pointer > end`: the path that goes on has all bytes before the pointer.
  const found = (inside: Address, outside: Address, number: number, open: boolean) => {
    markRange(v, inside, d.reg(d.currentFrame(here), number), open);
    markEnd(v, outside, number, !open);
    return true;
  };
  const dstNumber = v.dst[slot] as number;
  const srcNumber = v.src[slot] as number;
  if (pair(dst, src)) {
    switch (op) {
      case JumpOp.JGT:
        return found(here, other, dstNumber, false);
      case JumpOp.JLT:
        return found(other, here, dstNumber, true);
      case JumpOp.JGE:
        return found(here, other, dstNumber, true);
      case JumpOp.JLE:
        return found(other, here, dstNumber, false);
      default:
        return false;
    }
  }
  if (pair(src, dst)) {
    switch (op) {
      case JumpOp.JGT:
        return found(other, here, srcNumber, true);
      case JumpOp.JLT:
        return found(here, other, srcNumber, false);
      case JumpOp.JGE:
        return found(other, here, srcNumber, false);
      case JumpOp.JLE:
        return found(here, other, srcNumber, true);
      default:
        return false;
    }
  }
  return false;
}

/** All pointers of the same id may reach up to `r` (and, when `open`, the byte there). */
function markRange(v: Verifier, state: Address, r: Address, open: boolean): void {
  const { d } = v;
  const off = d.off(r);
  if (off < 0 || (off === 0 && open)) return;
  if (d.umax(r) > MAX_PACKET_OFFSET || d.umax(r) + off > MAX_PACKET_OFFSET) return;
  const range = off + (open ? 1 : 0);
  const type = d.type(r);
  const id = d.id(r);
  forEachReg(v, state, (at) => {
    if (d.type(at) === type && d.id(at) === id) d.setObject(at, 0, Math.max(d.object(at, 0), range));
  });
}

function markEnd(v: Verifier, state: Address, number: number, beyond: boolean): void {
  const r = v.d.reg(v.d.currentFrame(state), number);
  if (v.d.type(r) === L.PACKET) v.d.setObject(r, 0, beyond ? BEYOND_END : AT_END);
}
