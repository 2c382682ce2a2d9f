// Global variables: each `.data*`, `.rodata*` and `.bss*` section is a map of one element, whose value is the
// section's contents. Names and types come from BTF, and from the symbols where BTF has none.

import { SkepError } from '../base/error.js';
import { MapFlag, MapType } from '../bpf/types.js';
import type { Btf } from '../btf/btf.js';
import type { Externs } from './externs.js';
import {
  describeSection,
  describeSymbol,
  type ElfFile,
  type ElfSection,
  RelocationType,
  relocationTypeName,
  SectionFlag,
  SectionType,
  SymbolBinding,
  SymbolType,
} from './file.js';
import { relocationSections } from './relocations.js';
import type { MapSpec, VariableSpec } from './spec.js';

type SectionKind = NonNullable<MapSpec['section']>['kind'];

/** `.bss` costs nothing in the file, so that its size needs a bound of its own: 64 MiB in one object. */
const MAX_ZEROED = 64 * 1024 * 1024;

export interface SectionMaps {
  maps: MapSpec[];
  variables: VariableSpec[];
  /** Map names by section index. */
  bySection: ReadonlyMap<number, string>;
}

const named = (name: string, prefix: string): boolean => name === prefix || name.startsWith(`${prefix}.`);

/** What a section holds for libbpf, or undefined when it is no section of variables. */
export function sectionKind(section: ElfSection): SectionKind | undefined {
  if (section.size === 0 || (section.flags & SectionFlag.ExecInstr) !== 0) return undefined;
  if (section.type === SectionType.Nobits) return named(section.name, '.bss') ? 'bss' : undefined;
  if (section.type !== SectionType.Progbits) return undefined;
  if (named(section.name, '.data')) return 'data';
  return named(section.name, '.rodata') ? 'rodata' : undefined;
}

/** The section maps in libbpf's order, `.kconfig` last. `btf` has its DATASECs filled in. */
export function readSectionMaps(elf: ElfFile, btf: Btf | undefined, externs: Externs): SectionMaps {
  const maps: MapSpec[] = [];
  const variables: VariableSpec[] = [];
  const bySection = new Map<number, string>();
  const names = new Set<string>();
  const symbols = objectSymbols(elf);
  let zeroed = 0;
  for (const section of elf.sections) {
    const kind = sectionKind(section);
    if (kind === undefined) continue;
    if (names.has(section.name)) {
      throw new SkepError('there are two sections of this name', { where: describeSection(section) });
    }
    names.add(section.name);
    if (kind === 'bss') zeroed = claim(zeroed, section.size, describeSection(section));
    const contents = kind === 'bss' ? new Uint8Array(section.size) : elf.contents(section).slice();
    const datasec = btf?.findByName(section.name, 'DATASEC');
    maps.push(sectionMap(section.name, kind, contents, btf, datasec));
    bySection.set(section.index, section.name);
    const own =
      btf !== undefined && datasec !== undefined
        ? datasecVariables(btf, datasec, section)
        : symbolVariables(section, symbols.get(section.index) ?? []);
    for (const variable of own) variables.push(variable);
  }
  if (externs.kconfigSize > 0) {
    claim(zeroed, externs.kconfigSize, "section '.kconfig'");
    const contents = new Uint8Array(externs.kconfigSize);
    maps.push(sectionMap('.kconfig', 'kconfig', contents, btf, btf?.findByName('.kconfig', 'DATASEC')));
  }
  refuseDataRelocations(elf);
  return { maps, variables, bySection };
}

/** Variables in an arena (`__arena_global`): they lie in the object's arena, from its beginning. */
const ARENA_SECTION = '.addr_space.1';

/** The arena's name by the index of the section whose variables it holds. */
export function readArenaSection(elf: ElfFile, maps: readonly MapSpec[]): ReadonlyMap<number, string> {
  const section = elf.sectionByName(ARENA_SECTION);
  if (section === undefined || section.size === 0) return new Map();
  const where = describeSection(section);
  const arena = maps.find(({ type }) => type === MapType.Arena);
  if (arena === undefined) {
    throw new SkepError('holds variables of an arena, and the object has none', {
      where,
      hint: 'Define a map of type BPF_MAP_TYPE_ARENA.',
    });
  }
  // What an arena holds is written through its mapping into the process that loads, which there is not here.
  if (section.type !== SectionType.Nobits && elf.contents(section).some((byte) => byte !== 0)) {
    throw new SkepError('a variable in an arena has an initial value, which is not loaded', {
      where,
      hint: 'Leave it zero and set it in the program.',
    });
  }
  return new Map([[section.index, arena.name]]);
}

