// Arithmetic on scalars: what is known of the result of `dst op= src`, for the whole register and for its lower half.

import {
  learn32, learnFromTnum, markKnown, markKnown32, subregIsConst, sync, unbound32, unbound64, zeroExtend32,
} from './bounds';
import { Reg } from './layout';
import * as tnum from './tnum';

const LOW: u64 = 0xffffffff;

// BPF_OP.
const ADD: u32 = 0x00;
const SUB: u32 = 0x10;
const MUL: u32 = 0x20;
const OR: u32 = 0x40;
const AND: u32 = 0x50;
const LSH: u32 = 0x60;
const RSH: u32 = 0x70;
const XOR: u32 = 0xa0;
const ARSH: u32 = 0xc0;

/** Whether the result's range can be computed; else nothing is known of it. */
export function computable(op: u32, src: Reg, alu32: bool): bool {
  if (op == LSH || op == RSH || op == ARSH) {
    const limit: u64 = alu32 ? 32 : 64;
    const known = alu32
      ? subregIsConst(src) && src.s32min == src.s32max && src.u32min == src.u32max
      : !src.mask && src.smin == src.smax && src.umin == src.umax;
    return known && src.umax < limit;
  }
  return op == ADD || op == SUB || op == AND || op == XOR || op == OR || op == MUL;
}

@inline function overflows64(a: i64, b: i64, sum: i64): bool {
  return ((a ^ sum) & (b ^ sum)) < 0;
}

function add32(d: Reg, s: Reg): void {
  const smin = (d.s32min as i64) + (s.s32min as i64);
  const smax = (d.s32max as i64) + (s.s32max as i64);
  if (smin != (smin as i32 as i64) || smax != (smax as i32 as i64)) {
    d.s32min = i32.MIN_VALUE;
    d.s32max = i32.MAX_VALUE;
  } else {
    d.s32min = smin as i32;
    d.s32max = smax as i32;
  }
  const umin = (d.u32min as u64) + (s.u32min as u64);
  const umax = (d.u32max as u64) + (s.u32max as u64);
  // Both ends wrap, or neither: the range stays one range.
  const wraps = (umin >> 32) + (umax >> 32);
  if (wraps == 1) {
    d.u32min = 0;
    d.u32max = u32.MAX_VALUE;
  } else {
    d.u32min = umin as u32;
    d.u32max = umax as u32;
  }
}

function add64(d: Reg, s: Reg): void {
  const smin = d.smin + s.smin;
  const smax = d.smax + s.smax;
  if (overflows64(d.smin, s.smin, smin) || overflows64(d.smax, s.smax, smax)) {
    d.smin = i64.MIN_VALUE;
    d.smax = i64.MAX_VALUE;
  } else {
    d.smin = smin;
    d.smax = smax;
  }
  const umin = d.umin + s.umin;
  const umax = d.umax + s.umax;
  const minWraps = umin < s.umin;
  const maxWraps = umax < s.umax;
  if (minWraps != maxWraps) {
    d.umin = 0;
    d.umax = u64.MAX_VALUE;
  } else {
    d.umin = umin;
    d.umax = umax;
  }
}

function sub32(d: Reg, s: Reg): void {
  const smin = (d.s32min as i64) - (s.s32max as i64);
  const smax = (d.s32max as i64) - (s.s32min as i64);
  if (smin != (smin as i32 as i64) || smax != (smax as i32 as i64)) {
    d.s32min = i32.MIN_VALUE;
    d.s32max = i32.MAX_VALUE;
  } else {
    d.s32min = smin as i32;
    d.s32max = smax as i32;
  }
  const minWraps = d.u32min < s.u32max;
  const maxWraps = d.u32max < s.u32min;
  if (minWraps != maxWraps) {
    d.u32min = 0;
    d.u32max = u32.MAX_VALUE;
  } else {
    d.u32min -= s.u32max;
    d.u32max -= s.u32min;
  }
}

function sub64(d: Reg, s: Reg): void {
  const smin = d.smin - s.smax;
  const smax = d.smax - s.smin;
  if (((d.smin ^ s.smax) & (d.smin ^ smin)) < 0 || ((d.smax ^ s.smin) & (d.smax ^ smax)) < 0) {
    d.smin = i64.MIN_VALUE;
    d.smax = i64.MAX_VALUE;
  } else {
    d.smin = smin;
    d.smax = smax;
  }
  const minWraps = d.umin < s.umax;
  const maxWraps = d.umax < s.umin;
  if (minWraps != maxWraps) {
    d.umin = 0;
    d.umax = u64.MAX_VALUE;
  } else {
    d.umin -= s.umax;
    d.umax -= s.umin;
  }
}

