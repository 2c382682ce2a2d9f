// Helpers that read, write, lengthen and shorten the packet of a socket buffer, with the bounds of Linux's
// net/core/filter.c.

import { Cpu, SkbFrame, VIEW_DISSECTOR } from '../layout';
import { EFAULT, EINVAL, ENOMEM, EOPNOTSUPP } from '../maps/errno';
import { moved, NOT_SET, reserve } from '../skb';

/** What Linux answers where an operation does not exist for this packet. */
const ENOTSUPP: i32 = 524;
const BPF_F_RECOMPUTE_CSUM: u64 = 1;
const BPF_F_INVALIDATE_HASH: u64 = 2;
/** The longest packet that helpers make: what fits into four pages beside what Linux keeps behind it. */
const MAX_LENGTH: u32 = 16384 - 320;
/** INT_MAX. */
const MOST_OFFSET: u32 = 0x7fffffff;
const MAC_HEADER: u32 = 0;
const NETWORK_HEADER: u32 = 1;
const IPV4: u32 = 0x0008;
const IPV6: u32 = 0xdd86;
const IPV4_HEADER: u32 = 20;
const IPV6_HEADER: u32 = 40;
const OTHER_HOST: u32 = 3;

// bpf_skb_adjust_room.
const ROOM_FIXED_GSO: u64 = 1 << 0;
const ROOM_ENCAP_IPV4: u64 = 1 << 1;
const ROOM_ENCAP_IPV6: u64 = 1 << 2;
const ROOM_ENCAP_GRE: u64 = 1 << 3;
const ROOM_ENCAP_UDP: u64 = 1 << 4;
const ROOM_NO_CSUM_RESET: u64 = 1 << 5;
const ROOM_ENCAP_ETH: u64 = 1 << 6;
const ROOM_DECAP_IPV4: u64 = 1 << 7;
const ROOM_DECAP_IPV6: u64 = 1 << 8;
const ROOM_DECAP: u64 = ROOM_DECAP_IPV4 | ROOM_DECAP_IPV6;
const ROOM_ENCAP: u64 = ROOM_ENCAP_IPV4 | ROOM_ENCAP_IPV6;
const ROOM_L2_SHIFT: u64 = 56;
const ROOM_FLAGS: u64 = 0x1ff | (0xff << ROOM_L2_SHIFT);
const ROOM_NET: u32 = 0;
const ROOM_MAC: u32 = 1;
const MAX_ROOM: u32 = 0xfff;
const EALREADY: i32 = 114;

@inline function error(errno: i32): u64 {
  return -errno as i64 as u64;
}

@inline function frameOf(r1: u64): SkbFrame {
  return changetype<SkbFrame>(r1 as usize);
}

@inline function done(cpu: usize, frame: SkbFrame): u64 {
  moved(changetype<Cpu>(cpu), frame);
  return 0;
}

function clearHash(frame: SkbFrame): void {
  frame.hash = 0;
  frame.hashKnown = 0;
}

/** Whether `size` bytes at `offset` lie in the packet. */
@inline export function within(frame: SkbFrame, offset: u32, size: u32): bool {
  return (offset as u64) + size <= (frame.len as u64);
}

export function bpf_skb_load_bytes(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64): u64 {
  const frame = frameOf(r1);
  const none = frame.pointers == VIEW_DISSECTOR;
  if (none || (r2 as u32) > MOST_OFFSET || !within(frame, r2 as u32, r4 as u32)) {
    memory.fill(r3 as usize, 0, r4 as u32);
    return error(EFAULT);
  }
  memory.copy(r3 as usize, frame.head + (r2 as u32), r4 as u32);
  return 0;
}

/** bpf_skb_load_bytes_relative(skb, offset, to, len, start_header). */
export function bpf_skb_load_bytes_relative(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  const frame = frameOf(r1);
  const header = r5 as u32;
  const start = frame.hardStart + (header == MAC_HEADER ? frame.macHeader : frame.networkHeader);
  const from = (start as u64) + (r2 as u32);
  if (r2 as u32 > 0xffff || header > NETWORK_HEADER || from + (r4 as u32) > (frame.tail as u64)) {
    memory.fill(r3 as usize, 0, r4 as u32);
    return error(EFAULT);
  }
  memory.copy(r3 as usize, from as usize, r4 as u32);
  return 0;
}

export function bpf_skb_store_bytes(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  const frame = frameOf(r1);
  if (r5 & ~(BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH)) return error(EINVAL);
  if ((r2 as u32) > MOST_OFFSET || !within(frame, r2 as u32, r4 as u32)) return error(EFAULT);
  memory.copy(frame.head + (r2 as u32), r3 as usize, r4 as u32);
  if (r5 & BPF_F_INVALIDATE_HASH) clearHash(frame);
  return 0;
}

