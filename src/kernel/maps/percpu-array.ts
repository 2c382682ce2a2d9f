// BPF_MAP_TYPE_PERCPU_ARRAY: an array in which each CPU has values of its own.

import { MapType } from '../../bpf/types.js';
import { arrayMemlock, refuseArray } from './array.js';
import { accessFlags, type MapTypeDefinition } from './definition.js';

export const percpuArray: MapTypeDefinition = {
  type: MapType.PercpuArray,
  flags: accessFlags,
  percpu: true,
  holdsPrograms: false,
  helpers: [
    'map_lookup_elem',
    'map_update_elem',
    'map_delete_elem',
    'for_each_map_elem',
    'map_lookup_percpu_elem',
  ],
  refuse: (shape) => refuseArray(shape, true),
  memlock: arrayMemlock,
};
