// Helpers for values that belong to sockets, and to the cgroup that a program is run for.

import { BpfMap, Cpu, POINTER_BASE } from '../layout';
import { EINVAL } from '../maps/errno';
import { storage_delete, storage_find, storage_make } from '../maps/storage';

const CREATE: u64 = 1;

/** bpf_sk_storage_get(map, sk, value, flags). */
export function bpf_sk_storage_get(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64): u64 {
  const owner = r2 as usize;
  if (!owner || r4 > CREATE) return 0;
  const found = r4 & CREATE ? storage_make(r1 as usize, owner, r3 as usize) : storage_find(r1 as usize, owner);
  return found ? POINTER_BASE | (found as u64) : 0;
}

export function bpf_sk_storage_delete(cpu: usize, r1: u64, r2: u64): u64 {
  if (!r2) return -EINVAL as i64 as u64;
  return storage_delete(r1 as usize, r2 as usize) as i64 as u64;
}

/** bpf_get_local_storage(map, flags). */
export function bpf_get_local_storage(cpu: usize, r1: u64, r2: u64): u64 {
  const map = changetype<BpfMap>(r1 as usize);
  return POINTER_BASE | ((map.values + changetype<Cpu>(cpu).id * map.cpuStride) as u64);
}
