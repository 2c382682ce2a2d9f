// The bounds of a scalar: signed and unsigned, of all 64 bits and of the lower 32, beside its tnum. `sync` lets each
// of them learn from the others.

import { Reg, SCALAR } from './layout';
import * as tnum from './tnum';

const LOW: u64 = 0xffffffff;
const HIGH: u64 = ~LOW;

@inline export function subregIsConst(r: Reg): bool { return !(r.mask & LOW); }

export function unbound64(r: Reg): void {
  r.smin = i64.MIN_VALUE;
  r.smax = i64.MAX_VALUE;
  r.umin = 0;
  r.umax = u64.MAX_VALUE;
}

export function unbound32(r: Reg): void {
  r.s32min = i32.MIN_VALUE;
  r.s32max = i32.MAX_VALUE;
  r.u32min = 0;
  r.u32max = u32.MAX_VALUE;
}

export function unbound(r: Reg): void {
  unbound64(r);
  unbound32(r);
}

/** The whole value is `imm`; what the register is, is kept. */
export function setKnown(r: Reg, imm: u64): void {
  r.value = imm;
  r.mask = 0;
  r.smin = imm as i64;
  r.smax = imm as i64;
  r.umin = imm;
  r.umax = imm;
  r.s32min = imm as i32;
  r.s32max = imm as i32;
  r.u32min = imm as u32;
  r.u32max = imm as u32;
}

/** `setKnown`, and no offset, object or id any more. */
export function markKnown(r: Reg, imm: u64): void {
  r.off = 0;
  r.object0 = 0;
  r.object1 = 0;
  r.object2 = 0;
  r.object3 = 0;
  r.id = 0;
  r.refObjId = 0;
  setKnown(r, imm);
}

/** The lower half is `imm`. */
export function markKnown32(r: Reg, imm: u64): void {
  r.value = (r.value & HIGH) | (imm & LOW);
  r.mask &= HIGH;
  r.s32min = imm as i32;
  r.s32max = imm as i32;
  r.u32min = imm as u32;
  r.u32max = imm as u32;
}

/** A scalar of which nothing is known. subregDef stays: it is about the last write, not the value. */
export function markUnknown(r: Reg, precise: u32): void {
  const subreg = r.subregDef;
  memory.fill(changetype<usize>(r), 0, offsetof<Reg>());
  r.type = SCALAR;
  r.subregDef = subreg;
  r.mask = ~0;
  r.precise = precise;
  unbound(r);
}

function learn32FromTnum(r: Reg): void {
  const value = r.value as u32;
  const mask = r.mask as u32;
  r.s32min = max(r.s32min, (value | (mask & 0x80000000)) as i32);
  r.s32max = min(r.s32max, (value | (mask & 0x7fffffff)) as i32);
  r.u32min = max(r.u32min, value);
  r.u32max = min(r.u32max, value | mask);
}

function learn64FromTnum(r: Reg): void {
  r.smin = max(r.smin, (r.value | (r.mask & 0x8000000000000000)) as i64);
  r.smax = min(r.smax, (r.value | (r.mask & 0x7fffffffffffffff)) as i64);
  r.umin = max(r.umin, r.value);
  r.umax = min(r.umax, r.value | r.mask);
  // When the range has one member of the tnum, that is the number.
  const greatest = r.value | r.mask;
  const next = tnum.above(r.value, r.mask, r.umin);
  if ((r.umin & ~r.mask) == r.value) {
    if (next > r.umax) setKnown(r, r.umin);
  } else if (next == greatest || (next <= r.umax && tnum.above(r.value, r.mask, next) > r.umax)) {
    setKnown(r, next);
  }
}

export function learnFromTnum(r: Reg): void {
  learn32FromTnum(r);
  learn64FromTnum(r);
}

export function learn32(r: Reg): void {
  learn32FromTnum(r);
}

