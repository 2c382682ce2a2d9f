// What is known of a call of a kernel function while its arguments are checked: the words between the rooms.

import type { Btf, BtfFuncProto, BtfParam, BtfType } from '../../btf/index.js';
import type { VerifierMap } from './program.js';
import type { SpecialField } from './record.js';
import type { KfuncFlags } from './tables/types.js';

/** A kfunc that the program calls. */
export interface KfuncUse {
  readonly name: string;
  /** Programs of this type and attach type may call it. */
  readonly allowed: boolean;
  readonly flags: KfuncFlags;
  readonly btf: Btf;
  /** Of its FUNC. */
  readonly btfId: number;
  readonly proto: BtfFuncProto;
  readonly parameters: readonly BtfParam[];
  readonly callback?: 'now' | 'later';
  readonly changesPacket?: boolean;
}

/** What the arguments of one call said. */
export interface KfuncCall {
  readonly use: KfuncUse;
  /** The map that was passed, with the number that tells values of it apart. */
  map?: VerifierMap;
  mapUid: number;
  /** The reference that an argument holds (the last one that does). */
  refObjId: number;
  /** Register whose reference is given back; 0 for none. */
  release: number;
  /** A number that had to be known (`__k`, `__szk`). */
  constant?: bigint;
  /** Size of the memory that is returned; 0: not said. */
  returnSize: number;
  returnReadOnly: boolean;
  /** Subprogram that was passed. */
  callback?: number;
  /** Type of an allocated object that was passed: number of its BTF, and id. */
  object?: { readonly btf: number; readonly id: number };
  /** The refcounted object that was passed is owned. */
  owning: boolean;
  /** The list or tree that was passed. */
  root?: SpecialField;
  /** The dynptr that was passed: kind, id, reference. */
  dynptr?: { readonly type: number; readonly id: number; readonly refObjId: number };
  /** Where the iterator lies that was passed. */
  iterator?: { readonly frame: number; readonly slot: number };
}

export const newCall = (use: KfuncUse): KfuncCall => ({
  use,
  mapUid: 0,
  refObjId: 0,
  release: 0,
  returnSize: 0,
  returnReadOnly: false,
  owning: false,
});

/** A type below typedefs and qualifiers, with its id. */
export function resolved(btf: Btf, id: number): { readonly id: number; readonly type: BtfType } {
  const target = btf.skipModifiers(id);
  return { id: target, type: btf.type(target) };
}

/** Numbers: integers and enumerations. */
export const isNumber = (type: BtfType): boolean =>
  type.kind === 'INT' || type.kind === 'ENUM' || type.kind === 'ENUM64';
export const isComposite = (type: BtfType): boolean => type.kind === 'STRUCT' || type.kind === 'UNION';

/** A type's kind as Linux's messages have it. */
export const kindText = (type: BtfType): string => (type.kind === 'VOID' ? 'UNKNOWN' : type.kind);
export const nameText = (type: BtfType): string => ('name' in type ? type.name : '');

/** All members are numbers, or arrays and structures of numbers (`depth` levels down at most three). */
export function isNumbersOnly(btf: Btf, type: BtfType, depth = 0): boolean {
  if (type.kind !== 'STRUCT' && type.kind !== 'UNION') return false;
  for (const member of type.members) {
    let target = resolved(btf, member.type).type;
    if (isComposite(target)) {
      if (depth >= 3 || !isNumbersOnly(btf, target, depth + 1)) return false;
      continue;
    }
    if (target.kind === 'ARRAY') {
      if (!target.length) return false;
      target = resolved(btf, target.type).type;
    }
    if (!isNumber(target)) return false;
  }
  return true;
}
