// What the verifier claims of a number, as a test sees it: written into a register, read from it, and held against
// numbers.

import { type Address, Domain, layout as L } from '../../src/kernel/verifier/domain.js';

export const d = new Domain();

export const u64 = (x: bigint) => BigInt.asUintN(64, x);
export const s64 = (x: bigint) => BigInt.asIntN(64, x);
export const u32 = (x: bigint) => BigInt.asUintN(32, x);
export const s32 = (x: bigint) => BigInt.asIntN(32, x);

/** What a register claims of its number. */
export interface Claim {
  value: bigint;
  mask: bigint;
  umin: bigint;
  umax: bigint;
  smin: bigint;
  smax: bigint;
  u32min: bigint;
  u32max: bigint;
  s32min: bigint;
  s32max: bigint;
}

export const ANY: Claim = {
  value: 0n,
  mask: 2n ** 64n - 1n,
  umin: 0n,
  umax: 2n ** 64n - 1n,
  smin: -(2n ** 63n),
  smax: 2n ** 63n - 1n,
  u32min: 0n,
  u32max: 2n ** 32n - 1n,
  s32min: -(2n ** 31n),
  s32max: 2n ** 31n - 1n,
};

export function write(r: Address, claim: Claim): void {
  d.clearReg(r);
  d.setType(r, L.SCALAR);
  d.setBig(r, L.Reg_value, claim.value);
  d.setBig(r, L.Reg_mask, claim.mask);
  d.setBig(r, L.Reg_umin, claim.umin);
  d.setBig(r, L.Reg_umax, claim.umax);
  d.setBig(r, L.Reg_smin, claim.smin);
  d.setBig(r, L.Reg_smax, claim.smax);
  d.set(r, L.Reg_u32min, Number(claim.u32min) | 0);
  d.set(r, L.Reg_u32max, Number(claim.u32max) | 0);
  d.set(r, L.Reg_s32min, Number(claim.s32min));
  d.set(r, L.Reg_s32max, Number(claim.s32max));
}

export function read(r: Address): Claim {
  return {
    value: u64(d.big(r, L.Reg_value)),
    mask: u64(d.big(r, L.Reg_mask)),
    umin: u64(d.big(r, L.Reg_umin)),
    umax: u64(d.big(r, L.Reg_umax)),
    smin: d.big(r, L.Reg_smin),
    smax: d.big(r, L.Reg_smax),
    u32min: BigInt(d.u32min(r)),
    u32max: BigInt(d.u32max(r)),
    s32min: BigInt(d.s32min(r)),
    s32max: BigInt(d.s32max(r)),
  };
}

/** Nothing more can be claimed of these numbers. */
export function tightest(numbers: readonly bigint[]): Claim {
  const first = u64(numbers[0] as bigint);
  const claim: Claim = {
    value: first,
    mask: first,
    umin: first,
    umax: first,
    smin: s64(first),
    smax: s64(first),
    u32min: u32(first),
    u32max: u32(first),
    s32min: s32(first),
    s32max: s32(first),
  };
  for (const x of numbers) {
    claim.value &= u64(x);
    claim.mask |= u64(x);
    for (const [min, max, as] of [
      ['umin', 'umax', u64],
      ['smin', 'smax', s64],
      ['u32min', 'u32max', u32],
      ['s32min', 's32max', s32],
    ] as const) {
      if (as(x) < claim[min]) claim[min] = as(x);
      if (as(x) > claim[max]) claim[max] = as(x);
    }
  }
  claim.mask &= ~claim.value;
  return claim;
}

export function holds({ value, mask, ...c }: Claim, x: bigint): boolean {
  const u = u64(x);
  const s = s64(x);
  const low = u32(x);
  const slow = s32(x);
  return (
    (u & ~mask) === value &&
    c.umin <= u &&
    u <= c.umax &&
    c.smin <= s &&
    s <= c.smax &&
    c.u32min <= low &&
    low <= c.u32max &&
    c.s32min <= slow &&
    slow <= c.s32max
  );
}

export const hex = (c: Claim) =>
  Object.entries(c)
    .map(([name, x]) => `${name}=${x < 0n ? '-' : ''}0x${(x < 0n ? -x : x).toString(16)}`)
    .join(' ');

/** Fails, and says with what, unless `r` holds all results. */
export function mustHold(r: Address, results: readonly bigint[], what: () => string): void {
  const claim = read(r);
  for (const x of results) {
    if (!holds(claim, x)) throw new Error(`${what()}: 0x${u64(x).toString(16)} is not in ${hex(claim)}`);
  }
  if (d.wasm.regViolation(r)) throw new Error(`${what()}: violation in ${hex(claim)}`);
}
