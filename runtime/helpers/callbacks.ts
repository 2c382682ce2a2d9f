// Helpers that call functions of the program, and the locks in map values, which nobody else takes: one CPU runs.

import { call_back } from '../callback';
import { BpfMap, Cpu, POINTER_BASE } from '../layout';
import { E2BIG, EINVAL } from '../maps/errno';
import { map_lookup, map_next_key } from '../maps/map';
import { ARRAY, PERCPU_ARRAY } from '../maps/types';

/** BPF_MAX_LOOPS. */
const MAX_ROUNDS: u32 = 8 << 20;

@inline function pointer(at: usize): u64 {
  return POINTER_BASE | (at as u64);
}

/** bpf_loop(nr_loops, callback_fn, callback_ctx, flags): how many rounds were begun. */
export function bpf_loop(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64): u64 {
  const rounds = r1 as u32;
  if (r4) return -EINVAL as i64 as u64;
  if (rounds > MAX_ROUNDS) return -E2BIG as i64 as u64;
  for (let i: u32 = 0; i < rounds; i++) {
    if (call_back(changetype<Cpu>(cpu), r2, i, r3, 0, 0, 0)) return i + 1;
  }
  return rounds;
}

/** bpf_for_each_map_elem(map, callback_fn, callback_ctx, flags): for how many elements it was called. */
export function bpf_for_each_map_elem(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64): u64 {
  const owner = changetype<Cpu>(cpu);
  const map = r1 as usize;
  const header = changetype<BpfMap>(map);
  if (r4) return -EINVAL as i64 as u64;
  const size = (header.keySize + 7) & ~7;
  // The callback may delete what it is called for: the next one is looked for before.
  const keys = heap.alloc(size * 2);
  let key = keys;
  let next = keys + size;
  let called: u64 = 0;
  let result = map_next_key(map, 0, key);
  const isArray = header.type == ARRAY || header.type == PERCPU_ARRAY;
  while (!result) {
    result = map_next_key(map, key, next);
    const value = map_lookup(map, key, owner.id);
    if (value || isArray) {
      called++;
      if (call_back(owner, r2, r1, pointer(key), pointer(value), r3, 0)) break;
    }
    const other = key;
    key = next;
    next = other;
  }
  heap.free(keys);
  return called;
}

export function bpf_spin_lock(cpu: usize, r1: u64): u64 {
  return 0;
}

export function bpf_spin_unlock(cpu: usize, r1: u64): u64 {
  return 0;
}

/** bpf_kptr_xchg(dst, ptr): what was there. */
export function bpf_kptr_xchg(cpu: usize, r1: u64, r2: u64): u64 {
  const old = load<u64>(r1 as usize);
  store<u64>(r1 as usize, r2);
  return old;
}
