// What BTF may say of a map's keys and values (Linux: map_check_btf and each type's own check).

import { SkepError } from '../../base/error.js';
import type { MapCreateAttr } from '../../bpf/bpf.js';
import { BpfError, Errno } from '../../bpf/errno.js';
import { MapType, mapTypeName } from '../../bpf/types.js';
import type { Btf } from '../../btf/index.js';
import { checkFields } from './fields.js';
import { mapTypeDefinition } from './table.js';

function refuse(detail: string, errno: Errno = Errno.EINVAL): never {
  throw new BpfError('BPF_MAP_CREATE', errno, detail);
}

/** Bytes of a type; undefined for what has no size. */
function sizeOf(btf: Btf, id: number): number | undefined {
  try {
    return btf.sizeOf(id);
  } catch (error) {
    if (error instanceof SkepError) return undefined;
    throw error;
  }
}

/** Throws a BpfError when the types that `attr` names do not describe such a map. */
export function checkTypes(btf: Btf, attr: MapCreateAttr): void {
  const { type, keySize, valueSize, maxEntries, btfKeyTypeId = 0, btfValueTypeId = 0 } = attr;
  const rule = mapTypeDefinition(type)?.btf;
  if (btfKeyTypeId !== 0 && sizeOf(btf, btfKeyTypeId) !== keySize) {
    refuse(`BTF type ${btfKeyTypeId} is not one of ${keySize} bytes, as keys are`);
  }
  if (btfKeyTypeId === 0 && rule === undefined) refuse('there is no BTF type of the key');
  if (sizeOf(btf, btfValueTypeId) !== valueSize) {
    refuse(`BTF type ${btfValueTypeId} is not one of ${valueSize} bytes, as values are`);
  }
  checkFields(btf, attr);
  switch (rule) {
    case 'none':
      refuse(`a ${mapTypeName(type)} map takes no BTF types`, Errno.ENOTSUPP);
      break;
    case 'index':
      if (btfKeyTypeId === 0) {
        // A section of variables.
        if (type === MapType.Array && maxEntries === 1 && btf.kind(btfValueTypeId) === 'DATASEC') return;
        refuse('there is no BTF type of the key');
      }
      if (!isIndex(btf, btfKeyTypeId)) refuse(`BTF type ${btfKeyTypeId} is no number, as indices are`);
      break;
    case 'struct key':
      if (btfKeyTypeId === 0 || btf.kind(btf.skipModifiers(btfKeyTypeId)) !== 'STRUCT') {
        refuse(`BTF type ${btfKeyTypeId} is no struct, as keys with a prefix length are`);
      }
      break;
    case 'no key':
      if (btfKeyTypeId !== 0) refuse(`a ${mapTypeName(type)} map has no keys`);
  }
}

/** Whether a type is a whole number of 32 bits. */
function isIndex(btf: Btf, id: number): boolean {
  const type = btf.type(btf.skipModifiers(id));
  return type.kind === 'INT' && type.bits === 32 && type.bitOffset === 0;
}
