// The one walk over all types that parsing makes: where each begins, and whether everything that it
// says about itself and others can be true. The rules are those of the kernel's *_check_meta functions
// (kernel/bpf/btf.c) that concern memory safety and meaning, not those about identifiers.

import { SkepError } from '../base/error.js';
import type { BtfKindName } from './types.js';
import { BtfKind, btfKinds } from './types.js';

export interface TypeSection {
  view: DataView;
  littleEndian: boolean;
  /** First byte of the types, and the first beyond them. */
  start: number;
  end: number;
  firstId: number;
  /** First string offset beyond the table. */
  stringsEnd: number;
  name(offset: number): string;
  /** Kind of a type in the base BTF. */
  baseKind(id: number): BtfKindName;
}

/** Bytes that follow the three words: fixed, and for each of vlen entries. */
const tail: readonly (readonly [fixed: number, each: number])[] = [
  [0, 0],
  [4, 0], // INT
  [0, 0],
  [12, 0], // ARRAY
  [0, 12], // STRUCT
  [0, 12], // UNION
  [0, 8], // ENUM
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 8], // FUNC_PROTO
  [4, 0], // VAR
  [0, 12], // DATASEC
  [0, 0],
  [4, 0], // DECL_TAG
  [0, 0],
  [0, 12], // ENUM64
];
const fixedTail = Uint8Array.from(tail, ([fixed]) => fixed);
const eachTail = Uint8Array.from(tail, ([, each]) => each);

const bitSet = (...kinds: number[]) => kinds.reduce((set, kind) => set | (1 << kind), 0);

/** Kinds whose third word is a type id. */
const refersByWord = bitSet(
  BtfKind.Ptr,
  BtfKind.Typedef,
  BtfKind.Volatile,
  BtfKind.Const,
  BtfKind.Restrict,
  BtfKind.Func,
  BtfKind.FuncProto,
  BtfKind.Var,
  BtfKind.DeclTag,
  BtfKind.TypeTag,
);
/** Kinds whose vlen counts something (FUNC keeps its linkage there). */
const usesVlen = bitSet(
  BtfKind.Struct,
  BtfKind.Union,
  BtfKind.Enum,
  BtfKind.Enum64,
  BtfKind.Func,
  BtfKind.FuncProto,
  BtfKind.Datasec,
);
const usesKindFlag = bitSet(
  BtfKind.Struct,
  BtfKind.Union,
  BtfKind.Enum,
  BtfKind.Enum64,
  BtfKind.Fwd,
  BtfKind.DeclTag,
  BtfKind.TypeTag,
);

/** Notes where each type begins; throws a SkepError that names type and field at the first fault. */
export function indexTypes(section: TypeSection): Uint32Array {
  const { view, littleEndian, start, end, firstId } = section;
  // A type has at least 12 bytes, which bounds the number of ids by the size of the input.
  const offsets = new Uint32Array(Math.floor((end - start) / 12));
  let count = 0;
  for (let at = start; at < end; ) {
    if (end - at < 12) {
      throw fault(
        section,
        firstId + count,
        undefined,
        `needs 12 bytes, but the section has ${end - at} left`,
      );
    }
    const info = view.getUint32(at + 4, littleEndian);
    const kind = (info >>> 24) & 0x1f;
    const vlen = info & 0xffff;
    if (kind === 0 || kind > BtfKind.Enum64) {
      throw fault(section, firstId + count, at, `kind ${kind} is not known`);
    }
    const size = 12 + (fixedTail[kind] ?? 0) + vlen * (eachTail[kind] ?? 0);
    if (size > end - at) {
      throw fault(
        section,
        firstId + count,
        at,
        `vlen ${vlen} makes it ${size} bytes long, but the section has ${end - at} left`,
      );
    }
    offsets[count++] = at;
    at += size;
  }
  const used = offsets.subarray(0, count);
  for (let i = 0; i < count; i++) checkType(section, used, i);
  return used.length === offsets.length ? offsets : used.slice();
}

