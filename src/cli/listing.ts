// The instructions of an object as text, the same as llvm-objdump -d prints them (LLVM 19):
//
//     0000000000000080 <count_drop>:
//     ; static __noinline int count_drop(struct drop *drop, __u32 bytes) {
//           16:	bc 27 00 00 00 00 00 00	w7 = w2
//
// The number of an instruction counts 8-byte slots from the start of its section.

import { type ElfFile, type ElfSection, SectionFlag, SectionType, SymbolType } from '../elf/file.js';
import { decodeOne } from '../isa/decode.js';
import { disassembleLlvm } from '../isa/disassemble.js';
import { UNKNOWN } from '../isa/table.js';

/** Where the instruction at `address` of a section comes from; `text` is missing when the source is not at hand. */
export type FindSource = (
  section: ElfSection,
  address: number,
) => { file: string; line: number; text: string | undefined } | undefined;

interface Label {
  readonly address: number;
  readonly name: string;
}

/** The sections that a listing shows: those asked for by name, or all with instructions. */
export function sectionsToList(elf: ElfFile, names: readonly string[]): ElfSection[] {
  return elf.sections.filter((section) => {
    if (section.size === 0 || section.type === SectionType.Nobits || section.type === SectionType.Null)
      return false;
    if (names.length > 0) return names.includes(section.name);
    return (section.flags & SectionFlag.ExecInstr) !== 0;
  });
}

/** The listing, in pieces to print one after the other. `file` is the name for the first line. */
export function* listing(
  elf: ElfFile,
  file: string,
  sections: readonly ElfSection[],
  findSource?: FindSource,
): Generator<string, void, undefined> {
  yield `\n${file}:\tfile format elf64-bpf\n`;
  const source = new SourcePrinter(findSource);
  for (const section of sections) {
    yield `\nDisassembly of section ${section.name}:\n`;
    const labels = labelsOf(elf, section);
    for (const [i, { address, name }] of labels.entries()) {
      const next = labels[i + 1];
      // Of several names for one place the last is shown.
      if (next?.address === address) continue;
      yield `\n${address.toString(16).padStart(16, '0')} <${name}>:\n`;
      const end = Math.min(next?.address ?? section.size, section.size);
      yield* instructions(elf, section, address, end, labels, source);
    }
  }
}

/** The symbols of a section by address and name; something always stands at its start. */
function labelsOf(elf: ElfFile, section: ElfSection): Label[] {
  const labels = elf.symbols
    .filter(
      (symbol) =>
        !symbol.special &&
        symbol.section === section.index &&
        symbol.type !== SymbolType.Section &&
        symbol.type !== SymbolType.File &&
        symbol.name !== '' &&
        symbol.value < section.size,
    )
    .map(({ value, name }): Label => ({ address: value, name }))
    .sort((a, b) => a.address - b.address || compare(a.name, b.name));
  return labels[0]?.address === 0 ? labels : [{ address: 0, name: section.name }, ...labels];
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function* instructions(
  elf: ElfFile,
  section: ElfSection,
  start: number,
  end: number,
  labels: readonly Label[],
  source: SourcePrinter,
): Generator<string, void, undefined> {
  const code = elf.contents(section);
  const label = (slot: number): string | undefined => labelText(labels, slot * 8);
  for (let at = start; at < end; ) {
    const zeros = skippableZeros(code, at, end);
    if (zeros > 0) {
      yield '\t\t...\n';
      at += zeros;
      continue;
    }
    const lines = source.before(section, at);
    const { size, text } = decodeAt(code, at, elf.littleEndian, label);
    yield `${lines}${String(Math.floor(at / 8)).padStart(8)}:\t${hex(code, at, size)}\t${text}\n`;
    at += size;
  }
}

function decodeAt(
  code: Uint8Array,
  at: number,
  littleEndian: boolean,
  label: (slot: number) => string | undefined,
): { size: number; text: string } {
  // Too few bytes for an instruction are printed one by one.
  if (code.length - at < 8) return { size: 1, text: UNKNOWN };
  const { insn, slots } = decodeOne(code.subarray(at), 0, { littleEndian });
  if (insn.opcode === 0x18 && slots !== 2) return { size: code.length - at < 16 ? 1 : 8, text: UNKNOWN };
  return { size: slots * 8, text: disassembleLlvm(insn, Math.floor(at / 8), { label }) };
}

/** Eight and more zero bytes are left out, in multiples of four. */
function skippableZeros(code: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && code[at] === 0) at++;
  return at - start < 8 ? 0 : (at - start) & ~3;
}

function hex(code: Uint8Array, at: number, size: number): string {
  let text = '';
  for (let i = at; i < at + size; i++) {
    text += `${i > at ? ' ' : ''}${(code[i] ?? 0).toString(16).padStart(2, '0')}`;
  }
  return text;
}

/** `main` or `main+0x28`: the last symbol at or before an address. */
function labelText(labels: readonly Label[], address: number): string | undefined {
  let low = 0;
  let high = labels.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((labels[middle]?.address ?? 0) <= address) low = middle + 1;
    else high = middle;
  }
  const found = labels[low - 1];
  if (found === undefined) return undefined;
  const distance = address - found.address;
  return distance === 0 ? found.name : `${found.name}+0x${distance.toString(16)}`;
}

/** Prints a source line where it is another than that of the instruction before. */
class SourcePrinter {
  readonly #find: FindSource | undefined;
  #last: { file: string; line: number } | undefined;

  constructor(find: FindSource | undefined) {
    this.#find = find;
  }

  before(section: ElfSection, address: number): string {
    const found = this.#find?.(section, address);
    const last = this.#last;
    this.#last = found;
    if (found === undefined || found.line === 0) return '';
    if (last !== undefined && last.line === found.line && last.file === found.file) return '';
    return found.text ? `; ${found.text}\n` : '';
  }
}
