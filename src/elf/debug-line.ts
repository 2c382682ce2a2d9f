// DWARF's line tables (.debug_line, DWARF 5 section 6.2; versions 2 to 5): which source line an instruction comes
// from. A unit is a header with the names of directories and files, and a program of one-byte opcodes that makes rows
//
//     address | file | line        ascending addresses; a row holds up to the next; the last only ends its sequence
//
// Addresses are those of a section that a relocation names. Only what finding a line needs is kept.

import { SkepError } from '../base/error.js';
import { ByteReader } from '../base/reader.js';
import { type ElfFile, type ElfRelocation, SectionType } from './file.js';

/** Where an instruction comes from. */
export interface SourceLine {
  /** As the compiler wrote it: directory and name, often relative to where it ran. */
  readonly file: string;
  /** From 1; 0 where the compiler made code that belongs to no line. */
  readonly line: number;
}

/** Rows from one address to another. */
interface Sequence {
  readonly section: number;
  readonly addresses: number[];
  readonly lines: number[];
  readonly files: string[];
  end: number;
}

/** DW_LNCT_*, DW_FORM_*, DW_LNS_* and DW_LNE_* that are in use. */
const Content = { Path: 1, DirectoryIndex: 2 } as const;
const Form = {
  Data2: 0x05,
  Data4: 0x06,
  Data8: 0x07,
  String: 0x08,
  Block: 0x09,
  Data1: 0x0b,
  Strp: 0x0e,
  Udata: 0x0f,
  Data16: 0x1e,
  LineStrp: 0x1f,
} as const;
const Standard = {
  Extended: 0,
  Copy: 1,
  AdvancePc: 2,
  AdvanceLine: 3,
  SetFile: 4,
  ConstAddPc: 8,
  FixedAdvancePc: 9,
} as const;
const Extended = { EndSequence: 1, SetAddress: 2 } as const;

const where = '.debug_line';

/** The line tables of an object. */
export class DebugLines {
  /** By section, then by address. */
  readonly #sequences: readonly Sequence[];

  private constructor(sequences: Sequence[]) {
    this.#sequences = sequences;
  }

  /** Reads `.debug_line`; undefined when there is none. Throws a SkepError for a damaged one. */
  static parse(elf: ElfFile): DebugLines | undefined {
    const section = elf.sectionByName('.debug_line');
    if (section === undefined || section.size === 0) return undefined;
    const relocations = new Map<number, ElfRelocation>();
    for (const table of elf.sections) {
      if (table.info !== section.index) continue;
      if (table.type !== SectionType.Rel && table.type !== SectionType.Rela) continue;
      for (const relocation of elf.relocations(table)) relocations.set(relocation.offset, relocation);
    }
    const strings = (name: string): ByteReader => {
      const found = elf.sectionByName(name);
      return new ByteReader(found ? elf.contents(found) : new Uint8Array(0), elf.littleEndian, name);
    };
    const unit = new UnitReader(new ByteReader(elf.contents(section), elf.littleEndian, where), relocations, {
      [Form.Strp]: strings('.debug_str'),
      [Form.LineStrp]: strings('.debug_line_str'),
    });
    const sequences: Sequence[] = [];
    for (let at = 0; at < section.size; ) at = unit.read(at, sequences);
    return new DebugLines(sequences);
  }

  /** The source line of the instruction at `address` (bytes) in a section, by the section's index. */
  find(section: number, address: number): SourceLine | undefined {
    for (const sequence of this.#sequences) {
      if (sequence.section !== section || address >= sequence.end) continue;
      const { addresses, lines, files } = sequence;
      if (address < (addresses[0] ?? Number.POSITIVE_INFINITY)) continue;
      let low = 0;
      let high = addresses.length;
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if ((addresses[middle] ?? 0) <= address) low = middle;
        else high = middle;
      }
      return { file: files[low] ?? '', line: lines[low] ?? 0 };
    }
    return undefined;
  }
}

/** Reads one unit after the other. */
class UnitReader {
  readonly #reader: ByteReader;
  readonly #relocations: ReadonlyMap<number, ElfRelocation>;
  readonly #strings: Readonly<Record<number, ByteReader>>;
  #at = 0;

  constructor(
    reader: ByteReader,
    relocations: ReadonlyMap<number, ElfRelocation>,
    strings: Readonly<Record<number, ByteReader>>,
  ) {
    this.#reader = reader;
    this.#relocations = relocations;
    this.#strings = strings;
  }

