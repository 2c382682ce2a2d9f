// Tristate numbers: each bit is 0, 1 or unknown. A pair (value, mask): a bit of mask is unknown, and its value is 0.
// An operation leaves its result in `value` and `mask`. Each is sound, and as exact as Linux's.

export let value: u64 = 0;
export let mask: u64 = 0;

@inline
export function set(v: u64, m: u64): void {
  value = v;
  mask = m;
}

/** The smallest that holds all of [min, max]. */
export function range(min: u64, max: u64): void {
  const differ = min ^ max;
  if (!differ) return set(min, 0);
  const bits = 64 - clz(differ);
  if (bits > 63) return set(0, ~0);
  const unknown: u64 = ((1 as u64) << bits) - 1;
  set(min & ~unknown, unknown);
}

export function add(av: u64, am: u64, bv: u64, bm: u64): void {
  const sum = av + bv;
  // Where carries with all unknown bits set and with none differ, the sum is unknown.
  const unknown = ((am + bm + sum) ^ sum) | am | bm;
  set(sum & ~unknown, unknown);
}

export function sub(av: u64, am: u64, bv: u64, bm: u64): void {
  const difference = av - bv;
  const unknown = ((difference + am) ^ (difference - bm)) | am | bm;
  set(difference & ~unknown, unknown);
}

export function and(av: u64, am: u64, bv: u64, bm: u64): void {
  const v = av & bv;
  set(v, (av | am) & (bv | bm) & ~v);
}

export function or(av: u64, am: u64, bv: u64, bm: u64): void {
  const v = av | bv;
  set(v, (am | bm) & ~v);
}

export function xor(av: u64, am: u64, bv: u64, bm: u64): void {
  const unknown = am | bm;
  set((av ^ bv) & ~unknown, unknown);
}

/** What either allows. */
@inline
export function union(av: u64, am: u64, bv: u64, bm: u64): void {
  const unknown = (av ^ bv) | am | bm;
  set(av & bv & ~unknown, unknown);
}

/** Long multiplication: an unknown bit of a adds b's multiple or does not. */
export function mul(av: u64, am: u64, bv: u64, bm: u64): void {
  set(0, 0);
  while (av | am) {
    if (av & 1) {
      add(value, mask, bv, bm);
    } else if (am & 1) {
      const v = value;
      const m = mask;
      add(v, m, bv, bm);
      union(v, m, value, mask);
    }
    av >>= 1;
    am >>= 1;
    bv <<= 1;
    bm <<= 1;
  }
}

/** What both allow. */
@inline
export function intersect(av: u64, am: u64, bv: u64, bm: u64): void {
  const unknown = am & bm;
  set((av | bv) & ~unknown, unknown);
}

/** Some number is in both. */
@inline
export function overlap(av: u64, am: u64, bv: u64, bm: u64): bool {
  const known = ~am & ~bm;
  return (av & known) == (bv & known);
}

/** Every number of b is in a. */
@inline
export function contains(av: u64, am: u64, bv: u64, bm: u64): bool {
  return !(bm & ~am) && av == (bv & ~am);
}

/** The least member above `z`; the greatest when there is none, the smallest when `z` is below it. */
export function above(v: u64, m: u64, z: u64): u64 {
  if (z >= (v | m)) return v | m;
  if (z < v) return v;
  const distance = z - v;
  // Below the highest bit that no member has, all members are too small: count on from there.
  const foreign = distance & ~m;
  const below: u64 = foreign ? u64.MAX_VALUE >> clz(foreign) : 0;
  return v | (((distance | below | ~m) + 1) & m);
}

@inline
export function arshift(av: u64, am: u64, by: u64, bits: u32): void {
  if (bits == 32) set(((av as i32) >> (by as i32)) as u32 as u64, ((am as i32) >> (by as i32)) as u32 as u64);
  else set(((av as i64) >> (by as i64)) as u64, ((am as i64) >> (by as i64)) as u64);
}
