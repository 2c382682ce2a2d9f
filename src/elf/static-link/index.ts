// Several objects made into one (libbpf's static linker): sections of the same name one after the other, symbols resolved,
// types merged. What comes out is an object again, without debug information.

import { SkepError } from '../../base/error.js';
import { Btf } from '../../btf/btf.js';
import { dedupTypes } from '../../btf/dedup.js';
import { BtfBuilder } from '../../btf/encode.js';
import { withLayoutHeader } from '../../btf/header.js';
import { type ElfSection, SectionFlag, SectionType, SymbolType } from '../file.js';
import { type SectionToWrite, StringTable, writeElf } from '../writer.js';
import { encodeExt } from './ext.js';
import { InputObject, type InputSection } from './input.js';
import { OutputSection } from './output.js';
import { LinkedSymbols } from './symbols.js';
import { LinkedTypes } from './types.js';

const STRTAB = 1;
const SYMTAB = 2;
const SYMBOL_SIZE = 24;
const RELOCATION_SIZE = 16;
/** SHF_STRINGS */
const STRINGS = 0x20;
/** Sections that must say the same in every object, and are kept once. */
const SHARED: ReadonlySet<string> = new Set(['license', 'version']);
const CALL = 0x85;

export interface ObjectToLink {
  /** The file's name, for errors. */
  name: string;
  bytes: Uint8Array;
}

/** Links objects in this order. Throws a SkepError that names the object and what about it does not fit. */
export function linkObjects(objects: readonly ObjectToLink[]): Uint8Array {
  const [first, ...rest] = objects.map(({ name, bytes }) =>
    located(name, () => InputObject.parse(name, bytes)),
  );
  if (first === undefined) throw new SkepError('there is no object to link');
  const linker = new Linker(first.elf.littleEndian);
  for (const object of [first, ...rest]) located(object.name, () => linker.add(object));
  return linker.finish();
}

function located<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof SkepError) || error.message.startsWith(name)) throw error;
    throw new SkepError(error.message, { where: name, hint: error.hint, cause: error });
  }
}

class Linker {
  readonly #littleEndian: boolean;
  readonly #names = new StringTable();
  readonly #types: LinkedTypes;
  readonly #symbols: LinkedSymbols;
  readonly #sections = new Map<string, OutputSection>();
  /** Behind the null section, the string and the symbol table. */
  #nextIndex = SYMTAB + 1;
  readonly #nameOffsets = new Map<OutputSection, number>();
  readonly #fixed: { strtab: number; symtab: number };

  constructor(littleEndian: boolean) {
    this.#littleEndian = littleEndian;
    this.#fixed = { strtab: this.#names.add('.strtab'), symtab: this.#names.add('.symtab') };
    this.#types = new LinkedTypes(littleEndian);
    this.#symbols = new LinkedSymbols(this.#names, this.#types);
  }

  add(object: InputObject): void {
    if (object.elf.littleEndian !== this.#littleEndian) {
      throw new SkepError('its byte order differs from that of the first object');
    }
    for (const section of object.sections) {
      const type = section.elf?.type;
      const isData = type === undefined || type === SectionType.Progbits || type === SectionType.Nobits;
      if (isData && !section.skipped) this.#appendContents(object, section);
    }
    const symbols = this.#symbols.append(object);
    for (const section of object.sections) {
      if (section.elf?.type === SectionType.Rel && !section.skipped) {
        this.#appendRelocations(object, section, section.elf, symbols);
      }
    }
    const ids = this.#types.append(object, this.#symbols.globals);
    const { globals } = this.#symbols;
    this.#types.appendVariables(object, ids, globals, (id) => this.#sizeOf(id));
    this.#appendExt(object, ids);
  }

