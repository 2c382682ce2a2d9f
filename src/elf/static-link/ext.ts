// .BTF.ext written: the layout is in btf/ext.ts.

import type { ExtRecord, OutputSection } from './output.js';

const MAGIC = 0xeb9f;
const HEADER_SIZE = 32;
/** In the order in which they stand, with the words of a record. */
const PARTS = [
  { kind: 'func', words: 2 },
  { kind: 'line', words: 4 },
  { kind: 'core', words: 4 },
] as const;

export interface ExtContext {
  /** The offset of a string among those of the types. */
  string: (text: string) => number;
  /** The final id of a type. */
  typeId: (id: number) => number;
  littleEndian: boolean;
}

/** Undefined when there is nothing to say. */
export function encodeExt(sections: readonly OutputSection[], context: ExtContext): Uint8Array | undefined {
  const { string, typeId, littleEndian } = context;
  const parts = PARTS.map(({ kind, words }) => {
    const told = sections.filter(({ ext }) => ext[kind].length > 0);
    if (told.length === 0) return [];
    const record = ([insnOff = 0, id = 0, ...rest]: ExtRecord): number[] =>
      kind === 'line' ? [insnOff, id, ...rest] : [insnOff, typeId(id), ...rest];
    return [
      words * 4,
      ...told.flatMap(({ name, ext }) => [string(name), ext[kind].length, ...ext[kind].flatMap(record)]),
    ];
  });
  const all = parts.flat();
  if (all.length === 0) return undefined;
  const bytes = new Uint8Array(HEADER_SIZE + all.length * 4);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, MAGIC, littleEndian);
  bytes[2] = 1;
  view.setUint32(4, HEADER_SIZE, littleEndian);
  let offset = 0;
  parts.forEach((part, i) => {
    view.setUint32(8 + i * 8, offset, littleEndian);
    view.setUint32(12 + i * 8, part.length * 4, littleEndian);
    offset += part.length * 4;
  });
  all.forEach((word, i) => {
    view.setUint32(HEADER_SIZE + i * 4, word, littleEndian);
  });
  return bytes;
}
