// Helpers for maps. Arguments and results are eBPF registers: a pointer's low 32 bits are its offset in
// linear memory, an int result is sign-extended to 64 bits.

import { ACCESS_WRITE, BpfMap, Cpu, POINTER_BASE } from '../layout';
import { EPERM } from '../maps/errno';
import { lookupInline, map_delete, map_lookup_percpu, map_peek, map_pop, map_push, updateInline } from '../maps/map';

@inline function pointerOrNull(at: usize): u64 {
  return at ? POINTER_BASE | (at as u64) : 0;
}

/** Whether programs may write to the map. Linux's verifier sees to that; one that was not verified gets -EPERM. */
@inline function isWritable(map: u64): bool {
  return (changetype<BpfMap>(map as usize).access & ACCESS_WRITE) != 0;
}

export function bpf_map_lookup_elem(cpu: usize, r1: u64, r2: u64): u64 {
  return pointerOrNull(lookupInline(r1 as usize, r2 as usize, changetype<Cpu>(cpu).id));
}

export function bpf_map_update_elem(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64): u64 {
  if (!isWritable(r1)) return -EPERM as i64 as u64;
  return updateInline(r1 as usize, r2 as usize, r3 as usize, r4, changetype<Cpu>(cpu).id) as i64 as u64;
}

export function bpf_map_delete_elem(cpu: usize, r1: u64, r2: u64): u64 {
  if (!isWritable(r1)) return -EPERM as i64 as u64;
  return map_delete(r1 as usize, r2 as usize) as i64 as u64;
}

export function bpf_map_push_elem(cpu: usize, r1: u64, r2: u64, r3: u64): u64 {
  if (!isWritable(r1)) return -EPERM as i64 as u64;
  return map_push(r1 as usize, r2 as usize, r3) as i64 as u64;
}

export function bpf_map_pop_elem(cpu: usize, r1: u64, r2: u64): u64 {
  if (!isWritable(r1)) return -EPERM as i64 as u64;
  return map_pop(r1 as usize, r2 as usize) as i64 as u64;
}

export function bpf_map_peek_elem(cpu: usize, r1: u64, r2: u64): u64 {
  return map_peek(r1 as usize, r2 as usize) as i64 as u64;
}

export function bpf_map_lookup_percpu_elem(cpu: usize, r1: u64, r2: u64, r3: u64): u64 {
  return pointerOrNull(map_lookup_percpu(r1 as usize, r2 as usize, r3 as u32));
}
