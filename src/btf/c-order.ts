// Which definitions a C text needs before another, found by a depth-first walk over types.
//
// A struct that another embeds must be defined before it (a strong link); one that is only pointed to can
// be declared (`struct x;`) and defined later (a weak link), unless it has no name, for then its definition
// stands where it is used. The rules, and so the order, are those of libbpf's btf_dump.

import { SkepError } from '../base/error.js';
import type { Btf } from './btf.js';
import { Allowance } from './limit.js';
import { BtfKind } from './types.js';

/** How deep types may be nested in each other before that is an error and not a stack overflow. */
const MAX_DEPTH = 1000;

const BUSY = 1;
const DONE = 2;

/** Gives the definitions in order, each once. */
export class DefinitionOrder {
  readonly #btf: Btf;
  readonly #state: Uint8Array;
  readonly #referenced: Uint8Array;
  readonly #allowance: Allowance;
  #queue: number[] = [];

  constructor(btf: Btf) {
    this.#btf = btf;
    this.#state = new Uint8Array(btf.typeCount);
    this.#state[0] = DONE;
    this.#referenced = findReferenced(btf);
    this.#allowance = new Allowance(btf, 'the walk over all definitions');
  }

  /**
   * The ids of the definitions that `id` needs and that no earlier call returned, in the order in which to
   * print them. Throws a SkepError for a type that embeds itself.
   */
  next(id: number): number[] {
    this.#queue = [];
    this.#visit(id, false, 0);
    return this.#queue;
  }

  /** Whether the link to `id` is strong; `throughPointer` when a pointer led here. */
  #visit(id: number, throughPointer: boolean, depth: number): boolean {
    const state = this.#state[id];
    if (state === DONE) return true;
    this.#allowance.spend(1);
    const btf = this.#btf;
    if (depth > MAX_DEPTH) {
      throw new SkepError(`types are nested more than ${MAX_DEPTH} deep`, { where: btf.describe(id) });
    }
    const kind = btf.kindNumber(id);
    const named = btf.nameOffset(id) !== 0;
    const composite = kind === BtfKind.Struct || kind === BtfKind.Union;
    if (composite && throughPointer && named) return false;
    if (state === BUSY) {
      throw new SkepError('it contains itself, which no C definition can', { where: btf.describe(id) });
    }
    const type = btf.type(id);
    switch (type.kind) {
      case 'PTR': {
        const strong = this.#visit(type.type, true, depth + 1);
        this.#state[id] = DONE;
        return strong;
      }
      case 'ARRAY':
        return this.#visit(type.type, false, depth + 1);
      case 'STRUCT':
      case 'UNION':
        this.#state[id] = BUSY;
        for (const member of type.members) this.#visit(member.type, false, depth + 1);
        if (named) this.#queue.push(id);
        break;
      case 'ENUM':
      case 'ENUM64':
      case 'FWD':
        if (named || this.#referenced[id] === 0) this.#queue.push(id);
        break;
      case 'TYPEDEF': {
        const strong = this.#visit(type.type, throughPointer, depth + 1);
        if (throughPointer && !strong) return false;
        this.#queue.push(id);
        break;
      }
      case 'VOLATILE':
      case 'CONST':
      case 'RESTRICT':
      case 'TYPE_TAG':
        return this.#visit(type.type, throughPointer, depth + 1);
      case 'FUNC_PROTO': {
        let strong = this.#visit(type.returnType, throughPointer, depth + 1);
        for (const param of type.params) {
          if (this.#visit(param.type, throughPointer, depth + 1)) strong = true;
        }
        return strong;
      }
      default:
        this.#state[id] = DONE;
        return false;
    }
    this.#state[id] = DONE;
    return true;
  }
}

/** Which types another one mentions: an enum without a name that none does is a list of constants. */
function findReferenced(btf: Btf): Uint8Array {
  const referenced = new Uint8Array(btf.typeCount);
  for (let id = 1; id < btf.typeCount; id++) {
    const type = btf.type(id);
    switch (type.kind) {
      case 'VOLATILE':
      case 'CONST':
      case 'RESTRICT':
      case 'PTR':
      case 'TYPEDEF':
      case 'FUNC':
      case 'VAR':
      case 'DECL_TAG':
      case 'TYPE_TAG':
        referenced[type.type] = 1;
        break;
      case 'ARRAY':
        referenced[type.type] = 1;
        referenced[type.indexType] = 1;
        break;
      case 'STRUCT':
      case 'UNION':
        for (const member of type.members) referenced[member.type] = 1;
        break;
      case 'FUNC_PROTO':
        // The return type does not count in libbpf either.
        for (const param of type.params) referenced[param.type] = 1;
        break;
      case 'DATASEC':
        for (const variable of type.vars) referenced[variable.type] = 1;
        break;
    }
  }
  return referenced;
}
