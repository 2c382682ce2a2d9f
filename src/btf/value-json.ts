// The bytes of a value (a map's key or value, a section of variables) as the JSON that `bpftool map dump` prints for
// them. Plain output differs from `-j` in three places: bit fields, 128-bit integers and characters stand there as bare
// hexadecimal numbers, and pointers as addresses.
//
// A type is looked at once: what comes out is a function that writes its values, made of those for its parts.

import { SkepError } from '../base/error.js';
import { needBytes, readBits, type Where } from './bits.js';
import type { Btf } from './btf.js';
import { MAX_RESOLVE_DEPTH, MAX_VALUE_DEPTH } from './btf.js';
import type { BtfArray, BtfComposite, BtfEnum, BtfEnum64, BtfInt } from './types.js';
import { IntEncoding } from './types.js';

/** Where JSON is written to, piece by piece. */
export interface JsonSink {
  startObject(): void;
  endObject(): void;
  startArray(): void;
  endArray(): void;
  /** The name of the member whose value is written next; it may repeat. */
  name(name: string): void;
  scalar(value: string | number | bigint | boolean): void;
  /** A value that is text already. */
  raw(text: string): void;
}

export interface ValueOptions {
  /** As in plain output, and not as with `-j` or `-p`. */
  plain?: boolean;
  /** The text for a pointer to a function (type id of the FUNC_PROTO), or undefined for its address. */
  functionPointer?: (proto: number, address: bigint) => string | undefined;
}

/** Writes a value in the byte order of its BTF. Fails with a SkepError when the bytes are too few. */
export type ValueWriter = (bytes: Uint8Array, sink: JsonSink) => void;

/** Writes what begins `bit` (0 to 7) bits into the byte at `at`. */
type PartWriter = (value: Value, at: number, bit: number) => void;

/** A value that is being written. */
interface Value {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly sink: JsonSink;
  /** How many parts it may still have. */
  budget: number;
  /** How deep the part is nested that is being written. */
  depth: number;
}

/** How many parts a byte may hold before they are taken for an attack: unions and empty structs repeat. */
const PARTS_PER_BYTE = 64;
const PARTS_AT_LEAST = 1 << 18;

/**
 * What writes values of type `id` as bpftool's JSON has them. Members of anonymous structs stand under the name "".
 * Floating point numbers, which bpftool does not know, are written as numbers.
 * Throws a SkepError, at once or when a value is written, for a type that values cannot have.
 */
export function valueWriter(btf: Btf, id: number, options: ValueOptions = {}): ValueWriter {
  const write = new Compiler(btf, options).writer(id);
  return (bytes, sink) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    try {
      const budget = PARTS_AT_LEAST + PARTS_PER_BYTE * bytes.length;
      write({ bytes, view, sink, budget, depth: 0 }, 0, 0);
    } catch (error) {
      // What the parts read without looking: the view knows its end.
      if (!(error instanceof RangeError)) throw error;
      throw new SkepError(`the value has ${bytes.length} bytes, which are too few`, {
        where: btf.describe(id),
      });
    }
  };
}

/** Whether the bytes of a char array are a string: printable characters up to a NUL byte. */
export function isString(btf: Btf, type: BtfArray, bytes: Uint8Array): boolean {
  return isCharacter(btf, type.type) && isText(bytes, 0, type.length);
}

function isText(bytes: Uint8Array, at: number, length: number): boolean {
  for (let i = at; i < at + length; i++) {
    const byte = bytes[i] ?? 1;
    if (byte === 0) return true;
    if (byte <= 0x1f || byte >= 0x7f) return false;
  }
  return false;
}

/** `char`, perhaps qualified; not a typedef of it, as in bpftool. */
export function isCharacter(btf: Btf, id: number): boolean {
  let at = id;
  for (let depth = 0; depth <= MAX_RESOLVE_DEPTH; depth++) {
    const type = btf.type(at);
    if (type.kind === 'CONST' || type.kind === 'VOLATILE' || type.kind === 'RESTRICT') at = type.type;
    else return type.kind === 'INT' && type.size === 1 && isCharName(type);
  }
  throw btf.tooDeep(id);
}

const isCharName = (type: BtfInt) => type.encoding === IntEncoding.Char || type.name === 'char';

