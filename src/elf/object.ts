// An object file as a CollectionSpec: the parts are read in the order in which libbpf reads them (externs, BTF,
// maps, variables, relocations), then the programs are linked.

import { SkepError } from '../base/error.js';
import { ByteReader } from '../base/reader.js';
import { ProgType } from '../bpf/types.js';
import { Btf } from '../btf/btf.js';
import { type BtfExt, parseBtfExt } from '../btf/ext.js';
import { fixupBtf } from './btf-fixup.js';
import { readExterns } from './externs.js';
import { describeSection, ElfFile, type ElfSection, SectionType } from './file.js';
import { type FunctionTable, type ObjectFunction, readFunctions } from './functions.js';
import { readLegacyMaps } from './legacy-maps.js';
import { Linker } from './link.js';
import { readBtfMaps, readInitialSlots } from './maps.js';
import { resolveTargets, type Targets } from './relocations.js';
import { parseSectionName } from './sections.js';
import type { CollectionSpec, ProgramSpec } from './spec.js';
import { readStructOps, readStructOpsVariables, type StructOpsMember } from './struct-ops.js';
import { readArenaSection, readSectionMaps } from './variables.js';

export interface ParseOptions {
  /** What the bytes are, for error messages: a file's name. */
  name?: string;
}

/**
 * Reads an object that clang (or another compiler for BPF) wrote. The result is a plain value, the same on every
 * machine; it shares no memory with `bytes`. Throws a SkepError that says what is wrong and where, for anything
 * that is no BPF object, is damaged, or refers to what it does not have.
 */
export function parseObject(bytes: Uint8Array, options: ParseOptions = {}): CollectionSpec {
  const { name } = options;
  if (name === undefined) return parse(bytes);
  try {
    return parse(bytes);
  } catch (cause) {
    if (!(cause instanceof SkepError)) throw cause;
    throw new SkepError(cause.message, { where: name, hint: cause.hint, cause });
  }
}

function parse(bytes: Uint8Array): CollectionSpec {
  const elf = ElfFile.parse(bytes);
  if (elf.symbolTable === undefined) {
    throw new SkepError('there is no symbol table', {
      hint: 'Was the object stripped? Use llvm-strip -g at most.',
    });
  }
  const functions = readFunctions(elf);
  const rawBtf = readBtf(elf);
  const externs = readExterns(elf, rawBtf);
  const btf = rawBtf === undefined ? undefined : fixupBtf(rawBtf, elf, functions, externs);
  const ext = btf === undefined ? undefined : readBtfExt(elf, btf);

  const maps = [...readBtfMaps(elf, btf), ...readLegacyMaps(elf, btf)];
  readInitialSlots(elf, maps, functions);
  const sections = readSectionMaps(elf, btf, externs);
  const specs = [...maps.map(({ spec }) => spec), ...sections.maps];
  refuseDuplicates('map', specs);
  const arena = readArenaSection(elf, specs);

  const byPlace = new Map(maps.map(({ spec, section, offset }) => [`${section.index}:${offset}`, spec.name]));
  const targets = resolveTargets(elf, {
    functions,
    mapAt: (section, offset) => byPlace.get(`${section}:${offset}`),
    sectionMap: (section) => sections.bySection.get(section) ?? arena.get(section),
    externs: externs.bySymbol,
  });
  const debug = btf !== undefined && ext !== undefined ? { btf, ext } : undefined;
  const linker = new Linker(functions, targets, elf.sections, debug);
  const structOps = readStructOps(elf, btf, functions);
  const programs = entryFunctions(functions, targets).map((fn) => readProgram(linker, fn, structOps.get(fn)));
  refuseDuplicates('program', programs);

  const kernelVersion = readVersion(elf);
  const instances = readStructOpsVariables(elf, btf, functions);
  return {
    byteOrder: elf.littleEndian ? 'little' : 'big',
    license: readLicense(elf),
    ...(kernelVersion === undefined ? {} : { kernelVersion }),
    programs,
    maps: specs,
    variables: sections.variables,
    externs: externs.list,
    ...(instances.length === 0 ? {} : { structOps: instances }),
    ...(btf === undefined ? {} : { btf }),
  };
}

/**
 * Programs: what is global outside `.text`, and a function of `.text` that is alone (libbpf's prog_is_subprog). A static
 * function that has a section of its own and is called by none is one too: loaders that go by sections take it.
 */
function entryFunctions(functions: FunctionTable, targets: Targets): ObjectFunction[] {
  const referred = new Set<ObjectFunction>();
  for (const slots of targets.values())
    for (const target of slots.values()) if ('fn' in target) referred.add(target.fn);
  const inSection = new Map<ElfSection, number>();
  for (const { section } of functions.all) inSection.set(section, (inSection.get(section) ?? 0) + 1);
  return functions.all.filter((fn) => {
    const alone = inSection.get(fn.section) === 1;
    if (fn.section.name === '.text') return fn.global && alone && inSection.size === 1;
    return fn.global || (alone && !referred.has(fn));
  });
}

function readProgram(
  linker: Linker,
  fn: ObjectFunction,
  structOps: StructOpsMember | undefined,
): ProgramSpec {
  const section = fn.section.name;
  const parsed = parseSectionName(section);
  const { definition, target } = parsed ?? {};
  return {
    name: fn.name,
    section,
    type: definition?.type ?? ProgType.Unspec,
    ...(definition?.attachType === undefined ? {} : { attachType: definition.attachType }),
    ...(target === undefined ? {} : { attachTo: target }),
    ...(structOps === undefined ? {} : { structOps }),
    flags: definition?.flags ?? 0,
    autoload: !section.startsWith('?'),
    ...linker.link(fn),
  };
}

function refuseDuplicates(what: string, specs: readonly { name: string }[]): void {
  const seen = new Set<string>();
  for (const { name } of specs) {
    if (seen.has(name)) throw new SkepError(`there are two with this name`, { where: `${what} '${name}'` });
    seen.add(name);
  }
}

function readBtf(elf: ElfFile): Btf | undefined {
  const section = elf.sectionByName('.BTF');
  if (section === undefined || section.size === 0) return undefined;
  if (section.type !== SectionType.Progbits) {
    throw new SkepError(`has section type ${section.type}, not PROGBITS`, {
      where: describeSection(section),
    });
  }
  const btf = Btf.parse(elf.contents(section).slice());
  if (btf.littleEndian === elf.littleEndian) return btf;
  throw new SkepError('its byte order is not that of the file', { where: describeSection(section) });
}

function readBtfExt(elf: ElfFile, btf: Btf): BtfExt | undefined {
  const section = elf.sectionByName('.BTF.ext');
  if (section === undefined || section.size === 0) return undefined;
  return parseBtfExt(elf.contents(section), btf);
}

/** Up to the first NUL; a licence is a short word. */
function readLicense(elf: ElfFile): string {
  const section = elf.sectionByName('license');
  if (section === undefined) return '';
  const bytes = elf.contents(section);
  const end = bytes.indexOf(0);
  const length = end < 0 ? bytes.length : end;
  if (length > 127) {
    throw new SkepError(`has ${length} bytes, too many for a licence`, { where: describeSection(section) });
  }
  return new TextDecoder().decode(bytes.subarray(0, length));
}

function readVersion(elf: ElfFile): number | undefined {
  const section = elf.sectionByName('version');
  if (section === undefined) return undefined;
  if (section.size !== 4) {
    throw new SkepError(`has ${section.size} bytes, not 4`, { where: describeSection(section) });
  }
  return new ByteReader(elf.contents(section), elf.littleEndian, describeSection(section)).u32(0, 'version');
}
