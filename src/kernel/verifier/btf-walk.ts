// What lies at an offset of a kernel structure (Linux: btf_struct_walk): a number, a pointer, or a structure inside it.
// A union of several members says nothing certain: what is read there is not to be trusted.

import { Errno } from '../../bpf/errno.js';
import { type Btf, type BtfComposite, type BtfMember, type BtfType, POINTER_SIZE } from '../../btf/index.js';
import { layout as L } from './domain.js';
import type { Verifier } from './verifier.js';

export type Found =
  | { readonly kind: 'scalar' }
  /** A structure begins there. */
  | { readonly kind: 'struct'; readonly id: number }
  /** A pointer to structure `id`, from field `field`; flags of its type tag. */
  | { readonly kind: 'pointer'; readonly id: number; readonly field: string; readonly flags: number }
  /** A pointer to anything else. */
  | { readonly kind: 'memory' }
  /** Nothing that may be accessed so; the log says why. */
  | { readonly kind: 'error'; readonly errno: Errno };

/** Carried from one structure to those inside it. */
export interface Trust {
  untrusted: boolean;
}

const SCALAR: Found = { kind: 'scalar' };

/** A type's name as the log shows it. */
export const nameOf = (btf: Btf, id: number): string => btf.nameOf(id) || '(anon)';
export const isComposite = (type: BtfType): type is BtfComposite =>
  type.kind === 'STRUCT' || type.kind === 'UNION';

/** Flags of a pointer whose target has a type tag. */
export function tagFlags(btf: Btf, target: number): number {
  const type = btf.type(target);
  if (type.kind !== 'TYPE_TAG' || type.attribute) return 0;
  switch (type.name) {
    case 'user':
      return L.USER;
    case 'percpu':
      return L.PERCPU;
    case 'rcu':
      return L.RCU;
    default:
      return 0;
  }
}

/** Below arrays, however many dimensions: the element, its size, and how many there are. */
function elementOf(btf: Btf, id: number): { id: number; count: number; array: boolean } {
  let at = btf.skipModifiers(id);
  let count = 1;
  let array = false;
  for (let depth = 0; depth < 32; depth++) {
    const type = btf.type(at);
    if (type.kind !== 'ARRAY') break;
    array = true;
    count *= type.length;
    at = btf.skipModifiers(type.type);
  }
  return { id: at, count, array };
}

/** Bytes of a member; undefined when its type has no size. */
function sizeOf(btf: Btf, id: number): number | undefined {
  try {
    return btf.sizeOf(id);
  } catch {
    return undefined;
  }
}

/**
 * What an access of `size` bytes at `off` of structure `id` reads. `flexible`: behind the structure's end may be
 * elements of an array without a length.
 */
export function walk(
  v: Verifier,
  btf: Btf,
  id: number,
  off: number,
  size: number,
  trust: Trust,
  flexible: boolean,
): Found {
  const fail = (errno: Errno, message: string): Found => {
    v.log.write(`${message}\n`);
    return { kind: 'error', errno };
  };
  let at = btf.skipModifiers(id);
  let offset = off;
  // A structure is inside another at most so often as there are types.
  for (let depth = 0; depth < btf.typeCount; depth++) {
    const type = btf.type(at);
    const name = nameOf(btf, at);
    if (!isComposite(type)) return fail(Errno.EINVAL, `Type '${name}' is not a struct`);
    if (type.kind === 'UNION' && type.members.length !== 1) trust.untrusted = true;
    if (offset + size > type.size) {
      const behind = flexible ? flexibleElement(btf, type, offset) : undefined;
      if (behind === 'number') return SCALAR;
      if (!behind) {
        return fail(Errno.EACCES, `access beyond struct ${name} at off ${offset} size ${size}`);
      }
      at = behind.id;
      offset = behind.off;
      continue;
    }
    const inside = memberAt(btf, type, offset, size);
    switch (inside.kind) {
      case 'bits':
        return SCALAR;
      case 'none':
        return fail(Errno.EINVAL, `struct ${name} doesn't have field at offset ${offset}`);
      case 'sizeless':
        return fail(Errno.EFAULT, `field ${inside.name} doesn't have size`);
    }
    const { member, start, end, element } = inside;
    const target = btf.type(element);
    if (isComposite(target)) {
      if (offset === start) return { kind: 'struct', id: element };
      at = element;
      offset -= start;
      continue;
    }
    if (target.kind === 'PTR') {
      if (size !== POINTER_SIZE || offset !== start) {
        return fail(
          Errno.EACCES,
          `cannot access ptr member ${member.name || '(anon)'} with moff ${start} in struct ${name} with off ${offset} size ${size}`,
        );
      }
      const to = btf.skipModifiers(target.type);
      if (!isComposite(btf.type(to))) return { kind: 'memory' };
      return { kind: 'pointer', id: to, field: member.name || '(anon)', flags: tagFlags(btf, target.type) };
    }
    if (offset + size > end && !trust.untrusted) {
      return fail(
        Errno.EACCES,
        `access beyond the end of member ${member.name || '(anon)'} (mend:${end}) in struct ${name} with off ${offset} size ${size}`,
      );
    }
    return SCALAR;
  }
  return { kind: 'error', errno: Errno.EINVAL };
}

