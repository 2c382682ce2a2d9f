// Where the fields of the kernel's structures lie, from its BTF.

import type { Btf, BtfMember } from '../../../btf/index.js';
import type { Bytes } from './emit.js';

export interface Field {
  readonly offset: number;
  readonly size: number;
}

class MissingField extends Error {}

export class KernelLayout {
  readonly #types: () => Btf;
  readonly #known = new Map<string, Field>();

  /** `types` is asked when the first field is. */
  constructor(types: () => Btf) {
    this.#types = types;
  }

  /** A field by structure and name: `sk_buff.len`, `sock.__sk_common.skc_family`. Unnamed members are looked into. */
  field(path: string): Field {
    let found = this.#known.get(path);
    if (!found) {
      found = this.#find(path);
      this.#known.set(path, found);
    }
    return found;
  }

  /** Whether there is such a field: some are left out of some builds of the kernel. */
  has(path: string): boolean {
    try {
      this.field(path);
      return true;
    } catch (error) {
      if (error instanceof MissingField) return false;
      throw error;
    }
  }

  offset(path: string): number {
    return this.field(path).offset;
  }

  /** Bytes of a structure. */
  size(name: string): number {
    const btf = this.#types();
    return btf.sizeOf(this.#struct(name));
  }

  #struct(name: string): number {
    const btf = this.#types();
    const id = btf.findByName(name, 'STRUCT') ?? btf.findByName(name, 'UNION');
    if (id === undefined) throw new Error(`the kernel's types have no struct ${name}`);
    return id;
  }

  #find(path: string): Field {
    const [name = '', ...members] = path.split('.');
    const btf = this.#types();
    let id = this.#struct(name);
    let offset = 0;
    for (const member of members) {
      const found = findMember(btf, id, member);
      if (!found) throw new MissingField(`the kernel's types have no ${path}`);
      offset += found.bits >> 3;
      id = found.member.type;
    }
    const type = btf.type(btf.skipModifiers(id));
    // An element of an array stands for all of them.
    const size = type.kind === 'ARRAY' ? btf.sizeOf(type.type) : btf.sizeOf(id);
    return { offset, size };
  }
}

/** The size of a field as an instruction has it. */
export const bytesOf = ({ size }: Field): Bytes => (size === 1 || size === 2 || size === 4 ? size : 8);

function findMember(btf: Btf, id: number, name: string): { member: BtfMember; bits: number } | undefined {
  const type = btf.type(btf.skipModifiers(id));
  if (type.kind !== 'STRUCT' && type.kind !== 'UNION') return undefined;
  for (const member of type.members) {
    const bits = member.bitOffset;
    if (member.name === name) return { member, bits };
    if (member.name !== '') continue;
    const inner = findMember(btf, member.type, name);
    if (inner) return { member: inner.member, bits: bits + inner.bits };
  }
  return undefined;
}
