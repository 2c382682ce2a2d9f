// CO-RE: finding in one BTF (the target: a kernel's) what an access to types of another (the local one: a program's)
// means there. The rules are libbpf's (relo_core.c):
//
//   candidates      target types of the same kind and name, up to a flavor: `task_struct___v2` is `task_struct`
//   field access    members by name, through anonymous structs; array elements by index; compatible types
//   type exists     compatible types; type matches: also member by member
//   enumerator      by name, up to a flavor

import { SkepError } from '../base/error.js';
import { type Btf, MAX_RESOLVE_DEPTH } from './btf.js';
import { type BtfArray, type BtfMember, type BtfType, IntEncoding } from './types.js';

/** One step of an access: a member, or an array element (no name). */
export interface Accessor {
  readonly typeId: number;
  readonly index: number;
  readonly name?: string;
}

/** An access in one BTF. */
export interface AccessSpec {
  readonly btf: Btf;
  readonly rootId: number;
  readonly accessors: readonly Accessor[];
  /** From the start of the root type. */
  readonly bitOffset: number;
}

/** Longest access (libbpf's BPF_CORE_SPEC_MAX_LEN), anonymous members counted. */
const MAX_ACCESS = 64;

/** A type's or enumerator's name without its flavor: what comes after the last `___`. */
export function essentialName(name: string): string {
  for (let i = name.length - 5; i >= 0; i--) {
    if (name[i] !== '_' && name.startsWith('___', i + 1) && name[i + 4] !== '_') return name.slice(0, i + 1);
  }
  return name;
}

const isEnum = (type: BtfType): type is Extract<BtfType, { kind: 'ENUM' | 'ENUM64' }> =>
  type.kind === 'ENUM' || type.kind === 'ENUM64';
const isComposite = (type: BtfType): type is Extract<BtfType, { kind: 'STRUCT' | 'UNION' }> =>
  type.kind === 'STRUCT' || type.kind === 'UNION';
const sameKind = (a: BtfType, b: BtfType): boolean => a.kind === b.kind || (isEnum(a) && isEnum(b));

const flavored = new WeakMap<Btf, ReadonlyMap<string, readonly number[]>>();

/** Ids of types whose name has a flavor, by the name without it. */
function flavorsOf(btf: Btf): ReadonlyMap<string, readonly number[]> {
  const known = flavored.get(btf);
  if (known !== undefined) return known;
  const ids = new Map<string, number[]>();
  for (let id = 1; id < btf.typeCount; id++) {
    const name = btf.nameOf(id);
    if (!name.includes('___')) continue;
    const essential = essentialName(name);
    if (essential === name) continue;
    const list = ids.get(essential);
    if (list === undefined) ids.set(essential, [id]);
    else list.push(id);
  }
  flavored.set(btf, ids);
  return ids;
}

/** Target types that a local type may stand for, ascending. */
export function candidatesOf(local: Btf, id: number, target: Btf): number[] {
  const type = local.type(id);
  const name = essentialName(local.nameOf(id));
  const ids = [...target.idsByName(name), ...(flavorsOf(target).get(name) ?? [])];
  return ids.filter((candidate) => sameKind(type, target.type(candidate))).toSorted((a, b) => a - b);
}

/** An array at the end of a struct without a length of its own. */
function isFlexible(btf: Btf, accessor: Accessor | undefined, array: BtfArray): boolean {
  if (accessor?.name === undefined || array.length > 0) return false;
  const struct = btf.type(accessor.typeId);
  return isComposite(struct) && accessor.index === struct.members.length - 1;
}

/** Reads a field access such as `0:1:2`, from the local types. Throws a SkepError when it makes no sense. */
export function parseFieldAccess(btf: Btf, rootId: number, access: string): AccessSpec {
  const fail = (message: string): SkepError =>
    new SkepError(`access '${access}' ${message}`, { where: btf.describe(rootId) });
  if (!/^\d+(?::\d+)*$/.test(access)) throw fail('is not a list of indices');
  const indices = access.split(':').map(Number);
  if (indices.length > MAX_ACCESS) throw fail(`has more than ${MAX_ACCESS} steps`);
  let id = btf.skipModifiers(rootId);
  const first = indices[0] ?? 0;
  const accessors: Accessor[] = [{ typeId: id, index: first }];
  let bitOffset = first * btf.sizeOf(id) * 8;
  for (const index of indices.slice(1)) {
    id = btf.skipModifiers(id);
    const type = btf.type(id);
    if (isComposite(type)) {
      const member = type.members[index];
      if (member === undefined) throw fail(`goes to member ${index} of ${btf.describe(id)}`);
      bitOffset += member.bitOffset;
      if (member.name !== '') accessors.push({ typeId: id, index, name: member.name });
      id = member.type;
    } else if (type.kind === 'ARRAY') {
      id = btf.skipModifiers(type.type);
      if (index >= type.length && !isFlexible(btf, accessors.at(-1), type)) {
        throw fail(`goes to element ${index} of ${type.length}`);
      }
      accessors.push({ typeId: id, index });
      bitOffset += index * btf.sizeOf(id) * 8;
    } else {
      throw fail(`goes into ${btf.describe(id)}`);
    }
  }
  return { btf, rootId, accessors, bitOffset };
}

