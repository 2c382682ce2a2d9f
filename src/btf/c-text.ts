// The C text of single definitions and declarations, in the spelling of libbpf's btf_dump.
//
// A declaration is written from the innermost type outwards: for `int (*f[3])(void)`, an array of pointers
// to functions, the chain of types is [array, ptr, func_proto, int]; the text begins with its end, and what
// is left of the chain goes between the parentheses.

import { SkepError } from '../base/error.js';
import type { Alignment } from './align.js';
import type { Btf } from './btf.js';
import { Allowance } from './limit.js';
import type { BtfComposite, BtfEnum, BtfEnum64, BtfFwd, BtfTypedef } from './types.js';

/** How deep one declaration may be nested in another (anonymous structs, parameters of parameters). */
const MAX_DEPTH = 200;

/** Types that a compiler's arm_neon.h takes for granted and that BTF names only as integers. */
const missingAliases: Readonly<Record<string, string>> = {
  __Poly8_t: 'unsigned char',
  __Poly16_t: 'unsigned short',
  __Poly64_t: 'unsigned long long',
  __Poly128_t: 'unsigned __int128',
};

const padTypes = [
  { name: 'long', bits: 64 },
  { name: 'int', bits: 32 },
  { name: 'short', bits: 16 },
  { name: 'char', bits: 8 },
] as const;

const roundUp = (value: number, to: number) => Math.ceil(value / to) * to;

const indent = (level: number) => '\t'.repeat(level);

/** How often each name was given out; the second `x` is written `x___2`. */
class Names {
  readonly #counts = new Map<string, number>();

  unique(name: string): string {
    const count = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, count);
    return count > 1 ? `${name}___${count}` : name;
  }
}

/** Collects C text: definitions and declarations, with the names that they have been given. */
export class CText {
  readonly #btf: Btf;
  readonly #alignment: Alignment;
  readonly #parts: string[] = [];
  /** Structs, unions and enums have one name space; typedefs and enumerators another. */
  readonly #tags = new Names();
  readonly #identifiers = new Names();
  readonly #resolved = new Map<number, string>();
  readonly #allowance: Allowance;
  #depth = 0;

  constructor(btf: Btf, alignment: Alignment) {
    this.#btf = btf;
    this.#alignment = alignment;
    this.#allowance = new Allowance(btf, 'the C text');
  }

  toString(): string {
    return this.#parts.join('');
  }

  write(text: string): void {
    this.#allowance.spend(text.length);
    this.#parts.push(text);
  }

  /** `struct x`, or what stands for a struct without a name. */
  structName(type: BtfComposite): void {
    const keyword = type.kind === 'STRUCT' ? 'struct' : 'union';
    this.write(type.name === '' ? keyword : `${keyword} ${this.#tagName(type.id, type.name)}`);
  }

  forward(type: BtfFwd): void {
    // A forward declaration names a type that is elsewhere, so it never gets a number.
    this.write(`${type.union ? 'union' : 'struct'} ${type.name}`);
  }

  typedef(type: BtfTypedef): void {
    const name = this.#identifier(type.id, type.name);
    if (type.type === 0 && name === '__gnuc_va_list') {
      // Old compilers recorded this typedef as one of void.
      this.write('typedef __builtin_va_list __gnuc_va_list');
      return;
    }
    this.write('typedef ');
    this.declaration(type.type, name, 0);
  }

  missingAlias(name: string): void {
    const alias = Object.hasOwn(missingAliases, name) ? missingAliases[name] : undefined;
    if (alias !== undefined) this.write(`typedef ${alias} ${name};\n\n`);
  }

  enumDefinition(type: BtfEnum | BtfEnum64, level: number): void {
    this.#enumName(type);
    if (type.values.length === 0) return;
    const suffix = type.kind === 'ENUM' ? '' : type.signed ? 'LL' : 'ULL';
    const lines = [' {'];
    for (const value of type.values) {
      lines.push(`\n${indent(level + 1)}${this.#identifiers.unique(value.name)} = ${value.value}${suffix},`);
    }
    this.write(`${lines.join('')}\n${indent(level)}}`);
    if (type.size === 1) {
      this.write(' __attribute__((mode(byte)))');
    } else if (type.size === 8) {
      // A value beyond 32 bits makes the compiler choose 8 bytes by itself.
      const large =
        type.kind === 'ENUM64' && type.values.some(({ value }) => BigInt.asUintN(64, value) >> 32n);
      if (!large) this.write(' __attribute__((mode(word)))');
    }
  }

