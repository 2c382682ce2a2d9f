// Checksums and hashes of socket buffers. Sums are those of RFC 1071; see checksum.ts.

import { SkbFrame } from '../layout';
import { EFAULT, EINVAL } from '../maps/errno';
import { CHECKSUM_COMPLETE, CHECKSUM_NONE, CHECKSUM_UNNECESSARY } from '../skb';
import { add } from './checksum';
import { within } from './skb';
import { isTag } from './vlan';

/** Bytes of a VLAN tag, of the link header. */
const TAG: u32 = 4;
const ETH_HLEN: u32 = 14;
const EACCES: i32 = 13;
const ENOTSUPP: i32 = 524;

const FIELD_SIZE: u64 = 0xf;
const PSEUDO_HEADER: u64 = 1 << 4;
const MARK_MANGLED_0: u64 = 1 << 5;
const MARK_ENFORCE: u64 = 1 << 6;
const IS_IPV6: u64 = 1 << 7;
const MANGLED_0: u16 = 0xffff;

const LEVEL_QUERY: u64 = 0;
const LEVEL_INC: u64 = 1;
const LEVEL_DEC: u64 = 2;
const LEVEL_RESET: u64 = 3;
const MAX_LEVEL: u32 = 3;

@inline function error(errno: i32): u64 {
  return -errno as i64 as u64;
}

/** The complement of a sum in 16 bits. */
function fold(sum: u32): u16 {
  const both = (sum & 0xffff) + (sum >> 16);
  return ~((both & 0xffff) + (both >> 16)) as u16;
}

@inline function add16(a: u16, b: u16): u16 {
  const sum = a + b;
  return sum + u16(sum < a);
}

/** The checksum at `at`, when `from` becomes `to` in what it is over. */
function replace4(at: usize, from: u32, to: u32): void {
  const rest = add(~(load<u16>(at) as u32), ~from);
  store<u16>(at, fold(add(rest, to)));
}

function replace2(at: usize, from: u16, to: u16): void {
  store<u16>(at, ~add16(add16(~load<u16>(at), ~from), to));
}

function replaceBy(at: usize, difference: u32): void {
  store<u16>(at, fold(add(difference, ~(load<u16>(at) as u32))));
}

/** Where a checksum at `offset` of the packet is; 0 when there is none. */
function sumAt(frame: SkbFrame, offset: u32): usize {
  return offset > 0xffff || offset & 1 || !within(frame, offset, 2) ? 0 : frame.head + offset;
}

/** bpf_l3_csum_replace(skb, offset, from, to, flags). */
export function bpf_l3_csum_replace(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  if (r5 & ~FIELD_SIZE) return error(EINVAL);
  const at = sumAt(changetype<SkbFrame>(r1 as usize), r2 as u32);
  if (!at) return error(EFAULT);
  switch ((r5 & FIELD_SIZE) as u32) {
    case 0:
      if (r3) return error(EINVAL);
      replaceBy(at, r4 as u32);
      break;
    case 2: replace2(at, r3 as u16, r4 as u16); break;
    case 4: replace4(at, r3 as u32, r4 as u32); break;
    default: return error(EINVAL);
  }
  return 0;
}

/** bpf_l4_csum_replace(skb, offset, from, to, flags). */
export function bpf_l4_csum_replace(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  if (r5 & ~(FIELD_SIZE | PSEUDO_HEADER | MARK_MANGLED_0 | MARK_ENFORCE | IS_IPV6)) return error(EINVAL);
  const frame = changetype<SkbFrame>(r1 as usize);
  const at = sumAt(frame, r2 as u32);
  if (!at) return error(EFAULT);
  if (r5 & MARK_MANGLED_0 && !(r5 & MARK_ENFORCE) && !load<u16>(at)) return 0;
  const completes = frame.summed == CHECKSUM_COMPLETE && (r5 & PSEUDO_HEADER) != 0;
  switch ((r5 & FIELD_SIZE) as u32) {
    case 0:
      if (r3) return error(EINVAL);
      replaceBy(at, r4 as u32);
      if (completes && !(r5 & IS_IPV6)) frame.sum = ~add(r4 as u32, ~frame.sum);
      break;
    case 2: {
      const from = (r3 as u16) as u32;
      const to = (r4 as u16) as u32;
      replace4(at, from, to);
      if (completes) frame.sum = ~add(add(~frame.sum, ~from), to);
      break;
    }
    case 4:
      replace4(at, r3 as u32, r4 as u32);
      if (completes) frame.sum = ~add(add(~frame.sum, ~(r3 as u32)), r4 as u32);
      break;
    default: return error(EINVAL);
  }
  if (r5 & MARK_MANGLED_0 && !load<u16>(at)) store<u16>(at, MANGLED_0);
  return 0;
}

