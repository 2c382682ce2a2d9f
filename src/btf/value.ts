// Values between bytes and JavaScript, by their BTF type: what a program sees of a map or a variable, and
// what a person writes to set one. decodeValue and encodeValue are each other's inverse but for padding.
//
//     integers up to 32 bits  number          64 and 128 bits, pointers  bigint
//     _Bool                   boolean         enum                       its name, or the number without one
//     char array              string, when printable up to a NUL byte
//     array                   array           struct, union, section     object; members of anonymous ones
//                                             are those of the struct around them, as in C

import { SkepError } from '../base/error.js';
import { needBytes, readInteger, writeBits } from './bits.js';
import type { Btf } from './btf.js';
import { MAX_VALUE_DEPTH } from './btf.js';
import type { BtfComposite, BtfEnum, BtfEnum64, BtfType } from './types.js';
import { IntEncoding } from './types.js';
import { cString, isCharacter, isString, readFloat } from './value-json.js';

/** A value as JavaScript has it. Bytes may stand for an array of one-byte integers when encoding. */
export type Value =
  | number
  | bigint
  | boolean
  | string
  | Uint8Array
  | readonly Value[]
  | { readonly [name: string]: Value };

/** How many parts a byte may hold before they are taken for an attack. */
const PARTS_PER_BYTE = 64;
const PARTS_AT_LEAST = 1 << 18;

/**
 * The value of type `id` in `bytes`, which are in the byte order of `btf`.
 * Throws a SkepError when the bytes are too few or the type is no type of a value.
 */
export function decodeValue(btf: Btf, id: number, bytes: Uint8Array): Value {
  let budget = PARTS_AT_LEAST + PARTS_PER_BYTE * bytes.length;
  const spend = (id: number): void => {
    if (--budget < 0) throw new SkepError('it has too many parts', { where: btf.describe(id) });
  };

  const integer = (id: number, bitOffset: number, bits: number, signed: boolean): number | bigint => {
    return readInteger(bytes, bitOffset, bits, signed, btf.littleEndian, () => btf.describe(id));
  };

  const members = (type: BtfComposite, offset: number, depth: number, into: [string, Value][]): void => {
    needBytes(bytes, offset, type.size, () => btf.describe(type.id));
    for (const member of type.members) {
      spend(type.id);
      const bitOffset = offset * 8 + member.bitOffset;
      if (member.bitSize > 0) {
        if (member.name === '') continue;
        into.push([member.name, scalar(member.type, bitOffset, member.bitSize)]);
        continue;
      }
      const inner = btf.type(btf.skipModifiers(member.type));
      if (member.name === '' && (inner.kind === 'STRUCT' || inner.kind === 'UNION')) {
        if (depth >= MAX_VALUE_DEPTH) throw btf.tooDeep(type.id);
        members(inner, bitOffset / 8, depth + 1, into);
      } else {
        into.push([member.name, read(member.type, bitOffset, depth + 1)]);
      }
    }
  };

  /** An integer, bool or enum of `bits` bits, at any bit. */
  const scalar = (id: number, bitOffset: number, bits: number): Value => {
    const type = btf.type(btf.skipModifiers(id));
    switch (type.kind) {
      case 'ENUM':
      case 'ENUM64': {
        const value = integer(id, bitOffset, bits, type.signed);
        return nameOfValue(type, value) ?? value;
      }
      case 'INT':
        if (type.encoding === IntEncoding.Bool) return integer(id, bitOffset, bits, false) !== 0;
        return integer(id, bitOffset, bits, type.encoding === IntEncoding.Signed);
      default:
        throw new SkepError(`a ${type.kind} cannot be a bit field`, { where: btf.describe(id) });
    }
  };

  const read = (id: number, bitOffset: number, depth: number): Value => {
    if (depth > MAX_VALUE_DEPTH) throw btf.tooDeep(id);
    spend(id);
    const type = valueType(btf, id);
    const offset = Math.floor(bitOffset / 8);
    switch (type.kind) {
      case 'INT':
        return scalar(type.id, bitOffset + type.bitOffset, type.bits);
      case 'ENUM':
      case 'ENUM64':
        return scalar(type.id, bitOffset, type.size * 8);
      case 'PTR':
        return integer(type.id, bitOffset, 64, false);
      case 'FLOAT':
        return readFloat(bytes, offset, type.size, btf.littleEndian, () => btf.describe(type.id));
      case 'ARRAY': {
        const size = btf.sizeOf(type.type);
        needBytes(bytes, offset, size * type.length, () => btf.describe(type.id));
        const own = bytes.subarray(offset, offset + size * type.length);
        if (isString(btf, type, own)) return cString(own);
        const items: Value[] = [];
        for (let i = 0; i < type.length; i++)
          items.push(read(type.type, bitOffset + i * size * 8, depth + 1));
        return items;
      }
      case 'STRUCT':
      case 'UNION': {
        const entries: [string, Value][] = [];
        members(type, offset, depth, entries);
        return Object.fromEntries(entries);
      }
      case 'DATASEC':
        return Object.fromEntries(
          type.vars.map((v) => [btf.nameOf(v.type), read(v.type, bitOffset + v.offset * 8, depth + 1)]),
        );
      default:
        throw new SkepError(`a ${type.kind} has no value`, { where: btf.describe(type.id) });
    }
  };

  return read(id, 0, 0);
}

