// Changes to BTF that a linker or a loader must make: sizes and offsets that the compiler left open, types that a
// kernel would refuse. Works on a copy of the bytes; ids stay as they are, new types and strings go to the end.

import type { Btf } from '../btf/btf.js';
import { Btf as BtfClass } from '../btf/btf.js';
import type { BtfSectionVar, BtfType } from '../btf/types.js';

const FUNC_KIND_INFO = 12 << 24;
const linkages = { static: 0, global: 1, extern: 2 } as const;
type Linkage = keyof typeof linkages;

/** Bytes of a type's record: three words, and what its kind adds. */
function recordSize(type: BtfType): number {
  switch (type.kind) {
    case 'INT':
    case 'VAR':
    case 'DECL_TAG':
      return 16;
    case 'ARRAY':
      return 24;
    case 'STRUCT':
    case 'UNION':
      return 12 + type.members.length * 12;
    case 'ENUM':
      return 12 + type.values.length * 8;
    case 'ENUM64':
      return 12 + type.values.length * 12;
    case 'FUNC_PROTO':
      return 12 + type.params.length * 8;
    case 'DATASEC':
      return 12 + type.vars.length * 12;
    default:
      return 12;
  }
}

/** Edits one BTF that has no base. */
export class BtfEditor {
  readonly #littleEndian: boolean;
  /** The types, growing at the end. */
  #types: Uint8Array;
  #strings: Uint8Array;
  readonly #offsets: number[] = [0];

  constructor(btf: Btf) {
    this.#littleEndian = btf.littleEndian;
    const view = new DataView(btf.bytes.buffer, btf.bytes.byteOffset, btf.bytes.byteLength);
    const header = view.getUint32(4, this.#littleEndian);
    const start = header + view.getUint32(8, this.#littleEndian);
    this.#types = btf.bytes.slice(start, start + view.getUint32(12, this.#littleEndian));
    this.#strings = btf.strings.bytes.slice();
    let at = 0;
    for (let id = 1; id < btf.typeCount; id++) {
      this.#offsets.push(at);
      at += recordSize(btf.type(id));
    }
  }

  /** Size of a DATASEC and its variables, as many as it had. */
  setDatasec(id: number, size: number, vars: readonly BtfSectionVar[]): void {
    this.#set(id, 8, size);
    for (const [i, { type, offset, size: bytes }] of vars.entries()) {
      this.#set(id, 12 + i * 12, type);
      this.#set(id, 16 + i * 12, offset);
      this.#set(id, 20 + i * 12, bytes);
    }
  }

  /** The type that a VAR, ARRAY, FUNC or modifier refers to in its third word. */
  setType(id: number, type: number): void {
    this.#set(id, 8, type);
  }

  setVarLinkage(id: number, linkage: Linkage): void {
    this.#set(id, 12, linkages[linkage]);
  }

  setFuncLinkage(id: number, linkage: Linkage): void {
    this.#set(id, 4, FUNC_KIND_INFO | linkages[linkage]);
  }

  /** Names parameter `index` of a FUNC_PROTO by a string that is in the table. */
  setParamName(id: number, index: number, nameOff: number): void {
    this.#set(id, 12 + index * 8, nameOff);
  }

  /** Replaces every character of a type's name that `change` gives another one for; the length stays. */
  renameInPlace(nameOff: number, change: (character: string) => string): void {
    for (let at = nameOff; this.#strings[at] !== 0 && at < this.#strings.length; at++) {
      this.#strings[at] = change(String.fromCharCode(this.#strings[at] ?? 0)).charCodeAt(0);
    }
  }

  /** Adds a type, given as its words; the id that it gets. */
  addType(words: readonly number[]): number {
    const bytes = new Uint8Array(words.length * 4);
    const view = new DataView(bytes.buffer);
    for (const [i, value] of words.entries()) view.setUint32(i * 4, value >>> 0, this.#littleEndian);
    this.#offsets.push(this.#types.length);
    this.#types = concat(this.#types, bytes);
    return this.#offsets.length - 1;
  }

  /** Adds a string; its offset in the table. */
  addString(text: string): number {
    const offset = this.#strings.length;
    this.#strings = concat(this.#strings, new TextEncoder().encode(`${text}\0`));
    return offset;
  }

  /** The edited BTF, checked like any other. */
  build(): Btf {
    const header = new Uint8Array(24);
    const view = new DataView(header.buffer);
    view.setUint16(0, 0xeb9f, this.#littleEndian);
    view.setUint8(2, 1);
    const words = [header.length, 0, this.#types.length, this.#types.length, this.#strings.length];
    for (const [i, value] of words.entries()) view.setUint32(4 + i * 4, value, this.#littleEndian);
    return BtfClass.parse(concat(concat(header, this.#types), this.#strings));
  }

  #set(id: number, at: number, value: number): void {
    const view = new DataView(this.#types.buffer, this.#types.byteOffset, this.#types.byteLength);
    view.setUint32((this.#offsets[id] ?? 0) + at, value >>> 0, this.#littleEndian);
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const result = new Uint8Array(a.length + b.length);
  result.set(a);
  result.set(b, a.length);
  return result;
}