/** The same access in a target type, or undefined when that has no such field. */
export function matchFieldAccess(local: AccessSpec, target: Btf, targetId: number): AccessSpec | undefined {
  const accessors: Accessor[] = [];
  let bitOffset = 0;
  let id = targetId;
  for (const [i, step] of local.accessors.entries()) {
    id = target.skipModifiers(id);
    if (step.name !== undefined) {
      const struct = local.btf.type(step.typeId);
      const member = isComposite(struct) ? struct.members[step.index] : undefined;
      const found = member && findMember(local.btf, member, target, id, 0);
      if (found === undefined) return undefined;
      accessors.push(found.accessor);
      bitOffset += found.bitOffset;
      id = found.member.type;
      continue;
    }
    // The first index is into an array of root types; the others are into the array that was reached.
    if (i > 0) {
      const array = target.type(id);
      if (array.kind !== 'ARRAY') return undefined;
      if (step.index >= array.length && !isFlexible(target, accessors.at(-1), array)) return undefined;
      id = target.skipModifiers(array.type);
    }
    accessors.push({ typeId: id, index: step.index });
    bitOffset += step.index * target.sizeOf(id) * 8;
  }
  return { btf: target, rootId: targetId, accessors, bitOffset };
}

interface FoundMember {
  accessor: Accessor;
  member: BtfMember;
  bitOffset: number;
}

function findMember(
  local: Btf,
  wanted: BtfMember,
  target: Btf,
  targetId: number,
  depth: number,
): FoundMember | undefined {
  if (depth > MAX_ACCESS) throw target.tooDeep(targetId);
  const id = target.skipModifiers(targetId);
  const type = target.type(id);
  if (!isComposite(type)) return undefined;
  for (const [index, member] of type.members.entries()) {
    if (member.name === '') {
      const found = findMember(local, wanted, target, member.type, depth + 1);
      if (found !== undefined) return { ...found, bitOffset: found.bitOffset + member.bitOffset };
    } else if (member.name === wanted.name) {
      if (!fieldsCompatible(local, wanted.type, target, member.type)) return undefined;
      return { accessor: { typeId: id, index, name: member.name }, member, bitOffset: member.bitOffset };
    }
  }
  return undefined;
}

/** Whether two types may be the same field's: sizes of integers, lengths of arrays and pointees do not matter. */
function fieldsCompatible(local: Btf, localId: number, target: Btf, targetId: number): boolean {
  let [a, b] = [localId, targetId];
  for (let depth = 0; depth < MAX_RESOLVE_DEPTH; depth++) {
    const x = local.type(local.skipModifiers(a));
    const y = target.type(target.skipModifiers(b));
    if (isComposite(x) && isComposite(y)) return true;
    if (!sameKind(x, y)) return false;
    if (x.kind === 'ARRAY' && y.kind === 'ARRAY') {
      [a, b] = [x.type, y.type];
      continue;
    }
    if (x.kind === 'INT' && y.kind === 'INT') return x.bitOffset === 0 && y.bitOffset === 0;
    if (x.kind === 'PTR' || x.kind === 'FLOAT') return true;
    if (x.kind !== 'FWD' && !isEnum(x)) return false;
    const [left, right] = [essentialName(x.name), essentialName(y.name)];
    return left === '' || right === '' || left === right;
  }
  throw local.tooDeep(localId);
}

