// What an object expects from the kernel: `.kconfig` settings, which become variables of a map, and `.ksyms`
// kernel variables and functions. An extern is an undefined, untyped symbol; its BTF VAR or FUNC says the rest. One without
// (a call of memcpy that was not inlined) is no fault of the programs that do without it, so that it is one only on loading.

import { SkepError } from '../base/error.js';
import type { Btf } from '../btf/btf.js';
import { describeSymbol, type ElfFile, type ElfSymbol, SymbolBinding, SymbolType } from './file.js';
import type { ExternSpec } from './spec.js';

/** An undefined symbol that stands for an extern (libbpf's sym_is_extern). */
const isExtern = (symbol: ElfSymbol): boolean =>
  symbol.section === 0 &&
  !symbol.special &&
  symbol.type === SymbolType.NoType &&
  (symbol.binding === SymbolBinding.Global || symbol.binding === SymbolBinding.Weak) &&
  symbol.name !== '';

/** What a `.kconfig` extern may be: kind of value, size and alignment in bytes. */
export interface KconfigType {
  kind: 'bool' | 'tristate' | 'char' | 'int' | 'string';
  size: number;
  alignment: number;
  signed: boolean;
}

/** The kind of a `.kconfig` extern's type, or undefined when it cannot be one (libbpf's find_kcfg_type). */
export function kconfigType(btf: Btf, id: number): KconfigType | undefined {
  const type = btf.type(btf.skipModifiers(id));
  switch (type.kind) {
    case 'INT': {
      const { size } = type;
      const signed = (type.encoding & 1) !== 0;
      if ((type.encoding & 4) !== 0) {
        return size === 1 ? { kind: 'bool', size, alignment: 1, signed: false } : undefined;
      }
      if (size === 1) return { kind: 'char', size, alignment: 1, signed };
      return size === 2 || size === 4 || size === 8
        ? { kind: 'int', size, alignment: size, signed }
        : undefined;
    }
    case 'ENUM':
    case 'ENUM64': {
      const { size } = type;
      if (type.name !== 'libbpf_tristate' || (type.kind === 'ENUM' && size !== 4)) return undefined;
      return { kind: 'tristate', size, alignment: Math.min(size, 8), signed: false };
    }
    case 'ARRAY': {
      if (type.length === 0) return undefined;
      const element = btf.type(btf.skipModifiers(type.type));
      if (element.kind !== 'INT' || element.size !== 1 || (element.encoding & 4) !== 0) return undefined;
      return { kind: 'string', size: type.length, alignment: 1, signed: false };
    }
    default:
      return undefined;
  }
}

/**
 * Externs by symbol index; `list` in libbpf's order: `.kconfig` by alignment, size and name, then `.ksyms` by name; then what
 * is not known.
 */
export interface Externs {
  list: ExternSpec[];
  bySymbol: ReadonlyMap<number, ExternSpec>;
  /** Bytes of the `.kconfig` map; 0 when there is none. */
  kconfigSize: number;
}

/** Collects the externs and lays out `.kconfig`. Throws a SkepError for an extern whose BTF type cannot be one. */
export function readExterns(elf: ElfFile, btf: Btf | undefined): Externs {
  const found: { spec: ExternSpec; alignment: number }[] = [];
  const bySymbol = new Map<number, ExternSpec>();
  const sections = btf === undefined ? new Map<number, string>() : sectionsOfTypes(btf);
  for (const symbol of elf.symbols) {
    if (!isExtern(symbol)) continue;
    const { spec, alignment } = readExtern(btf, sections, symbol);
    found.push({ spec, alignment });
    bySymbol.set(symbol.index, spec);
  }
  found.sort(compare);
  let end = 0;
  for (const { spec, alignment } of found) {
    if (spec.section !== '.kconfig') continue;
    spec.offset = Math.ceil(end / alignment) * alignment;
    end = spec.offset + spec.size;
  }
  return { list: found.map(({ spec }) => spec), bySymbol, kconfigSize: end };
}

type Found = { spec: ExternSpec; alignment: number };

const rank = ({ section }: ExternSpec): number => (section === '.kconfig' ? 0 : section === '.ksyms' ? 1 : 2);

function compare(a: Found, b: Found): number {
  if (a.spec.section !== b.spec.section) return rank(a.spec) - rank(b.spec);
  if (a.spec.section === '.kconfig') {
    const order = b.alignment - a.alignment || a.spec.size - b.spec.size;
    if (order !== 0) return order;
  }
  return a.spec.name < b.spec.name ? -1 : a.spec.name > b.spec.name ? 1 : 0;
}

/** The name of the DATASEC that lists a VAR or FUNC, by the id of the latter. */
function sectionsOfTypes(btf: Btf): Map<number, string> {
  const names = new Map<number, string>();
  for (let id = 1; id < btf.typeCount; id++) {
    if (btf.kind(id) !== 'DATASEC') continue;
    const datasec = btf.type(id);
    if (datasec.kind !== 'DATASEC') continue;
    for (const { type } of datasec.vars) if (!names.has(type)) names.set(type, datasec.name);
  }
  return names;
}

function readExtern(btf: Btf | undefined, sections: ReadonlyMap<number, string>, symbol: ElfSymbol): Found {
  const { name } = symbol;
  const fail = (message: string, hint = ''): SkepError =>
    new SkepError(message, { where: `extern ${describeSymbol(symbol)}`, hint });
  const id = btf?.idsByName(name).find((candidate) => {
    const type = btf.type(candidate);
    return (type.kind === 'VAR' || type.kind === 'FUNC') && type.linkage === 'extern';
  });
  const weak = symbol.binding === SymbolBinding.Weak;
  const section = id === undefined ? undefined : sections.get(id);
  if (btf === undefined || id === undefined || section === undefined) {
    const spec: ExternSpec = {
      name,
      section: undefined,
      typeId: 0,
      isFunction: false,
      weak,
      offset: 0,
      size: 0,
    };
    return { spec, alignment: 1 };
  }
  const type = btf.type(id);
  if (type.kind === 'FUNC' && section === '.ksyms') {
    const spec: ExternSpec = { name, section, typeId: id, isFunction: true, weak, offset: 0, size: 0 };
    return { spec, alignment: 1 };
  }
  if (type.kind === 'VAR' && section === '.ksyms') {
    const spec: ExternSpec = {
      name,
      section,
      typeId: type.type,
      isFunction: false,
      weak,
      offset: 0,
      size: 0,
    };
    return { spec, alignment: 1 };
  }
  if (type.kind === 'VAR' && section === '.kconfig') {
    const kconfig = kconfigType(btf, type.type);
    if (kconfig === undefined) {
      throw fail(
        `${btf.describe(type.type)} is no type of a kernel setting`,
        'Use bool, enum libbpf_tristate, char, an integer or an array of char.',
      );
    }
    const { size, alignment } = kconfig;
    const spec: ExternSpec = { name, section, typeId: type.type, isFunction: false, weak, offset: 0, size };
    return { spec, alignment };
  }
  throw fail(`is in section '${section}'; externs are in .ksyms or .kconfig`);
}