  /** Reads the unit at `start`, adds its sequences and returns where the next unit begins. */
  read(start: number, sequences: Sequence[]): number {
    const reader = this.#reader;
    this.#at = start;
    const length = this.#u32('unit length');
    if (length >= 0xfffffff0) throw new SkepError('64-bit DWARF is not read', { where });
    const end = this.#at + length;
    reader.need(this.#at, length, 'the unit');
    const version = this.#u16('version');
    if (version < 2 || version > 5)
      throw new SkepError(`version ${version} is not known (2 to 5)`, { where });
    if (version >= 5) this.#at += 2; // address size, segment selector size
    const headerLength = this.#u32('header length');
    const program = this.#at + headerLength;
    if (program > end) throw new SkepError('the header is longer than its unit', { where });
    const minInstruction = this.#u8('minimum instruction length');
    if (version >= 4) this.#at += 1; // maximum operations per instruction: 1 but for VLIW
    this.#at += 1; // default_is_stmt
    const lineBase = (this.#u8('line_base') << 24) >> 24;
    const lineRange = this.#u8('line_range');
    const opcodeBase = this.#u8('opcode_base');
    if (lineRange === 0 || opcodeBase === 0) throw new SkepError('line_range or opcode_base is 0', { where });
    const operands = Array.from({ length: opcodeBase }, (_, i) => (i === 0 ? 0 : this.#u8('opcode length')));
    const names = version >= 5 ? this.#names5() : this.#names2();
    this.#at = program;
    this.#run({ end, minInstruction, lineBase, lineRange, opcodeBase, operands, names }, sequences);
    return end;
  }

  #run(unit: Unit, sequences: Sequence[]): void {
    const { end, minInstruction, lineBase, lineRange, opcodeBase } = unit;
    let address = 0;
    let section = 0;
    let file = 1;
    let line = 1;
    let sequence: Sequence | undefined;
    const reset = (): void => {
      address = 0;
      section = 0;
      file = 1;
      line = 1;
      sequence = undefined;
    };
    const row = (): void => {
      sequence ??= { section, addresses: [], lines: [], files: [], end: 0 };
      sequence.addresses.push(address);
      sequence.lines.push(line);
      sequence.files.push(unit.names[file] ?? '');
    };
    const advance = (operation: number): void => {
      address += operation * minInstruction;
    };
    while (this.#at < end) {
      const opcode = this.#u8('opcode');
      if (opcode >= opcodeBase) {
        advance(Math.floor((opcode - opcodeBase) / lineRange));
        line += lineBase + ((opcode - opcodeBase) % lineRange);
        row();
        continue;
      }
      switch (opcode) {
        case Standard.Extended: {
          const size = this.#uleb('extended opcode length');
          const next = this.#at + size;
          if (size === 0 || next > end) throw new SkepError('an extended opcode leaves its unit', { where });
          const extended = this.#u8('extended opcode');
          if (extended === Extended.EndSequence) {
            if (sequence !== undefined) {
              sequence.end = address;
              sequences.push(sequence);
            }
            reset();
          } else if (extended === Extended.SetAddress) {
            const relocation = this.#relocations.get(this.#at);
            const inPlace = size === 9 ? Number(this.#reader.u64(this.#at, 'address')) : this.#u32('address');
            address = (relocation?.symbol.value ?? 0) + (relocation?.addend ?? inPlace);
            section = relocation?.symbol.section ?? 0;
          }
          this.#at = next;
          break;
        }
        case Standard.Copy:
          row();
          break;
        case Standard.AdvancePc:
          advance(this.#uleb('advance_pc'));
          break;
        case Standard.AdvanceLine:
          line += this.#sleb('advance_line');
          break;
        case Standard.SetFile:
          file = this.#uleb('set_file');
          break;
        case Standard.ConstAddPc:
          advance(Math.floor((255 - opcodeBase) / lineRange));
          break;
        case Standard.FixedAdvancePc:
          address += this.#u16('fixed_advance_pc');
          break;
        default:
          // Columns, statements, prologues, and what is not known: only its operands.
          for (let i = unit.operands[opcode] ?? 0; i > 0; i--) this.#uleb('operand');
      }
    }
  }

  /** Versions 2 to 4: directories, then files, each list ended by an empty name; numbers from 1. */
  #names2(): string[] {
    const directories = [''];
    for (let name = this.#string(); name !== ''; name = this.#string()) directories.push(name);
    const files = [''];
    for (let name = this.#string(); name !== ''; name = this.#string()) {
      const directory = directories[this.#uleb('directory index')] ?? '';
      this.#uleb('modification time');
      this.#uleb('length');
      files.push(join(directory, name));
    }
    return files;
  }

  /** Version 5: both lists say what their entries consist of; directory 0 is where the compiler ran. */
  #names5(): string[] {
    const directories = this.#entries('directories').map(({ path }) => path);
    const base = directories[0] ?? '';
    return this.#entries('file names').map(({ path, directory }) => {
      const folder = directories[directory] ?? '';
      return directory === 0 || isAbsolute(folder) ? join(folder, path) : join(base, join(folder, path));
    });
  }

  #entries(what: string): { path: string; directory: number }[] {
    const formats = Array.from({ length: this.#u8(`${what} format count`) }, () => ({
      content: this.#uleb('content type'),
      form: this.#uleb('form'),
    }));
    const count = this.#uleb(`${what} count`);
    if (formats.length === 0 ? count > 0 : count > this.#reader.length) {
      throw new SkepError(`${count} ${what} are more than there can be`, { where });
    }
    const entries: { path: string; directory: number }[] = [];
    for (let i = 0; i < count; i++) {
      const entry = { path: '', directory: 0 };
      for (const { content, form } of formats) {
        const value = this.#form(form);
        if (content === Content.Path && typeof value === 'string') entry.path = value;
        if (content === Content.DirectoryIndex && typeof value === 'number') entry.directory = value;
      }
      entries.push(entry);
    }
    return entries;
  }

  #form(form: number): string | number | undefined {
    switch (form) {
      case Form.String:
        return this.#string();
      case Form.LineStrp:
      case Form.Strp:
        return this.#strings[form]?.cstring(this.#u32('string offset'), 'name');
      case Form.Udata:
        return this.#uleb('number');
      case Form.Data1:
        return this.#u8('number');
      case Form.Data2:
        return this.#u16('number');
      case Form.Data4:
        return this.#u32('number');
      case Form.Data8:
        return this.#skip(8);
      case Form.Data16:
        return this.#skip(16);
      case Form.Block:
        return this.#skip(this.#uleb('block length'));
      default:
        throw new SkepError(`form 0x${form.toString(16)} is not known`, { where });
    }
  }