/** The packet lies in one piece already; asked for more than there is, there is nothing to pull. */
export function bpf_skb_pull_data(cpu: usize, r1: u64, r2: u64): u64 {
  const frame = frameOf(r1);
  return r2 as u32 > frame.len ? error(ENOMEM) : done(cpu, frame);
}

/** A packet stays at least as long as what is before its innermost known header. */
function shortest(frame: SkbFrame): u32 {
  const header = frame.transportHeader == NOT_SET ? frame.networkHeader : frame.transportHeader;
  const offset = (frame.hardStart + header - frame.head) as i32;
  return max(offset, 0) as u32;
}

export function bpf_skb_change_tail(cpu: usize, r1: u64, r2: u64, r3: u64): u64 {
  const frame = frameOf(r1);
  const length = r2 as u32;
  if (r3 || length > MAX_LENGTH || length < shortest(frame)) return error(EINVAL);
  if (frame.encapsulation) return error(ENOTSUPP);
  if (length > frame.len) {
    reserve(frame, 0, length - frame.len);
    memory.fill(frame.tail, 0, length - frame.len);
  }
  frame.tail = frame.head + length;
  if (frame.gsoSize) {
    frame.gsoSize = 0;
    frame.gsoSegs = 0;
  }
  return done(cpu, frame);
}

export function bpf_skb_change_head(cpu: usize, r1: u64, r2: u64, r3: u64): u64 {
  const frame = frameOf(r1);
  const room = r2 as u32;
  const length = frame.len + room;
  if (r3 || (!frame.gsoSize && length > MAX_LENGTH) || length < frame.len) return error(EINVAL);
  reserve(frame, room, 0);
  frame.head -= room;
  memory.fill(frame.head, 0, room);
  frame.macHeader = frame.head - frame.hardStart;
  frame.macLength = frame.networkHeader - frame.macHeader;
  return done(cpu, frame);
}

export function bpf_skb_change_type(cpu: usize, r1: u64, r2: u64): u64 {
  const frame = frameOf(r1);
  if (frame.pktType > OTHER_HOST || r2 as u32 > OTHER_HOST) return error(EINVAL);
  frame.pktType = r2 as u32;
  return 0;
}

/** Makes room of `size` zero bytes `offset` bytes into the packet; what is before moves, headers with it. */
function push(frame: SkbFrame, offset: u32, size: u32): void {
  reserve(frame, size, 0);
  frame.head -= size;
  memory.copy(frame.head, frame.head + size, offset);
  memory.fill(frame.head + offset, 0, size);
  const same = frame.transportHeader == frame.networkHeader;
  frame.macHeader -= size;
  frame.networkHeader -= size;
  if (same) frame.transportHeader = frame.networkHeader;
  frame.len += size;
}

/** Takes `size` bytes out, `offset` bytes into the packet; false when there are not so many. */
function pull(frame: SkbFrame, offset: u32, size: u32): bool {
  if (!within(frame, offset, size)) return false;
  memory.copy(frame.head + size, frame.head, offset);
  frame.head += size;
  const same = frame.transportHeader == frame.networkHeader;
  frame.macHeader += size;
  frame.networkHeader += size;
  if (same) frame.transportHeader = frame.networkHeader;
  frame.len -= size;
  return true;
}

@inline function linkLength(frame: SkbFrame): u32 {
  return frame.networkHeader - frame.macHeader;
}

/** bpf_skb_change_proto(skb, proto, flags): room for the other IP header. */
export function bpf_skb_change_proto(cpu: usize, r1: u64, r2: u64, r3: u64): u64 {
  const frame = frameOf(r1);
  const to = (r2 as u32) & 0xffff;
  if (r3) return error(EINVAL);
  const difference = IPV6_HEADER - IPV4_HEADER;
  if (frame.protocol == IPV4 && to == IPV6) {
    if (frame.gsoSize) return error(ENOTSUPP);
    push(frame, linkLength(frame), difference);
  } else if (frame.protocol == IPV6 && to == IPV4) {
    if (frame.gsoSize) return error(ENOTSUPP);
    if (!pull(frame, linkLength(frame), difference)) return error(ENOMEM);
  } else return error(ENOTSUPP);
  frame.protocol = to;
  clearHash(frame);
  return done(cpu, frame);
}

