// Times of packets as nanoseconds since 1970 in two 32-bit words, without BigInt for the units that real files use.

const TWO_32 = 2 ** 32;

/** Receives a time: `high * 2^32 + low` nanoseconds. One is reused for all packets of a file. */
export interface Time {
  low: number;
  high: number;
}

/** Sets `time` to `high * 2^32 + low` units of `unit` nanoseconds (an integer up to 10^9), modulo 2^64. */
export function scale(time: Time, high: number, low: number, unit: number): void {
  // The halves of `low` separately, because low * unit may need more than the 53 bits of a number.
  const lower = (low & 0xffff) * unit;
  const upper = (low >>> 16) * unit;
  const sum = (upper % 0x10000) * 0x10000 + lower;
  time.low = sum >>> 0;
  time.high = (Math.imul(high, unit) + Math.floor(upper / 0x10000) + Math.floor(sum / TWO_32)) >>> 0;
}

/** Adds nanoseconds (a non-negative integer below 2^53). */
export function addNanoseconds(time: Time, nanoseconds: number): void {
  const sum = time.low + nanoseconds;
  time.low = sum >>> 0;
  time.high = (time.high + Math.floor(sum / TWO_32)) >>> 0;
}

/** The same by BigInt: `ticks` of which `perSecond` make a second, `offset` seconds later. Slow, always right. */
export function scaleExactly(time: Time, high: number, low: number, perSecond: bigint, offset: bigint): void {
  const ticks = (BigInt(high) << 32n) | BigInt(low);
  const nanoseconds = BigInt.asUintN(64, (ticks * 1_000_000_000n) / perSecond + offset * 1_000_000_000n);
  time.low = Number(nanoseconds & 0xffffffffn);
  time.high = Number(nanoseconds >> 32n);
}
