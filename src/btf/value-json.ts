// The bytes of a value (a map's key or value, a section of variables) as the JSON that `bpftool map dump`
// prints for them. Plain output differs from `-j` in three places: bit fields, 128-bit integers and
// characters stand there as bare hexadecimal numbers, and pointers as addresses.

import { SkepError } from '../base/error.js';
import { needBytes, readBits, readInteger, type Where } from './bits.js';
import type { Btf } from './btf.js';
import { MAX_RESOLVE_DEPTH, MAX_VALUE_DEPTH } from './btf.js';
import type { JsonValue } from './json.js';
import { JsonMembers, JsonRaw, printBpftoolJson } from './json.js';
import type { BtfArray, BtfInt } from './types.js';
import { IntEncoding } from './types.js';

export interface ValueOptions {
  /** As in plain output, and not as with `-j` or `-p`. */
  plain?: boolean;
}

/**
 * The value of type `id` in `bytes`, in the byte order of `btf`, as bpftool's JSON has it. 64-bit integers
 * are bigint; members of anonymous structs stand under the name "".
 * Throws a SkepError when the bytes are too few, or when the type is no type of a value.
 */
export function valueToJson(btf: Btf, id: number, bytes: Uint8Array, options: ValueOptions = {}): JsonValue {
  return new JsonReader(btf, bytes, options.plain === true).read(id, 0, 0, 0);
}

/** The text of that value as plain `bpftool map dump` prints it: pretty, with bare hexadecimal numbers. */
export function formatValue(btf: Btf, id: number, bytes: Uint8Array): string {
  return printBpftoolJson(valueToJson(btf, id, bytes, { plain: true }), { pretty: true });
}