/** Bytes of the IP header without options; for other protocols more than any packet has. */
@inline function networkLength(frame: SkbFrame): u32 {
  return frame.protocol == IPV4 ? IPV4_HEADER : frame.protocol == IPV6 ? IPV6_HEADER : 0xffffffff;
}

function grow(frame: SkbFrame, offset: u32, size: u32, flags: u64): i32 {
  const inner = (flags >> ROOM_L2_SHIFT) as u32;
  const encapsulates = (flags & ROOM_ENCAP) != 0;
  if (frame.gsoSize) return -ENOTSUPP;
  const link = linkLength(frame);
  if (encapsulates) {
    if ((flags & ROOM_ENCAP) == ROOM_ENCAP) return -EINVAL;
    if ((flags & (ROOM_ENCAP_GRE | ROOM_ENCAP_UDP)) == (ROOM_ENCAP_GRE | ROOM_ENCAP_UDP)) return -EINVAL;
    if (flags & ROOM_ENCAP_ETH && inner < 14) return -EINVAL;
    if (frame.encapsulation) return -EALREADY;
    if (inner > size) return -EINVAL;
  }
  push(frame, offset, size);
  if (!encapsulates) return 0;
  frame.encapsulation = 1;
  frame.networkHeader = frame.head + link - frame.hardStart;
  if (flags & (ROOM_ENCAP_GRE | ROOM_ENCAP_UDP)) {
    frame.transportHeader = frame.networkHeader + (flags & ROOM_ENCAP_IPV6 ? IPV6_HEADER : IPV4_HEADER);
  }
  if (frame.protocol == IPV4 && flags & ROOM_ENCAP_IPV6) changeProtocol(frame, IPV6);
  else if (frame.protocol == IPV6 && flags & ROOM_ENCAP_IPV4) changeProtocol(frame, IPV4);
  return 0;
}

function shrink(frame: SkbFrame, offset: u32, size: u32, flags: u64): i32 {
  if (flags & ~(ROOM_FIXED_GSO | ROOM_DECAP | ROOM_NO_CSUM_RESET)) return -EINVAL;
  if (frame.gsoSize) return -ENOTSUPP;
  if (!pull(frame, offset, size)) return -ENOMEM;
  if (frame.protocol == IPV4 && flags & ROOM_DECAP_IPV6) changeProtocol(frame, IPV6);
  else if (frame.protocol == IPV6 && flags & ROOM_DECAP_IPV4) changeProtocol(frame, IPV4);
  return 0;
}

function changeProtocol(frame: SkbFrame, to: u32): void {
  frame.protocol = to;
}

/** bpf_skb_adjust_room(skb, len_diff, mode, flags): room behind the link or the network header, or less of it. */
export function bpf_skb_adjust_room(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64): u64 {
  const frame = frameOf(r1);
  const difference = r2 as i32;
  const size = (difference < 0 ? 0 - difference : difference) as u32;
  const mode = r3 as u32;
  if (r4 & ~ROOM_FLAGS) return error(EINVAL);
  if (size > MAX_ROOM) return error(EFAULT);
  if (frame.protocol != IPV4 && frame.protocol != IPV6) return error(ENOTSUPP);
  let offset = linkLength(frame);
  if (mode == ROOM_NET) offset += networkLength(frame);
  else if (mode != ROOM_MAC) return error(ENOTSUPP);
  let least = networkLength(frame);
  if (r4 & ROOM_DECAP) {
    if (difference >= 0) return error(EINVAL);
    if ((r4 & ROOM_DECAP) == ROOM_DECAP) return error(EINVAL);
    least = r4 & ROOM_DECAP_IPV4 ? IPV4_HEADER : IPV6_HEADER;
  }
  const length = frame.tail - frame.hardStart - frame.networkHeader;
  if (difference < 0 ? size >= length || length - size < least : frame.len + size > MAX_LENGTH && !frame.gsoSize) {
    return error(ENOTSUPP);
  }
  const result = difference < 0 ? shrink(frame, offset, size, r4) : grow(frame, offset, size, r4);
  moved(changetype<Cpu>(cpu), frame);
  return result as i64 as u64;
}

/** bpf_skb_set_tstamp(skb, tstamp, tstamp_type). */
export function bpf_skb_set_tstamp(cpu: usize, r1: u64, r2: u64, r3: u64): u64 {
  const frame = frameOf(r1);
  const type = r3 as u32;
  if (frame.protocol != IPV4 && frame.protocol != IPV6) return error(EOPNOTSUPP);
  if (type > 2 || (type && !r2)) return error(EINVAL);
  frame.tstamp = r2;
  frame.tstampType = type;
  return 0;
}
