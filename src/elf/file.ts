// The ELF container of an object file (ELF64, both byte orders), as the BPF target uses it:
//
//     header (64 bytes)   e_shoff ----> section headers (64 bytes each), names in section e_shstrndx
//     .symtab             24-byte symbols, names in section sh_link, large section indices in .symtab_shndx
//     .rel*, .rela*       16- and 24-byte relocations: where in section sh_info, which symbol, what kind
//
// Nothing here knows what a section means. Every number is checked before it is used, and the bytes of two
// sections never overlap, so that whatever is read later is bounded by the size of the file.

import { SkepError } from '../base/error.js';
import { ByteReader } from '../base/reader.js';

/** Section types (sh_type). */
export const SectionType = {
  Null: 0,
  Progbits: 1,
  Symtab: 2,
  Strtab: 3,
  Rela: 4,
  Nobits: 8,
  Rel: 9,
  SymtabShndx: 18,
} as const;

/** Section flags (sh_flags). */
export const SectionFlag = { Write: 1, Alloc: 2, ExecInstr: 4 } as const;

/** Symbol binding (the upper half of st_info). */
export const SymbolBinding = { Local: 0, Global: 1, Weak: 2 } as const;

/** Symbol type (the lower half of st_info). */
export const SymbolType = { NoType: 0, Object: 1, Func: 2, Section: 3, File: 4 } as const;

/** Symbol visibility (the lower two bits of st_other). */
export const SymbolVisibility = { Default: 0, Internal: 1, Hidden: 2, Protected: 3 } as const;

/** Section indices that are no sections (st_shndx). */
export const SpecialSection = { Undefined: 0, LowReserve: 0xff00, Absolute: 0xfff1, Common: 0xfff2 } as const;

/** Relocations of the BPF psABI. */
export const RelocationType = {
  R_BPF_NONE: 0,
  R_BPF_64_64: 1,
  R_BPF_64_ABS64: 2,
  R_BPF_64_ABS32: 3,
  R_BPF_64_NODYLD32: 4,
  R_BPF_64_32: 10,
} as const;

/** `R_BPF_64_64` for 1. */
export const relocationTypeName = (type: number): string =>
  Object.entries(RelocationType).find(([, value]) => value === type)?.[0] ?? `relocation type ${type}`;

export interface ElfSection {
  readonly index: number;
  readonly name: string;
  /** One of `SectionType`, or another number. */
  readonly type: number;
  /** The lower 32 bits of sh_flags. */
  readonly flags: number;
  /** Where the contents are, in bytes from the start of the file; without meaning for `Nobits`. */
  readonly offset: number;
  /** In bytes. */
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly entrySize: number;
  readonly alignment: number;
}

export interface ElfSymbol {
  /** Index in the symbol table. */
  readonly index: number;
  readonly name: string;
  /** Offset in its section, in bytes. */
  readonly value: number;
  /** In bytes. */
  readonly size: number;
  /** Section index, also where it is above 0xff00; one of `SpecialSection` only when `special`. */
  readonly section: number;
  /** The symbol is in no section: absolute, common, or reserved for a processor. */
  readonly special: boolean;
  readonly binding: number;
  readonly type: number;
  readonly visibility: number;
}

export interface ElfRelocation {
  /** In bytes from the start of the section that is relocated. */
  readonly offset: number;
  readonly type: number;
  readonly symbol: ElfSymbol;
  /** The explicit addend of RELA; REL keeps it in the relocated bytes. */
  readonly addend?: number;
}

const HEADER_SIZE = 64;
const SECTION_HEADER_SIZE = 64;
const SYMBOL_SIZE = 24;
const EM_NONE = 0;
const EM_BPF = 247;
const ET_REL = 1;
const SHN_XINDEX = 0xffff;

/** Longer names are not believed; with it, reading all names stays linear in the size of the file. */
const MAX_NAME = 4096;

const MACHINES: Readonly<Record<number, string>> = {
  3: 'x86',
  40: 'ARM',
  62: 'x86-64',
  183: 'AArch64',
  243: 'RISC-V',
  258: 'LoongArch',
};
const FILE_TYPES: Readonly<Record<number, string>> = {
  0: 'no file type',
  2: 'an executable',
  3: 'a shared object',
  4: 'a core file',
};

/** A section for an error message: `section 3 'xdp'`. */
export const describeSection = (section: { index: number; name: string }): string =>
  section.name === '' ? `section ${section.index}` : `section ${section.index} '${section.name}'`;

