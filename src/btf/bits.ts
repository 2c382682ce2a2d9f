// Integers within bytes, at any bit offset and of any width, in both byte orders. Bit 0 is the lowest bit
// of the first byte in little endian, and the highest bit of the first byte in big endian.

import { SkepError } from '../base/error.js';

/** Throws a SkepError unless `size` bytes at `offset` are there. */
export function needBytes(bytes: Uint8Array, offset: number, size: number, where: string): void {
  if (offset >= 0 && offset + size <= bytes.length) return;
  throw new SkepError(`needs ${size} bytes at offset ${offset}, but the value has ${bytes.length}`, {
    where,
  });
}

/** The unsigned integer of `bitSize` bits that begins `bitOffset` bits into `bytes`, which must hold it. */
export function readBits(
  bytes: Uint8Array,
  bitOffset: number,
  bitSize: number,
  littleEndian: boolean,
  where: string,
): bigint {
  const first = Math.floor(bitOffset / 8);
  const shift = bitOffset - first * 8;
  const count = Math.ceil((shift + bitSize) / 8);
  needBytes(bytes, first, count, where);
  let value = 0n;
  for (let i = 0; i < count; i++) {
    value = (value << 8n) | BigInt(bytes[littleEndian ? first + count - 1 - i : first + i] ?? 0);
  }
  const down = littleEndian ? shift : count * 8 - shift - bitSize;
  return BigInt.asUintN(bitSize, value >> BigInt(down));
}

/** Stores the low `bitSize` bits of `value` there, and leaves the bits around them. */
export function writeBits(
  bytes: Uint8Array,
  bitOffset: number,
  bitSize: number,
  littleEndian: boolean,
  value: bigint,
  where: string,
): void {
  const first = Math.floor(bitOffset / 8);
  const shift = bitOffset - first * 8;
  const count = Math.ceil((shift + bitSize) / 8);
  needBytes(bytes, first, count, where);
  const up = littleEndian ? shift : count * 8 - shift - bitSize;
  let mask = ((1n << BigInt(bitSize)) - 1n) << BigInt(up);
  let bits = BigInt.asUintN(bitSize, value) << BigInt(up);
  for (let i = 0; i < count; i++) {
    const at = littleEndian ? first + i : first + count - 1 - i;
    const keep = ~Number(mask & 0xffn) & 0xff;
    bytes[at] = ((bytes[at] ?? 0) & keep) | Number(bits & 0xffn);
    mask >>= 8n;
    bits >>= 8n;
  }
}
