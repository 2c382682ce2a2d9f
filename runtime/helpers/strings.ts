// Numbers in texts, and comparing texts.

import { EINVAL } from '../maps/errno';

const ERANGE: i32 = 34;
const SIGN: u32 = 0x2d;
const PLUS: u32 = 0x2b;
const ZERO: u32 = 0x30;

@inline function isSpace(byte: u32): bool {
  return byte == 0x20 || (byte >= 9 && byte <= 13) || byte == 0xa0;
}

/** The value of a digit, 255 for what is none. */
function digit(byte: u32): u32 {
  if (byte >= ZERO && byte < ZERO + 10) return byte - ZERO;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : 255;
}

// What was read: the number, whether it is negative, and why it is none.
let value: u64 = 0;
let negative: bool = false;
let refusal: i32 = 0;

/** Reads a number of `size` bytes at most; how many bytes it takes (Linux: __bpf_strtoull). */
function parse(at: usize, size: u32, flags: u64): u32 {
  value = 0;
  negative = false;
  refusal = -EINVAL;
  if (!size || flags & ~31) return 0;
  let base = (flags & 31) as u32;
  if (base != 0 && base != 8 && base != 10 && base != 16) return 0;
  let i: u32 = 0;
  while (i < size && isSpace(load<u8>(at + i))) i++;
  if (i < size && load<u8>(at + i) == SIGN) {
    negative = true;
    i++;
  }
  if (i == size) return 0;
  // As many digits as a number with its prefix and its end can have.
  const end = min(size, i + 63);
  if (i < end && load<u8>(at + i) == PLUS) return 0;
  const hex = i + 2 < end && load<u8>(at + i) == ZERO && (load<u8>(at + i + 1) | 0x20) == 0x78 && digit(load<u8>(at + i + 2)) < 16;
  if (base == 0) base = hex ? 16 : load<u8>(at + i) == ZERO ? 8 : 10;
  if (base == 16 && hex) i += 2;
  const first = i;
  while (i < end) {
    const one = digit(load<u8>(at + i));
    if (one >= base) break;
    if (value > (u64.MAX_VALUE - one) / base) {
      refusal = -ERANGE;
      return 0;
    }
    value = value * base + one;
    i++;
  }
  if (i == first) return 0;
  refusal = 0;
  return i;
}

/** bpf_strtol(buf, buf_len, flags, res). */
export function bpf_strtol(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64): u64 {
  const length = parse(r1 as usize, r2 as u32, r3);
  if (refusal) return refusal as i64 as u64;
  const limit: u64 = negative ? 1 << 63 : (1 << 63) - 1;
  if (value > limit) return -ERANGE as i64 as u64;
  store<u64>(r4 as usize, negative ? 0 - value : value);
  return length;
}

/** bpf_strtoul(buf, buf_len, flags, res). */
export function bpf_strtoul(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64): u64 {
  const length = parse(r1 as usize, r2 as u32, r3);
  if (refusal) return refusal as i64 as u64;
  if (negative) return -EINVAL as i64 as u64;
  store<u64>(r4 as usize, value);
  return length;
}

/** bpf_strncmp(s1, s1_sz, s2): as strncmp, where s2 is a constant that ends with 0. */
export function bpf_strncmp(cpu: usize, r1: u64, r2: u64, r3: u64): u64 {
  const size = r2 as u32;
  for (let i: u32 = 0; i < size; i++) {
    const a = load<u8>((r1 as usize) + i) as i32;
    const b = load<u8>((r3 as usize) + i) as i32;
    if (a != b) return (a < b ? -1 : 1) as i64 as u64;
    if (!a) break;
  }
  return 0;
}