  #skip(bytes: number): undefined {
    this.#reader.need(this.#at, bytes, 'a field');
    this.#at += bytes;
    return undefined;
  }

  #string(): string {
    const text = this.#reader.cstring(this.#at, 'a name');
    this.#at = this.#reader.bytes.indexOf(0, this.#at) + 1;
    return text;
  }

  #u8(field: string): number {
    return this.#reader.u8(this.#at++, field);
  }

  #u16(field: string): number {
    this.#at += 2;
    return this.#reader.u16(this.#at - 2, field);
  }

  #u32(field: string): number {
    this.#at += 4;
    return this.#reader.u32(this.#at - 4, field);
  }

  #uleb(field: string): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#u8(field);
      value += (byte & 0x7f) * scale;
      if ((byte & 0x80) === 0) break;
      if (scale > 2 ** 35) throw new SkepError(`${field} is too large`, { where });
    }
    return value;
  }

  #sleb(field: string): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.#u8(field);
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if ((byte & 0x80) === 0) return byte & 0x40 ? value - scale : value;
      if (scale > 2 ** 42) throw new SkepError(`${field} is too large`, { where });
    }
  }
}

interface Unit {
  readonly end: number;
  readonly minInstruction: number;
  readonly lineBase: number;
  readonly lineRange: number;
  readonly opcodeBase: number;
  readonly operands: readonly number[];
  /** File names by number. */
  readonly names: readonly string[];
}

const isAbsolute = (path: string): boolean => /^([\\/]|[A-Za-z]:[\\/])/.test(path);

/** As LLVM joins paths: nothing is simplified (`././parse.h`). */
const join = (directory: string, name: string): string =>
  directory === '' || isAbsolute(name) ? name : `${directory}${directory.endsWith('/') ? '' : '/'}${name}`;
