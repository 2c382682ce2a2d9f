// BPF_MAP_TYPE_LRU_PERCPU_HASH: an LRU hash in which each CPU has a value of its own for each key.

import { MapType } from '../../bpf/types.js';
import type { MapTypeDefinition } from './definition.js';
import { hashMemlock } from './hash.js';
import { lruFlags, refuseLru } from './lru-hash.js';

export const lruPercpuHash: MapTypeDefinition = {
  type: MapType.LruPercpuHash,
  flags: lruFlags,
  percpu: true,
  takes: true,
  refuse: (shape) => refuseLru(shape, true),
  memlock: (shape, cpus, count) => hashMemlock(shape, cpus, count, true),
};
