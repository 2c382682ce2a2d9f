// What a comparison of two scalars says: which way it must go, and what is known of both on either way.

import { subregIsConst, sync, unbound, violation } from './bounds';
import { Reg } from './layout';
import * as tnum from './tnum';

const LOW: u64 = 0xffffffff;
const HIGH: u64 = ~LOW;

// BPF_OP of conditional jumps. NOT_SET is ours: the way on which JSET does not jump.
const JEQ: u32 = 0x10;
const JGT: u32 = 0x20;
const JGE: u32 = 0x30;
const JSET: u32 = 0x40;
const JNE: u32 = 0x50;
const JSGT: u32 = 0x60;
const JSGE: u32 = 0x70;
const JLT: u32 = 0xa0;
const JLE: u32 = 0xb0;
const JSLT: u32 = 0xc0;
const JSLE: u32 = 0xd0;
const NOT_SET: u32 = 0x48;

@inline function isConst(r: Reg, jmp32: bool): bool {
  return jmp32 ? subregIsConst(r) : !r.mask;
}

/** Whether the ranges have no number in common. */
function apart(a: Reg, b: Reg, jmp32: bool): bool {
  if (jmp32) {
    return !tnum.overlap(a.value & LOW, a.mask & LOW, b.value & LOW, b.mask & LOW) || apart32(a, b);
  }
  return !tnum.overlap(a.value, a.mask, b.value, b.mask) ||
    a.umin > b.umax || a.umax < b.umin || a.smin > b.smax || a.smax < b.smin || apart32(a, b);
}

function apart32(a: Reg, b: Reg): bool {
  return a.u32min > b.u32max || a.u32max < b.u32min || a.s32min > b.s32max || a.s32max < b.s32min;
}

/** 1 when `a op b` always holds, 0 when it never does, -1 when it may. */
export function scalarBranchTaken(a: Reg, b: Reg, op: u32, jmp32: bool): i32 {
  if (op == JEQ || op == JNE) {
    const onEqual = op == JEQ ? 1 : 0;
    if (isConst(a, jmp32) && isConst(b, jmp32)) {
      const same = jmp32 ? (a.value as u32) == (b.value as u32) : a.value == b.value;
      return same ? onEqual : 1 - onEqual;
    }
    return apart(a, b, jmp32) ? 1 - onEqual : -1;
  }
  if (op == JSET) {
    if (!isConst(b, jmp32)) {
      const t = a;
      a = b;
      b = t;
    }
    if (!isConst(b, jmp32)) return -1;
    const bits = jmp32 ? b.value & LOW : b.value;
    if (a.value & bits) return 1;
    return (a.mask | a.value) & bits ? -1 : 0;
  }
  if (op == JSGT || op == JSGE || op == JSLT || op == JSLE) {
    const amin: i64 = jmp32 ? a.s32min : a.smin;
    const amax: i64 = jmp32 ? a.s32max : a.smax;
    const bmin: i64 = jmp32 ? b.s32min : b.smin;
    const bmax: i64 = jmp32 ? b.s32max : b.smax;
    if (op == JSGT) return amin > bmax ? 1 : amax <= bmin ? 0 : -1;
    if (op == JSLT) return amax < bmin ? 1 : amin >= bmax ? 0 : -1;
    if (op == JSGE) return amin >= bmax ? 1 : amax < bmin ? 0 : -1;
    return amax <= bmin ? 1 : amin > bmax ? 0 : -1;
  }
  const amin: u64 = jmp32 ? a.u32min : a.umin;
  const amax: u64 = jmp32 ? a.u32max : a.umax;
  const bmin: u64 = jmp32 ? b.u32min : b.umin;
  const bmax: u64 = jmp32 ? b.u32max : b.umax;
  if (op == JGT) return amin > bmax ? 1 : amax <= bmin ? 0 : -1;
  if (op == JLT) return amax < bmin ? 1 : amin >= bmax ? 0 : -1;
  if (op == JGE) return amin >= bmax ? 1 : amax < bmin ? 0 : -1;
  return amax <= bmin ? 1 : amin > bmax ? 0 : -1;
}

/** The comparison that holds exactly when `op` does not. */
function opposite(op: u32): u32 {
  switch (op) {
    case JEQ: return JNE;
    case JNE: return JEQ;
    case JSET: return NOT_SET;
    case NOT_SET: return JSET;
    case JGE: return JLT;
    case JGT: return JLE;
    case JLE: return JGT;
    case JLT: return JGE;
    case JSGE: return JSLT;
    case JSGT: return JSLE;
    case JSLE: return JSGT;
    default: return JSGE;
  }
}

