// Maps of every type: making them in linear memory, and the operations of programs and of the system call.
// Address 0 is null; errors are negative errno values.
//
// A map type is a file beside this one and its cases below: in map_create, and in the operations that it has. What a
// type does not have is answered as Linux does.

import { arena_create, arena_destroy } from '../arena';
import { ACCESS_READ, ACCESS_WRITE, BpfMap } from '../layout';
import {
  array_create, array_lookup, array_next_key, array_update, percpu_array_create, percpu_array_lookup,
  percpu_array_update, percpu_array_update_all, prog_array_create,
} from './array';
import {
  devmap_create, devmap_delete, devmap_hash_create, devmap_hash_delete, devmap_hash_lookup, devmap_hash_next_key,
  devmap_hash_update, devmap_lookup, devmap_update,
} from './devmap';
import { bloom_create, bloom_peek, bloom_push } from './bloom';
import { EINVAL, ENOENT, EOPNOTSUPP } from './errno';
import {
  htab_create, htab_delete, htab_lookup, htab_next_key, htab_update, percpu_htab_create, percpu_htab_lookup,
  percpu_htab_update, percpu_htab_update_all,
} from './hash';
import {
  array_of_maps_create, array_of_maps_lookup, hash_of_maps_create, hash_of_maps_lookup,
} from './inner';
import { lpm_create, lpm_delete, lpm_lookup, lpm_next_key, lpm_update } from './lpm';
import {
  lru_htab_create, lru_htab_delete, lru_htab_lookup, lru_htab_update, lru_percpu_htab_create,
  lru_percpu_htab_update, lru_percpu_htab_update_all,
} from './lru-hash';
import { perf_event_array_create } from './perf';
import { round8 } from './place';
import { queue_create, queue_peek, queue_pop, queue_push } from './queue';
import { ringbuf_create } from './ringbuf';
import { cgroup_storage_create, sockets_create, storage_clear, storage_create } from './storage';
import {
  ARENA, ARRAY, ARRAY_OF_MAPS, BLOOM_FILTER, BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG, CGROUP_STORAGE, CGRP_STORAGE, CPUMAP,
  DEVMAP, DEVMAP_HASH, HASH, HASH_OF_MAPS, INODE_STORAGE, LPM_TRIE, LRU_HASH, LRU_PERCPU_HASH, PERCPU_ARRAY,
  PERCPU_CGROUP_STORAGE, PERCPU_HASH, PERF_EVENT_ARRAY, PROG_ARRAY, QUEUE, REUSEPORT_SOCKARRAY, RINGBUF, SK_STORAGE,
  SOCKHASH, SOCKMAP, STACK, TASK_STORAGE, USER_RINGBUF, XSKMAP,
} from './types';

/** The header of a map that is being made. */
const draft = changetype<BpfMap>(memory.data(offsetof<BpfMap>(), 8));

/**
 * Makes a map; 0 when it is too large or of a type that there is not. Sizes and flags are the caller's to
 * check. Traps, with nothing done, when the memory cannot grow.
 */
export function map_create(
  type: u32, keySize: u32, valueSize: u32, maxEntries: u32, flags: u32, cpus: u32, extra: u32,
): usize {
  memory.fill(changetype<usize>(draft), 0, offsetof<BpfMap>());
  draft.type = type;
  draft.keySize = keySize;
  draft.valueSize = valueSize;
  draft.maxEntries = maxEntries;
  draft.flags = flags;
  draft.cpus = cpus;
  draft.extra = extra;
  if (!(flags & BPF_F_WRONLY_PROG)) draft.access |= ACCESS_READ;
  if (!(flags & BPF_F_RDONLY_PROG)) draft.access |= ACCESS_WRITE;
  switch (type) {
    case HASH: return htab_create(draft);
    case ARRAY: return array_create(draft);
    case PROG_ARRAY: return prog_array_create(draft);
    case PERF_EVENT_ARRAY: return perf_event_array_create(draft);
    case PERCPU_HASH: return percpu_htab_create(draft);
    case PERCPU_ARRAY: return percpu_array_create(draft);
    case LRU_HASH: return lru_htab_create(draft);
    case LRU_PERCPU_HASH: return lru_percpu_htab_create(draft);
    case LPM_TRIE: return lpm_create(draft);
    case QUEUE:
    case STACK: return queue_create(draft);
    case BLOOM_FILTER: return bloom_create(draft);
    case ARRAY_OF_MAPS: return array_of_maps_create(draft);
    case HASH_OF_MAPS: return hash_of_maps_create(draft);
    case DEVMAP:
    case CPUMAP:
    case XSKMAP: return devmap_create(draft);
    case DEVMAP_HASH: return devmap_hash_create(draft);
    case RINGBUF:
    case USER_RINGBUF: return ringbuf_create(draft);
    case ARENA: return arena_create(draft);
    case SOCKMAP:
    case SOCKHASH:
    case REUSEPORT_SOCKARRAY: return sockets_create(draft);
    case CGROUP_STORAGE: return cgroup_storage_create(draft, false);
    case PERCPU_CGROUP_STORAGE: return cgroup_storage_create(draft, true);
    case SK_STORAGE:
    case INODE_STORAGE:
    case TASK_STORAGE:
    case CGRP_STORAGE: return storage_create(draft);
    default: return 0;
  }
}

