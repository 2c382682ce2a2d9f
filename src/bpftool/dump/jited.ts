// `prog dump jited`: what the JIT made, function by function, with source lines. The emulated kernel's JIT makes a
// WebAssembly module, that of Linux machine code.

import type { Json } from '../json-writer.js';
import { ToolError } from '../tool-error.js';
import type { CodeRow } from './machine-code.js';
import type { DumpedProgram } from './program.js';
import { functionRecords, LineRecords, type SourceLine } from './source.js';
import { isWasm, wasmFunctions } from './wasm-text.js';
import { isX86, x86Rows } from './x86.js';
import { type DumpOptions, hexBytes, jsonBytes, type Listing, sourceJson, sourceText } from './xlated.js';

/** A function as it is printed. */
interface Section {
  /** The function's prototype, where it is known and not printed before. */
  readonly prototype: string;
  /** The kernel's symbol. */
  readonly name: string;
  /** What is said of it in its own language; empty for machine code. */
  readonly declaration: readonly string[];
  readonly rows: readonly CodeRow[];
  /** The source line that begins at a row. */
  readonly sources: ReadonlyMap<CodeRow, SourceLine>;
}

/** `prog dump jited`, plain and JSON. Throws a ToolError for what cannot be taken apart. */
export async function dumpJited(program: DumpedProgram, { opcodes, linum }: DumpOptions): Promise<Listing> {
  const { jited } = program.dump;
  const sections = isWasm(jited) ? await wasmSections(program) : await machineSections(program);
  return {
    text: () => sections.map((section) => sectionText(section, opcodes, linum)).join(''),
    json: () => sections.map((section) => sectionJson(section, opcodes, linum)),
  };
}

function sectionText(
  { prototype, name, declaration, rows, sources }: Section,
  opcodes: boolean,
  linum: boolean,
): string {
  let text = prototype === '' ? '' : `${prototype}:\n`;
  text += `${name}:\n`;
  for (const line of declaration) text += `${line}\n`;
  for (const row of rows) {
    const source = sources.get(row);
    if (source) text += sourceText(source, linum);
    const words = row.operands === '' ? row.operation : `${row.operation}\t${row.operands}`;
    text += `${row.pc.toString(16).padStart(4)}:\t${'  '.repeat(row.depth)}${words}\n`;
    if (opcodes) text += `\t${hexBytes(row.bytes)} \n`;
  }
  return `${text}\n`;
}

function sectionJson(
  { prototype, name, declaration, rows, sources }: Section,
  opcodes: boolean,
  linum: boolean,
): Json {
  return {
    ...(prototype === '' ? {} : { proto: prototype }),
    name,
    ...(declaration.length === 0 ? {} : { declaration: declaration.join(' ') }),
    insns: rows.map((row) => {
      const operands = row.operands.split(/[ \t,()]+/).filter((word) => word !== '');
      return {
        ...sourceJson(sources.get(row), linum),
        pc: `0x${row.pc.toString(16)}`,
        operation: row.operation,
        operands: operands.length === 0 ? [null] : operands,
        ...(opcodes ? { opcodes: jsonBytes(row.bytes) } : {}),
      };
    }),
  };
}

/** Symbol and prototype of each function. */
function headings({ dump, btf, symbols }: DumpedProgram): { name: string; prototype: string }[] {
  const functions = functionRecords(dump, btf);
  return Array.from({ length: dump.jitedFuncLens.length }, (_, i) => {
    const address = dump.jitedKsyms[i];
    const hidden = address === undefined ? 'unknown' : `0x${address.toString(16).padStart(16, '0')}`;
    const name = address === undefined ? undefined : symbols?.at(address);
    return { name: name ?? hidden, prototype: functions[i]?.prototype ?? '' };
  });
}

/** The records of line information whose code is in [from, from + length), with their distance from `from`. */
function linesIn(
  { dump, btf }: DumpedProgram,
  from: bigint,
  length: number,
): { offset: number; line: SourceLine }[] {
  if (!btf || dump.lineInfo.length === 0) return [];
  const records = new LineRecords(dump, btf);
  const found: { offset: number; line: SourceLine }[] = [];
  dump.jitedLineInfo.forEach((address, record) => {
    if (record >= records.count || address < from || address >= from + BigInt(length)) return;
    const line = records.line(record);
    if (line) found.push({ offset: Number(address - from), line });
  });
  return found;
}

async function machineSections(program: DumpedProgram): Promise<Section[]> {
  const { jited, jitedFuncLens, jitedKsyms } = program.dump;
  if (!isX86(jited)) {
    throw new ToolError("only machine code of x86-64 can be shown as text; 'file FILE' writes it as it is");
  }
  const found = headings(program);
  const sections: Section[] = [];
  let at = 0;
  for (const [i, length] of jitedFuncLens.entries()) {
    const address = jitedKsyms[i] ?? 0n;
    const rows = await x86Rows(jited.subarray(at, at + length), address);
    at += length;
    const sources = new Map<CodeRow, SourceLine>();
    const lines = linesIn(program, address, length);
    let shown = 0;
    for (const row of rows) {
      // The last record at or before the instruction, of those behind as many as were shown.
      let last = -1;
      for (let n = shown; n < lines.length && (lines[n]?.offset ?? 0) <= row.pc; n++) last = n;
      const line = lines[last]?.line;
      if (!line) continue;
      shown++;
      sources.set(row, line);
    }
    sections.push({ ...(found[i] ?? { name: 'unknown', prototype: '' }), declaration: [], rows, sources });
  }
  return sections;
}

/** The module's functions are grouped by the program's: the main one is `main` and the loop over packets that it is in. */
async function wasmSections(program: DumpedProgram): Promise<Section[]> {
  const { dump } = program;
  const functions = await wasmFunctions(dump.jited);
  const slot = (name: string) => Number(/^sub_(\d+)$/.exec(name)?.[1] ?? 0);
  const subprograms = functions
    .filter(({ name }) => slot(name) > 0)
    .sort((a, b) => slot(a.name) - slot(b.name));
  const main = functions.filter(({ name }) => slot(name) === 0);
  const groups = [main, ...subprograms.map((one) => [one])];
  const found = headings(program);
  return groups.flatMap((group, i) => {
    const { name, prototype } = found[i] ?? { name: 'unknown', prototype: '' };
    const lines = linesIn(program, dump.jitedKsyms[i] ?? 0n, dump.jitedFuncLens[i] ?? 0);
    const home = group.find(({ size }) => size === dump.jitedFuncLens[i]) ?? group[0];
    return group.map((one, n): Section => {
      const sources = new Map<CodeRow, SourceLine>();
      for (const row of one === home ? one.rows : []) {
        // Where nothing was made of a line, the next one begins at the same place.
        const line = lines.findLast(({ offset }) => offset === row.pc)?.line;
        if (line) sources.set(row, line);
      }
      const declaration = [`(func $${one.name} ${one.signature}`.trimEnd(), one.locals].filter(
        (line) => line !== '',
      );
      return { prototype: n === 0 ? prototype : '', name, declaration, rows: one.rows, sources };
    });
  });
}