  structDefinition(type: BtfComposite, level: number): void {
    const isStruct = type.kind === 'STRUCT';
    const align = this.#alignment.of(type.id);
    const packed = isStruct && this.#alignment.isPacked(type);
    this.structName(type);
    this.write(' {');
    let end = 0;
    let afterBitField = false;
    for (const member of type.members) {
      const isBitField = member.bitSize > 0;
      const memberAlign = packed ? 1 : this.#alignment.of(member.type);
      this.#padding(end, member.bitOffset, memberAlign, afterBitField && isBitField, level + 1);
      this.write(`\n${indent(level + 1)}`);
      this.declaration(member.type, member.name, level + 1);
      this.write(isBitField ? `: ${member.bitSize};` : ';');
      end = member.bitOffset + (isBitField ? member.bitSize : this.#sizeOf(member.type) * 8);
      afterBitField = isBitField;
    }
    if (isStruct) this.#padding(end, type.size * 8, align, false, level + 1);
    this.write(type.members.length > 0 || type.size > 0 ? `\n${indent(level)}}` : '}');
    if (packed) this.write(' __attribute__((packed))');
  }

  /** `type name`: a variable, member, parameter or typedef; `name` may be empty. */
  declaration(id: number, name: string, level: number): void {
    const btf = this.#btf;
    if (this.#depth >= MAX_DEPTH) {
      throw new SkepError(`declarations are nested more than ${MAX_DEPTH} deep`, { where: btf.describe(id) });
    }
    const chain: number[] = [];
    for (let at = id; ; ) {
      chain.push(at);
      const type = btf.type(at);
      const next =
        type.kind === 'FUNC_PROTO'
          ? type.returnType
          : type.kind === 'PTR' ||
              type.kind === 'VOLATILE' ||
              type.kind === 'CONST' ||
              type.kind === 'RESTRICT' ||
              type.kind === 'TYPE_TAG' ||
              type.kind === 'ARRAY'
            ? type.type
            : undefined;
      if (next === undefined) break;
      if (chain.length > MAX_DEPTH) {
        throw new SkepError(`its declaration has more than ${MAX_DEPTH} parts`, { where: btf.describe(id) });
      }
      at = next;
    }
    this.#depth++;
    this.#chain(chain, name, level);
    this.#depth--;
  }

  /** Writes a chain of types, from its end, around `name`; takes off what it has written. */
  #chain(chain: number[], name: string, level: number): void {
    const btf = this.#btf;
    // Whether the text ends with an asterisk, or nothing is written yet: then no space is due.
    let afterPointer = true;
    for (let id = chain.pop(); id !== undefined; id = chain.pop()) {
      const type = btf.type(id);
      switch (type.kind) {
        case 'VOID':
          this.#modifiers(chain);
          this.write('void');
          break;
        case 'INT':
        case 'FLOAT':
          this.#modifiers(chain);
          this.write(type.name);
          break;
        case 'STRUCT':
        case 'UNION':
          this.#modifiers(chain);
          if (type.name === '') this.structDefinition(type, level);
          else this.structName(type);
          break;
        case 'ENUM':
        case 'ENUM64':
          this.#modifiers(chain);
          if (type.name === '') this.enumDefinition(type, level);
          else this.#enumName(type);
          break;
        case 'FWD':
          this.#modifiers(chain);
          this.forward(type);
          break;
        case 'TYPEDEF':
          this.#modifiers(chain);
          this.write(this.#identifier(id, type.name));
          break;
        case 'PTR':
          this.write(afterPointer ? '*' : ' *');
          break;
        case 'VOLATILE':
          this.write(' volatile');
          break;
        case 'CONST':
          this.write(' const');
          break;
        case 'RESTRICT':
          this.write(' restrict');
          break;
        case 'TYPE_TAG':
          this.#modifiers(chain);
          this.write(
            type.attribute
              ? ` __attribute__((${type.name}))`
              : ` __attribute__((btf_type_tag("${type.name}")))`,
          );
          break;
        case 'ARRAY':
          this.#array(chain, type.length, name, level, afterPointer);
          return;
        case 'FUNC_PROTO':
          this.#dropModifiers(chain);
          if (chain.length > 0) {
            this.write(' (');
            this.#chain(chain, name, level);
            this.write(')');
          } else {
            this.#name(name, afterPointer);
          }
          this.#parameters(type.params, level);
          return;
        default:
          throw new SkepError(`a ${type.kind} cannot be part of a declaration`, { where: btf.describe(id) });
      }
      afterPointer = type.kind === 'PTR';
    }
    this.#name(name, afterPointer);
  }

  #array(chain: number[], length: number, name: string, level: number, afterPointer: boolean): void {
    // What qualifies an array qualifies its elements, where it is written already.
    this.#dropModifiers(chain);
    const outer = chain.at(-1);
    if (outer === undefined) {
      this.#name(name, afterPointer);
    } else {
      if (name !== '' && !afterPointer) this.write(' ');
      const isArray = this.#btf.kind(outer) === 'ARRAY';
      if (!isArray) this.write('(');
      this.#chain(chain, name, level);
      if (!isArray) this.write(')');
    }
    this.write(`[${length}]`);
  }

