// Maps of every type: making them in linear memory, and the operations of programs and of the system call.
// Address 0 is null; errors are negative errno values.
//
// A map is one block: the header (BpfMap), then bucket heads, spare elements and the elements themselves.

import { ACCESS_READ, ACCESS_WRITE, BpfMap } from '../layout';
import {
  array_lookup, array_next_key, array_update, percpu_array_lookup, percpu_array_update, percpu_array_update_all,
} from './array';
import { EINVAL, ENOENT, EOPNOTSUPP } from './errno';
import {
  htab_delete, htab_lookup, htab_next_key, htab_update, percpu_htab_lookup, percpu_htab_update,
  percpu_htab_update_all,
} from './hash';

// enum bpf_map_type.
const HASH: u32 = 1;
const ARRAY: u32 = 2;
export const PROG_ARRAY: u32 = 3;
export const PERCPU_HASH: u32 = 5;
export const PERCPU_ARRAY: u32 = 6;

const BPF_F_NO_PREALLOC: u32 = 1;
const BPF_F_RDONLY_PROG: u32 = 1 << 7;
const BPF_F_WRONLY_PROG: u32 = 1 << 8;

/** The allocator's largest block, with room for its own header. */
const LARGEST: u64 = (1 << 30) - 4096;

let made: u32 = 0;

@inline function round8(size: u64): u64 {
  return (size + 7) & ~7;
}

/**
 * Makes a map; 0 when it is too large or of a type that there is not. Sizes and flags are the caller's to
 * check. Traps, with nothing done, when the memory cannot grow.
 */
export function map_create(type: u32, keySize: u32, valueSize: u32, maxEntries: u32, flags: u32, cpus: u32): usize {
  const hash = type == HASH || type == PERCPU_HASH;
  const percpu = type == PERCPU_HASH || type == PERCPU_ARRAY;
  let valueOffset: u64 = 0;
  let elementSize = round8(valueSize);
  let buckets: u64 = 0;
  let spares: u32 = 0;
  let elements: u64 = maxEntries;
  if (hash) {
    buckets = 1;
    while (buckets < (maxEntries as u64)) buckets <<= 1;
    valueOffset = 8 + round8(keySize);
    elementSize = valueOffset + elementSize * (percpu ? cpus : 1);
    // Replacing needs one more: each CPU's spare, or without preallocation one that is free at any time.
    if (type == HASH && !(flags & BPF_F_NO_PREALLOC)) spares = cpus;
    elements += spares ? spares : 1;
  } else if (type == PROG_ARRAY) {
    elementSize = 4;
  } else if (type == PERCPU_ARRAY) {
    elements *= cpus;
  } else if (type != ARRAY) {
    return 0;
  }
  const fixed = ((offsetof<BpfMap>() + 15) & ~15) as u64;
  const before = (fixed + (buckets + spares) * 4 + 15) & ~15;
  // No product overflows: all numbers are below 2^32, an element's size below 2^47 by its CPUs.
  if (elementSize > LARGEST || elements > LARGEST || before > LARGEST) return 0;
  const capacity = elements * elementSize;
  if (before + capacity > LARGEST) return 0;

  const map = heap.alloc((before + capacity) as usize);
  // Elements of a hash are written before they are read: their pages are not touched yet.
  memory.fill(map, 0, (hash ? before : before + capacity) as usize);
  const header = changetype<BpfMap>(map);
  header.type = type;
  header.keySize = keySize;
  header.valueSize = valueSize;
  header.maxEntries = maxEntries;
  header.flags = flags;
  header.values = map + (before as usize);
  header.elementSize = elementSize as u32;
  header.valueOffset = valueOffset as u32;
  header.capacity = capacity as u32;
  header.cpus = cpus;
  if (percpu) header.cpuStride = (type == PERCPU_HASH ? round8(valueSize) : elementSize * maxEntries) as u32;
  if (type != PROG_ARRAY) {
    if (!(flags & BPF_F_WRONLY_PROG)) header.access |= ACCESS_READ;
    if (!(flags & BPF_F_RDONLY_PROG)) header.access |= ACCESS_WRITE;
  }
  if (hash) {
    header.buckets = map + (fixed as usize);
    header.bucketMask = (buckets - 1) as u32;
    header.seed = ++made * 0x9e3779b1;
    if (spares) {
      header.spares = header.buckets + ((buckets as usize) << 2);
      for (let i: u32 = 0; i < spares; i++) {
        store<usize>(header.spares + (i << 2), header.values + header.length);
        header.length += header.elementSize;
      }
    }
  } else {
    header.length = capacity as u32;
  }
  return map;
}

