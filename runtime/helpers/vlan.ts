// VLAN tags of socket buffers: the outermost one is kept beside the packet, as a device that strips it gives it; the
// others are in the packet.

import { Cpu, SkbFrame } from '../layout';
import { EINVAL, ENOMEM } from '../maps/errno';
import { moved, reserve } from '../skb';

const TAG: u32 = 4;
const ADDRESSES: u32 = 12;
const ETH_HLEN: u32 = 14;
/** 802.1Q and 802.1ad, in network byte order. */
const VLAN: u32 = 0x0081;
const SERVICE_VLAN: u32 = 0xa888;
const ETH_P_802_3: u32 = 0x0100;
const ETH_P_802_2: u32 = 0x0400;

@inline export function isTag(protocol: u32): bool {
  return protocol == VLAN || protocol == SERVICE_VLAN;
}

function keep(frame: SkbFrame, protocol: u32, tci: u32): void {
  frame.vlanPresent = 1;
  frame.vlanProto = protocol;
  frame.vlanTci = tci;
}

function forget(frame: SkbFrame): void {
  frame.vlanPresent = 0;
  frame.vlanProto = 0;
  frame.vlanTci = 0;
}

/** bpf_skb_vlan_push(skb, vlan_proto, vlan_tci). */
export function bpf_skb_vlan_push(cpu: usize, r1: u64, r2: u64, r3: u64): u64 {
  const frame = changetype<SkbFrame>(r1 as usize);
  const protocol = (r2 as u32) & 0xffff;
  if (frame.vlanPresent) {
    if (frame.head != frame.hardStart + frame.macHeader) return -EINVAL as i64 as u64;
    reserve(frame, TAG, 0);
    frame.head -= TAG;
    memory.copy(frame.head, frame.head + TAG, ADDRESSES);
    store<u16>(frame.head + ADDRESSES, frame.vlanProto as u16);
    store<u16>(frame.head + ADDRESSES + 2, bswap(frame.vlanTci as u16));
    frame.macHeader -= TAG;
    frame.networkHeader -= TAG;
    frame.protocol = frame.vlanProto;
  }
  keep(frame, isTag(protocol) ? protocol : VLAN, (r3 as u32) & 0xffff);
  frame.macLength = frame.networkHeader - frame.macHeader;
  moved(changetype<Cpu>(cpu), frame);
  return 0;
}

/** Takes the tag out of the packet; its control information, or -ENOMEM when there is no room for one. */
function takeOut(frame: SkbFrame): i32 {
  if (frame.len < ETH_HLEN + TAG) return -ENOMEM;
  const tci = bswap(load<u16>(frame.head, ETH_HLEN)) as i32;
  const inner = load<u16>(frame.head, ETH_HLEN + 2) as u32;
  const first = frame.len >= ETH_HLEN + TAG + 2 ? (load<u16>(frame.head, ETH_HLEN + TAG) as u32) : 0;
  frame.protocol = bswap(inner as u16) >= 0x600 ? inner : first == 0xffff ? ETH_P_802_3 : ETH_P_802_2;
  memory.copy(frame.head + TAG, frame.head, ADDRESSES);
  frame.head += TAG;
  frame.len -= TAG;
  frame.macHeader += TAG;
  const network = frame.head + ETH_HLEN - frame.hardStart;
  if (frame.networkHeader < network) frame.networkHeader = network;
  frame.macLength = frame.networkHeader - frame.macHeader;
  return tci;
}

export function bpf_skb_vlan_pop(cpu: usize, r1: u64): u64 {
  const frame = changetype<SkbFrame>(r1 as usize);
  if (frame.vlanPresent) forget(frame);
  else {
    if (!isTag(frame.protocol)) return 0;
    const tci = takeOut(frame);
    if (tci < 0) return tci as i64 as u64;
  }
  if (isTag(frame.protocol)) {
    const protocol = frame.protocol;
    const tci = takeOut(frame);
    if (tci >= 0) keep(frame, protocol, tci as u32);
    else {
      moved(changetype<Cpu>(cpu), frame);
      return tci as i64 as u64;
    }
  }
  moved(changetype<Cpu>(cpu), frame);
  return 0;
}