function mul32(d: Reg, s: Reg): void {
  // Signed: the product of the ends, when none overflows.
  const a = (d.s32min as i64) * (s.s32min as i64);
  const b = (d.s32min as i64) * (s.s32max as i64);
  const c = (d.s32max as i64) * (s.s32min as i64);
  const e = (d.s32max as i64) * (s.s32max as i64);
  const smin = min(min(a, b), min(c, e));
  const smax = max(max(a, b), max(c, e));
  const umax = (d.u32max as u64) * (s.u32max as u64);
  if (umax > LOW) {
    d.u32min = 0;
    d.u32max = u32.MAX_VALUE;
  } else {
    d.u32min *= s.u32min;
    d.u32max = umax as u32;
  }
  if (smin < (i32.MIN_VALUE as i64) || smax > (i32.MAX_VALUE as i64)) {
    d.s32min = i32.MIN_VALUE;
    d.s32max = i32.MAX_VALUE;
  } else {
    d.s32min = smin as i32;
    d.s32max = smax as i32;
  }
}

/** Whether a * b leaves 64 signed bits. */
function mulOverflows(a: i64, b: i64): bool {
  if (!a || !b) return false;
  if ((a == -1 && b == i64.MIN_VALUE) || (b == -1 && a == i64.MIN_VALUE)) return true;
  return (a * b) / b != a;
}

function mul64(d: Reg, s: Reg): void {
  const a = d.smin;
  const b = d.smax;
  const c = s.smin;
  const e = s.smax;
  const wraps = d.umax && s.umax > u64.MAX_VALUE / d.umax;
  if (wraps) {
    d.umin = 0;
    d.umax = u64.MAX_VALUE;
  } else {
    d.umin *= s.umin;
    d.umax *= s.umax;
  }
  if (mulOverflows(a, c) || mulOverflows(a, e) || mulOverflows(b, c) || mulOverflows(b, e)) {
    d.smin = i64.MIN_VALUE;
    d.smax = i64.MAX_VALUE;
  } else {
    d.smin = min(min(a * c, a * e), min(b * c, b * e));
    d.smax = max(max(a * c, a * e), max(b * c, b * e));
  }
}

/** After a bitwise operation the signed range is the unsigned one where that does not cross the sign border. */
function signedFromUnsigned32(d: Reg): void {
  if ((d.u32min as i32) <= (d.u32max as i32)) {
    d.s32min = d.u32min as i32;
    d.s32max = d.u32max as i32;
  } else {
    d.s32min = i32.MIN_VALUE;
    d.s32max = i32.MAX_VALUE;
  }
}

function signedFromUnsigned64(d: Reg): void {
  if ((d.umin as i64) <= (d.umax as i64)) {
    d.smin = d.umin as i64;
    d.smax = d.umax as i64;
  } else {
    d.smin = i64.MIN_VALUE;
    d.smax = i64.MAX_VALUE;
  }
  learnFromTnum(d);
}

/** AND, OR, XOR; the tnum is already the result's. `known` are the operands' halves and wholes that were constant. */
function bitwise(op: u32, d: Reg, s: Reg, known32: bool, known64: bool): void {
  const low = d.value as u32;
  const high = (d.value | d.mask) as u32;
  if (known32) {
    markKnown32(d, d.value);
  } else {
    if (op == AND) {
      d.u32min = low;
      d.u32max = min(d.u32max, s.u32max);
    } else if (op == OR) {
      d.u32min = max(d.u32min, s.u32min);
      d.u32max = high;
    } else {
      d.u32min = low;
      d.u32max = high;
    }
    signedFromUnsigned32(d);
  }
  if (known64) return markKnown(d, d.value);
  if (op == AND) {
    d.umin = d.value;
    d.umax = min(d.umax, s.umax);
  } else if (op == OR) {
    d.umin = max(d.umin, s.umin);
    d.umax = d.value | d.mask;
  } else {
    d.umin = d.value;
    d.umax = d.value | d.mask;
  }
  signedFromUnsigned64(d);
}

function lsh32Bounds(d: Reg, from: u64, to: u64): void {
  d.s32min = i32.MIN_VALUE;
  d.s32max = i32.MAX_VALUE;
  if (to > 31 || (d.u32max as u64) > (1 as u64) << (31 - to)) {
    d.u32min = 0;
    d.u32max = u32.MAX_VALUE;
  } else {
    d.u32min <<= from as u32;
    d.u32max <<= to as u32;
  }
}

