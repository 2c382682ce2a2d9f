// WebAssembly as text: wabt writes the words, and the code section says at which byte each instruction begins
// (WebAssembly core specification, chapter 5).
//
//     code section:  count | size, entry | size, entry ...        entry:  locals | instructions | end

import { ByteReader } from '../../base/reader.js';
import { type CodeRow, optional } from './machine-code.js';

export const isWasm = (code: Uint8Array): boolean =>
  [0x00, 0x61, 0x73, 0x6d].every((byte, i) => code[i] === byte);

/** A function of a module. */
export interface WasmFunction {
  /** As the name section has it. */
  readonly name: string;
  /** `(param i64 i32) (result i64)`. */
  readonly signature: string;
  /** `(local i64 i64)`; empty without any. */
  readonly locals: string;
  /** Bytes of its entry in the code section. */
  readonly size: number;
  readonly rows: readonly CodeRow[];
}

const FEATURES = { tail_call: true, sign_extension: true, mutable_globals: true, bulk_memory: true };

/** All functions of a module, in its order. */
export async function wasmFunctions(module: Uint8Array): Promise<WasmFunction[]> {
  const { default: load } = await optional(() => import('wabt'), 'wabt', 'WebAssembly as text');
  const parsed = (await load()).readWasm(module, { readDebugNames: true, ...FEATURES });
  let text: string;
  try {
    text = parsed.toText({ foldExprs: false, inlineExport: false });
  } finally {
    parsed.destroy();
  }
  const entries = codeEntries(module);
  const written = functionTexts(text);
  if (written.length !== entries.length) throw new Error('the module has other functions than its text');
  return written.map(({ head, body }, i) => {
    const entry = entries[i] as Uint8Array;
    const [, name = '', signature = ''] = /^\(func \$?(\S+)(?: \(type [^)]*\))?(.*)$/.exec(head) ?? [];
    const locals = body.filter((line) => line.startsWith('(local'));
    return {
      name,
      signature: signature.trim(),
      locals: locals.join(' '),
      size: entry.length,
      rows: rowsOf(entry, body.slice(locals.length)),
    };
  });
}

/** The lines of each function, without indentation and without the bracket that ends it. */
function functionTexts(text: string): { head: string; body: string[] }[] {
  const found: { head: string; body: string[] }[] = [];
  let current: { head: string; body: string[] } | undefined;
  for (const line of text.split('\n')) {
    const trimmed = line.trim();
    if (line.startsWith('  (func')) {
      current = { head: trimmed, body: [] };
      found.push(current);
    } else if (line.startsWith('    ')) current?.body.push(trimmed);
    else current = undefined;
    if (current && closes(current)) {
      const { body } = current;
      const last = body.pop();
      if (last === undefined) current.head = current.head.slice(0, -1);
      else body.push(last.slice(0, -1));
      current = undefined;
    }
  }
  return found;
}

/** Whether the brackets of a function are all closed. */
function closes({ head, body }: { head: string; body: string[] }): boolean {
  const last = body.at(-1) ?? head;
  const count = (bracket: string) => last.replace(/\(;.*?;\)/g, '').split(bracket).length - 1;
  return count(')') > count('(') - (body.length === 0 ? 1 : 0);
}

/** The entries of the code section. */
function codeEntries(module: Uint8Array): Uint8Array[] {
  const at = new Leb(module, 8);
  while (!at.ended) {
    const id = at.byte();
    const size = at.unsigned();
    const end = at.position + size;
    if (id !== 10) {
      at.position = end;
      continue;
    }
    return Array.from({ length: at.unsigned() }, () => {
      const length = at.unsigned();
      const start = at.position;
      at.position += length;
      return module.subarray(start, start + length);
    });
  }
  return [];
}

/** Reads the format's integers. */
class Leb {
  readonly #bytes: ByteReader;
  readonly #length: number;
  position: number;

  constructor(bytes: Uint8Array, position: number) {
    this.#bytes = new ByteReader(bytes, true, 'WebAssembly');
    this.#length = bytes.length;
    this.position = position;
  }

  get ended(): boolean {
    return this.position >= this.#length;
  }

  byte(): number {
    return this.#bytes.u8(this.position++, 'a byte');
  }

  unsigned(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  /** Passes over integers of any sign and size. */
  skip(count: number): void {
    for (let i = 0; i < count; i++) while (this.byte() >= 0x80);
  }
}

/** How many integers follow an opcode; those that are missing here have none. */
const immediates = new Map<number, number>([
  ...[0x02, 0x03, 0x04].map((block) => [block, 1] as const),
  ...[0x0c, 0x0d, 0x10, 0x12, 0xd2].map((index) => [index, 1] as const),
  [0x11, 2],
  [0x13, 2],
  ...Array.from({ length: 7 }, (_, i) => [0x20 + i, 1] as const),
  ...Array.from({ length: 0x3e - 0x28 + 1 }, (_, i) => [0x28 + i, 2] as const),
  [0x3f, 1],
  [0x40, 1],
  [0x41, 1],
  [0x42, 1],
]);
const BR_TABLE = 0x0e;
const ELSE = 0x05;
const END = 0x0b;

/** The lines of a function with the bytes of each. */
function rowsOf(entry: Uint8Array, lines: readonly string[]): CodeRow[] {
  const at = new Leb(entry, 0);
  // Local variables: how many, of which type.
  for (let groups = at.unsigned(); groups > 0; groups--) at.skip(2);
  let depth = 0;
  return lines.map((line) => {
    const pc = at.position;
    const opcode = at.byte();
    if (opcode === BR_TABLE) at.skip(at.unsigned() + 1);
    else at.skip(immediates.get(opcode) ?? 0);
    if (opcode === END || opcode === ELSE) depth--;
    const shown = depth;
    if (opcode === ELSE || (opcode >= 0x02 && opcode <= 0x04)) depth++;
    const [operation = '', ...operands] = line.replace(/\s*;;.*|\s*\(;.*?;\)/g, '').split(' ');
    return { pc, operation, operands: operands.join(' '), depth: shown, bytes: entry.slice(pc, at.position) };
  });
}
