// One type from its bytes to a value. The bytes were checked by validate.ts, so every offset here is inside.

import type { BtfStrings } from './strings.js';
import type { BtfLinkage, BtfType } from './types.js';
import { BtfKind, btfKinds, funcLinkages, varLinkages } from './types.js';

const linkage = (names: readonly BtfLinkage[], value: number): BtfLinkage => names[value] ?? 'static';

/** The type whose first word is at `at`. */
export function decodeType(
  view: DataView,
  at: number,
  littleEndian: boolean,
  id: number,
  strings: BtfStrings,
): BtfType {
  const u32 = (offset: number) => view.getUint32(offset, littleEndian);
  const i32 = (offset: number) => view.getInt32(offset, littleEndian);
  const string = (offset: number) => (offset === 0 ? '' : strings.at(offset));
  const list = <T>(count: number, size: number, item: (offset: number) => T): T[] => {
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(item(at + 12 + i * size));
    return items;
  };

  const name = string(u32(at));
  const info = u32(at + 4);
  const word = u32(at + 8);
  const kind = (info >>> 24) & 0x1f;
  const vlen = info & 0xffff;
  const flag = info >>> 31 === 1;
  switch (kind) {
    case BtfKind.Int: {
      const data = u32(at + 12);
      return {
        kind: 'INT',
        id,
        name,
        size: word,
        encoding: (data >>> 24) & 0xf,
        bitOffset: (data >>> 16) & 0xff,
        bits: data & 0xff,
      };
    }
    case BtfKind.Ptr:
    case BtfKind.Volatile:
    case BtfKind.Const:
    case BtfKind.Restrict:
      return { kind: btfKinds[kind], id, name, type: word };
    case BtfKind.Typedef:
      return { kind: 'TYPEDEF', id, name, type: word };
    case BtfKind.TypeTag:
      return { kind: 'TYPE_TAG', id, name, type: word, attribute: flag };
    case BtfKind.Array:
      return { kind: 'ARRAY', id, name, type: u32(at + 12), indexType: u32(at + 16), length: u32(at + 20) };
    case BtfKind.Struct:
    case BtfKind.Union:
      return {
        kind: btfKinds[kind],
        id,
        name,
        size: word,
        kindFlag: flag,
        members: list(vlen, 12, (offset) => {
          const place = u32(offset + 8);
          return {
            name: string(u32(offset)),
            type: u32(offset + 4),
            bitOffset: flag ? place & 0xffffff : place,
            bitSize: flag ? place >>> 24 : 0,
          };
        }),
      };
    case BtfKind.Enum:
      return {
        kind: 'ENUM',
        id,
        name,
        size: word,
        signed: flag,
        values: list(vlen, 8, (offset) => ({
          name: string(u32(offset)),
          value: flag ? i32(offset + 4) : u32(offset + 4),
        })),
      };
    case BtfKind.Enum64:
      return {
        kind: 'ENUM64',
        id,
        name,
        size: word,
        signed: flag,
        values: list(vlen, 12, (offset) => {
          const value = BigInt(u32(offset + 4)) | (BigInt(u32(offset + 8)) << 32n);
          return { name: string(u32(offset)), value: flag ? BigInt.asIntN(64, value) : value };
        }),
      };
    case BtfKind.Fwd:
      return { kind: 'FWD', id, name, union: flag };
    case BtfKind.Func:
      return { kind: 'FUNC', id, name, type: word, linkage: linkage(funcLinkages, vlen) };
    case BtfKind.FuncProto:
      return {
        kind: 'FUNC_PROTO',
        id,
        name,
        returnType: word,
        params: list(vlen, 8, (offset) => ({ name: string(u32(offset)), type: u32(offset + 4) })),
      };
    case BtfKind.Var:
      return { kind: 'VAR', id, name, type: word, linkage: linkage(varLinkages, u32(at + 12)) };
    case BtfKind.Datasec:
      return {
        kind: 'DATASEC',
        id,
        name,
        size: word,
        vars: list(vlen, 12, (offset) => ({
          type: u32(offset),
          offset: u32(offset + 4),
          size: u32(offset + 8),
        })),
      };
    case BtfKind.Float:
      return { kind: 'FLOAT', id, name, size: word };
    case BtfKind.DeclTag:
      return {
        kind: 'DECL_TAG',
        id,
        name,
        type: word,
        componentIndex: i32(at + 12),
        attribute: flag,
      };
    default:
      return { kind: 'VOID', id, name: '' };
  }
}
