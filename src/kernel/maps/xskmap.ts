// BPF_MAP_TYPE_XSKMAP (Linux: net/xdp/xskmap.c): sockets of user space to redirect packets to. The emulated kernel has
// no sockets, so that nothing can be put in.

import { BpfError, Errno } from '../../bpf/errno.js';
import { MapFlag, MapType } from '../../bpf/types.js';
import type { MapShape, MapTypeDefinition, Refusal } from './definition.js';
import { RedirectElements } from './redirect.js';
import type { References, ReferringMap } from './references.js';

/** sizeof(struct xsk_map), of a pointer. */
const header = 304;
const pointer = 8;

function refuseXskmap({ keySize, valueSize }: MapShape): Refusal | undefined {
  if (keySize === 4 && valueSize === 4) return undefined;
  const detail = `keys and values are 4 bytes long, not ${keySize} and ${valueSize}`;
  return { errno: Errno.EINVAL, detail };
}

function sockets(map: ReferringMap): References {
  const elements = new RedirectElements(map, 0, (_key, fd, _program, command, by) => {
    throw new BpfError(command, by.isOpen(fd) ? Errno.ENOTSOCK : Errno.EBADF);
  });
  return {
    lookup() {
      throw new BpfError('BPF_MAP_LOOKUP_ELEM', Errno.EOPNOTSUPP);
    },
    update: (key, value, flags, by) => elements.update(key, value, flags, by),
    delete: (key) => elements.delete(key),
    clear: () => elements.clear(),
  };
}

export const xskmap: MapTypeDefinition = {
  type: MapType.Xskmap,
  flags: MapFlag.NumaNode | MapFlag.Rdonly | MapFlag.Wronly,
  percpu: false,
  btf: 'none',
  references: sockets,
  refuse: refuseXskmap,
  memlock: ({ maxEntries }) => header + maxEntries * pointer,
};
