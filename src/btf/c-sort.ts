// The order in which bpftool (7.5 and later) takes up types when it prints BTF as C, so that the text stays
// the same when a compiler numbers the types differently: enums, then integers and what is named after
// them, then structs, then function types; by name within each.

import type { Btf } from './btf.js';
import { MAX_RESOLVE_DEPTH } from './btf.js';
import { Allowance } from './limit.js';
import type { BtfType } from './types.js';

const LAST_RANK = 10;

/** All ids, void included, in bpftool's order. */
export function sortForC(btf: Btf): number[] {
  const keys = Array.from({ length: btf.typeCount }, (_, id) => ({
    id,
    rank: rank(btf, id),
    sortName: sortName(btf, id),
    ownName: btf.nameOf(id),
  }));
  const hashes = new Disambiguation(btf);
  keys.sort((a, b) => {
    if (a.rank !== b.rank) return a.rank - b.rank;
    if (a.sortName !== b.sortName) return a.sortName < b.sortName ? -1 : 1;
    if (a.ownName !== b.ownName) return a.ownName < b.ownName ? -1 : 1;
    const left = hashes.of(a.id, true, 0);
    const right = hashes.of(b.id, true, 0);
    if (left !== right) return left < right ? -1 : 1;
    return a.id - b.id;
  });
  return keys.map((key) => key.id);
}

/** The type that a reference or array is named after, or undefined for one that is neither. */
function target(type: BtfType): number | undefined {
  switch (type.kind) {
    case 'ARRAY':
    case 'TYPE_TAG':
    case 'CONST':
    case 'PTR':
    case 'VOLATILE':
    case 'RESTRICT':
    case 'TYPEDEF':
    case 'DECL_TAG':
      return type.type;
    default:
      return undefined;
  }
}

function rank(btf: Btf, id: number): number {
  let named = false;
  for (let at = id, depth = 0; depth <= MAX_RESOLVE_DEPTH; depth++) {
    const type = btf.type(at);
    named ||= type.name !== '';
    switch (type.kind) {
      case 'ENUM':
      case 'ENUM64':
        return named ? 1 : 0;
      case 'INT':
      case 'FLOAT':
        return 2;
      case 'STRUCT':
      case 'UNION':
        return named ? 3 : LAST_RANK;
      case 'FUNC_PROTO':
        return named ? 4 : LAST_RANK;
    }
    const next = target(type);
    if (next === undefined || !named) return LAST_RANK;
    at = next;
  }
  throw btf.tooDeep(id);
}

function sortName(btf: Btf, id: number): string {
  for (let at = id, depth = 0; depth <= MAX_RESOLVE_DEPTH; depth++) {
    const type = btf.type(at);
    if ((type.kind === 'ENUM' || type.kind === 'ENUM64') && depth === 0 && type.name === '') {
      return type.values[0]?.name ?? '';
    }
    const next = target(type);
    if (next === undefined) return type.name;
    at = next;
  }
  throw btf.tooDeep(id);
}

const utf8 = new TextEncoder();

const mix = (hash: bigint, value: bigint) => BigInt.asUintN(64, hash * 31n + value);

/**
 * A hash over a type's own name, its members' names and the names of their types. It only decides between
 * types of the same name, so it is computed when asked for.
 */
class Disambiguation {
  readonly #btf: Btf;
  readonly #allowance: Allowance;
  readonly #withMembers = new Map<number, bigint>();
  readonly #without = new Map<number, bigint>();

  constructor(btf: Btf) {
    this.#btf = btf;
    this.#allowance = new Allowance(btf, 'the order of types by name');
  }

  of(id: number, withMembers: boolean, depth: number): bigint {
    const known = withMembers ? this.#withMembers : this.#without;
    let hash = known.get(id);
    if (hash === undefined) {
      if (depth > MAX_RESOLVE_DEPTH) throw this.#btf.tooDeep(id);
      hash = this.#compute(this.#btf.type(id), withMembers, depth + 1);
      known.set(id, hash);
    }
    return hash;
  }

  #compute(type: BtfType, withMembers: boolean, depth: number): bigint {
    let hash = this.#name(0n, type.name);
    switch (type.kind) {
      case 'ENUM':
      case 'ENUM64':
        for (const value of type.values) hash = this.#name(hash, value.name);
        return hash;
      case 'STRUCT':
      case 'UNION':
        if (!withMembers) return hash;
        for (const member of type.members) {
          hash = mix(this.#name(hash, member.name), this.of(member.type, false, depth));
        }
        return hash;
      case 'ARRAY':
        return mix(mix(hash, BigInt(type.length)), this.of(type.type, withMembers, depth));
      default: {
        const next = target(type);
        return next === undefined ? hash : mix(hash, this.of(next, withMembers, depth));
      }
    }
  }

  #name(hash: bigint, name: string): bigint {
    if (name === '') return hash;
    this.#allowance.spend(name.length);
    let value = 0n;
    // A byte is a signed char to the tool's C compiler.
    for (const byte of utf8.encode(name)) value = mix(value, BigInt.asIntN(8, BigInt(byte)));
    return mix(hash, value);
  }
}
