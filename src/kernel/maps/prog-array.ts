// BPF_MAP_TYPE_PROG_ARRAY: programs that bpf_tail_call jumps to. A slot in linear memory holds the address
// of a Program (runtime/layout.ts), 0 when it is empty; programs cannot read it.

import { Errno } from '../../bpf/errno.js';
import { MapFlag, MapType } from '../../bpf/types.js';
import { arrayMemlock, refuseArray } from './array.js';
import type { MapTypeDefinition } from './definition.js';

export const progArray: MapTypeDefinition = {
  type: MapType.ProgArray,
  flags: MapFlag.NumaNode | MapFlag.Rdonly | MapFlag.Wronly,
  percpu: false,
  holdsPrograms: true,
  refuse: (shape) =>
    shape.valueSize !== 4
      ? {
          errno: Errno.EINVAL,
          detail: `values of a program array are descriptors of 4 bytes, not ${shape.valueSize}`,
        }
      : refuseArray(shape, false),
  memlock: (shape) => arrayMemlock(shape, 0),
};