function claim(zeroed: number, size: number, where: string): number {
  if (zeroed + size <= MAX_ZEROED) return zeroed + size;
  throw new SkepError(
    `its ${size} bytes make ${zeroed + size} bytes of zeroed variables in one object; the limit is ${MAX_ZEROED}`,
    { where },
  );
}

function sectionMap(
  name: string,
  kind: SectionKind,
  contents: Uint8Array,
  btf: Btf | undefined,
  datasec: number | undefined,
): MapSpec {
  const readOnly = kind === 'rodata' || kind === 'kconfig' ? MapFlag.RdonlyProg : 0;
  const mapable =
    btf !== undefined && datasec !== undefined && hasGlobals(btf, datasec) ? MapFlag.Mmapable : 0;
  return {
    name,
    type: MapType.Array,
    keySize: 4,
    valueSize: contents.length,
    maxEntries: 1,
    flags: readOnly | mapable,
    mapExtra: 0,
    pinning: 0,
    keyTypeId: 0,
    valueTypeId: datasec ?? 0,
    section: { kind, contents },
  };
}

/** Only sections with a variable that others can name are made mappable (libbpf's map_is_mmapable). */
function hasGlobals(btf: Btf, datasec: number): boolean {
  const type = btf.type(datasec);
  if (type.kind !== 'DATASEC') return false;
  return type.vars.some(({ type: id }) => {
    const variable = btf.type(id);
    return variable.kind === 'VAR' && variable.linkage !== 'static';
  });
}

function datasecVariables(btf: Btf, datasec: number, section: ElfSection): VariableSpec[] {
  const type = btf.type(datasec);
  if (type.kind !== 'DATASEC') return [];
  return type.vars.map(({ type: id, offset, size }) => {
    const variable = btf.type(id);
    if (variable.kind !== 'VAR') {
      throw new SkepError(`lists ${btf.describe(id)}, which is no variable`, {
        where: btf.describe(datasec),
      });
    }
    checkBounds(variable.name, offset, size, section);
    return {
      name: variable.name,
      map: section.name,
      offset,
      size,
      typeId: variable.type,
      linkage: variable.linkage === 'static' ? 'static' : 'global',
    };
  });
}

function objectSymbols(elf: ElfFile): Map<number, VariableSpec[]> {
  const result = new Map<number, VariableSpec[]>();
  for (const symbol of elf.symbols) {
    if (symbol.type !== SymbolType.Object || symbol.special || symbol.size === 0) continue;
    const variable: VariableSpec = {
      name: symbol.name,
      map: '',
      offset: symbol.value,
      size: symbol.size,
      typeId: 0,
      linkage: symbol.binding === SymbolBinding.Local ? 'static' : 'global',
    };
    const list = result.get(symbol.section);
    if (list === undefined) result.set(symbol.section, [variable]);
    else list.push(variable);
  }
  return result;
}

function symbolVariables(section: ElfSection, symbols: readonly VariableSpec[]): VariableSpec[] {
  return symbols
    .map((variable) => {
      checkBounds(variable.name, variable.offset, variable.size, section);
      return { ...variable, map: section.name };
    })
    .toSorted((a, b) => a.offset - b.offset);
}

function checkBounds(name: string, offset: number, size: number, section: ElfSection): void {
  if (offset + size <= section.size) return;
  throw new SkepError(
    `its ${size} bytes at offset ${offset} are not in ${describeSection(section)}, which has ${section.size} bytes`,
    { where: `variable '${name}'` },
  );
}

/**
 * An address in a variable's initial value is known only after loading, and nothing puts it there: libbpf leaves
 * such a pointer zero without a word, and the program fails when it uses it. Better to say so at once.
 */
function refuseDataRelocations(elf: ElfFile): void {
  for (const { section, target } of relocationSections(elf)) {
    if (sectionKind(target) === undefined) continue;
    for (const { offset, type, symbol } of elf.relocations(section)) {
      if (type === RelocationType.R_BPF_NONE) continue;
      throw new SkepError(
        `offset ${offset} is initialised with the address of ${describeSymbol(symbol)} (${relocationTypeName(type)}), which BPF variables cannot hold`,
        { where: describeSection(target), hint: 'Use an index, or set the pointer in the program.' },
      );
    }
  }
}