  #output(name: string): OutputSection {
    const known = this.#sections.get(name);
    if (known !== undefined) return known;
    const section = new OutputSection(name);
    this.#sections.set(name, section);
    return section;
  }

  #materialize(output: OutputSection, like: ElfSection): void {
    output.checkLike(like);
    if (output.index !== 0) return;
    output.materialize(this.#nextIndex++, like);
    this.#nameOffsets.set(output, this.#names.add(output.name));
  }

  #appendContents(object: InputObject, section: InputSection): void {
    const output = this.#output(section.name);
    section.output = output;
    const { elf } = section;
    if (elf === undefined) return;
    const contents = object.elf.contents(elf);
    if (output.index !== 0 && SHARED.has(output.name)) {
      output.checkLike(elf);
      const same =
        contents.length === output.size && contents.every((byte, i) => byte === output.contents?.[i]);
      if (!same) {
        throw new SkepError('it differs from that of an earlier object', {
          where: `section '${output.name}'`,
        });
      }
      section.skipped = true;
      return;
    }
    this.#materialize(output, elf);
    section.offset = output.append(elf, contents);
  }

  #appendRelocations(
    object: InputObject,
    section: InputSection,
    elf: ElfSection,
    symbols: Uint32Array,
  ): void {
    const target = object.sections[elf.info];
    if (target === undefined || target.skipped || target.output === undefined) return;
    const output = this.#output(section.name);
    this.#materialize(output, elf);
    output.link = SYMTAB;
    output.info = target.output.index;
    const relocations = object.elf.relocations(elf);
    const bytes = new Uint8Array(relocations.length * RELOCATION_SIZE);
    const view = new DataView(bytes.buffer);
    const executable = ((target.elf?.flags ?? 0) & SectionFlag.ExecInstr) !== 0;
    const contents = target.output.contents ?? new Uint8Array(0);
    relocations.forEach(({ offset, type, symbol }, i) => {
      const to = target.offset + offset;
      view.setBigUint64(i * RELOCATION_SIZE, BigInt(to), this.#littleEndian);
      const info = (BigInt(symbols[symbol.index] ?? 0) << 32n) | BigInt(type);
      view.setBigUint64(i * RELOCATION_SIZE + 8, info, this.#littleEndian);
      if (symbol.type !== SymbolType.Section) return;
      // What stood at the beginning of its section is further behind now.
      const moved = object.sections[symbol.section]?.offset ?? 0;
      if (!executable) {
        throw new SkepError(`relocation ${i} refers to a section, which only instructions can`, {
          where: `section '${section.name}'`,
        });
      }
      if (to + 8 > contents.length) {
        throw new SkepError(`relocation ${i} is behind the end of section '${target.name}'`, {
          where: `section '${section.name}'`,
        });
      }
      const instruction = new DataView(contents.buffer, contents.byteOffset + to, 8);
      const by = contents[to] === CALL ? moved / 8 : moved;
      instruction.setInt32(4, instruction.getInt32(4, this.#littleEndian) + by, this.#littleEndian);
    });
    section.offset = output.append({ ...elf, size: bytes.length }, bytes);
  }

  #appendExt(object: InputObject, ids: Uint32Array): void {
    const { ext } = object;
    if (ext === undefined) return;
    const string = (text: string): number => this.#types.strings.string(text);
    const into = (name: string): { output: OutputSection; offset: number } => {
      const section = object.sectionByName(name);
      if (section?.output) return { output: section.output, offset: section.offset };
      throw new SkepError(`.BTF.ext tells of section '${name}', which is not there`, { where: object.name });
    };
    for (const [name, records] of ext.funcInfo) {
      const { output, offset } = into(name);
      for (const { insnOff, typeId } of records) output.ext.func.push([insnOff + offset, ids[typeId] ?? 0]);
    }
    for (const [name, records] of ext.lineInfo) {
      const { output, offset } = into(name);
      for (const { insnOff, file, text, line, column } of records) {
        output.ext.line.push([insnOff + offset, string(file), string(text), ((line << 10) | column) >>> 0]);
      }
    }
    for (const [name, records] of ext.coreRelocations) {
      const { output, offset } = into(name);
      for (const { insnOff, typeId, access, kind } of records) {
        output.ext.core.push([insnOff + offset, ids[typeId] ?? 0, string(access), kind]);
      }
    }
  }

  #sizeOf(id: number): number {
    return this.#typesSoFar().sizeOf(id);
  }

  /** The types as they are now, unmerged. */
  #typesSoFar(): Btf {
    const builder = new BtfBuilder({ littleEndian: this.#littleEndian });
    for (const type of this.#types.all) builder.add(type);
    return Btf.parse(builder.encode());
  }

  finish(): Uint8Array {
    const sections = [...this.#sections.values()];
    const types = this.#finishTypes(sections);
    const written = sections.filter(({ index }) => index !== 0).sort((a, b) => a.index - b.index);
    const contents: SectionToWrite[] = written.map((section) => ({
      nameOffset: this.#nameOffsets.get(section) ?? 0,
      type: section.type,
      flags: section.flags,
      link: section.link,
      info: section.info,
      alignment: section.alignment,
      entrySize: section.entrySize,
      size: section.size,
      contents: section.contents,
    }));
    for (const [name, bytes] of types) {
      contents.push({ ...plain(bytes), nameOffset: this.#names.add(name), alignment: 8 });
    }
    const [symbols, names] = [this.#symbols.encode(this.#littleEndian), this.#names.encode()];
    const strtab = {
      ...plain(names),
      nameOffset: this.#fixed.strtab,
      type: SectionType.Strtab,
      flags: STRINGS,
    };
    const symtab = {
      ...plain(symbols),
      nameOffset: this.#fixed.symtab,
      type: SectionType.Symtab,
      link: STRTAB,
      // Local symbols stand among the global ones: there is no first global one to name.
      info: 0,
      alignment: 8,
      entrySize: SYMBOL_SIZE,
    };
    return writeElf([strtab, symtab, ...contents], { littleEndian: this.#littleEndian, names: STRTAB });
  }

  /** `.BTF` and `.BTF.ext`, those of them that there are. */
  #finishTypes(sections: readonly OutputSection[]): [name: string, bytes: Uint8Array][] {
    if (this.#types.all.length === 0) return [];
    for (const { name, hasDatasec, size, vars } of sections) {
      if (hasDatasec) this.#types.add({ kind: 'DATASEC', name, size, vars });
    }
    const { types, ids } = dedupTypes(this.#types.all);
    const ext = encodeExt(sections, {
      string: (text) => this.#types.strings.string(text),
      typeId: (id) => ids[id] ?? 0,
      littleEndian: this.#littleEndian,
    });
    const strings = this.#types.stringBytes;
    const builder = new BtfBuilder({ littleEndian: this.#littleEndian, strings });
    for (const type of types) builder.add(type);
    const btf: [string, Uint8Array] = ['.BTF', withLayoutHeader(builder.encode())];
    return ext === undefined ? [btf] : [btf, ['.BTF.ext', ext]];
  }
}

const plain = (contents: Uint8Array): SectionToWrite => ({
  nameOffset: 0,
  type: SectionType.Progbits,
  flags: 0,
  link: 0,
  info: 0,
  alignment: 1,
  entrySize: 0,
  size: contents.length,
  contents,
});
