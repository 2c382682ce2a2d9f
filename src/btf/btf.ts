// BPF Type Format: the types of an object file or of a kernel.
//
//     header   u16 magic 0xeb9f | u8 version 1 | u8 flags | u32 hdr_len | u32 type_off, type_len, str_off, str_len
//     types    one after the other, ids from 1; offsets count from the end of the header
//     strings  see strings.ts
//
// Parsing walks the types once to note where each begins and to check every reference, so that what is
// read later cannot leave the file; a type is decoded when it is asked for. What can still be wrong after
// parsing are loops, which each walk over types guards against itself.

import { SkepError } from '../base/error.js';
import { ByteReader } from '../base/reader.js';
import { decodeType } from './decode.js';
import { BtfStrings } from './strings.js';
import type { BtfDeclTag, BtfKindName, BtfType, BtfVoid } from './types.js';
import { BtfKind, btfKinds } from './types.js';
import { indexTypes } from './validate.js';

const MAGIC = 0xeb9f;
const HEADER_SIZE = 24;

/** How many modifiers and arrays may stand between a type and its size (libbpf's MAX_RESOLVE_DEPTH). */
export const MAX_RESOLVE_DEPTH = 32;

/** How deep structs and arrays may be nested in a value before that is taken for a loop. */
export const MAX_VALUE_DEPTH = 256;

/** Size of a pointer in every BPF program and every kernel that runs them as 64-bit code. */
export const POINTER_SIZE = 8;

const voidType: BtfVoid = { kind: 'VOID', id: 0, name: '' };

export interface BtfParseOptions {
  /** The BTF that ids and strings continue: vmlinux for a module's split BTF. */
  base?: Btf;
}

/** Types by id. Immutable; the bytes given to `parse` must not change afterwards. */
export class Btf {
  /** The whole section, as given. */
  readonly bytes: Uint8Array;
  readonly littleEndian: boolean;
  readonly base: Btf | undefined;
  /** Number of ids in use, void and the base's included: ids are 0 to typeCount - 1. */
  readonly typeCount: number;
  /** The first id that is not the base's; 1 without one. */
  readonly firstId: number;
  readonly strings: BtfStrings;
  readonly #view: DataView;
  readonly #offsets: Uint32Array;
  readonly #cache: (BtfType | undefined)[] = [];
  #declTags: Map<string, string[]> | undefined;
  #names: Map<string, number[]> | undefined;