/** A symbol for an error message: `symbol 12 'counter'`. */
export const describeSymbol = (symbol: ElfSymbol): string => {
  if (symbol.name !== '') return `symbol ${symbol.index} '${symbol.name}'`;
  const section = symbol.type === SymbolType.Section ? ` (section ${symbol.section})` : '';
  return `symbol ${symbol.index}${section}`;
};

/** A relocatable ELF64 object for BPF. */
export class ElfFile {
  readonly bytes: Uint8Array;
  readonly littleEndian: boolean;
  /** Whether a compiler wrote it that had no number for the machine yet (clang before 6), and so none for relocations. */
  readonly early: boolean;
  /** By index; the first is the null section. */
  readonly sections: readonly ElfSection[];
  /** By index; the first is the null symbol. Empty without a symbol table. */
  readonly symbols: readonly ElfSymbol[];
  /** The `.symtab` section, if there is one. */
  readonly symbolTable: ElfSection | undefined;
  readonly #reader: ByteReader;
  readonly #byName = new Map<string, ElfSection>();

  private constructor(reader: ByteReader, sections: ElfSection[]) {
    this.#reader = reader;
    for (const section of sections) {
      if (section.type !== SectionType.Null && !this.#byName.has(section.name)) {
        this.#byName.set(section.name, section);
      }
    }
    this.bytes = reader.bytes;
    this.littleEndian = reader.littleEndian;
    this.early = reader.u16(18, 'e_machine') === EM_NONE;
    this.sections = sections;
    const tables = sections.filter((section) => section.type === SectionType.Symtab);
    const [table, second] = tables;
    if (second !== undefined) throw new SkepError('there are two symbol tables', { where: where(second) });
    this.symbolTable = table;
    this.symbols = table === undefined ? [] : readSymbols(this.#reader, sections, table);
  }

  /**
   * Reads the headers and the symbols. Throws a SkepError for anything that is not a BPF object; with `anyMachine`, for
   * what is no 64-bit ELF file.
   */
  static parse(bytes: Uint8Array, { anyMachine = false }: { anyMachine?: boolean } = {}): ElfFile {
    const reader = readHeader(bytes, anyMachine);
    return new ElfFile(reader, readSections(reader));
  }

  /** The first section with this name. */
  sectionByName(name: string): ElfSection | undefined {
    return this.#byName.get(name);
  }

  /** The section with this index; throws a SkepError, which says who asked, when there is none. */
  section(index: number, asker: string): ElfSection {
    const section = this.sections[index];
    if (section !== undefined && index !== 0) return section;
    throw new SkepError(`refers to section ${index}, but there are ${this.sections.length}`, {
      where: asker,
    });
  }

  /** The contents of a section, a view of the file; empty for one without contents. */
  contents(section: ElfSection): Uint8Array {
    if (!hasContents(section)) return new Uint8Array(0);
    return this.#reader.slice(section.offset, section.size, section.name);
  }

  /** The entries of a `Rel` or `Rela` section, in the order of the file. */
  relocations(section: ElfSection): ElfRelocation[] {
    const explicit = section.type === SectionType.Rela;
    const entry = explicit ? 24 : 16;
    const count = entries(section, entry);
    if (this.symbolTable === undefined || section.link !== this.symbolTable.index) {
      throw new SkepError(`its symbols should be in section ${section.link}, which is no symbol table`, {
        where: where(section),
      });
    }
    const reader = this.#reader;
    const result: ElfRelocation[] = [];
    for (let i = 0; i < count; i++) {
      const at = section.offset + i * entry;
      // r_info is the symbol (upper 32 bits) and the type (lower 32 bits), in the byte order of the file.
      const high = this.littleEndian ? 4 : 0;
      const index = reader.u32(at + 8 + high, 'r_info');
      const symbol = this.symbols[index];
      if (symbol === undefined) {
        throw new SkepError(`refers to symbol ${index}, but there are ${this.symbols.length}`, {
          where: `${where(section)}, relocation ${i}`,
        });
      }
      const offset = word(reader, at, 'r_offset');
      const type = reader.u32(at + 12 - high, 'r_info');
      if (!explicit) result.push({ offset, type, symbol });
      else result.push({ offset, type, symbol, addend: signedWord(reader, at + 16, 'r_addend') });
    }
    return result;
  }
}

const where = describeSection;
const hasContents = (section: ElfSection): boolean =>
  section.type !== SectionType.Nobits && section.type !== SectionType.Null;

/** A 64-bit number; beyond 2^53 it is rounded, which is then too large for everything it may be compared with. */
function word(reader: ByteReader, at: number, field: string): number {
  const first = reader.u32(at, field);
  const second = reader.u32(at + 4, field);
  return reader.littleEndian ? second * 2 ** 32 + first : first * 2 ** 32 + second;
}

const signedWord = (reader: ByteReader, at: number, field: string): number =>
  Number(BigInt.asIntN(64, reader.u64(at, field)));

/** The number of entries in a table; its size must be a whole number of them. */
function entries(section: ElfSection, size: number): number {
  if (section.entrySize !== size || section.size % size !== 0) {
    throw new SkepError(
      `entries should have ${size} bytes, but sh_entsize is ${section.entrySize} and sh_size ${section.size}`,
      { where: where(section) },
    );
  }
  return section.size / size;
}

function readHeader(bytes: Uint8Array, anyMachine: boolean): ByteReader {
  if (bytes.length < 16 || bytes[0] !== 0x7f || bytes[1] !== 0x45 || bytes[2] !== 0x4c || bytes[3] !== 0x46) {
    const bitcode = bytes[0] === 0x42 && bytes[1] === 0x43;
    throw new SkepError(bytes.length === 0 ? 'the file is empty' : 'this is no ELF file', {
      hint: bitcode
        ? 'This is LLVM bitcode: compile without -emit-llvm and -flto.'
        : 'An object file comes from `clang -target bpf -O2 -g -c`.',
    });
  }
  const hint = 'Compile with `clang -target bpf -O2 -g -c`.';
  if (bytes[4] !== 2) {
    throw new SkepError(`EI_CLASS is ${bytes[4]}: BPF objects are 64-bit ELF (2)`, {
      where: 'ELF header',
      hint,
    });
  }
  if (bytes[5] !== 1 && bytes[5] !== 2) {
    throw new SkepError(`EI_DATA is ${bytes[5]}, neither little- (1) nor big-endian (2)`, {
      where: 'ELF header',
    });
  }
  const reader = new ByteReader(bytes, bytes[5] === 1, 'ELF file');
  reader.need(0, HEADER_SIZE, 'the ELF header');
  if (anyMachine) return reader;
  const machine = reader.u16(18, 'e_machine');
  // Clang before 6 left e_machine empty.
  if (machine !== EM_BPF && machine !== EM_NONE) {
    throw new SkepError(
      `this object is for ${MACHINES[machine] ?? 'another machine'} (e_machine ${machine}), not for BPF (${EM_BPF})`,
      { where: 'ELF header', hint },
    );
  }
  const type = reader.u16(16, 'e_type');
  if (type !== ET_REL) {
    throw new SkepError(
      `this is ${FILE_TYPES[type] ?? 'an unknown kind of file'} (e_type ${type}), not a relocatable object (${ET_REL})`,
      { where: 'ELF header', hint: 'Load the object file that `clang -c` wrote, before any link step.' },
    );
  }
  return reader;
}

interface RawSection extends Omit<ElfSection, 'name'> {
  nameOffset: number;
}

function readSectionHeader(reader: ByteReader, start: number, index: number): RawSection {
  const at = start + index * SECTION_HEADER_SIZE;
  return {
    index,
    nameOffset: reader.u32(at, 'sh_name'),
    type: reader.u32(at + 4, 'sh_type'),
    flags: reader.u32(at + (reader.littleEndian ? 8 : 12), 'sh_flags'),
    offset: word(reader, at + 24, 'sh_offset'),
    size: word(reader, at + 32, 'sh_size'),
    link: reader.u32(at + 40, 'sh_link'),
    info: reader.u32(at + 44, 'sh_info'),
    alignment: word(reader, at + 48, 'sh_addralign'),
    entrySize: word(reader, at + 56, 'sh_entsize'),
  };
}

function readSections(reader: ByteReader): ElfSection[] {
  const start = word(reader, 40, 'e_shoff');
  if (start === 0) throw new SkepError('there are no sections (e_shoff is 0)', { where: 'ELF header' });
  const entry = reader.u16(58, 'e_shentsize');
  if (entry !== SECTION_HEADER_SIZE) {
    throw new SkepError(`e_shentsize is ${entry}, not ${SECTION_HEADER_SIZE}`, { where: 'ELF header' });
  }
  reader.need(start, SECTION_HEADER_SIZE, 'the first section header');
  // Numbers that do not fit in 16 bits are in the null section (gABI, extended numbering).
  const first = readSectionHeader(reader, start, 0);
  const shortCount = reader.u16(60, 'e_shnum');
  const count = shortCount === 0 ? first.size : shortCount;
  reader.need(start, count * SECTION_HEADER_SIZE, `the table of ${count} section headers`);
  const shortNames = reader.u16(62, 'e_shstrndx');
  const namesIndex = shortNames === SHN_XINDEX ? first.link : shortNames;

  const raw: RawSection[] = [];
  for (let i = 0; i < count; i++) raw.push(readSectionHeader(reader, start, i));
  const names = raw[namesIndex];
  if (names === undefined || names.type !== SectionType.Strtab) {
    throw new SkepError(`section ${namesIndex}, which should hold the section names, is no string table`, {
      where: 'ELF header',
    });
  }
  for (const section of raw) checkBounds(reader, section);
  checkOverlaps(raw);
  const name = stringTable(reader, names, 'section names');
  return raw.map(({ nameOffset, ...section }) => ({
    ...section,
    name: section.type === SectionType.Null ? '' : name(nameOffset, `section ${section.index}`),
  }));
}

function checkBounds(reader: ByteReader, section: RawSection): void {
  if (section.type === SectionType.Null || section.type === SectionType.Nobits) return;
  if (section.offset + section.size <= reader.length) return;
  throw new SkepError(
    `its ${section.size} bytes at offset ${section.offset} are not in the file of ${reader.length} bytes`,
    { where: `section ${section.index}` },
  );
}

function checkOverlaps(sections: readonly RawSection[]): void {
  const stored = sections.filter(
    ({ type, size }) => type !== SectionType.Null && type !== SectionType.Nobits && size > 0,
  );
  stored.sort((a, b) => a.offset - b.offset);
  let last: RawSection | undefined;
  for (const section of stored) {
    if (last !== undefined && section.offset < last.offset + last.size) {
      throw new SkepError(
        `its bytes (offset ${section.offset}) overlap with those of section ${last.index} (offset ${last.offset}, size ${last.size})`,
        { where: `section ${section.index}` },
      );
    }
    last = section;
  }
}

/** Reads names of a string table by their offset; equal storage for all of them, however they overlap. */
function stringTable(
  reader: ByteReader,
  table: { index: number; offset: number; size: number },
  what: string,
): (offset: number, asker: string) => string {
  const bytes = reader.slice(table.offset, table.size, what);
  // One character a byte, so that names are slices of one text.
  const text = new TextDecoder('latin1').decode(bytes);
  return (offset, asker) => {
    if (offset === 0 && bytes.length === 0) return '';
    if (offset >= bytes.length) {
      throw new SkepError(
        `its name is at offset ${offset} of the ${what} (section ${table.index}), which have ${bytes.length} bytes`,
        { where: asker },
      );
    }
    let end = offset;
    let ascii = true;
    for (; bytes[end] !== 0; end++) {
      if (end >= bytes.length) throw new SkepError('its name is not terminated', { where: asker });
      if (end - offset >= MAX_NAME) {
        throw new SkepError(`its name is longer than ${MAX_NAME} bytes`, { where: asker });
      }
      if ((bytes[end] ?? 0) >= 0x80) ascii = false;
    }
    return ascii ? text.slice(offset, end) : new TextDecoder().decode(bytes.subarray(offset, end));
  };
}

function readSymbols(reader: ByteReader, sections: readonly ElfSection[], table: ElfSection): ElfSymbol[] {
  const count = entries(table, SYMBOL_SIZE);
  const strings = sections[table.link];
  if (strings === undefined || strings.type !== SectionType.Strtab) {
    throw new SkepError(`its names should be in section ${table.link}, which is no string table`, {
      where: where(table),
    });
  }
  const name = stringTable(reader, strings, 'symbol names');
  const large = sections.find(
    (section) => section.type === SectionType.SymtabShndx && section.link === table.index,
  );
  if (large !== undefined && large.size < count * 4) {
    throw new SkepError(`has ${large.size} bytes, too few for ${count} symbols`, { where: where(large) });
  }
  const symbols: ElfSymbol[] = [];
  for (let index = 0; index < count; index++) {
    const at = table.offset + index * SYMBOL_SIZE;
    const place = `${where(table)}, symbol ${index}`;
    const info = reader.u8(at + 4, 'st_info');
    let section = reader.u16(at + 6, 'st_shndx');
    let special = section >= SpecialSection.LowReserve;
    if (section === SHN_XINDEX) {
      if (large === undefined) {
        throw new SkepError('its section index is extended, but there is no .symtab_shndx', { where: place });
      }
      section = reader.u32(large.offset + index * 4, 'section index');
      special = false;
    }
    if (!special && section >= sections.length) {
      throw new SkepError(`is in section ${section}, but there are ${sections.length}`, { where: place });
    }
    symbols.push({
      index,
      name: name(reader.u32(at, 'st_name'), place),
      value: word(reader, at + 8, 'st_value'),
      size: word(reader, at + 16, 'st_size'),
      section,
      special,
      binding: info >> 4,
      type: info & 0xf,
      visibility: reader.u8(at + 5, 'st_other') & 3,
    });
  }
  return symbols;
}