/**
 * The bytes of a value of type `id`, in the byte order of `btf`. A string may stand for any value:
 * `443`, `0x1bb`, `true`, an enumerator's name, a character in single quotes, the text of a char array, or
 * JSON for an array or struct. What an array or struct leaves out is zero.
 * Throws a SkepError that names the member for a value that does not fit.
 */
export function encodeValue(btf: Btf, id: number, value: Value): Uint8Array {
  const size = btf.sizeOf(id);
  if (size > MAX_ENCODED) {
    throw new SkepError(`values of ${size} bytes are too large to be written out`, {
      where: btf.describe(id),
    });
  }
  const bytes = new Uint8Array(size);

  const scalar = (id: number, bitOffset: number, bits: number, value: Value, path: string): void => {
    const type = btf.type(btf.skipModifiers(id));
    if (type.kind === 'INT' && type.encoding === IntEncoding.Bool) {
      const on = toBoolean(value, path);
      writeBits(bytes, bitOffset, bits, btf.littleEndian, on ? 1n : 0n, () => path);
      return;
    }
    let number: bigint | undefined;
    let signed = false;
    if (type.kind === 'ENUM' || type.kind === 'ENUM64') {
      signed = type.signed;
      number = typeof value === 'string' ? valueOfName(type, value) : undefined;
      number ??= toInteger(value, path, type);
    } else if (type.kind === 'INT') {
      signed = type.encoding === IntEncoding.Signed;
      number = toInteger(value, path, type);
    } else if (type.kind === 'PTR') {
      number = toInteger(value, path, type);
    } else {
      throw new SkepError(`a ${type.kind} cannot be a bit field`, { where: path });
    }
    const low = signed && bits > 0 ? -(1n << BigInt(bits - 1)) : 0n;
    const high = (1n << BigInt(signed && bits > 0 ? bits - 1 : bits)) - 1n;
    if (number < low || number > high) {
      throw new SkepError(`${number} does not fit in ${bits} bits (${low} to ${high})`, { where: path });
    }
    writeBits(bytes, bitOffset, bits, btf.littleEndian, number, () => path);
  };

  const write = (id: number, bitOffset: number, given: Value, path: string, depth: number): void => {
    if (depth > MAX_VALUE_DEPTH) throw btf.tooDeep(id);
    const type = valueType(btf, id);
    const offset = Math.floor(bitOffset / 8);
    switch (type.kind) {
      case 'INT':
        scalar(type.id, bitOffset + type.bitOffset, type.bits, given, path);
        return;
      case 'ENUM':
      case 'ENUM64':
        scalar(type.id, bitOffset, type.size * 8, given, path);
        return;
      case 'PTR':
        scalar(type.id, bitOffset, 64, given, path);
        return;
      case 'FLOAT':
        writeFloat(bytes, offset, type.size, btf.littleEndian, given, path);
        return;
      case 'ARRAY': {
        const size = btf.sizeOf(type.type);
        needBytes(bytes, offset, size * type.length, () => path);
        if (typeof given === 'string' && isCharacter(btf, type.type)) {
          const text = new TextEncoder().encode(given);
          if (text.length > type.length) {
            throw new SkepError(`${text.length} bytes of text do not fit in char[${type.length}]`, {
              where: path,
            });
          }
          bytes.set(text, offset);
          return;
        }
        const items = typeof given === 'string' ? parseJson(given, path) : given;
        if (!isList(items)) throw new SkepError(`an array is wanted, not ${say(items)}`, { where: path });
        if (items.length > type.length) {
          throw new SkepError(`${items.length} values do not fit in an array of ${type.length}`, {
            where: path,
          });
        }
        for (let i = 0; i < items.length; i++) {
          write(type.type, bitOffset + i * size * 8, items[i] ?? 0, `${path}[${i}]`, depth + 1);
        }
        return;
      }
      case 'STRUCT':
      case 'UNION': {
        needBytes(bytes, offset, type.size, () => path);
        for (const [name, item] of Object.entries(toObject(given, path))) {
          const found = findMember(btf, type, name, new Set());
          if (found === undefined) {
            const names = type.members.flatMap((member) => (member.name === '' ? [] : [member.name]));
            throw new SkepError(`there is no member '${name}'`, {
              where: path,
              hint: `members: ${names.join(', ')}`,
            });
          }
          const at = bitOffset + found.bitOffset;
          const inner = path === '' ? name : `${path}.${name}`;
          if (found.bitSize > 0) scalar(found.type, at, found.bitSize, item, inner);
          else write(found.type, at, item, inner, depth + 1);
        }
        return;
      }
      case 'DATASEC':
        for (const [name, item] of Object.entries(toObject(given, path))) {
          const found = type.vars.find((v) => btf.nameOf(v.type) === name);
          if (found === undefined) throw new SkepError(`there is no variable '${name}'`, { where: path });
          write(found.type, bitOffset + found.offset * 8, item, `${path}.${name}`, depth + 1);
        }
        return;
      default:
        throw new SkepError(`a ${type.kind} has no value`, { where: btf.describe(type.id) });
    }
  };

  write(id, 0, value, btf.nameOf(id) || btf.nameOf(btf.skipModifiers(id)) || btf.describe(id), 0);
  return bytes;
}

