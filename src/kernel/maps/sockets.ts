// Maps of sockets (Linux: net/core/sock_map.c, kernel/bpf/reuseport_array.c). The emulated machine has no sockets, so
// that nothing can be put in; programs find nothing.

import { BpfError, Errno } from '../../bpf/errno.js';
import { MapFlag, MapType } from '../../bpf/types.js';
import type { MapShape, MapTypeDefinition, Refusal } from './definition.js';
import type { References } from './references.js';

const flags = MapFlag.NumaNode | MapFlag.Rdonly | MapFlag.Wronly;

const invalid = (detail: string): Refusal => ({ errno: Errno.EINVAL, detail });

/** Keys of a hash are at most this long (MAX_BPF_STACK). */
const MAX_KEY = 512;

const noSockets = (): References => ({
  lookup() {
    throw new BpfError('BPF_MAP_LOOKUP_ELEM', Errno.ENOENT);
  },
  update(_key, value, _flags, by) {
    const fd = new DataView(value.buffer, value.byteOffset).getUint32(0, true);
    throw new BpfError('BPF_MAP_UPDATE_ELEM', by.isOpen(fd) ? Errno.ENOTSOCK : Errno.EBADF);
  },
  delete() {
    throw new BpfError('BPF_MAP_DELETE_ELEM', Errno.ENOENT);
  },
  nextKey() {
    throw new BpfError('BPF_MAP_GET_NEXT_KEY', Errno.ENOENT);
  },
  clear() {},
});

function refuseValue({ valueSize }: MapShape): Refusal | undefined {
  return valueSize === 4 || valueSize === 8
    ? undefined
    : invalid('values are descriptors or cookies: 4 or 8 bytes');
}

function refuseArray(shape: MapShape): Refusal | undefined {
  if (shape.maxEntries === 0) return invalid('max_entries is 0');
  return shape.keySize === 4 ? refuseValue(shape) : invalid('the key is an index of 4 bytes');
}

export const sockmap: MapTypeDefinition = {
  type: MapType.Sockmap,
  flags,
  percpu: false,
  references: noSockets,
  refuse: refuseArray,
  memlock: ({ maxEntries }) => 320 + maxEntries * 8,
};

export const sockhash: MapTypeDefinition = {
  type: MapType.Sockhash,
  flags,
  percpu: false,
  references: noSockets,
  refuse: (shape) => {
    if (shape.maxEntries === 0) return invalid('max_entries is 0');
    if (shape.keySize === 0) return invalid('the key has no bytes');
    if (shape.keySize > MAX_KEY) return { errno: Errno.E2BIG, detail: `keys have at most ${MAX_KEY} bytes` };
    return refuseValue(shape);
  },
  memlock: ({ maxEntries }) => 320 + maxEntries * 16,
};

export const reuseportSockarray: MapTypeDefinition = {
  type: MapType.ReuseportSockarray,
  flags: flags | MapFlag.RdonlyProg | MapFlag.WronlyProg,
  percpu: false,
  references: noSockets,
  refuse: refuseArray,
  memlock: ({ maxEntries }) => 320 + maxEntries * 8,
};