  private constructor(
    bytes: Uint8Array,
    littleEndian: boolean,
    strings: BtfStrings,
    offsets: Uint32Array,
    base: Btf | undefined,
  ) {
    this.bytes = bytes;
    this.littleEndian = littleEndian;
    this.base = base;
    this.strings = strings;
    this.firstId = base?.typeCount ?? 1;
    this.typeCount = this.firstId + offsets.length;
    this.#offsets = offsets;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /**
   * Reads a `.BTF` section or `/sys/kernel/btf/vmlinux`, in either byte order.
   * Throws a SkepError that names the type id and the field for anything malformed.
   */
  static parse(bytes: Uint8Array, options: BtfParseOptions = {}): Btf {
    const { base } = options;
    if (bytes.length < HEADER_SIZE) {
      throw new SkepError(`${bytes.length} bytes are too few for the header of ${HEADER_SIZE}`, {
        where: 'BTF',
      });
    }
    // What is no BTF at all is reported as little endian reads it.
    const littleEndian = bytes[0] !== MAGIC >>> 8;
    const reader = new ByteReader(bytes, littleEndian, 'BTF');
    const magic = reader.u16(0, 'magic');
    if (magic !== MAGIC) {
      throw new SkepError(`magic is 0x${magic.toString(16)}, not 0xeb9f: these bytes are no BTF`, {
        where: 'BTF',
      });
    }
    const version = reader.u8(2, 'version');
    if (version !== 1) throw new SkepError(`version ${version} is not known (only 1)`, { where: 'BTF' });
    const headerSize = reader.u32(4, 'hdr_len');
    if (headerSize < HEADER_SIZE || headerSize > bytes.length) {
      throw new SkepError(`hdr_len ${headerSize} is not between ${HEADER_SIZE} and ${bytes.length}`, {
        where: 'BTF',
      });
    }
    const typeOff = reader.u32(8, 'type_off');
    const typeLen = reader.u32(12, 'type_len');
    const strOff = reader.u32(16, 'str_off');
    const strLen = reader.u32(20, 'str_len');
    if (typeOff % 4 !== 0)
      throw new SkepError(`type_off ${typeOff} is not a multiple of 4`, { where: 'BTF' });
    reader.need(headerSize + typeOff, typeLen, 'the type section');
    reader.need(headerSize + strOff, strLen, 'the string section');
    if (typeLen > 0 && strLen > 0 && typeOff < strOff + strLen && strOff < typeOff + typeLen) {
      throw new SkepError(
        `the type section (${typeOff}, ${typeLen} bytes) and the string section (${strOff}, ${strLen} bytes) overlap`,
        { where: 'BTF' },
      );
    }
    if (base !== undefined && base.littleEndian !== littleEndian) {
      throw new SkepError('its byte order differs from its base BTF', { where: 'BTF' });
    }
    const strings = new BtfStrings(
      bytes.subarray(headerSize + strOff, headerSize + strOff + strLen),
      base?.strings,
    );
    const offsets = indexTypes({
      view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
      littleEndian,
      start: headerSize + typeOff,
      end: headerSize + typeOff + typeLen,
      firstId: base?.typeCount ?? 1,
      stringsEnd: strings.end,
      name: (offset) => strings.at(offset),
      baseKind: (id) => base?.kind(id) ?? 'VOID',
    });
    return new Btf(bytes, littleEndian, strings, offsets, base);
  }

  /** The type with this id; id 0 is void. Throws a SkepError when there is none. */
  type(id: number): BtfType {
    if (id === 0) return voidType;
    if (id < this.firstId && this.base !== undefined) return this.base.type(id);
    const index = id - this.firstId;
    const known = this.#cache[index];
    if (known !== undefined) return known;
    const type = decodeType(this.#view, this.#offset(id), this.littleEndian, id, this.strings);
    this.#cache[index] = type;
    return type;
  }

  /** The kind of a type, without decoding it. */
  kind(id: number): BtfKindName {
    return btfKinds[this.kindNumber(id)] ?? 'VOID';
  }

  /** The kind of a type as `BtfKind` numbers it. */
  kindNumber(id: number): number {
    if (id === 0) return 0;
    if (id < this.firstId && this.base !== undefined) return this.base.kindNumber(id);
    return (this.#view.getUint32(this.#offset(id) + 4, this.littleEndian) >>> 24) & 0x1f;
  }

  /** The name of a type, without decoding it; empty for an anonymous one. */
  nameOf(id: number): string {
    const offset = this.nameOffset(id);
    return offset === 0 ? '' : this.strings.at(offset);
  }

  /** Where a type's name is in the string table; 0 for an anonymous one. */
  nameOffset(id: number): number {
    if (id === 0) return 0;
    if (id < this.firstId && this.base !== undefined) return this.base.nameOffset(id);
    return this.#view.getUint32(this.#offset(id), this.littleEndian);
  }

  /** The string at a byte offset of the string table. */
  string(offset: number): string {
    return this.strings.at(offset);
  }

  /** The lowest id with this name, of this kind if one is given. */
  findByName(name: string, kind?: BtfKindName): number | undefined {
    for (const id of this.idsByName(name)) if (kind === undefined || this.kind(id) === kind) return id;
    return undefined;
  }

  /** All ids with this name, ascending. */
  idsByName(name: string): readonly number[] {
    const below = this.base?.idsByName(name) ?? [];
    const own = (this.#names ?? this.#indexNames()).get(name) ?? [];
    return below.length === 0 ? own : [...below, ...own];
  }

  /** Names of the DECL_TAGs on a type itself (component -1), or on one of its components, in the order of their ids. */
  declTagsOf(id: number, component = -1): readonly string[] {
    if (!this.#declTags) {
      this.#declTags = new Map();
      for (let tag = this.firstId; tag < this.typeCount; tag++) {
        if (this.kindNumber(tag) !== BtfKind.DeclTag) continue;
        const type = this.type(tag) as BtfDeclTag;
        const key = `${type.type}:${type.componentIndex}`;
        this.#declTags.set(key, [...(this.#declTags.get(key) ?? []), type.name]);
      }
    }
    const below = this.base?.declTagsOf(id, component) ?? [];
    return [...below, ...(this.#declTags.get(`${id}:${component}`) ?? [])];
  }

  /**
   * Size in bytes of a value of this type, through modifiers and arrays. Throws a SkepError for a type
   * that has no size (void, FUNC, FUNC_PROTO, FWD), for a loop, and for 4 GiB and more.
   */
  sizeOf(id: number): number {
    let at = id;
    let count = 1;
    for (let depth = 0; depth < MAX_RESOLVE_DEPTH; depth++) {
      const type = this.type(at);
      switch (type.kind) {
        case 'INT':
        case 'STRUCT':
        case 'UNION':
        case 'ENUM':
        case 'ENUM64':
        case 'DATASEC':
        case 'FLOAT':
          return this.#checkSize(id, count * type.size);
        case 'PTR':
          return this.#checkSize(id, count * POINTER_SIZE);
        case 'ARRAY':
          count = this.#checkSize(id, count * type.length);
          at = type.type;
          break;
        case 'TYPEDEF':
        case 'VOLATILE':
        case 'CONST':
        case 'RESTRICT':
        case 'TYPE_TAG':
        case 'DECL_TAG':
        case 'VAR':
          at = type.type;
          break;
        case 'VOID':
        case 'FWD':
        case 'FUNC':
        case 'FUNC_PROTO':
          throw new SkepError(`a ${type.kind} has no size`, { where: this.describe(id) });
      }
    }
    throw this.tooDeep(id);
  }

  /** The id below typedef, const, volatile, restrict and type tags. Throws a SkepError for a loop. */
  skipModifiers(id: number): number {
    let at = id;
    for (let depth = 0; depth <= MAX_RESOLVE_DEPTH; depth++) {
      const type = this.type(at);
      switch (type.kind) {
        case 'TYPEDEF':
        case 'VOLATILE':
        case 'CONST':
        case 'RESTRICT':
        case 'TYPE_TAG':
          at = type.type;
          break;
        default:
          return at;
      }
    }
    throw this.tooDeep(id);
  }

  /** A type for an error message: `BTF type [12] STRUCT 'task_struct'`. */
  describe(id: number): string {
    if (!(id >= 0 && id < this.typeCount)) return `BTF type [${id}]`;
    const name = this.nameOf(id).slice(0, 128);
    return `BTF type [${id}] ${this.kind(id)}${name === '' ? '' : ` '${name}'`}`;
  }

  /** The error for a type whose references form a loop or go deeper than any limit above. */
  tooDeep(id: number): SkepError {
    return new SkepError('its type refers to itself or is nested too deep', {
      where: this.describe(id),
    });
  }

  #checkSize(id: number, size: number): number {
    if (size <= 0xffffffff) return size;
    throw new SkepError(`its size of ${size} bytes does not fit in 32 bits`, { where: this.describe(id) });
  }

  #offset(id: number): number {
    const offset = this.#offsets[id - this.firstId];
    if (offset === undefined) {
      throw new SkepError(`there is no type [${id}]: ids end at ${this.typeCount - 1}`, { where: 'BTF' });
    }
    return offset;
  }

  #indexNames(): Map<string, number[]> {
    const names = new Map<string, number[]>();
    for (let id = this.firstId; id < this.typeCount; id++) {
      const offset = this.nameOffset(id);
      if (offset === 0) continue;
      const name = this.strings.at(offset);
      const ids = names.get(name);
      if (ids === undefined) names.set(name, [id]);
      else ids.push(id);
    }
    this.#names = names;
    return names;
  }
}