function lsh(d: Reg, s: Reg, alu32: bool): void {
  if (alu32) {
    const by: u64 = s.u32min;
    lsh32Bounds(d, by, s.u32max);
    d.value = ((d.value & LOW) << by) & LOW;
    d.mask = ((d.mask & LOW) << by) & LOW;
    unbound64(d);
    learn32(d);
    return;
  }
  const by = s.umin;
  const to = s.umax;
  if (by == 32 && to == 32) {
    // The usual first half of a sign extension.
    d.smin = (d.s32min as i64) << 32;
    d.smax = (d.s32max as i64) << 32;
  } else {
    d.smin = i64.MIN_VALUE;
    d.smax = i64.MAX_VALUE;
  }
  if (d.umax > (1 as u64) << (63 - to)) {
    d.umin = 0;
    d.umax = u64.MAX_VALUE;
  } else {
    d.umin <<= by;
    d.umax <<= to;
  }
  lsh32Bounds(d, by, to);
  d.value <<= by;
  d.mask <<= by;
  learnFromTnum(d);
}

function rsh(d: Reg, s: Reg, alu32: bool): void {
  if (alu32) {
    const by: u64 = s.u32min;
    d.s32min = i32.MIN_VALUE;
    d.s32max = i32.MAX_VALUE;
    d.value = (d.value & LOW) >> by;
    d.mask = (d.mask & LOW) >> by;
    d.u32min >>= s.u32max;
    d.u32max >>= s.u32min;
    unbound64(d);
    learn32(d);
    return;
  }
  const by = s.umin;
  d.smin = i64.MIN_VALUE;
  d.smax = i64.MAX_VALUE;
  d.value >>= by;
  d.mask >>= by;
  d.umin >>= s.umax;
  d.umax >>= by;
  unbound32(d);
  learnFromTnum(d);
}

function arsh(d: Reg, s: Reg, alu32: bool): void {
  if (alu32) {
    const by = s.u32min;
    d.s32min >>= by as i32;
    d.s32max >>= by as i32;
    tnum.arshift(d.value & LOW, d.mask & LOW, by, 32);
    d.value = tnum.value;
    d.mask = tnum.mask;
    d.u32min = 0;
    d.u32max = u32.MAX_VALUE;
    unbound64(d);
    learn32(d);
    return;
  }
  const by = s.umin;
  d.smin >>= by as i64;
  d.smax >>= by as i64;
  tnum.arshift(d.value, d.mask, by, 64);
  d.value = tnum.value;
  d.mask = tnum.mask;
  d.umin = 0;
  d.umax = u64.MAX_VALUE;
  unbound32(d);
  learnFromTnum(d);
}

/** `d op= s` for an operation that is `computable`; `s` is not changed. */
export function compute(op: u32, d: Reg, s: Reg, alu32: bool): void {
  switch (op) {
    case ADD:
      add32(d, s);
      add64(d, s);
      tnum.add(d.value, d.mask, s.value, s.mask);
      break;
    case SUB:
      sub32(d, s);
      sub64(d, s);
      tnum.sub(d.value, d.mask, s.value, s.mask);
      break;
    case MUL:
      tnum.mul(d.value, d.mask, s.value, s.mask);
      d.value = tnum.value;
      d.mask = tnum.mask;
      mul32(d, s);
      mul64(d, s);
      break;
    case AND:
    case OR:
    case XOR: {
      if (op == AND) tnum.and(d.value, d.mask, s.value, s.mask);
      else if (op == OR) tnum.or(d.value, d.mask, s.value, s.mask);
      else tnum.xor(d.value, d.mask, s.value, s.mask);
      // As Linux has it, both questions are about the result, not about the operand it replaced.
      d.value = tnum.value;
      d.mask = tnum.mask;
      bitwise(op, d, s, subregIsConst(s) && subregIsConst(d), !s.mask && !d.mask);
      break;
    }
    case LSH:
      lsh(d, s, alu32);
      break;
    case RSH:
      rsh(d, s, alu32);
      break;
    default:
      arsh(d, s, alu32);
  }
  if (op == ADD || op == SUB) {
    d.value = tnum.value;
    d.mask = tnum.mask;
  }
  if (alu32) zeroExtend32(d);
  sync(d);
}

/** The sum, without letting its bounds learn from each other. */
export function addBounds(d: Reg, s: Reg): void {
  add32(d, s);
  add64(d, s);
  tnum.add(d.value, d.mask, s.value, s.mask);
  d.value = tnum.value;
  d.mask = tnum.mask;
}