/** Where in an element of the array at a structure's end an offset behind that end lies. */
function flexibleElement(
  btf: Btf,
  type: BtfComposite,
  off: number,
): { id: number; off: number } | 'number' | undefined {
  const last = type.members[type.members.length - 1];
  if (!last) return undefined;
  const array = btf.type(btf.skipModifiers(last.type));
  if (array.kind !== 'ARRAY' || array.length !== 0) return undefined;
  const start = Math.floor(last.bitOffset / 8);
  if (off < start) return undefined;
  const id = btf.skipModifiers(array.type);
  const element = btf.type(id);
  if (element.kind === 'INT') return 'number';
  if (!isComposite(element) || !element.size) return undefined;
  return { id, off: (off - start) % element.size };
}

type Inside =
  | { readonly kind: 'none' | 'bits' }
  | { readonly kind: 'sizeless'; readonly name: string }
  | {
      readonly kind: 'member';
      readonly member: BtfMember;
      /** Of the member, or of the element of an array that the offset is in. */
      readonly start: number;
      /** Of the whole member. */
      readonly end: number;
      readonly element: number;
    };

function memberAt(btf: Btf, type: BtfComposite, off: number, size: number): Inside {
  for (const member of type.members) {
    const first = Math.floor(member.bitOffset / 8);
    if (off + size <= first) break;
    if (member.bitSize) {
      if (off <= first && Math.ceil((member.bitOffset + member.bitSize) / 8) <= off + size) {
        return { kind: 'bits' };
      }
      continue;
    }
    if (off < first) break;
    const bytes = sizeOf(btf, member.type);
    if (bytes === undefined) return { kind: 'sizeless', name: member.name || '(anon)' };
    const end = first + bytes;
    if (off >= end) continue;
    const { id, count, array } = elementOf(btf, member.type);
    const each = array ? bytes / count : bytes;
    const start = array ? first + Math.floor((off - first) / each) * each : first;
    return { kind: 'member', member, start, end, element: id };
  }
  return { kind: 'none' };
}

/** Structure `id` is, at `off`, the structure that is asked for (btf_struct_ids_match). */
export function startsWith(
  v: Verifier,
  from: { readonly btf: Btf; readonly id: number; readonly off: number },
  wanted: { readonly btf: Btf; readonly id: number },
  strict: boolean,
  flexible: boolean,
): boolean {
  const same = (id: number) =>
    id === wanted.id &&
    (from.btf === wanted.btf ||
      // Ids of the kernel are those of its modules too.
      (id < Math.max(from.btf.firstId, wanted.btf.firstId) &&
        (from.btf.base === wanted.btf || wanted.btf.base === from.btf)));
  if (from.off === 0 && same(from.id)) return true;
  if (strict) return false;
  const trust = { untrusted: false };
  let { id, off } = from;
  for (let depth = 0; depth < from.btf.typeCount; depth++) {
    const found = walk(v, from.btf, id, off, 1, trust, flexible);
    if (found.kind !== 'struct') return false;
    if (same(found.id)) return true;
    id = found.id;
    off = 0;
  }
  return false;
}