function deduce32(r: Reg): void {
  const ulo = r.umin as u32;
  const uhi = r.umax as u32;
  const slo = r.smin as u32;
  const shi = r.smax as u32;
  const umin32 = (r.umin >> 32) as u32;
  const umax32 = (r.umax >> 32) as u32;
  const smin32 = ((r.smin as u64) >> 32) as u32;
  const smax32 = ((r.smax as u64) >> 32) as u32;
  // A range that does not leave one block of 2^32 is a range of the lower half too.
  if (umin32 == umax32) {
    r.u32min = max(r.u32min, ulo);
    r.u32max = min(r.u32max, uhi);
    if ((ulo as i32) <= (uhi as i32)) {
      r.s32min = max(r.s32min, ulo as i32);
      r.s32max = min(r.s32max, uhi as i32);
    }
  }
  if (smin32 == smax32) {
    if (slo <= shi) {
      r.u32min = max(r.u32min, slo);
      r.u32max = min(r.u32max, shi);
    }
    if ((slo as i32) <= (shi as i32)) {
      r.s32min = max(r.s32min, slo as i32);
      r.s32max = min(r.s32max, shi as i32);
    }
  }
  // One that crosses into the next block near its border is a signed range around 0.
  if (umin32 + 1 == umax32 && (ulo as i32) < 0 && (uhi as i32) >= 0) {
    r.s32min = max(r.s32min, ulo as i32);
    r.s32max = min(r.s32max, uhi as i32);
  }
  if (smin32 + 1 == smax32 && (slo as i32) < 0 && (shi as i32) >= 0) {
    r.s32min = max(r.s32min, slo as i32);
    r.s32max = min(r.s32max, shi as i32);
  }
  // Unsigned and signed agree as long as neither crosses its sign border.
  if ((r.u32min as i32) <= (r.u32max as i32)) {
    r.s32min = max(r.s32min, r.u32min as i32);
    r.s32max = min(r.s32max, r.u32max as i32);
  }
  if ((r.s32min as u32) <= (r.s32max as u32)) {
    r.u32min = max(r.s32min as u32, r.u32min);
    r.u32max = min(r.s32max as u32, r.u32max);
  } else if (r.u32max < (r.s32min as u32)) {
    r.s32min = r.u32min as i32;
    r.u32max = min(r.u32max, r.s32max as u32);
  } else if ((r.s32max as u32) < r.u32min) {
    r.s32max = r.u32max as i32;
    r.u32min = max(r.u32min, r.s32min as u32);
  }
}

function deduce64(r: Reg): void {
  if ((r.umin as i64) <= (r.umax as i64)) {
    r.smin = max(r.smin, r.umin as i64);
    r.smax = min(r.smax, r.umax as i64);
  }
  if ((r.smin as u64) <= (r.smax as u64)) {
    r.umin = max(r.smin as u64, r.umin);
    r.umax = min(r.smax as u64, r.umax);
  } else if (r.umax < (r.smin as u64)) {
    // The signed range lies at both ends of the unsigned numbers, and the upper end is ruled out ...
    r.smin = r.umin as i64;
    r.umax = min(r.umax, r.smax as u64);
  } else if ((r.smax as u64) < r.umin) {
    // ... or the lower end is.
    r.smax = r.umax as i64;
    r.umin = max(r.umin, r.smin as u64);
  }
}

/** What the bounds of the lower half say of the whole. */
function deduceMixed(r: Reg): void {
  r.umin = max(r.umin, (r.umin & HIGH) | (r.u32min as u64));
  r.umax = min(r.umax, (r.umax & HIGH) | (r.u32max as u64));
  r.smin = max(r.smin, (((r.smin as u64) & HIGH) | (r.u32min as u64)) as i64);
  r.smax = min(r.smax, (((r.smax as u64) & HIGH) | (r.u32max as u64)) as i64);
  if ((r.s32min as u32) <= (r.s32max as u32)) {
    // Not `as u32 as u64`: of a loaded field the compiler makes a load that extends the sign.
    const low = (r.s32min as i64 as u64) & LOW;
    const high = (r.s32max as i64 as u64) & LOW;
    r.umin = max(r.umin, (r.umin & HIGH) | low);
    r.umax = min(r.umax, (r.umax & HIGH) | high);
    r.smin = max(r.smin, (((r.smin as u64) & HIGH) | low) as i64);
    r.smax = min(r.smax, (((r.smax as u64) & HIGH) | high) as i64);
  }
  // A value that fits 32 signed bits and whose lower half is not negative is its lower half.
  if (r.s32min >= 0 && r.smin >= (i32.MIN_VALUE as i64) && r.smax <= (i32.MAX_VALUE as i64)) {
    r.smin = r.s32min as i64;
    r.smax = r.s32max as i64;
    r.umin = r.s32min as u64;
    r.umax = r.s32max as u64;
    tnum.range(r.smin as u64, r.smax as u64);
    tnum.intersect(r.value, r.mask, tnum.value, tnum.mask);
    r.value = tnum.value;
    r.mask = tnum.mask;
  }
}

function deduce(r: Reg): void {
  deduce32(r);
  deduce64(r);
  deduceMixed(r);
}

/** The tnum learns from the bounds. */
function narrowTnum(r: Reg): void {
  tnum.range(r.umin, r.umax);
  tnum.intersect(r.value, r.mask, tnum.value, tnum.mask);
  const value = tnum.value;
  const mask = tnum.mask;
  tnum.range(r.u32min as u64, r.u32max as u64);
  tnum.intersect(value & LOW, mask & LOW, tnum.value, tnum.mask);
  tnum.or(value & HIGH, mask & HIGH, tnum.value, tnum.mask);
  r.value = tnum.value;
  r.mask = tnum.mask;
}

/** Lets tnum and bounds learn from each other, as often and in the order that Linux does. */
export function sync(r: Reg): void {
  learnFromTnum(r);
  deduce(r);
  deduce(r);
  deduce(r);
  narrowTnum(r);
  learnFromTnum(r);
}

