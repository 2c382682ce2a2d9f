// BPF_MAP_TYPE_HASH (Linux: kernel/bpf/hashtab.c): any bytes as key, at most max_entries elements.

import { Errno } from '../../bpf/errno.js';
import { MapFlag, MapType } from '../../bpf/types.js';
import {
  accessFlags,
  type MapShape,
  type MapTypeDefinition,
  perCpuValueLimit,
  type Refusal,
  refuseEmpty,
  round8,
  roundUpPowerOfTwo,
} from './definition.js';

/** sizeof(struct bpf_htab), sizeof(struct htab_elem), sizeof(struct bucket), of a pointer. */
export const hashHeader = 896;
const element = 48;
const bucket = 16;
const pointer = 8;
/** An element with its key and value is one allocation: below KMALLOC_MAX_SIZE. */
const elementLimit = 4 * 1024 * 1024 - element;
/** All buckets together are less than 2^32 bytes. */
const bucketLimit = 2 ** 27;

/** What both kinds of hash map ask for (htab_map_alloc_check, htab_map_alloc). */
export function refuseHash(shape: MapShape, percpu: boolean): Refusal | undefined {
  const { keySize, valueSize, maxEntries } = shape;
  if (keySize === 0) return { errno: Errno.EINVAL, detail: 'the key size is 0' };
  if (valueSize === 0) return { errno: Errno.EINVAL, detail: 'the value size is 0' };
  const empty = refuseEmpty(shape);
  if (empty) return empty;
  if (keySize + valueSize >= elementLimit) {
    return {
      errno: Errno.E2BIG,
      detail: `key and value of ${keySize + valueSize} bytes together are not below ${elementLimit}`,
    };
  }
  if (percpu && round8(valueSize) > perCpuValueLimit) {
    return { errno: Errno.E2BIG, detail: `values of ${valueSize} bytes are larger than ${perCpuValueLimit}` };
  }
  if (maxEntries > bucketLimit) {
    return { errno: Errno.E2BIG, detail: `${maxEntries} entries are more than ${bucketLimit}` };
  }
  return undefined;
}

/** Bytes of the buckets. */
export const bucketBytes = (shape: MapShape): number => bucket * roundUpPowerOfTwo(shape.maxEntries);

/** Bytes of an element whose value, or what leads to it, has `value` bytes. */
export const elementBytes = (shape: MapShape, value: number): number =>
  element + round8(shape.keySize) + value;

/** htab_map_mem_usage. */
export function hashMemlock(shape: MapShape, cpus: number, count: number, percpu: boolean): number {
  const value = round8(shape.valueSize);
  const size = elementBytes(shape, percpu ? pointer : value);
  const values = percpu ? value * cpus : 0;
  const fixed = hashHeader + bucketBytes(shape);
  if (shape.flags & MapFlag.NoPrealloc) {
    return fixed + count * (size + pointer + (percpu ? 2 * pointer : 0) + values);
  }
  if (percpu) return fixed + shape.maxEntries * (size + values);
  return fixed + (shape.maxEntries + cpus) * size + pointer * cpus;
}

export const hash: MapTypeDefinition = {
  type: MapType.Hash,
  flags: MapFlag.NoPrealloc | MapFlag.NumaNode | MapFlag.ZeroSeed | accessFlags,
  percpu: false,
  takes: true,
  refuse: (shape) => refuseHash(shape, false),
  memlock: (shape, cpus, count) => hashMemlock(shape, cpus, count, false),
};
