// BPF_MAP_TYPE_ARENA (Linux: kernel/bpf/arena.c): pages that programs and user space share. Programs allocate them; here
// nobody maps them into another process.

import { BpfError, Errno } from '../../bpf/errno.js';
import { MapFlag, MapType } from '../../bpf/types.js';
import type { MapShape, MapTypeDefinition, Refusal } from './definition.js';
import type { References } from './references.js';

const PAGE = 4096n;
/** SZ_4G: offsets have 32 bits. */
const MOST = 1n << 32n;

function refuse({ keySize, valueSize, maxEntries, flags, mapExtra }: MapShape): Refusal | undefined {
  const invalid = (detail: string): Refusal => ({ errno: Errno.EINVAL, detail });
  if (keySize !== 0 || valueSize !== 0 || maxEntries === 0) {
    return invalid('an arena has neither keys nor values, and at least one page');
  }
  if (!(flags & MapFlag.Mmapable)) return invalid('BPF_F_MMAPABLE must be set');
  if (mapExtra % PAGE !== 0n) return invalid(`map_extra ${mapExtra} is not the address of a page`);
  const range = BigInt(maxEntries) * PAGE;
  if (range > MOST) return { errno: Errno.E2BIG, detail: 'an arena has at most 4 GiB' };
  if (mapExtra >> 32n !== (mapExtra + range - 1n) >> 32n) {
    return { errno: Errno.ERANGE, detail: 'the arena would reach over a boundary of 4 GiB' };
  }
  return undefined;
}

/** Where user space has an arena that was not given an address: Linux decides when it is mapped. */
const USUAL = 1n << 44n;

/** Address of the first page in user space. */
export const arenaStart = (mapExtra: bigint): bigint => mapExtra || USUAL;

const unsupported = (): References => {
  const no = (command: string, errno: Errno) => (): never => {
    throw new BpfError(command, errno);
  };
  return {
    lookup: no('BPF_MAP_LOOKUP_ELEM', Errno.EINVAL),
    update: no('BPF_MAP_UPDATE_ELEM', Errno.EOPNOTSUPP),
    delete: no('BPF_MAP_DELETE_ELEM', Errno.EOPNOTSUPP),
    nextKey: no('BPF_MAP_GET_NEXT_KEY', Errno.EOPNOTSUPP),
    clear: () => {},
  };
};

export const arena: MapTypeDefinition = {
  type: MapType.Arena,
  flags: MapFlag.Mmapable | MapFlag.Segv | MapFlag.NoUserConv,
  percpu: false,
  usesExtra: true,
  references: unsupported,
  refuse,
  memlock: ({ maxEntries }) => 2048 + maxEntries * 8,
};
