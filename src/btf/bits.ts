// Integers within bytes, at any bit offset and of any width, in both byte orders. Bit 0 is the lowest bit
// of the first byte in little endian, and the highest bit of the first byte in big endian.

import { SkepError } from '../base/error.js';

/** What is read or written, for the error; asked for only when there is one. */
export type Where = () => string;

/** Throws a SkepError unless `size` bytes at `offset` are there. */
export function needBytes(bytes: Uint8Array, offset: number, size: number, where: Where): void {
  if (offset >= 0 && offset + size <= bytes.length) return;
  throw new SkepError(`needs ${size} bytes at offset ${offset}, but the value has ${bytes.length}`, {
    where: where(),
  });
}

/** The unsigned integer of `bitSize` bits that begins `bitOffset` bits into `bytes`, which must hold it. */
export function readBits(
  bytes: Uint8Array,
  bitOffset: number,
  bitSize: number,
  littleEndian: boolean,
  where: Where,
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

/**
 * An integer of up to 32 bits as number, of more as bigint; `signed` ones are extended from their highest
 * bit. Whole bytes, which nearly all are, are read without bigints.
 */
export function readInteger(
  bytes: Uint8Array,
  bitOffset: number,
  bitSize: number,
  signed: boolean,
  littleEndian: boolean,
  where: Where,
): number | bigint {
  if (bitOffset % 8 === 0 && (bitSize === 8 || bitSize === 16 || bitSize === 32)) {
    const offset = bitOffset / 8;
    const size = bitSize / 8;
    needBytes(bytes, offset, size, where);
    let value = 0;
    for (let i = 0; i < size; i++) {
      value = (value << 8) | (bytes[littleEndian ? offset + size - 1 - i : offset + i] ?? 0);
    }
    const unused = 32 - bitSize;
    return signed ? (value << unused) >> unused : value >>> 0;
  }
  const value = readBits(bytes, bitOffset, bitSize, littleEndian, where);
  const result = signed ? BigInt.asIntN(bitSize, value) : value;
  return bitSize <= 32 ? Number(result) : result;
}

/** Stores the low `bitSize` bits of `value` there, and leaves the bits around them. */
export function writeBits(
  bytes: Uint8Array,
  bitOffset: number,
  bitSize: number,
  littleEndian: boolean,
  value: bigint,
  where: Where,
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
