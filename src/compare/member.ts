// Where a member of a map's value lies: for naming it in what may differ.

import { SkepError } from '../base/error.js';
import type { Btf } from '../btf/btf.js';
import type { BtfComposite } from '../btf/types.js';

/**
 * The bytes of a member of a type, `refilled_at` or `state.refilled_at`, from the first up to the last exclusively; of a
 * bit field all bytes that it touches. Throws a SkepError for a name that there is not.
 */
export function memberBytes(btf: Btf, typeId: number, path: string): [from: number, to: number] {
  let id = typeId;
  let from = 0;
  let to = btf.sizeOf(id);
  for (const name of path.split('.')) {
    const type = btf.type(btf.skipModifiers(id));
    const found = type.kind === 'STRUCT' || type.kind === 'UNION' ? find(btf, type, name, 0) : undefined;
    if (found === undefined) {
      throw new SkepError(`there is no member '${name}'`, { where: btf.describe(id) });
    }
    id = found.type;
    to = from + Math.ceil((found.bitOffset + (found.bitSize || btf.sizeOf(id) * 8)) / 8);
    from += Math.floor(found.bitOffset / 8);
  }
  return [from, to];
}

interface Found {
  type: number;
  bitOffset: number;
  /** 0 for what is no bit field. */
  bitSize: number;
}

/** A member, also one of an anonymous struct or union in it. */
function find(btf: Btf, { members }: BtfComposite, name: string, base: number): Found | undefined {
  for (const member of members) {
    const bitOffset = base + member.bitOffset;
    if (member.name === name) return { type: member.type, bitOffset, bitSize: member.bitSize };
    if (member.name !== '') continue;
    const inner = btf.type(btf.skipModifiers(member.type));
    if (inner.kind !== 'STRUCT' && inner.kind !== 'UNION') continue;
    const found = find(btf, inner, name, bitOffset);
    if (found) return found;
  }
  return undefined;
}