/** Gives a map's memory back. Nothing may refer to it any more. */
export function map_destroy(map: usize): void {
  if (isStorage(typeOf(map))) storage_clear(map);
  if (typeOf(map) == ARENA) arena_destroy(map);
  heap.free(map);
}

/** Values that belong to objects of the kernel. */
function isStorage(type: u32): bool {
  return type == SK_STORAGE || type == INODE_STORAGE || type == TASK_STORAGE || type == CGRP_STORAGE;
}

@inline function typeOf(map: usize): u32 {
  return changetype<BpfMap>(map).type;
}

// ---- what programs do

/** map_lookup, for callers that want no further call in between. */
@inline
export function lookupInline(map: usize, key: usize, cpuId: u32): usize {
  switch (typeOf(map)) {
    case HASH: return htab_lookup(map, key);
    case ARRAY:
    case PROG_ARRAY: return array_lookup(map, key);
    case PERCPU_HASH: return percpu_htab_lookup(map, key, cpuId);
    case PERCPU_ARRAY: return percpu_array_lookup(map, key, cpuId);
    case LRU_HASH: return lru_htab_lookup(map, key, 0);
    case LRU_PERCPU_HASH: return lru_htab_lookup(map, key, cpuId);
    case LPM_TRIE: return lpm_lookup(map, key);
    case ARRAY_OF_MAPS: return array_of_maps_lookup(map, key);
    case HASH_OF_MAPS: return hash_of_maps_lookup(map, key);
    case DEVMAP:
    case CPUMAP:
    case XSKMAP: return devmap_lookup(map, key);
    case DEVMAP_HASH: return devmap_hash_lookup(map, key);
    default: return 0;
  }
}

/** The value that a program on CPU `cpuId` sees for the key at `key`; 0 when there is none. */
export function map_lookup(map: usize, key: usize, cpuId: u32): usize {
  return lookupInline(map, key, cpuId);
}

/** The value of CPU `cpuId`, whichever CPU the program is on; 0 when there is none or the map is not per CPU. */
export function map_lookup_percpu(map: usize, key: usize, cpuId: u32): usize {
  switch (typeOf(map)) {
    case PERCPU_HASH: return percpu_htab_lookup(map, key, cpuId);
    case PERCPU_ARRAY: return percpu_array_lookup(map, key, cpuId);
    case LRU_PERCPU_HASH: return lru_htab_lookup(map, key, cpuId);
    default: return 0;
  }
}

/** map_update, for callers that want no further call in between. */
@inline
export function updateInline(map: usize, key: usize, value: usize, flags: u64, cpuId: u32): i32 {
  switch (typeOf(map)) {
    case HASH: return htab_update(map, key, value, flags, cpuId);
    case ARRAY: return array_update(map, key, value, flags);
    case PERCPU_HASH: return percpu_htab_update(map, key, value, flags, cpuId);
    case PERCPU_ARRAY: return percpu_array_update(map, key, value, flags, cpuId);
    case LRU_HASH: return lru_htab_update(map, key, value, flags, cpuId);
    case LRU_PERCPU_HASH: return lru_percpu_htab_update(map, key, value, flags, cpuId);
    case LPM_TRIE: return lpm_update(map, key, value, flags);
    case QUEUE:
    case STACK:
    case BLOOM_FILTER: return -EINVAL;
    default: return -EOPNOTSUPP;
  }
}

/** A program's update, on CPU `cpuId`. */
export function map_update(map: usize, key: usize, value: usize, flags: u64, cpuId: u32): i32 {
  return updateInline(map, key, value, flags, cpuId);
}

