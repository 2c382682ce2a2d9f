// BPF_MAP_TYPE_BLOOM_FILTER (Linux: kernel/bpf/bloom_filter.c): a set that tells whether a value may have been added. It
// has no keys (size 0): an update adds the value, a lookup asks for it (ENOENT: it was never added), nothing is ever
// removed. map_extra is the number of hash functions, 0 to 15, where 0 means 5.

import { Errno } from '../../bpf/errno.js';
import { MapFlag, MapType } from '../../bpf/types.js';
import { accessFlags, type MapTypeDefinition, roundUpPowerOfTwo } from './definition.js';

/** sizeof(struct bpf_bloom_filter). */
const header = 312;
/** KMALLOC_MAX_SIZE. */
const valueLimit = 4 * 1024 * 1024;
const u32Max = 2 ** 32 - 1;

/** Bits of a filter: the least that serves max_entries values, as runtime/maps/bloom.ts has it. */
function bitCount(maxEntries: number, hashes: number): number {
  const picked = maxEntries * hashes;
  const wanted = Math.floor(picked / 5) * 7;
  if (picked > u32Max || wanted > 2 ** 31) return 2 ** 32;
  return Math.max(64, roundUpPowerOfTwo(wanted));
}

const invalid = (detail: string) => ({ errno: Errno.EINVAL, detail });

export const bloomFilter: MapTypeDefinition = {
  type: MapType.BloomFilter,
  flags: MapFlag.NumaNode | MapFlag.ZeroSeed | accessFlags,
  percpu: false,
  btf: 'no key',
  usesExtra: true,
  refuse({ keySize, valueSize, mapExtra }) {
    if (valueSize > valueLimit) {
      return {
        errno: Errno.E2BIG,
        detail: `values of ${valueSize} bytes are larger than ${valueLimit}`,
      };
    }
    if (keySize !== 0) return invalid(`a Bloom filter has no keys, the key size is ${keySize}`);
    if (valueSize === 0) return invalid('the value size is 0');
    if (mapExtra > 15n) return invalid(`map_extra asks for ${mapExtra} hash functions, at most 15 can be`);
    return undefined;
  },
  memlock: ({ maxEntries, mapExtra }) => header + bitCount(maxEntries, Number(mapExtra) || 5) / 8,
};
