// BPF_MAP_TYPE_LRU_HASH (Linux: kernel/bpf/hashtab.c, bpf_lru_list.c): a hash map that is never full. When it needs room
// an element goes that was not used lately.
//
// What goes is what goes on Linux 6.18 with as many possible CPUs, when all commands and programs run on one of them
// (here CPU 0): the same elements are left after the same commands. Linux promises less to programs and so do we:
//
// - There are never more than max_entries elements.
// - The element that was set last is there.
// - What no program looked up goes before what one did, as far as that was noticed: marks are only looked at when room is
//   needed, and of a part of the map. The system call's lookups do not count.
// - A CPU fetches room for several elements at once (up to 128, or half of its share of max_entries), so elements go
//   before the map is full, and even an update that fails may cost one.
//
// With BPF_F_NO_COMMON_LRU each CPU has a share of its own (max_entries becomes a multiple of their number), and fills
// only that.

import { Errno } from '../../bpf/errno.js';
import { MapFlag, MapType } from '../../bpf/types.js';
import { accessFlags, type MapShape, type MapTypeDefinition, type Refusal, round8 } from './definition.js';
import { bucketBytes, elementBytes, hashHeader, refuseHash } from './hash.js';

/** Flags that LRU hashes know; BPF_F_NO_PREALLOC is known to be impossible. */
export const lruFlags =
  MapFlag.NoPrealloc | MapFlag.NoCommonLru | MapFlag.NumaNode | MapFlag.ZeroSeed | accessFlags;

/** What both kinds of LRU hash ask for (htab_map_alloc_check). */
export function refuseLru(shape: MapShape, percpu: boolean): Refusal | undefined {
  if (shape.flags & MapFlag.NoPrealloc) {
    return { errno: Errno.ENOTSUPP, detail: 'an LRU map is always preallocated' };
  }
  if (shape.flags & MapFlag.NumaNode && (percpu || shape.flags & MapFlag.NoCommonLru)) {
    return { errno: Errno.EINVAL, detail: 'what each CPU has for itself lies on its own NUMA node' };
  }
  return refuseHash(shape, percpu);
}

export const lruHash: MapTypeDefinition = {
  type: MapType.LruHash,
  flags: lruFlags,
  percpu: false,
  takes: true,
  refuse: (shape) => refuseLru(shape, false),
  memlock: (shape) =>
    hashHeader + bucketBytes(shape) + shape.maxEntries * elementBytes(shape, round8(shape.valueSize)),
};
