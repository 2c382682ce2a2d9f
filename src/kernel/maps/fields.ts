// Which special fields the values of which maps may have (Linux: map_check_btf).

import type { MapCreateAttr } from '../../bpf/bpf.js';
import { BpfError, Errno } from '../../bpf/errno.js';
import { MapFlag, MapType, mapTypeName } from '../../bpf/types.js';
import type { Btf } from '../../btf/index.js';
import type { SpecialKind } from '../verifier/record.js';
import { recordOf } from '../verifier/records.js';

const M = MapType;
const local = [M.SkStorage, M.InodeStorage, M.TaskStorage, M.CgrpStorage];

const table: readonly (readonly [kinds: readonly SpecialKind[], types: readonly MapType[]])[] = [
  [
    ['spin-lock', 'res-spin-lock'],
    [M.Hash, M.Array, M.CgroupStorage, ...local],
  ],
  [
    ['timer', 'workqueue', 'task-work', 'list-head', 'rb-root'],
    [M.Hash, M.LruHash, M.Array],
  ],
  [
    ['kptr-unref', 'kptr-ref', 'kptr-percpu', 'refcount'],
    [M.Hash, M.PercpuHash, M.LruHash, M.LruPercpuHash, M.Array, M.PercpuArray, ...local],
  ],
  [['uptr'], [M.TaskStorage]],
];

const holders: ReadonlyMap<SpecialKind, readonly MapType[]> = new Map(
  table.flatMap(([kinds, types]) => kinds.map((kind) => [kind, types] as const)),
);

/**
 * Throws a BpfError when the map cannot have what its values have in them. Fields that contradict each other are none: the map
 * is made, and programs find nothing in it.
 */
export function checkFields(btf: Btf, { type, flags = 0, btfValueTypeId = 0 }: MapCreateAttr): void {
  const command = 'BPF_MAP_CREATE';
  const record = recordOf(btf, btfValueTypeId);
  if (!record) return;
  if (flags & (MapFlag.RdonlyProg | MapFlag.WronlyProg)) {
    const detail = 'values with special fields are read and written by programs';
    throw new BpfError(command, Errno.EACCES, detail);
  }
  for (const { kind } of record.fields) {
    if (holders.get(kind)?.includes(type)) continue;
    const detail = `values of a ${mapTypeName(type)} map can have no ${kind}`;
    throw new BpfError(command, Errno.EOPNOTSUPP, detail);
  }
}
