// BPF_MAP_TYPE_PERCPU_ARRAY: an array in which each CPU has values of its own.

import { MapType } from '../../bpf/types.js';
import { arrayMemlock, refuseArray } from './array.js';
import { accessFlags, type MapTypeDefinition } from './definition.js';

export const percpuArray: MapTypeDefinition = {
  type: MapType.PercpuArray,
  flags: accessFlags,
  percpu: true,
  btf: 'index',
  refuse: (shape) => refuseArray(shape, true),
  memlock: arrayMemlock,
};