/** Removes a key, for programs and the system call; -EINVAL for arrays. */
export function map_delete(map: usize, key: usize): i32 {
  switch (typeOf(map)) {
    case HASH:
    case PERCPU_HASH:
    case HASH_OF_MAPS: return htab_delete(map, key);
    case DEVMAP:
    case CPUMAP:
    case XSKMAP: return devmap_delete(map, key);
    case DEVMAP_HASH: return devmap_hash_delete(map, key);
    case LRU_HASH:
    case LRU_PERCPU_HASH: return lru_htab_delete(map, key);
    case LPM_TRIE: return lpm_delete(map, key);
    case BLOOM_FILTER: return -EOPNOTSUPP;
    default: return -EINVAL;
  }
}

// Maps without keys. The system call's lookups, updates and deletions of these are the same three.

/** Adds the value at `value`. */
export function map_push(map: usize, value: usize, flags: u64): i32 {
  switch (typeOf(map)) {
    case QUEUE:
    case STACK: return queue_push(map, value, flags);
    case BLOOM_FILTER: return bloom_push(map, value, flags);
    default: return -EOPNOTSUPP;
  }
}

/** Copies the next value to `value`, and it is gone; -ENOENT when there is none. */
export function map_pop(map: usize, value: usize): i32 {
  switch (typeOf(map)) {
    case QUEUE:
    case STACK: return queue_pop(map, value);
    default: return -EOPNOTSUPP;
  }
}

/** The same, and it stays. A Bloom filter is asked for the value at `value`: 0 when it may be there. */
export function map_peek(map: usize, value: usize): i32 {
  switch (typeOf(map)) {
    case QUEUE:
    case STACK: return queue_peek(map, value);
    case BLOOM_FILTER: return bloom_peek(map, value);
    default: return -EOPNOTSUPP;
  }
}

// ---- what the system call does

/** Copies the value (all CPUs' slots of a per-CPU map) to `to`; 0 or -ENOENT. It does not count as use. */
export function map_lookup_copy(map: usize, key: usize, to: usize): i32 {
  const header = changetype<BpfMap>(map);
  switch (header.type) {
    case QUEUE:
    case STACK:
    case BLOOM_FILTER: return map_peek(map, to);
    case LRU_HASH:
    case LRU_PERCPU_HASH: return copyValue(header, htab_lookup(map, key), to);
    default: return copyValue(header, map_lookup(map, key, 0), to);
  }
}

/** The same, and the key is gone. */
export function map_lookup_and_delete(map: usize, key: usize, to: usize): i32 {
  const type = typeOf(map);
  if (type == QUEUE || type == STACK) return map_pop(map, to);
  const result = map_lookup_copy(map, key, to);
  return result ? result : map_delete(map, key);
}

/** Copies the value at `value`, of a per-CPU map CPU 0's and those of all others. */
function copyValue(header: BpfMap, value: usize, to: usize): i32 {
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

/** Sets the value of a key: `value` holds all CPUs' slots of a per-CPU map. */
export function map_update_all(map: usize, key: usize, value: usize, flags: u64): i32 {
  switch (typeOf(map)) {
    case PERCPU_HASH: return percpu_htab_update_all(map, key, value, flags);
    case PERCPU_ARRAY: return percpu_array_update_all(map, key, value, flags);
    case LRU_PERCPU_HASH: return lru_percpu_htab_update_all(map, key, value, flags);
    case QUEUE:
    case STACK:
    case BLOOM_FILTER: return map_push(map, value, flags);
    case HASH_OF_MAPS: return htab_update(map, key, value, flags, 0);
    case DEVMAP:
    case CPUMAP: return devmap_update(map, key, value);
    case DEVMAP_HASH: return devmap_hash_update(map, key, value);
    default: return map_update(map, key, value, flags, 0);
  }
}

/** Writes the key after the one at `key` (address 0: the first) to `next`; -ENOENT after the last. */
export function map_next_key(map: usize, key: usize, next: usize): i32 {
  switch (typeOf(map)) {
    case HASH:
    case PERCPU_HASH:
    case LRU_HASH:
    case LRU_PERCPU_HASH:
    case HASH_OF_MAPS: return htab_next_key(map, key, next);
    case DEVMAP_HASH: return devmap_hash_next_key(map, key, next);
    case LPM_TRIE: return lpm_next_key(map, key, next);
    case QUEUE:
    case STACK: return -EINVAL;
    case BLOOM_FILTER: return -EOPNOTSUPP;
    default: return array_next_key(map, key, next);
  }
}