export function bpf_csum_update(cpu: usize, r1: u64, r2: u64): u64 {
  const frame = changetype<SkbFrame>(r1 as usize);
  if (frame.summed != CHECKSUM_COMPLETE) return error(ENOTSUPP);
  frame.sum = add(frame.sum, r2 as u32);
  return frame.sum;
}

/** bpf_csum_level(skb, level): how many checksums are known to be right. */
export function bpf_csum_level(cpu: usize, r1: u64, r2: u64): u64 {
  const frame = changetype<SkbFrame>(r1 as usize);
  if (r2 > LEVEL_RESET) return error(EINVAL);
  if (r2 == LEVEL_QUERY) return frame.summed == CHECKSUM_UNNECESSARY ? (frame.sumLevel as u64) : error(EACCES);
  const known = frame.summed == CHECKSUM_UNNECESSARY;
  if (r2 == LEVEL_INC) {
    if (known) frame.sumLevel = min(frame.sumLevel + 1, MAX_LEVEL);
    else if (frame.summed == CHECKSUM_NONE) {
      frame.summed = CHECKSUM_UNNECESSARY;
      frame.sumLevel = 0;
    }
  } else if (known) {
    if (r2 == LEVEL_DEC && frame.sumLevel) frame.sumLevel--;
    else {
      frame.summed = CHECKSUM_NONE;
      frame.sumLevel = 0;
    }
  }
  return 0;
}

/** A hash of the addresses: not Linux's, which is keyed at random, but as its, not 0 and the same both ways. */
function computeHash(frame: SkbFrame): u32 {
  const network = frame.hardStart + frame.networkHeader;
  let hash: u32 = 0x9e3779b9 ^ frame.protocol;
  const left = frame.tail - network;
  if (frame.protocol == 0x0008 && left >= 20) hash ^= load<u32>(network, 12) ^ load<u32>(network, 16) ^ load<u8>(network, 9);
  else if (frame.protocol == 0xdd86 && left >= 40) {
    for (let at: u32 = 8; at < 40; at += 4) hash ^= load<u32>(network + at);
    hash ^= load<u8>(network, 6);
  }
  hash = (hash ^ (hash >> 16)) * 0x85ebca6b;
  hash = (hash ^ (hash >> 13)) * 0xc2b2ae35;
  hash ^= hash >> 16;
  return hash ? hash : 1;
}

export function bpf_get_hash_recalc(cpu: usize, r1: u64): u64 {
  const frame = changetype<SkbFrame>(r1 as usize);
  if (!frame.hashKnown) {
    frame.hash = computeHash(frame);
    frame.hashKnown = 1;
  }
  return frame.hash;
}

export function bpf_set_hash(cpu: usize, r1: u64, r2: u64): u64 {
  const frame = changetype<SkbFrame>(r1 as usize);
  frame.hash = r2 as u32;
  frame.hashKnown = 1;
  return 0;
}

export function bpf_set_hash_invalid(cpu: usize, r1: u64): u64 {
  const frame = changetype<SkbFrame>(r1 as usize);
  frame.hash = 0;
  frame.hashKnown = 0;
  return 0;
}

/** The protocol behind VLAN tags in the packet. */
function innerProtocol(frame: SkbFrame): u32 {
  let protocol = frame.protocol;
  let at = frame.head + (frame.macLength ? frame.macLength - TAG : ETH_HLEN);
  while (isTag(protocol)) {
    if (at + TAG > frame.tail) return 0;
    protocol = load<u16>(at, 2);
    at += TAG;
  }
  return protocol;
}

/** bpf_skb_ecn_set_ce(skb): marks an IP packet that may be marked as having met congestion; whether it is marked. */
export function bpf_skb_ecn_set_ce(cpu: usize, r1: u64): u64 {
  const frame = changetype<SkbFrame>(r1 as usize);
  const network = frame.hardStart + frame.networkHeader;
  const left = frame.tail - network;
  const protocol = innerProtocol(frame);
  if (protocol == 0x0008 && left >= 20) {
    const tos = load<u8>(network, 1);
    // After this 0 is CE, 1 not ECN-capable.
    const ecn = (tos + 1) & 3;
    if (!(ecn & 2)) return ecn ? 0 : 1;
    store<u16>(network, add16(load<u16>(network, 10), add16(0xfbff, bswap(ecn as u16))), 10);
    store<u8>(network, tos | 3, 1);
    return 1;
  }
  if (protocol == 0xdd86 && left >= 40) {
    if (!(load<u8>(network, 1) & 0x30)) return 0;
    store<u8>(network, load<u8>(network, 1) | 0x30, 1);
    return 1;
  }
  return 0;
}
