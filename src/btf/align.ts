// Alignment of types, and whether a struct must be packed to have the layout that its BTF states: BTF
// records offsets and sizes only. The rules are those of libbpf's btf__align_of and btf_is_struct_packed.

import type { Btf } from './btf.js';
import { MAX_RESOLVE_DEPTH, POINTER_SIZE } from './btf.js';
import type { BtfComposite } from './types.js';

/** Answers questions about alignment and remembers the answers. */
export class Alignment {
  readonly #btf: Btf;
  readonly #known = new Map<number, number>();

  constructor(btf: Btf) {
    this.#btf = btf;
  }

  /**
   * In bytes; 0 for a type that has none (void, FWD, FUNC_PROTO). A struct whose members are not where
   * their alignment asks for is packed and has 1. Throws a SkepError for a type that contains itself.
   */
  of(id: number, depth = 0): number {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const align = this.#compute(id, depth);
    this.#known.set(id, align);
    return align;
  }

  /** Whether a struct is only laid out as stated with `__attribute__((packed))`. */
  isPacked(type: BtfComposite): boolean {
    let max = 1;
    for (const member of type.members) {
      const align = this.of(member.type);
      if (align !== 0 && member.bitSize === 0 && member.bitOffset % (8 * align) !== 0) return true;
      max = Math.max(max, align);
    }
    return type.size % max !== 0;
  }

  #compute(id: number, depth: number): number {
    if (depth > MAX_RESOLVE_DEPTH) throw this.#btf.tooDeep(id);
    const type = this.#btf.type(id);
    switch (type.kind) {
      case 'INT':
      case 'ENUM':
      case 'ENUM64':
      case 'FLOAT':
        return Math.min(POINTER_SIZE, type.size);
      case 'PTR':
        return POINTER_SIZE;
      case 'TYPEDEF':
      case 'VOLATILE':
      case 'CONST':
      case 'RESTRICT':
      case 'TYPE_TAG':
      case 'ARRAY':
        return this.of(type.type, depth + 1);
      case 'STRUCT':
      case 'UNION': {
        let max = 1;
        for (const member of type.members) {
          const align = this.of(member.type, depth + 1);
          if (align === 0) return 0;
          max = Math.max(max, align);
          if (member.bitSize === 0 && member.bitOffset % (8 * align) !== 0) return 1;
        }
        return type.size % max === 0 ? max : 1;
      }
      default:
        return 0;
    }
  }
}
