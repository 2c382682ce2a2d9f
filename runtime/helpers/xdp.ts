// Helpers of XDP programs, with the bounds of Linux's net/core/filter.c. The frame around a packet:
//
//   hardStart            dataMeta     data               dataEnd     hardEnd
//   | struct xdp_frame |    | metadata | packet             |           |
//
// `hardEnd` is data_hard_end: what Linux keeps behind it (skb_shared_info) is not in the frame.

import { Cpu, XdpFrame } from '../layout';

const EFAULT: i64 = 14;
const EACCES: i64 = 13;
const EINVAL: i64 = 22;

/** What Linux keeps at the start of the headroom: struct xdp_frame, bytes. */
const XDP_FRAME: u32 = 40;
/** A packet never gets shorter than an Ethernet header. */
const ETH_HLEN: u32 = 14;
/** Metadata is at most this long: its length is kept in 8 bits. */
const METADATA: u32 = 255;

/** Moves the start of the packet, and its metadata with it. */
export function bpf_xdp_adjust_head(cpu: usize, r1: u64, r2: u64): u64 {
  const frame = changetype<XdpFrame>(r1 as usize);
  const delta = r2 as i32;
  const metadata = frame.data - frame.dataMeta;
  const data = (frame.data as i64) + delta;
  if (data < ((frame.hardStart + XDP_FRAME + metadata) as i64) || data > (frame.dataEnd as i64) - ETH_HLEN) {
    return -EINVAL as u64;
  }
  if (metadata) memory.copy((frame.dataMeta + delta) as usize, frame.dataMeta, metadata);
  frame.dataMeta += delta;
  frame.data = data as u32;
  changetype<Cpu>(cpu).packetStart = frame.dataMeta;
  return 0;
}

/** Moves the end of the packet; what is gained is zeroed. */
export function bpf_xdp_adjust_tail(cpu: usize, r1: u64, r2: u64): u64 {
  const frame = changetype<XdpFrame>(r1 as usize);
  const delta = r2 as i32;
  const end = (frame.dataEnd as i64) + delta;
  if (end > (frame.hardEnd as i64) || end < (frame.data + ETH_HLEN as i64)) return -EINVAL as u64;
  if (delta > 0) memory.fill(frame.dataEnd, 0, delta);
  frame.dataEnd = end as u32;
  changetype<Cpu>(cpu).packetEnd = frame.dataEnd;
  return 0;
}

/** Moves the start of the metadata, which ends where the packet begins. */
export function bpf_xdp_adjust_meta(cpu: usize, r1: u64, r2: u64): u64 {
  const frame = changetype<XdpFrame>(r1 as usize);
  const meta = (frame.dataMeta as i64) + (r2 as i32);
  if (meta < (frame.hardStart + XDP_FRAME as i64) || meta > (frame.data as i64)) return -EINVAL as u64;
  const length = frame.data - (meta as u32);
  if (length & 3 || length > METADATA) return -EACCES as u64;
  frame.dataMeta = meta as u32;
  changetype<Cpu>(cpu).packetStart = frame.dataMeta;
  return 0;
}

export function bpf_xdp_get_buff_len(cpu: usize, r1: u64): u64 {
  const frame = changetype<XdpFrame>(r1 as usize);
  return (frame.dataEnd - frame.data) as u64;
}

/** 0 when [offset, offset + size) lies in the packet, or the error that bpf_xdp_pointer gives. */
function outside(frame: XdpFrame, offset: u32, size: u32): i64 {
  if (offset > 0xffff || size > 0xffff) return -EFAULT;
  return offset + size > frame.dataEnd - frame.data ? -EINVAL : 0;
}

export function bpf_xdp_load_bytes(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64): u64 {
  const frame = changetype<XdpFrame>(r1 as usize);
  const error = outside(frame, r2 as u32, r4 as u32);
  if (error) return error as u64;
  memory.copy(r3 as usize, frame.data + (r2 as u32), r4 as u32);
  return 0;
}

export function bpf_xdp_store_bytes(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64): u64 {
  const frame = changetype<XdpFrame>(r1 as usize);
  const error = outside(frame, r2 as u32, r4 as u32);
  if (error) return error as u64;
  memory.copy(frame.data + (r2 as u32), r3 as usize, r4 as u32);
  return 0;
}