  #parameters(params: readonly { name: string; type: number }[], level: number): void {
    if (params.length === 0 || (params.length === 1 && params[0]?.type === 0)) {
      this.write('(void)');
      return;
    }
    this.write('(');
    params.forEach((param, i) => {
      if (i > 0) this.write(', ');
      if (i === params.length - 1 && param.type === 0) this.write('...');
      else this.declaration(param.type, param.name, level);
    });
    this.write(')');
  }

  #name(name: string, afterPointer: boolean): void {
    this.write(name === '' || afterPointer ? name : ` ${name}`);
  }

  /** Writes the qualifiers that precede a base type. */
  #modifiers(chain: number[]): void {
    for (let id = chain.at(-1); id !== undefined; id = chain.at(-1)) {
      const kind = this.#btf.kind(id);
      if (kind !== 'VOLATILE' && kind !== 'CONST' && kind !== 'RESTRICT') return;
      this.write(`${kind.toLowerCase()} `);
      chain.pop();
    }
  }

  #dropModifiers(chain: number[]): void {
    for (let id = chain.at(-1); id !== undefined; id = chain.at(-1)) {
      const kind = this.#btf.kind(id);
      if (kind !== 'VOLATILE' && kind !== 'CONST' && kind !== 'RESTRICT' && kind !== 'TYPE_TAG') return;
      chain.pop();
    }
  }

  #enumName(type: BtfEnum | BtfEnum64): void {
    if (type.name === '') {
      this.write('enum');
      return;
    }
    // An enum without values is a forward declaration and keeps its name.
    const isForward = type.kind === 'ENUM' && type.values.length === 0;
    this.write(`enum ${isForward ? type.name : this.#tagName(type.id, type.name)}`);
  }

  #tagName(id: number, name: string): string {
    return this.#resolve(id, name, this.#tags);
  }

  #identifier(id: number, name: string): string {
    return this.#resolve(id, name, this.#identifiers);
  }

  #resolve(id: number, name: string, names: Names): string {
    let resolved = this.#resolved.get(id);
    if (resolved === undefined) {
      resolved = names.unique(name);
      this.#resolved.set(id, resolved);
    }
    return resolved;
  }

  /** In bytes; 0 for what has no size (a flexible array of an incomplete type). */
  #sizeOf(id: number): number {
    try {
      return this.#btf.sizeOf(id);
    } catch (error) {
      if (error instanceof SkepError) return 0;
      throw error;
    }
  }

  /**
   * Fills the gap between two offsets (in bits) with unnamed bit fields, as few as will do: where the
   * alignment of the next member (in bytes) leaves the gap by itself, none.
   */
  #padding(from: number, to: number, nextAlign: number, inBitField: boolean, level: number): void {
    if (from >= to) return;
    // The largest type whose boundary lies in the gap.
    let at = from;
    let pad: { name: string; bits: number } = padTypes[3];
    for (const candidate of padTypes) {
      pad = candidate;
      at = roundUp(from, candidate.bits);
      if (at <= to) break;
    }
    if (at > from && at <= to) {
      // `long: 0` moves to the boundary. It is needed where the next member would not go there by itself,
      // and where the padding that follows would fit before the boundary.
      const nextGoesThere = roundUp(from, nextAlign * 8 || 1) === at;
      if (inBitField || (at === to && !nextGoesThere) || (at !== to && to - at <= at - from)) {
        this.#pad(pad.name, inBitField ? at - from : 0, level);
      }
    } else {
      at = from;
    }
    while (at < to) {
      const bits = Math.min(to - at, pad.bits);
      if (bits < pad.bits) pad = padTypes.findLast((candidate) => candidate.bits >= bits) ?? pad;
      this.#pad(pad.name, bits, level);
      at += bits;
    }
  }

  #pad(type: string, bits: number, level: number): void {
    this.write(`\n${indent(level)}${type}: ${bits};`);
  }
}