/** Larger than any map value or section that a person sets. */
const MAX_ENCODED = 1 << 30;

/** The type below modifiers and a VAR. */
function valueType(btf: Btf, id: number): BtfType {
  const type = btf.type(btf.skipModifiers(id));
  return type.kind === 'VAR' ? btf.type(btf.skipModifiers(type.type)) : type;
}

/** A member by name, also of anonymous structs inside; `seen` are the structs that do not have it. */
function findMember(
  btf: Btf,
  type: BtfComposite,
  name: string,
  seen: Set<number>,
): { type: number; bitOffset: number; bitSize: number } | undefined {
  if (seen.has(type.id)) return undefined;
  seen.add(type.id);
  if (seen.size > MAX_VALUE_DEPTH) throw btf.tooDeep(type.id);
  for (const member of type.members) {
    if (member.name === name) return member;
    if (member.name !== '') continue;
    const inner = btf.type(btf.skipModifiers(member.type));
    if (inner.kind !== 'STRUCT' && inner.kind !== 'UNION') continue;
    const found = findMember(btf, inner, name, seen);
    if (found !== undefined) return { ...found, bitOffset: found.bitOffset + member.bitOffset };
  }
  return undefined;
}

function nameOfValue(type: BtfEnum | BtfEnum64, value: number | bigint): string | undefined {
  const wanted = BigInt(value);
  for (const entry of type.values) if (BigInt(entry.value) === wanted) return entry.name;
  return undefined;
}