/** Gives a map's memory back. Nothing may refer to it any more. */
export function map_destroy(map: usize): void {
  heap.free(map);
}

/** map_lookup, for callers that want no further call in between. */
@inline
export function lookupInline(map: usize, key: usize, cpuId: u32): usize {
  const type = changetype<BpfMap>(map).type;
  if (type == HASH) return htab_lookup(map, key);
  if (type == ARRAY || type == PROG_ARRAY) return array_lookup(map, key);
  if (type == PERCPU_ARRAY) return percpu_array_lookup(map, key, cpuId);
  if (type == PERCPU_HASH) return percpu_htab_lookup(map, key, cpuId);
  return 0;
}

/** The value that a program on CPU `cpuId` sees for the key at `key`; 0 when there is none. */
export function map_lookup(map: usize, key: usize, cpuId: u32): usize {
  return lookupInline(map, key, cpuId);
}

/** map_update, for callers that want no further call in between. */
@inline
export function updateInline(map: usize, key: usize, value: usize, flags: u64, cpuId: u32): i32 {
  const type = changetype<BpfMap>(map).type;
  if (type == HASH) return htab_update(map, key, value, flags, cpuId);
  if (type == ARRAY) return array_update(map, key, value, flags);
  if (type == PERCPU_ARRAY) return percpu_array_update(map, key, value, flags, cpuId);
  if (type == PERCPU_HASH) return percpu_htab_update(map, key, value, flags, cpuId);
  return -EOPNOTSUPP;
}

/** A program's update, on CPU `cpuId`. */
export function map_update(map: usize, key: usize, value: usize, flags: u64, cpuId: u32): i32 {
  return updateInline(map, key, value, flags, cpuId);
}

/** The system call's update: `value` holds all CPUs' slots of a per-CPU map. */
export function map_update_all(map: usize, key: usize, value: usize, flags: u64): i32 {
  const type = changetype<BpfMap>(map).type;
  if (type == PERCPU_ARRAY) return percpu_array_update_all(map, key, value, flags);
  if (type == PERCPU_HASH) return percpu_htab_update_all(map, key, value, flags);
  return map_update(map, key, value, flags, 0);
}

/** The system call's lookup: copies the value (all CPUs' slots of a per-CPU map) to `to`; 0 or -ENOENT. */
export function map_lookup_copy(map: usize, key: usize, to: usize): i32 {
  const header = changetype<BpfMap>(map);
  const value = map_lookup(map, key, 0);
  if (!value) return -ENOENT;
  const stride = header.cpuStride;
  if (!stride) {
    memory.copy(to, value, header.valueSize);
    return 0;
  }
  const size = round8(header.valueSize) as u32;
  for (let cpu: u32 = 0; cpu < header.cpus; cpu++) memory.copy(to + cpu * size, value + cpu * stride, size);
  return 0;
}

/** Removes a key; -EINVAL for arrays. */
export function map_delete(map: usize, key: usize): i32 {
  const type = changetype<BpfMap>(map).type;
  return type == HASH || type == PERCPU_HASH ? htab_delete(map, key) : -EINVAL;
}

/** Writes the key after the one at `key` (address 0: the first) to `next`; -ENOENT after the last. */
export function map_next_key(map: usize, key: usize, next: usize): i32 {
  const type = changetype<BpfMap>(map).type;
  return type == HASH || type == PERCPU_HASH ? htab_next_key(map, key, next) : array_next_key(map, key, next);
}
