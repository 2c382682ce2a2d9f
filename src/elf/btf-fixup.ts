// What clang leaves open in the BTF of an object, because only the linker knows it: the size of each DATASEC and the
// offsets of its global variables. libbpf fills them in from the ELF sections and symbols when it opens an object
// (btf_fixup_datasec), and so does this; kernel and debugger then see the same types.

import { SkepError } from '../base/error.js';
import type { Btf } from '../btf/btf.js';
import type { BtfDatasec, BtfSectionVar } from '../btf/types.js';
import { BtfEditor } from './btf-edit.js';
import type { Externs } from './externs.js';
import {
  describeSection,
  type ElfFile,
  type ElfSymbol,
  SymbolBinding,
  SymbolType,
  SymbolVisibility,
} from './file.js';
import type { FunctionTable } from './functions.js';

/** The BTF of an object with sizes and offsets; `btf` itself when nothing was missing. */
export function fixupBtf(btf: Btf, elf: ElfFile, functions: FunctionTable, externs: Externs): Btf {
  const editor = new BtfEditor(btf);
  const symbols = variableSymbols(elf);
  for (let id = 1; id < btf.typeCount; id++) {
    if (btf.kind(id) !== 'DATASEC') continue;
    const datasec = btf.type(id);
    if (datasec.kind !== 'DATASEC') continue;
    if (datasec.name === '.ksyms') continue;
    if (datasec.name === '.kconfig') layOutKconfig(btf, editor, datasec, externs);
    else layOutSection(btf, editor, datasec, elf, symbols);
  }
  for (const name of hiddenSubprograms(functions)) {
    const id = btf.findByName(name, 'FUNC');
    if (id !== undefined) editor.setFuncLinkage(id, 'static');
  }
  return editor.build();
}

/** Names of hidden functions in `.text`: global for the linker, static for the verifier. */
const hiddenSubprograms = (functions: FunctionTable): string[] =>
  functions.all.filter((fn) => fn.hidden && fn.section.name === '.text').map((fn) => fn.name);

/** Variables that the linker can see, by name. */
function variableSymbols(elf: ElfFile): Map<string, ElfSymbol> {
  const symbols = new Map<string, ElfSymbol>();
  for (const symbol of elf.symbols) {
    if (symbol.type !== SymbolType.Object && symbol.type !== SymbolType.NoType) continue;
    if (symbol.binding === SymbolBinding.Local || symbol.name === '') continue;
    symbols.set(symbol.name, symbol);
  }
  return symbols;
}

function layOutSection(
  btf: Btf,
  editor: BtfEditor,
  datasec: BtfDatasec,
  elf: ElfFile,
  symbols: ReadonlyMap<string, ElfSymbol>,
): void {
  const section = elf.sectionByName(datasec.name);
  // libbpf's own static linker has filled in all of it already.
  const open = datasec.size === 0;
  if (section === undefined || (open && section.size === 0)) {
    throw new SkepError('BTF describes its variables, but the object has no such section', {
      where: `section '${datasec.name}'`,
    });
  }
  if (section.size > 0xffff_ffff) {
    throw new SkepError(`has ${section.size} bytes, more than BTF can describe`, {
      where: describeSection(section),
    });
  }
  const vars: BtfSectionVar[] = [];
  for (const entry of datasec.vars) {
    const variable = btf.type(entry.type);
    if (variable.kind !== 'VAR') {
      throw new SkepError(`lists ${btf.describe(entry.type)}, which is no variable`, {
        where: btf.describe(datasec.id),
      });
    }
    if (variable.linkage !== 'global') {
      vars.push(entry);
      continue;
    }
    const symbol = symbols.get(variable.name);
    if (symbol === undefined || symbol.section !== section.index) {
      throw new SkepError(`BTF has a variable '${variable.name}', but the section has no such symbol`, {
        where: describeSection(section),
      });
    }
    vars.push(open ? { ...entry, offset: symbol.value } : entry);
    if (symbol.visibility === SymbolVisibility.Hidden || symbol.visibility === SymbolVisibility.Internal) {
      editor.setVarLinkage(entry.type, 'static');
    }
  }
  vars.sort((a, b) => a.offset - b.offset);
  editor.setDatasec(datasec.id, open ? section.size : datasec.size, vars);
}

/** `.kconfig` has no section in the object: its variables lie where readExterns put them. */
function layOutKconfig(btf: Btf, editor: BtfEditor, datasec: BtfDatasec, externs: Externs): void {
  const settings = new Map(
    externs.list.filter(({ section }) => section === '.kconfig').map((spec) => [spec.name, spec]),
  );
  const vars = datasec.vars.map((entry) => {
    const name = btf.nameOf(entry.type);
    const extern = settings.get(name);
    if (extern === undefined) {
      throw new SkepError(`BTF has a setting '${name}', but the object has no such symbol`, {
        where: "section '.kconfig'",
      });
    }
    return { type: entry.type, offset: extern.offset, size: extern.size };
  });
  vars.sort((a, b) => a.offset - b.offset);
  editor.setDatasec(datasec.id, externs.kconfigSize, vars);
}
