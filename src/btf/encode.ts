// BTF from types to bytes: the inverse of parsing. Strings are stored once each; a builder that continues
// the string table of a parsed BTF gives back its very bytes.

import { SkepError } from '../base/error.js';
import type { Btf } from './btf.js';
import type { BtfType } from './types.js';
import { btfKinds, funcLinkages, varLinkages } from './types.js';

const MAGIC = 0xeb9f;
const HEADER_SIZE = 24;
const MAX_VLEN = 0xffff;

/** A type to add: as `Btf.type` gives it, without its id, which the builder hands out. */
export type NewBtfType = BtfType extends infer T ? (T extends BtfType ? Omit<T, 'id'> : never) : never;

export interface BtfBuilderOptions {
  /** The BTF that the new ids and strings continue (split BTF). */
  base?: Btf;
  littleEndian?: boolean;
  /** A string table to start with, whose offsets stay what they are. */
  strings?: Uint8Array;
}

/** Collects types and strings and encodes them. Ids are handed out in order, from 1 or from the base's end. */
export class BtfBuilder {
  readonly #littleEndian: boolean;
  readonly #base: Btf | undefined;
  readonly #firstString: number;
  readonly #known = new Map<string, number>();
  readonly #strings = new Bytes();
  readonly #types = new Bytes();
  #nextId: number;

  constructor(options: BtfBuilderOptions = {}) {
    const { base, strings } = options;
    this.#base = base;
    this.#littleEndian = options.littleEndian ?? base?.littleEndian ?? true;
    this.#nextId = base?.typeCount ?? 1;
    this.#firstString = base?.strings.end ?? 0;
    if (base !== undefined) this.#indexStrings(base);
    if (strings !== undefined) {
      this.#strings.append(strings);
      this.#index(strings, this.#firstString);
    } else if (base === undefined) {
      this.string('');
    }
  }

  /** The id that the next type gets. */
  get nextId(): number {
    return this.#nextId;
  }

