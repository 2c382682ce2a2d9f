// Helpers that hand packets on: to a device, to what a map's element stands for, and copies of them to user space.
// What is to become of the packet is noted on the CPU; the program is to return what the helper returns.

import { BpfMap, Cpu, Program } from '../layout';
import { devmap_hash_lookup, devmap_lookup } from '../maps/devmap';
import { EFAULT, EINVAL } from '../maps/errno';
import { perf_event_output } from '../maps/perf';
import { DEVMAP, DEVMAP_HASH } from '../maps/types';
import { isSkb } from '../skb';

const XDP_ABORTED: u64 = 0;
const XDP_REDIRECT: u64 = 4;
const TC_ACT_SHOT: u64 = 2;
const TC_ACT_REDIRECT: u64 = 7;
/** bpf_redirect: to the way in of the device. */
const BPF_F_INGRESS: u64 = 1;
/** sizeof(struct bpf_redir_neigh). */
const REDIR_NEIGH: u32 = 20;

/** The answers that a program may ask for when a map has no such element: the lowest bits of the flags. */
const ANSWERS: u64 = 3;
const BPF_F_BROADCAST: u64 = 1 << 3;
const BPF_F_EXCLUDE_INGRESS: u64 = 1 << 4;

/** bpf_perf_event_output: the slot, and how many bytes of the context follow the data. */
const BPF_F_INDEX_MASK: u64 = 0xffffffff;
const BPF_F_CTXLEN_MASK: u64 = 0xfffff << 32;

function note(cpu: usize, map: usize, index: u32, ifindex: u32, flags: u32): void {
  const owner = changetype<Cpu>(cpu);
  owner.redirectMap = map;
  owner.redirectIndex = index;
  owner.redirectIfindex = ifindex;
  owner.redirectFlags = flags;
}

/** Classifiers and tunnels answer in words of their own, and may hand a packet to the way in of a device. */
export function bpf_redirect(cpu: usize, r1: u64, r2: u64): u64 {
  if (isSkb(cpu)) {
    if (r2 & ~BPF_F_INGRESS) return TC_ACT_SHOT;
    note(cpu, 0, 0, r1 as u32, r2 as u32);
    return TC_ACT_REDIRECT;
  }
  if (r2) return XDP_ABORTED;
  note(cpu, 0, 0, r1 as u32, 0);
  return XDP_REDIRECT;
}

/** bpf_redirect_map(map, key, flags), as __bpf_xdp_redirect_map has it. The key is an index of 32 bits. */
export function bpf_redirect_map(cpu: usize, r1: u64, r2: u64, r3: u64): u64 {
  const map = r1 as usize;
  const type = changetype<BpfMap>(map).type;
  const devices = type == DEVMAP || type == DEVMAP_HASH;
  if (r3 & ~(ANSWERS | (devices ? BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS : 0))) return XDP_ABORTED;
  const index = r2 as u32;
  const owner = changetype<Cpu>(cpu);
  owner.redirectIndex = index;
  const key = changetype<usize>(owner) + offsetof<Cpu>('redirectIndex');
  const value = type == DEVMAP_HASH ? devmap_hash_lookup(map, key) : devmap_lookup(map, key);
  const broadcast = (r3 & BPF_F_BROADCAST) != 0;
  if (!value && !broadcast) {
    note(cpu, 0, 0, 0, 0);
    return r3 & ANSWERS;
  }
  const ifindex = devices && !broadcast ? load<u32>(value) : 0;
  note(cpu, map, index, ifindex, broadcast ? (r3 as u32) : 0);
  return XDP_REDIRECT;
}

/** bpf_redirect_neigh(ifindex, params, plen, flags). */
export function bpf_redirect_neigh(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64): u64 {
  const size = r3 as u32;
  if ((size && size < REDIR_NEIGH) || r4) return TC_ACT_SHOT;
  note(cpu, 0, 0, r1 as u32, 0);
  return TC_ACT_REDIRECT;
}

export function bpf_redirect_peer(cpu: usize, r1: u64, r2: u64): u64 {
  if (r2) return TC_ACT_SHOT;
  note(cpu, 0, 0, r1 as u32, 0);
  return TC_ACT_REDIRECT;
}

/**
 * bpf_perf_event_output(ctx, map, flags, data, size): as many bytes of the packet follow the data as the upper half of the
 * flags asks for. Programs without a packet may not ask for any.
 */
export function bpf_perf_event_output(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  if (r3 & ~(BPF_F_INDEX_MASK | BPF_F_CTXLEN_MASK)) return -EINVAL as i64 as u64;
  const packet = (r3 & BPF_F_CTXLEN_MASK) >> 32;
  const program = changetype<Program>(changetype<Cpu>(cpu).program);
  const data = load<u32>((r1 as usize) + program.dataField);
  const end = load<u32>((r1 as usize) + program.endField);
  if (packet && program.dataField == program.endField) return -EINVAL as i64 as u64;
  if (packet > ((end - data) as u64)) return -EFAULT as i64 as u64;
  return perf_event_output(
    r2 as usize, r3, r4 as usize, r5, data, packet, changetype<Cpu>(cpu).id,
  ) as i64 as u64;
}
