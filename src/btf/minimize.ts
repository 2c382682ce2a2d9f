// The part of a kernel's types that the CO-RE relocations of programs ask about, small enough to be shipped with them: of
// a field access the members on its way, of a question about a type the type, of one about an enumerator the whole enum.

import { SkepError } from '../base/error.js';
import type { Btf } from './btf.js';
import { CoreKind, coreCounterpart } from './core.js';
import type { AccessSpec } from './core-match.js';
import { BtfBuilder, type NewBtfType } from './encode.js';
import type { CoreRelocation } from './ext.js';
import { withTypeIds } from './references.js';
import type { BtfComposite, BtfType } from './types.js';

/** The relocations of one object, and the types that they are about. */
export interface CoreUser {
  btf: Btf;
  relocations: Iterable<CoreRelocation>;
}

/** The types of `target` that the objects need, as BTF of their own. Throws a SkepError for a relocation without sense. */
export function minimalBtf(target: Btf, users: readonly CoreUser[]): BtfBuilder {
  const used = new UsedTypes(target);
  for (const { btf, relocations } of users) {
    for (const relocation of relocations) used.add(relocation, btf);
  }
  return used.build();
}

const isComposite = (type: BtfType): type is BtfComposite => type.kind === 'STRUCT' || type.kind === 'UNION';

class UsedTypes {
  readonly #target: Btf;
  readonly #types = new Set<number>();
  /** Indices of the members in use, by struct. */
  readonly #members = new Map<number, Set<number>>();
  /** What was followed already, and how: with or without what pointers lead to, member by member. */
  readonly #followed = new Set<string>();

  constructor(target: Btf) {
    this.#target = target;
  }

  add(relocation: CoreRelocation, local: Btf): void {
    const { kind } = relocation;
    // The types of a program itself need no kernel.
    if (kind === CoreKind.TypeIdLocal) return;
    const found = coreCounterpart(relocation, local, this.#target);
    if (found === undefined) return;
    if (found.access) this.#addField(found.access);
    else if (kind === CoreKind.TypeMatches) this.#addCompared(found.typeId, false);
    else this.#addType(found.typeId, kind <= CoreKind.TypeSize);
  }

  /** A type and what it is made of. Members of structs are not; what pointers lead to is, on demand. */
  #addType(id: number, throughPointers: boolean): void {
    if (id === 0 || !this.#follows(`${id} ${throughPointers ? 'all' : 'here'}`)) return;
    const type = this.#target.type(id);
    this.#types.add(id);
    const next = (other: number): void => this.#addType(other, throughPointers);
    switch (type.kind) {
      case 'PTR':
        if (throughPointers) next(type.type);
        break;
      case 'CONST':
      case 'VOLATILE':
      case 'RESTRICT':
      case 'TYPEDEF':
      case 'TYPE_TAG':
        next(type.type);
        break;
      case 'ARRAY':
        next(type.type);
        next(type.indexType);
        break;
      case 'FUNC_PROTO':
        next(type.returnType);
        for (const param of type.params) next(param.type);
        break;
      default:
    }
  }

  /** Whether this is new, and to be followed. */
  #follows(key: string): boolean {
    if (this.#followed.has(key)) return false;
    this.#followed.add(key);
    return true;
  }

  #addMember(struct: number, index: number): void {
    const members = this.#members.get(struct);
    if (members === undefined) this.#members.set(struct, new Set([index]));
    else members.add(index);
  }

  /** The members from the root to a field, anonymous structs in between included. */
  #addField({ rootId, accessors }: AccessSpec): void {
    const target = this.#target;
    this.#addType(rootId, false);
    let id = rootId;
    for (const { name } of accessors.slice(1)) {
      id = target.skipModifiers(id);
      const type = target.type(id);
      if (type.kind === 'ARRAY') {
        id = type.type;
        continue;
      }
      for (const [struct, index] of name === undefined ? [] : pathTo(target, id, name)) {
        const from = target.type(struct);
        if (!isComposite(from)) continue;
        this.#addMember(struct, index);
        id = from.members[index]?.type ?? 0;
        this.#addType(id, false);
      }
    }
  }

  /** A type with all of its members, those behind pointers without theirs. */
  #addCompared(id: number, behindPointer: boolean): void {
    if (id === 0 || !this.#follows(`${id} ${behindPointer ? 'pointee' : 'members'}`)) return;
    this.#types.add(id);
    const type = this.#target.type(id);
    switch (type.kind) {
      case 'STRUCT':
      case 'UNION':
        if (behindPointer) break;
        type.members.forEach((member, index) => {
          this.#addMember(id, index);
          this.#addCompared(member.type, false);
        });
        break;
      case 'CONST':
      case 'VOLATILE':
      case 'RESTRICT':
      case 'TYPEDEF':
      case 'TYPE_TAG':
        this.#addCompared(type.type, behindPointer);
        break;
      case 'PTR':
        this.#addCompared(type.type, true);
        break;
      case 'ARRAY':
        this.#addCompared(type.type, false);
        this.#addCompared(type.indexType, false);
        break;
      case 'FUNC_PROTO':
        this.#addCompared(type.returnType, false);
        for (const param of type.params) this.#addCompared(param.type, false);
        break;
      default:
    }
  }

  build(): BtfBuilder {
    const builder = new BtfBuilder({ littleEndian: this.#target.littleEndian });
    const wanted = [...this.#types].sort((a, b) => a - b);
    const ids = new Map(wanted.map((id, i) => [id, builder.nextId + i]));
    for (const id of wanted) {
      // What nobody asked about becomes void.
      builder.add(withTypeIds(this.#reduced(id), (other) => ids.get(other) ?? 0));
    }
    return builder;
  }

  #reduced(id: number): NewBtfType {
    const type = this.#target.type(id);
    if (!isComposite(type)) return type;
    const used = this.#members.get(id);
    const members = type.members.filter((_, index) => used?.has(index));
    const kindFlag = members.some(({ bitOffset, bitSize }) => bitSize > 0 || bitOffset % 8 !== 0);
    return { ...type, members, kindFlag };
  }
}

/** The members that lead to the one of this name through anonymous ones, as struct and index. */
function pathTo(btf: Btf, id: number, name: string, depth = 0): [struct: number, index: number][] {
  if (depth > 64) throw new SkepError('anonymous members are nested too deeply', { where: btf.describe(id) });
  const struct = btf.skipModifiers(id);
  const type = btf.type(struct);
  if (!isComposite(type)) return [];
  for (const [index, member] of type.members.entries()) {
    if (member.name === name) return [[struct, index]];
    if (member.name !== '') continue;
    const below = pathTo(btf, member.type, name, depth + 1);
    if (below.length > 0) return [[struct, index], ...below];
  }
  return [];
}