  /** The offset of a string in the table, to which it is added unless it is there. */
  string(text: string): number {
    if (text === '' && this.#base !== undefined) return 0;
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    if (text.includes('\0'))
      throw new SkepError(`the string '${text.slice(0, 64)}' contains a NUL character`);
    const offset = this.#firstString + this.#strings.length;
    this.#strings.append(utf8.encode(text));
    this.#strings.u8(0);
    this.#known.set(text, offset);
    return offset;
  }

  /** Adds a type and returns its id. Ids it refers to may be those of types added later. */
  add(type: NewBtfType): number {
    const id = this.#nextId;
    const kind = btfKinds.indexOf(type.kind);
    const head = (vlen: number, word: number, flag = false) => {
      if (vlen > MAX_VLEN) {
        throw new SkepError(`${vlen} entries are more than the ${MAX_VLEN} that a type can have`, {
          where: `BTF type [${id}] ${type.kind} '${type.name}'`,
        });
      }
      this.#u32(this.string(type.name));
      this.#u32(((flag ? 0x80000000 : 0) | (kind << 24) | vlen) >>> 0);
      this.#u32(word);
    };
    switch (type.kind) {
      case 'VOID':
        throw new SkepError('void has the id 0 and cannot be added');
      case 'INT':
        head(0, type.size);
        this.#u32(((type.encoding << 24) | (type.bitOffset << 16) | type.bits) >>> 0);
        break;
      case 'PTR':
      case 'VOLATILE':
      case 'CONST':
      case 'RESTRICT':
      case 'TYPEDEF':
        head(0, type.type);
        break;
      case 'TYPE_TAG':
        head(0, type.type, type.attribute);
        break;
      case 'ARRAY':
        head(0, 0);
        this.#u32(type.type);
        this.#u32(type.indexType);
        this.#u32(type.length);
        break;
      case 'STRUCT':
      case 'UNION':
        head(type.members.length, type.size, type.kindFlag);
        for (const member of type.members) {
          this.#u32(this.string(member.name));
          this.#u32(member.type);
          this.#u32(this.#place(id, type.kindFlag, member));
        }
        break;
      case 'ENUM':
        head(type.values.length, type.size, type.signed);
        for (const value of type.values) {
          this.#u32(this.string(value.name));
          this.#u32(value.value >>> 0);
        }
        break;
      case 'ENUM64':
        head(type.values.length, type.size, type.signed);
        for (const { name, value } of type.values) {
          this.#u32(this.string(name));
          this.#u32(Number(BigInt.asUintN(32, value)));
          this.#u32(Number(BigInt.asUintN(32, value >> 32n)));
        }
        break;
      case 'FWD':
        head(0, 0, type.union);
        break;
      case 'FUNC':
        head(funcLinkages.indexOf(type.linkage), type.type);
        break;
      case 'FUNC_PROTO':
        head(type.params.length, type.returnType);
        for (const param of type.params) {
          this.#u32(this.string(param.name));
          this.#u32(param.type);
        }
        break;
      case 'VAR':
        head(0, type.type);
        this.#u32(varLinkages.indexOf(type.linkage));
        break;
      case 'DATASEC':
        head(type.vars.length, type.size);
        for (const variable of type.vars) {
          this.#u32(variable.type);
          this.#u32(variable.offset);
          this.#u32(variable.size);
        }
        break;
      case 'FLOAT':
        head(0, type.size);
        break;
      case 'DECL_TAG':
        head(0, type.type, type.attribute);
        this.#u32(type.componentIndex >>> 0);
        break;
    }
    this.#nextId++;
    return id;
  }

  /** The bytes of a `.BTF` section: header, types, strings. */
  encode(): Uint8Array {
    const header = new Bytes();
    header.u16(MAGIC, this.#littleEndian);
    header.u8(1);
    header.u8(0);
    for (const word of [HEADER_SIZE, 0, this.#types.length, this.#types.length, this.#strings.length]) {
      header.u32(word, this.#littleEndian);
    }
    header.append(this.#types.take());
    header.append(this.#strings.take());
    return header.take().slice();
  }

  #place(id: number, flag: boolean, member: { name: string; bitOffset: number; bitSize: number }): number {
    const { bitOffset, bitSize } = member;
    if (flag ? bitOffset > 0xffffff || bitSize > 0xff : bitSize !== 0) {
      throw new SkepError(
        `member '${member.name}' at bit ${bitOffset} of ${bitSize} bits cannot be recorded`,
        {
          where: `BTF type [${id}]`,
          hint: 'bit fields need kindFlag, which leaves 24 bits for the offset and 8 for the size',
        },
      );
    }
    return ((flag ? bitSize << 24 : 0) | bitOffset) >>> 0;
  }

  #u32(value: number): void {
    this.#types.u32(value, this.#littleEndian);
  }

  #indexStrings(base: Btf): void {
    if (base.base !== undefined) this.#indexStrings(base.base);
    this.#index(base.strings.bytes, base.strings.start);
  }

  #index(strings: Uint8Array, start: number): void {
    for (let at = 0; at < strings.length; ) {
      const end = strings.indexOf(0, at);
      if (end < 0) throw new SkepError('the string table does not end with a NUL byte', { where: 'BTF' });
      const text = utf8Decoder.decode(strings.subarray(at, end));
      if (!this.#known.has(text)) this.#known.set(text, start + at);
      at = end + 1;
    }
  }
}

const utf8 = new TextEncoder();
const utf8Decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** `btf` as bytes again: header, types, then the same string table. */
export function encodeBtf(btf: Btf): Uint8Array {
  const builder = new BtfBuilder({
    littleEndian: btf.littleEndian,
    strings: btf.strings.bytes,
    ...(btf.base === undefined ? {} : { base: btf.base }),
  });
  for (let id = btf.firstId; id < btf.typeCount; id++) builder.add(btf.type(id));
  return builder.encode();
}

/** Bytes that grow by doubling. */
class Bytes {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  u8(value: number): void {
    this.#bytes[this.#reserve(1)] = value;
  }

  u16(value: number, littleEndian: boolean): void {
    const at = this.#reserve(2);
    this.#view.setUint16(at, value, littleEndian);
  }

  u32(value: number, littleEndian: boolean): void {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value, littleEndian);
  }

  append(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#bytes.set(bytes, at);
  }

  take(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  #reserve(size: number): number {
    const at = this.length;
    this.length += size;
    if (this.length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.length, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }
}
