// Whether two objects mean the same when they name a global variable or function (libbpf's rules): same kinds, sizes and
// members; behind a pointer a declaration will do, and the length of an array may differ.

import { SkepError } from '../../base/error.js';
import type { BtfType } from '../../btf/types.js';

/** Types by id; void for 0. */
export type TypeLookup = (id: number) => BtfType;

const MODIFIERS: ReadonlySet<BtfType['kind']> = new Set([
  'TYPEDEF',
  'VOLATILE',
  'CONST',
  'RESTRICT',
  'TYPE_TAG',
]);

/** How deep definitions may be nested before that is taken for a loop. */
const MAX_DEPTH = 256;

function resolve(types: TypeLookup, id: number): BtfType {
  let type = types(id);
  for (let depth = 0; MODIFIERS.has(type.kind) && 'type' in type && depth < MAX_DEPTH; depth++) {
    type = types(type.type);
  }
  return type;
}

export interface Side {
  types: TypeLookup;
  id: number;
}

/**
 * Throws a SkepError that says how the types of global symbol `name` differ. `definition`: a map's definition, in which
 * the length of an array and what a pointer leads to are the facts themselves.
 */
export function checkSameType(name: string, a: Side, b: Side, definition = false): void {
  const where = `global '${name}'`;
  const differ = (what: string): never => {
    throw new SkepError(`objects disagree about it: ${what}`, { where });
  };
  const same = (one: Side, other: Side, exact: boolean, depth: number): void => {
    if (depth > MAX_DEPTH) differ('its type is nested too deeply');
    const [s, t] = [resolve(one.types, one.id), resolve(other.types, other.id)];
    const next = (left: number, right: number, exactly = exact): void =>
      same({ types: one.types, id: left }, { types: other.types, id: right }, exactly, depth + 1);
    if (!exact && (s.kind === 'FWD') !== (t.kind === 'FWD')) {
      const [forward, full] = s.kind === 'FWD' ? [s, t] : [t, s];
      const kind = forward.kind === 'FWD' && forward.union ? 'UNION' : 'STRUCT';
      if (full.kind !== kind || full.name !== forward.name) {
        differ(`${kind.toLowerCase()} ${forward.name} and ${full.kind} ${full.name}`);
      }
      return;
    }
    if (s.kind !== t.kind) differ(`kinds ${s.kind} and ${t.kind}`);
    const named = ['STRUCT', 'UNION', 'ENUM', 'ENUM64', 'FWD', 'FUNC', 'VAR'].includes(s.kind);
    if (named && s.name !== t.name) differ(`${s.kind} '${s.name}' and '${t.name}'`);
    if ('size' in s && 'size' in t && s.kind !== 'DATASEC') {
      const sized = exact || (s.kind !== 'STRUCT' && s.kind !== 'UNION');
      if (sized && s.size !== t.size) differ(`'${s.name}' has ${s.size} and ${t.size} bytes`);
    }
    // A map's members are pointers to what they say, those of an inner map as well.
    if (s.kind === 'PTR' && t.kind === 'PTR') next(s.type, t.type, definition && depth < 4);
    else if (s.kind === 'ARRAY' && t.kind === 'ARRAY') {
      if (definition && s.length !== t.length) differ(`arrays of ${s.length} and ${t.length} elements`);
      next(s.type, t.type);
    } else if ((s.kind === 'FUNC' && t.kind === 'FUNC') || (s.kind === 'VAR' && t.kind === 'VAR')) {
      if ((s.linkage === 'static') !== (t.linkage === 'static')) {
        differ(`linkage ${s.linkage} and ${t.linkage}`);
      }
      next(s.type, t.type);
    } else if ((s.kind === 'STRUCT' || s.kind === 'UNION') && s.kind === t.kind) {
      if (!exact) return;
      if (s.members.length !== t.members.length) {
        differ(`'${s.name}' has ${s.members.length} and ${t.members.length} members`);
      }
      s.members.forEach((member, i) => {
        const other = t.members[i];
        if (member.name !== other?.name)
          differ(`members '${member.name}' and '${other?.name}' of '${s.name}'`);
        if (member.bitOffset !== other?.bitOffset || member.bitSize !== other.bitSize) {
          differ(`member '${member.name}' of '${s.name}' is not in the same place`);
        } else next(member.type, other.type);
      });
    } else if (s.kind === 'FUNC_PROTO' && t.kind === 'FUNC_PROTO') {
      if (s.params.length !== t.params.length) {
        differ(`${s.params.length} and ${t.params.length} parameters`);
      }
      s.params.forEach((param, i) => {
        next(param.type, t.params[i]?.type ?? 0);
      });
      next(s.returnType, t.returnType);
    }
  };
  same(a, b, true, 0);
}
