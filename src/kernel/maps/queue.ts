// BPF_MAP_TYPE_QUEUE and BPF_MAP_TYPE_STACK (Linux: kernel/bpf/queue_stack_maps.c): values without keys (key size 0). An
// update adds one: to a full map E2BIG, or with BPF_EXIST in the place of the oldest. A lookup gives the next (the
// oldest of a queue, the newest of a stack), a lookup with deletion takes it out.

import { Errno } from '../../bpf/errno.js';
import { MapFlag, MapType } from '../../bpf/types.js';
import {
  accessFlags,
  type MapShape,
  type MapTypeDefinition,
  type Refusal,
  refuseEmpty,
} from './definition.js';

/** sizeof(struct bpf_queue_stack). */
const header = 312;
/** KMALLOC_MAX_SIZE. */
const valueLimit = 4 * 1024 * 1024;

function refuse(shape: MapShape): Refusal | undefined {
  const { keySize, valueSize } = shape;
  if (keySize !== 0) {
    return { errno: Errno.EINVAL, detail: `queues and stacks have no keys, the key size is ${keySize}` };
  }
  if (valueSize === 0) return { errno: Errno.EINVAL, detail: 'the value size is 0' };
  const empty = refuseEmpty(shape);
  if (empty) return empty;
  if (valueSize > valueLimit) {
    return { errno: Errno.E2BIG, detail: `values of ${valueSize} bytes are larger than ${valueLimit}` };
  }
  return undefined;
}

/** Linux's ring has a slot more than it holds values. */
const memlock = ({ maxEntries, valueSize }: MapShape): number => header + (maxEntries + 1) * valueSize;

const common = {
  flags: MapFlag.NumaNode | accessFlags,
  percpu: false,
  takes: true,
  refuse,
  memlock,
} as const;

export const queue: MapTypeDefinition = { type: MapType.Queue, ...common };

export const stack: MapTypeDefinition = { type: MapType.Stack, ...common };
