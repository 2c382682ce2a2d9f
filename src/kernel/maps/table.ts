// The map types that the emulated kernel has.

import type { MapType } from '../../bpf/types.js';
import { arena } from './arena.js';
import { array } from './array.js';
import { bloomFilter } from './bloom-filter.js';
import { cpumap } from './cpumap.js';
import type { MapTypeDefinition } from './definition.js';
import { devmap, devmapHash } from './devmap.js';
import { hash } from './hash.js';
import { lpmTrie } from './lpm-trie.js';
import { lruHash } from './lru-hash.js';
import { lruPercpuHash } from './lru-percpu-hash.js';
import { arrayOfMaps, hashOfMaps } from './map-in-map.js';
import { percpuArray } from './percpu-array.js';
import { percpuHash } from './percpu-hash.js';
import { perfEventArray } from './perf-event-array.js';
import { progArray } from './prog-array.js';
import { queue, stack } from './queue.js';
import { ringbuf, userRingbuf } from './ringbuf.js';
import { reuseportSockarray, sockhash, sockmap } from './sockets.js';
import {
  cgroupStorage,
  cgrpStorage,
  inodeStorage,
  percpuCgroupStorage,
  skStorage,
  taskStorage,
} from './storage.js';
import { xskmap } from './xskmap.js';

export const mapTypes: readonly MapTypeDefinition[] = [
  hash,
  array,
  progArray,
  perfEventArray,
  percpuHash,
  percpuArray,
  lruHash,
  lruPercpuHash,
  lpmTrie,
  arrayOfMaps,
  hashOfMaps,
  devmap,
  cpumap,
  xskmap,
  queue,
  stack,
  devmapHash,
  ringbuf,
  bloomFilter,
  userRingbuf,
  arena,
  sockmap,
  sockhash,
  reuseportSockarray,
  skStorage,
  inodeStorage,
  taskStorage,
  cgrpStorage,
  cgroupStorage,
  percpuCgroupStorage,
];

const byType = new Map<MapType, MapTypeDefinition>(
  mapTypes.map((definition) => [definition.type, definition]),
);

/** The definition of a map type; undefined when the emulated kernel does not have it. */
export const mapTypeDefinition = (type: MapType): MapTypeDefinition | undefined => byType.get(type);
