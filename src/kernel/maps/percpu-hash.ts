// BPF_MAP_TYPE_PERCPU_HASH: a hash map in which each CPU has a value of its own for each key.

import { MapFlag, MapType } from '../../bpf/types.js';
import { accessFlags, type MapTypeDefinition } from './definition.js';
import { hashMemlock, refuseHash } from './hash.js';

export const percpuHash: MapTypeDefinition = {
  type: MapType.PercpuHash,
  flags: MapFlag.NoPrealloc | MapFlag.ZeroSeed | accessFlags,
  percpu: true,
  takes: true,
  refuse: (shape) => refuseHash(shape, true),
  memlock: (shape, cpus, count) => hashMemlock(shape, cpus, count, true),
};