function valueOfName(type: BtfEnum | BtfEnum64, name: string): bigint | undefined {
  for (const entry of type.values) if (entry.name === name) return BigInt(entry.value);
  return undefined;
}

function toInteger(value: Value, path: string, type: BtfType): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return BigInt(value);
    throw new SkepError(`${value} is no exact integer`, {
      where: path,
      hint: 'write integers beyond 2^53 as bigint or as text',
    });
  }
  if (typeof value === 'string') {
    const text = value.trim();
    if (/^[+-]?(0[xX][0-9a-fA-F]+|0[bB][01]+|[0-9]+)$/.test(text) && text.length <= 256) {
      const magnitude = BigInt(text.replace(/^[+-]/, ''));
      return text.startsWith('-') ? -magnitude : magnitude;
    }
    if (text === 'true') return 1n;
    if (text === 'false') return 0n;
    if (/^'[\x20-\x7e]'$/.test(text)) return BigInt(text.charCodeAt(1));
  }
  const names =
    type.kind === 'ENUM' || type.kind === 'ENUM64' ? type.values.slice(0, 16).map((entry) => entry.name) : [];
  throw new SkepError(`${say(value)} is no integer`, {
    where: path,
    hint: names.length > 0 ? `an integer or one of ${names.join(', ')}` : 'for example 443 or 0x1bb',
  });
}

function toBoolean(value: Value, path: string): boolean {
  switch (value) {
    case true:
    case 1:
    case 1n:
    case 'true':
    case '1':
      return true;
    case false:
    case 0:
    case 0n:
    case 'false':
    case '0':
      return false;
    default:
      throw new SkepError(`${say(value)} is neither true nor false`, { where: path });
  }
}

function writeFloat(
  bytes: Uint8Array,
  offset: number,
  size: number,
  littleEndian: boolean,
  value: Value,
  path: string,
): void {
  needBytes(bytes, offset, size, () => path);
  const number =
    typeof value === 'string' && value.trim() !== ''
      ? Number(value)
      : typeof value === 'number' || typeof value === 'bigint'
        ? Number(value)
        : undefined;
  if (number === undefined || (Number.isNaN(number) && value !== 'NaN' && typeof value === 'string')) {
    throw new SkepError(`${say(value)} is no number`, { where: path });
  }
  const view = new DataView(bytes.buffer);
  if (size === 4) view.setFloat32(offset, number, littleEndian);
  else if (size === 8) view.setFloat64(offset, number, littleEndian);
  else throw new SkepError(`floating point numbers of ${size} bytes cannot be written`, { where: path });
}

function toObject(value: Value, path: string): { readonly [name: string]: Value } {
  const object = typeof value === 'string' ? parseJson(value, path) : value;
  if (typeof object === 'object' && !isList(object)) return object;
  throw new SkepError(`an object with the members is wanted, not ${say(object)}`, { where: path });
}

const isList = (value: Value): value is Uint8Array | readonly Value[] =>
  Array.isArray(value) || value instanceof Uint8Array;

function parseJson(text: string, path: string): Value {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new SkepError(`'${text.slice(0, 64)}' is no JSON`, {
      where: path,
      hint: 'arrays are written [1, 2], structs {"member": 1}',
      cause,
    });
  }
  return checkParsed(parsed, path);
}

function checkParsed(parsed: unknown, path: string): Value {
  switch (typeof parsed) {
    case 'number':
    case 'string':
    case 'boolean':
      return parsed;
    case 'object':
      if (Array.isArray(parsed)) return parsed.map((item) => checkParsed(item, path));
      if (parsed !== null) {
        return Object.fromEntries(
          Object.entries(parsed).map(([name, item]) => [name, checkParsed(item, path)]),
        );
      }
  }
  throw new SkepError('null stands for no value', { where: path });
}

function say(value: Value): string {
  if (typeof value === 'string') return `'${value.slice(0, 64)}'`;
  if (isList(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : String(value);
}
