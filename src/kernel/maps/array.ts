// BPF_MAP_TYPE_ARRAY (Linux: kernel/bpf/arraymap.c): keys are indices, all elements exist from the start.

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
} from './definition.js';

/** sizeof(struct bpf_array). */
const header = 312;
const page = 4096;
const intMax = 2 ** 31 - 1;

/** What all kinds of array ask for (array_map_alloc_check). */
export function refuseArray(shape: MapShape, percpu: boolean): Refusal | undefined {
  const { keySize, valueSize } = shape;
  if (keySize !== 4) {
    return { errno: Errno.EINVAL, detail: `keys of an array are 4 bytes long, not ${keySize}` };
  }
  if (valueSize === 0) return { errno: Errno.EINVAL, detail: 'the value size is 0' };
  const empty = refuseEmpty(shape);
  if (empty) return empty;
  if (valueSize > intMax) return { errno: Errno.E2BIG, detail: `values of ${valueSize} bytes are too large` };
  if (percpu && round8(valueSize) > perCpuValueLimit) {
    return { errno: Errno.E2BIG, detail: `values of ${valueSize} bytes are larger than ${perCpuValueLimit}` };
  }
  return undefined;
}

/** array_map_mem_usage. */
export function arrayMemlock(shape: MapShape, cpus: number): number {
  const elements = shape.maxEntries * round8(shape.valueSize);
  if (cpus) return header + shape.maxEntries * 8 + elements * cpus;
  return shape.flags & MapFlag.Mmapable ? page + Math.ceil(elements / page) * page : header + elements;
}

export const array: MapTypeDefinition = {
  type: MapType.Array,
  flags: MapFlag.NumaNode | MapFlag.Mmapable | MapFlag.InnerMap | accessFlags,
  percpu: false,
  btf: 'index',
  refuse: (shape) => refuseArray(shape, false),
  memlock: (shape) => arrayMemlock(shape, 0),
};
