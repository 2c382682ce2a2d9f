// One object that is linked with others: its sections, which of them count, and its types, completed from the symbols.

import { SkepError } from '../../base/error.js';
import { Btf } from '../../btf/btf.js';
import { type BtfExt, parseBtfExt } from '../../btf/ext.js';
import type { BtfDatasec } from '../../btf/types.js';
import { describeSection, ElfFile, type ElfSection, SectionFlag, SectionType, SymbolType } from '../file.js';
import type { OutputSection } from './output.js';

/** SHT_LLVM_ADDRSIG: which symbols have addresses that matter. */
const LLVM_ADDRSIG = 0x6fff4c03;
/** Where clang lists externs that stand in no section; the linker resolves them, or leaves them. */
export const EXTERN_SECTION = '.extern';

/** More than any section of a BPF object asks for; with it, what is linked stays in proportion to what it is made of. */
const MAX_ALIGNMENT = 1 << 16;

export interface InputSection {
  readonly name: string;
  /** Undefined for a section that only the types have: `.kconfig`, `.ksyms`. */
  readonly elf: ElfSection | undefined;
  /** Contributes nothing: debug information, string tables, what an earlier object has in the same words. */
  skipped: boolean;
  /** Its variables in the types. */
  datasec: BtfDatasec | undefined;
  /** Where its contents went, and at which byte of it they begin. */
  output: OutputSection | undefined;
  offset: number;
}

export class InputObject {
  /** The file's name, for errors. */
  readonly name: string;
  readonly elf: ElfFile;
  readonly btf: Btf | undefined;
  readonly ext: BtfExt | undefined;
  /** By ELF index, behind them those that only the types have. The first is the null section. */
  readonly sections: readonly InputSection[];

  private constructor(
    name: string,
    elf: ElfFile,
    btf: Btf | undefined,
    ext: BtfExt | undefined,
    sections: InputSection[],
  ) {
    this.name = name;
    this.elf = elf;
    this.btf = btf;
    this.ext = ext;
    this.sections = sections;
  }

  /** Throws a SkepError for a file that is no BPF object, or that cannot be linked. */
  static parse(name: string, bytes: Uint8Array): InputObject {
    const elf = ElfFile.parse(bytes);
    if (elf.symbolTable === undefined) throw new SkepError('it has no symbol table', { where: name });
    const btfSection = elf.sectionByName('.BTF');
    const btf = btfSection && Btf.parse(elf.contents(btfSection));
    const extSection = elf.sectionByName('.BTF.ext');
    const ext = extSection && btf && parseBtfExt(elf.contents(extSection), btf);
    const sections = elf.sections.map((section): InputSection => {
      const skipped = isIgnored(section, elf);
      if (!skipped) checkAlignment(section);
      return { name: section.name, elf: section, skipped, datasec: undefined, output: undefined, offset: 0 };
    });
    if (btf) completeSections(btf, elf, sections);
    return new InputObject(name, elf, btf, ext, sections);
  }

  sectionByName(name: string): InputSection | undefined {
    return this.sections.find((section, index) => index > 0 && section.name === name);
  }
}

function checkAlignment(section: ElfSection): void {
  const { alignment } = section;
  if (alignment <= MAX_ALIGNMENT && (alignment & (alignment - 1)) === 0) return;
  throw new SkepError(`its alignment is ${alignment}, no power of two up to ${MAX_ALIGNMENT}`, {
    where: describeSection(section),
  });
}

function isIgnored(section: ElfSection, elf: ElfFile): boolean {
  const { name, type, size } = section;
  const isDebug = (text: string): boolean => text.startsWith('.debug_');
  if (isDebug(name) || name === '.BTF' || name === '.BTF.ext') return true;
  switch (type) {
    case SectionType.Null:
    case SectionType.Strtab:
    case SectionType.Symtab:
    case LLVM_ADDRSIG:
      return true;
    case SectionType.Progbits:
      // Without subprograms `.text` is there, and empty.
      if ((section.flags & SectionFlag.ExecInstr) !== 0 && size % 8 !== 0) {
        throw new SkepError(`has ${size} bytes, no whole number of instructions`, {
          where: describeSection(section),
        });
      }
      return name === '.text' && size === 0;
    case SectionType.Nobits:
      return false;
    case SectionType.Rel: {
      const target = elf.section(section.info, describeSection(section)).name;
      return isDebug(target) || target === '.BTF' || target === '.BTF.ext';
    }
    default:
      throw new SkepError(`has the type ${type}, which cannot be linked`, {
        where: describeSection(section),
      });
  }
}

/** Finds the section of each DATASEC, and fills in what the compiler leaves open: its size, where global variables are. */
function completeSections(btf: Btf, elf: ElfFile, sections: InputSection[]): void {
  for (let id = 1; id < btf.typeCount; id++) {
    const type = btf.type(id);
    if (type.kind !== 'DATASEC') continue;
    let section = sections.find(({ name }, index) => index > 0 && name === type.name);
    if (section === undefined) {
      if (type.name === EXTERN_SECTION) continue;
      section = {
        name: type.name,
        elf: undefined,
        skipped: false,
        datasec: undefined,
        output: undefined,
        offset: 0,
      };
      sections.push(section);
    }
    const index = section.elf?.index ?? 0;
    const vars = type.vars.map((variable) => {
      const target = btf.type(variable.type);
      if (target.kind !== 'VAR' || target.linkage !== 'global') return variable;
      const symbol = elf.symbols.find(
        (candidate) =>
          candidate.section === index &&
          candidate.type === SymbolType.Object &&
          candidate.name === target.name,
      );
      if (symbol !== undefined) return { ...variable, offset: symbol.value };
      throw new SkepError(`there is no symbol for variable '${target.name}'`, {
        where: `BTF DATASEC '${type.name}'`,
      });
    });
    section.datasec = { ...type, size: section.elf?.size ?? type.size, vars };
  }
}