/** Whether the bytes of a char array are a string: printable characters up to a NUL byte. */
export function isString(btf: Btf, type: BtfArray, bytes: Uint8Array): boolean {
  if (!isCharacter(btf, type.type)) return false;
  for (let i = 0; i < type.length; i++) {
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

const hex = (value: bigint) => `0x${value.toString(16)}`;

/** How many values a byte may hold before they are taken for an attack: unions and empty structs repeat. */
const VALUES_PER_BYTE = 64;
const VALUES_AT_LEAST = 1 << 18;

class JsonReader {
  readonly #btf: Btf;
  readonly #bytes: Uint8Array;
  readonly #plain: boolean;
  #budget: number;

  constructor(btf: Btf, bytes: Uint8Array, plain: boolean) {
    this.#btf = btf;
    this.#bytes = bytes;
    this.#plain = plain;
    this.#budget = VALUES_AT_LEAST + VALUES_PER_BYTE * bytes.length;
  }

  /** The value of type `id` that begins `bit` (0 to 7) bits into the byte at `offset`. */
  read(id: number, offset: number, bit: number, depth: number): JsonValue {
    const btf = this.#btf;
    if (depth > MAX_VALUE_DEPTH) throw btf.tooDeep(id);
    if (--this.#budget < 0) throw new SkepError('it has too many parts', { where: btf.describe(id) });
    const type = btf.type(id);
    switch (type.kind) {
      case 'INT':
        return this.#int(type, offset, bit);
      case 'FLOAT':
        return this.#float(id, type.size, offset);
      case 'PTR': {
        const address = this.#bits(id, offset * 8, 64);
        if (!this.#plain) return address;
        return address === 0n ? '(nil)' : hex(address);
      }
      case 'ENUM': {
        // As bpftool does, by the signed value, whatever the enum says of itself.
        const value = BigInt.asIntN(type.size * 8, this.#bits(id, offset * 8, type.size * 8));
        const entry = type.values.find((candidate) => BigInt(candidate.value | 0) === value);
        return entry?.name ?? value;
      }
      case 'ENUM64': {
        const value = this.#bits(id, offset * 8, 64);
        const entry = type.values.find((candidate) => BigInt.asUintN(64, candidate.value) === value);
        return entry?.name ?? BigInt.asIntN(64, value);
      }
      case 'ARRAY':
        return this.#array(type, offset, depth);
      case 'STRUCT':
      case 'UNION':
        needBytes(this.#bytes, offset, type.size, () => btf.describe(id));
        return new JsonMembers(
          type.members.map((member) => {
            const value =
              member.bitSize > 0
                ? this.#bitField(id, offset * 8 + member.bitOffset, member.bitSize)
                : this.read(
                    member.type,
                    offset + Math.floor(member.bitOffset / 8),
                    member.bitOffset % 8,
                    depth + 1,
                  );
            return [member.name, value] as const;
          }),
        );
      case 'TYPEDEF':
      case 'VOLATILE':
      case 'CONST':
      case 'RESTRICT':
      case 'TYPE_TAG':
        return this.read(btf.skipModifiers(id), offset, bit, depth + 1);
      case 'VAR':
        return new JsonMembers([[type.name, this.read(type.type, offset, bit, depth + 1)]]);
      case 'DATASEC':
        return new JsonMembers([
          [type.name, type.vars.map((v) => this.read(v.type, offset + v.offset, 0, depth + 1))],
        ]);
      case 'VOID':
      case 'FWD':
      case 'FUNC':
      case 'FUNC_PROTO':
      case 'DECL_TAG':
        throw new SkepError(`a ${type.kind} has no value`, { where: btf.describe(id) });
    }
  }

  #array(type: BtfArray, offset: number, depth: number): JsonValue {
    const btf = this.#btf;
    const size = btf.sizeOf(type.type);
    needBytes(this.#bytes, offset, size * type.length, () => btf.describe(type.id));
    const bytes = this.#bytes.subarray(offset, offset + size * type.length);
    if (isString(btf, type, bytes)) return cString(bytes);
    const items: JsonValue[] = [];
    for (let i = 0; i < type.length; i++) items.push(this.read(type.type, offset + i * size, 0, depth + 1));
    return items;
  }

  #int(type: BtfInt, offset: number, bit: number): JsonValue {
    const { bits } = type;
    if (bit !== 0 || type.bitOffset !== 0 || bits % 8 !== 0) {
      return this.#bitField(type.id, offset * 8 + bit + type.bitOffset, bits);
    }
    if (type.encoding === IntEncoding.Bool) return this.#bits(type.id, offset * 8, 8) !== 0n;
    if (type.encoding === IntEncoding.Char) {
      const code = this.#bits(type.id, offset * 8, 8);
      const character = Number(code);
      if (character >= 0x20 && character < 0x7f) return new JsonRaw(`"${String.fromCharCode(character)}"`);
      return this.#plain
        ? new JsonRaw(hex(code))
        : new JsonRaw(`"\\u00${code.toString(16).padStart(2, '0')}"`);
    }
    if (bits !== 8 && bits !== 16 && bits !== 32 && bits !== 64) {
      return this.#bitField(type.id, offset * 8, bits);
    }
    const signed = type.encoding === IntEncoding.Signed;
    const { littleEndian } = this.#btf;
    return readInteger(this.#bytes, offset * 8, bits, signed, littleEndian, () =>
      this.#btf.describe(type.id),
    );
  }

  #float(id: number, size: number, offset: number): JsonValue {
    const value = readFloat(this.#bytes, offset, size, this.#btf.littleEndian, () => this.#btf.describe(id));
    return Number.isFinite(value) ? value : String(value);
  }

  #bitField(id: number, bitOffset: number, bitSize: number): JsonValue {
    const text = hex(this.#bits(id, bitOffset, bitSize));
    return this.#plain ? new JsonRaw(text) : text;
  }

  #bits(id: number, bitOffset: number, bitSize: number): bigint {
    return readBits(this.#bytes, bitOffset, bitSize, this.#btf.littleEndian, () => this.#btf.describe(id));
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