/** The upper half becomes zero. */
export function assign32Into64(r: Reg): void {
  r.umin = r.u32min;
  r.umax = r.u32max;
  if (r.s32min >= 0) {
    r.smin = r.s32min;
    r.smax = r.s32max;
  } else {
    r.smin = 0;
    r.smax = 0xffffffff;
  }
}

export function zeroExtend32(r: Reg): void {
  r.value &= LOW;
  r.mask &= LOW;
  assign32Into64(r);
}

/** What is left of a value after a move or load of `size` bytes (1, 2 or 4) that fills the rest with zeros. */
export function truncate(r: Reg, size: u32): void {
  const bits: u64 = ((1 as u64) << (size * 8)) - 1;
  r.value &= bits;
  r.mask &= bits;
  if ((r.umin & ~bits) == (r.umax & ~bits)) {
    r.umin &= bits;
    r.umax &= bits;
  } else {
    r.umin = 0;
    r.umax = bits;
  }
  r.smin = r.umin as i64;
  r.smax = r.umax as i64;
  if (size < 4) unbound32(r);
  sync(r);
}

@inline function lowest(size: u32): i64 {
  return size == 1 ? i8.MIN_VALUE : size == 2 ? i16.MIN_VALUE : i32.MIN_VALUE;
}

@inline function extend(v: u64, size: u32): i64 {
  return size == 1 ? (v as i8 as i64) : size == 2 ? (v as i16 as i64) : (v as i32 as i64);
}

/** A move or load of `size` bytes (1, 2 or 4) that repeats the sign through all 64 bits. */
export function signExtend(r: Reg, size: u32): void {
  if (!r.mask) return setKnown(r, extend(r.value, size) as u64);
  const shift: u64 = size * 8;
  if ((r.smin as u64) >> shift == (r.smax as u64) >> shift) {
    // All values share the bits above, so the lower ones are a range of their own, unless it crosses zero.
    const first = extend(r.smin as u64, size);
    const second = extend(r.smax as u64, size);
    const low = min(first, second);
    const high = max(first, second);
    if ((low >= 0) == (high >= 0)) {
      r.smin = low;
      r.smax = high;
      r.umin = low as u64;
      r.umax = high as u64;
      r.s32min = low as i32;
      r.s32max = high as i32;
      r.u32min = low as u32;
      r.u32max = high as u32;
      tnum.range(low as u64, high as u64);
      r.value = tnum.value;
      r.mask = tnum.mask;
      return;
    }
  }
  unbound(r);
  r.smin = lowest(size);
  r.smax = ~r.smin;
  r.s32min = r.smin as i32;
  r.s32max = r.smax as i32;
  r.value = 0;
  r.mask = ~0;
}

/** The same through 32 bits, of 1 or 2 bytes; the upper half is for the caller to clear. */
export function signExtend32(r: Reg, size: u32): void {
  if (!r.mask) {
    const known = extend(r.value, size) as u32;
    r.value = known;
    r.s32min = known as i32;
    r.s32max = known as i32;
    r.u32min = known;
    r.u32max = known;
    return;
  }
  const shift = size * 8;
  if ((r.s32min as u32) >> shift == (r.s32max as u32) >> shift) {
    const first = extend(r.s32min as u64, size) as i32;
    const second = extend(r.s32max as u64, size) as i32;
    const low = min(first, second);
    const high = max(first, second);
    if ((low >= 0) == (high >= 0)) {
      r.s32min = low;
      r.s32max = high;
      r.u32min = low as u32;
      r.u32max = high as u32;
      tnum.range(low as i64 as u64, high as i64 as u64);
      r.value = tnum.value & LOW;
      r.mask = tnum.mask & LOW;
      return;
    }
  }
  r.s32min = lowest(size) as i32;
  r.s32max = ~r.s32min;
  r.u32min = 0;
  r.u32max = u32.MAX_VALUE;
  r.value = 0;
  r.mask = LOW;
}

/** Linux's invariants: no empty range, and a constant is one everywhere. 0 when they hold, or which is broken. */
export function violation(r: Reg): u32 {
  if (r.umin > r.umax || r.smin > r.smax || r.u32min > r.u32max || r.s32min > r.s32max) return 1;
  if (!r.mask) {
    if (r.umin != r.value || r.umax != r.value || r.smin != (r.value as i64) || r.smax != (r.value as i64)) return 2;
  }
  if (subregIsConst(r)) {
    const known = r.value as u32;
    if (r.u32min != known || r.u32max != known || r.s32min != (known as i32) || r.s32max != (known as i32)) return 3;
  }
  return 0;
}

@inline function swapBytes(v: u64, size: u32): u64 {
  const swapped = bswap<u64>(v);
  return swapped >> ((64 - size * 8) as u64);
}

/** The lower `size` bytes (2, 4 or 8) in the other order: what is known of each bit moves with it, ranges do not. */
export function byteSwap(r: Reg, size: u32): void {
  r.value = swapBytes(r.value, size);
  r.mask = swapBytes(r.mask, size);
  unbound(r);
}