function checkType(section: TypeSection, offsets: Uint32Array, index: number): void {
  const { view, littleEndian, stringsEnd } = section;
  const at = offsets[index] ?? 0;
  const id = section.firstId + index;
  const idsEnd = section.firstId + offsets.length;
  const nameOff = view.getUint32(at, littleEndian);
  const info = view.getUint32(at + 4, littleEndian);
  const word = view.getUint32(at + 8, littleEndian);
  const kind = (info >>> 24) & 0x1f;
  const vlen = info & 0xffff;

  if (nameOff >= stringsEnd) throw outside(section, id, undefined, 'name_off', nameOff, stringsEnd);
  if ((info & 0x60ff0000) !== 0) {
    throw fault(section, id, at, `info 0x${info.toString(16)} has reserved bits set`);
  }
  if (vlen !== 0 && ((usesVlen >>> kind) & 1) === 0) throw fault(section, id, at, `vlen ${vlen} is not 0`);
  if (info >>> 31 === 1 && ((usesKindFlag >>> kind) & 1) === 0) {
    throw fault(section, id, at, 'kind_flag is set, which this kind does not know');
  }
  if (((refersByWord >>> kind) & 1) === 1 && word >= idsEnd)
    throw outside(section, id, at, 'type', word, idsEnd);

  switch (kind) {
    case BtfKind.Int:
      checkInt(section, id, at, word);
      break;
    case BtfKind.Array:
      checkId(section, id, at, 'elem_type', at + 12, idsEnd);
      checkId(section, id, at, 'index_type', at + 16, idsEnd);
      break;
    case BtfKind.Struct:
    case BtfKind.Union: {
      const flag = info >>> 31 === 1;
      for (let i = 0, p = at + 12; i < vlen; i++, p += 12) {
        const name = view.getUint32(p, littleEndian);
        if (name >= stringsEnd) throw outside(section, id, at, `member ${i} name_off`, name, stringsEnd);
        const type = view.getUint32(p + 4, littleEndian);
        if (type >= idsEnd) throw outside(section, id, at, `member ${i} type`, type, idsEnd);
        const place = view.getUint32(p + 8, littleEndian);
        const bitOffset = flag ? place & 0xffffff : place;
        if (bitOffset + (flag ? place >>> 24 : 0) > word * 8) {
          throw fault(section, id, at, `member ${i} at bit ${bitOffset} is beyond its size of ${word} bytes`);
        }
      }
      break;
    }
    case BtfKind.Enum:
    case BtfKind.Enum64:
      // clang records an enum that is only declared with no values and no size.
      if (word !== 1 && word !== 2 && word !== 4 && word !== 8 && (word !== 0 || vlen !== 0)) {
        throw fault(section, id, at, `size ${word} is not 1, 2, 4 or 8`);
      }
      for (let i = 0, p = at + 12, each = eachTail[kind] ?? 0; i < vlen; i++, p += each) {
        const name = view.getUint32(p, littleEndian);
        if (name >= stringsEnd) throw outside(section, id, at, `value ${i} name_off`, name, stringsEnd);
      }
      break;
    case BtfKind.Func:
      if (vlen > 2) throw fault(section, id, at, `linkage ${vlen} is not known`);
      if (kindOf(section, offsets, word) !== 'FUNC_PROTO') {
        throw fault(
          section,
          id,
          at,
          `type [${word}] is a ${kindOf(section, offsets, word)}, not a FUNC_PROTO`,
        );
      }
      break;
    case BtfKind.FuncProto:
      for (let i = 0, p = at + 12; i < vlen; i++, p += 8) {
        const name = view.getUint32(p, littleEndian);
        if (name >= stringsEnd) throw outside(section, id, at, `parameter ${i} name_off`, name, stringsEnd);
        const type = view.getUint32(p + 4, littleEndian);
        if (type >= idsEnd) throw outside(section, id, at, `parameter ${i} type`, type, idsEnd);
      }
      break;
    case BtfKind.Var: {
      const linkage = view.getUint32(at + 12, littleEndian);
      if (linkage > 2) throw fault(section, id, at, `linkage ${linkage} is not known`);
      break;
    }
    case BtfKind.Datasec:
      for (let i = 0; i < vlen; i++) checkId(section, id, at, `variable ${i} type`, at + 12 + i * 12, idsEnd);
      break;
    case BtfKind.Float:
      if (word !== 2 && word !== 4 && word !== 8 && word !== 12 && word !== 16) {
        throw fault(section, id, at, `size ${word} is not that of a floating point type`);
      }
      break;
    case BtfKind.DeclTag:
      if (view.getInt32(at + 12, littleEndian) < -1) {
        throw fault(section, id, at, `component_idx ${view.getInt32(at + 12, littleEndian)} is below -1`);
      }
      break;
  }
}

function checkInt(section: TypeSection, id: number, at: number, size: number): void {
  const data = section.view.getUint32(at + 12, section.littleEndian);
  if (data > 0x0fffffff)
    throw fault(section, id, at, `int_data 0x${data.toString(16)} has reserved bits set`);
  const bits = data & 0xff;
  const bitOffset = (data >>> 16) & 0xff;
  if (size !== 1 && size !== 2 && size !== 4 && size !== 8 && size !== 16) {
    throw fault(section, id, at, `size ${size} is not 1, 2, 4, 8 or 16`);
  }
  if (bits > 128 || bits + bitOffset > size * 8) {
    throw fault(section, id, at, `nr_bits ${bits} at bit ${bitOffset} does not fit in its ${size} bytes`);
  }
}

function checkId(
  section: TypeSection,
  id: number,
  at: number,
  field: string,
  offset: number,
  idsEnd: number,
): void {
  const type = section.view.getUint32(offset, section.littleEndian);
  if (type >= idsEnd) throw outside(section, id, at, field, type, idsEnd);
}

function kindOf(section: TypeSection, offsets: Uint32Array, id: number): BtfKindName {
  if (id === 0) return 'VOID';
  if (id < section.firstId) return section.baseKind(id);
  const at = offsets[id - section.firstId] ?? 0;
  return btfKinds[(section.view.getUint32(at + 4, section.littleEndian) >>> 24) & 0x1f] ?? 'VOID';
}

function outside(
  section: TypeSection,
  id: number,
  at: number | undefined,
  field: string,
  value: number,
  end: number,
): SkepError {
  const what = field.endsWith('name_off') ? 'the string table of' : 'the types, which end before';
  return fault(section, id, at, `${field} ${value} is outside ${what} ${end}`);
}

/** `at` is given when the kind and name of the type can be trusted. */
function fault(section: TypeSection, id: number, at: number | undefined, message: string): SkepError {
  let where = `BTF type [${id}]`;
  if (at !== undefined) {
    const kind = btfKinds[(section.view.getUint32(at + 4, section.littleEndian) >>> 24) & 0x1f];
    const nameOff = section.view.getUint32(at, section.littleEndian);
    if (kind !== undefined && kind !== 'VOID') where += ` ${kind}`;
    if (nameOff > 0 && nameOff < section.stringsEnd) where += ` '${section.name(nameOff).slice(0, 128)}'`;
  }
  return new SkepError(message, { where });
}