/** Whether two types are compatible for "does this type exist": kinds alike all the way, names below the root aside. */
export function typesCompatible(
  local: Btf,
  localId: number,
  target: Btf,
  targetId: number,
  level = MAX_RESOLVE_DEPTH,
): boolean {
  if (!sameKind(local.type(localId), target.type(targetId))) return false;
  let [a, b] = [localId, targetId];
  for (let depth = 0; depth < MAX_RESOLVE_DEPTH; depth++) {
    const x = local.type(local.skipModifiers(a));
    const y = target.type(target.skipModifiers(b));
    if (!sameKind(x, y)) return false;
    if ((x.kind === 'PTR' && y.kind === 'PTR') || (x.kind === 'ARRAY' && y.kind === 'ARRAY')) {
      [a, b] = [x.type, y.type];
    } else if (x.kind === 'FUNC_PROTO' && y.kind === 'FUNC_PROTO') {
      if (x.params.length !== y.params.length) return false;
      if (level <= 0) throw local.tooDeep(localId);
      const alike = x.params.every((param, i) =>
        typesCompatible(
          local,
          local.skipModifiers(param.type),
          target,
          target.skipModifiers(y.params[i]?.type ?? 0),
          level - 1,
        ),
      );
      if (!alike) return false;
      [a, b] = [x.returnType, y.returnType];
    } else if (x.kind === 'INT' && y.kind === 'INT') {
      return x.bitOffset === 0 && y.bitOffset === 0;
    } else {
      return isComposite(x) || isEnum(x) || x.kind === 'FWD' || x.kind === 'VOID';
    }
  }
  throw local.tooDeep(localId);
}

/** Whether a target type has all that a local one has, member by member ("type matches"). */
export function typesMatch(
  local: Btf,
  localId: number,
  target: Btf,
  targetId: number,
  behindPointer = false,
  level = MAX_RESOLVE_DEPTH,
): boolean {
  if (level <= 0) throw local.tooDeep(localId);
  let [a, b] = [localId, targetId];
  let behind = behindPointer;
  for (let depth = 0; depth < MAX_RESOLVE_DEPTH; depth++) {
    const x = local.type(local.skipModifiers(a));
    const y = target.type(target.skipModifiers(b));
    if (!namesMatch(x.name, y.name)) return false;
    if (x.kind === 'PTR' && y.kind === 'PTR') {
      behind = true;
      [a, b] = [x.type, y.type];
    } else if (x.kind === 'ARRAY' && y.kind === 'ARRAY') {
      if (x.length !== y.length) return false;
      [a, b] = [x.type, y.type];
    } else if (x.kind === 'FUNC_PROTO' && y.kind === 'FUNC_PROTO') {
      if (x.params.length !== y.params.length) return false;
      const inside = behind;
      const alike = x.params.every(({ type }, i) =>
        typesMatch(local, type, target, y.params[i]?.type ?? 0, inside, level - 1),
      );
      if (!alike) return false;
      [a, b] = [x.returnType, y.returnType];
    } else if (isEnum(x)) {
      return isEnum(y) && enumsMatch(x, y);
    } else if (x.kind === 'FWD') {
      if (y.kind === 'FWD') return x.union === y.union;
      return behind && y.kind === (x.union ? 'UNION' : 'STRUCT');
    } else if (isComposite(x)) {
      if (behind) return x.kind === y.kind || (y.kind === 'FWD' && y.union === (x.kind === 'UNION'));
      if (!isComposite(y) || x.kind !== y.kind || x.members.length > y.members.length) return false;
      const inside = behind;
      return x.members.every((member) =>
        y.members.some(
          (other) =>
            namesMatch(member.name, other.name) &&
            typesMatch(local, member.type, target, other.type, inside, level - 1),
        ),
      );
    } else if (x.kind === 'INT' && y.kind === 'INT') {
      return x.size === y.size && (x.encoding & IntEncoding.Signed) === (y.encoding & IntEncoding.Signed);
    } else {
      return x.kind === 'VOID' && y.kind === 'VOID';
    }
  }
  throw local.tooDeep(localId);
}

const namesMatch = (a: string, b: string): boolean =>
  b === '' ? a === '' : essentialName(a) === essentialName(b);

type AnyEnum = Extract<BtfType, { kind: 'ENUM' | 'ENUM64' }>;

function enumsMatch(x: AnyEnum, y: AnyEnum): boolean {
  if (x.size !== y.size || x.values.length > y.values.length) return false;
  const names = new Set(y.values.map(({ name }) => essentialName(name)));
  return x.values.every(({ name }) => names.has(essentialName(name)));
}

/** The value of enumerator `index`, or undefined when the type is no enum or has no such enumerator. */
export function enumerator(btf: Btf, id: number, index: number): { name: string; value: bigint } | undefined {
  const type = btf.type(btf.skipModifiers(id));
  const found = isEnum(type) ? type.values[index] : undefined;
  return found === undefined ? undefined : { name: found.name, value: BigInt(found.value) };
}

/** The value of the enumerator with this name, flavors aside. */
export function enumeratorByName(btf: Btf, id: number, name: string): bigint | undefined {
  const type = btf.type(btf.skipModifiers(id));
  if (!isEnum(type)) return undefined;
  const wanted = essentialName(name);
  const found = type.values.find((value) => essentialName(value.name) === wanted);
  return found === undefined ? undefined : BigInt(found.value);
}