/** The characters up to the first NUL byte. */
export function cString(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** The same of what is printable ASCII, as `isText` found it. */
function text(bytes: Uint8Array, at: number): string {
  let result = '';
  for (let i = at; ; i++) {
    const byte = bytes[i] ?? 0;
    if (byte === 0) return result;
    result += String.fromCharCode(byte);
  }
}

const hex = (value: bigint) => `0x${value.toString(16)}`;

class Compiler {
  readonly #btf: Btf;
  readonly #options: ValueOptions;
  readonly #plain: boolean;
  readonly #littleEndian: boolean;
  readonly #known = new Map<number, PartWriter>();

  constructor(btf: Btf, options: ValueOptions) {
    this.#btf = btf;
    this.#options = options;
    this.#plain = options.plain === true;
    this.#littleEndian = btf.littleEndian;
  }

  writer(id: number): PartWriter {
    let writer = this.#known.get(id);
    if (writer === undefined) {
      writer = this.#compile(id);
      this.#known.set(id, writer);
    }
    return writer;
  }

  #compile(id: number): PartWriter {
    const btf = this.#btf;
    const type = btf.type(id);
    switch (type.kind) {
      case 'INT':
        return this.#int(type);
      case 'FLOAT':
        return ({ bytes, sink }, at) => {
          const value = readFloat(bytes, at, type.size, this.#littleEndian, () => btf.describe(id));
          if (Number.isFinite(value)) sink.raw(Object.is(value, -0) ? '-0' : String(value));
          else sink.scalar(String(value));
        };
      case 'PTR':
        return this.#pointer(type.type);
      case 'ENUM':
      case 'ENUM64':
        return this.#enum(type);
      case 'ARRAY':
        return this.#array(type);
      case 'STRUCT':
      case 'UNION':
        return this.#composite(type);
      case 'TYPEDEF':
      case 'VOLATILE':
      case 'CONST':
      case 'RESTRICT':
      case 'TYPE_TAG':
        return this.writer(btf.skipModifiers(id));
      case 'VAR': {
        const write = this.#later(type.type);
        return (value, at, bit) => {
          value.sink.startObject();
          value.sink.name(type.name);
          write(value, at, bit);
          value.sink.endObject();
        };
      }
      case 'DATASEC': {
        const vars = type.vars.map((v) => ({ offset: v.offset, write: this.#later(v.type) }));
        return (value, at) => {
          const { sink } = value;
          sink.startObject();
          sink.name(type.name);
          sink.startArray();
          for (const { offset, write } of vars) write(value, at + offset, 0);
          sink.endArray();
          sink.endObject();
        };
      }
      case 'VOID':
      case 'FWD':
      case 'FUNC':
      case 'FUNC_PROTO':
      case 'DECL_TAG':
        throw new SkepError(`a ${type.kind} has no value`, { where: btf.describe(id) });
    }
  }

  /** The writer of a part, made when the first one is met: an empty array may be of the type that it is part of. */
  #later(id: number): PartWriter {
    let write: PartWriter | undefined;
    return (value, at, bit) => {
      if (--value.budget < 0) throw new SkepError('it has too many parts', { where: this.#btf.describe(id) });
      if (++value.depth > MAX_VALUE_DEPTH) throw this.#btf.tooDeep(id);
      write ??= this.writer(id);
      write(value, at, bit);
      value.depth--;
    };
  }

  #composite(type: BtfComposite): PartWriter {
    const members = type.members.map((member) => ({
      name: member.name,
      offset: Math.floor(member.bitOffset / 8),
      bit: member.bitOffset % 8,
      write: member.bitSize > 0 ? this.#bitField(type.id, member.bitSize) : this.#later(member.type),
    }));
    return (value, at) => {
      const { sink } = value;
      if (at + type.size > value.bytes.length) {
        needBytes(value.bytes, at, type.size, () => this.#btf.describe(type.id));
      }
      sink.startObject();
      for (const { name, offset, bit, write } of members) {
        sink.name(name);
        write(value, at + offset, bit);
      }
      sink.endObject();
    };
  }

  #array(type: BtfArray): PartWriter {
    const btf = this.#btf;
    const { length } = type;
    const size = btf.sizeOf(type.type);
    const mayBeText = isCharacter(btf, type.type);
    const write = this.#later(type.type);
    return (value, at) => {
      const { bytes, sink } = value;
      if (at + size * length > bytes.length) needBytes(bytes, at, size * length, () => btf.describe(type.id));
      if (mayBeText && isText(bytes, at, length)) {
        sink.scalar(text(bytes, at));
        return;
      }
      sink.startArray();
      for (let i = 0; i < length; i++) write(value, at + i * size, 0);
      sink.endArray();
    };
  }

  #int(type: BtfInt): PartWriter {
    const { bits } = type;
    const little = this.#littleEndian;
    const asBits = this.#bitField(type.id, bits);
    if (type.bitOffset !== 0 || bits % 8 !== 0) {
      return (value, at, bit) => {
        const from = bit + type.bitOffset;
        asBits(value, at + (from >> 3), from & 7);
      };
    }
    let whole = asBits;
    if (type.encoding === IntEncoding.Bool) {
      whole = ({ view, sink }, at) => sink.scalar(view.getUint8(at) !== 0);
    } else if (type.encoding === IntEncoding.Char) {
      whole = this.#character();
    } else {
      const signed = type.encoding === IntEncoding.Signed;
      if (bits === 8) {
        whole = signed
          ? ({ view, sink }, at) => sink.scalar(view.getInt8(at))
          : ({ view, sink }, at) => sink.scalar(view.getUint8(at));
      } else if (bits === 16) {
        whole = signed
          ? ({ view, sink }, at) => sink.scalar(view.getInt16(at, little))
          : ({ view, sink }, at) => sink.scalar(view.getUint16(at, little));
      } else if (bits === 32) {
        whole = signed
          ? ({ view, sink }, at) => sink.scalar(view.getInt32(at, little))
          : ({ view, sink }, at) => sink.scalar(view.getUint32(at, little));
      } else if (bits === 64) {
        whole = signed
          ? ({ view, sink }, at) => sink.scalar(view.getBigInt64(at, little))
          : ({ view, sink }, at) => sink.scalar(view.getBigUint64(at, little));
      }
    }
    return (value, at, bit) => (bit === 0 ? whole(value, at, 0) : asBits(value, at, bit));
  }

  #character(): PartWriter {
    return ({ view, sink }, at) => {
      const code = view.getUint8(at);
      if (code >= 0x20 && code < 0x7f) sink.raw(`"${String.fromCharCode(code)}"`);
      else if (this.#plain) sink.raw(`0x${code.toString(16)}`);
      else sink.raw(`"\\u00${code.toString(16).padStart(2, '0')}"`);
    };
  }

  #pointer(target: number): PartWriter {
    const { functionPointer } = this.#options;
    const proto = this.#btf.skipModifiers(target);
    const isFunction = functionPointer !== undefined && this.#btf.kind(proto) === 'FUNC_PROTO';
    return ({ view, sink }, at) => {
      const address = view.getBigUint64(at, this.#littleEndian);
      const named = isFunction ? functionPointer(proto, address) : undefined;
      if (named !== undefined) sink.scalar(named);
      else if (!this.#plain) sink.scalar(address);
      else sink.scalar(address === 0n ? '(nil)' : hex(address));
    };
  }

  /** By the signed value, whatever the enum says of itself, as bpftool does. */
  #enum(type: BtfEnum | BtfEnum64): PartWriter {
    const wide = type.kind === 'ENUM64';
    const bits = wide ? 64 : type.size * 8;
    const names = new Map<bigint, string>();
    for (const { name, value } of type.values) {
      const key = typeof value === 'bigint' ? BigInt.asIntN(64, value) : BigInt(value | 0);
      if (!names.has(key)) names.set(key, name);
    }
    const where = () => this.#btf.describe(type.id);
    return ({ bytes, sink }, at) => {
      const value = BigInt.asIntN(bits, readBits(bytes, at * 8, bits, this.#littleEndian, where));
      sink.scalar(names.get(value) ?? value);
    };
  }

  #bitField(id: number, bitSize: number): PartWriter {
    const where = () => this.#btf.describe(id);
    return ({ bytes, sink }, at, bit) => {
      const digits = hex(readBits(bytes, at * 8 + bit, bitSize, this.#littleEndian, where));
      sink.raw(this.#plain ? digits : `"${digits}"`);
    };
  }
}

/** A 4- or 8-byte floating point number; other sizes have no value in JavaScript. */
export function readFloat(
  bytes: Uint8Array,
  offset: number,
  size: number,
  littleEndian: boolean,
  where: Where,
): number {
  needBytes(bytes, offset, size, where);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (size === 4) return view.getFloat32(offset, littleEndian);
  if (size === 8) return view.getFloat64(offset, littleEndian);
  throw new SkepError(`floating point numbers of ${size} bytes cannot be read`, { where: where() });
}