function refineEqual(a: Reg, b: Reg, jmp32: bool): void {
  if (jmp32) {
    a.u32min = max(a.u32min, b.u32min);
    a.u32max = min(a.u32max, b.u32max);
    a.s32min = max(a.s32min, b.s32min);
    a.s32max = min(a.s32max, b.s32max);
    b.u32min = a.u32min;
    b.u32max = a.u32max;
    b.s32min = a.s32min;
    b.s32max = a.s32max;
    tnum.intersect(a.value & LOW, a.mask & LOW, b.value & LOW, b.mask & LOW);
    a.value = (a.value & HIGH) | tnum.value;
    a.mask = (a.mask & HIGH) | tnum.mask;
    b.value = (b.value & HIGH) | tnum.value;
    b.mask = (b.mask & HIGH) | tnum.mask;
    return;
  }
  a.umin = max(a.umin, b.umin);
  a.umax = min(a.umax, b.umax);
  a.smin = max(a.smin, b.smin);
  a.smax = min(a.smax, b.smax);
  b.umin = a.umin;
  b.umax = a.umax;
  b.smin = a.smin;
  b.smax = a.smax;
  tnum.intersect(a.value, a.mask, b.value, b.mask);
  a.value = b.value = tnum.value;
  a.mask = b.mask = tnum.mask;
}

/** Only a range that ends at the value that is ruled out gets smaller. */
function refineNotEqual(a: Reg, not: u64, jmp32: bool): void {
  if (jmp32) {
    if (a.u32min == (not as u32)) a.u32min++;
    if (a.u32max == (not as u32)) a.u32max--;
    if (a.s32min == (not as i32)) a.s32min++;
    if (a.s32max == (not as i32)) a.s32max--;
    return;
  }
  if (a.umin == not) a.umin++;
  if (a.umax == not) a.umax--;
  if (a.smin == (not as i64)) a.smin++;
  if (a.smax == (not as i64)) a.smax--;
}

function refineSet(op: u32, a: Reg, bits: u64, jmp32: bool): void {
  if (op == JSET) {
    // One of several bits is set: nothing to learn. One bit: it is.
    if (!bits || bits & (bits - 1)) return;
    tnum.or(a.value, a.mask, bits, 0);
  } else {
    unbound(a);
    tnum.and(a.value, a.mask, jmp32 ? HIGH | (~bits & LOW) : ~bits, 0);
  }
  a.value = tnum.value;
  a.mask = tnum.mask;
}

/** Both learn that `a op b` holds. */
function refine(a: Reg, b: Reg, op: u32, jmp32: bool): void {
  if (op == JGE || op == JGT || op == JSGE || op == JSGT) {
    const t = a;
    a = b;
    b = t;
    op = op == JGE ? JLE : op == JGT ? JLT : op == JSGE ? JSLE : JSLT;
  }
  switch (op) {
    case JEQ:
      return refineEqual(a, b, jmp32);
    case JNE:
    case JSET:
    case NOT_SET: {
      if (!isConst(b, jmp32)) {
        const t = a;
        a = b;
        b = t;
      }
      if (!isConst(b, jmp32)) return;
      const known = jmp32 ? b.value & LOW : b.value;
      return op == JNE ? refineNotEqual(a, known, jmp32) : refineSet(op, a, known, jmp32);
    }
    case JLE:
      if (jmp32) {
        a.u32max = min(a.u32max, b.u32max);
        b.u32min = max(a.u32min, b.u32min);
      } else {
        a.umax = min(a.umax, b.umax);
        b.umin = max(a.umin, b.umin);
      }
      return;
    case JLT:
      if (jmp32) {
        a.u32max = min(a.u32max, b.u32max - 1);
        b.u32min = max(a.u32min + 1, b.u32min);
      } else {
        a.umax = min(a.umax, b.umax - 1);
        b.umin = max(a.umin + 1, b.umin);
      }
      return;
    case JSLE:
      if (jmp32) {
        a.s32max = min(a.s32max, b.s32max);
        b.s32min = max(a.s32min, b.s32min);
      } else {
        a.smax = min(a.smax, b.smax);
        b.smin = max(a.smin, b.smin);
      }
      return;
    default:
      if (jmp32) {
        a.s32max = min(a.s32max, b.s32max - 1);
        b.s32min = max(a.s32min + 1, b.s32min);
      } else {
        a.smax = min(a.smax, b.smax - 1);
        b.smin = max(a.smin + 1, b.smin);
      }
  }
}

/** Both scalars learn from `a op b` holding (`holds`) or not. */
export function refineScalars(a: Reg, b: Reg, op: u32, jmp32: bool, holds: bool): void {
  refine(a, b, holds ? op : opposite(op), jmp32);
  sync(a);
  sync(b);
}

export { violation };
