// Bloom filters, as Linux's bloom_filter.c has them: a set of values that can be added to and asked. What was added is
// always found; what was not may be found as well. No pointer leads here.
//
// Each hash function picks one bit. They are one function (Bob Jenkins' lookup3, public domain) with seeds in a row, as
// in Linux, and there are as many bits as there: with BPF_F_ZERO_SEED the false positives are the same too.

import { BpfMap } from '../layout';
import { EINVAL, ENOENT } from './errno';
import { HEADER, place } from './place';
import { BPF_F_ZERO_SEED } from './types';

/** What a filter keeps besides its bits (BpfMap.state). */
@unmanaged class Filter {
  /** Number of hash functions. */
  hashes: u32 = 0;
  /** Number of bits less one. */
  mask: u32 = 0;
  seed: u32 = 0;
}

/** Hash functions when map_extra asks for none. */
const DEFAULT_HASHES: u32 = 5;

/** How many filters were made: each has a seed of its own. */
let made: u32 = 0;

/** Bits of a filter: about entries * hashes / ln 2, a power of two from 64 to 2^32. */
function bitCount(maxEntries: u32, hashes: u32): u64 {
  const picked = (maxEntries as u64) * hashes;
  const wanted = picked / 5 * 7;
  if (picked > 0xffffffff || wanted > 0x80000000) return 0x100000000;
  let bits: u64 = 64;
  while (bits < wanted) bits <<= 1;
  return bits;
}

export function bloom_create(draft: BpfMap): usize {
  const hashes = draft.extra ? draft.extra : DEFAULT_HASHES;
  const bits = bitCount(draft.maxEntries, hashes);
  const map = place(draft, offsetof<Filter>(), bits >> 6, 8, true);
  if (!map) return 0;
  const header = changetype<BpfMap>(map);
  header.length = 0;
  header.state = map + HEADER;
  const filter = changetype<Filter>(header.state);
  filter.hashes = hashes;
  filter.mask = (bits - 1) as u32;
  if (!(draft.flags & BPF_F_ZERO_SEED)) filter.seed = ++made * 0x9e3779b1;
  return map;
}

/** The next `size` bytes (at most 4) as a little-endian number, zeros appended. */
function word(at: usize, size: u32): u32 {
  if (size >= 4) return load<u32>(at);
  let value: u32 = 0;
  for (let i: u32 = 0; i < size; i++) value |= (load<u8>(at + i) as u32) << (i << 3);
  return value;
}

/** lookup3 of `size` bytes, in the form that Linux calls jhash. */
function lookup3(at: usize, size: u32, seed: u32): u32 {
  let a: u32 = 0xdeadbeef + size + seed;
  let b = a;
  let c = a;
  for (; size > 12; at += 12, size -= 12) {
    a += load<u32>(at);
    b += load<u32>(at, 4);
    c += load<u32>(at, 8);
    a = (a - c) ^ rotl(c, 4); c += b;
    b = (b - a) ^ rotl(a, 6); a += c;
    c = (c - b) ^ rotl(b, 8); b += a;
    a = (a - c) ^ rotl(c, 16); c += b;
    b = (b - a) ^ rotl(a, 19); a += c;
    c = (c - b) ^ rotl(b, 4); b += a;
  }
  a += word(at, size);
  if (size > 4) b += word(at + 4, size - 4);
  if (size > 8) c += word(at + 8, size - 8);
  c = (c ^ b) - rotl(b, 14);
  a = (a ^ c) - rotl(c, 11);
  b = (b ^ a) - rotl(a, 25);
  c = (c ^ b) - rotl(b, 16);
  a = (a ^ c) - rotl(c, 4);
  b = (b ^ a) - rotl(a, 14);
  return (c ^ b) - rotl(b, 24);
}

/** Adds a value. */
export function bloom_push(map: usize, value: usize, flags: u64): i32 {
  if (flags) return -EINVAL;
  const header = changetype<BpfMap>(map);
  const filter = changetype<Filter>(header.state);
  for (let i: u32 = 0; i < filter.hashes; i++) {
    const bit = lookup3(value, header.valueSize, filter.seed + i) & filter.mask;
    const at = header.values + (bit >> 5 << 2);
    store<u32>(at, load<u32>(at) | (1 as u32) << (bit & 31));
  }
  return 0;
}

/** 0 when the value may have been added, -ENOENT when it was not. */
export function bloom_peek(map: usize, value: usize): i32 {
  const header = changetype<BpfMap>(map);
  const filter = changetype<Filter>(header.state);
  for (let i: u32 = 0; i < filter.hashes; i++) {
    const bit = lookup3(value, header.valueSize, filter.seed + i) & filter.mask;
    if (!(load<u32>(header.values + (bit >> 5 << 2)) >> (bit & 31) & 1)) return -ENOENT;
  }
  return 0;
}
